"""Loads each image from its file once, and then from where it is kept decoded."""

from typing import Any

from mmcv.transforms import LoadImageFromFile

from convnext_dense.datasets.images.kept_images import KeptImages
from convnext_dense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageOnce(LoadImageFromFile):
    """mmcv's LoadImageFromFile, which reads and decodes the image of a dataset's sample only the first time.

    All workers of a process that are forked share what is kept, until the run ends.

    Args:
        place: 'ram' or 'disk'.
        **arguments: Those of mmcv's.

    Example:
        >>> load = LoadImageOnce(place='disk')  # doctest: +SKIP
        >>> load(dict(img_path='1.jpg', sample_idx=0))['img_shape']  # doctest: +SKIP
        (480, 640)
    """

    def __init__(self, place: str, **arguments: Any) -> None:  # noqa: ANN401 - mmcv's
        super().__init__(**arguments)
        self.kept = KeptImages(place)

    def transform(self, results: dict) -> dict | None:
        """Load the image.

        Args:
            results: A sample with `img_path`. Without `sample_idx`, its image is not kept.

        Returns:
            The sample with `img`, (H, W) or (H, W, C), `img_shape` and `ori_shape`; None if the file cannot be read
            and mmcv's loader is to pass over that.
        """
        index, file = results.get('sample_idx'), results['img_path']
        if index is None:
            return super().transform(results)
        image = self.kept.get(index, file)
        if image is None:
            loaded = super().transform(results)
            if loaded is not None:
                self.kept.put(index, file, loaded['img'])
            return loaded
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
