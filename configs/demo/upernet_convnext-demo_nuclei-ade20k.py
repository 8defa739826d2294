# The demo model on a dataset of your own in ADE20K's layout; here nuclei in microscope images.
_base_ = ['./upernet_convnext-demo_demo-ade20k.py']

dataset = dict(
    data_root='data/nuclei/ade/ADEChallengeData2016',
    metainfo=dict(classes=('background', 'nucleus'), palette=[[64, 64, 64], [220, 20, 60]]),
)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

model = dict(decode_head=dict(num_classes=2), auxiliary_head=dict(num_classes=2))
