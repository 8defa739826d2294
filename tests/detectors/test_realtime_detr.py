"""The real-time DETRs as mmdet's detectors: training, predictions, and what they are given."""

import pytest
import torch
from helpers.zoo import CONFIGS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from convnext_dense.config import load_config
from convnext_dense.detectors import DFINEHead, HybridEncoder, RealTimeDETR, RTDETRv2Head
from convnext_dense.detectors.realtime_detr.head import read_targets
from convnext_dense.errors import UsageError

CHANNELS = [8, 16, 24]
HEADS = ('RTDETRv2Head', 'DFINEHead')
DEMO = CONFIGS / 'demo' / 'd-fine_convnext-demo_demo-coco.py'


def make_detector(head='DFINEHead', divisor=32, num_test_layers=None, **arguments):
    torch.manual_seed(0)
    return RealTimeDETR(
        data_preprocessor=dict(type='mmdet.DetDataPreprocessor', mean=[0] * 3, std=[255] * 3, pad_size_divisor=divisor),
        backbone=dict(
            type='convnext_dense.ConvNeXt',
            arch=dict(depths=[1] * 4, channels=[8, *CHANNELS]),
            out_indices=(1, 2, 3),
            layer_scale_init_value=1.0,
        ),
        neck=dict(
            type='convnext_dense.HybridEncoder',
            in_channels=CHANNELS,
            out_channels=16,
            num_heads=4,
            feedforward_channels=32,
            blocks='elan' if head == 'DFINEHead' else 'csp',
            num_blocks=1,
        ),
        bbox_head=dict(
            type=f'convnext_dense.{head}',
            num_classes=3,
            in_channels=[16] * 3,
            dims=16,
            num_queries=20,
            num_heads=4,
            feedforward_channels=32,
            **{'num_layers': 2, 'num_denoising': 10, **arguments},
        ),
        test_cfg=dict(max_per_img=30, **(dict(num_layers=num_test_layers) if num_test_layers else {})),
    )


def make_batch(sizes=((64, 96), (64, 96)), counts=(2, 3)):
    """Return images (height, width) with so many objects, as mmdet's loaders do."""
    generator = torch.Generator().manual_seed(0)
    images, samples = [], []
    for (height, width), count in zip(sizes, counts, strict=True):
        images.append(torch.randint(255, (3, height, width), dtype=torch.uint8, generator=generator))
        corners = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) / 2
        boxes = torch.cat([corners, corners + 20], 1)
        labels = torch.randint(3, (count,), generator=generator)
        meta = dict(img_shape=(height, width), ori_shape=(2 * height, 2 * width), scale_factor=(0.5, 0.5))
        sample = DetDataSample(metainfo=meta)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def loss_of(detector, batch):
    losses = detector(**detector.data_preprocessor(batch, True), mode='loss')
    return detector.parse_losses(losses)[0]


def train(detector, steps):
    """Return the losses of steps on the same batch."""
    optimizer = torch.optim.AdamW(detector.parameters(), 0.003)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(detector, make_batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_every_gradient_is_finite(detector):
    for name, weight in detector.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


class TestTraining:
    @pytest.mark.parametrize(('head', 'classification'), [*zip(HEADS, ['vfl'] * 2, strict=True), ('DFINEHead', 'mal')])
    def test_steps_lower_the_loss(self, head, classification):
        detector = make_detector(head, classification=classification)
        losses = train(detector, steps=25)
        assert losses[-1] < 0.9 * losses[0]
        assert_every_gradient_is_finite(detector)

    @pytest.mark.full
    @pytest.mark.parametrize('head', HEADS)
    def test_finds_what_it_has_learned(self, head):
        detector = make_detector(head)
        train(detector, steps=200)
        detector.eval()
        with torch.no_grad():
            samples = detector(**detector.data_preprocessor(make_batch()), mode='predict')
        for sample in samples:
            objects, found = sample.gt_instances, sample.pred_instances
            # Predictions are in pixels of the image before it was halved.
            best = found.bboxes[: len(objects)] / 2
            assert torch.cdist(objects.bboxes, best, p=float('inf')).min(1).values.max() < 3

    @pytest.mark.parametrize('head', HEADS)
    @pytest.mark.parametrize('counts', [(0, 3), (0, 0)], ids=str)
    def test_images_without_objects(self, head, counts):
        detector = make_detector(head)
        loss = loss_of(detector, make_batch(counts=counts))
        loss.backward()
        assert loss.isfinite()
        assert_every_gradient_is_finite(detector)

    @pytest.mark.parametrize('head', HEADS)
    def test_without_denoising(self, head):
        detector = make_detector(head, num_denoising=0)
        batch = detector.data_preprocessor(make_batch(), True)
        losses = detector(**batch, mode='loss')
        assert {name for name in losses if 'dn_' in name} == set()
        detector.parse_losses(losses)[0].backward()
        assert_every_gradient_is_finite(detector)

    @pytest.mark.parametrize('head', HEADS)
    def test_autocast_to_bfloat16_has_about_the_same_loss(self, head):
        detector = make_detector(head)
        torch.manual_seed(1)
        expected = loss_of(detector, make_batch())
        torch.manual_seed(1)
        with torch.autocast('cpu', torch.bfloat16):
            loss = loss_of(detector, make_batch())
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(expected.item(), rel=0.05)
        assert_every_gradient_is_finite(detector)

    @pytest.mark.parametrize('head', HEADS)
    def test_sizes_that_no_stride_divides(self, head):
        detector = make_detector(head, divisor=1)
        loss_of(detector, make_batch(((77, 101), (75, 99)))).backward()
        assert_every_gradient_is_finite(detector)

    def test_more_objects_than_queries(self):
        detector = make_detector()
        assert loss_of(detector, make_batch(counts=(40, 1))).isfinite()


class TestPredictions:
    @pytest.mark.parametrize('head', HEADS)
    def test_boxes_of_two_sizes_are_within_their_images(self, head):
        detector = make_detector(head).eval()
        batch = detector.data_preprocessor(make_batch(((64, 96), (50, 40))))
        with torch.no_grad():
            samples = detector(**batch, mode='predict')
        for sample in samples:
            found = sample.pred_instances
            assert found.bboxes.shape == (30, 4)
            assert found.labels.max() < 3
            assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
            height, width = sample.ori_shape
            assert (found.bboxes >= 0).all()
            assert (found.bboxes <= torch.tensor([width, height] * 2)).all()

    def test_boxes_are_rescaled_to_the_image_as_it_was(self):
        detector = make_detector().eval()
        batch = detector.data_preprocessor(make_batch())
        with torch.no_grad():
            maps = detector.extract_feat(batch['inputs'])
            resized, original = (
                detector.bbox_head.predict(maps, batch['data_samples'], rescale)[0].bboxes for rescale in (False, True)
            )
        torch.testing.assert_close(original, 2 * resized)

    def test_padding_does_not_move_targets_and_boxes_apart(self):
        # What is learned on a padded image is found in its pixels: targets and predictions have the same scale.
        detector = make_detector().eval()
        batch = detector.data_preprocessor(make_batch(((64, 96), (50, 40))), True)
        sample = batch['data_samples'][1]
        target = read_targets(sample)
        logits = torch.full((len(target.labels), 3), -9.0)
        logits[torch.arange(len(target.labels)), target.labels] = 9.0
        found = detector.bbox_head._best_of(logits, target.boxes, sample.metainfo, rescale=False)
        order = found.bboxes[: len(target.labels)]
        expected = sample.gt_instances.bboxes.clamp(max=torch.tensor([40.0, 50.0, 40.0, 50.0]))
        torch.testing.assert_close(order.sort(0).values, expected.sort(0).values)

    def test_no_layer_but_the_last_is_scored(self):
        detector = make_detector().eval()
        assert len(detector(torch.rand(1, 3, 64, 64))) == 1

    @pytest.mark.parametrize('head', HEADS)
    def test_of_fewer_layers_are_those_of_a_shorter_decoder(self, head):
        detector, shorter = make_detector(head, num_test_layers=1).eval(), make_detector(head, num_layers=1).eval()
        shorter.load_state_dict(detector.state_dict(), strict=False)
        image = torch.rand(1, 3, 64, 64)
        (found,), (expected,) = detector(image), shorter(image)
        assert torch.equal(found.logits, expected.logits)
        assert torch.equal(found.boxes, expected.boxes)


class TestArguments:
    def test_maps_of_other_channels_are_one_sentence(self):
        neck = HybridEncoder(CHANNELS, out_channels=16)
        maps = [torch.rand(1, channels, 8 // 2**i, 8 // 2**i) for i, channels in enumerate((8, 16, 32))]
        with pytest.raises(UsageError, match=r'in_channels are \[8, 16, 24\], and those of the maps are \[8, 16, 32\]'):
            neck(maps)

    @pytest.mark.parametrize(
        ('arguments', 'sentence'),
        [
            (dict(blocks='c3'), "blocks is 'c3'; it can be 'csp' or 'elan'"),
            (dict(out_channels=20), 'out_channels is 20; it must be a multiple of 4 and of the 8 heads'),
        ],
    )
    def test_of_the_encoder(self, arguments, sentence):
        with pytest.raises(UsageError, match=sentence):
            HybridEncoder(CHANNELS, **arguments)

    @pytest.mark.parametrize(
        ('arguments', 'sentence'),
        [
            (dict(num_points=[4, 4]), 'num_points has 2 numbers, and in_channels 3; each map has one'),
            (dict(sampling='nearest'), "sampling is 'nearest'; it can be 'bilinear' or 'discrete'"),
            (dict(classification='focal'), "classification is 'focal'; it can be 'vfl' or 'mal'"),
            (dict(dims=100), 'dims is 100; it must be a multiple of the 8 heads'),
            (dict(test_cfg=dict(num_layers=7)), 'test_cfg.num_layers is 7; it can be 1 to 6'),
            (dict(test_cfg=dict(num_layers='3')), "test_cfg.num_layers is '3'; it can be 1 to 6"),
        ],
    )
    def test_of_the_heads(self, arguments, sentence):
        for head in (RTDETRv2Head, DFINEHead):
            with pytest.raises(UsageError, match=f'{head.__name__}: {sentence}'):
                head(3, **arguments)

    @pytest.mark.parametrize('num_bins', [2, 31])
    def test_of_the_bins(self, num_bins):
        with pytest.raises(UsageError, match=f'num_bins is {num_bins}; it must be an even number of at least 4'):
            DFINEHead(3, num_bins=num_bins)


class TestConfig:
    @pytest.mark.parametrize(
        ('backbone', 'channels'),
        [
            ('convnext_tiny', [192, 384, 768]),
            ('timm/hgnetv2_b0', [256, 512, 1024]),
            ('mmdet/ResNet(depth=18)', [128, 256, 512]),
        ],
    )
    def test_takes_another_backbone(self, backbone, channels):
        cfg = load_config(DEMO, backbone=backbone, pretrained=False)
        assert cfg.model.neck.in_channels == channels
        assert cfg.model.backbone.out_indices == [1, 2, 3]
