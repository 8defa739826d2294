"""Plants faults of boxes and masks."""

import math

from hypothesis import strategies as st

from helpers.data.clean_data import BOXES, CLASSES, HEIGHT, WIDTH
from helpers.planted.fault_table import SPLITS, changed, entry_of, fault_table

FAULTS, fault = fault_table()


@fault('box')
def _wrong_box(draw, data):
    boxes = [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, math.nan, 4], [1, 2, math.inf, 4], ['1', 2, 3, 4], None, 'box', {}]
    return changed(draw, data, bbox=draw(st.sampled_from(boxes)))


@fault('no-area')
def _box_without_area(draw, data):
    side = draw(st.floats(-20, 0.9))
    width, height = draw(st.permutations([side, 9.0]))
    return changed(draw, data, bbox=[5.0, 5.0, width, height])


@fault('no-area')
def _area_not_positive(draw, data):
    return changed(draw, data, area=draw(st.sampled_from([0, -3, -0.5])))


@fault('box-outside')
def _box_outside(draw, data):
    x = draw(st.one_of(st.integers(WIDTH, 9000), st.integers(-900, -30)))
    return changed(draw, data, bbox=[x, draw(st.integers(-50, 100)), 20, 20])


@fault('box-overhang')
def _box_overhang(draw, data):
    box = [draw(st.integers(20, 70)), draw(st.integers(20, 50)), 0, 0]
    box[2:] = WIDTH - box[0] + draw(st.integers(2, 40)), HEIGHT - box[1] + draw(st.integers(-4, 40))
    return changed(draw, data, bbox=box, segmentation=[[box[0], box[1], WIDTH, box[1], WIDTH, HEIGHT]])


@fault('box-corners')
def _corners(draw, data):
    split = draw(SPLITS)
    for annotation in data.contents[split]['annotations']:
        x, y, width, height = annotation['bbox']
        annotation['bbox'] = [x, y, x + width, y + height]
    # The one at the right leaves the image.
    return data.file(split), 2


@fault('box-fractions')
def _fractions(draw, data):
    split = draw(SPLITS)
    for annotation in data.contents[split]['annotations']:
        annotation['bbox'] = [value / 100 for value in annotation['bbox']]
    return data.file(split), draw(st.sampled_from(data.contents[split]['annotations']))['id']


@fault('box-not-of-mask')
def _box_of_other_object(draw, data):
    split, annotation = entry_of(draw, data)
    others = [box for box in BOXES if box != annotation['bbox']]
    annotation['bbox'] = list(draw(st.sampled_from(others)))
    return data.file(split), annotation['id']


@fault('duplicate-box')
def _object_twice(draw, data):
    split, annotation = entry_of(draw, data)
    data.contents[split]['annotations'].append({**annotation, 'id': 777})
    return data.file(split), 777


@fault('near-duplicate-box')
def _object_almost_twice(draw, data):
    split, annotation = entry_of(draw, data)
    x, y, width, height = annotation['bbox']
    box = [x + draw(st.sampled_from([-0.4, 0.3, 0.5])), y, width, height]
    data.contents[split]['annotations'].append({**annotation, 'id': 777, 'bbox': box})
    return data.file(split), 777


@fault('two-classes')
def _box_of_two_classes(draw, data):
    split, annotation = entry_of(draw, data)
    other = annotation['category_id'] % len(CLASSES) + 1
    data.contents[split]['annotations'].append({**annotation, 'id': 777, 'category_id': other})
    return data.file(split), 777


@fault('area')
def _area_of_other(draw, data):
    split, annotation = entry_of(draw, data)
    annotation['area'] *= draw(st.sampled_from([0.1, 0.2, 5, 100]))
    return data.file(split), annotation['id']


@fault('area')
def _area_not_finite(draw, data):
    return changed(draw, data, area=draw(st.sampled_from([math.nan, math.inf])))


@fault('no-mask')
def _no_mask(draw, data):
    split, annotation = entry_of(draw, data)
    if draw(st.booleans()):
        del annotation['segmentation']
    else:
        annotation['segmentation'] = draw(st.sampled_from([None, []]))
    return data.file(split), annotation['id']


@fault('polygon')
def _no_polygon(draw, data):
    segmentations = ['mask', 7, [1, 2, 3, 4, 5, 6], [['a'] * 6], [[1, 2, math.nan, 4, 5, 6]], [[1e9, 2, 3, 4, 5, 6]]]
    return changed(draw, data, segmentation=draw(st.sampled_from(segmentations)))


@fault('polygon-short')
def _polygon_of_two_points(draw, data):
    return changed(draw, data, segmentation=[draw(st.sampled_from([[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7]]))])


@fault('polygon-crossing')
def _bow_tie(draw, data):
    split, annotation = entry_of(draw, data)
    x, y, width, height = annotation['bbox']
    corners = [x, y, x + width, y + height, x + width, y, x, y + height]
    start = 2 * draw(st.integers(0, 3))
    annotation['segmentation'] = [corners[start:] + corners[:start]]
    return data.file(split), annotation['id']


@fault('polygon-outside')
def _polygon_outside(draw, data):
    split, annotation = entry_of(draw, data)
    polygon = annotation['segmentation'][0]
    polygon[4] = draw(st.one_of(st.integers(WIDTH + 2, 200), st.integers(-200, -2)))
    return data.file(split), annotation['id']


@fault('mask-empty')
def _empty_run_lengths(draw, data):
    counts = draw(st.sampled_from([[HEIGHT * WIDTH], [HEIGHT * WIDTH, 0]]))
    return changed(draw, data, segmentation=dict(counts=counts, size=[HEIGHT, WIDTH]))


@fault('run-lengths')
def _wrong_run_lengths(draw, data):
    size, pixels = [HEIGHT, WIDTH], HEIGHT * WIDTH
    wrong = [
        dict(counts=[pixels - 1, 2], size=size),
        dict(counts=[pixels + 5, -5], size=size),
        dict(counts=[0.5, pixels - 0.5], size=size),
        dict(counts=[pixels - 10, 10], size=size[::-1]),
        dict(counts='not run lengths', size=size),
        dict(counts=[10, pixels - 10]),
    ]
    return changed(draw, data, segmentation=draw(st.sampled_from(wrong)))
