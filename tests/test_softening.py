"""The temperature softmax against its definition, its laws, its limits, bad input."""

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kdtheory._checks import check_simplex_points
from kdtheory.softening import hardened, log_soften, soften, soften_probabilities
from kdtheory.testing import logits, simplex_points, temperatures

EPS = np.finfo(np.float64).eps
ULPS = 8 * EPS  # a subtraction, a division, an exponential, a sum of at most 8 terms, a division
FLOAT32_ULPS = 2 * np.finfo(np.float32).eps  # computed in float64, rounded once
TINY = 1e-290  # below this a product or a quotient of probabilities may be subnormal
MODERATE = temperatures(0.1, 1e3)


def rounding(z, temperature):
    """Relative error of exp((z − max z)/T): the exponent is rounded, so its size counts."""
    return ULPS * (1 + np.ptp(z) / temperature)


def log_of(p):
    with np.errstate(divide="ignore"):
        return np.log(p)


def softmax_by_definition(z, temperature):
    """The quotient of exponentials, in 60 digits and an unbounded range of exponents."""
    with mpmath.workdps(60):
        powers = [mpmath.exp(mpmath.mpf(float(v)) / mpmath.mpf(float(temperature))) for v in z]
        return [power / mpmath.fsum(powers) for power in powers]


# --- oracle: the quotient of exponentials


@given(logits(), temperatures(1e-3, 1e6))
def test_soften_is_the_quotient_of_exponentials(z, temperature):
    expected = [float(p) for p in softmax_by_definition(z, temperature)]
    p = soften(z, temperature)
    assert_allclose(p, expected, rtol=rounding(z, temperature), atol=TINY)


@given(logits(), temperatures(1e-3, 1e6))
def test_log_soften_is_the_logarithm_of_the_quotient(z, temperature):
    with mpmath.workdps(60):
        expected = [float(mpmath.log(p)) for p in softmax_by_definition(z, temperature)]
    # of a margin and a logarithm of at most log 8, neither much smaller than their sum
    assert_allclose(log_soften(z, temperature), expected, rtol=4 * EPS, atol=EPS * np.log(8))


@pytest.mark.parametrize("gap", [1e-8, 1.0, 40.0, 700.0])
def test_log_soften_of_a_sure_class_keeps_its_digits(gap):
    with mpmath.workdps(400):
        expected = float(-mpmath.log1p(mpmath.exp(-mpmath.mpf(gap))))
    assert_allclose(log_soften([gap, 0.0])[0], expected, rtol=rounding([gap, 0.0], 1.0))


@given(simplex_points(), temperatures(1e-3, 1e6))
def test_softened_probabilities_are_their_powers_over_the_sum(p, temperature):
    with mpmath.workdps(60):
        powers = [mpmath.mpf(q) ** (1 / mpmath.mpf(temperature)) for q in p.tolist()]
        expected = [float(power / mpmath.fsum(powers)) for power in powers]
    found = soften_probabilities(log_of(p), temperature)
    # logarithms up to 700 in size are rounded before they are divided
    error = ULPS * (1 + np.abs(np.log(p[p > 0])).max() / temperature)
    assert_allclose(found, expected, rtol=error, atol=TINY)


# --- laws


@given(logits(max_spread=1e4), temperatures())
def test_softened_answers_are_points_of_the_simplex(z, temperature):
    p = check_simplex_points("p", soften(z, temperature))
    assert_allclose(p.sum(), 1, rtol=ULPS)
    assert (log_soften(z, temperature) <= 0).all()


@given(logits(max_offset=0.0), MODERATE, st.floats(-1e6, 1e6))
def test_a_shift_of_all_logits_changes_nothing(z, temperature, shift):
    # the shifted logits are rounded at the size of the shift, before soften sees them
    moved = 4 * EPS * (abs(shift) + np.ptp(z)) / temperature
    expected = soften(z, temperature)
    assert_allclose(soften(z + shift, temperature), expected, rtol=rounding(z, temperature) + moved)


@given(logits(n_classes=6), temperatures(), st.permutations(range(6)))
def test_soften_commutes_with_permutations(z, temperature, order):
    assert_allclose(soften(z[order], temperature), soften(z, temperature)[order], rtol=ULPS)
    assert_array_equal(hardened(z[order]), hardened(z)[order])


@given(logits(max_offset=0.0), MODERATE)
def test_temperature_times_the_log_ratio_is_the_margin(z, temperature):
    log_p = log_soften(z, temperature)
    ratios = temperature * (log_p[:, None] - log_p)
    # log p up to log K + spread/T in size, times T
    atol = ULPS * (np.ptp(z) + temperature * np.log(8))
    assert_allclose(ratios, z[:, None] - z, rtol=0, atol=atol)


@given(logits(max_offset=0.0), MODERATE, MODERATE)
def test_temperatures_multiply(z, first, second):
    twice = soften(log_soften(z, first), second)
    # the inner logarithm of size spread/first + log K is rounded, then divided by the outer one
    error = rounding(z, first * second) + ULPS * (np.ptp(z) / first + np.log(8)) / second
    assert_allclose(twice, soften(z, first * second), rtol=error, atol=TINY)


@given(simplex_points(boundary=False))
def test_probabilities_are_their_own_softened_logarithms(p):
    assert_allclose(soften(np.log(p)), p, rtol=rounding(np.log(p), 1.0))


@given(logits(max_spread=1e4), temperatures())
def test_of_finite_logarithms_soften_and_soften_probabilities_are_the_same(z, temperature):
    assert_array_equal(soften_probabilities(z, temperature), soften(z, temperature))


@given(simplex_points(), temperatures())
def test_impossible_classes_stay_so_and_do_not_touch_the_others(p, temperature):
    found = soften_probabilities(log_of(p), temperature)
    assert (found[p == 0] == 0).all()
    # sums over more terms, zeros, may be added up in another order
    others = soften_probabilities(np.log(p[p > 0]), temperature)
    assert_allclose(found[p > 0], others, rtol=ULPS, atol=TINY)


@given(simplex_points(boundary=False))
def test_at_temperature_one_probabilities_are_kept(p):
    assert_allclose(soften_probabilities(np.log(p)), p, rtol=rounding(np.log(p), 1.0))


@given(simplex_points(), MODERATE, MODERATE)
def test_temperatures_of_probabilities_multiply(p, first, second):
    log_p = log_of(p)
    with np.errstate(divide="ignore"):
        twice = soften_probabilities(np.log(soften_probabilities(log_p, first)), second)
    once = soften_probabilities(log_p, first * second)
    kept = soften_probabilities(log_p, first) > TINY
    assume((kept == (p > 0)).all())  # else the first rounds a class to 0 or to few digits
    error = rounding(log_p[kept], first * second) + rounding(log_p[kept], first) * (1 + 1 / second)
    assert_allclose(twice, once, rtol=error, atol=TINY)


@given(logits(), temperatures(1e-3, 1e3))
def test_soften_is_the_exponential_of_log_soften(z, temperature):
    p = soften(z, temperature)
    with np.errstate(under="ignore"):
        assert_allclose(
            np.exp(log_soften(z, temperature)), p, rtol=rounding(z, temperature), atol=TINY
        )


@given(logits(), temperatures())
def test_soften_keeps_the_order_of_the_classes(z, temperature):
    in_order = soften(z, temperature)[np.argsort(z)]
    # an exponential within one ulp need not be monotone
    assert (np.diff(in_order) >= -2 * EPS * in_order[1:]).all()


@given(logits(), temperatures(), temperatures())
def test_heat_takes_from_the_top_class(z, one, other):
    cold, hot = sorted((one, other))
    assert soften(z, hot).max() <= soften(z, cold).max() * (1 + ULPS)


@given(st.lists(logits(n_classes=4), min_size=1, max_size=5), temperatures())
def test_rows_are_softened_one_by_one(rows, temperature):
    stack = np.array(rows)[:, None, :]
    for function in (
        lambda z: soften(z, temperature),
        lambda z: log_soften(z, temperature),
        hardened,
    ):
        assert_array_equal(function(stack)[:, 0], [function(row) for row in rows])


@given(logits(n_classes=4, max_offset=10.0), temperatures(1e-2, 1e2))
def test_float32_is_kept_and_as_good_as_it_can_be(z, temperature):
    z32 = z.astype(np.float32)
    z64 = z32.astype(np.float64)
    for function in (soften, log_soften, soften_probabilities):
        answer = function(z32, temperature)
        assert answer.dtype == np.float32
        expected = function(z64, temperature)
        assert_allclose(answer, expected, rtol=FLOAT32_ULPS, atol=np.finfo(np.float32).tiny)
    assert hardened(z32).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, np.float16])
def test_other_numbers_are_computed_in_float64(dtype):
    z = np.array([1, 0, 0], dtype=dtype)
    assert soften(z).dtype == log_soften(z).dtype == hardened(z).dtype == np.float64
    assert_array_equal(soften(z), soften([1.0, 0.0, 0.0]))


@pytest.mark.parametrize("function", [soften, log_soften, hardened, soften_probabilities])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_argument_is_not_written_to(function, dtype):
    z = np.array([[1.0, 2.0, 3.0]], dtype=dtype)
    z.flags.writeable = False
    function(z)
    assert_array_equal(z, [[1.0, 2.0, 3.0]])


# --- limits


@given(logits(n_classes=(2, 8)), temperatures(1e-2, 1e2))
def test_cold_answers_approach_the_uniform_law_over_the_maxima(z, temperature):
    limit = hardened(z)
    largest = limit > 0
    gaps = z.max() - z[~largest]
    bound = 2 * len(gaps) * np.exp(-gaps.min() / temperature) / largest.sum() if len(gaps) else 0.0
    distance = np.abs(soften(z, temperature) - limit).sum()
    assert distance <= bound * (1 + rounding(z, temperature)) + ULPS


@given(logits())
def test_the_coldest_answers_are_the_limit_itself(z):
    below = z[z < z.max()]
    assume(len(below) == 0 or z.max() - below.max() > 1e3 * 1e-300)
    # e^{-1000} is below the least number of float64
    assert_array_equal(soften(z, 1e-300), hardened(z))
    assert_array_equal(soften(z, np.nextafter(0, 1)), hardened(z))


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ([1.0, 3.0, 2.0], [0, 1, 0]),
        ([3.0, 1.0, 3.0], [1 / 2, 0, 1 / 2]),
        ([0.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]),
        ([0.0, np.nextafter(0, 1)], [0, 1]),
        ([5.0], [1]),
    ],
)
def test_hardened_is_uniform_over_the_maxima(z, expected):
    assert_array_equal(hardened(z), expected)


@given(logits(), temperatures(1.0, 1e6))
def test_hot_answers_are_uniform_up_to_the_spread_over_the_temperature(z, temperature):
    shares = soften(z, temperature) * len(z)
    spread = np.ptp(z) / temperature + ULPS
    assert (shares <= np.exp(spread)).all()
    assert (shares >= np.exp(-spread)).all()


@given(logits())
def test_the_hottest_answers_are_uniform(z):
    assert_allclose(soften(z, 1e308), 1 / len(z), rtol=ULPS)
    assert_allclose(log_soften(z, 1e308), -np.log(len(z)), rtol=ULPS, atol=0)


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1.0, 10.0])
@pytest.mark.parametrize("size", [1e4, 1e300, np.finfo(np.float64).max / 2])
def test_margins_of_any_size_give_zero_without_a_warning(size, temperature):
    with np.errstate(all="raise"):
        assert_array_equal(soften([size, -size], temperature), [1.0, 0.0])
        log_p = log_soften([size, -size], temperature)
    assert log_p[0] == 0
    assert log_p[1] <= -2e3


def test_a_margin_equal_to_the_temperature_is_one_at_every_scale():
    for scale in (1e-300, 1e-10, 1.0, 1e10, 1e300):
        assert_allclose(soften([scale, 0.0], scale), soften([1.0, 0.0]), rtol=ULPS)


@pytest.mark.parametrize("temperature", [1e-300, 1e300])
def test_float32_logits_take_temperatures_out_of_their_range(temperature):
    z = np.array([1.5e38, -1.5e38, 1.5e38], dtype=np.float32)
    expected = [0.5, 0, 0.5] if temperature < 1 else [1 / 3] * 3
    with np.errstate(all="raise"):
        assert_allclose(soften(z, temperature), expected, rtol=FLOAT32_ULPS)
        log_p = log_soften(z, temperature)
    assert_allclose(log_p[0], np.log(expected[0]), rtol=FLOAT32_ULPS)


def test_log_soften_is_minus_infinity_where_the_logarithm_is_out_of_range():
    assert log_soften([1e300, 0.0], 1e-300)[1] == -np.inf
    assert log_soften(np.array([1e30, 0.0], dtype=np.float32), 1e-30)[1] == -np.inf


def test_logarithms_hold_what_heat_brings_back():
    # e^{-1000} is no number of float64
    assert_allclose(soften_probabilities([0.0, -1e3], 1e3), soften([1.0, 0.0]), rtol=ULPS)


@given(simplex_points())
def test_hot_probabilities_tend_to_equal_shares_of_what_is_possible(p):
    found = soften_probabilities(log_of(p), 1e300)
    assert_allclose(found, (p > 0) / (p > 0).sum(), rtol=ULPS)


def test_cold_probabilities_are_those_of_the_likeliest():
    with np.errstate(all="raise"):
        assert_array_equal(soften_probabilities([-np.inf, -1.0, -2.0], 1e-300), [0, 1, 0])


@pytest.mark.parametrize("function", [soften, log_soften, hardened, soften_probabilities])
def test_an_empty_batch_gives_an_empty_batch(function):
    assert function(np.empty((0, 3))).shape == (0, 3)


# --- bad input


@pytest.mark.parametrize("function", [soften, log_soften, hardened])
@pytest.mark.parametrize(
    ("logits", "error", "match"),
    [
        ([0.0, np.nan], ValueError, r"`logits` must be finite, got nan at index \(1\)"),
        ([[0.0], [-np.inf]], ValueError, r"`logits` must be finite, got -inf at index \(1, 0\)"),
        (np.empty((2, 0)), ValueError, r"`logits` must have shape .* K at least 1.*\(2, 0\)"),
        ([1e308, -1e308], ValueError, r"`logits` must have a finite range in each row, got inf"),
        (1.0, ValueError, r"`logits` must have shape .* K at least 1, got shape \(\)"),
        (["a", "b"], TypeError, r"`logits` must be an array of real numbers, got dtype <U1"),
    ],
)
def test_bad_logits_are_named(function, logits, error, match):
    with pytest.raises(error, match=match):
        function(logits)


@pytest.mark.parametrize(
    ("log_probs", "error", "match"),
    [
        ([0.0, np.nan], ValueError, "`log_probs` must be finite or -inf, got nan"),
        ([0.0, np.inf], ValueError, "`log_probs` must be finite or -inf, got inf"),
        ([[-np.inf, -np.inf]], ValueError, "`log_probs` must be finite for at least one class"),
        (1.0, ValueError, r"`log_probs` must have shape .* K at least 1, got shape \(\)"),
        (["a", "b"], TypeError, r"`log_probs` must be an array of real numbers, got dtype <U1"),
    ],
)
def test_bad_log_probabilities_are_named(log_probs, error, match):
    with pytest.raises(error, match=match):
        soften_probabilities(log_probs)


@pytest.mark.parametrize("function", [soften, log_soften, soften_probabilities])
@pytest.mark.parametrize(
    ("temperature", "error", "match"),
    [
        (0.0, ValueError, r"`temperature` must be finite and positive, got 0.0"),
        (-1.0, ValueError, r"`temperature` must be finite and positive, got -1.0"),
        (np.inf, ValueError, r"`temperature` must be finite and positive, got inf"),
        (np.nan, ValueError, r"`temperature` must be finite and positive, got nan"),
        ("hot", TypeError, r"`temperature` must be a real number, got 'hot'"),
        ([1.0, 2.0], TypeError, r"`temperature` must be a real number, got \[1.0, 2.0\]"),
    ],
)
def test_bad_temperatures_are_named(function, temperature, error, match):
    with pytest.raises(error, match=match):
        function([0.0, 1.0], temperature)
