"""Plants faults of annotation files, categories, images and annotations as a whole."""

import math

from hypothesis import strategies as st

from helpers.data.clean_data import CLASSES, COUNTS
from helpers.planted.fault_table import SPLITS, changed, entry_of, fault_table

FAULTS, fault = fault_table()


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
    split, entry = entry_of(draw, data, noun)
    names = ['image_id', 'category_id'] if noun == 'annotations' else ['file_name', 'height', 'width']
    del entry[draw(st.sampled_from(names))]
    return data.file(split), entry['id']


@fault('field')
def _field_of_other_type(draw, data):
    split, entry = entry_of(draw, data)
    entry[draw(st.sampled_from(['image_id', 'category_id']))] = draw(st.sampled_from([None, [], {'a': 1}, True]))
    return data.file(split), entry['id']


@fault('image-size')
def _size_not_positive(draw, data):
    split, image = entry_of(draw, data, 'images')
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
    split, category = entry_of(draw, data, 'categories')
    data.contents[split]['categories'].append(dict(id=draw(st.integers(50, 99)), name=category['name']))
    return data.file(split), category['id']


@fault('duplicate-file-name')
def _file_twice(draw, data):
    split, image = entry_of(draw, data, 'images')
    data.contents[split]['images'].append({**image, 'id': draw(st.integers(500, 999))})
    return data.file(split), image['id']


@fault('file-name-outside')
def _file_name_outside(draw, data):
    split, image = entry_of(draw, data, 'images')
    (data.root / 'elsewhere').mkdir()
    path = data.root / split / image['file_name']
    moved = path.rename(data.root / 'elsewhere' / path.name)
    image['file_name'] = draw(st.sampled_from([f'../elsewhere/{path.name}', str(moved)]))
    return data.file(split), image['id']


@fault('unknown-image')
def _unknown_image(draw, data):
    return changed(draw, data, image_id=draw(st.one_of(st.integers(1000, 2000), st.sampled_from(['10', 'a']))))


@fault('unknown-category')
def _unknown_category(draw, data):
    return changed(draw, data, category_id=draw(st.integers(4, 2000)))


@fault('unused-category')
def _unused_category(draw, data):
    name = draw(st.sampled_from(['horse', 'sheep']))
    for content in data.contents.values():
        content['categories'].append(dict(id=9, name=name))
    return data.file('train'), name


@fault('class-absent')
def _class_absent(draw, data):
    split, category = entry_of(draw, data, 'categories')
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


@fault('image-without-objects')
def _image_without_objects(draw, data):
    split, image = entry_of(draw, data, 'images')
    content = data.contents[split]
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] != image['id']]
    return data.file(split), image['id']
