"""Weighted least squares against rational arithmetic and a textbook solution, paths and limits."""

import threading
import warnings
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from nist import Problem
from numpy.testing import assert_allclose, assert_array_equal

from kdtheory import least_squares
from kdtheory.least_squares import (
    RankWarning,
    dense_blocks,
    row_sums,
    weighted_gram,
    weighted_least_squares,
)

RTOL = 1e-11  # condition below 1e3 in all draws, times machine epsilon, with a factor 50
SOLVERS = ["auto", "cholesky", "qr", "svd"]


def draw(m=40, n=4, p=2, *, seed=0, offset=3.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n)) + offset
    return X, rng.standard_normal((m, p)), rng.uniform(0.1, 2.0, m)


def textbook(X, Y, weights, ridge=0.0, fit_intercept=False):
    """Parameters, intercept first, and the inverse of the normal matrix."""
    design = np.column_stack([np.ones(len(X)), X]) if fit_intercept else X
    penalty = ridge * np.eye(design.shape[1])
    penalty[0, 0] *= not fit_intercept
    normal = design.T @ (weights[:, None] * design) + penalty
    return np.linalg.solve(normal, design.T @ (weights[:, None] * Y)), np.linalg.inv(normal)


def parameters(found):
    return np.vstack([found.intercept, found.coef]) if found.fit_intercept else found.coef


# --- oracle


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 1.7])
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array, scipy.sparse.coo_matrix])
def test_every_path_gives_the_textbook_solution(solver, fit_intercept, ridge, make):
    X, Y, weights = draw()
    weights[:5] = 0.0
    given_X = make(X).tocsr() if make is not np.asarray else X
    found = weighted_least_squares(
        given_X, Y, weights, ridge=ridge, fit_intercept=fit_intercept, solver=solver
    )
    theta, inverse = textbook(X, Y, weights, ridge, fit_intercept)
    assert_allclose(parameters(found), theta, rtol=RTOL, atol=RTOL)
    assert_allclose(found.root @ found.root.T, inverse, rtol=RTOL, atol=RTOL)
    assert (found.rank, found.solver) == (4, "cholesky" if solver == "auto" else solver)
    design = np.column_stack([np.ones(40), X]) if fit_intercept else X
    leverages = weights * np.einsum("ij,jk,ik->i", design, inverse, design)
    assert_allclose(found.leverages(given_X, weights), leverages, atol=RTOL)
    images = np.vstack([image for _, image in found.images(given_X)])
    assert_allclose((images**2).sum(axis=1) * weights, leverages, atol=RTOL)
    moments = found.moments(given_X, Y)
    centred = X - found.shift if fit_intercept else X
    assert_allclose(moments[-4:], centred.T @ Y, atol=RTOL)
    assert_allclose(moments[:-4], Y.sum(axis=0, keepdims=True)[: int(fit_intercept)])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_condition_is_that_of_unit_columns(solver, fit_intercept):
    X, Y, weights = draw()
    found = weighted_least_squares(X, Y, weights, fit_intercept=fit_intercept, solver=solver)
    rows = np.sqrt(weights)[:, None] * X
    if fit_intercept:
        rows = np.sqrt(weights)[:, None] * (X - weights @ X / weights.sum())
    expected = np.linalg.cond(rows / np.linalg.norm(rows, axis=0))
    assert_allclose(found.condition, expected, rtol=RTOL)


def test_lsmr_gives_the_textbook_solution():
    rng = np.random.default_rng(0)
    X = scipy.sparse.random(300, 30, density=0.2, random_state=0, format="csr")
    Y, weights = rng.standard_normal((300, 2)), rng.uniform(0.1, 2.0, 300)
    for ridge, fit_intercept in ((0.0, False), (0.0, True), (0.5, True)):
        found = weighted_least_squares(
            X, Y, weights, ridge=ridge, fit_intercept=fit_intercept, solver="lsmr"
        )
        theta, _ = textbook(X.toarray(), Y, weights, ridge, fit_intercept)
        assert_allclose(parameters(found), theta, atol=1e-10)  # its stopping rule, times condition
        assert np.isnan(found.condition)
        with pytest.raises(ValueError, match="`X` must have fewer columns for an inverse"):
            _ = found.root


def test_lsmr_says_when_it_has_not_converged():
    # the squares of 1 … 10^-7 are too far apart for 20 n steps
    X = scipy.sparse.csr_array(1 / (np.arange(30)[:, None] + np.arange(12) + 1.0))
    with pytest.warns(RankWarning, match="too near to linear dependence for 'lsmr', which stopped"):
        weighted_least_squares(X, np.ones((30, 1)), np.ones(30), solver="lsmr")


def test_a_sparse_matrix_of_many_columns_goes_to_lsmr(monkeypatch):
    monkeypatch.setattr(least_squares, "MANY", 3)
    X, Y, weights = draw()
    found = weighted_least_squares(scipy.sparse.csr_array(X), Y, weights)
    assert found.solver == "lsmr"
    assert_allclose(found.coef, weighted_least_squares(X, Y, weights).coef, atol=1e-10)


@pytest.mark.parametrize("shift", [None, np.array([1.0, -2.0, 0.0, 5.0])])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gram_matrix_is_a_sum_over_rows(shift, dtype):
    X, Y, weights = draw(m=5000)
    X = X.astype(dtype)
    gram, cross = weighted_gram(X, weights, Y, shift)
    centred = X.astype(np.float64) - (0 if shift is None else shift)
    assert_allclose(gram, centred.T @ (weights[:, None] * centred), rtol=1e-13)
    assert_allclose(cross, centred.T @ (weights[:, None] * Y), rtol=1e-10, atol=1e-10)


# --- laws: which path is taken, and what it keeps


def collinear(m, gap, *, seed=0):
    """Two columns at a distance, so that the condition is about 2/gap."""
    rng = np.random.default_rng(seed)
    x, z, e = rng.standard_normal((3, m))
    return np.column_stack([x, x + gap * z]), e[:, None]


@pytest.mark.parametrize(
    ("m", "gap", "solver", "refined"),
    [
        (200, 1.0, "cholesky", False),
        (200, 1e-3, "qr", True),  # small: all digits by QR and doubled precision
        (200_000, 1.0, "cholesky", False),
        (200_000, 1e-3, "cholesky", True),  # refined with explicit residuals
        (200_000, 1e-7, "qr", True),
    ],
)
def test_the_path_follows_the_condition(m, gap, solver, refined):
    X, Y = collinear(m, gap)
    found = weighted_least_squares(X, Y, np.ones(m))
    assert found.solver == solver
    assert (found.refinements > 0) == refined
    # the residual is orthogonal to the columns, to the rounding of the terms x_ij w_j
    residuals = Y - X @ found.coef
    cosines = X.T @ residuals / np.linalg.norm(X, axis=0)[:, None] / np.linalg.norm(residuals)
    assert np.abs(cosines).max() < 1e-14 + 1e-15 * np.abs(found.coef).max()


def test_refinement_gives_cholesky_the_digits_of_qr():
    # at condition 2e3 the normal equations alone lose six or seven of sixteen digits
    X, Y = collinear(200_000, 1e-3)
    Y = X @ np.array([[1.0], [-1.0]]) + 1e-3 * Y
    by_qr = weighted_least_squares(X, Y, np.ones(len(X)), solver="qr")
    refined = weighted_least_squares(X, Y, np.ones(len(X)))
    gram, cross = weighted_gram(X, np.ones(len(X)), Y)
    plain = np.linalg.solve(gram, cross)
    error = np.abs(refined.coef - by_qr.coef).max()
    assert error < 1e-12
    assert error < np.abs(plain - by_qr.coef).max() / 20


@pytest.mark.parametrize(
    ("m", "gap", "fit_intercept"),
    [(14, 1e-8, True), (14, 1e-8, False), (3, 1e-10, False), (10, 3e-12, False), (10, 3e-12, True)],
)
def test_small_problems_have_all_digits_of_their_data(m, gap, fit_intercept):
    # each coefficient and the intercept, beside exact rational arithmetic, up to condition 6e11
    X, Y = collinear(m, gap, seed=3)
    rows = np.column_stack([np.ones(m), X]) if fit_intercept else X
    columns = tuple(tuple(map(Fraction, column)) for column in rows.T.tolist())
    problem = Problem(columns, tuple(map(Fraction, Y[:, 0].tolist())), (), ())
    exact, _ = problem.exact()
    found = weighted_least_squares(X, Y, np.ones(m), fit_intercept=fit_intercept)
    assert_allclose(parameters(found)[:, 0], [float(value) for value in exact], rtol=1e-15)


@pytest.mark.parametrize("m", [60, 9000])
@pytest.mark.parametrize("offset", [1e6, 1e8, 1e12])
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array])
def test_an_offset_is_lost_on_nobody(m, offset, make):
    # multiples of 2^-6, which the offset does not round: the same problem, dense or sparse
    X, Y, weights = draw(m=m, offset=0.0)
    X = np.round(X * 2**6) / 2**6
    near = weighted_least_squares(X, Y, weights, fit_intercept=True)
    far = weighted_least_squares(make(X + offset), Y, weights, fit_intercept=True)
    assert_allclose(far.coef, near.coef, rtol=1e-11)
    assert_allclose(far.leverages(make(X + offset), weights), near.leverages(X, weights))
    assert_allclose(far.predictions(make(X + offset)), near.predictions(X), atol=1e-12)


@pytest.mark.parametrize("gap", [1e-3, 1e-4, 1e-5])
def test_the_inverse_of_the_fast_path_keeps_nine_digits(gap):
    X, Y = collinear(9000, gap)
    X = np.hstack([X, draw(m=9000, n=10)[0]])
    fast = weighted_least_squares(X, Y, np.ones(9000), fit_intercept=True)
    careful = weighted_least_squares(X, Y, np.ones(9000), fit_intercept=True, solver="qr")
    assert fast.solver == "cholesky"
    lengths = [np.linalg.norm(found.root, axis=1) for found in (fast, careful)]
    assert_allclose(*lengths, rtol=1e-9)


@pytest.mark.parametrize("solver", ["auto", "qr", "svd"])
def test_a_row_of_weight_zero_may_be_of_any_size(solver):
    X, Y, weights = draw()
    weights[0] = 0.0
    expected = weighted_least_squares(X, Y, weights, fit_intercept=True)
    X[0] = 1e300
    found = weighted_least_squares(X, Y, weights, fit_intercept=True, solver=solver)
    assert_allclose(parameters(found), parameters(expected), rtol=RTOL)
    assert found.leverages(X, weights)[0] == 0


@pytest.mark.parametrize(
    ("solver", "ridge"), [("cholesky", 1e40), ("cholesky", 1e290), ("qr", 1e40), ("qr", 1e80)]
)
def test_a_huge_ridge_leaves_the_moments(solver, ridge):
    X, Y, weights = draw()
    centred = X - weights @ X / weights.sum()
    found = weighted_least_squares(X, Y, weights, ridge=ridge, fit_intercept=True, solver=solver)
    assert_allclose(found.coef * ridge, centred.T @ (weights[:, None] * Y), rtol=1e-11)


def test_forced_cholesky_refuses_what_it_cannot_do_well():
    X, Y = collinear(200, 1e-9)
    with pytest.raises(ValueError, match="further from linear dependence for solver='cholesky'"):
        weighted_least_squares(X, Y, np.ones(200), solver="cholesky")


@pytest.mark.parametrize("solver", ["auto", "qr", "svd"])
def test_a_large_offset_costs_no_digits_beside_an_intercept(solver):
    # differences of 2^-10 around 10^8 are held exactly
    rng = np.random.default_rng(0)
    small = np.round(rng.standard_normal((5000, 3)) * 2**10) / 2**10
    Y = small @ np.array([[1.0], [2.0], [3.0]]) + rng.standard_normal((5000, 1))
    near = weighted_least_squares(small, Y, np.ones(5000), fit_intercept=True)
    far = weighted_least_squares(small + 1e8, Y, np.ones(5000), fit_intercept=True, solver=solver)
    assert_allclose(far.coef, near.coef, rtol=1e-12)
    assert_allclose(far.leverages(small + 1e8, np.ones(5000)), near.leverages(small, np.ones(5000)))
    if solver == "auto":
        assert far.solver == "cholesky"


def test_first_rows_unlike_the_others_do_no_harm():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6000, 2)) + 1e8
    X[:3000] = 0.0
    weights = np.repeat([0.0, 1.0], 3000)
    Y = rng.standard_normal((6000, 1))
    found = weighted_least_squares(X, Y, weights, fit_intercept=True)
    by_qr = weighted_least_squares(X, Y, weights, fit_intercept=True, solver="qr")
    assert found.solver == "cholesky"  # by a second mean
    assert_allclose(found.coef, by_qr.coef, rtol=1e-10)


def test_a_ridge_is_in_the_refinement_too():
    X, Y = collinear(200_000, 1e-3)
    found = weighted_least_squares(X, Y, np.ones(len(X)), ridge=0.01)
    by_qr = weighted_least_squares(X, Y, np.ones(len(X)), ridge=0.01, solver="qr")
    assert found.refinements > 0
    assert_allclose(found.coef, by_qr.coef, rtol=1e-9)


@given(st.integers(-300, 300), st.sampled_from(SOLVERS), st.booleans())
def test_a_power_of_two_in_the_weights_changes_nothing(exponent, solver, fit_intercept):
    X, Y, weights = draw()
    one = weighted_least_squares(X, Y, weights, fit_intercept=fit_intercept, solver=solver)
    scaled = weights * 4.0**exponent
    other = weighted_least_squares(X, Y, scaled, fit_intercept=fit_intercept, solver=solver)
    assert_array_equal(other.coef, one.coef)
    assert_array_equal(other.root * 2.0**exponent, one.root)
    assert_array_equal(other.column_norms, one.column_norms * 2.0**exponent)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_row_of_weight_zero_is_absent(solver, fit_intercept):
    X, Y, weights = draw()
    weights[::3] = 0.0
    kept = weights > 0
    X[~kept] *= 1e6
    options = {"fit_intercept": fit_intercept, "solver": solver}
    one = weighted_least_squares(X, Y, weights, **options)
    other = weighted_least_squares(X[kept], Y[kept], weights[kept], **options)
    assert_allclose(parameters(one), parameters(other), rtol=RTOL, atol=RTOL)
    assert_allclose(one.root @ one.root.T, other.root @ other.root.T, rtol=RTOL, atol=RTOL)


def test_threads_change_the_sum_by_rounding_only(monkeypatch):
    X, Y, weights = draw(m=30_000, n=8)
    alone = weighted_gram(X, weights, Y)
    monkeypatch.setattr(least_squares, "THREADED", 1)
    for one, other in zip(alone, weighted_gram(X, weights, Y), strict=True):
        assert_allclose(other, one, rtol=1e-12, atol=1e-9)


def test_each_thread_has_the_blas_to_itself(monkeypatch):
    monkeypatch.setattr(least_squares, "THREADED", 1)
    libraries = least_squares._numpy_blas().lib_controllers
    if max((lib.num_threads for lib in libraries), default=1) > 1:
        threads, seen = row_sums(
            lambda *_: (1, [lib.num_threads for lib in libraries]), 100, work=1e9
        )
        assert threads > 1
        assert set(seen) == {1}


def test_the_blas_has_its_threads_again_after_a_failure(monkeypatch):
    def fails(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(least_squares, "THREADED", 1)
    before = [lib.num_threads for lib in least_squares._numpy_blas().lib_controllers]
    with pytest.raises(ZeroDivisionError):
        row_sums(fails, 100, work=1e9)
    assert [lib.num_threads for lib in least_squares._numpy_blas().lib_controllers] == before


def test_callers_in_many_threads_leave_the_blas_as_it_was(monkeypatch):
    monkeypatch.setattr(least_squares, "THREADED", 1)
    before = [lib.num_threads for lib in least_squares._numpy_blas().lib_controllers]
    X, Y, weights = draw(m=20_000, n=8)
    expected, _ = weighted_gram(X, weights, Y)
    found = []

    def work():
        for _ in range(5):
            found.append(weighted_gram(X, weights, Y)[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for gram in found:
        assert_allclose(gram, expected, rtol=1e-12)
    assert [lib.num_threads for lib in least_squares._numpy_blas().lib_controllers] == before


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, scipy.sparse.csr_array])
def test_blocks_are_the_rows_in_order(make):
    X = np.arange(70.0).reshape(35, 2)
    blocks = list(dense_blocks(make(X), rows=8))
    assert_array_equal(np.vstack([block for _, block in blocks]), X)
    assert [place.start for place, _ in blocks] == [0, 8, 16, 24, 32]


# --- limits: deficient and extreme columns


@pytest.mark.parametrize("solver", ["auto", "qr", "svd"])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_repeated_column_is_told_and_shares_its_part(solver, fit_intercept):
    X, Y, weights = draw()
    wide = np.hstack([X, X[:, :1]])
    with pytest.warns(RankWarning, match=r"rank 4 with 5 column\(s\)"):
        found = weighted_least_squares(wide, Y, weights, fit_intercept=fit_intercept, solver=solver)
    expected, _ = textbook(X, Y, weights, fit_intercept=fit_intercept)
    assert found.solver == "svd"
    assert found.condition == np.inf
    assert_allclose(found.coef[0], found.coef[4], rtol=RTOL)
    assert_allclose(2 * found.coef[0], expected[-4], rtol=RTOL)
    design = np.column_stack([np.ones(len(X)), wide])[:, int(not fit_intercept) :]
    normal = design.T @ (weights[:, None] * design)
    inverse = found.root @ found.root.T
    assert_allclose(normal @ inverse @ normal, normal, rtol=1e-9, atol=1e-9)


def test_fewer_rows_than_columns_are_fitted_exactly():
    X, Y, weights = draw(m=3, n=5)
    with pytest.warns(RankWarning, match=r"rank 3 with 5 column\(s\)"):
        found = weighted_least_squares(X, Y, weights)
    assert_allclose(X @ found.coef, Y, atol=RTOL)
    with pytest.warns(RankWarning, match=r"rank 2 with 5 column\(s\)"):
        found = weighted_least_squares(X, Y, weights, fit_intercept=True)
    assert_allclose(X @ found.coef + found.intercept, Y, atol=RTOL)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e8, -1e15])
def test_a_constant_column_beside_an_intercept_is_0(value):
    X, Y, weights = draw(m=1000)
    X[:, 1] = value
    with pytest.warns(RankWarning, match=r"rank 3 with 4 column\(s\)"):
        found = weighted_least_squares(X, Y, weights, fit_intercept=True)
    assert_array_equal(found.coef[1], 0.0)
    expected, _ = textbook(np.delete(X, 1, axis=1), Y, weights, fit_intercept=True)
    assert_allclose(np.delete(found.coef, 1, axis=0), expected[1:], rtol=1e-9)


def test_a_ridge_makes_any_columns_independent():
    X, Y, weights = draw(m=3, n=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = weighted_least_squares(X, Y, weights, ridge=0.1)
        by_qr = weighted_least_squares(X, Y, weights, ridge=0.1, solver="qr")
    expected, _ = textbook(X, Y, weights, ridge=0.1)
    for each in (found, by_qr):
        assert each.rank == 5
        assert_allclose(each.coef, expected, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-200, 1e-150, 1e150, 1e200])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_units_at_the_ends_of_the_range_change_nothing(unit, fit_intercept):
    X, Y, weights = draw()
    one = weighted_least_squares(X, Y, weights, fit_intercept=fit_intercept)
    units = np.array([1.0, unit, 1.0, 1.0])
    other = weighted_least_squares(X * units, Y, weights, fit_intercept=fit_intercept)
    assert other.rank == 4
    assert_allclose(other.coef * units[:, None], one.coef, rtol=RTOL)


@pytest.mark.parametrize("solver", ["auto", "qr"])
def test_a_tiny_column_under_a_ridge_is_0(solver):
    X, Y, weights = draw()
    units = np.array([1.0, 1e-200, 1.0, 1.0])
    found = weighted_least_squares(X * units, Y, weights, ridge=1.0, solver=solver)
    expected, _ = textbook(np.delete(X, 1, axis=1), Y, weights, 1.0)
    assert_allclose(np.delete(found.coef, 1, axis=0), expected, rtol=RTOL)
    assert_allclose(found.coef[1], 0, atol=1e-190)


@pytest.mark.parametrize("solver", ["auto", "qr"])
def test_weights_over_many_orders_of_magnitude_keep_their_digits(solver):
    # the heavy rows decide two directions, the light ones the third
    rng = np.random.default_rng(0)
    heavy = rng.standard_normal((20, 3))
    heavy[:, 2] = heavy[:, 0] + heavy[:, 1]
    X = np.vstack([heavy, rng.standard_normal((20, 3))])
    truth = np.array([[1.0], [2.0], [3.0]])
    weights = np.repeat([1.0, 1e-12], 20)
    found = weighted_least_squares(X, X @ truth, weights, solver=solver)
    assert_allclose(found.coef, truth, rtol=1e-9)


def test_answers_of_zero_give_a_fit_of_zero():
    X, Y, weights = draw()
    for solver in SOLVERS:
        found = weighted_least_squares(X, 0 * Y, weights, solver=solver)
        assert_array_equal(found.coef, 0 * found.coef)


def test_float32_is_computed_in_float64():
    X, Y, weights = draw(m=3000)
    X = X.astype(np.float32)
    found = weighted_least_squares(X, Y, weights)
    expected, _ = textbook(X.astype(np.float64), Y, weights)
    assert_allclose(found.coef, expected, rtol=RTOL)


def test_memory_beyond_x_is_a_few_blocks():
    import tracemalloc

    X, Y, weights = draw(m=100_000, n=20, p=1)
    for options in ({}, {"fit_intercept": True}, {"solver": "qr"}):
        weighted_least_squares(X[:99], Y[:99], weights[:99], **options)  # imports
        tracemalloc.start()
        weighted_least_squares(X, Y, weights, **options)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 0.5 * X.nbytes  # half of it is four vectors of the length of y


# --- bad input


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_what_is_not_finite_is_found_on_the_way(solver, wrong, fit_intercept):
    X, Y, weights = draw()
    weights[7] = 0.0  # even there
    X[7, 2] = wrong
    with pytest.raises(ValueError, match=rf"`X` must be finite, got {wrong} at index \(7, 2\)"):
        weighted_least_squares(X, Y, weights, fit_intercept=fit_intercept, solver=solver)
