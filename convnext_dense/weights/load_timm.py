"""Loads timm's weights into a TimmBackbone."""

from mmengine.logging import print_log
from torch import Tensor

from convnext_dense.backbones import TimmBackbone
from convnext_dense.errors import CheckpointError
from convnext_dense.weights.sources import read_weights

# What training checkpoints keep their weights in.
WRAPPERS = ('state_dict', 'model')
DETECTORS_BACKBONE = 'backbone.'


def load_timm_pretrained(backbone: TimmBackbone, checkpoint: str, prefix: str | None = None) -> None:
    """Load a TimmBackbone's weights, all of them or none.

    Args:
        backbone: The backbone.
        checkpoint: A source of `read_weights`: ``timm://MODEL.TAG``, a file of timm's weights, or a detector's or
            segmenter's of this package with the same backbone.
        prefix: What stands before the names of the weights to take.

    Raises:
        CheckpointError: If the checkpoint cannot be read, or does not fit. The backbone is unchanged then.

    Example:
        >>> from convnext_dense.backbones import TimmBackbone
        >>> load_timm_pretrained(TimmBackbone('resnet18'), 'timm://resnet18.a1_in1k')  # doctest: +SKIP
    """
    own = backbone.state_dict()
    weights = _select(_unwrap(read_weights(checkpoint)), own, prefix, checkpoint)
    try:
        if own.keys() <= weights.keys():
            backbone.load_state_dict({name: weights[name] for name in own})
        else:
            backbone.load_timm_weights(weights)
    except (RuntimeError, KeyError) as error:
        problem = ' '.join(str(error).split())[:300]
        raise CheckpointError(f"{checkpoint} does not fit timm's {backbone.model_name}: {problem}") from error
    print_log(f"Weights of timm's {backbone.model_name} from {checkpoint}: all tensors match.", logger='current')


def _unwrap(content: dict) -> dict:
    while wrapper := next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None):
        content = content[wrapper]
    return content


def _select(weights: dict, own: dict, prefix: str | None, checkpoint: str) -> dict[str, Tensor]:
    if prefix is None and all(DETECTORS_BACKBONE + name in weights for name in own):
        prefix = DETECTORS_BACKBONE
    selected = {
        name.removeprefix(prefix or ''): value for name, value in weights.items() if name.startswith(prefix or '')
    }
    if not selected:
        raise CheckpointError(f'{checkpoint} has no names that begin with {prefix!r}.')
    return selected
