"""The depthwise convolution and the LayerNorm after it, fused."""
