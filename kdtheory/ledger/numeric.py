"""How numbers decide: an error is small if it is within a tolerance that has a reason.

notation: none
"""

from typing import Any

import numpy as np

from kdtheory.ledger.evidence import Finding

__all__ = ["small"]


def small(errors: Any, tolerance: float, scope: str) -> Finding:
    """Holds if no error is above the tolerance.

    Examples
    --------
    >>> small([1e-17, 2e-16], 1e-15, "two draws")
    Finding(holds=True, detail='two draws, within 1e-15')
    """
    largest = float(np.max(errors))
    if largest <= tolerance:  # the error itself may differ between machines
        return Finding(True, f"{scope}, within {tolerance:.0e}")
    return Finding(False, f"{scope}, off by {largest:.2g}, above {tolerance:.0e}")
