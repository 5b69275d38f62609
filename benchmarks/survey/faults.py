"""What can be wrong with a training: each fault says what it does, what names it, and when a batch cannot show it."""

# N items, D features, K rows that are there again

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from benchmarks.survey.data import Items, Repeated, Source
from benchmarks.survey.settings import LOSSES, PAIRED, VIEWS, Training
from info_nce.losses import Face
from info_nce.views import cut

__all__ = ["FAULTS", "HEALTHY", "REASONS", "REFUSED", "Fault", "Labelled", "Sides"]

REFUSED = "refused"
"""What counts as found where the loss itself raises an error that says what is wrong."""

Sides = tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]]
Labelled = tuple[Float[Tensor, "n d"], Int64[Tensor, " n"]]
T = TypeVar("T")


def _same(value: T, *_: object) -> T:
    return value


def _nothing(_: object) -> None:
    return


def _shown(_: Training) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to go wrong: what it does to a training, at each place where it may do something.

    Args:
        name: of the fault.
        family: the faults that are counted together, in the words of the page.
        named_by: findings of which one is enough: of the fault, or of what it leads to.
        hidden: why a batch of such a training cannot show it; empty, if it can.
        among: what parts of the training are drawn from, where that is not the usual.
        source: of the items.
        items: of a batch.
        views: that the encoders see.
        embeddings: that come out of them.
        last: what else happens to those that are looked at.
        pairs: views again, where they are for a loss of pairs.
        labelled: rows and labels, as a loss of labels is given them.
        encoder: before training.
        criterion: what is trained with, made of the loss.
        after_step: something done to the loss, at first and after each step.
    """

    name: str
    family: str
    named_by: frozenset[str] = frozenset()
    hidden: Callable[[Training], str] = _shown
    among: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    source: Callable[[Source, Training, torch.Generator], Source] = _same
    items: Callable[[Items, torch.Generator], Items] = _same
    views: Callable[[Sides, torch.Generator], Sides] = _same
    embeddings: Callable[[Sides], Sides] = _same
    last: Callable[[Sides], Sides] = _same
    pairs: Callable[[Sides], Sides] = _same
    labelled: Callable[[Labelled], Labelled] = _same
    encoder: Callable[[nn.Module], nn.Module] = _same
    criterion: Callable[[Face], nn.Module] = _same
    after_step: Callable[[Face], None] = _nothing


HEALTHY = Fault("none", "none")

# ---- why a batch cannot show it

STRANGERS = (
    "pairs that are wrong, before training, unless both views are of one encoder, which `NTXent` and its like imply, "
    "or another order has the right ones"
)
TWO_WITNESSES = "two views that are the same, if two encoders see them"
VIEWS_OF_ONE = "labels that are shuffled, if two views of each item have the same"
NOBODY_SAYS = "an item that is there twice in other views: pass `ids`"
FROZEN = "a frozen encoder"
NO_COLLAPSE = "a learning rate or a weight decay that is too large and yet does not lead to a collapse"
ADAM = "a loss that is multiplied by a number (Adam does not care)"
MAY_GO_WELL = "a temperature of 0.01: many trainings go well with it"
REASONS = (STRANGERS, TWO_WITNESSES, VIEWS_OF_ONE, NOBODY_SAYS, FROZEN, NO_COLLAPSE, ADAM, MAY_GO_WELL)


def _always(reason: str) -> Callable[[Training], str]:
    return lambda _: reason


def _shuffled_at_the_start(training: Training) -> str:
    return STRANGERS if training.steps == 0 and training.loss not in VIEWS else ""


def _moved_at_the_start(training: Training) -> str:
    return STRANGERS if training.steps == 0 and training.encoders == 2 else ""


def _two_encoders(training: Training) -> str:
    return TWO_WITNESSES if training.encoders == 2 else ""


def _labels_of_views(training: Training) -> str:
    if training.two_views:
        return VIEWS_OF_ONE
    return STRANGERS if training.steps == 0 else ""


def _without_ids(training: Training) -> str:
    return "" if training.ids else NOBODY_SAYS


# ---- what is done


def _shuffled(sides: Sides, numbers: torch.Generator) -> Sides:
    return sides[0], sides[1][torch.randperm(len(sides[1]), generator=numbers)]


def _second(change: Callable[[Tensor], Tensor]) -> Callable[[Sides, torch.Generator], Sides]:
    return lambda sides, _: (sides[0], change(sides[1]))


def _both(change: Callable[[Tensor], Tensor]) -> Callable[[Sides], Sides]:
    return lambda sides: (change(sides[0]), change(sides[1]))


def _identical(sides: Sides, _: torch.Generator) -> Sides:
    return sides[0], sides[0]


def _nearly_identical(sides: Sides, numbers: torch.Generator) -> Sides:
    return sides[0], sides[0] + 1e-3 * torch.randn(sides[0].shape, generator=numbers)


def _alternating(sides: Sides) -> Tensor:
    return torch.stack(sides, 1).flatten(0, 1)


def _halves_of_alternating(sides: Sides) -> Sides:
    first, second = cut(_alternating(sides), 2, interleaved=False)
    return first, second


def _turns_of_stacked(sides: Sides) -> Sides:
    first, second = cut(torch.cat(sides), 2, interleaved=True)
    return first, second


def _rows_alternate(rows: Labelled) -> Labelled:
    first, second = rows[0].chunk(2)
    return _alternating((first, second)), rows[1]


def _labels_alternate(rows: Labelled) -> Labelled:
    return rows[0], torch.stack(rows[1].chunk(2), 1).flatten()


def _nearly_constant(side: Tensor) -> Tensor:
    return 1 + 1e-3 * side


def _constant_second(sides: Sides) -> Sides:
    return sides[0], 0 * sides[1] + 1


def _offset(side: Tensor) -> Tensor:
    return side + 30 * side.detach().std()


def _dead(side: Tensor) -> Tensor:
    return (side - 1e3).relu()


def _line(side: Tensor) -> Tensor:
    return side * (torch.arange(side.shape[1]) < 1)


def _detached_second(sides: Sides) -> Sides:
    return sides[0], sides[1].detach()


def _no_number(sides: Sides) -> Sides:
    rows = torch.arange(len(sides[0])) == len(sides[0]) // 3
    return sides[0].masked_fill(rows[:, None], torch.nan), sides[1]


def _zero_rows(sides: Sides) -> Sides:
    rows = torch.arange(len(sides[0])) % 10 == 0
    return sides[0].masked_fill(rows[:, None], 0), sides[1]


def _again(count: int, share: float) -> Tensor:
    """Which item is at each place: the last ones are drawn from the first, the same for items and their views."""
    copies = int(share * count)
    # in disorder, since a second half that repeats the first is a stacked batch
    again = torch.randint(count - copies, (copies,), generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.arange(count - copies), again])


def _items_again(share: float, items: Items, _: torch.Generator) -> Items:
    return items.at(_again(len(items), share))


def _views_again(share: float, sides: Sides, _: torch.Generator) -> Sides:
    places = _again(len(sides[0]), share)
    return sides[0][places], sides[1][places]


def _few(source: Source, training: Training, numbers: torch.Generator) -> Source:
    count = min(99, max(8, training.batch // 8))
    return Repeated(source, source.items(count, numbers, held_out=False))


def _classes_shuffled(items: Items, numbers: torch.Generator) -> Items:
    places = torch.randperm(len(items), generator=numbers)
    return Items(items.contents, items.classes[places], items.ids)


def _all_different(rows: Labelled) -> Labelled:
    return rows[0], torch.arange(len(rows[0]))


def _all_the_same(rows: Labelled) -> Labelled:
    return rows[0], torch.zeros_like(rows[1])


def _frozen(encoder: nn.Module) -> nn.Module:
    return encoder.requires_grad_(requires_grad=False)


class _Multiplied(nn.Module):
    """A loss times a hundred."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.face = face

    def forward(self, *inputs: Tensor) -> Tensor:
        value: Tensor = self.face(*inputs)
        return 100 * value


def _to_its_clamp(face: Face) -> None:
    face.temperature = face.minimum_temperature


# ---- the list

_NOT_LEARNED = frozenset({"guessing", "too sure", "collapsed"})
_WRONG_PAIRS = _NOT_LEARNED | {"wrong layout", "loss too high at the start"}
_DIVERGED = _NOT_LEARNED | {"not finite", "zero vectors", "few directions"}
_ALIKE = frozenset({"views alike", "loss too low at the start", "saturated"})
_REPEATED = frozenset({"duplicates", "likely false negatives"})
_BEGUN = (100, 40, 300, 300)
"""Steps of trainings whose fault is one of training."""
_WITHOUT_BIAS = tuple(name for name in LOSSES if name not in {"SigLIP", "CLIPLoss"})
"""Losses whose temperature is as they are told."""
_WITH_INNER_PRODUCTS = tuple(name for name in LOSSES if name not in {"SigLIP", "DebiasedInfoNCE"})
"""Losses that they may do harm to: SigLIP comes to terms with them, DebiasedInfoNCE refuses them."""


def _pairs(
    name: str,
    change: Callable[[Sides, torch.Generator], Sides],
    hidden: Callable[[Training], str],
    family: str = "one side moved by a row, or back to front",
) -> Fault:
    return Fault(name, family, _WRONG_PAIRS, hidden, {"loss": PAIRED}, views=change)


def _layout(name: str, pairs: Callable[[Sides], Sides], labelled: Callable[[Labelled], Labelled]) -> Fault:
    family = "views cut as if in another layout"
    # one batch with two views of each item, which somebody cuts
    among = {"encoders": (1,), "two_views": (True,), "own_labels": (True,)}
    return Fault(name, family, frozenset({"wrong layout"}), among=among, pairs=pairs, labelled=labelled)


def _point(name: str, change: Callable[[Sides], Sides], losses: tuple[str, ...] = tuple(LOSSES)) -> Fault:
    return Fault(name, "embeddings in one point", frozenset({"collapsed"}), among={"loss": losses}, embeddings=change)


def _diverging(name: str, **setting: float) -> Fault:
    among: dict[str, tuple[Any, ...]] = {key: (value,) for key, value in setting.items()}
    among |= {"steps": (300,), "encoder": ("two layers", "three layers", "batch norm")}
    return Fault(name, "learning rate or weight decay", _DIVERGED, _always(NO_COLLAPSE), among)


def _temperature(value: float, hidden: Callable[[Training], str] = _shown) -> Fault:
    size = "small" if value < 0.1 else "large"
    among: dict[str, tuple[Any, ...]] = {
        "temperature": (value,),
        "loss": _WITHOUT_BIAS,
        **({"steps": _BEGUN} if size == "small" else {}),
    }
    return Fault(
        f"temperature {value:g}",
        f"temperature too {size}",
        frozenset({f"temperature too {size}"}),
        hidden,
        among,
    )


def _repeated(percent: int) -> Iterator[Fault]:
    """Items that are there twice in a batch: in other views, and in the same ones."""
    again = partial(_items_again, percent / 100)
    among = {"loss": PAIRED}
    yield Fault(f"{percent} % duplicates", "items twice, in other views", _REPEATED, _without_ids, among, items=again)
    yield Fault(
        f"{percent} % copies",
        "items twice, in the same views",
        frozenset({"duplicates"}),
        among=among,
        items=again,
        views=partial(_views_again, percent / 100),
    )


_LIST = (
    _pairs("shuffled", _shuffled, _shuffled_at_the_start, "pairs shuffled"),
    _pairs("one row down", _second(lambda side: side.roll(1, 0)), _moved_at_the_start),
    _pairs("one row up", _second(lambda side: side.roll(-1, 0)), _moved_at_the_start),
    _pairs("back to front", _second(lambda side: side.flip(0)), _moved_at_the_start),
    _layout("alternating cut in halves", _halves_of_alternating, _rows_alternate),
    _layout("stacked cut in turns", _turns_of_stacked, _labels_alternate),
    _point("nearly constant", _both(_nearly_constant)),
    _point("one side constant", _constant_second, PAIRED),
    _point("offset", _both(_offset)),
    Fault(
        "one direction",
        "embeddings on a line",
        frozenset({"few directions", "collapsed", "guessing", "duplicates", "zero vectors"}),
        embeddings=_both(_line),
    ),
    Fault("dead ReLU", "embeddings of zeros", frozenset({"zero vectors"}), embeddings=_both(_dead)),
    Fault("zero rows", "embeddings of zeros", frozenset({"zero vectors"}), last=_zero_rows),
    Fault("NaN", "embeddings with NaN", frozenset({"not finite"}), last=_no_number),
    Fault(
        "detached",
        "one side without a gradient",
        frozenset({"no gradient on one side"}),
        # MoCo's keys have none by design
        among={"loss": tuple(name for name in PAIRED if name != "MoCo")},
        embeddings=_detached_second,
    ),
    _diverging("weight decay 300", weight_decay=300.0),
    _diverging("learning rate 0.1", learning_rate=0.1),
    _diverging("learning rate 1", learning_rate=1.0),
    _temperature(0.001),
    _temperature(0.003),
    _temperature(0.01, _always(MAY_GO_WELL)),
    _temperature(2.0),
    _temperature(5.0),
    _temperature(10.0),
    Fault(
        "clamped",
        "temperature at its clamp",
        frozenset({"temperature at its clamp"}),
        among={"loss": ("CLIPLoss",), "learnable": (True,)},
        after_step=_to_its_clamp,
    ),
    Fault(
        "inner products",
        "inner products, not normalised",
        frozenset({"not normalised"}),
        among={"dot_product": (True,), "loss": _WITH_INNER_PRODUCTS},
    ),
    *_repeated(5),
    *_repeated(20),
    *_repeated(50),
    Fault("few items", "items twice, in other views", _REPEATED, _without_ids, {"loss": PAIRED}, source=_few),
    Fault("identical", "views all but the same", _ALIKE, _two_encoders, {"loss": PAIRED}, views=_identical),
    Fault("near", "views all but the same", _ALIKE, _two_encoders, {"loss": PAIRED}, views=_nearly_identical),
    Fault(
        "all different",
        "labels all different",
        frozenset({"without a positive", REFUSED}),
        among={"loss": ("SupCon",), "two_views": (False,)},
        labelled=_all_different,
    ),
    Fault(
        "all the same",
        "labels all the same",
        frozenset({"without a negative"}),
        among={"loss": ("SupCon",)},
        labelled=_all_the_same,
    ),
    Fault(
        "labels shuffled",
        "labels shuffled",
        _NOT_LEARNED,
        _labels_of_views,
        {"loss": ("SupCon",)},
        items=_classes_shuffled,
    ),
    Fault("frozen", "encoder frozen", hidden=_always(FROZEN), among={"steps": _BEGUN}, encoder=_frozen),
    Fault("multiplied", "loss multiplied", hidden=_always(ADAM), among={"steps": _BEGUN}, criterion=_Multiplied),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _LIST}
