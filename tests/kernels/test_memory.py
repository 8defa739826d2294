"""How much memory the forward pass keeps for the backward pass, counted on fake tensors of a GPU."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.peers import BUILDERS
from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels import devices


@pytest.fixture
def kept_bytes(monkeypatch):
    """Count the bytes that a forward pass under autocast keeps, without the weights."""
    monkeypatch.setattr(devices, 'is_supported_device', lambda device: True)
    monkeypatch.setattr(torch.cuda.amp.common, 'amp_definitely_not_available', lambda: False)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: True)

    def count(model: nn.Module) -> int:
        kept = {}
        with FakeTensorMode():
            for module in model.modules():
                for name, parameter in module.named_parameters(recurse=False):
                    setattr(module, name, nn.Parameter(torch.empty(parameter.shape, device='cuda')))
            weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}

            def keep(tensor):
                # Keep the storage alive, so that no other one gets its number.
                storage = tensor.untyped_storage()
                kept[storage._cdata] = storage
                return tensor

            images = torch.empty(2, 3, 800, 1344, device='cuda')
            with torch.autograd.graph.saved_tensors_hooks(keep, keep), torch.autocast('cuda', torch.bfloat16):
                # mmpretrain's backbones return nothing from `train`.
                model.train()
                assert len(model(images)) == 4
        return sum(storage.nbytes() for number, storage in kept.items() if number not in weights)

    return count


@pytest.mark.parametrize('v2', [False, True], ids=['v1', 'v2'])
class TestKeptMemory:
    @pytest.mark.parametrize(
        'library',
        [pytest.param('timm', marks=pytest.mark.kernels), pytest.param('mmpretrain', marks=pytest.mark.full)],
    )
    def test_is_at_most_seven_tenths_of_other_libraries(self, kept_bytes, v2, library):
        ours = kept_bytes(BUILDERS['convnext_dense']('tiny', v2, 'triton'))
        assert ours <= 0.7 * kept_bytes(BUILDERS[library]('tiny', v2))

    @pytest.mark.kernels
    def test_is_about_half_if_the_hidden_layer_is_recomputed(self, kept_bytes, v2):
        def kept(recompute_hidden):
            return kept_bytes(ConvNeXt('tiny', use_grn=v2, kernels='triton', recompute_hidden=recompute_hidden))

        assert kept(True) < 0.55 * kept(False)
