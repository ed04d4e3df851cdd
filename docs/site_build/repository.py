"""The repository's address is one setting, ``repository`` in conf.py.

While it is empty, whatever needs it is left out: badges, cells that install, buttons
that edit or launch a page, and links to files that are no page of the site.
"""

from __future__ import annotations

import json
import pathlib
import posixpath
import re
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

ROOT = pathlib.Path(__file__).parents[2]
#: Where files of the repository are on the site.
PAGES = {
    "CHANGELOG.md": "/changelog.md",
    "CONTRIBUTING.md": "/developer/contributing.md",
    "README.md": "/index.md",
}
LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]+)(#[^)]*)?\)")


def theme_options(repository: str) -> dict[str, Any]:
    """Buttons of the theme that need the address."""
    if not repository:
        return {"use_repository_button": False, "use_edit_page_button": False}
    return {
        "repository_url": repository,
        "repository_provider": "github",
        "repository_branch": "main",
        "path_to_docs": "docs",
        "use_repository_button": True,
        "use_edit_page_button": True,
        "use_issues_button": True,
    }


def relink(text: str, page: str, repository: str) -> str:
    """Markdown whose links out of docs/ lead to pages, the repository, or nowhere."""

    def change(match: re.Match[str]) -> str:
        words, link, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
        if path.startswith("docs/"):
            return match[0]
        if path.startswith("notebooks/") and path.endswith(".ipynb"):
            return f"[{words}](/{path}{anchor})"
        if path in PAGES:
            return f"[{words}]({PAGES[path]}{anchor})"
        if repository:
            return f"[{words}]({repository}/blob/main/{path}{anchor})"
        return f"{words} (`{path}`)"

    return LINK.sub(change, text)


def badges(repository: str) -> str:
    """The badge of the checks, as Markdown."""
    if not repository:
        return ""
    checks = f"{repository}/actions/workflows/ci.yml"
    return f"[![Checks]({checks}/badge.svg)]({checks})"


def install(repository: str) -> str:
    """The first cell of a page that is opened elsewhere, as Markdown."""
    if not repository:
        return ""
    command = f'%pip install -q "jaxdiscrete[experiments] @ git+{repository}"'
    return f"```python\n{command}\n```"


def copy_notebooks(target: pathlib.Path, repository: str) -> None:
    """Brings the notebooks to the site, with their outputs.

    Their first cells install the folder they lie in; with an address they install that,
    and a link opens the notebook elsewhere.
    """
    target.mkdir(exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = path.read_text()
        if repository:
            text = with_address(text, path.name, repository)
        copy = target / path.name
        if not copy.exists() or copy.read_text() != text:
            copy.write_text(text)


def with_address(text: str, name: str, repository: str) -> str:
    """A notebook that is installed from the address and can be opened from there."""
    document = json.loads(text)
    source = f"jaxdiscrete{{}} @ git+{repository}"
    for cell in document["cells"]:
        cell["source"] = [
            line.replace(
                '"..[experiments]"', f'"{source.format("[experiments]")}"'
            ).replace("install -q ..", f'install -q "{source.format("")}"')
            for line in cell["source"]
        ]
    place = repository.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{place}/blob/main/notebooks"
    link = {
        "cell_type": "markdown",
        "id": "open-elsewhere",
        "metadata": {},
        "source": [f"[Open in Colab]({colab}/{name})"],
    }
    document["cells"].insert(1, link)
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


class FromRepository(Directive):
    """``{repository} badges`` or ``install``: nothing without an address."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        config = self.state.document.settings.env.config
        text = {"badges": badges, "install": install}[self.arguments[0]](
            config.repository
        )
        node = nodes.container()
        self.state.nested_parse(text.splitlines(), self.content_offset, node)
        return node.children


def source_of(page: str) -> str | None:
    """The file of a page that is made of one outside docs/, None for the others.

    Args:
      page: its name on the site.
    """
    if page.startswith("notebooks/"):
        return f"{page}.ipynb"
    return {
        "changelog": "CHANGELOG.md",
        "developer/contributing": "CONTRIBUTING.md",
    }.get(page)


def on_page(app: Any, page: str, template: str, context: Any, tree: Any) -> None:
    """Lets the button that edits a page lead to the file that it is made of."""
    path, edit = source_of(page), context.get("get_edit_provider_and_url")
    if app.config.repository and path and edit:
        provider, _ = edit()
        url = f"{app.config.repository}/edit/main/{path}"
        context["get_edit_provider_and_url"] = lambda: (provider, url)


def on_read(app: Any, page: str, source: list[str]) -> None:
    source[0] = relink(source[0], page, app.config.repository)


def setup(app: Any) -> dict[str, bool]:
    app.add_config_value("repository", "", "env")
    app.add_directive("repository", FromRepository)
    app.connect("source-read", on_read)
    # After the base theme has made the address, and before the theme makes the button.
    app.connect("html-page-context", on_page, priority=501)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
