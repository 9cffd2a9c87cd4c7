r"""Generalised distillation on the four problems of Lopez-Paz et al., beside their numbers.

For each problem three logistic regressions: a teacher who sees x* in training and test, a plain
student who sees x, and a student on x who is given the teacher's answers alone (λ = T = 1). All
features are standardised by the training set, and each problem is solved to its optimum,

.. math:: \min_{W, b} \sum_{i=1}^m \operatorname{CE}(t_i, \operatorname{softmax}(W^\top x_i + b))
    + \tfrac12 \rho m \|W\|^2, \qquad t_i = y_i \text{ or } s_i,

where the paper stops a stochastic method. In most problems the teacher's data are separable, and
without ρ there is no optimum. It is fixed beforehand, not chosen: as small as lets one exist, and
everything is repeated with one a hundred times larger, to see what hangs on it.

The three models of one repetition share its data, so that differences are paired.

notation: x* = privileged features, R = n_repetitions, m = n_train, ρ = penalty, λ = trust
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kdtheory._checks import check_callable, check_count, check_pair, check_positive
from kdtheory.classifiers import SoftmaxStudent
from kdtheory.experiments.intervals import Interval, mean_interval, verdict
from kdtheory.privileged import PrivilegedDistiller
from kdtheory.synthetic import (
    PrivilegedData,
    make_clean_features,
    make_clean_labels,
    make_relevant_features,
    make_sample_dependent_features,
)

__all__ = [
    "PUBLISHED",
    "Accuracy",
    "Comparison",
    "PrivilegedResult",
    "PublishedAccuracies",
    "generalised_distillation",
]

Reals = NDArray[np.float64]

PENALTIES = (1e-4, 1e-2)


@dataclass(frozen=True)
class PublishedAccuracies:
    """Mean and standard deviation over 100 repetitions, as printed in section 6 of the paper."""

    teacher: tuple[float, float]
    plain: tuple[float, float]
    distilled: tuple[float, float]


PUBLISHED = {
    1: PublishedAccuracies((0.96, 0.00), (0.88, 0.01), (0.95, 0.01)),
    2: PublishedAccuracies((0.90, 0.01), (0.68, 0.01), (0.70, 0.01)),
    3: PublishedAccuracies((0.98, 0.00), (0.89, 0.01), (0.97, 0.01)),
    4: PublishedAccuracies((0.96, 0.02), (0.55, 0.03), (0.56, 0.04)),
}


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Test accuracy of one model.

    Attributes
    ----------
    values : (R,) ndarray
        One for each repetition.
    mean, sd : float
        Mean and standard deviation over repetitions, as the paper prints them.
    """

    values: Reals
    mean: float
    sd: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Teacher, plain and distilled student on one problem with one penalty.

    Attributes
    ----------
    experiment : int
        Number in the paper, 1 to 4.
    name : str
        What is privileged; for experiment 4 with the reading.
    penalty : float
        ρ.
    teacher, plain, distilled : Accuracy
    bayes_privileged, bayes_plain : float
        Best possible accuracy given x*, or x: mean over repetitions, nan where none is known.
    gain : Interval
        Accuracy of the distilled student minus that of the plain one: mean over repetitions, which
        are independent, and its 95 % t interval.
    published : PublishedAccuracies
        Of this experiment, whatever the reading.
    """

    experiment: int
    name: str
    penalty: float
    teacher: Accuracy
    plain: Accuracy
    distilled: Accuracy
    bayes_privileged: float
    bayes_plain: float
    gain: Interval
    published: PublishedAccuracies

    @property
    def verdict(self) -> str:
        """Whether the distilled student is better, worse or neither than the plain one."""
        return verdict(-self.gain.high, -self.gain.low)


@dataclass(frozen=True, eq=False)
class PrivilegedResult:
    """The table; see `generalised_distillation`.

    Attributes
    ----------
    seed, n_repetitions, n_train, n_test, n_features : int
    comparisons : tuple of Comparison
        One for each problem, with the smaller penalty.
    sensitivity : tuple of Comparison
        The same with the larger one, on the same data.
    """

    seed: int
    n_repetitions: int
    n_train: int
    n_test: int
    n_features: int
    comparisons: tuple[Comparison, ...]
    sensitivity: tuple[Comparison, ...]


def generalised_distillation(
    seed: int = 0,
    *,
    n_repetitions: int = 40,
    n_train: int = 200,
    n_test: int = 10_000,
    n_features: int = 50,
    penalties: tuple[float, float] = PENALTIES,
    n_jobs: int | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> PrivilegedResult:
    """Accuracy of teacher, plain and distilled student on the four problems, over repetitions.

    Experiment 4 comes in its three readings; see `make_sample_dependent_features`.

    Parameters
    ----------
    seed : int, default 0
        At least 0. Each repetition of each problem has a source of its own, so that the result
        does not hang on the number of jobs.
    n_repetitions : int, default 40
        R, at least 2; the paper has 100.
    n_train : int, default 200
        At least 20: with fewer a draw of one class alone, which cannot be learnt, is not rare.
    n_test : int, default 10 000
        At least 1; that of the paper's text. Its code has 1000.
    n_features : int, default 50
        n, at least 3.
    penalties : (float, float), default (1e-4, 1e-2)
        ρ of the table, and another for the sensitivity to it; finite and positive.
    n_jobs : int, optional
        At least 1, or −1 for all cores; by default that of joblib's context, or 1.
    tell : callable, optional
        Called with the number of finished repetitions and R after each.

    Returns
    -------
    PrivilegedResult

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If an argument is not a number, or `tell` cannot be called.

    References
    ----------
    .. [1] D. Lopez-Paz, L. Bottou, B. Schölkopf and V. Vapnik, "Unifying distillation and
       privileged information", ICLR 2016, section 6.
    """
    check_count("seed", seed)
    n_repetitions = check_count("n_repetitions", n_repetitions, least=2)
    check_count("n_train", n_train, least=20)
    check_count("n_test", n_test, least=1)
    check_count("n_features", n_features, least=3)
    pair = check_pair("penalties", penalties)
    small, large = (check_positive("penalties", penalty) for penalty in pair)
    if n_jobs is not None and n_jobs != -1:
        check_count("n_jobs", n_jobs, least=1)
    if tell is not None:
        check_callable("tell", tell)

    draws = np.random.SeedSequence(seed).spawn(n_repetitions)
    one = delayed(_repetition)
    jobs = Parallel(n_jobs=n_jobs, return_as="generator")(
        one(draw, n_train, n_test, n_features, (small, large)) for draw in draws
    )
    measured = []
    for done, repetition in enumerate(jobs, start=1):
        measured.append(repetition)
        if tell is not None:
            tell(done, n_repetitions)
    scores = np.array([repetition[0] for repetition in measured])  # (R, problem, penalty, model)
    bayes = np.array([repetition[1] for repetition in measured])  # (R, problem, 2)

    tables = [
        tuple(
            _comparison(*problem[:2], penalty, scores[:, place, which], bayes[:, place])
            for place, problem in enumerate(_PROBLEMS)
        )
        for which, penalty in enumerate((small, large))
    ]
    return PrivilegedResult(
        seed=seed,
        n_repetitions=n_repetitions,
        n_train=n_train,
        n_test=n_test,
        n_features=n_features,
        comparisons=tables[0],
        sensitivity=tables[1],
    )


_PROBLEMS: tuple[tuple[int, str, Callable[..., PrivilegedData]], ...] = (
    (1, "clean labels", make_clean_labels),
    (2, "clean features", make_clean_features),
    (3, "relevant features", make_relevant_features),
    *(
        (
            4,
            f"sample-dependent features, {reading}",
            partial(make_sample_dependent_features, reading=reading),
        )
        for reading in ("text", "code", "sorted")
    ),
)


def _repetition(
    source: np.random.SeedSequence,
    n_train: int,
    n_test: int,
    n_features: int,
    penalties: tuple[float, float],
) -> tuple[list[list[tuple[float, float, float]]], list[tuple[float, float]]]:
    """Accuracies on one draw of each problem for each penalty, and the Bayes accuracies."""
    scores, bayes = [], []
    # one thread: the matrices are small, and the last bits must not hang on the number of cores
    with threadpool_limits(limits=1):
        for own, (_, _, generator) in zip(source.spawn(len(_PROBLEMS)), _PROBLEMS, strict=True):
            rng = np.random.default_rng(own)
            train = generator(n_train, n_features, rng=rng)
            test = generator(n_test, n_features, rng=rng, weights=train.weights)
            scores.append([_accuracies(train, test, penalty) for penalty in penalties])
            bayes.append((test.bayes_privileged, test.bayes_plain))
    return scores, bayes


def _accuracies(
    train: PrivilegedData, test: PrivilegedData, penalty: float
) -> tuple[float, float, float]:
    """Test accuracy of the teacher, the plain student and the distilled one."""
    student = make_pipeline(StandardScaler(), SoftmaxStudent(trust=1.0, l2=penalty * len(train.y)))
    distilled = PrivilegedDistiller(teacher=student, student=student)
    distilled.fit(train.X, train.y, X_privileged=train.X_privileged)
    return (
        float(distilled.teacher_.score(test.X_privileged, test.y)),
        float(student.fit(train.X, train.y).score(test.X, test.y)),
        distilled.score(test.X, test.y),
    )


def _comparison(
    experiment: int, name: str, penalty: float, scores: Reals, bayes: Reals
) -> Comparison:
    teacher, plain, distilled = (_accuracy(values) for values in scores.T)
    return Comparison(
        experiment=experiment,
        name=name,
        penalty=penalty,
        teacher=teacher,
        plain=plain,
        distilled=distilled,
        bayes_privileged=float(bayes[:, 0].mean()),
        bayes_plain=float(bayes[:, 1].mean()),
        gain=mean_interval(distilled.values - plain.values),
        published=PUBLISHED[experiment],
    )


def _accuracy(values: Reals) -> Accuracy:
    return Accuracy(values=values.copy(), mean=float(values.mean()), sd=float(values.std(ddof=1)))
