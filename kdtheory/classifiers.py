r"""The optimal linear student of GS (14) as a scikit-learn classifier.

The student is :math:`\operatorname{softmax}(W^\top x + b)`, and its weights are those of
`kdtheory.classification.distil_classification`,

.. math::
    (\hat W, \hat b) = \arg\min_{W, b} \sum_i
        a_i \operatorname{CE}(y_i, \operatorname{softmax} z_i)
        + b_i \bigl[\operatorname{CE}(s_i, \operatorname{softmax} z_i/T) + r(z_i/T)\bigr]
        + \frac{\ell_2}{2} \|W\|^2, \qquad z_i = W^\top x_i + b,

with :math:`a_i = c_i (1 - \lambda 1_I)` and :math:`b_i = c_i \lambda 1_I`. Here labels are any
labels that can be sorted, a teacher's answers may be a data frame with the classes for names, and
randomness comes from `random_state`.

notation: y = labels, s = teacher, I = privileged, λ = trust, T = temperature, c = sample_weight,
r = regulariser, z = logits, K = number of classes
"""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from kdtheory._checks import (
    check_choice,
    check_class_labels,
    check_flag,
    check_label_kind,
    check_matrix,
    check_not_masked,
    check_row_order,
)
from kdtheory.classification import SoftmaxFit, distil_classification
from kdtheory.divided_differences import normaliser_gradient
from kdtheory.objectives import distillation_objective
from kdtheory.softening import log_soften, soften

__all__ = ["SoftmaxStudent"]


class SoftmaxStudent(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Linear classifier on labels and a teacher's probabilities, solved to a certified optimum.

    Without a teacher it is multinomial logistic regression, and `trust`, `temperature` and
    `regulariser` are idle.

    Parameters
    ----------
    trust : float, default 0.5
        λ in [0, 1], the confidence in the teacher: 0 ignores it; at 1 the labels of I are ignored.
    temperature : float, default 1
        T, finite and positive, that of the teacher's answers: the student meets them at the same.
    regulariser : {None, "printed", "exact"}, default None
        r. "exact" makes the teacher's term the likelihood of his answers under the density (12),
        with its right constant. "printed" is the term of (14) as it stands: the problem is then
        not convex, except for two classes; the best of `n_starts` starts is taken, and
        `certificate_.convex` says which it was.
    squared_temperature : bool, default False
        Whether to multiply the teacher's term by T². GS (3) and (14) do not.
    l2 : float, default 0
        Penalty, at least 0. For K ≥ 3 classes scikit-learn's ``LogisticRegression(C=1 / l2)`` is
        the same problem; for two classes, where it has one row of coefficients, ``C=2 / l2`` is.
    fit_intercept : bool, default True
        Whether to fit b, which is never penalised.
    tol : float, default 1e-14
        Bound of F − min F to be reached, in nats for each unit of weight: an object, if there are
        no weights.
    max_iter : int, default 200
        Most Newton steps.
    n_starts : int, default 5
        Number of starts for "printed".
    random_state : int, RandomState or None, default None
        Source of the starts for "printed"; nothing else is random.

    Attributes
    ----------
    classes_ : (K,) ndarray
        Labels in ascending order.
    coef_ : (K, n) ndarray of float64
        Wᵀ: a row for each class, for two classes as well. The rows add up to 0.
    intercept_ : (K,) ndarray of float64
        b, which adds up to 0; zeros if there is none.
    objective_ : float
        Value of the objective at the solution.
    certificate_ : Certificate
        How near the optimum that is, or why there is none.
    n_iter_ : int
        Newton steps, those of the best start for "printed".
    n_features_in_ : int
        n.
    feature_names_in_ : (n,) ndarray of str
        Names of the columns, if X had them.
    fit_ : SoftmaxFit
        All of this and the rest, under the names of the theory.

    See Also
    --------
    kdtheory.classification.distil_classification : The same problem as a function.
    kdtheory.classification.classification_path : For many values of trust or temperature.

    References
    ----------
    .. [1] GS (11) and (14), the problem; (12), the density behind "exact" and the rule "mean".

    Examples
    --------
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> y = ["no", "no", "yes", "yes"]
    >>> teacher = [[0.9, 0.1], [0.6, 0.4], [0.4, 0.6], [0.1, 0.9]]
    >>> student = SoftmaxStudent(trust=1.0).fit(X, y, teacher=teacher)
    >>> student.predict([[1.4], [1.6]])
    array(['no', 'yes'], dtype='<U3')
    >>> student.predict_proba([[1.5]]).round(6)
    array([[0.5, 0.5]])
    """

    def __init__(
        self,
        trust: float = 0.5,
        temperature: float = 1.0,
        regulariser: str | None = None,
        *,
        squared_temperature: bool = False,
        l2: float = 0.0,
        fit_intercept: bool = True,
        tol: float = 1e-14,
        max_iter: int = 200,
        n_starts: int = 5,
        random_state: Any = None,
    ) -> None:
        self.trust = trust
        self.temperature = temperature
        self.regulariser = regulariser
        self.squared_temperature = squared_temperature
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.n_starts = n_starts
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        teacher: Any = None,
        privileged: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Find the optimum for these rows.

        Parameters
        ----------
        X : (m, n) array_like, data frame or sparse matrix
            Features, in float32 or float64.
        y : (m,) array_like
            Labels: numbers, texts or truth values.
        teacher : (m, K) array_like or data frame, optional
            Class probabilities s at the temperature T, a column for each class of `classes_` in
            that order. The columns of a data frame may be in any order: their names are the
            classes.
        privileged : (m,) array_like of bool, optional
            I: which objects have a teacher's answer; by default all, if there is a teacher. The
            rows of `teacher` outside I are not looked at.
        sample_weight : (m,) array_like, optional
            c, at least 0 and not all 0; by default 1.
        classes : (K,) array_like, optional
            All classes in ascending order, where `y` does not show each of them; by default those
            of `y`.

        Returns
        -------
        SoftmaxStudent
            Itself.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range, or if there is an intercept and a class to which
            neither labels nor answers give any weight; the message names it.

        Warns
        -----
        kdtheory.classification.SeparableWarning
            If no optimum exists; `certificate_.existence` holds the proof.
        kdtheory.classification.NotConvergedWarning
            If `max_iter` steps did not reach the certificate.
        """
        check_not_masked(X=X)
        check_label_kind("y", y)
        check_row_order("teacher", teacher, "X", X)
        source = _source(self.random_state)
        X, y = validate_data(self, X, y, accept_sparse=_SPARSE, dtype=_FLOATS)
        known, numbers = _numbered(y, classes)
        check_classification_targets(y)
        fit_intercept = check_flag("fit_intercept", self.fit_intercept)
        rows: dict[str, Any] = {
            "y": numbers,
            "teacher": None if teacher is None else _answers(teacher, known),
            "n_classes": len(known),
            "privileged": privileged,
            "trust": self.trust,
            "temperature": self.temperature,
            "regulariser": self.regulariser,
            "squared_temperature": check_flag("squared_temperature", self.squared_temperature),
            "sample_weight": sample_weight,
        }
        if fit_intercept:
            _require_every_class(known, distillation_objective(**rows).support)
        rng = None
        if self.regulariser == "printed":  # the global source is left alone by all others
            rng = np.random.default_rng(source.randint(2**31 - 1))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = distil_classification(
                X,
                **rows,
                l2=self.l2,
                fit_intercept=fit_intercept,
                tol=self.tol,
                max_iter=self.max_iter,
                n_starts=self.n_starts,
                rng=rng,
            )
        self._take(known, fit)
        for warning in caught:  # anew, so that they point to the user's line
            warnings.warn(warning.message, stacklevel=2)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        r"""Logits :math:`z = W^\top x + b`, or for two classes their difference.

        Parameters
        ----------
        X : (m, n) array_like, data frame or sparse matrix
            Features.

        Returns
        -------
        (m, K) ndarray of float64, or (m,) for two classes
            Logits that add up to 0 in a row; for two classes z_1 − z_0, the log odds of
            ``classes_[1]``, as scikit-learn has it.
        """
        z = self._logits(X)
        return z if z.shape[1] > 2 else z[:, 1] - z[:, 0]

    def predict(self, X: Any) -> NDArray[Any]:
        """Class of largest probability, by either rule; the first of equals.

        Parameters
        ----------
        X : (m, n) array_like, data frame or sparse matrix
            Features.

        Returns
        -------
        (m,) ndarray
            Labels out of `classes_`.
        """
        z = self._logits(X)
        labels: NDArray[Any] = self.classes_[z.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any, rule: str = "softmax") -> NDArray[np.float64]:
        r"""Class probabilities.

        Parameters
        ----------
        X : (m, n) array_like, data frame or sparse matrix
            Features.
        rule : {"softmax", "mean"}, default "softmax"
            "softmax": :math:`\operatorname{softmax}(z)`. "mean": the mean of the continuous
            categorical (12) with the natural parameter z, the expected answer of a student whose
            answers have that density. The order of the classes is the same.

        Returns
        -------
        (m, K) ndarray of float64
            Points of the simplex, in the order of `classes_`.
        """
        check_choice("rule", rule, ("softmax", "mean"))
        z = self._logits(X)
        return soften(z) if rule == "softmax" else normaliser_gradient(z)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        r"""Logarithms of the class probabilities of the rule "softmax".

        Parameters
        ----------
        X : (m, n) array_like, data frame or sparse matrix
            Features.

        Returns
        -------
        (m, K) ndarray of float64
            Finite also where the probability itself is too small for a float64.
        """
        return log_soften(self._logits(X))

    def _logits(self, X: Any) -> NDArray[np.float64]:
        """One row of K logits for each row of X."""
        check_is_fitted(self)
        check_not_masked(X=X)
        X = validate_data(self, X, accept_sparse=_SPARSE, dtype=_FLOATS, reset=False)
        z: NDArray[np.float64] = X @ self.coef_.T + self.intercept_
        return z

    def _take(self, classes: NDArray[Any], fit: SoftmaxFit) -> None:
        """Attributes by the names of scikit-learn."""
        self.classes_ = classes
        self.fit_ = fit
        self.coef_ = np.ascontiguousarray(fit.coef.T)
        self.intercept_ = fit.intercept
        self.objective_ = fit.objective
        self.certificate_ = fit.certificate
        self.n_iter_ = fit.n_iter


_SPARSE = ("csr", "csc")
_FLOATS = (np.float64, np.float32)


def _numbered(y: NDArray[Any], classes: ArrayLike | None) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """All classes, and the number of each object's."""
    labels, numbers = np.unique(y, return_inverse=True)
    if classes is None:
        if len(labels) < 2:
            msg = (
                f"`y` must hold at least 2 classes, got one class, {labels.tolist()[0]!r}; "
                "`classes` names those that never occur"
            )
            raise ValueError(msg)
        return labels, numbers
    known = check_class_labels("classes", classes)
    places = {label: place for place, label in enumerate(known.tolist())}
    for label in labels.tolist():
        if label not in places:
            msg = f"`y` must hold labels of `classes` only, got {label!r}"
            raise ValueError(msg)
    return known, np.array([places[label] for label in labels.tolist()], dtype=np.intp)[numbers]


def _source(random_state: Any) -> np.random.RandomState:
    try:
        source: np.random.RandomState = check_random_state(random_state)
    except ValueError:
        rule = "None, an integer from 0 to 2**32 - 1 or a RandomState"
        msg = f"`random_state` must be {rule}, got {random_state!r}"
        raise ValueError(msg) from None
    return source


def _require_every_class(classes: NDArray[Any], support: NDArray[np.bool_]) -> None:
    """Refuse a class without any weight, whose intercept is −∞: it was a slip, not the data."""
    absent = ~support.any(axis=0)
    if absent.any():
        label = classes.tolist()[int(np.argmax(absent))]
        msg = f"`y` or `teacher` must give each class some weight, got none for {label!r}"
        raise ValueError(msg)


def _answers(teacher: Any, classes: NDArray[Any]) -> NDArray[Any]:
    """Columns in the order of the classes; their names in a data frame are the classes."""
    # rows without an answer may hold anything
    answers = check_matrix("teacher", teacher, finite=False)
    order = _named_columns(teacher.columns, classes) if hasattr(teacher, "columns") else None
    if answers.shape[1] != len(classes):
        msg = (
            f"`teacher` must have a column for each of the {len(classes)} classes, got "
            f"{answers.shape[1]}; `classes` names those that never occur in `y`"
        )
        raise ValueError(msg)
    return answers if order is None else answers[:, order]


def _named_columns(names: Any, classes: NDArray[Any]) -> NDArray[np.intp]:
    """Columns in the order of the classes that are their names, or the texts of them."""
    labels = classes.tolist()
    places = {str(label): place for place, label in enumerate(labels)}
    places |= {label: place for place, label in enumerate(labels)}
    found: dict[int, int] = {}
    for column, name in enumerate(names):
        try:
            place = places.get(name, places.get(str(name)))
        except TypeError:  # a list is no label
            place = None
        if place is None or place in found:
            reason = "which is none" if place is None else "twice"
            msg = f"`teacher` must have classes for names of its columns, got {name!r}, {reason}"
            raise ValueError(msg)
        found[place] = column
    return np.array([found[place] for place in sorted(found)], dtype=np.intp)
