"""Small batches of random images, as a dataloader yields them for each kind of model."""

import torch
from mmengine.structures import InstanceData, PixelData


def detection_batch(with_mask=True):
    """One image with two boxes; with their masks, and for panoptic models the classes of all pixels."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    masks = torch.zeros(2, 64, 96).numpy()
    masks[0, 5:40, 10:50] = masks[1, 20:60, 40:90] = 1
    sample = DetDataSample(
        metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96), pad_shape=(64, 96), scale_factor=(1, 1)),
        gt_instances=InstanceData(
            bboxes=torch.tensor([[10, 5, 50, 40], [40, 20, 90, 60.0]]),
            labels=torch.tensor([1, 2]),
        ),
    )
    if with_mask:
        sample.gt_instances.masks = BitmapMasks(masks, 64, 96)
        # COCO's panoptic classes: 80 of things, then those of stuff.
        sample.gt_sem_seg = PixelData(sem_seg=torch.randint(80, 133, (1, 64, 96)))
    return dict(inputs=[torch.randint(256, (3, 64, 96), dtype=torch.uint8)], data_samples=[sample])


def segmentation_batch():
    """Two images with the classes of their pixels."""
    from mmseg.structures import SegDataSample

    images = [torch.randint(256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)]
    samples = [
        SegDataSample(
            metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)),
            gt_sem_seg=PixelData(data=torch.randint(150, (1, 64, 64))),
        )
        for _ in images
    ]
    return dict(inputs=images, data_samples=samples)
