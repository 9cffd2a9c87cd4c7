r"""Distilled regression on Dask arrays and dataframes: a tree of merges, where the rows are.

Each partition becomes its triangular factors of `kdtheory.streaming` on the worker that holds it;
pairs of factors are merged, on the workers, until one pair is left. That alone, a few matrices of
(1 + n + 2p)² numbers, reaches the client. Merging is associative and factors are values, so it does
not matter in which order the scheduler works, or whether a task runs twice.

notation: I = privileged, s = teacher, c = sample_weight, n = features, p = outputs
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kdtheory.inference import InferenceSums
from kdtheory.streaming import DistilledFactors, DistilledSolution

__all__ = ["distilled_factors", "distributed_sums", "feature_names", "is_distributed"]

FAN_IN = 8  # factors merged by one task


def is_distributed(value: Any) -> bool:
    """Whether this is a Dask array, dataframe or series; Dask is not imported to find out."""
    return type(value).__module__.split(".")[0] in ("dask", "dask_expr")


def feature_names(X: Any) -> tuple[str, ...] | None:
    """Names of the columns of a dataframe; None for an array, which has none."""
    columns = getattr(X, "columns", None)
    return None if columns is None else tuple(str(name) for name in columns)


def distilled_factors(
    X: Any,
    y: Any,
    teacher: Any = None,
    *,
    privileged: Any = None,
    sample_weight: Any = None,
) -> DistilledFactors:
    r"""All that (15) needs from the rows of Dask collections, computed where they are.

    Parameters
    ----------
    X : (m, n) Dask array or dataframe
        Features. An array that is cut between columns is put together, partition by partition.
    y : (m,) or (m, p) Dask array, series or dataframe
        True answers. Here and below: cut into the same rows as X. Array chunks are cut anew if
        their lengths are known; dataframes must have the same number of partitions, and rows of
        different partitions are not matched by their index.
    teacher : Dask collection of the shape of y, optional
        Answers s; may be NaN outside `privileged`.
    privileged : (m,) Dask array or series of bool, optional
        I; by default all rows if there is a teacher.
    sample_weight : (m,) Dask array or series, optional
        c.

    Returns
    -------
    DistilledFactors
        To be solved at once, with any trust.

    Raises
    ------
    ValueError, TypeError
        If the collections cannot be cut into the same rows, or the rows of a partition are not
        good: the line of `DistilledFactors.update`, with the number of the partition.
    ImportError
        If Dask is not installed.

    Notes
    -----
    The scheduler is the one in force: the client's cluster if there is one, else threads.

    Examples
    --------
    >>> import dask.array as da
    >>> X, y = da.ones((4, 1), chunks=2), da.from_array([0.0, 2.0, 1.0, 1.0], chunks=2)
    >>> factors = distilled_factors(X, y, y + 1)
    >>> factors.n_objects, factors.solve(trust=0.5).coef.round(12)
    (4, array([1.5]))
    """
    import dask

    parts, n_outputs = _partitions(X, y, teacher, privileged, sample_weight)
    n_features = int(X.shape[1])
    factored = dask.delayed(_factors, pure=True)
    level = [factored(number, n_features, n_outputs, *part) for number, part in enumerate(parts)]
    (result,) = dask.compute(_tree(level, _merged))
    return result  # type: ignore[no-any-return]


def distributed_sums(
    solution: DistilledSolution,
    X: Any,
    y: Any,
    teacher: Any = None,
    *,
    privileged: Any = None,
    sample_weight: Any = None,
    weights_kind: str = "precision",
) -> InferenceSums:
    """What the sandwich covariance needs: a second pass over the same rows, added up as a tree.

    Parameters
    ----------
    solution : DistilledSolution
        Of the factors of all rows.
    X, y, teacher, privileged, sample_weight
        As for `distilled_factors`.
    weights_kind : {"precision", "frequency"}, default "precision"
        Meaning of c.

    Returns
    -------
    InferenceSums
        For `kdtheory.inference.inference_from_sums`.

    Raises
    ------
    ValueError, TypeError
        As `distilled_factors`.
    """
    import dask

    parts, _ = _partitions(X, y, teacher, privileged, sample_weight)
    # once to each worker, not once to each task
    shared = dask.delayed(solution, traverse=False)
    summed = dask.delayed(_sums, pure=True)
    level = [summed(number, shared, weights_kind, *part) for number, part in enumerate(parts)]
    (result,) = dask.compute(_tree(level, _added))
    return result  # type: ignore[no-any-return]


def _factors(number: int, n_features: int, n_outputs: int | None, *part: Any) -> DistilledFactors:
    X, y, teacher, privileged, sample_weight = _arrays(part)
    empty = DistilledFactors.empty(n_features, n_outputs)
    with _Partition(number):
        return empty.update(X, y, teacher, privileged=privileged, sample_weight=sample_weight)


def _sums(number: int, solution: DistilledSolution, weights_kind: str, *part: Any) -> InferenceSums:
    with _Partition(number):
        return solution.inference_sums([_arrays(part)], weights_kind=weights_kind)


class _Partition:
    """Says in an error of which partition it speaks."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if type(error) in (ValueError, TypeError):
            msg = f"{error} (partition {self.number})"
            raise type(error)(msg) from None  # type: ignore[misc]


def _merged(factors: Sequence[DistilledFactors]) -> DistilledFactors:
    total = factors[0]
    for one in factors[1:]:
        total = total.merge(one)
    return total


def _added(sums: Sequence[InferenceSums]) -> InferenceSums:
    return sum(sums[1:], start=sums[0])


def _tree(level: list[Any], reduction: Callable[[Any], Any]) -> Any:
    """One task from many, by tasks of a few each, of neighbours, which live near each other."""
    import dask

    reduced = dask.delayed(reduction, pure=True)
    while len(level) > 1:
        level = [reduced(level[k : k + FAN_IN]) for k in range(0, len(level), FAN_IN)]
    return level[0]


def _arrays(part: tuple[Any, ...]) -> tuple[Any, ...]:
    """Pieces of arrays and dataframes as arrays."""
    return tuple(None if piece is None else _array(piece) for piece in part)


def _array(piece: Any) -> Any:
    if isinstance(piece, list):  # chunks that lie side by side
        return np.hstack([_array(one) for one in piece])
    if hasattr(piece, "to_numpy"):
        # nullable columns of a dataframe say NA, which is no number
        kinds = [piece.dtype] if piece.ndim == 1 else list(piece.dtypes)
        numeric = all(getattr(kind, "kind", "O") in "fiu" for kind in kinds)
        return piece.to_numpy(np.float64, na_value=np.nan) if numeric else piece.to_numpy()
    return piece


def _partitions(*collections: Any) -> tuple[list[tuple[Any, ...]], int | None]:
    """For each partition the pieces of X, y, teacher, privileged and weight; p, or None."""
    names = ("X", "y", "teacher", "privileged", "sample_weight")
    given = dict(zip(names, collections, strict=True))
    for name, value in given.items():
        if value is not None and not is_distributed(value):
            msg = (
                f"`{name}` must be a Dask array or dataframe like the others, "
                f"got {type(value).__name__}"
            )
            raise TypeError(msg)
    if given["privileged"] is not None and given["teacher"] is None:
        msg = "`privileged` must be None without a teacher, got a mask"
        raise ValueError(msg)
    if given["X"].ndim != 2:
        msg = f"`X` must have 2 dimension(s), got {given['X'].ndim}"
        raise ValueError(msg)
    given = _aligned(given)
    pieces = {name: None if value is None else _pieces(value) for name, value in given.items()}
    counts = {name: len(some) for name, some in pieces.items() if some is not None}
    if len(set(counts.values())) > 1:
        words = ", ".join(f"`{name}` has {count}" for name, count in counts.items())
        msg = f"numbers of partitions must agree, but {words}"
        raise ValueError(msg)
    y = given["y"]
    n_outputs = int(y.shape[1]) if y.ndim == 2 else None
    parts = [
        tuple(None if some is None else some[k] for some in pieces.values())
        for k in range(counts["X"])
    ]
    return parts, n_outputs


def _aligned(given: dict[str, Any]) -> dict[str, Any]:
    """Arrays of known chunks cut like X; a wrong length is told."""
    X = given["X"]
    if not hasattr(X, "chunks") or np.isnan(X.shape[0]):
        return given
    aligned = {}
    for name, value in given.items():
        if value is not None and hasattr(value, "chunks") and not np.isnan(value.shape[0]):
            if value.shape[0] != X.shape[0]:
                msg = f"lengths must agree, but `X` has {X.shape[0]}, `{name}` has {value.shape[0]}"
                raise ValueError(msg)
            if value.chunks[0] != X.chunks[0]:
                value = value.rechunk({0: X.chunks[0]})
        aligned[name] = value
    return aligned


def _pieces(collection: Any) -> list[Any]:
    """Delayed partitions from the first rows to the last; side by side in a list."""
    delayed = collection.to_delayed()
    if isinstance(delayed, list):
        return delayed
    if delayed.ndim == 1:
        return list(delayed)
    return [row[0] if len(row) == 1 else list(row) for row in delayed.tolist()]
