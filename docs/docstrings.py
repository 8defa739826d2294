"""An extension of griffe that reads this package's docstrings as the reference shows them."""

import re
from typing import Any

from griffe import Class, Extension, Object


class Docstrings(Extension):
    """Puts docstrings into the words that griffe knows."""

    def on_object(self, *, obj: Object, **_: Any) -> None:  # noqa: ANN401 - griffe's own signature
        """Change a docstring in place."""
        if not obj.docstring:
            return
        text = obj.docstring.value
        # griffe reads doctests below the plural only.
        text = re.sub(r'^Example:$', 'Examples:', text, flags=re.MULTILINE)
        # No browser draws TeX without a library, which would have to be fetched: show its source.
        text = re.sub(r'^\.\. math:: (.*(?:\n +\S.*)*)', r'```latex\n\1\n```', text, flags=re.MULTILINE)
        # A literal block of reStructuredText is an indented one in Markdown.
        text = re.sub(r'::$', ':', text, flags=re.MULTILINE)
        # A NamedTuple has no constructor that griffe could look the arguments up in; its fields are attributes.
        if isinstance(obj, Class) and 'NamedTuple' in map(str, obj.bases):
            text = re.sub(r'^Args:$', 'Attributes:', text, flags=re.MULTILINE)
        obj.docstring.value = text
