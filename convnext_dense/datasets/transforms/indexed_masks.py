"""The masks of an image as crops, with maps from the rows and columns of the image to those of the crops."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import mmcv
import numpy as np
import torch
from mmcv.ops import roi_align
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from torch import Tensor

from convnext_dense.datasets.transforms.crops import Crops

# What the maps of rows and columns have where an image was padded.
OUTSIDE = -1


class IndexedMasks(BitmapMasks):
    """mmdet's BitmapMasks, without an array of the image's size for each object.

    Flipping, cropping, padding, and resizing to nearest pixels only change two maps: from the image's rows, and from
    its columns, to those in which the masks were drawn. All that is computed equals mmdet's bit for bit. Any other
    operation draws the arrays, once, and is mmdet's.

    The constructor is mmdet's, too, and takes arrays; `from_crops` takes crops and the two maps.

    Example:
        >>> from convnext_dense.datasets.transforms.rasterize import rasterize
        >>> crops = rasterize([[[1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]]], 4, 5)
        >>> masks = IndexedMasks.from_crops(crops, np.arange(4), np.arange(5)).flip().crop(np.array([1, 1, 4, 3]))
        >>> masks.areas, masks.masks.tolist()
        (array([4], dtype=uint64), [[[0, 1, 1], [0, 1, 1]]])
    """

    _crops: Crops | None
    _rows: np.ndarray
    _columns: np.ndarray
    _arrays: np.ndarray

    @classmethod
    def from_crops(cls, crops: Crops, rows: np.ndarray, columns: np.ndarray) -> 'IndexedMasks':
        """Return compact masks; the constructor is mmdet's and takes arrays.

        Args:
            crops: The masks as drawn.
            rows: For each row of the image, the row in which the masks were drawn; -1 where it was padded, (height,).
            columns: Likewise, (width,).
        """
        masks = cls.__new__(cls)
        masks.height, masks.width = len(rows), len(columns)
        masks._crops, masks._rows, masks._columns = crops, rows, columns
        return masks

    @property
    def masks(self) -> np.ndarray:
        """The masks as mmdet has them, (objects, height, width). Who asks for them may also change them."""
        if self._crops is not None:
            self.masks = self.drawn()
        return self._arrays

    @masks.setter
    def masks(self, arrays: np.ndarray) -> None:
        self._arrays, self._crops = arrays, None

    @property
    def is_compact(self) -> bool:
        """Whether nobody has asked for the arrays yet."""
        return self._crops is not None

    def drawn(self) -> np.ndarray:
        """Return the masks as arrays, and stay compact, (objects, height, width)."""
        if self._crops is None:
            return self._arrays
        arrays = np.zeros((len(self), self.height, self.width), np.uint8)
        for array, (window, part) in zip(arrays, self._crops.parts(self._rows, self._columns), strict=True):
            array[window] = part
        return arrays

    def to_bitmaps(self) -> BitmapMasks:
        """Return the masks as mmdet's own, and stay compact."""
        return BitmapMasks(self.drawn(), self.height, self.width)

    def __len__(self) -> int:
        return len(self._arrays if self._crops is None else self._crops)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_masks={len(self)}, height={self.height}, width={self.width})'

    def __getitem__(self, index: int | slice | Sequence | np.ndarray | Tensor) -> BitmapMasks:
        """Return the masks of some objects."""
        if self._crops is None:
            return super().__getitem__(index)
        chosen = np.arange(len(self))[index].reshape(-1)
        return IndexedMasks.from_crops(self._crops.choose(chosen), self._rows, self._columns)

    def rescale(self, scale: float | tuple[int, int], interpolation: str = 'nearest') -> BitmapMasks:
        """Resize the masks as mmcv's `imrescale` does."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str = 'nearest') -> BitmapMasks:
        """Resize the masks to a height and a width."""
        if self._crops is None or interpolation != 'nearest':
            return super().resize(out_shape, interpolation)
        height, width = out_shape
        rows, columns = self._rows[_nearest(self.height, height)], self._columns[_nearest(self.width, width)]
        return IndexedMasks.from_crops(self._crops, rows, columns)

    def flip(self, flip_direction: str = 'horizontal') -> BitmapMasks:
        """Flip the masks."""
        if self._crops is None or flip_direction not in ('horizontal', 'vertical', 'diagonal'):
            return super().flip(flip_direction)
        rows = self._rows if flip_direction == 'horizontal' else self._rows[::-1]
        columns = self._columns if flip_direction == 'vertical' else self._columns[::-1]
        return IndexedMasks.from_crops(self._crops, rows, columns)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> BitmapMasks:
        """Pad the masks below and on the right."""
        height, width = out_shape
        if self._crops is None or pad_val or height < self.height or width < self.width:
            return super().pad(out_shape, pad_val)
        rows, columns = (
            np.pad(places, (0, size - len(places)), constant_values=OUTSIDE)
            for places, size in ((self._rows, height), (self._columns, width))
        )
        return IndexedMasks.from_crops(self._crops, rows, columns)

    def crop(self, bbox: np.ndarray) -> BitmapMasks:
        """Crop the masks to left, top, right and bottom, as far as they are inside."""
        left, right = np.clip(bbox[0::2], 0, self.width)
        top, bottom = np.clip(bbox[1::2], 0, self.height)
        rows, columns = self._rows[top : max(bottom, top + 1)], self._columns[left : max(right, left + 1)]
        if self._crops is None or not len(rows) or not len(columns):
            return super().crop(bbox)
        return IndexedMasks.from_crops(self._crops, rows, columns)

    def crop_and_resize(
        self,
        bboxes: np.ndarray | Tensor,
        out_shape: tuple[int, int],
        inds: np.ndarray | Tensor,
        device: str | torch.device = 'cpu',
        interpolation: str = 'bilinear',
        binarize: bool = True,
    ) -> BitmapMasks:
        """Return the part of a mask in each box, resized by RoIAlign: the targets of Mask R-CNN.

        mmdet copies a whole mask for each box. Here each object's is drawn once, on the device.
        """
        boxes = torch.as_tensor(bboxes, device=device)
        if self._crops is None or not len(self) or not len(boxes):
            return super().crop_and_resize(bboxes, out_shape, inds, device, interpolation, binarize)
        objects = torch.as_tensor(inds, device=device).to(boxes.dtype)
        regions = torch.cat([objects[:, None], boxes], dim=1)
        masks = self.to_tensor(boxes.dtype, device)
        targets = roi_align(masks[:, None], regions, out_shape, 1.0, 0, 'avg', True).squeeze(1)
        return BitmapMasks((targets >= 0.5 if binarize else targets).cpu().numpy(), *out_shape)

    @property
    def areas(self) -> np.ndarray:
        """Number of pixels of each object, (objects,)."""
        if self._crops is None:
            return super().areas
        return np.array([part.sum() for _, part in self._crops.parts(self._rows, self._columns)], np.uint64)

    def get_bboxes(self, dst_type: str | type = 'hbb') -> BaseBoxes:
        """Return the boxes of the masks."""
        if self._crops is None or dst_type not in ('hbox', HorizontalBoxes):
            return super().get_bboxes(dst_type)
        boxes = np.zeros((len(self), 4), np.float32)
        for box, ((rows, columns), part) in zip(boxes, self._crops.parts(self._rows, self._columns), strict=True):
            across, down = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
            if len(across):
                left, top = columns.start, rows.start
                box[:] = left + across[0], top + down[0], left + across[-1] + 1, top + down[-1] + 1
        return HorizontalBoxes(boxes)

    def to_tensor(self, dtype: torch.dtype, device: str | torch.device) -> Tensor:
        """Return the masks as a tensor, which is drawn on its device, (objects, height, width)."""
        if self._crops is None:
            return super().to_tensor(dtype, device)
        if torch.device(device).type == 'cpu':
            return torch.from_numpy(self.drawn()).to(dtype)
        return _draw_on(device, self._crops, self._rows, self._columns).to(dtype)

    @classmethod
    def cat(cls, masks: Sequence[BitmapMasks]) -> BitmapMasks:  # pyrefly: ignore[bad-override]
        """Return the masks of several images of one size as one."""
        return BitmapMasks.cat(masks)

    def __reduce__(self) -> tuple[Callable, tuple]:
        if self._crops is None:
            return BitmapMasks, (self._arrays, self.height, self.width)
        return _unpacked, (*self._crops.packed(), _short(self._rows), _short(self._columns))


@lru_cache(maxsize=256)
def _nearest(size: int, resized: int) -> np.ndarray:
    """Return which pixel of a line OpenCV takes for each pixel of the resized line."""
    line = np.arange(size, dtype=np.float32)[None]
    return mmcv.imresize(line, (resized, 1), interpolation='nearest')[0].astype(np.int64)


def _draw_on(device: str | torch.device, crops: Crops, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """Return masks as a tensor of a device, to which only the crops are copied, (objects, height, width), uint8."""
    bits, boxes = crops.packed()
    own = Crops.unpacked(bits, boxes)
    # The last pixel is that of all that is outside of a box.
    pixels = torch.from_numpy(np.append(own.pixels, np.uint8(0))).to(device)
    left, top, right, bottom = torch.from_numpy(own.boxes).to(device)[:, :, None].unbind(1)
    starts = torch.from_numpy(own.starts).to(device)[:, None]
    down, across = (torch.from_numpy(places.astype(np.int64)).to(device) for places in (rows, columns))
    in_rows, in_columns = (down >= top) & (down < bottom), (across >= left) & (across < right)
    places = (starts + (across - left) * (bottom - top))[:, None] + (down - top)[:, :, None]
    return pixels[places.where(in_rows[:, :, None] & in_columns[:, None], len(pixels) - 1)]


def _short(places: np.ndarray) -> np.ndarray:
    return places.astype(np.int16 if places.max(initial=0) <= np.iinfo(np.int16).max else np.int32)


def _unpacked(bits: np.ndarray, boxes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> IndexedMasks:
    return IndexedMasks.from_crops(Crops.unpacked(bits, boxes), rows.astype(np.int64), columns.astype(np.int64))
