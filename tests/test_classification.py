"""The optimal linear student: judged by scikit-learn, by searches and by its own certificate."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse import csr_array, csr_matrix
from sklearn.linear_model import LogisticRegression

from kdtheory import ContinuousCategorical, make_softmax_data, soften
from kdtheory.classification import (
    NotConvergedWarning,
    SeparableWarning,
    classification_path,
    distil_classification,
)

SAME = 1e-6  # coefficients of two ways to one minimum: √(2·2e-12/curvature), of order 1 to 100
LOOSE = 1e-5  # the same where curvatures are as small as 0.01, at high temperatures and trust 1
VALUE = 1e-10  # rounding of F, some 100 nats
SOLVERS = ("newton", "newton-cg")
CONVEX = (None, "exact")

DATA = make_softmax_data(200, 4, rng=np.random.default_rng(0))


def definition(coef, intercept, *, trust, temperature=1.0, regulariser=None, l2=0.0, squared=False):
    """F from its definition, for DATA with a teacher everywhere."""
    z = DATA.X @ coef + intercept
    g = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    hot = np.exp(z / temperature) / np.exp(z / temperature).sum(axis=1, keepdims=True)
    labels = -np.log(g[np.arange(len(z)), DATA.y])
    answers = -(DATA.S * np.log(hot)).sum(axis=1)
    if regulariser == "exact":
        answers = -ContinuousCategorical(probs=hot).log_prob(DATA.S)
    elif regulariser == "printed":
        answers -= (np.log(hot) + np.log(np.log(1 / hot))).sum(axis=1)
    answers *= trust * (temperature**2 if squared else 1)
    return float(((1 - trust) * labels + answers).sum() + 0.5 * l2 * (coef**2).sum())


def fitted(**arguments):
    return distil_classification(DATA.X, DATA.y, DATA.S, **arguments)


# --- oracle


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("l2", [1e-3, 1.0, 100.0])
def test_without_a_teacher_it_is_logistic_regression(solver, l2):
    judge = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000).fit(DATA.X, DATA.y)
    fit = distil_classification(DATA.X, DATA.y, l2=l2, solver=solver)
    np.testing.assert_allclose(fit.coef.T, judge.coef_, atol=1e-4)  # of the judge
    np.testing.assert_allclose(fit.probabilities(DATA.X), judge.predict_proba(DATA.X), atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "case",
    [
        {"trust": 0.75},
        {"trust": 0.75, "temperature": 0.4},
        {"trust": 0.5, "temperature": 4.0, "squared": True},
        {"trust": 0.5, "regulariser": "exact", "temperature": 2.0},
        {"trust": 0.3, "regulariser": "exact", "l2": 2.0},
        {"trust": 0.5, "regulariser": "printed"},
    ],
)
def test_no_point_near_it_is_better_by_the_definition(solver, case):
    told = {name: value for name, value in case.items() if name != "squared"}
    fit = fitted(**told, squared_temperature=case.get("squared", False), solver=solver)
    value = definition(fit.coef, fit.intercept, **case)
    np.testing.assert_allclose(fit.objective, value, rtol=1e-10)
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-2, 1e-1):
        coef = fit.coef + size * rng.standard_normal(fit.coef.shape)
        intercept = fit.intercept + size * rng.standard_normal(3)
        assert definition(coef, intercept, **case) > value


@pytest.mark.parametrize("regulariser", CONVEX)
def test_the_certificate_bounds_what_a_search_can_gain(regulariser):
    shape = DATA.X.shape[1] + 1, 3

    def value(flat):
        theta = flat.reshape(shape)
        return definition(theta[1:], theta[0], trust=0.5, regulariser=regulariser)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        rough = fitted(trust=0.5, regulariser=regulariser, max_iter=4, tol=1e-300)
    start = np.vstack([rough.intercept, rough.coef]).ravel()
    found = minimize(value, start, method="BFGS", options={"maxiter": 6, "gtol": 1e-9})
    assert rough.certificate.bound == "self-concordance"
    assert rough.objective - found.fun <= rough.certificate.gap + 1e-10


# --- laws


@pytest.mark.parametrize("regulariser", CONVEX)
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_both_solvers_agree(regulariser, l2):
    one, other = (fitted(trust=0.6, regulariser=regulariser, l2=l2, solver=s) for s in SOLVERS)
    np.testing.assert_allclose(one.coef, other.coef, atol=SAME)
    for fit, bound in ((one, "self-concordance"), (other, "strong convexity" if l2 else None)):
        assert fit.certificate.converged
        assert fit.certificate.gap <= VALUE
        if bound is not None:
            assert fit.certificate.bound == bound


@given(
    trust=st.floats(0, 1),
    temperature=st.sampled_from([0.5, 1.0, 3.0]),
    regulariser=st.sampled_from(CONVEX),
)
def test_the_gradient_is_zero(trust, temperature, regulariser):
    fit = fitted(trust=trust, temperature=temperature, regulariser=regulariser)
    assert fit.certificate.converged
    assert fit.certificate.gradient_norm < 1e-2  # ν ≤ 1e-4 with curvatures up to 1e3
    assert 0 <= fit.certificate.gap <= 200 * 1e-14  # the default tolerance for 200 objects


@given(trust=st.floats(0, 1))
def test_at_unit_temperature_it_is_cross_entropy_with_blended_labels(trust):
    blend = (1 - trust) * np.eye(3)[DATA.y] + trust * DATA.S
    alone = distil_classification(DATA.X, blend)
    np.testing.assert_allclose(fitted(trust=trust).coef, alone.coef, atol=SAME)


def test_a_teacher_that_repeats_the_labels_changes_nothing():
    copied = distil_classification(DATA.X, DATA.y, np.eye(3)[DATA.y], trust=0.7)
    np.testing.assert_allclose(copied.coef, distil_classification(DATA.X, DATA.y).coef, atol=SAME)


def test_trust_zero_and_no_teacher_are_one():
    alone = distil_classification(DATA.X, DATA.y)
    np.testing.assert_allclose(fitted(trust=0.0, regulariser="exact").coef, alone.coef, atol=SAME)
    assert alone.trust == 0


def test_rows_outside_the_mask_are_not_looked_at():
    inside = np.arange(200) < 120
    broken = np.where(inside[:, None], DATA.S, np.nan)
    one = distil_classification(DATA.X, DATA.y, broken, privileged=inside, trust=0.8)
    hidden = np.where(inside[:, None], DATA.S, np.eye(3)[DATA.y])
    other = distil_classification(DATA.X, DATA.y, hidden, trust=0.8)
    np.testing.assert_allclose(one.coef, other.coef, atol=SAME)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_weight_is_a_repetition_and_zero_is_absence(solver):
    weight = np.arange(200) % 3
    one = fitted(trust=0.4, l2=0.3, sample_weight=weight, solver=solver)
    X, y, S = (np.repeat(part, weight, axis=0) for part in (DATA.X, DATA.y, DATA.S))
    other = distil_classification(X, y, S, trust=0.4, l2=0.3, solver=solver)
    np.testing.assert_allclose(one.coef, other.coef, atol=SAME)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_common_factor_of_weights_and_penalty_drops_out(solver):
    one = fitted(trust=0.4, l2=0.3, solver=solver)
    for factor in (1e-9, 1e9):
        other = fitted(
            trust=0.4, l2=0.3 * factor, sample_weight=np.full(200, factor), solver=solver
        )
        assert other.certificate.converged
        np.testing.assert_allclose(one.coef, other.coef, atol=SAME)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
def test_sparse_and_dense_agree(solver, kind):
    X = np.where(np.abs(DATA.X) > 0.7, DATA.X, 0.0)
    dense, sparse = (
        distil_classification(x, DATA.y, DATA.S, l2=0.1, solver=solver) for x in (X, kind(X))
    )
    np.testing.assert_allclose(dense.coef, sparse.coef, atol=SAME)
    np.testing.assert_allclose(sparse.logits(kind(X)), dense.logits(X), atol=SAME)


@pytest.mark.parametrize("solver", SOLVERS)
def test_single_precision_features_are_those_numbers_exactly(solver):
    X = DATA.X.astype(np.float32)
    one = distil_classification(X, DATA.y, DATA.S, solver=solver)
    other = distil_classification(X.astype(np.float64), DATA.y, DATA.S, solver=solver)
    np.testing.assert_allclose(one.coef, other.coef, atol=SAME)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1e8, 1e140])
def test_units_of_a_feature_do_not_matter(solver, scale):
    X = DATA.X * [scale, 1, 1, 1] + [0, 50, 0, 0]
    one = fitted(trust=0.5, solver=solver)
    other = distil_classification(X, DATA.y, DATA.S, trust=0.5, solver=solver)
    np.testing.assert_allclose(other.coef * [[scale], [1], [1], [1]], one.coef, atol=LOOSE)


def test_coefficients_are_centred_over_classes():
    fit = fitted()
    # rounding of sums of three numbers of order 1
    np.testing.assert_allclose(fit.coef.sum(axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(fit.intercept.sum(), 0, atol=1e-13)


def test_classes_may_be_numbered_in_any_order():
    order = np.array([2, 0, 1])
    other = distil_classification(DATA.X, np.argsort(order)[DATA.y], DATA.S[:, order])
    np.testing.assert_allclose(other.coef, fitted().coef[:, order], atol=SAME)


def test_without_an_intercept_there_is_none():
    fit = fitted(fit_intercept=False)
    assert not fit.intercept.any()
    assert fit.certificate.converged


def test_a_start_at_the_end_stays_there():
    fit = fitted()
    again = fitted(start=(fit.coef, fit.intercept))
    assert again.n_iter <= 1
    np.testing.assert_allclose(again.coef, fit.coef, atol=SAME)


def test_the_mean_rule_is_the_mean_of_the_density():
    fit = fitted(regulariser="exact")
    mean = ContinuousCategorical(logits=fit.logits(DATA.X)).mean()
    np.testing.assert_allclose(fit.probabilities(DATA.X, rule="mean"), mean, rtol=1e-12)
    softmax = fit.probabilities(DATA.X)
    np.testing.assert_allclose(softmax, soften(fit.logits(DATA.X)), rtol=1e-12)
    np.testing.assert_array_equal(mean.argmax(axis=1), softmax.argmax(axis=1))


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"l2": 0.5},
        {"privileged": np.arange(200) % 2 == 0},
        {"sample_weight": np.arange(200) % 4},
        {"fit_intercept": False},
        {"temperature": 2.0},
        {"regulariser": "exact"},
        {"solver": "newton-cg"},
    ],
)
def test_a_path_of_trusts_is_what_single_fits_find(case):
    trusts = np.array([1.0, 0.0, 0.55, 0.1, 0.2, 0.9, 0.3, 0.35])
    path = classification_path(DATA.X, DATA.y, DATA.S, trusts=trusts, **case)
    for j, trust in enumerate(trusts):
        fit = fitted(trust=trust, **case)
        np.testing.assert_allclose(path.coefs[j], fit.coef, atol=LOOSE)
        np.testing.assert_allclose(path.intercepts[j], fit.intercept, atol=LOOSE)
        assert abs(path.objectives[j] - fit.objective) <= 2 * VALUE
        assert path.certificates[j].converged
        assert path.certificates[j].gap <= VALUE
    np.testing.assert_array_equal(path.trusts, trusts)


@pytest.mark.parametrize("regulariser", CONVEX)
def test_a_path_of_temperatures_is_what_single_fits_find(regulariser):
    temperatures = np.array([4.0, 0.5, 1.0])
    path = classification_path(
        DATA.X, DATA.y, DATA.S, temperatures=temperatures, trust=0.7, regulariser=regulariser
    )
    for j, temperature in enumerate(temperatures):
        fit = fitted(trust=0.7, temperature=temperature, regulariser=regulariser)
        np.testing.assert_allclose(path.coefs[j], fit.coef, atol=LOOSE)
    np.testing.assert_array_equal(path.temperatures, temperatures)
    np.testing.assert_array_equal(path.trusts, np.full(3, 0.7))


def test_a_fit_can_be_pickled():
    fit = pickle.loads(pickle.dumps(fitted()))
    np.testing.assert_array_equal(fit.coef, fitted().coef)


def test_a_path_that_bends_is_what_single_fits_find():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    y, S = (X[:, 0] > 0).astype(int), soften(np.random.default_rng(9).standard_normal((60, 2)))
    trusts = np.geomspace(1e-3, 1, 20)  # without a teacher the labels are separable
    path = classification_path(X, y, S, trusts=trusts)
    for j, trust in enumerate(trusts):
        fit = distil_classification(X, y, S, trust=trust)
        assert abs(path.objectives[j] - fit.objective) < VALUE
        assert path.certificates[j].converged


@pytest.mark.parametrize("trusts", [[0.3] * 10, [0.5, 0.5, 0.2], [0.4]])
def test_equal_trusts_have_equal_students(trusts):
    path = classification_path(DATA.X, DATA.y, DATA.S, trusts=trusts)
    for j, trust in enumerate(trusts):
        np.testing.assert_allclose(path.coefs[j], fitted(trust=trust).coef, atol=LOOSE)


@pytest.mark.parametrize("solver", SOLVERS)
@given(seed=st.integers(0, 10**6))
@example(seed=1330)
def test_no_fit_claims_less_than_it_lacks(solver, seed):
    rng = np.random.default_rng(seed)
    m, n, K = int(rng.integers(3, 40)), int(rng.integers(1, 5)), int(rng.integers(2, 5))
    X = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-3, 3, n) + rng.normal(0, 3, n)
    told = {
        "trust": rng.uniform(0.1, 1),
        "temperature": 10.0 ** rng.uniform(-0.5, 1),
        "regulariser": (None, "exact")[int(rng.integers(2))],
        "l2": 10.0 ** rng.uniform(-6, 4),
        "sample_weight": 10.0 ** rng.uniform(-4, 4, m),
    }
    y, S = rng.integers(0, K, m), rng.dirichlet(np.ones(K), m)
    start = rng.normal(0, 2, (n, K)), rng.normal(0, 2, K)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        best = min(
            distil_classification(X, y, S, solver=other, **told).objective for other in SOLVERS
        )
        for max_iter in (0, 2, 5):
            fit = distil_classification(
                X, y, S, solver=solver, start=start, max_iter=max_iter, **told
            )
            # rounding of two sums of m losses
            slack = 1e-13 * m * (abs(best) + told["sample_weight"].sum())
            assert fit.objective - best <= fit.certificate.gap + slack


# --- limits


@pytest.mark.parametrize("solver", SOLVERS)
def test_where_labels_are_separable_it_says_so_and_stops(solver):
    hard = DATA.S.argmax(axis=1)
    with pytest.warns(SeparableWarning, match="no minimum"):
        fit = distil_classification(DATA.X, hard, solver=solver)
    certificate = fit.certificate
    assert certificate.separable
    assert not certificate.converged
    assert fit.n_iter <= 10
    recession = certificate.existence.recession
    margins = DATA.X @ recession.coef + recession.intercept
    own = np.take_along_axis(margins, hard[:, None], axis=1)
    assert (margins <= own).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_penalty_or_a_soft_teacher_cures_separable_labels(solver):
    hard = DATA.S.argmax(axis=1)
    for cure in ({"l2": 1e-3}, {"teacher": DATA.S, "trust": 0.05}):
        fit = distil_classification(DATA.X, hard, solver=solver, **cure)
        assert fit.certificate.converged
        assert not fit.certificate.separable


def test_quasi_complete_separation_is_found():
    X = np.column_stack([np.r_[np.zeros(30), np.ones(5)], np.tile([0.0, 1.0], 18)[:35]])
    y = np.r_[np.arange(30) // 2 % 2, np.zeros(5, dtype=int)]
    with pytest.warns(SeparableWarning, match="no minimum"):
        fit = distil_classification(X, y)
    assert fit.certificate.existence.recession.kind == "quasi-complete"


def test_a_class_that_never_occurs_has_no_optimum_without_a_teacher():
    with pytest.warns(SeparableWarning, match="no minimum"):
        distil_classification(DATA.X, DATA.y % 2, n_classes=3)
    fit = distil_classification(DATA.X, DATA.y % 2, DATA.S)
    assert fit.certificate.converged


def test_a_single_class_needs_no_fit():
    fit = distil_classification(DATA.X, np.zeros(200, dtype=int))
    assert fit.objective == 0
    assert fit.certificate.converged
    np.testing.assert_array_equal(fit.probabilities(DATA.X), np.ones((200, 1)))


@pytest.mark.parametrize("solver", SOLVERS)
def test_dependent_and_constant_columns_change_no_probability(solver):
    X = np.column_stack([DATA.X, DATA.X[:, 0], np.full(200, 3.7)])
    one = distil_classification(X, DATA.y, DATA.S, solver=solver)
    np.testing.assert_allclose(one.probabilities(X), fitted().probabilities(DATA.X), atol=SAME)
    assert one.certificate.converged


@pytest.mark.parametrize("distance", [1e-6, 1e-8])
def test_nearly_equal_columns_are_told_apart_or_not_certified(distance):
    rng = np.random.default_rng(2)
    x, z = rng.standard_normal((2, 300))
    y = (rng.random(300) < 1 / (1 + np.exp(-2 * z))).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        fit = distil_classification(np.column_stack([x, x + distance * z]), y)
    least = distil_classification(np.column_stack([x, z]), y).objective
    # z itself is known to 1e-16/distance from the two columns
    assert fit.objective - least <= fit.certificate.gap + 300 * 1e-15 / distance


def test_an_absent_class_has_no_optimum_whatever_the_penalty():
    for solver in SOLVERS:
        with pytest.warns(SeparableWarning, match="absent class"):
            fit = distil_classification(DATA.X, DATA.y % 2, n_classes=3, l2=1.0, solver=solver)
        assert fit.certificate.separable
        assert fit.certificate.gap == np.inf


def test_the_gap_counts_the_rounding_of_the_intercept():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        fit = distil_classification(DATA.X + 1e10, DATA.y, DATA.S)
    # intercepts of order 1e10 are off by 1e-6 to 1e-5, which costs 100 times the square
    assert 1e-10 < fit.certificate.gap < 1e-7


def test_many_classes_need_no_matrix_for_each_object(monkeypatch):
    tight = {"kdtheory.newton.KEPT": 1000, "kdtheory.classification.KEPT": 1000}
    for name, value in tight.items():
        monkeypatch.setattr(name, value)
    fit = fitted(l2=0.5)
    assert fit.solver == "newton-cg"
    monkeypatch.undo()
    np.testing.assert_allclose(fit.coef, fitted(l2=0.5).coef, atol=SAME)
    assert fit.certificate.bound == "strong convexity"


def test_a_hopeless_start_is_left():
    start = 1e3 * np.array([[1.0, -1, 0]] * 4), np.zeros(3)
    np.testing.assert_allclose(fitted(start=start).coef, fitted().coef, atol=SAME)


def test_features_too_large_to_be_squared_are_refused():
    with pytest.raises(ValueError, match=r"`X` must be at most 1e\+150 in size, got 1e\+160"):
        distil_classification(DATA.X * [1e160, 1, 1, 1] / DATA.X[:, :1], DATA.y)


def test_the_printed_regulariser_tells_its_starts():
    fit = fitted(regulariser="printed", n_starts=4, rng=np.random.default_rng(3))
    assert len(fit.starts) == 4
    assert fit.objective == min(fit.starts)
    assert not fit.certificate.convex
    assert np.isnan(fit.certificate.gap)


def test_too_few_steps_are_told():
    with pytest.warns(NotConvergedWarning, match="no certificate"):
        fit = fitted(max_iter=1)
    assert not fit.certificate.converged


def test_no_minimum_is_found_out_with_the_printed_regulariser_too():
    X, y = np.array([[0.0], [1.0], [2.0], [-1.0], [-2.0], [0.5]]), np.array([0, 1, 1, 0, 0, 1])
    teacher = np.full((6, 3), 1 / 3)
    told = {"privileged": X[:, 0] == 0, "fit_intercept": False, "regulariser": "printed"}
    for trust in (0.0, 0.5):
        with pytest.warns(SeparableWarning, match="no minimum"):
            fit = distil_classification(X, y, teacher, trust=trust, **told)
        assert not fit.certificate.converged


def test_a_path_predicts_by_each_student():
    path = classification_path(DATA.X, DATA.y, DATA.S, trusts=[0.2, 0.8])
    for rule in ("softmax", "mean"):
        for j, trust in enumerate((0.2, 0.8)):
            alone = fitted(trust=trust).probabilities(DATA.X, rule)
            np.testing.assert_allclose(path.probabilities(DATA.X, rule)[j], alone, atol=SAME)


@pytest.mark.parametrize("temperature", [1e-3, 1e4])
def test_extreme_temperatures_are_solved(temperature):
    fit = fitted(trust=0.5, temperature=temperature, l2=1.0)
    assert fit.certificate.converged


# --- bad input


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": np.full(200, 3), "n_classes": 3}, "`y`"),
        ({"y": np.full(200, -1)}, "`y`"),
        ({"y": DATA.y[:-1]}, "lengths must agree|shape"),
        ({"X": np.full((200, 4), np.nan)}, "`X` must be finite"),
        ({"X": DATA.X[:150]}, "lengths must agree, but `X` has 150, `y` has 200"),
        ({"teacher": DATA.S * 1.1}, "`teacher`"),
        ({"teacher": DATA.X[:, :3]}, "`teacher`.*soften"),
        ({"teacher": DATA.S[:, :2], "n_classes": 3}, "`teacher`"),
        ({"privileged": np.zeros(200, dtype=bool)}, "`privileged`"),
        ({"privileged": np.ones(199, dtype=bool)}, "`privileged`"),
        ({"trust": 1.5}, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"temperature": 0.0}, "`temperature` must be finite and positive, got 0.0"),
        ({"temperature": 1e-160}, r"`temperature` must be in \[1e-100, 1e\+100\], got 1e-160"),
        ({"sample_weight": np.full(200, 1e149)}, r"`sample_weight` must sum to at most 1e\+150"),
        ({"regulariser": "none"}, "`regulariser` must be"),
        ({"l2": -1.0}, "`l2` must be finite and at least 0, got -1.0"),
        ({"tol": 0.0}, "`tol`"),
        ({"solver": "lbfgs"}, "`solver`"),
        ({"n_starts": 0}, "`n_starts`"),
        ({"sample_weight": -np.ones(200)}, "`sample_weight`"),
        ({"start": 5}, "`start` must be a pair"),
        ({"start": (np.zeros((4, 3)),)}, "`start` must be a pair"),
        ({"rng": 3}, "`rng` must be a numpy.random.Generator"),
        ({"fit_intercept": "no"}, "`fit_intercept`"),
        ({"start": (np.zeros((3, 3)), np.zeros(3))}, r"`start\[0\]`"),
        ({"start": (np.zeros((4, 3)), np.zeros(2))}, r"`start\[1\]`"),
    ],
)
def test_bad_input_is_named(change, words):
    good = {"X": DATA.X, "y": DATA.y, "teacher": DATA.S}
    with pytest.raises((ValueError, TypeError), match=words):
        distil_classification(**(good | change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "exactly one of `trusts` and `temperatures`"),
        ({"trusts": [0.5], "temperatures": [1.0]}, "exactly one"),
        ({"trusts": [0.5, 1.5]}, r"`trusts` must be in \[0, 1\], got 1.5"),
        ({"temperatures": [0.0]}, "`temperatures` must be finite and positive, got 0.0"),
        ({"trusts": [0.5], "trust": 7.0}, r"`trust` must be in \[0, 1\], got 7.0"),
        ({"temperatures": [1.0], "temperature": -7.0}, "`temperature` must be finite"),
        ({"trusts": [0.5], "teacher": None}, "`teacher` must be given"),
        ({"trusts": []}, "`trusts` must have at least one number"),
        ({"trusts": [0.5], "regulariser": "printed"}, "`regulariser` must be 'exact'"),
    ],
)
def test_bad_grids_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        classification_path(**({"X": DATA.X, "y": DATA.y, "teacher": DATA.S} | change))


def test_features_to_predict_for_are_checked():
    for X, words in (
        (np.full((1, 4), np.nan), "`X` must be finite"),
        (DATA.X[:, :2], "4 features"),
    ):
        with pytest.raises(ValueError, match=words):
            fitted().probabilities(X)
