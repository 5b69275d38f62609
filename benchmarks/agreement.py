"""Do all systems compute the same number? A fast wrong answer is no answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["disagreements"]

_VALUE_TOLERANCE, _GRADIENT_TOLERANCE = 2e-5, 2e-4

Figure = Mapping[str, Any]


def disagreements(cases: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Who computes another number than the formulas by hand; or, where those have none, than the package?"""
    groups: dict[tuple[Any, ...], list[Figure]] = {}
    for figure in (figure for case in cases.values() for figure in case["entries"].values() if "value" in figure):
        shape = tuple(figure[name] for name in ("loss", "rows", "width", "temperature"))
        groups.setdefault(shape, []).append(figure)
    return list(dict.fromkeys(line for shape, figures in groups.items() for line in _wrong(shape, figures)))


def _wrong(shape: tuple[Any, ...], figures: Sequence[Figure]) -> Iterator[str]:
    truth = next((figure for figure in figures if figure["system"] == "dense"), figures[0])
    loss, rows, width, temperature = shape
    for figure in figures:
        if not _agree(figure, truth):
            yield (
                f"{loss} {rows:,} x {width}, T = {temperature:g}: {figure['system']} computes {_said(figure)}, "
                f"{truth['system']} {_said(truth)}"
            )


def _agree(figure: Figure, truth: Figure) -> bool:
    # a loss near zero is known no better than to the tolerance of one nat
    same = _close([figure["value"]], [truth["value"]], _VALUE_TOLERANCE, at_least=1.0)
    if figure.get("gradients") and truth.get("gradients"):
        same &= _close(figure["gradients"], truth["gradients"], _GRADIENT_TOLERANCE, at_least=0.0)
    return same


def _close(found: Sequence[float | None], truth: Sequence[float | None], tolerance: float, *, at_least: float) -> bool:
    return len(found) == len(truth) and all(
        a is not None and b is not None and abs(a - b) <= tolerance * max(abs(b), at_least)
        for a, b in zip(found, truth, strict=True)
    )


def _said(figure: Figure) -> str:
    lengths = ", ".join(f"{length:.6g}" for length in figure.get("gradients") or () if length is not None)
    return f"{figure['value']} (gradients of length {lengths})" if lengths else f"{figure['value']}"
