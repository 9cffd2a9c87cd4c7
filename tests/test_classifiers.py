"""`kdtheory.classifiers` against scikit-learn's own model, the theory, laws, and its checks."""

import copy
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from kdtheory.classification import NotConvergedWarning, SeparableWarning, distil_classification
from kdtheory.classifiers import SoftmaxStudent
from kdtheory.continuous_categorical import ContinuousCategorical
from kdtheory.softening import soften

# The value at a solution is at most GAP above the least, or rounding, 1e-13 here; the curvature
# of these problems, in the directions that matter, is at least 0.1: so the weights are within
# √(2 · 1e-13 / 0.1), and two of them within twice that.
GAP = 1e-13
OPTIMUM = 4e-6
ROUNDING = 1e-12  # of a sum of a few products
LABELS = np.array(["high", "low", "mid"])


def problem(rng, m=60, n=3, n_classes=3):
    """Overlapping classes, with a teacher for two thirds of the objects."""
    X = rng.normal(size=(m, n)) + 1.0
    logits = 0.7 * X @ rng.normal(size=(n, n_classes))
    probs = soften(logits)
    y = np.array([rng.choice(n_classes, p=p) for p in probs])
    y[: 2 * n_classes] = np.tile(np.arange(n_classes), 2)
    return {
        "X": X,
        "y": LABELS[y] if n_classes == 3 else y,
        "teacher": soften(logits + 0.3 * rng.normal(size=logits.shape)),
        "privileged": rng.random(m) < 2 / 3,
        "sample_weight": rng.integers(1, 4, size=m).astype(float),
    }


def student(**settings):
    return SoftmaxStudent(**{"l2": 0.5, "tol": GAP, **settings})


def assert_same_solution(one, two, atol=OPTIMUM):
    assert_allclose(one.coef_, two.coef_, rtol=0, atol=atol)
    assert_allclose(one.intercept_, two.intercept_, rtol=0, atol=atol)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def data(rng):
    return problem(rng)


# --- scikit-learn's own checks, none expected to fail


@pytest.mark.filterwarnings("ignore::kdtheory.classification.SeparableWarning")
@parametrize_with_checks([SoftmaxStudent()])
def test_scikit_learn_check(estimator, check):
    check(estimator)


@parametrize_with_checks([SoftmaxStudent(l2=1.0)])
def test_scikit_learn_check_without_a_warning(estimator, check):
    check(estimator)  # with a penalty on the weights no data of theirs are without an optimum


# --- oracle: multinomial logistic regression of scikit-learn, and the theory


def their_model(l2, fit_intercept=True, n_classes=3):
    factor = 2.0 if n_classes == 2 else 1.0
    return LogisticRegression(
        C=factor / l2 if l2 else np.inf,
        fit_intercept=fit_intercept,
        solver="newton-cg",
        tol=1e-10,
        max_iter=1000,
    )


def centred(model):
    """Coefficients and intercepts with a row for each class that add up to 0."""
    coef, intercept = model.coef_, model.intercept_
    if len(coef) == 1:
        coef, intercept = np.vstack([-coef, coef]) / 2, np.hstack([-intercept, intercept]) / 2
    return coef - coef.mean(axis=0), intercept - intercept.mean()


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l2", [0.0, 0.3, 10.0])
@pytest.mark.parametrize("weighted", [True, False])
def test_without_teacher_it_is_logistic_regression(rng, n_classes, fit_intercept, l2, weighted):
    data = problem(rng, m=100, n_classes=n_classes)
    X, y = data["X"], data["y"]
    weight = data["sample_weight"] if weighted else None
    theirs = their_model(l2, fit_intercept, n_classes).fit(X, y, sample_weight=weight)
    ours = student(trust=0.7, l2=l2, fit_intercept=fit_intercept)
    ours.fit(X, y, sample_weight=weight)
    coef, intercept = centred(theirs)
    assert ours.coef_.shape == (n_classes, 3)
    assert_allclose(ours.coef_, coef, rtol=0, atol=OPTIMUM)
    assert_allclose(ours.intercept_, intercept, rtol=0, atol=OPTIMUM)
    assert_array_equal(ours.classes_, theirs.classes_)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=OPTIMUM)
    assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=0, atol=1e-4)
    decision = theirs.decision_function(X)
    if n_classes > 2:
        decision -= decision.mean(axis=1, keepdims=True)
    assert_allclose(ours.decision_function(X), decision, rtol=0, atol=10 * OPTIMUM)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, y, weight) == theirs.score(X, y, weight)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_soft_labels_are_rows_with_each_label(rng, n_classes, trust, l2):
    data = problem(rng, m=100, n_classes=n_classes)
    X, inside, c = data["X"], data["privileged"], data["sample_weight"]
    classes, y = np.unique(data["y"], return_inverse=True)
    a, b = c * np.where(inside, 1 - trust, 1.0), c * np.where(inside, trust, 0.0)
    weight = a[:, None] * np.eye(n_classes)[y] + b[:, None] * data["teacher"]
    rows = np.repeat(np.arange(100), n_classes)
    theirs = their_model(l2, n_classes=n_classes)
    theirs.fit(X[rows], np.tile(classes, 100), sample_weight=weight.ravel())
    ours = student(trust=trust, l2=l2).fit(**data)
    coef, intercept = centred(theirs)
    assert_allclose(ours.coef_, coef, rtol=0, atol=OPTIMUM)
    assert_allclose(ours.intercept_, intercept, rtol=0, atol=OPTIMUM)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"trust": 0.2},
        {"temperature": 3.0},
        {"temperature": 3.0, "squared_temperature": True},
        {"regulariser": "exact", "temperature": 2.0},
        {"l2": 3.0},
        {"fit_intercept": False},
        {"tol": 1e-2},
        {"regulariser": "printed", "l2": 0.5, "n_starts": 3},
    ],
)
def test_fit_is_that_of_the_theory(data, settings):
    _, numbers = np.unique(data["y"], return_inverse=True)
    ours = SoftmaxStudent(**settings, random_state=7).fit(**data)
    seed = np.random.RandomState(7).randint(2**31 - 1)
    told = {"fit_intercept": True, **settings, "rng": np.random.default_rng(seed)}
    fit = distil_classification(**{**data, "y": numbers}, **told)
    assert_array_equal(ours.coef_, fit.coef.T)
    assert_array_equal(ours.intercept_, fit.intercept)
    assert ours.objective_ == fit.objective == ours.fit_.objective
    assert ours.n_iter_ == fit.n_iter
    assert ours.certificate_ is ours.fit_.certificate
    assert ours.certificate_.gap == fit.certificate.gap or np.isnan(fit.certificate.gap)
    z = data["X"] @ fit.coef + fit.intercept
    assert_allclose(ours.decision_function(data["X"]), z, rtol=ROUNDING, atol=ROUNDING)


def test_defaults_are_those_of_the_theory():
    theirs = inspect.signature(distil_classification).parameters
    ours = SoftmaxStudent().get_params()
    assert ours.pop("random_state") is None
    for name, value in ours.items():
        assert value == theirs[name].default, name


def test_a_setting_that_matters_is_passed_on(data):
    # as the theory, but each must also move the solution
    base = student().fit(**data)
    for change in (
        {"trust": 0.2},
        {"temperature": 3.0},
        {"regulariser": "exact"},
        {"l2": 3.0},
        {"fit_intercept": False},
    ):
        other = student(**change).fit(**data)
        assert np.abs(other.coef_ - base.coef_).max() > 1e-3
    hot = student(temperature=3.0).fit(**data)
    squared = student(temperature=3.0, squared_temperature=True).fit(**data)
    assert np.abs(hot.coef_ - squared.coef_).max() > 1e-3


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_probabilities_by_both_rules(rng, n_classes):
    data = problem(rng, n_classes=n_classes)
    ours = student().fit(**data)
    z = data["X"] @ ours.coef_.T + ours.intercept_
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    mean = [ContinuousCategorical(logits=row).mean() for row in z]
    assert_allclose(ours.predict_proba(data["X"]), softmax, rtol=ROUNDING)
    assert_allclose(ours.predict_proba(data["X"], rule="softmax"), softmax, rtol=ROUNDING)
    assert_allclose(ours.predict_proba(data["X"], rule="mean"), mean, rtol=1e-10)
    assert np.abs(softmax - mean).max() > 1e-2
    assert_array_equal(np.argmax(mean, axis=1), softmax.argmax(axis=1))
    assert_array_equal(ours.predict(data["X"]), ours.classes_[softmax.argmax(axis=1)])
    assert_allclose(ours.predict_log_proba(data["X"]), np.log(softmax), rtol=ROUNDING, atol=1e-14)


def test_decision_is_centred_or_the_log_odds_of_the_second_class(rng):
    three = student().fit(**(data := problem(rng)))
    assert_allclose(three.decision_function(data["X"]).sum(axis=1), 0, atol=ROUNDING)
    two = student().fit(**(data := problem(rng, n_classes=2)))
    decision = two.decision_function(data["X"])
    assert decision.shape == (60,)
    log_probs = two.predict_log_proba(data["X"])
    assert_allclose(decision, log_probs[:, 1] - log_probs[:, 0], rtol=1e-10, atol=ROUNDING)
    assert_array_equal(two.predict(data["X"]), (decision > 0).astype(int))


# --- laws


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4, 1.0]))
def test_integer_weight_is_a_repeated_row(seed, trust):
    data = problem(np.random.default_rng(seed))
    times = data["sample_weight"].astype(int)
    repeated = {k: np.repeat(v, times, axis=0) for k, v in data.items() if k != "sample_weight"}
    assert_same_solution(student(trust=trust).fit(**data), student(trust=trust).fit(**repeated))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4, 1.0]))
def test_zero_weight_is_an_absent_row(seed, trust):
    rng = np.random.default_rng(seed)
    data = problem(rng)
    kept = rng.random(60) < 0.7
    kept[:6] = True
    data["privileged"][:6] = [False] * 5 + [True]  # each class has a label that counts, at trust 1
    weighted = {**data, "sample_weight": data["sample_weight"] * kept}
    dropped = {name: value[kept] for name, value in data.items()}
    assert_same_solution(student(trust=trust).fit(**weighted), student(trust=trust).fit(**dropped))


@pytest.mark.parametrize("regulariser", [None, "exact"])
def test_order_of_features_is_idle(data, regulariser):
    order = [2, 0, 1]
    one = student(regulariser=regulariser).fit(**data)
    two = student(regulariser=regulariser).fit(**{**data, "X": data["X"][:, order]})
    assert_allclose(two.coef_, one.coef_[:, order], rtol=0, atol=OPTIMUM)
    assert_allclose(two.intercept_, one.intercept_, rtol=0, atol=OPTIMUM)


@pytest.mark.parametrize("regulariser", [None, "exact"])
def test_names_of_classes_are_idle(data, regulariser):
    order = [2, 0, 1]  # place among the new names of each old class
    numbers = np.searchsorted(LABELS, data["y"])
    renamed = {
        **data,
        "y": np.take(order, numbers),
        "teacher": data["teacher"][:, np.argsort(order)],
    }
    one = student(regulariser=regulariser).fit(**data)
    two = student(regulariser=regulariser).fit(**renamed)
    assert_array_equal(two.classes_, [0, 1, 2])
    assert_allclose(two.coef_[order], one.coef_, rtol=0, atol=OPTIMUM)
    assert_allclose(two.intercept_[order], one.intercept_, rtol=0, atol=OPTIMUM)
    assert_array_equal(two.predict(data["X"]), np.take(order, np.searchsorted(
        LABELS, one.predict(data["X"]))))  # fmt: skip


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_units_of_features_and_weights_are_idle(data, factor):
    one = student(tol=1e-15).fit(**data)
    two = student(tol=1e-15, l2=0.5 * factor**2).fit(**{**data, "X": factor * data["X"]})
    assert_allclose(two.coef_ * factor, one.coef_, rtol=0, atol=OPTIMUM)
    assert_allclose(two.intercept_, one.intercept_, rtol=0, atol=OPTIMUM)
    weight = {**data, "sample_weight": factor * data["sample_weight"]}
    assert_same_solution(student(tol=1e-15, l2=0.5 * factor).fit(**weight), one)


@pytest.mark.parametrize("trust", [0.3, 1.0])
def test_a_teacher_who_repeats_the_labels_changes_nothing(data, trust):
    told = (data["y"][:, None] == LABELS).astype(float)
    alone = {name: data[name] for name in ("X", "y", "sample_weight")}
    one = student(trust=trust).fit(**{**data, "teacher": told})
    assert_same_solution(one, student(trust=trust).fit(**alone))


def test_trust_zero_is_no_teacher(data):
    alone = {name: data[name] for name in ("X", "y", "sample_weight")}
    one = student(trust=0.0, regulariser="exact").fit(**data)
    assert_same_solution(one, student(trust=0.9).fit(**alone))


def test_labels_of_the_privileged_are_idle_at_full_trust(data):
    other = data["y"].copy()
    other[data["privileged"]] = "low"
    one, two = (student(trust=1.0).fit(**{**data, "y": y}) for y in (data["y"], other))
    assert_same_solution(one, two)


def test_rows_of_the_teacher_outside_the_mask_are_not_looked_at(data):
    teacher = data["teacher"].copy()
    teacher[~data["privileged"]] = np.nan
    one, two = (student().fit(**{**data, "teacher": s}) for s in (data["teacher"], teacher))
    assert_array_equal(one.coef_, two.coef_)


# --- kinds of rows and of labels


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", "b", "c"]),
        np.array(["a", "b", "c"], dtype=object),
        np.array([-1, 0, 7]),
        np.array([0.0, 1.0, 2.0]),
        np.array([3, 4, 5], dtype=np.uint8),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_labels_of_any_kind(data, labels, named):
    numbers = np.searchsorted(LABELS, data["y"])
    one = student().fit(**data)
    two = student()
    two.fit(**{**data, "y": labels[numbers]}, classes=labels if named else None)
    assert_array_equal(two.classes_, labels)
    assert_array_equal(two.coef_, one.coef_)
    predicted = two.predict(data["X"])
    assert predicted.dtype == labels.dtype
    assert_array_equal(predicted, labels[np.searchsorted(LABELS, one.predict(data["X"]))])


def test_labels_that_are_truth_values(rng):
    data = problem(rng, n_classes=2)
    one = student().fit(**data)
    two = student().fit(**{**data, "y": data["y"] == 1}, classes=[False, True])
    assert_array_equal(two.classes_, [False, True])
    assert_array_equal(two.coef_, one.coef_)
    assert two.predict(data["X"]).dtype == bool


def test_a_column_of_labels_is_a_vector_with_a_warning(data):
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        one = student().fit(**{**data, "y": data["y"][:, None]})
    assert_array_equal(one.coef_, student().fit(**data).coef_)


@pytest.mark.parametrize("container", ["f-order", "read-only", "list", "pandas"])
def test_container_is_idle(data, container):
    one = student().fit(**data)
    if container == "f-order":
        other = {**data, "X": np.asfortranarray(data["X"])}
    elif container == "read-only":
        other = {name: value.copy() for name, value in data.items()}
        for value in other.values():
            value.flags.writeable = False
    elif container == "list":
        other = {name: value.tolist() for name, value in data.items()}
    else:
        index = np.arange(60)[::-1]  # not looked at
        other = {
            name: pd.Series(data[name], index=index)
            for name in ("y", "privileged", "sample_weight")
        }
        other["X"] = pd.DataFrame(data["X"], columns=list("abc"))
        other["teacher"] = pd.DataFrame(data["teacher"], columns=LABELS)
    two = student().fit(**other)
    assert_same_solution(one, two)
    assert_allclose(two.predict_proba(other["X"]), one.predict_proba(data["X"]), atol=OPTIMUM)
    if container == "pandas":
        assert two.feature_names_in_.tolist() == ["a", "b", "c"]
    assert two.n_features_in_ == 3


def test_arguments_are_left_as_they_were(data):
    before = copy.deepcopy(data)
    student().fit(**data)
    for name, value in data.items():
        assert_array_equal(value, before[name])


def test_float32_is_computed_in_double(data):
    X, teacher = (data[name].astype(np.float32) for name in ("X", "teacher"))
    one = student().fit(**{**data, "X": X.astype(np.float64), "teacher": teacher})
    two = student().fit(**{**data, "X": X, "teacher": teacher})
    assert two.coef_.dtype == np.float64
    assert_same_solution(one, two)
    assert two.predict_proba(X).dtype == np.float64
    assert_allclose(two.predict_proba(X), one.predict_proba(X.astype(float)), atol=OPTIMUM)


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "csc_array", "coo_array"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_is_as_dense(data, kind, dtype):
    X = (data["X"] * (data["X"] > 1)).astype(dtype)
    sparse = getattr(scipy.sparse, kind)(X)
    one = student().fit(**{**data, "X": X})
    two = student().fit(**{**data, "X": sparse})
    assert_same_solution(one, two)
    for answer in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        found = getattr(two, answer)(sparse)
        assert isinstance(found, np.ndarray)
        if answer == "predict":
            assert_array_equal(found, two.predict(X))
        else:
            assert_allclose(found, getattr(two, answer)(X), rtol=1e-10, atol=ROUNDING)


# --- a teacher whose columns have names, and classes that never occur


def test_columns_of_a_data_frame_are_taken_by_name(data):
    judge = student().fit(**data)
    for order in ([0, 1, 2], [2, 0, 1], [1, 0, 2]):
        frame = pd.DataFrame(data["teacher"][:, order], columns=LABELS[order])
        assert_array_equal(student().fit(**{**data, "teacher": frame}).coef_, judge.coef_)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([1, 2, 10], ["10", "1", "2"]),  # as a file has them
        ([1, 2, 10], [10, 1, 2]),
        ([0.0, 1.0, 2.0], [2, 0, 1]),
        (["1", "2", "3"], [3, 1, 2]),
    ],
)
def test_names_of_columns_may_be_the_texts_of_numbers(data, labels, names):
    y = np.array(labels)[np.searchsorted(LABELS, data["y"])]
    frame = pd.DataFrame(data["teacher"][:, [2, 0, 1]], columns=names)
    one = student().fit(**{**data, "y": y})
    assert_array_equal(student().fit(**{**data, "y": y, "teacher": frame}).coef_, one.coef_)


def test_truth_values_name_columns(rng):
    data = problem(rng, n_classes=2)
    data["y"] = data["y"] == 1
    frame = pd.DataFrame(data["teacher"][:, ::-1], columns=[True, False])
    one = student().fit(**data)
    assert_array_equal(student().fit(**{**data, "teacher": frame}).coef_, one.coef_)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["high", "low", "middle"], "got 'middle', which is none"),
        (["high", "low", "high"], "got 'high', twice"),
        ([0, 1, 2], "got 0, which is none"),
    ],
)
def test_names_of_columns_that_are_no_classes_are_named(data, names, match):
    frame = pd.DataFrame(data["teacher"])
    frame.columns = names
    with pytest.raises(ValueError, match=f"`teacher` must have classes for names .*{match}"):
        student().fit(**{**data, "teacher": frame})


def test_a_class_that_only_the_teacher_knows(data):
    classes = ["high", "just", "low", "mid"]  # amid the others, so that their numbers move
    teacher = np.insert(0.9 * data["teacher"], 1, 0.1, axis=1)
    ours = student().fit(**{**data, "teacher": teacher}, classes=classes)
    assert_array_equal(ours.classes_, classes)
    assert ours.coef_.shape == (4, 3)
    frame = pd.DataFrame(teacher[:, ::-1], columns=classes[::-1])
    same = student().fit(**{**data, "teacher": frame}, classes=classes)
    assert_array_equal(same.coef_, ours.coef_)
    # at the optimum with intercepts each class has the share that the targets give it
    c, b = data["sample_weight"], 0.5 * data["sample_weight"] * data["privileged"]
    labels = data["y"][:, None] == np.array(classes)
    targets = (c - b) @ labels + b @ teacher
    assert_allclose(c @ ours.predict_proba(data["X"]), targets, rtol=1e-5)


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_a_class_without_any_weight_is_named(data, l2):
    alone = {name: data[name] for name in ("X", "y")}
    match = "`y` or `teacher` must give each class some weight, got none for 'never'"
    with pytest.raises(ValueError, match=match):
        student(l2=l2).fit(**alone, classes=[*LABELS, "never"])
    match = match.replace("never", "low")
    with pytest.raises(ValueError, match=match):
        student(l2=l2).fit(**alone, sample_weight=(data["y"] != "low").astype(float))
    told = np.hstack([data["teacher"], np.zeros((60, 1))])
    with pytest.raises(ValueError, match=match.replace("low", "never")):
        student(l2=l2).fit(**alone, teacher=told, classes=[*LABELS, "never"])


def test_a_class_without_any_weight_is_unlikely_where_there_is_no_intercept(data):
    ours = student(fit_intercept=False)
    ours.fit(data["X"], data["y"], classes=[*LABELS, "never"])
    assert ours.certificate_.converged
    theirs = student(fit_intercept=False).fit(data["X"], data["y"])
    assert ours.objective_ > theirs.objective_
    assert "never" not in ours.predict(data["X"][data["X"].sum(axis=1) > 3])


# --- where no optimum exists


@pytest.fixture
def separable():
    return {"X": np.array([[0.0], [1.0], [2.0], [3.0]]), "y": np.array(["a", "a", "b", "b"])}


def test_separable_classes_have_no_optimum_and_a_warning(separable):
    with pytest.warns(SeparableWarning) as caught:
        ours = SoftmaxStudent().fit(**separable)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert ours.certificate_.separable
    assert not ours.certificate_.converged
    assert_array_equal(ours.predict(separable["X"]), separable["y"])
    assert np.isfinite(ours.coef_).all()


def test_a_warning_that_is_an_error_leaves_the_fit(separable):
    ours = SoftmaxStudent()
    with pytest.raises(SeparableWarning):  # warnings are errors here
        ours.fit(**separable)
    assert_array_equal(ours.predict(separable["X"]), separable["y"])


def test_too_few_steps_are_told(data):
    with pytest.warns(NotConvergedWarning, match="no certificate was reached") as caught:
        ours = student(max_iter=1).fit(**data)
    assert [warning.filename for warning in caught] == [__file__]
    assert ours.n_iter_ == 1
    assert not ours.certificate_.converged


def test_a_penalty_or_an_unsure_teacher_gives_an_optimum(separable):
    # warnings are errors here
    assert student().fit(**separable).certificate_.converged
    unsure = np.full((4, 2), 0.5)
    ours = student(l2=0.0).fit(**separable, teacher=unsure)
    assert ours.certificate_.converged
    assert not ours.certificate_.separable


def test_logarithms_of_probabilities_do_not_underflow(separable):
    ours = student(l2=1e-3).fit(**separable)
    log_probs = ours.predict_log_proba([[1e6]])
    assert ours.predict_proba([[1e6]])[0, 0] == 0
    assert_allclose(log_probs[0, 0], -ours.decision_function([[1e6]])[0], rtol=ROUNDING)
    assert -np.inf < log_probs[0, 0] < -1e6


def test_the_printed_regulariser_is_not_convex_and_repeatable(data):
    settings = {"regulariser": "printed", "n_starts": 3, "l2": 0.5}
    one, two = (student(random_state=3, **settings).fit(**data) for _ in range(2))
    assert_array_equal(one.coef_, two.coef_)
    assert not one.certificate_.convex
    assert len(one.fit_.starts) == 3
    assert one.objective_ == one.fit_.objective == min(one.fit_.starts)
    other = student(random_state=np.random.RandomState(4), **settings).fit(**data)
    assert not np.array_equal(other.fit_.starts, one.fit_.starts)
    assert student().fit(**data).certificate_.convex


def test_only_the_printed_regulariser_takes_random_numbers(data):
    source = np.random.RandomState(0)
    before = source.get_state()[2]
    student(random_state=source).fit(**data)
    assert source.get_state()[2] == before
    student(random_state=source, regulariser="printed").fit(**data)
    assert source.get_state()[2] != before


# --- the company of scikit-learn


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def asked():
    return (
        student()
        .set_fit_request(teacher=True, privileged=True, sample_weight=True, classes=True)
        .set_score_request(sample_weight=False)
    )


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("frame", [True, False])
def test_cross_validation_slices_the_teacher(data, frame):
    X, y = data["X"], data["y"]
    metadata = {name: data[name] for name in ("teacher", "privileged", "sample_weight")}
    if frame:
        metadata["teacher"] = pd.DataFrame(data["teacher"], columns=LABELS)
    folds = StratifiedKFold(4)
    scores = cross_val_score(asked(), X, y, cv=folds, params={**metadata, "classes": LABELS})
    by_hand = []
    for kept, left_out in folds.split(X, y):
        part = {name: value[kept] for name, value in data.items()}
        by_hand.append(student().fit(**part).score(X[left_out], y[left_out]))
    assert_allclose(scores, by_hand, rtol=ROUNDING)


@pytest.mark.usefixtures("routing")
def test_grid_search_over_a_pipeline_finds_the_trust(rng):
    data = problem(rng, m=90)
    X, y = data["X"], data["y"]
    del data["sample_weight"]  # the scorer of the search would want to be told about it
    metadata = {name: data[name] for name in ("teacher", "privileged")}
    trusts = [0.0, 0.5, 1.0]
    pipeline = make_pipeline(StandardScaler(), asked())
    search = GridSearchCV(
        pipeline, {"softmaxstudent__trust": trusts}, cv=3, scoring="neg_log_loss"
    ).fit(X, y, **metadata)
    scores = []
    for trust in trusts:
        losses = []
        for kept, left_out in StratifiedKFold(3).split(X, y):
            part = {name: value[kept] for name, value in data.items()}
            scaler = StandardScaler().fit(part["X"])
            part["X"] = scaler.transform(part["X"])
            ours = student(trust=trust).fit(**part)
            log_probs = ours.predict_log_proba(scaler.transform(X[left_out]))
            right = np.searchsorted(LABELS, y[left_out])
            losses.append(log_probs[np.arange(len(right)), right].mean())
        scores.append(np.mean(losses))
    assert_allclose(search.cv_results_["mean_test_score"], scores, rtol=1e-8)
    assert len(set(scores)) == 3
    assert search.best_params_ == {"softmaxstudent__trust": trusts[int(np.argmax(scores))]}


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("rule", ["softmax", "mean"])
def test_copies_predict_as_the_original(data, copied, rule):
    ours = student().fit(**data)
    again = copied(ours)
    assert_array_equal(again.predict_proba(data["X"], rule), ours.predict_proba(data["X"], rule))
    assert_array_equal(again.predict(data["X"]), ours.predict(data["X"]))
    assert again.objective_ == ours.objective_
    assert again.certificate_.gap == ours.certificate_.gap


@pytest.mark.parametrize("optimum", [True, False])
def test_pickles_do_not_carry_the_rows(optimum):
    def size(m):
        X = np.linspace(0, 1, m)[:, None]
        ours = student(l2=1.0 if optimum else 0.0)
        if optimum:
            return len(pickle.dumps(ours.fit(X, X[:, 0] > 0.5)))
        with pytest.warns(SeparableWarning):
            return len(pickle.dumps(ours.fit(X, X[:, 0] > 0.5)))

    # where there is no optimum, its proof says of each object which classes fall behind: bytes
    per_object = 0 if optimum else 2
    assert size(10_000) - size(100) < 9900 * per_object + 100


def test_clone_has_the_parameters_and_nothing_else(data):
    ours = student(trust=0.3, regulariser="exact", random_state=1).fit(**data)
    again = clone(ours)
    assert again.get_params() == ours.get_params()
    assert not [name for name in vars(again) if name.endswith("_")]
    assert again.set_params(trust=0.4).trust == 0.4
    assert repr(SoftmaxStudent(0.3, 2.0, "exact", l2=1.0)) == (
        "SoftmaxStudent(l2=1.0, regulariser='exact', temperature=2.0, trust=0.3)"
    )


def test_fit_forgets_earlier_rows(data, rng):
    ours = student().fit(**problem(rng, n=5, n_classes=4))
    assert_array_equal(ours.fit(**data).coef_, student().fit(**data).coef_)
    assert_array_equal(ours.classes_, LABELS)


# --- bad input


@pytest.mark.parametrize(
    ("settings", "change", "error", "match"),
    [
        ({"trust": 1.5}, {}, ValueError, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"temperature": 0.0}, {}, ValueError, "`temperature` must be .* positive, got 0.0"),
        ({"regulariser": "other"}, {}, ValueError, "`regulariser` must be .* got 'other'"),
        ({"l2": -1.0}, {}, ValueError, "`l2` must be .* at least 0, got -1.0"),
        ({"tol": "x"}, {}, TypeError, "`tol` must be a real number, got 'x'"),
        ({"max_iter": -1}, {}, ValueError, "`max_iter` must be at least"),
        ({"fit_intercept": "no"}, {}, TypeError, "`fit_intercept` must be True or False, got 'no'"),
        (
            {"squared_temperature": "no"}, {},
            TypeError, "`squared_temperature` must be True or False, got 'no'",
        ),
        ({"regulariser": "printed", "n_starts": 0}, {}, ValueError, "`n_starts` must be at least"),
        ({}, {"sample_weight": -np.ones(60)}, ValueError, "`sample_weight` must be at least 0"),
        ({}, {"sample_weight": np.zeros(60)}, ValueError, "`sample_weight` must .* only zeros"),
        ({}, {"sample_weight": np.ones(59)}, ValueError, "`sample_weight` must have shape"),
        ({}, {"privileged": np.ones(60)}, TypeError, "`privileged` must be a boolean mask"),
        ({}, {"privileged": np.ones(59, bool)}, ValueError, "`privileged` must have shape"),
        ({}, {"privileged": np.zeros(60, bool)}, ValueError, "`privileged` must"),
        ({}, {"teacher": None}, ValueError, "`privileged` must be None"),
        ({}, {"teacher": np.full((60, 3), np.nan)}, ValueError, "`teacher` must be finite"),
        ({}, {"teacher": np.full((59, 3), 1 / 3)}, ValueError, "`teacher` .*59"),
        ({}, {"teacher": np.full((60, 3), 0.5)}, ValueError, "`teacher` must sum to 1"),
        ({}, {"teacher": [[1.0, -2.0, 2.0]] * 60}, ValueError, "`teacher` must not be negative"),
        ({}, {"teacher": np.log(np.full((60, 3), 1 / 3))}, ValueError, "`teacher` must not be neg"),
        ({}, {"teacher": np.full(60, 0.5)}, ValueError, r"`teacher` must have 2 dimension"),
        (
            {}, {"teacher": np.full((60, 2), 0.5)},
            ValueError, "`teacher` must have a column for each of the 3 classes, got 2; `classes`",
        ),
        (
            {}, {"teacher": np.full((60, 4), 0.25)},
            ValueError, "`teacher` must have a column for each of the 3 classes, got 4; `classes`",
        ),
        (
            {}, {"teacher": pd.DataFrame({"low": [0.5] * 60, "mid": [0.5] * 60})},
            ValueError, "`teacher` must have a column for each of the 3 classes, got 2; `classes`",
        ),
        ({}, {"teacher": LogisticRegression()}, TypeError, "`teacher` must be an array of real"),
        (
            {}, {"y": np.full(60, "low")},
            ValueError, "`y` must hold at least 2 classes, got one class, 'low'; `classes` names",
        ),
        (
            {}, {"y": np.array(["low", 1] * 30, dtype=object)},
            TypeError, "`y` must hold labels of one type",
        ),
        ({}, {"y": ["low", 1] * 30}, TypeError, "`y` must hold labels of one type .* int and str"),
        (
            {}, {"y": [None] + ["low"] * 59},
            ValueError, r"`y` must hold a label for each object, got None at index \(0\)",
        ),
        ({"random_state": "x"}, {}, ValueError, "`random_state` must be None, an integer .* 'x'"),
        ({"random_state": -1}, {}, ValueError, "`random_state` must be None, an integer .* got -1"),
        (
            {}, {"teacher": pd.DataFrame(np.full((60, 3), 1 / 3), columns=pd.Index(
                [["low"], ["mid"], ["high"]], tupleize_cols=False))},
            ValueError, "`teacher` must have classes for names of its columns, got .'low'., which",
        ),
        ({}, {"y": np.linspace(0, 1, 60)}, ValueError, "continuous"),
        ({}, {"classes": ["high", "low"]}, ValueError, "`y` must hold labels of .* got .mid"),
        ({}, {"classes": [0, 1, 2]}, ValueError, "`y` must hold labels of `classes` only.*'high'"),
        (
            {}, {"classes": ["low", "mid", "high"]},
            ValueError, "`classes` must be distinct and in ascending order, got .'low', 'mid', 'hi",
        ),
        ({}, {"classes": [*LABELS, "zero"]}, ValueError, "`teacher` must have .* 4 classes, got 3"),
    ],
)  # fmt: skip
def test_bad_input_is_named(data, settings, change, error, match):
    with pytest.raises(error, match=match) as caught:
        student(**settings).fit(**{**data, **change})
    assert "\n" not in str(caught.value)


def test_a_bad_fit_leaves_the_last_one(data):
    ours = student().fit(**data)
    coef = ours.coef_
    with pytest.raises(ValueError, match="`teacher`"):
        ours.fit(**{**data, "teacher": np.full((60, 3), 0.5)})
    assert_array_equal(ours.coef_, coef)


def test_an_unknown_rule_is_named(data):
    ours = student().fit(**data)
    with pytest.raises(ValueError, match="`rule` must be 'softmax' or 'mean', got 'mode'"):
        ours.predict_proba(data["X"], rule="mode")


@pytest.mark.parametrize(
    "answer", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_before_a_fit_there_is_no_answer(data, answer):
    with pytest.raises(NotFittedError):
        getattr(student(), answer)(data["X"])


def test_rows_of_a_teacher_in_another_order_are_named(data):
    index = pd.RangeIndex(60)
    X = pd.DataFrame(data["X"], index=index).rename(columns=str)
    teacher = pd.DataFrame(data["teacher"], columns=LABELS, index=index)
    ordered = student().fit(**{**data, "X": X, "teacher": teacher})
    assert_allclose(ordered.coef_, student().fit(**data).coef_, rtol=ROUNDING)
    with pytest.raises(
        ValueError, match="`teacher` must have its rows in the order of `X`, got 59"
    ):
        student().fit(**{**data, "X": X, "teacher": teacher[::-1]})


@pytest.mark.parametrize("name", ["X", "y", "teacher", "privileged", "sample_weight"])
def test_masked_arrays_are_refused(data, name):
    masked = np.ma.masked_array(data[name], mask=False)
    with pytest.raises(TypeError, match=f"`{name}` must not be a masked array"):
        student().fit(**{**data, name: masked})


def test_masked_arrays_are_refused_after_the_fit(data):
    ours = student().fit(**data)
    for answer in (ours.predict, ours.predict_proba, ours.decision_function):
        with pytest.raises(TypeError, match="`X` must not be a masked array"):
            answer(np.ma.masked_array(data["X"], mask=False))
