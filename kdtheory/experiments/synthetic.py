r"""The generator of GS 6.2 beside its row of Table 1: what a perfect student could reach.

For one drawn W the best possible cross-entropy and accuracy are those of the true probabilities,

.. math:: H(W) = E_x \Big[-\sum_k s_k \log s_k\Big], \qquad A(W) = E_x [\max_k s_k],
    \qquad s = \operatorname{softmax}(x W),

the Bayes values: the expected cross-entropy of every student, with or without a teacher, is at
least H(W), and its expected accuracy at most A(W).

notation: W, X, S, y = one draw of the generator, K = number of classes
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from kdtheory._checks import check_count
from kdtheory.experiments.intervals import half_width
from kdtheory.synthetic import make_softmax_data

__all__ = ["PUBLISHED", "Interval", "Published", "SyntheticResult", "generator_of_gs_6_2"]

Reals = NDArray[np.float64]

N_OBJECTS, N_TEST = 1000, 100  # as in GS 6.2


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
class Interval:
    """A mean over draws of W with its 95 % t interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class SyntheticResult:
    """R draws of the generator; see `generator_of_gs_6_2`.

    Attributes
    ----------
    seed, n_draws, n_objects, n_test : int
    class_probs : (n_objects, K) ndarray
        S of the first draw.
    marginals : (R, K) ndarray
        Share of each class under each W: the mean of its S.
    mean_marginals : tuple of Interval
        Over draws, for each class; 1/K by exchangeability.
    bayes_cross_entropy, bayes_accuracy : (R,) ndarray
        H(W) and A(W), each a mean over n_objects.
    cross_entropy, accuracy : Interval
        Their means over draws.
    test_cross_entropy, test_accuracy : (R,) ndarray
        The true probabilities scored on n_test labelled objects, as a table would print it.
    share_below_published : float
        Share of the draws whose test cross-entropy is at most the published one without teacher.
    """

    seed: int
    n_draws: int
    n_objects: int
    n_test: int
    class_probs: Reals
    marginals: Reals
    mean_marginals: tuple[Interval, ...]
    bayes_cross_entropy: Reals
    bayes_accuracy: Reals
    cross_entropy: Interval
    accuracy: Interval
    test_cross_entropy: Reals
    test_accuracy: Reals
    share_below_published: float


def generator_of_gs_6_2(seed: int = 0, *, n_draws: int = 400) -> SyntheticResult:
    """Class shares and Bayes values of the generator of GS 6.2 (n = 10, K = 3) over draws of W.

    Parameters
    ----------
    seed : int, default 0
        At least 0.
    n_draws : int, default 400
        R, at least 2.

    Returns
    -------
    SyntheticResult

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If an argument is not an integer.
    """
    check_count("seed", seed)
    check_count("n_draws", n_draws, least=2)
    rng = np.random.default_rng(seed)
    draws = [make_softmax_data(N_OBJECTS + N_TEST, rng=rng) for _ in range(n_draws)]

    probs = np.array([draw.S[:N_OBJECTS] for draw in draws])  # (R, n_objects, K)
    marginals = probs.mean(axis=1)
    bayes_cross_entropy = entr(probs).sum(axis=-1).mean(axis=-1)
    bayes_accuracy = probs.max(axis=-1).mean(axis=-1)

    tests = np.array([draw.S[N_OBJECTS:] for draw in draws])  # (R, n_test, K)
    labels = np.array([draw.y[N_OBJECTS:] for draw in draws])
    own = np.take_along_axis(tests, labels[..., None], axis=-1)[..., 0]
    test_cross_entropy = -np.log(own).mean(axis=-1)
    return SyntheticResult(
        seed=seed,
        n_draws=n_draws,
        n_objects=N_OBJECTS,
        n_test=N_TEST,
        class_probs=draws[0].S[:N_OBJECTS],
        marginals=marginals,
        mean_marginals=tuple(_interval(column) for column in marginals.T),
        bayes_cross_entropy=bayes_cross_entropy,
        bayes_accuracy=bayes_accuracy,
        cross_entropy=_interval(bayes_cross_entropy),
        accuracy=_interval(bayes_accuracy),
        test_cross_entropy=test_cross_entropy,
        test_accuracy=(tests.argmax(axis=-1) == labels).mean(axis=-1),
        share_below_published=float((test_cross_entropy <= PUBLISHED[0].cross_entropy).mean()),
    )


def _interval(values: Reals) -> Interval:
    mean, half = float(values.mean()), half_width(values)
    return Interval(mean=mean, low=mean - half, high=mean + half)
