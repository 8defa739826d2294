"""What changes whole batches ends before the last epochs."""

from types import SimpleNamespace

import pytest
import torch
from helpers.data.batches import detection_batch
from mmdet.models import DetDataPreprocessor
from mmengine.logging import MessageHub

from convnext_dense.errors import UsageError
from convnext_dense.hooks import BatchAugmentsSwitchHook


def sizes_of_batches(preprocessor):
    """Return the sizes of ten batches in training."""
    sizes = set()
    for i in range(10):
        MessageHub.get_current_instance().update_info('iter', i)
        sizes.add(tuple(preprocessor(detection_batch(with_mask=False), training=True)['inputs'].shape[-2:]))
    return sizes


@pytest.mark.parametrize(('epoch', 'changes'), [(0, True), (71, True), (72, False), (79, False)])
def test_batches_have_one_size_from_that_epoch_on(epoch, changes):
    resize = dict(type='convnext_dense.BatchRandomResize', random_size_range=(32, 320))
    preprocessor = DetDataPreprocessor(pad_size_divisor=32, batch_augments=[resize])
    model = torch.nn.Module()
    model.data_preprocessor = preprocessor
    BatchAugmentsSwitchHook(switch_epoch=72).before_train_epoch(SimpleNamespace(epoch=epoch, model=model))
    assert (len(sizes_of_batches(preprocessor)) > 1) == changes


def test_a_model_without_them_is_refused():
    model = torch.nn.Module()
    model.data_preprocessor = DetDataPreprocessor()
    with pytest.raises(UsageError, match='DetDataPreprocessor has no batch_augments'):
        BatchAugmentsSwitchHook(switch_epoch=2).before_train(SimpleNamespace(epoch=0, model=model))
