"""The command line's door: it opens without any extra, to be able to say which one is missing."""

import sys
from collections.abc import Sequence

from info_nce.errors import MissingExtraError


def main(words: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        words: of the command line; those of this process by default.

    Returns:
        The exit code: 0; 2 for something that the user can put right; 130 if stopped by Ctrl-C.
    """
    words = list(sys.argv[1:] if words is None else words)
    try:
        from info_nce.commands import run  # noqa: PLC0415 (see above)
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return run(words)
