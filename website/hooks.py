"""What MkDocs calls while it builds: fills in what the pages take from the library, and settles links that lead out."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from website import losses, matrices

ROOT = Path(__file__).parents[1]
BESIDE = {"ARCHITECTURE.md": "architecture.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages that live at the top of the repository, and where they are on the site."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from the top of the repository, and the example scripts that pages link to."""
    for name, place in BESIDE.items():
        files.append(File.generated(config, place, content=(ROOT / name).read_text(encoding="utf-8")))
    for script in sorted((ROOT / "examples").glob("*.py")):
        files.append(File.generated(config, f"examples/{script.name}", abs_src_path=str(script)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - its signature
    """Fill in, and settle the links."""
    name = Path(page.file.src_uri).stem
    markdown = re.sub(
        r"<!-- (head|defaults|cost|losses|matrix)(?: ([\w ]+))? -->", lambda m: _filled(m, name), markdown
    )
    code = ""
    shown = []
    for line in markdown.split("\n"):
        fence = re.match(r"\s*(```+)", line)
        if fence and (not code or fence[1] == code):
            code = "" if code else fence[1]
        shown.append(line if code else LINK.sub(lambda m: _settled(m, page.file.src_uri, files), line))
    return "\n".join(shown)


def _filled(found: re.Match[str], name: str) -> str:
    what, which = found[1], found[2]
    if what == "losses":
        return losses.table()
    if what == "matrix":
        return matrices.drawn(losses.SKETCHES[f"{name} {which}" if which else name])
    return {"head": losses.head, "defaults": losses.defaults, "cost": losses.cost}[what](name)


def _settled(found: re.Match[str], source: str, files: Files) -> str:
    """A link to a file of the repository: to its place on the site, or its name alone where it has none."""
    picture, text, target, part = found[1], found[2], found[3], found[4] or ""
    beside = next((name for name, place in BESIDE.items() if place == source), None)
    here = beside or posixpath.join("docs", source)
    within = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    place = BESIDE.get(within, within.removeprefix("docs/"))
    if files.get_file_from_path(place) is None:
        return found[0] if within.startswith("docs/") else text  # of a missing page, MkDocs itself warns
    return f"{picture}[{text}]({posixpath.relpath(place, posixpath.dirname(source) or '.')}{part})"
