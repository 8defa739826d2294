"""The losses of a real-time DETR: of every layer, of the encoder's queries, and of the denoising queries."""

from collections.abc import Sequence

import torch
from mmdet.utils import reduce_mean
from torch import Tensor

from convnext_dense.detectors.realtime_detr.denoising import Denoising, Targets
from convnext_dense.detectors.realtime_detr.losses.matching import Matches, indices, match, unite
from convnext_dense.detectors.realtime_detr.losses.terms import (
    aligned_ious,
    classification_loss,
    distillation_loss,
    fine_grained_localization_loss,
)
from convnext_dense.detectors.realtime_detr.predictions import Predictions

WEIGHTS = dict(loss_cls=1.0, loss_bbox=5.0, loss_iou=2.0, loss_fgl=0.15, loss_ddf=1.5)


class Criterion:
    """Computes the weighted losses of one step.

    Args:
        targets: The objects of each image.
        classification: 'vfl' or 'mal'.
        bins: D-FINE's distances of the bins' edges and its `reg_scale`; None without distributions.

    Example:
        >>> targets = [Targets(torch.tensor([1]), torch.tensor([[0.5, 0.5, 0.2, 0.2]]))]
        >>> criterion = Criterion(targets)
        >>> layer = Predictions(torch.zeros(1, 5, 3), torch.rand(1, 5, 4))
        >>> list(criterion.decoder_losses([layer, layer], layer))
        ['d0.loss_cls', 'd0.loss_bbox', 'd0.loss_iou', 'loss_cls', 'loss_bbox', 'loss_iou', 'enc_loss_cls', \
'enc_loss_bbox', 'enc_loss_iou']
    """

    def __init__(
        self,
        targets: Sequence[Targets],
        classification: str = 'vfl',
        bins: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.targets, self.classification, self.bins = targets, classification, bins
        self.num_objects = self._mean_over_processes(sum(len(target.labels) for target in targets))

    def _mean_over_processes(self, count: int) -> Tensor:
        """Return a number of boxes as what a sum is divided by, at least 1."""
        return reduce_mean(torch.tensor(float(count), device=self.targets[0].boxes.device)).clamp(min=1)

    def decoder_losses(self, layers: Sequence[Predictions], encoder: Predictions) -> dict[str, Tensor]:
        """Return the losses of the decoder's queries, by mmdet's names.

        With distributions, boxes and edges learn from the union of all layers' matchings.

        Args:
            layers: The predictions of each layer, the last one's at the end.
            encoder: Those of the cells that became queries.
        """
        named = {**name_layers(layers), 'enc_': encoder}
        matches = {prefix: match(predictions, self.targets) for prefix, predictions in named.items()}
        if self.bins is None:
            return self.losses_of(named, matches, matches, (self.num_objects, self.num_objects))
        united = unite(list(matches.values()))
        count = self._mean_over_processes(sum(len(queries) for queries, _ in united))
        return self.losses_of(named, matches, dict.fromkeys(named, united), (self.num_objects, count))

    def denoising_losses(self, layers: Sequence[Predictions], denoising: Denoising) -> dict[str, Tensor]:
        """Return the losses of the denoising queries, by mmdet's names.

        Args:
            layers: The predictions of each layer for these queries.
            denoising: The queries.
        """
        named = {f'{prefix}dn_': predictions for prefix, predictions in name_layers(layers).items()}
        matches = dict.fromkeys(named, denoising.matches)
        return self.losses_of(named, matches, matches, (self.num_objects * denoising.num_groups,) * 2)

    def losses_of(
        self,
        named: dict[str, Predictions],
        class_matches: dict[str, Matches],
        box_matches: dict[str, Matches],
        counts: tuple[Tensor, Tensor],
        teacher: Predictions | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted losses of several layers' predictions.

        Args:
            named: Predictions by what the names of their losses begin with.
            class_matches: The matches from which each layer's classes learn.
            box_matches: Those from which its boxes and edges learn.
            counts: How many objects the sums of both are divided by.
            teacher: The last layer's predictions; those among `named` by default.
        """
        edged = [predictions for predictions in named.values() if predictions.edges is not None]
        teacher = teacher or (edged[-1] if edged else None)
        losses = {}
        for prefix, predictions in named.items():
            terms = self._class_loss(predictions, class_matches[prefix], counts[0])
            terms |= self._box_losses(predictions, box_matches[prefix], counts[1], teacher)
            losses |= {prefix + name: WEIGHTS[name] * value for name, value in terms.items()}
        return losses

    def _class_loss(self, predictions: Predictions, matches: Matches, count: Tensor) -> dict[str, Tensor]:
        index = indices(matches)
        labels = torch.cat([target.labels[objects] for target, (_, objects) in zip(self.targets, matches, strict=True)])
        ious, _ = aligned_ious(predictions.boxes[index].detach(), self._boxes_of(matches))
        return dict(loss_cls=classification_loss(predictions.logits, index, labels, ious, self.classification) / count)

    def _box_losses(
        self, predictions: Predictions, matches: Matches, count: Tensor, teacher: Predictions | None
    ) -> dict[str, Tensor]:
        index, targets = indices(matches), self._boxes_of(matches)
        boxes = predictions.boxes[index]
        ious, gious = aligned_ious(boxes, targets)
        losses = dict(loss_bbox=(boxes - targets).abs().sum() / count, loss_iou=(1 - gious).sum() / count)
        if predictions.edges is not None and self.bins is not None:
            fgl = fine_grained_localization_loss(predictions, index, targets, ious, *self.bins)
            losses['loss_fgl'] = fgl / count
            if teacher is not None and predictions is not teacher:
                losses['loss_ddf'] = distillation_loss(predictions, teacher, index, ious)
        return losses

    def _boxes_of(self, matches: Matches) -> Tensor:
        return torch.cat([target.boxes[objects] for target, (_, objects) in zip(self.targets, matches, strict=True)])


def name_layers(layers: Sequence[Predictions]) -> dict[str, Predictions]:
    """Return the layers' predictions by what the names of their losses begin with.

    D-FINE's first, of boxes without edges, are `pre_`.

    Example:
        >>> layer = Predictions(torch.zeros(1, 5, 3), torch.rand(1, 5, 4))
        >>> list(name_layers([layer, layer, layer]))
        ['d0.', 'd1.', '']
    """
    first = layers[0].edges is None and layers[-1].edges is not None
    named = {'pre_': layers[0]} if first else {}
    named |= {f'd{i}.': predictions for i, predictions in enumerate(layers[first:-1])}
    return {**named, '': layers[-1]}
