"""Plants values that are not finite into the steps of a run."""

import math
from contextlib import contextmanager
from unittest import mock

from mmengine.runner import Runner


@contextmanager
def nan_pixel(step=3, image=1):
    """Give an image of a step, counted from 1, a pixel that is NaN."""
    call_hook = Runner.call_hook

    def plant(self, name, **kwargs):
        if name == 'before_train_iter' and self.iter == step - 1:
            images = kwargs['data_batch']['inputs']
            images[image] = images[image].float()
            images[image][0, 3, 3] = math.nan
        call_hook(self, name, **kwargs)

    with mock.patch.object(Runner, 'call_hook', plant):
        yield


@contextmanager
def infinite_gradient(parameter, step=3):
    """Make the gradient of a parameter infinite in a step, counted from 1."""
    call_hook = Runner.call_hook

    def plant(self, name, **kwargs):
        if name == 'before_train_iter' and self.iter == step - 1:
            weight = self.model.get_parameter(parameter)
            weight.register_hook(lambda gradient: gradient * math.inf)
        if name == 'before_train_iter' and self.iter == step:
            self.model.get_parameter(parameter)._backward_hooks.clear()
        call_hook(self, name, **kwargs)

    with mock.patch.object(Runner, 'call_hook', plant):
        yield
