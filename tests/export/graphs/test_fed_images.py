"""An exported graph is fed what the model's data preprocessor feeds its network."""

import mmdet.models
import mmseg.models
import pytest
import torch

from convnext_dense.datasets.det_preprocessor import DetDataPreprocessor
from convnext_dense.datasets.seg_preprocessor import SegDataPreProcessor
from convnext_dense.export.graphs.images import Images

NORMALIZED = dict(mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4])


@pytest.mark.parametrize('options', [{}, NORMALIZED, dict(NORMALIZED, bgr_to_rgb=True), dict(bgr_to_rgb=True)])
@pytest.mark.parametrize(
    'kind',
    [
        mmdet.models.DetDataPreprocessor,
        mmseg.models.SegDataPreProcessor,
        # As --speed data puts them into a config.
        DetDataPreprocessor,
        SegDataPreProcessor,
    ],
    ids=['mmdet', 'mmseg', 'detector', 'segmenter'],
)
def test_of_each_preprocessor(kind, options):
    preprocessor = kind(**options)
    image = torch.randint(0, 256, (3, 8, 9), dtype=torch.uint8)
    expected = preprocessor(dict(inputs=[image], data_samples=None))['inputs']
    found = Images(preprocessor)(image.permute(1, 2, 0)[None])
    torch.testing.assert_close(found, expected if isinstance(expected, torch.Tensor) else torch.stack(list(expected)))
