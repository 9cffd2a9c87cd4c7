r"""Trust from data: cross-validation along the trust, in closed form.

**Leaving one object out.** The problem GS (15) with trust λ is least squares with the weights
:math:`\sigma'_i = c_i[\omega_i - \lambda 1_I(i)(\omega_i - \omega_{s,i})]` and the targets
:math:`y''_i = y_i + \tau_i (s_i - y_i)`, :math:`\tau_i = \lambda c_i 1_I \omega_{s,i} / \sigma'_i`.
So its matrix is a line in λ,

.. math::
    A(\lambda) = \tilde X^\top \operatorname{diag}(\sigma') \tilde X + \rho
    = A(\tfrac12) + (\lambda - \tfrac12)\, \Delta, \qquad
    V^\top A(\tfrac12) V = 1, \quad V^\top \Delta V = \operatorname{diag}(\delta),

with one V for all trusts. As A is at least half of :math:`A(\tfrac12)` times
:math:`\min(\lambda, 1 - \lambda)` and at most twice that, :math:`|\delta_j| \le 2`. With
:math:`P = \tilde X V`, computed once,

.. math::
    h_i(\lambda) = \sigma'_i \sum_j \frac{P_{ij}^2}{1 + (\lambda - \frac12) \delta_j}, \qquad
    y_i - f_{-i}(x_i) = y_i - y''_i + \frac{y''_i - f(x_i)}{1 - h_i},

where :math:`f_{-i}` is fitted without object i, its label and its teacher's answer. The sums over
objects add up over blocks of rows, so the same two classes serve data larger than memory.

notation: λ = trust, I = privileged, s = teacher, c = sample_weight, ω, ω_s = label_weight,
teacher_weight, ρ = ridge, x̃ = (1, x) or x, V = basis, δ = slopes, τ = share of the teacher,
G = grams
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_choice,
    check_features,
    check_in_unit_interval,
    check_lengths_agree,
    check_mask,
    check_masked_array,
    check_matrix,
    check_nonnegative,
    check_real_array,
    check_sample_weight,
    check_whole_numbers,
)
from kdtheory.least_squares import (
    ROWS,
    LeastSquares,
    RankWarning,
    row_sums,
    weighted_least_squares,
)
from kdtheory.regression import blend, noise_weight

__all__ = [
    "PathSolutions",
    "PathStatistics",
    "PathSums",
    "Rows",
    "TrustPath",
    "checked_rows",
    "require_finite_features",
    "trust_path",
]

Reals = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
FEW = 512  # in the second pass, which has several numbers for each row and trust
SAFE = 1e8  # condition of A up to which the common basis keeps eight digits; beyond it, fit anew
ALONE = 1e-10  # 1 − h below which an object alone holds up a direction
OFFSET = 4.0  # standard deviations from 0 within which a mean is left where it is
TIED = 1e-12  # relative difference of two errors that is rounding


class Rows(NamedTuple):
    """Objects with all that (15) says about them; a chunk of a file, say.

    Attributes
    ----------
    X : (m, n) ndarray or scipy sparse array
    y : (m, p) ndarray
    teacher : (m, p) ndarray
        Finite; any number outside I.
    inside : (m,) ndarray of bool
        I.
    label_weight, teacher_weight : (m,) ndarray
        ω and ω_s, positive.
    sample_weight : (m,) ndarray
        c, at least 0.
    """

    X: Any
    y: Reals
    teacher: Reals
    inside: NDArray[np.bool_]
    label_weight: Reals
    teacher_weight: Reals
    sample_weight: Reals

    def block(self, start: int, stop: int) -> "Rows":
        """Rows start to stop, the features dense and in float64."""
        X = self.X[start:stop]
        if not isinstance(X, np.ndarray):
            X = X.toarray()
        return self._replace(X=X.astype(np.float64, copy=False))._taken(slice(start, stop))

    def _taken(self, of: Any) -> "Rows":
        """The same features with part of everything else."""
        return Rows(
            self.X,
            self.y[of],
            self.teacher[of],
            self.inside[of],
            self.label_weight[of],
            self.teacher_weight[of],
            self.sample_weight[of],
        )


@dataclass(frozen=True, eq=False)
class TrustPath:
    r"""Cross-validation and coefficients along the trust; see `trust_path`.

    Attributes
    ----------
    trusts : (L,) ndarray
        The values of λ, as given.
    loo_error : (L,) ndarray
        Weighted mean square of :math:`y_i - f_{-i}(x_i)`.
    gcv_error : (L,) ndarray
        The same with each leverage replaced by their mean.
    coef : (L, n) or (L, n, p) ndarray
    intercept : (L,) or (L, p) ndarray
    fallbacks : int
        For how many trusts the common basis was not accurate enough and a fit of its own was made.
    """

    trusts: Reals
    loo_error: Reals
    gcv_error: Reals
    coef: Reals
    intercept: Reals
    fallbacks: int = 0

    def best(self, criterion: str = "loo") -> float:
        """Trust of least error, an end of the range perhaps; of equal ones the smallest.

        Parameters
        ----------
        criterion : {"loo", "gcv"}

        Raises
        ------
        ValueError
            If the criterion is another, or infinite for every trust.
        """
        check_choice("criterion", criterion, ("loo", "gcv"))
        error = self.loo_error if criterion == "loo" else self.gcv_error
        least = error.min()
        if not np.isfinite(least):
            msg = (
                f"`criterion` {criterion!r} must be finite for some trust, got {least}: "
                "too few objects for the features"
            )
            raise ValueError(msg)
        return float(self.trusts[error <= least * (1 + TIED)].min())


@dataclass(frozen=True)
class PathSums:
    """Sums over objects along the trust; those of two blocks of rows add up."""

    loo: Reals
    gcv: Reals
    mass: float

    def __add__(self, other: "PathSums") -> "PathSums":
        return PathSums(self.loo + other.loo, self.gcv + other.gcv, self.mass + other.mass)


class PathStatistics:
    r"""First pass over the rows: the sums that fix all coefficients along the trust.

    For each of the three kinds of rows of (15), labels outside I, labels on I, teacher's answers
    on I, with the weights :math:`c\omega, c\omega, c\omega_s`: the Gram matrix of
    :math:`\tilde x` and its products with the targets. With an intercept features and targets are
    measured from an origin amid the data, so that a large offset costs no digits.

    Parameters
    ----------
    n_features, n_outputs : int
    fit_intercept : bool
    """

    _SUMS = ("grams", "crosses", "n_objects", "total_weight")

    def __init__(self, n_features: int, n_outputs: int = 1, *, fit_intercept: bool = False) -> None:
        self.fit_intercept = fit_intercept
        q = n_features + fit_intercept
        self.grams = np.zeros((3, q, q))
        self.crosses = np.zeros((3, q, n_outputs))
        self.n_objects = 0
        self.total_weight = 0.0
        self.origin: tuple[Reals, Reals] | None = None

    def update(self, rows: Rows) -> None:
        """Add rows; the first ones set the origin."""
        n, p = rows.X.shape[1], rows.y.shape[1]
        m = len(rows.y)
        if self.origin is None:
            self.origin = (np.zeros(n), np.zeros(p))
            if self.fit_intercept:
                step = -(-m // ROWS)  # at most ROWS objects, spread over all
                few = rows.X[::step]
                few = few if isinstance(few, np.ndarray) else few.toarray()
                few = few.astype(np.float64, copy=False)
                mean = few.mean(axis=0)
                # a small offset costs no digits, and its subtraction a tenth of the time
                far = np.abs(mean) > OFFSET * few.std(axis=0)
                self.origin = (np.where(far, mean, 0.0), rows.y[::step].mean(axis=0))

        def part(start: int, stop: int) -> tuple[Any, ...]:
            with np.errstate(over="ignore", invalid="ignore"):  # seen in the sums
                return self._added(rows, start, stop)

        found = row_sums(part, m, work=m * (n + p) ** 2)
        for name, part in zip(self._SUMS, found, strict=True):
            setattr(self, name, getattr(self, name) + part)

    def merge(self, other: "PathStatistics") -> None:
        """Add the sums of other rows."""
        if other.origin is None:
            return
        if self.origin is None:
            self.origin = other.origin
        grams, crosses = other.grams, other.crosses
        if self.origin is not other.origin:
            # from (1, x − theirs) and t − theirs to (1, x − ours) and t − ours; without an
            # intercept both origins are 0
            move = np.eye(grams.shape[1])
            if self.fit_intercept:
                move[0, 1:] = other.origin[0] - self.origin[0]
                crosses = crosses + grams[:, :, :1] * (other.origin[1] - self.origin[1])
            grams, crosses = move.T @ grams @ move, move.T @ crosses
        self.grams = self.grams + grams
        self.crosses = self.crosses + crosses
        self.n_objects += other.n_objects
        self.total_weight += other.total_weight

    def _added(self, rows: Rows, start: int, stop: int) -> tuple[Any, ...]:
        """Sums over the rows from start to stop."""
        assert self.origin is not None
        q = self.grams.shape[1]
        grams, crosses = np.zeros_like(self.grams), np.zeros_like(self.crosses)
        counted, weight = 0, 0.0
        room = np.ones((min(ROWS, stop - start), q))
        for first in range(start, stop, ROWS):
            block = rows.block(first, min(first + ROWS, stop))
            buffer, c = room[: len(block.y)], block.sample_weight
            counted += int(np.count_nonzero(c))
            weight += float(c.sum())
            k = int(np.count_nonzero(block.inside))
            features = buffer[:, self.fit_intercept :]
            if 0 < k < len(c):
                # all of I first: then each kind is a range of rows
                order = np.argsort(~block.inside, kind="stable")
                np.take(block.X, order, axis=0, out=features, mode="clip")
                block = block._taken(order)
                c = block.sample_weight
            else:
                features[:] = block.X
            if self.fit_intercept:
                buffer[:, 0] = 1.0
            if self.origin[0].any():
                features -= self.origin[0]
            y, teacher = block.y - self.origin[1], block.teacher - self.origin[1]
            ratio = block.teacher_weight[:k] / block.label_weight[:k]
            proportional = k > 0 and ratio.min() == ratio.max()
            if k > 0 and not proportional:
                root = np.sqrt(c[:k] * block.teacher_weight[:k])[:, None]
                again = buffer[:k] * root
                grams[2] += again.T @ again
                crosses[2] += again.T @ (root * teacher[:k])
            root = np.sqrt(c * block.label_weight)[:, None]
            buffer *= root
            y *= root
            teacher *= root
            for kind, part in ((1, slice(0, k)), (0, slice(k, None))):
                own = buffer[part]
                product = own.T @ own
                grams[kind] += product
                crosses[kind] += own.T @ y[part]
                if kind == 1 and proportional:
                    grams[2] += ratio[0] * product
                    crosses[2] += ratio[0] * (own.T @ teacher[part])
        return grams, crosses, counted, weight

    def solutions(
        self, trusts: Reals, *, ridge: float = 0.0, weights_kind: str = "precision"
    ) -> "PathSolutions":
        """Coefficients for all trusts, and what the second pass needs."""
        return PathSolutions(self, trusts, ridge=ridge, weights_kind=weights_kind)


class PathSolutions:
    """Coefficients along the trust in a basis common to all, and the second pass over the rows.

    Parameters
    ----------
    statistics : PathStatistics
        Sums over all rows.
    trusts : (L,) ndarray
    ridge : float
    weights_kind : {"precision", "frequency"}

    Attributes
    ----------
    safe : (L,) ndarray of bool
        Where A is well enough conditioned for the common basis. Elsewhere the errors and the
        coefficients are NaN.
    """

    def __init__(
        self, statistics: PathStatistics, trusts: Reals, *, ridge: float, weights_kind: str
    ) -> None:
        assert statistics.origin is not None
        self.trusts = trusts
        self.origin = statistics.origin
        self.fit_intercept = statistics.fit_intercept
        self.weights_kind = weights_kind
        out, labels, answers = statistics.grams
        cross_out, cross_labels, cross_answers = statistics.crosses
        q = len(out)
        penalised = np.ones(q)
        penalised[: self.fit_intercept] = 0.0

        # the middle of the range sees every direction that any other trust sees
        A = out + (labels + answers) / 2
        A[np.diag_indices(q)] += ridge * penalised
        regular = bool(np.isfinite(A).all())
        if not regular:
            A = np.eye(q)
        slope = answers - labels
        unit = np.sqrt(A.diagonal())
        unit[unit == 0] = 1.0
        values, vectors = np.linalg.eigh(A / unit[:, None] / unit)
        regular = values[0] * SAFE > values[-1]
        if not regular:
            values, vectors = np.ones(q), np.zeros((q, q))
        V = vectors / np.sqrt(values) / unit[:, None]
        slopes, rotation = np.linalg.eigh(V.T @ slope @ V)
        self.V = V = V @ rotation
        away = trusts - 0.5
        scale = 1 + away[:, None] * slopes  # (L, q), eigenvalues of A(λ) beside those of A(½)
        self.safe = regular & (
            values[0] * scale.min(axis=1) * SAFE > values[-1] * scale.max(axis=1)
        )
        scale = np.where(self.safe[:, None], scale, 1.0)

        right = cross_out + (cross_labels + cross_answers) / 2
        self.middle = V @ (V.T @ right)  # (q, p), the solution at λ = ½
        # A(λ)⁻¹ of the gradient there, which is (λ − ½) times a constant
        pull = V.T @ (cross_answers - cross_labels - slope @ self.middle)
        steps = away[:, None, None] * pull / scale[:, :, None]  # (L, q, p)
        self.parameters = self.middle + V @ steps
        freedom = q - ridge * (penalised @ V**2 / scale).sum(axis=1)
        objects = statistics.n_objects if weights_kind == "precision" else statistics.total_weight
        self.mean_leverage = freedom / objects
        self.projection = np.ascontiguousarray(np.hstack([V, self.middle]).T)
        # smooth in λ: few vectors carry these (L, q)
        self.leverage_factors = _compressed(1 / scale)
        self.step_factors = [_compressed(steps[:, :, k]) for k in range(steps.shape[2])]

    def sums(self, rows: Rows) -> PathSums:
        """Sums of squared errors over these rows."""

        def part(start: int, stop: int) -> tuple[PathSums]:
            total = PathSums(np.zeros(len(self.trusts)), np.zeros(len(self.trusts)), 0.0)
            room = _Room(self, min(FEW, stop - start))
            for first in range(start, stop, FEW):
                total += self._block_sums(rows.block(first, min(first + FEW, stop)), room)
            return (total,)

        m = len(rows.y)
        total: PathSums = row_sums(part, m, work=m * len(self.V) ** 2)[0]
        return total

    def _block_sums(self, block: Rows, room: "_Room") -> PathSums:
        q, m = len(self.V), len(block.y)
        X = block.X
        if self.origin[0].any():
            X = np.subtract(X, self.origin[0], out=room.features[:m])
        image = np.matmul(self.projection[:, self.fit_intercept :], X.T, out=room.image[:, :m])
        if self.fit_intercept:
            image += self.projection[:, :1]
        P, baseline = image[:q], image[q:]
        labels = (block.y - self.origin[1]).T - baseline
        answers = (block.teacher - block.y).T
        steps = [(left, right @ P) for left, right in self.step_factors]
        left, right = self.leverage_factors
        thin = right @ np.square(P, out=P)
        if self.weights_kind == "precision":
            thin *= block.sample_weight
        inside = block.inside
        ratio = (block.teacher_weight / block.label_weight)[inside]
        if ratio.size and ratio.min() < ratio.max():
            return _error_sums(
                block, self.trusts, left @ thin, self.mean_leverage, labels, answers,
                [left @ right for left, right in steps],
            )  # fmt: skip
        # noises in one proportion: few rows of numbers carry all trusts
        rho = ratio[0] if ratio.size else 1.0
        gain = 1 - self.trusts + self.trusts * rho
        share = self.trusts * rho / gain
        thin *= block.label_weight
        on_I = inside.astype(np.float64)  # a boolean factor would be slow
        outside = 1 - on_I
        kept = np.matmul(
            np.hstack([np.ones((len(gain), 1)), -left, -gain[:, None] * left]),
            np.vstack([np.ones((1, m)), thin * outside, thin * on_I]),
            out=room.kept[:, :m],
        )
        lost = _alone(kept, block.sample_weight)
        saturated, mean_kept = _mean_kept(self.mean_leverage)
        mass = block.sample_weight * block.label_weight
        loo, gcv = np.zeros(len(gain)), np.zeros(len(gain))
        for label, answer, (left, right) in zip(labels, answers, steps, strict=True):
            moved = answer * on_I
            parts = np.vstack([label, moved, right])
            factor = np.column_stack([np.ones(len(gain)), share, -left])  # of y″ − f
            error = np.matmul(factor, parts, out=room.error[:, :m])
            error /= kept
            if inside.any():
                error -= np.multiply(share[:, None], moved, out=room.moved[:, :m])
            loo += np.square(error, out=error) @ mass
            factor /= mean_kept[:, None]
            factor[:, 1] -= share
            gcv += np.einsum("lj,lj->l", factor @ (parts * mass @ parts.T), factor)
        return _path_sums(loo, gcv, lost, saturated, mass, len(steps))

    def path(self, sums: PathSums) -> TrustPath:
        """The path, outputs in the last axis, from sums over all rows."""
        lost = ~self.safe
        intercept = np.zeros((len(self.trusts), self.middle.shape[1]))
        coef = self.parameters[:, self.fit_intercept :]
        if self.fit_intercept:
            intercept = self.parameters[:, 0] + self.origin[1] - self.origin[0] @ coef
        loo, gcv = sums.loo / sums.mass, sums.gcv / sums.mass
        for array in (loo, gcv, coef, intercept):
            array[lost] = np.nan
        return TrustPath(self.trusts, loo, gcv, coef, intercept)


def trust_path(
    X: Any,
    y: ArrayLike,
    teacher: ArrayLike,
    *,
    privileged: ArrayLike | None = None,
    trusts: ArrayLike | None = None,
    sigma: ArrayLike = 1.0,
    sigma_teacher: ArrayLike = 1.0,
    convention: str = "precision",
    sample_weight: ArrayLike | None = None,
    ridge: float = 0.0,
    fit_intercept: bool = False,
    weights_kind: str = "precision",
) -> TrustPath:
    r"""Leave-one-out and generalised cross-validation of (15) along the trust, in closed form.

    .. math:: \mathrm{LOO}(\lambda) = \sum_i \mu_i\, (y_i - f_{-i}(x_i))^2, \qquad
        \mu_i = c_i \omega_i \Big/ \sum_k c_k \omega_k,

    where :math:`f_{-i}` is the fit without object i, that is, without its label and without its
    teacher's answer. The error is that of labels, whatever the trust. GCV replaces each leverage
    :math:`h_i` by their mean over the objects of positive weight; at λ = 0, without sample
    weights and with equal noises, that is the classical GCV of the labels. With p outputs it is
    the mean over them.

    The cost is two passes over X for all trusts together. Matrices of n × n numbers are formed,
    also for a sparse X.

    Parameters
    ----------
    X : (m, n) array_like or scipy sparse array
        Features.
    y : (m,) or (m, p) array_like
        True answers.
    teacher : (m,) or (m, p) array_like
        Teacher's answers s; rows outside `privileged` are ignored and may be NaN.
    privileged : (m,) array_like of bool, optional
        I, by default all.
    trusts : (L,) array_like, optional
        Values of λ in [0, 1]; by default 0, 0.02, …, 1.
    sigma, sigma_teacher : float or (m,) array_like, default 1
        Noise of the labels and of the teacher's answers, finite and positive.
    convention : {"precision", "printed"}, default "precision"
        ω = 1/σ² or, as (15) is printed, ω = σ².
    sample_weight : (m,) array_like, optional
        c, at least 0. An object of weight 0 counts for nothing.
    ridge : float, default 0
        Penalty of :math:`\|w\|^2`, at least 0. The intercept is not penalised.
    fit_intercept : bool, default False
    weights_kind : {"precision", "frequency"}, default "precision"
        What c is: a factor of the precision of one object, left out as a whole; or the whole
        number of equal objects in the row, of which one is left out.

    Returns
    -------
    TrustPath
        `TrustPath.best` gives the trust.

    Raises
    ------
    ValueError
        If a shape, a length, a range or a name is wrong, if X, y, or the teacher on I is not
        finite, or if a frequency is not a whole number.
    TypeError
        If an array is not made of real numbers, or the mask is not boolean.

    Warns
    -----
    RankWarning
        Once, if the columns of X are linearly dependent for some trust. The fit of least norm is
        then taken there, as by `distil_regression`.

    Notes
    -----
    An object with :math:`h_i = 1` holds up a direction alone: without it the prediction of its
    label is not determined, and ``loo_error`` is infinite for that trust. Likewise ``gcv_error``
    if the mean leverage is 1.

    If all objects are privileged and the two noises are equal, the leverages do not depend on the
    trust, and ``loo_error`` is a parabola in λ.

    The teacher's answers are taken as they are. A teacher that was fitted to these very labels
    has seen :math:`y_i`, and tells of it through its answers to other objects: the error is then
    too small, the more so the larger λ. (If it repeats the student's own fit f, the coefficients
    do not depend on λ, but :math:`y_i - f_{-i}(x_i) = (y_i - f(x_i))(1 - \lambda h_i)/(1 - h_i)`
    for equal noises.) Take answers that were made without the object, by cross-fitting.

    References
    ----------
    .. [1] GS (15)-(17).
    .. [2] G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for
       choosing a good ridge parameter", Technometrics 21 (1979).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 20))
    >>> truth = X.sum(axis=1)
    >>> path = trust_path(X, truth + 3 * rng.standard_normal(60), truth)
    >>> path.best(), path.coef.shape
    (0.74, (51, 20))
    """
    rows, flat = checked_rows(
        X, y, teacher, privileged, sigma, sigma_teacher, convention, sample_weight
    )
    grid = np.linspace(0.0, 1.0, 51) if trusts is None else _checked_trusts(trusts)
    rho = check_nonnegative("ridge", ridge)
    check_choice("weights_kind", weights_kind, ("precision", "frequency"))
    if weights_kind == "frequency":
        check_whole_numbers("sample_weight", rows.sample_weight)

    statistics = PathStatistics(rows.X.shape[1], rows.y.shape[1], fit_intercept=fit_intercept)
    statistics.update(rows)
    require_finite_features(rows.X, statistics)
    solutions = statistics.solutions(grid, ridge=rho, weights_kind=weights_kind)
    path = solutions.path(solutions.sums(rows))
    lost = np.flatnonzero(~solutions.safe)
    dependent = 0
    for at in lost:
        sums, solution = _own_fit(rows, grid[at], rho, fit_intercept, weights_kind)
        path.loo_error[at] = sums.loo[0] / sums.mass
        path.gcv_error[at] = sums.gcv[0] / sums.mass
        path.coef[at], path.intercept[at] = solution.coef, solution.intercept
        dependent += solution.rank < rows.X.shape[1]
    if dependent:
        msg = (
            f"`X` must have linearly independent columns for one solution, got dependent ones for "
            f"{dependent} of {len(grid)} trusts: the solution of least norm is taken there"
        )
        warnings.warn(msg, RankWarning, stacklevel=2)
    coef, intercept = path.coef, path.intercept
    if flat:
        coef, intercept = coef[:, :, 0], intercept[:, 0]
    return TrustPath(grid, path.loo_error, path.gcv_error, coef, intercept, len(lost))


def checked_rows(
    X: Any,
    y: ArrayLike,
    teacher: ArrayLike,
    privileged: ArrayLike | None,
    sigma: ArrayLike,
    sigma_teacher: ArrayLike,
    convention: str,
    sample_weight: ArrayLike | None,
) -> tuple[Rows, bool]:
    r"""What (15) says about the objects, each argument checked and brought to one form.

    That X is finite is left to `require_finite_features`, since a pass for it alone would cost a
    fifth of a fit.

    Parameters
    ----------
    X, y, teacher, privileged, sigma, sigma_teacher, convention, sample_weight
        As in `trust_path`.

    Returns
    -------
    rows : Rows
        Answers with an axis of outputs, a number for each object in all else; X dense, or sparse
        by rows.
    flat : bool
        Whether y was given without that axis.

    Raises
    ------
    ValueError, TypeError
        As `trust_path`.
    """
    design = check_features("X", X)
    labels = check_real_array("y", y).astype(np.float64, copy=False)
    if labels.ndim not in (1, 2) or labels.size == 0:
        msg = f"`y` must have shape (m,) or (m, p) with p at least 1, got shape {labels.shape}"
        raise ValueError(msg)
    m = design.shape[0]
    check_lengths_agree(X=range(m), y=labels)
    inside = check_mask("privileged", privileged, m)
    answers = check_masked_array("teacher", teacher, inside, shape=labels.shape)
    omega = noise_weight("sigma", sigma, m, convention)
    omega_teacher = noise_weight("sigma_teacher", sigma_teacher, m, convention)
    c = check_sample_weight("sample_weight", sample_weight, m)
    rows = Rows(
        design,
        labels.reshape(m, -1),
        answers.astype(np.float64, copy=False).reshape(m, -1),
        inside,
        np.broadcast_to(omega, (m,)),
        np.broadcast_to(omega_teacher, (m,)),
        c,
    )
    return rows, labels.ndim == 1


def require_finite_features(X: Any, statistics: PathStatistics) -> None:
    """Refuse features of which the first pass has made sums that are not finite.

    Parameters
    ----------
    X : (m, n) ndarray or scipy sparse array
        Features, all of the rows that were added.
    statistics : PathStatistics
        Sums over them.

    Raises
    ------
    ValueError
        If an entry of X is not finite; it is named, with its place. If all are, but a sum of
        their squares is not.
    """
    if not (np.isfinite(statistics.grams).all() and np.isfinite(statistics.crosses).all()):
        if isinstance(X, np.ndarray):
            check_matrix("X", X)
        msg = "`X` must have squares in the range of a double, got entries that are too large"
        raise ValueError(msg)


def _checked_trusts(trusts: ArrayLike) -> Reals:
    grid = check_real_array("trusts", trusts, ndim=1).astype(np.float64)
    if grid.size == 0:
        msg = "`trusts` must have at least one entry, got shape (0,)"
        raise ValueError(msg)
    for trust in (grid.min(), grid.max()):
        check_in_unit_interval("trusts", trust)
    return grid


def _own_fit(
    rows: Rows, trust: float, ridge: float, fit_intercept: bool, weights_kind: str
) -> tuple[PathSums, LeastSquares]:
    """Errors at one trust from a fit of its own, with every care of `weighted_least_squares`."""
    c = rows.sample_weight
    precision, targets = blend(
        rows.y, rows.teacher, rows.inside, trust, rows.label_weight, rows.teacher_weight
    )
    weights = c * precision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)  # given once, by the caller
        solution = weighted_least_squares(
            rows.X, targets, weights, ridge=ridge, fit_intercept=fit_intercept
        )
    leverage = solution.leverages(rows.X, np.ones(len(c)))
    whole = weights_kind == "precision"
    objects = np.count_nonzero(c) if whole else c.sum()
    fitted = rows.X @ solution.coef + solution.intercept
    sums = _error_sums(
        rows,
        np.array([trust]),
        (c * leverage if whole else leverage)[None, :],
        np.array([weights @ leverage / objects]),
        (rows.y - fitted).T,
        (rows.teacher - rows.y).T,
        [np.zeros((1, len(c)))] * rows.y.shape[1],
    )
    return sums, solution


class _Room:
    """Arrays that every block of rows fills anew: making new ones would take half of the time."""

    def __init__(self, solutions: PathSolutions, m: int) -> None:
        self.features = np.empty((m, len(solutions.origin[0])))
        self.image = np.empty((len(solutions.projection), m))
        self.kept, self.error, self.moved = np.empty((3, len(solutions.trusts), m))


def _error_sums(
    block: Rows,
    trusts: Reals,
    leverage: Reals,
    mean_leverage: Reals,
    labels: Reals,
    answers: Reals,
    fitted: list[Reals],
) -> PathSums:
    """Sums of squared errors over a block of rows, for all trusts.

    `leverage` (L, rows) is x̃ᵀA⁻¹x̃, times c if the row is left out as a whole; `labels` and
    `answers` (p, rows) are y less the fit at a common point and s − y; `fitted`, for each output
    (L, rows), is what the fit adds to that.
    """
    inside, omega = block.inside, block.label_weight
    # sums of products that are not negative: a difference would lose ω_s beside ω
    share = np.where(inside, block.teacher_weight, 0.0) * trusts[:, None]
    precision = np.where(inside, omega, 0.0) * (1 - trusts)[:, None]
    precision += np.where(inside, 0.0, omega)
    precision += share
    share /= precision
    precision *= leverage
    kept = np.subtract(1.0, precision, out=precision)
    lost = _alone(kept, block.sample_weight)
    saturated, mean_kept = _mean_kept(mean_leverage)
    mass = block.sample_weight * omega
    loo, gcv = np.zeros(len(trusts)), np.zeros(len(trusts))
    for label, answer, step in zip(labels, answers, fitted, strict=True):
        moved = share * answer  # y″ − y
        residual = moved + label
        residual -= step
        error = residual / mean_kept[:, None]
        error -= moved
        gcv += np.square(error, out=error) @ mass
        residual /= kept
        residual -= moved
        loo += np.square(residual, out=residual) @ mass
    return _path_sums(loo, gcv, lost, saturated, mass, len(fitted))


def _alone(kept: Reals, sample_weight: Reals) -> NDArray[np.bool_]:
    """For which trusts some object has 1 − h = 0; such numbers are replaced by 1."""
    lost = np.zeros(len(kept), dtype=bool)
    if kept.min() <= ALONE:
        alone = kept <= ALONE
        kept[alone] = 1.0
        lost |= (alone & (sample_weight > 0)).any(axis=1)
    return lost


def _mean_kept(mean_leverage: Reals) -> tuple[NDArray[np.bool_], Reals]:
    saturated = mean_leverage >= 1 - ALONE
    return saturated, 1 - np.where(saturated, 0.0, mean_leverage)


def _path_sums(
    loo: Reals,
    gcv: Reals,
    lost: NDArray[np.bool_],
    saturated: NDArray[np.bool_],
    mass: Reals,
    n_outputs: int,
) -> PathSums:
    return PathSums(
        np.where(lost, np.inf, loo), np.where(saturated, np.inf, gcv), float(mass.sum()) * n_outputs
    )


def _compressed(matrix: Reals) -> tuple[Reals, Reals]:
    """Factors of a matrix, as thin as rounding allows."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    rank = max(1, int(np.count_nonzero(values > EPS * values[0])))
    return left[:, :rank] * values[:rank], right[:rank]
