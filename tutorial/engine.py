"""The page's own JavaScript, run while building: what a reader sees first is drawn by the code that draws it later."""

import json
from pathlib import Path
from typing import Any

import quickjs

from tutorial.bundle import Bundle


class Engine:
    """The modules that draw and compute, without those that need a browser.

    Args:
        app: the folder of the modules.
        roots: modules to load, with all that they import.
    """

    def __init__(
        self, app: Path, roots: tuple[str, ...] = ("frame.js", "figures/index.js", "math.js", "examples.js")
    ) -> None:
        self._context = quickjs.Context()
        self._context.eval(str(Bundle(app, roots)))
        self._context.eval(
            "const { frame } = modules['frame.js'];"
            "const { FIGURES } = modules['figures/index.js'];"
            "const { live, shown, at } = modules['markup.js'];"
        )
        self._context.eval("Object.assign(globalThis, modules['math.js'], modules['examples.js']);")

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
