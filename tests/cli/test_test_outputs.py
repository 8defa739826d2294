"""What `convnext-dense test` writes and draws: every image its own file, whole or not at all, and NaN no score."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.demo_runs import DETECTOR, FEW_WORKERS, SEGMENTER
from PIL import Image

from convnext_dense.visualization.sheet import side_by_side


@pytest.fixture
def detection_data(demo_data, tmp_path):
    """Write a test set of the demo's first images, changed by `change`; return the options that test on it."""

    def write(change=lambda data: None, folders=('',)) -> list[str]:
        source = demo_data / 'data' / 'demo'
        data = json.loads(next(source.rglob('instances_val*.json')).read_text())
        file = next(source.rglob('instances_val*.json'))
        images = next(path for path in source.rglob(data['images'][0]['file_name'])).parent
        data['images'] = data['images'][: 2 * len(folders)]
        for i, image in enumerate(data['images']):
            # Images of one name in each folder.
            name = Path(folders[i % len(folders)], f'{i // len(folders)}.jpg')
            (tmp_path / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(images / image['file_name'], tmp_path / 'images' / name)
            image['file_name'] = name.as_posix()
        ids = {image['id'] for image in data['images']}
        data['annotations'] = [one for one in data['annotations'] if one['image_id'] in ids]
        change(data)
        (tmp_path / file.name).write_text(json.dumps(data))
        return [
            *FEW_WORKERS,
            f'test_dataloader.dataset.data_root={tmp_path}',
            f'test_dataloader.dataset.ann_file={file.name}',
            'test_dataloader.dataset.data_prefix.img=images/',
            f'test_evaluator.ann_file={tmp_path / file.name}',
        ]

    return write


@pytest.fixture
def segmentation_data(demo_data, tmp_path):
    """Write a test set of images of one name in each folder; return the options that test on it."""

    def write(folders=('a', 'b'), maps=True, suffix='.jpg') -> list[str]:
        source = demo_data / 'data' / 'demo'
        label_maps = sorted(source.rglob('annotations/validation/*.png'))
        for i, folder in enumerate(2 * folders):
            label_map = label_maps[i]
            image = next(source.rglob(f'images/validation/{label_map.stem}.*'))
            for kind, file, new in (('images', image, suffix), ('annotations', label_map, '.png')):
                if kind == 'images' or maps:
                    path = tmp_path / kind / folder / f'{i // len(folders)}{new}'
                    path.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, path)
        return [
            *FEW_WORKERS,
            f'test_dataloader.dataset.data_root={tmp_path}',
            'test_dataloader.dataset.data_prefix.img_path=images',
            'test_dataloader.dataset.data_prefix.seg_map_path=annotations',
        ]

    return write


def files(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


class TestImagesOfOneName:
    def test_a_detectors_drawings_keep_their_folders(self, detector, command, detection_data, tmp_path):
        options = detection_data(folders=('a', 'b'))
        arguments = ['--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'drawn', '--cfg-options', *options]
        result = command('test', DETECTOR, detector.checkpoint, *arguments)
        assert result.status == 0, result.err[-3000:]
        assert files(tmp_path / 'drawn') == ['a/0.jpg', 'a/1.jpg', 'b/0.jpg', 'b/1.jpg']

    def test_a_segmenters_maps_and_drawings_keep_their_folders(self, segmenter, command, segmentation_data, tmp_path):
        options = segmentation_data()
        arguments = ['--work-dir', tmp_path / 'work', '--out', tmp_path / 'maps', '--show-dir', tmp_path / 'drawn']
        result = command('test', SEGMENTER, segmenter.checkpoint, *arguments, '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert files(tmp_path / 'maps') == files(tmp_path / 'drawn') == ['a/0.png', 'a/1.png', 'b/0.png', 'b/1.png']


class TestDrawings:
    @pytest.fixture
    def views(self, monkeypatch):
        """What is drawn next to each other."""
        views = []
        place = 'convnext_dense.inference.saving.draw_predictions.side_by_side'
        monkeypatch.setattr(place, lambda parts: views.append(parts) or side_by_side(parts))
        return views

    def test_are_predicts_own_next_to_the_truth(self, detector, command, detection_data, tmp_path, views):
        arguments = ['--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'drawn', '--cfg-options']
        result = command('test', DETECTOR, detector.checkpoint, *arguments, *detection_data())
        assert result.status == 0, result.err[-3000:]
        result = command('predict', DETECTOR, detector.checkpoint, tmp_path / 'images', '--out', tmp_path / 'out')
        assert result.status == 0, result.err[-3000:]
        assert [list(parts) for parts in views] == [['truth', 'prediction']] * 2
        for i, parts in enumerate(views):
            predicted = Image.open(tmp_path / 'out' / 'images' / f'{i}.jpg')
            drawn = np.asarray(parts['prediction'], np.int16)
            # A JPEG; a legend may follow below.
            assert np.abs(np.asarray(predicted, np.int16)[: len(drawn)] - drawn).mean() < 3

    def test_have_no_truth_where_there_is_none(self, segmenter, command, segmentation_data, tmp_path, views):
        arguments = ['--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'drawn', '--cfg-options']
        result = command('test', SEGMENTER, segmenter.checkpoint, *arguments, *segmentation_data(maps=False))
        assert result.status == 0, result.err[-3000:]
        assert len(files(tmp_path / 'drawn')) == 4 and not views


class TestWithoutTruth:
    def test_a_segmenter_predicts_without_label_maps(self, segmenter, command, segmentation_data, tmp_path):
        options = segmentation_data(maps=False)
        arguments = ['test', SEGMENTER, segmenter.checkpoint, '--work-dir', tmp_path / 'work']
        result = command(*arguments, '--cfg-options', *options)
        assert result.status == 2
        assert 'there are no label maps in' in result.error
        assert 'give --show-dir, or out' in result.error
        result = command(*arguments, '--out', tmp_path / 'maps', '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert len(files(tmp_path / 'maps')) == 4
        assert 'mIoU:' not in result.out
        result = command(*arguments, '--show-dir', tmp_path / 'drawn', '--tta', '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert len(files(tmp_path / 'drawn')) == 4

    def test_a_detector_predicts_without_annotations(self, detector, command, detection_data, tmp_path):
        options = detection_data(lambda data: data.pop('annotations'))
        out = tmp_path / 'out.pkl'
        arguments = ['test', DETECTOR, detector.checkpoint, '--work-dir', tmp_path / 'work']
        result = command(*arguments, '--cfg-options', *options)
        assert result.status == 2
        assert 'has no annotations, so there is nothing to score; give --show-dir' in result.error
        result = command(*arguments, '--out', out, '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert len(pickle.loads(out.read_bytes())) == 2


class TestEvaluatorLists:
    def test_a_segmenter_saves_its_maps(self, segmenter, command, tmp_path):
        config = tmp_path / 'list.py'
        config.write_text(
            f"_base_ = ['{SEGMENTER}']\n"
            "test_evaluator = [dict(type='mmseg.IoUMetric', iou_metrics=['mIoU']), "
            "dict(type='mmseg.IoUMetric', iou_metrics=['mDice'], prefix='dice')]\n"
        )
        arguments = ['--work-dir', tmp_path, '--out', tmp_path / 'maps', '--cfg-options', *FEW_WORKERS]
        result = command('test', config, segmenter.checkpoint, *arguments)
        assert result.status == 0, result.err[-3000:]
        assert len(files(tmp_path / 'maps')) == 8
        assert 'dice/mDice' in result.out

    def test_a_metric_that_is_not_there_is_found_before_the_work(self, segmenter, command, tmp_path):
        options = [*FEW_WORKERS, 'test_evaluator.iou_metrics=mIOU']
        result = command('test', SEGMENTER, segmenter.checkpoint, '--work-dir', tmp_path, '--cfg-options', *options)
        assert result.status == 2
        assert "test_evaluator.iou_metrics: there is no 'mIOU'; there are mIoU, mDice, mFscore" in result.error
        assert 'Iter(test)' not in result.out


class TestConcatenatedData:
    def test_augmentation_changes_each_dataset(self, detector, command, metrics, tmp_path):
        config = tmp_path / 'concat.py'
        config.write_text(
            f"_base_ = ['{DETECTOR}']\n"
            'one = _base_.test_dataloader.dataset\n'
            "test_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[one]))\n"
        )
        options = [*FEW_WORKERS, 'test_dataloader.batch_size=1', 'model.test_cfg.rcnn.score_thr=0.0']
        arguments = ['--work-dir', tmp_path / 'work', '--tta', '--cfg-options', *options]
        result = command('test', config, detector.checkpoint, *arguments)
        assert result.status == 0, result.err[-3000:]
        assert 'coco/bbox_mAP' in metrics(tmp_path / 'work')


class TestPlacesThatCannotBeWritten:
    """Each is found before the work."""

    @pytest.mark.parametrize('argument', ['--show-dir', '--work-dir', '--out'])
    @pytest.mark.parametrize('task', ['detector', 'segmenter'])
    def test_it_is_one_line(self, trained, command, tmp_path, argument, task):
        suffix = '/out.pkl' if argument == '--out' and task == 'detector' else ''
        (tmp_path / 'file').touch()
        for folder in ('/proc/drawn', tmp_path / 'file'):
            result = command('test', trained.config, trained.checkpoint, argument, f'{folder}{suffix}')
            assert result.status == 2
            assert result.error.startswith(f'error: {argument}: ')
            assert str(folder) in result.error
            assert '(test)' not in result.out


class TestFullDisk:
    @pytest.fixture
    def full(self, monkeypatch):
        """Let every file that a test writes be refused after its folder was looked at."""

        def refuse(path: Path, target: Path) -> Path:
            raise OSError(28, 'No space left on device')

        monkeypatch.setattr(Path, 'replace', refuse)

    @pytest.mark.parametrize(
        ('task', 'argument', 'place', 'name'),
        [
            ('detector', '--show-dir', 'drawn', 'drawn/'),
            ('detector', '--out', 'out.pkl', 'out.pkl'),
            ('segmenter', '--show-dir', 'drawn', 'drawn/'),
            ('segmenter', '--out', 'maps', 'maps/'),
        ],
    )
    @pytest.mark.usefixtures('full')
    def test_it_is_one_line_with_the_path(self, trained, command, tmp_path, argument, place, name):
        arguments = ['--work-dir', tmp_path / 'work', argument, tmp_path / place, '--cfg-options', *FEW_WORKERS]
        result = command('test', trained.config, trained.checkpoint, *arguments)
        assert result.status == 2
        assert result.error.startswith(f'error: {argument}: {tmp_path / name}')
        assert result.error.endswith('cannot be written: No space left on device.')
        assert not [file for file in files(tmp_path) if file.startswith((place, '.out'))]


class TestNaN:
    @pytest.mark.parametrize('task', ['detector', 'segmenter'])
    def test_a_model_of_nan_has_no_score(self, trained, command, tmp_path):
        checkpoint = torch.load(trained.checkpoint, weights_only=False)
        for name, tensor in checkpoint['state_dict'].items():
            if tensor.is_floating_point() and 'running' not in name:
                tensor.fill_(float('nan'))
        file = tmp_path / 'nan.pth'
        torch.save(checkpoint, file)
        arguments = ['--work-dir', tmp_path / 'work', '--cfg-options', *FEW_WORKERS]
        result = command('test', trained.config, file, *arguments)
        assert result.status == 2
        assert 'nan.pth' in result.error
        assert 'NaN' in result.error
        assert 'mAP:' not in result.out
        assert 'mIoU:' not in result.out
