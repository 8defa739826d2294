"""`convnext-dense train` and `test`."""

import pickle
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from helpers.demo_runs import DETECTOR, FEW_WORKERS, SEGMENTER, detector_options, segmenter_options
from mmengine.config import Config

from convnext_dense.cli.main import build_parser


class TestTraining:
    def test_trains_and_evaluates_a_detector(self, detector):
        assert 'coco/bbox_mAP' in detector.result.out
        assert detector.checkpoint.exists()

    def test_trains_and_evaluates_a_segmenter(self, segmenter):
        assert 'mIoU' in segmenter.result.out
        assert segmenter.checkpoint.exists()

    @pytest.mark.parametrize(
        ('task', 'options', 'first_step'),
        [
            ('detector', detector_options(2), 'Epoch(train) [2][1/4]'),
            ('segmenter', segmenter_options(6), 'Iter(train) [5/6]'),
        ],
    )
    def test_resumes_where_it_stopped(self, trained, command, tmp_path, options, first_step):
        run = tmp_path / 'run'
        shutil.copytree(trained.work_dir, run)
        # The checkpoint names itself by its old place.
        (run / 'last_checkpoint').write_text(str(run / trained.checkpoint.name))
        result = command('train', trained.config, '--work-dir', run, '--resume', '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert 'resumed epoch' in result.out
        step = re.search(r'(?:Epoch|Iter)\(train\) +(?:\[[ \d/]+\])+', result.out)[0]
        assert step.replace(' ', '') == first_step.replace(' ', '')

    def test_a_checkpoint_holds_optimizer_and_log(self, detector):
        checkpoint = torch.load(detector.checkpoint)
        assert checkpoint['meta']['iter'] == 4
        assert checkpoint['optimizer']['state']
        assert checkpoint['message_hub']['log_scalars']['train/loss'].data[0].size == 4

    def test_the_work_dirs_config_runs_on_any_machine(self, segmenter, command, tmp_path):
        dumped = segmenter.work_dir / SEGMENTER.name
        assert Config.fromfile(dumped).env_cfg.dist_cfg.backend == 'nccl'
        result = command('train', dumped, '--work-dir', tmp_path, '--cfg-options', 'train_cfg.max_iters=1')
        assert result.status == 0, result.err[-3000:]

    def test_auto_scale_lr_scales_by_the_batch_size(self, command, tmp_path):
        options = [*segmenter_options(1), 'auto_scale_lr.base_batch_size=2']
        result = command('train', SEGMENTER, '--work-dir', tmp_path, '--auto-scale-lr', '--cfg-options', *options)
        assert result.status == 0, result.err[-3000:]
        assert '= 4 images an update; the lr is for 2, and is multiplied by 2.' in result.out

    @pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without a GPU')
    def test_amp_without_a_gpu_is_float32_and_says_so(self, command, tmp_path):
        result = command('train', SEGMENTER, '--work-dir', tmp_path, '--amp', '--cfg-options', *segmenter_options(1))
        assert result.status == 0, result.err[-3000:]
        assert 'training in float32' in result.out


class TestTesting:
    def test_saves_and_draws_a_detectors_predictions(self, detector, command, metrics, tmp_path):
        out, drawn = tmp_path / 'out.pkl', tmp_path / 'drawn'
        result = command(
            'test', DETECTOR, detector.checkpoint, '--work-dir', tmp_path / 'test',
            '--out', out, '--show-dir', drawn, '--cfg-options', *FEW_WORKERS,
        )  # fmt: skip
        assert result.status == 0, result.err[-3000:]
        predictions = pickle.loads(out.read_bytes())
        assert len(predictions) == 8
        assert {'bboxes', 'masks', 'scores', 'labels'} <= predictions[0]['pred_instances'].keys()
        assert len(list(drawn.glob('*.jpg'))) == 8
        assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= metrics(tmp_path / 'test').keys()

    def test_saves_and_draws_a_segmenters_predictions(self, segmenter, command, metrics, tmp_path):
        out, drawn = tmp_path / 'out', tmp_path / 'drawn'
        result = command(
            'test', SEGMENTER, segmenter.checkpoint, '--work-dir', tmp_path / 'test',
            '--out', out, '--show-dir', drawn, '--cfg-options', *FEW_WORKERS,
        )  # fmt: skip
        assert result.status == 0, result.err[-3000:]
        maps = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in out.glob('*.png')]
        assert len(maps) == 8
        # As ADE20K counts: 1 is the first class.
        assert {value for labels in maps for value in np.unique(labels)} <= set(range(1, 6))
        assert len(list(drawn.rglob('*.png'))) == 8
        assert 'mIoU' in metrics(tmp_path / 'test')

    @pytest.mark.parametrize(
        ('task', 'metric', 'options'),
        [
            # A detector this little trained is sure of nothing, and masks come with boxes alone.
            ('detector', 'coco/bbox_mAP', ['model.test_cfg.rcnn.score_thr=0.0']),
            ('segmenter', 'mIoU', []),
        ],
    )
    def test_augments(self, trained, command, metrics, tmp_path, metric, options):
        result = command(
            'test', trained.config, trained.checkpoint, '--work-dir', tmp_path, '--tta',
            '--cfg-options', *FEW_WORKERS, 'test_dataloader.batch_size=1', *options,
        )  # fmt: skip
        assert result.status == 0, result.err[-3000:]
        assert metric in metrics(tmp_path)


class TestTestingAModel:
    @pytest.mark.parametrize(('task', 'source'), [('detector', 'work_dir'), ('segmenter', 'checkpoint')])
    def test_needs_no_config(self, trained, command, metrics, tmp_path, source):
        def scores(place):
            return {name: score for name, score in metrics(place).items() if 'time' not in name}

        named, alone = tmp_path / 'named', tmp_path / 'alone'
        for place, model in ((named, [trained.config, trained.checkpoint]), (alone, [getattr(trained, source)])):
            result = command('test', *model, '--work-dir', place)
            assert result.status == 0, result.err[-3000:]
        assert scores(alone) == scores(named)

    def test_builds_nothing_that_is_in_no_registry(self, segmenter, command, tmp_path):
        checkpoint = torch.load(segmenter.checkpoint, weights_only=False)
        config = Config.fromstring(checkpoint['meta']['cfg'], '.py').to_dict()
        made = str(tmp_path / 'made')
        for key, part, named in (
            ('test_evaluator', dict(type='os.mkdir', path=made), 'mkdir'),
            ('test_evaluator', dict(type='DumpResults', out_file_path=made), 'DumpResults'),
            ('test_evaluator', dict(type='CityscapesMetric', output_dir=made, keep_results=False), 'CityscapesMetric'),
            ('test_dataloader', dict(dataset=dict(type='OpenImagesDataset', meta_file='a.pkl')), 'OpenImagesDataset'),
            ('test_dataloader', dict(dataset=dict(config['test_dataloader']['dataset'], data_root='http://a')), '://'),
            ('tta_pipeline', [dict(type='LoadBiomedicalData', decode_backend='pickle')], 'pickle'),
        ):
            checkpoint['meta']['cfg'] = f'{Config(config).pretty_text}\n{key} = {part!r}\n'
            torch.save(checkpoint, tmp_path / 'bad.pth')
            result = command('test', tmp_path / 'bad.pth', '--work-dir', tmp_path / 'test')
            assert result.status == 2, part
            assert named in result.error
            assert 'Give its config, too' in result.error.replace('give', 'Give')
        assert not list(tmp_path.rglob('made'))

    def test_writes_no_code_of_a_key(self, segmenter, command, tmp_path):
        checkpoint = torch.load(segmenter.checkpoint, weights_only=False)
        config = checkpoint['meta']['cfg']
        loader = Config.fromstring(config, '.py').to_dict()['test_dataloader']
        for name, is_kept in (('note', True), ("a': open('ran', 'w'), 'b", False)):
            changed = dict(loader['dataset'], metainfo={**loader['dataset']['metainfo'], name: 1})
            checkpoint['meta']['cfg'] = f'{config}\ntest_dataloader = {dict(loader, dataset=changed)!r}\n'
            torch.save(checkpoint, tmp_path / 'bad.pth')
            work_dir = tmp_path / str(is_kept)
            command('test', tmp_path / 'bad.pth', '--work-dir', work_dir)
            assert any(name in file.read_text() for file in work_dir.rglob('*.py')) == is_kept

    def test_writes_no_file_that_a_config_names(self, segmenter, command, tmp_path):
        checkpoint = torch.load(segmenter.checkpoint, weights_only=False)
        metric = dict(type='IoUMetric', output_dir=str(tmp_path / 'planted'), format_only=True)
        checkpoint['meta']['cfg'] += f'\ntest_evaluator = {metric!r}\n'
        torch.save(checkpoint, tmp_path / 'bad.pth')
        result = command('test', tmp_path / 'bad.pth', '--work-dir', tmp_path / 'test')
        assert result.status == 0, result.err[-3000:]
        assert not (tmp_path / 'planted').exists()

    def test_leaves_the_config_of_its_training(self, segmenter, command, tmp_path):
        shutil.copytree(segmenter.work_dir, tmp_path / 'run')
        own = tmp_path / 'run' / SEGMENTER.name
        before = own.read_bytes()
        assert command('test', tmp_path / 'run', '--tta').status == 0
        assert own.read_bytes() == before
        # It was copied, and its config names the place where it was.
        assert len(list((tmp_path / 'run').glob('*/*.log'))) == 2

    def test_of_two_checkpoints_is_refused(self, segmenter, command):
        result = command('test', segmenter.checkpoint, segmenter.checkpoint)
        assert result.status == 2
        assert 'is a checkpoint; give its config before another one' in result.error

    def test_may_have_options_before_the_checkpoint(self):
        args = build_parser().parse_args(['test', 'config.py', '--data', 'photos', 'epoch_1.pth', '--tta'])
        assert (args.config, args.checkpoint, args.data, args.tta) == ('config.py', 'epoch_1.pth', 'photos', True)

    def test_asks_for_the_checkpoint_of_a_config(self, command):
        result = command('test', SEGMENTER)
        assert result.status == 2
        assert 'is a config; give its checkpoint, too' in result.error


class TestMistakes:
    """Each is one line and status 2."""

    @pytest.fixture
    def fails(self, command):
        def run(*arguments: object) -> str:
            result = command(*arguments)
            assert result.status == 2
            return result.error

        return run

    def test_no_such_config(self, fails):
        assert 'config: there is no file nowhere.py' in fails('train', 'nowhere.py')

    def test_a_config_with_a_syntax_error(self, fails, tmp_path):
        (tmp_path / 'bad.py').write_text('model = dict(')
        assert 'bad.py' in fails('train', tmp_path / 'bad.py')

    def test_a_config_without_a_model(self, fails, tmp_path):
        (tmp_path / 'part.py').write_text("default_scope = 'mmdet'\n")
        assert "has no 'model'" in fails('train', tmp_path / 'part.py')

    def test_a_key_that_does_not_fit(self, fails, tmp_path):
        message = fails('train', DETECTOR, '--work-dir', tmp_path, '--cfg-options', 'model.type.name=1')
        assert message.startswith('error: --cfg-options model.type.name: ')

    def test_no_data(self, fails, tmp_path):
        options = 'train_dataloader.dataset.data_root=/nowhere'
        message = fails('train', DETECTOR, '--work-dir', tmp_path, '--cfg-options', options)
        assert 'train_dataloader.dataset.data_root: there is no folder /nowhere' in message

    def test_no_such_checkpoint(self, fails, tmp_path):
        message = fails('test', DETECTOR, 'nowhere.pth', '--work-dir', tmp_path)
        assert 'error: checkpoint: there is no file nowhere.pth' in message
        message = fails('train', DETECTOR, '--resume', 'nowhere.pth', '--work-dir', tmp_path)
        assert '--resume: there is no file nowhere.pth' in message

    def test_published_weights_are_nothing_to_resume(self, fails, tmp_path):
        message = fails('train', DETECTOR, '--resume', 'convnext_tiny_in1k', '--work-dir', tmp_path)
        assert '--resume: there is no file convnext_tiny_in1k' in message

    def test_predictions_of_the_wrong_kind(self, detector, fails, tmp_path):
        message = fails('test', DETECTOR, detector.checkpoint, '--out', tmp_path / 'folder')
        assert '--out: a config of mmdet saves its predictions to a file ending in .pkl' in message

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (['train', DETECTOR, '--speed', 'turbo'], "--speed: there is no switch 'turbo'; choose from channels_last"),
            (['test', DETECTOR, 'a.pth', '--speed', 'bf16'], '--speed: bf16 acts in training only; testing has'),
            (['train', DETECTOR, '--backbone', 'timm/resnet5o'], "has no model 'resnet5o'"),
            (['compare', DETECTOR, '--backbones', 'convnext_atto', 'convnext_atto'], '--backbones: convnext_atto is'),
            (['train', DETECTOR, '--work-dir', __file__], '--work-dir: '),
            (['train', DETECTOR, '--cfg-options', 'a=[1,(2]'], '--cfg-options: the value of a=[1,(2] cannot be read'),
            (['train', DETECTOR, '--cfg-options', '=1'], "an option is written as KEY=VALUE, without spaces; got '=1'"),
            (
                ['compare', DETECTOR, '--backbones', 'a', '--gpus', '-1'],
                '--gpus: it must be a whole number of at least 0',
            ),
            (['flops', DETECTOR, '--shape', '0', '64'], '--shape: it must be a whole number of at least 1'),
            (['demo', '--only-data', '--steps', '3'], '--steps: with --only-data, nothing is trained'),
            (['demo', '--seed', '3'], '--seed: it changes the data that --only-data makes'),
            (['trian', 'x'], "invalid choice: 'trian'"),
        ],
    )
    def test_an_option_names_itself(self, fails, arguments, message):
        assert message in fails(*arguments)
