"""The trainer on several processes: the same steps as one, stopped together, and ended together."""

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from info_nce.engines import Auto
from info_nce.recipes.runs import load_run, read_config
from tests.distributed.spawn import run
from tests.pictures import folder_of
from tests.recipes import processes_work as work
from tests.recipes.small import CASES, small

ASKING = 2, 1  # at which step, which process


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return work.train(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("several")


@pytest.fixture(scope="module")
def two(folders: Path) -> dict[str, list[Any]]:
    tasks: dict[str, Any] = {
        "first": (work.first, ()),
        "first fails": (work.first_fails, ()),
        "whole": (work.train, (folders / "whole batch",)),
        "chunks": (work.train, (folders / "chunks", 2)),
        "apart": (work.refuse, (work.train, folders / "apart", 0, Auto())),
        "stopped": (work.stop, (folders / "stopped", *ASKING)),
        "random": (work.random_states, (folders / "stopped",)),
        "other fails": (work.fail, (folders / "other fails", 1)),
        "main fails": (work.fail, (folders / "main fails", 0)),
    }
    results = run(2, work.perform, tasks)
    return {name: [of_rank[name] for of_rank in results] for name in tasks}


@pytest.mark.parametrize("name", ["whole", "chunks"])
def test_two_processes_with_uneven_parts_learn_and_log_what_one_does(
    name: str, two: dict[str, list[Any]], alone: Any
) -> None:
    for found in two[name]:
        torch.testing.assert_close(found[0], alone[0], rtol=1e-9, atol=1e-11)
        assert len(found[1]) == 3
        for line, expected in zip(found[1], alone[1], strict=True):
            assert line == pytest.approx(expected, rel=1e-5)


def test_other_weights_would_be_noticed(two: dict[str, list[Any]], alone: Any) -> None:
    moved = {part: {n: (torch.tensor(w) + 1e-8).tolist() for n, w in of.items()} for part, of in alone[0].items()}
    with pytest.raises(AssertionError):
        torch.testing.assert_close(two["whole"][0][0], moved, rtol=1e-9, atol=1e-11)


def test_a_loss_of_each_process_alone_is_refused_by_all(two: dict[str, list[Any]]) -> None:
    assert all("do not train the same model at step 2" in said for said in two["apart"])
    assert two["apart"][0] == two["apart"][1]


def test_all_stop_at_the_step_at_which_one_is_asked_and_go_on_to_the_same_bits(two: dict[str, list[Any]]) -> None:
    for steps, again, whole in two["stopped"]:
        assert steps == [ASKING[0], work.STEPS]
        torch.testing.assert_close(again, whole, rtol=0, atol=0)
    torch.testing.assert_close(two["stopped"][0][1], two["stopped"][1][1], rtol=0, atol=0)


def test_a_checkpoint_holds_the_random_states_of_all(two: dict[str, list[Any]]) -> None:
    states = two["random"][0]
    assert len(states) == 2
    assert states[0] != states[1]


def test_what_the_main_process_makes_everybody_has(two: dict[str, list[Any]]) -> None:
    assert two["first"] == [(5, [0, 1])] * 2


def test_an_error_of_the_main_process_is_everybodys(two: dict[str, list[Any]]) -> None:
    main, other = two["first fails"]
    assert main == "no.\n  got       1\n  expected  2\n  try       3"
    assert other == f"process 0 of 2: {main}"


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_on_one_process_ends_both(two: dict[str, list[Any]], failing: int) -> None:
    found = two["other fails" if failing else "main fails"]
    assert found[failing] == ("ZeroDivisionError", "")
    kind, said = found[1 - failing]
    assert kind == "RunError"
    assert f"process {failing} of 2" in said
    assert "got       ZeroDivisionError" in said


@pytest.mark.slow
def test_three_processes_go_on_to_the_same_bits(tmp_path: Path) -> None:
    # three add up in an order that depends on where a number lies; two do not
    tasks = {
        "": (work.stop, (tmp_path / "one" / "run", *ASKING)),
        "unsettled": (work.stop_unsettled, (tmp_path / "two" / "run", *ASKING)),
    }
    for found in run(3, work.perform, tasks):
        _, again, whole = found[""]
        torch.testing.assert_close(again, whole, rtol=0, atol=0)
        _, again, whole = found["unsettled"]
        with pytest.raises(AssertionError):
            torch.testing.assert_close(again, whole, rtol=0, atol=0)


LAUNCH = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "--",
    "info_nce",
]
TINY = ["--image-size", "16", "--width", "4", "--batch-size", "9", "--chunk-size", "2"]  # 5 pictures and 4


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("pictures"), 40, classes=("a", "b"))


def start(*words: str, recipe: str = "simclr") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LAUNCH, "train", recipe, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_torchrun_trains_one_run_on_two_processes(tmp_path: Path, pictures: Path) -> None:
    run_folder = tmp_path / "run"
    process = start("--data", str(pictures), "--run", str(run_folder), "--steps", "3", *TINY)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert said.count("step 3 of 3") == said.count("Next:") == 1
    assert load_run(run_folder).finished
    assert read_config(run_folder).processes == 2
    assert [line["step"] for line in load_run(run_folder).metrics()] == [3]


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(set(CASES) - {"simclr"}))
def test_every_other_recipe_is_trained_by_two_processes_too(tmp_path: Path, case: str) -> None:
    run_folder, settings = tmp_path / "run", small(case, tmp_path)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    process = start("--run", str(run_folder), *words, recipe=case.split(maxsplit=1)[0])
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    run = load_run(run_folder)
    assert read_config(run_folder).processes == 2
    assert run.finished
    assert run.metrics()[-1]["step"] == settings["steps"]
    assert math.isfinite(run.metrics()[-1]["loss"])
    pairs = zip(run.untrained().parameters(), run.model().parameters(), strict=True)
    assert any(not torch.equal(before, after) for before, after in pairs)


@pytest.mark.slow
def test_an_error_under_torchrun_is_said_once_and_ends_both(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    process = start("--data", str(pictures), "--run", str(tmp_path), "--steps", "3", *TINY)
    said, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    lines = " ".join(errors.replace("│", " ").split())  # where the panel breaks depends on the folder's name
    assert lines.count("is in use") == 1
    assert "Traceback" not in errors.partition("torch.distributed.elastic")[0].partition("torch/distributed/elastic")[0]
    assert said == ""


@pytest.mark.slow
def test_ctrl_c_under_torchrun_stops_both_and_the_run_goes_on_to_the_same_bits(tmp_path: Path, pictures: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    settings = ["--data", str(pictures), "--steps", "40", "--checkpoint-seconds", "0", *TINY]
    process = start("--run", str(whole), *settings)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    process = start("--run", str(stopped), *settings)
    while process.poll() is None and not list((stopped / "checkpoints").glob("step-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=120)
    assert "Stopped; nothing is lost" in said, errors
    assert not load_run(stopped).finished
    copy = shutil.copytree(stopped, tmp_path / "copy")
    process = start("--resume", str(stopped))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    first, second = (load_run(folder).weights for folder in (whole, stopped))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert [line["loss"] for line in load_run(whole).metrics()] == [
        line["loss"] for line in load_run(stopped).metrics()
    ]
    with pytest.raises(AssertionError):
        torch.testing.assert_close(load_run(copy).weights, first, rtol=0, atol=0)
