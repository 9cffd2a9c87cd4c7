"""The command line: ``kdtheory verify``, ``kdtheory report`` and ``kdtheory regress``.

Results go to stdout, warnings to stderr, progress to stderr and only to a terminal. Exit code 0:
done, and every verdict is backed by its evidence; 1: one is not; 2: bad input, told in one line on
stderr.

notation: none
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdtheory import __version__
from kdtheory._checks import check_count, check_output_folder

# what the commands need is loaded by them: `kdtheory --help` answers at once
if TYPE_CHECKING:
    from kdtheory.ledger import Backing

__all__ = ["app", "main", "regress", "report", "verify"]

VERDICTS = {"true": "green", "true under a stated reading": "yellow", "false as printed": "red"}

# The base of all usage errors: click's own, or that of the copy which later versions of typer carry
UsageError: Any = typer.BadParameter.__base__

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which claims of a paper on distillation hold, with evidence derived on your machine; "
    "and its regression with a teacher.",
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
    except OSError as error:  # a closed pipe has ended the program before
        with suppress(OSError):  # stderr may be as full
            typer.echo(f"kdtheory: stdout or a file failed ({error.strerror})", err=True)
        code = 2
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
        str | None, typer.Option(metavar="PAPER", help="Only the claims of a paper, GS or MD.")
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


@app.command(short_help="Linear regression with a teacher, from a file.")
def regress(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV or Parquet with a row for each object.")
    ],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="True answers y.")],
    teacher: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Teacher's answers s; none if left out.")
    ] = None,
    privileged: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="True where there is an answer; if none, where one is."
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B,C", help="Features, also repeated; all other numbers if none."),
    ] = None,
    weight: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Weight of each object; 1 if none.")
    ] = None,
    trust: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|WORD",
            help="Trust in the teacher, in [0, 1], or its choice: loo, gcv, evidence (needs the "
            "file in memory). 0.5 if none.",
        ),
    ] = None,
    sigma: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Noise of the labels, if known.")
    ] = None,
    sigma_teacher: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Noise of the teacher's answers, if known.")
    ] = None,
    convention: Annotated[
        str, typer.Option(metavar="WORD", help="precision: weights 1/sigma**2; printed: sigma**2.")
    ] = "precision",
    ridge: Annotated[
        str, typer.Option(metavar="NUMBER", help="Penalty of the squared coefficients.")
    ] = "0.0",
    intercept: Annotated[
        bool, typer.Option("--intercept/--no-intercept", help="Fit a constant, never penalised.")
    ] = True,
    weights_kind: Annotated[
        str, typer.Option(metavar="WORD", help="What --weight is: precision or frequency.")
    ] = "precision",
    confidence: Annotated[
        str, typer.Option(metavar="NUMBER", help="Of the intervals, in (0, 1).")
    ] = "0.95",
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of the coefficients and the residual figure."),
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Use the Dask cluster that runs there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, no table.")] = False,
) -> None:
    """Fit y, and a teacher's answers, by least squares on columns of a file (GS, Theorem 2).

    Standard errors are those of the estimate from both kinds of answers. A large file is read in
    blocks, twice.
    """
    from kdtheory.regress import FILES, regression_of_file, write_regression

    with _bad_input((ValueError, TypeError, ImportError)):
        if out is not None:
            check_output_folder("--out", out, FILES)
        with _progress(total=None) as tell:
            result = regression_of_file(
                file,
                target=target,
                teacher=teacher,
                privileged=privileged,
                features=None if features is None else ",".join(features).split(","),
                weight=weight,
                trust=None if trust is None else _number_or_word(trust),
                sigma=None if sigma is None else _number("--sigma", sigma),
                sigma_teacher=None
                if sigma_teacher is None
                else _number("--sigma-teacher", sigma_teacher),
                convention=convention,
                ridge=_number("--ridge", ridge),
                fit_intercept=intercept,
                weights_kind=weights_kind,
                confidence=_number("--confidence", confidence),
                dask=dask,
                tell=tell,
            )
        written = () if out is None else write_regression(out, result, name="--out")
    for words in result.document["warnings"]:
        typer.echo(f"kdtheory: warning: {words}", err=True)
    if as_json:
        typer.echo(json.dumps(result.document, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(result.text)
        for path in written:
            typer.echo(path)


def _integer(name: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        msg = f"`{name}` must be an integer, got {text!r}"
        raise ValueError(msg) from None
    return check_count(name, value)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"`{name}` must be a number, got {text!r}"
        raise ValueError(msg) from None


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@contextmanager
def _bad_input(
    kind: type[Exception] | tuple[type[Exception], ...] = ValueError,
) -> Iterator[None]:
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
