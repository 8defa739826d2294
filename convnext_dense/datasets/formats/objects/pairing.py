"""Finds the image of each file of annotations."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from convnext_dense.datasets.formats.objects.sources import Source
from convnext_dense.datasets.formats.places import MAP_WORDS, has_word, split_name, walk_images
from convnext_dense.wording import counted


@dataclass(frozen=True)
class Pairing:
    """Images with their annotations, and sentences on those that were left out."""

    sources: Sequence[Source]
    remarks: Sequence[str]

    def splits(self, root: Path) -> dict[str, list[Source]]:
        """Return the images by the split that the annotations' folder says, or else the image's; '' if none does.

        Args:
            root: The dataset's folder.
        """
        found: dict[str, list[Source]] = {}
        for source in self.sources:
            name = split_name(source.annotations.parent, root) or split_name(source.image.parent, root)
            found.setdefault(name, []).append(source)
        return found


def pair_images(files: Iterable[Path], root: Path, work_dir: str, named_image: Callable[[Path], str | None]) -> Pairing:
    """Return files of annotations with their images: those of the same name, or else of the name that the file says.

    Args:
        files: The files of annotations.
        root: The dataset's folder, in which the images are.
        work_dir: A folder to leave out.
        named_image: Returns the image's name that a file says.

    Example:
        >>> pair_images([], Path('configs'), '', str)
        Pairing(sources=[], remarks=[])
    """
    by_stem: dict[str, list[Path]] = {}
    by_name: dict[str, list[Path]] = {}
    for image in walk_images(root, work_dir):
        if not has_word(image.parent, root, MAP_WORDS):
            by_stem.setdefault(image.stem, []).append(image)
            by_name.setdefault(image.name, []).append(image)
    nearest: dict[Path, Path] = {}
    alone, farther = [], []
    for file in files:
        images = by_stem.get(file.stem)
        if not images and (name := named_image(file)):
            # One that was written on Windows has backslashes.
            images = by_name.get(PureWindowsPath(name).name)
        if images:
            image = min(images, key=lambda image: _distance(image, file))
            other = nearest.setdefault(image, file)
            if other is not file:
                nearest[image], left = sorted((other, file), key=lambda found: _distance(image, found))
                farther.append(left)
        else:
            alone.append(file)
    unlabeled = [image for images in by_stem.values() for image in images if image not in nearest]
    remarks = []
    if alone:
        remarks.append(f'left out: {counted(len(alone), "file")} of annotations without an image, such as {alone[0]}.')
    if unlabeled:
        remarks.append(f'left out: {counted(len(unlabeled), "image")} without annotations, such as {unlabeled[0]}.')
    if farther:
        remarks.append(
            f'left out: {counted(len(farther), "file")} of annotations of an image that has another, such as '
            f'{farther[0]}.'
        )
    return Pairing([Source(image, file) for image, file in nearest.items()], remarks)


def _distance(image: Path, file: Path) -> int:
    """Return how many steps between folders lead from one file to another, and prefer folders of the same name."""
    steps = image.parent.parts, file.parent.parts
    common = next((i for i, (a, b) in enumerate(zip(*steps, strict=False)) if a != b), min(map(len, steps)))
    same_end = steps[0][-1:] == steps[1][-1:]
    return sum(len(parts) - common for parts in steps) - same_end
