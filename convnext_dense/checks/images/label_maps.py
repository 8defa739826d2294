"""Finds label maps that are not what a segmenter takes them for."""

import os
from collections.abc import Iterator

import mmcv

from convnext_dense.checks.check import Check, Finding
from convnext_dense.checks.images.samples import Sample, loaded_samples, spread
from convnext_dense.checks.run_plan import PlannedDataset, RunPlan
from convnext_dense.config.tree import evaluators
from convnext_dense.datasets.checked_loading import ignore_index
from convnext_dense.datasets.checker.label_values import Histogram, find_in_values
from convnext_dense.datasets.images.file_faults import unreadable
from convnext_dense.datasets.label_maps.label_faults import as_bytes, layout_fault, other_size, value_fault, value_hint
from convnext_dense.datasets.label_maps.label_rules import LARGEST, LabelRules
from convnext_dense.regular_files import read_bytes


def find_label_faults(plan: RunPlan) -> Iterator[Finding]:
    """Yield what is wrong with the label maps that a run reads.

    Args:
        plan: The run.
    """
    for dataset, loader, samples in loaded_samples(plan, 'mmseg.LoadAnnotations'):
        configured = loader.get('reduce_zero_label')
        if configured not in (None, dataset.built.reduce_zero_label):
            yield Finding(
                f"{dataset.key}.reduce_zero_label: it is {dataset.built.reduce_zero_label}, and in its pipeline's "
                f'LoadAnnotations {configured}; they must agree.'
            )
            continue
        yield from _read_maps(dataset, samples, loader, label_rules(plan, dataset))
    yield from _disagreements(plan, [dataset for dataset in plan.datasets if dataset.is_segmented])


LABELS = Check('labels', "a segmenter's label maps: their files, sizes, and values", find_label_faults)


def label_rules(plan: RunPlan, dataset: PlannedDataset) -> LabelRules:
    """Return what the values of a dataset's label maps mean to a run."""
    built = dataset.built
    return LabelRules(
        len(built.metainfo.get('classes') or ()) or None,
        ignore_index(plan.cfg, dataset.split),
        built.reduce_zero_label,
        built.label_map,
    )


def _read_maps(dataset: PlannedDataset, samples: list[Sample], loader: dict, rules: LabelRules) -> Iterator[Finding]:
    # By kind of fault: the sentence of each map that has it.
    faults: dict[str, list[str]] = {}
    histogram = Histogram()
    lossy = []
    for sample in spread(samples):
        if not os.path.exists(sample.label_map):
            # The check `files` says it.
            continue
        kind, fault = _read_map(sample, loader, rules, histogram)
        if kind == 'lossy':
            lossy.append(sample.label_map)
        elif fault:
            faults.setdefault(kind, []).append(fault.rstrip('.'))
    for sentences in faults.values():
        more = f' (and {len(sentences) - 1} more)' if len(sentences) > 1 else ''
        yield Finding(f'{dataset.key}: {sentences[0]}{more}.')
    if lossy:
        yield Finding(
            f"{dataset.key}: {lossy[0]} is a JPEG, which changes the values at edges into other classes'; use PNG.",
            is_error=False,
        )
    if 'values' not in faults:
        classes = list(dataset.built.metainfo.get('classes') or ())
        # How the maps of a public dataset count is known.
        is_public = bool(type(dataset.built).METAINFO.get('classes'))
        for sentence, is_error in find_in_values(histogram, rules, classes, is_public):
            yield Finding(f'{dataset.key}: {sentence}', is_error)


def _read_map(sample: Sample, loader: dict, rules: LabelRules, histogram: Histogram) -> tuple[str, str | None]:
    """Read a map, add its values to the histogram, and return a kind of fault and its sentence, if it has one."""
    file = sample.label_map
    backend = loader.get('imdecode_backend', 'pillow')
    try:
        data = read_bytes(file)
        decoded = mmcv.imfrombytes(data, flag='unchanged', backend=backend)
        assert decoded is not None
    except Exception as error:  # noqa: BLE001 - decoders raise anything
        return 'unreadable', str(unreadable(file, error))
    is_jpeg = data.startswith(b'\xff\xd8')
    fault = layout_fault(decoded)
    if fault:
        return 'layout', f'{file}: {fault}'
    label_map = as_bytes(decoded)
    values = histogram.add(label_map)
    if rules.beyond(values):
        return 'values', f'{file}: {value_fault(values, rules)}{value_hint(values, rules, is_jpeg)}'
    fault = other_size(sample.image, file, label_map.shape)
    return ('size', fault) if fault else ('lossy' if is_jpeg else '', None)


def _disagreements(plan: RunPlan, datasets: list[PlannedDataset]) -> Iterator[Finding]:
    reduced = {bool(dataset.built.reduce_zero_label): dataset.key for dataset in datasets}
    if len(reduced) > 1:
        yield Finding(
            f'reduce_zero_label: it is True in {reduced[True]} and False in {reduced[False]}; unless their label maps '
            'count differently, the classes of one are shifted.',
            is_error=False,
        )
    ignored = ignore_index(plan.cfg, 'train')
    for split in plan.splits if datasets else ():
        for evaluator in evaluators(plan.cfg, split) if split != 'train' else []:
            scored = evaluator.get('ignore_index', LARGEST)
            if scored != ignored:
                yield Finding(
                    f'{split}_evaluator.ignore_index: it is {scored}, and the ignore_index of model.decode_head is '
                    f'{ignored}; the score counts pixels that training ignores, or the other way round.',
                    is_error=False,
                )
