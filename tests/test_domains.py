"""MD's loss is Theorem 2 across a link; links by pairs and by moments keep what they promise."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import sqrtm
from scipy.optimize import minimize

from kdtheory import distil_regression
from kdtheory.domains import distil_across, moment_link, paired_link
from kdtheory.regression import RankWarning

EPS = 1e-11  # rounding of well-conditioned problems of this size, with a factor 100
ROUNDING = 1e-13  # of a difference of numbers of size 1, exact but for a few ulps
OPTIMISER = 1e-6  # where BFGS with numerical gradients stops
GRID_STEP = 1e-3  # a parabola's minimiser lies within half a step of the best grid point
SEARCH = 1e-7  # of a minimum whose place is found to 1e-5; 1 - h has 8 digits at least
SEEDS = st.integers(0, 2**32 - 1)
TRUSTS = st.floats(0, 1)


def teacher(U):
    """Near the truth of `problem` and not linear."""
    return U[:, 0] - 3 * U[:, 2] - 3 + np.sin(U[:, 1]) * U[:, 0]


def link(X):
    """Two target features seen as three source features."""
    return np.column_stack([X[:, 0] + X[:, 1], X[:, 0] ** 2, X[:, 1] - 1])


def problem(seed=0, m=25):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, 2))
    y = X @ [1.0, -2.0] + 0.5 * X[:, 0] * X[:, 1] + rng.standard_normal(m)
    return X, y


def samples(seed, m_t=40, m_s=60, n=3):
    rng = np.random.default_rng(seed)
    mix_t, mix_s = (rng.standard_normal((n, n)) + 2 * np.eye(n) for _ in range(2))
    target = rng.standard_normal((m_t, n)) @ mix_t + rng.uniform(-5, 5, n)
    source = rng.uniform(-1, 1, (m_s, n)) @ mix_s + rng.uniform(-5, 5, n)
    return target, source


def pairs(seed, m=20, n_t=3, n_s=2):
    rng = np.random.default_rng(seed)
    target = rng.standard_normal((m, n_t)) + 3
    source = target @ rng.standard_normal((n_t, n_s)) + rng.standard_normal((m, n_s)) - 7
    return target, source


def printed_loss(w, X, y, md_lambda):
    """MD, section 3.2, term by term."""
    g = X @ w
    return md_lambda * np.sum((y - g) ** 2) + (1 - md_lambda) * np.sum((g - teacher(link(X))) ** 2)


def without_object(i, *arrays):
    return [np.delete(array, i, axis=0) for array in arrays]


def brute_force_loo(X, y, trust, **options):
    """Refit without each object in turn; mean square of what it then misses of the labels."""
    errors = []
    for i in range(len(y)):
        kept_X, kept_y = without_object(i, X, y)
        found = distil_across(kept_X, kept_y, teacher, link, trust=trust, **options)
        errors.append(y[i] - found.predict(X[[i]])[0])
    return np.mean(np.square(errors))


# --- oracles


@pytest.mark.parametrize("md_lambda", [0.0, 0.1, 0.35, 0.5, 0.75, 0.99, 1.0])
def test_estimate_minimises_the_printed_loss(md_lambda):
    X, y = problem()
    found = distil_across(X, y, teacher, link, trust=1 - md_lambda)
    judge = minimize(printed_loss, np.zeros(2), (X, y, md_lambda), tol=1e-12, method="Nelder-Mead")
    assert_allclose(found.fit.coef, judge.x, atol=OPTIMISER)
    assert_allclose(found.fit.objective, judge.fun, rtol=OPTIMISER)
    assert found.md_lambda == pytest.approx(md_lambda)


@given(SEEDS, TRUSTS)
def test_printed_loss_has_no_slope_at_the_estimate(seed, trust):
    X, y = problem(seed)
    found = distil_across(X, y, teacher, link, trust=trust)
    least = printed_loss(found.fit.coef, X, y, found.md_lambda)
    assert_allclose(found.fit.objective, least, rtol=EPS)
    for step in np.eye(2):
        # central differences of a quadratic are exact
        ahead, behind = (
            printed_loss(found.fit.coef + sign * step, X, y, found.md_lambda) for sign in (1, -1)
        )
        assert abs(ahead - behind) < EPS * ahead


@pytest.mark.parametrize("options", [{}, {"fit_intercept": True}, {"ridge": 3.0}])
@pytest.mark.parametrize("seed", range(3))
def test_chosen_trust_has_the_least_leave_one_out_error_by_brute_force(seed, options):
    X, y = problem(seed)
    found = distil_across(X, y, teacher, link, trust="loo", **options)
    # refits at three values give the parabola: it is evaluated on the grid
    ends = [brute_force_loo(X, y, trust, **options) for trust in (0, 0.5, 1)]
    grid = np.arange(0, 1 + GRID_STEP, GRID_STEP)
    best = grid[np.argmin(np.polyval(np.polyfit([0, 0.5, 1], ends, 2), grid))]
    assert abs(found.trust - best) <= GRID_STEP
    assert_allclose(found.fit.loo_error, brute_force_loo(X, y, found.trust, **options), rtol=EPS)


def test_chosen_trust_heeds_the_weights_of_objects():
    X, y = problem(4)
    c = np.random.default_rng(5).integers(1, 4, len(y)).astype(float)
    found = distil_across(X, y, teacher, link, trust="loo", sample_weight=c)

    def loss(trust):
        fit = distil_across(X, y, teacher, link, trust=float(trust), sample_weight=c).fit
        return c @ fit.loo_residuals**2

    grid = np.linspace(0, 1, 201)
    assert abs(found.trust - grid[np.argmin([*map(loss, grid)])]) <= 1 / 200
    assert 0 < found.trust < 1


@pytest.mark.parametrize("ridge", [0.0, 0.7, 50.0])
def test_paired_link_solves_its_normal_equations(ridge):
    target, source = pairs(0)
    found = paired_link(target, source, ridge=ridge)
    X, U = target - target.mean(axis=0), source - source.mean(axis=0)
    judge = np.linalg.solve(X.T @ X + ridge * np.eye(3), X.T @ U)
    assert_allclose(found.coef, judge, rtol=EPS)
    assert_allclose(found(target), source.mean(axis=0) + X @ judge, rtol=EPS)


@pytest.mark.parametrize("ridge", [0.0, 0.7, "loo"])
def test_paired_links_leave_one_out_error_is_that_of_refitting(ridge):
    target, source = pairs(1)
    found = paired_link(target, source, ridge=ridge)
    errors = []
    for i in range(len(target)):
        others = paired_link(*without_object(i, target, source), ridge=found.ridge)
        errors.append(source[i] - others(target[[i]])[0])
    assert_allclose(found.loo_error, np.mean(np.square(errors), axis=0), rtol=EPS)


@pytest.mark.parametrize(("m", "n_t"), [(20, 3), (8, 6), (8, 7), (6, 12)])
@pytest.mark.parametrize("seed", range(4))
def test_chosen_ridge_has_the_least_leave_one_out_error(seed, m, n_t):
    target, source = pairs(seed, m=m, n_t=n_t)
    found = paired_link(target, source)
    assert found.ridge > 0

    def loss(ridge):
        return np.sum(paired_link(target, source, ridge=ridge).loo_error / source.var(axis=0))

    others = found.ridge * np.concatenate([np.geomspace(1e-3, 1e3, 31), np.linspace(0.9, 1.1, 21)])
    size = np.linalg.norm(target - target.mean(axis=0), 2) ** 2
    others = others.clip(1e-8 * size, 1e6 * size)  # as the documentation has it
    assert loss(found.ridge) <= min(map(loss, others)) * (1 + SEARCH)


@pytest.mark.parametrize("seed", range(3))
def test_moment_link_is_the_printed_transport_map(seed):
    target, source = samples(seed)
    cov_t, cov_s = np.cov(target.T), np.cov(source.T)
    root = sqrtm(cov_t)
    T = np.linalg.solve(root, sqrtm(root @ cov_s @ root)) @ np.linalg.inv(root)
    found = moment_link(target, source)
    assert_allclose(found.coef, T, rtol=EPS, atol=EPS)
    mapped = source.mean(axis=0) + (target - target.mean(axis=0)) @ T
    assert_allclose(found(target), mapped, rtol=EPS, atol=EPS)


@given(SEEDS)
def test_moment_link_moves_least_among_maps_with_these_moments(seed):
    target, source = samples(seed)
    cov_t, cov_s = np.cov(target.T), np.cov(source.T)
    moved = target - moment_link(target, source)(target)
    cost = moved.var(axis=0, ddof=1).sum()
    root = sqrtm(cov_t)
    bures = np.trace(cov_t + cov_s) - 2 * np.trace(sqrtm(root @ cov_s @ root)).real
    assert_allclose(cost, bures, rtol=1e-9, atol=1e-9)  # a difference of traces
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    other = target @ (np.linalg.inv(root) @ Q @ sqrtm(cov_s)).real
    assert_allclose(np.cov(other.T), cov_s, atol=1e-9)  # another map with the same moments
    assert (target - other).var(axis=0, ddof=1).sum() >= cost - 1e-9


# --- laws


@given(SEEDS, TRUSTS)
def test_identity_link_is_plain_distillation(seed, trust):
    X, y = problem(seed)
    model = SimpleNamespace(predict=lambda U: U[:, 0] ** 3)
    options = {"ridge": 0.3, "fit_intercept": True, "sample_weight": np.arange(1.0, len(y) + 1)}
    across = distil_across(X, y, model, lambda Z: Z, trust=trust, **options)
    plain = distil_regression(X, y, X[:, 0] ** 3, trust=trust, **options)
    assert_array_equal(across.fit.coef, plain.coef)
    assert across.fit.intercept == plain.intercept
    assert across.trust + across.md_lambda == 1


@given(SEEDS, TRUSTS)
def test_affine_teacher_and_link_blend_two_vectors_of_weights(seed, trust):
    X, y = problem(seed)
    bridge = paired_link(X, link(X), ridge=0.0)
    v = np.array([1.0, -0.5, 2.0])
    found = distil_across(X, y, lambda U: U @ v - 4, bridge, trust=trust, fit_intercept=True)
    alone = distil_regression(X, y, None, fit_intercept=True)
    blend = (1 - trust) * alone.coef + trust * bridge.coef @ v
    assert_allclose(found.fit.coef, blend, rtol=EPS, atol=EPS)


@given(SEEDS)
def test_leave_one_out_trusts_a_teacher_who_knows_and_not_one_who_misleads(seed):
    X, y = problem(seed)
    truth = np.array([1.0, -2.0])
    chosen = [
        distil_across(X, y, lambda Z, v=v: Z @ v, lambda Z: Z, trust="loo").trust
        for v in (truth, -truth)
    ]
    assert chosen[0] > chosen[1]
    assert chosen[1] < 0.2


def test_several_answers_share_one_trust():
    X, y = problem()
    Y = np.column_stack([y, -2 * y])

    def many(U):
        return np.column_stack([teacher(U), -2 * teacher(U)])

    one, two = distil_across(X, y, teacher, link, trust="loo"), distil_across(
        X, Y, many, link, trust="loo"
    )  # fmt: skip
    assert_allclose(two.trust, one.trust, rtol=EPS)
    assert_allclose(two.fit.coef, np.column_stack([one.fit.coef, -2 * one.fit.coef]), rtol=EPS)
    assert two.predict(X).shape == Y.shape


@given(SEEDS, st.sampled_from([None, 0.01, "spread"]))
def test_moments_of_the_mapped_sample_are_those_of_the_source(seed, units):
    target, source = samples(seed)
    units = target.std(axis=0) if units == "spread" else units
    mapped = moment_link(target, source, units=units)(target)
    assert_allclose(mapped.mean(axis=0), source.mean(axis=0), rtol=EPS, atol=EPS)
    assert_allclose(np.cov(mapped.T), np.cov(source.T), rtol=EPS, atol=EPS)


@given(SEEDS)
def test_transport_there_and_back_is_no_change(seed):
    target, source = samples(seed)
    there, back = moment_link(target, source), moment_link(source, target)
    assert_allclose(back(there(target)), target, rtol=EPS, atol=EPS)
    assert_allclose(there.coef, there.coef.T, atol=EPS)
    assert np.linalg.eigvalsh(there.coef).min() > 0


def test_link_in_standard_deviations_knows_no_unit_of_measure():
    target, source = samples(2)
    unit = np.array([1e-3, 1.0, 1e5])
    plain = moment_link(target, source, units=target.std(axis=0))
    other = moment_link(target * unit, source * unit, units=(target * unit).std(axis=0))
    assert_allclose(other(target * unit), plain(target) * unit, rtol=EPS)


@pytest.mark.parametrize("make", [moment_link, paired_link])
def test_links_stand_far_from_the_origin(make):
    target, source = samples(3, m_s=40)
    far = 2.0**27
    target = target + far - far  # so that the shift itself is exact
    near, shifted = make(target, source), make(target + far, source)
    assert_allclose(shifted.coef, near.coef, atol=1e-8)  # the mean has an ulp of 1.5e-8
    differences = shifted(target + far) - shifted(target[:1] + far)
    assert_allclose(differences, (target - target[0]) @ shifted.coef, rtol=EPS, atol=EPS)


def test_mean_of_many_rows_keeps_its_digits():
    rng = np.random.default_rng(9)
    target = 2.0**27 + rng.standard_normal((20_000, 2))
    found = moment_link(target, rng.standard_normal((5, 2)))
    exact = [math.fsum(column) / 20_000 for column in target.T]
    assert_allclose(found.center, exact, rtol=3e-16)  # an ulp


def test_slope_of_the_leave_one_out_error_vanishes_at_the_chosen_trust():
    X, y = problem()
    found = distil_across(X, y, teacher, link, trust="loo", fit_intercept=True, solver="qr")
    assert 0 < found.trust < 1
    assert abs(found.fit.loo_error_trust_gradient) < EPS * found.fit.loo_error
    assert found.fit.solver == "qr"


# --- limits


def test_md_lambda_one_ignores_the_teacher_and_zero_the_labels():
    X, y = problem()
    labels_only = distil_across(X, y, teacher, link, trust=0.0)
    teacher_only = distil_across(X, y, teacher, link, trust=1.0)
    assert (labels_only.md_lambda, teacher_only.md_lambda) == (1.0, 0.0)
    assert_allclose(labels_only.fit.coef, np.linalg.lstsq(X, y)[0], rtol=EPS)
    assert_allclose(teacher_only.fit.coef, np.linalg.lstsq(X, teacher(link(X)))[0], rtol=EPS)


def test_teacher_who_changes_nothing_is_given_no_trust():
    X, y = problem()
    same = np.linalg.lstsq(X, y)[0]
    found = distil_across(X, y, lambda U: U @ same, lambda Z: Z, trust="loo")
    assert_allclose(found.fit.coef, same, rtol=EPS)
    assert found.trust == 0
    exact = distil_across(X, X @ [1.0, 2.0], lambda U: U @ [1.0, 2.0], lambda Z: Z, trust="loo")
    assert exact.trust == 0


def test_trust_is_clipped_to_its_range():
    X, y = problem()
    best = X @ [1.0, -2.0] + 0.5 * X[:, 0] * X[:, 1]
    answers = {"beyond": y + 5 * (best - y), "opposite": -9 * best}
    chosen = {
        name: distil_across(X, y, lambda _, s=s: s, lambda Z: Z, trust="loo").trust
        for name, s in answers.items()
    }
    assert chosen["opposite"] == pytest.approx(0, abs=0.02)
    assert 0 <= chosen["beyond"] <= 1


def test_same_domain_needs_no_move():
    target, _ = samples(0)
    found = moment_link(target, target[::-1])
    assert_allclose(found.coef, np.eye(3), atol=EPS)
    assert_allclose(found(target), target, rtol=EPS)
    bridge = paired_link(target, target, ridge=0.0)
    assert_allclose(bridge(target), target, rtol=EPS)


def test_source_may_vary_in_fewer_directions():
    target, source = samples(1)
    flat = source.copy()
    flat[:, 2] = flat[:, 0] - flat[:, 1]
    found = moment_link(target, flat)
    assert (found.target_rank, found.source_rank) == (3, 2)
    assert_allclose(np.cov(found(target).T), np.cov(flat.T), atol=EPS)
    constant = moment_link(target, np.ones((5, 3)))
    assert_array_equal(constant(target), np.ones((40, 3)))


def test_lines_that_are_not_orthogonal_are_mapped_exactly():
    along = np.arange(5.0)[:, None]
    found = moment_link(along * [1.0, 0.0], along * [3.0, 3.0] + 1)
    assert (found.target_rank, found.source_rank) == (1, 1)
    assert_allclose(found(along * [1.0, 0.0]), along * [3.0, 3.0] + 1, atol=EPS)
    assert_allclose(found([[0.0, 7.0]]) - found([[0.0, 0.0]]), [[21.0, 21.0]], atol=1e-9)


def test_same_flat_domain_needs_no_move_within_it():
    rng = np.random.default_rng(0)
    flat = rng.standard_normal((9, 2)) @ rng.standard_normal((2, 4))
    found = moment_link(flat, flat)
    assert found.target_rank == 2
    assert_allclose(found(flat), flat, atol=EPS)


def test_pairs_that_tell_nothing_map_to_the_mean():
    rng = np.random.default_rng(8)
    target, source = rng.standard_normal((2, 30, 4))
    chosen, free = (paired_link(target, source, ridge=ridge).coef for ridge in ("loo", 0.0))
    assert np.abs(chosen).max() < 0.5 * np.abs(free).max()
    exact = paired_link(target, target @ rng.standard_normal((4, 2)))
    assert exact.ridge < 1e-6
    assert exact.loo_error.max() < 1e-12


def test_constant_source_feature_is_kept_as_it_is():
    target, source = pairs(0)
    source[:, 1] = 0.1
    found = paired_link(target, source)
    assert_allclose(found(target)[:, 1], 0.1, rtol=EPS)


def test_dependent_target_features_are_told_of():
    target, source = pairs(0)
    target[:, 2] = target[:, 0] + target[:, 1]
    with pytest.warns(RankWarning):
        paired_link(target, source, ridge=0.0)
    assert np.isfinite(paired_link(target, source).coef).all()


# --- bad input


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"link": lambda X: X[:-1]}, ValueError, r"`X` has 25, `link\(X\)` has 24"),
        ({"link": lambda X: X[:, 0]}, ValueError, r"`link\(X\)` must have 2 dimension\(s\)"),
        ({"link": lambda X: X * np.nan}, ValueError, r"`link\(X\)` must be finite, got nan at"),
        ({"link": np.eye(2)}, TypeError, r"`link` must be callable, got array"),
        ({"teacher": lambda U: U}, ValueError, r"have the shape of `y`, .* got \(25, 3\)"),
        ({"teacher": lambda U: U[1:, 0]}, ValueError, r"of `y`, \(25,\), got \(24,\)"),
        ({"teacher": lambda U: U[:, 0] / 0}, ValueError, r"`teacher\(link\(X\)\)` must be finite"),
        ({"teacher": 3.0}, TypeError, r"`teacher` must be callable, got 3.0"),
        ({"trust": 1.5}, ValueError, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"trust": "gcv"}, ValueError, r"`trust` must be 'loo', got 'gcv'"),
        ({"ridge": -1.0}, ValueError, r"`ridge` must be finite and at least 0, got -1.0"),
        ({"sample_weight": [1.0]}, ValueError, r"`sample_weight` must have shape \(25,\)"),
        ({"y": [1.0]}, ValueError, r"`X` has 25, `y` has 1"),
        ({"X": [[np.inf]]}, ValueError, r"`X` must be finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_bad_input_is_named(change, error, words):
    X, y = problem()
    given_values = {"X": X, "y": y, "teacher": teacher, "link": link} | change
    with pytest.raises(error, match=words) as caught:
        distil_across(**given_values)
    assert "\n" not in str(caught.value)


def test_student_that_hangs_on_one_object_has_no_leave_one_out_error():
    X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    with pytest.raises(ValueError, match=r"`trust` cannot be 'loo': without some object"):
        distil_across(X, [1.0, 2.0, 3.0], lambda U: U[:, 0], lambda Z: Z, trust="loo")


def test_prediction_for_other_features_is_refused():
    X, y = problem()
    found = distil_across(X, y, teacher, link)
    with pytest.raises(ValueError, match=r"`X` must have shape \(4, 2\), got shape \(4, 3\)"):
        found.predict(np.ones((4, 3)))


@pytest.mark.parametrize("make", [paired_link, moment_link])
def test_links_refuse_other_features_and_bad_numbers(make):
    target, source = pairs(0)
    with pytest.raises(ValueError, match=r"`X_source` must be finite, got nan"):
        make(target, source * np.nan)
    with pytest.raises(ValueError, match=r"`X` must have shape \(1, 3\), got shape \(1, 2\)"):
        make(target, target)(np.ones((1, 2)))


@pytest.mark.parametrize(
    ("target", "source", "ridge", "words"),
    [
        (np.ones((4, 1)), np.ones((3, 1)), "loo", "`X_target` has 4, `X_source` has 3"),
        (np.eye(4), np.eye(4), -1.0, "`ridge` must be finite and at least 0, got -1.0"),
        (np.eye(4), np.eye(4), "gcv", "`ridge` must be 'loo', got 'gcv'"),
        (np.eye(2), np.eye(2), "loo", "`X_target` must have at least 3 rows .* got 2"),
        (np.ones((4, 1)), np.eye(4), "loo", "`X_target` must vary .* constant columns only"),
        (np.eye(4), np.ones((4, 1)), "loo", "`X_source` must vary .* constant columns only"),
    ],
)
def test_bad_pairs_are_named(target, source, ridge, words):
    with pytest.raises(ValueError, match=words):
        paired_link(target, source, ridge=ridge)


@pytest.mark.parametrize(
    ("target", "source", "words"),
    [
        (np.ones((4, 2)), np.ones((4, 3)), r"`X_source` must have the 2 feature\(s\) .* got 3"),
        (np.ones((1, 2)), np.ones((4, 2)), "`X_target` must have at least 2 rows .* got 1"),
        (np.ones((4, 2)), np.ones((1, 2)), "`X_source` must have at least 2 rows .* got 1"),
        (np.ones((4, 2)), np.eye(2), "rank 0 cannot be mapped onto one of rank 1"),
        (np.eye(2), np.eye(2)[[0, 1]] * [1, -1], "rank 1 cannot be mapped onto one of rank 1"),
    ],
)
def test_moments_that_no_map_matches_are_named(target, source, words):
    with pytest.raises(ValueError, match=words):
        moment_link(target, source)


def test_unit_of_a_feature_is_positive():
    target, source = samples(0)
    with pytest.raises(ValueError, match=r"`units` must be finite and positive, got 0.0"):
        moment_link(target, source, units=[1.0, 0.0, 1.0])
