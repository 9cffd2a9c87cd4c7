r"""Trust from data: cross-validation along the trust, in closed form.

**Leaving one object out.** The problem GS (15) with trust λ is least squares with the weights
:math:`\sigma'_i = c_i[\omega_i - \lambda 1_I(i)(\omega_i - \omega_{s,i})]` and the targets
:math:`y''_i = y_i + \tau_i (s_i - y_i)`, :math:`\tau_i = \lambda c_i 1_I \omega_{s,i} / \sigma'_i`.
So its matrix is a line in λ,

.. math::
    A(\lambda) = \tilde X^\top \operatorname{diag}(\sigma') \tilde X + \rho
    = A(\tfrac12) + (\lambda - \tfrac12)\, \Delta, \qquad
    V^\top A(\tfrac12) V = 1, \quad V^\top \Delta V = \operatorname{diag}(\delta),

with one V for all trusts. As :math:`0 \le A(\lambda) \le 2 A(\tfrac12)` at both ends of [0, 1],
:math:`|\delta_j| \le 2`. With :math:`P = \tilde X V`, computed once,

.. math::
    h_i(\lambda) = \sigma'_i \sum_j \frac{P_{ij}^2}{1 + (\lambda - \frac12) \delta_j}, \qquad
    y_i - f_{-i}(x_i) = \frac{y_i - f(x_i) + h_i (y''_i - y_i)}{1 - h_i},

where :math:`f_{-i}` is fitted without object i, its label and its teacher's answer. The sums over
objects add up over blocks of rows, so the same two classes serve data larger than memory.

notation: λ = trust, I = privileged, s = teacher, c = sample_weight, ω, ω_s = label_precision,
teacher_precision, ρ = ridge, x̃ = (1, x) or x, V = basis, δ = slopes, τ = share of the teacher,
f = fit, h̄ = mean_leverage, G = grams
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_answers,
    check_choice,
    check_features,
    check_flag,
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
from kdtheory.regression import ALONE, blend, noise_weight

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
WEIGHTS_KINDS = ("precision", "frequency")  # what a sample weight is
FEW = 1024  # rows of a block in the second pass, with several numbers for each row and trust
SAFE = 1e8  # condition of A up to which the common basis keeps eight digits; beyond it, fit anew
OFFSET = 4.0  # standard deviations from 0 within which a mean is left where it is
TINY = 1e-290  # below it a reciprocal may be out of range
TIED = 1e-12  # relative difference of two errors that is rounding


class Rows(NamedTuple):
    """Objects with all that (15) says about them; a chunk of a file, say.

    Attributes
    ----------
    X : (m, n) ndarray or scipy sparse array
    y : (m, p) ndarray
    teacher : (m, p) ndarray
        Finite; any number outside I.
    privileged : (m,) ndarray of bool
        I.
    label_precision, teacher_precision : (m,) ndarray
        ω and ω_s, without c, positive.
    sample_weight : (m,) ndarray
        c, at least 0.
    """

    X: Any
    y: Reals
    teacher: Reals
    privileged: NDArray[np.bool_]
    label_precision: Reals
    teacher_precision: Reals
    sample_weight: Reals

    def block(self, start: int, stop: int) -> "Rows":
        """Rows start to stop, the features dense and in float64, zeros in rows of weight 0."""
        X = self.X[start:stop]
        if not isinstance(X, np.ndarray):
            X = X.toarray()
        X = X.astype(np.float64, copy=False)
        block = self._replace(X=X)._taken(slice(start, stop))
        present = block.sample_weight > 0
        if present.all():
            return block
        # numbers of any size would overflow; a product leaves what is not finite to be found
        kept = present[:, None]
        with np.errstate(invalid="ignore"):
            return block._replace(X=X * kept, y=block.y * kept, teacher=block.teacher * kept)

    def _taken(self, of: Any) -> "Rows":
        """The same features with part of everything else."""
        return Rows(
            self.X,
            self.y[of],
            self.teacher[of],
            self.privileged[of],
            self.label_precision[of],
            self.teacher_precision[of],
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
        self.fit_intercept = check_flag("fit_intercept", fit_intercept)
        q = n_features + self.fit_intercept
        self.grams = np.zeros((3, q, q))
        self.crosses = np.zeros((3, q, n_outputs))
        self.n_objects = 0
        self.total_weight = 0.0
        self.origin: tuple[Reals, Reals] | None = None

    def update(self, rows: Rows) -> None:
        """Add rows; the first ones of positive weight set the origin."""
        n, p = rows.X.shape[1], rows.y.shape[1]
        m = len(rows.y)
        if self.origin is None:
            present = np.flatnonzero(rows.sample_weight)
            if not present.size:
                return
            self.origin = (np.zeros(n), np.zeros(p))
            if self.fit_intercept:
                sample = present[:: -(-len(present) // ROWS)]  # at most ROWS, spread over all
                few = rows.X[sample]
                few = few if isinstance(few, np.ndarray) else few.toarray()
                few = few.astype(np.float64, copy=False)
                with np.errstate(over="ignore", invalid="ignore"):  # seen in the sums
                    mean = few.mean(axis=0)
                    # a small offset costs no digits, and its subtraction a tenth of the time
                    far = np.abs(mean) > OFFSET * few.std(axis=0)
                self.origin = (np.where(far, mean, 0.0), rows.y[sample].mean(axis=0))

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
        n, lead = rows.X.shape[1], int(self.fit_intercept)
        # of x xᵀ, of x (1, t)ᵀ and of 1 (1, t)ᵀ: a column of ones in X would cost a tenth
        inner, moments = np.zeros((3, n, n)), np.zeros((3, n, lead + rows.y.shape[1]))
        tops = np.zeros((3, lead, moments.shape[2]))
        counted, weight = 0, 0.0
        sorted_room, scaled_room = np.empty((2, min(ROWS, stop - start), n))
        for first in range(start, stop, ROWS):
            block = rows.block(first, min(first + ROWS, stop))
            m, X = len(block.y), block.X
            counted += int(np.count_nonzero(block.sample_weight))
            weight += float(block.sample_weight.sum())
            k = int(np.count_nonzero(block.privileged))
            if 0 < k < m:
                # all of I first: then each kind is a range of rows
                order = np.argsort(~block.privileged, kind="stable")
                X = np.take(X, order, axis=0, out=sorted_room[:m], mode="clip")
                block = block._taken(order)
            if self.origin[0].any():
                X = np.subtract(X, self.origin[0], out=sorted_room[:m])
            ones, c = np.ones((m, lead)), block.sample_weight
            labels = np.hstack([ones, block.y - self.origin[1]])
            answers = np.hstack([ones, block.teacher - self.origin[1]])
            ratio = block.teacher_precision[:k] / block.label_precision[:k]
            proportional = k > 0 and ratio.min() == ratio.max()
            of_label, of_teacher = c * block.label_precision, c * block.teacher_precision
            own, root, factor, product = X, np.ones((m, 1)), 1.0, inner[0]
            for kind, part, weights, targets in (
                (0, slice(k, None), of_label, labels),
                (1, slice(0, k), of_label, labels),
                (2, slice(0, k), of_teacher, answers),
            ):
                w, t = weights[part, None], targets[part]
                if not w.size:
                    continue
                if kind == 2 and proportional:
                    factor *= ratio[0]
                else:
                    own, root, factor = _rooted(X[part], w, scaled_room)
                    product = own.T @ own
                inner[kind] += factor * product
                moments[kind] += factor * (own.T @ (root * t))
                tops[kind] += t[:, :lead].T @ (w * t)
        grams, crosses = np.empty_like(self.grams), np.empty_like(self.crosses)
        grams[:, :lead, :lead], grams[:, lead:, lead:] = tops[:, :, :lead], inner
        grams[:, lead:, :lead] = moments[:, :, :lead]
        grams[:, :lead, lead:] = moments[:, :, :lead].transpose(0, 2, 1)
        crosses[:, :lead], crosses[:, lead:] = tops[:, :, lead:], moments[:, :, lead:]
        return grams, crosses, counted, weight

    def solutions(
        self, trusts: Reals, *, ridge: float = 0.0, weights_kind: str = "precision"
    ) -> "PathSolutions":
        """Coefficients for all trusts, and what the second pass needs.

        Raises
        ------
        ValueError
            If the sums are not finite.
        """
        require_finite_features(None, self)
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
        self.saturated, self.mean_kept = _mean_kept(self.mean_leverage)
        # h̄(y″ − y) = (s − y) / ((1 − λ)/(λh̄) ω/ω_s + 1/h̄), or 0 where λh̄ is
        mean_pull = self.mean_leverage * trusts
        self.not_pulled = np.flatnonzero(mean_pull <= TINY)
        mean_pull[self.not_pulled] = 1.0
        self.pull_factor = np.stack([1 - trusts, trusts], axis=1) / mean_pull[:, None]

        # smooth in λ: few vectors carry 1 / scale and the steps; `image` is their product with x
        lam = trusts[:, None]
        left, self.spread_vectors = _compressed(1 / scale)
        self.kept_factor = np.hstack([np.ones_like(lam), (lam - 1) * left, -lam * left])
        columns, self.fit_factors = [V], []
        for k in range(steps.shape[2]):
            of_step, vectors = _compressed(steps[:, :, k])
            columns += [self.middle[:, k : k + 1], V @ vectors.T]
            self.fit_factors.append(np.hstack([np.ones_like(lam), -of_step]))
        self.error_factors = [np.hstack([factor, lam * left]) for factor in self.fit_factors]
        self.constants = np.zeros((0, 1))
        if self.fit_intercept:
            # (Vᵀx + v)² = (Vᵀx)² + 2v Vᵀx + v²: the last two need few rows, a sum of all would
            # take a tenth of the time
            v = V[0]
            columns.append(V @ (2 * v * self.spread_vectors).T)
            self.constants = np.hstack(columns)[0, q:, None]
            self.constants[-len(self.spread_vectors) :] = self.spread_vectors @ v[:, None] ** 2
        self.projection = np.ascontiguousarray(np.hstack(columns)[self.fit_intercept :].T)

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
        image = np.matmul(self.projection, X.T, out=room.image[:, :m])
        # left @ spread would be x̃ᵀA⁻¹x̃ for all trusts
        spread = self.spread_vectors @ np.square(image[:q], out=image[:q])
        if self.fit_intercept:
            image[q:] += self.constants
            spread += image[-len(spread) :]
        c, omega, inside = block.sample_weight, block.label_precision, block.privileged
        if self.weights_kind == "precision":
            spread *= c
        # σ′ is (1 − λ)ω + λω outside I: sums of products that are not negative, since a difference
        # would lose ω_s beside ω
        other = np.where(inside, block.teacher_precision, omega)
        of_teacher = other * spread
        kept = np.matmul(
            self.kept_factor,
            np.concatenate([np.ones((1, m)), omega * spread, of_teacher]),
            out=room.kept[:, :m],
        )
        lost = _alone(kept, c)
        mass = c * omega
        loo, gcv = np.zeros(len(self.trusts)), np.zeros(len(self.trusts))
        on_I = inside.astype(np.float64)  # a boolean factor would be slow
        ratio = (omega / other)[inside]
        proportional = not ratio.size or ratio.min() == ratio.max()
        if proportional:
            pull = self.pull_factor @ [ratio[0] if ratio.size else 1.0, 1.0]
            mean_share = 1 / pull[:, None]
            mean_share[self.not_pulled] = 0.0
        first = q
        for k, (fit, factor) in enumerate(zip(self.fit_factors, self.error_factors, strict=True)):
            residual = image[first : first + fit.shape[1]]
            first += len(residual)
            np.subtract(block.y[:, k] - self.origin[1][k], residual[0], out=residual[0])
            moved = (block.teacher[:, k] - block.y[:, k]) * on_I
            # y − f_{-i} = (y − f + h(y″ − y)) / (1 − h), without cancellation of y″
            error = np.matmul(
                factor, np.concatenate([residual, of_teacher * moved]), out=room.error[:, :m]
            )
            error /= kept
            loo += np.square(error, out=error) @ mass
            if proportional:
                np.matmul(np.hstack([fit, mean_share]), np.vstack([residual, moved]), out=error)
            else:
                np.matmul(fit, residual, out=error)
                pull = np.matmul(
                    self.pull_factor, np.stack([omega / other, np.ones(m)]), out=room.pull[:, :m]
                )
                np.divide(moved, pull, out=pull)
                pull[self.not_pulled] = 0.0
                error += pull
            gcv += np.square(error, out=error) @ mass
        loo[lost] = np.inf
        gcv = np.where(self.saturated, np.inf, gcv / self.mean_kept**2)
        return PathSums(loo, gcv, float(mass.sum()) * len(self.fit_factors))

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
    check_choice("weights_kind", weights_kind, WEIGHTS_KINDS)
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
    labels = check_answers("y", y)
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
    X : (m, n) ndarray or scipy sparse array, or None
        Features, all of the rows that were added, if they are at hand.
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
        rows.y, rows.teacher, rows.privileged, trust, rows.label_precision, rows.teacher_precision
    )
    weights = c * precision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)  # given once, by the caller
        solution = weighted_least_squares(
            rows.X, targets, weights, ridge=ridge, fit_intercept=fit_intercept
        )
    present = c > 0  # other rows may be of any size
    leverage = solution.leverages(rows.X, present.astype(np.float64))
    whole = weights_kind == "precision"
    objects = np.count_nonzero(c) if whole else c.sum()
    kept = 1 - (weights if whole else precision) * leverage
    lost = _alone(kept[None, :], c)
    saturated, mean_kept = _mean_kept(np.array([weights @ leverage / objects]))
    mass = c * rows.label_precision
    residuals = np.where(present[:, None], targets - solution.predictions(rows.X), 0.0)
    moved = np.where(present[:, None], targets - rows.y, 0.0)
    loo, gcv = (
        np.array([(mass @ (residuals / left - moved) ** 2).sum()])
        for left in (kept[:, None], mean_kept)
    )
    loo, gcv = np.where(lost, np.inf, loo), np.where(saturated, np.inf, gcv)
    return PathSums(loo, gcv, float(mass.sum()) * rows.y.shape[1]), solution


def _rooted(X: Reals, weights: Reals, room: Reals) -> tuple[Reals, Reals, float]:
    """√w X, √w and 1; or, for equal weights, X, ones and w, since that needs no pass over X."""
    if (weights == weights[0]).all():
        return X, np.ones_like(weights), float(weights[0, 0])
    root = np.sqrt(weights)
    return np.multiply(X, root, out=room[: len(X)]), root, 1.0


class _Room:
    """Arrays that every block of rows fills anew: making new ones would take half of the time."""

    def __init__(self, solutions: PathSolutions, m: int) -> None:
        self.features = np.empty((m, len(solutions.origin[0])))
        self.image = np.empty((len(solutions.projection), m))
        self.kept, self.error, self.pull = np.empty((3, len(solutions.trusts), m))


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


def _compressed(matrix: Reals) -> tuple[Reals, Reals]:
    """Factors of a matrix, as thin as rounding allows."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    rank = max(1, int(np.count_nonzero(values > EPS * values[0])))
    return left[:, :rank] * values[:rank], right[:rank]
