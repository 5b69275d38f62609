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


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - its signature
    """Say where a line may break: not within a short name, but within a long one, and never within 8 x 1,024."""
    parts = re.split(r"(<pre.*?</pre>|<svg.*?</svg>)", html, flags=re.DOTALL)
    parts[::2] = [_breakable(part) for part in parts[::2]]
    return "".join(parts)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001 - its signature
    """Name the search, which the theme leaves without a name."""
    return _named(output)


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:  # noqa: ARG001 - its signature
    """The page of what is not found has a search, too."""
    return _named(output_content)


def _named(output: str) -> str:
    search = 'data-md-component="search" role="dialog"'
    return output.replace(search, f'{search} aria-label="Search"', 1)


def _breakable(html: str) -> str:
    html = re.sub(r"<code>([^<\s]{1,28}|[^<]{1,18})</code>", r'<code class="short">\1</code>', html)
    html = re.sub(r"(<th[^>]*>)([\w-]{1,14})(</th>)", r'\1<span class="short">\2</span>\3', html)
    return re.sub(r"<t[dh]\b.*?</t[dh]>", lambda cell: _cell(cell[0]), html, flags=re.DOTALL)


def _cell(html: str) -> str:
    """Numbers of a table stay with their units and signs; what is long may break where its parts end."""
    html = re.sub(r"(?<=\d) (x|of|±) (?=\d)", "\u00a0\\1\u00a0", html)
    html = re.sub(r"(?<=\d) (?=(?:ns|µs|ms|s|[MGTP]B|T|x|%)\b|%)", "\u00a0", html)
    html = re.sub(r"<th[^>]*>[^<]{15,}<", lambda m: m[0].replace("_", "_<wbr>"), html)
    return re.sub(r"<code>[^<]+<", lambda m: re.sub(r"([(=]|(?<=[a-z])\.)(?=[a-zA-Z&])", r"\1<wbr>", m[0]), html)


def _filled(found: re.Match[str], name: str) -> str:
    what, which = found[1], found[2]
    if what == "losses":
        return losses.table()
    if what == "matrix":
        return matrices.drawn(losses.SKETCHES[f"{name} {which}" if which else name])
    return {"head": losses.head, "defaults": losses.defaults, "cost": losses.cost}[what](name)


def _settled(found: re.Match[str], source: str, files: Files) -> str:
    """A link to a file of the repository: to its place on the site, or its name alone where it has none.

    A link that shows the file's name shows the title of its page instead.
    """
    picture, text, target, part = found[1], found[2], found[3], found[4] or ""
    beside = next((name for name, place in BESIDE.items() if place == source), None)
    here = beside or posixpath.join("docs", source)
    within = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    place = BESIDE.get(within, within.removeprefix("docs/"))
    there = files.get_file_from_path(place)
    if there is None:
        return found[0] if within.startswith("docs/") else text  # of a missing page, MkDocs itself warns
    if re.fullmatch(r"[\w/.-]+\.md", text):
        text = re.sub(r"^# (.*)(?s:.*)", r"\1", there.content_string)
    return f"{picture}[{text}]({posixpath.relpath(place, posixpath.dirname(source) or '.')}{part})"
