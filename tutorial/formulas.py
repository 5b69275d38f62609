"""The formulas of the tutorial, by the name under which the text asks for them."""

from collections.abc import Callable

from tutorial.mathml import Live, call, fenced, formula, frac, i, lines, n, o, of, row, space, sub, sup, total, word

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


def entropy(_: Live) -> str:
    """Entropy, an average penalty."""
    return formula(HX, o("="), o("−"), total(i("x")), SMALL["x"], of("log", SMALL["x"]))


def average_penalty(_: Live) -> str:
    """What a bet costs on average."""
    cost = row(o("−"), total(i("x")), SMALL["x"], of("log", _of("q", i("x"))))
    return formula(lines(cost, row(o("="), HX, o("+"), _divergence(i("p"), PARALLEL, i("q")), o("≥"), HX)))


def no_cheaper(_: Live) -> str:
    """Why no bet is cheaper than the entropy."""
    surplus = row(total(i("x")), SMALL["x"], of("log", frac(_of("q", i("x")), SMALL["x"])))
    upper = row(total(i("x")), SMALL["x"], fenced(frac(_of("q", i("x")), SMALL["x"]), o("−"), n("1")))
    return formula(lines(surplus, row(o("≤"), upper), row(o("="), n("1"), o("−"), n("1"), o("="), n("0"))))


def left_open(_: Live) -> str:
    """Conditional entropy."""
    return formula(LEFT_OPEN, o("="), total(i("y")), SMALL["y"], _of("H", X, BAR, Y, o("="), i("y")))


def taken_away(_: Live) -> str:
    """Mutual information as a difference of entropies."""
    return formula(MUTUAL, o("="), HX, o("−"), LEFT_OPEN)


def counted_twice(_: Live) -> str:
    """Mutual information, symmetric."""
    return formula(MUTUAL, o("="), HX, o("+"), HY, o("−"), HXY)


def from_independence(_: Live) -> str:
    """Mutual information as a divergence."""
    independent = row(SMALL["x"], SMALL["y"])
    return formula(MUTUAL, o("="), total(row(i("x"), COMMA, i("y"))), BOTH, of("log", frac(BOTH, independent)))


def chain(_: Live) -> str:
    """Why the difference and the symmetric form agree."""
    return formula(HXY, o("="), HY, o("+"), LEFT_OPEN)


def split_logarithm(_: Live) -> str:
    """Why the divergence agrees with them."""
    of_both = frac(BOTH, row(SMALL["x"], SMALL["y"]))
    alone = row(o("="), o("−"), of("log", SMALL["x"]), o("−"), of("log", SMALL["y"]))
    return formula(lines(of("log", of_both), alone, row(o("+", form="infix"), of("log", BOTH))))


def two_way(_: Live) -> str:
    """NCE's answer about one candidate."""
    own = _of("p", i("y"), BAR, i("x"))
    noises = row(i("k"), SMALL["y"])
    score = row(of("log", own), o("−"), of("log", fenced(noises)))
    asked = call("P", row(word("genuine"), BAR, i("x"), COMMA, i("y")))
    share = frac(own, row(own, o("+"), noises))
    return formula(lines(row(asked, o("="), share), row(o("="), _of("σ", score))))


def n_way(_: Live) -> str:
    """InfoNCE's answer about all of them."""
    asked = call("P", row(STAR, o("="), i("i"), BAR, i("x"), COMMA, YS))
    return formula(asked, o("="), frac(_ratio("i"), row(total(i("j")), space("0.2em"), _ratio("j"))))


def proof_penalty(_: Live) -> str:
    """First line of the proof."""
    return formula(i("L"), o("≥"), _of("H", STAR, BAR, i("x"), COMMA, YS))


def proof_place(_: Live) -> str:
    """Second line of the proof."""
    told = _of("I", STAR, o(";"), i("x"), BAR, YS)
    return formula(lines(_of("H", STAR, BAR, i("x"), COMMA, YS), row(o("="), LOG_N, o("−"), told)))


def proof_chain(_: Live) -> str:
    """Third line of the proof."""
    told = _of("I", STAR, o(";"), i("x"), BAR, YS)
    return formula(lines(told, row(o("="), MUTUAL, o("−"), _of("I", X, o(";"), ALL_YS)), row(o("≤"), MUTUAL)))


def proof_two_ways(_: Live) -> str:
    """The chain rule behind the third line, read in both orders."""
    whole = _of("I", X, o(";"), STAR, COMMA, ALL_YS)
    parts = row(_of("I", X, o(";"), ALL_YS), o("+"), _of("I", X, o(";"), STAR, BAR, ALL_YS))
    return formula(lines(row(MUTUAL, o("="), whole), row(o("="), parts)))


def missing(_: Live) -> str:
    """What lies between the bound and the information."""
    gap = row(MUTUAL, o("−"), fenced(BOUND))
    critic = row(word("E"), o("\u2061"), fenced(_divergence(word("true"), PARALLEL, word("softmax")), around="[]"))
    return formula(lines(gap, row(o("="), critic, o("+"), _of("I", X, o(";"), ALL_YS)), row(o("≥"), n("0"))))


def best_score(_: Live) -> str:
    """The scores with which the first line is an equality."""
    return formula(_of("f", i("x"), COMMA, i("y")), o("="), of("log", _ratio()), o("+"), _of("c", i("x")))


FORMULAS |= {
    "entropy": entropy,
    "averagePenalty": average_penalty,
    "noCheaper": no_cheaper,
    "leftOpen": left_open,
    "takenAway": taken_away,
    "countedTwice": counted_twice,
    "fromIndependence": from_independence,
    "chain": chain,
    "splitLogarithm": split_logarithm,
    "twoWay": two_way,
    "nWay": n_way,
    "proofPenalty": proof_penalty,
    "proofPlace": proof_place,
    "proofChain": proof_chain,
    "proofTwoWays": proof_two_ways,
    "missing": missing,
    "bestScore": best_score,
    "inMutual": lambda _: formula(MUTUAL, block=False),
    "inBound": lambda _: formula(BOUND, block=False),
    "inLogN": lambda _: formula(LOG_N, block=False),
    "inLeftOpen": lambda _: formula(LEFT_OPEN, block=False),
    "inFinite": lambda _: formula(_of("I", X, o(";"), ALL_YS), block=False),
}
