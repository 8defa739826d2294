"""Writes one dataset in the formats that people bring, so that each must give the same objects."""

import json
from functools import partial
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from helpers.data.pictures import box

COLORS = [(0, 0, 0), (220, 20, 60), (20, 180, 90), (30, 60, 230)]


def _save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def write_coco(root, pictures, names, files, form=lambda polygon, size: [polygon], ids=None):
    """Write COCO's form: of each split the annotation file, the folder of images, and what names begin with."""
    ids = ids or [i + 1 for i in range(len(names))]
    categories = [dict(id=i, name=name, supercategory='things') for i, name in zip(ids, names, strict=True)]
    for split, (file, folder, prefix) in files.items():
        images, annotations = [], []
        for picture in pictures[split]:
            name = f'{prefix}{picture.name}.png'
            _save(root / folder / name, picture.pixels)
            width, height = picture.size
            images.append(dict(id=len(images) + 1, file_name=name, width=width, height=height))
            for label, polygon in picture.objects:
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=len(images),
                        category_id=ids[label],
                        bbox=box(polygon),
                        area=box(polygon)[2] * box(polygon)[3] / 2,
                        iscrowd=0,
                        segmentation=form(polygon, picture.size),
                    )
                )
        content = dict(images=images, annotations=annotations, categories=categories)
        _write(root / file, json.dumps(content))


def _rle(polygon, size):
    width, height = size
    rle = coco_mask.merge(coco_mask.frPyObjects([polygon], height, width))
    return dict(size=rle['size'], counts=rle['counts'].decode())


def write_yolo(root, pictures, names, yaml, folders, with_masks=True):
    """Write YOLO's format."""
    for split, folder in folders.items():
        for picture in pictures[split]:
            width, height = picture.size
            image = root / folder / f'{picture.name}.png'
            _save(image, picture.pixels)
            lines = []
            for label, polygon in picture.objects:
                x, y, w, h = box(polygon)
                center = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
                points = [number / (height if i % 2 else width) for i, number in enumerate(polygon)]
                lines.append(' '.join(map(str, [label, *(points if with_masks else center)])))
            _write(Path(str(image.with_suffix('.txt')).replace('/images/', '/labels/')), '\n'.join(lines) + '\n')
    if yaml is not None:
        _write(root / 'data.yaml', yaml)


def write_voc(root, pictures, names, with_masks=True):
    """Write Pascal VOC's layout."""
    for split in pictures:
        for picture in pictures[split]:
            width, height = picture.size
            name = f'{split}_{picture.name}'
            _save(root / 'JPEGImages' / f'{name}.jpg', picture.pixels, quality=95)
            nodes = []
            for label, polygon in picture.objects:
                x, y, w, h = box(polygon)
                nodes.append(
                    f'<object><name>{escape(names[label])}</name><difficult>0</difficult><bndbox><xmin>{x}</xmin>'
                    f'<ymin>{y}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>'
                )
            size = f'<size><width>{width}</width><height>{height}</height><depth>3</depth></size>'
            text = f'<annotation><filename>{name}.jpg</filename>{size}{"".join(nodes)}</annotation>'
            _write(root / 'Annotations' / f'{name}.xml', text)
            if with_masks:
                instances = np.zeros((height, width), np.uint8)
                for i, mask in sorted(enumerate(picture.masks(), start=1), key=lambda found: -found[1].sum()):
                    instances[mask] = i
                _save(root / 'SegmentationObject' / f'{name}.png', instances)
                _save(root / 'SegmentationClass' / f'{name}.png', picture.label_map())
        stems = ''.join(f'{split}_{picture.name}\n' for picture in pictures[split])
        for kind in ('Main', 'Segmentation') if with_masks else ('Main',):
            _write(root / 'ImageSets' / kind / f'{split}.txt', stems)
    if with_masks:
        _write(root / 'classes.txt', '\n'.join(['background', *names]))


def write_labelme(root, pictures, names):
    """Write LabelMe's format."""
    for split in pictures:
        for picture in pictures[split]:
            width, height = picture.size
            _save(root / split / f'{picture.name}.png', picture.pixels)
            shapes = [
                dict(
                    label=names[label],
                    shape_type='polygon',
                    group_id=None,
                    points=np.reshape(polygon, (-1, 2)).tolist(),
                )
                for label, polygon in picture.objects
            ]
            content = dict(
                version='5.5.0',
                imagePath=f'..\\photos\\{picture.name}.png',
                imageWidth=width,
                imageHeight=height,
                imageData=None,
                shapes=shapes,
            )
            _write(root / split / f'{picture.name}.json', json.dumps(content))


def write_mask_files(root, pictures, names):
    """Write a folder for each image, with a file for each object's mask."""
    for split in pictures:
        for picture in pictures[split]:
            folder = root / f'stage1_{split}' / picture.name
            _save(folder / 'images' / f'{picture.name}.png', picture.pixels)
            masks = [mask for mask in picture.masks() if mask.any()]
            for i, mask in enumerate(masks):
                _save(folder / 'masks' / f'{i}.png', mask.astype(np.uint8) * 255)
    _write(root / 'classes.txt', names[0])


def write_maps(root, pictures, names, images, maps, draw, image_ending='.png', map_ending='.png'):
    """Write images and label maps in folders named by the split."""
    for split in pictures:
        for picture in pictures[split]:
            _save(root / images.format(split) / f'{picture.name}{image_ending}', picture.pixels)
            place = root / maps.format(split) / f'{picture.name}{map_ending}'
            place.parent.mkdir(parents=True, exist_ok=True)
            draw(picture.label_map()).save(place)


def index(labels):
    return Image.fromarray(labels)


def with_palette(labels):
    image = Image.fromarray(labels, 'P')
    image.putpalette([part for color in COLORS for part in color])
    return image


def colored(labels):
    return Image.fromarray(np.array(COLORS, np.uint8)[labels])


def binary(labels):
    return Image.fromarray((labels > 0).astype(np.uint8) * 255)


def _yolo_yaml(names):
    return 'path: .\ntrain: images/train\nval: images/val\nnames:\n' + ''.join(
        f'  {i}: {name}\n' for i, name in enumerate(names)
    )


def _roboflow_yaml(names):
    return f'train: ../train/images\nval: ../valid/images\nnc: {len(names)}\nnames: {json.dumps(names)}\n'


# Formats of objects with masks: a function of the folder, the pictures and the names of the classes.
OBJECT_FORMATS = {
    'COCO': partial(
        write_coco,
        files={
            'train': ('annotations/instances_train2017.json', 'train2017', ''),
            'val': ('annotations/instances_val2017.json', 'val2017', ''),
        },
    ),
    'Roboflow, compressed RLE, ids from 0': lambda root, pictures, names: write_coco(
        root,
        pictures,
        names,
        {
            'train': ('train/_annotations.coco.json', 'train', ''),
            'val': ('valid/_annotations.coco.json', 'valid', ''),
        },
        _rle,
        list(range(len(names))),
    ),
    'CVAT, ids with gaps, folders in names': lambda root, pictures, names: write_coco(
        root,
        pictures,
        names,
        {
            'train': ('annotations/instances_train.json', 'images', 'a b/'),
            'val': ('annotations/instances_val.json', 'images', 'ü/'),
        },
        ids=[7 * i + 3 for i in range(len(names))],
    ),
    'YOLO': lambda root, pictures, names: write_yolo(
        root, pictures, names, _yolo_yaml(names), {'train': 'images/train', 'val': 'images/val'}
    ),
    'YOLO of Roboflow': lambda root, pictures, names: write_yolo(
        root, pictures, names, _roboflow_yaml(names), {'train': 'train/images', 'val': 'valid/images'}
    ),
    'Pascal VOC': write_voc,
    'LabelMe': write_labelme,
}
ONE_CLASS_FORMATS = {'a file for each mask': write_mask_files}


def _with_names(write):
    def written(root, pictures, names):
        write(root, pictures, names)
        _write(root / 'classes.txt', '\n'.join(['background', *names]))

    return written


def _with_colors(write, file, line, header=''):
    def written(root, pictures, names):
        write(root, pictures, names)
        rows = zip(['background', *names], COLORS, strict=False)
        _write(root / file, header + ''.join(line.format(name, *color) for name, color in rows))

    return written


MAP_FORMATS = {
    'index maps, ADE20K folders': _with_names(
        partial(write_maps, images='images/{}2017', maps='annotations/{}2017', draw=index)
    ),
    'maps with a palette': _with_names(
        partial(write_maps, images='{}/images', maps='{}/masks', draw=with_palette, image_ending='.jpg')
    ),
    'color maps, class_dict.csv': _with_colors(
        partial(write_maps, images='{}', maps='{}_labels', draw=colored, map_ending='_L.png'),
        'class_dict.csv',
        '{},{},{},{}\n',
        'name,r,g,b\n',
    ),
    'color maps, labelmap.txt': _with_colors(
        partial(write_maps, images='img/{}', maps='gt/{}', draw=colored),
        'labelmap.txt',
        '{}:{},{},{}::\n',
        '# label:color_rgb:parts:actions\n',
    ),
}
BINARY_FORMATS = {
    'binary maps': _with_names(
        partial(
            write_maps, images='images/{}', maps='masks/{}', draw=binary, image_ending='.tif', map_ending='_mask.png'
        )
    )
}
