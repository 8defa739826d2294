"""A file's graph, run by ONNX Runtime or by OpenVINO."""

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from convnext_dense.errors import RunError, UsageError
from convnext_dense.runtime.description import KEY, Description, read_description
from convnext_dense.runtime.signal_stack import kept_signal_stack

# What each is installed as, by its name in Python.
PACKAGES = dict(onnxruntime='onnxruntime', openvino='openvino')


class Session(Protocol):
    """Runs a graph."""

    description: Description

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by their names."""


class ONNXSession:
    """Runs an ONNX file by ONNX Runtime.

    Args:
        file: The file.
        threads: How many it uses; None for as many as there are cores.
    """

    def __init__(self, file: str, threads: int | None = None) -> None:
        onnxruntime = import_runtime('onnxruntime')
        options = onnxruntime.SessionOptions()
        # Its remarks on a graph are of no use to who runs it.
        options.log_severity_level = 3
        if threads:
            options.intra_op_num_threads = threads
        try:
            self.session = onnxruntime.InferenceSession(file, options, providers=onnxruntime.get_available_providers())
        except Exception as error:
            raise UsageError(f'model: ONNX Runtime cannot read {file}: {first_line(error)}.') from error
        self.names = [output.name for output in self.session.get_outputs()]
        found = self.session.get_modelmeta().custom_metadata_map.get(KEY)
        self.description: Description = read_description(found, file)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by their names.

        Args:
            inputs: By their names.

        Raises:
            RunError: If the graph does not run on inputs of these shapes.
        """
        try:
            outputs = self.session.run(None, inputs)
        except Exception as error:
            raise _run_error('ONNX Runtime', inputs, error) from error
        return dict(zip(self.names, outputs, strict=True))


class OpenVINOSession:
    """Runs an OpenVINO or an ONNX file by OpenVINO.

    Args:
        file: The ``.xml`` or ``.onnx`` file.
        threads: How many it uses; None for as many as there are cores.
    """

    def __init__(self, file: str, threads: int | None = None) -> None:
        openvino = import_runtime('openvino')
        core = openvino.Core()
        try:
            model = core.read_model(file)
            # Without the hint, a CPU with bfloat16 rounds to it.
            config = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': 'f32'}
            if threads:
                config['INFERENCE_NUM_THREADS'] = str(threads)
            with kept_signal_stack():
                self.compiled = core.compile_model(model, 'CPU', config)
        except Exception as error:
            raise UsageError(f'model: OpenVINO cannot read {file}: {first_line(error)}.') from error
        self.names = [output.get_any_name() for output in self.compiled.outputs]
        # Metadata of an ONNX file is kept in a place of its own.
        places = ([KEY], ['framework', KEY])
        found = next((model.get_rt_info(place).astype(str) for place in places if model.has_rt_info(place)), None)
        self.description: Description = read_description(found, file)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by their names.

        Args:
            inputs: By their names.

        Raises:
            RunError: If the graph does not run on inputs of these shapes.
        """
        try:
            outputs = self.compiled(inputs)
        except Exception as error:
            raise _run_error('OpenVINO', inputs, error) from error
        return {name: outputs[i] for i, name in enumerate(self.names)}


def _run_error(runtime: str, inputs: dict[str, np.ndarray], error: Exception) -> RunError:
    shapes = ', '.join(f'{name} {list(value.shape)}' for name, value in inputs.items())
    return RunError(
        f'model: {runtime} cannot run it on inputs of these shapes: {shapes}. It says: {first_line(error)}.'
    )


def open_session(file: str, runtime: str | None = None, threads: int | None = None) -> Session:
    """Return what runs a file.

    Args:
        file: An ``.onnx`` file, or an ``.xml`` file of OpenVINO.
        runtime: 'onnxruntime' or 'openvino'. Defaults to ONNX Runtime for ``.onnx`` if it is installed.
        threads: How many threads it uses; None for as many as there are cores.

    Raises:
        UsageError: If the file is not there, or cannot be run.
    """
    suffix = Path(file).suffix
    if os.path.isdir(file):
        raise UsageError(f'model: {file} is a folder; give a file that `convnext-dense export` wrote (.onnx, or .xml).')
    if not os.path.isfile(file):
        raise UsageError(f'model: there is no file {file}.')
    if suffix not in ('.onnx', '.xml'):
        raise UsageError(f'model: {file} is no exported model (.onnx, or .xml of OpenVINO).')
    if runtime not in (None, *PACKAGES):
        raise UsageError(f'runtime must be one of {", ".join(PACKAGES)}, not {runtime!r}.')
    if suffix == '.xml' and runtime == 'onnxruntime':
        raise UsageError(f'model: {file} is of OpenVINO, which onnxruntime cannot read.')
    if runtime is None:
        runtime = 'openvino' if suffix == '.xml' or not _is_installed('onnxruntime') else 'onnxruntime'
    return (OpenVINOSession if runtime == 'openvino' else ONNXSession)(file, threads)


def import_runtime(name: str) -> Any:  # noqa: ANN401 - a module
    """Return a runtime's module.

    Args:
        name: 'onnxruntime' or 'openvino'.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        return __import__(name)
    except ImportError as error:
        raise UsageError(f'model: {name} is not installed; pip install {PACKAGES[name]}.') from error


def first_line(error: BaseException) -> str:
    """Return the first line that an error has, without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip('.')


def _is_installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None
