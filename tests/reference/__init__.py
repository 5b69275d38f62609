"""Oracles: each loss once more, as plain Python loops over floats, from the formula of its paper.

They import nothing from the package, so they can catch its mistakes. Vectors are `list[float]`, matrices lists of
lists. A loss returns a list with one value in nats per query; callers average. `wrong` has the usual mistakes: siblings
with which the package must not agree.
"""

from .arithmetic import Matrix, Similarity, Vector, log_sigmoid, log_sum_exp, mean, softmax
from .closed_forms import (
    collapsed_dcl,
    collapsed_info_nce,
    collapsed_nt_xent,
    collapsed_sup_con,
    info_nce_gradients,
    info_nce_temperature_gradient,
    label_toy_bound,
    label_toy_expected_loss,
    label_toy_nt_xent_excess,
    minimum_dcl,
    minimum_info_nce,
    minimum_nt_xent,
    minimum_sup_con,
    orthonormal_info_nce,
    orthonormal_nt_xent,
    simplex,
)
from .data import sequences, vectors, views
from .others import cpc, nce, sigmoid_loss, wav2vec2_contrastive
from .reweighted import (
    dcl,
    dclw,
    dclw_weights,
    debiased_info_nce,
    hard_negative_info_nce,
    robust_info_nce,
)
from .similarities import bilinear, cosine, dot, negative_squared_distance
from .softmax_family import (
    info_nce,
    matryoshka,
    moco,
    nt_xent,
    retrieval_info_nce,
    sup_con,
    symmetric_info_nce,
)
from .wrong import WRONG, WRONG_WHERE

__all__ = [
    "WRONG",
    "WRONG_WHERE",
    "Matrix",
    "Similarity",
    "Vector",
    "bilinear",
    "collapsed_dcl",
    "collapsed_info_nce",
    "collapsed_nt_xent",
    "collapsed_sup_con",
    "cosine",
    "cpc",
    "dcl",
    "dclw",
    "dclw_weights",
    "debiased_info_nce",
    "dot",
    "hard_negative_info_nce",
    "info_nce",
    "info_nce_gradients",
    "info_nce_temperature_gradient",
    "label_toy_bound",
    "label_toy_expected_loss",
    "label_toy_nt_xent_excess",
    "log_sigmoid",
    "log_sum_exp",
    "matryoshka",
    "mean",
    "minimum_dcl",
    "minimum_info_nce",
    "minimum_nt_xent",
    "minimum_sup_con",
    "moco",
    "nce",
    "negative_squared_distance",
    "nt_xent",
    "orthonormal_info_nce",
    "orthonormal_nt_xent",
    "retrieval_info_nce",
    "robust_info_nce",
    "sequences",
    "sigmoid_loss",
    "simplex",
    "softmax",
    "sup_con",
    "symmetric_info_nce",
    "vectors",
    "views",
    "wav2vec2_contrastive",
]
