"""The experiment of GS 6.2: oracles for its measures, laws of its draws, readings of its row."""

import json

import numpy as np
import pytest
from experiment_results import DRAWS, synthetic
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import rel_entr
from sklearn.linear_model import LogisticRegression

from kdtheory.experiments import readings as readings_module
from kdtheory.experiments import synthetic as synthetic_module
from kdtheory.experiments.intervals import central_range, conformal_p_value, mean_interval
from kdtheory.experiments.readings import FORMS, READINGS, adam_students, judged, scores
from kdtheory.experiments.synthetic import (
    PUBLISHED,
    Change,
    Draw,
    _quality,
    _samples,
    experiment_of_gs_6_2,
    one_draw,
    settings,
)
from kdtheory.softening import log_soften, soften
from kdtheory.synthetic import SoftmaxData, make_softmax_data

EPS = 1e-12  # rounding of well-conditioned sums
ENTROPY_ROUNDING = 1e-14  # KL is a difference of two cross-entropies near 1/2
OPTIMISER = 1e-4  # scikit-learn stops at a gradient, this far from the optimum
RECALIBRATED = 1e-6  # Newton's method stops 1e-12 above the minimum, a square
SECOND_ORDER = 0.1  # errors of 0.02 of a probability: a few of them relative to 1
LOOPS = 60  # draws of W; between them H(W) varies by a tenth
SIGMAS = 4.5  # of a normal mean: one false alarm in 10⁵


def small(m=40, seed=0):
    return make_softmax_data(m, 4, 3, rng=np.random.default_rng(seed))


def published():
    return [number for row in PUBLISHED for number in (row.cross_entropy, row.accuracy)]


# --- oracles


def test_bayes_values_match_a_plain_loop():
    rng = np.random.default_rng(7)
    entropies, best = [], []
    for _ in range(LOOPS):
        logits = rng.standard_normal((200, 10)) @ rng.standard_normal((10, 3))
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        entropies.append(-(probs * np.log(probs)).sum(axis=1).mean())
        best.append(probs.max(axis=1).mean())
    for values, here in (
        (entropies, synthetic().bayes_cross_entropy),
        (best, synthetic().bayes_accuracy),
    ):
        spread = np.hypot(np.std(values) / np.sqrt(LOOPS), here.std() / np.sqrt(len(here)))
        assert abs(np.mean(values) - here.mean()) < SIGMAS * spread


def test_measures_follow_their_definitions():
    sample = small()
    probs = np.random.default_rng(1).dirichlet(np.ones(3), size=40)
    found = _quality(np.log(probs), sample)
    pairs = list(zip(probs, sample.S, sample.y, strict=True))
    assert_allclose(found["cross_entropy"], np.mean([-np.log(g[k]) for g, _, k in pairs]))
    assert_allclose(found["accuracy"], np.mean([g.argmax() == k for g, _, k in pairs]))
    assert_allclose(found["expected_accuracy"], np.mean([s[g.argmax()] for g, s, _ in pairs]))
    expected = np.mean([-np.dot(s, np.log(g)) for g, s, _ in pairs])
    assert_allclose(found["expected_cross_entropy"], expected)
    assert_allclose(found["kl"], np.mean([rel_entr(s, g).sum() for g, s, _ in pairs]))


def test_student_without_a_teacher_is_that_of_scikit_learn():
    train, *_ = _samples(0, 0)
    judge = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(train.X, train.y)
    assert_allclose(synthetic().first.without_teacher, judge.predict_proba(train.X), atol=OPTIMISER)


def test_student_with_the_teacher_has_the_stationary_point_of_the_blend():
    # T_0 = 1: cross-entropy with (1 − λ) y + λ s, so that residuals are orthogonal to the features
    train, *_ = _samples(0, 0)
    first = synthetic().first
    residuals = first.with_teacher - (0.25 * np.eye(3)[train.y] + 0.75 * train.S)
    assert_allclose(train.X.T @ residuals, 0, atol=OPTIMISER)
    assert_allclose(residuals.sum(axis=0), 0, atol=OPTIMISER)


def test_intervals_of_changes_are_the_paired_t_intervals_of_scipy():
    result = synthetic()
    one, other = result.quality("with"), result.quality("without")
    change = next(
        c for c in result.changes
        if (c.first[0], c.second[0], c.sample, c.measure) == ("with", "without", "large", "kl")
    )  # fmt: skip
    judge = stats.ttest_rel(one.kl, other.kl).confidence_interval(0.95)
    assert_allclose((change.low, change.high), (judge.low, judge.high), rtol=1e-9)
    assert_allclose(change.change, (one.kl - other.kl).mean(), rtol=EPS)


def test_adam_is_that_of_its_paper():
    train = small()
    design = np.column_stack([train.X, np.ones(40)])
    targets = 0.25 * np.eye(3)[train.S.argmax(axis=1)] + 0.75 * train.S
    coef = first = second = np.zeros((5, 3))
    for t in range(1, 31):
        g = design.T @ (soften(design @ coef) - targets) / 40
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g**2
        corrected = first / (1 - 0.9**t), second / (1 - 0.999**t)
        coef = coef - 0.05 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    assert_allclose(adam_students(train, 0.75)["likeliest 30"][1], coef, rtol=1e-9)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("nats", np.log(2)),
        ("decimal", np.log10(2)),
        ("bits", 1.0),
        ("halved", np.log(2) / 2),
        ("per entry", np.log(2) / 3),
        ("binary", (np.log(2) - np.log(0.75) - np.log(0.75)) / 3),
        ("Brier", 0.25 + 2 / 16),
        ("entropy", 1.5 * np.log(2)),
    ],
)
def test_forms_of_cross_entropy(form, value):
    log_probs = np.log([[0.5, 0.25, 0.25]])
    assert_allclose(FORMS[form](log_probs, np.array([[1.0, 0.0, 0.0]])), value, rtol=EPS)


def test_binary_form_bears_a_certain_student():
    assert FORMS["binary"](np.array([[0.0, -800.0]]), np.array([[1.0, 0.0]])) == 0
    assert FORMS["binary"](np.array([[0.0, -800.0]]), np.array([[0.0, 1.0]])) == 450  # clipped


def test_best_temperature_is_found():
    z = np.random.default_rng(6).standard_normal((300, 3))
    S = soften(z)
    least = FORMS["softened"](log_soften(4 * z), S)
    assert_allclose(least, -(S * np.log(S)).sum(axis=1).mean(), rtol=1e-8)


def test_conformal_p_values_of_all_rows_are_all_the_ranks():
    # each row in turn is the point: the shares 1/n … n/n, each once
    rows = np.random.default_rng(8).standard_exponential((30, 3))
    found = [conformal_p_value(np.delete(rows, i, axis=0), rows[i]) for i in range(30)]
    assert_allclose(sorted(found), np.arange(1, 31) / 30, rtol=EPS)


def test_intervals_of_means_and_ranges_of_values():
    values = np.random.default_rng(9).random(50)
    judge = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values)
    assert_allclose((found.mean, found.low, found.high), (values.mean(), *judge), rtol=EPS)
    inside = central_range(values)
    assert np.mean((values >= inside.low) & (values <= inside.high)) == 0.92  # 46 of 50


def test_scores_of_a_reading_follow_its_words():
    train, test = small(60, 1), small(30, 2)
    rng = np.random.default_rng(10)
    kinds = ("optimum", *adam_students(train, 0.75))
    students = {kind: (rng.standard_normal((5, 3)), rng.standard_normal((5, 3))) for kind in kinds}
    found = scores(train, test, students)

    def probs(sample, kind, which):
        return soften(np.column_stack([sample.X, np.ones(len(sample.X))]) @ students[kind][which])

    best = test.S.argmax(axis=1)
    rows = np.arange(30)
    g = probs(test, "likeliest 60", 0)
    h = probs(test, "likeliest 60", 1)
    assert_allclose(
        found["own targets after a hard fit"],
        [-np.log(g[rows, best]).mean(), (g.argmax(axis=1) == test.y).mean(),
         -(test.S * np.log(h)).sum(axis=1).mean(), (h.argmax(axis=1) == test.y).mean()],
    )  # fmt: skip
    g = probs(train, "optimum", 0)
    rows = np.arange(60)
    assert_allclose(found["training loss"][0], -np.log(g[rows, train.y]).mean())
    assert_allclose(found["training loss"][1], (g.argmax(axis=1) == train.y).mean())
    g = probs(test, "likeliest 10", 1)
    assert_allclose(found["hard throughout but early"][3], (g.argmax(axis=1) == best).mean())


# --- laws


def test_class_shares_are_equal_only_on_average():
    result = synthetic()
    for interval in result.mean_marginals:
        assert interval.low < 1 / 3 < interval.high
    assert result.marginals.max() > 0.4
    assert_allclose(result.marginals.sum(axis=1), 1, rtol=EPS)


def test_scores_of_the_true_probabilities_scatter_around_the_bayes_values():
    result = synthetic()
    for scored, values in (
        (result.test_cross_entropy, result.bayes_cross_entropy),
        (result.test_accuracy, result.bayes_accuracy),
    ):
        gap = scored - values
        assert abs(gap.mean()) < SIGMAS * gap.std() / np.sqrt(len(gap))


def test_nobody_is_better_than_bayes_in_expectation():
    result = synthetic()
    for quality in result.qualities:
        bayes = result.quality("bayes", sample=quality.sample)
        assert (quality.kl >= -ENTROPY_ROUNDING).all()
        gap = quality.expected_cross_entropy - bayes.expected_cross_entropy
        assert_allclose(gap, quality.kl, atol=ENTROPY_ROUNDING)
        assert (quality.expected_accuracy <= bayes.expected_accuracy + EPS).all()
        assert (quality.calibration_loss >= -ENTROPY_ROUNDING).all()
        assert (quality.calibration_loss <= quality.kl + ENTROPY_ROUNDING).all()


def test_true_probabilities_are_calibrated():
    for sample in ("test", "large"):
        bayes = synthetic().quality("bayes", sample=sample)
        assert_allclose(bayes.calibration_slope, 1, rtol=RECALIBRATED)
        assert_allclose(bayes.top_label_error, 0, atol=ENTROPY_ROUNDING)


def test_rules_decide_alike_and_differ_in_probabilities():
    result = synthetic()
    for student in ("without", "with", "exact", "printed"):
        softmax, mean = (result.quality(student, rule) for rule in ("softmax", "mean"))
        assert_array_equal(softmax.accuracy, mean.accuracy)
        assert (softmax.kl != mean.kl).all()


def test_teacher_brings_the_student_near_the_truth():
    result = synthetic()
    assert (result.quality("with").kl < result.quality("without").kl / 3).all()
    verdicts = {
        (c.first, c.second): c.verdict
        for c in result.changes
        if (c.sample, c.measure) == ("large", "kl")
    }
    base = ("with", "softmax")
    assert verdicts[base, ("without", "softmax")] == "better"
    assert verdicts[("printed", "softmax"), base] == "worse"
    assert verdicts[("exact", "mean"), base] == "worse"
    assert verdicts[("exact", "mean"), ("exact", "softmax")] == "better"


def test_printed_regulariser_softens_and_the_exact_one_sharpens():
    confident = synthetic().confident
    assert (confident["printed"] < confident["bayes"]).all()
    assert (confident["exact"] > confident["bayes"]).all()
    # what Figure 5 shows needs hard labels
    assert (confident["hard labels"] > confident["without"]).all()
    # without a teacher the student is as sure as the truth is, beside what the exact term does
    off = {name: abs((confident[name] - confident["bayes"]).mean()) for name in confident}
    assert 10 * off["without"] < min(off["exact"], off["hard labels"], off["printed"])


def test_every_student_is_certified():
    result = synthetic()
    assert result.uncertified == ()
    assert 0 <= result.largest_gap < 1e-8


def test_student_that_decides_as_bayes_cannot_have_the_published_row():
    # entropy is at least 2 log 2 (1 − max s), with equality at (1) and (½, ½)
    S = np.random.default_rng(11).dirichlet(np.full(3, 0.3), size=5000)
    entropy = -(S * np.log(np.maximum(S, 1e-300))).sum(axis=1)
    assert (entropy >= 2 * np.log(2) * (1 - S.max(axis=1)) - EPS).all()
    result = synthetic()
    assert_allclose(result.bound, 2 * np.log(2) * 0.169, rtol=EPS)
    assert PUBLISHED[0].cross_entropy < result.bound
    assert (result.bayes_cross_entropy >= 2 * np.log(2) * (1 - result.bayes_accuracy)).all()


def test_published_cross_entropy_is_below_the_bayes_value():
    result = synthetic()
    assert PUBLISHED[0].cross_entropy < 0.6 * result.cross_entropy.low
    assert result.share_below_published < 0.05
    assert result.share_like_published <= 0.05


def test_no_common_measure_explains_both_rows():
    by_name = {reading.name: reading for reading in synthetic().readings}
    for name, recipe in READINGS.items():
        if recipe.without == recipe.with_teacher:
            assert by_name[name].verdict == "ruled out"
    assert by_name["first halved"].verdict == "possible"
    # the second row alone is what the experiment gives
    assert by_name["as printed"].p_value_with > 0.05


def test_reading_is_judged_by_all_four_numbers():
    rng = np.random.default_rng(12)
    typical = np.array(published()) + 0.02 * rng.standard_normal((99, 4))
    far = typical + np.array([0, 0, 0, 0.2])
    readings = judged(dict.fromkeys(READINGS, typical) | {"bits": far})
    verdicts = {r.name: (r.verdict, r.outside) for r in readings}
    assert verdicts.pop("bits") == ("ruled out", ("accuracy_with",))
    assert set(verdicts.values()) == {("possible", ())}
    assert_allclose(readings[0].accuracy_without.mean, typical[:, 1].mean())


def test_rows_of_two_draws_are_not_paired():
    rows = np.random.default_rng(13).random((30, 4))
    rows[:, 2:] = rows[:, :2]
    found = {r.name: r for r in judged(dict.fromkeys(READINGS, rows))}
    # within a draw the pairs agree, in the published row they do not
    assert found["two draws"].p_value > found["as printed"].p_value


@pytest.mark.parametrize("measure", ["kl", "accuracy", "expected_accuracy"])
def test_more_accuracy_and_less_loss_are_better(measure):
    pair = ("with", "softmax"), ("without", "softmax")
    change = Change(*pair, "large", measure, np.zeros(2), 0.2, 0.1, 0.3)
    assert change.verdict == ("worse" if measure == "kl" else "better")
    undecided = Change(*pair, "large", measure, np.zeros(2), 0.0, -0.1, 0.1)
    assert undecided.verdict == "undecided"


def test_number_of_processes_changes_nothing():
    alone, shared = (experiment_of_gs_6_2(3, n_draws=2, n_jobs=n) for n in (1, 2))
    for one, other in zip(alone.qualities, shared.qualities, strict=True):
        assert_array_equal(one.kl, other.kl)
        assert_array_equal(one.calibration_slope, other.calibration_slope)
    assert alone.readings == shared.readings
    assert_array_equal(alone.first.figure_7.probs, shared.first.figure_7.probs)


def test_draws_come_back_from_json_as_they_went_in():
    draw = one_draw(0, 1)
    assert Draw(**json.loads(json.dumps(vars(draw), allow_nan=False))) == draw


def test_finished_draws_are_not_computed_again():
    draws, told = [one_draw(5, 1), one_draw(5, 0)], []
    marked = Draw(**vars(draws[0]) | {"marginals": [1.0, 2.0, 3.0]})
    result = experiment_of_gs_6_2(5, n_draws=3, done=[marked, draws[1]], on_draw=told.append)
    assert [draw.index for draw in told] == [2]
    assert_array_equal(result.marginals[1], [1.0, 2.0, 3.0])
    assert_array_equal(result.marginals[0], draws[1].marginals)


def test_draws_hang_on_seed_and_index_alone():
    assert one_draw(0, 1).marginals == synthetic().marginals[1].tolist()
    assert one_draw(1, 1) != one_draw(0, 1)
    seeds = {tuple(sample.X[0]) for seed in (0, 1) for i in (0, 1) for sample in _samples(seed, i)}
    assert len(seeds) == 12


def test_samples_of_a_draw_share_their_law():
    train, test, large = _samples(0, 0)
    assert_array_equal(test.W, train.W)
    assert_array_equal(large.W, train.W)
    assert (len(train.X), len(test.X), len(large.X)) == (1000, 100, 5000)


def test_figures_are_of_the_training_objects():
    first = synthetic().first
    train, *_ = _samples(0, 0)
    assert_array_equal(first.truth, train.S)
    assert_array_equal(first.labels, train.y)
    for probs in (first.without_teacher, first.with_teacher, first.hard_labels):
        assert probs.shape == (1000, 3)
        assert_allclose(probs.sum(axis=1), 1, rtol=EPS)
    # to first order a student's error is that of its targets, of which trust leaves 1 − λ
    without, taught = (
        np.abs(probs - first.truth).mean() for probs in (first.without_teacher, first.with_teacher)
    )
    assert_allclose(taught / without, 0.25, rtol=SECOND_ORDER)


def test_figure_7_holds_the_student_of_the_experiment():
    seven = synthetic().first.figure_7
    train, test, _ = _samples(0, 0)
    at_trust = int(np.flatnonzero(np.isclose(seven.trusts, 0.75))[0])
    at_one = int(np.flatnonzero(np.isclose(seven.temperatures, 1))[0])
    # logits of a linear student are fitted by those of the training objects
    design = np.column_stack([train.X, np.ones(1000)])
    coef = np.linalg.lstsq(design, np.log(synthetic().first.with_teacher))[0]
    rows = np.column_stack([test.X[seven.objects], np.ones(3)])
    assert_allclose(seven.probs[:, at_trust, at_one], soften(rows @ coef), atol=OPTIMISER)
    for i, label in enumerate(seven.labels):
        assert_array_equal(seven.right[i], seven.probs[i, :, :, label])
    assert_allclose(seven.probs.sum(axis=-1), 1, rtol=EPS)


def test_objects_of_figure_7_are_chosen_by_the_truth_alone():
    seven = synthetic().first.figure_7
    _, test, _ = _samples(0, 0)
    assert_array_equal(seven.labels, test.y[seven.objects])
    assert_array_equal(seven.truth.argmax(axis=1), seven.labels)
    confidence = test.S.max(axis=1)[test.S.argmax(axis=1) == test.y]
    below = [(confidence < c).mean() for c in seven.truth.max(axis=1)]
    assert_allclose(below, (0.25, 0.5, 0.75), atol=1 / len(confidence))


def test_heat_makes_the_classes_alike():
    seven = synthetic().first.figure_7
    spread = np.ptp(seven.probs, axis=-1)
    assert (np.diff(spread, axis=2) <= EPS).all()
    assert spread[..., -1].max() < 0.1
    assert spread[..., 0].min() > 0.7


# what is left out judges finished draws, or belongs to the figures, which are made anew
JUDGEMENT = {"MORE_IS_BETTER", "COMPARED", "PAIRS", "CLOSE", "TRUSTS", "TEMPERATURES"}
JUDGEMENT |= {"PUBLISHED", "LEVEL", "PACKAGES"}
OTHERS = {"FORMS", "_PLAIN"}  # told with the readings that use them
OTHERS |= {"MOST_DRAWS"}  # bounds n_draws, which is told
CONSTANTS = [
    (module, name)
    for module in (synthetic_module, readings_module)
    for name in vars(module)
    if name.isupper() and name not in JUDGEMENT | OTHERS
]


@pytest.mark.parametrize(("module", "name"), CONSTANTS, ids=[name for _, name in CONSTANTS])
def test_settings_tell_every_constant_of_a_draw(module, name, monkeypatch):
    before = settings(0, 2)
    value = getattr(module, name)
    if name == "READINGS":
        recipe = value["bits"]
        other = {**value, "bits": recipe._replace(without=recipe.without._replace(form="nats"))}
        monkeypatch.setattr(readings_module, name, other)
    else:
        monkeypatch.setattr(module, name, value[:-1] if isinstance(value, tuple) else value + 1)
    assert settings(0, 2) != before


def test_settings_tell_the_versions_and_are_plain():
    found = settings(3, 2)
    assert (found["seed"], found["n_draws"]) == (3, 2)
    assert found["versions"]["numpy"] == np.__version__
    assert set(found["versions"]) == {"python", "kdtheory", "numpy", "scipy"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


# --- limits


def test_two_draws_suffice():
    result = experiment_of_gs_6_2(n_draws=2)
    assert len(result.bayes_accuracy) == 2
    assert {reading.verdict for reading in result.readings} == {"possible"}


def test_published_row_cannot_be_ruled_out_by_a_few_draws():
    assert conformal_p_value(np.zeros((18, 2)), np.ones(2)) == 1 / 19
    assert conformal_p_value(np.ones((18, 2)), np.ones(2)) == 1


def test_result_knows_its_sizes():
    result = synthetic()
    config = settings(0, DRAWS)
    for name in ("seed", "n_draws", "n_objects", "n_test", "n_large", "trust"):
        assert getattr(result, name) == config[name]
    assert [reading.name for reading in result.readings] == list(config["readings"])
    assert len(result.qualities) == 18
    assert isinstance(_samples(0, 0)[0], SoftmaxData)


# --- bad input


def test_bad_seed_is_named():
    with pytest.raises(ValueError, match=r"`seed` must be at least 0, got -1"):
        experiment_of_gs_6_2(-1)
    with pytest.raises(TypeError, match=r"`seed` must be an integer, got 1.5"):
        experiment_of_gs_6_2(1.5)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match=r"`n_draws` must be at least 2, got 1"):
        experiment_of_gs_6_2(n_draws=1)
    with pytest.raises(ValueError, match=r"`n_draws` must be at most 1000000, got 9999"):
        experiment_of_gs_6_2(n_draws=10**20 - 1)
    with pytest.raises(ValueError, match=r"`n_draws` must be at most"):
        settings(0, 10**6 + 1)
    with pytest.raises(ValueError, match=r"`n_jobs` must be at least 1, got 0"):
        experiment_of_gs_6_2(n_jobs=0)
    with pytest.raises(TypeError, match=r"`n_jobs` must be an integer, got 'all'"):
        experiment_of_gs_6_2(n_jobs="all")
