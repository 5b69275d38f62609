"""How alike are a query and a key? Every measure is a small module; most are inner products of prepared vectors."""

# N queries, M keys, D features

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from info_nce.checks import DTypeError, ShapeError, fail
from info_nce.precision import without_autocast

__all__ = [
    "Bilinear",
    "Cosine",
    "DotProduct",
    "InnerProduct",
    "NegativeSquaredDistance",
    "Similarity",
    "unit",
]


def unit(vectors: Float[Tensor, "... d"], length: Float[Tensor, "..."] | None = None) -> Float[Tensor, "... d"]:
    """What is the direction of each vector? Times a length, if one is given: one for all, or one for each.

    Dividing by the largest component first keeps tiny and huge vectors exact (a plain norm under- or overflows).
    A zero vector stays zero and passes its gradient on unchanged, so its similarity to everything is 0.
    """
    if length is not None and length.dim():
        length = length[..., None]
    if torch.compiler.is_compiling() or not vectors.is_floating_point() or not vectors.numel():
        return _unit(vectors) if length is None else _unit(vectors) * length
    directed: Tensor = _Unit.apply(vectors, length)[0]  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped
    return directed


def _unit(vectors: Tensor) -> Tensor:
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    scaled = vectors / torch.where(largest == 0, 1, largest)
    # The sum of squares is >= 1 but for a zero row, where 1 is put in *before* the root: its slope at 0 is infinite.
    square = scaled.square().sum(-1, keepdim=True)
    return scaled / torch.where(square == 0, 1, square).sqrt()


class _Unit(torch.autograd.Function):
    """The same with one tensor kept for backward instead of four, and few passes.

    Backward is written in what forward gave, directed vectors and norm, so that it can be differentiated in its turn.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, length: Tensor | None) -> tuple[Tensor, Tensor]:
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
        directed = vectors / norm if length is None else vectors * (length / norm)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(directed, norm, length)
        ctx.largest = largest
        return directed, norm

    @staticmethod
    def backward(ctx: Any, slope: Tensor | None, slope_of_norm: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        directed, norm, length = ctx.saved_tensors
        found: Tensor | None = None
        of_length: Tensor | None = None
        if slope is not None:
            with without_autocast(slope.device.type):  # a caller may run backward inside of it
                # matrices of one row and one column, for a sum of products would need memory for the products
                along = (directed[..., None, :] @ slope[..., None])[..., 0]
            if length is not None:
                along = along / length
                of_length = along.sum_to_size(length.shape)
            found = torch.addcmul(slope, directed, along if length is None else along / length, value=-1)
            factor = 1 / norm if length is None else length / norm
            found = found * factor if torch.is_grad_enabled() else found.mul_(factor)
        if slope_of_norm is not None:
            lengthened = directed * (slope_of_norm if length is None else slope_of_norm / length)
            found = lengthened if found is None else found + lengthened
        return found if found is None or ctx.largest is None else found / ctx.largest, of_length


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

    Law: `forward(q, k) == prepared_query @ prepared_key.T`. What is prepared of one side does not depend on the other,
    which may be on another rank; or only by a shift that changes nothing, see `shifted`.
    """

    def shifted(self, mean: Callable[[Tensor], Tensor]) -> "InnerProduct":  # noqa: ARG002 - for those that shift
        """The same measure, with a shift that fits the keys of all ranks; `mean` averages vectors (M, D) over them."""
        return self

    @abstractmethod
    def factors(
        self, query: Float[Tensor, "... n d"], key: Float[Tensor, "... m d"]
    ) -> tuple[Float[Tensor, "... n e"], Float[Tensor, "... m e"]]:
        """Prepare both sides; costs O(N + M), never O(N M)."""

    def scaled_factors(
        self,
        query: Float[Tensor, "... n d"],
        key: Float[Tensor, "... m e"],
        scale: Float[Tensor, "..."],
        *,
        alike: bool,
    ) -> tuple[Float[Tensor, "... n f"], Float[Tensor, "... m f"]]:
        """Prepare both sides of `scale` (one, or one per query) times the similarity.

        Args:
            query: see `factors`.
            key: see `factors`.
            scale: the factor on similarities.
            alike: where one tensor comes out as both sides, let it: with the root of the scale in it.
        """
        left, right = self.factors(query, key)
        if alike and left is right:
            left = left * scale.sqrt()
            return left, left
        return left * (scale[:, None] if scale.dim() else scale), right

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

    def scaled_factors(
        self,
        query: Float[Tensor, "... n d"],
        key: Float[Tensor, "... m d"],
        scale: Float[Tensor, "..."],
        *,
        alike: bool,
    ) -> tuple[Float[Tensor, "... n d"], Float[Tensor, "... m d"]]:
        """Bring the keys to unit length, and the queries to that of the scale: no tensor but these two is kept."""
        if alike and query is key:
            every = unit(query, scale.sqrt())
            return every, every
        return unit(query, scale), unit(key)


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

    _mean: Callable[[Tensor], Tensor] | None = None

    def shifted(self, mean: Callable[[Tensor], Tensor]) -> InnerProduct:
        """The same distance, with the mean of all ranks' keys subtracted."""
        found = NegativeSquaredDistance()
        found._mean = mean
        return found

    def factors(
        self, query: Float[Tensor, "... n d"], key: Float[Tensor, "... m d"]
    ) -> tuple[Float[Tensor, "... n e"], Float[Tensor, "... m e"]]:
        """Complete the square in two added features."""
        every = key.detach().flatten(0, -2)
        centre = every.mean(0) if self._mean is None else self._mean(every)
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

    def shifted(self, mean: Callable[[Tensor], Tensor]) -> InnerProduct:
        """The same, of the shifted measure."""
        return _SwappedProduct(self.similarity.shifted(mean))


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
