"""From what the classifiers said to how often they were right, and by how much one is better than another."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from info_nce.evaluation.results import ALL, FAR, RAW, Accuracy, Confusion, Difference, Score
from info_nce.evaluation.scorecard import UNTRAINED

_CONFUSIONS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one classifier says about the test pictures.

    Args:
        features: that it saw.
        probe: that it is.
        setting: what was chosen for it, in words.
        said: the class of each test picture, in its opinion.
    """

    features: str
    probe: str
    setting: str
    said: Int64[Tensor, " n"]


def accuracy(right: Bool[Tensor, " n"]) -> Accuracy:
    """Count what was named rightly."""
    return Accuracy(int(right.sum()), len(right))


def score(answers: Answers, labels: Int64[Tensor, " n"], far: Bool[Tensor, " n"], classes: int) -> Score:
    """How often is one classifier right: on all test pictures, on those far from training, and class by class?"""
    right = answers.said == labels
    by_class = tuple(accuracy(right[labels == label]) for label in range(classes))
    return Score(answers.features, answers.probe, answers.setting, accuracy(right), accuracy(right[far]), by_class)


def paired_difference(right: Bool[Tensor, " n"], baseline: Bool[Tensor, " n"]) -> tuple[float, float]:
    """How much more often is one classifier right than another, and how sure is that?

    Args:
        right: for each picture, whether the one named it rightly.
        baseline: the same for the other.

    Returns:
        The difference of the shares, from -1 to 1, and its standard error. Both saw the same pictures, so only those on
        which they disagree count. NaN of no pictures.

    Source:
        Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions": McNemar's
        variance (b + c - (b - c)^2 / n) / n^2, with 1/2 added to each of the four counts, so that it is never 0.

    Example:
        >>> gain, error = paired_difference(torch.tensor([True, True]), torch.tensor([True, False]))
        >>> gain, round(error, 3)
        (0.5, 0.331)
    """
    if len(right) == 0:
        return math.nan, math.nan
    n, gained, lost = len(right), int((right & ~baseline).sum()), int((~right & baseline).sum())
    variance = (gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2) ** 2
    return (gained - lost) / n, math.sqrt(variance)


def difference(
    trained: Answers, baseline: Answers, labels: Int64[Tensor, " n"], rows: Bool[Tensor, " n"], part: str
) -> Difference:
    """How much more often is the classifier right on trained features than on a baseline's?"""
    right, before = (answers.said[rows] == labels[rows] for answers in (trained, baseline))
    return Difference(baseline.features, baseline.probe, part, *paired_difference(right, before))


def differences(
    answers: Sequence[Answers], labels: Int64[Tensor, " n"], far: Bool[Tensor, " n"]
) -> tuple[Difference, ...]:
    """Compare the trained encoder with each baseline, classifier by classifier, on both parts that hold pictures."""
    by_key = {(a.features, a.probe): a for a in answers}
    parts = {ALL: torch.ones_like(far), FAR: far}
    return tuple(
        difference(trained, by_key[baseline, trained.probe], labels, rows, part)
        for trained in answers
        if trained.features not in {RAW, UNTRAINED}
        for baseline in (RAW, UNTRAINED)
        for part, rows in parts.items()
        if rows.any()
    )


def confusions(answers: Answers, labels: Int64[Tensor, " n"], names: Sequence[str]) -> tuple[Confusion, ...]:
    """Which class is most often taken for which other?"""
    pairs = zip(labels.tolist(), answers.said.tolist(), strict=True)
    wrong = Counter((true, said) for true, said in pairs if true != said)
    return tuple(Confusion(names[true], names[said], n) for (true, said), n in wrong.most_common(_CONFUSIONS))
