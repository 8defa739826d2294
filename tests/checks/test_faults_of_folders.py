"""Files and folders of datasets that are not there are found."""

import pytest
from helpers.data.small_datasets import DetectorData
from helpers.planted.faults import Faults, look_for
from helpers.planted.runs import DetectorRun, SegmenterRun
from hypothesis import strategies as st
from mmengine.config import ConfigDict

from convnext_dense.checks.files import find_in_files

detector_fault, segmenter_fault = Faults(DetectorRun), Faults(SegmenterRun)


@detector_fault
def file_missing(run):
    split = run.split()
    run.dataset(split).ann_file = 'annotations/nowhere.json'
    return f'{split}_dataloader.dataset.ann_file', 'there is no', 'nowhere.json'


@detector_fault
def file_missing_in_wrappers(run):
    inner = run.dataset('train')
    other = {**inner, 'ann_file': 'nowhere.json'}
    wrapped = dict(type='ConcatDataset', datasets=[inner, other])
    run.cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=wrapped)
    return 'train_dataloader.dataset.dataset.datasets.1.ann_file', 'nowhere.json'


@detector_fault
def data_missing_in_wrappers(run):
    inner = run.dataset('train')
    other = {**inner, 'data_root': str(run.root / 'nowhere')}
    run.cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner, other])
    return 'train_dataloader.dataset.datasets.1.data_root', 'there is no folder', 'nowhere'


@detector_fault
def fault_in_wrappers(run):
    annotation = run.pick(run.files['train']['annotations'])
    annotation['bbox'] = None
    run.cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=run.dataset('train'))
    return run.path('train').name, repr(annotation['id']), "'bbox' null"


@detector_fault
def image_missing(run):
    split = run.split()
    path = run.root / f'{split}2017' / run.pick(run.files[split]['images'])['file_name']
    path.unlink()
    return f'{split}_dataloader.dataset', 'there is no image', str(path)


@detector_fault
def image_is_a_folder(run):
    split = run.split()
    path = run.root / f'{split}2017' / run.pick(run.files[split]['images'])['file_name']
    path.unlink()
    path.mkdir()
    return f'{split}_dataloader.dataset', str(path)


@detector_fault
def image_with_backslashes(run):
    name, image = run.entry('images')
    image['file_name'] = f'x\\{image["file_name"]}'
    return name, repr(image['id']), 'backslash'


@detector_fault
def image_outside_of_the_data(run):
    name, image = run.entry('images')
    outside = run.root.parent / 'outside.jpg'
    outside.touch()
    image['file_name'] = run.draw(st.sampled_from([str(outside), '../../outside.jpg']))
    return name, repr(image['id']), 'file_name', 'leads out of'


@detector_fault
def image_folder_missing(run):
    split = run.split()
    run.dataset(split).data_prefix = dict(img='nowhere/')
    return f'{split}_dataloader.dataset.data_prefix.img', 'there is no folder', 'nowhere', 'train2017'


@segmenter_fault
def images_of_another_suffix(run):
    split = run.split()
    for path in run.folder('images', split).iterdir():
        path.rename(path.with_suffix('.png'))
    return f'{split}_dataloader.dataset.img_suffix', "'.jpg'", f'{len(run.names)} .png'


@segmenter_fault
def label_maps_of_another_suffix(run):
    split = run.split()
    for path in run.folder('annotations', split).iterdir():
        path.rename(path.with_suffix('.tif'))
    return f'{split}_dataloader.dataset.seg_map_suffix', "'.png'", f'{len(run.names)} .tif'


@segmenter_fault
def no_images(run):
    split = run.split()
    for path in run.folder('images', split).iterdir():
        path.unlink()
    return f'{split}_dataloader.dataset', 'holds no files'


@segmenter_fault
def label_map_missing(run):
    split = run.split()
    path = run.folder('annotations', split) / f'{run.draw(st.sampled_from(run.names))}.png'
    path.unlink()
    return f'{split}_dataloader.dataset', 'there is no label map', str(path)


@segmenter_fault
def image_of_a_label_map_missing(run):
    split = run.split()
    name = run.draw(st.sampled_from(run.names))
    (run.folder('images', split) / f'{name}.jpg').unlink()
    return f'{split}_dataloader.dataset', f'{name}.png has no image'


@segmenter_fault
def folder_missing(run):
    split = run.split()
    key = run.draw(st.sampled_from(['img_path', 'seg_map_path']))
    run.dataset(split).data_prefix = ConfigDict({**run.dataset(split).data_prefix, key: 'nowhere'})
    return f'{split}_dataloader.dataset.data_prefix.{key}', 'there is no folder', 'nowhere'


@segmenter_fault
def list_of_names_missing(run):
    split = run.split()
    run.dataset(split).ann_file = 'nowhere.txt'
    return f'{split}_dataloader.dataset.ann_file', 'nowhere.txt'


CASES = [(faults, name) for faults in (detector_fault, segmenter_fault) for name in faults]


@pytest.mark.parametrize(('faults', 'name'), CASES)
def test_a_planted_fault_is_found(faults, name):
    faults.look_for(name)


@pytest.mark.full
@pytest.mark.parametrize(('faults', 'name'), CASES)
def test_a_planted_fault_is_found_wherever_it_is(faults, name):
    faults.look_for(name, examples=40)


@pytest.mark.parametrize('run_type', [DetectorRun, SegmenterRun])
def test_nothing_is_found_in_right_runs(run_type):
    look_for(run_type, None)


def test_remote_data_is_not_looked_for(tmp_path):
    data = DetectorData(tmp_path)
    data.dataset('train').update(data_root='', data_prefix=dict(img='s3://nowhere/'))
    data.dataset('val').update(data_root='nowhere', backend_args=dict(backend='local'))
    assert not list(find_in_files(data.plan()))
