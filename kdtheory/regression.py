r"""Theorem 2: linear regression with a teacher is linear regression with other targets.

For :math:`g(x) = w^\top x`, the problem GS (15), with weights :math:`\omega` of the labels and
:math:`\omega_s` of the teacher's answers,

.. math::
    \hat w = \arg\min_w \sum_{i \notin I} \omega (y_i - w^\top x_i)^2
        + \sum_{i \in I} \Big[(1 - \lambda)\, \omega (y_i - w^\top x_i)^2
        + \lambda\, \omega_s (s_i - w^\top x_i)^2\Big],

has the minimisers of :math:`\sum_i \sigma'_i (y''_i - w^\top x_i)^2` (GS, Theorem 2: true), with

.. math::
    \sigma'_i = \begin{cases} \omega \\ (1 - \lambda)\omega + \lambda \omega_s \end{cases}
    \quad
    y'_i = \begin{cases} \omega y_i \\ (1 - \lambda) \omega y_i + \lambda \omega_s s_i \end{cases}
    \quad \begin{matrix} i \notin I \\ i \in I \end{matrix}, \qquad
    \Sigma^{-1} = \operatorname{diag}(\sigma'), \quad y'' = \Sigma y' .

What GS prints and what is meant:

* (15) multiplies squares by :math:`\sigma^2` and :math:`\sigma_s^2`. From :math:`N(y \mid g,
  \sigma^2)` the weights are :math:`1/\sigma^2` and :math:`1/\sigma_s^2`; the printed ones are right
  only if :math:`\sigma` is the root of a precision. Both are here, by name.
* (18) carries a factor 2 on the right-hand side that the left-hand side lacks; the last formula
  keeps it, and has lost the transpose of X, as the second line of (19) has. Correct is
  :math:`X^\top \Sigma^{-1} X \hat w = X^\top \Sigma^{-1} y'' = X^\top y'`; with the printed 2
  the solution would be twice too large.
* The equivalence (16) is one of estimates, not of uncertainty: the powers 1 − λ and λ temper the
  likelihoods, so that :math:`(X^\top \Sigma^{-1} X)^{-1}`, which :math:`y'' \sim N(Xw, \Sigma)`
  would give, is larger than the covariance of the estimate: see `kdtheory.inference`.

Beyond the paper: a noise for each object, weights c of the objects, several outputs, an intercept
and a ridge :math:`\rho \|w\|^2`. With :math:`a_i = c_i (1 - \lambda 1_I) \omega_i` and
:math:`b_i = c_i \lambda 1_I \omega_{s,i}`, so that :math:`\sigma' = a + b`, and with
:math:`A = \tilde X^\top \Sigma^{-1} \tilde X + \rho`, where a tilde adds the intercept's column,

.. math::
    \frac{d\hat w}{d\lambda} = A^{-1} \sum_{i \in I} c_i \tilde x_i
        \big[\omega_{s,i} (s_i - \hat y_i) - \omega_i (y_i - \hat y_i)\big], \qquad
    e_i = y_i - \hat y_i + \frac{h_i}{1 - h_i} (y''_i - \hat y_i),
    \quad h_i = \sigma'_i \tilde x_i^\top A^{-1} \tilde x_i,

e_i being the error at label i of the regression that has seen neither label nor answer of object i.

notation: λ = trust, I = privileged, s = teacher, a = label_weight, b = teacher_weight,
c = sample_weight, σ′ = weights = a + b, y″ = targets, y′ = y_prime, V = root with V Vᵀ = A⁻¹
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_answers,
    check_choice,
    check_features,
    check_flag,
    check_in_unit_interval,
    check_lengths_agree,
    check_mask,
    check_masked_array,
    check_noise,
    check_nonnegative,
    check_sample_weight,
)
from kdtheory.least_squares import LeastSquares, RankWarning, weighted_least_squares

__all__ = [
    "DistilledFit",
    "NoOpWarning",
    "RankWarning",
    "blend",
    "distil_regression",
    "noise_weight",
]

Reals = NDArray[np.float64]

ORTHOGONAL = 1e-9  # a cosine that only the rounding of a teacher's own fit explains
ALONE = 1e-10  # distance of a leverage from 1 at which an object alone decides a direction


class NoOpWarning(UserWarning):
    """The teacher leaves the student where the labels put it, whatever the trust."""


@dataclass(frozen=True, eq=False)
class DistilledFit:
    r"""A linear regression distilled from a teacher; see `distil_regression`.

    What needs another pass over X is computed when it is first asked for, from the arrays that
    were given: leave them as they are until then.

    Attributes
    ----------
    coef : (n,) or (n, p) ndarray of float64
        The minimiser :math:`\hat w`; if there are many, the one of least
        :math:`\sum_j \|\Sigma^{-1/2} x_{\cdot j}\|^2 w_j^2`, centred with an intercept.
    intercept : float or (p,) ndarray of float64
        0 if there is none.
    weights : (m,) ndarray of float64
        :math:`\sigma'`, the diagonal of :math:`\Sigma^{-1}`.
    targets : (m,) or (m, p) ndarray of float64
        :math:`y''`, on I between the label and the teacher's answer, elsewhere the label.
    label_precision, teacher_precision : (m,) ndarray of float64
        :math:`c\,\omega` and :math:`c\,\omega_s`.
    solution : LeastSquares
        The solver's own account.
    X, y, teacher, privileged, sample_weight, trust, ridge, fit_intercept
        The arguments as they were checked; `teacher` is 0 outside I.
    """

    coef: Reals
    intercept: Any
    weights: Reals
    targets: Reals
    label_precision: Reals
    teacher_precision: Reals
    solution: LeastSquares
    X: Any
    y: Reals
    teacher: Reals
    privileged: NDArray[np.bool_]
    sample_weight: Reals
    trust: float
    ridge: float
    fit_intercept: bool

    @property
    def label_weight(self) -> Reals:
        """The factors a of the labels' squares in (15), shape (m,)."""
        return np.where(self.privileged, 1 - self.trust, 1.0) * self.label_precision

    @property
    def teacher_weight(self) -> Reals:
        """The factors b of the squares of the teacher's answers in (15), shape (m,)."""
        return np.where(self.privileged, self.trust, 0.0) * self.teacher_precision

    @property
    def rank(self) -> int:
        r"""Numerical rank of :math:`\Sigma^{-1/2} X`, centred if there is an intercept."""
        return self.solution.rank

    @property
    def condition(self) -> float:
        r"""Ratio of the extreme singular values of :math:`\Sigma^{-1/2} X` with unit columns.

        Centred if there is an intercept, and with the ridge; infinite if the rank is below n.
        """
        return self.solution.condition

    @property
    def solver(self) -> str:
        """The path that was taken: "cholesky", "qr", "svd" or "lsmr"."""
        return self.solution.solver

    @property
    def y_prime(self) -> Reals:
        r""":math:`y' = \Sigma^{-1} y''`."""
        return _rows(self.weights, self.targets) * self.targets

    @property
    def Sigma(self) -> Any:
        r""":math:`\Sigma = \operatorname{diag}(1 / \sigma')` as a sparse matrix; ∞ at weight 0."""
        from scipy.sparse import diags_array

        with np.errstate(divide="ignore"):
            return diags_array(1 / self.weights)

    @cached_property
    def fitted(self) -> Reals:
        r""":math:`\hat y = X \hat w`, with the intercept."""
        return self.solution.predictions(self.X).reshape(self.y.shape)

    @cached_property
    def residuals(self) -> Reals:
        r""":math:`y'' - \hat y`."""
        return self.targets - self.fitted

    @cached_property
    def objective(self) -> float:
        r"""The value of (15) at the solution, with :math:`\rho \|w\|^2`.

        It has the part :math:`\sum_i a_i b_i (y_i - s_i)^2 / \sigma'_i` that does not depend on w.
        (Constants of the likelihood that depend on neither are left out, as in (15).)
        """
        labels = self.label_weight @ (self.y - self.fitted) ** 2
        answers = self.teacher_weight @ (self.teacher - self.fitted) ** 2
        return float(np.sum(labels + answers) + self.ridge * np.sum(self.coef**2))

    @cached_property
    def gradient_norm(self) -> float:
        r"""Certificate of optimality: the largest cosine between the residuals and a column.

        :math:`\max_j |x_{\cdot j}^\top \Sigma^{-1} (y'' - \hat y) - \rho w_j|` over the norms of
        :math:`\Sigma^{-1/2} x_{\cdot j}` and :math:`\Sigma^{-1/2} y''`, both centred if there is
        an intercept. At a minimum it is 0; rounding leaves about machine epsilon times the size
        of the terms :math:`x_{ij} \hat w_j` beside that of :math:`y''_i`.
        """
        weights, targets = self.weights[:, None], _columns(self.targets)
        scores = weights * _columns(self.residuals)
        slope = self.solution.moments(self.X, scores)[-len(self.coef) :]
        slope -= self.ridge * _columns(self.coef)
        if self.fit_intercept:
            targets = targets - self.weights @ targets / self.weights.sum()
        sizes = np.linalg.norm(np.sqrt(weights) * targets, axis=0)
        relative = np.abs(slope) / self.solution.column_norms[:, None]
        return float((relative / np.where(sizes > 0, sizes, np.inf)).max())

    @cached_property
    def leverages(self) -> Reals:
        r""":math:`h_i = \sigma'_i \tilde x_i^\top A^{-1} \tilde x_i`, in [0, 1], shape (m,)."""
        return self.solution.leverages(self.X, self.weights)

    @cached_property
    def loo_residuals(self) -> Reals:
        """Errors e_i at the labels, each by the regression without its object; of y's shape.

        NaN where an object alone decides a direction, so that there is none without it.
        """
        ratio = self.leverages / self._without_object
        return np.asarray(self.y - self.fitted + _rows(ratio, self.y) * self.residuals)

    @cached_property
    def loo_error(self) -> float:
        r"""Mean of :math:`e_i^2` with the weights :math:`c_i \omega_i`, and over the outputs.

        Infinite where some e_i of positive weight is not defined.
        """
        counted = self.label_precision > 0
        squares = _columns(self.loo_residuals)[counted] ** 2
        precision = self.label_precision[counted]
        error = float((precision @ squares).mean() / precision.sum())
        return error if np.isfinite(error) else np.inf

    @cached_property
    def coef_trust_gradient(self) -> Reals:
        r""":math:`d\hat w / d\lambda`, of the shape of `coef`."""
        pull, _ = self._pull
        slope = self.solution.root @ self._pull_image(pull)
        return slope[-len(self.coef) :].reshape(self.coef.shape)

    @cached_property
    def loo_error_trust_gradient(self) -> float:
        """Derivative of `loo_error` in λ; NaN where that is infinite."""
        y, s, f = (_columns(part) for part in (self.y, self.teacher, self.fitted))
        pull, _ = self._pull
        of_fit = self._pull_image(pull)
        da = np.where(self.privileged, -self.label_precision, 0.0)
        db = np.where(self.privileged, self.teacher_precision, 0.0)
        weights, d_weights = self.weights[:, None], (da + db)[:, None]
        # with t_i = Vᵀ x̃_i: q_i = x̃ᵀ A⁻¹ x̃ = t ᵀ t, dq_i = −tᵀ (Vᵀ dA V) t, dŷ_i = tᵀ Vᵀ pull
        bend = sum((t * d_weights[rows]).T @ t for rows, t in self.solution.images(self.X))
        q, dq, df = np.empty_like(weights), np.empty_like(weights), np.empty_like(y)
        for rows, t in self.solution.images(self.X):
            q[rows, 0] = np.einsum("ij,ij->i", t, t)
            dq[rows, 0] = -np.einsum("ij,ij->i", t @ bend, t)
            df[rows] = t @ of_fit
        score = self.label_weight[:, None] * (y - f) + self.teacher_weight[:, None] * (s - f)
        d_score = da[:, None] * (y - f) + db[:, None] * (s - f) - weights * df
        left = self._without_object[:, None]
        d_left = -(d_weights * q + weights * dq)
        de = -df + (dq * score + q * d_score) / left - q * score * d_left / left**2
        counted = self.label_precision > 0
        precision = self.label_precision[counted]
        products = _columns(self.loo_residuals)[counted] * de[counted]
        return float(2 * (precision @ products).mean() / precision.sum())

    @cached_property
    def no_op(self) -> bool:
        r"""Whether the teacher changes nothing, whatever the trust.

        So it is exactly if :math:`d\hat w / d\lambda = 0` at one λ, since the normal equations
        are linear in λ. The usual case is a teacher of least squares on features that contain the
        student's, fitted to the rows of I with the same weights and no penalty, beside equal noises
        (tower property).
        """
        if not (self.privileged & (self.sample_weight > 0)).any():
            return False
        pull, size = self._pull
        slope = np.abs(self.solution.moments(self.X, pull))
        roots = np.sqrt(np.where(self.weights > 0, self.weights, np.inf))[:, None]
        norms = self.solution.column_norms
        if self.fit_intercept:
            norms = np.concatenate([[np.sqrt(self.weights.sum())], norms])
        bound = ORTHOGONAL * norms[:, None] * np.linalg.norm(size / roots, axis=0)
        return bool((slope <= bound).all())

    @property
    def _without_object(self) -> Reals:
        """1 − h, or NaN where that is 0."""
        left = 1 - self.leverages
        return np.where(left > ALONE, left, np.nan)

    @property
    def _pull(self) -> tuple[Reals, Reals]:
        """Slope of the scores in λ at a fixed ŵ, and the sizes of its two terms together."""
        inside = self.privileged[:, None]
        answers = self.teacher_precision[:, None] * _columns(self.teacher - self.fitted)
        labels = self.label_precision[:, None] * _columns(self.y - self.fitted)
        size = np.abs(answers) + np.abs(labels)
        return np.where(inside, answers - labels, 0.0), np.where(inside, size, 0.0)

    def _pull_image(self, pull: Reals) -> Reals:
        parts = [t.T @ pull[rows] for rows, t in self.solution.images(self.X)]
        return np.asarray(np.sum(parts, axis=0))


def distil_regression(
    X: ArrayLike,
    y: ArrayLike,
    teacher: ArrayLike | None,
    *,
    privileged: ArrayLike | None = None,
    trust: float = 0.5,
    sigma: ArrayLike = 1.0,
    sigma_teacher: ArrayLike = 1.0,
    convention: str = "precision",
    sample_weight: ArrayLike | None = None,
    ridge: float = 0.0,
    fit_intercept: bool = False,
    solver: str = "auto",
) -> DistilledFit:
    r"""Linear regression on labels and a teacher's answers, in closed form.

    .. math:: \hat w = (X^\top \Sigma^{-1} X)^{-1} X^\top \Sigma^{-1} y'', \qquad
        \Sigma^{-1} = \operatorname{diag}(\sigma'),

    with :math:`\sigma'` and :math:`y''` of the module's docstring: the minimiser of (15), by the
    fastest path of `kdtheory.least_squares` that keeps twelve digits or so.

    Parameters
    ----------
    X : (m, n) array_like or scipy sparse matrix
        Features, m and n at least 1. A sparse matrix is not made dense.
    y : (m,) or (m, p) array_like
        True answers.
    teacher : array_like of the shape of y, or None
        Teacher's answers s. Entries outside `privileged` are ignored and may be NaN. None: nobody
        answers, and what is left is weighted least squares.
    privileged : (m,) array_like of bool, optional
        I: which objects have a teacher's answer; by default all, or none without a teacher.
    trust : float, default 0.5
        λ in [0, 1], the confidence in the teacher: 0 ignores it; at 1 the labels of I are ignored.
    sigma, sigma_teacher : float or (m,) array_like, default 1
        Noise of the labels and of the teacher's answers, finite and positive. Only their ratios
        move the estimate, if there is no ridge.
    convention : {"precision", "printed"}, default "precision"
        "precision": ω = 1/σ², ω_s = 1/σ_s², what the normal densities of GS, section 5.2 give.
        "printed": ω = σ², ω_s = σ_s², the letter of (15) and (17).
    sample_weight : (m,) array_like, optional
        c, at least 0 and not all 0; by default ones. It multiplies both weights of an object: 0 is
        as good as its absence, and 2 moves the estimate as two copies do.
    ridge : float, default 0
        ρ, at least 0. The intercept is not penalised.
    fit_intercept : bool, default False
        Whether to add one; GS has none.
    solver : {"auto", "cholesky", "qr", "svd", "lsmr"}, default "auto"
        "lsmr" is for sparse X only.

    Returns
    -------
    DistilledFit
        Estimate, weights, targets, and evidence of quality. Computed in float64.

    Raises
    ------
    ValueError
        If a shape, a length, a range or a word is wrong; if X, y, or the teacher on I is not
        finite; if a squared noise or its reciprocal is out of the range of a double; if X is too
        near to linear dependence for ``solver="cholesky"``.
    TypeError
        If an array is not made of real numbers, a number is not one, or the mask is not boolean.

    Warns
    -----
    RankWarning
        If the columns of X are linearly dependent to machine precision. The result is then the
        minimiser of least norm in the scaled columns, the least
        :math:`\sum_j \|\Sigma^{-1/2} x_{\cdot j}\|^2 w_j^2`. So it does not depend on the units
        of the features either; it is the pseudo-inverse's answer where these norms are equal.

    Notes
    -----
    A teacher that is least squares on features which contain the student's, fitted to the rows of
    I with the weights cω and no penalty, changes nothing, whatever the trust, if the noises are
    equal, or if I is everything, they are proportional and there is no ridge: its answers project
    onto the student's features exactly as the labels do. `DistilledFit.no_op` tells.

    References
    ----------
    .. [1] GS, Theorem 2 and (15)-(19), corrected as the module's docstring says.

    Examples
    --------
    >>> fit = distil_regression(
    ...     X=[[1.0], [1.0]], y=[0.0, 2.0], teacher=[np.nan, 4.0], privileged=[False, True]
    ... )
    >>> fit.targets, fit.coef
    (array([0., 3.]), array([1.5]))
    """
    design = check_features("X", X)
    labels = check_answers("y", y)
    m = design.shape[0]
    check_lengths_agree(X=range(m), y=labels)
    if teacher is None and privileged is not None:
        msg = "`privileged` must be None without a teacher, got a mask"
        raise ValueError(msg)
    inside = np.zeros(m, dtype=bool) if teacher is None else check_mask("privileged", privileged, m)
    answers = np.zeros_like(labels)
    if teacher is not None:
        answers = check_masked_array("teacher", teacher, inside, shape=labels.shape)
    lam = check_in_unit_interval("trust", trust)
    precision = noise_weight("sigma", sigma, m, convention)
    of_teacher = noise_weight("sigma_teacher", sigma_teacher, m, convention)
    weight = check_sample_weight("sample_weight", sample_weight, m)
    penalty = check_nonnegative("ridge", ridge)
    kinds = ("auto", "cholesky", "qr", "svd") if isinstance(design, np.ndarray) else (
        "auto", "cholesky", "qr", "svd", "lsmr"
    )  # fmt: skip
    check_choice("solver", solver, kinds)
    fit_intercept = check_flag("fit_intercept", fit_intercept)

    sigma_prime, targets = blend(labels, answers, inside, lam, precision, of_teacher)
    sigma_prime = sigma_prime * weight
    solution = weighted_least_squares(
        design,
        _columns(targets),
        sigma_prime,
        ridge=penalty,
        fit_intercept=fit_intercept,
        solver=solver,
    )
    flat = labels.ndim == 1
    return DistilledFit(
        coef=solution.coef[:, 0] if flat else solution.coef,
        intercept=float(solution.intercept[0]) if flat else solution.intercept,
        weights=sigma_prime,
        targets=targets,
        label_precision=weight * precision,
        teacher_precision=weight * of_teacher,
        solution=solution,
        X=design,
        y=labels,
        teacher=answers.astype(np.float64, copy=False),
        privileged=inside,
        sample_weight=weight,
        trust=lam,
        ridge=penalty,
        fit_intercept=fit_intercept,
    )


def blend(
    y: Reals,
    teacher: Reals,
    privileged: NDArray[np.bool_],
    trust: float,
    label_precision: Reals,
    teacher_precision: Reals,
) -> tuple[Reals, Reals]:
    r"""Weights :math:`\sigma'` and targets :math:`y''` of GS (17), for checked arguments.

    Parameters
    ----------
    y, teacher : (m,) or (m, p) ndarray
    privileged : (m,) ndarray of bool
    trust : float
    label_precision, teacher_precision : () or (m,) ndarray
        ω and ω_s, positive, without c: a weight of the object moves no target.

    Returns
    -------
    weights : (m,) ndarray
    targets : (m,) or (m, p) ndarray
        The label itself, with no rounding, where the teacher's answer has no weight.
    """
    from_label = np.where(privileged, 1 - trust, 1.0) * label_precision
    from_teacher = np.where(privileged, trust, 0.0) * teacher_precision
    weights = from_label + from_teacher
    if not from_teacher.any():
        return weights, y
    share = from_teacher / weights
    targets = _rows(from_label / weights, y) * y + _rows(share, y) * teacher
    return weights, targets


def noise_weight(name: str, sigma: Any, length: int, convention: str) -> Reals:
    """Factor of a square in (15): σ² as printed, 1/σ² from the normal density; () or (m,)."""
    check_choice("convention", convention, ("precision", "printed"))
    noise = check_noise(name, sigma, length)
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        square = noise * noise
        if convention == "printed":
            return check_noise(f"{name}**2", square, length)
        return check_noise(f"1/{name}**2", 1 / square, length)


def _columns(values: Reals) -> Reals:
    return values.reshape(len(values), -1)


def _rows(values: Reals, like: Reals) -> Reals:
    """One number for each row, to multiply an array of one or two dimensions."""
    return values if like.ndim == 1 else values[:, None]
