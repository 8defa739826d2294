"""Steps whose number of results depends on the image, as operators whose outputs have a fixed size."""
