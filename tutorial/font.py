"""The font of the formulas: STIX Two Math, cut down to the signs that they need."""

from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO

# A single letter is drawn from the italic letters of mathematics, which have a place of their own.
_ITALIC = {"h": 0x210E} | {chr(ord("A") + i): 0x1D434 + i for i in range(26)}
_ITALIC |= {chr(ord("a") + i): 0x1D44E + i for i in range(26) if i != 7} | {
    chr(0x3B1 + i): 0x1D6FC + i for i in range(25)
}
ALWAYS = "0123456789.,+-\u2212()[]|/=\u221e\u2061"
"""What numbers that change may need, and the brackets around them."""


def math_font(text: str) -> bytes | None:
    """Build the font, as woff2; without the packages that this takes, the page falls back to fonts of the machine.

    Args:
        text: of all formulas.
    """
    try:
        from fontTools.subset import Options, Subsetter  # noqa: PLC0415 (see above)
        from fontTools.ttLib import TTFont  # noqa: PLC0415 (see above)

        # Not by importing it: all that is needed of it is the file.
        font = TTFont(str(distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf")))
    except (ImportError, PackageNotFoundError, OSError):
        return None
    options = Options(flavor="woff2", layout_features=["ssty"], hinting=False, notdef_outline=True)
    options.name_IDs = [0, 13, 14]  # whose it is, and its licence: OFL 1.1
    cutter = Subsetter(options)
    signs = set(text + ALWAYS)
    cutter.populate(unicodes={*map(ord, signs), *(_ITALIC[sign] for sign in signs & _ITALIC.keys())})
    cutter.subset(font)
    made = BytesIO()
    font.flavor = "woff2"
    font.save(made)
    return made.getvalue()
