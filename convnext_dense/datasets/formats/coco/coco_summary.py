"""What a dataset's description needs of an annotation file of COCO's form."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET, Raw

from convnext_dense.datasets.cache.findings import remember
from convnext_dense.datasets.formats.coco.coco_json import CocoContent, coco_content, read_json
from convnext_dense.datasets.formats.places import may_lead_out

# How many images are looked for.
SAMPLE = 20
# The JSON of a segmentation that is empty is shorter.
SHORT = 100


@dataclass(frozen=True)
class CocoSummary:
    """A file whose outer form is right, in short.

    Args:
        image_count: How many images it has.
        sample: The names of a few of them.
        leading_names: Those names that may lead out of the images' folder.
        categories: Its categories, as they are.
        objects: How many objects there are of each category, by its id.
        annotation_count: How many annotations it has.
        mask_count: How many of them have a segmentation.
    """

    image_count: int
    sample: list[str]
    leading_names: list[str]
    categories: list[dict]
    objects: dict[int, int]
    annotation_count: int
    mask_count: int


def summarize(path: Path) -> CocoSummary | None:
    """Return what an annotation file holds, or None if it is not of COCO's form. Of a large file it is kept.

    Args:
        path: A JSON file.

    Raises:
        ValueError: With what is wrong, if it cannot be read, or has a part of that form alone.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), 'train.json')
        >>> _ = path.write_text('{"images": [{"id": 1, "file_name": "a.png"}], "categories": [], "annotations": []}')
        >>> summarize(path).sample
        ['a.png']
    """
    return remember('summary', None, path, CocoSummary | None, lambda: _summarize(path))


def _summarize(path: Path) -> CocoSummary | None:
    data = read_json(path, is_coco=True)
    content = coco_content(data)
    if content is None:
        if isinstance(data, dict) and {'images', 'annotations', 'categories'} <= data.keys():
            raise ValueError('images, annotations and categories must be lists of objects.')
        return None
    _check_ids(content)
    names = [str(image.get('file_name')) for image in content.images]
    ids = Counter(
        annotation.category_id for annotation in content.annotations if isinstance(annotation.category_id, int)
    )
    return CocoSummary(
        len(names),
        names[:: max(1, -(-len(names) // SAMPLE))],
        [name for name in names if may_lead_out(name)],
        content.categories,
        dict(ids),
        len(content.annotations),
        sum(_is_mask(annotation.segmentation) for annotation in content.annotations),
    )


def _check_ids(content: CocoContent) -> None:
    """Raise ValueError if an id is a list or an object, by which nothing can be looked up."""
    for what, field, values in (
        ('an image', 'id', (image.get('id') for image in content.images)),
        ('an annotation', 'image_id', (annotation.image_id for annotation in content.annotations)),
        ('an annotation', 'category_id', (annotation.category_id for annotation in content.annotations)),
    ):
        wrong = next((value for value in values if isinstance(value, list | dict)), None)
        if wrong is not None:
            raise ValueError(f'{what} has the {field} {wrong!r:.40}; it must be a number or a text.')


def _is_mask(segmentation: object) -> bool:
    if isinstance(segmentation, Raw):
        text = bytes(segmentation)
        return len(text) >= SHORT or text.translate(None, b' \t\r\n') not in (b'', b'[]', b'[[]]', b'null')
    return segmentation not in (UNSET, None, [], [[]])
