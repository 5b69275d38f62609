"""What griffe, which reads the docstrings for the reference, is told of this project's way to write them."""

import re
from typing import Any

from griffe import Extension, Object

__all__ = ["Docstrings"]


class Docstrings(Extension):
    """Examples are code, whatever the heading's number."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rename the heading."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
