"""The model that is trained: a student whose last maps regress a frozen teacher's tokens."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from convnext_dense.distillation import Distiller

ARCH = dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 16])
MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]


def distiller(**teacher):
    return Distiller(
        backbone=dict(type='convnext_dense.ConvNeXt', arch=ARCH, layer_scale_init_value=1.0, out_indices=[2, 3]),
        teacher=dict(model_name='test_vit', image_size=64, **teacher),
        data_preprocessor=dict(type='ImgDataPreprocessor', mean=MEAN, std=STD),
    )


def batch():
    return dict(inputs=[torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8) for _ in range(2)])


def steps(model, count):
    """Train on one batch, and return the loss of each step."""
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=3e-3))
    data = batch()
    return [model.train_step(data, wrapper)['loss'].item() for _ in range(count)]


class TestDistiller:
    def test_its_loss_falls(self):
        losses = steps(distiller().train(), 25)
        assert losses[-1] < 0.7 * losses[0]

    def test_leaves_the_teacher_as_it_is(self):
        model = distiller().train()
        before = {name: tensor.clone() for name, tensor in model.teacher.state_dict().items()}
        student = model.backbone.stages[2][0].pwconv1.weight.detach().clone()
        steps(model, 2)
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.teacher.state_dict().items())
        assert not torch.equal(model.backbone.stages[2][0].pwconv1.weight, student)
        assert not any(module.training for module in model.teacher.modules())

    def test_saves_and_trains_student_and_heads_alone(self):
        model = distiller()
        parts = {name.split('.')[0] for name in model.state_dict()}
        assert parts == {'backbone', 'heads', 'standardize'}
        own = {id(parameter) for parameter in model.parameters()}
        assert not own & {id(parameter) for parameter in model.teacher.parameters()}
        assert all(parameter.requires_grad for parameter in model.parameters())

    def test_moves_with_its_teacher(self):
        assert {parameter.dtype for parameter in distiller().double().teacher.parameters()} == {torch.float64}

    def test_shows_both_networks_the_same_pixels(self, monkeypatch):
        model, data = distiller().train(), batch()
        seen = {}
        monkeypatch.setattr(
            'convnext_dense.distillation.teacher.forward_features',
            lambda teacher, images, *_, **__: seen.update(teacher=images) or [torch.zeros(2, 64, 4, 4)],
        )
        model.backbone.register_forward_pre_hook(lambda module, inputs: seen.update(student=inputs[0]))
        model(**model.data_preprocessor(data, training=True), mode='loss')
        pixels = torch.stack(data['inputs']).float()
        torch.testing.assert_close(seen['student'], (pixels - torch.tensor(MEAN)[:, None, None]) / channel(STD))
        # timm's normalization of this teacher.
        torch.testing.assert_close(seen['teacher'], pixels / 127.5 - 1, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize('name', ['stage3', 'stage4'])
    def test_has_no_loss_where_a_stage_predicts_the_tokens(self, name):
        model = distiller().train()
        images = model.data_preprocessor(batch(), training=True)['inputs']
        pixels = images * model.data_preprocessor.std + model.data_preprocessor.mean
        target = model.standardize(model.teacher(pixels))
        for head in model.heads:
            head.forward = lambda features: target
        model.standardize.eval()
        losses = model(images, mode='loss')
        assert float(losses[f'loss_{name}_cosine']) == pytest.approx(0, abs=1e-6)
        assert float(losses[f'loss_{name}_smooth_l1']) == pytest.approx(0, abs=1e-6)


def channel(values):
    return torch.tensor(values)[:, None, None]
