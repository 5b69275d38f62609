"""What must hold of a loss as a function of the logits of a row."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from hypothesis import given
from torch import Tensor
from torch.testing import assert_close

from info_nce import contrast
from info_nce import functional as f
from info_nce.assemble import given_logits
from info_nce.objectives import Decoupled, Objective, Robust, Sigmoid, Softmax, SoftmaxInside
from info_nce.pairing import Cells, Listed
from tests.laws.losses import close, labelled_views, two, two_positives
from tests.strategies import chance, law, normal, seeds, some_sizes


def rows(n: int, m: int, seed: int) -> tuple[Tensor, Cells]:
    """Logits, and positives of which each row has one at least, and has a negative."""
    positive = chance(n, m, seed=seed, probability=0.3)
    positive[:, 0], positive[:, -1] = True, False
    return 3 * normal(n, m, seed=seed + 1), Listed(positive)


SHIFT_INVARIANT = [Softmax(), Softmax(label_smoothing=0.3), SoftmaxInside(), Decoupled()]


@pytest.mark.parametrize("objective", SHIFT_INVARIANT, ids=str)
@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_adding_a_constant_to_all_logits_of_a_row_changes_no_softmax_loss(
    objective: Objective, n: int, m: int, seed: int
) -> None:
    logits, positives = rows(n, m, seed)
    constant = 10 * normal(n, 1, seed=seed + 2)
    plain = contrast(given_logits(logits, positives), objective, reduction="none")
    close(contrast(given_logits(logits + constant, positives), objective, reduction="none"), plain)


@pytest.mark.parametrize("objective", [Sigmoid(), Robust()], ids=str)
def test_adding_a_constant_changes_what_is_no_softmax(objective: Objective) -> None:
    logits, positives = rows(3, 5, 1)
    plain = contrast(given_logits(logits, positives), objective, reduction="none")
    with pytest.raises(AssertionError):
        close(contrast(given_logits(logits + 1, positives), objective, reduction="none"), plain)


@pytest.mark.parametrize("objective", SHIFT_INVARIANT, ids=str)
@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_the_pushes_and_pulls_on_a_row_add_up_to_zero(objective: Objective, n: int, m: int, seed: int) -> None:
    logits, positives = rows(n, m, seed)
    logits.requires_grad_()
    (slope,) = torch.autograd.grad(contrast(given_logits(logits, positives), objective, reduction="sum"), logits)
    close(slope.sum(1), torch.zeros(n, dtype=torch.float64))
    assert float(slope.abs().max()) > 0


@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_the_row_gradient_of_info_nce_is_one_minus_p_times_that_of_dcl(n: int, m: int, seed: int) -> None:
    logits = 3 * normal(n, m, seed=seed).requires_grad_()
    first = Listed(torch.arange(m).expand(n, m) == 0)
    (softmax,), (decoupled,) = (
        torch.autograd.grad(contrast(given_logits(logits, first), objective, reduction="sum"), logits)
        for objective in (Softmax(), Decoupled())
    )
    p = torch.softmax(logits.detach(), 1)[:, :1]
    close(softmax, (1 - p) * decoupled)
    with pytest.raises(AssertionError):
        close(softmax, decoupled)


@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_the_softmax_loss_is_the_softplus_of_the_decoupled_one(n: int, m: int, seed: int) -> None:
    view1, view2 = two(n, m, seed)
    close(f.nt_xent(view1, view2, reduction="none"), F.softplus(f.dcl(view1, view2, reduction="none"), threshold=1000))


@law
@given(n=some_sizes, m=some_sizes, seed=seeds)
def test_positives_inside_the_log_never_cost_more_than_outside(n: int, m: int, seed: int) -> None:
    logits, positives = rows(n, m, seed)
    inside = contrast(given_logits(logits, positives), SoftmaxInside(), reduction="none")
    outside = contrast(given_logits(logits, positives), Softmax(), reduction="none")
    assert_close(torch.maximum(inside, outside), outside, rtol=0, atol=1e-12)


def test_sup_con_inside_differs_from_outside_for_two_positives_and_agrees_for_one() -> None:
    view1, view2 = two(5, 4, 2)
    close(labelled_views(view1, view2, inside=True), labelled_views(view1, view2))
    assert float(two_positives(view1, view2, inside=True)) < float(two_positives(view1, view2)) - 1e-3
