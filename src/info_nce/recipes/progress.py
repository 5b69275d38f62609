"""What training shows while it runs, and writes down: a line of metrics per logged step."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from info_nce.errors import RunError, needs_extra
from info_nce.recipes.files import cannot_write, write_safely

with needs_extra("train"):
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

# How many lines a console that cannot redraw them gets in all.
_LINES = 10


class Metrics:
    """metrics.jsonl: one JSON object per line, appended, so that a killed run keeps what it has measured.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rewind(self, step: int) -> None:
        """Drop what a killed run logged after its last checkpoint; it will be logged again."""
        kept = [line for line in self.read() if line["step"] <= step]
        write_safely(self.path, "".join(f"{json.dumps(line)}\n" for line in kept).encode())

    def append(self, line: Mapping[str, float]) -> None:
        """Write one line."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(dict(line))}\n")
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def read(self) -> list[dict[str, float]]:
        """Read all whole lines; a run that was killed may have left half a line at the end.

        Raises:
            RunError: a whole line is not what training writes.
        """
        if not self.path.is_file():
            return []
        text = self.path.read_text(encoding="utf-8", errors="replace")
        whole = text[: text.rfind("\n") + 1]
        return [self._numbers(line, number) for number, line in enumerate(whole.splitlines(), start=1)]

    def _numbers(self, line: str, number: int) -> dict[str, float]:
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and "step" in found and all(type(of) in {int, float} for of in found.values()):
                return found
        raise RunError(
            f"line {number} of {self.path} is not what training writes.",
            got=line[:80],
            expected='numbers with their names, such as {"step": 10, "loss": 5.1}',
            advice="take the line out, or put back what was there",
        )


class Display:
    """How far training is and what the loss means, on a terminal that is redrawn, in a log file, or on both.

    Args:
        consoles: where to; one that cannot be redrawn gets a new line now and then instead.
        steps: how many there will be.
        done: how many are done already.
    """

    def __init__(self, consoles: Sequence[Console], *, steps: int, done: int) -> None:
        self._consoles, self._steps, self._said = consoles, steps, set[str]()
        terminal = next((console for console in consoles if console.is_terminal), None)
        self._progress = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("steps, left:"), TimeRemainingColumn(), console=terminal
        )
        self._task = self._progress.add_task("", total=steps, completed=done)
        self._text = Text("the first steps")
        self._live = Live(Group(self._progress, self._text), console=terminal) if terminal else None

    def __enter__(self) -> Self:
        """Draw."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last lines standing."""
        if self._live:
            self._live.stop()

    def advance(self) -> None:
        """One step more."""
        self._progress.advance(self._task)

    def say(self, warning: str, *, once: bool = False) -> None:
        """Show what the user should know; with `once`, one warning of its kind, the word before its colon."""
        kind = warning.partition(":")[0]
        if not (once and kind in self._said):
            self._said.add(kind)
            for console in self._consoles:
                console.print(Text(warning, style="yellow"), soft_wrap=True)

    def show(self, line: Mapping[str, float]) -> None:
        """Show a line of metrics."""
        self._text.plain = in_words(line)
        step, share = int(line["step"]), max(1, self._steps // _LINES)
        if step == self._steps or step // share != (step - 1) // share:
            said = f"step {step:,} of {self._steps:,}, {line['seconds']:.0f} s: {self._text.plain}"
            for console in self._consoles:
                if not console.is_terminal:
                    console.print(said, soft_wrap=True, highlight=False)


def in_words(line: Mapping[str, float]) -> str:
    """What a line of metrics says, in two lines of a terminal."""
    words = [
        f"loss {line['loss']:.2f} (guessing: {line['log_candidates']:.2f})",
        f"temperature {line['temperature']:.3g}" if "temperature" in line else "",
        f"saturated {line['saturated']:.0%}" if "saturated" in line else "",
        f"alignment {line['alignment']:.2f}",
        f"uniformity {line['uniformity']:.2f}",
        f"lr {line['learning_rate']:.0e}",
        f"validation loss {line['validation_loss']:.2f}" if "validation_loss" in line else "",
    ]
    return "  ".join(filter(None, words))
