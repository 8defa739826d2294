"""Whatever a backbone is given, it is built, or says in one sentence which argument is wrong."""

import inspect

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from convnext_dense.backbones import ConvNeXt, ModernizedResNet, TimmBackbone

SMALL = {
    ConvNeXt: dict(arch=dict(depths=[1, 1], channels=[4, 8]), out_indices=(0, 1)),
    ModernizedResNet: dict(depths=(1, 1), width=4, out_indices=(0, 1)),
    TimmBackbone: dict(model_name='resnet18'),
}
# Large ones would be built, and take long.
NUMBERS = st.integers(-70, 70) | st.floats() | st.booleans() | st.none()
TEXTS = st.text(max_size=8) | st.sampled_from(['tiny', 'BN', 'LN2d', 'GELU', 'triton', 'torch', 'resnet10t', 'type'])
KEYS = st.sampled_from(['type', 'depths', 'channels', 'eps', 'std', 'img_size', 'x'])
NONSENSE = st.recursive(
    NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
FEW, MANY = 15, 1000


def arguments_of(kind):
    return [name for name in inspect.signature(kind).parameters if name != 'init_cfg']


def check_arguments(kind: type, data: st.DataObject) -> None:
    changed = data.draw(st.dictionaries(st.sampled_from(arguments_of(kind)), NONSENSE, min_size=1, max_size=2))
    try:
        with torch.device('meta'):
            backbone = kind(**{**SMALL[kind], **changed})
    except ValueError as error:
        # It has the argument, its value, or the name inside of it that is wrong; or an argument that no longer fits.
        words = [word for name, value in changed.items() for word in (name, repr(value), *names_in(value))]
        words += SMALL[kind]
        assert any(word in str(error) for word in words), error
        assert '\n' not in str(error)
        return
    channels = changed.get('in_channels', 3)
    assume(isinstance(channels, int))
    with torch.device('meta'):
        maps = backbone(torch.empty(1, channels, 512, 512))
    assert len(maps) == len(backbone.out_indices)


def names_in(value: object) -> list[str]:
    return [f'{name}=' for name in value] if isinstance(value, dict) else []


def check_size(kind: type, data: st.DataObject) -> None:
    height, width = (data.draw(st.integers(1, 70)) for _ in range(2))
    backbone = built(kind)
    image = torch.rand(data.draw(st.integers(1, 2)), 3, height, width)
    with torch.no_grad():
        if kind is not TimmBackbone and min(height, width) < backbone.stride:
            with pytest.raises(ValueError, match=f'the image must be at least {backbone.stride} pixels high and wide'):
                backbone(image)
            return
        maps = backbone(image)
    assert len(maps) == len(backbone.out_indices)
    for y, i in zip(maps, backbone.out_indices, strict=True):
        assert y.isfinite().all()
        stride = 4 * 2**i
        rounded = [-(-side // stride) for side in (height, width)]
        assert list(y.shape[2:]) == (rounded if kind is not ConvNeXt else [side // stride for side in (height, width)])


_built = {}


def built(kind):
    if kind not in _built:
        torch.manual_seed(0)
        _built[kind] = kind(**SMALL[kind]).eval()
    return _built[kind]


def few(test):
    return settings(max_examples=FEW, deadline=None, suppress_health_check=list(HealthCheck))(test)


def many(test):
    return pytest.mark.full(settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck))(test))


@pytest.mark.parametrize('kind', list(SMALL))
class TestNonsense:
    @few
    @given(data=st.data())
    def test_is_built_or_named_in_one_sentence(self, kind, data):
        check_arguments(kind, data)

    @many
    @given(data=st.data())
    def test_of_any_kind_is_built_or_named_in_one_sentence(self, kind, data):
        check_arguments(kind, data)


@pytest.mark.parametrize('channels', [[], {}, 3, 'wide'])
def test_of_a_timm_model_are_named_whatever_it_raises_of_them(channels):
    with pytest.raises(ValueError, match=r'timm cannot build resnet\d+ with .*channels='):
        TimmBackbone(**{**SMALL[TimmBackbone], 'model_args': dict(channels=channels)})


@pytest.mark.parametrize('kind', list(SMALL))
class TestImages:
    @few
    @given(data=st.data())
    def test_of_any_size_have_maps_or_are_too_small(self, kind, data):
        check_size(kind, data)

    @many
    @given(data=st.data())
    def test_of_many_sizes_have_maps_or_are_too_small(self, kind, data):
        check_size(kind, data)


class TestInitCfg:
    @pytest.mark.parametrize('kind', list(SMALL))
    @pytest.mark.parametrize('value', ['Pretrained', 3, [1], ['a'], (dict(type='Normal'),), [[dict()]]])
    def test_of_another_kind_is_named(self, kind, value):
        with pytest.raises(ValueError, match='init_cfg must be a dict or a list of dicts or None; got'):
            kind(**SMALL[kind], init_cfg=value)
