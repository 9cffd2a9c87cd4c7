"""The command line: ``kdtheory verify`` and ``kdtheory report``.

Results go to stdout, progress to stderr and only to a terminal. Exit code 0: every verdict is
backed by its evidence; 1: one is not; 2: bad input, told in one line on stderr.

notation: none
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdtheory import __version__
from kdtheory._checks import check_count, check_output_folder

# what the commands need is loaded by them: `kdtheory --help` answers at once
if TYPE_CHECKING:
    from kdtheory.ledger import Backing

__all__ = ["app", "main", "report", "verify"]

VERDICTS = {"true": "green", "true under a stated reading": "yellow", "false as printed": "red"}

# The base of all usage errors: click's own, or that of the copy which later versions of typer carry
UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which claims of a paper on distillation hold, with evidence derived on your machine.",
)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    try:
        code = app(prog_name="kdtheory", standalone_mode=False)
    except UsageError as error:
        typer.echo(f"kdtheory: {' '.join(error.format_message().split())}", err=True)
        code = 2
    except typer.Abort:
        code = 130
    sys.exit(code)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kdtheory {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options of every command."""


@app.command(short_help="Derive the evidence of claims again.")
def verify(
    claims: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLAIM", help="Identifiers such as GS-12; all if none."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="PAPER", help="Only the claims of a paper, such as GS.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, no table.")] = False,
    rigorous: Annotated[
        bool, typer.Option("--rigorous", help="Insist on ball arithmetic (python-flint).")
    ] = False,
) -> None:
    """Derive the evidence of claims again; exit with 1 if a verdict is not backed by it."""
    from kdtheory import ledger

    start = time.perf_counter()
    with _bad_input():
        chosen = ledger.select(claims or (), source, claims=ledger.CLAIMS)
    if not chosen:
        msg = f"no claim of {source!r} is among {', '.join(claims or ())}"
        raise UsageError(msg)
    with _progress(len(chosen)) as tell, _bad_input(ModuleNotFoundError):
        backings = ledger.verify(chosen, rigorous=rigorous, on_result=_telling(tell))
    if as_json:
        records = [ledger.as_record(b) | {"seconds": b.seconds} for b in backings]
        document = {"kdtheory": __version__, "claims": records}
        typer.echo(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _print_table(backings)
        typer.echo(f"{_summary(backings)} ({time.perf_counter() - start:.1f} s)")
    _exit_by(backings)


@app.command(short_help="The main job: one page and its numbers.")
def report(
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of index.html and results.json.")
    ] = "kdtheory-report",
    seed: Annotated[
        str, typer.Option(metavar="N", help="An integer, at least 0; it fixes every number.")
    ] = "0",
) -> None:
    """Verify all claims, run the theory on real data, and write one page and its numbers."""
    start = time.perf_counter()
    with _progress(total=None) as tell:
        from kdtheory.report import FILES, build_report, write_report

        with _bad_input():
            number = _integer("--seed", seed)
            check_output_folder("--out", out, FILES)
        from kdtheory import ledger
        from kdtheory.experiments.diabetes import theorem_2_on_diabetes
        from kdtheory.experiments.digits import theorem_1_on_digits
        from kdtheory.experiments.synthetic import generator_of_gs_6_2

        tell(total=len(ledger.CLAIMS) + 4, description="claims")
        backings = ledger.verify(ledger.CLAIMS, on_result=_telling(tell))
        tell(description="Theorem 1 on digits")
        digits = theorem_1_on_digits(number)
        tell(description="Theorem 2 on patients", advance=1)
        diabetes = theorem_2_on_diabetes(number)
        tell(description="synthetic generator", advance=1)
        synthetic = generator_of_gs_6_2(number)
        tell(description="page", advance=1)
        html, results = build_report(backings, digits, diabetes, synthetic)
        with _bad_input():
            page, _ = write_report(out, html, results)
    typer.echo(f"{page}: {_summary(backings)} ({time.perf_counter() - start:.1f} s)")
    _exit_by(backings)


def _integer(name: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        msg = f"`{name}` must be an integer, got {text!r}"
        raise ValueError(msg) from None
    return check_count(name, value)


@contextmanager
def _bad_input(kind: type[Exception] = ValueError) -> Iterator[None]:
    """Make the words of a check a usage error."""
    try:
        yield
    except kind as error:
        raise UsageError(str(error)) from error


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[..., None]]:
    """Show a bar on stderr if that is a terminal; gives the function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield partial(progress.update, progress.add_task("loading", total=total))


def _telling(tell: Callable[..., None]) -> Callable[["Backing"], None]:
    return lambda backing: tell(description=backing.claim.id, advance=1)


def _print_table(backings: Sequence["Backing"]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("claim", "where", "verdict", "evidence", "backed"):
        table.add_column(heading)
    table.add_column("seconds", justify="right")
    for backing in backings:
        claim = backing.claim
        kinds = Counter(outcome.kind for outcome in backing.outcomes)
        table.add_row(
            Text(claim.id, no_wrap=True),
            Text(claim.equation),
            Text(claim.verdict, style=VERDICTS[claim.verdict]),
            Text(", ".join(f"{n} {kind}" if n > 1 else kind for kind, n in kinds.items())),
            Text("yes") if backing.backed else Text("NO", style="bold red"),
            f"{backing.seconds:.2f}",
        )
    console = Console()
    if not console.is_terminal:
        console.width = 160  # lines are for programs to cut, not to wrap
    console.print(table)


def _summary(backings: Sequence["Backing"]) -> str:
    counts: Counter[str] = Counter(backing.claim.verdict for backing in backings)
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    failed = sum(not backing.backed for backing in backings)
    backed = f"{failed} NOT backed" if failed else "every verdict is backed"
    return f"{len(backings)} claims, {verdicts}; {backed}"


def _exit_by(backings: Sequence["Backing"]) -> None:
    """Name what is not backed, and exit with 1 if anything is."""
    failed = [backing for backing in backings if not backing.backed]
    for backing in failed:
        amiss = [o for o in backing.outcomes if not o.backed] or backing.outcomes
        found = "; ".join(f"{o.kind}, {o.statement}: {o.detail}" for o in amiss)
        typer.echo(
            f"{backing.claim.id}: {backing.claim.verdict!r} is not backed: {found}", err=True
        )
    if failed:
        raise typer.Exit(1)
