"""Factors of (15) against all rows at once: any blocks, any order, any tree of merges."""

import copy
import pickle
import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kdtheory import streaming
from kdtheory.inference import inference, inference_from_sums
from kdtheory.regression import RankWarning, distil_regression
from kdtheory.streaming import DistilledFactors, DistilledSolution, distil_blocks
from kdtheory.testing import masks, trusts

# Problems are standard normal with many more rows than columns: condition below 30
RTOL = 1e-12  # condition times machine epsilon, with a factor 150
SAME = 1e-13  # two orders of the same sum, condition of order 1
# Longley with its column of ones and all columns of norm 1 has condition 4.3e4 (NIST certifies 15
# digits): times machine epsilon, with a factor 10
LONGLEY_RTOL = 1e-10
EPS = np.finfo(np.float64).eps
FAR_FROM_0 = 1e-10  # digits of the distances from a mean, all of them, with a factor 1e5
SLOPE = 1e-6  # error of a central difference over 2e-5

# J. W. Longley, JASA 62 (1967), 819: employment; deflator, GNP, unemployed, armed, population, year
LONGLEY = np.array(
    [
        [60323, 83.0, 234289, 2356, 1590, 107608, 1947],
        [61122, 88.5, 259426, 2325, 1456, 108632, 1948],
        [60171, 88.2, 258054, 3682, 1616, 109773, 1949],
        [61187, 89.5, 284599, 3351, 1650, 110929, 1950],
        [63221, 96.2, 328975, 2099, 3099, 112075, 1951],
        [63639, 98.1, 346999, 1932, 3594, 113270, 1952],
        [64989, 99.0, 365385, 1870, 3547, 115094, 1953],
        [63761, 100.0, 363112, 3578, 3350, 116219, 1954],
        [66019, 101.2, 397469, 2904, 3048, 117388, 1955],
        [67857, 104.6, 419180, 2822, 2857, 118734, 1956],
        [68169, 108.4, 442769, 2936, 2798, 120445, 1957],
        [66513, 110.8, 444546, 4681, 2637, 121950, 1958],
        [68655, 112.6, 482704, 3813, 2552, 123366, 1959],
        [69564, 114.2, 502601, 3931, 2514, 125368, 1960],
        [69331, 115.7, 518173, 4806, 2572, 127852, 1961],
        [70551, 116.9, 554894, 4007, 2827, 130081, 1962],
    ]
)
# the certified values of NIST's Statistical Reference Datasets
LONGLEY_COEF = [
    -3482258.63459582, 15.0618722713733, -0.358191792925910e-01, -2.02022980381683,
    -1.03322686717359, -0.511041056535807e-01, 1829.15146461355,
]  # fmt: skip


@dataclass
class Problem:
    """Rows, and the choices of `solve` that they know nothing of."""

    X: np.ndarray
    y: np.ndarray
    teacher: np.ndarray
    privileged: np.ndarray
    weight: np.ndarray
    choices: dict = field(default_factory=dict)

    def rows(self, which):
        return (
            self.X[which], self.y[which], self.teacher[which], self.privileged[which],
            self.weight[which],
        )  # fmt: skip

    def blocks(self, cuts):
        return [self.rows(slice(a, b)) for a, b in pairwise([0, *cuts, len(self.X)])]

    def factors(self, which=slice(None)):
        X, y, teacher, privileged, weight = self.rows(which)
        return self.empty().update(X, y, teacher, privileged=privileged, sample_weight=weight)

    def empty(self):
        outputs = self.y.shape[1] if self.y.ndim == 2 else None
        return DistilledFactors.empty(self.X.shape[1], outputs)

    def in_memory(self, **change):
        return distil_regression(
            self.X,
            self.y,
            self.teacher,
            privileged=self.privileged,
            sample_weight=self.weight,
            **(self.choices | change),
        )


def problem(seed=0, m=60, n=3, p=None, **choices):
    rng = np.random.default_rng(seed)
    shape = (m,) if p is None else (m, p)
    X = rng.standard_normal((m, n))
    y = rng.standard_normal(shape)
    teacher = y + rng.standard_normal(shape)
    privileged = rng.random(m) < 0.6
    teacher[~privileged] = np.nan
    weight = rng.integers(0, 4, m).astype(float)
    weight[:n] = 1.0
    return Problem(X, y, teacher, privileged, weight, choices)


choices = st.fixed_dictionaries(
    {
        "trust": trusts(),
        "sigma": st.sampled_from([0.5, 1.0, 3.0]),
        "sigma_teacher": st.sampled_from([0.25, 1.0]),
        "convention": st.sampled_from(["precision", "printed"]),
        "ridge": st.sampled_from([0.0, 0.7]),
        "fit_intercept": st.booleans(),
    }
)
cuts = st.lists(st.integers(0, 60), max_size=6).map(sorted)


def agree(solution, fit, rtol=RTOL):
    """Everything that both of them say."""
    scale = np.abs(fit.coef).max()
    assert np.shape(solution.coef) == np.shape(fit.coef)
    assert np.shape(solution.intercept) == np.shape(fit.intercept)
    assert_allclose(solution.coef, fit.coef, rtol=0, atol=rtol * scale)
    assert_allclose(solution.intercept, fit.intercept, rtol=0, atol=rtol * scale)
    assert solution.rank == fit.rank
    assert_allclose(solution.objective, fit.objective, rtol=rtol)
    assert_allclose(solution.condition, fit.condition, rtol=rtol)


def exact_solution(X, y):
    """Normal equations in rational numbers, by elimination."""
    rows = [[Fraction(1), *map(Fraction, x), Fraction(t)] for x, t in zip(X, y, strict=True)]
    k = len(rows[0]) - 1
    table = [[sum(r[i] * r[j] for r in rows) for j in range(k + 1)] for i in range(k)]
    for i in range(k):
        table[i] = [value / table[i][i] for value in table[i]]
        for j in range(k):
            if j != i:
                table[j] = [a - table[j][i] * b for a, b in zip(table[j], table[i], strict=True)]
    return np.array([float(row[-1]) for row in table])


# --- the triangles against the rows


@given(choices=choices, cuts=cuts)
@example(choices={"trust": 1.0}, cuts=[0, 0, 1])
@example(choices={"trust": 0.0, "fit_intercept": True}, cuts=[59])
def test_blocks_give_the_fit_of_all_rows_in_memory(choices, cuts):
    given_problem = problem(**choices)
    agree(distil_blocks(given_problem.blocks(cuts), **choices), given_problem.in_memory())


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_several_outputs_are_several_problems_with_the_same_weights(fit_intercept):
    both = problem(p=2, trust=0.3, fit_intercept=fit_intercept)
    solution = both.factors().solve(**both.choices)
    agree(solution, both.in_memory())
    for k in range(2):
        alone = Problem(both.X, both.y[:, k], both.teacher[:, k], both.privileged, both.weight)
        single = alone.factors().solve(**both.choices)
        assert_allclose(solution.coef[:, k], single.coef, rtol=RTOL)
        assert_allclose(
            solution.residual_moments.cross[k], single.residual_moments.cross, rtol=RTOL
        )


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_moments_are_sums_over_the_rows(fit_intercept):
    rows = problem(trust=0.4, sigma=2.0, ridge=0.1, fit_intercept=fit_intercept)
    solution, fit = rows.factors().solve(**rows.choices), rows.in_memory()
    label = rows.y - fit.fitted
    teacher = np.where(rows.privileged, rows.teacher - fit.fitted, 0.0)
    on, off = rows.weight * rows.privileged, rows.weight * ~rows.privileged
    moments = solution.residual_moments
    assert_allclose(moments.label, on @ label**2, rtol=RTOL)
    assert_allclose(moments.cross, on @ (label * teacher), rtol=RTOL)
    assert_allclose(moments.teacher, on @ teacher**2, rtol=RTOL)
    assert_allclose(moments.outside, off @ label**2, rtol=RTOL)
    assert_allclose(solution.residual_squares, fit.weights @ fit.residuals**2, rtol=RTOL)
    assert_allclose(solution.coef_trust_gradient, fit.coef_trust_gradient, rtol=RTOL)
    assert_allclose(solution.predict(rows.X), fit.fitted, rtol=RTOL)


def test_the_slope_in_trust_is_that_of_the_solutions():
    factors = problem(p=2).factors()
    low, high = (factors.solve(trust=t, fit_intercept=True).coef for t in (0.3 - 1e-5, 0.3 + 1e-5))
    slope = factors.solve(trust=0.3, fit_intercept=True).coef_trust_gradient
    assert_allclose((high - low) / 2e-5, slope, rtol=SLOPE)


@pytest.mark.parametrize("order", [range(16), range(15, -1, -1)])
def test_longley_row_by_row_has_the_certified_digits(order):
    factors = DistilledFactors.empty(6)
    for i in order:
        factors = factors.update(LONGLEY[i : i + 1, 1:], LONGLEY[i : i + 1, 0])
    solution = factors.solve(fit_intercept=True)
    found = [solution.intercept, *solution.coef]
    assert_allclose(found, LONGLEY_COEF, rtol=LONGLEY_RTOL)
    assert_allclose(found, exact_solution(LONGLEY[:, 1:], LONGLEY[:, 0]), rtol=LONGLEY_RTOL)


def test_features_around_1e8_keep_the_digits_that_they_have():
    rng = np.random.default_rng(1)
    X = 1e8 + rng.standard_normal((20_000, 2))
    y = X @ [3.0, -2.0] + rng.standard_normal(20_000)
    centred = np.linalg.lstsq(X - X.mean(axis=0), y - y.mean())[0]
    blocks = [(X[k : k + 3000], y[k : k + 3000]) for k in range(0, 20_000, 3000)]
    solution = distil_blocks(blocks, fit_intercept=True)
    assert solution.rank == 2
    assert_allclose(solution.coef, centred, rtol=FAR_FROM_0)


def far_problem(offset, spread=64.0, **choices):
    """Features that an offset does not round."""
    rows = problem(seed=4, m=400, **choices)
    rows.X = offset + np.round(64 * rows.X) / spread
    rows.y = rows.X @ [3.0, -2.0, 1.0] - 2 * offset + rows.y
    rows.teacher = rows.y + np.where(rows.privileged, np.sin(np.arange(400)), np.nan)
    return rows


OFFSETS = [(1e6, 64.0), (1e8, 64.0), (1e12, 64.0), (1e8, 4096.0), (-1e12, 64.0)]


@pytest.mark.parametrize("p", [None, 2])
@pytest.mark.parametrize(("offset", "spread"), OFFSETS)
def test_an_offset_of_the_features_costs_no_digits(offset, spread, p):
    rows = far_problem(offset, spread, trust=0.3, sigma=0.5, ridge=0.2, fit_intercept=True)
    if p is not None:
        rows.y, rows.teacher = (np.column_stack([one, 2 * one]) for one in (rows.y, rows.teacher))
    fit = rows.in_memory()
    in_chunks = distil_blocks(rows.blocks(range(1, 400, 23)), **rows.choices)
    parts = [rows.factors(slice(k, k + 57)) for k in range(0, 400, 57)]
    while len(parts) > 1:
        parts.append(parts.pop(0).merge(parts.pop(0)))
    (total,) = parts
    beside_empty = rows.empty().merge(total).merge(rows.empty())
    for factors in (in_chunks.factors, total, beside_empty):
        solution = factors.solve(**rows.choices)
        scale = np.abs(fit.coef).max()
        assert_allclose(solution.coef, fit.coef, rtol=0, atol=FAR_FROM_0 * scale)
        assert_allclose(solution.predict(rows.X), fit.fitted, rtol=4 * EPS, atol=FAR_FROM_0)
        assert_allclose(solution.objective, fit.objective, rtol=FAR_FROM_0)
        assert_allclose(solution.condition, fit.condition, rtol=FAR_FROM_0)
        assert_allclose(solution.coef_trust_gradient, fit.coef_trust_gradient, rtol=FAR_FROM_0)
        assert solution.rank == 3
        assert not solution.no_op
        on = rows.privileged
        residuals = (rows.y - fit.fitted)[on] * (rows.teacher - fit.fitted)[on]
        cross = np.tensordot(rows.weight[on], residuals, 1)
        assert_allclose(solution.residual_moments.cross, cross, rtol=FAR_FROM_0)
        for asked in (
            {"covariance": "sandwich"},
            {"covariance": "model", "sigma": 1.0, "sigma_teacher": 0.5},
        ):
            source = rows.blocks([100]) if asked["covariance"] == "sandwich" else None
            found, expected = inferred(solution, source, **asked), inference(fit, **asked)
            for name in ("standard_errors", "df"):
                got, right = getattr(found, name), getattr(expected, name)
                assert_allclose(got, right, rtol=FAR_FROM_0)


@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_without_an_intercept_an_offset_is_only_a_condition(offset):
    rows = far_problem(offset, trust=0.3, ridge=0.2)
    fit = rows.in_memory()
    halves = rows.factors(slice(0, 150)).merge(rows.factors(slice(150, 400)))
    for solution in (rows.factors().solve(**rows.choices), halves.solve(**rows.choices)):
        agree(solution, fit, rtol=1e2 * EPS * offset)
        assert_allclose(solution.predict(rows.X), fit.fitted, rtol=0, atol=1e3 * EPS * offset)
        found = inferred(solution, None, "model", sigma=1.0, sigma_teacher=1.0)
        expected = inference(fit, sigma=1.0, sigma_teacher=1.0).standard_errors
        assert_allclose(found.standard_errors, expected, rtol=1e2 * EPS * offset)


def test_rows_of_weight_0_set_no_origin():
    rows = problem(seed=2, fit_intercept=True)
    far = DistilledFactors.empty(3).update(rows.X + 1e12, rows.y, sample_weight=np.zeros(60))
    assert_array_equal(far.origin, np.zeros(3))
    X = np.vstack([rows.X + 1e12, rows.X])
    y, weight = np.tile(rows.y, 2), np.repeat([0.0, 1.0], 60)
    expected = DistilledFactors.empty(3).update(rows.X, rows.y).solve(fit_intercept=True)
    for factors in (
        far.update(rows.X, rows.y),
        DistilledFactors.empty(3).update(X, y, sample_weight=weight),
        far.merge(DistilledFactors.empty(3).update(rows.X, rows.y)),
        DistilledFactors.empty(3).update(rows.X, rows.y).merge(far),
    ):
        assert_array_equal(factors.origin, np.zeros(3))
        assert_allclose(factors.solve(fit_intercept=True).coef, expected.coef, rtol=RTOL)


# --- laws


@given(st.randoms(use_true_random=False), st.integers(1, 9))
def test_any_tree_of_merges_is_the_same(random, count):
    rows = problem(seed=2)
    whole = rows.factors().solve(trust=0.7, fit_intercept=True)
    places = [random.randrange(count) for _ in rows.X]
    parts = [rows.factors(np.array([p == k for p in places])) for k in range(count)]
    while len(parts) > 1:
        random.shuffle(parts)
        parts.append(parts.pop().merge(parts.pop()))
    (total,) = parts
    assert total.n_objects == np.count_nonzero(rows.weight)
    assert total.n_privileged == np.count_nonzero(rows.weight[rows.privileged])
    assert_allclose(total.total_weight, rows.weight.sum(), rtol=RTOL)
    assert_allclose(total.privileged_weight, rows.weight[rows.privileged].sum(), rtol=RTOL)
    agree(total.solve(trust=0.7, fit_intercept=True), whole)


@given(masks(60))
def test_a_row_of_weight_zero_counts_nowhere(kept):
    kept[:4] = True
    rows = problem(seed=3)
    rows.weight = np.where(kept, 1.0, 0.0)
    weighted, dropped = rows.factors(), rows.factors(kept)
    assert weighted.n_objects == dropped.n_objects == kept.sum()
    assert weighted.n_privileged == dropped.n_privileged
    assert weighted.total_weight == dropped.total_weight
    agree(weighted.solve(fit_intercept=True), dropped.solve(fit_intercept=True))


def test_whole_weights_are_repeated_rows():
    rows = problem(seed=4, trust=0.2)
    copies = np.repeat(np.arange(60), rows.weight.astype(int))
    repeated = Problem(
        rows.X[copies], rows.y[copies], rows.teacher[copies], rows.privileged[copies],
        np.ones(len(copies)),
    )  # fmt: skip
    assert repeated.factors().n_objects == rows.weight.sum() == rows.factors().total_weight
    agree(rows.factors().solve(trust=0.2), repeated.factors().solve(trust=0.2))


def test_a_block_changes_no_factors_but_gives_new_ones():
    rows = problem()
    first = rows.factors(slice(0, 30))
    before = first.inside.copy(), first.outside.copy(), first.n_objects
    first.update(rows.X, rows.y)
    first.merge(rows.factors())
    assert_array_equal(first.inside, before[0])
    assert_array_equal(first.outside, before[1])
    assert first.n_objects == before[2]


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_and_pickles_go_on_where_the_factors_were(again):
    rows = problem()
    copied = again(rows.factors(slice(0, 30))).update(*rows.rows(slice(30, 60))[:2])
    straight = rows.factors(slice(0, 30)).update(*rows.rows(slice(30, 60))[:2])
    assert_array_equal(copied.outside, straight.outside)
    solution = again(straight.solve())
    assert isinstance(solution, DistilledSolution)
    assert_array_equal(solution.coef, straight.solve().coef)


def test_memory_does_not_grow_with_the_rows():
    rng = np.random.default_rng(0)
    factors = DistilledFactors.empty(4)
    for _ in range(20):
        X = rng.standard_normal((100, 4))
        factors = factors.update(X, X[:, 0], X[:, 1], privileged=X[:, 2] > 0)
        assert factors.inside.shape == (7, 7)
        assert factors.outside.shape == (6, 6)


@pytest.mark.parametrize("rows", [511, 512, 20_000, 70_000])
def test_tall_blocks_in_threads_give_what_one_tall_qr_gives(rows):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((rows, 9))
    y = X.sum(axis=1) + rng.standard_normal(rows)
    weight = rng.random(rows)
    mask = rng.random(rows) < 0.5
    factors = DistilledFactors.empty(9).update(X, y, 2 * y, privileged=mask, sample_weight=weight)
    tall = np.sqrt(weight)[:, None] * np.column_stack([np.ones(rows), X, y, 2 * y])
    for R, part in ((factors.inside, tall[mask]), (factors.outside, tall[~mask][:, :-1])):
        expected = np.linalg.qr(part[:, :11], mode="r")
        signs = np.sign(np.diag(R[:, :11])) * np.sign(np.diag(expected))
        assert_allclose(R[:11, :11], signs[:, None] * expected, atol=SAME * np.sqrt(rows))


def test_single_precision_is_read_in_double():
    rows = problem()
    exact = rows.X.astype(np.float32)
    single = DistilledFactors.empty(3).update(exact, rows.y)
    double = DistilledFactors.empty(3).update(exact.astype(np.float64), rows.y)
    assert_array_equal(single.outside, double.outside)


def test_a_least_squares_teacher_is_found_out():
    rows = problem(fit_intercept=True)
    rows.privileged[:] = True
    rows.teacher = distil_regression(
        rows.X, rows.y, None, sample_weight=rows.weight, fit_intercept=True
    ).fitted
    assert rows.factors().solve(fit_intercept=True).no_op
    rows.teacher = rows.teacher + 1e-3 * rows.X[:, 0]
    assert not rows.factors().solve(fit_intercept=True).no_op
    assert not DistilledFactors.empty(3).update(rows.X, rows.y).solve().no_op


# --- inference


def inferred(solution, source, covariance, weights_kind="precision", **noise):
    sums = solution.inference_sums(
        source, covariance=covariance, weights_kind=weights_kind, **noise
    )
    return inference_from_sums(
        solution.solution, sums, covariance=covariance, weights_kind=weights_kind,
        trust=solution.trust, ridge=solution.ridge,
        many_outputs=solution.factors.n_outputs is not None,
    )  # fmt: skip


@pytest.mark.parametrize("weights_kind", ["precision", "frequency"])
@pytest.mark.parametrize("p", [None, 2])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        {"covariance": "model", "sigma": 1.5, "sigma_teacher": 0.5, "noise_correlation": 0.4},
        {"covariance": "sandwich"},
    ],
)
def test_errors_are_those_of_the_rows_in_memory(asked, fit_intercept, p, weights_kind):
    rows = problem(p=p, trust=0.3, ridge=0.2, fit_intercept=fit_intercept)
    asked = asked | {"weights_kind": weights_kind}
    expected = inference(rows.in_memory(), **asked)
    solution = rows.factors().solve(**rows.choices)
    source = rows.blocks([10, 40]) if asked["covariance"] == "sandwich" else None
    found = inferred(solution, source, **asked)
    for name, value in vars(expected).items():
        got = getattr(found, name)
        if name == "solver":
            continue
        if isinstance(value, str | tuple):
            assert got == value, name
        else:
            assert_allclose(got, value, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("p", [None, 2])
def test_errors_of_ordinary_regression_need_one_pass(p):
    rows = problem(p=p, trust=0.0, fit_intercept=True)
    solution = rows.factors().solve(**rows.choices)
    found, expected = inferred(solution, None, "classical"), inference(rows.in_memory())
    assert found.kind == expected.kind == "classical"
    assert_allclose(found.standard_errors, expected.standard_errors, rtol=1e-10)
    assert_allclose(found.r_squared, expected.r_squared, rtol=1e-10)
    assert_allclose(found.noise, expected.noise, rtol=1e-10)
    assert found.n_privileged == expected.n_privileged == 0


@pytest.mark.parametrize("weights_kind", ["precision", "frequency"])
@pytest.mark.parametrize("taught", [False, True])
def test_pooled_variance_of_one_set_is_that_of_ordinary_regression(taught, weights_kind):
    # a teacher that repeats the labels leaves ordinary regression, with all objects in I
    rows = problem(fit_intercept=True)
    answers = rows.y if taught else None
    factors = DistilledFactors.empty(3).update(rows.X, rows.y, answers, sample_weight=rows.weight)
    plain = DistilledFactors.empty(3).update(rows.X, rows.y, sample_weight=rows.weight)
    found = inferred(factors.solve(fit_intercept=True), None, "pooled", weights_kind)
    expected = inferred(plain.solve(fit_intercept=True), None, "classical", weights_kind)
    assert found.kind == "pooled"
    assert found.df == expected.df
    assert_allclose(found.covariance, expected.covariance, rtol=RTOL, atol=RTOL * 1e-2)
    assert "equal among objects with a teacher" in str(found.summary())


def test_pooled_variances_are_those_of_the_scores_on_each_set():
    rows = problem(seed=3, p=2, trust=0.3, sigma=0.5, ridge=0.2, fit_intercept=True)
    found = inferred(rows.factors().solve(**rows.choices), None, "pooled")
    fit = rows.in_memory()
    X = np.column_stack([np.ones(60), rows.X])
    bread = fit.solution.root @ fit.solution.root.T
    counted = rows.weight > 0
    scores = fit.weights[:, None] * fit.residuals
    for k in range(2):
        meat = 0.0
        for some in (counted & rows.privileged, counted & ~rows.privileged):
            c = rows.weight[some]
            left = some.sum() - fit.leverages[some].sum()
            v = (scores[some, k] ** 2 / c).sum() / left
            meat = meat + v * (c[:, None] * X[some]).T @ X[some]
        assert_allclose(found.covariance[k], bread @ meat @ bread, rtol=1e-10, atol=1e-14)


def test_sums_of_parts_of_the_rows_add_up():
    rows = problem(trust=0.5)
    solution = rows.factors().solve(trust=0.5)
    parts = [solution.inference_sums([block]) for block in rows.blocks([13, 50])]
    whole = solution.inference_sums(rows.blocks([]))
    assert_allclose(sum(parts[1:], start=parts[0]).meat, whole.meat, rtol=RTOL, atol=RTOL)


# --- limits


def test_dependent_columns_give_the_least_norm_and_say_so():
    rows = problem(seed=6, fit_intercept=True)
    rows.X = np.column_stack([rows.X, rows.X[:, 0] + rows.X[:, 1]])
    with pytest.warns(RankWarning, match="rank 3 with 4 column"):
        solution = distil_blocks(rows.blocks([7, 30]), fit_intercept=True)
    with pytest.warns(RankWarning):
        fit = rows.in_memory()
    assert solution.rank == 3
    assert solution.condition == np.inf
    assert_allclose(solution.coef, fit.coef, rtol=RTOL)


def test_fewer_rows_than_columns_pass_through_all_of_them():
    X = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]])
    with pytest.warns(RankWarning, match="rank 2 with 3"):
        solution = distil_blocks([(X[:1], [1.0]), (X[1:], [2.0])])
    assert_allclose(X @ solution.coef, [1.0, 2.0], rtol=RTOL)


def test_one_object_with_an_intercept_is_its_own_mean():
    with pytest.warns(RankWarning, match="rank 0"):
        solution = DistilledFactors.empty(1).update([[5.0]], [3.0]).solve(fit_intercept=True)
    assert solution.coef == [0.0]
    assert_allclose(solution.intercept, 3.0, rtol=RTOL)


def test_blocks_without_rows_and_of_weight_zero_change_nothing():
    rows = problem()
    factors = rows.factors()
    same = factors.update(np.empty((0, 3)), np.empty(0))
    same = same.update(np.empty((0, 3)), np.empty(0), np.empty(0), sample_weight=np.empty(0))
    same = same.update(rows.X, rows.y, sample_weight=np.zeros(60))
    assert (same.n_objects, same.total_weight) == (factors.n_objects, factors.total_weight)
    agree(same.solve(trust=0.9), factors.solve(trust=0.9))


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("scale", [1e-200, 1e-165, 1e-140, 1e140, 1e160, 1e200])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_sizes_of_the_features_do_not_matter(scale, offset, fit_intercept):
    rows = problem()
    X = rows.X + offset
    plain = DistilledFactors.empty(3).update(X, rows.y).solve(fit_intercept=fit_intercept)
    scaled = DistilledFactors.empty(3).update(scale * X, rows.y).solve(fit_intercept=fit_intercept)
    assert_allclose(scale * scaled.coef, plain.coef, rtol=RTOL * (1 + offset))


@pytest.mark.parametrize("sigma", [1e-100, 1.0, 1e100])
def test_the_size_of_the_noises_is_the_size_of_the_objective(sigma):
    rows = problem()
    plain = rows.factors().solve(trust=0.3)
    scaled = rows.factors().solve(trust=0.3, sigma=sigma, sigma_teacher=sigma)
    assert_allclose(scaled.objective * sigma**2, plain.objective, rtol=RTOL)


@pytest.mark.parametrize("value", [0.1, 1e8, -1e15])
@pytest.mark.parametrize("m", [30, 40_000])
def test_a_constant_column_beside_the_intercept_is_0(value, m):
    # what rounding leaves of it grows with the number of rows
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal(m), np.full(m, value)])
    y = 2 * X[:, 0] + 3 + rng.standard_normal(m)
    factors = DistilledFactors.empty(2)
    for rows in np.array_split(np.arange(m), 7):
        factors = factors.update(X[rows], y[rows])
    parts = [
        DistilledFactors.empty(2).update(X[rows], y[rows])
        for rows in np.array_split(np.arange(m), 13)
    ]
    while len(parts) > 1:
        parts.append(parts.pop(0).merge(parts.pop(0)))
    expected = distil_regression(X[:, :1], y, None, fit_intercept=True)
    for one in (factors, parts[0]):
        with pytest.warns(RankWarning, match=r"rank 1 with 2 column"):
            solution = one.solve(fit_intercept=True)
        assert_allclose(solution.coef, [expected.coef[0], 0], rtol=1e-10, atol=0)
        assert_allclose(solution.intercept, expected.intercept, rtol=1e-10)


# --- bad input

X, Y = np.arange(6.0).reshape(3, 2), np.arange(3.0)


@pytest.mark.parametrize(
    ("block", "options", "error", "match"),
    [
        ((X[:, :1], Y), {}, ValueError, r"`X` must have 2 column\(s\), got shape \(3, 1\)"),
        ((X[0], Y), {}, ValueError, r"`X` must have 2 dimension"),
        ((X, Y[:2]), {}, ValueError, r"`y` must have shape \(3,\), got shape \(2,\)"),
        ((X, X), {}, ValueError, r"`y` must have shape \(3,\), got shape \(3, 2\)"),
        ((X, Y, Y[:2]), {}, ValueError, r"`teacher` must have shape \(3,\)"),
        ((X, [0, np.nan, 1]), {}, ValueError, r"`y` must be finite, got nan at index \(1\)"),
        ((X, Y, [0, np.nan, 1]), {}, ValueError, r"`teacher` must be finite, got nan"),
        ((X, Y), {"privileged": [True] * 3}, ValueError, r"`privileged` must be None"),
        ((X, Y, Y), {"privileged": [1, 0, 1]}, TypeError, r"`privileged` must be a boolean mask"),
        ((X, Y, Y), {"privileged": [True]}, ValueError, r"`privileged` must have shape \(3,\)"),
        ((X, Y), {"sample_weight": [1, -1, 0]}, ValueError, r"`sample_weight` must be at least 0"),
        ((X, Y), {"sample_weight": [0, 0]}, ValueError, r"`sample_weight` must have shape \(3,\)"),
        ((X.astype(str), Y), {}, TypeError, r"`X` must be an array of real numbers"),
    ],
)
def test_a_bad_block_is_named(block, options, error, match):
    with pytest.raises(error, match=match):
        DistilledFactors.empty(2).update(*block, **options)


@given(
    st.integers(0, 2999), st.integers(0, 2), st.sampled_from([np.nan, np.inf, -np.inf]),
    st.booleans(), st.booleans(),
)  # fmt: skip
@example(2999, 2, np.inf, False, True)
def test_what_is_not_finite_is_found_wherever_it_is(row, column, bad, weighted, taught):
    block = np.ones((3000, 3))
    block[:, 1] = np.arange(3000)
    block[row, column] = bad
    weight = np.zeros(3000) if weighted else None
    teacher = np.zeros(3000) if taught else None
    with pytest.raises(ValueError, match=rf"`X` must be finite, got {bad} at index \({row}, "):
        DistilledFactors.empty(3).update(block, np.zeros(3000), teacher, sample_weight=weight)


def test_a_weight_that_overflows_is_named():
    with pytest.raises(ValueError, match="finite also when multiplied by `sample_weight`"):
        DistilledFactors.empty(1).update([[1e300]], [1.0], sample_weight=[1e300])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"trust": 1.5}, ValueError, r"`trust` must be in \[0, 1\]"),
        ({"sigma": 0.0}, ValueError, r"`sigma` must be finite and positive"),
        ({"sigma_teacher": [1.0]}, TypeError, r"`sigma_teacher` must be a real number"),
        ({"sigma": 1e-200}, ValueError, r"`1/sigma\*\*2`"),
        ({"ridge": -1.0}, ValueError, r"`ridge` must be finite and at least 0"),
        ({"fit_intercept": "no"}, TypeError, "`fit_intercept` must be True or False, got 'no'"),
        ({"convention": "other"}, ValueError, r"`convention` must be 'precision' or 'printed'"),
    ],
)
def test_bad_choices_are_named(options, error, match):
    with pytest.raises(error, match=match):
        problem().factors().solve(**options)


def test_factors_of_nothing_have_no_solution():
    for factors in (
        DistilledFactors.empty(2),
        DistilledFactors.empty(2).update(X, Y, sample_weight=[0, 0, 0]),
    ):
        with pytest.raises(ValueError, match="at least one object of positive weight, got none"):
            factors.solve()


@pytest.mark.parametrize(
    ("other", "error", "match"),
    [
        (
            DistilledFactors.empty(3),
            ValueError,
            r"same numbers .* got \(3, None\) beside \(2, None",
        ),
        (DistilledFactors.empty(2, 1), ValueError, r"got \(2, 1\) beside \(2, None\)"),
        (7, TypeError, "`other` must be DistilledFactors, got int"),
    ],
)
def test_factors_of_other_shapes_do_not_merge(other, error, match):
    with pytest.raises(error, match=match):
        DistilledFactors.empty(2).merge(other)


@pytest.mark.parametrize("counts", [(0,), (2, 0)])
def test_empty_factors_need_counts(counts):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        DistilledFactors.empty(*counts)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ([], "`source` must give at least one block, got none"),
        ([X], r"a block must be \(X, y\), .* got ndarray"),
        ([(X,)], r"a block must be \(X, y\)"),
        ([(Y, Y)], "`X` must have 2 dimension"),
    ],
)
def test_a_source_must_give_blocks(source, match):
    with pytest.raises(ValueError, match=match):
        distil_blocks(source)


@pytest.mark.parametrize(
    ("source", "options", "match"),
    [
        (None, {}, "`source` must be given where the covariance is 'sandwich'"),
        ([], {}, "`source` must give the blocks a second time, got none"),
        ([(X, Y)], {"covariance": "model"}, "`source` must be None where"),
        (None, {"covariance": "model", "sigma": 1.0}, "`sigma` and `sigma_teacher` must be given"),
        (None, {"covariance": "classical"}, "must not be 'classical' where a teacher"),
        (None, {"covariance": "other"}, "`covariance` must be"),
        ([(X, Y)], {"covariance": "pooled"}, "`source` must be None where"),
        ([(X, Y)], {"sigma": 1.0}, "`sigma` and `sigma_teacher` must be None for the covariance"),
        ([(X, Y)], {"noise_correlation": 0.5}, "must be None for the covariance 'sandwich'"),
        ([(X, Y, None, None, [0.5, 1, 1])], {"weights_kind": "frequency"}, "whole"),
    ],
)
def test_sums_need_what_their_covariance_needs(source, options, match):
    solution = DistilledFactors.empty(2).update(X + np.eye(3, 2), Y, Y + 1).solve()
    with pytest.raises(ValueError, match=match):
        solution.inference_sums(source, **options)


@pytest.mark.parametrize("taught", [False, True])
def test_pooled_variance_needs_residuals(taught):
    solution = DistilledFactors.empty(2).update(X[:2], Y[:2], Y[:2] + 1 if taught else None).solve()
    with pytest.raises(ValueError, match=r"'pooled' needs residuals .* from 2 object"):
        solution.inference_sums(covariance="pooled")


def test_a_failed_block_leaves_a_stream_where_it_was():
    rows = problem()
    factors = rows.factors(slice(0, 30))
    with pytest.raises(ValueError, match="`X` must be finite"):
        factors.update(np.full((4, 3), np.nan), np.zeros(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agree(factors.merge(rows.factors(slice(30, 60))).solve(), rows.factors().solve())


def test_every_public_name_is_exported():
    assert all(hasattr(streaming, name) for name in streaming.__all__)
