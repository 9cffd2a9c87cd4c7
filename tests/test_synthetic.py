"""The generator of GS, section 6.2: its definition, the law of its labels, bad input."""

from unittest.mock import Mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2

from kdtheory._checks import check_simplex_points
from kdtheory.synthetic import SoftmaxData, make_softmax_data

STANDARD_ERRORS = 5.0  # one false alarm in two million tests; the seeds are fixed besides
RARE = 1e-6  # the same for a chi-square
ROUNDING = 1e-13  # of X W, a sum of ten products, in an exponent
SEEDS = [0, 1, 2]


def rng_of(seed):
    return np.random.default_rng(seed)


def standardised(excess, variance):
    return excess.sum(axis=0) / np.sqrt(variance.sum(axis=0))


# --- oracle: the definition, row by row


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", [(1000, 10, 3), (50, 1, 2), (7, 4, 1), (20, 3, 30), (1, 1, 1)])
def test_probabilities_are_the_softmax_of_features_times_matrix(seed, shape):
    data = make_softmax_data(*shape, rng=rng_of(seed))
    for features, probs in zip(data.X, data.S, strict=True):
        powers = np.exp([features @ column for column in data.W.T])
        assert_allclose(probs, powers / powers.sum(), rtol=ROUNDING)


def test_features_and_matrix_are_standard_normal():
    data = make_softmax_data(40, 1000, 50, rng=rng_of(0))
    for draws in (data.X.ravel(), data.W.ravel()):
        n = len(draws)
        assert abs(draws.mean()) < STANDARD_ERRORS / np.sqrt(n)
        assert abs((draws**2).mean() - 1) < STANDARD_ERRORS * np.sqrt(2 / n)
        # variance of z⁴ is 105 − 9
        assert abs((draws**4).mean() - 3) < STANDARD_ERRORS * np.sqrt(96 / n)


# --- laws


@pytest.mark.parametrize("shape", [(1000, 10, 3), (5, 2, 4), (1, 1, 1)])
def test_shapes_and_kinds(shape):
    m, n, n_classes = shape
    data = make_softmax_data(m, n, n_classes, rng=rng_of(0))
    assert isinstance(data, SoftmaxData)
    assert data.X.shape == (m, n)
    assert data.W.shape == (n, n_classes)
    assert data.S.shape == (m, n_classes)
    assert data.y.shape == (m,)
    assert data.y.dtype == np.int64
    assert data.X.dtype == data.S.dtype == data.W.dtype == np.float64
    assert set(data.y) <= set(range(n_classes))
    check_simplex_points("S", data.S, positive=True)


def test_the_defaults_are_those_of_the_paper():
    data = make_softmax_data(4, rng=rng_of(0))
    assert data.W.shape == (10, 3)


def test_a_seed_determines_the_draw():
    same = [make_softmax_data(100, rng=rng_of(5)) for _ in range(2)]
    other = make_softmax_data(100, rng=rng_of(6))
    for name in ("X", "y", "S", "W"):
        assert_array_equal(getattr(same[0], name), getattr(same[1], name))
        assert not np.array_equal(getattr(same[0], name), getattr(other, name))


def test_a_fixed_matrix_gives_more_objects_of_the_same_law():
    rng = rng_of(0)
    train = make_softmax_data(100, rng=rng)
    test = make_softmax_data(100, rng=rng, W=train.W)
    assert_array_equal(train.W, test.W)
    assert not np.array_equal(train.X, test.X)
    powers = np.exp(test.X @ train.W)
    assert_allclose(test.S, powers / powers.sum(axis=1, keepdims=True), rtol=ROUNDING)


def test_the_result_does_not_share_memory_with_the_fixed_matrix():
    W = np.ones((10, 3))
    data = make_softmax_data(5, rng=rng_of(0), W=W)
    W[:] = 7
    assert_array_equal(data.W, np.ones((10, 3)))


def test_a_draw_is_frozen():
    data = make_softmax_data(2, rng=rng_of(0))
    with pytest.raises(AttributeError):
        data.y = None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_classes", [2, 3, 12])
def test_label_frequencies_agree_with_the_probabilities(seed, n_classes):
    data = make_softmax_data(20_000, 10, n_classes, rng=rng_of(seed))
    excess = (data.y[:, None] == np.arange(n_classes)) - data.S
    z = standardised(excess, data.S * (1 - data.S))
    assert np.abs(z).max() < STANDARD_ERRORS
    # labels follow their own row: the excess is uncorrelated with every feature
    for feature in data.X.T:
        weighted = feature[:, None] * excess
        z = standardised(weighted, feature[:, None] ** 2 * data.S * (1 - data.S))
        assert np.abs(z).max() < STANDARD_ERRORS


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_of_equal_rows_pass_a_chi_square_test(seed):
    # with W = log p in the row of a constant feature every object has the law p
    p = np.array([0.5, 0.25, 0.15, 0.06, 0.04])
    rng = Mock(wraps=rng_of(seed), spec=np.random.Generator)
    rng.standard_normal.side_effect = np.ones
    data = make_softmax_data(50_000, 1, 5, rng=rng, W=np.log(p)[None])
    counts = np.bincount(data.y, minlength=5)
    statistic = ((counts - 50_000 * p) ** 2 / (50_000 * p)).sum()
    assert statistic < chi2.isf(RARE, df=4)
    # and labels of different objects are independent: pairs have product frequencies
    pairs = np.bincount(5 * data.y[0::2] + data.y[1::2], minlength=25)
    expected = 25_000 * np.outer(p, p).ravel()
    assert ((pairs - expected) ** 2 / expected).sum() < chi2.isf(RARE, df=24)


def test_classes_are_equally_likely_on_average_over_matrices_only():
    rng = rng_of(0)
    draws, m = 400, 200
    shares = np.array([make_softmax_data(m, rng=rng).S.mean(axis=0) for _ in range(draws)])
    standard_error = shares.std(axis=0, ddof=1) / np.sqrt(draws)
    assert (np.abs(shares.mean(axis=0) - 1 / 3) < STANDARD_ERRORS * standard_error).all()
    # one matrix, many objects: a share of its own, away from 1/3 by more than chance
    S = make_softmax_data(50_000, rng=rng).S
    away = np.abs(S.mean(axis=0) - 1 / 3) / (S.std(axis=0) / np.sqrt(len(S)))
    assert away.max() > 2 * STANDARD_ERRORS


# --- limits


@pytest.mark.parametrize("u", [0.0, 0.45, 1 - 2.0**-53])
def test_a_class_without_probability_is_never_drawn(u):
    # ten probabilities of 0.1 add up to 1 − 1.1e-16 in float64: the greatest u is not below it
    W = np.array([[-1e4] + [0.0] * 10 + [-1e4]])
    rng = Mock(spec=np.random.Generator)
    rng.standard_normal.side_effect = np.ones
    rng.random.return_value = np.array([u])
    data = make_softmax_data(1, 1, 12, rng=rng, W=W)
    assert data.S[0].cumsum()[-1] < 1
    assert data.S[0, data.y[0]] > 0
    assert data.y[0] == {0.0: 1, 0.45: 5, 1 - 2.0**-53: 10}[u]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_steep_matrix_makes_labels_certain(n_classes):
    rng = rng_of(0)
    W = 1e6 * rng.standard_normal((10, n_classes))
    data = make_softmax_data(1000, 10, n_classes, rng=rng, W=W)
    assert_array_equal(data.y, (data.X @ W).argmax(axis=1))


def test_a_zero_matrix_makes_classes_equally_likely():
    data = make_softmax_data(100, 10, 4, rng=rng_of(0), W=np.zeros((10, 4)))
    assert_array_equal(data.S, np.full((100, 4), 0.25))


# --- bad input


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"n_samples": 0}, ValueError, r"`n_samples` must be at least 1, got 0"),
        ({"n_samples": 10.0}, TypeError, r"`n_samples` must be an integer, got 10.0"),
        ({"n_features": 0}, ValueError, r"`n_features` must be at least 1, got 0"),
        ({"n_classes": -3}, ValueError, r"`n_classes` must be at least 1, got -3"),
        ({"n_classes": True}, TypeError, r"`n_classes` must be an integer, got True"),
        ({"rng": 0}, TypeError, r"`rng` must be a numpy.random.Generator, got int"),
        ({"rng": None}, TypeError, r"`rng` must be a numpy.random.Generator, got NoneType"),
        (
            {"W": np.ones((3, 10))},
            ValueError,
            r"`W` must have shape \(10, 3\), got shape \(3, 10\)",
        ),
        ({"W": np.ones(10)}, ValueError, r"`W` must have 2 dimension\(s\), got shape \(10,\)"),
        ({"W": np.full((10, 3), np.nan)}, ValueError, r"`W` must be finite, got nan at index"),
        ({"W": "W"}, TypeError, r"`W` must be an array of real numbers, got dtype <U1"),
    ],
)
def test_bad_input_is_named(change, error, match):
    arguments = {"n_samples": 10, "rng": rng_of(0)} | change
    with pytest.raises(error, match=match):
        make_softmax_data(**arguments)
