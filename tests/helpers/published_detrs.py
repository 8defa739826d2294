"""transformers' RT-DETRv2 and D-FINE with random weights, and ours with the same."""

import torch
import transformers
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn

from convnext_dense.detectors import RealTimeDETR

CLASSES, LAYERS, DIMS = 5, 3, 32
# Height and width in pixels; the coarsest map has odd sizes.
SIZE = (96, 160)


def small_backbone(stages=('stage2', 'stage3', 'stage4')):
    return transformers.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 24, 40],
        depths=[1, 1, 1, 1],
        layer_type='basic',
        out_features=list(stages),
    )


# The kind, transformers' settings, and ours of the neck and of the head, with the backbone's channels.
VARIANTS = {
    'RTDetrV2': ('RTDetrV2', {}, {}, {}),
    'RTDetrV2, discrete sampling': ('RTDetrV2', dict(decoder_method='discrete'), {}, dict(sampling='discrete')),
    'RTDetrV2, half width': ('RTDetrV2', dict(hidden_expansion=0.5), dict(expansion=0.5), {}),
    'DFine': ('DFine', {}, {}, {}),
    'DFine, points by map': ('DFine', dict(decoder_n_points=[3, 6, 3]), {}, dict(num_points=[3, 6, 3])),
    'DFine, small': (
        'DFine',
        dict(depth_mult=0.34, hidden_expansion=0.5),
        dict(num_blocks=1, expansion=0.5),
        {},
    ),
    'DFine, two maps': (
        'DFine',
        dict(
            backbone=small_backbone(('stage3', 'stage4')),
            in_channels=(24, 40),
            feat_strides=[16, 32],
            num_feature_levels=2,
            encode_proj_layers=[1],
            decoder_n_points=[6, 6],
        ),
        {},
        dict(in_channels=(24, 40), num_points=[6, 6]),
    ),
    'DFine, other bins': ('DFine', dict(reg_scale=8.0, max_num_bins=16), {}, dict(reg_scale=8.0, num_bins=16)),
}


def make_theirs(kind, backbone=None, in_channels=(16, 24, 40), **more):
    """Return transformers' model of a kind, 'RTDetrV2' or 'DFine', each of whose tensors is random."""
    torch.manual_seed(0)
    config = getattr(transformers, f'{kind}Config')(
        backbone_config=backbone or small_backbone(),
        num_labels=CLASSES,
        encoder_hidden_dim=DIMS,
        encoder_in_channels=in_channels,
        encoder_ffn_dim=48,
        encoder_attention_heads=4,
        d_model=DIMS,
        decoder_in_channels=[DIMS] * len(in_channels),
        decoder_ffn_dim=48,
        decoder_layers=LAYERS,
        decoder_attention_heads=4,
        num_queries=30,
        num_denoising=20,
        tie_word_embeddings=False,
        **more,
    )
    model = getattr(transformers, f'{kind}ForObjectDetection')(config)
    # Tied as it ties them in a model that it loads.
    model.model.decoder.class_embed, model.model.decoder.bbox_embed = model.class_embed, model.bbox_embed
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.dim() == 4:
                # Maps of about the same size in all stages, where BatchNorm's statistics are not a batch's.
                nn.init.kaiming_normal_(tensor).mul_(0.5)
            elif tensor.requires_grad:
                tensor.add_(torch.randn_like(tensor) * 0.1)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return model


def make_ours(kind, theirs, neck=None, **head):
    """Return our detector with the weights of transformers' model, and its backbone as a stand-in."""
    # Replaced by transformers'.
    backbone = dict(type='convnext_dense.ConvNeXt', arch=dict(depths=[1] * 4, channels=[8] * 4))
    ours = build_ours(kind, backbone, neck=neck, **head)
    ours.backbone = StandIn(theirs.model.backbone.model)
    keys = ours.load_state_dict(theirs.state_dict(), strict=False)
    ours.names_left = [name for name in keys[0] + keys[1] if not name.startswith('backbone.')]
    return ours


def build_ours(kind, backbone, in_channels=(16, 24, 40), neck=None, **head):
    return RealTimeDETR(
        backbone=backbone,
        neck=dict(
            type='convnext_dense.HybridEncoder',
            in_channels=in_channels,
            out_channels=DIMS,
            num_heads=4,
            feedforward_channels=48,
            blocks='csp' if kind == 'RTDetrV2' else 'elan',
            **(neck or {}),
        ),
        bbox_head=dict(
            type='convnext_dense.RTDETRv2Head' if kind == 'RTDetrV2' else 'convnext_dense.DFINEHead',
            in_channels=[DIMS] * len(in_channels),
            dims=DIMS,
            num_queries=30,
            num_layers=LAYERS,
            num_heads=4,
            feedforward_channels=48,
            num_denoising=20,
            **{'num_classes': CLASSES, **head},
        ),
    )


class StandIn(nn.Module):
    """transformers' backbone, which returns a tuple of maps."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, images):
        return tuple(self.backbone(images).feature_maps)


def make_objects(counts=(3, 5)):
    """Return transformers' labels of images with so many objects."""
    generator = torch.Generator().manual_seed(1)
    labels = []
    for count in counts:
        boxes = torch.rand(count, 4, generator=generator) * 0.3 + torch.tensor([0.35, 0.35, 0.05, 0.05])
        labels.append(dict(class_labels=torch.randint(CLASSES, (count,), generator=generator), boxes=boxes))
    return labels


def as_samples(labels, size):
    """Return transformers' labels as mmdet's samples of images (height, width)."""
    samples = []
    for label in labels:
        sample = DetDataSample(
            metainfo=dict(batch_input_shape=size, img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
        )
        centers, extents = label['boxes'].split(2, -1)
        scale = torch.tensor([size[1], size[0]] * 2)
        boxes = torch.cat([centers - extents / 2, centers + extents / 2], -1) * scale
        sample.gt_instances = InstanceData(bboxes=boxes, labels=label['class_labels'])
        samples.append(sample)
    return samples


def make_pair(variant):
    """Return transformers' model and ours."""
    kind, settings, neck, head = VARIANTS[variant]
    theirs = make_theirs(kind, **settings)
    return theirs, make_ours(kind, theirs, neck, **head)


def make_whole_pair(kind, **head):
    """Return transformers' model on a backbone that timm has, and ours on timm's, with weights of its own."""
    type_ = 'TimmBackbone'
    if kind == 'RTDetrV2, 18 layers':
        kind, config, name, channels, type_ = 'RTDetrV2', resnet_18_d(), 'resnet18d', (128, 256, 512), 'ResNetVD'
    elif kind == 'RTDetrV2':
        config, name, channels = resnet_26_d(), 'resnet26d', (512, 1024, 2048)
    else:
        config, name, channels = hgnetv2_b0(), 'hgnetv2_b0', (256, 512, 1024)
    theirs = make_theirs(kind, config, list(channels))
    backbone = dict(type=f'convnext_dense.{type_}', model_name=name, out_indices=(1, 2, 3))
    return theirs, build_ours(kind, backbone, channels, **head)


def resnet_26_d():
    return transformers.RTDetrResNetConfig(depths=[2, 2, 2, 2], out_features=['stage2', 'stage3', 'stage4'])


def resnet_18_d():
    return transformers.RTDetrResNetConfig(
        layer_type='basic',
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        out_features=['stage2', 'stage3', 'stage4'],
    )


def hgnetv2_b0():
    return transformers.HGNetV2Config(
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, 256, 512, 1024],
        hidden_sizes=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1],
        stage_numb_of_layers=[3, 3, 3, 3],
        use_learnable_affine_block=True,
        out_features=['stage2', 'stage3', 'stage4'],
    )


def step(theirs, ours):
    """Return transformers' outputs of a step in training, our losses with the same noise, and what they are made of."""
    theirs.train()
    ours.train()
    images, labels = torch.randn(2, 3, *SIZE), make_objects()
    head, caught = ours.bbox_head, []
    weigh = type(head)._losses

    def catch(*parts):
        caught.extend(parts)
        return weigh(head, *parts)

    head._losses = catch
    torch.manual_seed(2)
    outputs = theirs(images, labels=labels)
    torch.manual_seed(2)
    return outputs, ours.loss(images, as_samples(labels, SIZE)), caught
