"""The tables of a page, from results."""

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.homes import MISSING
from benchmarks.problems import LOSSES
from benchmarks.results import Results
from benchmarks.rows import Row, compared, entry_of, measured, problem_of, shape_of, size_of
from benchmarks.systems import SYSTEMS
from benchmarks.text import aligned, number, seconds, size, spread

__all__ = ["environments", "growth", "huge", "memory", "others", "participants", "precision", "times"]


def times(results: Results, table: str, loss: str) -> str:
    """Seconds of each system for each shape, and how many times those of the package they are."""
    cases = [case for case in results.of_table(table) if entry_of(case, "ours", "floor", loss)]
    names = _systems(cases)
    lines = []
    for case in sorted(cases, key=lambda case: size_of(entry_of(case, "ours", "floor", loss))):
        floor, ours = entry_of(case, "ours", "floor", loss), entry_of(case, "ours", "loss", loss)
        over = compared(case, ours, floor)
        own = [shape_of(floor), _seconds(floor), f"**{_seconds(ours)}**", spread(over) if over else ""]
        lines.append([*own, *(_beside(case, entry_of(case, name, "loss", loss), ours) for name in names)])
    titles = [f"{results.systems[name]['title']}" for name in names]
    return aligned(("rows x width", "floor", "info-nce-kit", "/ floor", *titles), lines) if lines else ""


def others(results: Results) -> str:
    """Every other objective beside plain InfoNCE and NT-Xent."""
    lines = []
    for case in results.of_table("others"):
        plain, views = (entry_of(case, "ours", "loss", name) for name in ("InfoNCE", "NTXent"))
        for loss in LOSSES:
            row = entry_of(case, "ours", "loss", loss)
            if row:
                ratios = [compared(case, row, base) for base in (plain, views)]
                peers = [e for e in case["entries"].values() if e["loss"] == loss and e["system"] != "ours"]
                said = [
                    f"{results.systems[e['system']]['title']} {_beside(case, e, row)}" for e in peers if measured(e)
                ]
                shown = [spread(ratio) if ratio else "" for ratio in ratios]
                lines.append([loss, shape_of(row), _seconds(row), *shown, ", ".join(said)])
    return aligned(("loss", "rows x width", "info-nce-kit", "/ InfoNCE", "/ NTXent", "others"), lines, left=2)


def growth(results: Results) -> str:
    """Does a cell of the matrix cost the same in a large one?"""
    lines = []
    for case in results.of_table("growth"):
        rows = [e for e in case["entries"].values() if e["system"] == "ours" and measured(e)]
        for row in (e for e in rows if e["what"] == "loss"):
            floor = entry_of(case, "ours", "floor", row["loss"], row["rows"])
            dense = entry_of(case, "dense", "loss", row["loss"], row["rows"])
            per_cell = median(row["seconds"]) / row["rows"] ** 2 * 1e9
            over = compared(case, row, floor)
            cells = [_seconds(row), f"{number(per_cell)} ns", spread(over) if over else "", _seconds(dense)]
            lines.append([row["loss"], shape_of(row), *cells])
    return aligned(("loss", "rows x width", "info-nce-kit", "per cell", "/ floor", "dense, by hand"), lines, left=2)


def memory(results: Results, loss: str, *, backward: bool) -> str:
    """The growth of the resident set, inputs and gradients included."""
    cases = [
        c
        for c in results.of_table("memory")
        if (e := entry_of(c, "ours", "memory", loss)) and e["backward"] == backward
    ]
    names = _systems(cases)
    lines = []
    for case in sorted(cases, key=lambda case: size_of(entry_of(case, "ours", "memory", loss))):
        ours = entry_of(case, "ours", "memory", loss)
        problem = problem_of(ours)
        least = problem.input_bytes + problem.gradient_bytes * backward
        shown = [_megabytes(entry_of(case, name, "memory", loss)) for name in ("ours", *names)]
        lines.append([shape_of(ours), size(least), *shown])
    titles = [results.systems[name]["title"] for name in names]
    inputs = "inputs and gradients" if backward else "inputs"
    return aligned(("rows x width", inputs, "info-nce-kit", *titles), lines) if lines else ""


def huge(results: Results) -> str:
    """The largest matrices."""
    rows = [entry for case in results.of_table("huge") for entry in case["entries"].values()]
    lines = [
        [e["loss"], shape_of(e), seconds(e["seconds"]), _megabytes(e), size(e["peak_bytes"])]
        for e in rows
        if measured(e)
    ]
    head = ("loss", "rows x width", "forward and backward", "inputs, gradients and the rest", "whole process")
    return aligned(head, lines, left=2) if lines else ""


def precision(results: Results) -> str:
    """Relative errors of gradients."""
    cases = list(results.of_table("precision"))
    names = _systems(cases)
    lines = []
    for case in cases:
        for row in (e for e in case["entries"].values() if e["system"] == "ours" and measured(e)):
            alike = ("loss", "dtype", "temperature")
            same = {e["system"]: e for e in case["entries"].values() if all(e[n] == row[n] for n in alike)}
            errors = [_error(same.get(name)) for name in ("ours", *names)]
            inputs = [row["loss"], row["dtype"], f"{row['temperature']:g}", _percent(row["rounding"])]
            lines.append([*inputs, *errors])
    titles = [results.systems[name]["title"] for name in names]
    return aligned(("loss", "inputs", "T", "rounding the inputs", "info-nce-kit", *titles), lines, left=2)


def environments(results: Results) -> str:
    """The same products in two environments."""
    lines = [
        [results.systems[e["system"]].get("torch", ""), shape_of(e), _seconds(e)]
        for case in results.of_table("environment")
        for e in case["entries"].values()
        if measured(e)
    ]
    return aligned(("torch", "rows x width", "three products"), lines) if len(lines) > 1 else ""


def participants(results: Results) -> str:
    """Who took part, in which version, and who did not."""
    lines = []
    for system in _in_order(results.systems.values()):
        versions = ", ".join(system.get("versions", {}).values()) or "-"
        note = "; ".join(
            part for part in (system["remark"], "" if system["status"] == "ok" else system["status"]) if part
        )
        lines.append([system["title"], versions, system.get("torch", "-"), ", ".join(_losses_of(system)), note])
    return aligned(("system", "version", "torch", "losses", "remarks"), lines, left=5)


# ---- parts


def _losses_of(system: Row) -> list[str]:
    return ["all"] if len(system["losses"]) == len(LOSSES) else list(system["losses"])


def _systems(cases: Sequence[Row]) -> list[str]:
    """The other systems that are installed: each has a figure there, or a reason of its own for having none."""
    told = [e for case in cases for e in case["entries"].values() if e.get("reason") != MISSING]
    return [system["system"] for system in _in_order(told) if system["system"] != "ours"]


def _in_order(of_systems: Iterable[Row]) -> list[Row]:
    """One for each system, in the order of the registry; then those that it does not know."""
    found = {row["system"]: row for row in of_systems}
    known = [name for name in SYSTEMS if name in found]
    return [found[name] for name in (*known, *(name for name in found if name not in SYSTEMS))]


def _seconds(entry: Row) -> str:
    return seconds(median(entry["seconds"])) if measured(entry) else entry.get("reason", "")


def _beside(case: Row, entry: Row, ours: Row) -> str:
    over = compared(case, entry, ours)
    return f"{_seconds(entry)} ({number(over.middle)} x)" if over else _seconds(entry)


def _megabytes(entry: Row) -> str:
    return size(entry["bytes"]) if measured(entry) else entry.get("reason", "")


def _percent(error: float | None) -> str:
    if error is None:
        return "not a number"
    return f"{number(100 * error)} %" if error >= 1e-5 else f"{error:.1e}"


def _error(entry: Row | None) -> str:
    if not entry:
        return ""
    return _percent(entry["error"]) if measured(entry) else entry["reason"]
