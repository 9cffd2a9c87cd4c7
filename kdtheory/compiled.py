"""The series of `divided_differences` compiled by numba, for large batches.

Optional: `pip install kdtheory[fast]`. Every row takes the same additions, multiplications and
divisions, in the same order, as in NumPy, so the answers have the same bits.
"""

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["series_totals"]

LANES = 8  # rows side by side: two vector registers of float64


def _series_totals(rows: NDArray[np.float64], tail: float) -> NDArray[np.float64]:
    """Σ_n h_n(b) (K−1)! / (n+K−1)! of each row of logits (B, K), b = a − min a."""
    n_rows, n_classes = rows.shape
    totals = np.ones(n_rows)
    b = np.empty((n_classes, LANES))
    h = np.empty((n_classes, LANES))
    span = np.empty(LANES)
    scale = np.empty(LANES)
    weight = np.empty(LANES)
    total = np.empty(LANES)
    for start in range(0, n_rows, LANES):
        for i in range(LANES):
            row = rows[min(start + i, n_rows - 1)]  # the last group repeats its last row
            lowest, highest = row.min(), row.max()
            span[i] = highest - lowest
            scale[i] = span[i] if span[i] > 0 else 1.0
            weight[i] = 1.0
            total[i] = 1.0
            for k in range(n_classes):
                b[k, i] = (row[k] - lowest) / scale[i]
                h[k, i] = 1.0
        n = 0
        open_tail = True
        while open_tail:
            n += 1
            for i in range(LANES):
                h[0, i] *= b[0, i]
            for k in range(1, n_classes):
                for i in range(LANES):
                    h[k, i] = h[k, i] * b[k, i] + h[k - 1, i]
            open_tail = False
            for i in range(LANES):
                weight[i] *= scale[i] / (n + n_classes - 1)
                term = h[-1, i] * weight[i]
                total[i] += term
                room = n + 1 - span[i]
                open_tail |= room <= 0 or term * span[i] > tail * room * total[i]
        for i in range(min(LANES, n_rows - start)):
            totals[start + i] = total[i]
    return totals


try:
    series_totals = numba.njit(cache=True, nogil=True)(_series_totals)
except RuntimeError:  # no folder for the cache can be written: compile in every process
    series_totals = numba.njit(nogil=True)(_series_totals)
