"""The key layouts of public ConvNeXt weights: a table each, from the official repository's names to the layout's.

A row is a pair of names. Fields in braces are the stage ``{s}``, the block ``{b}``, another index ``{i}``, a module
``{m}`` and the parameter ``{p}``; a field has the same value on both sides. The first row that matches a name counts.
"""

import re
from dataclasses import dataclass
from functools import cached_property

# No ConvNeXt has as many stages and blocks. A file could name one that takes all memory to build.
FIELDS = {'s': r'\d{1,2}', 'b': r'\d{1,3}', 'i': r'\d+', 'm': r'\w+', 'p': r'\w+'}


@dataclass(frozen=True)
class Layout:
    """How one library names the parameters of a ConvNeXt.

    Args:
        name: The layout's name, for people.
        rows: Pairs of an official name and this layout's, with fields in braces.
        signatures: Names, with fields in braces, that recognize this layout: one tensor of every block, by a name that
            no other layout has.
        dropped: Regular expressions of names that have no use in a backbone, each with what they are.
    """

    name: str
    rows: tuple[tuple[str, str], ...]
    signatures: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...] = ()

    @cached_property
    def signature(self) -> re.Pattern:
        """Matches the signatures after any prefix, which is the first group."""
        names = '|'.join(_pattern(signature, named=False) for signature in self.signatures)
        return re.compile(f'(.*?)(?:{names})')

    @cached_property
    def _to_official(self) -> list[tuple[re.Pattern, str]]:
        return [(re.compile(_pattern(name)), official) for official, name in self.rows]

    @cached_property
    def _from_official(self) -> list[tuple[re.Pattern, str]]:
        return [(re.compile(_pattern(official)), name) for official, name in self.rows]

    def to_official(self, name: str) -> str | None:
        """Return the official repository's name for this layout's `name`, or None if it has none.

        Example:
            >>> TIMM.to_official('stages.2.blocks.8.mlp.fc1.weight')
            'stages.2.8.pwconv1.weight'
        """
        return _translate(name, self._to_official)

    def from_official(self, name: str) -> str | None:
        """Return this layout's name for the official repository's `name`, or None if it has none.

        Example:
            >>> TIMM.from_official('norm3.bias')
            'head.norm.bias'
        """
        return _translate(name, self._from_official)

    def why_dropped(self, name: str) -> str | None:
        """Return what this layout's `name` is if a backbone has no use for it, else None."""
        return next((reason for pattern, reason in self.dropped if re.match(pattern, name)), None)


def _pattern(template: str, named: bool = True) -> str:
    pattern, seen = re.escape(template), set()
    for field, values in FIELDS.items():
        braced = re.escape(f'{{{field}}}')
        if named and braced in pattern:
            pattern = pattern.replace(braced, f'(?P<{field}>{values})', 1)
            seen.add(field)
        pattern = pattern.replace(braced, f'(?P={field})' if field in seen else values)
    return pattern


def _translate(name: str, rows: list[tuple[re.Pattern, str]]) -> str | None:
    for pattern, template in rows:
        if match := pattern.fullmatch(name):
            return template.format(**match.groupdict())
    return None


CLASSIFIER = 'the classifier'
HEAD = ((r'head\.', CLASSIFIER),)

# facebookresearch/ConvNeXt, ConvNeXt-V2, dinov3, and this package. A classifier's final norm is the last stage's.
OFFICIAL = Layout(
    'official',
    rows=(
        ('downsample_layers.{s}.{i}.{p}', 'downsample_layers.{s}.{i}.{p}'),
        ('stages.{s}.{b}.gamma', 'stages.{s}.{b}.gamma'),
        ('stages.{s}.{b}.{m}.{p}', 'stages.{s}.{b}.{m}.{p}'),
        ('norm{s}.{p}', 'norm{s}.{p}'),
        ('norm3.{p}', 'norm.{p}'),
    ),
    signatures=('stages.{s}.{b}.dwconv.weight',),
    dropped=(*HEAD, (r'norms\.', 'copies of the final norm'), (r'projectors\.', 'projectors of distillation')),
)

# The encoder of ConvNeXt V2's pretraining, in MinkowskiEngine's sparse layers.
FCMAE = Layout(
    'official FCMAE, sparse',
    rows=(
        ('downsample_layers.0.{i}.{p}', 'downsample_layers.0.{i}.{p}'),
        ('downsample_layers.{s}.{i}.{p}', 'downsample_layers.{s}.{i}.ln.{p}'),
        ('downsample_layers.{s}.{i}.weight', 'downsample_layers.{s}.{i}.kernel'),
        ('downsample_layers.{s}.{i}.{p}', 'downsample_layers.{s}.{i}.{p}'),
        ('stages.{s}.{b}.dwconv.weight', 'stages.{s}.{b}.dwconv.kernel'),
        ('stages.{s}.{b}.norm.{p}', 'stages.{s}.{b}.norm.ln.{p}'),
        ('stages.{s}.{b}.{m}.{p}', 'stages.{s}.{b}.{m}.linear.{p}'),
        ('stages.{s}.{b}.{m}.{p}', 'stages.{s}.{b}.{m}.{p}'),
    ),
    signatures=('stages.{s}.{b}.dwconv.kernel',),
)

# mmpretrain and mmcls, and so the ConvNeXt models of mmdet and mmseg.
MMPRETRAIN = Layout(
    'mmpretrain',
    rows=(
        ('downsample_layers.{s}.{i}.{p}', 'downsample_layers.{s}.{i}.{p}'),
        ('stages.{s}.{b}.dwconv.{p}', 'stages.{s}.{b}.depthwise_conv.{p}'),
        ('stages.{s}.{b}.pwconv{i}.{p}', 'stages.{s}.{b}.pointwise_conv{i}.{p}'),
        ('stages.{s}.{b}.gamma', 'stages.{s}.{b}.gamma'),
        ('stages.{s}.{b}.{m}.{p}', 'stages.{s}.{b}.{m}.{p}'),
        ('norm{s}.{p}', 'norm{s}.{p}'),
    ),
    signatures=('stages.{s}.{b}.depthwise_conv.weight',),
    dropped=HEAD,
)

# All ConvNeXts of timm, DINOv3 and CLIP included, and of open_clip, which wraps them as `visual.trunk.`. A model made
# with `features_only` has underscores; `norm_pre` is the final norm of models that pool after it.
TIMM = Layout(
    'timm',
    rows=(
        ('downsample_layers.0.{i}.{p}', 'stem.{i}.{p}'),
        ('downsample_layers.0.{i}.{p}', 'stem_{i}.{p}'),
        *(
            row
            for stages in ('stages.{s}', 'stages_{s}')
            for row in (
                ('downsample_layers.{s}.{i}.{p}', f'{stages}.downsample.{{i}}.{{p}}'),
                ('stages.{s}.{b}.dwconv.{p}', f'{stages}.blocks.{{b}}.conv_dw.{{p}}'),
                ('stages.{s}.{b}.norm.{p}', f'{stages}.blocks.{{b}}.norm.{{p}}'),
                ('stages.{s}.{b}.pwconv{i}.{p}', f'{stages}.blocks.{{b}}.mlp.fc{{i}}.{{p}}'),
                ('stages.{s}.{b}.grn.gamma', f'{stages}.blocks.{{b}}.mlp.grn.weight'),
                ('stages.{s}.{b}.grn.beta', f'{stages}.blocks.{{b}}.mlp.grn.bias'),
                ('stages.{s}.{b}.gamma', f'{stages}.blocks.{{b}}.gamma'),
            )
        ),
        ('norm3.{p}', 'head.norm.{p}'),
        ('norm3.{p}', 'norm_pre.{p}'),
    ),
    signatures=('stages.{s}.blocks.{b}.conv_dw.weight', 'stages_{s}.blocks.{b}.conv_dw.weight'),
    dropped=HEAD,
)

# torchvision's `features` are the stem, then stages and downsampling layers in turn.
TORCHVISION = Layout(
    'torchvision',
    rows=(
        *(
            row
            for s in range(4)
            for row in (
                (f'downsample_layers.{s}.{{i}}.{{p}}', f'features.{2 * s}.{{i}}.{{p}}'),
                (f'stages.{s}.{{b}}.dwconv.{{p}}', f'features.{2 * s + 1}.{{b}}.block.0.{{p}}'),
                (f'stages.{s}.{{b}}.norm.{{p}}', f'features.{2 * s + 1}.{{b}}.block.2.{{p}}'),
                (f'stages.{s}.{{b}}.pwconv1.{{p}}', f'features.{2 * s + 1}.{{b}}.block.3.{{p}}'),
                (f'stages.{s}.{{b}}.pwconv2.{{p}}', f'features.{2 * s + 1}.{{b}}.block.5.{{p}}'),
                (f'stages.{s}.{{b}}.gamma', f'features.{2 * s + 1}.{{b}}.layer_scale'),
            )
        ),
        ('norm3.{p}', 'classifier.0.{p}'),
    ),
    signatures=('features.{s}.{b}.block.0.weight',),
    dropped=((r'classifier\.2\.', CLASSIFIER),),
)

# transformers' ConvNext and ConvNextV2: models, classifiers, backbones, and UperNet's backbone.
TRANSFORMERS = Layout(
    'transformers',
    rows=(
        ('downsample_layers.0.0.{p}', 'embeddings.patch_embeddings.{p}'),
        ('downsample_layers.0.1.{p}', 'embeddings.layernorm.{p}'),
        ('downsample_layers.{s}.{i}.{p}', 'encoder.stages.{s}.downsampling_layer.{i}.{p}'),
        ('stages.{s}.{b}.norm.{p}', 'encoder.stages.{s}.layers.{b}.layernorm.{p}'),
        ('stages.{s}.{b}.gamma', 'encoder.stages.{s}.layers.{b}.layer_scale_parameter'),
        ('stages.{s}.{b}.grn.gamma', 'encoder.stages.{s}.layers.{b}.grn.weight'),
        ('stages.{s}.{b}.grn.beta', 'encoder.stages.{s}.layers.{b}.grn.bias'),
        ('stages.{s}.{b}.{m}.{p}', 'encoder.stages.{s}.layers.{b}.{m}.{p}'),
        *((f'norm{s}.{{p}}', f'hidden_states_norms.stage{s + 1}.{{p}}') for s in range(4)),
        ('norm3.{p}', 'layernorm.{p}'),
    ),
    signatures=('encoder.stages.{s}.layers.{b}.dwconv.weight',),
    dropped=((r'classifier\.', CLASSIFIER),),
)

# transformers' DINOv3ConvNext. Newer versions have the stages in `model.`, and the final norm next to it.
TRANSFORMERS_DINOV3 = Layout(
    'transformers DINOv3',
    rows=(
        *(
            row
            for stages in ('model.stages.{s}', 'stages.{s}')
            for row in (
                ('downsample_layers.{s}.{i}.{p}', f'{stages}.downsample_layers.{{i}}.{{p}}'),
                ('stages.{s}.{b}.dwconv.{p}', f'{stages}.layers.{{b}}.depthwise_conv.{{p}}'),
                ('stages.{s}.{b}.norm.{p}', f'{stages}.layers.{{b}}.layer_norm.{{p}}'),
                ('stages.{s}.{b}.pwconv{i}.{p}', f'{stages}.layers.{{b}}.pointwise_conv{{i}}.{{p}}'),
                ('stages.{s}.{b}.gamma', f'{stages}.layers.{{b}}.gamma'),
            )
        ),
        ('norm3.{p}', 'layer_norm.{p}'),
    ),
    signatures=(
        'model.stages.{s}.layers.{b}.depthwise_conv.weight',
        'stages.{s}.layers.{b}.depthwise_conv.weight',
    ),
)

LAYOUTS = (OFFICIAL, FCMAE, MMPRETRAIN, TIMM, TORCHVISION, TRANSFORMERS, TRANSFORMERS_DINOV3)
