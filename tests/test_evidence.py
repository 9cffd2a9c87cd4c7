"""Evidence of trust and noises: densities, simulated data, and the laws of the posterior."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal
from selection_problems import BAD_ROWS, one_problem, per_object

from kdtheory.evidence import NotIdentifiedError, maximum_evidence
from kdtheory.regression import distil_regression

# Problems are standard normal with ten times as many rows as columns
RTOL = 1e-10  # square of their condition times machine epsilon, with a factor 1000
DENSITY = 1e-10  # a log density of some tens of numbers
FLAT = 1e-7  # root of the rounding of a value at whose maximum a search may stop
GRADED = 1e-2  # machine epsilon times the square of a condition of 1e6, with a factor 50
DEVIATIONS = 4  # standard errors; three numbers for each of seven cases, with a fixed seed


# --- oracle: a density


def evidence_problem(seed=3, m=40, n=3, **change):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n))
    inside = np.arange(m) % 2 == 0
    return {
        "X": X,
        "y": X.sum(axis=1) + rng.standard_normal(m) * np.where(inside, 2.0, 1.0),
        "teacher": X.sum(axis=1) + rng.standard_normal(m),
        "privileged": inside,
    } | change


def stacked_rows(problem, trust, sigma, sigma_teacher):
    """Rows, numbers and precisions of the data that enter the model."""
    inside = problem["privileged"]
    c = problem.get("sample_weight", np.ones(len(inside)))
    label = c * np.where(inside, 1 - trust, 1.0) / sigma**2
    answer = c * np.where(inside, trust, 0.0) / sigma_teacher**2
    X = problem["X"]
    if problem.get("fit_intercept"):
        X = np.column_stack([np.ones(len(X)), X])
    a, b = label > 0, answer > 0
    return (
        np.vstack([X[a], X[b]]),
        np.concatenate([problem["y"][a], problem["teacher"][b]]),
        np.concatenate([label[a], answer[b]]),
    )


LEVELS = [(0.3, 1.2, 0.7), (0.0, 1.0, 0.7), (1.0, 1.3, 0.5)]


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("weights", [None, "some"])
def test_with_a_ridge_the_evidence_is_a_normal_density(levels, weights):
    problem = evidence_problem(ridge=0.8)
    if weights:
        problem["sample_weight"] = per_object(40)["sample_weight"]
    trust, sigma, sigma_teacher = levels
    found = maximum_evidence(**problem, trust=trust, sigma=sigma, sigma_teacher=sigma_teacher)
    rows, numbers, precision = stacked_rows(problem, *levels)
    density = multivariate_normal(cov=rows @ rows.T / 0.8 + np.diag(1 / precision))
    assert_allclose(found.log_evidence, density.logpdf(numbers), rtol=DENSITY)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("intercept", [False, True])
def test_with_a_flat_prior_the_evidence_is_the_restricted_likelihood(levels, intercept):
    problem = evidence_problem(fit_intercept=intercept)
    trust, sigma, sigma_teacher = levels
    found = maximum_evidence(**problem, trust=trust, sigma=sigma, sigma_teacher=sigma_teacher)
    assert_allclose(found.log_evidence, restricted_likelihood(problem, levels), rtol=DENSITY)


def restricted_likelihood(problem, levels):
    rows, t, precision = stacked_rows(problem, *levels)
    A = rows.T @ (precision[:, None] * rows)
    residual = t - rows @ np.linalg.solve(A, rows.T @ (precision * t))
    return -0.5 * (
        (len(t) - rows.shape[1]) * np.log(2 * np.pi)
        - np.log(precision).sum()
        + np.linalg.slogdet(A)[1]
        + precision @ residual**2
    )


def test_a_wide_prior_is_a_flat_one_but_for_its_own_density():
    problem = evidence_problem(fit_intercept=True)
    levels = {"trust": 0.3, "sigma": 1.2, "sigma_teacher": 0.7}
    flat = maximum_evidence(**problem, **levels)
    wide = maximum_evidence(**problem, **levels, ridge=1e-8)
    density = 3 / 2 * np.log(1e-8 / (2 * np.pi))
    assert_allclose(wide.log_evidence, flat.log_evidence + density, rtol=1e-8)


def test_two_outputs_share_the_noises_and_their_evidence_adds_up():
    problem = tempered_data(m=300, ridge=0.8)
    y2, s2 = problem["X"][:, 0] - problem["y"], problem["X"][:, 0] - problem["teacher"]
    levels = {"trust": 0.3, "sigma": 1.2, "sigma_teacher": 0.7}
    both = problem | {
        "y": np.column_stack([problem["y"], y2]),
        "teacher": np.column_stack([problem["teacher"], s2]),
    }
    found = maximum_evidence(**both, **levels)
    first = maximum_evidence(**problem, **levels)
    second = maximum_evidence(**(problem | {"y": y2, "teacher": s2}), **levels)
    assert_allclose(found.log_evidence, first.log_evidence + second.log_evidence, rtol=DENSITY)
    assert_allclose(found.coef, np.column_stack([first.coef, second.coef]), rtol=RTOL)
    assert found.intercept.shape == (2,)
    assert_slopes_vanish(both, {})


FREE = [
    {},
    {"trust": 0.6},
    {"sigma": 1.5},
    {"sigma_teacher": 0.4},
    {"sigma": 1.5, "sigma_teacher": 0.4},
    {"trust": 0.6, "sigma": 1.5},
    {"trust": 0.6, "sigma_teacher": 0.4},
]
TRUTH = {"trust": 0.6, "sigma": 1.5, "sigma_teacher": 0.4}


def tempered_data(m=6000, **change):
    rng = np.random.default_rng(11)
    X = rng.standard_normal((m, 3))
    inside = rng.random(m) < 0.5
    c = rng.uniform(0.5, 2.0, m)
    noise = np.where(inside, 1.5 / np.sqrt(0.4), 1.5) / np.sqrt(c)
    return {
        "X": X,
        "y": 2 + X.sum(axis=1) + noise * rng.standard_normal(m),
        "teacher": 2 + X.sum(axis=1) + 0.4 / np.sqrt(0.6 * c) * rng.standard_normal(m),
        "privileged": inside,
        "sample_weight": c,
        "fit_intercept": True,
    } | change


@pytest.mark.parametrize("given", FREE)
def test_levels_of_simulated_data_are_found_within_standard_errors(given):
    found = maximum_evidence(**tempered_data(), **given)
    assert found.gradient_norm < 1e-12
    assert set(found.standard_errors) == set(TRUTH) - set(given)
    for name, value in TRUTH.items():
        error = found.standard_errors.get(name, 0.0)
        assert abs(getattr(found, name) - value) <= DEVIATIONS * error + 1e-14
        if name not in given:
            assert 0 < error < 0.1


def assert_slopes_vanish(problem, given):
    """No small change of what was estimated raises the evidence; curvature gives the errors."""
    found = maximum_evidence(**problem, **given)
    levels = {name: getattr(found, name) for name in TRUTH}
    free = [name for name in TRUTH if name not in given]
    step = 1e-4
    curvature = np.zeros((len(free), len(free)))

    def value(moves):
        moved = levels | {name: levels[name] + move for name, move in moves.items()}
        return maximum_evidence(**problem, **moved).log_evidence

    for i, one in enumerate(free):
        up, down = value({one: step}), value({one: -step})
        assert abs(up - down) / (2 * step) * found.standard_errors[one] < 1e-4
        assert max(up, down) < found.log_evidence
        curvature[i, i] = (up + down - 2 * found.log_evidence) / step**2
        for j, other in enumerate(free[:i]):
            cross = (
                value({one: step, other: step})
                - value({one: step, other: -step})
                - value({one: -step, other: step})
                + value({one: -step, other: -step})
            )
            curvature[i, j] = curvature[j, i] = cross / (4 * step**2)
    errors = np.sqrt(np.diag(np.linalg.inv(-curvature)))
    assert_allclose([found.standard_errors[name] for name in free], errors, rtol=1e-3)


@pytest.mark.parametrize("given", FREE)
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_the_evidence_is_stationary_with_the_curvature_of_the_errors(given, ridge):
    assert_slopes_vanish(tempered_data(m=300, ridge=ridge), given)


@pytest.mark.parametrize("given", [{"sigma": 1.0}, {"sigma_teacher": 0.35}])
def test_with_all_privileged_one_given_noise_tells_the_trust(given):
    problem = evidence_problem(privileged=np.ones(40, dtype=bool))
    assert_slopes_vanish(problem, given)


# --- laws


@pytest.mark.parametrize("ridge", [0.0, 0.8])
@pytest.mark.parametrize("levels", LEVELS)
def test_the_mean_of_the_posterior_is_the_solution_of_15(levels, ridge):
    problem = evidence_problem(ridge=ridge, fit_intercept=True)
    named = dict(zip(TRUTH, levels, strict=True))
    found = maximum_evidence(**problem, **named)
    fit = distil_regression(**problem, **named)
    assert_allclose(found.coef, fit.coef, rtol=RTOL)
    assert_allclose(found.intercept, fit.intercept, rtol=RTOL)


def test_the_mean_of_the_posterior_solves_15_at_the_estimates_too():
    problem = tempered_data(ridge=0.5)
    found = maximum_evidence(**problem)
    fit = distil_regression(
        **problem, trust=found.trust, sigma=found.sigma, sigma_teacher=found.sigma_teacher
    )
    assert_allclose(found.coef, fit.coef, rtol=RTOL)
    expected = [
        found.sigma**-2, (1 - found.trust) / found.sigma**2, found.trust / found.sigma_teacher**2
    ]  # fmt: skip
    assert_allclose(found.precisions, expected, rtol=RTOL)


@pytest.mark.parametrize("intercept", [False, True])
def test_the_covariance_is_the_curvature_of_the_log_joint_density(intercept):
    problem = evidence_problem(ridge=0.8, fit_intercept=intercept)
    levels = LEVELS[0]
    found = maximum_evidence(**problem, **dict(zip(TRUTH, levels, strict=True)))
    rows, t, precision = stacked_rows(problem, *levels)
    q = rows.shape[1]

    def log_joint(w):
        return -0.5 * (precision @ (t - rows @ w) ** 2 + 0.8 * w[intercept:] @ w[intercept:])

    # a quadratic function: differences with any step are its curvature
    e = np.eye(q)
    hessian = np.array(
        [[log_joint(a + b) - log_joint(a) - log_joint(b) + log_joint(0 * a) for a in e] for b in e]
    )
    assert_allclose(found.covariance, np.linalg.inv(-hessian), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("offset", [1e8, 1e30])
def test_rows_of_weight_0_may_be_anywhere(offset):
    problem = evidence_problem(m=100, fit_intercept=True)
    counted = np.arange(100) < 40
    some = {name: value[counted] if isinstance(value, np.ndarray) else value
            for name, value in problem.items()}  # fmt: skip
    for name in ("X", "y", "teacher"):
        problem[name][~counted] += offset
    found = maximum_evidence(**problem, sample_weight=counted.astype(float))
    expected = maximum_evidence(**some)
    for name in ("trust", "sigma", "sigma_teacher", "log_evidence", "coef", "intercept"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=FLAT, err_msg=name)


def test_units_of_the_answers_are_units_of_the_noises():
    problem = evidence_problem()
    found = maximum_evidence(**problem)
    large = maximum_evidence(
        **(problem | {"y": 1e9 * problem["y"], "teacher": 1e9 * problem["teacher"]})
    )
    assert_allclose(large.trust, found.trust, rtol=1e-8)
    assert_allclose(large.sigma, 1e9 * found.sigma, rtol=1e-8)
    assert_allclose(large.sigma_teacher, 1e9 * found.sigma_teacher, rtol=1e-8)
    numbers = 40 + 20 - 3
    assert_allclose(large.log_evidence, found.log_evidence - numbers * np.log(1e9), rtol=1e-10)


@pytest.mark.parametrize("given", [*FREE, {"sigma": 9.0, "sigma_teacher": 0.1}])
def test_newtons_method_takes_few_steps(given, monkeypatch):
    monkeypatch.setattr("kdtheory.evidence.STEPS", 5)  # five more, about the first five's fit
    assert maximum_evidence(**tempered_data(), **given).gradient_norm < 1e-14


def test_a_teacher_far_from_all_labels_costs_no_digits():
    problem = evidence_problem()
    problem["teacher"] = problem["teacher"] + 1e6 * np.sin(np.arange(40))
    levels = (0.5, 1.0, 1e6)
    found = maximum_evidence(**problem, trust=0.5, sigma_teacher=1e6)
    assert found.gradient_norm < 1e-13
    found = maximum_evidence(**problem, **dict(zip(TRUTH, levels, strict=True)))
    assert_allclose(found.log_evidence, restricted_likelihood(problem, levels), rtol=1e-13)


def test_a_teacher_far_from_the_labels_has_a_large_noise():
    problem = evidence_problem()
    problem["teacher"] = problem["teacher"] + 1000 * np.sin(np.arange(40))
    found = maximum_evidence(**problem, trust=0.5)
    assert found.sigma_teacher > 300
    alone = maximum_evidence(**problem, trust=0.5, sigma_teacher=1e6)
    assert_allclose(found.sigma, alone.sigma, rtol=0.01)


# --- limits


def test_what_does_not_enter_is_not_sought():
    problem = evidence_problem()
    none = maximum_evidence(**problem, trust=0.0)
    assert np.isnan(none.sigma_teacher)
    assert set(none.standard_errors) == {"sigma"}
    labels = maximum_evidence(**(problem | {"privileged": np.zeros(40, dtype=bool)}), trust=0.0)
    assert labels.sigma == pytest.approx(none.sigma, rel=RTOL)
    assert labels.log_evidence == pytest.approx(none.log_evidence, rel=RTOL)
    full = maximum_evidence(**(problem | {"privileged": None}), trust=1.0)
    assert np.isnan(full.sigma)
    fit = distil_regression(problem["X"], problem["teacher"], None)
    residual = problem["teacher"] - problem["X"] @ fit.coef
    assert full.sigma_teacher == pytest.approx(np.sqrt(residual @ residual / 37), rel=RTOL)


def test_without_a_teacher_sigma_is_the_unbiased_estimate():
    problem = evidence_problem(fit_intercept=True)
    found = maximum_evidence(**problem, trust=0.0)
    rows = np.column_stack([np.ones(40), problem["X"]])
    squares = np.linalg.lstsq(rows, problem["y"], rcond=None)[1][0]
    assert found.sigma == pytest.approx(np.sqrt(squares / 36), rel=RTOL)
    assert found.standard_errors["sigma"] == pytest.approx(found.sigma / np.sqrt(72), rel=RTOL)


def linear(problem):
    return problem["X"] @ [1.0, 2.0, 3.0]


PROBLEM = evidence_problem()
NOT_IDENTIFIED = [
    ({"privileged": None}, r"all objects are privileged, so only .*fix `trust` or `sigma`"),
    ({"privileged": np.zeros(40, bool)}, r"no object is privileged.*fix `trust` at 0"),
    ({"privileged": np.zeros(40, bool), "trust": 0.5}, r"no object is privileged"),
    ({"teacher": linear(PROBLEM)}, r"`teacher` is an exact linear function.*give `sigma_teacher`"),
    ({"teacher": 5 + linear(PROBLEM), "fit_intercept": True}, r"`teacher` is an exact linear"),
    ({"teacher": linear(PROBLEM), "ridge": 1.0}, r"`teacher` is an exact linear function"),
    ({"y": linear(PROBLEM)}, r"`y` is an exact linear function.*give `sigma`"),
    ({"y": linear(PROBLEM), "trust": 1.0}, r"`y` is an exact linear function"),
    ({"y": PROBLEM["y"] + 9 * np.cos(np.arange(40)) * ~PROBLEM["privileged"]}, r"towards trust 0"),
    ({"sigma": 9.0}, r"labels of privileged objects are no noisier.*trust_path"),
    ({"privileged": None, "sigma_teacher": 9.0}, r"evidence rises towards trust 1"),
    ({"X": np.hstack([PROBLEM["X"]] * 2)}, r"columns of `X` that are linearly dependent"),
    (
        {"X": np.random.default_rng(0).standard_normal((40, 60))},
        r"60 labels and answers for 60 parameters .*give a `ridge`",
    ),
    (
        {"privileged": np.arange(40) > 1, "trust": 0.3},
        None,
    ),
    (
        {"privileged": np.arange(40) > 1, "y": np.where(np.arange(40) > 1, PROBLEM["y"], 0.0),
         "X": PROBLEM["X"] * (np.arange(40) > 1)[:, None]},
        r"the evidence has no maximum: it rises as labels outside `privileged` is fitted",
    ),
]  # fmt: skip


@pytest.mark.parametrize("seed", [14, 28, 29, 41])
def test_weights_of_sixteen_orders_leave_the_evidence_of_given_noises(seed):
    # at trust 1 the labels of I are no data, so that they may not rule the choice of a basis
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((6, 3))
    X[:, 2] = X[:, 0] + 1e-4 * X[:, 2]
    weights = 10.0 ** rng.uniform(-8, 8, 6)
    inside = rng.random(6) < 0.5
    y, s = rng.standard_normal((2, 6))
    found = maximum_evidence(
        X, y, s, privileged=inside, sample_weight=weights, trust=1.0, sigma=1.3, sigma_teacher=0.7
    )
    p = weights * np.where(inside, 0.7**-2, 1.3**-2)
    rows = np.sqrt(p)[:, None] * X
    residual = np.sqrt(p) * (np.where(inside, s, y) - X @ found.coef)
    triangle = np.linalg.qr(rows, mode="r").diagonal()
    twice = np.log(p).sum() - 3 * np.log(2 * np.pi) - 2 * np.log(np.abs(triangle)).sum()
    assert_allclose(found.log_evidence, (twice - residual @ residual) / 2, rtol=GRADED)


@pytest.mark.parametrize("ratio", [1e8, 1e10, 1e20])
@pytest.mark.parametrize("seed", range(5))
def test_a_direction_that_only_a_feeble_teacher_sees_is_refused_with_a_way_out(seed, ratio):
    rng = np.random.default_rng(seed)
    X, inside = rng.standard_normal((20, 3)), np.arange(20) < 10
    X[~inside, 2] = X[~inside, 0]
    y, s = rng.standard_normal((2, 20))
    data = {"privileged": inside, "trust": 1.0, "sigma": 1 / ratio, "sigma_teacher": ratio}
    with pytest.raises(NotIdentifiedError, match="leave out columns, or give a `ridge`"):
        maximum_evidence(X, y, s, **data)
    assert np.isfinite(maximum_evidence(X, y, s, **data, ridge=ratio**2).log_evidence)


@pytest.mark.parametrize(("change", "match"), NOT_IDENTIFIED)
def test_what_the_data_do_not_determine_is_refused_with_a_way_out(change, match):
    if match is None:
        assert np.isfinite(maximum_evidence(**(PROBLEM | change)).log_evidence)
        return
    with pytest.raises(NotIdentifiedError, match=match):
        maximum_evidence(**(PROBLEM | change))


@pytest.mark.parametrize(
    ("change", "way_out"),
    [
        ({"privileged": None}, {"trust": 0.5}),
        ({"privileged": np.zeros(40, bool)}, {"trust": 0.0}),
        ({"teacher": linear(PROBLEM)}, {"sigma_teacher": 1.5}),
        ({"y": linear(PROBLEM)}, {"sigma": 1.0, "trust": 0.5}),
        ({"sigma": 9.0}, {"trust": 0.5}),
        ({"X": np.hstack([PROBLEM["X"]] * 2)}, {"ridge": 1.0, "trust": 0.5}),
    ],
)
def test_the_way_out_leads_out(change, way_out):
    assert np.isfinite(maximum_evidence(**(PROBLEM | change), **way_out).log_evidence)


# --- bad input


@pytest.mark.parametrize(("change", "error", "match"), BAD_ROWS)
def test_bad_input_is_named(change, error, match):
    with pytest.raises(error, match=match):
        maximum_evidence(**(one_problem() | change))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"trust": 1.5}, ValueError, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"fit_intercept": "no"}, TypeError, "`fit_intercept` must be True or False, got 'no'"),
        ({"sigma": 0.0}, ValueError, r"`sigma` must be finite and positive, got 0.0"),
        ({"sigma_teacher": -1.0}, ValueError, r"`sigma_teacher` must be finite and positive"),
        ({"sigma": np.ones(40)}, TypeError, r"`sigma` must be a real number"),
    ],
)
def test_bad_input_of_the_evidence_is_named(change, error, match):
    with pytest.raises(error, match=match):
        maximum_evidence(**(PROBLEM | change))
