"""The whole page: complete, self-contained, safe with hostile names, and readable without eyes."""

import json
import math
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from info_nce.data.splits import Facts
from info_nce.evaluation.pictures import evaluate_pictures
from info_nce.evaluation.results import load_evaluation
from info_nce.evaluation.scorecard import CHANCE, TRAINED, Score, Scorecard
from info_nce.recipes.simclr import SimCLR
from info_nce.report import write_report
from info_nce.report.gather import Material, _recorded
from info_nce.report.page import page as general_page
from tests.evaluation.fakes import FACTS, FakeRun, labelled, logged, run_on, unlabelled

HOSTILE = """</title><script>alert("&'1")</script>"""
_VOID = {"img", "meta", "br"}


class Reader(HTMLParser):
    """Reads a page and refuses what is not well formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def written(run: FakeRun) -> str:
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FakeRun:
    names = (HOSTILE, '熊 & "bear" $x_1$ \\frac{', "<img src=x onerror=alert(1)>")
    facts = Facts(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, notes=(HOSTILE,))
    folder = tmp_path_factory.mktemp("a & <b>")
    made = run_on(replace(labelled([40, 40, 40], names, paths=True), facts=facts), folder, note=HOSTILE)
    (folder / "config.json").write_text(json.dumps({"command": ["info-nce", HOSTILE], "versions": {HOSTILE: HOSTILE}}))
    return replace(made, recipe=replace(made.recipe, data=HOSTILE), data={**made.data, "name": HOSTILE})


@pytest.fixture(scope="module")
def page(run: FakeRun) -> str:
    return written(run)


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def test_hostile_names_are_text(page: str, reader: Reader) -> None:
    assert "<script" not in page
    assert not reader.of("script")
    assert not any("onerror" in attributes for _, attributes in reader.elements)
    assert "".join(reader.text).count("alert(") > 10


def test_nothing_is_fetched(page: str, reader: Reader) -> None:
    assert not re.search(r"https?:|@import|//\w", re.sub(r"base64,[\w+/=\s]*", "", page))
    addresses = [a[name] or "" for _, a in reader.elements for name in ("src", "href") if name in a]
    assert addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert not reader.of("link", "iframe", "object")
    assert len(page) < 5e6


def test_pictures_and_figures_say_what_they_show(reader: Reader) -> None:
    images, drawings = reader.of("img"), reader.of("svg")
    assert len(images) > 20
    assert all((image.get("alt") or "").strip() for image in images)
    assert all(svg.get("role") == "img" and len(svg.get("aria-label") or "") > 20 for svg in drawings)
    assert len(drawings) == 8


def test_settings_show_the_size_that_the_pictures_had(run: FakeRun, tmp_path: Path) -> None:
    assert run.about["image_size"] == 16
    asked = replace(run, path=tmp_path, recipe=SimCLR(width=4, steps=50, data="squares", image_size=64))
    text = "\n".join(Reader(written(asked)).text)
    assert re.search(r"image size\s+16\b", text)
    assert not re.search(r"image size\s+64\b", text)


def test_ids_are_unique_and_links_lead_somewhere(reader: Reader) -> None:
    ids = Counter(attributes["id"] for _, attributes in reader.elements if "id" in attributes)
    assert max(ids.values()) == 1
    targets = [a["href"] or "" for _, a in reader.elements if (a.get("href") or "").startswith("#")]
    names = [a[n] or "" for _, a in reader.elements for n in ("aria-labelledby",) if n in a]
    assert {target.removeprefix("#") for target in targets} | set(names) <= set(ids)


def test_headings_descend_step_by_step(reader: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_has_a_language_a_title_and_tables_with_scopes(reader: Reader) -> None:
    assert reader.of("html")[0]["lang"] == "en"
    assert reader.of("title")
    assert reader.of("table")
    assert all(cell.get("scope") for cell in reader.of("th"))
    assert len(reader.of("table")) == len(reader.of("caption"))


def test_the_verdict_and_the_numbers_are_those_of_the_evaluation(run: FakeRun, reader: Reader) -> None:
    text, evaluation = "".join(reader.text), load_evaluation(run.path)
    for score in evaluation.scores:
        assert f"{100 * score.all.share:.1f}" in text
    assert "the trained encoder is" in text
    assert "guessing: log 31 = 3.43" in text


def test_the_same_run_gives_the_same_page(run: FakeRun, page: str) -> None:
    assert written(run) == page


def test_a_page_without_labels_shows_what_there_is(tmp_path: Path) -> None:
    page = written(run_on(unlabelled(40), tmp_path))
    reader = Reader(page)
    assert "There are no labels" in page
    assert "Class by class" not in page
    assert "nan" not in "".join(reader.text)
    assert all((image.get("alt") or "").strip() for image in reader.of("img"))


@pytest.mark.parametrize("count", [0, 1])
def test_a_run_with_hardly_any_metrics_has_a_page(tmp_path: Path, count: int) -> None:
    page = written(run_on(labelled([20, 20]), tmp_path, lines=logged(count)))
    assert ("Nothing was logged." in page) == (count == 0)
    assert "nan" not in "".join(Reader(page).text)


def test_many_classes_and_colour_have_a_page(tmp_path: Path) -> None:
    page = written(run_on(labelled([5] * 24, channels=3), tmp_path))
    assert "The 20 hardest of 24 classes are drawn." in page
    Reader(page)


def test_an_evaluation_of_other_weights_is_made_anew(tmp_path: Path) -> None:
    run = run_on(labelled([20, 20]), tmp_path)
    replace(evaluate_pictures(run), weights="others", chance=0.125).save(tmp_path)
    write_report(run)
    assert load_evaluation(tmp_path).chance == 0.5
    replace(load_evaluation(tmp_path), chance=0.25).save(tmp_path)
    write_report(run)
    assert load_evaluation(tmp_path).chance == 0.25


@pytest.mark.parametrize("content", ["", "[]", '{"command": [], "versions": {}}', '{"command": "x", "versions": []}'])
def test_a_damaged_record_of_the_command_costs_that_line_only(tmp_path: Path, content: str) -> None:
    run = run_on(labelled([20, 20]), tmp_path)
    (tmp_path / "config.json").write_text(content)
    assert _recorded(run) == ((), {})


def test_licence_credit_and_origin_are_on_the_page(tmp_path: Path) -> None:
    text = "".join(Reader(written(run_on(labelled([20, 20]), tmp_path))).text)
    assert all(fact in text for fact in (FACTS.licence, FACTS.credit, FACTS.origin, *FACTS.notes))
    assert math.isclose(load_evaluation(tmp_path).chance, 0.5)


@pytest.fixture(scope="module")
def any_page(run: FakeRun) -> str:
    scores = (
        Score(CHANCE, "R@1", 0.01),
        Score("ridge", "R@1", 0.2, 0.02),
        Score(TRAINED, "R@1", 0.3, 0.02, setting="weight 0.4"),
        Score(TRAINED, "median rank", 12, 1, unit="rank"),
    )
    card = Scorecard(HOSTILE, "clip", "", {"train": 9, "validation": 3, "test": 3}, "R@1", scores, notes=(HOSTILE,))
    return general_page(Material(run, card, run.metrics(), run.splits().facts, ("info-nce",), {}))


def test_a_run_of_any_recipe_has_a_page_with_all_its_scores(any_page: str) -> None:
    reader = Reader(any_page)
    text = " ".join(" ".join(reader.text).split())
    assert all(said in text for said in ("30.0 ± 2.0 %", "12.0 ± 1.0", "ridge", "weight 0.4"))
    assert not reader.of("script")
    assert [a["id"] for a in reader.of("h2")] == ["results", "training", "making"]
    assert len(reader.of("svg")) == 4


def test_a_run_without_scores_says_so(run: FakeRun) -> None:
    card = Scorecard("mine", "clip", "", {"train": 9, "validation": 3, "test": 0}, "R@1", ())
    text = " ".join(Reader(general_page(Material(run, card, [], run.splits().facts, (), {}))).text)
    assert "nobody can say how good" in text
    assert "Nothing was logged" in text
