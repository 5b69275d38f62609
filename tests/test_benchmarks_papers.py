"""Published results: what is kept and told of them, and that the quick ones come out again."""

# N items, K candidates, D features

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from benchmarks.papers import STUDIES, decoupled, digits, information, simplex
from benchmarks.papers.__main__ import complete, main
from benchmarks.papers.gradients import pushes, shares
from benchmarks.papers.kept import RESULTS, begun, kept, plain
from benchmarks.papers.page import PAGE, page_of, picture_name
from benchmarks.papers.study import Claim, Part, Run, Spread, Study, over_seeds, rising
from info_nce.functional import dcl, nt_xent
from info_nce.objectives import Decoupled, Softmax
from tests.strategies import normal
from tests.test_closed_forms import GAUSSIANS

ROOT = Path(__file__).parents[1]
every_study = pytest.mark.parametrize("study", STUDIES, ids=[study.name for study in STUDIES])


def found() -> dict[str, dict[str, Any]]:
    return kept(ROOT / RESULTS)


# ---- the page and the file


def test_the_page_is_what_the_file_says() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert page_of(found(), STUDIES) == text
    other = found()
    run = other["simplex"]["runs"][0]
    rows = [{**row, "excess": 1e-9} for row in run.rows]
    other["simplex"]["runs"][0] = replace(run, rows=rows)
    assert page_of(other, STUDIES) != text


@every_study
def test_the_file_has_every_study_with_its_settings_and_seeds_of_today(study: Study[Any]) -> None:
    one = found()[study.name]
    assert one["settings"] == plain(study.settings) != plain(study.tiny)
    assert [run.seed for run in one["runs"]] == list(study.seeds)
    assert len(study.seeds) >= 3
    assert {"command", "commit", "date", "machine", "versions"} <= set(one)


@every_study
def test_each_study_has_its_picture_on_the_page(study: Study[Any]) -> None:
    picture = (ROOT / PAGE).parent / "images" / picture_name(study)
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert f"![{study.shown}](images/{picture.name})" in (ROOT / PAGE).read_text(encoding="utf-8")


@every_study
def test_no_claim_is_reproduced_where_every_number_is_the_same(study: Study[Any]) -> None:
    settings_of_rows = {"information", "candidates", "classes", "temperature", "at", "trained at", "batch", "look"}
    settings_of_rows |= {"queue", "negatives", "steps"}

    def flat(row: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v if k in settings_of_rows or isinstance(v, str) else 0.5 for k, v in row.items()}

    runs = [replace(run, rows=[flat(row) for row in run.rows]) for run in found()[study.name]["runs"]]
    claims = study.claims(study.settings, runs)
    assert claims
    assert [claim.says for claim in claims if claim.verdict == "reproduced"] == []


def test_every_study_runs_at_a_tiny_size_and_is_told(tmp_path: Path) -> None:
    out, page = tmp_path / "papers.json", tmp_path / "docs/papers.md"
    threads = torch.get_num_threads()
    try:
        assert main(tiny=True, out=out, page=page) == 0
    finally:
        torch.set_num_threads(threads)
    text = page.read_text(encoding="utf-8")
    for study in STUDIES:
        assert f"## {study.title}" in text
        assert (page.parent / "images" / picture_name(study)).exists()
    assert "nan" not in text


def test_a_study_that_does_not_exist_is_named() -> None:
    with pytest.raises(SystemExit, match="There is no study made-up; information, simplex"):
        main(("made-up",))


def test_a_seed_is_run_once_until_a_setting_changes(tmp_path: Path) -> None:
    file, seeds = tmp_path / "papers.json", list[int]()

    def noted(settings: simplex.Settings, seed: int) -> Any:
        seeds.append(seed)
        yield {"items": settings.items}

    study = replace(simplex.STUDY, run=noted, seeds=(0, 1))
    complete(replace(study, seeds=(0,)), file, fresh=False)
    complete(study, file, fresh=False)
    assert seeds == [0, 1]
    assert [run.seed for run in begun(study, file)] == [0, 1]
    complete(study, file, fresh=True)
    assert seeds == [0, 1, 0, 1]
    changed = replace(study, settings=simplex.Settings(items=7))
    assert begun(changed, file) == []
    complete(changed, file, fresh=False)
    assert seeds == [0, 1, 0, 1, 0, 1]


# ---- numbers that come out again


def test_the_simplex_comes_out_again() -> None:
    rows = list(simplex.run(simplex.STUDY.settings, seed=0))
    before = found()["simplex"]["runs"][0]
    for row in rows:
        assert row["least"] == pytest.approx(before.of("least", loss=row["loss"]), rel=0, abs=1e-12)


def test_the_estimates_come_out_again() -> None:
    few = replace(information.STUDY.settings, informations=(4.0,), grown=(), classes=(10,), label_candidates=(64,))
    gaussian, labels = information.run(few, seed=0)
    before = found()["information"]["runs"][0]
    estimate = before.of("estimate", information=4.0, candidates=few.candidates)
    assert gaussian["estimate"] == pytest.approx(estimate, rel=0, abs=1e-9)
    assert labels["label loss"] == pytest.approx(before.of("label loss", classes=10, candidates=64), rel=0, abs=1e-9)
    (other,) = information.run(replace(few, classes=()), seed=1)
    assert other["estimate"] != pytest.approx(estimate, rel=0, abs=1e-6)


def test_the_estimates_are_those_of_a_longer_computation() -> None:
    study = information.STUDY
    runs = found()["information"]["runs"]
    count = study.settings.batches * len(runs)
    for size, bound, deviation, no_bound in GAUSSIANS:
        estimate = over_seeds(runs, "estimate", information=size, candidates=128).mean
        tolerance = 4 * deviation / math.sqrt(count)
        assert abs(estimate - bound) < tolerance
        assert abs(estimate - no_bound) > tolerance


# ---- parts of the studies


def test_pushes_are_the_softmax_less_the_target() -> None:
    logits = normal(5, 7, seed=1)
    target = torch.zeros(5, 7, dtype=torch.float64)
    target[:, 0] = 1
    found = pushes(logits, Softmax())
    assert_close(found, torch.softmax(logits, 1) - target)
    assert_close(shares(found), torch.softmax(logits[:, 1:], 1))
    with pytest.raises(AssertionError):
        assert_close(pushes(logits, Decoupled()), found)


def test_the_cosines_of_views_are_those_that_the_losses_compare() -> None:
    view1, view2 = (nn.functional.normalize(normal(4, 3, seed=seed)) for seed in (1, 2))
    logits = decoupled.of_views(view1, view2) / 0.3
    assert logits.shape == (8, 7)
    by_hand = torch.logsumexp(logits, 1) - logits[:, 0]
    assert_close(by_hand, nt_xent(view1, view2, temperature=0.3, reduction="none"))
    with pytest.raises(AssertionError):
        assert_close(by_hand, dcl(view1, view2, temperature=0.3, reduction="none"))


def test_a_view_is_moved_as_a_whole_and_by_no_more_than_the_shift() -> None:
    pictures = torch.arange(1.0, 65).expand(200, 64)
    views = digits.Augmentation(0.0, 0.0, 1)(pictures, torch.Generator().manual_seed(0)).view(-1, 8, 8)
    grid, moves = torch.arange(1.0, 65).view(8, 8), set()
    for view in views:
        fitting = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if moved(grid, down, right).equal(view)]
        assert len(fitting) == 1
        moves.add(fitting[0])
    assert len(moves) == 9


def moved(grid: Tensor, down: int, right: int) -> Tensor:
    result = torch.zeros_like(grid)
    for row in range(8):
        for column in range(8):
            if 0 <= row + down < 8 and 0 <= column + right < 8:
                result[row + down, column + right] = grid[row, column]
    return result


def test_noise_and_dropped_pixels_are_as_many_as_said() -> None:
    view = digits.STRONG(torch.full((2000, 64), 0.5), torch.Generator().manual_seed(0)).view(-1, 8, 8)
    inner = view[:, 1:-1, 1:-1]
    assert float((inner == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(inner[inner != 0].std()) == pytest.approx(0.2, abs=0.005)


def test_the_parts_of_the_digits_share_none_and_depend_on_the_seed() -> None:
    one, other = digits.load(0), digits.load(1)
    assert len(one.test) == digits.TEST
    assert len(one.train) == digits.TRAINING_DIGITS
    both = torch.cat([one.train, one.test]).sum(0)
    assert_close(both, torch.cat([other.train, other.test]).sum(0))
    assert not one.test.equal(other.test)
    assert one.test.equal(digits.load(0).test)


def test_trainings_that_differ_in_the_loss_alone_see_the_same_batches_and_begin_alike() -> None:
    training = digits.Training(3, steps=2, batch=700)
    seen: dict[str, list[Tensor]] = {"one": [], "other": []}

    def noting(name: str, factor: float) -> digits.Loss:
        def loss(view1: Tensor, view2: Tensor, labels: Tensor) -> Tensor:
            seen[name] += [view1.detach(), labels]
            return factor * nt_xent(view1, view2)

        return loss

    first, second = (digits.trained(training, noting(name, f)) for name, f in (("one", 1.0), ("other", -1.0)))
    (a0, labels0, a1, labels1), (b0, labels2, b1, labels3) = seen["one"], seen["other"]
    assert a0.equal(b0)
    assert labels0.equal(labels2)
    assert labels1.equal(labels3)
    assert not a1.equal(b1)  # after a step the other way
    pictures = digits.load(3).test
    assert not digits.embedded(first, pictures).equal(digits.embedded(second, pictures))


# ---- when a claim counts


def test_a_margin_is_students() -> None:
    spread = Spread((1.0, 2.0, 3.0, 4.0))
    assert spread.standard_error == pytest.approx(math.sqrt(5 / 3 / 4))
    assert spread.margin == pytest.approx(3.182446 * spread.standard_error, rel=1e-6)
    assert spread.above(2.5 - spread.margin - 1e-9)
    assert not spread.above(2.5 - spread.margin + 1e-9)
    assert (spread - Spread((1.0, 2.0, 3.0, 3.0))).values == (0.0, 0.0, 0.0, 1.0)
    assert spread.text(1) == "2.5 ± 0.6"


def test_nothing_is_beyond_doubt_for_a_single_seed() -> None:
    assert not Spread((9.0,)).above()
    assert Spread((9.0,)).text(1, sign=True) == "+9.0"


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        ([True, True], "reproduced"),
        ([True, False], "reproduced in part"),
        ([False, False], "did not reproduce at this size"),
    ],
)
def test_a_verdict_needs_every_part(held: Sequence[bool], verdict: str) -> None:
    assert Claim("a", "b", "c", [Part("d", holds) for holds in held]).verdict == verdict


def test_rising_means_every_step() -> None:
    assert rising([1, 2, 3])
    assert not rising([1, 3, 2])
    assert not rising([1, 1])


def test_a_measure_is_that_of_one_row() -> None:
    run = Run(0, 1.0, [{"a": 1, "x": 2.0}, {"a": 2, "x": 3.0}, {"a": 1, "y": 4.0}])
    assert run.of("x", a=1) == 2.0
    for where in ({}, {"a": 3}):
        with pytest.raises(ValueError, match="rows of seed 0 have 'x'"):
            run.of("x", **where)
