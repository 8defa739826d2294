"""Faults of label maps. Each changes one thing, and says what the sentence on it must contain."""

import cv2
import numpy as np
from PIL import Image

from helpers.data.small_datasets import HEIGHT, WIDTH, save


def _value_beyond(data, rng):
    value = int(rng.integers(3 + data.first, 255))
    save(data.map(1), data.labels(data.first, value))
    return [str(data.map(1)), str(value)]


def _value_beyond_in_val(data, rng):
    value = int(rng.integers(3 + data.first, 255))
    save(data.map(1, 'val'), data.labels(data.first, value))
    return ['val_dataloader', str(data.map(1, 'val')), str(value)]


def _counts_from_one(data, rng):
    data.all_maps(*range(data.first + 1, data.first + 4))
    return [str(data.map(0)), str(data.first + 3), '' if data.first else 'reduce_zero_label=True']


def _binary(data, rng):
    data.all_maps(0, 255)
    return ['0 and 255', 'write 1']


def _shifted_binary(data, rng):
    data.all_maps(0, 1)
    return ['0 and 1', 'reduce_zero_label=False']


def _all_ignored(data, rng):
    data.all_maps(255)
    return ['every pixel is ignored', '255']


def _all_zero_is_ignored(data, rng):
    data.all_maps(0)
    return ['every pixel is ignored', 'reduce_zero_label=True']


def _shifted_classes(data, rng):
    data.all_maps(0, 1, 2)
    return ["makes 1 'sky'", "no map has 3, which would be 'car'"]


def _void_is_a_class(data, rng):
    data.all_maps(0, 1, 2, 3)
    return ['ignores the value 0', '% of the pixels', "makes 1 'sky'"]


def _one_class(data, rng):
    data.all_maps(data.first + 1)
    return ["every pixel is 'road'"]


def _three_channels(data, rng):
    save(data.map(2), np.dstack([data.labels()] * 3))
    return [str(data.map(2)), '3 channels']


def _four_channels(data, rng):
    save(data.map(2), np.dstack([data.labels()] * 4))
    return [str(data.map(2)), '4 channels']


def _gray_and_alpha(data, rng):
    save(data.map(2), np.dstack([data.labels()] * 2))
    return [str(data.map(2)), '2 channels']


def _color_jpeg(data, rng):
    save(data.map(2), np.dstack([data.labels()] * 3), 'JPEG')
    return [str(data.map(2)), '3 channels']


def _smeared_jpeg(data, rng):
    noise = rng.integers(0, 2, (HEIGHT, WIDTH), dtype=np.uint8) * (2 + data.first)
    Image.fromarray(noise).save(data.map(2), 'JPEG', quality=10)
    values = np.unique(np.array(Image.open(data.map(2))))
    return [str(data.map(2)), 'JPEG'] + [str(values.max())] * bool(values.max() > 2 + data.first)


def _flat_jpeg(data, rng):
    save(data.map(2), np.full((HEIGHT, WIDTH), 1, np.uint8), 'JPEG')
    return [str(data.map(2)), 'JPEG']


def _sixteen_bits(data, rng):
    value = int(rng.integers(256, 65536))
    deep = data.labels().astype(np.uint16)
    deep[3:9] = value
    cv2.imwrite(str(data.map(3)), deep)
    return [str(data.map(3)), '16 bits', str(value), f'make {value % 256}']


def _thirty_two_bits(data, rng):
    deep = data.labels().astype(np.int32)
    deep[0] = 100_000
    save(data.map(3), deep, 'TIFF')
    return [str(data.map(3)), '32 bits', '100000']


def _negative(data, rng):
    deep = data.labels().astype(np.int32)
    deep[0] = -1
    save(data.map(3), deep, 'TIFF')
    return [str(data.map(3)), '-1']


def _fractions(data, rng):
    save(data.map(3), data.labels() / np.float32(2), 'TIFF')
    return [str(data.map(3)), '0.5']


def _smaller_map(data, rng):
    rows = int(rng.integers(1, HEIGHT))
    save(data.map(1), data.labels(shape=(rows, WIDTH)))
    return [str(data.map(1)), f'{WIDTH}x{rows}', f'{WIDTH}x{HEIGHT}']


def _larger_map_in_val(data, rng):
    save(data.map(1, 'val'), data.labels(shape=(2 * HEIGHT, 2 * WIDTH)))
    return [str(data.map(1, 'val')), f'{2 * WIDTH}x{2 * HEIGHT}', f'{WIDTH}x{HEIGHT}']


def _transposed_map(data, rng):
    save(data.map(1), data.labels(shape=(WIDTH, HEIGHT)))
    return [str(data.map(1)), f'{HEIGHT}x{WIDTH}', f'{WIDTH}x{HEIGHT}']


def _missing_map(data, rng):
    data.map(3).unlink()
    return [str(data.map(3)), 'there is no']


def _empty_map(data, rng):
    data.map(3).write_bytes(b'')
    return [str(data.map(3)), 'empty']


def _text_map(data, rng):
    data.map(3).write_text('0 0 0 1 1 1')
    return [str(data.map(3)), 'decoded']


def _cut_map(data, rng):
    noise = rng.integers(data.first, 3 + data.first, (HEIGHT, WIDTH), dtype=np.uint8)
    save(data.map(3), noise)
    content = data.map(3).read_bytes()
    data.map(3).write_bytes(content[: len(content) // 2])
    return [str(data.map(3))]


def _folder_as_map(data, rng):
    data.map(3).unlink()
    data.map(3).mkdir()
    return [str(data.map(3)), 'folder']


def _pipeline_disagrees(data, rng):
    data.dataset().pipeline[1].reduce_zero_label = not data.first
    return ['train_dataloader.dataset.reduce_zero_label', 'agree']


def _splits_disagree(data, rng):
    data.dataset('val').reduce_zero_label = not data.first
    return ['reduce_zero_label', 'train_dataloader.dataset', 'val_dataloader.dataset']


def _metric_disagrees(data, rng):
    data.cfg.val_evaluator.ignore_index = 0
    return ['val_evaluator.ignore_index', '0', '255']


def _head_disagrees(data, rng):
    data.cfg.model.decode_head.ignore_index = 254
    return ['val_evaluator.ignore_index', '255', '254']


def _no_images(data, rng):
    data.dataset().img_suffix = '.tif'
    return ['train_dataloader.dataset', "'.tif'"]


def _map_without_image(data, rng):
    data.image(1).unlink()
    return [str(data.map(1)), 'no image']


def _resize(data, shape, i, split):
    save(data.map(i, split), data.labels(shape=shape))
    save(data.image(i, split), np.zeros((*shape, 3), np.uint8))


def _below_the_stride(data, rng):
    rows, columns = int(rng.integers(2, 32)), int(rng.integers(2, 2000))
    _resize(data, (rows, columns), 1, 'val')
    return [str(data.image(1, 'val')), f'{columns}x{rows}', 'at least 32']


def _one_row(data, rng):
    columns = int(rng.integers(1, 100))
    _resize(data, (1, columns), 1, 'train')
    return [str(data.image(1)), f'{columns}x1']


# Of label maps that count from 0, from 1, and from either.
OF_MAPS_FROM_0 = (_binary,)
OF_MAPS_FROM_1 = (_shifted_binary, _all_zero_is_ignored, _shifted_classes, _void_is_a_class)
OF_MAPS = (
    _value_beyond,
    _value_beyond_in_val,
    _counts_from_one,
    _all_ignored,
    _one_class,
    _three_channels,
    _four_channels,
    _gray_and_alpha,
    _color_jpeg,
    _smeared_jpeg,
    _flat_jpeg,
    _sixteen_bits,
    _thirty_two_bits,
    _negative,
    _fractions,
    _smaller_map,
    _larger_map_in_val,
    _transposed_map,
    _missing_map,
    _empty_map,
    _text_map,
    _cut_map,
    _folder_as_map,
    _pipeline_disagrees,
    _splits_disagree,
    _metric_disagrees,
    _head_disagrees,
    _no_images,
    _map_without_image,
    _below_the_stride,
    _one_row,
)
