"""Errors of label maps, and confusions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convnext_dense.evaluation.errors.boxes import make_boxes
from convnext_dense.evaluation.errors.calibration import reliability
from convnext_dense.evaluation.errors.confusion import box_confusion, mistakes
from convnext_dense.evaluation.errors.label_maps import class_ious, errors_by_distance, map_confusion

MAPS = arrays(np.int64, (6, 7), elements=st.sampled_from([0, 1, 2, 255]))
FOUND = arrays(np.int64, (6, 7), elements=st.integers(0, 2))


class TestMapErrors:
    @settings(max_examples=50, deadline=None)
    @given(truth=MAPS, found=FOUND)
    def test_every_pixel_that_counts_is_counted_once(self, truth, found):
        confusion, distances = map_confusion(truth, found, 3), errors_by_distance(truth, found, 3)
        valid = truth < 3
        assert confusion.sum() == distances[1].sum() == valid.sum()
        assert confusion.sum() - np.trace(confusion) == distances[0].sum() == (truth != found)[valid].sum()
        for label, iou in enumerate(class_ious(confusion)):
            both = ((truth == label) & (found == label)).sum()
            either = (valid & ((truth == label) | (found == label))).sum()
            assert np.isnan(iou) if not either else iou == both / either

    def test_a_map_of_one_class_has_no_boundary(self):
        plain = np.zeros((40, 40), int)
        assert errors_by_distance(plain, plain, 2)[1].tolist() == [0] * 6 + [1600]


class TestBoxConfusion:
    def test_rows_are_objects_and_columns_what_they_are_taken_for(self):
        truth = make_boxes([0, 0, 0], [0, 1, 1], [[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]])
        found = make_boxes([0, 0, 0], [0, 0, 1], [[0, 0, 9, 9], [20, 0, 29, 9], [80, 0, 89, 9]], [0.9, 0.8, 0.7])
        assert box_confusion(truth, found, 2).tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]

    def test_what_has_a_low_score_or_is_on_a_crowd_does_not_count(self):
        truth = make_boxes([0], [0], [[0, 0, 99, 99]], is_ignored=[True])
        found = make_boxes([0, 0], [1, 1], [[5, 5, 20, 20], [200, 0, 220, 20]], [0.9, 0.2])
        assert box_confusion(truth, found, 2).sum() == 0

    def test_the_most_frequent_mistakes_come_first(self):
        found = mistakes(np.array([[5, 1, 0], [4, 4, 0], [0, 7, 9]]), 5, 2)
        assert [(mistake.truth, mistake.found, mistake.count) for mistake in found] == [(1, 0, 4), (0, 1, 1)]
        assert found[0].share == 0.5


class TestReliability:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30))
    def test_the_error_is_within_0_and_1(self, pairs):
        found = reliability(np.array([score for score, _ in pairs]), np.array([right for _, right in pairs]))
        assert found.count.sum() == len(pairs)
        assert 0 <= found.error <= 1 if pairs else np.isnan(found.error)

    def test_scores_that_are_the_share_of_correct_ones_have_no_error(self):
        right = np.array([True] * 3 + [False])
        assert reliability(np.full(4, 0.75), right).error == 0
