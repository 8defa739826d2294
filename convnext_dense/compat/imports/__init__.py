"""What is done when a program imports mmcv, mmengine or mmpretrain, and not before."""
