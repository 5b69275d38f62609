"""A run as one page: a verdict first, then what it rests on, then how it was made."""

from importlib.resources import files

from info_nce import __version__
from info_nce.evaluation.results import FAR, LINEAR, RAW, Evaluation
from info_nce.evaluation.scorecard import TRAINED, UNTRAINED
from info_nce.evaluation.verdict import headline, percent, verdict
from info_nce.report.gather import Material
from info_nce.report.html import Html, element, unbroken
from info_nce.report.sections import classes, making, results, structure, training


def page(found: Material) -> str:
    """Build the whole page, which needs no other file, no network and no script."""
    title = f"What {type(found.run.recipe).__name__} learned from {found.run.data['name']}"
    scored = bool(found.evaluation.scores)
    sections = {
        "results": ("Is it better?", results) if scored else None,
        "training": ("Training", training),
        "structure": ("What it sees as alike", structure),
        "class-by-class": ("Class by class", classes) if scored else None,
        "making": ("How it was made", making),
    }
    shown = {id_: part for id_, part in sections.items() if part is not None}
    links = (element("a", name, href=f"#{id_}") for id_, (name, _) in shown.items())
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · {found.evaluation.run}"),
        element("style", Html(files(__package__).joinpath("style.css").read_text(encoding="utf-8"))),
    )
    body = element(
        "body",
        _opening(found, title),
        element("nav", *links, aria_label="Sections"),
        element("main", *(build(found) for _, build in shown.values())),
        element("footer", element("p", f"Made by info-nce {__version__} from the run {found.evaluation.run}.")),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _opening(found: Material, title: str) -> Html:
    evaluation = found.evaluation
    first, whole = headline(evaluation), verdict(evaluation)
    lead = element("p", element("strong", first), unbroken(whole.removeprefix(first)), class_="lead")
    notes = [element("p", note, class_="mind") for note in evaluation.notes]
    words = element(
        "div", element("p", f"info-nce report · {evaluation.run}", class_="eyebrow"), element("h1", title), lead, *notes
    )
    return element("header", words, *([_tiles(evaluation)] if evaluation.scores else []), class_="opening")


def _tiles(evaluation: Evaluation) -> Html:
    part = evaluation.main_part
    accuracies = {name: getattr(evaluation.score(name, LINEAR), part) for name in (TRAINED, UNTRAINED, RAW)}
    where = f"{accuracies[TRAINED].total:,} test pictures" + (
        " without a look-alike in training" if part == FAR else ""
    )
    tiles = (
        element("div", element("dt", name), element("dd", percent(a.share)), class_=name.replace(" ", "-"))
        for name, a in accuracies.items()
    )
    note = element("p", f"Linear probe, {where}.", class_="note")
    return element("div", element("dl", *tiles), note, class_="tiles wide")
