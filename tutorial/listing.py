"""Code that the page shows: read from the sources, not imported, so that building needs no torch."""

import ast
import io
import tokenize
from functools import cache
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = {"": HERE.parent / "src" / "info_nce" / "from_scratch.py", "bugs": HERE / "record" / "bugs.py"}
"""Which file a name stands in: `info_nce`, or `bugs.train_step`."""

Line = dict[str, str | int | None]


@cache
def source(name: str) -> str:
    """A function or class, as it is written."""
    module, _, function = name.rpartition(".")
    text = SOURCES[module].read_text(encoding="utf-8")
    found = next(node for node in ast.parse(text).body if getattr(node, "name", None) == function)
    return "\n".join(text.splitlines()[found.lineno - 1 : found.end_lineno])


def listing(name: str) -> list[Line]:
    """Each line as markup, and which statement of the function it belongs to.

    0 is its head, or any line of a class; None is a docstring, or an empty line.
    """
    text = source(name)
    statements = _statements(text)
    return [{"html": line, "statement": statements.get(i)} for i, line in enumerate(_marked(text))]


def _statements(text: str) -> dict[int, int]:
    """The number of the statement, by the number of the line."""
    whole = ast.parse(text).body[0]
    texts = [node for node in ast.walk(whole) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    silent = {row for node in texts for row in range(node.lineno - 1, node.end_lineno or node.lineno)}
    found = {row: 0 for row, line in enumerate(text.splitlines()) if line and row not in silent}
    if isinstance(whole, ast.FunctionDef):
        for number, node in enumerate((node for node in whole.body if node not in texts), 1):
            found |= dict.fromkeys(range(node.lineno - 1, node.end_lineno or node.lineno), number)
    return found


def _marked(text: str) -> list[str]:
    """Lines with their comments and strings marked; no mark goes over the end of a line."""
    lines = text.splitlines()
    marks: dict[int, list[tuple[int, int, str]]] = {}
    for token in tokenize.generate_tokens(io.StringIO(text + "\n").readline):
        kind = {tokenize.COMMENT: "comment", tokenize.STRING: "string"}.get(token.type)
        if kind:
            for row in range(token.start[0], token.end[0] + 1):
                begin = token.start[1] if row == token.start[0] else 0
                end = token.end[1] if row == token.end[0] else len(lines[row - 1])
                marks.setdefault(row - 1, []).append((begin, end, kind))
    return [_one(line, marks.get(i, [])) for i, line in enumerate(lines)]


def _one(line: str, marks: list[tuple[int, int, str]]) -> str:
    made, place = "", 0
    for begin, end, kind in marks:
        made += escape(line[place:begin], quote=False)
        made += f'<span class="{kind}">{escape(line[begin:end], quote=False)}</span>'
        place = end
    return made + escape(line[place:], quote=False)


def transcript(session: list[list[str]]) -> str:
    """What was typed, and what was said."""
    return "\n".join(
        "\n".join([f"<kbd>&gt;&gt;&gt; {escape(line, quote=False)}</kbd>", *(escape(s, quote=False) for s in said)])
        for line, *said in session
    )
