"""The ledger: its rows are complete, its verdicts are backed, wrong ones are caught."""

import json
import sys
import time
from dataclasses import replace
from itertools import product
from typing import get_args

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from kdtheory import ContinuousCategorical, log_normaliser, printed_constant
from kdtheory.ledger import (
    CLAIMS,
    Claim,
    Evidence,
    Finding,
    as_record,
    judge,
    laws,
    markdown_table,
    proofs_likelihood,
    proofs_normaliser,
    proofs_objective,
    select,
    symbolic,
    verify,
)
from kdtheory.ledger.evidence import NEEDED, About, Kind, Verdict, supported_verdict

SECONDS = 60  # of one processor for all rows: twice the promise, for slow machines
CELLS = 4  # of a row of the table in README.md
CLOSE = 1e-12  # closed forms against each other: a few roundings

VERDICTS = get_args(Verdict)
IDS = [claim.id for claim in CLAIMS]


@pytest.fixture(scope="module")
def timed_backings():
    start = time.process_time()
    backings = verify()
    return {backing.claim.id: backing for backing in backings}, time.process_time() - start


@pytest.fixture(scope="module")
def backings(timed_backings):
    return timed_backings[0]


def findings(backing):
    return [Finding(outcome.holds, outcome.detail) for outcome in backing.outcomes]


def rejudged(backing, claim):
    return judge(claim, findings(backing), [0.0] * len(backing.outcomes))


def simple_claim(*evidence, verdict="true", correction=""):
    return Claim("X-1", "X", "(1)", "one is one", "1 = 1", verdict, evidence, correction)


def found(holds, about="statement"):
    return Evidence("symbolic", "a stand-in", lambda: Finding(holds, "found"), about)


# --- the table


def test_ids_are_unique():
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("number", range(3, 15))
def test_every_numbered_equation_has_a_row(number):
    assert f"({number})" in select([f"GS-{number}"])[0].equation


@pytest.mark.parametrize("step", range(1, 8))
def test_every_step_of_the_proof_has_a_row(step):
    assert "proof" in select([f"GS-T1-S{step}"])[0].equation


@pytest.mark.parametrize("claim", CLAIMS, ids=IDS)
def test_rows_are_complete(claim):
    assert claim.id.startswith(f"{claim.source}-")
    assert claim.verdict in VERDICTS
    assert claim.author in {"paper", "kdtheory"}
    assert all([claim.equation, claim.statement, claim.tex])
    assert claim.statement.endswith((".", ".)"))
    # what is true instead, or how to read it, is said exactly where there is need
    assert bool(claim.correction) == (claim.verdict != "true")
    # nothing that is not in the paper can be false as printed
    assert claim.verdict == "true" or claim.author == "paper"


@pytest.mark.parametrize("claim", CLAIMS, ids=IDS)
def test_evidence_is_complete(claim):
    assert {evidence.about for evidence in claim.evidence} == set(NEEDED[claim.verdict])
    statements = [(evidence.about, evidence.statement) for evidence in claim.evidence]
    assert len(set(statements)) == len(statements)
    assert all(evidence.kind in get_args(Kind) for evidence in claim.evidence)
    # one check may serve several rows, but decides once in each of them
    assert len({(evidence.about, evidence.check) for evidence in claim.evidence}) == len(statements)


def test_every_kind_of_evidence_is_there():
    kinds = {evidence.kind for claim in CLAIMS for evidence in claim.evidence}
    assert kinds == set(get_args(Kind))


@pytest.mark.parametrize("module", [laws, proofs_likelihood, proofs_normaliser, proofs_objective])
def test_no_proof_is_idle(module):
    checks = [evidence.check for claim in CLAIMS for evidence in claim.evidence]
    used = {getattr(check, "func", check).__name__ for check in checks}
    assert set(module.__all__) <= used


# --- the verdicts


@pytest.mark.parametrize("id_", IDS)
def test_verdict_is_backed(backings, id_):
    backing = backings[id_]
    assert backing.backed, findings(backing)
    assert all(outcome.backed for outcome in backing.outcomes)
    assert all(type(outcome.holds) is bool for outcome in backing.outcomes)
    assert all(outcome.detail and "\n" not in outcome.detail for outcome in backing.outcomes)


@pytest.mark.parametrize(("id_", "verdict"), list(product(IDS, VERDICTS)))
def test_no_other_verdict_is_backed(backings, id_, verdict):
    claim = backings[id_].claim
    planted = rejudged(backings[id_], replace(claim, verdict=verdict))
    assert planted.backed == (verdict == claim.verdict)
    assert all(outcome.backed for outcome in planted.outcomes) == planted.backed


@pytest.mark.parametrize("id_", ["GS-T1", "GS-10", "GS-14-factor"])
def test_verify_catches_a_planted_verdict(id_):
    (claim,) = select([id_])
    planted = replace(claim, verdict="false as printed" if claim.verdict == "true" else "true")
    assert [backing.backed for backing in verify([claim, planted])] == [True, False]


@pytest.mark.parametrize("id_", IDS)
def test_no_evidence_may_change_its_mind(backings, id_):
    # each piece of evidence counts: turned round, or undecided, it takes the verdict down
    backing = backings[id_]
    for i, outcome in enumerate(backing.outcomes):
        for other in (None, not outcome.holds):
            turned = findings(backing)
            turned[i] = Finding(other, "turned")
            judged = judge(backing.claim, turned, [0.0] * len(turned))
            assert not judged.backed
            assert not judged.outcomes[i].backed


def test_all_rows_are_quick(timed_backings):
    assert timed_backings[1] <= SECONDS


def test_wrong_normaliser_is_caught(monkeypatch):
    monkeypatch.setattr(laws, "log_normaliser", lambda a: log_normaliser(a) + 1e-6)
    (backing,) = verify(select(["GS-T1-corrected"]))
    assert not backing.backed
    assert "off by" in " ".join(outcome.detail for outcome in backing.outcomes)


def test_right_constant_under_the_name_of_the_printed_one_is_caught(monkeypatch):
    # the row must not call a theorem false that is true
    def right(probs):
        return np.exp(-log_normaliser(np.log(probs)))

    monkeypatch.setattr(laws, "printed_constant", right)
    assert not verify(select(["GS-T1"]))[0].backed


def test_check_that_breaks_backs_nothing():
    def broken():
        raise ZeroDivisionError

    for verdict in VERDICTS:
        claim = simple_claim(Evidence("oracle", "1/0", broken), verdict=verdict)
        (backing,) = verify([claim])
        assert not backing.backed
        assert not backing.outcomes[0].backed
        assert backing.outcomes[0].detail.startswith("ZeroDivisionError")


def test_results_are_told_as_they_come():
    told = []
    claims = [simple_claim(found(True)), simple_claim(found(False))]
    backings = verify(claims, on_result=told.append)
    assert told == backings
    assert [backing.backed for backing in backings] == [True, False]
    assert backings[0].seconds == sum(outcome.seconds for outcome in backings[0].outcomes) > 0


# --- what evidence supports


def test_no_evidence_supports_nothing():
    assert supported_verdict([]) is None


@given(st.lists(st.tuples(st.sampled_from(get_args(About)), st.sampled_from([True, False, None]))))
def test_evidence_supports_at_most_one_verdict(found_by):
    verdict = supported_verdict(found_by)
    if verdict is not None:
        assert dict(found_by) == NEEDED[verdict]
        assert supported_verdict([*found_by, found_by[0]]) == verdict
        for about in get_args(About):
            assert supported_verdict([*found_by, (about, None)]) is None


# --- how sympy decides


def test_identity_is_proved():
    x = sp.Symbol("x", real=True)
    assert symbolic.reduced([sp.sin(x) ** 2 + sp.cos(x) ** 2 - 1], "").holds is True


def test_false_identity_is_refuted_at_a_point():
    x = sp.Symbol("x", real=True)
    finding = symbolic.reduced([0, x**2 - x], "all x")
    assert finding == Finding(False, "all x (differs by -0.240 at a rational point)")


def test_what_neither_vanishes_nor_differs_is_undecided():
    # too small to be told from 0, too large to be 0
    assert symbolic.reduced([sp.Symbol("x") * sp.Rational(1, 10**30)], "").holds is None


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ([sp.true, sp.true], True),
        ([sp.true, sp.Symbol("x", real=True) > 0], None),
        ([sp.Symbol("x", real=True) > 0, sp.false], False),
    ],
)
def test_conditions_are_decided_together(conditions, holds):
    assert symbolic.established(conditions, "").holds is holds


@pytest.mark.parametrize("g", [(0.3, 0.7), (0.2, 0.3, 0.5), (0.1, 0.2, 0.3, 0.4)])
def test_symbols_are_the_functions_of_the_package(g):
    a = [sp.log(sp.Rational(str(g_k))) for g_k in g]
    integral, constant = symbolic.lagrange(a), symbolic.printed_constant([-a_k for a_k in a])
    assert float(integral) == pytest.approx(float(np.exp(log_normaliser(np.log(g)))), rel=CLOSE)
    assert float(constant) == pytest.approx(float(printed_constant(g)), rel=CLOSE)
    assert [float(x) for x in symbolic.softmax(a)] == pytest.approx(list(g), rel=CLOSE)
    assert [float(x) for x in symbolic.log_softmax(a)] == pytest.approx(list(np.log(g)), rel=CLOSE)


def test_two_class_symbols_are_the_functions_of_the_package():
    density = ContinuousCategorical(logits=[1.5, 0.0])
    ours = float(symbolic.two_class_density(sp.Rational(3, 2), sp.Rational(1, 4)))
    assert ours == pytest.approx(float(np.exp(density.log_prob([0.25, 0.75]))), rel=CLOSE)
    assert float(symbolic.two_class_integral(sp.Rational(3, 2))) == pytest.approx(
        float(np.exp(log_normaliser([1.5, 0.0]))), rel=CLOSE
    )


# --- records and the table of README.md


def test_record_is_json_and_the_same_in_every_run():
    claims = select(["GS-cold", "GS-4", "GS-T1", "GS-13"])
    runs = [
        json.dumps([as_record(backing) for backing in verify(claims)], allow_nan=False)
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert "seconds" not in runs[0]
    assert [record["id"] for record in json.loads(runs[0])] == [claim.id for claim in claims]


def test_table_has_a_line_for_each_claim():
    lines = markdown_table().splitlines()
    assert len(lines) == len(CLAIMS) + 2
    for line, claim in zip(lines[2:], CLAIMS, strict=True):
        assert line.startswith(f"| {claim.id}: ")
        assert f" | {claim.verdict} | " in line
    assert all(len(line.replace(r"\|", "").split("|")) == CELLS + 2 for line in lines)


# --- selection


def test_selection_keeps_the_order_of_the_ledger():
    assert [claim.id for claim in select(["GS-14", "GS-3", "GS-14"])] == ["GS-3", "GS-14"]
    assert select() == select(source="GS") == CLAIMS


# --- bad input


def test_unknown_claim_is_named():
    with pytest.raises(ValueError, match=r"^unknown claim 'GS-99' among \d+; did you mean GS-9"):
        select(["GS-3", "GS-99"])


def test_unknown_source_is_named():
    with pytest.raises(ValueError, match=r"^unknown source 'XY'; known: GS$"):
        select(source="XY")


def test_rigorous_without_flint_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ModuleNotFoundError, match=r"need python-flint: pip install 'kdtheory\["):
        verify(select(["GS-T1"]), rigorous=True)
