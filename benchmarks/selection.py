"""Time of the whole trust path, beside fits at one trust and one product X.T @ X, in one run.

    python benchmarks/selection.py [--quick]

`path` is the leave-one-out and the generalised cross-validation error with the coefficients for 51
trusts; `/ fit` is how many calls of `distil_regression` it costs, `51 refits` what as many fits
with their leave-one-out errors would. Half of the objects are privileged, at random; `noises`
tells whether both are one number, or one for each object. Medians of runs in turn.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from kdtheory.evidence import maximum_evidence
from kdtheory.regression import distil_regression
from kdtheory.selection import trust_path


def seconds(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median time of each function, run in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, own in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in times]


def problem(m: int, n: int) -> dict[str, np.ndarray]:
    """Labels of I with more noise than the others, a teacher with less."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n))
    truth = X @ rng.standard_normal(n)
    inside = rng.random(m) < 0.5
    return {
        "X": X,
        "y": truth + rng.standard_normal(m) * np.where(inside, 2.0, 1.0),
        "teacher": truth + 0.5 * rng.standard_normal(m),
        "privileged": inside,
    }


def paths(sizes: list[tuple[int, int]], repeats: int) -> None:
    """Table of times."""
    print(f"seconds (median of {repeats} runs in turn); goal: path / fit < 3 at 500000 x 100")
    print(f"{'m':>8} {'n':>5} {'noises':>10} {'intercept':>9} {'X.T @ X':>8} {'fit':>8} {'path':>8}"
          f" {'path/fit':>8} {'51 refits':>9} {'evidence':>9} {'/fit':>5}")  # fmt: skip
    for m, n in sizes:
        data = problem(m, n)
        X = data["X"]
        noise = np.random.default_rng(1).uniform(0.5, 2.0, m)
        for word, noises in (
            ("two", {"sigma_teacher": 0.5}),
            ("per object", {"sigma": noise, "sigma_teacher": noise[::-1].copy()}),
        ):
            for intercept in (False, True):
                options = noises | {"fit_intercept": intercept}
                product, fit, refit, path, evidence = seconds(
                    [
                        lambda X=X: X.T @ X,
                        lambda data=data, options=options: distil_regression(**data, **options),
                        lambda data=data, options=options: (
                            distil_regression(**data, **options).loo_error
                        ),
                        lambda data=data, options=options: trust_path(**data, **options),
                        lambda data=data, intercept=intercept: maximum_evidence(
                            **data, fit_intercept=intercept
                        ),
                    ],
                    repeats,
                )
                print(f"{m:8d} {n:5d} {word:>10} {intercept!s:>9} {product:8.4f} {fit:8.4f} "
                      f"{path:8.4f} {path / fit:8.2f} {51 * refit:9.2f} {evidence:9.4f} "
                      f"{evidence / fit:5.1f}")  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three runs, without the largest")
    quick = parser.parse_args().quick
    sizes = [(1000, 10), (100_000, 100), (500_000, 100)]
    paths(sizes[:2] if quick else sizes, 3 if quick else 7)


if __name__ == "__main__":
    main()
