"""mmdet's SSD."""

import torch
from mmdet.models.dense_heads import SSDHead
from mmengine.config import ConfigDict


def test_it_predicts():
    anchors = dict(type='mmdet.SSDAnchorGenerator', strides=[8], ratios=[[2]], min_sizes=[4], max_sizes=[8])
    coder = dict(type='mmdet.DeltaXYWHBBoxCoder')
    test_cfg = ConfigDict(nms=dict(type='nms', iou_threshold=0.5), score_thr=0, max_per_img=3)
    head = SSDHead(2, [4], anchor_generator=anchors, bbox_coder=coder, test_cfg=test_cfg)
    maps = head([torch.rand(1, 4, 2, 2)])
    (result,) = head.predict_by_feat(*maps, batch_img_metas=[dict(img_shape=(16, 16), scale_factor=(1, 1))])
    assert len(result.scores) == 3
