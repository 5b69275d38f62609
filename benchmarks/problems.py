"""What is computed: a loss of a shape. Nothing here needs torch, so that every process can read it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["LOSSES", "PLAIN", "Loss", "Problem"]

Inputs = Literal["pairs", "views", "labels", "queue"]
Sweep = tuple[Literal["score", "to_query", "to_key"], ...]

_GRADIENTS: Sweep = ("score", "to_query", "to_key")


@dataclass(frozen=True, slots=True)
class Loss:
    """What a loss takes, and the matrix products that cannot be avoided where the scores are not stored.

    Args:
        inputs: two sides of pairs; two views of items; one tensor with labels; or pairs and a queue of other keys.
        sweeps: the products of forward and backward, as sweeps over row chunks of the score matrix. Within one sweep
            a chunk of scores is formed once and its gradients are taken while it is there.
        symmetric: the score matrix is its own transpose, so half of its tiles are enough.
    """

    inputs: Inputs
    sweeps: tuple[Sweep, ...]
    symmetric: bool = False

    @property
    def products(self) -> float:
        """How many products of (rows, width) by (width, rows) forward and backward need."""
        return sum(len(sweep) for sweep in self.sweeps) / (2 if self.symmetric else 1)

    @property
    def forward_products(self) -> float:
        """How many the value alone needs."""
        return 0.5 if self.symmetric else 1


_PAIRS = Loss("pairs", (_GRADIENTS,))
_VIEWS = Loss("views", (("score",), _GRADIENTS), symmetric=True)

LOSSES: dict[str, Loss] = {
    "InfoNCE": _PAIRS,
    "SymmetricInfoNCE": Loss("pairs", (("score",), _GRADIENTS)),
    "NTXent": _VIEWS,
    "DCL": _VIEWS,
    "DCLW": _VIEWS,
    "DebiasedInfoNCE": _VIEWS,
    "HardNegativeInfoNCE": _VIEWS,
    "SupCon": Loss("labels", _VIEWS.sweeps, symmetric=True),
    "RobustInfoNCE": _PAIRS,
    "SigLIP": _PAIRS,
    "InfoNCE with margin": _PAIRS,
    "MoCo": Loss("queue", (("score", "to_query"),)),
}
PLAIN = ("InfoNCE", "SymmetricInfoNCE", "NTXent")
"""Those that have a place in every library."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A loss of a shape.

    Args:
        loss: one of `LOSSES`.
        rows: of the score matrix, so twice the number of items where an item has two views.
        width: features of an embedding.
        temperature: of the loss.
        dtype: of the inputs.
    """

    loss: str
    rows: int
    width: int
    temperature: float = 0.1
    dtype: str = "float32"

    @property
    def kind(self) -> Loss:
        """What its loss takes and needs."""
        return LOSSES[self.loss]

    @property
    def shape(self) -> str:
        """Rows and width, for people."""
        return f"{self.rows:,} x {self.width}"

    @property
    def input_bytes(self) -> int:
        """Of all inputs together, in float32."""
        tensors = {"pairs": 2, "views": 1, "labels": 1, "queue": 3}[self.kind.inputs]
        return tensors * self.rows * self.width * 4

    @property
    def gradient_bytes(self) -> int:
        """Of the inputs' gradients together, in float32."""
        tensors = {"pairs": 2, "views": 1, "labels": 1, "queue": 1}[self.kind.inputs]
        return tensors * self.rows * self.width * 4

    def products(self, *, backward: bool) -> float:
        """How many products the limit counts."""
        return self.kind.products if backward else self.kind.forward_products
