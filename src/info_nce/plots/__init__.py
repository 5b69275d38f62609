"""What does the loss do, and what did training do? One function for each figure; each returns a matplotlib `Figure`.

None of them knows pyplot or changes a setting of matplotlib. `save` writes a figure as PNG, SVG or PDF.
"""

from info_nce.plots.bound import gaussian_bound, information_bound
from info_nce.plots.canvas import save
from info_nce.plots.maps import Places, pca, projection, tsne
from info_nce.plots.pairs import similarity_matrix
from info_nce.plots.sharpness import temperature
from info_nce.plots.spectra import spectrum
from info_nce.plots.surface import loss_surface
from info_nce.plots.training import alignment_uniformity, training_curves

__all__ = [
    "Places",
    "alignment_uniformity",
    "gaussian_bound",
    "information_bound",
    "loss_surface",
    "pca",
    "projection",
    "save",
    "similarity_matrix",
    "spectrum",
    "temperature",
    "training_curves",
    "tsne",
]
