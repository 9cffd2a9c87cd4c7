"""A run in a folder: what is refused, what is kept, and that an interruption leaves no trace."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdtheory import run_folder as module
from kdtheory.run_folder import run_folder

CONFIG = {"seed": 0, "λ": 0.1, "widths": [784, 10]}
FILES = ("metrics.jsonl", "result.json")
EPOCHS = 4
SECONDS = 60.0  # for a process that takes a few
KILLS = 3
RECORDS = st.dictionaries(
    st.text(max_size=5).filter(lambda key: key not in ("config", "digest")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)  # fmt: skip


def opened(out, config=CONFIG, **options):
    return run_folder("out", out, config, files=FILES, **options)


def epochs(out, n_epochs=EPOCHS, *, resume=False, checkpoint=None):
    """A run whose line of an epoch hangs on the epoch alone, continued after its checkpoint."""
    with opened(out, resume=resume) as run:
        lines = run.lines("metrics.jsonl")
        done = len(lines.read())
        if checkpoint is not None:
            lines.keep(checkpoint)
            done = checkpoint
        for epoch in range(done, n_epochs):
            lines.append({"epoch": epoch, "loss": 1 / (epoch + 3)})
        run.write({"result.json": json.dumps(lines.read())})


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


# --- oracle


def test_line_is_json_sealed_with_the_digest_of_its_text(tmp_path):
    epochs(tmp_path, 1)
    record = json.loads((tmp_path / "metrics.jsonl").read_text(encoding="utf-8"))
    assert list(record) == ["digest", "config", "epoch", "loss"]
    assert (record["epoch"], record["loss"]) == (0, 1 / 3)
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8")) == CONFIG


# --- laws


@given(records=st.lists(RECORDS, max_size=4))
def test_records_come_back_as_they_went_in(tmp_path_factory, records):
    with opened(tmp_path_factory.mktemp("run")) as run:
        lines = run.lines("metrics.jsonl")
        for record in records:
            lines.append(record)
        assert lines.read() == records


@pytest.mark.parametrize("done", range(EPOCHS + 1))
def test_continued_run_has_the_bytes_of_an_uninterrupted_one(tmp_path, done):
    epochs(tmp_path / "whole")
    epochs(tmp_path / "other", done)
    (tmp_path / "other" / "result.json").unlink()
    epochs(tmp_path / "other", resume=True)
    assert contents(tmp_path / "other") == contents(tmp_path / "whole")


@pytest.mark.parametrize("checkpoint", range(EPOCHS + 1))
def test_lines_after_the_checkpoint_are_written_anew(tmp_path, checkpoint):
    epochs(tmp_path / "whole")
    epochs(tmp_path / "other")
    epochs(tmp_path / "other", resume=True, checkpoint=checkpoint)
    assert contents(tmp_path / "other") == contents(tmp_path / "whole")


def test_torn_last_line_is_cut_off_wherever_it_tore(tmp_path):
    epochs(tmp_path / "whole")
    text = (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    start = text.rstrip(b"\n").rfind(b"\n") + 1
    epochs(tmp_path / "other")
    log = tmp_path / "other" / "metrics.jsonl"
    for size in range(start, len(text)):
        log.write_bytes(text[:size])
        with opened(tmp_path / "other", resume=True) as run:
            assert len(run.lines("metrics.jsonl").read()) == EPOCHS - 1
        assert log.read_bytes() == text[:start]
    epochs(tmp_path / "other", resume=True)
    assert contents(tmp_path / "other") == contents(tmp_path / "whole")


def test_torn_line_does_not_stay_among_those_that_are_kept(tmp_path):
    epochs(tmp_path)
    log = tmp_path / "metrics.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b"torn")
    with opened(tmp_path, resume=True) as run:
        run.lines("metrics.jsonl").keep(EPOCHS)
    assert log.read_bytes() == whole


def test_each_line_and_each_cut_is_flushed_to_the_disk(tmp_path, monkeypatch):
    # what a power failure would show
    sizes = []
    with opened(tmp_path) as run:
        lines = run.lines("metrics.jsonl")
        monkeypatch.setattr(module.os, "fsync", lambda file: sizes.append(os.fstat(file).st_size))
        for epoch in range(3):
            lines.append({"epoch": epoch})
        lines.keep(1)
    first = sizes[0]
    assert sizes == [first, 2 * first, 3 * first, first]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_process_loses_no_line_and_no_lock_stays(tmp_path):
    # it prints each line when append has returned: from then on the line is kept
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\nfrom kdtheory.run_folder import run_folder\n"
        "with run_folder('out', sys.argv[1], {}, files=['m.jsonl'], resume=True) as run:\n"
        "    lines = run.lines('m.jsonl')\n"
        "    for epoch in range(len(lines.read()), 10**9):\n"
        "        lines.append({'epoch': epoch})\n"
        "        print(epoch, flush=True)\n",
        encoding="utf-8",
    )
    told, deadline = -1, time.monotonic() + SECONDS
    for kill in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, script, tmp_path / "run"], stdout=subprocess.PIPE, text=True
        )
        wanted = told + 5 * (kill + 1)
        while told < wanted and time.monotonic() < deadline:
            told = int(process.stdout.readline())
        process.kill()
        rest = process.communicate()[0].splitlines(keepends=True)
        told = max([told, *(int(line) for line in rest if line.endswith("\n"))])
        with run_folder("out", tmp_path / "run", {}, files=["m.jsonl"], resume=True) as run:
            kept = [record["epoch"] for record in run.lines("m.jsonl").read()]
        assert kept == list(range(len(kept)))
        assert told < len(kept) <= told + 2


@pytest.mark.skipif(module.fcntl is None, reason="no locks here")
def test_folder_is_alone_only_as_long_as_the_run_lasts(tmp_path):
    with (
        opened(tmp_path),
        pytest.raises(ValueError, match=r"that no other process is at"),
        opened(tmp_path, resume=True),
    ):
        pass
    with opened(tmp_path, resume=True):
        pass
    with pytest.raises(RuntimeError), opened(tmp_path, resume=True):
        raise RuntimeError
    with opened(tmp_path, resume=True):
        pass


# --- limits


def test_resume_of_nothing_begins(tmp_path):
    epochs(tmp_path / "a" / "b", resume=True)
    epochs(tmp_path / "whole")
    assert contents(tmp_path / "a" / "b") == contents(tmp_path / "whole")


def test_others_may_be_there_before(tmp_path):
    (tmp_path / "figure.svg").touch()
    with opened(tmp_path, others=("figure.svg",)):
        pass


def test_folder_of_a_run_may_be_there_when_it_goes_on(tmp_path):
    with opened(tmp_path, folders=("last",)):
        (tmp_path / "last").mkdir()
    with opened(tmp_path, folders=("last",), resume=True):
        pass


def test_system_without_locks_runs_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fcntl", None)
    epochs(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))


@pytest.mark.skipif(module.fcntl is None, reason="no locks here")
def test_file_system_without_locks_runs_all_the_same(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(module.fcntl, "flock", unknown)
    epochs(tmp_path)


# --- bad input


def test_run_is_not_overwritten(tmp_path):
    epochs(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"without a run, got .*: continue it with --resume"):
        epochs(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("left", ["metrics.jsonl", "result.json", "last"])
def test_anything_that_a_run_leaves_is_a_run(tmp_path, left):
    (tmp_path / left).mkdir() if left == "last" else (tmp_path / left).touch()
    for resume, words in ((False, "without a run"), (True, "must hold config.json beside what")):
        with (
            pytest.raises(ValueError, match=words),
            opened(tmp_path, folders=("last",), resume=resume),
        ):
            pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "`seed` is 0, not 1"),
        ({"seed": False}, "`seed` is 0, not False"),
        ({"more": 1}, "`more` is None, not 1"),
        ({"widths": [784, 9]}, r"`widths` is \[784, 10\], not \[784, 9\]"),
    ],
)
def test_run_of_another_configuration_is_refused(tmp_path, change, words):
    epochs(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=words), opened(tmp_path, CONFIG | change, resume=True):
        pass
    assert contents(tmp_path) == before


def test_missing_key_is_another_configuration(tmp_path):
    epochs(tmp_path)
    less = {key: value for key, value in CONFIG.items() if key != "λ"}
    with (
        pytest.raises(ValueError, match=r"`λ` is 0.1, not None"),
        opened(tmp_path, less, resume=True),
    ):
        pass


@pytest.mark.parametrize("text", ["", "[]", "{", '{"seed": NaN}'])
def test_damaged_configuration_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with (
        pytest.raises(ValueError, match=r"config.json', which is damaged"),
        opened(tmp_path, resume=True),
    ):
        pass


def test_every_flipped_bit_is_found_in_its_line(tmp_path):
    epochs(tmp_path, 3)
    log = tmp_path / "metrics.jsonl"
    text = log.read_bytes()
    with opened(tmp_path, resume=True) as run:
        lines = run.lines("metrics.jsonl", what="epochs", remedy="begin anew")
        for at in range(len(text)):
            changed = bytearray(text)
            changed[at] ^= 0x20  # the bit that tells capitals from small letters
            log.write_bytes(changed)
            whole = changed.rfind(b"\n") + 1
            if at == len(text) - 1:  # no end: torn
                assert len(lines.read()) == 2
                continue
            number = text[:at].count(b"\n") + 1
            with pytest.raises(
                ValueError, match=rf"whole epochs, .* line {number} is damaged: begin anew"
            ):
                lines.read()
            assert log.read_bytes() == changed[:whole]


def test_damaged_line_is_told_with_what_always_helps(tmp_path):
    with opened(tmp_path) as run:
        lines = run.lines("metrics.jsonl")
        lines.path.write_text("{}\n", encoding="utf-8")
        with pytest.raises(
            ValueError, match=r"whole lines, got .*, whose line 1 is damaged: delete its fol"
        ):
            lines.read()


def test_line_of_another_run_is_named(tmp_path):
    epochs(tmp_path / "one", 2)
    with opened(tmp_path / "other", CONFIG | {"seed": 1}) as run:
        lines = run.lines("metrics.jsonl")
        lines.path.write_bytes((tmp_path / "one" / "metrics.jsonl").read_bytes())
        with pytest.raises(ValueError, match=r"same configuration, .* line 1 is of another"):
            lines.read()


def test_line_that_the_run_cannot_have_is_named(tmp_path):
    epochs(tmp_path)
    with opened(tmp_path, resume=True) as run:
        lines = run.lines("metrics.jsonl")
        assert len(lines.read(lambda record: record["epoch"] < EPOCHS)) == EPOCHS
        with pytest.raises(ValueError, match=r"line 3 is of another"):
            lines.read(lambda record: record["epoch"] < 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_number_that_json_does_not_know_is_refused_and_not_written(tmp_path, value):
    with opened(tmp_path) as run:
        lines = run.lines("metrics.jsonl")
        with pytest.raises(ValueError, match=r"`record` must hold finite .*'loss'|not JSON compl"):
            lines.append({"epoch": 0, "loss": value})
        assert lines.read() == []


def test_key_of_the_configuration_is_taken(tmp_path):
    with opened(tmp_path) as run:
        lines = run.lines("metrics.jsonl")
        with pytest.raises(ValueError, match="must not have the key 'config'"):
            lines.append({"config": "mine"})
        assert lines.read() == []


@pytest.mark.parametrize(
    ("count", "error", "words"),
    [(3, ValueError, "must hold 3 lines, got .*, which holds 2"),
     (-1, ValueError, "`count` must be at least 0, got -1"),
     (1.0, TypeError, "`count` must be an integer, got 1.0")],
)  # fmt: skip
def test_bad_number_of_lines_to_keep(tmp_path, count, error, words):
    epochs(tmp_path, 2)
    before = contents(tmp_path)
    with opened(tmp_path, resume=True) as run, pytest.raises(error, match=words):
        run.lines("metrics.jsonl").keep(count)
    assert contents(tmp_path) == before


def test_file_where_a_folder_is_to_be_is_refused(tmp_path):
    (tmp_path / "last").touch()
    with (
        pytest.raises(ValueError, match=r"must hold a folder last, got .*, which is not one"),
        opened(tmp_path, folders=("last",)),
    ):
        pass


@pytest.mark.parametrize("kind", ["link to nothing", "pipe"])
def test_what_is_no_regular_file_is_refused(tmp_path, kind):
    path = tmp_path / "metrics.jsonl"
    if kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes here")
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "absent")
    with pytest.raises(ValueError, match="`out` must hold regular files"), opened(tmp_path):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_full_disk_is_one_line_about_the_folder(tmp_path):
    with opened(tmp_path) as run:
        lines = run.lines("metrics.jsonl")
        lines.path.unlink()
        lines.path.symlink_to("/dev/full")
        with pytest.raises(ValueError, match=r"`out` must be .*\(No space left on device\)$"):
            lines.append({"epoch": 0})


def test_folder_that_cannot_be_locked_is_named(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.os, "open", denied)
    context = (
        nullcontext()
        if module.fcntl is None
        else pytest.raises(
            ValueError,
            match=r"`out` must be a folder that can be read, got .* \(Permission denied\)",
        )
    )
    with context, module._alone("out", tmp_path):
        pass


def test_configuration_that_is_no_json_leaves_no_folder(tmp_path):
    with (
        pytest.raises(ValueError, match=r"not JSON compliant"),
        opened(tmp_path / "run", {"seed": float("nan")}),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
