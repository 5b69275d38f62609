"""An explorable explanation of InfoNCE, served to this machine's browser; it needs no extra.

Its pages are built from the repository's folder `tutorial/` when the package is, and lie beside this file.
"""

from info_nce.tutorial.built import LANGUAGES, export, pages
from info_nce.tutorial.server import PORT, serve

__all__ = ["LANGUAGES", "PORT", "export", "pages", "serve"]
