"""HTML from values: whatever is not HTML already is escaped."""

import pytest

from info_nce.report.html import Html, element, figure, joined, table, unbroken

HOSTILE = "</p><script>alert('1 & \"2\"')</script>"


def test_text_and_attributes_are_escaped() -> None:
    made = element("p", HOSTILE, title=HOSTILE)
    assert "<script" not in made
    assert made.count("&lt;script&gt;") == 2
    assert '"2"' not in made


def test_html_is_taken_as_it_is_once() -> None:
    inner = element("b", "1 < 2")
    assert element("p", inner) == "<p><b>1 &lt; 2</b></p>"
    assert joined(["&", Html("&amp;")]) == "&amp;&amp;"


def test_html_put_together_as_text_is_escaped_rather_than_trusted() -> None:
    assert "<b>" not in element("p", element("b", "x") + HOSTILE)


def test_void_elements_have_no_end() -> None:
    assert element("img", src="x", alt="") == '<img src="x" alt="">'


def test_attribute_names_are_pythons_made_htmls() -> None:
    assert element("p", class_="a", aria_label="b") == '<p class="a" aria-label="b"></p>'


def test_tables_have_headings_with_a_scope_and_a_caption() -> None:
    made = table(("a", "b"), [("c", "1")], caption=HOSTILE)
    assert made.count('scope="col"') == 2
    assert made.count('scope="row"') == 1
    assert "<script" not in made


def test_a_figure_is_labelled_by_its_claim() -> None:
    made = figure(Html("<svg></svg>"), HOSTILE, HOSTILE, id_="x")
    assert 'aria-labelledby="x-title"' in made
    assert 'id="x-title"' in made
    assert "<script" not in made


@pytest.mark.parametrize(("text", "kept"), [("9 %", "9\u00a0%"), ("1 ± 2", "1\u00a0±\u00a02"), ("a b", "a b")])
def test_numbers_stay_with_their_unit(text: str, kept: str) -> None:
    assert unbroken(text) == kept
