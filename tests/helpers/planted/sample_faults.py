"""The faults of images and label maps that the loading of one sample shows."""

from helpers.planted.image_faults import OF_IMAGES
from helpers.planted.map_faults import OF_MAPS

# What one sample cannot show: what is wrong with a whole dataset, or with its config.
OF_DATASETS = [
    '_all_ignored',
    '_one_class',
    '_flat_jpeg',
    '_smeared_jpeg',
    '_splits_disagree',
    '_metric_disagrees',
    '_head_disagrees',
    '_no_images',
    '_map_without_image',
    '_below_the_stride',
    '_one_row',
    '_stored_but_turned',
    '_upside_down',
    '_turned_square',
    '_squeezed',
    '_squeezed_color',
    '_dropped_fourth',
    '_four_for_three',
    '_three_for_four',
    '_gray_for_color',
    '_four_means',
]
# Pixels are limited where OpenCV is imported first.
OF_SAMPLES = [fault for fault in (*OF_MAPS, *OF_IMAGES) if fault.__name__ not in (*OF_DATASETS, '_bomb')]
