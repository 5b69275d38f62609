"""The names by which the page's style sheet knows the colours of the figures.

Figures are drawn in the colours of the light scheme; inside the page each becomes a variable, which the dark scheme
sets anew.
"""

from info_nce.plots.palette import BLUE, GREY, INK, LINE, MUTED, PAPER, VERMILION

VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    PAPER: "--paper",
    BLUE: "--trained",
    GREY: "--untrained",
    VERMILION: "--raw",
}
