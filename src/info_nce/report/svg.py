"""A matplotlib figure as a part of a page: text stays text, and colours follow the page's light or dark scheme."""

import html
import io
import re
import warnings

from info_nce.errors import needs_extra
from info_nce.report.html import Html
from info_nce.report.palette import VARIABLES

with needs_extra("plots"):
    import matplotlib as mpl
    from matplotlib.figure import Figure

_DROPPED = re.compile(
    r"^.*?(?=<svg)"  # XML declaration and document type
    r"|<metadata>.*?</metadata>\s*"
    r"|<defs>\s*<style.*?</style>\s*</defs>\s*"  # rules that would reach the whole page; the style sheet has them
    r"| xmlns(:\w+)?=\"[^\"]*\""
    r"| font-family: [^;\"]*;?"
    r"| style=\"image-rendering[^\"]*\"",  # made smaller without smoothing, a matrix of pixels becomes a moiré
    re.DOTALL,
)


def inline_svg(figure: Figure, name: str, text: str) -> Html:
    """Turn a figure into an svg element that can stand inside a page.

    Args:
        figure: drawn in the colours of `palette`.
        name: unique in the page; the element's ids begin with it.
        text: what the figure shows, for those who cannot see it.

    Returns:
        An element without ids of its own but those it refers to, without addresses, and without a fixed size.
    """
    drawn = io.StringIO()
    # Text as text, and ids that depend on nothing but the figure: the same run gives the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has more fonts
        figure.savefig(drawn, format="svg", metadata={"Date": None}, facecolor="none")  # on the page's own ground
    svg = _DROPPED.sub("", drawn.getvalue()).replace("xlink:href", "href")
    svg = re.sub(
        r'(<svg)[^>]*?(viewBox="[^"]*")[^>]*>', rf'\1 \2 role="img" aria-label="{_escaped(text)}">', svg, count=1
    )
    used = set(re.findall(r'(?:url\(|href=")#([\w.-]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return Html(re.sub(r">\s+<", "><", svg).strip())


def _escaped(text: str) -> str:
    return html.escape(text).replace("\\", r"\\")
