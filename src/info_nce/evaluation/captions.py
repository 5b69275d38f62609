"""Do pictures and captions that the towers never saw find each other? Beside chance, no training, and a closed form."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from info_nce.data.captioned import CaptionedSet
from info_nce.data.splits import Splits
from info_nce.evaluation.retrieval import Ranks, ranks_of
from info_nce.evaluation.ridge import STRENGTHS, Ridge, fit_ridge
from info_nce.evaluation.scorecard import CHANCE, TRAINED, UNTRAINED, Score, Scorecard
from info_nce.evaluation.scoring import paired_difference
from info_nce.recipes.base import Embedder
from info_nce.recipes.runs import Run

RIDGE, SUM = "ridge", "trained + ridge"
TO_TEXT, TO_PICTURE = "picture to text", "text to picture"
HEADLINE = f"R@10 {TO_PICTURE}"
PROMPTS = ("{}", "a picture of {}")
"""In which a category's name is put; the class is the mean of what comes out (Radford et al. 2021, section 3.1.4)."""
SHOWN = {"id": "Indonesian", "zh": "Chinese"}
"""Languages with a line of their own; all together have one more."""
_SHARES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
_FEW = 50

Pictures = Mapping[str, Float[Tensor, "n d"]]
"""The test pictures as each system sees them."""


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """Something that turns pictures and texts into points of one space.

    Args:
        name: of the scorecard's row.
        embedders: of "image" and "text".
        setting: what was chosen on the validation part, in words.
    """

    name: str
    embedders: Mapping[str, Embedder]
    setting: str = ""


def evaluate_captions(run: Run[CaptionedSet]) -> Scorecard:
    """How high up do pictures and captions of the test part find each other?

    Every choice, such as the strength of the ridge, is made on the validation part.

    Args:
        run: with trained towers, finished or not.

    Raises:
        RunError: the data is not what the run was trained on, or an embedding is not finite.
    """
    splits = run.splits()
    ridge = choose_ridge(splits)
    trained = System(TRAINED, run.embedders())
    together = choose_sum(trained, ridge, splits.validation)
    systems = (System(UNTRAINED, run.embedders(trained=False)), ridge, trained, together)
    pictures = {system.name: system.embedders["image"](splits.test.images) for system in systems}
    found = {system.name: _ranks(system, splits.test, pictures[system.name]) for system in systems}
    scores = [*_chance(next(iter(found.values()))), *_retrieval(found, systems)]
    scores += [*_classes(systems, splits, pictures), *_names(systems, splits.test, pictures)]
    return Scorecard(
        run=run.path.resolve().name,
        recipe=run.recipe.name,
        weights=run.fingerprint(),
        counts={name: len(part) for name, part in splits.parts().items()},
        headline=HEADLINE,
        scores=tuple(scores),
        notes=tuple(_notes(run, splits, found)),
    )


def choose_ridge(splits: Splits[CaptionedSet]) -> System:
    """The closed form, with the strength under which the validation part is found best."""
    fitted = [fit_ridge(splits.train.images, splits.train.texts(), strength) for strength in STRENGTHS]
    best = max(fitted, key=lambda ridge: recall_both_ways(_as_system(ridge), splits.validation))
    return _as_system(best)


def choose_sum(one: System, other: System, validation: CaptionedSet) -> System:
    """The weighted sum of two systems' similarities, with the weights under which the validation part is found best."""
    summed = [_summed(one, other, share) for share in _SHARES]
    return max(summed, key=lambda system: recall_both_ways(system, validation))


def recall_both_ways(system: System, part: CaptionedSet, k: int = 10) -> float:
    """The mean of R@k of both directions; of equal ones the smaller mean rank decides."""
    both = _ranks(system, part, system.embedders["image"](part.images)).values()
    # The sum of reciprocal ranks breaks ties, and is too small to do more.
    return sum(ranks.recall(k)[0] + 1e-6 * ranks.ranks.reciprocal().mean().item() for ranks in both) / 2


def _as_system(ridge: Ridge) -> System:
    return System(RIDGE, {"image": ridge.images, "text": ridge.texts}, f"strength {ridge.strength:g}")


def _summed(one: System, other: System, share: float) -> System:
    # The inner product of joined unit vectors is the sum of the cosines.
    def joined(kind: str) -> Embedder:
        def embed(items: object) -> Tensor:
            sides = (functional.normalize(system.embedders[kind](items), dim=1) for system in (one, other))
            return torch.cat(
                [side * math.sqrt(weight) for side, weight in zip(sides, (1 - share, share), strict=True)], 1
            )

        return embed

    return System(SUM, {kind: joined(kind) for kind in ("image", "text")}, f"{share:g} of the sum is {other.name}'s")


def _ranks(system: System, part: CaptionedSet, images: Float[Tensor, "n d"]) -> dict[str, Ranks]:
    texts, tags = system.embedders["text"](part.texts()), part.tags()
    return {TO_TEXT: ranks_of(images, texts, tags), TO_PICTURE: ranks_of(texts, images, tags)}


def _chance(both: Mapping[str, Ranks]) -> Iterator[Score]:
    for way, ranks in both.items():
        for k in (1, 5, 10):
            yield Score(CHANCE, f"R@{k} {way}", ranks.chance(k))
        yield Score(CHANCE, f"median rank {way}", ranks.chance_median(), unit="rank")


def _retrieval(found: Mapping[str, Mapping[str, Ranks]], systems: Sequence[System]) -> Iterator[Score]:
    for system in systems:
        for way, ranks in found[system.name].items():
            for k in (1, 5, 10):
                yield Score(system.name, f"R@{k} {way}", *ranks.recall(k), system.setting)
            yield Score(system.name, f"median rank {way}", *ranks.median(), system.setting, unit="rank")


def _classes(systems: Sequence[System], splits: Splits[CaptionedSet], pictures: Pictures) -> Iterator[Score]:
    """Zero-shot: which category's name is most like the picture?"""
    names = sorted({*splits.train.categories, *splits.test.categories} - {""})
    asked = [i for i, category in enumerate(splits.test.categories) if category]
    if len(names) < 2 or not asked:
        return
    measure = "category of a picture, zero-shot"
    labels = torch.tensor([names.index(splits.test.categories[i]) for i in asked])
    texts = [prompt.format(name.replace(" & ", ", ")) for name in names for prompt in PROMPTS]
    yield Score(CHANCE, measure, 1 / len(names))
    for system in systems:
        prompts = functional.normalize(system.embedders["text"](texts), dim=1).reshape(len(names), len(PROMPTS), -1)
        likeness = (
            functional.normalize(pictures[system.name][asked], dim=1)
            @ functional.normalize(prompts.mean(dim=1), dim=1).T
        )
        right = likeness.argmax(dim=1) == labels
        share = right.double().mean().item()
        yield Score(system.name, measure, share, math.sqrt(share * (1 - share) / len(right)), system.setting)


def _names(systems: Sequence[System], test: CaptionedSet, pictures: Pictures) -> Iterator[Score]:
    """Names alone, in other languages: what training never saw, but for words that languages share."""
    tags = test.tags()
    asked = {language: [i for i, name in enumerate(names) if name] for language, names in test.names.items()}
    asked = {language: places for language, places in asked.items() if places}
    for system in systems if asked else ():
        found = {}
        for language, places in asked.items():
            texts = system.embedders["text"]([test.names[language][i] for i in places])
            found[language] = ranks_of(texts, pictures[system.name], tags[places], tags)
        for language, spelled in SHOWN.items():
            if language in found:
                yield Score(system.name, f"R@10 {spelled} name to picture", *found[language].recall(10))
        ranks, right = (torch.cat([getattr(one, of) for one in found.values()]) for of in ("ranks", "right"))
        pooled = Ranks(ranks, right, len(test))
        # The same pictures in every language: what is independent are the pictures, not all of the answers.
        error = pooled.recall(10)[1] * math.sqrt(len(found))
        measure = f"R@10 name to picture, {len(found)} languages"
        if system is systems[0]:
            yield Score(CHANCE, measure, pooled.chance(10))
        yield Score(system.name, measure, pooled.recall(10)[0], error)


def _notes(
    run: Run[CaptionedSet], splits: Splits[CaptionedSet], found: Mapping[str, Mapping[str, Ranks]]
) -> Iterator[str]:
    if run.note:
        yield run.note
    for system in (TRAINED, SUM):
        gains = []
        for way in (TO_TEXT, TO_PICTURE):
            gain, error = paired_difference(*(found[one][way].hits(10) for one in (system, RIDGE)))
            gains.append(f"{100 * gain:+.1f} ± {100 * error:.1f} points of R@10 {way}")
        yield f"{system} against the ridge, on the same items: {', '.join(gains)}."
    things = len(set(splits.test.groups))
    if things < _FEW:
        yield f"Only {things} things in the test part: chance is high, and the errors are large."
    if categories := Counter(category for category in splits.test.categories if category):
        most, count = categories.most_common(1)[0]
        share = 100 * count / categories.total()
        yield f"Always answering {most!r} would name {share:.1f} % of the test pictures' categories rightly."
    yield from splits.facts.notes
