r"""Generalised distillation: a teacher who sees what the student never will, in two stages.

Objects have features :math:`x_i`, labels :math:`y_i`, and, where :math:`i \in I`, privileged
features :math:`x_i^*` that are at hand only in training (GS, section 3):

1. the teacher is fitted to :math:`(x_i^*, y_i)_{i \in I}` and answers, at the temperature T, with

   .. math:: s_i = \operatorname{softmax}(v^*(x_i^*) / T), \qquad
       s_{ik} = \frac{p_{ik}^{1/T}}{\sum_j p_{ij}^{1/T}};

2. the student is fitted to :math:`(x_i, y_i)` for all i and :math:`s_i` for :math:`i \in I`.

The two forms of :math:`s_i` are the same: :math:`p_i = \operatorname{softmax}(v^*(x_i^*))` has the
logits :math:`\log p_i` up to a constant. The second asks for probabilities alone; what a classifier
calls its decision function may be margins, or one column for two classes. So answers are softened
from log-probabilities.

notation: X* = X_privileged, I = privileged, T = temperature, s = answers_, m = number of objects,
K = number of classes
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from kdtheory._checks import (
    check_count,
    check_label_kind,
    check_lengths_agree,
    check_mask,
    check_not_masked,
    check_positive,
    check_row_order,
    check_sample_weight,
    check_simplex_points,
)
from kdtheory.classifiers import SoftmaxStudent
from kdtheory.softening import soften_probabilities

__all__ = ["PrivilegedDistiller"]

# answers of a fitted teacher for features and their labels
_Ask = Callable[[Any, Any, NDArray[Any]], NDArray[np.float64]]


def _student_has(method: str) -> Callable[[Any], bool]:
    """Whether the student, fitted or yet to be, has a method."""
    return lambda self: hasattr(getattr(self, "student_", None) or self._student(), method)


class PrivilegedDistiller(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Fit a teacher on privileged features, and a student on labels and the teacher's answers.

    What the teacher sees is one of three: the matrix `X_privileged` of `fit`; the columns
    `privileged_columns` of X, which are then taken away from the student; or, with neither, X
    itself, which is distillation without privileged information. New objects need the student's
    columns only.

    Parameters
    ----------
    teacher : estimator, optional
        A classifier with probabilities, or a regressor if the student is one; a clone is fitted. By
        default ``SoftmaxStudent(l2=1.0)``, logistic regression, or ``LinearRegression()``. A
        teacher that is fitted already goes into ``sklearn.frozen.FrozenEstimator``, without
        `cross_fit`.
    student : estimator, optional
        Its `fit` must take `teacher`, the answers, and `privileged`, as those of `SoftmaxStudent`
        and `DistilledRegressor` do, or the last step of a `Pipeline`. The trust in the teacher is
        the student's. By default ``SoftmaxStudent(l2=1.0)``, whose optimum exists and is unique
        for all data.
    temperature : float, optional
        T, finite and positive, at which the teacher answers; idle in regression. By default the
        student's parameter `temperature`, or 1 if it has none: in GS (3), (4) and (14) both are at
        the same.
    cross_fit : int or cross-validation splitter, optional
        Answer for each object with a teacher that has not seen its label: clones are fitted to
        all privileged objects but one fold. An integer k means k folds without shuffling,
        stratified by class in classification. A class that the rest of a fold lacks has
        probability 0 in the answers for it, with a warning. A splitter must leave out each
        privileged object once, and is not told of groups.
    privileged_columns : sequence of int or str, optional
        Columns of X for the teacher alone, by position or by name (in a data frame). In `predict`
        and the other methods X has either all columns, of which these are dropped unseen, or only
        the student's.

    Attributes
    ----------
    teacher_ : estimator
        Fitted to all privileged objects; there is none after `cross_fit`.
    student_ : estimator
        The fitted student.
    answers_ : (m, K) ndarray, or in regression of the shape of y
        s, which the student was given; nan outside I.
    classes_ : (K,) ndarray
        Labels in ascending order, in classification.
    temperature_ : float
        T.
    n_privileged_ : int
        Number of objects that had an answer.
    n_features_in_ : int
        Number of columns of X in `fit`.
    feature_names_in_ : ndarray of str
        Their names, if X had them.

    References
    ----------
    .. [1] GS, section 3, the two stages; section 4.2, the set I.
    .. [2] D. Lopez-Paz, L. Bottou, B. Schölkopf and V. Vapnik, "Unifying distillation and
       privileged information", ICLR 2016, section 4.

    Examples
    --------
    >>> from kdtheory.synthetic import make_relevant_features
    >>> rng = np.random.default_rng(0)
    >>> train = make_relevant_features(200, rng=rng)
    >>> test = make_relevant_features(10_000, rng=rng, weights=train.weights)
    >>> student = SoftmaxStudent(trust=1.0, l2=0.1)
    >>> distilled = PrivilegedDistiller(student=student).fit(train.X, train.y, train.X_privileged)
    >>> plain = student.fit(train.X, train.y)
    >>> print(f"{distilled.score(test.X, test.y):.2f}, {plain.score(test.X, test.y):.2f}")
    0.97, 0.90
    """

    def __init__(
        self,
        teacher: Any = None,
        student: Any = None,
        *,
        temperature: float | None = None,
        cross_fit: Any = None,
        privileged_columns: Iterable[int | str] | None = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.cross_fit = cross_fit
        self.privileged_columns = privileged_columns

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        student, teacher = get_tags(self._student()), get_tags(self._teacher())
        tags.estimator_type = student.estimator_type
        tags.classifier_tags = student.classifier_tags
        tags.regressor_tags = student.regressor_tags
        tags.target_tags = student.target_tags
        tags.input_tags.sparse = student.input_tags.sparse and teacher.input_tags.sparse
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        X_privileged: Any = None,
        privileged: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the teacher, let it answer, fit the student.

        Parameters
        ----------
        X : (m, n) array_like, data frame or sparse matrix
            Features of the student; with `privileged_columns` those of the teacher too.
        y : (m,) array_like; in regression also (m, p)
            Labels.
        X_privileged : (m, q) array_like, data frame or sparse matrix, optional
            Features of the teacher. Rows outside `privileged` are not looked at, nor are they in
            `privileged_columns`: they may be nan.
        privileged : (m,) array_like of bool, optional
            I: which objects have privileged features; by default all.
        sample_weight : (m,) array_like, optional
            c, at least 0 and not all 0, for the teacher and for the student; by default 1. The
            teacher does not meet objects of weight 0.

        Returns
        -------
        PrivilegedDistiller
            Itself.

        Raises
        ------
        ValueError
            If an argument is out of its range, privileged features are given twice, nobody is
            privileged, or a column is not there; the message names it.
        TypeError
            If the student cannot be taught, the teacher has no probabilities, or `sample_weight`
            is given and one of them does not take it.

        Warns
        -----
        RuntimeWarning
            If `cross_fit` leaves a teacher without an object of some class.
        """
        check_not_masked(X=X, y=y, X_privileged=X_privileged)
        check_row_order("X_privileged", X_privileged, "X", X)
        student = _estimator("student", self._student())
        teacher = _estimator("teacher", self._teacher())
        if self.cross_fit is not None and isinstance(_last_step(teacher), FrozenEstimator):
            msg = "`cross_fit` must be None with a frozen teacher, which has seen every label"
            raise ValueError(msg)
        check_label_kind("y", y)
        names = {name: _fit_keyword("student", student, name) for name in ("teacher", "privileged")}
        X, y = validate_data(self, _indexable(X), y, skip_check_array=True)
        own, seen = self._views(X, X_privileged)
        y = column_or_1d(y, warn=True) if is_classifier(student) else np.atleast_1d(np.asarray(y))
        lengths = {"X": own, "y": y, "X_privileged": seen}
        m = check_lengths_agree(**{name: range(a.shape[0]) for name, a in lengths.items()})
        inside = check_mask("privileged", privileged, m)
        teacher_weight, student_weight = {}, {}
        if sample_weight is not None:
            weight = check_sample_weight("sample_weight", sample_weight, m)
            student_weight[_fit_keyword("student", student, "sample_weight")] = weight
            if not isinstance(teacher, FrozenEstimator):
                teacher_weight[_fit_keyword("teacher", teacher, "sample_weight")] = weight
            inside = inside & (weight > 0)
        if not inside.any():
            msg = "`privileged` must be True for at least one object of positive weight"
            raise ValueError(msg)
        self.temperature_ = self._temperature(student)

        rows = np.flatnonzero(inside)
        features = _rows(seen, rows)
        weights = {name: weight[rows] for name, weight in teacher_weight.items()}
        if is_classifier(student):
            classes = np.unique(y)
            answers = np.full((m, len(classes)), np.nan)
            ask: _Ask = partial(
                _class_probabilities, classes=classes, temperature=self.temperature_
            )
        else:
            answers = np.full(y.shape, np.nan)
            ask = _predictions
        taught = {names["teacher"]: answers, names["privileged"]: inside}
        # what is passed on has the names of `fit`, not those that were requested
        with config_context(enable_metadata_routing=False):
            answers[rows] = self._answers(teacher, ask, features, y[rows], weights)
            self.student_ = clone(student).fit(own, y, **taught, **student_weight)
        self.answers_ = answers
        self.n_privileged_ = len(rows)
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in ascending order, as the student has them."""
        classes: NDArray[Any] = self.student_.classes_
        return classes

    def predict(self, X: Any) -> NDArray[Any]:
        """Student's answers.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix
            The student's columns, or all columns of `fit`.

        Returns
        -------
        ndarray
            As of the student.
        """
        return self._asked("predict", X)

    @available_if(_student_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Student's class probabilities; X as for `predict`."""
        return self._asked("predict_proba", X)

    @available_if(_student_has("predict_log_proba"))  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Student's log-probabilities; X as for `predict`."""
        return self._asked("predict_log_proba", X)

    @available_if(_student_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Student's decision function; X as for `predict`."""
        return self._asked("decision_function", X)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Student's score, as accuracy or R², at the labels y; X as for `predict`."""
        check_is_fitted(self)
        check_not_masked(y=y)
        with config_context(enable_metadata_routing=False):
            return float(self.student_.score(self._own(X), y, sample_weight=sample_weight))

    def _asked(self, method: str, X: Any) -> NDArray[Any]:
        check_is_fitted(self)
        answer: NDArray[Any] = getattr(self.student_, method)(self._own(X))
        return answer

    def _student(self) -> Any:
        return SoftmaxStudent(l2=1.0) if self.student is None else self.student

    def _teacher(self) -> Any:
        if self.teacher is not None:
            return self.teacher
        return LinearRegression() if is_regressor(self._student()) else SoftmaxStudent(l2=1.0)

    def _temperature(self, student: Any) -> float:
        if self.temperature is not None:
            return check_positive("temperature", self.temperature)
        last = _last_step(student)
        return check_positive("student.temperature", getattr(last, "temperature", 1.0))

    def _views(self, X: Any, X_privileged: Any) -> tuple[Any, Any]:
        """What the student sees, and what the teacher does."""
        if self.privileged_columns is None:
            self._privileged: list[int] = []
            return X, X if X_privileged is None else _indexable(X_privileged)
        if X_privileged is not None:
            msg = "`X_privileged` must be None with `privileged_columns`, got privileged features"
            raise ValueError(msg)
        if len(X.shape) != 2:
            msg = f"`X` must have 2 dimension(s), got shape {X.shape}"
            raise ValueError(msg)
        names = list(getattr(self, "feature_names_in_", ()))
        self._privileged = _places(self.privileged_columns, X.shape[1], names)
        return self._own(X), _columns(X, self._privileged)

    def _own(self, X: Any) -> Any:
        """Columns of the student; which are there is read from names, or else from the number."""
        check_not_masked(X=X)
        if not self._privileged:
            return X
        X = _indexable(X)
        dropped = set(self._privileged)
        if hasattr(X, "columns") and hasattr(self, "feature_names_in_"):
            names = {self.feature_names_in_[place] for place in dropped}
            dropped = {place for place, name in enumerate(X.columns) if name in names}
        elif X.shape[-1] != self.n_features_in_:
            return X  # the student's columns, or what it refuses
        kept = [place for place in range(X.shape[-1]) if place not in dropped]
        return _columns(X, kept)

    def _answers(
        self,
        teacher: Any,
        ask: _Ask,
        features: Any,
        y: NDArray[Any],
        weights: dict[str, NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        """What a teacher says who was fitted to all privileged objects, or without the fold."""
        self.__dict__.pop("teacher_", None)
        if self.cross_fit is None:
            self.teacher_ = clone(teacher).fit(features, y, **weights)
            return ask(self.teacher_, features, y)
        parts, order = [], []
        for kept, left_out in _folds(
            self.cross_fit, features, y, stratified=ask is not _predictions
        ):
            cut = {name: weight[kept] for name, weight in weights.items()}
            fold_teacher = clone(teacher).fit(_rows(features, kept), y[kept], **cut)
            parts.append(ask(fold_teacher, _rows(features, left_out), y[left_out]))
            order.append(left_out)
        return np.concatenate(parts)[np.argsort(np.concatenate(order))]


def _estimator(role: str, estimator: Any) -> Any:
    if isinstance(estimator, type) or not (
        hasattr(estimator, "fit") and hasattr(estimator, "__sklearn_tags__")
    ):
        msg = f"`{role}` must be an estimator of scikit-learn, got {estimator!r}"
        raise TypeError(msg)
    if isinstance(estimator, Pipeline) and not estimator.steps:
        msg = f"`{role}` must have at least one step, got {estimator!r}"
        raise ValueError(msg)
    return estimator


def _indexable(features: Any) -> Any:
    """Something with a shape and with rows that can be taken."""
    if issparse(features):
        return features.tocsr()
    return features if getattr(features, "shape", ()) else np.atleast_1d(np.asarray(features))


def _rows(features: Any, places: NDArray[np.intp]) -> Any:
    return features.iloc[places] if hasattr(features, "iloc") else features[places]


def _columns(features: Any, places: list[int]) -> Any:
    return features.iloc[:, places] if hasattr(features, "iloc") else features[:, places]


def _last_step(estimator: Any) -> Any:
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def _fit_keyword(role: str, estimator: Any, name: str) -> str:
    """Keyword of fit for an argument, which in a pipeline goes to the last step."""
    last = _last_step(estimator)
    if not hasattr(last, "fit") or not has_fit_parameter(last, name):
        msg = f"`{role}` must take `{name}` in fit, got {type(last).__name__}"
        raise TypeError(msg)
    return f"{estimator.steps[-1][0]}__{name}" if last is not estimator else name


def _probabilities_of(teacher: Any) -> str:
    """The method that gives the most digits of the probabilities."""
    for method in ("predict_log_proba", "predict_proba"):
        if hasattr(teacher, method):
            return method
    msg = f"`teacher` must have predict_proba or predict_log_proba, got {type(teacher).__name__}"
    raise TypeError(msg)


def _predictions(teacher: Any, features: Any, y: NDArray[Any]) -> NDArray[np.float64]:
    """Answers of a fitted regressor, in the shape of the labels."""
    predicted = np.asarray(teacher.predict(features))
    # a single output may come as a vector or as a column
    if predicted.shape[:1] != y.shape[:1] or predicted.size != y.size:
        msg = f"`teacher` must answer with shape {y.shape}, got {predicted.shape}"
        raise ValueError(msg)
    return predicted.reshape(y.shape)


def _class_probabilities(
    teacher: Any, features: Any, y: NDArray[Any], *, classes: NDArray[Any], temperature: float
) -> NDArray[np.float64]:
    """Columns for all classes, at the temperature; what is impossible stays so at each of them."""
    method = _probabilities_of(teacher)
    with np.errstate(divide="ignore", invalid="ignore"):  # a log of 0; nan is found below
        given = np.asarray(getattr(teacher, method)(features))
        log_probs = np.log(given) if method == "predict_proba" else given
    known = teacher.classes_
    if log_probs.shape != (len(y), len(known)):
        msg = f"`teacher` must answer with shape {(len(y), len(known))}, got {log_probs.shape}"
        raise ValueError(msg)
    with np.errstate(under="ignore"):
        check_simplex_points("teacher", np.exp(log_probs))
    if not np.isin(known, classes).all():
        msg = f"`teacher` must know classes of `y` only, got {known[~np.isin(known, classes)][0]!r}"
        raise ValueError(msg)
    answers = np.zeros((len(y), len(classes)))
    softened = soften_probabilities(log_probs.astype(np.float64), temperature)
    answers[:, np.searchsorted(classes, known)] = softened
    return answers


def _folds(
    cross_fit: Any, features: Any, y: NDArray[Any], *, stratified: bool
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Objects on which the teacher is fitted and those that it answers, fold by fold."""
    if isinstance(cross_fit, str) or not hasattr(cross_fit, "split"):
        n_folds = check_count("cross_fit", cross_fit, least=2)
        most, which = len(y), ""
        if stratified:
            most, which = int(np.unique(y, return_counts=True)[1].max()), " of the largest class"
        if n_folds > most:
            msg = (
                f"`cross_fit` must be at most the {most} privileged object(s){which}, got {n_folds}"
            )
            raise ValueError(msg)
        cross_fit = StratifiedKFold(n_folds) if stratified else KFold(n_folds)
    try:
        folds = list(cross_fit.split(features, y))
        answered = np.concatenate([left_out for _, left_out in folds])
    except (TypeError, ValueError) as error:
        given = f"got {type(cross_fit).__name__}, which says: {error}"
        msg = f"`cross_fit` must split {len(y)} privileged object(s) without groups, {given}"
        raise ValueError(msg) from None
    times = np.bincount(answered, minlength=len(y))
    if not (times == 1).all():
        at = int(np.argmax(times != 1))
        given = f"got {times[at]} time(s) for number {at} by {type(cross_fit).__name__}"
        msg = f"`cross_fit` must leave out each privileged object once, {given}"
        raise ValueError(msg)
    if stratified:
        lost = {label for kept, _ in folds for label in np.setdiff1d(y, y[kept]).tolist()}
        if lost:
            msg = f"`cross_fit` leaves a teacher without the class {min(lost)!r}, to which its "
            warnings.warn(msg + "answers give no probability", RuntimeWarning, stacklevel=4)
    return folds


def _places(columns: Any, n_columns: int, names: list[str]) -> list[int]:
    """Positions of the privileged columns, in the order given; some must be left."""
    # an iterator would be empty at the next fit
    if isinstance(columns, str | Iterator) or not isinstance(columns, Iterable):
        msg = f"`privileged_columns` must be a sequence of columns, got {columns!r}"
        raise TypeError(msg)
    places = []
    for column in columns:
        if isinstance(column, str) and column in names:
            places.append(names.index(column))
        elif (
            isinstance(column, Integral)
            and not isinstance(column, bool)
            and -n_columns <= int(column) < n_columns
        ):
            places.append(int(column) % n_columns)
        else:
            msg = f"`privileged_columns` must name columns of `X`, got {column!r}"
            raise ValueError(msg)
    if not 0 < len(places) < n_columns or len(set(places)) < len(places):
        msg = (
            f"`privileged_columns` must name from 1 to {n_columns - 1} column(s) once each, "
            f"got {list(columns)}"
        )
        raise ValueError(msg)
    return places
