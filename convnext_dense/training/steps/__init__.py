"""One training step: is it finite, what is it made of, and how is it done again."""
