"""The formulas of the tutorial, by the name under which the text asks for them."""

from collections.abc import Callable

from tutorial.mathml import Live, call, fenced, formula, frac, i, n, o, of, row, sub, sup, total, word

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


def balance(_: Live) -> str:
    """What pushes an anchor's negatives is as much as what pulls its positive."""
    push = row(total(row(i("j"), o("≠"), o("+"))), frac(sub(i("p"), i("j")), i("τ")), class_="negative")
    pull = row(frac(row(n("1"), o("−"), sub(i("p"), o("+"))), i("τ")), class_="positive")
    return formula(push, o("="), pull)


def lowest(_: Live) -> str:
    """The lowest symmetric loss of N pairs."""
    fewer = row(i("N"), o("−"), n("1"))
    power = row(o("−"), i("N"), o("/"), fenced(fenced(fewer), i("τ")))
    return formula(sub(i("L"), word("min")), o("="), call("log", n("1"), o("+"), fenced(fewer), sup(i("e"), power)))


FORMULAS: dict[str, Formula] = {"infoNce": info_nce, "bet": bet, "pullIsPush": balance, "lowestLoss": lowest}
