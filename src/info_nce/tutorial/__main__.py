"""`python -m info_nce.tutorial`: the tutorial without any extra."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from info_nce.errors import UserError
from info_nce.tutorial import LANGUAGES, PORT, export, serve


def main(words: Sequence[str] | None = None) -> int:
    """Show or export the tutorial; 2 is returned for what the reader can put right."""
    parser = argparse.ArgumentParser(
        prog="python -m info_nce.tutorial", description="An explorable explanation of InfoNCE."
    )
    parser.add_argument(
        "--port", type=int, default=PORT, help="to listen on; 0 takes any that is free (default: %(default)s)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0 for everybody who can reach this machine (default: %(default)s)"
    )
    parser.add_argument("--lang", default="", help=f"{', '.join(LANGUAGES)}; the browser's if left out")
    parser.add_argument("--no-browser", action="store_true", help="open none")
    parser.add_argument("--export", type=Path, metavar="DIR", help="write the pages as plain files instead")
    asked = parser.parse_args(words)
    try:
        if asked.export:
            print(f"the tutorial: {export(asked.export)}")  # noqa: T201 (a command speaks)
        else:
            serve(port=asked.port, host=asked.host, language=asked.lang, browser=not asked.no_browser)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
