"""Other people's weights: found, read, recognised, renamed and reported, whenever a ConvNeXt loads them."""

from mmengine.runner.checkpoint import CheckpointLoader

from convnext_dense.backbones import ConvNeXt
from convnext_dense.weights.pretrained import Pretrained, convert_state_dict, load_pretrained
from convnext_dense.weights.sources import REGISTERED, load_from_anywhere, read_weights

ConvNeXt.state_dict_converters.append(convert_state_dict)
# mmengine's `load_from` and `resume` then read the same sources, and say the same of bad files.
CheckpointLoader.register_scheme(prefixes=('', *REGISTERED), loader=load_from_anywhere, force=True)

__all__ = ['Pretrained', 'load_pretrained', 'read_weights']
