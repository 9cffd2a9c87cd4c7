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

Every student is read at the step that was best on the validation sample, as a user would who stops
early. At n = 60 000 the validation sample is learned from too: such a student is read at the step
that was best for its twin without that sample.

notation: n = n_labels, λ = trust, T = temperature
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdtheory.experiments.intervals import Interval, mean_interval, verdict

__all__ = ["Baseline", "Cell", "Effect", "PhaseDiagram", "phase_diagram", "phase_settings"]

Reals = NDArray[np.float64]
Labels = NDArray[np.int64]

SIZES = (100, 300, 1000, 3000, 10_000, None)  # None: all
TRUSTS = (0.25, 0.5, 0.75, 1.0)
TEMPERATURES = (1.0, 2.0, 4.0)
SEEDS = 5
STEPS = (50, 100, 150, 200, 300, 400, 500, 700, 900, 1200, 1500, 2000, 2500, 3200, 4000)
BATCH_SIZE, LEARNING_RATE = 256, 1e-3
QUICK_SIZES, QUICK_SEEDS, QUICK_STEPS = (100, 1000, None), 2, (50, 100, 200, 400)
UNKNOWN = -100  # the label of an object whose label is not told


@dataclass(frozen=True)
class Effect:
    """Mean change that the teacher makes, and its 95 % t interval over the seeds."""

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
    train_rows = np.setdiff1d(np.arange(len(y)), validation_rows)
    few = [size for size in grid["sizes"] if size is not None and size < len(train_rows)]
    sizes = (*few, len(y))
    kinds = _kinds(sizes, len(y))
    samples: list[Sample] = []
    numbers: dict[tuple[int | None, str, int], int] = {}
    for seed in range(grid["n_seeds"]):
        order = np.random.default_rng((seed, 1)).permutation(train_rows)
        for n, answered in dict.fromkeys((kind.n_labels, kind.answered) for kind in kinds):
            known = order if n is None else np.arange(len(y)) if n == len(y) else order[:n]
            rows = order if answered == "all" and n != len(y) else known
            labels = np.full(len(y), UNKNOWN)
            labels[known] = y[known]
            numbers[n, answered, seed] = len(samples)
            samples.append(Sample(rows, labels[rows], teacher_logits[rows]))
    fleet = Fleet(
        [
            Student(
                trust=kind.trust, temperature=kind.temperature, squared_temperature=True,
                learning_rate=LEARNING_RATE, seed=seed,
                sample=numbers[kind.n_labels, kind.answered, seed],
            )
            for kind in kinds
            for seed in range(grid["n_seeds"])
        ],
        X, samples, n_classes=teacher_logits.shape[1], batch_size=BATCH_SIZE, device=device,
    )  # fmt: skip
    tell(total=len(grid["steps"]), completed=0, description="phase diagram")
    curves = fleet_curves(
        fleet,
        grid["steps"],
        {"validation": (X[validation_rows], y[validation_rows]), "test": test},
        keep_best=False,
        folder=folder,
        tell=tell,
    )
    best = curves.best.reshape(len(kinds), -1)
    twin = {
        (kind.trust, kind.temperature): row
        for kind, row in zip(kinds, best, strict=True)
        if kind.n_labels is None
    }
    columns = np.arange(best.size).reshape(best.shape)
    read: dict[_Kind, tuple[Reals, Reals, Reals]] = {}
    chosen: dict[tuple[int | None, str], tuple[float, _Kind]] = {}
    for kind, row, column in zip(kinds, best, columns, strict=True):
        loss = curves.cross_entropy["validation"][row, column].mean()
        key = (kind.n_labels or len(y), kind.answered)
        if kind.n_labels != len(y) and kind.trust > 0 and loss < chosen.get(key, (np.inf,))[0]:
            chosen[key] = loss, kind
        if kind.n_labels is not None:
            step = twin[kind.trust, kind.temperature] if kind.n_labels == len(y) else row
            read[kind] = (
                curves.cross_entropy["test"][step, column],
                curves.accuracy["test"][step, column],
                step == len(curves.steps) - 1,
            )
    settings = {(key, kind.trust, kind.temperature) for key, (_, kind) in chosen.items()}
    return PhaseDiagram(
        sizes=sizes,
        trusts=TRUSTS,
        temperatures=TEMPERATURES,
        n_students=best.size,
        n_seeds=grid["n_seeds"],
        n_steps=grid["steps"][-1],
        baselines=tuple(
            Baseline(kind.n_labels, *map(mean_interval, scores[:2]))
            for kind, scores in read.items()
            if kind.trust == 0 and kind.n_labels is not None
        ),
        cells=tuple(
            _cell(
                kind,
                read[kind],
                read[_Kind(kind.n_labels, "labelled", 0.0, 1.0)],
                chosen=((kind.n_labels, kind.answered), kind.trust, kind.temperature) in settings,
            )
            for kind in read
            if kind.trust > 0
        ),
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


def _cell(
    kind: _Kind,
    scores: tuple[Reals, Reals, Reals],
    without: tuple[Reals, Reals, Reals],
    *,
    chosen: bool,
) -> Cell:
    loss, accuracy = (one - other for one, other in zip(scores[:2], without[:2], strict=True))
    loss_change, gain = mean_interval(loss), mean_interval(accuracy)
    return Cell(
        n_labels=kind.n_labels or 0,
        answered=kind.answered,
        trust=kind.trust,
        temperature=kind.temperature,
        cross_entropy=mean_interval(scores[0]),
        accuracy=mean_interval(scores[1]),
        cross_entropy_change=Effect(
            loss_change.mean, loss_change.low, loss_change.high,
            verdict(loss_change.low, loss_change.high),
        ),
        accuracy_change=Effect(
            gain.mean, gain.low, gain.high, verdict(-gain.high, -gain.low)
        ),
        chosen=chosen,
        at_last_step=float(scores[2].mean()),
    )  # fmt: skip
