"""What does the encoder see as alike? Every pair, a map, and the nearest neighbours."""

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from info_nce.evaluation.results import RAW
from info_nce.evaluation.scorecard import TRAINED
from info_nce.evaluation.verdict import percent
from info_nce.plots.maps import labels_on_map, places_on_a_map, wide_map
from info_nce.plots.pairs import class_similarity
from info_nce.plots.thumbnails import map_of
from info_nce.report.gather import PictureMaterial, Sample
from info_nce.report.html import Html, element, figure, joined, pair, scrolling, section, unbroken
from info_nce.report.measures import same_class_wins
from info_nce.report.sections.neighbours import neighbours
from info_nce.report.svg import inline_svg


def structure(found: PictureMaterial) -> Html:
    """What does the encoder see as alike?"""
    shape = found.evaluation.geometry
    text = (
        f"What the encoder makes of pictures that it never trained on spreads over {shape.effective_rank:.0f} of "
        f"{shape.dimensions} directions (effective rank); all in one direction would be 1."
    )
    parts = (_matrices(found.in_the_matrix), _map(found.on_the_map), neighbours(found))
    return section("What it sees as alike", element("p", text), *parts, id_="structure")


def _matrices(sample: Sample) -> Html:
    labels = sample.pictures.labels
    if labels is None or len(labels) < 2:
        return Html()
    kinds = ((TRAINED, sample.h, "matrix-trained"), (RAW, sample.raw, "matrix-raw"))
    note = (
        f"Every pair of {len(labels)} test pictures drawn by chance, sorted by class; bright is similar. The "
        "percentage compares pairs of one class with pairs of two: always the more similar is 100 %, chance is 50 %."
    )
    shown = (_matrix(features, labels, sample.pictures.class_names, kind, id_) for kind, features, id_ in kinds)
    return joined([pair(*shown), element("p", unbroken(note), class_="note")])


def _matrix(
    features: Float[Tensor, "n d"], labels: Int64[Tensor, " n"], names: tuple[str, ...], kind: str, id_: str
) -> Html:
    unit = functional.normalize(features, dim=1)
    similarity = unit @ unit.mT
    wins = percent(same_class_wins(similarity, labels), 0)
    title = f"{kind.capitalize()}: a pair of one class is the more similar one {wins} of the time"
    sizes = {names[label]: n for label, n in enumerate(labels.bincount().tolist()) if n}
    text = f"A matrix of cosine similarities of {len(labels)} test pictures, sorted by class. {title}."
    return figure(inline_svg(class_similarity(similarity.numpy(), sizes), id_, text), title, id_=id_)


def _map(sample: Sample) -> Html:
    pictures = sample.pictures
    found = places_on_a_map(sample.h)
    known = pictures.labels is not None
    kinds = pictures.labels.numpy() if pictures.labels is not None else np.zeros(len(found.at), dtype=np.int64)
    labels = labels_on_map(found.at, kinds, pictures.class_names) if known else []
    drawn = wide_map(found.at, map_of(pictures.images, found.at, kinds, labels=labels), kinds, labels)
    title = f"A {found.method} map of {len(pictures):,} pictures that it never trained on"
    note = "Pictures that the encoder finds similar lie close together; distances between far groups mean little."
    if known:
        note += " Frames and dots have the colour of the class, which training never saw."
    svg = inline_svg(drawn, "map", f"{title}. {note}")
    return figure(scrolling(svg, title), title, note, id_="map-of-pictures", class_="wide")
