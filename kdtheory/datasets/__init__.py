r"""Data sets of the papers' experiments: published files, verified, as arrays.

Nothing is fetched when this is imported, and nothing at all where the files are on the machine.

notation: m = n_objects
"""

from kdtheory.datasets.idx import read_idx
from kdtheory.datasets.images import FASHION_MNIST, ImageData, fashion_mnist
from kdtheory.datasets.splits import validation_split
from kdtheory.datasets.storage import (
    DataFileError,
    FileState,
    PublishedData,
    PublishedFile,
    cache_folder,
    fetch_files,
    file_states,
    read_files,
)

__all__ = [
    "FASHION_MNIST",
    "PUBLISHED",
    "DataFileError",
    "FileState",
    "ImageData",
    "PublishedData",
    "PublishedFile",
    "cache_folder",
    "fashion_mnist",
    "fetch_files",
    "file_states",
    "read_files",
    "read_idx",
    "validation_split",
]

PUBLISHED = (FASHION_MNIST,)
