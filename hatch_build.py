"""Builds the tutorial's pages into the package, whenever the package is built or installed."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TutorialHook(BuildHookInterface):
    """What hatchling calls."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's signature)
        """Build the pages where the wheel takes them from; an editable installation shows them from there, too."""
        sys.path.insert(0, self.root)
        try:
            from tutorial.build import SITE, build  # noqa: PLC0415 (found on the path above)
        finally:
            sys.path.remove(self.root)
        build(Path(SITE))
