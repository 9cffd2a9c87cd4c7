"""Oracles: slow computations straight from definitions, which know no theory.

Nothing here imports the modules that are judged.

notation: K = n_classes, s = point of the simplex, or teacher's answers in regression, λ = trust,
I = privileged; in GS 6.2 W = matrix, x = object, z = xᵀW its logits
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = [
    "best_point",
    "distillation_loss",
    "entropies",
    "grid_points",
    "label_vectors",
    "least_cross_entropy",
    "least_point",
    "logit_draws",
    "logit_rule",
    "shares",
    "simplex_integral",
    "simplex_rule",
    "uniform_draws",
]

Reals = NDArray[np.float64]


def simplex_rule(n_classes: int, *, nodes: int = 24) -> tuple[Reals, Reals]:
    """Points and weights of a quadrature over the simplex, measure ds_1 … ds_{K−1}.

    Gauss–Legendre in u for each of s_1 = u_1, s_2 = (1 − s_1) u_2, s_3 = (1 − s_1 − s_2) u_3, …

    Parameters
    ----------
    n_classes : int
        K, at least 1.
    nodes : int
        Nodes for each of the K − 1 variables.

    Returns
    -------
    (n, K) ndarray, (n,) ndarray
        With n = nodes^(K−1).

    Examples
    --------
    >>> points, weights = simplex_rule(3)
    >>> float(weights.sum().round(12))  # the area of the triangle s_1 + s_2 ≤ 1
    0.5
    """
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = (x + 1) / 2, w / 2
    points, weights, left = np.zeros((1, 0)), np.ones(1), np.ones(1)
    for _ in range(n_classes - 1):
        s = np.outer(left, x)
        points = np.hstack([np.repeat(points, nodes, axis=0), s.reshape(-1, 1)])
        weights = np.outer(weights * left, w).ravel()
        left = (left[:, None] - s).ravel()
    return np.hstack([points, left[:, None]]), weights


def simplex_integral(
    function: Callable[[Reals], Reals], n_classes: int, *, measure: str = "coordinate"
) -> float:
    """Integral over the simplex of a function of points (n, K).

    For the measure "surface" the area of the cell that the edges e_k − e_K span is taken from
    the singular values of those edges.
    """
    points, weights = simplex_rule(n_classes)
    cell = 1.0
    if measure == "surface":
        edges = np.eye(n_classes)[:-1] - np.eye(n_classes)[-1]
        cell = float(np.prod(np.linalg.svd(edges, compute_uv=False)))
    return cell * float(weights @ function(points))


def uniform_draws(n_classes: int, size: int, rng: np.random.Generator) -> Reals:
    """Uniform draws from the simplex: the gaps between sorted uniform numbers."""
    cuts = np.sort(rng.random((size, n_classes - 1)), axis=1)
    ends = np.ones((size, 1))
    return np.diff(np.hstack([0 * ends, cuts, ends]), axis=1)


def grid_points(n_classes: int, steps: int) -> Reals:
    """Every point of the open simplex, K at least 2, whose coordinates are multiples of 1/steps."""
    bars = np.array(list(combinations(range(1, steps), n_classes - 1)))
    ends = np.full((len(bars), 1), steps)
    return np.diff(np.hstack([0 * ends, bars, ends]), axis=1) / steps


def label_vectors(n_objects: int, n_classes: int) -> Iterator[tuple[int, ...]]:
    """Every way to label the objects."""
    return product(range(n_classes), repeat=n_objects)


def best_point(objective: Callable[[Reals], float], n_classes: int) -> Reals:
    """The point of the open simplex where a function is largest, by BFGS over logits.

    Derivatives are differences; the best of three starts is taken. Good to about 1e-5.
    """

    def point(z: Reals) -> Reals:
        weights = np.exp(z - z.max())
        return np.asarray(weights / weights.sum())

    starts = np.vstack([np.zeros(n_classes), np.eye(n_classes)[:2]])
    found = [minimize(lambda z: -objective(point(z)), start, method="BFGS") for start in starts]
    return point(min(found, key=lambda result: float(result.fun)).x)


def distillation_loss(
    fitted: Reals,
    y: Reals,
    teacher: Reals,
    privileged: Sequence[bool] | NDArray[np.bool_],
    trust: float,
    label_weight: float | Reals,
    teacher_weight: float | Reals,
) -> float:
    """GS (15), one object after the other.

    Parameters
    ----------
    fitted : (m,) ndarray
        g(x_i).
    y, teacher : (m,) ndarray
    privileged : sequence of m bool
    trust : float
    label_weight, teacher_weight : float or (m,) ndarray
        What multiplies the squares of the labels and of the answers: σ² and σ_s² as printed.

    Examples
    --------
    >>> y, s = np.array([1.0, 2.0]), np.array([0.0, 5.0])
    >>> distillation_loss(np.zeros(2), y, s, [False, True], 0.5, 1.0, 2.0)  # 1 + 4/2 + 2·25/2
    28.0
    """
    of_label, of_teacher = (np.broadcast_to(w, len(y)) for w in (label_weight, teacher_weight))
    total = 0.0
    for i, g in enumerate(fitted):
        if privileged[i]:
            total += (1 - trust) * of_label[i] * (y[i] - g) ** 2
            total += trust * of_teacher[i] * (teacher[i] - g) ** 2
        else:
            total += of_label[i] * (y[i] - g) ** 2
    return float(total)


def least_point(objective: Callable[[Reals], float], size: int) -> Reals:
    """Where a convex function of `size` numbers is least, by BFGS from 0.

    Derivatives are central differences, which are exact for a quadratic function but for rounding;
    the search is run once more from where it ended. Good to about 1e-7 for numbers near 1.
    """
    point: Reals = np.zeros(size)
    for _ in range(2):
        point = minimize(objective, point, method="BFGS", jac="3-point", options={"gtol": 1e-9}).x
    return point


def shares(logits: Reals) -> Reals:
    """Class probabilities e^{z_k} / Σ_j e^{z_j}, row by row."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def entropies(probs: Reals) -> Reals:
    """−Σ_k s_k log s_k, row by row, in nats."""
    logs = np.log(np.where(probs > 0, probs, 1.0))
    return np.asarray(-(probs * logs).sum(axis=1))


def logit_draws(n_features: int, n_classes: int, size: int, rng: np.random.Generator) -> Reals:
    """Logits xᵀW of GS 6.2, a new x and a new W for each row."""
    x = rng.standard_normal((size, n_features, 1))
    W = rng.standard_normal((size, n_features, n_classes))
    return np.asarray((x * W).sum(axis=1))


def logit_rule(W: Reals, *, step: float = 0.125, reach: float = 8.0) -> tuple[Reals, Reals]:
    """Centred logits xᵀW and weights of a quadrature over x ~ N(0, 1), W of shape (n, 3).

    The trapezoidal rule for the two independent normal variables that the centred logits depend
    on; for functions that are analytic in a strip of half width d around the real axis its error is
    about e^{−2πd/step}.
    """
    u, lengths, _ = np.linalg.svd((W - W.mean(axis=1, keepdims=True)).T, full_matrices=False)
    axis = np.arange(-reach, reach + step / 2, step)
    density = np.exp(-(axis**2) / 2)
    density /= density.sum()
    first, second = np.meshgrid(axis, axis)
    normals = np.stack([first.ravel(), second.ravel()], axis=1)
    return normals @ (u * lengths)[:, :2].T, np.outer(density, density).ravel()


def least_cross_entropy(X: Reals, targets: Reals, weights: Reals | None = None) -> Reals:
    """The W (n, K) where −Σ_i w_i Σ_k q_ik log g_k(x_i), g = softmax(Wᵀx), is least, by L-BFGS.

    Started at 0, so that the columns of W add up to 0; good to about 1e-6 where m is a few hundred.
    """
    m, n = X.shape
    w = np.ones(m) if weights is None else weights

    def loss(flat: Reals) -> tuple[float, Reals]:
        g = shares(X @ flat.reshape(n, -1))
        value = -float(w @ (targets * np.log(np.maximum(g, 1e-300))).sum(axis=1))
        return value, np.asarray((X.T @ (w[:, None] * (g - targets))).ravel())

    start = np.zeros(n * targets.shape[1])
    options = {"gtol": 1e-9, "ftol": 1e-16, "maxiter": 2000}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x.reshape(n, -1))
