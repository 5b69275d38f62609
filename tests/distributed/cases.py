"""Every face with towers in front of it, on rows that can be dealt out to ranks."""

# N items, D features, T time steps

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import info_nce as f
from info_nce.engines import Engine
from info_nce.losses import draw_distractors
from info_nce.similarity import Bilinear, DotProduct, NegativeSquaredDistance, Similarity

D, T = 4, 5
Rows = dict[str, Tensor]


def batch(count: int, seed: int = 0) -> Rows:
    """Everything that a face may be given of so many items, a row for each."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, dtype=torch.float64, generator=generator)

    def tags(most: int) -> Tensor:
        return torch.randint(most, (count,), generator=generator)

    mask = torch.ones(count, T, dtype=torch.bool)
    mask[:, 1] = False
    rows = {name: normal(D) for name in ("x", "y", "z", "free", "guide_x", "guide_y", "guide_free")}
    rows |= {"hard": normal(2, D), "context": normal(T, 3), "latents": normal(T, D)}
    rows |= {"ids": tags(3), "free_ids": tags(4), "labels": tags(3), "mask": mask}
    rows |= {name: -normal().abs() for name in ("log_q", "log_q2", "free_log_q", "data", "noise_of_data")}
    rows |= {"noise": normal(3), "density": -normal(3).abs(), "temperature": 0.3 + normal().abs()}
    steps = draw_distractors(mask, 3, generator) - (torch.arange(count) * T).repeat_interleave(T - 1)[:, None]
    return rows | {"distractors": steps.view(count, T - 1, 3)}


class AbsoluteDifference(Similarity):
    """A user's own measure, no inner product, with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, D, dtype=torch.float64))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return -((query[:, None] - key[None]).square() * self.weight).sum(-1).add(0.1).sqrt()


class Towers(nn.Module):
    """A tower for each side and a loss, as one module whose parameters are all compared."""

    def __init__(self, face: nn.Module, call: Callable[..., Tensor]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.left, self.right = (nn.Linear(D, D, dtype=torch.float64) for _ in range(2))
        self.ahead = nn.Linear(3, 3, dtype=torch.float64)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        self.face, self.call = face, call

    def forward(self, rows: Rows) -> Tensor:
        return self.call(self, self.face, rows)


@dataclass(frozen=True)
class Case:
    """A face, how it is built for an engine, and how it is called with rows."""

    name: str
    face: Callable[..., nn.Module]
    call: Callable[[Towers, Any, Rows], Tensor]
    refuses: tuple[str, ...] = ()
    """Engines that say that they cannot."""

    def model(self, engine: Engine | None, **settings: Any) -> Towers:
        return Towers(self.face(engine=engine, **settings).double(), self.call)


def _pair(**names: str) -> Callable[[Towers, Any, Rows], Tensor]:
    """Query and key, and some rows by their keywords."""
    return lambda towers, face, rows: face(
        towers.left(rows["x"]), towers.right(rows["y"]), **{word: rows[name] for word, name in names.items()}
    )


def _with_itself(towers: Towers, face: Any, rows: Rows) -> Tensor:
    """One tensor on both sides, so that the matrix is its own mirror."""
    both = towers.left(rows["x"])
    loss: Tensor = face(both, both, ids=rows["ids"])
    return loss


def _guided(towers: Towers, face: Any, rows: Rows) -> Tensor:
    return _with(towers, face, rows, guide=(rows["guide_x"], rows["guide_y"]))


def _with(towers: Towers, face: Any, rows: Rows, **words: Any) -> Tensor:
    loss: Tensor = face(towers.left(rows["x"]), towers.right(rows["y"]), **words)
    return loss


def _each_temperature(towers: Towers, face: Any, rows: Rows) -> Tensor:
    face.temperature = rows["temperature"]
    return _pair()(towers, face, rows)


def pair_cases() -> Iterator[Case]:
    """Two or more views or towers, with the options that all faces share."""
    faces: dict[str, Callable[..., nn.Module]] = {
        "info_nce": lambda **s: f.InfoNCE(0.3, learnable=True, **s),
        "symmetric": lambda **s: f.SymmetricInfoNCE(0.3, learnable=True, **s),
        "nt_xent": lambda **s: f.NTXent(0.3, learnable=True, **s),
    }
    for name, face in faces.items():
        mirrored = name == "nt_xent"
        yield Case(name, face, _pair())
        yield Case(f"{name} ids out", face, _pair(ids="ids"))
        yield Case(f"{name} ids positive", lambda face=face, **s: face(same_id="positive", **s), _pair(ids="ids"))
        yield Case(f"{name} margin", lambda face=face, **s: face(margin=-0.1, **s), _pair(ids="ids"))
        yield Case(f"{name} guide", face, _guided)
        options = {"margin": -0.2, "same_id": "positive", "label_smoothing": 0.2}
        yield Case(f"{name} many options", lambda face=face, o=options, **s: face(**o, **s), _pair(ids="ids"))
        yield Case(
            f"{name} log_q",
            face,
            (lambda t, face, r: _with(t, face, r, log_q=torch.cat([r["log_q"], r["log_q2"]])))
            if mirrored
            else _pair(log_q="log_q"),
        )
        yield Case(f"{name} distance", lambda face=face, **s: face(similarity=NegativeSquaredDistance(), **s), _pair())
        yield Case(f"{name} dot", lambda face=face, **s: face(similarity=DotProduct(), **s), _pair())
        yield Case(f"{name} bilinear", lambda face=face, **s: face(similarity=Bilinear(D), **s), _pair())
        own = ("TwoSided",)
        yield Case(f"{name} own", lambda face=face, **s: face(similarity=AbsoluteDifference(), **s), _pair(), own)
    for name, kind in (("info_nce", f.InfoNCE), ("symmetric", f.SymmetricInfoNCE), ("nt_xent", f.NTXent)):
        yield Case(f"{name} per query", lambda kind=kind, **s: kind(**s), _each_temperature)
    for name, face in faces.items():
        for option in ({}, {"margin": -0.1}):
            yield Case(
                f"{name} with itself {option}",
                lambda face=face, option=option, **s: face(**option, **s),
                _with_itself,
            )
    yield Case(
        "siglip with itself",
        lambda **s: f.SigLIP(0.3, -2.0, **s),
        _with_itself,
    )
    for name, kind in (("symmetric", f.SymmetricInfoNCE), ("info_nce", f.InfoNCE)):
        yield Case(f"{name} sharp", lambda kind=kind, **s: kind(0.01, learnable=True, **s), _pair())
    yield Case(
        "nt_xent 3 views",
        lambda **s: f.NTXent(0.3, learnable=True, **s),
        lambda t, face, r: face(t.left(r["x"]), t.right(r["y"]), t.left(r["z"]), ids=r["ids"]),
    )
    yield Case("dcl", lambda **s: f.DCL(0.3, learnable=True, **s), _pair())
    yield Case("dclw", lambda **s: f.DCLW(0.3, learnable=True, **s), _pair(ids="ids"))
    yield Case("dclw distance", lambda **s: f.DCLW(0.9, similarity=NegativeSquaredDistance(), sigma=4.0, **s), _pair())
    yield Case("debiased", lambda **s: f.DebiasedInfoNCE(0.5, learnable=True, **s), _pair())
    yield Case("hard", lambda **s: f.HardNegativeInfoNCE(0.5, learnable=True, beta=0.5, **s), _pair())
    top = ("TwoSided", "Ring")
    yield Case("hard top 2", lambda **s: f.HardNegativeInfoNCE(0.5, learnable=True, top_k=2, **s), _pair(), top)
    yield Case(
        "hard top log_q",
        lambda **s: f.HardNegativeInfoNCE(0.5, learnable=True, top_k=2, **s),
        lambda t, face, r: _with(t, face, r, log_q=torch.cat([r["log_q"], r["log_q2"]]), ids=r["ids"]),
        top,
    )
    yield Case("robust", lambda **s: f.RobustInfoNCE(0.5, learnable=True, **s), _pair(ids="ids"))
    yield Case("siglip", lambda **s: f.SigLIP(0.3, -2.0, **s), _pair(ids="ids"))
    yield Case("siglip margin", lambda **s: f.SigLIP(0.3, -2.0, margin=-0.1, **s), _pair(ids="ids"))
    yield Case(
        "matryoshka",
        lambda **s: f.Matryoshka(f.SymmetricInfoNCE(0.3, learnable=True, **s), (2, D)),
        _pair(),
    )


def other_cases() -> Iterator[Case]:
    """Explicit negatives, labels, queues, sequences."""

    def face(**settings: Any) -> nn.Module:
        return f.InfoNCE(0.3, learnable=True, **settings)

    def kept(**settings: Any) -> nn.Module:
        return f.InfoNCE(0.3, learnable=True, keep_in_batch=True, **settings)

    def paired(**settings: Any) -> nn.Module:
        return f.InfoNCE(0.3, learnable=True, negative_mode="paired", **settings)

    def unpaired(towers: Towers, face: Any, rows: Rows, **words: Any) -> Tensor:
        loss: Tensor = face(towers.left(rows["x"]), towers.right(rows["y"]), towers.right(rows["free"]), **words)
        return loss

    yield Case("unpaired", face, unpaired)
    yield Case("unpaired kept", kept, unpaired)
    # as many negatives as it happens, on some ranks none
    yield Case(
        "unpaired some",
        face,
        lambda t, face, r: face(t.left(r["x"]), t.right(r["y"]), t.right(r["free"][r["free_ids"] < 2])),
    )
    yield Case(
        "unpaired kept ids",
        kept,
        lambda t, face, r: unpaired(
            t, face, r, ids=r["ids"], negative_ids=r["free_ids"], log_q=(r["log_q"], r["free_log_q"])
        ),
    )
    yield Case(
        "unpaired guide",
        kept,
        lambda t, face, r: unpaired(t, face, r, guide=[r["guide_x"], r["guide_y"], r["guide_free"]]),
    )
    yield Case("unpaired distance", lambda **s: kept(similarity=NegativeSquaredDistance(), **s), unpaired)
    yield Case("paired", paired, lambda t, face, r: face(t.left(r["x"]), t.right(r["y"]), t.right(r["hard"])))
    for inside in (False, True):
        yield Case(
            f"sup_con{' inside' if inside else ''}",
            lambda inside=inside, **s: f.SupCon(0.3, learnable=True, inside=inside, **s),
            lambda t, face, r: face(t.left(r["x"]), r["labels"]),
        )
    for negatives in ("", "hard"):
        yield Case(
            f"retrieval {negatives}",
            lambda **s: f.RetrievalInfoNCE(0.3, learnable=True, **s),
            partial(_retrieval, negatives),
        )
    yield Case("moco", lambda **s: f.MoCo(0.3, learnable=True, **s), lambda t, face, r: _moco(t, face, r, {}))
    yield Case(
        "moco ids",
        lambda **s: f.MoCo(0.3, learnable=True, **s),
        lambda t, face, r: _moco(t, face, r, {"ids": r["ids"]}),
    )
    for negatives in ("both", "others", "same"):
        yield Case(f"cpc {negatives}", partial(_cpc_face, negatives), partial(_cpc, negatives))
    yield Case("wav2vec2", lambda **s: f.Wav2Vec2Contrastive(0.3, learnable=True, **s), _wav2vec2)
    yield Case(
        "nce",
        f.NCE,
        lambda t, face, r: face(t.left(r["x"])[:, 0], r["noise"], r["noise_of_data"], r["density"]),
    )


def _moco(towers: Towers, face: Any, rows: Rows, words: Any) -> Tensor:
    queue = f.KeyQueue(D, 6, dtype=torch.float64)
    held = batch(6, seed=3)
    queue.enqueue(held["x"], held["free_ids"])
    loss: Tensor = face(towers.left(rows["x"]), rows["y"], queue, **words)
    return loss


def _retrieval(negatives: str, towers: Towers, face: Any, rows: Rows) -> Tensor:
    own = (towers.right(rows[negatives]),) if negatives else ()
    loss: Tensor = face(towers.left(rows["x"]), towers.right(rows["y"]), *own, ids=rows["ids"])
    return loss


def _cpc_face(negatives: Any, **settings: Any) -> nn.Module:
    torch.manual_seed(5)
    return f.CPC(3, D, steps=(1, 3), negatives=negatives, **settings)


def _cpc(negatives: str, towers: Towers, face: Any, rows: Rows) -> Tensor:
    words = {} if negatives == "same" else {"ids": rows["ids"]}
    loss: Tensor = face(towers.ahead(rows["context"]), towers.left(rows["latents"]), **words)
    return loss


def _wav2vec2(towers: Towers, face: Any, rows: Rows) -> Tensor:
    here = (torch.arange(len(rows["x"])) * T).repeat_interleave(T - 1)[:, None]
    drawn = rows["distractors"].flatten(0, 1) + here
    return f.functional.wav2vec2_contrastive(
        towers.left(rows["latents"]),
        rows["latents"],
        rows["mask"],
        face.temperature,
        face.reduction,
        distractors=drawn,
        engine=face.engine,
    )


CASES = [*pair_cases(), *other_cases()]
