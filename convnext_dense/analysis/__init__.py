"""What a model is without training it: its parameters and multiply-adds."""
