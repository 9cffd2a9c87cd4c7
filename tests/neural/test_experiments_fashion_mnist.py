"""GS 6.1 and the phase diagram, on small made-up images; the real files are for the command."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import made_up_results
import numpy as np
import pytest
import torch
from made_up_images import made_up_images, shorten
from numpy.testing import assert_allclose

from kdtheory.experiments import fashion_mnist, phase_diagram
from kdtheory.experiments.fashion_mnist import experiment_of_gs_6_1, settings
from kdtheory.files import plain_data
from kdtheory.neural import IGNORED, distillation_loss, epoch_order, gs_student
from kdtheory.neural_page import experiment_page, read_result
from kdtheory.neural_runs import run_in_folder

FLOAT32_CURVES = 1e-4  # float32 sums in another order, through ten epochs of Adam


@pytest.fixture(scope="module", autouse=True)
def short():
    with pytest.MonkeyPatch.context() as patch:
        for module, names in (
            (phase_diagram, ("TRUSTS", "TEMPERATURES", "QUICK_STEPS")),
            (fashion_mnist, ("QUICK_EPOCHS", "QUICK_TEACHER_EPOCHS")),
        ):
            for name in names:
                patch.setattr(module, name, getattr(module, name))  # put back at the end
        shorten()
        yield


@pytest.fixture(scope="module")
def data():
    return made_up_images()


@pytest.fixture(scope="module")
def result(data):
    return experiment_of_gs_6_1(data, seeds=2, quick=True)


def without_seconds(result):
    document = plain_data(result)
    del document["seconds"]
    return document


# --- oracle


def test_the_students_are_those_of_the_usual_loop(data, result):
    """A loop with nn.Linear, the loss of (14) and torch's Adam, one student at a time."""
    sizes = fashion_mnist._sizes(data, 2, quick=True)
    work = fashion_mnist._Work(data, sizes, device="cpu", folder=None, tell=lambda **_: None)
    work.teacher()
    X, y = torch.from_numpy(work.X[work.train_rows]), torch.from_numpy(work.y[work.train_rows])
    S = torch.from_numpy(work.teacher_logits[work.train_rows])
    X_test, y_test = map(torch.from_numpy, work.test)
    losses = []
    for seed in range(2):
        student = gs_student(seed)
        adam = torch.optim.Adam(student.parameters(), lr=fashion_mnist.LEARNING_RATE)
        for epoch in range(work.epochs):
            for rows in epoch_order(len(y), seed, epoch).split(fashion_mnist.BATCH_SIZE):
                adam.zero_grad()
                loss = distillation_loss(student(X[rows]), y[rows], teacher_logits=S[rows])
                loss.backward()
                adam.step()
        losses.append(torch.nn.functional.cross_entropy(student(X_test), y_test).item())
    row = next(
        row
        for row in result.rows
        if (row.student, row.rule, row.reading) == ("with", "softmax", "last epoch")
    )
    assert_allclose(row.cross_entropy.mean, np.mean(losses), rtol=FLOAT32_CURVES)
    curve = next(curve for curve in result.curves if curve.student == "with")
    assert_allclose(curve.test_cross_entropy["mean"][-1], np.mean(losses), rtol=FLOAT32_CURVES)


# --- laws


def test_test_labels_choose_nothing(data, result):
    """With other test labels the readings are at the same epochs and steps."""
    other = dataclasses.replace(data, test_labels=(data.test_labels + 1) % 10)
    changed = experiment_of_gs_6_1(other, seeds=2, quick=True)
    assert [row.epoch for row in changed.rows] == [row.epoch for row in result.rows]
    chosen = [[cell.chosen for cell in run.phase.cells] for run in (result, changed)]
    assert chosen[0] == chosen[1]
    assert any(chosen[0])
    assert changed.rows[0].accuracy != result.rows[0].accuracy


def test_the_teacher_has_30_000_parameters_and_the_student_7850(result):
    assert (result.teacher.n_parameters, result.student_size) == (30_000, 7850)


def test_every_student_is_read_at_every_reading_that_it_has(result):
    read = {(row.student, row.rule, row.reading) for row in result.rows}
    trained = {
        (student, rule, reading)
        for student in ("without", "with", "exact", "printed")
        for rule in ("softmax", "mean")
        for reading in ("last epoch", "best validation epoch")
    }
    optimal = {
        (student, rule, "converged")
        for student in ("without", "with")
        for rule in ("softmax", "mean")
    }
    assert read == trained | optimal


def test_prediction_rules_agree_on_the_class(result):
    """Both rules grow with the logit of a class, so their accuracies are the same."""
    accuracy = {(row.student, row.rule, row.reading): row.accuracy for row in result.rows}
    for (student, rule, reading), value in accuracy.items():
        if rule == "mean":
            assert value == accuracy[student, "softmax", reading]


def test_groups_of_the_reliability_diagram_hold_all_images(result):
    for one in result.calibration:
        assert_allclose(one.share.sum(), 1, rtol=1e-12)
        assert np.all(np.diff(one.confidence) >= 0)


def test_labels_of_the_diagram_are_nested_and_hidden_where_not_told(data, monkeypatch):
    seen = []

    class Stop(Exception):
        pass

    def look(students, _, samples, **__):
        seen.extend([students, samples])
        raise Stop

    monkeypatch.setattr("kdtheory.neural.Fleet", look)
    X, y = data.train_images.reshape(700, -1), data.train_labels
    validation = np.arange(600, 700)
    test = (X[:5], y[:5])
    with pytest.raises(Stop):
        phase_diagram.phase_diagram(X, y, test, np.zeros((700, 10)), validation, quick=True)
    students, samples = seen
    told = {}
    for student in students:
        sample = samples[student.sample]
        known = sample.labels != IGNORED
        assert np.array_equal(sample.labels[known], y[sample.rows[known]])
        told.setdefault((student.seed, int(known.sum())), set()).add(
            frozenset(sample.rows[known].tolist())
        )
    for seed in (0, 1):
        few, many = told[seed, 100], told[seed, 600]
        assert len(few) == len(many) == 1
        assert next(iter(few)) < next(iter(many))
        assert not next(iter(many)) & set(validation)
        assert next(iter(told[seed, 700])) == set(range(700))


def test_the_diagram_compares_at_the_same_number_of_labels(result):
    baselines = {baseline.n_labels: baseline for baseline in result.phase.baselines}
    assert set(baselines) == set(result.phase.sizes)
    for cell in result.phase.cells:
        assert_allclose(
            cell.cross_entropy.mean - baselines[cell.n_labels].cross_entropy.mean,
            cell.cross_entropy_change.change,
            atol=1e-12,
        )


def test_one_cell_is_chosen_of_each_size_and_way(result):
    chosen = [(cell.n_labels, cell.answered) for cell in result.phase.cells if cell.chosen]
    ways = {(cell.n_labels, cell.answered) for cell in result.phase.cells}
    assert sorted(chosen) == sorted(ways)


SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from made_up_images import made_up_images, shorten
from kdtheory.experiments.fashion_mnist import experiment_of_gs_6_1
shorten()
experiment_of_gs_6_1(made_up_images(), seeds=2, quick=True, folder=Path(sys.argv[1]))
"""


def started(folder):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path, data):
    """Killed when a stage has begun to leave something, at a random moment of it."""
    wait = np.random.default_rng().uniform(0, 0.5)  # seconds
    for stage in ("teacher", "without-with", "exact-printed", "phase"):
        process = started(tmp_path)
        deadline = time.monotonic() + 100
        while not (tmp_path / stage).exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        resumed = experiment_of_gs_6_1(data, seeds=2, quick=True, folder=tmp_path)
        whole = experiment_of_gs_6_1(data, seeds=2, quick=True)
    finally:
        torch.set_num_threads(threads)
    assert without_seconds(resumed) == without_seconds(whole), f"killed after {wait} s"


def test_the_result_has_a_page(data, result, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "experiment_of_gs_6_1", lambda *_, **__: result)
    out = tmp_path / "run"
    document, _ = run_in_folder("fashion-mnist", data, out, seeds=2, quick=True)
    assert document == read_result("out", out, "fashion-mnist")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page == experiment_page("fashion-mnist", document)
    assert page.endswith("</html>\n")
    assert all(f">{change.verdict}</span>" in page for change in result.changes)
    assert document["result"].keys() == made_up_results.fashion_mnist()["result"].keys()


# --- limits


def test_the_diagram_can_be_left_out(data):
    assert experiment_of_gs_6_1(data, seeds=2, quick=True, phase=False).phase is None


# --- bad input


def test_settings_tell_what_the_numbers_hang_on(data):
    one = settings(data, seeds=3)
    assert one["seeds"] == 3
    assert one["data"] == {"made up": "0"}
    assert settings(data, seeds=3, quick=True) != one


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"seeds": 1}, ValueError, r"`seeds` must be .*at least 2, got 1"),
        ({"device": "cuda:99"}, ValueError, r"cuda"),
    ],
)
def test_bad_input_is_named(data, change, error, match):
    with pytest.raises(error, match=match):
        experiment_of_gs_6_1(data, **({"quick": True, "phase": False} | change))
