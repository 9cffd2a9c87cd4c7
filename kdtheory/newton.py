r"""Newton's method for losses of linear images, with a certificate of the minimum.

.. math:: F(\Theta) = \sum_i \ell_i(\Theta^\top a_i) + \tfrac12 \sum_j \rho_j \|\theta_j\|^2, \qquad
    \Theta \in \mathbb{R}^{p \times K},

where no :math:`\ell_i` changes when all K logits move together; so Θ is kept centred over classes,
and Hessians are taken in the first K − 1 classes relative to the last.

Along a line :math:`\Theta + t V` a convex loss here has :math:`|\varphi'''| \le R \varphi''`, R the
range over classes of the velocities :math:`V^\top a_i` times a `sharpness`. With
:math:`\nu^2 = \langle g, H^{-1} g \rangle`, and R taken over all V of unit H-norm, νR < 1 says that
F has a minimum, and

.. math:: F - \min F \le \frac{\nu R + (1 - \nu R) \log(1 - \nu R)}{R^2}.

`newton` factors the Hessian; `newton_cg` only multiplies by it, in single precision where the
design is dense, and preconditions by one weighted Gram matrix for each class, whose rows are
sampled in proportion to their weights: inexact steps change the speed, not the minimum, as every
gradient is computed in double precision.

notation: Θ = theta, a = row of the design, ρ = penalty, g = gradient, H = Hessian, ν = decrement,
R = reach
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kdtheory.expansions import Expansion, LogitObjective
from kdtheory.least_squares import dense_blocks

__all__ = [
    "FactoredProblem",
    "HessianFactor",
    "Minimum",
    "Point",
    "Problem",
    "ProductProblem",
    "gap_bound",
    "newton",
    "newton_cg",
]

Reals = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
ARMIJO = 1e-4  # share of the predicted decrease that a step must reach
HALVINGS = 50
SINGULAR = 1e-11  # smallest squared pivot, of unit columns, that Cholesky's factor is trusted with
FAR_STEP = 1e-6  # step of an intercept that rounding of F does not hide
OPTIMAL = 1e-10  # sum of residuals, relative to their sizes, at which intercepts are optimal
CALM = 0.25  # νR up to which the factor of the last Hessian certifies the next point
FLOOR = 16 * EPS  # share of the losses below which their sum tells nothing
ASKED = (8, 24)  # steps without a bound after which it is asked whether a minimum exists at all
SAMPLED = 12  # rows of a sampled Gram matrix for each of its columns
FORCING = 0.1  # relative accuracy of the first inexact steps
REFRESH = 25  # products after which the preconditioner is computed anew
GRAM_COLUMNS = 2048  # columns from which preconditioners are diagonal
PRODUCTS = 200  # with the Hessian in one inexact step
KEPT = 2**26  # numbers of Hessians of single objects that are held at once
FLAT = 1e-4  # of the preconditioner's curvature: below it products are rounding
STALLS = 3  # steps without a smaller decrement that end an iteration
SINGLE = 1e-5  # relative accuracy that products in single precision allow
DEPENDENT = 1e-10  # of its terms, below which a combination of columns is taken for 0
OFFSET = 1e3  # scales of a column from 0 beyond which it is shifted before it is multiplied
EXTRA = 4  # steps beyond the estimated tolerance, for a bound to follow
TINY = 1e-300  # instead of 0
JITTER = 1e-6  # of its diagonal, added to a preconditioner made in single precision


@dataclass(frozen=True, eq=False)
class Point:
    """F near a Θ.

    Attributes
    ----------
    theta : (p, K) ndarray
    expansion : Expansion
        Of the losses.
    value : float
        F.
    gradient : (p, K) ndarray
        Centred over classes.
    noise : float
        Size below which differences of F are rounding.
    """

    theta: Reals
    expansion: Expansion
    value: float
    gradient: Reals
    noise: float


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where an iteration ended.

    Attributes
    ----------
    theta : (p, K) ndarray
        Centred over classes.
    value : float
        F.
    gradient : (p, K) ndarray
        Centred over classes.
    gap : float
        Upper bound of F − min F; infinite if the iteration found none.
    bound : str
        Where it comes from: "self-concordance", "strong convexity" or "none".
    settled : bool
        Whether it ended by its tolerance.
    n_iter, n_products : int
        Steps, and products with a Hessian.
    factor : HessianFactor, optional
        The last Hessian that was factored, near the point.
    """

    theta: Reals
    value: float
    gradient: Reals
    gap: float
    bound: str
    settled: bool
    n_iter: int
    n_products: int = 0
    factor: "HessianFactor | None" = None


class Problem(Protocol):
    """What both ways of minimising need."""

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (p, K) of Θ."""

    def at(self, theta: Reals) -> Point:
        """Value and gradient."""


def gap_bound(decrement: float, reach: float) -> float:
    r"""Upper bound of F − min F from ν and R: :math:`[\nu R + (1-\nu R) \log(1-\nu R)] / R^2`.

    Parameters
    ----------
    decrement, reach : float
        ν and R, at least 0.

    Returns
    -------
    float
        ν²/2 at R = 0; infinite unless νR < 1.

    Examples
    --------
    >>> round(gap_bound(0.1, 0.0), 4), round(gap_bound(0.1, 1.0), 4), gap_bound(1.0, 1.0)
    (0.005, 0.0052, inf)
    """
    u = decrement * reach
    if not (u < 1 and np.isfinite(reach)):
        return np.inf
    if u < 1e-2:  # Σ u^n / (n (n − 1)) from n = 2: the closed form would cancel
        return decrement**2 * sum(u ** (n - 2) / (n * (n - 1)) for n in range(2, 10))
    return float((u + (1 - u) * np.log1p(-u)) / reach**2)


class FactoredProblem:
    """F with a design whose Hessian is small enough to be factored.

    Parameters
    ----------
    design : (m, p) ndarray of float64
        Rows a.
    objective : LogitObjective
    penalty : (p,) ndarray
        ρ, at least 0.
    sharpness : float, default 1
        1 where logits enter the losses as they are, 1/T where they are divided by a T < 1.
    """

    def __init__(
        self, design: Reals, objective: LogitObjective, penalty: Reals, *, sharpness: float = 1.0
    ) -> None:
        self.design = design
        self.objective = objective
        self.penalty = penalty
        self.sharpness = sharpness
        self._transposed = np.ascontiguousarray(design.T)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (p, K) of Θ."""
        return self.design.shape[1], self.objective.n_classes

    def at(self, theta: Reals) -> Point:
        """Value and gradient."""
        # classes come first in memory: sums over few classes then run along the objects
        expansion = self.objective.at((theta.T @ self._transposed).T)
        pulled = (expansion.gradient.T @ self.design).T
        return _point(theta, expansion, pulled, self.penalty)

    def at_many(self, thetas: Reals, objective: LogitObjective) -> tuple[Reals, Reals]:
        """Values and gradients at L points, (L, p, K), of as many F, whose losses are stacked."""
        n_points, p, n_classes = thetas.shape
        flat = thetas.transpose(2, 0, 1).reshape(-1, p)
        expansion = objective.at((flat @ self._transposed).reshape(n_classes, -1).T)
        pulled = expansion.gradient.T.reshape(len(flat), -1) @ self.design
        shrunk = self.penalty[:, None] * thetas
        values = expansion.values.reshape(n_points, -1).sum(axis=1)
        gradients = pulled.reshape(n_classes, n_points, p).transpose(1, 2, 0) + shrunk
        return values + (shrunk * thetas).sum(axis=(1, 2)) / 2, _centred(gradients)

    def factor(self, point: Point) -> "HessianFactor":
        """Factor of the Hessian at a point."""
        p, n_classes = self.shape
        free = n_classes - 1
        h = point.expansion.hessian
        H = np.empty((free, p, free, p))
        for k in range(free):
            for l in range(k + 1):
                block = (self._transposed * h[:, k, l]) @ self.design
                if self.penalty.any():
                    block[np.diag_indices(p)] += self.penalty * ((k == l) - 1 / n_classes)
                H[k, :, l, :] = H[l, :, k, :] = block
        return HessianFactor(H.reshape(free * p, free * p), point.theta, self)


class HessianFactor:
    """Inverse of a Hessian; of its absolute value where it is indefinite.

    Attributes
    ----------
    theta : (p, K) ndarray
        Where the Hessian was taken.
    convex : bool
        Whether no eigenvalue is negative beyond rounding.
    resolved : bool
        Whether all eigenvalues are above rounding. If not, the reach is infinite.
    """

    def __init__(self, H: Reals, theta: Reals, problem: FactoredProblem) -> None:
        self.theta = theta
        self._problem = problem
        scale, H = _unit_diagonal(H)
        self.convex = self.resolved = True
        lower = _cholesky(H)
        if lower is not None:
            self._root = np.linalg.inv(lower).T / scale[:, None]
            self._dual = lower * scale[:, None]
        else:
            values, vectors = np.linalg.eigh(H)
            floor = len(H) * EPS * max(1.0, float(np.abs(values).max(initial=0.0)))
            self.convex = bool((values >= -floor).all())
            # what is below the floor is rounding: a step may use it, a bound must not
            self.resolved = bool((np.abs(values) > floor).all())
            size = np.sqrt(np.maximum(np.abs(values), floor))
            self._root = vectors / size / scale[:, None]
            self._dual = vectors * size * scale[:, None]

    def solve(self, gradient: Reals) -> Reals:
        """H⁻¹ g, centred over classes, for g of shape (..., p, K)."""
        flat = np.swapaxes(gradient[..., :-1], -1, -2)
        shape = flat.shape
        image = flat.reshape(*shape[:-2], len(self._root)) @ self._root @ self._root.T
        step = np.zeros(gradient.shape)
        step[..., :-1] = np.swapaxes(image.reshape(shape), -1, -2)
        return _centred(step)

    def norm(self, direction: Reals) -> Reals:
        """‖V‖ in the norm of the Hessian, for V of shape (..., p, K)."""
        relative = np.swapaxes(direction[..., :-1] - direction[..., -1:], -1, -2)
        flat = relative.reshape(*relative.shape[:-2], len(self._dual))
        return np.asarray(np.linalg.norm(flat @ self._dual, axis=-1))

    @cached_property
    def reach(self) -> float:
        """R: the largest range of an object's velocities over directions of unit H-norm."""
        if not self.resolved:
            return np.inf
        problem = self._problem
        p, n_classes = problem.shape
        roots = self._root.reshape(n_classes - 1, p, self._root.shape[1])
        largest = 0.0
        for k in range(n_classes):
            for l in range(k):
                pair = roots[l] if k == n_classes - 1 else roots[k] - roots[l]
                image = problem.design @ pair
                largest = max(largest, float(np.einsum("ir,ir->i", image, image).max(initial=0.0)))
        return problem.sharpness * float(np.sqrt(largest))

    def bounds_near(self, thetas: Reals, gradients: Reals) -> Reals:
        """Bounds of F − min F at other points, (..., p, K) to (...).

        Along a segment of H-norm δ the Hessian falls by a factor of at most exp(−Rδ).
        """
        if not self.resolved:
            return np.full(thetas.shape[:-2], np.inf)
        fall = np.exp(-self.reach * self.norm(thetas - self.theta))
        squares = np.maximum((gradients * self.solve(gradients)).sum(axis=(-2, -1)), 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            bound: Callable[[Reals, Reals], Reals] = np.vectorize(gap_bound, otypes=[float])
            return bound(np.sqrt(squares / fall), self.reach / np.sqrt(fall))


def newton(
    problem: FactoredProblem,
    theta: Reals,
    *,
    tol: float,
    max_iter: int,
    bounded: bool = True,
    hopeless: Callable[[Point], bool] = lambda _: False,
) -> Minimum:
    """Minimise F by Newton steps with line search.

    Parameters
    ----------
    problem : FactoredProblem
    theta : (p, K) ndarray
        Start, centred over classes.
    tol : float
        Bound of F − min F at which to stop; without a bound, ν²/2 at a point where no curvature is
        negative.
    max_iter : int
        Most steps.
    bounded : bool, default True
        Whether the losses obey the bound of the third derivative.
    hopeless : callable, optional
        Asked after some steps without a bound whether to give up.

    Returns
    -------
    Minimum
    """
    here = problem.at(theta)
    n_iter, last = 0, np.inf
    gap, settled = np.inf, False
    while True:
        factor = problem.factor(here)
        step = factor.solve(here.gradient)
        decrement = float(np.sqrt(max((here.gradient * step).sum(), 0.0)))
        close = decrement**2 / 2 <= tol
        if bounded:
            wanted = close or n_iter >= min(ASKED[0], max_iter)
            gap = gap_bound(decrement, factor.reach) if wanted else np.inf
            settled = gap <= tol
        else:
            settled = close and factor.convex
        stalled = close and decrement > last / 2  # it would be squared, but for rounding
        if settled or stalled or n_iter == max_iter:
            break
        last = decrement
        if bounded and np.isinf(gap) and n_iter in ASKED and hopeless(here):
            break
        there = _line_search(problem, here, step, decrement)
        if there is None:
            break
        here = there
        n_iter += 1
        if bounded and decrement < CALM and decrement * factor.reach < CALM:
            gap = float(factor.bounds_near(here.theta, here.gradient))
            settled = gap <= tol
            if settled:
                break
    bound = "none" if np.isinf(gap) else "self-concordance"
    return Minimum(here.theta, here.value, here.gradient, gap, bound, settled, n_iter, 0, factor)


class ProductProblem:
    r"""F with a design too large for its Hessian, of which only products are formed.

    The rows a are :math:`(1, (x - \mu) / \sigma)`, without the 1 where there is no intercept.

    Parameters
    ----------
    X : (m, n) ndarray or scipy sparse matrix
    shift, scale : (n,) ndarray
        μ and σ.
    objective : LogitObjective
    penalty : (p,) ndarray
        ρ of the scaled columns, at least 0, and 0 for the intercept.
    fit_intercept : bool
    sharpness : float, default 1
        As of `FactoredProblem`.
    """

    def __init__(
        self,
        X: Any,
        shift: Reals,
        scale: Reals,
        objective: LogitObjective,
        penalty: Reals,
        *,
        fit_intercept: bool,
        sharpness: float = 1.0,
    ) -> None:
        self.X = X
        self.shift = shift
        self.scale = scale
        self.objective = objective
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.sharpness = sharpness
        self._far = bool((np.abs(shift) > OFFSET * scale).any())
        self._single: NDArray[np.float32] | None = None
        if isinstance(X, np.ndarray):  # half the bytes: products are bound by reading them
            self._single = np.empty((X.shape[0], self.shape[0]), dtype=np.float32)
            for place, rows in self._design_blocks():
                self._single[place] = rows

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (p, K) of Θ."""
        return self.X.shape[1] + self.fit_intercept, self.objective.n_classes

    def logits(self, theta: Reals) -> Reals:
        """Θᵀa of every row, (m, K), in double precision."""
        if self._far:  # shift first, or digits are lost
            z = np.empty((theta.shape[1], self.X.shape[0])).T
            for place, rows in self._design_blocks():
                z[place] = rows @ theta
            return z
        coef = theta[-self.X.shape[1] :] / self.scale[:, None]
        if isinstance(self.X, np.ndarray) and self.X.dtype == np.float64:
            z = (coef.T @ self.X.T).T
        elif isinstance(self.X, np.ndarray):
            z = np.empty((theta.shape[1], self.X.shape[0])).T
            for place, block in dense_blocks(self.X):
                z[place] = block @ coef
        else:
            z = np.asarray(self.X @ coef)
        z += (theta[0] if self.fit_intercept else 0) - self.shift @ coef
        return z

    def pulled(self, rows: Reals) -> Reals:
        """Σ a uᵀ over rows u of (m, K), in double precision."""
        if self._far:
            moments = np.zeros((self.shape[0], rows.shape[1]))
            for place, block in self._design_blocks():
                moments += block.T @ rows[place]
            return moments
        if isinstance(self.X, np.ndarray) and self.X.dtype == np.float64:
            sums = (rows.T @ self.X).T
        elif isinstance(self.X, np.ndarray):
            sums = np.zeros((self.X.shape[1], rows.shape[1]))
            for place, block in dense_blocks(self.X):
                sums += block.T @ rows[place]
        else:
            sums = np.asarray(self.X.T @ rows)
        total = rows.sum(axis=0)
        sums = (sums - np.outer(self.shift, total)) / self.scale[:, None]
        return np.vstack([total, sums]) if self.fit_intercept else sums

    def at(self, theta: Reals) -> Point:
        """Value and gradient."""
        expansion = self.objective.at(self.logits(theta))
        return _point(theta, expansion, self.pulled(expansion.gradient), self.penalty)

    def hessian_product(self, point: Point, direction: Reals) -> Reals:
        """Hessian times a direction (p, K), centred over classes."""
        if self._single is None:
            pulled = self.pulled(point.expansion.hessian_product(self.logits(direction)))
        else:
            size = np.abs(direction).max()  # so that nothing overflows in single precision
            image = (direction.T / size).astype(np.float32) @ self._single.T
            rows = point.expansion.hessian_product(image.T.astype(np.float64))
            height = max(float(np.abs(rows).max()), TINY)
            pulled = ((rows.T / height).astype(np.float32) @ self._single).T * (size * height)
        pulled += self.penalty[:, None] * direction
        return _centred(pulled)

    def bound(self, point: Point, tol: float) -> tuple[Point, float, str]:
        """Upper bound of F − min F, the point near the given one that it is for, and its kind.

        The bound that costs more is computed only if the other is above `tol`.
        """
        gap = np.inf
        if self.fit_intercept:
            point = self.with_optimal_intercept(point)
        amiss = np.abs(point.gradient[: int(self.fit_intercept)]).sum()
        if amiss <= OPTIMAL * np.abs(point.expansion.gradient).sum():
            gap = self.convexity_bound(point)
        if gap > tol:
            other = self.curvature_bound(point)
            if other < gap:
                return point, other, "self-concordance"
        return point, gap, "none" if np.isinf(gap) else "strong convexity"

    def convexity_bound(self, point: Point) -> float:
        """Σ ‖g_j‖² / (2 ρ_j), an upper bound of F − min F if the intercepts are optimal."""
        features = slice(int(self.fit_intercept), None)
        if not (self.penalty[features] > 0).all():
            return np.inf
        squares = (point.gradient[features] ** 2).sum(axis=1)
        return float((squares / self.penalty[features]).sum() / 2)

    def with_optimal_intercept(self, point: Point) -> Point:
        """The same point with the intercepts that are best for its other coefficients."""
        z = self.logits(point.theta)
        theta, expansion = point.theta.copy(), point.expansion
        for _ in range(HALVINGS):
            gradient = np.linalg.norm(expansion.gradient.sum(axis=0))
            if gradient <= EPS * np.abs(expansion.gradient).sum():
                break
            step = self._intercept_step(expansion)
            trial = self.objective.at(z - step)
            while trial.values.sum() > expansion.values.sum() and np.abs(step).max() > FAR_STEP:
                step /= 2
                trial = self.objective.at(z - step)
            # where rounding hides the fall of F, the gradient tells
            smaller = np.linalg.norm(trial.gradient.sum(axis=0)) < gradient
            lower = np.abs(step).max() > FAR_STEP and trial.values.sum() <= expansion.values.sum()
            if not (smaller or lower):
                break
            z, expansion = z - step, trial
            theta[0] -= step
        return _point(theta, expansion, self.pulled(expansion.gradient), self.penalty)

    def curvature_bound(self, point: Point) -> float:
        r"""`gap_bound` in the norm of a matrix below the Hessian.

        With κ the least curvature of each loss over directions that sum to 0,
        :math:`H \succeq M \otimes (I - 11^\top/K)`,
        :math:`M = \sum_i \kappa_i a_i a_i^\top + \operatorname{diag} \rho`.
        """
        p, n_classes = self.shape
        if p > GRAM_COLUMNS or self.X.shape[0] * n_classes**2 > KEPT:
            return np.inf
        curvatures = np.linalg.eigvalsh(point.expansion.hessian)
        rounding = n_classes * EPS * curvatures[:, -1]
        least = curvatures[:, min(1, n_classes - 1)] - rounding
        M = np.diag(self.penalty)
        for place, block in self._design_blocks():
            M += (block.T * np.maximum(least[place], 0)) @ block
        root, dropped = _inverse_root(M)
        for _, block in self._design_blocks() if dropped.size else ():
            # only what moves no logit may be left out, and then F does not change along it
            if (np.abs(block @ dropped) > DEPENDENT * (np.abs(block) @ np.abs(dropped))).any():
                return np.inf
        decrement = float(np.linalg.norm(root.T @ point.gradient))
        longest = 0.0
        for _, block in self._design_blocks():
            longest = max(longest, float(((block @ root) ** 2).sum(axis=1).max()))
        # a velocity of norm 1 that sums to 0 has a range of at most √2
        return gap_bound(decrement, self.sharpness * float(np.sqrt(2 * longest)))

    def _design_blocks(self) -> Iterator[tuple[slice, Reals]]:
        for place, block in dense_blocks(self.X):
            rows = (block - self.shift) / self.scale
            if self.fit_intercept:
                rows = np.column_stack([np.ones(len(rows)), rows])
            yield place, rows

    def preconditioner(self, point: Point) -> Callable[[Reals], Reals]:
        """Inverse of the Hessian's diagonal blocks, from rows sampled in proportion to weight."""
        p, n_classes = self.shape
        weights = self._weights(point)
        ridge = self.penalty * (1 - 1 / n_classes)
        if p > GRAM_COLUMNS:
            diagonals = np.stack([self._squares(w) + ridge for w in weights], axis=1)
            diagonals[diagonals <= 0] = 1.0
            return lambda g: _centred(g / diagonals)
        inverses = np.empty((len(weights), p, p))  # one for all classes, or one for each
        for k, w in enumerate(weights):
            M = self._sampled_gram(w)
            M[np.diag_indices(p)] += ridge
            diagonal = np.diag(M) * (1 + JITTER)
            M[np.diag_indices(p)] = np.where(diagonal > 0, diagonal, 1.0)
            inverses[k] = np.linalg.inv(M)
        return lambda g: _centred(np.matmul(inverses, g.T[:, :, None])[:, :, 0].T)

    def _weights(self, point: Point) -> list[Reals]:
        """Curvature of each object's loss in each class, or where that is too large, in one."""
        p, n_classes = self.shape
        if max(p * p * n_classes, len(point.expansion.values) * n_classes**2) <= KEPT:
            return [np.maximum(point.expansion.hessian[:, k, k], 0) for k in range(n_classes)]
        signs = np.ones((len(point.expansion.values), n_classes))
        signs[:, ::2] = -1
        signs /= np.sqrt(n_classes)
        return [np.maximum((signs * point.expansion.hessian_product(signs)).sum(axis=1), 0)]

    def _intercept_step(self, expansion: Expansion) -> Reals:
        """Newton's step of the intercepts alone."""
        m, n_classes = self.X.shape[0], self.objective.n_classes
        gradient = expansion.gradient.sum(axis=0)
        if m * n_classes**2 <= KEPT:
            H = expansion.hessian.sum(axis=0)
            return np.asarray(np.linalg.lstsq(H, gradient, rcond=None)[0])
        from scipy.sparse.linalg import LinearOperator, cg

        def product(v: Reals) -> Reals:
            return np.asarray(expansion.hessian_product(np.tile(v, (m, 1))).sum(axis=0))

        H = LinearOperator((n_classes, n_classes), matvec=product, dtype=np.float64)
        step = np.asarray(cg(H, gradient, rtol=SINGLE, maxiter=PRODUCTS)[0])
        return np.asarray(step - step.mean())

    def _sampled_gram(self, weight: Reals) -> Reals:
        """Σ w a aᵀ, up to sampling where there are many rows."""
        wanted = SAMPLED * self.shape[0]
        sums = weight.cumsum()
        if len(weight) > wanted and sums[-1] > 0:
            share = sums[-1] / wanted
            picked = np.searchsorted(sums, (np.arange(wanted) + 0.5) * share)
            rows = self._rows(np.minimum(picked, len(weight) - 1))
        else:
            share = 1.0
            rows = np.sqrt(weight).astype(np.float32)[:, None] * self._rows(slice(None))
        return np.asarray(share * (rows.T @ rows), dtype=np.float64)

    def _rows(self, picked: Any) -> NDArray[np.float32]:
        """Rows of the design in single precision."""
        if self._single is not None:
            return np.asarray(self._single[picked])
        rows = self.X[picked].toarray() / self.scale
        if self.fit_intercept:
            rows = np.column_stack([np.ones(len(rows)), rows])
        return np.asarray(rows, dtype=np.float32)

    def _squares(self, weight: Reals) -> Reals:
        """Σ w a² for each column."""
        if self._single is None:
            squares = np.asarray(self.X.multiply(self.X).T @ weight) / self.scale**2
            return np.concatenate([[weight.sum()], squares]) if self.fit_intercept else squares
        squares = np.zeros(self.shape[0])
        for place, rows in dense_blocks(self._single):
            squares += weight[place] @ rows**2
        return squares


def newton_cg(
    problem: ProductProblem,
    theta: Reals,
    *,
    tol: float,
    max_iter: int,
    bounded: bool = True,
    hopeless: Callable[[Point], bool] = lambda _: False,
) -> Minimum:
    """Minimise F by inexact Newton steps, conjugate gradients inside, with line search.

    Parameters
    ----------
    problem : ProductProblem
    theta : (p, K) ndarray
        Start, centred over classes.
    tol : float
        Bound of F − min F at which to stop.
    max_iter : int
        Most steps.
    bounded : bool, default True
        Whether the losses obey the bound of the third derivative; if not, ν²/2 decides, as
        conjugate gradients estimate it.
    hopeless : callable, optional
        Asked after some steps without a bound whether to give up.

    Returns
    -------
    Minimum
    """
    here = problem.at(theta)
    start = float(np.linalg.norm(here.gradient))
    gap, word, settled, n_iter, n_products = np.inf, "none", False, 0, 0
    last, extra, stalls = np.inf, 0, 0
    precondition, used = problem.preconditioner(here), 0
    while n_iter < max_iter and not settled:
        share = float(np.linalg.norm(here.gradient)) / max(start, EPS)
        accuracy = max(min(FORCING, np.sqrt(share)), SINGLE)
        step, products = _conjugate_gradients(problem, here, precondition, float(accuracy))
        n_products += products
        used += products
        decrement = float(np.sqrt(max((here.gradient * step).sum(), 0.0)))
        there = _line_search(problem, here, step, decrement)
        if there is None:
            break
        before = here.value
        here = there
        n_iter += 1
        if decrement**2 / 2 <= tol or (bounded and problem.convexity_bound(here) <= tol):
            if bounded:
                here, gap, word = problem.bound(here, tol)
            settled = not bounded or gap <= tol
            extra += 1
        elif n_iter in ASKED and hopeless(here):
            break
        hidden = before - here.value <= here.noise  # in the rounding of F
        stalls = stalls + 1 if hidden and decrement > last / 2 else 0
        last = decrement
        if extra == EXTRA or stalls == STALLS:  # rounding leaves nothing to gain
            break
        if used > REFRESH and not settled:
            precondition, used = problem.preconditioner(here), 0
    return Minimum(here.theta, here.value, here.gradient, gap, word, settled, n_iter, n_products)


def _conjugate_gradients(
    problem: ProductProblem,
    point: Point,
    precondition: Callable[[Reals], Reals],
    accuracy: float,
) -> tuple[Reals, int]:
    """H⁻¹ g to a relative accuracy, or as far as curvature is positive; and its products."""
    residual = point.gradient.copy()
    step = np.zeros_like(residual)
    direction = image = precondition(residual)
    paired = residual.copy()  # the direction times the preconditioner's inverse
    size = first = float((residual * image).sum())
    n_products = 0
    while n_products < PRODUCTS and size > accuracy**2 * first:
        curved = problem.hessian_product(point, direction)
        n_products += 1
        curvature = float((direction * curved).sum())
        if not curvature > FLAT * float((direction * paired).sum()):
            return (step if n_products > 1 else direction), n_products
        step += size / curvature * direction
        residual -= size / curvature * curved
        image = precondition(residual)
        later = float((residual * image).sum())
        direction = image + later / size * direction
        paired = residual + later / size * paired
        size = later
    return step, n_products


def _unit_diagonal(H: Reals) -> tuple[Reals, Reals]:
    """Scale, and the matrix of that scale on both sides, whose diagonal is 1, or next to 0."""
    scale = np.sqrt(np.maximum(np.diag(H), 0))
    largest = scale.max(initial=0.0)
    scale = np.maximum(scale, EPS * largest) if largest > 0 else np.ones(len(H))
    return scale, H / scale / scale[:, None]


def _cholesky(H: Reals) -> Reals | None:
    """Lower factor of a matrix of unit diagonal, unless it is singular to working precision."""
    try:
        lower = np.asarray(np.linalg.cholesky(H), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    return lower if np.diag(lower).min(initial=1.0) ** 2 > SINGULAR else None


def _inverse_root(M: Reals) -> tuple[Reals, Reals]:
    """V with VVᵀ = M⁺ for M without negative eigenvalues, and the directions that it leaves out."""
    scale, M = _unit_diagonal(M)
    lower = _cholesky(M)
    if lower is not None:
        return np.linalg.inv(lower).T / scale[:, None], np.empty((len(M), 0))
    values, vectors = np.linalg.eigh(M)
    kept = values > len(M) * EPS * values.max(initial=0.0)
    vectors /= scale[:, None]
    return vectors[:, kept] / np.sqrt(values[kept]), vectors[:, ~kept]


def _line_search(problem: Problem, here: Point, step: Reals, decrement: float) -> Point | None:
    """First of the halved steps that lowers F enough; None if rounding hides them all."""
    share = 1.0
    size = np.linalg.norm(here.gradient)
    for _ in range(HALVINGS):
        there = problem.at(here.theta - share * step)
        lower = here.value - there.value - ARMIJO * share * decrement**2
        # where rounding hides the fall of F, the gradient tells
        if lower >= 0 or (lower >= -here.noise and np.linalg.norm(there.gradient) <= size):
            return there
        share /= 2
    return None


def _point(theta: Reals, expansion: Expansion, pulled: Reals, penalty: Reals) -> Point:
    shrunk = penalty[:, None] * theta
    value = float(expansion.values.sum()) + 0.5 * float((shrunk * theta).sum())
    noise = FLOOR * float(np.abs(expansion.values).sum())
    return Point(theta, expansion, value, _centred(pulled + shrunk), noise)


def _centred(theta: Reals) -> Reals:
    return np.asarray(theta - theta.mean(axis=-1, keepdims=True))
