"""Which items of a run's data, or of an index, are most like a given one, to the run's encoder?"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from info_nce.errors import DataError, RunError, SettingError
from info_nce.evaluation.approximate import approximate_nearest
from info_nce.evaluation.embedding import shown_of
from info_nce.evaluation.index import Origin, load_index
from info_nce.evaluation.matches import Match, Matches
from info_nce.evaluation.query import Query, query_of
from info_nce.neighbours import nearest
from info_nce.recipes.runs import Run, load_run

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


def search(run: Run[Any], query: str | Path, top: int = 10, *, kind: str = "", query_kind: str = "") -> Matches:
    """Which items of the run's data are most like this one, to the run's encoder?

    Args:
        run: whose encoder and whose data, all three parts.
        query: a file of your own, read as the run's own were; an item of the run's data: "test:7" is number 7 of its
            test part; or, where the run has an encoder of texts, a text.
        top: how many to find; all of them where there are fewer.
        kind: what is searched; where a run has pictures and texts, the other kind than the query's by default.
        query_kind: what the query is, where an item of the run is both.

    Returns:
        The matches. Pictures are also drawn, beside the query, into search-NAME.png in the run's folder.

    Raises:
        DataError: the query is missing, or cannot be read.
        SettingError: top is less than 1, or the run has no encoder of such a query.
        RunError: the data is not what the run was trained on, or the folder cannot be written to.
    """
    _check_top(top)
    embedders = run.embedders()
    if kind and kind not in embedders:
        raise SettingError(
            "this run has no such items.", got=f"--kind {kind}", expected=", ".join(embedders), advice="leave it out"
        )
    asked = query_of(run, str(query), embedders, kind=query_kind, avoid=kind)
    kind = kind or next((other for other in embedders if other != asked.kind), asked.kind)
    parts = {name: part for name, part in run.splits().parts().items() if len(part)}
    keys = torch.cat([embedders[kind](part.items(kind)) for part in parts.values()])
    similarity, rows = nearest(_vector(asked, embedders), keys, top)
    everything = [(name, i) for name, part in parts.items() for i in range(len(part))]
    items, ids = {n: part.items(kind) for n, part in parts.items()}, {n: part.ids() for n, part in parts.items()}
    shown = {name: shown_of(part, embedders) for name, part in parts.items()}
    found = []
    for value, row in zip(similarity[0].tolist(), rows[0].tolist(), strict=True):
        part, i = everything[row]
        same = kind == asked.kind and _equal(items[part][i], asked.content[0])
        found.append((Match(0, value, shown[part][i], part, ids[part][i], same), items[part][i]))
    # Rounding can put a near-copy before the item itself, whose similarity is 1 too.
    found.sort(key=lambda pair: not pair[0].same)
    matches = _ranked([match for match, _ in found])
    picture = _drawn(run, asked, [item for _, item in found], matches) if kind == "image" else None
    return Matches(asked.name, kind, matches, len(keys), picture)


def search_index(
    path: str | Path,
    query: str | Path,
    top: int = 10,
    *,
    run: str | Path = "",
    query_kind: str = "",
    approximate: bool = False,
) -> Matches:
    """Which items of an index are most like this one, to the encoder that made it?

    Args:
        path: of the index, as `info-nce embed` writes it.
        query: as for `search`.
        top: how many to find.
        run: the folder of the run that made the index, if it has moved.
        query_kind: what the query is, where an item of the run is more than one thing.
        approximate: look at a part of the index only, through faiss.

    Raises:
        DataError: the index or the query cannot be used.
        SettingError: top is less than 1, or the run has no encoder of such a query.
        RunError: the run is not there any more, or its weights are not those that made the index.
    """
    _check_top(top)
    index = load_index(path)
    maker = _maker(index.origin, Path(path), run)
    embedders = maker.embedders()
    # A query of the index's own kind where it can be one: pictures like a picture, texts like a text.
    kinds = {kind: embedders[kind] for kind in sorted(embedders, key=lambda kind: kind != index.origin.kind)}
    asked = query_of(maker, str(query), kinds, kind=query_kind)
    vector = _vector(asked, embedders)
    if vector.shape[1] != index.vectors.shape[1]:
        raise DataError(
            f"{path} holds vectors of another width.",
            got=f"{index.vectors.shape[1]} numbers each",
            expected=f"{vector.shape[1]}, as the run in {maker.path} makes them",
            advice=f"make it anew: info-nce embed {maker.path} --out {path}",
        )
    find = approximate_nearest(Path(path).expanduser(), index, vector, top) if approximate else None
    similarity, rows = nearest(vector, index.vectors, top) if find is None else find
    found = [
        Match(0, value, index.shown[row], "", index.ids[row], same=False)
        for value, row in zip(similarity[0].tolist(), rows[0].tolist(), strict=True)
        if row >= 0
    ]
    return Matches(asked.name, index.origin.kind, _ranked(found), len(index))


def _vector(query: Query, embedders: Mapping[str, Callable[[Any], Tensor]]) -> Float[Tensor, "1 d"]:
    # A video that is longer than the encoder's comes in pieces, and is looked for by their middle.
    return functional.normalize(embedders[query.kind](query.content), dim=1).mean(0, keepdim=True)


def _ranked(found: Sequence[Match]) -> tuple[Match, ...]:
    return tuple(Match(rank, m.similarity, m.label, m.part, m.place, m.same) for rank, m in enumerate(found, start=1))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return one.shape == other.shape and bool((one == other).all())
    return bool(one == other)


def _drawn(run: Run[Any], query: Query, images: Sequence[Tensor], found: Sequence[Match]) -> Path:
    from info_nce.evaluation.search_picture import draw_matches  # noqa: PLC0415 (a search alone needs no plots)

    name = Path(query.name).stem if query.kind == "image" else query.name
    target = run.path / f"search-{_NOT_IN_NAMES.sub('-', name)[:60]}.png"
    seen = query.content[0] if query.kind == "image" else None
    return draw_matches(target, Path(query.name).name if seen is not None else query.name, seen, images, found)


def _maker(origin: Origin, path: Path, elsewhere: str | Path) -> Run[Any]:
    folder = Path(elsewhere or origin.run).expanduser()
    if not folder.is_dir():
        raise RunError(
            f"the run that made {path} is not there.",
            got=f"no folder {folder}",
            expected="its encoder, for what you look for",
            advice="--maker FOLDER, if it has moved",
        )
    run = load_run(folder)
    if run.fingerprint() != origin.weights and (folder / "best.safetensors").exists():
        run = load_run(folder, "best")
    if run.fingerprint() != origin.weights:
        raise RunError(
            f"{path} was made by other weights than those in {folder}.",
            got=f"weights {run.fingerprint()[:12]}",
            expected=f"weights {origin.weights[:12]}; vectors of others mean something else",
            advice=f"make it anew: info-nce embed {folder} --out {path}; or the run that made it: --maker FOLDER",
        )
    return run


def _check_top(top: int) -> None:
    if top < 1:
        raise SettingError("--top is out of range.", got=f"--top {top}", expected="1 or more", advice="--top 10")
