"""The two pointwise layers and what lies between and after them, fused."""
