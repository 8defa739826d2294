"""A full check of as many annotations as COCO has takes a minute, without its images."""

import resource
import time

import pytest
from helpers.data.large_coco import write_large_coco

from convnext_dense.apis import check_data

SECONDS, GIGABYTES = 60, 4


@pytest.mark.parametrize(
    ('images', 'objects'),
    [(300, 2_200), pytest.param(118_000, 860_000, marks=pytest.mark.full)],
    ids=['small', 'large'],
)
def test_nothing_is_found_in_a_large_dataset(images, objects, tmp_path):
    write_large_coco(tmp_path, images, objects)
    start = time.monotonic()
    report = check_data(str(tmp_path), 'instances', reads_images=False).report
    assert time.monotonic() - start < SECONDS
    assert {finding.kind for finding in report.findings} <= {'image-without-objects'}
    assert report.splits['train']['objects'] == objects
    # Of the whole process so far, in kilobytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < GIGABYTES * 1e6
