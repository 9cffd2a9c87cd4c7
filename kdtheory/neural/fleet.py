r"""Many small students trained together: each step is a few products for all of them.

A linear student has the logits :math:`z = W x + b`, one with a hidden layer
:math:`z = W_2 \max(W_1 x + b_1, 0) + b_2`. Each has its own loss, `kdtheory.neural.losses`, and its
own rate; what it learns is what a loop of its own would teach it.

**Products.** Weights of all students are one array (S, K, n). Those of one sample and seed see
the same batch X, so that one product (SK, n) (n, B) gives their logits (S, K, B) and one product
(SK, B) (B, n) their gradients. With f = 1/T, or T for `squared_temperature`, the gradient in z is

.. math::
    a\, p + f b\, q - \sum_j \alpha_j t_j,

p = softmax(z), q that of the teacher's bracket, and the targets t (labels, and the teacher's
answers at every temperature in use) common to a batch: the sum is one more product. Classes are
before objects in memory, as a softmax over the last few numbers of a row is fifty times slower.

notation: z = logits, y = labels, s = answers, I = privileged, λ = trust, T = temperature,
S = number of students, B = objects of a batch, W = weights, p = probabilities, m = objects of a
sample, r = regulariser
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.optim.adam import adam

from kdtheory._checks import (
    check_choice,
    check_count,
    check_flag,
    check_in_unit_interval,
    check_labels,
    check_lengths_agree,
    check_mask,
    check_masked_array,
    check_matrix,
    check_nonnegative,
    check_not_masked,
    check_number_between,
    check_positive,
)
from kdtheory.neural.batches import IGNORED, epoch_order
from kdtheory.neural.checkpoints import digest_of_tensors
from kdtheory.neural.devices import check_dense, check_device
from kdtheory.neural.losses import HOTTEST
from kdtheory.neural.normaliser import log_normaliser, normaliser_gradient
from kdtheory.softening import soften

__all__ = ["DivergedError", "Fleet", "Sample", "Scores", "Student"]

Reals = NDArray[np.float64]
Kind = TypeVar("Kind")

BETAS, EPS = (0.9, 0.999), 1e-8  # Adam's, as torch has them
LOOK_EVERY = 64  # steps between two looks for numbers that are not finite
SCORED_AT_ONCE = 2**21  # logits
WIDEST = 2**24  # units of a hidden layer; more are a slip


@dataclass(frozen=True)
class Student:
    r"""What one student of a fleet minimises, and how.

    Parameters
    ----------
    trust : float, default 0
        λ in [0, 1].
    temperature : float, default 1
        T from 1e-18 to 1e18.
    regulariser : {None, "exact", "printed"}, default None
        r of `kdtheory.neural.losses.distillation_loss`.
    squared_temperature : bool, default False
        Whether the teacher's part is multiplied by T².
    learning_rate : float, default 1e-3
        Of Adam, positive.
    seed : int, default 0
        Of the first weights and of the order of the objects.
    sample : int, default 0
        Which of the fleet's samples it learns from.
    loss : {"cross-entropy", "squares"}, default "cross-entropy"
        "squares": MD's :math:`a \|y - p\|^2 + b \|p - s\|^2`, which has neither T nor r.
    weight_decay : float, default 0
        ρ at least 0: ρ times a weight is added to its gradient, as torch's Adam does.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of its range or of the wrong kind.
    """

    trust: float = 0.0
    temperature: float = 1.0
    regulariser: str | None = None
    squared_temperature: bool = False
    learning_rate: float = 1e-3
    seed: int = 0
    sample: int = 0
    loss: str = "cross-entropy"
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("trust", "temperature", "learning_rate", "weight_decay"):
            # 0 and np.float64(0) are the same student, also to the digest of a fleet
            if isinstance(getattr(self, name), int | np.number):
                object.__setattr__(self, name, float(getattr(self, name)))
        check_in_unit_interval("trust", self.trust)
        check_number_between("temperature", self.temperature, 1 / HOTTEST, HOTTEST)
        if self.regulariser is not None:
            check_choice("regulariser", self.regulariser, ("exact", "printed"))
        check_flag("squared_temperature", self.squared_temperature)
        check_positive("learning_rate", self.learning_rate)
        check_count("seed", self.seed, most=2**63 - 1)
        check_count("sample", self.sample)
        check_choice("loss", self.loss, ("cross-entropy", "squares"))
        check_nonnegative("weight_decay", self.weight_decay)
        if self.loss == "squares" and not (self.temperature == 1 and self.regulariser is None):
            msg = "`loss` must be 'cross-entropy' with a temperature or a regulariser"
            raise ValueError(msg)


@dataclass(frozen=True, eq=False)
class Sample:
    """Objects to learn from: rows of the fleet's X, and what is known about them.

    Parameters
    ----------
    rows : (m,) array_like of int
        Where the objects are in X.
    labels : (m,) array_like of int
        Class numbers 0 … K − 1, −100 where the label is not known.
    teacher_logits : (m, K) array_like, optional
        What the teacher says, before any softening. Rows outside I are not looked at.
    privileged : (m,) array_like of bool, optional
        The set I, which may be empty; None stands for all objects if there is a teacher.
    """

    rows: ArrayLike | Tensor
    labels: ArrayLike | Tensor
    teacher_logits: ArrayLike | Tensor | None = None
    privileged: ArrayLike | Tensor | None = None


class Scores(NamedTuple):
    """Of each student, shape (S,): mean cross-entropy, and share of objects that it gets right."""

    cross_entropy: Reals
    accuracy: Reals


class DivergedError(FloatingPointError):
    """A loss or a gradient is not a finite number.

    Attributes
    ----------
    student : int
        The first student where it is so.
    step : int
        The step, from 0, at which it was so first.
    rows : (B,) ndarray of int
        The batch of that step, as rows of X.
    """

    def __init__(self, student: int, step: int, rows: NDArray[np.int64]) -> None:
        self.student, self.step, self.rows = student, step, rows
        shown = ", ".join(str(row) for row in rows[:5]) + (", …" if len(rows) > 5 else "")
        super().__init__(
            f"student {student} diverged: its loss or gradient is not finite at step {step} "
            f"(rows {shown}); a smaller learning rate may help"
        )


class Fleet:
    """Students that are trained together.

    Parameters
    ----------
    students : sequence of Student
    X : (N, n) array_like or tensor
        Features, finite. It is not copied if it is a tensor of this type on this device, or an
        array of this type and the device is the CPU.
    samples : sequence of Sample
    n_classes : int
        K, at least 2.
    hidden : int, optional
        Width of the hidden layer, at most 2²⁴; None: the students are linear.
    batch_size : int, default 256
        B; the last batch of an epoch has what is left.
    device : str, default "cpu"
        Of all tensors.
    dtype : torch.dtype, default float32
        Of X, weights and logits; float64 is the other.

    Attributes
    ----------
    step : int
        Steps done.
    loss : (S,) ndarray of float64
        Mean loss of each student over its batch of the last step, before that step moved its
        weights; nan before the first step.

    Raises
    ------
    ValueError
        If a student has a sample that is not there, a row is outside X, a label outside
        0 … K − 1, the teacher has another number of classes, or the device is not there.
    TypeError
        If an argument is of the wrong kind.

    Notes
    -----
    The first weights are those of ``nn.Linear(n, K)`` (or of ``nn.Sequential(nn.Linear(n, H),
    nn.ReLU(), nn.Linear(H, K))``) after ``torch.manual_seed(student.seed)``, whose generator is not
    touched. Objects come in the order `kdtheory.neural.batches.epoch_order` (m, seed, epoch),
    except that one batch which holds the whole sample is taken as it is. In float32 the teacher's
    part of a gradient has a relative error of about 1e-7 · T: at T above 8 take float64.

    Examples
    --------
    >>> X, y = np.eye(4), np.arange(4)
    >>> fleet = Fleet([Student(learning_rate=0.1), Student(seed=1)], X, [Sample(y, y)], 4)
    >>> fleet.train(100)
    >>> fleet.step, fleet.scores(X, y).accuracy.tolist(), fleet.logits(X).shape
    (100, [1.0, 1.0], torch.Size([2, 4, 4]))
    """

    def __init__(
        self,
        students: Sequence[Student],
        X: ArrayLike | Tensor,
        samples: Sequence[Sample],
        n_classes: int,
        *,
        hidden: int | None = None,
        batch_size: int = 256,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.students = _all_of(Student, "students", students)
        self.n_classes = check_count("n_classes", n_classes, least=2)
        self.hidden = (
            None if hidden is None else check_count("hidden", hidden, least=1, most=WIDEST)
        )
        self.batch_size = check_count("batch_size", batch_size, least=1)
        self.device, self.dtype = check_device("device", device), dtype
        if dtype not in (torch.float32, torch.float64):
            msg = f"`dtype` must be torch.float32 or torch.float64, got {dtype}"
            raise ValueError(msg)
        self._X = self._features("X", X)
        if not self.students:
            msg = "`students` must hold at least one student, got none"
            raise ValueError(msg)
        checked = self._checked_samples(_all_of(Sample, "samples", samples))
        self._sample_digest = hashlib.sha256()
        for sample in checked:
            for array in sample:
                self._sample_digest.update(array.tobytes())
        self._buckets: list[_Bucket] = []
        self._order: list[int] = []
        self._arrange(checked)
        place = np.argsort(self._order)
        self._place = torch.from_numpy(place).to(self.device)
        widths = [self._X.shape[1], *([] if hidden is None else [hidden]), n_classes]
        self._networks = _Networks([self.students[i] for i in self._order], widths, self._X)
        n_students = len(self.students)
        self.step = 0
        self.loss: Reals = np.full(n_students, np.nan)
        # of each student, in the order of the weights: steps whose gradients were finite
        self._finite_steps = torch.zeros(n_students, dtype=torch.int64, device=self.device)

    def train(self, n_steps: int, *, tell: Callable[..., None] | None = None) -> None:
        """Go on for some steps, each with one batch of every sample and seed.

        Parameters
        ----------
        n_steps : int
            At least 0.
        tell : callable, optional
            Called as ``tell(advance=steps)`` every now and then, as of a progress bar.

        Raises
        ------
        DivergedError
            If a loss or a gradient is not finite: looked for every 64 steps, and at the last.
        ValueError, TypeError
            If the number of steps is not an integer that is at least 0.
        """
        left = check_count("n_steps", n_steps)
        with torch.inference_mode():
            while left:
                some = min(left, LOOK_EVERY)
                for _ in range(some - 1):
                    self._advance()
                losses = torch.zeros(len(self.students), dtype=torch.float64, device=self.device)
                self._advance(losses)
                left -= some
                self.loss = losses[self._place].cpu().numpy()
                self._require_finite(losses)
                if tell is not None:
                    tell(advance=some)

    def logits(self, X: ArrayLike | Tensor) -> Tensor:
        """Logits of each student at some features, shape (S, N, K), on the fleet's device.

        Parameters
        ----------
        X : (N, n) array_like or tensor

        Raises
        ------
        ValueError, TypeError
            If the features do not fit.
        """
        features = self._features("X", X, width=self._X.shape[1])
        result = torch.empty(
            (len(self.students), len(features), self.n_classes),
            dtype=self.dtype,
            device=self.device,
        )
        with torch.inference_mode():
            for start, logits in self._blocks(features):
                block = logits.index_select(0, self._place).movedim(1, 2)
                result[:, start : start + block.shape[1]] = block
        return result

    def scores(
        self, X: ArrayLike | Tensor, y: ArrayLike | Tensor, *, rule: str = "softmax"
    ) -> Scores:
        """Cross-entropy and accuracy of each student on labelled objects.

        Parameters
        ----------
        X : (N, n) array_like or tensor
        y : (N,) array_like or tensor of int
            Class numbers 0 … K − 1.
        rule : {"softmax", "mean"}, default "softmax"
            Whether the probabilities are softmax(z), or the mean of GS (12) at z, which ranks the
            classes alike.

        Returns
        -------
        Scores
            Summed in float64.

        Raises
        ------
        ValueError, TypeError
            If features and labels do not fit, or the rule is not known.
        """
        check_choice("rule", rule, ("softmax", "mean"))
        features = self._features("X", X, width=self._X.shape[1])
        labels = _labels("y", y, self.n_classes).to(self.device)
        check_lengths_agree(X=features, y=labels)
        n_students = len(self.students)
        losses = torch.zeros(n_students, dtype=torch.float64, device=self.device)
        right = torch.zeros_like(losses)
        with torch.inference_mode():
            for start, logits in self._blocks(features):
                wanted = labels[start : start + logits.shape[2]]
                log_probs = (
                    torch.log_softmax(logits, 1)
                    if rule == "softmax"
                    else _classes_middle(normaliser_gradient, logits).log()
                )
                index = wanted.expand(n_students, 1, -1)
                losses -= log_probs.gather(1, index)[:, 0].sum(1, dtype=torch.float64)
                right += (logits.max(1).indices == wanted).sum(1)
        means = torch.stack((losses, right))[:, self._place].cpu().numpy() / len(labels)
        return Scores(means[0], means[1])

    def student_module(self, student: int) -> nn.Module:
        """A copy of one student: ``nn.Linear``, or ``nn.Sequential`` with its hidden layer.

        Parameters
        ----------
        student : int
            0 … S − 1.

        Raises
        ------
        ValueError, TypeError
            If there is no such student.
        """
        number = check_count("student", student, most=len(self.students) - 1)
        place = int(self._place[number])
        layers: list[nn.Module] = []
        for weight, bias in self._networks.layers:
            layer = nn.utils.skip_init(
                nn.Linear, weight.shape[2], weight.shape[1], device=self.device, dtype=self.dtype
            )
            layer.weight.data.copy_(weight[place])
            layer.bias.data.copy_(bias[place])
            layers.append(layer)
        if len(layers) == 1:
            return layers[0]
        return nn.Sequential(layers[0], nn.ReLU(), layers[1])

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that `load_state_dict` needs to go on to the same bits, as copies.

        Returns
        -------
        dict of tensors
            ``weight``, ``bias`` (``weight_0`` … ``bias_1`` with a hidden layer), each (S, …), the
            two moments of Adam for each, ``step``, ``loss``, and a digest of students, features
            and samples.
        """
        state = {
            name: tensor.index_select(0, self._place)
            for name, tensor in self._networks.named_tensors()
        }
        state["step"] = torch.tensor(self.step)
        state["loss"] = torch.from_numpy(self.loss.copy())
        state["digest"] = torch.frombuffer(bytearray(self._digest()), dtype=torch.uint8)
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the state of a fleet of the same students, features and samples.

        Parameters
        ----------
        state : mapping of tensors
            As `state_dict` gives it, on any device.

        Raises
        ------
        ValueError
            If it is of another fleet, its step is negative, or a weight or a moment is nan.
        TypeError
            If it is no mapping of tensors.
        """
        if not isinstance(state, Mapping):
            msg = f"`state` must be a mapping of tensors, got {type(state).__name__}"
            raise TypeError(msg)
        wanted = self.state_dict()
        if set(state) != set(wanted):
            found = ", ".join(sorted(set(state) ^ set(wanted)))
            msg = f"`state` must have the tensors of this fleet, got too many or too few: {found}"
            raise ValueError(msg)
        for name, tensor in wanted.items():
            given = state[name]
            if not isinstance(given, Tensor):
                msg = f"`state` must hold tensors, got {type(given).__name__} for {name!r}"
                raise TypeError(msg)
            check_dense(f"state[{name!r}]", given)
            if given.shape != tensor.shape or given.dtype != tensor.dtype:
                own = f"shape {tuple(tensor.shape)} and {tensor.dtype}"
                found = f"{tuple(given.shape)} and {given.dtype}"
                msg = f"`state` must have {name!r} with {own}, got {found}"
                raise ValueError(msg)
        if not torch.equal(state["digest"].cpu(), wanted["digest"]):
            same = "the same students, features and samples"
            msg = f"`state` must be of a fleet of {same}, got another's"
            raise ValueError(msg)
        if int(state["step"]) < 0:
            msg = f"`state['step']` must be at least 0, got {int(state['step'])}"
            raise ValueError(msg)
        for name, _ in self._networks.named_tensors():
            if bool(torch.isnan(state[name]).any()):
                msg = f"`state[{name!r}]` must not hold nan"
                raise ValueError(msg)
        order = torch.tensor(self._order)
        for name, tensor in self._networks.named_tensors():
            tensor.copy_(state[name].cpu().index_select(0, order))
        self.step = int(state["step"])
        self._networks.restart(self.step)
        self._finite_steps.fill_(self.step)
        self.loss = state["loss"].cpu().numpy().copy()

    def _arrange(self, samples: list["_Checked"]) -> None:
        """Put side by side what is done at once.

        Students of equally large samples are a bucket; those of them with losses of one form a
        cell; those of a cell with the same batches a part.
        """
        students = self.students
        targets = {}
        for number in sorted({one.sample for one in students}):
            answered = [one for one in students if one.sample == number and one.trust > 0]
            temperatures = sorted({one.temperature for one in answered})
            targets[number] = _Targets(samples[number], self.n_classes, temperatures)
            targets[number].to(self.device, self.dtype)

        def size(i: int) -> int:
            return len(samples[students[i].sample].rows)

        def kind(i: int) -> str:
            return _kind(students[i], answered=bool(samples[students[i].sample].inside.any()))

        def batches(i: int) -> tuple[int, int]:
            # a batch that is the whole sample is the same for all seeds
            return students[i].sample, students[i].seed if size(i) > self.batch_size else 0

        def rate(i: int) -> tuple[float, float]:
            return students[i].learning_rate, students[i].weight_decay

        self._order = sorted(
            range(len(students)), key=lambda i: (size(i), kind(i), batches(i), rate(i), i)
        )
        start = 0
        for _, in_bucket in groupby(self._order, key=size):
            bucket, streams = _Bucket(), {}
            for form, in_cell in groupby(in_bucket, key=kind):
                cell = _Cell(form, start)
                for (number, seed), in_part in groupby(in_cell, key=batches):
                    if (number, seed) not in streams:
                        stream = _Stream(seed, targets[number], self._X, self.batch_size)
                        streams[number, seed] = stream
                    cell.add(streams[number, seed], [students[i] for i in in_part])
                cell.seal()
                bucket.cells.append(cell)
                start = cell.stop
            bucket.streams.extend(streams.values())
            self._buckets.append(bucket)

    def _advance(self, losses: Tensor | None = None) -> None:
        """One step; of the students in the order of the weights also the mean losses, if wanted."""
        networks = self._networks
        for bucket in self._buckets:
            for stream in bucket.streams:
                stream.move(self.step)
            for cell in bucket.cells:
                logits, inner = networks.forward(cell)
                if losses is not None:
                    losses[cell.start : cell.stop] = cell.values(logits)
                networks.backward(cell, cell.gradient(logits), inner)
        self._finite_steps += networks.gradients_are_finite()
        networks.update()
        self.step += 1

    def _require_finite(self, losses: Tensor) -> None:
        """No student whose gradients, or last loss, are not finite."""
        n_finite = self._finite_steps.clamp(max=self.step - 1)
        steps = torch.where(torch.isfinite(losses), self._finite_steps, n_finite)[self._place]
        student = int(steps.argmin())
        step = int(steps[student])
        if step == self.step:
            return
        place = int(self._place[student])
        parts = [part for bucket in self._buckets for cell in bucket.cells for part in cell.parts]
        stream = next(part.stream for part in parts if place < part.stop)
        raise DivergedError(student, step, stream.rows_at(step).cpu().numpy())

    def _blocks(self, features: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Logits (S, K, b) of all students, block by block."""
        per_object = len(self.students) * max(self.n_classes, self.hidden or 0)
        size = max(1, SCORED_AT_ONCE // per_object)
        for start in range(0, len(features), size):
            yield start, self._networks.logits(features[start : start + size])

    def _features(self, name: str, X: ArrayLike | Tensor, width: int | None = None) -> Tensor:
        if not isinstance(X, Tensor):
            matrix = check_matrix(name, X, finite=False)
            X = torch.from_numpy(np.require(matrix, requirements=("C", "W")))
        X = check_dense(name, X)
        if X.ndim != 2 or 0 in X.shape:
            msg = f"`{name}` must have shape (N, n) with both at least 1, got {tuple(X.shape)}"
            raise ValueError(msg)
        if width is not None and X.shape[1] != width:
            msg = f"`{name}` must have {width} features, got shape {tuple(X.shape)}"
            raise ValueError(msg)
        features = X.to(self.device, self.dtype).contiguous()
        if not bool(torch.isfinite(features.sum())) and not bool(torch.isfinite(features).all()):
            msg = f"`{name}` must be finite, got a number that is not"
            raise ValueError(msg)
        return features

    def _checked_samples(self, samples: tuple[Sample, ...]) -> list["_Checked"]:
        for i, student in enumerate(self.students):
            if student.sample >= len(samples):
                rule = f"must be a number of the {len(samples)} sample(s)"
                msg = f"`students[{i}].sample` {rule}, got {student.sample}"
                raise ValueError(msg)
        return [
            _checked(f"samples[{j}]", sample, len(self._X), self.n_classes)
            for j, sample in enumerate(samples)
        ]

    @cached_property
    def _features_digest(self) -> str:
        return digest_of_tensors({"X": self._X})

    def _digest(self) -> bytes:
        result = self._sample_digest.copy()
        sizes = self.n_classes, self.hidden, self.batch_size, self._features_digest
        result.update(repr((self.students, sizes)).encode())
        return result.digest()


# --- what is checked


def _all_of(kind: type[Kind], name: str, values: Any) -> tuple[Kind, ...]:
    """Things of one class."""
    if not isinstance(values, Iterable):
        msg = f"`{name}` must be a sequence of {kind.__name__}, got {type(values).__name__}"
        raise TypeError(msg)
    found = tuple(values)
    for i, value in enumerate(found):
        if not isinstance(value, kind):
            msg = f"`{name}[{i}]` must be a {kind.__name__}, got {type(value).__name__}"
            raise TypeError(msg)
    return found


def _array(name: str, value: ArrayLike | Tensor) -> Any:
    """What NumPy reads."""
    if not isinstance(value, Tensor):
        return value
    tensor = check_dense(name, value).cpu()
    # NumPy has no bfloat16
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _labels(name: str, value: ArrayLike | Tensor, n_classes: int) -> Tensor:
    labels = check_labels(name, _array(name, value), n_classes=n_classes)
    # a copy of what must not be written: torch warns of it
    return torch.from_numpy(np.require(labels, dtype=np.int64, requirements=("C", "W")))


def _integers(name: str, value: ArrayLike | Tensor) -> NDArray[Any]:
    """Integers of shape (m,), m at least 1."""
    check_not_masked(**{name: value})
    try:
        array = np.asarray(_array(name, value))
    except ValueError:
        msg = f"`{name}` must be a rectangular array, got nested lengths that differ"
        raise ValueError(msg) from None
    if array.dtype.kind not in "iu" and array.size > 0:  # an empty list has the type float64
        msg = f"`{name}` must be of an integer type, got dtype {array.dtype}"
        raise TypeError(msg)
    if array.ndim != 1 or array.size == 0:
        msg = f"`{name}` must have shape (m,) with m at least 1, got shape {array.shape}"
        raise ValueError(msg)
    return array


def _rows(name: str, value: ArrayLike | Tensor, n_rows: int) -> NDArray[np.int64]:
    rows = _integers(name, value)
    outside = (rows < 0) | (rows >= n_rows)
    if outside.any():
        at = int(outside.argmax())
        msg = f"`{name}` must be rows 0 … {n_rows - 1} of `X`, got {rows[at]} at index ({at})"
        raise ValueError(msg)
    return rows.astype(np.int64)


class _Checked(NamedTuple):
    """A sample as NumPy arrays; without a teacher I is empty, and answers are 0 outside I."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    answers: NDArray[Any]
    inside: NDArray[np.bool_]


def _checked(name: str, sample: Sample, n_rows: int, n_classes: int) -> _Checked:
    rows = _rows(f"{name}.rows", sample.rows, n_rows)
    labels = _integers(f"{name}.labels", sample.labels)
    known = labels != IGNORED
    check_labels(f"{name}.labels", np.where(known, labels, 0), n_classes=n_classes)
    m = check_lengths_agree(**{f"{name}.rows": rows, f"{name}.labels": labels})
    labels = labels.astype(np.int64)
    if sample.teacher_logits is None:
        if sample.privileged is not None:
            msg = f"`{name}.privileged` must be None without a teacher, got a mask"
            raise ValueError(msg)
        return _Checked(rows, labels, np.zeros((m, n_classes)), np.zeros(m, dtype=bool))
    mask = sample.privileged
    mask = None if mask is None else _array(f"{name}.privileged", mask)
    inside = check_mask(f"{name}.privileged", mask, m)
    given = _array(f"{name}.teacher_logits", sample.teacher_logits)
    answers = check_masked_array(f"{name}.teacher_logits", given, inside, shape=(m, n_classes))
    return _Checked(rows, labels, answers, inside)


# --- what a batch is made of


class _Targets:
    """What the gradients subtract, and the masks, for each object of a sample.

    Columns of the table: labels outside I (K), labels inside I (K), answers at each temperature (K
    each), then three masks: known outside I, known inside I, inside I.
    """

    def __init__(self, sample: _Checked, n_classes: int, temperatures: list[float]) -> None:
        m, K = len(sample.rows), n_classes
        known = sample.labels != IGNORED
        one_hot = np.zeros((m, K), dtype=np.float32)
        one_hot[known, sample.labels[known]] = 1
        inside = sample.inside
        columns: list[NDArray[Any]] = [one_hot * ~inside[:, None], one_hot * inside[:, None]]
        logits = sample.answers.astype(np.float64, copy=False)
        for T in temperatures:
            answers = np.zeros((m, K))
            answers[inside] = soften(logits[inside], T)
            columns.append(answers)
        columns.append(np.stack((known & ~inside, known & inside, inside), axis=1))
        self.column_of = {T: 2 + j for j, T in enumerate(temperatures)}
        self.n_targets = 2 + len(temperatures)
        self.all_known = bool(known.all())
        self.uniform = bool((columns[-1] == columns[-1][:1]).all())
        self.rows = torch.from_numpy(sample.rows)
        self.table = torch.from_numpy(np.concatenate(columns, axis=1))

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        self.rows, self.table = self.rows.to(device), self.table.to(device, dtype)


class _Stream:
    """The batches of one sample in the order of one seed."""

    def __init__(self, seed: int, targets: _Targets, X: Tensor, batch_size: int) -> None:
        self.seed, self.targets, self.X = seed, targets, X
        self.m, self.batch_size = len(targets.rows), batch_size
        self.epoch_steps = -(-self.m // batch_size)
        self.epoch = -1
        self.features = X.new_empty((min(self.m, batch_size), X.shape[1]))
        if self.epoch_steps == 1:  # the sum over all objects has no order
            self._gather(torch.arange(self.m, device=X.device))

    def positions_at(self, step: int) -> Tensor:
        """Where the objects of a step are in the sample."""
        if self.epoch_steps == 1:
            return torch.arange(self.m, device=self.X.device)
        epoch, batch = divmod(step, self.epoch_steps)
        if epoch != self.epoch:
            self.epoch = epoch
            self.positions = epoch_order(self.m, self.seed, epoch).to(self.X.device)
        return self.positions[batch * self.batch_size : (batch + 1) * self.batch_size]

    def rows_at(self, step: int) -> Tensor:
        """The objects of a step, as rows of X."""
        return self.targets.rows[self.positions_at(step)]

    def move(self, step: int) -> None:
        """Take the batch of a step: features (B, n), targets (J, K B), masks (3, B)."""
        if self.epoch_steps > 1:
            self._gather(self.positions_at(step))

    def _gather(self, positions: Tensor) -> None:
        n_objects = len(positions)
        self.batch = self.features[:n_objects]
        torch.index_select(self.X, 0, self.targets.rows[positions], out=self.batch)
        columns = self.targets.table.index_select(0, positions).t().contiguous()
        self.goals = columns[:-3].reshape(self.targets.n_targets, -1)
        self.masks = columns[-3:]


class _Part:
    """Students of a cell that share their batches.

    Of each student the coefficients of the targets in a y and in b s, and of the masks in a and b.
    """

    def __init__(self, kind: str, start: int, stream: _Stream, students: list[Student]) -> None:
        self.start, self.stop, self.stream = start, start + len(students), stream
        targets = stream.targets
        like = {"dtype": torch.float64}
        self.of_labels = torch.zeros((len(students), targets.n_targets), **like)
        self.of_teacher = torch.zeros_like(self.of_labels)
        self.a, self.b = torch.zeros((2, len(students), 3), **like)
        self.temperature = torch.tensor([one.temperature for one in students], **like)
        for i, one in enumerate(students):
            lam, T = one.trust, one.temperature
            of_labels = torch.tensor([1.0, 1 - lam], **like)
            self.a[i, :2] = self.of_labels[i, :2] = of_labels
            if lam > 0:
                share = lam * T * T if one.squared_temperature else lam
                self.b[i, 2] = self.of_teacher[i, targets.column_of[T]] = share
        self.slopes = self.of_labels + self.of_teacher / self.temperature[:, None]
        if kind == "squares":
            self.slopes *= 2

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        for name in ("of_labels", "of_teacher", "a", "b", "temperature", "slopes"):
            setattr(self, name, getattr(self, name).to(device, dtype))


class _Cell:
    """Students of a bucket, next to each other, whose losses have the same form."""

    def __init__(self, kind: str, start: int) -> None:
        self.kind, self.start, self.stop = kind, start, start
        self.parts: list[_Part] = []

    def add(self, stream: _Stream, students: list[Student]) -> None:
        """Students who share their batches."""
        part = _Part(self.kind, self.stop, stream, students)
        part.to(stream.X.device, stream.X.dtype)
        self.parts.append(part)
        self.stop = part.stop

    def seal(self) -> None:
        """Find what does not change from step to step."""
        streams = [part.stream.targets for part in self.parts]
        self.temperature = torch.cat([part.temperature for part in self.parts])[:, None, None]
        self.whole = self.kind == "cross-entropy" and all(one.all_known for one in streams)
        self.fixed = None
        if all(one.uniform for one in streams):
            masks = [one.table[:1, -3:].t() for one in streams]
            self.fixed = self._products(masks)

    def weights(self) -> tuple[Tensor, Tensor]:
        """The a and b of this batch, each (S, 1, B) or (S, 1, 1)."""
        if self.fixed is not None:
            return self.fixed
        return self._products([part.stream.masks for part in self.parts])

    def _products(self, masks: list[Tensor]) -> tuple[Tensor, Tensor]:
        pairs = list(zip(self.parts, masks, strict=True))
        a = torch.cat([part.a @ mask for part, mask in pairs])[:, None]
        b = torch.cat([part.b @ mask for part, mask in pairs])[:, None]
        return a, b

    def gradient(self, logits: Tensor) -> Tensor:
        """Derivatives of the losses in z, shape (S, K, B); the logits are lost."""
        if self.whole:  # a + b = 1
            result = torch.softmax(logits, 1)
        else:
            a, b = self.weights()
            result = torch.softmax(logits, 1)
            if self.kind == "cross-entropy":
                result *= a + b
            elif self.kind == "squares":
                probs = result
                result = probs * (2 * (a + b))
            else:
                result *= a
                result.addcmul_(self._bracket_mean(logits), b / self.temperature)
        for part in self.parts:
            own = result[part.start - self.start : part.stop - self.start].flatten(1)
            own.addmm_(part.slopes, part.stream.goals, alpha=-1)
        if self.kind == "squares":  # from the derivatives in p
            result -= (probs * result).sum(1, keepdim=True)
            result *= probs
        return result

    def _bracket_mean(self, logits: Tensor) -> Tensor:
        """Derivative of the teacher's bracket in u = z/T, plus s."""
        u = logits.div_(self.temperature)
        if self.kind == "exact":
            return _classes_middle(normaliser_gradient, u)
        q = torch.softmax(u, 1)
        return q if self.kind == "softened" else q + _Printed(u).gradient(q)

    def values(self, logits: Tensor) -> Tensor:
        """Mean loss of each student, shape (S,)."""
        a, b = self.weights()
        log_probs = torch.log_softmax(logits, 1)
        result = torch.empty_like(logits[:, 0])
        u = logits / self.temperature
        for part in self.parts:
            S = slice(part.start - self.start, part.stop - self.start)
            K, B = logits.shape[1:]
            goals = part.stream.goals
            if self.kind == "squares":
                probs = log_probs[S].exp()
                y = (goals[0] + goals[1]).view(K, B)
                of_labels = a[S] * (y - probs) ** 2
                s = goals[part.of_teacher.argmax(1)].view(-1, K, B)
                result[S] = (of_labels + b[S] * (probs - s) ** 2).sum(1)
                continue
            of_labels = (part.of_labels @ goals).view(-1, K, B)
            of_teacher = (part.of_teacher @ goals).view(-1, K, B)
            result[S] = -(of_labels * log_probs[S]).sum(1)
            log_q = u[S] if self.kind == "exact" else torch.log_softmax(u[S], 1)
            result[S] -= (of_teacher * log_q).sum(1)
        if self.kind == "exact":
            result += b[:, 0] * log_normaliser(u.movedim(1, 2).contiguous())
        if self.kind == "printed":
            result += b[:, 0] * _Printed(u).values()
        return result.mean(1, dtype=torch.float64)


class _Printed:
    """r = Σ (L − log L), L = −log softmax(u), for u (S, K, B), and its derivatives in u.

    As in `kdtheory.logit_terms`, every part is bounded at large margins: t is the first largest
    class, Q the odds of all others, and log L of t comes from log Q.
    """

    def __init__(self, u: Tensor) -> None:
        largest, self.top = u.max(1, keepdim=True)
        others = (largest - u).scatter_(1, self.top, math.inf)
        nearest = others.amin(1, keepdim=True)
        self.shares = torch.exp(nearest - others)  # p / Q, and 0 at t
        total = self.shares.sum(1, keepdim=True)
        self.shares /= total
        log_odds = total.log() - nearest
        self.odds = log_odds.exp()
        some = self.odds.clamp(min=torch.finfo(u.dtype).tiny)
        self.ratio = some / some.log1p()  # Q / log(1 + Q)
        self.losses = others + self.odds.log1p()
        self.log_top_loss = log_odds - self.ratio.log()

    def values(self) -> Tensor:
        """Of each object, shape (S, B)."""
        losses = self.losses.scatter(1, self.top, 1.0)
        logs = losses.log().scatter_(1, self.top, self.log_top_loss)
        losses.scatter_(1, self.top, self.odds.log1p())
        return (losses - logs).sum(1)

    def gradient(self, probs: Tensor) -> Tensor:
        """In u, where the probabilities are softmax(u), shape (S, K, B)."""
        inverses = 1 / self.losses
        slope = self.ratio / (1 + self.odds)
        result = (probs.shape[1] - inverses.sum(1, keepdim=True)) * probs - 1 + inverses
        result -= self.shares * slope
        return result.scatter_add_(1, self.top, slope)


def _kind(student: Student, *, answered: bool) -> str:
    """The form of its loss; without an answer it is the cross-entropy of the labels."""
    if student.loss == "squares":
        return "squares"
    if student.trust == 0 or not answered:
        return "cross-entropy"
    if student.regulariser is not None:
        return student.regulariser
    return "cross-entropy" if student.temperature == 1 else "softened"


def _classes_middle(function: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """A function that has the classes last, of logits (S, K, B)."""
    return function(logits.movedim(1, 2).contiguous()).movedim(2, 1)


class _Bucket:
    """Students whose samples are equally large, so that their batches are."""

    def __init__(self) -> None:
        self.cells: list[_Cell] = []
        self.streams: list[_Stream] = []


# --- the weights of all students


class _Networks:
    """Weights (S, out, in) and biases (S, out) of each layer, their gradients and their moments."""

    def __init__(self, students: list[Student], widths: list[int], X: Tensor) -> None:
        like = {"device": X.device, "dtype": X.dtype}
        S = len(students)
        self.layers = []
        for n, out in pairwise(widths):
            self.layers.append((torch.empty((S, out, n), **like), torch.empty((S, out), **like)))
        self._initialise(students)
        self.parameters = [tensor for layer in self.layers for tensor in layer]
        self.gradients = [torch.zeros_like(one) for one in self.parameters]
        self.moments = [(torch.zeros_like(one), torch.zeros_like(one)) for one in self.parameters]
        # one call of Adam for each rate; students next to each other are one tensor
        runs: dict[tuple[float, float], list[slice]] = {}
        start = 0
        for rate, run in groupby(students, key=lambda one: (one.learning_rate, one.weight_decay)):
            stop = start + len(list(run))
            runs.setdefault(rate, []).append(slice(start, stop))
            start = stop
        self.updates = [(rate, self._lists(slices)) for rate, slices in runs.items()]

    def _lists(self, runs: list[slice]) -> tuple[list[Tensor], ...]:
        """What Adam wants of some students: weights, gradients, both moments, counts of steps."""
        first, second = ([one[which] for one in self.moments] for which in (0, 1))
        lists = tuple(
            [tensor[run] for tensor in tensors for run in runs]
            for tensors in (self.parameters, self.gradients, first, second)
        )
        return *lists, [torch.zeros((), device=one.device) for one in lists[0]]

    def _initialise(self, students: list[Student]) -> None:
        """As ``nn.Linear`` after ``torch.manual_seed``, layer after layer, on the CPU."""
        drawn: dict[int, list[tuple[Tensor, Tensor]]] = {}
        for place, student in enumerate(students):
            if student.seed not in drawn:
                generator = torch.Generator().manual_seed(student.seed)
                drawn[student.seed] = []
                for weights, biases in self.layers:
                    weight = torch.empty(weights.shape[1:], dtype=weights.dtype)
                    bias = torch.empty(biases.shape[1:], dtype=biases.dtype)
                    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
                    bound = 1 / math.sqrt(weight.shape[1])
                    nn.init.uniform_(bias, -bound, bound, generator=generator)
                    drawn[student.seed].append((weight, bias))
            for layer, draw in zip(self.layers, drawn[student.seed], strict=True):
                for tensor, values in zip(layer, draw, strict=True):
                    tensor[place] = values

    def logits(self, X: Tensor) -> Tensor:
        """Of all students at the same objects, shape (S, K, B)."""
        result = X.t()
        for number, (weights, biases) in enumerate(self.layers):
            if number == 0:
                out = torch.addmm(_column(biases), weights.flatten(0, 1), result)
                result = out.view(*biases.shape, -1)
            else:
                result = torch.baddbmm(biases[:, :, None], weights, result.relu_())
        return result

    def forward(self, cell: _Cell) -> tuple[Tensor, Tensor | None]:
        """Logits of a cell's students at their batches, (S, K, B), and the layer inside."""
        mine = slice(cell.start, cell.stop)
        weights, biases = self.layers[0]
        batches = [part.stream.batch for part in cell.parts]
        result = weights.new_empty((*biases[mine].shape, len(batches[0])))
        for part, batch in zip(cell.parts, batches, strict=True):
            own = slice(part.start, part.stop)
            out = result[part.start - cell.start : part.stop - cell.start].flatten(0, 1)
            torch.addmm(_column(biases[own]), weights[own].flatten(0, 1), batch.t(), out=out)
        if len(self.layers) == 1:
            return result, None
        weights, biases = self.layers[1]
        inner = result.relu_()
        return torch.baddbmm(biases[mine, :, None], weights[mine], inner), inner

    def backward(self, cell: _Cell, gradient: Tensor, inner: Tensor | None) -> None:
        """Gradients of a cell's weights from those of its logits; the layer inside is lost."""
        mine = slice(cell.start, cell.stop)
        scale = 1 / gradient.shape[2]
        if inner is not None:
            weights, biases = self.gradients[2:]
            weights[mine].baddbmm_(gradient, inner.mT, beta=0, alpha=scale)
            torch.sum(gradient, 2, out=biases[mine]).mul_(scale)
            gradient = torch.bmm(self.layers[1][0][mine].mT, gradient)
            gradient.mul_(inner.sign_())
        weights, biases = self.gradients[:2]
        torch.sum(gradient, 2, out=biases[mine]).mul_(scale)
        for part in cell.parts:
            rows = gradient[part.start - cell.start : part.stop - cell.start].flatten(0, 1)
            own = weights[part.start : part.stop].flatten(0, 1)
            own.addmm_(rows, part.stream.batch, beta=0, alpha=scale)

    def gradients_are_finite(self) -> Tensor:
        """Of each student, shape (S,): whether its last layer's are."""
        return torch.isfinite(self.gradients[-1].sum(1))

    def update(self) -> None:
        """Adam's step, as torch has it."""
        for (rate, decay), (values, gradients, first, second, counts) in self.updates:
            adam(
                values,
                gradients,
                first,
                second,
                [],
                counts,
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=rate,
                weight_decay=decay,
                eps=EPS,
                maximize=False,
            )

    def restart(self, n_updates: int) -> None:
        """Say how many steps are done."""
        for _, (*_, counts) in self.updates:
            for count in counts:
                count.fill_(n_updates)

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Weights and moments, each with the students first."""
        names = ["weight", "bias"]
        if len(self.layers) == 2:
            names = ["weight_0", "bias_0", "weight_1", "bias_1"]
        for name, tensor, moments in zip(names, self.parameters, self.moments, strict=True):
            yield name, tensor
            yield f"{name}.first_moment", moments[0]
            yield f"{name}.second_moment", moments[1]


def _column(biases: Tensor) -> Tensor:
    return biases.reshape(-1, 1)
