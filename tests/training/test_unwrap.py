"""Models inside wrappers."""

from mmdet.models import DetTTAModel
from mmengine.model import BaseModel
from torch import nn

from convnext_dense.training import unwrap


class Model(BaseModel):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs


class TestUnwrap:
    def test_wrappers_are_removed_in_any_number(self):
        model = Model()
        augmented = DetTTAModel(module=model)
        assert unwrap(model) is unwrap(augmented) is unwrap(nn.DataParallel(augmented)) is model

    def test_a_model_with_a_child_named_module_is_no_wrapper(self):
        model = nn.ModuleDict(dict(module=Model()))
        assert unwrap(model) is model
