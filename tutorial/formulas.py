"""The formulas of the tutorial, by the name under which the text asks for them."""

from collections.abc import Callable

from tutorial.mathml import Live, call, fenced, formula, frac, i, n, o, of, row, space, sub, total

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


def force(_: Live) -> str:
    """InfoNCE's derivative with respect to a cosine."""
    slope = frac(row(o("∂"), i("L")), row(o("∂"), _s("j")))
    is_its_own = fenced(i("j"), o("="), o("+"), around="[]")
    return formula(slope, o("="), frac(row(sub(i("p"), i("j")), o("−"), is_its_own), i("τ")))


def slope_of_scale(_: Live) -> str:
    """InfoNCE's derivative with respect to the logarithm of the inverse temperature."""
    slope = frac(row(o("∂"), i("L")), row(o("∂"), i("a")))
    expected = row(total(i("j")), sub(i("p"), i("j")), sub(i("z"), i("j")))
    return formula(
        slope, o("="), expected, o("−"), sub(i("z"), o("+")), o(","), space(), i("z"), o("="), frac(i("s"), i("τ"))
    )


FORMULAS: dict[str, Formula] = {"infoNce": info_nce, "bet": bet, "force": force, "slopeOfScale": slope_of_scale}
