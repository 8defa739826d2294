"""Numbers with what they count: no '1 images'."""

import ast
from pathlib import Path

import pytest

import convnext_dense

PACKAGE = Path(convnext_dense.__file__).parent
NOUNS = [
    'boxes',
    'categories',
    'channels',
    'checkpoints',
    'classes',
    'datasets',
    'epochs',
    'evaluations',
    'files',
    'frames',
    'images',
    'iterations',
    'labels',
    'masks',
    'objects',
    'parameters',
    'processes',
    'runs',
    'samples',
    'seconds',
    'seeds',
    'segments',
    'steps',
    'tensors',
    'threads',
    'updates',
    'validations',
    'weights',
]


def uncounted(source: str) -> list[tuple[int, str]]:
    """Return the lines of a file whose f-strings have a plural behind a value that may be 1, and the plural.

    Constants, sizes ('3 x 4 pixels'), shares ('1 of 3 images', 'all 3 images') and what a comparison with 1 chooses
    are no such values.
    """
    tree = ast.parse(source)
    safe = {
        id(part)
        for choice in ast.walk(tree)
        if isinstance(choice, ast.IfExp) and any(isinstance(node, ast.Compare) for node in ast.walk(choice.test))
        for part in ast.walk(choice)
    }
    found = []
    for text in ast.walk(tree):
        if not isinstance(text, ast.JoinedStr) or id(text) in safe:
            continue
        before = ''
        for value, after in zip(text.values, text.values[1:], strict=False):
            if isinstance(value, ast.Constant):
                before = str(value.value)
            elif isinstance(after, ast.Constant):
                word = after.value[1:].split(' ')[0].strip('.,;:') if after.value.startswith(' ') else ''
                expression = ast.unparse(value)
                is_whole = before.rstrip().endswith((' x', ' of', 'all')) or value.format_spec is not None
                if word in NOUNS and not is_whole and not expression.strip("f'{}").isupper():
                    found.append((text.lineno, word))
                before = ''
    return found


class TestUncounted:
    def test_finds_a_plural_behind_a_value(self):
        assert uncounted("a = f'{count} images'") == [(1, 'images')]

    @pytest.mark.parametrize(
        'source',
        ["f'{LIMIT} images'", "f'{a} of {b} images'", "f'{a} x {b} pixels'", "f'{n} images' if n > 1 else ''"],
    )
    def test_leaves_out_what_is_several(self, source):
        assert not uncounted(source)


def test_nothing_is_1_images():
    places = [
        f'{file.relative_to(PACKAGE)}:{line} {word}'
        for file in sorted(PACKAGE.rglob('*.py'))
        if file.parent.name != '.mim'
        for line, word in uncounted(file.read_text(encoding='utf-8'))
    ]
    assert not places, '\n'.join(['these need convnext_dense.wording.counted:', *places])
