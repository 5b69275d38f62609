"""What a loss on many ranks costs each of them, on paper: bytes received, operations, memory. Nothing is measured.

    python -m benchmarks.ranks_on_paper         # the table of docs/many-ranks.md

Float32 features, the same number of rows on every rank. A gather or a scatter of sums over W ranks brings each rank
W - 1 pieces, as in the usual ring algorithms. `tests/distributed/test_costs.py` counts the bytes and the products of
real processes against the formulas here.
"""

# W ranks, n rows of each (items, for NT-Xent), d features

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from benchmarks.text import aligned, number, size

__all__ = ["Cost", "Engine", "Face", "cost", "open_clip", "table"]

Face = Literal["SymmetricInfoNCE", "InfoNCE", "NTXent"]
Engine = Literal["Gathered", "TwoSided", "Ring"]

NUMBER = 4
"""Bytes of a float32."""
TOTALS = 3
"""Of a line of a softmax: log-sum-exp over the candidates, sum and number of the positives."""
MOVING = 2
"""Those of them that have a gradient."""
AGREEMENT = 19 * 8
"""Bytes in which each rank says what it is about to compute, and of how many rows."""
SIZES = tuple((w, n, d) for w in (8, 64, 1024) for n, d in ((1024, 512), (4096, 1024)))


@dataclass(frozen=True)
class Cost:
    """What one rank pays for value and gradient.

    Args:
        forward: bytes received with the value.
        backward: bytes received afterwards.
        products: how many products of this rank's rows with all rows, 2 n (W n) d operations each, there and back.
        held: bytes of the largest set of tensors that other ranks' rows or the logits need at one time.
    """

    forward: int
    backward: int
    products: float
    held: int


def cost(face: Face, engine: Engine, w: int, n: int, d: int) -> Cost:
    """What this package pays."""
    symmetric, mirrored = face == "SymmetricInfoNCE", face == "NTXent"
    rows = 2 * n if mirrored else n
    features, totals, others = NUMBER * rows * d, NUMBER * rows * TOTALS, w - 1
    lines = NUMBER * rows * 2 * MOVING  # totals, and what the loss changes by with each
    # what the mean divides by, of each direction, and the value
    told = others * (AGREEMENT + NUMBER * (3 if symmetric else 2))
    # of its own rows of a mirrored matrix, a rank may compute a half, and Ring() does so twice
    if engine == "Ring":
        there = others * features + (w * totals if symmetric else 0)
        back = others * (features + (lines if symmetric or mirrored else 0)) + (0 if mirrored else w * features)
        return Cost(told + there, back, 3 - 1 / w if mirrored else 4, (3 if mirrored else 4) * features)
    if mirrored:
        return Cost(told + others * (features + lines), 0, 3 - 0.5 / w, w * features)
    if engine == "TwoSided":
        there = others * (2 * features + (2 if symmetric else 1) * lines)
        return Cost(told + there, 0, (6 if symmetric else 5) - 1 / w, 2 * w * features)
    of_columns = others * totals if symmetric else 0
    return Cost(
        told + others * features + of_columns,
        others * features + of_columns,
        4 if symmetric else 3,
        (2 if symmetric else 3) * w * features,
    )


def open_clip(w: int, n: int, d: int) -> Cost:
    """`ClipLoss(local_loss=True, gather_with_grad=True)`: both sides gathered, and two matrices of n x W n kept.

    Backward keeps of each the logarithms of the probabilities; the logits, and the gradient, come on top for a while.
    """
    features = NUMBER * n * d
    return Cost(2 * (w - 1) * features, 2 * (w - 1) * features, 6, 2 * w * features + 2 * NUMBER * n * n * w)


def table(face: Face = "SymmetricInfoNCE") -> str:
    """The costs at many sizes, in Markdown."""
    head = ("ranks x rows x width", "all rows", "", "received forward", "received backward", "operations", "held")
    return aligned(head, _lines(face), left=3)


def _lines(face: Face) -> Iterator[list[str]]:
    engines: tuple[Engine, ...] = ("Gathered", "TwoSided", "Ring")
    for w, n, d in SIZES:
        found = {f"`{engine}()`": cost(face, engine, w, n, d) for engine in engines}
        if face == "SymmetricInfoNCE":
            found["open_clip"] = open_clip(w, n, d)
        rows = 2 * n if face == "NTXent" else n
        for name, of in found.items():
            operations = of.products * 2 * rows * rows * w * d
            received = [size(of.forward), size(of.backward) if of.backward else "0"]
            yield [
                f"{w:,} x {n:,} x {d:,}",
                f"{w * rows:,}",
                name,
                *received,
                f"{number(operations / 1e12)} T",
                size(of.held),
            ]


if __name__ == "__main__":
    print(table())
