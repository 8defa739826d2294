"""A device whose memory runs out: training goes on with parts of batches, or ends with what helps."""

import pytest
from helpers.commands import run_command
from helpers.demo_runs import DETECTOR, SEGMENTER, detector_options, segmenter_options
from helpers.small_device import device_that_holds


def model_of(config):
    from mmdet.models import MaskRCNN
    from mmseg.models import EncoderDecoder

    return MaskRCNN if config == DETECTOR else EncoderDecoder


@pytest.mark.parametrize(
    ('config', 'options'),
    [
        (DETECTOR, detector_options(1)),
        pytest.param(SEGMENTER, segmenter_options(3), marks=pytest.mark.full),
    ],
)
def test_the_first_epoch_goes_on_with_parts_of_batches(demo_data, tmp_path, config, options):
    with device_that_holds(2, model_of(config)) as calls:
        result = run_command(demo_data, 'train', config, '--work-dir', tmp_path, '--cfg-options', *options)
    assert result.status == 0, result.err
    assert 'each batch of 4 images is trained in 2 parts of 2 at most' in result.out
    images = [shape[0] for shape in calls]
    assert images[0] == 4 and set(images[1:]) == {2}
    assert list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize(
    ('images', 'full_from', 'options', 'sentence'),
    [
        (0, 0, detector_options(1), 'error: out of memory at step 1'),
        (2, 4, detector_options(2), 'error: out of memory at step 5, with 4 images of up to'),
    ],
)
def test_what_cannot_go_on_ends_with_what_helps(demo_data, tmp_path, images, full_from, options, sentence):
    with device_that_holds(images, model_of(DETECTOR), full_from=full_from):
        result = run_command(demo_data, 'train', DETECTOR, '--work-dir', tmp_path, '--cfg-options', *options)
    assert result.status == 1
    assert result.error.startswith(sentence)
    for remedy in ('scale', 'with_cp=True', 'rpn_proposal.max_per_img', 'optim_wrapper.accumulative_counts=2'):
        assert remedy in result.error


@pytest.mark.full
def test_validation_names_its_own_batch_size(demo_data, tmp_path):
    with device_that_holds(0, model_of(DETECTOR), 'predict'):
        result = run_command(
            demo_data, 'train', DETECTOR, '--work-dir', tmp_path, '--cfg-options', *detector_options(1)
        )
    assert result.status == 1
    assert result.error.startswith('error: out of memory in validation, with 8 images of up to')
    assert 'val_dataloader.batch_size' in result.error
