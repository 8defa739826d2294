"""Reads off a profiler's trace in which part of a training step, and in which kernel, the time went."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.training.parts import DATA, PREFIX

WINDOW = 'profiled steps'
# What is in no part: hooks, and the loop itself.
OTHER = 'other'
FORWARD, BACKWARD = 'forward', 'backward'
NODE = 'autograd::engine::evaluate_function'
ON_DEVICE = ('kernel', 'gpu_memcpy', 'gpu_memset')
LAUNCHES = ('cuda_runtime', 'cuda_driver')
MICROSECOND = 1e-6


class Span(NamedTuple):
    """A stretch of time in microseconds, with what it is."""

    start: float
    end: float
    label: object


@dataclass
class PartTime:
    """Seconds of a step in which a part computes, and in which nothing does while the host is in it."""

    forward: float = 0.0
    backward: float = 0.0
    gap: float = 0.0


@dataclass
class Timeline:
    """Where a stretch of steps went.

    Attributes:
        seconds: How long all of them took.
        parts: Of each part the seconds. All of them, gaps included, add up to `seconds`.
        kernels: Of each kernel, or on a CPU each operator, its own seconds and its number of calls.
    """

    seconds: float
    parts: dict[str, PartTime] = field(default_factory=dict)
    kernels: dict[str, tuple[float, int]] = field(default_factory=dict)


def read_timeline(events: Sequence[dict]) -> Timeline:
    """Attribute the time between the beginning and the end of the range `WINDOW`.

    On a GPU, time is where the GPU is busy: a kernel belongs to the part that launched it. Else the time is in
    operators. Where there is neither, it is a gap, of the part in which the host is then; but waiting for data is data.

    A part's backward pass is found by autograd's sequence numbers: a node of the backward pass has the number of the
    operator of the forward pass that made it. Nodes without one, which accumulate gradients, go with the node before.

    Args:
        events: The complete events of a trace of PyTorch's profiler, whose ranges are named as by `marked_parts`.

    Raises:
        ValueError: If the trace has no such range.
    """
    events = [event for event in events if event.get('ph') == 'X']
    window = next((each for each in events if each['name'] == WINDOW and each['cat'] == 'user_annotation'), None)
    if window is None:
        raise ValueError(f'the trace has no range {WINDOW!r}.')
    main = window['tid']
    whole = _span(window, None)
    events = [event for event in events if whole.start <= event['ts'] < whole.end and event is not window]
    ops = [event for event in events if event['cat'] == 'cpu_op']
    ranges = [
        _span(event, (event['name'].removeprefix(PREFIX), FORWARD))
        for event in events
        if event['cat'] == 'user_annotation' and event['name'].startswith(PREFIX) and event['tid'] == main
    ]
    backward = _backward(ops, flatten(ranges), main)
    # While autograd's own threads work, the main one waits for them, in no part.
    host = flatten([*ranges, *(span for spans in backward.values() for span in spans)])
    device = [event for event in events if event['cat'] in ON_DEVICE]
    if device:
        busy = _device_spans(device, events, host, backward)
        kernels = [Span(event['ts'], event['ts'] + event['dur'], event['name']) for event in device]
    else:
        own = [_span(event, event['name']) for event in ops if event['tid'] == main]
        kernels = flatten(own)
        busy = _label(_union(own), host)
    timeline = Timeline((whole.end - whole.start) * MICROSECOND)
    parts: dict[str, PartTime] = defaultdict(PartTime)
    for span in busy:
        part, direction = span.label
        setattr(parts[part], direction, getattr(parts[part], direction) + _seconds(span, whole))
    for span in _label(_complement(busy, whole), host):
        part, _ = span.label
        kind = FORWARD if part == DATA else 'gap'
        setattr(parts[part], kind, getattr(parts[part], kind) + _seconds(span, whole))
    timeline.parts = dict(parts)
    seconds: Counter = Counter()
    for span in kernels:
        seconds[span.label] += _seconds(span, whole)
    calls = Counter(event['name'] for event in device or ops)
    timeline.kernels = {name: (value, calls[name]) for name, value in seconds.most_common()}
    return timeline


def _span(event: dict, label: object) -> Span:
    return Span(event['ts'], event['ts'] + event['dur'], label)


def _seconds(span: Span, whole: Span) -> float:
    return max(min(span.end, whole.end) - max(span.start, whole.start), 0.0) * MICROSECOND


def flatten(spans: Iterable[Span]) -> list[Span]:
    """Return spans that do not overlap, of spans that lie within each other: the innermost counts.

    Example:
        >>> [tuple(span) for span in flatten([Span(0, 10, 'a'), Span(2, 4, 'b')])]
        [(0, 2, 'a'), (2, 4, 'b'), (4, 10, 'a')]
    """
    flat: list[Span] = []
    stack: list[Span] = []
    now = float('-inf')

    def advance(to: float) -> None:
        nonlocal now
        while stack:
            end = min(stack[-1].end, to)
            if end > now:
                flat.append(Span(now, end, stack[-1].label))
                now = end
            if stack[-1].end > to:
                break
            stack.pop()
        now = max(now, to)

    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        advance(span.start)
        # The profiler rounds: what is inside may end a little later.
        end = min(span.end, stack[-1].end) if stack else span.end
        stack.append(Span(span.start, end, span.label))
    advance(float('inf'))
    return flat


def _union(spans: Iterable[Span]) -> list[Span]:
    united: list[Span] = []
    for span in sorted(spans):
        if united and span.start <= united[-1].end:
            united[-1] = united[-1]._replace(end=max(united[-1].end, span.end))
        else:
            united.append(span._replace(label=None))
    return united


def _complement(spans: Sequence[Span], whole: Span) -> list[Span]:
    """Return what of `whole` lies in none of the spans, which are in order and do not overlap."""
    gaps, now = [], whole.start
    for span in spans:
        if span.start > now:
            gaps.append(Span(now, min(span.start, whole.end), None))
        now = max(now, span.end)
    if now < whole.end:
        gaps.append(Span(now, whole.end, None))
    return gaps


def _label(spans: Sequence[Span], labels: Sequence[Span]) -> list[Span]:
    """Cut spans where the labels change, and give each piece its label."""
    starts = [label.start for label in labels]
    pieces = []
    for span in spans:
        now = span.start
        i = max(bisect_right(starts, now) - 1, 0)
        while now < span.end:
            if i < len(labels) and labels[i].end <= now:
                i += 1
                continue
            inside = i < len(labels) and labels[i].start <= now
            end = labels[i].end if inside else labels[i].start if i < len(labels) else span.end
            end = min(end, span.end)
            pieces.append(Span(now, end, labels[i].label if inside else (OTHER, FORWARD)))
            now = end
    return pieces


def _at(spans: Sequence[Span], time: float) -> object | None:
    i = bisect_right(spans, time, key=lambda span: span.start) - 1
    return spans[i].label if i >= 0 and time < spans[i].end else None


def _backward(ops: Sequence[dict], forward: Sequence[Span], main: object) -> dict[object, list[Span]]:
    """Return the nodes of the backward pass by their thread, each with its part."""
    nodes = defaultdict(list)
    for event in ops:
        if event['name'].startswith(NODE):
            nodes[event['tid']].append(event)
    outermost = {tid: _outermost(events) for tid, events in nodes.items()}
    in_backward = [_span(event, True) for event in outermost.get(main, [])]
    # Several operators may have a number; the last of them made the node.
    made: dict[int, float] = {}
    for event in ops:
        number = event['args'].get('Sequence number')
        if number is not None and event['tid'] == main and not _at(in_backward, event['ts']):
            made[number] = max(made.get(number, 0.0), event['ts'])
    spans = {}
    for tid, events in outermost.items():
        part, spans[tid] = OTHER, []
        for event in events:
            number = event['args'].get('Sequence number')
            if number in made:
                part = (_at(forward, made[number]) or (OTHER, FORWARD))[0]
            spans[tid].append(_span(event, (part, BACKWARD)))
    return spans


def _outermost(events: Iterable[dict]) -> list[dict]:
    found, end = [], float('-inf')
    for event in sorted(events, key=lambda each: each['ts']):
        if event['ts'] >= end:
            found.append(event)
            end = event['ts'] + event['dur']
    return found


def _device_spans(
    device: Iterable[dict], events: Iterable[dict], host: Sequence[Span], backward: dict[object, list[Span]]
) -> list[Span]:
    """Return where the GPU is busy, by the part that launched it; of what runs at a time, the first counts."""
    launched = {
        event['args']['correlation']: event
        for event in events
        if event['cat'] in LAUNCHES and 'correlation' in event.get('args', {})
    }
    spans, now = [], float('-inf')
    for event in sorted(device, key=lambda each: each['ts']):
        launch = launched.get(event['args'].get('correlation'))
        label = None
        if launch is not None:
            label = _at(backward.get(launch['tid'], []), launch['ts']) or _at(host, launch['ts'])
        start, end = max(event['ts'], now), event['ts'] + event['dur']
        if end > start:
            spans.append(Span(start, end, label or (OTHER, FORWARD)))
            now = end
    return spans
