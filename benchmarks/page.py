"""The page of a file of results, in Markdown."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import plots, tables
from benchmarks.agreement import disagreements
from benchmarks.machine import BUSY
from benchmarks.problems import PLAIN
from benchmarks.results import Results
from benchmarks.verdict import goals, summary, verdict

__all__ = ["PICTURES", "page_of"]

Show = Callable[[Results], str]

PICTURES = {
    "time": "Time over the floor against rows, for each system and loss",
    "memory": "Peak memory against rows, for each system and loss, and where each stops",
    "others": "Time of each other objective over plain InfoNCE",
}
"""Of which tables there is a picture, and what it shows, for those who cannot see it."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: what was measured, its picture, its tables and each of its goals."""

    table: str
    title: str
    text: str
    show: Show

    def of(self, results: Results) -> str:
        """Nothing if nothing was measured."""
        if not any(results.of_table(self.table)):
            return ""
        picture = f"![{PICTURES[self.table]}](images/bench-{self.table}.png)" if self.table in PICTURES else ""
        return _joined(f"## {self.title}", self.text, picture, self.show(results), goals(results, self.table))


def page_of(results: Results) -> str:
    """All of it; every number comes from the results."""
    return (
        _joined(_head(results), _goals(results), *(section.of(results) for section in _SECTIONS), _how(results)) + "\n"
    )


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _by_loss(show: Callable[[Results, str], str], title: str = "") -> Show:
    """A table for each of the three plain losses."""

    def all_of(results: Results) -> str:
        found = [(loss, show(results, loss)) for loss in PLAIN]
        return _joined(*(f"### {loss}{title}\n\n{text}" for loss, text in found if text))

    return all_of


def _times(table: str) -> Show:
    return _by_loss(lambda results, loss: tables.times(results, table, loss))


def _memory(results: Results) -> str:
    both = _by_loss(lambda results, loss: tables.memory(results, loss, backward=True))
    alone = _by_loss(lambda results, loss: tables.memory(results, loss, backward=False), ", the value alone")
    return _joined(both(results), alone(results))


def _head(results: Results) -> str:
    head, machine = results.head, results.head["machine"]
    ours = results.systems.get("ours", {})
    changed = ", with changes" if head["commit"].endswith("+") else ""
    facts = [
        f"{machine['cpu']}, {machine['cores']} cores, {ours.get('threads', '?')} threads",
        f"{machine['memory_bytes'] / 1e9:.0f} GB",
        f"torch {ours.get('torch', '?')}",
        f"commit {head['commit'].rstrip('+')}{changed}",
        head["date"][:10],
    ]
    busy = f" **The machine was busy before the start (load {head['load']}).**" if head["load"] > BUSY else ""
    return _joined(
        "# Benchmarks",
        f"How fast are the losses, how much memory do they take, and how exact are they?\n{'; '.join(facts)}.{busy}",
        f"Measured by `{' '.join(head['command'])}`; every number here comes from `{results.path.name}`.",
        *(f"**Not the same number:** {line}" for line in disagreements(results.cases)),
    )


def _goals(results: Results) -> str:
    met, of = verdict(results)
    text = (
        f"{met} of {of} measured goals are met. The *floor* is the time of the matrix products that a loss cannot\n"
        "avoid, and of nothing else; MB are 10^6 bytes."
    )
    return _joined("## Goals", text, summary(results))


def _how(results: Results) -> str:
    same = tables.environments(results)
    return _joined(
        "## How it is measured",
        _HOW,
        _joined("The same products in the two environments:", same) if same else "",
        "### Systems",
        tables.participants(results),
    )


_SECTIONS = [
    Section(
        "time",
        "Forward and backward",
        "Medians; in brackets behind other systems how many times as long as the package they take. In the picture,\n"
        f"width {plots.SHOWN_WIDTH}: the line at 1 is the floor, the dashed one the goal.",
        _times("time"),
    ),
    Section("small", "Small batches", "Where a call costs more than its products.", _times("small")),
    Section("growth", "Growth", "Does a cell of the matrix cost the same in a large one?", tables.growth),
    Section("huge", "The largest", "Each of its matrices would take 69 GB in float32.", tables.huge),
    Section("forward", "The value alone", "Under `torch.no_grad()`.", _times("forward")),
    Section(
        "others",
        "Other objectives",
        "Beside plain InfoNCE and NT-Xent of the same matrix: a loss of two views has half as many items as rows.",
        tables.others,
    ),
    Section(
        "memory",
        "Memory",
        "How much the resident set grows, inputs and gradients included. What was not run is an estimate, a cross in\n"
        "the picture.",
        _memory,
    ),
    Section(
        "precision",
        "Precision",
        "Relative error of the gradient against float64, all inputs together, beside the error that rounding the\n"
        "inputs alone causes: that much is lost before any loss begins.",
        tables.precision,
    ),
]

_HOW = """\
* Each system is a process of its own. In each round each computes the case once, beginning with another one each time,
  and never two at once. A figure is the median over the rounds; in brackets are the lowest and the highest. Ratios are
  taken within a round. Short cases have 15 rounds; where a system takes more than 5 s, 3.
* All get the same inputs: normal rows, the two sides of a pair with a cosine of about 0.3, temperature 0.1. Values and
  lengths of gradients are compared; a system that computes another number is named at the top of this page.
* The floor counts 3 products for one direction, 4 for both, 2 for NT-Xent (its matrix is its own transpose, so half of
  the tiles are enough, twice, and one whole product for the gradient), 2 with a queue, 1 for the value alone (half for
  NT-Xent). They are done by `torch.mm` into buffers allocated before, in chunks of 512 or 1,024 rows, whichever is
  faster, in the package's process and in the same rounds.
* Memory is the growth of the resident set's peak in a new process, after a warm-up with 64 rows.
* What would need more than 60 % of the machine's memory is not run: the tables say how much it would need, estimated
  from smaller sizes.
* `make bench` takes a look at everything in about four minutes; `make bench-full` measures all of this in at most forty
  minutes and goes on where it stopped; `make bench-peers` installs the other libraries."""
