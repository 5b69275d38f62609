"""Measure cases: systems in turns, round by round."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.cases import Case, Entry
from benchmarks.guard import needed_bytes, too_large
from benchmarks.homes import MISSING
from benchmarks.processes import Processes
from benchmarks.results import Results
from benchmarks.systems import SYSTEMS, System

__all__ = ["FEW_ROUNDS", "Harness", "rounds_for"]

_SAMPLE_SECONDS, _MOST_REPEATS = 0.05, 500
_LONG_SECONDS, _LONG_ROUND_SECONDS, _SHORT_ROUND_SECONDS = 5.0, 15.0, 2.0
_COLD_SECONDS = 1.0
FEW_ROUNDS, _USUAL_ROUNDS, _MANY_ROUNDS = 3, 7, 15

Figures = dict[str, dict[str, Any]]


class Harness:
    """Measures one case after the other.

    Args:
        processes: the workers.
        results: what was found; systems are added to it as they are met.
        systems: those that exist, by name.
    """

    def __init__(self, processes: Processes, results: Results, systems: Mapping[str, System] = SYSTEMS) -> None:
        self._processes, self._results, self._systems = processes, results, systems
        self._memory = results.head["machine"]["memory_bytes"]

    def measure(self, case: Case) -> Figures:
        """Every figure of a case, or the reason why there is none."""
        started = time.monotonic()
        figures = {entry.key: self._blank(entry) for entry in case.entries}
        possible = [entry for entry in case.entries if "reason" not in figures[entry.key]]
        timed = [entry for entry in possible if entry.what in ("loss", "floor")]
        for entry in (entry for entry in possible if entry not in timed):
            figures[entry.key].update(self._memory_of(entry) if entry.what == "memory" else self._precision_of(entry))
        self._in_turns(timed, figures, case.rounds)
        for name in dict.fromkeys(entry.system for entry in timed):
            self._ask(name, "forget")
        self._results.put(case, figures, time.monotonic() - started)
        return figures

    def _blank(self, entry: Entry) -> dict[str, Any]:
        """An entry without its figure; with a reason if it cannot have one."""
        system, problem = self._systems[entry.system], entry.problem
        blank = {"system": entry.system, **asdict(problem), "what": entry.what, "backward": entry.backward}
        status = self._status(system)
        if status != "ok":
            return {**blank, "reason": status}
        reason = too_large(entry, system, self._memory)
        if reason:
            return {**blank, "reason": reason, "needed_bytes": needed_bytes(entry, system)}
        return blank

    def _status(self, system: System) -> str:
        """Ok, or why it cannot be asked."""
        known = self._results.systems.get(system.name, {"status": MISSING})
        if known["status"] == MISSING:
            hello = {"failed": MISSING}
            if system.home.is_built(self._processes.peers):
                hello = self._processes.of(system).ask("hello")
            known = {"system": system.name, "title": system.title, "remark": system.remark}
            known |= {"losses": list(system.needs), "status": hello.pop("failed", "ok"), **hello}
            self._results.systems[system.name] = known
        return str(known["status"])

    def _ask(self, name: str, ask: str, entry: Entry | None = None, **rest: object) -> dict[str, Any]:
        return self._processes.of(self._systems[name]).ask(ask, None if entry is None else entry.problem, **rest)

    def _memory_of(self, entry: Entry) -> dict[str, Any]:
        # in a new process, as freed memory of earlier questions would be used again
        with self._processes.new(self._systems[entry.system]) as process:
            return _or_reason(process.ask("memory", entry.problem, backward=entry.backward))

    def _precision_of(self, entry: Entry) -> dict[str, Any]:
        return _or_reason(self._ask(entry.system, "precision", entry))

    def _in_turns(self, entries: Iterable[Entry], figures: Figures, most_rounds: int) -> None:
        """Each round asks each system once, beginning with another one each time."""
        first = {entry: self._first(entry, figures[entry.key]) for entry in entries}
        left = [entry for entry in first if "reason" not in figures[entry.key]]
        if not left:
            return
        repeats = {e: min(_MOST_REPEATS, max(1, round(_SAMPLE_SECONDS / max(first[e], 1e-6)))) for e in left}
        rounds = min(most_rounds, rounds_for([first[e] * repeats[e] for e in left]))
        # what takes long needs no warm-up, so its first time counts as a round
        counts = rounds == FEW_ROUNDS
        for entry in left:
            figures[entry.key].update(repeats=repeats[entry], seconds=[first[entry]] if counts else [])
        for turn in range(int(counts), rounds):
            for entry in left[turn % len(left) :] + left[: turn % len(left)]:
                figure = figures[entry.key]
                if "reason" not in figure:
                    answer = self._seconds(entry, repeats[entry])
                    figure["seconds"] += [answer.pop("seconds")] if "seconds" in answer else []
                    figure.update(answer)

    def _seconds(self, entry: Entry, repeats: int) -> dict[str, Any]:
        way = {"what": entry.what, "backward": entry.backward, "repeats": repeats}
        return _or_reason(self._ask(entry.system, "seconds", entry, **way))

    def _first(self, entry: Entry, figure: dict[str, Any]) -> float:
        """Warm up, see how long it takes, and note what was computed."""
        if entry.what == "floor":
            found = self._seconds(entry, 1)
        else:
            found = _or_reason(self._ask(entry.system, "check", entry, backward=entry.backward))
        seconds = float(found.pop("seconds", 0.0))
        figure.update(found)
        if "reason" in figure or seconds > _COLD_SECONDS:
            return seconds
        # a first call sets things up; how often to repeat a short one is for the second to say
        return float(self._seconds(entry, 1).get("seconds", seconds))


def _or_reason(answer: dict[str, Any]) -> dict[str, Any]:
    return {"reason": f"failed: {answer['failed']}"} if "failed" in answer else answer


def rounds_for(seconds: Sequence[float]) -> int:
    """How often are things measured that take so long? Short ones many times, long ones a few times."""
    if max(seconds) > _LONG_SECONDS or sum(seconds) > _LONG_ROUND_SECONDS:
        return FEW_ROUNDS
    return _USUAL_ROUNDS if sum(seconds) > _SHORT_ROUND_SECONDS else _MANY_ROUNDS
