"""The published names, against what the libraries know."""

import timm

from convnext_dense.weights.published import PUBLISHED
from convnext_dense.weights.storage import sources


class TestPublished:
    def test_every_convnext_of_timm_has_one(self):
        """Except those of other architectures: overlapping stems and RMSNorm."""
        files = {published.address for published in PUBLISHED.values()}
        known = {file.removeprefix('timm://') for file in files}
        for name in timm.list_pretrained(['convnext_*', 'convnextv2_*']):
            if not any(part in name for part in ('_ols', '_rms')):
                assert name in known or timm.models.get_pretrained_cfg(name).url in files, name

    def test_stand_for_what_timm_and_torchvision_know(self):
        for address, _ in PUBLISHED.values():
            if address.startswith('timm://'):
                assert timm.models.get_pretrained_cfg(address.removeprefix('timm://')).hf_hub_id
            elif address.startswith('torchvision://'):
                assert sources._torchvision_address(address.removeprefix('torchvision://'))

    def test_have_the_licenses_that_timm_states(self):
        for address, license in PUBLISHED.values():
            if address.startswith('timm://'):
                stated = timm.models.get_pretrained_cfg(address.removeprefix('timm://')).license
                assert license.lower().replace(' ', '-') == stated
        assert (
            PUBLISHED['convnextv2_tiny_fcmae'].license.lower()
            == timm.models.get_pretrained_cfg('convnextv2_tiny.fcmae').license
        )
