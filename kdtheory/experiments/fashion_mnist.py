r"""The experiment of GS 6.1: a linear student of FashionMNIST, without and with a teacher.

The teacher is a network of 30 000 parameters, the student logistic regression of 7850. One draw
parts the 60 000 training images into 55 000 to learn from and 5000, the validation sample, the only
one on which anything is chosen; the test sample is looked at to be shown. There is one teacher, so
the intervals say nothing about others. For each seed, which draws the initial weights and the
order of the images, four students see the same images in the same order:

* *without* a teacher: cross-entropy with the labels, the first term of (14) at λ = 0;
* *with* the teacher: the first three terms of (14) at λ = ½ and :math:`T_0 = 1`;
* *exact*, *printed*: the same with the exact and with the printed last term of (14).

GS do not print λ, T_0, the number of iterations, the size of a batch, the rate of Adam nor the
iteration at which Table 1 was read. Here λ and T_0 make (14) half of (3), the rest is usual, and
the table's row is given at three readings: after the last epoch, after the epoch that was best on
the validation sample, and at the optimum, which exists only with a penalty (without one a single
pixel separates the classes quasi-completely; see `kdtheory.separability`): the certified optimum at
l2 = 1, scikit-learn's default.

**Verdicts.** A difference between two students is a mean over seeds and over test images, and
both are samples: `kdtheory.experiments.intervals.crossed_half_width`. The intervals of all changes
hold together.

notation: λ = trust, T_0 = temperature, n = n_seeds, m = n_test
"""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdtheory._checks import check_count
from kdtheory.classification import distil_classification
from kdtheory.datasets import ImageData, validation_split
from kdtheory.divided_differences import normaliser_gradient
from kdtheory.experiments.calibration import top_label_error
from kdtheory.experiments.intervals import (
    Interval,
    crossed_half_width,
    half_width,
    mean_interval,
    verdict,
)
from kdtheory.experiments.machine import machine
from kdtheory.experiments.phase_diagram import PhaseDiagram, phase_diagram, phase_settings
from kdtheory.softening import soften

__all__ = [
    "PUBLISHED",
    "Calibration",
    "Change",
    "Curve",
    "FashionMnistResult",
    "Overfitting",
    "Published",
    "Row",
    "TeacherScores",
    "experiment_of_gs_6_1",
    "settings",
]

Reals = NDArray[np.float64]

N_VALIDATION = 5000
SPLIT_SEED, TEACHER_SEED = 0, 0
TRUST, TEMPERATURE = 0.5, 1.0
BATCH_SIZE, LEARNING_RATE = 256, 1e-3
EPOCHS, TEACHER_EPOCHS = 80, 12
STUDENTS: dict[str, dict[str, Any]] = {
    "without": {"trust": 0.0},
    "with": {"trust": TRUST, "temperature": TEMPERATURE},
    "exact": {"trust": TRUST, "temperature": TEMPERATURE, "regulariser": "exact"},
    "printed": {"trust": TRUST, "temperature": TEMPERATURE, "regulariser": "printed"},
}
RULES = ("softmax", "mean")
READINGS = ("last epoch", "best validation epoch", "converged")
COMPARED = (
    (("with", "softmax"), ("without", "softmax")),
    (("exact", "softmax"), ("with", "softmax")),
    (("exact", "mean"), ("with", "softmax")),
    (("printed", "softmax"), ("with", "softmax")),
    (("printed", "mean"), ("with", "softmax")),
)
OVERFITTING_FROM = 30  # the iteration after which both students of GS overfit
L2 = 1.0  # of the certified optimum: 1 / C of scikit-learn's default
GAP = 1e-6  # nats an object to which it is certified
GROUPS = 15  # of the reliability diagram, as usual
QUICK_IMAGES, QUICK_TEST, QUICK_EPOCHS, QUICK_TEACHER_EPOCHS, QUICK_SEEDS = 6000, 2000, 10, 20, 3
PACKAGES = ("kdtheory", "numpy", "scipy", "torch")  # that compute the numbers


@dataclass(frozen=True)
class Published:
    """A line of GS, Table 1, FashionMnist: values and what is printed after ±."""

    student: str
    cross_entropy: float
    cross_entropy_error: float
    accuracy: float
    accuracy_error: float


PUBLISHED = (
    Published("without", 0.461, 0.005, 0.841, 0.002),
    Published("with", 0.453, 0.003, 0.842, 0.002),
)


@dataclass(frozen=True)
class TeacherScores:
    """The teacher: its size, and cross-entropy and accuracy on each sample."""

    n_parameters: int
    epochs: int
    train: Mapping[str, float]
    validation: Mapping[str, float]
    test: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Curve:
    """One student by epoch, each a mean over the seeds with its 95 % t interval."""

    student: str
    epoch: NDArray[np.intp]
    train_cross_entropy: Mapping[str, Reals]
    validation_cross_entropy: Mapping[str, Reals]
    test_cross_entropy: Mapping[str, Reals]
    test_accuracy: Mapping[str, Reals]


@dataclass(frozen=True)
class Row:
    """Table 1's row of one student, at one reading, by one rule of prediction.

    Attributes
    ----------
    student, rule, reading : str
    cross_entropy, accuracy : Interval
        On the test sample, means over the seeds. Of the optimum, which hangs on no seed, the
        number itself thrice.
    epoch : Interval or None
        At which it was read.
    words : str
        What is special about the reading.
    """

    student: str
    rule: str
    reading: str
    cross_entropy: Interval
    accuracy: Interval
    epoch: Interval | None
    words: str


@dataclass(frozen=True)
class Change:
    """One student minus another on the test sample, paired over seeds and images.

    Attributes
    ----------
    measure, reading : str
    first, second : tuple of str
        Student and rule.
    change, low, high : float
        The mean difference, and an interval over seeds and images that holds with 95 % together
        with those of all other changes.
    """

    measure: str
    reading: str
    first: tuple[str, str]
    second: tuple[str, str]
    change: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the first is better or worse than the second, or undecided."""
        if self.measure == "accuracy":
            return verdict(-self.high, -self.low)
        return verdict(self.low, self.high)


@dataclass(frozen=True)
class Overfitting:
    """What Figure 2 is said to show: after iteration 30 the test error rises, with a teacher less.

    Attributes
    ----------
    since, until : int
        The epochs between which the changes are measured.
    test_rise, train_fall : mapping of str to Interval
        Change of cross-entropy on the test sample, and minus that on the training sample, of
        either student.
    test_difference, train_difference : Interval
        With minus without a teacher, of the same, paired over the seeds.
    """

    since: int
    until: int
    test_rise: Mapping[str, Interval]
    train_fall: Mapping[str, Interval]
    test_difference: Interval
    train_difference: Interval


@dataclass(frozen=True, eq=False)
class Calibration:
    """Confidence against accuracy at the best validation epoch, on the test sample.

    Attributes
    ----------
    student, rule : str
    confidence, accuracy : (G,) ndarray
        Means over the images of each group, of equally many by confidence, all seeds together.
    share : (G,) ndarray
        Share of the images in each group.
    error : float
        Mean over the seeds of the mean absolute difference of the two.
    """

    student: str
    rule: str
    confidence: Reals
    accuracy: Reals
    share: Reals
    error: float


@dataclass(frozen=True, eq=False)
class FashionMnistResult:
    """The experiment of GS 6.1; `published` are the rows of its Table 1."""

    quick: bool
    data: Mapping[str, Any]
    machine: Mapping[str, Any]
    seconds: Mapping[str, float]
    n_seeds: int
    trust: float
    temperature: float
    student_size: int
    teacher: TeacherScores
    curves: tuple[Curve, ...]
    rows: tuple[Row, ...]
    published: tuple[Published, ...]
    changes: tuple[Change, ...]
    overfitting: Overfitting
    calibration: tuple[Calibration, ...]
    phase: PhaseDiagram | None


def experiment_of_gs_6_1(
    data: ImageData,
    *,
    seeds: int = 10,
    quick: bool = False,
    phase: bool = True,
    device: str = "cpu",
    folder: Path | None = None,
    tell: Callable[..., None] = lambda **_: None,
) -> FashionMnistResult:
    """Train the teacher and the students, read Table 1 three ways, and judge the differences.

    Parameters
    ----------
    data : ImageData
        FashionMNIST.
    seeds : int, default 10
        Students of each kind, at least 2.
    quick : bool, default False
        Run everything on a small part of the images, for a look at how it works: its numbers are
        not results.
    phase : bool, default True
        Whether the phase diagram is drawn up.
    device : str, default "cpu"
        Of torch.
    folder : pathlib.Path, optional
        Where training is kept as it goes on. What it holds of the same settings is not done again.
    tell : callable, optional
        Called with ``total=..., completed=..., description=...`` at the start of each part and
        with ``advance=1`` after each step of it.

    Returns
    -------
    FashionMnistResult

    Raises
    ------
    ValueError
        If there are fewer than two seeds, there is no such device, or the folder holds something
        else.
    """
    sizes = _sizes(data, seeds, quick=quick)
    n_seeds = sizes.seeds
    work = _Work(data, sizes, device=device, folder=folder, tell=tell)
    watch = _Watch()
    teacher = work.teacher()
    watch.lap("teacher")
    students = work.students(("without", "with"), n_seeds)
    watch.lap("students")
    students |= work.students(("exact", "printed"), n_seeds)
    watch.lap("regularisers")
    predictions = {
        (name, rule, reading): _probabilities(own.logits(work.test[0], reading), rule)
        for name, own in students.items()
        for reading in READINGS[:2]
        for rule in RULES
    }
    predictions |= work.optimum()
    watch.lap("limit")
    diagram = None
    if phase:
        diagram = phase_diagram(
            work.X, work.y, work.test, work.teacher_logits, work.validation_rows,
            quick=quick, device=device, folder=None if folder is None else folder / "phase",
            tell=tell,
        )  # fmt: skip
        watch.lap("phase")
    losses = {key: _scores(probs, work.test[1]) for key, probs in predictions.items()}
    return FashionMnistResult(
        quick=quick,
        data={
            "n_train": len(work.train_rows),
            "n_validation": len(work.validation_rows),
            "n_test": len(work.test[1]),
            "digests": dict(data.digests),
        },
        machine=machine(device),
        seconds=watch.seconds,
        n_seeds=n_seeds,
        trust=TRUST,
        temperature=TEMPERATURE,
        student_size=sum(array.size for array in students["with"].last_weights[0].values()),
        teacher=teacher,
        curves=tuple(_curve(name, own) for name, own in students.items()),
        rows=_rows(losses, students, work.epochs),
        published=PUBLISHED,
        changes=_changes(losses),
        overfitting=_overfitting(students, work.epochs),
        calibration=_calibration(predictions, work.test[1]),
        phase=diagram,
    )


def settings(
    data: ImageData,
    *,
    seeds: int = 10,
    quick: bool = False,
    phase: bool = True,
    device: str = "cpu",
) -> dict[str, Any]:
    """All that the numbers hang on, with the versions of the programs, as JSON has it.

    Parameters
    ----------
    data, seeds, quick, phase, device
        As of `experiment_of_gs_6_1`.

    Returns
    -------
    dict
    """
    return {
        "experiment": "GS 6.1",
        **_sizes(data, seeds, quick=quick)._asdict(),
        "quick": quick,
        "phase": phase_settings(quick=quick) if phase else None,
        "device": device,
        "split_seed": SPLIT_SEED,
        "teacher_seed": TEACHER_SEED,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "students": STUDENTS,
        "l2_of_optimum": L2,
        "gap_of_optimum": GAP,
        "groups": GROUPS,
        "data": dict(data.digests),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }


class _Sizes(NamedTuple):
    """How much of everything."""

    seeds: int
    images: int
    validation: int
    test_images: int
    epochs: int
    teacher_epochs: int


def _sizes(data: ImageData, seeds: int, *, quick: bool) -> _Sizes:
    n_seeds = check_count("seeds", seeds, least=2)
    n, m = len(data.train_labels), len(data.test_labels)
    if not quick:
        return _Sizes(n_seeds, n, min(N_VALIDATION, n // 6), m, EPOCHS, TEACHER_EPOCHS)
    n, m = min(n, QUICK_IMAGES), min(m, QUICK_TEST)
    epochs = QUICK_EPOCHS, QUICK_TEACHER_EPOCHS
    return _Sizes(min(n_seeds, QUICK_SEEDS), n, min(N_VALIDATION, n // 6), m, *epochs)


class _Watch:
    """Seconds of the parts, one after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {"total": 0.0}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._since, 1)
        self.seconds["total"] = round(self.seconds["total"] + now - self._since, 1)
        self._since = now


@dataclass(frozen=True, eq=False)
class _Seeds:
    """The students of one kind: curves (L, n) by epoch and seed, and weights."""

    cross_entropy: Mapping[str, Reals]
    accuracy: Mapping[str, Reals]
    best_epochs: NDArray[np.intp]
    last_weights: Sequence[Mapping[str, Reals]]
    best_weights: Sequence[Mapping[str, Reals]]

    def logits(self, X: NDArray[np.float32], reading: str) -> Reals:
        """Logits (n, m, K) of each seed's student at a reading."""
        weights = self.last_weights if reading == READINGS[0] else self.best_weights
        return np.stack([X @ own["weight"].T + own["bias"] for own in weights])


class _Work:
    """The samples, and the parts of the experiment that train."""

    def __init__(
        self,
        data: ImageData,
        sizes: _Sizes,
        *,
        device: str,
        folder: Path | None,
        tell: Callable[..., None],
    ) -> None:
        n, m = sizes.images, sizes.test_images
        self.X, self.y = _pixels(data.train_images[:n]), data.train_labels[:n].copy()
        self.test = _pixels(data.test_images[:m]), data.test_labels[:m].copy()
        self.epochs, self.teacher_epochs = sizes.epochs, sizes.teacher_epochs
        self.train_rows, self.validation_rows = validation_split(n, sizes.validation, SPLIT_SEED)
        self.device, self.folder, self.tell = device, folder, tell
        self.teacher_logits = np.empty((0, 0))

    def _sample(self, rows: NDArray[np.intp]) -> tuple[Any, Any]:
        return self.X[rows], self.y[rows]

    def teacher(self) -> TeacherScores:
        """Train the teacher, and keep its logits for all images that are not of the test."""
        from kdtheory.neural import evaluate, gs_teacher, n_parameters, teacher_logits, train

        self.tell(total=self.teacher_epochs, completed=0, description="teacher")
        model = gs_teacher(TEACHER_SEED)
        train(
            model,
            *self._sample(self.train_rows),
            validation=self._sample(self.validation_rows),
            epochs=self.teacher_epochs,
            batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            accelerator=self.device,
            folder=None if self.folder is None else self.folder / "teacher",
            resume=True,
            # the number of epochs is told already, under a name that says whose they are
            tell=lambda advance=0, completed=0, **_: self.tell(advance=advance + completed),
        )
        self.teacher_logits = np.asarray(teacher_logits(model, self.X).cpu())
        samples = {
            "train": self._sample(self.train_rows),
            "validation": self._sample(self.validation_rows),
            "test": self.test,
        }
        scores = {
            name: dict(zip(("cross_entropy", "accuracy"), evaluate(model, *sample), strict=True))
            for name, sample in samples.items()
        }
        return TeacherScores(n_parameters(model), self.teacher_epochs, **scores)

    def students(self, names: Sequence[str], n_seeds: int) -> dict[str, "_Seeds"]:
        """Train students of some kinds and all seeds together, and judge them after each epoch."""
        from kdtheory.neural import Fleet, Sample, Student, fleet_curves

        sample = Sample(
            rows=self.train_rows,
            labels=self.y[self.train_rows],
            teacher_logits=self.teacher_logits[self.train_rows],
        )
        fleet = Fleet(
            [
                Student(**STUDENTS[name], learning_rate=LEARNING_RATE, seed=seed)
                for name in names
                for seed in range(n_seeds)
            ],
            self.X,
            [sample],
            n_classes=10,
            batch_size=BATCH_SIZE,
            device=self.device,
        )
        a_epoch = -(-len(self.train_rows) // BATCH_SIZE)
        words = " and ".join(names)
        self.tell(total=self.epochs, completed=0, description=f"students {words}")
        curves = fleet_curves(
            fleet,
            [a_epoch * (epoch + 1) for epoch in range(self.epochs)],
            {
                "train": self._sample(self.train_rows),
                "validation": self._sample(self.validation_rows),
                "test": self.test,
            },
            folder=None if self.folder is None else self.folder / "-".join(names),
            tell=self.tell,
        )
        columns = {
            name: slice(number * n_seeds, (number + 1) * n_seeds)
            for number, name in enumerate(names)
        }
        return {
            name: _Seeds(
                {sample: losses[:, own] for sample, losses in curves.cross_entropy.items()},
                {sample: shares[:, own] for sample, shares in curves.accuracy.items()},
                curves.best[own] + 1,
                curves.last_weights[own],
                curves.best_weights[own],
            )
            for name, own in columns.items()
        }

    def optimum(self) -> dict[tuple[str, str, str], Reals]:
        """Probabilities (1, m, K) at the certified optimum of the convex students."""
        self.tell(total=2, completed=0, description="optimum")
        found = {}
        X, y = self._sample(self.train_rows)
        for name in ("without", "with"):
            fit = distil_classification(
                X,
                y,
                soften(self.teacher_logits[self.train_rows], TEMPERATURE)
                if name == "with"
                else None,
                n_classes=10,
                trust=TRUST,
                temperature=TEMPERATURE,
                l2=L2,
                tol=GAP,
            )
            logits = fit.logits(self.test[0])[None]
            for rule in RULES:
                found[name, rule, READINGS[2]] = _probabilities(logits, rule)
            self.tell(advance=1)
        return found


def _pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _probabilities(logits: Reals, rule: str) -> Reals:
    return soften(logits) if rule == "softmax" else normaliser_gradient(logits)


def _scores(probs: Reals, y: NDArray[np.int64]) -> dict[str, Reals]:
    """Loss and success (n, m) of each seed and test image."""
    with np.errstate(divide="ignore"):  # a probability that underflows has loss inf
        loss = -np.log(np.take_along_axis(probs, y[None, :, None], axis=2)[:, :, 0])
    return {"cross_entropy": loss, "accuracy": (probs.argmax(axis=2) == y).astype(np.float64)}


def _of_seeds(values: Reals) -> Interval:
    """Mean over the seeds; one value alone thrice."""
    if len(values) == 1:
        return Interval(float(values[0]), float(values[0]), float(values[0]))
    return mean_interval(values)


def _band(values: Reals) -> dict[str, Reals]:
    """Mean and 95 % t interval over the last axis."""
    mean = values.mean(axis=-1)
    half = np.array([half_width(row) for row in values])
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _curve(name: str, own: _Seeds) -> Curve:
    losses = {f"{sample}_cross_entropy": _band(loss) for sample, loss in own.cross_entropy.items()}
    accuracy = _band(own.accuracy["test"])
    return Curve(name, np.arange(1, len(accuracy["mean"]) + 1), **losses, test_accuracy=accuracy)


def _rows(
    losses: Mapping[tuple[str, str, str], Mapping[str, Reals]],
    students: Mapping[str, _Seeds],
    epochs: int,
) -> tuple[Row, ...]:
    words = {
        "last epoch": f"after {epochs} epochs",
        "best validation epoch": "least cross-entropy on the validation sample",
        "converged": f"certified optimum with l2 = {L2:g}; without a penalty there is none",
    }
    rows = []
    for (name, rule, reading), scores in losses.items():
        if reading == "converged":
            epoch = None
        elif reading == "last epoch":
            epoch = Interval(epochs, epochs, epochs)
        else:
            epoch = mean_interval(students[name].best_epochs.astype(np.float64))
        quality = {measure: _of_seeds(values.mean(axis=1)) for measure, values in scores.items()}
        rows.append(Row(name, rule, reading, **quality, epoch=epoch, words=words[reading]))
    return tuple(rows)


def _changes(
    losses: Mapping[tuple[str, str, str], Mapping[str, Reals]],
) -> tuple[Change, ...]:
    compared = [
        (measure, reading, first, second)
        for reading in READINGS
        for first, second in COMPARED
        if (*first, reading) in losses and (*second, reading) in losses
        for measure in ("cross_entropy", "accuracy")
    ]
    return tuple(_change(*one, losses, len(compared)) for one in compared)


def _change(
    measure: str,
    reading: str,
    first: tuple[str, str],
    second: tuple[str, str],
    losses: Mapping[tuple[str, str, str], Mapping[str, Reals]],
    n_comparisons: int,
) -> Change:
    differences = losses[*first, reading][measure] - losses[*second, reading][measure]
    of_seeds, of_images = differences.mean(axis=1), differences.mean(axis=0)
    change = float(of_seeds.mean())
    half = crossed_half_width(
        of_seeds, float(of_images.var(ddof=1) / len(of_images)), n_comparisons=n_comparisons
    )
    return Change(measure, reading, first, second, change, change - half, change + half)


def _overfitting(students: Mapping[str, _Seeds], epochs: int) -> Overfitting:
    since = min(OVERFITTING_FROM, epochs // 2)
    rises = {
        name: {
            sample: students[name].cross_entropy[sample][-1]
            - students[name].cross_entropy[sample][since - 1]
            for sample in ("train", "test")
        }
        for name in ("without", "with")
    }
    return Overfitting(
        since=since,
        until=epochs,
        test_rise={name: mean_interval(rise["test"]) for name, rise in rises.items()},
        train_fall={name: mean_interval(-rise["train"]) for name, rise in rises.items()},
        test_difference=mean_interval(rises["with"]["test"] - rises["without"]["test"]),
        train_difference=mean_interval(rises["without"]["train"] - rises["with"]["train"]),
    )


def _calibration(
    predictions: Mapping[tuple[str, str, str], Reals], y: NDArray[np.int64]
) -> tuple[Calibration, ...]:
    found = []
    for (name, rule, reading), probs in predictions.items():
        if reading != "best validation epoch":
            continue
        confidence = probs.max(axis=2)
        right = (probs.argmax(axis=2) == y).astype(np.float64)
        order = np.argsort(confidence, axis=None, kind="stable")
        groups = np.array_split(order, GROUPS)
        errors = [
            top_label_error(one, hit, n_groups=GROUPS)
            for one, hit in zip(confidence, right, strict=True)
        ]
        found.append(
            Calibration(
                student=name,
                rule=rule,
                confidence=np.array([confidence.ravel()[group].mean() for group in groups]),
                accuracy=np.array([right.ravel()[group].mean() for group in groups]),
                share=np.array([len(group) / order.size for group in groups]),
                error=float(np.mean(errors)),
            )
        )
    return tuple(found)
