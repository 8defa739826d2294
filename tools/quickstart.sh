#!/usr/bin/env bash
# Make the demo data, train Mask R-CNN and UperNet with a ConvNeXt backbone on it, and evaluate both.
# Arguments go to `convnext-dense demo`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash tools/setup_env.sh
"${VENV:-.venv}/bin/convnext-dense" demo "$@"
