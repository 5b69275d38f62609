"""How long will it take? An estimate, for the order of cases within a budget and for nothing else."""

from collections.abc import Iterable

from benchmarks.cases import Case, Entry
from benchmarks.guard import too_large
from benchmarks.harness import FEW_ROUNDS, rounds_for
from benchmarks.systems import SYSTEMS

__all__ = ["seconds_of"]

_FLOPS = 2e11
_CELL, _STORED_CELL = {"ours": 2e-9, "torch-chunked": 5e-9}, 15e-9
"""What a cell of the matrix costs beside its products, where it is not stored and where it is."""
_START, _PRECISION, _SMALLEST_SAMPLE = 4.0, 0.7, 0.06


def seconds_of(case: Case, missing: Iterable[str], memory: int) -> float:
    """Estimate a case on a machine of two cores.

    Args:
        case: what would be measured.
        missing: systems that are not installed.
        memory: of the machine; what would not fit is not run.
    """
    gone = set(missing)
    run = [e for e in case.entries if e.system not in gone and not too_large(e, SYSTEMS[e.system], memory)]
    each = [max(_seconds(entry), _SMALLEST_SAMPLE) for entry in run]
    if not each:
        return 0.0
    if case.table in ("memory", "huge"):
        return sum(each) + _START * len(each)
    if case.table == "precision":
        return _PRECISION * len(each)
    rounds = min(case.rounds, rounds_for(each))
    return sum(each) * (rounds + (rounds != FEW_ROUNDS))


def _seconds(entry: Entry) -> float:
    problem = entry.problem
    products = problem.products(backward=entry.backward) * 2 * problem.rows**2 * problem.width / _FLOPS
    if entry.what == "floor":
        return products
    return products + _CELL.get(entry.system, _STORED_CELL) * problem.rows**2
