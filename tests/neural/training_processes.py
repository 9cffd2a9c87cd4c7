"""A script that tests of training run in processes of its own, to be killed or paired.

python training_processes.py alone FOLDER     trains in a folder, resuming what is there
python training_processes.py pair FOLDER      trains in two processes, each reports what it found
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from kdtheory.neural.training import NonFiniteLossError, train

SIDE, N_CLASSES = 6, 3


def images(n_objects, seed=0):
    """Noise, with class k brighter in its third of the rows; labels and a teacher's logits."""
    rng = np.random.default_rng(seed)
    y = rng.integers(N_CLASSES, size=n_objects)
    X = rng.normal(size=(n_objects, 1, SIDE, SIDE)).astype(np.float32)
    height = SIDE // N_CLASSES
    for k in range(N_CLASSES):
        X[y == k, :, k * height : (k + 1) * height] += 1
    return X, y, (2 * np.eye(N_CLASSES)[y] + rng.normal(size=(n_objects, N_CLASSES)))


def convolutional(dropout=0.0, seed=0):
    """A small convolutional network; its weights hang on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(4 * (SIDE - 2) ** 2, N_CLASSES),
        )


def killed(folder):
    """What a test kills and resumes."""
    X, y, answers = images(400)
    settings = {"epochs": 8, "batch_size": 8, "seed": 3, "validation": images(60, seed=1)[:2]}
    model = convolutional(dropout=0.3)
    print("begins", flush=True)  # noqa: T201
    train(model, X, y, teacher_logits=answers, folder=folder, resume=True, **settings)


def shared(devices):
    """Runs whose losses must not depend on the number of processes: of last batches of 3 and of 1.

    Some labels are unknown, some objects have no teacher.
    """
    for m in (103, 101):
        X, y, answers = images(m)
        y[::7] = -100
        mask = np.arange(m) % 3 > 0
        model = convolutional()
        yield train(
            model,
            X,
            y,
            teacher_logits=answers,
            privileged=mask,
            validation=images(31, seed=1)[:2],
            epochs=3,
            batch_size=20,
            devices=devices,
        )


def pair(folder):
    """All that two processes do, in one launch of them."""
    report = {}
    tensors = {}
    for at, run in enumerate(shared(devices=2)):
        report[f"history {at}"] = run.history
        tensors |= {f"shared.{at}.{key}": value for key, value in run.model.state_dict().items()}
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    X, y, _ = images(50)
    settings = {"epochs": 4, "batch_size": 10, "devices": 2, "validation": (X, y)}

    def model():
        parts = convolutional(dropout=0.3)
        return nn.Sequential(parts[:1], nn.BatchNorm2d(4), *parts[1:])

    class Interrupted(Exception):
        """In all processes at once."""

    class Breaking(nn.CrossEntropyLoss):
        """The cross-entropy until the calls are used up."""

        calls = sys.maxsize
        broken = False
        draw = None  # what dropout would be drawn from next

        def forward(self, logits, labels, _teacher, _privileged):
            self.calls -= 1
            self.draw = torch.rand(()).item()
            if self.calls < 0:
                if not self.broken:
                    raise Interrupted
                return logits.sum() * torch.nan
            return super().forward(logits, labels)

    loss = Breaking()
    whole = train(model(), X, y, loss=loss, folder=f"{folder}/whole", **settings)
    loss = Breaking()
    loss.calls = 12  # in the third epoch
    try:
        train(model(), X, y, loss=loss, folder=f"{folder}/parts", **settings)
    except Interrupted:
        report["interrupted"] = True
    parts = train(model(), X, y, loss=Breaking(), folder=f"{folder}/parts", resume=True, **settings)
    report["draw"] = loss.draw
    report["same history"] = whole.history == parts.history
    for word, run in (("whole", whole), ("parts", parts)):
        tensors |= {f"{word}.{key}": value for key, value in run.model.state_dict().items()}
        tensors |= {f"{word}.best.{key}": value for key, value in run.best_state.items()}
    loss.calls, loss.broken = 8, True
    try:
        train(model(), X, y, loss=loss, folder=f"{folder}/broken", **settings)
    except NonFiniteLossError as error:
        report["broken"] = str(error)
    try:
        train(model(), X, y, loss=Breaking(), folder=f"{folder}/whole", **settings)
    except ValueError as error:
        report["refused"] = str(error)
    Path(folder, f"report.{rank}.json").write_text(json.dumps(report))
    save_file(tensors, Path(folder, f"tensors.{rank}.safetensors"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"alone": killed, "pair": pair}[sys.argv[1]](sys.argv[2])
