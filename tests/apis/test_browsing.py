"""`browse`, which draws what a model is fed."""

import re

import numpy as np
import pytest
from helpers.data.small_datasets import DetectorData, SegmenterData
from PIL import Image

from convnext_dense.apis import browse
from convnext_dense.errors import UsageError


@pytest.fixture
def detector(tmp_path):
    return DetectorData(tmp_path)


def images_of(page):
    return re.findall(r'<img [^>]*src="data:image/jpeg;base64,', page.read_text(encoding='utf-8'))


class TestBrowse:
    def test_writes_sheets_images_and_a_page(self, detector, tmp_path):
        browsed = browse(detector.cfg, out=tmp_path / 'out')
        assert [path.name for path in browsed.sheets] == ['sheet-01.png']
        assert [path.name for path in browsed.images] == [f'00{i + 1}_{i}.png' for i in range(4)]
        assert browsed.total == 4
        for path in (*browsed.sheets, *browsed.images):
            assert Image.open(path).size[0] > 300
        # Each is there small and large, and nothing is fetched.
        assert len(images_of(browsed.page)) == 2 * 4
        assert 'http' not in browsed.page.read_text()

    def test_draws_a_segmenters_label_maps(self, tmp_path):
        data = SegmenterData(tmp_path)
        data.cfg.model.data_preprocessor.size_divisor = 8
        page = browse(data.cfg, out=tmp_path / 'out').page.read_text()
        assert all(name in page for name in ('sky', 'road', 'car'))

    def test_by_default_the_files_are_in_the_work_dir(self, detector, tmp_path):
        assert browse(detector.cfg, 'val').page == tmp_path / 'work/browse/val/browse.html'

    def test_the_same_seed_writes_the_same(self, detector, tmp_path):
        flip = dict(type='RandomFlip', prob=0.5)
        detector.dataset().pipeline.insert(2, flip)
        first, again, other = (
            browse(detector.cfg, 'train', tmp_path / name, 2, seed) for name, seed in [('a', 0), ('b', 0), ('c', 1)]
        )
        sheets = [np.asarray(Image.open(browsed.sheets[0])) for browsed in (first, again, other)]
        assert (sheets[0] == sheets[1]).all()
        assert sheets[0].shape != sheets[2].shape or (sheets[0] != sheets[2]).any()

    def test_leaves_nothing_of_what_it_wrote_before(self, detector, tmp_path):
        browse(detector.cfg, out=tmp_path / 'out')
        (tmp_path / 'out' / 'mine.png').touch()
        browsed = browse(detector.cfg, out=tmp_path / 'out', count=2)
        assert len(list((tmp_path / 'out' / 'images').iterdir())) == len(browsed.images) == 2
        assert (tmp_path / 'out' / 'mine.png').exists()

    def test_images_of_one_name_have_files_of_their_own(self, detector, tmp_path):
        parts = [detector.dataset(split).to_dict() for split in ('train', 'val')]
        detector.cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=parts)
        browsed = browse(detector.cfg, out=tmp_path / 'out')
        assert len({path.name for path in browsed.images}) == 6
        page = browsed.page.read_text()
        assert 'train/0.jpg' in page and 'val/0.jpg' in page

    def test_names_that_are_no_html_are_escaped(self, detector, tmp_path):
        for split in ('train', 'val'):
            file = detector.root / f'{split}.json'
            file.write_text(file.read_text().replace('"cell"', '"<b>ü&汽"'))
        detector.cfg.train_dataloader.dataset.metainfo.classes = ('<b>ü&汽',)
        page = browse(detector.cfg, out=tmp_path / 'out').page.read_text(encoding='utf-8')
        assert '&lt;b&gt;ü&amp;汽' in page and '<b>ü' not in page


class TestFaults:
    @pytest.mark.parametrize(
        ('arguments', 'says'),
        [
            (dict(split='training'), "split: it must be train, val, test; got 'training'"),
            (dict(split='test'), 'split: the config has no test_dataloader.dataset to browse'),
            (dict(count=0), 'count: it must be at least 1; got 0'),
            (dict(seed=-1), 'seed: it must be at least 0; got -1'),
            (dict(out=__file__), 'out: .* is a file; give a folder'),
            (dict(skip_check=['pictures']), "skip_check: there is no check 'pictures'"),
        ],
    )
    def test_a_wrong_argument_is_one_sentence(self, detector, arguments, says):
        with pytest.raises(UsageError, match=says):
            browse(detector.cfg, **arguments)

    def test_bad_data_is_said_before_anything_is_drawn(self, detector, tmp_path):
        detector.image(2).unlink()
        with pytest.raises(UsageError, match=r'2\.jpg'):
            browse(detector.cfg, out=tmp_path / 'out')
        assert not list((tmp_path / 'out').glob('**/*.png'))

    def test_a_check_that_is_skipped_stops_nothing(self, detector, tmp_path):
        detector.write('train', {0: (80, 112)})
        with pytest.raises(UsageError, match='its annotations are for 112x80 px'):
            browse(detector.cfg, out=tmp_path / 'out')
        assert len(browse(detector.cfg, out=tmp_path / 'out', skip_check=['images']).images) == 4
