"""A profiler's trace, read by part of the step and by kernel."""

import pytest
from benchmarks.training.timeline import NODE, WINDOW, read_timeline

MAIN, ENGINE, STREAM = 1, 2, 7


def event(cat, name, start, duration, tid=MAIN, **args):
    return dict(ph='X', cat=cat, name=name, ts=start, dur=duration, tid=tid, args=args)


def part(name, start, duration):
    return event('user_annotation', f'part: {name}', start, duration)


def op(name, start, duration, number=None, tid=MAIN):
    return event('cpu_op', name, start, duration, tid, **({} if number is None else {'Sequence number': number}))


def node(start, duration, number=None, tid=MAIN):
    return op(f'{NODE}: SomeBackward0', start, duration, number, tid)


def window(duration):
    return event('user_annotation', WINDOW, 0, duration)


def microseconds(timeline):
    return {
        name: tuple(round(each * 1e6, 3) for each in (time.forward, time.backward, time.gap))
        for name, time in timeline.parts.items()
    }


class TestOnACPU:
    def test_operators_go_to_their_part_and_the_time_between_them_to_its_gap(self):
        events = [
            window(100),
            part('backbone', 10, 50),
            op('conv', 12, 20),
            op('inside', 13, 5),
            op('norm', 40, 10),
            op('elsewhere', 70, 5),
        ]
        # Before the part are 10 us, after it 40, of which 5 are an operator's.
        assert microseconds(read_timeline(events)) == {'backbone': (30, 0, 20), 'other': (5, 0, 45)}

    def test_the_innermost_part_counts(self):
        events = [window(30), part('head', 0, 30), part('losses', 10, 10), op('a', 0, 30)]
        assert microseconds(read_timeline(events)) == {'head': (20, 0, 0), 'losses': (10, 0, 0)}

    def test_waiting_for_data_is_data_and_no_gap(self):
        assert microseconds(read_timeline([window(30), part('data', 0, 30), op('a', 5, 5)])) == {'data': (30, 0, 0)}

    def test_the_backward_pass_goes_by_the_numbers_of_the_forward_pass(self):
        events = [
            window(100),
            part('backbone', 0, 10),
            op('conv', 0, 10, number=4),
            part('neck', 10, 10),
            # Both have the number of the next node; the second makes it.
            op('look', 10, 2, number=5),
            op('conv', 12, 8, number=5),
            node(30, 20, number=5),
            node(50, 5),
            node(55, 40, number=4),
        ]
        times = microseconds(read_timeline(events))
        # What has no number accumulates gradients, of the node before.
        assert times['neck'] == (10, 25, 0)
        assert times['backbone'] == (10, 40, 0)

    def test_what_is_recomputed_in_the_backward_pass_makes_no_forward_pass(self):
        events = [
            window(40),
            part('backbone', 0, 10),
            op('conv', 0, 10, number=4),
            node(20, 20, number=4),
            op('conv again', 21, 10, number=4),
        ]
        assert microseconds(read_timeline(events))['backbone'] == (10, 20, 0)

    def test_an_operators_own_time_is_without_those_inside(self):
        kernels = read_timeline([window(30), op('a', 0, 20), op('b', 5, 10), op('b', 20, 4)]).kernels
        assert {name: (round(seconds * 1e6, 3), calls) for name, (seconds, calls) in kernels.items()} == {
            'b': (14, 2),
            'a': (10, 1),
        }
        assert next(iter(kernels)) == 'b'


class TestOnAGPU:
    def launch(self, start, correlation, tid=MAIN):
        return event('cuda_runtime', 'cudaLaunchKernel', start, 1, tid, correlation=correlation)

    def kernel(self, start, duration, correlation, name='kernel', cat='kernel'):
        return event(cat, name, start, duration, STREAM, correlation=correlation)

    def test_a_kernel_goes_to_the_part_that_launched_it_however_late_it_runs(self):
        events = [
            window(100),
            part('backbone', 0, 10),
            op('conv', 0, 10, number=1),
            self.launch(5, 11),
            part('neck', 10, 10),
            self.launch(15, 12),
            self.kernel(10, 50, 11),
            self.kernel(60, 30, 12),
        ]
        times = microseconds(read_timeline(events))
        assert times['backbone'] == (50, 0, 10)
        assert times['neck'][:2] == (30, 0)
        assert sum(sum(each) for each in times.values()) == 100

    def test_the_backward_pass_is_in_a_thread_of_its_own(self):
        events = [
            window(100),
            part('backbone', 0, 10),
            op('conv', 0, 10, number=1),
            node(20, 10, number=1, tid=ENGINE),
            self.launch(25, 11, tid=ENGINE),
            self.kernel(30, 60, 11),
        ]
        # The GPU idles for 30 us, 10 of them while the host is in the forward and 10 in the backward pass.
        assert microseconds(read_timeline(events)) == {'backbone': (0, 60, 20), 'other': (0, 0, 20)}

    def test_what_runs_at_a_time_counts_once(self):
        events = [
            window(100),
            part('preprocessing', 0, 5),
            self.launch(1, 11),
            self.launch(2, 12),
            self.kernel(10, 50, 11, 'conv'),
            self.kernel(20, 60, 12, 'Memcpy HtoD', 'gpu_memcpy'),
        ]
        timeline = read_timeline(events)
        assert microseconds(timeline)['preprocessing'] == (70, 0, 5)
        assert {name: round(seconds * 1e6) for name, (seconds, _) in timeline.kernels.items()} == {
            'Memcpy HtoD': 60,
            'conv': 50,
        }

    def test_the_gpus_copies_of_the_ranges_are_no_kernels(self):
        events = [
            window(20),
            part('neck', 0, 20),
            self.launch(1, 11),
            self.kernel(5, 5, 11),
            event('gpu_user_annotation', 'part: neck', 5, 15, STREAM),
        ]
        assert microseconds(read_timeline(events)) == {'neck': (5, 0, 15)}


def test_only_the_window_counts():
    timeline = read_timeline([op('before', -20, 10), window(10), op('a', 5, 5), op('after', 10, 10)])
    assert timeline.seconds == pytest.approx(1e-5)
    assert microseconds(timeline) == {'other': (5, 0, 5)}
    assert list(timeline.kernels) == ['a']


def test_a_trace_of_something_else_is_an_error():
    with pytest.raises(ValueError, match='no range'):
        read_timeline([op('a', 0, 1)])
