"""What a batch's embeddings say of the training: signs that it goes well, or nowhere."""

import math
from collections.abc import Callable, Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from info_nce import InfoNCE
from info_nce.diagnostics import alignment, batch_diagnostics, uniformity

Positives = Callable[[nn.Module, Sequence[Tensor]], tuple[Tensor, Tensor]]
"""From the loss and the model's outputs to a sample of queries and their positive keys (n d)."""

# From here on all queries are one point, as far as any search is concerned.
COLLAPSED = -0.05


def first_two(loss: nn.Module, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:  # noqa: ARG001 (others need the loss)
    """Take the first two outputs as positives of each other."""
    return outputs[0], outputs[1]


def signs(
    query: Float[Tensor, "n d"], positive_key: Float[Tensor, "n d"], temperature: float | None = None
) -> dict[str, float]:
    """How close are positives, how evenly do queries fill the sphere, and how many of them have nothing left to learn?

    Returns:
        alignment (0 = together, 2 = unrelated); uniformity of the queries (0 = all in one point, near -4 = evenly
        spread; NaN for one alone); and, where there is a temperature, saturated, the share of queries that give their
        positive more than 99 % of the probability among the keys of these rows (1 = nothing left to learn from them).
    """
    found = {"alignment": alignment(query, positive_key).item(), "uniformity": uniformity(query).item()}
    if temperature is None:
        return found
    return found | {"saturated": batch_diagnostics(InfoNCE(temperature), query, positive_key).saturated}


def collapsed(line: Mapping[str, float], *, late: bool) -> str:
    """Say so if all queries have become one point, with what to try; "" otherwise.

    Args:
        line: of metrics.
        late: after the warm-up; before it, many encoders begin in one point and leave it.
    """
    if not late or math.isnan(line["uniformity"]) or line["uniformity"] < COLLAPSED:
        return ""
    return (
        f"collapse: at step {line['step']:,.0f} all embeddings lie in one point (uniformity {line['uniformity']:.3f}; "
        "0 is a point). Try a smaller --learning-rate, a longer --warmup, or a larger --batch-size; with an encoder of "
        "your own, see whether its output differs between items at all."
    )
