"""The page of a file of what ranks found, in Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.ranks import laws
from benchmarks.text import aligned

__all__ = ["page_of"]

_HEAD = ("library", "loss", "value on a rank", "encoder gradient", "temperature gradient", "uneven rows")

Found = Mapping[str, Any]


def page_of(found: Found) -> str:
    """All of it; every entry comes from the file."""
    head, systems = found["head"], found["systems"]
    rows = [row for system in systems.values() for row in _rows(system)]
    worlds = ", ".join(map(str, head["world_sizes"]))
    parts = (
        "# What others compute across ranks",
        f"{_QUESTION}\nReal processes over gloo, float64, W = {worlds}; commit {head['commit']}; {head['date']}.",
        f"Measured by `{head['command']}`; every entry comes from `benchmarks/ranks.json`.",
        _READ,
        aligned(_HEAD, rows, left=len(_HEAD)),
        _NOTES.format(timeout=head["timeout_seconds"]),
        "## Libraries",
        aligned(("library", "version", "torch", "remarks"), map(_library, systems.values()), left=4),
    )
    return "\n\n".join(parts) + "\n"


def _rows(system: Found) -> Iterator[list[str]]:
    for title, variant in system.get("variants", {}).items():
        even = [run for sizes, run in variant["runs"].items() if _even(sizes)]
        ends = {sizes: laws.end(run) for sizes, run in variant["runs"].items() if not _even(sizes)}
        yield [system["title"], title, *_numbers(even, number=variant["number"]), _ends(ends)]


def _even(sizes: str) -> bool:
    return len(set(sizes.split("+"))) == 1


def _ends(ends: Mapping[str, str]) -> str:
    if len(set(ends.values())) == 1:
        return _marked(next(iter(ends.values())))
    return "; ".join(f"{sizes}: {_marked(end)}" for sizes, end in ends.items())


def _numbers(even: list[laws.Run], *, number: bool) -> list[str]:
    failed = [laws.end(run) for run in even if any(rank.get("ended") != "well" for rank in run)]
    if failed:
        return [_marked(failed[0]), "", ""]
    scale = _marked(laws.gradient(even, "scale"))
    return [
        _marked(laws.value(even)),
        _marked(laws.gradient(even, "encoder")),
        f"none of its own ({scale})" if number else scale,
    ]


def _library(system: Found) -> list[str]:
    versions = ", ".join(system.get("versions", {}).values()) or "-"
    return [system["title"], versions, system.get("torch", "-"), "" if system["status"] == "ok" else system["status"]]


def _marked(word: str) -> str:
    return word if word in laws.RIGHT else f"**{word}**"


_QUESTION = (
    "Does a loss on W processes, each with its part of the batch, compute what one process computes of all of it?"
)

_READ = """\
Gradients are averaged over the ranks, as `DistributedDataParallel` does, and compared with those of one process: *1* is
the same, *1/W* and *W* are the same direction at that size, and behind *another direction* is the share that no size
explains. A value is *global* where every rank returns that of one process and *local* where their mean is that value;
**bold** is wrong."""

_NOTES = """\
* Each side has a linear encoder; the temperature is the logarithm of the logit scale, together with SigLIP's bias.
  Where a library takes the temperature as a number it learns none: in brackets is what a tensor in that place gets.
* Even batches have 3 rows on each rank. Uneven ones have 3 and 2, and 2 and 3, on two ranks, and end *exact*, with a
  *wrong number*, an *error*, an *abort* (SIGABRT, which no `except` sees) or a *hang* (until the group's timeout of
  {timeout} s). Two words: the ranks ended differently.
* The libraries run as they are shipped, with nothing replaced. open_clip gets rows of unit length, as from its models;
  sentence-transformers embeddings in place of texts; pytorch-metric-learning labels that differ between all items.
* One process is the same call without a process group; libraries with the same loss have the same value there."""
