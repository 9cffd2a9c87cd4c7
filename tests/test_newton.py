"""Newton's method against searches that know nothing of it, and the laws of its bounds."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from kdtheory.newton import FactoredProblem, ProductProblem, gap_bound, newton, newton_cg
from kdtheory.objectives import distillation_objective
from kdtheory.softening import log_soften

ROUNDING = 1e-9  # of F, whose parts are of order 100
SEARCH = 1e-6  # what L-BFGS leaves of F in double precision
REGULARISERS = (None, "exact")


def students(seed, *, m=60, n=4, n_classes=3, regulariser=None, temperature=1.0, l2=0.5):
    """A small task in both forms; the design has a first column of ones."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n))
    y = np.arange(m) % n_classes
    teacher = rng.dirichlet(np.ones(n_classes), size=m)
    objective = distillation_objective(
        y, teacher, trust=0.4, temperature=temperature, regulariser=regulariser
    )
    penalty = np.concatenate([[0.0], np.full(n, l2)])
    sharpness = max(1.0, 1.0 / temperature)
    design = np.column_stack([np.ones(m), X])
    factored = FactoredProblem(design, objective, penalty, sharpness=sharpness)
    products = ProductProblem(X, np.zeros(n), np.ones(n), objective, penalty, fit_intercept=True)
    return factored, products


def centred_draw(rng, shape):
    theta = rng.standard_normal(shape)
    return theta - theta.mean(axis=-1, keepdims=True)


# --- oracle


@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("temperature", [0.4, 1.0, 5.0])
def test_no_search_finds_a_smaller_value(regulariser, temperature):
    problem, _ = students(1, regulariser=regulariser, temperature=temperature)
    found = newton(problem, np.zeros(problem.shape), tol=1e-10, max_iter=50)

    def value_and_gradient(flat):
        point = problem.at(flat.reshape(problem.shape))
        return point.value, point.gradient.ravel()

    rng = np.random.default_rng(2)
    for _ in range(3):
        start = centred_draw(rng, problem.shape).ravel()
        search = minimize(value_and_gradient, start, jac=True, options={"gtol": 1e-8})
        assert found.value <= search.fun + ROUNDING
        assert search.fun - found.value <= SEARCH


def test_the_hessian_is_that_of_finite_differences():
    problem, products = students(3)
    rng = np.random.default_rng(4)
    theta, direction = centred_draw(rng, problem.shape), centred_draw(rng, problem.shape)
    step = 1e-5
    difference = (
        problem.at(theta + step * direction).gradient
        - problem.at(theta - step * direction).gradient
    ) / (2 * step)
    point = problem.at(theta)
    # central differences are off by step² times the third derivative, some 1e-8
    np.testing.assert_allclose(
        problem.factor(point).norm(direction) ** 2, (difference * direction).sum(), rtol=1e-7
    )
    np.testing.assert_allclose(
        products.hessian_product(products.at(theta), direction),
        difference,
        rtol=1e-5,
        atol=1e-5,  # products are formed in single precision
    )


# --- laws


@pytest.mark.parametrize("regulariser", REGULARISERS)
@given(seed=st.integers(0, 10**6), temperature=st.sampled_from([0.3, 1.0, 4.0]))
def test_the_bound_holds_wherever_it_is_finite(regulariser, seed, temperature):
    problem, products = students(5, regulariser=regulariser, temperature=temperature)
    best = newton(problem, np.zeros(problem.shape), tol=1e-11, max_iter=50)
    rng = np.random.default_rng(seed)
    theta = best.theta + 10.0 ** rng.uniform(-3, 0) * centred_draw(rng, problem.shape)
    here = problem.at(theta)
    factor = problem.factor(here)
    decrement = float(np.sqrt((here.gradient * factor.solve(here.gradient)).sum()))
    above = here.value - best.value
    assert above <= gap_bound(decrement, factor.reach) + ROUNDING
    assert above <= float(best.factor.bounds_near(theta, here.gradient)) + ROUNDING
    assert above <= products.curvature_bound(products.at(theta)) + ROUNDING


@given(seed=st.integers(0, 10**6))
def test_no_curvature_falls_faster_than_the_reach_allows(seed):
    problem, _ = students(6, temperature=0.5)
    rng = np.random.default_rng(seed)
    theta = centred_draw(rng, problem.shape)
    factor = problem.factor(problem.at(theta))
    direction = centred_draw(rng, problem.shape)
    direction /= factor.norm(direction)
    for t in (0.1, 1.0, 3.0):
        later = problem.factor(problem.at(theta + t * direction)).norm(direction) ** 2
        assert np.exp(-factor.reach * t) * (1 - 1e-9) <= later
        assert later <= np.exp(factor.reach * t) * (1 + 1e-9)


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_both_ways_find_the_same_minimum(regulariser):
    problem, products = students(7, regulariser=regulariser)
    start = np.zeros(problem.shape)
    one = newton(problem, start, tol=1e-12, max_iter=50)
    other = newton_cg(products, start, tol=1e-12, max_iter=50)
    assert one.settled
    assert other.settled
    np.testing.assert_allclose(other.theta, one.theta, atol=1e-6)


def test_each_newton_step_squares_the_decrement():
    problem, _ = students(8)
    decrements = []
    for max_iter in range(1, 4):
        found = newton(problem, np.zeros(problem.shape), tol=1e-300, max_iter=max_iter)
        here = problem.at(found.theta)
        step = problem.factor(here).solve(here.gradient)
        decrements.append(float(np.sqrt((here.gradient * step).sum())))
    reach = problem.factor(here).reach
    for before, after in pairwise(decrements):
        assert after <= 2 * reach * before**2 + 1e-12  # rounding of the gradient


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3.0])
def test_the_optimal_intercept_has_no_gradient(scale):
    _, products = students(9)
    rng = np.random.default_rng(10)
    theta = centred_draw(rng, products.shape)
    theta[0] *= scale
    point = products.with_optimal_intercept(products.at(theta))
    assert np.abs(point.gradient[0]).max() < 1e-9  # rounding of a sum of 60 terms
    np.testing.assert_array_equal(point.theta[1:], theta[1:])


@given(decrement=st.floats(0, 10), reach=st.floats(0, 10))
def test_the_bound_grows_with_decrement_and_reach(decrement, reach):
    bound = gap_bound(decrement, reach)
    assert bound >= decrement**2 / 2 * (1 - 1e-14)
    assert gap_bound(decrement * 1.01, reach) >= bound * (1 - 1e-12)
    assert gap_bound(decrement, reach * 1.01) >= bound * (1 - 1e-12)


def test_many_points_are_evaluated_as_one_is():
    problem, _ = students(11)
    rng = np.random.default_rng(12)
    thetas = np.stack([centred_draw(rng, problem.shape) for _ in range(3)])
    y = np.arange(60) % 3
    teacher = rng.dirichlet(np.ones(3), size=60)
    objectives = [distillation_objective(y, teacher, trust=trust) for trust in (0.0, 0.3, 1.0)]
    blends = [(1 - trust) * np.eye(3)[y] + trust * teacher for trust in (0.0, 0.3, 1.0)]
    values, gradients = problem.at_many(thetas, distillation_objective(np.concatenate(blends)))
    for j, objective in enumerate(objectives):
        alone = FactoredProblem(problem.design, objective, problem.penalty).at(thetas[j])
        np.testing.assert_allclose(values[j], alone.value, rtol=1e-12)
        np.testing.assert_allclose(gradients[j], alone.gradient, atol=1e-11)


# --- limits


def test_the_series_of_the_bound_meets_the_closed_form():
    from mpmath import mp, mpf

    mp.dps = 40
    for product in (1e-8, 9.9e-3, 1.1e-2, 0.5, 1 - 1e-9):
        u = mpf(2.0 * (product / 2.0))
        exact = (u + (1 - u) * mp.log(1 - u)) / mpf(2.0) ** 2
        assert abs(gap_bound(product / 2.0, 2.0) / float(exact) - 1) < 1e-12


def test_no_bound_where_the_reach_is_too_long():
    assert gap_bound(1.0, 1.0) == np.inf
    assert gap_bound(2.0, 5.0) == np.inf


def test_dependent_columns_give_the_minimum_but_no_bound():
    problem, _ = students(13, l2=0.0)
    doubled = FactoredProblem(
        np.column_stack([problem.design, problem.design[:, 1]]),
        problem.objective,
        np.zeros(problem.shape[0] + 1),
    )
    one = newton(problem, np.zeros(problem.shape), tol=1e-10, max_iter=50)
    two = newton(doubled, np.zeros(doubled.shape), tol=1e-10, max_iter=50)
    assert one.settled
    assert abs(one.value - two.value) < ROUNDING
    # which of its eigenvalues are 0 and which are rounding, a Hessian cannot tell
    assert not doubled.factor(doubled.at(two.theta)).resolved
    assert (two.gap, two.bound, two.settled) == (np.inf, "none", False)


def test_where_curvature_is_negative_steps_go_down():
    rng = np.random.default_rng(14)
    X = np.column_stack([np.ones(40), rng.standard_normal((40, 2))])
    y, teacher = np.arange(40) % 3, rng.dirichlet(np.ones(3), size=40)
    objective = distillation_objective(y, teacher, trust=0.9, regulariser="printed")
    problem = FactoredProblem(X, objective, np.zeros(3))
    start = 5 * centred_draw(rng, problem.shape)
    assert not problem.factor(problem.at(start)).convex
    found = newton(problem, start, tol=1e-10, max_iter=200)
    assert found.settled
    assert found.value < problem.at(start).value
    assert problem.factor(problem.at(found.theta)).convex


def test_values_are_those_of_the_definition():
    problem, _ = students(15, temperature=2.0)
    rng = np.random.default_rng(16)
    theta = centred_draw(rng, problem.shape)
    z = problem.design @ theta
    y = np.arange(60) % 3
    rng = np.random.default_rng(15)
    rng.standard_normal((60, 4))
    teacher = rng.dirichlet(np.ones(3), size=60)
    labels = -0.6 * log_soften(z)[np.arange(60), y].sum()
    answers = -0.4 * (teacher * log_soften(z, 2.0)).sum()
    expected = labels + answers + 0.25 * (theta[1:] ** 2).sum()
    assert abs(problem.at(theta).value - expected) < ROUNDING
