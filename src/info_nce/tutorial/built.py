"""Where the pages lie, and how they become plain files for any web server."""

import shutil
import tempfile
from pathlib import Path

from info_nce.errors import SettingError, UserError

LANGUAGES = ("en", "id", "zh")
SITE = Path(__file__).parent / "site"


def pages(site: Path = SITE) -> dict[str, Path]:
    """Every file of the site by the path of its address: "/en/" and "/app/page.js".

    Args:
        site: the built pages.

    Raises:
        UserError: they were not built.
    """
    found = {f"/{file.relative_to(site).as_posix()}": file for file in sorted(site.rglob("*")) if file.is_file()}
    if "/index.html" not in found:
        raise UserError(
            "the tutorial's pages were not built.",
            got=f"no index.html in {site}",
            expected="pages beside the package, which installing it puts there",
            advice="make tutorial   (in a checkout)",
        )
    return {path.removesuffix("index.html"): file for path, file in found.items()}


def export(folder: Path, site: Path = SITE) -> Path:
    """Copy the pages, for any web server; all addresses in them are relative.

    Args:
        folder: to copy into, new or empty.
        site: the built pages.

    Raises:
        SettingError: there is something in that folder already.
        UserError: the pages were not built, or the folder cannot be written.
    """
    pages(site)
    folder = folder.expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingError(
            f"{folder} is in use.",
            got="a folder with files in it" if folder.is_dir() else "a file",
            expected="a folder that is new or empty",
            advice="another name after --export",
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside it first: whoever looks at the folder sees all of the pages or none.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tutorial-") as made:
            shutil.copytree(site, Path(made) / "site")
            if folder.exists():
                folder.rmdir()
            (Path(made) / "site").rename(folder)
    except OSError as error:
        raise UserError(
            f"the pages cannot be written to {folder}.",
            got=error.strerror or error,
            expected="a folder that can be written",
            advice="another name after --export",
        ) from error
    return folder
