"""Time of the linear student beside scikit-learn's solvers, at the same gradient norm, in one run.

FashionMNIST (60 000 × 784, ten classes) where `KDTHEORY_DATA` names a folder that holds its
official files in `fashion-mnist/`, and the synthetic problem of GS 6.2 for a path of 50 trusts.
The judge knows no soft labels, so that it gets each object once for each class, weighted.

    python benchmarks/classification.py [--quick]
"""

import argparse
import gzip
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from kdtheory import make_softmax_data, soften
from kdtheory.classification import classification_path, distil_classification

Reals = NDArray[np.float64]

PIXELS = 784
TRUSTS = np.linspace(0, 1, 50)
TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-11)
JUDGES = (("newton-cg", 1e-4), ("newton-cg", 1e-6), ("lbfgs", 1e-4))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the images, once")
    quick = parser.parse_args().quick
    path_of_trusts(repeats=3 if quick else 15)
    images = fashion_mnist()
    if images is None:
        print("\nFashionMNIST: KDTHEORY_DATA names no folder with fashion-mnist/; left out")
        return
    X, y = images
    if quick:
        X, y = X[:6000], y[:6000]
    for l2 in (100.0, 1.0):
        one_student(X, y, l2)


def path_of_trusts(*, repeats: int) -> None:
    """50 trusts at T = 1 on the problem of GS 6.2."""
    data = make_softmax_data(1000, rng=np.random.default_rng(0))
    labels = np.eye(3)[data.y]
    rows, classes = np.repeat(data.X, 3, axis=0), np.tile(np.arange(3), 1000)

    def ours() -> list[tuple[Reals, Reals]]:
        path = classification_path(data.X, data.y, data.S, trusts=TRUSTS)
        return list(zip(path.coefs, path.intercepts, strict=True))

    def theirs(solver: str, tol: float) -> list[tuple[Reals, Reals]]:
        fits = []
        for trust in TRUSTS:
            weight = ((1 - trust) * labels + trust * data.S).ravel()
            judge = LogisticRegression(C=np.inf, solver=solver, tol=tol, max_iter=1000)
            judge.fit(rows, classes, sample_weight=weight)
            fits.append((judge.coef_.T, judge.intercept_))
        return fits

    def worst_gradient(fits: list[tuple[Reals, Reals]]) -> float:
        sizes = []
        for trust, (coef, intercept) in zip(TRUSTS, fits, strict=True):
            blend = (1 - trust) * labels + trust * data.S
            sizes.append(gradient_norm(data.X, blend, coef, intercept, 0.0))
        return max(sizes)

    print(f"Path of {len(TRUSTS)} trusts, 1000 × 10, 3 classes, no penalty\n")
    print(f"{'':44}{'ms':>9}{'× ours':>9}{'gradient':>11}")
    own, fits = median_time(ours, repeats)
    row("classification_path", own, own, worst_gradient(fits))
    for solver, tol in (
        ("lbfgs", 1e-4),
        ("lbfgs", 1e-8),
        ("newton-cg", 1e-4),
        ("newton-cholesky", 1e-4),
    ):
        seconds, fits = median_time(lambda s=solver, t=tol: theirs(s, t), max(1, repeats // 5))
        row(f'LogisticRegression("{solver}", tol={tol:g})', seconds, own, worst_gradient(fits))


def one_student(X: Reals, y: NDArray[Any], l2: float) -> None:
    """One student without a teacher at a penalty, beside each judge at the judge's accuracy."""
    labels = np.eye(10)[y]
    print(f"\nFashionMNIST, {len(X)} × {X.shape[1]}, 10 classes, l2 = {l2:g}\n")
    print(f"{'':44}{'s':>9}{'× ours':>9}{'gradient':>11}{'F - least F':>13}")
    ladder = []
    for tol in TOLERANCES:
        start = time.perf_counter()
        student = distil_classification(X, y, l2=l2, tol=tol)
        seconds = time.perf_counter() - start
        size = gradient_norm(X, labels, student.coef, student.intercept, l2)
        ladder.append((seconds, size, student))
    least = min(student.objective for *_, student in ladder)
    for solver, tol in JUDGES:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            judge = LogisticRegression(C=1 / l2, solver=solver, tol=tol, max_iter=20_000)
            judge.fit(X, y)
        seconds = time.perf_counter() - start
        fit = judge.coef_.T, judge.intercept_
        reached = gradient_norm(X, labels, *fit, l2)
        # the loosest tolerance whose gradient is not larger
        own, size, student = next((one for one in ladder if one[1] <= reached), ladder[-1])
        print(f"{'distil_classification':44}{own:9.2f}{1:9.1f}{size:11.1e}", end="")
        print(
            f"{student.objective - least:13.1e}  within {student.certificate.gap:.0e} for certain"
        )
        name = f'LogisticRegression("{solver}", tol={tol:g})'
        print(f"{name:44}{seconds:9.2f}{seconds / own:9.1f}{reached:11.1e}", end="")
        print(f"{objective(X, labels, *fit, l2) - least:13.1e}", flush=True)


def gradient_norm(X: Reals, targets: Reals, coef: Reals, intercept: Reals, l2: float) -> float:
    """Euclidean norm of ∇F of the cross-entropy with targets, over W and b."""
    residual = soften(X @ coef + intercept) - targets
    return float(
        np.hypot(np.linalg.norm(X.T @ residual + l2 * coef), np.linalg.norm(residual.sum(axis=0)))
    )


def objective(X: Reals, targets: Reals, coef: Reals, intercept: Reals, l2: float) -> float:
    """F itself."""
    z = X @ coef + intercept
    z -= z.max(axis=1, keepdims=True)
    values = np.log(np.exp(z).sum(axis=1)) - (targets * z).sum(axis=1)
    centred = coef - coef.mean(axis=1, keepdims=True)
    return float(values.sum() + 0.5 * l2 * (centred**2).sum())


def fashion_mnist() -> tuple[Reals, NDArray[Any]] | None:
    """Training images in [0, 1] and labels from the official files, or None."""
    folder = Path(os.environ.get("KDTHEORY_DATA", "")) / "fashion-mnist"
    files = folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz"
    if not all(file.exists() for file in files):
        return None
    pixels, labels = (np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8) for file in files)
    return pixels[16:].reshape(-1, PIXELS) / 255, labels[8:].astype(np.int64)


def median_time(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median seconds of some calls, and what the last returned."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def row(name: str, seconds: float, own: float, size: float) -> None:
    """One line of the table of the path."""
    print(f"{name:44}{1000 * seconds:9.1f}{seconds / own:9.1f}{size:11.1e}")


if __name__ == "__main__":
    main()
