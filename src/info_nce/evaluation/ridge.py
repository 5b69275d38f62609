"""What a closed form reaches: a picture's colours and edges, mapped linearly to the words of its caption."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

# n pictures or texts, f features of a picture, v words

STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""Times the number of pictures, as features and words are about of unit length."""
_LEVELS, _THUMBNAIL, _CELLS, _ANGLES = 4, 8, 6, 8
_AT_ONCE = 512


def kinds_of_features(images: UInt8[Tensor, "n c h w"]) -> list[Float[Tensor, "n _"]]:
    """Colours, places and edges: three descriptions of a picture that need no training.

    Returns:
        The histogram of colours in 4 levels for each channel (its square root, after Hellinger's distance); a
        thumbnail of 8 x 8; and histograms of oriented gradients, 8 angles in 6 x 6 cells, each brought to unit length.

    Source:
        Dalal and Triggs 2005, "Histograms of Oriented Gradients for Human Detection", section 6. Differs from the
        paper: no overlapping blocks, and every pixel votes for one angle.
    """
    parts = zip(*(_of_batch(batch.float() / 255) for batch in torch.split(images, _AT_ONCE)), strict=True)
    return [torch.cat(part) for part in parts]


def _of_batch(x: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor, Tensor]:
    x = x.expand(-1, 3, -1, -1)
    level = (x * _LEVELS).long().clamp(max=_LEVELS - 1)
    code = (level[:, 0] * _LEVELS + level[:, 1]) * _LEVELS + level[:, 2]
    votes = torch.ones(len(x), code[0].numel())
    colours = torch.zeros(len(x), _LEVELS**3).scatter_add_(1, code.flatten(1), votes / code[0].numel()).sqrt()
    grey = (x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    angle = (torch.atan2(down, across) % math.pi * (_ANGLES / math.pi)).long().clamp(max=_ANGLES - 1)
    edges = torch.zeros(len(x), _ANGLES, *grey.shape[2:]).scatter_(1, angle, (across**2 + down**2).sqrt())
    cells = functional.adaptive_avg_pool2d(edges, _CELLS)
    cells = cells / (cells.square().sum(dim=1, keepdim=True).sqrt() + 0.05)
    return colours, functional.adaptive_avg_pool2d(x, _THUMBNAIL).flatten(1), cells.flatten(1)


class BagOfWords:
    """Texts as the words they hold, rare words weighing more, less what all texts have in common.

    Args:
        texts: whose words are known; others count for nothing.

    Example:
        >>> BagOfWords(["a dog", "a cat"])(["the dog"]).shape
        torch.Size([1, 3])
    """

    def __init__(self, texts: Sequence[str]) -> None:
        seen = Counter(word for text in texts for word in sorted(_words(text)))
        self.place = {word: place for place, word in enumerate(seen)}
        self.weight = torch.tensor([math.log(len(texts) / count) for count in seen.values()])
        self.centre = torch.zeros(len(seen))
        self.centre = self(texts).mean(dim=0)

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "n v"]:
        """Unit length before the mean of the known texts is taken off."""
        counts = torch.zeros(len(texts), len(self.place))
        for row, text in enumerate(texts):
            for word in _words(text) & self.place.keys():
                counts[row, self.place[word]] = 1
        return functional.normalize(counts * self.weight, dim=1) - self.centre


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Pictures to bags of words, linearly.

    Args:
        words: what texts become.
        strength: of the shrinkage.
        centres: the mean of each kind of features, in training.
        lengths: their typical length.
        weights: from features to words.
    """

    words: BagOfWords
    strength: float
    centres: tuple[Tensor, ...]
    lengths: tuple[Tensor, ...]
    weights: Float[Tensor, "f v"]

    def images(self, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n v"]:
        """Which words a caption of each picture would hold."""
        return _joined(kinds_of_features(images), self.centres, self.lengths) @ self.weights

    def texts(self, texts: Sequence[str]) -> Float[Tensor, "n v"]:
        """Which words each text holds."""
        return self.words(texts)


def fit_ridge(images: UInt8[Tensor, "n c h w"], captions: Sequence[str], strength: float) -> Ridge:
    """Solve for the linear map with the smallest squared error, and a penalty on its size.

    Source:
        Hoerl and Kennard 1970, "Ridge Regression", in its dual form: as many equations as pictures.
    """
    words, kinds = BagOfWords(captions), kinds_of_features(images)
    centres = tuple(kind.mean(dim=0) for kind in kinds)
    lengths = tuple(
        (kind - at).square().sum(dim=1).mean().sqrt().clamp(min=1e-6) for kind, at in zip(kinds, centres, strict=True)
    )
    features = _joined(kinds, centres, lengths).double()
    gram = features @ features.T + strength * len(features) * torch.eye(len(features), dtype=torch.float64)
    weights = features.T @ torch.linalg.solve(gram, words(captions).double())
    return Ridge(words, strength, centres, lengths, weights.float())


def _joined(kinds: Sequence[Tensor], centres: Sequence[Tensor], lengths: Sequence[Tensor]) -> Float[Tensor, "n f"]:
    return torch.cat([(kind - at) / by for kind, at, by in zip(kinds, centres, lengths, strict=True)], dim=1)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
