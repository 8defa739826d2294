"""Training in bfloat16."""

from types import SimpleNamespace

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention, multi_scale_deform_attn
from mmdet.models.losses import FocalLoss, focal_loss
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import nn

from convnext_dense.errors import UsageError
from convnext_dense.training import BFloat16OptimWrapper


@pytest.fixture
def wrapper():
    return BFloat16OptimWrapper(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1))


class TestBFloat16OptimWrapper:
    def test_weights_gradients_and_averages_stay_float32(self):
        model = nn.Conv2d(3, 4, 3)
        wrapper = BFloat16OptimWrapper(torch.optim.AdamW(model.parameters(), lr=0.1))
        with wrapper.optim_context(model):
            out = model(torch.rand(1, 3, 8, 8))
        assert out.dtype == torch.bfloat16
        before = model.weight.clone()
        wrapper.update_params(out.float().square().mean())
        assert model.weight.dtype == torch.float32
        assert wrapper.optimizer.state[model.weight]['exp_avg'].dtype == torch.float32
        assert not torch.equal(model.weight, before)
        # A gradient scaler would add its state.
        assert wrapper.state_dict().keys() == wrapper.optimizer.state_dict().keys()
        assert model(torch.rand(1, 3, 8, 8)).dtype == torch.float32

    def test_gradients_accumulate(self):
        model = nn.Linear(2, 2)
        wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=2)
        wrapper.initialize_count_status(model, 0, 4)
        before = model.weight.clone()
        for unchanged in (True, False):
            with wrapper.optim_context(model):
                loss = model(torch.ones(1, 2)).sum()
            wrapper.update_params(loss)
            assert torch.equal(model.weight, before) == unchanged

    def test_an_older_gpu_is_a_usage_error(self, wrapper, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: including_emulation)
        monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'Tesla V100')
        model = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=torch.device('cuda'))]))
        with pytest.raises(UsageError, match='Tesla V100 cannot compute in bfloat16'), wrapper.optim_context(model):
            pass


class TestOperatorsInFloat32:
    def test_roi_align_keeps_the_pixels_of_boxes(self, wrapper):
        extractor = SingleRoIExtractor(dict(type='RoIAlign', output_size=2, sampling_ratio=1), 4, [4])
        model = nn.ModuleDict(dict(extractor=extractor, other=nn.Linear(1, 1)))
        ramp = torch.arange(320.0).expand(1, 4, 320, 320)
        # bfloat16 represents neither 1001 nor 1021.
        boxes = torch.tensor([[0.0, 1001.0, 8.0, 1021.0, 24.0]])
        expected = extractor([ramp], boxes)
        for _ in range(2):
            with wrapper.optim_context(model):
                pooled = extractor((ramp,), boxes)
        torch.testing.assert_close(pooled, expected)
        maps = ramp.bfloat16().requires_grad_()
        with wrapper.optim_context(model):
            pooled = extractor((maps,), boxes)
        assert pooled.dtype == torch.float32
        pooled.sum().backward()
        assert maps.grad.dtype == torch.bfloat16
        # The column of the box: 1011 / 4.
        assert 248 < int(maps.grad.float().abs().sum((0, 1, 2)).argmax()) < 256

    def test_deformable_attention_samples_in_float32(self, wrapper, monkeypatch):
        operator = multi_scale_deform_attn.multi_scale_deformable_attn_pytorch
        seen = []

        def record(value, shapes, locations, weights):
            seen.append((value.dtype, locations))
            return operator(value, shapes, locations, weights)

        monkeypatch.setattr(multi_scale_deform_attn, 'multi_scale_deformable_attn_pytorch', record)
        attention = MultiScaleDeformableAttention(16, num_heads=2, num_levels=1, num_points=1, batch_first=True).eval()
        # bfloat16 does not represent 1001 / 1024.
        points = torch.full((1, 3, 1, 2), 1001 / 1024)
        inputs = dict(value=torch.rand(1, 16, 16), reference_points=points, spatial_shapes=torch.tensor([[4, 4]]))
        queries = torch.rand(1, 3, 16)
        expected = attention(queries, **inputs)
        for _ in range(2):
            with wrapper.optim_context(attention):
                out = attention(queries, **inputs)
        assert attention.output_proj.weight.dtype == torch.float32
        torch.testing.assert_close(out, expected, rtol=2e-2, atol=2e-2)
        for value, locations in seen:
            assert value == locations.dtype == torch.float32
            torch.testing.assert_close(locations, seen[0][1])
        out.sum().backward()
        assert attention.value_proj.weight.grad.dtype == torch.float32

    @pytest.mark.parametrize('by_name', [False, True])
    def test_focal_loss_computes_in_float32(self, wrapper, monkeypatch, by_name):
        formula = focal_loss.py_sigmoid_focal_loss
        seen = []

        def record(pred, target, weight, **kwargs):
            seen.append((pred.dtype, target.dtype, weight.dtype))
            return formula(pred, target, weight, **kwargs)

        monkeypatch.setattr(focal_loss, 'py_sigmoid_focal_loss', record)
        model = nn.ModuleDict(dict(head=nn.Linear(4, 3), loss=FocalLoss()))
        labels, weights = torch.tensor([0, 3, 2, 1]), torch.ones(4)
        with wrapper.optim_context(model):
            scores = model.head(torch.rand(4, 4))
            assert scores.dtype == torch.bfloat16
            loss = (
                model.loss(pred=scores, target=labels, weight=weights)
                if by_name
                else model.loss(scores, labels, weights)
            )
        assert seen == [(torch.float32, torch.int64, torch.float32)]
        torch.testing.assert_close(loss, FocalLoss()(scores.float(), labels, weights))
        loss.backward()
        assert model.head.weight.grad.abs().sum() > 0
