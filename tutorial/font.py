"""The font of the formulas: STIX Two Math, cut down to the signs that they need."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO

SIGNS = (
    *(range(0x20, 0x7F), range(0xA0, 0x100), range(0x391, 0x3CA)),  # Latin, Greek
    *(
        range(0x1D434, 0x1D468),
        range(0x210E, 0x210F),
        range(0x1D6FC, 0x1D716),
        range(0x1D49C, 0x1D4B6),
    ),  # italic, script
    *(range(0x2010, 0x2027), range(0x2032, 0x2034), range(0x2061, 0x2065), range(0x2190, 0x2194)),
    *(range(0x2200, 0x2228), range(0x2248, 0x2249), range(0x2260, 0x2266), range(0x22C5, 0x22C6)),  # operators
    *(range(0x2713, 0x2714), range(0x27E8, 0x27EA)),
)
"""Ranges of characters."""


def math_font(signs: Iterable[range] = SIGNS) -> bytes | None:
    """Build the font, as woff2; without the packages that this takes, the page falls back to fonts of the machine."""
    try:
        from fontTools.subset import Options, Subsetter  # noqa: PLC0415 (see above)
        from fontTools.ttLib import TTFont  # noqa: PLC0415 (see above)

        # Not by importing it: all that is needed of it is the file.
        font = TTFont(str(distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf")))
    except (ImportError, PackageNotFoundError, OSError):
        return None
    options = Options(flavor="woff2", layout_features=["*"], drop_tables=["DSIG"], notdef_outline=True)
    options.name_IDs = [0, 13, 14]  # whose it is, and its licence: OFL 1.1
    cutter = Subsetter(options)
    cutter.populate(unicodes=[code for part in signs for code in part])
    cutter.subset(font)
    made = BytesIO()
    font.flavor = "woff2"
    font.save(made)
    return made.getvalue()
