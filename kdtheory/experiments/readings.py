r"""What could have produced the synthetic row of GS Table 1: readings of its words, each tried.

The row prints cross-entropy 0.225 at accuracy 0.831 without a teacher, 0.452 at 0.828 with one. A
*reading* says how either pair was obtained: which labels a student was fitted to and how far, on
which objects it was scored, by which form of cross-entropy, and against which labels.

No accuracy of 100 objects is 0.831: the row is a mean of several runs, or of other objects.

The rule, fixed before any was tried: under a reading the published row is one more draw of W. Its
four numbers are compared with those of R draws by Mahalanobis's distance from the common mean
(`kdtheory.experiments.intervals.conformal_p_value`), and the reading is *ruled out* if fewer than
5 % of the R + 1 rows lie as far out, else *possible*. If the published numbers are means of several
runs, which scatter less, this errs on the side of *possible*. Each reading is judged by itself: of
20 true ones, one would be ruled out by chance; a *possible* one is not shown to be what was done.

The rule came first, the list did not. Readings that measure the two rows differently were added
after a search over those that measure both alike had found none near the published row, and the
rate and the steps of Adam were changed once after results had been seen. What is *possible* is
therefore a lead for whoever has the authors' code, not a finding.

Students are fitted to labels *drawn* from s, as the paper says, or to the *likeliest* class, which
is a function of x that a linear student can copy: the loss then has no minimiser, and what is found
hangs on when the optimiser stops. The paper names Adam without its settings; here it takes full
steps of rate 0.05 from 0.

notation: y = labels, S = true probabilities, g = student, λ = trust, R = number of draws
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from kdtheory.experiments.intervals import Interval, central_range, conformal_p_value
from kdtheory.softening import log_soften
from kdtheory.synthetic import SoftmaxData

__all__ = [
    "LEVEL",
    "PUBLISHED",
    "READINGS",
    "Published",
    "Reading",
    "adam_students",
    "judged",
    "linear_logits",
    "reading_settings",
    "scores",
]

Reals = NDArray[np.float64]

ADAM_STEPS = (10, 30, 60, 100, 300)
ADAM_RATE = 0.05
ADAM_DECAYS = (0.9, 0.999)
ADAM_OFFSET = 1e-8
LEVEL = 0.05


@dataclass(frozen=True)
class Published:
    """One line of GS Table 1, the synthetic data."""

    model: str
    cross_entropy: float
    accuracy: float


PUBLISHED = (
    Published("without teacher", 0.225, 0.831),
    Published("with teacher", 0.452, 0.828),
)


@dataclass(frozen=True)
class Reading:
    """One way to read the published row, and what R draws give under it.

    Attributes
    ----------
    name, words : str
    cross_entropy_without, accuracy_without, cross_entropy_with, accuracy_with : Interval
        Mean over draws and the range of the central 95 % of them.
    p_value : float
        Share of the R + 1 rows, R draws and the published one, that lie as far out as the latter.
    p_value_without, p_value_with : float
        The same for either pair by itself; they decide nothing.
    """

    name: str
    words: str
    cross_entropy_without: Interval
    accuracy_without: Interval
    cross_entropy_with: Interval
    accuracy_with: Interval
    p_value: float
    p_value_without: float
    p_value_with: float

    @property
    def outside(self) -> tuple[str, ...]:
        """Which of the four published numbers lie outside the central 95 % of the draws."""
        published = [number for row in PUBLISHED for number in (row.cross_entropy, row.accuracy)]
        names = (
            "cross_entropy_without",
            "accuracy_without",
            "cross_entropy_with",
            "accuracy_with",
        )
        ranges = [getattr(self, name) for name in names]
        return tuple(
            name
            for name, number, found in zip(names, published, ranges, strict=True)
            if not found.low <= number <= found.high
        )

    @property
    def verdict(self) -> str:
        """Either "ruled out" or "possible"."""
        return "ruled out" if self.p_value < LEVEL else "possible"


class _Row(NamedTuple):
    """How one pair of numbers was obtained."""

    fit: str = "optimum"  # or Adam's, to labels of a kind, after some steps
    sample: str = "test"
    form: str = "nats"
    target: str = "drawn"  # of the cross-entropy: drawn labels, likeliest classes, S
    judge: str = "drawn"  # of the accuracy


class _Recipe(NamedTuple):
    words: str
    without: _Row
    with_teacher: _Row
    same_draw: bool = True


def _both(words: str, **changes: str) -> _Recipe:
    row = _Row(**changes)
    return _Recipe(words, row, row)


_PLAIN = _Row()
READINGS: Mapping[str, _Recipe] = {
    "as printed": _both("drawn labels, optimum, 100 test objects, nats"),
    "training loss": _both("drawn labels, optimum, on the 1000 training objects", sample="train"),
    "two draws": _Recipe("each row from a W of its own", _PLAIN, _PLAIN, same_draw=False),
    "stopped early": _both("drawn labels, Adam stopped after 10 steps", fit="drawn 10"),
    "stopped": _both("drawn labels, Adam stopped after 30 steps", fit="drawn 30"),
    "hard fit": _both("fitted to the likeliest class (Adam, 60 steps)", fit="likeliest 60"),
    "hard fit in training": _both(
        "fitted to the likeliest class (Adam, 60 steps), on the training objects",
        fit="likeliest 60",
        sample="train",
    ),
    "hard and long fit": _both(
        "fitted to the likeliest class (Adam, 300 steps)", fit="likeliest 300"
    ),
    "hard throughout": _both(
        "fitted to the likeliest class (Adam, 60 steps) and scored by it",
        fit="likeliest 60",
        target="likeliest",
        judge="likeliest",
    ),
    "hard throughout but early": _both(
        "the same after 10 steps", fit="likeliest 10", target="likeliest", judge="likeliest"
    ),
    "hard loss": _both(
        "fitted to the likeliest class (Adam, 60 steps), cross-entropy with it",
        fit="likeliest 60",
        target="likeliest",
    ),
    "likeliest": _both("cross-entropy with the likeliest class", target="likeliest"),
    "likeliest throughout": _both(
        "cross-entropy and accuracy with the likeliest class", target="likeliest", judge="likeliest"
    ),
    "true probabilities": _both("cross-entropy with S", target="truth"),
    "decimal": _both("decimal logarithm", form="decimal"),
    "bits": _both("binary logarithm", form="bits"),
    "binary": _both("binary cross-entropy, mean over the classes", form="binary"),
    "per entry": _both("mean over objects and classes, 1/K of the cross-entropy", form="per entry"),
    "halved": _both("half the cross-entropy", form="halved"),
    "Brier": _both("sum of squared differences", form="Brier"),
    "entropy": _both("entropy of the predictions", form="entropy"),
    "best temperature": _both("softened by the best T for the test labels", form="softened"),
    "first halved": _Recipe(
        "half the cross-entropy in the first row only", _Row(form="halved"), _PLAIN
    ),
    "first decimal": _Recipe(
        "decimal logarithm in the first row only", _Row(form="decimal"), _PLAIN
    ),
    "first Brier": _Recipe("squared differences in the first row only", _Row(form="Brier"), _PLAIN),
    "first likeliest": _Recipe(
        "cross-entropy with the likeliest class in the first row only",
        _Row(target="likeliest"),
        _PLAIN,
    ),
    "own targets": _Recipe(
        "each student by what it was fitted to: the likeliest class, S; accuracy by drawn labels",
        _Row(target="likeliest"),
        _Row(target="truth"),
    ),
    "own targets after a hard fit": _Recipe(
        "fitted to the likeliest class (Adam, 60 steps), scored by it and by S; accuracy by labels",
        _Row(fit="likeliest 60", target="likeliest"),
        _Row(fit="likeliest 60", target="truth"),
    ),
    "first hard": _Recipe(
        "first row: fitted to the likeliest class (Adam, 60 steps), cross-entropy with it",
        _Row(fit="likeliest 60", target="likeliest"),
        _PLAIN,
    ),
}


def _in_nats(log_probs: Reals, target: Reals) -> float:
    return float(-(target * log_probs).sum(axis=1).mean())


def _binary(log_probs: Reals, target: Reals) -> float:
    with np.errstate(divide="ignore"):  # g = 1 within rounding: clipped as PyTorch does
        others = np.maximum(np.log1p(-np.exp(log_probs)), -100)
    return float(-(target * log_probs + (1 - target) * others).mean())


def _best_temperature(log_probs: Reals, target: Reals) -> float:
    def loss(log_temperature: float) -> float:
        return _in_nats(log_soften(log_probs, float(np.exp(log_temperature))), target)

    return float(minimize_scalar(loss, bounds=(-3, 3), method="bounded").fun)


FORMS: Mapping[str, Callable[[Reals, Reals], float]] = {
    "nats": _in_nats,
    "decimal": lambda log_probs, target: _in_nats(log_probs, target) / np.log(10),
    "bits": lambda log_probs, target: _in_nats(log_probs, target) / np.log(2),
    "halved": lambda log_probs, target: _in_nats(log_probs, target) / 2,
    "per entry": lambda log_probs, target: _in_nats(log_probs, target) / target.shape[1],
    "binary": _binary,
    "Brier": lambda log_probs, target: float(((target - np.exp(log_probs)) ** 2).sum(1).mean()),
    "entropy": lambda log_probs, _: _in_nats(log_probs, np.exp(log_probs)),
    "softened": _best_temperature,
}


def adam_students(train: SoftmaxData, trust: float) -> dict[str, tuple[Reals, Reals]]:
    """Students without and with the teacher on the way to the optimum, by Adam from 0.

    The steps are of rate 0.05 on all objects at once, with the usual β = (0.9, 0.999), ε = 1e-8.

    Parameters
    ----------
    train : SoftmaxData
        m objects, n features, K classes.
    trust : float
        λ of the student with the teacher S, at T_0 = 1.

    Returns
    -------
    dict
        By kind of labels and number of steps, such as "drawn 30" or "likeliest 300": two matrices
        (n + 1, K), the intercepts last.
    """
    K = train.S.shape[1]
    labels = {"drawn": np.eye(K)[train.y], "likeliest": np.eye(K)[train.S.argmax(axis=1)]}
    blends = [(1 - w) * hard + w * train.S for hard in labels.values() for w in (0.0, trust)]
    # all students at once, and the objects last: what is summed over classes lies together
    targets = np.stack(blends).transpose(2, 0, 1).copy()  # (K, 4, m)
    design = np.column_stack([train.X, np.ones(len(train.X))])
    transposed = design.T.copy()
    coef = np.zeros((K, len(blends), design.shape[1]))
    mean, square = np.zeros_like(coef), np.zeros_like(coef)
    first, second = ADAM_DECAYS
    found = {}
    for step in range(1, max(ADAM_STEPS) + 1):
        probs = coef @ transposed
        probs -= probs.max(axis=0)
        np.exp(probs, out=probs)
        probs /= probs.sum(axis=0)
        gradient = (probs - targets) @ design / len(design)
        mean += (1 - first) * (gradient - mean)
        square += (1 - second) * (gradient**2 - square)
        scale = np.sqrt(square / (1 - second**step)) + ADAM_OFFSET
        coef = coef - ADAM_RATE * (mean / (1 - first**step)) / scale
        if step in ADAM_STEPS:
            for j, kind in enumerate(labels):
                found[f"{kind} {step}"] = coef[:, 2 * j].T, coef[:, 2 * j + 1].T
    return found


def scores(
    train: SoftmaxData, test: SoftmaxData, students: Mapping[str, tuple[Reals, Reals]]
) -> dict[str, list[float]]:
    """Cross-entropy and accuracy without, then with the teacher, under every reading.

    Parameters
    ----------
    train, test : SoftmaxData
        Of one W.
    students : mapping
        Matrices (n + 1, K) without and with the teacher: "optimum" and those of `adam_students`.

    Returns
    -------
    dict
        Four numbers by name of a reading.
    """
    samples = {"train": train, "test": test}

    def pair(row: _Row, coef: Reals) -> tuple[float, float]:
        sample = samples[row.sample]
        log_probs = log_soften(linear_logits(sample.X, coef))
        classes = {"drawn": sample.y, "likeliest": sample.S.argmax(axis=1)}
        K = sample.S.shape[1]
        target = sample.S if row.target == "truth" else np.eye(K)[classes[row.target]]
        accuracy = (log_probs.argmax(axis=1) == classes[row.judge]).mean()
        return float(FORMS[row.form](log_probs, target)), float(accuracy)

    return {
        name: [
            *pair(recipe.without, students[recipe.without.fit][0]),
            *pair(recipe.with_teacher, students[recipe.with_teacher.fit][1]),
        ]
        for name, recipe in READINGS.items()
    }


def linear_logits(X: Reals, matrix: Reals) -> Reals:
    """Logits [X, 1] W of a linear student.

    Parameters
    ----------
    X : (m, n) ndarray
    matrix : (n + 1, K) ndarray
        The intercepts last.

    Returns
    -------
    (m, K) ndarray
    """
    logits: Reals = X @ matrix[:-1] + matrix[-1]
    return logits


def reading_settings() -> dict[str, Any]:
    """All that `adam_students` and `scores` hang on, as plain as JSON holds it.

    Returns
    -------
    dict
        Settings of Adam, and both rows by name of a reading.
    """
    return {
        "adam": {
            "steps": list(ADAM_STEPS),
            "rate": ADAM_RATE,
            "decays": list(ADAM_DECAYS),
            "offset": ADAM_OFFSET,
        },
        "readings": {
            name: [list(recipe.without), list(recipe.with_teacher)]
            for name, recipe in READINGS.items()
        },
    }


def judged(found: Mapping[str, Sequence[Sequence[float]]]) -> tuple[Reading, ...]:
    """Each reading with its verdict.

    Parameters
    ----------
    found : mapping
        For each name of a reading what `scores` gave, (R, 4); R at least 2.

    Returns
    -------
    tuple of Reading
    """
    published = np.array([n for row in PUBLISHED for n in (row.cross_entropy, row.accuracy)])
    readings = []
    for name, recipe in READINGS.items():
        rows = np.array(found[name])
        if not recipe.same_draw:
            rows = np.hstack([rows[:, :2], np.roll(rows[:, 2:], 1, axis=0)])
        whole, first, second = (
            conformal_p_value(rows[:, part], published[part])
            for part in (slice(None), slice(2), slice(2, None))
        )
        ranges = [central_range(column) for column in rows.T]
        readings.append(
            Reading(
                name=name,
                words=recipe.words,
                cross_entropy_without=ranges[0],
                accuracy_without=ranges[1],
                cross_entropy_with=ranges[2],
                accuracy_with=ranges[3],
                p_value=whole,
                p_value_without=first,
                p_value_with=second,
            )
        )
    return tuple(readings)
