"""The command line of data files: ``kdtheory data list | fetch | verify``.

Exit code 0: every file that was asked for is there and whole; 1: one is missing or damaged; 2: bad
input, or a file that cannot be fetched, told in one line on stderr.

notation: none
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdtheory.terminal import DataDir, bad_input, print_table, progress_bar

if TYPE_CHECKING:
    from kdtheory.datasets import FileState, PublishedData

__all__ = ["data", "fetch", "list_data", "verify"]

STATES = {"ok": "green", "missing": "yellow", "damaged": "bold red"}

data = typer.Typer(
    help="Data files of the experiments: where they are, and whether they are whole."
)

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, no table.")]


@data.command("list", short_help="Which data sets there are, and where.")
def list_data(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the data sets with their size, their state and the folder that holds them."""
    from kdtheory.datasets import PUBLISHED

    found = _inspected(PUBLISHED, data_dir)
    if as_json:
        _print_json(
            {
                "data": [
                    {
                        "name": published.name,
                        "title": published.title,
                        "size": _total(states),
                        "state": _summary(states),
                        "folders": _folders(states),
                    }
                    for published, states in found
                ]
            }
        )
        return
    print_table(
        ("name", "what", "size", "state", "where"),
        [
            (
                published.name,
                published.title,
                _megabytes(_total(states)),
                _summary(states),
                ", ".join(_folders(states)) or "not here",
            )
            for published, states in found
        ],
        right=("size",),
        styles=STATES,
    )


@data.command(short_help="Download what is not on this machine.")
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as fashion-mnist.")],
    data_dir: Annotated[
        str | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="Folder that is to hold the files; without it, the user's cache if they are "
            "nowhere.",
        ),
    ] = None,
) -> None:
    """Download the files of a data set that are not on this machine, and verify all."""
    from kdtheory.datasets import fetch_files

    with bad_input((ValueError, ImportError)):
        results = fetch_files(_named(name), data_dir, name="--data-dir")
    for state, fetched in results:
        typer.echo(f"{state.path}: {'fetched' if fetched else 'is here already'}")


@data.command(short_help="Verify the files that are on this machine.")
def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Such as fashion-mnist; all if none.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Verify each file by its SHA-256; exit with 1 if one is missing or damaged."""
    from kdtheory.datasets import PUBLISHED

    with bad_input():
        chosen = PUBLISHED if name is None else (_named(name),)
    found = _inspected(chosen, data_dir)
    everything = [state for _, states in found for state in states]
    if as_json:
        _print_json(
            {
                "files": [
                    {
                        "data": published.name,
                        "file": state.file.name,
                        "state": state.state,
                        "fault": state.fault,
                        "path": None if state.path is None else str(state.path),
                        "size": state.file.size,
                        "sha256": state.file.sha256,
                    }
                    for published, states in found
                    for state in states
                ]
            }
        )
    else:
        rows = [
            (s.file.name, _megabytes(s.file.size), s.state, str(s.path or "")) for s in everything
        ]
        print_table(("file", "size", "state", "where"), rows)
        typer.echo(f"{len(everything)} files: {_summary(everything)}")
    for state in everything:
        if state.fault is not None:
            typer.echo(f"{state.path} {state.fault}", err=True)
    if any(state.state != "ok" for state in everything):
        raise typer.Exit(1)


def _named(name: str) -> "PublishedData":
    from kdtheory._checks import check_choice
    from kdtheory.datasets import PUBLISHED

    names = tuple(published.name for published in PUBLISHED)
    return PUBLISHED[names.index(check_choice("NAME", name, names))]


def _inspected(
    chosen: Iterable["PublishedData"], data_dir: str | None
) -> list[tuple["PublishedData", tuple["FileState", ...]]]:
    from kdtheory.datasets import file_states

    chosen = tuple(chosen)
    total = sum(len(published.files) for published in chosen)
    with progress_bar(total) as tell, bad_input():
        return [(p, file_states(p, data_dir, tell=tell, name="--data-dir")) for p in chosen]


def _total(states: Sequence["FileState"]) -> int:
    return sum(state.file.size for state in states)


def _summary(states: Sequence["FileState"]) -> str:
    """One word if it is true of all files, else numbers of them."""
    counts = Counter(state.state for state in states)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def _folders(states: Sequence["FileState"]) -> list[str]:
    return list(dict.fromkeys(str(s.path.parent) for s in states if s.path is not None))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _print_json(document: dict[str, Any]) -> None:
    from kdtheory.files import json_text

    typer.echo(json_text(document), nl=False)
