"""What ranks find, and the words for it: real processes, and each wrong way to be wrong has its own word."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.homes import ROOT
from benchmarks.ranks import laws, measure, ours
from benchmarks.ranks.page import page_of

LOSSES = '''
import os
import time
from functools import partial

import torch
from torch import distributed as dist

from benchmarks.ranks.base import Variant, learned
from info_nce import SymmetricInfoNCE

LIBRARY = "info_nce"


def summed(place, factor=lambda place: 1.0):
    """A sum over all rows, divided by their number: exact on any ranks, but for the factor."""
    scale = learned()

    def loss(query, key):
        here = (query * key).sum() * scale.exp() / sum(place.sizes) * place.world_size
        whole = here.detach().clone()
        if dist.is_initialized():
            dist.all_reduce(whole)
        return (here + whole / place.world_size - here.detach()) * factor(place)

    return loss, [scale]


def alone(place):
    """A loss that knows nothing of ranks."""
    loss = SymmetricInfoNCE(learnable=True)
    return loss, list(loss.parameters())


def ends(place, how):
    if dist.is_initialized() and (how == "raise" or place.rank == 0):
        {"abort": os.abort, "hang": partial(time.sleep, 60), "raise": partial(int, "no number")}[how]()
    return summed(place)


def variants():
    made = {
        "exact": summed,
        "W": partial(summed, factor=lambda place: place.world_size),
        "1/W": partial(summed, factor=lambda place: 1 / place.world_size),
        "alone": alone,
        **{how: partial(ends, how=how) for how in ("abort", "hang", "raise")},
    }
    return [Variant(name, name, make) for name, make in made.items()]
'''
NAMES = ("exact", "W", "1/W", "alone", "abort", "hang", "raise")
RESULTS, PAGE = ROOT / "benchmarks/ranks.json", ROOT / "docs/peers-across-ranks.md"


def run_of(factor: float, rest: float = 0.0, ranks: int = 2, **changed: Any) -> list[dict[str, Any]]:
    rank = {"reference": 3.0, "value": 3.0, "encoder": [factor, rest], "scale": [1.0, 0.0], "ended": "well"}
    return [{**rank, **changed} for _ in range(ranks)]


def valued(*ratios: float) -> list[dict[str, Any]]:
    return [{"reference": 3.0, "value": 3.0 * ratio} for ratio in ratios]


@pytest.fixture
def losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "made_up.py").write_text(LOSSES, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "made_up"


@pytest.mark.parametrize(
    ("word", "factors"),
    [
        ("1", {2: 1.0, 3: 1.0, 4: 1.0}),
        ("1/W", {2: 1 / 2, 3: 1 / 3, 4: 1 / 4}),
        ("W", {2: 2.0, 3: 3.0, 4: 4.0}),
        ("0.50 to 2.00", {2: 2.0, 3: 1.0, 4: 0.5}),
        ("0.25 to 0.50", {2: 1 / 2, 3: 1 / 3, 4: 1 / 4 + 1e-6}),  # a law must hold for all W
        ("0.50", {2: 1 / 2, 3: 1 / 2, 4: 1 / 2}),  # 1/W at W = 2 alone
        ("1.00", {2: 1.0, 3: 1.0, 4: 1.0 + 1e-6}),  # not the 1 of a law
    ],
)
def test_a_factor_has_the_name_of_the_law_that_holds_for_all_world_sizes(word: str, factors: dict[int, float]) -> None:
    runs = [run_of(factor, ranks=ranks) for ranks, factor in factors.items()]
    assert laws.gradient(runs, "encoder") == word
    assert laws.gradient(runs, "scale") == "1"


@pytest.mark.parametrize("rest", [1e-6, 0.2, float("nan")])
def test_another_direction_is_not_taken_for_a_size(rest: float) -> None:
    assert laws.gradient([run_of(1.0), run_of(1.0, 1e-12)], "encoder") == "1"
    said = laws.gradient([run_of(1.0), run_of(1.0, rest)], "encoder")
    assert said.startswith("1.00, another direction")
    assert said not in laws.RIGHT


@pytest.mark.parametrize(
    ("word", "runs"),
    [
        ("global", [valued(1, 1), valued(1, 1, 1)]),
        ("W x global", [valued(2, 2), valued(3, 3, 3)]),
        ("1/W x global", [valued(1 / 2, 1 / 2), valued(1 / 3, 1 / 3, 1 / 3)]),
        ("local", [valued(0.9, 1.1), valued(0.9, 1.2, 0.9)]),
        ("W x local", [valued(1.9, 2.1), valued(2.9, 3.2, 2.9)]),
        ("another, mean 0.95 to 1.00 x global", [valued(0.9, 1.1), valued(0.9, 1.0, 0.95)]),
    ],
)
def test_a_value_is_global_if_each_is_and_local_if_the_mean_is(word: str, runs: list[laws.Run]) -> None:
    assert laws.value(runs) == word


def test_a_run_is_exact_only_if_value_and_both_gradients_are() -> None:
    assert laws.end(run_of(1.0)) == "exact"
    for wrong in (run_of(0.5), run_of(1.0, 0.1), run_of(1.0, scale=[2.0, 0.0]), run_of(1.0, value=3.1)):
        assert laws.end(wrong) == "wrong number"


def test_ends_are_told_apart() -> None:
    assert laws.end([{"ended": "RuntimeError: no"}, {"ended": "ValueError: no"}]) == "error on every rank"
    assert laws.end([{"ended": "RuntimeError: no"}, {"ended": "SIGABRT"}]) == "abort, error"
    assert laws.end([{"ended": "RuntimeError: Timed out waiting 10000ms"}, {"ended": "killed"}]) == "hang"
    assert (
        laws.end([{"value": 1.0, "ended": "RuntimeError: no"}, {"ended": "SIGSEGV"}]) == "SIGSEGV, a value, then error"
    )


def test_ranks_find_what_their_losses_compute(losses: str) -> None:
    found = {name: [measure.run(losses, NAMES.index(name), (2,) * ranks) for ranks in (2, 3)] for name in NAMES[:4]}
    said = {
        name: (laws.value(runs), laws.gradient(runs, "encoder"), laws.gradient(runs, "scale"))
        for name, runs in found.items()
    }
    assert said["exact"] == ("global", "1", "1")
    assert said["W"] == ("W x global", "W", "W")
    assert said["1/W"] == ("1/W x global", "1/W", "1/W")
    assert said["alone"][0].startswith("another")
    assert "another direction" in said["alone"][1]


def test_an_uneven_batch_is_exact_wrong_or_ends_otherwise(losses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {}
    for name in NAMES:
        monkeypatch.setattr(measure, "TIMEOUT_SECONDS", 1 if name == "hang" else 10)
        said[name] = laws.end(measure.run(losses, NAMES.index(name), (3, 2)))
    assert said == {
        "exact": "exact",
        "W": "wrong number",
        "1/W": "wrong number",
        "alone": "wrong number",
        "abort": "abort, error",
        "hang": "hang",
        "raise": "error on every rank",
    }


def test_a_library_without_the_names_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_LOSSES", {"Nowhere": ("InfoNCE",)})
    found = measure.measure(ours.__name__)
    assert found["variants"] == {}
    assert found["status"] == "not measured: module 'info_nce.engines' has no attribute 'Nowhere'"


def test_the_page_is_what_the_file_says() -> None:
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page_of(found)
    next(iter(found["systems"]["open_clip"]["variants"].values()))["runs"]["3+3"][0]["encoder"][0] *= 1.01
    assert PAGE.read_text(encoding="utf-8") != page_of(found)


def test_libraries_with_the_same_loss_have_the_same_value_on_one_process() -> None:
    values: dict[tuple[str, str], list[float]] = {}
    for system in json.loads(RESULTS.read_text(encoding="utf-8"))["systems"].values():
        for variant in system["variants"].values():
            for sizes, ranks in variant["runs"].items():
                values.setdefault((variant["loss"], sizes), []).extend(rank["reference"] for rank in ranks)
    assert {loss for loss, _ in values} >= {"SymmetricInfoNCE", "SigLIP", "NTXent", "InfoNCE", "DCL", "DCLW"}
    for found in values.values():
        assert found == pytest.approx([found[0]] * len(found), rel=1e-12)


def test_the_package_computes_on_ranks_what_it_computes_on_one() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| info-nce-kit | `")]
    assert lines
    assert [line for line in lines if "**" in line] == []
