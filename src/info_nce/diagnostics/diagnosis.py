"""Why does this loss not do what it should? The checks that people make by hand, and what each of them advises."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from info_nce.checks import DTypeError, check_ids, fail
from info_nce.diagnostics.batch import BatchDiagnostics
from info_nce.diagnostics.examine import STAGES
from info_nce.diagnostics.examined import Examined, Finding
from info_nce.diagnostics.watch import seen_by, watching
from info_nce.losses import NCE, Face, SupCon
from info_nce.losses.options import Tensors

__all__ = ["Diagnosis", "diagnose"]

_ORDER = ("error", "warning", "note")
_BESIDE = frozenset(Tensors.__annotations__)
"""What goes with a batch and is no embedding."""
_Given = dict[int | str, Any]
"""What a loss is called with: by place, and by name."""
_DIMENSIONS = (2, 3)
"""Of embeddings: one for each item, or a list or sequence of them."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found, the gravest first; `str` of it is a report.

    Args:
        findings: none where all is well.
        batch: the numbers behind them.
        comparisons: how many the loss made, of which these are the numbers of the last.
    """

    findings: tuple[Finding, ...]
    batch: BatchDiagnostics
    comparisons: int = 1

    @property
    def standing(self) -> str:
        """How the loss stands, in two lines."""
        batch, rows = self.batch, self.batch.rows
        lost = int(rows.rank[rows.positives > 0].isnan().sum())
        if lost:
            return f"loss {batch.loss:.3f} nats; {lost} of {batch.queries} queries are compared with what is no number."
        told = (
            f"loss {batch.loss:.3f} nats; guessing among the candidates is {batch.log_candidates:.3f}. "
            if math.isclose(batch.loss, batch.surprise, rel_tol=1e-3, abs_tol=1e-3) or math.isnan(batch.loss)
            else f"loss {batch.loss:.3f} nats; a softmax over the candidates would pay {batch.surprise:.3f}, "
            f"and guessing {batch.chance:.3f}. "
        )
        similar = (
            f"similarity of positives {_rounded(batch.positive_similarity)}, of negatives "
            f"{_rounded(batch.negative_similarity)} with a spread of {batch.negative_similarity_spread:.2f}; "
        )
        if (rows.candidates == rows.positives).all():
            others = "no query has a negative."
        else:
            others = f"{batch.effective_negatives:.1f} negatives share the push."
        known = math.isfinite(batch.positive_similarity) and math.isfinite(batch.negative_similarity)
        return (
            f"{told}{batch.top1:.0%} of {batch.queries} queries find their positive first.\n"
            f"{similar if known else ''}{others}"
        )

    def __str__(self) -> str:
        """How the loss stands, then each finding with what to try."""
        found = [str(finding) for finding in self.findings]
        return "\n\n".join([self.standing, *(found or ["Nothing is wrong that can be told from a batch."])])

    def as_json(self) -> dict[str, Any]:
        """Findings and numbers, for scripts; None for what is no number."""
        numbers = {name: value if math.isfinite(value) else None for name, value in self.batch.numbers().items()}
        findings = [asdict(finding) for finding in self.findings]
        return {"findings": findings, "comparisons": self.comparisons, "batch": numbers}


def diagnose(
    criterion: nn.Module,
    *inputs: Any,
    ids: Int[Tensor, " n"] | None = None,
    told: bool = False,
    start: bool = False,
    **tensors: Any,
) -> Diagnosis:
    """Why does this loss not fall, or fall to nothing good?

    The loss of the batch is computed once, watched and with its gradient by the embeddings. Everything else is read off
    that; nothing is trained, and what the embeddings came from is left alone, as are buffers and random states. On a
    batch of a training that goes well, nothing is found.

    Args:
        criterion: any face, or a module that holds one or calls `contrast`.
        inputs: what it is called with: embeddings as they come out of the model, so that one that has lost its history
            is noticed.
        ids: which item each row shows. Looked at for duplicates, and kept from the loss unless `told`.
        told: give the ids to the loss, too, as in `criterion(..., ids=ids)`: duplicates are no fault then.
        start: nothing has been learned yet: guessing is then no fault, and another loss is.
        tensors: what it is called with by name.

    Returns:
        What was found, in words and as values.

    Raises:
        DTypeError: no loss of this package is in criterion, it does not return its loss, or ids are no integers.
        ShapeError: not one id for each row of the first input.
        ArgumentError: the loss cannot be computed, or compared nothing.

    Example:
        >>> from info_nce import InfoNCE
        >>> same = torch.ones(8, 4)
        >>> [finding.name for finding in diagnose(InfoNCE(), same, same).findings]
        ['collapsed']
    """
    named = {**tensors, "ids": ids} if told else tensors
    with (
        watching(criterion, *inputs, *tensors.values()) as watch,
        torch.inference_mode(mode=False),
        torch.enable_grad(),
    ):
        given: _Given = {**dict[int | str, Any](enumerate(inputs)), **_in_order(criterion, named)}
        vectors = not any(isinstance(module, NCE) for module in criterion.modules())  # it is given scores
        places = [place for place, value in given.items() if vectors and _is_embedding(place, value)]
        _check_ids(ids, [*(given[place] for place in places), *given.values()])
        leaves = {place: _leaf(value, embedding=place in places) for place, value in given.items()}
        value = criterion(*(leaves[place] for place in range(len(inputs))), **{name: leaves[name] for name in named})
        batch = seen_by(watch, criterion)
        _check_loss(value)
        embeddings = [leaves[place] for place in places]
        slopes: tuple[Tensor | None, ...] = tuple(None for _ in places)
        if places and value.requires_grad:
            slopes = torch.autograd.grad(value.sum(), embeddings, allow_unused=True)
    faces = tuple(module for module in criterion.modules() if isinstance(module, Face))
    examined = Examined(
        batch,
        inputs=tuple(embedding.detach() for embedding in embeddings),
        tracked=tuple(given[place].requires_grad for place in places),
        slopes=slopes,
        loss=value.detach(),
        parameters={name: parameter.detach() for name, parameter in criterion.named_parameters()},
        faces=faces,
        labels=_labels(faces, given),
        ids=ids,
        told=told,
        start=start,
    )
    return Diagnosis(_findings(examined), batch, watch.comparisons)


def _findings(examined: Examined) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for stage in STAGES:
        if found and (stage in STAGES[-2:] or any(finding.severity == "error" for finding in found)):
            break
        found += [finding for check in stage for finding in check(examined)]
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))


def _in_order(criterion: nn.Module, named: Mapping[str, Any]) -> _Given:
    """What is given by name, in the order in which the loss lists it."""
    listed = [*inspect.signature(criterion.forward).parameters]
    return dict(sorted(named.items(), key=lambda item: listed.index(item[0]) if item[0] in listed else len(listed)))


def _labels(faces: Sequence[Face], given: _Given) -> Tensor | None:
    """Those of a loss that compares labels; ids, which other losses may be given, are none."""
    if not any(isinstance(face, SupCon) for face in faces):
        return None
    tensors = (value for place, value in given.items() if place not in _BESIDE and isinstance(value, Tensor))
    return next((value for value in tensors if not value.is_floating_point()), None)


def _check_ids(ids: object, inputs: Sequence[object]) -> None:
    first = next((value for value in inputs if isinstance(value, Tensor) and value.dim()), None)
    if ids is not None and first is not None:
        check_ids("ids", ids, (len(first),), first.device)


def _check_loss(value: object) -> None:
    if not isinstance(value, Tensor):
        fail(
            DTypeError,
            "criterion must return its loss, whose gradient is looked at.",
            got=f"a {type(value).__name__}",
            expected="a tensor, as NTXent() returns",
            hint="a module whose forward returns the loss alone, such as outputs['loss']; or batch_diagnostics",
        )


def _rounded(value: float) -> str:
    """With two digits, and never -0.00."""
    return f"{round(value, 2) + 0.0:.2f}"


def _is_embedding(place: int | str, value: object) -> bool:
    return (
        place not in _BESIDE and isinstance(value, Tensor) and value.is_floating_point() and value.dim() in _DIMENSIONS
    )


def _leaf(value: Any, *, embedding: bool) -> Any:
    if not isinstance(value, Tensor):
        return value
    value = value.clone() if value.is_inference() else value  # autograd takes no tensor of inference mode
    return value.detach().requires_grad_() if embedding else value
