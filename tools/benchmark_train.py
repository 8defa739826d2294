"""Time whole training steps of a config against the same model as OpenMMLab runs it.

OpenMMLab's way is mmpretrain's ConvNeXt in fp16 mixed precision (float32 on a CPU), contiguous memory, PyTorch's
default AdamW, mmdet's or mmseg's constructor for learning-rate decay, and each one's own default of cuDNN's autotuning
(mmseg's is on, mmdet's off). Both start from the same weights, which the
loss of the first batch shows, and take their steps in turn on the same batches.

The batches are made up before anything is timed: pictures of COCO's or ADE20K's sizes go through the config's own
training pipeline and samplers, so that crops, scales and padding are the recipe's. Warming up takes five batches that
are not timed. A shape that they did not have is timed when it is first seen, with all that a run does only once for a
shape; the table says how many there were, and p99 shows what they cost.

Peak memory is what each holds between two steps (weights, the optimizer's state, a model that EMA keeps, a prefetched
batch) and the most that a timed step adds to it; on a CPU, what a step of the largest batch adds.
"""

import argparse
import sys

import convnext_dense.config as config
from benchmarks.measure import write_json
from benchmarks.training.compare import ROUNDS_ON_CPU, ROUNDS_ON_GPU, benchmark_training, training_table
from convnext_dense.cli.arguments import add_batch_arguments, add_speed_argument, config_parser
from convnext_dense.config.speed import SWITCHES
from convnext_dense.errors import exit_on_usage_error


def parse_args() -> argparse.Namespace:
    parser = config_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_speed_argument(parser, list(SWITCHES))
    add_batch_arguments(parser)
    parser.add_argument(
        '--rounds',
        type=int,
        help=f'timed steps of each; by default {ROUNDS_ON_GPU} on a GPU, and {ROUNDS_ON_CPU} on a CPU, where p99 '
        'is then hardly more than the slowest step',
    )
    parser.add_argument('--out', metavar='FILE.json', help='save the figures')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on_usage_error():
        cfg = config.load_config(args.config, cfg_options=args.cfg_options)
        result = benchmark_training(cfg, args.speed, args.batch_size, args.scale, args.rounds, args.with_data)
    print(training_table(result))
    if args.out:
        write_json(args.out, result)
    if not result['first_losses']['agree']:
        sys.exit(1)


if __name__ == '__main__':
    main()
