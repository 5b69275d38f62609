"""How was this made, and from what?"""

import shlex
from collections.abc import Mapping
from dataclasses import asdict

from info_nce.report.gather import Material
from info_nce.report.html import Html, element, pair, section


def making(found: Material) -> Html:
    """How was this made, and from what?"""
    facts, counts = found.facts, found.card.counts
    split = ", ".join(f"{counts[part]:,} {part}" for part in ("train", "validation", "test"))
    data = {
        "what": facts.what,
        "counts": f"{facts.counts}: {split}",
        "licence": facts.licence,
        "credit": facts.credit,
        "origin": facts.origin,
    }
    config = asdict(found.run.recipe)
    if "image_size" in config:  # the built-in pictures keep their own size, whatever was asked for
        config["image_size"] = found.run.about.get("image_size", config["image_size"])
    settings = {name.replace("_", " "): "–" if value == "" else str(value) for name, value in config.items()}
    return section(
        "How this was made",
        *([element("pre", element("code", shlex.join(found.command)))] if found.command else []),
        element("h3", "Data"),
        _list(data),
        *(element("p", note) for note in facts.notes),
        pair(
            element("div", element("h3", "Settings"), _list(settings)),
            element("div", element("h3", "Versions"), _list(found.versions)),
        ),
        id_="making",
    )


def _list(values: Mapping[str, str]) -> Html:
    pairs = (element("div", element("dt", name), element("dd", value)) for name, value in values.items())
    return element("dl", *pairs, class_="facts")
