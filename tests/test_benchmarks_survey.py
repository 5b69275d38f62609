"""The survey of healthy and broken trainings: what it draws and how it counts; the page says what the file says."""

import re
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from benchmarks.survey.__main__ import SEEDS, main
from benchmarks.survey.data import SOURCES, WITH_CLASSES, Repeated
from benchmarks.survey.faults import FAULTS, HEALTHY, REASONS, REFUSED, Fault
from benchmarks.survey.outcomes import RESULTS, Found, Outcome, Run, begun, judged, kept
from benchmarks.survey.page import BEGIN, END, PAGE, counts, filled, section
from benchmarks.survey.settings import CHOICES, LOSSES, Training
from benchmarks.survey.trainings import HEALTHY_PER_SEED, draw, drawn, fault_of, trained
from tests import texts

ROOT = Path(__file__).parents[1]
every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))


def runs() -> list[Run]:
    return kept(ROOT / RESULTS)[1]


def small(fault: Fault, **parts: Any) -> Training:
    """An easy training of a moment, as the fault wants it."""
    wanted = {part: choices[0] for part, choices in fault.among.items()}
    if "NTXent" in fault.among.get("loss", LOSSES):
        wanted["loss"] = "NTXent"
    usual = {
        "temperature": 0.2,
        "batch": 64,
        "features": 16,
        "encoder": "two layers",
        "encoders": 1,
        "learnable": False,
    }
    usual |= {"source": "clusters" if wanted["loss"] == "SupCon" else "Gaussians", "two_views": False, "ids": True}
    training = draw(0, fault)
    return replace(training, **{**usual, **wanted, "steps": 60, "held_out": False, **parts})


# ---- the page and the file


def test_the_page_is_what_the_file_says() -> None:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    head, found = kept(ROOT / RESULTS)
    assert filled(text, section(head, found)) == text
    outcomes = [replace(outcome, as_expected=not outcome.as_expected) for outcome in found[0].outcomes]
    assert filled(text, section(head, [replace(found[0], outcomes=tuple(outcomes)), *found[1:]])) != text


def test_the_file_has_the_trainings_that_would_be_drawn_today() -> None:
    plan = {seed: drawn(seed) for seed in range(*SEEDS)}
    assert [run.seed for run in begun(ROOT / RESULTS, plan)] == list(range(*SEEDS))
    head, _ = kept(ROOT / RESULTS)
    assert {"command", "commit", "date", "machine", "versions"} <= set(head)


def test_the_file_counts_as_the_faults_of_today_do() -> None:
    for outcome in (outcome for run in runs() for outcome in run.outcomes):
        names, fault = {finding.name for finding in outcome.findings}, fault_of(outcome.training)
        assert outcome.as_expected == (not names if fault is HEALTHY else bool(names & fault.named_by))
        assert outcome.hidden == fault.hidden(outcome.training)


def test_findings_come_out_again() -> None:
    # what is not trained is quick, and rounding does not grow in it
    every = [outcome for run in runs() for outcome in run.outcomes]
    quick = [o for o in every if not o.training.steps and o.training.batch <= 256 and o.training.source != "glosses"]
    assert len(quick) >= 10
    for outcome in quick[:10]:
        again = judged(outcome.training, fault_of(outcome.training))
        assert [finding.name for finding in again.findings] == [finding.name for finding in outcome.findings]
        assert (again.hidden, again.as_expected) == (outcome.hidden, outcome.as_expected)


def test_no_finding_has_a_nan_in_its_sentence() -> None:
    found = [finding.what for run in runs() for outcome in run.outcomes for finding in outcome.findings]
    assert found
    assert [what for what in found if re.search(r"\b(nan|inf)\b", what)] == []


def test_a_page_without_marks_is_refused() -> None:
    assert filled(f"a {BEGIN} b {END} c", "d") == f"a {BEGIN}\n\nd\n\n{END} c"
    for text in ("nothing", f"only {BEGIN}", f"only {END}"):
        with pytest.raises(ValueError, match="has no part between"):
            filled(text, "d")


# ---- what is drawn


def test_every_fault_of_the_list_is_drawn_once_per_seed_beside_healthy_trainings() -> None:
    found = Counter(training.fault for training in drawn(7))
    assert found == {HEALTHY.name: HEALTHY_PER_SEED} | dict.fromkeys(FAULTS, 1)
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_every_choice_is_drawn() -> None:
    every = [training for seed in range(30) for training in drawn(seed) if training.fault == HEALTHY.name]
    for part, choices in CHOICES.items():
        assert {getattr(training, part) for training in every} >= set(choices), part
    assert {training.source for training in every} == set(SOURCES)
    assert {training.loss for training in every} == set(LOSSES)
    assert {field.name for field in fields(Training)} - set(CHOICES) == {"seed", "fault", "place", "numbers", "source"}


@every_fault
def test_a_fault_is_drawn_where_it_is_one(fault: Fault) -> None:
    for training in (draw(seed, fault) for seed in range(20)):
        for part, choices in fault.among.items():
            if part != "steps":  # large batches have fewer
                assert getattr(training, part) in choices
        assert (training.steps == 0) <= (0 in fault.among.get("steps", (0,)))
        if training.loss == "SupCon" and not training.own_labels:
            assert training.source in WITH_CLASSES
        if "digits" in training.source:
            assert training.batch <= (256 if training.held_out else 512)


@every_fault
def test_a_fault_is_named_by_something_or_the_reason_is_said(fault: Fault) -> None:
    reasons = {fault.hidden(draw(seed, fault)) for seed in range(100)}
    assert reasons <= {"", *REASONS}
    assert fault.named_by or "" not in reasons


def test_every_reason_is_that_of_a_fault() -> None:
    found = {fault.hidden(draw(seed, fault)) for fault in FAULTS.values() for seed in range(100)}
    assert found == {"", *REASONS}


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "glosses"])
def test_items_are_different_and_held_out_ones_are_others(name: str) -> None:
    a_source_gives_different_items(name)


def test_glosses_are_different_and_held_out_ones_are_others() -> None:
    texts.wheel()
    a_source_gives_different_items("glosses")


def a_source_gives_different_items(name: str) -> None:
    source = SOURCES[name]()
    train, others = (source.items(256, torch.Generator().manual_seed(1), held_out=part) for part in (False, True))
    assert len(set(train.ids.tolist())) == len(train) == 256
    # the largest batches that are drawn
    assert len(source.items(512 if "digits" in name else 2048, torch.Generator(), held_out=False)) >= 512
    assert len(source.items(256 if "digits" in name else 2048, torch.Generator(), held_out=True)) >= 256
    if "digits" in name or name == "glosses":
        assert not set(train.ids.tolist()) & set(others.ids.tolist())
    one, other = (source.view(train.contents, torch.Generator().manual_seed(s), second=False) for s in (1, 2))
    assert one.shape == (256, source.width)
    again = source.view(train.contents, torch.Generator().manual_seed(1), second=False)
    assert_close(one, again, rtol=0, atol=0)
    with pytest.raises(AssertionError):
        assert_close(one, other)


def test_a_pool_gives_no_item_twice() -> None:
    with pytest.raises(ValueError, match="513 different items are asked for, of 500"):
        SOURCES["digits"]().items(513, torch.Generator(), held_out=True)


def test_few_items_come_again_and_again() -> None:
    source, numbers = SOURCES["clusters"](), torch.Generator().manual_seed(0)
    few = Repeated(source, source.items(8, numbers, held_out=False))
    assert set(few.items(64, numbers, held_out=False).ids.tolist()) == set(few.few.ids.tolist())


# ---- what is found


def test_nothing_is_found_in_a_healthy_training_and_that_is_as_expected() -> None:
    training = small(HEALTHY)
    outcome = judged(training, HEALTHY)
    assert outcome == Outcome(training, (), hidden="", as_expected=True)
    assert outcome.healthy


def test_a_finding_in_a_healthy_training_is_not_as_expected() -> None:
    outcome = judged(small(HEALTHY, temperature=5.0), HEALTHY)
    assert [finding.name for finding in outcome.findings] == ["temperature too large"]
    assert not outcome.as_expected


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("shuffled", "guessing"),
        ("one row down", "wrong layout"),
        ("alternating cut in halves", "wrong layout"),
        ("stacked cut in turns", "wrong layout"),
        ("nearly constant", "collapsed"),
        ("one direction", "guessing"),
        ("zero rows", "zero vectors"),
        ("NaN", "not finite"),
        ("detached", "no gradient on one side"),
        ("temperature 5", "temperature too large"),
        ("clamped", "temperature at its clamp"),
        ("inner products", "not normalised"),
        ("20 % duplicates", "duplicates"),
        ("20 % copies", "duplicates"),
        ("few items", "duplicates"),
        ("identical", "views alike"),
        ("all different", REFUSED),
        ("all the same", "without a negative"),
        ("labels shuffled", "guessing"),
    ],
)
def test_a_fault_is_named(name: str, finding: str) -> None:
    outcome = judged(small(FAULTS[name]), FAULTS[name])
    assert finding in {found.name for found in outcome.findings}
    assert (outcome.as_expected, outcome.hidden, outcome.healthy) == (True, "", False)


@pytest.mark.parametrize("name", ["alternating cut in halves", "stacked cut in turns"])
def test_labels_of_another_layout_are_named(name: str) -> None:
    training = small(FAULTS[name], loss="SupCon", steps=0)
    assert judged(training, FAULTS[name]).as_expected
    right = replace(training, fault=HEALTHY.name)
    assert "wrong layout" not in {finding.name for finding in judged(right, HEALTHY).findings}


def test_a_fault_that_is_named_as_another_is_missed() -> None:
    fault = replace(FAULTS["temperature 5"], named_by=frozenset({"temperature too small"}))
    outcome = judged(small(fault), fault)
    assert [finding.name for finding in outcome.findings] == ["temperature too large"]
    assert not outcome.as_expected
    assert counts([outcome], lambda one: one.training.fault) == {"temperature 5": (0, 1)}


def test_what_a_batch_cannot_show_is_counted_apart() -> None:
    outcome = judged(small(FAULTS["few items"], ids=False), FAULTS["few items"])
    assert outcome.hidden
    head, _ = kept(ROOT / RESULTS)
    text = section(head, [Run(0, 1.0, (outcome, judged(small(HEALTHY), HEALTHY)))])
    assert "| broken, in a way that a batch can show: named | 0 of 0 |" in text
    assert f"| {outcome.hidden} | {int(outcome.as_expected)} | 1 |" in text
    assert "| healthy: nothing is found | 1 of 1 |" in text


def test_a_healthy_training_is_told_by_its_gravest_finding() -> None:
    findings = (Found("too sure", "warning", ""), Found("saturated", "note", ""))
    head, _ = kept(ROOT / RESULTS)
    text = section(head, [Run(0, 1.0, (Outcome(small(HEALTHY), findings, hidden="", as_expected=False),))])
    assert "| healthy: a note | 0 |" in text
    assert "| healthy: a warning (too sure 1) | 1 |" in text


def test_the_same_training_gives_the_same_embeddings_and_other_numbers_do_not() -> None:
    training = small(HEALTHY, steps=3)
    one, same = (trained(training, HEALTHY).inputs[0] for _ in range(2))
    assert_close(one, same, rtol=0, atol=0)
    other = trained(replace(training, numbers=training.numbers + 1), HEALTHY).inputs[0]
    with pytest.raises(AssertionError):
        assert_close(one, other)


def test_what_can_neither_be_trained_nor_diagnosed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("benchmarks.survey.outcomes.diagnose", broken)
    with pytest.raises(RuntimeError, match=r"neither trained nor diagnosed: Training\(seed=0, fault='none'"):
        judged(small(HEALTHY, steps=0), HEALTHY)


def test_a_tiny_survey_is_run_told_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts.wheel()
    out, page = tmp_path / "survey.json", tmp_path / "page.md"
    page.write_text(f"before {BEGIN} {END} after\n", encoding="utf-8")
    assert main(seeds=(0, 1), tiny=True, out=out, page=page) == 0
    assert capsys.readouterr().err.startswith("seed 0: nothing found in ")
    text = page.read_text(encoding="utf-8")
    assert "nan" not in text
    assert "of seed 0;" in text
    assert text.endswith(f"{END} after\n")
    (run,) = kept(out)[1]
    assert [outcome.training for outcome in run.outcomes] == drawn(0, tiny=True)

    asked = []

    def noted(seed: int, _: object) -> Run:
        asked.append(seed)
        return replace(run, seed=seed)

    monkeypatch.setattr("benchmarks.survey.outcomes.survey", noted)
    assert main(seeds=(0, 1), tiny=True, out=out, page=page) == 0
    assert asked == []
    assert main(seeds=(0, 2), tiny=True, out=out, page=page) == 0
    assert asked == [1]
    assert main(seeds=(0, 1), tiny=True, fresh=True, out=out, page=page) == 0
    assert asked == [1, 0]
    assert main(seeds=(0, 1), tiny=True, render_only=True, fresh=True, out=out, page=page) == 0
    assert asked == [1, 0]


def test_no_seed_is_no_survey() -> None:
    with pytest.raises(SystemExit, match="There is no seed from 3 to before 3"):
        main(seeds=(3, 3))
