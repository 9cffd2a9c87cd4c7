r"""MD 4 and the problem of MD 3.2: a teacher of a strong domain, students of weak ones.

**Base.** On FashionMNIST a network of four layers teaches one of a single layer. MD reports that
the student with the teacher's answers has the better accuracy on the test set and a slightly higher
cross-entropy. Neither λ nor :math:`T_0` is printed. Its loss 3.1 is the plain sum of two
cross-entropies, which is twice the objective of trust ½; Adam's steps do not hang on a factor of
the loss. :math:`T_0` is taken as 1, and as 4 beside it. The loss of 3.2 is shown too, with λ = ½.

**Pairs.** The source domain has 55 000 labelled pictures of 28 × 28 pixels, on which the teacher f
is trained. A target domain has 500 labelled weak views of other objects. The student
:math:`g(x) = \operatorname{softmax}(W^\top x + b)` of the target features is fitted to labels y and
to :math:`s = f(\varphi(x))`, for MD's λ, by MD's loss or by the cross-entropy,

.. math:: \sum_i \lambda \|y_i - g(x_i)\|^2 + (1 - \lambda) \|g(x_i) - s_i\|^2, \qquad
    -\sum_i \langle \lambda y_i + (1 - \lambda) s_i, \log g(x_i) \rangle .

λ = 1 is the student of the target domain alone. How many steps Adam takes is chosen, for each
student by itself, by the cross-entropy of 500 further labelled objects of the target domain; the
test set chooses nothing. The link φ is

* *known*: repetition or bilinear interpolation of coarse pixels; the identity where the features
  are the same. Of a line drawing none is known;
* learned *from pairs*, 2000 source objects without labels that were seen in both domains: ridge
  regression in closed form (`kdtheory.domains.paired_link`), or a network of one hidden layer;
* learned *without pairs*, by moments (`kdtheory.domains.moment_link`) in the coordinates along the
  leading principal axes of the source. Coarse pixels are other features, which moments do not tie.

**Verdicts.** A draw is a choice of the labelled objects out of 5000, of the noise of their views,
and of the initial weights. A paired difference is a mean over n draws and m test images, both of
which are samples,

.. math:: \widehat{\operatorname{Var}}(\bar d) = \hat\sigma_{draws}^2 / n
    + \hat\sigma_{images}^2 / m ,

with the t quantile of n − 1, widened by Bonferroni so that the intervals of one table hold
together. Where all students of a draw differ, :math:`\hat\sigma_{images}^2` is the mean over draws
of that within a draw, which is too large rather than too small. Teacher and links are the same in
all draws: nothing is said about others.

**Regression.** The area that a garment covers, the share of pixels that are not black, is a real
number that only the fine sensor can count. The teacher is ridge regression on all pixels; linear
students see 7 × 7 pixels and are solved in closed form (`kdtheory.domains.distil_across`), with the
ridge that the validation objects choose for the one of the target domain alone. Classes have no
order that a number could hold, and the brightness of a part is nearly a sum of coarse pixels; of
the area they tell most, but not all.

notation: λ = md_lambda = 1 − trust, φ = link, f = teacher, g = student, s = f(φ(x)), y = labels
"""

import platform
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdtheory._checks import check_count, check_flag
from kdtheory.datasets import ImageData, validation_split
from kdtheory.domains import distil_across, moment_link, paired_link
from kdtheory.experiments.degradations import (
    bilinear,
    block_means,
    line_drawings,
    noisy,
    partly_hidden,
    repeated,
)
from kdtheory.experiments.intervals import Interval, crossed_half_width, mean_interval, verdict
from kdtheory.experiments.machine import machine
from kdtheory.regression import distil_regression
from kdtheory.run_folder import SealedLines, run_folder

__all__ = [
    "Base",
    "BaseChange",
    "Curve",
    "Difference",
    "DomainPair",
    "DomainsResult",
    "LinkRows",
    "RegressionLink",
    "RegressionResult",
    "RegressionRow",
    "Scored",
    "StudentRow",
    "Through",
    "experiment_of_md",
    "settings",
]

Reals = NDArray[np.float64]
Features = NDArray[np.float32]
Link = Callable[[Features], Any]
View = Callable[[Features, np.random.Generator], Features]

SIDE, COARSE = 28, 7
N_CLASSES = 10
SPLIT_SEED, TEACHER_SEED, NETWORK_SEED, TEST_SEED = 0, 0, 0, 10**6
THRESHOLD = 1.0  # of line drawings: an edge between black and grey of a quarter
SIGMA = 0.3  # of noise
HIDDEN = 14  # side of the black square: a quarter of the picture
BATCH, RATE = 256, 1e-3  # of teacher and students of the base, as usual
WEAK_BATCH = 250  # of the students of a target domain
# students of labels alone mostly stop inside the range of steps, taught ones often at its end, as
# `at_last_step` says
WEAK_RATES = {784: 0.005, 49: 0.05}
NETWORK_WIDTH, NETWORK_BATCH = 256, 100
MD_LAMBDAS = (0.75, 0.5, 0.25, 0.0)
LOSSES = ("cross-entropy", "squares")
UNLABELLED = "cross-entropy, and unlabelled objects"
UNLABELLED_LAMBDA = 0.5
RIDGES = (0.1, 1.0, 10.0)  # of the students of regression
TEACHER_RIDGE = 1.0
PACKAGES = ("kdtheory", "numpy", "scipy", "scikit-learn", "torch")
MOST_SEEDS = 1000


class _Sizes(NamedTuple):
    """Numbers of objects and of steps."""

    source: int
    pool: int
    labelled: int
    validation: int
    pairs: int
    moments: int
    axes: int
    test: int
    teacher_epochs: int
    student_epochs: int
    network_epochs: int
    checkpoints: tuple[int, ...]
    most_seeds: int


FULL = _Sizes(
    source=55_000,
    pool=5000,
    labelled=500,
    validation=500,
    pairs=2000,
    moments=5000,
    axes=100,
    test=10_000,
    teacher_epochs=10,
    student_epochs=20,
    network_epochs=60,
    checkpoints=(10, 20, 40, 80, 160, 320),
    most_seeds=MOST_SEEDS,
)
QUICK = _Sizes(
    source=2400,
    pool=600,
    labelled=150,
    validation=150,
    pairs=500,
    moments=1000,
    axes=40,
    test=1000,
    teacher_epochs=10,
    student_epochs=5,
    network_epochs=20,
    checkpoints=(10, 20, 40, 80, 160),
    most_seeds=3,
)


@dataclass(frozen=True)
class Scored:
    """Accuracy and mean cross-entropy, in nats, of one model."""

    accuracy: float
    cross_entropy: float


@dataclass(frozen=True)
class Difference:
    """Mean paired difference over draws with its interval, and what that decides.

    The interval holds together with all others of its table (Bonferroni, 95 %).
    """

    change: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True, eq=False)
class Curve:
    """Test accuracy and test cross-entropy of one kind of student by epoch, over seeds.

    Each is a mapping of mean, low and high to as many numbers as there are epochs; the interval is
    the plain one of 95 % in each epoch.
    """

    student: str
    words: str
    test_accuracy: dict[str, list[float]]
    test_cross_entropy: dict[str, list[float]]


@dataclass(frozen=True)
class BaseChange:
    """One kind of student minus another by one measure, at the last or the best validated epoch."""

    student: str
    against: str
    measure: str
    reading: str
    change: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True, eq=False)
class Base:
    """MD's own experiment; see `experiment_of_md`.

    Attributes
    ----------
    teacher : Scored
        On the test set.
    epochs : tuple of int
    curves : tuple of Curve
        Shown as MD shows them; they choose nothing.
    readings : tuple of dict
        Accuracy and cross-entropy of each student at each reading, as intervals.
    changes : tuple of BaseChange
    n_comparisons : int
        Over which the intervals of the changes hold together.
    """

    teacher: Scored
    epochs: tuple[int, ...]
    curves: tuple[Curve, ...]
    readings: tuple[dict[str, Any], ...]
    changes: tuple[BaseChange, ...]
    n_comparisons: int


@dataclass(frozen=True)
class Through:
    """The teacher on the linked test set, f(φ(x)); it varies over draws only with the data."""

    accuracy: Interval
    cross_entropy: Interval


@dataclass(frozen=True)
class StudentRow:
    """Students of one loss and one λ, on the test set, over draws.

    Attributes
    ----------
    loss : str
        "cross-entropy", "squares", or the former with the teacher's answers on unlabelled objects
        of the target domain too.
    md_lambda : float or str
        MD's λ, 1 − trust; "chosen": for each draw the one of least validation cross-entropy.
    accuracy, cross_entropy : Interval
    accuracy_change, cross_entropy_change : Difference or None
        Minus the student of the target domain alone, of the same loss; None for that itself.
    steps : float
        Mean number of Adam's steps that validation chose.
    at_last_step : float
        Share of draws in which that was the largest number tried.
    """

    loss: str
    md_lambda: float | str
    accuracy: Interval
    cross_entropy: Interval
    accuracy_change: Difference | None
    cross_entropy_change: Difference | None
    steps: float
    at_last_step: float


@dataclass(frozen=True)
class LinkRows:
    """One link of a pair of domains and the students that it teaches."""

    link: str
    words: str
    teacher_through_link: Through
    rows: tuple[StudentRow, ...]


@dataclass(frozen=True)
class DomainPair:
    """Source and target domain, and students by link, loss and λ; see `experiment_of_md`."""

    pair: str
    words: str
    n_source: int
    n_target: int
    n_validation: int
    n_unlabelled: int
    source_features: int
    target_features: int
    n_comparisons: int
    source_teacher: Scored
    links: tuple[LinkRows, ...]


@dataclass(frozen=True)
class RegressionRow:
    """Linear students of one λ, by root mean squared error and R² on the test set, over draws.

    `md_lambda` is a number, or "loo" where leave-one-out chose it, with mean trust `trust`.
    """

    md_lambda: float | str
    trust: float
    rmse: Interval
    r2: Interval
    rmse_change: Difference | None


@dataclass(frozen=True)
class RegressionLink:
    """One link of the regression, the teacher through it, and its students."""

    link: str
    words: str
    teacher_through_link: dict[str, float]
    rows: tuple[RegressionRow, ...]


@dataclass(frozen=True)
class RegressionResult:
    """Share of a picture that is not black, from 7 × 7 pixels; see `experiment_of_md`."""

    quantity: str
    words: str
    n_source: int
    n_target: int
    n_comparisons: int
    source_teacher: dict[str, float]
    links: tuple[RegressionLink, ...]


@dataclass(frozen=True, eq=False)
class DomainsResult:
    """All of the experiment, as `kdtheory.files.plain_data` turns it into JSON.

    Attributes
    ----------
    quick : bool
        Whether it is a small part only, which shows that all runs and settles nothing.
    data, machine : dict
        Sizes and digests; where it ran.
    seconds : dict
        Wall time by stage, each as when it was done.
    base : Base
    pairs : tuple of DomainPair
    regression : RegressionResult
    examples : tuple of dict
        Three test pictures in each domain, grey values 0 … 255.
    """

    quick: bool
    data: dict[str, Any]
    machine: dict[str, Any]
    seconds: dict[str, float]
    base: Base
    pairs: tuple[DomainPair, ...]
    regression: RegressionResult
    examples: tuple[dict[str, Any], ...]


class _Pair(NamedTuple):
    """A target domain: how it sees a picture, and the links to the source."""

    words: str
    view: View
    links: tuple[str, ...]


PAIRS: Mapping[str, _Pair] = {
    "coarse": _Pair(
        "full resolution, 28 × 28 pixels → 7 × 7 pixels, means of blocks",
        lambda pictures, _: block_means(pictures, COARSE),
        ("repetition", "bilinear", "ridge", "network"),
    ),
    "drawings": _Pair(
        f"photographs → line drawings, where Sobel's gradient is at least {THRESHOLD:g}",
        lambda pictures, _: line_drawings(pictures, THRESHOLD),
        ("ridge", "network", "moments"),
    ),
    "noisy": _Pair(
        f"clean → noisy, normal noise of σ = {SIGMA:g} cut to [0, 1]",
        lambda pictures, rng: noisy(pictures, SIGMA, rng),
        ("identity", "ridge", "network", "moments"),
    ),
    "hidden": _Pair(
        f"clean → partly hidden, a black square of {HIDDEN} × {HIDDEN} at a random place",
        lambda pictures, rng: partly_hidden(pictures, HIDDEN, rng),
        ("identity", "ridge", "network", "moments"),
    ),
    "few": _Pair(
        "many objects → few objects of the same features",
        lambda pictures, _: pictures,
        ("identity",),
    ),
}
LINKS = {
    "identity": "known: the features are the same",
    "repetition": "known: each coarse pixel repeated over its block",
    "bilinear": "known: interpolated between the middles of the blocks",
    "ridge": "from pairs: ridge regression in closed form, its penalty by leave-one-out",
    "network": f"from pairs: a network of one hidden layer of {NETWORK_WIDTH}",
    "moments": "without pairs: means and covariances matched along the leading principal axes",
}
REGRESSION_LINKS = ("repetition", "bilinear", "ridge")


class _Kind(NamedTuple):
    """A kind of student of the base, and the one without a teacher that it is held against."""

    words: str
    trust: float
    temperature: float
    loss: str
    against: str | None


KINDS: Mapping[str, _Kind] = {
    "without": _Kind("labels only, cross-entropy", 0.0, 1.0, "cross-entropy", None),
    "Hinton, T = 1": _Kind(
        "MD 3.1, the sum of both cross-entropies, at T_0 = 1", 0.5, 1.0, "cross-entropy", "without"
    ),
    "Hinton, T = 4": _Kind(
        "MD 3.1, the sum of both cross-entropies, at T_0 = 4", 0.5, 4.0, "cross-entropy", "without"
    ),
    "squares without": _Kind("labels only, squares of probabilities", 0.0, 1.0, "squares", None),
    "squares": _Kind("MD 3.2 at λ = ½", 0.5, 1.0, "squares", "squares without"),
}
READINGS = ("last epoch", "best validation epoch")
MEASURES = ("accuracy", "cross_entropy")


class _Objects(NamedTuple):
    """Pictures (m, 28, 28) in [0, 1] and their classes."""

    pictures: Features
    labels: NDArray[np.int64]

    @property
    def X(self) -> Features:
        return _flat(self.pictures)

    def rows(self, rows: NDArray[np.intp]) -> "_Objects":
        return _Objects(self.pictures[rows], self.labels[rows])


class _World(NamedTuple):
    """What all stages share."""

    source: _Objects
    pool: _Objects
    test: _Objects
    sizes: _Sizes
    seeds: int
    device: str
    answers: Callable[[Features], Reals]  # the teacher's logits


class _Row(NamedTuple):
    """A student of a target domain; without a link it learns from the labels alone."""

    link: str | None
    loss: str
    md_lambda: float


def experiment_of_md(
    data: ImageData,
    *,
    seeds: int = 10,
    quick: bool = False,
    device: str = "cpu",
    folder: Path | None = None,
    tell: Callable[..., None] = lambda **_: None,
) -> DomainsResult:
    """MD's experiment, and distillation from one strong domain to five weak ones.

    Parameters
    ----------
    data : ImageData
        60 000 and 10 000 pictures of 28 × 28, of ten classes, as `kdtheory.datasets.fashion_mnist`
        gives them. With `quick` 3000 and 1000 will do.
    seeds : int, default 10
        Draws, from 2 to 1000; with `quick` at most 3 are used.
    quick : bool, default False
        Run all of it on a small part, to see that it runs.
    device : str, default "cpu"
        Where networks are trained, such as "cuda".
    folder : pathlib.Path, optional
        Where finished stages and the teacher's checkpoints are kept. What it holds is not computed
        again.
    tell : callable, optional
        Called as ``tell(total=..., completed=..., description=...)`` at the start, then with
        ``advance=1`` after each stage.

    Returns
    -------
    DomainsResult

    Raises
    ------
    ValueError
        If a number is outside its range, the data are too few or not 28 × 28, or the folder holds
        a run of other settings.
    TypeError
        If a number is not an integer.

    References
    ----------
    .. [1] MD, section 4, Figure 1; the problem of section 3.2.
    """
    config = settings(data, seeds=seeds, quick=quick, device=device)
    sizes = _sizes(quick)
    source, pool, test = _parts(data, sizes)
    with ExitStack() as stack:
        lines = None
        if folder is not None:
            run = run_folder(
                "folder",
                folder,
                config,
                files=["stages.jsonl"],
                folders=["teacher", "students"],
                resume=True,
            )
            lines = stack.enter_context(run).lines("stages.jsonl", what="stages")
        stages = _Stages(lines, tell)
        answers, trained = _teacher(source, sizes, device, folder, stages)
        world = _World(source, pool, test, sizes, config["seeds"], device, answers)
        tell(
            total=3 + len(PAIRS) * world.seeds,
            completed=len(stages.done),
            description="MD 4: base",
        )
        teacher = Scored(**stages.record("teacher", lambda: _teacher_scores(world), trained))
        base = stages.record("base", lambda: _base(world, folder))
        drawn = {name: _draws(name, world, stages) for name in PAIRS}
        regression = stages.record("regression", lambda: _regression(world))
    return DomainsResult(
        quick=quick,
        data=config["data"] | {"name": "FashionMNIST"},
        machine=machine(device),
        seconds=stages.seconds,
        base=_base_result(teacher, base),
        pairs=tuple(_pair_result(name, draws, teacher, world) for name, draws in drawn.items()),
        regression=_regression_result(regression, world),
        examples=_examples(test),
    )


def settings(
    data: ImageData, *, seeds: int = 10, quick: bool = False, device: str = "cpu"
) -> dict[str, Any]:
    """All that the numbers hang on, with the versions of the programs, as JSON has it.

    Parameters
    ----------
    data, seeds, quick, device
        As of `experiment_of_md`.

    Returns
    -------
    dict

    Raises
    ------
    ValueError, TypeError
        If a number is not an integer, or outside its range.
    """
    check_flag("quick", quick)
    sizes = _sizes(quick)
    n_seeds = min(check_count("seeds", seeds, least=2, most=MOST_SEEDS), sizes.most_seeds)
    return {
        "experiment": "MD 4",
        "quick": quick,
        "seeds": n_seeds,
        "device": device,
        "data": {
            "n_train": len(data.train_labels),
            "n_test": len(data.test_labels),
            "classes": list(data.classes),
            "digests": dict(data.digests),
        },
        "sizes": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in sizes._asdict().items()
        },
        "views": {
            "coarse": COARSE,
            "threshold": THRESHOLD,
            "sigma": SIGMA,
            "hidden": HIDDEN,
        },
        "pairs": {name: list(pair.links) for name, pair in PAIRS.items()},
        "base": {name: list(kind) for name, kind in KINDS.items()},
        "adam": {
            "batch": BATCH,
            "rate": RATE,
            "weak_batch": WEAK_BATCH,
            "weak_rates": {str(n): rate for n, rate in WEAK_RATES.items()},
        },
        "network": {"width": NETWORK_WIDTH, "batch": NETWORK_BATCH},
        "md_lambdas": list(MD_LAMBDAS),
        "losses": [*LOSSES, UNLABELLED],
        "unlabelled_lambda": UNLABELLED_LAMBDA,
        "regression": {
            "links": list(REGRESSION_LINKS),
            "ridges": list(RIDGES),
            "teacher_ridge": TEACHER_RIDGE,
        },
        "random": [SPLIT_SEED, TEACHER_SEED, NETWORK_SEED, TEST_SEED],
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }


class _Stages:
    """Finished stages of a run: numbers and seconds, kept in a file if there is one."""

    def __init__(self, lines: SealedLines | None, tell: Callable[..., None]) -> None:
        self.lines, self.tell = lines, tell
        self.done = {} if lines is None else {record["stage"]: record for record in lines.read()}

    def record(
        self, stage: str, compute: Callable[[], dict[str, Any]], before: float = 0.0
    ) -> dict[str, Any]:
        """The stage's numbers, computed unless they are there; `before`: seconds already spent."""
        if stage not in self.done:
            start = time.perf_counter()
            found = compute()
            seconds = before + time.perf_counter() - start
            self.done[stage] = {"stage": stage, "seconds": seconds, "found": found}
            if self.lines is not None:
                self.lines.append(self.done[stage])
            self.tell(advance=1, description=f"MD 4: {stage}")
        found = self.done[stage]["found"]
        return dict(found)

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time by stage; draws of one pair of domains are added up."""
        total: dict[str, float] = {}
        for stage, record in self.done.items():
            name = stage.split("/")[0]
            total[name] = total.get(name, 0.0) + record["seconds"]
        return total | {"total": sum(total.values())}


def _sizes(quick: bool) -> _Sizes:
    return QUICK if quick else FULL


def _parts(data: ImageData, sizes: _Sizes) -> tuple[_Objects, _Objects, _Objects]:
    """Source and target objects, which share none, and the test set."""
    needed = sizes.source + sizes.pool
    for name, images, least in (
        ("train_images", data.train_images, needed),
        ("test_images", data.test_images, sizes.test),
    ):
        if images.shape[1:] != (SIDE, SIDE) or len(images) < least:
            msg = (
                f"`data.{name}` must hold at least {least} pictures of {SIDE} × {SIDE}, "
                f"got shape {images.shape}"
            )
            raise ValueError(msg)
    train = _Objects(_unit(data.train_images), data.train_labels.astype(np.int64))
    source, pool = validation_split(len(train.labels), sizes.pool, SPLIT_SEED)
    test = _Objects(_unit(data.test_images), data.test_labels.astype(np.int64))
    return (
        train.rows(source[: sizes.source]),
        train.rows(pool),
        test.rows(np.arange(sizes.test)),
    )


def _unit(images: NDArray[np.uint8]) -> Features:
    return images.astype(np.float32) / np.float32(255)


def _flat(pictures: Features) -> Features:
    return pictures.reshape(len(pictures), -1)


def _teacher(
    source: _Objects, sizes: _Sizes, device: str, folder: Path | None, stages: _Stages
) -> tuple[Callable[[Features], Reals], float]:
    """The function that answers, and the seconds that its training took, if it was done now."""
    from kdtheory.neural import md_teacher, teacher_logits, train

    stages.tell(description="MD 4: teacher")
    start = time.perf_counter()
    training = train(
        md_teacher(TEACHER_SEED),
        source.X,
        source.labels,
        epochs=sizes.teacher_epochs,
        batch_size=BATCH,
        learning_rate=RATE,
        seed=TEACHER_SEED,
        accelerator=device,
        folder=None if folder is None else folder / "teacher",
        resume=folder is not None,
    )
    seconds = time.perf_counter() - start

    def answers(X: Features) -> Reals:
        logits = teacher_logits(training.model, X.astype(np.float32, copy=False), device=device)
        return np.asarray(logits.cpu(), dtype=np.float64)

    return answers, seconds


def _losses(logits: Any, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Success and loss of each object, (..., m), for logits (..., m, K)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=-1))
    right = np.take_along_axis(shifted, np.broadcast_to(labels[:, None], (*total.shape, 1)), -1)
    success = logits.argmax(axis=-1) == labels
    return {"accuracy": success.astype(total.dtype), "cross_entropy": total - right[..., 0]}


def _score(logits: Any, labels: NDArray[np.int64]) -> Scored:
    return Scored(
        **{name: float(values.mean()) for name, values in _losses(logits, labels).items()}
    )


def _teacher_scores(world: _World) -> dict[str, Any]:
    return asdict(_score(world.answers(world.test.X), world.test.labels))


def _base(world: _World, folder: Path | None) -> dict[str, Any]:
    """Test scores after every epoch; at both readings scores by seed, and paired differences."""
    from kdtheory.neural import Fleet, Sample, Student, fleet_curves

    source, sizes = world.source, world.sizes
    m, n_seeds = len(source.labels), world.seeds
    X = source.X
    fleet = Fleet(
        [
            Student(
                trust=kind.trust,
                temperature=kind.temperature,
                learning_rate=RATE,
                seed=seed,
                loss=kind.loss,
            )
            for kind in KINDS.values()
            for seed in range(n_seeds)
        ],
        X,
        [Sample(rows=np.arange(m), labels=source.labels, teacher_logits=world.answers(X))],
        N_CLASSES,
        batch_size=BATCH,
        device=world.device,
    )
    judged = {"test": world.test, "validation": world.pool}
    curves = fleet_curves(
        fleet,
        [-(-m // BATCH) * (epoch + 1) for epoch in range(sizes.student_epochs)],
        {name: (objects.X, objects.labels) for name, objects in judged.items()},
        folder=None if folder is None else folder / "students",
    )
    losses = {}
    for reading, weights in zip(READINGS, (curves.last_weights, curves.best_weights), strict=True):
        for k, name in enumerate(KINDS):
            own = weights[k * n_seeds : (k + 1) * n_seeds]
            # as nn.Linear names them
            logits = np.stack([world.test.X @ w["weight"].T + w["bias"] for w in own])
            losses[name, reading] = _losses(logits, world.test.labels)
    shape = sizes.student_epochs, len(KINDS), n_seeds
    return {
        "curves": {
            measure: getattr(curves, measure)["test"].reshape(shape).tolist()
            for measure in MEASURES
        },
        "readings": [
            {"student": name, "reading": reading}
            | {measure: values[measure].mean(axis=1).tolist() for measure in MEASURES}
            for (name, reading), values in losses.items()
        ],
        "changes": [
            {"student": name, "against": kind.against, "measure": measure, "reading": reading}
            | _paired(losses[name, reading][measure], losses[kind.against, reading][measure])
            for name, kind in KINDS.items()
            if kind.against is not None
            for measure in MEASURES
            for reading in READINGS
        ],
    }


def _paired(first: Any, second: Any) -> dict[str, Any]:
    """Differences by seed, and the variance of their mean over images, of (n, m) losses each."""
    differences = first - second
    images = differences.mean(axis=0)
    return {
        "differences": differences.mean(axis=1).tolist(),
        "image_variance": float(images.var(ddof=1) / len(images)),
    }


def _base_result(teacher: Scored, found: Mapping[str, Any]) -> Base:
    """Curves, both readings, and their paired differences."""
    scores = {measure: np.array(found["curves"][measure]) for measure in MEASURES}
    curves = []
    for k, (name, kind) in enumerate(KINDS.items()):
        bands = {
            f"test_{measure}": _band([mean_interval(epoch[k]) for epoch in values])
            for measure, values in scores.items()
        }
        curves.append(Curve(name, kind.words, **bands))
    changes = []
    for change in found["changes"]:
        compared = {key: change[key] for key in ("student", "against", "measure", "reading")}
        judged = _difference(
            np.array(change["differences"]),
            change["image_variance"],
            len(found["changes"]),
            more_is_better=change["measure"] == "accuracy",
        )
        changes.append(BaseChange(**compared, **asdict(judged)))
    return Base(
        teacher=teacher,
        epochs=tuple(range(1, len(scores["accuracy"]) + 1)),
        curves=tuple(curves),
        readings=tuple(
            row | {measure: mean_interval(np.array(row[measure])) for measure in MEASURES}
            for row in found["readings"]
        ),
        changes=tuple(changes),
        n_comparisons=len(changes),
    )


def _band(intervals: Sequence[Interval]) -> dict[str, list[float]]:
    return {
        end: [getattr(interval, end) for interval in intervals] for end in ("mean", "low", "high")
    }


def _difference(
    values: Reals, image_variance: float, n_comparisons: int, *, more_is_better: bool
) -> Difference:
    """Mean of paired differences with an interval that holds together with all of its table."""
    change = float(values.mean())
    half = crossed_half_width(values, image_variance, n_comparisons=n_comparisons)
    low, high = change - half, change + half
    words = verdict(-high, -low) if more_is_better else verdict(low, high)
    return Difference(change=change, low=low, high=high, verdict=words)


def _draws(name: str, world: _World, stages: _Stages) -> list[dict[str, Any]]:
    """All draws of one target domain; links are learned only if a draw is missing."""
    pair = PAIRS[name]
    missing = [s for s in range(world.seeds) if f"{name}/{s}" not in stages.done]
    links: dict[str, Link] = {}
    learning = 0.0
    if missing:
        stages.tell(description=f"MD 4: {name}, links")
        start = time.perf_counter()
        links = {link: _link(link, name, world) for link in pair.links}
        learning = time.perf_counter() - start
    draws = []
    for seed in range(world.seeds):
        before = learning if missing and seed == missing[0] else 0.0

        def compute(seed: int = seed) -> dict[str, Any]:
            return _draw(name, seed, links, world)

        draws.append(stages.record(f"{name}/{seed}", compute, before))
    return draws


def _rng(name: str, seed: int) -> np.random.Generator:
    """Stream of one draw in one target domain."""
    return np.random.default_rng((seed, 1 + list(PAIRS).index(name)))


def _link(link: str, name: str, world: _World) -> Link:
    """The map from target features, (m, n_t), to source features, (m, 784)."""
    known: dict[str, Link] = {
        "identity": lambda X: X,
        "repetition": lambda X: _flat(repeated(X.reshape(-1, COARSE, COARSE), SIDE)),
        "bilinear": lambda X: _flat(bilinear(X.reshape(-1, COARSE, COARSE), SIDE)),
    }
    if link in known:
        return known[link]
    sizes, view = world.sizes, PAIRS[name].view
    if link == "moments":
        weak = _flat(view(world.pool.pictures, _rng(name, TEST_SEED + 1)))
        return _moments_along_axes(weak, world.source.X[: sizes.moments], sizes.axes)
    pictures = world.source.pictures[: sizes.pairs]
    weak = _flat(view(pictures, _rng(name, TEST_SEED + 2)))
    if link == "ridge":
        return paired_link(weak, _flat(pictures))
    return _network_link(weak, _flat(pictures), sizes.network_epochs)


def _moments_along_axes(target: Features, source: Features, n_axes: int) -> Link:
    """Moments matched in the source's leading principal coordinates; the others at their mean."""
    center = source.mean(axis=0, dtype=np.float64)
    centred = source - center
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, -n_axes:]
    inner = moment_link((target - center) @ axes, centred @ axes)

    def link(X: Features) -> Reals:
        mapped: Reals = center + inner((X - center) @ axes) @ axes.T
        return mapped

    return link


def _network_link(target: Features, source: Features, epochs: int) -> Link:
    """Least squares by a network of one hidden layer, stopped by a tenth of the pairs."""
    # here, since their import is slow
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    network = MLPRegressor(
        hidden_layer_sizes=(NETWORK_WIDTH,),
        batch_size=min(NETWORK_BATCH, len(target) // 2),  # a tenth is set aside
        early_stopping=True,
        max_iter=epochs,
        random_state=NETWORK_SEED,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it may be stopped by `epochs`
        network.fit(target, source)
    predict: Link = network.predict
    return predict


def _rows(links: Sequence[str]) -> Iterator[_Row]:
    """Students of one draw: those of the target domain alone first."""
    for loss in LOSSES:
        yield _Row(None, loss, 1.0)
    for link in links:
        for loss in LOSSES:
            for md_lambda in MD_LAMBDAS:
                yield _Row(link, loss, md_lambda)
        yield _Row(link, UNLABELLED, UNLABELLED_LAMBDA)


def _draw(name: str, seed: int, links: Mapping[str, Link], world: _World) -> dict[str, Any]:
    """All students of one draw, by the number of steps that their validation chooses."""
    from kdtheory.neural import IGNORED, Fleet, Sample, Student

    sizes, pool, rng = world.sizes, world.pool, _rng(name, seed)
    X = _flat(PAIRS[name].view(pool.pictures, rng))
    labelled, validation, unlabelled = _target_parts(world, seed)
    both = np.concatenate([labelled, unlabelled])
    labels = np.full(len(both), IGNORED)
    labels[: len(labelled)] = pool.labels[labelled]
    samples = [Sample(rows=labelled, labels=pool.labels[labelled])]
    for link in links.values():
        logits = world.answers(link(X[both]))
        samples += [
            Sample(rows=both[:m], labels=labels[:m], teacher_logits=logits[:m])
            for m in (len(labelled), len(both))
        ]
    rows = list(_rows(tuple(links)))
    fleet = Fleet(
        [
            Student(
                trust=1 - row.md_lambda,
                learning_rate=WEAK_RATES[X.shape[1]],
                seed=seed,
                sample=_sample(row, list(links)),
                loss="squares" if row.loss == "squares" else "cross-entropy",
            )
            for row in rows
        ],
        X,
        samples,
        N_CLASSES,
        batch_size=min(WEAK_BATCH, len(labelled)),
        device=world.device,
    )
    X_test = _flat(PAIRS[name].view(world.test.pictures, _rng(name, TEST_SEED)))
    alone = [LOSSES.index(row.loss) if row.loss in LOSSES else 0 for row in rows]
    best = np.full(len(rows), np.inf)
    steps = np.zeros(len(rows), dtype=int)
    tested: dict[str, Any] = {}
    for until in sizes.checkpoints:
        fleet.train(until - fleet.step)
        judged = fleet.scores(X[validation], pool.labels[validation]).cross_entropy
        better = judged < best
        best[better], steps[better] = judged[better], until
        losses = _losses(np.asarray(fleet.logits(X_test).cpu()), world.test.labels)
        for measure, values in losses.items():
            tested.setdefault(measure, np.empty_like(values))[better] = values[better]
    return {
        "through": {
            link: asdict(_score(world.answers(function(X_test)), world.test.labels))
            for link, function in links.items()
        },
        "steps": steps.tolist(),
        "validation": best.tolist(),
    } | {
        measure: {
            "mean": values.mean(axis=1, dtype=np.float64).tolist(),
            "image_variance": ((values - values[alone]).var(axis=1, ddof=1) / values.shape[1])
            .astype(np.float64)
            .tolist(),
        }
        for measure, values in tested.items()
    }


def _target_parts(world: _World, seed: int) -> tuple[NDArray[np.intp], ...]:
    """Labelled, validation and unlabelled objects of the pool; the same in all target domains."""
    order = np.random.default_rng((seed, 0)).permutation(len(world.pool.labels))
    ends = np.cumsum([world.sizes.labelled, world.sizes.validation])
    labelled, validation, unlabelled = np.split(order, ends)
    return labelled, validation, unlabelled


def _sample(row: _Row, links: Sequence[str]) -> int:
    """Which sample of the draw a student learns from."""
    if row.link is None:
        return 0
    return 1 + 2 * links.index(row.link) + (row.loss == UNLABELLED)


def _pair_result(
    name: str, draws: Sequence[Mapping[str, Any]], teacher: Scored, world: _World
) -> DomainPair:
    pair, sizes = PAIRS[name], world.sizes
    rows = list(_rows(pair.links))
    values = {key: np.array([draw[key] for draw in draws]).T for key in ("steps", "validation")}
    for measure in MEASURES:
        for key in ("mean", "image_variance"):
            values[f"{measure} {key}"] = np.array([draw[measure][key] for draw in draws]).T
    alone = {loss: i for i, loss in enumerate(LOSSES)} | {UNLABELLED: 0}
    # each link: the λ of each loss, the λ chosen, and the row with unlabelled objects
    n_comparisons = len(MEASURES) * len(pair.links) * (len(LOSSES) * (len(MD_LAMBDAS) + 1) + 1)

    def row_of(loss: str, md_lambda: float | str, at: Any) -> StudentRow:
        """Student `at`, one for all draws or one for each."""
        draw = np.arange(len(draws))
        of = {key: array[at, draw] for key, array in values.items()}
        changes: dict[str, Difference | None] = dict.fromkeys(MEASURES)
        if md_lambda != 1.0:
            changes = {
                measure: _difference(
                    of[f"{measure} mean"] - values[f"{measure} mean"][alone[loss]],
                    float(of[f"{measure} image_variance"].mean()),
                    n_comparisons,
                    more_is_better=measure == "accuracy",
                )
                for measure in MEASURES
            }
        return StudentRow(
            loss=loss,
            md_lambda=md_lambda,
            accuracy=mean_interval(of["accuracy mean"]),
            cross_entropy=mean_interval(of["cross_entropy mean"]),
            accuracy_change=changes["accuracy"],
            cross_entropy_change=changes["cross_entropy"],
            steps=float(of["steps"].mean()),
            at_last_step=float((of["steps"] == sizes.checkpoints[-1]).mean()),
        )

    tables = []
    for link in pair.links:
        found = []
        for loss in LOSSES:
            students = [alone[loss]] + [
                i for i, row in enumerate(rows) if (row.link, row.loss) == (link, loss)
            ]
            found += [row_of(loss, rows[i].md_lambda, i) for i in students]
            chosen = np.array(students)[values["validation"][students].argmin(axis=0)]
            found.append(row_of(loss, "chosen", chosen))
        found.append(
            row_of(
                UNLABELLED, UNLABELLED_LAMBDA, rows.index(_Row(link, UNLABELLED, UNLABELLED_LAMBDA))
            )
        )
        through = [draw["through"][link] for draw in draws]
        tables.append(
            LinkRows(
                link=link,
                words=LINKS[link],
                teacher_through_link=Through(
                    **{m: mean_interval(np.array([t[m] for t in through])) for m in MEASURES}
                ),
                rows=tuple(found),
            )
        )
    n_features = COARSE**2 if name == "coarse" else SIDE**2
    return DomainPair(
        pair=name,
        words=pair.words,
        n_source=sizes.source,
        n_target=sizes.labelled,
        n_validation=sizes.validation,
        n_unlabelled=sizes.pool - sizes.labelled - sizes.validation,
        source_features=SIDE**2,
        target_features=n_features,
        n_comparisons=n_comparisons,
        source_teacher=teacher,
        links=tuple(tables),
    )


def _area(pictures: Features) -> Reals:
    """Share of the pixels that are not black, of each picture."""
    area: Reals = (pictures > 0).mean(axis=(1, 2))
    return area


def _regression(world: _World) -> dict[str, Any]:
    """Errors of teacher and students on the test set, by link, λ and draw."""
    fit = distil_regression(
        world.source.X,
        _area(world.source.pictures),
        None,
        ridge=TEACHER_RIDGE,
        fit_intercept=True,
    )

    def teacher(U: Features) -> Reals:
        answers: Reals = U @ fit.coef + fit.intercept
        return answers

    truth, seen = _area(world.test.pictures), _area(world.pool.pictures)
    X, X_test = (_flat(block_means(part.pictures, COARSE)) for part in (world.pool, world.test))
    found: dict[str, Any] = {
        "spread": float(truth.std()),
        "teacher": _rmse(teacher(world.test.X), truth),
        "links": {},
    }
    for name in REGRESSION_LINKS:
        link = _link(name, "coarse", world)
        students: dict[str, list[list[float]]] = {}
        for seed in range(world.seeds):
            labelled, validation, _ = _target_parts(world, seed)
            scored = _regression_draw(
                _Numbers(X[labelled], seen[labelled]),
                _Numbers(X[validation], seen[validation]),
                _Numbers(X_test, truth),
                teacher,
                link,
            )
            for md_lambda, scores in scored.items():
                students.setdefault(str(md_lambda), []).append(scores)
        found["links"][name] = {"teacher": _rmse(teacher(link(X_test)), truth)} | students
    return found


class _Numbers(NamedTuple):
    """Features and real answers."""

    X: Features
    y: Reals


def _regression_draw(
    target: _Numbers,
    validation: _Numbers,
    test: _Numbers,
    teacher: Callable[[Features], Reals],
    link: Link,
) -> dict[float | str, list[float]]:
    """For each λ the error, the trust, and the variance over images of the change of the error."""
    known: dict[str, Any] = {"fit_intercept": True}
    alone = min(
        (
            distil_across(*target, teacher, link, trust=0.0, ridge=ridge, **known)
            for ridge in RIDGES
        ),
        key=lambda fit: _rmse(fit.predict(validation.X), validation.y),
    )
    known["ridge"] = alone.fit.ridge
    before = (alone.predict(test.X) - test.y) ** 2
    found = {}
    for md_lambda in (1.0, *MD_LAMBDAS, "loo"):
        trust = "loo" if isinstance(md_lambda, str) else 1 - md_lambda
        fit = distil_across(*target, teacher, link, trust=trust, **known)
        squares = (fit.predict(test.X) - test.y) ** 2
        # to first order, as a root mean square is no mean of images
        influence = (squares / _root_mean(squares) - before / _root_mean(before)) / 2
        variance = float(influence.var(ddof=1) / len(test.y))
        found[md_lambda] = [_root_mean(squares), fit.trust, variance]
    return found


def _rmse(answers: Reals, truth: Reals) -> float:
    return _root_mean((answers - truth) ** 2)


def _root_mean(squares: Reals) -> float:
    return float(np.sqrt(squares.mean()))


def _regression_result(found: Mapping[str, Any], world: _World) -> RegressionResult:
    def judged(rmse: Any) -> dict[str, Any]:
        return {"rmse": rmse, "r2": 1 - (rmse / found["spread"]) ** 2}

    n_comparisons = len(REGRESSION_LINKS) * (len(MD_LAMBDAS) + 1)
    tables = []
    for name, students in found["links"].items():
        alone = np.array(students["1.0"])[:, 0]
        rows = []
        for md_lambda in (1.0, *MD_LAMBDAS, "loo"):
            rmse, trust, images = np.array(students[str(md_lambda)]).T
            change = _difference(
                rmse - alone, float(images.mean()), n_comparisons, more_is_better=False
            )
            rows.append(
                RegressionRow(
                    md_lambda=md_lambda,
                    trust=float(trust.mean()),
                    rmse_change=None if md_lambda == 1.0 else change,
                    **{key: mean_interval(value) for key, value in judged(rmse).items()},
                )
            )
        tables.append(RegressionLink(name, LINKS[name], judged(students["teacher"]), tuple(rows)))
    return RegressionResult(
        quantity="area",
        words="share of the pixels at full resolution that are not black",
        n_source=world.sizes.source,
        n_target=world.sizes.labelled,
        n_comparisons=n_comparisons,
        source_teacher=judged(found["teacher"]),
        links=tuple(tables),
    )


def _examples(test: _Objects) -> tuple[dict[str, Any], ...]:
    """The first test pictures of three classes, in each domain."""
    rows = np.array([int(np.argmax(test.labels == label)) for label in (0, 5, 9)])
    pictures = test.pictures[rows]
    views = {"source": pictures} | {
        name: pair.view(pictures, _rng(name, TEST_SEED))
        for name, pair in PAIRS.items()
        if name != "few"
    }
    return tuple(
        {"domain": name, "pictures": np.rint(255 * view).astype(int).tolist()}
        for name, view in views.items()
    )
