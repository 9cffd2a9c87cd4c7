"""The command line: ``kdtheory verify | report | regress | classify | experiment | data``.

Results go to stdout, warnings to stderr, progress to stderr and only to a terminal. Exit code 0:
done, and every verdict is backed by its evidence; 1: one is not; 2: bad input, told in one line on
stderr.

notation: none
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from kdtheory import __version__, data_commands, neural_commands
from kdtheory._checks import check_output_folder
from kdtheory.terminal import (
    UsageError,
    bad_input,
    integer,
    number,
    print_table,
    progress_bar,
)

# what the commands need is loaded by them: `kdtheory --help` answers at once
if TYPE_CHECKING:
    from pathlib import Path

    from kdtheory.classify import FileClassification
    from kdtheory.experiments.synthetic import SyntheticResult
    from kdtheory.ledger import Backing
    from kdtheory.regress import FileRegression

__all__ = ["app", "classify", "experiment_synthetic", "main", "regress", "report", "verify"]

VERDICTS = {"true": "green", "true under a stated reading": "yellow", "false as printed": "red"}

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which claims of a paper on distillation hold, with evidence derived on your machine; "
    "and its students of the data in a file.",
)

experiments = typer.Typer(help="Experiments of the papers, over many draws.")
app.add_typer(experiments, name="experiment")
app.add_typer(
    data_commands.data, name="data", short_help="Data sets: where they are, and whether whole."
)
experiments.command("fashion-mnist", short_help="GS 6.1: where a teacher helps, on FashionMNIST.")(
    neural_commands.fashion_mnist
)
experiments.command("domains", short_help="MD: from a strong domain to weak ones.")(
    neural_commands.domains
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
    except MemoryError as error:
        detail = f" ({words})" if (words := " ".join(str(error).split())) else ""
        typer.echo(f"kdtheory: there is not enough memory for this{detail}", err=True)
        code = 2
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
    with bad_input():
        chosen = ledger.select(claims or (), source, claims=ledger.CLAIMS)
    if not chosen:
        msg = f"no claim of {source!r} is among {', '.join(claims or ())}"
        raise UsageError(msg)
    with progress_bar(len(chosen)) as tell, bad_input(ModuleNotFoundError):
        backings = ledger.verify(chosen, rigorous=rigorous, on_result=_telling(tell))
    if as_json:
        records = [ledger.as_record(b) | {"seconds": b.seconds} for b in backings]
        document = {"kdtheory": __version__, "claims": records}
        typer.echo(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _print_backings(backings)
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
    fashion_mnist: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder of a run of `kdtheory experiment fashion-mnist` to show in place of the "
            "recorded one.",
        ),
    ] = None,
    domains: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder of a run of `kdtheory experiment domains` to show in place of the "
            "recorded one.",
        ),
    ] = None,
) -> None:
    """Verify all claims, run the theory on real data, and write one page and its numbers.

    The experiments that need networks are not run: the page shows recorded runs, or yours.
    """
    start = time.perf_counter()
    with progress_bar(total=None) as tell:
        from kdtheory.neural_page import read_result, section
        from kdtheory.report import FILES, build_report, write_report

        with bad_input():
            number = integer("--seed", seed)
            check_output_folder("--out", out, FILES)
            shown = {
                kind.replace("-", "_"): section(kind, read_result(f"--{kind}", folder, kind))
                for kind, folder in (("fashion-mnist", fashion_mnist), ("domains", domains))
                if folder is not None
            }
        from kdtheory import ledger
        from kdtheory.experiments.diabetes import theorem_2_on_diabetes
        from kdtheory.experiments.digits import theorem_1_on_digits
        from kdtheory.experiments.privileged import generalised_distillation
        from kdtheory.experiments.synthetic import experiment_of_gs_6_2

        tell(total=len(ledger.CLAIMS) + 5, description="claims")
        backings = ledger.verify(ledger.CLAIMS, on_result=_telling(tell))
        tell(description="Theorem 1 on digits")
        digits = theorem_1_on_digits(number)
        tell(description="Theorem 2 on patients", advance=1)
        diabetes = theorem_2_on_diabetes(number)
        tell(description="students of GS 6.2", advance=1)
        synthetic = experiment_of_gs_6_2(number, n_jobs=-1)
        tell(description="generalised distillation", advance=1)
        privileged = generalised_distillation(number, n_jobs=-1)
        tell(description="page", advance=1)
        html, results = build_report(backings, digits, diabetes, synthetic, privileged, **shown)
        with bad_input():
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

    with bad_input((ValueError, TypeError, ImportError)):
        if out is not None:
            check_output_folder("--out", out, FILES)
        with progress_bar(total=None) as tell:
            result = regression_of_file(
                file,
                target=target,
                teacher=teacher,
                privileged=privileged,
                features=None if features is None else ",".join(features).split(","),
                weight=weight,
                trust=None if trust is None else _number_or_word(trust),
                sigma=None if sigma is None else number("--sigma", sigma),
                sigma_teacher=None
                if sigma_teacher is None
                else number("--sigma-teacher", sigma_teacher),
                convention=convention,
                ridge=number("--ridge", ridge),
                fit_intercept=intercept,
                weights_kind=weights_kind,
                confidence=number("--confidence", confidence),
                dask=dask,
                tell=tell,
            )
        written = () if out is None else write_regression(out, result, name="--out")
    _print_result(result, written, as_json=as_json)


@app.command(short_help="Softmax regression with a teacher, from a file.")
def classify(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV or Parquet with a row for each object.")
    ],
    target: Annotated[
        str, typer.Option(metavar="COLUMN", help="True classes y, words or numbers.")
    ],
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A,B,C",
            help="Teacher's probabilities: a column for each class in their order, or "
            "LABEL=COLUMN; also repeated.",
        ),
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
        typer.Option(metavar="NUMBER", help="Trust in the teacher, in [0, 1]. 0.5 if none."),
    ] = None,
    temperature: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER", help="Of the student where it follows the teacher. 1 if none."
        ),
    ] = None,
    regulariser: Annotated[
        str | None, typer.Option(metavar="WORD", help="exact, or printed (not convex).")
    ] = None,
    squared_temperature: Annotated[
        bool, typer.Option("--squared-temperature", help="Hinton's factor of the teacher's part.")
    ] = False,
    l2: Annotated[
        str, typer.Option("--l2", metavar="NUMBER", help="Factor of half the squared coefficients.")
    ] = "0.0",
    intercept: Annotated[
        bool, typer.Option("--intercept/--no-intercept", help="Fit constants, never penalised.")
    ] = True,
    rule: Annotated[
        str, typer.Option(metavar="WORD", help="How logits become probabilities: softmax or mean.")
    ] = "softmax",
    out: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder of coefficients, predictions and a figure."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, no table.")] = False,
) -> None:
    """Fit class labels, and a teacher's probabilities, by a linear student (GS (14)).

    The file is read whole, and the optimum comes with a certificate. Where the classes can be
    separated there is none, which a warning tells.
    """
    from kdtheory.classify import FILES, classification_of_file, write_classification

    with bad_input((ValueError, TypeError, ImportError)):
        if out is not None:
            check_output_folder("--out", out, FILES)
        with progress_bar(total=None) as tell:
            result = classification_of_file(
                file,
                target=target,
                teacher=None if teacher is None else ",".join(teacher).split(","),
                privileged=privileged,
                features=None if features is None else ",".join(features).split(","),
                weight=weight,
                trust=None if trust is None else number("--trust", trust),
                temperature=None if temperature is None else number("--temperature", temperature),
                regulariser=regulariser,
                squared_temperature=squared_temperature,
                l2=number("--l2", l2),
                fit_intercept=intercept,
                rule=rule,
                tell=tell,
            )
        written = () if out is None else write_classification(out, result, name="--out")
    _print_result(result, written, as_json=as_json)


def _number_or_word(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@experiments.command("synthetic", short_help="GS 6.2: the effect of a teacher who knows the truth.")
def experiment_synthetic(
    draws: Annotated[
        str,
        typer.Option(metavar="N", help="Draws of W, at least 2; 20 for a verdict on a reading."),
    ] = "200",
    seed: Annotated[
        str, typer.Option(metavar="N", help="An integer, at least 0; it fixes every number.")
    ] = "0",
    jobs: Annotated[
        str,
        typer.Option(
            metavar="N", help="Processes; -1 for one on each core. They change no number."
        ),
    ] = "-1",
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder that keeps each finished draw, then the result and the figures. Without "
            "it the table is all.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue the run that --out holds, of the same seed, draws and versions; begin "
            "one if it holds none.",
        ),
    ] = False,
) -> None:
    """Fit students without and with the teacher over draws of W, and judge the differences."""
    start = time.perf_counter()
    with bad_input((ValueError, TypeError)):
        n_jobs = -1 if jobs.strip() == "-1" else integer("--jobs", jobs, least=1)
        if resume and out is None:
            msg = "`--resume` needs the folder of a run, `--out`"
            raise ValueError(msg)
        with progress_bar(total=None, counted=True) as tell:
            from kdtheory import experiment_folder
            from kdtheory.experiments.synthetic import MOST_DRAWS, experiment_of_gs_6_2

            seed_number = integer("--seed", seed)
            n_draws = integer("--draws", draws, least=2, most=MOST_DRAWS)
            written: Sequence[Path] = ()
            if out is None:
                tell(total=n_draws, description="draws of W")
                result = experiment_of_gs_6_2(
                    seed_number, n_draws=n_draws, n_jobs=n_jobs, on_draw=lambda _: tell(advance=1)
                )
            else:
                result, written = experiment_folder.synthetic_in_folder(
                    out, seed_number, n_draws=n_draws, n_jobs=n_jobs, resume=resume, tell=tell,
                    name="--out",
                )  # fmt: skip
    _print_students(result)
    typer.echo(f"{experiment_folder.summary(result)} ({time.perf_counter() - start:.1f} s)")
    for path in written:
        typer.echo(path)


def _print_result(
    result: "FileRegression | FileClassification", written: Sequence["Path"], *, as_json: bool
) -> None:
    """Warnings on stderr, and what was found, with the files that hold it, on stdout."""
    for words in result.document["warnings"]:
        typer.echo(f"kdtheory: warning: {words}", err=True)
    if as_json:
        typer.echo(json.dumps(result.document, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(result.text)
        for path in written:
            typer.echo(path)


def _telling(tell: Callable[..., None]) -> Callable[["Backing"], None]:
    return lambda backing: tell(description=backing.claim.id, advance=1)


def _print_backings(backings: Sequence["Backing"]) -> None:
    rows = []
    for backing in backings:
        claim = backing.claim
        kinds = Counter(outcome.kind for outcome in backing.outcomes)
        evidence = ", ".join(f"{n} {kind}" if n > 1 else kind for kind, n in kinds.items())
        backed = "yes" if backing.backed else "NO"
        seconds = f"{backing.seconds:.2f}"
        rows.append((claim.id, claim.equation, claim.verdict, evidence, backed, seconds))
    print_table(
        ("claim", "where", "verdict", "evidence", "backed", "seconds"),
        rows,
        right=("seconds",),
        styles=VERDICTS | {"NO": "bold red"},
    )


def _print_students(result: "SyntheticResult") -> None:
    """Means over the draws, with what the paired differences in KL decide."""
    changes = {
        change.first: change
        for change in reversed(result.changes)  # of two the first: against the one with a teacher
        if (change.sample, change.measure) == ("large", "kl")
    }
    rows = []
    for large in (quality for quality in result.qualities if quality.sample == "large"):
        key = large.student, large.rule
        test = result.quality(*key, sample="test")
        words = [
            *key,
            *(f"{test.interval(m).mean:.3f}" for m in ("cross_entropy", "accuracy")),
            *(
                f"{large.interval(m).mean:{form}}"
                for m, form in (("kl", "z.5f"), ("calibration_slope", ".3f"),
                                ("calibration_loss", "z.5f"))
            ),
        ]  # fmt: skip
        if key in changes:
            change = changes[key]
            words.append(
                f"{change.change:+.5f} [{change.low:+.5f}, {change.high:+.5f}] {change.verdict}"
            )
            words.append(" ".join(change.second))
        rows.append(words)
    measures = "cross-entropy", "accuracy", f"on {result.n_large}: KL", "slope", "miscalibration"
    headings = ("student", "rule", *measures, "change of KL", "against")
    print_table(headings, rows, right=measures)


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
