"""One recipe, several backbones: their runs, scores and costs."""
