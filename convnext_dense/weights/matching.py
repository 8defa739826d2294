"""Decides, before anything is loaded, which tensors of a checkpoint go into a backbone, and reports it."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import CheckpointError
from convnext_dense.weights.conversion import OUTSIDE, to_official
from convnext_dense.weights.recognize import DetectedWeights, Size, infer_size, recognize
from convnext_dense.wording import counted

STEM = 'downsample_layers.0.0.weight'
NORM = re.compile(r'norm\d')
IN_BLOCK = re.compile(r'(^|\.)(stages|features)[._]\d')
# timm inflates stems of this many channels only.
RGB = 3
SHOWN = 4
MAX_SHOWN = 1000


@dataclass
class LoadReport:
    """What a load does with each tensor of a checkpoint, and of the backbone. As text it is a readable summary.

    Args:
        source: Where the checkpoint is from.
        layout: The layout's name.
        prefix: What stood before the layout's names, nested dicts included.
        size: The size of the ConvNeXt in the checkpoint.
        backbone: The size of the backbone.
        dtypes: The precisions of the checkpoint's ConvNeXt.
        matched: Official names of tensors that load.
        dropped: Names in the checkpoint that are left out on purpose, by reason.
        new: The backbone's output norms that the checkpoint lacks; they keep their initial values.
        missing: Other tensors of the backbone that the checkpoint lacks.
        unexpected: Tensors of the checkpoint's ConvNeXt that the backbone has no place for.
        outside_block: Unknown names in the checkpoint, outside of all blocks; they are left out.
        wrong_shape: The shape in the checkpoint and in the backbone, by official name.
        inflated: The stem's input channels in the checkpoint, if the backbone has another number.
    """

    source: str
    layout: str
    prefix: str
    size: Size
    backbone: Size
    dtypes: tuple[torch.dtype, ...]
    matched: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    outside_block: list[str] = field(default_factory=list)
    wrong_shape: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    inflated: int | None = None

    @property
    def fits(self) -> bool:
        """Whether every tensor of the backbone except new norms is matched, and every known tensor has a place."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def problem(self) -> str:
        """Say in one sentence why the checkpoint does not fit: which tensors, and the likely cause."""
        parts = []
        if self.missing:
            parts.append(f'it lacks {shorten(self.missing)}')
        if self.wrong_shape:
            shapes = [
                f'{name} (file {_format_shape(file)}, backbone {_format_shape(own)})'
                for name, (file, own) in self.wrong_shape.items()
            ]
            parts.append(f'the shapes differ of {shorten(shapes)}')
        if self.unexpected:
            parts.append(f'the backbone has no place for {shorten(self.unexpected)}')
        return f'{self.source} does not fit the backbone: {"; ".join(parts)}. Likely cause: {self._cause()}.'

    def _cause(self) -> str:
        file, model = self.size, self.backbone
        stages = len(model.depths)
        remedies = []
        if (file.depths[:stages], file.channels[:stages]) != (model.depths, model.channels):
            remedies.append(f'arch={file.arch!r}')
        if file.use_grn != model.use_grn:
            remedies.append(f'use_grn={file.use_grn}, layer_scale_init_value={0.0 if file.use_grn else 1.0}')
        if remedies:
            return f'these are weights of {file}, and the backbone is {model}; set {", ".join(remedies)}'
        if file.layer_scale != model.layer_scale:
            value = 1.0 if file.layer_scale else 0.0
            return f'the file has {"" if file.layer_scale else "no "}LayerScale; set layer_scale_init_value={value}'
        if STEM in self.wrong_shape:
            return 'another stem; only one of 3 input channels, of the same patch size, can be adapted'
        return 'the file is incomplete or was changed, for the sizes agree'

    def __str__(self) -> str:
        below = f', below {self.prefix!r}' if self.prefix else ''
        dtypes = ', '.join(str(dtype).removeprefix('torch.') for dtype in self.dtypes)
        total = len(self.matched) + len(self.missing) + len(self.wrong_shape) + len(self.new)
        lines = [
            f'Weights of {self.size} from {self.source} ({self.layout} layout{below}; {dtypes})',
            f'  matched            {len(self.matched)} of {total} tensors of the backbone',
        ]
        if self.inflated:
            lines.append(f'  adapted            the stem, from {self.inflated} input channels')
        for reason, names in self.dropped.items():
            what = count_by_module(names, self.prefix) if reason == OUTSIDE else shorten(names)
            lines.append(f'  dropped on purpose {reason}: {what}')
        rows = (
            ('newly initialized', self.new),
            ('unknown', self.outside_block),
            ('missing', self.missing),
            ('unexpected', self.unexpected),
            ('of wrong shape', list(self.wrong_shape)),
        )
        lines += [f'  {title:<18} {shorten(names)}' for title, names in rows if names]
        return '\n'.join(lines)


def match(
    tensors: Mapping[str, Tensor], backbone: ConvNeXt, source: str, prefix: str | None = None
) -> tuple[dict[str, Tensor], LoadReport]:
    """Return the tensors that go into a backbone, by its names, and the report. The backbone is not changed.

    Args:
        tensors: The checkpoint's tensors, flattened.
        backbone: The backbone; it may be on the meta device.
        source: Where the checkpoint is from, for the report.
        prefix: Which ConvNeXt to take, if the checkpoint has several: what stands before its names.

    Raises:
        CheckpointError: If no ConvNeXt is among the tensors, or none of that prefix.

    Example:
        >>> import timm
        >>> from convnext_dense.backbones import ConvNeXt
        >>> weights, report = match(timm.create_model('convnext_atto').state_dict(), ConvNeXt('atto'), 'timm')
        >>> len(report.matched), len(report.new), report.fits
        (126, 6, True)
    """
    detected = locate(tensors, source, prefix)
    official = to_official(tensors, detected)
    own = backbone.state_dict()
    report = LoadReport(
        source,
        detected.layout.name,
        detected.prefix,
        infer_size(official.weights),
        infer_size(own),
        tuple({tensor.dtype: None for tensor in official.weights.values()}),
    )
    for name, reason in official.dropped.items():
        report.dropped.setdefault(reason, []).append(name)
    for name in official.unexpected:
        # A tensor in a block must not be left out.
        (report.unexpected if IN_BLOCK.search(name) else report.outside_block).append(name)
    matched = {}
    for name, tensor in official.weights.items():
        if name not in own:
            _explain_unexpected(name, backbone, report)
            continue
        if name == STEM and _can_inflate(tensor, own[name]):
            # Imported here, so that a ConvNeXt does not import timm.
            from timm.models import adapt_input_conv

            report.inflated = tensor.shape[1]
            tensor = adapt_input_conv(own[name].shape[1], tensor)
        if tensor.shape == own[name].shape:
            report.matched.append(name)
            matched[name] = tensor
        else:
            report.wrong_shape[name] = tuple(tensor.shape), tuple(own[name].shape)
    norms = {name.split('.')[0] for name in official.weights if NORM.match(name)}
    # A classifier has its final norm at most; what was trained as a backbone has a norm for each output.
    is_classifier = norms <= {f'norm{len(backbone.depths) - 1}'}
    for name in own:
        if name in official.weights or name.endswith('num_batches_tracked'):
            continue
        is_new = is_classifier and NORM.match(name) and name.split('.')[0] not in norms
        (report.new if is_new else report.missing).append(name)
    return matched, report


def locate(tensors: Mapping[str, Tensor], source: str, prefix: str | None = None) -> DetectedWeights:
    """Return what `recognize` finds, or raise CheckpointError.

    Raises:
        CheckpointError: If no ConvNeXt is among the tensors, or none of that prefix.
    """
    detected = recognize(tensors, prefix)
    if detected is None:
        has = counted(len(tensors), 'tensor') + (f', such as {shorten(tensors)}' if tensors else '')
        raise CheckpointError(f'{source} holds no ConvNeXt in any known layout: it has {has}.')
    return detected


def describe_diverged(tensors: Mapping[str, object], source: str) -> str:
    """Say in one sentence that weights hold NaN or infinity; '' if they do not.

    Args:
        tensors: The weights by name.
        source: Where they are from.

    Example:
        >>> describe_diverged({'weight': torch.tensor([1.0, float('nan')])}, 'a.pth')[:52]
        'a.pth has 1 NaN or infinite values in 1 of 1 tensor,'
    """
    broken = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor) and not _is_finite(tensor)}
    if not broken:
        return ''
    count = sum(int((~tensor.float().isfinite()).sum()) for tensor in broken.values())
    return (
        f'{source} has {count:,} NaN or infinite values in {len(broken)} of {counted(len(tensors), "tensor")}, such as '
        f'{shorten(broken)}; the training that saved it has diverged, so take an earlier one.'
    )


def shorten(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are.

    Example:
        >>> shorten('abcdef')
        'a, b, c, d and 2 more'
    """
    names = list(names)
    shown = printable(', '.join(names[:SHOWN]))
    return f'{shown} and {len(names) - SHOWN} more' if len(names) > SHOWN else shown


def without_counters(names: Iterable[str]) -> list[str]:
    """Return the names of tensors without BatchNorm's counts of batches, which older checkpoints lack.

    Example:
        >>> without_counters(['bn.bias', 'bn.num_batches_tracked'])
        ['bn.bias']
    """
    return [name for name in names if not name.endswith('num_batches_tracked')]


def printable(text: str) -> str:
    """Return a text of a stranger's file as a terminal may show it: with control characters escaped, and cut short.

    Example:
        >>> print(printable('norm' + chr(27) + '[2J'))
        norm\\x1b[2J
    """
    text = f'{text[:MAX_SHOWN]}...' if len(text) > MAX_SHOWN else text
    return ''.join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def count_by_module(names: Iterable[str], prefix: str) -> str:
    """Return the modules that tensors outside of the one at `prefix` belong to, each with its number of tensors.

    Example:
        >>> count_by_module(['model.neck.conv.weight', 'model.neck.conv.bias', 'ema.decay'], 'model.backbone.')
        'neck (2), ema (1)'
    """
    counts = Counter()
    for name in names:
        parts, prefix_parts = name.split('.'), prefix.split('.')
        while len(parts) > 1 and parts[0] == prefix_parts[0]:
            del parts[0], prefix_parts[0]
        counts[parts[0]] += 1
    return printable(', '.join(f'{module} ({count})' for module, count in counts.items()))


def _explain_unexpected(name: str, backbone: ConvNeXt, report: LoadReport) -> None:
    """Report an official name that the backbone lacks: as dropped if the backbone lacks it on purpose."""
    stage = re.match(r'(?:stages|downsample_layers)\.(\d+)\.', name)
    if NORM.match(name):
        report.dropped.setdefault('output norms that are not asked for', []).append(name)
    elif stage and len(backbone.stages) <= int(stage[1]) < len(backbone.depths):
        report.dropped.setdefault('stages after the last output', []).append(name)
    else:
        report.unexpected.append(name)


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.numel() or not tensor.is_floating_point():
        return True
    # The extremes are NaN if any value is; `isfinite` would take memory for each value.
    low, high = (float(extreme) for extreme in tensor.detach().float().aminmax())
    # Masks of attention hold 0 and -inf.
    return (math.isfinite(low) and math.isfinite(high)) or (low, high) == (-math.inf, 0)


def _can_inflate(source: Tensor, own: Tensor) -> bool:
    return (
        source.ndim == 4
        and source.shape[1] == RGB != own.shape[1]
        and (source.shape[0], *source.shape[2:]) == (own.shape[0], *own.shape[2:])
    )


def _format_shape(shape: tuple[int, ...]) -> str:
    return 'x'.join(map(str, shape)) or 'a number'
