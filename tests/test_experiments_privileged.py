"""The table of generalised distillation: one repetition by hand, pairing, jobs, bad input."""

import dataclasses
from functools import cache, partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from kdtheory.experiments.intervals import half_width
from kdtheory.experiments.privileged import PUBLISHED, generalised_distillation
from kdtheory.synthetic import (
    make_clean_features,
    make_clean_labels,
    make_relevant_features,
    make_sample_dependent_features,
)

STANDARD_ERRORS = 5.0  # one false alarm in two million tests; the seed is fixed besides
ROUNDING = 1e-13
SWITCHED = 2e-3  # test objects whose class two solvers near the optimum may tell apart

SMALL = {"n_repetitions": 6, "n_test": 2000}
NAMES = [
    "clean labels",
    "clean features",
    "relevant features",
    "sample-dependent features, text",
    "sample-dependent features, code",
    "sample-dependent features, sorted",
]
GENERATORS = [
    make_clean_labels,
    make_clean_features,
    make_relevant_features,
    partial(make_sample_dependent_features, reading="text"),
    partial(make_sample_dependent_features, reading="code"),
    partial(make_sample_dependent_features, reading="sorted"),
]


@cache
def table():
    return generalised_distillation(**SMALL)


def all_numbers(result):
    return np.array(
        [
            model.values
            for row in (*result.comparisons, *result.sensitivity)
            for model in (row.teacher, row.plain, row.distilled)
        ]
    )


# --- oracle: a repetition by hand, with another solver


@pytest.mark.parametrize("place", range(6))
def test_a_repetition_by_hand(place):
    m, penalty, which = 200, 1e-2, 2
    source = np.random.SeedSequence(0).spawn(6)[which].spawn(6)[place]
    rng = np.random.default_rng(source)
    train = GENERATORS[place](m, rng=rng)
    test = GENERATORS[place](2000, rng=rng, weights=train.weights)

    def scaled(columns, like):
        return (columns - like.mean(axis=0)) / like.std(axis=0)

    # for two classes the penalty of both columns of W is half that of their difference
    model = partial(LogisticRegression, C=2 / (penalty * m), tol=1e-10, max_iter=10_000)
    hidden, X = scaled(train.X_privileged, train.X_privileged), scaled(train.X, train.X)
    teacher = model().fit(hidden, train.y)
    plain = model().fit(X, train.y)
    answers = teacher.predict_proba(hidden)
    # soft answers as two weighted copies of each object
    distilled = model().fit(
        np.vstack([X, X]), np.repeat([0, 1], m), np.concatenate([answers[:, 0], answers[:, 1]])
    )
    row = table().sensitivity[place]
    seen = scaled(test.X, train.X)
    assert row.teacher.values[which] == pytest.approx(
        teacher.score(scaled(test.X_privileged, train.X_privileged), test.y), abs=SWITCHED
    )
    assert row.plain.values[which] == pytest.approx(plain.score(seen, test.y), abs=SWITCHED)
    assert row.distilled.values[which] == pytest.approx(distilled.score(seen, test.y), abs=SWITCHED)


# --- laws


def test_the_table_has_a_row_for_each_problem_and_penalty():
    result = table()
    assert [row.name for row in result.comparisons] == NAMES
    assert [row.name for row in result.sensitivity] == NAMES
    assert [row.experiment for row in result.comparisons] == [1, 2, 3, 4, 4, 4]
    assert {row.penalty for row in result.comparisons} == {1e-4}
    assert {row.penalty for row in result.sensitivity} == {1e-2}
    assert (result.seed, result.n_repetitions, result.n_train) == (0, 6, 200)
    assert (result.n_test, result.n_features) == (2000, 50)
    for row in (*result.comparisons, *result.sensitivity):
        assert row.published is PUBLISHED[row.experiment]
        assert row.teacher.values.shape == (6,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.seed = 1


def test_a_summary_is_that_of_its_values():
    for row in table().comparisons:
        for model in (row.teacher, row.plain, row.distilled):
            assert model.mean == pytest.approx(np.mean(model.values), rel=ROUNDING)
            deviations = model.values - np.mean(model.values)
            assert model.sd == pytest.approx(np.sqrt((deviations**2).sum() / 5), rel=1e-9)
        differences = row.distilled.values - row.plain.values
        assert row.gain.mean == pytest.approx(differences.mean(), abs=ROUNDING)
        assert row.gain.high - row.gain.mean == pytest.approx(half_width(differences), rel=1e-9)
        assert row.gain.low <= row.gain.mean <= row.gain.high
        better = differences.mean() > half_width(differences)
        assert (row.verdict == "better") == better


def test_a_gain_in_accuracy_is_better_and_a_loss_worse():
    row = table().comparisons[2]
    assert (row.gain.low > 0, row.verdict) == (True, "better")
    gain = dataclasses.replace(row.gain, low=-row.gain.high, high=-row.gain.low)
    assert dataclasses.replace(row, gain=gain).verdict == "worse"
    gain = dataclasses.replace(row.gain, low=-0.1, high=0.1)
    assert dataclasses.replace(row, gain=gain).verdict == "undecided"


def test_no_rule_beats_the_bayes_accuracy():
    known = []
    for row in (*table().comparisons, *table().sensitivity):
        bounds = (row.bayes_privileged, row.bayes_plain, row.bayes_plain)
        for model, bound in zip((row.teacher, row.plain, row.distilled), bounds, strict=True):
            if not np.isnan(bound):
                known.append(row.name)
                chance = np.sqrt(bound * (1 - bound) / (6 * 2000))
                assert model.mean <= bound + STANDARD_ERRORS * chance + ROUNDING
    assert set(known) == set(NAMES) - {"sample-dependent features, text"}
    clean = table().comparisons[0]
    # ‖w‖ is about √50
    assert clean.bayes_plain == pytest.approx(0.5 + np.arctan(np.sqrt(50)) / np.pi, abs=5e-3)


def test_the_readings_of_the_fourth_experiment_part():
    text, code, by_value = table().comparisons[3:]
    assert text.teacher.mean < 0.7
    assert code.teacher.mean > 0.9
    assert by_value.teacher.mean > 0.9
    assert abs(code.plain.mean - 0.5) < 0.05
    assert by_value.plain.mean > code.plain.mean


def test_the_result_does_not_hang_on_the_number_of_jobs():
    told = []
    again = generalised_distillation(
        **(SMALL | {"n_repetitions": 2}),
        n_jobs=2,
        tell=lambda done, total: told.append((done, total)),
    )
    assert_array_equal(all_numbers(again), all_numbers(table())[:, :2])
    assert told == [(1, 2), (2, 2)]


def test_more_repetitions_begin_with_the_same():
    fewer = generalised_distillation(**(SMALL | {"n_repetitions": 2}))
    assert_array_equal(all_numbers(fewer), all_numbers(table())[:, :2])
    other = generalised_distillation(1, **(SMALL | {"n_repetitions": 2}))
    assert (all_numbers(other) != all_numbers(fewer)).any(axis=1).all()


def test_a_larger_penalty_is_fitted_to_the_same_draws():
    swapped = generalised_distillation(**(SMALL | {"n_repetitions": 2}), penalties=(1e-2, 1e-4))
    numbers = all_numbers(table())[:, :2]
    assert_array_equal(all_numbers(swapped), np.vstack([numbers[18:], numbers[:18]]))
    assert not np.array_equal(numbers[:18], numbers[18:])


# --- limits


def test_the_smallest_experiment():
    result = generalised_distillation(
        3, n_repetitions=2, n_train=20, n_test=1, n_features=3, penalties=(1.0, 10.0)
    )
    assert set(np.unique(all_numbers(result))) <= {0.0, 1.0}


# --- bad input


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
        ({"n_repetitions": 1}, ValueError, "`n_repetitions` must be at least 2, got 1"),
        ({"n_train": 19}, ValueError, "`n_train` must be at least 20, got 19"),
        ({"n_test": 0}, ValueError, "`n_test` must be at least 1, got 0"),
        ({"n_features": 2}, ValueError, "`n_features` must be at least 3, got 2"),
        ({"n_test": 10.0}, TypeError, "`n_test` must be an integer, got 10.0"),
        ({"penalties": 0.1}, TypeError, "`penalties` must be a pair, got 0.1"),
        ({"penalties": None}, TypeError, "`penalties` must be a pair, got None"),
        ({"penalties": (1,)}, ValueError, r"`penalties` must be a pair, got 1 element\(s\)"),
        ({"n_jobs": 0}, ValueError, "`n_jobs` must be at least 1, got 0"),
        ({"n_jobs": "x"}, TypeError, "`n_jobs` must be an integer, got 'x'"),
        ({"tell": "x"}, TypeError, "`tell` must be callable, got 'x'"),
        ({"penalties": (0.0, 1.0)}, ValueError, "`penalties` must be finite and positive, got 0"),
    ],
)
def test_bad_input_is_named(change, error, match):
    with pytest.raises(error, match=match):
        generalised_distillation(**change)
