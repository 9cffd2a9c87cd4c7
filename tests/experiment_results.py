"""The results of the experiments for seed 0, computed once for all tests that look at them."""

from functools import cache

from kdtheory.experiments.diabetes import DiabetesResult, theorem_2_on_diabetes
from kdtheory.experiments.digits import DigitsResult, theorem_1_on_digits
from kdtheory.experiments.synthetic import SyntheticResult, generator_of_gs_6_2


@cache
def digits() -> DigitsResult:
    return theorem_1_on_digits()


@cache
def diabetes() -> DiabetesResult:
    return theorem_2_on_diabetes()


@cache
def synthetic() -> SyntheticResult:
    return generator_of_gs_6_2()
