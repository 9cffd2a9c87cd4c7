r"""How far probabilities are from calibrated, where the true ones are known.

Two measures of log-probabilities log g against the true probabilities S, free of noise of labels.
The best *recalibration* (Cox, 1958) softens and shifts what a student says,

.. math:: \min_{\beta, \alpha} \; \frac1m \sum_{i=1}^m \operatorname{CE}\big(s_i,
    \operatorname{softmax}(\beta \log g_i + \alpha)\big), \qquad \alpha_K = 0,

a convex problem of K numbers; β is 1 for a calibrated student, below 1 for an overconfident one,
and what the minimum lies below the student's own cross-entropy is its loss by miscalibration. The
*top-label error* looks at the chosen class alone.

notation: g = student, S = true probabilities, K = n_classes, m = n_objects
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["recalibration", "top_label_error"]

Reals = NDArray[np.float64]

NEWTON_STEPS = 100
ENOUGH = 1e-12  # of the value: how far above its minimum the last step starts, twice
SUFFICIENT = 0.25  # part of the decrease that a step foretells
HALVINGS = 30  # beyond them a step changes nothing but by rounding


def recalibration(log_probs: Reals, truth: Reals) -> tuple[float, float]:
    r"""Slope β of softmax(β log g + α) nearest to S, and its expected cross-entropy.

    Newton's method from β = 1, α = 0, with steps halved until they descend.

    Parameters
    ----------
    log_probs : (m, K) ndarray
        Finite, and not the same in all rows.
    truth : (m, K) ndarray
        Rows of S, points of the simplex.

    Returns
    -------
    slope : float
    value : float
        In nats; the least of the family within 10⁻¹² of itself, unless rounding forbids.

    Raises
    ------
    numpy.linalg.LinAlgError
        If β and α cannot be told apart.

    References
    ----------
    .. [1] D. R. Cox, "Two further applications of a model for binary regression", Biometrika 45
       (1958).

    Examples
    --------
    >>> truth = np.array([[0.5, 0.5], [0.8, 0.2]])
    >>> slope, value = recalibration(np.log(truth), truth)
    >>> round(slope, 9), round(value, 4)
    (1.0, 0.5968)
    """
    m, K = truth.shape
    # (K, m): K is small
    L, S = np.ascontiguousarray(log_probs.T), np.ascontiguousarray(truth.T)

    def softened(parameters: Reals) -> tuple[float, Reals]:
        logits = parameters[0] * L
        logits[:-1] += parameters[1:, None]
        logits -= logits.max(axis=0)
        probs = np.exp(logits)
        total = probs.sum(axis=0)
        return float((np.log(total) - (S * logits).sum(axis=0)).mean()), probs / total

    parameters = np.eye(K)[0]
    value, probs = softened(parameters)
    for _ in range(NEWTON_STEPS):
        residuals = probs - S
        gradient = np.concatenate([[(residuals * L).sum()], residuals[:-1].sum(axis=1)]) / m
        weighted = probs * L
        centred = weighted - probs * weighted.sum(axis=0)
        hessian = np.empty((K, K))
        hessian[0, 0] = (centred * L).sum()
        hessian[0, 1:] = hessian[1:, 0] = centred[:-1].sum(axis=1)
        hessian[1:, 1:] = np.diag(probs[:-1].sum(axis=1)) - probs[:-1] @ probs[:-1].T
        step = np.linalg.solve(hessian / m, -gradient)
        decrement = float(-gradient @ step)
        if decrement <= ENOUGH * value:
            break
        for length in 0.5 ** np.arange(HALVINGS):
            found = softened(parameters + length * step)
            if found[0] <= value - SUFFICIENT * length * decrement:
                break
        else:  # no step descends: the minimum within rounding
            break
        parameters = parameters + length * step
        value, probs = found
    return float(parameters[0]), value


def top_label_error(confidence: Reals, right: Reals, *, n_groups: int) -> float:
    """Mean over groups of equal size, by confidence, of |mean confidence − mean of right|.

    Sizes differ by one where m is no multiple; a group counts by its size.

    Parameters
    ----------
    confidence : (m,) ndarray
        max_k g_k.
    right : (m,) ndarray
        Probability that the chosen class is right: 0 or 1, or that of S where it is known.
    n_groups : int
        At least 1, at most m.

    Returns
    -------
    float

    Examples
    --------
    >>> top_label_error(np.array([0.5, 0.75]), np.array([0.5, 0.5]), n_groups=2)
    0.125
    """
    groups = np.array_split(np.argsort(confidence, kind="stable"), n_groups)
    gaps = [abs(confidence[group].mean() - right[group].mean()) for group in groups]
    return float(np.average(gaps, weights=[len(group) for group in groups]))
