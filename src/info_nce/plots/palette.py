"""Colours that stay apart for colour-blind eyes. Never colour alone: each has a marker, a dash or a word beside it.

Source:
    Okabe and Ito 2008, "Color Universal Design".
"""

INK, MUTED, LINE, PAPER = "#1b1f24", "#4a525c", "#d8d6cf", "#fbfaf7"
BLUE, GREY, VERMILION = "#0072b2", "#6e6e73", "#d55e00"
POSITIVE, NEGATIVE = "#007f6e", "#a8201a"

# A page may set the colours above anew for its dark scheme. Those of classes are part of pictures, too, and stay: so
# none of them equals one above.
OF_CLASSES = ("#0072b3", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e01", "#b3a100")


def class_colour(kind: int) -> str:
    """Choose the colour of a class; they come round again, then with another marker."""
    return OF_CLASSES[kind % len(OF_CLASSES)]


def class_marker(kind: int) -> str:
    """Choose the marker of a class."""
    return "osD^"[kind // len(OF_CLASSES) % 4]
