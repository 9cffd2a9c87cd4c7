r"""Published files: where they are on this machine, whether they are whole, how they come here.

A file is looked for in the folder that the caller names, then in that of the environment variable
``KDTHEORY_DATA``, then in the user's cache; each may hold it in a folder of the data set's name or,
but for the cache, directly. It is the published one if its SHA-256 is, wherever it lies. What is in
none of them can be downloaded: into the caller's folder if one is named, else into the cache. A
download has another name until it is whole.

notation: none
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from kdtheory._checks import check_flag, check_output_folder

__all__ = [
    "DataFileError",
    "FileState",
    "PublishedData",
    "PublishedFile",
    "cache_folder",
    "fetch_files",
    "file_states",
    "read_files",
]

VARIABLE = "KDTHEORY_DATA"
TIMEOUT = 30.0  # seconds without a byte
BLOCK = 1 << 16
STALE = 3600.0  # seconds; a download that lives has written within TIMEOUT


class DataFileError(ValueError):
    """A data file is absent, damaged, or cannot be fetched."""


@dataclass(frozen=True)
class PublishedFile:
    """A file that anyone can fetch.

    Parameters
    ----------
    name : str
        Its name, also on disk.
    urls : tuple of str
        Addresses, tried in this order.
    sha256 : str
        Digest of its bytes, in hexadecimal digits.
    size : int
        Its length in bytes.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    size: int


@dataclass(frozen=True)
class PublishedData:
    """A data set and its files.

    Parameters
    ----------
    name : str
        What it is called on the command line, and the folder that holds its files.
    title : str
        What it is, in a few words.
    files : tuple of PublishedFile
    """

    name: str
    title: str
    files: tuple[PublishedFile, ...]


@dataclass(frozen=True)
class FileState:
    """What became of a published file on this machine.

    Parameters
    ----------
    file : PublishedFile
    path : pathlib.Path or None
        Where it is; None if it is absent.
    fault : str or None
        What is wrong with it, as the end of a sentence on it; None if nothing is.
    """

    file: PublishedFile
    path: Path | None
    fault: str | None

    @property
    def state(self) -> str:
        """One of "ok", "missing" and "damaged"."""
        if self.path is None:
            return "missing"
        return "ok" if self.fault is None else "damaged"


def cache_folder() -> Path:
    """The user's cache of this package, by the rules of the platform; it need not exist.

    Returns
    -------
    pathlib.Path
        ``~/Library/Caches/kdtheory`` on macOS, ``%LOCALAPPDATA%/kdtheory/Cache`` on Windows, else
        ``$XDG_CACHE_HOME/kdtheory`` or ``~/.cache/kdtheory``.

    Raises
    ------
    DataFileError
        If the user has no home folder.
    """
    try:
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "kdtheory"
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
            return Path(local) / "kdtheory" / "Cache"
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        # a relative one is to be ignored, says the XDG specification
        return (base if base.is_absolute() else Path.home() / ".cache") / "kdtheory"
    except RuntimeError as error:
        msg = f"there is no home folder for data files: name a folder by {VARIABLE}"
        raise DataFileError(msg) from error


def file_states(
    data: PublishedData,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    tell: Callable[..., None] = lambda **_: None,
    name: str = "data_dir",
) -> tuple[FileState, ...]:
    """Look for the files of a data set and verify each; nothing is changed.

    Parameters
    ----------
    data : PublishedData
    data_dir : path_like, optional
        The folder in which files are looked for first.
    tell : callable, optional
        Called as ``tell(description=...)`` before each file, and with ``advance=1`` after it.
    name : str, default "data_dir"
        What the argument `data_dir` is called where a mistake is told.

    Returns
    -------
    tuple of FileState
        In the order of ``data.files``.

    Raises
    ------
    DataFileError
        If `data_dir` is not a folder.
    """
    folder = None if data_dir is None else _existing_folder(name, data_dir)
    states = []
    for file in data.files:
        tell(description=file.name)
        path, _ = _whereabouts(data, file, _places(folder))
        fault = None if path is None else _fault(data, file, path)
        states.append(FileState(file, path, fault))
        tell(advance=1)
    return tuple(states)


def read_files(
    data: PublishedData,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    progress: bool = True,
    name: str = "data_dir",
) -> dict[str, bytes]:
    """Contents of the files of a data set, verified; those that are absent are fetched.

    Parameters
    ----------
    data : PublishedData
    data_dir : path_like, optional
        The folder in which files are looked for first, and into which absent ones are fetched; if
        it is not given, they are fetched into the cache.
    offline : bool, default False
        Fetch nothing. If all files are on the machine this makes no difference.
    progress : bool, default True
        Show a bar on stderr while something is fetched, if that is a terminal.
    name : str, default "data_dir"
        What the argument `data_dir` is called where a mistake is told.

    Returns
    -------
    dict of str to bytes
        Content of each file by its name, in the order of ``data.files``.

    Raises
    ------
    DataFileError
        If a file is damaged (in the cache it is then removed, so that the next call fetches it
        again), or is absent and cannot be fetched; or if `data_dir` is not a folder.
    ModuleNotFoundError
        If files are absent, and pooch too.
    """
    check_flag("offline", offline)
    check_flag("progress", progress)
    folder = None if data_dir is None else _existing_folder(name, data_dir)
    absent = [f for f in data.files if _whereabouts(data, f, _places(folder))[0] is None]
    if absent and offline:
        msg = (
            f"{data.name}: {', '.join(file.name for file in absent)} not found in "
            f"{', '.join(str(place) for place, _ in _places(folder))}: name their folder by "
            f"{VARIABLE}, or run `kdtheory data fetch {data.name}`"
        )
        raise DataFileError(msg)
    if absent:
        _download(data, absent, folder, progress=progress, name=name)
    contents = {}
    for file in data.files:
        path, cached = _whereabouts(data, file, _places(folder))
        if path is None:
            msg = f"{data.name}: {file.name} was removed while it was looked for"
            raise DataFileError(msg)
        content, unreadable = _content(data, path)
        fault = unreadable or _fault_of_content(data, file, content)
        if fault is not None:
            end = ""
            if cached and unreadable is None:  # what cannot be read may be whole
                with suppress(OSError):
                    path.unlink()
                    end = "; it was removed, and the next call fetches it again"
            msg = f"{data.name}: '{path}' {fault}{end}"
            raise DataFileError(msg)
        contents[file.name] = content
    return contents


def fetch_files(
    data: PublishedData,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    progress: bool = True,
    name: str = "data_dir",
) -> tuple[tuple[FileState, bool], ...]:
    """Download those files of a data set that are not on the machine.

    Parameters
    ----------
    data : PublishedData
    data_dir : path_like, optional
        The folder that is to hold the files, made if absent; other places then do not count. If it
        is not given, the files may lie in any place, and are fetched into the cache.
    progress : bool, default True
        Show a bar on stderr, if that is a terminal.
    name : str, default "data_dir"
        What the argument `data_dir` is called where a mistake is told.

    Returns
    -------
    tuple of (FileState, bool)
        For each file where it is now, and whether this call has fetched it.

    Raises
    ------
    DataFileError
        If a file is damaged that is not in the cache (there it is fetched again), or one cannot be
        fetched, or the folder cannot be written.
    ModuleNotFoundError
        If files are absent, and pooch too.
    """
    check_flag("progress", progress)
    folder = None if data_dir is None else check_output_folder(name, data_dir, ())
    wanted = []
    for file in data.files:
        places = _places(None) if folder is None else iter([(folder, False)])
        path, cached = _whereabouts(data, file, places)
        fault = None if path is None else _fault(data, file, path)
        if fault is not None and not cached:
            msg = f"{data.name}: '{path}' {fault}; delete it to fetch it again"
            raise DataFileError(msg)
        if path is None or fault is not None:
            wanted.append(file)
    if wanted:
        _download(data, wanted, folder, progress=progress, name=name)
    return tuple((state, state.file in wanted) for state in file_states(data, folder))


def _existing_folder(name: str, data_dir: str | os.PathLike[str]) -> Path:
    given = os.fspath(data_dir)
    reason = ""
    try:
        if given and Path(given).is_dir():
            return Path(given)
    except OSError as error:  # such as a name that is too long
        reason = f" ({error.strerror})"
    msg = f"`{name}` must be a folder that exists, got {given!r}{reason}"
    raise DataFileError(msg)


def _places(data_dir: Path | None) -> Iterator[tuple[Path, bool]]:
    """Folders in the order of the search, and whether each is the cache."""
    if data_dir is not None:
        yield data_dir, False
    if given := os.environ.get(VARIABLE):
        yield Path(given), False
    yield cache_folder(), True


def _whereabouts(
    data: PublishedData, file: PublishedFile, places: Iterator[tuple[Path, bool]]
) -> tuple[Path | None, bool]:
    """The first path of a file, and whether it is in the cache."""
    for place, cached in places:
        for folder in (place / data.name, *(() if cached else (place,))):
            if os.path.lexists(folder / file.name):  # a link to nothing is not nothing
                return folder / file.name, cached
    return None, False


def _content(data: PublishedData, path: Path) -> tuple[bytes, str | None]:
    """Content of a file that is there, or why it cannot be read."""
    if not path.is_file():
        return b"", "is not a regular file"
    try:
        with path.open("rb") as stream:  # no more of a wrong one than tells which it is
            return stream.read(max(file.size for file in data.files) + 1), None
    except OSError as error:
        return b"", f"cannot be read ({error.strerror})"


def _fault(data: PublishedData, file: PublishedFile, path: Path) -> str | None:
    content, unreadable = _content(data, path)
    return unreadable or _fault_of_content(data, file, content)


def _fault_of_content(data: PublishedData, file: PublishedFile, content: bytes) -> str | None:
    """What is wrong with a file that could be read."""
    digest = hashlib.sha256(content).hexdigest()
    if digest == file.sha256:
        return None
    for other in data.files:
        if digest == other.sha256:
            return f"holds the content of {other.name}: files are swapped"
    if not content:
        return "is empty"
    if file.name.endswith(".gz") and not content.startswith(b"\x1f\x8b"):
        return f"is not a gzip file: it begins with {content[:8]!r}"
    if len(content) < file.size:
        return f"has {len(content)} bytes, not {file.size}: truncated, or another file"
    if len(content) > file.size:
        return f"has more than the {file.size} bytes that are published"
    return f"is not as published: its SHA-256 is {digest}, not {file.sha256}"


def _download(
    data: PublishedData,
    files: Sequence[PublishedFile],
    data_dir: Path | None,
    *,
    progress: bool,
    name: str,
) -> None:
    """Fetch files into a folder, each under its name when it is whole."""
    try:
        from pooch import HTTPDownloader
    except ModuleNotFoundError as error:
        msg = (
            f"fetching {data.name} needs pooch: pip install 'kdtheory[download]', or name a folder "
            f"that has the files by {VARIABLE}"
        )
        raise ModuleNotFoundError(msg) from error
    home, called = (cache_folder(), "cache") if data_dir is None else (data_dir, name)
    folder = check_output_folder(called, home / data.name, [file.name for file in files])
    # as they are: what a server packs for the way would be unpacked, and be another file
    fetch = HTTPDownloader(
        chunk_size=BLOCK, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"}
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_stale_parts(folder, files)
        with _download_bar(sum(file.size for file in files), shown=progress) as tell:
            done = 0
            for file in files:
                tell(description=file.name)
                _fetch_whole(file, folder, fetch, partial(_tell_bytes, tell, done))
                done += file.size
    except OSError as error:
        msg = (
            f"`{called}` must be a folder that can be written, got '{folder}' ({error.strerror}): "
            "name another one"
        )
        raise DataFileError(msg) from error


def _tell_bytes(tell: Callable[..., None], before: int, size: int) -> None:
    tell(completed=before + size)


def _fetch_whole(
    file: PublishedFile,
    folder: Path,
    fetch: Callable[[str, Any, None], None],
    tell: Callable[[int], None],
) -> None:
    """Try one address after the other; an OSError is one of the disk."""
    failures = []
    for url in file.urls:
        part = folder / f".{file.name}.{uuid4().hex}.part"
        try:
            with part.open("xb") as stream:
                sink = _Sink(stream, file.size, tell)
                fault = _fault_of_transfer(url, sink, file, fetch)
            if fault is None:
                part.replace(folder / file.name)
                return
        finally:  # also after Ctrl-C
            part.unlink(missing_ok=True)
        failures.append(f"{url}: {fault}")
    msg = f"{file.name} cannot be fetched: {'; '.join(failures)}"
    raise DataFileError(msg)


class _Sink:
    """What pooch writes into: it counts, takes the digest, and ends what has no end."""

    def __init__(self, stream: BinaryIO, most: int, tell: Callable[[int], None]) -> None:
        self.stream, self.most, self.tell = stream, most, tell
        self.size, self.digest = 0, hashlib.sha256()

    def write(self, block: bytes) -> None:
        self.size += len(block)
        if self.size > self.most:
            raise OSError
        self.digest.update(block)
        self.stream.write(block)
        self.tell(self.size)

    def flush(self) -> None:
        self.stream.flush()


def _fault_of_transfer(
    url: str, sink: _Sink, file: PublishedFile, fetch: Callable[[str, Any, None], None]
) -> str | None:
    """Take a file from an address, and say why it is not what it should be."""
    try:
        fetch(url, sink, None)
    except OSError as error:
        if error.errno is not None:  # of the disk; all errors of requests are OSError without it
            raise
        response = getattr(error, "response", None)
        if response is not None:
            return f"the server answers {response.status_code} {response.reason}"
        if sink.size > sink.most:
            return f"more than the {file.size} bytes that are published"
        if "timed out" in str(error):
            return f"no answer in {TIMEOUT:g} s"
        if sink.size or type(error).__name__ == "ChunkedEncodingError":
            return "the transfer broke off"
        return "cannot be reached"
    if sink.size < file.size:
        return f"{sink.size} bytes in place of {file.size}"
    if sink.digest.hexdigest() != file.sha256:
        return f"other bytes than are published, of SHA-256 {sink.digest.hexdigest()}"
    return None


def _remove_stale_parts(folder: Path, files: Sequence[PublishedFile]) -> None:
    """Remove what killed downloads have left; a download that lives is younger."""
    for file in files:
        for part in folder.glob(f".{file.name}.*.part"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > STALE:
                    part.unlink()


@contextmanager
def _download_bar(total: int, *, shown: bool) -> Iterator[Callable[..., None]]:
    """Show a bar of bytes on stderr, if that is a terminal or a notebook."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    words = TextColumn("{task.description}")
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), words)
    hidden = not shown or not (console.is_terminal or console.is_jupyter)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        yield partial(bar.update, bar.add_task("", total=total))
