"""A live panel of a training on a terminal."""
