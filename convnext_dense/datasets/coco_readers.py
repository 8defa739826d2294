"""Which of mmdet's datasets read a COCO file, and of what kind."""

# The methods by which they do, and the kind of file. A subclass that reads in another way is unknown. They are names,
# so that a segmenter's run need not import mmdet.
READERS = {
    'CocoDataset.load_data_list': None,
    'Objects365V1Dataset.load_data_list': None,
    'LVISV05Dataset.load_data_list': 'lvis',
    'LVISV1Dataset.load_data_list': 'lvis',
    'CocoDataset.parse_data_info': 'instances',
    'CocoPanopticDataset.parse_data_info': 'panoptic',
}


def coco_kind(dataset_type: type) -> str | None:
    """Return which kind of COCO file a class of mmdet's `CocoDataset` reads: 'instances', 'panoptic' or 'lvis'.

    Args:
        dataset_type: `CocoDataset`, or a class that inherits from it.

    Returns:
        The kind, or None if it reads its annotations in another way.

    Example:
        >>> from mmdet.datasets import CocoDataset
        >>> coco_kind(CocoDataset)
        'instances'
    """
    methods = [getattr(dataset_type, name, None) for name in ('load_data_list', 'parse_data_info')]
    kinds = [READERS.get(getattr(method, '__qualname__', ''), 'unknown') for method in methods]
    return None if 'unknown' in kinds else kinds[0] or kinds[1]
