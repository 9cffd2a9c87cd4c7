"""The logits at which the normaliser is judged, made by exact arithmetic from (K, spread, kind)."""

import numpy as np

CLASSES = (1, 2, 3, 5, 10, 30, 100, 300, 1000)
SPREADS = (0.0, 1e-12, 1e-6, 1e-2, 1.0, 5.0, 30.0, 100.0, 700.0, 1e4)
KINDS = ("generic", "ties", "near-ties", "one-hot")
LEAST_LOG_PROB = np.log(1e-300)


def cases():
    """All (K, spread, kind), without repetitions."""
    for n_classes in CLASSES:
        for spread in SPREADS:
            for kind in KINDS if spread > 0 and n_classes > 1 else ("generic",):
                yield n_classes, spread, kind
        yield n_classes, float(-LEAST_LOG_PROB), "log-probabilities"


def make_logits(n_classes: int, spread: float, kind: str) -> np.ndarray:
    """Logits whose largest entry is 0 and whose range is `spread`."""
    k = np.arange(n_classes)
    scattered = k * 0.6180339887498949 % 1.0  # golden-ratio points of [0, 1)
    if kind == "ties":
        depth = (k % 3) / 2
    elif kind == "near-ties":
        depth = (k % 3) / 4 + 10.0 ** -(1.0 + k % 16) / 2
    elif kind == "one-hot":
        depth = (k > 0).astype(float)
    else:
        depth = scattered
    if n_classes > 1:
        depth[0], depth[-1] = 0.0, 1.0
    return -spread * depth
