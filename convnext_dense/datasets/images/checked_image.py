"""Loads an image, and says which file is wrong if it cannot be read or has another size than its annotations."""

import copy

from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine.registry import TRANSFORMS

from convnext_dense.datasets.images.file_faults import is_here, unreadable
from convnext_dense.datasets.images.orientation import SIDEWAYS, UPRIGHT, orientation, turn, turns_webp
from convnext_dense.errors import SampleError
from convnext_dense.regular_files import refuse_special

IGNORE_ORIENTATION = '_ignore_orientation'


class CheckedImage(BaseTransform):
    """Runs a transform that loads an image.

    Args:
        loader: The transform's config.
        check_size: Whether the image must have the size that its annotations say. If it has it only where its EXIF
            orientation is ignored, the annotations were made for the pixels as stored, and it is read so. If a loader
            of unchanged pixels ignores the orientation, and its annotations do not, it is turned.

    Raises:
        SampleError: If the image cannot be read, or has another size, or is a WebP image that OpenCV should turn and
            does not.

    Example:
        >>> load = CheckedImage(dict(type='LoadImageFromFile'))
        >>> load(dict(img_path='no-such.jpg'))
        Traceback (most recent call last):
            ...
        convnext_dense.errors.SampleError: no-such.jpg: there is no such file.
    """

    def __init__(self, loader: dict, check_size: bool = True) -> None:
        self.loader = TRANSFORMS.build(loader)
        self.check_size = check_size and isinstance(self.loader, LoadImageFromFile)

    def transform(self, results: dict) -> dict | None:
        """Load the image; the result is the loader's."""
        try:
            if is_here(results.get('img_path')):
                refuse_special(results['img_path'])
            loaded = self.loader(results)
        except Exception as error:
            raise unreadable(results.get('img_path'), error) from error
        self._refuse_unturned(results.get('img_path', ''))
        height, width = results.get('height'), results.get('width')
        if loaded is None or not self.check_size or height is None or width is None:
            return loaded
        return loaded if loaded['ori_shape'] == (height, width) else self._load_as_stored(loaded, (height, width))

    def _refuse_unturned(self, file: str) -> None:
        if not isinstance(self.loader, LoadImageFromFile) or not is_here(file) or turns_webp():
            return
        if ignore_orientation(self.loader) and orientation(file, 'WEBP') != UPRIGHT:
            raise SampleError(
                f'{file}: its EXIF orientation turns it, and OpenCV turns WebP images from its version 5 on; '
                'install that, or save it as PNG.'
            )

    def _load_as_stored(self, results: dict, size: tuple[int, int]) -> dict:
        loaded = results['ori_shape']
        if loaded[::-1] == size:
            loader = ignore_orientation(self.loader)
            if loader and loader(results)['ori_shape'] == size:
                return results
            if not loader and turn_upright(results):
                return results
        raise SampleError(size_fault(results['img_path'], loaded, size))


def turn_upright(results: dict) -> bool:
    """Turn an image that was loaded as stored, if its EXIF orientation exchanges height and width.

    Args:
        results: What the loader returned, which is changed.

    Returns:
        Whether it was turned.

    Example:
        >>> turn_upright(dict(img_path='no-such.png'))
        False
    """
    tag = orientation(results['img_path']) if is_here(results['img_path']) else UPRIGHT
    if tag not in SIDEWAYS:
        return False
    results['img'] = turn(results['img'], tag)
    results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
    return True


def ignore_orientation(loader: LoadImageFromFile) -> LoadImageFromFile | None:
    """Return a loader that takes an image's pixels as stored; None if `loader` does.

    Args:
        loader: mmcv's loader.

    Example:
        >>> ignore_orientation(LoadImageFromFile(color_type='grayscale')).color_type
        'grayscale_ignore_orientation'
    """
    if loader.color_type not in ('color', 'grayscale'):
        return None
    changed = copy.copy(loader)
    changed.color_type += IGNORE_ORIENTATION
    return changed


def size_fault(file: str, found: tuple[int, int], expected: tuple[int, int]) -> str:
    """Return the sentence on an image of another size than its annotations say.

    Args:
        file: The image.
        found: Its height and width.
        expected: The annotations' height and width.

    Example:
        >>> size_fault('1.jpg', (64, 96), (128, 96))
        '1.jpg: the image is 96x64 px (width x height); its annotations are for 96x128 px.'
    """
    (height, width), (rows, columns) = found, expected
    return f'{file}: the image is {width}x{height} px (width x height); its annotations are for {columns}x{rows} px.'
