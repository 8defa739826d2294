"""Writes an image without its EXIF orientation, with the same pixels as stored."""

from pathlib import Path

from PIL import Image

from convnext_dense.datasets.images.image_faults import any_size

APP1, START_OF_SCAN, EXIF = 0xE1, 0xDA, b'Exif\0\0'
LOSSLESS = ('PNG', 'TIFF', 'BMP')


def write_as_stored(source: str, target: Path) -> bool:
    """Write a copy of an image that is not turned when it is read. No pixel changes.

    Args:
        source: The image.
        target: The copy.

    Returns:
        Whether it was written; an image of another format than JPEG, PNG and TIFF is not.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    data = Path(source).read_bytes()
    if data.startswith(b'\xff\xd8'):
        target.write_bytes(_without_exif(data))
        return True
    with any_size(), Image.open(source) as image:
        if image.format not in LOSSLESS:
            return False
        kind = image.format
        image.load()
        exif = image.getexif()
        exif.clear()
        image.info.pop('exif', None)
        image.save(target, kind, exif=exif, icc_profile=image.info.get('icc_profile'))
    return True


def _without_exif(data: bytes) -> bytes:
    """Return a JPEG without its EXIF segments."""
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == START_OF_SCAN:
            break
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], 'big')
        segment = data[place:end]
        if marker != APP1 or not segment[4:].startswith(EXIF):
            kept.append(segment)
        place = end
    return b''.join([*kept, data[place:]])
