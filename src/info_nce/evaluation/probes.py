"""A linear classifier on frozen features: what is in them that a straight cut can find?"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from info_nce.errors import needs_extra

with needs_extra("train"):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

# C of scikit-learn, the inverse strength of the L2 penalty: from nearly rigid to nearly free.
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
# Stopped at 100 steps and 1e-3, in half the time, up to 0.4 % of the answers were others.
ITERATIONS, TOLERANCE = 200, 1e-4


@dataclass(frozen=True, slots=True)
class LinearProbe:
    """A linear classifier, chosen without a look at the test part.

    Args:
        classes: what it says for each test picture.
        strength: C, the inverse strength of the L2 penalty, that did best on the validation part.
        validation_accuracy: of that choice; NaN where there was no validation part to choose on.
    """

    classes: Int64[Tensor, " n"]
    strength: float
    validation_accuracy: float


def linear_probe(
    train: Float[Tensor, "m d"],
    train_labels: Int64[Tensor, " m"],
    validation: Float[Tensor, "v d"],
    validation_labels: Int64[Tensor, " v"],
    test: Float[Tensor, "n d"],
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearProbe:
    """How well do straight cuts through the feature space separate the classes?

    Each feature is brought to mean 0 and variance 1 on the training part; multinomial logistic regression is fitted
    there once per strength; the strength that names most validation pictures rightly is kept (the stronger penalty
    among equals). The test part has no say, and its labels are no argument.

    Args:
        train: frozen features of the training pictures.
        train_labels: their classes; with only one class there is nothing to fit, and that class is the answer.
        validation: frozen features to choose the strength on; without any, the second largest is taken.
        validation_labels: their classes.
        test: frozen features to classify.
        strengths: values of C to choose from.

    Source:
        Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes", arXiv:1610.01644.
    """
    if bool((train_labels == train_labels[0]).all()):
        return LinearProbe(train_labels[:1].expand(len(test)).clone(), float("nan"), float("nan"))
    ordered = sorted(strengths)
    if len(validation) == 0:
        ordered = ordered[-2:][:1]
    scaler = StandardScaler()
    fitted, targets = scaler.fit_transform(_array(train)), train_labels.numpy()
    held_out, wanted = (scaler.transform(_array(validation)) if len(validation) else None), validation_labels.numpy()
    model = LogisticRegression(max_iter=ITERATIONS, tol=TOLERANCE, warm_start=True)
    best = LinearProbe(torch.empty(0, dtype=torch.int64), float("nan"), float("nan"))
    for strength in ordered:
        model.set_params(C=strength)
        # The products are too small to share: on two busy cores, two BLAS threads wait for each other 50 times longer.
        with threadpool_limits(1), warnings.catch_warnings():
            # A fit that stops at the last step is still a classifier; the validation part judges it as it is.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(fitted, targets)
        share = float(np.mean(model.predict(held_out) == wanted)) if held_out is not None else float("nan")
        if not share <= best.validation_accuracy:
            answers = torch.from_numpy(model.predict(scaler.transform(_array(test)))) if len(test) else best.classes
            best = LinearProbe(answers, strength, share)
    return best


def _array(features: Tensor) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return features.float().numpy()  # three fifths of the time of float64
