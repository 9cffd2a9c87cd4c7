"""The command line: what it prints, where, and with which exit code."""

import json
import subprocess
import sys
from collections import defaultdict
from functools import partial

import pytest
import rich.console
from experiment_results import diabetes, digits, synthetic

import kdtheory
from kdtheory import cli, ledger, report
from kdtheory.experiments import diabetes as diabetes_module
from kdtheory.experiments import digits as digits_module
from kdtheory.experiments import synthetic as synthetic_module
from kdtheory.ledger import Claim, Evidence, Finding

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
        (synthetic_module, "generator_of_gs_6_2", synthetic),
    ):
        monkeypatch.setattr(
            module, name, lambda seed, result=result: seeds.append(seed) or result()
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
    assert quick == [3, 3, 3]
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


# --- the whole


def test_help_names_every_command_and_version_is_the_package(run):
    _, out, _ = run("--help")
    assert "verify" in out
    assert "report" in out
    assert run("--version")[1] == f"kdtheory {kdtheory.__version__}\n"


@pytest.mark.parametrize("command", ["verify", "report"])
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
        "('sympy', 'mpmath', 'sklearn', 'matplotlib', 'jinja2') if m in sys.modules])"
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
