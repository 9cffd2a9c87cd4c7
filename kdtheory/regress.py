r"""Theorem 2 on the columns of a file, whether it fits in memory or not.

A small file is read whole. A large one is read in blocks, twice: first its two triangular factors
(`kdtheory.streaming`), which fix the estimate; then, with the estimate, the sums over objects that
standard errors, leave-one-out error and the picture of the residuals need. A trust that is to be
found by cross-validation takes one more pass. Both ways give the same numbers to ten digits if
the columns are well conditioned, and to fewer as their condition grows.

notation: λ = trust, I = privileged, s = teacher, σ′ = weights, y″ = targets
"""

import asyncio
import csv
import math
import operator
import os
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial, reduce
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdtheory._checks import (
    check_choice,
    check_in_open_unit_interval,
    check_in_unit_interval,
    check_nonnegative,
    check_positive,
)
from kdtheory.distributed import FAN_IN
from kdtheory.evidence import maximum_evidence
from kdtheory.files import finite_or_none, json_text, write_files
from kdtheory.inference import (
    Inference,
    InferenceSums,
    automatic_covariance,
    fit_sums,
    inference,
    inference_from_sums,
)
from kdtheory.readers import SPELLINGS, TRUTH, Block, Rule, Table
from kdtheory.regression import (
    DistilledFit,
    blend,
    distil_regression,
    noise_weight,
)
from kdtheory.residual_cloud import ResidualCloud
from kdtheory.selection import (
    WEIGHTS_KINDS,
    PathSolutions,
    PathStatistics,
    PathSums,
    Rows,
    trust_path,
)
from kdtheory.streaming import DistilledFactors, DistilledSolution

__all__ = ["FILES", "FileRegression", "regression_of_file", "write_regression"]

Reals = NDArray[np.float64]

FILES = ("coefficients.json", "coefficients.csv", "residuals.svg")
PACKAGES = ("kdtheory", "numpy", "scipy")
NO_OP = (
    "the teacher changes nothing, whatever the trust: on these rows its answers project onto the "
    "features exactly as the labels do"
)
CHOICES = {
    "loo": "leave-one-out error",
    "gcv": "generalised cross-validation",
    "evidence": "maximum evidence",
}
TRUSTS = np.linspace(0, 1, 51)  # those of `trust_path`
LARGE = 2**28  # bytes of numbers from which a file is read in blocks
SECONDS = 10  # to wait for a scheduler
PARTITION = 2**26  # bytes of a file in one task of a cluster
INFLATED = 10  # bytes of a CSV for each of its compressed file, at most as a rule
LARGEST = 1e150  # number whose square, and the sum of many of these, a double holds
ALONE = 1e-12  # distance of a leverage from 1 at which a copy alone decides a direction


@dataclass(frozen=True, eq=False)
class FileRegression:
    """What `regression_of_file` found.

    Attributes
    ----------
    inference : Inference
        Estimates with their errors.
    document : dict
        The same for JSON, with the arguments as they were resolved, the versions, and a line for
        each warning; what is not finite is None.
    cloud : ResidualCloud
        Fitted values and residuals of the labels.
    """

    inference: Inference
    document: dict[str, Any]
    cloud: ResidualCloud

    @property
    def text(self) -> str:
        """The summary, and below it what was read and how the trust was found."""
        file, fit = self.document["file"], self.document["fit"]
        lines = [str(self.inference.summary())]
        if fit["leave_one_out_error"] is not None:
            lines.append(f"Leave-one-out error: {fit['leave_one_out_error']:.6g}")
        way = self.document["arguments"]["trust_by"]
        if way is not None:
            lines.append(f"Trust chosen by: {CHOICES[way]}")
        if way == "evidence":
            arguments = self.document["arguments"]
            levels = (f"{arguments[name]:.6g}" for name in ("sigma", "sigma_teacher"))
            lines.append(f"Noise of labels and answers: {', '.join(levels)}")
        lines.append(f"{file['name']}: {file['rows']} rows, read {file['read']}")
        return "\n".join(lines)


def regression_of_file(
    path: str | os.PathLike[str],
    *,
    target: str,
    teacher: str | None = None,
    privileged: str | None = None,
    features: Sequence[str] | None = None,
    weight: str | None = None,
    trust: float | str | None = None,
    sigma: float | None = None,
    sigma_teacher: float | None = None,
    convention: str = "precision",
    ridge: float = 0.0,
    fit_intercept: bool = True,
    weights_kind: str = "precision",
    confidence: float = 0.95,
    dask: str | None = None,
    large: int = LARGE,
    tell: Callable[..., object] = lambda **_: None,
) -> FileRegression:
    r"""Distilled regression on columns of a file, with standard errors.

    Parameters
    ----------
    path, target, teacher, privileged, features, weight
        A file and its columns, as `kdtheory.readers.Table`. Without a teacher it is ordinary
        regression.
    trust : float, "loo", "gcv" or "evidence", optional
        λ in [0, 1], by default 0.5 (0 without a teacher); or how to choose it: the least
        leave-one-out or generalised cross-validation error, or maximum evidence, which needs the
        file in memory and is refused where it is read in blocks or by a cluster.
    sigma, sigma_teacher : float, optional
        Both noise levels, as standard deviations, if they are known: standard errors are then
        those of the model. By default both are 1 and standard errors are those of the sandwich;
        "evidence" estimates those that are not given.
    convention : {"precision", "printed"}, default "precision"
        Of `distil_regression`. With "printed" they are not standard deviations, and standard errors
        are those of the sandwich.
    ridge : float, default 0
        ρ, at least 0, the factor of :math:`\|w\|^2`.
    fit_intercept : bool, default True
        Whether to add an intercept, which is not penalised.
    weights_kind : {"precision", "frequency"}, default "precision"
        Meaning of the column `weight`: a factor of the precision of one object, or a whole number
        of equal objects. The leave-one-out error then leaves out one of these. "evidence" needs
        "precision".
    confidence : float, default 0.95
        Coverage of the intervals, in (0, 1).
    dask : str, optional
        Address of the scheduler of a cluster, whose workers then read the file, which they must
        find under the same name. In a CSV they take a row that is too short for one whose last
        cells are empty.
    large : int, default 2**28
        Bytes of numbers from which the file is not read whole.
    tell : callable, optional
        Called with `description`, `total` and `completed`, as rich's progress bars are.

    Returns
    -------
    FileRegression

    Raises
    ------
    ValueError, TypeError
        With one line that names the argument or the column, the rule and the value. Features and
        answers may be as large as 1e150, whose squares a double still holds.
    ImportError
        If pyarrow or Dask is needed and is not there.

    See Also
    --------
    write_regression : Coefficients and residuals as files.
    kdtheory.distil_regression : The same for arrays.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> path = Path(folder.name) / "cars.csv"
    >>> rows = ["weight,price,expert", "1.5,10,12", "2.0,15,", "1.0,8,7", "2.5,17,18"]
    >>> _ = path.write_text("\n".join(rows))
    >>> result = regression_of_file(path, target="price", teacher="expert", trust=0.5)
    >>> result.inference.names, result.inference.estimates.round(6)
    (('intercept', 'weight'), array([0.85, 6.8 ]))
    >>> folder.cleanup()
    """
    question = _Question(
        target, teacher is not None, trust, sigma, sigma_teacher, convention, ridge,
        fit_intercept, weights_kind, confidence,
    ).checked()  # fmt: skip
    table = Table(
        path, target=target, teacher=teacher, privileged=privileged, features=features,
        weight=weight,
    )  # fmt: skip
    if fit_intercept and "intercept" in table.names:
        msg = (
            "`features` must leave out the column 'intercept' where an intercept is fitted, "
            "got both"
        )
        raise ValueError(msg)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if dask is not None:
            read = "by a cluster"
            with _client(dask) as client:
                answer = _in_blocks(
                    _ClusterRows(table, weights_kind, client, tell), table, question
                )
        elif _size(table) < large:
            read = "whole"
            answer = _whole(_FileRows(table, weights_kind, tell), question)
        else:
            read = "in blocks"
            answer = _in_blocks(_FileRows(table, weights_kind, tell), table, question)
    told = [str(one.message) for one in caught]
    if answer.no_op:
        told.append(NO_OP)
    document = {
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "file": {
            "name": table.path.name,
            "bytes": table.n_bytes,
            "rows": answer.n_rows,
            "read": read,
        },
        "arguments": {
            "target": target,
            "teacher": teacher,
            "privileged": privileged,
            "features": list(table.names),
            "weight": weight,
            "trust": answer.trust,
            "trust_by": trust if isinstance(trust, str) else None,
            "sigma": answer.sigma,
            "sigma_teacher": answer.sigma_teacher,
            "convention": convention,
            "ridge": question.ridge,
            "fit_intercept": fit_intercept,
            "weights_kind": weights_kind,
            "confidence": question.confidence,
        },
        "fit": _fit_document(answer),
        "coefficients": _coefficients(answer.inference),
        "warnings": list(dict.fromkeys(told)),
    }
    return FileRegression(answer.inference, document, answer.cloud)


def write_regression(
    out: str | os.PathLike[str], result: FileRegression, *, name: str = "out"
) -> tuple[Path, ...]:
    """Write coefficients as JSON and CSV, and the residuals as a figure: all of them or none.

    Parameters
    ----------
    out : path_like
        The folder; made if absent.
    result : FileRegression
    name : str, default "out"
        What the argument `out` is called where a mistake is told.

    Returns
    -------
    tuple of pathlib.Path
        The files, named `FILES`: the same bytes for the same result.

    Raises
    ------
    ValueError
        If the folder cannot be written.
    """
    from kdtheory import plotting  # matplotlib is loaded when there is something to draw

    cloud = result.cloud
    drawn = cloud.points if len(cloud.counts) == 0 else cloud.table()
    file, target = result.document["file"], result.document["arguments"]["target"]
    svg = plotting.to_svg(
        plotting.residuals_against_fitted(*drawn),
        name="residuals",
        title=f"Residuals of {target} against fitted values",
        description=f"{file['rows']} objects of {file['name']}; zero is marked by a line.",
    )
    table = StringIO()
    writer = csv.DictWriter(table, result.document["coefficients"][0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(result.document["coefficients"])
    data = json_text(result.document)
    return write_files(name, out, dict(zip(FILES, (data, table.getvalue(), svg), strict=True)))


@dataclass(frozen=True)
class _Question:
    """What is asked of the columns."""

    target: str
    taught: bool
    trust: float | str | None
    sigma: float | None
    sigma_teacher: float | None
    convention: str
    ridge: float
    fit_intercept: bool
    weights_kind: str
    confidence: float

    def checked(self) -> "_Question":
        """The same, with bad input found before anything is read."""
        check_choice("convention", self.convention, ("precision", "printed"))
        check_choice("weights_kind", self.weights_kind, WEIGHTS_KINDS)
        trust = self.trust
        if isinstance(trust, str) and trust not in CHOICES:
            words = ", ".join(repr(word) for word in CHOICES)
            msg = f"`trust` must be in [0, 1] or one of {words}, got {trust!r}"
            raise ValueError(msg)
        if trust is not None and not isinstance(trust, str):
            trust = check_in_unit_interval("trust", trust)
        noise = {"sigma": self.sigma, "sigma_teacher": self.sigma_teacher}
        for name, level in noise.items():
            if level is not None:
                check_positive(name, level)
        if not self.taught:
            for name, value in {"trust": trust, "sigma_teacher": self.sigma_teacher}.items():
                if value is not None:
                    msg = f"`{name}` must be left out where there is no teacher, got {value!r}"
                    raise ValueError(msg)
        elif trust == "evidence":
            if self.convention != "precision":
                msg = "`convention` must be 'precision' for the trust 'evidence', got 'printed'"
                raise ValueError(msg)
            if self.weights_kind != "precision":
                msg = (
                    "`weights_kind` must be 'precision' for the trust 'evidence', got "
                    f"{self.weights_kind!r}"
                )
                raise ValueError(msg)
        elif (self.sigma is None) != (self.sigma_teacher is None):
            words = ", ".join(f"{level!r}" for level in noise.values())
            msg = f"`sigma` and `sigma_teacher` must be given both or neither, got {words}"
            raise ValueError(msg)
        return replace(
            self,
            trust=trust,
            ridge=check_nonnegative("ridge", self.ridge),
            confidence=check_in_open_unit_interval("confidence", self.confidence),
        )

    @property
    def fixed_trust(self) -> float:
        """The trust, unless it is to be chosen."""
        if isinstance(self.trust, float):
            return self.trust
        return 0.5 if self.taught else 0.0

    @property
    def noise(self) -> dict[str, float]:
        """Noise levels for the estimate, of which only the ratio matters if none is known."""
        return {"sigma": self.sigma or 1.0, "sigma_teacher": self.sigma_teacher or 1.0}

    @property
    def known(self) -> dict[str, Any]:
        """Noise levels, if both are known, for `inference`."""
        if self.convention == "printed" or self.sigma is None:
            return {}
        if not self.taught:
            return {"sigma": self.sigma}
        if self.sigma_teacher is None:
            return {}
        return {"sigma": self.sigma, "sigma_teacher": self.sigma_teacher}


@dataclass(frozen=True)
class _Answer:
    """What both ways of reading find."""

    inference: Inference
    cloud: ResidualCloud
    n_rows: int
    trust: float
    sigma: float
    sigma_teacher: float
    loo_error: float
    no_op: bool


class _FileRows:
    """Blocks of a file, one after another, with the weights checked and progress told."""

    def __init__(self, table: Table, weights_kind: str, tell: Callable[..., object]) -> None:
        self.table, self.weight, self.tell = table, table.roles.get("weight"), tell
        self.rules = _rules(table, weights_kind)

    def blocks(self, task: str) -> Iterator[Block]:
        """All rows, from the first to the last."""
        self.tell(description=task, total=1.0, completed=0.0)
        first = 0
        heaviest = 0.0
        for block in self.table.blocks(progress=lambda share: self.tell(completed=share)):
            try:
                columns = _columns(block, self.table.names, self.table.roles)
                _require_rules(self.rules, columns, first)
            except ValueError:
                self.table.find_bad_cell(rules=self.rules)  # which knows the line of a CSV
                raise
            if block.sample_weight is not None:
                heaviest = max(heaviest, block.sample_weight.max())
            first += len(block.y)
            yield block
        if self.weight is not None and heaviest == 0:
            _refuse_zeros(self.weight)

    def reduced(self, task: str, part: Callable[[Block], Any], merge: Callable[..., Any]) -> Any:
        """What `part` makes of each block, merged."""
        return reduce(merge, map(part, self.blocks(task)))


class _ClusterRows:
    """Partitions of the same file on the workers of a Dask cluster."""

    def __init__(
        self,
        table: Table,
        weights_kind: str,
        client: Any,
        tell: Callable[..., object],
    ) -> None:
        self.table, self.weight, self.tell = table, table.roles.get("weight"), tell
        self.client, self.rules = client, _rules(table, weights_kind)
        if not table.path.name.lower().endswith((".parquet", ".pq", ".csv")):
            msg = f"`path` must end in .parquet, .pq or .csv for a cluster, got '{table.path}'"
            raise ValueError(msg)
        with table.path.open("rb") as file:
            if file.readline().isspace():  # Dask would take it for the header
                msg = (
                    "`path` must begin with its header for a cluster, got a blank line in "
                    f"'{table.path}'"
                )
                raise ValueError(msg)
        with self._told_in_one_line():
            self.partitions = self._frame(str(table.path.absolute())).to_delayed()

    def _frame(self, name: str) -> Any:
        import dask.dataframe as dataframe

        wanted = [*self.table.names, *self.table.roles.values()]
        if not name.lower().endswith(".csv"):
            return dataframe.read_parquet(
                name, columns=wanted, blocksize=PARTITION, split_row_groups="adaptive"
            )
        mask = self.table.roles.get("privileged")
        numeric = [column for column in wanted if column != mask]
        # kinds that are guessed from the first lines would turn the text "False" into True; and
        # only where all columns are read is a row with too many cells refused
        kinds: dict[str, Any] = dict.fromkeys(self.table.columns, str)
        return dataframe.read_csv(
            name, dtype=kinds | dict.fromkeys(numeric, np.float64), blocksize=PARTITION,
            na_values=dict.fromkeys(numeric, SPELLINGS), keep_default_na=False,
        )  # fmt: skip

    def reduced(self, task: str, part: Callable[[Block], Any], merge: Callable[..., Any]) -> Any:
        """What `part` makes of each partition, merged as a tree on the workers."""
        import dask
        import dask.bag

        self.tell(description=task)
        read = dask.delayed(_of_partition)
        rules = dask.delayed(self.rules, traverse=False)
        cells = len(self.table.columns) if self.table.n_rows is None else None
        parts = [
            read(part, partition, list(self.table.names), self.table.roles, rules, cells, number)
            for number, partition in enumerate(self.partitions)
        ]
        total = dask.bag.from_delayed(parts).fold(merge, split_every=FAN_IN)
        with self._told_in_one_line():
            return self.client.compute(total).result()

    @contextmanager
    def _told_in_one_line(self) -> Iterator[None]:
        """Tell whatever happens far away in one line, of a CSV with its line."""
        try:
            yield
        except Exception as error:
            self.table.find_bad_cell(rules=self.rules)
            words = " ".join(str(error).split())
            if not words.startswith(("`", "column ")):
                words = f"the cluster failed with '{self.table.path}': {words}"
                if type(error).__module__.startswith("pyarrow") or type(error) is OSError:
                    kind = "CSV" if self.table.path.name.lower().endswith("csv") else "Parquet"
                    words = f"`path` must be a whole {kind} file; {words}"
            raise ValueError(words) from error


def _is_weight(number: Any) -> Any:
    return number >= 0


def _is_count(number: Any) -> Any:
    return (number >= 0) & (number == np.floor(number))


def _has_square(number: Any) -> Any:
    return np.abs(number) <= LARGEST


def _rules(table: Table, weights_kind: str) -> dict[str, Rule]:
    """What the numbers of each column must be, besides finite."""
    size = (f"numbers of at most {LARGEST:g} in size", _has_square)
    rules: dict[str, Rule] = dict.fromkeys([*table.names, *table.roles.values()], size)
    if "weight" in table.roles:
        counts = weights_kind == "frequency"
        words, test = ("whole numbers", _is_count) if counts else ("weights", _is_weight)
        rules[table.roles["weight"]] = (f"{words} of at least 0", test)
    return rules


def _columns(block: Block, names: Sequence[str], roles: dict[str, str]) -> dict[str, Reals]:
    """The numbers of a block by their columns, with 0 for an answer outside I."""
    columns = dict(zip(names, block.X.T, strict=True)) | {roles["target"]: block.y}
    if block.teacher is not None:
        columns[roles["teacher"]] = np.where(block.privileged, block.teacher, 0.0)
    if block.sample_weight is not None:
        columns[roles["weight"]] = block.sample_weight
    return columns


def _require_rules(
    rules: dict[str, Rule], columns: dict[str, Reals], first: int, where: str = ""
) -> None:
    for name, values in columns.items():
        rule, test = rules[name]
        good = np.asarray(test(values))
        if not good.all():
            at = int(np.argmin(good))
            got = f"{values[at]} in row {first + at} (from 0){where}"
            msg = f"column {name!r} must hold {rule}, got {got}"
            raise ValueError(msg)


def _refuse_zeros(name: str) -> None:
    msg = f"column {name!r} must hold a positive weight, got only zeros"
    raise ValueError(msg)


def _of_partition(
    part: Callable[[Block], Any],
    frame: Any,
    names: list[str],
    roles: dict[str, str],
    rules: dict[str, Rule],
    cells: int | None,
    number: int,
) -> list[Any]:
    """What `part` makes of a partition, a pandas dataframe; a list of one, as a bag wants it."""
    where = f" of partition {number}"
    # pandas takes the first cells for labels if the first row has more of them than the header
    if cells is not None and type(frame.index).__name__ != "RangeIndex":
        msg = f"every row must have {cells} cells, got more in row 0 (from 0){where}"
        raise ValueError(msg)
    X = frame[names].to_numpy(np.float64, na_value=np.nan)
    given = {
        role: frame[name].to_numpy(np.float64, na_value=np.nan)
        for role, name in roles.items()
        if role != "privileged"
    }
    teacher, inside = given.get("teacher"), None
    if teacher is not None:
        inside = ~np.isnan(teacher)
        if "privileged" in roles:
            inside = _truth(roles["privileged"], frame[roles["privileged"]], where)
        given["teacher"] = np.where(inside, teacher, 0.0)
    block = Block(X, given["target"], given.get("teacher"), inside, given.get("weight"))
    columns = _columns(block, names, roles)
    for name, values in columns.items():
        passed = np.isfinite(values)
        if not passed.all():
            at = int(np.argmin(passed))
            got = f"{values[at]} in row {at} (from 0){where}"
            msg = f"column {name!r} must hold a finite number, got {got}"
            raise ValueError(msg)
    _require_rules(rules, columns, 0, where)
    return [part(block)]


def _truth(name: str, column: Any, where: str) -> NDArray[np.bool_]:
    found = column.astype(str).str.strip().str.lower().map(TRUTH)
    if found.isna().any():
        at = int(np.argmax(found.isna()))
        got = f"{column.iloc[at]!r} in row {at} (from 0){where}"
        msg = f"column {name!r} must hold true or false, got {got}"
        raise ValueError(msg)
    return np.asarray(found, dtype=bool)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A client of the scheduler that listens there."""
    try:
        from dask.distributed import Client, rpc
    except ImportError:
        msg = "a cluster needs Dask: pip install 'kdtheory[distributed]'"
        raise ImportError(msg) from None

    async def kind() -> Any:
        async with rpc(address, timeout=SECONDS) as scheduler:
            return (await scheduler.identity())["type"]

    # asked first: a client that nobody answers waits for ever, or complains when it is collected
    try:
        answer = asyncio.run(asyncio.wait_for(kind(), SECONDS))
    except TimeoutError:
        answer = f"no answer in {SECONDS} s"
    except Exception as error:  # each kind of address fails in its own way
        answer = " ".join(str(error).split())
    client = None
    if answer == "Scheduler":
        try:
            client = Client(address, timeout=SECONDS, set_as_default=False)
        except Exception as error:
            answer = " ".join(str(error).split())
    if client is None:
        msg = f"`dask` must be the address of a running scheduler, got {address!r} ({answer})"
        raise ValueError(msg)
    with client:
        yield client


def _size(table: Table) -> int:
    """Bytes that the numbers take, or those of a file that does not say how many there are."""
    if table.n_rows is not None:
        return 8 * table.n_rows * (len(table.names) + 4)
    return table.n_bytes * (INFLATED if table.path.name.lower().endswith(".gz") else 1)


def _whole(source: _FileRows, question: _Question) -> _Answer:
    """Regression on a file that fits in memory."""
    columns: list[Any] = [
        None if parts[0] is None else np.concatenate(parts)
        for parts in zip(*source.blocks("reading"), strict=True)
    ]
    X, y, teacher, inside, weight = columns
    problem: dict[str, Any] = {
        "privileged": inside, "sample_weight": weight, "ridge": question.ridge,
        "fit_intercept": question.fit_intercept,
    }  # fmt: skip
    noise, trust = question.noise, question.trust
    source.tell(description="fitting")
    if trust == "evidence":
        found = maximum_evidence(
            X, y, teacher, sigma=question.sigma, sigma_teacher=question.sigma_teacher, **problem
        )
        trust = found.trust
        levels = {name: getattr(found, name) for name in noise}
        noise |= {name: level for name, level in levels.items() if math.isfinite(level)}
    problem |= {**noise, "convention": question.convention}
    if isinstance(trust, str):
        path = trust_path(X, y, teacher, weights_kind=question.weights_kind, **problem)
        trust = path.best(trust)
    if trust is None:
        trust = question.fixed_trust
    fit = distil_regression(X, y, teacher, trust=trust, **problem)
    found_inference = inference(
        fit, **question.known, weights_kind=question.weights_kind, confidence=question.confidence,
        names=source.table.names, target_names=[question.target],
    )  # fmt: skip
    cloud = ResidualCloud()
    cloud.add(fit.fitted, y - fit.fitted)
    return _Answer(
        found_inference, cloud, len(X), trust, **noise,
        loo_error=_loo_error(fit, question.weights_kind), no_op=fit.no_op,
    )  # fmt: skip


def _in_blocks(source: "_FileRows | _ClusterRows", table: Table, question: _Question) -> _Answer:
    """Regression on a file of any size, in two passes, or three if a trust is to be chosen."""
    if question.trust == "evidence":
        msg = "`trust` must not be 'evidence' for a file that is read in blocks, got 'evidence'"
        raise ValueError(msg)
    criterion = question.trust if isinstance(question.trust, str) else None
    sums = source.reduced(
        "reading", partial(_first_sums, question, criterion is not None), operator.add
    )
    if source.weight is not None and sums.factors.n_objects == 0:
        _refuse_zeros(source.weight)
    trust = question.fixed_trust
    if criterion is not None:
        solutions = sums.path.solutions(
            TRUSTS, ridge=question.ridge, weights_kind=question.weights_kind
        )
        if not solutions.safe.all():
            msg = (
                "`trust` must be a number where the columns of a file read in blocks are nearly "
                f"dependent, got {criterion!r}"
            )
            raise ValueError(msg)
        errors = source.reduced("trust", partial(_path_sums, question, solutions), operator.add)
        trust = solutions.path(errors).best(criterion)
    found = sums.factors.solve(
        trust=trust, **question.noise, convention=question.convention, ridge=question.ridge,
        fit_intercept=question.fit_intercept,
    )  # fmt: skip
    enters = trust > 0 and found.factors.n_privileged > 0
    covariance = automatic_covariance(**question.known, taught=enters)
    errors = source.reduced(
        "errors", partial(_second_sums, question, found, covariance), operator.add
    )
    found_inference = inference_from_sums(
        found.solution, errors.inference, covariance=covariance, trust=trust,
        weights_kind=question.weights_kind, ridge=question.ridge, confidence=question.confidence,
        names=table.names, target_names=[question.target],
    )  # fmt: skip
    loo_error = errors.squares / errors.precision
    return _Answer(
        found_inference, errors.cloud, errors.n_rows, trust, **question.noise,
        loo_error=loo_error, no_op=found.no_op,
    )  # fmt: skip


@dataclass(frozen=True)
class _FirstSums:
    """What fixes the estimate, and the path of estimates along the trust if one is wanted."""

    factors: DistilledFactors
    path: PathStatistics | None

    def __add__(self, other: "_FirstSums") -> "_FirstSums":
        path = deepcopy(self.path)  # a task of a cluster may run twice, so nothing is changed
        if path is not None and other.path is not None:
            path.merge(other.path)
        return _FirstSums(self.factors.merge(other.factors), path)


@dataclass(frozen=True)
class _SecondSums:
    """What the errors of an estimate need."""

    inference: InferenceSums
    squares: float
    precision: float
    cloud: ResidualCloud
    n_rows: int

    def __add__(self, other: "_SecondSums") -> "_SecondSums":
        return _SecondSums(
            self.inference + other.inference,
            self.squares + other.squares,
            self.precision + other.precision,
            self.cloud + other.cloud,
            self.n_rows + other.n_rows,
        )


def _first_sums(question: _Question, with_path: bool, block: Block) -> _FirstSums:
    n = block.X.shape[1]
    factors = DistilledFactors.empty(n).update(
        block.X, block.y, block.teacher, privileged=block.privileged,
        sample_weight=block.sample_weight,
    )  # fmt: skip
    path = None
    if with_path:
        path = PathStatistics(n, fit_intercept=question.fit_intercept)
        path.update(_rows(block, question))
    return _FirstSums(factors, path)


def _path_sums(question: _Question, solutions: PathSolutions, block: Block) -> PathSums:
    return solutions.sums(_rows(block, question))


def _second_sums(
    question: _Question, found: DistilledSolution, covariance: str, block: Block
) -> _SecondSums:
    fit = _block_fit(_rows(block, question), found)
    precision = float(fit.label_precision.sum())
    cloud = ResidualCloud()
    cloud.add(fit.fitted[:, 0], (fit.y - fit.fitted)[:, 0])
    return _SecondSums(
        fit_sums(fit, covariance=covariance, weights_kind=question.weights_kind, **question.known),
        _loo_error(fit, question.weights_kind) * precision if precision > 0 else 0.0,
        precision,
        cloud,
        len(fit.y),
    )


def _loo_error(fit: DistilledFit, weights_kind: str) -> float:
    """Mean square error of labels left out: with the whole row, or with one of its c copies."""
    if weights_kind == "precision":
        return fit.loo_error
    counted = fit.sample_weight > 0
    leverages = fit.leverages[counted] / fit.sample_weight[counted]
    left = 1 - leverages
    if not (left > ALONE).all():
        return np.inf
    errors = (fit.y - fit.fitted)[counted].T + leverages / left * fit.residuals[counted].T
    return float(np.average(errors**2, axis=-1, weights=fit.label_precision[counted]).mean())


def _rows(block: Block, question: _Question) -> Rows:
    """A block with everything that (15) says of its objects."""
    m = len(block.y)
    inside, teacher = np.zeros(m, dtype=bool), np.zeros(m)
    if block.teacher is not None:
        inside, teacher = block.privileged, np.where(block.privileged, block.teacher, 0.0)
    label_weight, teacher_weight = (
        np.full(m, noise_weight(name, level, m, question.convention))
        for name, level in question.noise.items()
    )
    weight = np.ones(m) if block.sample_weight is None else block.sample_weight
    return Rows(
        block.X, block.y[:, None], teacher[:, None], inside, label_weight, teacher_weight, weight
    )


def _block_fit(rows: Rows, found: DistilledSolution) -> DistilledFit:
    """These objects under an estimate that was found with all."""
    weights, targets = blend(
        rows.y,
        rows.teacher,
        rows.privileged,
        found.trust,
        rows.label_precision,
        rows.teacher_precision,
    )
    c = rows.sample_weight
    return DistilledFit(
        coef=found.solution.coef,
        intercept=found.solution.intercept,
        weights=c * weights,
        targets=targets,
        label_precision=c * rows.label_precision,
        teacher_precision=c * rows.teacher_precision,
        solution=found.solution,
        X=rows.X,
        y=rows.y,
        teacher=rows.teacher,
        privileged=rows.privileged,
        sample_weight=c,
        trust=found.trust,
        ridge=found.ridge,
        fit_intercept=found.fit_intercept,
    )


def _fit_document(answer: _Answer) -> dict[str, Any]:
    found = answer.inference
    names = (
        "kind", "distribution", "df", "noise", "r_squared", "n_objects", "n_privileged", "solver",
        "rank", "condition", "notes",
    )  # fmt: skip
    told = {name: finite_or_none(getattr(found, name)) for name in names}
    return told | {"leave_one_out_error": finite_or_none(answer.loo_error), "no_op": answer.no_op}


def _coefficients(found: Inference) -> list[dict[str, Any]]:
    columns = {
        "estimate": found.estimates, "standard_error": found.standard_errors,
        "statistic": found.statistics, "p_value": found.p_values, "low": found.low,
        "high": found.high,
    }  # fmt: skip
    return [
        {"name": name} | {column: finite_or_none(values[j]) for column, values in columns.items()}
        for j, name in enumerate(found.names)
    ]
