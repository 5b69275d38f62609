"""What a query pays: one small file per formula."""

from info_nce.objectives.base import Objective
from info_nce.objectives.debiased import Debiased
from info_nce.objectives.decoupled import Decoupled
from info_nce.objectives.robust import Robust
from info_nce.objectives.sigmoid import Sigmoid
from info_nce.objectives.softmax import Softmax, SoftmaxInside

__all__ = ["Debiased", "Decoupled", "Objective", "Robust", "Sigmoid", "Softmax", "SoftmaxInside"]
