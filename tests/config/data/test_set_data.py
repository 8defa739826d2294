"""A dataset's name puts the dataset into a config, with all that follows from it."""

import pytest
from helpers.commands import run_command
from helpers.data.coco_layouts import write_layout
from helpers.data.map_folders import write_map_layout
from helpers.demo_runs import DETECTOR, FEW_STEPS, SEGMENTER
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from convnext_dense.checks.run_checks import CHECKS
from convnext_dense.checks.run_plan import RunPlan
from convnext_dense.config import load_config
from convnext_dense.datasets.formats.places import data_name
from convnext_dense.errors import UsageError

# Configs that have heads, wrappers and evaluators of each kind.
DETECTORS = [
    'mask-rcnn_convnext-demo_fpn_demo-coco',
    'cascade-mask-rcnn_convnext-t_fpn_4conv1fc-giou_amp-ms-crop-3x_coco',
    'mask2former_convnext-t_8xb2-lsj-50e_coco',
    'dino-4scale_convnext-t_8xb2-12e_coco',
    'mmdet::pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py',
    'mmdet::lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1.py',
    'mmdet::seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1.py',
    'mmdet::cityscapes/mask-rcnn_r50_fpn_1x_cityscapes.py',
    'mmdet::yolox/yolox_s_8xb8-300e_coco.py',
    'mmdet::solov2/solov2_r50_fpn_1x_coco.py',
]
SEGMENTERS = [
    'upernet_convnext-demo_demo-ade20k',
    'upernet_convnext-t_8xb2-amp-160k_ade20k-512x512',
    'mask2former_convnext-t_8xb2-160k_ade20k-512x512',
    'mmseg::pspnet/pspnet_r50-d8_4xb4-40k_voc12aug-512x512.py',
    'mmseg::ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::knet/knet-s3_r50-d8_upernet_8xb2-adamw-80k_ade20k-512x512.py',
    'mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
    'mmseg::unet/unet-s5-d16_fcn_4xb4-40k_chase-db1-128x128.py',
]


@pytest.fixture(scope='module')
def pets(tmp_path_factory):
    root = tmp_path_factory.mktemp('pets')
    write_layout(root, 'COCO')
    return str(root)


@pytest.fixture(scope='module')
def streets(tmp_path_factory):
    root = tmp_path_factory.mktemp('streets')
    write_map_layout(root, 'ADE20K', values=(0, 1, 2, 3))
    (root / 'classes.txt').write_text('road\nsky\ntree\n')
    return str(root)


def errors(plan):
    found = [finding.sentence for check in CHECKS for finding in check.find(plan) if finding.is_error]
    # Weights are not there in the tests.
    return [sentence for sentence in found if 'checkpoint' not in sentence]


@pytest.mark.parametrize('name', DETECTORS)
def test_the_checks_find_nothing_to_change_in_a_detector(name, pets, tmp_path):
    plan = RunPlan(load_config(name, str(tmp_path), data=pets), ('train', 'val', 'test'))
    assert not errors(plan)
    assert all(dataset.classes == ['cat', 'dog'] for dataset in plan.datasets)
    assert {dataset.split for dataset in plan.datasets} == {'train', 'val', 'test'}


@pytest.mark.parametrize('name', SEGMENTERS)
def test_the_checks_find_nothing_to_change_in_a_segmenter(name, streets, tmp_path):
    cfg = load_config(name, str(tmp_path), data=streets)
    plan = RunPlan(cfg, ('train', 'val', 'test'))
    assert not errors(plan)
    assert all(dataset.classes == ['road', 'sky', 'tree'] for dataset in plan.datasets)
    assert all(dataset.built.reduce_zero_label for dataset in plan.datasets)


def test_the_pipelines_wrappers_and_metrics_stay(pets):
    name = 'mmdet::pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py'
    before, cfg = load_config(name), load_config(name, data=pets)
    repeated, old = cfg.train_dataloader.dataset, before.train_dataloader.dataset
    assert (repeated.type, repeated.times) == (old.type, old.times)
    (leaf,) = repeated.dataset.datasets
    assert leaf.pipeline == old.dataset.datasets[0].pipeline
    assert cfg.val_evaluator.type == 'mmdet.CocoMetric'
    assert cfg.param_scheduler == before.param_scheduler
    own = 'mask-rcnn_convnext-t_fpn_amp-1x_coco'
    assert load_config(own, data=pets).val_evaluator.metric == load_config(own).val_evaluator.metric


def test_the_same_objects_are_fed_as_by_hand(pets):
    cfg = load_config('mask-rcnn_convnext-demo_fpn_demo-coco', data=pets)
    by_hand = dict(
        type='mmdet.CocoDataset',
        data_root=pets,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        metainfo=dict(classes=('cat', 'dog')),
        pipeline=cfg.train_dataloader.dataset.pipeline,
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        fed, expected = (DATASETS.build(dataset) for dataset in (cfg.train_dataloader.dataset, by_hand))
    assert len(fed) == len(expected) == 4
    for i in range(4):
        assert fed.get_data_info(i)['instances'] == expected.get_data_info(i)['instances']


def test_weights_of_classes_are_those_of_the_first_and_of_the_background(pets):
    head = load_config('mask2former_convnext-t_8xb2-lsj-50e_coco', data=pets).model.panoptic_head
    assert (head.num_things_classes, head.num_stuff_classes) == (2, 0)
    assert head.loss_cls.class_weight == [1.0, 1.0, 0.1]


def test_a_model_that_reads_class_names_reads_those_of_the_dataset(streets):
    model = load_config('mmseg::san/san-vit-b16_coco-stuff164k-640x640.py', data=streets).model
    assert (model.text_encoder.dataset_name, model.text_encoder.vocabulary) == (None, ['road', 'sky', 'tree'])
    assert model.decode_head.num_classes == 3


@pytest.mark.parametrize('sampler', ['MultiSourceSampler', 'MultiDataSampler', 'CustomSampleSizeSampler'])
def test_a_sampler_of_several_datasets_is_an_error(sampler, pets, tmp_path):
    path = tmp_path / 'several.py'
    path.write_text(
        f"_base_ = ['{DETECTOR}']\ntrain_dataloader = dict(sampler=dict(_delete_=True, type='{sampler}'))\n"
    )
    with pytest.raises(UsageError, match=rf'train_dataloader.sampler \({sampler}\) needs more than one dataset'):
        load_config(str(path), data=pets)


@pytest.mark.parametrize(('name', 'ending'), [('pets-1.0', 'pets-1.0'), ('pets-1.1/', 'pets-1.1')])
def test_the_work_dir_has_the_whole_name_of_a_folder(name, ending, tmp_path):
    write_layout(tmp_path / name, 'COCO')
    cfg = load_config('mask-rcnn_convnext-demo_fpn_demo-coco', data=f'{tmp_path}/{name}')
    assert cfg.work_dir == f'work_dirs/mask-rcnn_convnext-demo_fpn_demo-coco_{ending}'


def test_options_come_last(pets):
    cfg = load_config(
        'mask-rcnn_convnext-demo_fpn_demo-coco', data=pets, cfg_options={'train_dataloader.dataset.indices': 2}
    )
    assert cfg.train_dataloader.dataset.indices == 2


@pytest.mark.parametrize(
    ('name', 'sentence'),
    [
        ('mmseg::vpd/vpd_sd_4xb8-25k_nyu-480x480.py', 'train_dataloader.dataset is NYUDataset'),
        ('mmdet::htc/htc_r50_fpn_1x_coco.py', 'train_dataloader.dataset loads label maps besides objects'),
        ('mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', 'of COCO.s panoptic form for training'),
        ('mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py', 'GroupMultiSourceSampler'),
    ],
)
def test_a_config_that_cannot_be_fitted_is_an_error(name, sentence, pets):
    with pytest.raises(UsageError, match=sentence):
        load_config(name, data=pets)


def test_boxes_without_masks_name_a_config_that_takes_them(tmp_path):
    write_layout(tmp_path, 'COCO', segmentation=[])
    with pytest.raises(
        UsageError, match=r'MaskRCNN learns masks.*has objects without; take a config without.*or set boxes_to_masks'
    ):
        load_config('mask-rcnn_convnext-demo_fpn_demo-coco', data=str(tmp_path))
    load_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', data=str(tmp_path))


def test_a_detector_trains_and_is_tested_on_it_with_another_backbone(pets, tmp_path):
    options = [*FEW_STEPS, 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1']
    swaps = ['--backbone', 'convnext_atto', '--from-scratch', '--data', pets, '--work-dir', 'run']
    trained = run_command(tmp_path, 'train', DETECTOR, *swaps, '--cfg-options', *options)
    assert trained.status == 0, trained.err
    assert '2 classes' in trained.out + trained.err
    # The config that the run left has all of it.
    written = Config.fromfile(next((tmp_path / 'run').glob('*.py')))
    assert written.model.roi_head.bbox_head.num_classes == 2
    assert run_command(tmp_path, 'test', next((tmp_path / 'run').glob('*.py')), 'run/epoch_1.pth').status == 0


def test_a_segmenter_trains_and_is_tested_on_it(streets, tmp_path):
    options = [*FEW_STEPS, 'train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1']
    trained = run_command(
        tmp_path, 'train', SEGMENTER, '--data', streets, '--work-dir', 'run', '--cfg-options', *options
    )
    assert trained.status == 0, trained.err
    written = next((tmp_path / 'run').glob('*.py'))
    tested = run_command(tmp_path, 'test', written, 'run/iter_1.pth')
    assert tested.status == 0, tested.err
    assert all(name in tested.out for name in ('road', 'sky', 'tree'))


def test_few_classes_have_their_own_scores(pets):
    cfg = load_config('mask-rcnn_convnext-demo_fpn_demo-coco', data=pets)
    assert cfg.val_evaluator.classwise


@pytest.mark.parametrize(('name', 'called'), [('data.yaml', 'my set-1.0'), ('2024.json', '2024')])
def test_a_file_that_all_call_so_is_called_by_its_folder(name, called, tmp_path):
    (tmp_path / 'my set-1.0').mkdir()
    (tmp_path / 'my set-1.0' / name).touch()
    assert data_name(str(tmp_path / 'my set-1.0' / name)) == called
