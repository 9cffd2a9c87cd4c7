r"""The networks of GS 6.1 and of MD 4, for images of 28 × 28 as rows of 784 numbers in [0, 1].

GS: a teacher of two convolutional and three linear layers with ReLU and 30 thousand parameters, a
student that is logistic regression, :math:`784 \cdot 10 + 10 = 7850`. Widths are not printed;
those taken here give 30 000 exactly:

    5 × 5 to 8 channels, halved; 5 × 5 to 16 channels, halved; 256 → 80 → 66 → 10.

MD: a teacher of four layers with ReLU (784 → 256 → 128 → 64 → 10, widths not printed), a student
of one layer.

notation: none
"""

from collections.abc import Callable

import torch
from torch import nn

from kdtheory._checks import check_count

__all__ = ["gs_student", "gs_teacher", "md_student", "md_teacher", "n_parameters"]

SIDE, N_FEATURES, N_CLASSES = 28, 784, 10


def gs_teacher(seed: int = 0) -> nn.Sequential:
    """The teacher of GS 6.1: two convolutional and three linear layers, 30 000 parameters.

    Parameters
    ----------
    seed : int, default 0
        Of the initial weights, from 0 to 2^63 − 1. The global generator is not touched.

    Returns
    -------
    nn.Sequential
        From (m, 784) pixels to (m, 10) logits.

    Raises
    ------
    ValueError, TypeError
        If the seed is not an integer, negative, or 2^63 or more.

    Examples
    --------
    >>> n_parameters(gs_teacher())
    30000
    """
    return _drawn(
        seed,
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, SIDE, SIDE)),
            nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(256, 80), nn.ReLU(),
            nn.Linear(80, 66), nn.ReLU(),
            nn.Linear(66, N_CLASSES),
        ),
    )  # fmt: skip


def gs_student(seed: int = 0) -> nn.Sequential:
    """The student of GS 6.1: logistic regression for ten classes, 7850 parameters.

    Parameters, returns and errors as of `gs_teacher`.

    Examples
    --------
    >>> n_parameters(gs_student())
    7850
    """
    return _drawn(seed, lambda: nn.Sequential(nn.Linear(N_FEATURES, N_CLASSES)))


def md_teacher(seed: int = 0) -> nn.Sequential:
    """The teacher of MD 4: four linear layers with ReLU between them.

    Parameters, returns and errors as of `gs_teacher`.
    """
    return _drawn(
        seed,
        lambda: nn.Sequential(
            nn.Linear(N_FEATURES, 256), nn.ReLU(),
            nn.Linear(256, 128), nn.ReLU(),
            nn.Linear(128, 64), nn.ReLU(),
            nn.Linear(64, N_CLASSES),
        ),
    )  # fmt: skip


def md_student(seed: int = 0) -> nn.Sequential:
    """The student of MD 4, of one layer: the same as `gs_student`."""
    return gs_student(seed)


def n_parameters(model: nn.Module) -> int:
    """Number of trainable parameters.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If it is no module.
    """
    if not isinstance(model, nn.Module):
        msg = f"`model` must be a torch.nn.Module, got {type(model).__name__}"
        raise TypeError(msg)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _drawn(seed: int, make: Callable[[], nn.Sequential]) -> nn.Sequential:
    """A network whose weights torch draws from a seed, with the global generator as it was."""
    number = check_count("seed", seed, most=2**63 - 1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(number)  # not those of GPUs, which stay as they are
        return make()
