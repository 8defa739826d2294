"""Chooses the images that a report shows, while they are predicted."""

from collections.abc import Callable, Iterable

from convnext_dense.evaluation.recording.record import ShownImage

# How many of the best, of the worst, and of all alike.
BEST, WORST, SAMPLES = 4, 4, 4
# Of more images, as many evenly are looked at.
MOST_IMAGES = 10000


def stride(count: int) -> int:
    """Return the distance between the images that are looked at, which is 1 up to `MOST_IMAGES`.

    Args:
        count: How many images there are.

    Example:
        >>> stride(500), stride(25000)
        (1, 3)
    """
    return max(1, -(-count // MOST_IMAGES))


def sample_indices(count: int) -> set[int]:
    """Return which images are shown of every validation, evenly from the dataset.

    Args:
        count: How many images there are.

    Example:
        >>> sorted(sample_indices(100)), sorted(sample_indices(25001))
        ([12, 37, 62, 87], [3123, 9375, 15624, 21873])
    """
    step = stride(count)
    return {(2 * i + 1) * count // (2 * SAMPLES) // step * step for i in range(SAMPLES)}


class ShownImages:
    """Keeps a few images: some evenly from the dataset, and those of the best and the worst scores.

    Args:
        count: How many images there are.

    Example:
        >>> shown = ShownImages(100)
        >>> for i in range(100):
        ...     shown.add(i, i / 100, lambda i=i: ShownImage(i, '', i / 100, (1, 1)))
        >>> [image.index for image in shown.images()]
        [0, 1, 2, 3, 12, 37, 62, 87, 96, 97, 98, 99]
    """

    def __init__(self, count: int) -> None:
        self.samples = sample_indices(count)
        self._images: dict[int, ShownImage] = {}

    def add(self, index: int, score: float, make: Callable[[], ShownImage]) -> None:
        """Keep an image, if it is one to show so far.

        Args:
            index: Its number in the dataset.
            score: How well it is predicted; below 0 if there is nothing to predict.
            make: Makes what is kept of it.
        """
        kept = {number: image.score for number, image in self._images.items()}
        chosen = self._choose({**kept, index: score})
        if index in chosen and index not in kept:
            self._images[index] = make()
        self._images = {number: image for number, image in self._images.items() if number in chosen}

    def merge(self, images: Iterable[ShownImage]) -> None:
        """Take in those of another process."""
        for image in images:
            self.add(image.index, image.score, lambda image=image: image)

    def images(self) -> list[ShownImage]:
        """Return the images in the dataset's order."""
        return [self._images[index] for index in sorted(self._images)]

    def _choose(self, scores: dict[int, float]) -> set[int]:
        order = sorted((index for index in scores if scores[index] >= 0), key=lambda index: (scores[index], index))
        return {*order[:WORST], *order[-BEST:], *(index for index in scores if index in self.samples)}
