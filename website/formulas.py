"""Formulas between dollars become MathML while the site is built: a browser shows it without a script."""

import re
import xml.etree.ElementTree as ET
from typing import Any

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor

__all__ = ["FormulaError", "makeExtension", "mathml"]


class FormulaError(ValueError):
    """A formula has a command that cannot be shown."""


def mathml(formula: str, *, block: bool) -> str:
    r"""The formula as MathML.

    Example:
        >>> "<mfrac>" in mathml(r"\frac{1}{N}", block=True)
        True

    Raises:
        FormulaError: a command is left over in what a reader would see.
    """
    # a size that is asked for by hand is left to the browser, which knows how high the inside is
    sized = re.sub(r"\\[Bb]igg?\s*(\\\{|[(\[])", r"\\left\1", " ".join(formula.split()))
    sized = re.sub(r"\\[Bb]igg?\s*(\\\}|[)\]])", r"\\right\1", sized)
    shown = str(convert(sized, display="block" if block else "inline"))
    # a little room after a function's name, but not before its bracket
    shown = re.sub(r"<mi>(log|exp|cos|max)</mi>(?=<m(?!o))", r'<mi>\1</mi><mspace width="0.17em"/>', shown)
    # a prime of its letter's size: as a superscript within a subscript it is a dot
    shown = re.sub(r"<msup>(<mi>.</mi>)<mi>&#x02032;</mi></msup>", r'\1<mo lspace="0" rspace="0">&#x02032;</mo>', shown)
    left = re.findall(r"\\\S*|\$", "".join(ET.fromstring(shown).itertext()))  # noqa: S314 - made a line above
    if left:
        raise FormulaError(
            f"A formula cannot be shown.\n  got       {left[0]} in {formula}\n  expected  commands of latex2mathml\n"
            "  try       another spelling, such as \\text{...}"
        )
    return shown


class _Blocks(Preprocessor):  # type: ignore[misc]  # Markdown ships no types
    """Formulas that stand alone: from $$ at the beginning of a line to $$ at the end of one."""

    def run(self, lines: list[str]) -> list[str]:
        return re.sub(r"(?ms)^[ ]{0,3}\$\$(.+?)\$\$[ ]*$", self._stashed, "\n".join(lines)).split("\n")

    def _stashed(self, found: re.Match[str]) -> str:
        # Within a div: a block of its own for Markdown, and what a narrow screen scrolls.
        shown = f'<div class="formula">{mathml(found[1], block=True)}</div>'
        return f"\n\n{self.md.htmlStash.store(shown)}\n\n"


class _Inline(InlineProcessor):  # type: ignore[misc]  # Markdown ships no types
    """Formulas within a line."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # noqa: N802, ARG002 - its name there
        return self.md.htmlStash.store(mathml(m[1], block=False)), m.start(0), m.end(0)


class _Formulas(Extension):  # type: ignore[misc]  # Markdown ships no types
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - its name there
        # after code blocks were put aside (25), and after code within a line (190), but before escapes (180)
        md.preprocessors.register(_Blocks(md), "formulas", 24)
        md.inlinePatterns.register(_Inline(r"(?<![\\$\w])\$(?![\s$])([^$\n]+?)(?<!\s)\$(?![\w$])", md), "formula", 185)


def makeExtension(**settings: Any) -> Extension:  # noqa: N802 - what Markdown looks for
    """What Markdown calls."""
    return _Formulas(**settings)
