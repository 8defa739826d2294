"""What pools the features of regions of interest."""
