r"""Divided differences of the exponential: its integral over the simplex, for any nodes.

By the Hermite–Genocchi formula, with the Lebesgue measure on :math:`(s_1, \dots, s_{K-1})`,

.. math::
    Z(a) = \int_{S_K} e^{\langle a, s \rangle} ds = \exp[a_1, \dots, a_K]
         = \sum_k \frac{e^{a_k}}{\prod_{j \ne k} (a_k - a_j)} \quad \text{(all } a_k \text{ apart)}.

The last form is the published one. It is 0/0 at ties and cancels all digits from K ≈ 10; no digit
is lost by the two forms used here.

**Series**, for ranges up to 128 and K up to 256. With :math:`b = a - \min a \ge 0`

.. math:: Z(a) = e^{\min a} \sum_{n \ge 0} \frac{h_n(b)}{(n + K - 1)!},

where the :math:`h_n` are the complete homogeneous symmetric polynomials: every term is
positive, so nothing cancels. Let :math:`t_n` be the term and :math:`R = \max b`. Up to a constant
:math:`t_n = E[X^n] / n!` for :math:`X = \langle b, D \rangle \in [0, R]` and D uniform on the
simplex, so that :math:`t_{n+1} / t_n \le R / (n + 1)` and the tail is bounded:

.. math:: \sum_{m > n} t_m \le t_n \frac{q}{1 - q}, \qquad q = \frac{R}{n + 1} < 1.

The sum stops as soon as this bound is below 2⁻⁵⁴ of it.

**Contour**, otherwise: `kdtheory.bromwich`, whose cost does not depend on the range.

Where numba is installed (`pip install kdtheory[fast]`), large batches take the same series
compiled, with the same bits.

notation: a = logits, b = a − min a, c = max a − a, h = complete homogeneous polynomials
"""

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from math import factorial, log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory import bromwich
from kdtheory._checks import check_logits

__all__ = ["log_normaliser", "normaliser_gradient", "normaliser_hessian"]

Reals = NDArray[np.float64]

SERIES_RANGE = 128.0  # rounding of b may cost range/2 ulp, 1.4e-14 here
SERIES_CLASSES = 256  # h_n(b / R) ≤ C(n + K − 1, n) stays below 1e150 for the n in use
TAIL = 2.0**-54  # a quarter of the rounding of the sum
BLOCK = 2**15  # numbers of a block's largest array: it stays in the cache
SHORT = 64  # classes up to which columns are compared instead of rows
COMPILED_FROM = 2**18  # numbers in a batch; below, loading the compiled series does not pay


def log_normaliser(logits: ArrayLike) -> NDArray[Any]:
    r"""Logarithm of :math:`Z(a) = \int_{S_K} \exp\langle a, s \rangle ds`, the exact normaliser.

    The measure is Lebesgue's on :math:`(s_1, \dots, s_{K-1})`; the surface measure of the simplex
    adds ½ log K. The constant of GS (12) is :math:`C = 1 / Z(\log g)`.

    Parameters
    ----------
    logits : (..., K) array_like
        Finite numbers, K at least 1, in any order, ties and any offset allowed. float32 is
        computed in float64 and returned as float32.

    Returns
    -------
    (...,) ndarray
        log Z, with absolute error at most 1e-13 · max(1, \|log Z\|) (measured up to K = 5000).
        The number of terms follows from a proved bound of the tail (see the module).

    Raises
    ------
    ValueError
        If an entry is not finite, K is 0, or the range of a row overflows.
    TypeError
        If the entries are not real numbers.

    References
    ----------
    GS Theorem 1, corrected. C. Hermite and A. Genocchi: the integral form of divided
    differences. E. Gordon-Rodriguez et al., *The continuous categorical*, ICML 2020.

    Examples
    --------
    >>> import numpy as np
    >>> log_normaliser(np.log([0.3, 0.7])).round(6)  # log of (0.7 - 0.3) / log(0.7 / 0.3)
    np.float64(-0.750588)
    >>> np.exp(log_normaliser([0.0, 0.0, 0.0]))  # the volume 1 / (K - 1)! of the simplex
    np.float64(0.5)
    """
    a = check_logits("logits", logits)
    rows = _rows(a)
    result = np.empty(len(rows))
    compiled = rows.size >= COMPILED_FROM and _numba_is_installed()
    lowest, highest = _extremes(rows)
    for block, in_series in _blocks(highest - lowest, rows.shape[1], whole_series=compiled):
        part = rows[block]
        if in_series:
            totals = _compiled_totals(part) if compiled else _series_totals(part)
            # exact for integers, where the logarithm of the gamma function is an ulp or two off
            log_factorial = log(factorial(rows.shape[1] - 1))
            result[block] = lowest[block] + (np.log(totals) - log_factorial)
        else:
            result[block] = highest[block] + bromwich.log_integral(highest[block, None] - part)
    return result.reshape(a.shape[:-1]).astype(a.dtype)[()]


def normaliser_gradient(logits: ArrayLike) -> NDArray[Any]:
    r"""Gradient of log Z: the mean :math:`\mu_k = \exp[a, a_k] / \exp[a]` (node a_k repeated).

    Parameters
    ----------
    logits : (..., K) array_like
        As for `log_normaliser`.

    Returns
    -------
    (..., K) ndarray
        The mean of the continuous categorical distribution: positive, sums to 1, each entry
        with small relative error however small it is.

    Raises
    ------
    ValueError, TypeError
        As for `log_normaliser`.

    Examples
    --------
    >>> normaliser_gradient([20.0] + [0.0] * 9).round(3)[0]  # softmax would say 1.000
    np.float64(0.551)
    """
    a = check_logits("logits", logits)
    rows = _rows(a)
    result = np.empty_like(rows)
    lowest, highest = _extremes(rows)
    for block, in_series in _blocks(highest - lowest, rows.shape[1]):
        part = rows[block]
        if in_series:
            result[block] = _series_gradient(part)
        else:
            result[block] = bromwich.mean(highest[block, None] - part)
    return result.reshape(a.shape).astype(a.dtype)


def normaliser_hessian(logits: ArrayLike) -> NDArray[Any]:
    r"""Hessian of log Z: the covariance of s.

    .. math:: E[s_j s_k] = (1 + \delta_{jk}) \exp[a, a_j, a_k] / \exp[a], \qquad
              H_{jk} = E[s_j s_k] - \mu_j \mu_k.

    Parameters
    ----------
    logits : (..., K) array_like
        As for `log_normaliser`.

    Returns
    -------
    (..., K, K) ndarray
        Symmetric, positive semidefinite; rows sum to 0, as s sums to 1.

    Raises
    ------
    ValueError, TypeError
        As for `log_normaliser`.

    Examples
    --------
    >>> (normaliser_hessian([1.0, 1.0, 1.0]) * 36).round(12)  # (K δ - 1) / (K² (K + 1))
    array([[ 2., -1., -1.],
           [-1.,  2., -1.],
           [-1., -1.,  2.]])
    """
    a = check_logits("logits", logits)
    rows = _rows(a)
    n_classes = a.shape[-1]
    result = np.empty((len(rows), n_classes, n_classes))
    lowest, highest = _extremes(rows)
    for block, _ in _blocks(highest - lowest, n_classes, series_range=-1.0):
        result[block] = bromwich.covariance(highest[block, None] - rows[block])
    return result.reshape((*a.shape, n_classes)).astype(a.dtype)


def _rows(a: NDArray[Any]) -> Reals:
    """Logits as float64 rows (B, K)."""
    return a.reshape(-1, a.shape[-1]).astype(np.float64, copy=False)


def _extremes(rows: Reals) -> tuple[Reals, Reals]:
    """Least and largest logit of each row; by columns where rows are short, as NumPy is faster."""
    if rows.shape[1] > SHORT:
        return rows.min(axis=1), rows.max(axis=1)
    lowest, highest = rows[:, 0].copy(), rows[:, 0].copy()
    for column in rows.T[1:]:
        np.minimum(lowest, column, out=lowest)
        np.maximum(highest, column, out=highest)
    return lowest, highest


def _blocks(
    span: Reals, n_classes: int, *, series_range: float = SERIES_RANGE, whole_series: bool = False
) -> Iterator[tuple[NDArray[np.intp] | slice, bool]]:
    """Indices of rows to take together, alike in range, and whether the series serves them."""
    in_series = (span <= series_range) & (n_classes <= SERIES_CLASSES)
    n_rows, n_series = len(span), int(in_series.sum())
    size = n_rows if whole_series else max(1, BLOCK // n_classes)
    if 0 < n_rows == n_series <= size:
        yield slice(None), True
        return
    order = np.argsort(span, kind="stable")  # the rows for the series come first
    for start in range(0, n_series, size):
        yield order[start : min(start + size, n_series)], True
    size = max(1, BLOCK // n_classes // 64)  # the contour has up to 74 complex nodes a class
    for start in range(n_series, n_rows, size):
        yield order[start : start + size], False


class _Series:
    """The terms h_n(b) R^n (K-1)! / (n+K-1)! of all rows, one n after the other.

    h_n is kept for the first k = 1 … K nodes, of b / R, by h_n^(k) = h_n^(k-1) + b_k h_{n-1}^(k).
    """

    def __init__(self, rows: Reals) -> None:
        self.b = np.ascontiguousarray((rows - rows.min(axis=1, keepdims=True)).T)  # (K, B)
        self.span = self.b.max(axis=0)
        self.scale = np.where(self.span > 0, self.span, 1.0)
        self.b /= self.scale
        self.h = np.ones_like(self.b)
        self.weight = np.ones_like(self.span)
        self.n = 0

    def advance(self) -> Reals:
        """Go to the next n and return its term, shape (B,)."""
        n_classes = len(self.b)
        self.n += 1
        self.h *= self.b
        for k in range(1, n_classes):
            self.h[k] += self.h[k - 1]
        self.weight *= self.scale / (self.n + n_classes - 1)
        term: Reals = self.h[-1] * self.weight
        return term

    def tail_is_negligible(self, term: Reals, total: Reals) -> bool:
        """Whether Σ_{m>n} t_m ≤ t_n R / (n + 1 − R) is below TAIL of the sum, in every row."""
        room = self.n + 1 - self.span
        return bool(room.min() > 0 and np.all(term * self.span <= TAIL * room * total))


@cache
def _numba_is_installed() -> bool:
    return find_spec("numba") is not None


def _compiled_totals(rows: Reals) -> Reals:
    from kdtheory.compiled import series_totals

    totals: Reals = series_totals(rows, TAIL)
    return totals


def _series_totals(rows: Reals) -> Reals:
    """(K − 1)! e^{−min a} Z(a) of each row; `compiled.series_totals` is its twin, bit for bit."""
    series = _Series(rows)
    total: Reals = np.ones_like(series.span)
    while True:
        term = series.advance()
        total += term
        if series.n % 4 == 0 and series.tail_is_negligible(term, total):
            return total


def _series_gradient(rows: Reals) -> Reals:
    """Mean by the same series with node k repeated: h_n(b, b_k) = h_n(b) + b_k h_{n-1}(b, b_k)."""
    series = _Series(rows)
    n_classes = rows.shape[1]
    total = np.ones_like(series.span)
    repeated = np.ones_like(series.b)
    repeated_total = np.full_like(series.b, 1 / n_classes)
    while True:
        total += series.advance()
        repeated *= series.b
        repeated += series.h[-1]
        term = repeated * (series.weight / (series.n + n_classes))
        repeated_total += term
        # over k the repeated terms add up to the term of Z: where their tails end, so does its
        if series.n % 4 == 0 and series.tail_is_negligible(term, repeated_total):
            break
    result: Reals = (repeated_total / total).T
    return result
