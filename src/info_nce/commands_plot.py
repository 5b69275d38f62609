"""The command that draws one figure into a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated

from info_nce.errors import SettingError, needs_extra

with needs_extra("train"):
    from rich.console import Console
    from rich.table import Table
    from tyro.conf import Positional, arg

    from info_nce.recipes.runs import Weights

FIGURES = {
    "loss-surface": "the loss and its gradient, as samples come nearer",
    "temperature": "probabilities and forces at every temperature",
    "information-bound": "what the loss vouches for with more candidates",
    "training": "of a RUN: loss, temperature, learning rate",
    "alignment-uniformity": "of a RUN: its way through the plane of both",
    "similarity-matrix": "of a RUN: pairs, and the softmax of both directions",
    "spectrum": "of a RUN: singular values, effective rank",
    "projection": "of a RUN: a map of held-out items by t-SNE",
    "pca": "of a RUN: the same by PCA",
}
"""The figures by name, each in a line; `info_nce.plots.of_run` draws them."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Draw a figure of what the loss does, or of a run, into a file: info-nce plot NAME [RUN] --out FILE.

    Args:
        name: of the figure.
        run: the run's folder, for a figure of a run.
        out: the file to write: .png, .svg or .pdf.
        list: say what there is to draw, in a line each, and draw nothing.
        weights: of a run: the last ones, or those with the best validation loss.
        debug: show where an error happened.
    """

    name: Annotated[Positional[str], arg(metavar="NAME", help=f"of the figure: {', '.join(FIGURES)}.")] = ""
    run: Annotated[Positional[str], arg(metavar="[RUN]")] = ""
    out: str = ""
    list: bool = False
    weights: Weights = "last"
    debug: bool = False

    def do(self, console: Console, words: Sequence[str]) -> int:  # noqa: ARG002 (one signature for all commands)
        """Draw, write, and say where it is; or list."""
        if self.list:
            table = Table.grid("", "", padding=(0, 2, 0, 0))
            for name, shows in FIGURES.items():
                table.add_row(name, shows)
            console.print(table, highlight=False)
            return 0
        self._check()
        from info_nce.plots import save  # noqa: PLC0415 (a command loads only what it needs)
        from info_nce.plots.canvas import figure_path  # noqa: PLC0415 (as above)
        from info_nce.plots.of_run import draw  # noqa: PLC0415 (as above)

        file = figure_path(self.out)  # a wrong name is refused before the work
        with console.status("drawing"):
            save(draw(self.name, self.run, self.weights), file)
        console.print(f"{self.name}: {file}", highlight=False, soft_wrap=True)
        return 0

    def _check(self) -> None:
        if self.name not in FIGURES:
            near = get_close_matches(self.name, FIGURES, 1, 0.5) or ["loss-surface"]
            raise SettingError(
                "there is no figure of that name." if self.name else "it has to be said which figure.",
                got=self.name or "no name",
                expected=", ".join(FIGURES),
                advice=f"info-nce plot {near[0]} --out {near[0]}.png; info-nce plot --list says what each shows",
            )
        if not self.out:
            raise SettingError(
                "it has to be said where the figure goes.",
                got="no --out",
                expected="a name that ends in .png, .svg or .pdf",
                advice=f"info-nce plot {self.name} {self.run}".rstrip() + f" --out {self.name}.png",
            )
