"""Which classes are easy, which gain by training, and which are taken for each other?"""

from info_nce.evaluation.results import LINEAR, RAW, Accuracy, Evaluation
from info_nce.evaluation.scorecard import TRAINED, UNTRAINED
from info_nce.evaluation.verdict import percent
from info_nce.plots.canvas import MOST_CLASSES
from info_nce.plots.scores import by_class
from info_nce.report.gather import PictureMaterial
from info_nce.report.html import Html, details, element, figure, pair, section, table
from info_nce.report.sections.results import share
from info_nce.report.svg import inline_svg

# So many rows stand beside the bars without making the page longer.
_OPEN = 12


def classes(found: PictureMaterial) -> Html:
    """Which classes are easy and which are not?"""
    evaluation = found.evaluation
    known = _hardest_first(evaluation)
    (hardest, *_, low), (easiest, *_, high) = known[0], known[-1]
    title = f"{hardest}: the hardest class ({percent(low.share, 0)}); {easiest}: the easiest ({percent(high.share, 0)})"
    drawn = inline_svg(by_class(evaluation, LINEAR), "classes", f"Bars, one per class. {title}.")
    note = "Bars: linear probe on the trained encoder, with 95 % intervals. Marks: the same probe on the baselines."
    if len(known) > MOST_CLASSES:
        note += f" The {MOST_CLASSES} hardest of {len(known)} classes are drawn."
    wrong = "; ".join(f"{c.true} taken for {c.said} ({c.count})" for c in evaluation.confusions)
    rows = ((name, *map(share, accuracies), f"{accuracies[0].total:,}") for name, *accuracies in known)
    head = ("class", RAW, UNTRAINED, TRAINED, "test pictures")
    numbers = table(head, rows, caption="Linear probe, class by class, in %, ± one standard error")
    return section(
        "Class by class",
        pair(
            figure(drawn, title, note, id_="by-class"),
            element(
                "div",
                *([element("p", f"Most frequent mistakes: {wrong}.")] if wrong else []),
                details("The numbers behind these bars", numbers, opened=len(known) <= _OPEN),
            ),
        ),
        id_="class-by-class",
    )


def _hardest_first(evaluation: Evaluation) -> list[tuple[str, Accuracy, Accuracy, Accuracy]]:
    raw, untrained, trained = (evaluation.score(f, LINEAR).by_class for f in (RAW, UNTRAINED, TRAINED))
    rows = zip(evaluation.classes, raw, untrained, trained, strict=True)
    return sorted((row for row in rows if row[3].total), key=lambda row: row[3].share)
