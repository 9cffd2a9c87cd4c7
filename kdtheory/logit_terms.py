r"""The summands of the losses of distillation, with derivatives that keep their digits.

A term is a weight of each object times one of: the cross-entropy of GS (3) and (14), the exact
bracket :math:`\log Z(u) - \langle s, u \rangle`, u = z/T, of (12), the printed regulariser of (14),
the squares of MD, section 3.2, and those of GS (15). The terms of a loss share what they need at a
point, such as one softmax for each temperature.

**Digits.** With :math:`d = \max z - z \ge 0`, t the largest class and :math:`Q = \sum_{j \ne t}
e^{-d_j/T}`, the cross-entropy is :math:`\langle s, d \rangle / T + \log(1 + Q)`, a sum of positive
terms; :math:`1 - p_t = Q/(1 + Q)`; and a product with the Hessian takes a direction relative to its
entry at t. So nothing cancels at large margins. In the printed term :math:`\log(-\log p_t)` comes
from log Q, and :math:`p_j / (-\log p_t)` is a product of bounded factors, with :math:`p_j/Q` and
:math:`Q / \log(1 + Q)`.

Arrays have classes first, shape (K, m): sums over few classes then run along the objects. No
argument is checked here.

notation: z = logits, y = labels, s = answers, T = temperature, d = depths, Q = odds,
p = probabilities
"""
# ruff: noqa: D102 - what the methods of a term mean is said once, in its protocols

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kdtheory.divided_differences import log_normaliser, normaliser_gradient, normaliser_hessian

__all__ = [
    "AnswerSquares",
    "CrossEntropy",
    "ExactBracket",
    "LogitTerm",
    "PrintedRegulariser",
    "ProbabilitySquares",
    "Rows",
    "Softmax",
    "Term",
    "classes_first",
]

Reals = NDArray[np.float64]
Rows = slice | NDArray[Any]

KEPT = 2**25  # entries of Hessians of log Z that are kept: 256 MB
LEAST_ODDS = 1e-300  # below this Q / log(1 + Q) is 1, but 0/0 once Q underflows


def classes_first(array: Reals) -> Reals:
    """An array (m, K) as (K, m), in this order in memory."""
    return np.ascontiguousarray(array.T)


def _of_rows(array: Reals, index: Rows) -> Reals:
    """Some objects of an array (..., m); a view if they are a slice."""
    if isinstance(index, slice):
        return array[..., index]
    rows = np.asarray(index)
    return array.take(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows, axis=-1)


class Softmax:
    """Softmax of logits (K, m) at a temperature, in the parts that keep all digits.

    At ties every class of largest logit counts as largest; what cancels for a single one does not
    cancel there.
    """

    def __init__(self, logits: Reals, temperature: float) -> None:
        self.temperature = temperature
        self.depths = logits.max(axis=0) - logits
        self.is_largest = self.depths == 0
        with np.errstate(over="ignore", under="ignore"):
            powers: Reals = self.depths / -temperature
            np.exp(powers, out=powers)
        powers -= self.is_largest  # exactly 1 there; faster than a masked copy
        self.ties: Reals = self.is_largest.sum(axis=0, dtype=np.float64)
        self.odds: Reals = powers.sum(axis=0) + (self.ties - 1)
        self._total = 1 + self.odds
        powers /= self._total
        self.misses: Reals = self.odds / self._total  # 1 − p of the largest class
        powers -= self.is_largest * self.misses
        self._deviation = powers  # p, and p − 1 for the largest class

    @cached_property
    def probabilities(self) -> Reals:
        """The softmax p itself."""
        result = self._deviation.copy()
        np.copyto(result, 1 / self._total, where=self.is_largest)
        return result

    @cached_property
    def _centre(self) -> Reals:
        """Weights of the mean over the largest classes."""
        return np.asarray(self.is_largest / self.ties)

    def residual(self, weight: Reals, target: Reals) -> Reals:
        """Weight · p − target; at the largest class (weight − target) − weight · (1 − p)."""
        return _residual(weight, target, self.is_largest, self._deviation)

    def spread(self, direction: Reals) -> Reals:
        """Derivative of p along v: p ∘ (v − ⟨p, v⟩)."""
        v: Reals = direction - np.einsum("km,km->m", self._centre, direction)
        v -= np.einsum("km,km->m", self.probabilities, v)
        v *= self.probabilities
        return v

    @cached_property
    def printed(self) -> "_PrintedFactors":
        """What the printed regulariser is made of here."""
        return _PrintedFactors(self)

    @cached_property
    def covariance(self) -> Reals:
        """Derivative of p, shape (K, K, m)."""
        p = self.probabilities
        result: Reals = -p[:, None] * p
        diagonal = np.arange(len(p))
        result[diagonal, diagonal] = p * np.where(self.is_largest, self.misses, 1 - p)
        return result


def _shared_softmax(logits: Reals, temperature: float, known: dict[float, Softmax]) -> Softmax:
    """The softmax at a temperature, which all terms at this temperature share."""
    if temperature not in known:
        known[temperature] = Softmax(logits, temperature)
    return known[temperature]


def _residual(
    weight: Reals, target: Reals, is_largest: NDArray[np.bool_], deviation: Reals
) -> Reals:
    """Weight · mean − target for the deviation mean − 1[largest].

    At the largest class weight · deviation − (target − weight), as 1 + deviation would round.
    """
    result: Reals = weight * deviation
    result -= target - weight * is_largest
    return result


class Term(Protocol):
    """One weighted summand of the losses; arrays are (m,), (K, m) or (K, K, m)."""

    def point(self, logits: Reals, known: dict[float, Softmax]) -> Any:
        """What values and derivatives at these logits (K, m) share.

        Known are the softmaxes that other terms of the loss have made at this place, by
        temperature.
        """

    def values(self, at: Any) -> Reals:
        """Of each object, shape (m,)."""

    def gradient(self, at: Any) -> Reals:
        """Its derivatives, shape (K, m)."""

    def hessian_product(self, at: Any, direction: Reals) -> Reals:
        """Product of each object's Hessian with its column of the direction, shape (K, m)."""

    def hessian(self, at: Any) -> Reals:
        """Hessian of each object, shape (K, K, m)."""


class LogitTerm(Term, Protocol):
    """A term in the logits of K classes."""

    @property
    def convex(self) -> bool:
        """Whether it is known to be convex for every object."""

    @property
    def shape(self) -> tuple[int, int]:
        """Of the logits, (K, m)."""

    @property
    def support(self) -> NDArray[np.bool_]:
        """Classes that its target gives weight to, shape (K, m)."""

    def rows(self, index: Rows) -> "LogitTerm":
        """The term of some objects."""

    def blends(self, other: "LogitTerm", shares: Reals) -> "LogitTerm | None":  # noqa: ARG002
        """The term (1 − u) · own + u · other for one share u, shape (U, 1), after the other.

        None if the two have no such blends.
        """
        return None


@dataclass(frozen=True, eq=False)
class CrossEntropy(LogitTerm):
    """Weight · CE(s, softmax(z/T)), for target = weight · s."""

    weight: Reals
    target: Reals
    temperature: float
    convex = True

    @property
    def shape(self) -> tuple[int, int]:
        return self.target.shape

    @property
    def support(self) -> NDArray[np.bool_]:
        return self.target > 0

    def rows(self, index: Rows) -> "CrossEntropy":
        return CrossEntropy(
            _of_rows(self.weight, index), _of_rows(self.target, index), self.temperature
        )

    def blends(self, other: LogitTerm, shares: Reals) -> "CrossEntropy | None":
        if not isinstance(other, CrossEntropy) or self.shape != other.shape:
            return None
        if not self.temperature == other.temperature == 1:
            return None
        weight = (1 - shares) * self.weight + shares * other.weight
        target = (1 - shares) * self.target[:, None] + shares * other.target[:, None]
        return CrossEntropy(weight.ravel(), target.reshape(len(target), -1), 1.0)

    def point(self, logits: Reals, known: dict[float, Softmax]) -> Softmax:
        return _shared_softmax(logits, self.temperature, known)

    def values(self, at: Softmax) -> Reals:
        # the depths first: 0 · d is 0 where d/T is infinite
        result: Reals = np.einsum("km,km->m", self.target, at.depths) / self.temperature
        result += self.weight * np.log1p(at.odds)
        return result

    def gradient(self, at: Softmax) -> Reals:
        result = at.residual(self.weight, self.target)
        result /= self.temperature
        return result

    def hessian_product(self, at: Softmax, direction: Reals) -> Reals:
        result = at.spread(direction)
        result *= self._curvature
        return result

    def hessian(self, at: Softmax) -> Reals:
        return at.covariance * self._curvature

    @property
    def _curvature(self) -> Reals:
        return self.weight / self.temperature / self.temperature


class _Normaliser:
    """The divided difference Z of exp at logits (K, m) over a temperature."""

    def __init__(self, logits: Reals, temperature: float) -> None:
        self.depths = logits.max(axis=0) - logits
        self.is_largest = self.depths == 0
        self.ties: Reals = self.is_largest.sum(axis=0, dtype=np.float64)
        with np.errstate(over="ignore", under="ignore"):
            self.nodes: Reals = (self.depths / -temperature).T

    @cached_property
    def log_integral(self) -> Reals:
        return np.asarray(log_normaliser(self.nodes))

    @cached_property
    def mean(self) -> Reals:
        return classes_first(normaliser_gradient(self.nodes))

    @cached_property
    def deviation(self) -> Reals:
        """The mean, minus 1 for the largest class: there the sum of all others, negative."""
        result = self.mean.copy()
        np.copyto(result, 0, where=self.is_largest)
        others = result.sum(axis=0) + (self.ties - 1) * self.mean.max(axis=0)
        np.copyto(result, -others, where=self.is_largest)
        return result

    @cached_property
    def covariance(self) -> Reals:
        """Derivative of the mean, shape (m, K, K)."""
        return np.asarray(normaliser_hessian(self.nodes))

    def spread(self, direction: Reals) -> Reals:
        """Covariance times a direction (K, m)."""
        centre = self.is_largest / self.ties
        v = (direction - np.einsum("km,km->m", centre, direction)).T[:, :, None]
        m, n_classes = self.nodes.shape
        size = max(1, KEPT // n_classes**2)
        if m <= size:
            product: Reals = self.covariance @ v
            return product[:, :, 0].T
        result = np.empty((m, n_classes))
        for start in range(0, m, size):  # too many to keep: again for each direction
            block = slice(start, start + size)
            result[block] = (normaliser_hessian(self.nodes[block]) @ v[block])[:, :, 0]
        return result.T


@dataclass(frozen=True, eq=False)
class ExactBracket(LogitTerm):
    """Weight · [log Z(z/T) − ⟨s, z/T⟩], for target = weight · s, where the weight is positive."""

    weight: Reals
    target: Reals
    temperature: float
    convex = True

    @property
    def shape(self) -> tuple[int, int]:
        return self.target.shape

    @property
    def support(self) -> NDArray[np.bool_]:
        return self.target > 0

    def rows(self, index: Rows) -> "ExactBracket":
        return ExactBracket(
            _of_rows(self.weight, index), _of_rows(self.target, index), self.temperature
        )

    @cached_property
    def _active(self) -> Rows:
        """The objects of I: log Z costs far more than an exponential."""
        positive = self.weight > 0
        return slice(None) if positive.all() else np.flatnonzero(positive)

    def point(self, logits: Reals, known: dict[float, Softmax]) -> _Normaliser:  # noqa: ARG002
        return _Normaliser(logits[:, self._active], self.temperature)

    def values(self, at: _Normaliser) -> Reals:
        rows = self._active
        result = np.zeros(self.weight.shape)
        result[rows] = np.einsum("km,km->m", self.target[:, rows], at.depths) / self.temperature
        result[rows] += self.weight[rows] * at.log_integral
        return result

    def gradient(self, at: _Normaliser) -> Reals:
        rows = self._active
        weight, target = self.weight[rows], self.target[:, rows]
        result = np.zeros(self.shape)
        result[:, rows] = _residual(weight, target, at.is_largest, at.deviation)
        result /= self.temperature
        return result

    def hessian_product(self, at: _Normaliser, direction: Reals) -> Reals:
        rows = self._active
        result = np.zeros(self.shape)
        result[:, rows] = at.spread(direction[:, rows]) * self._curvature[rows]
        return result

    def hessian(self, at: _Normaliser) -> Reals:
        n_classes, m = self.shape
        result = np.zeros((n_classes, n_classes, m))
        covariance = np.moveaxis(at.covariance, 0, -1)
        result[..., self._active] = covariance * self._curvature[self._active]
        return result

    @property
    def _curvature(self) -> Reals:
        return self.weight / self.temperature / self.temperature


class _PrintedFactors:
    """What −Σ (a + log(−a)), a = log p, and its derivatives are made of, every part bounded.

    Class t is a largest one, Q the odds of all others, L = −a. L_t = log(1 + Q) may underflow.
    """

    def __init__(self, softmax: Softmax) -> None:
        depths, odds, T = softmax.depths, softmax.odds, softmax.temperature
        self.softmax = softmax
        self.objects = np.arange(len(odds))
        self.top = softmax.is_largest.argmax(axis=0)
        others = depths.copy()
        others[self.top, self.objects] = np.inf
        self.second = others.argmin(axis=0)
        nearest = others[self.second, self.objects]
        self.shares = np.exp((nearest - others) / T)  # p / Q, and 0 at t
        total = self.shares.sum(axis=0)
        self.shares /= total
        self.losses = others / T + np.log1p(odds)  # L, infinite at t
        self.inverses = 1 / self.losses
        self.inverse_sum = self.inverses.sum(axis=0)
        some = np.maximum(odds, LEAST_ODDS)
        self.excess = some / np.log1p(some) - 1  # Q / L_t − 1
        self.slope = (1 + self.excess) / (1 + odds)  # (1 − p_t) / L_t
        self.log_top_loss = np.log(total) - nearest / T - np.log1p(self.excess)

    def values(self) -> Reals:
        losses = self.losses.copy()
        losses[self.top, self.objects] = 1
        log_losses = np.log(losses)
        losses[self.top, self.objects] = np.log1p(self.softmax.odds)
        log_losses[self.top, self.objects] = self.log_top_loss
        return np.asarray((losses - log_losses).sum(axis=0))

    def gradient(self) -> Reals:
        p = self.softmax.probabilities
        result: Reals = (len(p) - self.inverse_sum) * p - 1 + self.inverses
        result -= self.shares * self.slope
        result[self.top, self.objects] += self.slope
        return result

    def hessian_product(self, direction: Reals) -> Reals:
        p, odds = self.softmax.probabilities, self.softmax.odds
        v = direction - direction[self.top, self.objects]
        mean = np.einsum("km,km->m", self.shares, v)  # of the others
        # relative to the second class too, as its share may be nearly all
        w = direction - direction[self.second, self.objects]
        below = np.einsum("km,km->m", self.shares, w) - w
        v -= self.softmax.misses * mean
        bent = v * self.inverses * self.inverses
        rest = mean * self.excess / (1 + odds)
        result: Reals = bent - p * bent.sum(axis=0)
        result += (len(p) - self.inverse_sum) * p * v
        result += self.shares * self.slope * (below + rest)
        result[self.top, self.objects] -= self.slope * rest
        return result


@dataclass(frozen=True, eq=False)
class PrintedRegulariser(LogitTerm):
    """Weight · r(z/T) with the regulariser that GS (14) prints."""

    weight: Reals
    n_classes: int
    temperature: float

    @property
    def convex(self) -> bool:
        return self.n_classes == 2

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_classes, len(self.weight)

    @property
    def support(self) -> NDArray[np.bool_]:
        return np.broadcast_to(self.weight > 0, self.shape)

    def rows(self, index: Rows) -> "PrintedRegulariser":
        return PrintedRegulariser(_of_rows(self.weight, index), self.n_classes, self.temperature)

    def point(self, logits: Reals, known: dict[float, Softmax]) -> Softmax:
        return _shared_softmax(logits, self.temperature, known)

    def values(self, at: Softmax) -> Reals:
        return self.weight * at.printed.values()

    def gradient(self, at: Softmax) -> Reals:
        return self.weight / self.temperature * at.printed.gradient()

    def hessian_product(self, at: Softmax, direction: Reals) -> Reals:
        curvature = self.weight / self.temperature / self.temperature
        return curvature * at.printed.hessian_product(direction)

    def hessian(self, at: Softmax) -> Reals:
        return _hessian_by_products(self, at)


@dataclass(frozen=True, eq=False)
class ProbabilitySquares(LogitTerm):
    """Weight · [(1 − λ) ‖y − p‖² + λ ‖p − s‖²] with p = softmax(z)."""

    weight: Reals
    labels: Reals
    answers: Reals
    trust: float
    convex = False

    @property
    def shape(self) -> tuple[int, int]:
        return self.labels.shape

    @property
    def support(self) -> NDArray[np.bool_]:
        return self.weight * ((1 - self.trust) * self.labels + self.trust * self.answers) > 0

    def rows(self, index: Rows) -> "ProbabilitySquares":
        labels, answers = _of_rows(self.labels, index), _of_rows(self.answers, index)
        return ProbabilitySquares(_of_rows(self.weight, index), labels, answers, self.trust)

    def point(self, logits: Reals, known: dict[float, Softmax]) -> Softmax:
        return _shared_softmax(logits, 1.0, known)

    def values(self, at: Softmax) -> Reals:
        one = np.ones_like(self.weight)
        of_labels = (at.residual(one, self.labels) ** 2).sum(axis=0)
        of_teacher = (at.residual(one, self.answers) ** 2).sum(axis=0)
        result: Reals = self.weight * ((1 - self.trust) * of_labels + self.trust * of_teacher)
        return result

    def gradient(self, at: Softmax) -> Reals:
        return at.spread(self._slope(at))

    def hessian_product(self, at: Softmax, direction: Reals) -> Reals:
        p, slope = at.probabilities, self._slope(at)
        change = at.spread(direction)
        relative = slope - np.einsum("km,km->m", p, slope)
        bent = change * relative
        result: Reals = bent - p * bent.sum(axis=0)
        result += at.spread(2 * self.weight * change)
        return result

    def hessian(self, at: Softmax) -> Reals:
        return _hessian_by_products(self, at)

    def _slope(self, at: Softmax) -> Reals:
        """Derivative in p."""
        one = np.ones_like(self.weight)
        blend = (1 - self.trust) * self.labels + self.trust * self.answers
        return 2 * self.weight * at.residual(one, blend)


@dataclass(frozen=True, eq=False)
class AnswerSquares(Term):
    """σ′‖y″ − g‖² + d with the blend of GS (17); d is the square that no prediction removes."""

    weight: Reals
    targets: Reals
    disagreement: Reals

    def rows(self, index: Rows) -> "AnswerSquares":
        targets, disagreement = _of_rows(self.targets, index), _of_rows(self.disagreement, index)
        return AnswerSquares(_of_rows(self.weight, index), targets, disagreement)

    def point(self, predictions: Reals, known: dict[float, Softmax]) -> Reals:  # noqa: ARG002
        return predictions

    def values(self, at: Reals) -> Reals:
        result: Reals = self.weight * ((self.targets - at) ** 2).sum(axis=0)
        return result + self.disagreement

    def gradient(self, at: Reals) -> Reals:
        return 2 * self.weight * (at - self.targets)

    def hessian_product(self, at: Reals, direction: Reals) -> Reals:  # noqa: ARG002
        return 2 * self.weight * direction

    def hessian(self, at: Reals) -> Reals:
        return np.asarray(2 * self.weight * np.eye(len(at))[..., None])


def _hessian_by_products(term: Any, at: Any) -> Reals:
    """Hessian, shape (K, K, m), column by column."""
    n_classes, m = term.shape
    columns = np.empty((n_classes, n_classes, m))
    for k in range(n_classes):
        direction = np.zeros((n_classes, m))
        direction[k] = 1
        columns[k] = term.hessian_product(at, direction)
    return (columns + columns.swapaxes(0, 1)) / 2
