"""The names of the switches for speed. This file imports nothing, so that a command's help is quick."""

# What each switch does, in the order in which they are applied.
SWITCHES = {
    'channels_last': 'lay weights and feature maps out as N, H, W, C',
    'bf16': 'compute the losses in bfloat16',
    'compile': 'compile backbone, neck and dense heads',
    'cudnn_benchmark': 'let cuDNN time its kernels while shapes are few',
    'fused_adamw': 'update all weights of a parameter group with one kernel',
    'ddp': 'keep gradients in the buckets that are sent to other GPUs',
    'prefetch': 'copy the next batch to the GPU during a step',
}
# Those that also act in testing.
TEST_SWITCHES = ('channels_last', 'compile')
# Former names.
RENAMED = {'autotune': 'cudnn_benchmark'}
