r"""Log Z of `kdtheory.divided_differences` in torch: the contour rule with a fixed amount of work.

The rule of `kdtheory.bromwich` serves every range of logits at one cost, so that nothing has to be
asked of the numbers: no transfer from the device, no shape that depends on data. With depths
:math:`c = \max a - a`, saddle :math:`z_0`, closeness :math:`\rho_k = z_0 / (z_0 + c_k)` and nodes
:math:`\eta_n`,

.. math::
    Z(a) = e^{\max a} f(z_0) z_0 \, \Re \sum_n w_n, \qquad
    \mu_k = \frac{\Re \sum_n w_n p_{kn}}{\Re \sum_n w_n}, \qquad
    p_{kn} = \frac{1}{(z_0 + c_k)(1 + \rho_k \eta_n)},

.. math::
    (\operatorname{Cov} v)_k = \Re \sum_n \bar w_n \big[ (p_{kn} - \mu_k)(q_n - \bar q)
                               + v_k p_{kn}^2 \big], \qquad q_n = \sum_k v_k p_{kn},

with :math:`\bar w` = w over its sum. Autograd takes its derivatives from these sums, never from a
graph through them: log Z and μ come from one pass, and the derivative of μ from a second.

**Saddle.** h(z) = 1 / Σ 1/(z + c_k) is concave and increasing, and Newton's method for h = 1 rises
from z = 1. By concavity the ratios of the deficit 1 − h and of the slope h′, from one step to the
next, add up to at most 1, so that their product falls to a quarter at least. As 1/K ≤ h′ ≤ 1, the
deficit after n steps is at most K / 4ⁿ; as z ≤ K, the slack z(1/h − 1) is below 1e-3 after
5 + log₂ K steps, for every c. That many are taken.

**Nodes.** In float64 those that `bromwich.rule_size` has for V = 1, which are enough for all V. In
float32 fewer, with another range, for a bound of 2e-7 (the tests evaluate both). Real numbers stand
in pairs for complex ones, as compilers know no others. Products of many factors are put together
from groups of magnitudes that neither overflow nor vanish: 0.7 ≤ |1 + ρη| ≤ 110.

notation: a = logits, c = depths, z₀ = saddle, ρ = closeness, V = effective number of near classes,
μ = mean, v = direction, p = poles
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kdtheory import bromwich

__all__ = [
    "covariance_product",
    "log_normaliser",
    "log_normaliser_and_gradient",
    "normaliser_gradient",
]

NEWTON_STEPS = 5  # and log₂ K more: see the module
BLOCK = 2**24  # numbers of the table (K, B, N) that are handled together: 128 MB
CACHED_BLOCK = 2**17  # the same on a CPU, operation by operation: the tables stay in its cache


def log_normaliser(logits: Tensor) -> Tensor:
    r"""Logarithm of :math:`Z(a) = \int_{S_K} \exp\langle a, s \rangle ds`, as a torch function.

    Differentiable twice in reverse mode; its gradient is `normaliser_gradient`. The Hessian is
    ``torch.func.jacrev(torch.func.jacrev(log_normaliser))``; ``torch.func.hessian`` does not work,
    as it takes forward mode. Nothing is transferred from the device, the time does not depend on
    the range of the logits, and `torch.compile(fullgraph=True)` takes it whole.

    Parameters
    ----------
    logits : (..., K) floating tensor
        Any order, ties and any offset allowed. K at least 1; the batch may be empty.

    Returns
    -------
    (...,) tensor
        log Z with respect to Lebesgue's measure on (s_1 … s_{K-1}): float64 within
        1e-12 · max(1, \|log Z\|), float32 within 1e-5 · max(1, \|log Z\|). Halves (autocast) are
        computed in and returned as float32, as for `torch.nn.functional.cross_entropy`. A row that
        holds a number that is not finite, or whose range overflows, gives NaN: looking for it
        would make the device wait.

    Raises
    ------
    TypeError
        If `logits` is not a floating tensor.
    ValueError
        If it has no classes.

    References
    ----------
    GS Theorem 1, corrected; `kdtheory.bromwich` for the bound of the error.

    Examples
    --------
    >>> import torch
    >>> log_normaliser(torch.zeros(3, dtype=torch.float64))  # the area ½ of the simplex
    tensor(-0.6931, dtype=torch.float64)
    """
    value, _ = _LogNormaliser.apply(_floats(logits))
    return value


def normaliser_gradient(logits: Tensor) -> Tensor:
    r"""Gradient of log Z: the mean μ of the continuous categorical distribution.

    Differentiable once: by the covariance of s.

    Parameters
    ----------
    logits : (..., K) floating tensor
        As for `log_normaliser`.

    Returns
    -------
    (..., K) tensor
        Positive, sums to 1; errors and NaN as for `log_normaliser`.

    Raises
    ------
    TypeError, ValueError
        As for `log_normaliser`.

    Examples
    --------
    >>> import torch
    >>> normaliser_gradient(torch.tensor([20.0] + [0.0] * 9))[0].round(decimals=3)
    tensor(0.5510)
    """
    _, mean = log_normaliser_and_gradient(logits)
    return mean


def log_normaliser_and_gradient(logits: Tensor) -> tuple[Tensor, Tensor]:
    r"""Log Z and μ, from one pass: what `log_normaliser` and `normaliser_gradient` give.

    Parameters
    ----------
    logits : (..., K) floating tensor
        As for `log_normaliser`.

    Returns
    -------
    (...,) tensor, (..., K) tensor

    Raises
    ------
    TypeError, ValueError
        As for `log_normaliser`.

    Examples
    --------
    >>> import torch
    >>> value, mean = log_normaliser_and_gradient(torch.zeros(3))
    >>> mean
    tensor([0.3333, 0.3333, 0.3333])
    """
    a = _floats(logits)
    value, mean = _LogNormaliser.apply(a)
    return value, _Mean.apply(a, mean)


def covariance_product(logits: Tensor, direction: Tensor) -> Tensor:
    r"""Product of the Hessian of log Z, the covariance of s, with a direction: Cov[s] v.

    Differentiable in the direction only.

    Parameters
    ----------
    logits : (..., K) floating tensor
        As for `log_normaliser`.
    direction : (..., K) tensor
        v, of the same shape; only its differences matter, as s sums to 1.

    Returns
    -------
    (..., K) tensor
        Sums to 0.

    Raises
    ------
    TypeError, ValueError
        As for `log_normaliser`, or if the shapes differ.

    Examples
    --------
    >>> import torch
    >>> covariance_product(torch.zeros(2), torch.tensor([12.0, 0.0]))
    tensor([ 1., -1.])
    """
    a = _floats(logits)
    if direction.shape != a.shape:
        msg = f"`direction` must have shape {tuple(a.shape)}, got {tuple(direction.shape)}"
        raise ValueError(msg)
    return _CovarianceProduct.apply(a, direction.to(a.dtype))


def _floats(logits: Tensor) -> Tensor:
    """Logits (..., K) as float32 or float64."""
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        kind = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
        msg = f"`logits` must be a floating tensor, got {kind}"
        raise TypeError(msg)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        msg = f"`logits` must have shape (..., K) with K at least 1, got {tuple(logits.shape)}"
        raise ValueError(msg)
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


class _LogNormaliser(torch.autograd.Function):
    """a ↦ log Z, and the numbers of μ: one pass gives both."""

    @staticmethod
    def forward(logits: Tensor) -> tuple[Tensor, Tensor]:
        rows = logits.detach().reshape(-1, logits.shape[-1])
        parts = [_block_moments(place) for place in _places(rows)]
        value = torch.cat([value for value, _ in parts]).reshape(logits.shape[:-1])
        return value, torch.cat([mean for _, mean in parts]).reshape(logits.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx: Any, of_value: Tensor, of_mean: Tensor) -> Tensor:  # noqa: ARG004
        return of_value[..., None] * _Mean.apply(*ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int], logits: Tensor) -> tuple[Any, tuple[int, int]]:  # noqa: ARG004
        return _LogNormaliser.apply(logits.movedim(in_dims[0], 0)), (0, 0)


class _Mean(torch.autograd.Function):
    """a ↦ μ, whose numbers are known: it is here for its derivatives."""

    @staticmethod
    def forward(logits: Tensor, mean: Tensor) -> Tensor:  # noqa: ARG004
        return mean.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, of_mean: Tensor) -> tuple[Tensor, None]:
        return _CovarianceProduct.apply(*ctx.saved_tensors, of_mean), None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Tensor) -> tuple[Tensor, int]:
        return _Mean.apply(*_fronts(info.batch_size, in_dims, inputs)), 0


class _CovarianceProduct(torch.autograd.Function):
    """a, v ↦ Cov[s] v, which is linear in v; its derivative by a is the third of log Z."""

    @staticmethod
    def forward(logits: Tensor, direction: Tensor) -> Tensor:
        rows, v = (x.detach().reshape(-1, x.shape[-1]) for x in (logits, direction))
        places = _places(rows)
        parts = [
            _block_product(place, part)
            for place, part in zip(places, v.split([len(x.z) for x in places]), strict=True)
        ]
        return torch.cat(parts).reshape(logits.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, of_product: Tensor) -> tuple[None, Tensor]:
        if ctx.needs_input_grad[0]:
            msg = "third derivatives of log Z are not there: differentiate twice at most"
            raise NotImplementedError(msg)
        return None, _CovarianceProduct.apply(*ctx.saved_tensors, of_product)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Tensor) -> tuple[Tensor, int]:
        return _CovarianceProduct.apply(*_fronts(info.batch_size, in_dims, inputs)), 0


def _fronts(size: int, in_dims: Any, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """Inputs with the axis of a vmap in front."""
    return [
        x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
        for x, dim in zip(inputs, in_dims, strict=True)
    ]


class _Nodes(NamedTuple):
    """How many nodes, how far, and how many factors a product may have before its logarithm."""

    size: int
    near: float  # v_max = arcsinh(near / √V + far / V^1.2)
    far: float
    group: int


SINGLE = _Nodes(size=28, near=2.5, far=13.0, group=16)  # 110^16 = 5e32
DOUBLE = _Nodes(size=73, near=3.5, far=30.0, group=128)  # 110^128 = 2e261


class _Place(NamedTuple):
    """Where the rule of rows stands; in float64, as these are few numbers."""

    rows: Tensor  # (B, K)
    z: Tensor  # (B, 1): the saddle
    inverse: Tensor  # (B, K): 1 / (z₀ + c_k)
    log_scale: Tensor  # (B,): of Z = exp(log_scale) · total


class _Rule(NamedTuple):
    """Weights over their sum, and where they act."""

    total: Tensor  # (B,)
    weights: tuple[Tensor, Tensor]  # (B, N), real and imaginary part
    inverse: Tensor  # (K, B, 1): 1 / (z₀ + c_k)
    factors: tuple[Tensor, Tensor]  # (K, B, N): 1 + ρ_k η_n


def _places(rows: Tensor) -> list[_Place]:
    """The saddles of rows (B, K), in blocks whose tables of nodes stay moderate."""
    wide = rows.double()
    highest = wide.amax(dim=-1, keepdim=True)
    depths = highest - wide
    depths = torch.where(depths.isfinite(), depths, math.nan)
    z, inverse = _saddle(depths)
    log_scale = (highest + z + z.log() + inverse.log().sum(dim=-1, keepdim=True))[:, 0]
    whole = (rows, z, inverse, log_scale)
    cached = rows.device.type == "cpu" and not torch.compiler.is_compiling()
    numbers = CACHED_BLOCK if cached else BLOCK
    size = max(1, numbers // (rows.shape[1] * _nodes(rows.dtype).size))
    if rows.shape[0] <= size:
        return [_Place(*whole)]
    return [_Place(*parts) for parts in zip(*(x.split(size) for x in whole), strict=True)]


def _nodes(kind: torch.dtype) -> _Nodes:
    return SINGLE if kind == torch.float32 else DOUBLE


def _block_moments(place: _Place) -> tuple[Tensor, Tensor]:
    """Log Z (B,) and μ (B, K)."""
    rule = _rule(place)
    (weight, weight_i), (x, y) = rule.weights, rule.factors
    size = (x * x).addcmul_(y, y)
    terms = (weight * x).addcmul_(weight_i, y).div_(size)
    repeated = terms.sum(dim=-1, keepdim=True)
    value = place.log_scale + rule.total.double().log()
    return value.to(place.rows.dtype), (repeated * rule.inverse)[..., 0].T


def _block_product(place: _Place, direction: Tensor) -> Tensor:
    """Cov[s] v for directions (B, K).

    The row of the largest logit, whose variance can be smaller than rounding of its second moment,
    follows from the others, as all rows of the covariance sum to 0; so do its columns.
    """
    rule = _rule(place)
    (weight, weight_i), (x, y) = rule.weights, rule.factors
    top = place.rows.argmax(dim=-1, keepdim=True)
    v = (direction - direction.gather(-1, top)).T[..., None].to(place.rows.dtype)
    scale = rule.inverse / torch.addcmul(x * x, y, y)
    pole, pole_i = x * scale, -y * scale
    square = weight * (pole * pole - pole_i * pole_i) - 2 * weight_i * (pole * pole_i)
    pole = pole - (weight * pole - weight_i * pole_i).sum(dim=-1, keepdim=True)
    along, along_i = (v * pole).sum(dim=0), (v * pole_i).sum(dim=0)
    along, along_i = weight * along - weight_i * along_i, weight * along_i + weight_i * along
    result = (pole * along - pole_i * along_i + v * square).sum(dim=-1).T
    result = result.scatter(-1, top, 0.0)
    return result.scatter(-1, top, -result.sum(dim=-1, keepdim=True))


def _rule(place: _Place) -> _Rule:
    """The rule in the precision of the rows."""
    kind = place.rows.dtype
    nodes = _nodes(kind)
    z = place.z.to(kind)
    closeness, inverse = (x.T[..., None].to(kind) for x in (place.z * place.inverse, place.inverse))
    effective = closeness.square().sum(dim=0)
    step = torch.asinh(nodes.near / effective.sqrt() + nodes.far / effective**1.2) / nodes.size
    growing = (step * torch.arange(nodes.size + 1, dtype=kind, device=z.device)).exp()
    cosh, sinh = (growing + 1 / growing) / 2, (growing - 1 / growing) / 2
    across = bromwich.OPENING * math.sin(bromwich.ANGLE)
    along = bromwich.OPENING * math.cos(bromwich.ANGLE)
    eta, eta_i = across * (1 - cosh), along * sinh

    x, y = (closeness * eta).add_(1), closeness * eta_i
    log_size, turn, turn_i = _product(x, y, nodes.group)
    # speed e^{zη} / Π (1 + ρη): the direction of the product is divided by its conjugate
    size, phase = (z * eta - log_size).exp() * step, z * eta_i
    cos, sin = phase.cos() * size, phase.sin() * size
    turn, turn_i = cos * turn + sin * turn_i, sin * turn - cos * turn_i
    speed, speed_i = along * cosh, across * sinh  # of the contour, turned by a quarter
    weight, weight_i = speed * turn - speed_i * turn_i, speed * turn_i + speed_i * turn
    # the conjugate half of the contour doubles all nodes but the vertex
    ends = torch.full((nodes.size + 1,), 1 / math.pi, dtype=kind, device=z.device)
    ends[0] /= 2
    weight, weight_i = weight * ends, weight_i * ends
    total = weight.sum(dim=-1, keepdim=True)
    return _Rule(total[:, 0], (weight / total, weight_i / total), inverse, (x, y))


def _saddle(depths: Tensor) -> tuple[Tensor, Tensor]:
    """z₀ (B, 1) and 1 / (z₀ + c_k) (B, K), from depths (B, K), by the steps that always suffice."""
    z = torch.ones_like(depths[:, :1])
    inverse = 1 / (z + depths)
    for _ in range(NEWTON_STEPS + math.ceil(math.log2(depths.shape[1]))):
        total = inverse.sum(dim=-1, keepdim=True)
        squares = inverse.square().sum(dim=-1, keepdim=True)
        z = z + (total * (total - 1) / squares).clamp(min=0)
        inverse = 1 / (z + depths)
    return z, inverse


def _product(x: Tensor, y: Tensor, group: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-magnitude and direction (real, imaginary) of the product of x + iy over the first axis.

    By halves: vectorised, and rounding grows like log K.
    """
    parts = [_halved(x[k : k + group], y[k : k + group]) for k in range(0, x.shape[0], group)]
    real, imaginary = (torch.stack(list(part)) for part in zip(*parts, strict=True))
    size = torch.hypot(real, imaginary)
    return size.log().sum(dim=0), *_halved(real / size, imaginary / size)


def _halved(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Product over the first axis."""
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        a, b, c, d = x[:half], y[:half], x[half : 2 * half], y[half : 2 * half]
        real = (a * c).addcmul_(b, d, value=-1)
        imaginary = (a * d).addcmul_(b, c)
        if x.shape[0] % 2:
            real = torch.cat([real, x[-1:]])
            imaginary = torch.cat([imaginary, y[-1:]])
        x, y = real, imaginary
    return x[0], y[0]
