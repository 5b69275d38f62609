"""The benchmark itself, at sizes where nothing it measures means anything: real processes, and no time is asserted."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from benchmarks import cases, harness, plan
from benchmarks.__main__ import main, measure
from benchmarks.agreement import disagreements
from benchmarks.cases import Case, Entry
from benchmarks.floor import floor_of
from benchmarks.goals import Goal, Term, figure_of
from benchmarks.guard import too_large
from benchmarks.harness import Harness
from benchmarks.homes import HOMES, MISSING
from benchmarks.page import page_of
from benchmarks.problems import LOSSES, PLAIN, Problem
from benchmarks.processes import Processes
from benchmarks.render import render
from benchmarks.results import Results
from benchmarks.systems import SYSTEMS, System
from benchmarks.systems.base import square
from benchmarks.verdict import verdict

ROWS, WIDTH, ROUNDS = 64, 16, 2
TINY = Problem("InfoNCE", ROWS, WIDTH)
TOO_MUCH = "would need 12.4 TB"
WRONG = """
from functools import partial
from benchmarks.systems import dense

SYSTEM = dense.SYSTEM

def losses():
    return {"InfoNCE": lambda temperature: dense.losses()["InfoNCE"](temperature * 1.001)}
"""


def grid() -> list[Case]:
    """A case of each table; two figures cannot be had: one is not installed, one is too large."""
    huge = replace(TINY, rows=10**6)
    return [
        cases.timed("time", TINY, ("ours", "dense", "info-nce-pytorch"), rounds=ROUNDS),
        cases.timed("small", TINY, ("ours", "dense", "stored"), rounds=ROUNDS),
        cases.timed("forward", TINY, ("ours", "dense"), backward=False, rounds=ROUNDS),
        cases.others(ROWS, WIDTH, peers=False, rounds=ROUNDS),
        cases.growth("InfoNCE", (ROWS, 2 * ROWS), WIDTH, rounds=ROUNDS),
        Case("memory", "of one", (Entry("ours", TINY, "memory"), Entry("dense", huge, "memory"))),
        cases.precision("InfoNCE", ("ours", "dense")),
        cases.environment("dense", ROWS, WIDTH),
    ]


def run(chosen: list[Case], results: Results, systems: dict[str, System], peers: Path) -> list[str]:
    seconds = dict.fromkeys((case.key for case in chosen), 0.0)
    with Processes(peers, threads=1) as processes:
        return measure(chosen, Harness(processes, results, systems), results, Console(file=io.StringIO()), seconds)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    """Every kind of figure, and a system that computes something else."""
    (folder / "wrong").mkdir()
    (folder / "wrong" / "wrong_system.py").write_text(WRONG, encoding="utf-8")
    home = replace(HOMES["same-torch"], name="wrong")
    (folder / "wrong" / "complete").touch()
    wrong = System("wrong", "a wrong one", "wrong_system", {"InfoNCE": square(4)}, home=home)
    found = Results.begin(folder / "found.json", ["test"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases, "_PRECISION_ROWS", ROWS)
        patch.setattr(harness, "_SAMPLE_SECONDS", 0.0)
        entries = (Entry("ours", TINY, "floor"), Entry("dense", TINY), Entry("wrong", TINY))
        chosen = [*grid(), Case("time", "a wrong one", entries, rounds=ROUNDS)]
        assert run(chosen, found, {**SYSTEMS, "wrong": wrong}, folder) == []
    return Results.load(found.path)


def figures(results: Results, table: str) -> list[dict[str, object]]:
    return [entry for case in results.of_table(table) for entry in case["entries"].values()]


def test_a_file_says_machine_code_command_and_versions(results: Results) -> None:
    assert {"schema", "machine", "code", "commit", "command", "date", "load", "finished"} == set(results.head)
    assert {"cpu", "cores", "memory_bytes", "system"} == set(results.head["machine"])
    assert results.systems["ours"]["torch"] == torch.__version__
    assert results.systems["ours"]["threads"] == 1
    assert results.systems["info-nce-pytorch"]["status"] == MISSING
    assert {case["table"] for case in results.cases.values()} == {c.table for c in grid()}


def test_every_figure_is_there_or_says_why_not(results: Results) -> None:
    fields = {"loss": ["seconds"], "floor": ["seconds"], "memory": ["bytes", "peak_bytes", "seconds", "value"]}
    fields["precision"] = ["error", "rounding"]
    reasons = []
    for case in results.cases.values():
        for entry in case["entries"].values():
            if "reason" in entry:
                reasons.append(entry["reason"])
            else:
                assert all(field in entry for field in fields[entry["what"]]), entry
    assert sorted(reasons) == [MISSING, TOO_MUCH]


def test_timed_systems_have_a_time_in_each_round(results: Results) -> None:
    for entry in figures(results, "time"):
        if "reason" not in entry:
            assert isinstance(entry["seconds"], list)
            assert len(entry["seconds"]) == ROUNDS
            assert all(seconds > 0 for seconds in entry["seconds"])


def test_a_system_that_computes_another_number_is_named(results: Results) -> None:
    found = disagreements(results.cases)
    assert len(found) == 1
    assert "wrong computes" in found[0]
    assert f"**Not the same number:** {found[0]}" in page_of(results)


def test_a_gradient_that_differs_is_named_though_the_value_does_not(results: Results) -> None:
    case = json.loads(json.dumps(results.cases[grid()[1].key]))
    assert disagreements({"": case}) == []
    next(e for e in case["entries"].values() if e["system"] == "ours" and e["what"] == "loss")["gradients"][0] *= 1.01
    assert len(disagreements({"": case})) == 1


def test_what_a_file_has_is_not_measured_again(results: Results, folder: Path) -> None:
    old, new = grid()[0], Case("time", "new", (Entry("dense", TINY),), rounds=ROUNDS)
    Results(folder / "part.json", results.head, results.systems, {old.key: results.cases[old.key]}).save()
    resumed = Results.resume(folder / "part.json", ["test"])
    assert run([old, new], resumed, SYSTEMS, folder) == []
    assert list(resumed.cases) == [old.key, new.key]
    assert Results.load(resumed.path).cases[old.key] == results.cases[old.key]


def test_a_file_of_other_code_is_measured_anew(
    results: Results, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Results(folder / "old.json", {**results.head, "code": "other"}, results.systems, results.cases)
    old.save()
    assert Results.resume(old.path, []).cases == {}
    assert "another code" in capsys.readouterr().err
    old.path.write_text("{}", encoding="utf-8")
    assert Results.resume(old.path, []).cases == {}


def test_what_does_not_fit_into_the_budget_is_left(folder: Path) -> None:
    chosen, found = grid()[:2], Results.begin(folder / "none.json", [])
    with Processes(folder) as processes:
        seconds = {case.key: 61.0 for case in chosen}
        left = measure(chosen, Harness(processes, found), found, Console(file=io.StringIO()), seconds, minutes=1)
    assert left == [case.key for case in chosen]
    assert found.cases == {}


def test_a_page_has_every_section_and_picture(results: Results, tmp_path: Path) -> None:
    written = render(results, tmp_path / "page.md")
    assert [path.name for path in written] == ["page.md", "bench-time.png", "bench-memory.png", "bench-others.png"]
    text = written[0].read_text(encoding="utf-8")
    for path in written[1:]:
        assert path.stat().st_size > 5000
        assert f"(images/{path.name})" in text
    for title in ("Goals", "Forward and backward", "Small batches", "Growth", "Memory", "Precision", "Systems"):
        assert f"# {title}\n" in text
    assert TOO_MUCH in text
    assert MISSING in text
    met, of = verdict(results)
    assert f"{met} of {of} measured goals are met" in text


def test_a_ratio_is_taken_within_rounds() -> None:
    slower = {"a": {"seconds": [1.0, 10.0, 2.0]}, "b": {"seconds": [2.0, 20.0, 4.0]}, "c": {}}
    found = figure_of(slower, Term("b"), Term("a"))
    assert found is not None
    assert (found.low, found.middle, found.high) == (2.0, 2.0, 2.0)
    assert figure_of(slower, Term("c"), Term("a")) is None
    assert Goal("", Term("b"), Term("a"), at_most=2.0).met(found)
    assert not Goal("", Term("b"), Term("a"), at_least=2.1).met(found)


def test_the_floor_does_as_many_products_as_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, width, flops = 2048, 4, []
    product = torch.mm

    def counted(one: torch.Tensor, other: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        flops.append(2 * one.shape[0] * one.shape[1] * other.shape[1])
        return product(one, other, out=out)

    for loss in LOSSES:
        for backward in (True, False):
            problem = Problem(loss, rows, width)
            step = floor_of(problem, backward=backward)
            flops.clear()
            with monkeypatch.context() as patch:
                patch.setattr(torch, "mm", counted)
                step()
            done = sum(flops) / (2 * rows * rows * width)
            # chunks on the diagonal of a symmetric matrix are whole
            assert problem.products(backward=backward) <= done <= problem.products(backward=backward) * 1.51


def test_both_grids_name_each_case_once_and_fit_their_budgets() -> None:
    memory = 24 * 2**30
    for chosen, minutes in ((cases.short(), 4), (cases.full(), 40)):
        assert len({case.key for case in chosen}) == len(chosen)
        assert sum(plan.seconds_of(case, (), memory) for case in chosen) < minutes * 60
        for case in chosen:
            keys = {entry.key for entry in case.entries}
            assert len(keys) == len(case.entries)
            for goal in case.goals:
                assert {goal.of.key, *([goal.per.key] if goal.per else [])} <= keys


def test_every_loss_of_every_grid_is_computed_somewhere() -> None:
    timed = {entry.problem.loss for case in cases.full() for entry in case.entries if entry.what == "loss"}
    assert timed == set(LOSSES)
    assert set(PLAIN) <= set(SYSTEMS["dense"].needs)


def test_the_guard_refuses_what_the_machine_cannot_hold() -> None:
    entry = Entry("dense", Problem("InfoNCE", 65_536, 128))
    assert too_large(entry, SYSTEMS["dense"], 24 * 10**9) == "would need 53.4 GB"
    assert too_large(entry, SYSTEMS["dense"], 10**12) == ""
    assert too_large(replace(entry, what="floor"), SYSTEMS["dense"], 10**9) == ""


def test_showing_the_plan_measures_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(show=True, out=tmp_path / "no.json", only=("growth",)) == 0
    assert not (tmp_path / "no.json").exists()
    assert "minutes in all" in capsys.readouterr().err
