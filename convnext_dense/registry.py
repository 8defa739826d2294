"""The package's registries: children of mmengine's, all under the scope ``convnext_dense``.

A config names what is registered here as ``type='convnext_dense.<Name>'``. There is a child for every registry that
mmengine looks up by scope, so that configs inherited from ``convnext_dense::`` resolve everywhere.
"""

from mmengine import registry as root
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry

SCOPE = 'convnext_dense'

# Lets a config inherit from `convnext_dense::...`. mmengine finds a distribution's folder wrong when it was installed
# with `pip install -e`; given the name of a module instead, it asks Python's import system.
MODULE2PACKAGE.setdefault(SCOPE, __name__)


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=list(locations))


MODELS = _child(root.MODELS, 'convnext_dense.backbones', 'convnext_dense.evaluation.box_tta')
HOOKS = _child(root.HOOKS, 'convnext_dense.hooks')
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS, 'convnext_dense.optim')
DATASETS = _child(root.DATASETS)
DATA_SAMPLERS = _child(root.DATA_SAMPLERS)
EVALUATOR = _child(root.EVALUATOR)
LOG_PROCESSORS = _child(root.LOG_PROCESSORS)
LOOPS = _child(root.LOOPS)
METRICS = _child(root.METRICS, 'convnext_dense.evaluation.faster_coco_metric')
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS, 'convnext_dense.training')
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'convnext_dense.training')
OPTIMIZERS = _child(root.OPTIMIZERS)
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS)
RUNNERS = _child(root.RUNNERS)
TASK_UTILS = _child(root.TASK_UTILS)
TRANSFORMS = _child(root.TRANSFORMS)
VISBACKENDS = _child(root.VISBACKENDS)
VISUALIZERS = _child(root.VISUALIZERS)
WEIGHT_INITIALIZERS = _child(root.WEIGHT_INITIALIZERS, 'convnext_dense.weights')
