r"""Results as files: what JSON knows, and several files into one folder, whole or not at all.

notation: none
"""

import dataclasses
import json
import math
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from kdtheory._checks import check_output_folder

__all__ = ["finite_or_none", "json_text", "plain_data", "write_files"]

CONCLUSIONS = ("verdict", "verdict_new", "outside")  # properties that are told beside the fields


def plain_data(value: Any, *, leave_out: Collection[str] = ()) -> Any:
    """Dataclasses with their verdicts, mappings, tuples and arrays as what JSON knows.

    Parameters
    ----------
    value : object
        Numbers stay what they are, also those that are not finite.
    leave_out : collection of str
        Fields of the outermost dataclass that are left out.

    Returns
    -------
    object

    Examples
    --------
    >>> plain_data({"mean": np.array([0.5, 0.25]), "counts": (1, np.int64(2))})
    {'mean': [0.5, 0.25], 'counts': [1, 2]}
    """
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        names += [name for name in CONCLUSIONS if hasattr(value, name)]
        return {name: plain_data(getattr(value, name)) for name in names if name not in leave_out}
    if isinstance(value, Mapping):
        return {name: plain_data(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [plain_data(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def finite_or_none(value: Any) -> Any:
    """A number as JSON has it, None if it is not finite; all else as of `plain_data`.

    Examples
    --------
    >>> finite_or_none(np.float64(0.5)), finite_or_none(np.inf), finite_or_none("none")
    (0.5, None, 'none')
    """
    value = plain_data(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(document: Mapping[str, Any], *, sort_keys: bool = False) -> str:
    r"""Text of a JSON file, indented, the same bytes for the same document.

    Parameters
    ----------
    document : mapping
        Of what JSON knows.
    sort_keys : bool, default False
        Whether keys are sorted; else they stand in the order of the document.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a number is not finite.

    Examples
    --------
    >>> json_text({"λ": 0.5})
    '{\n "λ": 0.5\n}\n'
    """
    options: dict[str, Any] = {"indent": 1, "ensure_ascii": False, "allow_nan": False}
    return json.dumps(document, sort_keys=sort_keys, **options) + "\n"


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
