r"""The continuous categorical distribution: Theorem 1 of GS, with the right constant.

The density GS (12) of a teacher's answer s on the simplex :math:`S_K`, given the student's
class probabilities g,

.. math:: p(s \mid g) = C \prod_k g_k^{s_k} = C \exp\langle a, s \rangle, \qquad a = \log g,

is an exponential family with natural parameter a. Its constant is :math:`C = 1 / Z(a)` with the
divided difference :math:`Z(a) = \exp[a_1, \dots, a_K]`, for every positive g; only
differences of logits matter. K = 2 is the continuous Bernoulli distribution.

The constant that Theorem 1 prints is kept here under its own name, for comparison only.

notation: g = probs, a = logits, c = max a − a, b = a − min a, s = point of the simplex, μ = mean
"""

from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_choice,
    check_count,
    check_logits,
    check_real_array,
    check_rng,
    check_simplex_points,
    simplex_tolerance,
)
from kdtheory.divided_differences import log_normaliser, normaliser_gradient, normaliser_hessian

__all__ = ["ContinuousCategorical", "ConvergenceError", "log_printed_constant", "printed_constant"]

Reals = NDArray[np.float64]

# scipy.special is imported by the functions that need it: loading it takes as long as all of NumPy

TABLE = 2**26  # entries of the sampler's table: 512 MB
DRAWS = 2**21  # numbers handled together while sampling
TAIL_NATS = 42.0  # the sampler leaves out an event of probability below exp(-42) = 6e-19
CLOSE = 0.5  # range of logit differences below which KL is integrated from the variance
CLOSE_NODES = 6  # Gauss–Jacobi nodes; log Z is analytic for |t| < 2π, so the error is < 1e-16
NEWTON_STEPS = 100
DECREMENT = 1e-8  # one more Newton step then leaves (1e-8)² of a standard deviation


class ConvergenceError(RuntimeError):
    """An iteration ended before its certificate was reached."""


class ContinuousCategorical:
    r"""Distribution on the simplex with density :math:`\exp\langle a, s \rangle / Z(a)`.

    Parameters
    ----------
    logits : (..., K) array_like, keyword only
        Natural parameter a, up to a constant for each row. Give either `logits` or `probs`.
    probs : (..., K) array_like, keyword only
        The g of GS (12), positive, summing to 1; then a = log g. This is not the mean.
    measure : {"coordinate", "surface"}, default "coordinate"
        Densities are with respect to Lebesgue's measure on (s_1 … s_{K-1}), or to the surface
        measure of the simplex, which is √K times as large.

    Attributes
    ----------
    logits : (..., K) ndarray
    measure : str

    Raises
    ------
    ValueError
        If not exactly one parameter is given, or it is not finite, or `probs` are not positive
        with sum 1, or `measure` is another word.

    References
    ----------
    GS (12) and Theorem 1, corrected. E. Gordon-Rodriguez, G. Loaiza-Ganem, J. P. Cunningham,
    *The continuous categorical: a novel simplex-valued exponential family*, ICML 2020.

    Examples
    --------
    >>> teacher = ContinuousCategorical(probs=[0.3, 0.7])
    >>> teacher.mean().round(4)
    array([0.4302, 0.5698])
    >>> teacher.log_prob([[0.5, 0.5], [1.0, 0.0], [0.7, 0.7]]).round(4)
    array([-0.0297, -0.4534,    -inf])
    """

    def __init__(
        self,
        *,
        logits: ArrayLike | None = None,
        probs: ArrayLike | None = None,
        measure: str = "coordinate",
    ) -> None:
        if (logits is None) == (probs is None):
            msg = "give exactly one of `logits` and `probs`"
            raise ValueError(msg)
        if logits is not None:
            self.logits = check_logits("logits", logits)
        else:
            assert probs is not None
            self.logits = np.log(check_simplex_points("probs", probs, positive=True))
        self.measure = check_choice("measure", measure, ("coordinate", "surface"))
        self._depths = self.logits.max(axis=-1, keepdims=True) - self.logits
        self._log_integral = log_normaliser(-self._depths)

    def __repr__(self) -> str:
        return f"ContinuousCategorical(logits={self.logits!r}, measure={self.measure!r})"

    @property
    def n_classes(self) -> int:
        """Number of classes K."""
        return int(self.logits.shape[-1])

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of distributions."""
        return self.logits.shape[:-1]

    @property
    def _log_scale(self) -> float:
        """Logarithm of the measure in units of the coordinate measure: ½ log K or 0."""
        return 0.5 * float(np.log(self.n_classes)) if self.measure == "surface" else 0.0

    def log_prob(self, s: ArrayLike) -> NDArray[Any]:
        r"""Log-density :math:`\langle a, s \rangle - \log Z(a)` of GS (12).

        Parameters
        ----------
        s : (..., K) array_like
            Broadcast against the batch. The boundary belongs to the simplex; a point with a
            negative entry, or whose sum is off 1 by more than √eps of its dtype, is outside.

        Returns
        -------
        (...,) ndarray
            −inf outside the simplex.

        Raises
        ------
        ValueError
            If `s` is not finite or has another number of classes.
        """
        points = check_real_array("s", s)
        shape = points.shape
        if points.ndim == 0 or shape[-1] != self.n_classes:
            msg = f"`s` must have {self.n_classes} classes in its last axis, got shape {shape}"
            raise ValueError(msg)
        off = np.abs(points.sum(axis=-1, dtype=np.float64) - 1)
        inside = (points >= 0).all(axis=-1) & (off <= simplex_tolerance(points))
        inner = np.where(inside[..., None], points, 0)
        value = -(self._depths * inner).sum(axis=-1) - self._log_integral - self._log_scale
        return np.where(inside, value, -np.inf)[()]

    def mean(self) -> NDArray[Any]:
        r"""Mean :math:`\mu_k = \exp[a, a_k] / \exp[a]`, shape (..., K); not softmax(a)."""
        return normaliser_gradient(-self._depths)

    def covariance(self) -> NDArray[Any]:
        r"""Covariance, the Hessian of log Z, shape (..., K, K); its rows sum to 0."""
        return normaliser_hessian(-self._depths)

    def entropy(self) -> NDArray[Any]:
        r"""Differential entropy :math:`\log Z(a) - \langle a, \mu \rangle`, at most −log (K−1)!.

        In nats, with respect to the chosen measure (the surface measure adds ½ log K).
        """
        result = self._log_integral + (self._depths * self.mean()).sum(axis=-1) + self._log_scale
        return np.asarray(result)[()]

    def kl_divergence(self, other: "ContinuousCategorical") -> NDArray[Any]:
        r"""Kullback–Leibler divergence :math:`KL(p \| q)` to another distribution, in nats.

        .. math:: KL = \log \frac{Z(a_q)}{Z(a_p)} - \langle \delta, \mu_p \rangle
                     = \int_0^1 (1 - t) \operatorname{Var}_{a_p + t \delta} \langle \delta, s
                       \rangle \, dt, \qquad \delta = a_q - a_p.

        The second form is taken where δ has a range below ½, so that the divergence of near
        neighbours keeps its digits. It is 0 only where the logits differ by a constant, and the
        same under both measures.

        Raises
        ------
        TypeError, ValueError
            If `other` is not a continuous categorical distribution with as many classes.
        """
        if not isinstance(other, ContinuousCategorical):
            msg = f"`other` must be a ContinuousCategorical, got {type(other).__name__}"
            raise TypeError(msg)
        if other.n_classes != self.n_classes:
            msg = f"`other` must have {self.n_classes} classes, got {other.n_classes}"
            raise ValueError(msg)
        a, depths = np.broadcast_arrays(-self._depths.astype(np.float64), other._depths)
        delta = -depths - a
        mean = normaliser_gradient(a)
        delta = delta - (delta * mean).sum(axis=-1, keepdims=True)
        result = np.maximum(log_normaliser(a + delta) - log_normaliser(a), 0)
        result = np.atleast_1d(result)
        near = np.atleast_1d(np.ptp(delta, axis=-1) <= CLOSE)
        if near.any():
            start, way = np.atleast_2d(a)[near], np.atleast_2d(delta)[near]
            result[near] = _integrated_variance(start, way)
        return result.reshape(a.shape[:-1])[()]

    def marginal_pdf(self, s: ArrayLike, k: int) -> NDArray[Any]:
        r"""Density of the single coordinate :math:`s_k`, for K at least 2.

        .. math:: p(s_k = t) = e^{a_k t} (1 - t)^{K-2} Z\big((1 - t)\, a_{-k}\big) / Z(a),
                  \qquad 0 \le t \le 1.

        Parameters
        ----------
        s : (...) array_like
            Values t, broadcast against the batch; outside [0, 1] the density is 0.
        k : int
            Class index, 0 … K − 1.

        Raises
        ------
        ValueError
            If K is 1, `k` is no class index, or `s` is not finite.
        """
        from scipy.special import xlog1py

        t, inside, k = self._marginal_arguments(s, k)
        others = np.delete(self._depths, k, axis=-1)
        log_density = (
            xlog1py(self.n_classes - 2, -t)
            - self._depths[..., k] * t
            + log_normaliser(-(1 - t)[..., None] * others)
            - self._log_integral
        )
        return np.where(inside, np.exp(log_density), 0.0)[()]

    def marginal_cdf(self, s: ArrayLike, k: int) -> NDArray[Any]:
        r"""Distribution function of the single coordinate :math:`s_k`, for K at least 2.

        The part of the simplex where :math:`s_k > t` is a simplex again, 1 − t times as large:

        .. math:: P(s_k > t) = e^{a_k t} (1 - t)^{K-1} Z\big((1 - t)\, a\big) / Z(a).

        Parameters and errors are those of `marginal_pdf`; 0 below 0 and 1 above 1.
        """
        from scipy.special import xlog1py

        t, inside, k = self._marginal_arguments(s, k)
        log_survival = (
            xlog1py(self.n_classes - 1, -t)
            - self._depths[..., k] * t
            + log_normaliser(-(1 - t)[..., None] * self._depths)
            - self._log_integral
        )
        below = -np.expm1(np.minimum(log_survival, 0))
        return np.where(inside, below, np.asarray(s) > 1)[()]

    def sample(
        self, size: int | tuple[int, ...] = (), *, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        r"""Exact independent draws, without rejection.

        The series of Z is a mixture of Dirichlet distributions: with b = a − min a, draw n with
        weight :math:`h_n(b) / (n + K - 1)!`, then :math:`n_1 + \dots + n_K = n` with weight
        :math:`\prod_k b_k^{n_k}`, then s from Dirichlet(n_1 + 1, …, n_K + 1). As n given s is
        Poisson with mean at most R = max b, the table ends where Bernstein's bound of its
        tail is below 6e-19.

        Parameters
        ----------
        size : int or tuple of int
            Shape of the draws, put before the shape of the batch.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        size + (..., K) ndarray of float64

        Raises
        ------
        ValueError
            If the table of about R · K numbers would exceed 512 MB.
        TypeError
            If `rng` is not a generator or `size` not integer.
        """
        check_rng("rng", rng)
        shape = size if isinstance(size, tuple) else (size,)
        for extent in shape:
            check_count("size", extent)
        n_draws = prod(shape)
        rows = -self._depths.reshape(-1, self.n_classes).astype(np.float64)
        result = np.empty((n_draws, len(rows), self.n_classes))
        for block in _sampler_blocks(rows):
            mixture = _DirichletMixture(rows[block])
            chunk = max(1, DRAWS // (len(rows[block]) * self.n_classes))
            for start in range(0, n_draws, chunk):
                stop = min(start + chunk, n_draws)
                result[start:stop, block] = mixture.draw(stop - start, rng)
        return result.reshape(*shape, *self.batch_shape, self.n_classes)

    @classmethod
    def fit(
        cls, samples: ArrayLike, weights: ArrayLike | None = None, *, measure: str = "coordinate"
    ) -> Self:
        r"""Maximum-likelihood estimate: the logits whose mean is the (weighted) sample mean.

        Newton's method on :math:`\log Z(a) - \langle a, \bar s \rangle` from
        :math:`a_k = -1 / \bar s_k`, the saddle-point estimate. log Z is self-concordant (it is
        the log-partition function of the uniform measure on a convex body), so the damped
        step 1 / (1 + decrement) converges from anywhere, and quadratically in the end.

        Parameters
        ----------
        samples : (n, K) array_like
            Points of the simplex.
        weights : (n,) array_like, optional
            Weights of the samples, at least 0, not all 0.

        Returns
        -------
        ContinuousCategorical
            With the largest logit at 0. Certificate: the last Newton step started at a decrement
            λ ≤ 1e-8 and by self-concordance ended at one below λ² / (1 − λ)², so the estimate is
            exact up to rounding.

        Raises
        ------
        ValueError
            If a point is off the simplex, or the estimate diverges: the mean of some class is
            0 (as it is for a single one-hot answer), and the likelihood grows without end.
        ConvergenceError
            If the certificate is not reached in 100 steps.

        References
        ----------
        S. Bubeck and R. Eldan, *The entropic barrier*, arXiv:1412.1587, Theorem 1.

        Examples
        --------
        >>> answers = [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]
        >>> ContinuousCategorical.fit(answers).mean().round(12)
        array([0.15, 0.2 , 0.65])
        """
        points = check_simplex_points("samples", samples)
        if points.ndim != 2 or len(points) == 0:
            msg = f"`samples` must have shape (n, K) with n at least 1, got shape {points.shape}"
            raise ValueError(msg)
        target = np.average(points.astype(np.float64), axis=0, weights=_weights(weights, points))
        if target.min() <= 0:
            missing = int(np.argmin(target))
            msg = (
                f"the estimate diverges: class {missing} has mean 0 in `samples`, "
                "so the likelihood has no maximum; leave the class out or smooth the answers"
            )
            raise ValueError(msg)
        return cls(logits=_match_mean(target / target.sum()), measure=measure)

    def _marginal_arguments(
        self, s: ArrayLike, k: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_], int]:
        if self.n_classes == 1:
            msg = "a single class has no marginal density: `s` is always 1"
            raise ValueError(msg)
        index = check_count("k", k)
        if index >= self.n_classes:
            msg = f"`k` must be at most {self.n_classes - 1}, got {index}"
            raise ValueError(msg)
        value = check_real_array("s", s)
        inside = (value >= 0) & (value <= 1)
        return np.where(inside, value, 0.0), inside, index


def log_printed_constant(log_probs: ArrayLike) -> NDArray[Any]:
    r"""Logarithm of the constant printed in GS Theorem 1, from log g; **it is wrong**.

    :math:`\frac{K}{2} \log K - \frac{K(K-1)}{2} \log 2 + \sum_k (\log g_k + \log\log(1/g_k))`;
    −inf where some g_k is 1.

    Parameters
    ----------
    log_probs : (..., K) array_like
        log g, finite and at most 0.

    Raises
    ------
    ValueError
        If an entry is not finite or above 0.
    """
    log_g = check_logits("log_probs", log_probs)
    if log_g.size and log_g.max() > 0:
        msg = f"`log_probs` must not be above 0, got {log_g.max()}"
        raise ValueError(msg)
    n_classes = log_g.shape[-1]
    with np.errstate(divide="ignore"):
        terms = log_g + np.log(-log_g)
    factor = n_classes / 2 * np.log(n_classes) - n_classes * (n_classes - 1) / 2 * np.log(2)
    return np.asarray(factor + terms.sum(axis=-1))[()]


def printed_constant(probs: ArrayLike) -> NDArray[Any]:
    r"""The constant printed in GS Theorem 1, for comparison only: **it is wrong**.

    .. math:: C = (-1)^K \frac{K^{K/2}}{2^{K(K-1)/2}} \prod_k g_k \log g_k.

    The right constant is :math:`1 / Z(\log g)`, `exp(-log_normaliser(log g))`.

    Parameters
    ----------
    probs : (..., K) array_like
        Points g inside the simplex.

    Returns
    -------
    (...,) ndarray

    Raises
    ------
    ValueError
        If `probs` are not positive with sum 1.

    Examples
    --------
    >>> import numpy as np
    >>> g = [0.3, 0.7]
    >>> (np.exp(log_normaliser(np.log(g))) * printed_constant(g)).round(4)  # should be 1
    np.float64(0.0426)
    """
    g = check_simplex_points("probs", probs, positive=True)
    log_g = np.minimum(np.log(g), 0)  # a g above 1 by less than the tolerance of its sum
    return np.asarray(np.exp(log_printed_constant(log_g)))[()]


def _integrated_variance(a: Reals, delta: Reals) -> Reals:
    """∫ (1 − t) Var_{a + tδ}⟨δ, s⟩ dt over [0, 1] by Gauss–Jacobi, for rows (B, K)."""
    from scipy.special import roots_jacobi

    nodes, node_weights = roots_jacobi(CLOSE_NODES, 1, 0)  # weight 1 − x on [−1, 1]
    result = np.zeros(len(a))
    for x, weight in zip(nodes, node_weights, strict=True):
        hessian = normaliser_hessian(a + (1 + x) / 2 * delta)
        result += weight / 4 * np.einsum("bj,bjk,bk->b", delta, hessian, delta)
    return result


def _weights(weights: ArrayLike | None, points: NDArray[Any]) -> NDArray[Any] | None:
    if weights is None:
        return None
    values = check_real_array("weights", weights, ndim=1)
    if len(values) != len(points):
        msg = f"`weights` must have one entry for each of {len(points)} samples, got {len(values)}"
        raise ValueError(msg)
    if values.min() < 0 or values.max() == 0:
        msg = f"`weights` must be at least 0 and not all 0, got a minimum of {values.min()}"
        raise ValueError(msg)
    return values


def _match_mean(target: Reals) -> Reals:
    """Logits, largest 0, whose mean is a target inside the simplex."""
    largest = int(np.argmax(target))
    free = np.arange(len(target)) != largest
    scale = target[free]  # in units of the means the Hessian is near the identity
    logits = 1 / target[largest] - 1 / target
    for _ in range(NEWTON_STEPS):
        gradient = (normaliser_gradient(logits) - target)[free] / scale
        hessian = normaliser_hessian(logits)[np.ix_(free, free)] / np.outer(scale, scale)
        step = np.linalg.solve(hessian, gradient)
        decrement = float(np.sqrt(max(gradient @ step, 0.0)))
        logits[free] -= step / scale / (1.0 if decrement < 0.25 else 1 + decrement)
        if decrement <= DECREMENT:
            return np.asarray(logits - logits.max())
    msg = f"the fit ended after {NEWTON_STEPS} Newton steps with decrement {decrement:.3g}"
    raise ConvergenceError(msg)


def _terms(span: float) -> int:
    """Least M with P(Poisson(R) ≥ R + t) ≤ exp(−t²/(2(R + t/3))) ≤ exp(−TAIL_NATS)."""
    third = TAIL_NATS / 3
    return int(np.ceil(span + third + np.sqrt(third**2 + 2 * TAIL_NATS * span))) + 1


def _sampler_blocks(rows: Reals) -> list[NDArray[np.intp]]:
    """Rows to put in one table, alike in range."""
    n_classes = rows.shape[1]
    span = np.ptp(rows, axis=1) if rows.size else np.zeros(0)
    worst = float(span.max(initial=0))
    if n_classes * (worst + TAIL_NATS) > TABLE:
        msg = (
            f"`logits` must have a range below {TABLE / n_classes:.3g} to sample {n_classes} "
            f"classes, got {worst!r}"
        )
        raise ValueError(msg)
    order = np.argsort(span, kind="stable")
    blocks, start = [], 0
    while start < len(order):
        # the widest row of the block decides its table; rows come in ascending order
        stop = start + 1
        while (
            stop < len(order)
            and (stop + 1 - start) * n_classes * _terms(float(span[order[stop]])) <= DRAWS
        ):
            stop += 1
        blocks.append(order[start:stop])
        start = stop
    return blocks


class _DirichletMixture:
    """Table of log h_n(b_1 … b_k / R) for k = 1 … K and n below `_terms`, b descending."""

    def __init__(self, rows: Reals) -> None:
        from scipy.special import gammaln

        self.order = np.argsort(-rows, axis=1, kind="stable")
        b = np.take_along_axis(rows, self.order, axis=1)
        b = b - b[:, -1:]
        span = b[:, :1]
        with np.errstate(divide="ignore", invalid="ignore"):
            log_b = np.where(b > 0, np.log(b / span), -np.inf)
            log_span = np.where(span > 0, np.log(span), -np.inf)
        n = np.arange(_terms(float(span.max())))
        n_rows, n_classes = b.shape
        self.table = np.zeros((n_classes, n_rows, len(n)))  # h_n(1) = 1 for the largest node
        for k in range(1, n_classes):
            positive = np.isfinite(log_b[:, k])
            self.table[k] = self.table[k - 1]
            way = n * log_b[positive, k, None]
            self.table[k, positive] = way + np.logaddexp.accumulate(
                self.table[k, positive] - way, axis=1
            )
        with np.errstate(invalid="ignore"):
            power = np.where(n == 0, 0.0, n * log_span)
        weight = self.table[-1] + power - gammaln(n + n_classes)
        total = np.exp(weight - weight.max(axis=1, keepdims=True)).cumsum(axis=1)
        self.distribution = total / total[:, -1:]
        self.log_b = np.where(np.isfinite(log_b), log_b, -1e300)  # 0 · log 0 = 0

    def draw(self, n_draws: int, rng: np.random.Generator) -> Reals:
        """Draws of shape (n_draws, B, K)."""
        n_classes, n_rows, n_terms = self.table.shape
        row = np.broadcast_to(np.arange(n_rows), (n_draws, n_rows))
        level = rng.random((n_draws, n_rows))
        left = _bisect(
            np.full(row.shape, n_terms - 1), lambda n: self.distribution[row, n - 1] <= level
        )
        counts = np.empty((n_draws, n_rows, n_classes), dtype=np.intp)
        for k in range(n_classes - 1, 0, -1):
            # P(n_k ≥ j) = b_k^j h_{n−j}(b_1 … b_k) / h_n(b_1 … b_k)
            table, log_b = self.table[k], self.log_b[row, k]
            level = np.log1p(-rng.random(row.shape)) + table[row, left]
            now = left
            counts[..., k] = _bisect(
                now,
                lambda j, table=table, log_b=log_b, now=now, level=level: (
                    j * log_b + table[row, now - j] >= level
                ),
            )
            left = left - counts[..., k]
        counts[..., 0] = left
        gammas = rng.standard_gamma(counts + 1.0)
        points = np.empty_like(gammas)
        order = np.broadcast_to(self.order, gammas.shape)
        np.put_along_axis(points, order, gammas / gammas.sum(axis=-1, keepdims=True), axis=-1)
        return points


def _bisect(highest: NDArray[np.intp], holds: Any) -> NDArray[np.intp]:
    """Largest j in 0 … highest where a decreasing condition holds; it holds at 0."""
    low, high = np.zeros_like(highest), highest
    while (low < high).any():
        middle = (low + high + 1) // 2
        true = holds(middle)
        low, high = np.where(true, middle, low), np.where(true, high, middle - 1)
    return low
