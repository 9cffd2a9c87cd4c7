"""Run the evidence of claims and compare what it supports with the verdicts.

notation: none
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from kdtheory.ledger.certificates import require_flint
from kdtheory.ledger.claims import CLAIMS
from kdtheory.ledger.evidence import NEEDED, About, Claim, Finding, Kind, supported_verdict

__all__ = ["Backing", "Outcome", "as_record", "judge", "select", "verify"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One piece of evidence after its check has run.

    Attributes
    ----------
    kind, about, statement
        As in `Evidence`.
    holds : bool or None
        What the check found; None if it could not decide or broke.
    backed : bool
        Whether that is what the claim's verdict needs of it.
    detail : str
        The numbers, in one line; the same in every run.
    seconds : float
    """

    kind: Kind
    about: About
    statement: str
    holds: bool | None
    backed: bool
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Backing:
    """A claim, its outcomes, and whether they support its verdict and no other."""

    claim: Claim
    outcomes: tuple[Outcome, ...]
    backed: bool

    @property
    def seconds(self) -> float:
        """Time that the checks took."""
        return sum(outcome.seconds for outcome in self.outcomes)


def verify(
    claims: Iterable[Claim] = CLAIMS,
    *,
    rigorous: bool = False,
    on_result: Callable[[Backing], object] | None = None,
) -> list[Backing]:
    """Run the evidence of every claim, one after the other.

    Parameters
    ----------
    claims : iterable of Claim, default all
        Rows of the ledger, as `select` gives them.
    rigorous : bool, default False
        Insist on python-flint for the certificates, instead of falling back on intervals.
    on_result : callable, optional
        Called with each `Backing` as soon as it is there.

    Returns
    -------
    list of Backing
        In the order of `claims`.

    Raises
    ------
    ModuleNotFoundError
        If `rigorous` and python-flint is not installed.

    Examples
    --------
    >>> (backing,) = verify(select(["GS-T1"]))
    >>> backing.claim.verdict, backing.backed
    ('false as printed', True)
    """
    if rigorous:
        require_flint()
    backings = []
    for claim in claims:
        findings, seconds = [], []
        for evidence in claim.evidence:
            start = time.perf_counter()
            findings.append(_run(evidence.check))
            seconds.append(time.perf_counter() - start)
        backings.append(judge(claim, findings, seconds))
        if on_result is not None:
            on_result(backings[-1])
    return backings


def judge(claim: Claim, findings: Sequence[Finding], seconds: Sequence[float]) -> Backing:
    """Compare findings, one for each piece of evidence, with the claim's verdict."""
    outcomes = tuple(
        Outcome(
            kind=evidence.kind,
            about=evidence.about,
            statement=evidence.statement,
            holds=finding.holds,
            backed=(evidence.about, finding.holds) in NEEDED[claim.verdict].items(),
            detail=finding.detail,
            seconds=taken,
        )
        for evidence, finding, taken in zip(claim.evidence, findings, seconds, strict=True)
    )
    supported = supported_verdict((outcome.about, outcome.holds) for outcome in outcomes)
    return Backing(claim=claim, outcomes=outcomes, backed=supported == claim.verdict)


def select(
    ids: Iterable[str] = (), source: str | None = None, *, claims: Sequence[Claim] = CLAIMS
) -> tuple[Claim, ...]:
    """Claims by identifier and source, in the order of the ledger.

    Parameters
    ----------
    ids : iterable of str
        Identifiers; none means all.
    source : str, optional
        Only claims of this paper.

    Raises
    ------
    ValueError
        If an identifier or the source is unknown.

    Examples
    --------
    >>> [claim.id for claim in select(["GS-13", "GS-12"])]
    ['GS-12', 'GS-13']
    """
    wanted = set(ids)
    unknown = sorted(wanted - {claim.id for claim in claims})
    if unknown:
        lower = {claim.id.lower(): claim.id for claim in claims}
        close = get_close_matches(unknown[0].lower(), lower, n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(lower[name] for name in close)}"
            if close
            else "none is near"
        )
        msg = f"unknown claim {unknown[0]!r} among {len(claims)}; {hint}"
        raise ValueError(msg)
    sources = list(dict.fromkeys(claim.source for claim in claims))
    if source is not None and source not in sources:
        msg = f"unknown source {source!r}; known: {', '.join(sources)}"
        raise ValueError(msg)
    return tuple(
        claim
        for claim in claims
        if (not wanted or claim.id in wanted) and source in (None, claim.source)
    )


def as_record(backing: Backing) -> dict[str, Any]:
    """What JSON can hold of a backing: everything but the seconds, so the same in every run."""
    claim = backing.claim
    return {
        "id": claim.id,
        "source": claim.source,
        "equation": claim.equation,
        "author": claim.author,
        "statement": claim.statement,
        "tex": claim.tex,
        "verdict": claim.verdict,
        "correction": claim.correction,
        "backed": backing.backed,
        "evidence": [
            {
                "kind": outcome.kind,
                "about": outcome.about,
                "statement": outcome.statement,
                "holds": outcome.holds,
                "backed": outcome.backed,
                "detail": outcome.detail,
            }
            for outcome in backing.outcomes
        ],
    }


def _run(check: Callable[[], Finding]) -> Finding:
    """A check that breaks backs nothing, and the other claims are still judged."""
    try:
        return check()
    except Exception as error:
        return Finding(None, f"{type(error).__name__}: {error}")
