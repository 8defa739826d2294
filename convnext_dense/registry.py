"""The package's registries: children of mmengine's, all under the scope ``convnext_dense``.

A config names what is registered here as ``type='convnext_dense.<Name>'``. There is a child for every registry that
mmengine looks up by scope, so that configs inherited from ``convnext_dense::`` resolve everywhere.
"""

from importlib import import_module

from mmengine import registry as root
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import Registry

SCOPE = 'convnext_dense'

# Lets mmengine.hub name configs as `convnext_dense::...`. mmengine finds a distribution's folder wrong when it was
# installed with `pip install -e`; given the name of a module instead, it asks Python's import system.
MODULE2PACKAGE.setdefault(SCOPE, __name__)


class LazyRegistry(Registry):
    """A registry that imports the module of a name when the name is first asked for.

    Args:
        name: The registry's name.
        parent: mmengine's registry of that name.
        modules: The module that registers each name.

    Example:
        >>> MODELS.get('ConvNeXt').__name__
        'ConvNeXt'
    """

    def __init__(self, name: str, parent: Registry | None, modules: dict[str, str]) -> None:
        super().__init__(name, parent=parent, scope=SCOPE)
        self.modules = modules

    def get(self, key: str) -> type | None:
        """Return what is registered under `key`, which may begin with the scope."""
        scope, _, name = key.rpartition('.')
        if scope in ('', SCOPE) and name in self.modules:
            import_module(self.modules[name])
        return super().get(key)

    def import_from_location(self) -> None:
        """Import nothing: `get` imports what it is asked for."""


def _child(parent: Registry, **modules: str) -> LazyRegistry:
    return LazyRegistry(parent.name, parent, {name: f'{SCOPE}.{module}' for name, module in modules.items()})


MODELS = _child(
    root.MODELS,
    ConvNeXt='backbones.convnext',
    ModernizedResNet='backbones.modernized_resnet',
    ResNetVD='backbones.resnet_vd',
    TimmBackbone='backbones.timm_backbone',
    BatchRandomResize='detectors.batch_random_resize',
    Distiller='distillation.distiller',
    DFINEHead='detectors.realtime_detr.head',
    HybridEncoder='detectors.realtime_detr.encoder.hybrid_encoder',
    RealTimeDETR='detectors.realtime_detr.detector',
    RTDETRv2Head='detectors.realtime_detr.head',
    BoxTTAModel='evaluation.box_tta',
    DetDataPreprocessor='datasets.det_preprocessor',
    SegDataPreProcessor='datasets.seg_preprocessor',
)
HOOKS = _child(
    root.HOOKS,
    BatchAugmentsSwitchHook='hooks.batch_augments_switch_hook',
    ChannelsLastHook='hooks.speed.channels_last_hook',
    CompileHook='hooks.speed.compile_hook',
    CudnnAutotuneHook='hooks.speed.cudnn_autotune_hook',
    DivergenceHook='hooks.health.divergence_hook',
    EarlyStoppingHook='hooks.early_stopping_hook',
    FusedOptimizerHook='hooks.speed.fused_optimizer_hook',
    HeartbeatHook='hooks.health.heartbeat_hook',
    OneTransferHook='hooks.speed.one_transfer_hook',
    OutOfMemoryHook='hooks.health.out_of_memory_hook',
    PrefetchHook='hooks.speed.prefetch_hook',
    RecordValidationHook='evaluation.recording.record_validation_hook',
    RunSummaryHook='hooks.run_summary_hook',
    RunTimeHook='hooks.run_time_hook',
    StopHook='hooks.health.stop_hook',
    TargetsHook='hooks.health.targets_hook',
    TrainingCostHook='hooks.training_cost_hook',
    UnreadableFilesHook='hooks.health.unreadable_files_hook',
    WholeCheckpointHook='training.checkpoints.whole_checkpoints',
)
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    root.OPTIM_WRAPPER_CONSTRUCTORS, LayerDecayOptimWrapperConstructor='optim.layer_decay'
)
DATASETS = _child(root.DATASETS, ImageFiles='distillation.image_files')
DATA_SAMPLERS = _child(root.DATA_SAMPLERS)
EVALUATOR = _child(root.EVALUATOR)
LOG_PROCESSORS = _child(root.LOG_PROCESSORS, JointLogProcessor='training.processes.joint_log')
LOOPS = _child(root.LOOPS, EpochLoop='training.resuming.loops', IterLoop='training.resuming.loops')
METRICS = _child(root.METRICS, FasterCocoMetric='evaluation.faster_coco_metric', IoUMetric='evaluation.iou_metric')
MODEL_WRAPPERS = _child(
    root.MODEL_WRAPPERS,
    CPUDistributedDataParallel='training.processes.cpu_ddp',
    FullyShardedModel='training.processes.sharded_runner',
)
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, BFloat16OptimWrapper='training.bf16_optim_wrapper')
OPTIMIZERS = _child(root.OPTIMIZERS)
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS)
RUNNERS = _child(root.RUNNERS)
TASK_UTILS = _child(root.TASK_UTILS, MaxIoUAssigner='detectors.max_iou_assigner')
TRANSFORMS = _child(
    root.TRANSFORMS,
    LoadAnnotations='datasets.transforms.det_annotations',
    LoadImageOnce='datasets.images.load_once',
    PackDetInputs='datasets.transforms.det_packing',
    RandomFlip='datasets.transforms.det_flip',
    RandomView='distillation.random_view',
    PackSegInputs='datasets.transforms.seg_inputs',
    SegPhotoMetricDistortion='datasets.transforms.seg_colors',
    SegRandomCrop='datasets.transforms.seg_crop',
    SegRandomFlip='datasets.transforms.seg_flip',
    SegRandomResizedCrop='datasets.transforms.seg_resized_crop',
)
VISBACKENDS = _child(root.VISBACKENDS)
VISUALIZERS = _child(root.VISUALIZERS)
WEIGHT_INITIALIZERS = _child(root.WEIGHT_INITIALIZERS, Pretrained='weights.pretrained')
# What renames other libraries' weights in a state dict, before a ConvNeXt loads it.
STATE_DICT_CONVERTERS = LazyRegistry('state dict converter', None, {'ConvNeXt': f'{SCOPE}.weights.pretrained'})
