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
* (18) and (19) carry a factor 2 on the right-hand side that the left-hand side lacks, and (19) and
  the last formula lack the transpose of X. Correct is
  :math:`X^\top \Sigma^{-1} X \hat w = X^\top \Sigma^{-1} y'' = X^\top y'`; with the printed 2 the
  solution would be twice too large.
* The equivalence (16) is one of estimates, not of uncertainty: :math:`y''` holds answers that are
  themselves a function of data, so standard errors read off the blended regression as if
  :math:`y'' \sim N(Xw, \Sigma)` are not those of (15).

notation: λ = trust, I = privileged, s = teacher, ω, ω_s = label_weight, teacher_weight,
σ′ = weights, y″ = targets, y′ = y_prime
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_choice,
    check_in_unit_interval,
    check_lengths_agree,
    check_mask,
    check_masked_array,
    check_matrix,
    check_positive,
    check_real_array,
)

__all__ = ["DistilledFit", "RankWarning", "distil_regression"]


class RankWarning(UserWarning):
    """The columns of X are linearly dependent to machine precision: the minimiser is not unique."""


@dataclass(frozen=True, eq=False)
class DistilledFit:
    r"""A linear regression distilled from a teacher; see `distil_regression`.

    Attributes
    ----------
    coef : (n,) ndarray of float64
        The minimiser :math:`\hat w`; if there are many, the one of least
        :math:`\sum_j \|\Sigma^{-1/2} x_{\cdot j}\|^2 w_j^2`.
    weights : (m,) ndarray of float64
        :math:`\sigma'`, the diagonal of :math:`\Sigma^{-1}`.
    targets : (m,) ndarray of float64
        :math:`y''`, on I between the label and the teacher's answer, elsewhere the label.
    y_prime : (m,) ndarray of float64
        :math:`y' = \Sigma^{-1} y''`.
    rank : int
        Numerical rank of :math:`\Sigma^{-1/2} X` with its columns scaled to norm 1.
    condition : float
        Ratio of the largest to the smallest singular value of :math:`\Sigma^{-1/2} X` with its
        columns scaled to norm 1; infinite if ``rank < n``.
    residuals : (m,) ndarray of float64
        :math:`y'' - X \hat w`.
    objective : float
        The value of (15) at the solution, with the part :math:`\sum_{i \in I} (1 - \lambda) \lambda
        \, \omega \omega_s (y_i - s_i)^2 / \sigma'_i` that does not depend on w. (Constants of
        the likelihood that depend on neither are left out, as in (15).)
    gradient_norm : float
        Certificate of optimality: :math:`\max_j |x_{\cdot j}^\top \Sigma^{-1} (y'' - X \hat w)|`
        over the product of the norms of :math:`\Sigma^{-1/2} x_{\cdot j}` and
        :math:`\Sigma^{-1/2} y''`. At a minimum it is 0; rounding leaves about machine epsilon
        times the size of the terms :math:`x_{ij} \hat w_j` beside that of :math:`y''_i`.
    """

    coef: NDArray[np.float64]
    weights: NDArray[np.float64]
    targets: NDArray[np.float64]
    y_prime: NDArray[np.float64]
    rank: int
    condition: float
    residuals: NDArray[np.float64]
    objective: float
    gradient_norm: float


def distil_regression(
    X: ArrayLike,
    y: ArrayLike,
    teacher: ArrayLike,
    *,
    privileged: ArrayLike | None = None,
    trust: float = 0.5,
    sigma: float = 1.0,
    sigma_teacher: float = 1.0,
    convention: str = "precision",
) -> DistilledFit:
    r"""Linear regression on labels and a teacher's answers, in closed form.

    .. math:: \hat w = (X^\top \Sigma^{-1} X)^{-1} X^\top \Sigma^{-1} y'', \qquad
        \Sigma^{-1} = \operatorname{diag}(\sigma'),

    with :math:`\sigma'` and :math:`y''` of the module's docstring: the minimiser of (15). It is
    computed by Householder QR with column pivoting of :math:`\Sigma^{-1/2} X`, its columns scaled
    to norm 1, so that the decision about the rank does not depend on the units of the features.
    Column j counts while :math:`|R_{jj}| > \max(m, n)\, \varepsilon\, |R_{11}|`.

    Parameters
    ----------
    X : (m, n) array_like
        Features, m and n at least 1. There is no intercept, as in GS: add a column of ones.
    y : (m,) array_like
        True answers.
    teacher : (m,) array_like
        Teacher's answers s. Entries outside `privileged` are ignored and may be NaN.
    privileged : (m,) array_like of bool, optional
        I: which objects have a teacher's answer; by default all. With none it is ordinary least
        squares.
    trust : float, default 0.5
        λ in [0, 1], the confidence in the teacher: 0 ignores it; at 1 the labels of I are ignored.
    sigma, sigma_teacher : float, default 1
        Noise of the labels and of the teacher's answers, finite and positive. Only their ratio
        moves the estimate.
    convention : {"precision", "printed"}, default "precision"
        "precision": ω = 1/σ², ω_s = 1/σ_s², what the normal densities of GS, section 5.2 give.
        "printed": ω = σ², ω_s = σ_s², the letter of (15) and (17).

    Returns
    -------
    DistilledFit
        Estimate, weights, targets, and evidence of quality. Computed in float64.

    Raises
    ------
    ValueError
        If a shape, a length, a range or the convention is wrong; if X, y, or the teacher on I is
        not finite; or if a squared noise or its reciprocal is out of the range of a double.
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
    A teacher that is least squares on features which contain the student's, fitted to the same
    rows with the same weights and no penalty, changes nothing, whatever the trust: its answers
    project onto the student's features exactly as the labels do.

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
    design = check_matrix("X", X).astype(np.float64, copy=False)
    labels = check_real_array("y", y, ndim=1).astype(np.float64, copy=False)
    m = check_lengths_agree(X=design, y=labels)
    inside = check_mask("privileged", privileged, m)
    answers = check_masked_array("teacher", teacher, inside).astype(np.float64, copy=False)
    lam = check_in_unit_interval("trust", trust)
    check_choice("convention", convention, ("precision", "printed"))
    label_weight = _weight_of("sigma", sigma, convention)
    teacher_weight = _weight_of("sigma_teacher", sigma_teacher, convention)

    # the two kinds of rows of (15), and their blend. Both weights are positive, so σ′ > 0 always
    from_label = np.where(inside, (1 - lam) * label_weight, label_weight)
    from_teacher = np.where(inside, lam * teacher_weight, 0.0)
    weights = from_label + from_teacher
    targets = (from_label / weights) * labels + (from_teacher / weights) * answers

    # least squares in √σ′ X; a common factor of the weights cancels and is left out
    root = np.sqrt(weights / weights.max())
    scaled, norms = _unit_columns(root[:, None] * design)
    goal = root * targets
    solution, rank, condition = _least_squares(scaled, goal)
    coef = solution / norms
    if rank < design.shape[1]:
        msg = (
            f"`X` has numerical rank {rank} with {design.shape[1]} column(s): the minimiser is not "
            "unique, the one of least norm in the scaled columns is returned"
        )
        warnings.warn(msg, RankWarning, stacklevel=2)

    fitted = design @ coef
    residuals = targets - fitted
    objective = from_label @ (labels - fitted) ** 2 + from_teacher @ (answers - fitted) ** 2
    size = np.linalg.norm(goal)
    gradient = np.abs((root * residuals) @ scaled).max()
    return DistilledFit(
        coef=coef,
        weights=weights,
        targets=targets,
        y_prime=weights * targets,
        rank=rank,
        condition=condition,
        residuals=residuals,
        objective=float(objective),
        gradient_norm=float(gradient / size) if size > 0 else 0.0,
    )


def _weight_of(name: str, sigma: float, convention: str) -> float:
    """Factor of a square in (15): σ² as printed, 1/σ² from the normal density."""
    number = np.float64(check_positive(name, sigma))
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        square = number * number
        if convention == "printed":
            return check_positive(f"{name}**2", square)
        return check_positive(f"1/{name}**2", 1 / square)


def _unit_columns(
    matrix: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix with columns of norm 1 (or 0), and the norms (1 for a zero column)."""
    # by the largest entry first: the squares of 1e200 or 1e-200 are out of range
    largest = np.abs(matrix).max(axis=0)
    largest[largest == 0] = 1.0
    scaled = matrix / largest
    norms = np.linalg.norm(scaled, axis=0)
    norms[norms == 0] = 1.0
    return scaled / norms, largest * norms


def _least_squares(
    scaled: NDArray[np.float64], goal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int, float]:
    """Least-norm z among the minimisers of ‖A z − b‖, with rank and condition of A.

    A = scaled has unit columns, b = goal. From A P = Q R the minimisers solve
    R₁ Pᵀ z = (Qᵀ b)₁ = c, where R₁ is the first `rank` rows of R.
    """
    # here, since its import takes a third of a second
    import scipy.linalg

    m, n = scaled.shape
    rotated, R, order = scipy.linalg.qr_multiply(scaled, goal, mode="right", pivoting=True)
    diagonal = np.abs(np.diag(R))
    rank = int(np.count_nonzero(diagonal > max(m, n) * np.finfo(np.float64).eps * diagonal[0]))
    solution = np.zeros(n)
    if rank == n:
        solution[order] = scipy.linalg.solve_triangular(R, rotated)
        singular = scipy.linalg.svdvals(R)
        return solution, rank, float(singular[0] / singular[-1])
    if rank > 0:
        # R₁ Pᵀ z = c has full row rank: with R₁ᵀ = V L, the least norm is z = P V L⁻ᵀ c
        V, L = scipy.linalg.qr(R[:rank].T, mode="economic")
        solution[order] = V @ scipy.linalg.solve_triangular(L, rotated[:rank], trans="T")
    return solution, rank, np.inf
