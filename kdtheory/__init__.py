r"""kdtheory: the theory of knowledge distillation that can be computed exactly.

Map of the theory (GS = Grabovoy and Strijov, *Probabilistic justification of distillation*,
MD = *Distillation for a multi-domain sample*):

=============================  ==================================================================
module                         object
=============================  ==================================================================
`bromwich`                     the exponential over the simplex as a contour integral
`divided_differences`          :math:`\log \exp[a_1, \dots, a_K]`, gradient, Hessian
`continuous_categorical`       Theorem 1: density (12), its constant, moments, sampling, fitting
`softening`                    temperature softmax of (3) and its limits
`least_squares`                weighted least squares: fast, or with all digits
`regression`                   Theorem 2: (15)-(19), distilled linear regression
`inference`                    its standard errors, which are not those of the blend
`selection`, `evidence`        trust by leave-one-out; noise levels by marginal likelihood
`streaming`, `distributed`     the same for files larger than memory, and on a Dask cluster
`domains`                      MD: distillation from a strong domain to a weak one
`objectives`, `expansions`     (3), (11), (14), (15) and MD's loss, with their derivatives
`separability`                 whether a linear student has an optimum, with a proof
`newton`, `classification`     the optimal linear student of (14), with a certificate
`estimators`, `classifiers`    DistilledRegressor, -CV and SoftmaxStudent for scikit-learn
`privileged`                   generalised distillation in two stages (GS, section 3)
`synthetic`                    the generators of GS 6.2 and of Lopez-Paz et al.
`ledger`                       every claim of the papers, with a verdict and live evidence
`experiments`                  theory beside real data
`testing`                      hypothesis strategies for property tests of your own
=============================  ==================================================================
"""

from typing import Any

from kdtheory.classification import (
    Certificate,
    NotConvergedWarning,
    SeparableWarning,
    SoftmaxFit,
    SoftmaxPath,
    classification_path,
    distil_classification,
)
from kdtheory.continuous_categorical import ContinuousCategorical, printed_constant
from kdtheory.divided_differences import log_normaliser
from kdtheory.domains import distil_across
from kdtheory.evidence import maximum_evidence
from kdtheory.regression import DistilledFit, distil_regression
from kdtheory.selection import trust_path
from kdtheory.softening import soften
from kdtheory.synthetic import SoftmaxData, make_softmax_data

__all__ = [
    "Certificate",
    "ContinuousCategorical",
    "DistilledFit",
    "DistilledRegressor",
    "DistilledRegressorCV",
    "NotConvergedWarning",
    "PrivilegedDistiller",
    "SeparableWarning",
    "SoftmaxData",
    "SoftmaxFit",
    "SoftmaxPath",
    "SoftmaxStudent",
    "classification_path",
    "distil_across",
    "distil_classification",
    "distil_regression",
    "log_normaliser",
    "make_softmax_data",
    "maximum_evidence",
    "printed_constant",
    "soften",
    "trust_path",
]

ESTIMATORS = {
    "DistilledRegressor": "kdtheory.estimators",
    "DistilledRegressorCV": "kdtheory.estimators",
    "PrivilegedDistiller": "kdtheory.privileged",
    "SoftmaxStudent": "kdtheory.classifiers",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":  # on demand: reading the metadata takes longer than the rest
        from importlib.metadata import version

        return version("kdtheory")
    if name in ESTIMATORS:  # scikit-learn takes a second
        from importlib import import_module

        return getattr(import_module(ESTIMATORS[name]), name)
    msg = f"module 'kdtheory' has no attribute {name!r}"
    raise AttributeError(msg)
