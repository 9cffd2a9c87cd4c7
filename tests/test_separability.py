"""Existence of an optimum against rational arithmetic that enumerates extreme rays."""

import warnings
from fractions import Fraction
from itertools import combinations, permutations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.special import softmax

import kdtheory.separability
from kdtheory.separability import (
    ExistenceCertificate,
    UndecidedError,
    existence_certificate,
    optimum_existence,
    recession_direction,
)

ROUNDED = 2.0**-40  # violation that the module allows to a rounded direction


def one_hot(y, n_classes):
    return np.eye(n_classes, dtype=bool)[np.asarray(y)]


# --- oracle: extreme rays in rational arithmetic


def fractions(values):
    return [Fraction(float(value)) for value in values]


def with_intercept(X, fit_intercept):
    return [fractions(row) + ([Fraction(1)] if fit_intercept else []) for row in X]


def dot(a, b):
    return sum((x * z for x, z in zip(a, b, strict=True)), Fraction(0))


def reduced(rows):
    """Row echelon form and its pivots."""
    rows, pivots = [list(row) for row in rows], []
    for column in range(len(rows[0])):
        r = len(pivots)
        place = next((i for i in range(r, len(rows)) if rows[i][column]), None)
        if place is None:
            continue
        rows[r], rows[place] = rows[place], rows[r]
        rows[r] = [x / rows[r][column] for x in rows[r]]
        for i in range(len(rows)):
            factor = rows[i][column]
            if i != r and factor:
                rows[i] = [x - factor * z for x, z in zip(rows[i], rows[r], strict=True)]
        pivots.append(column)
        if len(pivots) == len(rows):
            break
    return rows[: len(pivots)], pivots


def conditions(X, support, fit_intercept):
    """Rows (i, l, a) of the conditions a·vec(V) ≥ 0; their negatives too inside a support."""
    K = support.shape[1]
    for i, x in enumerate(with_intercept(X, fit_intercept)):
        k = int(support[i].argmax())
        for l in range(K):
            row = [Fraction(0)] * (len(x) * K)
            row[k * len(x) : (k + 1) * len(x)] = x
            row[l * len(x) : (l + 1) * len(x)] = [-v for v in x]
            if l != k:
                yield i, l, row
                if support[i, l]:
                    yield i, l, [-v for v in row]


def growing_pairs(X, support, fit_intercept):
    """All (i, l) that fall behind in some direction, from every extreme ray of the cone."""
    rows = [(i, l, row) for i, l, row in conditions(X, support, fit_intercept) if any(row)]
    if not rows:
        return set()
    basis, _ = reduced([row for *_, row in rows])
    # V = basisᵀc: the cone of c has no line in it
    images = [(i, l, tuple(dot(row, b) for b in basis)) for i, l, row in rows]
    found = set()
    for tight in combinations({image for *_, image in images}, len(basis) - 1):
        ray = [Fraction(1)] * len(basis)
        if tight:
            echelon, pivots = reduced(tight)
            if len(pivots) < len(tight):
                continue
            free = next(c for c in range(len(basis)) if c not in pivots)
            ray = [Fraction(int(c == free)) for c in range(len(basis))]
            for row, pivot in zip(echelon, pivots, strict=True):
                ray[pivot] = -row[free]
        for sign in (1, -1):
            values = [sign * dot(image, ray) for *_, image in images]
            if min(values) >= 0:
                found |= {(i, l) for (i, l, _), v in zip(images, values, strict=True) if v > 0}
    return found


def exact_leads(X, support, recession):
    """v of a class of the support less v of each class, in rational arithmetic."""
    columns = [fractions(column) for column in recession.coef.T]
    b = fractions(recession.intercept)
    v = [
        [dot(fractions(x), column) + b[k] for k, column in enumerate(columns)]
        for x in np.asarray(X, dtype=float)
    ]
    pivots = support.argmax(axis=1)
    return [[row[k] - value for value in row] for row, k in zip(v, pivots, strict=True)]


def assert_proves_itself(X, support, recession):
    """The direction meets its definition exactly, and tells the truth about its margins."""
    leads = exact_leads(X, support, recession)
    for i, row in enumerate(leads):
        for l, lead in enumerate(row):
            assert lead == 0 if support[i, l] else lead >= 0
            assert recession.growing[i, l] == (lead > 0)
    assert recession.violation == 0
    assert recession.growing.any()
    alone = support.sum(axis=1) == 1
    complete = alone.any() and all(
        lead > 0
        for i in np.flatnonzero(alone)
        for l, lead in enumerate(leads[i])
        if not support[i, l]
    )
    assert recession.kind == ("complete" if complete else "quasi-complete")


@st.composite
def problems(draw, most=6):
    K = draw(st.integers(1, 3))
    fit_intercept = draw(st.booleans())
    n = draw(st.integers(1, 2)) if K + fit_intercept < 4 else 1
    m = draw(st.integers(1, most))
    numbers = st.integers(-2, 2)
    X = np.array(draw(st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=m, max_size=m)))
    support = one_hot(draw(st.lists(st.integers(0, K - 1), min_size=m, max_size=m)), K)
    for i in draw(st.sets(st.integers(0, m - 1), max_size=2)):
        support[i, draw(st.sets(st.integers(0, K - 1)).map(list))] = True
    return X.astype(float), support, fit_intercept


@given(problems())
@example((np.array([[0.0]]), one_hot([0], 2), False))
@example((np.array([[1.0]]), one_hot([0], 2), False))
@example((np.array([[1.0]]), one_hot([0], 1), True))
def test_an_optimum_exists_where_no_extreme_ray_grows(problem):
    X, support, fit_intercept = problem
    expected = growing_pairs(X, support, fit_intercept)
    answer = optimum_existence(X, support, fit_intercept=fit_intercept)
    assert answer.verdict == ("none" if expected else "exists")
    if expected:
        assert_proves_itself(X, support, answer.recession)
        found = set(map(tuple, np.argwhere(answer.recession.growing)))
        assert found <= expected
        assert answer.recession.maximal
        assert found == expected
    else:
        assert answer.recession is None


@given(
    st.lists(st.integers(-3, 3), min_size=2, max_size=9),
    st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_two_classes_on_a_line_are_separated_where_their_ranges_do_not_overlap(x, labels):
    x, y = np.array(x, dtype=float), np.array(labels[: len(x)], dtype=int)
    assume(0 < y.sum() < len(y))
    low, high = x[y == 0], x[y == 1]
    touching = low.max() <= high.min() or high.max() <= low.min()
    apart = low.max() < high.min() or high.max() < low.min()
    found = recession_direction(x[:, None], one_hot(y, 2))
    assert (found is not None) == (touching and np.ptp(x) > 0)
    if found is not None:
        assert found.kind == ("complete" if apart else "quasi-complete")


@pytest.mark.parametrize("separated", [True, False])
def test_the_verdict_is_that_of_statsmodels(separated):
    sm = pytest.importorskip("statsmodels.api")
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 2))
    y = (X[:, 0] + X[:, 1] > 0).astype(int) if separated else rng.integers(0, 2, 40)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            sm.Logit(y, sm.add_constant(X)).fit(disp=False, maxiter=100)
            perfect = any(issubclass(one.category, PerfectSeparationWarning) for one in caught)
        except np.linalg.LinAlgError:  # where version 0.14 wanders off to
            perfect = True
    assert (optimum_existence(X, one_hot(y, 2)).verdict == "none") == perfect == separated


def test_losses_fall_for_ever_along_the_direction():
    X = np.array([[-1.0], [0.0], [0.0], [2.0]])
    y = np.array([0, 0, 1, 1])
    found = recession_direction(X, one_hot(y, 2))
    v = X @ found.coef + found.intercept

    def loss(step):
        return -np.log(softmax(step * v, axis=1)[np.arange(4), y])

    losses = [loss(step) for step in (0.0, 1.0, 4.0, 16.0)]
    assert (np.diff(losses, axis=0) <= 0).all()
    assert (np.diff(np.sum(losses, axis=1)) < 0).all()


# --- laws


@given(problems(), st.lists(st.integers(0, 5), min_size=4, max_size=4), st.booleans())
def test_another_object_never_makes_an_optimum_vanish(problem, picks, soft):
    X, support, fit_intercept = problem
    before = optimum_existence(X, support, fit_intercept=fit_intercept)
    # in the span of the others, with or without an intercept
    one, two, three = (X[pick % len(X)] for pick in picks[:3])
    new = one_hot([picks[3] % support.shape[1]], support.shape[1])
    X = np.vstack([X, one + two - three])
    support = np.vstack([support, new | support[:1] if soft else new])
    after = optimum_existence(X, support, fit_intercept=fit_intercept)
    assert (before.verdict, after.verdict) != ("exists", "none")


@given(problems(), st.randoms(use_true_random=False))
def test_order_of_objects_features_and_classes_does_not_matter(problem, random):
    X, support, fit_intercept = problem
    rows, columns, classes = ([*range(size)] for size in (*X.shape, support.shape[1]))
    for order in (rows, columns, classes):
        random.shuffle(order)
    first = optimum_existence(X, support, fit_intercept=fit_intercept)
    second = optimum_existence(
        X[rows][:, columns], support[rows][:, classes], fit_intercept=fit_intercept
    )
    assert first.verdict == second.verdict
    if first.recession is not None:
        assert_array_equal(first.recession.growing[rows][:, classes], second.recession.growing)


@given(problems(), st.sampled_from([1e-8, 1e8, 2.0**-300, 2.0**300]))
def test_units_of_a_feature_do_not_matter(problem, unit):
    X, support, fit_intercept = problem
    scaled = X * np.where(np.arange(X.shape[1]) == 0, unit, 1.0)
    first = optimum_existence(X, support, fit_intercept=fit_intercept)
    second = optimum_existence(scaled, support, fit_intercept=fit_intercept)
    assert first.verdict == second.verdict
    if first.recession is not None:
        assert second.recession.violation <= ROUNDED
        # whole numbers times 1e-8 are rounded: a smaller direction may be the one that is exact
        assert (second.recession.growing <= first.recession.growing).all()
        if second.recession.maximal:
            assert_array_equal(first.recession.growing, second.recession.growing)


@given(problems())
def test_objects_of_full_support_that_span_cure_separability(problem):
    X, support, fit_intercept = problem
    n = X.shape[1]
    cure = np.vstack([np.zeros((1, n)), np.eye(n)])
    X = np.vstack([X, cure])
    support = np.vstack([support, np.ones((n + 1, support.shape[1]), dtype=bool)])
    assert recession_direction(X, support, fit_intercept=fit_intercept) is None


def test_objects_of_full_support_on_a_line_leave_the_direction_across_it():
    X = np.array([[-1.0, 0.0], [5.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]])
    support = np.vstack([one_hot([0, 1], 2), np.ones((4, 2), dtype=bool)])
    found = recession_direction(X, support)
    assert found.kind == "complete"
    assert_array_equal(found.coef[0], -found.coef[1])
    assert_proves_itself(X, support, found)


@given(problems())
def test_sparse_features_give_the_same_answer(problem):
    X, support, fit_intercept = problem
    dense = optimum_existence(X, support, fit_intercept=fit_intercept)
    for form in (sparse.csr_array, sparse.csc_matrix):
        thin = optimum_existence(form(X), support, fit_intercept=fit_intercept)
        assert thin.verdict == dense.verdict
        if dense.recession is not None:
            assert_array_equal(thin.recession.growing, dense.recession.growing)
            assert_proves_itself(X, support, thin.recession)


@given(problems())
def test_a_penalty_leaves_only_classes_that_never_occur(problem):
    X, support, fit_intercept = problem
    answer = optimum_existence(X, support, fit_intercept=fit_intercept, penalised=True)
    absent = not support.any(axis=0).all()
    assert answer.verdict == ("none" if fit_intercept and absent else "exists")
    if answer.recession is not None:
        assert answer.recession.found_by == "absent class"
        assert answer.recession.maximal
        assert not answer.recession.coef.any()
        assert_proves_itself(X, support, answer.recession)


@given(problems())
def test_multipliers_of_an_optimum_cancel_over_the_objects(problem):
    X, support, fit_intercept = problem
    answer = optimum_existence(X, support, fit_intercept=fit_intercept)
    if answer.certificate is None:
        return
    G = answer.certificate.scores
    assert (G[~support] > 0).all()
    design = np.array(with_intercept(X, fit_intercept), dtype=float)
    # whole numbers of at most 2 in size, and feasibility of 1e-9
    assert np.abs(design.T @ G).max() <= 1e-6 * np.abs(G).max()
    assert answer.certificate.distance < 1e-4
    assert answer.certificate.rank == np.linalg.matrix_rank(design)
    assert answer.certificate.unique == (answer.certificate.rank == design.shape[1])
    again = existence_certificate(X, support, G, fit_intercept=fit_intercept)
    assert again.distance == answer.certificate.distance


def overlapping(rng, m, n, K):
    """Objects of a multinomial model, and the scores of its maximum likelihood."""
    X = rng.standard_normal((m, n))
    design = np.column_stack([X, np.ones(m)])
    y = (X @ rng.standard_normal((n, K)) + 2 * rng.gumbel(size=(m, K))).argmax(axis=1)
    V = np.zeros((n + 1, K))
    for _ in range(12):
        p = softmax(design @ V, axis=1)
        gradient = design.T @ (p - one_hot(y, K))
        blocks = -np.einsum("mi,mk,ml,mj->ikjl", design, p, p, design)
        blocks += np.einsum("mi,mk,kl,mj->ikjl", design, p, np.eye(K), design)
        step = np.linalg.lstsq(blocks.reshape(V.size, V.size), gradient.ravel(), rcond=1e-10)[0]
        V -= step.reshape(V.shape)
        yield X, one_hot(y, K), softmax(design @ V, axis=1) - one_hot(y, K)


def test_a_point_near_the_optimum_proves_it_and_one_far_from_it_does_not():
    steps = list(overlapping(np.random.default_rng(0), 300, 4, 3))
    proofs = [existence_certificate(*step) for step in steps]
    far = proofs.index(next(proof for proof in proofs if proof is not None))
    assert 0 < far < 6
    assert None not in proofs[far:]
    assert proofs[-1].distance < 1e-9
    assert proofs[-1].unique
    answer = optimum_existence(*steps[-1][:2], scores=steps[-1][2])
    assert answer.reason == "the scores nearly cancel over the objects"


@given(problems(), st.integers(0, 2**32 - 1))
@example((np.array([[0.0], [1.0], [0.0]]), one_hot([0, 0, 1], 2), True), 1)
def test_no_scores_prove_an_optimum_that_does_not_exist(problem, seed):
    X, support, fit_intercept = problem
    assume(growing_pairs(X, support, fit_intercept))
    rng = np.random.default_rng(seed)
    # signs are right, the sum over objects is as small as least squares makes it
    design = np.array(with_intercept(X, fit_intercept), dtype=float)
    G = np.where(support, 0.0, rng.exponential(size=support.shape))
    G -= np.where(support, G.sum(axis=1, keepdims=True), 0.0) / support.sum(axis=1, keepdims=True)
    for scores in (G, G - design @ np.linalg.pinv(design) @ G):
        assert existence_certificate(X, support, scores, fit_intercept=fit_intercept) is None


def test_a_candidate_that_separates_is_its_own_proof():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 5)).astype(np.float32)
    W, b = rng.standard_normal((5, 4)), rng.standard_normal(4)
    support = one_hot((X @ W + b).argmax(axis=1), 4)
    found = recession_direction(X, support, candidate=(W, b))
    assert found.found_by == "candidate"
    assert found.kind == "complete"
    assert found.maximal
    assert found.least_margin > 0
    assert_proves_itself(X, support, found)
    # it is a multiple by a power of 2
    assert_array_equal(found.coef / W, np.full_like(W, (found.intercept / b)[0]))


@pytest.mark.parametrize("spoilt", ["zero", "one object"])
def test_a_candidate_that_does_not_separate_proves_nothing(spoilt):
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    support = one_hot([0, 1, 0, 1], 2)
    W = np.array([[0.0, 0.0]]) if spoilt == "zero" else np.array([[0.0, 1.0]])
    assert recession_direction(X, support, candidate=(W, [0.0, -1.5])) is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_signs_are_decided_without_rounding(order, sign):
    # 1 + 1.5u - 1 - 1.75u, u = 2^-53, is negative; from the left it is rounded to 0.25u
    u = 2.0**-53
    x = -sign * np.array([1.0, 1.5 * u, -1.0, -1.75 * u])[list(order)]
    W = np.column_stack([np.ones(4), np.zeros(4)])
    found = recession_direction(
        x[None], one_hot([0], 2), fit_intercept=False, candidate=(W, [0.0, 0.0])
    )
    assert (found.found_by == "candidate") == (sign > 0)
    assert_proves_itself(x[None], one_hot([0], 2), found)


def test_sums_that_cancel_are_as_positive_as_rational_arithmetic_says():
    rng = np.random.default_rng(0)
    W = np.column_stack([np.ones(13), np.zeros(13)])
    signs = set()
    for _ in range(60):
        x = rng.standard_normal(13)
        x[12] = -x[:12].sum()
        exact = sum(fractions(x))
        found = recession_direction(
            x[None], one_hot([0], 2), fit_intercept=False, candidate=(W, [0.0, 0.0])
        )
        assert (found.found_by == "candidate") == (exact > 0)
        signs.add(exact > 0)
    assert signs == {True, False}


def test_ratios_that_no_double_holds_are_multiplied_out():
    # w must be orthogonal to (1, 3): (3, -1), that the programme finds as (1, -1/3)
    X = np.array([[1.0, 3.0], [1.0, 3.0], [1.0, 0.0], [7.0, 21.0], [7.0, 21.0]])
    support = one_hot([0, 1, 0, 0, 1], 2)
    found = recession_direction(X, support, fit_intercept=False)
    assert_proves_itself(X, support, found)
    w = found.coef[:, 0] - found.coef[:, 1]
    assert w[0] == -3 * w[1] > 0


@pytest.mark.parametrize("K", [2, 3])
def test_a_dummy_variable_of_one_class_separates_quasi_completely(K):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((120, 3))
    y = rng.integers(0, K, 120)
    support = one_hot(y, K)
    assert recession_direction(X, support) is None
    dummy = (rng.random(120) < 0.2) & (y == 0)
    found = recession_direction(np.column_stack([X, dummy]), support)
    assert found.kind == "quasi-complete"
    assert_array_equal(found.growing.any(axis=1), dummy)
    assert_array_equal(found.growing.sum(axis=1), (K - 1) * dummy)
    assert_proves_itself(np.column_stack([X, dummy]), support, found)
    # hidden among sums of features the proof is one up to rounding
    mixed = np.column_stack([X, dummy]) @ rng.integers(-2, 3, (4, 4))
    found = recession_direction(mixed, support)
    assert_array_equal(found.growing.any(axis=1), dummy)
    assert 0 <= found.violation <= ROUNDED


def test_features_far_from_zero_are_told_apart_by_their_spread():
    X, support, _ = next(overlapping(np.random.default_rng(4), 200, 3, 2))
    assert recession_direction(X + 1e8, support) is None
    separated = one_hot((X[:, 0] > 0).astype(int), 2)
    assert recession_direction(X + 1e8, separated).kind == "complete"
    assert recession_direction(sparse.csr_array(X + 1e4), support) is None


# --- limits


def test_duplicate_columns_and_constants_leave_an_optimum_that_is_not_unique():
    X, support, _ = next(overlapping(np.random.default_rng(5), 100, 2, 3))
    assert optimum_existence(X, support).certificate.unique
    for wide in (np.column_stack([X, X[:, 0]]), np.column_stack([X, np.full(100, 0.1)])):
        proof = optimum_existence(wide, support).certificate
        assert isinstance(proof, ExistenceCertificate)
        assert (proof.rank, proof.unique) == (3, False)


def test_features_that_nearly_depend_on_each_other_do_not_prove_too_much():
    X, support, scores = list(overlapping(np.random.default_rng(5), 100, 2, 2))[-1]
    for size, separable in ((1e-6, True), (1e-10, True), (0.0, False)):
        near = np.column_stack([X, X[:, 0] + size * support[:, 0]])
        proof = existence_certificate(near, support, scores)
        assert (proof is None) == separable
        verdict = optimum_existence(near, support).verdict
        assert verdict in (("none", "undecided") if separable else ("exists",))


def test_one_object_with_an_intercept_separates():
    found = recession_direction([[0.0, 5.0]], one_hot([1], 3))
    assert found.kind == "complete"
    assert found.maximal
    assert found.n_growing == 1


def test_one_class_and_full_supports_have_an_optimum():
    assert recession_direction([[1.0], [2.0]], one_hot([0, 0], 1)) is None
    answer = optimum_existence([[1.0], [2.0]], np.ones((2, 3), dtype=bool))
    assert answer.reason == "every class is in every support"


def test_features_of_zeros_without_an_intercept_move_nothing():
    answer = optimum_existence(np.zeros((3, 2)), one_hot([0, 0, 1], 2), fit_intercept=False)
    assert answer.verdict == "exists"
    assert answer.certificate.rank == 0


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_large_problems_are_decided_by_one_feature(form, fit_intercept, monkeypatch):
    monkeypatch.setattr(kdtheory.separability, "SMALL", 0)
    told = {"fit_intercept": fit_intercept, "largest_programme": 0}
    X, support, _ = next(overlapping(np.random.default_rng(6), 90, 3, 3))
    X = np.column_stack([np.ones(90), X, np.where(support[:, 1], 0.0, -np.arange(90.0) % 3)])
    # a soft object: below the others on a feature that would set class 0 apart without it
    X = np.vstack([np.column_stack([X, np.where(support[:, 0], -1.0, 1.0)]), [1, 0, 0, 0, 0, 2.0]])
    support = np.vstack([support, [True, False, True]])
    found = recession_direction(form(X), support, **told)
    assert found.found_by == "one feature"
    assert not found.maximal
    assert_array_equal(found.coef.any(axis=1), [False] * 4 + [True, False])
    assert_proves_itself(X, support, found)
    # a threshold elsewhere than 0 needs the intercept
    shifted = X + np.array([0, 0, 0, 0, 0.7, 0])
    answer = optimum_existence(form(shifted), support, **told)
    assert answer.verdict == ("none" if fit_intercept else "undecided")


def test_a_method_that_is_lost_is_followed_by_another(monkeypatch):
    X, support, _ = next(overlapping(np.random.default_rng(8), 90, 3, 3))
    solve = scipy.optimize.linprog
    methods = []

    def lost_at_first(*arguments, method, **options):
        methods.append(method)
        answer = solve(*arguments, method=method, **options)
        answer.status = 4 if method == "highs-ds" else answer.status
        return answer

    monkeypatch.setattr(scipy.optimize, "linprog", lost_at_first)
    assert recession_direction(X, support) is None
    assert methods == ["highs-ds", "highs-ipm"]


def test_what_is_too_large_or_too_slow_is_undecided(monkeypatch):
    X, support, scores = list(overlapping(np.random.default_rng(7), 90, 3, 3))[-1]
    solve = scipy.optimize.linprog
    monkeypatch.setattr(scipy.optimize, "linprog", lambda *a, **k: solve(*a, **k | short()))

    def short():
        return {"options": {"maxiter": 1}}

    answer = optimum_existence(X, support)
    assert answer.verdict == "undecided"
    assert "the linear programme was not solved: Iteration limit" in answer.reason
    with pytest.raises(UndecidedError, match="was not solved"):
        recession_direction(X, support)
    for form in (np.asarray, sparse.csr_array):
        with pytest.raises(UndecidedError, match="of 1440 nonzeros is too large to be solved"):
            recession_direction(form(X), support, largest_programme=1439)
    assert recession_direction(X, support, scores=scores) is None


def test_without_exact_sums_no_direction_claims_to_be_exact(monkeypatch):
    monkeypatch.setattr(kdtheory.separability, "EXACT_TERMS", 0)
    monkeypatch.setattr(kdtheory.separability, "CLEANABLE", 0)
    X = np.array([[-0.3], [0.1], [0.1], [0.7]])
    support = one_hot([0, 0, 1, 1], 2)
    found = recession_direction(X, support, candidate=([[-1.0, 0.0]], [0.1, 0.0]))
    assert found.found_by == "linear programme"
    assert found.kind == "quasi-complete"
    assert 0 < found.violation < ROUNDED


@pytest.mark.parametrize("separated", [True, False])
def test_what_the_programme_says_is_not_believed(separated, monkeypatch):
    X, support, _ = next(overlapping(np.random.default_rng(8), 90, 3, 3))
    if separated:
        support = one_hot((X @ [[1, 2, 3], [2, 1, 0], [0, 1, 1]]).argmax(axis=1), 3)
    solve = scipy.optimize.linprog

    def lie(*arguments, **options):
        answer = solve(*arguments, **options)
        answer.x = -answer.x
        answer.fun = -1.0 if not separated else answer.fun
        return answer

    monkeypatch.setattr(scipy.optimize, "linprog", lie)
    answer = optimum_existence(X, support)
    assert answer.verdict == "undecided"
    assert answer.reason == "the direction found violates its conditions by more than rounding"

    def hide(*arguments, **options):
        answer = solve(*arguments, **options)
        answer.fun = 0.0
        answer.ineqlin.marginals = np.minimum(answer.ineqlin.marginals * 0, -1.0)
        return answer

    monkeypatch.setattr(scipy.optimize, "linprog", hide)
    answer = optimum_existence(X, support)
    assert answer.verdict == "undecided"
    assert answer.reason == "no direction was found, nor a proof that there is none"


# --- bad input


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"X": [[np.nan], [0.0]]}, ValueError, r"`X` must be finite, got nan at index \(0, 0\)"),
        ({"X": [1.0, 2.0]}, ValueError, r"`X` must have 2 dimension\(s\)"),
        ({"X": [["a"], ["b"]]}, TypeError, "`X` must be an array of real numbers"),
        ({"support": [[1, 0], [0, 1]]}, TypeError, "`support` must be an array of bool"),
        ({"support": [[True, False]]}, ValueError, r"`support` must have shape \(2, K\)"),
        ({"support": [[True], [False]]}, ValueError, r"`support` .* got none at index \(1\)"),
        ({"fit_intercept": 1}, TypeError, "`fit_intercept` must be True or False, got 1"),
        ({"penalised": "no"}, TypeError, "`penalised` must be True or False, got 'no'"),
        ({"candidate": 5}, TypeError, "`candidate` must be a pair, got 5"),
        ({"candidate": ([[1.0, 2.0]],)}, ValueError, r"`candidate` must be a pair, got 1 el"),
        (
            {"candidate": ([[1.0, 2.0]], [[1.0], [2.0, 3.0]])},
            ValueError,
            r"`candidate\[1\]` must be a rectangular array",
        ),
        ({"candidate": ([[1.0]], [0.0])}, ValueError, r"`candidate\[0\]` must have shape \(1, 2\)"),
        (
            {"candidate": ([[1.0, 2.0]], [0.0, np.inf])},
            ValueError,
            r"`candidate\[1\]` must be finite, got inf",
        ),
        ({"scores": [[1.0, -1.0]]}, ValueError, r"`scores` must have shape \(2, 2\)"),
        ({"time_limit": 0.0}, ValueError, "`time_limit` must be finite and positive, got 0.0"),
    ],
)
def test_bad_input_is_named(change, error, match):
    arguments = {"X": [[0.0], [1.0]], "support": one_hot([0, 1], 2)} | change
    with pytest.raises(error, match=match) as caught:
        recession_direction(arguments.pop("X"), arguments.pop("support"), **arguments)
    assert "\n" not in str(caught.value)


def test_scores_of_the_wrong_sign_prove_nothing():
    X, support, scores = list(overlapping(np.random.default_rng(9), 60, 2, 2))[-1]
    assert existence_certificate(X, support, scores) is not None
    assert existence_certificate(X, support, -scores) is None
