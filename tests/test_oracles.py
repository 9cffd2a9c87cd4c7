"""The judges themselves: oracles against each other and against known values."""

from math import comb, factorial, prod, sqrt

import mpmath
import numpy as np
import pytest

from kdtheory.ledger.oracles import (
    best_point,
    grid_points,
    label_vectors,
    simplex_integral,
    simplex_rule,
    uniform_draws,
)

EXACT = 1e-13  # Gauss–Legendre is exact for polynomials of degree up to 47 in each variable
FOUND = 1e-5  # the promise of best_point
STANDARD_ERRORS = 5


# --- quadrature


@pytest.mark.parametrize("powers", [(0,), (2, 1), (0, 0, 0), (3, 0, 2), (1, 2, 0, 3)])
def test_quadrature_gives_the_moments_of_dirichlet(powers):
    integral = simplex_integral(lambda s: np.prod(s**powers, axis=1), len(powers))
    exact = prod(map(factorial, powers)) / factorial(sum(powers) + len(powers) - 1)
    assert integral == pytest.approx(exact, rel=EXACT)


def test_quadrature_agrees_with_mpmath():
    g = (0.2, 0.3, 0.5)
    ours = simplex_integral(lambda s: np.exp(s @ np.log(g)), 3)
    nested = mpmath.quad(
        lambda s: mpmath.quad(
            lambda t: g[0] ** s * g[1] ** t * g[2] ** (1 - s - t), [0, 1 - s], maxdegree=4
        ),
        [0, 1],
        maxdegree=4,
    )
    assert ours == pytest.approx(float(nested), rel=EXACT)


def test_points_of_the_rule_lie_on_the_simplex():
    for n_classes in (1, 2, 3, 4):
        points, weights = simplex_rule(n_classes, nodes=5)
        assert points.shape == (5 ** (n_classes - 1), n_classes)
        assert points.min() > 0
        assert weights.min() > 0
        np.testing.assert_allclose(points.sum(axis=1), 1, rtol=EXACT)


@pytest.mark.parametrize(("n_classes", "area"), [(2, sqrt(2)), (3, sqrt(3) / 2), (4, 1 / 3)])
def test_surface_of_the_simplex(n_classes, area):
    # a segment, an equilateral triangle and a regular tetrahedron of edge √2
    ones = simplex_integral(lambda s: np.ones(len(s)), n_classes, measure="surface")
    assert ones == pytest.approx(area, rel=EXACT)


# --- draws, grids, labels


def test_draws_are_uniform():
    s = uniform_draws(4, 20_000, np.random.default_rng(1))
    assert s.min() >= 0
    np.testing.assert_allclose(s.sum(axis=1), 1, rtol=EXACT)
    # E[s_j s_k] = (1 + δ) / (K (K + 1))
    deviations = s.T @ s / len(s) - (1 + np.eye(4)) / 20
    assert np.abs(deviations).max() < STANDARD_ERRORS * s.var() / sqrt(len(s))


@pytest.mark.parametrize(("n_classes", "steps"), [(2, 30), (3, 7), (4, 9)])
def test_grid_has_every_point_once(n_classes, steps):
    points = grid_points(n_classes, steps)
    assert len(points) == comb(steps - 1, n_classes - 1)
    assert len(np.unique(points, axis=0)) == len(points)
    assert points.min() * steps == pytest.approx(1)
    np.testing.assert_allclose(points.sum(axis=1), 1, rtol=EXACT)


def test_label_vectors_are_all_different():
    labels = list(label_vectors(3, 2))
    assert len(set(labels)) == len(labels) == 8


# --- search


@pytest.mark.parametrize("target", [(0.3, 0.7), (0.2, 0.3, 0.5), (0.01, 0.01, 0.9, 0.08)])
def test_search_finds_the_maximum(target):
    weights = np.array(target)
    best = best_point(lambda g: float(weights @ np.log(g)), len(target))
    np.testing.assert_allclose(best, weights, atol=FOUND)


def test_search_takes_the_better_of_two_maxima():
    peaks = np.array([[0.1, 0.9], [0.9, 0.1]])

    def height(g):
        squares = ((g - peaks) ** 2).sum(axis=1)
        return float(np.exp(-20 * squares) @ [1.0, 2.0])

    np.testing.assert_allclose(best_point(height, 2), peaks[1], atol=FOUND)
