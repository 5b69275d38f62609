"""The formulas of the tutorial, by the name under which the text asks for them."""

from collections.abc import Callable

from tutorial.mathml import Live, call, formula, frac, i, n, o, of, row, sub, total

Formula = Callable[[Live], str]


def _s(index: str) -> str:
    return sub(i("s"), o("+") if index == "+" else i(index))


def info_nce(_: Live) -> str:
    """InfoNCE of one anchor."""
    above = call("exp", _s("+"), o("/"), i("τ"))
    below = row(total(i("j")), call("exp", _s("j"), o("/"), i("τ")))
    return formula(i("L"), o("="), o("−"), of("log", frac(above, below)))


def bet(live: Live) -> str:
    """The penalty of the opening bet, with the reader's number."""
    inside = row(n("−"), of("ln", live("bet.right", 2, "mn")), o("="), live("bet.penalty", 4, "mn"))
    return formula(i("L"), o("="), o("−"), of("ln", sub(i("p"), o("✓"))), o("="), inside)


FORMULAS: dict[str, Formula] = {"infoNce": info_nce, "bet": bet}
