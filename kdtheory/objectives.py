r"""Losses of distillation as functions of the student's logits: GS (3), (11), (14), (15) and MD.

With :math:`a_i = c_i (1 - \lambda 1_I)` and :math:`b_i = c_i \lambda 1_I`, and with
:math:`\mathrm{CE}(t, p) = -\sum_k t_k \log p_k`, the loss of an object is the negative of its
terms in GS (14),

.. math::
    \ell_i(z) = a_i\, \mathrm{CE}(y_i, \operatorname{softmax}(z))
        + b_i \big[\mathrm{CE}(s_i, \operatorname{softmax}(z/T)) + r(z/T)\big],

with one of three regularisers r:

* None: 0, the first three terms of (14), which are (11) with a categorical density;
* "exact": :math:`\log Z(u) - \operatorname{logsumexp}(u)`, so that the bracket is
  :math:`\log Z(u) - \langle s, u \rangle`, :math:`u = z/T`: the negative logarithm of (12) with
  the right constant;
* "printed": :math:`-\sum_k (\log g_k + \log\log 1/g_k)`, g = softmax(u), as (14) has it. It is not
  convex for K ≥ 3.

An objective checks labels, teacher and weights once; ``objective.at(logits)`` is then cheap and
gives value, gradient and Hessian products from one pass of exponentials.

**Digits.** With :math:`d = \max z - z \ge 0`, t the largest class and :math:`Q = \sum_{j \ne t}
e^{-d_j/T}`, the cross-entropy is :math:`\langle s, d \rangle / T + \log(1 + Q)`, a sum of positive
terms; :math:`1 - p_t = Q/(1 + Q)`; and a product with the Hessian takes a direction relative to its
entry at t. So nothing cancels at large margins. In the printed term :math:`\log(-\log p_t)` comes
from log Q, and :math:`p_j / (-\log p_t)` is a product of bounded factors, with :math:`p_j/Q` and
:math:`Q / \log(1 + Q)`.

notation: z = logits, y = labels, s = teacher, I = privileged, λ = trust, T = temperature,
c = sample_weight, d = depths, Q = odds, p = probabilities
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_answers,
    check_choice,
    check_count,
    check_flag,
    check_in_unit_interval,
    check_lengths_agree,
    check_logits,
    check_mask,
    check_masked_array,
    check_matrix,
    check_positive,
    check_real_array,
    check_sample_weight,
    check_shape,
    check_simplex_points,
    check_targets,
)
from kdtheory.divided_differences import log_normaliser, normaliser_gradient, normaliser_hessian
from kdtheory.regression import blend, noise_weight
from kdtheory.softening import soften

__all__ = [
    "AnswerObjective",
    "Expansion",
    "LogitObjective",
    "distillation_objective",
    "hinton_objective",
    "multi_domain_objective",
    "regression_objective",
]

Reals = NDArray[np.float64]
Rows = slice | NDArray[Any]

KEPT = 2**25  # entries of Hessians of log Z that are kept: 256 MB
LEAST_ODDS = 1e-300  # below this Q / log(1 + Q) is 1, but 0/0 once Q underflows

# Inside, classes come first, shape (K, m): sums over few classes then run along the objects.


def distillation_objective(
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
) -> "LogitObjective":
    r"""GS (14), and (11) for classes: labels everywhere, a teacher's answers on the set I.

    .. math::
        \ell_i(z) = a_i\, \mathrm{CE}(y_i, \operatorname{softmax}(z))
            + b_i \big[\mathrm{CE}(s_i, \operatorname{softmax}(z/T)) + r(z/T)\big].

    Parameters
    ----------
    y : (m,) or (m, K) array_like
        Class numbers 0 … K − 1, or points of the simplex.
    teacher : (m, K) array_like, optional
        Answers s: points of the simplex, softened already. Rows outside I are not looked at. None:
        I is empty, and the loss is the cross-entropy of the labels.
    n_classes : int, optional
        K; by default that of the teacher or of soft labels, else 1 + the largest class number.
    privileged : (m,) array_like of bool, optional
        The set I; None stands for all objects if there is a teacher.
    trust : float, default 0.5
        λ in [0, 1]; not used without a teacher.
    temperature : float, default 1
        T, the T_0 of (14), finite and positive.
    regulariser : {None, "printed", "exact"}, default None
        r, see the module.
    squared_temperature : bool, default False
        Whether the bracket is multiplied by T², as in Hinton's paper, which keeps its gradients
        in proportion to the labels'. GS (3) and (14) do not have this factor.
    sample_weight : (m,) array_like, optional
        c, at least 0, not all 0; ones by default.

    Returns
    -------
    LogitObjective

    Raises
    ------
    ValueError
        If labels are outside 0 … K − 1, answers are off the simplex (logits must be passed
        through `kdtheory.soften` first), I is empty although there is a teacher, shapes
        disagree, or a parameter is out of its range; if K = 1 and the regulariser is printed,
        as log log 1/g is then −∞.
    TypeError
        If an argument is of the wrong kind.

    References
    ----------
    .. [1] GS (11), (12) and (14); G. Hinton, O. Vinyals, J. Dean, *Distilling the knowledge in a
       neural network*, arXiv:1503.02531v1, section 2, for T².

    Examples
    --------
    >>> import numpy as np
    >>> at = distillation_objective([0], [[0.5, 0.5]], trust=0.25).at(np.array([[0.0, 0.0]]))
    >>> at.values.round(6), at.gradient  # softmax(z) − (0.75 y + 0.25 s)
    (array([0.693147]), array([[-0.375,  0.375]]))
    """
    T = check_positive("temperature", temperature)
    squared = check_flag("squared_temperature", squared_temperature)
    factor = check_positive("temperature**2", T * T) if squared else 1.0
    if regulariser is not None:
        check_choice("regulariser", regulariser, ("printed", "exact"))
    lam = check_in_unit_interval("trust", trust)
    labels, answers, inside = _labels_and_answers(y, teacher, privileged, n_classes)
    if regulariser == "printed" and labels.shape[1] == 1:
        msg = "`regulariser` must not be 'printed' for a single class: log log 1/g is infinite"
        raise ValueError(msg)
    weight = check_sample_weight("sample_weight", sample_weight, len(labels))
    of_labels = np.where(inside, 1 - lam, 1.0) * weight
    of_teacher = np.where(inside, lam * factor, 0.0) * weight

    label_target = _classes_first(labels) * of_labels
    if not of_teacher.any():
        return LogitObjective((_CrossEntropy(of_labels, label_target, 1.0),))
    target = _classes_first(answers) * of_teacher
    terms: list[_LogitTerm] = []
    if regulariser == "exact":
        terms.append(_Exact(of_teacher, target, T))
    elif T == 1:  # one cross-entropy serves both
        of_labels, label_target = of_labels + of_teacher, label_target + target
    else:
        terms.append(_CrossEntropy(of_teacher, target, T))
    if of_labels.any():
        terms.insert(0, _CrossEntropy(of_labels, label_target, 1.0))
    if regulariser == "printed":
        terms.append(_Printed(of_teacher, labels.shape[1], T))
    return LogitObjective(tuple(terms))


def hinton_objective(
    y: ArrayLike,
    teacher_logits: ArrayLike,
    *,
    temperature: float = 1.0,
    squared_temperature: bool = False,
    sample_weight: ArrayLike | None = None,
) -> "LogitObjective":
    r"""GS (3), minimised in (4): Hinton's loss, whose two terms have no weights.

    .. math::
        \ell_i(z) = c_i \big[\mathrm{CE}(y_i, \operatorname{softmax}(z))
            + \mathrm{CE}(\operatorname{softmax}(v_i/T), \operatorname{softmax}(z/T))\big].

    It is twice (14) without regulariser at λ = ½ and I everything, for answers softened at T.

    Parameters
    ----------
    y : (m,) or (m, K) array_like
        Class numbers 0 … K − 1, or points of the simplex.
    teacher_logits : (m, K) array_like
        v, finite.
    temperature : float, default 1
        T, finite and positive, of both teacher and student.
    squared_temperature : bool, default False
        Whether the second term is multiplied by T², as in Hinton's paper; not in GS (3).
    sample_weight : (m,) array_like, optional
        c, at least 0, not all 0; ones by default.

    Returns
    -------
    LogitObjective

    Raises
    ------
    ValueError, TypeError
        As `distillation_objective`.

    References
    ----------
    .. [1] GS (3) and (4); MD, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> hinton_objective([0], [[0.0, 0.0]]).at(np.array([[0.0, 0.0]])).gradient
    array([[-0.5,  0.5]])
    """
    v = check_logits("teacher_logits", check_matrix("teacher_logits", teacher_logits))
    labels = check_targets("y", y, n_classes=v.shape[1])
    check_lengths_agree(y=labels, teacher_logits=v)
    return distillation_objective(
        labels,
        soften(v.astype(np.float64, copy=False), temperature),
        temperature=temperature,
        squared_temperature=squared_temperature,
        sample_weight=2 * check_sample_weight("sample_weight", sample_weight, len(v)),
    )


def multi_domain_objective(
    y: ArrayLike,
    teacher: ArrayLike,
    *,
    n_classes: int | None = None,
    trust: float = 0.5,
    sample_weight: ArrayLike | None = None,
) -> "LogitObjective":
    r"""The loss of MD, section 3.2, for classes: squares between probabilities.

    .. math::
        \ell_i(z) = c_i \big[(1 - \lambda) \|y_i - p\|_2^2 + \lambda \|p - s_i\|_2^2\big],
        \qquad p = \operatorname{softmax}(z), \quad s_i = f(\varphi(x_i)).

    MD's own λ is the opposite of the trust: :math:`\lambda_{MD} = 1 - \lambda`. The loss is not
    convex in the logits, and bounded. For real answers it is `regression_objective` with both
    noises 1 and I everything.

    Parameters
    ----------
    y : (m,) or (m, K) array_like
        Class numbers 0 … K − 1, taken as one-hot vectors, or points of the simplex.
    teacher : (m, K) array_like
        The teacher's answers on the linked features: points of the simplex.
    n_classes : int, optional
        K; by default that of the teacher.
    trust : float, default 0.5
        λ in [0, 1], the weight of the teacher.
    sample_weight : (m,) array_like, optional
        c, at least 0, not all 0; ones by default.

    Returns
    -------
    LogitObjective

    Raises
    ------
    ValueError, TypeError
        As `distillation_objective`.

    References
    ----------
    .. [1] MD, section 3.2, with one-hot labels and probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> multi_domain_objective([0], [[0.5, 0.5]]).at(np.array([[0.0, 0.0]])).values
    array([0.25])
    """
    lam = check_in_unit_interval("trust", trust)
    labels, answers, _ = _labels_and_answers(y, teacher, None, n_classes)
    weight = check_sample_weight("sample_weight", sample_weight, len(labels))
    term = _Squares(weight, _classes_first(labels), _classes_first(answers), lam)
    return LogitObjective((term,))


def regression_objective(
    y: ArrayLike,
    teacher: ArrayLike | None = None,
    *,
    privileged: ArrayLike | None = None,
    trust: float = 0.5,
    sigma: Any = 1.0,
    sigma_teacher: Any = 1.0,
    convention: str = "precision",
    sample_weight: ArrayLike | None = None,
) -> "AnswerObjective":
    r"""GS (15): the squares of regression, as functions of the predictions.

    .. math::
        \ell_i(g) = a_i\, \omega_i \|y_i - g\|^2 + b_i\, \omega_{s,i} \|s_i - g\|^2.

    `kdtheory.regression.distil_regression` minimises their sum for a linear student.

    Parameters
    ----------
    y : (m,) or (m, p) array_like
        True answers.
    teacher : array_like of the shape of y, optional
        Answers s; those outside I are not looked at. None: I is empty.
    privileged : (m,) array_like of bool, optional
        The set I; None stands for all objects if there is a teacher.
    trust : float, default 0.5
        λ in [0, 1].
    sigma, sigma_teacher : float or (m,) array_like, default 1
        Noise of the labels and of the teacher's answers, positive.
    convention : {"precision", "printed"}, default "precision"
        Whether :math:`\omega = 1/\sigma^2`, as the normal density has it, or :math:`\sigma^2`, as
        (15) prints it; the same for :math:`\omega_s`.
    sample_weight : (m,) array_like, optional
        c, at least 0, not all 0; ones by default.

    Returns
    -------
    AnswerObjective

    Raises
    ------
    ValueError
        If shapes disagree, I is empty although there is a teacher, an answer is not finite, or a
        parameter is out of its range.
    TypeError
        If an argument is of the wrong kind.

    References
    ----------
    .. [1] GS (15); MD, section 3.2, loss.

    Examples
    --------
    >>> at = regression_objective([0.0, 1.0], [2.0, 3.0]).at([0.0, 0.0])
    >>> at.values, at.gradient
    (array([2., 5.]), array([-2., -4.]))
    """
    labels = check_answers("y", y)
    m = len(labels)
    lam = check_in_unit_interval("trust", trust)
    inside = _answered(teacher, privileged, m)
    answers = np.zeros_like(labels)
    if teacher is not None:
        given = check_masked_array("teacher", teacher, inside, shape=labels.shape)
        answers = given.astype(np.float64, copy=False)
    precision = noise_weight("sigma", sigma, m, convention)
    of_teacher = noise_weight("sigma_teacher", sigma_teacher, m, convention)
    weight = check_sample_weight("sample_weight", sample_weight, m)
    weights, targets = blend(labels, answers, inside, lam, precision, of_teacher)
    share = np.where(inside, lam * of_teacher, 0.0) / weights
    gaps = ((labels - answers) ** 2).reshape(m, -1).sum(axis=1)
    # a‖y − g‖² + b‖s − g‖² = (a + b)‖y″ − g‖² + ab/(a + b) ‖y − s‖²
    disagreement = weight * share * (1 - share) * weights * gaps
    columns = _classes_first(targets.reshape(m, -1))
    return AnswerObjective(_Answers(weight * weights, columns, disagreement), labels.shape)


class LogitObjective:
    """Losses of m objects as functions of their logits; made by the functions of this module.

    Attributes
    ----------
    n_objects, n_classes : int
        m and K.
    """

    def __init__(self, terms: "tuple[_LogitTerm, ...]") -> None:
        self._terms = terms
        self.n_classes, self.n_objects = terms[0].shape

    def __repr__(self) -> str:
        return f"LogitObjective(n_objects={self.n_objects}, n_classes={self.n_classes})"

    @property
    def convex(self) -> bool:
        """Whether every loss is known to be convex in the logits."""
        return all(term.convex for term in self._terms)

    @property
    def support(self) -> NDArray[np.bool_]:
        """Classes that a target gives weight to, shape (m, K).

        The convex losses stay bounded along a direction of the logits only if all classes of
        the support of each object have the largest of its velocities. Where the printed
        regulariser acts that is every class.
        """
        result = np.zeros((self.n_classes, self.n_objects), dtype=bool)
        for term in self._terms:
            result |= term.support
        return result.T

    def at(self, logits: ArrayLike) -> "Expansion":
        """Losses near these logits, of shape (m, K), whose numbers are not checked: finite ones.

        Raises
        ------
        ValueError, TypeError
            If they are not real numbers of this shape.
        """
        z = check_shape("logits", logits, (self.n_objects, self.n_classes))
        return Expansion(self._terms, z)

    def rows(self, index: Rows) -> "LogitObjective":
        """The losses of some objects, by slice, index array or mask; nothing is checked again."""
        return LogitObjective(tuple(term.rows(index) for term in self._terms))

    def blends(self, other: "LogitObjective", shares: ArrayLike) -> "LogitObjective":
        """Losses (1 − u) · own + u · other's, for all objects at one share u after the other.

        Both must be cross-entropies at T = 1, such as (14) at trusts 0 and 1 without a regulariser,
        whose blends are (14) at the trusts between.

        Raises
        ------
        ValueError
            If one is something else, or their shapes disagree.
        """
        u = check_real_array("shares", shares, ndim=1).astype(np.float64)[:, None]
        own, others = self._terms[0], other._terms[0]
        plain = all(
            len(terms) == 1 and isinstance(terms[0], _CrossEntropy) and terms[0].temperature == 1
            for terms in (self._terms, other._terms)
        )
        if not plain or own.shape != others.shape:
            msg = "`other` must be a cross-entropy at T = 1 of the same objects, as its partner"
            raise ValueError(msg)
        assert isinstance(own, _CrossEntropy)
        assert isinstance(others, _CrossEntropy)
        weight = (1 - u) * own.weight + u * others.weight
        target = (1 - u) * own.target[:, None] + u * others.target[:, None]
        term = _CrossEntropy(weight.ravel(), target.reshape(len(target), -1), 1.0)
        return LogitObjective((term,))


class AnswerObjective:
    r"""Losses of m objects as functions of real predictions; made by `regression_objective`.

    Attributes
    ----------
    shape : tuple of int
        That of the predictions, (m,) or (m, p).
    """

    def __init__(self, term: "_Answers", shape: tuple[int, ...]) -> None:
        self._term = term
        self.shape = shape

    def __repr__(self) -> str:
        return f"AnswerObjective(shape={self.shape})"

    def at(self, predictions: ArrayLike) -> "Expansion":
        """Losses near these predictions, whose numbers are not checked.

        Raises
        ------
        ValueError, TypeError
            If they are not real numbers of the shape of the labels.
        """
        return Expansion((self._term,), check_shape("predictions", predictions, self.shape))

    def rows(self, index: Rows) -> "AnswerObjective":
        """The losses of some objects, by slice, index array or mask; nothing is checked again."""
        term = self._term.rows(index)
        return AnswerObjective(term, (len(term.weight), *self.shape[1:]))


class Expansion:
    """Value and derivatives of the losses at a point, each computed when it is asked for.

    The point is logits of shape (m, K), or predictions of shape (m,), where K is 1, or (m, K).
    """

    def __init__(self, terms: "tuple[_Term, ...]", place: Reals) -> None:
        self._terms = terms
        self._shape = place.shape
        known: dict[float, _Softmax] = {}
        classes = self._classes_first(place)
        self._points = [term.point(classes, known) for term in terms]

    @cached_property
    def values(self) -> Reals:
        """Loss of each object, shape (m,)."""
        return self._sum("values")

    @cached_property
    def gradient(self) -> Reals:
        """Its derivatives, in the shape of the point; over classes they sum to 0."""
        return self._sum("gradient").T.reshape(self._shape)

    def hessian_product(self, direction: ArrayLike) -> Reals:
        """Product of each object's Hessian with its row of a direction of the point's shape.

        Raises
        ------
        ValueError, TypeError
            If the direction is not real numbers of this shape.
        """
        v = self._classes_first(check_shape("direction", direction, self._shape))
        return self._sum("hessian_product", v).T.reshape(self._shape)

    @cached_property
    def hessian(self) -> Reals:
        """Hessian of each object's loss, shape (m, K, K), symmetric."""
        return np.moveaxis(self._sum("hessian"), -1, 0)

    @staticmethod
    def _classes_first(array: Reals) -> Reals:
        return _classes_first(array if array.ndim == 2 else array[:, None])

    def _sum(self, what: str, *arguments: Reals) -> Reals:
        with np.errstate(over="ignore", under="ignore"):
            parts = [
                getattr(term, what)(point, *arguments)
                for term, point in zip(self._terms, self._points, strict=True)
            ]
        total: Reals = parts[0]
        for part in parts[1:]:
            total += part
        return total


def _labels_and_answers(
    y: ArrayLike,
    teacher: ArrayLike | None,
    privileged: ArrayLike | None,
    n_classes: int | None,
) -> tuple[Reals, Reals, NDArray[np.bool_]]:
    """Labels (m, K), answers (m, K), which are 0 outside I, and the mask of I."""
    if n_classes is not None:
        check_count("n_classes", n_classes, least=1)
    if teacher is None:
        labels = check_targets("y", y, n_classes=n_classes)
        return labels, np.zeros_like(labels), _answered(teacher, privileged, len(labels))
    given = check_matrix("teacher", teacher, finite=False)
    labels = check_targets("y", y, n_classes=given.shape[1] if n_classes is None else n_classes)
    inside = _answered(teacher, privileged, len(labels))
    answers = check_masked_array("teacher", given, inside, shape=labels.shape)
    advice = "; pass logits through kdtheory.soften first"
    points = check_simplex_points("teacher", answers[inside], advice=advice).astype(np.float64)
    answers = np.zeros_like(labels)
    answers[inside] = points / points.sum(axis=1, keepdims=True)
    return labels, answers, inside


def _answered(teacher: ArrayLike | None, privileged: ArrayLike | None, m: int) -> NDArray[np.bool_]:
    """The set I: empty without a teacher, not empty with one."""
    if teacher is None:
        if privileged is not None:
            msg = "`privileged` must be None without a teacher, got a mask"
            raise ValueError(msg)
        return np.zeros(m, dtype=bool)
    inside = check_mask("privileged", privileged, m)
    if not inside.any():
        msg = "`privileged` must be True for at least one object if there is a teacher, got none"
        raise ValueError(msg)
    return inside


def _classes_first(array: Reals) -> Reals:
    return np.ascontiguousarray(array.T)


def _of_rows(array: Reals, index: Rows) -> Reals:
    """Some objects of an array (..., m); a view if they are a slice."""
    if isinstance(index, slice):
        return array[..., index]
    rows = np.asarray(index)
    return array.take(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows, axis=-1)


class _Softmax:
    """Softmax of logits (K, m) at a temperature, in the parts that keep all digits.

    At ties every class of largest logit counts as largest; what cancels for a single one does not
    cancel there.
    """

    def __init__(self, logits: Reals, temperature: float) -> None:
        self.temperature = temperature
        self.depths = logits.max(axis=0) - logits
        self.is_largest = self.depths == 0
        with np.errstate(over="ignore", under="ignore"):
            powers: Reals = self.depths / -temperature
            np.exp(powers, out=powers)
        np.copyto(powers, 0, where=self.is_largest)
        self.ties: Reals = self.is_largest.sum(axis=0, dtype=np.float64)
        self.odds: Reals = powers.sum(axis=0) + (self.ties - 1)
        self._total = 1 + self.odds
        powers /= self._total
        self.misses: Reals = self.odds / self._total  # 1 − p of the largest class
        np.copyto(powers, -self.misses, where=self.is_largest)
        self._deviation = powers  # p, and p − 1 for the largest class

    @cached_property
    def probabilities(self) -> Reals:
        result = self._deviation.copy()
        np.copyto(result, 1 / self._total, where=self.is_largest)
        return result

    @cached_property
    def _centre(self) -> Reals:
        """Weights of the mean over the largest classes."""
        return np.asarray(self.is_largest / self.ties)

    def residual(self, weight: Reals, target: Reals) -> Reals:
        """Weight · p − target; at the largest class (weight − target) − weight · (1 − p)."""
        return _residual(weight, target, self.is_largest, self._deviation)

    def spread(self, direction: Reals) -> Reals:
        """Derivative of p along v: p ∘ (v − ⟨p, v⟩)."""
        v: Reals = direction - np.einsum("km,km->m", self._centre, direction)
        v -= np.einsum("km,km->m", self.probabilities, v)
        v *= self.probabilities
        return v

    @cached_property
    def printed(self) -> "_PrintedFactors":
        return _PrintedFactors(self)

    @cached_property
    def covariance(self) -> Reals:
        """Derivative of p, shape (K, K, m)."""
        p = self.probabilities
        result: Reals = -p[:, None] * p
        diagonal = np.arange(len(p))
        result[diagonal, diagonal] = p * np.where(self.is_largest, self.misses, 1 - p)
        return result


def _shared_softmax(logits: Reals, temperature: float, known: dict[float, _Softmax]) -> _Softmax:
    """The softmax at a temperature, which all terms at this temperature share."""
    if temperature not in known:
        known[temperature] = _Softmax(logits, temperature)
    return known[temperature]


def _residual(
    weight: Reals, target: Reals, is_largest: NDArray[np.bool_], deviation: Reals
) -> Reals:
    """Weight · mean − target for the deviation mean − 1[largest].

    At the largest class weight · deviation − (target − weight), as 1 + deviation would round.
    """
    given = target.copy()
    np.subtract(given, weight, out=given, where=is_largest)
    result = weight * deviation
    result -= given
    return result


class _Term(Protocol):
    """One weighted summand of the losses; arrays are (m,), (K, m) or (K, K, m).

    A point is what its values and derivatives at some logits share.
    """

    def point(self, logits: Reals, known: dict[float, _Softmax]) -> Any: ...
    def values(self, at: Any) -> Reals: ...
    def gradient(self, at: Any) -> Reals: ...
    def hessian_product(self, at: Any, direction: Reals) -> Reals: ...
    def hessian(self, at: Any) -> Reals: ...


class _LogitTerm(_Term, Protocol):
    @property
    def convex(self) -> bool: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def support(self) -> NDArray[np.bool_]: ...
    def rows(self, index: Rows) -> "_LogitTerm": ...


@dataclass(frozen=True, eq=False)
class _CrossEntropy:
    """Weight · CE(s, softmax(z/T)), for target = weight · s."""

    weight: Reals
    target: Reals
    temperature: float
    convex = True

    @property
    def shape(self) -> tuple[int, int]:
        return self.target.shape

    @property
    def support(self) -> NDArray[np.bool_]:
        return self.target > 0

    def rows(self, index: Rows) -> "_CrossEntropy":
        return _CrossEntropy(
            _of_rows(self.weight, index), _of_rows(self.target, index), self.temperature
        )

    def point(self, logits: Reals, known: dict[float, _Softmax]) -> _Softmax:
        return _shared_softmax(logits, self.temperature, known)

    def values(self, at: _Softmax) -> Reals:
        # the depths first: 0 · d is 0 where d/T is infinite
        result: Reals = np.einsum("km,km->m", self.target, at.depths) / self.temperature
        result += self.weight * np.log1p(at.odds)
        return result

    def gradient(self, at: _Softmax) -> Reals:
        result = at.residual(self.weight, self.target)
        result /= self.temperature
        return result

    def hessian_product(self, at: _Softmax, direction: Reals) -> Reals:
        result = at.spread(direction)
        result *= self._curvature
        return result

    def hessian(self, at: _Softmax) -> Reals:
        return at.covariance * self._curvature

    @property
    def _curvature(self) -> Reals:
        return self.weight / self.temperature / self.temperature


class _Normaliser:
    """The divided difference Z of exp at logits (K, m) over a temperature."""

    def __init__(self, logits: Reals, temperature: float) -> None:
        self.depths = logits.max(axis=0) - logits
        self.is_largest = self.depths == 0
        self.ties: Reals = self.is_largest.sum(axis=0, dtype=np.float64)
        with np.errstate(over="ignore", under="ignore"):
            self.nodes: Reals = (self.depths / -temperature).T

    @cached_property
    def log_integral(self) -> Reals:
        return np.asarray(log_normaliser(self.nodes))

    @cached_property
    def mean(self) -> Reals:
        return _classes_first(normaliser_gradient(self.nodes))

    @cached_property
    def deviation(self) -> Reals:
        """The mean, minus 1 for the largest class: there the sum of all others, negative."""
        result = self.mean.copy()
        np.copyto(result, 0, where=self.is_largest)
        others = result.sum(axis=0) + (self.ties - 1) * self.mean.max(axis=0)
        np.copyto(result, -others, where=self.is_largest)
        return result

    @cached_property
    def covariance(self) -> Reals:
        """Derivative of the mean, shape (m, K, K)."""
        return np.asarray(normaliser_hessian(self.nodes))

    def spread(self, direction: Reals) -> Reals:
        """Covariance times a direction (K, m)."""
        centre = self.is_largest / self.ties
        v = (direction - np.einsum("km,km->m", centre, direction)).T[:, :, None]
        m, n_classes = self.nodes.shape
        size = max(1, KEPT // n_classes**2)
        if m <= size:
            product: Reals = self.covariance @ v
            return product[:, :, 0].T
        result = np.empty((m, n_classes))
        for start in range(0, m, size):  # too many to keep: again for each direction
            block = slice(start, start + size)
            result[block] = (normaliser_hessian(self.nodes[block]) @ v[block])[:, :, 0]
        return result.T


@dataclass(frozen=True, eq=False)
class _Exact:
    """Weight · [log Z(z/T) − ⟨s, z/T⟩], for target = weight · s, where the weight is positive."""

    weight: Reals
    target: Reals
    temperature: float
    convex = True

    @property
    def shape(self) -> tuple[int, int]:
        return self.target.shape

    @property
    def support(self) -> NDArray[np.bool_]:
        return self.target > 0

    def rows(self, index: Rows) -> "_Exact":
        return _Exact(_of_rows(self.weight, index), _of_rows(self.target, index), self.temperature)

    @cached_property
    def _active(self) -> Rows:
        """The objects of I: log Z costs far more than an exponential."""
        positive = self.weight > 0
        return slice(None) if positive.all() else np.flatnonzero(positive)

    def point(self, logits: Reals, known: dict[float, _Softmax]) -> _Normaliser:  # noqa: ARG002
        return _Normaliser(logits[:, self._active], self.temperature)

    def values(self, at: _Normaliser) -> Reals:
        rows = self._active
        result = np.zeros(self.weight.shape)
        result[rows] = np.einsum("km,km->m", self.target[:, rows], at.depths) / self.temperature
        result[rows] += self.weight[rows] * at.log_integral
        return result

    def gradient(self, at: _Normaliser) -> Reals:
        rows = self._active
        weight, target = self.weight[rows], self.target[:, rows]
        result = np.zeros(self.shape)
        result[:, rows] = _residual(weight, target, at.is_largest, at.deviation)
        result /= self.temperature
        return result

    def hessian_product(self, at: _Normaliser, direction: Reals) -> Reals:
        rows = self._active
        result = np.zeros(self.shape)
        result[:, rows] = at.spread(direction[:, rows]) * self._curvature[rows]
        return result

    def hessian(self, at: _Normaliser) -> Reals:
        n_classes, m = self.shape
        result = np.zeros((n_classes, n_classes, m))
        covariance = np.moveaxis(at.covariance, 0, -1)
        result[..., self._active] = covariance * self._curvature[self._active]
        return result

    @property
    def _curvature(self) -> Reals:
        return self.weight / self.temperature / self.temperature


class _PrintedFactors:
    """What −Σ (a + log(−a)), a = log p, and its derivatives are made of, every part bounded.

    Class t is a largest one, Q the odds of all others, L = −a. L_t = log(1 + Q) may underflow.
    """

    def __init__(self, softmax: _Softmax) -> None:
        depths, odds, T = softmax.depths, softmax.odds, softmax.temperature
        self.softmax = softmax
        self.objects = np.arange(len(odds))
        self.top = softmax.is_largest.argmax(axis=0)
        others = depths.copy()
        others[self.top, self.objects] = np.inf
        self.second = others.argmin(axis=0)
        nearest = others[self.second, self.objects]
        self.shares = np.exp((nearest - others) / T)  # p / Q, and 0 at t
        total = self.shares.sum(axis=0)
        self.shares /= total
        self.losses = others / T + np.log1p(odds)  # L, infinite at t
        self.inverses = 1 / self.losses
        self.inverse_sum = self.inverses.sum(axis=0)
        some = np.maximum(odds, LEAST_ODDS)
        self.excess = some / np.log1p(some) - 1  # Q / L_t − 1
        self.slope = (1 + self.excess) / (1 + odds)  # (1 − p_t) / L_t
        self.log_top_loss = np.log(total) - nearest / T - np.log1p(self.excess)

    def values(self) -> Reals:
        losses = self.losses.copy()
        losses[self.top, self.objects] = 1
        log_losses = np.log(losses)
        losses[self.top, self.objects] = np.log1p(self.softmax.odds)
        log_losses[self.top, self.objects] = self.log_top_loss
        return np.asarray((losses - log_losses).sum(axis=0))

    def gradient(self) -> Reals:
        p = self.softmax.probabilities
        result: Reals = (len(p) - self.inverse_sum) * p - 1 + self.inverses
        result -= self.shares * self.slope
        result[self.top, self.objects] += self.slope
        return result

    def hessian_product(self, direction: Reals) -> Reals:
        p, odds = self.softmax.probabilities, self.softmax.odds
        v = direction - direction[self.top, self.objects]
        mean = np.einsum("km,km->m", self.shares, v)  # of the others
        # relative to the second class too, as its share may be nearly all
        w = direction - direction[self.second, self.objects]
        below = np.einsum("km,km->m", self.shares, w) - w
        v -= self.softmax.misses * mean
        bent = v * self.inverses * self.inverses
        rest = mean * self.excess / (1 + odds)
        result: Reals = bent - p * bent.sum(axis=0)
        result += (len(p) - self.inverse_sum) * p * v
        result += self.shares * self.slope * (below + rest)
        result[self.top, self.objects] -= self.slope * rest
        return result


@dataclass(frozen=True, eq=False)
class _Printed:
    """Weight · r(z/T) with the regulariser that GS (14) prints."""

    weight: Reals
    n_classes: int
    temperature: float

    @property
    def convex(self) -> bool:
        return self.n_classes == 2

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_classes, len(self.weight)

    @property
    def support(self) -> NDArray[np.bool_]:
        return np.broadcast_to(self.weight > 0, self.shape)

    def rows(self, index: Rows) -> "_Printed":
        return _Printed(_of_rows(self.weight, index), self.n_classes, self.temperature)

    def point(self, logits: Reals, known: dict[float, _Softmax]) -> _Softmax:
        return _shared_softmax(logits, self.temperature, known)

    def values(self, at: _Softmax) -> Reals:
        return self.weight * at.printed.values()

    def gradient(self, at: _Softmax) -> Reals:
        return self.weight / self.temperature * at.printed.gradient()

    def hessian_product(self, at: _Softmax, direction: Reals) -> Reals:
        curvature = self.weight / self.temperature / self.temperature
        return curvature * at.printed.hessian_product(direction)

    def hessian(self, at: _Softmax) -> Reals:
        return _hessian_by_products(self, at)


@dataclass(frozen=True, eq=False)
class _Squares:
    """Weight · [(1 − λ) ‖y − p‖² + λ ‖p − s‖²] with p = softmax(z)."""

    weight: Reals
    labels: Reals
    answers: Reals
    trust: float
    convex = False

    @property
    def shape(self) -> tuple[int, int]:
        return self.labels.shape

    @property
    def support(self) -> NDArray[np.bool_]:
        return self.weight * ((1 - self.trust) * self.labels + self.trust * self.answers) > 0

    def rows(self, index: Rows) -> "_Squares":
        labels, answers = _of_rows(self.labels, index), _of_rows(self.answers, index)
        return _Squares(_of_rows(self.weight, index), labels, answers, self.trust)

    def point(self, logits: Reals, known: dict[float, _Softmax]) -> _Softmax:
        return _shared_softmax(logits, 1.0, known)

    def values(self, at: _Softmax) -> Reals:
        one = np.ones_like(self.weight)
        of_labels = (at.residual(one, self.labels) ** 2).sum(axis=0)
        of_teacher = (at.residual(one, self.answers) ** 2).sum(axis=0)
        result: Reals = self.weight * ((1 - self.trust) * of_labels + self.trust * of_teacher)
        return result

    def gradient(self, at: _Softmax) -> Reals:
        return at.spread(self._slope(at))

    def hessian_product(self, at: _Softmax, direction: Reals) -> Reals:
        p, slope = at.probabilities, self._slope(at)
        change = at.spread(direction)
        relative = slope - np.einsum("km,km->m", p, slope)
        bent = change * relative
        result: Reals = bent - p * bent.sum(axis=0)
        result += at.spread(2 * self.weight * change)
        return result

    def hessian(self, at: _Softmax) -> Reals:
        return _hessian_by_products(self, at)

    def _slope(self, at: _Softmax) -> Reals:
        """Derivative in p."""
        one = np.ones_like(self.weight)
        blend = (1 - self.trust) * self.labels + self.trust * self.answers
        return 2 * self.weight * at.residual(one, blend)


@dataclass(frozen=True, eq=False)
class _Answers:
    """σ′‖y″ − g‖² + d with the blend of GS (17); d is the square that no prediction removes."""

    weight: Reals
    targets: Reals
    disagreement: Reals

    def rows(self, index: Rows) -> "_Answers":
        targets, disagreement = _of_rows(self.targets, index), _of_rows(self.disagreement, index)
        return _Answers(_of_rows(self.weight, index), targets, disagreement)

    def point(self, predictions: Reals, known: dict[float, _Softmax]) -> Reals:  # noqa: ARG002
        return predictions

    def values(self, at: Reals) -> Reals:
        result: Reals = self.weight * ((self.targets - at) ** 2).sum(axis=0)
        return result + self.disagreement

    def gradient(self, at: Reals) -> Reals:
        return 2 * self.weight * (at - self.targets)

    def hessian_product(self, at: Reals, direction: Reals) -> Reals:  # noqa: ARG002
        return 2 * self.weight * direction

    def hessian(self, at: Reals) -> Reals:
        return np.asarray(2 * self.weight * np.eye(len(at))[..., None])


def _hessian_by_products(term: Any, at: Any) -> Reals:
    """Hessian, shape (K, K, m), column by column."""
    n_classes, m = term.shape
    columns = np.empty((n_classes, n_classes, m))
    for k in range(n_classes):
        direction = np.zeros((n_classes, m))
        direction[k] = 1
        columns[k] = term.hessian_product(at, direction)
    return (columns + columns.swapaxes(0, 1)) / 2
