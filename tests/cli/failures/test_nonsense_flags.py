"""Every flag of every command, with nonsense: an answer of one line, never a traceback."""

import random
import shutil

import pytest
from helpers.commands import run_command
from helpers.demo_runs import SEGMENTER, segmenter_options
from helpers.exported_toys import write_toy
from helpers.nonsense_calls import BASES, NONSENSE, arguments_of, call, calls_of, commands, faults, is_long
from helpers.planted.bad_steps import nan_pixel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COMMANDS = commands()
ALL = [(words, action.dest) for words in BASES for action in arguments_of(COMMANDS[words])]
TEXTS = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=20)


@pytest.fixture(scope='module')
def places(demo_data, tmp_path_factory):
    """Files that a call may name: those of a short training, whose second step was not finite."""
    run = tmp_path_factory.mktemp('run')
    with nan_pixel(step=2):
        result = run_command(demo_data, 'train', SEGMENTER, '--work-dir', run, '--cfg-options', *segmenter_options(4))
    assert result.status == 0, result.err
    image = demo_data / 'data/demo/ade/ADEChallengeData2016/images/validation'
    return dict(
        config=SEGMENTER,
        work_dir=run,
        checkpoint=run / 'iter_4.pth',
        step=run / 'non_finite_step_2.pt',
        image=next(image.iterdir()),
        images=image,
        exported=write_toy(run / 'toy.onnx'),
    )


@pytest.fixture
def folder(tmp_path, demo_data):
    """A folder inside of another, with a copy of the demo data, for some flags write."""
    inner = tmp_path / 'a' / 'b'
    inner.mkdir(parents=True)
    shutil.copytree(demo_data / 'data', inner / 'data')
    return inner


def action_of(words, dest):
    return next(action for action in arguments_of(COMMANDS[words]) if action.dest == dest)


def check(folder, places, words, arguments):
    found = list(faults(call(folder, words, arguments, places)))
    assert not found, (words, arguments, found)


class TestParsers:
    def test_have_no_command_that_is_not_called(self):
        needed = {words for words, parser in COMMANDS.items() if arguments_of(parser)}
        assert needed == set(BASES)


class TestNonsense:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_is_answered_in_one_line(self, folder, places, data):
        words, dest = data.draw(st.sampled_from(ALL))
        action = action_of(words, dest)
        value = data.draw(st.sampled_from(NONSENSE) | TEXTS)
        if not is_long(action, value):
            check(folder, places, words, calls_of(words, action, value))

    @pytest.mark.full
    @pytest.mark.parametrize(('words', 'dest'), ALL, ids=[f'{words} {dest}' for words, dest in ALL])
    def test_for_each_flag_is_answered_in_one_line(self, folder, places, words, dest):
        action = action_of(words, dest)
        # All of them take an hour.
        for value in random.Random(f'{words} {dest}').sample(NONSENSE, 6):
            if not is_long(action, value):
                check(folder, places, words, calls_of(words, action, value))

    @pytest.mark.full
    @pytest.mark.parametrize('seed', range(30))
    def test_for_several_flags_is_answered_in_one_line(self, folder, places, seed):
        chance = random.Random(seed)
        words = chance.choice([words for words in BASES if len(arguments_of(COMMANDS[words])) > 2])
        flags = [action for action in COMMANDS[words]._actions if action.option_strings and action.dest != 'help']
        arguments = list(BASES[words])
        for action in chance.sample(flags, min(3, len(flags))):
            value = chance.choice([*(action.choices or ()), *NONSENSE])
            if action.nargs == 0:
                arguments.append(action.option_strings[-1])
            elif not is_long(action, value):
                arguments = [part for part in arguments if not part.startswith(f'{action.option_strings[-1]}=')]
                arguments += (
                    calls_of(words, action, value)[-1:]
                    if action.nargs is None
                    else [
                        action.option_strings[-1],
                        value,
                    ]
                )
        check(folder, places, words, arguments)
