"""What is wrong with a run? Its metrics, and a batch of held-out items examined as training would compare them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from info_nce.diagnostics import Diagnosis, Finding, diagnose
from info_nce.recipes.batches import batches_of
from info_nce.recipes.loop import VALIDATION_SEED
from info_nce.recipes.runs import Run
from info_nce.recipes.signs import collapsed

# So many of the last lines of metrics speak for the end of a run.
LAST = 5
# A loss that is still above this share of that of guessing has not begun to fall.
FLAT = 0.98


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found in a run.

    Args:
        run: its folder.
        recipe: by name.
        findings: in its metrics and in a batch; one for each fault, the gravest first.
        diagnosis: of the batch.
        notes: what a reader has to know of how that came about.
    """

    run: str
    recipe: str
    findings: tuple[Finding, ...]
    diagnosis: Diagnosis
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "run": self.run,
            "recipe": self.recipe,
            "notes": list(self.notes),
            **self.diagnosis.as_json(),
            "findings": [asdict(finding) for finding in self.findings],
        }


def check_up(run: Run[Any]) -> Checkup:
    """Examine a run.

    Raises:
        RunError: its data are not those that it was trained on any more.
    """
    diagnosis, notes = examine_batch(run)
    known = {finding.name for finding in diagnosis.findings}
    others = [finding for finding in of_metrics(run.metrics()) if finding.name not in known]
    order = ("error", "warning", "note")
    findings = sorted([*diagnosis.findings, *others], key=lambda finding: order.index(finding.severity))
    said = [run.note] if run.note else []
    return Checkup(str(run.path), run.recipe.name, tuple(findings), diagnosis, (*said, *notes))


def examine_batch(run: Run[Any]) -> tuple[Diagnosis, list[str]]:
    """Diagnose the loss of a batch of held-out items, drawn like those of validation."""
    recipe, splits, notes = run.recipe, run.splits(), []
    model, loss = run.model(), run.loss().eval()
    part = splits.validation
    if not len(part):
        notes.append("No items are held out: a batch of those of training was examined.")
        part = splits.train
    # in a scope of its own, as views and distractors are drawn
    with torch.random.fork_rng():
        torch.manual_seed(VALIDATION_SEED)
        with torch.no_grad():
            outputs = model(*batches_of(recipe, part, torch.device("cpu"))(0))
        diagnosis = diagnose(loss, *outputs)
    if not any(isinstance(z, Tensor) and z.is_floating_point() and z.dim() == 2 for z in outputs):
        notes.append(
            f"{recipe.name} compares sequences: of a batch, only how the loss comes about is examined; of embeddings, "
            "what the metrics tell."
        )
    return diagnosis, notes


def of_metrics(lines: Sequence[Mapping[str, float]]) -> list[Finding]:
    """What the metrics of a run say of its end.

    Args:
        lines: of metrics.jsonl, oldest first.
    """
    if not lines:
        return []
    last = lines[-LAST:]
    found = []
    broken = [line for line in lines if not all(math.isfinite(value) for value in line.values())]
    if broken:
        names = ", ".join(name for name, value in broken[0].items() if not math.isfinite(value))
        found.append(
            Finding(
                "not finite",
                "error",
                f"{names} is no number in {len(broken)} of {len(lines)} lines of metrics, first at step "
                f"{broken[0]['step']:,.0f}.",
                "a smaller --learning-rate, a higher --temperature",
            )
        )
    loss, guess = (sum(line[name] for line in last) / len(last) for name in ("loss", "log_candidates"))
    if len(lines) >= LAST and loss > FLAT * guess:
        found.append(
            Finding(
                "guessing",
                "error",
                f"the loss in the last {len(last)} lines of metrics is {loss:.2f} nats; guessing costs {guess:.2f}.",
                "more --steps, another --learning-rate or a longer --warmup",
            )
        )
    if advice := collapsed(last[-1], late=True):
        found.append(Finding("collapsed", "error", *_parted(advice)))
    if min(line.get("saturated", 0.0) for line in last) > 0.98:
        found.append(
            Finding(
                "saturated",
                "note",
                f"at the end, {last[-1]['saturated']:.0%} of the queries gave their positive more than 99 % of the "
                "probability.",
                "a larger --batch-size, stronger augmentation, or fewer --steps",
            )
        )
    return found


def _parted(advice: str) -> tuple[str, str]:
    """What the trainer says of a collapse: what it has seen, and what to try."""
    what, _, hint = advice.partition(": ")[2].partition(" Try ")
    return what, hint
