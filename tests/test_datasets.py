"""Published files are found, verified or fetched; nothing that is not whole is taken for whole."""

import hashlib
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from published_files import (
    CONTENTS,
    FIRST,
    IMAGES,
    LABELS,
    LONG,
    SECOND,
    SLOW_BLOCK,
    absent,
    broken,
    endless,
    other,
    page,
    published,
    serving,
    silent,
    slow,
    stuck,
    whole,
)

from kdtheory import datasets
from kdtheory.datasets import (
    FASHION_MNIST,
    PUBLISHED,
    DataFileError,
    cache_folder,
    fashion_mnist,
    fetch_files,
    file_states,
    images,
    read_files,
    storage,
    validation_split,
)

ROOT = Path(__file__).parents[1]
ON_LINUX = sys.platform == "linux"  # the tests change it
# as the authors publish them
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
GIVEN = os.environ.get("KDTHEORY_DATA")  # before the tests change it
STATES = file_states(FASHION_MNIST)
needs_files = pytest.mark.skipif(
    any(state.state == "missing" for state in STATES),
    reason="needs the files of FashionMNIST: name their folder by KDTHEORY_DATA",
)

SOON = 0.5  # seconds of patience in the place of half a minute


@pytest.fixture
def server():
    with serving(CONTENTS) as server:
        yield server


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A user with an empty cache, who has named no folder."""
    monkeypatch.delenv("KDTHEORY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path


@pytest.fixture
def toy(server):
    return published(CONTENTS, server.base)


def cached(name=""):
    return cache_folder() / "toy" / name


def put(folder, contents=CONTENTS):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def files_below(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def read(data, *args, **options):
    return read_files(data, *args, progress=False, **options)


def fetch(data, *args, **options):
    return fetch_files(data, *args, progress=False, **options)


# --- oracle: the real files, and what their authors say of them


@needs_files
def test_real_files_are_those_that_the_authors_publish():
    for state in STATES:
        content = state.path.read_bytes()
        assert hashlib.md5(content).hexdigest() == MD5[state.file.name]
        assert hashlib.sha256(content).hexdigest() == state.file.sha256
        assert len(content) == state.file.size
        assert state.state == "ok"


@needs_files
def test_real_images_and_labels(monkeypatch):
    if GIVEN is not None:
        monkeypatch.setenv("KDTHEORY_DATA", GIVEN)
    else:
        monkeypatch.delenv("XDG_CACHE_HOME")
    data = fashion_mnist(offline=True)
    assert data.train_images.shape == (60_000, 28, 28)
    assert data.test_images.shape == (10_000, 28, 28)
    assert_array_equal(np.bincount(data.train_labels), [6000] * 10)
    assert_array_equal(np.bincount(data.test_labels), [1000] * 10)
    # the numbers by which FashionMNIST is usually standardised
    assert round(data.train_images.mean() / 255, 4) == 0.2860
    assert round(data.train_images.std() / 255, 4) == 0.3530
    assert data.classes[data.train_labels[0]] == "Ankle boot"
    assert set(data.digests) == set(MD5)


@pytest.mark.skipif(not ON_LINUX, reason="pooch knows the cache of this platform only")
def test_cache_is_where_pooch_has_it():
    assert cache_folder() == pooch.os_cache("kdtheory")


def test_cache_follows_the_platform(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "kdtheory"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "kdtheory"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "kdtheory"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache_folder() == Path("/local/kdtheory/Cache")
    monkeypatch.delenv("LOCALAPPDATA")
    assert cache_folder() == Path.home() / "AppData" / "Local" / "kdtheory" / "Cache"


# --- laws of the search


@pytest.mark.parametrize("below", ["", "toy"])
def test_places_are_searched_in_their_order(toy, tmp_path, monkeypatch, below):
    first, second = put(tmp_path / "a" / below), put(tmp_path / "b" / below)
    put(cached())
    assert {s.path.parent for s in file_states(toy)} == {cached()}
    monkeypatch.setenv("KDTHEORY_DATA", str(tmp_path / "b"))
    assert {s.path.parent for s in file_states(toy)} == {second}
    assert {s.path.parent for s in file_states(toy, tmp_path / "a")} == {first}


def test_each_file_is_looked_for_by_itself(toy, server, tmp_path, monkeypatch):
    put(tmp_path / "a", {FIRST: CONTENTS[FIRST]})
    put(cached(), {name: c for name, c in CONTENTS.items() if name != FIRST})
    monkeypatch.setenv("KDTHEORY_DATA", str(tmp_path / "a"))
    assert read(toy, offline=True) == CONTENTS
    assert server.asked == []


def test_nothing_is_fetched_that_is_there(toy, server, monkeypatch, tmp_path):
    monkeypatch.setenv("KDTHEORY_DATA", str(put(tmp_path / "a")))
    monkeypatch.setitem(sys.modules, "pooch", None)  # nor is pooch needed
    assert read(toy) == CONTENTS
    assert not any(fetched for _, fetched in fetch(toy))
    assert server.asked == []


@pytest.mark.parametrize("given", ["/nowhere", ""])
def test_a_variable_that_points_to_nothing_hides_nothing(toy, monkeypatch, given):
    monkeypatch.setenv("KDTHEORY_DATA", given)
    put(cached())
    assert read(toy, offline=True) == CONTENTS


def test_states_are_told_and_nothing_is_changed(toy, tmp_path):
    put(cached(), {FIRST: b"", SECOND: CONTENTS[SECOND]})
    before, told = files_below(tmp_path), []
    states = file_states(toy, tell=lambda **words: told.append(words))
    assert [s.state for s in states] == ["damaged", "ok", "missing", "missing"]
    assert files_below(tmp_path) == before
    assert told[:2] == [{"description": FIRST}, {"advance": 1}]
    assert sum("advance" in words for words in told) == len(CONTENTS)


# --- laws of the arrays


def test_images_and_labels_come_as_they_were_written(toy, monkeypatch):
    monkeypatch.setattr(images, "FASHION_MNIST", toy)
    data = fashion_mnist(progress=False)
    assert_array_equal(data.train_images, IMAGES["train"])
    assert_array_equal(data.train_labels, LABELS["train"])
    assert_array_equal(data.test_images, IMAGES["t10k"])
    assert_array_equal(data.test_labels, LABELS["t10k"])
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert data.digests == {file.name: file.sha256 for file in toy.files}
    arrays = [data.train_images, data.train_labels, data.test_images, data.test_labels]
    assert not any(array.flags.writeable for array in arrays)
    assert_array_equal(pickle.loads(pickle.dumps(data)).train_images, IMAGES["train"])


@given(st.data(), st.integers(0, 2**64))
def test_split_covers_all_rows_once(data, seed):
    m = data.draw(st.integers(2, 300))
    held = data.draw(st.integers(1, m - 1))
    train, validation = validation_split(m, held, seed)
    assert len(validation) == held
    for rows in (train, validation):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()
    assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(m))
    assert_array_equal(validation_split(m, held, seed)[1], validation)


def test_every_row_is_held_out_as_often():
    m, held, seeds = 20, 5, 2000
    counts = np.zeros(m)
    for seed in range(seeds):
        counts[validation_split(m, held, seed)[1]] += 1
    p = held / m
    errors = (counts - seeds * p) / np.sqrt(seeds * p * (1 - p))
    assert np.abs(errors).max() < 4  # standard errors, of 20 rows


def test_the_split_is_not_the_order_of_anything_else():
    for seed in (0, 7):
        _, validation = validation_split(1000, 100, seed)
        for same in (seed, (seed, 0)):
            first = np.sort(np.random.default_rng(same).permutation(1000)[:100])
            assert not np.array_equal(validation, first)


# --- laws of the download


def test_what_is_absent_is_fetched_into_the_cache(toy, server, tmp_path):
    assert read(toy) == CONTENTS
    assert files_below(tmp_path / "caches") == sorted(f"kdtheory/toy/{name}" for name in CONTENTS)
    asked = list(server.asked)
    assert read(toy) == CONTENTS
    assert server.asked == asked == [f"/{name}" for name in CONTENTS]


def test_only_what_is_absent_is_fetched(toy, server):
    put(cached(), {FIRST: CONTENTS[FIRST]})
    assert [fetched for _, fetched in fetch(toy)] == [False, True, True, True]
    assert f"/{FIRST}" not in server.asked


def test_a_named_folder_gets_the_files(toy, tmp_path):
    folder = tmp_path / "made" / "here"
    put(cached())  # elsewhere they do not count
    results = fetch(toy, folder)
    assert all(fetched and state.state == "ok" for state, fetched in results)
    assert files_below(folder) == sorted(f"toy/{name}" for name in CONTENTS)
    (folder / "toy" / FIRST).unlink()
    (cached() / FIRST).unlink()
    assert read(toy, folder) == CONTENTS
    assert (folder / "toy" / FIRST).exists()


def test_fetched_files_have_the_rights_of_ordinary_ones(toy, tmp_path):
    fetch(toy)
    (tmp_path / "ordinary").touch()
    assert cached(FIRST).stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("answer", [absent, other, page, broken, endless, silent, stuck])
def test_the_second_address_stands_in(server, monkeypatch, answer):
    monkeypatch.setattr(storage, "TIMEOUT", SOON)
    server.answers = {f"/one/{FIRST}": answer}
    data = published({FIRST: CONTENTS[FIRST]}, f"{server.base}/one", f"{server.base}/two")
    assert read(data) == {FIRST: CONTENTS[FIRST]}
    assert server.asked == [f"/one/{FIRST}", f"/two/{FIRST}"]
    assert files_below(cached()) == [FIRST]


def test_an_address_that_nobody_is_at_is_passed_over(server):
    data = published({FIRST: CONTENTS[FIRST]}, "http://127.0.0.1:1", server.base)
    assert read(data) == {FIRST: CONTENTS[FIRST]}


REASONS = {
    absent: "the server answers 404 Not Found",
    other: "other bytes than are published, of SHA-256 [0-9a-f]{64}",
    page: r"12 bytes in place of \d+",
    broken: "the transfer broke off",
    endless: r"more than the \d+ bytes that are published",
    silent: r"no answer in 0.5 s",
    stuck: r"no answer in 0.5 s",
}


@pytest.mark.parametrize("answer", REASONS)
def test_a_failed_download_is_told_and_leaves_nothing(server, toy, monkeypatch, tmp_path, answer):
    monkeypatch.setattr(storage, "TIMEOUT", SOON)
    server.answers = {f"/{SECOND}": answer}
    match = f"^{SECOND} cannot be fetched: {server.base}/{SECOND}: {REASONS[answer]}$"
    for call in (read, fetch):
        with pytest.raises(DataFileError, match=match):
            call(toy)
        assert files_below(tmp_path / "caches") == [f"kdtheory/toy/{FIRST}"]  # whole, so it stays
    server.answers = {}
    assert read(toy) == CONTENTS


def test_a_break_in_a_long_file_is_told(server, tmp_path):
    big = {"big": bytes(40 * SLOW_BLOCK)}
    server.contents, server.answers = big, {"/big": broken}
    with pytest.raises(DataFileError, match="big: the transfer broke off"):
        read(published(big, server.base))
    assert files_below(tmp_path / "caches") == []


def test_unreachable_addresses_are_all_told():
    data = published({FIRST: CONTENTS[FIRST]}, "http://127.0.0.1:1", "http://name.invalid")
    match = (
        f"{FIRST} cannot be fetched: http://127.0.0.1:1/{FIRST}: cannot be reached; "
        f"http://name.invalid/{FIRST}: cannot be reached"
    )
    with pytest.raises(DataFileError, match=match):
        read(data)


def test_packing_for_the_way_is_declined(server, toy):
    seen = []

    def note(handler, content):
        seen.append(handler.headers["Accept-Encoding"])
        whole(handler, content)

    server.answers = {f"/{FIRST}": note}
    fetch(toy)
    assert seen == ["identity"]


def test_progress_goes_to_a_terminal_only(toy, capsys, monkeypatch):
    read_files(toy)
    assert capsys.readouterr() == ("", "")
    for name in CONTENTS:
        cached(name).unlink()
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    monkeypatch.setenv("TERM", "xterm")
    fetch_files(toy)
    out, err = capsys.readouterr()
    assert out == ""
    assert CONTENTS.keys() & set(err.split())


def test_progress_counts_every_byte(toy, monkeypatch):
    told = []

    @contextmanager
    def bar(total, *, shown):
        assert shown is False
        told.append(total)
        yield lambda **words: told.append(words)

    monkeypatch.setattr(storage, "_download_bar", bar)
    fetch(toy)
    total = sum(map(len, CONTENTS.values()))
    assert told[0] == total
    counted = [words["completed"] for words in told[1:] if "completed" in words]
    assert counted == list(np.cumsum([len(content) for content in CONTENTS.values()]))


# --- interruptions

SCRIPT = """
import json, resource, sys
from kdtheory.datasets import PublishedData, PublishedFile, fetch_files
name, title, files = json.loads(sys.argv[1])
data = PublishedData(name, title, tuple(PublishedFile(*file) for file in files))
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    fetch_files(data, progress=False)
except ValueError as error:
    sys.exit(str(error))
"""


def start_fetch(data, *more):
    files = [[file.name, file.urls, file.sha256, file.size] for file in data.files]
    words = json.dumps([data.name, data.title, files])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, words, *map(str, more)],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


def wait_for(condition):
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def parts():
    return list(cached().glob(".*.part"))


@pytest.fixture
def slow_toy(server):
    big = {"big": bytes(range(256)) * 12_800}  # 3 MB, 2.5 seconds
    server.contents, server.answers = big, {"/big": slow}
    return published(big, server.base)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_is_no_file_and_can_be_repeated(slow_toy, server, how):
    process = start_fetch(slow_toy)
    wait_for(lambda: any(part.stat().st_size for part in parts()))
    process.send_signal(how)
    process.communicate()
    assert process.returncode == -how
    assert len(parts()) == (1 if how == signal.SIGKILL else 0)
    assert [s.state for s in file_states(slow_toy)] == ["missing"]
    with pytest.raises(DataFileError, match="not found"):
        read(slow_toy, offline=True)
    server.answers = {}
    assert read(slow_toy) == server.contents


def test_what_a_killed_download_left_is_removed_when_it_is_old(toy):
    put(cached())
    cached(FIRST).unlink()
    young, old = cached(f".{FIRST}.young.part"), cached(f".{FIRST}.old.part")
    others = [cached(".other.old.part"), cached(f"{FIRST}.part")]
    for path in (young, old, *others):
        path.touch()
        os.utime(path, (0, time.time() - (7200 if path != young else 60)))
    fetch(toy)
    assert young.exists()
    assert not old.exists()
    assert all(path.exists() for path in others)


def test_a_file_gets_its_name_by_a_rename_only(toy, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(toy)
    assert files_below(cached()) == []


def test_two_processes_fetch_at_once(slow_toy, server):
    processes = [start_fetch(slow_toy) for _ in range(2)]
    assert [(p.communicate()[1], p.returncode) for p in processes] == [("", 0)] * 2
    assert files_below(cached()) == ["big"]
    assert cached("big").read_bytes() == server.contents["big"]


def test_a_full_disk_is_told_and_leaves_nothing(slow_toy, server):
    server.answers = {}
    process = start_fetch(slow_toy, 1_000_000)
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.strip() == (
        f"`cache` must be a folder that can be written, got '{cached()}' (File too large): "
        "name another one"
    )
    assert files_below(cached()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1_000_000


# --- damaged files


def damaged(kind):
    first = CONTENTS[FIRST]
    return {
        "truncated": first[:-5],
        "empty": b"",
        "page": b"<html>".ljust(len(first)),
        "long": first + b"\0",
        "flipped": first[:-1] + bytes([first[-1] ^ 1]),
        "swapped": CONTENTS[SECOND],
    }[kind]


FAULTS = {
    "truncated": r"has \d+ bytes, not \d+: truncated, or another file",
    "empty": "is empty",
    "page": "is not a gzip file: it begins with b'<html>  '",
    "long": r"has more than the \d+ bytes that are published",
    "flipped": "is not as published: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}",
    "swapped": f"holds the content of {SECOND}: files are swapped",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_damaged_file_of_the_user_is_named_and_stays(toy, server, tmp_path, monkeypatch, kind):
    folder = put(tmp_path / "mine", CONTENTS | {FIRST: damaged(kind)})
    match = f"^toy: '{folder / FIRST}' {FAULTS[kind]}"
    monkeypatch.setenv("KDTHEORY_DATA", str(folder))
    calls = [(read, ()), (read, (folder,)), (fetch, ()), (fetch, (folder,))]
    for call, args in calls:
        with pytest.raises(DataFileError, match=match):
            call(toy, *args)
    assert (folder / FIRST).read_bytes() == damaged(kind)
    assert server.asked == []


@pytest.mark.parametrize("kind", FAULTS)
def test_a_damaged_file_of_the_cache_is_named_and_removed(toy, server, kind):
    put(cached(), CONTENTS | {FIRST: damaged(kind)})
    match = f"^toy: '{cached(FIRST)}' {FAULTS[kind]}; it was removed, and the next call fetches"
    with pytest.raises(DataFileError, match=match):
        read(toy, offline=True)
    assert not cached(FIRST).exists()
    assert read(toy) == CONTENTS
    assert server.asked == [f"/{FIRST}"]


def test_a_damaged_file_of_the_cache_is_fetched_again(toy):
    put(cached(), CONTENTS | {FIRST: damaged("flipped")})
    results = fetch(toy)
    assert [(state.state, fetched) for state, fetched in results] == [
        ("ok", True), *[("ok", False)] * 3,
    ]  # fmt: skip


def test_a_cache_that_the_user_names_is_the_users(toy, monkeypatch):
    put(cached(), CONTENTS | {FIRST: damaged("flipped")})
    monkeypatch.setenv("KDTHEORY_DATA", str(cache_folder()))
    with pytest.raises(DataFileError, match="is not as published"):
        read(toy)
    assert cached(FIRST).exists()


@pytest.mark.parametrize("place", ["mine", "cache"])
def test_pipes_folders_and_links_to_nothing_are_no_files(toy, tmp_path, place):
    folder = put(tmp_path / "mine" if place == "mine" else cached())
    for make in (os.mkfifo, os.mkdir, lambda path: path.symlink_to("/nothing")):
        (folder / FIRST).unlink()
        make(folder / FIRST)
        with pytest.raises(DataFileError, match=f"{FIRST}' is not a regular file$"):
            read(toy, *([folder] if place == "mine" else []))
        assert os.path.lexists(folder / FIRST)
        (folder / FIRST).rmdir() if make is os.mkdir else (folder / FIRST).unlink()
        (folder / FIRST).touch()


def test_a_file_that_cannot_be_read_is_named_and_stays(toy, monkeypatch):
    put(cached())
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataFileError, match=f"{FIRST}' cannot be read .Permission denied."):
        read(toy)
    assert cached(FIRST).exists()


def refuse(*_, **__):
    raise PermissionError(13, "Permission denied")


# --- bad input


def test_absent_files_are_named_with_the_places(toy, server, tmp_path, monkeypatch):
    monkeypatch.setenv("KDTHEORY_DATA", "/nowhere")
    put(tmp_path / "mine", {FIRST: CONTENTS[FIRST]})
    match = (
        f"^toy: {', '.join(list(CONTENTS)[1:])} not found in {tmp_path / 'mine'}, /nowhere, "
        f"{cache_folder()}: name their folder by KDTHEORY_DATA, or run `kdtheory data fetch toy`$"
    )
    with pytest.raises(DataFileError, match=match):
        read(toy, tmp_path / "mine", offline=True)
    assert server.asked == []


def test_without_pooch_the_extra_is_named(toy, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    match = r"^fetching toy needs pooch: pip install 'kdtheory\[download\]', or name a folder"
    with pytest.raises(ModuleNotFoundError, match=match):
        read(toy)


@pytest.mark.parametrize("given", ["", "/nowhere", "a\0b", __file__])
def test_a_folder_that_is_none_is_named(toy, given):
    for call in (read, file_states):
        with pytest.raises(DataFileError, match=r"`--data-dir` must be a folder that exists, got "):
            call(toy, given, name="--data-dir")


def test_a_folder_that_cannot_be_written_is_named(toy, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"`cache` must be a folder that can be written, got "):
        read(toy)
    with pytest.raises(ValueError, match=r"`data_dir` must be a folder that can be written, got "):
        fetch(toy, tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_named(toy):
    cached().mkdir(parents=True)
    cached().chmod(0o500)
    with pytest.raises(ValueError, match=r"`cache` must be .* written, got .*Permission denied"):
        read(toy)


def test_a_folder_that_becomes_read_only_is_named(toy, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataFileError, match=r"`cache` must be .* written, got .*Permission denied"):
        read(toy)


def test_a_user_without_a_home_is_told(toy, monkeypatch, tmp_path):
    def homeless():
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(DataFileError, match=r"no home folder .* name a folder by KDTHEORY_DATA"):
        read(toy)
    assert read(toy, put(tmp_path / "mine")) == CONTENTS  # the cache is not asked for


def test_a_file_that_vanishes_is_told(toy, monkeypatch):
    put(cached())
    found = storage._whereabouts
    calls = []

    def once(*args):
        calls.append(args)
        return found(*args) if len(calls) <= len(CONTENTS) else (None, False)

    monkeypatch.setattr(storage, "_whereabouts", once)
    with pytest.raises(DataFileError, match=f"{FIRST} was removed while it was looked for"):
        read(toy)


@pytest.mark.parametrize(
    ("args", "error", "match"),
    [
        ((1, 1, 0), ValueError, "`n_objects` must be at least 2, got 1"),
        ((10, 0, 0), ValueError, "`n_validation` must be at least 1, got 0"),
        ((10, 10, 0), ValueError, "`n_validation` must be at most 9, got 10"),
        ((10, 3, -1), ValueError, "`seed` must be at least 0, got -1"),
        ((10, 2.5, 0), TypeError, "`n_validation` must be an integer, got 2.5"),
    ],
)
def test_bad_splits_are_named(args, error, match):
    with pytest.raises(error, match=match):
        validation_split(*args)


@pytest.mark.parametrize("name", ["offline", "progress"])
def test_flags_are_flags(name):
    with pytest.raises(TypeError, match=f"`{name}` must be"):
        fashion_mnist(**{name: "yes"})


# --- what is written twice


def test_names_of_files_and_data_are_used_once():
    assert len({data.name for data in PUBLISHED}) == len(PUBLISHED)
    for data in PUBLISHED:
        assert len({file.name for file in data.files}) == len(data.files)
        assert all(len(file.urls) == 2 for file in data.files)
        assert all(url.endswith(f"/{file.name}") for file in data.files for url in file.urls)


def test_fashion_mnist_quotes_the_published_md5():
    text = Path(images.__file__).read_text(encoding="utf-8")
    for name, digest in MD5.items():
        assert f"MD5 {digest}\n" in text[: text.index(name)][-60:]


def test_import_fetches_and_loads_nothing_heavy():
    code = (
        "import sys, kdtheory.datasets\n"
        "print({'pooch', 'requests', 'rich', 'torch', 'tqdm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert datasets.FASHION_MNIST.name == "fashion-mnist"
    assert replace(FASHION_MNIST, name="x").files == FASHION_MNIST.files
