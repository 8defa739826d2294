"""The table of testing's time."""

from benchmarks.evaluation_table import evaluation_table

from benchmarks.evaluation import RANDOM_WEIGHTS, EvaluationTimes


def test_the_table_has_each_part_the_rate_and_the_note():
    times = EvaluationTimes(
        machine=dict(device='cpu', versions=dict(torch='2.15.0')),
        images=6,
        batch_size=2,
        seconds={'data': [0, 0, 0], 'model': [0.2, 0.5, 0.8], 'post-processing': [0.5] * 3, 'encoding': [0.25] * 3},
        post_processing={'rpn_head.predict_by_feat': [0.5] * 3},
        metric_seconds=7.5,
        metric_images=10,
        peak_memory=3 * 2**20,
        metrics={},
        note=RANDOM_WEIGHTS,
        against_mmdet=dict(ours=[2, 1, 3], mmdet=[8, 8, 9], ratio=4.0, largest_difference=0.0),
    )
    table = evaluation_table(times)
    lines = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line}
    assert lines['model'] == ['500.00', '740.00', '500.00', '25.0%']
    assert lines['rpn_head.predict_by_feat'] == ['500.00', '500.00', '500.00', '25.0%']
    assert lines['metric'][:2] == ['750.00', '37.5%']
    assert '0.50 images/s, 6 images in batches of 2' in table
    assert '8.00 s, ours 2.00 s on the same predictions, 4.00 times as fast' in table
    assert 'peak memory: 3 MiB' in table
    assert RANDOM_WEIGHTS in table
