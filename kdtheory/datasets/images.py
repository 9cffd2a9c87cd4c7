r"""Images with class labels: FashionMNIST, on which GS 6.1 and MD 4 train.

notation: X = images, y = labels
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdtheory.datasets.idx import read_idx
from kdtheory.datasets.storage import PublishedData, PublishedFile, read_files

__all__ = ["FASHION_MNIST", "ImageData", "fashion_mnist"]


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images of two samples, with their classes; arrays are read-only.

    Parameters
    ----------
    train_images : (m, height, width) ndarray of uint8
    train_labels : (m,) ndarray of int64
        Numbers of classes, 0 … K − 1.
    test_images : (n, height, width) ndarray of uint8
    test_labels : (n,) ndarray of int64
    classes : tuple of str
        The K names.
    digests : mapping of str to str
        SHA-256 of each file that the arrays come from.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    digests: Mapping[str, str]


def _file(name: str, size: int, sha256: str) -> PublishedFile:
    raw = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"
    s3 = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
    return PublishedFile(name, (f"{s3}/{name}", f"{raw}/{name}"), sha256, size)


# sizes and SHA-256 are those of files with the MD5 that the authors publish, beside each
FASHION_MNIST = PublishedData(
    name="fashion-mnist",
    title="FashionMNIST: 70 000 grey images, 28×28, of ten kinds of clothes",
    files=(
        _file(  # MD5 8d4fb7e6c68d591d4c3dfef9ec88bf0d
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        _file(  # MD5 25c81989df183df01b3e8a0aad5dffbe
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        _file(  # MD5 bef4ecab320f06d8554ea6380940ec79
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        _file(  # MD5 bb300cfdad3c16e7a12a480ee83cd310
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
)

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip


def fashion_mnist(
    data_dir: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    progress: bool = True,
    name: str = "data_dir",
) -> ImageData:
    """FashionMNIST, from the official files: 60 000 images for training, 10 000 for testing.

    Files are looked for in `data_dir`, then in the folder of the environment variable
    ``KDTHEORY_DATA``, then in the user's cache; each file is verified by its SHA-256. What is in
    none of them is fetched from the addresses of the authors, which needs ``kdtheory[download]``.

    Parameters
    ----------
    data_dir : path_like, optional
        A folder that holds the four gzip files, directly or in a folder ``fashion-mnist``; absent
        ones are fetched into it. If it is not given, they are fetched into the cache.
    offline : bool, default False
        Fetch nothing. If all files are on the machine this makes no difference.
    progress : bool, default True
        Show a bar on stderr while something is fetched, if that is a terminal.
    name : str, default "data_dir"
        What the argument `data_dir` is called where a mistake is told.

    Returns
    -------
    ImageData
        ``train_images`` (60000, 28, 28), ``train_labels`` (60000,), ``test_images``
        (10000, 28, 28), ``test_labels`` (10000,); K = 10.

    Raises
    ------
    DataFileError
        If a file is damaged (in the cache it is then removed, so that the next call fetches it
        again), or is absent and cannot be fetched; or if `data_dir` is not a folder. It is a
        ValueError.
    ModuleNotFoundError
        If files are absent, and pooch too.

    References
    ----------
    .. [1] H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
       machine learning algorithms", arXiv:1708.07747.

    Examples
    --------
    >>> data = fashion_mnist(offline=True)  # doctest: +SKIP
    >>> data.train_images.shape, data.classes[data.train_labels[0]]  # doctest: +SKIP
    ((60000, 28, 28), 'Ankle boot')
    """
    contents = read_files(FASHION_MNIST, data_dir, offline=offline, progress=progress, name=name)
    train_images, train_labels, test_images, test_labels = map(read_idx, contents.values())
    return ImageData(
        train_images,
        _class_numbers(train_labels),
        test_images,
        _class_numbers(test_labels),
        CLASSES,
        {file.name: file.sha256 for file in FASHION_MNIST.files},
    )


def _class_numbers(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    numbers = labels.astype(np.int64)
    numbers.flags.writeable = False
    return numbers
