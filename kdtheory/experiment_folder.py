r"""A long experiment in a folder: every finished draw is kept, and a killed run is continued.

``config.json`` says what runs and with which versions, ``draws.jsonl`` has a line for each finished
draw, written when it is ready and sealed with a digest, ``result.json`` and the figures come at the
end, whole or not at all. A continued run ends with the bytes of an uninterrupted one: draws hang on
nothing but the configuration, and floats come back from JSON as they went in. A folder has one
process at a time.

notation: none
"""

import hashlib
import json
import os
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from kdtheory._checks import check_output_folder
from kdtheory.experiments.synthetic import (
    PUBLISHED,
    Draw,
    SyntheticResult,
    experiment_of_gs_6_2,
    settings,
)
from kdtheory.files import json_text, plain_data, write_files

__all__ = ["FIGURES", "FILES", "summary", "synthetic_in_folder"]

FILES = ("config.json", "draws.jsonl", "result.json")
SEAL = b'{"digest": "%s", '  # how a line begins; the digest is of all after it
FIGURES = ("figure_4.svg", "figure_5.svg", "figure_6.svg", "figure_7.svg")


def synthetic_in_folder(
    out: str | os.PathLike[str],
    seed: int = 0,
    *,
    n_draws: int = 200,
    n_jobs: int = 1,
    resume: bool = False,
    tell: Callable[..., None] = lambda **_: None,
    name: str = "out",
) -> tuple[SyntheticResult, tuple[Path, ...]]:
    """Run the experiment of GS 6.2 in a folder, or continue it there.

    Parameters
    ----------
    out : path_like
        The folder; made if absent, with its parents.
    seed, n_draws, n_jobs
        As of `kdtheory.experiments.synthetic.experiment_of_gs_6_2`.
    resume : bool, default False
        Continue the run that the folder holds, if any. Without it a folder with a run is refused:
        nothing finished is ever lost.
    tell : callable, optional
        Called as ``tell(total=..., completed=..., description=...)`` at the start, then with
        ``advance=1`` after each draw.
    name : str, default "out"
        What the argument `out` is called where a mistake is told.

    Returns
    -------
    result : SyntheticResult
    paths : tuple of pathlib.Path
        The files of the folder.

    Raises
    ------
    ValueError
        If the folder cannot be written, or holds a run that is not to be continued, or one of
        another configuration, or a damaged one, or one that another process is at, or something
        else than regular files under their names; or if a number is outside its range.
    TypeError
        If a number is not an integer.
    """
    folder = check_output_folder(name, out, (*FILES, *FIGURES))
    config = settings(seed, n_draws)
    mark = hashlib.sha256(json_text(config).encode()).hexdigest()[:16]
    log = folder / "draws.jsonl"
    write_files(name, folder, {})  # the folder itself, so that it can be locked
    with _alone(name, folder):
        _require_regular(name, folder)
        if any((folder / file).exists() for file in FILES):
            if not resume:
                msg = (
                    f"`{name}` must be a folder without a run, got '{out}', which holds one: "
                    "continue it with --resume"
                )
                raise ValueError(msg)
            _check_config(name, folder, config)
        write_files(name, folder, {"config.json": json_text(config)})
        done = _finished(name, log, mark, n_draws)
        n_done = len({draw.index for draw in done})
        tell(total=n_draws, completed=n_done, description="draws of W")
        with _usable(name, folder):
            log.touch()

        def keep(draw: Draw) -> None:
            line = _sealed({"config": mark, **vars(draw)})
            # closed after each line: the draw is kept even if this process is killed now
            with _usable(name, folder), log.open("ab") as lines:
                lines.write(line)
            tell(advance=1)

        result = experiment_of_gs_6_2(seed, n_draws=n_draws, n_jobs=n_jobs, done=done, on_draw=keep)
        tell(description="figures")
        contents = {"result.json": json_text({"config": config, "result": plain_data(result)})}
        written = write_files(name, folder, contents | _figures(result))
    return result, (folder / "config.json", log, *written)


def summary(result: SyntheticResult) -> str:
    """What the experiment found, in lines of plain text.

    Parameters
    ----------
    result : SyntheticResult

    Returns
    -------
    str
    """
    bayes = result.quality("bayes")
    possible = [reading.name for reading in result.readings if reading.verdict == "possible"]
    lines = [
        f"{result.n_draws} draws of W; best possible cross-entropy "
        f"{bayes.interval('expected_cross_entropy').mean:.3f}, accuracy "
        f"{bayes.interval('expected_accuracy').mean:.3f}",
        "published: " + " -> ".join(f"{row.cross_entropy} / {row.accuracy}" for row in PUBLISHED),
        f"readings of the published row: {len(result.readings) - len(possible)} ruled out; "
        f"possible: {', '.join(possible) or 'none'}",
    ]
    if result.uncertified:
        lines.append(f"NOT certified: {', '.join(result.uncertified)}")
    else:
        lines.append(
            "every student converged; largest relative distance from the optimum "
            f"{result.largest_gap:.1g}"
        )
    return "\n".join(lines)


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


def _require_regular(name: str, folder: Path) -> None:
    """Refuse pipes and devices, which may have no end, and links to them or to nothing."""
    for path in (folder / file for file in FILES):
        with _usable(name, folder):
            good = path.is_file() or not os.path.lexists(path)
        if not good:
            msg = f"`{name}` must hold regular files, got '{path}', which is not one"
            raise ValueError(msg)


def _check_config(name: str, folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse to continue what another configuration began."""
    path = folder / "config.json"
    if not path.exists():
        msg = f"`{name}` must hold config.json beside its draws or result, got '{folder}'"
        raise ValueError(msg)
    with _usable(name, folder):
        text = path.read_bytes()
    try:
        there = json.loads(text)
        if not isinstance(there, dict):
            raise TypeError
        json_text(there)  # numbers that are not finite are no JSON, though they are read
    except (ValueError, TypeError, RecursionError):
        msg = f"`{name}` must hold the config.json of a run, got '{path}', which is damaged"
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


def _finished(name: str, log: Path, mark: str, n_draws: int) -> list[Draw]:
    """Draws of the log, whose torn last line is cut off."""
    if not log.exists():
        return []
    with _usable(name, log.parent):
        text = log.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            with log.open("r+b") as file:
                file.truncate(whole)
    length = len(SEAL % _digest(b""))
    draws = []
    for number, line in enumerate(text[:whole].splitlines(), start=1):
        seal, rest = line[:length], line[length:]
        if seal != SEAL % _digest(rest):  # what follows is as it was written
            msg = (
                f"`{name}` must hold whole draws, got '{log}', whose line {number} is damaged: "
                "if it is deleted, its draw alone is done again"
            )
            raise ValueError(msg)
        record = json.loads(b"{" + rest)
        if record.pop("config") != mark or record["index"] not in range(n_draws):
            msg = (
                f"`{name}` must hold draws of the same configuration, got '{log}', whose line "
                f"{number} is of another"
            )
            raise ValueError(msg)
        draws.append(Draw(**record))
    return draws


def _figures(result: SyntheticResult) -> dict[str, str]:
    """Figures 4 to 7 as SVG files."""
    from kdtheory import plotting  # matplotlib is loaded when there is something to draw

    first, seven = result.first, result.first.figure_7
    words = "Triangle with a point for each of the training objects of the first draw."
    triangles = {
        "figure_4": (first.truth, "True class probabilities"),
        "figure_5": (first.without_teacher, "Class probabilities without a teacher"),
        "figure_6": (first.with_teacher, "Class probabilities with the teacher"),
    }
    pictures = {
        name: (plotting.class_probabilities(probs), title, words)
        for name, (probs, title) in triangles.items()
    }
    pictures["figure_7"] = (
        plotting.right_class_probability(seven.trusts, seven.temperatures, seven.right[1]),
        "Probability of the right class against temperature and trust",
        "Heat map for the test object of median confidence: the probability lies between "
        f"{seven.right[1, :, 0].min():.2f} and {seven.right[1, :, 0].max():.2f} at the lowest "
        f"temperature, whatever the trust, and between {seven.right[1, :, -1].min():.2f} and "
        f"{seven.right[1, :, -1].max():.2f} at the highest.",
    )
    return {
        f"{name}.svg": plotting.to_svg(figure, name=name, title=title, description=described)
        for name, (figure, title, described) in pictures.items()
    }
