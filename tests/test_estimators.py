"""`kdtheory.estimators` against the closed form, scikit-learn's own models, and its checks."""

import copy
import pickle
import warnings
from typing import ClassVar

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from kdtheory.estimators import DistilledRegressor, DistilledRegressorCV
from kdtheory.evidence import NotIdentifiedError, maximum_evidence
from kdtheory.inference import inference
from kdtheory.regression import NoOpWarning, RankWarning, distil_regression
from kdtheory.selection import trust_path

EXACT = 1e-10  # relative; two solvers on designs with a condition below 100
SINGLE = 1e-4  # relative; data rounded to float32

REPLICATIONS = 2000  # a variance over them has the relative error √(2 / 2000), 3 percent

METADATA = {
    "teacher": True,
    "privileged": True,
    "sample_weight": True,
    "privileged_features": True,
}


def problem(rng, m=40, n=3, p=None):
    """Data with a teacher who sees more than the student, on two thirds of the objects."""
    X = rng.normal(size=(m, n)) + 2.0
    Z = rng.normal(size=(m, 2))
    shape = (m,) if p is None else (m, p)
    signal = X @ rng.normal(size=(n, *shape[1:])) + Z @ rng.normal(size=(2, *shape[1:])) + 1.0
    return {
        "X": X,
        "y": signal + 0.3 * rng.normal(size=shape),
        "teacher": signal + 0.1 * rng.normal(size=shape),
        "privileged": rng.random(m) < 2 / 3,
        "sample_weight": rng.integers(1, 4, size=m).astype(float),
    }


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def data(rng):
    return problem(rng)


def without_warnings(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoOpWarning)
        return function(*args, **kwargs)


# --- scikit-learn's own checks, none expected to fail


@pytest.mark.filterwarnings("ignore::kdtheory.regression.RankWarning")  # they fit 1 object
@parametrize_with_checks([DistilledRegressor(), DistilledRegressorCV()])
def test_scikit_learn_check(estimator, check):
    check(estimator)


# --- the closed form, and the models that it contains


@pytest.mark.parametrize("p", [None, 1, 2])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("convention", ["precision", "printed"])
def test_fit_is_the_closed_form(rng, p, fit_intercept, convention):
    data = problem(rng, p=p)
    settings = {
        "trust": 0.3,
        "sigma": 0.7,
        "sigma_teacher": 0.2,
        "convention": convention,
        "ridge": 0.5,
        "fit_intercept": fit_intercept,
    }
    student = DistilledRegressor(**settings).fit(**data)
    fit = distil_regression(**data, **settings)
    assert_allclose(student.coef_, fit.coef.T, rtol=EXACT)
    assert_allclose(student.intercept_, fit.intercept, rtol=EXACT, atol=0)
    assert student.coef_.shape == ((3,) if p is None else (p, 3))
    assert_allclose(student.predict(data["X"]), data["X"] @ fit.coef + fit.intercept, rtol=EXACT)
    assert student.trust_ == 0.3
    assert student.n_privileged_ == data["privileged"].sum()
    assert student.rank_ == 3
    assert_allclose(student.condition_, fit.condition, rtol=EXACT)
    assert student.solver_ == fit.solver


def test_unknown_noise_has_weight_one(data):
    student = DistilledRegressor(trust=0.3).fit(**data)
    fit = distil_regression(**data, trust=0.3, fit_intercept=True)
    assert_allclose(student.coef_, fit.coef, rtol=EXACT)


def test_noise_for_each_object(data, rng):
    sigma = rng.uniform(0.5, 2, size=40)
    student = DistilledRegressor(trust=0.3, sigma=sigma).fit(**data)
    fit = distil_regression(**data, trust=0.3, sigma=sigma, fit_intercept=True)
    assert_allclose(student.coef_, fit.coef, rtol=EXACT)


@pytest.mark.parametrize("p", [None, 2])
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_without_trust_it_is_the_model_of_scikit_learn(rng, p, ridge):
    data = problem(rng, p=p)
    X, y, weight = data["X"], data["y"], data["sample_weight"]
    theirs = LinearRegression() if ridge == 0 else Ridge(alpha=ridge)
    theirs.fit(X, y, sample_weight=weight)
    for teacher in ({}, {"teacher": data["teacher"], "privileged": data["privileged"]}):
        ours = DistilledRegressor(trust=0, ridge=ridge).fit(X, y, sample_weight=weight, **teacher)
        assert ours.coef_.shape == theirs.coef_.shape
        assert_allclose(ours.coef_, theirs.coef_, rtol=EXACT)
        assert_allclose(ours.intercept_, theirs.intercept_, rtol=EXACT)
        assert_allclose(ours.score(X, y, weight), theirs.score(X, y, weight), rtol=EXACT)


def test_without_teacher_trust_is_idle(data):
    X, y = data["X"], data["y"]
    ours = DistilledRegressor(trust=0.9).fit(X, y)
    assert_allclose(ours.coef_, LinearRegression().fit(X, y).coef_, rtol=EXACT)
    assert ours.n_privileged_ == 0


@pytest.mark.parametrize("criterion", ["loo", "gcv"])
@pytest.mark.parametrize("p", [None, 2])
def test_chosen_trust_is_that_of_the_path(rng, criterion, p):
    data = problem(rng, p=p)
    data["y"] += 4 * rng.normal(size=data["y"].shape)
    trusts = np.linspace(0, 1, 11)
    student = DistilledRegressorCV(
        trusts=trusts, criterion=criterion, sigma=0.5, sigma_teacher=1.5, ridge=0.1
    ).fit(**data)
    path = trust_path(
        **data, trusts=trusts, sigma=0.5, sigma_teacher=1.5, ridge=0.1, fit_intercept=True
    )
    assert student.trust_ == path.best(criterion)
    assert 0 < student.trust_ < 1
    assert_array_equal(student.path_.loo_error, path.loo_error)
    same = DistilledRegressor(trust=student.trust_, sigma=0.5, sigma_teacher=1.5, ridge=0.1)
    assert_array_equal(student.coef_, same.fit(**data).coef_)


def test_chosen_trust_is_that_of_refitting_without_each_object(data):
    trusts = [0.0, 0.25, 0.5, 0.75, 1.0]

    def error(trust):
        total = 0.0
        for i in range(40):
            rest = {name: np.delete(value, i, axis=0) for name, value in data.items()}
            student = DistilledRegressor(trust=trust).fit(**rest)
            miss = data["y"][i] - student.predict(data["X"][i : i + 1])[0]
            total += data["sample_weight"][i] * miss**2
        return total / data["sample_weight"].sum()

    errors = [error(trust) for trust in trusts]
    student = DistilledRegressorCV(trusts=trusts).fit(**data)
    assert_allclose(student.path_.loo_error, errors, rtol=1e-8)
    assert student.trust_ == trusts[int(np.argmin(errors))]


def test_evidence_chooses_trust_and_noise(rng):
    X = rng.normal(size=(300, 2))
    inside = np.arange(300) % 2 == 0
    truth = X @ [1.0, 2.0]
    y = truth + rng.normal(size=300) * np.where(inside, 2.0, 1.0)
    teacher = truth + rng.normal(size=300)
    rows = {"X": X, "y": y, "teacher": teacher, "privileged": inside}
    student = DistilledRegressorCV(criterion="evidence").fit(**rows)
    evidence = maximum_evidence(**rows, fit_intercept=True)
    assert student.trust_ == evidence.trust == student.evidence_.trust
    assert_allclose(student.coef_, evidence.coef, rtol=EXACT)
    assert student.evidence_.sigma == evidence.sigma
    assert not hasattr(student, "path_")
    # the estimated levels are not known ones
    assert student.inference().kind == "sandwich"
    assert not hasattr(student.set_params(criterion="loo").fit(**rows), "evidence_")


@pytest.mark.parametrize("criterion", ["loo", "gcv", "evidence"])
def test_without_a_teacher_the_chosen_trust_is_zero(data, criterion):
    X, y = data["X"], data["y"]
    alone = LinearRegression().fit(X, y)
    nobody = {"teacher": np.full(40, np.nan), "privileged": np.zeros(40, dtype=bool)}
    for teacher in ({}, nobody):
        student = DistilledRegressorCV(criterion=criterion).fit(X, y, **teacher)
        assert student.trust_ == 0
        assert_allclose(student.coef_, alone.coef_, rtol=EXACT)
    if criterion != "evidence":
        assert student.path_.trusts.tolist() == [0.0]


# --- standard errors


@pytest.mark.parametrize("p", [None, 2])
@pytest.mark.parametrize(
    ("settings", "teacher", "covariance", "kind"),
    [
        ({}, True, "auto", "sandwich"),
        ({"sigma": 0.5}, True, "auto", "sandwich"),
        ({"sigma": 0.5, "sigma_teacher": 0.3}, True, "auto", "model"),
        ({"sigma": 0.5, "sigma_teacher": 0.3}, True, "model", "model"),
        ({"sigma": 0.5, "sigma_teacher": 0.3}, True, "sandwich", "sandwich"),
        ({}, False, "auto", "classical"),
        ({"sigma": 0.5}, False, "auto", "model"),
        ({"sigma": 0.5}, False, "classical", "classical"),
    ],
)
def test_inference_is_that_of_the_fit(rng, p, settings, teacher, covariance, kind):
    data = problem(rng, p=p)
    if not teacher:
        del data["teacher"], data["privileged"]
    student = DistilledRegressor(**settings, weights_kind="frequency").fit(**data)
    found = student.inference(confidence=0.9, covariance=covariance)
    noise = settings if kind == "model" else {}
    judge = inference(
        student.fit_, covariance=kind, weights_kind="frequency", confidence=0.9, **noise
    )
    assert found.kind == kind
    assert_array_equal(found.standard_errors, judge.standard_errors)
    assert_array_equal(found.low, judge.low)
    assert str(student.summary(confidence=0.9, covariance=covariance)) == str(judge.summary())
    assert "<table>" in student.summary()._repr_html_()


@pytest.mark.parametrize("p", [None, 2])
@pytest.mark.parametrize("weights_kind", ["precision", "frequency"])
@pytest.mark.parametrize("teacher", [True, False])
def test_inference_after_blocks_is_that_of_the_fit(rng, p, weights_kind, teacher):
    data = problem(rng, p=p)
    if not teacher:
        del data["teacher"], data["privileged"]
    settings = {"sigma": 0.5, "sigma_teacher": 0.3, "weights_kind": weights_kind}
    whole = DistilledRegressor(**settings).fit(**data)
    blocks = DistilledRegressor(**settings)
    for rows in np.array_split(np.arange(40), 3):
        blocks.partial_fit(**{name: value[rows] for name, value in data.items()})
    for covariance in ("auto", "model") if teacher else ("auto", "model", "classical"):
        one, two = (m.inference(covariance=covariance) for m in (whole, blocks))
        assert one.kind == two.kind
        assert_allclose(two.standard_errors, one.standard_errors, rtol=1e-8)
        assert_allclose(two.r_squared, one.r_squared, rtol=1e-8)
        assert_allclose(two.noise, one.noise, rtol=1e-8)
        assert (two.n_objects, two.n_privileged) == (one.n_objects, one.n_privileged)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weights_kind", ["precision", "frequency"])
@pytest.mark.parametrize("everybody", [True, False])
def test_pooled_errors_are_those_of_two_variances(rng, fit_intercept, weights_kind, everybody):
    data = problem(rng)
    if everybody:
        data["privileged"][:] = True
    student = DistilledRegressor(
        trust=0.3,
        sigma=0.5,
        ridge=0.2,
        fit_intercept=fit_intercept,
        weights_kind=weights_kind,
    ).partial_fit(**data)
    found = student.inference()
    assert found.kind == "pooled"
    assert "equal among objects with a teacher" in str(student.summary())

    X = np.hstack([np.ones((40, int(fit_intercept))), data["X"]])
    c, inside = data["sample_weight"], data["privileged"]
    a, b = np.where(inside, 0.7, 1.0) / 0.25, np.where(inside, 0.3, 0.0)
    penalty = 0.2 * np.eye(X.shape[1])
    penalty[0, 0] *= not fit_intercept
    A = X.T @ ((c * (a + b))[:, None] * X) + penalty
    w = np.linalg.solve(A, X.T @ (c * (a * data["y"] + b * data["teacher"])))
    scores = a * (data["y"] - X @ w) + b * (data["teacher"] - X @ w)
    leverages = c * (a + b) * np.einsum("ij,ij->i", X @ np.linalg.inv(A), X)
    count = c if weights_kind == "frequency" else np.ones(40)
    v = np.zeros(40)
    for some in (inside, ~inside):
        if some.any():
            v[some] = (c * scores**2)[some].sum() / (count - leverages)[some].sum()
    bread = np.linalg.inv(A)
    covariance = bread @ X.T @ ((c * v)[:, None] * X) @ bread
    assert_allclose(found.covariance, covariance, rtol=1e-8, atol=1e-14)


def test_pooled_errors_are_the_spread_of_the_estimates(rng):
    # each output is a replication; the noises of one object are correlated
    X = rng.normal(size=(60, 2))
    noise, own = rng.normal(size=(2, 60, REPLICATIONS))
    truth = (X @ [1.0, 2.0])[:, None]
    student = DistilledRegressor(trust=0.6).partial_fit(
        X, truth + noise, teacher=truth + 0.8 * noise + 0.3 * own, privileged=np.arange(60) < 40
    )
    variances = student.inference().standard_errors[1:] ** 2
    spread = student.coef_.var(axis=0)
    assert_allclose(variances.mean(axis=1), spread, rtol=4 * np.sqrt(2 / REPLICATIONS))


# --- laws


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4, 1.0]))
def test_zero_weight_is_a_dropped_row(seed, trust):
    rng = np.random.default_rng(seed)
    data = problem(rng)
    kept = rng.random(40) < 0.7
    kept[:10] = True
    data["privileged"][:5] = False  # at trust 1 these carry the fit
    weighted = {**data, "sample_weight": data["sample_weight"] * kept}
    dropped = {name: value[kept] for name, value in data.items()}
    one = DistilledRegressor(trust=trust).fit(**weighted)
    two = DistilledRegressor(trust=trust).fit(**dropped)
    assert_allclose(one.coef_, two.coef_, rtol=1e-8, atol=1e-8)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4, 1.0]))
def test_integer_weight_is_a_repeated_row(seed, trust):
    data = problem(np.random.default_rng(seed))
    times = data["sample_weight"].astype(int)
    repeated = {
        name: np.repeat(value, times, axis=0)
        for name, value in data.items()
        if name != "sample_weight"
    }
    one = DistilledRegressor(trust=trust).fit(**data)
    two = DistilledRegressor(trust=trust).fit(**repeated)
    assert_allclose(one.coef_, two.coef_, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scale_of_all_weights_is_idle(data, factor):
    one = DistilledRegressor().fit(**data)
    two = DistilledRegressor().fit(**{**data, "sample_weight": factor * data["sample_weight"]})
    assert_allclose(two.coef_, one.coef_, rtol=EXACT)


@pytest.mark.parametrize("container", ["f-order", "read-only", "list", "pandas"])
def test_container_is_idle(data, container):
    one = DistilledRegressor().fit(**data)
    if container == "f-order":
        other = {**data, "X": np.asfortranarray(data["X"])}
    elif container == "read-only":
        other = {name: value.copy() for name, value in data.items()}
        for value in other.values():
            value.flags.writeable = False
    elif container == "list":
        other = {name: value.tolist() for name, value in data.items()}
    else:
        index = np.arange(40)[::-1]  # not looked at
        other = {name: pd.Series(value, index=index) for name, value in data.items() if name != "X"}
        other["X"] = pd.DataFrame(data["X"], columns=list("abc"))
    two = DistilledRegressor().fit(**other)
    assert_allclose(two.coef_, one.coef_, rtol=EXACT)
    assert_allclose(two.predict(other["X"]), one.predict(data["X"]), rtol=EXACT)


def test_float32_is_computed_in_double(data):
    one = DistilledRegressor().fit(**data)
    two = DistilledRegressor().fit(**{**data, "X": data["X"].astype(np.float32)})
    assert two.coef_.dtype == np.float64
    assert_allclose(two.coef_, one.coef_, rtol=SINGLE)


@pytest.mark.parametrize("kind", ["csr_array", "csc_matrix", "coo_array"])
def test_sparse_is_as_dense(data, kind):
    X = data["X"] * (data["X"] > 2)
    sparse = getattr(scipy.sparse, kind)(X)
    one = DistilledRegressor().fit(**{**data, "X": X})
    two = DistilledRegressor().fit(**{**data, "X": sparse})
    assert_allclose(two.coef_, one.coef_, rtol=EXACT)
    assert_allclose(two.predict(sparse), one.predict(X), rtol=EXACT)


def test_names_go_in_and_out(data):
    X = pd.DataFrame(data["X"], columns=["height", "width", "depth"])
    student = DistilledRegressor().fit(**{**data, "X": X})
    assert student.feature_names_in_.tolist() == ["height", "width", "depth"]
    assert "width" in str(student.summary())


@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_names_of_outputs_are_told(rng, fit):
    data = problem(rng, p=2)
    y = pd.DataFrame(data["y"], columns=["mass", "age"])
    student = getattr(DistilledRegressor(), fit)(**{**data, "y": y})
    assert student.inference().target_names == ("mass", "age")
    assert copy.copy(student).inference().target_names == ("mass", "age")
    series = {**data, "y": y["mass"], "teacher": data["teacher"][:, 0]}
    assert getattr(DistilledRegressor(), fit)(**series).inference().target_names == ("mass",)
    series["y"] = series["y"].rename(0)
    assert getattr(DistilledRegressor(), fit)(**series).inference().target_names == ("y",)


# --- a teacher that is asked


def test_fitted_teacher_answers_for_the_privileged_only(data, rng):
    Z = rng.normal(size=(40, 2))
    inside = data["privileged"]
    Z[~inside] = np.nan
    teacher = LinearRegression().fit(Z[inside], data["y"][inside])
    answers = np.full(40, np.nan)
    answers[inside] = teacher.predict(Z[inside])
    rest = {name: value for name, value in data.items() if name != "teacher"}
    asked = DistilledRegressor().fit(**rest, teacher=teacher, privileged_features=Z)
    given_answers = DistilledRegressor().fit(**rest, teacher=answers)
    assert_array_equal(asked.coef_, given_answers.coef_)
    assert asked.n_privileged_ == inside.sum()


@pytest.mark.parametrize("kind", ["estimator", "method", "function"])
def test_teacher_is_an_estimator_its_method_or_a_function(data, kind):
    forest = RandomForestRegressor(5, random_state=0).fit(data["X"], data["y"])
    teacher = {"estimator": forest, "method": forest.predict, "function": lambda X: X @ [1, 2, 3]}
    function = teacher["function"] if kind == "function" else forest.predict
    asked = DistilledRegressor().fit(data["X"], data["y"], teacher=teacher[kind])
    answers = function(data["X"])
    assert_array_equal(
        asked.coef_, DistilledRegressor().fit(data["X"], data["y"], teacher=answers).coef_
    )


def test_teacher_gets_a_data_frame_with_its_names(data):
    X = pd.DataFrame(data["X"], columns=list("abc"))
    teacher = Ridge().fit(X, data["y"])  # would warn if the names were missing
    inside = pd.Series(data["privileged"])
    answers = Ridge().fit(data["X"], data["y"]).predict(data["X"])
    judge = DistilledRegressor().fit(
        data["X"], data["y"], teacher=answers, privileged=data["privileged"]
    )
    for frame in (X, X[["a", "b", "c"]].set_index(np.arange(40)[::-1])):
        student = DistilledRegressor().fit(frame, data["y"], teacher=teacher, privileged=inside)
        assert_allclose(student.coef_, judge.coef_, rtol=EXACT)


def test_teacher_of_sparse_features(data):
    X = scipy.sparse.coo_array(data["X"])
    teacher = Ridge().fit(X, data["y"])
    inside = data["privileged"]
    one = DistilledRegressor().fit(X, data["y"], teacher=teacher, privileged=inside)
    two = DistilledRegressor().fit(data["X"], data["y"], teacher=teacher, privileged=inside)
    assert_allclose(one.coef_, two.coef_, rtol=EXACT)


@pytest.mark.parametrize("y_shape", [(40,), (40, 1)])
@pytest.mark.parametrize("column", [True, False])
def test_single_answers_may_be_a_column(data, y_shape, column):
    y = data["y"].reshape(y_shape)
    shape = (-1, 1) if column else (-1,)
    student = DistilledRegressor().fit(
        data["X"], y, teacher=lambda X: (X[:, 0] ** 2).reshape(shape)
    )
    answers = (data["X"][:, 0] ** 2).reshape(y_shape)
    assert_array_equal(student.coef_, DistilledRegressor().fit(data["X"], y, teacher=answers).coef_)


class Recorder(LinearRegression):
    """A teacher that keeps the answers that it gives."""

    answers: ClassVar[dict] = {}

    def predict(self, X):
        answers = super().predict(X)
        self.answers.update(zip(X[:, 0].tolist(), answers.tolist(), strict=True))
        return answers


def crossed_answers(X, y, cross_fit=4, **metadata):
    Recorder.answers.clear()
    without_warnings(
        DistilledRegressor(cross_fit=cross_fit).fit, X, y, teacher=Recorder(), **metadata
    )
    return dict(Recorder.answers)


@pytest.mark.parametrize("cross_fit", [4, KFold(3, shuffle=True, random_state=0)])
def test_crossed_answer_does_not_know_its_label(data, cross_fit):
    X, y, inside = data["X"], data["y"], data["privileged"]
    before = crossed_answers(X, y, cross_fit, privileged=inside)
    assert len(before) == inside.sum()
    for i in np.flatnonzero(inside)[::5]:
        changed = y.copy()
        changed[i] += 100.0
        after = crossed_answers(X, changed, cross_fit, privileged=inside)
        assert after[X[i, 0]] == before[X[i, 0]]
        assert sum(after[x] != before[x] for x in after) > inside.sum() / 2


def test_crossed_teacher_is_fitted_on_the_privileged_with_their_weights(data):
    X, y, inside, weight = (data[k] for k in ("X", "y", "privileged", "sample_weight"))
    answers = crossed_answers(X, y, 2, privileged=inside, sample_weight=weight)
    rows = np.flatnonzero(inside)
    half = len(rows) - len(rows) // 2
    kept, left_out = rows[half:], rows[:half]
    teacher = LinearRegression().fit(X[kept], y[kept], sample_weight=weight[kept])
    assert_array_equal([answers[x] for x in X[left_out, 0]], teacher.predict(X[left_out]))


def test_zero_weight_is_a_dropped_row_for_the_crossed_teacher(data):
    # the forest counts its rows, the neighbours take no weights
    weight = data["sample_weight"] * (np.arange(40) % 3 > 0)
    kept = weight > 0
    for teacher in (RandomForestRegressor(3, random_state=0), make_pipeline(Ridge())):
        one = DistilledRegressor(cross_fit=3).fit(
            data["X"], data["y"], teacher=teacher, sample_weight=weight
        )
        two = DistilledRegressor(cross_fit=3).fit(
            data["X"][kept], data["y"][kept], teacher=teacher, sample_weight=weight[kept]
        )
        assert_allclose(one.coef_, two.coef_, rtol=EXACT)


def test_teacher_is_left_as_it_was(data):
    teacher = LinearRegression()
    without_warnings(DistilledRegressor(cross_fit=3).fit, data["X"], data["y"], teacher=teacher)
    assert not hasattr(teacher, "coef_")


# --- the no-op of the tower property


def test_least_squares_on_the_same_rows_is_a_no_op(data):
    teacher = LinearRegression().fit(data["X"], data["y"])
    with pytest.warns(NoOpWarning, match=r"the teacher changes nothing .* `cross_fit`") as caught:
        student = DistilledRegressor(trust=0.7).fit(data["X"], data["y"], teacher=teacher)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_allclose(student.coef_, teacher.coef_, rtol=EXACT)


def test_blocks_tell_of_a_no_op_once(data):
    X, y = data["X"], data["y"]
    rows = {"X": X, "y": y, "teacher": LinearRegression().fit(X, y).predict(X)}
    student = DistilledRegressor(trust=0.7)
    student.partial_fit(X[:20], y[:20], teacher=y[:20] + X[:20, 0])  # warnings are errors here
    with pytest.warns(NoOpWarning, match="the teacher changes nothing") as caught:
        student = DistilledRegressor(trust=0.7).partial_fit(**rows)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    student.partial_fit(**rows)
    for _ in range(2):  # each new fit tells
        with pytest.warns(NoOpWarning):
            student.fit(**rows)
    student.partial_fit(**rows)
    # after a new fit it is told anew: here two teachers cancel each other
    student.fit(X, y, teacher=y + X[:, 0])
    with pytest.warns(NoOpWarning):
        student.partial_fit(X, y, teacher=y - X[:, 0])
    DistilledRegressor(trust=0.0).partial_fit(**rows)


def test_distributed_rows_tell_of_a_no_op(data):
    X, y = data["X"], data["y"]
    rows = {"X": X, "y": y, "teacher": LinearRegression().fit(X, y).predict(X)}
    away = {name: da.from_array(value, chunks=15) for name, value in rows.items()}
    with pytest.warns(NoOpWarning, match="the teacher changes nothing") as caught:
        DistilledRegressor(trust=0.7).fit(**away)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_no_op_is_a_matter_of_a_teacher_and_of_trust(data):
    # warnings are errors here
    DistilledRegressor(trust=0.7).fit(data["X"], data["y"])
    teacher = LinearRegression().fit(data["X"], data["y"])
    DistilledRegressor(trust=0.0).fit(data["X"], data["y"], teacher=teacher)
    DistilledRegressor(trust=0.7).fit(**data)


def test_cross_fitting_undoes_the_no_op(data):
    student = DistilledRegressor(trust=0.7, cross_fit=5)
    student.fit(data["X"], data["y"], teacher=LinearRegression())
    alone = LinearRegression().fit(data["X"], data["y"])
    assert np.abs(student.coef_ - alone.coef_).max() > 1e-4


# --- the company of scikit-learn


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_cross_validation_slices_the_metadata(data):
    X, y = data["X"], data["y"]
    metadata = {name: data[name] for name in ("teacher", "privileged", "sample_weight")}
    student = (
        DistilledRegressor(trust=0.6)
        .set_fit_request(**METADATA)
        .set_score_request(sample_weight=False)
    )
    scores = cross_val_score(student, X, y, cv=KFold(4), params=metadata)
    by_hand = []
    for kept, left_out in KFold(4).split(X):
        part = {name: value[kept] for name, value in data.items()}
        by_hand.append(DistilledRegressor(trust=0.6).fit(**part).score(X[left_out], y[left_out]))
    assert_allclose(scores, by_hand, rtol=EXACT)


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("kind", ["estimator", "method"])
def test_cross_validation_hands_on_a_teacher_as_it_is(data, kind):
    X, y = data["X"], data["y"]
    Z = X[:, :2] ** 2
    teacher = Ridge().fit(Z, y) if kind == "estimator" else make_pipeline(Ridge()).fit(Z, y).predict
    student = DistilledRegressor(trust=0.6).set_fit_request(**METADATA)
    found = cross_validate(
        student,
        X,
        y,
        cv=KFold(4),
        params={"teacher": teacher, "privileged_features": Z},
        return_estimator=True,
    )["estimator"]
    for (kept, _), student in zip(KFold(4).split(X), found, strict=True):
        by_hand = DistilledRegressor(trust=0.6).fit(
            X[kept], y[kept], teacher=teacher, privileged_features=Z[kept]
        )
        assert_allclose(student.coef_, by_hand.coef_, rtol=EXACT)


@pytest.mark.usefixtures("routing")
def test_grid_search_over_a_pipeline_finds_the_trust(data):
    X, y = data["X"], data["y"]
    metadata = {"teacher": data["teacher"], "privileged": data["privileged"]}
    student = DistilledRegressor().set_fit_request(teacher=True, privileged=True)
    trusts = [0.0, 0.5, 1.0]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), student), {"distilledregressor__trust": trusts}, cv=3
    ).fit(X, y, **metadata)
    scores = [
        cross_val_score(
            make_pipeline(StandardScaler(), clone(student).set_params(trust=trust)),
            X,
            y,
            cv=3,
            params=metadata,
        ).mean()
        for trust in trusts
    ]
    assert_allclose(search.cv_results_["mean_test_score"], scores, rtol=EXACT)
    assert len(set(scores)) == 3
    best = search.best_estimator_[-1]
    assert best.trust_ == trusts[int(np.argmax(scores))]
    assert best.n_privileged_ == data["privileged"].sum()


@pytest.mark.parametrize("model", [DistilledRegressor, DistilledRegressorCV])
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_predict_and_report_as_the_original(data, model, copied):
    student = model().fit(**data)
    again = copied(student)
    assert_array_equal(again.predict(data["X"]), student.predict(data["X"]))
    assert str(again.summary()) == str(student.summary())
    assert str(again.summary(confidence=0.9)) == str(student.summary(confidence=0.9))
    assert again.condition_ == student.condition_
    assert again.trust_ == student.trust_


@pytest.mark.parametrize("model", [DistilledRegressor, DistilledRegressorCV])
def test_pickles_do_not_carry_the_rows(rng, model):
    few = len(pickle.dumps(model().fit(**problem(rng, m=100))))
    many = len(pickle.dumps(model().fit(**problem(rng, m=10_000))))
    assert abs(many - few) < 100


@pytest.mark.parametrize("model", [DistilledRegressor, DistilledRegressorCV])
def test_clone_has_the_parameters_and_nothing_else(data, model):
    student = model(sigma=np.ones(40), ridge=1.0).fit(**data)
    again = clone(student)
    assert_array_equal(again.sigma, np.ones(40))
    assert not [name for name in vars(again) if name.endswith("_")]


# --- block by block


@pytest.mark.parametrize("p", [None, 2])
@pytest.mark.parametrize("begin", ["partial_fit", "fit"])
def test_blocks_add_up_to_the_fit(rng, p, begin):
    data = problem(rng, p=p)
    settings = {"trust": 0.3, "sigma": 0.7, "sigma_teacher": 0.2, "ridge": 0.5}
    whole = DistilledRegressor(**settings).fit(**data)
    student = DistilledRegressor(**settings)
    for number, rows in enumerate(np.array_split(np.arange(40), 5)):
        step = student.fit if number == 0 and begin == "fit" else student.partial_fit
        step(**{name: value[rows] for name, value in data.items()})
    assert_allclose(student.coef_, whole.coef_, rtol=EXACT)
    assert_allclose(student.intercept_, whole.intercept_, rtol=EXACT)
    assert student.n_privileged_ == whole.n_privileged_
    assert_allclose(student.predict(data["X"]), whole.predict(data["X"]), rtol=EXACT)


@pytest.mark.parametrize("begin", ["partial_fit", "fit"])
def test_sparse_blocks_are_as_dense(data, begin, monkeypatch):
    monkeypatch.setattr("kdtheory.estimators._NUMBERS", 21)  # 7 rows at a time
    first, second = ({k: v[rows] for k, v in data.items()} for rows in (slice(20), slice(20, 40)))
    for rows in (first, second):
        rows["X"] = scipy.sparse.csr_array(rows["X"])
    student = DistilledRegressor()
    getattr(student, begin)(**first)
    student.partial_fit(**second)
    assert_allclose(student.coef_, DistilledRegressor().fit(**data).coef_, rtol=EXACT)


def test_blocks_need_not_all_have_a_teacher(data):
    X, y = data["X"], data["y"]
    student = DistilledRegressor()
    student.partial_fit(X[:20], y[:20], teacher=data["teacher"][:20])
    student.partial_fit(scipy.sparse.csr_array(X[20:]), y[20:])
    whole = DistilledRegressor().fit(X, y, teacher=data["teacher"], privileged=np.arange(40) < 20)
    assert_allclose(student.coef_, whole.coef_, rtol=EXACT)


def test_a_copy_goes_on_block_by_block(data):
    first, second = ({k: v[rows] for k, v in data.items()} for rows in (slice(20), slice(20, 40)))
    student = pickle.loads(pickle.dumps(DistilledRegressor().partial_fit(**first)))
    whole = DistilledRegressor().fit(**data)
    assert_allclose(student.partial_fit(**second).coef_, whole.coef_, rtol=EXACT)


def test_fit_forgets_earlier_blocks(data):
    student = DistilledRegressor().partial_fit(**problem(np.random.default_rng(1)))
    assert_array_equal(student.fit(**data).coef_, DistilledRegressor().fit(**data).coef_)
    assert not hasattr(student, "solution_")


def test_a_bad_block_is_not_counted(data):
    student = DistilledRegressor().partial_fit(**data)
    coef = student.coef_
    bad = {**data, "teacher": np.full(40, np.nan)}
    with pytest.raises(ValueError, match="`teacher` must be finite"):
        student.partial_fit(**bad)
    assert_array_equal(student.coef_, coef)
    assert student.solution_.factors.n_objects == 40


# --- Dask


@pytest.fixture(params=["array", "dataframe"])
def in_dask(request):
    """The same rows in three blocks of a Dask array, or in a dataframe with names."""

    def collection(name, value):
        if request.param == "array":
            return da.from_array(value, chunks=(15, *value.shape[1:]))
        if value.ndim == 1:
            return dd.from_pandas(pd.Series(value, name=name), npartitions=3, sort=False)
        frame = pd.DataFrame(value, columns=[f"{name}_{j}" for j in range(value.shape[1])])
        return dd.from_pandas(frame, npartitions=3, sort=False)

    return lambda data: {name: collection(name, value) for name, value in data.items()}


@pytest.mark.parametrize("p", [None, 2])
def test_distributed_rows_are_as_rows_in_memory(rng, in_dask, p):
    data = problem(rng, p=p)
    settings = {"trust": 0.3, "sigma": 0.7, "ridge": 0.5}
    whole = DistilledRegressor(**settings).fit(**data)
    away = in_dask(data)
    student = DistilledRegressor(**settings).fit(**away)
    assert_allclose(student.coef_, whole.coef_, rtol=EXACT)
    assert_allclose(student.intercept_, whole.intercept_, rtol=EXACT)
    assert_allclose(student.condition_, whole.condition_, rtol=1e-8)
    assert student.n_privileged_ == whole.n_privileged_
    assert student.n_features_in_ == 3
    targets = ("y",) if p is None else ("y0", "y1")
    if hasattr(away["X"], "columns"):
        assert student.feature_names_in_.tolist() == ["X_0", "X_1", "X_2"]
        targets = ("y",) if p is None else ("y_0", "y_1")
    assert student.inference().target_names == targets
    predictions = student.predict(away["X"])
    assert type(predictions).__module__.startswith("dask")
    assert predictions.ndim == predictions._meta.ndim == data["y"].ndim
    assert_allclose(predictions.compute(), whole.predict(data["X"]), rtol=EXACT)
    found, judge = student.inference(), whole.inference()
    assert found.kind == judge.kind == "sandwich"
    assert_allclose(found.standard_errors, judge.standard_errors, rtol=1e-8)
    assert student.inference(covariance="pooled").kind == "pooled"


def test_a_copy_does_not_hold_distributed_rows(data, in_dask):
    away = in_dask(data)
    student = DistilledRegressor().fit(**away)
    again = pickle.loads(pickle.dumps(student))
    assert again.inference().kind == "pooled"
    assert_array_equal(again.coef_, student.coef_)
    assert_array_equal(again.predict(away["X"]), student.predict(away["X"]))


def test_what_distributed_rows_cannot_do_is_named(data, in_dask):
    away = in_dask(data)
    student = DistilledRegressor().fit(**away)
    with pytest.raises(ValueError, match="`X` must have 3 features"):
        student.predict(away["X"][away["X"].columns[:2]] if hasattr(away["X"], "columns")
                        else away["X"][:, :2])  # fmt: skip
    if hasattr(away["X"], "columns"):
        with pytest.raises(ValueError, match="`X` must have the columns of the fit in their order"):
            student.predict(away["X"][["X_1", "X_0", "X_2"]])
    with pytest.raises(ValueError, match="`privileged_features` must be None for Dask"):
        DistilledRegressor().fit(**away, privileged_features=away["X"])
    with pytest.raises(TypeError, match="`teacher` must be a Dask array"):
        DistilledRegressor().fit(**{**away, "teacher": Ridge().fit(data["X"], data["y"])})
    for refused in (DistilledRegressorCV().fit, DistilledRegressor().partial_fit):
        with pytest.raises(
            TypeError, match=r"`X` must hold its rows in memory here, got .* of Dask"
        ):
            refused(**away)
    with pytest.raises(ValueError, match="`weights_kind` must be"):
        DistilledRegressor(weights_kind="other").fit(**away)


# --- limits


def test_dependent_columns_give_the_least_norm_and_a_warning(data):
    X = np.hstack([data["X"], data["X"][:, :1]])
    with pytest.warns(RankWarning, match="rank 3"):
        student = DistilledRegressor().fit(**{**data, "X": X})
    assert student.rank_ == 3
    assert_allclose(student.coef_[0], student.coef_[3], rtol=EXACT)


def test_far_from_the_origin(data):
    one = DistilledRegressor().fit(**data)
    shifted = np.round(data["X"] * 2**20) / 2**20  # so that the shift is exact
    near = DistilledRegressor().fit(**{**data, "X": shifted})
    far = DistilledRegressor().fit(**{**data, "X": shifted + 1e8})
    assert_allclose(far.coef_, near.coef_, rtol=1e-6)
    assert_allclose(near.coef_, one.coef_, rtol=1e-4)


def test_mask_of_nobody_is_no_teacher(data):
    nobody = np.zeros(40, dtype=bool)
    fitted = LinearRegression().fit(data["X"], data["y"])
    for teacher, cross_fit in ((np.full(40, np.nan), None), (fitted, None), (fitted, 3)):
        student = DistilledRegressor(cross_fit=cross_fit).fit(
            data["X"], data["y"], teacher=teacher, privileged=nobody
        )
        alone = LinearRegression().fit(data["X"], data["y"])
        assert_allclose(student.coef_, alone.coef_, rtol=EXACT)


# --- bad input


@pytest.mark.parametrize("estimator", [DistilledRegressor, DistilledRegressorCV])
@pytest.mark.parametrize("name", ["X", "y", "teacher", "sample_weight", "privileged_features"])
def test_masked_arrays_are_refused(estimator, name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    teacher = LinearRegression().fit(X, X[:, 0])
    rows = {"X": X, "y": X[:, 0], "teacher": X[:, 1], "sample_weight": np.ones(40)}
    if name == "privileged_features":
        rows |= {name: X, "teacher": teacher}
    rows[name] = np.ma.masked_array(rows[name], mask=False)
    with pytest.raises(TypeError, match=f"`{name}` must not be a masked array"):
        estimator().fit(**rows)


def test_masked_arrays_are_refused_after_the_fit():
    X = np.random.default_rng(0).standard_normal((40, 3))
    fitted = DistilledRegressor().fit(X, X[:, 0])
    with pytest.raises(TypeError, match="`X` must not be a masked array"):
        fitted.predict(np.ma.masked_array(X, mask=False))
    with pytest.raises(TypeError, match="`y` must not be a masked array"):
        fitted.partial_fit(X, np.ma.masked_array(X[:, 0], mask=False))


@pytest.mark.parametrize(
    ("settings", "change", "error", "match"),
    [
        ({"trust": 1.5}, {}, ValueError, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"sigma": 0.0}, {}, ValueError, r"`sigma` must be .* positive, got 0.0"),
        ({"sigma_teacher": -1.0}, {}, ValueError, r"`sigma_teacher` must be .* positive"),
        ({"sigma": np.ones(3)}, {}, ValueError, r"`sigma` must .* shape \(40,\)"),
        ({"convention": "other"}, {}, ValueError, "`convention` must be"),
        ({"weights_kind": "other"}, {}, ValueError, "`weights_kind` must be"),
        ({"solver": "other"}, {}, ValueError, "`solver` must be"),
        ({"ridge": -1.0}, {}, ValueError, "`ridge` must be .* at least 0, got -1.0"),
        ({}, {"sample_weight": -np.ones(40)}, ValueError, "`sample_weight` must be at least 0"),
        ({}, {"sample_weight": np.zeros(40)}, ValueError, "`sample_weight` must .* only zeros"),
        ({}, {"sample_weight": np.ones(39)}, ValueError, r"`sample_weight` must have shape"),
        ({}, {"privileged": np.ones(40)}, TypeError, "`privileged` must be a boolean mask"),
        ({}, {"privileged": np.ones(39, bool)}, ValueError, "`privileged` must have shape"),
        ({}, {"teacher": None}, ValueError, "`privileged` must be None"),
        ({}, {"teacher": np.full(40, np.nan)}, ValueError, "`teacher` must be finite"),
        ({}, {"teacher": np.ones(39)}, ValueError, r"`teacher` must have shape \(40,\)"),
        (
            {},
            {"privileged_features": np.ones((40, 1))},
            ValueError,
            "`privileged_features` must come with a `teacher` that is an estimator, got ndarray",
        ),
        (
            {"cross_fit": 3},
            {},
            ValueError,
            "`cross_fit` must come with a `teacher` that is an estimator, got ndarray",
        ),
        (
            {},
            {"teacher": LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]),
             "privileged_features": np.ones((39, 1))},
            ValueError,
            "`y` has 40, `privileged_features` has 39",
        ),
        ({}, {"teacher": LinearRegression}, TypeError, "`teacher` must be an instance"),
        ({}, {"teacher": LinearRegression()}, NotFittedError, "`teacher` must be fitted.*Linear"),
        ({}, {"teacher": lambda X: X}, ValueError, r"`teacher` must answer with shape \(\d+,\)"),
        ({}, {"teacher": lambda X: X[:5, 0]}, ValueError, r"`teacher` must answer with shape"),
        ({}, {"teacher": lambda X: X.astype(str)}, TypeError, "must answer with real numbers"),
        ({}, {"teacher": lambda X: X[:, 0] * np.inf}, ValueError, "`teacher` must be finite"),
        ({"cross_fit": 1}, {"teacher": Ridge()}, ValueError, "`cross_fit` must be at least 2"),
        ({"cross_fit": 2.5}, {"teacher": Ridge()}, TypeError, "`cross_fit` must be an integer"),
        ({"cross_fit": "a"}, {"teacher": Ridge()}, TypeError, "`cross_fit` must be an int.*'a'"),
        ({"fit_intercept": "no"}, {}, TypeError, "`fit_intercept` must be True or False, got 'no'"),
        (
            {}, {"teacher": lambda X: [[1.0], [1.0, 2.0]] * len(X)}, ValueError,
            r"`teacher` must answer with shape \(\d+,\), got nested lengths that differ",
        ),
        ({"cross_fit": 41}, {"teacher": Ridge()}, ValueError, r"`cross_fit` must be at most the"),
        ({"cross_fit": 3}, {"teacher": np.sin}, TypeError, "`cross_fit` needs a `teacher` with"),
    ],
)  # fmt: skip
def test_bad_input_is_named(data, settings, change, error, match):
    with pytest.raises(error, match=match) as caught:
        DistilledRegressor(**settings).fit(**{**data, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("student", [DistilledRegressor, DistilledRegressorCV])
def test_flag_that_is_a_word_is_refused(data, student):
    with pytest.raises(TypeError, match="`fit_intercept` must be True or False, got 'no'"):
        student(fit_intercept="no").fit(**data)
    assert student(fit_intercept=np.bool_(False)).fit(**data).intercept_ == 0


def test_folds_must_leave_out_each_object_once(data):
    class Twice:
        def split(self, X, _):
            return [(np.arange(5, len(X)), np.arange(5)), (np.arange(5, len(X)), np.arange(5))]

    with pytest.raises(ValueError, match="`cross_fit` must leave out each object once, got 2 for"):
        DistilledRegressor(cross_fit=Twice()).fit(**{**data, "teacher": Ridge()})


def test_what_blocks_cannot_do_is_named(data):
    for name, words in {"solver": "`solver` must be", "fit_intercept": "`fit_inter.* 'x'"}.items():
        with pytest.raises((TypeError, ValueError), match=words):
            DistilledRegressor(**{name: "x"}).partial_fit(**data)
    with pytest.raises(ValueError, match="`cross_fit` must be None in partial_fit, got 3"):
        DistilledRegressor(cross_fit=3).partial_fit(**data)
    with pytest.raises((TypeError, ValueError), match="`sigma` must be"):
        DistilledRegressor(sigma=np.ones(40)).partial_fit(**data)
    copied = copy.copy(DistilledRegressor().fit(**data))
    with pytest.raises(ValueError, match="partial_fit cannot go on from a copy of a fit"):
        copied.partial_fit(**data)
    student = DistilledRegressor().partial_fit(**data)
    with pytest.raises(ValueError, match="`y`"):
        student.partial_fit(data["X"], data["y"][:, None])
    with pytest.raises(ValueError, match="features"):
        student.partial_fit(data["X"][:, :2], data["y"])


@pytest.mark.parametrize(
    ("settings", "change", "error", "match"),
    [
        ({"criterion": "other"}, {}, ValueError, "`criterion` must be 'loo' or 'gcv' or"),
        ({"trusts": [0.5, 1.5]}, {}, ValueError, r"`trusts` must be in \[0, 1\]"),
        ({"criterion": "evidence", "trusts": [0.5]}, {}, ValueError, "`trusts` must be None for"),
        (
            {"criterion": "evidence", "trusts": np.array([0.5, 1.0])}, {},
            ValueError, "`trusts` must be None for",
        ),
        (
            {"criterion": "evidence", "convention": "printed"}, {},
            ValueError, "`convention` must be 'precision' for the criterion 'evidence'",
        ),
        (
            {"criterion": "evidence", "weights_kind": "frequency"}, {},
            ValueError, "`weights_kind` must be 'precision' for the criterion 'evidence'",
        ),
        ({"criterion": "evidence"}, {"privileged": None}, NotIdentifiedError, "."),
        ({}, {"teacher": None}, ValueError, "`privileged` must be None"),
        (
            {"weights_kind": "frequency"}, {"sample_weight": np.full(40, 0.5)},
            ValueError, "`sample_weight` must be whole numbers",
        ),
    ],
)  # fmt: skip
def test_bad_choice_is_named(data, settings, change, error, match):
    with pytest.raises(error, match=match):
        DistilledRegressorCV(**settings).fit(**{**data, **change})


def test_covariance_that_cannot_be_had_is_named(data):
    student = DistilledRegressor().fit(**data)
    for covariance in ("other", "pooled"):
        with pytest.raises(ValueError, match="`covariance` must be"):
            student.inference(covariance=covariance)
    with pytest.raises(ValueError, match="`sigma` and `sigma_teacher` must be given"):
        student.inference(covariance="model")
    with pytest.raises(ValueError, match="`covariance` must not be 'classical'"):
        student.inference(covariance="classical")
    with pytest.raises(ValueError, match="`confidence` must be"):
        student.summary(confidence=1.0)
    with pytest.raises(ValueError, match="`covariance` must be 'auto' or 'sandwich' on a copy"):
        copy.copy(student).inference(covariance="model")
    blocks = DistilledRegressor().partial_fit(**data)
    with pytest.raises(ValueError, match=r"`covariance` must be .* 'pooled', got 'sandwich'"):
        blocks.inference(covariance="sandwich")
    with pytest.raises(ValueError, match="must be given for the covariance 'model'"):
        blocks.inference(covariance="model")
    with pytest.raises(ValueError, match="`covariance` must not be 'classical'"):
        blocks.inference(covariance="classical")


def test_pooled_errors_need_residuals_on_both_sides(data):
    few = {name: value[:5] for name, value in data.items()}
    few["privileged"] = np.arange(5) > 0
    few["X"] = np.eye(5)[:, :3]
    student = DistilledRegressor(fit_intercept=False).partial_fit(**few)
    with pytest.raises(ValueError, match="`covariance` 'pooled' needs residuals of objects"):
        student.inference()


def test_without_an_inverse_a_copy_says_so(data):
    student = DistilledRegressor(solver="lsmr").fit(
        **{**data, "X": scipy.sparse.csr_array(data["X"])}
    )
    for one in (student, copy.copy(student)):
        with pytest.raises(ValueError, match="`X` must have fewer columns for an inverse"):
            one.summary()


def test_unfitted_says_so():
    for ask in ("summary", "inference"):
        with pytest.raises(NotFittedError):
            getattr(DistilledRegressor(), ask)()
