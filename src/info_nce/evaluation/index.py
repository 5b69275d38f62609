"""An index: vectors of items on the disk, with what each item is called and which weights made them.

    NAME.safetensors   all of it in one file
    NAME.npy           the vectors alone, as NumPy reads them; the rest is in NAME.ids.json

It is mapped into memory, not read, so that it may be larger than that.
"""

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from info_nce.errors import DataError, RunError, SettingError
from info_nce.recipes.checkpoints import digest_of, load_tensors, save_tensors
from info_nce.recipes.files import write_safely

SUFFIXES = (".safetensors", ".npy")
# Rows that are looked at together, to find those that are no vectors.
_ROWS = 1 << 16
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Origin:
    """Where vectors come from.

    Args:
        run: the folder.
        recipe: by name.
        kind: of the items: "image", "text", "sound" or "video".
        weights: sha256 of the weights; vectors of other weights mean something else.
    """

    run: str
    recipe: str
    kind: str
    weights: str


class Strings(Sequence[str]):
    """Many texts in two tensors, so that a million of them need no million objects.

    Args:
        content: all of them in UTF-8, one after the other.
        ends: where each ends.

    Example:
        >>> list(Strings.of(["one", "two"]))
        ['one', 'two']
    """

    def __init__(self, content: UInt8[Tensor, " b"], ends: Int64[Tensor, " n"]) -> None:
        self.content, self.ends = content, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Strings":
        """Pack texts; names of files that are not UTF-8 come out as they were."""
        encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
        content = np.frombuffer(bytearray(b"".join(encoded)), dtype=np.uint8)
        return cls(torch.from_numpy(content), torch.tensor(list(accumulate(map(len, encoded))), dtype=torch.int64))

    def __len__(self) -> int:
        """Count them."""
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        """Unpack one, or several."""
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        start = int(self.ends[place - 1]) if place else 0
        return bytes(self.content[start : int(self.ends[place])].numpy()).decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Vectors with their names.

    Args:
        vectors: one row per item.
        ids: what each item is called: its file, its row, its number.
        shown: what a person is shown of each: its text, or its class; "" if there is nothing.
        origin: what made them.
        digest: of the vectors and the rest, once they are in a file; tells files apart.
    """

    vectors: Float[Tensor, "n d"]
    ids: Sequence[str]
    shown: Sequence[str]
    origin: Origin
    digest: str = ""

    def __len__(self) -> int:
        """Count the items."""
        return len(self.vectors)


def save_index(index: Index, path: str | Path) -> Path:
    """Write an index, whole or not at all.

    Args:
        index: with finite vectors.
        path: ends in .safetensors or .npy.

    Returns:
        The file.

    Raises:
        SettingError: the path ends otherwise.
        DataError: a vector is not finite; the message names its item.
        RunError: the disk is full or cannot be written to.
    """
    target = index_path(path)
    _refuse_wrong(index, target)
    if target.suffix == ".safetensors":
        ids, shown = Strings.of(index.ids), Strings.of(index.shown)
        strings = {"ids": ids.content, "id_ends": ids.ends, "shown": shown.content, "shown_ends": shown.ends}
        save_tensors(target, {"vectors": index.vectors, **strings}, {"origin": asdict(index.origin)})
        return target
    vectors = index.vectors.contiguous()
    content = io.BytesIO()
    np.save(content, vectors.numpy())
    beside = {"origin": asdict(index.origin), "digest": digest_of({"vectors": vectors})}
    text = json.dumps({**beside, "ids": list(index.ids), "shown": list(index.shown)})  # ASCII, whatever the names are
    write_safely(_ids_path(target), text.encode())
    write_safely(target, content.getvalue())
    return target


def load_index(path: str | Path) -> Index:
    """Open an index.

    Raises:
        DataError: it is missing, truncated, damaged, without names, or not an index; the message says what is wrong.
    """
    source = index_path(path)
    try:
        index = _from_safetensors(source) if source.suffix == ".safetensors" else _from_npy(source)
    except RunError as error:
        raise _refused(source, error.got) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(source, f"{type(error).__name__}: {error}") from error
    _refuse_wrong(index, source)
    return index


def _from_safetensors(path: Path) -> Index:
    tensors, header = load_tensors(path)
    if missing := {"vectors", "ids", "id_ends", "shown", "shown_ends"} - tensors.keys():
        raise _refused(path, f"a file without {', '.join(sorted(missing))}")
    ids, shown = (Strings(tensors[name], tensors[f"{name.rstrip('s')}_ends"]) for name in ("ids", "shown"))
    return Index(tensors["vectors"], ids, shown, _origin(header["origin"]), str(header["digest"]))


def _from_npy(path: Path) -> Index:
    names = _ids_path(path)
    if path.is_file() and not names.is_file():
        raise _refused(path, f"no {names.name} beside it")
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    beside = json.loads(names.read_text(encoding="utf-8"))
    if not np.issubdtype(array.dtype, np.floating):  # of which torch may have no like
        raise _refused(path, f"{array.dtype} in place of float32")
    vectors = torch.from_numpy(array)
    if beside["digest"] != digest_of({"vectors": vectors}):
        raise _refused(path, f"vectors that differ from the digest in {names.name}")
    return Index(vectors, beside["ids"], beside["shown"], _origin(beside["origin"]), beside["digest"])


def _origin(found: Any) -> Origin:
    return Origin(**{field.name: str(found[field.name]) for field in fields(Origin)})


def _refuse_wrong(index: Index, path: Path) -> None:
    vectors = index.vectors
    if vectors.ndim != 2 or not vectors.is_floating_point() or not vectors.shape[1]:
        raise _refused(path, f"{str(vectors.dtype).removeprefix('torch.')} of shape {tuple(vectors.shape)}")
    if not len(index.ids) == len(index.shown) == len(vectors):
        raise _refused(path, f"{len(vectors):,} vectors, {len(index.ids):,} ids and {len(index.shown):,} texts to show")
    # The sum of a row is finite if all of it is, unless it overflows; those few are looked at again.
    rows = range(0, len(vectors), _ROWS)
    suspects = [start + int(i) for start in rows for i in _not_finite(vectors[start : start + _ROWS].float().sum(1))]
    bad = [row for row in suspects if not vectors[row].isfinite().all()]
    if bad:
        named = ", ".join(index.ids[row] for row in bad[:_SHOWN])
        more = f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
        raise _refused(path, f"{len(bad):,} vectors that are not finite: {named}{more}")


def _not_finite(sums: Float[Tensor, " n"]) -> Int64[Tensor, " k"]:
    return torch.nonzero(~sums.isfinite())[:, 0]


def index_path(path: str | Path) -> Path:
    """Refuse a name that no index can have.

    Raises:
        SettingError: it ends neither in .safetensors nor in .npy.
    """
    found = Path(path).expanduser()
    if found.suffix not in SUFFIXES:
        raise SettingError(
            f"{found} is no name for an index.",
            got=f"a name that ends in {found.suffix!r}",
            expected=" or ".join(SUFFIXES),
            advice=f"{found.with_suffix(SUFFIXES[0]).name}",
        )
    return found


def _ids_path(path: Path) -> Path:
    return path.with_suffix(".ids.json")


def _refused(path: Path, why: object) -> DataError:
    return DataError(
        f"{path} cannot be used as an index.",
        got=why,
        expected="finite vectors, one name for each, and what made them: as `info-nce embed` writes it",
        advice=f"make it anew: info-nce embed RUN --out {path}",
    )
