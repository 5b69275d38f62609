"""The workers' processes: one each, started when first asked, and never two computing at the same time."""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from benchmarks.homes import ROOT
from benchmarks.problems import Problem
from benchmarks.systems import System

__all__ = ["Process", "Processes"]

_PATIENCE_SECONDS = 1200.0

Answer = dict[str, Any]


class Process:
    """A worker, as seen from outside.

    Args:
        system: what it computes with.
        peers: the folder of the other environments.
        threads: how many it may use; None for torch's own choice.
    """

    def __init__(self, system: System, peers: Path, threads: int | None = None) -> None:
        self._errors = tempfile.TemporaryFile(mode="w+", encoding="utf-8")  # noqa: SIM115 - closed in `stop`
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(  # noqa: S603 - our own worker
            [system.home.python(peers), "-m", "benchmarks.worker", system.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env={**inherited, **limits, "PYTHONPATH": os.pathsep.join(system.home.path(peers))},
        )

    def ask(self, ask: str, problem: Problem | None = None, **rest: object) -> Answer:
        """Ask and wait for the answer; where there is none, its field `failed` says why."""
        pipes = self._process.stdin, self._process.stdout
        given = {} if problem is None else {"problem": asdict(problem)}
        impatience = threading.Timer(_PATIENCE_SECONDS, self._process.kill)
        impatience.start()
        try:
            question, answers = pipes
            if question is None or answers is None:
                return {"failed": "no pipe"}
            question.write(f"{json.dumps({'ask': ask, **given, **rest})}\n")
            question.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        finally:
            impatience.cancel()
        found: Answer = json.loads(line) if line else {"failed": self._last_words()}
        return found

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _last_words(self) -> str:
        code = self._process.wait(_PATIENCE_SECONDS)
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return f"its process ended with {code}: {lines[-1] if lines else 'no word'}"


class Processes:
    """The workers of a run.

    Args:
        peers: the folder of the other environments.
        threads: how many each may use.
    """

    def __init__(self, peers: Path, threads: int | None = None) -> None:
        self.peers, self._threads = peers, threads
        self._running: dict[str, Process] = {}

    def of(self, system: System) -> Process:
        """The process of a system; a new one where it died."""
        running = self._running.get(system.name)
        if running is None or not running.alive:
            if running is not None:
                running.stop()
            self._running[system.name] = running = Process(system, self.peers, self._threads)
        return running

    @contextmanager
    def new(self, system: System) -> Iterator[Process]:
        """A process for one question."""
        process = Process(system, self.peers, self._threads)
        try:
            yield process
        finally:
            process.stop()

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all of them."""
        for process in self._running.values():
            process.stop()
