r"""kdtheory: the theory of knowledge distillation that can be computed exactly.

Map of the theory (GS = Grabovoy and Strijov, *Probabilistic justification of distillation*):

=============================  ==================================================================
module                         object
=============================  ==================================================================
`bromwich`                     the exponential over the simplex as a contour integral
`divided_differences`          :math:`\log \exp[a_1, \dots, a_K]`, gradient, Hessian
`continuous_categorical`       Theorem 1: density (12), its constant, moments, sampling, fitting
`softening`                    temperature softmax of (3) and its limits
`regression`                   Theorem 2: (15)-(19), distilled linear regression
`synthetic`                    the softmax generator of GS 6.2
`ledger`                       every claim of the papers, with a verdict and live evidence
`experiments`                  theory beside real data
`testing`                      hypothesis strategies for property tests of your own
=============================  ==================================================================
"""

from kdtheory.continuous_categorical import ContinuousCategorical, printed_constant
from kdtheory.divided_differences import log_normaliser
from kdtheory.regression import DistilledFit, distil_regression
from kdtheory.softening import soften
from kdtheory.synthetic import SoftmaxData, make_softmax_data

__all__ = [
    "ContinuousCategorical",
    "DistilledFit",
    "SoftmaxData",
    "distil_regression",
    "log_normaliser",
    "make_softmax_data",
    "printed_constant",
    "soften",
]


def __getattr__(name: str) -> str:
    if name == "__version__":  # on demand: reading the metadata takes longer than the rest
        from importlib.metadata import version

        return version("kdtheory")
    msg = f"module 'kdtheory' has no attribute {name!r}"
    raise AttributeError(msg)
