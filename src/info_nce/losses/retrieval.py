"""Retrieval: a query against documents, its own hard negatives, other queries, and the documents among themselves."""

# N queries, H hard negatives of each, D features

from jaxtyping import Float
from torch import Tensor
from typing_extensions import Unpack

from info_nce.assemble import assemble
from info_nce.checks import check_alike, check_embeddings, check_not_empty, check_rows, check_same_features
from info_nce.contrast import Reduction
from info_nce.losses.compose import check_pairs, guide_pairs, loss_of, pair_matrix, scale_of
from info_nce.losses.face import Face
from info_nce.losses.options import Options, Settings, Shared, Tensors, loss_function
from info_nce.objectives import Softmax
from info_nce.pairing import Cells, SameTag, Shifted
from info_nce.precision import compute_dtype
from info_nce.scores import ScoreMatrix

__all__ = ["RetrievalInfoNCE", "retrieval_info_nce"]


@loss_function(margin=0.1)
def retrieval_info_nce(
    query: Float[Tensor, "n d"],
    document: Float[Tensor, "n e"],
    negatives: Float[Tensor, "n h e"] | None = None,
    temperature: float | Tensor = 0.05,
    reduction: Reduction = "mean",
    *,
    query_query: bool = True,
    document_document: bool = True,
    **shared: Unpack[Shared],
) -> Float[Tensor, ""] | Float[Tensor, " n"]:
    r"""How surely does each query pick its document out of everything in the batch that could be mistaken for it?

    $$ \ell_i = -\log \frac{e^{s(q_i, d_i)/\tau}}{Z_i} $$

    $$ Z_i = e^{s(q_i, d_i)/\tau}
           + \sum_h m\, e^{s(q_i, n_{ih})/\tau}
           + \sum_{j \ne i} m \big( e^{s(q_i, d_j)/\tau} + e^{s(q_i, q_j)/\tau} + e^{s(d_i, d_j)/\tau} \big) $$

    where m = 0 for a candidate whose similarity exceeds s(q_i, d_i) + margin, and 1 for others.

    Args:
        query: one row per query.
        document: row i answers query i.
        negatives: hard negatives of each query's own, or None.
        temperature: tau > 0, one for all or one per query (N). 0.05 is ours: the paper gives none.
        reduction: "mean", "sum", or "none" for one value per query.
        query_query: whether other queries are candidates.
        document_document: whether other documents are compared with the query's own document.
        shared: see `Options`; `margin` is 0.1 here, `ids` tags the documents (equal ids: the same document), `guide`
            holds query, document and, with negatives, those. logQ and further positives do not compose.

    Returns:
        Loss in nats. 0 = always right and certain; log of the number of candidates = guessing.

    Raises:
        ShapeError: sizes do not fit.
        ArgumentError: an option does not compose.

    Example:
        >>> import torch
        >>> a = torch.eye(2)
        >>> round(retrieval_info_nce(a, a, temperature=0.5).item(), 5)  # log(1 + 3 exp(-2))
        0.34075

    Source:
        Zhang et al. 2025, "Qwen3 Embedding", arXiv:2506.05176, section 3, eq. 1 and 2.
    """
    options = Options(**shared).refuse(
        "retrieval_info_nce",
        log_q="its candidates are of four kinds, each sampled in its own way",
        same_id="only a query's own document is its positive",
    )
    check_pairs(query, document, options, ("query", "document"))
    count = len(query)
    if negatives is not None:
        check_embeddings({"negatives": negatives}, {"negatives": 3})
        check_alike({"query": query, "negatives": negatives})
    # once, before it takes part in several matrices: their gradients then add up in full precision
    query, document = (tensor.to(compute_dtype(tensor.dtype)) for tensor in (query, document))
    scale = scale_of(temperature, count, options, like=query)
    matrices = [pair_matrix(query, document, scale, options)]
    embeddings = {"query": query, "document": document}
    sides = [(0, 1)]
    if negatives is not None:
        check_same_features({"document": document, "negatives": negatives})
        check_rows("negatives", negatives, count, "query", hint="one list of negatives per query: (N, H, D)")
        check_not_empty(alone=options.alone, negatives=negatives)
        matrices.append(assemble(query, negatives, options.similarity, scale))
        embeddings["negatives"] = negatives
        sides.append((0, 2))
    for wanted, side, tensor in ((query_query, 0, query), (document_document, 1, document)):
        if wanted:
            matrices.append(_among(tensor, scale, options))
            sides.append((side, side))
    guide = guide_pairs(options, embeddings, sides)
    return loss_of(matrices, Softmax(options.label_smoothing), options, reduction, scale=scale, guide=guide)


def _among(tensor: Tensor, scale: float | Tensor, options: Options) -> ScoreMatrix:
    """Rows against the other rows, as negatives; nothing meets itself or its duplicates."""
    out: Cells = Shifted(len(tensor), 0, tensor.device)
    if options.ids is not None:
        out = out | SameTag(options.ids, options.ids)
    return assemble(tensor, tensor, options.similarity, scale, out=out, ranks=options.ranks)


class RetrievalInfoNCE(Face):
    """How surely does each query pick its document out of everything in the batch? See `retrieval_info_nce`.

    Args:
        temperature: tau > 0; 0.05 is ours.
        reduction: "mean", "sum", or "none" for one value per query.
        query_query: whether other queries are candidates.
        document_document: whether other documents are compared with the query's own document.
        learnable: learn the temperature, see `Face`.
        settings: see `Options`; `margin` is 0.1 here, None keeps all.
    """

    source = "Zhang et al. 2025, arXiv:2506.05176, section 3"
    defaults = Settings(margin=0.1)
    _shown = ("query_query", "document_document")

    def __init__(
        self,
        temperature: float | Tensor = 0.05,
        reduction: Reduction = "mean",
        *,
        query_query: bool = True,
        document_document: bool = True,
        learnable: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__(temperature, reduction, learnable=learnable, **settings)
        self.query_query, self.document_document = query_query, document_document

    def forward(
        self,
        query: Float[Tensor, "n d"],
        document: Float[Tensor, "n e"],
        negatives: Float[Tensor, "n h e"] | None = None,
        **tensors: Unpack[Tensors],
    ) -> Float[Tensor, ""] | Float[Tensor, " n"]:
        """Compute the loss; see `retrieval_info_nce`."""
        return retrieval_info_nce(
            query,
            document,
            negatives,
            self.temperature,
            self.reduction,
            query_query=self.query_query,
            document_document=self.document_document,
            **self.shared(tensors),
        )
