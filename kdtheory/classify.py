r"""The softmax student of GS (14) on the columns of a file.

Unlike a regression its optimum is not a function of a few sums, so the file is read whole. What
is told of the fit is its optimum and the certificate of it. There are no standard errors: the
distilled likelihood is the likelihood of blended answers, not of the data, and its curvature says
nothing about the errors of its maximum.

notation: λ = trust, T = temperature, I = privileged, s = teacher, c = sample_weight, K = n_classes
"""

import csv
import math
import os
import platform
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdtheory._checks import (
    check_choice,
    check_in_unit_interval,
    check_nonnegative,
    check_positive,
)
from kdtheory.classification import SeparableWarning, SoftmaxFit, distil_classification
from kdtheory.files import finite_or_none, json_text, write_files
from kdtheory.inference import Summary
from kdtheory.readers import Block, Table
from kdtheory.softening import log_soften

__all__ = ["FILES", "FileClassification", "classification_of_file", "write_classification"]

Reals = NDArray[np.float64]

FILES = ("coefficients.json", "coefficients.csv", "predictions.csv", "confusion.svg")
PACKAGES = ("kdtheory", "numpy", "scipy")
LARGE = 2**31  # bytes of the numbers that are read, and of those that the fit holds, at most
HELD = 8  # numbers for each object and class that the fit holds: logits, gradients, their products
LARGEST = 1e150  # number whose square, and the sum of many of these, a double holds
ROUNDED = 1e-3  # by how much the sum of probabilities may differ from 1: those of a few digits
EXACT = 1e-6  # the same where nothing needs to be told: those of single precision
FEATURES = 40  # rows of coefficients in the text
WIDTH = 79
RULES = ("softmax", "mean")
SEED = 0  # of the starts of the printed regulariser
SEPARABLE = (
    "there is no optimum: the loss falls for ever as some coefficients grow, and those told are "
    "where the search stopped; a penalty l2 above 0 gives it one"
)


@dataclass(frozen=True, eq=False)
class FileClassification:
    """What `classification_of_file` found.

    Attributes
    ----------
    fit : SoftmaxFit
        The student, with its certificate.
    classes : tuple of str
        Names of the classes, in the order of the fit.
    labels : (m,) ndarray
        Class of each row, as a place in `classes`.
    probabilities : (m, K) ndarray
        The student's, by the rule that was asked for.
    document : dict
        For JSON: arguments as they were resolved, versions, scores, certificate, coefficients and
        a line for each warning; what is not finite is None.
    """

    fit: SoftmaxFit
    classes: tuple[str, ...]
    labels: NDArray[np.intp]
    probabilities: Reals
    document: dict[str, Any]

    @property
    def text(self) -> str:
        """The summary: what was fitted, the classes, the scores, the certificate."""
        return _text(self.document)


def classification_of_file(
    path: str | os.PathLike[str],
    *,
    target: str,
    teacher: Sequence[str] | None = None,
    privileged: str | None = None,
    features: Sequence[str] | None = None,
    weight: str | None = None,
    trust: float | None = None,
    temperature: float | None = None,
    regulariser: str | None = None,
    squared_temperature: bool = False,
    l2: float = 0.0,
    fit_intercept: bool = True,
    rule: str = "softmax",
    large: int = LARGE,
    tell: Callable[..., object] = lambda **_: None,
) -> FileClassification:
    r"""Distilled softmax regression on columns of a file, with a certificate of its optimum.

    Labels are words, numbers, truth values or dates. If all of them are finite numbers, the
    classes are numbers, so that 1, 1.0 and 01 are one class, and are sorted as numbers;
    otherwise they are texts as they stand, without blanks around them, sorted by letters.

    Parameters
    ----------
    path, target, privileged, features, weight
        A file and its columns, as `kdtheory.readers.Table` with labels.
    teacher : sequence of str, optional
        A column of the teacher's probabilities for each class: the columns in the order of the
        classes, or each as ``"LABEL=COLUMN"``, in any order, which may also name classes that do
        not occur in `target`. Answers that sum to 1 up to 0.001 are divided by their sum. A row
        whose answers are all empty is not privileged. Without a teacher it is ordinary softmax
        regression.
    trust : float, optional
        λ in [0, 1], by default 0.5.
    temperature : float, optional
        T of the student in the teacher's part, by default 1. The teacher's answers are taken as
        they are.
    regulariser : {"exact", "printed"}, optional
        Of `distil_classification`; by default none. "printed" is not convex, and is minimised
        from several starts, the same each time.
    squared_temperature : bool, default False
        Whether the teacher's part has Hinton's factor T².
    l2 : float, default 0
        The penalty is l2/2 times the sum of the squared coefficients.
    fit_intercept : bool, default True
        Whether to add intercepts, which are not penalised.
    rule : {"softmax", "mean"}, default "softmax"
        How logits become probabilities, see `SoftmaxFit.probabilities`.
    large : int, default 2**31
        Bytes of numbers above which a file is refused: of those that are read, and of those
        that the fit holds, which are 8 for each row and class, and the features.
    tell : callable, optional
        Called with `description`, `total` and `completed`, as rich's progress bars are.

    Returns
    -------
    FileClassification
        If the data are separable and l2 is 0, there is no optimum: its coefficients are those
        where the search stopped, its certificate and a warning say so.

    Raises
    ------
    ValueError, TypeError
        With one line that names the argument or the column, the rule and the value, and the row
        (from 0, or the line of a CSV). Features may be as large as 1e150.
    ImportError
        If pyarrow is needed and is not there.

    See Also
    --------
    write_classification : Coefficients, predictions and the confusion matrix as files.
    kdtheory.classification.distil_classification : The same for arrays.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> path = Path(folder.name) / "pets.csv"
    >>> rows = ["kg,pet,p_cat,p_dog", "3,cat,1,0", "4,dog,0.5,0.5", "5,cat,,", "9,dog,0.1,0.9"]
    >>> _ = path.write_text("\n".join(rows))
    >>> result = classification_of_file(
    ...     path, target="pet", teacher=["dog=p_dog", "cat=p_cat"], trust=0.4
    ... )
    >>> result.classes
    ('cat', 'dog')
    >>> result.probabilities.round(3)[:, 1]
    array([0.162, 0.271, 0.418, 0.909])
    >>> folder.cleanup()
    """
    check_choice("rule", rule, RULES)
    question = _question(
        teacher, trust, temperature, regulariser, squared_temperature, l2, fit_intercept
    )
    table, pairs = _table(path, target, teacher, privileged, features, weight)
    if fit_intercept and "intercept" in table.names:
        msg = (
            "`features` must leave out the column 'intercept' where an intercept is fitted, "
            "got both"
        )
        raise ValueError(msg)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tell(description="reading", total=1.0, completed=0.0)
        rows = _read(table, pairs, large, lambda share: tell(completed=share))
        tell(description="fitting")
        fit = distil_classification(
            rows.X, rows.labels, rows.teacher, n_classes=len(rows.classes),
            privileged=rows.inside, sample_weight=rows.weight,
            rng=np.random.default_rng(SEED), **question,
        )  # fmt: skip
        probabilities = np.asarray(fit.probabilities(rows.X, rule=rule), dtype=np.float64)
    told = list(rows.told)
    for one in caught:
        if issubclass(one.category, SeparableWarning):
            told.append(SEPARABLE)  # the library's words are about its objects
        else:
            told.append(" ".join(str(one.message).split()))
    document = {
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "file": {"name": table.path.name, "bytes": table.n_bytes, "rows": len(rows.X)},
        "arguments": {
            "target": target,
            "teacher": dict(zip(rows.classes, rows.columns, strict=False)) or None,
            "privileged": privileged,
            "features": list(table.names),
            "weight": weight,
            "trust": None if teacher is None else question["trust"],
            "temperature": None if teacher is None else question["temperature"],
            "regulariser": regulariser,
            "squared_temperature": squared_temperature,
            "l2": question["l2"],
            "fit_intercept": fit_intercept,
            "rule": rule,
        },
        "classes": _class_records(rows, probabilities),
        "fit": _fit_record(fit, rows),
        "certificate": _certificate_record(fit, rows),
        "training": _scores(fit, rows, probabilities, rule),
        "coefficients": _coefficients(fit, rows.classes, table.names),
        "warnings": list(dict.fromkeys(told)),
    }
    return FileClassification(fit, rows.classes, rows.labels, probabilities, document)


def write_classification(
    out: str | os.PathLike[str], result: FileClassification, *, name: str = "out"
) -> tuple[Path, ...]:
    """Write coefficients, probabilities of each row and the confusion matrix: all or none.

    Parameters
    ----------
    out : path_like
        The folder; made if absent.
    result : FileClassification
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

    document, classes = result.document, result.classes
    file, target = document["file"], document["arguments"]["target"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a box stands for a foreign letter
        svg = plotting.to_svg(
            plotting.confusion_matrix(document["training"]["confusion"], [*map(_shown, classes)]),
            name="confusion",
            title=f"Classes of {target} and those predicted",
            description=f"{file['rows']} objects of {file['name']}, all of them used for the fit.",
        )
    rows = document["coefficients"]
    coefficients = _csv(rows[0], (row.values() for row in rows))
    predicted = result.probabilities.argmax(axis=1)
    # lists of Python's own numbers are written several times faster
    told = zip(
        result.labels.tolist(), predicted.tolist(), result.probabilities.tolist(), strict=True
    )
    predictions = _csv(
        ["row", "label", "predicted", *(f"p_{name}" for name in classes)],
        ([i, classes[y], classes[g], *p] for i, (y, g, p) in enumerate(told)),
    )
    data = json_text(document)
    texts = (data, coefficients, predictions, svg)
    return write_files(name, out, dict(zip(FILES, texts, strict=True)))


@dataclass(frozen=True)
class _Rows:
    """What the file says, in arrays."""

    X: Reals
    labels: NDArray[np.intp]
    teacher: Reals | None
    inside: NDArray[np.bool_] | None
    weight: Reals | None
    classes: tuple[str, ...]
    columns: tuple[str, ...]  # of the teacher, in the order of the classes
    told: tuple[str, ...]

    @property
    def weights(self) -> Reals:
        """1 for each object if the file has no weights."""
        return np.ones(len(self.X)) if self.weight is None else self.weight


def _question(
    teacher: Sequence[str] | None,
    trust: float | None,
    temperature: float | None,
    regulariser: str | None,
    squared_temperature: bool,
    l2: float,
    fit_intercept: bool,
) -> dict[str, Any]:
    """Arguments of the fit, with bad ones found before anything is read."""
    if regulariser is not None:
        check_choice("regulariser", regulariser, ("exact", "printed"))
    if teacher is None:
        given = {
            "trust": trust, "temperature": temperature, "regulariser": regulariser,
            "squared_temperature": squared_temperature or None,
        }  # fmt: skip
        for name, value in given.items():
            if value is not None:
                msg = f"`{name}` must be left out where there is no teacher, got {value!r}"
                raise ValueError(msg)
    return {
        "trust": 0.5 if trust is None else check_in_unit_interval("trust", trust),
        "temperature": 1.0 if temperature is None else check_positive("temperature", temperature),
        "regulariser": regulariser,
        "squared_temperature": squared_temperature,
        "l2": check_nonnegative("l2", l2),
        "fit_intercept": fit_intercept,
    }


def _table(
    path: str | os.PathLike[str],
    target: str,
    teacher: Sequence[str] | None,
    privileged: str | None,
    features: Sequence[str] | None,
    weight: str | None,
) -> tuple[Table, dict[str, str] | None]:
    """The file, and the class of each column of the teacher if the classes were named."""
    items, pairs = tuple(teacher or ()), None
    if teacher is not None:
        if not items:
            msg = "`teacher` must name a column for each class, got none"
            raise ValueError(msg)
        # the columns decide what is the name of one: such names may have a = in them too
        there = Table(path, target=target, features=features, labels=True).columns
        items, pairs = _paired(items, there)
    table = Table(
        path, target=target, teacher=items or None, privileged=privileged, features=features,
        weight=weight, labels=True,
    )  # fmt: skip
    return table, pairs


def _paired(
    items: Sequence[str], columns: Collection[str]
) -> tuple[tuple[str, ...], dict[str, str] | None]:
    """The columns of a teacher, and the label of each if these were given."""
    labelled = [item for item in items if item not in columns and "=" in item]
    if not labelled:
        return tuple(items), None
    if len(labelled) < len(items):
        plain = next(item for item in items if item not in labelled)
        msg = f"`teacher` must be columns or all LABEL=COLUMN, got {plain!r} and {labelled[0]!r}"
        raise ValueError(msg)
    pairs: dict[str, str] = {}
    for item in items:
        at = [i for i, sign in enumerate(item) if sign == "="]
        cut = next((i for i in at if item[i + 1 :] in columns), at[0])
        label, column = item[:cut].strip(), item[cut + 1 :]
        if not label:
            msg = f"`teacher` must be LABEL=COLUMN, got {item!r}"
            raise ValueError(msg)
        pairs[column] = label
    return tuple(item for item in pairs), pairs


def _read(
    table: Table,
    pairs: Mapping[str, str] | None,
    large: int,
    progress: Callable[[float], object],
) -> _Rows:
    width = len(table.names) + len(table.answers) + 2
    _require_room(table, table.n_rows or 0, width, large)
    codes: dict[str, int] = {}  # of each text that occurs
    blocks: list[Block] = []
    m = 0
    for block in table.blocks(progress=progress):
        texts = block.y
        y = np.fromiter((codes.setdefault(t, len(codes)) for t in texts), np.intp, len(texts))
        blocks.append(block._replace(y=y))
        m += len(y)
        _require_room(table, m, width, large)
    joined: list[Any] = [
        None if parts[0] is None else np.concatenate(parts) for parts in zip(*blocks, strict=True)
    ]
    blocks.clear()
    X, y, teacher, inside, weight = joined
    classes, numbers, places = _classes([*codes, *(pairs or {}).values()])
    if len(classes) < 2:
        target = table.roles["target"]
        msg = f"column {target!r} must hold at least two classes, got only {classes[0]!r}"
        raise ValueError(msg)
    if 8 * m * (len(table.names) + HELD * len(classes)) > large:
        msg = (
            f"`path` must be fitted within {large / 2**30:g} GiB, got {m} rows of {len(classes)} "
            f"classes in '{table.path}': join classes, or take a sample"
        )
        raise ValueError(msg)
    told = []
    if numbers and any("." in name or "e" in name for name in classes):
        told.append(
            f"the labels in {table.roles['target']!r} are numbers with fractions: "
            f"{len(classes)} classes; if they are measurements, regression is for them"
        )
    columns = table.answers
    if teacher is not None:
        columns = _in_order(table.answers, pairs, classes, places)
        _require_some(table, inside)
        order = [table.answers.index(column) for column in columns]
        teacher, rounded = _probabilities(table, columns, teacher[:, order], inside)
        if rounded > EXACT:
            told.append(
                f"the teacher's answers sum to 1 only up to {rounded:.1g}: each row was divided "
                "by its sum"
            )
    _require_features(table, X)
    if weight is not None:
        _require_weights(table, weight)
    labels = np.array([places[text] for text in codes], dtype=np.intp)[y]
    return _Rows(X, labels, teacher, inside, weight, classes, columns, tuple(told))


def _require_room(table: Table, rows: int, width: int, large: int) -> None:
    if 8 * rows * width > large:
        msg = (
            f"`path` must hold at most {large / 2**30:g} GiB of numbers, which are read whole, got "
            f"{rows} rows of {width} in '{table.path}': name fewer features, or take a sample"
        )
        raise ValueError(msg)


def _require_features(table: Table, X: Reals) -> None:
    good = np.abs(X) <= LARGEST
    if not good.all():
        i, j = np.argwhere(~good)[0]
        msg = (
            f"column {table.names[j]!r} must hold numbers of at most {LARGEST:g} in size, "
            f"got {X[i, j]} {table.place(int(i))}"
        )
        raise ValueError(msg)


def _require_weights(table: Table, weight: Reals) -> None:
    name = table.roles["weight"]
    good = (weight >= 0) & (weight <= LARGEST)
    if not good.all():
        at = int(np.argmin(good))
        rule = f"weights in [0, {LARGEST:g}]"
        msg = f"column {name!r} must hold {rule}, got {weight[at]} {table.place(at)}"
        raise ValueError(msg)
    if weight.max() == 0:
        msg = f"column {name!r} must hold a positive weight, got only zeros"
        raise ValueError(msg)


def _require_some(table: Table, inside: NDArray[np.bool_]) -> None:
    """Refuse a mask that no object passes."""
    if inside.any():
        return
    if "privileged" in table.roles:
        name = table.roles["privileged"]
        msg = f"column {name!r} must hold true at least once, got only false"
    else:
        names = ", ".join(map(repr, table.answers))
        msg = f"columns {names} must hold a teacher's answer at least once, got nothing"
    raise ValueError(msg)


def _probabilities(
    table: Table, columns: Sequence[str], teacher: Reals, inside: NDArray[np.bool_]
) -> tuple[Reals, float]:
    """Answers that sum to 1, and by how much those of the file miss it."""
    # what is outside I is not read as an answer, but must be one
    teacher = np.where(inside[:, None], teacher, 1 / len(columns))
    with np.errstate(over="ignore"):
        total = teacher.sum(axis=1)
    off = np.abs(total - 1)
    bad = (teacher.min(axis=1) < 0) | (off > ROUNDED)
    if bad.any():
        at = int(np.argmax(bad))
        j = int(teacher[at].argmin())
        if teacher[at, j] < 0:
            rule = f"column {columns[j]!r} must hold probabilities, not logits"
            got = f"{teacher[at, j]}"
        else:
            rule = "`teacher` must hold probabilities in each row, which sum to 1"
            got = f"{' + '.join(map(str, teacher[at]))} = {total[at]:.6g}"
        msg = f"{rule}, got {got} {table.place(at)}"
        raise ValueError(msg)
    return teacher / total[:, None], float(off.max())


def _classes(texts: Iterable[str]) -> tuple[tuple[str, ...], bool, dict[str, int]]:
    """Sorted names, whether they are numbers, and the place of each text among them."""
    numbers = {text: _label_number(text) for text in texts}
    if all(number is not None for number in numbers.values()):
        order: list[Any] = sorted({number for number in numbers.values() if number is not None})
        place = {number: i for i, number in enumerate(order)}
        found = {text: place[number] for text, number in numbers.items() if number is not None}
        return tuple(map(str, order)), True, found
    order = sorted(numbers)
    return tuple(order), False, {text: i for i, text in enumerate(order)}


def _label_number(text: str) -> int | float | None:
    """The finite number that is written there, exactly if it is whole; None if it is a word."""
    try:
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    try:
        return int(text)  # large whole numbers are different that as floats are not
    except ValueError:
        return int(number) if number.is_integer() else number


def _in_order(
    answers: tuple[str, ...],
    pairs: Mapping[str, str] | None,
    classes: tuple[str, ...],
    places: Mapping[str, int],
) -> tuple[str, ...]:
    """Columns of the teacher in the order of the classes."""
    if pairs is None:
        if len(answers) != len(classes):
            words = ", ".join(map(repr, classes[:20])) + (", …" if len(classes) > 20 else "")
            msg = (
                f"`teacher` must name {len(classes)} columns, one for each of the classes {words}, "
                f"got {len(answers)}"
            )
            raise ValueError(msg)
        return answers
    columns: dict[int, str] = {}
    for column, label in pairs.items():
        here = places[label]
        if here in columns:
            msg = (
                f"`teacher` must name one column for class {classes[here]!r}, "
                f"got {columns[here]!r} and {column!r}"
            )
            raise ValueError(msg)
        columns[here] = column
    for i, name in enumerate(classes):
        if i not in columns:
            told = ", ".join(repr(label) for label in pairs.values())
            msg = f"`teacher` must name a column for class {name!r}, got columns for {told}"
            raise ValueError(msg)
    return tuple(columns[i] for i in range(len(classes)))


def _class_records(rows: _Rows, probabilities: Reals) -> list[dict[str, Any]]:
    K = len(rows.classes)
    counts = np.bincount(rows.labels, minlength=K).tolist()
    predicted = np.bincount(probabilities.argmax(axis=1), minlength=K).tolist()
    columns = rows.columns or [None] * K
    return [
        {"name": name, "objects": n, "predicted": p, "teacher": column}
        for name, n, p, column in zip(rows.classes, counts, predicted, columns, strict=True)
    ]


def _fit_record(fit: SoftmaxFit, rows: _Rows) -> dict[str, Any]:
    inside = 0 if rows.inside is None else int(rows.inside.sum())
    return {
        "objective": finite_or_none(fit.objective),
        "solver": fit.solver,
        "n_iter": int(fit.n_iter),
        "n_products": int(fit.n_products),
        "n_objects": len(rows.X),
        "n_privileged": inside,
        "weight": finite_or_none(rows.weights.sum()),
        "starts": [finite_or_none(start) for start in fit.starts],
    }


def _certificate_record(fit: SoftmaxFit, rows: _Rows) -> dict[str, Any]:
    certificate = fit.certificate
    return {
        "gradient_norm": finite_or_none(certificate.gradient_norm),
        "gap": finite_or_none(certificate.gap),
        "gap_per_object": finite_or_none(certificate.gap / rows.weights.sum()),
        "bound": certificate.bound,
        "convex": bool(certificate.convex),
        "converged": bool(certificate.converged),
        "separable": certificate.separable,
        "existence": None if certificate.existence is None else certificate.existence.reason,
    }


def _scores(fit: SoftmaxFit, rows: _Rows, probabilities: Reals, rule: str) -> dict[str, Any]:
    """How well the rows are predicted to which the student was fitted, and by the teacher."""
    with np.errstate(divide="ignore"):
        logs = log_soften(fit.logits(rows.X)) if rule == "softmax" else np.log(probabilities)
    confusion = np.zeros((len(rows.classes),) * 2, dtype=np.intp)
    np.add.at(confusion, (rows.labels, probabilities.argmax(axis=1)), 1)
    scores = _score(logs, rows.labels, rows.weights)
    if rows.teacher is not None and rows.inside is not None:
        with np.errstate(divide="ignore"):
            answers = np.log(rows.teacher[rows.inside])
        told = _score(answers, rows.labels[rows.inside], rows.weights[rows.inside])
        scores |= {f"teacher_{name}": value for name, value in told.items()}
    return scores | {"confusion": confusion.tolist()}


def _score(logs: Reals, labels: NDArray[np.intp], weights: Reals) -> dict[str, Any]:
    """Mean accuracy and cross-entropy; nothing of objects without weight."""
    counted = weights > 0
    if not counted.any():
        return {"accuracy": None, "cross_entropy": None}
    logs, labels, weights = logs[counted], labels[counted], weights[counted]
    right = logs.argmax(axis=1) == labels
    losses = -logs[np.arange(len(labels)), labels]
    return {
        "accuracy": finite_or_none(np.average(right, weights=weights)),
        "cross_entropy": finite_or_none(np.average(losses, weights=weights)),
    }


def _coefficients(
    fit: SoftmaxFit, classes: Sequence[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    named = list(zip(names, fit.coef, strict=True))
    if fit.fit_intercept:
        named.insert(0, ("intercept", fit.intercept))
    return [
        {"name": name, "class": k, "coefficient": finite_or_none(value)}
        for name, values in named
        for k, value in zip(classes, values, strict=True)
    ]


def _text(document: dict[str, Any]) -> str:
    arguments, fit, scores = document["arguments"], document["fit"], document["training"]
    taught = arguments["teacher"] is not None
    facts = {"Objects": str(fit["n_objects"]), "Classes": str(len(document["classes"]))}
    lines = [
        f"On the rows that it was fitted to: accuracy {_short(scores['accuracy'])}, "
        f"cross-entropy {_short(scores['cross_entropy'])} nats (rule {arguments['rule']})"
    ]
    if taught:
        facts |= {
            "With a teacher": str(fit["n_privileged"]),
            "Trust": f"{arguments['trust']:.6g}",
            "Temperature": f"{arguments['temperature']:.6g}",
            "Regulariser": arguments["regulariser"] or "none",
        }
        lines.append(
            f"The teacher, where it answers: accuracy {_short(scores['teacher_accuracy'])}, "
            f"cross-entropy {_short(scores['teacher_cross_entropy'])} nats"
        )
    facts |= {
        "L2 penalty": f"{arguments['l2']:.6g}",
        "Objective": _short(fit["objective"], 6),
        "Solver": fit["solver"],
        "Iterations": str(fit["n_iter"]),
    }
    head = ("", "objects", "predicted", "teacher's column")[: 4 if taught else 3]
    rows = [(c["name"], str(c["objects"]), str(c["predicted"]), c["teacher"] or "")
            for c in document["classes"]]  # fmt: skip
    table = tuple(tuple(map(_shown, row[: len(head)])) for row in rows)
    title = "Softmax regression with a teacher" if taught else "Softmax regression"
    caption = _shown(arguments["target"])
    summary = Summary(title, tuple(facts.items()), head, ((caption, table),), ())
    coefficients = _coefficient_table(document["coefficients"], len(rows))
    file = document["file"]
    lines += [
        _certificate_words(document),
        f"{_shown(file['name'])}: {file['rows']} rows, read whole",
    ]
    notes = [part for line in lines for part in wrap(line, WIDTH)]
    return "\n".join([str(summary), *coefficients, "=" * 60, *notes])


def _certificate_words(document: dict[str, Any]) -> str:
    found, starts = document["certificate"], document["fit"]["starts"]
    slope = f"gradient norm {_short(found['gradient_norm'], 2)}"
    if found["separable"]:
        return f"Certificate: no optimum exists ({found['existence']}); {slope}"
    if not found["convex"]:
        words = f"the least of {len(starts)} starts" if len(starts) > 1 else "one start"
        return f"Certificate: {slope}; not convex, {words}, which may not be the least of all"
    if found["gap_per_object"] is None:
        words = "no bound on the distance from the least possible loss"
    else:
        words = (
            f"within {found['gap_per_object']:.1g} nats per object of the least possible loss "
            f"({found['bound']})"
        )
    return f"Certificate: {slope}; {words}{'' if found['converged'] else '; NOT converged'}"


def _coefficient_table(records: list[dict[str, Any]], K: int) -> list[str]:
    """Coefficients with a column for each class, as many side by side as a line holds."""
    rows = [records[i : i + K] for i in range(0, len(records), K)]
    names = [_shown(row[0]["name"]) for row in rows[:FEATURES]]
    left = max(map(len, names))
    columns = [
        [_shown(row[k]["class"]) for row in rows[:1]]
        + [_short(row[k]["coefficient"], 5) for row in rows[:FEATURES]]
        for k in range(K)
    ]
    width = max(len(cell) for column in columns for cell in column)
    fitting = max(1, (WIDTH - left) // (width + 2))
    lines = []
    for k in range(0, K, fitting):
        for name, *cells in zip(["", *names], *columns[k : k + fitting], strict=True):
            lines.append(f"{name:<{left}}" + "".join(f"  {cell:>{width}}" for cell in cells))
        lines.append("")
    lines.pop()
    if len(rows) > FEATURES:
        lines.append(f"… and {len(rows) - FEATURES} more: --out or --json tells all")
    return lines


def _short(value: float | None, digits: int = 4) -> str:
    return "none" if value is None else f"{value:.{digits}g}"


def _shown(name: str) -> str:
    """A name in one short line."""
    name = name if name.isprintable() else repr(name)[1:-1]
    return name if len(name) <= 24 else f"{name[:23]}…"


def _csv(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
