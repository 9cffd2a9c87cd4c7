"""PrivilegedDistiller: its two stages by hand, what each model sees, folds, masks, bad input."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    clone,
    is_classifier,
    is_regressor,
)
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from kdtheory.classifiers import SoftmaxStudent
from kdtheory.estimators import DistilledRegressor
from kdtheory.privileged import PrivilegedDistiller
from kdtheory.softening import log_soften

ROUNDING = 1e-12  # of exponents and logarithms of probabilities above 1e-6
SOLVER = 1e-6  # two solutions of one strongly convex problem, each to a gradient of 1e-8


class Recorder(ClassifierMixin, BaseEstimator):
    """A student that keeps what it was taught and always answers its first class."""

    def __init__(self, temperature=1.0):
        self.temperature = temperature

    def fit(self, X, y, teacher=None, privileged=None, sample_weight=None):
        self.classes_ = np.unique(y)
        self.told_ = (X, y, teacher, privileged, sample_weight)
        return self

    def predict(self, X):
        self.asked_ = X
        return np.full(X.shape[0], self.classes_[0])


class Spy(ClassifierMixin, BaseEstimator):
    """A teacher that remembers in `calls` which numbers it was fitted to, and which it was asked.

    Its features are the numbers of the objects; its answers are the shares of the classes.
    """

    calls = []  # noqa: RUF012 - of the class, since clones are made

    def fit(self, X, y, sample_weight=None):
        self.fitted_ = X[:, 0].astype(int).tolist()
        self.weights_ = sample_weight
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / counts.sum()
        return self

    def predict_proba(self, X):
        self.calls.append((self.fitted_, X[:, 0].astype(int).tolist(), self.weights_))
        return np.tile(self.shares_, (len(X), 1))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture
def spy():
    Spy.calls.clear()
    return Spy()


def problem(m=90, n_classes=3, seed=0, names=("a", "b", "c")):
    """Features of the student, of the teacher, and labels that hang on both."""
    rng = np.random.default_rng(seed)
    X, hidden = rng.standard_normal((m, 3)), rng.standard_normal((m, 2))
    logits = X @ rng.standard_normal((3, n_classes)) + 2 * hidden @ rng.standard_normal(
        (2, n_classes)
    )
    numbers = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return X, hidden, np.array(names[:n_classes])[numbers]


def half(m):
    return np.arange(m) % 2 == 0


# --- oracle: the two stages by hand


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_two_stages_by_hand(temperature, n_classes):
    X, hidden, y = problem(n_classes=n_classes)
    privileged = half(len(y))
    student = SoftmaxStudent(trust=0.7, temperature=temperature, l2=0.3)
    distiller = PrivilegedDistiller(LogisticRegression(C=2.0), student)
    distiller.fit(X, y, X_privileged=hidden, privileged=privileged)

    teacher = LogisticRegression(C=2.0).fit(hidden[privileged], y[privileged])
    powers = teacher.predict_proba(hidden[privileged]) ** (1 / temperature)
    answers = np.full((len(y), n_classes), np.nan)
    answers[privileged] = powers / powers.sum(axis=1, keepdims=True)
    assert_allclose(distiller.answers_, answers, rtol=ROUNDING)
    by_hand = clone(student).fit(X, y, teacher=answers, privileged=privileged)
    assert_allclose(distiller.student_.coef_, by_hand.coef_, atol=SOLVER)
    assert_allclose(distiller.student_.intercept_, by_hand.intercept_, atol=SOLVER)
    assert_array_equal(distiller.predict(X), by_hand.predict(X))
    assert_allclose(distiller.predict_proba(X), by_hand.predict_proba(X), atol=SOLVER)
    assert_allclose(distiller.predict_log_proba(X), by_hand.predict_log_proba(X), atol=SOLVER)
    assert_allclose(distiller.decision_function(X), by_hand.decision_function(X), atol=SOLVER)
    assert distiller.score(X, y) == by_hand.score(X, y)
    assert_array_equal(distiller.classes_, np.unique(y))
    assert distiller.n_privileged_ == privileged.sum()
    assert distiller.temperature_ == temperature


def test_the_two_stages_by_hand_in_regression():
    X, hidden, _ = problem()
    targets = X.sum(axis=1) + hidden @ [1.0, -2.0]
    privileged = half(len(X))
    distiller = PrivilegedDistiller(Ridge(0.1), DistilledRegressor(trust=0.8))
    distiller.fit(X, targets, X_privileged=hidden, privileged=privileged)
    teacher = Ridge(0.1).fit(hidden[privileged], targets[privileged])
    by_hand = DistilledRegressor(trust=0.8).fit(
        X, targets, teacher=teacher, privileged=privileged, privileged_features=hidden
    )
    assert_allclose(distiller.student_.coef_, by_hand.coef_, rtol=ROUNDING)
    assert_allclose(distiller.predict(X), by_hand.predict(X), rtol=ROUNDING)
    assert distiller.score(X, targets) == pytest.approx(by_hand.score(X, targets), rel=ROUNDING)
    assert not hasattr(distiller, "classes_")
    assert not hasattr(distiller, "predict_proba")


@pytest.mark.parametrize("shape", [(90,), (90, 2)])
def test_answers_in_regression_have_the_shape_of_the_labels(shape):
    X, hidden, _ = problem()
    targets = np.random.default_rng(1).standard_normal(shape)
    distiller = PrivilegedDistiller(student=DistilledRegressor()).fit(X, targets, hidden)
    assert isinstance(distiller.teacher_, LinearRegression)
    assert_allclose(distiller.answers_, LinearRegression().fit(hidden, targets).predict(hidden))
    assert distiller.predict(X).shape == shape


def test_answers_of_a_softmax_teacher_are_the_softmax_of_logits_over_temperature():
    X, hidden, y = problem()
    teacher = LogisticRegression().fit(hidden, y)
    z = teacher.decision_function(hidden)
    for temperature in (0.2, 3.0, 50.0):
        distiller = PrivilegedDistiller(LogisticRegression(), Recorder(), temperature=temperature)
        answers = distiller.fit(X, y, hidden).answers_
        powers = np.exp((z - z.max(axis=1, keepdims=True)) / temperature)
        assert_allclose(answers, powers / powers.sum(axis=1, keepdims=True), rtol=1e-9)


# --- laws


# some of the checks fit one object; and a least-squares teacher on the student's own columns is a
# no-op
@pytest.mark.filterwarnings("ignore::kdtheory.regression.RankWarning")
@pytest.mark.filterwarnings("ignore::kdtheory.regression.NoOpWarning")
@parametrize_with_checks(
    [
        PrivilegedDistiller(),
        PrivilegedDistiller(LogisticRegression(tol=1e-10), SoftmaxStudent(0.9, 2.0, l2=0.1)),
        PrivilegedDistiller(student=DistilledRegressor()),
    ]
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_by_default_both_are_softmax_students():
    X, hidden, y = problem()
    distiller = PrivilegedDistiller().fit(X, y, hidden)
    assert distiller.teacher_.get_params() == SoftmaxStudent(l2=1.0).get_params()
    assert distiller.student_.get_params() == SoftmaxStudent(l2=1.0).get_params()
    # for three classes the teacher's problem is that of scikit-learn's default
    by_hand = LogisticRegression(tol=1e-8).fit(hidden, y).predict_proba(hidden)
    assert_allclose(distiller.answers_, by_hand, atol=SOLVER)
    assert distiller.n_features_in_ == 3
    assert distiller.teacher_.n_features_in_ == 2


def test_without_privileged_features_the_teacher_sees_those_of_the_student():
    X, _, y = problem()
    plain = PrivilegedDistiller(student=Recorder()).fit(X, y)
    same = PrivilegedDistiller(student=Recorder()).fit(X, y, X_privileged=X)
    assert_array_equal(plain.answers_, same.answers_)
    assert_array_equal(plain.student_.told_[0], X)


def test_the_kind_is_that_of_the_student():
    classifier, regressor = PrivilegedDistiller(), PrivilegedDistiller(student=DistilledRegressor())
    assert is_classifier(classifier)
    assert is_regressor(regressor)
    # sparse matrices are welcome where both welcome them
    assert get_tags(classifier).input_tags.sparse
    assert not get_tags(PrivilegedDistiller(GaussianNB())).input_tags.sparse
    assert not get_tags(PrivilegedDistiller(student=Recorder())).input_tags.sparse


def test_the_given_estimators_are_not_touched():
    X, hidden, y = problem()
    teacher, student = LogisticRegression(), Recorder()
    distiller = PrivilegedDistiller(teacher, student).fit(X, y, hidden)
    assert not hasattr(teacher, "coef_")
    assert not hasattr(student, "told_")
    assert distiller.get_params()["teacher__C"] == 1.0
    assert clone(distiller).set_params(student__temperature=3.0).student.temperature == 3.0


def test_the_temperature_is_by_default_that_of_the_student():
    X, hidden, y = problem()

    def temperature(student, **told):
        return PrivilegedDistiller(student=student, **told).fit(X, y, hidden).temperature_

    assert temperature(Recorder(temperature=3.0)) == 3.0
    assert temperature(make_pipeline(StandardScaler(), Recorder(temperature=3.0))) == 3.0
    assert temperature(Recorder(temperature=3.0), temperature=2.0) == 2.0
    assert temperature(DistilledLike()) == 1.0


class DistilledLike(Recorder):
    """A student without a temperature."""

    def __init__(self):
        pass


def test_the_student_is_told_everything_about_its_objects():
    X, hidden, y = problem()
    privileged, weight = half(90), np.arange(1, 91) / 9
    distiller = PrivilegedDistiller(student=Recorder())
    distiller.fit(X, y, hidden, privileged, weight)
    told_X, told_y, answers, mask, told_weight = distiller.student_.told_
    assert_array_equal(told_X, X)
    assert_array_equal(told_y, y)
    assert_array_equal(mask, privileged)
    assert_array_equal(told_weight, weight)
    assert_array_equal(np.isnan(answers).all(axis=1), ~privileged)
    assert_allclose(answers[privileged].sum(axis=1), 1, rtol=ROUNDING)
    taught = SoftmaxStudent(l2=1.0)
    taught.fit(hidden[half(90)], y[half(90)], sample_weight=weight[half(90)])
    assert_allclose(distiller.teacher_.coef_, taught.coef_, atol=SOLVER)


def test_a_pipeline_may_teach_and_learn():
    X, hidden, y = problem()
    weight = np.arange(1, 91) / 9
    teacher = make_pipeline(StandardScaler(), LogisticRegression())
    student = make_pipeline(StandardScaler(), SoftmaxStudent(l2=1.0))
    distiller = PrivilegedDistiller(teacher, student).fit(X, y, 100 * hidden, None, weight)
    scaled = StandardScaler().fit_transform(100 * hidden)
    by_hand = LogisticRegression().fit(scaled, y, weight)
    assert_allclose(distiller.answers_, by_hand.predict_proba(scaled), atol=SOLVER)
    alone = SoftmaxStudent(l2=1.0)
    alone.fit(StandardScaler().fit_transform(X), y, distiller.answers_, None, weight)
    assert_allclose(distiller.student_[-1].coef_, alone.coef_, atol=SOLVER)


def test_a_frozen_teacher_is_taken_as_it_is():
    X, hidden, y = problem()
    teacher = LogisticRegression(C=0.01).fit(hidden[:40], y[:40])
    distiller = PrivilegedDistiller(FrozenEstimator(teacher), Recorder())
    for weight in (None, np.arange(1.0, 91.0)):
        distiller.fit(X, y, hidden, sample_weight=weight)
        assert_allclose(distiller.answers_, teacher.predict_proba(hidden), rtol=ROUNDING)


def test_an_object_of_integer_weight_is_as_many_objects():
    X, hidden, y = problem()
    counts = np.arange(90) % 3
    rows = np.repeat(np.arange(90), counts)
    student = SoftmaxStudent(l2=0.5)
    one = PrivilegedDistiller(student=student).fit(X, y, hidden, None, counts)
    other = PrivilegedDistiller(student=student).fit(X[rows], y[rows], hidden[rows])
    assert_allclose(one.student_.coef_, other.student_.coef_, atol=SOLVER)


# --- what is not privileged is not looked at


def test_rows_without_weight_may_be_nan_too():
    X, hidden, y = problem()
    weight = half(90).astype(float)
    distiller = PrivilegedDistiller().fit(X, y, hidden, sample_weight=weight)
    holes = np.where(half(90)[:, None], hidden, np.nan)
    again = PrivilegedDistiller().fit(X, y, holes, sample_weight=weight)
    assert_array_equal(again.answers_, distiller.answers_)
    assert_array_equal(np.isnan(again.answers_[:, 0]), weight == 0)
    assert again.n_privileged_ == 45


@pytest.mark.parametrize("by_columns", [False, True])
@pytest.mark.parametrize("cross_fit", [None, 3])
def test_rows_outside_the_mask_may_be_nan(by_columns, cross_fit):
    X, hidden, y = problem()
    privileged = half(90)
    holes = np.where(privileged[:, None], hidden, np.nan)
    distiller = PrivilegedDistiller(student=SoftmaxStudent(l2=1.0), cross_fit=cross_fit)
    whole = clone(distiller).fit(X, y, hidden, privileged)
    if by_columns:
        distiller.set_params(privileged_columns=[3, 4])
        distiller.fit(np.hstack([X, holes]), y, privileged=privileged)
    else:
        distiller.fit(X, y, holes, privileged)
    assert_allclose(distiller.student_.coef_, whole.student_.coef_, atol=SOLVER)
    assert np.isnan(distiller.answers_[~privileged]).all()


@pytest.mark.parametrize("kind", [pd.DataFrame, sp.csr_array, sp.coo_array, sp.csc_matrix])
def test_the_teacher_sees_the_rows_of_the_mask_in_matrices_of_any_kind(kind):
    X, hidden, y = problem()
    privileged = np.roll(half(90), 1)
    distiller = PrivilegedDistiller(student=Recorder())
    expected = clone(distiller).fit(X, y, hidden, privileged).answers_
    found = distiller.fit(X, y, kind(hidden), privileged).answers_
    assert_allclose(found, expected, atol=SOLVER)


def test_labels_outside_the_mask_reach_the_student_only():
    X, hidden, y = problem()
    privileged = half(90)
    other = np.where(privileged, y, np.roll(y, 1))
    one = PrivilegedDistiller(student=Recorder()).fit(X, y, hidden, privileged)
    two = PrivilegedDistiller(student=Recorder()).fit(X, other, hidden, privileged)
    assert_array_equal(one.answers_, two.answers_)


def test_a_class_that_the_teacher_never_met_has_no_probability():
    X, hidden, y = problem()
    privileged = y != "b"
    distiller = PrivilegedDistiller(student=SoftmaxStudent(l2=1.0))
    distiller.fit(X, y, hidden, privileged)
    assert_array_equal(distiller.teacher_.classes_, ["a", "c"])
    assert_array_equal(distiller.classes_, ["a", "b", "c"])
    assert_array_equal(distiller.answers_[privileged, 1], np.zeros(privileged.sum()))
    probs = distiller.teacher_.predict_proba(hidden[privileged])
    assert_allclose(distiller.answers_[privileged][:, [0, 2]], probs, rtol=ROUNDING)


# --- privileged columns


@pytest.mark.parametrize("columns", [["u", "v"], [1, 3], [1, -2], ("u", 3), np.array([1, 3])])
def test_privileged_columns_are_the_teachers_alone(columns):
    X, hidden, y = problem()
    frame = pd.DataFrame(
        {"p": X[:, 0], "u": hidden[:, 0], "q": X[:, 1], "v": hidden[:, 1], "r": X[:, 2]}
    )
    student = SoftmaxStudent(l2=1.0)
    apart = PrivilegedDistiller(student=student).fit(X, y, hidden)
    distiller = PrivilegedDistiller(student=student, privileged_columns=columns).fit(frame, y)
    assert_allclose(distiller.student_.coef_, apart.student_.coef_, atol=SOLVER)
    assert list(distiller.teacher_.feature_names_in_) == ["u", "v"]
    assert list(distiller.student_.feature_names_in_) == ["p", "q", "r"]
    assert list(distiller.feature_names_in_) == ["p", "u", "q", "v", "r"]
    wanted = distiller.predict_proba(frame[["p", "q", "r"]])
    assert_allclose(wanted, apart.predict_proba(X), atol=SOLVER)
    unseen = frame.assign(u=np.nan, v="never looked at")
    for asked in (frame, frame[["p", "q", "v", "r"]], unseen):
        assert_array_equal(distiller.predict_proba(asked), wanted)
        assert distiller.score(asked, y) == apart.score(X, y)


@pytest.mark.parametrize("kind", [np.asarray, list, sp.csr_array, sp.coo_array])
def test_privileged_columns_of_arrays_and_sparse_matrices(kind):
    X, hidden, y = problem()
    both = np.hstack([hidden, X])
    distiller = PrivilegedDistiller(student=SoftmaxStudent(l2=1.0), privileged_columns=[0, 1])
    distiller.fit(kind(both), y)
    apart = PrivilegedDistiller(student=SoftmaxStudent(l2=1.0)).fit(X, y, hidden)
    assert_allclose(distiller.student_.coef_, apart.student_.coef_, atol=SOLVER)
    assert_array_equal(distiller.predict(kind(both)), distiller.predict(kind(X)))


def test_columns_that_are_neither_all_nor_the_students_are_refused():
    X, hidden, y = problem()
    both = np.hstack([hidden, X])
    distiller = PrivilegedDistiller(student=SoftmaxStudent(l2=1.0), privileged_columns=[0, 1])
    distiller.fit(both, y)
    with pytest.raises(ValueError, match=r"4 features, but .* expecting 3"):
        distiller.predict(both[:, :4])
    frame = pd.DataFrame(both, columns=list("uvpqr"))
    distiller.fit(frame, y)
    with pytest.raises(ValueError, match="feature names"):
        distiller.predict(frame[["p", "r", "q"]])
    with pytest.raises(ValueError, match="feature names"):
        distiller.predict(frame[["u", "v", "p", "q"]])


# --- folds


def test_no_answer_has_seen_its_label(spy):
    m = 60
    numbers = np.arange(m, dtype=float)[:, None]
    y = np.arange(m) % 3
    privileged = np.arange(m) < 40
    distiller = PrivilegedDistiller(spy, Recorder(), cross_fit=4)
    distiller.fit(numbers, y, privileged=privileged)
    assert len(Spy.calls) == 4
    asked = [number for _, batch, _ in Spy.calls for number in batch]
    assert sorted(asked) == list(range(40))
    for fitted, batch, _ in Spy.calls:
        assert not set(fitted) & set(batch)
        assert set(fitted) | set(batch) == set(range(40))
        # every class in every fold, as nearly as can be: 40 objects, 14 + 13 + 13
        assert set(np.bincount(y[batch])) <= {3, 4}
        shares = np.bincount(y[fitted]) / len(fitted)
        assert_allclose(distiller.answers_[batch], np.tile(shares, (len(batch), 1)))
    assert np.isnan(distiller.answers_[40:]).all()
    assert not hasattr(distiller, "teacher_")


def test_without_folds_there_is_one_teacher_for_all(spy):
    numbers = np.arange(10.0)[:, None]
    PrivilegedDistiller(spy, Recorder()).fit(numbers, np.arange(10) % 2)
    assert [(fitted, asked) for fitted, asked, _ in Spy.calls] == [(list(range(10)),) * 2]


def test_a_second_fit_forgets_the_teacher_of_the_first():
    X, hidden, y = problem()
    distiller = PrivilegedDistiller().fit(X, y, hidden)
    distiller.set_params(cross_fit=3).fit(X, y, hidden)
    assert not hasattr(distiller, "teacher_")


def test_a_splitter_makes_the_folds(spy):
    numbers = np.arange(12.0)[:, None]
    distiller = PrivilegedDistiller(spy, Recorder(), cross_fit=KFold(3))
    distiller.fit(numbers, np.arange(12) % 2)
    assert [asked for _, asked, _ in Spy.calls] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_objects_without_weight_are_in_no_fold(spy):
    numbers, y = np.arange(20.0)[:, None], np.arange(20) % 2
    weight = (np.arange(20) % 5).astype(float)
    distiller = PrivilegedDistiller(spy, Recorder(), cross_fit=2)
    distiller.fit(numbers, y, sample_weight=weight)
    asked = [number for _, batch, _ in Spy.calls for number in batch]
    assert sorted(asked) == np.flatnonzero(weight).tolist()
    for fitted, _, weights in Spy.calls:
        assert_array_equal(weights, weight[fitted])
    assert_array_equal(distiller.student_.told_[3], weight > 0)
    assert distiller.n_privileged_ == 16


def test_folds_in_regression_are_those_of_the_regressor():
    X, hidden, _ = problem()
    targets = X.sum(axis=1) + hidden @ [1.0, -2.0]
    distiller = PrivilegedDistiller(LinearRegression(), DistilledRegressor(), cross_fit=5)
    distiller.fit(X, targets, hidden)
    by_hand = DistilledRegressor(cross_fit=5)
    by_hand.fit(X, targets, teacher=LinearRegression(), privileged_features=hidden)
    assert_allclose(distiller.predict(X), by_hand.predict(X), rtol=1e-9)


def test_a_class_that_a_fold_lacks_has_no_probability_there():
    X, hidden, y = problem()
    order = np.argsort(y, kind="stable")  # contiguous folds, each without some class
    distiller = PrivilegedDistiller(student=Recorder(), cross_fit=KFold(3), temperature=7.0)
    with pytest.warns(RuntimeWarning, match="`cross_fit` leaves a teacher without the") as told:
        distiller.fit(X[order], y[order], hidden[order])
    assert told[0].filename == __file__
    for rows in np.array_split(np.arange(90), 3):
        kept = np.setdiff1d(np.arange(90), rows)
        lacking = np.setdiff1d(y[order], y[order][kept])
        columns = np.isin(np.unique(y), lacking)
        assert (distiller.answers_[rows][:, columns] == 0).all()
    assert_allclose(distiller.answers_.sum(axis=1), 1, rtol=ROUNDING)


def test_scikit_learn_searches_over_it():
    X, hidden, y = problem()
    both = np.hstack([X, hidden])
    distiller = PrivilegedDistiller(student=SoftmaxStudent(l2=1.0), privileged_columns=[3, 4])
    search = GridSearchCV(distiller, {"student__trust": [0.0, 1.0]}, cv=3).fit(both, y)
    assert search.predict(X).shape == (90,)
    # a separate matrix and a mask are cut along with the folds
    params = {"X_privileged": hidden, "privileged": half(90)}
    distiller.set_params(privileged_columns=None)
    folds = StratifiedKFold(3)
    scores = cross_val_score(distiller, X, y, cv=folds, params=params)
    for score, (train, test) in zip(scores, folds.split(X, y), strict=True):
        one = clone(distiller).fit(X[train], y[train], hidden[train], half(90)[train])
        assert score == one.score(X[test], y[test])


PIPELINES = (
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), SoftmaxStudent(l2=1.0)),
)


@pytest.mark.parametrize("cross_fit", [None, 3])
@pytest.mark.parametrize("piped", [True, False])
def test_metadata_routing_changes_nothing(cross_fit, piped):
    X, hidden, y = problem()
    weight = 1.0 + np.arange(90) % 3
    estimators = PIPELINES if piped else (None, None)
    distiller = PrivilegedDistiller(*estimators, cross_fit=cross_fit)
    plain = distiller.fit(X, y, hidden, half(90), weight).predict_proba(X)
    score = distiller.score(X, y, weight)
    with config_context(enable_metadata_routing=True):
        routed = clone(distiller).fit(X, y, hidden, half(90), weight)
        assert routed.score(X, y, weight) == score
        assert_array_equal(routed.predict_proba(X), plain)


def test_cross_validation_routes_the_privileged_features():
    X, hidden, y = problem()
    distiller = PrivilegedDistiller(*PIPELINES)
    plain = cross_val_score(distiller, X, y, cv=3, params={"X_privileged": hidden})
    with config_context(enable_metadata_routing=True):
        distiller.set_fit_request(X_privileged=True)
        routed = cross_val_score(distiller, X, y, cv=3, params={"X_privileged": hidden})
    assert_array_equal(routed, plain)


class Narrow(ClassifierMixin, BaseEstimator):
    """A teacher that knows the last two classes only, whatever the labels."""

    def fit(self, X, y):  # noqa: ARG002
        self.classes_ = np.array(["b", "c"])
        return self

    def predict_proba(self, X):
        return np.tile([0.25, 0.75], (len(X), 1))


@pytest.mark.parametrize("cross_fit", [None, 3])
def test_the_columns_of_the_answers_are_the_teachers_own_classes(cross_fit):
    X, hidden, y = problem()
    distiller = PrivilegedDistiller(Narrow(), Recorder(), cross_fit=cross_fit)
    answers = distiller.fit(X, y, hidden).answers_
    assert_allclose(answers, np.tile([0.0, 0.25, 0.75], (90, 1)), rtol=ROUNDING)


# --- limits


def test_what_is_impossible_stays_so_at_every_temperature():
    X, hidden, y = problem()
    for teacher in (DecisionTreeClassifier(random_state=0), RandomForestClassifier(5)):
        for temperature in (1e-3, 1.0, 1e4):
            distiller = PrivilegedDistiller(teacher, Recorder(), temperature=temperature)
            answers = distiller.fit(X, y, hidden).answers_
            with np.errstate(divide="ignore"):
                probs = distiller.teacher_.predict_proba(hidden)
            assert ((answers == 0) >= (probs == 0)).all()
            assert_allclose(answers.sum(axis=1), 1, rtol=ROUNDING)
    # what is possible tends to equal shares
    assert_allclose(answers, (probs > 0) / (probs > 0).sum(axis=1, keepdims=True), atol=1e-3)


class Certain(ClassifierMixin, BaseEstimator):
    """A teacher with probabilities that a float64 does not hold."""

    def fit(self, X, y):  # noqa: ARG002
        self.classes_ = np.unique(y)
        return self

    def predict_log_proba(self, X):
        return log_soften(np.column_stack([np.zeros(len(X)), 1e4 * X[:, 0]]))

    def predict_proba(self, X):
        return np.exp(self.predict_log_proba(X))


def test_log_probabilities_are_asked_for_digits_that_probabilities_lose():
    X, hidden, y = problem(n_classes=2)
    distiller = PrivilegedDistiller(Certain(), Recorder(), temperature=1e3)
    answers = distiller.fit(X, y, hidden).answers_
    assert (Certain().fit(hidden, y).predict_proba(hidden) == 0).any()
    assert_allclose(np.log(answers[:, 1] / answers[:, 0]), 10 * hidden[:, 0], rtol=1e-9)


def test_one_teacher_and_full_trust_leave_the_labels_out():
    X, hidden, y = problem(n_classes=2)
    teacher = FrozenEstimator(LogisticRegression().fit(hidden, y))
    student = SoftmaxStudent(trust=1.0, l2=1.0)
    flipped = np.where(y == "a", "b", "a")
    one = PrivilegedDistiller(teacher, student).fit(X, y, hidden)
    two = PrivilegedDistiller(teacher, student).fit(X, flipped, hidden)
    assert_allclose(one.student_.coef_, two.student_.coef_, atol=SOLVER)


def test_a_pickle_answers_as_before():
    X, hidden, y = problem()
    distiller = PrivilegedDistiller(student=SoftmaxStudent(l2=1.0)).fit(X, y, hidden)
    again = pickle.loads(pickle.dumps(distiller))
    assert_array_equal(again.predict_proba(X), distiller.predict_proba(X))


# --- bad input


def refit(error, match, *, X=None, y=None, params=None, **told):
    X_good, hidden, y_good = problem()
    told = {"X_privileged": hidden} | told
    params = {"student": Recorder()} | (params or {})
    with pytest.raises(error, match=match):
        PrivilegedDistiller(**params).fit(
            X_good if X is None else X, y_good if y is None else y, **told
        )


@pytest.mark.parametrize(
    ("told", "error", "match"),
    [
        ({"privileged": np.zeros(90, bool)}, ValueError, "`privileged` must be True for at least"),
        ({"privileged": np.zeros(90)}, TypeError, "`privileged` must be a boolean mask"),
        (
            {"privileged": half(90), "sample_weight": 1.0 - half(90)},
            ValueError,
            "`privileged` must be True for at least one object of positive weight",
        ),
        ({"privileged": half(80)}, ValueError, r"`privileged` must have shape \(90,\)"),
        ({"X_privileged": np.ones((80, 2))}, ValueError, "`y` has 90, `X_privileged` has 80"),
        ({"sample_weight": -np.ones(90)}, ValueError, "`sample_weight` must be at least 0"),
        ({"y": np.zeros((90, 3))}, ValueError, "y should be a 1d array"),
        ({"X_privileged": 1.0}, ValueError, "`y` has 90, `X_privileged` has 1"),
        ({"X_privileged": np.array(1.0)}, ValueError, "`y` has 90, `X_privileged` has 1"),
        ({"y": np.zeros(80)}, ValueError, "`X` has 90, `y` has 80"),
        (
            {"y": 1.0, "params": {"student": DistilledRegressor()}},
            ValueError,
            "`X` has 90, `y` has 1",
        ),
        (
            {"params": {"student": LogisticRegression()}},
            TypeError,
            "`student` must take `teacher` in fit, got LogisticRegression",
        ),
        (
            {"params": {"student": make_pipeline(StandardScaler(), LogisticRegression())}},
            TypeError,
            "`student` must take `teacher` in fit, got LogisticRegression",
        ),
        (
            {"params": {"teacher": LinearSVC()}},
            TypeError,
            "`teacher` must have predict_proba or predict_log_proba, got LinearSVC",
        ),
        (
            {"params": {"temperature": 0.0}},
            ValueError,
            "`temperature` must be finite and positive, got 0.0",
        ),
        (
            {"params": {"student": Recorder(temperature=-1.0)}},
            ValueError,
            "`student.temperature` must be finite and positive, got -1.0",
        ),
        ({"params": {"cross_fit": 1}}, ValueError, "`cross_fit` must be at least 2, got 1"),
        (
            {"params": {"cross_fit": 46}, "privileged": half(90)},
            ValueError,
            r"`cross_fit` must be at most the \d+ privileged object\(s\) of the largest class, g",
        ),
        (
            {
                "params": {"cross_fit": 46, "student": DistilledRegressor()},
                "y": np.arange(90.0),
                "privileged": half(90),
            },
            ValueError,
            r"`cross_fit` must be at most the 45 privileged object\(s\), got 46",
        ),
        (
            {"params": {"cross_fit": ShuffleSplit(3, random_state=0)}},
            ValueError,
            r"`cross_fit` must leave out each privileged object once, got \d time.* by Shuffle",
        ),
        (
            {"params": {"cross_fit": GroupKFold(3)}},
            ValueError,
            r"`cross_fit` must split 90 privileged object\(s\) without groups, got GroupKFold, whi",
        ),
        (
            {"params": {"cross_fit": KFold(91)}},
            ValueError,
            r"`cross_fit` must split 90 privileged object\(s\) without groups, got KFold, which",
        ),
        *(
            ({"params": {role: wrong}}, TypeError, f"`{role}` must be an estimator of scikit-learn")
            for role in ("teacher", "student")
            for wrong in ("x", 3, SoftmaxStudent)
        ),
        *(
            ({"params": {role: Pipeline([])}}, ValueError, f"`{role}` must have at least one step")
            for role in ("teacher", "student")
        ),
        ({"y": ["a", 1] * 45}, TypeError, "`y` must hold labels of one type .* int and str"),
        ({"y": [None, "a"] * 45}, ValueError, "`y` must hold a label for each object, got None"),
        (
            {"y": pd.array([pd.NA, "a"] * 45)},
            ValueError,
            "`y` must hold a label for each object, got <NA>",
        ),
        (
            {"y": [None, 1.0] * 45, "params": {"student": DistilledRegressor()}},
            ValueError,
            "`y` must hold a label for each object, got None",
        ),
        ({"params": {"cross_fit": "5"}}, TypeError, "`cross_fit` must be an integer, got '5'"),
        (
            {"params": {"privileged_columns": [0]}},
            ValueError,
            "`X_privileged` must be None with `privileged_columns`",
        ),
    ],
)
def test_bad_input_is_named(told, error, match):
    refit(error, match, **told)


@pytest.mark.parametrize(
    ("columns", "error", "match"),
    [
        ("x", TypeError, "`privileged_columns` must be a sequence of columns, got 'x'"),
        (iter([0]), TypeError, "`privileged_columns` must be a sequence of columns, got <list_ite"),
        (1, TypeError, "`privileged_columns` must be a sequence of columns, got 1"),
        (["x"], ValueError, "`privileged_columns` must name columns of `X`, got 'x'"),
        ([3], ValueError, "`privileged_columns` must name columns of `X`, got 3"),
        ([-4], ValueError, "`privileged_columns` must name columns of `X`, got -4"),
        ([True], ValueError, "`privileged_columns` must name columns of `X`, got True"),
        ([1.0], ValueError, "`privileged_columns` must name columns of `X`, got 1.0"),
        ([], ValueError, r"`privileged_columns` must name from 1 to 2 column\(s\) once each"),
        ([1, -2], ValueError, r"from 1 to 2 column\(s\) once each, got \[1, -2\]"),
        ([0, 1, 2], ValueError, r"from 1 to 2 column\(s\) once each, got \[0, 1, 2\]"),
    ],
)
def test_privileged_columns_that_are_not_there_are_named(columns, error, match):
    refit(error, match, params={"privileged_columns": columns}, X_privileged=None)


def test_rows_of_numbers_in_place_of_a_matrix_are_named():
    params = {"privileged_columns": [0]}
    refit(
        ValueError,
        r"`X` must have 2 dimension\(s\)",
        X=np.ones(90),
        params=params,
        X_privileged=None,
    )


class Answering(ClassifierMixin, BaseEstimator):
    """A teacher with given answers."""

    def __init__(self, answers=None, classes=("a", "b", "c")):
        self.answers = answers
        self.classes = classes

    def fit(self, X, y):  # noqa: ARG002
        self.classes_ = np.array(self.classes)
        return self

    def predict_proba(self, X):
        return np.broadcast_to(self.answers, (len(X), len(self.answers)))


class Predicting(RegressorMixin, BaseEstimator):
    def fit(self, X, y):  # noqa: ARG002
        return self

    def predict(self, X):
        return np.zeros((len(X), 2))


@pytest.mark.parametrize(
    ("teacher", "error", "match"),
    [
        (Answering([0.5, 0.5]), ValueError, r"`teacher` must answer with shape \(90, 3\), got"),
        (Answering([0.5, 0.4, 0.4]), ValueError, "`teacher` must sum to 1"),
        (Answering([1.5, -0.25, -0.25]), ValueError, "`teacher` must be finite, got nan"),
        (
            Answering([0.5, 0.5], ("a", "d")),
            ValueError,
            "`teacher` must know classes of `y` only, got .*'d'",
        ),
    ],
)
def test_answers_that_are_no_probabilities_are_named(teacher, error, match):
    refit(error, match, params={"teacher": teacher})


def test_a_teacher_that_takes_no_weights_is_named():
    teacher = Answering([0.2, 0.3, 0.5])
    refit(
        TypeError,
        "`teacher` must take `sample_weight` in fit, got Answering",
        params={"teacher": teacher},
        sample_weight=np.ones(90),
    )


def test_predictions_of_another_shape_are_named():
    X, hidden, _ = problem()
    distiller = PrivilegedDistiller(Predicting(), DistilledRegressor())
    with pytest.raises(ValueError, match=r"`teacher` must answer with shape \(90,\), got \(90, 2"):
        distiller.fit(X, X[:, 0], hidden)


@pytest.mark.parametrize("piped", [True, False])
def test_a_frozen_teacher_cannot_be_cross_fitted(piped):
    _, hidden, y = problem()
    frozen = FrozenEstimator(LogisticRegression().fit(hidden, y))
    teacher = make_pipeline(frozen) if piped else frozen
    refit(
        ValueError,
        "`cross_fit` must be None with a frozen teacher, which has seen every label",
        params={"teacher": teacher, "cross_fit": 3},
    )


def test_privileged_rows_in_another_order_are_named():
    X, hidden, y = problem()
    X, hidden = pd.DataFrame(X).rename(columns=str), pd.DataFrame(hidden).rename(columns=str)
    PrivilegedDistiller().fit(X, y, hidden)
    match = "`X_privileged` must have its rows in the order of `X`, got 89"
    refit(ValueError, match, X=X, X_privileged=hidden[::-1])


@pytest.mark.parametrize("name", ["X", "y", "X_privileged", "privileged", "sample_weight"])
def test_masked_arrays_are_refused(name):
    X, hidden, y = problem()
    rows = {"X": X, "y": y, "X_privileged": hidden, "privileged": half(90)}
    rows["sample_weight"] = np.ones(90)
    rows[name] = np.ma.masked_array(rows[name], mask=False)
    refit(TypeError, f"`{name}` must not be a masked array", **rows)


@pytest.mark.parametrize("columns", [None, [0]])
def test_masked_arrays_are_refused_after_the_fit(columns):
    X, _, y = problem()
    distiller = PrivilegedDistiller(privileged_columns=columns).fit(X, y)
    masked = np.ma.masked_array(X, mask=False)
    for answer in (distiller.predict, distiller.predict_proba, lambda X: distiller.score(X, y)):
        with pytest.raises(TypeError, match="`X` must not be a masked array"):
            answer(masked)
    with pytest.raises(TypeError, match="`y` must not be a masked array"):
        distiller.score(X, np.ma.masked_array(y, mask=False))
