r"""Distilled linear regression as scikit-learn estimators.

The problem is GS (15) with everything that `kdtheory.regression` adds to it: sample weights
:math:`c_i`, an intercept that is not penalised, and a ridge,

.. math::
    (\hat w_0, \hat w) = \arg\min_{w_0, w} \sum_i a_i (y_i - w_0 - w^\top x_i)^2
        + b_i (s_i - w_0 - w^\top x_i)^2 + \rho \|w\|^2, \qquad
    a_i = c_i (1 - \lambda 1_I)\, \omega_i, \quad b_i = c_i \lambda 1_I\, \omega_{s,i}.

The teacher is an array of answers s, or an estimator that gives them: then `fit` asks it on the
privileged features of the objects of I (generalised distillation in two stages), or cross-fits it,
so that the answer :math:`s_i` has never seen the label :math:`y_i`. Without that, a least-squares
teacher on the same rows changes nothing (the tower property), and a warning says so.

notation: λ = trust, I = privileged, s = teacher, ω, ω_s = weights of `sigma`, `sigma_teacher`,
ρ = ridge, c = sample_weight
"""

import inspect
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from kdtheory._checks import (
    check_choice,
    check_count,
    check_flag,
    check_mask,
    check_not_masked,
    check_sample_weight,
    check_whole_numbers,
)
from kdtheory.distributed import (
    distilled_factors,
    distributed_sums,
    feature_names,
    is_distributed,
)
from kdtheory.evidence import Evidence, maximum_evidence
from kdtheory.inference import (
    Inference,
    InferenceSums,
    Summary,
    automatic_covariance,
    fit_sums,
    inference,
    inference_from_sums,
)
from kdtheory.least_squares import LeastSquares
from kdtheory.regression import DistilledFit, NoOpWarning, RankWarning, distil_regression
from kdtheory.selection import WEIGHTS_KINDS, TrustPath, trust_path
from kdtheory.streaming import DistilledFactors, DistilledSolution

__all__ = ["DistilledRegressor", "DistilledRegressorCV"]


class _Distilled(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What both estimators do with rows and with a fit; how the trust is found is their own."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # without the rows: what inference needs of them are O(n²) numbers
        state = dict(super().__getstate__())
        state.pop("_distributed_rows", None)
        fit = state.pop("fit_", None)
        if fit is not None:
            state["_kept"] = _kept(fit, self.sigma, self.sigma_teacher, self.weights_kind)
        return state

    @property
    def condition_(self) -> float:
        """Condition number of the features, centred if there is an intercept, of unit columns."""
        check_is_fitted(self)
        return self._least_squares().condition

    def predict(self, X: Any) -> Any:
        r"""Student's answers :math:`\hat w_0 + \hat w^\top x`.

        Parameters
        ----------
        X : (m, n) array_like, data frame, sparse matrix, or Dask array or dataframe
            Features.

        Returns
        -------
        (m,) or (m, p) ndarray
            Of the shape of the labels of the fit; a Dask array, not yet computed, for Dask's X.
        """
        check_is_fitted(self)
        if is_distributed(X):
            return self._distributed_predictions(X)
        check_not_masked(X=X)
        X = validate_data(self, X, accept_sparse=_SPARSE, dtype=_FLOATS, reset=False)
        return _linear(X, self.coef_.T, self.intercept_)

    def inference(self, *, confidence: float = 0.95, covariance: str = "auto") -> Inference:
        r"""Standard errors, tests and intervals of the coefficients.

        Parameters
        ----------
        confidence : float, default 0.95
            Of the intervals, in (0, 1).
        covariance : {"auto", "model", "sandwich", "classical", "pooled"}, default "auto"
            Those of `kdtheory.inference.inference`, and "pooled". "model" needs every noise level
            that enters, as standard deviations whatever the convention of the weights, and is
            then what "auto" takes; else that is "classical" if no teacher's answer enters, and
            otherwise "sandwich". A copy or a pickle after `fit` holds the one of "auto" only.

            After `partial_fit` the rows are gone, and "pooled" takes the place of the sandwich:
            one variance of the scores for all objects of I and one for all others
            (`kdtheory.streaming.DistilledSolution.inference_sums`). It asks that the noise be equal
            within the two sets, and allows any correlation within an object.

        Returns
        -------
        Inference

        Raises
        ------
        ValueError
            If a choice is not one of the above, needs noise levels that are not given or rows that
            are no longer there, or if no degree of freedom is left.

        Notes
        -----
        The trust counts as given, also where it was chosen from the same data.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        told: dict[str, Any] = {
            "confidence": confidence,
            "names": None if names is None else [str(name) for name in names],
            "target_names": getattr(self, "_target_names", None),
        }
        if hasattr(self, "fit_"):
            taught = bool((self.fit_.teacher_weight > 0).any())
            if covariance == "auto":
                covariance = automatic_covariance(self.sigma, self.sigma_teacher, taught=taught)
            noise = {"sigma": self.sigma, "sigma_teacher": self.sigma_teacher}
            return inference(
                self.fit_,
                covariance=covariance,
                weights_kind=self.weights_kind,
                **(noise if covariance == "model" else {}),
                **told,
            )
        if hasattr(self, "solution_"):
            kept = self._kept_of_solution(covariance)
        else:
            kept = self._kept
            if covariance not in ("auto", kept.covariance):
                msg = (
                    f"`covariance` must be 'auto' or {kept.covariance!r} on a copy of a fit, which "
                    f"does not hold its rows, got {covariance!r}"
                )
                raise ValueError(msg)
        if kept.sums is None:
            msg = "`X` must have fewer columns for an inverse: its n × n matrix was not formed"
            raise ValueError(msg)
        return inference_from_sums(
            kept.solution,
            kept.sums,
            covariance=kept.covariance,
            weights_kind=kept.weights_kind,
            trust=self.trust_,
            ridge=kept.ridge,
            many_outputs=self.coef_.ndim == 2,
            **told,
        )

    def summary(self, *, confidence: float = 0.95, covariance: str = "auto") -> Summary:
        """Table of the coefficients with their errors; text by ``str``, HTML in a notebook.

        Parameters
        ----------
        confidence, covariance
            As for `inference`.

        Returns
        -------
        Summary
        """
        return self.inference(confidence=confidence, covariance=covariance).summary()

    def _distributed_predictions(self, X: Any) -> Any:
        """The same block by block, when it is asked for."""
        names, known = feature_names(X), getattr(self, "feature_names_in_", None)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            msg = f"`X` must have {self.n_features_in_} features, got shape {X.shape}"
            raise ValueError(msg)
        if names is not None and known is not None and list(names) != list(known):
            msg = f"`X` must have the columns of the fit in their order, got {', '.join(names)}"
            raise ValueError(msg)
        blocks = X if names is None else X.to_dask_array()
        blocks = blocks.rechunk({1: -1})
        cut: dict[str, Any] = {"drop_axis": 1, "meta": np.empty(0)}
        if self.coef_.ndim == 2:
            cut = {"chunks": (blocks.chunks[0], (len(self.coef_),)), "meta": np.empty((0, 0))}
        return blocks.map_blocks(_linear, self.coef_.T, self.intercept_, dtype=np.float64, **cut)

    def _rows(
        self,
        X: Any,
        y: Any,
        teacher: Any,
        privileged: ArrayLike | None,
        sample_weight: ArrayLike | None,
        privileged_features: Any,
        *,
        reset: bool = True,
    ) -> dict[str, Any]:
        """Rows of (15) with the teacher's answers: the first arguments of `distil_regression`."""
        self._require_words()
        if is_distributed(X):
            msg = f"`X` must hold its rows in memory here, got {type(X).__name__} of Dask"
            raise TypeError(msg)
        check_not_masked(X=X, y=y, teacher=teacher, privileged_features=privileged_features)
        features = X if privileged_features is None else privileged_features
        target_names = _names_of_targets(y)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=_SPARSE,
            dtype=_FLOATS,
            y_numeric=True,
            multi_output=True,
            reset=reset,
        )
        if reset:
            self._target_names = target_names
        if self.weights_kind == "frequency" and sample_weight is not None:
            weight = check_sample_weight("sample_weight", sample_weight, len(y))
            check_whole_numbers("sample_weight", weight)
        if _is_asked(teacher):
            privileged = check_mask("privileged", privileged, len(y))
            if self.cross_fit is None:
                teacher = _answers(teacher, features, y, privileged)
            else:
                weight = check_sample_weight("sample_weight", sample_weight, len(y))
                privileged = privileged & (weight > 0)  # an object of weight 0 is in no fold
                teacher = _answers_across_folds(
                    teacher, features, y, privileged, weight, self.cross_fit
                )
        elif privileged_features is not None or (
            self.cross_fit is not None and teacher is not None
        ):
            name = "cross_fit" if privileged_features is None else "privileged_features"
            kind = type(teacher).__name__
            msg = f"`{name}` must come with a `teacher` that is an estimator, got {kind}"
            raise ValueError(msg)
        return {
            "X": X,
            "y": y,
            "teacher": teacher,
            "privileged": privileged,
            "sample_weight": sample_weight,
        }

    def _require_words(self) -> None:
        """Check what not every way of solving looks at."""
        check_choice("weights_kind", self.weights_kind, WEIGHTS_KINDS)
        check_choice("solver", self.solver, _SOLVERS)
        check_flag("fit_intercept", self.fit_intercept)

    def _fitted(self, rows: dict[str, Any], trust: Any, sigma: Any, sigma_teacher: Any) -> None:
        """Solve (15) for these rows and take the answer."""
        fit = distil_regression(
            **rows,
            trust=trust,
            sigma=_level(sigma),
            sigma_teacher=_level(sigma_teacher),
            convention=self.convention,
            ridge=self.ridge,
            fit_intercept=self.fit_intercept,
            solver=self.solver,
        )
        self._forget()
        self.fit_ = fit
        self.n_privileged_ = int(fit.privileged.sum())
        self._take(fit)

    def _told(self) -> Self:
        """Itself, after a warning if the teacher changes nothing; called by what the user calls."""
        found = getattr(self, "fit_", None) or self.solution_
        if found.trust > 0 and found.no_op:
            self._no_op_told = True
            msg = (
                "the teacher changes nothing at any trust: its errors are orthogonal to every "
                "feature of the student, as those of least squares on the same rows with the same "
                "weights and no penalty are; fit it on other rows, with other weights or a "
                "penalty, or let `cross_fit` do so"
            )
            warnings.warn(msg, NoOpWarning, stacklevel=3)
        return self

    def _kept_of_solution(self, covariance: str) -> "_Kept":
        """Sums over rows that are not in memory, from their factors or, in Dask, from them."""
        solution = self.solution_
        rows: dict[str, Any] = getattr(self, "_distributed_rows", {})
        general = "sandwich" if rows else "pooled"
        choices = ("auto", "model", "classical", *(("sandwich",) if rows else ()), "pooled")
        check_choice("covariance", covariance, choices)
        taught = solution.trust > 0 and solution.factors.n_privileged > 0
        if covariance == "auto":
            covariance = automatic_covariance(
                self.sigma, self.sigma_teacher, taught=taught, general=general
            )
        if covariance == "sandwich":
            sums = distributed_sums(solution, **rows, weights_kind=self.weights_kind)
        else:
            noise = {"sigma": self.sigma, "sigma_teacher": self.sigma_teacher}
            sums = solution.inference_sums(
                covariance=covariance,
                weights_kind=self.weights_kind,
                **(noise if covariance == "model" else {}),
            )
        return _Kept(solution.solution, sums, covariance, self.weights_kind, solution.ridge)

    def _take(self, fit: DistilledFit | DistilledSolution) -> None:
        """Attributes by the names of scikit-learn."""
        self.trust_ = fit.trust
        self.coef_ = np.ascontiguousarray(fit.coef.T)
        self.intercept_ = fit.intercept
        self.rank_ = fit.rank
        self.solver_ = fit.solver

    def _forget(self) -> None:
        """Drop what belongs to earlier rows."""
        for name in ("fit_", "solution_", "_kept", "_distributed_rows"):
            self.__dict__.pop(name, None)

    def _least_squares(self) -> LeastSquares:
        """The solution, in whichever of the three forms it is held."""
        held = getattr(self, "fit_", None) or getattr(self, "solution_", None) or self._kept
        solution: LeastSquares = held.solution
        return solution


class DistilledRegressor(_Distilled):
    r"""Linear regression on labels and a teacher's answers, with the trust that is given.

    Parameters
    ----------
    trust : float, default 0.5
        λ in [0, 1], the confidence in the teacher: 0 ignores it; at 1 the labels of I are ignored.
    sigma, sigma_teacher : float or (m,) array_like, optional
        Noise of the labels and of the teacher's answers, finite and positive. None, the default:
        unknown, and weighted as if it were 1.
    convention : {"precision", "printed"}, default "precision"
        "precision": ω = 1/σ², ω_s = 1/σ_s². "printed": ω = σ², ω_s = σ_s², the letter of (15).
    ridge : float, default 0
        ρ, at least 0, the factor of :math:`\|w\|^2`.
    fit_intercept : bool, default True
        Whether to fit :math:`w_0`, which is never penalised.
    solver : {"auto", "cholesky", "qr", "svd", "lsmr"}, default "auto"
        See `kdtheory.least_squares`.
    weights_kind : {"precision", "frequency"}, default "precision"
        What a sample weight is when degrees of freedom are counted: the inverse of a variance up
        to a factor, or a number of equal objects. It does not move the estimate.
    cross_fit : int or cross-validation splitter, optional
        With a teacher that is an estimator: clones of it are fitted on the labels of all privileged
        objects but one fold, and answer for that fold; so no answer has seen its own label. An
        integer k means k contiguous folds, as `sklearn.model_selection.KFold`; rows in a
        meaningful order want a splitter that shuffles. Objects of weight 0 take part in no fold.

    Attributes
    ----------
    coef_ : (n,) or (p, n) ndarray of float64
        Coefficients.
    intercept_ : float or (p,) ndarray
        0 if there is none.
    trust_ : float
        λ.
    n_privileged_ : int
        Number of objects that had a teacher's answer.
    n_features_in_ : int
        n.
    feature_names_in_ : (n,) ndarray of str
        Names of the columns, if X had them.
    rank_, condition_, solver_ : int, float, str
        Numerical rank and condition of the features, and the path that the solver took.
    fit_ : DistilledFit
        Everything else about the rows, while they are at hand: after `fit`, but not in a copy or
        a pickle, nor after `partial_fit`. It refers to the arrays that were given, not to copies.
    solution_ : DistilledSolution
        All that is kept of the rows so far, after `partial_fit`, or after `fit` to Dask's rows.

    See Also
    --------
    kdtheory.distil_regression : The same problem as a function.
    DistilledRegressorCV : Chooses the trust.

    Notes
    -----
    scikit-learn's cross-validation slices arrays of metadata along with the folds and hands on
    anything else as it is, but takes a teacher that has a length (a `Pipeline`, a forest) for an
    array. Hand it the bound method ``teacher.predict`` in place of such a teacher.

    References
    ----------
    .. [1] GS, Theorem 2 and (15)-(17); D. Lopez-Paz, L. Bottou, B. Schölkopf and V. Vapnik,
       "Unifying distillation and privileged information", arXiv:1511.03643v3, for two stages.

    Examples
    --------
    >>> student = DistilledRegressor(trust=0.5, fit_intercept=False)
    >>> student.fit([[1.0], [1.0]], [0.0, 2.0], teacher=[np.nan, 4.0], privileged=[False, True])
    DistilledRegressor(fit_intercept=False)
    >>> student.coef_.round(12), student.n_privileged_
    (array([1.5]), 1)
    """

    def __init__(
        self,
        *,
        trust: float = 0.5,
        sigma: Any = None,
        sigma_teacher: Any = None,
        convention: str = "precision",
        ridge: float = 0.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        weights_kind: str = "precision",
        cross_fit: Any = None,
    ) -> None:
        self.trust = trust
        self.sigma = sigma
        self.sigma_teacher = sigma_teacher
        self.convention = convention
        self.ridge = ridge
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.weights_kind = weights_kind
        self.cross_fit = cross_fit

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        teacher: Any = None,
        privileged: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        privileged_features: Any = None,
    ) -> Self:
        """Solve (15) for these rows.

        Parameters
        ----------
        X : (m, n) array_like, data frame or sparse matrix
            Features that the student sees. A Dask array or dataframe stays where it is: then all
            other rows must be Dask's too, the noise levels numbers, and the teacher its answers.
        y : (m,) or (m, p) array_like
            True answers.
        teacher : array_like of the shape of y, estimator or callable, optional
            Answers s, ignored outside `privileged`, where they may be NaN; or a fitted estimator
            (any estimator, if `cross_fit`), a bound method of one, or a function of the features.
        privileged : (m,) array_like of bool, optional
            I: which objects have a teacher's answer; by default all, if there is a teacher.
        sample_weight : (m,) array_like, optional
            c, at least 0 and not all 0; by default 1.
        privileged_features : array_like or data frame with m rows, optional
            What the teacher sees; by default X. Rows outside `privileged` are not looked at.

        Returns
        -------
        DistilledRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range; the message names it.
        sklearn.exceptions.NotFittedError
            If the teacher is an estimator that is not fitted, and there is no `cross_fit`.

        Warns
        -----
        NoOpWarning
            If the teacher changes nothing, whatever the trust.
        RankWarning
            If the columns of X are linearly dependent to machine precision.
        """
        if is_distributed(X):
            if privileged_features is not None:
                msg = "`privileged_features` must be None for Dask: let `teacher` be the answers"
                raise ValueError(msg)
            self._distributed_fit(
                X=X, y=y, teacher=teacher, privileged=privileged, sample_weight=sample_weight
            )
        else:
            rows = self._rows(X, y, teacher, privileged, sample_weight, privileged_features)
            self._fitted(rows, self.trust, self.sigma, self.sigma_teacher)
        self._no_op_told = False
        return self._told()

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        teacher: Any = None,
        privileged: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        privileged_features: Any = None,
    ) -> Self:
        """Solve (15) for these rows and all that came before, by QR updating.

        The rows so far are those of every call since the first, or since `fit`. What is kept of
        them is O((n + p)²) numbers, and the accuracy is that of QR on all of them at once. Noise
        levels must be numbers; they and the trust may change between calls, the last ones count.

        Parameters
        ----------
        X, y, teacher, privileged, sample_weight, privileged_features
            As in `fit`, for a block of rows.

        Returns
        -------
        DistilledRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError
            As in `fit`; the rows of this call are then not counted. Also with a teacher to be
            cross-fitted, which takes all rows at once, and on a copy of an estimator that was
            fitted by `fit`, which does not hold its rows.

        Warns
        -----
        NoOpWarning
            As `fit`, but not again after it has been given, until the next `fit`.
        RankWarning
            As `fit`.
        """
        if self.cross_fit is not None:
            msg = f"`cross_fit` must be None in partial_fit, got {self.cross_fit!r}"
            raise ValueError(msg)
        factors = self._factors_so_far()
        rows = self._rows(
            X, y, teacher, privileged, sample_weight, privileged_features, reset=factors is None
        )
        if factors is None:
            factors = _no_rows(rows["X"], rows["y"])
        for block in _dense_blocks(rows):
            factors = factors.update(**block)
        self._solved(factors)
        return self if getattr(self, "_no_op_told", False) else self._told()

    def _distributed_fit(self, **rows: Any) -> None:
        """Solve (15) for the rows of Dask collections."""
        self._require_words()
        factors = distilled_factors(**rows)
        self.__dict__.pop("feature_names_in_", None)
        self.n_features_in_ = factors.n_features
        names = feature_names(rows["X"])
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        self._target_names = _names_of_targets(rows["y"])
        self._solved(factors)
        self._distributed_rows = rows

    def _solved(self, factors: DistilledFactors) -> None:
        """Solve (15) for the rows of these factors."""
        solution = factors.solve(
            trust=self.trust,
            sigma=_level(self.sigma),
            sigma_teacher=_level(self.sigma_teacher),
            convention=self.convention,
            ridge=self.ridge,
            fit_intercept=self.fit_intercept,
        )
        self._forget()
        self.solution_ = solution
        self.n_privileged_ = factors.n_privileged
        self._take(solution)

    def _factors_so_far(self) -> DistilledFactors | None:
        """Factors of the rows of earlier calls; None if there were none."""
        if hasattr(self, "solution_"):
            factors: DistilledFactors = self.solution_.factors
            return factors
        if not hasattr(self, "coef_"):
            return None
        if not hasattr(self, "fit_"):
            msg = "partial_fit cannot go on from a copy of a fit, which does not hold its rows"
            raise ValueError(msg)
        fit = self.fit_
        factors = _no_rows(fit.X, fit.y)
        rows = {name: getattr(fit, name) for name in _ROWS}
        for block in _dense_blocks(rows):
            factors = factors.update(**block)
        return factors


class DistilledRegressorCV(_Distilled):
    r"""Linear regression on labels and a teacher's answers, with the trust that the data choose.

    "loo" and "gcv" take the trust of least error at the labels, from the closed form of
    leave-one-out or of generalised cross-validation (`kdtheory.selection.trust_path`). "evidence"
    takes the trust, and the noise levels that are None, of the largest marginal likelihood
    (`kdtheory.evidence.maximum_evidence`); it refuses where the data do not determine them. The
    problem is then that of `DistilledRegressor`.

    Parameters
    ----------
    trusts : (L,) array_like, optional
        Candidates for λ in [0, 1]; by default 0, 0.02, …, 1. None for "evidence", which looks at
        all.
    criterion : {"loo", "gcv", "evidence"}, default "loo"
        How the trust is chosen.
    sigma, sigma_teacher : float or (m,) array_like, optional
        Noise of the labels and of the teacher's answers. None, the default: unknown, and weighted
        as if it were 1, or estimated by "evidence".
    convention, ridge, fit_intercept, solver, weights_kind, cross_fit
        As for `DistilledRegressor`; "evidence" needs the convention and the kind "precision".

    Attributes
    ----------
    trust_ : float
        The chosen λ; 0 where there is no teacher or nobody is privileged.
    path_ : TrustPath
        Errors and coefficients along the trust, after "loo" and "gcv". Without a teacher it is
        the point λ = 0.
    evidence_ : Evidence
        After "evidence": noise levels, their errors and the posterior.
    coef_, intercept_, n_privileged_, n_features_in_, feature_names_in_
        As for `DistilledRegressor`.
    rank_, condition_, solver_, fit_
        As for `DistilledRegressor`.

    See Also
    --------
    DistilledRegressor : Takes the trust as given.

    Notes
    -----
    The error that "loo" estimates leaves out an object's label and its teacher's answer, but not
    what the answers of others have taken from its label: with a teacher that was fitted on the
    same rows it is too small. `cross_fit` mends that in part.

    References
    ----------
    .. [1] GS, (15), and its conclusion, which announces the choice of metaparameters.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 20))
    >>> truth = X.sum(axis=1)
    >>> student = DistilledRegressorCV(fit_intercept=False)
    >>> student.fit(X, truth + 3 * rng.standard_normal(60), teacher=truth).trust_
    0.74
    """

    def __init__(
        self,
        *,
        trusts: ArrayLike | None = None,
        criterion: str = "loo",
        sigma: Any = None,
        sigma_teacher: Any = None,
        convention: str = "precision",
        ridge: float = 0.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        weights_kind: str = "precision",
        cross_fit: Any = None,
    ) -> None:
        self.trusts = trusts
        self.criterion = criterion
        self.sigma = sigma
        self.sigma_teacher = sigma_teacher
        self.convention = convention
        self.ridge = ridge
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.weights_kind = weights_kind
        self.cross_fit = cross_fit

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        teacher: Any = None,
        privileged: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        privileged_features: Any = None,
    ) -> Self:
        """Choose the trust for these rows, and solve (15) with it.

        Parameters
        ----------
        X, y, teacher, privileged, sample_weight, privileged_features
            As for `DistilledRegressor.fit`, in memory.

        Returns
        -------
        DistilledRegressorCV
            Itself.

        Raises
        ------
        kdtheory.evidence.NotIdentifiedError
            By "evidence", with the reason, if the data do not determine what it is to find.
        ValueError, TypeError
            As `DistilledRegressor.fit`; also if no trust has a finite error.

        Warns
        -----
        NoOpWarning, RankWarning
            As `DistilledRegressor.fit`.
        """
        check_choice("criterion", self.criterion, ("loo", "gcv", "evidence"))
        rows = self._rows(X, y, teacher, privileged, sample_weight, privileged_features)
        if teacher is None and privileged is not None:
            msg = "`privileged` must be None without a teacher, got a mask"
            raise ValueError(msg)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankWarning)  # the fit says so
            if self.criterion == "evidence":
                evidence = self._evidence(rows)
                # a level that does not enter is not a number
                levels = [
                    None if np.isnan(level) else level
                    for level in (evidence.sigma, evidence.sigma_teacher)
                ]
            else:
                path, trust = self._path(rows)
        self.__dict__.pop("path_", None)
        self.__dict__.pop("evidence_", None)
        if self.criterion == "evidence":
            self.evidence_ = evidence
            self._fitted(rows, evidence.trust, *levels)
        else:
            self.path_ = path
            self._fitted(rows, trust, self.sigma, self.sigma_teacher)
        return self._told()

    def _path(self, rows: dict[str, Any]) -> tuple[TrustPath, float]:
        """Errors along the trust, and the best."""
        teacher, taught = _teacher_or_nobody(rows)
        path = trust_path(
            **{**rows, **teacher},
            trusts=self.trusts if taught else [0.0],
            sigma=_level(self.sigma),
            sigma_teacher=_level(self.sigma_teacher),
            convention=self.convention,
            ridge=self.ridge,
            fit_intercept=self.fit_intercept,
            weights_kind=self.weights_kind,
        )
        return path, path.best(self.criterion) if taught else 0.0

    def _evidence(self, rows: dict[str, Any]) -> Evidence:
        """Trust and noise levels of the largest evidence."""
        if self.trusts is not None:
            msg = "`trusts` must be None for the criterion 'evidence', which looks at all"
            raise ValueError(msg)
        for name in ("convention", "weights_kind"):
            value = getattr(self, name)
            if value != "precision":
                msg = f"`{name}` must be 'precision' for the criterion 'evidence', got {value!r}"
                raise ValueError(msg)
        teacher, taught = _teacher_or_nobody(rows)
        return maximum_evidence(
            **{**rows, **teacher},
            trust=None if taught else 0.0,
            sigma=self.sigma,
            sigma_teacher=self.sigma_teacher,
            ridge=self.ridge,
            fit_intercept=self.fit_intercept,
        )


_ROWS = ("X", "y", "teacher", "privileged", "sample_weight")
_SPARSE = ("csr", "csc")
_FLOATS = (np.float64, np.float32)
_SOLVERS = ("auto", "cholesky", "qr", "svd", "lsmr")
_NUMBERS = 2**22  # in a dense block of sparse rows: 32 MiB


class _Kept(NamedTuple):
    """All that inference needs of the rows."""

    solution: LeastSquares
    sums: InferenceSums | None
    covariance: str
    weights_kind: str
    ridge: float


def _kept(fit: DistilledFit, sigma: Any, sigma_teacher: Any, weights_kind: str) -> _Kept:
    """What a pickle carries in place of the rows: the sums of the automatic covariance."""
    taught = bool((fit.teacher_weight > 0).any())
    covariance = automatic_covariance(sigma, sigma_teacher, taught=taught)
    known = covariance == "model"
    sums = None
    if fit.solution.shifted_root is not None:
        sums = fit_sums(
            fit,
            covariance=covariance,
            weights_kind=weights_kind,
            sigma=sigma if known else None,
            sigma_teacher=sigma_teacher if known else None,
        )
    return _Kept(fit.solution, sums, covariance, weights_kind, fit.ridge)


def _no_rows(X: Any, y: NDArray[Any]) -> DistilledFactors:
    """Empty factors for rows such as these."""
    return DistilledFactors.empty(X.shape[1], None if y.ndim == 1 else y.shape[1])


def _dense_blocks(rows: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows as they are, or if sparse in dense blocks: their factors are dense."""
    X = rows["X"]
    if not issparse(X):
        yield rows
        return
    X, step = X.tocsr(), max(1, _NUMBERS // X.shape[1])
    for start in range(0, X.shape[0], step):
        at = slice(start, start + step)
        block = {name: None if rows[name] is None else rows[name][at] for name in _ROWS[1:]}
        yield {"X": X[at].toarray(), **block}


def _names_of_targets(y: Any) -> list[str] | None:
    """Names of the outputs where a data frame or a series tells them."""
    if not hasattr(y, "iloc"):  # the name of a Dask array is none of ours
        return None
    names = [y.name] if y.ndim == 1 else list(y.columns)
    return names if all(isinstance(name, str) for name in names) else None


def _teacher_or_nobody(rows: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Answers and mask, and whether anybody is privileged; without a teacher nobody is."""
    y, teacher = rows["y"], rows["teacher"]
    nobody = np.zeros(len(y), dtype=bool)
    if teacher is None:
        return {"teacher": np.zeros(y.shape), "privileged": nobody}, False
    inside = check_mask("privileged", rows["privileged"], len(y))
    return {"teacher": teacher, "privileged": inside}, bool(inside.any())


def _linear(X: Any, coef: NDArray[np.float64], intercept: Any) -> Any:
    """Predictions for a block of rows."""
    return X @ coef + intercept


def _level(noise: Any) -> Any:
    """Noise for the weights of (15); an unknown one counts as 1."""
    return 1.0 if noise is None else noise


def _is_asked(teacher: Any) -> bool:
    """Whether it is an estimator or a function of the features, not the answers themselves."""
    return hasattr(teacher, "predict") or callable(teacher)


def _answers(
    teacher: Any, features: Any, y: NDArray[Any], inside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Answers of a fitted teacher for the objects inside; NaN elsewhere."""
    estimator, method = _estimator_and_method(teacher)
    features = _as_rows(features, len(y))
    if isinstance(estimator, BaseEstimator):
        msg = "`teacher` must be fitted, or else `cross_fit` given; this %(name)s is not fitted"
        check_is_fitted(estimator, msg=msg)
    answers = np.full(y.shape, np.nan)
    rows = np.flatnonzero(inside)
    if len(rows):
        answers[rows] = _asked(estimator, method, _taken(features, rows), y[rows].shape)
    return answers


def _answers_across_folds(
    teacher: Any,
    features: Any,
    y: NDArray[Any],
    inside: NDArray[np.bool_],
    weight: NDArray[np.float64],
    cross_fit: Any,
) -> NDArray[np.float64]:
    """Answers for the objects inside, each of a teacher fitted without its fold; NaN elsewhere."""
    estimator, method = _estimator_and_method(teacher)
    features = _as_rows(features, len(y))
    if not hasattr(estimator, "fit"):
        msg = f"`cross_fit` needs a `teacher` with a method fit, got {type(estimator).__name__}"
        raise TypeError(msg)
    weighted = has_fit_parameter(estimator, "sample_weight")
    answers = np.full(y.shape, np.nan)
    for kept, left_out in _folds(cross_fit, np.flatnonzero(inside), y):
        fold_teacher = clone(estimator)
        weights = {"sample_weight": weight[kept]} if weighted else {}
        fold_teacher.fit(_taken(features, kept), y[kept], **weights)
        asked = _taken(features, left_out)
        answers[left_out] = _asked(fold_teacher, method, asked, y[left_out].shape)
    return answers


def _estimator_and_method(teacher: Any) -> tuple[Any, str]:
    """The bound method of an estimator stands for it, under the method's name."""
    if isinstance(teacher, type):
        msg = f"`teacher` must be an instance, got the class {teacher.__name__}"
        raise TypeError(msg)
    if inspect.ismethod(teacher):
        return teacher.__self__, teacher.__name__
    return teacher, "predict"


def _as_rows(features: Any, length: int) -> Any:
    """Features of the teacher as something with rows, of which there are `length`."""
    features = features if hasattr(features, "shape") else np.asarray(features)
    if features.shape[0] != length:
        found = features.shape[0]
        msg = f"lengths must agree, but `y` has {length}, `privileged_features` has {found}"
        raise ValueError(msg)
    return features


def _asked(estimator: Any, method: str, features: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Answers of one estimator, or of a plain function, in the shape of the labels."""
    answers = getattr(estimator, method, estimator)(features)
    try:
        answers = np.asarray(answers)
    except ValueError:
        msg = f"`teacher` must answer with shape {shape}, got nested lengths that differ"
        raise ValueError(msg) from None
    if answers.dtype.kind not in "fiub":
        msg = f"`teacher` must answer with real numbers, got dtype {answers.dtype}"
        raise TypeError(msg)
    # a single output may come as a vector or as a column
    if answers.shape[:1] != shape[:1] or answers.size != np.prod(shape):
        msg = f"`teacher` must answer with shape {shape}, got shape {answers.shape}"
        raise ValueError(msg)
    return answers.reshape(shape)


def _folds(
    cross_fit: Any, rows: NDArray[np.intp], y: NDArray[Any]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Objects on which the teacher is fitted and those that it answers, fold by fold."""
    if len(rows) == 0:
        return
    if isinstance(cross_fit, str) or not hasattr(cross_fit, "split"):
        n_folds = check_count("cross_fit", cross_fit, least=2)
        if n_folds > len(rows):
            msg = f"`cross_fit` must be at most the {len(rows)} privileged object(s), got {n_folds}"
            raise ValueError(msg)
        cross_fit = KFold(n_folds)
    folds = list(cross_fit.split(rows, y[rows]))
    times = np.bincount(np.concatenate([left_out for _, left_out in folds]), minlength=len(rows))
    if not (times == 1).all():
        at = int(np.argmax(times != 1))
        msg = f"`cross_fit` must leave out each object once, got {times[at]} for object {rows[at]}"
        raise ValueError(msg)
    for kept, left_out in folds:
        yield rows[kept], rows[left_out]


def _taken(features: Any, rows: NDArray[np.intp]) -> Any:
    """Rows of an array, a sparse matrix or a data frame, which keeps its names."""
    if len(rows) == features.shape[0]:
        return features
    if hasattr(features, "iloc"):
        return features.iloc[rows]
    return (features.tocsr() if issparse(features) else features)[rows]
