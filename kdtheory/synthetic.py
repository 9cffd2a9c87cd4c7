r"""Synthetic data of known law, for a teacher who knows more than the student.

GS, section 6.2, a teacher who knows the true probabilities:

.. math:: W_{jk}, X_{ij} \sim \mathcal{N}(0, 1), \qquad S = \operatorname{softmax}(X W),
    \qquad y_i \sim \operatorname{Cat}(s_i).

Lopez-Paz, Bottou, Schölkopf and Vapnik, section 6, a teacher who sees privileged features
:math:`x^*`; weights and noise are standard normal, and so is :math:`x` unless it is given:

* clean labels: :math:`x^* = \langle w, x \rangle`, :math:`y = 1(x^* + \varepsilon > 0)`;
* clean features: :math:`x = x^* + \varepsilon`, :math:`y = 1(\langle w, x^* \rangle > 0)`;
* relevant features: :math:`x^* = x_J`, :math:`y = 1(\langle w_J, x_J \rangle > 0)`, one J for all;
* sample-dependent features: the same with a :math:`J_i` for each object, or as their code has it.

For the Bayes accuracies: if (u, v) are jointly normal with mean 0 and correlation ρ, they have the
same sign with probability :math:`\tfrac12 + \tfrac1\pi \arcsin \rho` (Sheppard).

notation: m = n_samples, n = n_features, K = n_classes, w = weights, J = relevant, q = n_relevant,
x* = a row of X_privileged
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import check_choice, check_count, check_matrix, check_real_array, check_rng
from kdtheory.softening import soften

__all__ = [
    "PrivilegedData",
    "SoftmaxData",
    "make_clean_features",
    "make_clean_labels",
    "make_relevant_features",
    "make_sample_dependent_features",
    "make_softmax_data",
]


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
        If a count is too small, or `W` is not of shape (n, K) or has an element beyond ±1e150.
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
        matrix = _bounded("W", check_matrix("W", W, shape=(n, n_classes)).astype(np.float64))

    X = rng.standard_normal((m, n))
    S = soften(X @ matrix)
    return SoftmaxData(X=X, y=_categorical(S, rng), S=S, W=matrix)


@dataclass(frozen=True, eq=False)
class PrivilegedData:
    """One draw with privileged features, of one of the four laws of Lopez-Paz et al.

    Attributes
    ----------
    X : (m, n) ndarray of float64
        Features that the student sees.
    X_privileged : (m, q) ndarray of float64
        Features x* that only a teacher sees.
    y : (m,) ndarray of int64
        Labels 0 and 1.
    weights : (n,) or (q,) ndarray of float64
        w, which gives the law; pass it on to draw more objects of the same law.
    relevant : (q,) or (m, q) ndarray of int64, or None
        The columns J of X that x* holds, for all objects or for each; None if it holds none.
    threshold : float
        What the score of an object must exceed for its label to be 1.
    bayes_privileged, bayes_plain : float
        Accuracy of the best rule that knows the law and sees x*, or X; nan where no closed form is
        known.
    """

    X: NDArray[np.float64]
    X_privileged: NDArray[np.float64]
    y: NDArray[np.int64]
    weights: NDArray[np.float64]
    relevant: NDArray[np.int64] | None
    threshold: float
    bayes_privileged: float
    bayes_plain: float


def make_clean_labels(
    n_samples: int,
    n_features: int = 50,
    *,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> PrivilegedData:
    r"""Privileged: the score of an object before noise moves it over the boundary.

    .. math:: x_i \sim \mathcal{N}(0, I_n), \quad x_i^* = \langle w, x_i \rangle, \quad
        \varepsilon_i \sim \mathcal{N}(0, 1), \quad y_i = 1(x_i^* + \varepsilon_i > 0), \qquad
        w \sim \mathcal{N}(0, I_n).

    The best rule is :math:`1(x^* > 0)`, whether it sees x* or x. The correlation of :math:`x^*` and
    :math:`x^* + \varepsilon` is :math:`\rho = \|w\| / \sqrt{\|w\|^2 + 1}`, and
    :math:`\arcsin \rho = \arctan \|w\|`; so both Bayes accuracies are

    .. math:: \tfrac12 + \tfrac1\pi \arctan \|w\|.

    Parameters
    ----------
    n_samples : int
        Number of objects m, at least 1. The paper takes 200 to train and 10 000 to test (its code:
        1000).
    n_features : int, default 50
        Number of features n, at least 1.
    rng : numpy.random.Generator
        The only source of randomness. It gives, in this order, w (unless fixed), X and the noise.
    weights : (n,) array_like, optional
        Fix w instead of drawing it. A test set needs the weights of its training set.

    Returns
    -------
    PrivilegedData
        With one privileged column.

    Raises
    ------
    ValueError
        If a count is too small, or `weights` is not of shape (n,) or has an element beyond ±1e150.
    TypeError
        If a count is not an integer, `rng` is not a Generator, or `weights` is not made of real
        numbers.

    References
    ----------
    .. [1] D. Lopez-Paz, L. Bottou, B. Schölkopf and V. Vapnik, "Unifying distillation and
       privileged information", ICLR 2016, section 6, experiment 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train = make_clean_labels(200, rng=rng)
    >>> test = make_clean_labels(10_000, rng=rng, weights=train.weights)
    >>> print(f"{test.bayes_plain:.3f}")
    0.951
    >>> print(f"{((test.X_privileged[:, 0] > 0) == test.y).mean():.3f}")
    0.953
    """
    m, n, rng = _shape_and_rng(n_samples, n_features, rng)
    w = _weights(weights, n, rng)
    X = rng.standard_normal((m, n))
    clean = X @ w
    y = clean + rng.standard_normal(m) > 0
    accuracy = 0.5 + float(np.arctan(np.linalg.norm(w)) / np.pi)
    return PrivilegedData(
        X=X,
        X_privileged=clean[:, None],
        y=y.astype(np.int64),
        weights=w,
        relevant=None,
        threshold=0.0,
        bayes_privileged=accuracy,
        bayes_plain=accuracy,
    )


def make_clean_features(
    n_samples: int,
    n_features: int = 50,
    *,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> PrivilegedData:
    r"""Privileged: the features before noise is added to them.

    .. math:: x_i^* \sim \mathcal{N}(0, I_n), \quad \varepsilon_i \sim \mathcal{N}(0, I_n), \quad
        x_i = x_i^* + \varepsilon_i, \quad y_i = 1(\langle w, x_i^* \rangle > 0), \qquad
        w \sim \mathcal{N}(0, I_n).

    x* gives the label. Given x, :math:`\langle w, x^* \rangle` is normal with mean
    :math:`\langle w, x \rangle / 2`, so the best rule is :math:`1(\langle w, x \rangle > 0)`. The
    correlation of the two scores is :math:`1/\sqrt2`: the Bayes accuracies are 1 and ¾, for every
    w other than 0.

    Parameters
    ----------
    n_samples, n_features, weights
        As for `make_clean_labels`; the weights must not all be 0.
    rng : numpy.random.Generator
        The only source of randomness. It gives, in this order, w (unless fixed), X* and the noise.

    Returns
    -------
    PrivilegedData
        With n privileged columns.

    Raises
    ------
    ValueError, TypeError
        As `make_clean_labels`.

    References
    ----------
    .. [1] Lopez-Paz et al. (2016), section 6, experiment 2.
    """
    m, n, rng = _shape_and_rng(n_samples, n_features, rng)
    w = _not_only_zeros(_weights(weights, n, rng))
    clean = rng.standard_normal((m, n))
    return PrivilegedData(
        X=clean + rng.standard_normal((m, n)),
        X_privileged=clean,
        y=(clean @ w > 0).astype(np.int64),
        weights=w,
        relevant=None,
        threshold=0.0,
        bayes_privileged=1.0,
        bayes_plain=0.75,
    )


def make_relevant_features(
    n_samples: int,
    n_features: int = 50,
    n_relevant: int = 3,
    *,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> PrivilegedData:
    r"""Privileged: the few columns that matter, the same for all objects.

    .. math:: x_i \sim \mathcal{N}(0, I_n), \quad x_i^* = x_{i,J}, \quad
        y_i = 1(\langle w, x_i \rangle > 0), \qquad
        w_J \sim \mathcal{N}(0, I_q), \quad w_j = 0 \text{ for } j \notin J,

    with J of q columns drawn uniformly. Both Bayes accuracies are 1.

    Parameters
    ----------
    n_samples, n_features
        As for `make_clean_labels`.
    n_relevant : int, default 3
        q, from 1 to n.
    rng : numpy.random.Generator
        The only source of randomness. It gives, in this order, J, w (unless fixed) and X.
    weights : (n,) array_like, optional
        Fix w, and J with it: the columns whose weight is not 0, of which there must be q.

    Returns
    -------
    PrivilegedData
        With q privileged columns, in the order of X.

    Raises
    ------
    ValueError
        As `make_clean_labels`; also if q > n, or not q of the weights differ from 0.
    TypeError
        As `make_clean_labels`.

    References
    ----------
    .. [1] Lopez-Paz et al. (2016), section 6, experiment 3. Their code takes the first three
       columns, which is the same up to the order of the columns.
    """
    m, n, rng = _shape_and_rng(n_samples, n_features, rng)
    q = _relevant_count(n_relevant, n)
    if weights is None:
        w = np.zeros(n)
        w[rng.choice(n, q, replace=False)] = rng.standard_normal(q)
    else:
        w = _weights(weights, n, rng)
    (relevant,) = np.nonzero(w)
    if len(relevant) != q:
        msg = f"`weights` must differ from 0 in {q} column(s), got {len(relevant)}"
        raise ValueError(msg)
    X = rng.standard_normal((m, n))
    return PrivilegedData(
        X=X,
        X_privileged=X[:, relevant],
        y=(X[:, relevant] @ w[relevant] > 0).astype(np.int64),
        weights=w,
        relevant=relevant.astype(np.int64),
        threshold=0.0,
        bayes_privileged=1.0,
        bayes_plain=1.0,
    )


def make_sample_dependent_features(
    n_samples: int,
    n_features: int = 50,
    n_relevant: int = 3,
    *,
    reading: str,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
) -> PrivilegedData:
    r"""Privileged: the few columns that matter, others for each object; three readings.

    With :math:`x_i \sim \mathcal{N}(0, I_n)`:

    * "text", as the paper says: :math:`w \sim \mathcal{N}(0, I_n)`, a set :math:`J_i` of q columns
      for each object, :math:`x_i^* = x_{i,J_i}` and
      :math:`y_i = 1(\langle w_{J_i}, x_i^* \rangle > 0)`. A set has no order; the columns come in
      a random one, or their places would tell of J. The teacher sees the values but not which
      columns they are, so a linear one can learn little. No closed form is known for either
      Bayes accuracy.
    * "code", as the published code does: :math:`w \sim \mathcal{N}(0, I_q)`, one ordered J *for
      each call*, :math:`x_i^* = x_{i,J}` and :math:`y_i = 1(\langle w, x_i^* \rangle > t)` with t
      the median of these scores. Training and test sets have a J each: x* gives the label, and
      what the student learns of J is of no use. `bayes_plain` is nan: it is 1 for a rule that
      knows this J, and has no closed form for one that does not.
    * "sorted", a line that is commented out in that code: the same with :math:`x_i^*` the q
      largest values of :math:`x_i`, the largest first. Both Bayes accuracies are 1.

    A Bayes accuracy of 1 with a median is that of a rule which knows t: it moves from call to call
    by :math:`O(1/\sqrt m)`.

    Parameters
    ----------
    n_samples, n_features
        As for `make_clean_labels`.
    n_relevant : int, default 3
        q, from 1 to n.
    reading : {"text", "code", "sorted"}
        Which of the laws above. There is no default: the published accuracies are those of
        "sorted", not of the paper's text.
    rng : numpy.random.Generator
        The only source of randomness. It gives, in this order, w (unless fixed), X and the columns.
    weights : (n,) array_like for "text", (q,) for the others, optional
        Fix w instead of drawing it.

    Returns
    -------
    PrivilegedData
        With q privileged columns.

    Raises
    ------
    ValueError
        As `make_clean_labels`; also if q > n, the weights are all 0, or the reading is not one of
        the three.
    TypeError
        As `make_clean_labels`.

    References
    ----------
    .. [1] Lopez-Paz et al. (2016), section 6, experiment 4, and ``synthetic.py`` of
       github.com/lopezpaz/distillation_privileged_information.

    Examples
    --------
    >>> data = make_sample_dependent_features(
    ...     4, 5, 2, reading="sorted", rng=np.random.default_rng(0)
    ... )
    >>> data.relevant.shape, bool((data.X_privileged[:, 0] == data.X.max(axis=1)).all())
    ((4, 2), True)
    """
    m, n, rng = _shape_and_rng(n_samples, n_features, rng)
    q = _relevant_count(n_relevant, n)
    reading = check_choice("reading", reading, ("text", "code", "sorted"))
    w = _not_only_zeros(_weights(weights, n if reading == "text" else q, rng))
    X = rng.standard_normal((m, n))
    if reading == "code":
        relevant = rng.permutation(n)[:q]
        values = X[:, relevant]
    else:
        keys = -X if reading == "sorted" else rng.random((m, n))
        relevant = keys.argsort(axis=1)[:, :q]
        values = np.take_along_axis(X, relevant, axis=1)
    scores = (values * w[relevant]).sum(axis=1) if reading == "text" else values @ w
    threshold = 0.0 if reading == "text" else float(np.median(scores))
    return PrivilegedData(
        X=X,
        X_privileged=values,
        y=(scores > threshold).astype(np.int64),
        weights=w,
        relevant=relevant.astype(np.int64),
        threshold=threshold,
        bayes_privileged=np.nan if reading == "text" else 1.0,
        bayes_plain=1.0 if reading == "sorted" else np.nan,
    )


_LARGEST_WEIGHT = 1e150


def _shape_and_rng(
    n_samples: int, n_features: int, rng: np.random.Generator
) -> tuple[int, int, np.random.Generator]:
    m = check_count("n_samples", n_samples, least=1)
    n = check_count("n_features", n_features, least=1)
    return m, n, check_rng("rng", rng)


def _relevant_count(n_relevant: int, n_features: int) -> int:
    q = check_count("n_relevant", n_relevant, least=1)
    if q > n_features:
        msg = f"`n_relevant` must be at most the {n_features} feature(s), got {q}"
        raise ValueError(msg)
    return q


def _weights(
    weights: ArrayLike | None, length: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Drawn, or a copy of what is given: the result must not change with the caller's array."""
    if weights is None:
        return rng.standard_normal(length)
    fixed = check_real_array("weights", weights, ndim=1)
    if fixed.shape != (length,):
        msg = f"`weights` must have shape ({length},), got shape {fixed.shape}"
        raise ValueError(msg)
    return _bounded("weights", fixed.astype(np.float64))


def _bounded(name: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights whose scores and squares do not overflow."""
    size = float(np.abs(weights).max())
    if size > _LARGEST_WEIGHT:
        msg = f"`{name}` must be at most {_LARGEST_WEIGHT:g} in size, got {size:g}"
        raise ValueError(msg)
    return weights


def _not_only_zeros(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights that tell the classes apart."""
    if not weights.any():
        msg = "`weights` must differ from 0 in some column, got only zeros"
        raise ValueError(msg)
    return weights


def _categorical(probs: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One label a row, by the inverse of the distribution function."""
    cumulative = probs.cumsum(axis=-1)
    # the last sum is 1 up to rounding. Measured against it, u·total < total for every u < 1, so
    # no label passes the last class, and no class of probability 0 is ever drawn
    level = rng.random(len(probs)) * cumulative[:, -1]
    return np.asarray((cumulative <= level[:, None]).sum(axis=-1), dtype=np.int64)
