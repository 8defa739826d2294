"""Small batches of random images, as a data loader yields them for each kind of model."""

import torch
from mmengine.structures import InstanceData, PixelData


def detection_batch(with_mask: bool = True) -> dict:
    """Return one image with two boxes and, unless `with_mask` is off, their masks and every pixel's panoptic class."""
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
        # COCO's panoptic classes: 80 things, then stuff.
        sample.gt_sem_seg = PixelData(sem_seg=_patches(80, 133, 64, 96))
    return dict(inputs=[torch.randint(256, (3, 64, 96), dtype=torch.uint8)], data_samples=[sample])


def segmentation_batch(num_classes: int = 150) -> dict:
    """Return two images with every pixel's class, one of so many: by default as many as ADE20K has."""
    from mmseg.structures import SegDataSample

    images = [torch.randint(256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)]
    samples = [
        SegDataSample(
            metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)),
            gt_sem_seg=PixelData(data=_patches(0, num_classes, 64, 64)),
        )
        for _ in images
    ]
    return dict(inputs=images, data_samples=samples)


def _patches(low: int, high: int, height: int, width: int) -> torch.Tensor:
    """Return a map (1, H, W) of classes in patches of 16 x 16 pixels: mask models match every class of an image."""
    patches = torch.randint(low, high, (1, height // 16, width // 16))
    return patches.repeat_interleave(16, dim=1).repeat_interleave(16, dim=2)
