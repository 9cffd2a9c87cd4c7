r"""The device that numbers live on, and what holds them: there, or one clear line.

notation: none
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["check_dense", "check_device", "native_array"]


def check_device(name: str, device: str | torch.device) -> torch.device:
    """Return a device that this machine has.

    Parameters
    ----------
    name : str
        What the argument is called where a mistake is told.
    device : str or torch.device
        Such as "cpu" or "cuda:1".

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If there is no such device, or no such kind of device, or it is "meta", which holds none.

    Examples
    --------
    >>> check_device("device", "cpu")
    device(type='cpu')
    """
    try:
        found = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        msg = f"`{name}` must be a device that this machine has, got {str(device)!r} ({reason})"
        raise ValueError(msg) from None
    if found.type == "meta":
        msg = f"`{name}` must be a device that holds numbers, got 'meta'"
        raise ValueError(msg)
    return found


def check_dense(name: str, tensor: Tensor) -> Tensor:
    """Return a tensor that holds all its real numbers, without its graph.

    Parameters
    ----------
    name : str
        What the argument is called where a mistake is told.
    tensor : Tensor
        Of real numbers, integers or bool.

    Returns
    -------
    Tensor
        Detached, of the same memory.

    Raises
    ------
    TypeError
        If it is sparse, quantized, complex or on the device "meta".

    Examples
    --------
    >>> check_dense("X", torch.ones(2, requires_grad=True))
    tensor([1., 1.])
    """
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        kind = "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
        kind = str(tensor.dtype) if tensor.is_quantized else kind
        msg = f"`{name}` must be a dense tensor that holds its numbers, got one of {kind}"
        raise TypeError(msg)
    if tensor.is_complex():
        msg = f"`{name}` must be real numbers, got {tensor.dtype}"
        raise TypeError(msg)
    return tensor.detach()


def native_array(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in a type that torch has too: the machine's order of bytes, no long doubles.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    ndarray
        Itself, if it is so; a long double beyond float64 becomes infinite.

    Examples
    --------
    >>> native_array(np.ones(2, dtype=">f4")).dtype.isnative
    True
    """
    long = array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize
    with np.errstate(over="ignore"):
        return array.astype(np.float64 if long else array.dtype.newbyteorder("="), copy=False)
