r"""Softened answers: the temperature softmax of distillation and its limits.

With :math:`p_T(z) = \operatorname{softmax}(z/T)`:

* :math:`p_T(z + c) = p_T(z)` for every real :math:`c`;
* :math:`T (\log p_j - \log p_k) = z_j - z_k`: the temperature divides every log ratio;
* :math:`p_S(\log p_T(z)) = p_{ST}(z)`: temperatures multiply, and :math:`p_S(\log p)` is
  :math:`p^{1/S}` over its sum, `soften_probabilities`;
* :math:`T \to 0`: uniform over the set of maxima, `hardened`: the one-hot vectors of GS, section 3,
  property 1, exactly when the maximum is unique;
* :math:`T \to \infty`: uniform over all classes (GS, section 3, property 2).

notation: z = logits, T = temperature, p = softened probabilities, K = number of classes
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import check_log_probabilities, check_logits, check_positive

__all__ = ["hardened", "log_soften", "soften", "soften_probabilities"]


def soften(logits: ArrayLike, temperature: float = 1.0) -> NDArray[Any]:
    r"""Class probabilities of logits at a temperature.

    .. math:: p_k = \frac{e^{z_k/T}}{\sum_j e^{z_j/T}}.

    Parameters
    ----------
    logits : (..., K) array_like
        Finite real numbers of any size, whose range in a row does not overflow; K at least 1.
    temperature : float, default 1
        T, finite and positive, one for all rows. `T → 0` is `hardened`; at `T → ∞` every class
        has 1/K.

    Returns
    -------
    (..., K) ndarray
        Points of the probability simplex; float32 if the logits are, else float64. A class whose
        probability is below the smallest number of that type has 0.

    Raises
    ------
    ValueError
        If a logit or a row's range is not finite, if K = 0, or if the temperature is not finite and
        positive.
    TypeError
        If the logits are not real numbers or the temperature is not one.

    References
    ----------
    .. [1] GS, section 3, the families of students and teachers; used in GS (3) and (14).

    Examples
    --------
    >>> soften([2.0, 1.0, 0.0]).round(3)
    array([0.665, 0.245, 0.09 ])
    >>> soften([2.0, 1.0, 0.0], temperature=4.0).round(3)
    array([0.419, 0.326, 0.254])
    """
    return _softmax(check_logits("logits", logits), check_positive("temperature", temperature))


def log_soften(logits: ArrayLike, temperature: float = 1.0) -> NDArray[Any]:
    r"""Log-probabilities of logits at a temperature, without the detour over the probabilities.

    .. math:: \log p_k = \frac{z_k}{T} - \log \sum_j e^{z_j/T}.

    Parameters
    ----------
    logits : (..., K) array_like
        Finite real numbers of any size, whose range in a row does not overflow; K at least 1.
    temperature : float, default 1
        T, finite and positive, one for all rows.

    Returns
    -------
    (..., K) ndarray
        Numbers at most 0; float32 if the logits are, else float64. It stays finite where `soften`
        has underflown to 0, and is −∞ only where the logarithm itself is out of range.

    Raises
    ------
    ValueError, TypeError
        As `soften`.

    References
    ----------
    .. [1] GS (3) and (14), the factors :math:`\log \mathbf{g}(\mathbf{x})|_{T=T_0}`.

    Examples
    --------
    >>> log_soften([1000.0, 0.0])
    array([    0., -1000.])
    """
    z = check_logits("logits", logits)
    scaled = _scaled_margins(z, check_positive("temperature", temperature))
    # log1p over the classes that are not the (first) maximum: its own term is exactly 1, and
    # log(1 + x) would lose the top class's log-probability below x = 1e-16
    with np.errstate(over="ignore", under="ignore"):
        odds = np.exp(scaled)
        np.put_along_axis(odds, scaled.argmax(axis=-1)[..., None], 0.0, axis=-1)
        scaled -= np.log1p(odds.sum(axis=-1, keepdims=True))
        return scaled.astype(z.dtype, copy=False)


def soften_probabilities(log_probs: ArrayLike, temperature: float = 1.0) -> NDArray[Any]:
    r"""Class probabilities brought to a temperature, from their logarithms.

    .. math:: \frac{p_k^{1/T}}{\sum_j p_j^{1/T}}.

    Of :math:`p = \operatorname{softmax}(z)` it is `soften` of z. What is impossible stays so at
    every temperature. Logarithms hold probabilities that a float does not, and which heat brings
    back; of probabilities take ``np.log``.

    Parameters
    ----------
    log_probs : (..., K) array_like
        :math:`\log p`, −∞ for a class of probability 0 but not for all classes of a row. A
        constant of each row does not matter.
    temperature : float, default 1
        T, finite and positive, one for all rows.

    Returns
    -------
    (..., K) ndarray
        Points of the probability simplex; float32 if the logarithms are, else float64.

    Raises
    ------
    ValueError
        If a logarithm is nan or +∞, or −∞ for all classes of a row, if K = 0, or if the temperature
        is not finite and positive.
    TypeError
        If the logarithms are not real numbers or the temperature is not one.

    References
    ----------
    .. [1] GS (3), where the teacher is known by its probabilities instead of its logits.

    Examples
    --------
    >>> soften_probabilities([np.log(0.64), np.log(0.36), -np.inf], temperature=2.0)
    array([0.57142857, 0.42857143, 0.        ])
    """
    log_p = check_log_probabilities("log_probs", log_probs)
    return _softmax(log_p, check_positive("temperature", temperature))


def hardened(logits: ArrayLike) -> NDArray[Any]:
    r"""Limit :math:`T \to 0` of `soften`: uniform over the classes of largest logit.

    .. math:: p_k = \frac{[k \in M]}{|M|}, \qquad M = \{k : z_k = \max_j z_j\},

    one-hot when the maximum is unique. GS, section 3, property 1 says one-hot always: at ties that
    is not so. With :math:`\delta` the gap between the largest logit and the largest one outside
    :math:`M`, `soften` is within :math:`2 (K - |M|)\, e^{-\delta/T} / |M|` of the limit in the sum
    of absolute differences.

    Parameters
    ----------
    logits : (..., K) array_like
        Finite real numbers, whose range in a row does not overflow; K at least 1.

    Returns
    -------
    (..., K) ndarray
        Points of the probability simplex; float32 if the logits are, else float64.

    Raises
    ------
    ValueError
        If a logit or a row's range is not finite, or K = 0.
    TypeError
        If the logits are not real numbers.

    References
    ----------
    .. [1] GS, section 3, properties of the temperature.

    Examples
    --------
    >>> hardened([[3.0, 1.0, 2.0], [2.0, 0.0, 2.0]])
    array([[1. , 0. , 0. ],
           [0.5, 0. , 0.5]])
    """
    z = check_logits("logits", logits)
    largest = (z == z.max(axis=-1, keepdims=True)).astype(z.dtype)
    return np.asarray(largest / largest.sum(axis=-1, keepdims=True))


def _softmax(z: NDArray[Any], temperature: float) -> NDArray[Any]:
    p = _scaled_margins(z, temperature)
    with np.errstate(under="ignore"):
        np.exp(p, out=p)
        p /= p.sum(axis=-1, keepdims=True)
        return p.astype(z.dtype, copy=False)


def _scaled_margins(z: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """(z − max z)/T: at most 0, and 0 at the maximum for every T.

    The maximum goes first, so that nothing can overflow upwards; what overflows downwards is −∞,
    a class without probability. In float64 because T may be outside the range of float32.
    """
    with np.errstate(over="ignore", under="ignore"):
        margins = z.astype(np.float64)
        margins -= margins.max(axis=-1, keepdims=True)
        margins /= temperature
    return margins
