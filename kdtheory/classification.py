r"""The optimal linear student of GS (14): convex, solved to its optimum, with a certificate.

.. math:: F(W, b) = \sum_i \ell_i(W^\top x_i + b) + \tfrac{l_2}{2} \|W\|^2

with the losses :math:`\ell_i` of `kdtheory.objectives.distillation_objective`. Without a
regulariser and with the exact one F is convex, and a fit carries an upper bound of F − min F, from

* strong convexity: if :math:`l_2 > 0` and the intercepts are optimal for W,
  :math:`F - \min F \le \|\nabla_W F\|^2 / (2 l_2)`;
* self-concordance, which also proves that the minimum exists: `kdtheory.newton.gap_bound` of the
  Newton decrement and the reach of the logits, in the norm of the Hessian or a matrix below it.

Where no minimum exists (separable labels, no penalty) a direction of recession proves that
(`kdtheory.separability`). With the printed regulariser F is not convex: several starts, no bound.

notation: z = logits, W = coef, b = intercept, λ = trust, T = temperature, I = privileged
"""

import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import norm
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_choice,
    check_count,
    check_features,
    check_in_unit_interval,
    check_matrix,
    check_nonnegative,
    check_positive,
    check_real_array,
    check_rng,
    check_sample_weight,
)
from kdtheory.divided_differences import normaliser_gradient
from kdtheory.least_squares import dense_blocks
from kdtheory.newton import (
    FactoredProblem,
    Minimum,
    Point,
    ProductProblem,
    newton,
    newton_cg,
)
from kdtheory.objectives import LogitObjective, distillation_objective
from kdtheory.separability import Existence, optimum_existence
from kdtheory.softening import soften

__all__ = [
    "Certificate",
    "NotConvergedWarning",
    "SeparableWarning",
    "SoftmaxFit",
    "SoftmaxPath",
    "classification_path",
    "distil_classification",
]

Reals = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
PARAMETERS = 500  # free parameters up to which the Hessian is factored
MULTIPLICATIONS = 2**31  # for one Hessian as a matrix, at most
ANCHORS = 6  # trusts of a path that are solved one by one
TOGETHER = 2**20  # objects times trusts that are handled in one array
PROOF_SECONDS = 20.0  # for a linear programme, where all else leaves existence open
CORRECTIONS = 4  # steps with the Hessian of the nearest anchor
SOLVERS = ("auto", "newton", "newton-cg")


class SeparableWarning(UserWarning):
    """The loss has no minimum: it falls for ever along a direction that is given."""


class NotConvergedWarning(UserWarning):
    """The iteration ended before its certificate was reached."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is known of a fit without trusting the way it was found.

    Attributes
    ----------
    gradient_norm : float
        Euclidean norm of the gradient of F in W and b.
    gap : float
        Upper bound of F − min F in nats, over all objects together; infinite if there is none, and
        nan with the printed regulariser, for which no bound is known.
    bound : str
        Where the gap comes from: "strong convexity", "self-concordance" or "none".
    convex : bool
        Whether F is known to be convex. If not, the fit is the best of its starts, each a point
        without negative curvature.
    converged : bool
        Whether the gap, or without convexity ν²/2, is within the tolerance.
    existence : Existence or None
        Whether a minimum exists, with the proof, where that had to be asked: where the gap is
        finite, it does.
    """

    gradient_norm: float
    gap: float
    bound: str
    convex: bool
    converged: bool
    existence: Existence | None = None

    @property
    def separable(self) -> bool:
        """Whether it is proven that there is no minimum."""
        return self.existence is not None and self.existence.verdict == "none"


@dataclass(frozen=True, eq=False)
class SoftmaxFit:
    """A linear student; see `distil_classification`.

    Attributes
    ----------
    coef : (n, K) ndarray of float64
        W, centred over classes: only differences of logits matter.
    intercept : (K,) ndarray of float64
        b, centred over classes; zeros if there is none.
    objective : float
        F.
    certificate : Certificate
    trust, temperature, l2 : float
        λ, T and the penalty's factor.
    regulariser : str or None
    fit_intercept : bool
    solver : str
        "newton" or "newton-cg".
    n_iter, n_products : int
        Newton's steps, and products with a Hessian that is not formed; of the best start.
    starts : tuple of float
        F that each start led to.
    """

    coef: Reals
    intercept: Reals
    objective: float
    certificate: Certificate
    trust: float
    temperature: float
    regulariser: str | None
    l2: float
    fit_intercept: bool
    solver: str
    n_iter: int
    n_products: int
    starts: tuple[float, ...]

    @property
    def n_classes(self) -> int:
        """Number of classes K."""
        return len(self.intercept)

    def logits(self, X: Any) -> Reals:
        r"""Student's logits :math:`W^\top x + b`, (m, K)."""
        X = check_features("X", X)
        if X.shape[1] != len(self.coef):
            msg = f"`X` must have {len(self.coef)} features, got shape {X.shape}"
            raise ValueError(msg)
        return np.asarray(X @ self.coef + self.intercept)

    def probabilities(self, X: Any, rule: str = "softmax") -> Reals:
        r"""Class probabilities of objects by one of two rules, (m, K).

        Parameters
        ----------
        X : (m, n) array_like or scipy sparse matrix
        rule : {"softmax", "mean"}, default "softmax"
            softmax(z), at T = 1; or the mean of the density (12) with natural parameter z, which
            the exact likelihood fits to the teacher's answers. The likeliest class is the same.
        """
        check_choice("rule", rule, ("softmax", "mean"))
        z = self.logits(X)
        return np.asarray(soften(z) if rule == "softmax" else normaliser_gradient(z))


@dataclass(frozen=True, eq=False)
class SoftmaxPath:
    """Linear students along trusts or temperatures; see `classification_path`.

    Attributes
    ----------
    trusts, temperatures : (L,) ndarray
        λ and T of each student; one of them is the same for all.
    coefs : (L, n, K) ndarray
    intercepts : (L, K) ndarray
    objectives : (L,) ndarray
        F, each with its own λ and T.
    certificates : tuple of Certificate
    """

    trusts: Reals
    temperatures: Reals
    coefs: Reals
    intercepts: Reals
    objectives: Reals
    certificates: tuple[Certificate, ...]


def distil_classification(
    X: Any,
    y: ArrayLike,
    teacher: ArrayLike | None = None,
    *,
    n_classes: int | None = None,
    privileged: ArrayLike | None = None,
    trust: float = 0.5,
    temperature: float = 1.0,
    regulariser: str | None = None,
    squared_temperature: bool = False,
    sample_weight: ArrayLike | None = None,
    l2: float = 0.0,
    fit_intercept: bool = True,
    tol: float = 1e-14,
    max_iter: int = 200,
    solver: str = "auto",
    start: tuple[ArrayLike, ArrayLike] | None = None,
    n_starts: int = 5,
    rng: np.random.Generator | None = None,
) -> SoftmaxFit:
    r"""Fit a linear softmax student to labels and a teacher's answers: the minimiser of (14).

    .. math:: F(W, b) = \sum_i \ell_i(W^\top x_i + b) + \tfrac{l_2}{2} \|W\|^2,

    where :math:`-\ell_i` is the part of object i in GS (14).

    Parameters
    ----------
    X : (m, n) array_like or scipy sparse matrix
        Features.
    y : (m,) or (m, K) array_like
        Class numbers 0 … K − 1, or points of the simplex.
    teacher : (m, K) array_like, optional
        The teacher's answers s, points of the simplex; rows outside I are not looked at. Without
        it this is multinomial logistic regression.
    n_classes, privileged, trust, temperature, regulariser, squared_temperature, sample_weight
        As of `kdtheory.objectives.distillation_objective`.
    l2 : float, default 0
        Factor of :math:`\tfrac12 \|W\|^2`, at least 0; the 1/C of scikit-learn. The intercept is
        not penalised.
    fit_intercept : bool, default True
        Whether the logits have an intercept.
    tol : float, default 1e-14
        Bound of F − min F to be reached, in nats for each unit of weight: an object, if there are
        no weights. With 1000 of them it is 1e-11 in all, or 5e-6 standard errors.
    max_iter : int, default 200
        Most Newton steps.
    solver : {"auto", "newton", "newton-cg"}, default "auto"
        Factor the Hessian, or only multiply by it; chosen by size.
    start : ((n, K), (K,)) pair of array_like, optional
        Coefficients and intercept to start from; zeros by default.
    n_starts : int, default 5
        Starts where F is not convex: the first as above, the others at random.
    rng : numpy.random.Generator, optional
        Of these; a fixed one by default.

    Returns
    -------
    SoftmaxFit

    Warns
    -----
    SeparableWarning
        If F has no minimum; the fit is then where the proof was found.
    NotConvergedWarning
        If the certificate was not reached.

    Raises
    ------
    ValueError, TypeError
        With one line that names the argument, the rule and the value.

    References
    ----------
    .. [1] GS (14), and (4) of section 3; section 6.2 for the linear student.
    .. [2] T. Sun and Q. Tran-Dinh, "Generalized self-concordant functions: a recipe for Newton-type
       methods", Mathematical Programming 178 (2019), for bounds of this kind.

    Examples
    --------
    >>> from kdtheory import make_softmax_data
    >>> data = make_softmax_data(1000, rng=np.random.default_rng(0))
    >>> fit = distil_classification(data.X, data.y, data.S, trust=0.75)
    >>> fit.certificate.converged, fit.certificate.gap < 1e-8
    (True, True)
    """
    objective = distillation_objective(
        y,
        teacher,
        n_classes=n_classes,
        privileged=privileged,
        trust=trust,
        temperature=temperature,
        regulariser=regulariser,
        squared_temperature=squared_temperature,
        sample_weight=sample_weight,
    )
    weight = check_sample_weight("sample_weight", sample_weight, objective.n_objects)
    task = _Task(
        X=_features(X, objective.n_objects),
        objective=objective,
        weight=weight,
        l2=check_nonnegative("l2", l2),
        fit_intercept=bool(fit_intercept),
        bounded=regulariser != "printed",
        sharpness=1.0 if teacher is None else max(1.0, 1.0 / temperature),
        tol=check_positive("tol", tol) * float(weight.sum()),
        max_iter=check_count("max_iter", max_iter),
        solver=check_choice("solver", solver, SOLVERS),
    )
    check_count("n_starts", n_starts, least=1)
    starts = [np.zeros(task.shape) if start is None else task.scaled(start)]
    if not objective.convex:
        rng = np.random.default_rng(0) if rng is None else check_rng("rng", rng)
        draws = rng.standard_normal((n_starts - 1, *task.shape)) / np.sqrt(task.shape[0])
        starts += list(draws - draws.mean(axis=-1, keepdims=True))
    ends = [task.solution(theta) for theta in starts]
    best = min(ends, key=lambda end: end.minimum.value)
    coef, intercept = task.in_columns_of_X(best.minimum.theta)
    fit = SoftmaxFit(
        coef=coef,
        intercept=intercept,
        objective=best.minimum.value,
        certificate=task.certificate(best),
        trust=0.0 if teacher is None else float(trust),
        temperature=float(temperature),
        regulariser=regulariser,
        l2=task.l2,
        fit_intercept=task.fit_intercept,
        solver="newton" if task.factored else "newton-cg",
        n_iter=best.minimum.n_iter,
        n_products=best.minimum.n_products,
        starts=tuple(end.minimum.value for end in ends),
    )
    _warn(fit.certificate)
    return fit


def classification_path(
    X: Any,
    y: ArrayLike,
    teacher: ArrayLike,
    *,
    trusts: ArrayLike | None = None,
    temperatures: ArrayLike | None = None,
    privileged: ArrayLike | None = None,
    trust: float = 0.5,
    temperature: float = 1.0,
    regulariser: str | None = None,
    squared_temperature: bool = False,
    sample_weight: ArrayLike | None = None,
    l2: float = 0.0,
    fit_intercept: bool = True,
    tol: float = 1e-14,
    max_iter: int = 200,
    solver: str = "auto",
) -> SoftmaxPath:
    r"""Students of `distil_classification` along a grid of trusts or of temperatures.

    Each is started from its neighbour's end. At T = 1 without a regulariser, and where the Hessian
    is small, only Chebyshev's points of the range of trusts are solved one by one. The others
    start from the polynomial through these and are improved together by steps with the Hessian
    of the nearest, whose reach also bounds their F − min F.

    Parameters
    ----------
    X, y, teacher, privileged, squared_temperature, sample_weight, l2, fit_intercept
        As of `distil_classification`.
    trusts, temperatures : (L,) array_like
        Exactly one of them: the grid, in any order.
    trust, temperature : float
        The one that stays.
    regulariser : {None, "exact"}, default None
        The printed one has no path: its minima are not unique.
    tol, max_iter, solver
        As of `distil_classification`.

    Returns
    -------
    SoftmaxPath

    Warns
    -----
    SeparableWarning, NotConvergedWarning
        As `distil_classification`.

    Raises
    ------
    ValueError, TypeError
        As `distil_classification`; or if both grids are given, or none.

    Examples
    --------
    >>> from kdtheory import make_softmax_data
    >>> data = make_softmax_data(1000, rng=np.random.default_rng(0))
    >>> path = classification_path(data.X, data.y, data.S, trusts=np.linspace(0, 1, 50))
    >>> path.coefs.shape, all(one.converged for one in path.certificates)
    ((50, 10, 3), True)
    """
    if (trusts is None) == (temperatures is None):
        msg = "give exactly one of `trusts` and `temperatures`"
        raise ValueError(msg)
    if regulariser is not None:
        check_choice("regulariser", regulariser, ("exact",))
    if temperatures is None:
        varied, grid = "trust", _grid("trusts", trusts, check_in_unit_interval)
    else:
        varied, grid = "temperature", _grid("temperatures", temperatures, check_positive)
    told: dict[str, Any] = {
        "privileged": privileged,
        "trust": trust,
        "temperature": temperature,
        "regulariser": regulariser,
        "squared_temperature": squared_temperature,
        "sample_weight": sample_weight,
    }

    def objective(value: float) -> LogitObjective:
        return distillation_objective(y, teacher, **(told | {varied: value}))

    order = np.argsort(grid, kind="stable")
    first = objective(float(grid[order[0]]))
    coldest = float(grid.min()) if varied == "temperature" else temperature
    weight = check_sample_weight("sample_weight", sample_weight, first.n_objects)
    task = _Task(
        X=_features(X, first.n_objects),
        objective=first,
        weight=weight,
        l2=check_nonnegative("l2", l2),
        fit_intercept=bool(fit_intercept),
        bounded=True,
        sharpness=max(1.0, 1.0 / coldest),
        tol=check_positive("tol", tol) * float(weight.sum()),
        max_iter=check_count("max_iter", max_iter),
        solver=check_choice("solver", solver, SOLVERS),
    )
    blended = varied == "trust" and temperature == 1 and regulariser is None
    if blended and task.factored and ANCHORS < len(grid) <= TOGETHER / first.n_objects:
        ends = _together(task, (objective(0.0), objective(1.0)), grid[order])
    else:
        ends, theta = [], np.zeros(task.shape)
        for value in grid[order]:
            end = task.of(objective(float(value))).solution(theta)
            theta = end.minimum.theta if end.minimum.settled else theta
            ends.append(end)
    ends = [ends[j] for j in np.argsort(order)]
    coefs, intercepts = task.in_columns_of_X(np.array([end.minimum.theta for end in ends]))
    certificates = tuple(task.certificate(end) for end in ends)
    for certificate in certificates:
        _warn(certificate)
    return SoftmaxPath(
        trusts=grid if varied == "trust" else np.full(len(grid), float(trust)),
        temperatures=grid if varied == "temperature" else np.full(len(grid), float(temperature)),
        coefs=coefs,
        intercepts=intercepts,
        objectives=np.array([end.minimum.value for end in ends]),
        certificates=certificates,
    )


class _Solution(NamedTuple):
    """A minimum, what bounds it, and whether one exists if that was in doubt."""

    minimum: Minimum
    bound: str
    existence: Existence | None = None


class _Task:
    """Minimise F in columns of unit scale, and say the answer in those of X."""

    def __init__(
        self,
        *,
        X: Any,
        objective: LogitObjective,
        weight: Reals,
        l2: float,
        fit_intercept: bool,
        bounded: bool,
        sharpness: float,
        tol: float,
        max_iter: int,
        solver: str,
    ) -> None:
        present = np.asarray(objective.support.any(axis=1))
        if not present.all():  # an object without weight is no object
            X, objective, weight = X[present], objective.rows(present), weight[present]
        self.present = present
        self.X = X
        self.objective = objective
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.bounded = bounded
        self.tol = tol
        self.max_iter = max_iter
        self.shift, self.scale = _moments(X, weight, centred=fit_intercept)
        m, n = X.shape
        p, free = n + fit_intercept, objective.n_classes - 1
        self.shape = p, objective.n_classes
        work = m * p * p * free * (free + 1) / 2
        small = p * free <= PARAMETERS and work <= MULTIPLICATIONS
        self.factored = solver == "newton" or (solver == "auto" and small)
        penalty = np.zeros(p)
        penalty[p - n :] = l2 / self.scale**2
        self.problem: FactoredProblem | ProductProblem
        if self.factored:
            design = np.ones((m, p))
            dense = X if isinstance(X, np.ndarray) else X.toarray()
            design[:, p - n :] = (dense - self.shift) / self.scale
            self.problem = FactoredProblem(design, objective, penalty, sharpness=sharpness)
        else:
            self.problem = ProductProblem(
                X,
                self.shift,
                self.scale,
                objective,
                penalty,
                fit_intercept=fit_intercept,
                sharpness=sharpness,
            )

    def of(self, objective: LogitObjective) -> "_Task":
        """The same with other losses of the same objects."""
        other = copy(self)
        if objective.n_objects > self.X.shape[0]:
            objective = objective.rows(self.present)
        other.objective = objective
        other.problem = copy(self.problem)
        other.problem.objective = objective
        return other

    def solution(self, theta: Reals) -> _Solution:
        """Minimise from a start."""
        answers: list[Existence] = []

        def hopeless(point: Point) -> bool:
            answers.append(self.existence(point))
            return answers[-1].verdict == "none"

        problem = self.problem
        told: dict[str, Any] = {"tol": self.tol, "max_iter": self.max_iter}
        if self.bounded:
            told["hopeless"] = hopeless
        if isinstance(problem, FactoredProblem):
            found = newton(problem, theta, bounded=self.bounded, **told)
            bound = "self-concordance"
        else:
            found = newton_cg(problem, theta, bounded=self.bounded, **told)
            bound = "strong convexity" if self.l2 > 0 else "self-concordance"
        if np.isinf(found.gap):
            bound = "none"
            if self.bounded and not answers:
                hopeless(problem.at(found.theta))
        return _Solution(found, bound, answers[-1] if answers else None)

    def existence(self, point: Point) -> Existence:
        """Whether a minimum exists, asked near a point."""
        answer = optimum_existence(
            self.X,
            self.objective.support,
            fit_intercept=self.fit_intercept,
            penalised=self.l2 > 0,
            candidate=self.in_columns_of_X(point.theta),
            scores=point.expansion.gradient,
            time_limit=PROOF_SECONDS,
        )
        return replace(answer, certificate=None)  # which is as large as the data

    def scaled(self, start: tuple[ArrayLike, ArrayLike]) -> Reals:
        """Θ for coefficients and intercepts of X."""
        p, n_classes = self.shape
        coef = check_matrix("start[0]", start[0], shape=(self.X.shape[1], n_classes))
        intercept = check_real_array("start[1]", start[1], ndim=1)
        if intercept.shape != (n_classes,):
            msg = f"`start[1]` must have shape ({n_classes},), got shape {intercept.shape}"
            raise ValueError(msg)
        theta = np.empty((p, n_classes))
        theta[:1] = intercept + self.shift @ coef
        theta[self.fit_intercept :] = coef * self.scale[:, None]
        return np.asarray(theta - theta.mean(axis=1, keepdims=True))

    def in_columns_of_X(self, theta: Reals) -> tuple[Reals, Reals]:
        """Coefficients and intercepts of X for Θ, (..., p, K)."""
        coef = theta[..., self.fit_intercept :, :] / self.scale[:, None]
        if not self.fit_intercept:
            return coef, np.zeros(coef.shape[:-2] + coef.shape[-1:])
        return coef, theta[..., 0, :] - self.shift @ coef

    def certificate(self, end: _Solution) -> Certificate:
        """Certificate in the columns of X: ∂F/∂W = D ∂F/∂Ŵ + μ ∂F/∂b̂ for Ŵ = DW, b̂ = b + μᵀW."""
        found = end.minimum
        of_features = found.gradient[self.fit_intercept :] * self.scale[:, None]
        of_intercept = found.gradient[0] if self.fit_intercept else np.zeros(self.shape[1])
        of_features += np.outer(self.shift, of_intercept)
        return Certificate(
            gradient_norm=float(np.hypot(norm(of_features), norm(of_intercept))),
            gap=found.gap if self.bounded else np.nan,
            bound=end.bound,
            convex=self.objective.convex,
            converged=found.settled,
            existence=end.existence,
        )


def _together(
    task: _Task, ends_of_trust: tuple[LogitObjective, ...], trusts: Reals
) -> list[_Solution]:
    """Students at T = 1 and ascending trusts: cross-entropies of blended labels, many at once."""
    ignored, followed = (objective.rows(task.present) for objective in ends_of_trust)

    def objective(values: Reals) -> LogitObjective:
        return ignored.blends(followed, values)

    middle, half = (trusts[-1] + trusts[0]) / 2, (trusts[-1] - trusts[0]) / 2
    anchors = np.clip(middle - half * np.cos(np.linspace(0, np.pi, ANCHORS)), 0, 1)
    ends: list[_Solution] = []
    thetas = np.zeros((1, *task.shape))
    for j in range(ANCHORS):
        ends.append(task.of(objective(anchors[j : j + 1])).solution(thetas[0]))
        if not ends[-1].minimum.settled:
            break
        known = np.array([end.minimum.theta for end in ends])
        wanted = anchors[j + 1 : j + 2] if j + 1 < ANCHORS else trusts
        thetas = np.tensordot(_lagrange(anchors[: j + 1], wanted), known, axes=1)
    else:
        return _corrected(task, objective, trusts, thetas, anchors, ends)
    # where some minimum is missing there is no path to interpolate
    return [
        task.of(objective(trusts[j : j + 1])).solution(np.zeros(task.shape))
        for j in range(len(trusts))
    ]


def _corrected(
    task: _Task,
    objective: Callable[[Reals], LogitObjective],
    trusts: Reals,
    thetas: Reals,
    anchors: Reals,
    ends: list[_Solution],
) -> list[_Solution]:
    """Minima near the Θ, by steps with the Hessian of the nearest anchor, which bounds them too."""
    assert isinstance(task.problem, FactoredProblem)
    nearest = np.abs(trusts[:, None] - anchors).argmin(axis=1)
    groups = [(end.minimum.factor, nearest == j) for j, end in enumerate(ends)]
    together = objective(trusts)
    gaps = np.full(len(trusts), np.inf)
    for n_iter in range(CORRECTIONS + 1):
        values, gradients = task.problem.at_many(thetas, together)
        for factor, group in groups:
            assert factor is not None
            gaps[group] = factor.bounds_near(thetas[group], gradients[group])
        settled = gaps <= task.tol
        if settled.all() or n_iter == CORRECTIONS:
            break
        for factor, group in groups:
            assert factor is not None
            thetas[group] -= factor.solve(gradients[group])
    solutions = []
    for j, done in enumerate(settled):
        if done:
            minimum = Minimum(
                thetas[j], float(values[j]), gradients[j], float(gaps[j]), True, n_iter
            )
            solutions.append(_Solution(minimum, "self-concordance"))
        else:
            solutions.append(task.of(objective(trusts[j : j + 1])).solution(thetas[j]))
    return solutions


def _lagrange(nodes: Reals, points: Reals) -> Reals:
    """Values at points of the polynomials that are 1 at one node and 0 at the others."""
    ratios = (points[:, None, None] - nodes) / (nodes[:, None] - nodes + np.eye(len(nodes)))
    ratios[:, np.arange(len(nodes)), np.arange(len(nodes))] = 1
    return np.asarray(ratios.prod(axis=-1))


def _warn(certificate: Certificate) -> None:
    """Tell the caller of the public function what is missing."""
    if certificate.separable:
        assert certificate.existence is not None
        msg = (
            "the loss has no minimum: it falls for ever along the direction in "
            f"`certificate.existence` ({certificate.existence.reason}); a penalty `l2`, or a "
            "teacher with positive probabilities, gives it one"
        )
        warnings.warn(msg, SeparableWarning, stacklevel=3)
    elif not certificate.converged:
        msg = (
            f"no certificate was reached: the gradient is {certificate.gradient_norm:.2g}, the "
            f"bound of F - min F {certificate.gap:.2g}"
        )
        warnings.warn(msg, NotConvergedWarning, stacklevel=3)


def _features(X: Any, n_objects: int) -> Any:
    """Finite features of as many objects as there are losses."""
    X = check_features("X", X)
    if X.shape[0] != n_objects:
        msg = f"lengths must agree, but `X` has {X.shape[0]}, `y` has {n_objects}"
        raise ValueError(msg)
    if isinstance(X, np.ndarray):
        check_real_array("X", X)
    return X


def _grid(name: str, value: ArrayLike | None, check: Callable[[str, Any], float]) -> Reals:
    """Numbers of a grid, each of which is checked."""
    numbers = check_real_array(name, [] if value is None else value, ndim=1).astype(np.float64)
    if len(numbers) == 0:
        msg = f"`{name}` must have at least one number, got none"
        raise ValueError(msg)
    for number in numbers:
        check(name, float(number))
    return numbers


def _moments(X: Any, weight: Reals, *, centred: bool) -> tuple[Reals, Reals]:
    """Mean, or 0, of each column, and its root mean square about it, or 1."""
    m, n = X.shape
    share = weight / weight.sum()
    if not isinstance(X, np.ndarray):
        scale = np.sqrt(np.asarray(X.multiply(X).T @ share))
        return np.zeros(n), np.where(scale > 0, scale, 1.0)
    shift, squares = np.zeros(n), np.zeros(n)
    if centred:
        for place, block in dense_blocks(X):
            shift += share[place] @ block
    for place, block in dense_blocks(X):
        squares += share[place] @ (block - shift) ** 2
    scale = np.sqrt(squares)
    varies = scale > m * EPS * np.abs(shift)
    # a constant column becomes exactly 0, not what rounding leaves of it
    return np.where(varies, shift, X[0] if centred else 0.0), np.where(varies, scale, 1.0)
