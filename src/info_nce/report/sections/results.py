"""Is the encoder better than doing nothing? A figure, a table, and what their words mean."""

from info_nce.evaluation.results import ALL, FAR, LINEAR, RAW, Accuracy, Difference, Evaluation
from info_nce.evaluation.scorecard import TRAINED, UNTRAINED
from info_nce.evaluation.verdict import percent, points
from info_nce.plots.scores import accuracies
from info_nce.report.gather import PictureMaterial
from info_nce.report.html import Html, element, figure, joined, pair, scrolling, section, unbroken
from info_nce.report.svg import inline_svg

_INTRO = (
    "A simple classifier gets three descriptions of each picture in turn: its raw pixels, what the encoder made of it "
    "before training, and what it makes of it now. Classifier and pictures stay the same, so a difference can only "
    "come from the description."
)
_WORDS = {
    "linear probe": "logistic regression on frozen features; its penalty is chosen on the validation pictures",
    "5 or 20 neighbours": "the most similar training pictures vote, by cosine similarity",
    "untrained encoder": "the same architecture, with the weights that the run’s seed began with",
    "without a look-alike (FAR)": (
        "test pictures that no training picture resembles at a cosine of 0.9 or more, compared as raw pixels: "
        "the fairer test, as the others can be named by memory"
    ),
    "±": "one standard error; that of a gain counts only pictures on which the two disagree",
}


def results(found: PictureMaterial) -> Html:
    """Is the encoder better than doing nothing?"""
    evaluation = found.evaluation
    drawn = inline_svg(accuracies(evaluation), "accuracies", _in_words(evaluation))
    note = "Each mark is the share of test pictures named rightly, each line its 95 % interval."
    words = joined(
        element(tag, text) for pairs in _WORDS.items() for tag, text in zip(("dt", "dd"), pairs, strict=True)
    )
    return section(
        "Is it better than doing nothing?",
        element("p", _INTRO),
        pair(
            figure(drawn, _title(evaluation), note, id_="accuracies"),
            element("div", element("h3", "What the words mean"), element("dl", words, class_="words")),
        ),
        _table(evaluation),
        id_="results",
    )


def share(accuracy: Accuracy) -> Html:
    """Write an accuracy in % with its standard error, for a cell of a table."""
    if not accuracy.total:
        return Html("–")
    error = element("span", f"±\u00a0{100 * accuracy.standard_error:.1f}", class_="error")
    return joined([f"{100 * accuracy.share:.1f} ", error])


def _title(evaluation: Evaluation) -> str:
    part = evaluation.main_part
    where = "on pictures without a look-alike" if part == FAR else "on all test pictures"
    raw, untrained = (points(evaluation.difference(baseline, LINEAR, part)) for baseline in (RAW, UNTRAINED))
    return f"Linear probe {where}: {untrained} against no training, {raw} against raw pixels"


def _in_words(evaluation: Evaluation) -> str:
    said = "; ".join(
        f"{score.probe} on {score.features}: {percent(score.all.share)} of all"
        + (f", {percent(score.far.share)} without a look-alike" if score.far.total else "")
        for score in evaluation.scores
    )
    return f"Marks with intervals, one row per classifier. {said}."


def _table(evaluation: Evaluation) -> Html:
    counts = evaluation.counts
    parts = {ALL: f"all {counts['test']:,} test pictures", FAR: f"{counts[FAR]:,} without a look-alike (FAR)"}
    head = ("classifier", RAW, UNTRAINED, TRAINED, "gain over raw", "gain over untrained")
    caption = unbroken(
        f"Test pictures named rightly, in %, and gains in points, each ± one standard error. Guessing gives "
        f"{percent(evaluation.chance)}, always the most frequent class {percent(evaluation.majority.share)}."
    )
    top = element("thead", element("tr", *(element("th", cell, scope="col") for cell in head)))
    groups = (_group(evaluation, part, title) for part, title in parts.items() if part == ALL or counts[FAR])
    whole = element("table", element("caption", caption), top, *groups, class_="scores")
    return scrolling(whole, "Scores", class_="scroll wide")


def _group(evaluation: Evaluation, part: str, title: str) -> Html:
    heading = element("tr", element("th", title, scope="rowgroup", colspan="6"), class_="group")
    probes = dict.fromkeys(score.probe for score in evaluation.scores)
    return element("tbody", heading, *(_row(evaluation, probe, part) for probe in probes))


def _row(evaluation: Evaluation, probe: str, part: str) -> Html:
    shares = [share(getattr(evaluation.score(features, probe), part)) for features in (RAW, UNTRAINED, TRAINED)]
    gains = [_gain(evaluation.difference(baseline, probe, part)) for baseline in (RAW, UNTRAINED)]
    return element("tr", element("th", probe, scope="row"), *(element("td", cell) for cell in shares + gains))


def _gain(difference: Difference) -> Html:
    gain, error = points(difference).removesuffix(" points").split(" ", 1)
    remark = ", no different" if difference.verdict == "no different" else ""
    return joined([f"{gain} ", element("span", unbroken(error) + remark, class_="error")])
