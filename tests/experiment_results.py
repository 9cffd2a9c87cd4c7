"""The results of the experiments for seed 0, computed once for all tests that look at them."""

from functools import cache

from kdtheory.experiments.diabetes import DiabetesResult, theorem_2_on_diabetes
from kdtheory.experiments.digits import DigitsResult, theorem_1_on_digits
from kdtheory.experiments.privileged import PrivilegedResult, generalised_distillation
from kdtheory.experiments.synthetic import SyntheticResult, experiment_of_gs_6_2

DRAWS = 24  # with fewer than 20 no reading of the published row can be ruled out


@cache
def digits() -> DigitsResult:
    return theorem_1_on_digits()


@cache
def diabetes() -> DiabetesResult:
    return theorem_2_on_diabetes()


@cache
def synthetic() -> SyntheticResult:
    return experiment_of_gs_6_2(n_draws=DRAWS)


@cache
def privileged() -> PrivilegedResult:
    return generalised_distillation(n_repetitions=3, n_test=500)
