"""The statistics that a teacher's features are standardized by."""

import torch

from convnext_dense.distillation import Standardization, standardization


def maps(count):
    return [torch.randn(2, 3, 4, 4) * torch.tensor([1.0, 20.0, 0.1]).view(3, 1, 1) + 5 for _ in range(count)]


class TestStandardization:
    def test_is_by_the_channels_of_all_steps(self):
        standardize = Standardization(3).train()
        seen = maps(6)
        for batch in seen:
            standardize(batch)
        whole = torch.cat(seen)
        torch.testing.assert_close(standardize.mean, whole.mean((0, 2, 3)))
        standardized = standardize.eval()(whole)
        torch.testing.assert_close(standardized.mean((0, 2, 3)), torch.zeros(3), atol=1e-3, rtol=0)
        torch.testing.assert_close(standardized.std((0, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)

    def test_stays_after_the_measured_steps(self, monkeypatch):
        monkeypatch.setattr(standardization, 'MEASURED_STEPS', 2)
        standardize = Standardization(3).train()
        for batch in maps(2):
            standardize(batch)
        before = standardize.mean.clone()
        standardize(maps(1)[0] + 100)
        assert torch.equal(standardize.mean, before)

    def test_goes_on_from_a_state_dict(self):
        first, second = Standardization(3).train(), Standardization(3).train()
        one, other = maps(2)
        first(one)
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(other), second(other))
