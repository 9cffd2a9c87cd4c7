r"""Checkpoints that outlive a killed process: tensors as safetensors, all else as JSON, no pickle.

A checkpoint is a folder with ``tensors.safetensors`` and ``state.json``, which carries the digests
of both. A new one is written beside the one before, flushed to the disk, and put in its place by
renames: whatever the moment at which the process is killed, one of the two is there, whole.

notation: none
"""

import errno
import hashlib
import json
import os
import random
import reprlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

from kdtheory.files import json_text
from kdtheory.neural.devices import check_device

__all__ = [
    "Checkpoint",
    "digest_of_tensors",
    "load_checkpoint",
    "random_state",
    "restore_model",
    "restore_optimizer",
    "restore_random_state",
    "save_checkpoint",
    "tensors_of_model",
    "tensors_of_optimizer",
]

FORMAT = "kdtheory checkpoint 1"
TENSORS, STATE = "tensors.safetensors", "state.json"
REMEDY = "delete its folder to compute that part again"


@dataclass(frozen=True)
class Checkpoint:
    """What `save_checkpoint` was given.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Own memory each, to the bit as they were saved.
    state : dict
        What JSON knows.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(
    folder: str | os.PathLike[str], tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> None:
    """Write a checkpoint in the place of the one before, whole or not at all.

    Parameters
    ----------
    folder : path_like
        Such as ``run/last``; made with its parents, and for checkpoints alone. Beside it
        ``.last.new`` and ``.last.old`` are this function's own: what a killed process left of them
        is taken care of.
    tensors : mapping of str to Tensor
        Of any shape and device, strided or not, sharing memory or not, and of any type that
        safetensors knows (complex128 is none).
    state : mapping of str
        What JSON knows: texts, finite numbers, True, False, None, lists, mappings from texts.

    Raises
    ------
    ValueError
        If the folder cannot be written, as on a full disk (the checkpoint before it stays), or
        holds other files, or a tensor or the state cannot be kept as it is.
    TypeError
        If a tensor is none, or the state no mapping.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as run:
    ...     save_checkpoint(f"{run}/last", {"w": torch.ones(2)}, {"epoch": 3})
    ...     load_checkpoint(f"{run}/last")
    Checkpoint(tensors={'w': tensor([1., 1.])}, state={'epoch': 3})
    """
    folder = Path(folder)
    data = save({name: _own(name, tensor) for name, tensor in tensors.items()})
    digests = {TENSORS: _digest(data), "state": _digest(_state_text(state).encode())}
    text = json_text({"format": FORMAT, "digests": digests, "state": dict(state)})
    new, old = _beside(folder)
    try:
        _require_checkpoint_or_nothing(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if old.exists():  # a process was killed between the renames, or after them
            if folder.exists():
                shutil.rmtree(old)
            else:
                old.rename(folder)
        if new.exists():
            shutil.rmtree(new)
        new.mkdir()
        _write(new / TENSORS, data)
        _write(new / STATE, text.encode())
        _flush_folder(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        _flush_folder(folder.parent)
        shutil.rmtree(old, ignore_errors=True)  # if it stays, the next call removes it
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        msg = (
            f"`folder` must be a folder that can be written, got '{folder}' ({error.strerror}): "
            "no checkpoint in it is lost"
        )
        raise ValueError(msg) from error


def load_checkpoint(
    folder: str | os.PathLike[str], *, device: str | torch.device = "cpu"
) -> Checkpoint | None:
    """Read the checkpoint of a folder, or the one before if a process was killed between the two.

    Parameters
    ----------
    folder : path_like
        As of `save_checkpoint`. It is not changed.
    device : str or torch.device, default "cpu"
        Where the tensors go.

    Returns
    -------
    Checkpoint or None
        None if there is none, also in an empty folder.

    Raises
    ------
    ValueError
        If a file is missing, or not as it was written; it is named. If there is no such device.
    """
    device = check_device("device", device)
    folder = Path(folder)
    _, old = _beside(folder)
    there = old if old.exists() and not os.path.lexists(folder) else folder
    if not os.path.lexists(there) or (there.is_dir() and not any(there.iterdir())):
        return None
    text, data = _bytes(there / STATE), _bytes(there / TENSORS)
    try:
        document = json.loads(text)
        kind, digests, state = document["format"], document["digests"], document["state"]
        of_tensors, of_state = digests[TENSORS], digests["state"]
        whole = of_state == _digest(_state_text(state).encode())
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _damaged(there / STATE) from None
    if kind != FORMAT:
        msg = (
            f"`folder` must hold a checkpoint of the format {FORMAT!r}, got '{there / STATE}', "
            f"whose format is {reprlib.repr(kind)}"
        )
        raise ValueError(msg)
    if not whole:
        raise _damaged(there / STATE)
    if of_tensors != _digest(data):
        raise _damaged(there / TENSORS)
    try:
        tensors = load(data)
    except SafetensorError:  # as another program wrote it
        raise _damaged(there / TENSORS) from None
    return Checkpoint({name: tensor.to(device) for name, tensor in tensors.items()}, state)


def digest_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names, types, shapes and bytes of tensors, on whatever device they are.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        In any order.

    Returns
    -------
    str
        64 hexadecimal digits. 0 and −0 differ, as do two NaN of other bits.

    Examples
    --------
    >>> digest_of_tensors({"w": torch.ones(2)})[:16]
    'cbf8daea20b894a4'
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = _own(name, tensors[name], copy=False)
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def tensors_of_model(model: Module) -> dict[str, Tensor]:
    """Weights and buffers of a model, named ``model.…``, as `restore_model` takes them.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    dict of str to Tensor
        Those of the model itself, not copies.
    """
    return {f"model.{name}": tensor for name, tensor in model.state_dict().items()}


def restore_model(model: Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a model the weights and buffers of a checkpoint.

    Parameters
    ----------
    model : torch.nn.Module
    tensors : mapping of str to Tensor
        With those of `tensors_of_model`; all that are not named ``model.…`` are left out.

    Raises
    ------
    ValueError
        If they are of another model; the first name, shape or type that differs is told. The model
        is then left as it was.
    """
    own = tensors_of_model(model)
    saved = {name: tensor for name, tensor in tensors.items() if name.startswith("model.")}
    for name in (*own, *saved):
        ours, theirs = (_kind(group.get(name)) for group in (own, saved))
        if ours != theirs:
            msg = (
                "`tensors` must be of a checkpoint of the same model, got one where "
                f"`{name.removeprefix('model.')}` is {theirs}, not {ours}"
            )
            raise ValueError(msg)
    model.load_state_dict({name.removeprefix("model."): saved[name] for name in saved})


def tensors_of_optimizer(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State of an optimiser, such as Adam's moments and its learning rate.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer

    Returns
    -------
    tensors : dict of str to Tensor
        Named ``optimizer.…``; those of the optimiser itself, not copies.
    state : dict
        What JSON knows.

    Raises
    ------
    ValueError
        If it keeps something that is neither a tensor nor a number, a text, or a list of them.
    """
    document = optimizer.state_dict()
    parts = {"group": dict(enumerate(document["param_groups"])), "entry": document["state"]}
    tensors: dict[str, Tensor] = {}
    kept: dict[str, dict[str, dict[str, Any]]] = {part: {} for part in parts}
    for part, rows in parts.items():
        for row, values in rows.items():
            inside = {key: value for key, value in values.items() if isinstance(value, Tensor)}
            tensors |= {f"optimizer.{part}.{row}.{key}": inside[key] for key in inside}
            kept[part][str(row)] = {key: values[key] for key in values if key not in inside}
    state = {"class": type(optimizer).__name__, "shapes": _shapes(optimizer), **kept}
    try:
        _state_text(state)
    except ValueError:
        msg = (
            "`optimizer` must keep tensors and what JSON knows, got something else in "
            f"{type(optimizer).__name__}"
        )
        raise ValueError(msg) from None
    return tensors, state | {"tensors": sorted(tensors)}


def restore_optimizer(
    optimizer: Optimizer, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> None:
    """Give an optimiser the state of a checkpoint.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of a model of the same shapes.
    tensors : mapping of str to Tensor
        With those of `tensors_of_optimizer`; all that are not named ``optimizer.…`` are left out.
    state : mapping of str
        As of `tensors_of_optimizer`.

    Raises
    ------
    ValueError
        If they are of another optimiser, or of that of another model: the first difference is told.
    """
    theirs, ours = state.get("shapes") or [], _shapes(optimizer)
    differences: list[tuple[str, Any, Any]] = [
        ("the class", state.get("class"), type(optimizer).__name__),
        *(
            (f"the shape of parameter {at}", *shapes)
            for at, shapes in enumerate(zip_longest(theirs, ours))
        ),
    ]
    for what, there, here in differences:
        if there != here:
            msg = (
                "`state` must be of a checkpoint of the same optimiser and model, got one where "
                f"{what} is {there}, not {here}"
            )
            raise ValueError(msg)
    for name in state["tensors"]:
        if name not in tensors:
            msg = f"`tensors` must hold those of tensors_of_optimizer, got none named {name!r}"
            raise ValueError(msg)
    parts = {
        part: {int(row): dict(values) for row, values in state[part].items()}
        for part in ("group", "entry")
    }
    for name in state["tensors"]:
        _, part, row, key = name.split(".", 3)
        parts[part][int(row)][key] = tensors[name].clone()  # the optimiser goes on in place
    groups = optimizer.state_dict()["param_groups"]
    for at, group in enumerate(groups):
        saved = parts["group"][at]
        for key, value in saved.items():
            # JSON has no tuples, such as Adam's betas
            group[key] = tuple(value) if isinstance(group.get(key), tuple) else value
    optimizer.load_state_dict({"state": parts["entry"], "param_groups": groups})


def random_state() -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State of the global random generators of torch, NumPy and Python.

    Returns
    -------
    tensors : dict of str to Tensor
        Named ``random.…``; one for each device of CUDA among them, where there is CUDA.
    state : dict
        What JSON knows.
    """
    version, words, normal = random.getstate()
    name, keys, position, has_normal, kept_normal = np.random.get_state(legacy=True)  # noqa: NPY002
    tensors = {
        "random.torch": torch.get_rng_state(),
        "random.numpy": torch.from_numpy(np.asarray(keys, dtype=np.int64)),
        "random.python": torch.tensor(words, dtype=torch.int64),
    }
    if torch.cuda.is_available():
        states = torch.cuda.get_rng_state_all()
        tensors |= {f"random.cuda.{at}": state for at, state in enumerate(states)}
    state = {
        "numpy": [str(name), int(position), int(has_normal), float(kept_normal)],
        "python": [version, normal],
    }
    return tensors, state


def restore_random_state(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Put the global random generators back to where they were.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        With those of `random_state`; all that are not named ``random.…`` are left out.
    state : mapping of str
        As of `random_state`.

    Raises
    ------
    ValueError
        If a generator is missing, there or here, such as that of a device of CUDA.
    """
    names = ["random.torch", "random.numpy", "random.python"]
    devices = sorted(name for name in tensors if name.startswith("random.cuda."))
    missing = [name for name in names if name not in tensors]
    if missing or not {"numpy", "python"} <= state.keys():
        msg = f"`tensors` and `state` must be of random_state, got none of {missing or 'state'}"
        raise ValueError(msg)
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if len(devices) > here:
        msg = (
            f"`tensors` must be of a machine with as many devices of CUDA, got {len(devices)}, "
            f"where {here} are here"
        )
        raise ValueError(msg)
    of_torch, of_numpy, of_python = (tensors[name].cpu() for name in names)
    torch.set_rng_state(of_torch)
    kind, *rest = state["numpy"]
    np.random.set_state((kind, of_numpy.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, normal = state["python"]
    random.setstate((version, tuple(of_python.tolist()), normal))
    for name in devices:
        torch.cuda.set_rng_state(tensors[name].cpu(), int(name.rpartition(".")[2]))


def _own(name: str, tensor: Tensor, *, copy: bool = True) -> Tensor:
    """A tensor as plain bytes on the CPU."""
    if not isinstance(tensor, Tensor):
        msg = f"`tensors` must hold tensors, got {type(tensor).__name__} for {name!r}"
        raise TypeError(msg)
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        msg = f"`tensors` must be dense, and hold numbers, got another kind for {name!r}"
        raise ValueError(msg)
    if tensor.dtype == torch.complex128:
        msg = f"`tensors` must be of a type that safetensors knows, got complex128 for {name!r}"
        raise ValueError(msg)
    plain = tensor.detach().resolve_conj().resolve_neg()
    return plain.to("cpu", copy=copy, memory_format=torch.contiguous_format).contiguous()


def _kind(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{tuple(tensor.shape)} of {tensor.dtype}"


def _shapes(optimizer: Optimizer) -> list[list[int]]:
    return [list(p.shape) for group in optimizer.param_groups for p in group["params"]]


def _state_text(state: Mapping[str, Any]) -> str:
    """JSON of a state that comes back as it was, but for tuples, which become lists."""
    if not isinstance(state, Mapping):
        msg = f"`state` must be a mapping, got {type(state).__name__}"
        raise TypeError(msg)
    _require_texts(state)
    try:
        return json_text(state)
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"`state` must be what JSON knows, with finite numbers, got another thing ({error})"
        raise ValueError(msg) from None


def _require_texts(value: Any) -> None:
    """Refuse keys that JSON would turn into texts."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                msg = f"`state` must have texts as keys, got {key!r}"
                raise ValueError(msg)
            _require_texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_texts(item)


def _beside(folder: Path) -> tuple[Path, Path]:
    """Where the next checkpoint is made, and where the one before waits."""
    if folder.name in ("", ".."):
        msg = f"`folder` must have a name of its own, got '{folder}'"
        raise ValueError(msg)
    return folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")


def _require_checkpoint_or_nothing(folder: Path) -> None:
    """Refuse what would be lost if a checkpoint took its place."""
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
        msg = f"`folder` must be a folder, not a file or a link, got '{folder}'"
        raise ValueError(msg)
    others = {path.name for path in folder.iterdir()} - {TENSORS, STATE} if folder.exists() else ()
    if others:
        msg = (
            f"`folder` must hold a checkpoint and nothing else, got '{folder}', which holds "
            f"'{min(others)}'"
        )
        raise ValueError(msg)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; Windows has no way to."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe may have no end
            msg = "not a regular file"
            raise OSError(0, msg)
        return path.read_bytes()
    except OSError as error:
        msg = f"`folder` must hold a whole checkpoint, got '{path}' ({error.strerror})"
        if error.errno in (0, errno.ENOENT):  # what cannot be read may be whole
            msg += f": {REMEDY}"
        raise ValueError(msg) from None


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"`folder` must hold a whole checkpoint, got '{path}', which is damaged: {REMEDY}"
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
