"""Cross-validation along the trust: refits without each object, and the laws of the path."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from selection_problems import BAD_ROWS, one_problem, per_object

from kdtheory.least_squares import RankWarning
from kdtheory.regression import distil_regression
from kdtheory.selection import PathStatistics, Rows, trust_path
from kdtheory.testing import masks

# Problems are standard normal with at least three times as many rows as columns
RTOL = 1e-10  # square of their condition times machine epsilon, with a factor 1000
HARD = 1e-6  # condition 1e6 times machine epsilon, a few thousand times
SLOPE = 1e-6  # central differences with a step of 1e-4
FAR = 1e-8  # a distance 1e6 times the residual times machine epsilon, with a factor 50

TRUSTS = np.array([0.0, 0.3, 0.5, 0.9, 1.0])


CASES = {
    "plain": one_problem(),
    "everyone privileged": one_problem(privileged=None, sigma_teacher=0.3),
    "nobody privileged": one_problem(privileged=np.zeros(24, dtype=bool)),
    "noises": one_problem(sigma=2.0, sigma_teacher=0.7),
    "noises in proportion": one_problem(
        sigma=2 * per_object()["sigma"], sigma_teacher=per_object()["sigma"]
    ),
    "noises per object": one_problem(**per_object()),
    "printed": one_problem(**per_object(), convention="printed"),
    "ridge": one_problem(**per_object(), ridge=1.3),
    "intercept": one_problem(**per_object(), fit_intercept=True),
    "intercept and ridge": one_problem(sigma_teacher=0.5, ridge=1.3, fit_intercept=True),
    "two outputs": one_problem(p=2, **per_object(), ridge=0.1, fit_intercept=True),
    "two outputs, plain": one_problem(p=2, sigma=0.5),
    "wide, with a ridge": one_problem(m=8, n=12, ridge=0.5),
}


def without(problem, i):
    """The problem with object i removed, its label and its teacher's answer."""
    m = len(problem["y"])
    kept = np.arange(m) != i
    return {
        name: value[kept] if isinstance(value, np.ndarray) and len(value) == m else value
        for name, value in problem.items()
    }


def refitted_errors(problem, trust):
    """y_i less the prediction of a fit without i, for all i."""
    errors = []
    for i, x in enumerate(problem["X"]):
        fit = distil_regression(**without(problem, i), trust=trust)
        errors.append(problem["y"][i] - x @ fit.coef - fit.intercept)
    return np.array(errors)


def label_weights(problem):
    m = len(problem["y"])
    power = 2 if problem.get("convention") == "printed" else -2
    omega = np.broadcast_to(problem.get("sigma", 1.0), m) ** float(power)
    return omega * problem.get("sample_weight", np.ones(m))


def weighted_mean(weights, squares):
    return (weights @ squares.reshape(len(weights), -1)).mean() / weights.sum()


def gcv_error(fit, weights):
    h = fit.leverages.sum() / np.count_nonzero(fit.sample_weight)
    errors = fit.y - fit.fitted + h * fit.residuals / (1 - h)
    return weighted_mean(weights, errors**2)


# --- oracle: refits without each object


@pytest.mark.parametrize("name", CASES)
def test_the_path_is_that_of_refits_without_each_object(name):
    problem = CASES[name]
    path = trust_path(**problem, trusts=TRUSTS)
    assert path.fallbacks == 0
    for trust, error in zip(TRUSTS, path.loo_error, strict=True):
        expected = weighted_mean(label_weights(problem), refitted_errors(problem, trust) ** 2)
        assert_allclose(error, expected, rtol=RTOL)


@pytest.mark.parametrize("name", CASES)
def test_the_coefficients_are_those_of_theorem_2(name):
    problem = CASES[name]
    path = trust_path(**problem, trusts=TRUSTS)
    for k, trust in enumerate(TRUSTS):
        fit = distil_regression(**problem, trust=trust)
        assert path.coef[k].shape == np.shape(fit.coef)
        assert_allclose(path.coef[k], fit.coef, rtol=RTOL, atol=RTOL)
        assert_allclose(path.intercept[k], fit.intercept, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("name", CASES)
def test_gcv_replaces_each_leverage_by_their_mean(name):
    problem = CASES[name]
    path = trust_path(**problem, trusts=TRUSTS)
    for trust, error in zip(TRUSTS, path.gcv_error, strict=True):
        fit = distil_regression(**problem, trust=trust)
        assert_allclose(error, gcv_error(fit, label_weights(problem)), rtol=RTOL)


@given(st.integers(0, 10_000), masks(18), st.floats(0, 1), st.floats(0.1, 10), st.booleans())
def test_one_object_is_left_out_for_any_mask_and_noise(seed, mask, trust, noise, intercept):
    problem = one_problem(
        seed, m=18, n=2, privileged=mask, sigma_teacher=noise, fit_intercept=intercept
    )
    path = trust_path(**problem, trusts=[trust])
    expected = np.mean(refitted_errors(problem, trust) ** 2)
    assert_allclose(path.loo_error, [expected], rtol=RTOL)


def test_a_frequency_is_a_number_of_copies_of_which_one_is_left_out():
    counts = np.array([1, 3, 0, 2] * 6)
    problem = one_problem(sigma_teacher=0.5, fit_intercept=True)
    found = trust_path(**problem, sample_weight=counts, weights_kind="frequency", trusts=TRUSTS)
    copies = {name: np.repeat(problem[name], counts, axis=0) for name in list(problem)[:4]}
    expected = trust_path(**(problem | copies), trusts=TRUSTS)
    assert_allclose(found.loo_error, expected.loo_error, rtol=RTOL)
    assert_allclose(found.gcv_error, expected.gcv_error, rtol=RTOL)


def test_many_blocks_and_threads_give_the_sum_over_objects():
    m = 20_000  # enough work for a second thread, and ten blocks
    problem = one_problem(m=m, n=60, sigma_teacher=0.5, fit_intercept=True)
    path = trust_path(**problem, trusts=[0.4])
    fit = distil_regression(**problem, trust=0.4)
    assert_allclose(path.loo_error[0], np.mean(fit.loo_residuals**2), rtol=RTOL)
    assert_allclose(path.coef[0], fit.coef, rtol=RTOL, atol=RTOL)


# --- laws


def test_chunks_of_a_file_give_the_path_of_the_whole():
    m = 3000
    problem = one_problem(m=m, n=3)
    X = problem["X"] + 50.0 * (np.arange(m) > 1200)[:, None]  # chunks with origins of their own
    y, teacher = problem["y"][:, None] + 7.0, problem["teacher"][:, None]
    noise = per_object(m)
    rows = Rows(X, y, teacher, problem["privileged"], noise["sigma"], noise["sigma_teacher"],
                noise["sample_weight"])  # fmt: skip

    def chunk(start, stop):
        return Rows(*(array[start:stop] for array in rows))

    ends = [(0, 700), (700, 1300), (1300, m)]
    first, second = (PathStatistics(3, fit_intercept=True) for _ in range(2))
    first.update(chunk(*ends[0]))
    second.update(chunk(*ends[2]))
    second.update(chunk(*ends[1]))
    first.merge(second)
    first.merge(PathStatistics(3, fit_intercept=True))
    empty = PathStatistics(3, fit_intercept=True)
    empty.merge(first)
    solutions = empty.solutions(TRUSTS, ridge=0.2)
    total = solutions.sums(chunk(*ends[0]))
    for bounds in ends[1:]:
        total += solutions.sums(chunk(*bounds))
    found = solutions.path(total)

    whole = PathStatistics(3, fit_intercept=True)
    whole.update(rows)
    again = whole.solutions(TRUSTS, ridge=0.2)
    expected = again.path(again.sums(rows))
    assert_allclose(found.loo_error, expected.loo_error, rtol=RTOL)
    assert_allclose(found.gcv_error, expected.gcv_error, rtol=RTOL)
    assert_allclose(found.coef, expected.coef, rtol=RTOL, atol=RTOL)
    assert_allclose(found.intercept, expected.intercept, rtol=RTOL)


@pytest.mark.parametrize("intercept", [False, True])
def test_with_equal_noises_and_all_privileged_the_error_is_a_parabola(intercept):
    problem = one_problem(privileged=None, fit_intercept=intercept, ridge=0.3)
    path = trust_path(**problem, trusts=np.linspace(0, 1, 9))
    assert_allclose(np.diff(path.loo_error, 3), 0, atol=RTOL * path.loo_error.max())
    assert np.abs(np.diff(path.loo_error, 2)).min() > 1e-3
    unequal = trust_path(**problem, sigma_teacher=0.5, trusts=np.linspace(0, 1, 9))
    assert np.abs(np.diff(unequal.loo_error, 3)).max() > 1e-3


@pytest.mark.parametrize("name", ["plain", "noises per object", "two outputs", "ridge"])
def test_the_slope_of_the_path_is_the_gradient_of_the_fit(name):
    problem = CASES[name]
    step = 1e-4
    path = trust_path(**problem, trusts=[0.4 - step, 0.4 + step])
    slope = np.diff(path.loo_error)[0] / (2 * step)
    expected = distil_regression(**problem, trust=0.4).loo_error_trust_gradient
    assert_allclose(slope, expected, rtol=SLOPE, atol=SLOPE)


def test_the_path_passes_through_the_error_of_the_fit():
    problem = CASES["intercept"]
    path = trust_path(**problem, trusts=TRUSTS)
    for trust, error in zip(TRUSTS, path.loo_error, strict=True):
        fit = distil_regression(**problem, trust=trust)
        assert_allclose(error, fit.loo_error, rtol=RTOL)


def test_an_object_of_weight_0_is_as_good_as_absent():
    problem = CASES["intercept"]
    found = trust_path(**problem, trusts=TRUSTS)
    expected = trust_path(**without(problem, 5), trusts=TRUSTS)
    assert_allclose(found.loo_error, expected.loo_error, rtol=RTOL)
    assert_allclose(found.gcv_error, expected.gcv_error, rtol=RTOL)


@pytest.mark.parametrize("offset", [1e8, 1e30, 1e200])
@pytest.mark.parametrize("condition", [1.0, 1e6])  # the second has a fit for each trust
def test_rows_of_weight_0_may_be_anywhere(offset, condition):
    problem = one_problem(m=60, fit_intercept=True)
    problem["X"][:, 3] = problem["X"][:, 0] + problem["X"][:, 3] / condition
    counted = np.arange(60) < 20
    some = {name: value[counted] if isinstance(value, np.ndarray) else value
            for name, value in problem.items()}  # fmt: skip
    for name in ("X", "y", "teacher"):
        problem[name][~counted] += offset
    expected = trust_path(**some, trusts=TRUSTS)
    found = trust_path(**problem, sample_weight=counted.astype(float), trusts=TRUSTS)
    assert found.fallbacks == expected.fallbacks == (0 if condition == 1 else len(TRUSTS))
    for name in ("loo_error", "gcv_error", "coef", "intercept"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=RTOL * condition)


def test_a_block_without_weight_sets_no_origin():
    problem = one_problem(fit_intercept=True)
    X, y, teacher, inside = (problem[name] for name in ("X", "y", "teacher", "privileged"))
    ones = np.ones(24)
    statistics = PathStatistics(4, fit_intercept=True)
    far = Rows(X + 1e30, y[:, None], teacher[:, None], inside, ones, ones, 0 * ones)
    for rows in (far, far._replace(X=X[:0], y=y[:0, None], sample_weight=ones[:0])):
        statistics.update(rows)
        assert statistics.origin is None
        assert statistics.n_objects == statistics.total_weight == 0
    near = far._replace(X=X, sample_weight=ones)
    for rows in (near, far):
        statistics.update(rows)
    solutions = statistics.solutions(TRUSTS)
    path, expected = solutions.path(solutions.sums(near)), trust_path(**problem, trusts=TRUSTS)
    assert_allclose(path.loo_error, expected.loo_error, rtol=RTOL)
    assert_allclose(path.coef[:, :, 0], expected.coef, rtol=RTOL)


def test_a_common_factor_of_the_noises_changes_nothing():
    problem = one_problem(sigma=2.0, sigma_teacher=0.5)
    scaled = trust_path(**(problem | {"sigma": 2e5, "sigma_teacher": 0.5e5}))
    path = trust_path(**problem)
    assert_allclose(scaled.loo_error, path.loo_error, rtol=RTOL)
    assert_allclose(scaled.gcv_error, path.gcv_error, rtol=RTOL)


def test_units_of_the_features_change_nothing():
    problem = one_problem()
    units = np.array([1e-6, 1.0, 1e3, 1e8])
    path, scaled = trust_path(**problem), trust_path(**(problem | {"X": problem["X"] * units}))
    assert scaled.fallbacks == 0
    assert_allclose(scaled.loo_error, path.loo_error, rtol=RTOL)
    assert_allclose(scaled.coef * units, path.coef, rtol=RTOL, atol=RTOL)


def test_an_intercept_takes_up_any_offset():
    problem = one_problem(fit_intercept=True)
    X = np.round(problem["X"] * 2**20) / 2**20  # so that the offset does not round
    moved = one_problem(X=X + 2.0**27, y=problem["y"] + 2.0**20, fit_intercept=True,
                        teacher=problem["teacher"] + 2.0**20)  # fmt: skip
    path, found = trust_path(**(problem | {"X": X})), trust_path(**moved)
    assert found.fallbacks == 0
    assert_allclose(found.loo_error, path.loo_error, rtol=1e-7)  # the labels lost 20 bits
    assert_allclose(found.coef, path.coef, atol=1e-7)


@pytest.mark.parametrize("offset", [0.0, 3.5])  # the second is not worth a subtraction
@pytest.mark.parametrize("noises", [{}, per_object(60)])
def test_a_teacher_far_from_all_labels_spoils_neither_error(noises, offset):
    problem = one_problem(m=60, fit_intercept=True, **noises)
    problem["X"] = problem["X"] + offset
    problem["y"] = problem["X"].sum(axis=1) + problem["y"]
    problem["teacher"] = 1e6 * problem["teacher"]
    trusts = [0.5, 0.0, 1e-3]
    path = trust_path(**problem, trusts=trusts)
    for k, trust in enumerate(trusts):
        fit = distil_regression(**problem, trust=trust)
        assert_allclose(path.loo_error[k], fit.loo_error, rtol=FAR)
        assert_allclose(path.gcv_error[k], gcv_error(fit, label_weights(problem)), rtol=FAR)


def test_a_student_that_teaches_itself_looks_better_than_it_is():
    problem = one_problem(privileged=None)
    fit = distil_regression(**problem, trust=0.0)
    path = trust_path(**(problem | {"teacher": problem["X"] @ fit.coef}), trusts=TRUSTS)
    assert_allclose(path.coef, np.broadcast_to(fit.coef, path.coef.shape), rtol=RTOL)
    h = fit.solution.leverages(problem["X"], np.ones(24))
    residuals = problem["y"] - problem["X"] @ fit.coef
    for trust, error in zip(TRUSTS, path.loo_error, strict=True):
        expected = residuals * (1 - trust * h) / (1 - h)
        assert_allclose(error, np.mean(expected**2), rtol=RTOL)
    assert path.best() == 1.0


def test_the_best_trust_is_the_smallest_of_equals():
    problem = one_problem(privileged=np.zeros(24, dtype=bool))
    path = trust_path(**problem, trusts=[0.7, 0.2, 0.4])
    assert path.best() == path.best("gcv") == 0.2
    flat = replace(path, loo_error=np.array([1.0, 1.0 + 4 * np.finfo(float).eps, 1.0 + 1e-9]))
    assert flat.best() == 0.2
    perfect = trust_path(np.ones((5, 1)), np.ones(5), np.ones(5))
    assert perfect.best() == perfect.best("gcv") == 0.0


def test_the_best_trust_is_a_minimum_by_either_criterion():
    problem = one_problem(m=200)
    path = trust_path(**problem)
    assert path.trusts[0] == 0.0
    assert path.trusts[-1] == 1.0
    for criterion, error in (("loo", path.loo_error), ("gcv", path.gcv_error)):
        assert error[path.trusts == path.best(criterion)] == error.min()
    assert trust_path(**(problem | {"teacher": problem["y"] * 1e6})).best() == 0.0


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.coo_array])
def test_sparse_features_are_the_same_features(kind):
    problem = one_problem(**per_object(), fit_intercept=True)
    problem["X"] = np.where(np.abs(problem["X"]) > 0.5, problem["X"], 0.0)
    path, found = trust_path(**problem), trust_path(**(problem | {"X": kind(problem["X"])}))
    assert_allclose(found.loo_error, path.loo_error, rtol=RTOL)


def test_single_precision_features_are_computed_in_double():
    problem = one_problem()
    single = problem["X"].astype(np.float32)
    path, found = (trust_path(**(problem | {"X": X})) for X in (single.astype(np.float64), single))
    assert_allclose(found.loo_error, path.loo_error, rtol=RTOL)


def test_a_boolean_of_numpy_is_a_boolean():
    problem = one_problem()
    path = trust_path(**problem, trusts=TRUSTS, fit_intercept=np.True_)
    expected = trust_path(**problem, trusts=TRUSTS, fit_intercept=True)
    assert_array_equal(path.loo_error, expected.loo_error)


# --- limits


def test_teachers_answers_outside_the_mask_are_ignored():
    problem = CASES["noises per object"]
    blank = np.where(problem["privileged"], problem["teacher"], np.nan)
    found, path = trust_path(**(problem | {"teacher": blank})), trust_path(**problem)
    assert_array_equal(found.loo_error, path.loo_error)


def test_full_trust_ignores_the_labels_in_all_but_the_error():
    problem = one_problem(privileged=None)
    path = trust_path(**problem, trusts=[1.0])
    teacher_only = distil_regression(problem["X"], problem["teacher"], None)
    assert_allclose(path.coef[0], teacher_only.coef, rtol=RTOL)


def test_an_object_that_holds_up_a_direction_alone_has_no_error():
    problem = one_problem()
    X = np.column_stack([problem["X"], np.arange(24) == 3])
    path = trust_path(**(problem | {"X": X}))
    assert path.fallbacks == 0
    assert np.isinf(path.loo_error).all()
    assert np.isfinite(path.gcv_error).all()
    with pytest.raises(ValueError, match=r"`criterion` 'loo' must be finite for some trust"):
        path.best()
    uneven = per_object()
    other = trust_path(**(problem | {"X": X} | uneven))
    assert np.isinf(other.loo_error).all()


def test_as_many_columns_as_rows_leave_no_error_to_measure():
    path = trust_path(**one_problem(m=4), trusts=[0.5])
    assert np.isinf(path.loo_error[0])
    assert np.isinf(path.gcv_error[0])


def test_ill_conditioned_features_get_a_fit_for_each_trust():
    problem = one_problem(m=14)
    X = problem["X"].copy()
    X[:, 3] = X[:, 0] + 1e-6 * X[:, 3]
    problem["X"] = X
    trusts = [0.0, 0.7]
    for change in ({"fit_intercept": True}, per_object(14)):
        path = trust_path(**problem, **change, trusts=trusts)
        assert path.fallbacks == 2
        for k, trust in enumerate(trusts):
            case = problem | change
            expected = weighted_mean(label_weights(case), refitted_errors(case, trust) ** 2)
            assert_allclose(path.loo_error[k], expected, rtol=HARD)
            assert_allclose(path.coef[k], distil_regression(**case, trust=trust).coef, rtol=HARD)


def test_a_direction_that_one_end_of_the_range_loses_needs_a_fit_there_only():
    # at full trust only answers with almost no weight see the last column
    problem = one_problem(m=30, privileged=None)
    last = np.arange(30) < 3
    X = problem["X"] * np.array([1, 1, 1, 0])
    X[last, 3] = [1.0, -2.0, 0.5]
    noise = np.where(last, 1e7, 1.0)
    problem |= {"X": X, "sigma_teacher": noise}
    path = trust_path(**problem, trusts=[0.0, 0.5, 1.0])
    assert path.fallbacks == 1
    expected = np.mean(refitted_errors(problem, 1.0) ** 2)
    assert_allclose(path.loo_error[2], expected, rtol=HARD)


def test_dependent_columns_warn_once_and_take_the_least_norm():
    problem = one_problem(m=30)
    X = np.column_stack([problem["X"], problem["X"][:, 0]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = trust_path(**(problem | {"X": X}), trusts=TRUSTS)
    assert [warning.category for warning in caught] == [RankWarning]
    assert "dependent ones for 5 of 5 trusts" in str(caught[0].message)
    expected = trust_path(**problem, trusts=TRUSTS)
    assert_allclose(path.loo_error, expected.loo_error, rtol=RTOL)
    assert_allclose(path.gcv_error, expected.gcv_error, rtol=RTOL)
    assert_allclose(path.coef[:, 0], path.coef[:, 4], rtol=RTOL)


# --- bad input


@pytest.mark.parametrize(("change", "error", "match"), BAD_ROWS)
def test_bad_input_is_named(change, error, match):
    with pytest.raises(error, match=match):
        trust_path(**(one_problem() | change))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"fit_intercept": "no"}, TypeError, "`fit_intercept` must be True or False, got 'no'"),
        ({"trusts": []}, ValueError, r"`trusts` must have at least one entry"),
        ({"trusts": [0.5, 1.5]}, ValueError, r"`trusts` must be in \[0, 1\], got 1.5"),
        ({"trusts": [-0.5, 0.5]}, ValueError, r"`trusts` must be in \[0, 1\], got -0.5"),
        ({"trusts": 0.5}, ValueError, r"`trusts` must have 1 dimension\(s\)"),
        ({"trusts": [np.nan]}, ValueError, r"`trusts` must be finite, got nan"),
        ({"sigma": 0.0}, ValueError, r"`sigma` must be finite and positive, got 0.0"),
        ({"sigma_teacher": np.ones(3)}, ValueError, r"`sigma_teacher` must be one number or"),
        ({"convention": "variance"}, ValueError, r"`convention` must be 'precision' or 'printed'"),
        ({"weights_kind": "analytic"}, ValueError, r"`weights_kind` must be 'precision' or"),
        (
            {"weights_kind": "frequency", "sample_weight": np.full(24, 0.5)},
            ValueError,
            r"`sample_weight` must be whole numbers, got 0.5 at index \(0\)",
        ),
    ],
)
def test_bad_input_of_the_path_is_named(change, error, match):
    with pytest.raises(error, match=match):
        trust_path(**(one_problem() | change))


def test_sums_that_are_not_finite_are_refused_before_the_second_pass():
    X = 1e200 * one_problem()["X"]
    y, ones = np.ones((24, 1)), np.ones(24)
    statistics = PathStatistics(4)
    statistics.update(Rows(X, y, y, ones > 0, ones, ones, ones))
    with pytest.raises(ValueError, match=r"`X` must have squares in the range of a double"):
        statistics.solutions(TRUSTS)


def test_a_criterion_is_one_of_two():
    with pytest.raises(ValueError, match=r"`criterion` must be 'loo' or 'gcv', got 'aic'"):
        trust_path(**one_problem()).best("aic")
