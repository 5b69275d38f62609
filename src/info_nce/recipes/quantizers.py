"""Latents to entries of a codebook: what wav2vec 2.0 has its context tell apart."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

# n recordings, t latents, d features, G groups, V entries of a group

# Of the straight pull of latents towards their entries, beside that of the entries towards them.
_COMMITMENT = 0.25


class Gumbel(nn.Module):
    """Each group of the codebook gives the entry that its logits and some noise choose; entries are then joined.

    The noise shrinks from update to update with the temperature, which is a buffer, for a resumed run to go on with it.

    Args:
        features: of a latent.
        outputs: of what is given, a multiple of `groups`.
        groups: codebooks, 2 in the paper.
        entries: of each codebook, 320 in the paper.
        updates: in which the temperature falls from 2 to 0.5; there it stays.

    Source:
        Baevski et al. 2020, arXiv:2006.11477, section 3.2, eq. 1; Jang et al. 2016, arXiv:1611.01144. The temperatures
        are the paper's, the pace is not.
    """

    HIGHEST, LOWEST = 2.0, 0.5
    temperature: Tensor

    def __init__(self, features: int, outputs: int, groups: int, entries: int, updates: int) -> None:
        super().__init__()
        self.logits = nn.Linear(features, groups * entries)
        # The authors' code: uniform entries, and logits that are far enough apart to choose.
        nn.init.normal_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        self.codebook = nn.Parameter(torch.rand(groups, entries, outputs // groups))
        self.decay = (self.LOWEST / self.HIGHEST) ** (1 / max(1, updates))
        self.register_buffer("temperature", torch.tensor(self.HIGHEST))

    def forward(self, latents: Float[Tensor, "n t d"]) -> tuple[Float[Tensor, "n t e"], Tensor, Tensor]:
        """The entries; how much each recording uses each (n G V), without noise; and a penalty (n), here none."""
        logits = self.logits(latents).float().unflatten(2, self.codebook.shape[:2])
        if self.training:
            chosen = functional.gumbel_softmax(logits, float(self.temperature), hard=True)
        else:
            chosen = functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
        quantized = torch.einsum("ntgv,gve->ntge", chosen, self.codebook).flatten(2)
        return quantized, logits.softmax(-1).mean(1), latents.new_zeros(len(latents))

    @torch.no_grad()
    def cool(self) -> None:
        """Shrink the noise, after an update."""
        self.temperature.mul_(self.decay).clamp_(min=self.LOWEST)


class KMeans(nn.Module):
    """Each group of the codebook gives the entry that lies nearest; the gradient passes as if nothing had happened.

    Args:
        features: of a latent.
        outputs: of what is given, a multiple of `groups`.
        groups: codebooks.
        entries: of each codebook.

    Source:
        Baevski, Schneider, Auli 2019, "vq-wav2vec", arXiv:1910.05453, section 3.2, eq. 3, with its weight 0.25.
    """

    def __init__(self, features: int, outputs: int, groups: int, entries: int) -> None:
        super().__init__()
        self.projection = nn.Linear(features, outputs)
        self.codebook = nn.Parameter(torch.randn(groups, entries, outputs // groups) / 2)

    def forward(self, latents: Float[Tensor, "n t d"]) -> tuple[Float[Tensor, "n t e"], Tensor, Tensor]:
        """The entries; how much each recording uses each (n G V); and how far latents are from them (n)."""
        groups, entries, size = self.codebook.shape
        points = self.projection(latents).float().unflatten(2, (groups, size))
        distances = torch.cdist(points.detach().transpose(1, 2), self.codebook.detach())  # n G t V
        nearest = functional.one_hot(distances.argmin(-1), entries).to(points.dtype).transpose(1, 2)
        chosen = torch.einsum("ntgv,gve->ntge", nearest, self.codebook)
        pulls = (chosen - points.detach()).square() + _COMMITMENT * (points - chosen.detach()).square()
        straight = points + (chosen - points).detach()
        return straight.flatten(2), nearest.mean(1), pulls.mean((1, 2, 3))

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
