"""What paired differences decide: an interval of their mean, and a verdict.

notation: none
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

__all__ = ["half_width", "verdict"]


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
