"""What all commands share: words of a user become numbers, mistakes one line, work a bar.

notation: none
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any

import typer

from kdtheory._checks import check_count

__all__ = ["DataDir", "UsageError", "bad_input", "integer", "number", "print_table", "progress_bar"]

# The base of all usage errors: click's own, or that of the copy which later versions of typer carry
UsageError: Any = typer.BadParameter.__base__


DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir", metavar="DIR", help="Folder to look in before KDTHEORY_DATA and the cache."
    ),
]


@contextmanager
def bad_input(
    kind: type[Exception] | tuple[type[Exception], ...] = ValueError,
) -> Iterator[None]:
    """Make the words of a check a usage error."""
    try:
        yield
    except kind as error:
        raise UsageError(str(error)) from error


@contextmanager
def progress_bar(total: int | None, *, counted: bool = False) -> Iterator[Callable[..., None]]:
    """Show a bar on stderr if that is a terminal; gives the function that moves it.

    A counted one tells how many steps are done, and how much time is left.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    counts = (MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn()) if counted else ()
    columns = (BarColumn(), TimeElapsedColumn(), *counts, TextColumn("{task.description}"))
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield partial(progress.update, progress.add_task("loading", total=total))


def integer(name: str, text: str, *, least: int = 0, most: int | None = None) -> int:
    """An integer of the command line, within its bounds."""
    try:
        value = int(text)
    except ValueError:
        msg = f"`{name}` must be an integer, got {text!r}"
        raise ValueError(msg) from None
    return check_count(name, value, least=least, most=most)


def number(name: str, text: str) -> float:
    """A number of the command line."""
    try:
        return float(text)
    except ValueError:
        msg = f"`{name}` must be a number, got {text!r}"
        raise ValueError(msg) from None


def print_table(
    headings: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    right: Collection[str] = (),
    styles: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Print a table, with columns named in `right` to the right and words in `styles` coloured."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, heading in enumerate(headings):
        # the first says what its row is about
        table.add_column(
            heading, justify="right" if heading in right else "left", no_wrap=number == 0
        )
    for row in rows:
        table.add_row(*(Text(word, style=styles.get(word, "")) for word in row))
    console = Console()
    if not console.is_terminal:
        console.width = 160  # lines are for programs to cut, not to wrap
    console.print(table)
