"""What a tiled engine never holds: every allocation of forward and backward is watched."""

# N queries, M keys, D features

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

import info_nce
from info_nce import functional as f
from info_nce.engines import Auto, Dense, Engine, Tiled
from info_nce.similarity import Bilinear, NegativeSquaredDistance, Similarity
from tests.test_faces import SUBJECTS, Batch, cast, pairs, run

N, D = 3000, 4
SIDE = 512
TILE = Tiled(SIDE, SIDE)
BYTES = 4
CELLS = SIDE * SIDE * BYTES


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """The bytes of the largest storage that any operation returned, and which operation that was."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types for it
        self.bytes, self.operation = 0, ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor) and tensor.untyped_storage().nbytes() > self.bytes:
                self.bytes, self.operation = tensor.untyped_storage().nbytes(), str(func)
        return out


def largest(loss: Callable[..., Any], batch: Batch, **options: Any) -> Largest:
    """Watch forward and backward."""
    seen = Largest()
    with seen:
        run(loss, batch, **options).backward()
    return seen


# items that make about N rows of scores: views, sequences and labels have several rows each
ITEMS = dict.fromkeys(SUBJECTS, N) | {
    **dict.fromkeys(("NTXent", "DCL", "DCLW", "DebiasedInfoNCE"), N // 2),
    **dict.fromkeys(("HardNegativeInfoNCE", "HardNegativeInfoNCE top"), N // 2),
    "CPC": N // 6,
    "Wav2Vec2Contrastive": N // 6,
}


def batch_of(name: str, scale: float = 1.0) -> Batch:
    width = 8 if name == "CPC" else D
    return cast(SUBJECTS[name].batch(int(ITEMS[name] * scale), width), torch.float32, grad=True)


def inputs_of(batch: Batch) -> int:
    """The bytes of the largest input; an engine may hold a few of that size."""
    return max(int(x.numel() * x.element_size()) for x in batch)


@pytest.mark.parametrize("name", [name for name in SUBJECTS if name != "Wav2Vec2Contrastive"])
def test_tiles_of_every_loss_are_all_that_is_ever_held(name: str) -> None:
    batch = batch_of(name)
    face = SUBJECTS[name].face(engine=TILE, learnable=True)
    seen = largest(face, batch)
    # a private list of candidates is cut out of the table with all its features
    private = D if name in ("InfoNCE paired", "RetrievalInfoNCE") else 1
    assert seen.bytes <= max(4 * inputs_of(batch), CELLS * private), seen.operation
    assert seen.bytes < N * N * BYTES / 8


@pytest.mark.parametrize("name", [name for name in SUBJECTS if name not in ("InfoNCE paired", "Wav2Vec2Contrastive")])
def test_the_dense_engine_holds_the_matrix_so_that_a_mistake_would_be_noticed(name: str) -> None:
    batch = batch_of(name, 1 / 3)
    seen = largest(SUBJECTS[name].face(engine=Dense()), batch)
    rows = N // 3
    assert seen.bytes >= 0.8 * rows * rows * BYTES
    assert seen.bytes > 2 * inputs_of(batch)


def test_distractors_are_looked_up_tile_by_tile() -> None:
    items, steps, width, count = 8, 100, 32, 64
    mask = torch.ones(items, steps, dtype=torch.bool)
    batch = [*(torch.randn(items, steps, width, requires_grad=True) for _ in range(2)), mask]
    drawn = items * steps * count
    for engine, ceiling in ((Tiled(32, 16), 8 * drawn), (Dense(), None)):
        face = info_nce.Wav2Vec2Contrastive(distractors=count, engine=engine)
        seen = largest(face, batch)
        if ceiling is None:
            assert seen.bytes >= drawn * width * BYTES  # all distractors with all their features
        else:
            assert seen.bytes <= ceiling, seen.operation  # their positions alone


@pytest.mark.parametrize("negatives", ["both", "same", "others"])
def test_sequences_are_compared_tile_by_tile(negatives: Any) -> None:
    batch = [torch.randn(30, 40, D, requires_grad=True) for _ in range(2)]
    face = info_nce.CPC(D, D, (1, 3), negatives, engine=Tiled(128, 128))
    seen = largest(face, batch)
    rows = 30 * (39 + 37)
    assert seen.bytes <= rows * 2 * D * BYTES, seen.operation


HALF = N // 2


class Own(Similarity):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(D))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        return (query * self.weight) @ key.mT


OPTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "margin": lambda: {"margin": 0.1},
    "guide": lambda: {"guide": (torch.randn(HALF, 6), torch.randn(HALF, 6))},
    "ids out": lambda: {"ids": torch.randint(HALF // 2, (HALF,))},
    "ids positive": lambda: {"ids": torch.randint(HALF // 2, (HALF,)), "same_id": "positive"},
    "smoothing": lambda: {"label_smoothing": 0.1},
    "log_q": lambda: {"log_q": torch.randn(HALF)},
    "temperature per query": lambda: {"temperature": (torch.rand(HALF) + 0.1).requires_grad_()},
    "distance": lambda: {"similarity": NegativeSquaredDistance()},
    "bilinear": lambda: {"similarity": Bilinear(D)},
    "own": lambda: {"similarity": Own()},
    "everything": lambda: {
        "margin": 0.1,
        "guide": (torch.randn(HALF, 6), torch.randn(HALF, 6)),
        "ids": torch.randint(HALF // 2, (HALF,)),
        "same_id": "positive",
        "label_smoothing": 0.1,
        "log_q": torch.randn(HALF),
        "temperature": torch.rand(HALF) + 0.1,
    },
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["InfoNCE", "SymmetricInfoNCE"])
def test_no_option_brings_the_matrix_back(name: str, option: str) -> None:
    batch = cast(pairs(HALF, D), torch.float32, grad=True)
    seen = largest(SUBJECTS[name].function, batch, engine=Tiled(SIDE // 2, SIDE // 2), **OPTIONS[option]())
    assert seen.bytes <= CELLS // 4, seen.operation


@pytest.mark.parametrize("name", ["SymmetricInfoNCE", "NTXent", "HardNegativeInfoNCE top", "MoCo"])
def test_beyond_its_threshold_the_default_engine_never_holds_the_matrix(name: str) -> None:
    batch = batch_of(name)
    assert isinstance(Auto().choose(N, N)[0], Tiled)
    seen = largest(SUBJECTS[name].face(), batch)
    assert seen.bytes <= 16 << 20, seen.operation
    assert seen.bytes < N * N * BYTES / 2


def test_the_threshold_counts_the_features_of_private_lists() -> None:
    query, key = pairs(400, 64)
    negatives = torch.randn(400, 200, 64)
    for engine in (Auto(), Tiled()):
        loss = info_nce.InfoNCE(negative_mode="paired", engine=engine)
        batch = cast([query, key, negatives], torch.float32, grad=True)
        seen = largest(loss, batch)
        assert seen.bytes <= inputs_of(batch), seen.operation


def test_memory_grows_with_the_rows_and_not_with_their_square() -> None:
    """What is kept for backward, summed over all tensors that are still alive after forward."""

    def kept(count: int, engine: Engine) -> int:
        alive: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            alive[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        batch = cast(pairs(count, D), torch.float32, grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            f.symmetric_info_nce(*batch, engine=engine)
        return sum(alive.values())

    small, large = (kept(count, Tiled(64, 64)) for count in (250, 1000))
    assert large <= 4.5 * small
    small, large = (kept(count, Dense()) for count in (250, 1000))
    assert large >= 12 * small


def test_a_tiled_result_equals_the_dense_one_at_this_size() -> None:
    batch = cast(pairs(1000, D), torch.float64, grad=True)
    found = [torch.autograd.grad(f.info_nce(*batch, engine=engine), batch) for engine in (TILE, Dense())]
    assert_close(found[0], found[1])
