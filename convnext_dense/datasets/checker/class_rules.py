"""Which classes have too little to learn from."""

from collections.abc import Collection, Iterator, Mapping
from statistics import median

from convnext_dense.datasets.checker.findings import DataFinding

# A class of fewer objects, and of less than this share of the others', is rare.
FEW, RARE_SHARE = 10, 0.1


def find_in_classes(
    classes: Mapping[str, Collection[str]],
    counts: Mapping[str, Mapping[str, int]],
    files: Mapping[str, str],
    training: Collection[str],
    few: int = FEW,
) -> Iterator[DataFinding]:
    """Find classes that no split has, that one split lacks, and that are rare in training.

    Args:
        classes: The classes of each split.
        counts: How many objects, or pixels, of each class a split has.
        files: What to name for each split.
        training: The splits that a model is trained on.
        few: Classes of more are not rare.

    Example:
        >>> classes, counts = dict(train=['cat', 'dog']), dict(train=dict(cat=3))
        >>> [finding.detail for finding in find_in_classes(classes, counts, dict(train='a.json'), ['train'])]
        ["no split has 'dog'"]
    """
    said = set()
    used = {name for split in counts.values() for name, count in split.items() if count}
    for split, names in classes.items():
        found = counts[split]
        if not any(found.values()):
            # It is said of the split as a whole.
            continue
        usual = median([count for count in found.values() if count])
        for name in dict.fromkeys(names):
            count = found.get(name, 0)
            place = dict(file=files[split], split=split, noun='category', id=name)
            if name not in used and name in said:
                continue
            if name not in used:
                said.add(name)
                yield DataFinding('unused-category', detail=f'no split has {name!r}', **place)
            elif not count:
                why = 'which cannot be learned' if split in training else 'so its score is not measured'
                yield DataFinding('class-absent', detail=f'{split} has no {name!r}, {why}', **place)
            elif split in training and count < few and count < RARE_SHARE * usual:
                detail = f'{count} of {name!r}; half of the classes have {usual:g} or more'
                yield DataFinding('class-rare', detail=detail, **place)


def group_names(categories: list[dict]) -> set[str]:
    """Return the names of categories that are only those of groups, as Roboflow writes them.

    Example:
        >>> group_names([dict(name='pets', supercategory='none'), dict(name='cat', supercategory='pets')])
        {'pets'}
    """
    names = {category.get('name') for category in categories}
    return {
        category['supercategory']
        for category in categories
        if isinstance(category.get('supercategory'), str) and category['supercategory'] != category.get('name')
    } & names
