"""Names and shapes of the official repositories' files, written down from their code.

Backbones: facebookresearch/ConvNeXt models/convnext.py; ConvNeXt-V2 models/convnextv2.py, models/fcmae.py and
models/convnextv2_sparse.py. Detectors and segmenters: the configs below object_detection/ and semantic_segmentation/,
whose heads are those of mmdet 2 and mmseg 0.
"""

import torch


def random_tensors(shapes):
    # BatchNorm's counts have no dimensions.
    return {name: torch.randn(shape) if shape else torch.tensor(90000) for name, shape in shapes.items()}


def backbone(depths, dims, v2=False):
    """The backbone: stem, downsampling and blocks."""
    shapes = {}

    def layer(name, *weight):
        shapes[f'{name}.weight'] = weight
        shapes[f'{name}.bias'] = weight[:1]

    layer('downsample_layers.0.0', dims[0], 3, 4, 4)
    layer('downsample_layers.0.1', dims[0])
    for i in (1, 2, 3):
        layer(f'downsample_layers.{i}.0', dims[i - 1])
        layer(f'downsample_layers.{i}.1', dims[i], dims[i - 1], 2, 2)
    for i in range(4):
        for j in range(depths[i]):
            block = f'stages.{i}.{j}'
            layer(f'{block}.dwconv', dims[i], 1, 7, 7)
            layer(f'{block}.norm', dims[i])
            layer(f'{block}.pwconv1', 4 * dims[i], dims[i])
            layer(f'{block}.pwconv2', dims[i], 4 * dims[i])
            if v2:
                shapes[f'{block}.grn.gamma'] = shapes[f'{block}.grn.beta'] = (1, 1, 1, 4 * dims[i])
            else:
                shapes[f'{block}.gamma'] = (dims[i],)
    return shapes


def classifier(depths, dims, v2=False):
    """The classifier: the backbone, the final norm and the head."""
    final = {
        'norm.weight': dims[3:],
        'norm.bias': dims[3:],
        'head.weight': (1000, dims[3]),
        'head.bias': (1000,),
    }
    return backbone(depths, dims, v2) | final


def sparse(dense):
    """The encoder of FCMAE, whose layers after the stem are MinkowskiEngine's, from the dense tensors of a V2."""
    encoder = {}
    for name, tensor in dense.items():
        parent, leaf = name.rsplit('.', 1)
        if name.startswith('downsample_layers.0.'):
            pass
        elif '.grn.' in name:
            tensor = tensor.reshape(1, -1)
        elif tensor.ndim == 4:
            # Kernel positions count down the columns: position x * k + y is row y, column x.
            out_channels, in_channels, k, _ = tensor.shape
            kernel = torch.stack([tensor[:, :, y, x].T for x in range(k) for y in range(k)])
            name, tensor = f'{parent}.kernel', kernel[:, 0] if in_channels == 1 < out_channels else kernel
        elif 'pwconv' in name:
            name = f'{parent}.linear.{leaf}'
        elif '.norm.' in name or (name.split('.')[2] == '0' and name.startswith('downsample')):
            name = f'{parent}.ln.{leaf}'
        elif leaf == 'bias':
            tensor = tensor.reshape(1, -1)
        encoder[f'encoder.{name}'] = tensor
    return encoder


def fcmae_decoder(dims):
    """What FCMAE has besides its encoder; its one block is a V2 block of 512 channels."""
    block = {name.replace('stages.0.0', 'decoder.0'): s for name, s in backbone((1, 0, 0, 0), (512,) * 4, True).items()}
    return {name: s for name, s in block.items() if name.startswith('decoder.')} | {
        'mask_token': (1, 512, 1, 1),
        'proj.weight': (512, dims[3], 1, 1),
        'proj.bias': (512,),
        'pred.weight': (3072, 512, 1, 1),
        'pred.bias': (3072,),
    }


def _output_norms(dims):
    return {f'norm{i}.{p}': (dims[i],) for i in range(4) for p in ('weight', 'bias')}


def _in_model(depths, dims):
    return {f'backbone.{name}': s for name, s in (backbone(depths, dims) | _output_norms(dims)).items()}


def _layer(name, *weight):
    return {f'{name}.weight': weight, f'{name}.bias': weight[:1]}


def _conv_bn(name, *weight):
    statistics = {f'{name}.bn.{p}': weight[:1] for p in ('weight', 'bias', 'running_mean', 'running_var')}
    return {f'{name}.conv.weight': weight, **statistics, f'{name}.bn.num_batches_tracked': ()}


def _fpn_and_rpn(dims):
    shapes = _layer('rpn_head.rpn_conv', 256, 256, 3, 3) | _layer('rpn_head.rpn_cls', 3, 256, 1, 1)
    shapes |= _layer('rpn_head.rpn_reg', 12, 256, 1, 1)
    for i in range(4):
        shapes |= _layer(f'neck.lateral_convs.{i}.conv', 256, dims[i], 1, 1)
        shapes |= _layer(f'neck.fpn_convs.{i}.conv', 256, 256, 3, 3)
    return shapes


def _mask_head(name):
    shapes = _layer(f'{name}.upsample', 256, 256, 2, 2) | _layer(f'{name}.conv_logits', 80, 256, 1, 1)
    for i in range(4):
        shapes |= _layer(f'{name}.convs.{i}.conv', 256, 256, 3, 3)
    return shapes


def mask_rcnn(depths, dims):
    """object_detection: Mask R-CNN."""
    box = 'roi_head.bbox_head'
    shapes = _layer(f'{box}.shared_fcs.0', 1024, 12544) | _layer(f'{box}.shared_fcs.1', 1024, 1024)
    shapes |= _layer(f'{box}.fc_cls', 81, 1024) | _layer(f'{box}.fc_reg', 320, 1024)
    return _in_model(depths, dims) | _fpn_and_rpn(dims) | shapes | _mask_head('roi_head.mask_head')


def cascade_mask_rcnn(depths, dims):
    """object_detection: Cascade Mask R-CNN with boxes of four convolutions and one linear layer."""
    shapes = {}
    for stage in range(3):
        box = f'roi_head.bbox_head.{stage}'
        for i in range(4):
            shapes |= _conv_bn(f'{box}.shared_convs.{i}', 256, 256, 3, 3)
        shapes |= _layer(f'{box}.shared_fcs.0', 1024, 12544)
        shapes |= _layer(f'{box}.fc_cls', 81, 1024) | _layer(f'{box}.fc_reg', 320, 1024)
        shapes |= _mask_head(f'roi_head.mask_head.{stage}')
    return _in_model(depths, dims) | _fpn_and_rpn(dims) | shapes


def upernet(depths, dims):
    """semantic_segmentation: UperNet with an FCN as auxiliary head."""
    shapes = _layer('decode_head.conv_seg', 150, 512, 1, 1) | _layer('auxiliary_head.conv_seg', 150, 256, 1, 1)
    shapes |= _conv_bn('auxiliary_head.convs.0', 256, dims[2], 3, 3)
    for i in range(4):
        shapes |= _conv_bn(f'decode_head.psp_modules.{i}.1', 512, dims[3], 1, 1)
    for i in range(3):
        shapes |= _conv_bn(f'decode_head.lateral_convs.{i}', 512, dims[i], 1, 1)
        shapes |= _conv_bn(f'decode_head.fpn_convs.{i}', 512, 512, 3, 3)
    shapes |= _conv_bn('decode_head.bottleneck', 512, dims[3] + 4 * 512, 3, 3)
    shapes |= _conv_bn('decode_head.fpn_bottleneck', 512, 4 * 512, 3, 3)
    return _in_model(depths, dims) | shapes
