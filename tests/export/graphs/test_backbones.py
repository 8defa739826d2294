"""Features of exported backbones are PyTorch's, at any size."""

import numpy as np
import pytest
import torch
from torch import nn

from convnext_dense import create_backbone
from convnext_dense.errors import UsageError
from convnext_dense.export.formats.onnx_file import write_onnx
from convnext_dense.export.tracing import trace
from convnext_dense.runtime.description import Description
from convnext_dense.runtime.sessions import open_session

SIZES = [(1, 224, 224), (2, 256, 192), (1, 333, 517), (1, 64, 96), (3, 320, 160)]
SWIN = 'timm/swin_tiny_patch4_window7_224'
BACKBONES = ['convnext_tiny', 'convnextv2_atto', 'convnextv2_tiny', 'timm/resnet18', 'timm/vit_tiny_patch16_224']


def model_of(name):
    model = nn.Module()
    model.backbone = create_backbone(name, pretrained=False).backbone.eval()
    return model


def largest_difference(model, folder, sizes, shape=None, runtime=None):
    program = trace(model, shape, part='backbone')
    names = [f'stage_{i}' for i in range(len(program.graph_signature.user_outputs))]
    file = folder / 'backbone.onnx'
    write_onnx(program, Description('features', 'backbone', [], []), file, (['inputs'], names))
    session, differences = open_session(str(file), runtime), []
    for batch, height, width in sizes:
        inputs = torch.randn(batch, 3, height, width)
        with torch.inference_mode():
            expected = [part.numpy() for part in model.backbone(inputs)]
        found = session.run(dict(inputs=inputs.numpy()))
        assert len(expected) == len(found)
        differences += [
            np.abs(a - found[name]).max() / np.abs(a).max() for name, a in zip(names, expected, strict=True)
        ]
    return max(differences)


def test_of_a_convnext_are_equal(tmp_path):
    assert largest_difference(model_of('convnext_atto'), tmp_path, SIZES) < 1e-4


@pytest.mark.full
@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize('name', BACKBONES)
def test_of_others_are_equal(name, runtime, tmp_path):
    # OpenVINO resizes a ViT's positions without antialiasing, which it does not need at its own size.
    sizes = SIZES[:1] if runtime == 'openvino' and 'vit' in name else SIZES
    assert largest_difference(model_of(name), tmp_path, sizes, runtime=runtime) < 1e-4


class TestASwin:
    def test_is_refused_without_a_size(self):
        with pytest.raises(UsageError, match='shape: a Swin Transformer is exported for one size only'):
            trace(model_of(SWIN), part='backbone')

    @pytest.mark.full
    def test_is_equal_at_its_size(self, tmp_path):
        assert largest_difference(model_of(SWIN), tmp_path, [(2, 250, 333)], shape=(250, 333)) < 1e-4
