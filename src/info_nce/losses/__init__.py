"""The faces: what people call. Compositions of pairing, scores, an objective and an engine, without mathematics."""

from info_nce.losses.cpc import CPC, cpc
from info_nce.losses.debiased import (
    DebiasedInfoNCE,
    HardNegativeInfoNCE,
    debiased_info_nce,
    hard_negative_info_nce,
)
from info_nce.losses.decoupled import DCL, DCLW, dcl, dclw
from info_nce.losses.face import Face
from info_nce.losses.info_nce import InfoNCE, info_nce
from info_nce.losses.matryoshka import Matryoshka
from info_nce.losses.moco import MoCo, moco
from info_nce.losses.nce import NCE, nce
from info_nce.losses.nt_xent import NTXent, nt_xent
from info_nce.losses.options import Options
from info_nce.losses.retrieval import RetrievalInfoNCE, retrieval_info_nce
from info_nce.losses.robust import RobustInfoNCE, robust_info_nce
from info_nce.losses.sigmoid import SigLIP, sigmoid_loss
from info_nce.losses.sup_con import SupCon, sup_con, without_positive
from info_nce.losses.symmetric import CLIPLoss, SymmetricInfoNCE, symmetric_info_nce
from info_nce.losses.wav2vec2 import Wav2Vec2Contrastive, draw_distractors, wav2vec2_contrastive

__all__ = [
    "CPC",
    "DCL",
    "DCLW",
    "NCE",
    "CLIPLoss",
    "DebiasedInfoNCE",
    "Face",
    "HardNegativeInfoNCE",
    "InfoNCE",
    "Matryoshka",
    "MoCo",
    "NTXent",
    "Options",
    "RetrievalInfoNCE",
    "RobustInfoNCE",
    "SigLIP",
    "SupCon",
    "SymmetricInfoNCE",
    "Wav2Vec2Contrastive",
    "cpc",
    "dcl",
    "dclw",
    "debiased_info_nce",
    "draw_distractors",
    "hard_negative_info_nce",
    "info_nce",
    "moco",
    "nce",
    "nt_xent",
    "retrieval_info_nce",
    "robust_info_nce",
    "sigmoid_loss",
    "sup_con",
    "symmetric_info_nce",
    "wav2vec2_contrastive",
    "without_positive",
]
