"""What is kept for the backward pass, of a backbone on a GPU that PyTorch only pretends to have."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.peers import BUILDERS
from convnext_dense.backbones import ConvNeXt
from convnext_dense.kernels import support as availability


@pytest.fixture
def kept_bytes(monkeypatch):
    """Count the bytes that a forward pass under autocast keeps, weights aside."""
    monkeypatch.setattr(availability, '_device_runs', lambda device: True)
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
                # The storage too, whose number another would else get.
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


@pytest.fixture(params=[False, True], ids=['v1', 'v2'])
def v2(request):
    return request.param


def test_the_kernels_keep_at_most_seven_tenths_of_what_the_other_libraries_do(kept_bytes, v2):
    own = kept_bytes(BUILDERS['convnext_dense']('tiny', v2, 'triton'))
    for library in ('timm', 'mmpretrain'):
        assert own <= 0.7 * kept_bytes(BUILDERS[library]('tiny', v2))


def test_without_the_hidden_layers_they_keep_about_half_of_that(kept_bytes, v2):
    def kept(recompute_hidden):
        return kept_bytes(ConvNeXt('tiny', use_grn=v2, kernels='triton', recompute_hidden=recompute_hidden))

    assert kept(True) < 0.55 * kept(False)
