"""What the numbers of an evaluation mean, in plain words."""

from info_nce.evaluation.results import ALL, FAR, LINEAR, RAW, Difference, Evaluation
from info_nce.evaluation.scorecard import TRAINED, UNTRAINED

NAMES = {RAW: "raw pixels", UNTRAINED: "the same encoder before training"}


def percent(share: float, digits: int = 1) -> str:
    """Write a share for people: 0.924 is "92.4 %"."""
    return f"{100 * share:.{digits}f} %"


def points(difference: Difference) -> str:
    """Write a difference of shares with its standard error, in percentage points: "+14.2 ± 0.9 points"."""
    return f"{100 * difference.gain:+.1f} ± {100 * difference.standard_error:.1f} points".replace("-", "−")


def headline(evaluation: Evaluation) -> str:
    """Is the trained encoder worth more than its baselines? One sentence, the answer first."""
    if not evaluation.scores:
        return "There are no labels, so nobody can say how well the encoder tells things apart."
    part = evaluation.main_part
    better, same, worse = (
        [NAMES[b] for b in (RAW, UNTRAINED) if evaluation.difference(b, LINEAR, part).verdict == verdict]
        for verdict in ("better", "no different", "worse")
    )
    clauses = [
        f"{word} {' and '.join(names)}"
        for word, names in (("better than", better), ("no different from", same), ("worse than", worse))
        if names
    ]
    answer = "Yes" if len(better) == 2 else "In part" if better else "No"
    return f"{answer}: the trained encoder is {', but '.join(clauses)}."


def verdict(evaluation: Evaluation) -> str:
    """What was found, in a paragraph of plain words with its numbers and how sure they are."""
    if not evaluation.scores:
        found = evaluation.geometry
        return (
            f"{headline(evaluation)} Its embeddings use about {found.effective_rank:.0f} of {found.dimensions} "
            f"directions, with a uniformity of {found.uniformity:.2f} (0 = all in one point, near −4 = evenly spread)."
        ).replace(" -", " −")
    sentences = [headline(evaluation), _part(evaluation, ALL)]
    if evaluation.main_part == FAR:
        sentences.append(_part(evaluation, FAR))
    sentences.append("± is one standard error of the test pictures; another training seed moves the numbers too.")
    return " ".join(sentences)


def _part(evaluation: Evaluation, part: str) -> str:
    trained = getattr(evaluation.score(TRAINED, LINEAR), part)
    raw, untrained = (_gain(evaluation.difference(baseline, LINEAR, part)) for baseline in (RAW, UNTRAINED))
    where = {
        ALL: f"Of {trained.total:,} test pictures that it never saw, a linear classifier on its features names",
        FAR: f"Of the {trained.total:,} without a look-alike in training, where memory does not help, it names",
    }[part]
    chance = f" (guessing: {percent(evaluation.chance, 0)})" if part == ALL else ""
    gains = f"{raw} than on raw pixels and {untrained} than before training"
    return f"{where} {percent(trained.share)} rightly{chance}, {gains}."


def _gain(difference: Difference) -> str:
    size = f"{100 * abs(difference.gain):.1f} ± {100 * difference.standard_error:.1f} points"
    return f"{size} {'more' if difference.gain >= 0 else 'fewer'}"
