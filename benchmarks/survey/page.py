"""The part of a page that says how far `diagnose` is to be trusted."""

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.survey.faults import FAULTS, REASONS
from benchmarks.survey.outcomes import Outcome, Run
from benchmarks.survey.settings import CHOICES, LOSSES
from benchmarks.text import aligned

__all__ = ["BEGIN", "END", "PAGE", "counts", "filled", "render", "section"]

PAGE = Path("docs/practice/diagnostics.md")
BEGIN, END = "<!-- begin: python -m benchmarks.survey writes this -->", "<!-- end -->"

_INTRO = """\
`make survey` trains small encoders and shows the last batch of each to `diagnose`: handwritten digits, glosses,
Gaussians and clusters; {losses} losses; batches of {batches} rows with {features} features; temperatures of
{temperatures}; before the first step, and after up to {steps}; the batch from training or held out. {healthy} are
healthy, and {broken} have one fault of a list of {faults}. All are drawn by chance, of {seeds}; thresholds were
chosen on other trainings of this kind."""

_NAMED = """\
*Named* means that a finding says what is wrong, or what it has led to: wrong pairs, for one, lead to "guessing",
"collapsed" or "wrong layout"; labels that are all different are named by the error that the loss raises. Fault by
fault, of those that a batch can show:"""

_HIDDEN = "Trainings with other faults are not counted above:"

_SOURCE = (
    "`{command}`: {minutes} on one core ({machine}); {versions}; {date}. Every training is in `benchmarks/survey.json`."
)


def render(head: Mapping[str, Any], runs: Sequence[Run], page: Path = PAGE) -> Path:
    """Put the section into its page."""
    page.write_text(filled(page.read_text(encoding="utf-8"), section(head, runs)), encoding="utf-8")
    return page


def filled(text: str, told: str) -> str:
    """A page with something else between the marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page has no part between {BEGIN} and {END}.")
    return f"{before}{begin}\n\n{told}\n\n{end}{after}"


def section(head: Mapping[str, Any], runs: Sequence[Run]) -> str:
    """All of it; every number comes from the file, or is what trainings are drawn from."""
    outcomes = [outcome for run in runs for outcome in run.outcomes]
    healthy = [outcome for outcome in outcomes if outcome.healthy]
    broken = [outcome for outcome in outcomes if not outcome.healthy]
    shown = [outcome for outcome in broken if not outcome.hidden]
    seconds = sum(run.seconds for run in runs)
    intro = _INTRO.format(
        losses=len(LOSSES),
        batches=_range("batch"),
        features=_range("features"),
        temperatures=_range("temperature"),
        steps=max(CHOICES["steps"]),
        healthy=len(healthy),
        broken=len(broken),
        faults=len(FAULTS),
        seeds=_seeds([run.seed for run in runs]),
    )
    source = _SOURCE.format(
        command=head["command"],
        minutes=f"{max(seconds / 60, 1):.0f} minutes",
        machine=head["machine"],
        versions=", ".join(f"{name} {number}" for name, number in head["versions"].items()),
        date=head["date"],
    )
    parts = (
        textwrap.fill(intro, 120, break_on_hyphens=False),
        aligned(("trainings", ""), _summary(healthy, shown)),
        _NAMED,
        aligned(("fault", "named", "of"), _families(shown)),
        _HIDDEN,
        aligned(("a batch cannot show", "named all the same", "of"), _reasons(broken)),
        source,
    )
    return "\n\n".join(parts)


def _summary(healthy: Sequence[Outcome], shown: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    yield "healthy: nothing is found", _of(healthy)
    for worst, words in (("note", "a note"), ("warning", "a warning"), ("error", "an error")):
        found = [outcome for outcome in healthy if outcome.findings and outcome.findings[0].severity == worst]
        # a training with a warning may have notes, too: each is told by its gravest finding
        names = Counter(outcome.findings[0].name for outcome in found)
        what = ", ".join(f"{name} {count}" for name, count in sorted(names.items()))
        yield f"healthy: {words}{f' ({what})' if what else ''}", str(len(found))
    yield "broken, in a way that a batch can show: named", _of(shown)


def _families(shown: Sequence[Outcome]) -> Iterator[tuple[str, str, str]]:
    for family, (named, count) in counts(shown, lambda outcome: FAULTS[outcome.training.fault].family).items():
        yield family, str(named), str(count)


def _reasons(broken: Sequence[Outcome]) -> Iterator[tuple[str, str, str]]:
    found = counts(broken, lambda outcome: outcome.hidden)
    for reason in REASONS:
        named, count = found.get(reason, (0, 0))
        yield reason, str(named), str(count)


def counts(outcomes: Iterable[Outcome], key: Callable[[Outcome], str]) -> dict[str, tuple[int, int]]:
    """How many were named, of how many, in the order in which they come."""
    found: dict[str, tuple[int, int]] = {}
    for outcome in outcomes:
        named, count = found.get(key(outcome), (0, 0))
        found[key(outcome)] = named + outcome.as_expected, count + 1
    return found


def _of(outcomes: Sequence[Outcome]) -> str:
    return f"{sum(outcome.as_expected for outcome in outcomes)} of {len(outcomes)}"


def _range(part: str) -> str:
    return f"{min(CHOICES[part]):,} to {max(CHOICES[part]):,}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seeds {min(seeds)} to {max(seeds)}" if len(seeds) > 1 else f"seed {seeds[0]}"
