"""The page's own JavaScript, run while building: what a reader sees first is drawn by the code that draws it later."""

import json
import re
from pathlib import Path
from typing import Any

import quickjs

IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:const|function|class) (\w+))", re.MULTILINE)


def source_of(module: Path) -> str:
    """What a module of the page says; of what was recorded, the module that the builder writes."""
    if module.parent.name == "recorded":
        return recorded_module(module.stem)
    return module.read_text(encoding="utf-8")


def recorded(name: str) -> Any:
    """What was recorded under a name."""
    return json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text(encoding="utf-8"))


def recorded_module(name: str) -> str:
    """The same as a module, as modules cannot import JSON everywhere yet."""
    return f"export const {name.upper()} = {json.dumps(recorded(name), separators=(',', ':'))};\n"


class Engine:
    """The modules that draw and compute, without those that need a browser.

    Args:
        app: the folder of the modules.
        roots: modules to load, with all that they import.
    """

    def __init__(
        self, app: Path, roots: tuple[str, ...] = ("frame.js", "figures/index.js", "math.js", "examples.js")
    ) -> None:
        self._app = app.resolve()
        self._context = quickjs.Context()
        self._context.eval("const modules = {};")
        self._loaded: set[Path] = set()
        for root in roots:
            self._load(self._app / root)
        self._context.eval(
            "const { frame } = modules['frame.js'];"
            "const { FIGURES } = modules['figures/index.js'];"
            "const { live, shown, at } = modules['markup.js'];"
        )
        self._context.eval("Object.assign(globalThis, modules['math.js'], modules['examples.js']);")

    def _load(self, path: Path) -> None:
        """Load a module after those that it imports; each becomes a function's body, as the engine loads no files."""
        path = path.resolve()
        if path in self._loaded:
            return
        self._loaded.add(path)
        source = source_of(path)
        exported = EXPORT.findall(source)

        def bound(found: re.Match[str]) -> str:
            module = (path.parent / found[2]).resolve()
            self._load(module)
            names = found[1].replace(" as ", ": ")
            return f"const {{{names}}} = modules[{json.dumps(self._name(module))}];"

        body = EXPORT.sub("", IMPORT.sub(bound, source))
        if left := re.search(r"^\s*(import|export)\b.*", body, re.MULTILINE):
            raise ValueError(f"{path.name}: written in a way that the builder does not read: {left[0]}")
        name = json.dumps(self._name(path))
        self._context.eval(f"modules[{name}] = (() => {{ {body}\nreturn {{ {', '.join(exported)} }}; }})();")

    def _name(self, path: Path) -> str:
        return path.relative_to(self._app).as_posix()

    def evaluate(self, expression: str) -> Any:
        """What an expression is, as a Python value; math.js and examples.js are at hand in it."""
        return json.loads(self._context.eval(f"JSON.stringify({expression})"))

    def figures(self) -> dict[str, Any]:
        """Every figure by its name, with how it begins."""
        return dict(self.evaluate("Object.fromEntries(Object.entries(FIGURES).map(([n, f]) => [n, f.state]))"))

    def draw(self, figure: str, words: dict[str, Any]) -> str:
        """A figure as it begins, in the words of a language."""
        it = f"FIGURES[{json.dumps(figure)}]"
        return str(self._context.eval(f"String(frame({it}, {it}.state, {it}.derive({it}.state), {json.dumps(words)}))"))

    def number(self, expression: str, digits: int) -> str:
        """A number as the page writes it."""
        return str(self._context.eval(f"shown({expression}, {digits})"))

    def live(self, name: str, digits: int, tag: str) -> str:
        """A number of a figure, which goes on to follow it."""
        figure, _, path = name.partition(".")
        it = f"FIGURES[{json.dumps(figure)}]"
        value = f"at({it}.derive({it}.state), {json.dumps(path)})"
        if not isinstance(self.evaluate(value), int | float):
            raise ValueError(f"{name} is no number of a figure")  # noqa: TRY004 (of a name, not of a type)
        return str(self._context.eval(f"String(live({json.dumps(name)}, {value}, {digits}, {json.dumps(tag)}))"))
