"""A trained model on new images."""

from convnext_dense.inference.inputs import ImageInput, image_inputs
from convnext_dense.inference.model import Model, load_model
from convnext_dense.inference.result import Result

__all__ = ['ImageInput', 'Model', 'Result', 'image_inputs', 'load_model']
