"""The text tower: the same numbers everywhere, for any script, and nothing of the padding in them."""

import zlib

import pytest
import torch

from info_nce.recipes.ngrams import HashedNgrams, hashes, parts_of


def test_hashes_are_the_checksums_of_words_and_their_parts() -> None:
    words = ["a", "dog’s", "狗", "!"]
    assert hashes("A dog’s 狗!", 1000).tolist() == [
        zlib.crc32(part.encode()) % 1000 + 1 for word in words for part in parts_of(word)
    ]
    assert hashes("a", 2**31)[0] == 0x6FB782AB % 2**31 + 1  # a checksum is the same in every process, unlike hash()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Dogs BARK", "dogs bark"),
        ("ﬁsh", "fish"),
        ("a,b", "a , b"),
        ("snake_case", "snake case"),
        ("Straße", "STRASSE"),
    ],
)
def test_case_and_width_and_underscores_are_nothing(one: str, other: str) -> None:
    assert hashes(one, 10**6).tolist() == hashes(other, 10**6).tolist()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("一只小狗", "小狗"),
        ("わたしは犬", "犬"),
        ("สุนัขเห่า", "สุ"),
        ("собака", "<соб"),
        ("हिन्दी", "<हिन्"),
        ("강아지", "지"),
    ],
)
def test_a_script_without_spaces_is_seen_by_characters(text: str, part: str) -> None:
    assert part in parts_of(text)
    assert zlib.crc32(part.encode()) % 10**6 + 1 in hashes(text, 10**6)
    assert parts_of("a") == ["<a>"]


def test_padding_and_company_change_nothing() -> None:
    torch.manual_seed(0)
    tower = HashedNgrams(8, buckets=500, hidden=16).eval()
    texts = ["a dog", "", "a very much longer text about 狗 and other animals"]
    together = tower(*tower.prepare(texts))
    alone = torch.cat([tower(*tower.prepare([text])) for text in texts])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(tower(*tower.prepare(["dog a"]))[0], together[0])  # no order of words
    with pytest.raises(AssertionError):
        torch.testing.assert_close(together[0], together[2])
    assert tower.prepare([])[0].shape == (0, 1)
    assert tower.features == 8


def test_a_long_text_is_cut_and_hashes_are_dropped_in_training_alone() -> None:
    tower = HashedNgrams(4, buckets=50, hidden=4, longest=7, dropout=0.5)
    (ids,) = tower.prepare(["word " * 1000])
    assert ids.shape == (1, 7)
    outputs = [tower(ids) for _ in range(8)]
    assert len({tuple(output[0].tolist()) for output in outputs}) > 1
    tower.eval()
    torch.testing.assert_close(tower(ids), tower(ids), rtol=0, atol=0)
    tower.train()(torch.zeros(2, 3, dtype=torch.int64)).sum().backward()  # nothing at all is no division by zero
    assert all(bool(p.grad.isfinite().all()) for p in tower.parameters() if p.grad is not None)


def test_a_weight_says_how_much_a_hash_counts() -> None:
    torch.manual_seed(0)
    tower = HashedNgrams(8, buckets=1000, hidden=8).eval()
    both, first = tower.prepare(["a b"])[0], tower.prepare(["a"])[0]
    with torch.no_grad():
        tower.log_weights[both[0, 1]] = -100.0  # of "b"
    torch.testing.assert_close(tower(both), tower(first))


def test_training_and_use_give_the_same_numbers_where_nothing_is_dropped() -> None:
    torch.manual_seed(0)
    tower = HashedNgrams(8, buckets=500, hidden=16)
    with torch.no_grad():
        tower.log_weights.normal_()
    (ids,) = tower.prepare(["a dog", "", "a very much longer text about 狗 and other animals"])
    torch.testing.assert_close(tower.train()(ids), tower.eval()(ids))
    by_hand = tower.vectors(ids[0, : len(hashes("a dog", 500))]).detach()
    weights = tower.log_weights.detach().exp()[ids[0, : len(by_hand)]]
    average = (by_hand * weights[:, None]).sum(0) / weights.sum()
    normed = tower.norm(average)
    torch.testing.assert_close(tower(ids)[0], normed + tower.outer(torch.nn.functional.gelu(tower.inner(normed))))
