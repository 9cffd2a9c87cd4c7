r"""Weighted least squares, fast where digits are safe and careful where they are not.

.. math:: \min_{W, b} \sum_i \sigma'_i \| y_i - b - W^\top x_i \|^2 + \rho \|W\|^2,

for one or many outputs, with or without the intercept b, which is not penalised. Three paths:

* ``"cholesky"``: blocks of :math:`[\sqrt{\sigma'} (X - \mu), \sqrt{\sigma'} y]` are multiplied as
  they are read, in as many threads as the BLAS has, so that no weighted copy of X is made. The
  Gram matrix S, centred and scaled to unit diagonal, tells the risk
  :math:`\varepsilon \gamma \kappa(S)` of the normal equations, γ the growth by centring. Below
  `SAFE` the solution stands; below `REFINABLE` it is refined with explicit residuals, and above
  `EIGHT` its inverse with it, which gives the accuracy of an orthogonal method; else the path is
  left.
* ``"qr"``: Householder QR of the same blocks, stacked one after the other under R, then with column
  pivoting on the unit columns of R. Small problems are refined in doubled precision, inverse
  included: all digits that the data themselves have.
* ``"svd"``: where the pivots of R tell a rank below n, the singular values of R decide it, and of
  all minimisers the one of least :math:`\sum_j \|\Sigma^{-1/2} x_{\cdot j}\|^2 w_j^2` is taken.

Sparse X is multiplied as it is; where digits are at risk its rows are made dense block by block,
and beyond `MANY` columns, where no n × n matrix is wanted, LSMR takes over (``"lsmr"``).

notation: σ′ = weights, ρ = ridge, μ = shift, S = scaled Gram matrix, V = root, κ = condition
"""

import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdtheory._checks import check_matrix, check_real_array
from kdtheory.compensated import Pair, doubled_inner, doubled_residual, two_product, two_sum

__all__ = [
    "LeastSquares",
    "RankWarning",
    "dense_blocks",
    "row_sums",
    "weighted_gram",
    "weighted_least_squares",
]

Reals = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
ROWS = 2048  # of a block: with 100 columns it fits the second level of the cache
THREADED = 2**26  # multiplications from which a second thread pays its start
FAR = 1e4  # ratio of a column's squares before centring to those after, that asks for another mean
OFFSET = 1e3  # standard deviations from 0 beyond which predictions are made from the mean
TINY = 1e-290  # below it squares are subnormal
SAFE = 1e-12  # four digits of sixteen may be at risk
EIGHT = 1e-8  # eight digits of the inverse are safe
REFINABLE = 1e-4  # the factor by which each refinement reduces the error
DOUBLED = 2**19  # products up to which doubled precision is used: some fifty milliseconds
MANY = 4096  # columns of a sparse X from which its Gram matrix is not formed
REFINEMENTS = 12  # more than enough at any rate that is accepted


class RankWarning(UserWarning):
    """The columns of X are linearly dependent to machine precision: the minimiser is not unique."""


@dataclass(frozen=True, eq=False)
class LeastSquares:
    r"""A solution of `weighted_least_squares`.

    Attributes
    ----------
    coef : (n, p) ndarray of float64
    intercept : (p,) ndarray of float64
        Zeros if there is none.
    center : (p,) ndarray of float64
        The prediction at μ: with an intercept, what it is without the rounding of μ.
    rank : int
        Numerical rank of :math:`\Sigma^{-1/2} X`, centred if there is an intercept, its columns
        scaled to norm 1, with the ridge. After "lsmr" min(m, n), which is not checked.
    solver : "cholesky", "qr", "svd" or "lsmr"
        The path that was taken.
    refinements : int
        Corrections by explicit residuals.
    shift : (n,) ndarray of float64
        μ, from which features are measured in `shifted_root`.
    shifted_root : (q, r) ndarray of float64 or None
        V with :math:`V V^\top = (\tilde X^\top \Sigma^{-1} \tilde X + \rho)^+`, the rows of
        :math:`\tilde X` being :math:`(1, x - \mu)` or, without an intercept, :math:`x`. None
        after "lsmr".
    column_norms : (n,) ndarray of float64
        Norms of the columns of :math:`\Sigma^{-1/2}(X - \mu)`, with the ridge; 1 for a zero one.
    fit_intercept : bool
        Whether the first parameter is an intercept.
    """

    coef: Reals
    intercept: Reals
    center: Reals
    rank: int
    solver: str
    refinements: int
    shift: Reals
    shifted_root: Reals | None
    column_norms: Reals
    fit_intercept: bool

    @cached_property
    def root(self) -> Reals:
        r"""V for the parameters themselves: rows for the intercept, if any, and :math:`w`."""
        root = self._inverse_root
        if not self.fit_intercept:
            return root
        root = root.copy()
        root[0] -= self.shift @ root[1:]
        return root

    @cached_property
    def condition(self) -> float:
        r"""Ratio of the extreme singular values of :math:`\Sigma^{-1/2} X` with unit columns.

        Centred if there is an intercept, and with the ridge; infinite if the rank is less than n,
        and NaN after "lsmr".
        """
        if self.shifted_root is None:
            return float("nan")
        n = len(self.coef)
        if self.rank < n:
            return float("inf")
        V = self.shifted_root[-n:]
        singular = np.linalg.svd(self.column_norms[:, None] * V[:, -n:], compute_uv=False)
        return float(singular[0] / singular[-1])

    def images(self, X: Any) -> Iterator[tuple[slice, Reals]]:
        r"""Blocks of rows of :math:`\tilde X V`, with their places; their squares are leverages.

        Parameters
        ----------
        X : (m, n) ndarray or sparse matrix
        """
        V = self._inverse_root
        for rows, block in dense_blocks(X):
            if self.fit_intercept:
                yield rows, (block - self.shift) @ V[1:] + V[0]
            else:
                yield rows, block @ V

    def leverages(self, X: Any, weights: Reals) -> Reals:
        r"""Diagonal of the hat matrix, :math:`h_i = \sigma'_i \|V^\top \tilde x_i\|^2`.

        Parameters
        ----------
        X : (m, n) ndarray or sparse matrix
        weights : (m,) ndarray

        Returns
        -------
        (m,) ndarray
        """
        leverages = np.zeros(len(weights))
        roots = np.sqrt(weights)[:, None]
        for rows, image in self.images(X):
            # a row of weight 0 may be of any size
            scaled = np.where(roots[rows] > 0, image, 0.0) * roots[rows]
            leverages[rows] = np.einsum("ij,ij->i", scaled, scaled)
        return leverages

    def predictions(self, X: Any) -> Reals:
        r"""Predictions :math:`b + W^\top x`, with no digits lost to a large μ.

        Parameters
        ----------
        X : (m, n) ndarray or sparse matrix

        Returns
        -------
        (m, p) ndarray
        """
        if self.fit_intercept and self._is_far:
            parts = [(block - self.shift) @ self.coef for _, block in dense_blocks(X)]
            return np.concatenate(parts) + self.center
        if _is_sparse(X) or X.dtype == np.float64:
            return np.asarray(X @ self.coef + self.intercept)
        # by blocks: a product with float64 would copy X
        return np.concatenate([block @ self.coef for _, block in dense_blocks(X)]) + self.intercept

    @property
    def _is_far(self) -> bool:
        """Whether some column is far from 0 beside its spread."""
        if self.shifted_root is None:
            return False
        spreads = self.column_norms * abs(self.shifted_root[0, 0])
        return bool((np.abs(self.shift) > OFFSET * spreads).any())

    def moments(self, X: Any, values: Reals) -> Reals:
        r"""Sums over the rows of :math:`\tilde x_i v_i^\top`, features measured from μ.

        Parameters
        ----------
        X : (m, n) ndarray or sparse matrix
        values : (m, p) ndarray

        Returns
        -------
        (q, p) ndarray
        """
        total = np.zeros((len(self.coef), values.shape[1]))
        for rows, block in dense_blocks(X):
            centred = block - self.shift if self.fit_intercept else block
            total += centred.T @ values[rows]
        return np.vstack([values.sum(axis=0), total]) if self.fit_intercept else total

    @property
    def _inverse_root(self) -> Reals:
        if self.shifted_root is None:
            msg = (
                "`X` must have fewer columns for an inverse, or a `solver` other than 'lsmr': its "
                "n × n matrix was not formed"
            )
            raise ValueError(msg)
        return self.shifted_root


def weighted_least_squares(
    X: Any,
    Y: Reals,
    weights: Reals,
    *,
    ridge: float = 0.0,
    fit_intercept: bool = False,
    solver: str = "auto",
) -> LeastSquares:
    r"""Minimiser of :math:`\sum_i \sigma'_i \|y_i - b - W^\top x_i\|^2 + \rho \|W\|^2`.

    Shapes and kinds are the caller's to check. That X is finite is found out on the way, since a
    pass for it alone would cost a fifth of the whole.

    Parameters
    ----------
    X : (m, n) ndarray of float64 or float32, or sparse matrix
    Y : (m, p) ndarray of float64
        Finite.
    weights : (m,) ndarray of float64
        σ′, at least 0, not all 0. A row of weight 0 is as good as absent.
    ridge : float, default 0
        ρ, at least 0; the intercept is not penalised.
    fit_intercept : bool, default False
    solver : {"auto", "cholesky", "qr", "svd", "lsmr"}, default "auto"
        "auto" takes the fastest path that keeps twelve digits or so; "lsmr" is for sparse X only.

    Returns
    -------
    LeastSquares

    Raises
    ------
    ValueError
        If X is not finite; or if the solver is "cholesky" and X is too near to linear dependence
        for it.

    Warns
    -----
    RankWarning
        If the columns are linearly dependent to machine precision. The solution is then the
        minimiser of least norm in the scaled columns. After "lsmr", if it has not converged.

    Examples
    --------
    >>> found = weighted_least_squares(np.eye(2), np.array([[1.0], [2.0]]), np.ones(2))
    >>> found.coef.ravel(), found.solver
    (array([1., 2.]), 'cholesky')
    """
    # an even power of two, so that neither weights nor their roots are rounded
    exponent = int(np.frexp(max(weights.max(), ridge))[1]) // 2
    problem = _Problem(
        X, Y, np.ldexp(weights, -2 * exponent), float(np.ldexp(ridge, -2 * exponent)), fit_intercept
    )
    found = _solution(problem, solver)
    if found.rank < X.shape[1] and found.shifted_root is not None:
        msg = (
            f"`X` has numerical rank {found.rank} with {X.shape[1]} column(s): the minimiser is "
            "not unique, the one of least norm in the scaled columns is returned"
        )
        warnings.warn(msg, RankWarning, stacklevel=3)
    factor = 2.0**exponent
    V = found.shifted_root
    return replace(
        found,
        shifted_root=None if V is None else V / factor,
        column_norms=found.column_norms * factor,
    )


def weighted_gram(
    X: Any, weights: Reals, targets: Reals, shift: Reals | None = None
) -> tuple[Reals, Reals]:
    r"""Gram matrix and moments, :math:`(X - \mu)^\top W (X - \mu)` and :math:`(X - \mu)^\top W T`.

    One pass over X in blocks, in as many threads as the BLAS has; no weighted copy of X is made.
    What is not finite in X leaves a sum that is not.

    Parameters
    ----------
    X : (m, n) ndarray or sparse matrix
    weights : (m,) ndarray
        The diagonal of W, at least 0.
    targets : (m, k) ndarray
        T.
    shift : (n,) ndarray, optional
        μ, by default none; not with a sparse X.

    Returns
    -------
    (n, n) ndarray, (n, k) ndarray
    """
    if _is_sparse(X):
        scaled = X.multiply(weights[:, None]).tocsr()
        return (X.T @ scaled).toarray().astype(np.float64, copy=False), scaled.T @ targets
    roots = np.sqrt(weights)[:, None]
    m, n = X.shape

    def part(start: int, stop: int) -> tuple[Reals, Reals]:
        gram, product = np.zeros((n, n)), np.empty((n, n))
        cross = np.zeros((n, targets.shape[1]))
        buffer = np.empty((min(ROWS, stop - start), n))
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in _row_slices(start, stop):
                block = buffer[: rows.stop - rows.start]
                if shift is None:
                    np.multiply(X[rows], roots[rows], out=block)
                else:
                    np.subtract(X[rows], shift, out=block)
                    block *= roots[rows]
                np.matmul(block.T, block, out=product)
                gram += product
                cross += block.T @ (roots[rows] * targets[rows])
        return gram, cross

    gram, cross = row_sums(part, m, work=m * n * n)
    return gram, cross


def row_sums(
    part: Callable[[int, int], tuple[Any, ...]], m: int, *, work: float
) -> tuple[Any, ...]:
    """Sums over the rows 0 … m of what `part(start, stop)` returns for a range of them.

    If `work`, a number of multiplications, is worth it, each thread of the BLAS takes a range and
    calls the BLAS without further threads: then the weighting of the rows runs in parallel too.
    """
    with _blas_threads(work >= THREADED) as threads:
        if threads == 1:
            return part(0, m)
        ends = np.linspace(0, m, threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(part, ends[:-1].tolist(), ends[1:].tolist()))
    return tuple(sum(terms[1:], start=terms[0]) for terms in zip(*parts, strict=True))


_one_at_a_time = threading.Lock()


@contextmanager
def _blas_threads(wanted: bool) -> Iterator[int]:
    """How many threads to use; the BLAS of numpy is held to one thread if it is more than one."""
    # the limit is the process's: a second caller must not take the first one's for the user's
    if not (wanted and _one_at_a_time.acquire(blocking=False)):
        yield 1
        return
    try:
        controller = _numpy_blas()
        threads = max((lib.num_threads or 1 for lib in controller.lib_controllers), default=1)
        if threads == 1:
            yield 1
        else:
            with controller.limit(limits=1):
                yield threads
    finally:
        _one_at_a_time.release()


@cache
def _numpy_blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is asked. The parameters θ are b, if there is an intercept, and the rows of W."""

    X: Any
    Y: Reals
    weights: Reals
    ridge: float
    fit_intercept: bool

    def blocks(
        self, start: int = 0, stop: int | None = None, *, rows: int = ROWS
    ) -> Iterator[tuple[slice, Reals]]:
        """Dense blocks of X, with zeros for rows of weight 0, which may be of any size."""
        for place, block in dense_blocks(self.X, start, stop, rows=rows):
            absent = self.weights[place] == 0
            yield place, np.where(absent[:, None], 0.0, block) if absent.any() else block

    def gradient(self, shift: Reals, theta: Reals) -> Reals:
        r"""Half the slope of the loss downhill, with the features measured from μ."""
        X, Y, weights = self.X, self.Y, self.weights
        W = theta[-X.shape[1] :]
        b = theta[0] if self.fit_intercept else np.zeros(Y.shape[1])
        centred = bool(shift.any())
        if _is_sparse(X) and not centred:
            residuals = weights[:, None] * (Y - X @ W)
            total, slope = np.zeros(Y.shape[1]), X.T @ residuals
        else:
            # as dense blocks: the mean is subtracted before anything cancels
            def part(start: int, stop: int) -> tuple[Reals, Reals]:
                total, slope = np.zeros(Y.shape[1]), np.zeros_like(W)
                for rows, features in self.blocks(start, stop):
                    block = features - shift if centred else features
                    residuals = weights[rows, None] * (Y[rows] - b - block @ W)
                    total += residuals.sum(axis=0)
                    slope += block.T @ residuals
                return total, slope

            m, n = X.shape
            total, slope = row_sums(part, m, work=20 * m * n)
        slope -= self.ridge * W
        return np.vstack([total, slope]) if self.fit_intercept else slope

    def corrected_root(self, shift: Reals, V: Reals) -> Reals:
        """V(1 + F)^-½ with F = Vᵀ A V − 1: the errors of A are divided by its condition."""
        roots = np.sqrt(self.weights)[:, None]
        n = len(shift)

        def part(start: int, stop: int) -> tuple[Reals]:
            gram = np.zeros((V.shape[1], V.shape[1]))
            for rows, block in self.blocks(start, stop):
                image = (block - shift) @ V[-n:]
                if self.fit_intercept:
                    image += V[0]
                image *= roots[rows]
                gram += image.T @ image
            return (gram,)

        m = len(roots)
        (gram,) = row_sums(part, m, work=3 * m * n * n)
        gram += self.ridge * V[-n:].T @ V[-n:]
        return _whitened(V, gram)


def _solution(problem: _Problem, solver: str) -> LeastSquares:
    m, n = problem.X.shape
    if solver == "lsmr" or (solver == "auto" and _is_sparse(problem.X) and n > MANY):
        return _by_lsmr(problem)
    if solver in ("auto", "cholesky"):
        found = _by_cholesky(problem) if m >= n or problem.ridge > 0 else None
        if found is not None:
            return found
        if solver == "cholesky":
            _column_scale(problem)  # what is not finite has precedence
            msg = "`X` must be further from linear dependence for solver='cholesky': take 'auto'"
            raise ValueError(msg)
    return _by_qr(problem, always_svd=solver == "svd")


# --- normal equations


def _by_cholesky(problem: _Problem) -> LeastSquares | None:
    """By normal equations, or None where they lose too many digits or are not finite."""
    from scipy.linalg import lapack  # here, since its import takes a third of a second

    X, Y, weights = problem.X, problem.Y, problem.weights
    n = X.shape[1]
    total = weights.sum()
    if problem.fit_intercept:
        b = weights @ Y / total
        shift, rest, gram, cross, growth = _centred_gram(problem, b, total)
    else:
        b, shift, growth = np.zeros(Y.shape[1]), np.zeros(n), 1.0
        gram, cross = weighted_gram(X, weights, Y)
    gram.flat[:: n + 1] += problem.ridge
    diagonal = gram.diagonal()
    if not (np.isfinite(gram).all() and np.isfinite(cross).all() and (diagonal > TINY).all()):
        return None
    norms = np.sqrt(diagonal)
    scaled = gram / norms / norms[:, None]
    U, failed = lapack.dpotrf(scaled)
    if failed:
        return None
    rcond, _ = lapack.dpocon(U, np.abs(scaled).sum(axis=0).max())
    risk = EPS * growth / rcond if rcond > 0 else np.inf
    # where digits are at risk, a small problem can have all of them by QR
    if not risk <= (SAFE if _is_small(problem) else REFINABLE):
        return None
    inverse, _ = lapack.dtrtri(U)
    V = np.triu(inverse) / norms[:, None]
    theta = V @ (V.T @ cross)
    if problem.fit_intercept:
        theta, V = np.vstack([b - rest @ theta, theta]), _with_intercept(V, total)
        V[0, 1:] = -rest @ V[1:, 1:]
    refinements = 0
    if risk > EIGHT:
        V = problem.corrected_root(shift, V)
    if risk > SAFE:
        theta, _, refinements = _refined(
            lambda theta, _: problem.gradient(shift, theta), theta, V, rate=risk
        )
    return _assembled(theta, V, shift, norms, n, "cholesky", refinements)


def _centred_gram(
    problem: _Problem, b: Reals, total: float
) -> tuple[Reals, Reals, Reals, Reals, float]:
    """Weighted mean and its rounding, Gram matrix and moments about it, growth γ of errors."""
    X, weights = problem.X, problem.weights
    targets = np.column_stack([np.ones(len(weights)), problem.Y - b])
    sparse = _is_sparse(X)
    first = None if sparse else _provisional_mean(X)
    for _ in range(2):
        gram, cross = weighted_gram(X, weights, targets, first)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = cross[:, 0] / total
            centred = gram - np.outer(mean, cross[:, 0])
            before, after = gram.diagonal(), centred.diagonal()
            shift, rest = (mean, 0 * mean) if first is None else two_sum(first, mean)
            if sparse or not (before > FAR * after).any() or not np.isfinite(shift).all():
                break
        first = shift  # the first rows were not like the others
    growth = float((before[after > 0] / after[after > 0]).max(initial=1.0))
    if sparse and growth > FAR:
        growth = np.inf  # what centring has cost cannot be had back without centred blocks
    return shift, rest, centred, cross[:, 1:], growth


def _provisional_mean(X: Any) -> Reals | None:
    """Mean of the first rows, or None where it is of no more than the size of their spread."""
    first = X[:ROWS]
    mean = first.mean(axis=0, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if (np.abs(mean) <= np.ptp(first, axis=0)).all():
            return None
    return np.asarray(mean)


# --- orthogonal methods


def _by_qr(problem: _Problem, *, always_svd: bool) -> LeastSquares:
    """By QR of row blocks and then of R, with column pivoting; by SVD if the rank is not n."""
    import scipy.linalg

    X, weights = problem.X, problem.weights
    n = X.shape[1]
    scale, lengths = _column_scale(problem)
    ridge = (np.sqrt(problem.ridge) * scale) ** 2 if problem.ridge > 0 else np.zeros(n)
    size = float(np.ldexp(1.0, int(np.frexp(np.abs(problem.Y).max())[1])))
    total = weights.sum()
    shift = np.zeros(n)
    if problem.fit_intercept:
        for _ in range(2):  # the second time it is the mean of small numbers
            means = [weights[rows] @ (block * scale - shift) for rows, block in problem.blocks()]
            shift = shift + np.sum(means, axis=0) / total
    R, right, b = _triangle(problem, scale, shift, size, ridge)

    norms = np.linalg.norm(R, axis=0)
    # a column no longer than the rounding of its mean is a constant: 0 after centring
    constant = norms <= 8 * EPS * lengths
    norms[constant] = 1.0
    unit = np.where(constant, 0.0, R / norms)
    count = int(np.count_nonzero(weights)) + (n if problem.ridge > 0 else 0)
    tolerance = max(count, n) * EPS
    Q, T, order = scipy.linalg.qr(unit, pivoting=True)
    pivots = np.abs(T.diagonal())
    rank = int(np.count_nonzero(pivots > tolerance * pivots[0]))
    if rank == n and not always_svd:
        solver = "qr"
        V = np.zeros((n, n))
        V[order] = scipy.linalg.solve_triangular(T, np.eye(n))
        W = V @ (Q.T @ right)
    else:
        solver = "svd"
        left, singular, rows = scipy.linalg.svd(unit)
        rank = int(np.count_nonzero(singular > tolerance * singular[0]))
        V = rows[:rank].T / singular[:rank]
        V[constant] = 0.0
        W = V @ (left[:, :rank].T @ right)
    rate = EPS * float(np.linalg.norm(V)) * n
    V /= norms[:, None]
    theta = W / norms[:, None]
    if problem.fit_intercept:
        theta, V = np.vstack([b, theta]), _with_intercept(V, total)

    if _is_small(problem):
        design, Y, positive = _in_doubled_precision(problem, scale, shift, size)
        V = _corrected_root(design, positive, ridge, V)
        gradient = _doubled_gradient(design, Y, positive, ridge)
        theta, rest, refinements = _refined(gradient, theta, V, rate=rate)
        theta, rest = _unscaled(theta, scale, size), _unscaled(rest, scale, size)
        V = _unscaled(V, scale, 1.0)
    else:
        theta, V = _unscaled(theta, scale, size), _unscaled(V, scale, 1.0)
        theta, _, refinements = _refined(
            lambda theta, _: problem.gradient(shift / scale, theta), theta, V, rate=rate
        )
        rest = np.zeros_like(theta)
    return _assembled(theta, V, shift / scale, norms / scale, rank, solver, refinements, rest)


def _column_scale(problem: _Problem) -> tuple[Reals, Reals]:
    """Powers of two that bring the columns of √σ′ X to entries of at most 1; their norms then.

    Raises where X is not finite.
    """
    roots = np.sqrt(problem.weights)
    n = problem.X.shape[1]
    largest = np.zeros(n)
    for _, block in dense_blocks(problem.X):
        with np.errstate(over="ignore", invalid="ignore"):
            suspect = not np.isfinite(block.sum())
        if suspect and _is_sparse(problem.X):
            check_real_array("X", problem.X.data)
        elif suspect:
            check_matrix("X", problem.X)
    for rows, block in problem.blocks():
        np.maximum(largest, np.abs(roots[rows, None] * block).max(axis=0), out=largest)
    # the rows of the ridge too, and a subnormal column is as good as none: it has no reciprocal
    np.maximum(largest, np.sqrt(problem.ridge), out=largest)
    largest[largest < TINY] = 1.0
    scale = np.ldexp(1.0, -np.frexp(largest)[1])
    squares = np.zeros(n)
    for rows, block in problem.blocks():
        squares += ((roots[rows, None] * (block * scale)) ** 2).sum(axis=0)
    return scale, np.sqrt(squares)


def _triangle(
    problem: _Problem, scale: Reals, shift: Reals, size: float, ridge: Reals
) -> tuple[Reals, Reals, Reals]:
    """R of the features, the right-hand side under the same rotation, and the intercept."""
    X, Y = problem.X, problem.Y
    n, p = X.shape[1], Y.shape[1]
    roots = np.sqrt(problem.weights)[:, None]
    lead = 1 if problem.fit_intercept else 0
    width = lead + n + p
    R = np.zeros((0, width))
    if problem.ridge > 0:
        R = np.zeros((n, width))
        R[:, lead : lead + n] = np.diag(np.sqrt(ridge))
    for rows, block in problem.blocks(rows=max(ROWS, 4 * width)):
        columns = [roots[rows]] * lead
        columns += [roots[rows] * (block * scale - shift), roots[rows] * (Y[rows] / size)]
        R = np.asarray(np.linalg.qr(np.vstack([R, np.hstack(columns)]), mode="r"))
    R = np.vstack([R, np.zeros((max(0, lead + n - len(R)), width))])
    b = R[0, lead + n :] / R[0, 0] if lead else np.zeros(p)
    body = slice(lead, lead + n)
    return R[body, body], R[body, lead + n :], b


def _in_doubled_precision(
    problem: _Problem, scale: Reals, shift: Reals, size: float
) -> tuple[Pair, Reals, Reals]:
    """Rows of positive weight: centred features with nothing lost, answers, weights."""
    kept = problem.weights > 0
    X = problem.X[kept]
    X = (X.toarray() if _is_sparse(X) else X) * scale
    design = two_sum(X, -shift)
    if problem.fit_intercept:
        ones = np.ones((len(X), 1))
        design = np.hstack([ones, design[0]]), np.hstack([0 * ones, design[1]])
    return design, problem.Y[kept] / size, problem.weights[kept, None]


def _doubled_gradient(
    design: Pair, Y: Reals, weights: Reals, ridge: Reals
) -> Callable[[Reals, Reals], Reals]:
    penalty = np.concatenate([np.zeros(design[0].shape[1] - len(ridge)), ridge])[:, None]

    def gradient(theta: Reals, rest: Reals) -> Reals:
        residuals = doubled_residual(Y, design, theta)
        residuals = two_sum(residuals[0], residuals[1] - design[0] @ rest)
        slope = doubled_inner(design, _scaled_pair(weights, residuals))
        drawn = two_product(penalty, theta)
        return np.asarray((slope[0] - drawn[0]) + (slope[1] - drawn[1] - penalty * rest))

    return gradient


def _corrected_root(design: Pair, weights: Reals, ridge: Reals, V: Reals) -> Reals:
    """V with V Vᵀ the inverse to all digits, from one that is nearly so.

    For F = Vᵀ A V − 1, small and in doubled precision, V (1 + F)^-1 Vᵀ is the inverse of A.
    """
    image = doubled_residual(np.zeros((len(weights), V.shape[1])), design, V)
    gram = doubled_inner(image, _scaled_pair(weights, image))
    W = V[-len(ridge) :]
    drawn = doubled_inner((W, np.zeros_like(W)), two_product(ridge[:, None], W))
    total, rest = two_sum(gram[0], drawn[0])
    return _whitened(V, total + (rest + gram[1] + drawn[1]))


def _whitened(V: Reals, gram: Reals) -> Reals:
    """V(1 + F)^-½ from 1 + F = Vᵀ A V, which is near 1."""
    import scipy.linalg

    if gram.size == 0:  # rank 0, for which LAPACK has no answer
        return V
    L = np.linalg.cholesky(gram)
    return np.asarray(scipy.linalg.solve_triangular(L, V.T, lower=True).T)


def _scaled_pair(weights: Reals, pair: Pair) -> Pair:
    product, rest = two_product(weights, pair[0])
    return product, rest + weights * pair[1]


def _refined(
    gradient: Callable[[Reals, Reals], Reals], theta: Reals, V: Reals, *, rate: float
) -> tuple[Reals, Reals, int]:
    """θ and what its rounding leaves, after corrections V Vᵀ g until they are below rounding.

    Each is expected to be `rate` times the last.
    """
    rest = np.zeros_like(theta)
    # the size of a parameter in units of its own spread
    units = np.linalg.norm(V, axis=1)[:, None]
    units = np.where(units > 0, units, 1.0)
    before = np.inf
    for count in range(REFINEMENTS):
        step = V @ (V.T @ gradient(theta, rest))
        length = float(np.abs(step / units).max())
        if not length < before / 2:
            return theta, rest, count
        theta, rest = two_sum(theta, rest + step)
        if length * rate <= EPS * np.abs(theta / units).min(initial=np.inf, where=theta != 0):
            return theta, rest, count + 1
        before = length
    return theta, rest, REFINEMENTS


# --- large and sparse


def _by_lsmr(problem: _Problem) -> LeastSquares:
    """By LSMR on unit columns, centred without being formed."""
    from scipy.sparse.linalg import LinearOperator, lsmr

    X, weights = problem.X, problem.weights
    m, n = X.shape
    total = weights.sum()
    roots = np.sqrt(weights)
    b = weights @ problem.Y / total if problem.fit_intercept else np.zeros(problem.Y.shape[1])
    shift = X.T @ weights / total if problem.fit_intercept else np.zeros(n)
    squares = X.multiply(X).T @ weights - total * shift**2 + problem.ridge
    norms = np.sqrt(np.maximum(squares, TINY))
    norms[norms**2 <= TINY] = 1.0

    operator = LinearOperator(
        (m + n, n),
        matvec=lambda z: np.concatenate([
            roots * (X @ (z / norms) - shift @ (z / norms)), np.sqrt(problem.ridge) * z / norms,
        ]),
        rmatvec=lambda r: (
            X.T @ (roots * r[:m]) - shift * (roots @ r[:m]) + np.sqrt(problem.ridge) * r[m:]
        ) / norms,
        dtype=np.float64,
    )  # fmt: skip
    goals = np.vstack([roots[:, None] * (problem.Y - b), np.zeros((n, len(b)))])
    found = [lsmr(operator, goal, atol=EPS, btol=EPS, conlim=0, maxiter=20 * n) for goal in goals.T]
    theta = np.column_stack([solution[0] for solution in found]) / norms[:, None]
    steps = max(solution[2] for solution in found)
    if any(solution[1] == 7 for solution in found):
        msg = f"`X` is too near to linear dependence for 'lsmr', which stopped after {steps} steps"
        warnings.warn(msg, RankWarning, stacklevel=5)
    intercept = b - shift @ theta
    return LeastSquares(
        theta, intercept, b, min(m, n), "lsmr", steps, shift, None, norms, problem.fit_intercept
    )


# --- small parts


def dense_blocks(
    X: Any, start: int = 0, stop: int | None = None, *, rows: int = ROWS
) -> Iterator[tuple[slice, Reals]]:
    """Blocks of rows of a matrix, sparse or not, as float64 arrays, with their places."""
    sparse = _is_sparse(X)
    for place in _row_slices(start, X.shape[0] if stop is None else stop, rows):
        block = X[place].toarray() if sparse else X[place]
        yield place, block.astype(np.float64, copy=False)


def _row_slices(start: int, stop: int, rows: int = ROWS) -> Iterator[slice]:
    return (slice(first, min(first + rows, stop)) for first in range(start, stop, rows))


def _is_sparse(X: Any) -> bool:
    return not isinstance(X, np.ndarray)


def _is_small(problem: _Problem) -> bool:
    m, n = problem.X.shape
    return bool(m * (n + 1) * max(n + 1, problem.Y.shape[1]) <= DOUBLED)


def _with_intercept(V: Reals, total: float) -> Reals:
    full = np.zeros((V.shape[0] + 1, V.shape[1] + 1))
    full[0, 0] = 1 / np.sqrt(total)
    full[1:, 1:] = V
    return full


def _unscaled(parameters: Reals, scale: Reals, size: float) -> Reals:
    result = parameters * size
    result[-len(scale) :] *= scale[:, None]
    return result


def _assembled(
    theta: Reals,
    V: Reals,
    shift: Reals,
    norms: Reals,
    rank: int,
    solver: str,
    refinements: int,
    rest: Reals | None = None,
) -> LeastSquares:
    W, n = theta[-len(shift) :], len(shift)
    fit_intercept = len(theta) > n
    center = theta[0] if fit_intercept else np.zeros(theta.shape[1])
    b = center
    if fit_intercept:
        # the intercept is a difference: of all digits that are there
        hi, lo = doubled_residual(center[None], (shift[None], 0 * shift[None]), W)
        if rest is not None:
            lo = lo + rest[:1] - shift @ rest[-n:]
        b = (hi + lo)[0]
    return LeastSquares(W, b, center, rank, solver, refinements, shift, V, norms, fit_intercept)
