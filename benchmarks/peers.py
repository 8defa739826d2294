"""The same ConvNeXt from every library that has one, each with the four normed maps that a dense head needs."""

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import UsageError

OURS = 'convnext_dense'
TORCHVISION_ARCHS = ('tiny', 'small', 'base', 'large')
# For float32 maps with a standard deviation of about 1.
TOLERANCE = 1e-3


class _NormedMaps(nn.Module):
    """A trunk, and an output norm of the trunk's library on each of its maps."""

    def __init__(
        self,
        trunk: nn.Module,
        forward_maps: Callable[[nn.Module, Tensor], Sequence[Tensor]],
        norm: Callable[[int], nn.Module] | None = None,
        channels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.forward_maps = forward_maps
        self.norms = nn.ModuleList(norm(width) for width in channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.forward_maps(self.trunk, x)
        if not self.norms:
            return tuple(maps)
        return tuple(norm(feature_map) for norm, feature_map in zip(self.norms, maps, strict=True))


def build_ours(arch: str, v2: bool = False, kernels: str = 'torch') -> nn.Module:
    """Build our ConvNeXt. Without LayerScale if it is V2."""
    return ConvNeXt(arch, use_grn=v2, layer_scale_init_value=0.0 if v2 else 1e-6, kernels=kernels)


def _build_timm(arch: str, v2: bool) -> nn.Module:
    import timm
    from timm.layers import LayerNorm2d

    def forward_maps(trunk: nn.Module, x: Tensor) -> list[Tensor]:
        return trunk.forward_intermediates(x, indices=(0, 1, 2, 3), intermediates_only=True)

    trunk = timm.create_model(f'convnext{"v2" if v2 else ""}_{arch}', num_classes=0)
    trunk.norm_pre, trunk.head = nn.Identity(), nn.Identity()
    return _NormedMaps(trunk, forward_maps, partial(LayerNorm2d, eps=1e-6), ConvNeXt.arch_settings[arch].channels)


def _build_torchvision(arch: str, v2: bool) -> nn.Module:
    import torchvision
    from torchvision.models.convnext import LayerNorm2d

    def forward_maps(trunk: nn.Module, x: Tensor) -> list[Tensor]:
        outputs = [x := layer(x) for layer in trunk.features]
        return outputs[1::2]

    trunk = getattr(torchvision.models, f'convnext_{arch}')()
    trunk.classifier = nn.Identity()
    for module in trunk.modules():
        # By default it drops blocks in training; the other libraries drop none.
        if isinstance(module, torchvision.ops.StochasticDepth):
            module.p = 0.0
    return _NormedMaps(trunk, forward_maps, partial(LayerNorm2d, eps=1e-6), ConvNeXt.arch_settings[arch].channels)


def _build_mmpretrain(arch: str, v2: bool) -> nn.Module:
    from mmpretrain.models import ConvNeXt as MMPretrainConvNeXt

    # Its V2 configs use 1x1 convolutions, its V1 configs linear layers.
    v2_options = dict(use_grn=True, layer_scale_init_value=0.0, linear_pw_conv=False) if v2 else {}
    return MMPretrainConvNeXt(arch, out_indices=(0, 1, 2, 3), gap_before_final_norm=False, **v2_options)


def _build_transformers(arch: str, v2: bool) -> nn.Module:
    import transformers

    name = 'ConvNextV2' if v2 else 'ConvNext'
    depths, channels = ConvNeXt.arch_settings[arch]
    stages = [f'stage{i}' for i in range(1, 5)]
    config = getattr(transformers, f'{name}Config')(
        depths=list(depths), hidden_sizes=list(channels), out_features=stages
    )
    trunk = getattr(transformers, f'{name}Backbone')(config)
    return _NormedMaps(trunk, lambda trunk, x: trunk(x).feature_maps)


BUILDERS = {
    OURS: build_ours,
    'timm': _build_timm,
    'torchvision': _build_torchvision,
    'mmpretrain': _build_mmpretrain,
    'transformers': _build_transformers,
}


def build_contenders(arch: str, v2: bool = False, libraries: Sequence[str] | None = None) -> dict[str, nn.Module]:
    """Build the same ConvNeXt from each library, with random weights of which none is zero.

    Each returns the maps of strides 4, 8, 16 and 32, each through a LayerNorm, and drops no block in training. Every
    peer is checked: our ConvNeXt with its weights gives its maps.

    Args:
        arch: A key of `ConvNeXt.arch_settings`.
        v2: Whether it is ConvNeXt V2.
        libraries: Keys of `BUILDERS`. Defaults to all libraries that are installed and have this size.

    Returns:
        The backbones by library, ours first.

    Raises:
        UsageError: If a library is unknown, is not installed, or does not have this size.
        RuntimeError: If a peer computes something else than ours.

    Example:
        >>> list(build_contenders('atto', v2=True, libraries=['timm']))
        ['convnext_dense', 'timm']
    """
    contenders = {OURS: randomize(build_ours(arch, v2))}
    for name in libraries or BUILDERS:
        if name not in BUILDERS:
            raise UsageError(f'libraries: {name} is none of {", ".join(BUILDERS)}.')
        installed = importlib.util.find_spec(name) is not None
        has_size = name != 'torchvision' or (not v2 and arch in TORCHVISION_ARCHS)
        if name != OURS and installed and has_size:
            contenders[name] = randomize(BUILDERS[name](arch, v2))
            _check_same(name, contenders[name], build_ours(arch, v2))
        elif name != OURS and libraries:
            why = f'has no ConvNeXt {"V2 " if v2 else ""}{arch}' if installed else 'is not installed'
            raise UsageError(f'libraries: {name} {why}.')
    return contenders


@torch.no_grad()
def randomize(model: nn.Module) -> nn.Module:
    """Return the model with random weights, chosen so that every part of a block counts.

    Example:
        >>> bool(randomize(nn.BatchNorm2d(8)).bias.all())
        True
    """
    for name, parameter in model.named_parameters():
        # The weights of norms and LayerScale are about 1.
        mean = 1.0 if parameter.ndim == 1 and not name.endswith('bias') else 0.0
        parameter.normal_(mean, 0.02 if parameter.ndim > 1 else 0.2)
    return model


def _check_same(name: str, peer: nn.Module, ours: nn.Module) -> None:
    """Raise RuntimeError unless our ConvNeXt with the peer's weights gives the peer's maps."""
    ours.load_state_dict(getattr(peer, 'trunk', peer).state_dict(), strict=False)
    for i, norm in enumerate(getattr(peer, 'norms', [])):
        getattr(ours, f'norm{i}').load_state_dict(norm.state_dict())
    image = torch.randn(1, 3, 64, 96)
    # mmpretrain's `eval` returns nothing.
    ours.eval(), peer.eval()
    with torch.no_grad():
        difference = max((a - b).abs().max().item() for a, b in zip(ours(image), peer(image), strict=True))
    if not difference < TOLERANCE:
        raise RuntimeError(f'{name} computes other maps than ours with its weights: they differ by {difference:.2g}.')
