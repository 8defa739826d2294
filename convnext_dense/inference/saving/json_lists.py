"""Writes a JSON file of lists that all grow until it ends."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO


class JsonLists:
    """Writes a JSON file of lists, an element at a time. Nothing of them is kept: a video may have no end.

    A file holds one list after another, so all but the first grow in temporary files of the same folder.

    Args:
        path: The file.
        names: What the lists are called, in their order in the file.
        **others: What else is in the file, before the lists.

    Example:
        >>> path = Path(tempfile.mkdtemp(), 'squares.json')
        >>> lists = JsonLists(path, ['numbers', 'squares'], unit='m')
        >>> lists.add('squares', 4), lists.add('numbers', 2), lists.add('squares', 9)
        (None, None, None)
        >>> lists.close()
        >>> json.loads(path.read_text())
        {'unit': 'm', 'numbers': [2], 'squares': [4, 9]}
    """

    def __init__(self, path: Path, names: Sequence[str], **others: object) -> None:
        self.files = ExitStack()
        file = self.files.enter_context(path.open('w', encoding='utf-8'))
        file.write('{' + ''.join(f'{_text(name)}: {_text(value)},\n' for name, value in others.items()))
        self.parts: dict[str, IO[str]] = {names[0]: file}
        for name in names[1:]:
            part = tempfile.TemporaryFile('w+', encoding='utf-8', dir=path.parent)  # noqa: SIM115 - see close
            self.parts[name] = self.files.enter_context(part)
        self.counts = dict.fromkeys(names, 0)
        for name, part in self.parts.items():
            part.write(f'{_text(name)}: [')

    def add(self, name: str, element: object) -> None:
        """Write an element.

        Args:
            name: The list's name.
            element: The element.
        """
        self.parts[name].write((',\n' if self.counts[name] else '\n') + _text(element))
        self.counts[name] += 1

    def close(self) -> None:
        """Write what is in the temporary files, and end the file."""
        first, *others = self.parts.values()
        with self.files:
            for part in others:
                first.write('\n],\n')
                part.seek(0)
                shutil.copyfileobj(part, first)
            first.write('\n]}\n')


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
