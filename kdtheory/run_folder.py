r"""A run in a folder: one process at a time, one configuration, and nothing finished is ever lost.

``config.json`` says what runs, files of lines (``*.jsonl``) grow with it, results come at the end,
whole or not at all. A line is on the disk before the next thing begins, and sealed with the digest
of its text and of the configuration: a torn last line, which a killed process may leave, is cut
off, and any other that is not as it was written is named. Floats come back from JSON as they went
in, so that a continued run can end with the bytes of an uninterrupted one.

notation: none
"""

import hashlib
import json
import math
import os
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from kdtheory._checks import check_count, check_output_folder
from kdtheory.files import json_text, write_files

__all__ = ["RunFolder", "SealedLines", "run_folder"]

REMEDY = "delete its folder to compute that part again"
SEAL = b'{"digest": "%s", '  # how a line begins; the digest is of all after it


@contextmanager
def run_folder(
    name: str,
    out: str | os.PathLike[str],
    config: Mapping[str, Any],
    *,
    files: Sequence[str],
    folders: Sequence[str] = (),
    others: Sequence[str] = (),
    resume: bool = False,
) -> Iterator["RunFolder"]:
    """Begin a run in a folder, or continue the one that it holds; alone as long as it lasts.

    Parameters
    ----------
    name : str
        What the argument `out` is called where a mistake is told.
    out : path_like
        The folder; made if absent, with its parents.
    config : mapping
        All that the run hangs on, of what JSON knows; ``config.json`` holds it.
    files, folders : sequence of str
        What a run leaves, beside ``config.json``: a folder with any of it holds a run.
    others : sequence of str
        Files that the run will write, too, such as figures, of which any may be there before.
    resume : bool, default False
        Continue the run that the folder holds, if any. Without it a folder with a run is refused.

    Yields
    ------
    RunFolder

    Raises
    ------
    ValueError
        If the folder cannot be written, or holds a run that is not to be continued, or one of
        another configuration (its first differing key is named), or a damaged one, or one that
        another process is at, or something else than regular files and folders under their names.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as out:
    ...     for resume in (False, True):
    ...         with run_folder("out", out, {"seed": 0}, files=["a.jsonl"], resume=resume) as run:
    ...             lines = run.lines("a.jsonl")
    ...             lines.append({"epoch": len(lines.read())})
    ...     lines.read()
    [{'epoch': 0}, {'epoch': 1}]
    """
    files = tuple(dict.fromkeys(("config.json", *files)))
    text = json_text(config)
    folder = check_output_folder(name, out, (*files, *others))
    write_files(name, folder, {})  # the folder itself, so that it can be locked
    with _alone(name, folder):
        _require_regular(name, folder, files)
        _require_folders(name, folder, folders)
        if any((folder / kept).exists() for kept in (*files, *folders)):
            if not resume:
                msg = (
                    f"`{name}` must be a folder without a run, got '{out}', which holds one: "
                    "continue it with --resume"
                )
                raise ValueError(msg)
            _check_config(name, folder, config)
        write_files(name, folder, {"config.json": text})
        yield RunFolder(folder, name, _digest(text.encode()).decode())


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds a run of one configuration, as `run_folder` gives it.

    Attributes
    ----------
    path : pathlib.Path
    name : str
        What the argument is called where a mistake is told.
    mark : str
        Digest of the configuration, which seals each line.
    """

    path: Path
    name: str
    mark: str

    def lines(self, file: str, *, what: str = "lines", remedy: str = REMEDY) -> "SealedLines":
        """Lines of one of the files, which is made if absent.

        Parameters
        ----------
        file : str
        what : str, default "lines"
            What a damaged file does not hold whole.
        remedy : str
            What to do about a damaged line.

        Returns
        -------
        SealedLines

        Raises
        ------
        ValueError
            If the file cannot be made.
        """
        path = self.path / file
        with _usable(self.name, self.path):
            path.touch()
        return SealedLines(path, self.name, self.mark, what, remedy)

    def write(self, contents: Mapping[str, str]) -> tuple[Path, ...]:
        """Write texts into the folder, all of them or none, as `kdtheory.files.write_files`.

        Parameters
        ----------
        contents : mapping of str to str
            Name and text of each file.

        Returns
        -------
        tuple of pathlib.Path

        Raises
        ------
        ValueError
            If the folder cannot be written.
        """
        return write_files(self.name, self.path, contents)


@dataclass(frozen=True)
class SealedLines:
    """Records of a run, each a line of JSON that begins with the digest of its rest.

    Attributes
    ----------
    path : pathlib.Path
    name : str
        What the argument with the folder is called where a mistake is told.
    mark : str
        Digest of the configuration.
    what, remedy : str
        As of `RunFolder.lines`.
    """

    path: Path
    name: str
    mark: str
    what: str = "lines"
    remedy: str = REMEDY

    def read(
        self, check: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> list[dict[str, Any]]:
        """All records, in the order in which they were appended; a torn last line is cut off.

        Parameters
        ----------
        check : callable, optional
            Whether a record can be of this run.

        Returns
        -------
        list of dict

        Raises
        ------
        ValueError
            If a line is not as it was written, or is of another run; it is named by its number.
        """
        length = len(SEAL % _digest(b""))
        records = []
        for number, line in enumerate(self._whole(), start=1):
            seal, rest = line[:length], line[length:].rstrip(b"\r\n")
            if seal != SEAL % _digest(rest):  # what follows is as it was written
                msg = (
                    f"`{self.name}` must hold whole {self.what}, got '{self.path}', whose line "
                    f"{number} is damaged: {self.remedy}"
                )
                raise ValueError(msg)
            record = json.loads(b"{" + rest)
            if record.pop("config", None) != self.mark or not check(record):
                msg = (
                    f"`{self.name}` must hold {self.what} of the same configuration, got "
                    f"'{self.path}', whose line {number} is of another"
                )
                raise ValueError(msg)
            records.append(record)
        return records

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line; it is kept even if the process is killed, or the power fails, after it.

        Parameters
        ----------
        record : mapping of str
            Of what JSON knows. A number that is not finite is refused, as a None in its place would
            not come back as it went in; `kdtheory.files.finite_or_none` replaces it on purpose.
            The key "config" is taken.

        Raises
        ------
        ValueError
            If a number is not finite, the key is taken, or the line cannot be written.
        TypeError
            If a value is nothing that JSON knows.
        """
        for key, value in record.items():
            if isinstance(value, float) and not math.isfinite(value):
                msg = f"`record` must hold finite numbers, got {float(value)!r} for {key!r}"
                raise ValueError(msg)
        if "config" in record:
            msg = "`record` must not have the key 'config', which says of which run it is"
            raise ValueError(msg)
        line = _sealed({"config": self.mark, **record})
        with _usable(self.name, self.path.parent), self.path.open("ab") as lines:
            lines.write(line)
            lines.flush()
            os.fsync(lines.fileno())

    def keep(self, count: int) -> None:
        """Cut off all lines but the first ones, such as those that came after a checkpoint.

        Parameters
        ----------
        count : int
            How many lines stay.

        Raises
        ------
        ValueError
            If there are fewer.
        TypeError
            If it is not an integer.
        """
        lines = self._whole()
        count = check_count("count", count)
        if count > len(lines):
            msg = (
                f"`{self.name}` must hold {count} {self.what}, got '{self.path}', which holds "
                f"{len(lines)}"
            )
            raise ValueError(msg)
        self._cut(sum(map(len, lines[:count])))

    def _whole(self) -> list[bytes]:
        """Lines that end, after what does not is cut off."""
        with _usable(self.name, self.path.parent):
            text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            self._cut(whole)
        return text[:whole].splitlines(keepends=True)

    def _cut(self, size: int) -> None:
        with _usable(self.name, self.path.parent), self.path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


@contextmanager
def _alone(name: str, folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; a lock ends with its process, however that ends."""
    if fcntl is None:
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)  # the folder itself: no file is left behind
    except OSError as error:
        msg = f"`{name}` must be a folder that can be read, got '{folder}' ({error.strerror})"
        raise ValueError(msg) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"`{name}` must be a folder that no other process is at, got '{folder}'"
            raise ValueError(msg) from None
        except OSError:  # a file system that knows no locks, such as some in networks
            pass
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _usable(name: str, folder: Path) -> Iterator[None]:
    """Tell of a failing disk as of the folder that is on it."""
    try:
        yield
    except OSError as error:
        msg = (
            f"`{name}` must be a folder whose files can be read and written, got '{folder}' "
            f"({error.strerror})"
        )
        raise ValueError(msg) from error


def _require_regular(name: str, folder: Path, files: Sequence[str]) -> None:
    """Refuse pipes and devices, which may have no end, and links to them or to nothing."""
    for path in (folder / file for file in files):
        with _usable(name, folder):
            good = path.is_file() or not os.path.lexists(path)
        if not good:
            msg = f"`{name}` must hold regular files, got '{path}', which is not one"
            raise ValueError(msg)


def _require_folders(name: str, folder: Path, folders: Sequence[str]) -> None:
    """Refuse files where folders are to be."""
    for path in (folder / inner for inner in folders):
        with _usable(name, folder):
            good = path.is_dir() or not os.path.lexists(path)
        if not good:
            msg = f"`{name}` must hold a folder {path.name}, got '{path}', which is not one"
            raise ValueError(msg)


def _check_config(name: str, folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse to continue what another configuration began."""
    path = folder / "config.json"
    if not path.exists():
        msg = f"`{name}` must hold config.json beside what a run leaves, got '{folder}'"
        raise ValueError(msg)
    with _usable(name, folder):
        text = path.read_bytes()
    try:
        there = json.loads(text)
        if not isinstance(there, dict):
            raise TypeError
        json_text(there)  # numbers that are not finite are no JSON, though they are read
    except (ValueError, TypeError, RecursionError):
        rule = "must hold the config.json of a run"
        msg = f"`{name}` {rule}, got '{path}', which is damaged: {REMEDY}"
        raise ValueError(msg) from None
    for key in (*config, *there):
        # as texts: to == also True is 1
        if json.dumps(there.get(key)) != json.dumps(config.get(key)):
            msg = (
                f"`{name}` must hold a run of the same configuration, got '{folder}', where "
                f"`{reprlib.repr(key)[1:-1]}` is {reprlib.repr(there.get(key))}, not "
                f"{reprlib.repr(config.get(key))}"
            )
            raise ValueError(msg)


def _sealed(record: Mapping[str, Any]) -> bytes:
    """A line that begins with the digest of its rest."""
    rest = json.dumps(record, ensure_ascii=False, allow_nan=False).encode()[1:]
    return SEAL % _digest(rest) + rest + b"\n"


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
