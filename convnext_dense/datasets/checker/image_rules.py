"""What is wrong with images, of which everything that a file says was read."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from PIL import Image

from convnext_dense.datasets.checker.findings import DataFinding
from convnext_dense.datasets.checker.image_facts import ImageFacts
from convnext_dense.datasets.images.checked_image import size_fault
from convnext_dense.datasets.images.image_faults import unclear_orientation, unseen_orientation
from convnext_dense.datasets.images.orientation import SIDEWAYS, UPRIGHT
from convnext_dense.wording import counted

GRAY = ('1', 'L', 'LA', 'I', 'I;16', 'F')
# Names of one format.
SAME = {'MPO': 'JPEG'}
# Formats of which one file often has several images, the first of which is meant.
FIRST_OF_SEVERAL = ('MPO', 'ICO')


class SplitImages:
    """The images of a split.

    Args:
        split: Its name.
        color_type: How they are loaded.
    """

    def __init__(self, split: str, color_type: str) -> None:
        self.split = split
        self.color_type = color_type
        # OpenCV turns images as EXIF says, unless it is asked for the pixels as they are.
        self.is_upright = color_type in ('color', 'grayscale')
        self.seen: list[tuple[ImageFacts, object]] = []
        self.turned: dict[str, list[DataFinding]] = dict(turned=[], either=[])

    def find(self, facts: ImageFacts, image_id: object, size: tuple[int, int] | None) -> Iterator[DataFinding]:
        """Find what is wrong with an image by itself.

        Args:
            facts: The image.
            image_id: Its id in the annotations; None if it has none.
            size: Its height and width by the annotations, if they have it.
        """
        if facts.fault:
            # Missing ones are found by their names.
            if facts.fault != 'image-missing':
                yield self._finding(facts.fault, facts, image_id, facts.detail)
            return
        self.seen.append((facts, image_id))
        yield from self._sizes(facts, image_id, size)
        if facts.is_constant:
            yield self._finding('image-constant', facts, image_id, f'mode {facts.mode}')
        if facts.frames > 1 and facts.format not in FIRST_OF_SEVERAL:
            yield self._finding('image-frames', facts, image_id, f'{counted(facts.frames, "image")}')
        ending = facts.file[facts.file.rfind('.') :].lower()
        said = Image.registered_extensions().get(ending)
        if facts.format and said and SAME.get(said, said) != SAME.get(facts.format, facts.format):
            yield self._finding('image-ending', facts, image_id, f'it is {facts.format}')
        if not self.color_type.startswith(('color', 'grayscale')):
            return
        if facts.loss:
            yield self._finding(facts.loss, facts, image_id, facts.detail)
        elif facts.bits == 16:
            yield self._finding('image-deep', facts, image_id, f'mode {facts.mode}')
        elif facts.mode in ('RGBA', 'LA', 'PA'):
            yield self._finding('image-alpha', facts, image_id, f'mode {facts.mode}')
        if facts.mode in ('CMYK', 'YCbCr', 'LAB', 'HSV'):
            yield self._finding('image-cmyk', facts, image_id, f'mode {facts.mode}')

    def find_in_all(self) -> Iterator[DataFinding]:
        """Find what is odd with an image among the others."""
        if not self.turned['turned']:
            yield from self.turned['either']
        grays = [(facts, image_id) for facts, image_id in self.seen if facts.mode in GRAY]
        colors = [(facts, image_id) for facts, image_id in self.seen if facts.mode not in GRAY]
        if grays and colors and self.color_type.startswith('color'):
            kind, fewer = ('image-gray', grays) if len(grays) <= len(colors) else ('image-colored', colors)
            for facts, image_id in fewer:
                yield self._finding(kind, facts, image_id, f'mode {facts.mode}')

    @property
    def facts(self) -> dict:
        """Sizes and modes of the images, by how often they are there."""
        sizes = Counter('x'.join(map(str, facts.size[::-1])) for facts, _ in self.seen if facts.size)
        modes = Counter(f'{facts.mode} {facts.bits} bits' for facts, _ in self.seen)
        return dict(sizes=dict(sizes.most_common()), modes=dict(modes.most_common()))

    def _sizes(self, facts: ImageFacts, image_id: object, size: tuple[int, int] | None) -> Iterator[DataFinding]:
        stored = facts.size
        if stored is None or size is None:
            return
        is_turned = facts.tag in SIDEWAYS and self.is_upright
        upright = stored[::-1] if is_turned else stored
        if size != upright and not (is_turned and size == stored):
            yield self._finding('image-size-differs', facts, image_id, size_fault(facts.file, upright, size))
        elif facts.tag == UPRIGHT or not self.is_upright:
            return
        elif facts.tag not in SIDEWAYS or stored[0] == stored[1]:
            finding = self._finding('exif-unclear', facts, image_id, unclear_orientation(facts.file))
            self.turned['either'].append(finding)
        elif size == stored:
            yield self._finding('exif-unseen', facts, image_id, unseen_orientation(facts.file))
        else:
            self.turned['turned'].append(self._finding('exif-unclear', facts, image_id, ''))

    def _finding(self, kind: str, facts: ImageFacts, image_id: object, detail: str) -> DataFinding:
        noun = '' if image_id is None else 'image'
        # Of what is cut off, a part can be shown.
        image = facts.file if facts.fault in ('', 'image-truncated') else ''
        return DataFinding(kind, facts.file, detail, self.split, noun, image_id, image)


def find_copies(splits: Mapping[str, Sequence[tuple[ImageFacts, object]]]) -> Iterator[DataFinding]:
    """Find images of the same content, in one split and in two.

    Args:
        splits: The images of each split, with their ids.
    """
    found: dict[bytes, list[tuple[str, ImageFacts, object]]] = defaultdict(list)
    for split, images in splits.items():
        for facts, image_id in images:
            found[facts.digest].append((split, facts, image_id))
    for copies in found.values():
        firsts: dict[str, ImageFacts] = {}
        for split, facts, image_id in copies:
            noun = '' if image_id is None else 'image'
            place = dict(split=split, noun=noun, id=image_id, image=facts.file)
            if split not in firsts:
                other = next(iter(firsts.items()), None)
                firsts[split] = facts
                if other:
                    detail = f'it is {other[1].file} of {other[0]}, too'
                    yield DataFinding('image-in-two-splits', facts.file, detail, other=other[1].file, **place)
            elif firsts[split].file != facts.file:
                detail = f'it has the pixels of {firsts[split].file}'
                yield DataFinding('duplicate-image', facts.file, detail, other=firsts[split].file, **place)
