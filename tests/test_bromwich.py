"""The contour rule: its error bound, evaluated, and the integral in cases with a closed form."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import gammaln, logsumexp

from kdtheory import bromwich
from kdtheory.bromwich import ANGLE, OPENING, SADDLE_SLACK

BOUND = 1e-16  # what the module's docstring promises for truncation and aliasing together
ROUNDING = 2e-14  # a few dozen roundings of complex products and of a logarithm

RHO = np.concatenate([[1e-3], np.linspace(0.02, 1, 50)])[:, None]


def worst_exponent(eta):
    """max over ρ of χ(ρ; η) = (ρ Re η − log|1 + ρη|) / ρ², the growth of one class."""
    return ((RHO * eta.real - np.log(np.abs(1 + RHO * eta))) / RHO**2).max(axis=0)


def hyperbola(v, shift):
    """The contour moved by `shift` in the imaginary direction of v, and its speed."""
    angle = ANGLE + shift
    eta = OPENING * (np.sin(ANGLE) - np.cosh(v) * np.sin(angle)) + (
        1j * OPENING * np.sinh(v) * np.cos(angle)
    )
    speed = OPENING * np.hypot(np.sinh(v) * np.sin(angle), np.cosh(v) * np.cos(angle))
    return eta, speed


def error_bound(effective):
    """Truncation plus aliasing, relative to F, from the inequalities in the module's docstring."""
    size = bromwich.rule_size(np.array([effective]))
    end = float(bromwich.rule_range(np.array([effective]))[0])
    step = end / size
    v = np.linspace(0, 2 * end, 801)

    def log_integrand(shift):
        eta, speed = hyperbola(v, shift)
        slack = SADDLE_SLACK * np.abs(eta.real)
        return np.log(2 * speed * v[1]) + effective * worst_exponent(eta) + slack

    tail = np.exp(logsumexp(log_integrand(0.0)[v >= end - step]))
    inward = np.geomspace(1e-3, np.pi / 4 - ANGLE, 40)
    inward = inward[OPENING * (np.sin(ANGLE + inward) - np.sin(ANGLE)) < 0.98]  # before the pole
    outward = -np.geomspace(1e-3, 0.98 * ANGLE, 40)
    aliasing = sum(
        np.exp(min(logsumexp(log_integrand(x)) - 2 * np.pi * abs(x) / step for x in shifts))
        for shifts in (inward, outward)
    )
    least = 2 * np.pi / (np.e * np.sqrt(12 * effective))  # of F, in units of f(z₀) z₀ / 2π
    # 1 / (exp(x) − 1) ≤ 1.001 exp(−x) for the x ≥ 7 in use
    return (tail + 1.001 * aliasing) / least


@pytest.mark.parametrize("effective", [*np.geomspace(1, 10, 19), 20, 50, 100, 300, 1e3, 1e4, 1e5])
def test_the_rule_keeps_its_error_bound_for_every_effective_number(effective):
    assert error_bound(effective) < BOUND


def test_the_integrand_never_grows_in_the_sector_of_slope_above_one():
    for angle in np.linspace(np.pi / 2, 3 * np.pi / 4, 40):
        exponent = worst_exponent(np.geomspace(1e-3, 1e3, 200) * np.exp(1j * angle))
        assert exponent.max() < 1e-9  # one ulp over the least ρ²


def test_a_coarser_rule_breaks_the_bound(monkeypatch):
    monkeypatch.setattr(bromwich, "rule_size", lambda _: 40)
    assert error_bound(1.0) > 1e3 * BOUND


@given(
    st.lists(st.floats(0, 1e12) | st.just(0.0) | st.floats(0, 10), min_size=1, max_size=40),
)
@example([0.0, 2.0**-52])
def test_the_saddle_solves_its_equation(depths):
    c = np.array([[0.0, *depths]])
    z, r, effective = bromwich.saddle(c)
    assert 1 <= z[0] <= c.size * (1 + 1e-12)
    assert 0 <= z[0] * (r.sum() - 1) + 1e-12 <= SADDLE_SLACK + 2e-12
    assert 1 - 1e-12 <= effective[0] <= z[0] * (1 + SADDLE_SLACK)


@pytest.mark.parametrize("n_classes", [1, 2, 7, 60, 5000])
def test_equal_depths_give_the_volume_of_the_simplex(n_classes):
    value = bromwich.log_integral(np.zeros((1, n_classes)))[0]
    assert_allclose(value, -gammaln(n_classes), rtol=ROUNDING, atol=ROUNDING)


@given(st.floats(1e-8, 1e300))
def test_two_classes_give_the_integral_of_one_exponential(c):
    value = bromwich.log_integral(np.array([[0.0, c]]))[0]
    assert_allclose(value, np.log(-np.expm1(-c)) - np.log(c), rtol=0, atol=ROUNDING)


def test_deep_classes_act_apart():
    depths = np.array([[0.0, 1e3, 1e30, 1e300]])
    value = bromwich.log_integral(depths)[0]
    assert_allclose(value, -np.log(depths[0, 1:]).sum(), rtol=1e-15)
    assert_allclose(bromwich.mean(depths)[0, 1:], 1 / depths[0, 1:], rtol=ROUNDING)
    covariance = bromwich.covariance(depths)[0]
    assert_allclose(np.diag(covariance)[1:], depths[0, 1:] ** -2.0, rtol=ROUNDING)
    assert_allclose(covariance[0, 0], 1e-6, rtol=ROUNDING)
