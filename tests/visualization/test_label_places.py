"""Places of names next to objects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convnext_dense.visualization.label_places import MOST_COVERED, place_labels

AREA = (200, 150)


def overlap(a, b):
    """The area that two boxes share."""
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    return max(sides[0], 0) * max(sides[1], 0)


@st.composite
def scenes(draw):
    """Boxes in a picture, and the sizes of some of their names."""
    boxes = []
    for _ in range(draw(st.integers(1, 12))):
        left, top = draw(st.integers(0, 180)), draw(st.integers(0, 130))
        boxes.append((left, top, left + draw(st.integers(1, 120)), top + draw(st.integers(1, 90))))
    sizes = draw(st.lists(st.tuples(st.integers(5, 80), st.just(14)), max_size=len(boxes)))
    return boxes, sizes


class TestPlaceLabels:
    def check(self, scene):
        boxes, sizes = scene
        places = place_labels(boxes, sizes, AREA)
        assert len(places) == len(sizes)
        names = {
            i: (*place, place[0] + size[0], place[1] + size[1])
            for i, (place, size) in enumerate(zip(places, sizes, strict=True))
            if place is not None
        }
        for i, name in names.items():
            assert name[0] >= 0 and name[1] >= 0 and name[2] <= AREA[0] and name[3] <= AREA[1]
            assert all(overlap(name, other) == 0 for j, other in names.items() if j != i)
            for other in boxes:
                area = np.prod(np.subtract(other[2:], other[:2]))
                assert overlap(name, other) < MOST_COVERED * max(area, 1) + 1e-9

    @settings(max_examples=25, deadline=None, derandomize=True)
    @given(scene=scenes())
    def test_names_cover_neither_objects_nor_each_other(self, scene):
        self.check(scene)

    @pytest.mark.full
    @settings(max_examples=2000, deadline=None)
    @given(scene=scenes())
    def test_names_of_any_scene_cover_neither(self, scene):
        self.check(scene)

    def test_a_name_is_above_its_object_if_it_can(self):
        assert place_labels([(50, 60, 90, 100)], [(30, 14)], AREA) == [(50, 45)]

    def test_a_name_at_the_top_is_below(self):
        assert place_labels([(50, 3, 90, 40)], [(30, 14)], AREA) == [(50, 41)]

    def test_a_name_is_inside_of_an_object_that_fills_the_picture(self):
        assert place_labels([(0, 0, 200, 150)], [(30, 14)], AREA) == [(0, 0)]

    def test_a_name_is_inside_only_if_it_finds_no_place_outside(self):
        assert place_labels([(0, 0, 200, 130)], [(30, 14)], AREA) == [(0, 131)]

    def test_there_is_no_place_where_names_are_already(self):
        assert place_labels([(50, 60, 90, 100)], [(30, 14)], AREA, taken=[(0, 0, 200, 150)]) == [None]
