r"""Weak views of a picture, as a poorer sensor or another hand would give it, and ways back.

Pictures are (m, height, width) numbers in [0, 1], 0 is black. A weak view of x is one of

* *block means*: the mean of each square of pixels, as a coarse sensor counts light;
* *line drawing*: 1 where Sobel's gradient is steep, 0 elsewhere,

  .. math:: 1\Big[\sqrt{(D_1 x)^2 + (D_2 x)^2} \ge \tau\Big], \quad D_1 = (-1, 0, 1)^\top (1, 2, 1),
      \quad D_2 = D_1^\top ;

* *noisy*: :math:`\min(\max(x + \sigma \varepsilon, 0), 1)` with independent normal ε;
* *partly hidden*: a square at a random place of each picture is black.

Block means have a known way back, which loses what they lost: each repeated over its square, or
bilinear interpolation between the middles of the squares.

notation: x = picture, m = number of pictures, τ = threshold, σ = sigma
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_count,
    check_nonnegative,
    check_positive,
    check_real_array,
    check_rng,
)

__all__ = [
    "bilinear",
    "block_means",
    "line_drawings",
    "noisy",
    "partly_hidden",
    "repeated",
]

Pictures = NDArray[np.float32]


def block_means(pictures: ArrayLike, side: int) -> Pictures:
    """Mean of each of side × side blocks of pixels.

    Parameters
    ----------
    pictures : (m, h, w) array_like
        In [0, 1].
    side : int
        Number of blocks each way; h and w must be multiples of it.

    Returns
    -------
    (m, side, side) ndarray of float32

    Raises
    ------
    ValueError
        If a size is no multiple of `side`, or a number is not in [0, 1].
    TypeError
        If `side` is not an integer.

    Examples
    --------
    >>> block_means([[[0.0, 1.0], [0.0, 0.0]]], 1)
    array([[[0.25]]], dtype=float32)
    """
    given = _pictures(pictures)
    m, height, width = given.shape
    n = check_count("side", side, least=1)
    if height % n or width % n:
        msg = f"`side` must divide the sizes of the pictures, {height} and {width}, got {n}"
        raise ValueError(msg)
    blocks = given.reshape(m, n, height // n, n, width // n)
    means: Pictures = blocks.mean(axis=(2, 4))
    return means


def repeated(pictures: ArrayLike, side: int) -> Pictures:
    """Each pixel repeated over a square, up to side × side pixels; `block_means` undoes it.

    Parameters
    ----------
    pictures : (m, h, h) array_like
        In [0, 1].
    side : int
        A multiple of h.

    Returns
    -------
    (m, side, side) ndarray of float32

    Raises
    ------
    ValueError
        If `side` is no multiple of the size, or a number is not in [0, 1].
    TypeError
        If `side` is not an integer.

    Examples
    --------
    >>> repeated([[[0.25]]], 2)
    array([[[0.25, 0.25], [0.25, 0.25]]], dtype=float32)
    """
    given, factor = _enlarged(pictures, side)
    return given.repeat(factor, axis=1).repeat(factor, axis=2)


def bilinear(pictures: ArrayLike, side: int) -> Pictures:
    """Pixels interpolated between the middles of their squares; constant beyond the last middle.

    Parameters, returns and errors as of `repeated`.

    Examples
    --------
    >>> bilinear([[[0.0, 1.0], [0.0, 1.0]]], 4)[0, 0]
    array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    given, factor = _enlarged(pictures, side)
    n = given.shape[1]
    # middles of the fine pixels in units of the coarse ones, whose middles are 0 … n − 1
    places = np.clip((np.arange(side) + 0.5) / factor - 0.5, 0, n - 1)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(n))).astype(np.float32)
    enlarged: Pictures = np.matmul(np.matmul(weights, given), weights.T)
    return enlarged


def line_drawings(pictures: ArrayLike, threshold: float) -> Pictures:
    """White lines where the picture changes: 1 where Sobel's gradient is at least the threshold.

    Parameters
    ----------
    pictures : (m, h, w) array_like
        In [0, 1]; black beyond the frame.
    threshold : float
        τ, positive. A straight edge between black and grey of c has the gradient 4 c.

    Returns
    -------
    (m, h, w) ndarray of float32
        Zeros and ones.

    Raises
    ------
    ValueError
        If the threshold is not positive, or a number is not in [0, 1].

    Examples
    --------
    >>> line_drawings([[[0, 0, 0, 1, 1, 1]] * 3], 3.0)[0, 1]
    array([0., 0., 1., 1., 0., 1.], dtype=float32)
    """
    # here, since its import is slow
    from scipy.ndimage import correlate1d

    given, least = _pictures(pictures), check_positive("threshold", threshold)

    def gradient(across: int, along: int) -> Pictures:
        # scipy.ndimage.sobel would smooth over the pictures too
        step = correlate1d(given, [-1, 0, 1], axis=across, mode="constant")
        smooth: Pictures = correlate1d(step, [1, 2, 1], axis=along, mode="constant")
        return smooth

    lines: Pictures = (np.hypot(gradient(1, 2), gradient(2, 1)) >= least).astype(np.float32)
    return lines


def noisy(pictures: ArrayLike, sigma: float, rng: np.random.Generator) -> Pictures:
    """Independent normal noise in each pixel, cut to [0, 1] as pixels are.

    Parameters
    ----------
    pictures : (m, h, w) array_like
        In [0, 1].
    sigma : float
        σ, at least 0: standard deviation before the cut.
    rng : numpy.random.Generator

    Returns
    -------
    (m, h, w) ndarray of float32

    Raises
    ------
    ValueError
        If σ is negative, or a number is not in [0, 1].
    TypeError
        If `rng` is not a generator.

    Examples
    --------
    >>> noisy([[[0.5]]], 0.0, np.random.default_rng(0))
    array([[[0.5]]], dtype=float32)
    """
    given, spread = _pictures(pictures), np.float32(check_nonnegative("sigma", sigma))
    noise = check_rng("rng", rng).standard_normal(given.shape, dtype=np.float32)
    clipped: Pictures = np.clip(given + spread * noise, 0, 1)
    return clipped


def partly_hidden(pictures: ArrayLike, side: int, rng: np.random.Generator) -> Pictures:
    """A black square in each picture, wholly inside it, all places equally likely.

    Parameters
    ----------
    pictures : (m, h, w) array_like
        In [0, 1].
    side : int
        Of the square, at most h and w.
    rng : numpy.random.Generator

    Returns
    -------
    (m, h, w) ndarray of float32

    Raises
    ------
    ValueError
        If the square is larger than the picture, or a number is not in [0, 1].
    TypeError
        If `side` is not an integer, or `rng` not a generator.

    Examples
    --------
    >>> float(partly_hidden(np.ones((1, 4, 4)), 2, np.random.default_rng(0)).sum())
    12.0
    """
    given = _pictures(pictures)
    m, *sizes = given.shape
    n = check_count("side", side, most=min(sizes))
    generator = check_rng("rng", rng)
    rows, columns = (_stripe(generator, m, size, n) for size in sizes)
    hidden = rows[:, :, None] & columns[:, None, :]
    return np.where(hidden, np.float32(0), given)


def _stripe(rng: np.random.Generator, m: int, size: int, n: int) -> NDArray[np.bool_]:
    """Mask (m, size) of n neighbours at a random place of each row."""
    first = rng.integers(size - n + 1, size=m)[:, None]
    places = np.arange(size)
    stripe: NDArray[np.bool_] = (places >= first) & (places < first + n)
    return stripe


def _pictures(value: ArrayLike) -> Pictures:
    pictures = check_real_array("pictures", value, ndim=3).astype(np.float32, copy=False)
    if pictures.size and not (pictures.min() >= 0 and pictures.max() <= 1):
        ends = f"{float(pictures.min()):g} and {float(pictures.max()):g}"
        msg = f"`pictures` must be in [0, 1], got numbers between {ends}"
        raise ValueError(msg)
    return pictures


def _enlarged(value: ArrayLike, side: int) -> tuple[Pictures, int]:
    """Square pictures and the factor by which they are to grow."""
    pictures = _pictures(value)
    _, height, width = pictures.shape
    wanted = check_count("side", side, least=1)
    if height != width or wanted % height:
        msg = f"`side` must be a multiple of the sizes of the pictures, {height} and {width}, "
        raise ValueError(msg + f"got {wanted}")
    return pictures, wanted // height
