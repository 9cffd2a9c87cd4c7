"""The experiments do what their words say: splits, oracles for each number, seeds."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from experiment_results import diabetes, digits
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from kdtheory import printed_constant
from kdtheory.classification import distil_classification
from kdtheory.experiments.diabetes import (
    STUDENT_COLUMNS,
    TRUSTS,
    _one_split,
    theorem_2_on_diabetes,
)
from kdtheory.experiments.digits import PENALTY, _log_soft_labels, theorem_1_on_digits

EPS = 1e-12  # rounding of well-conditioned sums and small least-squares problems
MPMATH_DIGITS = 80  # ten nodes, ten digits apart at most: the published formula loses under 60
OPTIMISER = 2e-3  # relative size to which two optimisers stop at the same minimum
NORMAL_EQUATIONS = 1e-8  # they square the condition number, about 10³ here
SIGMAS = 4.5  # of a normal mean: one false alarm in 10⁵


def divided_difference_of_exp(nodes):
    """The published formula; exact while there are digits to spare."""
    return mpmath.fsum(
        mpmath.exp(x) / mpmath.fprod(x - y for j, y in enumerate(nodes) if j != k)
        for k, x in enumerate(nodes)
    )


def first_split(answers=None):
    """Tables and groups of the first split, as the words of the module have it; see its oracle."""
    data = load_diabetes()
    y = data.target if answers is None else answers
    everything = np.column_stack([data.data * np.sqrt(442), np.ones(442)])
    few = everything[:, [data.feature_names.index(name) for name in STUDENT_COLUMNS] + [10]]
    rng = np.random.default_rng(np.random.SeedSequence(0).spawn(1)[0])
    return everything, few, y, rng


def own_patients():
    """Features, labels and teacher's answers of the student's own patients, and the held-out."""
    _, few, y, rng = first_split()
    test, _, own = np.split(rng.permutation(442), [142, 382])
    assert_array_equal(y[own], diabetes().answers)
    return few[own], y[own], few[test], y[test]


def three_sums(X, y, trust, keep):
    """(15) with a row for each square, over the patients to keep."""
    result = diabetes()
    inside = result.privileged[keep]
    a, b = np.where(inside, 1 - trust, 1.0), np.where(inside, trust, 0.0)
    rows = np.vstack([np.sqrt(a)[:, None] * X[keep], np.sqrt(b)[:, None] * X[keep]])
    goal = np.concatenate([np.sqrt(a) * y[keep], np.sqrt(b) * result.teacher[keep]])
    return np.linalg.lstsq(rows, goal)[0]


# --- oracles


@pytest.mark.parametrize("index", [0, 1, 500, 1796])
def test_mass_of_the_printed_density_is_that_of_its_definition(index):
    result = digits()
    log_probs = result.log_probs[index]
    printed = float(printed_constant(np.exp(log_probs)))
    with mpmath.workdps(MPMATH_DIGITS):
        mass = printed * divided_difference_of_exp([mpmath.mpf(float(a)) for a in log_probs])
        assert_allclose(result.log_mass[index], float(mpmath.log(mass)), rtol=EPS)


@pytest.mark.parametrize("index", [3, 77])
def test_mean_is_the_slope_of_the_log_normaliser(index):
    result = digits()
    with mpmath.workdps(MPMATH_DIGITS):
        nodes = [mpmath.mpf(float(a)) for a in result.log_probs[index]]
        start, step = mpmath.log(divided_difference_of_exp(nodes)), mpmath.mpf("1e-20")
        for k in range(10):
            ahead = [a + step * (j == k) for j, a in enumerate(nodes)]
            slope = (mpmath.log(divided_difference_of_exp(ahead)) - start) / step
            assert_allclose(result.mean[index, k], float(slope), rtol=EPS)


def _fitted(features, targets):
    """Coefficients of the student of the digits, the constant last."""
    fit = distil_classification(features, targets, l2=PENALTY)
    return np.vstack([fit.coef, fit.intercept])


def test_student_is_the_multinomial_regression_of_scikit_learn():
    features, labels = load_digits(return_X_y=True)
    features, labels = features[:300] / 16, labels[:300]
    with threadpool_limits(limits=1):
        coef = _fitted(features, np.eye(10)[labels])
        judge = LogisticRegression(C=1.0, max_iter=5000, tol=1e-8).fit(features, labels)
    assert_allclose(coef[:-1], judge.coef_.T, atol=OPTIMISER * np.abs(judge.coef_).max())


def test_student_reaches_its_stationary_point():
    rng = np.random.default_rng(1)
    features, targets = rng.standard_normal((50, 4)), rng.dirichlet(np.ones(3), size=50)
    coef = _fitted(features, targets)
    design = np.column_stack([features, np.ones(50)])
    logits = design @ coef
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    penalty = np.vstack([coef[:-1], np.zeros(3)])
    assert_allclose(design.T @ (probs - targets) + penalty, 0, atol=1e-4)


def test_interval_over_splits_is_the_t_interval_of_scipy():
    for row in diabetes().comparisons:
        judge = stats.ttest_1samp(row.differences, 0).confidence_interval(0.95)
        assert_allclose((row.low, row.high), (judge.low, judge.high), rtol=EPS)
        assert_allclose(row.change, np.mean(row.differences), rtol=EPS)


def test_first_split_is_what_the_words_say():
    # by normal equations: clinic, teacher and student as the module describes them
    data = load_diabetes()
    y = data.target
    everything = np.column_stack([data.data, np.ones(442)])
    few = everything[:, [data.feature_names.index(name) for name in STUDENT_COLUMNS] + [10]]
    child = np.random.SeedSequence(0).spawn(1)[0]
    test, clinic, own = np.split(np.random.default_rng(child).permutation(442), [142, 382])

    def solve(X, targets):
        return np.linalg.solve(X.T @ X, X.T @ targets)

    def error(coef):
        return np.mean((y[test] - few[test] @ coef) ** 2)

    result = diabetes()
    teacher = everything[own] @ solve(everything[clinic], y[clinic])
    blend = np.where(result.privileged, (y[own] + teacher) / 2, y[own])
    assert_allclose(result.teacher, teacher, rtol=NORMAL_EQUATIONS)
    assert_allclose(result.targets, blend, rtol=NORMAL_EQUATIONS)
    without, with_teacher = (error(solve(few[own], targets)) for targets in (y[own], blend))
    assert_allclose(result.mse_without[0], without, rtol=NORMAL_EQUATIONS)
    change = result.at(teacher_columns=10, trust=0.5).differences[0]
    assert_allclose(change, with_teacher - without, rtol=NORMAL_EQUATIONS)


@pytest.mark.parametrize("at", [0, 37, 100])
def test_path_of_the_first_split_is_that_of_refitting(at):
    X, y, X_test, y_test = own_patients()
    path, everybody = diabetes().path, np.arange(60)
    trust = path.trusts[at]
    missed = [y[i] - X[i] @ three_sums(X, y, trust, np.delete(everybody, i)) for i in everybody]
    assert_allclose(path.loo_error[at], np.mean(np.square(missed)), rtol=NORMAL_EQUATIONS)
    coef = three_sums(X, y, trust, everybody)
    residuals = y_test - X_test @ coef
    assert_allclose(path.held_out_error[at], np.mean(residuals**2), rtol=NORMAL_EQUATIONS)


def test_intervals_with_the_teacher_are_those_of_the_scores():
    X, y, _, _ = own_patients()
    result = diabetes()
    bread = np.linalg.inv(X.T @ X)  # with equal noises every weight is 1
    leverages = np.einsum("ij,jk,ik->i", X, bread, X)
    for row, targets in zip(result.intervals, (y, result.targets), strict=False):
        coef = bread @ X.T @ targets
        scores = X * ((targets - X @ coef) / (1 - leverages))[:, None]
        errors = np.sqrt(np.diag(bread @ scores.T @ scores @ bread))
        half = stats.t.ppf(0.975, 56) * errors
        assert row.covariance == "sandwich"
        assert_allclose(row.estimates, coef, rtol=NORMAL_EQUATIONS)
        assert_allclose(row.standard_errors, errors, rtol=NORMAL_EQUATIONS)
        assert_allclose([row.low, row.high], [coef - half, coef + half], rtol=NORMAL_EQUATIONS)


def test_naive_intervals_take_the_targets_for_data():
    X, *_ = own_patients()
    naive = diabetes().intervals[2]
    targets, inverse = diabetes().targets, np.linalg.inv(X.T @ X)
    coef = inverse @ X.T @ targets
    variance = np.sum((targets - X @ coef) ** 2) / 56
    assert naive.covariance == "classical"
    assert naive.trust == 0.5
    assert_allclose(
        naive.standard_errors, np.sqrt(variance * np.diag(inverse)), rtol=NORMAL_EQUATIONS
    )


# --- laws


def test_every_object_has_a_mass_far_below_one():
    result = digits()
    assert result.log_mass.shape == (1797,)
    assert result.log_mass.max() < -50


def test_printed_and_exact_constant_pull_in_opposite_directions():
    assert digits().direction < -0.99


def test_answers_are_points_of_the_simplex():
    result = digits()
    for table in (result.teacher_probs, np.exp(result.log_probs), result.mean):
        assert_allclose(table.sum(axis=1), 1, rtol=EPS)
        assert table.min() > 0
    assert_allclose(result.confidence, np.exp(result.log_probs).max(axis=1), rtol=EPS)


def test_exact_density_is_likelier_than_it_looks_with_the_printed_constant():
    result = digits()
    gap = result.log_density_exact - result.log_density_printed
    assert_allclose(gap, -result.log_mass.mean(), rtol=EPS)


def test_teacher_does_not_see_the_labels_it_is_asked_for():
    features, labels = load_digits(return_X_y=True)
    features = features[:400] / 16
    train, test = np.arange(300), np.arange(300, 400)
    labels = labels[:400]
    lies = labels.copy()
    lies[test] = 0
    with threadpool_limits(limits=1):
        told = _log_soft_labels(features, labels, train, test, 0)
        lied = _log_soft_labels(features, lies, train, test, 0)
    assert_array_equal(told, lied)


def test_teacher_is_as_fallible_on_its_training_objects_as_elsewhere():
    # a fit is sure of the objects it has seen: in-sample the loss is a third of this
    result = digits()
    loss = -np.log(result.teacher_probs[np.arange(1797), result.labels])
    assert loss[~result.held_out].mean() > 0.5 * loss[result.held_out].mean()


def test_scores_are_those_of_the_held_out_objects():
    result = digits()
    held = result.held_out
    assert held.sum() == result.n_held_out == 599
    student = result.scores[2]
    own = result.log_probs[held, result.labels[held]]
    assert_allclose(student.cross_entropy, -own.mean(), rtol=EPS)
    assert_allclose(
        result.change, student.cross_entropy - result.scores[1].cross_entropy, rtol=1e-9
    )
    assert result.change_low < result.change < result.change_high


def test_closed_form_solves_the_problem_as_written():
    assert diabetes().equivalence_gap < EPS


def test_teacher_on_the_same_rows_is_a_no_op():
    assert diabetes().no_op_gap < EPS


def test_no_op_is_found_where_it_is_and_nowhere_else():
    result = diabetes()
    assert (result.no_op_found, result.no_op_false_alarms) == (result.n_splits, 0)


def test_path_meets_the_students_at_its_fixed_trusts():
    result = diabetes()
    path = result.mean_path
    without = result.mse_without.mean()
    assert_allclose(path.held_out_error[0], without, rtol=EPS)
    for at, trust in ((25, 0.25), (50, 0.5), (75, 0.75), (100, 1.0)):
        change = result.at(teacher_columns=10, trust=trust).change
        assert_allclose(path.held_out_error[at], without + change, rtol=EPS)


@pytest.mark.parametrize("kind", [0, 1])
def test_choice_is_the_least_of_its_own_path(kind):
    result = diabetes()
    choice = result.choices[kind]
    errors = (result.path.loo_error, result.path.gcv_error)[kind]
    assert choice.criterion == ("loo", "gcv")[kind]
    at = int(np.argmin(errors))
    assert choice.trusts[0] == result.path.trusts[at]
    held_out = result.path.held_out_error
    assert_allclose(choice.regrets[0], held_out[at] - held_out.min(), rtol=EPS, atol=1e-9)
    assert_allclose(choice.against_none.differences[0], held_out[at] - held_out[0], rtol=1e-9)
    assert_allclose(choice.against_half.differences[0], held_out[at] - held_out[50], rtol=1e-9)


def test_regret_is_never_negative_and_trusts_lie_on_the_path():
    for choice in diabetes().choices:
        assert choice.regrets.min() >= 0
        assert np.isin(choice.trusts, diabetes().path.trusts).all()
        assert len(choice.trusts) == len(choice.regrets) == diabetes().n_splits


def test_held_out_patients_choose_nothing():
    everything, few, y, rng = first_split()
    test = np.random.default_rng(np.random.SeedSequence(0).spawn(1)[0]).permutation(442)[:142]
    other = y.copy()
    other[test] = y[test][::-1] ** 2
    honest = _one_split(everything, few, y, rng)
    *_, again = first_split()
    disturbed = _one_split(everything, few, other, again)
    assert disturbed.chosen == honest.chosen
    assert_array_equal(disturbed.path.loo_error, honest.path.loo_error)
    assert_array_equal(disturbed.path.gcv_error, honest.path.gcv_error)
    assert (disturbed.path.held_out_error != honest.path.held_out_error).all()
    for one, two in zip(disturbed.inferences, honest.inferences, strict=True):
        assert_array_equal(one.low, two.low)


def test_standard_errors_of_the_scores_foretell_the_spread():
    # the spread of 100 estimates is known to 7 %, HC3 is somewhat large in samples of 60
    for row in diabetes().intervals[:2]:
        assert_allclose(row.mean_standard_errors[:3], row.spread[:3], rtol=0.2)
    taught, naive = diabetes().intervals[1:]
    assert_allclose(naive.estimates, taught.estimates, rtol=EPS)
    assert (naive.mean_standard_errors < taught.mean_standard_errors).all()


def test_spread_allows_for_patients_drawn_without_replacement():
    two = theorem_2_on_diabetes(n_splits=2)
    everything, few, y, _ = first_split()
    rng = np.random.default_rng(np.random.SeedSequence(0).spawn(2)[1])
    second = _one_split(everything, few, y, rng).inferences
    for row, other in zip(two.intervals, second, strict=True):
        deviation = np.abs(row.estimates - other.estimates) / np.sqrt(2)
        assert_allclose(row.spread, deviation / np.sqrt(382 / 442), rtol=NORMAL_EQUATIONS)


def test_printed_last_formula_predicts_far_worse():
    assert diabetes().mse_doubled.mean() > 5 * diabetes().mse_without.mean()


def test_interval_for_new_patients_allows_for_shared_ones():
    row = diabetes().at(teacher_columns=10, trust=0.5)
    factor = (row.high_new - row.low_new) / (row.high - row.low)
    assert_allclose(factor, np.sqrt(1 + 100 * 142 / 300), rtol=EPS)


def test_targets_are_halfway_where_there_is_a_teacher():
    result = diabetes()
    inside = result.privileged
    assert inside.sum() == result.n_privileged
    assert_allclose(result.targets[inside], (result.answers + result.teacher)[inside] / 2)
    assert_array_equal(result.targets[~inside], result.answers[~inside])


def test_effect_of_the_columns_is_paired():
    result = diabetes()
    ten, three = (result.at(teacher_columns=n, trust=0.5) for n in (10, 3))
    assert_allclose(result.columns_effect.differences, ten.differences - three.differences)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-2.0, -1.0, "better"), (1.0, 2.0, "worse"), (-1.0, 2.0, "undecided")],
)
def test_verdict_follows_from_the_interval(low, high, verdict):
    row = replace(diabetes().comparisons[0], low=low, high=high, low_new=-high, high_new=-low)
    assert row.verdict == verdict
    mirrored = {"better": "worse", "worse": "better", "undecided": "undecided"}
    assert row.verdict_new == mirrored[verdict]


def test_seed_fixes_every_bit_and_matters():
    first, again, other = (
        theorem_2_on_diabetes(seed, n_splits=3).mse_without for seed in (5, 5, 6)
    )
    assert_array_equal(first, again)
    assert (first != other).any()


def test_seed_of_digits_fixes_every_bit_and_matters_beyond_32_bits():
    again, other = theorem_1_on_digits(0), theorem_1_on_digits(2**32 + 1)
    assert_array_equal(digits().log_mass, again.log_mass)
    assert (digits().log_mass != other.log_mass).any()


# --- limits


def test_student_without_trust_is_the_one_without_a_teacher():
    result = theorem_1_on_digits(trust=0.0)
    assert result.change == result.change_low == result.change_high == 0


def test_two_splits_suffice():
    assert len(theorem_2_on_diabetes(n_splits=2).comparisons) == 2 * len(TRUSTS)


# --- bad input


@pytest.mark.parametrize("experiment", [theorem_1_on_digits, theorem_2_on_diabetes])
def test_bad_seed_is_named(experiment):
    with pytest.raises(ValueError, match=r"`seed` must be at least 0, got -1"):
        experiment(-1)
    with pytest.raises(TypeError, match=r"`seed` must be an integer, got 1.5"):
        experiment(1.5)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match=r"`trust` must be in \[0, 1\], got 2"):
        theorem_1_on_digits(trust=2)
    with pytest.raises(ValueError, match=r"`n_splits` must be at least 2, got 1"):
        theorem_2_on_diabetes(n_splits=1)
