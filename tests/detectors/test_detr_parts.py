"""What a real-time DETR learns from: distributions of edges, denoising queries, and matches."""

import pytest
import torch

from convnext_dense.detectors.realtime_detr.decoder.distributions import (
    find_bins,
    integrate,
    move_edges,
    weighting_function,
)
from convnext_dense.detectors.realtime_detr.denoising import Targets, make_denoising
from convnext_dense.detectors.realtime_detr.losses.matching import match, unite
from convnext_dense.detectors.realtime_detr.predictions import Predictions, to_corners

REG_SCALE = torch.tensor([4.0])
DISTANCES = weighting_function(32, torch.tensor([0.5]), REG_SCALE)


def random_boxes(count):
    return torch.rand(count, 4) * torch.tensor([0.4, 0.4, 0.2, 0.2]) + torch.tensor([0.3, 0.3, 0.1, 0.1])


class TestDistributions:
    def test_distances_rise_and_are_symmetric(self):
        assert (DISTANCES.diff() > 0).all()
        torch.testing.assert_close(DISTANCES, -DISTANCES.flip(0))
        assert DISTANCES[16] == 0

    def test_bins_that_were_found_move_a_box_to_its_target(self):
        boxes = random_boxes(50)
        corners = to_corners(boxes) + (torch.rand(50, 4) - 0.5) * boxes[:, 2:].repeat(1, 2) * 0.4
        targets = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
        lower, lower_weight, upper_weight = find_bins(boxes, targets, DISTANCES, REG_SCALE)
        shares = torch.zeros(50, 4, 33).scatter(-1, lower[..., None], lower_weight[..., None])
        shares = shares.scatter_add(-1, lower[..., None] + 1, upper_weight[..., None])
        moved = move_edges(boxes, integrate(shares.log().flatten(1), DISTANCES), REG_SCALE)
        torch.testing.assert_close(moved, targets)

    def test_a_target_out_of_reach_belongs_to_the_last_bin(self):
        boxes = torch.tensor([[0.5, 0.5, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1]])
        targets = torch.tensor([[0.5, 0.5, 1.0, 1.0], [0.9, 0.9, 0.1, 0.1]])
        lower, lower_weight, upper_weight = find_bins(boxes, targets, DISTANCES, REG_SCALE)
        assert lower.tolist() == [[31] * 4, [0, 0, 31, 31]]
        assert upper_weight.tolist() == [[1] * 4, [0, 0, 1, 1]]
        assert lower_weight.tolist() == [[0] * 4, [1, 1, 0, 0]]


class TestDenoising:
    def test_boxes_near_an_object_are_matched_and_others_are_not(self):
        targets = [Targets(torch.tensor([0, 1]), random_boxes(2)), Targets(torch.tensor([2]), random_boxes(1))]
        denoising = make_denoising(targets, 3, 5, num_denoising=8, label_noise=0)
        for i, (queries, objects) in enumerate(denoising.matches):
            assert denoising.labels[i, queries].tolist() == targets[i].labels[objects].tolist()
            aimed = targets[i].boxes[objects]
            near, far = (
                (to_corners(denoising.boxes[i, drawn]) - to_corners(aimed)).abs() / aimed[:, 2:].repeat(1, 2)
                for drawn in (queries, queries + 2)
            )
            assert near.max() <= 0.5 + 1e-4
            assert far.amax(1).min() > 0.5

    def test_queries_see_their_group_and_the_decoder_queries(self):
        targets = [Targets(torch.tensor([0, 1]), random_boxes(2))]
        mask = make_denoising(targets, 3, 5, num_denoising=4).mask
        assert mask.shape == (13, 13)
        assert mask[:8, :8].tolist() == torch.block_diag(torch.ones(4, 4), torch.ones(4, 4)).bool().tolist()
        assert mask[:, 8:].all()
        assert not mask[8:, :8].any()

    def test_an_image_without_objects_has_no_matches(self):
        none = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
        some = Targets(torch.tensor([1]), random_boxes(1))
        denoising = make_denoising([none, some], 3, 5, num_denoising=4)
        assert [len(queries) for queries, _ in denoising.matches] == [0, 4]
        assert (denoising.labels[0] == 3).all()

    @pytest.mark.parametrize('num_denoising', [0, 8])
    def test_is_left_out_without_objects_or_queries(self, num_denoising):
        targets = [Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))]
        assert make_denoising(targets, 3, 5, num_denoising) is None


class TestMatches:
    def test_predictions_that_are_not_finite_are_matched_last(self):
        target = Targets(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.2, 0.2]]))
        boxes = torch.tensor([[[float('nan')] * 4, [0.2, 0.2, 0.1, 0.1]]])
        ((queries, _),) = match(Predictions(torch.zeros(1, 2, 3), boxes), [target])
        assert queries.tolist() == [1]

    def test_the_union_gives_a_query_what_most_layers_gave_it(self):
        def layer(queries, objects):
            return [(torch.tensor(queries), torch.tensor(objects))]

        ((queries, objects),) = unite([layer([4, 7], [0, 1]), layer([4, 7], [1, 0]), layer([4, 2], [1, 0])])
        assert dict(zip(queries.tolist(), objects.tolist(), strict=True)) == {2: 0, 4: 1, 7: 0}
