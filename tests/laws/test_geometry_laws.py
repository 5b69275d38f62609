"""What rotating, stretching and shifting the embeddings may change of a loss."""

# N items or queries, D features

from functools import partial

import pytest
import torch
from hypothesis import given
from torch import Tensor

from info_nce import functional as f
from info_nce.similarity import DotProduct, NegativeSquaredDistance
from tests.laws.losses import LOSSES, Loss, close, every_loss, gradients, two
from tests.strategies import law, normal, seeds, some_sizes, temperatures


def rotation(d: int, seed: int) -> Tensor:
    turned: Tensor = torch.linalg.qr(normal(d, d, seed=seed)).Q
    return turned


@every_loss
@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_rotating_everything_changes_nothing(loss: Loss, n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    turn = rotation(d, seed + 5)
    close(loss(query @ turn, key @ turn, reduction="none"), loss(query, key, reduction="none"))


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_rotating_changes_no_dot_product_and_no_distance_and_shifting_no_distance(n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    turn, shift = rotation(d, seed + 5), normal(d, seed=seed + 6)
    for similarity in (DotProduct(), NegativeSquaredDistance()):
        plain = f.info_nce(query, key, temperature=1.0, similarity=similarity, reduction="none")
        turned = f.info_nce(query @ turn, key @ turn, temperature=1.0, similarity=similarity, reduction="none")
        close(turned, plain)
    shifted = f.info_nce(query + shift, key + shift, temperature=1.0, similarity=similarity, reduction="none")
    close(shifted, plain)


def test_stretching_one_axis_changes_every_loss() -> None:
    query, key = two(5, 4, 6)
    stretch = torch.diag(torch.tensor([2.0, 1, 1, 1], dtype=torch.float64))
    for loss in LOSSES.values():
        with pytest.raises(AssertionError):
            close(loss(query @ stretch, key @ stretch), loss(query, key))


@every_loss
@law
@given(n=some_sizes, d=some_sizes, seed=seeds, temperature=temperatures)
def test_the_gradient_of_an_embedding_is_orthogonal_to_it_and_shrinks_with_its_length(
    loss: Loss, n: int, d: int, seed: int, temperature: float
) -> None:
    embeddings = two(n, d, seed)
    at_temperature = partial(loss, temperature=temperature)
    slopes = gradients(at_temperature, *embeddings)
    # RINCE's powers of e^{s} are in the hundreds at a temperature of 0.05, and so is their rounding
    size = max(1.0, *(float(slope.abs().max()) for slope in slopes))
    for embedding, slope in zip(embeddings, slopes, strict=True):
        along = (embedding * slope).sum(1) / size
        close(along, torch.zeros_like(along))
    lengths = 0.1 + 10 * torch.rand(n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    longer = gradients(at_temperature, *(embedding * lengths for embedding in embeddings))
    for slope, of_longer in zip(slopes, longer, strict=True):
        close(of_longer * lengths / size, slope / size)


def test_the_gradient_of_a_dot_product_is_not_orthogonal() -> None:
    query, key = two(5, 4, 7)
    slope, _ = gradients(partial(f.info_nce, similarity=DotProduct()), query, key)
    with pytest.raises(AssertionError):
        close((query * slope).sum(1), torch.zeros(5, dtype=torch.float64))
