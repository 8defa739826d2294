"""Videos are read and written a frame at a time."""

import cv2
import numpy as np
import pytest

from convnext_dense.errors import UsageError
from convnext_dense.inference.inputs import image_inputs
from convnext_dense.inference.video.videos import VideoFile, describe_video, is_video, read_frames


def write_clip(path, frames, size=(64, 96), rate=10.0):
    """Write a video in which a disk moves."""
    file = VideoFile(path, rate)
    for i in range(frames):
        frame = np.full((*size, 3), 200, np.uint8)
        cv2.circle(frame, (16 + i % 60, size[0] // 2), 12, (220, 20, 60), -1)
        file.write(frame)
    file.close()
    return path


# In a process of its own: what an interpreter keeps of tests that ran before is another matter, and grows, too.
MEMORY_OF_FRAMES = """
import ctypes, gc, sys
import torch
from convnext_dense import load_model
from convnext_dense.inference.prediction import predict

def note(done, total, name):
    assert total == 2000
    if done in (300, 2000):
        gc.collect()
        # The C library gives back what is free.
        ctypes.CDLL(None).malloc_trim(0)
        with open('/proc/self/statm') as file:
            print(int(file.read().split()[1]) * 4096)

torch.set_num_threads(1)
model, clip, out = sys.argv[1:]
assert predict(load_model(model), [clip], out, score=0.0, track=True, on_image=note).images == 2000
"""


class TestReading:
    def test_frames_come_back_with_what_the_video_says(self, tmp_path):
        clip = write_clip(tmp_path / 'clip.mp4', 7)
        video = describe_video(str(clip))
        assert (video.size, video.rate, video.length) == ((64, 96), 10.0, 7)
        frames = list(read_frames(str(clip)))
        assert [number for _, number, _ in frames] == list(range(7))
        assert frames[0][2].shape == (64, 96, 3)
        # As BGR: the disk is red.
        assert frames[0][2][32, 16, 2] > 150 > frames[0][2][32, 16, 0]

    def test_a_folder_of_digits_is_no_webcam(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert is_video('0')
        (tmp_path / '0').mkdir()
        assert not is_video('0')
        assert is_video('https://example.org/a/clip.MP4?token=1')
        assert not is_video('https://example.org/a.jpg')

    @pytest.mark.parametrize('content', [b'', b'no video'])
    def test_what_is_no_video_is_named(self, tmp_path, content):
        (tmp_path / 'clip.mp4').write_bytes(content)
        with pytest.raises(UsageError, match=r'clip\.mp4 cannot be opened as a video'):
            list(image_inputs(tmp_path / 'clip.mp4'))

    @pytest.mark.parametrize('number', ['77', str(10**20)])
    def test_a_webcam_that_is_not_there_is_named(self, tmp_path, monkeypatch, capfd, number):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError, match=f'webcam {number} cannot be opened'):
            describe_video(number)
        assert not capfd.readouterr().err


class TestPredicting:
    def test_each_frame_has_a_result(self, detector, tmp_path):
        clip = write_clip(tmp_path / 'clip.mp4', 3)
        results = detector.predict(clip)
        assert [result.image.frame for result in results] == [0, 1, 2]
        frames = [pixels for _, _, pixels in read_frames(str(clip))]
        again = detector.predict(frames, channels='bgr')
        for result, other in zip(results, again, strict=True):
            assert np.array_equal(result.boxes, other.boxes)

    @pytest.mark.full
    def test_memory_stays_flat_over_2000_frames(self, detector, run_python, tmp_path):
        clip = write_clip(tmp_path / 'clip.mp4', 2000)
        ran = run_python('-c', MEMORY_OF_FRAMES, detector.checkpoint, clip, tmp_path / 'out')
        assert not ran.returncode, ran.stderr
        before, after = map(int, ran.stdout.split())
        print(f'{(after - before) / 1e6:.1f} MB more after 1700 frames')
        # The contact sheet's small drawings are 5 MB.
        assert after - before < 10e6
