"""Plants faults of annotations at random places of a clean dataset.

Each function plants one and returns what must be found: the file, and the entry's id, None if it is the whole file.
"""

import math

from hypothesis import strategies as st

from helpers.data.clean_data import BOXES, CLASSES, COUNTS, HEIGHT, WIDTH, CleanObjects

SPLITS = st.sampled_from(list(COUNTS))
FAULTS = {}


def fault(kind):
    """Put a function into the table of faults."""

    def add(function):
        FAULTS[function.__name__.strip('_')] = kind, function
        return function

    return add


def _entry(draw, data: CleanObjects, noun: str = 'annotations'):
    split = draw(SPLITS)
    entries = data.contents[split][noun]
    return split, draw(st.sampled_from(entries))


def _changed(draw, data: CleanObjects, **fields):
    split, annotation = _entry(draw, data)
    annotation.update(fields)
    return data.file(split), annotation['id']


@fault('json')
def _cut_off(draw, data):
    split = draw(SPLITS)
    data.write()
    text = data.file(split).read_text()
    end = draw(st.integers(1, len(text) - 2))
    data.write = lambda: data.file(split).write_text(text[:end])
    return data.file(split), None


@fault('field')
def _no_field(draw, data):
    noun = draw(st.sampled_from(['annotations', 'images']))
    split, entry = _entry(draw, data, noun)
    names = ['image_id', 'category_id'] if noun == 'annotations' else ['file_name', 'height', 'width']
    del entry[draw(st.sampled_from(names))]
    return data.file(split), entry['id']


@fault('field')
def _field_of_other_type(draw, data):
    split, entry = _entry(draw, data)
    entry[draw(st.sampled_from(['image_id', 'category_id']))] = draw(st.sampled_from([None, [], {'a': 1}, True]))
    return data.file(split), entry['id']


@fault('image-size')
def _size_not_positive(draw, data):
    split, image = _entry(draw, data, 'images')
    image[draw(st.sampled_from(['height', 'width']))] = draw(st.sampled_from([0, -5, math.nan, math.inf]))
    return data.file(split), image['id']


@fault('no-categories')
def _no_categories(draw, data):
    split = draw(SPLITS)
    data.contents[split]['categories'] = []
    return data.file(split), None


@fault('no-images')
def _no_images(draw, data):
    split = draw(SPLITS)
    data.contents[split].update(images=[], annotations=[])
    return data.file(split), None


@fault('no-objects')
def _no_objects(draw, data):
    data.contents['train']['annotations'] = []
    return data.file('train'), None


@fault('duplicate-image-id')
def _image_id_twice(draw, data):
    split = draw(SPLITS)
    first, second = draw(st.permutations(data.contents[split]['images']))[:2]
    second['id'] = first['id']
    return data.file(split), first['id']


@fault('duplicate-annotation-id')
def _annotation_id_twice(draw, data):
    split = draw(SPLITS)
    first, second = draw(st.permutations(data.contents[split]['annotations']))[:2]
    second['id'] = first['id']
    return data.file(split), first['id']


@fault('duplicate-category')
def _category_id_twice(draw, data):
    split = draw(SPLITS)
    first, second = draw(st.permutations(data.contents[split]['categories']))[:2]
    second['id'] = first['id']
    return data.file(split), first['id']


@fault('duplicate-category-name')
def _category_name_twice(draw, data):
    split, category = _entry(draw, data, 'categories')
    data.contents[split]['categories'].append(dict(id=draw(st.integers(50, 99)), name=category['name']))
    return data.file(split), category['id']


@fault('duplicate-file-name')
def _file_twice(draw, data):
    split, image = _entry(draw, data, 'images')
    data.contents[split]['images'].append({**image, 'id': draw(st.integers(500, 999))})
    return data.file(split), image['id']


@fault('file-name-outside')
def _file_name_outside(draw, data):
    split, image = _entry(draw, data, 'images')
    (data.root / 'elsewhere').mkdir()
    path = data.root / split / image['file_name']
    moved = path.rename(data.root / 'elsewhere' / path.name)
    image['file_name'] = draw(st.sampled_from([f'../elsewhere/{path.name}', str(moved)]))
    return data.file(split), image['id']


@fault('unknown-image')
def _unknown_image(draw, data):
    return _changed(draw, data, image_id=draw(st.one_of(st.integers(1000, 2000), st.sampled_from(['10', 'a']))))


@fault('unknown-category')
def _unknown_category(draw, data):
    return _changed(draw, data, category_id=draw(st.integers(4, 2000)))


@fault('unused-category')
def _unused_category(draw, data):
    name = draw(st.sampled_from(['horse', 'sheep']))
    for content in data.contents.values():
        content['categories'].append(dict(id=9, name=name))
    return data.file('train'), name


@fault('class-absent')
def _class_absent(draw, data):
    split, category = _entry(draw, data, 'categories')
    content = data.contents[split]
    content['annotations'] = [a for a in content['annotations'] if a['category_id'] != category['id']]
    return data.file(split), category['name']


@fault('class-rare')
def _class_rare(draw, data):
    content = data.contents['train']
    rare = draw(st.integers(1, len(CLASSES)))
    others = [a for a in content['annotations'] if a['category_id'] != rare]
    kept = [a for a in content['annotations'] if a['category_id'] == rare][: draw(st.integers(1, 2))]
    for k in range(60):
        box = [1 + k % 10 * 7, 1 + k // 10 * 8, 6, 7]
        label = draw(st.sampled_from([i for i in range(len(CLASSES)) if i + 1 != rare])) if k > 50 else k % 3
        label = label if label + 1 != rare else (label + 1) % 3
        others.append(data.annotation(1000 + k, 10 + k % COUNTS['train'], label, box))
    content['annotations'] = [*kept, *others]
    return data.file('train'), CLASSES[rare - 1]


@fault('box')
def _wrong_box(draw, data):
    boxes = [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, math.nan, 4], [1, 2, math.inf, 4], ['1', 2, 3, 4], None, 'box', {}]
    return _changed(draw, data, bbox=draw(st.sampled_from(boxes)))


@fault('no-area')
def _box_without_area(draw, data):
    side = draw(st.floats(-20, 0.9))
    width, height = draw(st.permutations([side, 9.0]))
    return _changed(draw, data, bbox=[5.0, 5.0, width, height])


@fault('no-area')
def _area_not_positive(draw, data):
    return _changed(draw, data, area=draw(st.sampled_from([0, -3, -0.5])))


@fault('box-outside')
def _box_outside(draw, data):
    x = draw(st.one_of(st.integers(WIDTH, 9000), st.integers(-900, -30)))
    return _changed(draw, data, bbox=[x, draw(st.integers(-50, 100)), 20, 20])


@fault('box-overhang')
def _box_overhang(draw, data):
    box = [draw(st.integers(20, 70)), draw(st.integers(20, 50)), 0, 0]
    box[2:] = WIDTH - box[0] + draw(st.integers(2, 40)), HEIGHT - box[1] + draw(st.integers(-4, 40))
    return _changed(draw, data, bbox=box, segmentation=[[box[0], box[1], WIDTH, box[1], WIDTH, HEIGHT]])


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
    split, annotation = _entry(draw, data)
    others = [box for box in BOXES if box != annotation['bbox']]
    annotation['bbox'] = list(draw(st.sampled_from(others)))
    return data.file(split), annotation['id']


@fault('duplicate-box')
def _object_twice(draw, data):
    split, annotation = _entry(draw, data)
    data.contents[split]['annotations'].append({**annotation, 'id': 777})
    return data.file(split), 777


@fault('near-duplicate-box')
def _object_almost_twice(draw, data):
    split, annotation = _entry(draw, data)
    x, y, width, height = annotation['bbox']
    box = [x + draw(st.sampled_from([-0.4, 0.3, 0.5])), y, width, height]
    data.contents[split]['annotations'].append({**annotation, 'id': 777, 'bbox': box})
    return data.file(split), 777


@fault('two-classes')
def _box_of_two_classes(draw, data):
    split, annotation = _entry(draw, data)
    other = annotation['category_id'] % len(CLASSES) + 1
    data.contents[split]['annotations'].append({**annotation, 'id': 777, 'category_id': other})
    return data.file(split), 777


@fault('area')
def _area_of_other(draw, data):
    split, annotation = _entry(draw, data)
    annotation['area'] *= draw(st.sampled_from([0.1, 0.2, 5, 100]))
    return data.file(split), annotation['id']


@fault('area')
def _area_not_finite(draw, data):
    return _changed(draw, data, area=draw(st.sampled_from([math.nan, math.inf])))


@fault('no-mask')
def _no_mask(draw, data):
    split, annotation = _entry(draw, data)
    if draw(st.booleans()):
        del annotation['segmentation']
    else:
        annotation['segmentation'] = draw(st.sampled_from([None, []]))
    return data.file(split), annotation['id']


@fault('polygon')
def _no_polygon(draw, data):
    segmentations = ['mask', 7, [1, 2, 3, 4, 5, 6], [['a'] * 6], [[1, 2, math.nan, 4, 5, 6]], [[1e9, 2, 3, 4, 5, 6]]]
    return _changed(draw, data, segmentation=draw(st.sampled_from(segmentations)))


@fault('polygon-short')
def _polygon_of_two_points(draw, data):
    return _changed(draw, data, segmentation=[draw(st.sampled_from([[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7]]))])


@fault('polygon-crossing')
def _bow_tie(draw, data):
    split, annotation = _entry(draw, data)
    x, y, width, height = annotation['bbox']
    corners = [x, y, x + width, y + height, x + width, y, x, y + height]
    start = 2 * draw(st.integers(0, 3))
    annotation['segmentation'] = [corners[start:] + corners[:start]]
    return data.file(split), annotation['id']


@fault('polygon-outside')
def _polygon_outside(draw, data):
    split, annotation = _entry(draw, data)
    polygon = annotation['segmentation'][0]
    polygon[4] = draw(st.one_of(st.integers(WIDTH + 2, 200), st.integers(-200, -2)))
    return data.file(split), annotation['id']


@fault('mask-empty')
def _empty_run_lengths(draw, data):
    counts = draw(st.sampled_from([[HEIGHT * WIDTH], [HEIGHT * WIDTH, 0]]))
    return _changed(draw, data, segmentation=dict(counts=counts, size=[HEIGHT, WIDTH]))


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
    return _changed(draw, data, segmentation=draw(st.sampled_from(wrong)))


@fault('image-without-objects')
def _image_without_objects(draw, data):
    split, image = _entry(draw, data, 'images')
    content = data.contents[split]
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] != image['id']]
    return data.file(split), image['id']
