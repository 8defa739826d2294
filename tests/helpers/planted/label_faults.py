"""Plants faults of label maps: each function changes one, and returns the file in which the fault must be found."""

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from helpers.data.clean_data import COUNTS, HEIGHT, MAP_CLASSES, WIDTH

FAULTS = {}


def fault(kind):
    """Put a function into the table of faults."""

    def add(function):
        FAULTS[function.__name__.strip('_')] = kind, function
        return function

    return add


def _pair(draw, data):
    split = draw(st.sampled_from(list(COUNTS)))
    i = draw(st.integers(0, COUNTS[split] - 1))
    return data.image(split, i), data.map(split, i)


@fault('map-missing')
def _missing(draw, data):
    image, file = _pair(draw, data)
    file.unlink()
    # It is found at the image, whose label map is not known.
    return image


@fault('image-of-map-missing')
def _image_missing(draw, data):
    image, file = _pair(draw, data)
    image.unlink()
    return file


@fault('map-unreadable')
def _no_image(draw, data):
    _, file = _pair(draw, data)
    file.write_bytes(draw(st.binary(max_size=200)))
    return file


@fault('map-layout')
def _three_channels(draw, data):
    _, file = _pair(draw, data)
    Image.fromarray(np.dstack([data.labels(), data.labels(1), data.labels(draw(st.integers(0, 2)))])).save(file)
    return file


@fault('map-layout')
def _sixteen_bits(draw, data):
    _, file = _pair(draw, data)
    labels = data.labels().astype(np.uint16)
    labels[draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))] = draw(st.integers(256, 65535))
    Image.fromarray(labels).save(file)
    return file


@fault('map-values')
def _no_class(draw, data):
    _, file = _pair(draw, data)
    labels = data.labels()
    labels[draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))] = draw(
        st.integers(len(MAP_CLASSES) + 1, 254)
    )
    Image.fromarray(labels).save(file)
    return file


@fault('map-size')
def _other_size(draw, data):
    _, file = _pair(draw, data)
    labels = data.labels()
    rows, columns = draw(st.tuples(st.integers(10, HEIGHT), st.integers(10, WIDTH - 1)))
    Image.fromarray(labels[:rows, :columns]).save(file)
    return file


@fault('map-ignored')
def _all_ignored(draw, data):
    _, file = _pair(draw, data)
    Image.fromarray(data.labels(255)).save(file)
    return file


@fault('map-lossy')
def _jpeg(draw, data):
    _, file = _pair(draw, data)
    Image.fromarray(data.labels(draw(st.integers(0, 2)))).save(file, 'JPEG')
    return file
