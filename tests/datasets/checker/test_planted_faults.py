"""A full check finds each fault that is planted at random in a clean dataset, with its kind, its file and its id."""

import tempfile
from pathlib import Path

import pytest
from helpers.commands import chdir
from helpers.data.clean_data import CleanLabels, CleanObjects
from helpers.planted import box_faults, file_faults, label_faults, object_faults
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convnext_dense.apis import check_data
from convnext_dense.datasets.checker.kinds import KINDS

ENTRY_FAULTS = object_faults.FAULTS | box_faults.FAULTS
EXAMPLES, MANY_EXAMPLES = 2, 40
GUIDE = Path(__file__).resolve().parents[3] / 'docs' / 'guides' / 'check.md'


def examples(count):
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def found(data, task):
    with chdir(data.root.parent):
        report = check_data(str(data.root), task, workers=1).report
    return report.findings


def plant_in_objects(draw, kind, plant):
    with tempfile.TemporaryDirectory() as folder:
        data = CleanObjects(Path(folder, 'data'))
        file, i = plant(draw, data)
        data.write()
        findings = found(data, 'instances')
        same = [finding for finding in findings if finding.kind == kind and finding.file == str(file)]
        assert same, [finding.sentence for finding in findings]
        if i is not None:
            assert i in [finding.id for finding in same]


def plant_in_images(draw, kind, plant, task):
    with tempfile.TemporaryDirectory() as folder:
        data = (CleanLabels if task == 'semantic' else CleanObjects)(Path(folder, 'data'))
        file = plant(draw, data)
        findings = found(data, task)
        same = [finding for finding in findings if (finding.kind, finding.file) == (kind, str(file))]
        assert same, [finding.sentence for finding in findings]
        if task != 'semantic':
            number = int(file.stem.removeprefix(file.parent.name))
            assert [finding.id for finding in same] == [10 + number]


def test_the_guide_names_every_kind():
    text = GUIDE.read_text()
    assert [kind for kind in KINDS if f'`{kind}`' not in text] == []


class TestCleanData:
    def test_nothing_is_found(self, tmp_path):
        for task, data in (
            ('instances', CleanObjects(tmp_path / 'objects')),
            ('boxes', CleanObjects(tmp_path / 'boxes')),
            ('semantic', CleanLabels(tmp_path / 'labels')),
        ):
            assert [finding.sentence for finding in found(data, task)] == []

    def test_nothing_is_found_in_demo_data(self, demo_data):
        for place, task in (('coco', 'instances'), ('ade/ADEChallengeData2016', 'semantic')):
            with chdir(demo_data):
                report = check_data(str(demo_data / 'data' / 'demo' / place), task, workers=1).report
            assert [finding.sentence for finding in report.findings] == []


class TestPlantedFaults:
    @pytest.mark.parametrize('name', ENTRY_FAULTS)
    @examples(EXAMPLES)
    @given(data=st.data())
    def test_fault_of_annotations_is_found(self, name, data):
        plant_in_objects(data.draw, *ENTRY_FAULTS[name])

    @pytest.mark.parametrize('name', file_faults.FAULTS)
    @examples(EXAMPLES)
    @given(data=st.data())
    def test_fault_of_images_is_found(self, name, data):
        plant_in_images(data.draw, *file_faults.FAULTS[name], 'instances')

    @pytest.mark.parametrize('name', label_faults.FAULTS)
    @examples(EXAMPLES)
    @given(data=st.data())
    def test_fault_of_label_maps_is_found(self, name, data):
        plant_in_images(data.draw, *label_faults.FAULTS[name], 'semantic')


@pytest.mark.full
class TestManyPlantedFaults:
    @pytest.mark.parametrize('name', ENTRY_FAULTS)
    @examples(MANY_EXAMPLES)
    @given(data=st.data())
    def test_fault_of_annotations_is_found(self, name, data):
        plant_in_objects(data.draw, *ENTRY_FAULTS[name])

    @pytest.mark.parametrize('task', ['boxes', 'semantic'])
    @pytest.mark.parametrize('name', [name for name in file_faults.FAULTS if name != 'missing'])
    @examples(MANY_EXAMPLES)
    @given(data=st.data())
    def test_fault_of_images_is_found(self, name, task, data):
        plant_in_images(data.draw, *file_faults.FAULTS[name], task)

    @pytest.mark.parametrize('name', label_faults.FAULTS)
    @examples(MANY_EXAMPLES)
    @given(data=st.data())
    def test_fault_of_label_maps_is_found(self, name, data):
        plant_in_images(data.draw, *label_faults.FAULTS[name], 'semantic')
