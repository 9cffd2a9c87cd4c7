r"""Several files into one folder: written whole, or not at all.

notation: none
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kdtheory._checks import check_output_folder

__all__ = ["write_files"]


def write_files(
    name: str, out: str | os.PathLike[str], contents: Mapping[str, str]
) -> tuple[Path, ...]:
    """Write texts into a folder, all of them or none.

    All are written under temporary names first and renamed when they are whole. After a failure
    nothing of this call is left, nor a folder that it made; files of an earlier run stay.

    Parameters
    ----------
    name : str
        What the argument `out` is called where a mistake is told.
    out : path_like
        The folder; made if absent, with its parents.
    contents : mapping of str to str
        Name and text of each file.

    Returns
    -------
    tuple of pathlib.Path
        Where they are, in the order of `contents`.

    Raises
    ------
    ValueError
        If the folder cannot be written.
    """
    folder = check_output_folder(name, out, contents)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    partial = {file: folder / f".{file}.{os.getpid()}.part" for file in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in contents.items():
            partial[file].write_text(text, encoding="utf-8", newline="\n")
        for file in contents:
            partial[file].replace(folder / file)
    except BaseException as error:
        with suppress(OSError):
            for path in partial.values():
                path.unlink(missing_ok=True)
            for path in made:
                path.rmdir()
        if isinstance(error, OSError):
            msg = f"`{name}` must be a folder that can be written, got '{out}' ({error.strerror})"
            raise ValueError(msg) from error
        raise
    return tuple(folder / file for file in contents)
