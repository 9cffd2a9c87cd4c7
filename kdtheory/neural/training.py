r"""One network, student or teacher, trained by Adam on Lightning Fabric, in a folder if wanted.

.. math:: \min_w \frac1m \sum_{i=1}^m \ell_i\big(z(x_i; w)\big)

with :math:`\ell` of `kdtheory.neural.losses`, or any other. Nothing random has a state to lose: the
order of an epoch is `kdtheory.neural.batches.epoch_order`, and what is drawn in it (dropout) comes
from generators that are seeded anew by (seed, epoch, process). So weights, Adam's moments and the
number of the epoch are all that a run needs to be continued to the same bits.

notation: z = logits, y = labels, m = number of objects, K = number of classes, B = batch_size,
W = number of processes
"""

import inspect
import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kdtheory._checks import (
    check_callable,
    check_choice,
    check_count,
    check_flag,
    check_lengths_agree,
    check_not_masked,
    check_pair,
    check_positive,
)
from kdtheory.files import json_text
from kdtheory.neural.batches import IGNORED, epoch_order
from kdtheory.neural.checkpoints import (
    Checkpoint,
    digest_of_tensors,
    load_checkpoint,
    restore_model,
    restore_optimizer,
    save_checkpoint,
    tensors_of_model,
    tensors_of_optimizer,
)
from kdtheory.neural.devices import check_dense, check_device, native_array
from kdtheory.neural.losses import DistillationLoss, DomainDistillationLoss
from kdtheory.run_folder import RunFolder, SealedLines, run_folder

if TYPE_CHECKING:
    from lightning_fabric import Fabric

from kdtheory.neural.teachers import in_eval_mode

__all__ = ["NonFiniteLossError", "Training", "evaluate", "train"]

Found = TypeVar("Found")
Loss = Callable[[Tensor, Tensor, Tensor | None, Tensor | None], Tensor]

ACCELERATORS = ("auto", "cpu", "cuda")
PRECISIONS = ("32-true", "64-true", "bf16-mixed", "16-mixed")
PACKAGES = ("kdtheory", "numpy", "torch", "lightning-fabric")
SCORED = 1000  # objects in a block that is scored
NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
SHOWN = 5  # rows of a bad batch that a message names


class NonFiniteLossError(FloatingPointError):
    """A loss, or a weight after it, was nan or infinite.

    Attributes
    ----------
    epoch, step : int
        Where, both from 1; the step is that of the epoch.
    rows : tuple of int
        Objects of that step's batch, as rows of X.
    checkpoint : pathlib.Path or None
        The last checkpoint, written before; None if there is none.
    """

    def __init__(
        self, what: str, epoch: int, step: int, rows: tuple[int, ...], checkpoint: Path | None
    ) -> None:
        self.epoch, self.step, self.rows, self.checkpoint = epoch, step, rows, checkpoint
        listed = ", ".join(map(str, rows[:SHOWN])) + (", …" if len(rows) > SHOWN else "")
        kept = f"'{checkpoint}'" if checkpoint else "none"
        super().__init__(
            f"{what} at step {step} of epoch {epoch}, on a batch of {len(rows)} object(s), rows "
            f"{listed}; last good checkpoint: {kept}"
        )


@dataclass(frozen=True)
class Training:
    """A network and how it was trained.

    Attributes
    ----------
    model : nn.Module
        The one that was given, with the weights of the last epoch, in eval mode, on its device.
    history : tuple of dict
        For each epoch `epoch` (from 1) and `train_loss`, the mean over its steps of the loss that
        Adam saw; with ``score_training`` `train_cross_entropy` and `train_accuracy`; with a
        validation set `validation_cross_entropy` and `validation_accuracy`. All but the first loss
        are of the weights at the epoch's end.
    best_epoch : int or None
        The first of least validation cross-entropy; None without a validation set.
    best_state : dict of str to Tensor, or None
        The state of the model at its end; None without a validation set.
    seconds : tuple of float
        Wall time of the epochs done by this call, scores and checkpoints included.
    """

    model: nn.Module
    history: tuple[dict[str, Any], ...]
    best_epoch: int | None
    best_state: dict[str, Tensor] | None
    seconds: tuple[float, ...]


def train(
    model: nn.Module,
    X: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    *,
    teacher_logits: ArrayLike | Tensor | None = None,
    privileged: ArrayLike | Tensor | None = None,
    loss: Loss | None = None,
    validation: tuple[ArrayLike | Tensor, ArrayLike | Tensor] | None = None,
    score_training: bool = False,
    epochs: int,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
    accelerator: str = "cpu",
    devices: int = 1,
    precision: str = "32-true",
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    tell: Callable[..., None] = lambda **_: None,
    name: str = "folder",
) -> Training:
    r"""Train a network by Adam, on the CPU, a GPU, or several of either.

    The data are one tensor on the device. With W processes each takes its share of every batch,
    weighted so that the mean of their gradients is that of the whole batch: the losses are those of
    one process, but for rounding, dropout (each process draws its own) and batch normalisation (of
    each share). Torch's global generators are left as they were found.

    Parameters
    ----------
    model : nn.Module
        From rows of X to (B, K) logits. It is trained in place: in train mode through each epoch,
        in eval mode where it is scored and at the end.
    X : (m, ...) array_like or tensor
        Finite real numbers; they get the type of the weights.
    y : (m,) array_like or tensor of integers
        Class numbers 0 … K − 1, −100 where unknown.
    teacher_logits : (m, K) array_like or tensor, optional
        v, finite on I. None: a teacher is trained, or a student without one.
    privileged : (m,) array_like or tensor of bool, optional
        The set I; None stands for all objects if there is a teacher.
    loss : callable, optional
        By default ``DistillationLoss()``, which is the cross-entropy without a teacher. Any
        ``loss(logits, labels, teacher_logits, privileged)`` will do that is a mean over the rows of
        a batch, so that batches can be shared out; the last two are None where there is none.
    validation : pair of arrays (X, y), optional
        Scored after each epoch; it chooses `best_epoch`. Never the test set: what is chosen on it
        is no longer judged by it.
    score_training : bool, default False
        Whether the training set is scored after each epoch, too.
    epochs, batch_size : int
        At least 1. The last batch of an epoch may be smaller. B is that of all processes together.
    learning_rate : float, default 1e-3
        Of Adam, positive; torch's defaults for the rest.
    seed : int, default 0
        Of the order and of dropout, at least 0. The initial weights are the model's own. Epoch e
        of the history has the order ``epoch_order(m, seed, e - 1)``.
    accelerator : {"cpu", "cuda", "auto"}, default "cpu"
        "auto" is "cuda" if there is a device of it.
    devices : int, default 1
        W. With several, Fabric starts the script that calls this function again for each further
        process, with the same arguments, and all go through the whole of it; or start it by
        ``torchrun``. So call it from a script, and write files only where ``LOCAL_RANK`` is unset
        or 0.
    precision : {"32-true", "64-true", "bf16-mixed", "16-mixed"}, default "32-true"
        Type of the weights, and of what autocast computes; the last one on "cuda" only.
    folder : path_like, optional
        Where the run is kept: ``config.json``; ``metrics.jsonl``, the history, a sealed line an
        epoch; ``last/``, after each epoch all that is needed to continue; ``best/``, the state of
        the best epoch; ``result.json`` at the end.
    resume : bool, default False
        Continue the run that the folder holds, if any, to the bits of an uninterrupted one, from a
        model with the same initial weights. What was killed loses the epoch under way at most.
    tell : callable, optional
        Called in the first process as ``tell(total=..., completed=..., description=...)`` at the
        start, then with ``advance=1`` and a description after each epoch.
    name : str, default "folder"
        What the argument `folder` is called where a mistake is told.

    Returns
    -------
    Training

    Raises
    ------
    ValueError
        If shapes or numbers of classes disagree, the model does not take the objects, a number is
        outside its range or not finite in the type of the weights, batch normalisation would see
        one object alone, a loss has no gradient, there is no such device, or the folder cannot be
        written, holds a run that is not to be continued, or one of another model, other data or
        another configuration, or a damaged one.
    TypeError
        If an argument is of the wrong kind.
    NonFiniteLossError
        If a loss or a weight is nan or infinite. Looked at once an epoch, before anything is kept,
        so that the device is not waited for at each step; the model is left as it then is.

    Examples
    --------
    >>> X, y = torch.eye(2).repeat(8, 1), torch.arange(16) % 2
    >>> student = nn.Linear(2, 2)
    >>> run = train(student, X, y, validation=(X, y), epochs=20, batch_size=4, learning_rate=0.1)
    >>> run.best_epoch, run.history[-1]["validation_accuracy"]
    (20, 1.0)

    A loss of one's own: here 90 % of the labels' cross-entropy and 10 % of Kullback and Leibler's
    divergence from the teacher.

    >>> from torch.nn.functional import kl_div, log_softmax
    >>> def mixture(logits, labels, teacher_logits, privileged):
    ...     g, s = log_softmax(logits, dim=1), log_softmax(teacher_logits, dim=1)
    ...     divergence = kl_div(g, s, log_target=True, reduction="batchmean")
    ...     return 0.9 * cross_entropy(logits, labels) + 0.1 * divergence
    >>> answers = 5 * torch.eye(2)[y]
    >>> run = train(nn.Linear(2, 2), X, y, teacher_logits=answers, loss=mixture, epochs=2)
    >>> sorted(run.history[1])
    ['epoch', 'train_loss']
    """
    _require_module(model)
    n_epochs = check_count("epochs", epochs, least=1)
    check_flag("resume", resume)
    check_flag("score_training", score_training)
    check_callable("tell", tell)
    objective = _objective(loss)
    fabric = _fabric(accelerator, devices, precision)
    dtype = torch.float64 if precision == "64-true" else torch.float32
    data = _objects(X, y, teacher_logits, privileged, dtype, fabric.device)
    judged = {"train": data} if score_training else {}
    if validation is not None:
        pair = check_pair("validation", validation)
        judged["validation"] = _objects(*pair, None, None, dtype, fabric.device, "validation")
    for of, objects in judged.items():
        _require_known("y" if of == "train" else "validation[1]", objects)
    learner = _Learner(
        model.to(dtype),
        data,
        objective,
        check_count("batch_size", batch_size, least=1),
        check_positive("learning_rate", learning_rate),
        check_count("seed", seed),
        fabric,
    )
    learner.check_model(validation=judged.get("validation"))
    with ExitStack() as stack:
        stack.enter_context(_repeatable(fabric.device))
        keeper: _Keeper | None = None
        history: list[dict[str, Any]] = []
        best_state: dict[str, Tensor] | None = None
        if folder is not None:
            config = {"epochs": n_epochs, "precision": precision, "loss": _words(objective)}
            config |= learner.config() | _digests(data, judged)
            kept = {"files": ("metrics.jsonl", "result.json"), "folders": ("last", "best")}
            opened = run_folder(name, folder, config, **kept, resume=resume)
            keeper = _Keeper(_by_first(fabric, lambda: stack.enter_context(opened)), config, fabric)
            history, best_state = keeper.restore(learner)
        if fabric.is_global_zero:
            tell(total=n_epochs, completed=len(history), description="epochs")
        seconds = []
        for epoch in range(len(history) + 1, n_epochs + 1):
            start = time.perf_counter()
            last_good = keeper.last if keeper is not None and history else None
            record = learner.epoch(epoch, judged, last_good)
            history.append(record)
            if _best_epoch(history) == epoch:
                best_state = {key: value.clone() for key, value in model.state_dict().items()}
            if keeper is not None:
                keeper.keep(learner, history)
            seconds.append(time.perf_counter() - start)
            if fabric.is_global_zero:
                told = f"epoch {epoch} of {n_epochs}, loss {record['train_loss']:.4g}"
                tell(advance=1, description=told)
        if keeper is not None:
            keeper.end(history)
    learner.module.eval()
    return Training(model, tuple(history), _best_epoch(history), best_state, tuple(seconds))


def evaluate(
    model: nn.Module,
    X: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    *,
    batch_size: int = SCORED,
) -> tuple[float, float]:
    r"""Mean cross-entropy and accuracy of softmax(z), over the objects whose label is known.

    Summed in float64. The model is in eval mode meanwhile, and each of its modules is left in the
    mode in which it was found.

    Parameters
    ----------
    model : nn.Module
        From rows of X to (B, K) logits.
    X : (m, ...) array_like or tensor
        Finite real numbers; they get the type of the weights, and go to their device in blocks.
    y : (m,) array_like or tensor of integers
        Class numbers 0 … K − 1, −100 where unknown, not everywhere.
    batch_size : int, default 1000
        Of the blocks, at least 1; it does not matter but for rounding.

    Returns
    -------
    cross_entropy, accuracy : float

    Raises
    ------
    ValueError
        If lengths or numbers of classes disagree, a number is not finite, or no label is known.
    TypeError
        If an argument is of the wrong kind.

    Examples
    --------
    >>> cross_entropy, accuracy = evaluate(nn.Identity(), [[0.0, 0.0], [1.0, 0.0]], [0, 1])
    >>> round(cross_entropy, 6), accuracy
    (1.003204, 0.5)
    """
    _require_module(model)
    block = check_count("batch_size", batch_size, least=1)
    weight = next(model.parameters(), torch.zeros(()))
    there = X.device if isinstance(X, Tensor) else torch.device("cpu")
    objects = _objects(X, y, None, None, weight.dtype, there)
    _require_known("y", objects)
    with in_eval_mode(model):
        _require_classes(model, objects, weight.device)
    return _means(_summed_scores(model, objects, block, weight.device))


# --- objects, as tensors of one device


@dataclass(frozen=True)
class _Objects:
    X: Tensor
    y: Tensor
    teacher: Tensor | None = None
    privileged: Tensor | None = None

    def at(self, rows: Tensor) -> tuple[Tensor | None, ...]:
        given = (self.X, self.y, self.teacher, self.privileged)
        return tuple(None if tensor is None else tensor.index_select(0, rows) for tensor in given)

    def shard(self, index: int, count: int) -> "_Objects":
        return _Objects(self.X.tensor_split(count)[index], self.y.tensor_split(count)[index])


def _objects(
    X: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    teacher_logits: ArrayLike | Tensor | None,
    privileged: ArrayLike | Tensor | None,
    dtype: torch.dtype,
    device: torch.device,
    of: str = "",
) -> _Objects:
    """Arrays or tensors, checked; `of` is what they are part of."""
    X_name, y_name = (f"{of}[0]", f"{of}[1]") if of else ("X", "y")
    features = _reals(X_name, X)
    if features.ndim < 2 or features.numel() == 0:
        shape = tuple(features.shape)
        msg = f"`{X_name}` must have shape (m, ...) with m at least 1, got shape {shape}"
        raise ValueError(msg)
    features = _finite(X_name, features, dtype, device)
    labels = _tensor(y_name, y)
    if labels.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        msg = f"`{y_name}` must be class numbers of an integer type, got {labels.dtype}"
        raise TypeError(msg)
    labels = labels.long()
    if labels.ndim != 1:
        msg = f"`{y_name}` must have shape (m,), got shape {tuple(labels.shape)}"
        raise ValueError(msg)
    check_lengths_agree(**{X_name: features, y_name: labels})
    least = int(labels.masked_fill(labels == IGNORED, 0).min())
    if least < 0:
        msg = f"`{y_name}` must be class numbers from 0, or {IGNORED} where unknown, got {least}"
        raise ValueError(msg)
    answers, mask = None, None
    if privileged is not None:
        mask = _tensor("privileged", privileged)
        if mask.dtype != torch.bool:
            msg = f"`privileged` must be a boolean mask, got {mask.dtype}"
            raise TypeError(msg)
        if mask.shape != labels.shape:
            shapes = f"shape {tuple(labels.shape)}, got shape {tuple(mask.shape)}"
            msg = f"`privileged` must have {shapes}"
            raise ValueError(msg)
    if teacher_logits is not None:
        answers = _reals("teacher_logits", teacher_logits)
        if answers.ndim != 2:
            msg = f"`teacher_logits` must have shape (m, K), got shape {tuple(answers.shape)}"
            raise ValueError(msg)
        check_lengths_agree(y=labels, teacher_logits=answers)
        if mask is not None:
            answers = answers.masked_fill(~mask.to(answers.device)[:, None], 0.0)
        answers = _finite("teacher_logits", answers, dtype, device)
    elif mask is not None:
        msg = "`privileged` must be None without `teacher_logits`, got a mask"
        raise ValueError(msg)
    return _Objects(
        features,
        labels.to(device),
        answers,
        None if mask is None else mask.to(device),
    )


def _tensor(name: str, value: ArrayLike | Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return check_dense(name, value)
    check_not_masked(**{name: value})
    try:
        array = native_array(np.asarray(value))
        # own memory if it must not be written to: torch warns of what could be
        return torch.from_numpy(np.require(array, requirements=("C", "W")))
    except (TypeError, ValueError):
        msg = f"`{name}` must be a tensor or a rectangular array of numbers"
        raise TypeError(msg) from None


def _reals(name: str, value: ArrayLike | Tensor) -> Tensor:
    tensor = _tensor(name, value)
    if tensor.is_complex() or tensor.dtype == torch.bool:
        msg = f"`{name}` must be real numbers, got {tensor.dtype}"
        raise TypeError(msg)
    return tensor


def _finite(name: str, tensor: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers in their type and place, where a large one may have become infinite."""
    there = tensor.to(device, dtype)
    passed = torch.isfinite(there)
    if not bool(passed.all()):
        where = (~passed).nonzero()[0].tolist()
        found = f"{tensor[tuple(where)].item()} at index ({', '.join(map(str, where))})"
        msg = f"`{name}` must be finite in {dtype}, got {found}"
        raise ValueError(msg)
    return there


def _require_module(model: Any) -> None:
    if not isinstance(model, nn.Module):
        msg = f"`model` must be a torch.nn.Module, got {type(model).__name__}"
        raise TypeError(msg)


def _require_known(name: str, objects: _Objects) -> None:
    if bool((objects.y == IGNORED).all()):
        msg = f"`{name}` must hold a label that is known, got {IGNORED} for all objects"
        raise ValueError(msg)


def _require_classes(
    model: nn.Module, objects: _Objects, device: torch.device, of: str = ""
) -> None:
    """A model, in eval mode, that gives two objects logits of all classes that there are."""
    X_name, y_name = (f"{of}[0]", f"{of}[1]") if of else ("X", "y")
    few = objects.X[:2].to(device)
    try:
        logits = model(few)
    except (RuntimeError, ValueError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        rule = f"`{X_name}` must be what `model` takes"
        msg = f"{rule}, got objects of shape {tuple(few.shape[1:])} ({reason})"
        raise ValueError(msg) from error
    if not isinstance(logits, Tensor):
        msg = f"`model` must give logits of shape (B, K), got {type(logits).__name__}"
        raise ValueError(msg)
    if logits.ndim != 2 or len(logits) != len(few):
        shape = tuple(logits.shape)
        msg = f"`model` must give logits of shape (B, K), got shape {shape} for B = {len(few)}"
        raise ValueError(msg)
    n_classes, last = logits.shape[1], int(objects.y.max())
    if last >= n_classes:
        rule = f"must be class numbers 0 … {n_classes - 1}, as `model` gives {n_classes} logits"
        msg = f"`{y_name}` {rule}, got {last}"
        raise ValueError(msg)
    if objects.teacher is not None and objects.teacher.shape[1] != n_classes:
        rule = f"must have {n_classes} classes, as `model` has"
        msg = f"`teacher_logits` {rule}, got shape {tuple(objects.teacher.shape)}"
        raise ValueError(msg)


# --- devices


def _fabric(accelerator: str, devices: int, precision: str) -> "Fabric":
    """Processes and their devices, if there are as many."""
    kind = check_choice("accelerator", accelerator, ACCELERATORS)
    check_choice("precision", precision, PRECISIONS)
    n_gpus = torch.cuda.device_count()
    if kind == "auto":
        kind = "cuda" if n_gpus else "cpu"
    check_device("accelerator", kind)
    if kind == "cpu" and precision == "16-mixed":
        msg = "`precision` must be another one on the CPU, such as 'bf16-mixed', got '16-mixed'"
        raise ValueError(msg)
    n_devices = check_count("devices", devices, least=1)
    here = n_gpus if kind == "cuda" else os.cpu_count() or 1
    if n_devices > here:
        what = "devices of CUDA" if kind == "cuda" else "processor cores"
        msg = f"`devices` must be at most {here}, the number of {what} here, got {n_devices}"
        raise ValueError(msg)
    from lightning_fabric import Fabric  # as long to load as torch; the losses do without it

    strategy = "ddp" if n_devices > 1 else "auto"
    # the model and the data are of 64 bits already; Fabric would round logits to 32
    casts = "32-true" if precision == "64-true" else precision
    fabric = Fabric(accelerator=kind, devices=n_devices, precision=casts, strategy=strategy)
    fabric.launch()
    return fabric


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Generators are put back at the end; cuDNN chooses kernels that give the same bits again."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before


def _by_first(fabric: "Fabric", work: Callable[[], Found]) -> Found:
    """What the first process finds or refuses, told to all.

    No file is read as a pickle; processes of one run, which trust each other, exchange this object
    by torch.distributed's own means, which do pickle it.
    """
    found: Any = None
    refused: ValueError | None = None
    if fabric.is_global_zero:
        try:
            found = work()
        except ValueError as error:
            refused = error
    if fabric.world_size > 1:
        found, refused = fabric.broadcast((found, refused))
    if refused is not None:
        raise refused
    return found


# --- the steps


def _objective(loss: Loss | None) -> Any:
    """The loss, which is a mean."""
    if loss is None:
        return DistillationLoss()
    check_callable("loss", loss)
    if getattr(loss, "reduction", "mean") != "mean":
        msg = f"`loss` must be a mean over the rows of a batch, got {loss!r} with another reduction"
        raise ValueError(msg)
    if isinstance(loss, DistillationLoss | DomainDistillationLoss):
        return loss
    try:
        signature = inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss)
    except ValueError:  # one of C's, which does not tell
        return loss
    try:
        signature.bind(None, None, None, None)
    except TypeError:
        called = "be called as loss(logits, labels, teacher_logits, privileged)"
        takes = ", ".join(signature.parameters)
        msg = f"`loss` must {called}, got {_words(loss)}, which takes ({takes})"
        raise TypeError(msg) from None
    return loss


def _words(loss: Any) -> str:
    """What a loss is called in the configuration: a function by its name."""
    if isinstance(loss, nn.Module):
        return repr(loss)
    named = loss if hasattr(loss, "__qualname__") else type(loss)
    return f"{named.__module__}.{named.__qualname__}"


class _Learner:
    """A network, Adam and the objects they learn from."""

    def __init__(
        self,
        model: nn.Module,
        data: _Objects,
        loss: Any,
        batch_size: int,
        learning_rate: float,
        seed: int,
        fabric: "Fabric",
    ) -> None:
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        if not weights:
            msg = "`model` must have weights to train, got none that requires a gradient"
            raise ValueError(msg)
        self.model, self.data, self.fabric = model, data, fabric
        self.batch_size, self.learning_rate, self.seed = batch_size, learning_rate, seed
        self.loss = fabric.to_device(loss) if isinstance(loss, nn.Module) else loss
        self.adam = torch.optim.Adam(weights, lr=learning_rate, fused=True)
        self.module, self.optimizer = fabric.setup(model, self.adam)

    def check_model(self, validation: _Objects | None) -> None:
        """A model that takes the objects, gives as many classes everywhere, and can be trained."""
        lone: list[nn.Module] = []  # batch normalisations that see one number of each object

        def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs and inputs[0].shape[2:].numel() == 1:
                lone.append(module)

        device = self.fabric.device
        hooks = [
            module.register_forward_pre_hook(look)
            for module in self.model.modules()
            if isinstance(module, NORMALISATIONS)
        ]
        try:
            with in_eval_mode(self.model):
                _require_classes(self.model, self.data, device)
                if validation is not None:
                    _require_classes(self.model, validation, device, "validation")
        finally:
            for hook in hooks:
                hook.remove()
        m, B, W = len(self.data.y), self.batch_size, self.fabric.world_size
        smallest = m % B or min(m, B)
        if lone and smallest // W < 2:
            share = "" if W == 1 else f" and {W} processes"
            msg = (
                "`batch_size` must leave at least 2 objects in every batch, as `model` normalises "
                f"over them, got {B} for {m} objects{share}"
            )
            raise ValueError(msg)

    def epoch(
        self, number: int, judged: Mapping[str, _Objects], last_good: Path | None
    ) -> dict[str, Any]:
        """One pass in train mode, then the scores."""
        batches = self._batches(number)
        losses = self._steps(batches, number)
        good = torch.stack(
            [torch.isfinite(value).all() for value in self.model.state_dict().values()]
        )
        # the only time that an epoch waits for the device
        passed = [*torch.isfinite(losses).tolist(), bool(good.all())]
        if not all(passed):
            step = min(passed.index(False), len(batches) - 1)
            what = (
                f"the loss was {float(losses[step])}"
                if not passed[step]
                else "a weight was not finite"
            )
            raise self._refusal(what, number, step, last_good)
        sizes = torch.tensor([len(batch) for batch in batches], dtype=torch.float64)
        mean = float(losses.cpu() @ sizes) / float(sizes.sum())
        record: dict[str, Any] = {"epoch": number, "train_loss": mean}
        for of, objects in judged.items():
            scores = self._scores(objects)
            record |= {f"{of}_cross_entropy": scores[0], f"{of}_accuracy": scores[1]}
            if not math.isfinite(scores[0]):
                what = f"the {of} cross-entropy was {scores[0]}"
                raise self._refusal(what, number, len(batches) - 1, last_good)
        return record

    def config(self) -> dict[str, Any]:
        """All that the bits hang on, beside the data and the loss."""
        device, states = self.fabric.device, self.model.state_dict()
        on_gpu = device.type == "cuda"
        return {
            "weights": {key: list(value.shape) for key, value in states.items()},
            "initial_weights": digest_of_tensors(states),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
            "processes": self.fabric.world_size,
            "threads": None if on_gpu else torch.get_num_threads(),
            "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        }

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that is needed to continue, with the number of the epoch."""
        tensors, of_optimizer = tensors_of_optimizer(self.adam)
        state = {
            "seed": self.seed,  # with the epoch, all the state of sampler and generators
            "optimizer": of_optimizer,
            "precision": self.fabric.strategy.precision.state_dict(),
        }
        return tensors_of_model(self.model) | tensors, state

    def restore(self, checkpoint: Checkpoint) -> None:
        """Be where `state` was."""
        restore_model(self.model, checkpoint.tensors)
        restore_optimizer(self.adam, checkpoint.tensors, checkpoint.state["optimizer"])
        for weight, moments in self.adam.state.items():
            for key in moments.keys() - {"step"}:
                # a file knows no strides, and fused Adam does not look at them
                moments[key] = torch.empty_like(weight).copy_(moments[key])
        self.fabric.strategy.precision.load_state_dict(checkpoint.state["precision"])

    def _batches(self, number: int) -> tuple[Tensor, ...]:
        order = epoch_order(len(self.data.y), self.seed, number - 1)
        return order.to(self.fabric.device).split(min(self.batch_size, len(order)))

    def _steps(self, batches: Sequence[Tensor], number: int) -> Tensor:
        """Adam's steps of an epoch; gives the loss of each batch."""
        module, optimizer, fabric = self.module, self.optimizer, self.fabric
        rank, count = fabric.global_rank, fabric.world_size
        module.train()
        _seed(self.seed, number, rank, fabric.device)
        losses, shares = [], []
        for batch in batches:
            rows, share = _shard(batch, rank, count)
            x, *others = self.data.at(rows)
            optimizer.zero_grad()
            loss = self._loss(module(x), *others)
            # the mean of the processes' gradients is that of the batch
            fabric.backward(loss if count == 1 else loss * (share * count))
            optimizer.step()
            losses.append(loss.detach())
            shares.append(share)
        found = torch.stack(losses).double()
        if count == 1:
            return found
        for buffer in self.model.buffers():  # those of batch normalisation differ
            torch.distributed.broadcast(buffer, 0)
        summed: Tensor = fabric.all_reduce(found * found.new_tensor(shares), reduce_op="sum")
        return summed

    def _loss(
        self, logits: Tensor, labels: Tensor, teacher: Tensor | None, privileged: Tensor | None
    ) -> Tensor:
        if isinstance(self.loss, DistillationLoss | DomainDistillationLoss):
            loss = self.loss(logits, labels, teacher_logits=teacher, privileged=privileged)
        else:
            loss = self.loss(logits, labels, teacher, privileged)
        if not isinstance(loss, Tensor) or loss.ndim:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            msg = f"`loss` must give a tensor of one number, the mean of a batch, got {got}"
            raise ValueError(msg)
        if not loss.requires_grad:
            whose = "loss" if logits.requires_grad else "model"
            msg = f"`{whose}` must have a gradient, got a tensor that is cut off from the weights"
            raise ValueError(msg)
        return loss

    def _scores(self, objects: _Objects) -> tuple[float, float]:
        """Cross-entropy and accuracy, each process at its part of the objects."""
        fabric = self.fabric
        part = objects.shard(fabric.global_rank, fabric.world_size)
        sums = _summed_scores(self.model, part, SCORED, fabric.device)
        return _means(sums if fabric.world_size == 1 else fabric.all_reduce(sums, reduce_op="sum"))

    def _refusal(
        self, what: str, epoch: int, step: int, last_good: Path | None
    ) -> NonFiniteLossError:
        rows = tuple(self._batches(epoch)[step].tolist())
        return NonFiniteLossError(what, epoch, step + 1, rows, last_good)


def _shard(batch: Tensor, rank: int, count: int) -> tuple[Tensor, float]:
    """A process's rows of a batch, and their share; one row of share 0 where there are too few."""
    rows = batch.tensor_split(count)[rank]
    return (rows, len(rows) / len(batch)) if len(rows) else (batch[:1], 0.0)


def _seed(seed: int, epoch: int, rank: int, device: torch.device) -> None:
    """The generators of an epoch in a process."""
    sequence = np.random.SeedSequence((seed, epoch), spawn_key=(rank,))
    number = int(sequence.generate_state(1, np.uint32)[0])
    # not torch.manual_seed, which reaches devices that nothing runs on here
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


def _summed_scores(model: nn.Module, objects: _Objects, block: int, device: torch.device) -> Tensor:
    """Sums over the objects of known label: of cross-entropies, right answers and ones."""
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    if len(objects.y) == 0:  # a process for which nothing is left
        return sums
    block = min(block, len(objects.y))
    with in_eval_mode(model):
        for x, y in zip(objects.X.split(block), objects.y.split(block), strict=True):
            logits, labels = model(x.to(device)), y.to(device)
            entropy = cross_entropy(logits.double(), labels, ignore_index=IGNORED, reduction="sum")
            right, known = (logits.argmax(dim=1) == labels).sum(), (labels != IGNORED).sum()
            sums += torch.stack([entropy, right.double(), known.double()])
    return sums


def _means(sums: Tensor) -> tuple[float, float]:
    entropy, right, known = sums.tolist()
    return entropy / known, right / known


def _best_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """The first epoch of least validation cross-entropy."""
    key = "validation_cross_entropy"
    scored = [record for record in history if key in record]
    return min(scored, key=lambda record: record[key])["epoch"] if scored else None


# --- the folder


class _Keeper:
    """A run in its folder: the first process reads and writes, all know what is there."""

    def __init__(self, run: RunFolder, config: Mapping[str, Any], fabric: "Fabric") -> None:
        self.run, self.config, self.fabric = run, config, fabric
        self.last, self.best = run.path / "last", run.path / "best"

    def restore(self, learner: _Learner) -> tuple[list[dict[str, Any]], dict[str, Tensor] | None]:
        """Put the learner to where the run is; gives its history and the best state."""
        history, last, best = _by_first(self.fabric, self._found)
        if last is not None:
            learner.restore(last)
        if best is None:
            return history, None
        device, names = self.fabric.device, learner.model.state_dict()
        return history, {key: best.tensors[f"model.{key}"].to(device) for key in names}

    def keep(self, learner: _Learner, history: Sequence[Mapping[str, Any]]) -> None:
        """Write what an epoch found, then what the next one needs: the epoch counts from there."""

        def write() -> None:
            epoch = len(history)
            self._lines().append(history[-1])
            tensors, state = learner.state()
            save_checkpoint(self.last, tensors, state | self._of(epoch))
            if _best_epoch(history) == epoch:
                save_checkpoint(self.best, tensors_of_model(learner.model), self._of(epoch))

        _by_first(self.fabric, write)

    def end(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the result."""
        found = {"config": self.config, "best_epoch": _best_epoch(history), "history": history}
        _by_first(self.fabric, lambda: self.run.write({"result.json": json_text(found)}))

    def _lines(self) -> SealedLines:
        return self.run.lines("metrics.jsonl", what="epochs")

    def _of(self, epoch: int) -> dict[str, Any]:
        return {"config": self.run.mark, "epoch": epoch}

    def _load(self, folder: Path) -> Checkpoint | None:
        checkpoint = load_checkpoint(folder)
        if checkpoint is not None and checkpoint.state.get("config") != self.run.mark:
            rule = "must hold checkpoints of the same configuration"
            msg = f"`{self.run.name}` {rule}, got '{folder}', which is of another"
            raise ValueError(msg)
        return checkpoint

    def _found(self) -> tuple[list[dict[str, Any]], Checkpoint | None, Checkpoint | None]:
        """The history up to the last checkpoint, that and the best one."""
        last = self._load(self.last)
        done = 0 if last is None else last.state["epoch"]
        lines = self._lines()
        lines.keep(done)
        history = lines.read()
        chosen = _best_epoch(history)
        if last is None or chosen is None:
            return history, last, None
        best = self._load(self.best)
        if chosen == done and (best is None or best.state["epoch"] != done):
            # killed between the two: the last one is the best one
            tensors = {key: t for key, t in last.tensors.items() if key.startswith("model.")}
            save_checkpoint(self.best, tensors, self._of(done))
            best = Checkpoint(tensors, self._of(done))
        if best is None or best.state["epoch"] != chosen:
            rule = f"must hold the checkpoint of epoch {chosen}"
            msg = f"`{self.run.name}` {rule}, got another, or none, at '{self.best}'"
            raise ValueError(msg)
        return history, last, best


def _digests(data: _Objects, judged: Mapping[str, _Objects]) -> dict[str, Any]:
    """Digests of all data, for the configuration."""
    given = {
        "X": data.X,
        "y": data.y,
        "teacher_logits": data.teacher,
        "privileged": data.privileged,
    }
    validation = judged.get("validation")
    found: dict[str, Any] = {
        name: None if tensor is None else digest_of_tensors({name: tensor})
        for name, tensor in given.items()
    }
    found["validation"] = validation and digest_of_tensors({"X": validation.X, "y": validation.y})
    return found | {"score_training": "train" in judged}
