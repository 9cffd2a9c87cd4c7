r"""Where a teacher helps: its effect over trust, temperature and the number of labelled objects.

The student is logistic regression on FashionMNIST, the teacher the network of GS 6.1, which has
seen all labels of the training sample. Of these only the first n are told to the student, in an
order drawn by the seed, and the teacher answers

* on the *labelled* objects alone, or
* on *all* objects of the training sample, n of them with their labels.

An object without a label has only the teacher's term. At trust λ = 0 the student sees the n
labelled objects and no teacher: it is what each student is compared with, at the same n and seed.
The bracket of (14) is multiplied by T², as Hinton does, since otherwise a temperature takes weight
from the teacher and would be a second trust; at T = 1 this is (14) itself.

Every student is read at the step that was best on the validation sample of 5000 labelled images,
which a user with 100 labels does not have: it stands for stopping as well as can be. At n = 60 000
the validation sample is learned from too: such a student is read at the step that was best for its
twin without that sample. Adam's rate is twice its usual one, so that validation is best within the
steps done; `at_last_step` says where it is not.

**Verdicts.** The interval of a change is over seeds and over test images (at n = 60 000 the
images' variance is that of the twin): `kdtheory.experiments.intervals.crossed_half_width`. Each
holds by itself. One teacher stands for all.

notation: n = n_labels, λ = trust, T = temperature
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdtheory.experiments.intervals import Interval, crossed_half_width, mean_interval, verdict
from kdtheory.softening import log_soften

if TYPE_CHECKING:
    from kdtheory.neural import FleetCurves

__all__ = ["Baseline", "Cell", "Effect", "PhaseDiagram", "phase_diagram", "phase_settings"]

Reals = NDArray[np.float64]
Labels = NDArray[np.int64]

SIZES = (100, 300, 1000, 3000, 10_000, None)  # None: all
TRUSTS = (0.25, 0.5, 0.75, 1.0)
TEMPERATURES = (1.0, 2.0, 4.0)
SEEDS = 5
STEPS = (50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2400, 3200, 4500, 6000, 8000)
BATCH_SIZE, LEARNING_RATE = 256, 2e-3
QUICK_SIZES, QUICK_SEEDS, QUICK_STEPS = (100, 1000, None), 2, (50, 100, 200, 400)


@dataclass(frozen=True)
class Effect:
    """Mean change that the teacher makes, and its 95 % interval over seeds and test images."""

    change: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Baseline:
    """The student without a teacher, on the test sample."""

    n_labels: int
    cross_entropy: Interval
    accuracy: Interval


@dataclass(frozen=True)
class Cell:
    """One kind of student with the teacher, on the test sample, and against the one without.

    `chosen` says that it has the least mean cross-entropy on the validation sample among all with
    its n and its answered objects: the one a user would take. `at_last_step` is the share of the
    seeds whose student was read at the last step: where it is large, more steps might do better.
    """

    n_labels: int
    answered: str
    trust: float
    temperature: float
    cross_entropy: Interval
    accuracy: Interval
    cross_entropy_change: Effect
    accuracy_change: Effect
    chosen: bool
    at_last_step: float


@dataclass(frozen=True)
class PhaseDiagram:
    """All cells of the diagram; `n_students` counts every one that was trained."""

    sizes: tuple[int, ...]
    trusts: tuple[float, ...]
    temperatures: tuple[float, ...]
    n_students: int
    n_seeds: int
    n_steps: int
    baselines: tuple[Baseline, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class _Kind:
    """A student but for its seed; n_labels None is the twin that leaves validation out."""

    n_labels: int | None
    answered: str
    trust: float
    temperature: float


@dataclass(frozen=True, eq=False)
class _Reading:
    """Scores of a kind at the steps at which it is read.

    On the test sample for each seed, and for each image a mean over the seeds; `validation` is the
    mean cross-entropy on the validation sample. Those who learn from that have the values of their
    twins for `validation` and `images`.
    """

    cross_entropy: Reals
    accuracy: Reals
    validation: float
    at_last_step: float
    images: Mapping[str, Reals]


def phase_diagram(
    X: NDArray[np.float32],
    y: Labels,
    test: tuple[NDArray[np.float32], Labels],
    teacher_logits: NDArray[Any],
    validation_rows: NDArray[np.intp],
    *,
    quick: bool = False,
    device: str = "cpu",
    folder: Path | None = None,
    tell: Callable[..., None] = lambda **_: None,
) -> PhaseDiagram:
    """Train all students of the diagram as one fleet.

    Parameters
    ----------
    X, y : (m, n) ndarray, (m,) ndarray of int
        All images that are not of the test sample, with their labels.
    test : (X, y)
        Shown only: nothing is chosen on it.
    teacher_logits : (m, K) ndarray
    validation_rows : (v,) ndarray of int
        Rows of X that choose the step; learned from only at the largest n.
    quick : bool, default False
        Fewer sizes, seeds and steps.
    device : str, default "cpu"
    folder : pathlib.Path, optional
        Where the state of the fleet is kept.
    tell : callable, optional
        As of `kdtheory.experiments.fashion_mnist.experiment_of_gs_6_1`.

    Returns
    -------
    PhaseDiagram
    """
    from kdtheory.neural import Fleet, Sample, Student, fleet_curves

    grid = phase_settings(quick=quick)
    n_seeds = grid["n_seeds"]
    train_rows = np.setdiff1d(np.arange(len(y)), validation_rows)
    few = [size for size in grid["sizes"] if size is not None and size < len(train_rows)]
    kinds = _kinds((*few, len(y)), len(y))
    told = _told(kinds, n_seeds, y, train_rows)
    fleet = Fleet(
        [
            Student(
                trust=kind.trust, temperature=kind.temperature, squared_temperature=True,
                learning_rate=LEARNING_RATE, seed=seed,
                sample=list(told).index((kind.n_labels, kind.answered, seed)),
            )
            for kind in kinds
            for seed in range(n_seeds)
        ],
        X,
        [Sample(rows, labels, teacher_logits[rows]) for rows, labels in told.values()],
        n_classes=teacher_logits.shape[1], batch_size=BATCH_SIZE, device=device,
    )  # fmt: skip
    tell(total=len(grid["steps"]), completed=0, description="phase diagram")
    curves = fleet_curves(
        fleet,
        grid["steps"],
        {"validation": (X[validation_rows], y[validation_rows]), "test": test},
        folder=folder,
        tell=tell,
    )
    readings = _readings(kinds, curves, test, len(y))
    return PhaseDiagram(
        sizes=(*few, len(y)),
        trusts=TRUSTS,
        temperatures=TEMPERATURES,
        n_students=len(fleet.students),
        n_seeds=n_seeds,
        n_steps=grid["steps"][-1],
        baselines=tuple(
            Baseline(
                kind.n_labels or 0, mean_interval(it.cross_entropy), mean_interval(it.accuracy)
            )
            for kind, it in readings.items()
            if kind.trust == 0
        ),
        cells=tuple(_cell(kind, readings) for kind in readings if kind.trust > 0),
    )


def phase_settings(*, quick: bool = False) -> dict[str, Any]:
    """Sizes, seeds, steps and the grid of the diagram, as JSON has them; None is all objects.

    Parameters
    ----------
    quick : bool, default False

    Returns
    -------
    dict
    """
    return {
        "sizes": list(QUICK_SIZES if quick else SIZES),
        "trusts": list(TRUSTS),
        "temperatures": list(TEMPERATURES),
        "n_seeds": QUICK_SEEDS if quick else SEEDS,
        "steps": list(QUICK_STEPS if quick else STEPS),
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "squared_temperature": True,
    }


def _kinds(sizes: tuple[int, ...], n_objects: int) -> list[_Kind]:
    kinds = []
    for n in (*sizes, None):  # None: the twin of the students who see everything
        kinds.append(_Kind(n, "labelled", 0.0, 1.0))
        # with every label known, the teacher answers on all of them in either case
        ways = ("labelled",) if n in (n_objects, None) else ("labelled", "all")
        kinds += [_Kind(n, way, trust, T) for way in ways for trust in TRUSTS for T in TEMPERATURES]
    return kinds


def _told(
    kinds: Sequence[_Kind], n_seeds: int, y: Labels, train_rows: NDArray[np.intp]
) -> dict[tuple[int | None, str, int], tuple[NDArray[np.intp], Labels]]:
    """Rows that students learn from, and their labels where they are told, by n, way and seed."""
    from kdtheory.neural import IGNORED

    told = {}
    for seed in range(n_seeds):
        order = np.random.default_rng((seed, 1)).permutation(train_rows)
        for n, way in dict.fromkeys((kind.n_labels, kind.answered) for kind in kinds):
            known = order[:n] if n != len(y) else np.arange(n)
            rows = order if way == "all" else known
            labels = np.full(len(y), IGNORED)
            labels[known] = y[known]
            told[n, way, seed] = rows, labels[rows]
    return told


def _readings(
    kinds: Sequence[_Kind],
    curves: "FleetCurves",
    test: tuple[NDArray[np.float32], Labels],
    n_objects: int,
) -> dict[_Kind, _Reading]:
    """Every kind but the twins, who choose the steps of those who see everything."""
    best = curves.best.reshape(len(kinds), -1)
    columns = dict(zip(kinds, np.arange(best.size).reshape(best.shape), strict=True))
    readings = {}
    for kind in kinds:
        if kind.n_labels is not None:
            chooser = replace(kind, n_labels=None) if kind.n_labels == n_objects else kind
            own, its = columns[kind], columns[chooser]
            steps = curves.best[its]
            readings[kind] = _Reading(
                cross_entropy=curves.cross_entropy["test"][steps, own],
                accuracy=curves.accuracy["test"][steps, own],
                validation=float(curves.cross_entropy["validation"][steps, its].mean()),
                at_last_step=float((steps == len(curves.steps) - 1).mean()),
                images=_mean_scores([curves.best_weights[i] for i in its], *test),
            )
    return readings


def _mean_scores(
    students: Sequence[Mapping[str, Reals]], X: NDArray[np.float32], y: Labels
) -> dict[str, Reals]:
    """Cross-entropy and success (m,) at each image, means over the seeds."""
    found = {"cross_entropy": np.zeros(len(y)), "accuracy": np.zeros(len(y))}
    for weights in students:
        logits = X @ weights["weight"].T.astype(np.float32) + weights["bias"]
        log_probs = log_soften(logits)
        found["cross_entropy"] -= log_probs[np.arange(len(y)), y] / len(students)
        found["accuracy"] += (logits.argmax(axis=1) == y) / len(students)
    return found


def _cell(kind: _Kind, readings: Mapping[_Kind, _Reading]) -> Cell:
    own = readings[kind]
    without = readings[_Kind(kind.n_labels, "labelled", 0.0, 1.0)]
    rivals = [
        reading.validation
        for other, reading in readings.items()
        if other.trust > 0 and (other.n_labels, other.answered) == (kind.n_labels, kind.answered)
    ]
    return Cell(
        n_labels=kind.n_labels or 0,
        answered=kind.answered,
        trust=kind.trust,
        temperature=kind.temperature,
        cross_entropy=mean_interval(own.cross_entropy),
        accuracy=mean_interval(own.accuracy),
        cross_entropy_change=_effect(own, without, "cross_entropy"),
        accuracy_change=_effect(own, without, "accuracy"),
        chosen=own.validation == min(rivals),
        at_last_step=own.at_last_step,
    )


def _effect(own: _Reading, without: _Reading, measure: str) -> Effect:
    values = getattr(own, measure) - getattr(without, measure)
    images = own.images[measure] - without.images[measure]
    change = float(values.mean())
    half = crossed_half_width(values, float(images.var(ddof=1) / len(images)))
    low, high = change - half, change + half
    words = verdict(-high, -low) if measure == "accuracy" else verdict(low, high)
    return Effect(change, low, high, words)
