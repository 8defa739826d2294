"""What a trained model predicts on, and what it says of what it cannot predict on."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from convnext_dense import load_model
from convnext_dense.errors import CheckpointError, UsageError
from convnext_dense.inference.model import Model


def assert_same(result, other):
    """Check that two results are equal."""
    for name in ('boxes', 'labels', 'scores', 'masks', 'semantic'):
        one, two = getattr(result, name), getattr(other, name)
        assert (one is None) == (two is None)
        assert one is None or np.array_equal(one, two), name


@pytest.fixture
def png(photos, tmp_path):
    """A file whose pixels every reader decodes alike."""
    path = tmp_path / 'photo.png'
    Image.open(photos[0]).convert('RGB').save(path)
    return path


@pytest.fixture(params=['detector', 'segmenter'])
def model(request):
    """The detector, then the segmenter."""
    return request.getfixturevalue(request.param)


class TestInputs:
    def test_the_same_pixels_have_the_same_result(self, model, png):
        expected = model.predict(png)
        rgb = np.asarray(Image.open(png))
        assert_same(model.predict(str(png)), expected)
        assert_same(model.predict(Image.open(png)), expected)
        assert_same(model.predict(rgb), expected)
        assert_same(model.predict(rgb[..., ::-1], channels='bgr'), expected)
        assert_same(model.predict(torch.from_numpy(rgb.copy()).permute(2, 0, 1)), expected)
        (first, second) = model.predict(part for part in (rgb, png))
        assert_same(first, expected)
        assert_same(second, expected)

    def test_a_folder_and_a_pattern_have_a_result_for_each_image(self, segmenter, photos):
        folder = photos[0].parent
        results = segmenter.predict(folder)
        assert len(results) == len(list(folder.iterdir()))
        assert [result.image.name for result in results] == sorted(result.image.name for result in results)
        assert len(segmenter.predict(f'{folder}/*{photos[0].stem}*')) == 1

    def test_an_image_on_its_side_is_turned(self, model, png, tmp_path):
        image = Image.open(png).resize((96, 64))
        exif = image.getexif()
        exif[0x0112] = 6
        path = tmp_path / 'turned.png'
        image.save(path, exif=exif)
        result = model.predict(path)
        assert result.size == (96, 64)
        assert result.pixels().shape == (96, 64, 3)
        assert_same(result, model.predict(Image.open(path)))
        assert_same(result, model.predict(np.asarray(image.rotate(-90, expand=True))))

    def test_gray_and_deep_files_are_read_as_in_a_test(self, model, tmp_path):
        gray = np.random.default_rng(0).integers(0, 255, (64, 96), np.uint8)
        cv2.imwrite(str(tmp_path / 'gray.png'), gray)
        cv2.imwrite(str(tmp_path / 'deep.png'), gray.astype(np.uint16) * 256)
        expected = model.predict(tmp_path / 'gray.png')
        assert_same(model.predict(gray), expected)
        assert_same(model.predict(tmp_path / 'deep.png'), expected)

    @pytest.mark.parametrize(
        ('image', 'message'),
        [
            (np.zeros((8, 8, 3), np.float32), 'must be an image of 8 bits with 3 channels or 1; got float32'),
            (np.zeros((8, 8, 4), np.uint8), r'got uint8 with shape \(8, 8, 4\)'),
            (np.zeros((0, 8, 3), np.uint8), 'has no pixels'),
            (torch.zeros(3, 8, 8), 'got float32'),
            (Image.new('I;16', (8, 8)), 'has more than 8 bits; give its file'),
            (3, 'int is no path, image, array or tensor'),
            ([3], 'int is no path, image, array or tensor'),
            ('nowhere.jpg', 'there is no file or folder nowhere.jpg'),
            ('ftp://nowhere/a.jpg', 'is no address of an image'),
            ('nowhere.mp4', 'there is no file or folder nowhere.mp4'),
        ],
    )
    def test_what_is_no_image_is_one_sentence(self, segmenter, image, message):
        with pytest.raises(UsageError, match=message):
            segmenter.predict(image)

    def test_a_broken_file_is_named(self, segmenter, tmp_path):
        (tmp_path / 'broken.jpg').write_bytes(b'no image')
        with pytest.raises(UsageError, match=r'broken\.jpg'):
            segmenter.predict(tmp_path)

    def test_what_the_network_refuses_is_said_of_the_image(self, segmenter, tmp_path):
        Image.new('RGB', (24, 24)).save(tmp_path / 'small.png')
        message = r'cannot predict on .*small\.png: the image must be at least 32 pixels high and wide; got 24 x 24\.$'
        for task in (segmenter.predict, segmenter.features):
            with pytest.raises(UsageError, match=message):
                task(tmp_path / 'small.png')

    def test_an_order_of_channels_is_checked(self, segmenter):
        with pytest.raises(UsageError, match="channels must be one of rgb, bgr, not 'RGB'"):
            segmenter.predict(np.zeros((8, 8, 3), np.uint8), channels='RGB')


class TestBatches:
    def test_their_size_does_not_change_a_result(self, model, photos, tmp_path):
        files = [*photos, tmp_path / 'wide.png', photos[0]]
        Image.new('RGB', (160, 64), (200, 30, 30)).save(tmp_path / 'wide.png')
        for one, several in zip(model.predict(files), model.predict(files, batch_size=3), strict=True):
            assert one.image.name == several.image.name
            assert one.size == several.size
            if one.semantic is not None:
                assert (one.semantic == several.semantic).mean() > 0.999
                continue
            assert len(one) == len(several)
            assert np.allclose(one.scores, several.scores, atol=1e-5)
            assert np.allclose(np.sort(one.boxes, 0), np.sort(several.boxes, 0), atol=1e-2)

    def test_no_batch_is_empty(self, segmenter, photos):
        with pytest.raises(UsageError, match='batch_size: it must be at least 1; got 0'):
            segmenter.predict(photos, batch_size=0)


class TestResult:
    def test_features_are_the_backbones_maps(self, model, png):
        maps = model.features(png)
        assert [part.shape[1] for part in maps] == [32, 64, 128, 128]
        with pytest.raises(UsageError, match='features are those of one image'):
            model.features([png, png])

    def test_a_score_and_classes_choose_objects(self, detector, png):
        result = detector.predict(png)
        assert len(result) > 1
        least = float(np.sort(result.scores)[-2])
        assert len(result.at_least(least)) == 2
        one = result.at_least(0, [result.names[0]])
        assert set(one.names) == {result.names[0]}
        assert len(one.masks) == len(one) == result.names.count(result.names[0])
        with pytest.raises(UsageError, match="'dog' is none of the model, whose classes are circle, square"):
            result.at_least(0, ['dog'])

    def test_it_says_what_it_is_in_a_line(self, detector, segmenter, png):
        objects, semantic = detector.predict(png), segmenter.predict(png)
        assert f'{len(objects)} objects: ' in repr(objects)
        assert 'a semantic map' in repr(semantic)
        assert not {'\n', 'array'} & {*repr(objects), *repr(semantic)}

    def test_few_scores_are_drawn_unless_asked_for(self, detector, png):
        result = detector.predict(png)
        least = float(result.scores.min())
        assert result.plot(1.0).tobytes() == result.at_least(1.0).plot(0.0).tobytes()
        assert result.plot(least).tobytes() != result.plot(1.0).tobytes()

    def test_it_is_drawn_larger_than_a_small_image(self, model, png):
        drawn = model.predict(png).plot()
        assert drawn.width >= 768
        assert len(np.unique(np.asarray(drawn))) > 2

    def test_it_becomes_supervisions(self, model, png):
        pytest.importorskip('supervision')
        result = model.predict(png)
        if result.boxes is None:
            with pytest.raises(UsageError, match='finds no objects'):
                result.to_supervision()
            return
        detections = result.to_supervision()
        assert np.array_equal(detections.xyxy, result.boxes)
        assert list(detections.data['class_name']) == result.names


class TestModelFiles:
    def test_a_checkpoint_is_a_model(self, model, png):
        assert_same(load_model(model.checkpoint).predict(png), model.predict(png))
        assert load_model(model.checkpoint).classes == model.classes

    def test_nan_is_said(self, model, png, tmp_path):
        content = torch.load(model.checkpoint, weights_only=True)
        for name, tensor in content['state_dict'].items():
            if tensor.is_floating_point() and 'running' not in name:
                tensor.fill_(float('nan'))
        torch.save(content, tmp_path / 'nan.pth')
        with pytest.raises(UsageError, match=r'nan\.pth: its predictions for .*photo\.png are NaN'):
            load_model(tmp_path / 'nan.pth').predict(png)

    def test_weights_that_are_missing_are_named(self, model, tmp_path):
        content = torch.load(model.checkpoint, weights_only=True)
        name = next(name for name in content['state_dict'] if 'head' in name)
        del content['state_dict'][name]
        torch.save(content, tmp_path / 'part.pth')
        with pytest.raises(CheckpointError, match=name):
            load_model(tmp_path / 'part.pth')

    @pytest.mark.parametrize(
        ('old', 'new'),
        [
            ("type='convnext_dense.ConvNeXt'", "type='os.system'"),
            ("type='convnext_dense.ConvNeXt'", "type='antigravity.ConvNeXt'"),
            ("type='LoadImageFromFile'", "type='os.system'"),
        ],
    )
    def test_its_config_runs_no_code(self, segmenter, tmp_path, old, new):
        content = torch.load(segmenter.checkpoint, weights_only=True)
        assert old in content['meta']['cfg']
        content['meta']['cfg'] = content['meta']['cfg'].replace(old, new)
        torch.save(content, tmp_path / 'hostile.pth')
        with pytest.raises(UsageError, match='model: '):
            load_model(tmp_path / 'hostile.pth')

    def test_a_users_own_code_is_asked_for(self, segmenter, tmp_path):
        content = torch.load(segmenter.checkpoint, weights_only=True)
        text = content['meta']['cfg'].replace("type='convnext_dense.ConvNeXt'", "type='MyNet'")
        content['meta']['cfg'] = text + "\ncustom_imports = dict(imports=['my_nets'])\n"
        torch.save(content, tmp_path / 'mine.pth')
        with pytest.raises(UsageError, match='its config imports my_nets, and code is not run because a checkpoint'):
            load_model(tmp_path / 'mine.pth')


class TestSources:
    @pytest.mark.parametrize(
        ('source', 'message'),
        [
            ('nowhere', 'model: nowhere is no work directory, no checkpoint'),
            ('nowhere.pth', 'there is no checkpoint file nowhere.pth'),
            ('upernet_convnext_tiny_in1k_ade2k', 'of a similar name are upernet_convnext_tiny_in1k_ade20k'),
            ('convnext_tiny_in1k', 'convnext_tiny_in1k is a backbone'),
            ('mask-rcnn_convnext-t_fpn_amp-1x_coco', 'is a config; give its checkpoint, too'),
        ],
    )
    def test_what_is_no_model_is_one_sentence(self, source, message):
        with pytest.raises(UsageError, match=message):
            load_model(source)

    def test_a_device_that_is_not_there_is_named(self, segmenter):
        with pytest.raises(UsageError, match="device: 'cudda' cannot be used here"):
            load_model(segmenter.checkpoint, device='cudda')

    @pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
    def test_half_precision_needs_a_gpu(self, segmenter):
        with pytest.raises(UsageError, match='half: it makes a GPU faster'):
            load_model(segmenter.checkpoint, half=True)


class TestReadingNextToAGPU:
    def test_keeps_the_order_and_says_what_cannot_be_read(self):
        def pipeline(image):
            if image == 3:
                raise UsageError('3 cannot be read.')
            return dict(number=image)

        model = SimpleNamespace(device=torch.device('cuda'), pipeline=pipeline)
        model._reading = lambda images: Model._reading(model, images)
        unreadable = []
        read = list(Model._read(model, range(9), lambda image, error: unreadable.append((image, str(error)))))
        assert read == [(i, dict(number=i)) for i in range(9) if i != 3]
        assert unreadable == [(3, '3 cannot be read.')]
