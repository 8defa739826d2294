"""The two pointwise convolutions, and what is between them, as fused kernels."""
