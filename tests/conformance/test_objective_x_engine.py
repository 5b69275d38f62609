"""Every loss on every engine: the oracle's value, one gradient, and what follows from both."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from info_nce.engines import Auto, Dense, Engine, Tiled
from info_nce.engines.base import Totals
from info_nce.engines.parts import Part
from info_nce.losses import decoupled
from info_nce.similarity import Cosine, NegativeSquaredDistance, Similarity
from tests.conformance.cases import CASES, Case

ENGINES: list[Engine] = [Dense(), Tiled(), Tiled(3, 2), Tiled(1, 1), Tiled(rows=2), Tiled(columns=3), Auto()]

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def gradients(case: Case, engine: Engine, weight: Tensor | None = None) -> dict[str, Tensor]:
    """Gradients of a weighted sum, so that no symmetry hides an error."""
    leaves = {name: leaf.requires_grad_() for name, leaf in case.leaves().items()}
    values = case.loss(leaves, engine, reduction="none")
    weight = torch.linspace(0.5, 1.5, len(values), dtype=values.dtype) if weight is None else weight
    found = torch.autograd.grad((values * weight).sum(), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


@every_case
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_value_equals_the_oracle(case: Case, engine: Engine) -> None:
    value = case.loss(case.leaves(), engine, reduction="none")
    expected = torch.tensor(case.oracle(**case.tensors), dtype=torch.float64)
    assert_close(value, expected, rtol=1e-11, atol=1e-11)


@every_case
@pytest.mark.parametrize("engine", ENGINES[1:], ids=str)
def test_gradients_equal_the_dense_ones(case: Case, engine: Engine) -> None:
    dense, other = gradients(case, Dense()), gradients(case, engine)
    for name in dense:
        # relative to the largest entry: at temperature 0.01 gradients are in the hundreds
        scale = float(dense[name].abs().max().clamp(min=1))
        assert_close(other[name] / scale, dense[name] / scale, rtol=1e-12, atol=1e-12)


@every_case
@pytest.mark.parametrize("engine", [Dense(), Tiled(3, 2)], ids=str)
def test_gradcheck(case: Case, engine: Engine) -> None:
    leaves = case.leaves()

    def loss(*tensors: Tensor) -> Tensor:
        return case.loss(dict(zip(leaves, tensors, strict=True)), engine, reduction="none")

    sharp = "sharp" in case.name
    tensors = [leaf.requires_grad_() for leaf in leaves.values()]
    # at a temperature of 0.01 the third derivative is 1e6: a shorter step, and a tolerance that its rounding needs
    eps, atol = (1e-7, 1e-4) if sharp else (1e-6, 1e-5)
    if case.name == "wav2vec2 equal":
        pytest.skip("a finite step would part the equal targets that this case is about")
    with pytest.MonkeyPatch.context() as patch:
        if case.name.startswith("dclw"):  # its weights are constants for the gradient
            weights = decoupled._weights(leaves["query"], leaves["key"], *weighting(case))
            patch.setattr(decoupled, "_weights", lambda *_: weights.detach())
        assert torch.autograd.gradcheck(loss, tensors, eps=eps, atol=atol, rtol=1e-4)


def weighting(case: Case) -> tuple[Similarity, float]:
    return NegativeSquaredDistance() if "distance" in case.name else Cosine(), 0.2 if "sigma" in case.name else 0.5


@every_case
def test_reductions_agree(case: Case) -> None:
    leaves = case.leaves()
    none = case.loss(leaves, None, reduction="none")
    assert_close(case.loss(leaves, None, reduction="sum"), none.sum())
    assert_close(case.loss(leaves, None, reduction="mean"), none.sum() / (case.counted or len(none)))


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_low_precision_stays_within_the_rounding_of_its_inputs(case: Case, dtype: torch.dtype) -> None:
    """The loss of rounded inputs, computed in float32, against float64 on the same rounded inputs."""
    rounded = {name: leaf.to(dtype) for name, leaf in case.leaves().items()}
    if case.name.startswith("moco") or {"own", "bilinear", "log_q", "guide"} & set(case.name.split()):
        pytest.skip("this case brings float64 tensors of its own along")
    truth = case.loss({name: leaf.double() for name, leaf in rounded.items()}, Dense(), reduction="mean")
    for engine in (Dense(), Tiled(3, 2)):
        value = case.loss(rounded, engine, reduction="mean")
        assert value.dtype == torch.float32
        assert_close(value.double(), truth, rtol=2e-5, atol=2e-5)


@every_case
def test_a_dropped_share_is_noticed(case: Case) -> None:
    """The wrong sibling of the gradient tests: tiles that hand on nine tenths of what the loss changes by."""
    if case.loss(case.leaves(), None, reduction="sum").abs() < 1e-9:
        pytest.skip("this case has loss 0 and gradient 0 by design")
    right = gradients(case, Dense())
    back = Part.back

    def dropped(part: Part, totals: Sequence[Totals], slopes: Sequence[Totals], sums: Totals) -> None:
        back(part, totals, [{name: 0.9 * slope for name, slope in side.items()} for side in slopes], sums)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Part, "back", dropped)
        wrong = gradients(case, Tiled(3, 2))
    with pytest.raises(AssertionError):
        assert_close(list(wrong.values()), list(right.values()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "case", [c for c in CASES if not c.name.startswith("dclw") and c.name != "wav2vec2 equal"][::7], ids=str
)
def test_gradient_of_the_gradient(case: Case) -> None:
    leaves = case.leaves()

    def loss(*tensors: Tensor) -> Tensor:
        return case.loss(dict(zip(leaves, tensors, strict=True)), Tiled(3, 2), reduction="sum")

    tensors = [leaf.requires_grad_() for leaf in leaves.values()]
    assert torch.autograd.gradgradcheck(loss, tensors, atol=1e-4, rtol=1e-3)
