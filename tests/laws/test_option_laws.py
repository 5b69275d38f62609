"""What the shared options do to every loss: the margin, log-probabilities of sampling, label smoothing."""

# N items or queries, D features

import math
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from info_nce import functional as f
from info_nce.engines import Dense, Tiled
from info_nce.similarity import Cosine, DotProduct, NegativeSquaredDistance, Similarity
from tests.laws.losses import Loss, close, two
from tests.strategies import law, seeds, some_sizes


class Nearness(Similarity):
    """A user's own, no inner product: minus the sum of weighted absolute differences."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, d, dtype=torch.float64))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return -((query[:, None] - key[None]).abs() * self.weight).sum(-1)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, margin=st.sampled_from([-0.5, 0.0, 0.3]))
def test_a_margin_leaves_out_what_is_nearer_than_the_positive_by_more_than_it(
    n: int, d: int, seed: int, margin: float
) -> None:
    query, key = two(n, d, seed)
    for similarity in (Cosine(), DotProduct(), NegativeSquaredDistance(), Nearness(d)):
        values = similarity(query, key).detach()
        own = values.diagonal()[:, None]
        kept = (values <= own + margin) | torch.eye(n, dtype=torch.bool)
        for engine in (Dense(), Tiled(2, 3)):
            settings: dict[str, Any] = {"similarity": similarity, "temperature": 0.5, "engine": engine}
            found = f.info_nce(query, key, margin=margin, reduction="none", **settings)
            logits = (values / 0.5).masked_fill(~kept, float("-inf"))
            close(found.detach(), torch.logsumexp(logits, 1) - logits.diagonal())


def test_a_negative_exactly_at_the_limit_stays() -> None:
    axes = torch.eye(4, dtype=torch.float64)
    keys = axes[[0, 0, 2, 2]]  # the cosines are 0 and 1, exactly
    for loss in (f.info_nce, f.symmetric_info_nce, f.nt_xent):
        for engine in (Dense(), Tiled(2, 3)):
            close(loss(keys, keys, margin=0.0, engine=engine), loss(keys, keys))
            with pytest.raises(AssertionError):
                close(loss(keys, keys, margin=-0.5, engine=engine), loss(keys, keys))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("d", [3, 64, 257])
@pytest.mark.parametrize("options", ["alone", "guide", "log_q"])
def test_a_duplicate_of_the_positive_stays_however_its_similarity_was_rounded(
    dtype: torch.dtype, d: int, options: str
) -> None:
    """Two computations of one inner product differ in the last digits: no engine may take that for more alike."""
    numbers = torch.Generator().manual_seed(d)
    # each key occurs twice, and each is the positive of one query and a negative of another
    query, key, of_query, of_key = (torch.randn(16, d, generator=numbers, dtype=dtype) / d**0.5 for _ in range(4))
    key, of_key = key[:8].repeat(2, 1), of_key[:8].repeat(2, 1)
    given: dict[str, Any] = {"temperature": 0.5, "reduction": "none"}
    extra: dict[str, dict[str, Any]] = {
        "guide": {"guide": (of_query, of_key)},
        "log_q": {"log_q": -torch.arange(16.0)},
        "alone": {},
    }
    given |= extra[options]
    close_to_the_digits = partial(assert_close, rtol=0, atol=2e-5 if dtype == torch.float32 else 1e-11)
    for loss in (f.info_nce, f.symmetric_info_nce):
        for similarity in (Cosine(), DotProduct()):
            # beyond any rounding of inner products of about 1, below the distance of different ones
            little = 1e-4 if dtype == torch.float32 else 1e-9
            stays = loss(query, key, margin=little, similarity=similarity, engine=Dense(), **given)
            goes = loss(query, key, margin=-little, similarity=similarity, engine=Dense(), **given)
            with pytest.raises(AssertionError):
                close_to_the_digits(goes, stays)
            for engine in (Dense(), Tiled(3, 3), Tiled(1, 5)):
                found = loss(query, key, margin=0.0, similarity=similarity, engine=engine, **given)
                close_to_the_digits(found, stays)


@pytest.mark.parametrize("loss", [f.info_nce, f.symmetric_info_nce, f.nt_xent, f.dcl])
@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_candidates_sampled_evenly_need_no_correction(loss: Loss, n: int, d: int, seed: int) -> None:
    query, key = two(n, d, seed)
    lines = 2 * n if loss in (f.nt_xent, f.dcl) else n
    even = torch.full((lines,), math.log(1 / 50), dtype=torch.float64)
    plain = loss(query, key, reduction="none")
    close(loss(query, key, reduction="none", log_q=even), plain)
    uneven = even + torch.linspace(-1, 1, lines, dtype=torch.float64)
    with pytest.raises(AssertionError):
        close(loss(query, key, reduction="none", log_q=uneven), plain)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds, eps=st.floats(0, 0.99))
def test_label_smoothing_mixes_the_target_with_the_even_one(n: int, d: int, seed: int, eps: float) -> None:
    query, key = two(n, d, seed)
    similarity = F.normalize(query) @ F.normalize(key).T / 0.1
    even = torch.logsumexp(similarity, 1) - similarity.mean(1)
    plain = f.info_nce(query, key, reduction="none")
    close(f.info_nce(query, key, label_smoothing=eps, reduction="none"), (1 - eps) * plain + eps * even)
