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
    check_flag,
    check_in_unit_interval,
    check_matrix,
    check_nonnegative,
    check_number_between,
    check_positive,
    check_real_array,
    check_rng,
    check_sample_weight,
)
from kdtheory.divided_differences import normaliser_gradient
from kdtheory.expansions import LogitObjective
from kdtheory.least_squares import dense_blocks
from kdtheory.newton import (
    KEPT,
    FactoredProblem,
    Minimum,
    Point,
    ProductProblem,
    newton,
    newton_cg,
)
from kdtheory.objectives import distillation_objective
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
HOTTEST = 1e100
LARGEST = 1e150  # feature whose square, and the sum of many of these, a double holds
ANCHORS = 6  # trusts of a path that are solved one by one
TOGETHER = 2**20  # objects times trusts that are handled in one array
PROOF_SECONDS = 20.0  # for a linear programme, where all else leaves existence open
PROGRAMME_NONZEROS = (2**17, 2**21)  # of such a programme at most: asked first, and asked again
ABSENT_STEPS = 4  # where a class never occurs
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
        Upper bound of F − min F in nats, over all objects together, with the effect of rounding
        the coefficients; infinite if there is none, and nan with the printed regulariser, for
        which no bound is known.
    bound : str
        Where the gap comes from: "strong convexity", "self-concordance" or "none".
    convex : bool
        Whether F is known to be convex. If not, the fit is the best of its starts, each a point
        without negative curvature.
    converged : bool
        Whether the gap, or without convexity ν²/2, is within the tolerance.
    existence : Existence or None
        Whether a minimum exists, where that had to be asked: where the gap is finite, it does. A
        direction of recession is kept as the proof that none does, and its `violation` says
        whether that holds for the numbers given, or up to their rounding.
    """

    gradient_norm: float
    gap: float
    bound: str
    convex: bool
    converged: bool
    existence: Existence | None = None

    @property
    def separable(self) -> bool:
        """Whether a direction of recession was found: there is no minimum."""
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
    squared_temperature : bool
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
    squared_temperature: bool
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
        return _logits(X, self.coef, self.intercept)

    def probabilities(self, X: Any, rule: str = "softmax") -> Reals:
        r"""Class probabilities of objects by one of two rules, (m, K).

        Parameters
        ----------
        X : (m, n) array_like or scipy sparse matrix
        rule : {"softmax", "mean"}, default "softmax"
            softmax(z), at T = 1; or the mean of the density (12) with natural parameter z, which
            the exact likelihood fits to the teacher's answers. The likeliest class is the same.
        """
        return _probabilities(self.logits(X), rule)


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

    def logits(self, X: Any) -> Reals:
        """Logits by every student, (L, m, K)."""
        return np.stack(
            [_logits(X, coef, b) for coef, b in zip(self.coefs, self.intercepts, strict=True)]
        )

    def probabilities(self, X: Any, rule: str = "softmax") -> Reals:
        """Class probabilities by every student, (L, m, K); `rule` as of `SoftmaxFit`."""
        return _probabilities(self.logits(X), rule)


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
        fit_intercept=check_flag("fit_intercept", fit_intercept),
        bounded=regulariser != "printed" or teacher is None or trust == 0,
        sharpness=1.0 if teacher is None else max(1.0, 1.0 / _tempered("temperature", temperature)),
        tol=check_positive("tol", tol) * float(weight.sum()),
        max_iter=check_count("max_iter", max_iter),
        solver=check_choice("solver", solver, SOLVERS),
    )
    check_count("n_starts", n_starts, least=1)
    rng = np.random.default_rng(0) if rng is None else check_rng("rng", rng)
    starts = [np.zeros(task.shape) if start is None else task.scaled(start)]
    if not objective.convex:
        draws = rng.standard_normal((n_starts - 1, *task.shape)) / np.sqrt(task.shape[0])
        starts += list(draws - draws.mean(axis=-1, keepdims=True))
    ends = [task.solution(theta) for theta in starts]
    if start is not None and not ends[0].minimum.settled:
        ends.append(task.solution(np.zeros(task.shape)))
    best = min(ends, key=lambda end: end.minimum.value)
    coef, intercept = task.in_columns_of_X(best.minimum.theta)
    fit = SoftmaxFit(
        coef=coef,
        intercept=intercept,
        objective=best.minimum.value,
        certificate=task.certificate(best, coef, intercept),
        trust=0.0 if teacher is None else float(trust),
        temperature=float(temperature),
        regulariser=regulariser,
        squared_temperature=squared_temperature,
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
    if teacher is None:
        msg = "`teacher` must be given for a path, got None"
        raise ValueError(msg)
    if regulariser is not None:
        check_choice("regulariser", regulariser, ("exact",))
    check_in_unit_interval("trust", trust)
    _tempered("temperature", temperature)
    if temperatures is None:
        varied, grid = "trust", _grid("trusts", trusts, check_in_unit_interval)
    else:
        varied, grid = "temperature", _grid("temperatures", temperatures, _tempered)
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

    values, back = np.unique(grid, return_inverse=True)
    first = objective(float(values[0]))
    coldest = float(grid.min()) if varied == "temperature" else temperature
    weight = check_sample_weight("sample_weight", sample_weight, first.n_objects)
    task = _Task(
        X=_features(X, first.n_objects),
        objective=first,
        weight=weight,
        l2=check_nonnegative("l2", l2),
        fit_intercept=check_flag("fit_intercept", fit_intercept),
        bounded=True,
        sharpness=max(1.0, 1.0 / coldest),
        tol=check_positive("tol", tol) * float(weight.sum()),
        max_iter=check_count("max_iter", max_iter),
        solver=check_choice("solver", solver, SOLVERS),
    )
    blended = varied == "trust" and temperature == 1 and regulariser is None
    if blended and task.factored and ANCHORS < len(values) <= TOGETHER / first.n_objects:
        ends = _together(task, (objective(0.0), objective(1.0)), values)
    else:
        ends, theta = [], np.zeros(task.shape)
        for value in values:
            end = task.of(objective(float(value))).solution(theta)
            theta = end.minimum.theta if end.minimum.settled else theta
            ends.append(end)
    ends = [ends[j] for j in back]
    coefs, intercepts = task.in_columns_of_X(np.array([end.minimum.theta for end in ends]))
    certificates = tuple(map(task.certificate, ends, coefs, intercepts))
    for certificate in dict.fromkeys(certificates):
        _warn(certificate)
    return SoftmaxPath(
        trusts=grid if varied == "trust" else np.full(len(grid), float(trust)),
        temperatures=grid if varied == "temperature" else np.full(len(grid), float(temperature)),
        coefs=coefs,
        intercepts=intercepts,
        objectives=np.array([end.minimum.value for end in ends]),
        certificates=certificates,
    )


def _logits(X: Any, coef: Reals, intercept: Reals) -> Reals:
    X = check_features("X", X)
    if isinstance(X, np.ndarray):
        check_real_array("X", X)
    if X.shape[1] != len(coef):
        msg = f"`X` must have {len(coef)} features, got shape {X.shape}"
        raise ValueError(msg)
    return np.asarray(X @ coef + intercept)


def _probabilities(logits: Reals, rule: str) -> Reals:
    check_choice("rule", rule, ("softmax", "mean"))
    return np.asarray(soften(logits) if rule == "softmax" else normaliser_gradient(logits))


class _Solution(NamedTuple):
    """A minimum, and whether one exists if that was in doubt."""

    minimum: Minimum
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
        held = m * objective.n_classes**2
        small = p * free <= PARAMETERS and work <= MULTIPLICATIONS and held <= KEPT
        self.factored = solver == "newton" or (solver == "auto" and small)
        penalty = np.zeros(p)
        with np.errstate(over="ignore"):  # a coefficient that is not worth its penalty is 0
            penalty[p - n :] = np.minimum(l2 / self.scale / self.scale, LARGEST)
        # bound of Σ ½ vᵀhv over objects for logits that move by at most 1 each
        self.rounding = 0.5 * weight.sum() * sharpness**2
        # Θ = basis · Φ and Φ = cobasisᵀ · Θ for the unknowns Φ
        self.basis = self.cobasis = np.eye(p)
        self.problem: FactoredProblem | ProductProblem
        if self.factored:
            design = np.ones((m, p))
            dense = X if isinstance(X, np.ndarray) else X.toarray()
            design[:, p - n :] = (dense - self.shift) / self.scale
            if l2 == 0:
                design, self.basis, self.cobasis = _orthonormal(design)
                penalty = np.zeros(design.shape[1])
                self.shape = design.shape[1], objective.n_classes
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
            asked = min(len(answers), len(PROGRAMME_NONZEROS) - 1)
            answers.append(self.existence(point, PROGRAMME_NONZEROS[asked]))
            return answers[-1].verdict == "none"

        problem, max_iter = self.problem, self.max_iter
        absent = self.fit_intercept and not self.objective.support.any(axis=0).all()
        if absent:  # its intercept falls for ever, penalty or not
            max_iter = min(max_iter, ABSENT_STEPS)
        told: dict[str, Any] = {"tol": self.tol, "max_iter": max_iter}
        if self.bounded:
            told["hopeless"] = hopeless
        if isinstance(problem, FactoredProblem):
            found = newton(problem, theta, bounded=self.bounded and not absent, **told)
        else:
            found = newton_cg(problem, theta, bounded=self.bounded and not absent, **told)
        if np.isinf(found.gap) and (not answers or answers[-1].verdict == "undecided"):
            hopeless(problem.at(found.theta))
        if answers and not self.bounded and answers[-1].verdict != "none":
            answers.clear()  # without convexity only a direction of recession proves anything
        return _Solution(found, answers[-1] if answers else None)

    def existence(self, point: Point, largest_programme: int) -> Existence:
        """Whether a minimum exists, asked near a point."""
        answer = optimum_existence(
            self.X,
            self.objective.support,
            fit_intercept=self.fit_intercept,
            penalised=self.l2 > 0,
            candidate=self.in_columns_of_X(point.theta),
            scores=point.expansion.gradient,
            time_limit=PROOF_SECONDS,
            largest_programme=largest_programme,
        )
        return replace(answer, certificate=None)  # which is as large as the data

    def scaled(self, start: tuple[ArrayLike, ArrayLike]) -> Reals:
        """Θ for coefficients and intercepts of X."""
        n_classes = self.objective.n_classes
        if not isinstance(start, tuple) or len(start) != 2:
            msg = f"`start` must be a pair of coefficients and intercepts, got {start!r:.60}"
            raise TypeError(msg)
        coef = check_matrix("start[0]", start[0], shape=(self.X.shape[1], n_classes))
        intercept = check_real_array("start[1]", start[1], ndim=1)
        if intercept.shape != (n_classes,):
            msg = f"`start[1]` must have shape ({n_classes},), got shape {intercept.shape}"
            raise ValueError(msg)
        theta = np.empty((len(self.basis), n_classes))
        theta[:1] = intercept + self.shift @ coef
        theta[self.fit_intercept :] = coef * self.scale[:, None]
        return np.asarray(self.cobasis.T @ (theta - theta.mean(axis=1, keepdims=True)))

    def in_columns_of_X(self, theta: Reals) -> tuple[Reals, Reals]:
        """Coefficients and intercepts of X for the unknowns, (..., r, K)."""
        theta = self.basis @ theta
        coef = theta[..., self.fit_intercept :, :] / self.scale[:, None]
        if not self.fit_intercept:
            return coef, np.zeros(coef.shape[:-2] + coef.shape[-1:])
        return coef, theta[..., 0, :] - self.shift @ coef

    def certificate(self, end: _Solution, coef: Reals, intercept: Reals) -> Certificate:
        """Certificate in the columns of X: ∂F/∂W = D ∂F/∂Ŵ + μ ∂F/∂b̂ for Ŵ = DW, b̂ = b + μᵀW."""
        found = end.minimum
        gradient = self.cobasis @ found.gradient
        of_features = gradient[self.fit_intercept :] * self.scale[:, None]
        of_intercept = gradient[0] if self.fit_intercept else np.zeros(gradient.shape[1])
        of_features += np.outer(self.shift, of_intercept)
        # the coefficients are rounded, which moves the logits along a direction of the features
        moved = 2 * EPS * (np.abs(intercept) + np.abs(self.shift) @ np.abs(coef)).max()
        gap = float(found.gap + self.rounding * moved**2) if self.bounded else np.nan
        exists = end.existence is None or end.existence.verdict != "none"
        return Certificate(
            gradient_norm=float(np.hypot(norm(of_features), norm(of_intercept))),
            gap=gap,
            bound=found.bound,
            convex=self.objective.convex,
            converged=exists and found.settled and not gap > self.tol,
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
    solutions: list[_Solution] = []
    for j, end in enumerate(ends):  # a group at a time, as its arrays fit into the cache
        group, theta, factor = trusts[nearest == j], thetas[nearest == j], end.minimum.factor
        if len(group) == 0:
            continue
        assert factor is not None
        together = objective(group)
        for n_iter in range(CORRECTIONS + 1):
            values, gradients = task.problem.at_many(theta, together)
            gaps = factor.bounds_near(theta, gradients)
            settled = gaps <= task.tol
            if settled.all() or n_iter == CORRECTIONS:
                break
            theta -= factor.solve(gradients)
        word = "self-concordance"
        for l, done in enumerate(settled):
            if done:
                reached = theta[l], float(values[l]), gradients[l], float(gaps[l])
                solutions.append(_Solution(Minimum(*reached, word, True, n_iter)))
            else:  # the polynomial may be far off where the path bends
                alone = task.of(objective(group[l : l + 1]))
                solutions.append(alone.solution(end.minimum.theta))
    return solutions


def _orthonormal(design: Reals) -> tuple[Reals, Reals, Reals]:
    """A design of the same range with orthogonal columns of size √m, and the two bases.

    Here, once, it is decided which combinations of columns are 0.
    """
    m, p = design.shape
    _, sizes, transposed = np.linalg.svd(np.linalg.qr(design, mode="r"), full_matrices=False)
    kept = sizes > max(m, p) * EPS * sizes.max(initial=0.0)
    basis = transposed[kept].T * (np.sqrt(m) / sizes[kept])
    return design @ basis, basis, transposed[kept].T * (sizes[kept] / np.sqrt(m))


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
    """Finite features of as many objects as there are losses, whose squares are finite too."""
    X = check_features("X", X)
    if X.shape[0] != n_objects:
        msg = f"lengths must agree, but `X` has {X.shape[0]}, `y` has {n_objects}"
        raise ValueError(msg)
    if isinstance(X, np.ndarray):
        check_real_array("X", X)
    numbers = X if isinstance(X, np.ndarray) else X.data
    largest = max(float(numbers.max(initial=0)), -float(numbers.min(initial=0)))
    if largest > LARGEST:
        msg = f"`X` must be at most {LARGEST:g} in size, got {largest:g}"
        raise ValueError(msg)
    return X


def _tempered(name: str, value: Any) -> float:
    """A temperature whose square is finite, and not 0."""
    return check_number_between(name, check_positive(name, value), 1 / HOTTEST, HOTTEST)


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
    shift, size, squares = np.zeros(n), np.zeros(n), np.zeros(n)
    if not isinstance(X, np.ndarray):
        size = np.asarray(abs(X).max(axis=0).todense(), dtype=np.float64).ravel()
        size[size == 0] = 1
        unit = X.multiply(1 / size)
        scale = size * np.sqrt(np.asarray(unit.multiply(unit).T @ share))
        return shift, np.where(scale > 0, scale, 1.0)
    if centred:
        for place, block in dense_blocks(X):
            shift += share[place] @ block
    for _, block in dense_blocks(X):
        np.maximum(size, np.abs(block - shift).max(axis=0), out=size)
    varies = size > m * EPS * np.abs(shift)
    for place, block in dense_blocks(X):  # of unit size, or squares of small numbers are lost
        squares += share[place] @ ((block - shift) / np.where(varies, size, 1.0)) ** 2
    # a constant column becomes exactly 0, not what rounding leaves of it
    scale = np.where(varies, size * np.sqrt(squares), 1.0)
    return np.where(varies, shift, X[0] if centred else 0.0), scale
