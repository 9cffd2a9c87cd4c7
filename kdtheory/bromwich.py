r"""The exponential over the simplex as a Bromwich integral on a contour with a proved error.

For depths :math:`c_k = \max a - a_k \ge 0`

.. math::
    F(c) = \int_{S_K} e^{-\langle c, s \rangle} ds
         = \frac{1}{2\pi i} \int f(z)\, dz, \qquad f(z) = \frac{e^z}{\prod_k (z + c_k)},

because :math:`\prod_k (z + c_k)^{-1}` is the Laplace transform of the convolution of the
:math:`e^{-c_k t}`. Ties are poles of higher order and need no care. The cost does not depend on
the range of c, and every quantity is relative to c itself, so that a range of 1e300 loses nothing.

**Contour.** The saddle :math:`z_0 \ge 1` solves :math:`\sum_k 1/(z_0 + c_k) = 1`. On the hyperbola
:math:`z = z_0 (1 + \eta(v))`,

.. math:: \eta(v) = C (\sin\alpha - \sin\alpha \cosh v + i \cos\alpha \sinh v),

of slope above 1 everywhere, the trapezoidal rule in v converges exponentially.

**Bound.** With :math:`\rho_k = z_0 / (z_0 + c_k) \in (0, 1]`, :math:`\sum_k \rho_k = z_0` and
:math:`V = \sum_k \rho_k^2 \in [1, z_0]`,

.. math::
    \log \left| \frac{f(z_0 (1 + \eta))}{f(z_0)} \right|
    = \sum_k \rho_k^2 \chi(\rho_k; \eta) \le V \max_{0 \le \rho \le 1} \chi(\rho; \eta), \qquad
    \chi(\rho; \eta) = \frac{\rho \Re\eta - \log|1 + \rho\eta|}{\rho^2},

and in the sector :math:`|\Im\eta| \ge -\Re\eta` every :math:`\chi \le 0`. Moreover
:math:`F(c) \ge f(z_0)\, z_0 / (e \sqrt{12 V})`, as F / f(z_0) is the log-concave density of a sum
of exponential variables at its mean. Hence truncation and aliasing of the rule are bounded,
relative to F, by a function of the single number V, for every K and every c. `rule_size` and
`rule_range` keep that function below 1e-16 for all V (the tests evaluate it).

notation: c = depths, z₀ = saddle, ρ = relative closeness, V = effective number of near classes
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Rule",
    "contour_rule",
    "covariance",
    "log_integral",
    "mean",
    "rule_range",
    "rule_size",
    "saddle",
]

Reals = NDArray[np.float64]
Complexes = NDArray[np.complex128]

ANGLE = 0.4  # α: with shifts of ±α the contour stays between a vertical line and slope 1
OPENING = 3.0  # C: a shift of π/4 − α then just reaches the nearest pole
SADDLE_SLACK = 1e-3  # z₀(S − 1) at which Newton stops; costs a factor exp(37e-3) in the bound


class Rule(NamedTuple):
    """Nodes and weights: F = exp(log_scale) · Re Σ_n weights, at 1 + ρ_k η_n for each class."""

    log_scale: Reals  # (B,)
    weights: Complexes  # (B, N)
    inverse_saddle: Reals  # (B, K): 1 / (z₀ + c_k)
    factors: Complexes  # (K, B, N): 1 + ρ_k η_n


def rule_size(effective: Reals) -> int:
    """Number of nodes N(V) on the upper half of the contour, enough for every V given."""
    return int(np.ceil(16 + 57 / effective.min() ** 0.35))


def rule_range(effective: Reals) -> Reals:
    """Range v_max(V) of the rule: beyond it the integrand is below the error bound."""
    return np.asarray(np.arcsinh(3.5 / np.sqrt(effective) + 30 / effective**1.2))


def saddle(depths: Reals) -> tuple[Reals, Reals, Reals]:
    """Saddle z₀ (B,), 1 / (z₀ + c_k) (B, K) and V (B,) of depths (B, K).

    Newton's method for harmonic(z) = 1 / Σ 1/(z + c_k) = 1, which is concave and increasing:
    from z = 1 on the left it rises to the root without overshooting.
    """
    z = np.ones(len(depths))
    while True:
        r = 1 / (z[:, None] + depths)
        total = r.sum(axis=1)
        squares = np.einsum("bk,bk->b", r, r)
        if np.all(z * (total - 1) <= SADDLE_SLACK):
            return z, r, z * z * squares
        z = z + np.maximum(total * (total - 1) / squares, 0)


def contour_rule(depths: Reals) -> Rule:
    """The quadrature rule for each row of depths (B, K), whose least entry is 0."""
    z, r, effective = saddle(depths)
    size = rule_size(effective)
    step = rule_range(effective) / size
    v = step[:, None] * np.arange(size + 1)
    growing = np.exp(v)
    cosh, sinh = (growing + 1 / growing) / 2, (growing - 1 / growing) / 2
    across, along = OPENING * np.sin(ANGLE), OPENING * np.cos(ANGLE)
    eta = across * (1 - cosh) + 1j * along * sinh
    weights = (step / np.pi)[:, None] * (along * cosh + 1j * across * sinh)
    weights[:, 0] /= 2  # the conjugate half of the contour doubles all nodes but the vertex
    factors = 1 + (r * z[:, None]).T[:, :, None] * eta
    phase = z[:, None] * eta.imag
    weights *= np.exp(z[:, None] * eta.real) * (np.cos(phase) + 1j * np.sin(phase))
    weights /= _product(factors)
    log_scale = z + np.log(z) - np.log(z[:, None] + depths).sum(axis=1)
    return Rule(log_scale, weights, r, factors)


def log_integral(depths: Reals) -> Reals:
    """Log F(c) for each row of depths (B, K)."""
    rule = contour_rule(depths)
    return np.asarray(rule.log_scale + np.log(rule.weights.real.sum(axis=1)))


def mean(depths: Reals) -> Reals:
    """E[s_k] = F(c with c_k repeated) / F(c), shape (B, K): one more pole in the same rule."""
    rule = contour_rule(depths)
    total = rule.weights.real.sum(axis=1)
    repeated = (rule.weights / rule.factors).real.sum(axis=2).T
    return np.asarray(repeated * rule.inverse_saddle / total[:, None])


def covariance(depths: Reals) -> Reals:
    """Cov[s_j, s_k], shape (B, K, K).

    E[s_j s_k] = (1 + δ_jk) F(c with c_j, c_k repeated) / F(c), centred under the integral. The
    row of the deepest mass (c = 0), whose variance can be smaller than rounding of its second
    moment, follows from the others, as all rows sum to 0.
    """
    rule = contour_rule(depths)
    total = rule.weights.real.sum(axis=1)
    weights = rule.weights / total[:, None]
    poles = np.moveaxis(1 / rule.factors, 0, 1) * rule.inverse_saddle[:, :, None]  # (B, K, N)
    means = np.einsum("bn,bkn->bk", weights, poles).real
    centred = poles - means[:, :, None]
    products = ((centred * weights[:, None, :]) @ np.swapaxes(centred, 1, 2)).real
    result: Reals = (products + np.swapaxes(products, 1, 2)) / 2
    diagonal = np.arange(depths.shape[1])
    result[:, diagonal, diagonal] += np.einsum("bn,bkn,bkn->bk", weights, poles, poles).real

    rows, top = np.arange(len(depths)), np.argmin(depths, axis=1)
    result[rows, top, :] = 0
    result[rows, :, top] = 0
    rest = -result.sum(axis=1)
    result[rows, top, :] = rest
    result[rows, :, top] = rest
    result[rows, top, top] = -rest.sum(axis=1)
    return result


def _product(factors: Complexes) -> Complexes:
    """Product over the first axis by halves: vectorised, and rounding grows like log K."""
    while len(factors) > 1:
        half = len(factors) // 2
        product = factors[:half] * factors[half : 2 * half]
        if len(factors) % 2:
            product[0] *= factors[-1]
        factors = product
    return np.asarray(factors[0])
