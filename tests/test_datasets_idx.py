"""An IDX file is read as it was written, or refused in one line."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from kdtheory.datasets import read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
MEGABYTE = 1 << 20
TRAILER = 8  # bytes of gzip's checksum and length

dtypes = st.sampled_from(sorted(CODES)).map(np.dtype)
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0))
)


def idx(array):
    """The format as its authors describe it."""
    code = CODES[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def header(*shape, code=0x08):
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def array_or_error(content):
    try:
        return read_idx(content), None
    except ValueError as error:
        found = str(error)
    assert found.startswith("`source` must be a whole IDX file, got ")
    assert len(found.splitlines()) == 1
    return None, found


# --- oracle: bytes that are written down


def test_bytes_of_the_format():
    content = b"\0\0\x0b\x02" + b"\0\0\0\1" + b"\0\0\0\2" + b"\xff\xfe\x01\x00"
    found = read_idx(content)
    assert_array_equal(found, [[-2, 256]])
    assert found.dtype == np.int16


# --- laws


@given(arrays)
def test_every_array_comes_back(array):
    for content in (idx(array), gzip.compress(idx(array), mtime=0)):
        found = read_idx(content)
        assert found.dtype == array.dtype
        assert found.dtype.isnative
        assert found.shape == array.shape
        assert found.tobytes() == array.tobytes()  # bits: nan is not equal to itself
        assert not found.flags.writeable


@given(arrays, st.booleans(), st.data())
def test_every_truncation_is_refused(array, packed, data):
    content = gzip.compress(idx(array), mtime=0) if packed else idx(array)
    length = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match="`source` must be a whole IDX file, got "):
        read_idx(content[:length])


@given(arrays, st.booleans(), st.binary(min_size=1, max_size=20))
def test_bytes_after_the_array_are_refused(array, packed, more):
    content = idx(array) + more
    with pytest.raises(ValueError, match="which has bytes after its array"):
        read_idx(gzip.compress(content, mtime=0) if packed else content)


@given(arrays, st.data())
def test_a_flipped_byte_of_a_packed_file_is_refused_or_changes_nothing(array, data):
    # gzip has bytes without a meaning: the time, the system, bits that fill the last byte
    content = bytearray(gzip.compress(idx(array), mtime=0))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    found, error = array_or_error(bytes(content))
    if at >= len(content) - TRAILER:
        assert error
    if not error:
        assert found.tobytes() == array.tobytes()


@given(st.binary(max_size=60))
def test_any_bytes_are_an_array_or_one_line(content):
    array_or_error(content)


def test_a_file_is_read_as_its_bytes(tmp_path):
    array = np.arange(3 * MEGABYTE, dtype=np.uint8).reshape(3, -1)  # more than one block
    for name, content in (("a", idx(array)), ("a.gz", gzip.compress(idx(array), 1))):
        (tmp_path / name).write_bytes(content)
        assert_array_equal(read_idx(tmp_path / name), array)
        assert_array_equal(read_idx(str(tmp_path / name)), array)


# --- limits


def test_several_members_of_gzip_are_one_file():
    content = idx(np.arange(10, dtype=np.uint8))
    packed = gzip.compress(content[:7]) + gzip.compress(content[7:])
    assert_array_equal(read_idx(packed), np.arange(10))


def test_memory_is_bounded_by_the_header():
    bomb = gzip.compress(header(4) + bytes(64 * MEGABYTE))
    tracemalloc.start()
    with pytest.raises(ValueError, match="bytes after its array"):
        read_idx(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MEGABYTE


def test_a_packed_array_is_in_memory_once():
    array = np.zeros(16 * MEGABYTE, np.uint8)
    packed = gzip.compress(idx(array), 1)
    tracemalloc.start()
    read_idx(packed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * array.nbytes


# --- bad input


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "ends too early"),
        (b"<!DOCTYPE html>", r"begins with b'<!DO', which is not a magic number of IDX"),
        (header(1, code=0x0A) + b"1", r"begins with b'\\x00\\x00\\n\\x01', which is not a magic"),
        (b"\0\0\x08\0" + b"1", "is not a magic number"),
        (header(3) + b"12", "ends too early"),
        (header(99) + b"12", "promises 99 bytes in its header, and cannot hold more than 10"),
        (header(2**32 - 1, 2**32 - 1), "promises 18446744065119617025 bytes in its header"),
        (
            gzip.compress(header(2**32 - 1, 2**32 - 1)),
            "promises 18446744065119617025 bytes in its header",
        ),
        (header(0, 2**32 - 1, 2**32 - 1, 2**32 - 1), "has a shape that no array can have"),
        (header(*[1] * 255) + b"1", "has a shape that no array can have, of 255 axes"),
        (gzip.compress(header(3) + b"12"), "ends too early"),
        (gzip.compress(header(3) + b"123")[:-9] + b"\0" * 9, "which gzip cannot unpack"),
        (gzip.compress(header(3) + b"123") + b"more", "which gzip cannot unpack"),
    ],
)
def test_what_is_wrong_is_told(content, match, tmp_path):
    with pytest.raises(ValueError, match=match) as error:
        read_idx(content)
    assert f"got {len(content)} bytes, " in str(error.value)
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as error:
        read_idx(path)
    assert f"got '{path}', " in str(error.value)


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "pipe"):
        with pytest.raises(ValueError, match=f"got '{path}', which is not a regular file"):
            read_idx(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match=r"got '.*file' \(Permission denied\)"):
        read_idx(tmp_path / "file")
