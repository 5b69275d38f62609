"""What is measured of captions and pictures, with systems whose answers are known."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from info_nce.data.captioned import CaptionedSet, kept_together, split_groups
from info_nce.data.splits import Splits
from info_nce.errors import DataError
from info_nce.evaluation.captions import System, _classes, _names, choose_ridge, choose_sum, recall_both_ways
from info_nce.evaluation.scorecard import Score
from tests.evaluation.fakes import FACTS
from tests.pictures import noise

CLASSES = ("warm & red", "cold")


def captioned(count: int = 40) -> CaptionedSet:
    """Pictures of noise, every other one red, that are said to be so."""
    images = noise(count, 3, 16)
    images[::2, 0] = 255
    return CaptionedSet(
        name="noise",
        images=images,
        captions=tuple((f"thing {i}", "red hot" if i % 2 == 0 else "grey") for i in range(count)),
        groups=tuple(str(i) for i in range(count)),
        rows=tuple(f"row {i}" for i in range(count)),
        categories=tuple(CLASSES[i % 2] for i in range(count)),
        names={"id": tuple(str(i) for i in range(count)), "zh": ("",) * count},
    )


@pytest.fixture
def splits() -> Splits[CaptionedSet]:
    whole = captioned()
    return split_groups(whole, {group: group for group in whole.groups}, (10, 10), FACTS, "noise")


def knows_numbers(part: CaptionedSet, shift: int = 0) -> System:
    """A system that sees in a picture which one of a part it is, and reads the same from a text; or one beside it."""
    places = {picture.numpy().tobytes(): i for i, picture in enumerate(part.images)}
    numbers = {text.split(",")[0].split()[-1]: i for i, text in enumerate(part.texts())}

    def one_hot(found: list[int]) -> Tensor:
        return torch.eye(len(part))[found]

    return System(
        "knows",
        {
            "image": lambda images: one_hot([places[picture.numpy().tobytes()] for picture in images]),
            "text": lambda texts: one_hot(
                [(numbers[text.split(",")[0].split()[-1]] + shift) % len(part) for text in texts]
            ),
        },
    )


def test_who_knows_all_finds_all_and_who_is_one_off_finds_nothing(splits: Splits[CaptionedSet]) -> None:
    assert recall_both_ways(knows_numbers(splits.test), splits.test, k=1) == pytest.approx(1, abs=1e-5)
    assert recall_both_ways(knows_numbers(splits.test, shift=1), splits.test, k=1) < 1e-5


def test_a_sum_gives_the_better_system_the_greater_weight(splits: Splits[CaptionedSet]) -> None:
    part = splits.validation
    right, wrong = knows_numbers(part), knows_numbers(part, shift=1)
    assert recall_both_ways(choose_sum(wrong, right, part), part, k=1) == pytest.approx(1, abs=1e-5)
    assert choose_sum(right, wrong, part).setting == "0.2 of the sum is knows's"


def test_what_is_chosen_does_not_depend_on_the_test_part(splits: Splits[CaptionedSet]) -> None:
    other = replace(splits, test=splits.test.take([0], "other"))
    chosen, again = choose_ridge(splits), choose_ridge(other)
    assert chosen.setting == again.setting
    assert chosen.setting.startswith("strength ")
    torch.testing.assert_close(chosen.embedders["image"](noise(2, 3, 16)), again.embedders["image"](noise(2, 3, 16)))


def test_the_closed_form_sees_that_red_pictures_are_called_red(splits: Splits[CaptionedSet]) -> None:
    ridge = choose_ridge(splits)
    likeness = ridge.embedders["image"](splits.test.images) @ ridge.embedders["text"](["red", "grey"]).T
    assert [CLASSES[i] for i in likeness.argmax(dim=1).tolist()] == list(splits.test.categories)


def found(scores: list[Score], system: str, measure: str) -> float:
    return next(score.value for score in scores if score.system == system and measure in score.measure)


def test_a_picture_is_of_the_category_whose_name_is_most_like_it(splits: Splits[CaptionedSet]) -> None:
    reads = {"warm, red": [1.0, 0.0], "cold": [0.0, 1.0]}

    def text(texts: list[str]) -> Tensor:
        return torch.tensor([reads[one.removeprefix("a picture of ")] for one in texts])

    def image(images: Tensor) -> Tensor:
        is_red = images[:, 0].float().mean(dim=(1, 2)) > 250
        return torch.stack([is_red, ~is_red], dim=1).float()

    system = System("sees red", {"image": image, "text": text})
    scores = list(_classes([system], splits, {"sees red": image(splits.test.images)}))
    assert found(scores, "sees red", "category") == 1
    assert found(scores, "chance", "category") == 0.5
    blind = torch.stack([torch.ones(10), torch.zeros(10)], dim=1)
    share = splits.test.categories.count(CLASSES[0]) / 10
    assert found(list(_classes([system], splits, {"sees red": blind})), "sees red", "category") == pytest.approx(share)


def test_names_in_other_languages_are_asked_for_where_there_are_any(splits: Splits[CaptionedSet]) -> None:
    system = knows_numbers(splits.test)
    scores = list(_names([system], splits.test, {"knows": system.embedders["image"](splits.test.images)}))
    assert found(scores, "knows", "Indonesian") == 1
    assert found(scores, "knows", "1 languages") == 1
    assert not any("Chinese" in score.measure for score in scores)


def test_an_item_of_another_kind_is_refused(splits: Splits[CaptionedSet]) -> None:
    with pytest.raises(DataError, match="'sound'"):
        splits.test.items("sound")


def test_a_unit_goes_to_one_side_and_a_large_one_stays_in_training() -> None:
    units = [str(i // 3) for i in range(60)] + ["large"] * 12
    parts = kept_together(units, (9, 12), largest=5)
    assert sorted(place for places in parts.values() for place in places) == list(range(72))
    sides = {part: {units[place] for place in places} for part, places in parts.items()}
    assert (len(parts["validation"]), len(parts["test"])) == (9, 12)
    assert "large" in sides["train"]
    assert len(set.union(*sides.values())) == sum(map(len, sides.values()))
    assert parts == kept_together(units, (9, 12), largest=5)
