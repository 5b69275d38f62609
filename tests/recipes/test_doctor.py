"""`info-nce doctor`: what it reads of a run, what it names, and what it writes."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from info_nce import cli
from info_nce.recipes import recipe_class
from info_nce.recipes.doctor import ADVICE, Checkup, check_up, of_metrics
from info_nce.recipes.runs import Run, load_run
from info_nce.recipes.train import train
from tests.recipes.small import small


def trained(case: str, root: Path, **settings: Any) -> Path:
    run = root / "run"
    recipe = recipe_class(case.partition(" ")[0])
    assert train(recipe(**small(case, root) | settings), run, Console(quiet=True))
    return run


def line(step: int, **numbers: float) -> dict[str, float]:
    """Of a training that goes well."""
    usual = {"loss": 2.0, "log_candidates": 5.5, "alignment": 0.3, "uniformity": -3.0, "temperature": 0.1}
    return {"step": step, **usual, "saturated": 0.1, **numbers}


def named(*lines: dict[str, float]) -> list[str]:
    return [finding.name for finding in of_metrics(lines)]


def test_the_metrics_of_a_healthy_training_say_nothing() -> None:
    assert named() == []
    assert named(*(line(step) for step in range(10, 110, 10))) == []
    # that it began with guessing, in one point, is no fault
    assert named(line(1, loss=5.6, uniformity=0.0), *(line(step) for step in range(10, 110, 10))) == []


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ({"loss": 5.49}, "guessing"),
        ({"uniformity": -0.01}, "collapsed"),
        ({"saturated": 0.995}, "saturated"),
        ({"loss": math.nan}, "not finite"),
        ({"alignment": math.inf}, "not finite"),
    ],
)
def test_each_fault_of_the_metrics_is_named(numbers: dict[str, float], name: str) -> None:
    assert named(
        *(line(step) for step in range(10, 60, 10)), *(line(step, **numbers) for step in range(60, 110, 10))
    ) == [name]


def test_a_few_lines_do_not_say_that_a_loss_is_flat() -> None:
    assert named(line(10, loss=5.5), line(20, loss=5.5)) == []


def test_doctor_names_the_fault_of_a_run_writes_it_and_ends_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = trained("simclr", tmp_path, temperature=3.0), tmp_path / "found.json"
    random = torch.get_rng_state()
    assert cli.main(["doctor", str(run), "--json", str(file)]) == 0
    assert torch.get_rng_state().equal(random)
    said = " ".join(capsys.readouterr().out.split())
    assert "temperature too large" in said
    assert "a smaller --temperature" in said
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["recipe"] == "simclr"
    assert [of["name"] for of in written["findings"]].count("temperature too large") == 1
    assert written["batch"]["queries"] == 14  # two views of seven pictures
    assert cli.main(["doctor", str(run), "--json", str(file)]) == 0  # it may replace what it wrote
    (tmp_path / "other").mkdir()
    assert cli.main(["doctor", str(tmp_path / "other")]) == 2


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "encoder.safetensors", "checkpoints"])
def test_a_report_replaces_nothing_else(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained("simclr", tmp_path)
    file = run / name
    before = file.is_dir() or file.read_bytes()
    assert cli.main(["doctor", str(run), "--json", str(file)]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert (file.is_dir() or file.read_bytes()) == before


@pytest.mark.parametrize(
    "line", ['{"step": 10, "lo', '{"step": 10, "loss": null}', '{"step": "10"}', "[1, 2]", "3", "null", '{"loss": 1.0}']
)
def test_metrics_that_no_training_wrote_are_named(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("simclr", tmp_path)
    file = run / "metrics.jsonl"
    file.write_text(f"{file.read_text()}{line}\n")
    for words in (["doctor", str(run)], ["plot", "training", str(run), "--out", str(tmp_path / "it.png")]):
        assert cli.main(words) == 2
        assert "is not what training writes" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["runs", str(tmp_path)]) == 0  # the others are listed all the same
    assert str(run.name) in "".join(capsys.readouterr().out.split())


def test_without_metrics_that_is_said(tmp_path: Path) -> None:
    run = trained("simclr", tmp_path)
    (run / "metrics.jsonl").unlink()
    assert any("no metrics" in note for note in check_up(load_run(run)).notes)


def test_the_loss_of_a_run_comes_with_its_queue(tmp_path: Path) -> None:
    run = load_run(trained("moco", tmp_path))
    loss = run.loss()
    assert loss.queue.filled == 20  # type: ignore[union-attr]  # a KeyQueue
    found = check_up(run)
    assert set(found.diagnosis.batch.rows.candidates.tolist()) == {21.0}
    assert found.recipe == "moco"


def test_without_items_held_out_those_of_training_are_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(trained("simclr", tmp_path))
    train_part = run.splits().train
    monkeypatch.setattr(Run, "splits", lambda _: SimpleNamespace(validation=[], train=train_part))
    found = check_up(run)
    assert found.diagnosis.batch.queries == 14
    assert any("those of training" in note for note in found.notes)


class Fake(nn.Module):
    """A model that gives views of random items: with this much noise, and beside a point in eval mode."""

    def __init__(self, noise: float, point: float = 0.0) -> None:
        super().__init__()
        self.noise, self.point = noise, point

    def forward(self, *_: Tensor) -> tuple[Tensor, Tensor]:
        """As if the inputs were others at each call."""
        items = torch.randn(64, 32)
        beside = 0.0 if self.training else self.point
        return items + beside, items + self.noise * torch.randn(64, 32) + beside


def found_of(model: nn.Module, loss: float, run: Path, monkeypatch: pytest.MonkeyPatch) -> Checkup:
    monkeypatch.setattr(Run, "model", lambda _: model)
    monkeypatch.setattr(Run, "metrics", lambda _: [line(step, loss=loss) for step in range(10, 110, 10)])
    return check_up(load_run(run))


def test_a_collapse_in_eval_mode_alone_is_one_of_batch_norm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After few steps, running statistics are far behind: embeddings are one point with them, and train well."""
    run = trained("simclr", tmp_path)
    found = found_of(Fake(1.0, point=100.0), 2.0, run, monkeypatch)
    assert [(of.name, of.severity) for of in found.findings] == [("batch norm lags", "warning")]
    assert "collapsed" in found.findings[0].what
    assert any("training mode" in note for note in found.notes)
    assert found.diagnosis.batch.positive_similarity < 0.9
    healthy = found_of(Fake(1.0), 2.0, run, monkeypatch)
    assert (healthy.findings, healthy.notes) == ((), ())
    collapsed = Fake(1.0, point=100.0)
    monkeypatch.setattr(collapsed, "train", lambda _: collapsed.eval())
    monkeypatch.setattr(collapsed, "eval", lambda: nn.Module.train(collapsed, mode=False))
    assert [of.name for of in found_of(collapsed, 2.0, run, monkeypatch).findings] == ["collapsed"]


def test_held_out_items_that_are_guessed_are_no_guessing_if_training_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained("simclr", tmp_path)
    found = found_of(Fake(100.0), 2.0, run, monkeypatch)
    assert [of.name for of in found.findings] == ["overfitting"]
    assert "36%" in found.findings[0].what  # 2.0 of 5.5 nats
    assert [of.name for of in found_of(Fake(100.0), 5.45, run, monkeypatch).findings] == ["guessing"]


def test_advice_is_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained("simclr", tmp_path)
    (found,) = found_of(Fake(0.0), 2.0, run, monkeypatch).findings
    assert (found.name, found.advice) == ("views alike", ADVICE["views alike"])


@pytest.mark.slow  # a training each
@pytest.mark.parametrize("case", ["clip", "text", "cpc", "wav2vec2", "videomoco"])
def test_every_recipe_can_be_examined(case: str, tmp_path: Path) -> None:
    found = check_up(load_run(trained(case, tmp_path)))
    assert found.diagnosis.batch.queries > 0
    assert math.isfinite(found.diagnosis.batch.loss)
    assert any("compares sequences" in note for note in found.notes) is (case in {"cpc", "wav2vec2"})
    assert any("2 losses" in note for note in found.notes) is (case == "videomoco")
    json.dumps(found.as_json(), allow_nan=False)
