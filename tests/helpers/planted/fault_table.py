"""The table of faults that are planted into annotation files, and how an entry is chosen and changed.

Each function in the table plants one and returns what must be found: the file, and the entry's id, None if it is the
whole file.
"""

from hypothesis import strategies as st

from helpers.data.clean_data import COUNTS, CleanObjects

SPLITS = st.sampled_from(list(COUNTS))


def fault_table():
    """Return a table of faults, and a decorator that puts a function into it with the kind of its fault."""
    table = {}

    def fault(kind):
        def add(function):
            table[function.__name__.strip('_')] = kind, function
            return function

        return add

    return table, fault


def entry_of(draw, data: CleanObjects, noun: str = 'annotations'):
    split = draw(SPLITS)
    entries = data.contents[split][noun]
    return split, draw(st.sampled_from(entries))


def changed(draw, data: CleanObjects, **fields):
    split, annotation = entry_of(draw, data)
    annotation.update(fields)
    return data.file(split), annotation['id']
