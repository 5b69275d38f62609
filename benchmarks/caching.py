"""One step of SimCLR at a batch that no memory holds: a cached step beside the plain step at a small batch.

python -m benchmarks.caching                                  32,768 pictures, and the plain step at 512
python -m benchmarks.caching --pictures 1024 --plain 128      a look
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import memory
from benchmarks.homes import ROOT
from benchmarks.machine import BUSY, commit, load, machine
from benchmarks.text import aligned, seconds, size
from info_nce import NTXent, cached_step
from info_nce.data import load_pictures
from info_nce.engines import Tiled
from info_nce.recipes.augment import augmentation
from info_nce.recipes.encoders import contrastive_model

__all__ = ["main", "measure", "views_of"]

OUT = ROOT / "runs/benchmarks/caching.json"
_SEED, _TINY, _AUGMENTED = 20, 16, 512

Answer = dict[str, Any]


def views_of(source: str, count: int, data_file: str | None = None) -> list[Tensor]:
    """Two views of so many real pictures; where the set holds fewer, it comes again in other views.

    Args:
        source: "animals", or a folder of pictures.
        count: pictures.
        data_file: the wheel of the named set, if it is at hand.
    """
    pictures = load_pictures(source, data_file=data_file).train.images
    augment = augmentation(source, pictures.shape[1], pictures.shape[-1])
    parts = torch.split(torch.arange(count) % len(pictures), _AUGMENTED)  # the whole at once takes more than the step
    with torch.no_grad():
        return [torch.cat([augment(pictures[part].float() / 255) for part in parts]) for _ in range(2)]


def measure(kind: str, views: Sequence[Tensor], chunk_size: int) -> Answer:
    """How far does the resident set grow in one step, and how long does it take? For a process that is new.

    Args:
        kind: "cached", or "plain".
        views: what is encoded; not part of the growth.
        chunk_size: of the cached step.
    """
    model = contrastive_model(views[0].shape[1], views[0].shape[-1])
    encoder, loss_fn = nn.Sequential(model.encoder, model.projector), NTXent(engine=Tiled())

    def step(given: Sequence[Tensor]) -> float:
        encoder.zero_grad()
        if kind == "cached":
            return cached_step(encoder, given, loss_fn, chunk_size=chunk_size).item()
        loss: Tensor = loss_fn(*[encoder(view) for view in given])
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss.item()

    step([view[:_TINY] for view in views])  # what torch makes once is no part of it
    encoder.zero_grad()
    gc.collect()
    memory.release()
    before = memory.resident_bytes()
    memory.reset_peak()
    start = time.perf_counter()
    loss = step(views)
    took, peak = time.perf_counter() - start, memory.peak_bytes()
    return {
        "step": kind,
        "pictures": len(views[0]),
        "chunk": chunk_size if kind == "cached" else None,
        "bytes": peak - before,
        "input_bytes": sum(view.nbytes for view in views),
        "seconds": took,
        "loss": loss,
    }


def table(answers: Sequence[Answer]) -> str:
    """The figures as a person reads them."""
    head = ("step", "pictures", "chunk", "memory of the step", "of its inputs", "time", "loss")
    rows = [
        (
            answer["step"],
            f"{answer['pictures']:,}",
            str(answer["chunk"] or "all"),
            size(answer["bytes"]),
            size(answer["input_bytes"]),
            seconds(answer["seconds"]),
            f"{answer['loss']:.4f}",
        )
        for answer in answers
    ]
    return aligned(head, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each step in a process of its own, print the table and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caching", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=int, default=32_768, help="batch of the cached step; each has two views")
    parser.add_argument("--plain", type=int, default=512, help="batch of the plain step")
    parser.add_argument("--chunk", type=int, default=128, help="rows that the cached step encodes at once")
    parser.add_argument("--data", default="animals", help="a folder of pictures instead of the animals")
    parser.add_argument("--data-file", help="the wheel of the animals, if it is at hand")
    parser.add_argument("--threads", type=int, help="for torch; its own choice by default")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", choices=("cached", "plain"), help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args(arguments)
    counts = {"plain": options.plain, "cached": options.pictures}
    if options.only:
        torch.manual_seed(_SEED)
        if options.threads:
            torch.set_num_threads(options.threads)
        views = views_of(options.data, counts[options.only], options.data_file)
        print(json.dumps(measure(options.only, views, options.chunk)))
        return
    waiting = load()
    if waiting > BUSY:
        print(f"{waiting} other processes want to run: the times mean little")
    given = sys.argv[1:] if arguments is None else arguments
    answers = [_apart([*given, "--only", kind]) for kind in counts]
    found = {"machine": machine(), "commit": commit(), "load": waiting, "torch": torch.__version__, "steps": answers}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(answers))


def _apart(arguments: Sequence[str]) -> Answer:
    command = [sys.executable, "-m", "benchmarks.caching", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - ourselves
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()
