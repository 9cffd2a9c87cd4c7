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

Labels, teacher and weights are checked once; ``objective.at(logits)`` is then cheap, see
`kdtheory.expansions`, and keeps its digits at large margins, see `kdtheory.logit_terms`.

notation: z = logits, y = labels, s = teacher, I = privileged, λ = trust, T = temperature,
c = sample_weight, p = probabilities
"""

from typing import Any

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
    check_sample_weight,
    check_simplex_points,
    check_targets,
)
from kdtheory.expansions import AnswerObjective, LogitObjective
from kdtheory.logit_terms import (
    AnswerSquares,
    CrossEntropy,
    ExactBracket,
    LogitTerm,
    PrintedRegulariser,
    ProbabilitySquares,
    classes_first,
)
from kdtheory.regression import blend, noise_weight
from kdtheory.softening import soften

__all__ = [
    "distillation_objective",
    "hinton_objective",
    "multi_domain_objective",
    "regression_objective",
]

Reals = NDArray[np.float64]

HEAVIEST = 1e150  # sum of weights, times losses and squares of features


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
) -> LogitObjective:
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
    with np.errstate(over="ignore"):
        total = float(weight.sum())
    if total > HEAVIEST:
        msg = f"`sample_weight` must sum to at most {HEAVIEST:g}, got {total:g}"
        raise ValueError(msg)
    of_labels = np.where(inside, 1 - lam, 1.0) * weight
    of_teacher = np.where(inside, lam * factor, 0.0) * weight

    label_target = classes_first(labels) * of_labels
    if not of_teacher.any():
        return LogitObjective((CrossEntropy(of_labels, label_target, 1.0),))
    target = classes_first(answers) * of_teacher
    terms: list[LogitTerm] = []
    if regulariser == "exact":
        terms.append(ExactBracket(of_teacher, target, T))
    elif T == 1:  # one cross-entropy serves both
        of_labels, label_target = of_labels + of_teacher, label_target + target
    else:
        terms.append(CrossEntropy(of_teacher, target, T))
    if of_labels.any():
        terms.insert(0, CrossEntropy(of_labels, label_target, 1.0))
    if regulariser == "printed":
        terms.append(PrintedRegulariser(of_teacher, labels.shape[1], T))
    return LogitObjective(tuple(terms))


def hinton_objective(
    y: ArrayLike,
    teacher_logits: ArrayLike,
    *,
    temperature: float = 1.0,
    squared_temperature: bool = False,
    sample_weight: ArrayLike | None = None,
) -> LogitObjective:
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
) -> LogitObjective:
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
    term = ProbabilitySquares(weight, classes_first(labels), classes_first(answers), lam)
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
) -> AnswerObjective:
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
    columns = classes_first(targets.reshape(m, -1))
    return AnswerObjective(AnswerSquares(weight * weights, columns, disagreement), labels.shape)


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
