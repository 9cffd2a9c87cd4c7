"""What all commands share: words of a user become numbers, mistakes one line, work a bar.

notation: none
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import typer

from kdtheory._checks import check_count

__all__ = ["UsageError", "bad_input", "integer", "number", "progress_bar"]

# The base of all usage errors: click's own, or that of the copy which later versions of typer carry
UsageError: Any = typer.BadParameter.__base__


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
