r"""Trust and noise levels from data: maximum evidence, with the normal posterior of w.

The squares of GS (15) are, with precisions that belong to three kinds of rows, the logarithms of
normal densities: with :math:`\tilde x^\top w` for the mean,

.. math::
    y_i \sim N(\cdot,\, 1 / (c_i p_1)) \;\; (i \notin I), \quad
    y_i \sim N(\cdot,\, 1 / (c_i p_2)), \;\; s_i \sim N(\cdot,\, 1 / (c_i p_3)) \;\; (i \in I),

.. math:: p_1 = 1/\sigma^2, \qquad p_2 = (1 - \lambda)/\sigma^2, \qquad p_3 = \lambda/\sigma_s^2 .

Confidence in the teacher thus means: on I the label has the variance :math:`\sigma^2/(1-\lambda)`
and the teacher's answer :math:`\sigma_s^2/\lambda`. With the prior :math:`w \sim N(0, 1/\rho)`, or
flat for ρ = 0, the posterior of w is :math:`N(\hat w, A^{-1})` with :math:`\hat w` the solution of
(15): the Bayesian choice of metaparameters that the conclusion of GS announces. Its evidence,

.. math::
    2 \log p(y, s) = \sum_k N_k \log p_k - \log\det A - \min_w \Big[\sum_k p_k S_k(w)
    + \rho \|w\|^2\Big] + \mathrm{const}, \quad S_k(w) = \sum_{i \in k} c_i (t_i - \tilde x_i^\top
    w)^2,

needs only sums over the rows of each kind. It tells λ, σ and σ_s apart only if there are rows of
all three kinds, and only if the labels of I are noisier than those outside.

notation: λ = trust, I = privileged, s = teacher, c = sample_weight, ω, ω_s = 1/σ², 1/σ_s²,
ρ = ridge, x̃ = (1, x) or x, p = precisions, S = squares, G = grams
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_flag,
    check_in_unit_interval,
    check_nonnegative,
    check_positive,
)
from kdtheory.least_squares import ROWS, RankWarning, row_sums, weighted_least_squares
from kdtheory.selection import PathStatistics, Rows, checked_rows, require_finite_features

__all__ = ["Evidence", "NotIdentifiedError", "maximum_evidence"]

Reals = NDArray[np.float64]
Given = list[float | None]  # λ, log ω, log ω_s

EPS = float(np.finfo(np.float64).eps)
EXACT = 1e-10  # residual norm, relative, below which answers are a function of the features
ROUNDING = 1e-12  # part of a column outside the others, squared, that is rounding
LOST = 1e-9  # a trust, or 1 − trust, that is an end of the range
KINDS = ("labels outside `privileged`", "labels of `privileged`", "`teacher`")
CONVERGED = 1e-9  # slope of the log evidence for each number observed, at the maximum
STEPS = 100  # of Newton's method; ten are usual
LONGEST = 3.0  # step in a log precision
RUNAWAY = 60.0  # distance in log precisions from the start beyond which there is no maximum
TINY = float(np.finfo(np.float64).tiny)


class NotIdentifiedError(ValueError):
    """The data do not determine what is sought; the text gives the reason and a way out."""


@dataclass(frozen=True, eq=False)
class Evidence:
    r"""Noise levels, trust and the normal posterior of w; see `maximum_evidence`.

    Attributes
    ----------
    trust, sigma, sigma_teacher : float
        λ, σ and σ_s, given or estimated; NaN for a noise that was not given and does not enter.
    log_evidence : float
        :math:`\log p(y, s)` at these.
    coef : (n,) or (n, p) ndarray
    intercept : float or (p,) ndarray
        The mean of the posterior, the solution of (15).
    covariance : (q, q) ndarray
        :math:`A^{-1}`, the covariance of the posterior, the same for each output; the intercept,
        if any, comes first.
    standard_errors : dict of str to float
        For each of λ, σ and σ_s that was estimated, from the curvature of the log evidence.
    precisions : (3,) ndarray
        :math:`p_1, p_2, p_3` for labels outside I, labels on I, teacher's answers on I.
    gradient_norm : float
        Certificate: largest slope of the log evidence in the logarithms that were searched, over
        the number of labels and answers. 0 if nothing was estimated.
    """

    trust: float
    sigma: float
    sigma_teacher: float
    log_evidence: float
    coef: Reals
    intercept: Any
    covariance: Reals
    standard_errors: Mapping[str, float]
    precisions: Reals
    gradient_norm: float


def maximum_evidence(
    X: Any,
    y: ArrayLike,
    teacher: ArrayLike,
    *,
    privileged: ArrayLike | None = None,
    trust: float | None = None,
    sigma: float | None = None,
    sigma_teacher: float | None = None,
    sample_weight: ArrayLike | None = None,
    ridge: float = 0.0,
    fit_intercept: bool = False,
) -> Evidence:
    r"""Maximum marginal likelihood for those of λ, σ and σ_s that are None.

    The model is that of the module's docstring. With a flat prior (ridge 0, and always for the
    intercept) the evidence is that of restricted maximum likelihood: the density of the data
    integrated over w with respect to dw. The maximum is found by Newton's method in the logarithms
    of the precisions, from several starts, with gradient and curvature in closed form.

    Parameters
    ----------
    X, y, teacher, privileged, sample_weight, fit_intercept
        As in `trust_path`; the weights are factors of precision.
    trust : float, optional
        λ in [0, 1]. At 0 the teacher's answers, at 1 the labels of I are not data.
    sigma, sigma_teacher : float, optional
        Standard deviations σ and σ_s.
    ridge : float, default 0
        Precision of the prior of every entry of w, in the units of 1/σ² times a feature's square.

    Returns
    -------
    Evidence

    Raises
    ------
    NotIdentifiedError
        With the reason and a way out: all objects are privileged and nothing is given, so that
        only (1 − λ)/σ² and λ/σ_s² enter; none is, so that λ and σ_s do not enter; the labels of I
        are no noisier than those outside, so that the evidence rises towards λ = 0; labels or
        teacher's answers are an exact linear function of the features, so that it is not bounded;
        the columns of X are linearly dependent under a flat prior, to rounding where these noises
        rule; too few objects.
    ValueError, TypeError
        As `trust_path`.

    References
    ----------
    .. [1] GS (15), and its conclusion, which announces the Bayesian choice of metaparameters.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, inside = rng.standard_normal((4000, 3)), np.arange(4000) % 2 == 0
    >>> y = X.sum(axis=1) + rng.standard_normal(4000) * np.where(inside, 2.0, 1.0)
    >>> s = X.sum(axis=1) + rng.standard_normal(4000)
    >>> found = maximum_evidence(X, y, s, privileged=inside)  # λ = 3/4, σ = 1, σ_s = √λ
    >>> round(found.trust, 1), round(found.sigma, 1), round(found.sigma_teacher, 1)
    (0.7, 1.0, 0.8)
    """
    lam = None if trust is None else check_in_unit_interval("trust", trust)
    noises = [
        None if noise is None else check_positive(name, noise)
        for name, noise in (("sigma", sigma), ("sigma_teacher", sigma_teacher))
    ]
    rho = check_nonnegative("ridge", ridge)
    rows, flat = checked_rows(X, y, teacher, privileged, 1.0, 1.0, "precision", sample_weight)
    data = _EvidenceData(rows, lam, rho, check_flag("fit_intercept", fit_intercept))
    active, inside = data.active, bool(data.counts[1])
    given = [lam, *(None if noise is None else -2 * np.log(noise) for noise in noises)]
    _require_identified(data, active, given)

    # noises that do not enter are not sought
    enters = [inside, bool(active[:2].any()), bool(active[2])]
    free = [value is None and used for value, used in zip(given, enters, strict=True)]
    try:
        theta, slope = data.maximum(active, given, free)
        found = _named(theta, active, given, free)
        log_evidence = data.value(theta, active)
        errors = data.standard_errors(theta, active, found, free)
    except np.linalg.LinAlgError:
        msg = (
            "the evidence is not determined: where these noises rule, the columns of `X` are "
            "linearly dependent to rounding; leave out columns, or give a `ridge`, or a larger one"
        )
        raise NotIdentifiedError(msg) from None
    precisions = np.where(active, np.exp(theta), 0.0)
    trust_found, log_omega, log_omega_teacher = found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)
        weights, targets = _posterior_rows(rows, precisions)
        solution = weighted_least_squares(
            rows.X, targets, weights, ridge=rho, fit_intercept=fit_intercept
        )
    return Evidence(
        trust=trust_found,
        sigma=float(np.exp(-log_omega / 2)),
        sigma_teacher=float(np.exp(-log_omega_teacher / 2)),
        log_evidence=log_evidence,
        coef=solution.coef[:, 0] if flat else solution.coef,
        intercept=float(solution.intercept[0]) if flat else solution.intercept,
        covariance=solution.root @ solution.root.T,
        standard_errors=errors,
        precisions=precisions,
        gradient_norm=slope,
    )


def _posterior_rows(rows: Rows, precisions: Reals) -> tuple[Reals, Reals]:
    """σ′ and y″ of (15) for given precisions of the three kinds of rows."""
    outside, labels, answers = precisions
    weights = np.where(rows.privileged, labels + answers, outside)
    share = np.where(rows.privileged & (weights > 0), answers / max(labels + answers, TINY), 0.0)
    targets = rows.y + share[:, None] * (rows.teacher - rows.y)
    return weights * rows.sample_weight, targets


def _named(
    theta: Reals, active: NDArray[np.bool_], given: list[float | None], free: list[bool]
) -> tuple[float, float, float]:
    """λ, log ω, log ω_s from the log precisions; NaN for what does not enter."""
    trust, log_omega, log_omega_teacher = given
    if free[0]:
        if log_omega is None and not active[0]:  # all of I, σ_s known: λ = p₃σ_s²
            assert log_omega_teacher is not None
            trust = float(np.exp(theta[2] - log_omega_teacher))
        else:
            top = theta[0] if active[0] else log_omega
            trust = float(-np.expm1(theta[1] - top))
    assert trust is not None
    if log_omega is None:
        log_omega = float("nan")
        if active[0]:
            log_omega = float(theta[0])
        elif active[1]:
            log_omega = float(theta[1] - np.log1p(-trust))
    if log_omega_teacher is None:
        log_omega_teacher = float(theta[2] - np.log(trust)) if active[2] else float("nan")
    return trust, log_omega, log_omega_teacher


@dataclass(frozen=True)
class _Search:
    """A chart of the log precisions: `point` maps few coordinates to log p, slopes, curvatures."""

    point: Callable[[Reals], tuple[Reals, Reals, Reals]]
    coordinates: Callable[[Reals], Reals]


def _search(active: NDArray[np.bool_], given: Given, free: list[bool]) -> _Search:
    trust, log_omega, log_omega_teacher = given
    if free[0] and (free[2] or (free[1] and not active[0])):
        # λ takes up whatever p₂ and p₃ are: they are coordinates themselves
        moving = np.flatnonzero(active & np.array([free[1], True, True]))
        fixed = np.full(3, -np.inf if log_omega is None else log_omega)
        slopes = np.eye(3)[:, moving]

        def direct(tau: Reals) -> tuple[Reals, Reals, Reals]:
            theta = fixed.copy()
            theta[moving] = tau
            return theta, slopes, np.zeros((3, len(tau), len(tau)))

        return _Search(direct, lambda theta: theta[moving])

    named = np.flatnonzero(free)
    known = np.array([0.0 if value is None else value for value in given])

    def natural(tau: Reals) -> tuple[Reals, Reals, Reals]:
        # logit λ, log ω, log ω_s
        phi = known.copy()
        phi[named] = tau
        slopes, curvature = np.zeros((3, 3)), np.zeros((3, 3, 3))
        slopes[:2, 1] = slopes[2, 2] = 1.0
        with np.errstate(divide="ignore"):
            if free[0]:
                log_lam, log_rest = -np.logaddexp(0, -phi[0]), -np.logaddexp(0, phi[0])
                lam = np.exp(log_lam)
                slopes[1, 0], slopes[2, 0] = -lam, 1 - lam
                curvature[1:, 0, 0] = -lam * (1 - lam)
            else:
                log_lam, log_rest = np.log(phi[0]), np.log1p(-phi[0])
        theta = np.array([phi[1], log_rest + phi[1], log_lam + phi[2]])
        return theta, slopes[:, named], curvature[:, named][:, :, named]

    def coordinates(theta: Reals) -> Reals:
        lam = trust
        if lam is None:
            share = 0.5 if log_omega_teacher is None else np.exp(theta[2] - log_omega_teacher)
            lam = float(np.clip(share, 0.1, 0.9))
        with np.errstate(divide="ignore", invalid="ignore"):
            omega = theta[0] if active[0] else theta[1] - np.log1p(-lam)
            phi = np.array([np.log(lam) - np.log1p(-lam), omega, theta[2] - np.log(lam)])
        return phi[named]

    return _Search(natural, coordinates)


class _EvidenceData:
    """Sums over the three kinds of rows, about a common fit, and the evidence from them."""

    def __init__(self, rows: Rows, trust: float | None, ridge: float, fit_intercept: bool) -> None:
        m = len(rows.y)
        ones = np.ones(m)
        rows = rows._replace(label_precision=ones, teacher_precision=ones)
        statistics = PathStatistics(rows.X.shape[1], rows.y.shape[1], fit_intercept=fit_intercept)
        statistics.update(rows)
        require_finite_features(rows.X, statistics)
        assert statistics.origin is not None
        self.grams = statistics.grams
        q, self.n_outputs = statistics.crosses.shape[1:]
        c = rows.sample_weight
        used = c > 0
        kinds = [used & ~rows.privileged, used & rows.privileged, used & rows.privileged]
        self.counts = np.array([np.count_nonzero(kind) for kind in kinds])
        self.log_weights = np.array([np.log(c[kind]).sum() for kind in kinds])
        # at trust 1 the labels of I, at 0 the teacher's answers are not data
        self.active = (self.counts > 0) & [True, trust != 1, trust != 0]
        self.ridge, self.n_flat = ridge, fit_intercept if ridge > 0 else q
        penalised = np.ones(q)
        penalised[:fit_intercept] = 0.0
        self.penalty = ridge * np.diag(penalised)

        # about the solution at equal precisions, in whose basis the matrix is the identity
        A = self.grams[self.active].sum(axis=0) + self.penalty
        unit = np.sqrt(A.diagonal())
        unit[unit == 0] = 1.0
        values, vectors = np.linalg.eigh(A / unit[:, None] / unit)
        self.dependent = bool(values[0] <= 8 * q * EPS * values[-1])
        if self.dependent:
            return
        V = vectors / np.sqrt(values) / unit[:, None]
        self.log_det_V = -np.log(values).sum() / 2 - np.log(unit).sum()
        self.rows, self.origin, self.V = rows, statistics.origin, V
        self.fit_intercept = fit_intercept
        self.grams = V.T @ self.grams @ V
        self.penalty = V.T @ self.penalty @ V
        self._measure_about(V.T @ statistics.crosses[self.active].sum(axis=0))

    def _measure_about(self, middle: Reals) -> None:
        """Squares and slopes of the three kinds at w = V middle: near it they lose no digits."""
        rows, origin, q = self.rows, self.origin, len(self.V)
        self.middle = middle
        parameters = self.V @ middle

        def part(start: int, stop: int) -> tuple[Reals, Reals]:
            squares, pulls = np.zeros(3), np.zeros((q, 3, self.n_outputs))
            room = np.ones((min(ROWS, stop - start), q))
            for first in range(start, stop, ROWS):
                block = rows.block(first, min(first + ROWS, stop))
                tilde = room[: len(block.y)]
                np.subtract(block.X, origin[0], out=tilde[:, self.fit_intercept :])
                fitted = tilde @ parameters + origin[1]
                c = block.sample_weight
                on_I = c * block.privileged
                residuals = np.stack([block.y, block.y, block.teacher], axis=1) - fitted[:, None]
                weighted = np.stack([c - on_I, on_I, on_I], axis=1)[:, :, None] * residuals
                squares += np.einsum("ikp,ikp->k", weighted, residuals)
                pulls += (tilde.T @ weighted.reshape(len(c), -1)).reshape(pulls.shape)
            return squares, pulls

        self.squares, pulls = row_sums(part, len(rows.y), work=4 * rows.y.size * q)
        self.pulls = self.V.T @ pulls.transpose(1, 0, 2)
        self.prior_pull = -self.penalty @ middle
        self.prior_square = -float(np.vdot(middle, self.prior_pull))

    def is_exact(self, kinds: NDArray[np.bool_]) -> bool:
        """Whether rows of these kinds, more than parameters, are fitted to the last digits."""
        rows = self.rows
        target = rows.teacher if kinds[2] else rows.y
        on_I = rows.privileged
        kept = (rows.sample_weight > 0) & (on_I if not kinds[0] else kinds[1] | ~on_I)
        c, goal = rows.sample_weight[kept], target[kept]
        if self.fit_intercept:
            goal = goal - c @ goal / c.sum()
        size = float(np.sqrt(c @ goal**2).max())
        # normal equations see seven digits of the residual's norm: enough to acquit
        gram, pull = self.grams[kinds].sum(axis=0), self.pulls[kinds].sum(axis=0)
        explained = np.vdot(pull, np.linalg.lstsq(gram, pull, rcond=EXACT)[0])
        if self.squares[kinds].sum() - explained > 1e-10 * size**2:
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RankWarning)
            solution = weighted_least_squares(
                rows.X[kept], goal, c, fit_intercept=self.fit_intercept
            )
        if len(c) <= solution.rank + self.fit_intercept:
            return False
        residual = goal - rows.X[kept] @ solution.coef - solution.intercept
        return bool(np.sqrt(c @ residual**2).max() <= EXACT * size)

    def _solved(self, theta: Reals, active: NDArray[np.bool_]) -> tuple[Reals, Reals, Reals, Reals]:
        """p; the inverse root of A; the step from the common fit; the squares there."""
        p = np.where(active, np.exp(np.where(active, theta, 0.0)), 0.0)
        A = np.tensordot(p, self.grams, 1) + self.penalty
        factor = np.linalg.cholesky(A)
        if (factor.diagonal() ** 2 <= ROUNDING * A.diagonal()).any():
            raise np.linalg.LinAlgError  # positive by the luck of rounding
        root = np.linalg.inv(factor).T
        step = root @ (root.T @ (np.tensordot(p, self.pulls, 1) + self.prior_pull))
        squares = np.array(
            [
                S - 2 * np.vdot(step, g) + np.vdot(step, G @ step)
                for S, g, G in zip(self.squares, self.pulls, self.grams, strict=True)
            ]
        )
        return p, root, step, np.maximum(squares, 0.0)

    def value(self, theta: Reals, active: NDArray[np.bool_]) -> float:
        """Log evidence."""
        p, root, step, squares = self._solved(theta, active)
        n = len(root) - self.n_flat
        penalty = (
            self.prior_square
            - 2 * np.vdot(step, self.prior_pull)
            + np.vdot(step, self.penalty @ step)
        )
        counts = self.counts[active]
        once = (
            counts @ theta[active]
            + self.log_weights[active].sum()
            - (counts.sum() - self.n_flat) * np.log(2 * np.pi)
            + 2 * np.log(root.diagonal()).sum()
            + 2 * self.log_det_V
        )
        if self.ridge > 0:
            once += n * np.log(self.ridge)
        return float(self.n_outputs * once - p @ squares - penalty) / 2

    def derivatives(self, theta: Reals, active: NDArray[np.bool_]) -> tuple[float, Reals, Reals]:
        """Log evidence, its gradient and its Hessian in the log precisions."""
        p, root, step, squares = self._solved(theta, active)
        hats = p[:, None, None] * (root.T @ self.grams @ root)
        pulls = p[:, None, None] * (root.T @ (self.pulls - self.grams @ step))
        trace = self.n_outputs * np.trace(hats, axis1=1, axis2=2)
        counts = self.n_outputs * self.counts * active
        gradient = (counts - trace - p * squares) / 2
        hessian = (
            self.n_outputs * np.einsum("aij,bji->ab", hats, hats) / 2
            + np.einsum("aij,bij->ab", pulls, pulls)
            - np.diag(trace + p * squares) / 2
        )
        return self.value(theta, active), gradient, hessian

    def maximum(
        self, active: NDArray[np.bool_], given: Given, free: list[bool]
    ) -> tuple[Reals, float]:
        """Log precisions of greatest evidence, and the slope that is left."""
        search = _search(active, given, free)
        total = np.maximum(self.n_outputs * self.counts, 1)
        # all alike; the teacher ignored; the labels ignored
        trials = ([0.0, 0.0, 0.0], [0.0, 0.0, -14.0], [-14.0, -14.0, 0.0])
        found = [] if any(free) else [(0.0, np.zeros(0), 0.0)]
        for trial in trials if any(free) else ():
            # if one start sees too few directions, another may see all
            with suppress(np.linalg.LinAlgError), np.errstate(divide="ignore"):
                _, _, _, squares = self._solved(np.array(trial), active)
                start = np.log(total) - np.log(np.maximum(squares, EPS * self.squares.max()))
                found.append(self._climb(search, search.coordinates(start), active))
        if not found:
            raise np.linalg.LinAlgError
        _, tau, _ = max(found, key=lambda one: one[0])
        # once more, about the best fit so far
        self._measure_about(self.middle + self._solved(search.point(tau)[0], active)[2])
        _, tau, slope = self._climb(search, tau, active)
        theta = search.point(tau)[0]
        if any(free):
            self._require_maximum(theta, slope, active, given, free)
        return theta, slope

    def _climb(
        self, search: _Search, tau: Reals, active: NDArray[np.bool_]
    ) -> tuple[float, Reals, float]:
        """Newton's method, the curvature made negative and the steps short enough to rise."""
        total = float(self.n_outputs * self.counts @ active)

        def at(tau: Reals) -> tuple[float, Reals, Reals]:
            theta, slopes, curvature = search.point(tau)
            value, gradient, hessian = self.derivatives(theta, active)
            return (
                value,
                gradient @ slopes,
                slopes.T @ hessian @ slopes + np.tensordot(gradient, curvature, 1),
            )

        if not tau.size:
            return 0.0, tau, 0.0
        start = tau
        value, gradient, hessian = at(tau)
        for _ in range(STEPS):
            curvature, axes = np.linalg.eigh(hessian)
            step = axes @ ((axes.T @ gradient) / np.maximum(np.abs(curvature), EPS * total))
            step *= min(1.0, LONGEST / max(np.abs(step).max(), EPS))
            if np.abs(gradient).max() <= EPS * total or np.abs(tau - start).max() > RUNAWAY:
                break
            for _ in range(60):
                try:
                    trial = at(tau + step)
                except np.linalg.LinAlgError:
                    trial = (-np.inf, gradient, hessian)
                if trial[0] > value or (
                    # at the top values differ by rounding only: the slope decides
                    trial[0] >= value - 8 * EPS * abs(value)
                    and np.abs(trial[1]).max() < np.abs(gradient).max()
                ):
                    break
                step /= 2
            else:
                break
            tau = tau + step
            value, gradient, hessian = trial
        return value, tau, float(np.abs(gradient).max() / total)

    def _require_maximum(
        self,
        theta: Reals,
        slope: float,
        active: NDArray[np.bool_],
        given: Given,
        free: list[bool],
    ) -> None:
        """A maximum inside the range, at finite precisions."""
        _, log_omega, log_omega_teacher = given
        p, _, _, squares = self._solved(theta, active)
        left = np.where(active, p * squares, np.inf) <= LOST * np.maximum(self.counts, 1)
        noisy = np.array([free[1], free[1], free[2]])
        if (left & noisy).any() or slope > CONVERGED:
            words = ", ".join(np.array(KINDS)[left & noisy]) or "a noise or the trust"
            msg = (
                f"the evidence has no maximum: it rises as {words} is fitted exactly; "
                "give `sigma` and `sigma_teacher`, or `trust`, or more objects"
            )
            raise NotIdentifiedError(msg)
        if not free[0]:
            return
        if log_omega is None and not active[0]:
            assert log_omega_teacher is not None
            if theta[2] >= log_omega_teacher + np.log1p(-LOST):
                msg = (
                    "`trust` and `sigma` are not identified: the teacher's answers are closer than "
                    "`sigma_teacher` says, so the evidence rises towards trust 1; give a smaller "
                    "`sigma_teacher`, or fix `trust`"
                )
                raise NotIdentifiedError(msg)
            return
        top = theta[0] if active[0] else log_omega
        if theta[1] >= top + np.log1p(-LOST):
            msg = (
                "`trust` is not identified: the labels of privileged objects are no noisier than "
                "those of the others, or than `sigma`, so the evidence rises towards trust 0; "
                "fix `trust`, at 0.5 say, or choose it by trust_path"
            )
            raise NotIdentifiedError(msg)

    def standard_errors(
        self,
        theta: Reals,
        active: NDArray[np.bool_],
        found: tuple[float, float, float],
        free: list[bool],
    ) -> dict[str, float]:
        """Of λ, σ, σ_s where they are free, from the curvature in λ, log ω, log ω_s."""
        named = np.flatnonzero(free)
        if not named.size:
            return {}
        _, gradient, hessian = self.derivatives(theta, active)
        lam = found[0]
        slopes, curvature = np.zeros((3, 3)), np.zeros((3, 3, 3))
        slopes[:2, 1] = slopes[2, 2] = 1.0
        if free[0]:
            slopes[1, 0], slopes[2, 0] = -1 / (1 - lam), 1 / lam
            curvature[1, 0, 0], curvature[2, 0, 0] = -1 / (1 - lam) ** 2, -1 / lam**2
        information = -(slopes.T @ hessian @ slopes + np.tensordot(gradient, curvature, 1))
        deviation = np.sqrt(np.linalg.inv(information[np.ix_(named, named)]).diagonal())
        sizes = [1.0, np.exp(-found[1] / 2) / 2, np.exp(-found[2] / 2) / 2]
        names = ("trust", "sigma", "sigma_teacher")
        return {names[k]: float(sizes[k] * one) for k, one in zip(named, deviation, strict=True)}


def _require_identified(
    data: _EvidenceData,
    active: NDArray[np.bool_],
    given: Given,
) -> None:
    """What can be seen before the search."""
    trust, log_omega, log_omega_teacher = given
    if not data.counts[1] and (trust is None or (log_omega_teacher is None and trust != 0)):
        msg = (
            "`trust` and `sigma_teacher` are not identified: no object is privileged, so they do "
            "not enter; fix `trust` at 0"
        )
        raise NotIdentifiedError(msg)
    if not data.counts[0] and trust is None and log_omega is None and log_omega_teacher is None:
        msg = (
            "`trust`, `sigma` and `sigma_teacher` are not identified: all objects are privileged, "
            "so only (1 - trust)/sigma**2 and trust/sigma_teacher**2 enter; fix `trust` or `sigma`"
        )
        raise NotIdentifiedError(msg)
    free = [value is None for value in given]
    total = int(data.counts[active].sum())
    if data.dependent or total - data.n_flat < sum(free):
        msg = (
            f"the noises are not identified: {total} labels and answers for {data.n_flat} "
            "parameters with a flat prior, or columns of `X` that are linearly dependent; "
            "leave out columns, or give a `ridge`"
        )
        raise NotIdentifiedError(msg)
    for name, kinds, noise in (
        ("y", active & [True, True, False], log_omega),
        ("teacher", active & [False, False, True], log_omega_teacher),
    ):
        if noise is None and kinds.any() and data.is_exact(kinds):
            word = "sigma" if name == "y" else "sigma_teacher"
            msg = (
                f"`{word}` is not identified: `{name}` is an exact linear function of the "
                f"features, so the evidence grows without bound as {word} vanishes; give `{word}`"
            )
            raise NotIdentifiedError(msg)
