"""InfoNCE and its family, exact at any batch size.

A contrastive loss is a cheap formula of a few row statistics of a score matrix that need never exist.
"""

from info_nce import engines, functional, objectives, similarity
from info_nce.contrast import contrast
from info_nce.gradcache import cached_step
from info_nce.losses import (
    CPC,
    DCL,
    DCLW,
    NCE,
    CLIPLoss,
    DebiasedInfoNCE,
    HardNegativeInfoNCE,
    InfoNCE,
    Matryoshka,
    MoCo,
    NTXent,
    RetrievalInfoNCE,
    RobustInfoNCE,
    SigLIP,
    SupCon,
    SymmetricInfoNCE,
    Wav2Vec2Contrastive,
    info_nce,
)
from info_nce.queue import KeyQueue, MomentumEncoder
from info_nce.views import views_from_interleaved, views_from_stacked

__version__ = "0.1.0"

__all__ = [
    "CPC",
    "DCL",
    "DCLW",
    "NCE",
    "CLIPLoss",
    "DebiasedInfoNCE",
    "HardNegativeInfoNCE",
    "InfoNCE",
    "KeyQueue",
    "Matryoshka",
    "MoCo",
    "MomentumEncoder",
    "NTXent",
    "RetrievalInfoNCE",
    "RobustInfoNCE",
    "SigLIP",
    "SupCon",
    "SymmetricInfoNCE",
    "Wav2Vec2Contrastive",
    "cached_step",
    "contrast",
    "engines",
    "functional",
    "info_nce",
    "objectives",
    "similarity",
    "views_from_interleaved",
    "views_from_stacked",
]
