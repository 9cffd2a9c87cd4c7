"""`kdtheory experiment synthetic`: what it prints and keeps, and that no finished draw is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from kdtheory import cli, experiment_folder, run_folder
from kdtheory.experiment_folder import FIGURES, FILES, synthetic_in_folder
from kdtheory.experiments import synthetic as synthetic_module
from kdtheory.experiments.synthetic import Draw, experiment_of_gs_6_2, one_draw
from kdtheory.experiments.synthetic import settings as settings_of_gs_6_2
from kdtheory.files import plain_data

DRAWS = 2
SECONDS = 60.0  # for a process that takes a few
# each costs two processes: one at the desk, more where laws are tried in depth
KILLS = 5 if settings.get_current_profile_name() == "nightly" else 1
LINE = {"marginals": [], "qualities": {}, "confident": {}, "readings": {}, "gaps": {},
        "converged": {}, "spread": 0.0}  # fmt: skip


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kdtheory", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    result, _ = synthetic_in_folder(folder, n_draws=DRAWS)
    return folder, result


@pytest.fixture
def half(whole, tmp_path):
    """A copy of the folder as it was after the first of its draws."""
    folder, _ = whole
    for file, lines in (("config.json", None), ("draws.jsonl", 1)):
        text = (folder / file).read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / file).write_text("".join(text[:lines]), encoding="utf-8")
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch):
    """No figures, for tests of the numbers."""
    monkeypatch.setattr(experiment_folder, "_figures", lambda _: {})


def contents(folder, *, figures=False):
    names = ("config.json", "result.json", *(FIGURES if figures else ()))
    return {name: (folder / name).read_bytes() for name in names}


def indices(folder):
    lines = (folder / "draws.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["index"] for line in lines]


def command(folder, *more):
    return [sys.executable, "-m", "kdtheory", "experiment", "synthetic",
            "--draws", str(DRAWS), "--jobs", "1", "--out", str(folder), *more]  # fmt: skip


# --- what it prints and keeps


def test_table_and_files(run, whole, tmp_path):
    folder, result = whole
    code, out, err = run(
        "experiment", "synthetic", "--draws", DRAWS, "--jobs", 1, "--out", tmp_path / "new"
    )
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[1][:2] == ["bayes", "softmax"]
    taught = next(row for row in rows if row[:2] == ["with", "softmax"])
    assert taught[2] == f"{result.quality('with', sample='test').cross_entropy.mean():.3f}"
    assert taught[4] == f"{result.quality('with').kl.mean():.5f}"
    assert taught[-3:] == ["better", "without", "softmax"]
    for file in (*FILES, *FIGURES):
        assert str(tmp_path / "new" / file) in out
    new = tmp_path / "new"
    assert contents(new, figures=True) == contents(folder, figures=True)
    assert {path.name for path in new.iterdir()} == {*FILES, *FIGURES}


def test_table_needs_no_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("experiment", "synthetic", "--draws", "2", "--jobs", "1", "--seed", "4")
    assert code == 0
    assert "2 draws of W" in out
    assert list(tmp_path.iterdir()) == []


def test_config_says_what_ran_and_with_what(whole):
    folder, _ = whole
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["seed"], config["n_draws"], config["trust"]) == (0, DRAWS, 0.75)
    assert config["versions"]["numpy"] == np.__version__
    assert json.loads((folder / "result.json").read_text(encoding="utf-8"))["config"] == config


def test_result_file_holds_the_numbers_to_the_last_bit(whole):
    folder, result = whole
    document = json.loads((folder / "result.json").read_text(encoding="utf-8"))["result"]
    for plain, quality in zip(document["qualities"], result.qualities, strict=True):
        assert (plain["student"], plain["rule"]) == (quality.student, quality.rule)
        assert plain["kl"] == quality.kl.tolist()
    assert document["first"]["figure_7"]["probs"] == result.first.figure_7.probs.tolist()
    assert document["readings"][0]["verdict"] == "possible"
    assert document["changes"][0]["verdict"] == result.changes[0].verdict
    assert set(document["confident"]) == set(result.confident)


def test_summary_names_what_is_not_certified(whole):
    _, result = whole
    assert "every student converged" in experiment_folder.summary(result)
    fields = vars(result) | {"uncertified": ("exact of draw 1",)}
    assert "NOT certified: exact of draw 1" in experiment_folder.summary(type(result)(**fields))


def test_figures_are_svg_with_words_for_them(whole):
    for name in FIGURES:
        text = (whole[0] / name).read_text(encoding="utf-8")
        assert text.startswith("<svg")
        assert "</title>" in text


# --- a run that was interrupted


@pytest.mark.usefixtures("undrawn")
def test_continued_run_has_the_bytes_of_an_uninterrupted_one(half, whole, run):
    code, *_ = run(
        "experiment", "synthetic", "--draws", DRAWS, "--jobs", 1, "--out", half, "--resume"
    )
    assert code == 0
    assert contents(half) == contents(whole[0])
    assert indices(half) == [0, 1]


@pytest.mark.usefixtures("undrawn")
def test_finished_draws_are_not_drawn_again(half, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        synthetic_module, "one_draw", lambda *args: drawn.append(args) or one_draw(*args)
    )
    synthetic_in_folder(half, n_draws=DRAWS, resume=True)
    assert drawn == [(0, 1)]
    synthetic_in_folder(half, n_draws=DRAWS, resume=True)
    assert len(drawn) == 1


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("torn", [b"\x00\x00", b'{"config": "x", "index": 1}'])
def test_torn_last_line_is_dropped(half, whole, torn):
    with (half / "draws.jsonl").open("ab") as file:
        file.write(torn)
    synthetic_in_folder(half, n_draws=DRAWS, resume=True)
    assert contents(half) == contents(whole[0])
    assert indices(half) == [0, 1]


def test_draw_is_on_the_disk_before_the_next_begins(tmp_path, monkeypatch):
    seen = []

    def failing(seed, index):
        if index:
            seen.append(indices(tmp_path))
        if index == 2:
            raise RuntimeError
        return one_draw(seed, index)

    monkeypatch.setattr(synthetic_module, "one_draw", failing)
    with pytest.raises(RuntimeError):
        synthetic_in_folder(tmp_path, n_draws=3)
    assert seen == [[0], [0, 1]]
    assert not (tmp_path / "result.json").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("which", range(KILLS))
def test_killed_process_loses_no_finished_draw(which, whole, tmp_path):
    # at a moment that differs from run to run: the law holds for each
    folder = tmp_path / f"run {which}"
    process = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    log = folder / "draws.jsonl"
    deadline = time.monotonic() + SECONDS
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.uniform(0, 1.5))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = log.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    assert kept
    subprocess.run(command(folder, "--resume"), check=True, timeout=SECONDS, capture_output=True)
    assert log.read_bytes().startswith(kept)
    assert sorted(indices(folder)) == list(range(DRAWS))
    assert contents(folder, figures=True) == contents(whole[0], figures=True)
    assert {path.name for path in folder.iterdir()} >= {*FILES, *FIGURES}


@pytest.mark.skipif(run_folder.fcntl is None, reason="no locks here")
@pytest.mark.usefixtures("undrawn")
def test_folder_has_one_process_at_a_time(whole, tmp_path):
    folder, script = tmp_path / "run", tmp_path / "first.py"
    # the first draw never ends; what the process starts beside it must not hold the lock
    script.write_text(
        "import subprocess, sys, time\n"
        "from kdtheory import experiment_folder\n"
        "def held(*_, **__):\n"
        "    code = 'import time; time.sleep(600)'\n"
        "    child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.DEVNULL)\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(600)\n"
        "experiment_folder.experiment_of_gs_6_2 = held\n"
        f"experiment_folder.synthetic_in_folder({str(folder)!r}, n_draws={DRAWS})\n",
        encoding="utf-8",
    )
    first = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    child = int(first.stdout.readline())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    try:
        for more in ((), ("--resume",)):
            second = subprocess.run(
                command(folder, *more), timeout=SECONDS, capture_output=True, text=True, check=False
            )
            assert (second.returncode, second.stdout) == (2, "")
            assert "`--out` must be a folder that no other process is at" in second.stderr
            assert second.stderr.count("\n") == 1
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        first.kill()
        first.communicate(timeout=SECONDS)
        os.kill(child, 0)  # raises if it is gone
        synthetic_in_folder(folder, n_draws=DRAWS, resume=True)
    finally:
        first.kill()
        os.kill(child, signal.SIGKILL)
    assert contents(folder) == contents(whole[0])


def test_interrupt_is_exit_130_and_keeps_the_draws(half, monkeypatch, run):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic_module, "one_draw", interrupted)
    before = (half / "draws.jsonl").read_bytes()
    code, *_ = run(
        "experiment", "synthetic", "--draws", DRAWS, "--jobs", 1, "--out", half, "--resume"
    )
    assert code == 130
    assert (half / "draws.jsonl").read_bytes() == before


def test_dask_backend_gives_the_same_numbers(whole):
    distributed = pytest.importorskip("distributed")
    from joblib import parallel_config

    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster),
        parallel_config(backend="dask"),
    ):
        result = experiment_of_gs_6_2(n_draws=DRAWS, n_jobs=-1)
    assert plain_data(result) == plain_data(whole[1])


# --- limits


@pytest.mark.usefixtures("undrawn")
def test_resume_of_nothing_begins(tmp_path, whole):
    synthetic_in_folder(tmp_path / "a" / "b", n_draws=DRAWS, resume=True)
    assert contents(tmp_path / "a" / "b") == contents(whole[0])


@pytest.mark.usefixtures("undrawn")
def test_repeated_line_counts_once(half, whole):
    line = (half / "draws.jsonl").read_bytes()
    (half / "draws.jsonl").write_bytes(line + line)
    synthetic_in_folder(half, n_draws=DRAWS, resume=True)
    assert contents(half) == contents(whole[0])


@pytest.mark.usefixtures("undrawn")
def test_system_without_locks_runs_all_the_same(tmp_path, whole, monkeypatch):
    monkeypatch.setattr(run_folder, "fcntl", None)
    synthetic_in_folder(tmp_path, n_draws=DRAWS)
    assert contents(tmp_path) == contents(whole[0])


# --- bad input


def refused(run, folder, *more):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, out, err = run("experiment", "synthetic", "--jobs", 1, "--out", folder, *more)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    return err


def test_run_is_not_overwritten(run, half):
    err = refused(run, half, "--draws", DRAWS)
    assert "must be a folder without a run" in err
    assert "--resume" in err
    (half / "config.json").unlink()
    assert "without a run" in refused(run, half, "--draws", DRAWS)
    (half / "draws.jsonl").rename(half / "result.json")
    assert "without a run" in refused(run, half, "--draws", DRAWS)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--seed", "1", "--draws", DRAWS), "`seed` is 0, not 1"),
        (("--draws", "5"), "`n_draws` is 2, not 5"),
    ],
)
def test_run_of_another_configuration_is_refused(run, half, more, words):
    assert words in refused(run, half, *more, "--resume")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_large": 99}, "`n_large` is 99, not 5000"),
        ({"law": "other"}, "`law` is 'other', not None"),
        ({"versions": {}}, "`versions` is {}"),
    ],
)
def test_run_of_another_law_or_version_is_refused(run, half, change, words):
    path = half / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | change
    path.write_text(json.dumps(config), encoding="utf-8")
    assert words in refused(run, half, "--draws", DRAWS, "--resume")


@pytest.mark.parametrize("value", ["true", "1.0", "{}", "null"])
def test_value_of_another_kind_is_another_configuration(run, tmp_path, value):
    config = settings_of_gs_6_2(1, DRAWS) | {"seed": json.loads(value)}  # True == 1 == 1.0
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    err = refused(run, tmp_path, "--seed", "1", "--draws", DRAWS, "--resume")
    assert f"`seed` is {json.loads(value)}, not 1" in err


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "\ud800", "[" * 10**5, '{"a":' * 10**5, '{"a": NaN}', '{"a": 1e999}',
     '{"a": ' + "[" * 950 + "]" * 950 + "}"],
)  # fmt: skip
def test_damaged_configuration_is_refused(run, half, text):
    (half / "config.json").write_bytes(text.encode("utf-8", errors="surrogatepass"))
    assert "which is damaged" in refused(run, half, "--draws", DRAWS, "--resume")


def test_missing_configuration_is_refused(run, half):
    (half / "config.json").unlink()
    assert "must hold config.json" in refused(run, half, "--draws", DRAWS, "--resume")


@pytest.mark.parametrize(
    "line",
    ["", "{}", "[]", "null", "{", '{"config": "x"}', "\x00", "é{", '{"config": "x", "index": 0}',
     "[" * 10**5, '{"digest": "0123456789abcdef", "config": "x"}'],
)  # fmt: skip
def test_damaged_line_is_named(run, half, line):
    with (half / "draws.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    err = refused(run, half, "--draws", DRAWS, "--resume")
    assert f"'{half / 'draws.jsonl'}', whose line 2 is damaged: if it is deleted, its dr" in err


@pytest.mark.parametrize(
    "change",
    [{"qualities": {}}, {"marginals": None}, {"spread": "x"}, {"converged": {}}, {"index": True},
     {"index": 1}, {"spread": float("nan")}, {"config": "another"}],
)  # fmt: skip
def test_line_that_is_no_longer_what_was_written_is_named(run, half, change):
    path = half / "draws.jsonl"
    record = json.loads(path.read_text(encoding="utf-8")) | change
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert "line 1 is damaged" in refused(run, half, "--draws", DRAWS, "--resume")


@pytest.mark.usefixtures("undrawn")
def test_deleted_line_costs_its_draw_alone(run, whole, half):
    log = half / "draws.jsonl"
    first, second = (whole[0] / "draws.jsonl").read_bytes().splitlines(keepends=True)
    log.write_bytes(first.replace(b"true", b"null") + second)
    assert "line 1 is damaged" in refused(run, half, "--draws", DRAWS, "--resume")
    log.write_bytes(second)
    synthetic_in_folder(half, n_draws=DRAWS, resume=True)
    assert contents(half) == contents(whole[0])
    assert log.read_bytes() == second + first


@pytest.mark.parametrize("change", [{"config": "another"}, {"index": DRAWS}, {"index": -1}])
def test_line_of_another_run_is_named(run, half, change):
    path = half / "draws.jsonl"
    record = json.loads(path.read_text(encoding="utf-8")) | change
    del record["digest"]
    path.write_bytes(run_folder._sealed(record))
    assert "line 1 is of another" in refused(run, half, "--draws", DRAWS, "--resume")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["pipe", "device", "nothing"])
def test_what_is_no_regular_file_is_refused(run, half, file, kind):
    path = half / file
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/full" if kind == "device" else half / "absent")
    code, out, err = run(
        "experiment", "synthetic", "--jobs", 1, "--draws", DRAWS, "--out", half, "--resume"
    )
    assert (code, out) == (2, "")
    assert f"`--out` must hold regular files, got '{path}', which is not one" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("undrawn")
def test_link_to_a_regular_file_is_followed(whole, half):
    log = half / "draws.jsonl"
    log.rename(half / "elsewhere")
    log.symlink_to(half / "elsewhere")
    synthetic_in_folder(half, n_draws=DRAWS, resume=True)
    assert log.is_symlink()
    assert log.read_bytes() == (whole[0] / "draws.jsonl").read_bytes()
    assert contents(half) == contents(whole[0])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_disk_that_fills_up_is_told_of_the_folder(run, half, monkeypatch):
    monkeypatch.setattr(run_folder, "_require_regular", lambda *_: None)
    (half / "draws.jsonl").unlink()
    (half / "draws.jsonl").symlink_to("/dev/full")
    monkeypatch.setattr(run_folder.SealedLines, "read", lambda *_: [])
    code, out, err = run(
        "experiment", "synthetic", "--jobs", 1, "--draws", DRAWS, "--out", half, "--resume"
    )
    assert (code, out) == (2, "")
    assert "`--out` must be a folder whose files can be read and written" in err
    assert "(No space left on device)" in err
    assert err.count("\n") == 1
    assert not (half / "result.json").exists()


@pytest.mark.parametrize("n_draws", [1, 10**6 + 1, 10**30])
def test_bad_number_of_draws_leaves_no_folder(tmp_path, n_draws):
    with pytest.raises(ValueError, match="`n_draws` must be at"):
        synthetic_in_folder(tmp_path / "run", n_draws=n_draws)
    assert list(tmp_path.iterdir()) == []


def test_lines_here_are_those_of_a_draw():
    Draw(index=0, **LINE)  # raises if a field is missing or unknown


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--draws", "1"), "`--draws` must be at least 2, got 1"),
        (("--draws", "9" * 20), "`--draws` must be at most 1000000, got 99999999999999999999"),
        (("--draws", "1000001"), "`--draws` must be at most 1000000, got 1000001"),
        (("--draws", "many"), "`--draws` must be an integer, got 'many'"),
        (("--seed", "-1"), "`--seed` must be at least 0, got -1"),
        (("--jobs", "0"), "`--jobs` must be at least 1, got 0"),
        (("--jobs", "-2"), "`--jobs` must be at least 1, got -2"),
        (("--resume",), "`--resume` needs the folder of a run, `--out`"),
        (("--out", ""), "`--out` must be a folder that can be written, got ''"),
        (("--color",), "No such option"),
    ],
)
def test_bad_options_are_one_line(run, more, words):
    code, out, err = run("experiment", "synthetic", *more)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_unknown_experiment_is_one_line(run):
    code, out, err = run("experiment", "analytic")
    assert (code, out) == (2, "")
    assert "analytic" in err
    assert err.count("\n") == 1


def test_file_in_the_way_is_one_line(run, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine", encoding="utf-8")
    code, _, err = run("experiment", "synthetic", "--out", path)
    assert code == 2
    assert "must be a folder that can be written" in err
    assert path.read_text(encoding="utf-8") == "mine"


def test_help_names_every_option(run):
    code, out, _ = run("experiment", "synthetic", "--help")
    assert code == 0
    for option in ("--draws", "--seed", "--jobs", "--out", "--resume"):
        assert option in out
