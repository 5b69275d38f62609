"""What `diagnose` finds in a training, whether that is as it should be, and the file of it all."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.papers.kept import circumstances
from benchmarks.results import write
from benchmarks.survey.faults import HEALTHY, REFUSED, Fault
from benchmarks.survey.settings import Training
from benchmarks.survey.trainings import fault_of, trained
from info_nce.checks import ArgumentError
from info_nce.diagnostics import diagnose

__all__ = ["RESULTS", "Found", "Outcome", "Run", "begun", "judged", "keep", "kept", "survey"]

RESULTS = Path("benchmarks/survey.json")


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, as it is kept.

    Args:
        name: of the finding.
        severity: of it.
        what: was seen.
    """

    name: str
    severity: str
    what: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A training, and what was found in it.

    Args:
        training: how it was made.
        findings: of `diagnose`, the gravest first.
        hidden: why a batch cannot show what is wrong; empty, if it can or nothing is.
        as_expected: nothing was found in a healthy one, or what names the fault in a broken one.
    """

    training: Training
    findings: tuple[Found, ...]
    hidden: str
    as_expected: bool

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.training.fault == HEALTHY.name


@dataclass(frozen=True, slots=True)
class Run:
    """All trainings of a seed."""

    seed: int
    seconds: float
    outcomes: tuple[Outcome, ...]


def judged(training: Training, fault: Fault) -> Outcome:
    """Train, diagnose, and compare with what is wrong."""
    findings = _findings(training, fault)
    names = {finding.name for finding in findings}
    as_expected = not names if fault is HEALTHY else bool(names & fault.named_by)
    return Outcome(training, findings, fault.hidden(training), as_expected)


def _findings(training: Training, fault: Fault) -> tuple[Found, ...]:
    try:
        seen = trained(training, fault)
        diagnosis = diagnose(seen.criterion, *seen.inputs, ids=seen.ids, start=seen.start)
    except ArgumentError as error:
        return (Found(REFUSED, "error", str(error).partition("\n")[0]),)
    except Exception as error:
        raise RuntimeError(f"neither trained nor diagnosed: {training}") from error
    return tuple(Found(finding.name, finding.severity, finding.what) for finding in diagnosis.findings)


def survey(seed: int, trainings: Sequence[Training]) -> Run:
    """All trainings of a seed, one after the other; no embedding is kept."""
    began = time.perf_counter()
    outcomes = tuple(judged(training, fault_of(training)) for training in trainings)
    return Run(seed, round(time.perf_counter() - began, 1), outcomes)


# ---- the file


def kept(file: Path = RESULTS) -> tuple[dict[str, Any], list[Run]]:
    """Circumstances, and what was found before."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"runs": []}
    runs = [Run(run["seed"], run["seconds"], tuple(map(_outcome, run["trainings"]))) for run in found.pop("runs")]
    return found, runs


def _outcome(row: dict[str, Any]) -> Outcome:
    findings = tuple(Found(**finding) for finding in row["findings"])
    return Outcome(Training(**row["training"]), findings, row["hidden"], row["as_expected"])


def begun(file: Path, plan: dict[int, list[Training]]) -> list[Run]:
    """What was found before of trainings that would be drawn today."""
    return [run for run in kept(file)[1] if plan.get(run.seed) == [outcome.training for outcome in run.outcomes]]


def keep(runs: Sequence[Run], command: str, file: Path = RESULTS) -> None:
    """Write what was found."""
    rows = [{"seed": run.seed, "seconds": run.seconds, "trainings": list(map(asdict, run.outcomes))} for run in runs]
    write(file, {**circumstances(command), "runs": rows})
