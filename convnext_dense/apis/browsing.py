"""Shows what a model is fed."""

import copy
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

from convnext_dense.checks import RunPlan, check_run
from convnext_dense.config.machine import check_folder
from convnext_dense.errors import UsageError
from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.reports.browse_page import PageImage, browse_page, to_jpeg
from convnext_dense.visualization.drawing import Drawing
from convnext_dense.visualization.fed_dataset import FedDataset
from convnext_dense.visualization.fed_image import FedImage
from convnext_dense.visualization.sheet import COLUMNS, ROWS, TILE, make_sheet, make_tile

SPLITS = ('train', 'val', 'test')
COUNT = 24
# They look at what is not read here.
OTHER_CHECKS = ('outputs', 'addresses', 'windows', 'evaluator', 'checkpoint', 'resume', 'optimizer', 'schedule')
# The longer side in pixels of an image that is drawn into a file of its own.
SMALLEST, LARGEST = 768, 1280
PAGE, IMAGES, SHEET = 'browse.html', 'images', 'sheet-{:02d}.png'
TITLE, NOTHING = 'What the model is fed', 'nothing is marked'
# How much of an image's name its file has.
MOST_LETTERS = 80
OURS = re.compile(r'sheet-\d\d\.png|\d{3,}_.*\.png')


@dataclass(frozen=True)
class Browsed:
    """What was written.

    Args:
        page: The page that shows all of it.
        sheets: The contact sheets.
        images: A file for each image.
        total: How many images the split has.
    """

    page: Path
    sheets: tuple[Path, ...]
    images: tuple[Path, ...]
    total: int


def browse(
    cfg: Config,
    split: str = 'train',
    out: str | Path | None = None,
    count: int = COUNT,
    seed: int = 0,
    skip_check: Collection[str] = (),
) -> Browsed:
    """Draw images of a config as the model is fed them, with their boxes, masks, label maps and class names.

    That is after augmentation and the data preprocessor, whose normalization is undone. Neither a screen nor weights
    are needed. The same seed draws the same images in the same way.

    Args:
        cfg: As `load_config` returns it.
        split: 'train', 'val' or 'test'.
        out: The folder to write to. Defaults to ``browse/<split>`` in the work dir.
        count: How many images, drawn by chance.
        seed: What chance depends on.
        skip_check: Names of checks to leave out, as in `check_run`.

    Raises:
        UsageError: If the data is not there, a check finds an error, an image cannot be read or augmented, or nothing
            can be written.

    Example:
        >>> from convnext_dense.config import load_config
        >>> browse(load_config('mask-rcnn_convnext-demo_fpn_demo-coco')).page  # doctest: +SKIP
        PosixPath('work_dirs/mask-rcnn_convnext-demo_fpn_demo-coco/browse/train/browse.html')
    """
    if split not in SPLITS:
        raise UsageError(f'split: it must be {", ".join(SPLITS)}; got {split!r}.')
    for name, value, least in (('count', count, 1), ('seed', seed, 0)):
        if value < least:
            raise UsageError(f'{name}: it must be at least {least}; got {value}.')
    if not (cfg.get(f'{split}_dataloader') or {}).get('dataset'):
        raise UsageError(f'split: the config has no {split}_dataloader.dataset to browse.')
    folder = Path(out) if out else Path(cfg.work_dir, 'browse', split)
    check_folder(folder, 'out')
    # What the checks record lies with the pictures.
    checked = copy.copy(cfg)
    checked.work_dir = str(folder)
    check_run(RunPlan(checked, (split,)), [*skip_check, *OTHER_CHECKS])
    dataset = FedDataset(cfg, split, skip_check)
    if not len(dataset):
        raise UsageError(f'{dataset.key}: it has no images.')
    _remove_old(folder)
    return _write(dataset, folder, _facts(cfg, dataset, count, seed), [*_draw(dataset, folder, count, seed)])


@dataclass(frozen=True)
class _Drawn:
    file: Path
    tile: Image.Image
    image: PageImage


def _draw(dataset: FedDataset, folder: Path, count: int, seed: int) -> Iterator[_Drawn]:
    """Draw images into files of their own."""
    drawing = Drawing(dataset.classes, dataset.colors, dataset.ignored_name)
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
    number = 0
    for place, index in enumerate(sorted(chosen.tolist())):
        for fed in dataset.read(index, seed + place):
            number += 1
            yield _draw_image(drawing, fed, folder, number)


def _draw_image(drawing: Drawing, fed: FedImage, folder: Path, number: int) -> _Drawn:
    side = min(max(*fed.picture.shape[:2], SMALLEST), LARGEST)
    small, large = drawing.draw(fed, TILE), drawing.draw(fed, side)
    file = folder / IMAGES / f'{number:03d}_{Path(fed.file).stem[:MOST_LETTERS]}.png'
    with write_whole(file, 'out') as partial:
        large.save(partial)
    # The folder tells images of one name apart.
    title = '/'.join(Path(fed.file).parts[-2:])
    remark, legend = ', '.join(fed.remarks), drawing.legend(fed)
    image = PageImage(title, remark, legend, to_jpeg(small), to_jpeg(large))
    return _Drawn(file, make_tile(small, f'{number}  {title}', remark, legend, NOTHING), image)


def _write(dataset: FedDataset, folder: Path, facts: dict[str, str], drawn: Sequence[_Drawn]) -> Browsed:
    """Write the sheets and the page."""
    size = COLUMNS * ROWS
    groups = [drawn[start : start + size] for start in range(0, len(drawn), size)]
    sheets = []
    for i, group in enumerate(groups, 1):
        title = f'{facts["Config"]}, {facts["Split"]}; sheet {i} of {len(groups)}'
        sheets.append(folder / SHEET.format(i))
        with write_whole(sheets[-1], 'out') as partial:
            make_sheet(title, [part.tile for part in group]).save(partial)
    page = folder / PAGE
    classes = list(zip(dataset.colors, dataset.classes, strict=False))
    with write_whole(page, 'out') as partial:
        partial.write_text(
            browse_page(TITLE, facts, classes, [part.image for part in drawn], NOTHING), encoding='utf-8'
        )
    return Browsed(page, tuple(sheets), tuple(part.file for part in drawn), len(dataset))


def _facts(cfg: Config, dataset: FedDataset, count: int, seed: int) -> dict[str, str]:
    shown = min(count, len(dataset))
    return {
        'Config': Path(cfg.filename).stem if cfg.filename else cfg.model.type,
        'Split': dataset.split,
        'Images': f'{shown} of {len(dataset)}, seed {seed}',
        'Transforms': ', '.join(dataset.transforms),
        'Normalization, undone here': dataset.normalization,
    }


def _remove_old(folder: Path) -> None:
    """Remove what was written before: there may be fewer images now."""
    if (folder / PAGE).is_file():
        for file in (*folder.iterdir(), *(folder / IMAGES).glob('*')):
            if OURS.fullmatch(file.name):
                file.unlink()
