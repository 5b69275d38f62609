"""What a measurement says, in a word: a wrong size, a wrong direction and a wrong end are told apart."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = ["RIGHT", "end", "gradient", "law", "value"]

RIGHT = frozenset({"1", "global", "local", "exact"})
"""Everything else is another number than that of one process, or none."""
_TOLERANCE = 1e-9
_LAWS: dict[str, Callable[[int], float]] = {"1": lambda _: 1.0, "1/W": lambda ranks: 1 / ranks, "W": float}

Run = Sequence[Mapping[str, Any]]
"""What each rank found; its length is W."""


def law(factors: Iterable[tuple[int, float]]) -> str:
    """Name the law that all factors follow, each with its number of ranks; empty if there is none."""
    known = list(factors)
    for name, of in _LAWS.items():
        if all(_same(factor, of(ranks)) for ranks, factor in known):
            return name
    return ""


def value(runs: Iterable[Run]) -> str:
    """Say how the values on the ranks go with the value of one process.

    "global": each is that value. "local": their mean is.
    """
    runs = list(runs)
    ratios = [(len(run), [rank["value"] / rank["reference"] for rank in run]) for run in runs]
    each = law((ranks, ratio) for ranks, some in ratios for ratio in some)
    means = [(ranks, sum(some) / ranks) for ranks, some in ratios]
    mean = law(means)
    if each or mean:
        times = "" if (each or mean) == "1" else f"{each or mean} x "
        return f"{times}{'global' if each else 'local'}"
    return f"another, mean {_range(mean for _, mean in means)} x global"


def gradient(runs: Iterable[Run], part: str) -> str:
    """Name the factor of the gradient of one process, and whether the direction is that one's at all."""
    found = [(len(run), *run[0][part]) for run in runs]
    if not all(rest <= _TOLERANCE for _, _, rest in found):
        return f"{_range(factor for _, factor, _ in found)}, another direction ({_range(rest for *_, rest in found)})"
    factors = [(ranks, factor) for ranks, factor, _ in found]
    return law(factors) or _range(factor for _, factor in factors)


def end(run: Run) -> str:
    """Say how a run ended: "exact" if everything is as on one process."""
    words = [_word(rank) for rank in run]
    if set(words) == {"number"}:
        right = value([run]) == "global" and all(gradient([run], part) == "1" for part in ("encoder", "scale"))
        return "exact" if right else "wrong number"
    if set(words) == {"error"}:
        return "error on every rank"
    return ", ".join(sorted(set(words)))


def _word(rank: Mapping[str, Any]) -> str:
    ended = rank.get("ended", "gone")
    if ended == "well":
        return "number"
    if ended == "killed" or "Timed out" in ended:
        return "hang"
    if ended.startswith("SIG"):
        return "abort" if ended == "SIGABRT" else ended
    return "a value, then error" if "value" in rank else "error"


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= _TOLERANCE * abs(other)


def _range(numbers: Iterable[float]) -> str:
    ordered = [f"{number:.2f}" for number in sorted(numbers)]
    return " to ".join(dict.fromkeys((ordered[0], ordered[-1])))
