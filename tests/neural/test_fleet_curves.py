"""Curves of a fleet: the same as training by hand, whatever was killed in between."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from kdtheory.neural import Fleet, Sample, Student, fleet_curves

STEPS = (3, 20, 150)


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((90, 5)), rng.integers(0, 3, 90)
    return X, y, rng.standard_normal((90, 3))


def fleet_of(problem):
    X, y, teacher = problem
    students = [
        Student(learning_rate=0.3),
        Student(trust=0.5, seed=1, learning_rate=0.3),
        Student(trust=0.9, temperature=2.0, regulariser="exact"),
    ]
    rows = np.arange(60)
    sample = Sample(rows, y[:60], teacher[:60])
    return Fleet(students, X, [sample], n_classes=3, batch_size=16)


def judged(problem):
    X, y, _ = problem
    return {"validation": (X[60:75], y[60:75]), "test": (X[75:], y[75:])}


# --- oracle


def test_curves_are_the_scores_of_a_fleet_trained_by_hand(problem):
    curves = fleet_curves(fleet_of(problem), STEPS, judged(problem))
    by_hand = fleet_of(problem)
    for number, until in enumerate(STEPS):
        by_hand.train(until - by_hand.step)
        for name, sample in judged(problem).items():
            scores = by_hand.scores(*sample)
            assert_array_equal(curves.cross_entropy[name][number], scores.cross_entropy)
            assert_array_equal(curves.accuracy[name][number], scores.accuracy)
    assert_array_equal(curves.steps, STEPS)


# --- laws


def test_the_best_reading_is_that_of_least_cross_entropy_where_it_is_chosen(problem):
    samples = judged(problem)
    curves = fleet_curves(fleet_of(problem), STEPS, samples)
    assert_array_equal(curves.best, curves.cross_entropy["validation"].argmin(axis=0))
    assert len(set(curves.best)) > 1  # the students differ, so the choice is one
    X, y = samples["validation"]
    for student, weights in enumerate(curves.best_weights):
        logits = torch.from_numpy(X @ weights["weight"].T + weights["bias"])
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(y)).item()
        best = curves.cross_entropy["validation"][:, student].min()
        assert_allclose(loss, best, rtol=1e-5)  # logits of float32 there, of float64 here


@pytest.mark.parametrize("n_done", [1, 2, 3])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(problem, tmp_path, n_done):
    whole = fleet_curves(fleet_of(problem), STEPS, judged(problem))
    fleet_curves(fleet_of(problem), STEPS[:n_done], judged(problem), folder=tmp_path / "fleet")
    resumed = fleet_curves(fleet_of(problem), STEPS, judged(problem), folder=tmp_path / "fleet")
    for name in judged(problem):
        assert_array_equal(resumed.cross_entropy[name], whole.cross_entropy[name])
    for one, other in zip(resumed.best_weights, whole.best_weights, strict=True):
        assert all(np.array_equal(one[key], other[key]) for key in other)
    for one, other in zip(resumed.last_weights, whole.last_weights, strict=True):
        assert all(np.array_equal(one[key], other[key]) for key in other)


def test_progress_counts_what_was_done_before(problem, tmp_path):
    fleet_curves(fleet_of(problem), STEPS[:2], judged(problem), folder=tmp_path / "fleet")
    told = []
    fleet_curves(
        fleet_of(problem), STEPS, judged(problem), folder=tmp_path / "fleet",
        tell=lambda advance: told.append(advance),
    )  # fmt: skip
    assert told == [2, 1]


# --- bad input


def test_the_state_of_another_fleet_is_refused(problem, tmp_path):
    fleet_curves(fleet_of(problem), STEPS[:1], judged(problem), folder=tmp_path / "fleet")
    X, y, _ = problem
    other = Fleet([Student()], X, [Sample(np.arange(60), y[:60])], n_classes=3)
    with pytest.raises(ValueError, match="state"):
        fleet_curves(other, STEPS, judged(problem), folder=tmp_path / "fleet")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": (4, 20, 150)}, "steps"),
        ({"steps": (3,)}, "steps"),
        ({"keep_best": False}, "keep_best"),
        ({"chosen_on": "test"}, "chosen_on"),
        ({"judged": 1}, "judged"),
    ],
)
def test_another_run_is_refused(problem, tmp_path, change, words):
    def run(steps=STEPS, **options):
        fleet_curves(fleet_of(problem), steps, folder=tmp_path / "fleet", **options)

    run(STEPS[:2], judged=judged(problem))
    other = judged((problem[0], problem[1] * change.pop("judged", 2) // 2, None))
    with pytest.raises(ValueError, match=f"`folder` must hold a run of the same {words}"):
        run(**({"judged": other} | change))


def test_the_features_are_part_of_the_fleet(problem, tmp_path):
    fleet_curves(fleet_of(problem), STEPS[:1], judged(problem), folder=tmp_path / "fleet")
    moved = fleet_of((problem[0] + 1, *problem[1:]))
    with pytest.raises(ValueError, match=r"`state` must be of a fleet of the same .*features"):
        fleet_curves(moved, STEPS, judged(problem), folder=tmp_path / "fleet")


def test_the_sample_that_chooses_must_be_judged(problem):
    with pytest.raises(ValueError, match="`chosen_on` must be"):
        fleet_curves(fleet_of(problem), STEPS, judged(problem), chosen_on="nothing")
