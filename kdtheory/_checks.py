"""Every argument check of the package, and its words.

A check returns the value in the form that the mathematics needs, or raises a ``ValueError``
(a wrong value) or a ``TypeError`` (a wrong kind of thing) whose one line names the argument,
the rule and the value.
"""

import os
from collections.abc import Iterable, Sequence, Sized
from numbers import Integral, Real
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "check_answers",
    "check_callable",
    "check_choice",
    "check_class_labels",
    "check_count",
    "check_features",
    "check_flag",
    "check_in_open_unit_interval",
    "check_in_unit_interval",
    "check_label_kind",
    "check_labels",
    "check_lengths_agree",
    "check_log_probabilities",
    "check_logits",
    "check_mask",
    "check_masked_array",
    "check_matrix",
    "check_names",
    "check_noise",
    "check_nonnegative",
    "check_not_masked",
    "check_number_between",
    "check_output_folder",
    "check_pair",
    "check_positive",
    "check_real_array",
    "check_rng",
    "check_row_order",
    "check_sample_weight",
    "check_shape",
    "check_simplex_points",
    "check_support",
    "check_targets",
    "check_whole_numbers",
    "simplex_tolerance",
]

_MOST_CLASSES = 10_000_000  # more are a slip, and would not fit into memory


def check_real_array(name: str, value: ArrayLike, *, ndim: int | None = None) -> NDArray[Any]:
    """Finite real numbers as a float32 (if it was) or float64 array."""
    array = _real_array(name, value, ndim)
    _require_finite(name, array, np.isfinite(array))
    return array


def check_not_masked(**arrays: Any) -> None:
    """Anything but masked arrays: np.asarray would drop the mask without a word."""
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray):
            msg = f"`{name}` must not be a masked array: fill it, or leave its masked rows out"
            raise TypeError(msg)


def _as_array(name: str, value: ArrayLike) -> NDArray[Any]:
    check_not_masked(**{name: value})
    if type(value).__module__.partition(".")[0] in ("dask", "dask_expr"):
        msg = f"`{name}` must hold its rows in memory here, got {type(value).__name__} of Dask"
        raise TypeError(msg)
    try:
        return np.asarray(value)
    except ValueError:
        msg = f"`{name}` must be a rectangular array, got nested lengths that differ"
        raise ValueError(msg) from None


def _real_array(name: str, value: ArrayLike, ndim: int | None) -> NDArray[Any]:
    array = _as_array(name, value)
    if array.dtype.kind not in "fiub":
        msg = f"`{name}` must be an array of real numbers, got dtype {array.dtype}"
        raise TypeError(msg)
    kept = array.dtype.kind == "f" and array.dtype.itemsize == np.dtype(np.float32).itemsize
    # a long double beyond float64 becomes infinite, and is refused as such
    with np.errstate(over="ignore"):
        array = array.astype(np.float32 if kept else np.float64, copy=False)
    if ndim is not None and array.ndim != ndim:
        msg = f"`{name}` must have {ndim} dimension(s), got shape {array.shape}"
        raise ValueError(msg)
    return array


def _require_finite(name: str, array: NDArray[Any], passed: NDArray[np.bool_]) -> None:
    if not passed.all():
        where = np.unravel_index(int(np.argmin(passed)), array.shape)
        at = ", ".join(str(int(i)) for i in where)
        msg = f"`{name}` must be finite, got {array[where]} at index ({at})"
        raise ValueError(msg)


def _require_classes(name: str, array: NDArray[Any]) -> None:
    if array.ndim == 0 or array.shape[-1] == 0:
        msg = f"`{name}` must have shape (..., K) with K at least 1, got shape {array.shape}"
        raise ValueError(msg)


def check_log_probabilities(name: str, value: ArrayLike) -> NDArray[Any]:
    """Numbers of shape (..., K), K at least 1, finite or −∞ and finite for a class of each row."""
    array = _real_array(name, value, None)
    _require_classes(name, array)
    wrong = ~(array < np.inf)  # nan too
    if wrong.any():
        msg = f"`{name}` must be finite or -inf, got {array[wrong][0]}"
        raise ValueError(msg)
    if not np.isfinite(array).any(axis=-1).all():
        msg = f"`{name}` must be finite for at least one class in each row, got -inf for all"
        raise ValueError(msg)
    return array


def check_logits(name: str, value: ArrayLike) -> NDArray[Any]:
    """Finite logits of shape (..., K) with K at least 1 and a range that does not overflow."""
    array = check_real_array(name, value)
    _require_classes(name, array)
    if array.size and np.abs(array).max() > np.finfo(array.dtype).max / 2:
        with np.errstate(over="ignore"):
            span = (array.max(axis=-1) - array.min(axis=-1)).max()
        if not np.isfinite(span):
            msg = f"`{name}` must have a finite range in each row, got {span}"
            raise ValueError(msg)
    return array


def check_simplex_points(
    name: str,
    value: ArrayLike,
    *,
    positive: bool = False,
    n_classes: int | None = None,
    advice: str = "",
) -> NDArray[Any]:
    """Points of the probability simplex, shape (..., K); interior points if `positive`.

    The advice ends the message about numbers that are no probabilities.
    """
    array = check_logits(name, value)
    if n_classes is not None and array.shape[-1] != n_classes:
        msg = f"`{name}` must have {n_classes} classes in its last axis, got shape {array.shape}"
        raise ValueError(msg)
    if array.size and array.min() < 0:
        msg = f"`{name}` must not be negative, got {array.min()}{advice}"
        raise ValueError(msg)
    if positive and array.size and array.min() == 0:
        msg = f"`{name}` must be positive in every class, got 0.0"
        raise ValueError(msg)
    with np.errstate(over="ignore"):
        total = array.sum(axis=-1, dtype=np.float64)
    excess = np.abs(total - 1)
    if array.size and excess.max() > simplex_tolerance(array):
        worst = float(total.flat[int(np.argmax(excess))])
        found = f"got {worst!r} (off by {worst - 1:.3g}){advice}"
        msg = f"`{name}` must sum to 1 over the last axis, {found}"
        raise ValueError(msg)
    return array


def simplex_tolerance(array: NDArray[Any]) -> float:
    """By how much a sum of K rounded probabilities may differ from 1: √eps of the dtype."""
    return float(np.sqrt(np.finfo(array.dtype).eps))


def check_labels(name: str, value: ArrayLike, *, n_classes: int | None = None) -> NDArray[np.intp]:
    """Class numbers 0 … K − 1 of at least one object; if K is None, at most as many as objects."""
    if n_classes is not None and n_classes > _MOST_CLASSES:
        msg = f"`n_classes` must be at most {_MOST_CLASSES}, got {n_classes}"
        raise ValueError(msg)
    labels = _as_array(name, value)
    if labels.size == 0:  # an empty list has the type float64
        rule = "must have shape (m,) with m at least 1"
        msg = f"`{name}` {rule}, got an empty array of shape {labels.shape}"
        raise ValueError(msg)
    if labels.dtype.kind not in "iu":
        msg = f"`{name}` must be class numbers of an integer type, got dtype {labels.dtype}"
        raise TypeError(msg)
    if labels.ndim != 1:
        msg = f"`{name}` must have shape (m,) with m at least 1, got shape {labels.shape}"
        raise ValueError(msg)
    outside = labels < 0
    if n_classes is not None:
        outside |= labels >= n_classes
    if outside.any():
        at = int(np.argmax(outside))
        last = "…" if n_classes is None else f"… {n_classes - 1}"
        msg = f"`{name}` must be class numbers 0 {last}, got {labels[at]} at index ({at})"
        raise ValueError(msg)
    last_class = int(labels.max())
    if n_classes is None and last_class >= len(labels):
        rule = "must leave no class out unless `n_classes` is given"
        msg = f"`{name}` {rule}, got class number {last_class} among {len(labels)} objects"
        raise ValueError(msg)
    return labels.astype(np.intp, copy=False)


def check_targets(
    name: str, value: ArrayLike, *, n_classes: int | None = None
) -> NDArray[np.float64]:
    """Distributions over classes, shape (m, K): one-hot of class numbers, or given as such.

    Given ones are divided by their sum, which rounding may have put off 1.
    """
    array = _as_array(name, value)
    if array.ndim != 2:
        labels = check_labels(name, array, n_classes=n_classes)
        one_hot = np.zeros((len(labels), int(labels.max()) + 1 if n_classes is None else n_classes))
        one_hot[np.arange(len(labels)), labels] = 1
        return one_hot
    if array.shape[1] == 1 and array.dtype.kind in "iu" and (array != 1).any():
        msg = f"`{name}` must have shape (m,) or (m, K), got class numbers of shape {array.shape}"
        raise ValueError(msg)
    points = check_simplex_points(name, array, n_classes=n_classes).astype(np.float64)
    if len(points) == 0:
        msg = f"`{name}` must have shape (m, K) with m at least 1, got shape {points.shape}"
        raise ValueError(msg)
    points /= points.sum(axis=1, keepdims=True)
    return points


def _check_number(name: str, value: Any) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, Real):
        msg = f"`{name}` must be a real number, got {_shown(value)}"
        raise TypeError(msg)
    try:
        return float(value)
    except OverflowError:
        msg = f"`{name}` must fit in a double, got {_shown(value)}"
        raise ValueError(msg) from None


def _shown(value: Any) -> str:
    """Show any value in one short line."""
    return _cut(" ".join(repr(value).split()))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_positive(name: str, value: Any) -> float:
    """One finite number above 0."""
    number = _check_number(name, value)
    if not (np.isfinite(number) and number > 0):
        msg = f"`{name}` must be finite and positive, got {number!r}"
        raise ValueError(msg)
    return number


def check_nonnegative(name: str, value: Any) -> float:
    """One finite number that is at least 0."""
    number = _check_number(name, value)
    if not (np.isfinite(number) and number >= 0):
        msg = f"`{name}` must be finite and at least 0, got {number!r}"
        raise ValueError(msg)
    return number


def check_noise(name: str, value: Any, length: int) -> NDArray[np.float64]:
    """Finite positive numbers: one for all objects, of shape (), or one for each."""
    if np.ndim(value) == 0:
        return np.asarray(check_positive(name, value))
    noise = check_real_array(name, value, ndim=1).astype(np.float64, copy=False)
    if noise.shape != (length,):
        msg = f"`{name}` must be one number or have shape ({length},), got shape {noise.shape}"
        raise ValueError(msg)
    if noise.min() <= 0:
        at = int(np.argmin(noise))
        msg = f"`{name}` must be finite and positive, got {float(noise[at])!r} at index ({at})"
        raise ValueError(msg)
    return noise


def check_sample_weight(name: str, value: ArrayLike | None, length: int) -> NDArray[np.float64]:
    """Weights of the objects, at least 0 and not all 0; None stands for ones."""
    if value is None:
        return np.ones(length)
    weight = check_real_array(name, value, ndim=1).astype(np.float64, copy=False)
    if weight.shape != (length,):
        msg = f"`{name}` must have shape ({length},), got shape {weight.shape}"
        raise ValueError(msg)
    if weight.min() < 0:
        at = int(np.argmin(weight))
        msg = f"`{name}` must be at least 0, got {float(weight[at])!r} at index ({at})"
        raise ValueError(msg)
    if weight.max() == 0:
        msg = f"`{name}` must be positive for at least one object, got only zeros"
        raise ValueError(msg)
    return weight


def check_in_unit_interval(name: str, value: Any) -> float:
    """One number in [0, 1]."""
    number = _check_number(name, value)
    if not 0 <= number <= 1:
        msg = f"`{name}` must be in [0, 1], got {number!r}"
        raise ValueError(msg)
    return number


def check_in_open_unit_interval(name: str, value: Any) -> float:
    """One number in (0, 1)."""
    number = _check_number(name, value)
    if not 0 < number < 1:
        msg = f"`{name}` must be in (0, 1), got {number!r}"
        raise ValueError(msg)
    return number


def check_number_between(name: str, value: Any, least: float, most: float) -> float:
    """One number in [least, most]."""
    number = _check_number(name, value)
    if not least <= number <= most:
        msg = f"`{name}` must be in [{least:g}, {most:g}], got {number!r}"
        raise ValueError(msg)
    return number


def check_count(name: str, value: Any, *, least: int = 0, most: int | None = None) -> int:
    """One integer that is at least `least`, and at most `most` if that is given."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, Integral):
        msg = f"`{name}` must be an integer, got {_shown(value)}"
        raise TypeError(msg)
    count = int(value)
    if count < least:
        msg = f"`{name}` must be at least {least}, got {count}"
        raise ValueError(msg)
    if most is not None and count > most:
        msg = f"`{name}` must be at most {most}, got {_shown(count)}"
        raise ValueError(msg)
    return count


def check_callable(name: str, value: Any) -> None:
    """Something that can be called."""
    if not callable(value):
        msg = f"`{name}` must be callable, got {_shown(value)}"
        raise TypeError(msg)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of a few words."""
    # the type first: an array compares element by element
    if not isinstance(value, str) or value not in choices:
        words = " or ".join(repr(choice) for choice in choices)
        msg = f"`{name}` must be {words}, got {_shown(value)}"
        raise ValueError(msg)
    return value


def check_flag(name: str, value: Any) -> bool:
    """True or False; any text would count as True."""
    if not isinstance(value, bool | np.bool_):
        msg = f"`{name}` must be True or False, got {_shown(value)}"
        raise TypeError(msg)
    return bool(value)


def check_class_labels(name: str, value: ArrayLike) -> NDArray[Any]:
    """Labels of at least 2 classes, in ascending order, as the columns of their probabilities."""
    labels = _as_array(name, value)
    if labels.ndim != 1 or len(labels) < 2:
        msg = f"`{name}` must hold at least 2 labels in one dimension, got shape {labels.shape}"
        raise ValueError(msg)
    try:
        ascending = bool((labels[:-1] < labels[1:]).all())
    except TypeError:
        ascending = False
    if not ascending:
        msg = f"`{name}` must be distinct and in ascending order, got {_shown(labels.tolist())}"
        raise ValueError(msg)
    return labels


def check_label_kind(name: str, value: Any) -> None:
    """Labels that can be sorted, none of them missing; their number and shape are left open."""
    check_not_masked(**{name: value})
    dtype = getattr(value, "dtype", None)
    if value is None or (isinstance(dtype, np.dtype) and dtype.kind != "O"):
        return
    labels = np.asarray(value, dtype=object)
    for at, label in enumerate(labels.flat):
        # a missing text of pandas is a nan too, and NA cannot be compared
        missing = label is None or type(label).__name__ in ("NAType", "NaTType")
        if missing or (isinstance(label, float) and label != label):
            where = ", ".join(str(int(i)) for i in np.unravel_index(at, labels.shape))
            msg = f"`{name}` must hold a label for each object, got {label!r} at index ({where})"
            raise ValueError(msg)
    try:
        min(labels.flat, default=None)
    except (TypeError, ValueError):
        kinds = " and ".join(sorted({type(label).__name__ for label in labels.flat}))
        msg = f"`{name}` must hold labels of one type that can be sorted, got {_cut(kinds)}"
        raise TypeError(msg) from None


def check_mask(name: str, value: ArrayLike | None, length: int) -> NDArray[np.bool_]:
    """Boolean mask of the given length; None stands for all True."""
    if value is None:
        return np.ones(length, dtype=bool)
    mask = _as_array(name, value)
    if mask.dtype != np.bool_:
        msg = f"`{name}` must be a boolean mask, got dtype {mask.dtype}"
        raise TypeError(msg)
    if mask.shape != (length,):
        msg = f"`{name}` must have shape ({length},), got shape {mask.shape}"
        raise ValueError(msg)
    return mask


def check_pair(name: str, value: Any) -> tuple[Any, Any]:
    """Two things, in a tuple or a list."""
    if not isinstance(value, tuple | list):
        msg = f"`{name}` must be a pair, got {_shown(value)}"
        raise TypeError(msg)
    if len(value) != 2:
        msg = f"`{name}` must be a pair, got {len(value)} element(s)"
        raise ValueError(msg)
    return value[0], value[1]


def check_support(name: str, value: ArrayLike, length: int) -> NDArray[np.bool_]:
    """Boolean array (length, K), K at least 1, of the classes that have a weight in each row."""
    support = _as_array(name, value)
    if support.dtype != np.bool_:
        msg = f"`{name}` must be an array of bool, got dtype {support.dtype}"
        raise TypeError(msg)
    if support.ndim != 2 or len(support) != length or support.shape[1] == 0:
        msg = f"`{name}` must have shape ({length}, K) with K at least 1, got shape {support.shape}"
        raise ValueError(msg)
    empty = ~support.any(axis=1)
    if empty.any():
        msg = f"`{name}` must have a class in each row, got none at index ({int(empty.argmax())})"
        raise ValueError(msg)
    return support


def check_lengths_agree(**arrays: Sized) -> int:
    """Length of the first axis, common to all."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        words = ", ".join(f"`{name}` has {length}" for name, length in lengths.items())
        msg = f"lengths must agree, but {words}"
        raise ValueError(msg)
    return next(iter(lengths.values()))


def check_row_order(name: str, value: Any, other_name: str, other: Any) -> None:
    """Rows in the order of another table, if the indexes of both hold the same distinct labels."""
    index: Any = getattr(value, "index", None)
    wanted: Any = getattr(other, "index", None)
    if not (hasattr(index, "is_unique") and hasattr(wanted, "is_unique")):  # lists have one too
        return
    ours, theirs = list(index), list(wanted)
    if ours == theirs or not (index.is_unique and wanted.is_unique):
        return
    if set(ours) == set(theirs):
        at = next(i for i, label in enumerate(ours) if label != theirs[i])
        found = f"got {_shown(ours[at])} at index ({at}), where `{other_name}` has"
        msg = f"`{name}` must have its rows in the order of `{other_name}`, {found} "
        raise ValueError(msg + _shown(theirs[at]))


def check_rng(name: str, value: Any) -> np.random.Generator:
    """One numpy random generator; nothing else, so that every draw can be repeated."""
    if not isinstance(value, np.random.Generator):
        msg = f"`{name}` must be a numpy.random.Generator, got {type(value).__name__}"
        raise TypeError(msg)
    return value


def check_shape(name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Real numbers in float64 of exactly the given shape, finite or not."""
    array = _real_array(name, value, None).astype(np.float64, copy=False)
    if array.shape != shape:
        msg = f"`{name}` must have shape {shape}, got shape {array.shape}"
        raise ValueError(msg)
    return array


def check_matrix(
    name: str, value: ArrayLike, *, shape: tuple[int, int] | None = None, finite: bool = True
) -> NDArray[Any]:
    """Matrix with at least one row and one column, or of exactly the given shape.

    Its numbers are checked too, unless `finite` is False: the caller then finds what is not.
    """
    matrix = check_real_array(name, value, ndim=2) if finite else _real_array(name, value, 2)
    if shape is not None and matrix.shape != shape:
        msg = f"`{name}` must have shape {shape}, got shape {matrix.shape}"
        raise ValueError(msg)
    if matrix.size == 0:
        msg = f"`{name}` must have at least one row and one column, got shape {matrix.shape}"
        raise ValueError(msg)
    return matrix


def check_features(name: str, value: Any) -> Any:
    """Matrix of features: dense, its numbers for the caller to find finite, or compressed rows."""
    # without scipy.sparse, whose import takes a while
    if not hasattr(value, "tocsr"):
        return check_matrix(name, value, finite=False)
    if value.ndim != 2:
        msg = f"`{name}` must have 2 dimension(s), got shape {value.shape}"
        raise ValueError(msg)
    compressed = value.tocsr()
    if 0 in compressed.shape:
        msg = f"`{name}` must have at least one row and one column, got shape {compressed.shape}"
        raise ValueError(msg)
    check_real_array(name, compressed.data)
    return compressed.astype(np.float64)


def check_answers(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Finite answers in float64, one or several for each object."""
    answers = check_real_array(name, value).astype(np.float64, copy=False)
    if answers.ndim not in (1, 2) or answers.size == 0:
        shape = answers.shape
        msg = f"`{name}` must have shape (m,) or (m, p) with p at least 1, got shape {shape}"
        raise ValueError(msg)
    return answers


def check_masked_array(
    name: str,
    value: ArrayLike,
    mask: NDArray[np.bool_],
    *,
    shape: tuple[int, ...] | None = None,
) -> NDArray[Any]:
    """Numbers of the given shape, by default the mask's, finite in the rows where it is True.

    0 replaces all others.
    """
    array = _real_array(name, value, None)
    wanted = mask.shape if shape is None else shape
    if array.shape != wanted:
        msg = f"`{name}` must have shape {wanted}, got shape {array.shape}"
        raise ValueError(msg)
    inside = mask.reshape(mask.shape + (1,) * (array.ndim - mask.ndim))
    _require_finite(name, array, np.isfinite(array) | ~inside)
    return np.where(inside, array, np.zeros((), dtype=array.dtype))


def check_names(name: str, value: Any, default: Sequence[str]) -> tuple[str, ...]:
    """As many names as there are in `default`, which None stands for."""
    if value is None:
        return tuple(default)
    listed = isinstance(value, Iterable) and not isinstance(value, str)
    words = tuple(value) if listed else (None,)
    if not all(isinstance(word, str) for word in words):
        msg = f"`{name}` must be a sequence of texts, got {_shown(value)}"
        raise TypeError(msg)
    if len(words) != len(default):
        msg = f"`{name}` must have {len(default)} name(s), got {len(words)}"
        raise ValueError(msg)
    return tuple(str(word) for word in words)


def check_whole_numbers(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Numbers without a fraction, as an array of any type may hold them."""
    whole = array == np.floor(array)
    if not whole.all():
        at = int(np.argmin(whole))
        msg = f"`{name}` must be whole numbers, got {float(array[at])!r} at index ({at})"
        raise ValueError(msg)
    return array


def check_output_folder(name: str, value: str | os.PathLike[str], files: Iterable[str]) -> Path:
    """A folder, there or yet to be made, into which files of these names can be written."""
    given = os.fspath(value)
    folder = Path(given)
    reason: str | None = "no name"
    if given:
        try:
            nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
            # trying is the only test that root and read-only mounts do not pass by mistake
            with TemporaryFile(dir=nearest):
                in_the_way = [file for file in files if (folder / file).is_dir()]
            if not in_the_way:
                return folder
            reason = f"{in_the_way[0]} in it is a folder"
        except OSError as error:
            reason = error.strerror
    msg = f"`{name}` must be a folder that can be written, got {given!r} ({reason})"
    raise ValueError(msg)
