"""Whole evaluations of runs on made-up pictures: their numbers, and what they say about unusual data."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from info_nce.data import ImageSet, Splits
from info_nce.errors import RunError
from info_nce.evaluation.features import raw_pixels
from info_nce.evaluation.geometry import evenly
from info_nce.evaluation.near_duplicates import far_from_training
from info_nce.evaluation.pictures import evaluate_pictures
from info_nce.evaluation.results import FILE, LINEAR, RAW, Accuracy, Evaluation, load_evaluation
from info_nce.evaluation.scorecard import TRAINED, UNTRAINED
from info_nce.evaluation.scoring import paired_difference
from info_nce.recipes.pictures import encode
from tests.evaluation.fakes import FACTS, labelled, part, run_on, squares, unlabelled


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate_pictures(run_on(labelled([60, 50, 40]), tmp_path_factory.mktemp("run")))


def test_every_kind_of_feature_meets_every_classifier_on_all_pictures(evaluation: Evaluation) -> None:
    assert [(s.features, s.probe) for s in evaluation.scores] == [
        (features, probe)
        for features in (RAW, UNTRAINED, TRAINED)
        for probe in (LINEAR, "5 neighbours", "20 neighbours")
    ]
    for score in evaluation.scores:
        assert score.all.total == evaluation.counts["test"] == 30
        assert score.far.total == evaluation.counts["far"]
        assert sum(a.total for a in score.by_class) == score.all.total
        assert sum(a.correct for a in score.by_class) == score.all.correct
    assert evaluation.score(RAW, LINEAR).all.share == 1  # a bright square at another place is easy
    assert evaluation.chance == pytest.approx(1 / 3)
    assert evaluation.majority == Accuracy(12, 30)


def test_far_is_counted_on_the_pictures_without_a_look_alike(tmp_path: Path) -> None:
    images, labels = squares([40, 40, 40], noise=250)
    whole = labelled([40, 40, 40])
    splits = replace(
        whole,
        train=replace(whole.train, images=images[:72], labels=labels[:72]),
        test=replace(whole.test, images=images[96:], labels=labels[96:]),
    )
    far = far_from_training(splits.train.images, splits.test.images)
    assert evaluate_pictures(run_on(splits, tmp_path)).counts["far"] == int(far.sum())


def test_what_is_saved_is_what_is_read_back(tmp_path: Path) -> None:
    for name, splits in (("labelled", labelled([15, 15])), ("unlabelled", unlabelled(30))):
        found = evaluate_pictures(run_on(splits, tmp_path / name))
        text = (tmp_path / name / FILE).read_text()
        assert "NaN" not in text
        assert json.loads(text)["run"] == name
        assert repr(load_evaluation(tmp_path / name)) == repr(found)  # NaN is not equal to itself
        assert [f.name for f in (tmp_path / name).iterdir()] == [FILE]


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"run": 3', '{"scores": 1}'])
def test_a_broken_file_is_named_with_the_command_that_mends_it(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_text(content)
    with pytest.raises(RunError, match="info-nce evaluate") as caught:
        load_evaluation(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)


def test_shuffled_test_labels_change_no_choice(tmp_path: Path) -> None:
    splits = labelled([40, 40, 40])
    assert splits.test.labels is not None
    shuffled = replace(splits, test=replace(splits.test, labels=splits.test.labels[torch.randperm(len(splits.test))]))
    first, second = (evaluate_pictures(run_on(s, tmp_path)) for s in (splits, shuffled))
    assert [s.setting for s in first.scores] == [s.setting for s in second.scores]
    assert [s.all for s in first.scores] != [s.all for s in second.scores]


def test_without_labels_only_the_geometry_is_measured(tmp_path: Path) -> None:
    found = evaluate_pictures(run_on(unlabelled(40), tmp_path))
    assert (found.scores, found.differences, found.confusions) == ((), (), ())
    assert math.isnan(found.chance)
    assert found.geometry.uniformity < 0
    assert found.geometry.alignment == pytest.approx(0.2)
    assert 1 < found.geometry.effective_rank < found.geometry.dimensions == 32
    assert any("Accuracy needs labels" in note for note in found.notes)


def splits_of(train: list[int], validation: list[int], test: list[int]) -> Splits[ImageSet]:
    names = tuple(f"class {i}" for i in range(len(train)))
    counts = {"train": train, "validation": validation, "test": test}
    parts = {name: part(name, count, names, seed) for seed, (name, count) in enumerate(counts.items())}
    return Splits(**parts, facts=FACTS, source="squares")


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        (splits_of([9, 0, 9], [3, 3, 3], [3, 3, 3]), "Training has no picture of class 1,"),
        (splits_of([9, 9], [0, 0], [12, 12]), "no validation pictures"),
        (splits_of([4, 4], [3, 3], [12, 12]), "only 8 training pictures, so the 20 neighbours are all"),
        (splits_of([9, 9], [3, 3], [3, 12]), "Fewer than 10 test pictures of class 0:"),
        (splits_of([20], [5], [12]), "All pictures are of one class"),
        (splits_of([30] * 7, [1] * 7, [1] * 7), "class 0, class 1, class 2, class 3, class 4 and 2 more classes"),
        (splits_of([9, 9], [3, 3], [0, 0]), "Accuracy needs labels"),
    ],
)
def test_unusual_data_is_evaluated_and_explained(tmp_path: Path, splits: Splits[ImageSet], words: str) -> None:
    notes = evaluate_pictures(run_on(splits, tmp_path)).notes
    assert any(words in note for note in notes), notes


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    found = evaluate_pictures(run_on(labelled([15, 15]), tmp_path, note="unfinished: step 3 of 9"))
    assert found.notes[0] == "This run is unfinished: step 3 of 9."


def test_large_pictures_are_averaged_and_the_notes_say_so(tmp_path: Path) -> None:
    assert raw_pixels(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape == (2, 3 * 18 * 18)
    assert (raw_pixels(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8)) == 1).all()
    assert not any("averaged" in note for note in evaluate_pictures(run_on(labelled([15, 15]), tmp_path)).notes)


def test_other_weights_have_another_fingerprint(tmp_path: Path) -> None:
    run = run_on(labelled([15, 15]), tmp_path)
    other = replace(run, weights={name: tensor + 1 for name, tensor in run.weights.items()})
    assert run.fingerprint() == run_on(labelled([15, 15]), tmp_path).fingerprint()
    assert run.fingerprint() != other.fingerprint()


def test_encoding_does_not_depend_on_the_batch(tmp_path: Path) -> None:
    run = run_on(labelled([15, 15]), tmp_path)
    images, encoder = run.splits().train.images, run.model().get_submodule("encoder")
    torch.testing.assert_close(encode(encoder, images, 4), encode(encoder, images))
    assert encode(encoder, images[:0]).shape == (0, 32)


def test_a_paired_difference_has_nearly_the_standard_error_of_a_mean() -> None:
    right, baseline = torch.rand(5000) < 0.8, torch.rand(5000) < 0.5
    each = right.double() - baseline.double()
    gain, error = paired_difference(right, baseline)
    assert gain == pytest.approx(each.mean().item())
    assert error == pytest.approx(each.std(correction=0).item() / math.sqrt(5000), rel=1e-2)


def test_a_paired_difference_is_never_called_certain() -> None:
    ones, zeros = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    assert paired_difference(ones, ones) == pytest.approx((0, 1 / 6))
    assert paired_difference(ones, zeros) == pytest.approx((1, math.sqrt(5 - 16 / 6) / 6))
    assert all(math.isnan(x) for x in paired_difference(ones[:0], ones[:0]))


def test_the_verdict_rests_on_the_far_part_only_if_it_is_large_enough(evaluation: Evaluation) -> None:
    parts = {n: replace(evaluation, counts={**evaluation.counts, "far": n}).main_part for n in (0, 29, 30)}
    assert parts == {0: "all", 29: "all", 30: "far"}


@pytest.mark.parametrize(("correct", "total"), [(0, 10), (10, 10), (7, 10), (930, 1000), (1, 1)])
def test_the_ends_of_the_interval_are_the_shares_that_these_counts_just_fit(correct: int, total: int) -> None:
    found = Accuracy(correct, total)
    low, high = found.interval
    assert 0 <= low <= found.share <= high <= 1
    for end in (low, high):
        assert abs(found.share - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / total), abs=1e-7)


def test_an_accuracy_of_nothing_is_no_number() -> None:
    nothing = Accuracy(0, 0)
    assert all(math.isnan(x) for x in (nothing.share, nothing.standard_error, *nothing.interval))
    assert Accuracy(3, 4).standard_error == pytest.approx(math.sqrt(5 / 8 * 3 / 8 / 8))
    assert Accuracy(4, 4).standard_error > 0.1
    assert Accuracy(9_400, 10_000).standard_error == pytest.approx(math.sqrt(0.94 * 0.06 / 1e4), rel=1e-2)


def test_rows_are_chosen_evenly() -> None:
    assert evenly(3, 10).tolist() == [0, 1, 2]
    assert evenly(10, 4).tolist() == [0, 2, 5, 7]
