"""What is wrong with a run? Its metrics, and a batch of held-out items examined as training would compare them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
# What is said of a loss that is no better than guessing; of items that were not trained on it may have another reason.
HELD_OUT = ("guessing", "too sure")
# A loss below this share of that of guessing says that something has been learned of the items of training.
LEARNED = 0.9
# What to try by options of the command line, where a diagnosis advises on a program of one's own.
ADVICE = {
    "collapsed": "more --steps, if these were few; a smaller --learning-rate, a longer --warmup or a larger "
    "--batch-size; with an encoder of your own, see whether its output differs between items at all",
    "guessing": "more --steps, if these were few; another --learning-rate or a longer --warmup; with data of your own, "
    "see whether the two of a pair belong together",
    "too sure": "earlier weights (--weights best), more data, fewer --steps, or more, if these were few; a search, "
    "which only ranks, does not suffer from it",
    "temperature too small": "a larger --temperature: 0.05 to 0.2",
    "temperature too large": "a smaller --temperature: 0.05 to 0.2",
    "duplicates": "take out of the data what is there twice",
    "likely false negatives": "see whether the data hold the same thing several times; a smaller --batch-size",
    "views alike": "with data of your own, see whether both of a pair are the same",
    "saturated": "a larger --batch-size, stronger augmentation, or fewer --steps",
}


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
    if "temperature too small" in known:  # which is content with rows that are nearly one point
        known.add("collapsed")
    others = [finding for finding in of_metrics(run.metrics()) if finding.name not in known]
    seen = [_overfitted(finding, diagnosis, run.metrics()) for finding in diagnosis.findings]
    order = ("error", "warning", "note")
    findings = sorted([*seen, *others], key=lambda finding: order.index(finding.severity))
    said = [run.note] if run.note else []
    if not run.metrics():
        said.append("There are no metrics: only a batch was examined.")
    return Checkup(str(run.path), run.recipe.name, tuple(findings), diagnosis, (*said, *notes))


def examine_batch(run: Run[Any]) -> tuple[Diagnosis, list[str]]:
    """Diagnose the loss of a batch of held-out items, drawn like those of validation.

    The model is in eval mode, as it is when it is used; where that shows a fault, it looks again in training mode. A
    fault that is gone then is of the statistics of batch norm and not of the embeddings.
    """
    recipe, splits, notes = run.recipe, run.splits(), []
    part = splits.validation
    if not len(part):
        notes.append("No items are held out: a batch of those of training was examined.")
        part = splits.train
    outputs, diagnosis = _look(run, part, training=False)
    if wrong := [finding for finding in diagnosis.findings if finding.severity == "error"]:
        _, again = _look(run, part, training=True)
        if not any(finding.name in {*HELD_OUT, wrong[0].name} for finding in again.findings):
            diagnosis = replace(again, findings=(_lagging(wrong[0]), *again.findings))
            notes.append("The numbers above are of the model in training mode.")
    if not any(isinstance(z, Tensor) and z.is_floating_point() and z.dim() == 2 for z in outputs):
        notes.append(
            f"{recipe.name} compares sequences: of a batch, only how the loss comes about is examined; of embeddings, "
            "what the metrics tell."
        )
    if diagnosis.comparisons > 1:
        notes.append(
            f"{recipe.name} has {diagnosis.comparisons} losses: the numbers above are of the last one, and the loss "
            "that training shows is the mean of all."
        )
    findings = tuple(replace(of, advice=ADVICE.get(of.name, of.advice)) for of in diagnosis.findings)
    return replace(diagnosis, findings=findings), notes


def _overfitted(finding: Finding, diagnosis: Diagnosis, lines: Sequence[Mapping[str, float]]) -> Finding:
    """Say of held-out items that are no better than guessed that those of training are, where that is so."""
    last = lines[-LAST:]
    training = sum(line["loss"] / line["log_candidates"] for line in last) / max(1, len(last))
    if finding.name not in HELD_OUT or not 0 < training < LEARNED:
        return finding
    batch = diagnosis.batch
    return Finding(
        "overfitting",
        "warning",
        f"on held-out items the loss is {batch.surprise:.2f} nats, and guessing costs {batch.chance:.2f}; at the end "
        f"of training it was {training:.0%} of what guessing costs there. Held-out positives have rank "
        f"{batch.mean_rank:.0f} of {math.exp(batch.log_candidates):.0f} on average.",
        "more data or stronger augmentation; earlier weights (--weights best); info-nce evaluate says what the ranks "
        "are worth, which may get better while this loss gets worse",
    )


def _look(run: Run[Any], part: Any, *, training: bool) -> tuple[tuple[Any, ...], Diagnosis]:
    """What the model gives for a batch, and the diagnosis of its loss."""
    model, loss = run.model().train(training), run.loss().eval()
    # in a scope of its own, as views and distractors are drawn
    with torch.random.fork_rng():
        torch.manual_seed(VALIDATION_SEED)
        with torch.no_grad():
            outputs = model(*batches_of(run.recipe, part, torch.device("cpu"))(0))
        return outputs, diagnose(loss, *outputs)


def _lagging(finding: Finding) -> Finding:
    return Finding(
        "batch norm lags",
        "warning",
        f"with the running statistics of batch norm, as the model is used after training, the fault is {finding.name}; "
        "with those of the batch, as in training, it is not there. They follow the weights within some hundred steps.",
        "more --steps, a smaller --learning-rate",
    )


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
                ADVICE["guessing"],
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
                ADVICE["saturated"],
            )
        )
    return found


def _parted(advice: str) -> tuple[str, str]:
    """What the trainer says of a collapse: what it has seen, and what to try."""
    what, _, hint = advice.partition(": ")[2].partition(" Try ")
    return what, hint
