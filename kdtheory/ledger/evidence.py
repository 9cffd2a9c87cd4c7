"""What a claim is, what evidence is, and which verdict evidence supports.

A verdict is not believed: `supported_verdict` computes it from what the evidence found.

notation: none
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "NEEDED",
    "About",
    "Claim",
    "Evidence",
    "Finding",
    "Kind",
    "Verdict",
    "supported_verdict",
]

Verdict = Literal["true", "true under a stated reading", "false as printed"]
Kind = Literal["symbolic", "certificate", "oracle", "property"]
About = Literal["statement", "reading", "correction"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: whether that which it is about holds, and a line of detail.

    `holds` is None where the check could not decide, as when an interval is too wide; an
    undecided finding backs no verdict.
    """

    holds: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A computation that decides about a claim.

    Attributes
    ----------
    kind : "symbolic", "certificate", "oracle" or "property"
        sympy reduces a difference to 0, for symbols; ball arithmetic excludes or encloses at
        rational points; an independent slow computation from the definition; a law checked over
        many seeded random draws.
    statement : str
        What is computed, in one line.
    check : callable
        Takes nothing, returns a `Finding`.
    about : "statement", "reading" or "correction", default "statement"
        Whether the finding is about the claim's statement taken literally, about the reading
        under which it is true, or about what is true instead.
    """

    kind: Kind
    statement: str
    check: Callable[[], Finding]
    about: About = "statement"


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of the ledger.

    Attributes
    ----------
    id : str
        Such as ``GS-12`` or ``GS-T1-S3``.
    source : str
        The paper, such as ``GS``.
    equation : str
        Where in the paper.
    statement : str
        The claim in words.
    tex : str
        The claim in TeX.
    verdict : Verdict
    evidence : tuple of Evidence
    correction : str
        What is true instead where the verdict is "false as printed", the reading where it is
        "true under a stated reading", else empty.
    author : "paper" or "kdtheory"
        Whether the paper states it, or it is derived here about the paper's objects.
    """

    id: str
    source: str
    equation: str
    statement: str
    tex: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    correction: str = ""
    author: Literal["paper", "kdtheory"] = "paper"


# What evidence must find for each verdict: about the statement as it stands, and about the reading
# or the correction that goes with it
NEEDED: dict[Verdict, dict[About, bool]] = {
    "true": {"statement": True},
    "true under a stated reading": {"statement": False, "reading": True},
    "false as printed": {"statement": False, "correction": True},
}


def supported_verdict(findings: Iterable[tuple[About, bool | None]]) -> Verdict | None:
    """The one verdict that findings support, or None.

    * "true": the statement holds in every finding, and nothing else is in evidence;
    * "true under a stated reading": taken literally the statement fails in every finding, and
      under the reading it holds in every finding, with at least one of each;
    * "false as printed": the statement fails in every finding, and the correction holds in every
      finding, with at least one of each.

    Examples
    --------
    >>> supported_verdict([("statement", True), ("statement", True)])
    'true'
    >>> supported_verdict([("statement", False), ("correction", True)])
    'false as printed'
    >>> supported_verdict([("statement", False), ("correction", None)]) is None
    True
    """
    found = set(findings)
    for verdict, needed in NEEDED.items():
        if found == set(needed.items()):
            return verdict
    return None
