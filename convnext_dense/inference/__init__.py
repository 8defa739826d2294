"""A trained model on new images."""

from convnext_dense.inference.inputs import image_inputs
from convnext_dense.inference.model import Model, load_model
from convnext_dense.results.image_input import ImageInput
from convnext_dense.results.result import Result

__all__ = ['ImageInput', 'Model', 'Result', 'image_inputs', 'load_model']
