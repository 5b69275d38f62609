"""What a report shows of a run: its numbers, and, of one on pictures, some drawn by chance that it never trained on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from info_nce.data import Facts, ImageSet
from info_nce.errors import RunError
from info_nce.evaluation.features import raw_pixels
from info_nce.evaluation.neighbours import vote
from info_nce.evaluation.pictures import evaluate_pictures
from info_nce.evaluation.results import Evaluation, load_evaluation
from info_nce.evaluation.scorecard import Scorecard, load_scorecard
from info_nce.evaluation.verdict import verdict
from info_nce.neighbours import nearest
from info_nce.recipes.pictures import PictureRecipe
from info_nce.recipes.runs import Run
from info_nce.report.measures import some_of_each

ON_THE_MAP, IN_THE_MATRIX, QUERIES, MISTAKES, NEIGHBOURS = 800, 300, 10, 4, 6


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Held-out pictures drawn by chance, with what the encoder and the pixels say about them.

    Args:
        pictures: drawn, in the order of their classes.
        h: what the encoder makes of them.
        raw: their pixels as features.
    """

    pictures: ImageSet
    h: Float[Tensor, "n d"]
    raw: Float[Tensor, "n p"]


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A held-out picture and its nearest training pictures.

    Args:
        picture: a set of one.
        neighbours: nearest first.
        similarity: cosine of h of each neighbour.
    """

    picture: ImageSet
    neighbours: ImageSet
    similarity: Float[Tensor, " k"]

    def right(self) -> list[bool]:
        """Say of each neighbour whether it has the query's class; nothing without labels."""
        if self.picture.labels is None or self.neighbours.labels is None:
            return []
        return [bool(same) for same in self.neighbours.labels == self.picture.labels]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What the page of any run is made of.

    Args:
        run: the run.
        card: its scores.
        metrics: of its training.
        facts: about its data.
        command: the words that started training; empty if not written down.
        versions: of the packages then.
    """

    run: Run[Any]
    card: Scorecard
    metrics: list[dict[str, float]]
    facts: Facts
    command: tuple[str, ...]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class PictureMaterial(Material):
    """What the page of a run on pictures is made of.

    Args:
        evaluation: its scores, class by class too.
        on_the_map: pictures for the map.
        in_the_matrix: pictures for the similarity matrices; empty without labels.
        queries: one per class, drawn by chance.
        mistakes: drawn by chance from those whose neighbours vote for another class.
    """

    evaluation: Evaluation
    on_the_map: Sample
    in_the_matrix: Sample
    queries: tuple[Query, ...]
    mistakes: tuple[Query, ...]


def gather(run: Run[Any]) -> Material:
    """Measure what the report shows; a run that was not evaluated with these weights is evaluated first."""
    if isinstance(run.recipe, PictureRecipe):
        return _gather_pictures(run)
    command, versions = _recorded(run)
    return Material(run, _scorecard(run), run.metrics(), run.splits().facts, command, versions)


def _gather_pictures(run: Run[ImageSet]) -> PictureMaterial:
    evaluation, splits = _evaluation(run), run.splits()
    held_out = splits.test if len(splits.test) else splits.validation
    encode = run.embedders()["image"]
    seen = _Seen(held_out, encode(held_out.images), splits.train, encode(splits.train.images))
    kinds = torch.zeros(len(held_out), dtype=torch.int64) if held_out.labels is None else held_out.labels
    matrix = some_of_each(kinds, IN_THE_MATRIX, seed=1)
    command, versions = _recorded(run)
    return PictureMaterial(
        run=run,
        card=evaluation.scorecard(verdict(evaluation)),
        evaluation=evaluation,
        metrics=run.metrics(),
        facts=splits.facts,
        on_the_map=seen.sample(_shuffled(some_of_each(kinds, ON_THE_MAP, seed=2))),
        in_the_matrix=seen.sample(matrix if held_out.labels is not None else matrix[:0]),
        queries=seen.ask(some_of_each(kinds, QUERIES, seed=3)),
        mistakes=seen.ask(_shuffled(seen.misjudged())[:MISTAKES]),
        command=command,
        versions=versions,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Held-out and training pictures, each with what the encoder makes of it."""

    held_out: ImageSet
    h: Float[Tensor, "n d"]
    train: ImageSet
    known: Float[Tensor, "m d"]

    def sample(self, rows: Int64[Tensor, " k"]) -> Sample:
        pictures = self.held_out.take(rows)
        return Sample(pictures, self.h[rows], raw_pixels(pictures.images))

    def ask(self, rows: Int64[Tensor, " k"]) -> tuple[Query, ...]:
        similarity, index = nearest(self.h[rows], self.known, NEIGHBOURS)
        return tuple(
            Query(self.held_out.take(row[None]), self.train.take(near), alike)
            for row, near, alike in zip(rows, index, similarity, strict=True)
        )

    def misjudged(self, k: int = 5) -> Int64[Tensor, " m"]:
        if self.held_out.labels is None or self.train.labels is None:
            return torch.empty(0, dtype=torch.int64)
        similarity, index = nearest(self.h, self.known, k)
        said = vote(similarity, self.train.labels[index], len(self.train.class_names))
        return torch.nonzero(said != self.held_out.labels)[:, 0]


def _shuffled(rows: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]


def _scorecard(run: Run[Any]) -> Scorecard:
    try:
        found = load_scorecard(run.path)
    except RunError:
        found = None
    if found is None or found.weights != run.fingerprint():
        found = run.recipe.evaluate(run)
        found.save(run.path)
    return found


def _evaluation(run: Run[ImageSet]) -> Evaluation:
    try:
        found = load_evaluation(run.path)
    except RunError:
        return evaluate_pictures(run)
    return found if found.weights == run.fingerprint() else evaluate_pictures(run)


def _recorded(run: Run[Any]) -> tuple[tuple[str, ...], dict[str, str]]:
    # For people to read only, so a file that somebody edited costs a few lines of the page and no more.
    try:
        found = json.loads((run.path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    record = found if isinstance(found, dict) else {}
    command, versions = record.get("command"), record.get("versions")
    return (
        tuple(map(str, command)) if isinstance(command, list) else (),
        {str(name): str(version) for name, version in versions.items()} if isinstance(versions, dict) else {},
    )
