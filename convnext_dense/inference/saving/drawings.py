"""Draws predictions into image files, videos and a contact sheet."""

from pathlib import Path

import numpy as np
from PIL import Image

from convnext_dense.evaluation.output_files import write_whole
from convnext_dense.inference.video.videos import VideoFile
from convnext_dense.results.image_input import Video
from convnext_dense.results.result import Result
from convnext_dense.visualization.drawing import Drawing
from convnext_dense.visualization.sheet import COLUMNS, ROWS, TILE, make_sheet, make_tile
from convnext_dense.wording import counted

ON_SHEET = COLUMNS * ROWS
NOTHING = 'nothing found'
QUALITY = 92
# Of a video's frames; encoders need even sides.
EVEN = 2


def sheet_places(total: int) -> set[int]:
    """Return which of a number of images are on the contact sheet: some from beginning to end.

    Args:
        total: How many images there are; 0 if that is not known.

    Example:
        >>> sorted(sheet_places(3)), len(sheet_places(1000)), max(sheet_places(0))
        ([0, 1, 2], 12, 11)
    """
    if total <= ON_SHEET:
        return set(range(total or ON_SHEET))
    return set(np.linspace(0, total - 1, ON_SHEET).round().astype(int).tolist())


def save_drawn(drawn: Image.Image, path: Path) -> None:
    """Save a drawn image as JPEG whose colored lines stay sharp.

    Args:
        drawn: The image.
        path: The file.
    """
    drawn.save(path, 'JPEG', quality=QUALITY, subsampling=0)


class Sheet:
    """Collects small drawings of images, and puts them onto a contact sheet.

    Args:
        title: What is written above.
        total: How many images there will be; 0 if that is not known.
    """

    def __init__(self, title: str, total: int) -> None:
        self.title, self.places = title, sheet_places(total)
        self.seen = 0
        self.tiles: list[Image.Image] = []

    def add(self, result: Result, pixels: np.ndarray, title: str, drawing: Drawing) -> None:
        """Draw an image, if it is one of those on the sheet.

        Args:
            result: The result.
            pixels: The image as RGB of 8 bits.
            title: What it is.
            drawing: What draws.
        """
        self.seen += 1
        if self.seen - 1 not in self.places:
            return
        shown = result.shown(pixels)
        height, width = result.size
        objects = '' if result.boxes is None else f', {counted(len(result), "object")}'
        tile = make_tile(
            drawing.draw(shown, TILE), title, f'{width}x{height} px{objects}', drawing.legend(shown), NOTHING
        )
        self.tiles.append(tile)

    def save(self, path: Path) -> None:
        """Write the sheet.

        Args:
            path: The file.
        """
        some = f'{len(self.tiles)} of ' if self.seen > len(self.tiles) else ''
        shown = some + counted(self.seen, 'image')
        with write_whole(path, 'out') as partial:
            save_drawn(make_sheet(f'{self.title}: {shown}', self.tiles), partial)


class DrawnVideo:
    """Writes the drawn frames of a video into a file.

    Args:
        path: The file, ending in .mp4. It gets its name when it is whole.
        video: The video.
    """

    def __init__(self, path: Path, video: Video) -> None:
        self.video = video
        self.whole = write_whole(path, 'out')
        self.file = VideoFile(self.whole.__enter__(), video.rate)

    def add(self, result: Result, pixels: np.ndarray, drawing: Drawing) -> None:
        """Draw a frame.

        Args:
            result: The result.
            pixels: The frame as RGB of 8 bits.
            drawing: What draws.
        """
        frame = np.asarray(drawing.draw_frame(result.shown(pixels), result.drawn_side))
        height, width = (length - length % EVEN for length in frame.shape[:2])
        self.file.write(frame[:height, :width])

    def close(self) -> None:
        """End the file."""
        self.file.close()
        self.whole.__exit__(None, None, None)
