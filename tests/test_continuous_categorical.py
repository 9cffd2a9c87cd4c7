"""The continuous categorical distribution: oracle, laws, limits, bad input."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import dblquad, quad
from scipy.special import logsumexp

from kdtheory import ContinuousCategorical, log_normaliser, printed_constant, testing
from kdtheory import continuous_categorical as module
from kdtheory.continuous_categorical import ConvergenceError, log_printed_constant

ROUNDING = 1e-12  # of sums and quotients of quantities that are right to about 1e-15
QUADRATURE = 1e-8  # of scipy's rules over two dimensions
STANDARD_ERRORS = 5.0  # a simulated mean is further off once in two million times
DRAWS = 40_000

logits = testing.logits(n_classes=(2, 6), max_spread=40.0, max_offset=100.0)


def grid_points(n_classes, rng, n=50):
    return rng.dirichlet(np.ones(n_classes), n)


# --- oracle


@pytest.mark.parametrize("measure", ["coordinate", "surface"])
@pytest.mark.parametrize("probs", [[0.2, 0.3, 0.5], [1 / 3] * 3, [1e-6, 0.5, 0.5 - 1e-6]])
def test_the_density_integrates_to_one_over_the_simplex(probs, measure):
    distribution = ContinuousCategorical(probs=probs, measure=measure)

    def density(t, s):
        return np.exp(distribution.log_prob([s, t, 1 - s - t]))

    area = np.sqrt(3) if measure == "surface" else 1.0  # surface over coordinate measure
    total = area * dblquad(density, 0, 1, 0, lambda s: 1 - s, epsabs=1e-10)[0]
    assert_allclose(total, 1, rtol=QUADRATURE)


def test_entropy_and_divergence_are_the_expectations_they_name():
    p = ContinuousCategorical(probs=[0.2, 0.3, 0.5])
    q = ContinuousCategorical(probs=[0.6, 0.3, 0.1])

    def expect(value):
        def integrand(t, s):
            point = [s, t, 1 - s - t]
            return np.exp(p.log_prob(point)) * value(point)

        return dblquad(integrand, 0, 1, 0, lambda s: 1 - s, epsabs=1e-10)[0]

    assert_allclose(p.entropy(), expect(lambda s: -p.log_prob(s)), rtol=QUADRATURE)
    ratio = expect(lambda s: p.log_prob(s) - q.log_prob(s))
    assert_allclose(p.kl_divergence(q), ratio, rtol=QUADRATURE)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_marginal_density_integrates_to_its_distribution_function(k):
    distribution = ContinuousCategorical(logits=[0.0, -2.0, 3.0, 3.0])
    for end in (0.0, 0.1, 0.5, 1.0):
        area = quad(lambda t: distribution.marginal_pdf(t, k), 0, end, epsabs=1e-12)[0]
        assert_allclose(distribution.marginal_cdf(end, k), area, atol=1e-10)
    mean = quad(lambda t: t * distribution.marginal_pdf(t, k), 0, 1, epsabs=1e-12)[0]
    assert_allclose(distribution.mean()[k], mean, atol=1e-10)


@pytest.mark.parametrize(
    "row", [[0.0, 0.0, 0.0], [1.0, -2.0, 3.0], [0.0, 0.0, 50.0], [0.0, -700.0, -1e4, 0.0], [2.0]]
)
def test_draws_have_the_exact_moments_and_marginals(row):
    distribution = ContinuousCategorical(logits=row)
    draws = distribution.sample(DRAWS, rng=np.random.default_rng(5))
    assert draws.shape == (DRAWS, len(row))
    assert draws.min() >= 0
    assert_allclose(draws.sum(axis=1), 1, rtol=1e-14)
    covariance = distribution.covariance()
    error = np.sqrt(np.diag(covariance) / DRAWS)
    assert np.all(np.abs(draws.mean(axis=0) - distribution.mean()) <= STANDARD_ERRORS * error)
    if len(row) == 1:
        return
    for k in range(len(row)):
        median = np.median(draws[:, k])
        half = distribution.marginal_cdf(median, k)
        assert abs(half - 0.5) < STANDARD_ERRORS * 0.5 / np.sqrt(DRAWS)
    centred = draws - distribution.mean()
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(axis=0) / np.sqrt(DRAWS)
    assert np.all(np.abs(products.mean(axis=0) - covariance) <= STANDARD_ERRORS * error)


def test_a_batch_is_sampled_row_by_row():
    rng = np.random.default_rng(8)
    distribution = ContinuousCategorical(logits=rng.normal(size=(2, 1500, 4)) * 5)
    draws = distribution.sample((3, 2), rng=rng)
    assert draws.shape == (3, 2, 2, 1500, 4)
    variance = np.einsum("...kk->...k", distribution.covariance())
    z = (draws - distribution.mean()) / np.sqrt(variance)
    n = z[..., 0].size
    assert np.all(np.abs(z.reshape(-1, 4).mean(axis=0)) < STANDARD_ERRORS / np.sqrt(n))


# --- laws


@given(logits, st.randoms(use_true_random=False))
def test_only_differences_of_logits_matter(row, random):
    p = ContinuousCategorical(logits=row)
    q = ContinuousCategorical(logits=row + 2.0**10)
    points = grid_points(len(row), np.random.default_rng(random.randrange(99)))
    assert_allclose(p.log_prob(points), q.log_prob(points), atol=1e-9)
    assert_allclose(p.entropy(), q.entropy(), atol=1e-9)


@given(testing.simplex_points(n_classes=(2, 6), boundary=False))
def test_probs_are_the_softmax_of_the_logits_and_not_the_mean(probs):
    p = ContinuousCategorical(probs=probs)
    assert_allclose(np.exp(p.logits - logsumexp(p.logits)), probs, rtol=ROUNDING)
    constant = np.exp(-log_normaliser(np.log(probs)))
    vertex = np.eye(len(probs))
    assert_allclose(np.exp(p.log_prob(vertex)) / constant, probs, rtol=1e-9)  # C ∏ g^s at e_k


@given(logits)
def test_mean_minimises_the_expected_log_density(row):
    p = ContinuousCategorical(logits=row)
    mean = p.mean()
    own = (row * mean).sum() - log_normaliser(row)
    for k in range(len(row)):
        other = row.copy()
        other[k] += 0.1
        assert (other * mean).sum() - log_normaliser(other) <= own + 1e-10


@given(logits)
def test_entropy_is_at_most_that_of_the_uniform_distribution(row):
    flat = ContinuousCategorical(logits=np.zeros(len(row))).entropy()
    assert ContinuousCategorical(logits=row).entropy() <= flat + ROUNDING


@given(logits)
def test_the_surface_measure_only_moves_the_log_density(row):
    p = ContinuousCategorical(logits=row)
    q = ContinuousCategorical(logits=row, measure="surface")
    centre = np.full(len(row), 1 / len(row))
    half = 0.5 * np.log(len(row))
    assert_allclose(p.log_prob(centre) - q.log_prob(centre), half, atol=ROUNDING)
    assert_allclose(q.entropy() - p.entropy(), half, atol=ROUNDING)
    assert q.kl_divergence(p) == 0


@given(logits, st.integers(0, 2**32 - 1), st.integers(-12, 1))
def test_divergence_is_positive_and_second_order_in_the_gap(row, seed, power):
    way = np.random.default_rng(seed).normal(size=len(row))
    p = ContinuousCategorical(logits=row)
    near = ContinuousCategorical(logits=p.logits - p.logits.max() + 10.0**power * way)
    gap = (near.logits - near.logits.max()) - (p.logits - p.logits.max())
    quadratic = 0.5 * gap @ p.covariance() @ gap
    assume(quadratic > 1e-290)
    divergence = p.kl_divergence(near)
    assert divergence > 0
    if power <= -3:  # third-order terms are at most the range of the gap, relative
        assert_allclose(divergence, quadratic, rtol=10 * np.ptp(gap) + 1e-9)


@given(logits, st.floats(-50, 50))
def test_divergence_is_zero_for_logits_that_differ_by_a_constant(row, constant):
    p = ContinuousCategorical(logits=row)
    assert p.kl_divergence(ContinuousCategorical(logits=row + constant)) <= 1e-24
    assert p.kl_divergence(p) == 0


@pytest.mark.parametrize("gap", [0.499, 0.501, 8.0])
def test_divergence_is_the_bregman_divergence_of_log_z_without_a_seam(gap):
    row = np.array([0.3, -1.0, 0.7, 0.0])
    way = np.array([0.0, 1.0, 0.4, 0.2])
    p = ContinuousCategorical(logits=row)
    forms = p.kl_divergence(ContinuousCategorical(logits=row + gap * way))
    direct = log_normaliser(row + gap * way) - log_normaliser(row) - gap * way @ p.mean()
    assert_allclose(forms, direct, rtol=1e-14, atol=5e-15)


@given(logits)
def test_distribution_function_rises_from_zero_to_one(row):
    p = ContinuousCategorical(logits=row)
    t = np.linspace(0, 1, 33)
    for k in range(len(row)):
        cdf = p.marginal_cdf(t, k)
        assert cdf[0] == 0
        assert_allclose(cdf[-1], 1, rtol=0, atol=ROUNDING)
        assert np.all(np.diff(cdf) >= -ROUNDING)


@given(testing.simplex_points(n_classes=(1, 6), boundary=False))
def test_the_fit_reproduces_the_sample_mean(mean):
    assume(mean.min() > 1e-12)
    fit = ContinuousCategorical.fit([mean])
    assert_allclose(fit.mean(), mean / mean.sum(), rtol=1e-10)
    assert fit.logits.max() == 0


def test_fit_recovers_the_logits_of_many_draws():
    truth = np.array([-3.0, 0.0, -1.0, -8.0])
    draws = ContinuousCategorical(logits=truth).sample(DRAWS, rng=np.random.default_rng(1))
    fit = ContinuousCategorical.fit(draws)
    shift = fit.logits - fit.logits[1] - truth
    information = ContinuousCategorical(logits=truth).covariance()
    free = [0, 2, 3]
    error = np.sqrt(np.diag(np.linalg.inv(information[np.ix_(free, free)])) / DRAWS)
    assert np.all(np.abs(shift[free]) <= STANDARD_ERRORS * error)


def test_weights_of_a_fit_repeat_samples():
    points = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    weighted = ContinuousCategorical.fit(points, weights=[2, 0, 3])
    repeated = ContinuousCategorical.fit(points[[0, 0, 2, 2, 2]])
    assert_allclose(weighted.logits, repeated.logits, atol=ROUNDING)


def test_newton_converges_quadratically_in_the_end(monkeypatch):
    steps = []
    gradient = module.normaliser_gradient

    def watched(a):
        value = gradient(a)
        steps.append(value)
        return value

    target = np.array([0.05, 0.15, 0.8])
    monkeypatch.setattr(module, "normaliser_gradient", watched)
    ContinuousCategorical.fit([target])
    errors = [np.abs(value - target).max() for value in steps]
    assert len(errors) <= 8
    late = [(a, b) for a, b in pairwise(errors) if 1e-7 < a < 1e-1]
    assert late
    assert all(b <= 50 * a * a for a, b in late)


def test_a_seed_repeats_its_draws():
    p = ContinuousCategorical(logits=[0.0, 1.0, 2.0])
    first, second = (p.sample(5, rng=np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, second)


@given(testing.simplex_points(n_classes=(2, 6), boundary=False))
def test_the_printed_constant_is_positive_and_finite_but_not_the_normaliser(probs):
    assume(probs.max() < 1)
    printed = printed_constant(probs)
    assert np.isfinite(printed)
    assert_allclose(np.log(np.maximum(printed, 1e-300)), np.maximum(
        log_printed_constant(np.log(probs)), np.log(1e-300)), rtol=1e-9)  # fmt: skip
    # far below: K = 2 gives the largest product, 0.1 at most
    assert printed * np.exp(log_normaliser(np.log(probs))) < 0.1


# --- limits


def test_the_boundary_belongs_to_the_simplex_and_the_outside_does_not():
    p = ContinuousCategorical(probs=[0.2, 0.3, 0.5])
    inside = p.log_prob(np.eye(3))
    assert_allclose(inside, np.log([0.2, 0.3, 0.5]) - log_normaliser(p.logits), rtol=1e-14)
    outside = [[0.5, 0.6, -0.1], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [2.0, 0.0, -1.0]]
    assert np.all(p.log_prob(outside) == -np.inf)


def test_float32_points_may_miss_the_sum_by_their_own_rounding():
    p = ContinuousCategorical(logits=np.array([0.1, 0.2, 0.3], dtype=np.float32))
    third = np.full(3, 0.3333, dtype=np.float32)
    third[0] = 1 - 2 * third[1]
    assert np.isfinite(p.log_prob(third))
    assert p.mean().dtype == np.float32


def test_the_representation_makes_an_equal_distribution():
    p = ContinuousCategorical(logits=[0.0, 1.5], measure="surface")
    text = repr(p).replace("array(", "np.array(")
    same = eval(text, {"np": np, "ContinuousCategorical": ContinuousCategorical})
    assert np.array_equal(same.logits, p.logits)
    assert same.measure == p.measure


def test_a_huge_offset_loses_no_digit():
    a = np.array([0.0, -1.0, 2.5])
    p, q = ContinuousCategorical(logits=a), ContinuousCategorical(logits=a + 2.0**40)
    point = [0.1, 0.2, 0.7]
    assert p.log_prob(point) == q.log_prob(point)
    assert p.entropy() == q.entropy()


def test_printed_constant_has_the_values_of_the_paper_s_formula():
    # by hand: (−1)² 2 / 2 · 0.3 log 0.3 · 0.7 log 0.7
    assert_allclose(printed_constant([0.3, 0.7]), 0.21 * np.log(0.3) * np.log(0.7), rtol=1e-14)
    batch = printed_constant([[0.3, 0.7], [0.5, 0.5]])
    assert_allclose(batch[1], (0.5 * np.log(0.5)) ** 2, rtol=1e-14)
    assert log_printed_constant([0.0]) == -np.inf


# --- bad input

THREE = ContinuousCategorical(logits=[0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: ContinuousCategorical(), ValueError, "exactly one of `logits` and `probs`"),
        (
            lambda: ContinuousCategorical(logits=[0.0], probs=[1.0]),
            ValueError,
            "exactly one of `logits` and `probs`",
        ),
        (
            lambda: ContinuousCategorical(probs=[0.5, 0.6]),
            ValueError,
            r"`probs` must sum to 1 over the last axis, got 1.1 \(off by 0.1\)",
        ),
        (
            lambda: ContinuousCategorical(probs=[-0.5, 1.5]),
            ValueError,
            "`probs` must not be negative, got -0.5",
        ),
        (
            lambda: ContinuousCategorical(probs=[0.0, 1.0]),
            ValueError,
            "`probs` must be positive in every class, got 0.0",
        ),
        (
            lambda: ContinuousCategorical(logits=[0.0, np.nan]),
            ValueError,
            r"`logits` must be finite, got nan at index \(1\)",
        ),
        (
            lambda: ContinuousCategorical(logits=[1e308, -1e308]),
            ValueError,
            "`logits` must have a finite range in each row, got inf",
        ),
        (
            lambda: ContinuousCategorical(logits=[0.0], measure="area"),
            ValueError,
            "`measure` must be 'coordinate' or 'surface', got 'area'",
        ),
        (
            lambda: THREE.log_prob([0.5, 0.5]),
            ValueError,
            r"`s` must have 3 classes in its last axis, got shape \(2,\)",
        ),
        (lambda: THREE.log_prob([np.nan, 0, 1]), ValueError, "`s` must be finite, got nan"),
        (
            lambda: THREE.kl_divergence("q"),
            TypeError,
            "`other` must be a ContinuousCategorical, got str",
        ),
        (
            lambda: THREE.kl_divergence(ContinuousCategorical(logits=[0.0, 1.0])),
            ValueError,
            "`other` must have 3 classes, got 2",
        ),
        (lambda: THREE.marginal_pdf(0.5, 3), ValueError, "`k` must be at most 2, got 3"),
        (lambda: THREE.marginal_cdf(0.5, 1.5), TypeError, "`k` must be an integer, got 1.5"),
        (
            lambda: ContinuousCategorical(logits=[0.0]).marginal_pdf(0.5, 0),
            ValueError,
            "a single class has no marginal density",
        ),
        (lambda: THREE.sample(3, rng=0), TypeError, "`rng` must be a numpy.random.Generator"),
        (
            lambda: THREE.sample(-1, rng=np.random.default_rng()),
            ValueError,
            "`size` must be at least 0, got -1",
        ),
        (
            lambda: ContinuousCategorical(logits=[0.0, 1e9]).sample(rng=np.random.default_rng()),
            ValueError,
            r"`logits` must have a range below 3.36e\+07 to sample 2 classes, got 1000000000.0",
        ),
        (
            lambda: ContinuousCategorical.fit([[0.5, 0.4]]),
            ValueError,
            r"`samples` must sum to 1 over the last axis, got 0.9 \(off by -0.1\)",
        ),
        (
            lambda: ContinuousCategorical.fit([0.5, 0.5]),
            ValueError,
            r"`samples` must have shape \(n, K\)",
        ),
        (
            lambda: ContinuousCategorical.fit(np.zeros((0, 3))),
            ValueError,
            r"`samples` must have shape \(n, K\) with n at least 1, got shape \(0, 3\)",
        ),
        (
            lambda: ContinuousCategorical.fit([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
            ValueError,
            "the estimate diverges: class 2 has mean 0 in `samples`",
        ),
        (
            lambda: ContinuousCategorical.fit([[0.5, 0.5]], weights=[1.0, 2.0]),
            ValueError,
            "`weights` must have one entry for each of 1 samples, got 2",
        ),
        (
            lambda: ContinuousCategorical.fit([[0.5, 0.5]], weights=[0.0]),
            ValueError,
            "`weights` must be at least 0 and not all 0",
        ),
        (
            lambda: printed_constant([0.2, 0.2]),
            ValueError,
            r"`probs` must sum to 1 over the last axis, got 0.4 \(off by -0.6\)",
        ),
        (
            lambda: log_printed_constant([0.5, -1.0]),
            ValueError,
            "`log_probs` must not be above 0, got 0.5",
        ),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_fit_without_certificate_says_so(monkeypatch):
    monkeypatch.setattr(module, "NEWTON_STEPS", 1)
    with pytest.raises(ConvergenceError, match="ended after 1 Newton steps with decrement"):
        ContinuousCategorical.fit([[0.05, 0.15, 0.8]])
