"""How alike are a query and a key? Every measure is a small module; most are inner products of prepared vectors."""

# N queries, M keys, D features

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from info_nce.checks import DTypeError, ShapeError, fail

__all__ = [
    "Bilinear",
    "Cosine",
    "DotProduct",
    "InnerProduct",
    "NegativeSquaredDistance",
    "Similarity",
    "unit",
]


def unit(vectors: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
    """What is the direction of each vector?

    Dividing by the largest component first keeps tiny and huge vectors exact (a plain norm under- or overflows).
    A zero vector stays zero and passes its gradient on unchanged, so its similarity to everything is 0.
    """
    if torch.compiler.is_compiling() or not vectors.is_floating_point():
        return _unit(vectors)
    direction: Tensor = _Unit.apply(vectors)[0]  # type: ignore[no-untyped-call] # torch leaves `apply` untyped
    return direction


def _unit(vectors: Tensor) -> Tensor:
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    scaled = vectors / torch.where(largest == 0, 1, largest)
    # The sum of squares is >= 1 but for a zero row, where 1 is put in *before* the root: its slope at 0 is infinite.
    square = scaled.square().sum(-1, keepdim=True)
    return scaled / torch.where(square == 0, 1, square).sqrt()


class _Unit(torch.autograd.Function):
    """The same with one tensor kept for backward instead of three, and half of the passes.

    Backward is written in what forward gave, direction and norm, so that it can be differentiated in its turn.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> tuple[Tensor, Tensor]:
        largest = None
        norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        low, high = torch.aminmax(norm)
        # squares of anything between are exact enough; looking at numbers is free on the CPU only
        if vectors.device.type != "cpu" or not (low.item() > 1e-15 and high.item() < 1e15):
            largest = vectors.abs().amax(-1, keepdim=True)
            largest = torch.where(largest == 0, 1, largest)
            vectors = vectors / largest
            norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
            norm = torch.where(norm == 0, 1, norm)
        direction = vectors / norm
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(direction, norm)
        ctx.largest = largest
        return direction, norm

    @staticmethod
    def backward(ctx: Any, slope: Tensor | None, slope_of_norm: Tensor | None) -> Tensor | None:
        direction, norm = ctx.saved_tensors
        found: Tensor | None = None
        if slope is not None:
            along = (direction * slope).sum(-1, keepdim=True)
            found = torch.addcmul(slope, direction, along, value=-1)
            found = found / norm if torch.is_grad_enabled() else found.div_(norm)
        if slope_of_norm is not None:
            lengthened = direction * slope_of_norm
            found = lengthened if found is None else found + lengthened
        return found if found is None or ctx.largest is None else found / ctx.largest


class Similarity(nn.Module):
    """A measure of likeness: `forward` compares every query with every key.

    Subclass this for a measure of your own; parameters of the module are trained exactly on every engine. Law: entry
    (i, j) depends on query i and key j alone.
    """

    minimum: float | None = None
    """The smallest value that the measure can take, if it has one."""

    @abstractmethod
    def forward(self, query: Float[Tensor, "n d"], key: Float[Tensor, "m e"]) -> Float[Tensor, "n m"]:
        """Compare every query with every key."""


class InnerProduct(Similarity):
    """A similarity that is the inner product of prepared vectors, so that a matrix product computes all of it.

    Law: `forward(q, k) == prepared_query @ prepared_key.T`.
    """

    @abstractmethod
    def factors(
        self, query: Float[Tensor, "... n d"], key: Float[Tensor, "... m d"]
    ) -> tuple[Float[Tensor, "... n e"], Float[Tensor, "... m e"]]:
        """Prepare both sides; costs O(N + M), never O(N M)."""

    def forward(self, query: Float[Tensor, "n d"], key: Float[Tensor, "m e"]) -> Float[Tensor, "n m"]:
        """Compare every query with every key."""
        left, right = self.factors(query, key)
        return left @ right.mT


class Cosine(InnerProduct):
    """The cosine of the angle between query and key, in [-1, 1]; 0 for a zero vector. The default everywhere."""

    minimum = -1.0

    def factors(
        self, query: Float[Tensor, "... n d"], key: Float[Tensor, "... m d"]
    ) -> tuple[Float[Tensor, "... n d"], Float[Tensor, "... m d"]]:
        """Bring both sides to unit length."""
        left = unit(query)
        return left, left if key is query else unit(key)


class DotProduct(InnerProduct):
    """The plain inner product: lengths count. Choose it for embeddings that are normalised already."""

    def factors(
        self, query: Float[Tensor, "... n d"], key: Float[Tensor, "... m d"]
    ) -> tuple[Float[Tensor, "... n d"], Float[Tensor, "... m d"]]:
        """Leave both sides as they are."""
        return query, key


class NegativeSquaredDistance(InnerProduct):
    """Minus the squared Euclidean distance, in (-inf, 0]: 0 for identical vectors.

    Computed as 2 q.k - |q|^2 - |k|^2 by two added features. Distances do not change when everything is shifted, so the
    keys' mean is subtracted first: that keeps the difference of large numbers small. In float32 the result is still
    rounded in proportion to the squared spread of all vectors: where clusters lie thousands of times their own width
    apart, use float64 or a similarity of your own.
    """

    def factors(
        self, query: Float[Tensor, "... n d"], key: Float[Tensor, "... m d"]
    ) -> tuple[Float[Tensor, "... n e"], Float[Tensor, "... m e"]]:
        """Complete the square in two added features."""
        centre = key.detach().flatten(0, -2).mean(0)
        query, key = query - centre, key - centre
        ones_q, ones_k = torch.ones_like(query[..., :1]), torch.ones_like(key[..., :1])
        left = torch.cat([2 * query, -query.square().sum(-1, keepdim=True), -ones_q], -1)
        right = torch.cat([key, ones_k, key.square().sum(-1, keepdim=True)], -1)
        return left, right


class Bilinear(InnerProduct):
    """q^T W k with a learned matrix, for two towers of different width; starts as the identity (cut to size).

    Source: van den Oord et al. 2018, arXiv:1807.03748, eq. 3 (there one matrix per step ahead: see `CPC`).
    """

    def __init__(self, query_features: int, key_features: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(query_features, key_features or query_features))

    def factors(
        self, query: Float[Tensor, "... n d"], key: Float[Tensor, "... m e"]
    ) -> tuple[Float[Tensor, "... n e"], Float[Tensor, "... m e"]]:
        """Map the queries into the keys' space: one small product."""
        if (query.shape[-1], key.shape[-1]) != tuple(self.weight.shape):
            fail(
                ShapeError,
                "Bilinear was built for other widths.",
                got=f"query of {query.shape[-1]} features, key of {key.shape[-1]}",
                expected=f"query of {self.weight.shape[0]} features, key of {self.weight.shape[1]}",
                hint=f"Bilinear({query.shape[-1]}, {key.shape[-1]})",
            )
        return query @ self.weight.to(query.dtype), key

    def extra_repr(self) -> str:
        """Settings for `print`."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class _Swapped(Similarity):
    """A similarity seen from the keys."""

    def __init__(self, similarity: Similarity) -> None:
        super().__init__()
        self.similarity = similarity

    def forward(self, query: Float[Tensor, "n d"], key: Float[Tensor, "m e"]) -> Float[Tensor, "n m"]:
        """Compare with the sides exchanged."""
        compared: Tensor = self.similarity(key, query)
        return compared.mT


class _SwappedProduct(InnerProduct):
    """An inner product seen from the keys."""

    def __init__(self, similarity: InnerProduct) -> None:
        super().__init__()
        self.similarity = similarity

    def factors(
        self, query: Float[Tensor, "... n d"], key: Float[Tensor, "... m e"]
    ) -> tuple[Float[Tensor, "... n f"], Float[Tensor, "... m f"]]:
        """Prepare with the sides exchanged."""
        right, left = self.similarity.factors(key, query)
        return left, right


def swapped(similarity: Similarity) -> Similarity:
    """The same measure with the keys as queries: only then is a measure that is not symmetric read the right way."""
    return _SwappedProduct(similarity) if isinstance(similarity, InnerProduct) else _Swapped(similarity)


def check_similarity(similarity: object) -> None:
    """Refuse what is not a Similarity, such as a bare function, whose parameters no engine could find."""
    if not isinstance(similarity, Similarity):
        fail(
            DTypeError,
            "similarity must be a Similarity module.",
            got=repr(similarity),
            expected="Cosine(), DotProduct(), NegativeSquaredDistance(), Bilinear(d, e), or your own subclass",
            hint="class Mine(info_nce.similarity.Similarity): def forward(self, query, key): ...",
        )
