"""Recalibration and the top-label error: against scipy's optimum and a loop, laws, limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from kdtheory.experiments import calibration
from kdtheory.experiments.calibration import recalibration, top_label_error
from kdtheory.softening import log_soften, soften

EPS = 1e-12  # rounding of well-conditioned sums, and where Newton's method stops
FOUND = 1e-5  # of a minimiser: a square root of that, over a curvature of 0.01 or more
JUDGED = 1e-5  # of a minimiser of scipy's, whose gradient ends at 1e-9 beside curvatures of 1e-2


def cross_entropy(log_probs, S):
    return -(S * log_probs).sum(axis=1).mean()


# --- oracles


@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_recalibration_is_the_least_of_its_family(K, seed):
    rng = np.random.default_rng(seed)
    S = rng.dirichlet(np.ones(K), 60)
    log_probs = log_soften(np.log(rng.dirichlet(np.ones(K), 60)) + 0.7 * np.log(S))

    def loss(b):
        return cross_entropy(log_soften(b[0] * log_probs + [*b[1:], 0.0]), S)

    judge = minimize(loss, np.eye(K)[0], jac="3-point", method="BFGS", options={"gtol": 1e-9})
    slope, value = recalibration(log_probs, S)
    assert_allclose(slope, judge.x[0], rtol=JUDGED)
    assert_allclose(value, judge.fun, rtol=JUDGED**2)


def test_top_label_error_matches_a_loop():
    rng = np.random.default_rng(5)
    confidence, right = rng.random(100), rng.random(100)
    order = sorted(range(100), key=lambda i: confidence[i])
    sizes = [7] * 10 + [6] * 5
    total, at = 0.0, 0
    for size in sizes:
        group = order[at : at + size]
        total += abs(sum(confidence[i] - right[i] for i in group))
        at += size
    assert_allclose(top_label_error(confidence, right, n_groups=15), total / 100, rtol=EPS)


# --- laws


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 20), st.floats(-2, 2))
def test_recalibration_undoes_slope_and_intercepts(seed, slope, shift):
    z = np.random.default_rng(seed).standard_normal((200, 3))
    S = soften(z)
    found, value = recalibration(log_soften(slope * z + [shift, -0.2, 0.0]), S)
    assert_allclose(found, 1 / slope, rtol=FOUND)
    assert_allclose(value, cross_entropy(np.log(S), S), rtol=EPS)


@given(st.integers(0, 2**32 - 1))
def test_recalibration_never_costs(seed):
    rng = np.random.default_rng(seed)
    S, g = (rng.dirichlet(np.ones(4), 40) for _ in range(2))
    _, value = recalibration(np.log(g), S)
    assert cross_entropy(np.log(S), S) <= value <= cross_entropy(np.log(g), S)


def test_true_probabilities_are_calibrated():
    S = np.random.default_rng(1).dirichlet(np.ones(3), 90)
    assert_allclose(recalibration(np.log(S), S), (1, cross_entropy(np.log(S), S)), rtol=EPS)
    best = S.max(axis=1)
    assert top_label_error(best, best, n_groups=15) == 0


def test_one_group_compares_the_means():
    confidence, right = np.random.default_rng(2).random((2, 30))
    found = top_label_error(confidence, right, n_groups=1)
    assert_allclose(found, abs(confidence.mean() - right.mean()), rtol=EPS)


# --- limits


def test_recalibration_of_a_faint_student_does_not_overshoot():
    z = np.random.default_rng(4).standard_normal((200, 3))
    slope, _ = recalibration(log_soften(z / 100), soften(z))
    assert_allclose(slope, 100, rtol=FOUND)


def test_search_for_a_descent_ends_where_rounding_hides_it(monkeypatch):
    # asked for more than doubles hold, the steps stop descending: once this search had no end
    monkeypatch.setattr(calibration, "ENOUGH", -1.0)
    monkeypatch.setattr(calibration, "SUFFICIENT", 2.0)  # no convex function falls by that much
    z = np.random.default_rng(6).standard_normal((50, 3))
    log_probs, S = log_soften(2 * z), soften(z)
    slope, value = recalibration(log_probs, S)
    assert (slope, value) == (1, pytest.approx(cross_entropy(log_probs, S), rel=EPS))


# --- bad input


def test_student_who_says_the_same_of_all_is_refused():
    same = np.log(np.full((4, 2), 0.5))
    with pytest.raises(np.linalg.LinAlgError):
        recalibration(same, np.array([[0.5, 0.5], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]]))
