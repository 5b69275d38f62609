"""The page's modules as one script: what a reader's browser loads, and what the builder itself runs."""

import json
import re
from pathlib import Path
from typing import Any

IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"([^"]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:const|function|class) (\w+))", re.MULTILINE)
REMARK = re.compile(r"^\s*(?://.*|/\*\*.*\*/)?\n", re.MULTILINE)
"""A line that says something to readers of the source alone, or nothing."""


def recorded(name: str) -> Any:
    """What was recorded under a name."""
    return json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text(encoding="utf-8"))


def recorded_module(name: str) -> str:
    """The same as a module, as modules cannot import JSON everywhere yet."""
    return f"export const {name.upper()} = {json.dumps(recorded(name), separators=(',', ':'))};\n"


class Bundle:
    """Modules and all that they import, one after the other; each becomes the body of a function.

    Args:
        app: the folder of the modules.
        roots: modules to begin with.
        apart: recordings to leave in files of their own, which the script imports.
    """

    def __init__(self, app: Path, roots: tuple[str, ...], apart: tuple[str, ...] = ()) -> None:
        self._app = app.resolve()
        self._apart = apart
        self._loaded: set[Path] = set()
        self._parts = ["const modules = {};\n"]
        for root in roots:
            self._load(self._app / root)

    def __str__(self) -> str:
        """The script; `modules` holds by name what each exports."""
        return "".join(self._parts)

    def _load(self, path: Path) -> None:
        """Write a module after those that it imports."""
        if path in self._loaded:
            return
        self._loaded.add(path)
        name = path.relative_to(self._app).as_posix()
        if name in self._apart:
            self._parts.append(
                f'import * as {path.stem} from "./{name}";\nmodules[{json.dumps(name)}] = {path.stem};\n'
            )
            return
        recording = path.parent.name == "recorded"
        source = recorded_module(path.stem) if recording else path.read_text(encoding="utf-8")
        exported = EXPORT.findall(source)

        def bound(found: re.Match[str]) -> str:
            module = (path.parent / found[2]).resolve()
            self._load(module)
            if not found[1]:
                return ""
            names = found[1].replace(" as ", ": ")
            return f"const {{{names}}} = modules[{json.dumps(module.relative_to(self._app).as_posix())}];"

        body = REMARK.sub("", EXPORT.sub("", IMPORT.sub(bound, source)))
        if left := re.search(r"^\s*(import|export)\b.*", body, re.MULTILINE):
            raise ValueError(f"{path.name}: written in a way that the builder does not read: {left[0]}")
        returned = ", ".join(exported)
        self._parts.append(f"modules[{json.dumps(name)}] = (() => {{\n{body}return {{ {returned} }};\n}})();\n")
