"""What is not run, as it would take more memory than the machine can spare."""

from benchmarks.cases import Entry
from benchmarks.systems import System
from benchmarks.text import size

__all__ = ["needed_bytes", "too_large"]

_SHARE = 0.6


def needed_bytes(entry: Entry, system: System) -> float:
    """Estimate the memory that a figure takes; the floor takes little."""
    if entry.what == "floor":
        return 0.0
    problem = entry.problem
    return problem.input_bytes + problem.gradient_bytes + system.needs[problem.loss](problem.rows, problem.width)


def too_large(entry: Entry, system: System, memory: int) -> str:
    """The reason why it is not run on a machine of so many bytes; empty if it is."""
    needed = needed_bytes(entry, system)
    return f"would need {size(needed)}" if needed > _SHARE * memory else ""
