r"""Theorem 2 on real patients: a teacher who sees ten columns, a student who sees three.

Three groups of patients, drawn anew for each split: a *clinic*, where all ten columns and the
answer y were recorded; the *student's own* patients, with y and three columns, half of which also
had all ten recorded (the privileged set I); and *held-out* patients, three columns, where the
student is judged. The teacher is least squares on the clinic. It answers for the patients of I.

The teacher must be fitted elsewhere, or be penalised, to matter at all: least squares on columns
that contain the student's, on the same rows, leaves the student where the labels put it (tower
property). That no-op is measured here too, and so is what a teacher from the same clinic
with only the student's columns does: the part of a gain that privileged columns do not explain.

Two questions that a user of Theorem 2 has are answered from the student's own patients alone. How
much to trust: the leave-one-out and the generalised cross-validation error along λ, whose least
value chooses; held-out patients only judge the choice. How sure the coefficients are: intervals by
the scores of (15), beside those that a program for least squares prints if it is given y″.

notation: s = teacher's answers, λ = trust, I = privileged, J = n_splits, L = number of trusts
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from kdtheory._checks import check_count
from kdtheory.experiments.intervals import half_width, verdict
from kdtheory.inference import Inference, inference
from kdtheory.regression import DistilledFit, distil_regression
from kdtheory.selection import trust_path

__all__ = [
    "STUDENT_COLUMNS",
    "Choice",
    "CoefficientIntervals",
    "Comparison",
    "DiabetesResult",
    "PairedChange",
    "PathErrors",
    "theorem_2_on_diabetes",
]

Reals = NDArray[np.float64]

STUDENT_COLUMNS = ("bmi", "bp", "s5")  # chosen beforehand: two of any check-up, one of blood
N_TEST, N_CLINIC, N_OWN = 142, 240, 60  # all 442 patients
N_TRAIN = N_CLINIC + N_OWN
N_PRIVILEGED = N_OWN // 2
TRUSTS = (0.25, 0.5, 0.75, 1.0)
PATH = np.linspace(0, 1, 101)  # trusts among which cross-validation chooses
CRITERIA = ("loo", "gcv")
STUDENTS = (("without a teacher", 0.0), ("with the teacher", 0.5), ("with the teacher, naive", 0.5))


@dataclass(frozen=True, eq=False)
class PairedChange:
    """Held-out mean squared error of one student minus another's, over paired splits.

    Attributes
    ----------
    differences : (J,) ndarray
        One for each split; below 0 the first student is better.
    change : float
        Their mean.
    low, high : float
        95 % t interval of the mean over splits of these patients.
    low_new, high_new : float
        The same for patients like these, not these: splits share patients, so the variance is
        multiplied by 1 + J · n_test / n_train (Nadeau and Bengio, 2003).
    """

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
class Comparison(PairedChange):
    """Held-out mean squared error with a teacher minus without one, over paired splits.

    Attributes
    ----------
    teacher_columns : int
        How many columns the teacher saw: 10, or the student's 3.
    trust : float
    """

    teacher_columns: int
    trust: float


@dataclass(frozen=True, eq=False)
class PathErrors:
    """Mean squared errors of the student along the trust in the ten-column teacher.

    Attributes
    ----------
    trusts : (L,) ndarray
        λ from 0 to 1.
    loo_error, gcv_error : (L,) ndarray
        Leave-one-out and generalised cross-validation over the student's own patients.
    held_out_error : (L,) ndarray
        Of the held-out patients. It chooses nothing.
    """

    trusts: Reals
    loo_error: Reals
    gcv_error: Reals
    held_out_error: Reals


@dataclass(frozen=True, eq=False)
class Choice:
    """What choosing the trust by a criterion does to the held-out error.

    Attributes
    ----------
    criterion : {"loo", "gcv"}
    trusts : (J,) ndarray
        The trust chosen in each split, from the student's own patients alone.
    regrets : (J,) ndarray
        Held-out error there, less the least along the path: what only a look at the held-out
        patients would have saved.
    against_none, against_half : PairedChange
        Minus the student without a teacher, and minus the one at λ = ½.
    """

    criterion: str
    trusts: Reals
    regrets: Reals
    against_none: PairedChange
    against_half: PairedChange


@dataclass(frozen=True, eq=False)
class CoefficientIntervals:
    """Coefficients of a student in the first split with 95 % intervals.

    Attributes
    ----------
    student : str
        "without a teacher", "with the teacher", or "with the teacher, naive".
    trust : float
    covariance : {"sandwich", "classical"}
        By the scores of (15); or, if naive, as if the targets y″ were data.
    estimates, standard_errors, low, high : (4,) ndarray
        In units of the answer for one standard deviation of a column; the last is the constant.
    mean_standard_errors : (4,) ndarray
        Mean of `standard_errors` over all splits.
    spread : (4,) ndarray
        Standard deviation of the estimates over all splits, which a standard error foretells. It is
        divided by √(1 − n_own / 442), as the patients are drawn without replacement.
    """

    student: str
    trust: float
    covariance: str
    estimates: Reals
    standard_errors: Reals
    low: Reals
    high: Reals
    mean_standard_errors: Reals
    spread: Reals


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
    columns_effect : PairedChange
        The student of the ten-column teacher minus that of the three-column one, both at λ = ½:
        what the privileged columns add to the additional patients.
    equivalence_gap : float
        Largest relative difference, over all splits, between the closed form of Theorem 2 and the
        three sums of (15) solved as one stacked least-squares problem.
    no_op_gap : float
        Largest relative change of the student's coefficients by a teacher that is least squares
        on all ten columns of the very rows of I: 0 but for rounding.
    no_op_found, no_op_false_alarms : int
        In how many splits `DistilledFit.no_op` tells that teacher, and the clinic's at λ = ½.
    solvers : tuple of str
        Which paths of the solver ran, over all splits.
    mse_doubled : (J,) ndarray
        Held-out error with the last formula of the proof as printed, which is 2 ŵ.
    answers, teacher, targets : (n_own,) ndarray
        y, s and y″ at λ = ½ of the student's own patients in the first split.
    privileged : (n_own,) ndarray of bool
        I in the first split.
    path, mean_path : PathErrors
        Errors along the trust in the first split, and their means over all splits.
    choices : tuple of Choice
        By leave-one-out and by generalised cross-validation.
    intervals : tuple of CoefficientIntervals
        Without a teacher; with the teacher at λ = ½; the same, naive.
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
    columns_effect: PairedChange
    equivalence_gap: float
    no_op_gap: float
    no_op_found: int
    no_op_false_alarms: int
    solvers: tuple[str, ...]
    mse_doubled: Reals
    answers: Reals
    teacher: Reals
    targets: Reals
    privileged: NDArray[np.bool_]
    path: PathErrors
    mean_path: PathErrors
    choices: tuple[Choice, ...]
    intervals: tuple[CoefficientIntervals, ...]

    def at(self, *, teacher_columns: int, trust: float) -> Comparison:
        """Return the comparison for a teacher and a trust."""
        by_key = {(c.teacher_columns, c.trust): c for c in self.comparisons}
        return by_key[teacher_columns, trust]


def theorem_2_on_diabetes(seed: int = 0, *, n_splits: int = 100) -> DiabetesResult:
    """Distilled regression on scikit-learn's diabetes data, over paired random splits.

    Noises are equal (σ = σ_s), so that trust alone weighs the teacher. The columns are in standard
    deviations over all patients; the predictions of least squares with a constant do not depend on
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
    # the bundled columns have mean 0 and norm 1
    everything = np.column_stack([data.data * np.sqrt(len(data.data)), np.ones(len(data.data))])
    few = everything[:, [*map(data.feature_names.index, STUDENT_COLUMNS), -1]]
    splits = [
        _one_split(everything, few, data.target, np.random.default_rng(child))
        for child in np.random.SeedSequence(seed).spawn(n_splits)
    ]

    without = np.array([split.without for split in splits])
    errors = np.array([split.with_teacher for split in splits])  # (J, teachers, trusts)
    at_half = errors[:, 0, TRUSTS.index(0.5)]
    paths = [split.path for split in splits]
    comparisons = tuple(
        Comparison(**vars(_change(errors[:, i, j] - without)), teacher_columns=columns, trust=trust)
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
        columns_effect=_change(at_half - errors[:, 1, TRUSTS.index(0.5)]),
        equivalence_gap=max(split.equivalence_gap for split in splits),
        no_op_gap=max(split.no_op_gap for split in splits),
        no_op_found=sum(split.no_op_found for split in splits),
        no_op_false_alarms=sum(split.no_op_false_alarm for split in splits),
        solvers=tuple(sorted({solver for split in splits for solver in split.solvers})),
        mse_doubled=np.array([split.doubled for split in splits]),
        answers=splits[0].answers,
        teacher=splits[0].teacher,
        targets=splits[0].targets,
        privileged=splits[0].privileged,
        path=paths[0],
        mean_path=_mean_path(paths),
        choices=tuple(
            _choice(criterion, [split.chosen[criterion] for split in splits], paths, at_half)
            for criterion in CRITERIA
        ),
        intervals=tuple(
            _intervals(*student, found)
            for student, found in zip(
                STUDENTS, zip(*(split.inferences for split in splits), strict=True), strict=True
            )
        ),
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
    no_op_found: bool
    no_op_false_alarm: bool
    solvers: set[str]
    answers: Reals
    teacher: Reals
    targets: Reals
    privileged: NDArray[np.bool_]
    path: PathErrors
    chosen: dict[str, float]
    inferences: tuple[Inference, ...]  # of STUDENTS


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
    alone = student(answers[0], 0.0)

    inside = own[privileged]
    same_rows = everything[own] @ np.linalg.lstsq(everything[inside], y[inside])[0]
    useless = student(same_rows, 0.5)

    path = trust_path(few[own], y[own], answers[0], privileged=privileged, trusts=PATH)
    naive = distil_regression(few[own], half.targets, None, sample_weight=half.weights)
    return _Split(
        without=error(few, alone.coef),
        with_teacher=[[error(few, fit.coef) for fit in row] for row in fits],
        teacher_error=error(everything, teachers[0]),
        doubled=error(few, 2 * half.coef),
        equivalence_gap=_gap(half.coef, _stacked(few[own], y[own], answers[0], privileged, 0.5)),
        no_op_gap=_gap(useless.coef, alone.coef),
        no_op_found=useless.no_op,
        no_op_false_alarm=half.no_op,
        solvers={fit.solver for row in fits for fit in row},
        answers=y[own],
        teacher=answers[0],
        targets=half.targets,
        privileged=privileged,
        path=PathErrors(
            trusts=PATH,
            loo_error=path.loo_error,
            gcv_error=path.gcv_error,
            held_out_error=np.array([error(few, coef) for coef in path.coef]),
        ),
        chosen={criterion: path.best(criterion) for criterion in CRITERIA},
        inferences=(
            inference(alone, covariance="sandwich"),
            inference(half, covariance="sandwich"),
            inference(naive, covariance="classical"),
        ),
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


def _change(differences: Reals) -> PairedChange:
    change = float(differences.mean())
    here = half_width(differences)
    elsewhere = half_width(differences, shared=N_TEST / N_TRAIN)
    return PairedChange(
        differences=differences,
        change=change,
        low=change - here,
        high=change + here,
        low_new=change - elsewhere,
        high_new=change + elsewhere,
    )


def _mean_path(paths: Sequence[PathErrors]) -> PathErrors:
    return PathErrors(
        trusts=PATH,
        loo_error=np.mean([path.loo_error for path in paths], axis=0),
        gcv_error=np.mean([path.gcv_error for path in paths], axis=0),
        held_out_error=np.mean([path.held_out_error for path in paths], axis=0),
    )


def _choice(
    criterion: str, trusts: Sequence[float], paths: Sequence[PathErrors], at_half: Reals
) -> Choice:
    """What the trusts that a criterion chose do to the held-out error."""
    held_out = np.array([path.held_out_error for path in paths])
    reached = held_out[np.arange(len(paths)), np.searchsorted(PATH, trusts)]
    return Choice(
        criterion=criterion,
        trusts=np.array(trusts),
        regrets=reached - held_out.min(axis=1),
        against_none=_change(reached - held_out[:, 0]),
        against_half=_change(reached - at_half),
    )


def _intervals(student: str, trust: float, found: Sequence[Inference]) -> CoefficientIntervals:
    """Intervals of the first split, and how its kind of standard error does over all."""
    estimates = np.array([one.estimates for one in found])
    drawn_anew = np.sqrt(1 - N_OWN / (N_TEST + N_TRAIN))
    return CoefficientIntervals(
        student=student,
        trust=trust,
        covariance=found[0].kind,
        estimates=estimates[0],
        standard_errors=found[0].standard_errors,
        low=found[0].low,
        high=found[0].high,
        mean_standard_errors=np.mean([one.standard_errors for one in found], axis=0),
        spread=estimates.std(axis=0, ddof=1) / drawn_anew,
    )
