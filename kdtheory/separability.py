r"""Where a linear student has no optimum: directions of recession, and the proof of either answer.

An object with features x, :math:`\tilde x = (x, 1)`, and targets (label and teacher together) of
positive weight on the classes S, its *support*, has along logits :math:`v = \tilde x^\top V` a loss
with the recession function

.. math:: \max_k v_k - \sum_k t_k v_k \ge 0,

per unit of target weight, for cross-entropy and exact likelihood alike and at any temperature. It
is 0 if and only if v is maximal on all of S. Hence the sum of such losses has no minimiser if and
only if there is a V, a *direction of recession*, with

.. math:: \text{(i) } v_{ik} = \max_l v_{il} \text{ for all } k \in S_i \text{ and all } i, \qquad
    \text{(ii) some } v_i \text{ is not constant over the classes.}

It has one if and only if there are scores :math:`G_i` with

.. math:: \sum_k G_{ik} = 0, \qquad G_{il} > 0 \; (l \notin S_i), \qquad
    \sum_i \tilde x_i G_i^\top = 0,

for instance the gradients of the losses in the logits at the minimiser itself. Both answers thus
come with a proof that can be checked without the search that found it: `optimum_existence`. The
derivations are in docs/derivations_classification.md.

notation: S = support, V = (coef, intercept), v = x̃ᵀV, G = scores, k, l = classes, e = unit vector
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import fsum
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_count,
    check_features,
    check_flag,
    check_matrix,
    check_pair,
    check_positive,
    check_real_array,
    check_support,
)
from kdtheory.compensated import two_product

__all__ = [
    "Existence",
    "ExistenceCertificate",
    "Recession",
    "UndecidedError",
    "existence_certificate",
    "optimum_existence",
    "recession_direction",
]

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]

EPS = float(np.finfo(np.float64).eps)
ROUNDING = 2.0**-40  # violation of a margin that rounding of V explains
PROGRAMME_NONZEROS = 20_000_000  # a linear programme above it is not started
FEASIBILITY = 1e-9  # of the linear programme; what it finds is verified without it
SMALL = 200_000  # nonzeros of a programme that is solved for a maximal direction in any case
SIMPLE = 120  # largest denominator looked for when a direction is made exact
NEAR = 1e-7  # distance of a number from the fraction that it is taken for
NEGLIGIBLE = 2.0**-44  # size, relative to the largest, of an entry that rounding has left
DEPENDENT = 1e-9  # pivot, relative to the first, of a zero margin that follows from others
GRID = 2.0**16  # steps of the free part of a direction that is made exact
CLEANABLE = 20_000_000  # entries of the matrix of zero margins that is factorised
EXACT_TERMS = 20_000_000  # products summed without error at most
MANY = 4096  # columns from which no Gram matrix is formed
BLOCK = 2**20  # numbers of a block of rows


class UndecidedError(ArithmeticError):
    """Neither an optimum nor a direction of recession could be proven."""


@dataclass(frozen=True, eq=False)
class Recession:
    r"""A direction in which no loss ever rises and some falls: there is no optimum.

    Attributes
    ----------
    coef : (n, K) ndarray of float64
        Feature part of V. Only differences over classes matter; they are not centred, since that
        would round.
    intercept : (K,) ndarray of float64
        Intercept part of V; 0 if there is no intercept.
    kind : str
        "complete" if, for each object whose support is one class, every other class falls behind,
        and there is such an object; else "quasi-complete". Of this direction; if it is `maximal`,
        of the data.
    maximal : bool
        Whether no other direction makes more classes fall behind.
    growing : (m, K) ndarray of bool
        Classes outside the support that fall behind.
    least_margin : float
        The smallest :math:`v_{ik} - v_{il}`, k in the support and l outside, relative to
        :math:`2 \max_k \sum_j |\tilde x_{ij} V_{jk}|`; 0 if some class keeps up.
    violation : float
        The largest amount, on the same scale, by which a :math:`v_i` fails to be maximal on
        :math:`S_i`. 0 is a proof for the very numbers given: every sign was then decided by
        a bound of the rounding, or by sums without error. Else at most 2^-40, from rounding of V:
        numbers within it of those given have no optimum, of those given it is not proven. (Sums
        are without error for entries of X that are 0 or above 1e-100 of their column's largest.)
    found_by : str
        "absent class", "candidate", "one feature" or "linear programme".
    """

    coef: Reals
    intercept: Reals
    kind: str
    maximal: bool
    growing: Flags
    least_margin: float
    violation: float
    found_by: str

    @property
    def n_growing(self) -> int:
        """Number of objects with a class that falls behind."""
        return int(self.growing.any(axis=1).sum())


@dataclass(frozen=True, eq=False)
class ExistenceCertificate:
    r"""Scores that prove that an optimum exists; see `existence_certificate`.

    Attributes
    ----------
    scores : (m, K) ndarray of float64
        G, with rows of sum 0 up to rounding.
    distance : float
        Below 1: the size, relative to the room that positivity leaves, of the correction that
        makes :math:`\sum_i \tilde x_i G_i^\top` exactly 0.
    rank : int
        Numerical rank of :math:`\tilde X`.
    unique : bool
        Whether the rank is full: the optimum is unique, up to one constant for all classes.
    """

    scores: Reals
    distance: float
    rank: int
    unique: bool


@dataclass(frozen=True, eq=False)
class Existence:
    """Whether an optimum exists, with the proof; see `optimum_existence`.

    Attributes
    ----------
    verdict : str
        "exists", "none" or "undecided".
    recession : Recession or None
        The proof of "none".
    certificate : ExistenceCertificate or None
        The proof of "exists"; None where the reason says it in words.
    reason : str
        One line.
    """

    verdict: str
    recession: Recession | None
    certificate: ExistenceCertificate | None
    reason: str


def optimum_existence(
    X: ArrayLike,
    support: ArrayLike,
    *,
    fit_intercept: bool = True,
    penalised: bool = False,
    candidate: tuple[ArrayLike, ArrayLike] | None = None,
    scores: ArrayLike | None = None,
    time_limit: float = 60.0,
    largest_programme: int = PROGRAMME_NONZEROS,
) -> Existence:
    r"""Whether the distillation loss of a linear student has a minimiser, and why.

    What is cheap goes first: supports of all classes, a class in no support, the `candidate`, the
    `scores`, a threshold on one feature that sets a class apart, objects of full support that
    span the features. Then the linear programme

    .. math:: \max \sum_{i,\, l \notin S_i} s_{il}, \qquad 0 \le s_{il} \le 1, \quad
        s_{il} \le v_{ik} - v_{il}, \quad v_{ik'} = v_{ik} \; (k, k' \in S_i),

    over V and s, whose optimum is 0 if a minimiser exists and otherwise the number of pairs that
    any direction can make grow. Its direction, or its multipliers, are verified apart from it; what
    cannot be verified is "undecided".

    Parameters
    ----------
    X : (m, n) array_like or scipy sparse matrix
        Features of the objects of positive weight.
    support : (m, K) array_like of bool
        Classes of positive target weight of each object, at least one: its label, if the trust
        leaves it any weight, and the classes to which its teacher gives a positive probability.
    fit_intercept : bool, default True
        Whether the logits have an intercept, without penalty.
    penalised : bool, default False
        Whether the coefficients have a positive quadratic penalty. Then only a class in no support
        is left as a reason, with an intercept.
    candidate : ((n, K), (K,)) pair of array_like, optional
        A direction to try first, such as coefficients and intercept of an iterate that separates.
    scores : (m, K) array_like, optional
        Gradients of the losses in the logits, object by object, at a point that may be near the
        optimum; see `existence_certificate`.
    time_limit : float, default 60
        Seconds after which the linear programme is given up.
    largest_programme : int, default 20 000 000
        Nonzeros of a linear programme above which it is not started.

    Returns
    -------
    Existence
        With `verdict` "exists", "none" or "undecided".

    Raises
    ------
    ValueError
        If a shape disagrees, a number is not finite, an object has no class in its support, or
        the time limit is not positive.
    TypeError
        If X is not of real numbers, the support not of bool, or the candidate not a pair.

    References
    ----------
    .. [1] A. Albert and J. A. Anderson, "On the existence of maximum likelihood estimates in
       logistic regression models", Biometrika 71 (1984).
    .. [2] K. Konis, "Linear programming algorithms for detecting separated data in binary logistic
       regression models", DPhil thesis, University of Oxford (2007).
    .. [3] R. T. Rockafellar, *Convex Analysis* (1970), Theorem 27.1.

    Examples
    --------
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> labels = np.eye(2, dtype=bool)
    >>> optimum_existence(X, labels[[0, 0, 1, 1]]).recession.kind
    'complete'
    >>> optimum_existence(X, labels[[0, 1, 0, 1]]).verdict
    'exists'
    """
    problem = _problem(X, support, fit_intercept)
    only_intercept = check_flag("penalised", penalised)
    seconds = check_positive("time_limit", time_limit)
    largest = check_count("largest_programme", largest_programme)
    tried = None if candidate is None else _checked_direction(candidate, problem)
    if scores is not None:
        scores = check_matrix("scores", scores, shape=problem.support.shape)

    if problem.support.all():
        return _exists("every class is in every support")
    found = _absent_class(problem)
    if only_intercept:
        # the directions are those of the intercept, and this is the largest of them
        if found is None:
            return _exists("the penalty leaves no direction but the intercept's")
        return _none(replace(found, maximal=True))
    if found is None and tried is not None:
        found = _recession(problem, tried, "candidate")
    if found is None and scores is not None:
        proof = _certificate(problem, scores)
        if proof is not None:
            return _exists("the scores nearly cancel over the objects", proof)
    if found is None:
        found = _one_feature(problem)
    if found is None and _full_supports_span(problem):
        return _exists("objects whose support is every class span the features")
    size = _programme_size(problem)
    if found is not None and (found.maximal or size > SMALL):
        return _none(found)
    if size > largest:
        return _undecided(f"a linear programme of {size} nonzeros is too large to be solved")
    answer = _by_programme(problem, seconds)
    if found is None:
        return answer
    larger = answer.recession
    return answer if larger is not None and larger.violation == 0 else _none(found)


def recession_direction(
    X: ArrayLike,
    support: ArrayLike,
    *,
    fit_intercept: bool = True,
    penalised: bool = False,
    candidate: tuple[ArrayLike, ArrayLike] | None = None,
    scores: ArrayLike | None = None,
    time_limit: float = 60.0,
    largest_programme: int = PROGRAMME_NONZEROS,
) -> Recession | None:
    """Direction in which the loss of a linear student falls for ever, or None if an optimum exists.

    Parameters
    ----------
    X, support, fit_intercept, penalised, candidate, scores, time_limit, largest_programme
        As of `optimum_existence`.

    Returns
    -------
    Recession or None
        None is proven, as a direction is.

    Raises
    ------
    UndecidedError
        If neither could be proven.
    ValueError, TypeError
        As `optimum_existence`.

    Examples
    --------
    >>> labels = np.eye(2, dtype=bool)
    >>> found = recession_direction([[-1.0], [0.0], [0.0], [2.0]], labels[[0, 0, 1, 1]])
    >>> found.kind, found.n_growing, found.violation
    ('quasi-complete', 2, 0.0)
    >>> soft = np.ones((1, 2), dtype=bool)
    >>> recession_direction([[-1.0], [0.0], [2.0]], np.vstack([labels, soft])) is None
    True
    """
    answer = optimum_existence(
        X,
        support,
        fit_intercept=fit_intercept,
        penalised=penalised,
        candidate=candidate,
        scores=scores,
        time_limit=time_limit,
        largest_programme=largest_programme,
    )
    if answer.verdict == "undecided":
        raise UndecidedError(answer.reason)
    return answer.recession


def existence_certificate(
    X: ArrayLike, support: ArrayLike, scores: ArrayLike, *, fit_intercept: bool = True
) -> ExistenceCertificate | None:
    r"""Proof of an optimum from a point near it, by its gradients in the logits.

    Let G be the scores, :math:`R = \sum_i \tilde x_i G_i^\top` (the gradient of the loss, without a
    penalty) and :math:`w_i = \min_{l \notin S_i} G_{il}`, the least weight for full supports. If

    .. math:: \operatorname{tr} R^\top \Big(\sum_i w_i^2 \tilde x_i \tilde x_i^\top\Big)^{-1} R < 1,

    then :math:`G_i - w_i^2 \tilde x_i^\top (\sum w^2 \tilde x \tilde x^\top)^{-1} R` satisfies the
    conditions of the module's docstring exactly, and an optimum exists. The rounding of all sums is
    bounded and counted, so that the answer holds for the numbers given; but features that depend
    on each other up to rounding are taken to depend on each other.

    Parameters
    ----------
    X, support, fit_intercept
        As of `optimum_existence`.
    scores : (m, K) array_like
        G, for instance the gradient of each object's loss in its logits. What a row fails to sum
        to 0 is taken from a class of its support.

    Returns
    -------
    ExistenceCertificate or None
        None proves nothing: the point may be too far from an optimum. There is none for 4096 and
        more features.

    Raises
    ------
    ValueError, TypeError
        As `optimum_existence`.

    Examples
    --------
    >>> labels = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> scores = 0.5 - labels  # at logits 0
    >>> existence_certificate(X, labels, scores) is None
    True
    >>> scores = np.array([[-0.3], [0.6], [-0.6], [0.3]]) * [1, -1]
    >>> existence_certificate(X, labels, scores).unique
    True
    """
    problem = _problem(X, support, fit_intercept)
    return _certificate(problem, check_matrix("scores", scores, shape=problem.support.shape))


# --- the problem and its blocks of rows


@dataclass(frozen=True, eq=False)
class _Problem:
    X: Any
    support: Flags
    fit_intercept: bool
    scale: Reals  # of the columns of X̃: powers of 2, so that dividing by them is exact
    centre: Reals  # taken off the columns, with an intercept, where nothing needs to be exact
    spread: Reals  # scale of the columns after that

    @property
    def pivot(self) -> NDArray[np.intp]:
        """A class of each support."""
        return np.asarray(self.support.argmax(axis=1))

    def rows(self, picked: Any, *, centred: bool = False) -> Any:
        """Rows of X̃ over the scale, or centred over the spread; sparse if X is."""
        scale = self.spread if centred else self.scale
        if isinstance(self.X, np.ndarray):
            block = self.X[picked].astype(np.float64)
            if self.fit_intercept:
                block = np.column_stack([block, np.ones(len(block))])
            if centred:
                block -= self.centre
            block /= scale
            return block
        from scipy.sparse import csr_array, diags_array, hstack

        block = csr_array(self.X[picked])
        if self.fit_intercept:
            block = hstack([block, csr_array(np.ones((block.shape[0], 1)))], format="csr")
        return csr_array(block @ diags_array(1 / scale))

    def blocks(self) -> list[slice]:
        m, step = len(self.support), max(1, BLOCK // len(self.scale))
        return [slice(start, min(m, start + step)) for start in range(0, m, step)]


def _problem(X: ArrayLike, support: ArrayLike, fit_intercept: bool) -> _Problem:
    features = check_features("X", X)
    dense = isinstance(features, np.ndarray)
    if dense:
        check_real_array("X", features)
    intercept = check_flag("fit_intercept", fit_intercept)
    flags = check_support("support", support, features.shape[0])
    top, bottom = (part.astype(np.float64) for part in (features.max(axis=0), features.min(axis=0)))
    if not dense:
        top, bottom = top.toarray().ravel(), bottom.toarray().ravel()
    if intercept:
        top, bottom = np.append(top, 1.0), np.append(bottom, 1.0)
    scale = _power_of_two(np.maximum(top, -bottom))
    if dense and intercept:
        # multiples of the spread: of whole numbers they are whole
        half = top / 2 - bottom / 2
        spread = np.append(_power_of_two(half[:-1]), 1.0)
        centre = np.append(np.round((top / 2 + bottom / 2) / spread)[:-1] * spread[:-1], 0.0)
        constant = top == bottom
        centre[constant] = top[constant]
        centre[-1] = 0.0
    else:
        spread, centre = scale, np.zeros_like(scale)
    return _Problem(features, flags, intercept, scale, centre, spread)


def _power_of_two(sizes: Reals) -> Reals:
    """The power of 2 at or below each number, 1 for 0; its inverse does not overflow."""
    exponents = np.clip(np.frexp(sizes)[1] - 1, -1000, 1000)
    return np.where(sizes > 0, np.ldexp(1.0, exponents), 1.0)


def _checked_direction(candidate: tuple[ArrayLike, ArrayLike], problem: _Problem) -> Reals:
    n, K = problem.X.shape[1], problem.support.shape[1]
    W, b = check_pair("candidate", candidate)
    coef = check_matrix("candidate[0]", W, shape=(n, K))
    offset = check_real_array("candidate[1]", b).reshape(1, -1)
    intercept = check_matrix("candidate[1]", offset, shape=(1, K))
    stacked = np.vstack([coef, intercept]) if problem.fit_intercept else coef
    return np.asarray(stacked.astype(np.float64) * problem.scale[:, None])


def _exists(reason: str, certificate: ExistenceCertificate | None = None) -> Existence:
    return Existence("exists", None, certificate, reason)


def _none(recession: Recession) -> Existence:
    words = f"{recession.kind} separation (found by: {recession.found_by})"
    return Existence("none", recession, None, words)


def _undecided(reason: str) -> Existence:
    return Existence("undecided", None, None, reason)


# --- verification of a direction


def _recession(
    problem: _Problem, V: Reals, found_by: str, *, tolerance: float = 0.0
) -> Recession | None:
    """The direction V, in the scale of the columns, if it is one up to the tolerance."""
    largest = np.abs(V).max()
    if not 0 < largest < np.inf:
        return None
    V = np.ldexp(V, -int(np.frexp(largest)[1]))
    support, pivot = problem.support, problem.pivot
    lead, bounds, scale = (np.empty(support.shape) for _ in range(3))
    for rows in problem.blocks():
        block = problem.rows(rows)
        v, size = block @ V, abs(block) @ np.abs(V)
        own = pivot[rows, None]
        lead[rows] = np.take_along_axis(v, own, axis=1) - v
        bounds[rows] = np.take_along_axis(size, own, axis=1) + size
        scale[rows] = 2 * size.max(axis=1, keepdims=True)
    alike = np.unique(V, axis=1, return_inverse=True)[1].ravel()
    same = alike[pivot, None] == alike
    lead[same] = 0.0  # classes that move alike
    rounding = (V.shape[0] + 4) * EPS
    bounds *= rounding
    bounds[same] = 0.0
    if _violation(lead, scale, support) > max(tolerance, rounding):
        return None
    doubtful = np.argwhere((np.abs(lead) <= bounds) & (bounds > 0))
    moving = np.flatnonzero(np.ptp(V, axis=1) > 0)
    exact = len(doubtful) * len(moving) <= EXACT_TERMS
    if exact:
        _sum_exactly(problem, V, lead, doubtful, moving)
    violation = max(_violation(lead, scale, support), 0.0 if exact else rounding)
    if violation > tolerance:
        return None
    clear = 0.0 if violation == 0 else ROUNDING
    grows = (lead > clear * scale) & ~support
    if not grows.any():
        return None
    alone = support.sum(axis=1) == 1
    complete = bool(alone.any()) and bool((grows | support)[alone].all())
    relative = _relative(lead, scale)[~support]
    V = V / problem.scale[:, None]
    n, K = problem.X.shape[1], support.shape[1]
    return Recession(
        coef=V[:n],
        intercept=V[n] if problem.fit_intercept else np.zeros(K),
        kind="complete" if complete else "quasi-complete",
        maximal=bool((grows | support).all()),
        growing=grows,
        least_margin=max(float(relative.min()), 0.0),
        violation=violation,
        found_by=found_by,
    )


def _relative(lead: Reals, scale: Reals) -> Reals:
    return np.divide(lead, scale, out=np.zeros_like(lead), where=scale > 0)


def _violation(lead: Reals, scale: Reals, support: Flags) -> float:
    """How far logits are from being maximal on the supports, at the worst place."""
    short = np.where(support, np.abs(lead), -lead)
    return max(0.0, float(_relative(short, scale).max()))


def _sum_exactly(
    problem: _Problem,
    V: Reals,
    lead: Reals,
    places: NDArray[np.intp],
    moving: NDArray[np.intp],
) -> None:
    """Replace leads by their correctly rounded values; of the right sign, and 0 if they are."""
    pivot, kept = problem.pivot, V[moving]
    for start in range(0, len(places), step := max(1, BLOCK // max(1, len(moving)))):
        some = places[start : start + step]
        x = problem.rows(some[:, 0])[:, moving]
        x = x if isinstance(x, np.ndarray) else x.toarray()
        k, l = pivot[some[:, 0]], some[:, 1]
        parts = [*two_product(x, kept[:, k].T), *two_product(x, -kept[:, l].T)]
        sums = [fsum(row) for row in np.concatenate(parts, axis=1).tolist()]
        lead[some[:, 0], l] = sums


# --- directions that need no linear programme


def _absent_class(problem: _Problem) -> Recession | None:
    """The intercepts of the classes that occur, against those that never do."""
    if not problem.fit_intercept:
        return None
    V = np.zeros((len(problem.scale), problem.support.shape[1]))
    V[-1] = problem.support.any(axis=0)
    return _recession(problem, V, "absent class")


def _one_feature(problem: _Problem) -> Recession | None:
    """A class that lies at or below a threshold of one feature, and all without it above."""
    patterns, lo, hi = _ranges(problem)
    n, K = problem.X.shape[1], problem.support.shape[1]
    for k in range(K):
        alone = patterns[:, k] & (patterns.sum(axis=1) == 1)
        shared, outside = patterns[:, k] & ~alone, ~patterns[:, k]
        for sign, low, high in ((1.0, lo, hi), (-1.0, -hi, -lo)):
            below = high[alone | shared].max(axis=0, initial=-np.inf)
            above = low[outside | shared].min(axis=0, initial=np.inf)
            # a short number strictly between, where there is one
            middle = below / 2 + above / 2 if problem.fit_intercept else np.zeros(n)
            apart = (below < middle) & (middle < above)
            if problem.fit_intercept:
                middle = np.where(apart, middle, below)
            moves = (low[alone].min(axis=0, initial=np.inf) < middle) | (
                high[outside].max(axis=0, initial=-np.inf) > middle
            )
            found = np.flatnonzero((below <= middle) & (middle <= above) & moves)
            if len(found):
                # the widest gap first: its direction needs no rounding to be strict
                j = found[np.argmax(apart[found])]
                V = np.zeros((len(problem.scale), K))
                V[j, k] = -sign * problem.scale[j]
                if problem.fit_intercept:
                    V[n, k] = middle[j]
                return _recession(problem, V, "one feature")
    return None


def _ranges(problem: _Problem) -> tuple[Flags, Reals, Reals]:
    """The supports that occur, and the least and largest of each feature over their objects."""
    patterns, member = np.unique(problem.support, axis=0, return_inverse=True)
    order = np.argsort(member.ravel(), kind="stable")
    starts = np.searchsorted(member.ravel()[order], np.arange(len(patterns)))
    n = problem.X.shape[1]
    lo, hi = np.empty((len(patterns), n)), np.empty((len(patterns), n))
    if isinstance(problem.X, np.ndarray):
        width = max(1, BLOCK // len(order))
        for columns in (slice(j, j + width) for j in range(0, n, width)):
            sorted_rows = problem.X[:, columns][order]
            lo[:, columns] = np.minimum.reduceat(sorted_rows, starts, axis=0)
            hi[:, columns] = np.maximum.reduceat(sorted_rows, starts, axis=0)
        return patterns, lo, hi
    for g, objects in enumerate(np.split(order, starts[1:])):
        rows = problem.X[objects]
        lo[g] = rows.min(axis=0).toarray().ravel()
        hi[g] = rows.max(axis=0).toarray().ravel()
    return patterns, lo, hi


# --- proofs that an optimum exists


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Of W X̃ with columns of norm 1: squares at most those of its singular values, and vectors."""

    norms: Reals
    squares: Reals
    vectors: Reals
    kept: Flags  # directions in which the columns do not depend on each other


def _spectrum(problem: _Problem, weights: Reals) -> _Spectrum:
    size, blocks = len(problem.scale), problem.blocks()
    gram = np.zeros((size, size))
    for rows in blocks:
        block = _weighted(problem, rows, weights)
        gram += block.T @ block
    norms = np.sqrt(np.diag(gram))
    norms[norms == 0] = 1.0
    gram /= norms
    gram /= norms[:, None]
    # each entry errs by at most (rows of a block + blocks + 8)ε: the columns have norm 1
    rounding = size * (blocks[0].stop + len(blocks) + 8) * EPS
    values, vectors = np.linalg.eigh(gram)
    if values[0] > 2 * rounding:
        return _Spectrum(norms, values - rounding, vectors, values > 0)
    # an orthogonal method sees dependence down to ε, not √ε
    R = np.zeros((0, size))
    for rows in blocks:
        stacked = np.vstack([R, _weighted(problem, rows, weights) / norms])
        R = np.asarray(np.linalg.qr(stacked, mode="r"))
    R = np.vstack([R, np.zeros((max(0, size - len(R)), size))])
    _, sigma, transposed = np.linalg.svd(R)
    rounding = size * (len(blocks) + 8) * EPS
    squares = np.maximum(sigma - rounding, rounding) ** 2
    return _Spectrum(norms, squares, transposed.T, sigma > 2 * rounding)


def _weighted(problem: _Problem, rows: slice, weights: Reals) -> Reals:
    block = problem.rows(rows, centred=True)
    dense = block if isinstance(block, np.ndarray) else block.toarray()
    return np.asarray(dense * weights[rows, None])


def _full_supports_span(problem: _Problem) -> bool:
    """Whether X̃ has full column rank on the objects whose support is every class."""
    full = problem.support.all(axis=1)
    size = len(problem.scale)
    if full.sum() < size or size > MANY:
        return False
    return bool(_spectrum(problem, np.asarray(full, dtype=np.float64)).kept.all())


def _certificate(problem: _Problem, scores: NDArray[Any]) -> ExistenceCertificate | None:
    support, pivot = problem.support, problem.pivot
    G = scores.astype(np.float64)
    np.put_along_axis(G, pivot[:, None], 0.0, axis=1)
    np.put_along_axis(G, pivot[:, None], -G.sum(axis=1, keepdims=True), axis=1)
    room = np.asarray(np.where(support, np.inf, G).min(axis=1))
    if room.min() <= 0 or len(problem.scale) > MANY:
        return None
    bounded = np.isfinite(room)
    weights: Reals = np.full(len(room), float(room[bounded].max(initial=0.0)) or 1.0)
    weights[bounded] = room[bounded]
    spectrum = _spectrum(problem, weights)
    kept, squares = spectrum.kept, spectrum.squares
    rank = int(kept.sum())
    # a direction is without effect if X̃ says so, not if only objects without room move in it
    if rank < len(kept) and rank < _spectrum(problem, np.ones(len(room))).kept.sum():
        return None
    residual = np.zeros((len(kept), support.shape[1]))
    sizes = np.zeros_like(residual)
    for rows in problem.blocks():
        block = problem.rows(rows, centred=True)
        residual += block.T @ G[rows]
        sizes += abs(block).T @ np.abs(G[rows])
    # the rounding of these sums, and of the scores of the pivots
    doubt = (sum(support.shape) + 8) * EPS * (sizes + sizes.sum(axis=1, keepdims=True))
    slack = float(np.linalg.norm(doubt / spectrum.norms[:, None]))
    coordinates = spectrum.vectors.T @ (residual / spectrum.norms[:, None])
    lengths = np.linalg.norm(coordinates, axis=1)
    distance = float(np.sqrt((lengths[kept] ** 2 / squares[kept]).sum()))
    distance += slack / float(np.sqrt(squares[kept].min(initial=1.0)))
    if distance >= 1:
        return None
    return ExistenceCertificate(G, distance, rank, rank == len(kept))


# --- the linear programme


def _programme_size(problem: _Problem) -> int:
    """Nonzeros of the programme's matrix of pairs, at most."""
    if isinstance(problem.X, np.ndarray):
        per_row = np.full(len(problem.support), problem.X.shape[1])
    else:
        per_row = np.diff(problem.X.indptr)
    each = 2 * (problem.support.shape[1] - 1)
    return int(each * (per_row.sum() + problem.fit_intercept * len(per_row)))


def _by_programme(problem: _Problem, seconds: float) -> Existence:
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, hstack

    places, matrix, factor = _pairs(problem)
    ties = problem.support[places[:, 0], places[:, 1]]
    grow, equal = matrix[~ties], matrix[ties]
    r, c = grow.shape
    end, answer = monotonic() + seconds, _undecided("no time was left for the linear programme")
    # the simplex method is at times lost between free variables, where the other is not
    for method, share in (("highs-ds", 0.5), ("highs-ipm", 1.0)):
        left = share * (end - monotonic())
        if left <= 0:
            break
        solved = linprog(
            np.concatenate([np.zeros(c), -np.ones(r)]),
            A_ub=hstack([-grow, eye_array(r)], format="csr"),
            b_ub=np.zeros(r),
            A_eq=hstack([equal, csr_array((equal.shape[0], r))], format="csr"),
            b_eq=np.zeros(equal.shape[0]),
            bounds=np.repeat([(-np.inf, np.inf), (0.0, 1.0)], [c, r], axis=0),
            method=method,
            options={
                "time_limit": left,
                "primal_feasibility_tolerance": FEASIBILITY,
                "dual_feasibility_tolerance": FEASIBILITY,
            },
        )
        if solved.status != 0:
            answer = _undecided(f"the linear programme was not solved: {solved.message}")
        # whatever grows can be made to grow by 1: the optimum is 0, or at least 1
        elif -solved.fun < 0.5:
            multipliers = np.empty(len(places))
            multipliers[~ties] = -solved.ineqlin.marginals
            multipliers[ties] = solved.eqlin.marginals
            answer = _by_multipliers(problem, places, multipliers * factor)
        else:
            answer = _by_direction(problem, grow, equal, solved.x[:c])
        if answer.verdict != "undecided":
            break
    return answer


def _by_multipliers(problem: _Problem, places: NDArray[np.intp], multipliers: Reals) -> Existence:
    G = np.zeros(problem.support.shape)
    G[places[:, 0], places[:, 1]] = multipliers
    proof = _certificate(problem, G)
    if proof is None:
        return _undecided("no direction was found, nor a proof that there is none")
    return _exists("multipliers of the linear programme", proof)


def _by_direction(problem: _Problem, grow: Any, equal: Any, V: Reals) -> Existence:
    from scipy.sparse import vstack

    grown = grow @ V >= 0.5
    best: Recession | None = None
    for direction in _cleaned(vstack([grow[~grown], equal], format="csr"), V):
        found = _recession(
            problem, _in_all_classes(problem, direction), "linear programme", tolerance=ROUNDING
        )
        if found is not None and (best is None or found.violation < best.violation):
            best = replace(found, maximal=bool(found.growing.sum() == grown.sum()))
        if best is not None and best.maximal and best.violation == 0:
            break
    if best is None:
        return _undecided("the direction found violates its conditions by more than rounding")
    return _none(best)


def _pairs(problem: _Problem) -> tuple[NDArray[np.intp], Any, Reals]:
    """Objects i and classes l; v of a class of S_i less that of l, over V without a class; scales.

    The class that is left out has the logit 0.
    """
    from scipy.sparse import csr_array

    support, pivot, K = problem.support, problem.pivot, problem.support.shape[1]
    places = np.argwhere(np.arange(K) != pivot[:, None])
    rows = csr_array(problem.rows(places[:, 0], centred=True))
    sizes = abs(rows).max(axis=1).toarray().ravel()
    factor = 1 / _power_of_two(sizes)
    per_row, size = np.diff(rows.indptr), len(problem.scale)
    data = rows.data * np.repeat(factor, per_row)
    wide = (len(places), size * K)
    own, other = (
        csr_array((data, rows.indices + size * np.repeat(k, per_row), rows.indptr), shape=wide)
        for k in (pivot[places[:, 0]], places[:, 1])
    )
    kept = np.arange(size * K) // size != _left_out(support)
    return places, csr_array((own - other)[:, kept]), factor


def _left_out(support: Flags) -> int:
    """The most frequent class: most rows are then shorter."""
    return int(support.sum(axis=0).argmax())


def _in_all_classes(problem: _Problem, direction: Reals) -> Reals:
    """The programme's V with all its classes, in the scale of the columns that are not centred."""
    K, size = problem.support.shape[1], len(problem.scale)
    V = np.insert(direction.reshape(K - 1, size), _left_out(problem.support), 0.0, axis=0).T
    V = V / problem.spread[:, None]
    if problem.fit_intercept:
        V[-1] -= problem.centre @ V
    return np.asarray(V * problem.scale[:, None])


def _cleaned(zero: Any, V: Reals) -> Iterator[Reals]:
    """V, and directions near it whose margins `zero` are 0 exactly or up to their rounding."""
    yield V
    if 0 in zero.shape or np.prod(zero.shape, dtype=float) > CLEANABLE:
        return
    from scipy.linalg import qr, solve_triangular

    R, order = qr(zero.toarray(), mode="r", pivoting=True)
    pivots = np.abs(np.diag(R))
    rank = int((pivots > DEPENDENT * pivots[0]).sum())
    # the first variables in this order as multiples of the others
    T = -solve_triangular(R[:rank, :rank], R[:rank, rank:])
    free = V[order[rank:]]
    if not free.any():
        return
    denominators = _denominators(T)
    if denominators.all():
        steps = np.round(free / np.abs(free).max() * GRID / denominators)
        whole = np.concatenate([np.round(T * denominators) @ steps, steps * denominators])
        yield whole[np.argsort(order)]
    near = np.concatenate([T @ free, free])[np.argsort(order)]
    yield np.where(np.abs(near) > NEGLIGIBLE * np.abs(near).max(), near, 0.0)
    yield near


def _denominators(T: Reals) -> NDArray[np.int64]:
    """The least common denominator of each column, 0 if it is not simple."""
    found = np.zeros(T.shape[1], dtype=np.int64)
    for d in range(SIMPLE, 0, -1):
        found[(np.abs(T * d - np.round(T * d)) < NEAR).all(axis=0)] = d
    return found
