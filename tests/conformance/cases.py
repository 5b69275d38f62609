"""One row per loss and option: how the package is called, and the oracle that it must agree with.

A new loss joins every test of this folder by a row here.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from info_nce import functional as f
from info_nce.engines import Engine
from info_nce.queue import KeyQueue
from info_nce.similarity import Bilinear, DotProduct, NegativeSquaredDistance, Similarity
from tests import reference as ref

# N queries, M negatives, D features; small primes, so that a mix-up of sizes cannot pass
N, M, H, D = 5, 3, 2, 4
IDS = [0, 1, 0, 2, 1]

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A loss with its options.

    Args:
        name: loss and option.
        tensors: the embeddings and parameters that have a gradient.
        loss: the package, with reduction none: (tensors, engine, options) to (n).
        oracle: the same from lists of floats.
        mean: whether "mean" is the plain mean of "none".
    """

    name: str
    tensors: Mapping[str, Any]
    loss: Callable[..., Tensor]
    oracle: Callable[..., list[Any]]

    counted: int | None = None

    def leaves(self, dtype: torch.dtype = torch.float64) -> Tensors:
        return {name: torch.tensor(value, dtype=dtype) for name, value in self.tensors.items()}

    def __repr__(self) -> str:
        return self.name


class AbsoluteDifference(Similarity):
    """A user's own: minus the mean absolute difference, feature by feature weighted. No inner product."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.5, 1.5, D, dtype=torch.float64))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return -((query[:, None] - key[None]).square() * self.weight).sum(-1).add(0.1).sqrt()


def absolute_difference(u: list[float], v: list[float]) -> float:
    weight = [0.5 + i / (D - 1) for i in range(D)]
    return -math.sqrt(sum(w * (a - b) ** 2 for w, a, b in zip(weight, u, v, strict=True)) + 0.1)


def bilinear_module() -> Bilinear:
    similarity = Bilinear(D, D).double()
    with torch.no_grad():
        similarity.weight.copy_(t(ref.vectors(D, D, seed=9)))
    return similarity


SIMILARITIES: dict[str, tuple[Callable[[], Similarity], Any]] = {
    "dot": (DotProduct, ref.dot),
    "distance": (NegativeSquaredDistance, ref.negative_squared_distance),
    "bilinear": (bilinear_module, ref.bilinear(ref.vectors(D, D, seed=9))),
    "own": (AbsoluteDifference, absolute_difference),
}

LOG_Q = [-0.3, -1.2, -0.7, -2.0, -0.1]
LOG_M = [-0.5, -1.5, -0.2]
PER_QUERY = [0.3, 0.5, 0.7, 0.4, 0.9]


def t(values: Any, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def ids(values: Any) -> Tensor:
    return torch.tensor(values)


Q, K = ref.views(N, D, seed=1)
NEG = ref.vectors(M, D, seed=2)
PAIRED = ref.sequences(N, H, D, seed=3)
GUIDE = [ref.vectors(N, D, seed=s) for s in (11, 12)]


def two(
    name: str, function: Any, oracle: Any, package: dict[str, Any] | None = None, papers: dict[str, Any] | None = None
) -> Case:
    """A loss of two sets of embeddings; `papers` are the oracle's keywords where they differ from the package's."""
    package = package or {}

    def loss(tensors: Tensors, engine: Engine | None, **settings: Any) -> Tensor:
        made = {k: v() if isinstance(v, type) or k == "similarity" else v for k, v in package.items()}
        extra = {k: v for k, v in tensors.items() if k not in ("query", "key")}
        value: Tensor = function(tensors["query"], tensors["key"], **extra, **made, engine=engine, **settings)
        return value

    tensors: dict[str, Any] = {"query": Q, "key": K}
    if "temperature" in package and isinstance(package["temperature"], Tensor):
        tensors["temperature"] = package.pop("temperature").tolist()
    words = package if papers is None else papers
    return Case(name, tensors, loss, lambda query, key, **rest: oracle(query, key, **{**words, **rest}))


def explicit(name: str, package: dict[str, Any], papers: dict[str, Any] | None = None, *, paired: bool = False) -> Case:
    """InfoNCE with explicit negatives."""
    mode = "paired" if paired else "unpaired"

    def loss(tensors: Tensors, engine: Engine | None, **settings: Any) -> Tensor:
        value: Tensor = f.info_nce(**tensors, negative_mode=mode, **package, engine=engine, **settings)  # type: ignore[arg-type]  # arguments by name
        return value

    words = package if papers is None else papers
    tensors = {"query": Q, "positive_key": K, "negative_keys": PAIRED if paired else NEG}
    return Case(
        name,
        tensors,
        loss,
        lambda query, positive_key, negative_keys: ref.info_nce(
            query, positive_key, negative_keys, negative_mode=mode, **words
        ),
    )


def _nt_xent_oracle(query: Any, key: Any, **words: Any) -> list[float]:
    return ref.nt_xent([query, key], **words)


def info_nce_cases() -> Iterator[Case]:
    pairs: list[tuple[str, Any, Any]] = [
        ("info_nce", f.info_nce, ref.info_nce),
        ("symmetric", f.symmetric_info_nce, ref.symmetric_info_nce),
        ("nt_xent", f.nt_xent, _nt_xent_oracle),
    ]
    for name, function, oracle in pairs:
        yield two(name, function, oracle)
        yield two(f"{name} sharp", function, oracle, {"temperature": 0.01})
        yield two(f"{name} ids out", function, oracle, {"ids": ids(IDS)}, {"ids": IDS})
        positive = {"same_id": "positive"}
        yield two(f"{name} ids positive", function, oracle, {"ids": ids(IDS), **positive}, {"ids": IDS, **positive})
        yield two(f"{name} margin", function, oracle, {"margin": -0.1})
        both = {"margin": -0.2, "same_id": "positive", "label_smoothing": 0.2}
        yield two(f"{name} many options", function, oracle, {"ids": ids(IDS), **both}, {"ids": IDS, **both})
        guide = {"guide": tuple(t(g) for g in GUIDE)}
        yield two(f"{name} guide", function, oracle, guide, {"guide": GUIDE})
        yield two(f"{name} smoothing", function, oracle, {"label_smoothing": 0.1})
        log_q = LOG_Q * (2 if name == "nt_xent" else 1)
        yield two(f"{name} log_q", function, oracle, {"log_q": t(log_q)}, {"log_q": log_q})
        temperature = PER_QUERY * (2 if name == "nt_xent" else 1)
        yield two(f"{name} per query", function, oracle, {"temperature": t(temperature)}, {})
        for kind, (make, plain) in SIMILARITIES.items():
            yield two(f"{name} {kind}", function, oracle, {"similarity": make}, {"similarity": plain})
    yield two(
        "symmetric bilinear per query",
        f.symmetric_info_nce,
        ref.symmetric_info_nce,
        {"similarity": bilinear_module, "temperature": t(PER_QUERY)},
        {"similarity": SIMILARITIES["bilinear"][1]},
    )


def explicit_cases() -> Iterator[Case]:
    yield explicit("unpaired", {})
    yield explicit("paired", {}, paired=True)
    yield explicit("unpaired kept", {"keep_in_batch": True})
    yield explicit("paired kept", {"keep_in_batch": True}, paired=True)
    yield explicit("unpaired margin", {"margin": -0.3})
    yield explicit("paired kept margin", {"keep_in_batch": True, "margin": -0.1}, paired=True)
    tags = [1, 7, 0]
    for same in ("out", "positive"):
        words = {"same_id": same, "keep_in_batch": True}
        tagged = {"ids": ids(IDS), "negative_ids": ids(tags), **words}
        yield explicit(f"unpaired ids {same}", tagged, {"ids": IDS, "negative_ids": tags, **words})
    nested = [[0, 9], [9, 9], [9, 0], [2, 2], [3, 1]]
    package: dict[str, Any] = {"ids": ids(IDS), "negative_ids": ids(nested)}
    yield explicit("paired ids", package, {"ids": IDS, "negative_ids": nested}, paired=True)
    yield explicit("unpaired log_q", {"log_q": t(LOG_M)}, {"log_q": LOG_M})
    kept: dict[str, Any] = {"keep_in_batch": True}
    package = {"log_q": (t(LOG_Q), t(LOG_M)), **kept}
    yield explicit("unpaired kept log_q", package, {"log_q": LOG_Q + LOG_M, **kept})
    own = [[-0.1 * i, -0.3] for i in range(N)]
    yield explicit("paired log_q", {"log_q": t(own)}, {"log_q": own}, paired=True)
    yield explicit(
        "paired kept log_q", {"log_q": (t(LOG_Q), t(own)), **kept}, {"log_q": (LOG_Q, own), **kept}, paired=True
    )
    guides: list[Any] = [*GUIDE, ref.vectors(M, D, seed=13)]
    yield explicit("unpaired guide", {"guide": [t(g) for g in guides]}, {"guide": guides})
    guides = [*GUIDE, ref.sequences(N, H, D, seed=13)]
    yield explicit(
        "paired guide kept", {"guide": [t(g) for g in guides], **kept}, {"guide": guides, **kept}, paired=True
    )


def view_cases() -> Iterator[Case]:
    for number in (3, 4):
        views = ref.views(3, D, seed=5, number=number)
        tensors = {f"view{i}": view for i, view in enumerate(views)}
        for same in (None, "out", "positive"):
            tags = [0, 1, 0]
            package = {} if same is None else {"ids": ids(tags), "same_id": same}
            words = {} if same is None else {"ids": tags, "same_id": same}
            yield Case(
                f"nt_xent {number} views {same or ''}",
                tensors,
                lambda given, engine, package=package, **s: f.nt_xent(*given.values(), engine=engine, **package, **s),
                lambda words=words, **given: ref.nt_xent(list(given.values()), **words),
            )
    labels = [0, 1, 0, 2, 1, 0, 1]
    features = {"features": ref.vectors(len(labels), D, seed=6)}
    sup_con: dict[str, dict[str, Any]] = {
        "sup_con": {},
        "sup_con inside": {"inside": True},
        "sup_con margin": {"margin": -0.2},
        "sup_con smoothing": {"label_smoothing": 0.1},
        "sup_con inside margin": {"inside": True, "margin": 0.1},
    }
    for name, options in sup_con.items():
        yield Case(
            name,
            features,
            lambda given, engine, options=options, **s: f.sup_con(
                given["features"], ids(labels), engine=engine, **options, **s
            ),
            lambda features, options=options: [v or 0.0 for v in ref.sup_con(features, labels, **options)],
            counted=len(labels) - 1,
        )


def reweighted_cases() -> Iterator[Case]:
    own = {"similarity": NegativeSquaredDistance}
    plain = {"similarity": ref.negative_squared_distance}
    for name, function, oracle in (("dcl", f.dcl, ref.dcl), ("dclw", f.dclw, ref.dclw)):
        yield two(name, function, oracle)
        yield two(f"{name} ids", function, oracle, {"ids": ids(IDS)}, {"ids": IDS})
        yield two(f"{name} margin", function, oracle, {"margin": -0.1})
        yield two(f"{name} distance", function, oracle, own, plain)
        yield two(f"{name} log_q", function, oracle, {"log_q": t(LOG_Q * 2)}, {"log_q": LOG_Q * 2})
    yield two("dclw sigma", f.dclw, ref.dclw, {"sigma": 0.2})
    yield two("dcl all one", f.dcl, ref.dcl, {"ids": ids([3] * N)}, {"ids": [3] * N})
    corrected: list[tuple[str, Any, Any]] = [
        ("debiased", f.debiased_info_nce, ref.debiased_info_nce),
        ("hard", f.hard_negative_info_nce, ref.hard_negative_info_nce),
    ]
    for name, function, oracle in corrected:
        yield two(name, function, oracle)
        yield two(f"{name} ids", function, oracle, {"ids": ids(IDS)}, {"ids": IDS})
        yield two(f"{name} margin", function, oracle, {"margin": 0.0})
        yield two(f"{name} prior 0", function, oracle, {"positive_prior": 0.0})
        yield two(f"{name} floor", function, oracle, {"positive_prior": 0.6})
        yield two(f"{name} sharp", function, oracle, {"temperature": 0.02, "positive_prior": 0.01})
        yield two(f"{name} all one", function, oracle, {"ids": ids([3] * N)}, {"ids": [3] * N})
    yield two("hard beta", f.hard_negative_info_nce, ref.hard_negative_info_nce, {"beta": 2.5, "positive_prior": 0.01})
    yield two("hard beta 0", f.hard_negative_info_nce, ref.hard_negative_info_nce, {"beta": 0.0})
    for k in (1, 3, 2 * N - 2):
        yield two(f"hard top {k}", f.hard_negative_info_nce, ref.hard_negative_info_nce, {"top_k": k})
    top = {"top_k": 4, "margin": 0.1}
    yield two(
        "hard top ids",
        f.hard_negative_info_nce,
        ref.hard_negative_info_nce,
        {"ids": ids(IDS), **top},
        {"ids": IDS, **top},
    )
    yield two("robust", f.robust_info_nce, ref.robust_info_nce)
    yield two("robust q 1", f.robust_info_nce, ref.robust_info_nce, {"q": 1.0, "lam": 0.5, "temperature": 0.5})
    yield two("robust ids", f.robust_info_nce, ref.robust_info_nce, {"ids": ids(IDS)}, {"ids": IDS})
    yield two("robust margin", f.robust_info_nce, ref.robust_info_nce, {"margin": -0.1})
    yield two("robust distance", f.robust_info_nce, ref.robust_info_nce, own, plain)


def pairwise_cases() -> Iterator[Case]:
    yield two("siglip", f.sigmoid_loss, ref.sigmoid_loss)
    yield two("siglip ids", f.sigmoid_loss, ref.sigmoid_loss, {"ids": ids(IDS)}, {"ids": IDS})
    positive = {"same_id": "positive", "bias": -3.0}
    yield two(
        "siglip positive", f.sigmoid_loss, ref.sigmoid_loss, {"ids": ids(IDS), **positive}, {"ids": IDS, **positive}
    )
    yield two("siglip margin", f.sigmoid_loss, ref.sigmoid_loss, {"margin": -0.1})
    yield two("siglip sharp", f.sigmoid_loss, ref.sigmoid_loss, {"temperature": 0.01, "bias": 5.0})

    def learned(tensors: Tensors, engine: Engine | None, **settings: Any) -> Tensor:
        return f.sigmoid_loss(**tensors, engine=engine, **settings)  # type: ignore[arg-type]  # arguments by name

    parameters = {"query": Q, "key": K, "temperature": 0.2, "bias": -2.0}
    yield Case("siglip learned", parameters, learned, ref.sigmoid_loss)
    scores = {
        "data_scores": [0.3, -1.0],
        "noise_scores": [[0.1, 2.0, -0.4], [1.0, 0.0, -3.0]],
        "data_log_density": [-1.0, -2.0],
        "noise_log_density": [[-0.5, -1.5, -0.1], [-2.5, -0.7, -1.1]],
    }
    yield Case(
        "nce",
        scores,
        lambda given, engine, **s: f.nce(**given, engine=engine, **s),
        lambda **given: ref.nce(**given, num_noise=3),
    )


def queue_cases() -> Iterator[Case]:
    queue = ref.vectors(6, D, seed=21)
    tags = [0, 7, 1, 1, 8, 9]

    def with_queue(tensors: Tensors, engine: Engine | None, **settings: Any) -> Tensor:
        return f.moco(tensors["query"], t(K), t(queue), engine=engine, **settings)

    def with_ids(tensors: Tensors, engine: Engine | None, **settings: Any) -> Tensor:
        held = KeyQueue(D, 6, dtype=torch.float64)
        held.enqueue(t(queue), ids(tags))
        return f.moco(tensors["query"], t(K), held, ids=ids(IDS), engine=engine, **settings)

    yield Case("moco", {"query": Q}, with_queue, lambda query: ref.moco(query, K, queue))
    words: dict[str, Any] = {"ids": IDS, "queue_ids": tags}
    yield Case("moco ids", {"query": Q}, with_ids, lambda query: ref.moco(query, K, queue, **words))


def sequence_cases() -> Iterator[Case]:
    context, latents = ref.sequences(2, 5, 3, seed=31), ref.sequences(2, 5, D, seed=32)
    for steps in ([1, 2], [3], [2, 4]):
        tensors = {"context": context, "latents": latents, "weight": ref.sequences(len(steps), 3, D, seed=33)}
        for negatives in ("both", "same", "others"):
            yield Case(
                f"cpc {negatives} {steps}",
                tensors,
                lambda given, engine, steps=steps, negatives=negatives, **s: f.cpc(
                    **given, steps=steps, negatives=negatives, engine=engine, **s
                ),
                lambda context, latents, weight, steps=steps, negatives=negatives: ref.cpc(
                    context, latents, weight, steps=steps, negatives=negatives
                ),
            )
    mask = [[True, False, True, True, True], [True, True, False, True, False]]
    drawn = [{0: [2, 3, 4], 2: [0, 0, 4], 3: [4, 2, 0], 4: [0, 2, 3]}, {0: [1, 3, 3], 1: [0, 3, 0], 3: [1, 1, 0]}]
    flat = [[5 * n + d for d in drawn[n][step]] for n in range(2) for step in drawn[n]]
    context = ref.sequences(2, 5, D, seed=34)
    for name in ("wav2vec2", "wav2vec2 equal"):
        targets = ref.sequences(2, 5, D, seed=35)
        if name.endswith("equal"):
            targets[0][3], targets[1][1] = targets[0][2], targets[1][0]
        yield Case(
            name,
            {"context": context, "targets": targets},
            lambda given, engine, **s: f.wav2vec2_contrastive(
                given["context"], given["targets"], ids(mask), distractors=ids(flat), engine=engine, **s
            ),
            lambda context, targets: ref.wav2vec2_contrastive(context, targets, mask, drawn),
        )


def _with_tensor_ids(package: dict[str, Any]) -> dict[str, Any]:
    return {k: ids(v) if k == "ids" else v for k, v in package.items()}


def retrieval_cases() -> Iterator[Case]:
    options: dict[str, dict[str, Any]] = {
        "retrieval": {},
        "retrieval strict": {"margin": -0.1, "temperature": 0.3},
        "retrieval all": {"margin": None},
        "retrieval plain": {"query_query": False, "document_document": False},
        "retrieval ids": {"ids": IDS},
    }
    for name, package in options.items():
        for hard in (None, PAIRED):
            tensors = {"query": Q, "document": K, **({} if hard is None else {"negatives": hard})}
            yield Case(
                f"{name} {'with negatives' if hard else ''}",
                tensors,
                lambda given, engine, package=package, **s: f.retrieval_info_nce(
                    **given, engine=engine, **_with_tensor_ids(package), **s
                ),
                lambda package=package, **given: ref.retrieval_info_nce(**given, **package),
            )


CASES: list[Case] = [
    *info_nce_cases(),
    *explicit_cases(),
    *view_cases(),
    *reweighted_cases(),
    *pairwise_cases(),
    *queue_cases(),
    *sequence_cases(),
    *retrieval_cases(),
]
