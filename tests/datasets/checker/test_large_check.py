"""A file of COCO's form as large datasets have it passes the check without its images."""

from helpers.data.large_coco import write_large_coco

from convnext_dense.apis import check_data


def test_nothing_is_found_in_a_generated_dataset(tmp_path):
    write_large_coco(tmp_path, 300, 2_200)
    report = check_data(str(tmp_path), 'instances', reads_images=False).report
    assert {finding.kind for finding in report.findings} <= {'image-without-objects'}
    assert report.splits['train']['objects'] == 2_200
