"""Rows a second of `log_normaliser`, beside the published formula and mpmath, in one run.

    python benchmarks/normaliser.py [--quick]

The published formula is the partial-fraction sum Σ_k e^{a_k} / ∏ (a_k − a_j) in NumPy, on the same
batch, in blocks that fit the cache as ours do. It is wrong when it misses log Z by more than 0.01.
`compiled` is `log_normaliser` where numba is installed, `NumPy` where it is not. mpmath evaluates
the same formula with 30 digits. Errors are against the reference table of the tests.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np

from kdtheory import ContinuousCategorical, divided_differences, log_normaliser
from kdtheory.divided_differences import normaliser_gradient, normaliser_hessian

TESTS = Path(__file__).resolve().parent.parent / "tests"
BLOCK = 2**15  # numbers of the formula's K × K table handled together


def partial_fractions(logits: np.ndarray) -> np.ndarray:
    """The published formula, vectorised over rows."""
    n_classes = logits.shape[1]
    result = np.empty(len(logits))
    diagonal = np.arange(n_classes)
    size = max(1, BLOCK // n_classes**2)
    with np.errstate(all="ignore"):
        for start in range(0, len(logits), size):
            a = logits[start : start + size]
            gaps = a[:, :, None] - a[:, None, :]
            gaps[:, diagonal, diagonal] = 1
            result[start : start + size] = np.log((np.exp(a) / gaps.prod(axis=2)).sum(axis=1))
    return result


def in_numpy(logits: np.ndarray) -> np.ndarray:
    """`log_normaliser` as it is where numba is not installed."""
    found = divided_differences._numba_is_installed
    divided_differences._numba_is_installed = lambda: False
    try:
        return log_normaliser(logits)
    finally:
        divided_differences._numba_is_installed = found


def with_mpmath(logits: np.ndarray) -> list[mpmath.mpf]:
    """The published formula with 30 digits, row by row."""
    answers = []
    with mpmath.workdps(30):
        for row in logits:
            a = [mpmath.mpf(float(x)) for x in row]
            terms = (
                mpmath.exp(x) / mpmath.fprod(x - y for j, y in enumerate(a) if j != k)
                for k, x in enumerate(a)
            )
            answers.append(mpmath.log(abs(mpmath.fsum(terms))))
    return answers


def seconds(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median time of each function, run in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, own in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in times]


def speed(repeats: int) -> None:
    """Table of rates for logits from N(0, scale²)."""
    print("rows a second (median of", repeats, "runs in turn)")
    log_normaliser(np.zeros((600_000, 1)))  # load the compiled series, where numba is installed
    if not divided_differences._numba_is_installed():
        print("numba is not installed: `compiled` is NumPy too")
    print(f"{'K':>4} {'scale':>5} {'NumPy':>10} {'compiled':>10} {'formula':>10} {'NumPy/f.':>9} "
          f"{'compiled/f.':>12} {'f. wrong':>9} {'mpmath':>7} {'compiled/mpmath':>16}")  # fmt: skip
    rng = np.random.default_rng(0)
    for n_classes in (3, 10, 30, 100):
        for scale in (1.0, 3.0, 30.0):
            n_rows = 600_000 // n_classes
            logits = rng.normal(scale=scale, size=(n_rows, n_classes))
            numpy, compiled, formula = seconds(
                [
                    lambda logits=logits: in_numpy(logits),
                    lambda logits=logits: log_normaliser(logits),
                    lambda logits=logits: partial_fractions(logits),
                ],
                repeats,
            )
            few = logits[: max(3, 60 // n_classes)]
            (slow,) = seconds([lambda few=few: with_mpmath(few)], 1)
            gap = np.abs(partial_fractions(logits) - log_normaliser(logits))
            wrong = np.mean(~(gap <= 0.01))
            rates = [n_rows / taken for taken in (numpy, compiled, formula)]
            mp_rate = len(few) / slow
            print(f"{n_classes:4d} {scale:5.0f} {rates[0]:10,.0f} {rates[1]:10,.0f} "
                  f"{rates[2]:10,.0f} {rates[0] / rates[2]:9.2f} {rates[1] / rates[2]:12.2f} "
                  f"{wrong:9.1%} {mp_rate:7,.0f} {rates[1] / mp_rate:16,.0f}")  # fmt: skip


def derivatives(repeats: int) -> None:
    """Rates of the mean, the covariance and the sampler."""
    print("\nrows (or draws) a second")
    print(f"{'K':>5} {'mean':>12} {'covariance':>12} {'draws':>12}")
    rng = np.random.default_rng(0)
    for n_classes in (3, 10, 100):
        n_rows = 20_000 // n_classes
        logits = rng.normal(scale=3.0, size=(n_rows, n_classes))
        one = ContinuousCategorical(logits=logits[0])
        n_draws = 300_000 // n_classes
        times = seconds(
            [
                lambda logits=logits: normaliser_gradient(logits),
                lambda logits=logits: normaliser_hessian(logits),
                lambda one=one, n_draws=n_draws: one.sample(n_draws, rng=rng),
            ],
            repeats,
        )
        rates = [n_rows / times[0], n_rows / times[1], n_draws / times[2]]
        print(f"{n_classes:5d} " + " ".join(f"{rate:12,.0f}" for rate in rates))


def accuracy() -> None:
    """Largest error over the reference table, per K."""
    sys.path.insert(0, str(TESTS))
    from normaliser_cases import make_logits

    print("\nlargest |error| / max(1, |log Z|) over ties, near-ties, one-hot and generic logits")
    print("of spread 0 … 10⁴, against mpmath (goal 1e-13)")
    table = json.loads((TESTS / "normaliser_reference.json").read_text())
    for n_classes in sorted({row["K"] for row in table}):
        worst = 0.0
        for row in table:
            if row["K"] == n_classes:
                logits = make_logits(n_classes, row["spread"], row["kind"])
                with mpmath.workdps(40):
                    exact = mpmath.mpf(row["log_normaliser"])
                    error = abs(mpmath.mpf(float(log_normaliser(logits))) - exact)
                    worst = max(worst, float(error / max(1, abs(exact))))
        print(f"{n_classes:5d} {worst:10.1e}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one run instead of seven")
    repeats = 1 if parser.parse_args().quick else 7
    speed(repeats)
    derivatives(repeats)
    accuracy()


if __name__ == "__main__":
    main()
