"""Time of a student in a fleet beside one student in the usual loop, for the same curve.

    python benchmarks/fleet.py [--quick]

FashionMNIST (60 000 × 784, ten classes, batches of 256) where `KDTHEORY_DATA` names a folder that
holds its official files in `fashion-mnist/`, else random numbers of that shape. The judge is one
``nn.Linear`` with `DistillationLoss` (λ = 0.5, T = 2) and Adam, fed by a `DataLoader`; the second
loop indexes tensors instead. The students of a fleet differ in trust and temperature; the first is
the judge's. `difference` is the largest relative one between its losses and the judge's at the
steps of an epoch. `share` is that of the rate which this machine reaches, in this run, for products
of large matrices; 4BnK operations a step and student are counted (with a hidden layer 4BnH + 6BHK).
"""

import argparse
import gzip
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from kdtheory.neural.batches import epoch_order
from kdtheory.neural.fleet import Fleet, Sample, Student
from kdtheory.neural.losses import DistillationLoss

PIXELS, CLASSES, BATCH, HIDDEN = 784, 10, 256, 32
FIRST = Student(trust=0.5, temperature=2.0)
SIZES = (1, 10, 30, 100, 300)
HIDDEN_SIZES = (1, 10, 30)


class OrderOfEpochs(Sampler[int]):
    """The order of the objects that a fleet takes, epoch after epoch."""

    def __init__(self, m: int) -> None:
        self.m, self.epoch = m, -1

    def __len__(self) -> int:
        return self.m

    def __iter__(self) -> Iterator[int]:
        self.epoch += 1
        return iter(epoch_order(self.m, FIRST.seed, self.epoch).tolist())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the images")
    quick = parser.parse_args().quick
    X, y, source = data()
    if quick:
        X, y = X[:6000], y[:6000]
    noise = torch.randn(len(y), CLASSES, generator=torch.Generator().manual_seed(0))
    answers = 3 * nn.functional.one_hot(y, CLASSES) + 2 * noise
    threads = torch.get_num_threads()
    print(f"{source}, {len(X)} × {PIXELS}, batches of {BATCH}, float32, {threads} threads")
    rate = product_rate()
    print(f"products of large matrices: {rate / 1e9:.0f} GFLOP/s\n")
    print(f"{'':38}{'ms a student':>13}{'times':>8}{'largest':>12}{'share of':>10}")
    print(f"{'':38}{'and epoch':>13}{'faster':>8}{'difference':>12}{'products':>10}")
    n_steps = -(-len(X) // BATCH)
    for hidden, sizes in ((None, SIZES), (HIDDEN, HIDDEN_SIZES)):
        kind = "nn.Linear" if hidden is None else f"hidden layer of {HIDDEN}"
        operations = 4 * len(X) * PIXELS * CLASSES
        if hidden is not None:
            operations = len(X) * hidden * (4 * PIXELS + 6 * CLASSES)
        loader = DataLoader(
            TensorDataset(X, y, answers), batch_size=BATCH, sampler=OrderOfEpochs(len(X))
        )
        judge, curve = loop(loader, hidden)
        row(f"{kind}, DataLoader", judge, judge, None, operations / rate)
        seconds, other = loop(Indexed(X, y, answers), hidden)
        row(f"{kind}, tensor[index]", seconds, judge, difference(other, curve), operations / rate)
        for size in sizes:
            students = [FIRST] + [
                Student(trust=i / size, temperature=(1.0, 2.0, 4.0)[i % 3]) for i in range(1, size)
            ]
            sample = Sample(np.arange(len(X)), y, answers)
            fleet = partial(Fleet, students, X, [sample], CLASSES, hidden=hidden, batch_size=BATCH)
            watched = fleet()
            losses = [first_loss(watched) for _ in range(n_steps)]
            seconds = best_time(partial(fleet().train, n_steps)) / size
            name = f"fleet of {size}" + ("" if hidden is None else f", hidden layer of {HIDDEN}")
            row(name, seconds, judge, difference(losses, curve), operations / rate)
        print()
    print(f"products of large matrices, again: {product_rate() / 1e9:.0f} GFLOP/s")


class Indexed:
    """Batches without a DataLoader."""

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors
        self.order = OrderOfEpochs(len(tensors[0]))

    def __iter__(self) -> Iterator[list[Tensor]]:
        for rows in torch.tensor(list(self.order)).split(BATCH):
            yield [tensor[rows] for tensor in self.tensors]


def loop(batches: Iterable[list[Tensor]], hidden: int | None) -> tuple[float, list[float]]:
    """Seconds of the faster of two epochs of the usual loop, and the losses of the first."""
    torch.manual_seed(FIRST.seed)
    if hidden is None:
        student: nn.Module = nn.Linear(PIXELS, CLASSES)
    else:
        student = nn.Sequential(nn.Linear(PIXELS, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES))
    loss = DistillationLoss(FIRST.trust, FIRST.temperature)
    optimiser = torch.optim.Adam(student.parameters(), lr=FIRST.learning_rate)
    losses = []

    def epoch() -> None:
        for features, labels, answers in batches:
            value = loss(student(features), labels, teacher_logits=answers)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            losses.append(value.item())

    seconds = best_time(epoch)
    return seconds, losses[: len(losses) // 2]


def first_loss(fleet: Fleet) -> float:
    """Loss of the first student at the next step."""
    fleet.train(1)
    return float(fleet.loss[0])


def difference(losses: list[float], curve: list[float]) -> float:
    """Largest relative difference of two curves."""
    return float(np.max(np.abs(np.array(losses) / np.array(curve) - 1)))


def best_time(function: Callable[[], Any]) -> float:
    """Seconds of the faster of two calls."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def product_rate() -> float:
    """Operations a second of the product of two matrices 4096 × 1024 and 1024 × 4096."""
    left, right = torch.rand(4096, 1024), torch.rand(1024, 4096)
    left @ right
    return 2 * 4096 * 1024 * 4096 / min(best_time(lambda: left @ right) for _ in range(5))


def data() -> tuple[Tensor, Tensor, str]:
    """Training images in [0, 1], labels, and where they are from."""
    folder = Path(os.environ.get("KDTHEORY_DATA", "")) / "fashion-mnist"
    files = folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz"
    if not all(file.exists() for file in files):
        rng = np.random.default_rng(0)
        labels = torch.from_numpy(rng.integers(CLASSES, size=60_000))
        return torch.rand(60_000, PIXELS), labels, "random numbers of FashionMNIST's shape"
    found: list[NDArray[Any]] = [
        np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8) for file in files
    ]
    images = torch.from_numpy(found[0][16:].reshape(-1, PIXELS).astype(np.float32) / 255)
    return images, torch.from_numpy(found[1][8:].astype(np.int64)), "FashionMNIST"


def row(name: str, seconds: float, judge: float, gap: float | None, ideal: float) -> None:
    """One line of the table."""
    shown = "" if gap is None else f"{gap:.1e}"
    print(
        f"{name:38}{1e3 * seconds:13.2f}{judge / seconds:8.1f}{shown:>12}{ideal / seconds:10.0%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
