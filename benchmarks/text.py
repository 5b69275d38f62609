"""Numbers and tables as a person reads them."""

from collections.abc import Iterable, Sequence

from benchmarks.goals import Figure

__all__ = ["aligned", "number", "seconds", "size", "spread"]


def number(value: float) -> str:
    """Three digits that count; whole numbers from a hundred on."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) >= 1e-3 else f"{value:.1e}"


def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= 0.1 * size:
            return f"{number(value / size)} {unit}"
    return f"{number(value / 1e-6)} µs"


def size(in_bytes: float) -> str:
    """An amount of memory in the unit that suits it."""
    for unit, each in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if in_bytes >= each:
            return f"{number(in_bytes / each)} {unit}"
    return f"{number(in_bytes / 1e6)} MB"


def spread(figure: Figure) -> str:
    """The middle, and the range over the rounds if there is one."""
    if number(figure.low) == number(figure.high):
        return number(figure.middle)
    return f"{number(figure.middle)} ({number(figure.low)} to {number(figure.high)})"


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table; all columns but the first ones are numbers and stand right."""
    rules = ["---" if column < left else "---:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rules, *rows))
