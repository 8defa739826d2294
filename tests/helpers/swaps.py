"""Configs of this package, of mmdet and of mmseg, with other backbones put into them."""

from pathlib import Path

from mmengine.config import Config

from convnext_dense.compat.configs.package_configs import package_config
from convnext_dense.config import set_backbone

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
MASK_RCNN = 'mask_rcnn/mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco.py'
UPERNET = 'upernet/upernet_convnext-t_8xb2-amp-160k_ade20k-512x512.py'


def read_config(name):
    """A config of this package, or of another, such as 'mmdet::yolox/yolox_s_8xb8-300e_coco.py'."""
    return Config.fromfile(package_config(name) or CONFIGS / name, import_custom_modules=False)


def swap(name, backbone, pretrained=True):
    """A config with another backbone."""
    cfg = read_config(name)
    set_backbone(cfg, backbone, pretrained)
    return cfg
