"""Values and gradients that other libraries computed, against the package. `regenerate/goldens.py` says how."""

import inspect
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import info_nce
from info_nce import functional as f
from info_nce.assemble import assemble
from info_nce.contrast import Reduction, contrast
from info_nce.engines import Dense, Engine, Tiled
from info_nce.objectives import Softmax
from info_nce.pairing import Partner
from info_nce.similarity import Cosine, DotProduct

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "goldens.json").read_text(encoding="utf-8"))
ENGINES: list[Engine] = [Dense(), Tiled(2, 3)]

# the other libraries ran in float64; two orders of summation of a dozen numbers differ by 1e-15 or so
close = partial(assert_close, rtol=1e-11, atol=1e-12)

every_case = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)

Found = tuple[Tensor, dict[str, Tensor]]


def both_ways_joint(
    query: Tensor, document: Tensor, *, temperature: float, reduction: Reduction, engine: Engine
) -> Tensor:
    """GTE's denominator: q-d, d-q, q-q, d-d, the positive twice. No loss of ours, but four matrices of it."""
    itself = Partner(torch.arange(len(query)))
    build = partial(assemble, similarity=Cosine(), scale=1 / temperature)
    matrices = [
        build(query, document, positives=itself),
        build(document, query),
        build(query, query, out=itself),
        build(document, document, out=itself),
    ]
    return contrast(matrices, Softmax(), engine=engine, reduction=reduction)


def call(case: dict[str, Any], inputs: dict[str, Tensor], **changes: Any) -> Tensor:
    """The package, called as the case's `reference` names the oracle."""
    reference = case["reference"] or {
        "arguments": ["query", "document"],
        "options": {"temperature": 1 / case["options"]["scale"]},
        "reduction": "mean",
    }
    loss = getattr(f, reference["function"]) if "function" in reference else both_ways_joint
    arguments: list[Tensor] = []
    for argument in reference["arguments"]:
        if isinstance(argument, str):
            arguments.append(inputs[argument])
        elif isinstance(argument[0], str):  # the views of NT-Xent
            arguments += [inputs[name] for name in argument]
        else:
            arguments.append(torch.tensor(argument))
    options = dict(reference["options"])
    if "similarity" in options:
        options["similarity"] = {"dot": DotProduct()}[options["similarity"]]
    for name, change in changes.items():
        options[name] = change(options[name]) if inspect.isfunction(change) else change
    value: Tensor = loss(*arguments, reduction=reference["reduction"], **options)
    return value


def of_package(case: dict[str, Any], **changes: Any) -> Found:
    """Value, and its gradient by each input."""
    leaves = {name: torch.tensor(x, dtype=torch.float64, requires_grad=True) for name, x in case["inputs"].items()}
    value = call(case, leaves, **changes)
    slopes = torch.autograd.grad(value.sum(), list(leaves.values()))
    return value.detach(), dict(zip(leaves, slopes, strict=True))


def of_library(case: dict[str, Any]) -> Found:
    """What was stored."""
    value = case["values"] if "values" in case else case["value"]
    gradients = {name: torch.tensor(x, dtype=torch.float64) for name, x in case["gradients"].items()}
    return torch.tensor(value, dtype=torch.float64), gradients


def test_every_library_of_the_regenerator_is_there_with_a_version() -> None:
    expected = {"info-nce-pytorch", "pytorch-metric-learning", "sentence-transformers", "lightly", "open_clip_torch"}
    assert {case["library"] for case in CASES} == expected
    assert all(case["version"] and case["torch"] and case["call"] for case in CASES)
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert all(set(case["gradients"]) == set(case["inputs"]) for case in CASES)


@every_case
@every_engine
def test_value_is_that_of_the_other_library(case: dict[str, Any], engine: Engine) -> None:
    close(of_package(case, engine=engine)[0], of_library(case)[0])


@every_case
@every_engine
def test_gradients_are_those_of_the_other_library(case: dict[str, Any], engine: Engine) -> None:
    close(of_package(case, engine=engine)[1], of_library(case)[1])


@every_case
def test_another_temperature_is_noticed(case: dict[str, Any]) -> None:
    """The wrong sibling: 1 % more."""
    value, gradients = of_package(case, engine=Dense(), temperature=lambda t: 1.01 * t)
    right = of_library(case)
    with pytest.raises(AssertionError):
        close(value, right[0])
    for name, gradient in gradients.items():
        with pytest.raises(AssertionError):
            close(gradient, right[1][name])


@every_case
def test_a_row_in_the_wrong_place_is_noticed(case: dict[str, Any]) -> None:
    """The wrong sibling: the rows of the first input moved by one, which leaves every length as it was."""
    first = next(iter(case["inputs"]))
    rows = case["inputs"][first]
    moved = case | {"inputs": case["inputs"] | {first: rows[1:] + rows[:1]}}
    with pytest.raises(AssertionError):
        close(of_package(moved, engine=Dense())[0], of_library(case)[0])


# what else could be mistaken: the mistake, and the change of options that makes it
MISTAKES: dict[str, dict[str, Any]] = {
    "info-nce-pytorch unpaired": {"keep_in_batch": True},
    "info-nce-pytorch paired": {"keep_in_batch": True},
    "pytorch-metric-learning SupCon": {"inside": True},
    "sentence-transformers one way, one hard negative": {"keep_in_batch": False},
    "sentence-transformers three directions": {"document_document": False},
    "lightly DCLWLoss": {"sigma": lambda s: 1.01 * s},
    "open_clip ClipLoss": {"similarity": Cosine()},
    "open_clip SigLipLoss": {"bias": lambda b: 1.01 * b},
}


@pytest.mark.parametrize("beginning", MISTAKES)
def test_another_option_is_noticed(beginning: str) -> None:
    cases = [case for case in CASES if case["name"].startswith(beginning)]
    assert cases
    for case in cases:
        wrong, right = of_package(case, engine=Dense(), **MISTAKES[beginning]), of_library(case)
        with pytest.raises(AssertionError):
            close(wrong[0], right[0])
        with pytest.raises(AssertionError):
            close(wrong[1], right[1])


# ---- a drop-in for info-nce-pytorch


DROP_IN = [case for case in CASES if case["library"] == "info-nce-pytorch"]


@pytest.mark.parametrize("case", DROP_IN, ids=[case["name"] for case in DROP_IN])
def test_the_calls_of_info_nce_pytorch_mean_here_what_they_mean_there(case: dict[str, Any]) -> None:
    """Names, order and defaults: the same arguments by position, by keyword, and as a module."""
    tensors: dict[str, Any] = {name: torch.tensor(x, dtype=torch.float64) for name, x in case["inputs"].items()}
    options: list[Any] = list(case["options"].values())
    assert list(case["options"]) == ["temperature", "reduction", "negative_mode"]
    right, _ = of_library(case)
    negatives = tensors.get("negative_keys")
    close(info_nce.info_nce(tensors["query"], tensors["positive_key"], negatives, *options), right)
    close(info_nce.info_nce(**tensors, **case["options"]), right)
    close(info_nce.InfoNCE(*options)(*tensors.values()), right)
    close(info_nce.InfoNCE(**case["options"])(**tensors), right)


def test_the_defaults_of_info_nce_pytorch_are_the_defaults_here() -> None:
    (in_batch,) = (case for case in DROP_IN if case["name"] == "info-nce-pytorch in-batch 0.1 mean")
    tensors = [torch.tensor(x, dtype=torch.float64) for x in in_batch["inputs"].values()]
    right, _ = of_library(in_batch)
    close(info_nce.InfoNCE()(*tensors), right)
    expected = {"temperature": 0.1, "reduction": "mean", "negative_mode": "unpaired"}
    parameters = inspect.signature(info_nce.InfoNCE).parameters
    assert {name: parameters[name].default for name in expected} == expected
    with pytest.raises(AssertionError):
        close(info_nce.SymmetricInfoNCE(0.1)(*tensors), right)
