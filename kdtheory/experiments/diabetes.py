r"""Theorem 2 on real patients: a teacher who sees ten columns, a student who sees three.

Three groups of patients, drawn anew for each split: a *clinic*, where all ten columns and the
answer y were recorded; the *student's own* patients, with y and three columns, half of which also
had all ten recorded (the privileged set I); and *held-out* patients, three columns, where the
student is judged. The teacher is least squares on the clinic. It answers for the patients of I.

The teacher must be fitted elsewhere, or be penalised, to matter at all: least squares on columns
that contain the student's, on the same rows, leaves the student where the labels put it (tower
property). That no-op is measured here too, and so is what a teacher from the same clinic
with only the student's columns does: the part of a gain that privileged columns do not explain.

notation: s = teacher's answers, λ = trust, I = privileged, J = n_splits
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from kdtheory._checks import check_count
from kdtheory.experiments.intervals import half_width, verdict
from kdtheory.regression import DistilledFit, distil_regression

__all__ = ["STUDENT_COLUMNS", "Comparison", "DiabetesResult", "theorem_2_on_diabetes"]

Reals = NDArray[np.float64]

STUDENT_COLUMNS = ("bmi", "bp", "s5")  # chosen beforehand: two of any check-up, one of blood
N_TEST, N_CLINIC, N_OWN = 142, 240, 60  # all 442 patients
N_TRAIN = N_CLINIC + N_OWN
N_PRIVILEGED = N_OWN // 2
TRUSTS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Held-out mean squared error with a teacher minus without one, over paired splits.

    Attributes
    ----------
    teacher_columns : int
        How many columns the teacher saw: 10, or the student's 3.
    trust : float
    differences : (J,) ndarray
        One for each split; below 0 the teacher helped.
    change : float
        Their mean.
    low, high : float
        95 % t interval of the mean over splits of these patients.
    low_new, high_new : float
        The same for patients like these, not these: splits share patients, so the variance is
        multiplied by 1 + J · n_test / n_train (Nadeau and Bengio, 2003).
    """

    teacher_columns: int
    trust: float
    differences: Reals
    change: float
    low: float
    high: float
    low_new: float
    high_new: float

    @property
    def verdict(self) -> str:
        """Better, worse or undecided on these patients."""
        return verdict(self.low, self.high)

    @property
    def verdict_new(self) -> str:
        """Better, worse or undecided for new patients."""
        return verdict(self.low_new, self.high_new)


@dataclass(frozen=True, eq=False)
class DiabetesResult:
    """Theorem 2 on the diabetes data; see `theorem_2_on_diabetes`.

    Attributes
    ----------
    seed, n_splits, n_test, n_clinic, n_own, n_privileged : int
    columns : tuple of str
        The student's columns; it has a constant besides.
    mse_without : (J,) ndarray
        Held-out mean squared error of the student without a teacher.
    mse_teacher : (J,) ndarray
        The same of the ten-column teacher itself.
    comparisons : tuple of Comparison
        For a teacher with ten and with three columns, by increasing trust.
    columns_effect : Comparison
        The student of the ten-column teacher minus that of the three-column one, both at λ = ½:
        what the privileged columns add to the additional patients.
    equivalence_gap : float
        Largest relative difference, over all splits, between the closed form of Theorem 2 and the
        three sums of (15) solved as one stacked least-squares problem.
    no_op_gap : float
        Largest relative change of the student's coefficients by a teacher that is least squares
        on all ten columns of the very rows of I: 0 but for rounding.
    mse_doubled : (J,) ndarray
        Held-out error with the last formula of the proof as printed, which is 2 ŵ.
    answers, teacher, targets : (n_own,) ndarray
        y, s and y″ at λ = ½ of the student's own patients in the first split.
    privileged : (n_own,) ndarray of bool
        I in the first split.
    """

    seed: int
    n_splits: int
    n_test: int
    n_clinic: int
    n_own: int
    n_privileged: int
    columns: tuple[str, ...]
    mse_without: Reals
    mse_teacher: Reals
    comparisons: tuple[Comparison, ...]
    columns_effect: Comparison
    equivalence_gap: float
    no_op_gap: float
    mse_doubled: Reals
    answers: Reals
    teacher: Reals
    targets: Reals
    privileged: NDArray[np.bool_]

    def at(self, *, teacher_columns: int, trust: float) -> Comparison:
        """Return the comparison for a teacher and a trust."""
        by_key = {(c.teacher_columns, c.trust): c for c in self.comparisons}
        return by_key[teacher_columns, trust]


def theorem_2_on_diabetes(seed: int = 0, *, n_splits: int = 100) -> DiabetesResult:
    """Distilled regression on scikit-learn's diabetes data, over paired random splits.

    Noises are equal (σ = σ_s), so that trust alone weighs the teacher. The columns of the bundled
    data are centred and scaled on all patients; least squares with a constant does not depend on
    that.

    Parameters
    ----------
    seed : int, default 0
        At least 0.
    n_splits : int, default 100
        J, at least 2.

    Returns
    -------
    DiabetesResult

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If an argument is not an integer.
    """
    check_count("seed", seed)
    check_count("n_splits", n_splits, least=2)
    data = load_diabetes()
    everything = np.column_stack([data.data, np.ones(len(data.data))])
    few = everything[:, [*map(data.feature_names.index, STUDENT_COLUMNS), -1]]
    splits = [
        _one_split(everything, few, data.target, np.random.default_rng(child))
        for child in np.random.SeedSequence(seed).spawn(n_splits)
    ]

    without = np.array([split.without for split in splits])
    errors = np.array([split.with_teacher for split in splits])  # (J, teachers, trusts)
    half = TRUSTS.index(0.5)
    comparisons = tuple(
        _compare(columns, trust, errors[:, i, j] - without)
        for i, columns in enumerate((10, len(STUDENT_COLUMNS)))
        for j, trust in enumerate(TRUSTS)
    )
    return DiabetesResult(
        seed=seed,
        n_splits=n_splits,
        n_test=N_TEST,
        n_clinic=N_CLINIC,
        n_own=N_OWN,
        n_privileged=N_PRIVILEGED,
        columns=STUDENT_COLUMNS,
        mse_without=without,
        mse_teacher=np.array([split.teacher_error for split in splits]),
        comparisons=comparisons,
        columns_effect=_compare(10, 0.5, errors[:, 0, half] - errors[:, 1, half]),
        equivalence_gap=max(split.equivalence_gap for split in splits),
        no_op_gap=max(split.no_op_gap for split in splits),
        mse_doubled=np.array([split.doubled for split in splits]),
        answers=splits[0].answers,
        teacher=splits[0].teacher,
        targets=splits[0].targets,
        privileged=splits[0].privileged,
    )


@dataclass(frozen=True, eq=False)
class _Split:
    """What one split gives: held-out errors, gaps, and its own patients."""

    without: float
    with_teacher: list[list[float]]  # for each teacher and trust
    teacher_error: float
    doubled: float
    equivalence_gap: float
    no_op_gap: float
    answers: Reals
    teacher: Reals
    targets: Reals
    privileged: NDArray[np.bool_]


def _one_split(everything: Reals, few: Reals, y: Reals, rng: np.random.Generator) -> _Split:
    """Every student of one split, on the same patients."""
    order = rng.permutation(len(y))
    test, clinic, own = np.split(order, [N_TEST, N_TEST + N_CLINIC])
    privileged = np.zeros(len(own), dtype=bool)
    privileged[:N_PRIVILEGED] = True

    def error(table: Reals, coef: NDArray[Any]) -> float:
        return float(np.mean((y[test] - table[test] @ coef) ** 2))

    def student(answers: Reals, trust: float) -> DistilledFit:
        return distil_regression(few[own], y[own], answers, privileged=privileged, trust=trust)

    teachers = [np.linalg.lstsq(table[clinic], y[clinic])[0] for table in (everything, few)]
    answers = [table[own] @ coef for table, coef in zip((everything, few), teachers, strict=True)]
    fits = [[student(s, trust) for trust in TRUSTS] for s in answers]
    half = fits[0][TRUSTS.index(0.5)]
    without = student(answers[0], 0.0).coef

    inside = own[privileged]
    same_rows = everything[own] @ np.linalg.lstsq(everything[inside], y[inside])[0]
    return _Split(
        without=error(few, without),
        with_teacher=[[error(few, fit.coef) for fit in row] for row in fits],
        teacher_error=error(everything, teachers[0]),
        doubled=error(few, 2 * half.coef),
        equivalence_gap=_gap(half.coef, _stacked(few[own], y[own], answers[0], privileged, 0.5)),
        no_op_gap=_gap(student(same_rows, 0.5).coef, without),
        answers=y[own],
        teacher=answers[0],
        targets=half.targets,
        privileged=privileged,
    )


def _stacked(
    X: Reals, y: Reals, teacher: Reals, privileged: NDArray[np.bool_], trust: float
) -> Reals:
    """(15) as it is written: a row for each square of its three sums."""
    of_label = np.sqrt(np.where(privileged, 1 - trust, 1.0))
    of_teacher = np.sqrt(np.where(privileged, trust, 0.0))
    rows = np.concatenate([of_label[:, None] * X, of_teacher[:, None] * X])
    goal = np.concatenate([of_label * y, of_teacher * teacher])
    coef: Reals = np.linalg.lstsq(rows, goal)[0]
    return coef


def _gap(coef: Reals, other: Reals) -> float:
    return float(np.abs(coef - other).max() / np.abs(other).max())


def _compare(teacher_columns: int, trust: float, differences: Reals) -> Comparison:
    change = float(differences.mean())
    here = half_width(differences)
    elsewhere = half_width(differences, shared=N_TEST / N_TRAIN)
    return Comparison(
        teacher_columns=teacher_columns,
        trust=trust,
        differences=differences,
        change=change,
        low=change - here,
        high=change + here,
        low_new=change - elsewhere,
        high_new=change + elsewhere,
    )
