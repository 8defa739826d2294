"""An ONNX file."""

import re
from pathlib import Path

import torch
from torch.export import ExportedProgram

from convnext_dense.errors import UsageError, describe
from convnext_dense.export.tracing import quiet_export
from convnext_dense.runtime.description import KEY, Description


def write_onnx(
    program: ExportedProgram, description: Description, file: Path, names: tuple[list[str], list[str]]
) -> None:
    """Write a program as an ONNX file.

    Args:
        program: The program.
        description: What the file says of its model.
        file: The file.
        names: Those of the inputs and of the outputs.

    Raises:
        UsageError: If onnxscript is not installed, or a part of the program has no form in ONNX.
    """
    try:
        from convnext_dense.export.operators.onnx_forms import OPSET, onnx_forms
    except ImportError as error:
        raise UsageError('export: onnx and onnxscript are not installed; install convnext_dense[export].') from error
    try:
        with quiet_export():
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                custom_translation_table=onnx_forms(),
                input_names=names[0],
                output_names=names[1],
                verbose=False,
            )
    except Exception as error:
        # PyTorch's own advice follows, in colors.
        reason = re.split(r'[\x1b\n]', describe(error))[0].rstrip(' .')
        raise UsageError(f'export: PyTorch {torch.__version__} has no form of the model in ONNX: {reason}.') from error
    exported.model.metadata_props[KEY] = description.to_json()
    exported.model.producer_name = 'convnext_dense'
    exported.save(str(file))
