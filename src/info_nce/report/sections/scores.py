"""Is it better than doing nothing? Every measure of every system: a figure and a table."""

from info_nce.evaluation.scorecard import TRAINED
from info_nce.evaluation.tables import number
from info_nce.plots.scores import shares
from info_nce.report.gather import Material
from info_nce.report.html import Html, details, element, figure, section, table, unbroken
from info_nce.report.svg import inline_svg

_INTRO = (
    "The trained model beside what costs less: chance, simpler features, and the same model before training. All of "
    "them answer the same questions about items that nothing was trained on or chosen by."
)


def scores(found: Material) -> Html:
    """Is it better than doing nothing?"""
    card, systems = found.card, found.card.systems()
    if TRAINED in systems:  # it is what the reader came for
        systems = [TRAINED, *(system for system in systems if system != TRAINED)]
    rows = (
        (
            measure,
            *("" if (cell := card.find(system, measure)) is None else unbroken(number(cell)) for system in systems),
        )
        for measure in card.measures()
    )
    drawn = []
    if any(score.unit == "share" for score in card.scores):
        words = "; ".join(f"{score.system}, {score.measure}: {number(score)}" for score in card.scores)
        title = f"{len(systems)} systems by {len(card.measures())} measures"
        picture = inline_svg(shares(card), "shares", f"Marks with intervals, one row per measure. {words}.")
        note = "Each mark is a share of test items, each line two standard errors to both sides."
        drawn = [figure(picture, title, note, id_="shares")]
    settings: dict[str, list[str]] = {}
    for score in card.scores:
        if score.setting:
            settings.setdefault(f"{score.system}: {score.setting}", []).append(score.measure)
    known = [element("li", f"{setting} ({'; '.join(measures)})") for setting, measures in settings.items()]
    return section(
        "Is it better than doing nothing?",
        element("p", _INTRO),
        *drawn,
        table(
            ("measure", *systems),
            rows,
            caption="Every measure of every system, ± one standard error",
            class_="ours" if systems[0] == TRAINED else "",
            wide=True,
        ),
        *(
            [details("How each score was set; nothing was chosen on the test part", element("ul", *known))]
            if known
            else []
        ),
        id_="results",
    )
