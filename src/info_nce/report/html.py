"""HTML from Python values: whatever is not HTML already is escaped, so no label or path can break the page."""

import html
from collections.abc import Iterable, Sequence

_VOID = frozenset({"img", "meta", "br"})


class Html(str):
    """Text that is HTML already, and is taken as it is; every other text is escaped."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str) -> Html:
    """Build an element.

    Args:
        name: of the element.
        children: inside it, in order; plain text is escaped.
        attributes: by name; one underscore at the end is dropped (class_), others become hyphens (aria_label).

    Example:
        >>> element("p", "a < b, ", element("b", "c"), class_='"')
        '<p class="&quot;">a &lt; b, <b>c</b></p>'
    """
    written = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    inside = "" if name in _VOID else f"{joined(children)}</{name}>"
    return Html(f"<{name}{written}>{inside}")


def joined(parts: Iterable[str]) -> Html:
    """Put parts next to each other; plain text is escaped."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts))


def unbroken(text: str) -> str:
    """Keep on one line what belongs together: a number with its unit and its error."""
    return (
        text.replace(" %", "\u00a0%")
        .replace(" ± ", "\u00a0±\u00a0")
        .replace("± ", "±\u00a0")
        .replace("look-alike", "look\u2011alike")
    )


def figure(picture: str, title: str, *caption: str, id_: str, class_: str = "") -> Html:
    """Build a figure: its claim, the picture, and what to know to read it."""
    heading = element("h3", unbroken(title), id=f"{id_}-title")
    note = [element("figcaption", *map(unbroken, caption))] if caption else []
    attributes = {"class_": class_} if class_ else {}
    return element("figure", heading, picture, *note, aria_labelledby=f"{id_}-title", **attributes)


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, class_: str = "", wide: bool = False
) -> Html:
    """Build a table whose first row and first column are headings; one without room scrolls, by keyboard too."""
    top = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = (
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        for first, *rest in rows
    )
    return scrolling(
        element("table", element("caption", caption), element("thead", top), element("tbody", *body), class_=class_),
        caption,
        class_="scroll wide" if wide else "scroll",
    )


def scrolling(content: str, name: str, *, class_: str = "scroll") -> Html:
    """Let something wide scroll inside the page, instead of the page."""
    return element("div", content, class_=class_, role="region", aria_label=name, tabindex="0")


def section(title: str, *content: str, id_: str) -> Html:
    """Build a part of the page under a heading."""
    return element("section", element("h2", title, id=id_), *content, aria_labelledby=id_)


def pair(*shown: str) -> Html:
    """Put things side by side where there is room for it."""
    return element("div", *shown, class_="pair wide")


def details(summary: str, *content: str, opened: bool = False) -> Html:
    """Hide something until it is asked for, which needs no script."""
    return element("details", element("summary", summary), *content, **({"open": ""} if opened else {}))
