"""What only a process of its own can show: starts, ends, and a package without its checkout."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from helpers.demo_runs import DETECTOR, ROOT, SEGMENTER, segmenter_options
from helpers.wheels import build_wheel

from convnext_dense.cli.main import STOPPED

pytestmark = pytest.mark.e2e


@pytest.fixture(scope='module')
def wheel_site(tmp_path_factory) -> Path:
    """A folder of installed packages that has this one from a wheel, and the others by the path of the tests' own."""
    wheel = build_wheel(tmp_path_factory.mktemp('wheel'))
    site = tmp_path_factory.mktemp('site')
    zipfile.ZipFile(wheel).extractall(site)
    return site


@pytest.fixture
def convnext_dense(wheel_site, tmp_path):
    """Run `convnext-dense ARGUMENTS` from the wheel, in an empty folder."""

    def run(*arguments: object) -> subprocess.CompletedProcess:
        environment = {**os.environ, 'PYTHONPATH': str(wheel_site), 'OMP_NUM_THREADS': '1'}
        command = [sys.executable, '-W', 'ignore', '-m', 'convnext_dense', *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)

    return run


class TestStarting:
    @pytest.mark.parametrize('arguments', [['--help'], ['train', '--help'], ['train', 'mask-rcnn_convnext-tt']])
    def test_an_answer_without_a_run_imports_nothing_heavy(self, arguments):
        code = (
            'import sys, convnext_dense.cli.main as cli\n'
            'try:\n    cli.main(sys.argv[1:])\n'
            'finally:\n'
            "    print('heavy:', [name for name in ('torch', 'mmengine', 'numpy') if name in sys.modules])\n"
        )
        result = subprocess.run([sys.executable, '-c', code, *arguments], capture_output=True, text=True)
        assert result.returncode == (0 if '--help' in arguments else 2)
        assert 'heavy: []' in result.stdout


class TestWheel:
    def test_has_all_of_the_package_and_nothing_else(self, wheel_site):
        assert {path.name for path in wheel_site.iterdir() if not path.name.endswith('.dist-info')} == {
            'convnext_dense'
        }
        for name in ('py.typed', '.mim/configs/mask_rcnn/mask-rcnn_convnext-t_fpn_amp-1x_coco.py'):
            assert (wheel_site / 'convnext_dense' / name).is_file()

    def test_the_demo_runs_in_an_empty_folder(self, convnext_dense, wheel_site, tmp_path):
        environment = convnext_dense('env')
        assert environment.returncode == 0, environment.stderr
        assert str(wheel_site) in environment.stdout
        result = convnext_dense('demo', '--steps', 2)
        assert result.returncode == 0, result.stderr[-3000:]
        summary = json.loads((tmp_path / 'work_dirs/demo/summary.json').read_text())
        assert {'box_mAP', 'mask_mAP', 'mIoU', 'train_seconds'} <= summary.keys()
        assert list(tmp_path.glob('work_dirs/demo/*/predictions/*'))
        assert 'Mask R-CNN  mask_mAP' in result.stdout

        # And two backbones are compared on the same data.
        options = ['train_cfg.max_epochs=1', 'train_dataloader.dataset.indices=16', 'val_dataloader.dataset.indices=4']
        result = convnext_dense(
            'compare', DETECTOR.stem, '--from-scratch', '--shape', 128, 128,
            '--backbones', 'convnext_atto', 'timm/resnet10t', '--cfg-options', *options,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        page = tmp_path / 'work_dirs/compare_backbones' / DETECTOR.stem / 'comparison.html'
        assert 'timm/resnet10t' in page.read_text()


class TestEnding:
    def test_a_terminated_run_resumes(self, demo_data, run_python, tmp_path):
        options = [*segmenter_options(400), 'train_cfg.val_interval=400', 'train_dataloader.num_workers=2']
        train = [ROOT / 'tools/train.py', SEGMENTER, '--work-dir', tmp_path, '--resume', '--cfg-options']
        command = [sys.executable, '-W', 'ignore', *map(str, [*train, *options])]
        process = subprocess.Popen(
            command, cwd=demo_data, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        deadline = time.monotonic() + 300
        while not (tmp_path / 'last_checkpoint').exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        # As a terminal or Slurm does: also to the workers.
        os.killpg(process.pid, signal.SIGTERM)
        _, shown = process.communicate(timeout=60)
        assert process.returncode == STOPPED, shown
        checkpoint = Path((tmp_path / 'last_checkpoint').read_text())
        step = int(checkpoint.stem.rpartition('_')[2])
        assert f'stopped: SIGTERM after step {step}; resume goes on from' in shown
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
        resumed = run_python(*train, *segmenter_options(step + 1))
        assert resumed.returncode == 0, resumed.stderr[-3000:]
        assert f'iter: {step}' in resumed.stdout
        assert (tmp_path / f'iter_{step + 1}.pth').exists()

    def test_a_wrong_config_is_one_line_and_status_2(self, run_python):
        result = run_python(ROOT / 'tools/train.py', 'nowhere.py')
        assert result.returncode == 2
        assert result.stderr == 'error: config: there is no file nowhere.py.\n'
