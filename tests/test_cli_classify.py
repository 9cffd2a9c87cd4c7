"""`kdtheory classify`: what it prints, where, and with which exit code."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest

from kdtheory import classify, cli
from kdtheory.classify import classification_of_file


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


def one_line(text):
    assert len(text.splitlines()) == 1
    return text


def write_table(path, m=60):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, 2))
    p = 1 / (1 + np.exp(-X @ [1.0, 2.0]))
    y = np.where(rng.random(m) < p, "yes", "no")
    rows = zip(X[:, 0], X[:, 1], y, 1 - p, p, np.arange(m) % 2, strict=True)
    lines = ["a,b,y,q,p,known", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path):
    return str(write_table(tmp_path / "table.csv"))


ANSWERS = ("--target", "y", "--teacher", "q,p", "--privileged", "known")


def test_classify_prints_the_summary_of_the_library(run, table):
    code, out, err = run("classify", table, *ANSWERS, "--trust", "0.3")
    assert (code, err) == (0, "")
    result = classification_of_file(
        table, target="y", teacher=["q", "p"], privileged="known", trust=0.3
    )
    assert out == f"{result.text}\n"
    assert out.splitlines()[-1] == "table.csv: 60 rows, read whole"


def test_every_option_of_classify_reaches_the_fit(run, monkeypatch):
    seen = []

    def remember(*args, **options):
        seen.append((args, options))
        msg = "seen"
        raise ValueError(msg)

    monkeypatch.setattr(classify, "classification_of_file", remember)
    run("classify", "f.csv", "--target", "y")
    run(
        "classify", "f.csv", "--target", "y", "--teacher", "s,t", "--teacher", "a=u",
        "--privileged", "p", "--features", "a,b", "--features", "c", "--weight", "w", "--trust",
        "0.25", "--temperature", "3", "--regulariser", "exact", "--squared-temperature", "--l2",
        "4", "--no-intercept", "--rule", "mean",
    )  # fmt: skip
    tells = [options.pop("tell") for _, options in seen]
    assert all(callable(tell) for tell in tells)
    nothing = dict.fromkeys(
        ["teacher", "privileged", "features", "weight", "trust", "temperature", "regulariser"]
    )
    default = nothing | {
        "target": "y", "squared_temperature": False, "l2": 0.0, "fit_intercept": True,
        "rule": "softmax",
    }  # fmt: skip
    given = {
        "target": "y", "teacher": ["s", "t", "a=u"], "privileged": "p",
        "features": ["a", "b", "c"], "weight": "w", "trust": 0.25, "temperature": 3.0,
        "regulariser": "exact", "squared_temperature": True, "l2": 4.0, "fit_intercept": False,
        "rule": "mean",
    }  # fmt: skip
    assert seen == [(("f.csv",), default), (("f.csv",), given)]


def test_options_of_classify_are_those_of_the_library():
    ours = set(inspect.signature(cli.classify).parameters) - {"file", "out", "as_json", "intercept"}
    theirs = set(inspect.signature(classification_of_file).parameters)
    assert theirs - ours == {"path", "fit_intercept", "large", "tell"}
    assert ours - theirs == set()


def test_classify_json_is_all_of_stdout(run, table):
    code, out, err = run("classify", table, *ANSWERS, "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert [row["name"] for row in document["coefficients"][::2]] == ["intercept", "a", "b"]
    assert document["arguments"]["teacher"] == {"no": "q", "yes": "p"}


def test_classify_writes_its_files_and_says_where(run, table, tmp_path):
    folder = tmp_path / "made" / "here"
    code, out, err = run("classify", table, *ANSWERS, "--out", str(folder))
    assert (code, err) == (0, "")
    assert {path.name for path in folder.iterdir()} == set(classify.FILES)
    assert out.splitlines()[-4:] == [str(folder / name) for name in classify.FILES]
    _, out, _ = run("classify", table, *ANSWERS, "--out", str(folder), "--json")
    assert json.loads(out) == json.loads((folder / "coefficients.json").read_text("utf-8"))


def test_classes_that_can_be_separated_are_a_warning_on_stderr(run, tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("a,y\n" + "".join(f"{a},{a > 4}\n" for a in range(9)), encoding="utf-8")
    code, out, err = run("classify", str(file), "--target", "y")
    assert code == 0
    assert "no optimum exists" in out
    assert one_line(err).startswith("kdtheory: warning: ")
    code, out, err = run("classify", str(file), "--target", "y", "--l2", "0.1")
    assert (code, err) == (0, "")
    assert "no optimum exists" not in out


def test_classify_runs_as_a_program(table, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kdtheory", "classify", table, *ANSWERS, "--rule", "mean",
         "--out", str(tmp_path / "out"), "--json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["arguments"]["rule"] == "mean"
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ["--target", "z"],
            "`target` must be a column, got 'z'; there are 'a', 'b', 'y', 'q', 'p'",
        ),
        (["--teacher", "z"], "`teacher` must be a column, got 'z'"),
        (["--teacher", "a"], "`teacher` must name 2 columns, one for each of the classes 'no', 'y"),
        (["--privileged", "a"], "column 'a' must hold true or false, got "),
        (["--features", "a,z"], "`features` must be a column, got 'z'"),
        (["--weight", "a"], "column 'a' must hold weights in [0, 1e+150], got "),
        (["--trust", "1.5"], "`trust` must be in [0, 1], got 1.5"),
        (["--trust", "loo"], "`--trust` must be a number, got 'loo'"),
        (["--temperature", "0"], "`temperature` must be finite and positive, got 0.0"),
        (["--temperature", "x"], "`--temperature` must be a number, got 'x'"),
        (["--regulariser", "x"], "`regulariser` must be 'exact' or 'printed', got 'x'"),
        (["--l2", "-1"], "`l2` must be finite and at least 0, got -1.0"),
        (["--rule", "x"], "`rule` must be 'softmax' or 'mean', got 'x'"),
        (["--out", ""], "`--out` must be a folder that can be written, got ''"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_options_of_classify_are_one_line(run, table, tmp_path, change, words):
    options = dict(zip(ANSWERS[::2], ANSWERS[1::2], strict=True)) | {"--features": "b"}
    options |= {change[0]: change[1]} if len(change) == 2 else {}
    given = [word for pair in options.items() for word in pair] + change[len(change) // 2 * 2 :]
    code, out, err = run("classify", table, "--out", str(tmp_path / "out"), *given)
    assert (code, out) == (2, "")
    assert words in one_line(err)
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.csv", None, "must be a file that can be read, got "),
        ("empty.csv", "", "must be a file with at least one row, got "),
        ("head.csv", "a,y,q,p\n", "must be a file with at least one row, got "),
        ("data.txt", "a,y,q,p\n", "`path` must end in one of .parquet, .pq, .csv"),
        ("hole.csv", "a,y,q,p\n1,no,1,0\n2,,0,1\n", "column 'y' must hold a label, which is a w"),
        ("one.csv", "a,y,q,p\n1,no,1,0\n2,no,0,1\n", "column 'y' must hold at least two classes"),
        ("part.csv", "a,y,q,p\n1,no,1,0\n2,yes,,1\n", "column 'q' must hold a finite number, got"),
        ("logit.csv", "a,y,q,p\n1,no,1,0\n2,yes,-3,4\n", "column 'q' must hold probabilities, not"),
        ("logit.csv", "a,y,q,p\n1,no,1,0\n2,yes,3,4\n", "which sum to 1, got 3.0 + 4.0 = 7 in li"),
        ("none.csv", "a,y,q,p\n1,no,,\n2,yes,,\n", "must hold a teacher's answer at least once"),
        ("cut.parquet", "PAR1 and no more", "`path` must be a whole Parquet file, got "),
    ],
)
def test_bad_files_of_classify_are_one_line(run, tmp_path, name, content, words):
    file = tmp_path / name
    if content is not None:
        file.write_text(content, encoding="utf-8")
    code, out, err = run(
        "classify", str(file), "--target", "y", "--teacher", "q,p", "--out", str(tmp_path / "out")
    )
    assert (code, out) == (2, "")
    assert words in one_line(err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "kdtheory: there is not enough memory for this\n"),
        (MemoryError("Unable to\nallocate 9 TiB"), "for this (Unable to allocate 9 TiB)\n"),
    ],
)
def test_memory_that_runs_out_is_one_line(run, table, monkeypatch, tmp_path, error, words):
    def exhausted(*_, **__):
        raise error

    monkeypatch.setattr(classify, "distil_classification", exhausted)
    code, out, err = run("classify", table, *ANSWERS, "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert one_line(err).endswith(words)
    assert not (tmp_path / "out").exists()


def test_every_option_of_classify_has_help(run):
    code, out, _ = run("classify", "--help")
    assert code == 0
    options = [line for line in out.splitlines() if line.strip().startswith("--")]
    assert len(options) > 12
    assert all("  " in line.strip() for line in options)
