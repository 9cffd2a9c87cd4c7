r"""Distilled regression from data that are never in memory at once.

For noises that are the same for all objects and sample weights :math:`c_i`, everything that the
problem GS (15) needs from the data is two upper triangular factors,

.. math::
    \sqrt{c} \circ [1, X, y, s]_I = Q_I R_I, \qquad
    \sqrt{c} \circ [1, X, y]_{\bar I} = Q_{\bar I} R_{\bar I},

one of the objects with a teacher's answer, one of those without. For every trust λ, every pair of
noise levels, both conventions and every ridge, the sum of squares (15) is that of the few rows

.. math::
    \sqrt{(1 - \lambda) \omega}\, R_I[1, X, y], \quad \sqrt{\lambda \omega_s}\, R_I[1, X, s], \quad
    \sqrt{\omega}\, R_{\bar I}[1, X, y],

so the trust is chosen after the data have gone. The factors are updated by QR, block by block, and
merged by QR, in any order: nothing is ever squared, and the accuracy is that of QR on all the rows.
Features that are far from 0 beside their spread enter as :math:`X - o`, with an origin o amid the
first rows: as a triangle :math:`R[1, X] = R[1, X - o] + R[1]\, (0, o)`, it may be moved later.

notation: λ = trust, I = privileged, s = teacher, c = sample_weight, ω, ω_s = label_precision,
teacher_precision, R_I, R_Ī = inside, outside, o = origin, σ′_I = (1 − λ)ω + λω_s
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_choice,
    check_count,
    check_flag,
    check_in_unit_interval,
    check_mask,
    check_masked_array,
    check_matrix,
    check_nonnegative,
    check_number_between,
    check_positive,
    check_real_array,
    check_sample_weight,
    check_whole_numbers,
)
from kdtheory.inference import HALF_OF_THE_DIGITS, InferenceSums, inference_sums
from kdtheory.least_squares import LeastSquares, row_sums, weighted_least_squares
from kdtheory.regression import ORTHOGONAL, blend, noise_weight
from kdtheory.selection import WEIGHTS_KINDS

__all__ = [
    "DistilledFactors",
    "DistilledSolution",
    "ResidualMoments",
    "distil_blocks",
]

Reals = NDArray[np.float64]

EPS = float(np.finfo(np.float64).eps)
TALL = 512  # rows of one small QR: with 50 columns they fit the second level of the cache
BATCH = 8  # small QRs between two merges
FEW = 2048  # rows that set the origin


@dataclass(frozen=True)
class ResidualMoments:
    r"""Sums over the objects of products of the residuals :math:`e_y = y - f`, :math:`e_s = s - f`.

    Each of shape () or, for p outputs, (p,).

    Attributes
    ----------
    label, cross, teacher : ndarray of float64
        :math:`\sum_I c\, e_y^2`, :math:`\sum_I c\, e_y e_s` and :math:`\sum_I c\, e_s^2`.
    outside : ndarray of float64
        :math:`\sum_{\bar I} c\, e_y^2`.
    """

    label: Reals
    cross: Reals
    teacher: Reals
    outside: Reals


@dataclass(frozen=True, eq=False)
class DistilledFactors:
    r"""All that (15) needs from the rows seen so far: :math:`R_I`, :math:`R_{\bar I}` and counts.

    A value, like a number: `update` and `merge` return new factors and leave the old ones as they
    are. So a block with bad input changes nothing, a failed task can be run again, and factors may
    be shared between threads. Begin with `empty`.

    Attributes
    ----------
    inside : (r, 1 + n + 2p) ndarray of float64
        :math:`R_I` of :math:`\sqrt{c} \circ [1, X - o, y, s]`, at most as many rows as columns.
    outside : (r, 1 + n + p) ndarray of float64
        :math:`R_{\bar I}` of :math:`\sqrt{c} \circ [1, X - o, y]`.
    origin : (n,) ndarray of float64
        o: about the mean of the first rows of positive weight for a feature that is far from 0
        beside its spread, else 0.
    n_features : int
        n.
    n_outputs : int or None
        p, if y has the shape (m, p); None if it is (m,), which counts as p = 1.
    n_objects, n_privileged : int
        Number of objects with :math:`c_i > 0`, in all and in I.
    total_weight, privileged_weight : float
        :math:`\sum c_i`, in all and in I.

    References
    ----------
    .. [1] GS, (15)-(17); J. Demmel, L. Grigori, M. Hoemmen and J. Langou, "Communication-optimal
       parallel and sequential QR and LU factorizations", SIAM J. Sci. Comput. 34 (2012), A206.

    Examples
    --------
    >>> factors = DistilledFactors.empty(n_features=1)
    >>> factors = factors.update([[1.0]], [0.0])
    >>> factors = factors.update([[1.0]], [2.0], teacher=[4.0])
    >>> factors.solve(trust=0.5).coef.round(12), factors.solve(trust=1.0).coef.round(12)
    (array([1.5]), array([2.]))
    """

    inside: Reals
    outside: Reals
    origin: Reals
    n_features: int
    n_outputs: int | None
    n_objects: int
    n_privileged: int
    total_weight: float
    privileged_weight: float

    @classmethod
    def empty(cls, n_features: int, n_outputs: int | None = None) -> "DistilledFactors":
        """Factors of no rows at all.

        Parameters
        ----------
        n_features : int
            n, at least 1.
        n_outputs : int, optional
            p, at least 1, for y of shape (m, p); None, the default, for y of shape (m,).
        """
        n = check_count("n_features", n_features, least=1)
        p = 1 if n_outputs is None else check_count("n_outputs", n_outputs, least=1)
        kept = None if n_outputs is None else p
        inside, outside = np.zeros((0, 1 + n + 2 * p)), np.zeros((0, 1 + n + p))
        return cls(inside, outside, np.zeros(n), n, kept, 0, 0, 0.0, 0.0)

    def update(
        self,
        X: ArrayLike,
        y: ArrayLike,
        teacher: ArrayLike | None = None,
        *,
        privileged: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "DistilledFactors":
        r"""Factors of the rows so far and of these.

        Parameters
        ----------
        X : (b, n) array_like
            Features; b may be 0. Computed in float64.
        y : (b,) or (b, p) array_like
            True answers.
        teacher : array_like of the shape of y, optional
            Answers s; ignored outside `privileged`, where they may be NaN.
        privileged : (b,) array_like of bool, optional
            I; by default all rows if there is a teacher, none if there is not.
        sample_weight : (b,) array_like, optional
            c, at least 0, by default 1. A row of weight 0 counts nowhere.

        Returns
        -------
        DistilledFactors
            New; the present ones are unchanged, also if an error is raised.

        Raises
        ------
        ValueError, TypeError
            As `kdtheory.distil_regression`, with one line that names the argument.
        """
        block = self._checked(X, y, teacher, privileged, sample_weight)
        X, mask, weight = block.X, block.privileged, block.weight
        root = None if weight is None else np.sqrt(weight)
        counted = np.ones(len(X), dtype=bool) if weight is None else weight > 0
        held = counted.astype(np.float64) if weight is None else weight
        inside, outside, origin = self.inside, self.outside, self.origin
        if self.n_objects == 0:
            origin = _origin(X, counted)
        if mask.any():
            both = np.hstack([block.y, block.teacher])
            inside = _triangle(inside, X, origin, both, root, mask)
        if not mask.all():
            outside = _triangle(outside, X, origin, block.y, root, ~mask)
        # what is not finite in X spoils the triangle; a pass for it alone would cost a tenth more
        if not (_is_finite(inside, origin) and _is_finite(outside, origin)):
            check_real_array("X", X)
            msg = "`X`, `y` and `teacher` must be finite also when multiplied by `sample_weight`"
            raise ValueError(msg)
        return replace(
            self,
            inside=inside,
            outside=outside,
            origin=origin,
            n_objects=self.n_objects + int(np.count_nonzero(counted)),
            n_privileged=self.n_privileged + int(np.count_nonzero(counted & mask)),
            total_weight=self.total_weight + float(held.sum()),
            privileged_weight=self.privileged_weight + float(held[mask].sum()),
        )

    def _checked(
        self, X: Any, y: Any, teacher: Any, privileged: Any, sample_weight: Any
    ) -> "_Rows":
        """The block as arrays (b, n), (b, p), (b, p), (b,); only the numbers of X unchecked."""
        p = self.n_outputs or 1
        features = _rows_of("X", X, self.n_features)
        m = len(features)
        shape = (m,) if self.n_outputs is None else (m, p)
        labels = _of_shape("y", check_real_array("y", y), shape)
        if teacher is None:
            if privileged is not None:
                msg = "`privileged` must be None without a teacher, got a mask"
                raise ValueError(msg)
            mask, answers = np.zeros(m, dtype=bool), np.zeros(shape)
        else:
            mask = check_mask("privileged", privileged, m)
            answers = check_masked_array("teacher", teacher, mask, shape=shape)
        weight = _block_weight(sample_weight, m)
        double = np.float64
        return _Rows(
            features,
            labels.reshape(m, p).astype(double, copy=False),
            answers.reshape(m, p).astype(double, copy=False),
            mask,
            weight,
        )

    def merge(self, other: "DistilledFactors") -> "DistilledFactors":
        """Factors of the rows of both: the triangle of the two triangles stacked.

        Commutative and associative up to rounding, so that any tree of merges will do.

        Raises
        ------
        ValueError
            If the numbers of features or of outputs differ.
        TypeError
            If `other` is not `DistilledFactors`.
        """
        if not isinstance(other, DistilledFactors):
            msg = f"`other` must be DistilledFactors, got {type(other).__name__}"
            raise TypeError(msg)
        shapes = [(one.n_features, one.n_outputs) for one in (self, other)]
        if shapes[0] != shapes[1]:
            msg = (
                "`other` must have the same numbers of features and outputs, "
                f"got {shapes[1]} beside {shapes[0]}"
            )
            raise ValueError(msg)
        if self.n_objects == 0:
            return other
        step = other.origin - self.origin
        return replace(
            self,
            inside=_stacked_triangle([self.inside, _moved(other.inside, step)]),
            outside=_stacked_triangle([self.outside, _moved(other.outside, step)]),
            n_objects=self.n_objects + other.n_objects,
            n_privileged=self.n_privileged + other.n_privileged,
            total_weight=self.total_weight + other.total_weight,
            privileged_weight=self.privileged_weight + other.privileged_weight,
        )

    def solve(
        self,
        *,
        trust: float = 0.5,
        sigma: float = 1.0,
        sigma_teacher: float = 1.0,
        convention: str = "precision",
        ridge: float = 0.0,
        fit_intercept: bool = False,
    ) -> "DistilledSolution":
        r"""The minimiser of (15) with any trust, noise, ridge: a problem of about 2n rows.

        Parameters
        ----------
        trust : float, default 0.5
            λ in [0, 1].
        sigma, sigma_teacher : float, default 1
            Noise of the labels and of the teacher's answers, one number each.
        convention : {"precision", "printed"}, default "precision"
            ω = 1/σ² or, as printed in (15), σ².
        ridge : float, default 0
            ρ of the penalty :math:`\rho \|w\|^2`; the intercept is free.
        fit_intercept : bool, default False

        Returns
        -------
        DistilledSolution

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range, or no object of positive weight has been seen.

        Warns
        -----
        RankWarning
            If the columns of X are linearly dependent to machine precision, as
            `kdtheory.distil_regression`.
        """
        lam = check_in_unit_interval("trust", trust)
        omega = _noise_weight("sigma", sigma, convention)
        omega_s = _noise_weight("sigma_teacher", sigma_teacher, convention)
        rho = check_nonnegative("ridge", ridge)
        fit_intercept = check_flag("fit_intercept", fit_intercept)
        if self.n_objects == 0:
            msg = "`factors` must hold at least one object of positive weight, got none"
            raise ValueError(msg)
        total = (1 - lam) * omega + lam * omega_s

        # rows whose sum of squares is that of σ′ (y″ − x̃ᵀw)² over all objects
        n, p = self.n_features, self.n_outputs or 1
        label, teacher = self.inside[:, 1 + n : 1 + n + p], self.inside[:, 1 + n + p :]
        target = ((1 - lam) * omega / total) * label + (lam * omega_s / total) * teacher
        rows = np.sqrt(total) * np.hstack([self.inside[:, : 1 + n], target])
        R = _stacked_triangle([rows, np.sqrt(omega) * self.outside])
        gap = (1 - lam) * omega / total * lam * omega_s * _squares(label - teacher)
        solution = _solution(R, self.origin, rho, fit_intercept, self.n_objects)
        return DistilledSolution(
            solution=solution,
            factors=self,
            blended=R,
            gap=gap,
            trust=lam,
            label_precision=omega,
            teacher_precision=omega_s,
            ridge=rho,
            fit_intercept=fit_intercept,
        )


@dataclass(frozen=True, eq=False)
class DistilledSolution:
    r"""A distilled regression from `DistilledFactors`: what `DistilledFit` says without the rows.

    Attributes
    ----------
    solution : LeastSquares
        Parameters with rank, condition and the root of the inverse.
    factors : DistilledFactors
        What it was computed from.
    blended : (r, 1 + n + p) ndarray of float64
        Triangle of :math:`\sqrt{\sigma'} \circ [1, X - o, y'']`.
    gap : (p,) ndarray of float64
        :math:`\sum_I c (1 - \lambda)\lambda\, \omega \omega_s (y - s)^2 / \sigma'_I`, the part of
        (15) that does not depend on w.
    trust, label_precision, teacher_precision, ridge : float
        λ; ω and ω_s, without c; ρ.
    fit_intercept : bool
    """

    solution: LeastSquares
    factors: DistilledFactors
    blended: Reals
    gap: Reals
    trust: float
    label_precision: float
    teacher_precision: float
    ridge: float
    fit_intercept: bool

    @property
    def coef(self) -> Reals:
        """Coefficients, of shape (n,) or, if y has the shape (m, p), (n, p)."""
        coef = self.solution.coef
        return coef[:, 0] if self.factors.n_outputs is None else coef

    @property
    def intercept(self) -> Any:
        """A float or, if y has the shape (m, p), an array (p,); 0 if there is none."""
        intercept = self.solution.intercept
        return float(intercept[0]) if self.factors.n_outputs is None else intercept

    @property
    def rank(self) -> int:
        """Numerical rank of the features, centred if there is an intercept."""
        return self.solution.rank

    @property
    def condition(self) -> float:
        """Condition number of the same with columns of norm 1."""
        return self.solution.condition

    @property
    def solver(self) -> str:
        """The path of `weighted_least_squares` on the triangle."""
        return self.solution.solver

    @property
    def root(self) -> Reals:
        """V with V Vᵀ = A⁺, for the intercept, if any, and the coefficients."""
        return self.solution.root

    @cached_property
    def residual_squares(self) -> Reals:
        r""":math:`\sum \sigma' (y'' - f)^2` for each output, of shape () or (p,)."""
        return self._shaped(_squares(self._residual(self.blended, 0)))

    @cached_property
    def objective(self) -> float:
        r"""Value of (15) at the solution, with :math:`\rho \|w\|^2`, over all outputs."""
        penalty = self.ridge * float(_squares(self.solution.coef).sum())
        return float(np.sum(self.residual_squares) + self.gap.sum()) + penalty

    @cached_property
    def residual_moments(self) -> ResidualMoments:
        """Sums of the products of the residuals of labels and answers, on I and off it."""
        p = self.factors.n_outputs or 1
        label = self._residual(self.factors.inside[:, :-p], 0)
        teacher = self._residual(self.factors.inside, p)
        return ResidualMoments(
            label=self._shaped(_squares(label)),
            cross=self._shaped(np.einsum("ij,ij->j", label, teacher)),
            teacher=self._shaped(_squares(teacher)),
            outside=self._shaped(_squares(self._residual(self.factors.outside, 0))),
        )

    @cached_property
    def coef_trust_gradient(self) -> Reals:
        r"""Derivative of the coefficients in λ, of the shape of `coef`.

        .. math:: \frac{d \tilde w}{d \lambda} = A^+ \sum_I c\, \tilde x\,
            [\omega_s (s - f) - \omega (y - f)].
        """
        p = self.factors.n_outputs or 1
        inside = self.factors.inside
        change = self.teacher_precision * self._residual(inside, p)
        change -= self.label_precision * self._residual(inside[:, :-p], 0)
        gradient = self.root @ (self._whitened(inside).T @ change)
        slopes = gradient[int(self.fit_intercept) :]
        return slopes[:, 0] if self.factors.n_outputs is None else slopes

    @cached_property
    def no_op(self) -> bool:
        """Whether the teacher changes nothing, whatever the trust, as `DistilledFit.no_op`."""
        if self.factors.n_privileged == 0:
            return False
        p = self.factors.n_outputs or 1
        inside = self.factors.inside
        answers = self.teacher_precision * self._residual(inside, p)
        labels = self.label_precision * self._residual(inside[:, :-p], 0)
        slope = np.abs(self._centred(inside).T @ (answers - labels))
        norms = self.solution.column_norms
        if self.fit_intercept:
            norms = np.concatenate([[abs(self.blended[0, 0])], norms])
        total = (1 - self.trust) * self.label_precision + self.trust * self.teacher_precision
        size = np.linalg.norm(answers, axis=0) + np.linalg.norm(labels, axis=0)
        return bool((slope <= ORTHOGONAL * norms[:, None] * size / np.sqrt(total)).all())

    def predict(self, X: ArrayLike) -> Reals:
        """Fitted answers f of the rows of X (b, n), of shape (b,) or (b, p)."""
        features = check_real_array("X", _rows_of("X", X, self.factors.n_features))
        fitted = self.solution.predictions(features)
        return fitted[:, 0] if self.factors.n_outputs is None else fitted

    def inference_sums(
        self,
        source: Iterable[Any] | None = None,
        *,
        covariance: str = "sandwich",
        sigma: float | None = None,
        sigma_teacher: float | None = None,
        noise_correlation: float = 0.0,
        weights_kind: str = "precision",
    ) -> InferenceSums:
        r"""What inference needs from the rows.

        The "model" and the "classical" covariance need only the factors, for their
        :math:`v_i` is :math:`c_i` times one number on I and another off it. The sandwich has a
        residual for each object, and takes a second pass. The sums of several sources, each of
        some of the rows, add up.

        "pooled" takes the place of the sandwich where the rows are gone: the two numbers are the
        mean squares :math:`\sum c_i (\sigma'_i (y''_i - f_i) / c_i)^2` on I and off it, over as
        many degrees of freedom as the objects have less their leverages. It asks that the noise
        be equal within the two sets, and allows any correlation within an object.

        Parameters
        ----------
        source : iterable of blocks, optional
            All rows again, in any order, or some of them; for the "sandwich" alone.
        covariance : {"model", "sandwich", "classical", "pooled"}
        sigma, sigma_teacher, noise_correlation, weights_kind
            As for `kdtheory.inference.inference`, the noises one number each.

        Raises
        ------
        ValueError
            If there is a source without "sandwich", or none with it, or a block is not good; for
            "pooled" if no degree of freedom is left on I or off it.
        """
        check_choice("covariance", covariance, ("model", "sandwich", "classical", "pooled"))
        check_choice("weights_kind", weights_kind, WEIGHTS_KINDS)
        if covariance != "model" and not (sigma is sigma_teacher is None and not noise_correlation):
            msg = f"`sigma` and `sigma_teacher` must be None for the covariance {covariance!r}"
            raise ValueError(msg)
        if (source is not None) != (covariance == "sandwich"):
            needed = "given" if covariance == "sandwich" else "None"
            msg = f"`source` must be {needed} where the covariance is {covariance!r}"
            raise ValueError(msg)
        if source is not None:
            sums = [
                self._block_sums(self.factors._checked(*_unpacked(block)), weights_kind)
                for block in source
            ]
            if not sums:
                msg = "`source` must give the blocks a second time, got none"
                raise ValueError(msg)
            return sum(sums[1:], start=sums[0])
        return self._factor_sums(covariance, sigma, sigma_teacher, noise_correlation, weights_kind)

    def _block_sums(self, rows: "_Rows", weights_kind: str) -> InferenceSums:
        """Sums of the sandwich over a block of rows."""
        c = np.ones(len(rows.X)) if rows.weight is None else rows.weight
        if weights_kind == "frequency":
            check_whole_numbers("sample_weight", c)
        X = check_real_array("X", rows.X)
        weights, targets = blend(
            rows.y,
            rows.teacher,
            rows.privileged,
            self.trust,
            np.asarray(self.label_precision),
            np.asarray(self.teacher_precision),
        )
        teacher_weight = np.where(rows.privileged, self.trust, 0.0) * self.teacher_precision
        label_weight = weights - teacher_weight

        def part(start: int, stop: int) -> tuple[InferenceSums]:
            here = slice(start, stop)
            block = X[here].astype(np.float64, copy=False)
            sums = inference_sums(
                self.solution,
                block,
                rows.y[here],
                rows.teacher[here],
                targets[here] - self.solution.predictions(block),
                c[here] * label_weight[here],
                c[here] * teacher_weight[here],
                c[here],
                label_precision=self.label_precision * c[here],
                covariance="sandwich",
                weights_kind=weights_kind,
            )
            return (sums,)

        (total,) = row_sums(part, len(X), work=2 * X.size * X.shape[1])
        return cast(InferenceSums, total)

    def _factor_sums(
        self,
        covariance: str,
        sigma: float | None,
        sigma_teacher: float | None,
        noise_correlation: float,
        weights_kind: str,
    ) -> InferenceSums:
        factors, n, lam = self.factors, self.factors.n_features, self.trust
        taught = lam > 0 and factors.n_privileged > 0
        frequency = weights_kind == "frequency"
        total = factors.total_weight if frequency else factors.n_objects
        privileged = factors.privileged_weight if frequency else factors.n_privileged
        whitened = [self._whitened(part) for part in (factors.inside, factors.outside)]
        on_I, off_I = (Z.T @ Z for Z in whitened)
        if covariance == "pooled":
            meat = self._pooled_meat(on_I, privileged, off_I, total - privileged)
        elif covariance == "model":
            if sigma is None or (taught and sigma_teacher is None):
                msg = "`sigma` and `sigma_teacher` must be given for the covariance 'model'"
                raise ValueError(msg)
            of_label = (1 - lam) * self.label_precision * check_positive("sigma", sigma)
            of_teacher = 0.0
            if taught:
                deviation = check_positive("sigma_teacher", sigma_teacher)
                of_teacher = lam * self.teacher_precision * deviation
            correlation = check_number_between("noise_correlation", noise_correlation, -1.0, 1.0)
            on = (of_label + correlation * of_teacher) ** 2 + (1 - correlation**2) * of_teacher**2
            off = (self.label_precision * sigma) ** 2
            meat = (on * on_I + off * off_I)[None]
        else:
            if taught:
                msg = "`covariance` must not be 'classical' where a teacher's answer enters"
                raise ValueError(msg)
            meat = self.label_precision * (on_I + off_I)[None]
        moments = self.residual_moments
        p = factors.n_outputs or 1
        labels = _stacked_triangle(
            [part[:, [0, *range(1 + n, 1 + n + p)]] for part in (factors.inside, factors.outside)]
        )
        return InferenceSums(
            meat=meat,
            unseen=np.zeros_like(on_I),
            leverage=float(_squares(self._whitened(self.blended)).sum()),
            label_residuals=self.label_precision * (moments.label + moments.outside).reshape(p),
            label_precision=self.label_precision * factors.total_weight,
            label_mean=labels[0, 1:] / labels[0, 0],
            label_spread=self.label_precision * _squares(labels[1:, 1:]),
            n_objects=round(total),
            n_privileged=round(privileged) if taught else 0,
        )

    def _pooled_meat(self, on_I: Reals, inside: float, off_I: Reals, outside: float) -> Reals:
        """Sum of the scores' covariances with one variance for all of I and one for all others.

        From the Gram matrices of the whitened rows and the numbers of objects.
        """
        a = (1 - self.trust) * self.label_precision
        b = self.trust * self.teacher_precision
        moments = self.residual_moments
        squares = a**2 * moments.label + 2 * a * b * moments.cross + b**2 * moments.teacher
        meat: Any = 0.0
        for gram, count, weight, score_squares in (
            (on_I, inside, a + b, squares),
            (off_I, outside, self.label_precision, self.label_precision**2 * moments.outside),
        ):
            if count > 0:
                left = count - weight * np.trace(gram)
                if left <= HALF_OF_THE_DIGITS * count:
                    msg = (
                        "`covariance` 'pooled' needs residuals of objects with a teacher and of "
                        f"those without, got {left:.3g} degrees of freedom from {count:g} object(s)"
                    )
                    raise ValueError(msg)
                meat = meat + np.reshape(score_squares, (-1, 1, 1)) / left * gram
        return np.asarray(meat)

    def _centred(self, triangle: Reals) -> Reals:
        """Columns of the triangle for the parameters, the features measured from the shift."""
        step = self.factors.origin - self.solution.shift  # without an intercept the shift is 0
        moved = _moved(triangle, step)
        return moved[:, int(not self.fit_intercept) : 1 + self.factors.n_features]

    def _whitened(self, triangle: Reals) -> Reals:
        """Rows whose Gram matrix is Vᵀ X̃ᵀ diag(c) X̃ V."""
        root = self.solution.shifted_root
        assert root is not None
        return self._centred(triangle) @ root

    def _residual(self, triangle: Reals, skipped: int) -> Reals:
        """Answers in the columns after the features and `skipped` more, minus the prediction."""
        n, p = self.factors.n_features, self.factors.n_outputs or 1
        answers = triangle[:, 1 + n + skipped : 1 + n + skipped + p]
        parameters = self.solution.coef
        if self.fit_intercept:
            parameters = np.vstack([self.solution.center, parameters])
        return answers - self._centred(triangle) @ parameters

    def _shaped(self, numbers: Reals) -> Reals:
        return numbers.reshape(()) if self.factors.n_outputs is None else numbers


def distil_blocks(
    source: Iterable[Any],
    *,
    trust: float = 0.5,
    sigma: float = 1.0,
    sigma_teacher: float = 1.0,
    convention: str = "precision",
    ridge: float = 0.0,
    fit_intercept: bool = False,
) -> DistilledSolution:
    r"""Distilled regression on rows that come in blocks, in memory of one block and O(n²).

    Parameters
    ----------
    source : iterable of blocks
        Each block (X, y), (X, y, teacher), (X, y, teacher, privileged) or (X, y, teacher,
        privileged, sample_weight), with None for what there is not: a list, a generator, or a
        source of `kdtheory.readers`.
    trust, sigma, sigma_teacher, convention, ridge, fit_intercept
        As for `DistilledFactors.solve`.

    Returns
    -------
    DistilledSolution
        Its `factors` may be solved again with another trust, and updated with further rows.

    Raises
    ------
    ValueError, TypeError
        If there is no block, or an argument or a block is not good.

    Examples
    --------
    >>> blocks = [([[1.0], [2.0]], [1.0, 2.0]), ([[3.0]], [2.0], [4.0])]
    >>> distil_blocks(blocks, trust=0.5).coef.round(12)
    array([1.])
    """
    factors = None
    for block in source:
        X, y, teacher, privileged, weight = _unpacked(block)
        if factors is None:
            if np.ndim(X) != 2:
                msg = f"`X` must have 2 dimension(s), got shape {np.shape(X)}"
                raise ValueError(msg)
            outputs = np.shape(y)[1] if np.ndim(y) == 2 else None
            factors = DistilledFactors.empty(np.shape(X)[1], outputs)
        factors = factors.update(X, y, teacher, privileged=privileged, sample_weight=weight)
    if factors is None:
        msg = "`source` must give at least one block, got none"
        raise ValueError(msg)
    return factors.solve(
        trust=trust,
        sigma=sigma,
        sigma_teacher=sigma_teacher,
        convention=convention,
        ridge=ridge,
        fit_intercept=fit_intercept,
    )


class _Rows(NamedTuple):
    X: NDArray[Any]
    y: Reals
    teacher: Reals
    privileged: NDArray[np.bool_]
    weight: Reals | None


def _unpacked(block: Any) -> tuple[Any, ...]:
    if not isinstance(block, tuple | list) or not 2 <= len(block) <= 5:
        msg = (
            "a block must be (X, y), (X, y, teacher), (X, y, teacher, privileged) or (X, y, "
            f"teacher, privileged, sample_weight), got {type(block).__name__}"
        )
        raise ValueError(msg)
    return (*block, *[None] * (5 - len(block)))


def _rows_of(name: str, value: ArrayLike, n: int) -> Reals:
    """Matrix of n columns and any number of rows, its numbers not yet checked."""
    empty = np.shape(value)[:1] == (0,)
    matrix = (
        check_real_array(name, value, ndim=2) if empty else check_matrix(name, value, finite=False)
    )
    if matrix.shape[1] != n:
        msg = f"`{name}` must have {n} column(s), got shape {matrix.shape}"
        raise ValueError(msg)
    return matrix


def _of_shape(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if array.shape != shape:
        msg = f"`{name}` must have shape {shape}, got shape {array.shape}"
        raise ValueError(msg)
    return array


def _block_weight(sample_weight: ArrayLike | None, m: int) -> Reals | None:
    """Weights of a block, which unlike those of all the data may be all zero; None for ones."""
    if sample_weight is None:
        return None
    if m == 0 or not np.any(sample_weight):
        weight = check_real_array("sample_weight", sample_weight, ndim=1)
        return _of_shape("sample_weight", weight, (m,)).astype(np.float64, copy=False)
    return check_sample_weight("sample_weight", sample_weight, m)


def _noise_weight(name: str, sigma: float, convention: str) -> float:
    """ω of one noise level; one for each object would need the rows."""
    return float(noise_weight(name, check_positive(name, sigma), 1, convention))


def _squares(matrix: Reals) -> Reals:
    """Sum of squares of each column."""
    return np.asarray(np.einsum("ij,ij->j", matrix, matrix))


def _stacked_triangle(parts: list[Reals]) -> Reals:
    """Triangle of QR of matrices of equal width, one under another; no more rows than needed."""
    tall = np.vstack(parts)
    return np.asarray(np.linalg.qr(tall, mode="r")) if len(tall) else tall


def _origin(X: NDArray[Any], counted: NDArray[np.bool_]) -> Reals:
    """Means of the columns over some of the counted rows, 0 for a mean below the spread."""
    present = np.flatnonzero(counted)
    if not present.size:
        return np.zeros(X.shape[1])
    few = X[present[:: -(-len(present) // FEW)]].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # no origin for it, and refused later
        mean = few.mean(axis=0)
        spread = np.abs(few - mean).mean(axis=0)
    return np.where(np.abs(mean) > spread, mean, 0.0)


def _moved(triangle: Reals, step: Reals) -> Reals:
    """Triangle of [1, X + step, …] from that of [1, X, …]."""
    if not step.any():
        return triangle
    moved = triangle.copy()
    moved[:, 1 : 1 + len(step)] += triangle[:, :1] * step
    return moved


def _is_finite(triangle: Reals, origin: Reals) -> bool:
    """Whether a triangle has finite numbers, from its origin and from 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(triangle).all() and np.isfinite(_moved(triangle, origin)).all())


@dataclass(frozen=True)
class _Triangle:
    """A triangle of QR; the sum of two is that of their rows together."""

    R: Reals

    def __add__(self, other: "_Triangle") -> "_Triangle":
        return _Triangle(_stacked_triangle([self.R, other.R]))


def _triangle(
    start: Reals,
    X: NDArray[Any],
    origin: Reals,
    answers: Reals,
    root: Reals | None,
    kept: NDArray[np.bool_],
) -> Reals:
    """Triangle of `start` and of the kept rows of √c ∘ [1, X − o, answers]."""
    every = None if kept.all() else kept
    q = start.shape[1]

    def part(first: int, last: int) -> tuple[_Triangle]:
        return (_Triangle(_range_triangle(X, origin, answers, root, every, first, last)),)

    (found,) = row_sums(part, len(X), work=4 * len(X) * q**2)
    return np.asarray((_Triangle(start) + found).R)


def _range_triangle(
    X: NDArray[Any],
    origin: Reals,
    answers: Reals,
    root: Reals | None,
    kept: NDArray[np.bool_] | None,
    start: int,
    stop: int,
) -> Reals:
    """Triangle of the kept rows from `start` to `stop`.

    Many small QRs of rows that fit the cache are twice as fast as one tall one.
    """
    n, q = X.shape[1], 1 + X.shape[1] + answers.shape[1]
    tall = max(TALL, 4 * q)
    buffer = np.empty((min(BATCH * tall, stop - start), q))
    R = buffer[:0]
    far = origin.any()
    for first in range(start, stop, len(buffer)):
        here: Any = slice(first, min(first + len(buffer), stop))
        if kept is not None:
            here = first + np.flatnonzero(kept[here])
        block = buffer[: len(answers[here])]
        block[:, 0] = 1.0
        if far:
            with np.errstate(invalid="ignore"):  # refused later
                np.subtract(X[here], origin, out=block[:, 1 : 1 + n])
        else:
            block[:, 1 : 1 + n] = X[here]
        block[:, 1 + n :] = answers[here]
        if root is not None:
            with np.errstate(over="ignore", invalid="ignore"):  # refused later
                block *= root[here, None]
        whole = len(block) // tall
        small: Any = np.linalg.qr(block[: whole * tall].reshape(whole, tall, q), mode="r")
        R = _stacked_triangle([R, small.reshape(whole * q, q), block[whole * tall :]])
    return R


def _solution(
    R: Reals, origin: Reals, ridge: float, fit_intercept: bool, count: int
) -> LeastSquares:
    """Least squares from the triangle of √σ′ ∘ [1, X − o, y″].

    The rows below the first are the triangle of the centred columns, the first one their means.
    """
    n = len(origin)
    rows = R[1:] if fit_intercept else _moved(R, origin)
    if len(rows) == 0:
        rows = np.zeros((1, R.shape[1]))
    X, Y = np.ascontiguousarray(rows[:, 1 : 1 + n]), np.ascontiguousarray(rows[:, 1 + n :])
    if fit_intercept:
        # in units of the largest number, whose square is in the range of a double
        largest = np.maximum(np.abs(R[:, 1 : 1 + n]).max(axis=0), np.abs(R[0, 0] * origin))
        unit = np.where(largest > 0, largest, 1.0)
        spreads = np.linalg.norm(X / unit, axis=0)
        lengths = np.linalg.norm(R[:, 1 : 1 + n] / unit, axis=0)
        # what rounding leaves of a constant column grows like the root of the number of rows, but
        # a spread below the last digit of the features themselves is none
        rounding = np.maximum(
            max(8.0, np.sqrt(count)) * EPS * lengths, 8 * EPS * np.abs(R[0, 0] * (origin / unit))
        )
        X[:, spreads <= rounding] = 0.0
    solution = weighted_least_squares(X, Y, np.ones(len(rows)), ridge=ridge, solver="qr")
    if not fit_intercept:
        return solution
    mean = R[0, 1:] / R[0, 0]
    shift = origin + mean[:n]
    slip = (shift - origin) - mean[:n]  # the rounding of the shift
    center = mean[n:] + slip @ solution.coef
    slopes = solution.shifted_root
    assert slopes is not None
    root = np.zeros((n + 1, slopes.shape[1] + 1))
    root[0, 0] = 1 / abs(R[0, 0])
    root[0, 1:] = slip @ slopes
    root[1:, 1:] = slopes
    return replace(
        solution,
        intercept=center - shift @ solution.coef,
        center=center,
        shift=shift,
        shifted_root=root,
        fit_intercept=True,
    )
