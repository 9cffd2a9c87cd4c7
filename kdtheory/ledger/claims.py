"""The table: every claim, in the order of the papers.

A row is a `Claim` in a file of its source (`gs.py`, `gs_classification.py` and `gs_regression.py`
for GS, `md.py` for MD); `PARTS` puts the files in order, `CLAIMS` puts them together.

notation: none
"""

from collections.abc import Iterable

from kdtheory.ledger.evidence import Claim
from kdtheory.ledger.gs import GS
from kdtheory.ledger.gs_classification import GS_LINEAR, GS_SYNTHETIC
from kdtheory.ledger.gs_regression import GS_REGRESSION
from kdtheory.ledger.md import MD

__all__ = ["CLAIMS", "PARTS", "markdown_table"]

PARTS: dict[str, tuple[Claim, ...]] = {
    "GS, classification: sections 3 to 5.1, Theorem 1": GS,
    "GS, linear students: sections 3 and 5.1": GS_LINEAR,
    "GS, regression: section 5.2, Theorem 2": GS_REGRESSION,
    "GS, synthetic experiment: section 6.2": GS_SYNTHETIC,
    "MD, from one domain to another": MD,
}
CLAIMS: tuple[Claim, ...] = tuple(claim for rows in PARTS.values() for claim in rows)

LEAD_IN = {
    "true": "",
    "true under a stated reading": "Reading: ",
    "false as printed": "Instead: ",
}


def markdown_table(claims: Iterable[Claim] = CLAIMS) -> str:
    """Claims, verdicts and corrections as a table in Markdown.

    Examples
    --------
    >>> print(markdown_table(CLAIMS[1:2]))
    | claim | statement | verdict | what is true |
    |---|---|---|---|
    | GS-hot: section 3, property 2 of T | As T → ∞ all classes become equally likely. | true | |
    """
    lines = ["| claim | statement | verdict | what is true |", "|---|---|---|---|"]
    for claim in claims:
        place = claim.equation if claim.author == "paper" else f"{claim.equation}, derived here"
        correction = LEAD_IN[claim.verdict] + claim.correction
        cells = (f"{claim.id}: {place}", claim.statement, claim.verdict, correction)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines).replace("|  |", "| |")
