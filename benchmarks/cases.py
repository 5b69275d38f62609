"""Which cases are measured, in the order of their importance, and what each is expected to show."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.goals import Goal, Term
from benchmarks.problems import LOSSES, PLAIN, Problem
from benchmarks.systems import SYSTEMS

__all__ = ["Case", "Entry", "full", "short"]

What = Literal["loss", "floor", "memory", "precision"]
Table = Literal["time", "forward", "small", "others", "growth", "memory", "precision", "huge", "environment"]

OTHERS = tuple(name for name in LOSSES if name not in PLAIN)
WIDTHS = (128, 256, 512, 1024)
_MEGABYTE = 10**6
_MEMORY_ALLOWANCE = 64 * _MEGABYTE
_HUGE_BYTES = 2 * 10**9
_DTYPES = ("float32", "bfloat16", "float16")
_TEMPERATURES = (0.07, 0.01)
_PRECISION_ROWS, _PRECISION_WIDTH = 2048, 128


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure.

    Args:
        system: whose process computes.
        problem: what is computed.
        what: the loss's time, the time of the products that it cannot avoid, its memory, or its precision.
        backward: with the gradient, or the value alone.
    """

    system: str
    problem: Problem
    what: What = "loss"
    backward: bool = True

    @property
    def key(self) -> str:
        """Its name in results."""
        p = self.problem
        way = "" if self.backward else " forward"
        return f"{self.system} {p.loss} {p.rows}x{p.width} {p.dtype} T={p.temperature:g}{way} {self.what}"


@dataclass(frozen=True, slots=True)
class Case:
    """Figures that are compared with each other, so they are measured in turns.

    Args:
        table: where they are shown.
        name: unique in the table.
        entries: the figures.
        goals: what they should be.
        rounds: at most so many.
    """

    table: Table
    name: str
    entries: tuple[Entry, ...]
    goals: tuple[Goal, ...] = ()
    rounds: int = 15

    @property
    def key(self) -> str:
        """Its name in results."""
        return f"{self.table}: {self.name}"


# ---- goals: (loss, rows, width) to what was aimed at

_FLOOR_GOALS = {
    ("InfoNCE", 128): 1.25,
    ("InfoNCE", 0): 1.1,
    ("SymmetricInfoNCE", 128): 1.35,
    ("SymmetricInfoNCE", 0): 1.2,
    ("NTXent", 0): 1.3,
}
"""Time over the floor; width 0 stands for every other."""
_PEER_GOALS = {
    ("InfoNCE", 8192, 128): ("info-nce-pytorch", 2.5),
    ("InfoNCE", 8192, 512): ("info-nce-pytorch", 1.4),
    ("InfoNCE", 16384, 256): ("info-nce-pytorch", 1.8),
    ("SymmetricInfoNCE", 8192, 128): ("open_clip", 3.0),
    ("SymmetricInfoNCE", 8192, 512): ("open_clip", 1.5),
    ("SymmetricInfoNCE", 16384, 256): ("open_clip", 2.3),
    ("NTXent", 8192, 128): ("lightly", 8.0),
    ("NTXent", 8192, 512): ("lightly", 5.0),
}
"""How many times faster than which library."""
_OTHERS_GOAL, _SMALL_GOAL, _GROWTH_GOAL, _ROUNDING_GOAL = 1.25, 1.1, 1.1, 2.0
_FLOOR_GOAL_ROWS = 4096  # below, the products are so short that calling them is what takes the time


# ---- cases


def timed(table: Table, problem: Problem, systems: Iterable[str], *, backward: bool = True, rounds: int = 15) -> Case:
    """A loss beside its floor and other systems."""
    floor = Entry("ours", problem, "floor", backward=backward)
    entries = [Entry(name, problem, backward=backward) for name in systems if problem.loss in SYSTEMS[name].needs]
    terms = {entry.system: Term(entry.key) for entry in entries} | {"floor": Term(floor.key)}
    goals = tuple(_time_goals(table, problem, terms))
    return Case(table, f"{problem.loss} {problem.shape}", (floor, *entries), goals, rounds)


def _time_goals(table: Table, problem: Problem, terms: Mapping[str, Term]) -> Iterator[Goal]:
    ours = terms["ours"]
    if table == "small":
        yield Goal("time / dense, by hand", ours, terms["dense"], at_most=_SMALL_GOAL)
        yield Goal("time / Dense()", ours, terms["stored"], at_most=_SMALL_GOAL)
    if table == "time" and problem.rows >= _FLOOR_GOAL_ROWS:
        most = _FLOOR_GOALS.get((problem.loss, problem.width)) or _FLOOR_GOALS[problem.loss, 0]
        yield Goal("time / floor", ours, terms["floor"], at_most=most)
    peer, least = _PEER_GOALS.get((problem.loss, problem.rows, problem.width), ("", 0.0))
    if table == "time" and peer in terms:
        yield Goal(f"times faster than {SYSTEMS[peer].title}", terms[peer], ours, at_least=least)


def others(rows: int, width: int, *, peers: bool = True, rounds: int = 15) -> Case:
    """Every other objective beside plain InfoNCE and NT-Xent, in turns."""
    names = [("ours", loss) for loss in ("InfoNCE", "NTXent", *OTHERS)]
    if peers:
        names += [(s, loss) for loss in OTHERS for s in SYSTEMS if s != "ours" and loss in SYSTEMS[s].needs]
    entries = {name: Entry(name[0], Problem(name[1], rows, width)) for name in names}
    plain = Term(entries["ours", "InfoNCE"].key)
    goals = tuple(
        Goal("time / plain InfoNCE", Term(entries["ours", loss].key), plain, at_most=_OTHERS_GOAL) for loss in OTHERS
    )
    return Case("others", Problem("InfoNCE", rows, width).shape, tuple(entries.values()), goals, rounds)


def growth(loss: str, sizes: Sequence[int], width: int = 128, *, rounds: int = 15) -> Case:
    """Sizes in turns, so that time / rows^2 compares."""
    problems = [Problem(loss, rows, width) for rows in sizes]
    floors = [Entry("ours", problem, "floor") for problem in problems]
    ours = [Entry("ours", problem) for problem in problems]
    dense = [Entry("dense", problem) for problem in problems if problem.rows <= 16384]
    more = (problems[-1].rows / problems[0].rows) ** 2
    text = f"time per cell / that of {sizes[0]:,} rows"
    goal = Goal(text, Term(ours[-1].key), Term(ours[0].key), scale=1 / more, at_most=_GROWTH_GOAL)
    return Case("growth", f"{loss}, width {width}", (*floors, *ours, *dense), (goal,), rounds)


def memory(loss: str, rows: int, width: int, systems: Iterable[str], *, backward: bool = True) -> Case:
    """What one computation takes, each in a process of its own."""
    problem = Problem(loss, rows, width)
    names = [name for name in systems if loss in SYSTEMS[name].needs]
    entries = {name: Entry(name, problem, "memory", backward=backward) for name in names}
    most = problem.input_bytes + problem.gradient_bytes * backward + _MEMORY_ALLOWANCE
    ours = Term(entries["ours"].key, "bytes")
    goal = Goal("MB, inputs and gradients included", ours, scale=1 / _MEGABYTE, at_most=most / _MEGABYTE)
    way = "" if backward else ", forward alone"
    return Case("memory", f"{loss} {problem.shape}{way}", tuple(entries.values()), (goal,))


def huge(loss: str, rows: int = 131_072, width: int = 256) -> Case:
    """A matrix of scores that would take 69 GB, and several of them where it is stored."""
    entry = Entry("ours", Problem(loss, rows, width), "memory")
    goal = Goal(
        "MB in the whole process", Term(entry.key, "peak_bytes"), scale=1 / _MEGABYTE, at_most=_HUGE_BYTES / _MEGABYTE
    )
    return Case("huge", f"{loss} {entry.problem.shape}", (entry,), (goal,))


def precision(loss: str, systems: Iterable[str]) -> Case:
    """Gradients of rounded inputs beside float64's."""
    problem = Problem(loss, _PRECISION_ROWS, _PRECISION_WIDTH)
    problems = [replace(problem, dtype=dtype, temperature=t) for dtype in _DTYPES for t in _TEMPERATURES]
    names = [name for name in systems if loss in SYSTEMS[name].needs]
    entries = {(name, p): Entry(name, p, "precision") for p in problems for name in names}
    goals = tuple(
        Goal(
            "gradient error / rounding of the inputs",
            Term(entries["ours", p].key, "error"),
            Term(entries["ours", p].key, "rounding"),
            at_most=_ROUNDING_GOAL,
        )
        for p in problems
        if p.dtype != "float32"
    )
    return Case("precision", f"{loss} {problem.shape}", tuple(entries.values()), goals)


def environment(system: str, rows: int = 8192, width: int = 128) -> Case:
    """Do the products take the same time in the environment that has another torch?"""
    problem = Problem("InfoNCE", rows, width)
    return Case("environment", problem.shape, tuple(Entry(name, problem, "floor") for name in ("ours", system)))


# ---- grids

_SIZES = ((8192, 128), (8192, 512), (16384, 256))
_QUICK = ("ours", "dense")
_SMALL = (*_QUICK, "stored")


def short() -> list[Case]:
    """A look at everything, in about four minutes on two cores."""
    everyone = tuple(name for name in SYSTEMS if name != "stored")
    return [
        *(timed("time", Problem(loss, 8192, 128), everyone, rounds=3) for loss in PLAIN),
        *(timed("time", Problem(loss, 8192, 512), ("ours",), rounds=3) for loss in PLAIN),
        *(timed("small", Problem(loss, rows, 128), _SMALL, rounds=7) for rows in (64, 256, 1024) for loss in PLAIN),
        others(4096, 128, peers=False, rounds=5),
        *(precision(loss, _QUICK) for loss in PLAIN),
        *(memory(loss, 8192, 128, _QUICK) for loss in PLAIN),
        *(growth(loss, (8192, 16384), rounds=2) for loss in PLAIN),
    ]


def full() -> list[Case]:
    """Everything; what matters most comes first, as the time may run out."""
    everyone = tuple(name for name in SYSTEMS if name != "stored")
    small = [
        (rows, width, (*everyone, "stored") if width == WIDTHS[0] else _SMALL)
        for rows in (64, 256, 1024)
        for width in WIDTHS
    ]
    return [
        environment("open_clip"),
        *(timed("time", Problem(loss, *size), everyone) for size in _SIZES for loss in PLAIN),
        others(8192, 128),
        *(precision(loss, everyone) for loss in PLAIN),
        *(timed("small", Problem(loss, rows, width), names) for rows, width, names in small for loss in PLAIN),
        *(memory(loss, rows, 128, everyone) for rows in (8192, 16384) for loss in PLAIN),
        *(growth(loss, (8192, 16384, 65536)) for loss in PLAIN),
        huge("InfoNCE"),
        others(8192, 512, peers=False, rounds=3),
        *(timed("forward", Problem(loss, 8192, 128), everyone, backward=False) for loss in PLAIN),
        *(memory(loss, 16384, 128, ("ours",), backward=False) for loss in PLAIN),
        *(memory(loss, 65536, 128, everyone) for loss in PLAIN),
        *(memory(loss, 2048, 128, everyone) for loss in PLAIN),
        *(timed("time", Problem(loss, rows, 128), everyone) for rows in (1024, 4096) for loss in PLAIN),
        *(timed("time", Problem(loss, 4096, width), _QUICK, rounds=5) for width in WIDTHS[1:] for loss in PLAIN),
        *(timed("time", Problem(loss, 8192, width), _QUICK, rounds=3) for width in (256, 1024) for loss in PLAIN),
        *(memory(loss, 32768, 512, ("ours",)) for loss in PLAIN),
    ]
