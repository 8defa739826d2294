"""The depthwise convolution, and the LayerNorm behind it, as one kernel."""
