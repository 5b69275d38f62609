"""Held-out pictures beside the training pictures that the encoder finds most similar, right and wrong ones marked."""

from collections.abc import Sequence

from info_nce.report.gather import PictureMaterial, Query
from info_nce.report.html import Html, element, figure, joined
from info_nce.report.pictures import data_uri


def neighbours(found: PictureMaterial) -> Html:
    """Who is nearest to whom? A sample drawn by chance, and a sample of what went wrong."""
    right = [same for query in found.queries for same in query.right()]
    title = f"{len(found.queries)} pictures drawn by chance, and their nearest training pictures"
    claim = f": {sum(right)} of {len(right)} are of the same class" if right else ""
    note = (
        "Nearest first. A solid frame and ✓: the same class as the picture on the left; a dashed frame and ✗: another, "
        "which is named."
        if right
        else "Nearest first, with the cosine similarity."
    )
    shown = [figure(_rows(found.queries, "query"), title + claim, note, id_="neighbours", class_="wide")]
    if found.mistakes:
        wrong = "And some that it gets wrong: most of the five nearest are of another class"
        shown.append(figure(_rows(found.mistakes, "mistake"), wrong, id_="mistakes", class_="wide"))
    return joined(shown)


def _rows(queries: Sequence[Query], kind: str) -> Html:
    return element("ol", *(_row(query, f"{kind} {i}") for i, query in enumerate(queries, start=1)), class_="queries")


def _row(query: Query, name: str) -> Html:
    label = _label(query, 0)
    asked = element(
        "div",
        element("img", src=data_uri(query.picture.images[0]), alt=f"{name}: {label or 'a picture'}"),
        element("span", label, aria_hidden="true"),
        class_="asked",
    )
    return element("li", asked, element("ol", *(_neighbour(query, i) for i in range(len(query.neighbours)))))


def _neighbour(query: Query, i: int) -> Html:
    right, similarity = query.right(), f"{float(query.similarity[i]):.2f}"
    label = _label(query, i, neighbour=True)
    if not right:
        sign, class_, word = similarity, "plain", f"similarity {similarity}"
    elif right[i]:
        sign, class_, word = "✓", "right", f"{label}, the same class, similarity {similarity}"
    else:
        sign, class_, word = f"✗ {label}", "wrong", f"{label}, another class, similarity {similarity}"
    picture = element("img", src=data_uri(query.neighbours.images[i]), alt=f"neighbour {i + 1}: {word}")
    return element("li", picture, element("span", sign, aria_hidden="true"), class_=class_)


def _label(query: Query, row: int, *, neighbour: bool = False) -> str:
    pictures = query.neighbours if neighbour else query.picture
    return "" if pictures.labels is None else pictures.class_names[int(pictures.labels[row])]
