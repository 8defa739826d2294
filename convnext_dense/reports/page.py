"""Self-contained HTML pages: no network, no scripts."""

import html
from collections.abc import Sequence

STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --faint: #5d6470; --line: #d9dce1; --paper: #fff; --soft: #f3f4f6;
  --accent: 59 130 196 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6ea; --faint: #9aa2ad; --line: #3a4049; --paper: #16191d; --soft: #22262c; --accent: 92 158 219 }
}
body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink) }
a { color: rgb(var(--accent)) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: bottom }
td { white-space: nowrap }
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: break-word; min-width: 8rem }
dt { font-weight: 600; margin-top: .5rem }
dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 40rem) {
  .stacked tr:first-child, .stacked td:empty { display: none }
  .stacked tr { display: block; padding: .6rem 0; border-bottom: 1px solid var(--line) }
  .stacked td { display: flex; justify-content: space-between; gap: 1rem; padding: .1rem 0; border: 0;
    white-space: normal; overflow-wrap: anywhere }
  .stacked td:first-child { font-weight: 600 }
  .stacked td::before { content: attr(data-name); color: var(--faint) }
  .stacked td:first-child::before { content: none }
}
svg { max-width: 100%; height: auto }
pre { background: var(--soft); padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere }
"""


def html_page(title: str, *sections: str, style: str = '') -> str:
    r"""Return a whole page. What UTF-8 cannot hold, as in the name of a file that is no text, is escaped.

    Args:
        title: The page's title and first heading.
        sections: What follows, as HTML.
        style: Rules of its own, as CSS.

    Example:
        >>> '<h1>Runs</h1>' in html_page('Runs', '<p>None.</p>')
        True
        >>> r'<p>\udcff.png</p>' in html_page('Runs', '<p>\udcff.png</p>')
        True
    """
    body = '\n'.join(section for section in sections if section)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
{body}
</body>
</html>
"""
    return page.encode('utf-8', 'backslashreplace').decode('utf-8')


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], stacks: bool = False) -> str:
    """Return a table.

    Args:
        header: The columns' names.
        rows: The cells' texts.
        stacks: Whether a phone shows the cells of a row below each other, each with its column's name.

    Example:
        >>> html_table(['model'], [['ViT & co.']])
        '<div class="scroll"><table><tr><th>model</th></tr><tr><td>ViT &amp; co.</td></tr></table></div>'
    """
    names = [f' data-name="{html.escape(name)}"' if stacks else '' for name in header]
    lines = _row(header, 'th', [''] * len(header)) + ''.join(_row(row, 'td', names) for row in rows)
    kind = ' class="stacked"' if stacks else ''
    return f'<div class="scroll"><table{kind}>{lines}</table></div>'


def html_facts(facts: dict[str, str]) -> str:
    """Return a list of facts by name.

    Example:
        >>> html_facts({'Seeds': '0, 1'})
        '<dl><dt>Seeds</dt><dd>0, 1</dd></dl>'
    """
    items = ''.join(f'<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>' for name, value in facts.items())
    return f'<dl>{items}</dl>'


def _row(cells: Sequence[str], tag: str, attributes: Sequence[str]) -> str:
    filled = (f'<{tag}{more}>{html.escape(cell)}</{tag}>' for cell, more in zip(cells, attributes, strict=True))
    return f'<tr>{"".join(filled)}</tr>'
