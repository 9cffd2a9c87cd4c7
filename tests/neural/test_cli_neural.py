"""The commands of the neural experiments: what they print and leave, and how they refuse."""

import json
import re
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import made_up_results
import numpy as np
import pytest

from kdtheory import cli, datasets, neural_page, neural_runs
from kdtheory.datasets import ImageData
from kdtheory.experiments import domains as domains_module
from kdtheory.experiments import fashion_mnist as fashion_module

KINDS = ("fashion-mnist", "domains")
MADE_UP = {"fashion-mnist": made_up_results.fashion_mnist, "domains": made_up_results.domains}
EXPERIMENTS = {
    "fashion-mnist": (fashion_module, "experiment_of_gs_6_1"),
    "domains": (domains_module, "experiment_of_md"),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


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
def calls(monkeypatch):
    """Experiments that answer at once with made-up numbers; gives the options of each call."""
    found = []
    images = np.zeros((2, 28, 28), dtype=np.uint8)
    data = ImageData(images, np.arange(2), images, np.arange(2), ("a", "b"), {"file": "ab"})
    monkeypatch.setattr(datasets, "fashion_mnist", lambda *_, **__: data)
    for kind, (module, name) in EXPERIMENTS.items():

        def experiment(_, *, kind=kind, tell, **options):
            found.append({"kind": kind} | options)
            tell(total=1, completed=0, description="made up")
            document = MADE_UP[kind](quick=options["quick"])
            document["result"]["seconds"]["forever"] = float("inf")
            return document["result"]

        monkeypatch.setattr(module, name, experiment)
    return found


@pytest.fixture
def undrawn(monkeypatch):
    """No figures: they have tests of their own."""
    monkeypatch.setattr(neural_page, "figures", lambda *_: defaultdict(str))
    monkeypatch.setattr(neural_runs, "figures", lambda *_: {})


def one_line(err):
    assert err.startswith("kdtheory: ")
    assert err.count("\n") == 1
    return err


# --- what it leaves


@every_kind
def test_run_leaves_its_result_its_figures_and_its_page(run, calls, tmp_path, kind):
    out_folder = tmp_path / "out"
    code, out, err = run("experiment", kind, "--seeds", "3", "--out", str(out_folder))
    assert (code, err) == (0, "")
    assert calls == [
        {"kind": kind, "seeds": 3, "quick": False, "device": "cpu",
         "folder": out_folder / "training"}
    ]  # fmt: skip
    document = json.loads((out_folder / "result.json").read_text(encoding="utf-8"))
    assert document["config"] == json.loads((out_folder / "config.json").read_text())
    wanted = MADE_UP[kind]()["result"]
    wanted["seconds"]["forever"] = None
    assert document["result"] == wanted
    assert document["run"]["command"].startswith(f"kdtheory experiment {kind} --seeds 3 ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", document["run"]["date"])
    page = (out_folder / "index.html").read_text(encoding="utf-8")
    figures = sorted(path.name for path in out_folder.glob("*.svg"))
    assert page.count('role="img"') == len(figures) > 3
    listed = [line for line in out.splitlines() if line.startswith(str(out_folder))]
    left = [path for path in out_folder.iterdir() if path.is_file()]
    assert sorted(listed) == sorted(map(str, left))
    assert "quick" not in out


@every_kind
def test_without_a_folder_the_table_is_all(run, calls, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("experiment", kind)
    assert (code, err) == (0, "")
    assert calls[0]["folder"] is None
    assert list(tmp_path.iterdir()) == []
    result = MADE_UP[kind]()["result"]
    if kind == "fashion-mnist":
        for row in result["rows"]:
            words = f"{row['student']} +{row['rule']} +{row['reading']} +"
            assert re.search(f"{words}{row['cross_entropy']['mean']:.4f}", out)
        assert "of 132 settings the cross-entropy is" in out
    for row in result.get("changes", []):
        assert f"[{row['low']:+.4f}, {row['high']:+.4f}]" in out
    for pair in result.get("pairs", []):
        for link in pair["links"]:
            assert re.search(rf"{pair['pair']} +{link['link']} +cross-entropy +", out)
    assert "a made-up processor" in out


@pytest.mark.usefixtures("undrawn")
@every_kind
def test_quick_run_says_so_on_its_page_and_in_its_table(run, calls, tmp_path, kind):
    _, out, _ = run("experiment", kind, "--quick", "--out", str(tmp_path / "out"))
    assert calls[0]["quick"] is True
    assert "quick run on a small part: numbers are not results" in out
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Quick run on a small part: numbers are not results." in page
    assert "--quick" in page


@pytest.mark.usefixtures("undrawn")
def test_finished_run_is_refused_and_continued(run, calls, tmp_path):
    ask = "experiment", "fashion-mnist", "--out", str(tmp_path / "out")
    assert run(*ask)[0] == 0
    code, out, err = run(*ask)
    assert (code, out) == (2, "")
    assert "continue it with --resume" in one_line(err)
    assert run(*ask, "--resume")[0] == 0
    code, _, err = run(*ask, "--resume", "--seeds", "4")
    assert code == 2
    assert "must hold a run of the same configuration" in one_line(err)
    assert len(calls) == 2


@pytest.mark.usefixtures("undrawn")
def test_report_shows_a_run_of_the_user(run, calls, tmp_path, monkeypatch):
    assert run("experiment", "domains", "--out", str(tmp_path / "d"))[0] == 0
    assert calls
    shown = {}

    def stop(*_, **sections):
        shown.update(sections)
        msg = "enough"
        raise MemoryError(msg)

    from kdtheory import ledger, report
    from kdtheory.experiments import diabetes, digits, privileged, synthetic

    monkeypatch.setattr(ledger, "verify", lambda *_, **__: ())
    for module, name in (
        (digits, "theorem_1_on_digits"), (diabetes, "theorem_2_on_diabetes"),
        (synthetic, "experiment_of_gs_6_2"), (privileged, "generalised_distillation"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    monkeypatch.setattr(report, "build_report", stop)
    run("report", "--out", str(tmp_path / "r"), "--domains", str(tmp_path / "d"))
    assert list(shown) == ["domains"]
    assert shown["domains"].recorded is False
    assert shown["domains"].document["run"]["command"].startswith("kdtheory experiment domains")


# --- bad input: one line, exit code 2, nothing left


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "1"], "`--seeds` must be at least 2, got 1"),
        (["--seeds", "x"], "`--seeds` must be an integer, got 'x'"),
        (["--resume"], "`--resume` needs the folder of a run, `--out`"),
        (["--device", "tpu"], "`--device` must be 'cpu' or 'cuda', got 'tpu'"),
        (["--out", ""], "`--out` must be a folder that can be written, got ''"),
    ],
)
@every_kind
def test_bad_option_is_one_line(run, calls, kind, arguments, words):
    code, out, err = run("experiment", kind, *arguments)
    assert (code, out) == (2, "")
    assert words in one_line(err)
    assert calls == []


def test_device_that_is_not_there_is_one_line(run, calls, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a device of CUDA here")
    out_folder = tmp_path / "out"
    code, _, err = run("experiment", "domains", "--device", "cuda", "--out", str(out_folder))
    assert code == 2
    assert "`--device` must be a device that this machine has, got 'cuda'" in one_line(err)
    assert (calls, out_folder.exists()) == ([], False)


@every_kind
@pytest.mark.parametrize("package", neural_runs.PACKAGES)
def test_without_the_extra_it_is_named(run, calls, monkeypatch, kind, package):
    monkeypatch.setattr(
        neural_runs, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    code, _, err = run("experiment", kind)
    assert code == 2
    told = f'`kdtheory experiment {kind}` needs {package}: pip install "kdtheory[neural]"'
    assert told in one_line(err)
    assert calls == []


@every_kind
@pytest.mark.parametrize("error", [OSError, ImportError])
def test_torch_that_cannot_be_loaded_is_one_line(run, calls, monkeypatch, kind, error):
    class Broken:
        def find_spec(self, name, *_):
            if name == "kdtheory.neural":
                msg = "libcudart.so.12: cannot open\nshared object file"
                raise error(msg)

    monkeypatch.delitem(sys.modules, "kdtheory.neural")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    code, _, err = run("experiment", kind)
    assert code == 2
    assert "needs torch and what it loads, which fails here (libcudart.so.12" in one_line(err)
    assert calls == []


@pytest.mark.parametrize("name", ["file", "nowhere", 300 * "x"])
def test_missing_data_are_one_line(run, tmp_path, name):
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, err = run("experiment", "domains", "--data-dir", str(tmp_path / name))
    assert code == 2
    assert "`--data-dir` must be a folder that exists, got" in one_line(err)
    assert str(tmp_path / name) in err


@every_kind
def test_folder_is_refused_before_data_are_looked_for(run, calls, monkeypatch, tmp_path, kind):
    def unasked(*_, **__):
        pytest.fail("data were looked for")

    monkeypatch.setattr(datasets, "fashion_mnist", unasked)
    for name in ("index.html", f"{neural_page.FIGURES[kind][0]}.svg"):
        (tmp_path / kind / name).mkdir(parents=True)
        code, _, err = run("experiment", kind, "--out", str(tmp_path / kind))
        assert code == 2
        assert f"`--out` must be a folder that can be written, got '{tmp_path / kind}'" in err
        assert f"({name} in it is a folder)" in one_line(err)
        (tmp_path / kind / name).rmdir()
    assert calls == []


def test_each_pair_of_domains_has_a_figure_whose_name_is_known():
    known = [name for name in neural_page.FIGURES["domains"] if name.startswith("pair_")]
    assert len(known) == len(domains_module.PAIRS)
    assert (*domains_module.LOSSES, domains_module.UNLABELLED) == neural_page.LOSSES


@every_kind
def test_loss_that_is_not_finite_is_one_line_and_loses_nothing(
    run, calls, monkeypatch, tmp_path, kind
):
    def diverges(*_, folder, **__):
        folder.mkdir()
        (folder / "kept").write_text("", encoding="utf-8")
        msg = "the loss is nan at step 3"
        raise FloatingPointError(msg)

    monkeypatch.setattr(*EXPERIMENTS[kind], diverges)
    code, _, err = run("experiment", kind, "--out", str(tmp_path / "out"))
    assert code == 2
    assert "the loss is nan at step 3" in one_line(err)
    assert (tmp_path / "out" / "training" / "kept").exists()
    assert calls == []


@pytest.mark.usefixtures("undrawn")
def test_full_disk_is_one_line_and_keeps_the_result(run, calls, monkeypatch, tmp_path):
    real = Path.write_text

    def full(self, text, **options):
        if "index.html" in self.name:
            raise OSError(28, "No space left on device")
        return real(self, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    code, _, err = run("experiment", "domains", "--out", str(tmp_path / "out"))
    assert code == 2
    assert "No space left on device" in one_line(err)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"config.json", "result.json"}
    assert calls


@every_kind
@pytest.mark.parametrize("text", [None, "{", '{"config": {}, "result": {}}'])
def test_report_refuses_what_is_no_run_before_it_computes(run, tmp_path, kind, text):
    if text is not None:
        (tmp_path / "result.json").write_text(text, encoding="utf-8")
    code, out, err = run("report", f"--{kind}", str(tmp_path), "--out", str(tmp_path / "r"))
    assert (code, out) == (2, "")
    assert f"`--{kind}` must hold" in one_line(err)
    assert not (tmp_path / "r").exists()
