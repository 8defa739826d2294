"""Writes the demo dataset to disk, in exactly the files and folders of COCO and ADE20K."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from convnext_dense.datasets.demo.shapes import CLASSES, Scene, render_scene

# Trace contours on a mask enlarged this many times: a contour runs through pixel centers, and so loses half a pixel.
CONTOUR_SCALE = 4
SPEC_NAME = 'demo_spec.json'


# The smallest and the largest value of each option.
LIMITS = dict(num_train=(1, 10**6), num_val=(1, 10**6), size=(32, 4096), seed=(0, 2**31))


@dataclass(frozen=True)
class DemoSpec:
    """The options of the demo dataset.

    Args:
        num_train: Number of training images.
        num_val: Number of validation images.
        size: Height and width of an image in pixels.
        seed: Seed of the training images; the validation images use the next one.

    Raises:
        ValueError: If a number is too small or too large.

    Example:
        >>> DemoSpec(num_train=10).num_val
        100
    """

    num_train: int = 3000
    num_val: int = 100
    size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (minimum, maximum) in LIMITS.items():
            if not minimum <= getattr(self, name) <= maximum:
                raise ValueError(f'{name}: it must be from {minimum} to {maximum}; got {getattr(self, name)}.')


def make_demo_data(out_dir: str | Path, spec: DemoSpec = DemoSpec()) -> bool:
    """Write the dataset to `out_dir`, unless it holds the same one already.

    ``coco/`` holds ``train2017``, ``val2017`` and ``annotations/instances_{train,val}2017.json``.
    ``ade/ADEChallengeData2016/`` holds ``images`` and ``annotations``, both with ``training`` and ``validation``. In
    the semantic maps, 0 is ignored, 1 is background, and the classes follow from 2 on.

    Args:
        out_dir: The folder to make. A demo dataset with the same options, drawn by an older version of this package,
            is replaced.
        spec: The options.

    Returns:
        Whether anything was written.

    Raises:
        FileExistsError: If `out_dir` holds anything else, including a demo dataset with other options.

    Example:
        >>> import tempfile
        >>> make_demo_data(tempfile.mkdtemp(), DemoSpec(num_train=4, num_val=2))
        True
    """
    out_dir = Path(out_dir)
    content = dict(asdict(spec), generator=_generator_version())
    spec_file = out_dir / SPEC_NAME
    if spec_file.exists():
        try:
            existing = dict(json.loads(spec_file.read_text()))
        except ValueError as error:
            raise FileExistsError(f'{spec_file} is damaged; remove {out_dir}, or give another folder.') from error
        if {**existing, 'generator': content['generator']} != content:
            options = ', '.join(f'{key}={value}' for key, value in existing.items() if key != 'generator')
            raise FileExistsError(f'{out_dir} holds a demo dataset of {options}; remove it, or give another folder.')
        if existing == content and (out_dir / 'coco').is_dir() and (out_dir / 'ade').is_dir():
            return False
    elif out_dir.exists() and any(out_dir.iterdir()):
        raise FileExistsError(f'{out_dir} holds other files; give a new or empty folder for the demo data.')
    # Write to a folder next to it and rename that, so that an interrupted run leaves no half-made dataset.
    partial = out_dir.with_name(f'{out_dir.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    _write_split(partial, spec, 'train2017', 'training', spec.num_train, spec.seed)
    _write_split(partial, spec, 'val2017', 'validation', spec.num_val, spec.seed + 1)
    (partial / SPEC_NAME).write_text(json.dumps(content))
    if out_dir.exists():
        shutil.rmtree(out_dir)
    partial.replace(out_dir)
    return True


def _generator_version() -> str:
    """Tell one version of the generator from another, by its source."""
    sources = (Path(__file__).with_name(name).read_bytes() for name in ('shapes.py', 'dataset.py'))
    return hashlib.sha256(b''.join(sources)).hexdigest()[:16]


def _write_split(out_dir: Path, spec: DemoSpec, coco_split: str, ade_split: str, count: int, seed: int) -> None:
    coco_dir = out_dir / 'coco'
    ade_dir = out_dir / 'ade' / 'ADEChallengeData2016'
    folders = {
        'coco': coco_dir / coco_split,
        'ade': ade_dir / 'images' / ade_split,
        'maps': ade_dir / 'annotations' / ade_split,
        'annotations': coco_dir / 'annotations',
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for image_id in range(1, count + 1):
        scene = render_scene(rng, spec.size)
        name = f'{image_id:012d}'
        jpeg = cv2.imencode('.jpg', scene.image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        for folder in (folders['coco'], folders['ade']):
            (folder / f'{name}.jpg').write_bytes(jpeg)
        (folders['maps'] / f'{name}.png').write_bytes(cv2.imencode('.png', scene.semantic_map)[1].tobytes())
        images.append(dict(id=image_id, file_name=f'{name}.jpg', height=spec.size, width=spec.size))
        annotations += _coco_annotations(scene, image_id, first_id=len(annotations) + 1)
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folders['annotations'] / f'instances_{coco_split}.json').write_text(json.dumps(content))


def _coco_annotations(scene: Scene, image_id: int, first_id: int) -> list[dict]:
    return [
        dict(
            id=first_id + i,
            image_id=image_id,
            category_id=label + 1,
            iscrowd=0,
            **_outline(mask),
        )
        for i, (mask, label) in enumerate(zip(scene.masks, scene.labels, strict=True))
    ]


def _outline(mask: np.ndarray) -> dict:
    """Return a mask in COCO's format: polygons, and the area and the box (x, y, w, h) of what they enclose."""
    enlarged = mask.astype(np.uint8).repeat(CONTOUR_SCALE, 0).repeat(CONTOUR_SCALE, 1)
    contours, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    polygons = [((contour.reshape(-1) + 0.5) / CONTOUR_SCALE).tolist() for contour in contours if len(contour) > 2]
    encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, *mask.shape))
    return dict(
        segmentation=polygons,
        area=float(coco_mask.area(encoded)),
        bbox=coco_mask.toBbox(encoded).tolist(),
    )
