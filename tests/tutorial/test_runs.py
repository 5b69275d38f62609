"""The recorded trainings: what is kept is what the library's own recipe does, and what the figures show of it."""

import json
from importlib.metadata import version
from statistics import mean
from typing import Any

import pytest

from tests.tutorial.conftest import Open, value
from tutorial.build import HERE
from tutorial.engine import Engine
from tutorial.record import runs

KEPT = json.loads((HERE / "data" / "runs.json").read_text(encoding="utf-8"))
KEYS = [str(temperature) for temperature in runs.TEMPERATURES]


class EnoughError(Exception):
    """A test has seen enough of a training."""


@pytest.mark.skipif(version("kornia").startswith("0.8."), reason="kornia draws other views before 0.9")
@pytest.mark.parametrize(("key", "only_align"), [("0.2", False), ("alignment", True)])
def test_the_first_steps_are_those_of_the_library_today(
    monkeypatch: pytest.MonkeyPatch, key: str, only_align: bool
) -> None:
    seen: list[runs.Looks] = []
    take = runs.Looks.take

    def until_20(looks: runs.Looks, step: int, model: runs.Watched) -> None:
        take(looks, step, model)
        if step == 20:
            seen.append(looks)
            raise EnoughError

    monkeypatch.setattr(runs.Looks, "take", until_20)
    with pytest.raises(EnoughError):
        runs.record(0.5 if only_align else float(key), 0, only_align=only_align)
    kept = KEPT["runs"][key][0]
    # Other processors round otherwise; one digit of 359 more or less is named rightly.
    assert seen[0].found["knn"] == pytest.approx(kept["knn"][:3], abs=0.03)
    assert seen[0].found["uniformity"] == pytest.approx(kept["uniformity"][:3], abs=0.01)


def test_everything_is_there() -> None:
    assert tuple(KEPT["steps"]) == runs.STEPS
    assert list(KEPT["runs"]) == [*KEYS, "alignment"]
    assert len(KEPT["labels"]) == 10 * runs.DRAWN_PER_CLASS
    for recorded in KEPT["runs"].values():
        assert len(recorded) == KEPT["seeds"] == 3
        assert all(len(run["knn"]) == len(run["uniformity"]) == len(runs.STEPS) for run in recorded)
        assert len(recorded[0]["places"]) == len(runs.STEPS)
        for places in recorded[0]["places"]:
            assert len(places) == 2 * len(KEPT["labels"])
            # A shadow of unit vectors; each number is rounded.
            assert all(x**2 + y**2 <= (runs.GRID + 1) ** 2 for x, y in zip(places[::2], places[1::2], strict=True))


@pytest.mark.parametrize("at", [0, 7, len(runs.STEPS) - 1])
def test_the_figure_shows_the_mean_of_the_seeds(engine: Engine, at: int) -> None:
    found = engine.evaluate(f"FIGURES.runs.derive({{ step: {runs.STEPS[at]}, digit: 3 }})")
    for key, shown in zip(KEYS, found["all"], strict=True):
        votes = [run["knn"][at] for run in KEPT["runs"][key]]
        assert shown["right"] == pytest.approx(mean(votes), abs=1e-12)
        assert (shown["least"], shown["most"]) == (min(votes), max(votes))


def test_what_the_text_says_is_what_was_found() -> None:
    end = {key: mean(run["knn"][-1] for run in recorded) for key, recorded in KEPT["runs"].items()}
    begin = mean(run["knn"][0] for run in KEPT["runs"]["0.2"])
    spread = {key: mean(run["uniformity"][-1] for run in recorded) for key, recorded in KEPT["runs"].items()}
    assert min(end["0.02"], end["0.07"], end["0.2"]) >= 2 / 3
    assert end["0.5"] < KEPT["raw_knn"] < 2 / 3
    assert max(end["1.0"], end["5.0"], end["alignment"]) <= begin + 0.01
    assert min(spread, key=lambda key: spread[key]) == "0.2"
    assert spread["0.02"] > -1 > spread["5.0"]
    assert abs(spread["alignment"]) < 0.001
    early = {key: KEPT["runs"][key][0]["uniformity"][runs.STEPS.index(200)] for key in KEYS}
    assert min(early, key=lambda key: early[key]) in {"0.2", "0.5", "1.0"}


def drawn(page: Any) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('#fig-runs .shadow')].map((svg) => svg.innerHTML)")
    return found


def test_readers_scrub_play_and_go_back(open_page: Open) -> None:
    page = open_page()
    last = drawn(page)
    page.fill('#fig-runs input[type=number][data-set="step"]', "0")
    page.keyboard.press("Tab")
    assert drawn(page) != last
    assert value(page, "runs.all.2.right") == pytest.approx(mean(run["knn"][0] for run in KEPT["runs"]["0.2"]))
    assert "done" in (page.get_attribute('#fig-runs [data-task="back"]', "class") or "")
    page.click('#fig-runs [data-do="step"]')
    assert page.input_value('#fig-runs input[type=number][data-set="step"]') == str(runs.STEPS[1])
    page.click('#fig-runs [data-do="reset"]')
    assert drawn(page) == last
    page.click('#fig-runs [data-do="play"]')  # at the end it begins anew
    page.wait_for_function("document.querySelector('#fig-runs input[type=number]').value === '20'")
    page.click('#fig-runs [data-do="play"]')
    at = page.input_value('#fig-runs input[type=number][data-set="step"]')
    page.wait_for_timeout(800)
    assert page.input_value('#fig-runs input[type=number][data-set="step"]') == at
