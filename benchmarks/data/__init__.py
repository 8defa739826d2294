"""How fast training data is prepared, with the switch `data` and without."""
