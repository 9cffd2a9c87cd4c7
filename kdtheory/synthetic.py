r"""The synthetic experiment of GS, section 6.2: a teacher that knows the true probabilities.

.. math:: W_{jk}, X_{ij} \sim \mathcal{N}(0, 1), \qquad S = \operatorname{softmax}(X W),
    \qquad y_i \sim \operatorname{Cat}(s_i).

notation: m = n_samples, n = n_features, K = n_classes
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import check_count, check_matrix, check_rng
from kdtheory.softening import soften

__all__ = ["SoftmaxData", "make_softmax_data"]


@dataclass(frozen=True, eq=False)
class SoftmaxData:
    """One draw of the generator; see `make_softmax_data`.

    Attributes
    ----------
    X : (m, n) ndarray of float64
        Features.
    y : (m,) ndarray of int64
        Labels 0 … K−1.
    S : (m, K) ndarray of float64
        True class probabilities: the answers of a teacher who knows the law of the labels.
    W : (n, K) ndarray of float64
        The matrix that gives the probabilities; pass it on to draw more objects of the same law.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    S: NDArray[np.float64]
    W: NDArray[np.float64]


def make_softmax_data(
    n_samples: int,
    n_features: int = 10,
    n_classes: int = 3,
    *,
    rng: np.random.Generator,
    W: ArrayLike | None = None,
) -> SoftmaxData:
    r"""Draw features, true probabilities and labels from the softmax law of GS, section 6.2.

    .. math:: S = \operatorname{softmax}(X W) \text{ row by row}, \qquad
        y_i \sim \operatorname{Cat}(s_i), \qquad W_{jk}, X_{ij} \sim \mathcal{N}(0, 1).

    The classes are equally likely only on average over `W`, by exchangeability of its columns.
    For one drawn `W` their shares differ: this is the sense in which "all classes are equally
    likely" (GS, figure 4) holds.

    Parameters
    ----------
    n_samples : int
        Number of objects m, at least 1. GS takes 1000 to train and 100 to test.
    n_features : int, default 10
        Number of features n, at least 1.
    n_classes : int, default 3
        Number of classes K, at least 1.
    rng : numpy.random.Generator
        The only source of randomness. It gives, in this order, W (unless fixed), X and y.
    W : (n, K) array_like, optional
        Fix the matrix instead of drawing it. A test set needs the matrix of its training set:
        another `W` is another law.

    Returns
    -------
    SoftmaxData
        X, y, S and W.

    Raises
    ------
    ValueError
        If a count is too small, or `W` is not finite or not of shape (n, K).
    TypeError
        If a count is not an integer, `rng` is not a Generator, or `W` is not made of real numbers.

    References
    ----------
    .. [1] GS, section 6.2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train = make_softmax_data(1000, rng=rng)
    >>> test = make_softmax_data(100, rng=rng, W=train.W)
    >>> test.X.shape, test.S.shape, test.y.shape
    ((100, 10), (100, 3), (100,))
    """
    m = check_count("n_samples", n_samples, least=1)
    n = check_count("n_features", n_features, least=1)
    n_classes = check_count("n_classes", n_classes, least=1)
    rng = check_rng("rng", rng)
    if W is None:
        matrix = rng.standard_normal((n, n_classes))
    else:
        # a copy: the result must not change when the caller's array does
        matrix = check_matrix("W", W, shape=(n, n_classes)).astype(np.float64)

    X = rng.standard_normal((m, n))
    S = soften(X @ matrix)
    return SoftmaxData(X=X, y=_categorical(S, rng), S=S, W=matrix)


def _categorical(probs: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One label a row, by the inverse of the distribution function."""
    cumulative = probs.cumsum(axis=-1)
    # the last sum is 1 up to rounding. Measured against it, u·total < total for every u < 1, so
    # no label passes the last class, and no class of probability 0 is ever drawn
    level = rng.random(len(probs)) * cumulative[:, -1]
    return np.asarray((cumulative <= level[:, None]).sum(axis=-1), dtype=np.int64)
