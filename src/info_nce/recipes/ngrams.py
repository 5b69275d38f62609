"""A text tower that needs no vocabulary: hashed words and parts of words, averaged, and a small network on top."""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

# n texts, l hashes of the longest, d features

# Marks that a letter carries, such as the vowels of Hindi and Thai, which Python's word characters leave out.
_MARKS = "".join(c for c in map(chr, range(0x300, 0x10000)) if unicodedata.category(c).startswith("M"))
_LETTERS = rf"(?:[^\W_][{_MARKS}]*)+"
_WORD = re.compile(rf"{_LETTERS}(?:['’]{_LETTERS})*|[^\w\s]")
# Scripts that put no spaces between words (Thai to Burmese, Khmer, kana, Han) or write a syllable as a letter (Hangul):
# there, one or two characters say as much as a Latin word does.
_DENSE = re.compile("[\u0e00-\u109f\u1780-\u17ff\u3040-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_SHORTEST, _LONGEST = 3, 5


class HashedNgrams(nn.Module):
    """Texts of any script to embeddings, by the words and the parts of words that they hold.

    No order beyond that within a word; no vocabulary, so that a word never seen shares its parts with those seen. Each
    hash has a vector and a weight: how much it says, whatever it says, is learned apart.

    Args:
        features: of the embedding. More of them keep more parts apart before anything is learned.
        buckets: into how many a hash falls; two parts in one bucket cannot be told apart.
        hidden: of the network on top.
        longest: hashes that are kept of a text, in its order: some hundred words.
        dropout: the share of a text's hashes that are left out while training.

    Example:
        >>> tower = HashedNgrams(8, buckets=64)
        >>> tower(*tower.prepare(["a small dog", "一只小狗"])).shape
        torch.Size([2, 8])

    Source:
        Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information", arXiv:1607.04606, section 3.2.
        Differs from the paper: no skip-gram; weights; words fall into the same buckets as their parts; CRC-32 hashes.
    """

    def __init__(
        self,
        features: int = 256,
        *,
        buckets: int = 1 << 15,
        hidden: int = 512,
        longest: int = 2048,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.features, self.buckets, self.longest, self.dropout = features, buckets, longest, dropout
        self.vectors = nn.Embedding(buckets + 1, features, padding_idx=0)
        self.log_weights = nn.Parameter(torch.zeros(buckets + 1))
        self.norm = nn.LayerNorm(features)
        self.inner, self.outer = nn.Linear(features, hidden), nn.Linear(hidden, features)

    def prepare(self, texts: Sequence[str]) -> tuple[Int64[Tensor, "n l"]]:
        """Hash texts, the same in every process and on every machine; 0 fills up.

        Args:
            texts: any number; an empty one has no hash, and its embedding is that of nothing at all.
        """
        rows = [hashes(text, self.buckets)[: self.longest] for text in texts]
        ids = np.zeros((len(rows), max([1, *map(len, rows)])), dtype=np.int64)
        for filled, row in zip(ids, rows, strict=True):
            filled[: len(row)] = row
        return (torch.from_numpy(ids),)

    def forward(self, ids: Int64[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """Average the hashes' vectors, then correct the average by a network."""
        kept = ids > 0
        if self.training and self.dropout:
            kept = kept & (torch.rand(ids.shape, device=ids.device) >= self.dropout)
        weights = functional.embedding(ids, self.log_weights[:, None]).squeeze(-1).exp().masked_fill(~kept, 0)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)  # a text without any has the average 0
        normed = self.norm(self._summed(ids, weights, kept))
        output: Tensor = normed + self.outer(functional.gelu(self.inner(normed)))
        return output

    def _summed(self, ids: Tensor, weights: Tensor, kept: Tensor) -> Float[Tensor, "n d"]:
        if not self.training:
            return functional.embedding_bag(ids, self.vectors.weight, mode="sum", per_sample_weights=weights)
        # The same without what is left out: most of a batch is padding. Its size depends on the numbers, which no
        # exported graph could follow.
        counts = kept.sum(1)
        return functional.embedding_bag(
            ids[kept], self.vectors.weight, counts.cumsum(0) - counts, mode="sum", per_sample_weights=weights[kept]
        )


def hashes(text: str, buckets: int) -> Int64[np.ndarray, " l"]:
    """Hash the words of a text, and their parts, to 1 ... buckets."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    parts = [_of_word(word, buckets) for word in words]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


@lru_cache(maxsize=1 << 17)  # words repeat: most texts are looked up and not hashed
def _of_word(word: str, buckets: int) -> Int64[np.ndarray, " l"]:
    return np.array([zlib.crc32(part.encode()) % buckets + 1 for part in parts_of(word)], dtype=np.int64)


def parts_of(word: str) -> list[str]:
    """A word with its ends marked, and its runs of 3 to 5 characters; of 1 and 2 where a character is a syllable.

    Example:
        >>> parts_of("dog")
        ['<dog>', '<do', 'dog', 'og>', '<dog', 'dog>']
    """
    marked = f"<{word}>"
    lengths = range(_SHORTEST, min(_LONGEST, len(marked) - 1) + 1)
    dense = [
        word[i : i + n] for n in (1, 2) for i in range(len(word) - n + 1) if all(map(_DENSE.match, word[i : i + n]))
    ]
    return [marked, *dense, *(marked[i : i + n] for n in lengths for i in range(len(marked) - n + 1))]
