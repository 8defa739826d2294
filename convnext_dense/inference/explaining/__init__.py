"""What a backbone sees: colors of its feature maps, and its receptive field."""
