"""Training images that are decoded once."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.demo_runs import DETECTOR, detector_options
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from torch.utils.data import DataLoader, Dataset

from convnext_dense.config import keep_images
from convnext_dense.datasets.images import kept_images
from convnext_dense.datasets.images.kept_images import DTYPES, KeptImages, Room
from convnext_dense.datasets.images.load_once import LoadImageOnce
from convnext_dense.errors import UsageError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('CONVNEXT_DENSE_CACHE', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture
def files(tmp_path):
    """Five images of other sizes."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f'{i}.png' for i in range(5)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), rng.integers(0, 256, (10 + i, 20 - i, 3), np.uint8))
    return paths


class Samples(Dataset):
    """A dataset of the images, as mmengine's pass them to a loader."""

    def __init__(self, files, load):
        self.files, self.load = files, load

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return self.load(dict(img_path=str(self.files[index]), sample_idx=index))


def open_images():
    """Return the files without a name that this process has open for images."""
    links = {os.path.realpath(link) for link in Path('/proc/self/fd').iterdir() if link.is_symlink()}
    return [link for link in links if 'convnext_dense_images' in link or '/images/' in link]


@pytest.mark.parametrize('place', kept_images.PLACES)
class TestLoading:
    def test_gives_what_mmcv_gives(self, files, place):
        once, each_time = Samples(files, LoadImageOnce(place)), Samples(files, LoadImageFromFile())
        for _ in range(2):
            for i in range(len(files)):
                found, expected = once[i], each_time[i]
                assert np.array_equal(found.pop('img'), expected.pop('img'))
                assert found == expected

    def test_needs_the_files_once_in_all_workers_together(self, files, place):
        loader = DataLoader(Samples(files, LoadImageOnce(place)), batch_size=None, num_workers=2)
        first = [sample['img'] for sample in loader]
        for file in files:
            file.unlink()
        second = [sample['img'] for sample in loader]
        assert all(np.array_equal(*images) for images in zip(first, second, strict=True))

    def test_what_a_transform_draws_into_an_image_is_not_kept(self, files, place):
        samples = Samples(files, LoadImageOnce(place))
        before = samples[0]['img'].copy()
        for _ in range(2):
            samples[0]['img'][:] = 0
        assert np.array_equal(samples[0]['img'], before)

    def test_one_index_of_two_files_gives_each_its_own(self, files, place):
        load = LoadImageOnce(place)
        for file in (*files, *files):
            image = load(dict(img_path=str(file), sample_idx=0))['img']
            assert np.array_equal(image, cv2.imread(str(file)))

    def test_an_image_of_no_dataset_is_loaded(self, files, place):
        assert LoadImageOnce(place)(dict(img_path=str(files[0])))['ori_shape'] == (10, 20)

    def test_nothing_is_left(self, files, place):
        samples = Samples(files, LoadImageOnce(place))
        assert [samples[i]['img_shape'][0] for i in range(5)] == [10, 11, 12, 13, 14]
        assert len(open_images()) == 1
        del samples
        assert open_images() == []
        assert [path for path in Path(os.environ['CONVNEXT_DENSE_CACHE']).rglob('*') if path.is_file()] == []


class TestKeptImages:
    @given(
        st.sampled_from(DTYPES), st.lists(st.integers(1, 9), min_size=2, max_size=3), st.integers(0, 3), st.booleans()
    )
    def test_gives_back_any_image(self, dtype, shape, seed, turned):
        image = np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)
        image = image.swapaxes(0, 1) if turned else image
        kept = KeptImages('disk', Room('disk', size=10_000))
        kept.put(7, 'a.png', image)
        found = kept.get(7, 'a.png')
        assert found.dtype == image.dtype
        assert np.array_equal(found, image)

    def test_says_once_that_there_is_no_more_place(self, files, monkeypatch):
        said: list[str] = []
        monkeypatch.setattr(kept_images, 'print_log', lambda message, **_: said.append(message))
        kept = KeptImages('ram', Room('ram', size=1000))
        for index, file in enumerate(files):
            kept.put(index, str(file), cv2.imread(str(file)))
        assert kept.get(0, str(files[0])) is not None
        assert kept.get(4, str(files[4])) is None
        assert said == [
            'cache: ram holds 0.0 GB of images and has no more place; the others are read from their files each time.'
        ]

    def test_a_disk_that_others_fill_is_no_error(self, monkeypatch):
        def write(*_):
            raise OSError(28, 'No space left on device')

        monkeypatch.setattr(kept_images, '_write', write)
        kept = KeptImages('disk', Room('disk', size=1000))
        kept.put(0, 'a.png', np.ones((2, 2, 3), np.uint8))
        assert kept.get(0, 'a.png') is None

    def test_takes_at_most_a_part_of_the_containers_memory(self, tmp_path, monkeypatch):
        monkeypatch.setattr(kept_images, 'GROUP', tmp_path)
        (tmp_path / 'memory.max').write_text('3000000\n')
        (tmp_path / 'memory.current').write_text('1000000\n')
        assert Room('ram').size == 1_000_000
        monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
        assert Room('ram').size == 250_000


class TestConfig:
    def test_an_unfit_config_is_refused(self):
        for cfg, words in (
            (dict(env_cfg=dict(mp_cfg=dict(mp_start_method='spawn'))), 'mp_start_method is fork'),
            (dict(train_dataloader=dict(dataset=dict(pipeline=[dict(type='Resize')]))), 'no LoadImageFromFile'),
        ):
            with pytest.raises(UsageError, match=f'^cache: .*{words}'):
                keep_images(Config(cfg), 'ram')

    def test_a_system_without_such_a_place_is_said(self, monkeypatch):
        monkeypatch.delattr(os, 'memfd_create')
        with pytest.raises(UsageError, match=r'^cache: ram needs Linux\.$'):
            keep_images(Config(), 'ram')

    @pytest.mark.e2e
    def test_a_run_is_the_same(self, command, tmp_path):
        options = [*detector_options(2), 'train_cfg.val_interval=2', 'randomness.seed=0']
        losses = []
        for flags in ([], ['--cache', 'ram']):
            work_dir = tmp_path / f'run{len(flags)}'
            run = command('train', DETECTOR, '--work-dir', work_dir, *flags, '--cfg-options', *options)
            assert run.status == 0, run.err[-2000:]
            losses.append([line.split('loss: ')[1] for line in run.out.splitlines() if ' loss: ' in line])
        assert losses[0] == losses[1] != []
