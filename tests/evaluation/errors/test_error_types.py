"""TIDE's types of errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convnext_dense.evaluation.coco_scores import number_truth, score
from convnext_dense.evaluation.errors.boxes import make_boxes
from convnext_dense.evaluation.errors.error_types import TYPES, find_errors

OBJECT = [0, 0, 10, 10]
# IoU with `OBJECT`: 0.9, 0.3 and 0.
NEAR, PARTLY, FAR = [0, 0, 10, 9], [0, 0, 10, 3], [50, 50, 60, 60]


def errors_of(*found, truth=((0, OBJECT),), is_ignored=None):
    """The errors in one image; of what was found: class, box and score each."""
    labels, boxes = zip(*truth, strict=True)
    objects = make_boxes([0] * len(labels), labels, boxes, is_ignored=is_ignored)
    parts = ([part[i] for part in found] for i in range(3))
    return find_errors(objects, make_boxes([0] * len(found), *parts))


class TestFindErrors:
    @pytest.mark.parametrize(
        ('label', 'box', 'kind', 'is_missed'),
        [
            (0, NEAR, 'correct', False),
            (0, PARTLY, 'localization', False),
            (1, NEAR, 'class', False),
            (1, PARTLY, 'both', True),
            (0, FAR, 'background', True),
        ],
    )
    def test_a_box_has_the_type_of_its_place_and_class(self, label, box, kind, is_missed):
        errors = errors_of((label, box, 0.9))
        assert errors.kind.tolist() == [kind]
        assert errors.is_missed.tolist() == [is_missed]

    def test_the_second_box_of_an_object_is_a_duplicate(self):
        assert errors_of((0, NEAR, 0.5), (0, OBJECT, 0.9)).kind.tolist() == ['duplicate', 'correct']

    def test_nothing_found_is_all_missed(self):
        errors = errors_of()
        assert errors.counts['missed'] == 1
        assert errors.ap == 0
        assert errors.cost['missed'] == 1

    def test_a_box_on_a_crowd_is_no_error(self):
        errors = errors_of((0, NEAR, 0.9), is_ignored=[True])
        assert errors.kind.tolist() == ['ignored']
        assert not any(errors.counts.values())

    @pytest.mark.parametrize(
        ('found', 'kind'),
        [((0, PARTLY, 0.9), 'localization'), ((1, NEAR, 0.9), 'class'), ((0, FAR, 0.9), 'missed')],
    )
    def test_an_error_costs_what_its_absence_would_gain(self, found, kind):
        cost = errors_of(found).cost
        assert cost[kind] == 1
        assert sum(cost.values()) == 1

    def test_a_mended_object_counts_once(self):
        errors = errors_of((0, PARTLY, 0.9), (0, [0, 0, 10, 4], 0.8), truth=[(0, OBJECT), (0, FAR)])
        # One of two is found, and the other box is left out.
        assert errors.cost['localization'] == pytest.approx(51 / 101)


def boxes(most):
    corner = st.integers(0, 12)
    box = st.tuples(corner, corner, st.integers(1, 8), st.integers(1, 8))
    score = st.integers(1, 99)
    return st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), box, score, st.booleans()), max_size=most)


def as_arrays(parts, **others):
    corners = [[x, y, x + width, y + height] for _, _, (x, y, width, height), _, _ in parts]
    return make_boxes([part[0] for part in parts], [part[1] for part in parts], corners, **others)


def coco_ap50(truth, found):
    annotations = [
        dict(id=i, image_id=image, category_id=label, bbox=list(box), area=1, iscrowd=int(is_crowd))
        for i, (image, label, box, _, is_crowd) in enumerate(truth, 1)
    ]
    dataset = dict(images=[dict(id=i) for i in (0, 1)], annotations=annotations)
    numbered = number_truth(dataset, [0, 1], [0, 1, 2], {}, False)
    records = [
        dict(image_id=image + 1, category_id=label + 1, bbox=list(box), area=1, score=points / 100)
        for image, label, box, points, _ in found
    ]
    return score(numbered, records, 'bbox', [100], [0.5], [0, 1, 2]).ap()


class TestErrorsOfAnything:
    @settings(max_examples=30, deadline=None)
    @given(truth=boxes(8), found=boxes(10))
    def test_the_precision_is_cocos_and_no_absence_of_errors_lowers_it(self, truth, found):
        # Ties may be ordered either way.
        found = [(*part[:3], 2 * i + 1, False) for i, part in enumerate(found)]
        objects = as_arrays(truth, is_ignored=[part[4] for part in truth])
        boxes = as_arrays(found, score=[part[3] / 100 for part in found])
        errors = find_errors(objects, boxes)
        assert errors.ap == pytest.approx(max(coco_ap50(truth, found), 0), abs=1e-9)
        assert all(cost >= -1e-12 for cost in errors.cost.values())
        assert set(errors.cost) == set(TYPES)
        # Each box has a kind, and each object a box, an explanation, or is missed.
        assert len(errors.kind) == len(found)
        assert not (errors.is_missed & objects.is_ignored).any()
        found_objects = errors.target[errors.kind == 'correct']
        assert len(np.unique(found_objects)) == len(found_objects)
