"""What was found in a dataset, and the report on it."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from convnext_dense.datasets.checker.kinds import ERROR, KINDS, LEVELS


@dataclass(frozen=True)
class DataFinding:
    """A fault of one file or entry.

    Args:
        kind: The kind of fault, a key of `KINDS`.
        file: The file that has it: an image, a label map, or an annotation file.
        detail: What it is, in a few words.
        split: The split that it is in.
        noun: What the id is of: 'image', 'annotation' or 'category'; '' without an id.
        id: The entry's id.
        image: The image that shows it; '' if none does.
        box: Where in the image, as x, y, width and height in pixels.
        level: 'error', 'warning' or 'note'; by default the kind's.
        other: Another file that it is about, such as the first of two copies.
        polygons: The mask in the image, if the finding is about it.

    Example:
        >>> DataFinding('image-missing', 'a.jpg', 'there is no such file', 'train', 'image', 7).sentence
        'train: a.jpg, image 7: there is no such file'
    """

    kind: str
    file: str
    detail: str = ''
    split: str = ''
    noun: str = ''
    id: object = None
    image: str = ''
    box: Sequence[float] | None = None
    level: str = ''
    other: str = ''
    polygons: Sequence[Sequence[float]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, 'level', self.level or KINDS[self.kind].level)

    @property
    def sentence(self) -> str:
        """Where it is and what, in a line."""
        entry = f', {self.noun} {self.id!r}' if self.noun else ''
        # The file may be where the detail begins.
        detail = self.detail.removeprefix(self.file).removeprefix(':').strip()
        where = f'{self.split}: ' if self.split else ''
        return f'{where}{self.file}{entry}' + (f': {detail}' if detail else '')


@dataclass
class DataReport:
    """What was found in a dataset.

    Args:
        place: The dataset, as it was named.
        splits: Facts about each split by their names: images, objects, objects of each class, sizes, modes.
        findings: What was found.
        remarks: Sentences on what was chosen or left out.

    Example:
        >>> report = DataReport('pets', {}, [DataFinding('image-missing', 'a.jpg')])
        >>> report.has_errors, report.counts
        (True, {'error': 1, 'warning': 0, 'note': 0})
    """

    place: str
    splits: dict[str, dict] = field(default_factory=dict)
    findings: list[DataFinding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        """Whether training would stop at what was found, or be ruined by it."""
        return any(finding.level == ERROR for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each level."""
        counter = Counter(finding.level for finding in self.findings)
        return {level: counter[level] for level in LEVELS}

    @property
    def groups(self) -> list[tuple[str, str, list[DataFinding]]]:
        """The level, the kind and the findings of each kind that was found, the worst first."""
        found: dict[tuple[str, str], list[DataFinding]] = {}
        for finding in self.findings:
            found.setdefault((finding.level, finding.kind), []).append(finding)
        order = list(KINDS)
        keys = sorted(found, key=lambda key: (LEVELS.index(key[0]), order.index(key[1])))
        return [(level, kind, found[level, kind]) for level, kind in keys]

    def to_json(self) -> str:
        """Return the report as JSON."""
        kinds = [
            dict(
                kind=kind,
                level=level,
                count=len(findings),
                what=KINDS[kind].title,
                remedy=KINDS[kind].remedy,
                mended_by_fix=KINDS[kind].is_mended,
                findings=[_without_empty(finding) for finding in findings],
            )
            for level, kind, findings in self.groups
        ]
        content = dict(place=self.place, counts=self.counts, splits=self.splits, kinds=kinds)
        return json.dumps(content, indent=1, ensure_ascii=False, default=str)


def _without_empty(finding: DataFinding) -> dict:
    return {
        name: value
        for name, value in asdict(finding).items()
        if name not in ('kind', 'level', 'polygons') and value is not None and value != ''
    }


def of_kind(findings: Iterable[DataFinding], kind: str) -> list[DataFinding]:
    """Return the findings of a kind.

    Example:
        >>> of_kind([DataFinding('json', 'a.json')], 'box')
        []
    """
    return [finding for finding in findings if finding.kind == kind]
