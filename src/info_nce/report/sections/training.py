"""How did training go? Loss against guessing, alignment, uniformity, and the learning rate."""

import math
from collections.abc import Mapping, Sequence

from info_nce.plots.training import learning_rate, loss_curve, loss_in_words, spread_curves, spread_in_words
from info_nce.report.gather import Material
from info_nce.report.html import Html, details, element, figure, pair, section, table
from info_nce.report.svg import inline_svg

_ROWS = 12
_COLUMNS = ("loss", "alignment", "uniformity", "learning_rate", "seconds")
_GEOMETRY = (
    "Alignment is how far a query and its key lie apart (0 = together). Uniformity is how evenly queries fill the "
    "space (0 = all in one point, near −4 = evenly). Both should fall."
)


def training(found: Material) -> Html:
    """How did training go?"""
    metrics = found.metrics
    if not metrics:
        return section("How training went", element("p", "Nothing was logged."), id_="training")
    last = metrics[-1]
    loss, spread = loss_in_words(metrics), spread_in_words(metrics)
    text = (
        f"{int(last['step']):,} steps in {_duration(last['seconds'])}. At each, every query had to pick its own key "
        f"out of {round(math.exp(last['log_candidates'])):,} candidates."
    )
    rate = _rate(metrics)
    return section(
        "How training went",
        element("p", text),
        pair(
            element(
                "div",
                figure(inline_svg(loss_curve(metrics), "loss", f"A line over the steps. {loss}."), loss, id_="loss"),
                figure(inline_svg(learning_rate(metrics), "rate", f"A line over the steps. {rate}."), rate, id_="rate"),
            ),
            figure(
                inline_svg(spread_curves(metrics), "spread", f"Two lines over the steps. {spread}."),
                spread,
                _GEOMETRY,
                id_="spread",
            ),
        ),
        details("The numbers behind these curves", _numbers(metrics)),
        id_="training",
    )


def _rate(metrics: Sequence[Mapping[str, float]]) -> str:
    highest, final = max(line["learning_rate"] for line in metrics), metrics[-1]["learning_rate"]
    end = "almost 0" if final < highest / 50 else f"{final:.2g}"
    return f"The learning rate was at most {highest:.2g}, and {end} at the end"


def _numbers(metrics: Sequence[Mapping[str, float]]) -> Html:
    some = [*metrics[: -1 : max(1, -(-len(metrics) // _ROWS))], metrics[-1]]
    rows = ((f"{int(line['step']):,}", *(_minus(f"{line[name]:.3g}") for name in _COLUMNS)) for line in some)
    head = ("step", "loss (nats)", "alignment", "uniformity", "learning rate", "seconds")
    return table(head, rows, caption="Some of the logged steps")


def _duration(seconds: float) -> str:
    number, unit = (seconds, "second") if seconds < 120 else (seconds / 60, "minute")
    return f"{number:.0f} {unit}{'' if round(number) == 1 else 's'}"


def _minus(text: str) -> str:
    # The minus of mathematics, and not the one inside 2e-05 or a word.
    return f" {text}".replace(" -", " −")[1:]
