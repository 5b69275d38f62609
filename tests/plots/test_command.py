"""`info-nce plot`: every figure that is listed is drawn, and every error says what to try."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch.testing import assert_close

from info_nce import cli
from info_nce.commands_plot import FIGURES
from info_nce.errors import RunError
from info_nce.plots import gaussian_bound, of_run
from info_nce.plots.of_run import ALONE, OF_METRICS, OF_MODEL, pairs
from info_nce.recipes import recipe_class
from tests.evaluation.fakes import labelled, run_on, unlabelled
from tests.pictures import folder_of
from tests.plots.layout import problems

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OF_RUN = (*OF_METRICS, *OF_MODEL)
TINY = ["--image-size", "16", "--steps", "4", "--batch-size", "8", "--width", "4", "--threads", "1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    pictures = folder_of(folder / "pictures", 40, classes=("a", "b"))
    assert cli.main(["train", "simclr", "--data", str(pictures), "--run", str(folder / "mine"), *TINY]) == 0
    return folder / "mine"


def test_what_is_listed_is_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(FIGURES) == sorted([*ALONE, *OF_RUN])
    assert cli.main(["plot", "--list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [words[0] for words in lines] == list(FIGURES)
    assert all(("RUN:" in words) == (words[0] in OF_RUN) for words in lines)


def test_a_figure_of_the_loss_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plot", "temperature", "--out", str(tmp_path / "new" / "x.pdf")]) == 0
    assert (tmp_path / "new" / "x.pdf").read_bytes().startswith(b"%PDF")
    assert "x.pdf" in "".join(capsys.readouterr().out.split())


def test_the_bound_is_drawn_of_real_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = gaussian_bound((4, 8), batches=2)
    monkeypatch.setattr(of_run, "gaussian_bound", lambda: measured)
    (bars,) = ALONE["information-bound"]().axes[0].containers
    assert [tuple(point) for point in bars[0].get_xydata()] == list(
        zip(measured.candidates, measured.values, strict=True)
    )


@pytest.mark.parametrize("name", OF_RUN)
def test_a_figure_of_a_run_is_drawn_and_can_be_read(
    name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Figure, Path]] = []
    monkeypatch.setattr("info_nce.plots.save", lambda *given: drawn.append(given))
    assert cli.main(["plot", name, str(run), "--out", str(tmp_path / "x.svg")]) == 0
    ((figure, file),) = drawn
    assert file == tmp_path / "x.svg"
    assert problems(figure)[1] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "which figure"),
        (["spectrun", "--out", "x.png"], "info-nce plot spectrum --out"),
        (["temperature"], "no --out"),
        (["temperature", "--out", "x.jpg"], ".png, .svg or .pdf"),
        (["temperature", "a-run", "--out", "x.png"], "not of a run"),
        (["spectrum", "--out", "x.png"], "is a figure of a run"),
        (["temperature", "--weights", "best", "--out", "x.png"], "without weights"),
        (["training", "a-run", "--weights", "best", "--out", "x.png"], "without weights"),
        (["spectrum", "nowhere", "--out", "x.png"], "nowhere is not a run folder"),
        (["training", "nowhere", "--out", "x.png"], "nowhere is not a run folder"),
    ],
)
def test_what_cannot_be_drawn_is_one_panel_and_no_file(
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plot", *words]) == 2
    said = " ".join(capsys.readouterr().err.replace("│", "").split())
    assert says in said
    assert all(part in said for part in ("got", "expected", "try"))
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_command_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name == "info_nce.plots" or name.startswith("info_nce.plots.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["plot", "temperature", "--out", "x.png"]) == 2
    assert "the extra 'plots'" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["plot", "--list"]) == 0


def test_pairs_are_two_views_of_held_out_items_and_always_the_same(tmp_path: Path) -> None:
    fake = run_on(labelled([30, 30]), tmp_path)
    before = torch.get_rng_state()
    query, key = pairs(fake, 6)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(query) == len(key) == 6
    assert_close(pairs(fake, 6), (query, key))
    part = fake.splits().test
    torch.manual_seed(0)
    chosen = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:6]
    with torch.no_grad():
        views = fake.model()(*fake.recipe.inputs(part, torch.device("cpu"))(chosen))
    assert_close((query, key), tuple(views))
    with pytest.raises(AssertionError):
        assert_close((key, query), tuple(views))


def test_pairs_that_only_the_loss_knows_are_refused(tmp_path: Path) -> None:
    fake = run_on(labelled([30, 30]), tmp_path)
    with pytest.raises(RunError, match="its loss makes them"):
        pairs(replace(fake, recipe=cast("Any", recipe_class("cpc"))()), 6)


@pytest.mark.parametrize("name", OF_MODEL)
def test_a_run_without_labels_has_figures_too(name: str, tmp_path: Path) -> None:
    assert problems(OF_MODEL[name](run_on(unlabelled(40), tmp_path)))[1] == []
