r"""Teachers that answer and never learn, and their answers kept from run to run.

A teacher's logits are a matrix u(X) with a row for each object, in the order of the objects: they
are found by index, never by the order in which a loader happened to give them. Kept ones belong to
the weights and the data that they were computed from, and are refused to any other.

notation: m = n_objects, K = n_classes
"""

import copy
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import Embedding, EmbeddingBag, Module

from kdtheory._checks import check_callable, check_count, check_flag, check_not_masked
from kdtheory.neural.checkpoints import digest_of_tensors, load_checkpoint, save_checkpoint
from kdtheory.neural.devices import check_dense, check_device, native_array

__all__ = ["FrozenTeacher", "TeacherCache", "digest_of_data", "in_eval_mode", "teacher_logits"]


class FrozenTeacher(Module):
    """A copy of a model that only answers: no gradient, no dropout, no statistics that move.

    It stays so where it is part of another module: neither ``parent.train()`` nor an optimiser over
    ``parent.parameters()`` changes it. The model that is given is left as it is.

    Parameters
    ----------
    model : torch.nn.Module

    Raises
    ------
    TypeError
        If it is no module.

    Examples
    --------
    >>> teacher = FrozenTeacher(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout()))
    >>> teacher.train().training, teacher(torch.ones(2, 4)).requires_grad
    (False, False)
    """

    def __init__(self, model: Module) -> None:
        _require_module(model)
        super().__init__()
        self.model = copy.deepcopy(model)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "FrozenTeacher":  # noqa: ARG002
        """Stay in the mode in which a model is evaluated.

        Parameters
        ----------
        mode : bool, default True
            What the parent would like; it is not followed.

        Returns
        -------
        FrozenTeacher
        """
        return super().train(False)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model answers, without a gradient.

        Parameters
        ----------
        *args, **kwargs
            As of the model.

        Returns
        -------
        Tensor, or whatever the model gives
        """
        # not inference_mode: its tensors cannot take part in a student's graph
        with torch.no_grad():
            return self.model(*args, **kwargs)


def teacher_logits(
    model: Module,
    X: ArrayLike | Tensor,
    *,
    batch_size: int = 1000,
    device: str | torch.device | None = None,
    tell: Callable[..., None] = lambda **_: None,
) -> Tensor:
    """Logits of a model for all objects, row i for object i, in eval mode and without a gradient.

    Parameters
    ----------
    model : torch.nn.Module
        Each of its modules is afterwards in the mode in which it was.
    X : (m, ...) array or tensor, m at least 1
        Objects, finite. Numbers are brought to the type of the model's weights, but integers for a
        model with an embedding, which looks them up.
    batch_size : int, default 1000
        How many objects go through the model at a time.
    device : str or torch.device, optional
        Where to compute; by default where the model is. Elsewhere a copy of it computes.
    tell : callable, optional
        Called as ``tell(total=m, completed=0, description=...)``, then with ``advance=rows``.

    Returns
    -------
    (m, K) Tensor
        On the device of `X`, which is the CPU for an array.

    Raises
    ------
    ValueError
        If there is no object, a number of `X` or a logit is not finite, the answer is no matrix
        with a row for each object, a number is outside its range, or there is no such device.
    TypeError
        If `X` is no array of numbers, such as a loader, which may shuffle; or `model` no module.

    Examples
    --------
    >>> teacher_logits(torch.nn.Linear(4, 3), np.ones((5, 4))).shape
    torch.Size([5, 3])
    """
    _require_module(model)
    size = check_count("batch_size", batch_size, least=1)
    check_callable("tell", tell)
    data = _data(X)
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    place = weight.device if device is None else check_device("device", device)
    if place != weight.device:
        model = copy.deepcopy(model).to(place)
    embeds = any(isinstance(module, Embedding | EmbeddingBag) for module in model.modules())
    tell(total=len(data), completed=0, description="teacher")
    parts = []
    with in_eval_mode(model):
        for start in range(0, len(data), size):
            rows = data[start : start + size]
            # a copy: torch warns of arrays that cannot be written
            batch = rows if isinstance(rows, Tensor) else torch.from_numpy(rows.copy())
            looked_up = embeds and not batch.is_floating_point()
            batch = batch.to(place, torch.int64 if looked_up else weight.dtype)
            finite = batch.flatten(1).isfinite().all(dim=1)
            if not finite.all():
                at = start + int(finite.int().argmin())
                rule = f"must be finite numbers of {batch.dtype}"
                msg = f"`X` {rule}, got another in row {at}"
                raise ValueError(msg)
            logits = model(batch)
            if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(rows):
                found = (
                    f"shape {tuple(logits.shape)}"
                    if isinstance(logits, Tensor)
                    else type(logits).__name__
                )
                msg = (
                    f"`model` must give a row of logits for each of {len(rows)} objects, got "
                    f"{found}"
                )
                raise ValueError(msg)
            parts.append(logits.to(data.device if isinstance(data, Tensor) else "cpu"))
            tell(advance=len(rows))
    whole = torch.cat(parts)
    finite = whole.isfinite().all(dim=1)
    if not finite.all():
        at = int(finite.int().argmin())
        msg = f"`model` must give finite logits, got {whole[at].tolist()} for the object {at}"
        raise ValueError(msg)
    return whole


class TeacherCache:
    """Logits of a teacher, computed once, kept in a folder, and found by the index of an object.

    They belong to the weights, buffers and structure of the model, to the data, and to the way in
    which the data were augmented: a folder of any other is refused, and what differs is named. The
    folder is a checkpoint: it is there whole or not at all, and damage is found.

    Parameters
    ----------
    folder : path_like
        Where the logits are, or will be. One process at a time may write it.
    model : torch.nn.Module
    X : (m, ...) array or tensor
        Objects as the teacher sees them.
    augmentation : str, optional
        What was done to them at random, in a word.
    augmentation_seed : int, optional
        The seed by which that can be done again; needed where there is an augmentation.
    batch_size, device, tell
        As of `teacher_logits`.
    refresh : bool, default False
        Compute the logits anew, whatever the folder holds.

    Raises
    ------
    ValueError
        If the folder holds logits of another teacher, of other data or of another augmentation, or
        damaged ones, or something else; or if an argument is not as it must be.
    TypeError
        As of `teacher_logits`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as run:
    ...     cache = TeacherCache(f"{run}/teacher", torch.nn.Linear(4, 3), np.ones((5, 4)))
    ...     cache.logits([4, 0]).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        model: Module,
        X: ArrayLike | Tensor,
        *,
        augmentation: str | None = None,
        augmentation_seed: int | None = None,
        batch_size: int = 1000,
        device: str | torch.device | None = None,
        tell: Callable[..., None] = lambda **_: None,
        refresh: bool = False,
    ) -> None:
        _require_module(model)
        check_callable("tell", tell)
        if augmentation is not None and not isinstance(augmentation, str):
            msg = f"`augmentation` must be a text, got {type(augmentation).__name__}"
            raise TypeError(msg)
        if (augmentation is None) != (augmentation_seed is None):
            msg = (
                "`augmentation` and `augmentation_seed` must be given together: without its seed "
                f"none can be done again, got {augmentation!r} and {augmentation_seed!r}"
            )
            raise ValueError(msg)
        self.folder = Path(folder)
        if augmentation_seed is not None:
            augmentation_seed = check_count("augmentation_seed", augmentation_seed)
        self._augmentation = augmentation, augmentation_seed
        self._model = model.model if isinstance(model, FrozenTeacher) else model
        self._data = _data(X)
        self._options: dict[str, Any] = {
            "batch_size": check_count("batch_size", batch_size, least=1),
            "device": device,
            "tell": tell,
        }
        self._logits: Tensor | None = None
        if not check_flag("refresh", refresh):
            self._logits = self._kept()

    def logits(self, index: ArrayLike | Tensor | None = None) -> Tensor:
        """Logits of some objects; the first call computes those of all, if none are kept.

        Parameters
        ----------
        index : (n,) integers from 0 to m − 1, optional
            Which objects, by their place in `X`, in any order; by default all.

        Returns
        -------
        (n, K) Tensor, on the CPU

        Raises
        ------
        ValueError
            If an index is outside its range, or as of `teacher_logits` or `save_checkpoint`.
        TypeError
            If indices are no integers.
        """
        if self._logits is None:
            key = self._key()  # as the weights are now
            logits = teacher_logits(self._model, self._data, **self._options).cpu()
            save_checkpoint(self.folder, {"logits": logits}, {"teacher": key})
            self._logits = logits
        if index is None:
            return self._logits.clone()
        return self._logits[_index(index, len(self._logits))]

    def _key(self) -> dict[str, Any]:
        """All that the logits hang on."""
        return {
            "structure": hashlib.sha256(str(self._model).encode()).hexdigest(),
            "weights": digest_of_tensors(self._model.state_dict()),
            "augmentation": self._augmentation[0],
            "augmentation seed": self._augmentation[1],
            "data": digest_of_data(self._data),
        }

    def _kept(self) -> Tensor | None:
        """Logits of the folder, None if there are none."""
        checkpoint = load_checkpoint(self.folder)
        if checkpoint is None:
            return None
        key = checkpoint.state.get("teacher")
        if not isinstance(key, dict) or checkpoint.tensors.keys() != {"logits"}:
            msg = f"`folder` must hold logits of a teacher, got '{self.folder}', a checkpoint"
            raise ValueError(msg)
        for what, here in self._key().items():
            if key.get(what) != here:
                values = f" ({key.get(what)!r}, not {here!r})" if "augmentation" in what else ""
                msg = (
                    f"`folder` must hold logits of the same teacher and data, got '{self.folder}', "
                    f"which differs in the {what}{values}: refresh=True computes them anew"
                )
                raise ValueError(msg)
        return checkpoint.tensors["logits"]


@contextmanager
def in_eval_mode(model: Module) -> Iterator[None]:
    """Without gradients and in eval mode; at the end each module is in its own mode again.

    Parameters
    ----------
    model : nn.Module
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def digest_of_data(X: ArrayLike | Tensor) -> str:
    """SHA-256 of the type, shape and bytes of an array, the same for a tensor with the same.

    Parameters
    ----------
    X : array or tensor
        On any device, contiguous or not.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        If it is no array of numbers.

    Examples
    --------
    >>> digest_of_data(np.ones((2, 3))) == digest_of_data(torch.ones(2, 3, dtype=torch.float64))
    True
    """
    data = _data(X)
    kind = str(data.dtype).removeprefix("torch.")
    digest = hashlib.sha256(json.dumps([kind, list(data.shape)]).encode())
    if isinstance(data, Tensor):
        digest.update(data.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    else:
        digest.update(np.ascontiguousarray(data).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _require_module(model: Any) -> None:
    if not isinstance(model, Module):
        msg = f"`model` must be a torch.nn.Module, got {type(model).__name__}"
        raise TypeError(msg)


def _data(X: ArrayLike | Tensor) -> NDArray[Any] | Tensor:
    """An array or tensor of numbers with at least one row."""
    check_not_masked(X=X)
    if isinstance(X, Tensor):
        data = check_dense("X", X)
    else:
        try:
            data = np.asarray(X)
        except ValueError:
            msg = "`X` must be a rectangular array, got nested lengths that differ"
            raise ValueError(msg) from None
        if data.dtype.kind not in "fiub":
            msg = (
                "`X` must be an array or a tensor of numbers, its rows in their order, got "
                f"{type(X).__name__}"
            )
            raise TypeError(msg)
        data = native_array(data)
    if data.ndim == 0 or len(data) == 0:
        msg = f"`X` must have at least one row, got shape {tuple(data.shape)}"
        raise ValueError(msg)
    return data


def _index(value: ArrayLike | Tensor, n_objects: int) -> Tensor:
    """Places of objects, as integers."""
    check_not_masked(index=value)
    if isinstance(value, Tensor):
        value = check_dense("index", value).cpu().numpy()
    try:
        rows = np.asarray(value)
    except ValueError:
        rows = np.asarray(None)
    if rows.size == 0 and isinstance(value, Sequence):  # an empty list has the type float64
        rows = rows.astype(np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        found = f"{rows.dtype} of shape {rows.shape}"
        msg = f"`index` must be integers of shape (n,), got {found}"
        raise TypeError(msg)
    out = (rows < 0) | (rows >= n_objects)
    if out.any():
        at = int(out.argmax())
        msg = f"`index` must be from 0 to {n_objects - 1}, got {rows[at]} at index ({at})"
        raise ValueError(msg)
    return torch.from_numpy(rows.astype(np.int64))
