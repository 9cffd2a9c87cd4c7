"""What draws and paired differences decide: an interval of their mean, a range, and a verdict.

notation: none
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

__all__ = [
    "Interval",
    "central_range",
    "conformal_p_value",
    "crossed_half_width",
    "half_width",
    "mean_interval",
    "verdict",
]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % t interval; or, of `central_range`, with the range of the values."""

    mean: float
    low: float
    high: float


def half_width(values: NDArray[np.float64], *, shared: float = 0.0) -> float:
    r"""Half the 95 % t interval of a mean, :math:`t_{0.975} \, \hat\sigma \sqrt{1/n + \rho}`.

    Parameters
    ----------
    values : (n,) ndarray
        n at least 2.
    shared : float, default 0
        ρ: 0 for independent values, n_test / n_train for splits of the same objects (Nadeau and
        Bengio, 2003).

    Examples
    --------
    >>> round(half_width(np.array([1.0, 2.0, 3.0])), 4)
    2.4841
    """
    n = len(values)
    spread = student_t.ppf(0.975, n - 1) * values.std(ddof=1)
    return float(spread * np.sqrt(1 / n + shared))


def crossed_half_width(
    values: NDArray[np.float64], image_variance: float, *, n_comparisons: int = 1
) -> float:
    r"""Half the interval of a mean over n runs and m test objects, both of which are samples.

    .. math:: t_{1 - \alpha / 2c,\, n - 1} \sqrt{\hat\sigma^2 / n + v}, \qquad \alpha = 0.05,

    with σ̂² of the runs' means over the objects, v the variance of the mean over the objects, and
    c intervals that are to hold together (Bonferroni). It is a little too wide, as both variances
    contain that of the interaction of runs and objects.

    Parameters
    ----------
    values : (n,) ndarray
        Mean over the objects of each run. A single one, as of an optimum that hangs on no run, has
        the objects' variance alone, and the quantile of the normal law.
    image_variance : float
        v.
    n_comparisons : int, default 1
        c.

    Examples
    --------
    >>> round(crossed_half_width(np.array([1.0, 2.0, 3.0]), 0.0), 4)  # as half_width
    2.4841
    """
    level = 1 - 0.025 / n_comparisons
    n = len(values)
    if n == 1:
        return float(norm.ppf(level) * np.sqrt(image_variance))
    variance = values.var(ddof=1) / n + image_variance
    return float(student_t.ppf(level, n - 1) * np.sqrt(variance))


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """Mean of independent values and its 95 % t interval.

    Examples
    --------
    >>> mean_interval(np.array([1.0, 1.0, 1.0]))
    Interval(mean=1.0, low=1.0, high=1.0)
    """
    mean, half = float(values.mean()), half_width(values)
    return Interval(mean=mean, low=mean - half, high=mean + half)


def central_range(values: NDArray[np.float64]) -> Interval:
    """Mean of values and the range that holds the central 95 % of them.

    Examples
    --------
    >>> central_range(np.arange(41.0))
    Interval(mean=20.0, low=1.0, high=39.0)
    """
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(mean=float(values.mean()), low=float(low), high=float(high))


def conformal_p_value(values: NDArray[np.float64], point: NDArray[np.float64]) -> float:
    r"""How far out a point lies among draws of which it is said to be one more.

    With the n values and the point taken together, :math:`d_i` the Mahalanobis distance of each
    from their common mean in their common covariance, it is the share of all n + 1 with
    :math:`d_i \ge d_{point}`. If the point is exchangeable with the values, whatever their law,
    :math:`P(p \le u) \le u` for every u: no normality is assumed. The least possible value is
    1/(n + 1).

    Parameters
    ----------
    values : (n, d) ndarray
    point : (d,) ndarray

    Examples
    --------
    >>> values = np.linspace(-1, 1, 99)[:, None]
    >>> conformal_p_value(values, np.array([9.0]))
    0.01
    """
    deviations = np.vstack([values, point])
    deviations -= deviations.mean(axis=0)
    inverse = np.linalg.pinv(deviations.T @ deviations, hermitian=True)
    distances = np.einsum("ij,jk,ik->i", deviations, inverse, deviations)
    ties = 1e-9 * distances.mean()  # rows equal to the point must count, whatever the rounding
    return float((distances >= distances[-1] - ties).mean())


def verdict(low: float, high: float) -> str:
    """Say what an interval of a loss, with minus without a teacher, decides.

    Examples
    --------
    >>> verdict(-2.0, -1.0), verdict(1.0, 2.0), verdict(-1.0, 2.0)
    ('better', 'worse', 'undecided')
    """
    if high < 0:
        return "better"
    return "worse" if low > 0 else "undecided"
