"""Animal silhouettes: small, balanced, and fair to begin with; full of near-duplicates, so mind how it is scored."""

import gzip
import importlib
import io
import pickle
import re
from pathlib import Path

import numpy as np
import torch

from info_nce.data.images import ImageSet, first_of_each, split
from info_nce.data.splits import Facts, Splits
from info_nce.data.wheels import Wheel, locate, read_member
from info_nce.errors import DataError

WHEEL = Wheel(
    package="animal-mnist",
    version="0.4",
    file_name="animal_mnist-0.4-py3-none-any.whl",
    sha256="aeebf3d9de4552d6fd2d5701424e1a5b9020f8e5115d68df9db252f2f53ce2ce",
)
CLASS_NAMES = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
_NEAR_DUPLICATES = (
    "Most test pictures have a near-duplicate among the training pictures: read the FAR rows (no training picture "
    "at a raw-pixel cosine of .9 or more) before the others."
)
_FOLDER = "animal_mnist/data/Animal_MNIST"


class ArraysOnly(pickle.Unpickler):
    """A pickle may name any function of the machine and have it called; this one knows NumPy's arrays and no more."""

    ALLOWED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
        }
    )

    def find_class(self, module: str, name: str) -> object:
        """Refuse everything that an array does not need."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no array needs")
        # NumPy 2 renamed `numpy.core`; the file was written before
        core = "numpy._core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core"
        return getattr(importlib.import_module(re.sub(r"^numpy\._?core", core, module)), name)


def read_array(content: bytes, source: str) -> np.ndarray:
    """Read a gzipped pickle of one array, and nothing else.

    Raises:
        DataError: it is damaged, or asks for more than an array.
    """
    try:
        return np.asarray(ArraysOnly(io.BytesIO(gzip.decompress(content))).load())
    except (pickle.UnpicklingError, OSError, EOFError, ValueError, TypeError) as error:
        raise DataError(
            f"{source} is not a gzipped NumPy array.",
            got=error,
            expected="a pickle that names NumPy's array functions only",
            advice=f"fetch {WHEEL.requirement} anew",
        ) from error


def load_animals(*, data_file: str | Path | None = None, cache: Path | None = None) -> Splits[ImageSet]:
    """Load 10,000 animal silhouettes of 28 x 28 pixels, without exact duplicates, in three fixed parts.

    Args:
        data_file: the wheel, if it is at hand already.
        cache: where the fetched wheel is kept.

    Returns:
        The parts, the same at every call.

    Raises:
        DataError: the wheel cannot be fetched or is not the pinned one.

    Source:
        PyPI `animal-mnist` 0.4.
    """
    path = locate(WHEEL, data_file=data_file, cache=cache)
    pixels, labels = (
        read_array(read_member(path, f"{_FOLDER}/animal_{kind}_version_3.gz"), f"{path.name}: animal_{kind}")
        for kind in ("data", "label")
    )
    images = torch.from_numpy(pixels.reshape(-1, 1, 28, 28).copy())
    kept = first_of_each(images)
    whole = ImageSet("animals", images, torch.from_numpy(labels.reshape(-1).astype(np.int64)), CLASS_NAMES).take(kept)
    return split(whole, facts(len(images), len(kept)), "animals")


def facts(published: int = 10_000, unique: int = 9_716) -> Facts:
    """What there is to know, without loading anything."""
    return Facts(
        what="silhouettes of ten kinds of animals, 28 x 28 pixels, one channel",
        licence="MIT, as the package's metadata states; where the silhouettes come from is not stated there",
        credit="Sina Mohammadi, author of the package",
        origin=f"PyPI {WHEEL.requirement}, sha256 {WHEEL.sha256}",
        used_for="simclr, moco",
        counts=f"{published:,} pictures, {unique:,} after exact duplicates are removed; split 60 / 20 / 20 by class",
        notes=(_NEAR_DUPLICATES,),
    )
