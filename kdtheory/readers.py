r"""Blocks of rows from arrays, memory maps, Parquet, CSV and .npy files, in constant memory.

A source is anything that gives blocks (X, y, teacher, privileged, sample_weight) when it is
iterated; one that may be iterated again can be read twice. While a block is being worked on, a
thread reads the next one.

notation: I = privileged, s = teacher, c = sample_weight
"""

import csv
import gzip
import math
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from kdtheory._checks import check_count, check_lengths_agree

__all__ = ["ArrayBlocks", "Block", "Table", "read_ahead"]

T = TypeVar("T")
Column = str | int
Rule = tuple[str, Callable[[Any], Any]]  # what a number must be, in words and as a test

NUMBERS = 2**22  # in one block by default: 32 MiB of float64
CSV_BYTES = 2**23  # of a CSV file read at once
MISSING = frozenset({"", "na", "n/a", "nan", "-nan", "null", "none", "#n/a", "#na"})
# as Arrow compares them: as they are, in capitals, and as in NaN and None
SPELLINGS = sorted({*MISSING, *map(str.upper, MISSING), "NaN", "-NaN", "None", "Null"})
LABEL = "a label, which is a word or a finite number"
TRUTH = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


class Block(NamedTuple):
    """Some rows: X (b, n), y (b,) or (b, p), and what else there is of teacher, I and c.

    With labels y is an array of texts, and a teacher of several columns has shape (b, p).
    """

    X: Any
    y: Any
    teacher: Any = None
    privileged: Any = None
    sample_weight: Any = None


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each read in a thread while the one before is being worked on.

    Examples
    --------
    >>> list(read_ahead([3, 1, 2]))
    [3, 1, 2]
    """
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(next, iterator, end)
        while (item := ahead.result()) is not end:
            ahead = reader.submit(next, iterator, end)
            yield item  # type: ignore[misc]


class ArrayBlocks:
    """Blocks of arrays of any size; may be read again and again.

    Parameters
    ----------
    X, y, teacher, privileged, sample_weight : array_like or path_like
        Arrays, memory maps, or names of .npy files, which are mapped. Lengths must agree.
    rows : int, optional
        Rows of a block; by default such that a block of X has 32 MiB.

    Raises
    ------
    ValueError
        If lengths differ, or a file cannot be read or would need unpickling.

    Notes
    -----
    What a memory map has read counts as resident memory until the system wants it back. `Table`
    reads .npy files without mapping them.

    Examples
    --------
    >>> blocks = ArrayBlocks(np.ones((5, 2)), np.arange(5.0), rows=2)
    >>> [block.y.tolist() for block in blocks]
    [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        teacher: Any = None,
        privileged: Any = None,
        sample_weight: Any = None,
        *,
        rows: int | None = None,
    ) -> None:
        given = Block(X, y, teacher, privileged, sample_weight)._asdict()
        arrays = {name: _opened(name, value) for name, value in given.items() if value is not None}
        self.n_rows = check_lengths_agree(**arrays)
        self._arrays = arrays
        width = math.prod(arrays["X"].shape[1:])
        self.rows = _rows_of_block(rows, width)

    def __iter__(self) -> Iterator[Block]:
        return read_ahead(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        for first in range(0, self.n_rows, self.rows):
            here = slice(first, first + self.rows)
            # a copy of a map is what reads it, in the reader's thread
            yield Block(
                **{
                    name: np.array(array[here]) if isinstance(array, np.memmap) else array[here]
                    for name, array in self._arrays.items()
                }
            )


class Table:
    r"""Named columns of a Parquet, CSV or .npy file as a problem of learning, block by block.

    Parameters
    ----------
    path : path_like
        A file that ends in .parquet or .pq; .csv or .csv.gz, in UTF-8 and with a header; or .npy,
        a matrix whose columns are called 0, 1, 2, ….
    target : str or int
        Column of y.
    teacher : str, int or a sequence of these, optional
        Column of s, or its columns. Without `privileged`, an empty cell (null or NaN) says that
        this object has no teacher's answer; of several columns all must then be empty.
    privileged : str or int, optional
        Column of I, boolean or 0 and 1, or the words true and false. Where it is true there must
        be an answer in `teacher`.
    features : sequence of str or int, optional
        Columns of X, in this order; by default all other numeric columns. A column of a CSV is
        numeric if its first cell is a number, be it infinite, or empty.
    weight : str or int, optional
        Column of c.
    labels : bool, default False
        Whether the target names classes: its cells are then any words, numbers, truth values or
        dates, and are read as texts without the blanks around them. A cell that would be missing
        in a column of numbers is missing here too, and so are the words NA and None.

    Attributes
    ----------
    path : pathlib.Path
    columns : dict of str to bool
        Name of each column of the file, and whether it is numeric.
    names : tuple of str
        Names of the features.
    roles : dict of str to str
        Column of each other part of the problem: target, teacher if it is one, privileged, weight.
    answers : tuple of str
        Columns of the teacher: none, one or several.
    n_rows : int or None
        Number of rows; None for a CSV, which does not say.
    n_bytes : int
        Size of the file.

    Raises
    ------
    ValueError
        If the file cannot be read, is cut off, has no rows, or has a name with another ending; if
        a column is missing, not numeric, there twice, or named for two parts. While reading: if a
        cell is empty, or neither a finite number nor a label, with its row, from 0 (of a CSV its
        line, from 1, the header included).
    ImportError
        If pyarrow is not installed and the file is not .npy.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> path = Path(folder.name) / "cars.csv"
    >>> _ = path.write_text("weight,price,expert\n1.5,10,12\n2.0,15,\n1.0,8,7\n")
    >>> table = Table(path, target="price", teacher="expert")
    >>> table.names
    ('weight',)
    >>> block = next(iter(table))
    >>> block.y, block.privileged
    (array([10., 15.,  8.]), array([ True, False,  True]))
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        target: Column,
        teacher: Column | Sequence[Column] | None = None,
        privileged: Column | None = None,
        features: Sequence[Column] | None = None,
        weight: Column | None = None,
        labels: bool = False,
    ) -> None:
        self.path = Path(path)
        self._kind = _kind(self.path)
        self.n_bytes = _size(self.path)
        self._labels = labels
        self._one_answer = isinstance(teacher, Column)
        answers = [teacher] if isinstance(teacher, Column) else list(teacher or ())
        self.answers = tuple(str(name) for name in answers)
        if privileged is not None and not self.answers:
            msg = f"`privileged` must be None without a teacher, got {privileged!r}"
            raise ValueError(msg)
        named = [("target", str(target)), *(("teacher", name) for name in self.answers)]
        for role, column in (("privileged", privileged), ("weight", weight)):
            if column is not None:
                named.append((role, str(column)))
        taken: dict[str, str] = {}
        for role, name in named:
            _require_free(role, name, taken)
            taken[name] = role
        columns = self.columns
        _require_unique("column names", list(columns), self.path)
        for role, name in named:
            _require_there(role, name, columns)
        self.roles = {role: name for role, name in named if role != "teacher" or self._one_answer}
        if features is None:
            chosen = [name for name, numeric in columns.items() if numeric and name not in taken]
        else:
            chosen = [str(name) for name in features]
        if not chosen:
            msg = f"`features` must name at least one column, got none in '{self.path}'"
            raise ValueError(msg)
        for name in chosen:
            _require_there("features", name, columns)
            _require_free("features", name, taken)
        _require_unique("`features`", chosen, self.path)
        words = {"privileged", "target"} if labels else {"privileged"}
        for name in [*chosen, *(name for role, name in named if role not in words)]:
            if not columns[name]:
                self._refuse_text(name)
        if labels:
            self._require_labels(str(target))
        self.names = tuple(chosen)
        self.n_rows: int | None = self._count()
        if self.n_rows == 0:
            msg = f"`path` must be a file with at least one row, got '{self.path}'"
            raise ValueError(msg)

    def __iter__(self) -> Iterator[Block]:
        return self.blocks()

    def blocks(
        self, *, rows: int | None = None, progress: Callable[[float], object] | None = None
    ) -> Iterator[Block]:
        """The rows from the first to the last, as often as one likes.

        Parameters
        ----------
        rows : int, optional
            Rows of a block, at most; by default such that a block of X has 32 MiB. The blocks of
            a CSV are as they come, about 8 MiB of text; those of a Parquet file end where its row
            groups do, and a row group is held in memory while it is read.
        progress : callable, optional
            Called with the share of the file, in [0, 1], that the blocks given so far hold.

        Yields
        ------
        Block
            In float64 (float32 if the .npy file is); finite, but for the teacher outside I.
            Labels are texts.
        """
        rows = _rows_of_block(rows, len(self.names) + len(self._others()))
        read = {"parquet": self._parquet, "csv": self._csv, "npy": self._npy}[self._kind]
        first = 0
        for cells, share in read_ahead(self._checked(read(rows))):
            first += len(cells.y)
            yield cells
            if progress is not None:
                progress(min(share, 1.0))
        if first == 0:
            msg = f"`path` must be a file with at least one row, got '{self.path}'"
            raise ValueError(msg)

    def find_bad_cell(
        self, names: Sequence[str] | None = None, rules: Mapping[str, Rule] | None = None
    ) -> None:
        """Read a CSV slowly up to the first cell that is not what it must be, and refuse it.

        Parameters
        ----------
        names : sequence of str, optional
            Columns to look at; by default those of the problem.
        rules : mapping of str to (str, callable), optional
            What the finite numbers of a column must be besides: in words, and as a test.

        Raises
        ------
        ValueError
            With column, rule, cell and line. If nothing is found, or the file is no CSV, nothing
            happens.
        """
        if self._kind != "csv":
            return
        looked_at = [*self.names, *self._others()] if names is None else names
        mask = self.roles.get("privileged")
        label = self.roles["target"] if self._labels else None
        with _CsvRows(self.path) as lines:
            header = next(lines)
            for cells in lines:
                where = f"in line {lines.line_num} of '{self.path}'"
                if len(cells) != len(header):
                    msg = f"every row must have {len(header)} cells, got {len(cells)} {where}"
                    raise ValueError(msg)
                row = dict(zip(header, cells, strict=True))
                answered = not all(_says_nothing(row[name]) for name in self.answers)
                inside = answered if mask is None else TRUTH.get(row[mask].strip().lower())
                for name in looked_at:
                    if name == mask:
                        rule = None if inside is not None else "true or false"
                    elif name == label:
                        rule = _broken_rule_of_labels(row[name])
                    else:
                        free = name in self.answers and inside is False
                        rule = _broken_rule(
                            row[name], (rules or {}).get(name), free=free, masked=mask is not None
                        )
                    if rule is not None:
                        # blanks are shown where they are what is wrong
                        cell = row[name] if rule.endswith("nothing") else row[name].strip()
                        shown = repr(cell) if cell else "nothing"
                        msg = f"column {name!r} must hold {rule}, got {shown} {where}"
                        raise ValueError(msg)

    def place(self, row: int) -> str:
        """Where a row of the file is, in words that an error can end with.

        Parameters
        ----------
        row : int
            From 0.

        Returns
        -------
        str
            Of a CSV its line, from 1, the header included; of other files the row, from 0.
        """
        if self._kind != "csv":
            return f"in row {row} (from 0) of '{self.path}'"
        with _CsvRows(self.path) as lines:
            for _ in range(row + 2):
                next(lines)
            return f"in line {lines.line_num} of '{self.path}'"

    @cached_property
    def columns(self) -> dict[str, bool]:
        """Name of each column, and whether it is numeric. Twice the same name is refused."""
        if self._kind == "npy":
            return {str(j): True for j in range(self._header[1][1])}
        if self._kind == "csv":
            with _CsvRows(self.path) as lines:
                names = next(lines, None)
                first = next(lines, None)
            if names is None or first is None:
                msg = f"`path` must be a file with at least one row, got '{self.path}'"
                raise ValueError(msg)
            # what is not UTF-8 has become a surrogate, which UTF-8 cannot hold
            if any("\0" in name or re.search("[\ud800-\udfff]", name) for name in names):
                msg = f"`path` must be a CSV file in UTF-8, got column names {names[:3]!r}"
                raise ValueError(msg)
            _require_unique("column names", names, self.path)
            cells = [*first, *[""] * (len(names) - len(first))]
            return {
                name: _is_missing(cell) or _number(cell) is not None
                for name, cell in zip(names, cells, strict=False)
            }
        types = _pyarrow().types
        schema = self._open_parquet().schema_arrow
        _require_unique("column names", schema.names, self.path)
        numeric = (types.is_integer, types.is_floating, types.is_decimal)
        return {field.name: any(is_it(field.type) for is_it in numeric) for field in schema}

    def _refuse_text(self, name: str) -> None:
        if self._kind == "csv":
            self.find_bad_cell([name])
            msg = f"column {name!r} of '{self.path}' must be numeric, got words in its first row"
            raise ValueError(msg)
        kind = self._open_parquet().schema_arrow.field(name).type
        msg = f"column {name!r} of '{self.path}' must be numeric, got {kind}"
        raise ValueError(msg)

    def _require_labels(self, name: str) -> None:
        if self._kind == "parquet":
            kind = self._open_parquet().schema_arrow.field(name).type
            if not _may_be_labels(kind):
                msg = f"column {name!r} of '{self.path}' must hold labels, got {kind}"
                raise ValueError(msg)

    def _others(self) -> list[str]:
        """Columns that are not features."""
        return list(dict.fromkeys([*self.roles.values(), *self.answers]))

    def _count(self) -> int | None:
        if self._kind == "npy":
            return int(self._header[1][0])
        return int(self._open_parquet().metadata.num_rows) if self._kind == "parquet" else None

    def _checked(self, parts: Iterator[tuple[dict[str, Any], float]]) -> Iterator[Any]:
        """Blocks from columns, every number checked while the row is known."""
        first = 0
        for cells, share in parts:
            block = self._block(cells, first)
            first += len(block.y)
            yield block, share

    def _block(self, cells: dict[str, Any], first: int) -> Block:
        X, y = cells["features"], cells["target"]
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(X.sum())
        if suspicious:
            for j, name in enumerate(self.names):
                self._require_finite(name, X[:, j], first)
        if self._labels:
            self._require_told(y, first)
        else:
            self._require_finite(self.roles["target"], y, first)
        weight = cells.get("weight")
        if weight is not None:
            self._require_finite(self.roles["weight"], weight, first)
        teacher, mask = cells.get("teacher"), cells.get("privileged")
        if teacher is not None:
            empty = np.isnan(teacher).all(axis=1)
            mask = ~empty if mask is None else self._truth(mask, first)
            for name, answers in zip(self.answers, teacher.T, strict=True):
                self._require_finite(name, np.where(mask, answers, 0.0), first)
            if self._one_answer:
                teacher = teacher[:, 0]
        return Block(X, y, teacher, mask, weight)

    def _truth(self, values: NDArray[Any], first: int) -> NDArray[np.bool_]:
        truth: NDArray[np.bool_] = values == 1
        wrong = ~(truth | (values == 0))
        if wrong.any():
            at = int(np.argmax(wrong))
            self._refuse_cell(self.roles["privileged"], first + at, values[at], "true or false")
        return truth

    def _require_finite(self, name: str, values: NDArray[Any], first: int) -> None:
        passed = np.isfinite(values)
        if not passed.all():
            at = int(np.argmin(passed))
            self._refuse_cell(name, first + at, values[at], "a finite number")

    def _require_told(self, labels: NDArray[Any], first: int) -> None:
        """Refuse a label that is missing or infinite; few texts are different."""
        bad = {label for label in set(labels) if label is None or _is_infinite(label)}
        if bad:
            at = next(i for i, label in enumerate(labels) if label in bad)
            self._refuse_cell(self.roles["target"], first + at, labels[at], LABEL)

    def _refuse_cell(self, name: str, row: int, value: Any, rule: str) -> None:
        if self._kind == "csv":
            self.find_bad_cell([name])  # which knows the line and what is written there
        if isinstance(value, str):
            shown = repr(value)
        elif value is None:
            shown = "nothing"
        else:
            shown = "nothing" if np.isnan(value) else str(float(value))
        msg = (
            f"column {name!r} of '{self.path}' must hold {rule}, got {shown} in row {row} (from 0)"
        )
        raise ValueError(msg)

    @cached_property
    def _header(self) -> tuple[int, tuple[int, int], bool, np.dtype[Any]]:
        """Of a .npy file: where the numbers begin, shape, whether by columns, and dtype."""
        try:
            with self.path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, by_columns, dtype = read(file)
                start = file.tell()
        except ValueError as error:
            msg = f"`path` must be a .npy file, got '{self.path}' ({_one_line(error)})"
            raise ValueError(msg) from None
        if len(shape) != 2 or dtype.kind not in "fiub" or 0 in shape[1:]:
            msg = f"`path` must hold a matrix of real numbers, got {dtype} of shape {shape}"
            raise ValueError(msg)
        wanted = start + math.prod(shape) * dtype.itemsize
        if self.n_bytes < wanted:
            msg = (
                f"`path` must be a whole .npy file of {wanted} bytes, "
                f"got {self.n_bytes} in '{self.path}'"
            )
            raise ValueError(msg)
        return start, shape, by_columns, dtype

    def _npy(self, rows: int) -> Iterator[tuple[dict[str, Any], float]]:
        start, (m, width), by_columns, dtype = self._header
        place = {role: int(name) for role, name in self.roles.items()}
        chosen: Any = [int(name) for name in self.names]
        if chosen == list(range(chosen[0], chosen[-1] + 1)):
            chosen = slice(chosen[0], chosen[-1] + 1)
        mapped = np.memmap(self.path, dtype, "r", start, (m, width), "F") if by_columns else None
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            for first in range(0, m, rows):
                size = min(rows, m - first)
                if mapped is None:
                    # not mapped: what is mapped stays in memory as long as there is room
                    part = np.fromfile(file, dtype, size * width).reshape(size, width)
                else:
                    part = np.array(mapped[first : first + size])
                if dtype.kind != "f" or dtype.itemsize > 8:
                    part = part.astype(np.float64)
                cells: dict[str, Any] = {"features": part[:, chosen]}
                cells |= {role: part[:, j] for role, j in place.items()}
                if self.answers:
                    cells["teacher"] = part[:, [int(name) for name in self.answers]]
                if self._labels:
                    cells["target"] = _texts_of_numbers(cells["target"])
                yield cells, (first + size) / m

    def _open_parquet(self) -> Any:
        pa = _pyarrow()
        import pyarrow.parquet as parquet

        try:
            return parquet.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            self._refuse_file("Parquet", error)

    def _refuse_file(self, kind: str, error: BaseException) -> Any:
        msg = f"`path` must be a whole {kind} file, got '{self.path}' ({_one_line(error)})"
        raise ValueError(msg) from None

    def _parquet(self, rows: int) -> Iterator[tuple[dict[str, Any], float]]:
        pa = _pyarrow()
        assert self.n_rows is not None
        done = 0
        columns = [*self.names, *self._others()]
        with self._open_parquet() as file:
            # group by group: across all groups at once Arrow keeps what it has read of the others
            for group in range(file.num_row_groups):
                batches = file.iter_batches(rows, row_groups=[group], columns=columns)
                while True:
                    try:
                        batch = next(batches, None)
                    except (pa.ArrowException, OSError) as error:
                        self._refuse_file("Parquet", error)
                    if batch is None:
                        break
                    done += batch.num_rows
                    yield self._cells(batch), done / self.n_rows

    def _cells(self, batch: Any) -> dict[str, Any]:
        """Columns of an Arrow batch as arrays of float64, with NaN for what is missing."""
        X = np.empty((len(self.names), batch.num_rows))
        for j, name in enumerate(self.names):
            X[j] = _numbers(batch.column(name))
        cells: dict[str, Any] = {"features": X.T}
        if self.answers:
            answers = [_numbers(batch.column(name)) for name in self.answers]
            cells["teacher"] = np.column_stack(answers)
        special = {"privileged": _marks, "target": _texts if self._labels else _numbers}
        return cells | {
            role: special.get(role, _numbers)(batch.column(name))
            for role, name in self.roles.items()
            if role != "teacher"
        }

    def _csv(self, rows: int) -> Iterator[tuple[dict[str, Any], float]]:
        del rows  # the blocks of a CSV are counted in bytes
        pa = _pyarrow()
        import pyarrow.csv as arrow_csv

        wanted = [*self.names, *self._others()]
        types = dict.fromkeys(wanted, pa.float64())
        for role in ("privileged", "target") if self._labels else ("privileged",):
            if role in self.roles:
                types[self.roles[role]] = pa.string()
        done = 0
        try:
            with arrow_csv.open_csv(
                self.path,
                read_options=arrow_csv.ReadOptions(block_size=CSV_BYTES),
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=wanted, column_types=types, null_values=SPELLINGS
                ),
            ) as reader:
                for batch in reader:
                    done += CSV_BYTES
                    yield self._cells(batch), done / self.n_bytes
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            self.find_bad_cell(wanted)
            self._refuse_file("CSV", error)


class _CsvRows:
    """Rows of a CSV file as lists of strings, without blank lines, with `line_num`."""

    def __init__(self, path: Path) -> None:
        opened = gzip.open if path.suffix == ".gz" else open
        self._path = path
        self._file = opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._reader = csv.reader(self._file)

    def __enter__(self) -> "_CsvRows":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        try:
            return next(row for row in self._reader if row)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            msg = f"`path` must be a whole CSV file, got '{self._path}' ({_one_line(error)})"
            raise ValueError(msg) from error
        except csv.Error as error:
            where = f"line {self.line_num} of '{self._path}'"
            msg = f"`path` must be a CSV file, got {where} ({_one_line(error)})"
            raise ValueError(msg) from error

    @property
    def line_num(self) -> int:
        return self._reader.line_num


def _rows_of_block(rows: int | None, width: int) -> int:
    if rows is None:
        return max(1, NUMBERS // max(1, width))
    return check_count("rows", rows, least=1)


def _opened(name: str, value: Any) -> NDArray[Any]:
    if not isinstance(value, str | os.PathLike):
        array: NDArray[Any] = np.asanyarray(value)
        if array.ndim == 0:
            msg = f"`{name}` must have rows, got shape ()"
            raise ValueError(msg)
        return array
    try:
        return cast(NDArray[Any], np.load(value, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        msg = f"`{name}` must be a .npy file, got '{os.fspath(value)}' ({_one_line(error)})"
        raise ValueError(msg) from None


def _kind(path: Path) -> str:
    endings = {
        ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv", ".npy": "npy"
    }  # fmt: skip
    name = path.name.lower()
    for ending, kind in endings.items():
        if name.endswith(ending):
            return kind
    words = ", ".join(endings)
    msg = f"`path` must end in one of {words}, got '{path}'"
    raise ValueError(msg)


def _size(path: Path) -> int:
    try:
        with path.open("rb"):  # that it is there is not enough
            return path.stat().st_size
    except OSError as error:
        msg = f"`path` must be a file that can be read, got '{path}' ({error.strerror})"
        raise ValueError(msg) from None


def _require_there(role: str, name: str, columns: dict[str, bool]) -> None:
    if name not in columns:
        there = ", ".join(repr(other) for other in list(columns)[:20])
        more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
        msg = f"`{role}` must be a column, got {name!r}; there are {there}{more}"
        raise ValueError(msg)


def _require_free(role: str, name: str, taken: dict[str, str]) -> None:
    if name in taken:
        column = f"the {taken[name]} column" if taken[name] != role else f"a {role} column already"
        msg = f"`{role}` must not name {name!r}, which is {column}"
        raise ValueError(msg)


def _require_unique(what: str, names: Sequence[str], path: Path) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        msg = f"{what} must be unique, got {twice[0]!r} more than once in '{path}'"
        raise ValueError(msg)


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _says_nothing(cell: str) -> bool:
    number = _number(cell)
    return _is_missing(cell) or (number is not None and math.isnan(number))


def _is_infinite(cell: str) -> bool:
    number = _number(cell)
    return number is not None and not math.isfinite(number)


def _number(cell: str) -> float | None:
    """What Arrow reads there; None if it reads no number."""
    try:
        return float(cell) if cell.isascii() and "_" not in cell else None
    except ValueError:
        return None


def _broken_rule(cell: str, more: Rule | None, *, free: bool, masked: bool) -> str | None:
    """What a cell must hold and does not, in words; `free`: that of a teacher outside I."""
    number = _number(cell)
    if cell in SPELLINGS or (number is not None and math.isnan(number)):
        return None if free else "a finite number"
    if free and (_is_missing(cell) or (masked and number is None)):
        return "a number or nothing"
    if free and masked:
        return None
    if number is None or not math.isfinite(number):
        return "a finite number"
    if more is not None and not more[1](number):
        return more[0]
    return None


def _broken_rule_of_labels(cell: str) -> str | None:
    if _says_nothing(cell) or _is_infinite(cell):
        return LABEL
    return "text in UTF-8" if re.search("[\ud800-\udfff]", cell) else None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        msg = "Parquet and CSV files need pyarrow: pip install 'kdtheory[tables]'"
        raise ImportError(msg) from None
    return pa


def _marks(column: Any) -> NDArray[Any]:
    """Arrow array of truth values as 1 and 0, NaN where it is null; other words as they are."""
    types = _pyarrow().types
    # pandas writes a mask that once had a gap as floats
    if any(is_it(column.type) for is_it in (types.is_boolean, types.is_integer, types.is_floating)):
        return _numbers(column)
    words = [word if word is None else str(word) for word in column.to_pylist()]
    marks = [np.nan if w is None else TRUTH.get(w.strip().lower(), w) for w in words]
    return np.array(marks, dtype=object)


def _may_be_labels(kind: Any) -> bool:
    types = _pyarrow().types
    if types.is_dictionary(kind):
        kind = kind.value_type
    known = (
        types.is_string, types.is_large_string, types.is_string_view, types.is_integer,
        types.is_floating, types.is_decimal, types.is_boolean, types.is_date,
    )  # fmt: skip
    return any(is_it(kind) for is_it in known)


def _texts(column: Any) -> NDArray[Any]:
    """Arrow array of labels as texts, None where one is missing."""
    types = _pyarrow().types
    if not types.is_dictionary(column.type):
        column = column.dictionary_encode()
    words = [None if word is None else str(word).strip() for word in column.dictionary.to_pylist()]
    told = [None if word is None or _says_nothing(word) else word for word in words]
    places = column.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    labels: NDArray[Any] = np.array([*told, None])[places]
    return labels


def _texts_of_numbers(values: NDArray[Any]) -> NDArray[Any]:
    distinct, places = np.unique(values, return_inverse=True)
    words = [None if np.isnan(value) else str(value) for value in distinct]
    return np.array([*words, None])[places]


def _numbers(column: Any) -> NDArray[np.float64]:
    """Arrow array as float64, NaN where it is null."""
    pa = _pyarrow()
    if not pa.types.is_floating(column.type):
        column = column.cast(pa.float64(), safe=False)
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values.astype(np.float64, copy=False)
