"""Embeddings of a run's own data, or of the user's files, by the run's encoder: vectors that a search goes through."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from info_nce.data.reading import TEXTS, Reading
from info_nce.data.splits import Part
from info_nce.data.tables import SUFFIXES as TABLES
from info_nce.errors import SettingError
from info_nce.evaluation.index import Index, Origin
from info_nce.recipes.runs import Run


def embed(
    run: Run[Any], source: str | Path = "", *, kind: str = "", column: str = "", skip_bad: bool = False
) -> tuple[Index, list[str]]:
    """What does the run's encoder make of these items?

    Args:
        run: whose encoder.
        source: a file, a folder or a table of your own, see `Reading`; all three parts of the run's data by default.
        kind: of the items; found out by default, where there is only one that it can be.
        column: of a table.
        skip_bad: leave out and name what cannot be read.

    Returns:
        Their vectors, and what there is to say about them, one sentence each.

    Raises:
        SettingError: the run has no encoder of that kind, or it has to be told which.
        DataError: something cannot be read, or a vector is not finite.
    """
    embedders = run.embedders()
    if source:
        kind = kind or _kind_of(Path(source).expanduser(), list(embedders))
        encode = embedders[_known(kind, embedders)]
        reading = Reading(source, kind, read_like(run), column=column, skip_bad=skip_bad)
        vectors, ids, shown = [], list[str](), list[str]()
        for items in reading:
            vectors.append(encode(items.content))
            ids += items.ids
            shown += items.shown
        return Index(torch.cat(vectors), ids, shown, origin_of(run, kind)), reading.notes()
    kind = kind or _only(list(embedders))
    encode = embedders[_known(kind, embedders)]
    parts = list(run.splits().parts().values())
    ids, shown = [name for part in parts for name in part.ids()], [s for p in parts for s in shown_of(p, embedders)]
    return Index(torch.cat([encode(part.items(kind)) for part in parts]), ids, shown, origin_of(run, kind)), []


def origin_of(run: Run[Any], kind: str) -> Origin:
    """Say where the vectors of a run come from."""
    return Origin(str(run.path.resolve()), run.recipe.name, kind, run.fingerprint())


def read_like(run: Run[Any]) -> dict[str, Any]:
    """How the run's own files were read: its settings, and what its data said of themselves."""
    return {**asdict(run.recipe), **run.about}


def shown_of(part: Part, kinds: Collection[str]) -> Sequence[str]:
    """What to show of each item: its text where the data have texts, or its classes, or nothing.

    Args:
        part: of a data set.
        kinds: of its items.
    """
    if "text" in kinds:
        return [str(text) for text in part.items("text")]
    labels, names = getattr(part, "labels", None), getattr(part, "class_names", ())
    if isinstance(labels, Tensor):
        return [str(names[label]) for label in labels.tolist()]
    if isinstance(labels, Mapping) and labels:
        answers = [[str(names[question][label]) for label in of.tolist()] for question, of in labels.items()]
        return [", ".join(said) for said in zip(*answers, strict=True)]
    return [""] * len(part)


def _known(kind: str, kinds: Collection[str]) -> str:
    if kind in kinds:
        return kind
    raise SettingError(
        "this run has no encoder of that kind.",
        got=f"--kind {kind}",
        expected=" or ".join(f"--kind {known}" for known in kinds),
        advice="a run of another recipe: info-nce --help",
    )


def _only(kinds: Sequence[str]) -> str:
    if len(kinds) == 1:
        return kinds[0]
    raise SettingError(
        "this run has more than one encoder.",
        got="no --kind",
        expected=" or ".join(f"--kind {kind}" for kind in kinds),
        advice=f"--kind {kinds[0]}",
    )


def _kind_of(source: Path, kinds: Sequence[str]) -> str:
    # A text file and a table of texts tell themselves from pictures and the like, a folder does not.
    as_text = source.suffix.lower() in TEXTS
    if "text" in kinds and as_text:
        return "text"
    rest = [kind for kind in kinds if kind != "text"]
    one_file = source.is_file() and source.suffix.lower() not in TABLES
    return _only(rest if one_file and rest else list(kinds))
