"""What the hooks and the wrapper behind the switches for speed do, each by itself."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention, multi_scale_deform_attn
from mmdet.models.losses import FocalLoss, focal_loss
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch import nn
from torch.utils.data import DataLoader

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import UsageError
from convnext_dense.hooks import ChannelsLastHook, CudnnAutotuneHook, FusedOptimizerHook, PrefetchHook
from convnext_dense.hooks import prefetch_hook as prefetching_module
from convnext_dense.hooks.channels_last_hook import to_channels_last
from convnext_dense.hooks.prefetch_hook import PrefetchingIterator, PrefetchingLoader, map_tensors
from convnext_dense.training import BFloat16OptimWrapper
from convnext_dense.training.optimizer_state import lay_out_like_parameters


@pytest.fixture
def log(monkeypatch):
    """The lines that prefetching and autotuning log."""
    lines = []
    for module in ('prefetch_hook', 'cudnn_autotune_hook'):
        monkeypatch.setattr(f'convnext_dense.hooks.{module}.print_log', lambda line, logger: lines.append(line))
    return lines


class TestChannelsLast:
    def test_weights_alone_make_every_map_channels_last(self):
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ConvTranspose2d(8, 4, 2, 2)
        )
        to_channels_last(model)
        maps = torch.rand(2, 3, 17, 17)
        for layer in model:
            maps = layer(maps)
            assert maps.is_contiguous(memory_format=torch.channels_last)
            assert not maps.is_contiguous()

    def test_no_weight_changes(self):
        backbone = ConvNeXt(dict(depths=[1, 1], channels=[8, 16]), out_indices=1, use_grn=True)
        before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
        assert to_channels_last(backbone) > 0
        assert to_channels_last(backbone) == 0
        for name, tensor in backbone.state_dict().items():
            assert torch.equal(tensor, before[name])

    @pytest.mark.parametrize('target', [torch.channels_last, torch.contiguous_format])
    def test_loaded_averages_follow_the_weights_either_way(self, target):
        (source,) = {torch.channels_last, torch.contiguous_format} - {target}
        values = torch.rand(4, 3, 5, 5)

        def optimizer(memory_format):
            return torch.optim.AdamW([nn.Parameter(values.clone(memory_format=memory_format))], lr=0.1, fused=True)

        def step(each):
            (param,) = each.param_groups[0]['params']
            (param * (values * 2 - 1)).sum().backward()
            each.step()
            each.zero_grad()
            return param

        first, second = optimizer(source), optimizer(target)
        step(first)
        with torch.no_grad():
            second.param_groups[0]['params'][0].copy_(first.param_groups[0]['params'][0])
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        runner = SimpleNamespace(model=nn.Module(), optim_wrapper=OptimWrapper(second), hooks=[])
        ChannelsLastHook().before_train(runner)
        # Without it the fused kernel pairs averages with other weights.
        torch.testing.assert_close(step(second), step(first))

    def test_nothing_is_laid_out_twice(self):
        weight = nn.Parameter(torch.rand(4, 3, 2, 2))
        optimizer = torch.optim.AdamW([weight])
        weight.square().sum().backward()
        optimizer.step()
        assert lay_out_like_parameters(optimizer) == 0


class TestFusedOptimizers:
    def test_stay_fused_through_a_checkpoint_that_is_not(self):
        weight = nn.Parameter(torch.ones(3))
        weight.grad = torch.ones(3)
        plain = torch.optim.AdamW([weight], fused=False)
        plain.step()
        fused = torch.optim.AdamW([weight], fused=True)
        fused.load_state_dict(plain.state_dict())
        assert not fused.param_groups[0]['fused']
        wrapper = OptimWrapperDict(model=OptimWrapper(fused))
        FusedOptimizerHook().before_train(SimpleNamespace(optim_wrapper=wrapper))
        assert fused.param_groups[0]['fused']
        fused.step()

    def test_must_be_fused(self):
        wrapper = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.ones(3))], lr=1.0))
        with pytest.raises(UsageError, match=r'SGD is not fused; set optim_wrapper\.optimizer\.fused=True'):
            FusedOptimizerHook().before_train(SimpleNamespace(optim_wrapper=wrapper))


class TestBFloat16:
    def test_computes_in_bf16_and_keeps_weights_and_gradients_in_float32(self):
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
        # What a scaler would add.
        assert wrapper.state_dict().keys() == wrapper.optimizer.state_dict().keys()
        assert model(torch.rand(1, 3, 8, 8)).dtype == torch.float32

    def test_accumulates_as_float32_does(self):
        model = nn.Linear(2, 2)
        wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=2)
        wrapper.initialize_count_status(model, 0, 4)
        before = model.weight.clone()
        for unchanged in (True, False):
            with wrapper.optim_context(model):
                loss = model(torch.ones(1, 2)).sum()
            wrapper.update_params(loss)
            assert torch.equal(model.weight, before) == unchanged

    def test_boxes_keep_their_pixels(self):
        extractor = SingleRoIExtractor(dict(type='RoIAlign', output_size=2, sampling_ratio=1), 4, [4])
        model = nn.ModuleDict(dict(extractor=extractor))
        ramp = torch.arange(320.0).expand(1, 4, 320, 320)
        # Neither end is a number of bf16's.
        boxes = torch.tensor([[0.0, 1001.0, 8.0, 1021.0, 24.0]])
        expected = extractor([ramp], boxes)
        wrapper = BFloat16OptimWrapper(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1))
        model.anything = nn.Linear(1, 1)
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
        # Of the column at which the box lies: 1011 / 4.
        assert 248 < int(maps.grad.float().abs().sum((0, 1, 2)).argmax()) < 256

    @pytest.fixture
    def wrapper(self):
        return BFloat16OptimWrapper(torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1))

    def test_deformable_attention_is_sampled_in_float32(self, wrapper, monkeypatch):
        operator = multi_scale_deform_attn.multi_scale_deformable_attn_pytorch
        seen = []

        def record(value, shapes, locations, weights):
            seen.append((value.dtype, locations))
            return operator(value, shapes, locations, weights)

        monkeypatch.setattr(multi_scale_deform_attn, 'multi_scale_deformable_attn_pytorch', record)
        attention = MultiScaleDeformableAttention(16, num_heads=2, num_levels=1, num_points=1, batch_first=True).eval()
        # 1001 / 1024 is no number of bf16's.
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
    def test_focal_loss_is_computed_in_float32(self, wrapper, monkeypatch, by_name):
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

    def test_an_older_gpu_is_refused_in_one_sentence(self, wrapper, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: including_emulation)
        monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'Tesla V100')
        model = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=torch.device('cuda'))]))
        with pytest.raises(UsageError, match='Tesla V100 does not compute in bfloat16'):  # noqa: SIM117
            with wrapper.optim_context(model):
                pass


class Preprocessor(nn.Module):
    def forward(self, batch, training=False):
        return batch


class Detector(nn.Module):
    """As many images and boxes as it is told."""

    def __init__(self):
        super().__init__()
        self.data_preprocessor = Preprocessor()
        self.roi_head = nn.Module()
        self.roi_head.mask_head = nn.Identity()
        self.roi_head.bbox_head = nn.ModuleList([nn.Identity(), nn.Identity()])

    def step(self, height, boxes=8):
        self.data_preprocessor(dict(inputs=torch.zeros(1, 3, height, 32)))
        self.roi_head.mask_head(torch.zeros(boxes, 1))
        self.roi_head.bbox_head[1](torch.zeros(4, 1))


class TestAutotuning:
    @pytest.fixture(autouse=True)
    def _restored(self):
        before = torch.backends.cudnn.benchmark
        yield
        torch.backends.cudnn.benchmark = before

    @pytest.fixture
    def started(self, log):
        hook, runner = CudnnAutotuneHook(max_shapes=2), SimpleNamespace(model=Detector())
        hook.before_train(runner)
        return hook, runner

    def test_stays_on_for_crops_of_one_size(self, started, log):
        _, runner = started
        for _ in range(20):
            runner.model.step(32)
        assert torch.backends.cudnn.benchmark
        assert len(log) == 1

    def test_is_off_for_good_after_many_sizes(self, started, log):
        hook, runner = started
        for height in (32, 64, 32):
            runner.model.step(height)
            assert torch.backends.cudnn.benchmark
        for height in (96, 32, 128):
            runner.model.step(height)
            assert not torch.backends.cudnn.benchmark
        hook.after_val(runner)
        assert not torch.backends.cudnn.benchmark
        assert log[1:] == ["cuDNN's autotuning is off from here: images came in more than 2 shapes."]

    def test_is_off_where_the_number_of_boxes_varies(self, started, log):
        _, runner = started
        for boxes in (5, 6, 7):
            runner.model.step(32, boxes)
        assert not torch.backends.cudnn.benchmark
        assert "the RoI head's mask_head came in more than 2 shapes" in log[-1]

    def test_leaves_validations_shapes_alone(self, started):
        hook, runner = started
        hook.before_val(runner)
        assert not torch.backends.cudnn.benchmark
        with torch.no_grad():
            for height in (32, 64, 96, 128):
                runner.model.step(height)
        hook.after_val(runner)
        assert torch.backends.cudnn.benchmark

    def test_counts_no_more_after_training(self, started):
        hook, runner = started
        hook.after_train(runner)
        for height in (32, 64, 96, 128):
            runner.model.step(height)
        assert torch.backends.cudnn.benchmark


class TestPrefetching:
    def test_hands_out_a_batch_before_it_begins_the_next(self):
        events = []

        def load():
            for batch in (1, 2):
                events.append(f'load {batch}')
                yield batch

        def move(batch):
            events.append(f'move {batch}')
            return batch * 10

        iterator = PrefetchingIterator(load(), move, wait=lambda: events.append('wait'))
        assert next(iterator) == 1
        assert events == ['load 1']
        for _ in range(2):
            iterator.begin()
            assert events == ['load 1', 'load 2', 'move 2']
        assert next(iterator) == 20
        assert events[3:] == ['wait']
        iterator.begin()
        for _ in range(2):
            with pytest.raises(StopIteration):
                next(iterator)

    @staticmethod
    def install(hook, loop):
        hook._install(loop, move=lambda batch: batch * 10, wait=lambda: None)

    @staticmethod
    def step(hook, iteration, max_iters):
        hook.after_train_iter(SimpleNamespace(iter=iteration, max_iters=max_iters), iteration)

    def test_every_epoch_has_all_batches_in_order(self):
        loader = DataLoader(torch.arange(5), batch_size=None)
        hook, loop = PrefetchHook(), SimpleNamespace(dataloader=loader)
        self.install(hook, loop)
        iteration = 0
        for _ in range(2):
            batches = []
            for batch in loop.dataloader:
                batches.append(int(batch))
                self.step(hook, iteration, 10)
                iteration += 1
            assert batches == [0, 10, 20, 30, 40]
        hook.after_train(SimpleNamespace(train_loop=loop))
        assert loop.dataloader is loader

    def test_steps_that_are_skipped_on_resuming_are_not_moved_nor_one_behind_the_last(self):
        loader = DataLoader(torch.arange(1, 8), batch_size=None)
        own = iter(loader)
        hook, loop = PrefetchHook(), SimpleNamespace(dataloader=loader, dataloader_iterator=own)
        self.install(hook, loop)
        assert [int(next(loop.dataloader_iterator)) for _ in range(2)] == [1, 2]
        batches = []
        for iteration in range(2, 5):
            batches.append(int(next(loop.dataloader_iterator)))
            self.step(hook, iteration, 5)
        assert batches == [3, 40, 50]
        hook.after_train(SimpleNamespace(train_loop=loop))
        assert loop.dataloader_iterator is own
        assert int(next(own)) == 6

    def test_a_runner_of_mmengines_trains_on_the_same_batches(self, tmp_path, monkeypatch):
        seen = []

        class Model(BaseModel):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(1))

            def forward(self, number, mode):
                seen.append(int(number))
                return dict(loss=self.weight.sum())

        moved = []
        monkeypatch.setattr(
            prefetching_module, '_on_a_stream', lambda device: (lambda batch: moved.append(batch) or batch, list)
        )
        monkeypatch.setattr(
            PrefetchHook,
            'before_train',
            lambda self, runner: self._install(runner.train_loop, *prefetching_module._on_a_stream(None)),
        )
        for by_epoch in (True, False):
            seen.clear()
            moved.clear()
            runner = Runner(
                Model(),
                str(tmp_path / str(by_epoch)),
                train_dataloader=DataLoader([dict(number=i) for i in range(3)]),
                train_cfg=dict(by_epoch=by_epoch, **(dict(max_epochs=2) if by_epoch else dict(max_iters=6))),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                custom_hooks=[dict(type='convnext_dense.PrefetchHook')],
                experiment_name=f'prefetching {by_epoch} {tmp_path}',
            )
            runner.train()
            assert seen == [0, 1, 2, 0, 1, 2]
            # Each epoch begins a new iterator, whose first batch goes the usual way.
            assert [int(batch['number']) for batch in moved] == ([1, 2, 1, 2] if by_epoch else [1, 2, 0, 1, 2])

    def test_hooks_that_reach_into_the_loader_find_it(self):
        loader = DataLoader([1, 2, 3], num_workers=1, persistent_workers=True)
        wrapped = PrefetchingLoader(loader, prefetch=iter)
        assert wrapped.persistent_workers
        assert wrapped.dataset is loader.dataset
        # As mmdet's PipelineSwitchHook has workers start anew.
        wrapped._DataLoader__initialized = False
        wrapped._iterator = 'none'
        assert loader._iterator == 'none'
        assert not loader._DataLoader__initialized
        with pytest.raises(AttributeError):
            _ = wrapped.nothing

    def test_reaches_every_tensor_of_mmdets_and_mmsegs_batches(self, monkeypatch):
        sample = DetDataSample(metainfo=dict(img_id=7))
        masks = BitmapMasks(np.zeros((2, 4, 4), np.uint8), 4, 4)
        sample.gt_instances = InstanceData(bboxes=HorizontalBoxes(torch.ones(2, 4)), labels=torch.ones(2), masks=masks)
        pixels = SegDataSample()
        pixels.gt_sem_seg = PixelData(data=torch.ones(1, 4, 4))
        samples = [sample, pixels]
        batch = dict(inputs=[torch.ones(3, 4, 4)], data_samples=samples, branch=('a', torch.ones(1)), none=None)
        moved = map_tensors(batch, lambda tensor: tensor * 2)
        assert moved['inputs'][0].unique() == 2
        instances = moved['data_samples'][0].gt_instances
        assert isinstance(instances.bboxes, HorizontalBoxes)
        assert instances.bboxes.tensor.unique() == instances.labels.unique() == 2
        assert instances.masks is masks
        assert moved['data_samples'][0].img_id == 7
        assert moved['data_samples'][1].gt_sem_seg.data.unique() == 2
        assert (moved['branch'][0], float(moved['branch'][1]), moved['none']) == ('a', 2.0, None)
        assert sample.gt_instances.bboxes.tensor.unique() == pixels.gt_sem_seg.data.unique() == 1

    def test_copies_from_pinned_memory(self, monkeypatch):
        pinned = torch.ones(1)
        monkeypatch.setattr(torch.Tensor, 'is_pinned', lambda self: self is pinned)
        monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: self + 5)
        assert prefetching_module._pinned(pinned) is pinned
        assert prefetching_module._pinned(torch.ones(1)) == 6

    def test_without_a_gpu_says_that_it_does_nothing(self, log):
        loader = DataLoader([1])
        runner = SimpleNamespace(model=nn.Linear(1, 1), train_loop=SimpleNamespace(dataloader=loader))
        hook = PrefetchHook()
        hook.before_train(runner)
        assert runner.train_loop.dataloader is loader
        assert log == ['Prefetching does nothing here: the model is on no GPU.']
        hook.after_train(runner)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason='copies to a GPU')
    def test_batches_arrive_whole_on_a_gpu(self):
        device = torch.device('cuda', torch.cuda.current_device())
        batches = (dict(inputs=[torch.full((2**20,), float(i)).pin_memory()]) for i in range(50))
        iterator = PrefetchingIterator(batches, *prefetching_module._on_a_stream(device))
        means = []
        for i, batch in enumerate(iterator):
            data = batch['inputs'][0].to(device)
            assert i == 0 or batch['inputs'][0].is_cuda
            # Kernels that are still in the queue when the batch is dropped and the next one written.
            for _ in range(20):
                mean = data.sin().asin().mean()
            means.append(mean + data.mean())
            del data, batch
            iterator.begin()
        expected = torch.arange(50.0)
        torch.testing.assert_close(torch.stack(means).cpu(), expected.sin().asin() + expected, rtol=1e-3, atol=1e-3)
