"""The names of the switches that make runs faster. Imports nothing, for the command line needs them at once."""

SWITCHES = ('channels_last', 'bf16', 'compile', 'cudnn_benchmark', 'fused_adamw', 'ddp', 'prefetch')
# Those that act in testing.
TEST_SWITCHES = ('channels_last', 'compile')
