"""WordNet out of the real wheel, against what is known of it."""

from pathlib import Path

import pytest

from info_nce.data.glosses import facts, load_glosses
from info_nce.data.pairs import TextPairSet
from info_nce.data.splits import Splits
from info_nce.data.word_similarity import WHEEL as SIMILARITY
from info_nce.data.word_similarity import load_word_similarity
from info_nce.data.word_similarity import parse as parse_similarity
from info_nce.data.wordnet import examples, load_synsets, parse, split_gloss
from info_nce.errors import DataError
from tests.texts import wheel


@pytest.fixture(scope="module")
def splits() -> Splits[TextPairSet]:
    return load_glosses(data_file=wheel())


@pytest.mark.slow
def test_there_are_as_many_synsets_as_wordnets_own_statistics_say() -> None:
    synsets = load_synsets(data_file=wheel())
    # wnstats(7WN) of WordNet 3.0
    expected = {"n": 82115, "v": 13767, "a": 18156, "r": 3621}
    assert {speech: sum(s.id[0] == speech for s in synsets) for speech in "nvar"} == expected
    assert len({synset.lexicographer for synset in synsets}) == 45
    dog = next(s for s in synsets if s.id == "n02084071")
    assert (dog.lemmas, dog.lexicographer) == (("dog", "domestic dog", "Canis familiaris"), "noun.animal")
    assert dog.examples == ("the dog barked all night",)
    sentences = examples(least=5, most=12, data_file=wheel())
    assert "the dog barked all night" in sentences
    assert len(sentences) == len(set(sentences)) > 27_000
    assert all(5 <= len(text.split()) <= 12 for text in sentences)


@pytest.mark.parametrize(
    ("text", "gloss", "sentences"),
    [
        (' a gloss; of two parts; "one"; "two; three" ', "a gloss; of two parts", ("one", "two; three")),
        ('a gloss: "an example after a colon"', "a gloss", ("an example after a colon",)),
        ('(a "quoted" word)', '(a "quoted" word)', ()),
        ('a gloss; "one", "two"', "a gloss", ("one", "two")),
        ('a gloss; "said"- a poet', "a gloss", ("said",)),
        ("only a gloss", "only a gloss", ()),
    ],
)
def test_examples_are_parted_from_the_gloss(text: str, gloss: str, sentences: tuple[str, ...]) -> None:
    assert split_gloss(text) == (gloss, sentences)


def test_a_damaged_line_is_named() -> None:
    good = "00001740 03 n 01 entity 0 000 | that which is  "
    with pytest.raises(DataError, match="line 3 of WordNet's file of 'n'"):
        list(parse(f"  1 licence\n{good}\nnonsense\n", "n", ["class"] * 45))


def test_nothing_is_shared_between_the_parts(splits: Splits[TextPairSet]) -> None:
    parts = splits.parts()
    assert {name: len(part) for name, part in parts.items()} == {"train": 45267, "validation": 1000, "test": 1000}
    assert "45,267" in facts().counts
    texts = {name: {*part.queries, *part.documents} for name, part in parts.items()}
    synsets = {name: {*part.names} for name, part in parts.items()}
    for of in (texts, synsets):
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            assert not of[one] & of[other]
    for name in ("validation", "test"):
        assert len({*parts[name].groups}) == len({*parts[name].documents}) == 1000


def test_a_word_has_several_examples_to_train_on(splits: Splits[TextPairSet]) -> None:
    assert len({*splits.train.groups}) < len({*splits.train.names}) < len(splits.train)
    assert splits.train.about() == {"pairs": len(splits.train)}


def test_people_find_a_tiger_most_like_a_tiger() -> None:
    simlex, wordsim = load_word_similarity(data_file=wheel(SIMILARITY))
    assert (len(simlex.rated), len(wordsim.rated)) == (999, 353)
    assert wordsim.rated[wordsim.first.index("tiger") + 1] == max(wordsim.rated) == 10
    assert simlex.rated[[*zip(simlex.first, simlex.second, strict=True)].index(("smart", "intelligent"))] == 9.2
    with pytest.raises(DataError, match="line 2 of list"):
        parse_similarity("list", "# words\nold\tnew\n")
    with pytest.raises(DataError, match="not the gensim"):
        load_word_similarity(data_file=Path(__file__))
