"""The heads of real-time DETRs: RT-DETRv2's and D-FINE's."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from mmdet.structures import SampleList
from mmengine.model import BaseModule, bias_init_with_prob
from mmengine.structures import InstanceData
from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.decoder.box_decoder import BoxDecoder
from convnext_dense.detectors.realtime_detr.decoder.distribution_decoder import DistributionDecoder
from convnext_dense.detectors.realtime_detr.denoising import Denoising, Targets, make_denoising
from convnext_dense.detectors.realtime_detr.losses.criterion import Criterion
from convnext_dense.detectors.realtime_detr.predictions import Predictions, to_centers, to_corners
from convnext_dense.detectors.realtime_detr.queries import QuerySelection, flatten_maps
from convnext_dense.errors import UsageError
from convnext_dense.registry import MODELS


@MODELS.register_module()
class RTDETRv2Head(BaseModule):
    """RT-DETRv2's query selection, decoder, denoising and losses.

    Args:
        num_classes: How many classes.
        in_channels: Channels of the neck's maps, from fine to coarse.
        dims: Width of the queries.
        num_queries: How many queries.
        num_layers: How many layers the decoder has.
        num_heads: How many heads its attentions have.
        num_points: How many points a head looks at on each map: one number, or one for each map.
        feedforward_channels: Width of the inner layers of the decoder's perceptrons.
        sampling: How values are read from the maps: 'bilinear', or 'discrete' for runtimes without grid sampling.
        num_denoising: How many objects denoising queries are made of; 0 for none.
        label_noise: How many of their classes are drawn at random, as a share, twice.
        box_noise: How far their edges move, in halves of the box.
        classification: 'vfl' for varifocal loss, or 'mal' for DEIM's matchability-aware loss.
        train_cfg: Unused.
        test_cfg: `max_per_img`, how many boxes an image has at most; 300 by default. `num_layers`, how many of the
            decoder's layers predict outside of training; all by default. Fewer take less time.
        init_cfg: mmengine's.

    Raises:
        UsageError: If a value is not allowed.

    Reference:
        `RT-DETRv2 <https://arxiv.org/abs/2407.17140>`_; `DEIM <https://arxiv.org/abs/2412.04234>`_

    Example:
        >>> head = RTDETRv2Head(3, [16, 16], dims=16, num_queries=5, num_heads=4, feedforward_channels=32).eval()
        >>> predictions, = head([torch.rand(1, 16, 4, 6), torch.rand(1, 16, 2, 3)])
        >>> predictions.logits.shape, predictions.boxes.shape
        (torch.Size([1, 5, 3]), torch.Size([1, 5, 4]))
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int] = (256, 256, 256),
        dims: int = 256,
        num_queries: int = 300,
        num_layers: int = 6,
        num_heads: int = 8,
        num_points: int | Sequence[int] = 4,
        feedforward_channels: int = 1024,
        sampling: str = 'bilinear',
        num_denoising: int = 100,
        label_noise: float = 0.5,
        box_noise: float = 1.0,
        classification: str = 'vfl',
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        points = [num_points] * len(in_channels) if isinstance(num_points, int) else list(num_points)
        name = type(self).__name__
        if len(points) != len(in_channels):
            raise UsageError(
                f'{name}: num_points has {len(points)} numbers, and in_channels {len(in_channels)}; each map has one.'
            )
        if sampling not in ('bilinear', 'discrete'):
            raise UsageError(f"{name}: sampling is {sampling!r}; it can be 'bilinear' or 'discrete'.")
        if classification not in ('vfl', 'mal'):
            raise UsageError(f"{name}: classification is {classification!r}; it can be 'vfl' or 'mal'.")
        if dims % num_heads:
            raise UsageError(f'{name}: dims is {dims}; it must be a multiple of the {num_heads} heads.')
        self.num_classes, self.num_queries = num_classes, num_queries
        self.num_denoising, self.label_noise, self.box_noise = num_denoising, label_noise, box_noise
        self.classification = classification
        test_cfg = test_cfg or {}
        self.max_per_image = test_cfg.get('max_per_img', 300)
        num_test_layers = test_cfg.get('num_layers', num_layers)
        if not isinstance(num_test_layers, int) or not 1 <= num_test_layers <= num_layers:
            raise UsageError(f'{name}: test_cfg.num_layers is {num_test_layers!r}; it can be 1 to {num_layers}.')
        self.input_projections = nn.ModuleList(self._project(channels, dims) for channels in in_channels)
        self.query_selection = QuerySelection(num_classes, dims, num_queries)
        # The class behind the last one is that of queries without an object, and stays zero.
        self.denoising_class_embed = nn.Embedding(num_classes + 1, dims, padding_idx=num_classes)
        self.decoder = self._make_decoder(
            num_classes=num_classes,
            dims=dims,
            num_layers=num_layers,
            num_heads=num_heads,
            num_points=points,
            feedforward_channels=feedforward_channels,
            sampling=sampling,
            num_test_layers=num_test_layers,
        )
        for scores in (self.query_selection.enc_score_head, *self.decoder.cls_branches):
            nn.init.constant_(cast(Tensor, scores.bias), bias_init_with_prob(0.01))

    def _project(self, channels: int, dims: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(channels, dims, 1, bias=False), nn.BatchNorm2d(dims))

    def _make_decoder(self, **arguments: Any) -> BoxDecoder | DistributionDecoder:  # noqa: ANN401
        return BoxDecoder(**arguments)

    def _make_criterion(self, targets: Sequence[Targets]) -> Criterion:
        return Criterion(targets, self.classification)

    def forward(self, maps: Sequence[Tensor]) -> list[Predictions]:
        """Return the predictions for the neck's maps: each layer's in training, else the last one's."""
        memory, sizes = self._read(maps)
        queries, _, boxes = self.query_selection(memory, sizes)
        return self.decoder(queries, boxes, memory, sizes)

    def _read(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        return flatten_maps([project(fmap) for project, fmap in zip(self.input_projections, maps, strict=True)])

    def loss(self, maps: Sequence[Tensor], batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Return the losses by mmdet's names.

        Args:
            maps: The neck's maps.
            batch_data_samples: mmdet's samples, with `gt_instances` in pixels.
        """
        targets = [read_targets(sample) for sample in batch_data_samples]
        memory, sizes = self._read(maps)
        queries, encoder, boxes = self.query_selection(memory, sizes)
        count = queries.shape[1]
        denoising = make_denoising(
            targets, self.num_classes, count, self.num_denoising, self.label_noise, self.box_noise
        )
        if denoising:
            queries = torch.cat([self.denoising_class_embed(denoising.labels).to(queries.dtype), queries], 1)
            boxes = torch.cat([denoising.boxes, boxes], 1)
        else:
            # Several processes wait for a gradient of each parameter.
            queries = queries + self.denoising_class_embed.weight.sum() * 0
        layers = self.decoder(queries, boxes, memory, sizes, denoising and denoising.mask)
        with torch.autocast(memory.device.type, enabled=False):
            return self._losses(
                [layer.apply(Tensor.float) for layer in layers], encoder.apply(Tensor.float), targets, denoising
            )

    def _losses(
        self,
        layers: Sequence[Predictions],
        encoder: Predictions,
        targets: Sequence[Targets],
        denoising: Denoising | None,
    ) -> dict[str, Tensor]:
        criterion = self._make_criterion(targets)
        if not denoising:
            return criterion.decoder_losses(layers, encoder)
        parts = [layer.split(denoising.labels.shape[1]) for layer in layers]
        return {
            **criterion.decoder_losses([own for _, own in parts], encoder),
            **criterion.denoising_losses([noisy for noisy, _ in parts], denoising),
        }

    def predict(
        self, maps: Sequence[Tensor], batch_data_samples: SampleList, rescale: bool = True
    ) -> list[InstanceData]:
        """Return the boxes with the highest scores of each image, best first, in pixels.

        Args:
            maps: The neck's maps.
            batch_data_samples: mmdet's samples.
            rescale: Whether boxes are in pixels of the image as it was before it was resized.
        """
        predictions = self(maps)[-1].apply(Tensor.float)
        return [
            self._best_of(logits, boxes, sample.metainfo, rescale)
            for logits, boxes, sample in zip(predictions.logits, predictions.boxes, batch_data_samples, strict=True)
        ]

    def _best_of(self, logits: Tensor, boxes: Tensor, meta: dict, rescale: bool) -> InstanceData:
        scores, best = logits.sigmoid().flatten().topk(min(self.max_per_image, logits.numel()))
        queries, labels = best // self.num_classes, best % self.num_classes
        height, width = meta['batch_input_shape']
        corners = to_corners(boxes[queries]) * boxes.new_tensor([width, height, width, height])
        limit = corners.new_tensor(meta['img_shape'][1::-1]).repeat(2)
        corners = corners.clamp(min=0).minimum(limit)
        if rescale:
            corners = corners / corners.new_tensor(meta['scale_factor']).repeat(2)
        return InstanceData(bboxes=corners, scores=scores, labels=labels)


@MODELS.register_module()
class DFINEHead(RTDETRv2Head):
    """D-FINE's head: RT-DETRv2's with edges as distributions, which every layer refines and learns from the last.

    Args:
        num_classes: How many classes.
        num_bins: How many bins the distance of an edge is divided into, an even number of at least 4.
        up: The largest distance of the dense bins, as a share of the box.
        reg_scale: How many units of distance a box's width and height have.
        arguments: The others of RTDETRv2Head.

    Raises:
        UsageError: If a value is not allowed.

    Reference:
        `D-FINE <https://arxiv.org/abs/2410.13842>`_

    Example:
        >>> head = DFINEHead(3, in_channels=[16, 16], dims=16, num_queries=5, num_heads=4, num_points=[3, 6])
        >>> predictions = head([torch.rand(1, 16, 4, 6), torch.rand(1, 16, 2, 3)])
        >>> predictions[-1].edges.shape
        torch.Size([1, 5, 132])
    """

    def __init__(
        self, num_classes: int, num_bins: int = 32, up: float = 0.5, reg_scale: float = 4.0, **arguments: object
    ) -> None:
        if num_bins < 4 or num_bins % 2:
            raise UsageError(f'DFINEHead: num_bins is {num_bins}; it must be an even number of at least 4.')
        self.bin_arguments = dict(num_bins=num_bins, up=up, reg_scale=reg_scale)
        super().__init__(num_classes, **cast(dict, arguments))

    def _project(self, channels: int, dims: int) -> nn.Module:
        return nn.Identity() if channels == dims else super()._project(channels, dims)

    def _make_decoder(self, **arguments: Any) -> DistributionDecoder:  # noqa: ANN401
        return DistributionDecoder(**arguments, **self.bin_arguments)

    def _make_criterion(self, targets: Sequence[Targets]) -> Criterion:
        return Criterion(targets, self.classification, cast(DistributionDecoder, self.decoder).bins)

    def _losses(
        self,
        layers: Sequence[Predictions],
        encoder: Predictions,
        targets: Sequence[Targets],
        denoising: Denoising | None,
    ) -> dict[str, Tensor]:
        # Edges can be anywhere, even the left one on the right.
        inside = [layer._replace(boxes=layer.boxes.clamp(0, 1)) for layer in layers]
        return super()._losses(inside, encoder, targets, denoising)


def read_targets(sample: object) -> Targets:
    """Return the objects of an mmdet sample, their boxes as shares of the padded image.

    Args:
        sample: With `gt_instances` in pixels, and `batch_input_shape`.

    Example:
        >>> from mmdet.structures import DetDataSample
        >>> sample = DetDataSample(metainfo=dict(batch_input_shape=(50, 100)))
        >>> boxes = torch.tensor([[10.0, 10.0, 30.0, 20.0]])
        >>> sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([2]))
        >>> read_targets(sample).boxes
        tensor([[0.2000, 0.3000, 0.2000, 0.2000]])
    """
    objects = sample.gt_instances
    # mmdet's boxes are tensors or its HorizontalBoxes.
    corners = getattr(objects.bboxes, 'tensor', objects.bboxes).float()
    height, width = sample.metainfo['batch_input_shape']
    return Targets(objects.labels, to_centers(corners / corners.new_tensor([width, height, width, height])))
