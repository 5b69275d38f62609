"""What ranks that watch their loss see, each of its own queries."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import distributed as dist

from info_nce.diagnostics import BatchDiagnostics, Watch
from info_nce.engines import Engine, Gathered
from tests.distributed.cases import CASES, batch
from tests.distributed.work import Findings, alone, compared, shard

WATCHED = {
    "info_nce",
    "info_nce log_q",
    "moco",
    "nt_xent ids out",
    "nt_xent own",
    "retrieval hard",
    "siglip",
    "sup_con",
    "symmetric",
    "symmetric ids positive",
    "symmetric margin",
    "symmetric with itself {}",
    "unpaired kept ids",
}
"""What moves a line's mark in another way: offsets, lists, suspects, labels, a mirror, a similarity of one's own."""

Lines = list[list[float]]
"""What is known of each line."""
Numbers = dict[str, float]
"""What is known of all of them."""


@dataclass(frozen=True)
class Sight:
    """What a rank saw of its queries and together with the others, and what one process sees."""

    mine: Lines
    together: Numbers
    whole: Lines
    alone: Numbers


def batch_of(watch: Watch) -> BatchDiagnostics:
    """What a watch knows after a loss."""
    if watch.batch is None:
        raise AssertionError("nothing was seen")
    return watch.batch


def lines_of(batch: BatchDiagnostics) -> Lines:
    """What is known of each line."""
    rows = batch.rows
    lines: Lines = torch.stack([getattr(rows, field.name).double() for field in fields(rows)], 1).tolist()
    return lines


def watched(engines: Sequence[Engine], sizes: Sequence[int]) -> tuple[Findings, dict[str, Sight]]:
    """Value and gradients of watched losses beside those of one process; and what this rank sees, and that one."""
    found: Findings = {}
    seen: dict[str, Sight] = {}
    for case in CASES:
        if case.name in WATCHED:
            expected, whole = alone(case, batch(sum(sizes))), Watch()
            case.model(whole)(batch(sum(sizes)))
            every = batch_of(whole)
            for engine in engines:
                if type(engine).__name__ not in case.refuses:
                    watch = Watch(engine)
                    found[f"{case.name}, {engine}"] = compared(watch, sizes, case, expected)
                    mine = batch_of(watch)
                    seen[f"{case.name}, {engine}"] = Sight(
                        lines_of(mine), mine.across_ranks().numbers(), lines_of(every), every.numbers()
                    )
    return found, seen


def one_alone(sizes: Sequence[int]) -> None:
    """One rank watches and the others do not."""
    engine = Watch(Gathered()) if dist.get_rank() == 0 else Gathered()
    case = next(case for case in CASES if case.name == "info_nce")
    case.model(engine)(shard(batch(sum(sizes)), sizes, dist.get_rank()))
