"""Where the decoder's queries start: at the cells of the maps that look most like objects."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convnext_dense.detectors.realtime_detr.attention import Perceptron
from convnext_dense.detectors.realtime_detr.predictions import Predictions

# The width and height of the finest map's anchors, as a share of the image. It doubles with each map.
ANCHOR_SIZE = 0.05


class QuerySelection(nn.Module):
    """Predicts classes and a box for each cell of the maps, and makes queries of the cells with the best scores.

    Args:
        num_classes: How many classes.
        dims: Channels of the maps.
        num_queries: How many queries.

    Reference:
        `DETRs Beat YOLOs on Real-time Object Detection <https://arxiv.org/abs/2304.08069>`_

    Example:
        >>> queries, predictions, boxes = QuerySelection(3, 8, num_queries=5)(torch.rand(2, 24, 8), [(4, 6)])
        >>> queries.shape, predictions.logits.shape, boxes.shape
        (torch.Size([2, 5, 8]), torch.Size([2, 5, 3]), torch.Size([2, 5, 4]))
    """

    def __init__(self, num_classes: int, dims: int, num_queries: int) -> None:
        super().__init__()
        self.num_queries = num_queries
        self.enc_output = nn.Sequential(nn.Linear(dims, dims), nn.LayerNorm(dims))
        self.enc_score_head = nn.Linear(dims, num_classes)
        self.enc_bbox_head = Perceptron(dims, dims, dims, 4, start_at_zero=True)

    def forward(self, memory: Tensor, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, Predictions, Tensor]:
        """Return the queries, the predictions of their cells, and the boxes where they start, without gradient.

        Maps of fewer cells than queries give a query for each cell.

        Args:
            memory: The cells of all maps, one map after another, (N, S, dims).
            sizes: Height and width of each map.
        """
        anchors, valid = make_anchors(sizes, memory.device)
        features = self.enc_output(memory * valid.to(memory.dtype))
        logits = self.enc_score_head(features)
        best = logits.amax(-1).topk(min(self.num_queries, logits.shape[1]), 1).indices[..., None]
        features, logits = (x.gather(1, best.expand(-1, -1, x.shape[-1])) for x in (features, logits))
        boxes = (self.enc_bbox_head(features) + anchors[best[..., 0]]).sigmoid()
        return features.detach(), Predictions(logits, boxes), boxes.detach()


def make_anchors(sizes: Sequence[tuple[int, int]], device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Return a box for each cell as logits, (S, 4), and whether it is within the image, (S, 1).

    Args:
        sizes: Height and width of each map.
        device: Where the tensors are made.

    Example:
        >>> anchors, valid = make_anchors([(1, 2)])
        >>> anchors.sigmoid()
        tensor([[0.2500, 0.5000, 0.0500, 0.0500],
                [0.7500, 0.5000, 0.0500, 0.0500]])
    """
    anchors = []
    for level, (height, width) in enumerate(sizes):
        rows = (torch.arange(height, device=device) + 0.5) / height
        columns = (torch.arange(width, device=device) + 0.5) / width
        y, x = torch.meshgrid(rows, columns, indexing='ij')
        extent = torch.full_like(x, ANCHOR_SIZE * 2**level)
        anchors.append(torch.stack([x, y, extent, extent], -1).flatten(0, 1))
    shares = torch.cat(anchors)
    valid = ((shares > 0.01) & (shares < 0.99)).all(-1, keepdim=True)
    # Cells at the border of a large map are never taken: their boxes fill the image.
    return shares.logit().where(valid, torch.finfo(shares.dtype).max), valid


def flatten_maps(maps: Sequence[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
    """Return the cells of all maps, one map after another, (N, S, C), and the height and width of each map.

    Example:
        >>> cells, sizes = flatten_maps([torch.rand(1, 8, 4, 6), torch.rand(1, 8, 2, 3)])
        >>> cells.shape, sizes
        (torch.Size([1, 30, 8]), [(4, 6), (2, 3)])
    """
    sizes = [(fmap.shape[-2], fmap.shape[-1]) for fmap in maps]
    return torch.cat([fmap.flatten(2).transpose(1, 2) for fmap in maps], 1), sizes
