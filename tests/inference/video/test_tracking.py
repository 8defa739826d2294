"""Objects that are followed through a video."""

import json
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from convnext_dense.errors import UsageError
from convnext_dense.inference.prediction import predict
from convnext_dense.inference.video.tracking import Tracker
from convnext_dense.results.image_input import ImageInput, Video
from convnext_dense.results.result import Result

pytestmark = pytest.mark.skipif(find_spec('trackers') is None, reason='trackers is not installed')
CLASSES, COLORS = ['cat', 'dog'], [(255, 0, 0), (0, 0, 255)]


def frame(number, lefts, scores, video='a.mp4'):
    """Return a result with a box of 20 pixels for each left edge, all at their own height."""
    image = ImageInput(f'{video}:{number}', pixels=np.zeros((100, 200, 3), np.uint8), frame=number)
    image = ImageInput(image.name, None, image.pixels, video and Video(video, (100, 200), 25.0, 8), number)
    boxes = np.array([[left, 30.0 * i, left + 20.0, 30.0 * i + 20.0] for i, left in lefts], np.float32).reshape(-1, 4)
    labels = np.array([i % 2 for i, _ in lefts], int)
    return Result(image, (100, 200), CLASSES, COLORS, boxes, labels, np.array(scores, np.float32))


class TestTracker:
    def test_an_object_keeps_its_number_in_whatever_order(self):
        tracker = Tracker(0.5)
        assert tracker.follow(frame(0, [(0, 10), (1, 50)], [0.9, 0.8])).ids.tolist() == [-1, -1]
        numbers = tracker.follow(frame(1, [(0, 12), (1, 48)], [0.9, 0.8])).ids.tolist()
        assert len({*numbers, -1}) == 3
        for step in range(2, 6):
            result = tracker.follow(frame(step, [(1, 50 - 3 * step), (0, 10 + 3 * step)], [0.8, 0.9]))
            assert result.ids.tolist() == [numbers[1], numbers[0]]
            assert result.labels.tolist() == [1, 0]

    def test_one_that_is_seen_badly_for_a_frame_keeps_it_and_a_new_one_gets_another(self):
        tracker = Tracker(0.5)
        tracker.follow(frame(0, [(0, 10)], [0.9]))
        (number,) = tracker.follow(frame(1, [(0, 11)], [0.9])).ids
        assert tracker.follow(frame(2, [(0, 12)], [0.2])).ids.tolist() == [number]
        assert tracker.follow(frame(3, [], [])).ids.tolist() == []
        for step in (4, 5):
            result = tracker.follow(frame(step, [(0, 15), (2, 90)], [0.9, 0.9]))
            assert result.ids[0] == number >= 0
        assert result.ids[1] not in (number, -1)

    def test_one_of_a_low_score_gets_none(self):
        tracker = Tracker(0.5)
        for step in range(3):
            assert tracker.follow(frame(step, [(0, 10)], [0.3])).ids.tolist() == [-1]

    def test_another_video_starts_anew(self):
        tracker = Tracker(0.5)
        for step in (0, 1):
            followed = tracker.follow(frame(step, [(0, 10)], [0.9]))
        assert followed.ids[0] >= 0
        assert tracker.follow(frame(2, [(0, 10)], [0.9], 'b.mp4')).ids.tolist() == [-1]

    def test_an_image_stays_as_it_is(self):
        image = frame(0, [(0, 10)], [0.9], video=None)
        assert Tracker(0.5).follow(image) is image

    def test_asks_for_its_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, 'trackers', None)
        with pytest.raises(UsageError, match=r'track: trackers is not installed; install convnext_dense\[predict\]'):
            Tracker(0.5)


def test_numbers_are_saved_and_drawn(detector, tmp_path, monkeypatch):
    (tmp_path / 'clip.jpg').touch()
    frames = [frame(number, [(0, 10 + number)], [0.9]) for number in range(3)]
    monkeypatch.setattr(detector, 'stream', lambda *args: iter(frames))
    predict(detector, [str(tmp_path / 'clip.jpg')], tmp_path / 'out', track=True)
    saved = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    numbers = [annotation.get('track_id') for annotation in saved['annotations']]
    assert numbers == [None, numbers[1], numbers[1]]
    assert numbers[1] >= 0
    (shown,) = replace(frames[0], ids=np.array([7])).shown().objects
    assert shown.note == '#7 0.90'
