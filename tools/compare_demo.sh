#!/usr/bin/env bash
# Compare ConvNeXt, ResNet, Swin and ViT, small ones of a like size, from scratch on the generated demo data.
# Arguments go to `convnext-dense compare`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash tools/setup_env.sh
convnext_dense="${VENV:-.venv}/bin/convnext-dense"
"$convnext_dense" demo --only-data
"$convnext_dense" compare mask-rcnn_convnext-demo_fpn_demo-coco \
    --backbones convnext_atto timm/resnet10t \
    'timm/swin_tiny_patch4_window7_224(embed_dim=48, depths=(1, 1, 3, 1), num_heads=(2, 4, 8, 16))' \
    'timm/vit_tiny_patch16_224(depth=6, pyramid_channels=64)' \
    --from-scratch --shape 128 128 --work-dir work_dirs/compare_demo "$@"
