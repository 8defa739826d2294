"""Faults of images. Each changes one thing, and says what the sentence on it must contain."""

import cv2
import numpy as np
from PIL import Image

from helpers.data.small_datasets import HEIGHT, WIDTH, save, turn_by_exif

PNG_START = b'\x89PNG\r\n\x1a\n'


def _missing_image(data, rng):
    data.image(1).unlink()
    return [str(data.image(1)), 'there is no']


def _empty_image(data, rng):
    data.image(1).write_bytes(b'')
    return [str(data.image(1)), 'empty']


def _page_as_image(data, rng):
    data.image(1, 'val').write_text('<html>404 Not Found</html>')
    return [str(data.image(1, 'val')), 'decoded']


def _cut_image(data, rng):
    content = cv2.imencode('.png', rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))[1].tobytes()
    data.image(1).write_bytes(content[: len(content) // 3])
    return [str(data.image(1))]


def _only_a_header(data, rng):
    data.image(1).write_bytes(PNG_START)
    return [str(data.image(1))]


def _float_image(data, rng):
    save(data.image(1), rng.random((HEIGHT, WIDTH)).astype(np.float32), 'TIFF')
    return [str(data.image(1))]


def _folder_as_image(data, rng):
    data.image(1).unlink()
    data.image(1).mkdir()
    return [str(data.image(1)), 'folder']


def _annotated_larger(data, rng):
    data.write('train', {1: (2 * HEIGHT, 2 * WIDTH)})
    return [str(data.image(1)), f'{WIDTH}x{HEIGHT}', f'{2 * WIDTH}x{2 * HEIGHT}']


def _annotated_smaller_in_val(data, rng):
    rows = int(rng.integers(1, HEIGHT))
    data.write('val', {1: (rows, WIDTH)})
    return [str(data.image(1, 'val')), f'{WIDTH}x{HEIGHT}', f'{WIDTH}x{rows}']


def _annotated_transposed(data, rng):
    data.write('train', {1: (WIDTH, HEIGHT)})
    return [str(data.image(1)), f'{WIDTH}x{HEIGHT}', f'{HEIGHT}x{WIDTH}']


def _stored_but_turned(data, rng):
    turn_by_exif(data.image(1), int(rng.integers(5, 9)))
    return [str(data.image(1)), 'EXIF', 'read as stored']


def _upside_down(data, rng):
    turn_by_exif(data.image(1), int(rng.integers(2, 5)))
    return [str(data.image(1)), 'EXIF', 'color_ignore_orientation']


def _turned_square(data, rng):
    cv2.imwrite(str(data.image(1)), rng.integers(0, 255, (HEIGHT, HEIGHT, 3), dtype=np.uint8))
    turn_by_exif(data.image(1), int(rng.integers(5, 9)))
    data.write('train', {1: (HEIGHT, HEIGHT)})
    return [str(data.image(1)), 'EXIF', 'color_ignore_orientation']


def _squeezed(data, rng):
    deep = rng.integers(0, 1500, (HEIGHT, WIDTH), dtype=np.uint16)
    data.image(1).write_bytes(cv2.imencode('.png', deep)[1].tobytes())
    return [str(data.image(1)), '16 bits', str(deep.max()), '6 levels']


def _squeezed_color(data, rng):
    deep = rng.integers(0, 4096, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    data.image(1).write_bytes(cv2.imencode('.png', deep)[1].tobytes())
    return [str(data.image(1)), '16 bits', str(deep.max()), '16 levels']


def _dropped_fourth(data, rng):
    save(data.image(1), rng.integers(0, 255, (HEIGHT, WIDTH, 4), dtype=np.uint8))
    return [str(data.image(1)), 'fourth channel']


def _four_for_three(data, rng):
    save(data.image(1), rng.integers(0, 255, (HEIGHT, WIDTH, 4), dtype=np.uint8))
    data.dataset().pipeline[0].color_type = 'unchanged'
    return [str(data.image(1)), '4 channels', 'in_channels is 3']


def _three_for_four(data, rng):
    data.cfg.model.backbone.in_channels = 4
    return [str(data.image(0)), '3 channels', 'in_channels is 4']


def _gray_for_color(data, rng):
    data.dataset().pipeline[0].color_type = 'grayscale'
    return [str(data.image(0)), '1 channel ', 'in_channels is 3']


def _four_means(data, rng):
    data.cfg.model.data_preprocessor.update(mean=[1] * 4, std=[1] * 4)
    return [str(data.image(0)), 'data_preprocessor.mean has 4 values']


def _bomb(data, rng):
    Image.new('1', (15_000, 15_000)).save(data.image(1), 'PNG')
    return [str(data.image(1)), '225,000,000 pixels']


OF_IMAGES = (
    _missing_image,
    _empty_image,
    _page_as_image,
    _cut_image,
    _only_a_header,
    _float_image,
    _folder_as_image,
    _annotated_larger,
    _annotated_smaller_in_val,
    _annotated_transposed,
    _stored_but_turned,
    _upside_down,
    _turned_square,
    _squeezed,
    _squeezed_color,
    _dropped_fourth,
    _four_for_three,
    _three_for_four,
    _gray_for_color,
    _four_means,
    _bomb,
)
# Those that a segmenter's images can have as well.
OF_ANY_IMAGES = tuple(
    fault
    for fault in OF_IMAGES
    if fault
    not in (
        _missing_image,
        _folder_as_image,
        _annotated_larger,
        _annotated_smaller_in_val,
        _annotated_transposed,
        _stored_but_turned,
        _upside_down,
        _turned_square,
    )
)
