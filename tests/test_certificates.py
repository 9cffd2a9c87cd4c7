"""Certificates decide alike with python-flint's balls and with mpmath's intervals."""

import sys
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from kdtheory import distil_regression, log_normaliser, printed_constant
from kdtheory.divided_differences import normaliser_gradient
from kdtheory.ledger import CLAIMS, certificates, select, verify
from kdtheory.ledger.certificates import ball_arithmetic, require_flint

CLOSE = 1e-13  # float64 against 77 digits

CERTIFICATES = {
    str(check): check
    for claim in CLAIMS
    for evidence in claim.evidence
    if evidence.kind == "certificate"
    for check in [evidence.check]
}


@pytest.fixture(params=["python-flint balls", "mpmath intervals"])
def arithmetic(request, monkeypatch):
    if request.param == "mpmath intervals":
        monkeypatch.setitem(sys.modules, "flint", None)
    return request.param


def names(check):
    return check.func.__name__ if isinstance(check, partial) else check.__name__


# --- the arithmetic


def test_balls_enclose_and_compare_with_proof(arithmetic):
    with ball_arithmetic() as balls:
        assert balls.name == arithmetic
        third = balls.number(1, 3)
        assert bool(third < balls.number(1, 2))
        assert not bool(third < third)
        for same in (balls.exp(balls.log(third)), balls.sqrt(third) ** 2):
            # the two overlap: neither side is proved to be the larger
            assert not bool(same < third)
            assert not bool(same > third)
            assert balls.midpoint(same) == 1 / 3


def test_precision_outside_is_left_alone():
    flint = pytest.importorskip("flint")
    before = flint.ctx.prec
    with ball_arithmetic() as balls:
        assert flint.ctx.prec == certificates.BITS > before
        assert balls.midpoint(balls.number(1)) == 1.0
    assert flint.ctx.prec == before


@pytest.mark.parametrize("g", certificates.POINTS)
def test_objects_in_balls_are_the_functions_of_the_package(arithmetic, g):
    log_g = np.log(np.array(g, dtype=float))
    with ball_arithmetic() as balls:
        a = balls.logs(g)
        pairs = [
            (certificates._integral(balls, a), np.exp(log_normaliser(log_g))),
            (certificates._printed_constant(balls, a), printed_constant(np.exp(log_g))),
            (certificates._mean_of_first(balls, a), normaliser_gradient(log_g)[0]),
        ]
        for ball, number in pairs:
            assert balls.midpoint(ball) == pytest.approx(float(number), rel=CLOSE), arithmetic


@pytest.mark.parametrize("example", certificates.EXAMPLES)
def test_regressions_in_balls_are_those_of_the_package(arithmetic, example):
    fit = distil_regression(
        np.array(example.X),
        np.array(example.y),
        np.array(example.s),
        privileged=np.array(example.inside, dtype=bool),
        trust=float(example.trust),
        sigma=float(example.label_weight) ** 0.5,
        sigma_teacher=float(example.teacher_weight) ** 0.5,
        convention="printed",
    )
    inverse = np.linalg.inv(fit.X.T @ (fit.weights[:, None] * fit.X))
    spread = fit.label_weight**2 / float(example.label_weight)
    spread = spread + fit.teacher_weight**2 / float(example.teacher_weight)
    sandwich = inverse @ fit.X.T @ (spread[:, None] * fit.X) @ inverse
    with ball_arithmetic() as balls:
        printed, right = certificates._variances(balls, example)
        for ours, numbers in (
            (certificates._minimiser(balls, example), fit.coef),
            (printed, np.diag(inverse)),
            (right, np.diag(sandwich)),
        ):
            midpoints = [balls.midpoint(ball) for ball in ours]
            assert midpoints == pytest.approx(list(numbers), rel=CLOSE), arithmetic


# --- the certificates


@pytest.mark.parametrize("check", CERTIFICATES.values(), ids=names)
def test_certificates_decide_with_either_arithmetic(arithmetic, check):
    finding = check()
    assert finding.holds is not None
    assert finding.detail.endswith(f"({arithmetic})")


def test_certificates_agree_to_the_digits_shown(monkeypatch):
    balls = [check() for check in CERTIFICATES.values()]
    monkeypatch.setitem(sys.modules, "flint", None)
    for finding, check in zip(balls, CERTIFICATES.values(), strict=True):
        other = check()
        assert other.holds == finding.holds
        assert other.detail.rpartition(" (")[0] == finding.detail.rpartition(" (")[0]


def test_true_claim_is_not_excluded(arithmetic, monkeypatch):
    # with the right constant in its place, balls contain 1 and the certificate stays undecided
    right = lambda balls, a: 1 / certificates._integral(balls, a)  # noqa: E731
    monkeypatch.setattr(certificates, "_printed_constant", right)
    finding = certificates.printed_constant_normalises("coordinate")
    assert finding.holds is None, arithmetic
    assert "excluded in 0 of 5" in finding.detail


def test_variance_that_is_right_is_not_excluded(arithmetic, monkeypatch):
    variances = certificates._variances
    same = lambda balls, example: (variances(balls, example)[1],) * 2  # noqa: E731
    monkeypatch.setattr(certificates, "_variances", same)
    assert certificates.blended_variance_is_that_of_the_estimate().holds is None, arithmetic
    assert certificates.blended_variance_is_too_large().holds is None


def test_weights_of_one_reading_are_not_told_from_themselves(arithmetic, monkeypatch):
    # at σ = σ_s = 1 the readings of σ agree
    shares = certificates._shares
    ones = lambda balls, example, *_: shares(balls, example, Fraction(1), Fraction(1))  # noqa: E731
    monkeypatch.setattr(certificates, "_shares", ones)
    assert certificates.deviations_give_the_printed_weights().holds is None, arithmetic


def test_inaccurate_normaliser_is_refuted(arithmetic, monkeypatch):
    wrong = lambda a: log_normaliser(a) + 1e-11  # noqa: E731
    monkeypatch.setattr(certificates, "log_normaliser", wrong)
    assert certificates.log_normaliser_is_accurate().holds is False, arithmetic


def test_printed_theorem_is_excluded_by_the_numbers_of_the_readme(arithmetic):
    with ball_arithmetic() as balls:
        a = balls.logs((Fraction(3, 10), Fraction(7, 10)))
        mass = certificates._integral(balls, a) * certificates._printed_constant(balls, a)
        assert bool(mass > balls.number(425, 10_000)), arithmetic
        assert bool(mass < balls.number(426, 10_000)), arithmetic


# --- rigour


def test_rigorous_verification_uses_flint():
    pytest.importorskip("flint")
    require_flint()
    (backing,) = verify(select(["GS-T1"]), rigorous=True)
    assert backing.backed
    assert "python-flint" in backing.outcomes[0].detail


def test_flint_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ModuleNotFoundError, match="rigorous certificates need python-flint"):
        require_flint()
