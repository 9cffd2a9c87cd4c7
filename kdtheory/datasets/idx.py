r"""IDX, the format of the MNIST family: a magic number, the shape, then the numbers.

The magic number is two zero bytes, a code of the type and the number of axes; lengths of axes are
32-bit integers, and all numbers are big-endian. A file may be packed by gzip, whose checksum is
then verified.

notation: none
"""

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_idx"]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"
EXPANSION = 1032  # deflate makes no more bytes of one
BLOCK = 1 << 20


def read_idx(source: str | os.PathLike[str] | bytes) -> NDArray[Any]:
    r"""The array of an IDX file, packed or not.

    No more is unpacked than the header promises, and no more is promised than the packed bytes can
    hold, so that memory is bounded by the array.

    Parameters
    ----------
    source : path_like or bytes
        A file, or the content of one.

    Returns
    -------
    ndarray, read-only
        Of uint8, int8, int16, int32, float32 or float64, in the byte order of the machine.

    Raises
    ------
    ValueError
        If there is no such file; or it does not begin as an IDX file; or it has too few or too many
        bytes; or, packed, it does not unpack or fails gzip's checksum.

    References
    ----------
    .. [1] Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits",
       section "The IDX file format".

    Examples
    --------
    >>> read_idx(b"\0\0\x08\x02" + b"\0\0\0\x02" + b"\0\0\0\x03" + bytes(range(6)))
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint8)
    """
    if isinstance(source, bytes):
        with io.BytesIO(source) as stream:
            return _checked(stream, len(source), f"{len(source)} bytes")
    path = Path(source)
    if not path.is_file():  # a pipe would be waited for
        msg = f"`source` must be a whole IDX file, got '{path}', which is not a regular file"
        raise ValueError(msg)
    try:
        with path.open("rb") as file:
            return _checked(file, os.fstat(file.fileno()).st_size, f"'{path}'")
    except OSError as error:
        msg = f"`source` must be a whole IDX file, got '{path}' ({error.strerror})"
        raise ValueError(msg) from error


def _checked(raw: BinaryIO, length: int, shown: str) -> NDArray[Any]:
    """The array, or one line on what is wrong with the file."""
    packed = raw.read(len(GZIP)) == GZIP
    raw.seek(0)
    try:
        if packed:
            with gzip.GzipFile(fileobj=raw) as stream:
                return _array(stream, EXPANSION * length)
        return _array(raw, length)
    except EOFError:
        fault = "which ends too early"
    except (gzip.BadGzipFile, zlib.error) as error:
        fault = f"which gzip cannot unpack ({error})"
    except ValueError as error:
        fault = f"which {error}"
    msg = f"`source` must be a whole IDX file, got {shown}, {fault}"
    raise ValueError(msg) from None


def _array(stream: BinaryIO | gzip.GzipFile, most: int) -> NDArray[Any]:
    magic = bytearray(4)
    _fill(stream, memoryview(magic))
    zeros, code, ndim = bytes(magic[:2]), magic[2], magic[3]
    if zeros != b"\0\0" or code not in TYPES or ndim == 0:
        msg = f"begins with {bytes(magic)!r}, which is not a magic number of IDX"
        raise ValueError(msg)
    lengths = bytearray(4 * ndim)
    _fill(stream, memoryview(lengths))
    shape = struct.unpack(f">{ndim}I", lengths)
    dtype = np.dtype(TYPES[code])
    size = math.prod(shape) * dtype.itemsize
    if size > most:
        msg = f"promises {size} bytes in its header, and cannot hold more than {most}"
        raise ValueError(msg)
    flat = np.empty(size, np.uint8)
    _fill(stream, flat.data)
    if stream.read(1):  # at the end of a packed file this also verifies the checksum
        msg = "has bytes after its array"
        raise ValueError(msg)
    try:
        array = flat.view(dtype).reshape(shape)
    except ValueError:  # too many axes, or an empty array of impossible lengths
        msg = f"has a shape that no array can have, of {ndim} axes"
        raise ValueError(msg) from None
    array = array.astype(dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


def _fill(stream: BinaryIO | gzip.GzipFile, buffer: memoryview) -> None:
    """Read exactly as many bytes as there is room for."""
    while buffer:
        block = stream.read(min(len(buffer), BLOCK))
        if not block:
            raise EOFError
        buffer[: len(block)] = block
        buffer = buffer[len(block) :]
