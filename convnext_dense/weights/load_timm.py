"""Loads timm's weights into a backbone made of a timm model. Importing this module does not import timm."""

from typing import Protocol, runtime_checkable

from mmengine.logging import print_log
from torch import Tensor

from convnext_dense.errors import CheckpointError
from convnext_dense.weights.recognize import BACKBONE
from convnext_dense.weights.storage.sources import read_weights

# Keys that training checkpoints keep their weights under.
WRAPPERS = ('state_dict', 'model')


@runtime_checkable
class TakesTimmWeights(Protocol):
    """A backbone that loads weights in timm's names by timm's own code, as `TimmBackbone` does."""

    model_name: str

    def state_dict(self) -> dict[str, Tensor]:
        """Return the backbone's own weights."""

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> object:
        """Load weights in the backbone's own names."""

    def load_timm_weights(self, weights: dict[str, Tensor]) -> None:
        """Load weights in timm's names."""


def load_timm_pretrained(backbone: TakesTimmWeights, checkpoint: str, prefix: str | None = None) -> None:
    """Load the weights of a backbone made of a timm model, all of them or none.

    Args:
        backbone: The backbone, such as a `TimmBackbone`.
        checkpoint: A source of `read_weights`: ``timm://MODEL.TAG``, a file of timm's weights, or a checkpoint of this
            package's detectors or segmenters with the same backbone.
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
    if prefix is None:
        prefix = BACKBONE if all(BACKBONE + name in weights for name in own) else ''
    selected = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    if not selected:
        raise CheckpointError(f'{checkpoint} has no names that begin with {prefix!r}.')
    return selected
