r"""The order in which objects are seen: a function of seed and epoch, with no state to restore.

notation: m = n_objects
"""

import numpy as np
import torch
from torch import Tensor

from kdtheory._checks import check_count

__all__ = ["IGNORED", "epoch_order"]

IGNORED = -100  # the label of an object whose label is not known, as torch has it


def epoch_order(n_objects: int, seed: int, epoch: int) -> Tensor:
    """Random order of the objects in one epoch.

    Parameters
    ----------
    n_objects : int
        m, at least 1.
    seed, epoch : int
        At least 0. Orders of different pairs are independent: NumPy's generator is seeded by both,
        as torch's on the CPU looks at 32 bits only.

    Returns
    -------
    (m,) int64 tensor, on the CPU
        A permutation of 0 … m − 1.

    Raises
    ------
    ValueError, TypeError
        If a number is not an integer, or outside its range.

    Examples
    --------
    >>> torch.equal(epoch_order(5, 1, 0), epoch_order(5, 1, 0))
    True
    >>> sorted(epoch_order(5, 1, 0).tolist())
    [0, 1, 2, 3, 4]
    """
    m = check_count("n_objects", n_objects, least=1)
    # a third number, as (seed, 0) alone would be the stream of the seed itself
    seeds = check_count("seed", seed), check_count("epoch", epoch), 1
    return torch.from_numpy(np.random.default_rng(seeds).permutation(m))
