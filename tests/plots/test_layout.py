"""Every figure, as it is drawn: nothing overlaps, nothing is cut off, nothing is too small or too pale."""

import importlib
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.axis import Axis
from matplotlib.figure import Figure

import info_nce
from info_nce import plots
from info_nce.errors import MissingExtraError
from info_nce.evaluation.pictures import evaluate_pictures
from info_nce.evaluation.results import LINEAR
from info_nce.evaluation.scorecard import CHANCE, TRAINED, Score, Scorecard
from info_nce.plots.maps import labels_on_map, wide_map
from info_nce.plots.pairs import class_similarity
from info_nce.plots.scores import accuracies, by_class, shares
from info_nce.plots.thumbnails import map_of
from info_nce.plots.training import learning_rate, loss_curve, spread_curves
from tests.evaluation.fakes import labelled, logged, run_on, squares
from tests.plots.layout import problems

LONG = "a class with a name that goes on"


def embeddings(count: int = 60, width: int = 8) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


def metrics(count: int = 40) -> list[dict[str, float]]:
    return [
        line | {"temperature": 0.1, "validation_loss": line["loss"] + 0.1, "step": line["step"] * 1000}
        for line in logged(count)
    ]


def pictures(classes: int) -> dict[str, Any]:
    images, labels = squares([60 // classes] * classes)
    names = [f"{LONG} {i}" for i in range(classes)]
    return {"labels": labels, "names": names, "images": images}


def map_in_a_report() -> Figure:
    images, labels = squares([30, 30])
    places, kinds = np.random.default_rng(0).random((60, 2)), labels.numpy()
    words = labels_on_map(places, kinds, (LONG, "b"))
    return wide_map(places, map_of(images, places, kinds, labels=words), kinds, words)


def card() -> Scorecard:
    scores = (Score(CHANCE, "R@1", 0.01), Score("ridge", "R@5", 0.2, 0.02), Score(TRAINED, "R@1", 0.3, 0.02))
    return Scorecard("mine", "clip", "", {}, "R@1", scores)


FIGURES: dict[str, Callable[[], Figure]] = {
    "loss surface": lambda: plots.loss_surface(steps=9),
    "loss surface of many": lambda: plots.loss_surface(steps=2, negatives=5000, dimensions=2),
    "temperature": plots.temperature,
    "temperature of two": lambda: plots.temperature([-0.5, -1.0], low=1e-4, high=100),
    "temperature of many": lambda: plots.temperature([0.3, *np.linspace(-1, 1, 10).tolist()]),
    "similarity matrix": lambda: plots.similarity_matrix(embeddings(24), embeddings(24)),
    "similarity matrix of one": lambda: plots.similarity_matrix(embeddings(1), embeddings(1)),
    "similarity matrix of many": lambda: plots.similarity_matrix(embeddings(300), embeddings(400), temperature=0.07),
    "plane": lambda: plots.alignment_uniformity(metrics()),
    "plane of one": lambda: plots.alignment_uniformity([{"alignment": 1.25, "uniformity": -3.75}]),
    "spectrum": lambda: plots.spectrum(embeddings()),
    "spectrum of four": lambda: plots.spectrum({f"{LONG} {i}": embeddings(40, 4**i) for i in range(1, 5)}),
    "bound": lambda: plots.information_bound([2, 4, 4096], [0.6, 1.2, 5.5], errors=[0.1, 0.1, 0.2], information=6),
    "bound of one": lambda: plots.information_bound([65536], [11.0]),
    "projection": lambda: plots.projection(embeddings(), **pictures(3)),
    "projection of points": lambda: plots.projection(embeddings(), layout=plots.pca),
    "projection of one": lambda: plots.projection(embeddings(1)),
    "training": lambda: plots.training_curves(metrics()),
    "training of one step": lambda: plots.training_curves(metrics(1)),
    "training of your own": lambda: plots.training_curves([{"step": 1, "loss": 4.0}, {"step": 2, "loss": math.nan}]),
    "report: loss": lambda: loss_curve(metrics()),
    "report: alignment and uniformity": lambda: spread_curves(metrics()),
    "report: learning rate": lambda: learning_rate(metrics()),
    "report: matrix": lambda: class_similarity(
        np.random.default_rng(0).random((20, 20), np.float32), {LONG: 12, "b": 8}
    ),
    "report: map": map_in_a_report,
    "report: shares": lambda: shares(card()),
}
each_figure = pytest.mark.parametrize("name", FIGURES)


@cache
def figure_of(name: str) -> Figure:
    return FIGURES[name]()


@each_figure
def test_texts_are_apart_whole_large_and_dark_enough_and_axes_say_what_they_measure(name: str) -> None:
    figure = figure_of(name)
    shown, found = problems(figure)
    assert shown
    assert found == []
    # what is on the axes of these two, their titles in the report say
    for axis in [] if name in {"report: matrix", "report: shares"} else axes_of(figure):
        numbers = {text for tick in axis.get_major_ticks() for text in (tick.label1, tick.label2)} & set(shown)
        assert not numbers or axis.get_label_text()


def axes_of(figure: Figure) -> list[Axis]:
    return [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]


def test_so_are_those_of_the_scores(tmp_path: Path) -> None:
    evaluation = evaluate_pictures(run_on(labelled([20, 20], (LONG, "b")), tmp_path))
    assert problems(accuracies(evaluation))[1] == []
    assert problems(by_class(evaluation, LINEAR))[1] == []


@pytest.mark.parametrize("name", [name for name in FIGURES if not name.startswith("report")])
def test_a_title_says_in_a_sentence_what_is_seen(name: str) -> None:
    title = figure_of(name).get_suptitle()
    assert title.endswith(".")
    assert any(character.isdigit() for character in title)


def spoilt() -> Iterator[tuple[str, Figure]]:
    figure = Figure((3, 2))
    figure.text(0.5, 0.5, "one text")
    figure.text(0.52, 0.52, "and another")
    yield "overlaps", figure
    figure = Figure((3, 2))
    figure.text(0.9, 0.5, "a text that is too long")
    yield "cut off", figure
    figure = Figure((3, 2))
    figure.text(0.1, 0.5, "small", fontsize=7)
    yield "points", figure
    figure = Figure((3, 2))
    figure.text(0.1, 0.5, "pale", color="#999999")
    yield "pale", figure
    figure = Figure((3, 2))
    figure.text(0.1, 0.5, "crossed")
    figure.add_axes((0, 0.4, 1, 0.3), facecolor="#222222").set_axis_off()
    figure.axes[0].patch.set_visible(True)
    figure.add_artist(mpl.patches.Rectangle((0, 0.4), 1, 0.3, facecolor="#222222"))
    yield "pale", figure


@pytest.mark.parametrize(("complaint", "figure"), list(spoilt()))
def test_a_spoilt_figure_is_noticed(complaint: str, figure: Figure) -> None:
    assert any(complaint in found for found in problems(figure)[1])


@pytest.mark.parametrize("name", ["loss surface of many", "plane", "projection"])
def test_the_same_numbers_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    first, second = (plots.save(FIGURES[name](), tmp_path / f"{i}.svg").read_bytes() for i in range(2))
    assert first == second


def test_no_figure_changes_a_setting_of_matplotlib(tmp_path: Path) -> None:
    before = mpl.rcParams.copy()
    plots.save(plots.temperature([0.1, 0.2]), tmp_path / "x.svg")
    assert mpl.rcParams.copy() == before


def test_no_module_of_the_package_knows_pyplot() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(info_nce.__file__).parent.rglob("*.py")]
    assert sum("matplotlib" in source for source in sources) > 5
    assert not any(re.search("import.*pyplot|pyplot.*import|matplotlib.use", source) for source in sources)


@pytest.mark.slow
def test_a_figure_loads_neither_pyplot_nor_scikit_learn(tmp_path: Path) -> None:
    code = (
        "import sys; from info_nce import plots\n"
        "plots.save(plots.temperature(), sys.argv[1])\n"
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules, 'sklearn' in sys.modules)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "x.png")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False", "False"], done.stderr


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "info_nce.plots" or name.startswith("info_nce.plots.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="the extra 'plots'"):
        importlib.import_module("info_nce.plots")
