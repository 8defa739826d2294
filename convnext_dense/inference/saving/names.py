"""Names what is saved after the images that it is of."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

from convnext_dense.evaluation.output_files import OutputNames
from convnext_dense.results.image_input import ImageInput, Video

WEBCAM = 'webcam-'


class SavedNames:
    """Names files after images, which keep the folders that tell them apart; after videos, and frames of them.

    Args:
        files: The files among the images.

    Example:
        >>> names = SavedNames(['data/a/1.jpg', 'data/b/1.jpg'])
        >>> image = ImageInput('data/b/1.jpg', 'data/b/1.jpg')
        >>> names.original(image), names.stem(image).as_posix()
        ('b/1.jpg', 'b/1')
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = {os.path.abspath(file) for file in files}
        self.originals, self.names = OutputNames(files), OutputNames(files, '.png')

    def original(self, image: ImageInput) -> str:
        """Return an image's own name: its path below the folder that all have in common, or its address."""
        if image.video:
            return self._video_name(image.video)
        return self.originals[image.path].as_posix() if self._is_file(image.path) else image.name

    def stem(self, image: ImageInput) -> Path:
        """Return an image's name without a suffix, below a folder."""
        if image.video:
            return self.video(image.video) / f'{image.frame:06d}'
        if self._is_file(image.path):
            name = self.names[image.path]
            return name.with_name(name.name.removesuffix('.png'))
        # A download's name has a digest of its address.
        return Path(Path(image.path or image.name).stem)

    def video(self, video: Video) -> Path:
        """Return a video's name without a suffix, below a folder."""
        return Path(os.path.splitext(self._video_name(video))[0] or 'video')

    def _video_name(self, video: Video) -> str:
        if video.name.isdecimal():
            return f'{WEBCAM}{video.name}'
        if self._is_file(video.name):
            return self.originals[video.name].as_posix()
        return Path(urlparse(video.name).path).name or urlparse(video.name).netloc or 'video'

    def _is_file(self, path: str | None) -> bool:
        return path is not None and os.path.abspath(os.path.expanduser(path)) in self.files
