"""Image files of every kind that OpenCV writes: they are read, and the checks have nothing to say."""

import cv2
import numpy as np
import pytest
from helpers.data.small_datasets import HEIGHT, SPLITS, WIDTH, DetectorData

from convnext_dense.checks.images.files import find_image_faults
from convnext_dense.config.channels import fit_data_preprocessor
from convnext_dense.config.data.image_channels import fit_image_channels
from convnext_dense.visualization.fed_dataset import FedDataset

ENDINGS = [
    *('bmp', 'dib', 'jpeg', 'jpg', 'jpe', 'jp2', 'png', 'webp', 'avif', 'ppm', 'pnm', 'pxm', 'ras', 'sr', 'tiff'),
    *('tif', 'hdr', 'gif', 'JPG', 'Png', 'TIF'),
]
# They lose some of an image.
LOSSY = ('jp', 'webp', 'avif', 'hdr', 'gif')


def encode(image, ending):
    try:
        done, content = cv2.imencode(f'.{ending}', image)
    except cv2.error:
        done = False
    if not done:
        pytest.skip(f'this OpenCV writes no {ending}')
    return content.tobytes()


class TestEndings:
    @pytest.mark.parametrize('ending', ENDINGS)
    def test_an_image_is_fed_as_it_was_written(self, tmp_path, ending):
        data = DetectorData(tmp_path)
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        image = np.dstack([4 * rows, 3 * columns, 200 - 2 * rows]).astype(np.uint8)
        content = encode(image, ending)
        for split, count in SPLITS.items():
            file = data.root / f'{split}.json'
            file.write_text(file.read_text().replace('.jpg', f'.{ending}'))
            for i in range(count):
                data.image(i, split).with_suffix(f'.{ending}').write_bytes(content)
        # Radiance's format has floats.
        fit_image_channels(data.cfg, has_data=True)
        fit_data_preprocessor(data.cfg)
        assert list(find_image_faults(data.plan())) == []
        (fed,) = FedDataset(data.cfg, 'train').read(0, 0)
        assert fed.file.endswith(ending)
        difference = np.abs(fed.picture.astype(int) - image[..., ::-1])
        if not ending.lower().startswith(LOSSY):
            assert difference.max() == 0
        elif ending != 'hdr':
            # GIF has 256 colors.
            assert difference.mean() < 20
