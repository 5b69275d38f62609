"""Pictures and what people say about them: a part of a data set, and the split that keeps what belongs together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from info_nce.data.splits import SPLIT_SEED, Facts, Splits
from info_nce.errors import DataError

BETWEEN = ", "
"""Between the parts of a caption, where all of it is read as one text."""


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedSet:
    """Pictures of one size as bytes, each with a caption in one or more parts.

    Args:
        name: of this part of the data, such as "emoji/train".
        images: one picture per row.
        captions: the parts of each picture's caption, such as a name and keywords; never without one.
        groups: which pictures show the same thing: equal tags are positives of each other, and no negatives.
        rows: what to call each pair, so that a person finds it again.
        categories: a broader class of each picture, which only the evaluation sees; "" where nobody said.
        names: the name in other languages, by language, which only the evaluation sees; "" where there is none.
    """

    name: str
    images: UInt8[Tensor, "n c h w"]
    captions: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    rows: tuple[str, ...]
    categories: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.images)

    def content(self) -> Iterator[bytes]:
        """All that training and evaluation read, in the order of the pairs."""
        yield f"{tuple(self.images.shape)}".encode()
        yield self.images.contiguous().numpy().tobytes()
        told: list[object] = [self.captions, self.groups, self.categories, sorted(self.names.items())]
        yield from (repr(one).encode() for one in told)

    def about(self) -> dict[str, Any]:
        """What a model has to know in order to be built."""
        return {"channels": self.images.shape[1], "image_size": self.images.shape[-1]}

    def items(self, kind: str) -> UInt8[Tensor, "n c h w"] | list[str]:
        """All pictures ("image"), or all captions ("text").

        Raises:
            DataError: there are no items of another kind.
        """
        if kind not in {"image", "text"}:
            raise DataError(
                f"{self.name} has no items of the kind {kind!r}.",
                got=kind,
                expected="image or text",
                advice="ask for one of these",
            )
        return self.images if kind == "image" else self.texts()

    def texts(self) -> list[str]:
        """Each caption as one text."""
        return [BETWEEN.join(parts) for parts in self.captions]

    def ids(self) -> Sequence[str]:
        """What to call each pair."""
        return self.rows

    def tags(self) -> Int64[Tensor, " n"]:
        """The groups as numbers."""
        numbers = {group: number for number, group in enumerate(dict.fromkeys(self.groups))}
        return torch.tensor([numbers[group] for group in self.groups], dtype=torch.int64)

    def take(self, index: Sequence[int], name: str) -> "CaptionedSet":
        """Choose pairs, with everything that belongs to them."""
        return replace(
            self,
            name=name,
            images=self.images[torch.as_tensor(index, dtype=torch.int64)],
            captions=tuple(self.captions[i] for i in index),
            groups=tuple(self.groups[i] for i in index),
            rows=tuple(self.rows[i] for i in index),
            categories=tuple(self.categories[i] for i in index),
            names={language: tuple(said[i] for i in index) for language, said in self.names.items()},
        )


def kept_together(units: Sequence[str], sizes: tuple[int, int], *, largest: int | None = None) -> dict[str, list[int]]:
    """Cut items into a validation and a test part of about these sizes and the rest, no unit in two of them.

    Args:
        units: the unit of each item: all of it goes to one side.
        sizes: how many items validation and test are to have; a last unit may be larger than what is missing, and is
            then passed over.
        largest: a unit of more items stays in training; it would be most of what a small part asks about. None = no
            limit.

    Returns:
        The places of the items by part, in order; the same at every call.

    Example:
        >>> kept_together(["a", "b", "b", "c", "d"], (1, 2), largest=2)
        {'train': [1, 2], 'validation': [3], 'test': [0, 4]}
    """
    members: dict[str, list[int]] = {}
    for place, unit in enumerate(units):
        members.setdefault(unit, []).append(place)
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    names, most = list(members), len(units) if largest is None else largest
    missing = dict(zip(("test", "validation"), reversed(sizes), strict=True))
    for number in np.random.default_rng(SPLIT_SEED).permutation(len(names)).tolist():
        chosen = members[names[number]]
        part = next((part for part, room in missing.items() if len(chosen) <= min(room, most)), "train")
        parts[part] += chosen
        if part in missing:
            missing[part] -= len(chosen)
    return {part: sorted(places) for part, places in parts.items()}


def split_groups(
    whole: CaptionedSet,
    units: Mapping[str, str],
    sizes: tuple[int, int],
    facts: Facts,
    source: str,
    *,
    largest: int | None = None,
    one_of_each: bool = False,
) -> Splits[CaptionedSet]:
    """Cut pairs into three fixed parts by `kept_together`, group by group.

    Args:
        whole: all pairs.
        units: of each group: the groups of a unit stay on one side.
        sizes: how many groups validation and test are to have.
        facts: about the whole.
        source: what to give to the loader to have it again.
        largest: a unit of more groups stays in training.
        one_of_each: whether held-out parts have the first pair of each group alone.
    """
    groups = list(dict.fromkeys(whole.groups))
    side = {
        groups[place]: part
        for part, places in kept_together([units[group] for group in groups], sizes, largest=largest).items()
        for place in places
    }
    places: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    seen: set[str] = set()
    for place, group in enumerate(whole.groups):
        if side[group] == "train" or not one_of_each or group not in seen:
            places[side[group]].append(place)
        seen.add(group)
    taken = {part: whole.take(chosen, f"{whole.name}/{part}") for part, chosen in places.items()}
    return Splits(**taken, facts=facts, source=source)
