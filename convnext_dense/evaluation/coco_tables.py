"""COCO's numbers as text."""

from terminaltables import AsciiTable

from convnext_dense.evaluation.coco_scores import AREAS, Scores


def coco_table(scores: Scores) -> str:
    """Return AP and AR as pycocotools prints them."""
    thresholds = scores.iou_thresholds
    every = f'{thresholds[0]:.2f}:{thresholds[-1]:.2f}'
    last = scores.numbers[-1]
    rows = [('Precision', every, 'all', scores.ap_number, scores.ap(number=scores.ap_number))]
    rows += [('Precision', f'{iou:.2f}', 'all', last, scores.ap(iou)) for iou in (0.5, 0.75)]
    rows += [('Precision', every, area, last, scores.ap(area=area)) for area in AREAS[1:]]
    rows += [('Recall', every, 'all', count, scores.ar(number=count)) for count in scores.numbers]
    rows += [('Recall', every, area, last, scores.ar(area)) for area in AREAS[1:]]
    return '\n'.join(
        f'Average {name:<9} @[ IoU={iou:<9} | area={area:>6} | maxDets={count:>4} ] = {value:.3f}'
        for name, iou, area, count, value in rows
    )


def class_table(rows: dict[str, list[float]]) -> str:
    cells = [[name, *(f'{round(value, 3)}' for value in values)] for name, values in rows.items()]
    return AsciiTable([['category', 'mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l'], *cells]).table
