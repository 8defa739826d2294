"""Backbones with what feeds them images."""

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from PIL import Image
from torch import nn

from convnext_dense.errors import RunError, UsageError
from convnext_dense.inference.explaining.features import FeatureSheets, read
from convnext_dense.inference.explaining.fed_backbone import RANDOM, FedBackbone, load_fed_backbone
from convnext_dense.inference.inputs import image_inputs
from convnext_dense.results.image_input import ImageInput
from convnext_dense.visualization.sheet import TILE

SMALL = 'convnext_dense/ModernizedResNet(depths=(1,1,1,1),width=8,inverted_bottleneck=True)'


@pytest.fixture(scope='module')
def small():
    return load_fed_backbone(SMALL, device='cpu')


@pytest.fixture
def of_model(segmenter):
    """The backbone of the demo's segmenter."""
    module = segmenter.module
    return FedBackbone(
        *('run', segmenter.checkpoint, module.backbone, module.data_preprocessor),
        *(segmenter.pipeline, 'mmseg', 3, segmenter.device),
    )


class TestFedBackbone:
    def test_of_a_trained_model_gives_the_models_features(self, segmenter, detector, photos):
        for model, scope in ((segmenter, 'mmseg'), (detector, 'mmdet')):
            module = model.module
            backbone = FedBackbone(
                *('run', model.checkpoint, module.backbone, module.data_preprocessor),
                *(model.pipeline, scope, 3, model.device),
            )
            (image,) = image_inputs(photos[0])
            pixels = read(backbone, image)
            for found, wanted in zip(backbone.maps(pixels), model.features(photos[0]), strict=True):
                height, width = found.shape[-2:]
                assert torch.equal(found, wanted[0, :, :height, :width])

    def test_by_its_name_has_weights_that_it_says(self, small):
        assert small.weights == RANDOM
        assert load_fed_backbone('convnext_atto', pretrained=False).weights == RANDOM

    def test_by_its_name_has_weights_of_a_file(self, small, save):
        file = save(small.network.state_dict())
        for init_cfg in (f'dict(type="Pretrained",checkpoint="{file}")', '[{"type":"Kaiming","layer":"Conv2d"}]'):
            found = load_fed_backbone(f'{SMALL[:-1]},init_cfg={init_cfg})', device='cpu').weights
            assert found == (file if file in init_cfg else RANDOM)

    def test_of_random_weights_is_always_the_same(self, small):
        again = load_fed_backbone(SMALL, device='cpu').network.state_dict()
        assert all(torch.equal(value, again[name]) for name, value in small.network.state_dict().items())

    def test_leaves_random_numbers_as_they_are(self):
        before = torch.random.get_rng_state()
        load_fed_backbone(SMALL, device='cpu')
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_normalizes_red_green_and_blue(self, small):
        blue = torch.zeros(3, 32, 32, dtype=torch.uint8)
        blue[0] = 255
        normalized = small.normalize(blue)[0, :, 0, 0]
        assert normalized.tolist() == pytest.approx([-2.118, -2.036, 2.64], abs=1e-2)

    def test_gives_maps_without_padding(self, small):
        maps = small.maps(torch.zeros(3, 70, 100, dtype=torch.uint8))
        assert [tuple(part.shape) for part in maps] == [(8, 18, 25), (16, 9, 13), (32, 5, 7), (64, 3, 4)]

    def test_has_the_strides_of_whole_maps(self, small):
        sheets = FeatureSheets([small], [ImageInput('odd', pixels=np.zeros((70, 101, 3), np.uint8))])
        assert [stage.stride for stage in sheets.stages[0]] == [4, 8, 16, 32]

    def test_says_what_it_cannot_take(self, small):
        with pytest.raises(UsageError, match='it cannot take an image of 16 x 16'):
            FedBackbone(
                *(small.name, RANDOM, nn.Linear(3, 3), small.preprocessor, small.pipeline, 'mmseg', 3, small.device)
            ).maps(torch.zeros(3, 16, 16, dtype=torch.uint8))

    def test_refuses_maps_that_are_not_finite(self, small):
        network = MODELS.build(dict(type='convnext_dense.ModernizedResNet', depths=(1,), width=8, out_indices=(0,)))
        for parameter in network.parameters():
            parameter.data.fill_(float('nan'))
        broken = FedBackbone(
            *(small.name, RANDOM, network, small.preprocessor, small.pipeline, 'mmseg', 3, small.device)
        )
        with pytest.raises(RunError, match='feature maps are not finite'):
            broken.maps(torch.zeros(3, 32, 32, dtype=torch.uint8))


class TestFeatureSheets:
    def test_have_a_row_for_each_backbone(self, of_model, small, photos):
        sheets = FeatureSheets([of_model, small], list(image_inputs(photos[:2])))
        drawn = list(sheets.draw())
        assert [image.name for image, _ in drawn] == [str(photo) for photo in photos[:2]]
        for _, sheet in drawn:
            assert sheet.width > 5 * TILE
            assert sheet.height > TILE

    def test_show_one_color_for_one_image(self, of_model, tmp_path):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)).save(tmp_path / 'a.png')
        images = [ImageInput(name, str(tmp_path / 'a.png')) for name in ('a', 'b')]
        first, second = (np.asarray(sheet)[40:] for _, sheet in FeatureSheets([of_model], images).draw())
        assert (first == second).all()
