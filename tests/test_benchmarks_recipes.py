"""The table of all recipes, from made-up scorecards and from one real run."""

import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.recipes import THREADS, Measured, measured, page, remember, remembered, table
from info_nce.evaluation import Score, Scorecard
from info_nce.recipes.simclr import SimCLR


def run(value: float, seconds: float, seed: int = 0) -> Measured:
    scores = (
        Score("chance", "R@10", 0.033),
        Score("ridge", "R@10", 0.31, 0.02),
        Score("trained", "R@10", value, 0.02),
        Score("trained", "median rank", 20 + 10 * value, unit="rank"),
    )
    card = Scorecard("a", "simclr", "", {}, "R@10", scores)
    settings = asdict(SimCLR(seed=seed, threads=THREADS))
    return Measured("simclr", seed, seconds, "emoji", "2 cores of a machine", settings, card)


def test_the_table_has_the_mean_and_the_range_of_the_seeds() -> None:
    text = "\n".join(table([run(0.2, 60), run(0.3, 180), run(0.4, 100)]))
    assert "| **R@10** | 0.033 | 0.310 | **0.300 (0.200 to 0.400)** |" in text
    assert "| median rank |  |  | **23.0 (22.0 to 24.0)** |" in text


def test_the_page_begins_with_one_row_for_each_recipe() -> None:
    text = page({"simclr": [run(0.2, 60), run(0.4, 180, 1), run(0.3, 90, 2)]})
    assert "| simclr | emoji | 1.0 | R@10 | **0.300 (0.200 to 0.400)** | chance 0.033; ridge 0.310 |" in text
    assert "1.0 minutes of training; seeds 0, 1, 2." in text
    assert "2 threads on 2 cores of a machine." in text


def test_what_was_measured_is_remembered_until_a_default_changes(tmp_path: Path) -> None:
    file = tmp_path / "recipes.json"
    assert remembered(file) == []
    other = replace(run(0.9, 60, 1), settings=asdict(SimCLR(seed=1, threads=THREADS, steps=7)))
    remember([run(0.2, 60), other], file)
    (found,) = remembered(file)
    assert (found.seed, found.seconds, found.settings) == (0, 60, run(0.2, 60).settings)
    assert table([found]) == table([run(0.2, 60)])


def test_a_real_run_is_made_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[list[str]] = []
    real = subprocess.run

    def noted(command: list[str], *, check: bool) -> None:
        words.append(command)
        real([*command, "--data", "digits", "--steps", "2", "--width", "4", "--batch-size", "8"], check=check)

    monkeypatch.setattr(subprocess, "run", noted)
    with pytest.raises(SystemExit, match="other settings"):  # two steps are no default
        measured("simclr", 3, tmp_path)
    monkeypatch.setattr(Measured, "of_today", True)
    found = [measured("simclr", 3, tmp_path) for _ in range(2)]
    assert len(words) == 1
    assert words[0][3:] == ["train", "simclr", "--run", str(tmp_path / "simclr-3"), "--seed", "3", "--threads", "2"]
    assert found[0].data == "digits"
    assert found[0].card.measures() == found[1].card.measures() != []
