"""The code of every page of the documentation runs, and prints what the page says."""

import ast
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import needs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    path
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
    if "```python" in path.read_text(encoding="utf-8")
]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
AT_HAND = {"info_nce", "torch"}
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

BLOCK = re.compile(
    r"^( *)```python(?P<title>[^\n]*)\n(?P<code>.*?)^\1```$(?:\n\n?\1```text\n(?P<printed>.*?)^\1```$)?",
    re.MULTILINE | re.DOTALL,
)
TOLD = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Code of a page, and the lines that it prints: in a block of text below, or behind each `print`.

    One with a title, "with X", needs the library X, which may not be there.
    """

    code: str
    printed: list[str]
    titled: bool = False

    @property
    def libraries(self) -> set[str]:
        """What it imports besides the package, torch and Python's own."""
        names = set()
        for node in ast.walk(ast.parse(self.code)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
        return {name.partition(".")[0] for name in names} - AT_HAND - set(sys.stdlib_module_names)


def blocks(text: str) -> Iterator[Block]:
    for found in BLOCK.finditer(text):
        code, below = (textwrap.dedent(found[part] or "") for part in ("code", "printed"))
        yield Block(code, below.splitlines() or TOLD.findall(code), 'title="with ' in found["title"])


def of_page(path: Path) -> list[Block]:
    return list(blocks(path.read_text(encoding="utf-8")))


def run(parts: Iterable[Block], name: str) -> dict[str, Any]:
    """All of it in one namespace, as a reader would who types it."""
    names: dict[str, Any] = {"__name__": name}
    for part in parts:
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile(part.code, name, "exec"), names)  # noqa: S102 - our own page
        lines = [line.rstrip() for line in printed.getvalue().splitlines()]
        if part.titled:  # the library may have something to say themselves
            lines = [line for line in lines if line in part.printed]
        assert lines == part.printed
    return names


@pytest.fixture(autouse=True)
def _as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page may choose a dtype, write files, and leave a process group behind where it fails."""
    monkeypatch.chdir(tmp_path)
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if "accelerate" in sys.modules:
        sys.modules["accelerate"].state.AcceleratorState._reset_state(reset_partial_state=True)


@every_page
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(path: Path) -> None:
    everywhere = [block for block in of_page(path) if not block.titled]
    if not needs.SHARDS and any("fully_shard(" in block.code for block in everywhere):
        pytest.skip(needs.shards.kwargs["reason"])
    run(everywhere, str(path))


@every_page
def test_what_needs_another_library_says_so_in_its_title(path: Path) -> None:
    assert [block.code for block in of_page(path) if block.libraries and not block.titled] == []
    assert any(not block.titled for block in of_page(path)), "nothing of this page runs everywhere"


def pages_with_libraries() -> list[Any]:
    found = []
    for path in PAGES:
        needed = {name for block in of_page(path) for name in block.libraries}
        if needed:
            found.append(pytest.param(path, sorted(needed), id=str(path.relative_to(ROOT))))
    return found


@pytest.mark.filterwarnings("default")  # what the other libraries warn of is not ours
@pytest.mark.parametrize(("path", "needed"), pages_with_libraries())
def test_the_code_of_a_page_runs_with_the_library_that_it_is_about(path: Path, needed: list[str]) -> None:
    for name in needed:
        pytest.importorskip(name, reason=f"the page compares with {name}, which the tests do not install")
    run(of_page(path), str(path))


def headings(path: Path) -> set[str]:
    """The places in a page that a link can name."""
    text = re.sub(r"^( *)```.*?^\1```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


@every_page
def test_every_link_into_a_page_finds_its_heading(path: Path) -> None:
    found = re.findall(r"\]\(([\w./-]*\.md)?#([\w-]+)\)", path.read_text(encoding="utf-8"))
    assert [(page, part) for page, part in found if part not in headings(path.parent / page if page else path)] == []


def test_headings_are_named_as_a_site_names_them() -> None:
    assert {"learning-rate-warm-up-and-schedule", "a-loop-to-begin-with"} <= headings(DOCS / "practice/training.md")
    assert "is-it-at-its-floor" in headings(DOCS / "practice/stuck.md")


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


@every_notebook
def test_the_cells_of_a_notebook_run_in_order(path: Path) -> None:
    code = ["".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "code"]
    libraries = {name for part in code for name in Block(part, []).libraries}
    for name in libraries:
        pytest.importorskip(name, reason=f"the notebook draws with {name}")
    run([Block(part, TOLD.findall(part)) for part in code], str(path))
    if "matplotlib" in libraries:
        sys.modules["matplotlib"].pyplot.close("all")


@every_notebook
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert (whole["nbformat"], whole["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in cells(path)}) == len(cells(path))
    for cell in cells(path):
        assert cell["cell_type"] == "markdown" or (cell["outputs"] == [] and cell["execution_count"] is None)


def test_a_page_that_says_something_wrong_fails() -> None:
    inline = "```python\nprint(1 + 1)  # 2\n```\n\n"
    right = inline + "and\n\n```python\nfor n in (1, 2):\n    print(n)\n```\n\n```text\n1\n2\n```\n"
    run(blocks(right), "right")
    for wrong in (right.replace("# 2", "# 3"), right.replace("1\n2\n", "1\n"), right.replace("  # 2", "")):
        assert wrong != right
        with pytest.raises(AssertionError):
            run(blocks(wrong), "wrong")
    with pytest.raises(AssertionError, match="untrue"):
        run(blocks("```python\nassert 1 == 2, 'untrue'\n```\n"), "wrong")


def test_what_a_block_needs_is_read_from_its_imports() -> None:
    page = '```python title="with x"\nimport os, x.y\nfrom z import a\nimport torch\nfrom info_nce import NTXent\n```\n'
    assert [(block.libraries, block.titled) for block in blocks(page)] == [({"x", "z"}, True)]
