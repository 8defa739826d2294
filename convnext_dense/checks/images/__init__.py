"""Images and label maps: are they what the loader takes them for?"""

from convnext_dense.checks.images.files import IMAGES
from convnext_dense.checks.images.label_maps import LABELS

__all__ = ['IMAGES', 'LABELS']
