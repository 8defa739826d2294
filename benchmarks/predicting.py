"""Time predictions on a folder of images, against mmdet's DetInferencer and mmseg's MMSegInferencer.

Each way gets the same model and the same images, block by block in turn, once with drawn images and once without.
"""

import argparse
import contextlib
import io
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from benchmarks.cases import run_benchmark
from benchmarks.measure import default_device, time_in_turn
from convnext_dense.errors import UsageError
from convnext_dense.inference.find_model import find_model
from convnext_dense.inference.inputs import image_files, image_inputs
from convnext_dense.inference.model import Model
from convnext_dense.inference.prediction import predict
from convnext_dense.reports.table import format_table
from convnext_dense.training.memory.peak import RSS_UNIT

SCORE = 0.3
# How far apart two ways' scores and boxes may be: mmdet's inferencer reads images as it does itself.
TOLERANCE = 1e-3


def main(arguments: Sequence[str] | None = None) -> list[dict]:
    """Print and return the figures of each case.

    Args:
        arguments: The command line. Defaults to the process's.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', help='as in convnext-dense predict: a work directory or a checkpoint of a training')
    parser.add_argument('images', help='a folder of images')
    parser.add_argument('--count', type=int, default=200, help='how many of them')
    parser.add_argument('--block', type=int, default=20, help='how many images each way has in its turn')
    parser.add_argument('--threads', type=int, default=2)
    return run_benchmark(parser, arguments, _run, _table)


def _run(args: argparse.Namespace) -> Iterator[dict]:
    torch.set_num_threads(args.threads)
    files = (image_files(args.images) or [])[: args.count]
    blocks = [files[start : start + args.block] for start in range(0, len(files), args.block)]
    if len(blocks) < 2:
        raise UsageError(f'images: there are {len(files)} images in {args.images}; give two blocks at least.')
    device = default_device()
    model = Model(find_model(args.model), str(device))
    with tempfile.TemporaryDirectory() as folder:
        theirs = _inferencer(model, Path(folder, 'config.py'))
        _compare(model, theirs, files[0])
        for is_drawn in (False, True):
            calls = _calls(model, theirs, blocks, Path(folder), is_drawn)
            seconds = time_in_turn(calls, device, rounds=len(blocks), warm_up=1)
            yield _figures(model, seconds, [len(block) for block in blocks], is_drawn)


def _calls(
    model: Model, theirs: Callable[..., object], blocks: list[list[str]], folder: Path, is_drawn: bool
) -> dict[str, Callable[[], object]]:
    """Return each way's call, which predicts on its next block."""
    places = {'predict': 0, 'inferencer': 0}

    def next_block(name: str) -> list[str]:
        places[name] += 1
        return blocks[places[name] % len(blocks)]

    def ours() -> None:
        block = next_block('predict')
        if is_drawn:
            predict(model, block, folder / 'ours', save=['images'])
        else:
            for _ in model.stream(image_inputs(block)):
                pass

    def other() -> None:
        block = next_block('inferencer')
        theirs(block, str(folder / 'theirs') if is_drawn else '')

    return {'predict': ours, 'inferencer': other}


def _inferencer(model: Model, file: Path) -> Callable[..., object]:
    """Return a function that predicts by OpenMMLab's inferencer: on files, drawing into a folder if one is given."""
    cfg = Config(model.cfg.to_dict())
    if model.is_detector:
        # Their inferencer loads images itself and asks for its own transform.
        from mmdet.apis import DetInferencer as Inferencer

        options = dict(no_save_pred=True, pred_score_thr=SCORE)
        draw = lambda folder: dict(out_dir=folder, no_save_vis=not folder)  # noqa: E731 - one of two
    else:
        from mmseg.apis import MMSegInferencer as Inferencer

        options = {}
        draw = lambda folder: dict(out_dir=folder)  # noqa: E731 - one of two
        cfg.setdefault('visualizer', dict(type='SegLocalVisualizer', name='visualizer'))
    cfg.dump(file)
    with contextlib.redirect_stdout(io.StringIO()):
        inferencer = Inferencer(str(file), model.checkpoint, device=str(model.device))
        inferencer.model.load_state_dict(model.module.state_dict())
    if hasattr(inferencer, 'show_progress'):
        inferencer.show_progress = False

    def call(files: list[str], folder: str) -> object:
        with DefaultScope.overwrite_default_scope(model.cfg.default_scope), contextlib.redirect_stdout(io.StringIO()):
            return inferencer(files, return_datasamples=True, batch_size=1, **options, **draw(folder))

    return call


def _compare(model: Model, theirs: Callable[..., object], file: str) -> None:
    """Look at whether both find the same."""
    result = model.predict(file)
    found = theirs([file], '')
    sample = found['predictions'][0] if isinstance(found, dict) else found[0] if isinstance(found, list) else found
    if result.semantic is not None:
        same = float(np.mean(sample.pred_sem_seg.data.cpu().numpy()[0] == result.semantic))
        print(f'equal pixels: {100 * same:.2f} %', file=sys.stderr)
        return
    scores = sample.pred_instances.scores.cpu().numpy()
    same = len(scores) == len(result) and np.allclose(scores, result.scores, atol=TOLERANCE)
    print(f'{len(result)} and {len(scores)} objects, {"equal" if same else "other"} scores', file=sys.stderr)


def _figures(model: Model, seconds: dict[str, list[float]], sizes: list[int], is_drawn: bool) -> dict:
    rates = {
        name: [size / value for size, value in zip(sizes, values, strict=True)] for name, values in seconds.items()
    }
    ratios = [a / b for a, b in zip(rates['predict'], rates['inferencer'], strict=True)]
    return dict(
        model=type(model.module).__name__,
        drawn=is_drawn,
        images=sum(sizes),
        images_per_second={name: statistics.median(values) for name, values in rates.items()},
        ratio=dict(median=statistics.median(ratios), least=min(ratios), most=max(ratios)),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 1e6,
    )


def _table(case: dict) -> str:
    how = 'drawn into files' if case['drawn'] else 'not drawn'
    rows = [[name, f'{rate:.2f}'] for name, rate in case['images_per_second'].items()]
    ratio = case['ratio']
    return (
        f'{case["model"]}, {case["images"]} images, {how}\n{format_table(rows, ["way", "images/s"])}\n'
        f'ratio {ratio["median"]:.2f} ({ratio["least"]:.2f} to {ratio["most"]:.2f})'
    )


if __name__ == '__main__':
    main()
