"""An evaluation as a table for a terminal, 80 columns wide."""

from info_nce.errors import needs_extra
from info_nce.evaluation.results import ALL, FAR, LINEAR, RAW, TRAINED, UNTRAINED, Accuracy, Evaluation
from info_nce.evaluation.verdict import percent, verdict

with needs_extra("train"):
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

# Seven columns have to fit into 80 characters.
_SHORT = {
    UNTRAINED: "untrained",
    TRAINED: "trained",
    LINEAR: "linear",
    "5 neighbours": "5 nearest",
    "20 neighbours": "20 nearest",
}

# With fewer pictures, one of them is worth more than a quarter of a percent.
_TENTHS = 400


def show(evaluation: Evaluation, console: Console) -> None:
    """Print the table, what it means, and what to mind when reading it."""
    if evaluation.scores:
        console.print(_table(evaluation))
    console.print(Text(verdict(evaluation)))
    for note in evaluation.notes:
        console.print(Text(f"• {note}", style="yellow"))


def _table(evaluation: Evaluation) -> Table:
    counts = evaluation.counts
    table = Table(
        title=Text(f"{evaluation.run}: test pictures named rightly, in %", style="bold"),
        caption=(
            f"all = {counts['test']:,} test pictures, far = the {counts['far']:,} of them without a look-alike in "
            f"training; ± one standard error; chance {percent(evaluation.chance)}, "
            f"always the most frequent class {percent(evaluation.majority.share)}"
        ),
        box=box.SIMPLE_HEAD,
        caption_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("features", no_wrap=True)
    probes = list(dict.fromkeys(score.probe for score in evaluation.scores))
    for probe in probes:
        for part in (ALL, FAR):
            table.add_column(f"{_SHORT.get(probe, probe)}\n{part}", justify="right", no_wrap=True)
    for features in (RAW, UNTRAINED, TRAINED):
        scores = [evaluation.score(features, probe) for probe in probes]
        cells = [_cell(accuracy) for score in scores for accuracy in (score.all, score.far)]
        table.add_row(_SHORT.get(features, features), *cells, style="bold" if features == TRAINED else "")
    return table


def _cell(accuracy: Accuracy) -> str:
    if not accuracy.total:
        return "–"
    digits = 1 if accuracy.total >= _TENTHS else 0
    return f"{100 * accuracy.share:.{digits}f}±{100 * accuracy.standard_error:.{digits}f}"
