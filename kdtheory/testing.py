"""Strategies of hypothesis for property tests: yours and those of this package.

Every strategy gives float64 (or boolean) arrays or plain numbers that the functions of this
package accept, and puts weight on what breaks formulas: the boundary of the simplex, exact ties
and near-ties, offsets, both ends of the trust.

notation: K = number of classes, z = logits, T = temperature, λ = trust
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdtheory._checks import check_count, check_nonnegative, check_positive

try:
    from hypothesis import strategies as st
    from hypothesis.extra.numpy import arrays
except ImportError as error:
    msg = "kdtheory.testing needs hypothesis, which is not installed: pip install hypothesis"
    raise ImportError(msg) from error

__all__ = ["logits", "masks", "simplex_points", "temperatures", "trusts"]

# Classes: an int, or the ends of a range from which every example draws its own number
Classes = int | tuple[int, int]

# The least weight of a class inside the simplex, before division by a sum of at most K: positive
# after it for every K in reach
FAINT = 1e-300

# Without ties, logits lie on a grid of this many cells over the spread
CELLS = 2**20


def simplex_points(
    n_classes: Classes = (1, 8), *, boundary: bool = True
) -> st.SearchStrategy[NDArray[np.float64]]:
    """Points of the probability simplex.

    Parameters
    ----------
    n_classes : int or (int, int), default (1, 8)
        Number of classes K, or the least and the largest.
    boundary : bool, default True
        Whether a class may have probability 0 (faces and vertices). If not, every probability is
        positive, though it may be as small as 1e-300/K.

    Returns
    -------
    SearchStrategy of (K,) ndarray of float64
        Not negative, of sum 1 up to rounding.

    Raises
    ------
    ValueError, TypeError
        If `n_classes` is not made of integers, at least 1 and in order.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(simplex_points(n_classes=3))
    ... def test_sums_to_one(probs):
    ...     assert abs(probs.sum() - 1) < 1e-15
    """
    weight = st.floats(FAINT, 1.0) | st.integers(0, 300).map(lambda k: 10.0**-k)
    if boundary:
        weight = st.just(0.0) | weight

    def point(draw: Callable[..., Any], n: int) -> NDArray[np.float64]:
        weights = np.array(draw(st.lists(weight, min_size=n, max_size=n)))
        # one weight is 1: the sum cannot vanish, and every point has such a multiple
        weights[draw(st.integers(0, n - 1))] = 1.0
        return np.asarray(weights / weights.sum())

    return _over_classes(n_classes, point)


def logits(
    n_classes: Classes = (1, 8),
    *,
    max_spread: float = 30.0,
    max_offset: float = 1e6,
    ties: bool = True,
) -> st.SearchStrategy[NDArray[np.float64]]:
    """Logits of chosen spread, with exact ties, near-ties and offsets.

    Parameters
    ----------
    n_classes : int or (int, int), default (1, 8)
        Number of classes K, or the least and the largest.
    max_spread : float, default 30
        Bound on max z − min z, up to the rounding of the offset; at least 0.
    max_offset : float, default 1e6
        Bound on the size of a number that is added to all logits; at least 0.
    ties : bool, default True
        Whether logits may be equal, or differ by 10^−k, k = 1 … 16. If not, any two differ by
        about `max_spread`/2²⁰ or more; `max_spread` must then be positive, and the offset stays
        within 2²⁰ `max_spread`, so that it cannot round the difference away.

    Returns
    -------
    SearchStrategy of (K,) ndarray of float64

    Raises
    ------
    ValueError, TypeError
        If `n_classes` is not made of integers, at least 1 and in order, or a bound is not a finite
        number of the range above.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(logits(n_classes=(2, 5), max_spread=10.0))
    ... def test_the_spread_is_bounded(z):
    ...     assert z.max() - z.min() < 10.0 + 1e-8
    """
    spread = check_nonnegative("max_spread", max_spread)
    bound = check_nonnegative("max_offset", max_offset)
    if ties:
        margin = st.floats(0.0, spread)
    else:
        cell = check_positive("max_spread", spread) / CELLS
        bound = min(bound, CELLS * spread)
    offset = st.just(0.0) | st.floats(-bound, bound)
    gap = st.just(0.0) | st.integers(1, 16).map(lambda k: 10.0**-k)

    def tied(draw: Callable[..., Any], n: int) -> NDArray[np.float64]:
        z = np.array(draw(st.lists(margin, min_size=n, max_size=n)))
        # entry k takes the place of entry j < k, or one close to it
        for k in range(1, n):
            if draw(st.booleans()):
                z[k] = z[draw(st.integers(0, k - 1))] + draw(gap)
        return np.asarray(np.minimum(z, spread) + draw(offset))

    def distinct(draw: Callable[..., Any], n: int) -> NDArray[np.float64]:
        cells = st.lists(st.integers(0, CELLS - 1), min_size=n, max_size=n, unique=True)
        return np.asarray(np.array(draw(cells)) * cell + draw(offset))

    return _over_classes(n_classes, tied if ties else distinct)


def temperatures(least: float = 1e-6, most: float = 1e6) -> st.SearchStrategy[float]:
    """Temperatures T between two positive ends, ends included, evenly over the orders of magnitude.

    Parameters
    ----------
    least, most : float, default 1e-6 and 1e6
        The ends, finite, positive and in order.

    Returns
    -------
    SearchStrategy of float

    Raises
    ------
    ValueError, TypeError
        If an end is not a finite positive number, or `most` is below `least`.
    """
    low, high = check_positive("least", least), check_positive("most", most)
    check_nonnegative("most - least", high - low)
    exponents = st.floats(float(np.log10(low)), float(np.log10(high)))
    inside = exponents.map(lambda exponent: min(max(10.0**exponent, low), high))
    return st.sampled_from([min(max(1.0, low), high), low, high]) | inside


def trusts() -> st.SearchStrategy[float]:
    """Trusts λ in [0, 1], both ends often."""
    return st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0)


def masks(n: int) -> st.SearchStrategy[NDArray[np.bool_]]:
    """Boolean masks of length n, all True and all False often.

    Parameters
    ----------
    n : int
        Length, at least 0.

    Returns
    -------
    SearchStrategy of (n,) ndarray of bool

    Raises
    ------
    ValueError, TypeError
        If `n` is not an integer that is at least 0.
    """
    return arrays(np.bool_, check_count("n", n))


def _over_classes(
    n_classes: Classes, draw_row: Callable[[Callable[..., Any], int], NDArray[np.float64]]
) -> st.SearchStrategy[NDArray[np.float64]]:
    """Draw the number of classes, then a row of that many numbers."""
    ends = n_classes if isinstance(n_classes, tuple) else (n_classes, n_classes)
    least = check_count("n_classes", ends[0], least=1)
    most = check_count("n_classes", ends[-1], least=least)

    def row(draw: Callable[..., Any]) -> NDArray[np.float64]:
        return draw_row(draw, draw(st.integers(least, most)))

    return st.composite(row)()
