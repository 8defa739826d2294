"""Follows objects from frame to frame of a video."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from convnext_dense.errors import UsageError
from convnext_dense.results.result import Result

# Objects below a score of interest still say where a known one has gone; those below this one are noise.
LEAST_SCORE = 0.1


class Tracker:
    """Gives each object of a video a number, in its second frame, that stays with it. It looks at boxes alone.

    Args:
        score: From which score on an object that was not seen before gets a number.

    Raises:
        UsageError: If the package trackers is not installed.

    Reference:
        ByteTrack, https://arxiv.org/abs/2110.06864, in Roboflow's package trackers.

    Example:
        >>> tracker = Tracker(score=0.5)  # doctest: +SKIP
        >>> [tracker.follow(result).ids for result in model.stream(image_inputs('clip.mp4'))]  # doctest: +SKIP
    """

    def __init__(self, score: float) -> None:
        self.score = score
        self._new = _tracker_type()
        self._tracker: Any = None
        self._video = ''

    def follow(self, result: Result) -> Result:
        """Return the result of the next frame with the objects' numbers. Images that are no frames stay as they are.

        Args:
            result: The result, with objects of all scores. A frame of another video, or a first one, has new
                numbers.
        """
        video, frame = result.image.video, result.image.frame
        if video is None or result.boxes is None:
            return result
        if self._tracker is None or video.name != self._video or not frame:
            self._video = video.name
            self._tracker = self._new(
                frame_rate=video.rate,
                track_activation_threshold=self.score,
                high_conf_det_threshold=self.score,
                minimum_consecutive_frames=1,
            )
        result = result.at_least(LEAST_SCORE)
        # The tracker may return them in another order.
        detections = replace(result, masks=None).to_supervision()
        detections.data = dict(place=np.arange(len(result)))
        followed = self._tracker.update(detections)
        ids = np.full(len(result), -1)
        if len(followed):
            ids[followed.data['place']] = followed.tracker_id
        return replace(result, ids=ids)


def _tracker_type() -> Callable:
    try:
        from trackers import ByteTrackTracker
    except ImportError as error:
        raise UsageError('track: trackers is not installed; install convnext_dense[predict].') from error
    return ByteTrackTracker
