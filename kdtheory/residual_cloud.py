"""Residuals of any number of objects as a picture of fixed size.

notation: none
"""

from copy import copy

import numpy as np
from numpy.typing import NDArray

__all__ = ["ResidualCloud"]

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]

POINTS = 5000  # objects up to which each is drawn
ANY = -(2**15)  # exponent of the side of cells that hold zeros alone
CELLS = 64  # of the picture of more, in each direction, at most


class ResidualCloud:
    r"""Fitted values and residuals of any number of objects, for a picture of fixed size.

    Up to `POINTS` objects are kept. More are counted in square cells whose sides are powers of 2,
    the smallest ones of which `CELLS` cover the range; when the range grows, cells are joined. So
    the counts do not depend on the order of the objects.
    """

    def __init__(self) -> None:
        self.points = np.zeros((2, 0))
        self.exponents = [ANY, ANY]
        self.cells = np.zeros((2, 0), dtype=np.int64)
        self.counts = np.zeros(0, dtype=np.int64)

    def add(self, fitted: Reals, residuals: Reals) -> None:
        """Add objects."""
        self.points = np.hstack([self.points, [fitted, residuals]])
        if len(self.counts) > 0 or self.points.shape[1] > POINTS:
            points, self.points = self.points, np.zeros((2, 0))
            if points.size:
                exponents = [_cell_exponent(values) for values in points]
                cells = [_cells(*pair) for pair in zip(points, exponents, strict=True)]
                ones = np.ones(points.shape[1], dtype=np.int64)
                self._count(np.array(cells), exponents, ones)

    def _count(self, cells: Integers, exponents: list[int], counts: Integers) -> None:
        """Add cells with their counts, and join those of both until few enough are left."""
        both, sides = [], []
        for axis in range(2):
            side = max(self.exponents[axis], exponents[axis])
            old = _joined(self.cells[axis], side - self.exponents[axis])
            every = np.concatenate([old, _joined(cells[axis], side - exponents[axis])])
            while np.ptp(every) >= CELLS:
                every, side = _joined(every, 1), side + 1
            both.append(every)
            sides.append(side)
        self.exponents = sides
        self.cells, where = np.unique(np.array(both), axis=1, return_inverse=True)
        every_count = np.concatenate([self.counts, counts])
        self.counts = np.bincount(where.ravel(), weights=every_count).astype(np.int64)

    def __add__(self, other: "ResidualCloud") -> "ResidualCloud":
        """Objects of both."""
        total = copy(self)
        total.add(*other.points)
        if len(other.counts):
            total._count(other.cells, other.exponents, other.counts)
            total.add(*np.zeros((2, 0)))  # a few points beside cells join them
        return total

    def table(self) -> tuple[Reals, Reals, Reals]:
        """Edges of the cells in both directions, and the counts between them."""
        least, most = self.cells.min(axis=1), self.cells.max(axis=1)
        counts = np.zeros(most - least + 1)
        counts[tuple(self.cells - least[:, None])] = self.counts
        edges = [
            np.ldexp(np.arange(a, b + 2, dtype=np.float64), 0 if exponent == ANY else exponent)
            for a, b, exponent in zip(least, most, self.exponents, strict=True)
        ]
        return edges[0], edges[1], counts


def _cell_exponent(values: Reals) -> int:
    """A side, as a power of 2, not above the one that is wanted; its multiples are exact."""
    size = np.abs(values).max()
    if size == 0:
        return ANY
    finest = int(np.frexp(size)[1]) - 40
    reach = np.ptp(values) / CELLS
    return max(finest, int(np.frexp(reach)[1]) - 1) if reach > 0 else finest


def _cells(values: Reals, exponent: int) -> Integers:
    """Number of the cell of each value."""
    return np.floor(np.ldexp(values, -exponent)).astype(np.int64)


def _joined(cells: Integers, times: int) -> Integers:
    """Numbers after cells have been joined two by two, so many times."""
    return cells >> min(times, 62)
