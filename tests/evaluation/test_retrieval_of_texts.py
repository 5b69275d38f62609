"""What is said of text embeddings, against what can be counted by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from info_nce.data.pairs import TextPairSet
from info_nce.data.word_similarity import WordPairs
from info_nce.errors import DataError, RunError
from info_nce.evaluation import texts
from info_nce.evaluation.retrieval import Ranks, ranks_among, ranks_of
from info_nce.evaluation.scorecard import CHANCE, TRAINED, UNTRAINED
from info_nce.evaluation.texts import (
    CHARACTERS,
    HEADLINE,
    SHARES,
    SUM,
    WORDS,
    Task,
    agreement,
    chance_reciprocal_rank,
    choose_share,
    evaluate_texts,
    mean_reciprocal_rank,
    summed,
    tf_idf,
)
from info_nce.recipes.runs import load_run
from info_nce.recipes.text import TextPairs
from info_nce.recipes.train import train
from tests.texts import pairs, write_csv


def some(count: int, groups: tuple[int, ...] = ()) -> TextPairSet:
    queries, documents = zip(*pairs(count), strict=True)
    return TextPairSet("some", queries, documents, groups or tuple(range(count)), tuple(map(str, range(count))))


def test_a_run_on_the_users_own_pairs_is_scored_beside_every_baseline(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "pairs.csv", ("query", "document"), pairs(60))
    recipe = TextPairs(data=str(data), steps=3, batch_size=8, features=8, buckets=64, threads=1)
    assert train(recipe, tmp_path / "run", Console(quiet=True))
    card = load_run(tmp_path / "run").recipe.evaluate(load_run(tmp_path / "run"))
    assert card.systems() == [CHANCE, WORDS, CHARACTERS, UNTRAINED, TRAINED, SUM]
    assert card.measures() == ["R@1 query to document", HEADLINE, "MRR query to document"]
    assert card.counts == {"train": 48, "validation": 6, "test": 6}
    for system in card.systems():
        score = card.find(system, "R@1 query to document")
        assert score is not None
        assert system == CHANCE or math.isclose(score.value * 6, round(score.value * 6))
        assert card.find(system, HEADLINE).value == 1  # type: ignore[union-attr]  # ten of six are all
    assert card.find(CHANCE, "R@1 query to document").value == pytest.approx(1 / 6)  # type: ignore[union-attr]  # it is there
    assert card.find(CHANCE, "MRR query to document").value == pytest.approx(sum(1 / k for k in range(1, 7)) / 6)  # type: ignore[union-attr]  # as above
    assert any("only 6 pairs" in note for note in card.notes)
    assert "of the sum" in card.find(SUM, HEADLINE).setting  # type: ignore[union-attr]  # as above
    card.save(tmp_path)


def test_each_text_is_asked_for_once_and_all_of_a_group_are_right() -> None:
    part = some(4, groups=(0, 0, 1, 2))
    part = replace(part, documents=(part.documents[0], part.documents[0], *part.documents[2:]))
    task = Task.of(part)
    assert (len(task.queries), len(task.documents)) == (4, 3)
    assert task.is_right.tolist() == [
        [True, False, False],
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_those_of_a_sorted_list_with_ties_in_the_middle(seed: int) -> None:
    torch.manual_seed(seed)
    similarity = torch.randint(0, 4, (9, 12)).float()
    is_right = torch.rand(9, 12) < 0.2
    is_right[:, 0] = True
    found = ranks_among(similarity, is_right)
    random = np.random.default_rng(seed)
    for row, right, rank in zip(similarity.numpy(), is_right.numpy(), found.ranks.tolist(), strict=True):
        draws = []
        for _ in range(2000):
            order = np.lexsort((random.random(12), -row))
            draws.append(1 + int(np.argmax(right[order])))
        assert rank == pytest.approx(np.mean(draws), abs=0.15)
    query, document = torch.randn(9, 4), torch.randn(12, 4)
    cosines = torch.nn.functional.cosine_similarity(query[:, None], document[None], dim=2)
    tags = torch.arange(12) % 9
    same = ranks_of(query, document, torch.arange(9), tags)
    torch.testing.assert_close(ranks_among(cosines, torch.arange(9)[:, None] == tags).ranks, same.ranks)


def test_a_similarity_that_is_no_number_is_refused() -> None:
    with pytest.raises(RunError, match="infinity or NaN"):
        ranks_among(torch.tensor([[torch.nan]]), torch.tensor([[True]]))
    with pytest.raises(RunError, match="without a right answer"):
        ranks_among(torch.tensor([[1.0]]), torch.tensor([[False]]))


def test_the_reciprocal_rank_of_guessing_is_what_guessing_reaches() -> None:
    right = torch.tensor([1, 1, 3, 12])
    random = np.random.default_rng(0)
    draws = [1 / (1 + min(random.permutation(12)[:n])) for n in right.tolist() for _ in range(20_000)]
    assert chance_reciprocal_rank(Ranks(torch.ones(4), right, 12)) == pytest.approx(np.mean(draws), abs=0.005)
    value, error = mean_reciprocal_rank(Ranks(torch.tensor([1.0, 2.0, 4.0]), torch.ones(3).long(), 12))
    assert value == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert error == pytest.approx(np.std([1, 0.5, 0.25], ddof=1) / math.sqrt(3))


def test_tf_idf_finds_a_document_with_a_rare_word_of_the_query() -> None:
    part = some(30)
    compare = tf_idf(part, "word", (1, 1))
    rare = compare(["in a zymurgical way"], ["said in a way", "zymurgical"])
    assert rare.shape == (1, 2)
    train_part = replace(part, documents=(*part.documents[:-1], "zymurgical zymurgy"))
    rare = tf_idf(train_part, "word", (1, 1))(["in a zymurgical way"], ["in it all", "zymurgical it all", "nothing"])
    assert rare[0, 1] > rare[0, 0] > rare[0, 2] == 0
    assert tf_idf(part, "char_wb", (2, 4))(["quickly"], ["quicker", "slowly"])[0].argmax() == 0


def test_the_share_is_the_one_that_validation_likes_best() -> None:
    task = Task.of(some(30))
    good, bad = torch.eye(30) * 0.3, torch.rand(30, 30, generator=torch.Generator().manual_seed(0))

    def known(matrix: Tensor) -> texts.Compare:
        return lambda queries, documents: matrix[: len(queries), : len(documents)]

    # .3 s beats the largest of nearly (1 - s) from 1 / 1.3 on, and of equally good shares the first is taken
    assert choose_share(task, known(bad), known(good)) == 0.8
    assert choose_share(task, known(good), known(bad)) == SHARES[0]
    mixed = summed(known(good), known(bad), 0.25)(task.queries, task.documents)
    torch.testing.assert_close(mixed, 0.75 * good + 0.25 * bad)


def test_agreement_is_that_of_ranks() -> None:
    words = WordPairs("list", ("a", "b", "c", "d", "e"), ("f",) * 5, (1.0, 2.0, 3.0, 4.0, 5.0))
    angle = {"a": 1.5, "b": 1.2, "c": 0.9, "d": 0.5, "e": 0.7, "f": 0.0}

    def embed(items: list[str]) -> Tensor:
        return torch.tensor([[math.cos(angle[w]), math.sin(angle[w])] for w in items])

    rho, error = agreement(embed, words)
    assert rho == pytest.approx(1 - 6 * 2 / (5 * 24))  # one exchange of neighbours
    assert 0 < error < 1


def test_without_the_lists_of_words_the_rest_is_scored_and_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_csv(tmp_path / "pairs.csv", ("query", "document"), pairs(40))
    recipe = TextPairs(data=str(data), steps=2, batch_size=8, features=8, buckets=64, threads=1)
    assert train(recipe, tmp_path / "run", Console(quiet=True))
    run = load_run(tmp_path / "run")

    def offline(**_: object) -> list[WordPairs]:
        raise DataError("gensim==4.4.0 could not be fetched.", got="", expected="", advice="")

    monkeypatch.setattr(texts, "load_word_similarity", offline)
    embedders = {name: run.embedders()["text"] for name in (UNTRAINED, TRAINED)}
    assert texts._people(run, embedders) == (
        [],
        "Not compared with people's judgements of words: gensim==4.4.0 could not be fetched.",
    )
    words = WordPairs("list", ("dog", "cat", "a", "b", "c"), ("cat", "cow", "b", "c", "d"), (1, 2, 3, 4, 5))
    monkeypatch.setattr(texts, "load_word_similarity", lambda **_: [words])
    scores, note = texts._people(run, embedders)
    assert [(s.system, s.measure, s.unit) for s in scores] == [
        (system, "list, Spearman", "correlation") for system in (UNTRAINED, TRAINED)
    ]
    assert "never trained on" in note
    assert evaluate_texts(run).find(TRAINED, "list, Spearman") is None  # the words are English, the data anybody's
