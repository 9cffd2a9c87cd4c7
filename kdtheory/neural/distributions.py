r"""The continuous categorical distribution (12) among `torch.distributions`.

Density :math:`p(s) = \exp\langle a, s \rangle / Z(a)` on the simplex, with respect to Lebesgue's
measure on :math:`(s_1, \dots, s_{K-1})`; `kdtheory.continuous_categorical` is the same in NumPy.

**Draws** are exact, one class after the other. The part of the simplex where :math:`s_1 > x` is a
simplex again, 1 − x times as large, so that with depths :math:`c = \max a - a` and
:math:`x = 1 - e^{-w}`, :math:`t = e^{-w}`

.. math:: \log P(s_1 > x) = -c_1 x - (K - 1) w + \log Z(-t c) - \log Z(-c) =: f(w),

and given s₁ the others are 1 − s₁ times a distribution of this kind, of logits (1 − s₁) a. Let the
classes be in ascending order of a. Then :math:`-f' = K - 1 + t (c_1 - \langle c, \mu(-tc) \rangle)`
decreases in w, f is convex, and Newton's method for f(w) = −E, with E exponential, rises from w = 0
without a safeguard. The remaining mass is a product of factors t, so that no draw of a class far
above all others loses its digits.

The last Newton step is taken with autograd: by the implicit function theorem the derivatives of a
draw by the logits are those of that step. Where the order of two logits changes a single draw jumps
to another of the same law; the mean of the derivatives is that of the expectation all the same, as
the law is the same in every order.

notation: a = logits, c = depths, μ = mean, p, q = two distributions, δ = difference of their logits
"""

from typing import Any, Self

import numpy as np
import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints, register_kl
from torch.distributions.utils import lazy_property

from kdtheory.neural.normaliser import (
    covariance_product,
    log_normaliser,
    log_normaliser_and_gradient,
    normaliser_gradient,
)

__all__ = ["ContinuousCategorical"]

CLOSE = 0.5  # range of logit differences below which KL is integrated from the variance
CLOSE_NODES = 8  # Gauss–Legendre nodes: log Z is analytic for |t| < 2π, so the error is < 1e-16
ROUGH_STEPS = 5  # Newton steps in float32, one more than was ever needed; two in float64 follow
DEEPEST = 1e30  # a class below is drawn as if it were there: its s is below 1e-28 in any case


class ContinuousCategorical(Distribution):
    r"""Distribution on the simplex with density :math:`\exp\langle a, s \rangle / Z(a)`, GS (12).

    For K = 2 the first coordinate is a `torch.distributions.ContinuousBernoulli` of logit
    a_1 − a_2. Computed in float64 inside where digits could be lost, returned in the dtype of the
    parameters (at least float32); nothing is transferred from the device without `validate_args`.

    Parameters
    ----------
    probs : (..., K) tensor
        The g of GS (12), a = log g; this is not the mean. Positive, summing to 1: at a class of
        probability 0 the density is 0 everywhere but where s vanishes, and cannot be normalised.
    logits : (..., K) tensor
        Natural parameter a, up to a constant for each row; give either `probs` or this.
    validate_args : bool, optional
        Whether parameters and values are checked; torch's default if not given. Without it a range
        of logits that overflows the dtype gives NaN.

    Raises
    ------
    ValueError
        If not exactly one parameter is given, or one is refused by validation.

    References
    ----------
    GS (12) and Theorem 1, corrected. E. Gordon-Rodriguez, G. Loaiza-Ganem, J. P. Cunningham,
    *The continuous categorical: a novel simplex-valued exponential family*, ICML 2020.

    Examples
    --------
    >>> import torch
    >>> teacher = ContinuousCategorical(probs=torch.tensor([0.3, 0.7]))
    >>> teacher.mean
    tensor([0.4302, 0.5698])
    >>> teacher.log_prob(torch.tensor([0.5, 0.5]))
    tensor(-0.0297)
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}  # noqa: RUF012
    support = constraints.simplex
    has_rsample = True

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if (probs is None) == (logits is None):
            msg = "give exactly one of `probs` and `logits`"
            raise ValueError(msg)
        name, parameter = ("probs", probs) if logits is None else ("logits", logits)
        if not isinstance(parameter, Tensor) or not parameter.is_floating_point():
            kind = parameter.dtype if isinstance(parameter, Tensor) else type(parameter).__name__
            msg = f"`{name}` must be a floating tensor, got {kind}"
            raise TypeError(msg)
        if parameter.ndim == 0 or parameter.shape[-1] == 0:
            shape = tuple(parameter.shape)
            msg = f"`{name}` must have shape (..., K) with K at least 1, got {shape}"
            raise ValueError(msg)
        setattr(self, name, parameter)
        self._by_probs = logits is None
        checked = Distribution._validate_args if validate_args is None else validate_args
        # torch's constraint of vectors fails on a batch without rows
        by_torch = checked and parameter.numel() > 0
        super().__init__(parameter.shape[:-1], parameter.shape[-1:], validate_args=by_torch)
        self._validate_args = checked
        if checked:
            _require_parameters(name, parameter, self._dtype)

    @lazy_property
    def logits(self) -> Tensor:
        """Natural parameter a, shape (..., K)."""
        return self.probs.log()

    @lazy_property
    def probs(self) -> Tensor:
        """Softmax of the logits; not the mean."""
        return self.logits.softmax(dim=-1)

    @property
    def param_shape(self) -> Size:
        """Shape (..., K) of the parameters."""
        return self.batch_shape + self.event_shape

    @property
    def _dtype(self) -> torch.dtype:
        parameter = self.probs if self._by_probs else self.logits
        return torch.promote_types(parameter.dtype, torch.float32)

    @property
    def _centred(self) -> Tensor:
        """Logits, the largest 0, in the dtype of the answers: only differences matter."""
        return self._differences(self._dtype)

    @property
    def _wide(self) -> Tensor:
        """The same in float64."""
        return self._differences(torch.float64)

    def _differences(self, dtype: torch.dtype) -> Tensor:
        # the parameters as they were given: halves lose digits by a logarithm or a difference
        a = self.probs.to(dtype).log() if self._by_probs else self.logits.to(dtype)
        return a - a.detach().amax(dim=-1, keepdim=True)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same distributions, repeated to a larger batch."""
        new = self._get_checked_instance(ContinuousCategorical, _instance)
        shape = Size(batch_shape)
        for name in ("probs", "logits"):
            if name in self.__dict__:
                setattr(new, name, self.__dict__[name].expand(shape + self.event_shape))
        super(ContinuousCategorical, new).__init__(shape, self.event_shape, validate_args=False)
        new._validate_args, new._by_probs = self._validate_args, self._by_probs
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        r"""Log-density :math:`\langle a, s \rangle - \log Z(a)`, finite on the whole simplex.

        Raises
        ------
        ValueError
            If a value is off the simplex, with `validate_args`.
        """
        if self._validate_args:
            self._validate_sample(value)
        a = self._centred
        return (a * value).sum(dim=-1) - log_normaliser(a)

    @property
    def mean(self) -> Tensor:
        """Mean μ, the gradient of log Z; not softmax(a)."""
        return normaliser_gradient(self._centred)

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance, the Hessian of log Z, shape (..., K, K); its rows sum to 0.

        Its own derivatives, third ones of log Z, are refused (NotImplementedError).
        """
        n_classes = self.event_shape[0]
        a = self._centred.unsqueeze(-2).expand(*self.param_shape, n_classes)
        unit = torch.eye(n_classes, dtype=a.dtype, device=a.device).expand(a.shape)
        product = covariance_product(a, unit)
        return (product + product.mT) / 2

    @property
    def variance(self) -> Tensor:
        """Variances, the diagonal of the covariance; their derivatives are refused as well."""
        return self.covariance_matrix.diagonal(dim1=-2, dim2=-1)

    def entropy(self) -> Tensor:
        r"""Differential entropy :math:`\log Z(a) - \langle a, \mu \rangle`, at most −log (K−1)!."""
        a = self._centred
        log_integral, mean = log_normaliser_and_gradient(a)
        return log_integral - (a * mean).sum(dim=-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Exact draws, differentiable once by the parameters; see the module.

        K − 1 equations are solved one after the other, each for all draws at once: the time
        grows with K (one draw takes tenths of a second at K = 50, one or two seconds at K = 200)
        and little with the number of draws while that is small: take many in one call.

        Parameters
        ----------
        sample_shape : Size or tuple of int
            Put before the shape of the batch.

        Returns
        -------
        sample_shape + (..., K) tensor
            In the dtype of the parameters, computed in float64. `torch.manual_seed` repeats it.
        """
        shape = self._extended_shape(Size(sample_shape))
        a = self._wide
        order = a.argsort(dim=-1)
        a = a.gather(-1, order).expand(shape)
        exponential = a.new_empty((*shape[:-1], shape[-1] - 1)).exponential_()
        points = _ascending_draw((-a).clamp(max=DEEPEST), exponential)
        points = points.gather(-1, order.argsort(dim=-1).expand(shape))
        return points.to(self._dtype)


@register_kl(ContinuousCategorical, ContinuousCategorical)
def _kl(p: ContinuousCategorical, q: ContinuousCategorical) -> Tensor:
    r"""Kullback–Leibler divergence, at least 0, differentiable once.

    .. math:: KL = \log \frac{Z(a_q)}{Z(a_p)} - \langle \delta, \mu_p \rangle
                 = \int_0^1 (1 - t) \operatorname{Var}_{a_p + t \delta} \langle \delta, s \rangle
                   \, dt.

    The second form gives the value where δ has a range below ½; the first gives the derivatives.
    """
    if p.event_shape != q.event_shape:
        msg = f"`q` must have {p.event_shape[0]} classes as `p`, got {q.event_shape[0]}"
        raise ValueError(msg)
    a, b = torch.broadcast_tensors(p._wide, q._wide)
    delta = b - a
    log_integral, mean = log_normaliser_and_gradient(a)
    delta = delta - (delta * mean).sum(dim=-1, keepdim=True)
    direct = log_normaliser(a + delta) - log_integral
    with torch.no_grad():
        integral = torch.zeros_like(direct)
        for node, weight in zip(*np.polynomial.legendre.leggauss(CLOSE_NODES), strict=True):
            t = (1 + float(node)) / 2
            variance = (delta * covariance_product(a + t * delta, delta)).sum(dim=-1)
            integral += float(weight) / 2 * (1 - t) * variance
        span = delta.amax(dim=-1) - delta.amin(dim=-1)
        value = torch.where(span <= CLOSE, integral, direct).clamp(min=0)
    # the difference is 0: it carries the derivatives to a value that has lost no digit
    value = value + (direct - direct.detach())
    return value.to(torch.promote_types(p._dtype, q._dtype))


def _require_parameters(name: str, parameter: Tensor, dtype: torch.dtype) -> None:
    """What torch's constraints let pass."""
    if name == "probs" and not bool((parameter > 0).all()):
        msg = "`probs` must be positive: leave a class of probability 0 out, or smooth"
        raise ValueError(msg)
    if not bool(parameter.isfinite().all()):
        msg = f"`{name}` must be finite, got {float(parameter[~parameter.isfinite()][0])}"
        raise ValueError(msg)
    lowest, highest = (bound.to(dtype) for bound in parameter.aminmax(dim=-1))
    overflows = ~(highest - lowest).isfinite()
    if bool(overflows.any()):
        ends = f"{float(lowest[overflows][0]):g} and {float(highest[overflows][0]):g}"
        msg = f"`{name}` of a row must have a difference finite in {dtype}, got {ends}"
        raise ValueError(msg)


def _ascending_draw(depths: Tensor, exponential: Tensor) -> Tensor:
    """Draws (..., K) from descending depths (..., K) and exponential numbers (..., K − 1)."""
    mass = torch.ones_like(depths[..., 0])
    coordinates = []
    for k in range(depths.shape[-1] - 1):
        w = _survival_quantile(mass[..., None] * depths[..., k:], exponential[..., k])
        coordinates.append(-mass * torch.expm1(-w))
        mass = mass * torch.exp(-w)
    return torch.stack([*coordinates, mass], dim=-1)


def _survival_quantile(depths: Tensor, level: Tensor) -> Tensor:
    """The w where log P(s_1 > 1 − e^{−w}) = −level; the last Newton step carries the derivatives.

    Rounding in float32 leaves w within 1e-5 of its standard deviation; a step squares that.
    """
    whole = log_normaliser(-depths)
    with torch.no_grad():
        rough, goal = depths.float(), level.float()
        rough_whole, mean = log_normaliser_and_gradient(-rough)
        w = goal / _slope(1.0, rough, mean)  # the first step, from w = 0
        for _ in range(ROUGH_STEPS - 1):
            w = _newton_step(w, rough, goal, rough_whole)
        w = _newton_step(w.double(), depths, level, whole)
    return _newton_step(w, depths, level, whole)


def _newton_step(w: Tensor, depths: Tensor, level: Tensor, whole: Tensor) -> Tensor:
    """From w towards f(w) = −level; `whole` is log Z(−c). The slope is a constant of autograd."""
    others = depths.shape[-1] - 1
    t = torch.exp(-w)
    log_integral, mean = log_normaliser_and_gradient(-t[..., None] * depths)
    value = depths[..., 0] * torch.expm1(-w) - others * w + log_integral - whole
    slope = _slope(t, depths, mean).detach()
    return (w + (value + level) / slope).clamp(min=0)


def _slope(t: Tensor | float, depths: Tensor, mean: Tensor) -> Tensor:
    """−f′ at t = e^{−w}; `mean` is μ(−tc)."""
    return depths.shape[-1] - 1 + t * (depths[..., 0] - (depths * mean).sum(dim=-1))
