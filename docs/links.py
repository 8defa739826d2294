"""A hook of mkdocs for links that leave the site.

On the site there is nothing behind a link to a file outside `docs/`, such as a config. It becomes the link's text; or,
as soon as mkdocs.yml has a `repo_url`, a link into the repository.
"""

import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

LINK = re.compile(r'(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)#\s:]+)(?:#[^)]*)?\)')


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace a page's links to files outside `docs/`."""

    def replace(link: re.Match) -> str:
        path = posixpath.normpath(posixpath.join('docs', posixpath.dirname(page.file.src_uri), link['target']))
        if path.startswith('docs/'):
            return link[0]
        return f'[{link["text"]}]({config.repo_url}/blob/main/{path})' if config.repo_url else link['text']

    return LINK.sub(replace, markdown)
