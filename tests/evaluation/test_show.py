"""What a person reads in the terminal: the table at 80 characters, and the verdict in plain words."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from info_nce.evaluation import show
from info_nce.evaluation.pictures import evaluate_pictures
from info_nce.evaluation.results import ALL, FAR, LINEAR, RAW, Accuracy, Difference, Evaluation
from info_nce.evaluation.scorecard import UNTRAINED
from info_nce.evaluation.verdict import headline, points, verdict
from tests.evaluation.fakes import labelled, run_on, unlabelled


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate_pictures(run_on(labelled([30, 30, 30]), tmp_path_factory.mktemp("[bold]run")))


def shown(evaluation: Evaluation, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    show(evaluation.scorecard(verdict(evaluation)), console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_table_fits_into_80_characters_uncut(evaluation: Evaluation) -> None:
    score = evaluation.scores[0]
    wide = replace(score, all=Accuracy(1000, 1000), far=Accuracy(50, 100))
    text = shown(
        replace(evaluation, scores=tuple(replace(wide, features=s.features, probe=s.probe) for s in evaluation.scores))
    )
    assert text.count("100±0") + text.count("100.0±0.1") == 9
    assert text.count("50±5") == 9
    assert "most frequent" in " ".join(text.split())
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_names_with_brackets_are_text_and_no_style(evaluation: Evaluation) -> None:
    text = shown(replace(evaluation, run="[bold]run[/nonsense]", notes=("Mind [red]this[/bold].",)))
    assert "[bold]run[/nonsense]" in text
    assert "Mind [red]this[/bold]." in text


def test_a_part_without_pictures_is_not_shown(evaluation: Evaluation) -> None:
    none = tuple(replace(s, far=Accuracy(0, 0)) for s in evaluation.scores)
    text = shown(replace(evaluation, scores=none, counts={**evaluation.counts, FAR: 0}))
    assert "nan" not in text
    assert "neighbours, far" not in text
    assert text.count("neighbours, all") == 2


def test_without_labels_the_spread_is_told(tmp_path: Path) -> None:
    text = shown(evaluate_pictures(run_on(unlabelled(40), tmp_path)))
    assert "There are no labels" in text
    assert "uniformity of −" in text
    assert "nan" not in text


def with_gains(evaluation: Evaluation, raw: float, untrained: float) -> Evaluation:
    gains = {RAW: raw, UNTRAINED: untrained}
    return replace(
        evaluation,
        differences=tuple(
            Difference(baseline, LINEAR, part, gain, 0.01) for baseline, gain in gains.items() for part in (ALL, FAR)
        ),
    )


@pytest.mark.parametrize(
    ("raw", "untrained", "words"),
    [
        (0.1, 0.05, "Yes: the trained encoder is better than raw pixels and the same encoder before training."),
        (0.1, 0.015, "In part: the trained encoder is better than raw pixels, but no different from the same encoder"),
        (0.0, 0.0, "No: the trained encoder is no different from raw pixels and the same encoder before training."),
        (-0.1, 0.1, "In part: the trained encoder is better than the same encoder before training, but worse than raw"),
    ],
)
def test_the_headline_says_what_the_standard_error_allows(
    evaluation: Evaluation, raw: float, untrained: float, words: str
) -> None:
    assert headline(with_gains(evaluation, raw, untrained)).startswith(words)


def test_the_verdict_counts_a_loss_as_fewer(evaluation: Evaluation) -> None:
    text = verdict(with_gains(evaluation, -0.1, 0.05))
    assert "10.0 ± 1.0 points fewer than on raw pixels" in text
    assert "5.0 ± 1.0 points more than before training" in text


def test_a_difference_within_two_standard_errors_is_none() -> None:
    def word(gain: float, error: float) -> str:
        return Difference(RAW, LINEAR, ALL, gain, error).verdict

    assert [word(0.03, 0.01), word(0.02, 0.01), word(-0.03, 0.01), word(0.0, 0.0)] == [
        "better",
        "no different",
        "worse",
        "no different",
    ]


def test_points_have_a_sign_and_the_minus_of_mathematics() -> None:
    assert points(Difference(RAW, LINEAR, ALL, 0.123, 0.01)) == "+12.3 ± 1.0 points"
    assert points(Difference(RAW, LINEAR, ALL, -0.05, 0.01)) == "−5.0 ± 1.0 points"
