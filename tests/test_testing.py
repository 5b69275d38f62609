"""check_loss agrees with right functions, and names what is wrong with wrong ones, as a stranger would write them."""

# N pairs, D features

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

import info_nce as library
from info_nce import from_scratch, functional
from info_nce.checks import ArgumentError, DTypeError, WrongLossError
from info_nce.mistakes import REMEDIES, Kind, known_mistakes, views_of
from info_nce.testing import check_loss

KINDS: tuple[Kind, ...] = get_args(Kind)


def cosines(query: Tensor, key: Tensor) -> Tensor:
    return F.normalize(query, dim=1) @ F.normalize(key, dim=1).T


def own(query: Tensor) -> Tensor:
    return torch.arange(len(query))


def by_hand_stacked(views: Tensor, temperature: float) -> Tensor:
    logits = (cosines(views, views) / temperature).masked_fill(torch.eye(len(views), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, own(views).roll(len(views) // 2))


def unit_by(length: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, float], Tensor]:
    """InfoNCE of vectors divided by what somebody takes for their length (N, 1)."""

    def loss(query: Tensor, key: Tensor, temperature: float) -> Tensor:
        query, key = (x / length(x.norm(dim=1, keepdim=True)) for x in (query, key))
        return F.cross_entropy(query @ key.T / temperature, own(query))

    return loss


def positive_first(query: Tensor, key: Tensor, temperature: float, hardest: int | None = None) -> Tensor:
    similarity = cosines(query, key)
    others = similarity[~torch.eye(len(query), dtype=torch.bool)].reshape(len(query), -1)
    others = others.topk(min(hardest or len(query), len(query) - 1), 1).values
    logits = torch.cat([similarity.diagonal()[:, None], others], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long))


def one_by_one(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    losses = []
    for i, row in enumerate(query):
        logits = torch.stack([F.cosine_similarity(row, other, dim=0) for other in key]) / temperature
        losses.append(logits.logsumexp(0) - logits[i])
    return torch.stack(losses).mean()


def by_distance(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    squares = (F.normalize(query)[:, None] - F.normalize(key)[None]).square().sum(-1)
    return F.cross_entropy(-squares / 2 / temperature, own(query))


def in_blocks(views: Tensor, temperature: float) -> Tensor:
    """As in SimCLR's own code: the sum of two, each a side's choice among the other side and its own."""
    one, two = F.normalize(views).chunk(2)
    itself = 1e9 * torch.eye(len(one), dtype=one.dtype)
    cross = one @ two.T / temperature
    first = torch.cat([cross, one @ one.T / temperature - itself], 1)
    second = torch.cat([cross.T, two @ two.T / temperature - itself], 1)
    return F.cross_entropy(first, own(one)) + F.cross_entropy(second, own(one))


def without_itself(views: Tensor, temperature: float) -> Tensor:
    """As in lightly: the diagonal is taken out, and what is right of it moves by one."""
    places = own(views)
    logits = cosines(views, views)[~torch.eye(len(views), dtype=torch.bool)].reshape(len(views), -1) / temperature
    partner = places.roll(len(views) // 2)
    return F.cross_entropy(logits, partner - (partner > places).long())


RIGHT: dict[str, tuple[Callable[..., object], Kind]] = {
    "by hand": (from_scratch.info_nce, "info_nce"),
    "by hand, symmetric": (from_scratch.symmetric_info_nce, "symmetric"),
    "by hand, interleaved": (from_scratch.nt_xent, "interleaved"),
    "by hand, stacked": (by_hand_stacked, "stacked"),
    "the library": (lambda q, k, t: functional.info_nce(q, k, temperature=t), "info_nce"),
    "a face": (lambda q, k, t: library.CLIPLoss(t, learnable=False)(q, k), "symmetric"),
    "a length without a guard": (unit_by(lambda length: length), "info_nce"),
    "a length and next to nothing": (unit_by(lambda length: length + 1e-8), "info_nce"),
    "a length of at least little": (unit_by(lambda length: length.clamp(min=1e-3)), "info_nce"),
    "a root of more than nothing": (unit_by(lambda length: (length.square() + 1e-8).sqrt()), "info_nce"),
    "by torch": (lambda q, k, t: F.cross_entropy(F.cosine_similarity(q[:, None], k[None], -1) / t, own(q)), "info_nce"),
    "the positive first": (positive_first, "info_nce"),
    "one by one": (one_by_one, "info_nce"),
    "by distance": (by_distance, "info_nce"),
    "in blocks": (lambda views, t: in_blocks(views, t) / 2, "stacked"),
    "without itself": (without_itself, "stacked"),
    "with log-softmax": (lambda q, k, t: -(cosines(q, k) / t).log_softmax(1).diagonal().mean(), "info_nce"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_function_is_called_right(name: str) -> None:
    assert check_loss(*RIGHT[name]).startswith("This is ")


def undivided(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    similarity = cosines(query, key)
    positive = similarity.diagonal()
    negatives = (similarity / temperature).masked_fill(torch.eye(len(query), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(torch.cat([positive[:, None], negatives], 1), torch.zeros(len(query), dtype=torch.long))


def exponentials(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    cells = torch.exp(cosines(query, key) / temperature)
    return -torch.log(cells.diagonal() / cells.sum(1)).mean()


def logarithm_of_the_sum(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    logits = cosines(query, key) / temperature
    return (logits.exp().sum(1).log() - logits.diagonal()).mean()


def with_epsilon(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return -torch.log((cosines(query, key) / temperature).softmax(1).diagonal() + 1e-8).mean()


def along_the_batch(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return F.cross_entropy(F.normalize(query, dim=0) @ F.normalize(key, dim=0).T / temperature, own(query))


def labels_of_a_queue(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return F.cross_entropy(cosines(query, key) / temperature, torch.zeros(len(query), dtype=torch.long))


def added(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return from_scratch.info_nce(query, key, temperature) + from_scratch.info_nce(key, query, temperature)


def two_classes(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """A positive among all keys and all keys once more: 2 N candidates, on no list."""
    logits = cosines(query, key) / temperature
    return F.cross_entropy(torch.cat([logits, logits + 1e-9], 1), own(query))


def over_everything(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    logits = cosines(query, key) / temperature
    return -logits.flatten().log_softmax(0).reshape(logits.shape).diagonal().mean()


def without_logarithm(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return F.nll_loss((cosines(query, key) / temperature).softmax(1), own(query))


def of_sides(loss: Callable[..., object], kind: Kind) -> Callable[..., object]:
    """A loss of query and key, as one of their views."""

    def of_views(views: Tensor, temperature: float) -> object:
        one, two = views.chunk(2) if kind == "stacked" else (views[::2], views[1::2])
        return loss(one, two, temperature)

    return of_views


def halves(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    return from_scratch.info_nce(query, key, temperature) * 0.9


def without_diagonal(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """The positive is no candidate: N - 1 of them."""
    logits = cosines(query, key) / temperature
    rivals = logits[~torch.eye(len(query), dtype=torch.bool)].reshape(len(query), -1)
    return (torch.logsumexp(rivals, 1) - logits.diagonal()).mean()


def doubled(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    logits = cosines(query, key) / temperature
    return F.cross_entropy(
        torch.cat([logits.diagonal()[:, None], logits], 1), torch.zeros(len(query), dtype=torch.long)
    )


def nt_xent_with_itself(views: Tensor, temperature: float) -> Tensor:
    return F.cross_entropy(cosines(views, views) / temperature, own(views) ^ 1)


WRONG: list[tuple[str | None, Callable[..., object], Kind]] = [
    ("positive not divided", undivided, "info_nce"),
    ("inverse temperature", lambda q, k, t: from_scratch.info_nce(q, k, 1 / t), "info_nce"),
    ("inverse temperature", lambda q, k, t: from_scratch.symmetric_info_nce(q, k, 1 / t), "symmetric"),
    ("no temperature", lambda q, k, _: F.cross_entropy(cosines(q, k), own(q)), "info_nce"),
    ("divided twice", lambda q, k, t: F.cross_entropy(cosines(q, k) / t / t, own(q)), "info_nce"),
    ("not normalised", lambda q, k, t: F.cross_entropy(q @ k.T / t, own(q)), "info_nce"),
    ("not normalised", lambda q, k, t: F.cross_entropy(q @ F.normalize(k).T / t, own(q)), "info_nce"),
    ("normalised along the batch", along_the_batch, "info_nce"),
    ("exp before log", exponentials, "info_nce"),
    ("exp before log", logarithm_of_the_sum, "info_nce"),
    ("small probabilities cut off", with_epsilon, "info_nce"),
    ("softmax twice", lambda q, k, t: F.cross_entropy((cosines(q, k) / t).softmax(1), own(q)), "info_nce"),
    ("positive left out of the sum", without_diagonal, "info_nce"),
    ("positive counted twice", doubled, "info_nce"),
    ("wrong labels", labels_of_a_queue, "info_nce"),
    ("wrong direction", lambda q, k, t: -(cosines(q, k) / t).log_softmax(0).diagonal().mean(), "info_nce"),
    ("both directions", from_scratch.symmetric_info_nce, "info_nce"),
    ("queries among the candidates", lambda q, k, t: by_hand_stacked(torch.cat([q, k]), t), "info_nce"),
    ("one direction only", from_scratch.info_nce, "symmetric"),
    ("sum of both directions", added, "symmetric"),
    ("sum", lambda q, k, t: F.cross_entropy(cosines(q, k) / t, own(q), reduction="sum"), "info_nce"),
    ("sum", lambda v, t: from_scratch.nt_xent(v, t) * len(v), "interleaved"),
    ("gradient detached", lambda q, k, t: from_scratch.info_nce(q.detach(), k.detach(), t), "info_nce"),
    ("gradient detached", lambda v, t: from_scratch.nt_xent(v.data, t), "interleaved"),
    ("key detached", lambda q, k, t: from_scratch.info_nce(q, k.detach(), t), "info_nce"),
    ("itself among the candidates", nt_xent_with_itself, "interleaved"),
    ("wrong pairs", from_scratch.nt_xent, "stacked"),
    ("wrong pairs", by_hand_stacked, "interleaved"),
    ("wrong number of candidates", two_classes, "info_nce"),
    ("wrong number of candidates", lambda q, k, t: positive_first(q, k, t, hardest=10), "info_nce"),
    ("epsilon in the norm", unit_by(lambda length: length + 1e-6), "info_nce"),
    ("epsilon in the norm", unit_by(lambda length: (length.square() + 1e-5).sqrt()), "info_nce"),
    ("epsilon in the norm", unit_by(lambda length: length.clamp(min=0.5)), "info_nce"),
    ("probabilities without their logarithm", without_logarithm, "info_nce"),
    ("softmax over the whole matrix", over_everything, "info_nce"),
    ("sum of both directions", added, "info_nce"),
    ("sum of both directions", lambda q, k, t: in_blocks(torch.cat([q, k]), t), "info_nce"),
    ("sum of both directions", in_blocks, "stacked"),
    ("sum of both directions", of_sides(lambda a, b, t: in_blocks(torch.cat([a, b]), t), "interleaved"), "interleaved"),
    ("sum of both directions", of_sides(added, "stacked"), "stacked"),
    ("own side left out", of_sides(from_scratch.symmetric_info_nce, "stacked"), "stacked"),
    ("own side left out", of_sides(from_scratch.info_nce, "interleaved"), "interleaved"),
    ("queries among the candidates", lambda q, k, t: in_blocks(torch.cat([q, k]), t) / 2, "symmetric"),
    (None, lambda q, k, t: 3 * from_scratch.info_nce(q, k, t), "info_nce"),
    (None, halves, "info_nce"),
    (None, lambda q, k, t: from_scratch.info_nce(q, k, t) * torch.nan, "info_nce"),
    ("no tensor", lambda q, k, t: from_scratch.info_nce(q, k, t).item(), "info_nce"),
    ("not one number", lambda q, k, t: F.cross_entropy(cosines(q, k) / t, own(q), reduction="none"), "info_nce"),
    ("wrong dtype", lambda q, k, t: from_scratch.info_nce(q.float(), k.float(), t), "info_nce"),
    ("wrong dtype", lambda q, k, t: from_scratch.info_nce(q.double(), k.double(), t), "info_nce"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "function", "kind"), WRONG)
def test_a_wrong_function_is_told_what_is_wrong(
    mistake: str | None, function: Callable[..., object], kind: Kind
) -> None:
    with pytest.raises(WrongLossError) as found:
        check_loss(function, kind)
    assert found.value.mistake == mistake
    lines = str(found.value).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["got", "expected", "try"]
    assert (mistake or "in no way known here") in lines[0]


def test_an_unknown_mistake_shows_both_numbers() -> None:
    with pytest.raises(WrongLossError, match=r"(?s)seven pairs: 0\.4446.*expected  0\.4941\d+, as InfoNCE has it"):
        check_loss(halves)


@pytest.mark.parametrize("kind", KINDS)
def test_every_known_mistake_is_recognised_as_itself(kind: Kind) -> None:
    for name, wrong in known_mistakes(kind):
        function = wrong if kind in {"info_nce", "symmetric"} else of_sides(wrong, kind)
        with pytest.raises(WrongLossError) as found:
            check_loss(function, kind)
        assert found.value.mistake == name


def test_every_remedy_belongs_to_a_mistake_and_every_mistake_has_one() -> None:
    assert {name for kind in KINDS for name, _ in known_mistakes(kind)} == set(REMEDIES)
    assert {name for name, *_ in WRONG} >= {*REMEDIES} - {
        "bits", "wrong sign", "mean in the denominator", "length detached", "negatives detached", "query detached",
        "half of the views",
    }  # fmt: skip


@pytest.mark.parametrize("function", [None, "info_nce", cosines, from_scratch.nt_xent, library.CLIPLoss()])
def test_what_cannot_be_called_is_told_how_it_is_called(function: Any) -> None:
    with pytest.raises(DTypeError, match=r"expected  function\(query, positive_key, temperature\)"):
        check_loss(function)
    with pytest.raises(DTypeError, match=r"expected  function\(views, temperature\)"):
        check_loss(exponentials, "stacked")


def test_a_function_whose_arguments_nobody_knows_is_tried() -> None:
    with pytest.raises(TypeError, match="positional arguments but 3 were given"):
        check_loss(torch.add)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_are_switched_on_for_the_check(off: Callable[[], AbstractContextManager[None]]) -> None:
    with off():
        assert check_loss(from_scratch.info_nce).startswith("This is InfoNCE")


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ArgumentError, match="kind is unknown"):
        check_loss(from_scratch.info_nce, "supervised")  # type: ignore[arg-type]  # on purpose


def test_asking_leaves_the_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    check_loss(from_scratch.info_nce)
    assert torch.equal(before, torch.get_rng_state())


def test_the_two_layouts_are_what_they_say() -> None:
    one, two = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]])
    assert views_of(one, two, "interleaved").flatten().tolist() == [1, 3, 2, 4]
    assert views_of(one, two, "stacked").flatten().tolist() == [1, 2, 3, 4]
