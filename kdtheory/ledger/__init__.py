"""The ledger: every claim of the papers, with a verdict and live evidence.

A verdict is not asserted but computed from what its evidence finds, so that a wrong one is caught:

* `claims` is the table, `gs`, `gs_classification` and `gs_regression` the rows of GS, `md` those of
  MD;
* `evidence` says what a claim is and which verdict findings support;
* `proofs_likelihood`, `proofs_normaliser`, `proofs_objective`, `proofs_classification` and
  `proofs_regression` are proofs with sympy (`symbolic` holds what they have in common, `matrices`
  how matrices of any size are compared), `certificates` are in ball arithmetic, `laws`,
  `laws_classification` and `laws_regression` set numbers of kdtheory beside those of `oracles`,
  which know no theory (`numeric` holds how they decide);
* `verify` runs them.
"""

from kdtheory.ledger.claims import CLAIMS, PARTS, markdown_table
from kdtheory.ledger.evidence import Claim, Evidence, Finding
from kdtheory.ledger.verify import Backing, Outcome, as_record, judge, select, verify

__all__ = [
    "CLAIMS",
    "PARTS",
    "Backing",
    "Claim",
    "Evidence",
    "Finding",
    "Outcome",
    "as_record",
    "judge",
    "markdown_table",
    "select",
    "verify",
]
