"""The decoders, and what their layers are made of."""
