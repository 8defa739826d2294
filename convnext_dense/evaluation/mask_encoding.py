"""COCO's run-length encoding of masks, on the device that they are on."""

import torch
from mmdet.structures.mask import encode_mask_results
from torch import Tensor

# How many pixels are encoded at once, at a byte each, twice over.
CHUNK = 2**28
# And how many runs, at some 400 bytes each. An object has about two in each of its columns, noise one in each pixel.
RUNS = 2**21
# A count is written in groups of five bits; seven of them hold any count below 2^34.
GROUPS = 7


def encode_masks(masks: Tensor) -> list[dict]:
    """Encode masks as pycocotools does, byte for byte.

    Args:
        masks: Of shape (N, H, W), boolean.

    Returns:
        N dicts with ``size``, the height and width, and ``counts``, COCO's compressed run lengths.

    Example:
        >>> encode_masks(torch.ones(1, 2, 3, dtype=torch.bool))
        [{'size': [2, 3], 'counts': b'06'}]
    """
    # In a CPU's memory, pycocotools' single pass over the pixels is two to three times as fast as the tensor
    # operations. From a GPU it has to wait for every pixel to be copied, where the runs are fewer; whether that makes
    # the tensor operations faster there is not measured. Masks of other types keep what mmdet makes of them.
    if masks.device.type == 'cpu' or masks.dtype != torch.bool:
        return encode_mask_results(masks.detach().cpu().numpy())
    return encode_on_device(masks)


def encode_on_device(masks: Tensor) -> list[dict]:
    """Encode boolean masks by tensor operations; see `encode_masks`.

    Masks with more than `RUNS` runs among those that are encoded at once are left to pycocotools.

    Example:
        >>> encode_on_device(torch.ones(1, 2, 3, dtype=torch.bool))
        [{'size': [2, 3], 'counts': b'06'}]
    """
    height, width = masks.shape[1:]
    at_once = max(1, CHUNK // max(1, height * width))
    encoded = []
    for chunk in masks.split(at_once) if len(masks) else []:
        ends = _run_ends(chunk)
        if int(ends.count_nonzero()) > RUNS:
            encoded += encode_mask_results(chunk.detach().cpu().numpy())
        else:
            encoded += [dict(size=[height, width], counts=text) for text in _run_lengths(ends)]
    return encoded


def _run_ends(masks: Tensor) -> Tensor:
    """Return whether a run ends before each pixel, down the columns, and behind the last."""
    pixels = masks.transpose(1, 2).flatten(1)
    # Before the first pixel stands a zero, and behind the last each run ends.
    ends = masks.new_ones(len(masks), pixels.shape[1] + 1)
    ends[:, :-1] = pixels
    ends[:, 1:-1] ^= pixels[:, :-1]
    return ends


def _run_lengths(ends: Tensor) -> list[bytes]:
    """Return COCO's text of each mask's run lengths, zeros first."""
    mask, place = ends.nonzero(as_tuple=True)
    lengths = place.clone()
    lengths[1:] -= place[:-1] * (mask[1:] == mask[:-1])

    # From the fourth length on, COCO writes the difference to the last but one.
    behind = ends.sum(1).cumsum(0)
    number = torch.arange(len(mask), device=mask.device) - (behind - ends.sum(1))[mask]
    values = lengths - lengths.roll(2) * (number > 2)

    # Five bits a character, the lowest first; the sixth says that more follow, which they do until only the sign is
    # left.
    shifts = 5 * torch.arange(GROUPS, device=mask.device)
    bits = (values[:, None] >> shifts) & 31
    rest = values[:, None] >> (shifts + 5)
    more = rest != -(bits >> 4)
    written = torch.ones_like(more)
    written[:, 1:] = more[:, :-1]
    text = (bits + 48 + 32 * more)[written].to(torch.uint8).cpu().numpy().tobytes()
    text_ends = written.sum(1).cumsum(0)[behind - 1].tolist()
    return [text[start:end] for start, end in zip([0, *text_ends], text_ends, strict=False)]
