"""The kinds of faults that a dataset can have."""

from dataclasses import dataclass

ERROR, WARNING, NOTE = 'error', 'warning', 'note'
LEVELS = (ERROR, WARNING, NOTE)


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Args:
        level: 'error' if training stops at it or is ruined by it, 'warning' if something is lost or odd, 'note' if it
            is good to know.
        title: What has it, in the plural.
        remedy: What to do.
        is_mended: Whether a cleaned copy has it no more.
    """

    level: str
    title: str
    remedy: str
    is_mended: bool = False


_FILES = {
    'data': Kind(ERROR, 'what keeps the dataset from being recognized', 'change it as the sentence says'),
    'conversion': Kind(ERROR, 'entries that cannot be read', 'mend them in their file, or leave them out', True),
    'json': Kind(ERROR, 'annotation files that cannot be read', 'export or copy the file again'),
    'field': Kind(
        ERROR, 'entries with a field that is missing or of another type', 'add the field, or delete the entry', True
    ),
    'image-size': Kind(ERROR, 'images whose height or width is not positive', "write the image's size", True),
    'no-categories': Kind(ERROR, 'annotation files without categories', 'add the classes as categories'),
    'no-images': Kind(ERROR, 'splits without images', 'add images, or leave the split out'),
    'no-objects': Kind(ERROR, 'splits without an object', 'annotate objects'),
    'duplicate-image-id': Kind(ERROR, 'images whose id another image has', 'give each image an id of its own', True),
    'duplicate-annotation-id': Kind(ERROR, 'annotations whose id another one has', 'number the annotations', True),
    'duplicate-category': Kind(ERROR, 'categories whose id another one has', 'give each category an id of its own'),
    'duplicate-category-name': Kind(ERROR, 'categories of one name', 'keep one of each name', True),
    'duplicate-file-name': Kind(WARNING, 'images that have several entries', 'keep one entry for each file', True),
    'file-name-outside': Kind(
        WARNING, "file names that leave the images' folder", 'put the images into the folder', True
    ),
}
_OBJECTS = {
    'unknown-image': Kind(WARNING, 'annotations of an image that is not there, which mmdet drops', 'delete them', True),
    'unknown-category': Kind(
        WARNING,
        'annotations of a category that is not there, which mmdet drops',
        'add the category, or delete them',
        True,
    ),
    'unused-category': Kind(WARNING, 'categories without an object in any split', 'delete them, or annotate objects'),
    'class-absent': Kind(
        WARNING, 'classes that a split has no object of', 'divide the images again, so that each split has all classes'
    ),
    'class-rare': Kind(WARNING, 'classes with few objects for training', 'annotate more of them, or leave them out'),
    'box': Kind(
        ERROR, 'annotations whose bbox is not four finite numbers', 'write [x, y, width, height] in pixels', True
    ),
    'no-area': Kind(
        WARNING,
        'annotations without area (a bbox below 1 px, or an area that is not positive), which mmdet drops',
        'delete them',
        True,
    ),
    'box-outside': Kind(
        WARNING, 'annotations with a bbox outside of the image, which mmdet drops', 'delete them', True
    ),
    'box-overhang': Kind(
        WARNING,
        'annotations with a bbox that is partly outside of the image, which mmdet cuts off',
        'cut them off at the border',
        True,
    ),
    'box-corners': Kind(WARNING, 'boxes that seem to be corners', 'write [x, y, width, height], not [x1, y1, x2, y2]'),
    'box-fractions': Kind(ERROR, 'boxes between 0 and 1', 'write them in pixels'),
    'box-not-of-mask': Kind(
        WARNING, 'boxes that are not those of their masks', 'work the boxes out from the masks, if these are right'
    ),
    'duplicate-box': Kind(WARNING, 'objects that are there more than once', 'keep one of them', True),
    'near-duplicate-box': Kind(
        WARNING, 'objects of one class whose boxes are almost the same', 'look whether an object was annotated twice'
    ),
    'two-classes': Kind(WARNING, 'boxes that two classes have', 'keep one of them'),
    'area': Kind(
        WARNING,
        "areas that are not the mask's, by which scores of small and large objects are sorted",
        "write the mask's area",
        True,
    ),
    'no-mask': Kind(ERROR, 'objects without a segmentation', 'annotate masks, or take a detector without a mask head'),
    'polygon': Kind(
        ERROR, 'segmentations that cannot be read', 'write polygons [[x1, y1, x2, y2, ...]] or run lengths', True
    ),
    'polygon-short': Kind(
        WARNING,
        'polygons of fewer than three points or an odd number of coordinates, which mmdet ignores',
        'delete them',
        True,
    ),
    'polygon-crossing': Kind(
        WARNING,
        'polygons that cross themselves',
        'draw them again; where they overlap is background, or not, by the tool',
    ),
    'polygon-outside': Kind(WARNING, 'polygons that leave the image', 'cut them off at the border', True),
    'mask-empty': Kind(WARNING, 'masks without a pixel', 'draw them again', True),
    'run-lengths': Kind(ERROR, 'run lengths that are not those of a mask of the image', 'export them again', True),
    'image-without-objects': Kind(
        NOTE,
        'images without annotations, which mmdet leaves out of training',
        'annotate them, if they are not background',
    ),
    'object-tiny': Kind(
        WARNING,
        "objects that are smaller than the model's smallest stride",
        'resize the images to more pixels, or take a model of a smaller stride',
    ),
    'object-cut': Kind(
        WARNING,
        "objects that are larger than the pipeline's crop",
        'crop larger parts, or resize the images to fewer pixels',
    ),
    'image-filtered': Kind(
        WARNING,
        'images that are smaller than filter_cfg.min_size, which training leaves out',
        'set filter_cfg.min_size lower',
    ),
    'config': Kind(ERROR, 'what the config and the dataset do not have in common', 'change it as the sentence says'),
}
_IMAGES = {
    'image-missing': Kind(
        ERROR, 'images that are not there', 'copy them to their folder, or delete their entries', True
    ),
    'image-name': Kind(
        ERROR, 'images whose file is named otherwise, in case or in accents', 'write the name of the file', True
    ),
    'image-unreadable': Kind(ERROR, 'images that cannot be decoded', 'copy them again from where they come from', True),
    'image-truncated': Kind(
        ERROR, 'images that are cut off or damaged', 'copy them again from where they come from', True
    ),
    'image-too-large': Kind(ERROR, 'images of too many pixels', 'cut them into tiles', True),
    'image-size-differs': Kind(
        ERROR, 'images of another size than their annotations are for', 'annotate the images that are there', True
    ),
    'exif-unseen': Kind(
        WARNING,
        'images that EXIF turns, and that were annotated as stored',
        'save them without the EXIF orientation',
        True,
    ),
    'exif-unclear': Kind(
        WARNING,
        'images that EXIF turns, and that may have been annotated as stored',
        'save them upright, or look whether the boxes fit',
    ),
    'image-16-bit': Kind(
        WARNING,
        'images of 16 bits, of which the loader keeps few levels',
        "set color_type='unchanged', or scale the values",
    ),
    'image-deep': Kind(
        NOTE, 'images of 16 bits, of which the loader keeps the upper 8', "set color_type='unchanged' to keep all"
    ),
    'image-fourth-channel': Kind(
        WARNING, 'images with a fourth channel of data, which the loader drops', "set color_type='unchanged' to keep it"
    ),
    'image-alpha': Kind(
        NOTE,
        'images with transparency, which the loader drops',
        'what is behind transparent parts is seen by the model',
    ),
    'image-cmyk': Kind(
        WARNING, 'images in CMYK, whose colors the loader converts without their profile', 'save them as RGB'
    ),
    'image-gray': Kind(
        NOTE,
        'gray images among colored ones, of which the loader makes three equal channels',
        'nothing, if such images come later too',
    ),
    'image-colored': Kind(NOTE, 'colored images among gray ones', 'nothing, if such images come later too'),
    'image-frames': Kind(
        WARNING, 'files of several images, of which the loader reads the first', 'save each as a file of its own'
    ),
    'image-ending': Kind(
        NOTE, 'images of another format than their name says', 'rename them; OpenCV reads them as they are'
    ),
    'image-constant': Kind(WARNING, 'images of one color', 'look whether they are empty by mistake'),
    'duplicate-image': Kind(WARNING, 'images that a split has more than once', 'keep one of each'),
    'image-in-two-splits': Kind(
        WARNING, 'images that two splits have, so that scores are too good', 'keep them in one split', True
    ),
    'image-unused': Kind(NOTE, 'images in the folder that the annotations do not name', 'annotate them, or leave them'),
}
_MAPS = {
    'map-missing': Kind(ERROR, 'images without a label map', 'label them, or leave them out', True),
    'image-of-map-missing': Kind(WARNING, 'label maps without an image', 'add the images', True),
    'map-unreadable': Kind(ERROR, 'label maps that cannot be read', 'save them again', True),
    'map-layout': Kind(
        ERROR,
        'label maps of several channels, or of more than 8 bits',
        'save them as PNG of one channel, with the number of the class',
        True,
    ),
    'map-values': Kind(
        ERROR, 'label maps with values that are no classes', 'write classes, or 255 for what is ignored', True
    ),
    'map-size': Kind(ERROR, 'label maps of another size than their image', 'label the images that are there', True),
    'map-lossy': Kind(
        WARNING, "label maps in JPEG, which changes the values at edges into other classes'", 'save them as PNG'
    ),
    'map-ignored': Kind(WARNING, 'label maps of which every pixel is ignored', 'label them, or leave them out', True),
    'map-shifted': Kind(WARNING, 'splits whose label maps seem to count otherwise', 'change it as the sentence says'),
}
KINDS: dict[str, Kind] = {**_FILES, **_OBJECTS, **_IMAGES, **_MAPS}
