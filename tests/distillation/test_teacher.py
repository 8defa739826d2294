"""A transformer of timm as a teacher."""

import pytest
import timm
import torch

from convnext_dense.distillation import Teacher
from convnext_dense.distillation.teacher import teacher_config
from convnext_dense.errors import CheckpointError, UsageError


class TestTeacher:
    @pytest.mark.parametrize('name', ['test_vit', 'test_vit4'])
    def test_gives_its_patch_tokens_as_a_map(self, name, save):
        model = timm.create_model(name, img_size=64, num_classes=0).eval()
        pixels = torch.rand(1, 3, 64, 64) * 255
        tokens = model.forward_features(pixels / 127.5 - 1)[:, model.num_prefix_tokens :]
        expected = tokens.transpose(1, 2).unflatten(2, (4, 4))
        found = Teacher(name, 64, save(model.state_dict()))(pixels)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)

    def test_takes_weights_of_another_image_size_and_a_classifier(self, save):
        teacher = Teacher('test_vit', 96, save(timm.create_model('test_vit').state_dict()))
        assert teacher(torch.zeros(1, 3, 96, 96)).shape == (1, 64, 6, 6)

    def test_refuses_weights_of_another_model(self, save):
        teacher = Teacher('test_vit', 64, save(timm.create_model('resnet10t').state_dict()))
        with pytest.raises(CheckpointError, match="does not fit timm's test_vit"):
            teacher.read_weights()


class TestTeacherConfig:
    @pytest.mark.parametrize(
        ('name', 'size', 'sentence'),
        [
            ('timm/vit_base_patch16_dinov4', 224, 'timm .* has no model .*similar ones are .*dinov3'),
            ('timm/resnet10t', 224, 'it has no patch tokens'),
            ('dinov3', 224, 'is a transformer of timm, named as timm/vit_base_patch16_dinov3'),
            ('timm/test_vit', 100, "size: 100 is no multiple of 16, the teacher's patch size; take 96 or 112"),
            ('timm/test_vit', 7, 'take 16'),
            ('timm/vit_betwixt_patch16_gap_256', 256, 'timm publishes no weights of it; give teacher_weights'),
        ],
    )
    def test_refuses_what_cannot_teach_in_one_sentence(self, name, size, sentence):
        with pytest.raises(UsageError, match=sentence):
            teacher_config(name, size)
