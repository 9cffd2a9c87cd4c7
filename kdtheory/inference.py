r"""Standard errors of distilled regression: those of the estimator (15), not of its blend.

The estimate is linear in two kinds of data, labels and teacher's answers. With
:math:`a_i = c_i (1 - \lambda 1_I)\, \omega_i` and :math:`b_i = c_i \lambda 1_I\, \omega_{s,i}`,

.. math::
    \hat\theta = A^{+} \tilde X^\top (a \circ y + b \circ s), \qquad
    A = \tilde X^\top \operatorname{diag}(\sigma') \tilde X + \rho, \qquad \sigma' = a + b,

so its covariance is that of the scores, between two inverses. From
:math:`A^{+} = V V^\top` and :math:`z_i = V^\top \tilde x_i`,

.. math::
    \operatorname{Cov} \hat\theta = V M V^\top, \qquad
    M = \sum_i v_i\, z_i z_i^\top, \qquad v_i = \operatorname{Var}(a_i y_i + b_i s_i).

Nothing is squared that has the condition of X: M is the identity where the weights are the right
ones. Three choices of :math:`v_i`, by name:

* ``"model"``: both noise levels known, :math:`v_i = (a_i^2 \sigma_i^2 + b_i^2 \sigma_{s,i}^2
  + 2 a_i b_i\, r\, \sigma_i \sigma_{s,i}) / c_i` with r the correlation within an object.
* ``"sandwich"``: nothing known, :math:`v_i = (\sigma'_i (y''_i - f_i) / (1 - h_i))^2`, the HC3 of
  Davidson and MacKinnon, who simplified the jackknife of MacKinnon and White, with the scores and
  leverages of (15). The residual of the blend has the variance of :math:`a_i y_i + b_i s_i`
  whatever the two noises are: of any size, different from object to object, correlated within an
  object.
* ``"classical"``: :math:`v_i = \hat\sigma^2 \sigma'_i`, so :math:`\hat\sigma^2 A^{-1}`, for
  labels alone. It is refused where a teacher's answer enters: :math:`y''` is not data with
  variance :math:`\sigma^2 / \sigma'`.

Even under the paper's own model, known noise levels and λ in (0, 1), :math:`A^{-1}` is not the
covariance: the powers 1 − λ and λ temper the two likelihoods, so that :math:`v_i` is
:math:`(1 - \lambda)^2 \omega + \lambda^2 \omega_s` and not :math:`\sigma'_i`.

notation: λ = trust, a, b = label_weight, teacher_weight, c = sample_weight, σ′ = weights,
y″ = targets, ρ = ridge, V = root, Z = rows z_i, M = meat, h = leverage, f = fitted value
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_choice,
    check_in_open_unit_interval,
    check_names,
    check_noise,
    check_number_between,
    check_whole_numbers,
)
from kdtheory.least_squares import LeastSquares, row_sums
from kdtheory.regression import DistilledFit
from kdtheory.selection import WEIGHTS_KINDS

__all__ = [
    "Inference",
    "InferenceSums",
    "Summary",
    "automatic_covariance",
    "estimable_parameters",
    "fit_sums",
    "inference",
    "inference_from_sums",
    "inference_sums",
]

Reals = NDArray[np.float64]

# Below it 1 − h, or the part of a parameter outside the row space, has fewer than half its digits
HALF_OF_THE_DIGITS = float(np.sqrt(np.finfo(np.float64).eps))

COVARIANCES = ("model", "sandwich", "classical")
WIDTH = 80  # of a terminal


@dataclass(frozen=True, eq=False)
class InferenceSums:
    r"""What inference needs from the rows, with one number for each parameter or output.

    Those of two sets of rows add up: ``inference_sums(…, first) + inference_sums(…, second)``.

    Attributes
    ----------
    meat : (1, r, r) or (p, r, r) ndarray
        :math:`M = \sum_i v_i z_i z_i^\top`; one for all outputs if it is the same. For
        ``"classical"`` without the factor :math:`\hat\sigma^2`.
    unseen : (r, r) ndarray
        :math:`\sum \sigma'_i z_i z_i^\top` over objects of leverage 1, whose residual says nothing.
    leverage : float
        :math:`\sum_i h_i`, the trace of the hat matrix.
    label_residuals : (p,) ndarray
        :math:`\sum_i u_i (y_i - f_i)^2` with :math:`u_i = c_i \omega_i`.
    label_precision : float
        :math:`\sum_i u_i`.
    label_mean, label_spread : (p,) ndarray
        :math:`\bar y = \sum_i u_i y_i / \sum_i u_i` and :math:`\sum_i u_i (y_i - \bar y)^2`.
    n_objects, n_privileged : int
        Objects of positive weight, and those of them whose teacher's answer has one. With
        frequency weights each counts c times.
    """

    meat: Reals
    unseen: Reals
    leverage: float
    label_residuals: Reals
    label_precision: float
    label_mean: Reals
    label_spread: Reals
    n_objects: int
    n_privileged: int

    def __add__(self, other: "InferenceSums") -> "InferenceSums":
        """Sums over both sets of rows (the mean and spread after Chan, Golub and LeVeque)."""
        total = self.label_precision + other.label_precision
        share = other.label_precision / total if total > 0 else 0.0
        step = other.label_mean - self.label_mean
        between = step**2 * self.label_precision * share
        return InferenceSums(
            meat=self.meat + other.meat,
            unseen=self.unseen + other.unseen,
            leverage=self.leverage + other.leverage,
            label_residuals=self.label_residuals + other.label_residuals,
            label_precision=total,
            label_mean=self.label_mean + share * step,
            label_spread=self.label_spread + other.label_spread + between,
            n_objects=self.n_objects + other.n_objects,
            n_privileged=self.n_privileged + other.n_privileged,
        )


@dataclass(frozen=True, eq=False)
class Inference:
    r"""Estimates with their errors; see `inference`.

    Parameters come in the order [intercept if any, :math:`w_1, \dots, w_n`], q of them. With p
    outputs, arrays of shape (q,) become (q, p), numbers (p,), the covariance (p, q, q).

    Attributes
    ----------
    names : tuple of str
        Names of the parameters.
    target_names : tuple of str
        Names of the outputs.
    estimates, standard_errors : (q,) or (q, p) ndarray
        NaN is the error of a parameter that the data do not determine; `notes` says why.
    statistics : (q,) or (q, p) ndarray
        Estimate over standard error.
    p_values : (q,) or (q, p) ndarray
        Two-sided, of the hypothesis that the parameter is 0.
    low, high : (q,) or (q, p) ndarray
        Ends of the confidence interval.
    covariance : (q, q) or (p, q, q) ndarray
        Symmetric, positive semidefinite as the product of a factor with itself.
    kind : {"model", "sandwich", "classical", "pooled"}
        Which covariance.
    distribution : {"t", "z"}
        Student's t with `df`, or the normal if the noise levels are known.
    df : float
        Number of objects less the rank, less the trace of the hat matrix if there is a ridge.
    noise : float or (p,) ndarray
        :math:`\sqrt{(N / \mathrm{df}) \sum u_i (y_i - f_i)^2 / \sum u_i}` with
        :math:`u_i = c_i \omega_i` over N objects, in units of y: the noise of a label of average
        weight where the labels alone are fitted. With a teacher it is descriptive: the student was
        not fitted to these residuals. NaN if df is not positive.
    r_squared : float or (p,) ndarray
        :math:`1 - \sum u_i (y_i - f_i)^2 / \sum u_i (y_i - \bar y)^2`, with 0 for the mean if
        there is no intercept: of the true labels, not of the blended targets. It may be negative.
        NaN if the labels do not vary.
    n_objects, n_privileged : int
        Objects of positive weight, and those of them whose teacher's answer has one.
    trust, ridge : float
    solver : str
    rank : int
        Of X̃, so with the intercept.
    condition : float
    weights_kind : {"precision", "frequency"}
    confidence : float
    notes : tuple of str
        What the reader must know before using the errors.
    """

    names: tuple[str, ...]
    target_names: tuple[str, ...]
    estimates: Reals
    standard_errors: Reals
    statistics: Reals
    p_values: Reals
    low: Reals
    high: Reals
    covariance: Reals
    kind: str
    distribution: str
    df: float
    noise: float | Reals
    r_squared: float | Reals
    n_objects: int
    n_privileged: int
    trust: float
    ridge: float
    solver: str
    rank: int
    condition: float
    weights_kind: str
    confidence: float
    notes: tuple[str, ...]

    def summary(self) -> "Summary":
        """The table of everything, as text and as HTML."""
        many = self.estimates.ndim == 2
        fit_quality = zip(np.atleast_1d(self.r_squared), np.atleast_1d(self.noise), strict=True)
        quality = [(("R²", _number(r, 4)), ("Noise σ", _number(s, 4))) for r, s in fit_quality]
        kind = "sandwich (HC3)" if self.kind == "sandwich" else self.kind
        facts = (
            ("Objects", str(self.n_objects)),
            ("With a teacher", str(self.n_privileged)),
            ("Trust", _number(self.trust, 4)),
            ("Ridge", _number(self.ridge, 4)),
            *(() if many else quality[0]),
            ("Rank", str(self.rank)),
            ("Condition", _number(self.condition, 3)),
            ("Residual df", _number(self.df, 6)),
            ("Solver", self.solver),
            ("Covariance", kind),
            ("Weights", self.weights_kind),
        )
        level = f"{100 * self.confidence:g} %"
        head = ("", "estimate", "std. error", self.distribution, "p", f"{level} low", "high")
        columns = (self.estimates, self.standard_errors, self.statistics, self.p_values)
        # (q, p, 6): every number of the table
        numbers = np.stack([*columns, self.low, self.high], axis=-1).reshape(len(self.names), -1, 6)
        tables = tuple(
            (
                target + "".join(f", {fact} {value}" for fact, value in quality[k] if many),
                tuple(
                    (_plain(name), *_cells(*row))
                    for name, row in zip(self.names, numbers[:, k].tolist(), strict=True)
                ),
            )
            for k, target in enumerate(map(_plain, self.target_names))
        )
        return Summary("Distilled linear regression", facts, head, tables, self.notes)


@dataclass(frozen=True, repr=False)
class Summary:
    """A table to read: ``str`` gives plain text, a notebook shows HTML.

    Attributes
    ----------
    title : str
    facts : tuple of (str, str)
        Name and value, of the whole fit.
    head : tuple of str
        Names of the columns; the first, of the parameters, is empty.
    tables : tuple of (str, tuple of tuple of str)
        For each output its caption and its rows.
    notes : tuple of str
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    head: tuple[str, ...]
    tables: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        from textwrap import wrap

        rows = [self.head, *(row for _, table in self.tables for row in table)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else " "
        width = max(sum(widths) + len(gap) * (len(widths) - 1), 60)
        lines = [self.title, "=" * width]
        half = (width - 4) // 2
        cells = [f"{fact} {value:>{half - 1 - len(fact)}}" for fact, value in self.facts]
        for left, right in zip(cells[::2], [*cells[1::2], ""], strict=False):
            lines.append(f"{left:<{half}}    {right}".rstrip())
        for caption, table in self.tables:
            lines += ["-" * width, caption]
            for row in (self.head, *table):
                first = f"{row[0]:<{widths[0]}}"
                others = (f"{cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True))
                lines.append(gap.join([first, *others]))
        lines.append("=" * width)
        for note in self.notes:
            lines += wrap(note, WIDTH)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        facts = "".join(
            f'<tr><th scope="row">{escape(fact)}</th><td>{escape(value)}</td></tr>'
            for fact, value in self.facts
        )
        parts = [f"<table><caption>{escape(self.title)}</caption><tbody>{facts}</tbody></table>"]
        names = ("parameter", *self.head[1:])
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
        for caption, table in self.tables:
            body = "".join(
                f'<tr><th scope="row">{escape(row[0])}</th>'
                + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
                + "</tr>"
                for row in table
            )
            parts.append(
                f"<table><caption>{escape(caption)}</caption>"
                f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            )
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        return "<div>" + "".join(parts) + "</div>"


def inference(
    fit: DistilledFit,
    *,
    covariance: str = "auto",
    sigma: ArrayLike | None = None,
    sigma_teacher: ArrayLike | None = None,
    noise_correlation: float = 0.0,
    weights_kind: str = "precision",
    confidence: float = 0.95,
    names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
) -> Inference:
    r"""Standard errors, tests and intervals of a distilled regression.

    .. math:: \operatorname{Cov} \hat\theta = A^{+} \tilde X^\top
        \operatorname{diag}(v) \tilde X A^{+}, \qquad v_i = \operatorname{Var}(a_i y_i + b_i s_i),

    with :math:`v_i` by one of the three ways of the module's docstring.

    Parameters
    ----------
    fit : DistilledFit
        What `distil_regression` returned, with m objects.
    covariance : {"auto", "model", "sandwich", "classical"}, default "auto"
        "auto" is "model" if every noise level that enters is given, "classical" if no teacher's
        answer enters, else "sandwich".
    sigma, sigma_teacher : float or (m,) array_like, optional
        The noise of the labels and of the teacher's answers where it is known, as standard
        deviations in units of y, finite and positive. They serve the "model" alone. Those given to
        `distil_regression` do not count as known: there only their ratio matters.
    noise_correlation : float, default 0
        Correlation in [-1, 1] of the two noises of one object, for the "model".
    weights_kind : {"precision", "frequency"}, default "precision"
        What a sample weight c means. "precision": both variances of the object are divided by c,
        and it counts as one object. "frequency": the row stands for c identical rows, c whole.
        Rows of weight 0 count nowhere.
    confidence : float, default 0.95
        Coverage of the intervals, in (0, 1).
    names : sequence of str, optional
        Names of the n features; by default x0, x1, and so on.
    target_names : sequence of str, optional
        Names of the p outputs; by default y, or y0, y1, and so on.

    Returns
    -------
    Inference

    Raises
    ------
    ValueError
        If an argument is out of its range; for "classical" with a teacher's answer in the fit;
        for "model" without a noise level that it needs, and noise levels without "model"; if
        frequency weights are not whole; if no degree of freedom is left, unless the noise is known;
        or if the fit has no inverse ("lsmr").
    TypeError
        If an argument is of a wrong kind.

    Notes
    -----
    With a ridge the covariance is that of the penalised estimator around its own expectation: its
    bias is not in the errors, and intervals cover that expectation, not w.

    "sandwich" uses Student's t with `df`, which is exact in no finite sample; so does "classical",
    where it is exact for normal labels. A parameter that moves with an object of leverage 1 has no
    sandwich error: such an object leaves no residual.

    If the columns of X̃ are linearly dependent, parameters that the data do not determine have no
    error; the others, which every minimiser shares, keep theirs.

    References
    ----------
    .. [1] GS, Theorem 2, of which (16) is an equivalence of estimates, not of their errors.
    .. [2] J. G. MacKinnon and H. White, "Some heteroskedasticity-consistent covariance matrix
       estimators with improved finite sample properties", J. Econometrics 29 (1985): the
       jackknife.
    .. [3] R. Davidson and J. G. MacKinnon, Estimation and Inference in Econometrics, Oxford
       University Press (1993), section 16.3: :math:`1 / (1 - h_i)^2`.

    Examples
    --------
    >>> from kdtheory.regression import distil_regression
    >>> fit = distil_regression(
    ...     [[1.0], [1.0], [1.0], [1.0]], [0.0, 2.0, 1.0, 1.0], [1.0, 3.0, 2.0, 2.0], trust=0.5
    ... )
    >>> inference(fit, sigma=1.0, sigma_teacher=1.0).standard_errors ** 2
    array([0.125])
    """
    m = len(fit.weights)
    many = np.ndim(fit.y) == 2
    taught = bool((fit.teacher_weight > 0).any())
    kind = _covariance_kind(covariance, sigma, sigma_teacher, taught)
    correlation = check_number_between("noise_correlation", noise_correlation, -1.0, 1.0)
    if correlation != 0 and kind != "model":
        msg = f"`noise_correlation` must be 0 unless the covariance is 'model', got {correlation!r}"
        raise ValueError(msg)
    check_choice("weights_kind", weights_kind, WEIGHTS_KINDS)
    if weights_kind == "frequency":
        check_whole_numbers("sample_weight", fit.sample_weight)
    level = check_in_open_unit_interval("confidence", confidence)

    sums = fit_sums(
        fit,
        covariance=kind,
        weights_kind=weights_kind,
        sigma=None if sigma is None else check_noise("sigma", sigma, m),
        sigma_teacher=(
            None if sigma_teacher is None else check_noise("sigma_teacher", sigma_teacher, m)
        ),
        noise_correlation=correlation,
    )
    return inference_from_sums(
        fit.solution,
        sums,
        covariance=kind,
        weights_kind=weights_kind,
        trust=fit.trust,
        ridge=fit.ridge,
        confidence=level,
        names=names,
        target_names=target_names,
        many_outputs=many,
    )


def automatic_covariance(
    sigma: Any = None, sigma_teacher: Any = None, *, taught: bool, general: str = "sandwich"
) -> str:
    """The covariance that "auto" stands for.

    Parameters
    ----------
    sigma, sigma_teacher : float or (m,) array_like, optional
        Noise levels that are known.
    taught : bool
        Whether a teacher's answer enters the estimate.
    general : str, default "sandwich"
        The one that needs nothing.

    Returns
    -------
    str
        "model" if every noise level that enters is known, else "classical" if no teacher's answer
        enters, else `general`.
    """
    if sigma is not None and (sigma_teacher is not None or not taught):
        return "model"
    return general if taught else "classical"


def fit_sums(
    fit: DistilledFit,
    *,
    covariance: str,
    weights_kind: str = "precision",
    sigma: ArrayLike | None = None,
    sigma_teacher: ArrayLike | None = None,
    noise_correlation: float = 0.0,
) -> InferenceSums:
    """The sums of `inference_sums` over the rows that a fit holds.

    Parameters
    ----------
    fit : DistilledFit
        Of all rows, or of some under the solution of all.
    covariance, weights_kind, sigma, sigma_teacher, noise_correlation
        As for `inference_sums`.

    Returns
    -------
    InferenceSums
    """
    m = len(fit.weights)
    return inference_sums(
        fit.solution,
        fit.X,
        fit.y.reshape(m, -1),
        fit.teacher.reshape(m, -1),
        fit.residuals.reshape(m, -1),
        fit.label_weight,
        fit.teacher_weight,
        fit.sample_weight,
        label_precision=fit.label_precision,
        covariance=covariance,
        weights_kind=weights_kind,
        sigma=sigma,
        sigma_teacher=sigma_teacher,
        noise_correlation=noise_correlation,
    )


def inference_sums(
    solution: LeastSquares,
    X: Any,
    y: Reals,
    teacher: Reals,
    residuals: Reals,
    label_weight: Reals,
    teacher_weight: Reals,
    sample_weight: Reals,
    *,
    label_precision: Reals,
    covariance: str,
    weights_kind: str = "precision",
    sigma: ArrayLike | None = None,
    sigma_teacher: ArrayLike | None = None,
    noise_correlation: float = 0.0,
) -> InferenceSums:
    r"""The sums over rows that `inference_from_sums` needs, for all rows or for some of them.

    Where the rows are not in memory together, a second pass over them adds up these sums of its
    chunks. Arrays are taken as checked, and read in blocks; nothing of the size of X is made.

    Parameters
    ----------
    solution : LeastSquares
        Of the whole problem.
    X : (m, n) ndarray or sparse matrix
        Rows of this chunk.
    y, teacher, residuals : (m, p) ndarray
        Labels, teacher's answers (0 where there is none), and :math:`y'' - f`.
    label_weight, teacher_weight, sample_weight, label_precision : (m,) ndarray
        a, b, c and :math:`u = c \omega`.
    covariance : {"model", "sandwich", "classical"}
        Which :math:`v_i`; `inference_from_sums` needs the same.
    weights_kind : {"precision", "frequency"}, default "precision"
        Meaning of c.
    sigma, sigma_teacher : float or (m,) ndarray, optional
        For the "model": noise of labels, and of the teacher's answers if any enters.
    noise_correlation : float, default 0
        For the "model".

    Returns
    -------
    InferenceSums
    """
    m, p = residuals.shape
    fixed = (m,)
    deviation = np.broadcast_to(0.0 if sigma is None else np.asarray(sigma), fixed)
    teacher_deviation = np.broadcast_to(
        0.0 if sigma_teacher is None else np.asarray(sigma_teacher), fixed
    )
    r = solution.root.shape[1]
    nothing = InferenceSums(
        meat=np.zeros((p if covariance == "sandwich" else 1, r, r)),
        unseen=np.zeros((r, r)),
        leverage=0.0,
        label_residuals=np.zeros(p),
        label_precision=0.0,
        label_mean=np.zeros(p),
        label_spread=np.zeros(p),
        n_objects=0,
        n_privileged=0,
    )

    def block(rows: slice, Z: Reals) -> InferenceSums:
        a, b, c, u = (
            array[rows] for array in (label_weight, teacher_weight, sample_weight, label_precision)
        )
        weights = a + b
        present = weights > 0
        count = np.where(present, c if weights_kind == "frequency" else 1.0, 0.0)
        leverages = weights * np.einsum("ij,ij->i", Z, Z)
        unseen = np.zeros(len(weights), dtype=bool)
        # the root of v, which overflows later than v
        if covariance == "sandwich":
            copies = np.where(present, count, 1.0)
            left = 1 - leverages / copies
            unseen = left <= HALF_OF_THE_DIGITS
            scale = np.where(unseen, 0.0, weights / np.where(unseen, 1.0, left * np.sqrt(copies)))
            root_v = scale[:, None] * residuals[rows]
        elif covariance == "model":
            of_label, of_teacher = a * deviation[rows], b * teacher_deviation[rows]
            along = of_label + noise_correlation * of_teacher
            across = np.sqrt(1 - noise_correlation**2) * of_teacher
            root_v = (np.hypot(along, across) / np.sqrt(np.where(present, c, 1.0)))[:, None]
        else:
            root_v = np.sqrt(weights)[:, None]

        # y − f, from y″ = y − (b/σ′)(y − s)
        share = b / np.where(present, weights, 1.0)
        labels = y[rows]
        differences = residuals[rows] + share[:, None] * (labels - teacher[rows])
        precision = float(u.sum())
        mean = u @ labels / precision if precision > 0 else np.zeros(p)
        return InferenceSums(
            meat=np.stack([_gram(column[:, None] * Z) for column in root_v.T]),
            unseen=_gram(np.sqrt(weights[unseen])[:, None] * Z[unseen]),
            leverage=float(leverages.sum()),
            label_residuals=u @ differences**2,
            label_precision=precision,
            label_mean=mean,
            label_spread=u @ (labels - mean) ** 2,
            n_objects=round(float(count.sum())),
            n_privileged=round(float(count[b > 0].sum())),
        )

    def part(start: int, stop: int) -> tuple[InferenceSums]:
        images = solution.images(X[start:stop])
        blocks = (block(slice(start + at.start, start + at.stop), Z) for at, Z in images)
        return (sum(blocks, start=nothing),)

    total: InferenceSums = row_sums(part, m, work=m * r * r * len(nothing.meat))[0]
    return total


def inference_from_sums(
    solution: LeastSquares,
    sums: InferenceSums,
    *,
    covariance: str,
    trust: float,
    weights_kind: str = "precision",
    ridge: float = 0.0,
    confidence: float = 0.95,
    names: Sequence[str] | None = None,
    target_names: Sequence[str] | None = None,
    many_outputs: bool = False,
) -> Inference:
    r"""Inference without the rows: from a solution and the sums over all rows.

    Parameters
    ----------
    solution : LeastSquares
    sums : InferenceSums
        Over all rows, for the same `covariance` and `weights_kind`.
    covariance : {"model", "sandwich", "classical", "pooled"}
        "pooled" is that of `kdtheory.streaming.DistilledSolution.inference_sums`.
    trust, ridge : float
        Of the fit.
    weights_kind, confidence, names, target_names
        As for `inference`.
    many_outputs : bool, default False
        Whether arrays keep their axis of outputs; without it there must be one output.

    Returns
    -------
    Inference

    Raises
    ------
    ValueError
        If no degree of freedom is left and the noise is not known, or an argument is out of range.
    TypeError
        If a name is not text.
    """
    level = check_in_open_unit_interval("confidence", confidence)
    n, p = solution.coef.shape
    root = solution.root
    feature_names = check_names("names", names, [f"x{j}" for j in range(n)])
    parameters = (*(("intercept",) if solution.fit_intercept else ()), *feature_names)
    outputs = [f"y{k}" for k in range(p)] if many_outputs else ["y"]
    targets = check_names("target_names", target_names, outputs)

    rank = root.shape[1]
    df = float(sums.n_objects - (sums.leverage if ridge > 0 else rank))
    if df <= 0 and covariance != "model":
        msg = (
            f"`X` must have more rows of positive weight than its rank {rank} where the noise is "
            f"not known, got {sums.n_objects}"
        )
        raise ValueError(msg)

    meat = sums.meat
    if covariance == "classical":
        # without a ridge the sum is the identity but for rounding, which costs digits
        shape = np.eye(rank) if ridge == 0 else meat
        meat = (sums.label_residuals / df)[:, None, None] * shape
    # one for each output, or one for all
    factor = root @ _square_root(meat)
    full = factor @ np.swapaxes(factor, -1, -2)
    errors = np.sqrt((factor**2).sum(axis=-1))

    notes = []
    if ridge > 0:
        notes.append(
            "With a ridge, errors and intervals are about the expectation of the penalised "
            "estimate: its bias is not in them."
        )
    reach = np.einsum("jr,rs,js->j", root, sums.unseen, root)
    hidden = reach > HALF_OF_THE_DIGITS * np.einsum("jr,jr->j", root, root)
    for passed, reason in (
        (
            estimable_parameters(solution),
            f"The columns have rank {rank}, and the data do not determine",
        ),
        (~hidden, "An object of leverage 1 leaves no residual to judge its noise by: no error for"),
    ):
        if not passed.all():
            errors[:, ~passed] = np.nan
            full[:, ~passed] = np.nan
            full[:, :, ~passed] = np.nan
            which = [
                _plain(name) for name, good in zip(parameters, passed, strict=True) if not good
            ]
            notes.append(f"{reason} {', '.join(which)}.")

    if covariance == "pooled":
        notes.append(
            "The noise was taken as equal among objects with a teacher, and among all others."
        )

    full = np.broadcast_to(full, (p, *full.shape[1:]))
    errors = np.broadcast_to(errors, (p, len(root))).T
    estimates = solution.coef
    if solution.fit_intercept:
        estimates = np.vstack([solution.intercept, solution.coef])
    statistics, p_values, quantile = _tests(estimates, errors, df, level, covariance == "model")
    half = quantile * errors
    base = sums.label_spread
    if not solution.fit_intercept:
        base = base + sums.label_precision * sums.label_mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        r_squared = np.where(base > 0, 1 - sums.label_residuals / base, np.nan)
    scale = sums.n_objects / sums.label_precision / df if df > 0 else np.nan
    noise = np.sqrt(scale * sums.label_residuals)

    def outward(array: Reals, axis: int = -1) -> Any:
        return array if many_outputs else array.squeeze(axis)

    return Inference(
        names=parameters,
        target_names=targets,
        estimates=outward(estimates),
        standard_errors=outward(errors),
        statistics=outward(statistics),
        p_values=outward(p_values),
        low=outward(estimates - half),
        high=outward(estimates + half),
        covariance=outward(full, 0),
        kind=covariance,
        distribution="z" if covariance == "model" else "t",
        df=df,
        noise=noise if many_outputs else float(noise[0]),
        r_squared=r_squared if many_outputs else float(r_squared[0]),
        n_objects=sums.n_objects,
        n_privileged=sums.n_privileged,
        trust=trust,
        ridge=ridge,
        solver=solution.solver,
        rank=rank,
        condition=solution.condition,
        weights_kind=weights_kind,
        confidence=level,
        notes=tuple(notes),
    )


def estimable_parameters(solution: LeastSquares) -> NDArray[np.bool_]:
    r"""Which parameters all minimisers share: :math:`e_j` is in the row space of X̃.

    With D the norms of the columns (from their means if there is an intercept) and N an orthonormal
    basis of the complement of the range of :math:`D V`, every minimiser differs from the one
    returned by :math:`D^{-1} N` times something, and the intercept by :math:`-\mu^\top D^{-1} N`.

    Parameters
    ----------
    solution : LeastSquares

    Returns
    -------
    (q,) ndarray of bool
        In the order [intercept if any, :math:`w_1, \dots, w_n`].
    """
    n = len(solution.coef)
    root = solution.shifted_root
    if root is None or solution.rank == n:
        return np.ones(n + solution.fit_intercept, dtype=bool)
    D = solution.column_norms
    scaled = D[:, None] * root[-n:]
    left, singular, _ = np.linalg.svd(scaled)
    kept = np.zeros(n, dtype=bool)
    kept[: len(singular)] = singular > HALF_OF_THE_DIGITS * singular.max(initial=0.0)
    N = left[:, ~kept]
    slopes: NDArray[np.bool_] = np.linalg.norm(N, axis=1) <= HALF_OF_THE_DIGITS
    if not solution.fit_intercept:
        return slopes
    # by how much it moves, beside its own error for noise 1: the first row of the root
    means = (solution.shift / D) / np.linalg.norm(root[0])
    moved = np.abs(means @ N).max()
    size = 1 + (np.abs(means) @ np.abs(N)).max()
    return np.concatenate([[moved <= HALF_OF_THE_DIGITS * size], slopes])


def _covariance_kind(
    covariance: str, sigma: ArrayLike | None, sigma_teacher: ArrayLike | None, taught: bool
) -> str:
    """The named covariance, after "auto" is resolved, or the reason why it cannot be had."""
    check_choice("covariance", covariance, ("auto", *COVARIANCES))
    automatic = automatic_covariance(sigma, sigma_teacher, taught=taught)
    any_given = sigma is not None or sigma_teacher is not None
    if covariance == "auto" and not any_given:
        return automatic
    if covariance in ("auto", "model"):
        if automatic != "model":
            needed = "`sigma` and `sigma_teacher`" if taught else "`sigma`"
            msg = f"{needed} must be given for the covariance 'model', got None"
            raise ValueError(msg)
        return "model"
    if any_given:
        msg = f"`sigma` and `sigma_teacher` must be None for the covariance {covariance!r}"
        raise ValueError(msg)
    if covariance == "classical" and taught:
        msg = (
            "`covariance` must not be 'classical' where teacher's answers enter, for the blended "
            "targets are not data with variances 1/σ′: take 'sandwich' or 'model'"
        )
        raise ValueError(msg)
    return covariance


def _gram(rows: Reals) -> Reals:
    return rows.T @ rows


def _square_root(meat: Reals) -> Reals:
    """S with S Sᵀ = M, for one or more positive semidefinite M."""
    # with a diagonal of 1: else a column shrunk by the ridge drowns in the rounding of the others
    deviation = np.sqrt(np.diagonal(meat, axis1=-2, axis2=-1))
    unit = np.where(deviation > 0, deviation, 1.0)
    values, vectors = np.linalg.eigh(meat / unit[..., :, None] / unit[..., None, :])
    root: Reals = deviation[..., :, None] * vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
    return root


def _tests(
    estimates: Reals, errors: Reals, df: float, confidence: float, known: bool
) -> tuple[Reals, Reals, float]:
    """Statistics, two-sided p-values, and the quantile of half an interval in errors."""
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    with np.errstate(divide="ignore", invalid="ignore"):
        statistics = estimates / errors
    above = (1 + confidence) / 2
    if known:
        return statistics, 2 * ndtr(-np.abs(statistics)), float(ndtri(above))
    return statistics, 2 * stdtr(df, -np.abs(statistics)), float(stdtrit(df, above))


def _number(value: float, digits: int) -> str:
    return "n/a" if np.isnan(value) else f"{value:.{digits}g}"


def _padded(value: float, digits: int) -> str:
    """All digits, with the zeros at the end too."""
    return "n/a" if np.isnan(value) else f"{value:#.{digits}g}".rstrip(".")


def _cells(
    estimate: float, error: float, statistic: float, p: float, low: float, high: float
) -> tuple[str, ...]:
    """One row of the table, with as many digits as mean something."""
    ratio = f"{statistic:.2f}" if abs(statistic) < 1e5 else _number(statistic, 3)
    chance = "<0.0001" if p < 1e-4 else "n/a" if np.isnan(p) else f"{p:.4f}"
    ends = (_padded(low, 5), _padded(high, 5))
    return (_padded(estimate, 6), _padded(error, 4), ratio, chance, *ends)


def _plain(name: str) -> str:
    """A name on one line, without control characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(name.split()))
