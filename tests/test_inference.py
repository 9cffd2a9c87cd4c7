"""Errors of the distilled estimate against refits, exact arithmetic, peers and simulation."""

import operator
import tracemalloc
from fractions import Fraction
from html.parser import HTMLParser

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kdtheory.inference import (
    automatic_covariance,
    estimable_parameters,
    inference,
    inference_from_sums,
    inference_sums,
)
from kdtheory.regression import RankWarning, distil_regression
from kdtheory.testing import masks, trusts

# Problems are standard normal with twice as many rows as columns: condition below 1e3 in all draws
RTOL = 1e-10  # condition times machine epsilon, with a factor 500: errors are ratios of differences
LONGLEY_DIGITS = 12
TINY = 1e-250  # a weight of the teacher below it may be lost in a product: then it did not enter
FAR = 1e-8  # fitted values of 1e8 are rounded by 1.5e-8, and so are residuals near 1
REPLICATIONS = 20_000  # the standard error of a coverage of 95 % is then 0.15 %
COVERED = (0.94, 0.96)

KINDS = ("precision", "frequency")
ERRORS = ("standard_errors", "statistics", "p_values", "low", "high", "covariance")
QUALITY = ("noise", "r_squared", "df", "n_objects", "n_privileged", "rank")


def problem(m=24, n=3, *, seed=0, outputs=None, share=0.5):
    """Arguments of distil_regression, with a teacher for some objects."""
    rng = np.random.default_rng(seed)
    shape = (m,) if outputs is None else (m, outputs)
    X = rng.standard_normal((m, n))
    y = rng.standard_normal(shape) + (X.sum(axis=1) if outputs is None else X[:, :1])
    return {
        "X": X,
        "y": y,
        "teacher": y + 0.5 * rng.standard_normal(shape),
        "privileged": np.arange(m) % 7 < 7 * share,
        "trust": 0.3,
        "sigma": 1.5,
        "sigma_teacher": 0.5,
        "fit_intercept": True,
    }


def rows_of(arguments, rows):
    """The same arguments for some rows, or for rows that repeat."""
    by_row = {"X", "y", "teacher", "privileged", "sample_weight"}
    return {k: v[rows] if k in by_row and v is not None else v for k, v in arguments.items()}


def design(arguments):
    X = arguments["X"]
    return np.column_stack([np.ones(len(X)), X]) if arguments["fit_intercept"] else X


def row_weights(arguments):
    """a and b of (15)."""
    inside, lam = arguments["privileged"], arguments["trust"]
    c = np.asarray(arguments.get("sample_weight", np.ones(len(inside))))
    a = c * np.where(inside, 1 - lam, 1.0) / np.square(arguments["sigma"])
    return a, c * np.where(inside, lam, 0.0) / np.square(arguments["sigma_teacher"])


def stacked(arguments, y, teacher):
    """(15) as rows for labels, rows for the teacher, rows for the ridge, by the SVD."""
    X, (a, b) = design(arguments), row_weights(arguments)
    penalty = np.eye(X.shape[1]) * np.sqrt(arguments.get("ridge", 0.0))
    penalty[0, 0] *= not arguments["fit_intercept"]
    rows = np.vstack([np.sqrt(a)[:, None] * X, np.sqrt(b)[:, None] * X, penalty])
    goal = [np.sqrt(a)[:, None] * y, np.sqrt(b)[:, None] * teacher]
    goal.append(np.zeros((X.shape[1], y.shape[1])))
    return np.linalg.lstsq(rows, np.vstack(goal), rcond=None)[0]


def assert_same_inference(one, other, *, rtol=RTOL, of=ERRORS + QUALITY):
    assert_allclose(one.estimates, other.estimates, rtol=rtol, atol=rtol)
    for name in of:
        found, expected = getattr(one, name), getattr(other, name)
        size = np.nanmax(np.abs(expected), initial=0)
        assert_allclose(found, expected, rtol=rtol, atol=rtol * size, err_msg=name)


# --- oracle: peers, refits, exact arithmetic, simulation


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("kind", ["classical", "sandwich"])
def test_labels_alone_have_the_errors_of_statsmodels(kind, fit_intercept, weighted):
    api = pytest.importorskip("statsmodels.api")
    arguments = problem()
    X, y = arguments["X"], arguments["y"]
    weight = np.random.default_rng(1).uniform(0.2, 5, len(y)) if weighted else np.ones(len(y))
    judge = api.WLS(y, api.add_constant(X) if fit_intercept else X, weights=weight).fit(
        **({"cov_type": "HC3", "use_t": True} if kind == "sandwich" else {})
    )
    fit = distil_regression(X, y, None, sample_weight=weight, fit_intercept=fit_intercept)
    found = inference(fit, covariance=kind, confidence=0.9)
    assert_allclose(found.standard_errors, judge.bse, rtol=RTOL)
    assert_allclose(found.statistics, judge.tvalues, rtol=RTOL)
    assert_allclose(found.p_values, judge.pvalues, rtol=1e-8)  # the tail of t magnifies errors of t
    assert_allclose(np.c_[found.low, found.high], judge.conf_int(0.1), rtol=RTOL, atol=RTOL)
    assert_allclose(found.covariance, judge.cov_params(), rtol=RTOL, atol=RTOL)
    assert found.df == judge.df_resid
    assert found.r_squared == pytest.approx(judge.rsquared, rel=RTOL)
    # statsmodels' scale is for weight 1, ours for the average weight
    assert found.noise == pytest.approx(np.sqrt(judge.scale / weight.mean()), rel=RTOL)


@pytest.mark.parametrize("correlation", [-1.0, 0.0, 0.7])
@pytest.mark.parametrize("ridge", [0.0, 2.0])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_model_covariance_is_that_of_the_linear_map(fit_intercept, ridge, correlation):
    rng = np.random.default_rng(5)
    arguments = problem() | {
        "ridge": ridge,
        "fit_intercept": fit_intercept,
        "sample_weight": rng.uniform(0.5, 3, 24),
        "sigma": rng.uniform(0.5, 2, 24),
    }
    m = len(arguments["y"])
    of_labels = stacked(arguments, np.eye(m), np.zeros((m, m)))
    of_teacher = stacked(arguments, np.zeros((m, m)), np.eye(m))
    sigma, sigma_teacher = rng.uniform(0.5, 2, m), rng.uniform(0.1, 1, m)
    c = arguments["sample_weight"]
    expected = (
        of_labels @ np.diag(sigma**2 / c) @ of_labels.T
        + of_teacher @ np.diag(sigma_teacher**2 / c) @ of_teacher.T
    )
    cross = of_labels @ np.diag(correlation * sigma * sigma_teacher / c) @ of_teacher.T
    expected += cross + cross.T
    found = inference(
        distil_regression(**arguments),
        sigma=sigma,
        sigma_teacher=sigma_teacher,
        noise_correlation=correlation,
    )
    assert found.kind == "model"
    assert_allclose(found.covariance, expected, rtol=RTOL, atol=RTOL * expected.max())


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_classical_covariance_with_a_ridge_is_that_of_the_linear_map(fit_intercept):
    arguments = problem() | {"trust": 0.0, "ridge": 2.0, "fit_intercept": fit_intercept}
    y, eye = arguments["y"][:, None], np.eye(24)
    to_estimate = stacked(arguments, eye, 0 * eye)
    residuals = y - design(arguments) @ to_estimate @ y
    variance = (residuals**2).sum() / (24 - np.trace(design(arguments) @ to_estimate))
    expected = variance * to_estimate @ to_estimate.T
    found = inference(distil_regression(**arguments))
    assert found.kind == "classical"
    assert_allclose(found.covariance, expected, rtol=RTOL, atol=RTOL * expected.max())


@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_sandwich_is_made_of_the_scores_without_each_object(ridge, trust):
    arguments = problem() | {"ridge": ridge, "trust": trust}
    X, (a, b) = design(arguments), row_weights(arguments)
    y, teacher = arguments["y"][:, None], arguments["teacher"][:, None]
    A = X.T @ np.diag(a + b) @ X + ridge * np.diag([0, 1, 1, 1])
    meat = np.zeros_like(A)
    for i in range(len(X)):
        rows = np.arange(len(X)) != i
        without = stacked(rows_of(arguments, rows), y[rows], teacher[rows])
        score = X[i] * (a[i] * (y[i] - X[i] @ without) + b[i] * (teacher[i] - X[i] @ without))
        meat += np.outer(score, score)
    expected = np.linalg.solve(A, np.linalg.solve(A, meat).T)
    found = inference(distil_regression(**arguments), covariance="sandwich")
    assert_allclose(found.covariance, expected, rtol=RTOL, atol=RTOL * expected.max())
    leverage = np.trace(np.linalg.solve(A, X.T @ np.diag(a + b) @ X))
    assert found.df == pytest.approx(len(X) - leverage, rel=RTOL)


def exact_least_squares(X, y):
    """Coefficients and squared standard errors of ordinary least squares, in rational numbers."""
    rows = [[Fraction(float(x)) for x in row] for row in X]
    goal = [Fraction(float(value)) for value in y]
    n = len(rows[0])
    # [XᵀX, I, Xᵀy] → [I, (XᵀX)⁻¹, w] by Gauss and Jordan
    table = [
        [sum(row[j] * row[k] for row in rows) for k in range(n)]
        + [Fraction(j == k) for k in range(n)]
        + [sum(row[j] * value for row, value in zip(rows, goal, strict=True))]
        for j in range(n)
    ]
    for j in range(n):
        table[j] = [entry / table[j][j] for entry in table[j]]
        for k in range(n):
            if k != j:
                factor = table[k][j]
                table[k] = [u - factor * v for u, v in zip(table[k], table[j], strict=True)]
    w = [row[-1] for row in table]
    residuals = [
        value - sum(x * v for x, v in zip(row, w, strict=True))
        for row, value in zip(rows, goal, strict=True)
    ]
    variance = sum(r * r for r in residuals) / (len(rows) - n)
    squares = [variance * table[j][n + j] for j in range(n)]
    return np.array(w, dtype=float), np.sqrt(np.array(squares, dtype=float))


def exact_inverse(matrix):
    """Inverse in rational numbers, by Gauss and Jordan."""
    n = len(matrix)
    table = [[*row, *(Fraction(j == k) for k in range(n))] for j, row in enumerate(matrix)]
    for j in range(n):
        table[j] = [entry / table[j][j] for entry in table[j]]
        for k in range(n):
            if k != j:
                factor = table[k][j]
                table[k] = [u - factor * v for u, v in zip(table[k], table[j], strict=True)]
    return np.array([row[n:] for row in table])


def digits(found, expected):
    return -np.log10(np.max(np.abs(found / expected - 1)) + 1e-16)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_longley_has_twelve_digits_in_every_standard_error(fit_intercept):
    data = pytest.importorskip("statsmodels.datasets").longley.load_pandas().data.to_numpy()
    y, X = data[:, 0], data[:, 1:]
    ones = np.column_stack([np.ones(len(X)), X])
    coef, errors = exact_least_squares(ones, y)
    # NIST's certified value for the year's coefficient, and its error
    assert_allclose((coef[-1], errors[-1]), (1829.15146461355, 455.478499142212), rtol=1e-14)
    fit = distil_regression(X if fit_intercept else ones, y, None, fit_intercept=fit_intercept)
    found = inference(fit)
    assert found.kind == "classical"
    assert digits(found.estimates, coef) >= LONGLEY_DIGITS
    assert digits(found.standard_errors, errors) >= LONGLEY_DIGITS


def test_powers_cost_classical_errors_no_digits():
    x = np.arange(21.0)
    powers = x[:, None] ** np.arange(6)
    y = x + np.round(np.random.default_rng(3).standard_normal(21), 3)
    _, errors = exact_least_squares(powers, y)
    found = inference(distil_regression(powers[:, 1:], y, None, fit_intercept=True))
    # the condition is 1600; Σσ′zzᵀ in floating point, in place of the identity, costs one digit
    assert digits(found.standard_errors, errors) >= 14.4


def test_features_near_1e8_cost_no_digits():
    rng = np.random.default_rng(8)
    X = 1e8 + rng.standard_normal((20, 2))
    y = X.sum(axis=1) - 2e8 + rng.standard_normal(20)
    _, errors = exact_least_squares(np.column_stack([np.ones(20), X]), y)
    near = inference(distil_regression(X - 1e8, y, None, fit_intercept=True), covariance="sandwich")
    fit = distil_regression(X, y, None, fit_intercept=True)
    assert_allclose(inference(fit).standard_errors, errors, rtol=FAR)
    found = inference(fit, covariance="sandwich")
    assert_allclose(found.standard_errors[1:], near.standard_errors[1:], rtol=FAR)


def coverage(fit, truth, **arguments):
    found = inference(fit, **arguments)
    return ((found.low <= truth) & (truth <= found.high)).mean(axis=1)


def simulation(
    *,
    trust,
    correlation=0.0,
    share=1.0,
    told="most",
    heteroscedastic=False,
    sigma_teacher=0.5,
):
    """Many draws of labels and answers for the same X, one a column; and the true parameters."""
    rng = np.random.default_rng(2)
    m, n = 150, 3
    X = rng.standard_normal((m, n))
    truth = np.array([0.5, 1.0, -2.0, 0.0])
    shape = (m, REPLICATIONS)
    size = np.abs(X[:, 0]) + 0.3 if heteroscedastic else np.ones(m)
    noise, own = rng.standard_normal(shape), rng.standard_normal(shape)
    answers = correlation * noise + np.sqrt(1 - correlation**2) * own
    mean = (truth[0] + X @ truth[1:])[:, None]
    # the teacher answers for the objects that tell most, or least, about the first slope
    order = np.argsort(np.abs(X[:, 0]) * (-1 if told == "most" else 1))
    privileged = np.argsort(order) < share * m
    fit = distil_regression(
        X,
        mean + size[:, None] * noise,
        mean + sigma_teacher * answers,
        privileged=privileged,
        trust=trust,
        sigma_teacher=sigma_teacher,
        fit_intercept=True,
    )
    return fit, truth[:, None]


@pytest.mark.parametrize("trust", [0.3, 0.7])
@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"correlation": 0.7},
        {"heteroscedastic": True},
        {"share": 0.4},
        {"share": 0.4, "correlation": 0.7, "heteroscedastic": True},
    ],
    ids=["independent", "correlated", "heteroscedastic", "partial", "everything"],
)
def test_sandwich_intervals_cover_95_times_of_100(setting, trust):
    fit, truth = simulation(trust=trust, **setting)
    covered = coverage(fit, truth, covariance="sandwich")
    assert ((COVERED[0] <= covered) & (covered <= COVERED[1])).all(), covered


@pytest.mark.parametrize("trust", [0.3, 0.7])
@pytest.mark.parametrize("correlation", [0.0, 0.7])
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_model_intervals_cover_95_times_of_100(share, correlation, trust):
    fit, truth = simulation(trust=trust, correlation=correlation, share=share)
    covered = coverage(fit, truth, sigma=1.0, sigma_teacher=0.5, noise_correlation=correlation)
    assert ((COVERED[0] <= covered) & (covered <= COVERED[1])).all(), covered


@pytest.mark.parametrize(("told", "bounds"), [("most", (0.97, 1.0)), ("least", (0.0, 0.93))])
def test_errors_of_the_blend_as_if_it_were_data_do_not_cover(told, bounds):
    # an equal teacher halves the variance where it answers, and leaves every weight at 1: errors
    # are too wide for a slope that those objects tell of, too narrow for one that others tell of
    fit, truth = simulation(trust=0.5, share=0.4, sigma_teacher=1.0, told=told)
    blend = distil_regression(
        fit.X, fit.targets, None, sample_weight=fit.weights, fit_intercept=True
    )
    assert_allclose(blend.coef, fit.coef, rtol=RTOL, atol=RTOL)
    naive = coverage(blend, truth, covariance="classical")
    assert bounds[0] <= naive[1] <= bounds[1], naive
    honest = coverage(fit, truth)
    assert ((COVERED[0] <= honest) & (honest <= COVERED[1])).all(), honest


def test_the_inverse_does_not_cover_even_with_known_noise():
    # all weights are 1 and all variances 1/2
    fit, truth = simulation(trust=0.5, sigma_teacher=1.0)
    blend = distil_regression(fit.X, fit.targets, None, fit_intercept=True)
    assert (coverage(blend, truth, sigma=1.0) > 0.99).all()


@pytest.mark.parametrize("known", [False, True])
def test_a_ridge_leaves_columns_in_small_units_their_errors(known):
    # shrunk by 1e18 and more: without their own unit they drown in the rounding of the others
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 3)) * [1e-9, 1e-10, 1e5]
    y, sigma = rng.standard_normal(8), 10.0 ** rng.uniform(-1, 1, 8)
    fit = distil_regression(X, y, None, ridge=0.1, sigma=sigma)
    found = inference(fit, sigma=sigma) if known else inference(fit, covariance="sandwich")
    # the map from y to the estimate in rational numbers
    exact = [[Fraction(x) for x in row] for row in X.tolist()]
    weighted = [[Fraction(w) * x for x in row] for w, row in zip(sigma**-2.0, exact, strict=True)]
    gram = [[sum(map(operator.mul, a, b)) for b in zip(*exact, strict=True)]
            for a in zip(*weighted, strict=True)]  # fmt: skip
    for j in range(3):
        gram[j][j] += Fraction(0.1)
    estimator = exact_inverse(gram) @ np.array(weighted).T
    deviation = sigma if known else np.abs(fit.loo_residuals)
    expected = np.sqrt(((estimator * deviation) ** 2).sum(axis=1).astype(float))
    assert_allclose(found.standard_errors, expected, rtol=RTOL)


# --- laws


@st.composite
def weighted_problems(draw):
    m = draw(st.integers(12, 20))
    arguments = problem(m, 2, seed=draw(st.integers(0, 10_000)))
    counts = draw(st.lists(st.integers(0, 3), min_size=m, max_size=m).filter(lambda c: sum(c) > 0))
    # at least as many rows of positive weight as are needed for one degree of freedom
    counts[:8] = [max(count, 1) for count in counts[:8]]
    changed = {
        "privileged": draw(masks(m)),
        "trust": draw(trusts().filter(lambda trust: trust == 0 or trust > TINY)),
        "ridge": draw(st.sampled_from([0.0, 0.5])),
        "fit_intercept": draw(st.booleans()),
        "sample_weight": np.array(counts, dtype=float),
    }
    return arguments | changed


def every_covariance(fit, **arguments):
    yield inference(fit, covariance="sandwich", **arguments)
    yield inference(fit, sigma=2.0, sigma_teacher=0.5, noise_correlation=0.3, **arguments)
    if not (fit.teacher_weight > 0).any():
        yield inference(fit, covariance="classical", **arguments)


@given(weighted_problems())
def test_frequency_weights_are_repeated_rows(arguments):
    counts = arguments["sample_weight"].astype(int)
    repeated = rows_of(arguments, np.repeat(np.arange(len(counts)), counts))
    repeated.pop("sample_weight")
    weighted = distil_regression(**arguments)
    for one, other in zip(
        every_covariance(weighted, weights_kind="frequency"),
        every_covariance(distil_regression(**repeated)),
        strict=True,
    ):
        assert_same_inference(one, other)
        assert one.n_objects == counts.sum()


@pytest.mark.parametrize("weights_kind", KINDS)
@given(arguments=weighted_problems())
def test_a_row_of_weight_zero_is_no_row(weights_kind, arguments):
    dropped = rows_of(arguments, arguments["sample_weight"] > 0)
    for one, other in zip(
        every_covariance(distil_regression(**arguments), weights_kind=weights_kind),
        every_covariance(distil_regression(**dropped), weights_kind=weights_kind),
        strict=True,
    ):
        assert_same_inference(one, other)


@given(weighted_problems(), st.sampled_from([2.0**-40, 1e-3, 7.0, 1e150]))
def test_precision_weights_matter_up_to_a_factor(arguments, factor):
    arguments["ridge"] = 0.0
    scaled = arguments | {"sample_weight": factor * arguments["sample_weight"]}
    one = inference(distil_regression(**arguments), covariance="sandwich")
    other = inference(distil_regression(**scaled), covariance="sandwich")
    assert_same_inference(other, one)


@given(weighted_problems(), st.sampled_from([-3.0, 1e-6, 1e6]))
def test_errors_have_units(arguments, unit):
    arguments["ridge"] = 0.0
    changed = {k: unit * arguments[k] for k in ("y", "teacher")}
    # every weight takes the new unit too: σ in units of y
    for one, other in zip(
        every_covariance(distil_regression(**arguments)),
        every_covariance(distil_regression(**(arguments | changed))),
        strict=True,
    ):
        factor = 1.0 if one.kind == "model" else abs(unit)  # the known noise was left alone
        assert_allclose(other.standard_errors, factor * one.standard_errors, rtol=RTOL)
        assert other.noise == pytest.approx(abs(unit) * one.noise, rel=RTOL)
        assert other.r_squared == pytest.approx(one.r_squared, rel=RTOL, abs=RTOL)


def test_errors_of_slopes_have_the_units_of_one_over_x():
    arguments = problem()
    units = np.array([1e-5, 1.0, 1e7])
    one = inference(distil_regression(**arguments))
    other = inference(distil_regression(**(arguments | {"X": arguments["X"] * units})))
    assert_allclose(other.standard_errors[1:] * units, one.standard_errors[1:], rtol=RTOL)
    assert_allclose(other.statistics, one.statistics, rtol=RTOL)


@pytest.mark.parametrize("rows", [slice(None, None, -1), np.random.default_rng(3).permutation(24)])
def test_the_order_of_rows_does_not_matter(rows):
    arguments = problem()
    one = inference(distil_regression(**arguments))
    assert_same_inference(inference(distil_regression(**rows_of(arguments, rows))), one)


@pytest.mark.parametrize(
    ("noise", "taught", "general", "kind"),
    [
        ((), False, "sandwich", "classical"),
        ((), True, "sandwich", "sandwich"),
        ((), True, "pooled", "pooled"),
        ((1.0,), False, "sandwich", "model"),
        ((1.0,), True, "sandwich", "sandwich"),
        ((None, 1.0), False, "sandwich", "classical"),
        ((1.0, 1.0), True, "pooled", "model"),
    ],
)
def test_automatic_covariance_takes_what_is_known(noise, taught, general, kind):
    assert automatic_covariance(*noise, taught=taught, general=general) == kind


@pytest.mark.parametrize("kind", ["sandwich", "model"])
@pytest.mark.parametrize("weights_kind", KINDS)
def test_sums_of_chunks_add_up(weights_kind, kind):
    arguments = problem(outputs=2) | {"sample_weight": np.arange(24) % 4 * 1.0, "sigma": 1.0}
    fit = distil_regression(**arguments)
    known = {"sigma": 1.0, "sigma_teacher": 0.5} if kind == "model" else {}
    total = None
    for rows in (slice(0, 1), slice(1, 5), slice(5, 5), slice(5, 24)):
        part = inference_sums(
            fit.solution,
            fit.X[rows],
            fit.y[rows],
            fit.teacher[rows],
            fit.residuals[rows],
            fit.label_weight[rows],
            fit.teacher_weight[rows],
            fit.sample_weight[rows],
            label_precision=fit.sample_weight[rows],
            covariance=kind,
            weights_kind=weights_kind,
            **known,
        )
        total = part if total is None else total + part
    found = inference_from_sums(
        fit.solution,
        total,
        covariance=kind,
        weights_kind=weights_kind,
        trust=0.3,
        many_outputs=True,
    )
    expected = inference(fit, covariance=kind, weights_kind=weights_kind, **known)
    assert_same_inference(found, expected)
    assert found.summary() == expected.summary()


@pytest.mark.parametrize("solver", ["cholesky", "qr", "svd"])
def test_blocks_do_not_show(solver, monkeypatch):
    fit = distil_regression(**problem(), solver=solver)
    expected = inference(fit)
    monkeypatch.setattr("kdtheory.least_squares.ROWS", 5)
    assert_same_inference(inference(fit), expected)


def test_ranges_of_rows_add_up(monkeypatch):
    fit = distil_regression(**problem())
    expected = inference(fit)

    def two_ranges(part, m, **_):  # as two threads would take them
        return tuple(map(operator.add, part(0, 10), part(10, m)))

    monkeypatch.setattr("kdtheory.inference.row_sums", two_ranges)
    assert_same_inference(inference(fit), expected)


def test_sparse_rows_have_the_errors_of_dense_ones():
    arguments = problem()
    arguments["X"] = arguments["X"] * (np.abs(arguments["X"]) > 0.5)
    expected = inference(distil_regression(**arguments))
    for make in (sp.csr_array, sp.csc_array, sp.csr_matrix, sp.coo_array):
        fit = distil_regression(**(arguments | {"X": make(arguments["X"])}))
        assert_same_inference(inference(fit), expected)


def test_outputs_are_inferred_one_by_one():
    arguments = problem(outputs=3)
    fit = distil_regression(**arguments)
    known = {"sigma": 2.0, "sigma_teacher": 1.0}
    for extra in ({}, known):
        together = inference(fit, **extra)
        assert together.estimates.shape == (4, 3)
        assert together.covariance.shape == (3, 4, 4)
        assert together.target_names == ("y0", "y1", "y2")
        for k in range(3):
            one = {name: arguments[name][:, k] for name in ("y", "teacher")}
            alone = inference(distil_regression(**(arguments | one)), **extra)
            for name in ("estimates", "standard_errors", "p_values", "low", "high"):
                assert_allclose(getattr(together, name)[:, k], getattr(alone, name), rtol=RTOL)
            assert_allclose(together.covariance[k], alone.covariance, rtol=RTOL, atol=RTOL)
            assert together.noise[k] == pytest.approx(alone.noise)
            assert together.r_squared[k] == pytest.approx(alone.r_squared)
    arguments["y"], arguments["teacher"] = arguments["y"][:, :1], arguments["teacher"][:, :1]
    assert inference(distil_regression(**arguments)).estimates.shape == (4, 1)


@given(weighted_problems())
def test_covariance_is_symmetric_and_positive_semidefinite(arguments):
    for found in every_covariance(distil_regression(**arguments)):
        assert_array_equal(found.covariance, found.covariance.T)
        values = np.linalg.eigvalsh(found.covariance)
        assert values.min() >= -1e-15 * len(values) * values.max()
        assert_allclose(np.sqrt(np.diag(found.covariance)), found.standard_errors, rtol=1e-14)


@given(trusts(), st.floats(0.1, 3), st.floats(0.1, 3))
@example(0.5, 1.0, 1.0)
@example(0.0, 1.0, 2.0)
@example(1.0, 1.0, 2.0)
def test_the_inverse_is_the_covariance_only_where_one_source_rules(trust, sigma, sigma_teacher):
    arguments = problem() | {
        "trust": trust,
        "sigma": sigma,
        "sigma_teacher": sigma_teacher,
        "privileged": np.ones(24, dtype=bool),
    }
    fit = distil_regression(**arguments)
    found = inference(fit, sigma=sigma, sigma_teacher=sigma_teacher)
    X = design(arguments)
    inverse = np.linalg.inv(X.T @ np.diag(fit.weights) @ X)
    of_label, of_teacher = (1 - trust) / sigma**2, trust / sigma_teacher**2
    tempered = ((1 - trust) * of_label + trust * of_teacher) / (of_label + of_teacher)
    assert_allclose(found.covariance, tempered * inverse, rtol=RTOL, atol=RTOL * inverse.max())
    assert (tempered == 1) == (trust in (0, 1)) or min(trust, 1 - trust) < 1e-10


def test_dependent_columns_leave_the_errors_of_what_is_determined():
    arguments = problem()
    full = inference(distil_regression(**arguments), covariance="sandwich")
    X = arguments["X"]
    copies = arguments | {"X": np.column_stack([X, X[:, 0] + X[:, 1]])}
    with pytest.warns(RankWarning):
        fit = distil_regression(**copies)
    assert_array_equal(estimable_parameters(fit.solution), [True, False, False, True, False])
    found = inference(fit, covariance="sandwich", names=["a", "b", "c", "d"])
    assert_allclose(found.standard_errors[[0, 3]], full.standard_errors[[0, 3]], rtol=RTOL)
    assert_array_equal(np.isnan(found.standard_errors), [False, True, True, False, True])
    assert_array_equal(np.isnan(found.p_values), np.isnan(found.standard_errors))
    assert np.isnan(found.covariance).sum() == 25 - 4
    assert found.df == full.df
    assert found.notes == ("The columns have rank 4, and the data do not determine a, b, d.",)
    assert "n/a" in str(found.summary())


@pytest.mark.parametrize(
    ("X", "determined"),
    [
        # a constant column beside the intercept; a zero column; one for each of all groups
        (lambda x: np.column_stack([x, np.full(24, 5.0)]), [False, True, False]),
        (lambda x: np.column_stack([x, np.zeros(24)]), [True, True, False]),
        (
            lambda x: np.column_stack([x, *np.eye(3)[np.arange(24) % 3].T]),
            [False, True] + [False] * 3,
        ),
        # one column in two units, around 0 and far from it
        (lambda x: np.column_stack([x, 1e6 * x]), [True, False, False]),
        (lambda x: np.column_stack([x + 2**20, x + 2**20]), [True, False, False]),
        (lambda x: np.column_stack([x + 2**20, x - 2**20]), [False, False, False]),
    ],
    ids=["constant", "zero", "groups", "units", "far", "apart"],
)
def test_intercept_is_determined_where_every_minimiser_has_the_same(X, determined):
    arguments = problem(n=1)
    x = np.round(arguments["X"][:, 0] * 2**20) / 2**20  # sums with 2**20 are exact
    with pytest.warns(RankWarning):
        fit = distil_regression(**(arguments | {"X": X(x)}))
    assert_array_equal(estimable_parameters(fit.solution), determined)


def test_without_an_intercept_what_is_determined_is_the_row_space():
    arguments = problem() | {"fit_intercept": False}
    arguments["X"] = arguments["X"][:, [0, 1, 1]]
    with pytest.warns(RankWarning):
        fit = distil_regression(**arguments)
    assert_array_equal(estimable_parameters(fit.solution), [True, False, False])
    assert inference(fit).rank == 2


def test_an_object_of_leverage_1_costs_only_what_it_determines():
    arguments = problem()
    alone = np.zeros((24, 1))
    alone[5] = 1.0
    found = inference(
        distil_regression(**(arguments | {"X": np.hstack([arguments["X"], alone])})),
        covariance="sandwich",
    )
    rest = inference(
        distil_regression(**rows_of(arguments, np.arange(24) != 5)), covariance="sandwich"
    )
    assert_allclose(found.standard_errors[:4], rest.standard_errors, rtol=RTOL)
    assert np.isnan(found.standard_errors[4])
    assert found.notes == (
        "An object of leverage 1 leaves no residual to judge its noise by: no error for x3.",
    )


def test_float32_features_are_inferred_in_double():
    arguments = problem()
    X = arguments["X"].astype(np.float32)
    single = inference(distil_regression(**(arguments | {"X": X})))
    double = inference(distil_regression(**(arguments | {"X": X.astype(np.float64)})))
    assert_same_inference(single, double)


def test_memory_is_that_of_a_block():
    rng = np.random.default_rng(0)
    m, n = 100_000, 20
    X, y = rng.standard_normal((m, n)), rng.standard_normal(m)
    fit = distil_regression(X, y, -y, trust=0.3, fit_intercept=True)
    fit.residuals  # noqa: B018  an array of m numbers that the fit keeps
    tracemalloc.start()
    inference(fit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 2  # some vectors of m numbers, never the m · n of X


def test_quality_is_about_the_true_labels():
    arguments = problem()
    fit = distil_regression(**arguments)
    found = inference(fit)
    fitted = design(arguments) @ found.estimates
    y = arguments["y"]
    assert found.r_squared == pytest.approx(1 - ((y - fitted) ** 2).sum() / 24 / y.var(), rel=RTOL)
    assert found.noise == pytest.approx(np.sqrt(((y - fitted) ** 2).sum() / 20), rel=RTOL)
    assert (found.n_objects, found.n_privileged) == (24, arguments["privileged"].sum())


# --- limits


def test_without_a_teacher_errors_are_classical_and_no_answer_counts():
    arguments = problem()
    labels = {k: v for k, v in arguments.items() if k not in ("teacher", "privileged")}
    for change in ({"trust": 0.0}, {"privileged": np.zeros(24, dtype=bool)}):
        found = inference(distil_regression(**(arguments | change)))
        assert found.kind == "classical"
        assert found.n_privileged == 0
        expected = inference(distil_regression(**(labels | {"teacher": None})))
        assert_same_inference(found, expected)


def test_full_trust_is_inference_about_the_teacher():
    arguments = problem() | {"trust": 1.0, "privileged": np.ones(24, dtype=bool)}
    found = inference(distil_regression(**arguments), covariance="sandwich")
    swapped = distil_regression(arguments["X"], arguments["teacher"], None, fit_intercept=True)
    expected = inference(swapped, covariance="sandwich")
    assert_same_inference(found, expected, of=ERRORS)
    residuals = arguments["y"] - design(arguments) @ found.estimates
    of_labels = 1 - (residuals**2).mean() / arguments["y"].var()  # which it did not see
    assert found.r_squared == pytest.approx(of_labels, rel=RTOL)


def test_full_trust_weighs_residuals_of_labels_by_the_noise_of_labels():
    sigma = np.linspace(0.5, 2, 24)
    arguments = problem() | {"trust": 1.0, "sigma": sigma}
    found = inference(distil_regression(**arguments))
    residuals = arguments["y"] - design(arguments) @ found.estimates
    u = 1 / sigma**2
    assert found.noise == pytest.approx(np.sqrt(24 / 20 * (u @ residuals**2) / u.sum()), rel=RTOL)


def test_errors_are_continuous_where_the_teacher_leaves():
    arguments = problem()
    at = inference(distil_regression(**(arguments | {"trust": 0.0})), covariance="sandwich")
    near = inference(distil_regression(**(arguments | {"trust": 1e-9})), covariance="sandwich")
    assert_allclose(near.standard_errors, at.standard_errors, rtol=1e-7)


def test_a_ridge_is_said():
    found = inference(distil_regression(**problem(), ridge=1.0))
    assert "bias is not in them" in found.notes[0]
    assert "penalised" in str(found.summary())


def test_known_noise_needs_no_degree_of_freedom():
    fit = distil_regression([[1.0], [2.0]], [1.0, 3.0], None, fit_intercept=True)
    found = inference(fit, sigma=1.0)
    assert_allclose(found.covariance, [[5, -3], [-3, 2]], rtol=RTOL)
    assert found.df == 0
    assert np.isnan(found.noise)
    with pytest.raises(ValueError, match=r"more rows of positive weight than its rank 2 .* got 2"):
        inference(fit)


def test_many_degrees_of_freedom_are_the_normal():
    from scipy.special import ndtri

    m = 20_000
    X = np.random.default_rng(0).standard_normal((m, 1))
    found = inference(distil_regression(X, X[:, 0] + np.sin(np.arange(m)), None))
    half = (found.high - found.low) / 2 / found.standard_errors
    assert half[0] == pytest.approx(ndtri(0.975), rel=1e-4)  # t differs by 1/df


def test_labels_that_do_not_vary_have_no_r_squared():
    found = inference(
        distil_regression(np.arange(5.0)[:, None], np.zeros(5), None, fit_intercept=True)
    )
    assert np.isnan(found.r_squared)
    assert found.noise == 0
    assert np.isnan(found.statistics).all()  # 0 / 0
    assert "n/a" in str(found.summary())


# --- the summary


def test_summary_is_this_text():
    fit = distil_regression(
        [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]],
        [0.0, 1.5, 2.0, 3.5, 3.0, 5.5],
        [0.5, 1.0, 2.0, 3.0, 4.5, 5.0],
        trust=0.5,
        fit_intercept=True,
    )
    found = inference(fit, sigma=1.0, sigma_teacher=1.0, names=["dose"], target_names=["answer"])
    assert str(found.summary()) == TEXT
    assert repr(found.summary()) == TEXT


TEXT = """\
Distilled linear regression
================================================================
Objects                      6    With a teacher               6
Trust                      0.5    Ridge                        0
R²                      0.9047    Noise σ                 0.6495
Rank                         2    Condition                    1
Residual df                  4    Solver                cholesky
Covariance               model    Weights              precision
----------------------------------------------------------------
answer
           estimate  std. error     z        p  95 % low    high
intercept  0.214286      0.5118  0.42   0.6754  -0.78876  1.2173
dose       0.964286      0.1690  5.70  <0.0001   0.63299  1.2956
================================================================"""


class Cells(HTMLParser):
    """Tags and text of a page, that every opened tag is closed."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.scopes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "th":
            self.scopes.append(dict(attrs)["scope"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_the_same_table_and_escapes_names():
    arguments = problem(outputs=2)
    names = ["<script>", "a & b", 'say "x"']
    summary = inference(
        distil_regression(**arguments, ridge=1.0), names=names, target_names=["<i>", "u"]
    ).summary()
    html = summary._repr_html_()
    assert "<script>" not in html
    assert "<i>" not in html
    page = Cells()
    page.feed(html)
    page.close()
    assert page.open == []
    assert html.count("<caption>") == 3
    assert set(page.scopes) == {"row", "col"}
    shown = {cell for _, table in summary.tables for row in table for cell in row}
    shown |= {value for fact in summary.facts for value in fact} | set(summary.notes)
    assert shown <= set(page.text)
    assert set(names) <= shown


def test_text_fits_a_terminal_whatever_the_numbers():
    arguments = problem()
    X = arguments["X"] * [1e-12, 1e12, 1.0]
    y, teacher = -1.23456789e9 * arguments["y"], -1.23456789e9 * arguments["teacher"]
    fit = distil_regression(**(arguments | {"X": X, "y": y, "teacher": teacher}))
    text = str(inference(fit, confidence=0.999).summary())
    assert max(map(len, text.splitlines())) <= 80
    assert text == str(inference(fit, confidence=0.999).summary())


def test_names_stay_on_their_line():
    summary = inference(distil_regression(**problem()), names=["a\nb", "c\x07", "d"]).summary()
    assert [row[0] for row in summary.tables[0][1]] == ["intercept", "a b", "c?", "d"]


def test_small_p_values_and_large_statistics_are_shown_as_such():
    X = np.arange(1.0, 9.0)[:, None]
    y = X[:, 0] + 1e-9 * np.array([1, -1, -1, 1, 1, -1, -1, 1])
    ((_, (row,)),) = inference(distil_regression(X, y, None)).summary().tables
    assert row[1] == "1.00000"
    assert "e+" in row[3]
    assert row[4] == "<0.0001"


# --- bad input


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, np.nan])
def test_confidence_is_inside_the_unit_interval(confidence):
    with pytest.raises(ValueError, match=r"`confidence` must be in \(0, 1\), got"):
        inference(distil_regression(**problem()), confidence=confidence)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (
            {"covariance": "HC1"},
            ValueError,
            "`covariance` must be 'auto' or 'model' or .* got 'HC1'",
        ),
        ({"covariance": "classical"}, ValueError, "must not be 'classical' .* not data"),
        ({"covariance": "model"}, ValueError, "`sigma` and `sigma_teacher` must be given"),
        ({"sigma": 1.0}, ValueError, "`sigma` and `sigma_teacher` must be given"),
        ({"sigma_teacher": 1.0}, ValueError, "`sigma` and `sigma_teacher` must be given"),
        (
            {"covariance": "sandwich", "sigma": 1.0, "sigma_teacher": 1.0},
            ValueError,
            "must be None for the covariance 'sandwich'",
        ),
        ({"sigma": 0.0, "sigma_teacher": 1.0}, ValueError, "`sigma` must be finite and positive"),
        ({"sigma": np.ones(3), "sigma_teacher": 1.0}, ValueError, r"`sigma` .* shape \(24,\)"),
        ({"sigma": 1.0, "sigma_teacher": -1.0}, ValueError, "`sigma_teacher` must be finite"),
        ({"noise_correlation": 0.5}, ValueError, "must be 0 unless .* 'model', got 0.5"),
        (
            {"noise_correlation": 1.5, "sigma": 1.0, "sigma_teacher": 1.0},
            ValueError,
            r"`noise_correlation` must be in \[-1, 1\], got 1.5",
        ),
        ({"weights_kind": "analytic"}, ValueError, "`weights_kind` must be 'precision' or 'freq"),
        ({"weights_kind": "frequency"}, ValueError, r"whole numbers, got 0.5 at index \(0\)"),
        ({"confidence": "95 %"}, TypeError, "`confidence` must be a real number"),
        ({"names": ["a"]}, ValueError, r"`names` must have 3 name\(s\), got 1"),
        ({"names": "abc"}, TypeError, "`names` must be a sequence of texts, got 'abc'"),
        ({"names": [1, 2, 3]}, TypeError, "`names` must be a sequence of texts"),
        ({"target_names": ["a", "b"]}, ValueError, r"`target_names` must have 1 name\(s\), got 2"),
    ],
)
def test_bad_input_is_named(change, error, match):
    fit = distil_regression(**problem(), sample_weight=np.full(24, 0.5))
    with pytest.raises(error, match=match):
        inference(fit, **change)


def test_a_fit_without_an_inverse_has_no_errors():
    X = sp.random(40, 5, density=0.5, random_state=0, format="csr")
    fit = distil_regression(X, np.arange(40.0), None, solver="lsmr")
    with pytest.raises(ValueError, match="fewer columns for an inverse"):
        inference(fit)


def test_model_without_a_teacher_needs_the_noise_of_labels_alone():
    fit = distil_regression(**(problem() | {"trust": 0.0}))
    with pytest.raises(ValueError, match="`sigma` must be given for the covariance 'model'"):
        inference(fit, covariance="model")
    assert inference(fit, sigma=1.0).kind == "model"
