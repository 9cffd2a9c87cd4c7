"""Intervals over runs and test objects hold what they say, and widen with what is compared."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import norm

from kdtheory.experiments.intervals import crossed_half_width, half_width

MONTE_CARLO = 4  # standard errors; 6e-5 by chance
N = 2000


def crossed(rng):
    """Runs and objects with effects of their own and together, around 0.7."""
    runs, objects = rng.normal(0, 0.3, (8, 1)), rng.normal(0, 2, (1, 60))
    return 0.7 + runs + objects + rng.normal(0, 1, (8, 60))


def held(n_comparisons):
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(N):
        values = crossed(rng)
        variance = values.mean(axis=0).var(ddof=1) / 60
        half = crossed_half_width(values.mean(axis=1), variance, n_comparisons=n_comparisons)
        inside.append(abs(values.mean() - 0.7) <= half)
    return np.mean(inside)


# --- oracle


def test_an_interval_holds_the_mean_with_95_percent_at_least():
    assert held(1) > 0.95 - MONTE_CARLO * np.sqrt(0.95 * 0.05 / N)


def test_the_objects_matter():
    """Over the runs alone the interval misses the mean far more often than it says."""
    rng = np.random.default_rng(0)
    draws = [crossed(rng).mean(axis=1) for _ in range(200)]
    assert np.mean([abs(v.mean() - 0.7) <= half_width(v) for v in draws]) < 0.9


# --- laws


def test_more_comparisons_make_it_wider():
    assert held(20) > held(1)


# --- limits


def test_without_variance_of_objects_it_is_the_interval_over_runs():
    values = np.array([1.0, 2.0, 4.0])
    assert_allclose(crossed_half_width(values, 0.0), half_width(values), rtol=1e-14)


def test_a_single_run_has_the_objects_variance_alone():
    assert_allclose(crossed_half_width(np.ones(1), 4.0), 2 * norm.ppf(0.975), rtol=1e-14)
