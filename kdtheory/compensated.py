r"""Sums and products in doubled precision, by error-free transformations.

A number is held as an unevaluated sum hi + lo of two doubles, with some 106 bits. For doubles a, b

.. math:: a + b = s + e, \qquad a b = p + e

hold exactly with s and p the rounded results and e doubles too (Knuth; Veltkamp and Dekker), so
that residuals and inner products lose nothing to cancellation. The same bits on every machine,
unlike a long double, which on many is a double.

notation: hi + lo = a value in doubled precision
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pair", "doubled_inner", "doubled_residual", "two_product", "two_sum"]

Reals = NDArray[np.float64]
Pair = tuple[Reals, Reals]

SPLITTER = 2.0**27 + 1  # halves the 53 bits of a double


def two_sum(a: Reals, b: Reals) -> Pair:
    """Sum of doubles as hi + lo, without error (Knuth).

    Examples
    --------
    >>> two_sum(1.0, 2.0**-80) == (1.0, 2.0**-80)
    True
    """
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def two_product(a: Reals, b: Reals) -> Pair:
    """Product of doubles as hi + lo, without error if sizes lie between 1e-130 and 1e130 (Dekker).

    Examples
    --------
    >>> two_product(1 + 2.0**-30, 1 + 2.0**-30) == (1 + 2.0**-29, 2.0**-60)
    True
    """
    p = a * b
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def doubled_inner(A: Pair, B: Pair) -> Pair:
    r"""Product :math:`A^\top B` of pairs (m, k) and (m, p).

    Needs memory for some ten arrays of m · k · p numbers.
    """
    hi, lo = two_product(A[0][:, :, None], B[0][:, None, :])
    lo += A[0][:, :, None] * B[1][:, None, :] + A[1][:, :, None] * B[0][:, None, :]
    hi, lo = two_sum(hi, lo)
    # by halves: the rows below are added to those above
    while len(hi) > 1:
        rest = len(hi) // 2
        s, e = two_sum(hi[:rest], hi[-rest:])
        e += lo[:rest] + lo[-rest:]
        hi, lo = hi[: len(hi) - rest], lo[: len(lo) - rest]
        hi[:rest], lo[:rest] = two_sum(s, e)
    return hi[0], lo[0]


def doubled_residual(Y: Reals, X: Pair, theta: Reals) -> Pair:
    r"""Residual :math:`Y - X \theta` with Y (m, p), a pair X (m, k), θ (k, p)."""
    hi, lo = Y, np.zeros_like(Y)
    for x, rest, value in zip(X[0].T, X[1].T, theta, strict=True):
        p, e = two_product(x[:, None], -value)
        s, t = two_sum(hi, p)
        lo = lo + (t + (e - rest[:, None] * value))
        hi, lo = two_sum(s, lo)
    return hi, lo


def _halves(a: Reals) -> Pair:
    c = SPLITTER * a
    high = c - (c - a)
    return high, a - high
