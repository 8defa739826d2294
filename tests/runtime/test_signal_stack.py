"""A process goes on after OpenVINO has left it a freed stack for its signals."""

import subprocess
import sys

import pytest

# Two plugins of OpenVINO, of which the first one is deleted first; then a child ends, whose signal Python handles.
OVERLAPPING = """
import contextlib, faulthandler, gc, signal, subprocess, sys
import numpy as np
import openvino
from openvino import opset13
from convnext_dense.runtime.signal_stack import kept_signal_stack

def compiled():
    given = opset13.parameter([1], np.float32)
    model = openvino.Model([opset13.relu(given)], [given], 'relu')
    with kept_signal_stack() if sys.argv[1] == 'kept' else contextlib.nullcontext():
        return openvino.Core().compile_model(model, 'CPU')

faulthandler.enable()
signal.signal(signal.SIGCHLD, lambda *_: print('signal'))
first, second = compiled(), compiled()
del first
gc.collect()
del second
gc.collect()
subprocess.run([sys.executable, '-c', 'pass'])
print('goes on')
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='the signal stack is that of Linux')
def test_the_stack_outlives_openvinos_plugins():
    done = subprocess.run([sys.executable, '-c', OVERLAPPING, 'kept'], capture_output=True, text=True, timeout=120)
    # Imports may have had children, too.
    assert done.stdout.endswith('signal\ngoes on\n'), done.stderr[-2000:]
