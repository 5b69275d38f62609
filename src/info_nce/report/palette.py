"""Colours that stay apart for colour-blind eyes, each with a name that the page's style sheet knows.

Figures are drawn in the colours of the light scheme; inside the page each becomes a variable, which the dark scheme
sets anew. Never colour alone: each kind of feature has a marker of its own, each answer a sign.

Source:
    Okabe and Ito 2008, "Color Universal Design".
"""

from info_nce.evaluation.results import RAW
from info_nce.evaluation.scorecard import CHANCE, TRAINED, UNTRAINED

INK, MUTED, LINE, PAPER = "#1b1f24", "#4a525c", "#d8d6cf", "#fbfaf7"
OF_FEATURES = {TRAINED: "#0072b2", UNTRAINED: "#6e6e73", RAW: "#d55e00", CHANCE: MUTED}
MARKERS = {TRAINED: "o", UNTRAINED: "D", RAW: "s", CHANCE: "x"}

VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    PAPER: "--paper",
    OF_FEATURES[TRAINED]: "--trained",
    OF_FEATURES[UNTRAINED]: "--untrained",
    OF_FEATURES[RAW]: "--raw",
}

# The same in both schemes, as they are part of pictures too; so none of them may equal a colour above.
OF_CLASSES = ("#0072b3", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e01", "#b3a100")
