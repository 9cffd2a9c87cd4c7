"""Distilled regression beside X.T @ X, scikit-learn and statsmodels, in one run.

    python benchmarks/regression.py [--quick]

All fit the same weighted problem: ours from labels, a teacher's answers and a mask; the judges are
given the blended targets and weights of Theorem 2 ready made, since none of them knows a teacher.
Each is run in turn, and the medians are compared; statsmodels once. Digits are the correct ones of
the worst coefficient and standard error of NIST's Statistical Reference Datasets, beside
numpy.linalg.lstsq as it is.
"""

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from sklearn.linear_model import LinearRegression, Ridge

from kdtheory import distil_regression
from kdtheory.inference import inference
from kdtheory.regression import blend

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from nist import NIST, digits

SHAPES = [(1_000, 10), (500_000, 100), (100_000, 1_000)]
REPEATS = {1_000: 200, 500_000: 7, 100_000: 5}


def problem(m: int, n: int, dtype: type) -> tuple[np.ndarray, ...]:
    """Features, labels, answers and mask."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n)).astype(dtype)
    truth = rng.standard_normal(n)
    signal = X @ truth
    y, s = signal + rng.standard_normal(m), signal + 0.3 * rng.standard_normal(m)
    return X, y, s, rng.random(m) < 0.5


def medians(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, run in turn after one run for warmth."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            slow = name.startswith("statsmodels") and repeats < 100  # sixteen seconds each
            if slow and repeat > 0:
                continue
            start = time.perf_counter()
            function()
            if repeat or slow:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(own) for name, own in times.items()}


def speed(m: int, n: int, dtype: type, repeats: int) -> None:
    """One row of the table for each rival."""
    X, y, s, mask = problem(m, n, dtype)
    weights, targets = blend(y, s, mask, 0.4, np.asarray(1.0), np.asarray(4.0))
    targets, weights = targets.astype(dtype), weights.astype(dtype)

    def ours(**change: object) -> object:
        return distil_regression(X, y, s, privileged=mask, trust=0.4, sigma_teacher=0.5, **change)

    functions: dict[str, Callable[[], object]] = {
        "X.T @ X": lambda: X.T @ X,
        "distil_regression": ours,
        "  with an intercept": lambda: ours(fit_intercept=True),
        "  with residuals": lambda: ours().residuals,
        "Ridge(cholesky)": lambda: Ridge(alpha=0, solver="cholesky", fit_intercept=False).fit(
            X, targets, weights
        ),
        "  with an intercept ": lambda: Ridge(alpha=0, solver="cholesky").fit(X, targets, weights),
        "LinearRegression": lambda: LinearRegression(fit_intercept=False).fit(X, targets, weights),
    }
    if m * n <= 50_000_000 and dtype == np.float64:
        functions["statsmodels WLS"] = lambda: sm.WLS(targets, X, weights).fit()
    found = medians(functions, repeats)
    print(f"\n{m:,} × {n}, {np.dtype(dtype)}, solver {ours().solver}")
    for name, seconds in found.items():
        print(
            f"  {name:22s} {1e3 * seconds:10.2f} ms  {seconds / found['X.T @ X']:6.2f} × X.T @ X"
            f"  {seconds / found['distil_regression']:6.2f} × ours"
        )


def accuracy() -> None:
    """Digits on the reference problems."""
    print("\ncorrect digits      coefficients  standard errors  numpy.linalg.lstsq  solver")
    for name, reference in NIST.items():
        X, y = reference.X, reference.answers
        fit = distil_regression(X, y, None)
        found = inference(fit)
        judged = np.linalg.lstsq(X, y)[0]
        print(
            f"  {name:12s} {digits(fit.coef, reference.coef):15.1f}"
            f" {digits(found.standard_errors, reference.standard_errors):16.1f}"
            f" {max(0.0, digits(judged, reference.coef)):19.1f}  {fit.solver}"
        )


MEMORY = """
import re
from pathlib import Path
import numpy as np
from kdtheory import distil_regression

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

m, n = 500_000, 100
rng = np.random.default_rng(0)
X = np.empty((m, n))
for rows in range(0, m, 10_000):
    X[rows : rows + 10_000] = rng.standard_normal((10_000, n))
y, s, mask = rng.standard_normal(m), rng.standard_normal(m), rng.random(m) < 0.5
distil_regression(X[:1000], y[:1000], s[:1000], privileged=mask[:1000])
before = peak()
distil_regression(X, y, s, privileged=mask, trust=0.4, fit_intercept=True)
print(1 + (peak() - before) / X.nbytes)
"""


def memory() -> None:
    """Peak memory of a fit over that of X, where Linux tells it."""
    if not Path("/proc/self/status").exists():
        return
    answer = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    print(f"\npeak memory at 500,000 × 100: {float(answer.stdout):.3f} × that of X")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small problem only")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    for m, n in SHAPES[:1] if arguments.quick else SHAPES:
        for dtype in (np.float64, np.float32):
            speed(m, n, dtype, REPEATS[m])
    accuracy()
    if not arguments.quick:
        memory()


if __name__ == "__main__":
    main()
