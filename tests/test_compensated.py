"""Doubled precision against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdtheory.compensated import doubled_inner, doubled_residual, two_product, two_sum

# from 1e-100 to 1e100, and 0: no product or remainder leaves the normal range
moderate = st.floats(1e-100, 1e100) | st.floats(-1e100, -1e-100) | st.just(0.0)
DOUBLED = 2.0**-96  # 106 bits, less some for sums of a few dozen terms


def value(pair):
    return [
        Fraction(float(hi)) + Fraction(float(lo))
        for hi, lo in zip(*map(np.ravel, pair), strict=True)
    ]


def pairs(rng, shape):
    """Numbers with some 106 bits, of both signs."""
    hi = rng.standard_normal(shape)
    return hi, hi * 2.0**-54 * rng.uniform(-1, 1, shape)


# --- oracle


@given(moderate, moderate)
def test_a_sum_loses_nothing(a, b):
    hi, lo = two_sum(a, b)
    assert Fraction(hi) + Fraction(lo) == Fraction(a) + Fraction(b)
    assert hi == a + b


@given(moderate, moderate)
def test_a_product_loses_nothing(a, b):
    hi, lo = two_product(a, b)
    exact = Fraction(a) * Fraction(b)
    assert hi == a * b
    assert Fraction(hi) + Fraction(lo) == exact


@pytest.mark.parametrize("m", [1, 2, 3, 7, 64])
def test_an_inner_product_has_twice_the_digits(m):
    rng = np.random.default_rng(m)
    A, B = pairs(rng, (m, 3)), pairs(rng, (m, 2))
    found = value(doubled_inner(A, B))
    a, b = np.reshape(value(A), (m, 3)), np.reshape(value(B), (m, 2))
    for index, (j, k) in enumerate(np.ndindex(3, 2)):
        terms = [x * z for x, z in zip(a[:, j], b[:, k], strict=True)]
        assert abs(found[index] - sum(terms)) <= DOUBLED * sum(map(abs, terms))


def test_a_residual_has_twice_the_digits():
    rng = np.random.default_rng(0)
    X, theta = pairs(rng, (5, 4)), rng.standard_normal((4, 2))
    # the answers are the fitted values, rounded: the residual is what the rounding left
    Y = X[0] @ theta
    found = np.reshape(value(doubled_residual(Y, X, theta)), (5, 2))
    x = np.reshape(value(X), (5, 4))
    for i, j in np.ndindex(5, 2):
        terms = [Fraction(Y[i, j]), *(-x[i, k] * Fraction(theta[k, j]) for k in range(4))]
        assert abs(found[i, j] - sum(terms)) <= DOUBLED * sum(map(abs, terms))
        assert abs(found[i, j]) < 1e-14


# --- laws


def test_cancellation_costs_nothing():
    A = np.array([[1e16], [1.0], [-1e16]]), np.zeros((3, 1))
    B = np.ones((3, 1)), np.zeros((3, 1))
    assert doubled_inner(A, B) == (1.0, 0.0)


def test_arguments_are_not_written_to():
    rng = np.random.default_rng(0)
    A, B = pairs(rng, (9, 2)), pairs(rng, (9, 1))
    for array in (*A, *B):
        array.flags.writeable = False
    doubled_inner(A, B)
    doubled_residual(B[0], A, np.ones((2, 1)))
