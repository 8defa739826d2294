"""The steps, in order of worth, at their full sizes and for a rehearsal."""

from dataclasses import replace
from itertools import product

from benchmarks.gpu.step import COMPILER, GPU, Step

SHAPES = {'16x512': '16x3x512x512', '2x800': '2x3x800x1344'}
PEERS = ('timm', 'torchvision', 'mmpretrain', 'transformers')
DETECTOR, SEGMENTER = 'mask-rcnn_convnext-t_fpn_amp-ms-crop-3x_coco', 'upernet_convnext-t_8xb2-amp-160k_ade20k-512x512'
TASKS = {'upernet-t': SEGMENTER, 'mask-rcnn-t': DETECTOR}
LARGE = ('800', '1344')
OUT = ('--out', '{out}')
BOTH_KERNELS = ('--kernels', 'torch', 'triton')
# Children see no GPU; `torch.compile` leaves models as they are, or its C++ compiler would take most of the time.
REHEARSAL = {'CUDA_VISIBLE_DEVICES': '', 'TORCH_COMPILE_DISABLE': '1'}
TRAINING = ('--passes', 'forward + backward')
ENGINES = (GPU, 'tensorrt', 'onnx', 'onnxscript')
MMPRETRAIN = ('mmpretrain', COMPILER)


def full_steps() -> list[Step]:
    """Return the steps for a GPU.

    The minutes are estimated for an H100: what a step must compute and move, by the rates of its matrix units and of
    its memory; the imports, and what Triton and `torch.compile` compile, as it takes a CPU of 2.5 GHz.
    """
    return [
        Step('tests', 'tests', 1.5, ('-m', 'benchmarks.gpu.tests', *OUT), ('pytest', COMPILER)),
        *(_eager(f'backbone-t-{name}', 1.8 if name == '16x512' else 0.9, 'tiny', name) for name in SHAPES),
        _kernels('kernels-t', 1.2, 'tiny'),
        *(_compiled(f'backbone-t-{name}', 'tiny', name, peer) for name, peer in product(SHAPES, PEERS)),
        *(_training(f'train-{name}-speed', 2.5, config, '--speed', kernels=False) for name, config in TASKS.items()),
        *(_training(f'train-{name}-kernels', 2.5, config, '--speed', kernels=True) for name, config in TASKS.items()),
        *(
            Step(
                f'train-{name}-each',
                'switches',
                5.0,
                ('-m', 'benchmarks.training.switches', config, '--rounds', '40', *OUT),
                MMPRETRAIN,
            )
            for name, config in TASKS.items()
        ),
        *(_eager(f'backbone-b-{name}', 2.0 if name == '16x512' else 1.0, 'base', name) for name in SHAPES),
        _compiled('backbone-b-16x512', 'base', '16x512', 'timm', 2.0),
        *(_eager(f'backbone-v2-t-{name}', 1.8 if name == '16x512' else 0.9, 'tiny', name, '--v2') for name in SHAPES),
        _compiled('backbone-v2-t-16x512', 'tiny', '16x512', 'timm', 1.5, '--v2'),
        _kernels('kernels-v2-t', 1.2, 'tiny', '--v2'),
        _kernels('kernels-b', 1.2, 'base'),
        *(_test(f'test-{name}', 1.2, config, '--generated', '100') for name, config in TASKS.items()),
        *(
            Step(
                f'engines-{name}',
                'engines',
                3.0,
                ('-m', 'benchmarks.gpu.engines', config, '--shape', *shape, *OUT),
                ENGINES,
            )
            for name, config, shape in (('upernet-t', SEGMENTER, ('512', '512')), ('mask-rcnn-t', DETECTOR, LARGE))
        ),
        *(
            Step(
                f'profile-{name}',
                'profile',
                1.5,
                ('-m', 'benchmarks.training.profile', config, '--speed', 'channels_last', 'bf16', 'fused_adamw', *OUT),
            )
            for name, config in TASKS.items()
        ),
        _demo(4.0),
        Step(
            'blocks-t',
            'kernels',
            5.0,
            ('-m', 'benchmarks.kernels', '--archs', 'tiny', '--shapes', SHAPES['16x512'], *OUT),
            (COMPILER,),
        ),
    ]


def rehearsal_steps() -> list[Step]:
    """Return one step of each kind, at sizes for a CPU. Triton's interpreter runs the kernels; nothing is compiled."""
    interpreted = {'TRITON_INTERPRET': '1'}
    quick = ('--warm-up', '0', '--rounds', '1')
    backbone = ('-m', 'benchmarks.backbone', '--archs', 'atto', '--shapes', '1x3x32x32', *quick)
    batch = ('--batch-size', '1', '--scale', '0.3', '--rounds', '1')
    demos = {
        'upernet': 'upernet_convnext-demo_demo-ade20k',
        'mask-rcnn': 'mask-rcnn_convnext-demo_fpn_demo-coco',
    }
    steps = [
        Step('tests', 'tests', 0.5, ('-m', 'benchmarks.gpu.tests', '--few', *OUT), ('pytest',), interpreted),
        Step('backbone', 'backbone', 0.5, (*backbone, '--layouts', 'channels_last', *OUT)),
        Step(
            'kernels',
            'kernels',
            0.5,
            ('-m', 'benchmarks.kernels', '--archs', 'atto', '--shapes', '1x3x32x32', '--skip-blocks', *quick, *OUT),
            environment=interpreted,
        ),
        Step(
            'train',
            'training',
            0.5,
            ('-m', 'benchmarks.training.compare', demos['upernet'], '--speed', 'channels_last', *batch, *OUT),
            ('mmpretrain',),
        ),
        Step(
            'train-each',
            'switches',
            0.5,
            ('-m', 'benchmarks.training.switches', demos['mask-rcnn'], '--switches', 'bf16', *batch, *OUT),
            ('mmpretrain',),
        ),
        _test('test', 0.5, demos['mask-rcnn'], '--generated', '2'),
        Step(
            'profile',
            'profile',
            0.5,
            ('-m', 'benchmarks.training.profile', demos['upernet'], *batch[:4], '--steps', '1', *OUT),
        ),
        Step('engines', 'engines', 0.5, ('-m', 'benchmarks.gpu.engines', demos['upernet'], *OUT), ENGINES),
        _demo(0.8, '--steps', '1'),
    ]
    return [replace(step, environment=REHEARSAL | step.environment) for step in steps]


def _eager(name: str, minutes: float, arch: str, shape: str, *more: str) -> Step:
    """All libraries at once, eager: nothing is compiled except our kernels."""
    words = ('-m', 'benchmarks.backbone', '--archs', arch, '--shapes', SHAPES[shape], *more, '--modes', 'eager')
    return Step(
        f'{name}-eager', 'backbone', minutes, (*words, *BOTH_KERNELS, '--rounds', '10', *TRAINING, *OUT), (COMPILER,)
    )


def _compiled(name: str, arch: str, shape: str, peer: str, minutes: float = 1.5, *more: str) -> Step:
    """One peer at a time: a step that is killed loses one, and the next one finds ours compiled."""
    words = ('-m', 'benchmarks.backbone', '--archs', arch, '--shapes', SHAPES[shape], *more, '--libraries', peer)
    options = ('--layouts', 'channels_last', *BOTH_KERNELS, '--rounds', '10', *TRAINING)
    return Step(f'{name}-{peer}', 'backbone', minutes, (*words, *options, *OUT), (peer, COMPILER))


def _kernels(name: str, minutes: float, arch: str, *more: str) -> Step:
    words = ('-m', 'benchmarks.kernels', '--archs', arch, '--shapes', *SHAPES.values(), *more, '--skip-blocks', *OUT)
    return Step(name, 'kernels', minutes, words, (COMPILER,))


def _training(name: str, minutes: float, config: str, *more: str, kernels: bool) -> Step:
    options = ('--cfg-options', 'model.backbone.kernels=triton') if kernels else ()
    words = ('-m', 'benchmarks.training.compare', config, *more, *options, '--rounds', '40', *OUT)
    return Step(name, 'training', minutes, words, MMPRETRAIN)


def _test(name: str, minutes: float, config: str, *more: str) -> Step:
    return Step(name, 'evaluation', minutes, ('-m', 'benchmarks.evaluation', config, *more, *OUT))


def _demo(minutes: float, *more: str) -> Step:
    words = ('-m', 'convnext_dense', 'demo', '--work-dir', 'demo', *more)
    return Step('demo', 'demo', minutes, words, figures='{work}/demo/summary.json')
