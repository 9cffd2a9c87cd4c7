r"""Theorem 1 on real soft labels: the printed constant beside the exact one, object by object.

For the student's answer g of each object, with :math:`Z(a) = \exp[a_1, \dots, a_K]`, the total mass
of what GS Theorem 1 calls a density is

.. math:: \int_{S_K} C_{printed} \prod_k g_k^{s_k} ds = C_{printed}\, Z(\log g).

It should be 1. Its logarithm is log C_printed − log C_exact, the error of the printed constant.

notation: g = student's probs, a = log g, s = teacher's probs, λ = trust, μ = mean
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from kdtheory._checks import check_count, check_in_unit_interval
from kdtheory.classification import distil_classification
from kdtheory.continuous_categorical import ContinuousCategorical, log_printed_constant
from kdtheory.divided_differences import log_normaliser
from kdtheory.experiments.intervals import verdict
from kdtheory.softening import log_soften

__all__ = ["DigitsResult", "Score", "theorem_1_on_digits"]

Reals = NDArray[np.float64]

FOLDS = 5
HELD_OUT = 1 / 3
PENALTY = 1.0  # of ½ ‖W‖²
NORMAL_975 = 1.959963984540054  # quantile of N(0, 1): there are hundreds of held-out objects


@dataclass(frozen=True)
class Score:
    """Quality of one model on the held-out objects, predicted by its class probabilities."""

    model: str
    accuracy: float
    cross_entropy: float


@dataclass(frozen=True, eq=False)
class DigitsResult:
    """Theorem 1 on n = 1797 digits of K = 10 classes; see `theorem_1_on_digits`.

    Attributes
    ----------
    seed, n_train, n_held_out : int
    trust : float
        λ of the distilled student.
    labels : (n,) ndarray of int
    held_out : (n,) ndarray of bool
        True for the objects that no model was fitted on.
    teacher_probs : (n, K) ndarray
        Soft labels s, none from a teacher that was fitted on the object.
    log_probs : (n, K) ndarray
        Log-probabilities log g of the distilled student.
    confidence : (n,) ndarray
        max_k g_k.
    log_mass : (n,) ndarray
        log(C_printed Z(log g)): 0 if the printed constant were right.
    mean : (n, K) ndarray
        E[s] under the exact density, beside softmax(log g) = g.
    direction : float
        Spearman's rank correlation of log C_printed and log C_exact over the objects: the printed
        and the exact regulariser of GS (14) agree in direction if it is near 1.
    log_density_exact, log_density_printed : float
        Mean over the objects of log p(s|g) with either constant.
    scores : tuple of Score
        Teacher, student without and with the teacher, on the held-out objects.
    change, change_low, change_high : float
        Mean difference of the held-out cross-entropy, with − without teacher, and its 95 %
        interval over held-out objects for these two fitted students.
    """

    seed: int
    n_train: int
    n_held_out: int
    trust: float
    labels: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    teacher_probs: Reals
    log_probs: Reals
    confidence: Reals
    log_mass: Reals
    mean: Reals
    direction: float
    log_density_exact: float
    log_density_printed: float
    scores: tuple[Score, ...]
    change: float
    change_low: float
    change_high: float

    @property
    def verdict(self) -> str:
        """Better, worse or undecided, on this split."""
        return verdict(self.change_low, self.change_high)


def theorem_1_on_digits(seed: int = 0, *, trust: float = 0.5) -> DigitsResult:
    r"""Distil a kernel teacher into a linear student on scikit-learn's digits; judge Theorem 1.

    The teacher is multinomial logistic regression on Nyström features of a Gaussian kernel: it is
    far better than the linear student, and its objective is convex, so that its answers do not
    hang on a random start. Its soft labels are out of sample: by 5-fold cross-fitting on the
    training objects, from the fit on all of them on the held-out third.

    The student is multinomial logistic regression (the family of GS 6.1), fitted by the first
    three terms of GS (14) at :math:`T_0 = 1`, which is the cross-entropy with
    :math:`(1 - \lambda) y + \lambda s`, plus :math:`\tfrac12 \|W\|^2`.

    Parameters
    ----------
    seed : int, default 0
        Of the split, the folds and the Nyström landmarks; at least 0.
    trust : float, default 0.5
        λ in [0, 1].

    Returns
    -------
    DigitsResult

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If an argument is not a number.
    """
    check_count("seed", seed)
    trust = check_in_unit_interval("trust", trust)
    features, labels = load_digits(return_X_y=True)
    features = features / 16  # grey levels 0 … 16
    n = len(labels)
    train, test = train_test_split(
        np.arange(n), test_size=HELD_OUT, random_state=_sklearn_seed(seed), stratify=labels
    )

    # one thread: the matrices are small, and the last bits must not hang on the number of cores
    with threadpool_limits(limits=1):
        log_teacher = _log_soft_labels(features, labels, train, test, seed)
        teacher_probs = np.exp(log_teacher)
        own_labels, answers = labels[train], teacher_probs[train]
        alone = distil_classification(features[train], own_labels, l2=PENALTY)
        distilled = distil_classification(
            features[train], own_labels, answers, trust=trust, l2=PENALTY
        )
        log_probs = log_soften(distilled.logits(features))
        log_probs_alone = log_soften(alone.logits(features))

    log_printed = log_printed_constant(log_probs)
    log_exact = -log_normaliser(log_probs)
    inner = (teacher_probs * log_probs).sum(axis=1)

    own = test, labels[test]
    difference = log_probs_alone[own] - log_probs[own]
    half_width = NORMAL_975 * difference.std(ddof=1) / np.sqrt(len(test))
    held_out = np.zeros(n, dtype=bool)
    held_out[test] = True
    return DigitsResult(
        seed=seed,
        n_train=len(train),
        n_held_out=len(test),
        trust=trust,
        labels=labels,
        held_out=held_out,
        teacher_probs=teacher_probs,
        log_probs=log_probs,
        confidence=np.exp(log_probs.max(axis=1)),
        log_mass=log_printed - log_exact,
        mean=ContinuousCategorical(logits=log_probs).mean(),
        direction=float(spearmanr(log_printed, log_exact).statistic),
        log_density_exact=float((inner + log_exact).mean()),
        log_density_printed=float((inner + log_printed).mean()),
        scores=(
            _score("teacher", log_teacher[test], labels[test]),
            _score("student without teacher", log_probs_alone[test], labels[test]),
            _score("student with teacher", log_probs[test], labels[test]),
        ),
        change=float(difference.mean()),
        change_low=float(difference.mean() - half_width),
        change_high=float(difference.mean() + half_width),
    )


def _sklearn_seed(seed: int) -> int:
    """scikit-learn takes seeds below 2³²."""
    return seed % 2**32


def _log_soft_labels(
    features: Reals,
    labels: NDArray[Any],
    train: NDArray[Any],
    test: NDArray[Any],
    seed: int,
) -> Reals:
    """Logarithms of the teacher's out-of-sample answers for every object; none underflows."""
    state = _sklearn_seed(seed)
    teacher = make_pipeline(
        Nystroem(gamma=0.1, n_components=200, random_state=state),
        LogisticRegression(C=100.0, max_iter=5000),
    )
    logits = np.empty((len(labels), 10))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=state)
    logits[train] = cross_val_predict(
        teacher, features[train], labels[train], cv=folds, method="decision_function"
    )
    logits[test] = teacher.fit(features[train], labels[train]).decision_function(features[test])
    log_probs: Reals = log_soften(logits)
    return log_probs


def _score(model: str, log_probs: Reals, labels: NDArray[Any]) -> Score:
    own = log_probs[np.arange(len(labels)), labels]
    return Score(
        model=model,
        accuracy=float((log_probs.argmax(axis=1) == labels).mean()),
        cross_entropy=float(-own.mean()),
    )
