"""`kdtheory data`: what it prints, where, and with which exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from published_files import CONTENTS, FIRST, LONG, SECOND, broken, published, serving, slow

from kdtheory import cli, datasets
from kdtheory.datasets import cache_folder

ROOT = Path(__file__).parents[1]
BYTES = sum(map(len, CONTENTS.values()))


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kdtheory", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


@pytest.fixture(autouse=True)
def server(monkeypatch, tmp_path):
    """A user with an empty cache, and a data set that a local server has."""
    monkeypatch.delenv("KDTHEORY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(CONTENTS) as server:
        monkeypatch.setattr(datasets, "PUBLISHED", (published(CONTENTS, server.base),))
        yield server


def put(folder, contents=CONTENTS):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def one_line(text):
    assert len(text.splitlines()) == 1
    return text


# --- list


def test_list_tells_what_is_where(run, tmp_path, monkeypatch):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    heading, row = out.splitlines()
    assert heading.split() == ["name", "what", "size", "state", "where"]
    assert row.split() == f"toy made up {BYTES / 1e3:.1f} kB missing not here".split()
    folder = put(tmp_path / "mine")
    for arguments, variable in ((("--data-dir", folder), ""), ((), str(folder))):
        monkeypatch.setenv("KDTHEORY_DATA", variable)
        _, out, _ = run("list", *arguments)
        assert out.splitlines()[1].split()[-2:] == ["ok", str(folder)]


def test_list_counts_states_and_folders(run, tmp_path, monkeypatch):
    put(cache_folder() / "toy", {FIRST: CONTENTS[FIRST]})
    folder = put(tmp_path / "mine", {SECOND: b"no"})
    monkeypatch.setenv("KDTHEORY_DATA", str(folder))
    code, out, err = run("list", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "data": [
            {
                "name": "toy",
                "title": "made up",
                "size": BYTES,
                "state": "1 ok, 2 missing, 1 damaged",
                "folders": [str(cache_folder() / "toy"), str(folder)],
            }
        ]
    }


def test_list_knows_the_data_of_the_papers(run, monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv("KDTHEORY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["kdtheory", "data", "list"])
    _, out, _ = run("list")
    assert "fashion-mnist" in out
    assert "30.9 MB" in out


# --- fetch


def test_fetch_tells_what_it_did(run, server):
    code, out, err = run("fetch", "toy")
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{cache_folder() / 'toy' / name}: fetched" for name in CONTENTS]
    (cache_folder() / "toy" / SECOND).unlink()
    _, out, _ = run("fetch", "toy")
    ends = [line.rpartition(": ")[2] for line in out.splitlines()]
    assert ends == ["is here already", "fetched", "is here already", "is here already"]
    assert len(server.asked) == len(CONTENTS) + 1


def test_fetch_fills_a_folder(run, tmp_path):
    code, _, err = run("fetch", "toy", "--data-dir", tmp_path / "made")
    assert (code, err) == (0, "")
    assert {p.name for p in (tmp_path / "made" / "toy").iterdir()} == set(CONTENTS)


def test_a_failed_fetch_is_one_line(run, server):
    server.answers = {f"/{SECOND}": broken}
    code, out, err = run("fetch", "toy")
    assert (code, out) == (2, "")
    url = f"{server.base}/{SECOND}"
    assert one_line(err) == (
        f"kdtheory: {SECOND} cannot be fetched: {url}: the transfer broke off\n"
    )


SCRIPT = """
import sys
from published_files import published
from kdtheory import cli, datasets
datasets.PUBLISHED = (published({"big": bytes(1 << 22)}, sys.argv.pop()),)
cli.main()
"""


def test_an_interrupted_fetch_ends_at_once_and_leaves_nothing(server):
    server.contents, server.answers = {"big": bytes(1 << 22)}, {"/big": slow}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "data", "fetch", "toy", server.base],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")}, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + LONG
    while not any(part.stat().st_size for part in (cache_folder() / "toy").glob(".*.part")):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONG)
    assert (process.returncode, out.strip(), err.strip()) == (130, "", "")
    assert list((cache_folder() / "toy").iterdir()) == []


# --- verify


def test_verify_of_whole_files(run, tmp_path):
    folder = put(tmp_path / "mine")
    code, out, err = run("verify", "--data-dir", folder)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["file", "size", "state", "where"]
    assert [(row[0], row[-2], row[-1]) for row in rows[1:-1]] == [
        (name, "ok", str(folder / name)) for name in CONTENTS
    ]
    assert out.splitlines()[-1] == "4 files: ok"


def test_verify_names_what_is_missing_or_damaged(run):
    folder = put(cache_folder() / "toy", {FIRST: CONTENTS[SECOND], SECOND: CONTENTS[SECOND]})
    code, out, err = run("verify", "toy")
    assert code == 1
    states = [line.split() for line in out.splitlines()[1:-1]]
    assert [row[3] for row in states] == ["damaged", "ok", "missing", "missing"]
    assert out.splitlines()[-1] == "4 files: 1 ok, 2 missing, 1 damaged"
    fault = f"holds the content of {SECOND}: files are swapped"
    assert one_line(err) == f"{folder / FIRST} {fault}\n"
    code, out, _ = run("verify", "--json")
    assert code == 1
    files = json.loads(out)["files"]
    assert [file["state"] for file in files] == ["damaged", "ok", "missing", "missing"]
    assert files[0]["fault"] == fault
    assert files[0]["path"] == str(folder / FIRST)
    assert files[1]["fault"] is None
    assert files[2] == {
        "data": "toy",
        "file": list(CONTENTS)[2],
        "state": "missing",
        "fault": None,
        "path": None,
        "size": len(list(CONTENTS.values())[2]),
        "sha256": datasets.PUBLISHED[0].files[2].sha256,
    }
    assert (folder / FIRST).exists()  # it is told, not removed


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("fetch", "mnist"), "kdtheory: `NAME` must be 'toy', got 'mnist'"),
        (("verify", "mnist"), "kdtheory: `NAME` must be 'toy', got 'mnist'"),
        (
            ("verify", "--data-dir", "/nowhere"),
            "kdtheory: `--data-dir` must be a folder that exists, got '/nowhere'",
        ),
        (
            ("list", "--data-dir", ""),
            "kdtheory: `--data-dir` must be a folder that exists, got ''",
        ),
        (
            ("fetch", "toy", "--data-dir", __file__),
            f"kdtheory: `--data-dir` must be a folder that can be written, got '{__file__}' "
            "(Not a directory)",
        ),
        (("fetch",), "kdtheory: Missing argument 'NAME'."),
    ],
)
def test_bad_input_is_one_line(run, arguments, match):
    code, out, err = run(*arguments)
    assert (code, out, one_line(err)) == (2, "", f"{match}\n")


def test_without_pooch_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    code, _, err = run("fetch", "toy")
    assert code == 2
    assert one_line(err).startswith("kdtheory: fetching toy needs pooch: pip install 'kdtheory[")


def test_a_damaged_file_of_the_user_is_named(run, tmp_path):
    folder = put(tmp_path / "mine", CONTENTS | {FIRST: b"?"})
    code, _, err = run("fetch", "toy", "--data-dir", folder)
    assert code == 2
    assert f"'{folder / FIRST}' is not a gzip file" in one_line(err)
    assert (folder / FIRST).exists()
