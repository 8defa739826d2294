"""A program of torch.export."""

import json
from pathlib import Path

import numpy as np
import torch
from torch.export import ExportedProgram

from convnext_dense.errors import UsageError, describe
from convnext_dense.export.operators import pyramid_pooling, resizing, suppression  # noqa: F401 - a program has them
from convnext_dense.runtime.description import KEY, Description, read_description

# Next to the description: the names that a program has no place for.
OUTPUTS = 'outputs'


def write_torch(program: ExportedProgram, description: Description, file: Path, outputs: list[str]) -> None:
    """Write a program as a ``.pt2`` file.

    Args:
        program: The program.
        description: What the file says of its model.
        file: The file.
        outputs: The names of the outputs.
    """
    extra = {KEY: description.to_json(), OUTPUTS: json.dumps(outputs)}
    torch.export.save(program, str(file), extra_files=extra)


class TorchSession:
    """Runs a ``.pt2`` file by PyTorch, without OpenMMLab. `runtime.Model` takes it in place of a file.

    Args:
        file: The file.

    Raises:
        UsageError: If it cannot be read.

    Example:
        >>> from convnext_dense.runtime import Model
        >>> Model(TorchSession('my_run.pt2')).predict('photo.jpg')  # doctest: +SKIP
    """

    def __init__(self, file: str) -> None:
        extra = {KEY: '', OUTPUTS: ''}
        try:
            self.module = torch.export.load(file, extra_files=extra).module()
        except Exception as error:
            raise UsageError(f'model: PyTorch cannot read {file}: {describe(error).rstrip(".")}.') from error
        self.description = read_description(extra[KEY], file)
        self.names = json.loads(extra[OUTPUTS])

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by their names.

        Args:
            inputs: By their names.
        """
        with torch.inference_mode():
            outputs = self.module(*(torch.from_numpy(value) for value in inputs.values()))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return {name: value.numpy() for name, value in zip(self.names, outputs, strict=True)}
