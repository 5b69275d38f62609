"""The colours of the tutorial: readable on their ground, and positive unlike negative for every kind of eyes."""

import re

import pytest

from tests.tutorial.colours import DEFICIENCIES, contrast, difference, seen
from tutorial.build import HERE

STYLE = (HERE / "app" / "styles" / "base.css").read_text(encoding="utf-8")
LIGHT, *DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r"\{([^{}]*--page: [^{}]*)\}", STYLE)
)
THEMES = pytest.mark.parametrize("theme", [LIGHT, *DARK])


def test_both_ways_to_the_dark_theme_are_the_same() -> None:
    assert len(DARK) == 2
    assert DARK[0] == DARK[1]
    assert DARK[0].keys() == LIGHT.keys()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [  # pairs of the test data that Sharma, Wu and Dalal published
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_measure_is_the_published_one(
    one: tuple[float, float, float], other: tuple[float, float, float], expected: float
) -> None:
    assert difference(one, other) == pytest.approx(expected, abs=1e-4)


@THEMES
def test_text_is_readable_and_signs_are_visible(theme: dict[str, str]) -> None:
    grounds = [theme[name] for name in theme if name in {"page", "card"} or name.endswith("-wash")]
    for name in ("ink", "muted"):
        assert min(contrast(theme[name], ground) for ground in grounds) >= 4.5, name
    for name in ("positive", "negative", "anchor", "guess"):
        assert min(contrast(theme[name], theme[ground]) for ground in ("page", "card")) >= 4.5, name
        assert contrast(theme[name], theme[f"{name}-wash"]) >= 3, name
    assert contrast(theme["edge"], theme["card"]) >= 3


@THEMES
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_positive_and_negative_differ_for_every_kind_of_eyes(theme: dict[str, str], deficiency: str) -> None:
    one, other = (seen(theme[name], deficiency) for name in ("positive", "negative"))
    assert difference(one, other) >= 20


def test_plain_green_and_red_would_not_do() -> None:
    assert difference(seen("#008000", "deutan"), seen("#d00000", "deutan")) < 20
