r"""The losses of distillation for torch: GS (14), (11) and (3), and the squares of MD, section 3.2.

.. math::
    \ell_i(z) = a_i\, \mathrm{CE}(y_i, \operatorname{softmax}(z))
        + b_i \big[\mathrm{CE}(s_i, \operatorname{softmax}(z/T)) + r(z/T)\big]

with the r, a and b of `kdtheory.objectives`, whose float64 arrays judge these functions. Every loss
is computed from the depths :math:`d = \max z - z`, in float32 if the logits are float32, float16 or
bfloat16 (under autocast too) and in float64 if they are float64: values and gradients are finite
for logits of any size that float16 has. No logarithm is taken of a probability, nothing is clamped.

**High temperatures.** Answers and predictions are close to each other there: their difference, the
gradient, has a rounding error of T ε of its size. So above T = 8, where T ε of float32 is 1e-6, the
teacher's bracket is computed in float64, and rounded in the end.

**What is checked.** Shapes, types of numbers and devices of the tensors, and every Python number.
Values inside tensors are not: looking at one would make the host wait for the device at each step.
A label out of range is refused by torch itself.

**The teacher** is data: no gradient flows into it.

notation: z = logits, y = labels, s = teacher, v = teacher_logits, I = privileged, λ = trust,
T = temperature, c = sample_weight, p = probabilities, d = depths, Q = odds
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kdtheory._checks import (
    check_choice,
    check_count,
    check_flag,
    check_in_unit_interval,
    check_number_between,
)
from kdtheory.neural.batches import IGNORED
from kdtheory.neural.normaliser import log_normaliser

__all__ = [
    "DistillationLoss",
    "DomainDistillationLoss",
    "distillation_loss",
    "domain_distillation_loss",
]

KINDS = {
    "bool": (torch.bool,),
    "class numbers of an integer type": (
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
    ),
    "floating point": (torch.float64, torch.float32, torch.float16, torch.bfloat16),
}
HOTTEST = 1e18  # T² and 1/T² are numbers of float32
HOT = 8.0  # above, T ε of float32 is more than 1e-6
FAINT_ODDS = -20.0  # of log Q: below, log log(1 + Q) is log Q − Q/2 up to Q² < eps of float64


def distillation_loss(
    logits: Tensor,
    labels: Tensor,
    teacher: Tensor | None = None,
    *,
    teacher_logits: Tensor | None = None,
    privileged: Tensor | None = None,
    trust: float | Tensor = 0.5,
    temperature: float | Tensor = 1.0,
    regulariser: str | None = None,
    squared_temperature: bool = False,
    sample_weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
) -> Tensor:
    r"""GS (14): labels where they are known, a teacher's answers on the set I.

    .. math::
        \ell_i(z) = a_i\, \mathrm{CE}(y_i, \operatorname{softmax}(z))
            + b_i \big[\mathrm{CE}(s_i, \operatorname{softmax}(z/T)) + r(z/T)\big],
        \qquad a_i = c_i (1 - \lambda 1_I), \quad b_i = c_i \lambda 1_I,

    a = 0 where the label is unknown. Hinton's loss, GS (3), is twice this at λ = ½ for answers
    softened at the same temperature, with ``squared_temperature=True`` if T² is wanted.

    Parameters
    ----------
    logits : (B, K) tensor
        z, finite: float64, float32, float16 or bfloat16.
    labels : (B,) tensor of integers
        Class numbers 0 … K − 1, `ignore_index` where unknown. At ``trust=1`` those of I are not
        looked at.
    teacher : (B, K) tensor, optional
        Answers s: points of the simplex, softened already. Rows outside I are not looked at, nor
        is any at ``trust=0``.
    teacher_logits : (B, K) tensor, optional
        v, where :math:`s = \operatorname{softmax}(v/T)`; at most one of the two is given. None of
        them: I is empty, and the loss is the cross-entropy of the labels.
    privileged : (B,) tensor of bool, optional
        The set I, which may be empty; None stands for all objects if there is a teacher.
    trust : float or 0-d tensor, default 0.5
        λ in [0, 1].
    temperature : float or 0-d tensor, default 1
        T from 1e-18 to 1e18. A tensor is not looked at: with float32 logits the gradient of the
        bracket then has the error 1e-7 T of its size at a high T, and with `squared_temperature`
        the value one of 1e-7 T².
    regulariser : {None, "printed", "exact"}, default None
        r = 0; :math:`-\sum_k (\log g_k + \log\log 1/g_k)` with g = softmax(z/T), as (14) has it; or
        log Z(z/T) − logsumexp(z/T), so that the bracket is log Z(z/T) − ⟨s, z/T⟩.
    squared_temperature : bool, default False
        Whether the bracket is multiplied by T², as in Hinton's paper; not in GS.
    sample_weight : (B,) tensor, optional
        c, at least 0; ones by default.
    ignore_index : int, default -100
        The label that stands for an unknown one.
    reduction : {"mean", "sum", "none"}, default "mean"
        The mean is the sum over the number of objects B, or over Σc: so the loss of a batch is the
        mean of the losses of its shards, weighted by their B or Σc. Objects without a label count,
        other than in `torch.nn.functional.cross_entropy`.

    Returns
    -------
    () tensor, or (B,) for "none"
        float64 if the logits are, else float32.

    Raises
    ------
    ValueError
        If shapes, numbers of classes or devices disagree, both kinds of answers are given, a mask
        is given without a teacher, a number is out of its range, or K = 1 with the printed r.
    TypeError
        If an argument is not a tensor, or of the wrong kind of numbers.

    References
    ----------
    .. [1] GS (3), (11), (12) and (14); G. Hinton, O. Vinyals, J. Dean, *Distilling the knowledge in
       a neural network*, arXiv:1503.02531v1, section 2, for T².

    Examples
    --------
    >>> z = torch.zeros(1, 2, requires_grad=True)
    >>> loss = distillation_loss(z, torch.tensor([0]), torch.tensor([[0.5, 0.5]]), trust=0.25)
    >>> loss.backward()
    >>> round(loss.item(), 6), z.grad.tolist()  # softmax(z) − (0.75 y + 0.25 s)
    (0.693147, [[-0.375, 0.375]])
    """
    lam, T = _trust(trust), _temperature(temperature)
    kind, squared = (
        _regulariser(regulariser),
        check_flag("squared_temperature", squared_temperature),
    )
    z = _computed(logits)
    if kind == "printed" and z.shape[1] == 1:
        msg = "`regulariser` must not be 'printed' for a single class: log log 1/g is infinite"
        raise ValueError(msg)

    def of_teacher(z: Tensor, s: Tensor) -> Tensor:
        losses = _bracket(z, s, T, kind)
        return T * T * losses if squared else losses

    return _blend(
        z,
        labels,
        teacher,
        teacher_logits,
        T,
        privileged,
        lam,
        sample_weight,
        ignore_index,
        reduction,
        of_labels=_label_cross_entropy,
        of_teacher=of_teacher,
    )


class DistillationLoss(nn.Module):
    """`distillation_loss` as a module, without parameters or buffers.

    Parameters
    ----------
    trust, temperature, regulariser, squared_temperature, ignore_index, reduction
        As of `distillation_loss`, checked here.

    Raises
    ------
    ValueError, TypeError
        As `distillation_loss`.

    Examples
    --------
    >>> DistillationLoss(trust=0.25, temperature=2.0, regulariser="exact")
    DistillationLoss(trust=0.25, temperature=2.0, regulariser='exact', squared_temperature=False)
    """

    def __init__(
        self,
        trust: float | Tensor = 0.5,
        temperature: float | Tensor = 1.0,
        regulariser: str | None = None,
        *,
        squared_temperature: bool = False,
        ignore_index: int = IGNORED,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.trust = _trust(trust)
        self.temperature = _temperature(temperature)
        self.regulariser = _regulariser(regulariser)
        self.squared_temperature = check_flag("squared_temperature", squared_temperature)
        self.ignore_index = _ignore_index(ignore_index)
        self.reduction = _reduction(reduction)

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        teacher: Tensor | None = None,
        *,
        teacher_logits: Tensor | None = None,
        privileged: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """`distillation_loss` of these tensors."""
        return distillation_loss(
            logits,
            labels,
            teacher,
            teacher_logits=teacher_logits,
            privileged=privileged,
            trust=self.trust,
            temperature=self.temperature,
            regulariser=self.regulariser,
            squared_temperature=self.squared_temperature,
            sample_weight=sample_weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """What the printed module shows."""
        return (
            f"trust={_shown(self.trust)}, temperature={_shown(self.temperature)}, "
            f"regulariser={self.regulariser!r}, squared_temperature={self.squared_temperature}"
        )


def domain_distillation_loss(
    logits: Tensor,
    labels: Tensor,
    teacher: Tensor | None = None,
    *,
    teacher_logits: Tensor | None = None,
    privileged: Tensor | None = None,
    trust: float | Tensor = 0.5,
    loss: str = "squares",
    sample_weight: Tensor | None = None,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
) -> Tensor:
    r"""MD, section 3.2, for classes: the student of the target domain between two answers.

    .. math::
        \ell_i(z) = c_i \big[(1 - \lambda)\, L(y_i, p) + \lambda\, L(s_i, p)\big],
        \qquad p = \operatorname{softmax}(z), \quad s_i = f(\varphi(x_i)),

    with :math:`L(t, p) = \|t - p\|_2^2`, or the cross-entropy :math:`-\langle t, \log p \rangle`.
    MD's own λ is the opposite of the trust. Outside I the first term has the weight c, and it is 0
    where the label is unknown. The squares are not convex in the logits, and bounded.

    Parameters
    ----------
    logits, labels, privileged, trust, sample_weight, ignore_index, reduction
        As of `distillation_loss`.
    teacher : (B, K) tensor, optional
        The teacher's answers on the linked features: points of the simplex.
    teacher_logits : (B, K) tensor, optional
        v, where :math:`s = \operatorname{softmax}(v)`; at most one of the two is given.
    loss : {"squares", "cross-entropy"}, default "squares"
        L. With the cross-entropy it is `distillation_loss` at T = 1.

    Returns
    -------
    () tensor, or (B,) for "none"
        float64 if the logits are, else float32.

    Raises
    ------
    ValueError, TypeError
        As `distillation_loss`.

    References
    ----------
    .. [1] MD, section 3.2, with one-hot labels and probabilities.

    Examples
    --------
    >>> z, y, s = torch.zeros(1, 2), torch.tensor([0]), torch.tensor([[0.5, 0.5]])
    >>> domain_distillation_loss(z, y, s)
    tensor(0.2500)
    """
    lam, z = _trust(trust), _computed(logits)
    squares = _domain_loss(loss) == "squares"
    return _blend(
        z,
        labels,
        teacher,
        teacher_logits,
        1.0,
        privileged,
        lam,
        sample_weight,
        ignore_index,
        reduction,
        of_labels=_label_squares if squares else _label_cross_entropy,
        of_teacher=_squares if squares else _cross_entropy,
    )


class DomainDistillationLoss(nn.Module):
    """`domain_distillation_loss` as a module, without parameters or buffers.

    Parameters
    ----------
    trust, loss, ignore_index, reduction
        As of `domain_distillation_loss`, checked here.

    Raises
    ------
    ValueError, TypeError
        As `domain_distillation_loss`.

    Examples
    --------
    >>> DomainDistillationLoss(trust=0.25)
    DomainDistillationLoss(trust=0.25, loss='squares')
    """

    def __init__(
        self,
        trust: float | Tensor = 0.5,
        loss: str = "squares",
        *,
        ignore_index: int = IGNORED,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.trust = _trust(trust)
        self.loss = _domain_loss(loss)
        self.ignore_index = _ignore_index(ignore_index)
        self.reduction = _reduction(reduction)

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        teacher: Tensor | None = None,
        *,
        teacher_logits: Tensor | None = None,
        privileged: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """`domain_distillation_loss` of these tensors."""
        return domain_distillation_loss(
            logits,
            labels,
            teacher,
            teacher_logits=teacher_logits,
            privileged=privileged,
            trust=self.trust,
            loss=self.loss,
            sample_weight=sample_weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """What the printed module shows."""
        return f"trust={_shown(self.trust)}, loss={self.loss!r}"


def _blend(
    z: Tensor,
    labels: Tensor,
    teacher: Tensor | None,
    teacher_logits: Tensor | None,
    T: float | Tensor,
    privileged: Tensor | None,
    lam: float | Tensor,
    sample_weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    *,
    of_labels: Callable[[Tensor, Tensor, int], Tensor],
    of_teacher: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """The reduced c_i [(1 − λ 1_I) L(y_i, ·) + λ 1_I L(s_i, ·)]."""
    unknown, how = _ignore_index(ignore_index), _reduction(reduction)
    y = _labels(labels, z)
    hot = not isinstance(T, Tensor) and T > HOT
    wide = z.double() if hot else z
    answers = _answers(teacher, teacher_logits, wide)
    if privileged is not None:
        if answers is None:
            msg = "`privileged` must be None without a teacher, got a mask"
            raise ValueError(msg)
        _check_tensor("privileged", privileged, z, (len(z),), "bool")
    if sample_weight is not None:
        _check_tensor("sample_weight", sample_weight, z, (len(z),), "floating point")

    # the value of a tensor is not looked at; where λ is 0 or 1, 0 · nan must not arise
    known = None if isinstance(lam, Tensor) else lam
    if answers is None or known == 0:
        losses = of_labels(z, y, unknown)
    else:
        share, inner = lam, wide
        if privileged is not None:
            inside = privileged[:, None]
            share, inner = lam * privileged.to(z.dtype), torch.where(inside, wide, 0.0)
            answers = torch.where(inside, answers, 0.0)
            if known == 1:
                y = torch.where(privileged, unknown, y)
        s = answers if teacher_logits is None else _softened(answers, T)
        losses = share * of_teacher(inner, s).to(z.dtype)
        if known != 1 or privileged is not None:
            losses = (1 - share) * of_labels(z, y, unknown) + losses
    total: int | Tensor = len(z)
    if sample_weight is not None:
        c = sample_weight.to(z.dtype)
        losses, total = c * losses, c.sum()
    if how == "none":
        return losses
    return losses.sum() if how == "sum" else losses.sum() / total


# --- losses of one answer, shape (B,)


def _label_cross_entropy(z: Tensor, y: Tensor, unknown: int) -> Tensor:
    return cross_entropy(z, y, ignore_index=unknown, reduction="none")


def _label_squares(z: Tensor, y: Tensor, unknown: int) -> Tensor:
    is_known = y != unknown
    one_hot = torch.zeros_like(z).scatter(1, torch.where(is_known, y, 0)[:, None], 1.0)
    return torch.where(is_known, _squares(z, one_hot), 0.0)


def _squares(z: Tensor, s: Tensor) -> Tensor:
    return ((z.softmax(1) - s) ** 2).sum(1)


def _cross_entropy(z: Tensor, s: Tensor) -> Tensor:
    return _bracket(z, s, 1.0, None)


def _bracket(z: Tensor, s: Tensor, T: float | Tensor, regulariser: str | None) -> Tensor:
    """CE(s, softmax(z/T)) + r(z/T), from the depths: of s = 0 and d/T = ∞ the product is 0."""
    # the loss of a point of the simplex does not change with a shift: it needs no derivative
    d = z.detach().amax(1, keepdim=True) - z
    u = -d / T
    normaliser = log_normaliser(u) if regulariser == "exact" else u.logsumexp(1)
    losses = (s * d).sum(1) / T + normaliser
    return losses + _printed(z, T) if regulariser == "printed" else losses


def _printed(z: Tensor, T: float | Tensor) -> Tensor:
    """Σ_k (L_k − log L_k), L = −log g: by the odds Q of all classes but a largest one, t.

    L_t = log(1 + Q) may underflow; its logarithm comes from log Q. The odds are taken relative to
    the second class, as differences of large depths lose the shares of close ones in Q.
    """
    t = z.argmax(1, keepdim=True)
    is_top = torch.zeros_like(z, dtype=torch.bool).scatter(1, t, True)
    top = z.gather(1, t)
    second = z.detach().masked_fill(is_top, -math.inf).amax(1, keepdim=True)
    powers = ((z - second) / T).masked_fill(is_top, -math.inf)
    log_odds = powers.logsumexp(1) - ((top - second) / T).squeeze(1)
    top_loss = log_odds.exp().log1p()
    # the branch not taken must be finite too: its derivative is multiplied by 0
    faint = log_odds < FAINT_ODDS
    direct = log_odds.masked_fill(faint, 0.0).exp().log1p().log()
    log_top_loss = torch.where(faint, log_odds - log_odds.exp() / 2, direct)
    losses = (top - z) / T + top_loss[:, None]
    log_losses = losses.masked_fill(is_top, 1.0).log().sum(1) + log_top_loss
    return losses.sum(1) - log_losses


def _softened(v: Tensor, T: float | Tensor) -> Tensor:
    """Softmax of v/T."""
    return ((v - v.amax(1, keepdim=True)) / T).softmax(1)


# --- arguments


def _computed(logits: Tensor) -> Tensor:
    """Logits in the type of the loss: float32 for halves, as they cannot hold its parts."""
    _check_kind("logits", logits, "floating point")
    if logits.ndim != 2 or 0 in logits.shape:
        rule = "must have shape (B, K) with B and K at least 1"
        msg = f"`logits` {rule}, got shape {tuple(logits.shape)}"
        raise ValueError(msg)
    return logits.to(torch.float64 if logits.dtype == torch.float64 else torch.float32)


def _labels(labels: Tensor, z: Tensor) -> Tensor:
    """Class numbers as torch indexes with them."""
    _check_tensor("labels", labels, z, (len(z),), "class numbers of an integer type")
    return labels.long()


def _answers(teacher: Tensor | None, teacher_logits: Tensor | None, z: Tensor) -> Tensor | None:
    """What the teacher gave, without its history."""
    if teacher is not None and teacher_logits is not None:
        msg = "`teacher` and `teacher_logits` must not both be given"
        raise ValueError(msg)
    name, given = "teacher", teacher
    if given is None:
        name, given = "teacher_logits", teacher_logits
    if given is None:
        return None
    _check_kind(name, given, "floating point")
    if given.ndim == 2 and given.shape[1] != z.shape[1]:
        found = f"{z.shape[1]} classes of the student's `logits`, got {given.shape[1]}"
        msg = f"`{name}` must have the {found}"
        raise ValueError(msg)
    _check_tensor(name, given, z, tuple(z.shape), "floating point")
    return given.detach().to(z.dtype)


def _check_tensor(name: str, value: Any, z: Tensor, shape: tuple[int, ...], kind: str) -> None:
    """A tensor of a kind of numbers, of a shape, on the device of the logits."""
    _check_kind(name, value, kind)
    if tuple(value.shape) != shape:
        msg = f"`{name}` must have shape {shape}, got shape {tuple(value.shape)}"
        raise ValueError(msg)
    if value.device != z.device:
        msg = f"`{name}` must be on the device of `logits`, {z.device}, got {value.device}"
        raise ValueError(msg)


def _check_kind(name: str, value: Any, kind: str) -> None:
    if not isinstance(value, Tensor):
        msg = f"`{name}` must be a torch tensor, got {type(value).__name__}"
        raise TypeError(msg)
    if value.dtype not in KINDS[kind]:
        msg = f"`{name}` must be {kind}, got {value.dtype}"
        raise TypeError(msg)


def _trust(trust: float | Tensor) -> float | Tensor:
    return trust if _is_tensor("trust", trust) else check_in_unit_interval("trust", trust)


def _temperature(temperature: float | Tensor) -> float | Tensor:
    if _is_tensor("temperature", temperature):
        return temperature
    return check_number_between("temperature", temperature, 1 / HOTTEST, HOTTEST)


def _is_tensor(name: str, value: Any) -> bool:
    """Whether it is a tensor: of one number, which is not looked at."""
    if not isinstance(value, Tensor):
        return False
    if value.ndim or not value.is_floating_point():
        found = f"shape {tuple(value.shape)} of {value.dtype}"
        msg = f"`{name}` must be a number, or a floating point tensor of shape (), got {found}"
        raise ValueError(msg)
    return True


def _regulariser(regulariser: str | None) -> str | None:
    if regulariser is not None:
        check_choice("regulariser", regulariser, ("printed", "exact"))
    return regulariser


def _domain_loss(loss: str) -> str:
    return check_choice("loss", loss, ("squares", "cross-entropy"))


def _ignore_index(ignore_index: int) -> int:
    return check_count("ignore_index", ignore_index, least=-(2**63))


def _reduction(reduction: str) -> str:
    return check_choice("reduction", reduction, ("mean", "sum", "none"))


def _shown(number: float | Tensor) -> str:
    """A number; of a tensor its place, as reading its value would make the host wait."""
    return f"tensor on {number.device}" if isinstance(number, Tensor) else repr(number)
