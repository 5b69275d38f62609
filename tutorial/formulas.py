"""The formulas of the tutorial, by the name under which the text asks for them."""

from collections.abc import Callable

from tutorial.mathml import (
    Live,
    call,
    element,
    fenced,
    formula,
    frac,
    i,
    lines,
    n,
    o,
    of,
    row,
    space,
    sub,
    sup,
    total,
    word,
)

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


def _of(name: str, *inside: str) -> str:
    """A quantity of something: H(X), p(x, y)."""
    return row(i(name), o("\u2061"), fenced(*inside))


def _divergence(*inside: str) -> str:
    return row(word("KL"), o("\u2061"), fenced(*inside))


BAR, COMMA = o("∣"), o(",")
PARALLEL = o("‖", stretchy="false", lspace="0.2em", rspace="0.2em")
X, Y, STAR = i("X"), i("Y"), sup(i("i"), o("∗"))
HX, HY, HXY = _of("H", X), _of("H", Y), _of("H", X, COMMA, Y)
LEFT_OPEN = _of("H", X, BAR, Y)
MUTUAL = _of("I", X, o(";"), Y)
YS = sub(i("y"), row(n("1"), o("…", lspace="0.1em", rspace="0.1em"), i("N")))
ALL_YS = sub(Y, row(n("1"), o("…", lspace="0.1em", rspace="0.1em"), i("N")))
LOG_N = of("log", i("N"))
BOUND = row(LOG_N, o("−"), i("L"))
SMALL = {name: _of("p", i(name)) for name in ("x", "y")}
BOTH = _of("p", i("x"), COMMA, i("y"))


def _ratio(index: str = "") -> str:
    """How much more frequent a candidate is beside x than anywhere."""
    y = sub(i("y"), i(index)) if index else i("y")
    return frac(_of("p", y, BAR, i("x")), _of("p", y))


@listed
def entropy(_: Live) -> str:
    """Entropy, an average penalty."""
    return formula(HX, o("="), o("−"), total(i("x")), SMALL["x"], of("log", SMALL["x"]))


@listed
def average_penalty(_: Live) -> str:
    """What a bet costs on average."""
    cost = row(o("−"), total(i("x")), SMALL["x"], of("log", _of("q", i("x"))))
    return formula(lines(cost, row(o("="), HX, o("+"), _divergence(i("p"), PARALLEL, i("q")), o("≥"), HX)))


@listed
def no_cheaper(_: Live) -> str:
    """Why no bet is cheaper than the entropy."""
    surplus = row(total(i("x")), SMALL["x"], of("log", frac(_of("q", i("x")), SMALL["x"])))
    upper = row(total(i("x")), SMALL["x"], fenced(frac(_of("q", i("x")), SMALL["x"]), o("−"), n("1")))
    return formula(lines(surplus, row(o("≤"), upper), row(o("="), n("1"), o("−"), n("1"), o("="), n("0"))))


@listed
def left_open(_: Live) -> str:
    """Conditional entropy."""
    return formula(LEFT_OPEN, o("="), total(i("y")), SMALL["y"], _of("H", X, BAR, Y, o("="), i("y")))


@listed
def taken_away(_: Live) -> str:
    """Mutual information as a difference of entropies."""
    return formula(MUTUAL, o("="), HX, o("−"), LEFT_OPEN)


@listed
def counted_twice(_: Live) -> str:
    """Mutual information, symmetric."""
    return formula(MUTUAL, o("="), HX, o("+"), HY, o("−"), HXY)


@listed
def from_independence(_: Live) -> str:
    """Mutual information as a divergence."""
    independent = row(SMALL["x"], SMALL["y"])
    return formula(MUTUAL, o("="), total(row(i("x"), COMMA, i("y"))), BOTH, of("log", frac(BOTH, independent)))


@listed
def chain(_: Live) -> str:
    """Why the difference and the symmetric form agree."""
    return formula(HXY, o("="), HY, o("+"), LEFT_OPEN)


@listed
def split_logarithm(_: Live) -> str:
    """Why the divergence agrees with them."""
    of_both = frac(BOTH, row(SMALL["x"], SMALL["y"]))
    alone = row(o("="), o("−"), of("log", SMALL["x"]), o("−"), of("log", SMALL["y"]))
    return formula(lines(of("log", of_both), alone, row(o("+", form="infix"), of("log", BOTH))))


@listed
def two_way(_: Live) -> str:
    """NCE's answer about one candidate."""
    own = _of("p", i("y"), BAR, i("x"))
    noises = row(i("k"), SMALL["y"])
    score = row(of("log", own), o("−"), of("log", fenced(noises)))
    asked = call("P", row(word("{genuine}"), BAR, i("x"), COMMA, i("y")))
    share = frac(own, row(own, o("+"), noises))
    return formula(lines(row(asked, o("="), share), row(o("="), _of("σ", score))))


@listed
def n_way(_: Live) -> str:
    """InfoNCE's answer about all of them."""
    asked = call("P", row(STAR, o("="), i("i"), BAR, i("x"), COMMA, YS))
    return formula(asked, o("="), frac(_ratio("i"), row(total(i("j")), space("0.2em"), _ratio("j"))))


@listed
def proof_penalty(_: Live) -> str:
    """First line of the proof."""
    return formula(i("L"), o("≥"), _of("H", STAR, BAR, i("x"), COMMA, YS))


@listed
def proof_place(_: Live) -> str:
    """Second line of the proof."""
    told = _of("I", STAR, o(";"), i("x"), BAR, YS)
    return formula(lines(_of("H", STAR, BAR, i("x"), COMMA, YS), row(o("="), LOG_N, o("−"), told)))


@listed
def proof_chain(_: Live) -> str:
    """Third line of the proof."""
    told = _of("I", STAR, o(";"), i("x"), BAR, YS)
    return formula(lines(told, row(o("="), MUTUAL, o("−"), _of("I", X, o(";"), ALL_YS)), row(o("≤"), MUTUAL)))


@listed
def proof_two_ways(_: Live) -> str:
    """The chain rule behind the third line, read in both orders."""
    whole = _of("I", X, o(";"), STAR, COMMA, ALL_YS)
    parts = row(_of("I", X, o(";"), ALL_YS), o("+"), _of("I", X, o(";"), STAR, BAR, ALL_YS))
    return formula(lines(row(MUTUAL, o("="), whole), row(o("="), parts)))


@listed
def missing(_: Live) -> str:
    """What lies between the bound and the information."""
    gap = row(MUTUAL, o("−"), fenced(BOUND))
    critic = row(word("E"), o("\u2061"), fenced(_divergence(word("{truth}"), PARALLEL, word("softmax")), around="[]"))
    return formula(lines(gap, row(o("="), critic, o("+"), _of("I", X, o(";"), ALL_YS)), row(o("≥"), n("0"))))


@listed
def best_score(_: Live) -> str:
    """The scores with which the first line is an equality."""
    return formula(_of("f", i("x"), COMMA, i("y")), o("="), of("log", _ratio()), o("+"), _of("c", i("x")))


# Within the text.
FORMULAS |= {
    "inMutual": lambda _: formula(MUTUAL, block=False),
    "inBound": lambda _: formula(BOUND, block=False),
    "inLogN": lambda _: formula(LOG_N, block=False),
    "inLeftOpen": lambda _: formula(LEFT_OPEN, block=False),
    "inFinite": lambda _: formula(_of("I", X, o(";"), ALL_YS), block=False),
}
