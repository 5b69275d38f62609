"""What to train on: somebody's wheel, read as an archive, or files of the user's own."""

from info_nce.data.images import ImageSet
from info_nce.data.splits import Facts, Part, Splits

__all__ = ["Facts", "ImageSet", "Part", "Splits", "load_pictures"]


def load_pictures(
    source: str = "animals",
    *,
    data_file: str | None = None,
    image_size: int = 64,
    skip_bad: bool = False,
) -> Splits[ImageSet]:
    """Load a set of pictures by its name, or the pictures of a folder.

    Args:
        source: "animals", "digits", or the path of a folder of pictures.
        data_file: the wheel of a named data set, if it is at hand already.
        image_size: side in pixels to which a folder's pictures are brought; a named data set keeps its own.
        skip_bad: leave out pictures that cannot be read, and name them, instead of stopping.

    Returns:
        The three fixed parts.

    Raises:
        DataError: the wheel or the folder cannot be used; the message names the file.
    """
    # Imported here, so that each source asks only for the extra that it needs itself.
    if source == "animals":
        from info_nce.data.animals import load_animals  # noqa: PLC0415 (see above)

        return load_animals(data_file=data_file)
    if source == "digits":
        from info_nce.data.digits import load_digits  # noqa: PLC0415 (see above)

        return load_digits()
    from info_nce.data.folder import load_folder  # noqa: PLC0415 (see above)

    return load_folder(source, image_size=image_size, skip_bad=skip_bad)
