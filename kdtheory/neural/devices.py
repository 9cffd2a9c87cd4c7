r"""The device that numbers live on: one that is there, or one clear line.

notation: none
"""

import torch

__all__ = ["check_device"]


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
        If there is no such device, or no such kind of device.

    Examples
    --------
    >>> check_device("device", "cpu")
    device(type='cpu')
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        msg = f"`{name}` must be a device that this machine has, got {str(device)!r} ({reason})"
        raise ValueError(msg) from None
