"""The command line of neural experiments: ``kdtheory experiment fashion-mnist | domains``.

They need the extra ``kdtheory[neural]`` and the files of FashionMNIST, which are fetched if they
are nowhere on the machine.

notation: none
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdtheory.terminal import DataDir, bad_input, integer, print_table, progress_bar

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["domains", "fashion_mnist"]

MOST_SEEDS = 1000
QUICK = "quick run on a small part: numbers are not results"

Seeds = Annotated[
    str, typer.Option(metavar="N", help="Draws or students of each kind, at least 2.")
]
Device = Annotated[str, typer.Option(metavar="WORD", help="Where networks are trained: cpu, cuda.")]
Out = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Folder that keeps what is finished, then the result, the figures and the page. "
        "Without it the table is all.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the run that --out holds, of the same settings and versions; begin one if "
        "it holds none.",
    ),
]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="All of it on a small part, to see that it runs: no results."),
]


def fashion_mnist(
    seeds: Seeds = "10",
    device: Device = "cpu",
    out: Out = None,
    resume: Resume = False,
    quick: Quick = False,
    data_dir: DataDir = None,
) -> None:
    """Teach linear students of FashionMNIST, and find out where a teacher helps (GS 6.1)."""
    start = time.perf_counter()
    document, written = _experiment("fashion-mnist", seeds, device, out, resume, quick, data_dir)
    result = document["result"]
    print_table(
        ("student", "rule", "reading", "cross-entropy", "accuracy"),
        (
            (
                row["student"], row["rule"], row["reading"],
                *(_mean(row[measure]) for measure in ("cross_entropy", "accuracy")),
            )
            for row in result["rows"]
        ),
    )  # fmt: skip
    print_table(
        ("change of", "reading", "student", "against", "change", "95 %", "verdict"),
        (
            (
                row["measure"].replace("_", "-"), row["reading"], " ".join(row["first"]),
                " ".join(row["second"]), *_judged(row),
            )
            for row in result["changes"]
        ),
    )  # fmt: skip
    if result["phase"] is not None:
        verdicts = [cell["cross_entropy_change"]["verdict"] for cell in result["phase"]["cells"]]
        counts = ", ".join(
            f"{verdicts.count(verdict)} {verdict}" for verdict in ("better", "undecided", "worse")
        )
        typer.echo(f"phase diagram: of {len(verdicts)} settings the cross-entropy is {counts}")
    _print_end(result, written, start)


def domains(
    seeds: Seeds = "10",
    device: Device = "cpu",
    out: Out = None,
    resume: Resume = False,
    quick: Quick = False,
    data_dir: DataDir = None,
) -> None:
    """Distil from a strong domain to weak ones, through links known and learned (MD)."""
    start = time.perf_counter()
    document, written = _experiment("domains", seeds, device, out, resume, quick, data_dir)
    result = document["result"]
    print_table(
        ("pair", "link", "loss", "teacher", "alone", "distilled", "change", "interval", "verdict"),
        (
            (
                pair["pair"], link["link"], row["loss"],
                _mean(link["teacher_through_link"]["accuracy"]), _mean(alone["accuracy"]),
                _mean(row["accuracy"]), *_judged(row["accuracy_change"]),
            )
            for pair in result["pairs"]
            for link in pair["links"]
            for row in link["rows"]
            for alone in link["rows"]
            if (row["md_lambda"], alone["md_lambda"]) == ("chosen", 1)
            and row["loss"] == alone["loss"]
        ),
    )  # fmt: skip
    _print_end(result, written, start)


def _experiment(
    kind: str,
    seeds: str,
    device: str,
    out: str | None,
    resume: bool,
    quick: bool,
    data_dir: str | None,
) -> tuple[Mapping[str, Any], Sequence["Path"]]:
    """Run an experiment, in a folder if one is given."""
    from kdtheory import neural_runs

    with bad_input((ValueError, TypeError, ImportError, FloatingPointError)):
        n_seeds = integer("--seeds", seeds, least=2, most=MOST_SEEDS)
        if resume and out is None:
            msg = "`--resume` needs the folder of a run, `--out`"
            raise ValueError(msg)
        if out is not None:
            neural_runs.require_folder(kind, "--out", out)
        with progress_bar(total=None, counted=True) as tell:
            neural_runs.require_networks(f"`kdtheory experiment {kind}`")
            neural_runs.require_device("--device", device)
            tell(description="data")
            from kdtheory.datasets import fashion_mnist

            data = fashion_mnist(data_dir, progress=False, name="--data-dir")
            if out is None:
                document = neural_runs.run_experiment(
                    kind, data, seeds=n_seeds, quick=quick, device=device, tell=tell
                )
                return document, ()
            return neural_runs.run_in_folder(
                kind, data, out, seeds=n_seeds, quick=quick, device=device, resume=resume,
                tell=tell, name="--out",
            )  # fmt: skip


def _mean(found: Mapping[str, Any]) -> str:
    return "-" if found["mean"] is None else f"{found['mean']:.4f}"


def _judged(change: Mapping[str, Any]) -> tuple[str, str, str]:
    if None in (change["change"], change["low"], change["high"]):
        return "-", "-", change["verdict"]
    ends = f"[{change['low']:+.4f}, {change['high']:+.4f}]"
    return f"{change['change']:+.4f}", ends, change["verdict"]


def _print_end(result: Mapping[str, Any], written: Sequence["Path"], start: float) -> None:
    """Time, a warning if the run was a quick one, and the files."""
    if result["quick"]:
        typer.echo(QUICK)
    typer.echo(f"{time.perf_counter() - start:.1f} s on {result['machine']['processor']}")
    for path in written:
        typer.echo(path)
