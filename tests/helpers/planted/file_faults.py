"""Plants faults of image files: each function changes one, and returns the file in which the fault must be found."""

import cv2
import numpy as np
from hypothesis import strategies as st
from PIL import Image

from helpers.data.clean_data import COUNTS, texture

FAULTS = {}


def fault(kind):
    """Put a function into the table of faults."""

    def add(function):
        FAULTS[function.__name__.strip('_')] = kind, function
        return function

    return add


def any_image(draw, data):
    """Return the file of some image."""
    split = draw(st.sampled_from(list(COUNTS)))
    return data.image(split, draw(st.integers(0, COUNTS[split] - 1)))


def _write(file, array, kind='PNG', **options):
    Image.fromarray(array).save(file, kind, **options)


@fault('image-missing')
def _missing(draw, data):
    file = any_image(draw, data)
    file.unlink()
    return file


@fault('image-unreadable')
def _no_image(draw, data):
    file = any_image(draw, data)
    file.write_bytes(draw(st.binary(max_size=200)))
    return file


@fault('image-truncated')
def _cut_off(draw, data):
    file = any_image(draw, data)
    if draw(st.booleans()):
        _write(file, texture(7), 'JPEG')
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * draw(st.floats(0.5, 0.95)))])
    return file


@fault('image-constant')
def _one_color(draw, data):
    file = any_image(draw, data)
    _write(file, np.full_like(texture(0), draw(st.integers(0, 255))))
    return file


@fault('image-16-bit')
def _dark_16_bit(draw, data):
    file = any_image(draw, data)
    levels = texture(3)[..., 0].astype(np.uint16) * draw(st.integers(2, 8))
    cv2.imwrite(str(file), levels)
    return file


@fault('image-deep')
def _bright_16_bit(draw, data):
    file = any_image(draw, data)
    cv2.imwrite(str(file), texture(3).astype(np.uint16) * draw(st.integers(250, 257)))
    return file


@fault('image-fourth-channel')
def _fourth_channel(draw, data):
    file = any_image(draw, data)
    _write(file, np.dstack([texture(4), texture(draw(st.integers(5, 50)))[..., 0].clip(9, 240)]))
    return file


@fault('image-alpha')
def _transparent(draw, data):
    file = any_image(draw, data)
    opaque = np.where(texture(draw(st.integers(5, 50)))[..., 0] > 99, 255, 0).astype(np.uint8)
    _write(file, np.dstack([texture(4), opaque]))
    return file


@fault('image-cmyk')
def _cmyk(draw, data):
    file = any_image(draw, data)
    Image.fromarray(texture(draw(st.integers(5, 50)))).convert('CMYK').save(file, 'JPEG')
    return file


@fault('image-gray')
def _gray(draw, data):
    file = any_image(draw, data)
    _write(file, texture(draw(st.integers(5, 50)))[..., 0])
    return file


@fault('image-frames')
def _several_frames(draw, data):
    file = any_image(draw, data)
    frames = [Image.fromarray(texture(5 + i)) for i in range(draw(st.integers(2, 4)))]
    frames[0].save(file, 'TIFF', save_all=True, append_images=frames[1:])
    return file


@fault('image-ending')
def _other_format(draw, data):
    file = any_image(draw, data)
    _write(file, texture(9), draw(st.sampled_from(['JPEG', 'BMP', 'WEBP'])))
    return file


@fault('duplicate-image')
def _copy_in_split(draw, data):
    split = draw(st.sampled_from(list(COUNTS)))
    first, second = draw(st.permutations(range(COUNTS[split])))[:2]
    data.image(split, max(first, second)).write_bytes(data.image(split, min(first, second)).read_bytes())
    return data.image(split, max(first, second))


@fault('image-in-two-splits')
def _copy_in_other_split(draw, data):
    train, val = (data.image(split, draw(st.integers(0, COUNTS[split] - 1))) for split in ('train', 'val'))
    # The same pixels, in another file.
    Image.open(train).save(val, 'PNG', compress_level=draw(st.integers(0, 9)))
    return val
