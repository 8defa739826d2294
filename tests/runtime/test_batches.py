"""Images of several sizes, predicted on together, have the results that each has alone."""

import numpy as np
import pytest
from helpers.exported_toys import DETECTOR, PAD, RESIZE, SEGMENTER, noise, write_toy
from PIL import Image

from convnext_dense.errors import RunError, UsageError
from convnext_dense.runtime import Model
from convnext_dense.runtime.preparing import fit_to_shape, prepare

IMAGES = [noise(*size, seed) for seed, size in enumerate([(40, 60), (60, 40), (40, 60), (40, 60), (60, 40), (33, 60)])]


@pytest.mark.parametrize('batch', [None, 1, 2])
@pytest.mark.parametrize('graph', [DETECTOR, SEGMENTER], ids=['detector', 'segmenter'])
def test_a_batch_changes_no_result(tmp_path, graph, batch):
    one = Model(write_toy(tmp_path / 'one.onnx', graph, (RESIZE, PAD), batch=1))
    many = Model(write_toy(tmp_path / 'many.onnx', graph, (RESIZE, PAD), batch))
    alone = [one.predict(image) for image in IMAGES]
    together = many.predict(IMAGES, batch_size=len(IMAGES))
    for first, second in zip(alone, together, strict=True):
        assert first.size == second.size
        for name in ('boxes', 'labels', 'scores', 'masks', 'semantic'):
            a, b = getattr(first, name), getattr(second, name)
            assert (a is None) == (b is None)
            assert a is None or np.array_equal(np.asarray(a), np.asarray(b))


def test_a_batch_takes_as_few_runs_as_there_are_sizes(tmp_path):
    model = Model(write_toy(tmp_path / 'toy.onnx'))
    run, fed = model.session.run, []
    model.session.run = lambda inputs: fed.append(inputs['images'].shape) or run(inputs)
    model.predict(IMAGES, batch_size=len(IMAGES))
    assert fed == [(3, 40, 60, 3), (2, 60, 40, 3), (1, 33, 60, 3)]


def test_no_batch_is_an_error(tmp_path):
    model = Model(write_toy(tmp_path / 'toy.onnx'))
    with pytest.raises(UsageError, match='batch_size: it must be at least 1; got 0'):
        model.predict(IMAGES, batch_size=0)


@pytest.mark.parametrize(('runtime', 'name'), [('onnxruntime', 'ONNX Runtime'), ('openvino', 'OpenVINO')])
def test_what_the_graph_cannot_run_is_an_error_with_its_shape(tmp_path, runtime, name):
    model = Model(write_toy(tmp_path / 'toy.onnx'), runtime)
    feed = model.session.run
    model.session.run = lambda inputs: feed({key: value[..., :2] for key, value in inputs.items()})
    with pytest.raises(RunError, match=rf'{name} cannot run it .*images \[1, 40, 60, 2\]\. It says: \S'):
        model.predict(IMAGES[0])


class TestReading:
    @pytest.fixture
    def model(self, tmp_path):
        return Model(write_toy(tmp_path / 'toy.onnx'))

    @pytest.mark.parametrize(
        ('content', 'words'),
        [(b'', 'is no image'), (b'hello', 'is no image'), (None, 'cannot be read: No such file')],
        ids=['empty', 'text', 'missing'],
    )
    def test_what_is_no_image_is_an_error(self, model, tmp_path, content, words):
        if content is not None:
            (tmp_path / 'a.png').write_bytes(content)
        with pytest.raises(UsageError, match=f'a.png {words}'):
            model.predict(tmp_path / 'a.png')

    def test_a_folder_is_read_with_its_folders_and_without_hidden_files(self, model, tmp_path):
        (tmp_path / 'photos' / 'more').mkdir(parents=True)
        for name in ('b.png', 'more/a.png', '._b.png'):
            Image.fromarray(IMAGES[0]).save(tmp_path / 'photos' / name)
        assert len(model.predict(tmp_path / 'photos')) == 2


@pytest.mark.parametrize(
    ('resize', 'size'),
    [
        (dict(factor=[1.0, 1.0], keep_ratio=False), (64, 64)),
        (dict(size=[80, 40], keep_ratio=True), (64, 64)),
        # A model of stretched images.
        (dict(size=[80, 40], keep_ratio=False), (64, 96)),
    ],
)
def test_an_image_fits_into_one_shape_with_its_ratio(resize, size):
    steps = fit_to_shape([dict(type='resize', interpolation='bilinear', **resize)], (64, 96), [0, 0, 0])
    prepared = prepare(noise(32, 32, 0), steps)
    assert prepared.pixels.shape == (64, 96, 3)
    assert prepared.size == size
