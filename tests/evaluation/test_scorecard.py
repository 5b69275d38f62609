"""The table of any recipe: kept, read again, and shown."""

import json
import math
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from info_nce.errors import RunError
from info_nce.evaluation import Score, Scorecard, load_scorecard, show
from info_nce.evaluation.scorecard import FILE
from info_nce.evaluation.tables import number

CARD = Scorecard(
    run="mine",
    recipe="clip",
    weights="abc",
    counts={"train": 900, "validation": 300, "test": 1000},
    headline="R@10 picture to text",
    scores=(
        Score("chance", "R@10 picture to text", 0.0333),
        Score("ridge", "R@10 picture to text", 0.307, 0.02, "strength 10"),
        Score("trained", "R@10 picture to text", 0.35, 0.02),
        Score("trained", "median rank", 24.5, 1.25, unit="rank"),
        Score("trained", "Spearman", -0.25, unit="correlation"),
    ),
    notes=("Mind this.",),
)


def shown(card: Scorecard) -> str:
    console = Console(file=StringIO(), width=80)
    show(card, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_scorecard_is_read_as_it_was_saved(tmp_path: Path) -> None:
    CARD.save(tmp_path)
    found = load_scorecard(tmp_path)
    assert math.isnan(found.scores[0].standard_error)
    assert found.scores[1:4] == CARD.scores[1:4]
    assert (found.systems(), found.measures()) == (CARD.systems(), CARD.measures())
    assert (found.headline, found.counts, found.notes) == (CARD.headline, CARD.counts, CARD.notes)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"scores": [{"system": "a"}], "notes": []}', '{"scores": 3}'])
def test_a_file_that_is_no_scorecard_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(RunError, match="cannot be read"):
        load_scorecard(tmp_path)


def test_a_number_that_is_none_is_null_in_the_file(tmp_path: Path) -> None:
    found = json.loads(CARD.save(tmp_path).read_text())
    assert found["scores"][0]["standard_error"] is None


def test_the_table_says_each_number_in_its_unit() -> None:
    text = shown(CARD)
    assert all(cell in text for cell in ("3.3 ", "30.7±2.0", "35.0±2.0", "24.5±1.2", "-0.250"))
    assert "R@10 picture to text: 35.0 ± 2.0 % trained, beside chance 3.3 %, ridge 30.7 ± 2.0 %." in " ".join(
        text.split()
    )
    assert "• Mind this." in text


def test_without_scores_nothing_is_claimed() -> None:
    text = shown(Scorecard("mine", "clip", "", {}, "R@1", ()))
    assert "nobody can say how good" in text


def test_few_items_get_no_tenths_and_nothing_gets_a_dash() -> None:
    assert number(Score("a", "b", 0.307, 0.02), tenths=False) == "31 ± 2 %"
    assert number(Score("a", "b", math.nan)) == "–"
