"""MathML from Python: short names for the few elements that the formulas need."""

from collections.abc import Callable
from html import escape

Live = Callable[[str, int, str], str]
"""A number that follows a figure: its name, its decimals, its element."""


def element(name: str, *children: str, **attributes: str) -> str:
    """Build an element; children are markup."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(children)}</{name}>"


def i(name: str, **attributes: str) -> str:
    """An identifier: a letter is italic."""
    return element("mi", escape(name), **attributes)


def word(name: str) -> str:
    """A function's name or a word: upright, with a little space before what it is applied to."""
    return element("mi", escape(name), mathvariant="normal")


def n(number: str) -> str:
    """A number."""
    return element("mn", escape(number))


def o(sign: str, **attributes: str) -> str:
    """An operator."""
    return element("mo", escape(sign), **attributes)


def row(*children: str, **attributes: str) -> str:
    """Several things as one."""
    return element("mrow", *children, **attributes)


def frac(above: str, below: str) -> str:
    """A fraction."""
    return element("mfrac", above, below)


def sub(base: str, below: str) -> str:
    """A base with an index."""
    return element("msub", base, below)


def sup(base: str, above: str) -> str:
    """A base with a power."""
    return element("msup", base, above)


def total(below: str, above: str = "") -> str:
    """A sum sign with its limits."""
    sign = o("∑")
    return element("munderover", sign, below, above) if above else element("munder", sign, below)


def call(name: str, *inside: str) -> str:
    """A function applied to something in brackets."""
    return row(word(name), o("\u2061"), fenced(*inside))


def of(name: str, *inside: str) -> str:
    """A function applied without brackets: log N, with the little space that browsers leave out."""
    return row(word(name), o("\u2061"), space("0.17em"), *inside)


def fenced(*inside: str, around: str = "()") -> str:
    """Something in brackets that grow with it."""
    return row(o(around[0], stretchy="true"), *inside, o(around[1], stretchy="true"))


def lines(*rows: str) -> str:
    """Several lines, all but the first set in: long formulas for narrow screens."""
    first, *rest = rows
    made = [first, *(row(space("1em"), line) for line in rest)]
    cells = (element("mtr", element("mtd", line)) for line in made)
    return element("mtable", *cells, class_="lines", displaystyle="true")


def space(width: str = "0.5em") -> str:
    """A gap."""
    return element("mspace", width=width)


def formula(*children: str, block: bool = True, label: str = "") -> str:
    """A formula: on a line of its own, which scrolls where it does not fit; or within the text."""
    attributes = {"display": "block"} if block else {}
    if not block:
        return element("math", row(*children))
    made = element("math", row(*children), **attributes)
    return f'<div class="formula" role="group" tabindex="0" aria-label="{escape(label)}">{made}</div>'
