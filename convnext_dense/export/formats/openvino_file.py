"""OpenVINO's pair of files."""

from pathlib import Path
from typing import Any

from convnext_dense.errors import UsageError
from convnext_dense.runtime.description import KEY
from convnext_dense.runtime.sessions import import_runtime


def write_openvino(model: Any, text: str, file: Path, half: bool = False) -> None:  # noqa: ANN401 - OpenVINO's
    """Write OpenVINO's ``.xml`` file, and the ``.bin`` file of weights next to it.

    Args:
        model: OpenVINO's model.
        text: What the file says of its model.
        file: The ``.xml`` file.
        half: Whether weights are kept in 16 bits.
    """
    openvino = import_runtime('openvino')
    model.set_rt_info(text, [KEY])
    openvino.save_model(model, str(file), compress_to_fp16=half)


def read_onnx(file: Path) -> Any:  # noqa: ANN401 - OpenVINO's
    """Return OpenVINO's model of an ONNX file.

    Args:
        file: The ONNX file.

    Raises:
        UsageError: If OpenVINO is not installed, or cannot read it.
    """
    openvino = import_runtime('openvino')
    try:
        return openvino.Core().read_model(str(file))
    except RuntimeError as error:
        raise UsageError(f'export: OpenVINO cannot read the model: {str(error).splitlines()[0]}.') from error
