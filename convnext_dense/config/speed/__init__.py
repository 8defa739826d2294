"""`--speed`: the switches that make a run faster, and what each changes in a config."""
