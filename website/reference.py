"""What griffe, which reads the docstrings for the reference, is told of this project's way to write them."""

import re
from pathlib import Path
from typing import Any

from griffe import Extension, Object

__all__ = ["Docstrings"]


PLACES = {
    path.rpartition(".")[2]: path
    for page in (Path(__file__).parents[1] / "docs/reference").glob("*.md")
    for path in re.findall(r"(?m)^::: (\S+)$", page.read_text(encoding="utf-8"))
}
"""What the reference describes, by its last name."""


class Docstrings(Extension):
    """Examples are code, whatever the heading's number; names of the reference are links; each argument has a line."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rename the heading, link the names, and say of each argument what is said of several."""
        if obj.docstring:
            text = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
            text = re.sub(r"(?m)^( +)(\w+(?:, \w+)+):(.*(?:\n\1 +.*)*)", _apart, text)
            obj.docstring.value = re.sub(r"((?:[Ss]ee|module of) )?`(\w+)`(?!\])", lambda m: _linked(m, obj.name), text)


def _apart(found: re.Match[str]) -> str:
    return "\n".join(f"{found[1]}{name}:{found[3]}" for name in found[2].split(", "))


def _linked(found: re.Match[str], here: str) -> str:
    """A class, or what one is told to see: other small names may be those of arguments."""
    before, name = found[1] or "", found[2]
    if name == here or name not in PLACES or not (before or name[0].isupper()):
        return found[0]
    return f"{before}[`{name}`][{PLACES[name]}]"
