"""Ctrl-C asks training to stop at the next whole step, instead of tearing it down in the middle of one."""

import signal
import threading
from types import FrameType, TracebackType

from typing_extensions import Self


class Interruption:
    """A context in which SIGINT and SIGTERM are remembered; a second one acts as it always did.

    Example:
        >>> with Interruption() as interruption:
        ...     interruption.asked
        False
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        """Listen, where signals can be listened to: in the main thread only."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._restore()

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned
        self._before = {}
