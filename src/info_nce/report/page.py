"""A run as one page: a verdict first, then what it rests on, then how it was made."""

from collections.abc import Callable
from importlib.resources import files

from info_nce import __version__
from info_nce.evaluation.results import FAR, LINEAR, RAW, Evaluation
from info_nce.evaluation.scorecard import TRAINED, UNTRAINED
from info_nce.evaluation.tables import verdict
from info_nce.evaluation.verdict import headline, percent
from info_nce.report.gather import Material, PictureMaterial
from info_nce.report.html import Html, element, unbroken
from info_nce.report.sections import classes, making, results, scores, structure, training

Sections = dict[str, tuple[str, Callable[[], Html]]]
"""By the id of each: its name in the list of links, and what builds it."""


def page(found: Material) -> str:
    """Build the whole page, which needs no other file, no network and no script."""
    recipe = found.run.recipe
    title = f"What {recipe.title or type(recipe).__name__} learned from {found.run.data['name']}"
    shown = _of_pictures(found) if isinstance(found, PictureMaterial) else _of_any(found)
    links = (element("a", name, href=f"#{id_}") for id_, (name, _) in shown.items())
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · {found.card.run}"),
        element("style", Html(files(__package__).joinpath("style.css").read_text(encoding="utf-8"))),
    )
    body = element(
        "body",
        _opening(found, title),
        element("nav", *links, aria_label="Sections"),
        element("main", *(build() for _, build in shown.values())),
        element("footer", element("p", f"Made by info-nce {__version__} from the run {found.card.run}.")),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _of_pictures(found: PictureMaterial) -> Sections:
    scored = bool(found.evaluation.scores)
    sections: dict[str, tuple[str, Callable[[], Html]] | None] = {
        "results": ("Is it better?", lambda: results(found)) if scored else None,
        "training": ("Training", lambda: training(found)),
        "structure": ("What it sees as alike", lambda: structure(found)),
        "class-by-class": ("Class by class", lambda: classes(found)) if scored else None,
        "making": ("How it was made", lambda: making(found)),
    }
    return {id_: part for id_, part in sections.items() if part is not None}


def _of_any(found: Material) -> Sections:
    return {
        **({"results": ("Is it better?", lambda: scores(found))} if found.card.scores else {}),
        "training": ("Training", lambda: training(found)),
        "making": ("How it was made", lambda: making(found)),
    }


def _opening(found: Material, title: str) -> Html:
    whole = found.card.verdict or verdict(found.card)
    first = headline(found.evaluation) if isinstance(found, PictureMaterial) else ""
    lead = element(
        "p", *([element("strong", first)] if first else []), unbroken(whole.removeprefix(first)), class_="lead"
    )
    notes = [element("p", note, class_="mind") for note in found.card.notes]
    words = element(
        "div", element("p", f"info-nce report · {found.card.run}", class_="eyebrow"), element("h1", title), lead, *notes
    )
    tiles = [_tiles(found.evaluation)] if isinstance(found, PictureMaterial) and found.evaluation.scores else []
    return element("header", words, *tiles, class_="opening")


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
