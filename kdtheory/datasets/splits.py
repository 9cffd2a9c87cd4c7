r"""Rows that train a student and rows that choose among students, by a seed.

notation: m = n_objects
"""

import numpy as np
from numpy.typing import NDArray

from kdtheory._checks import check_count

__all__ = ["validation_split"]

STREAM = (0x5641_4C49,)  # NumPy's streams of s and (s, 0) are one: this one has nobody else


def validation_split(
    n_objects: int, n_validation: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of a training set for training, and for choosing; a test set chooses nothing.

    Every set of `n_validation` rows is equally likely: classes are not balanced (GS 6.1 has no
    validation set, so there is nothing to follow).

    Parameters
    ----------
    n_objects : int
        m, at least 2.
    n_validation : int
        At least 1, at most m − 1.
    seed : int
        At least 0; the same seed gives the same rows.

    Returns
    -------
    train_rows : (m − n_validation,) ndarray of int64
    validation_rows : (n_validation,) ndarray of int64
        Each in ascending order; together they are 0 … m − 1.

    Raises
    ------
    ValueError, TypeError
        If a number is not an integer, or outside its range.

    Examples
    --------
    >>> train_rows, validation_rows = validation_split(10, 3, seed=0)
    >>> train_rows
    array([0, 1, 4, 5, 7, 8, 9])
    >>> validation_rows
    array([2, 3, 6])
    """
    m = check_count("n_objects", n_objects, least=2)
    held = check_count("n_validation", n_validation, least=1, most=m - 1)
    source = np.random.SeedSequence(check_count("seed", seed), spawn_key=STREAM)
    order = np.random.default_rng(source).permutation(m).astype(np.int64, copy=False)
    return np.sort(order[held:]), np.sort(order[:held])
