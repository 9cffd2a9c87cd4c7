"""The command line: what it prints, where, and with which exit code."""

import inspect
import json
import re
import subprocess
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rich.console
from experiment_results import diabetes, digits, privileged, synthetic

import kdtheory
from kdtheory import cli, ledger, regress, report
from kdtheory.experiments import diabetes as diabetes_module
from kdtheory.experiments import digits as digits_module
from kdtheory.experiments import privileged as privileged_module
from kdtheory.experiments import synthetic as synthetic_module
from kdtheory.ledger import Claim, Evidence, Finding
from kdtheory.regress import regression_of_file

HELP_SECONDS = 1.0  # of processor time; a command line feels dead above it
HELP_RUNS = 5  # one is enough: what the code costs, not what else the machine does


def claim(name, *, holds=True, **changes):
    evidence = Evidence(kind="symbolic", statement="1 = 1", check=partial(Finding, holds, "of it"))
    words = {"source": "GS", "equation": "(1)", "statement": "s", "tex": "x", "verdict": "true"}
    return Claim(id=name, evidence=(evidence,), **(words | changes))


SOUND = (claim("GS-1"), claim("GS-2", equation="(2) [i]"), claim("MD-1", source="MD"))


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit code, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kdtheory", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capsys.readouterr()
        return stop.value.code or 0, out, err

    return run


@pytest.fixture
def sound(monkeypatch):
    monkeypatch.setattr(ledger, "CLAIMS", SOUND)


@pytest.fixture
def unsound(monkeypatch):
    monkeypatch.setattr(ledger, "CLAIMS", (*SOUND, claim("GS-3", holds=False)))


def remember_and_answer(seeds, result, seed):
    seeds.append(seed)
    return result()


@pytest.fixture
def quick(monkeypatch):
    """The experiments answer at once, and remember their seeds; nothing is drawn."""
    seeds = []
    for module, name, result in (
        (digits_module, "theorem_1_on_digits", digits),
        (diabetes_module, "theorem_2_on_diabetes", diabetes),
        (synthetic_module, "experiment_of_gs_6_2", synthetic),
        (privileged_module, "generalised_distillation", privileged),
    ):
        monkeypatch.setattr(
            module, name, lambda seed, result=result, **_: seeds.append(seed) or result()
        )
    monkeypatch.setattr(report, "_figures", lambda *_: defaultdict(str))
    return seeds


def one_line(err):
    assert err.startswith("kdtheory: ")
    assert err.count("\n") == 1
    return err


# --- verify


@pytest.mark.usefixtures("sound")
def test_verify_prints_a_row_for_each_claim(run):
    code, out, err = run("verify")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["claim", "where", "verdict", "evidence", "backed", "seconds"]
    assert [line.split()[0] for line in lines[1:4]] == ["GS-1", "GS-2", "MD-1"]
    assert "(2) [i]" in lines[2]  # not read as rich's markup
    assert lines[4].startswith(
        "3 claims, 3 true, 0 true under a stated reading, 0 false as printed; every"
    )


@pytest.mark.usefixtures("sound")
def test_verify_takes_claims_and_sources(run):
    for arguments, expected in (
        (["GS-2"], ["GS-2"]),
        (["MD-1", "GS-1", "GS-1"], ["GS-1", "MD-1"]),
        (["--source", "MD"], ["MD-1"]),
        (["GS-1", "MD-1", "--source", "GS"], ["GS-1"]),
    ):
        code, out, _ = run("verify", *arguments, "--json")
        assert code == 0
        assert [row["id"] for row in json.loads(out)["claims"]] == expected


@pytest.mark.usefixtures("sound")
def test_verify_json_is_all_of_stdout(run):
    code, out, err = run("verify", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["kdtheory"] == kdtheory.__version__
    row = document["claims"][0]
    assert row["backed"] is True
    assert row["seconds"] >= 0
    assert row["evidence"][0]["detail"] == "of it"


@pytest.mark.usefixtures("unsound")
def test_verdict_that_is_not_backed_gives_exit_code_1(run):
    code, out, err = run("verify")
    assert code == 1
    assert "1 NOT backed" in out
    assert err == "GS-3: 'true' is not backed: symbolic, 1 = 1: of it\n"
    code, out, _ = run("verify", "--json")
    assert code == 1
    assert [row["backed"] for row in json.loads(out)["claims"]] == [True, True, True, False]
    assert run("verify", "GS-1")[0] == 0


@pytest.mark.usefixtures("sound")
def test_rigorous_reaches_the_ledger(run, monkeypatch):
    seen = []
    real = ledger.verify
    monkeypatch.setattr(
        ledger, "verify", lambda *a, rigorous, **k: seen.append(rigorous) or real(*a, **k)
    )
    run("verify")
    run("verify", "--rigorous")
    assert seen == [False, True]


@pytest.mark.usefixtures("sound")
def test_progress_is_shown_to_a_terminal_only(run, monkeypatch):
    monkeypatch.setattr(rich.console.Console, "is_terminal", True)
    _, _, err = run("verify")
    assert "GS-" in err or "loading" in err
    monkeypatch.setattr(rich.console.Console, "is_terminal", False)
    assert run("verify")[2] == ""


# --- report


@pytest.mark.usefixtures("sound")
def test_report_writes_its_page_and_says_where(run, quick, tmp_path):
    out_folder = tmp_path / "made" / "here"
    code, out, err = run("report", "--out", str(out_folder), "--seed", "3")
    assert (code, err) == (0, "")
    assert out.startswith(f"{out_folder / 'index.html'}: 3 claims, 3 true, ")
    assert "; every verdict is backed (" in out
    assert quick == [3, 3, 3, 3]
    results = json.loads((out_folder / "results.json").read_text(encoding="utf-8"))
    assert [row["id"] for row in results["ledger"]["claims"]] == ["GS-1", "GS-2", "MD-1"]


@pytest.mark.usefixtures("unsound", "quick")
def test_report_is_written_and_fails_if_a_verdict_is_not_backed(run, tmp_path):
    code, out, err = run("report", "--out", str(tmp_path))
    assert code == 1
    assert "1 NOT backed" in out
    assert err.startswith("GS-3:")
    assert (tmp_path / "index.html").is_file()


@pytest.mark.usefixtures("sound", "quick")
def test_failure_in_the_middle_leaves_nothing(run, monkeypatch, tmp_path):
    def breaks(*_):
        msg = "while drawing"
        raise RuntimeError(msg)

    monkeypatch.setattr(report, "_figures", breaks)
    with pytest.raises(RuntimeError, match="while drawing"):
        run("report", "--out", str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


# --- regress


def write_table(path, m=60):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, 2))
    y = X @ [1.0, 2.0] + 3.0 + rng.standard_normal(m)
    rows = zip(X[:, 0], X[:, 1], y, y + 0.5, np.arange(m) % 2, strict=True)
    lines = ["a,b,y,s,known", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path):
    return str(write_table(tmp_path / "table.csv"))


ANSWERS = ("--target", "y", "--teacher", "s")


def test_regress_prints_the_summary_of_the_library(run, table):
    code, out, err = run("regress", table, *ANSWERS, "--privileged", "known", "--trust", "0.3")
    assert (code, err) == (0, "")
    result = regression_of_file(table, target="y", teacher="s", privileged="known", trust=0.3)
    assert out == f"{result.text}\n"
    assert re.search(r"Trust +0\.3 ", out)
    assert out.splitlines()[-1] == "table.csv: 60 rows, read whole"


def test_every_option_of_regress_reaches_the_regression(run, monkeypatch):
    seen = []

    def remember(*args, **options):
        seen.append((args, options))
        msg = "seen"
        raise ValueError(msg)

    monkeypatch.setattr(regress, "regression_of_file", remember)
    run("regress", "f.csv", "--target", "y")
    run(
        "regress", "f.csv", "--target", "y", "--teacher", "s", "--privileged", "p", "--features",
        "a,b", "--features", "c", "--weight", "w", "--trust", "0.25", "--sigma", "2",
        "--sigma-teacher", "3", "--convention", "printed", "--ridge", "4", "--no-intercept",
        "--weights-kind", "frequency", "--confidence", "0.9", "--dask", "tcp://x:1",
    )  # fmt: skip
    run("regress", "f.csv", "--target", "y", "--trust", "loo")
    tells = [options.pop("tell") for _, options in seen]
    assert all(callable(tell) for tell in tells)
    nothing = dict.fromkeys(
        ["teacher", "privileged", "features", "weight", "trust", "sigma", "sigma_teacher", "dask"]
    )
    default = nothing | {
        "target": "y", "convention": "precision", "ridge": 0.0, "fit_intercept": True,
        "weights_kind": "precision", "confidence": 0.95,
    }  # fmt: skip
    given = {
        "target": "y", "teacher": "s", "privileged": "p", "features": ["a", "b", "c"],
        "weight": "w", "trust": 0.25, "sigma": 2.0, "sigma_teacher": 3.0, "convention": "printed",
        "ridge": 4.0, "fit_intercept": False, "weights_kind": "frequency", "confidence": 0.9,
        "dask": "tcp://x:1",
    }  # fmt: skip
    judges = (default, given, default | {"trust": "loo"})
    assert seen == [(("f.csv",), judge) for judge in judges]


def test_options_of_regress_are_those_of_the_library():
    ours = set(inspect.signature(cli.regress).parameters) - {"file", "out", "as_json", "intercept"}
    theirs = set(inspect.signature(regression_of_file).parameters)
    assert theirs - ours == {"path", "fit_intercept", "large", "tell"}
    assert ours - theirs == set()


def test_regress_json_is_all_of_stdout(run, table):
    code, out, err = run("regress", table, *ANSWERS, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert [row["name"] for row in document["coefficients"]] == ["intercept", "a", "b", "known"]
    assert document["fit"]["no_op"] is False


def test_regress_writes_its_files_and_says_where(run, table, tmp_path):
    folder = tmp_path / "made" / "here"
    code, out, err = run("regress", table, *ANSWERS, "--out", str(folder))
    assert (code, err) == (0, "")
    assert {path.name for path in folder.iterdir()} == set(regress.FILES)
    assert out.splitlines()[-3:] == [str(folder / name) for name in regress.FILES]
    _, out, _ = run("regress", table, *ANSWERS, "--out", str(folder), "--json")
    assert json.loads(out) == json.loads((folder / "coefficients.json").read_text("utf-8"))


def test_warnings_of_regress_are_lines_on_stderr(run, tmp_path):
    file = tmp_path / "table.csv"
    rows = [f"{a},{2 * a},{3 * a + (-1) ** a},{3 * a + (-1) ** a}" for a in range(9)]
    file.write_text("\n".join(["a,twice,y,s", *rows]), encoding="utf-8")
    code, out, err = run("regress", str(file), *ANSWERS)
    assert code == 0
    assert "do not determine a, twice" in out
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("kdtheory: warning: ") for line in lines)
    assert "numerical rank 1 with 2 column(s)" in lines[0]
    assert "the teacher changes nothing" in lines[1]


def test_regress_runs_as_a_program(table, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kdtheory", "regress", table, *ANSWERS, "--trust", "loo",
         "--out", str(tmp_path / "out"), "--json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["arguments"]["trust_by"] == "loo"
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_stdout_that_is_full_is_one_line(table, more):
    command = [sys.executable, "-m", "kdtheory", "regress", table, *ANSWERS, *more]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120
        )
        assert done.returncode == 2
        assert "No space left on device" in one_line(done.stderr)
        both = subprocess.run(command, stdout=full, stderr=full, check=False, timeout=120)
    assert both.returncode == 2


def test_output_that_fails_is_one_line(run, table, monkeypatch):
    monkeypatch.setattr(cli.json, "dumps", lambda *_, **__: fails())

    def fails():
        raise OSError(5, "Input/output error")

    code, out, err = run("regress", table, *ANSWERS, "--json")
    assert (code, out) == (2, "")
    assert one_line(err) == "kdtheory: stdout or a file failed (Input/output error)\n"


def test_whoever_has_read_enough_gets_no_complaint(table):
    command = [sys.executable, "-m", "kdtheory", "regress", table, *ANSWERS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 1


def test_disk_that_fills_up_leaves_no_half_written_files(run, table, monkeypatch, tmp_path):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report.Path, "write_text", full)
    code, out, err = run("regress", table, *ANSWERS, "--out", str(tmp_path / "new"))
    assert (code, out) == (2, "")
    assert "`--out` must be" in one_line(err)
    assert "(No space left on device)" in err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--target", "z"], "`target` must be a column, got 'z'; there are 'a', 'b', 'y', 's'"),
        (["--teacher", "z"], "`teacher` must be a column, got 'z'"),
        (["--privileged", "a"], "column 'a' must hold true or false, got "),
        (["--features", "a,z"], "`features` must be a column, got 'z'"),
        (["--features", "a,y"], "`features` must not name 'y', which is the target column"),
        (["--features", "a,,b"], "`features` must be a column, got ''"),
        (["--weight", "a"], "column 'a' must hold weights of at least 0, got '-"),
        (["--trust", "1.5"], "`trust` must be in [0, 1], got 1.5"),
        (
            ["--trust", "best"],
            "`trust` must be in [0, 1] or one of 'loo', 'gcv', 'evidence', got 'b",
        ),
        (["--sigma", "0", "--sigma-teacher", "1"], "`sigma` must be finite and positive, got 0.0"),
        (["--sigma", "x"], "`--sigma` must be a number, got 'x'"),
        (["--sigma", "1"], "`sigma` and `sigma_teacher` must be given both or neither"),
        (["--ridge", "-1"], "`ridge` must be finite and at least 0, got -1.0"),
        (["--confidence", "2"], "`confidence` must be "),
        (["--convention", "x"], "`convention` must be 'precision' or 'printed', got 'x'"),
        (["--weights-kind", "x"], "`weights_kind` must be 'precision' or 'frequency', got 'x'"),
        (["--trust", "evidence"], "all objects are privileged"),
        (
            ["--trust", "evidence", "--weights-kind", "frequency"],
            "`weights_kind` must be 'precision' for the trust 'evidence', got 'frequency'",
        ),
        (["--out", ""], "`--out` must be a folder that can be written, got ''"),
        (["--dask", "nonsense"], "`dask` must be the address of a running scheduler, got 'nons"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_options_of_regress_are_one_line(run, table, tmp_path, change, words):
    code, out, err = run("regress", table, *ANSWERS, "--out", str(tmp_path / "out"), *change)
    assert (code, out) == (2, "")
    assert words in one_line(err)
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, "must be a file that can be read, got "),
        ("folder.csv", ..., "must be a file that can be read, got "),
        ("empty.csv", "", "must be a file with at least one row, got "),
        ("head.csv", "a,y,s\n", "must be a file with at least one row, got "),
        ("data.txt", "a,y,s\n1,2,3\n", "`path` must end in one of .parquet, .pq, .csv"),
        ("text.csv", "a,y,s\n1,2,3\n2,x,4\n", "column 'y' must hold a finite number, got 'x' in"),
        ("hole.csv", "a,y,s\n1,2,3\n,3,4\n", "column 'a' must hold a finite number, got nothing"),
        ("nan.csv", "a,y,s\n1,2,3\n1,nan,4\n", "column 'y' must hold a finite number, got 'nan'"),
        ("few.csv", "a,y,s\n1,2,3\n2,3,4\n", "`X` must have more rows of positive weight than"),
        ("twice.csv", "a,a,y,s\n1,2,3,4\n", "column names must be unique, got 'a' more than once"),
        ("ragged.csv", "a,y,s\n1,2,3\n1,2\n", "every row must have 3 cells, got 2 in line 3"),
        ("cut.parquet", "PAR1 and no more", "`path` must be a whole Parquet file, got "),
        ("cut.csv.gz", "no gzip", "`path` must be a whole CSV file, got "),
    ],
)
def test_bad_files_of_regress_are_one_line(run, tmp_path, name, content, words):
    file = tmp_path / name
    if content is ...:
        file.mkdir()
    elif content is not None:
        file.write_text(content, encoding="utf-8")
    code, out, err = run("regress", str(file), *ANSWERS, "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert words in one_line(err)
    assert not (tmp_path / "out").exists()


def test_answer_that_is_missing_where_the_mask_has_one_is_named(run, tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("a,y,s,known\n1,2,3,1\n2,3,,0\n3,4,,true\n", encoding="utf-8")
    code, _, err = run("regress", str(file), *ANSWERS, "--privileged", "known")
    assert code == 2
    assert "column 's' must hold a finite number, got nothing in line 4 of" in one_line(err)


def test_package_that_is_missing_is_named(run, table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, out, err = run("regress", table, *ANSWERS)
    assert (code, out) == (2, "")
    assert "pip install 'kdtheory[tables]'" in one_line(err)


# --- the whole


def test_help_names_every_command_and_version_is_the_package(run):
    _, out, _ = run("--help")
    assert "verify" in out
    assert "report" in out
    assert "regress" in out
    assert run("--version")[1] == f"kdtheory {kdtheory.__version__}\n"


@pytest.mark.parametrize("command", ["verify", "report", "regress"])
def test_every_option_has_help(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    options = [line for line in out.splitlines() if line.strip().startswith("--")]
    assert options
    assert all("  " in line.strip() for line in options)


def test_help_is_quick_and_loads_no_mathematics():
    code = (
        "import sys, time\nsys.argv = ['kdtheory', '--help']\n"
        "from kdtheory.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(time.process_time(), [m for m in "
        "('sympy', 'mpmath', 'sklearn', 'matplotlib', 'jinja2', 'pyarrow', 'dask') "
        "if m in sys.modules])"
    )

    def seconds():
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        taken, loaded = done.stdout.splitlines()[-1].split(" ", 1)
        assert loaded == "[]"
        return float(taken)

    assert any(seconds() < HELP_SECONDS for _ in range(HELP_RUNS))


def test_module_runs_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "kdtheory", "verify", "GS-99"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "GS-99" in one_line(done.stderr)
    assert "Traceback" not in done.stderr


def test_interrupt_ends_without_a_traceback(run, monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "select", interrupted)
    code, out, err = run("verify")
    assert code == 130
    assert "Traceback" not in out + err


def test_abort_is_an_interrupt(run, monkeypatch):
    def aborted(*_args, **_options):
        raise cli.typer.Abort

    monkeypatch.setattr(ledger, "select", aborted)
    assert run("verify")[0] == 130


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing command"),
        (["verfy"], "No such command 'verfy'"),
        (["verify", "GS-99"], "'GS-99'"),
        (["verify", "--source", "XX"], "'XX'"),
        (["verify", "GS-1", "--source", "MD"], "no claim of 'MD' is among GS-1"),
        (["verify", "--jsn"], "--jsn"),
        (["report", "--seed", "-1"], "`--seed` must be at least 0, got -1"),
        (["report", "--seed", "x"], "`--seed` must be an integer, got 'x'"),
        (["report", "--seed", "1.5"], "`--seed` must be an integer, got '1.5'"),
        (["report", "--out"], "--out"),
        (["report", "--out", ""], "`--out` must be a folder that can be written, got ''"),
        (["report", "extra"], "extra"),
    ],
)
@pytest.mark.usefixtures("sound")
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(run, arguments, words):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert words in one_line(err)


@pytest.mark.usefixtures("sound", "quick")
def test_folder_that_cannot_be_written_is_refused_before_the_work(run, quick, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        code, out, err = run("report", "--out", str(folder))
        assert (code, out, quick) == (2, "", [])
        assert f"`--out` must be a folder that can be written, got '{folder}'" in one_line(err)


@pytest.mark.usefixtures("sound", "quick")
def test_disk_that_fills_up_during_the_work_is_told(run, monkeypatch, tmp_path):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report.Path, "write_text", full)
    code, _, err = run("report", "--out", str(tmp_path / "new"))
    assert code == 2
    assert "(No space left on device)" in one_line(err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("sound")
def test_rigorous_without_ball_arithmetic_is_refused(run, monkeypatch):
    def absent(*_args, **_options):
        msg = "python-flint is not installed"
        raise ModuleNotFoundError(msg)

    monkeypatch.setattr(ledger, "verify", absent)
    code, out, err = run("verify", "--rigorous")
    assert (code, out) == (2, "")
    assert "python-flint" in one_line(err)
