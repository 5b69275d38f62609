"""A file of results: what was measured, on which machine, of which code. It says everything that a page shows."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.cases import Case
from benchmarks.goals import Goal, Term

__all__ = ["SCHEMA", "Results", "goals_of", "write"]

_INNERMOST = re.compile(r"\[\n[^][{}]*\]"), re.compile(r"\{\n[^{}]*\}")
_LINE_BREAK = re.compile(r"\n *")
"""Lists of numbers, and figures, stand in a line each: the file is looked at in diffs."""
SCHEMA = 1
"""Raised when the fields change their meaning: older files are then measured anew."""


def _now() -> str:
    """The time, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass
class Results:
    """What was found so far.

    Args:
        path: of the file; written after every case, so a run that is stopped loses one case at most.
        head: machine, code, command, date.
        systems: who took part, with versions, or why not.
        cases: the figures of each case, by its key.
    """

    path: Path
    head: dict[str, Any] = field(default_factory=dict)
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def begin(cls, path: Path, command: list[str]) -> "Results":
        """Start an empty file."""
        head = {
            "schema": SCHEMA,
            "machine": machine.machine(),
            "code": machine.code_of(),
            "commit": machine.commit(),
            "command": command,
            "date": _now(),
            "load": machine.load(),
        }
        return cls(path, head)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read a file.

        Raises:
            ValueError: it is none, or an older one.
        """
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise ValueError(f"{path} is no file of results in the form of schema {SCHEMA}.")
        systems, cases = found.pop("systems"), found.pop("cases")
        return cls(path, found, systems, cases)

    @classmethod
    def resume(cls, path: Path, command: list[str]) -> "Results":
        """Go on with a file where it fits: the same code on the same machine. Otherwise start anew, and say so."""
        new = cls.begin(path, command)
        if not path.exists():
            return new
        try:
            old = cls.load(path)
        except ValueError as error:
            sys.stderr.write(f"{error} It is measured anew.\n")
            return new
        for what in ("machine", "code"):
            if old.head[what] != new.head[what]:
                sys.stderr.write(f"{path} is of another {what}. It is measured anew.\n")
                return new
        return old

    def save(self) -> None:
        """Write the file, all of it or nothing."""
        write(self.path, {**self.head, "systems": self.systems, "cases": self.cases})

    def put(self, case: Case, entries: Mapping[str, dict[str, Any]], seconds: float) -> None:
        """Add a case and save."""
        self.cases[case.key] = {
            "table": case.table,
            "name": case.name,
            "goals": [asdict(goal) for goal in case.goals],
            "entries": dict(entries),
            "date": _now(),
            "took_seconds": round(seconds, 1),
        }
        self.head["finished"] = _now()
        self.save()

    def of_table(self, table: str) -> Iterator[dict[str, Any]]:
        """The cases of a table, in the order in which they were measured."""
        return (case for case in self.cases.values() if case["table"] == table)

    def entries(self, what: str) -> Iterator[dict[str, Any]]:
        """The figures of a kind, of all cases."""
        return (e for case in self.cases.values() for e in case["entries"].values() if e["what"] == what)


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write a file of results, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    for innermost in _INNERMOST:
        text = innermost.sub(lambda part: _LINE_BREAK.sub(" ", part[0]), text)
    part = path.with_suffix(".part")
    part.write_text(f"{text}\n", encoding="utf-8")
    part.replace(path)


def goals_of(case: Mapping[str, Any]) -> Iterator[Goal]:
    """The goals of a case in a file."""
    for goal in case["goals"]:
        per = goal["per"] and Term(**goal["per"])
        yield Goal(**{**goal, "of": Term(**goal["of"]), "per": per})
