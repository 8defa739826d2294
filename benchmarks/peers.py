"""The same ConvNeXt by every library that has one, each with the four normed maps that a dense head needs."""

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor, nn

from convnext_dense.backbones import ConvNeXt
from convnext_dense.errors import UsageError

OURS = 'convnext_dense'
# Of maps of a deviation of about 1, in float32.
TOLERANCE = 1e-3


class _NormedMaps(nn.Module):
    """A trunk with an output norm, its own library's, on each of its maps."""

    def __init__(
        self, trunk: nn.Module, maps: Callable[[nn.Module, Tensor], list[Tensor]], norms: list[nn.Module]
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.maps = maps
        self.norms = nn.ModuleList(norms)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(norm(each) for norm, each in zip(self.norms, self.maps(self.trunk, x), strict=True))


def build_ours(arch: str, v2: bool = False, kernels: str = 'torch') -> nn.Module:
    """Build ours, of the size `arch`."""
    return ConvNeXt(arch, use_grn=v2, layer_scale_init_value=0.0 if v2 else 1e-6, kernels=kernels)


def _timm(arch: str, v2: bool) -> nn.Module:
    import timm
    from timm.layers import LayerNorm2d

    def maps(trunk: nn.Module, x: Tensor) -> list[Tensor]:
        return trunk.forward_intermediates(x, indices=(0, 1, 2, 3), intermediates_only=True)

    trunk = timm.create_model(f'convnext{"v2" if v2 else ""}_{arch}', num_classes=0)
    trunk.norm_pre, trunk.head = nn.Identity(), nn.Identity()
    return _NormedMaps(trunk, maps, [LayerNorm2d(each, eps=1e-6) for each in ConvNeXt.arch_settings[arch].channels])


def _torchvision(arch: str, v2: bool) -> nn.Module:
    import torchvision
    from torchvision.models.convnext import LayerNorm2d

    def maps(trunk: nn.Module, x: Tensor) -> list[Tensor]:
        outputs = [x := layer(x) for layer in trunk.features]
        return outputs[1::2]

    trunk = getattr(torchvision.models, f'convnext_{arch}')()
    trunk.classifier = nn.Identity()
    for module in trunk.modules():
        # Theirs drops a part of the blocks; the others here drop none.
        if isinstance(module, torchvision.ops.StochasticDepth):
            module.p = 0.0
    return _NormedMaps(trunk, maps, [LayerNorm2d(each, eps=1e-6) for each in ConvNeXt.arch_settings[arch].channels])


def _mmpretrain(arch: str, v2: bool) -> nn.Module:
    from mmpretrain.models import ConvNeXt as Theirs

    # V2's configs there have 1x1 convolutions, V1's linear layers.
    v2_arguments = dict(use_grn=True, layer_scale_init_value=0.0, linear_pw_conv=False) if v2 else {}
    return Theirs(arch, out_indices=(0, 1, 2, 3), gap_before_final_norm=False, **v2_arguments)


def _transformers(arch: str, v2: bool) -> nn.Module:
    import transformers

    kind = 'ConvNextV2' if v2 else 'ConvNext'
    depths, channels = ConvNeXt.arch_settings[arch]
    stages = [f'stage{i}' for i in range(1, 5)]
    config = getattr(transformers, f'{kind}Config')(
        depths=list(depths), hidden_sizes=list(channels), out_features=stages
    )
    return _FeatureMaps(getattr(transformers, f'{kind}Backbone')(config))


class _FeatureMaps(nn.Module):
    """A backbone of transformers that returns its maps alone."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.trunk(x).feature_maps)


BUILDERS = {
    OURS: build_ours,
    'timm': _timm,
    'torchvision': _torchvision,
    'mmpretrain': _mmpretrain,
    'transformers': _transformers,
}
TORCHVISION_ARCHS = ('tiny', 'small', 'base', 'large')


def build_contenders(
    arch: str, v2: bool = False, libraries: list[str] | None = None, kernels: str = 'torch'
) -> dict[str, nn.Module]:
    """Build the same ConvNeXt by each library, with random weights of which none is zero.

    Each returns the maps of strides 4, 8, 16 and 32, each through a LayerNorm, and drops no block in training. That a
    peer computes what ours does is checked: ours with the peer's weights gives the peer's maps.

    Args:
        arch: A key of `ConvNeXt.arch_settings`.
        v2: Whether it is ConvNeXt V2.
        libraries: Of `BUILDERS`. Defaults to ours and all that are installed and have this size.
        kernels: What ours runs by, as in `ConvNeXt`.

    Returns:
        The backbones by library, ours first.

    Raises:
        UsageError: If a library is not installed, or does not have this size.

    Example:
        >>> list(build_contenders('atto', v2=True, libraries=['timm']))
        ['convnext_dense', 'timm']
    """
    asked = libraries is not None
    contenders = {}
    for name in [OURS, *(each for each in (libraries or BUILDERS) if each != OURS)]:
        if name not in BUILDERS:
            raise UsageError(f'--libraries: {name} is none of {", ".join(BUILDERS)}.')
        installed = importlib.util.find_spec(name) is not None
        has_size = name != 'torchvision' or (not v2 and arch in TORCHVISION_ARCHS)
        if installed and has_size:
            model = build_ours(arch, v2, kernels) if name == OURS else BUILDERS[name](arch, v2)
            contenders[name] = randomize(model)
        elif asked:
            why = f'has no ConvNeXt {"V2 " if v2 else ""}{arch}' if installed else 'is not installed'
            raise UsageError(f'--libraries: {name} {why}.')
    for name, peer in contenders.items():
        if name != OURS:
            _check_same(name, peer, build_ours(arch, v2))
    return contenders


@torch.no_grad()
def randomize(model: nn.Module) -> nn.Module:
    """Return the model, with random weights of which each counts.

    Example:
        >>> bool(randomize(nn.BatchNorm2d(8)).bias.all())
        True
    """
    for name, parameter in model.named_parameters():
        # Norms' weights and LayerScale are about 1, so that each part of a block counts.
        about = 1.0 if parameter.ndim == 1 and not name.endswith('bias') else 0.0
        parameter.normal_(about, 0.02 if parameter.ndim > 1 else 0.2)
    return model


def _check_same(name: str, peer: nn.Module, ours: nn.Module) -> None:
    """Raise RuntimeError unless ours, with the peer's weights, gives the peer's maps."""
    trunk = getattr(peer, 'trunk', peer)
    ours.load_state_dict(trunk.state_dict(), strict=False)
    for i, norm in enumerate(getattr(peer, 'norms', [])):
        getattr(ours, f'norm{i}').load_state_dict(norm.state_dict())
    image = torch.randn(1, 3, 64, 96)
    # mmpretrain's backbones return nothing from `eval`.
    ours.eval(), peer.eval()
    with torch.no_grad():
        pairs = zip(ours(image), peer(image), strict=True)
        differences = [(a - b).abs().max().item() for a, b in pairs]
    if not max(differences) < TOLERANCE:
        raise RuntimeError(
            f'{name} computes other maps than ours with its weights: they differ by {max(differences):.2g}.'
        )
