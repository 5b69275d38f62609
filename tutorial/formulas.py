"""The formulas of the tutorial, by the name under which the text asks for them."""

from collections.abc import Callable

from tutorial.mathml import Live, call, element, fenced, formula, frac, i, n, o, of, row, sub, total

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


def _share(arrow: str, cell: str) -> str:
    return element("msubsup", i("p"), row(*map(i, cell)), o(arrow))


def symmetric_shares(_: Live) -> str:
    """The share of a cell in its row and in its column."""

    def share(arrow: str, over: str) -> str:
        above = call("exp", _s_at("ij"), o("/"), i("τ"))
        below = row(total(i("k")), call("exp", _s_at(over), o("/"), i("τ")))
        return formula(_share(arrow, "ij"), o("="), frac(above, below))

    return share("→", "ik") + share("↓", "kj")


def symmetric_loss(_: Live) -> str:
    """The mean of both directions."""
    inside = fenced(of("ln", _share("→", "ii")), o("+"), of("ln", _share("↓", "ii")))
    return formula(i("L"), o("="), o("−"), frac(n("1"), row(n("2"), i("N"))), total(i("i")), inside)


def symmetric_gradient(_: Live) -> str:
    """What a cell gets from both directions."""
    left = frac(row(o("∂"), i("L")), row(o("∂"), _s_at("ij")))
    same = fenced(i("i"), o("="), i("j"), around="[]")
    above = row(_share("→", "ij"), o("+"), _share("↓", "ij"), o("−"), n("2"), same)
    return formula(left, o("="), frac(above, row(n("2"), i("N"), i("τ"))))


def _s_at(cell: str) -> str:
    return sub(i("s"), row(*map(i, cell)))


FORMULAS: dict[str, Formula] = {
    "infoNce": info_nce,
    "bet": bet,
    "symmetricShares": symmetric_shares,
    "symmetricLoss": symmetric_loss,
    "symmetricGradient": symmetric_gradient,
}
