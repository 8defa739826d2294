"""Every config of the zoo exports, or says why not."""

import pytest
from helpers.zoo import config, names, tiers

from convnext_dense.errors import UsageError
from convnext_dense.export.graphs.find_graph import find_graph
from convnext_dense.meta_device import build_on_meta

# mmdet's heads of queries for instances and panoptic segments, and the suppression that lowers scores.
QUERIES, SOFT = 'Mask2Former has no known form in other runtimes; part=', 'is soft_nms, which has no form in ONNX'
REFUSED = {
    **{name: QUERIES for name in names('mask2former') if 'coco' in name},
    **{name: SOFT for name in names('mask_rcnn', 'cascade_mask_rcnn') if 'lsj' in name},
}
FAST = {
    'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco.py',
    'mask2former/mask2former_convnext-t_8xb2-lsj-50e_coco-panoptic.py',
    'mask_rcnn/mask-rcnn_convnext-v2-b_fpn_lsj-3x-fcmae_coco.py',
    'rtmdet/rtmdet_m_convnext-t_4xb32-100e_coco.py',
}


@pytest.mark.parametrize('name', tiers(names(), FAST))
def test_a_config_has_a_graph_or_is_refused(name):
    cfg = config(name)
    model = build_on_meta(cfg.model, cfg.default_scope)
    if name in REFUSED:
        with pytest.raises(UsageError, match=REFUSED[name]):
            find_graph(model)
    else:
        find_graph(model)
