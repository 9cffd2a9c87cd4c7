"""Training: a plain loop is the oracle, and what interrupts a run does not change its bits."""

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
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from training_processes import convolutional, images, killed, shared

from kdtheory.neural import training
from kdtheory.neural.batches import IGNORED, epoch_order
from kdtheory.neural.checkpoints import load_checkpoint
from kdtheory.neural.losses import DistillationLoss, DomainDistillationLoss
from kdtheory.neural.training import NonFiniteLossError, evaluate, train

SCRIPT = Path(__file__).with_name("training_processes.py")
ROUNDING = 1e-6  # of float32, relative to losses of about 1
DRIFT = 2e-5  # of weights of about 1 after a hundred steps of Adam that round differently
DOUBLE = 1e-12  # of float64, after as many
BFLOAT16 = 0.02  # 2^-8, in several layers
PATIENCE = 100  # seconds for a script; it takes about 5
KILLS = 3


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def linear(seed=0, n_features=4, n_classes=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(n_features, n_classes)


def problem(m=50, n_features=4, n_classes=3, seed=0):
    """Features, labels of a linear rule and a teacher's logits."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, n_features)).astype(np.float32)
    v = X @ rng.normal(size=(n_features, n_classes))
    return X, v.argmax(axis=1), v


def same_states(one, other):
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


def same(one, other):
    """Whether two trainings are equal to the bit."""
    return (
        one.history == other.history
        and one.best_epoch == other.best_epoch
        and same_states(one.model.state_dict(), other.model.state_dict())
        and same_states(one.best_state or {}, other.best_state or {})
    )


class Recorder(nn.Module):
    """Notes the mode of each forward pass."""

    def __init__(self):
        super().__init__()
        self.modes = []

    def forward(self, x):
        self.modes.append(self.training)
        return x


# --- a plain loop, and scores by their definition


def plain_loop(model, X, y, loss, epochs, batch_size, learning_rate, seed):
    adam = torch.optim.Adam(model.parameters(), lr=learning_rate)
    means = []
    for epoch in range(epochs):
        total = 0.0
        for rows in epoch_order(len(y), seed, epoch).split(batch_size):
            adam.zero_grad()
            value = loss(model(X[rows]), rows)
            value.backward()
            adam.step()
            total += value.item() * len(rows)
        means.append(total / len(y))
    return means


@pytest.mark.parametrize(
    ("precision", "dtype", "tolerance", "drift"),
    [("32-true", torch.float32, ROUNDING, DRIFT), ("64-true", torch.float64, DOUBLE, DOUBLE)],
)
def test_a_run_is_that_of_a_plain_loop(precision, dtype, tolerance, drift):
    X, y, v = problem()
    mask = np.arange(50) % 3 > 0
    y = np.where(np.arange(50) % 7, y, IGNORED)
    settings = {"epochs": 5, "batch_size": 16, "learning_rate": 0.05, "seed": 4}
    loss = DistillationLoss(trust=0.7, temperature=2.0, regulariser="exact")
    plain = linear().to(dtype)
    tensors = (torch.tensor(y), torch.tensor(v, dtype=dtype), torch.tensor(mask))

    def of_rows(logits, rows):
        labels, teacher_logits, privileged = (tensor[rows] for tensor in tensors)
        return loss(logits, labels, teacher_logits=teacher_logits, privileged=privileged)

    means = plain_loop(plain, torch.tensor(X, dtype=dtype), y, of_rows, **settings)
    run = train(
        linear(),
        X,
        y,
        teacher_logits=v,
        privileged=mask,
        loss=loss,
        precision=precision,
        **settings,
    )
    assert_allclose([row["train_loss"] for row in run.history], means, rtol=tolerance)
    for ours, theirs in zip(run.model.parameters(), plain.parameters(), strict=True):
        assert ours.dtype == dtype
        assert_allclose(ours.detach(), theirs.detach(), rtol=0, atol=drift)


def test_scores_are_those_of_their_definition():
    X, y, _ = problem()
    y = np.where(np.arange(50) % 7, y, IGNORED)
    model = linear()
    logits = X.astype(float) @ model.weight.detach().double().numpy().T
    logits += model.bias.detach().double().numpy()
    known = y != IGNORED
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    entropy = -log_probs[known, y[known]].mean()
    right = (logits.argmax(axis=1) == y)[known].mean()
    for batch_size in (1, 7, 1000):
        found = evaluate(model, X, y, batch_size=batch_size)
        assert_allclose(found, (entropy, right), rtol=ROUNDING)
    run = train(model, X, y, validation=(X, y), score_training=True, epochs=1)
    assert evaluate(model, torch.tensor(X), torch.tensor(y)) == (
        run.history[0]["validation_cross_entropy"],
        run.history[0]["validation_accuracy"],
    )
    assert run.history[0]["train_accuracy"] == run.history[0]["validation_accuracy"]


def test_without_a_teacher_the_loss_is_the_cross_entropy():
    X, y, _ = problem()
    whole = {"epochs": 1, "batch_size": 50}
    entropy = cross_entropy(linear()(torch.tensor(X)), torch.tensor(y)).item()
    assert_allclose(train(linear(), X, y, **whole).history[0]["train_loss"], entropy, rtol=ROUNDING)


def test_a_loss_of_ones_own_is_given_the_rows_of_each_batch():
    X, y, v = problem()
    mask = np.arange(50) % 3 > 0
    seen = []

    def own(logits, labels, teacher_logits, privileged):
        seen.append((labels, teacher_logits, privileged))
        return cross_entropy(logits, labels)

    settings = {"epochs": 1, "batch_size": 20, "seed": 5}
    train(linear(), X, y, teacher_logits=v, privileged=mask, loss=own, **settings)
    order = epoch_order(50, 5, 0).numpy()
    labels, answers, masks = (torch.cat(parts).numpy() for parts in zip(*seen, strict=True))
    assert_array_equal(labels, y[order])
    assert_array_equal(masks, mask[order])
    assert_allclose(answers, np.where(mask[:, None], v, 0)[order], rtol=ROUNDING)
    seen.clear()
    train(linear(), X, y, loss=own, **settings)
    assert seen[0][1:] == (None, None)


def test_the_loss_of_another_domain_is_taken_as_it_is():
    X, y, v = problem()
    loss = DomainDistillationLoss(trust=0.3)
    expected = loss(linear()(torch.tensor(X)), torch.tensor(y), teacher_logits=torch.tensor(v))
    run = train(linear(), X, y, teacher_logits=v, loss=loss, epochs=1, batch_size=50)
    assert_allclose(run.history[0]["train_loss"], expected.item(), rtol=ROUNDING)


# --- laws


def test_a_run_hangs_on_its_arguments_alone_and_leaves_the_global_generator():
    X, y, _ = images(60)
    runs = []
    for state in (1, 2):
        torch.manual_seed(state)
        before = torch.get_rng_state()
        settings = {"epochs": 3, "batch_size": 16, "validation": (X, y)}
        runs.append(train(convolutional(dropout=0.5), X, y, **settings))
        assert torch.equal(torch.get_rng_state(), before)
    assert same(*runs)
    assert not same(runs[0], train(convolutional(dropout=0.5), X, y, seed=1, **settings))


def test_dropout_is_drawn_anew_in_each_epoch():
    class Drawn(nn.Module):
        draws = ()

        def forward(self, logits, _labels, _teacher, _privileged):
            self.draws += (logits.detach(),)
            return 0 * logits.sum()  # nothing is learnt

    X, y, _ = images(2)
    loss = Drawn()
    model = convolutional(dropout=0.5)
    train(model, X[[0, 0]], y, loss=loss, epochs=3, batch_size=2)  # the order does not matter
    one, two, three = loss.draws
    assert not torch.equal(one, two)
    assert not torch.equal(two, three)


def test_epochs_are_in_train_mode_and_scores_in_eval_mode():
    X, y, _ = images(64)
    recorder, norm = Recorder(), nn.BatchNorm2d(4)
    parts = convolutional(dropout=0.5)
    model = nn.Sequential(parts[:1], norm, recorder, *parts[1:]).eval()
    recorder.modes.clear()
    run = train(model, X, y, epochs=3, batch_size=16, validation=(X, y))
    looked_at = recorder.modes.index(True)  # the number of classes, before the first epoch
    assert not any(recorder.modes[:looked_at])
    assert recorder.modes[looked_at:] == 3 * [*4 * [True], False]
    assert int(norm.num_batches_tracked) == 3 * 4
    assert not any(module.training for module in run.model.modules())


def test_scores_leave_each_module_in_its_mode():
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(4).eval(), linear())
    state = {key: value.clone() for key, value in model.state_dict().items()}
    X, y, _ = problem()
    evaluate(model, X, y)
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert same_states(state, model.state_dict())


def test_the_best_epoch_is_that_of_least_validation_cross_entropy():
    X, y, _ = problem(30)
    run = train(
        linear(), X, y, validation=problem(seed=9)[:2], epochs=12, batch_size=5, learning_rate=0.3
    )
    entropies = [row["validation_cross_entropy"] for row in run.history]
    assert run.best_epoch == 1 + int(np.argmin(entropies))
    assert 1 <= run.best_epoch < 12, "the last one is no test of keeping the best"
    best = linear()
    best.load_state_dict(run.best_state)
    scores = evaluate(best, *problem(seed=9)[:2])
    assert scores[0] == min(entropies)
    alone = train(linear(), X, y, epochs=1)
    assert alone.best_epoch is None
    assert alone.best_state is None


def test_progress_is_told_by_epoch():
    told = []
    X, y, _ = problem()
    train(linear(), X, y, epochs=2, tell=lambda **words: told.append(words))
    assert told[0] == {"total": 2, "completed": 0, "description": "epochs"}
    assert [words["advance"] for words in told[1:]] == [1, 1]
    assert told[2]["description"].startswith("epoch 2 of 2, loss ")


def test_mixed_precision_keeps_weights_of_32_bits_and_losses_of_nearly_the_same():
    X, y, _ = images(100)
    settings = {"epochs": 2, "batch_size": 20}
    full = train(convolutional(), X, y, **settings)
    mixed = train(convolutional(), X, y, precision="bf16-mixed", **settings)
    assert all(weight.dtype == torch.float32 for weight in mixed.model.parameters())
    losses = [[row["train_loss"] for row in run.history] for run in (full, mixed)]
    assert_allclose(*losses, rtol=BFLOAT16)
    assert losses[0] != losses[1]


# --- a folder: the same bits whatever interrupts a run

FOLDER = {"epochs": 4, "batch_size": 16, "seed": 2}


def in_folder(folder, **changes):
    X, y, v = images(64)
    settings = {"teacher_logits": v, "validation": images(30, seed=1)[:2], **FOLDER}
    data = {"X": X, "y": y}
    model = changes.pop("model", None) or convolutional(dropout=0.3)
    return train(model, **data | settings | changes, folder=folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run, to be looked at only, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return in_folder(folder), folder


def test_a_folder_holds_the_run(whole):
    run, folder = whole
    assert same(run, in_folder(None))
    assert sorted(path.name for path in folder.iterdir()) == [
        "best", "config.json", "last", "metrics.jsonl", "result.json",
    ]  # fmt: skip
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line, row in zip(lines, run.history, strict=True):
        assert {key: line[key] for key in row} == row
    result = json.loads((folder / "result.json").read_text())
    assert result["history"] == list(run.history)
    assert result["best_epoch"] == run.best_epoch
    assert result["config"] == json.loads((folder / "config.json").read_text())
    for file, state in (("last", run.model.state_dict()), ("best", run.best_state)):
        tensors = load_checkpoint(folder / file).tensors
        weights = {key: tensors[f"model.{key}"] for key in state}
        assert same_states(weights, state)


def test_a_finished_run_is_read_and_not_done_again(tmp_path):
    told = []
    run = in_folder(tmp_path)
    again = in_folder(tmp_path, resume=True, tell=lambda **words: told.append(words))
    assert same(run, again)
    assert again.seconds == ()
    assert told == [{"total": 4, "completed": 4, "description": "epochs"}]


@pytest.mark.parametrize("write", range(1, 11))
def test_a_run_stopped_between_any_two_writings_is_continued_to_the_same_bits(
    tmp_path, monkeypatch, whole, write
):
    left = [write]

    def stopping(action):
        def stopped(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return action(*args, **kwargs)

        return stopped

    with monkeypatch.context() as patch:
        patch.setattr(training, "save_checkpoint", stopping(training.save_checkpoint))
        append = stopping(training.SealedLines.append)
        patch.setattr(training.SealedLines, "append", append)
        with pytest.raises(KeyboardInterrupt):
            in_folder(tmp_path)
    run, folder = whole
    assert same(in_folder(tmp_path, resume=True), run)
    for file in ("metrics.jsonl", "result.json", "config.json", "best/state.json"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_weights_of_any_strides_are_continued_to_the_same_bits(tmp_path):
    """Fused Adam takes moments of other strides for other numbers, without a word."""

    def model():
        parts = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3), nn.Flatten())
        parts.append(linear(n_features=32))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for part in parts[:2]:
                part.reset_parameters()
        return parts.to(memory_format=torch.channels_last)

    def stop(**words):
        if words["description"].startswith("epoch 2"):
            raise KeyboardInterrupt

    whole = in_folder(tmp_path / "whole", model=model())
    assert not whole.model[1].weight.is_contiguous()
    with pytest.raises(KeyboardInterrupt):
        in_folder(tmp_path / "parts", model=model(), tell=stop)
    assert same(in_folder(tmp_path / "parts", model=model(), resume=True), whole)


def started(folder):
    """The script that trains in a folder, once it has begun to."""
    command = [sys.executable, SCRIPT, "alone", folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=quiet_environment())
    assert process.stdout.readline() == b"begins\n"
    return process


def quiet_environment():
    inherited = {key: value for key, value in os.environ.items() if key != "LOCAL_RANK"}
    return inherited | {"OMP_NUM_THREADS": "1"}


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is of POSIX")
def test_a_killed_run_is_continued_to_the_same_bits(tmp_path):
    """Real processes, killed at random moments, again and again in one folder."""
    seed = random.randrange(10**6)
    told = f"seed of the moments: {seed}"
    moments = random.Random(seed)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    start = time.perf_counter()
    killed(whole)
    duration = time.perf_counter() - start
    kills = 0
    for _ in range(KILLS):
        with started(parts) as process:
            time.sleep(moments.uniform(0, 2 * duration / KILLS))
            process.send_signal(signal.SIGKILL)
            kills += process.wait(PATIENCE) == -signal.SIGKILL
    with started(parts) as process:
        assert process.wait(PATIENCE) == 0, told
    for file in ("metrics.jsonl", "result.json", "config.json"):
        assert (whole / file).read_bytes() == (parts / file).read_bytes(), told
    for kept in ("last", "best"):
        path = f"{kept}/tensors.safetensors"
        assert same_states(load_file(whole / path), load_file(parts / path)), told
    assert kills, f"every process was done before it was killed; {told}"


def test_two_processes_find_what_one_does(tmp_path):
    if (os.cpu_count() or 1) < 2:
        pytest.skip("two processes need two cores")
    command = [sys.executable, SCRIPT, "pair", tmp_path]
    done = subprocess.run(
        command, timeout=PATIENCE, env=quiet_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    reports = [json.loads((tmp_path / f"report.{rank}.json").read_text()) for rank in (0, 1)]
    states = [load_file(tmp_path / f"tensors.{rank}.safetensors") for rank in (0, 1)]
    # each draws its own dropout, and both have the same bits
    draws = [report.pop("draw") for report in reports]
    assert draws[0] != draws[1]
    assert reports[0] == reports[1]
    assert same_states(*states)
    # those of one process, but for rounding
    for at, alone in enumerate(shared(devices=1)):
        for row, together in zip(alone.history, reports[0][f"history {at}"], strict=True):
            assert_allclose(list(together.values()), list(row.values()), rtol=ROUNDING)
        for key, value in alone.model.state_dict().items():
            assert_allclose(states[0][f"shared.{at}.{key}"], value, rtol=0, atol=DRIFT)
    # an interrupted run is continued to the same bits, random draws of both processes included
    assert reports[0]["interrupted"]
    assert reports[0]["same history"]
    one = {key.partition(".")[2]: t for key, t in states[0].items() if key.startswith("whole")}
    two = {key.partition(".")[2]: t for key, t in states[0].items() if key.startswith("parts")}
    assert same_states(one, two)
    # mistakes are everyone's
    assert "the loss was nan at step 4 of epoch 2" in reports[0]["broken"]
    assert "must be a folder without a run" in reports[0]["refused"]


def stopping_loss(value, batch):
    """The cross-entropy, but of another value at one batch."""
    left = [batch]

    def own(logits, labels, _teacher, _privileged):
        left[0] -= 1
        return cross_entropy(logits, labels) + (value if left[0] == 0 else 0)

    return own


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_told_with_its_batch(tmp_path, value):
    loss = stopping_loss(value, 4 + 3)  # the third of four batches in the second epoch
    with pytest.raises(NonFiniteLossError) as found:
        in_folder(tmp_path, loss=loss, teacher_logits=None)
    error = found.value
    assert (error.epoch, error.step) == (2, 3)
    assert error.rows == tuple(epoch_order(64, FOLDER["seed"], 1).split(16)[2].tolist())
    assert error.checkpoint == tmp_path / "last"
    first = ", ".join(map(str, error.rows[:5]))
    words = f"the loss was {value} at step 3 of epoch 2, on a batch of 16 object(s), rows {first}, "
    assert str(error) == f"{words}…; last good checkpoint: '{tmp_path / 'last'}'"
    # what was kept is good: that of the epoch before
    once = in_folder(None, loss=stopping_loss(0, 1), teacher_logits=None, epochs=1)
    checkpoint = load_checkpoint(error.checkpoint)
    assert checkpoint.state["epoch"] == 1
    kept = {key: checkpoint.tensors[f"model.{key}"] for key in once.model.state_dict()}
    assert same_states(kept, once.model.state_dict())


def test_a_weight_that_is_not_finite_after_the_last_step_is_told():
    def own(logits, _labels, _teacher, _privileged):
        return (0 * logits).sum().sqrt()  # 0, of slope 0 * inf

    X, y, _ = problem()
    words = r"a weight was not finite at step 1 of epoch 1, .*; last good checkpoint: none"
    with pytest.raises(NonFiniteLossError, match=words):
        train(linear(), X, y, loss=own, epochs=1, batch_size=50)


def test_a_score_that_is_not_finite_is_told():
    X, y, _ = problem()
    with pytest.raises(NonFiniteLossError, match="validation cross-entropy was nan"):
        train(
            linear(),
            X,
            y,
            validation=(1e3 * X, y),
            epochs=1,
            batch_size=50,
            learning_rate=1e36,
        )


def test_what_must_not_be_written_is_read_without_a_word():
    data = [np.array(array) for array in problem(6)]
    expected = train(linear(), *data[:2], teacher_logits=data[2], epochs=2)
    for array in data:
        array.flags.writeable = False
    run = train(linear(), *data[:2], teacher_logits=data[2], validation=data[:2], epochs=2)
    assert same_states(run.model.state_dict(), expected.model.state_dict())
    assert evaluate(run.model, *data[:2]) == evaluate(expected.model, *data[:2])


@pytest.mark.parametrize("kind", [">f4", ">f8", np.longdouble, np.float64])
def test_types_that_torch_lacks_are_converted(kind):
    X, y, _ = problem(6)
    runs = [train(linear(), given, y, epochs=2) for given in (X, X.astype(kind))]
    assert same_states(*(run.model.state_dict() for run in runs))


def test_a_batch_larger_than_all_is_all():
    X, y, _ = problem(6)
    runs = [train(linear(), X, y, batch_size=size, epochs=2) for size in (6, 10**20)]
    assert same_states(*(run.model.state_dict() for run in runs))
    assert evaluate(linear(), X, y, batch_size=10**20) == evaluate(linear(), X, y)


@pytest.mark.parametrize(
    ("model", "X", "size"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), problem(7)[0], 5),
        # many numbers of each object
        (nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(36, 3)), images(7)[0], 3),
    ],
)
def test_batches_that_can_be_normalised_are_taken(model, X, size):
    assert len(train(model, X, problem(7)[1], batch_size=size, epochs=1).history) == 1


# --- bad input


OTHERS = {
    "weights": {"model": nn.Sequential(nn.Flatten(), linear(n_features=36))},
    "initial_weights": {"model": convolutional(dropout=0.3, seed=1)},
    "X": {"X": images(64, seed=5)[0]},
    "y": {"y": images(64, seed=5)[1]},
    "teacher_logits": {"teacher_logits": None},
    "privileged": {"privileged": np.ones(64, dtype=bool)},
    "validation": {"validation": images(30, seed=2)[:2]},
    "score_training": {"score_training": True},
    "loss": {"loss": DistillationLoss(trust=0.1)},
    "epochs": {"epochs": 5},
    "batch_size": {"batch_size": 15},
    "learning_rate": {"learning_rate": 0.1},
    "seed": {"seed": 3},
    "precision": {"precision": "64-true"},
}


@pytest.mark.parametrize("key", OTHERS)
def test_a_run_of_another_configuration_is_not_continued(whole, key):
    folder = whole[1]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=f"same configuration, got .* where `{key}` is"):
        in_folder(folder, resume=True, **OTHERS[key])
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_not_begun_where_there_is_one(whole):
    with pytest.raises(ValueError, match="`--out` must be a folder without a run"):
        in_folder(whole[1], name="--out")


def test_checkpoints_of_another_run_are_refused(tmp_path):
    in_folder(tmp_path / "one")
    in_folder(tmp_path / "two", seed=7)
    (tmp_path / "one" / "last").rename(tmp_path / "away")
    (tmp_path / "two" / "last").rename(tmp_path / "one" / "last")
    with pytest.raises(ValueError, match=r"checkpoints of the same configuration, got .*last"):
        in_folder(tmp_path / "one", resume=True)


def test_a_missing_best_checkpoint_is_named(tmp_path):
    X, y, _ = problem(30)
    settings = {
        "validation": problem(seed=9)[:2],
        "epochs": 12,
        "batch_size": 5,
        "learning_rate": 0.3,
        "folder": tmp_path,
    }
    run = train(linear(), X, y, **settings)
    assert run.best_epoch < 12
    (tmp_path / "best").rename(tmp_path / "away")
    with pytest.raises(ValueError, match=f"must hold the checkpoint of epoch {run.best_epoch}"):
        train(linear(), X, y, resume=True, **settings)


X, Y, V = problem(6)


class Answering(nn.Linear):
    """A linear model that gives something else than its logits."""

    def __init__(self, answer):
        super().__init__(4, 3)
        self.answer = answer

    def forward(self, x):
        return self.answer(super().forward(x))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"model": len}, TypeError, r"`model` must be a torch.nn.Module, got builtin"),
        ({"model": nn.Flatten()}, ValueError, "`model` must have weights to train"),
        ({"model": linear().requires_grad_(False)}, ValueError, "`model` must have weights to"),
        ({"model": nn.Sequential(linear(), nn.Flatten(0))}, ValueError, r"got shape \(6,\) for"),
        (
            {"model": linear(n_features=5)},
            ValueError,
            r"`X` must be what `model` takes, got objects of shape \(4,\) \(.*4.*\)$",
        ),
        (
            {"validation": (X[:, :2], Y)},
            ValueError,
            r"`validation\[0\]` must be what `model` takes, got objects of shape \(2,\)",
        ),
        ({"model": Answering(lambda z: (z, z))}, ValueError, r"shape \(B, K\), got tuple"),
        ({"model": Answering(Tensor.detach)}, ValueError, "`model` must have a gradient"),
        (
            {"model": nn.Sequential(linear(), nn.BatchNorm1d(3)), "batch_size": 5},
            ValueError,
            "`batch_size` must leave at least 2 objects in every batch.*, got 5 for 6 objects$",
        ),
        (
            {"model": nn.Sequential(linear(), nn.BatchNorm1d(3)), "batch_size": 1},
            ValueError,
            "`batch_size` must leave at least 2 objects in every batch",
        ),
        (
            {"X": X.astype(float) * 1e300},
            ValueError,
            r"`X` must be finite in torch.float32, got .*e\+(299|300) at",
        ),
        ({"X": torch.tensor(X).to_sparse()}, TypeError, "`X` must be a dense tensor"),
        ({"X": torch.tensor(X).to("meta")}, TypeError, "`X` must be a dense tensor .* of meta"),
        ({"y": torch.tensor(Y).to_sparse()}, TypeError, "`y` must be a dense tensor"),
        (
            {"teacher_logits": V * 1e300},
            ValueError,
            r"`teacher_logits` must be finite in torch.float32, got .*e\+(299|300|301) at index",
        ),
        (
            {"loss": nn.CrossEntropyLoss()},
            TypeError,
            r"`loss` must be called as loss\(logits, labels, .*, which takes \(input, target\)$",
        ),
        ({"loss": lambda z: z}, TypeError, r"`loss` must be called as .*takes \(z\)$"),
        ({"loss": lambda z, *_: z.detach().sum()}, ValueError, "`loss` must have a gradient"),
        ({"X": X[0]}, ValueError, r"`X` must have shape \(m, ...\) .*, got shape \(4,\)"),
        ({"X": X[:0]}, ValueError, r"`X` must have shape .*, got shape \(0, 4\)"),
        ({"X": np.where(X[2, 1] == X, np.nan, X)}, ValueError, r"`X` .*got nan at index \(2, 1\)"),
        ({"X": X + 1j}, TypeError, "`X` must be real numbers, got torch.complex"),
        ({"X": [[1.0], [1.0, 2.0]]}, TypeError, "`X` must be a tensor or a rectangular array"),
        ({"X": np.ma.array(X)}, TypeError, "`X` must not be a masked array"),
        ({"y": Y[:5]}, ValueError, "lengths must agree, but `X` has 6, `y` has 5"),
        ({"y": Y[:, None]}, ValueError, r"`y` must have shape \(m,\), got shape \(6, 1\)"),
        ({"y": Y.astype(float)}, TypeError, "`y` must be class numbers of an integer type"),
        ({"y": Y - 7}, ValueError, "`y` must be class numbers from 0, or -100 .*, got -[567]"),
        ({"y": Y + 3}, ValueError, r"`y` must be class numbers 0 … 2, as `model` gives 3 logits"),
        ({"y": Y * 0 - 100, "score_training": True}, ValueError, "`y` must hold a label that is"),
        ({"teacher_logits": V[:, 0]}, ValueError, r"`teacher_logits` must have shape \(m, K\)"),
        ({"teacher_logits": V[:, :2]}, ValueError, r"must have 3 classes.*, got shape \(6, 2\)"),
        ({"teacher_logits": V[:5]}, ValueError, "`y` has 6, `teacher_logits` has 5"),
        ({"teacher_logits": V * np.inf}, ValueError, "`teacher_logits` must be finite"),
        ({"privileged": Y > 0}, ValueError, "`privileged` must be None without `teacher_logits`"),
        ({"teacher_logits": V, "privileged": Y}, TypeError, "must be a boolean mask, got torch"),
        ({"teacher_logits": V, "privileged": Y[:5] > 0}, ValueError, r"shape \(6,\), got shape"),
        ({"loss": 1}, TypeError, "`loss` must be callable"),
        ({"loss": DistillationLoss(reduction="sum")}, ValueError, "`loss` must be a mean over"),
        ({"loss": lambda *a: a[0]}, ValueError, r"`loss` .* one number.*, got shape \(6, 3\)"),
        ({"loss": lambda *_: 1.0}, ValueError, "`loss` must give a tensor .*, got float"),
        ({"validation": (X,)}, ValueError, "`validation` must be a pair"),
        ({"validation": (X * np.nan, Y)}, ValueError, r"`validation\[0\]` must be finite"),
        ({"validation": (X, Y + 3)}, ValueError, r"`validation\[1\]` must be class numbers 0 … 2"),
        ({"validation": (X, Y * 0 - 100)}, ValueError, r"`validation\[1\]` must hold a label"),
        ({"score_training": 1}, TypeError, "`score_training` must be True or False"),
        ({"epochs": 0}, ValueError, "`epochs` must be at least 1, got 0"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1, got 0"),
        ({"learning_rate": 0}, ValueError, "`learning_rate` must be finite and positive"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0, got -1"),
        ({"accelerator": "abacus"}, ValueError, "`accelerator` must be 'auto' or 'cpu' or 'cuda'"),
        ({"devices": 0}, ValueError, "`devices` must be at least 1, got 0"),
        ({"devices": 10**6}, ValueError, r"`devices` must be at most \d+, the number of process"),
        ({"precision": "8"}, ValueError, "`precision` must be '32-true' or"),
        ({"precision": "16-mixed"}, ValueError, "`precision` must be another one on the CPU"),
        ({"resume": 1}, TypeError, "`resume` must be True or False"),
        ({"tell": 1}, TypeError, "`tell` must be callable"),
        ({"folder": ""}, ValueError, "`folder` must be a folder that can be written"),
    ],
)
def test_bad_input_is_named(change, error, match):
    arguments = {"model": linear(), "X": X, "y": Y, "epochs": 1}
    with pytest.raises(error, match=match):
        train(**arguments | change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a device of CUDA is here")
def test_a_device_that_is_not_here_is_named():
    with pytest.raises(ValueError, match=r"`accelerator` must be a device .*, got 'cuda'"):
        train(linear(), X, Y, epochs=1, accelerator="cuda")
    run = train(linear(), X, Y, epochs=1, accelerator="auto")
    assert run.model.weight.device.type == "cpu"


def test_answers_outside_the_mask_are_not_looked_at():
    mask = np.arange(6) < 4
    hidden = np.where(mask[:, None], V, np.nan)
    settings = {"privileged": mask, "epochs": 2, "batch_size": 2}
    runs = [train(linear(), X, Y, teacher_logits=v, **settings) for v in (V, hidden)]
    assert same(*runs)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"model": len}, TypeError, r"`model` must be a torch.nn.Module, got builtin"),
        ({"X": X[:, :2]}, ValueError, r"`X` must be what `model` takes, .* shape \(2,\)"),
        ({"model": Answering(lambda z: (z, z))}, ValueError, r"shape \(B, K\), got tuple"),
        ({"X": X[:5]}, ValueError, "lengths must agree"),
        ({"y": Y * 0 - 100}, ValueError, "`y` must hold a label that is known, got -100 for all"),
        ({"y": Y + 3}, ValueError, "`y` must be class numbers 0 … 2"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
    ],
)
def test_bad_input_of_scores_is_named(change, error, match):
    with pytest.raises(error, match=match):
        evaluate(**{"model": linear(), "X": X, "y": Y} | change)
