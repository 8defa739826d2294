"""Files with weights of 16 bits, or with arithmetic of 8."""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convnext_dense.errors import UsageError
from convnext_dense.runtime.description import FEATURES, Description
from convnext_dense.runtime.preparing import feed
from convnext_dense.runtime.signal_stack import kept_signal_stack

# Where 16 bits lose what matters: places and sizes of boxes, and their order.
KEPT_OPERATORS = ('NonMaxSuppression', 'RoiAlign', 'TopK', 'Resize', 'Range', 'GridSample', 'ScatterND', 'Cast')
# What takes the time.
HEAVY_OPERATORS = ('Conv', 'MatMul', 'Gemm')


def precision_in(file: Path) -> str:
    """Return the precision that an exported file has: 'fp32', 'half' or 'int8'.

    Args:
        file: An ``.onnx`` file, an ``.xml`` file of OpenVINO, or a ``.pt2`` file.
    """
    if file.suffix == '.onnx':
        import onnx

        graph = onnx.load(str(file), load_external_data=False).graph
        is_int8 = any(node.op_type == 'QuantizeLinear' for node in graph.node)
        is_half = any(values.data_type == onnx.TensorProto.FLOAT16 for values in graph.initializer)
    elif file.suffix == '.xml':
        text = file.read_text()
        is_int8 = 'type="FakeQuantize"' in text
        is_half = re.search(r'type="Const"[^>]*>\s*<data element_type="f16"', text) is not None
    else:
        is_int8 = is_half = False
    return 'int8' if is_int8 else 'half' if is_half else 'fp32'


def onnx_to_half(file: Path) -> None:
    """Rewrite an ONNX file with weights of 16 bits. Inputs and outputs stay as they are.

    Args:
        file: The file.

    Raises:
        UsageError: If onnxruntime is not installed.
    """
    import onnx

    try:
        from onnxruntime.transformers import float16
    except ImportError as error:
        raise UsageError('half: onnxruntime is not installed; install convnext_dense[export].') from error
    blocked = [*float16.DEFAULT_OP_BLOCK_LIST, *KEPT_OPERATORS]
    model = float16.convert_float_to_float16(onnx.load(str(file)), keep_io_types=True, op_block_list=blocked)
    onnx.save(model, str(file))


def onnx_to_int8(file: Path, description: Description, images: Sequence[np.ndarray]) -> None:
    """Rewrite an ONNX file so that convolutions and products compute in 8 bits.

    Args:
        file: The file.
        description: What it says of its model.
        images: BGR images that show which values there are.

    Raises:
        UsageError: If onnxruntime is not installed.
    """
    import onnx

    try:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise UsageError('int8: onnxruntime is not installed; install convnext_dense[export].') from error

    class Reader(CalibrationDataReader):
        """Gives one image at a time."""

        def __init__(self) -> None:
            self.inputs = calibration_inputs(description, images)

        def get_next(self) -> Any:  # noqa: ANN401 - a dict, or None at the end
            return next(self.inputs, None)

    metadata = onnx.load(str(file), load_external_data=False).metadata_props
    root = logging.getLogger()
    level = root.level
    # It advises to optimize the model first, which torch has done.
    root.setLevel(logging.ERROR)
    try:
        quantize_static(
            str(file),
            str(file),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(HEAVY_OPERATORS),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.setLevel(level)
    model = onnx.load(str(file))
    onnx.helper.set_model_props(model, {entry.key: entry.value for entry in metadata})
    onnx.save(model, str(file))


def openvino_to_int8(model: Any, description: Description, images: Sequence[np.ndarray]) -> Any:  # noqa: ANN401 - OpenVINO's
    """Return an OpenVINO model whose convolutions and products compute in 8 bits, by NNCF.

    Args:
        model: OpenVINO's model.
        description: What its file says of it.
        images: BGR images that show which values there are.

    Raises:
        UsageError: If nncf is not installed.
    """
    try:
        import nncf
    except ImportError as error:
        raise UsageError('int8: nncf is not installed; install convnext_dense[export].') from error
    nncf.set_log_level(logging.ERROR)
    inputs = list(calibration_inputs(description, images))
    # It runs the model by OpenVINO.
    with kept_signal_stack():
        return nncf.quantize(model, nncf.Dataset(inputs), subset_size=len(inputs), preset=nncf.QuantizationPreset.MIXED)


def calibration_inputs(description: Description, images: Sequence[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Yield a graph's inputs for images.

    Args:
        description: What the file says of its model.
        images: BGR images.

    Raises:
        UsageError: If there are none, or the model is a backbone alone.
    """
    if description.task == FEATURES:
        raise UsageError('int8: a backbone alone is fed no images; export the whole model.')
    if not images:
        raise UsageError('int8: give images that show which values there are.')
    for pixels in images:
        yield feed(pixels, description)[0]
