"""What must hold of every loss when a batch is in another order, or is given twice."""

# N items or queries, D features

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from info_nce import functional as f
from tests.laws.losses import LOSSES, Loss, close, every_loss, explicit, own_queue, two
from tests.strategies import law, normal, seeds, some_sizes


@every_loss
@law
@given(n=some_sizes, d=some_sizes, seed=seeds, data=st.data())
def test_the_order_of_the_pairs_only_permutes(loss: Loss, n: int, d: int, seed: int, data: st.DataObject) -> None:
    query, key = two(n, d, seed)
    order = torch.tensor(data.draw(st.permutations(range(n))))
    if loss is own_queue:  # its queue repeats the first key
        order = torch.cat([torch.zeros(1, dtype=torch.int64), order[order != 0]])
    if loss is explicit:  # its negatives are a rotation of the keys
        order = torch.arange(n).roll(int(order[0]))
    plain = loss(query, key, reduction="none")
    permuted = loss(query[order], key[order], reduction="none")
    lines = torch.cat([order + start for start in range(0, len(plain), n)])
    close(permuted, plain[lines])
    close(loss(query[order], key[order]), loss(query, key))


def test_permuting_one_side_alone_changes_every_loss() -> None:
    query, key = two(5, 4, 3)
    for name, loss in LOSSES.items():
        if name == "sup_con, one label":
            continue  # there it does not matter who is whose view
        with pytest.raises(AssertionError):
            close(loss(query, key.roll(1, 0)), loss(query, key))


@law
@given(n=some_sizes, d=some_sizes, m=some_sizes, seed=seeds)
def test_duplicating_the_queries_leaves_the_mean(n: int, d: int, m: int, seed: int) -> None:
    query, key = two(n, d, seed)
    negatives = normal(m, d, seed=seed + 9)
    for loss in (f.info_nce, f.moco):
        once = loss(query, key, negatives)
        close(loss(query.repeat(3, 1), key.repeat(3, 1), negatives), once)
        with pytest.raises(AssertionError):
            close(loss(query.repeat(3, 1), key.repeat(3, 1), negatives, reduction="sum"), 1.5 * once)


@law
@given(n=some_sizes, d=some_sizes, seed=seeds)
def test_pairs_given_twice_with_their_ids_meet_each_stranger_twice_and_themselves_never(
    n: int, d: int, seed: int
) -> None:
    query, key = two(n, d, seed)
    for loss in (f.info_nce, f.nt_xent, partial(f.retrieval_info_nce, margin=None)):
        twice, without_ids = (
            loss(query.repeat(2, 1), key.repeat(2, 1), temperature=1.0, ids=ids, reduction="none").view(-1, 2, n)
            for ids in (torch.arange(n).repeat(2), None)
        )
        once = loss(query, key, temperature=1.0, reduction="none").view(-1, 1, n)
        # e^loss - 1 is the sum over the strangers, relative to the positive
        close(torch.expm1(twice), 2 * torch.expm1(once).expand_as(twice))
        with pytest.raises(AssertionError):
            close(without_ids, twice)
    once = f.dcl(query, key, reduction="none").view(2, 1, n)
    twice = f.dcl(query.repeat(2, 1), key.repeat(2, 1), ids=torch.arange(n).repeat(2), reduction="none")
    close(twice.view(2, 2, n), (once + math.log(2)).expand(2, 2, n))
