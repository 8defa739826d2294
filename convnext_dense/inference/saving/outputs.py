"""Saves predictions into a folder, as they are made."""

from collections import Counter
from collections.abc import Collection, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from convnext_dense.errors import UsageError
from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.inference.model import Model
from convnext_dense.inference.saving.coco_results import CocoResults
from convnext_dense.inference.saving.drawings import DrawnVideo, Sheet, save_drawn
from convnext_dense.inference.saving.maps import PanopticResults, save_label_map
from convnext_dense.inference.saving.names import SavedNames
from convnext_dense.inference.saving.objects import crops, write_yolo, yolo_names
from convnext_dense.results.result import Result
from convnext_dense.visualization.drawing import Drawing

IMAGES, JSON, YOLO, MAPS, CROPS = KINDS = ('images', 'json', 'yolo', 'maps', 'crops')
OF_OBJECTS = (JSON, YOLO, CROPS)
SHEET, RESULTS, PANOPTIC, NAMES = 'sheet.jpg', 'predictions.json', 'panoptic.json', 'data.yaml'
LABELS = 'labels'


def default_kinds(result: Result) -> tuple[str, ...]:
    """Return what is saved of results if nothing is asked for: drawn images, and what else holds all of it.

    Args:
        result: One of the results.
    """
    has_maps = result.semantic is not None or result.panoptic is not None
    return (IMAGES, *([JSON] if result.boxes is not None else []), *([MAPS] if has_maps else []))


class Outputs:
    """Saves results below a folder: what is asked for, each in a folder or a file of its own, and a contact sheet.

    Args:
        folder: The folder.
        model: The model.
        names: How what is saved is named.
        kinds: Which of `KINDS` to save. Defaults to `default_kinds`.
        total: How many results there will be; 0 if that is not known.

    Raises:
        UsageError: If something cannot be written, or the model does not predict what is asked for.
    """

    def __init__(
        self, folder: Path, model: Model, names: SavedNames, kinds: Collection[str] | None = None, total: int = 0
    ) -> None:
        self.folder, self.model, self.names, self.asked = folder, model, names, kinds
        self.kinds: tuple[str, ...] = ()
        self.drawing = Drawing(model.classes, model.colors)
        self.sheet = Sheet(model.name, total)
        self.found: Counter[str] = Counter()
        self.count = 0
        self.files = ExitStack()
        self.results: CocoResults | None = None
        self.panoptic: PanopticResults | None = None
        self.video: DrawnVideo | None = None

    def __enter__(self) -> 'Outputs':
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        # What was predicted until an image could not be read, or the user had enough, is kept.
        with self.files:
            self._close_video()
        if self.sheet.tiles:
            self.sheet.save(self.folder / SHEET)

    def add(self, result: Result) -> None:
        """Save a result.

        Args:
            result: The result.
        """
        if not self.count:
            self._begin(result)
        self.count += 1
        self.found.update(result.names)
        stem, name = self.names.stem(result.image), self.names.original(result.image)
        title = f'{name}, frame {result.image.frame}' if result.image.video else name
        pixels = self._pixels(result)
        self.sheet.add(result, pixels, title, self.drawing)
        if IMAGES in self.kinds:
            self._draw(result, pixels, stem)
        if self.results:
            with self._writing(RESULTS):
                self.results.add(result, name)
        if YOLO in self.kinds:
            with write_whole(self.folder / LABELS / f'{stem}.txt', 'out') as partial:
                write_yolo(result, partial)
        if CROPS in self.kinds:
            for i, (folder, part) in enumerate(crops(result, pixels)):
                with write_whole(self.folder / CROPS / folder / f'{stem}_{i}.jpg', 'out') as partial:
                    save_drawn(part, partial)
        if MAPS in self.kinds:
            self._save_map(result, stem, name)

    def places(self) -> dict[str, Path]:
        """Return what was saved: the folders and files, by what they are."""
        kinds = self.kinds
        found = {
            'Contact sheet': self.sheet.tiles and self.folder / SHEET,
            'Drawn': IMAGES in kinds and self.folder / IMAGES,
            'Objects, in COCO form': self.results and self.folder / RESULTS,
            'Objects, in YOLO form': YOLO in kinds and self.folder / LABELS,
            'Objects, cut out': CROPS in kinds and self.folder / CROPS,
            'Label maps': MAPS in kinds and self.folder / MAPS,
            'Segments, in COCO form': self.panoptic and self.folder / PANOPTIC,
        }
        return {what: place for what, place in found.items() if isinstance(place, Path)}

    def _begin(self, result: Result) -> None:
        """Look at whether the model predicts what is asked for, and open the files of all images."""
        self.kinds = default_kinds(result) if self.asked is None else tuple(self.asked)
        for kind in self.kinds:
            if kind in OF_OBJECTS and result.boxes is None:
                raise UsageError(f'save: {kind} is of objects, and this model segments; it has {IMAGES} and {MAPS}.')
            if kind == MAPS and result.semantic is None and result.panoptic is None:
                others = ', '.join((IMAGES, *OF_OBJECTS))
                raise UsageError(f'save: {MAPS} are label maps, and this model finds objects; it has {others}.')
        if JSON in self.kinds:
            with self._writing(RESULTS):
                self.results = CocoResults(self._open(RESULTS), self.model.classes)
            self.files.callback(self.results.close)
        if YOLO in self.kinds:
            with write_whole(self.folder / LABELS / NAMES, 'out') as partial:
                partial.write_text(yolo_names(self.model.classes), encoding='utf-8')
        if MAPS in self.kinds and result.panoptic is not None:
            with self._writing(PANOPTIC):
                self.panoptic = PanopticResults(self._open(PANOPTIC), self.model.classes)
            self.files.callback(self.panoptic.close)

    def _open(self, name: str) -> Path:
        """Return a file of all images. It gets its name at the end."""
        return self.files.enter_context(write_whole(self.folder / name, 'out'))

    def _pixels(self, result: Result) -> np.ndarray:
        """Return the image, if it is looked at."""
        if {IMAGES, CROPS} & set(self.kinds) or self.count - 1 in self.sheet.places:
            return result.pixels()
        return np.zeros((0, 0, 3), np.uint8)

    def _draw(self, result: Result, pixels: np.ndarray, stem: Path) -> None:
        video = result.image.video
        if not video:
            with write_whole(self.folder / IMAGES / f'{stem}.jpg', 'out') as partial:
                save_drawn(self.drawing.draw(result.shown(pixels), result.drawn_side, has_legend=True), partial)
            return
        if self.video is None or self.video.video != video or not result.image.frame:
            self._close_video()
            self.video = DrawnVideo(self.folder / IMAGES / f'{self.names.video(video)}.mp4', video)
        self.video.add(result, pixels, self.drawing)

    @contextmanager
    def _writing(self, name: str) -> Generator[None]:
        """Say which file of all images is not written if the disk is full."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(f'out: {self.folder / name} cannot be written: {reason}.') from error

    def _close_video(self) -> None:
        if self.video:
            self.video.close()
        self.video = None

    def _save_map(self, result: Result, stem: Path, name: str) -> None:
        path = self.folder / MAPS / f'{stem}.png'
        with write_whole(path, 'out') as partial:
            if self.panoptic and result.panoptic is not None:
                self.panoptic.add(result.panoptic, name, f'{stem.as_posix()}.png', partial)
            elif result.semantic is not None:
                save_label_map(result.semantic, partial, self.model.colors, self.model.counts_from_1)
