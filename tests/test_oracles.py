"""The judges themselves: oracles against each other and against known values."""

from math import comb, factorial, prod, sqrt

import mpmath
import numpy as np
import pytest

from kdtheory.ledger.oracles import (
    best_point,
    distillation_loss,
    grid_points,
    label_vectors,
    least_point,
    simplex_integral,
    simplex_rule,
    uniform_draws,
)

EXACT = 1e-13  # Gauss–Legendre is exact for polynomials of degree up to 47 in each variable
FOUND = 1e-5  # the promise of best_point
LEAST = 1e-7  # the promise of least_point
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


@pytest.mark.parametrize("size", [1, 2, 5])
def test_least_point_of_a_quadratic_function_solves_its_equations(size):
    rng = np.random.default_rng(size)
    root, target = rng.normal(size=(size + 2, size)), rng.normal(size=size)
    found = least_point(lambda w: float(((root @ (w - target)) ** 2).sum()), size)
    np.testing.assert_allclose(found, target, atol=LEAST)


def test_least_point_of_a_function_that_is_not_quadratic():
    # minimum of e^w − 2w at log 2
    found = least_point(lambda w: float(np.exp(w[0]) - 2 * w[0]), 1)
    np.testing.assert_allclose(found, [np.log(2)], atol=LEAST)


# --- the distillation loss


def test_loss_is_worked_out_by_hand():
    # (3 − 1)²·2 outside I; on I ¾·2·(5 − 2)² and ¼·10·(4 − 2)²
    loss = distillation_loss(
        np.array([1.0, 2.0]),
        np.array([3.0, 5.0]),
        np.array([9.0, 4.0]),
        [False, True],
        0.25,
        2.0,
        10.0,
    )
    assert loss == 8 + 13.5 + 10


def test_weights_may_differ_between_objects():
    g, y, s = np.zeros(3), np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    inside = np.array([True, False, True])
    omega, omega_s = np.array([1.0, 10.0, 100.0]), np.array([2.0, 3.0, 4.0])
    loss = distillation_loss(g, y, s, inside, 0.5, omega, omega_s)
    each = [
        distillation_loss(g[i : i + 1], y[i : i + 1], s[i : i + 1], inside[i : i + 1], 0.5, *w)
        for i, w in enumerate(zip(omega, omega_s, strict=True))
    ]
    assert loss == sum(each) == 0.5 * (1 + 32) + 40 + 0.5 * (900 + 144)


def test_answers_outside_are_not_looked_at():
    g, y = np.zeros(1), np.ones(1)
    assert distillation_loss(g, y, np.array([np.nan]), [False], 0.5, 1.0, 1.0) == 1
