"""The process of one system: it answers questions, a line of JSON each, and computes only when it is asked.

python -m benchmarks.worker benchmarks.systems.ours
"""

import gc
import importlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any, TextIO

import torch
from torch import Tensor

from benchmarks import memory
from benchmarks.floor import floor_of
from benchmarks.inputs import inputs_of
from benchmarks.precision import gradient_errors
from benchmarks.problems import Problem
from benchmarks.systems.base import Losses, System

__all__ = ["Worker", "main"]

_TINY = 64

Answer = dict[str, Any]


class Worker:
    """What can be asked: each public method is a question.

    Args:
        system: whose process this is.
        losses: what it computes.
    """

    def __init__(self, system: System, losses: Losses) -> None:
        self._system, self._losses = system, losses
        self._prepared: dict[tuple[Problem, str, bool], Callable[[], object]] = {}

    def hello(self) -> Answer:
        """Say who computes here, and with what."""
        return {
            "system": self._system.name,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "versions": {name: _version(name) for name in self._system.distributions},
        }

    def check(self, problem: Problem, *, backward: bool) -> Answer:
        """Compute once: the value, the length of each gradient, and how long it took."""
        step, tensors = self._step(problem, backward=backward)
        self._prepared[problem, "loss", backward] = step
        start = time.perf_counter()
        value = step()
        seconds = time.perf_counter() - start
        gradients = [float(t.grad.double().norm()) for t in tensors if t.grad is not None]
        return {"seconds": seconds, "value": float(value), "gradients": gradients}

    def seconds(self, problem: Problem, *, what: str, backward: bool, repeats: int = 1) -> Answer:
        """How long does it take, or its floor? The mean over so many repetitions."""
        key = (problem, what, backward)
        if key not in self._prepared:
            floor = what == "floor"
            made = floor_of(problem, backward=backward) if floor else self._step(problem, backward=backward)[0]
            self._prepared[key] = made
        step = self._prepared[key]
        gc.collect()
        with _without_collector():
            start = time.perf_counter()
            for _ in range(repeats):
                step()
            return {"seconds": (time.perf_counter() - start) / repeats}

    def memory(self, problem: Problem, *, backward: bool) -> Answer:
        """How much memory does one computation take, inputs and gradients included? For a process that is new."""
        tiny = Problem(problem.loss, _TINY, problem.width, problem.temperature, problem.dtype)
        self._step(tiny, backward=backward)[0]()
        gc.collect()
        memory.release()
        before = memory.resident_bytes()
        step, _ = self._step(problem, backward=backward)
        memory.reset_peak()
        start = time.perf_counter()
        value = float(step())
        seconds, peak = time.perf_counter() - start, memory.peak_bytes()
        return {"bytes": peak - before, "peak_bytes": peak, "seconds": seconds, "value": value}

    def precision(self, problem: Problem) -> Answer:
        """How far is the gradient from that of float64, and how far would rounding the inputs alone bring it?"""
        return gradient_errors(problem, self._losses[problem.loss](problem.temperature))

    def forget(self) -> Answer:
        """Free the tensors of earlier questions."""
        self._prepared.clear()
        gc.collect()
        memory.release()
        return {}

    def _step(self, problem: Problem, *, backward: bool) -> tuple[Callable[[], Tensor], tuple[Tensor, ...]]:
        loss, tensors = self._losses[problem.loss](problem.temperature), inputs_of(problem)

        def both() -> Tensor:
            for tensor in tensors:
                tensor.grad = None
            value = loss(*tensors)
            value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            return value.detach()

        @torch.no_grad()
        def forward() -> Tensor:
            return loss(*tensors)

        return both if backward else forward, tensors


def main() -> None:
    """Answer until there is no more question."""
    answers = _own_output()
    module = importlib.import_module(sys.argv[1])
    worker = Worker(module.SYSTEM, module.losses())
    gc.freeze()
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = _answer(worker, **question)
        except Exception as error:  # noqa: BLE001 - whatever a library raises belongs into its row of the table
            answer = {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
        answers.write(f"{json.dumps(_plain(answer))}\n")
        answers.flush()


def _answer(worker: Worker, ask: str, problem: dict[str, Any] | None = None, **rest: Any) -> Answer:
    given = {} if problem is None else {"problem": Problem(**problem)}
    found: Answer = getattr(worker, ask)(**given, **rest)
    return found


def _plain(value: Any) -> Any:
    """JSON has no number that is not finite: None."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _own_output() -> TextIO:
    """Keep the pipe for answers; what libraries print goes where errors go."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "from its source"


if __name__ == "__main__":
    main()
