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

from kdtheory import (
    ContinuousCategorical,
    DistilledFit,
    distil_regression,
    log_normaliser,
    printed_constant,
)
from kdtheory.ledger import (
    CLAIMS,
    Claim,
    Evidence,
    Finding,
    as_record,
    judge,
    laws,
    laws_classification,
    laws_regression,
    markdown_table,
    proofs_classification,
    proofs_likelihood,
    proofs_normaliser,
    proofs_objective,
    proofs_regression,
    select,
    symbolic,
    verify,
)
from kdtheory.ledger.evidence import NEEDED, About, Kind, Verdict, supported_verdict
from kdtheory.ledger.matrices import reduced_matrices, slope, words
from kdtheory.ledger.md import MD
from kdtheory.ledger.numeric import small

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


@pytest.mark.parametrize("number", range(3, 20))
def test_every_numbered_equation_has_a_row(number):
    assert f"({number})" in select([f"GS-{number}"])[0].equation


@pytest.mark.parametrize(
    "id_",
    [*(f"GS-T1-S{step}" for step in range(1, 8)), "GS-T2-S1", "GS-T2-S2", "GS-T2-formula"],
)
def test_every_step_of_the_proofs_has_a_row(id_):
    assert "proof" in select([id_])[0].equation


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


@pytest.mark.parametrize(
    "module",
    [
        laws,
        laws_classification,
        laws_regression,
        proofs_classification,
        proofs_likelihood,
        proofs_normaliser,
        proofs_objective,
        proofs_regression,
    ],
)
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


@pytest.mark.parametrize(
    "id_", ["GS-T1", "GS-10", "GS-14-factor", "GS-T2", "GS-18", "GS-F7", "GS-6.2-errors", "MD-loss"]
)
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


def off_by(change):
    """distil_regression with another estimate."""

    def wrong(*args, **options):
        fit = distil_regression(*args, **options)
        return replace(fit, coef=change(fit.coef))

    return wrong


REGRESSION = ["GS-T2", "GS-T2-rank", "GS-T2-penalty", "GS-T2-labels", "GS-15-rows", "GS-T2-reduce"]


@pytest.mark.parametrize("id_", REGRESSION)
def test_wrong_estimate_is_caught(monkeypatch, id_):
    monkeypatch.setattr(laws_regression, "distil_regression", off_by(lambda w: w * (1 + 1e-4)))
    (backing,) = verify(select([id_]))
    assert not backing.backed
    assert "off by" in " ".join(outcome.detail for outcome in backing.outcomes)


def test_estimate_that_takes_the_printed_two_is_caught(monkeypatch):
    # the row calls 2ŵ false: an estimate of half the size would make it true
    monkeypatch.setattr(laws_regression, "distil_regression", off_by(lambda w: w / 2))
    (backing,) = verify(select(["GS-T2-formula"]))
    assert not backing.backed


@pytest.mark.parametrize(
    ("id_", "given"),
    [
        ("GS-T2", {"convention": "printed"}),
        ("GS-T2-noop", {"privileged": None}),
        ("GS-15-identify", {"sigma_teacher": 1.0}),
        ("GS-16-variance", {"trust": 0.6}),
    ],
)
def test_estimate_of_another_problem_is_caught(monkeypatch, id_, given):
    def other(*args, **options):
        return distil_regression(*args, **(options | given))

    monkeypatch.setattr(laws_regression, "distil_regression", other)
    (backing,) = verify(select([id_]))
    assert not backing.backed


@pytest.mark.parametrize(
    ("id_", "name", "wrong"),
    [
        ("GS-T2-gradient", "coef_trust_gradient", lambda fit: np.zeros_like(fit.coef)),
        ("GS-T2-loo", "loo_residuals", lambda fit: fit.y - fit.fitted),
        ("GS-15-trust", "objective", lambda fit: fit.trust**2),
        ("GS-T2-noop", "no_op", lambda fit: fit is None),
        ("GS-16-scale", "residuals", lambda fit: fit.y - fit.fitted),
        ("MD-choice", "loo_error", lambda fit: np.exp(fit.trust)),
    ],
)
def test_wrong_attribute_is_caught(monkeypatch, id_, name, wrong):
    monkeypatch.setattr(DistilledFit, name, property(wrong))
    assert not verify(select([id_]))[0].backed


def test_trust_the_wrong_way_round_is_caught(monkeypatch):
    real = laws_regression.distil_across
    swapped = lambda *args, trust: real(*args, trust=1 - trust)  # noqa: E731
    monkeypatch.setattr(laws_regression, "distil_across", swapped)
    backings = verify(select(["MD-T2", "MD-lambda", "MD-closed", "MD-shrink"]))
    assert [backing.backed for backing in backings] == [False] * 4


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


# --- how sympy decides about matrices


N, M = sp.symbols("n m", integer=True, positive=True)
X, Y = sp.MatrixSymbol("X", M, N), sp.MatrixSymbol("Y", M, N)
A = sp.MatrixSymbol("A", N, N)
W = sp.MatrixSymbol("w", N, 1)


@pytest.mark.parametrize(
    "difference",
    [
        (X + Y).T * (X + Y) - X.T * X - X.T * Y - Y.T * X - Y.T * Y,
        W.T * A * W - W.T * A.T * W,  # a number is its own transpose
        (X * A).T - A.T * X.T,
        A**3 - A * A * A,
        A * sp.Identity(N) - A + sp.ZeroMatrix(N, N),
        sp.BlockMatrix([[X], [Y]]).T * sp.BlockMatrix([[X], [Y]]) - X.T * X - Y.T * Y,
        sp.BlockMatrix([[X + Y], [Y]]) - sp.BlockMatrix([[Y + X], [Y]]),
    ],
)
def test_matrix_identity_is_proved(difference):
    assert reduced_matrices([difference], "all sizes") == Finding(True, "reduces to 0: all sizes")


@pytest.mark.parametrize(
    "difference",
    [
        A * A.T - A.T * A,
        X.T * Y - Y.T * X,
        W.T * A * W - W.T * W,
        2 * X - X,
        A - sp.Identity(N),
        sp.BlockMatrix([[X - X], [Y]]),
    ],
)
def test_false_matrix_identity_is_refuted(difference):
    finding = reduced_matrices([X - X, difference], "all sizes")
    assert finding.holds is False
    assert "at rational matrices" in finding.detail


def test_rules_hold_where_they_are_given():
    b = sp.MatrixSymbol("b", N, 1)
    rules = {(A, W): b}
    assert reduced_matrices([2 * A * W - 2 * b], "", rules=rules).holds is True
    assert reduced_matrices([2 * A * W - 2 * b], "").holds is False
    # b is tied to A and w by the rule: what its entries may be is not known
    assert reduced_matrices([2 * A * W - b], "", rules=rules).holds is None
    assert reduced_matrices([2 * A * W - b], "", rules=rules, free=[b]).holds is False


def test_words_that_cancel_at_the_tried_matrices_are_undecided():
    tiny = sp.Rational(1, 10**30)
    assert reduced_matrices([tiny * A], "").holds is None


def test_words_have_their_coefficients():
    k = sp.Symbol("k")
    assert words((k * X.T + Y.T) * X) == {(X.T, X): k, (Y.T, X): 1}
    assert words(k * X - X + (1 - k) * X) == {}
    assert words(sp.Transpose(X.T * Y + A)) == {(Y.T, X): 1, (A.T,): 1}


def test_slope_is_that_of_the_coefficients():
    k = sp.Symbol("k")
    assert words(slope(k**2 * A + k * A.T + A * A, k)) == {(A,): 2 * k, (A.T,): 1}


# --- how numbers decide


@pytest.mark.parametrize(("errors", "holds"), [([0.0, 1e-9], True), ([2e-9], False)])
def test_small_is_within_the_tolerance(errors, holds):
    assert small(errors, 1e-9, "draws").holds is holds


def test_error_that_is_no_number_is_not_small():
    assert small([0.0, np.nan], 1.0, "draws") == Finding(False, "draws, off by nan, above 1e+00")


# --- symbols against the package


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
    claims = select(["GS-cold", "GS-4", "GS-T1", "GS-13", "GS-16", "GS-T2-formula", "MD-power"])
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
    assert select() == select(source="GS") + select(source="MD") == CLAIMS
    assert select(source="MD") == MD


# --- bad input


def test_unknown_claim_is_named():
    with pytest.raises(ValueError, match=r"^unknown claim 'GS-99' among \d+; did you mean GS-9"):
        select(["GS-3", "GS-99"])


def test_unknown_source_is_named():
    with pytest.raises(ValueError, match=r"^unknown source 'XY'; known: GS, MD$"):
        select(source="XY")


def test_rigorous_without_flint_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ModuleNotFoundError, match=r"need python-flint: pip install 'kdtheory\["):
        verify(select(["GS-T1"]), rigorous=True)
