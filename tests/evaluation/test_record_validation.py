"""What is kept of a validation."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from convnext_dense.evaluation.recording.record import RECORD_FILE, ShownImage, read_record
from convnext_dense.evaluation.recording.record_validation_hook import RecordValidationHook
from convnext_dense.evaluation.recording.shown_images import BEST, WORST, ShownImages

BOX = [2.0, 2.0, 10.0, 10.0]


class Infos(list):
    """A dataset."""

    metainfo = dict(classes=('cat', 'dog'), palette=[(1, 1, 1), (2, 2, 2)])

    def get_data_info(self, index):
        return self[index]


def run_hook(folder, infos, samples):
    """Have the hook see a validation, and return what it kept, and what it logged."""
    said = []
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=infos), evaluator=SimpleNamespace(metrics=[]))
    logger = logging.getLogger('record')
    logger.warning = said.append
    runner = SimpleNamespace(val_loop=loop, _train_loop=None, _load_from='a.pth', work_dir=str(folder), logger=logger)
    runner.call_hook = lambda name, record: None
    hook = RecordValidationHook()
    hook.before_val_epoch(runner)
    for sample in samples:
        hook.after_val_iter(runner, 0, outputs=[sample])
    hook.after_val_epoch(runner, dict(mAP=0.5))
    return read_record(folder), said


def detection(index, scores):
    count = len(scores)
    sample = DetDataSample(metainfo=dict(img_path=f'{index}.jpg', ori_shape=(16, 16)))
    labels, boxes = torch.zeros(count, dtype=torch.int64), torch.tensor([BOX] * count).reshape(-1, 4)
    masks = torch.ones(count, 16, 16, dtype=torch.bool)
    sample.pred_instances = InstanceData(bboxes=boxes, scores=torch.tensor(scores), labels=labels, masks=masks)
    return sample


def info(index):
    square = dict(bbox=BOX, bbox_label=0, ignore_flag=0, mask=[[2, 2, 10, 2, 10, 10, 2, 10]])
    return dict(img_path=f'{index}.jpg', img_id=index, instances=[square], height=16, width=16)


class TestRecordValidationHook:
    def test_keeps_what_a_detector_found_and_what_was_there(self, tmp_path):
        record, said = run_hook(tmp_path, Infos(map(info, range(2))), [detection(0, [0.2, 0.9]), detection(1, [])])
        assert record.found.score.round(2).tolist() == [0.9, 0.2]
        assert record.truth.box.tolist() == [BOX, BOX]
        assert record.image_scores.tolist() == [1, 0]
        assert [len(image.found) for image in record.shown] == [1, 0]
        assert record.shown[0].truth[0]['mask']['size'] == [16, 16]
        assert said == []

    def test_an_image_that_comes_twice_counts_once(self, tmp_path):
        record, _ = run_hook(tmp_path, Infos([info(0)]), [detection(0, [0.9])] * 2)
        assert (record.images, len(record.found)) == (1, 1)

    @pytest.mark.parametrize('channels', [1, 2])
    def test_counts_what_a_segmenter_found(self, tmp_path, channels):
        truth = torch.zeros(1, 8, 8, dtype=torch.int64)
        truth[0, :2], truth[0, 2:5] = 255, 1
        sample = SegDataSample(metainfo=dict(img_path='0.jpg'))
        sample.gt_sem_seg = PixelData(data=truth)
        sample.pred_sem_seg = PixelData(data=torch.zeros(1, 8, 8, dtype=torch.int64))
        sample.seg_logits = PixelData(data=torch.zeros(channels, 8, 8))
        record, said = run_hook(tmp_path, Infos([info(0)]), [sample])
        assert record.arrays['confusion'].tolist() == [[24, 0], [24, 0]]
        assert record.arrays['reliability'][0].sum() == 48
        assert record.image_scores.tolist() == [0.25]
        assert said == []

    def test_logits_of_another_size_than_the_label_map_have_no_calibration(self, tmp_path):
        sample = SegDataSample(metainfo=dict(img_path='0.jpg'))
        sample.gt_sem_seg = PixelData(data=torch.zeros(1, 8, 8, dtype=torch.int64))
        sample.pred_sem_seg = PixelData(data=torch.zeros(1, 8, 8, dtype=torch.int64))
        sample.seg_logits = PixelData(data=torch.zeros(2, 4, 4))
        record, said = run_hook(tmp_path, Infos([info(0)]), [sample])
        assert record.arrays['confusion'].tolist() == [[64, 0], [0, 0]]
        assert record.arrays['reliability'].sum() == 0
        assert said == []

    def test_what_cannot_be_kept_is_said_and_no_more(self, tmp_path):
        broken = detection(0, [0.9])
        broken.pred_instances.bboxes[:] = torch.nan
        record, said = run_hook(tmp_path, Infos([dict(img_path='0.jpg', instances=[dict(bbox=BOX)])]), [broken])
        assert record is None
        assert len(said) == 1
        assert not (tmp_path / RECORD_FILE).exists()

    def test_of_other_models_it_keeps_nothing(self, tmp_path):
        record, said = run_hook(tmp_path, Infos([info(0)]), [DetDataSample(metainfo=dict(img_path='0.jpg'))])
        assert record is None
        assert said == []


class TestShownImages:
    @settings(max_examples=30, deadline=None)
    @given(scores=st.lists(st.sampled_from([-1.0, 0.0, 0.3, 0.5, 1.0]), max_size=40), parts=st.integers(1, 4))
    def test_several_processes_choose_what_one_would(self, scores, parts):
        def images_of(indices):
            shown = ShownImages(len(scores))
            for i in indices:
                shown.add(i, scores[i], lambda i=i: ShownImage(i, '', scores[i], (1, 1)))
            return shown

        whole = images_of(range(len(scores)))
        first, *others = [images_of(range(part, len(scores), parts)) for part in range(parts)]
        for other in others:
            first.merge(other.images())
        assert first.images() == whole.images()
        kept = [image.score for image in whole.images() if image.score >= 0]
        known = sorted(score for score in scores if score >= 0)
        assert np.isin(known[:WORST] + known[-BEST:], kept).all()
