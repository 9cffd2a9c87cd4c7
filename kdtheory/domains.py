r"""Distillation across domains: a teacher who knows one domain, a linear student of another.

MD, section 3.2, has a teacher :math:`f : \mathbb X^s \to \mathbb Y` of a strong *source* domain, a
link :math:`\varphi : \mathbb X^t \to \mathbb X^s` from the weak *target* domain to it, and for the
student :math:`g(X, w)` of the target domain the loss (its :math:`f \times \varphi` is the
composition)

.. math:: \mathcal L = \lambda \|y - g(X, w)\|_2^2 + (1 - \lambda) \|g(X, w) - f(\varphi(X))\|_2^2 .

It is GS (15) with :math:`1 - \lambda` in the place of λ, both noises equal to 1, I = everything,
and :math:`s_i = f(\varphi(x_i))`: every term is the same. So for a linear student Theorem 2
solves it. As :math:`\lambda + (1 - \lambda) = 1`, all :math:`\sigma'_i = 1`, and completing the
square shows it in one line,

.. math:: \mathcal L = \|y'' - Xw\|^2 + \lambda (1 - \lambda) \|y - s\|^2, \qquad
    y'' = \lambda y + (1 - \lambda) s .

**MD's λ is the opposite of GS's**: it weighs the true answers. Here ``trust`` is GS's, and
``md_lambda = 1 - trust``.

The weights of the rows do not depend on trust, nor do their leverages, and each prediction is
linear in the targets. So the leave-one-out error is exactly a parabola in trust, and the best
trust (MD leaves it open) is a ratio of two sums.

notation: λ = trust (MD's λ = md_lambda), s = answers, φ = link, f = teacher, g = the student,
Σ_t, Σ_s = covariances of the domains, T = coef of a link, B = coef of a paired link, ρ = ridge
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_callable,
    check_choice,
    check_lengths_agree,
    check_matrix,
    check_noise,
    check_nonnegative,
    check_real_array,
)
from kdtheory.regression import DistilledFit, distil_regression

__all__ = [
    "DomainFit",
    "MomentLink",
    "PairedLink",
    "distil_across",
    "moment_link",
    "paired_link",
]

Reals = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
GRID = 60  # penalties tried on a logarithmic scale before the best is refined
# of these penalties, beside the largest squared singular value: below, leverages round to 1
SMALLEST, LARGEST = 1e-8, 1e6


@dataclass(frozen=True, eq=False)
class DomainFit:
    r"""A linear student of the target domain; see `distil_across`.

    Attributes
    ----------
    fit : DistilledFit
        The student as Theorem 2 solves it: ``fit.coef``, ``fit.intercept``, ``fit.loo_error``, …
    answers : (m,) or (m, p) ndarray of float64
        :math:`s_i = f(\varphi(x_i))`.
    trust : float
        GS's λ: as given, or as leave-one-out chose it.
    link : callable
        φ.
    """

    fit: DistilledFit
    answers: Reals
    trust: float
    link: Callable[[Any], ArrayLike]

    @property
    def md_lambda(self) -> float:
        """MD's λ = 1 − trust, the weight of the true answers: the opposite of GS's λ."""
        return 1 - self.trust

    def predict(self, X: ArrayLike) -> Reals:
        """Student's answers, (k,) or (k, p), for target features (k, n_t)."""
        design = _features("X", X, len(self.fit.coef))
        answers: Reals = design @ self.fit.coef + self.fit.intercept
        return answers


@dataclass(frozen=True, eq=False)
class PairedLink:
    r"""Link learned from pairs, :math:`\varphi(x) = \bar u + B^\top (x - \bar x)`.

    See `paired_link`.

    Attributes
    ----------
    coef : (n_t, n_s) ndarray of float64
        B.
    center : (n_t,) ndarray of float64
        :math:`\bar x`, the mean of the target features.
    image : (n_s,) ndarray of float64
        :math:`\bar u`, the mean of the source features.
    ridge : float
        ρ, as given or as leave-one-out chose it.
    loo_error : (n_s,) ndarray of float64
        Mean squared leave-one-out error of each source feature, in its unit squared; NaN if the
        map without some object is not determined.
    """

    coef: Reals
    center: Reals
    image: Reals
    ridge: float
    loo_error: Reals

    def __call__(self, X: ArrayLike) -> Reals:
        """Source features, (k, n_s), for target features (k, n_t)."""
        return _affine(X, self.coef, self.center, self.image)


@dataclass(frozen=True, eq=False)
class MomentLink:
    r"""Link by moments, :math:`\varphi(x) = \mu_s + T (x - \mu_t)`; see `moment_link`.

    Attributes
    ----------
    coef : (n, n) ndarray of float64
        The transpose of T, as rows are multiplied by it; T itself is symmetric where the cost of
        transport has the same unit for all features.
    center, image : (n,) ndarray of float64
        The means :math:`\mu_t` and :math:`\mu_s`.
    target_rank, source_rank : int
        Numerical ranks of the two covariances.
    """

    coef: Reals
    center: Reals
    image: Reals
    target_rank: int
    source_rank: int

    def __call__(self, X: ArrayLike) -> Reals:
        """Source features, (k, n), for target features (k, n)."""
        return _affine(X, self.coef, self.center, self.image)


def distil_across(
    X: ArrayLike,
    y: ArrayLike,
    teacher: Any,
    link: Callable[[Any], ArrayLike],
    *,
    trust: float | str = 0.5,
    sample_weight: ArrayLike | None = None,
    ridge: float = 0.0,
    fit_intercept: bool = False,
    solver: str = "auto",
) -> DomainFit:
    r"""Linear student of the target domain, by a teacher of the source domain.

    The minimiser of MD's loss with MD's λ equal to 1 − trust, in closed form,

    .. math:: (1 - \text{trust}) \sum_i c_i (y_i - \tilde x_i^\top w)^2
        + \text{trust} \sum_i c_i (\tilde x_i^\top w - f(\varphi(x_i)))^2 + \rho \|w\|^2 ,

    :math:`\tilde x_i` with a 1 in front if there is an intercept, which is not penalised. MD has
    neither c (all 1) nor ρ (0).

    With ``trust="loo"`` it is the trust that minimises the leave-one-out error. Let
    :math:`e_i` be :math:`y_i` minus the prediction for i of the student without a teacher who has
    not seen object i, and :math:`e_i + d_i` the same of the student who follows the teacher
    alone. At trust λ the error is :math:`e_i + \lambda d_i`, so the minimiser is

    .. math:: \lambda = -\frac{\sum_i c_i e_i d_i}{\sum_i c_i d_i^2}, \quad
        \text{clipped to } [0, 1] .

    Parameters
    ----------
    X : (m, n_t) array_like
        Features of the target domain.
    y : (m,) or (m, p) array_like
        True answers.
    teacher : callable or object with a method ``predict``
        f, from (m, n_s) source features to answers of the shape of `y`.
    link : callable
        φ, from (m, n_t) target features to (m, n_s) source features: any function, or what
        `paired_link` or `moment_link` returned.
    trust : float in [0, 1], or "loo", default 0.5
        Confidence in the teacher, GS's λ; **MD's λ is 1 − trust**. "loo": by leave-one-out. It is
        honest only if neither the teacher nor the link has seen these answers y.
    sample_weight : (m,) array_like, optional
        c, at least 0; by default all 1.
    ridge : float, default 0
        ρ, at least 0.
    fit_intercept : bool, default False
        MD and GS have no intercept.
    solver : str, default "auto"
        As in `kdtheory.distil_regression`.

    Returns
    -------
    DomainFit

    Raises
    ------
    ValueError
        If an argument is out of range; if the link or the teacher returns a wrong shape or a
        number that is not finite; or if trust is "loo" and the student without some object is not
        determined.
    TypeError
        If the link is not callable, the teacher neither callable nor able to predict, or an array
        is not made of real numbers.

    Notes
    -----
    * With the identity as link it is `kdtheory.distil_regression` for everybody privileged.
    * If teacher and link are affine, s is affine in x. With an intercept and no ridge the student's
      weights are then :math:`(1 - \text{trust})\, \hat w_y + \text{trust}\, B v`, between those
      without a teacher and the teacher's weights v carried over by the link's B.
    * A teacher or a link that was fitted to these very answers y knows the label that is left out,
      and leave-one-out trusts it too much. Of a teacher who changes nothing at all (least squares
      on the same rows and on features that contain the student's; `DistilledFit.no_op`) it would
      say 1; the trust is then 0.

    References
    ----------
    .. [1] MD, section 3.2 (its loss has no number); GS, Theorem 2 and (15).

    Examples
    --------
    >>> import numpy as np
    >>> def teacher(U):
    ...     return U[:, 0] + U[:, 1]
    >>> def link(X):
    ...     return np.hstack([X, X**2])
    >>> found = distil_across([[1.0], [2.0]], [2.0, 5.0], teacher, link, trust=0.25)
    >>> found.answers, found.md_lambda, found.fit.targets
    (array([2., 6.]), 0.75, array([2.  , 5.25]))
    """
    design = check_matrix("X", X).astype(np.float64, copy=False)
    labels = check_real_array("y", y).astype(np.float64, copy=False)
    m = check_lengths_agree(X=design, y=np.atleast_1d(labels))
    check_callable("link", link)
    predict = getattr(teacher, "predict", teacher)
    check_callable("teacher", predict)
    source = check_matrix("link(X)", link(design))
    check_lengths_agree(**{"X": design, "link(X)": source})
    answers = check_real_array("teacher(link(X))", predict(source)).astype(np.float64, copy=False)
    if answers.shape != labels.shape:
        msg = f"`teacher(link(X))` must have the shape of `y`, {labels.shape}, got {answers.shape}"
        raise ValueError(msg)

    common: dict[str, Any] = {
        "sample_weight": sample_weight,
        "ridge": ridge,
        "fit_intercept": fit_intercept,
        "solver": solver,
    }
    if isinstance(trust, str):
        check_choice("trust", trust, ("loo",))
        both = np.hstack([labels.reshape(m, -1), answers.reshape(m, -1)])
        trust = _loo_trust(distil_regression(design, both, None, **common))
        fit = distil_regression(design, labels, answers, trust=trust, **common)
        if fit.no_op:
            fit = distil_regression(design, labels, answers, trust=0.0, **common)
    else:
        fit = distil_regression(design, labels, answers, trust=trust, **common)
    return DomainFit(fit=fit, answers=answers, trust=fit.trust, link=link)


def paired_link(
    X_target: ArrayLike, X_source: ArrayLike, *, ridge: float | str = "loo"
) -> PairedLink:
    r"""Link learned in closed form from objects that were seen in both domains.

    .. math:: \min_{a, B} \sum_i \|u_i - a - B^\top x_i\|^2 + \rho \|B\|_F^2, \qquad
        \varphi(x) = \bar u + B^\top (x - \bar x),

    with :math:`x_i` and :math:`u_i` the features of object i in the target and in the source
    domain. The shift a is not penalised, so φ maps the mean to the mean.

    With ``ridge="loo"`` the penalty minimises the leave-one-out error, summed over the source
    features, each in units of its variance. From the centred :math:`X = U D V^\top` all of it is
    closed: the residuals are :math:`r(\rho) = u - \bar u - U \frac{D^2}{D^2 + \rho} U^\top u`, the
    leverages :math:`h_i(\rho) = \frac 1m + \sum_j U_{ij}^2 \frac{d_j^2}{d_j^2 + \rho}`, and the
    errors :math:`r_i / (1 - h_i)`. The least value on a logarithmic grid, from
    :math:`10^{-8} d_1^2` to :math:`10^6 d_1^2`, is refined.

    Parameters
    ----------
    X_target : (m, n_t) array_like
        At least 3 rows for ``ridge="loo"``. The penalty depends on the units of these features:
        bring them to one scale first.
    X_source : (m, n_s) array_like
        The same objects in the same order.
    ridge : float at least 0, or "loo" (default)
        ρ.

    Returns
    -------
    PairedLink

    Raises
    ------
    ValueError
        If lengths differ, a number is not finite, the ridge is negative, or leave-one-out has
        nothing to choose: fewer than 3 rows, or all target or all source features constant.
    TypeError
        If an array is not made of real numbers.

    Warns
    -----
    RankWarning
        If the ridge is 0 and the centred target features are linearly dependent.

    Examples
    --------
    >>> link = paired_link([[0.0], [1.0], [2.0]], [[1.0, 5.0], [3.0, 5.0], [5.0, 5.0]], ridge=0)
    >>> link([[10.0]]).round(9)
    array([[21.,  5.]])
    """
    target = check_matrix("X_target", X_target).astype(np.float64, copy=False)
    source = check_matrix("X_source", X_source).astype(np.float64, copy=False)
    check_lengths_agree(X_target=target, X_source=source)
    center, image = _mean(target), _mean(source)
    if isinstance(ridge, str):
        check_choice("ridge", ridge, ("loo",))
        rho = _loo_ridge(target - center, source - image)
    else:
        rho = check_nonnegative("ridge", ridge)
    fit = distil_regression(target - center, source - image, None, ridge=rho, fit_intercept=True)
    return PairedLink(
        coef=fit.coef,
        center=center,
        image=image,
        ridge=rho,
        loo_error=np.mean(fit.loo_residuals**2, axis=0),
    )


def moment_link(
    X_target: ArrayLike, X_source: ArrayLike, *, units: ArrayLike | None = None
) -> MomentLink:
    r"""Link from two samples without pairs, by matching means and covariances.

    The affine map that carries the normal distribution with the target's moments into the one
    with the source's, and moves it least (optimal transport; Bures and Wasserstein),

    .. math:: \varphi(x) = \mu_s + T (x - \mu_t), \qquad
        T = \Sigma_t^{-1/2} (\Sigma_t^{1/2} \Sigma_s \Sigma_t^{1/2})^{1/2} \Sigma_t^{-1/2} .

    The mapped sample has exactly the mean and the covariance of the source sample, and if the two
    samples have equal moments φ is the identity on the span of the data. It is computed as
    :math:`T = \Sigma_s^{1/2} [(\Sigma_s^{1/2} \Sigma_t \Sigma_s^{1/2})^{1/2}]^+ \Sigma_s^{1/2}`,
    which is the same and needs no inverse of :math:`\Sigma_t`; covariances are never
    formed, only factors of the centred data.

    What moments identify. Every :math:`\Sigma_s^{1/2} Q \Sigma_t^{-1/2}` with orthogonal Q matches
    them, so the data alone do not fix the link. *Least movement* chooses Q, and it is a
    meaningful choice where the features are the same in both domains (the same devices moved, or
    drifted), column by column: the map is then the nearest to no change. Between spaces of
    different features nothing says which source feature a target feature is, and not even its
    sign: matching principal axes by their order leaves :math:`2^n` equally good maps, half of
    which turn a given axis round. Different numbers of columns are therefore refused: use pairs.

    Parameters
    ----------
    X_target : (m_t, n) array_like
        At least 2 rows; the order of the rows means nothing.
    X_source : (m_s, n) array_like
        At least 2 rows, and the same features in the same order.
    units : float or (n,) array_like, optional
        Positive lengths by which the features are divided in the cost of transport,
        :math:`\sum_j (x_j - \varphi_j(x))^2 / u_j^2`, by default all 1. The moments are matched
        whatever they are; with standard deviations the link does not depend on units of measure.

    Returns
    -------
    MomentLink

    Raises
    ------
    ValueError
        If the numbers of columns differ, a sample has fewer than 2 rows, a number is not finite, a
        unit is not positive, or no affine map exists, since the source varies in directions in
        which (after the least movement) the target does not.
    TypeError
        If an array is not made of real numbers.

    References
    ----------
    .. [1] I. Olkin and F. Pukelsheim, "The distance between two random vectors with given
       dispersion matrices", Linear Algebra and its Applications 48 (1982), 257-263.

    Examples
    --------
    >>> link = moment_link([[0.0], [2.0]], [[10.0], [11.0], [12.0]])
    >>> link([[0.0], [1.0], [2.0]]).round(6)  # standard deviations: √2 becomes 1
    array([[10.292893],
           [11.      ],
           [11.707107]])
    """
    target = check_matrix("X_target", X_target).astype(np.float64, copy=False)
    source = check_matrix("X_source", X_source).astype(np.float64, copy=False)
    n = target.shape[1]
    if source.shape[1] != n:
        msg = (
            f"`X_source` must have the {n} feature(s) of `X_target`, got {source.shape[1]}: "
            "moments fix no map between different spaces (use `paired_link`)"
        )
        raise ValueError(msg)
    for name, sample in (("X_target", target), ("X_source", source)):
        if len(sample) < 2:
            msg = f"`{name}` must have at least 2 rows for a covariance, got {len(sample)}"
            raise ValueError(msg)
    lengths = np.ones(n) * check_noise("units", 1.0 if units is None else units, n)

    center, image = _mean(target), _mean(source)
    L_t, L_s = _root((target - center) / lengths), _root((source - image) / lengths)
    # with K = L_tᵀ L_s = U S Vᵀ: T = L_s (KᵀK)^(−1/2) L_sᵀ = (L_s V) S⁻¹ (L_s V)ᵀ
    singular, V = _singular_values(L_t.T @ L_s)
    target_rank, source_rank = L_t.shape[1], L_s.shape[1]
    lost = n * EPS * np.linalg.norm(L_t) * np.linalg.norm(L_s) if target_rank < n else 0.0
    if np.count_nonzero(singular > lost) < source_rank:
        msg = (
            f"`X_target` must vary wherever `X_source` does, but its covariance of rank "
            f"{target_rank} cannot be mapped onto one of rank {source_rank}"
        )
        raise ValueError(msg)
    turned = L_s @ V
    T = (turned / singular) @ turned.T
    return MomentLink(
        coef=T / lengths[:, None] * lengths,
        center=center,
        image=image,
        target_rank=target_rank,
        source_rank=source_rank,
    )


def _features(name: str, X: ArrayLike, n: int) -> Reals:
    features: Reals = check_matrix(name, X).astype(np.float64, copy=False)
    return check_matrix(name, features, shape=(len(features), n))


def _affine(X: ArrayLike, coef: Reals, center: Reals, image: Reals) -> Reals:
    """Values of image + (x − center) coef: centred first, as features may lie around 1e8."""
    mapped: Reals = image + (_features("X", X, len(coef)) - center) @ coef
    return mapped


def _mean(sample: Reals) -> Reals:
    """Mean of the rows, corrected by the mean of what it leaves: sums around 1e8 lose digits."""
    first = sample.mean(axis=0)
    mean: Reals = first + (sample - first).mean(axis=0)
    return mean


def _loo_trust(alone: DistilledFit) -> float:
    """Trust of the least leave-one-out error, from the fits to the labels and to the answers."""
    p = alone.y.shape[1] // 2
    labels, answers = alone.y[:, :p], alone.y[:, p:]
    without = alone.loo_residuals[:, :p]
    change = (labels - answers) + alone.loo_residuals[:, p:] - without
    if not np.isfinite(change).all():
        msg = "`trust` cannot be 'loo': without some object the student is not determined"
        raise ValueError(msg)
    c = alone.sample_weight
    bend = float(c @ (change**2).sum(axis=1))
    slope = float(c @ (without * change).sum(axis=1))
    return float(np.clip(-slope / bend, 0, 1)) if bend > 0 else 0.0


def _loo_ridge(X: Reals, Z: Reals) -> float:
    """Penalty of the least leave-one-out error of centred Z on centred X; see `paired_link`."""
    # here, since its import is slow
    from scipy.optimize import minimize_scalar

    m = len(X)
    if m < 3:
        msg = f"`X_target` must have at least 3 rows for `ridge`='loo', got {m}"
        raise ValueError(msg)
    spread = np.sqrt(np.mean(Z**2, axis=0))
    Z = Z[:, spread > 0] / spread[spread > 0]
    U, d, _ = np.linalg.svd(X, full_matrices=False)
    U, d = U[:, d > m * EPS * d[0]], d[d > m * EPS * d[0]]
    for name, size in (("X_target", len(d)), ("X_source", Z.shape[1])):
        if size == 0:
            msg = f"`{name}` must vary for `ridge`='loo', got constant columns only"
            raise ValueError(msg)
    inner = U.T @ Z
    outside, off = Z - U @ inner, 1 - 1 / m - (U**2).sum(axis=1)

    def error(log_ridge: float) -> float:
        kept = 1 / (1 + (d / np.exp(log_ridge / 2)) ** 2)  # ρ / (d² + ρ)
        residuals = outside + U @ (kept[:, None] * inner)
        return float(np.mean((residuals / (off + U**2 @ kept)[:, None]) ** 2))

    grid = 2 * np.log(d[0]) + np.log(np.geomspace(SMALLEST, LARGEST, GRID))
    best = int(np.argmin([error(value) for value in grid]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, GRID - 1)]
    return float(np.exp(minimize_scalar(error, bounds=bounds, method="bounded").x))


def _root(centred: Reals) -> Reals:
    """Factor L of full column rank with L Lᵀ the covariance; its rank heeds no feature's unit."""
    m, n = centred.shape
    norms = np.linalg.norm(centred, axis=0)
    scale = np.where(norms > 0, norms, 1)
    singular, V = _singular_values(np.asarray(np.linalg.qr(centred / scale, mode="r")))
    kept = singular > max(m, n) * EPS * singular[0]
    root: Reals = scale[:, None] * V[:, kept] * singular[kept] / np.sqrt(m - 1)
    return root


def _singular_values(matrix: Reals) -> tuple[Reals, Reals]:
    """Singular values and the right vectors that belong to them, as columns."""
    _, singular, V = np.linalg.svd(matrix, full_matrices=False)
    return singular, V.T
