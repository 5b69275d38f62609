"""The linear probe: chosen on the validation part and on nothing else."""

import warnings

import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from info_nce.evaluation.probes import STRENGTHS, linear_probe

Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Few pictures, many features, noisy labels: the strength of the penalty matters."""
    torch.manual_seed(5)
    direction, made = torch.randn(40, 3), []
    for count in (60, 80, 50):
        features = torch.randn(count, 40)
        made += [features, (features @ direction + 4 * torch.randn(count, 3)).argmax(1)]
    return tuple(made)  # type: ignore[return-value]  # three by construction


def validation_accuracy(parts: Parts, strength: float) -> float:
    train, labels, validation, wanted, *_ = parts
    scaler = StandardScaler().fit(train.numpy())
    model = LogisticRegression(C=strength, max_iter=5000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.transform(train.numpy()), labels.numpy())
    return float((model.predict(scaler.transform(validation.numpy())) == wanted.numpy()).mean())


def test_the_strength_is_the_best_one_on_the_validation_part(parts: Parts) -> None:
    train, labels, validation, wanted, test, _ = parts
    found = linear_probe(train, labels, validation, wanted, test)
    by_strength = {strength: validation_accuracy(parts, strength) for strength in STRENGTHS}
    assert by_strength[found.strength] == max(by_strength.values())
    assert found.validation_accuracy == pytest.approx(max(by_strength.values()), abs=0.02)
    assert len(set(by_strength.values())) > 2  # or there was nothing to choose


def test_other_validation_labels_choose_another_strength(parts: Parts) -> None:
    train, labels, validation, wanted, test, _ = parts
    chosen = {
        linear_probe(train, labels, validation, wanted[torch.randperm(len(wanted))], test).strength for _ in range(6)
    }
    assert len(chosen) > 1


def test_other_test_pictures_choose_the_same_strength(parts: Parts) -> None:
    train, labels, validation, wanted, test, _ = parts
    found, other = (linear_probe(train, labels, validation, wanted, t) for t in (test, torch.randn(9, 40)))
    assert (found.strength, found.validation_accuracy) == (other.strength, other.validation_accuracy)
    assert len(other.classes) == 9


def test_separable_classes_are_separated() -> None:
    features, labels = torch.eye(3).repeat(20, 1) + 0.01 * torch.randn(60, 3), torch.arange(3).repeat(20)
    assert linear_probe(features, labels, features, labels, features).classes.tolist() == labels.tolist()


def test_one_class_alone_is_the_answer() -> None:
    found = linear_probe(
        torch.randn(4, 2), torch.full((4,), 7), torch.randn(2, 2), torch.tensor([7, 7]), torch.randn(3, 2)
    )
    assert found.classes.tolist() == [7, 7, 7]


def test_without_a_validation_part_a_middling_strength_is_taken(parts: Parts) -> None:
    train, labels, _, _, test, _ = parts
    found = linear_probe(train, labels, train[:0], labels[:0], test)
    assert found.strength == sorted(STRENGTHS)[-2]
    assert found.validation_accuracy != found.validation_accuracy  # NaN
    assert len(found.classes) == len(test)


def test_labels_need_not_begin_at_zero_nor_be_dense(parts: Parts) -> None:
    train, labels, validation, wanted, test, _ = parts
    found = linear_probe(train, labels, validation, wanted, test)
    other = linear_probe(train, 10 * labels + 3, validation, 10 * wanted + 3, test)
    torch.testing.assert_close(other.classes, 10 * found.classes + 3)
