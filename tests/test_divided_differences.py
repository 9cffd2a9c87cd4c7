"""The log divided difference of exp: oracle, laws, limits, bad input."""

import importlib
import json
import tracemalloc
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from normaliser_cases import cases, make_logits
from numpy.testing import assert_allclose
from scipy.integrate import dblquad
from scipy.special import gammaln

from kdtheory import divided_differences, testing
from kdtheory.divided_differences import (
    COMPILED_FROM,
    SERIES_CLASSES,
    SERIES_RANGE,
    TAIL,
    log_normaliser,
    normaliser_gradient,
    normaliser_hessian,
)

ACCURACY = 1e-13  # the promise: absolute error of log Z over max(1, |log Z|)
ROUNDING = 2e-14  # of the recursions, far above what is measured (1e-15)
DERIVATIVE = 1e-13  # rounding of a quotient of two sums and of its products
FLOAT32 = 1e-5  # the promise for float32 in and out

REFERENCE = json.loads(Path(__file__).with_name("normaliser_reference.json").read_text())


def relative_error(value, reference):
    """Error in units of the promise, max(1, |log Z|), without rounding the reference."""
    with mpmath.workdps(40):
        exact = mpmath.mpf(reference)
        return float(abs(mpmath.mpf(float(value)) - exact) / max(1, abs(exact)))


# --- oracle


def test_the_reference_table_holds_every_case():
    assert [(row["K"], row["spread"], row["kind"]) for row in REFERENCE] == list(cases())


@pytest.mark.parametrize("n_classes", sorted({row["K"] for row in REFERENCE}))
def test_log_normaliser_agrees_with_mpmath(n_classes):
    rows = [row for row in REFERENCE if row["K"] == n_classes]
    logits = np.array([make_logits(row["K"], row["spread"], row["kind"]) for row in rows])
    errors = [
        relative_error(value, row["log_normaliser"])
        for value, row in zip(log_normaliser(logits), rows, strict=True)
    ]
    assert max(errors) <= ACCURACY, rows[int(np.argmax(errors))]


def test_float32_agrees_with_float64():
    for row in REFERENCE:
        logits = make_logits(row["K"], row["spread"], row["kind"]).astype(np.float32)
        value = log_normaliser(logits)
        assert value.dtype == np.float32
        exact = log_normaliser(logits.astype(np.float64))
        assert abs(value - exact) <= FLOAT32 * max(1, abs(exact))


@pytest.mark.parametrize("logits", [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [5.0, 5.0, -5.0]])
def test_three_classes_agree_with_quadrature_over_the_simplex(logits):
    def integrand(t, s, power=(0, 0, 0)):
        point = np.array([s, t, 1 - s - t])
        return np.exp(np.dot(logits, point)) * np.prod(point ** np.array(power))

    def moment(*power):
        return dblquad(integrand, 0, 1, 0, lambda s: 1 - s, args=(power,), epsabs=1e-11)[0]

    z = moment(0, 0, 0)
    quadrature = 1e-8  # of the two-dimensional rule
    assert_allclose(np.exp(log_normaliser(logits)), z, rtol=quadrature)
    mean = np.array([moment(*row) for row in np.eye(3, dtype=int)]) / z
    assert_allclose(normaliser_gradient(logits), mean, rtol=quadrature)
    second = np.array(
        [[moment(*(np.eye(3, dtype=int)[j] + np.eye(3, dtype=int)[k])) for k in range(3)]
         for j in range(3)]
    ) / z  # fmt: skip
    assert_allclose(
        normaliser_hessian(logits), second - np.outer(mean, mean), rtol=1e-6, atol=quadrature
    )


# --- laws

wide = testing.logits(n_classes=(1, 12), max_spread=1e4, max_offset=0.0)
narrow = testing.logits(n_classes=(2, 8), max_spread=20.0, max_offset=0.0)


@given(wide, st.randoms(use_true_random=False))
def test_the_order_of_classes_does_not_matter(logits, random):
    order = list(range(len(logits)))
    random.shuffle(order)
    value = log_normaliser(logits)
    assert_allclose(log_normaliser(logits[order]), value, rtol=ACCURACY, atol=ACCURACY)
    mean = normaliser_gradient(logits)
    assert_allclose(normaliser_gradient(logits[order]), mean[order], rtol=DERIVATIVE)


@given(wide, st.sampled_from([-(2.0**20), -64.0, 0.5, 1e6]))
def test_an_offset_adds_to_log_z_and_changes_no_mean(logits, offset):
    shifted = logits + offset
    exact = shifted - offset  # the logits that survive the rounding of the sum
    value = log_normaliser(exact)
    assert_allclose(log_normaliser(shifted), value + offset, rtol=ACCURACY, atol=ACCURACY)
    assert_allclose(normaliser_gradient(shifted), normaliser_gradient(exact), rtol=1e-9)


@given(st.floats(1e-300, 1.0))
def test_two_classes_give_the_logarithmic_mean(p):
    q = 1 - p
    assume(q > 0)
    a = np.log([p, q])
    # (p − q) / log(p/q) through expm1 of the gap, which is exact near p = q
    gap = abs(a[0] - a[1])
    expected = a.max() + (np.log(-np.expm1(-gap) / gap) if gap > 0 else 0.0)
    assert_allclose(log_normaliser(a), expected, rtol=ACCURACY, atol=ACCURACY)


@given(st.integers(1, 5000), st.floats(-1e6, 1e6))
@example(5000, 0.0)
def test_equal_logits_give_the_moments_of_the_uniform_distribution(n_classes, level):
    logits = np.full(n_classes, level)
    expected = level - gammaln(n_classes)
    assert_allclose(log_normaliser(logits), expected, rtol=ACCURACY, atol=ACCURACY)
    assert_allclose(normaliser_gradient(logits), 1 / n_classes, rtol=DERIVATIVE)
    if n_classes <= 50:
        uniform = (n_classes * np.eye(n_classes) - 1) / (n_classes**2 * (n_classes + 1))
        assert_allclose(normaliser_hessian(logits), uniform, rtol=0, atol=DERIVATIVE)


@given(narrow)
def test_divided_differences_obey_their_recurrence(a):
    """(a_i − a_j) Z = Z_{−j} − Z_{−i}, in units of the larger side."""
    without_first, without_last = log_normaliser(a[1:]), log_normaliser(a[:-1])
    top = max(without_first, without_last)
    left = (a[-1] - a[0]) * np.exp(log_normaliser(a) - top)
    right = np.exp(without_first - top) - np.exp(without_last - top)
    assert_allclose(left, right, rtol=0, atol=10 * ROUNDING)


@given(wide)
def test_log_z_lies_between_the_mean_and_the_largest_logit(a):
    scaled = log_normaliser(a) + gammaln(len(a))
    slack = ACCURACY * max(1, gammaln(len(a)), np.abs(a).max())
    assert a.mean() - slack <= scaled <= a.max() + slack


@given(hnp.arrays(float, (2, 6), elements=st.floats(-40, 40)), testing.trusts())
def test_log_z_is_convex(pair, t):
    mixed = log_normaliser((1 - t) * pair[0] + t * pair[1])
    chord = (1 - t) * log_normaliser(pair[0]) + t * log_normaliser(pair[1])
    assert mixed <= chord + ACCURACY * 100


@given(wide, st.data())
def test_log_z_grows_with_every_logit(a, data):
    k = data.draw(st.integers(0, len(a) - 1))
    higher = a.copy()
    higher[k] += 1.0
    gain = log_normaliser(higher) - log_normaliser(a)
    slack = ACCURACY * max(1, abs(log_normaliser(a)))
    lower, upper = normaliser_gradient(a)[k], normaliser_gradient(higher)[k]
    assert lower - slack <= gain <= upper + slack  # the slope rises along the way


@given(wide)
def test_the_mean_is_a_point_inside_the_simplex(a):
    mean = normaliser_gradient(a)
    assert mean.min() > 0
    assert_allclose(mean.sum(), 1, rtol=0, atol=DERIVATIVE)
    assert np.all(np.diff(mean[np.argsort(a, kind="stable")]) >= -DERIVATIVE)


@given(testing.logits(n_classes=(1, 12), max_spread=1e4, max_offset=0.0))
def test_the_covariance_is_one(a):
    covariance = normaliser_hessian(a)
    deviation = np.sqrt(np.diag(covariance))
    assert np.array_equal(covariance, covariance.T)
    assert_allclose(covariance.sum(axis=0), 0, rtol=0, atol=DERIVATIVE * deviation.max() + 1e-300)
    if len(a) > 1:
        correlation = covariance / np.outer(deviation, deviation)
        assert np.linalg.eigvalsh(correlation).min() > -1e-10


@pytest.mark.parametrize("spread", [0.0, 3.0, 50.0, 70.0, 1000.0])
def test_gradient_and_hessian_are_derivatives(spread):
    """The error of a central difference falls with the square of the step: slope 2 ± 0.1."""
    a = make_logits(6, spread, "near-ties")
    way = np.cos(np.arange(6.0))
    steps = np.array([0.2, 0.1])

    def slope(function, derivative):
        errors = [
            np.abs((function(a + h * way) - function(a - h * way)) / (2 * h) - derivative).max()
            for h in steps
        ]
        return np.log2(errors[0] / errors[1])

    assert abs(slope(log_normaliser, normaliser_gradient(a) @ way) - 2) < 0.1
    assert abs(slope(normaliser_gradient, normaliser_hessian(a) @ way) - 2) < 0.1


# --- limits


@pytest.mark.parametrize("k", range(1, 17))
def test_near_ties_run_continuously_into_ties(k):
    gap = 10.0**-k
    tied = log_normaliser([1.0, 1.0, 0.0, -3.0])
    near = log_normaliser([1.0, 1.0 + gap, 0.0, -3.0])
    slope = normaliser_gradient([1.0, 1.0, 0.0, -3.0])[1]
    assert abs(near - tied - slope * gap) <= gap**2 + ACCURACY


@given(
    st.lists(st.floats(1e3, 1e8), min_size=1, max_size=8),
)
def test_far_classes_factor(depths):
    """Z → e^{max} / ∏ (max − a_j); the next term is at most Σ_{i,j} c_i⁻¹ c_j⁻¹ relative."""
    depths = np.array(depths)
    logits = np.concatenate([[0.0], -depths])
    assert_allclose(log_normaliser(logits), -np.log(depths).sum(), rtol=0, atol=1e-11)


@pytest.mark.parametrize("n_classes", [2, 10, SERIES_CLASSES, SERIES_CLASSES + 1])
def test_series_and_contour_meet_without_a_seam(n_classes):
    unit = make_logits(n_classes, 1.0, "generic")
    below, above = unit * SERIES_RANGE, unit * np.nextafter(SERIES_RANGE, np.inf)
    assert_allclose(log_normaliser(below), log_normaliser(above), rtol=ROUNDING)
    assert_allclose(normaliser_gradient(below), normaliser_gradient(above), rtol=DERIVATIVE)


def test_a_range_of_1e300_is_served():
    assert_allclose(log_normaliser([0.0, -1e300]), -np.log(1e300), rtol=1e-15)
    assert_allclose(normaliser_gradient([0.0, -1e300])[1], 1e-300, rtol=ROUNDING)


def test_a_batch_gives_what_its_rows_give():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(3, 40, 5)) * 10.0 ** rng.integers(-3, 4, (3, 40, 1))
    for function in (log_normaliser, normaliser_gradient, normaliser_hessian):
        batch = function(logits)
        rows = np.array([[function(row) for row in plane] for plane in logits])
        assert_allclose(batch, rows, rtol=DERIVATIVE, atol=DERIVATIVE)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 4)])
def test_an_empty_batch_gives_an_empty_answer(shape):
    assert log_normaliser(np.zeros(shape)).shape == shape[:-1]
    assert normaliser_gradient(np.zeros(shape)).shape == shape
    assert normaliser_hessian(np.zeros(shape)).shape == (*shape, shape[-1])


def test_memory_stays_at_a_few_copies_of_the_batch():
    logits = np.random.default_rng(0).normal(size=(200_000, 10))
    log_normaliser(logits)  # load what is loaded once
    tracemalloc.start()
    log_normaliser(logits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * logits.nbytes


def test_the_compiled_series_has_the_same_bits():
    compiled = pytest.importorskip("kdtheory.compiled", reason="numba is not installed")
    rng = np.random.default_rng(2)
    for n_classes in (1, 2, 3, 10, 77):
        scale = 10.0 ** rng.integers(-8, 1, size=(501, 1))
        rows = rng.uniform(-30, 30, size=(501, n_classes)) * scale
        rows[::3, : n_classes // 2] = 0.5  # ties
        in_numpy = divided_differences._series_totals(rows)
        assert np.array_equal(compiled.series_totals(rows, TAIL), in_numpy)
        few = compiled.series_totals.py_func(rows[:9], TAIL)  # the same lines, interpreted
        assert np.array_equal(few, in_numpy[:9])


def test_an_unwritable_cache_only_costs_compiling_again(monkeypatch):
    numba = pytest.importorskip("numba", reason="numba is not installed")
    plain = numba.njit

    def without_cache(**options):
        if options.pop("cache", False):
            msg = "cannot cache function: no locator available"
            raise RuntimeError(msg)
        return plain(**options)

    compiled = importlib.import_module("kdtheory.compiled")
    monkeypatch.setattr(numba, "njit", without_cache)
    again = importlib.reload(compiled)
    rows = np.array([[0.0, 1.0, 2.0]])
    assert np.array_equal(again.series_totals(rows, TAIL), divided_differences._series_totals(rows))


def test_answers_do_not_depend_on_numba(monkeypatch):
    logits = np.random.default_rng(4).normal(size=(COMPILED_FROM // 8 + 1, 8)) * 10
    with_numba = log_normaliser(logits)
    monkeypatch.setattr(divided_differences, "_numba_is_installed", lambda: False)
    assert np.array_equal(log_normaliser(logits), with_numba)


# --- bad input


@pytest.mark.parametrize("function", [log_normaliser, normaliser_gradient, normaliser_hessian])
@pytest.mark.parametrize(
    ("logits", "error", "match"),
    [
        ([0.0, np.nan], ValueError, r"`logits` must be finite, got nan at index \(1\)"),
        ([[0.0, 1.0], [np.inf, 0.0]], ValueError, r"must be finite, got inf at index \(1, 0\)"),
        (np.zeros((4, 0)), ValueError, r"K at least 1, got shape \(4, 0\)"),
        (1.0, ValueError, r"K at least 1, got shape \(\)"),
        (["a", "b"], TypeError, "`logits` must be an array of real numbers, got dtype"),
        ([1j, 0], TypeError, "`logits` must be an array of real numbers, got dtype complex128"),
        ([[1.0], [1.0, 2.0]], ValueError, "`logits` must be a rectangular array"),
        ([1e308, -1e308], ValueError, "`logits` must have a finite range in each row, got inf"),
    ],
)
def test_bad_logits_are_named(function, logits, error, match):
    with pytest.raises(error, match=match):
        function(logits)
