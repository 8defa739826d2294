"""The image files of a folder as a dataset."""

from mmengine.dataset import BaseDataset

from convnext_dense.registry import DATASETS
from convnext_dense.results.image_input import images_in


@DATASETS.register_module()
class ImageFiles(BaseDataset):
    """The image files of a folder and of its folders, without annotations.

    Its arguments are those of mmengine's `BaseDataset`; ``data_prefix=dict(img=FOLDER)`` names the folder.

    Raises:
        UsageError: If there is no image in the folder.

    Example:
        >>> dataset = dict(type='convnext_dense.ImageFiles', data_prefix=dict(img='photos/'), pipeline=[])
    """

    def load_data_list(self) -> list[dict]:
        """Return the files, each as ``dict(img_path=...)``."""
        return [dict(img_path=file) for file in images_in(self.data_prefix['img'], 'images')]
