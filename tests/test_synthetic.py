"""The generators: GS 6.2, then those with privileged features; definitions, laws, bad input."""

from functools import partial
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2

from kdtheory._checks import check_simplex_points
from kdtheory.synthetic import (
    PrivilegedData,
    SoftmaxData,
    make_clean_features,
    make_clean_labels,
    make_relevant_features,
    make_sample_dependent_features,
    make_softmax_data,
)

STANDARD_ERRORS = 5.0  # one false alarm in two million tests; the seeds are fixed besides
RARE = 1e-6  # the same for a chi-square
ROUNDING = 1e-13  # of X W, a sum of ten products, in an exponent
SEEDS = [0, 1, 2]

PRIVILEGED = {
    "clean labels": make_clean_labels,
    "clean features": make_clean_features,
    "relevant features": make_relevant_features,
    "text": partial(make_sample_dependent_features, reading="text"),
    "code": partial(make_sample_dependent_features, reading="code"),
    "sorted": partial(make_sample_dependent_features, reading="sorted"),
}
WITH_MEDIAN = ["code", "sorted"]


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


# the labels again, object by object, from the definitions


def label_of_clean_features(data, i):
    return data.weights @ data.X_privileged[i] > 0


def label_of_relevant_features(data, i):
    return sum(data.weights[j] * data.X[i, j] for j in data.relevant) > 0


def label_by_text(data, i):
    return sum(data.weights[j] * data.X[i, j] for j in data.relevant[i]) > 0


def label_by_code(data, i):
    chosen = [data.X[:, j] for j in data.relevant]
    scores = sum(w * column for w, column in zip(data.weights, chosen, strict=True))
    return scores[i] > np.median(scores)


def label_by_sorted(data, i):
    scores = [sorted(row, reverse=True)[: len(data.weights)] @ data.weights for row in data.X]
    return scores[i] > np.median(scores)


@pytest.mark.parametrize("m", [1, 2, 60, 61])
@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("clean features", label_of_clean_features),
        ("relevant features", label_of_relevant_features),
        ("text", label_by_text),
        ("code", label_by_code),
        ("sorted", label_by_sorted),
    ],
)
def test_labels_follow_the_definition_object_by_object(name, label, m):
    for seed in SEEDS:
        data = PRIVILEGED[name](m, 7, rng=rng_of(seed))
        assert_array_equal(data.y, [int(label(data, i)) for i in range(m)])


def test_clean_labels_are_the_sign_of_the_score_plus_standard_normal_noise():
    rng = Mock(wraps=rng_of(0), spec=np.random.Generator)
    data = make_clean_labels(500, 4, rng=rng)
    again = rng_of(0)
    weights, X, noise = (again.standard_normal(shape) for shape in (4, (500, 4), 500))
    assert_array_equal(data.weights, weights)
    assert_array_equal(data.X, X)
    assert_allclose(data.X_privileged[:, 0], [w_x.sum() for w_x in X * weights], atol=ROUNDING)
    assert_array_equal(data.y, data.X_privileged[:, 0] + noise > 0)


@pytest.mark.parametrize("name", ["relevant features", "text", "code", "sorted"])
def test_privileged_features_are_the_relevant_columns(name):
    data = PRIVILEGED[name](40, 9, rng=rng_of(0))
    for i, row in enumerate(data.X):
        columns = data.relevant if data.relevant.ndim == 1 else data.relevant[i]
        assert len(set(columns)) == 3
        assert_array_equal(data.X_privileged[i], row[columns])


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


@pytest.mark.parametrize("name", PRIVILEGED)
def test_shapes_and_kinds_with_privileged_features(name):
    data = PRIVILEGED[name](30, 8, rng=rng_of(0))
    columns = {"clean labels": 1, "clean features": 8}.get(name, 3)
    assert isinstance(data, PrivilegedData)
    assert data.X.shape == (30, 8)
    assert data.X_privileged.shape == (30, columns)
    assert data.y.shape == (30,)
    assert data.y.dtype == np.int64
    assert set(data.y) == {0, 1}
    assert data.X.dtype == data.X_privileged.dtype == data.weights.dtype == np.float64
    assert data.weights.shape == ((3,) if name in WITH_MEDIAN else (8,))
    assert (data.relevant is None) == (columns != 3)
    with pytest.raises(AttributeError):
        data.y = None


@pytest.mark.parametrize("name", PRIVILEGED)
def test_a_seed_determines_the_draw_with_privileged_features(name):
    same = [PRIVILEGED[name](50, rng=rng_of(5)) for _ in range(2)]
    other = PRIVILEGED[name](50, rng=rng_of(6))
    assert same[0].X.shape == (50, 50)
    for field in ("X", "X_privileged", "y", "weights"):
        assert_array_equal(getattr(same[0], field), getattr(same[1], field))
        assert not np.array_equal(getattr(same[0], field), getattr(other, field))


@pytest.mark.parametrize("name", PRIVILEGED)
def test_fixed_weights_give_more_objects_of_the_same_law(name):
    rng = rng_of(0)
    train = PRIVILEGED[name](50, 12, rng=rng)
    given = train.weights.copy()
    test = PRIVILEGED[name](60, 12, rng=rng, weights=given)
    given[:] = 7
    assert_array_equal(test.weights, train.weights)
    assert not np.array_equal(test.X[:50], train.X)
    assert test.bayes_privileged == pytest.approx(train.bayes_privileged, nan_ok=True)
    assert test.bayes_plain == pytest.approx(train.bayes_plain, nan_ok=True)
    if name == "relevant features":
        assert_array_equal(test.relevant, train.relevant)


def test_only_the_reading_of_the_code_has_a_set_for_each_call():
    rng = rng_of(0)
    draws = [make_sample_dependent_features(20, reading="code", rng=rng) for _ in range(5)]
    assert len({tuple(draw.relevant) for draw in draws}) == 5
    assert all(draw.relevant.shape == (3,) for draw in draws)
    for reading in ("text", "sorted"):
        data = make_sample_dependent_features(20, reading=reading, rng=rng)
        assert len({tuple(row) for row in data.relevant}) == 20


def test_the_readings_differ_where_they_should_and_nowhere_else():
    data = {name: PRIVILEGED[name](31, rng=rng_of(3), weights=None) for name in WITH_MEDIAN}
    # same weights and features of the same seed: only the columns, and so the labels, differ
    assert_array_equal(data["code"].weights, data["sorted"].weights)
    assert_array_equal(data["code"].X, data["sorted"].X)
    assert not np.array_equal(data["code"].X_privileged, data["sorted"].X_privileged)
    assert (np.diff(data["sorted"].X_privileged, axis=1) < 0).all()
    assert not (np.diff(data["code"].X_privileged, axis=1) < 0).all()
    assert PRIVILEGED["text"](31, rng=rng_of(3)).threshold == 0


@pytest.mark.parametrize("name", WITH_MEDIAN)
def test_a_median_puts_half_of_the_objects_in_each_class(name):
    for m in (1, 10, 11, 400):
        assert PRIVILEGED[name](m, rng=rng_of(m)).y.sum() == m // 2


@pytest.mark.parametrize("name", ["clean labels", "clean features", "relevant features", "text"])
def test_classes_are_equally_likely(name):
    m = 40_000
    y = PRIVILEGED[name](m, 6, rng=rng_of(0)).y
    assert abs(y.mean() - 0.5) < STANDARD_ERRORS * 0.5 / np.sqrt(m)


@pytest.mark.parametrize("name", PRIVILEGED)
def test_features_and_weights_are_normal(name):
    data = PRIVILEGED[name](2000, 20, rng=rng_of(1))
    variance = 2.0 if name == "clean features" else 1.0
    draws = data.X.ravel() / np.sqrt(variance)
    assert abs(draws.mean()) < STANDARD_ERRORS / np.sqrt(draws.size)
    assert abs((draws**2).mean() - 1) < STANDARD_ERRORS * np.sqrt(2 / draws.size)
    if name in ("clean features", "text", "code"):
        draws = data.X_privileged.ravel()
        assert abs(draws.mean()) < STANDARD_ERRORS / np.sqrt(draws.size)
        assert abs((draws**2).mean() - 1) < STANDARD_ERRORS * np.sqrt(2 / draws.size)
    rng = rng_of(2)
    drawn = np.concatenate([PRIVILEGED[name](1, 20, rng=rng).weights for _ in range(200)])
    drawn = drawn[drawn != 0]
    assert len(drawn) == 200 * (3 if name in [*WITH_MEDIAN, "relevant features"] else 20)
    assert abs(drawn.mean()) < STANDARD_ERRORS / np.sqrt(drawn.size)
    assert abs((drawn**2).mean() - 1) < STANDARD_ERRORS * np.sqrt(2 / drawn.size)


@pytest.mark.parametrize("name", ["relevant features", "text", "code"])
def test_relevant_columns_are_drawn_uniformly(name):
    rng = rng_of(0)
    if name == "text":
        relevant = make_sample_dependent_features(3000, 6, reading="text", rng=rng).relevant
    else:
        relevant = np.array([PRIVILEGED[name](1, 6, rng=rng).relevant for _ in range(3000)])
    if name != "relevant features":
        # and in a random order: every place has every column equally often
        counts = np.array([np.bincount(place, minlength=6) for place in relevant.T])
        assert ((counts - 500) ** 2 / 500).sum(axis=1).max() < chi2.isf(RARE, df=5)
    sets = {}
    for columns in relevant:
        key = tuple(sorted(columns))
        sets[key] = sets.get(key, 0) + 1
    assert len(sets) == 20
    counts = np.array(list(sets.values()))
    assert ((counts - 150) ** 2 / 150).sum() < chi2.isf(RARE, df=19)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("length", [0.0, 0.5, 7.0])
def test_bayes_accuracies_of_clean_labels(seed, length):
    m, weights = 100_000, np.array([0.6, 0.0, -0.8]) * length
    data = make_clean_labels(m, 3, rng=rng_of(seed), weights=weights)
    bayes = 0.5 + np.arctan(length) / np.pi
    assert data.bayes_plain == data.bayes_privileged == pytest.approx(bayes, rel=ROUNDING)
    standard_error = np.sqrt(bayes * (1 - bayes) / m)
    for rule in (data.X_privileged[:, 0] > 0, data.X @ weights > 0):
        assert abs((rule == data.y).mean() - bayes) < STANDARD_ERRORS * standard_error


@pytest.mark.parametrize("seed", SEEDS)
def test_bayes_accuracies_of_clean_features(seed):
    m = 100_000
    data = make_clean_features(m, 5, rng=rng_of(seed))
    assert (data.bayes_privileged, data.bayes_plain) == (1.0, 0.75)
    assert_array_equal(data.X_privileged @ data.weights > 0, data.y)
    best = (data.X @ data.weights > 0) == data.y
    assert abs(best.mean() - 0.75) < STANDARD_ERRORS * np.sqrt(3 / 16 / m)
    # no other direction is as good: the noise of x is independent of x*
    other = data.weights[::-1]
    assert ((data.X @ other > 0) == data.y).mean() < best.mean()


@pytest.mark.parametrize("name", ["relevant features", *WITH_MEDIAN])
def test_privileged_features_give_the_label(name):
    data = PRIVILEGED[name](5000, rng=rng_of(0))
    weights = data.weights[data.weights != 0]
    assert data.bayes_privileged == 1.0
    assert_array_equal(data.X_privileged @ weights > data.threshold, data.y)


@pytest.mark.parametrize("name", WITH_MEDIAN)
def test_a_rule_of_one_call_serves_the_next_up_to_the_median(name):
    rng, m = rng_of(0), 4000
    train = PRIVILEGED[name](m, rng=rng)
    test = PRIVILEGED[name](m, rng=rng, weights=train.weights)
    assert train.threshold != test.threshold
    wrong = (test.X_privileged @ train.weights > train.threshold) != test.y
    # a sample quantile, counted in objects, has the standard deviation √(m/4) in each call
    assert wrong.mean() < STANDARD_ERRORS * np.sqrt(0.5 / m)


def test_by_text_the_columns_of_an_object_leave_its_label_nearly_to_chance():
    data = make_sample_dependent_features(4000, reading="text", rng=rng_of(0))
    assert np.isnan(data.bayes_privileged)
    assert np.isnan(data.bayes_plain)
    fit = np.linalg.lstsq(data.X_privileged, 2.0 * data.y - 1)[0]
    assert ((data.X_privileged @ fit > 0) == data.y).mean() < 0.7


# --- limits


@pytest.mark.parametrize("name", ["relevant features", "text", "code", "sorted"])
def test_all_columns_may_be_relevant(name):
    data = PRIVILEGED[name](20, 4, 4, rng=rng_of(0))
    assert_array_equal(np.sort(data.X_privileged, axis=1), np.sort(data.X, axis=1))


def test_weights_choose_the_relevant_columns():
    data = make_relevant_features(20, 5, 2, rng=rng_of(0), weights=[0, 1, 0, 0, -2])
    assert_array_equal(data.relevant, [1, 4])
    assert_array_equal(data.X_privileged, data.X[:, [1, 4]])


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
        ({"W": np.full((10, 3), -1e308)}, ValueError, "`W` must be at most 1e.150 in size, got 1e"),
        ({"W": "W"}, TypeError, r"`W` must be an array of real numbers, got dtype <U1"),
    ],
)
def test_bad_input_is_named(change, error, match):
    arguments = {"n_samples": 10, "rng": rng_of(0)} | change
    with pytest.raises(error, match=match):
        make_softmax_data(**arguments)


@pytest.mark.parametrize("name", PRIVILEGED)
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"n_samples": 0}, ValueError, r"`n_samples` must be at least 1, got 0"),
        ({"n_features": 2.5}, TypeError, r"`n_features` must be an integer, got 2.5"),
        ({"rng": None}, TypeError, r"`rng` must be a numpy.random.Generator, got NoneType"),
        ({"weights": np.ones(4)}, ValueError, r"`weights` must have shape \((3|50),\), got shape"),
        ({"weights": np.ones((1, 50))}, ValueError, r"`weights` must have 1 dimension\(s\)"),
        ({"weights": [np.inf]}, ValueError, r"`weights` must be finite, got inf at index \(0\)"),
        ({"weights": "w"}, TypeError, r"`weights` must be an array of real numbers"),
    ],
)
def test_bad_input_is_named_with_privileged_features(name, change, error, match):
    arguments = {"n_samples": 10, "rng": rng_of(0)} | change
    with pytest.raises(error, match=match):
        PRIVILEGED[name](**arguments)


@pytest.mark.parametrize("name", PRIVILEGED)
def test_weights_that_overflow_or_tell_nothing_apart_are_named(name):
    length = len(PRIVILEGED[name](10, 3, rng=rng_of(0)).weights)
    match = r"`weights` must be at most 1e\+150 in size, got 1e\+308"
    with pytest.raises(ValueError, match=match):
        PRIVILEGED[name](10, 3, rng=rng_of(0), weights=[1e308, *[-1.0] * (length - 1)])
    data = PRIVILEGED[name](10, 3, rng=rng_of(0), weights=[1e150, *[-1.0] * (length - 1)])
    assert np.isfinite(data.threshold)
    if name != "clean labels":  # whose noise is then the law
        with pytest.raises(ValueError, match="`weights` must differ from 0 in "):
            PRIVILEGED[name](10, 3, rng=rng_of(0), weights=np.zeros(length))


@pytest.mark.parametrize("name", ["relevant features", "text", "code", "sorted"])
def test_a_count_of_relevant_columns_out_of_range_is_named(name):
    with pytest.raises(ValueError, match=r"`n_relevant` must be at most the 2 feature\(s\), got 3"):
        PRIVILEGED[name](10, 2, rng=rng_of(0))
    with pytest.raises(ValueError, match=r"`n_relevant` must be at least 1, got 0"):
        PRIVILEGED[name](10, 2, 0, rng=rng_of(0))


def test_weights_and_readings_that_give_no_law_are_named():
    with pytest.raises(ValueError, match=r"`weights` must differ from 0 in some column, got only"):
        make_clean_features(10, 2, rng=rng_of(0), weights=np.zeros(2))
    for weights in (np.ones(5), [0, 1, 0, 1, 0]):
        with pytest.raises(ValueError, match=r"`weights` must differ from 0 in 3 column\(s\), got"):
            make_relevant_features(10, 5, rng=rng_of(0), weights=weights)
    with pytest.raises(ValueError, match=r"`reading` must be 'text' or 'code' or 'sorted', got 'p"):
        make_sample_dependent_features(10, 5, rng=rng_of(0), reading="paper")
