"""Figures inside a page: text as text, colours as variables, ids that cannot clash."""

import re

import numpy as np
from matplotlib.figure import Figure

from info_nce.plots.pairs import class_similarity
from info_nce.plots.palette import OF_CLASSES
from info_nce.plots.scores import OF_FEATURES
from info_nce.plots.training import loss_curve
from info_nce.report.palette import VARIABLES
from info_nce.report.svg import inline_svg
from tests.evaluation.fakes import logged

HOSTILE = '"><script>\\1 & \\g<0>'


def test_the_same_figure_gives_the_same_bytes() -> None:
    first, second = (inline_svg(loss_curve(logged()), "loss", "x") for _ in range(2))
    assert first == second


def test_colours_follow_the_page() -> None:
    svg = inline_svg(loss_curve(logged()), "loss", "x")
    assert "var(--trained)" in svg
    assert "var(--muted)" in svg
    assert not any(colour in svg for colour in VARIABLES)


def test_no_class_has_a_colour_that_the_scheme_would_change() -> None:
    assert not set(OF_CLASSES) & set(VARIABLES)
    assert len(set(OF_FEATURES.values())) == 4


def test_text_stays_text_and_has_no_font_of_its_own() -> None:
    svg = inline_svg(loss_curve(logged()), "loss", "x")
    assert ">guessing: log 31 = 3.43</text>" in svg
    assert "font-family" not in svg


def test_nothing_points_outside_and_nothing_reaches_the_whole_page() -> None:
    svg = inline_svg(class_similarity(np.eye(4, dtype=np.float32), {"a": 2, "b": 2}), "m", "x")
    assert "http" not in svg
    assert "<style" not in svg
    assert "<!DOCTYPE" not in svg
    assert svg.startswith("<svg viewBox=")


def test_ids_are_only_those_that_are_used_and_carry_the_name() -> None:
    svg = inline_svg(loss_curve(logged()), "loss", "x")
    ids, used = re.findall(r' id="([^"]*)"', svg), set(re.findall(r"#([\w-]+)", svg))
    assert ids
    assert set(ids) == used
    assert all(i.startswith("loss-") for i in ids)


def test_the_alternative_text_is_escaped() -> None:
    svg = inline_svg(loss_curve(logged()), "loss", HOSTILE)
    assert "<script" not in svg
    assert r"\1 &amp; \g&lt;0&gt;" in svg


def test_letters_that_the_drawing_font_lacks_are_left_to_the_browser() -> None:
    figure = Figure()
    figure.text(0, 0, "熊 < ไก่", parse_math=False)
    assert "熊 &lt; ไก่" in inline_svg(figure, "x", "x")
