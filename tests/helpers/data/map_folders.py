"""Small datasets of label maps, in the folders that people have them in."""

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 64
# Of each split the folder of images and that of label maps, and how their names end.
LAYOUTS = {
    'ADE20K': (
        {'train': ('images/training', 'annotations/training'), 'val': ('images/validation', 'annotations/validation')},
        '.jpg',
        '.png',
    ),
    'splits first': (
        {'train': ('train/images', 'train/labels'), 'val': ('valid/images', 'valid/labels')},
        '.png',
        '.png',
    ),
    'three splits': (
        {
            'train': ('img_dir/train', 'ann_dir/train'),
            'val': ('img_dir/val', 'ann_dir/val'),
            'test': ('img_dir/test', 'ann_dir/test'),
        },
        '.png',
        '.png',
    ),
    'endings': ({'train': ('train', 'train_masks'), 'val': ('val', 'val_masks')}, '.jpg', '_mask.png'),
    'Cityscapes': (
        {'train': ('leftImg8bit/train', 'gtFine/train'), 'val': ('leftImg8bit/val', 'gtFine/val')},
        '_leftImg8bit.png',
        '_gtFine_labelTrainIds.png',
    ),
    'test alone': ({'train': ('train/images', 'train/masks'), 'val': ('test/images', 'test/masks')}, '.tif', '.png'),
    'spaces': (
        {'train': ('Bilder ü/train', 'mein label/train'), 'val': ('Bilder ü/val', 'mein label/val')},
        '.PNG',
        '.png',
    ),
}


def write_pairs(root, images, maps, image_ending='.png', map_ending='.png', count=3, values=(0, 1, 255), prefix=''):
    """Write images and label maps, each with all of the values."""
    for folder in (images, maps):
        (root / folder).mkdir(parents=True, exist_ok=True)
    label_map = np.resize(np.array(values, np.uint8), (HEIGHT, WIDTH))
    for i in range(count):
        name = f'{prefix}{i}'
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(root / images / f'{name}{image_ending}')
        Image.fromarray(label_map).save(root / maps / f'{name}{map_ending}')


def write_map_layout(root, name, **options):
    """Write a dataset of four images to train, and two for each other split."""
    splits, image_ending, map_ending = LAYOUTS[name]
    for split, (images, maps) in splits.items():
        count = 4 if split == 'train' else 2
        # The names of two splits often are the same.
        write_pairs(root, images, maps, image_ending, map_ending, count, **options)
