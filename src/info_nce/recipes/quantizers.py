"""Frames to entries of a codebook: what wav2vec 2.0 has its context tell apart."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

# n recordings, t moments, f features of a frame, G groups, V entries of a group

# Of the first logits, for log-mel frames, whose deviation is about 2.
_SPREAD = 1.5
# Of Lloyd's algorithm: targets to tell apart are wanted, not the best clustering.
_ROUNDS = 30


class Gumbel(nn.Module):
    """Each group of the codebook gives the entry that its logits and some noise choose; entries are then joined.

    The noise shrinks from update to update with the temperature, which is a buffer, for a resumed run to go on with it.

    Args:
        features: of a frame.
        outputs: of what is given, a multiple of `groups`.
        groups: codebooks, 2 in the paper.
        entries: of each codebook, 320 in the paper.
        updates: in which the temperature falls from 2 to 0.5; there it stays.

    Source:
        Baevski et al. 2020, arXiv:2006.11477, section 3.2, eq. 1; Jang et al. 2016, arXiv:1611.01144. The temperatures
        are the paper's, the pace is not; and what is quantized there are latents, which are learned.
    """

    HIGHEST, LOWEST = 2.0, 0.5
    temperature: Tensor

    def __init__(self, features: int, outputs: int, groups: int, entries: int, updates: int) -> None:
        super().__init__()
        self.logits = nn.Linear(features, groups * entries)
        # As in the authors' code: uniform entries, and logits that are far enough apart to choose.
        nn.init.normal_(self.logits.weight, std=_SPREAD / math.sqrt(features))
        nn.init.zeros_(self.logits.bias)
        self.codebook = nn.Parameter(torch.rand(groups, entries, outputs // groups))
        self.decay = (self.LOWEST / self.HIGHEST) ** (1 / max(1, updates))
        self.register_buffer("temperature", torch.tensor(self.HIGHEST))

    def forward(self, frames: Float[Tensor, "n t f"]) -> tuple[Float[Tensor, "n t e"], Float[Tensor, "n g v"]]:
        """The entries, and how much each recording uses each, without noise."""
        logits = self.logits(frames).float().unflatten(2, self.codebook.shape[:2])
        if self.training:
            chosen = functional.gumbel_softmax(logits, float(self.temperature), hard=True)
        else:
            chosen = functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
        quantized = torch.einsum("ntgv,gve->ntge", chosen, self.codebook).flatten(2)
        return quantized, logits.softmax(-1).mean(1)

    @torch.no_grad()
    def cool(self) -> None:
        """Shrink the noise, after an update."""
        self.temperature.mul_(self.decay).clamp_(min=self.LOWEST)


class KMeans(nn.Module):
    """Each group of the codebook gives the entry of the nearest centre, of those found once before the first step.

    A group looks at its own equal part of a frame's features, as in product quantization.

    Args:
        features: of a frame, a multiple of `groups`.
        outputs: of what is given, a multiple of `groups`.
        groups: codebooks.
        entries: of each, with as many centres; random ones until `fit` has found better.

    Source:
        Hsu et al. 2021, "HuBERT", arXiv:2106.07447, section II.A: k-means of acoustic features as targets. Differs from
        it: the entries, which the contrast compares, are learned; there is no second round on what was learned; groups
        as in Jegou, Douze, Schmid 2011, "Product quantization for nearest neighbor search", section II.B.
    """

    centres: Tensor

    def __init__(self, features: int, outputs: int, groups: int, entries: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.randn(groups, entries, features // groups))
        self.codebook = nn.Parameter(torch.rand(groups, entries, outputs // groups))

    def forward(self, frames: Float[Tensor, "n t f"]) -> tuple[Float[Tensor, "n t e"], Float[Tensor, "n g v"]]:
        """The entries, and how much each recording uses each."""
        groups, entries, size = self.centres.shape
        with torch.no_grad():
            parts = frames.float().reshape(*frames.shape[:2], groups, size).transpose(1, 2)  # n g t f
            nearest = torch.cdist(parts, self.centres).argmin(-1)
        chosen = [entry[place] for entry, place in zip(self.codebook, nearest.unbind(1), strict=True)]
        return torch.cat(chosen, dim=-1), functional.one_hot(nearest, entries).float().mean(2)

    @torch.no_grad()
    def fit(self, frames: Float[Tensor, "m f"], seed: int) -> None:
        """Find the centres.

        Args:
            frames: at least as many as there are centres.
            seed: of the first guess; the same frames and seed give the same centres.
        """
        from sklearn.cluster import KMeans as Clusters  # noqa: PLC0415 (it takes seconds)

        groups, entries, _ = self.centres.shape
        for centres, part in zip(self.centres, frames.float().cpu().chunk(groups, 1), strict=True):
            found = Clusters(entries, n_init=1, max_iter=_ROUNDS, random_state=seed % 2**32).fit(part.numpy())
            centres.copy_(torch.from_numpy(found.cluster_centers_))

    def cool(self) -> None:
        """Nothing shrinks here."""


def disuse(usage: Float[Tensor, "n g v"]) -> Float[Tensor, ""]:
    r"""Which share of the codebook lies idle?

    $$ L_d = 1 - \frac{1}{G V} \sum_g e^{H(\bar p_g)} $$

    Args:
        usage: how much each recording uses each entry; averaged over recordings here.

    Returns:
        0 = all entries are used alike; nearly 1 = one of each group is all that is used.

    Source:
        Baevski et al. 2020, arXiv:2006.11477, eq. 4. Differs from the equation, as the authors' code does: the
        exponential of the entropy, which does not fade where the codebook is large.
    """
    mean = usage.float().mean(0)
    perplexity = torch.special.entr(mean).sum(-1).exp()
    idle: Tensor = 1 - perplexity.sum() / mean.numel()
    return idle
