"""The process of one library: it starts ranks, which are processes that talk through gloo, and says what they found.

python -m benchmarks.ranks.measure benchmarks.ranks.open_clip found.json
"""

import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from benchmarks.ranks.base import Place, Variant
from benchmarks.worker import Worker

__all__ = ["EVEN", "TIMEOUT_SECONDS", "UNEVEN", "Run", "measure", "run"]

EVEN, UNEVEN = ((3, 3), (3, 3, 3), (3, 3, 3, 3)), ((3, 2), (2, 3))
"""How many rows each rank has."""
TIMEOUT_SECONDS = 10
"""Of the process group. Ranks that are there twice as long are killed."""
_ROWS, _FEATURES, _WIDTH = 12, 6, 5
_TINY = 1e-300

Run = list[dict[str, Any]]
"""What each rank said, and how it ended."""


def run(module: str, variant: int, sizes: tuple[int, ...]) -> Run:
    """Compute a loss on ranks with so many rows each, in processes of their own."""
    context = multiprocessing.get_context("forkserver")
    # imported once, in the process that each rank is a copy of
    context.set_forkserver_preload([__name__, import_module(module).LIBRARY])
    imported = context.Process(target=int)
    imported.start()
    imported.join()
    deadline = time.monotonic() + 2 * TIMEOUT_SECONDS
    with tempfile.TemporaryDirectory() as folder:
        ranks = []
        for rank in range(len(sizes)):
            answers, end = context.Pipe(duplex=False)
            process = context.Process(target=_rank, args=(end, module, variant, Place(rank, sizes), f"{folder}/meet"))
            process.start()
            end.close()
            ranks.append((process, answers))
        return [_heard(process, answers, deadline) for process, answers in ranks]


def _heard(process: Any, answers: Connection, deadline: float) -> dict[str, Any]:
    heard: dict[str, Any] = {}
    with suppress(EOFError):
        while answers.poll(max(0.0, deadline - time.monotonic())):
            heard |= answers.recv()
    process.join(max(0.0, deadline - time.monotonic()))
    if process.exitcode is None:
        process.kill()
        process.join()
        return heard | {"ended": "killed"}
    return heard | ({"ended": signal.Signals(-process.exitcode).name} if process.exitcode < 0 else {})


def _rank(answers: Connection, module: str, index: int, place: Place, meeting: str) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    try:
        variant = import_module(module).variants()[index]
        # without a process group each library computes the whole batch on one process
        reference, wanted = _step(variant, Place(0, (sum(place.sizes),)))
        answers.send({"reference": reference.item()})
        patience = timedelta(seconds=TIMEOUT_SECONDS)
        dist.init_process_group("gloo", f"file://{meeting}", patience, place.world_size, place.rank)
        value, found = _step(variant, place)
        answers.send({"value": value.item()})
        for gradient in found.values():
            dist.all_reduce(gradient)
            gradient.div_(place.world_size)
        answers.send({part: _compared(found[part], wanted[part]) for part in found} | {"ended": "well"})
    except Exception as error:  # noqa: BLE001 - whatever a library raises belongs into its row of the table
        answers.send({"ended": f"{type(error).__name__}: {_first_sentence(str(error))}"})
    # what becomes of a process group at its end is not the library's doing
    os._exit(0)


def _step(variant: Variant, place: Place) -> tuple[Tensor, dict[str, Tensor]]:
    """The value, and two gradients: of a linear encoder for each side, and of what the loss itself learns."""
    random = torch.Generator().manual_seed(0)
    towers = [torch.randn(_FEATURES, _WIDTH, generator=random).requires_grad_() for _ in range(2)]
    rows = [torch.randn(_ROWS, _FEATURES, generator=random)[place.rows] for _ in range(2)]
    loss, own = variant.make(place)
    value = loss(*(side @ tower for side, tower in zip(rows, towers, strict=True)))
    value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return value, {"encoder": _gradient(towers), "scale": _gradient(own)}


def _gradient(of: Sequence[Tensor]) -> Tensor:
    return torch.cat([(torch.zeros_like(each) if each.grad is None else each.grad).flatten() for each in of])


def _compared(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    """The best factor of the wanted gradient, and the share of the found one that no factor explains."""
    factor = found @ wanted / (wanted @ wanted)
    return factor.item(), ((found - factor * wanted).norm() / found.norm().clamp(min=_TINY)).item()


def _first_sentence(text: str) -> str:
    """What went wrong, without files and addresses."""
    return re.split(r"\n|\. ", re.sub(r"\s*\[[^]]*\](:\d+)?", "", text).strip(), maxsplit=1)[0]


def measure(module: str) -> dict[str, Any]:
    """Compute each loss of a library on each number of ranks."""
    library = import_module(module)
    told = Worker(library.SYSTEM, {}).hello()
    found: dict[str, Any] = {name: told[name] for name in ("versions", "torch", "python")}
    try:
        variants = library.variants()
    except (AttributeError, ImportError) as error:
        return {**found, "status": f"not measured: {error}", "variants": {}}
    found["status"] = "ok"
    found["variants"] = {
        variant.title: {
            "loss": variant.loss,
            "number": variant.number,
            "runs": {"+".join(map(str, sizes)): run(module, index, sizes) for sizes in (*EVEN, *UNEVEN)},
        }
        for index, variant in enumerate(variants)
    }
    return found


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(measure(sys.argv[1])), encoding="utf-8")
