"""The public strategies give what they promise, the hard cases among it."""

import importlib
import random
import sys

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from kdtheory._checks import check_in_unit_interval, check_positive, check_simplex_points
from kdtheory.testing import logits, masks, simplex_points, temperatures, trusts

ROUNDING = 2e-15  # of a sum of at most 8 quotients: 16 roundings of half an ulp of 1
ULP = np.finfo(np.float64).eps
FREQUENT = 0.05  # two or three times in the 50 examples of a test at the desk


def example_with(strategy, condition):
    """Return an example that meets the condition; raises NoSuchExample when none is found."""
    return find(
        strategy,
        condition,
        settings=settings(max_examples=5000, database=None),
        random=random.Random(0),
    )


def share_with(strategy, condition):
    """How large a share of the examples meets the condition."""
    met = []

    # the number makes every example new: hypothesis does not try the same one twice
    @settings(max_examples=300, derandomize=True, database=None)
    @given(strategy, st.integers(0, 2**32))
    def collect(example, _):
        met.append(condition(example))

    collect()
    return np.mean(met)


def test_shares_are_counted():
    assert share_with(st.just(1), lambda x: x == 1) == 1
    assert share_with(st.just(1), lambda x: x == 2) == 0
    assert 0.2 < share_with(st.integers(1, 2), lambda x: x == 2) < 0.8


# --- all strategies: the hard cases are not only possible, they are frequent


@pytest.mark.parametrize(
    ("strategy", "condition"),
    [
        (simplex_points(4), lambda p: (p == 0).any()),
        (simplex_points(4), lambda p: (p > 0).all()),
        (simplex_points(4), lambda p: 0 < p[p > 0].min() < 1e-20),
        (logits(4), lambda z: len(set(z)) < 4),
        (logits(4), lambda z: len(set(z)) == 4),
        (logits(4, max_offset=0.0), lambda z: has_gap(z, 1e-17, 1e-6)),
        (logits(4, max_offset=0.0), lambda z: has_gap(z, 1e-6, 0.02)),
        (logits(4), lambda z: np.abs(z).max() > 1e3),
        (temperatures(), lambda T: 2e-6 < T < 1e-3),
        (temperatures(), lambda T: 1.5 < T < 1e3),
        (temperatures(), lambda T: T == 1),
        (trusts(), lambda trust: trust == 0),
        (trusts(), lambda trust: trust == 1),
        (trusts(), lambda trust: 0 < trust < 1),
        (masks(6), np.all),
        (masks(6), lambda mask: not mask.any()),
        (masks(6), lambda mask: mask.any() and not mask.all()),
    ],
)
def test_hard_cases_are_frequent(strategy, condition):
    assert share_with(strategy, condition) > FREQUENT


def has_gap(z, least, most):
    gaps = np.diff(np.sort(z))
    return ((gaps > least) & (gaps < most)).any()


# --- simplex points


@given(simplex_points())
def test_simplex_points_are_points_of_the_simplex(p):
    check_simplex_points("p", p)
    assert p.dtype == np.float64
    assert 1 <= len(p) <= 8
    assert abs(p.sum() - 1) <= ROUNDING


@given(simplex_points(boundary=False))
def test_points_without_boundary_are_inside(p):
    check_simplex_points("p", p, positive=True)
    assert abs(p.sum() - 1) <= ROUNDING


@pytest.mark.parametrize(
    "condition",
    [
        lambda p: p.max() == 1,
        lambda p: p[2] == 1,
        lambda p: (p == 0).sum() == 1,
        lambda p: (p > 0).all(),
        lambda p: np.ptp(p) == 0,
        lambda p: 0 < p.min() < 1e-100,
        lambda p: p[0] > p[1] > p[2] > 0.05,
    ],
    ids=["vertex", "last vertex", "edge", "inside", "centre", "near the boundary", "generic"],
)
def test_every_part_of_the_simplex_is_visited(condition):
    example_with(simplex_points(3), condition)


@pytest.mark.parametrize("strategy", [simplex_points, logits])
def test_every_number_of_classes_is_visited(strategy):
    for n in range(2, 6):
        example_with(strategy((2, 5)), lambda row, n=n: len(row) == n)


@given(st.integers(1, 40), st.data())
def test_a_single_number_of_classes_is_obeyed(n, data):
    assert data.draw(simplex_points(n)).shape == (n,)
    assert data.draw(logits(n)).shape == (n,)
    assert data.draw(logits(n, ties=False)).shape == (n,)


# --- logits


@given(st.data(), st.sampled_from([0.0, 1e-12, 1.0, 30.0, 1e4]), st.sampled_from([0.0, 1.0, 1e6]))
def test_spread_and_offset_stay_within_their_bounds(data, spread, offset):
    z = data.draw(logits(max_spread=spread, max_offset=offset))
    assert z.dtype == np.float64
    assert np.isfinite(z).all()
    rounding = 2 * ULP * (spread + offset)
    assert np.ptp(z) <= spread + rounding
    assert z.min() >= -offset - rounding
    assert z.max() <= spread + offset + rounding


@pytest.mark.parametrize(
    "condition",
    [
        lambda z: z[0] == z[1],
        lambda z: z[0] == z[1] == z[2],
        lambda z: 0 < abs(z[0] - z[1]) < 1e-12,
        lambda z: 1e-6 < abs(z[2] - z[1]) < 1e-4,
        lambda z: np.ptp(z) == 30,
        lambda z: z.min() > 1e5,
        lambda z: z.max() < -1e5,
        lambda z: len(set(z)) == 3,
    ],
    ids=["tie", "all tied", "near-tie", "wider near-tie", "whole spread", "up", "down", "generic"],
)
def test_the_hard_cases_of_logits_are_visited(condition):
    example_with(logits(3), condition)


@given(st.data(), st.sampled_from([1e-12, 1.0, 30.0, 1e4]), st.sampled_from([0.0, 1.0, 1e6]))
def test_without_ties_logits_differ(data, spread, offset):
    z = np.sort(data.draw(logits((2, 8), max_spread=spread, max_offset=offset, ties=False)))
    assert np.diff(z).min() >= spread / 2**21
    # the offset is added with a rounding of its own size, at most 2²⁰ spreads
    assert np.ptp(z) <= spread * (1 + 1e-9)
    assert np.abs(z).max() <= offset + spread


def test_the_whole_spread_is_visited_without_ties():
    example_with(logits(3, ties=False), lambda z: np.ptp(z) > 29.9)


# --- temperatures, trusts, masks


@given(temperatures())
def test_temperatures_are_positive_and_between_the_ends(temperature):
    assert check_positive("temperature", temperature) == temperature
    assert 1e-6 <= temperature <= 1e6


@given(temperatures(0.3, 0.7))
def test_temperatures_of_a_narrow_range_stay_inside(temperature):
    assert 0.3 <= temperature <= 0.7


@pytest.mark.parametrize("value", [0.25, 1.0, 8.0])
def test_ends_and_one_are_temperatures(value):
    example_with(temperatures(0.25, 8.0), lambda temperature: temperature == value)


@pytest.mark.parametrize("decade", [-5, -1, 3])
def test_every_order_of_magnitude_is_visited(decade):
    example_with(temperatures(), lambda T: 10.0**decade < T < 10.0 ** (decade + 1))


@given(trusts())
def test_trusts_are_in_the_unit_interval(trust):
    check_in_unit_interval("trust", trust)


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_both_ends_are_trusts(end):
    example_with(trusts(), lambda trust: trust == end)
    example_with(trusts(), lambda trust: 0 < abs(trust - end) < 0.5)


@given(st.integers(0, 30).flatmap(lambda n: st.tuples(st.just(n), masks(n))))
def test_masks_are_boolean_and_of_the_length(pair):
    n, mask = pair
    assert mask.dtype == np.bool_
    assert mask.shape == (n,)


@pytest.mark.parametrize("pattern", [[True] * 4, [False] * 4, [False, True, True, False]])
def test_constant_and_mixed_masks_are_visited(pattern):
    assert_array_equal(example_with(masks(4), lambda mask: (mask == pattern).all()), pattern)


# --- bad input


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: simplex_points(0), ValueError, r"`n_classes` must be at least 1, got 0"),
        (lambda: simplex_points((4, 3)), ValueError, r"`n_classes` must be at least 4, got 3"),
        (lambda: simplex_points(2.0), TypeError, r"`n_classes` must be an integer, got 2.0"),
        (lambda: logits((1, None)), TypeError, r"`n_classes` must be an integer, got None"),
        (lambda: logits(max_spread=-1), ValueError, r"`max_spread` must be .* at least 0, got -1"),
        (lambda: logits(max_offset=np.inf), ValueError, r"`max_offset` must be finite .* got inf"),
        (
            lambda: logits(max_spread=0, ties=False),
            ValueError,
            r"`max_spread` must be finite and positive, got 0.0",
        ),
        (lambda: temperatures(0.0), ValueError, r"`least` must be finite and positive, got 0.0"),
        (lambda: temperatures(1, np.inf), ValueError, r"`most` must be finite and positive"),
        (lambda: temperatures(2, 1), ValueError, r"`most - least` must be .* at least 0, got -1.0"),
        (lambda: masks(-1), ValueError, r"`n` must be at least 0, got -1"),
        (lambda: masks("n"), TypeError, r"`n` must be an integer, got 'n'"),
    ],
)
def test_bad_input_is_named(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_without_hypothesis_the_import_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "kdtheory.testing")
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r"needs hypothesis.*pip install hypothesis"):
        importlib.import_module("kdtheory.testing")
