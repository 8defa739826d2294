"""A test's file of scores is whole, whatever the number of processes."""

import json
from types import SimpleNamespace

import pytest
from mmengine.dist import utils
from mmengine.hooks import LoggerHook
from mmengine.logging import MMLogger


@pytest.mark.parametrize('rank', [0, 1])
def test_the_main_process_alone_writes_it(tmp_path, monkeypatch, rank):
    monkeypatch.setattr(utils, 'get_rank', lambda group=None: rank)
    hook = LoggerHook()
    hook.json_log_path = 'scores.json'
    log_processor = SimpleNamespace(get_log_after_epoch=lambda *args, **kwargs: ({'mIoU': 15.5}, 'mIoU: 15.5'))
    logger = MMLogger.get_instance('scores')
    hook.after_test_epoch(
        SimpleNamespace(log_processor=log_processor, test_dataloader=[], logger=logger, log_dir=tmp_path)
    )
    files = {file.name: json.loads(file.read_text()) for file in tmp_path.iterdir()}
    assert files == ({'scores.json': {'mIoU': 15.5}} if rank == 0 else {})
