"""Real processes that reduce with gloo: `run(world_size, function, *args)` gives what each rank returned."""

import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch import distributed as dist
from torch import multiprocessing


class RankError(Exception):
    """What a rank raised, with its traceback."""


def run(
    world_size: int,
    function: Callable[..., Any],
    *args: Any,
    timeout_seconds: float = 20.0,
    patience_seconds: float = 120.0,
) -> list[Any]:
    """Call `function(*args)` on every rank of a gloo group, and return the results in the order of the ranks.

    The function must be importable (top level of a module), arguments and results must be picklable, and results
    no tensors: their memory can be gone with their rank. A rank's error is raised here, the earliest one first. A rank
    waits `timeout_seconds` for the others in a collective, and the caller `patience_seconds` for all.
    """
    context = multiprocessing.get_context("forkserver")  # which imports once, and starts each rank from there
    context.set_forkserver_preload(["torch.distributed.fsdp", "info_nce", function.__module__])
    ranks: list[tuple[Any, Any]] = []
    with TemporaryDirectory() as folder:
        try:
            for rank in range(world_size):
                receiver, sender = context.Pipe(duplex=False)
                meeting = f"file://{Path(folder) / 'meeting'}"
                group = ("gloo", meeting, timedelta(seconds=timeout_seconds), world_size, rank)
                process = context.Process(target=_work, args=(sender, group, function, args), daemon=True)
                process.start()
                sender.close()
                ranks.append((process, receiver))
            return _collect(ranks, time.monotonic() + patience_seconds)
        finally:
            for process, _ in ranks:
                process.kill()
                process.join()


def _work(sender: Any, group: Any, function: Callable[..., Any], args: Any) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        dist.init_process_group(*group)
        dist.barrier()  # whoever left while another still connects would end that one
        answer = (True, function(*args))
    except BaseException:  # noqa: BLE001 - whatever it is, it is raised where it can be read
        answer = (False, traceback.format_exc())
    sender.send(answer)
    sender.close()


def _collect(ranks: list[tuple[Any, Any]], until: float) -> list[Any]:
    results: dict[int, Any] = {}
    waiting: dict[Any, int] = {receiver: rank for rank, (_, receiver) in enumerate(ranks)}
    while waiting:
        ready = wait(list(waiting), max(0.0, until - time.monotonic()))
        if not ready:
            raise RankError(f"ranks {sorted(waiting.values())} gave no answer in time")
        for receiver in ready:
            rank = waiting.pop(receiver)
            try:
                good, results[rank] = cast("Any", receiver).recv()
            except EOFError:
                good, results[rank] = False, f"its process ended with {_code(ranks[rank][0])}"
            if not good:
                raise RankError(f"rank {rank}: {results[rank]}")
    return [results[rank] for rank in range(len(ranks))]


def _code(process: Any) -> Any:
    process.join()
    return process.exitcode
