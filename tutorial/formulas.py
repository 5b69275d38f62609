"""The formulas of the tutorial, by the name under which the text asks for them."""

from collections.abc import Callable

from tutorial.mathml import Live, call, element, fenced, formula, frac, i, n, o, of, row, space, sub, sup, total, word

Formula = Callable[[Live], str]
FORMULAS: dict[str, Formula] = {}
"""By the name that the text uses: that of the function, as JavaScript writes names."""


def listed(made: Formula) -> Formula:
    """Let the text ask for a formula."""
    first, *rest = made.__name__.split("_")
    FORMULAS[first + "".join(word.capitalize() for word in rest)] = made
    return made


def _s(index: str) -> str:
    return sub(i("s"), o("+") if index == "+" else i(index))


@listed
def info_nce(_: Live) -> str:
    """InfoNCE of one anchor."""
    above = call("exp", _s("+"), o("/"), i("τ"))
    below = row(total(i("j")), call("exp", _s("j"), o("/"), i("τ")))
    return formula(i("L"), o("="), o("−"), of("log", frac(above, below)))


@listed
def bet(live: Live) -> str:
    """The penalty of the opening bet, with the reader's number."""
    inside = row(n("−"), of("ln", live("bet.right", 2, "mn")), o("="), live("bet.penalty", 4, "mn"))
    return formula(i("L"), o("="), o("−"), of("ln", sub(i("p"), o("✓"))), o("="), inside)


def _share(arrow: str, cell: str) -> str:
    return element("msubsup", i("p"), row(*map(i, cell)), o(arrow))


@listed
def symmetric_shares(_: Live) -> str:
    """The share of a cell in its row and in its column."""

    def share(arrow: str, over: str) -> str:
        above = call("exp", _s_at("ij"), o("/"), i("τ"))
        below = row(total(i("k")), call("exp", _s_at(over), o("/"), i("τ")))
        return formula(_share(arrow, "ij"), o("="), frac(above, below))

    return share("→", "ik") + share("↓", "kj")


@listed
def symmetric_loss(_: Live) -> str:
    """The mean of both directions."""
    inside = fenced(of("ln", _share("→", "ii")), o("+"), of("ln", _share("↓", "ii")))
    return formula(i("L"), o("="), o("−"), frac(n("1"), row(n("2"), i("N"))), total(i("i")), inside)


@listed
def symmetric_gradient(_: Live) -> str:
    """What a cell gets from both directions."""
    left = frac(row(o("∂"), i("L")), row(o("∂"), _s_at("ij")))
    same = fenced(i("i"), o("="), i("j"), around="[]")
    above = row(_share("→", "ij"), o("+"), _share("↓", "ij"), o("−"), n("2"), same)
    return formula(left, o("="), frac(above, row(n("2"), i("N"), i("τ"))))


def _s_at(cell: str) -> str:
    return sub(i("s"), row(*map(i, cell)))


@listed
def log_sum_exp(live: Live) -> str:
    """The logarithm of a sum of exponentials with the largest taken out, and with the figure's numbers."""
    thin = space("0.15em")
    z = sub(i("z"), i("j"))
    lowered = row(total(i("j")), call("exp", z, o("−"), i("m")))
    left = row(of("ln", total(i("j")), call("exp", z)), o("="), i("m"), o("+"), of("ln", lowered))
    right = row(live("overflow.largest", 2, "mn"), o("+"), of("ln", thin, live("overflow.loweredTotal", 4, "mn")))
    largest = row(i("m"), o("="), sub(word("max"), i("j")), o("\u2061"), thin, z)
    return formula(left, o("="), right, o(","), space("1em"), largest)


@listed
def candidates(live: Live) -> str:
    """From a loss to equally likely candidates, with the reader's loss."""
    there = row(i("L"), o("="), of("ln", space("0.15em"), i("k")))
    back = row(i("k"), o("="), call("exp", i("L")), o("="), call("exp", live("meter.loss", 2, "mn")))
    return formula(there, o(","), space("1em"), back, o("="), live("meter.left", 1, "mn"))


@listed
def force(_: Live) -> str:
    """InfoNCE's derivative with respect to a cosine."""
    slope = frac(row(o("∂"), i("L")), row(o("∂"), _s("j")))
    is_its_own = fenced(i("j"), o("="), o("+"), around="[]")
    return formula(slope, o("="), frac(row(sub(i("p"), i("j")), o("−"), is_its_own), i("τ")))


@listed
def slope_of_scale(_: Live) -> str:
    """InfoNCE's derivative with respect to the logarithm of the inverse temperature."""
    slope = frac(row(o("∂"), i("L")), row(o("∂"), i("a")))
    expected = row(total(i("j")), sub(i("p"), i("j")), sub(i("z"), i("j")))
    return formula(
        slope, o("="), expected, o("−"), sub(i("z"), o("+")), o(","), space(), i("z"), o("="), frac(i("s"), i("τ"))
    )


@listed
def pull_is_push(_: Live) -> str:
    """What pushes an anchor's negatives is as much as what pulls its positive."""
    push = row(total(row(i("j"), o("≠"), o("+"))), frac(sub(i("p"), i("j")), i("τ")), class_="negative")
    pull = row(frac(row(n("1"), o("−"), sub(i("p"), o("+"))), i("τ")), class_="positive")
    return formula(push, o("="), pull)


@listed
def lowest_loss(_: Live) -> str:
    """The lowest symmetric loss of N pairs."""
    fewer = row(i("N"), o("−"), n("1"))
    power = row(o("−"), i("N"), o("/"), fenced(fenced(fewer), i("τ")))
    return formula(sub(i("L"), word("min")), o("="), call("log", n("1"), o("+"), fenced(fewer), sup(i("e"), power)))
