"""Evidence about classification: its judges are right, and wrong theory is reported."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from scipy import integrate, stats

from kdtheory.classification import SoftmaxFit, distil_classification
from kdtheory.expansions import LogitObjective
from kdtheory.ledger import certificates, laws_classification, proofs_classification, select, verify
from kdtheory.ledger.certificates import ball_arithmetic
from kdtheory.ledger.oracles import (
    entropies,
    least_cross_entropy,
    logit_draws,
    logit_rule,
    shares,
)
from kdtheory.newton import gap_bound
from kdtheory.objectives import distillation_objective
from kdtheory.softening import soften

ROUNDING = 1e-12
QUADRATURE = 1e-9  # the trapezoidal rule on analytic functions
LEAST = 1e-5  # the promise of least_cross_entropy, with room
STANDARD_ERRORS = 5


@pytest.fixture(autouse=True)
def _fresh_students():
    laws_classification._draws.cache_clear()
    yield
    laws_classification._draws.cache_clear()


def backed(id_):
    (backing,) = verify(select([id_]))
    # a check that breaks backs nothing, which would prove nothing here
    assert [o.detail for o in backing.outcomes if o.holds is None and "Error" in o.detail] == []
    return backing.backed


# --- the oracles


def test_shares_and_entropies_are_those_of_their_definitions():
    z = np.random.default_rng(0).normal(scale=4, size=(20, 4))
    np.testing.assert_allclose(shares(z + 700), soften(z), rtol=ROUNDING)
    np.testing.assert_allclose(entropies(soften(z)), stats.entropy(soften(z), axis=1))
    assert list(entropies(np.array([[1.0, 0.0], [0.5, 0.5]]))) == [0.0, np.log(2)]


def test_rule_over_objects_gives_the_moments_of_the_logits():
    W = np.random.default_rng(1).normal(size=(10, 3))
    logits, weights = logit_rule(W)
    centred = W - W.mean(axis=1, keepdims=True)
    assert weights.sum() == pytest.approx(1, abs=QUADRATURE)
    np.testing.assert_allclose(weights @ logits, 0, atol=QUADRATURE)
    covariance = logits.T @ (weights[:, None] * logits)
    np.testing.assert_allclose(covariance, centred.T @ centred, atol=QUADRATURE * 100)


def test_rule_over_objects_gives_an_integral_of_one_variable():
    # W = (w, 0, −w) with |w| = 2: the middle class has E 1/(1 + 2 cosh 2u)
    W = np.zeros((10, 3))
    W[0] = 2, 0, -2
    logits, weights = logit_rule(W)
    found = weights @ shares(logits)
    exact, _ = integrate.quad(lambda u: stats.norm.pdf(u) / (1 + 2 * np.cosh(2 * u)), -12, 12)
    assert found[1] == pytest.approx(exact, abs=QUADRATURE)
    assert found[1] < 1 / 3 < found[0] == pytest.approx(found[2])


def test_drawn_logits_have_the_moments_of_the_generator():
    squares = logit_draws(10, 3, 20_000, np.random.default_rng(2)) ** 2
    # Var z = n and E z⁴ = 3 n (n + 2)
    z = (squares.mean(axis=0) - 10) / np.sqrt((3 * 10 * 12 - 100) / len(squares))
    assert np.abs(z).max() < STANDARD_ERRORS


def test_search_among_weights_solves_its_equations():
    rng = np.random.default_rng(3)
    X, q, weights = rng.normal(size=(60, 2)), rng.dirichlet(np.ones(3), 60), rng.uniform(1, 2, 60)
    W = least_cross_entropy(X, q, weights)
    gradient = X.T @ (weights[:, None] * (shares(X @ W) - q))
    np.testing.assert_allclose(gradient, 0, atol=LEAST)
    np.testing.assert_allclose(W.sum(axis=1), 0, atol=LEAST)


# --- the certificate of the Bayes values


def test_angular_values_are_those_of_logits_in_the_plane():
    with ball_arithmetic() as balls:
        radius = balls.number(7, 4)
        ((entropy, top),) = certificates._angular_values(balls, [radius])
        angles = np.linspace(0, np.pi / 3, certificates.TURNS + 1)
        turns = angles[:, None] - 2 * np.pi / 3 * np.arange(3)
        probs = soften(1.75 * np.sqrt(2 / 3) * np.cos(turns))
        found = [[balls.midpoint(ball) for ball in side] for side in (entropy, top)]
        np.testing.assert_allclose(found[0], entropies(probs), rtol=ROUNDING)
        np.testing.assert_allclose(found[1], probs.max(axis=1), rtol=ROUNDING)
        assert all(
            later > sooner for sooner, later in zip(found[0][:-1], found[0][1:], strict=True)
        )


def test_finer_cells_enclose_more_tightly(monkeypatch):
    def widths():
        with ball_arithmetic() as balls:
            return [
                balls.midpoint(high) - balls.midpoint(low)
                for low, high in certificates._bayes_values(balls)
            ]

    coarse = widths()
    monkeypatch.setattr(certificates, "TURNS", 2 * certificates.TURNS)
    assert all(0 < fine < wide for fine, wide in zip(widths(), coarse, strict=True))


@pytest.mark.parametrize("shift", [Fraction(3, 100), Fraction(-3, 100)])
def test_value_outside_the_bounds_is_not_enclosed(monkeypatch, shift):
    moved = tuple(value + shift for value in certificates.BAYES)
    monkeypatch.setattr(certificates, "BAYES", moved)
    assert certificates.no_student_beats_bayes().holds is None


def test_coarse_cells_leave_the_row_undecided(monkeypatch):
    monkeypatch.setattr(certificates, "TURNS", 2)
    assert certificates.table_row_is_the_expectation().holds is None


# --- the rows


def wrong_fit(change):
    def fit(*args, **options):
        found = distil_classification(*args, **options)
        return replace(found, **change(found))

    return fit


@pytest.mark.parametrize("id_", ["GS-3-teacher", "GS-14-linear", "GS-F5", "GS-F6", "GS-6.2-gain"])
def test_wrong_student_is_caught(monkeypatch, id_):
    doubled = wrong_fit(lambda found: {"coef": 2 * found.coef})
    monkeypatch.setattr(laws_classification, "distil_classification", doubled)
    assert not backed(id_)


@pytest.mark.parametrize("id_", ["GS-14-linear", "GS-F6", "GS-6.2-gain", "GS-Tab1-improves"])
def test_student_that_ignores_the_teacher_is_caught(monkeypatch, id_):
    def alone(X, y, teacher=None, **options):  # noqa: ARG001
        options |= {"privileged": None, "n_classes": options.get("n_classes", 3)}
        return distil_classification(X, y, **options)

    monkeypatch.setattr(laws_classification, "distil_classification", alone)
    assert not backed(id_)


def test_fit_that_finds_an_optimum_everywhere_is_caught(monkeypatch):
    certain = wrong_fit(lambda found: {"certificate": replace(found.certificate, existence=None)})
    monkeypatch.setattr(laws_classification, "distil_classification", certain)
    assert not backed("GS-14-exists")
    assert not backed("GS-3-teacher")


def test_bound_that_promises_too_much_is_caught(monkeypatch):
    monkeypatch.setattr(laws_classification, "gap_bound", lambda nu, reach: nu**2 / 2 - 0 * reach)
    assert not backed("GS-14-gap")
    monkeypatch.setattr(laws_classification, "gap_bound", lambda *at: 0.9 * gap_bound(*at))
    assert not backed("GS-14-gap")


def test_fit_that_claims_a_smaller_gap_is_caught(monkeypatch):
    def boast(found):
        return {"certificate": replace(found.certificate, gap=0.9 * found.certificate.gap - 1e-9)}

    monkeypatch.setattr(laws_classification, "distil_classification", wrong_fit(boast))
    assert not backed("GS-14-gap")


def test_reach_without_the_temperature_is_caught(monkeypatch):
    # a cold answer bends faster than the range of the velocity
    def hot(*args, temperature, **options):
        return distillation_objective(*args, temperature=temperature / 2, **options)

    monkeypatch.setattr(laws_classification, "distillation_objective", hot)
    assert not backed("GS-14-third")


def test_wrong_curvature_is_caught(monkeypatch):
    at = LogitObjective.at

    class Wrong:
        def __init__(self, expansion, logits):
            self.expansion, self.logits = expansion, logits

        def hessian_product(self, direction):
            growth = np.exp(2 * np.abs(self.logits).sum(axis=1, keepdims=True))
            return growth * self.expansion.hessian_product(direction)

    monkeypatch.setattr(LogitObjective, "at", lambda self, z: Wrong(at(self, z), z))
    assert not backed("GS-14-third")


def test_wrong_softmax_is_caught(monkeypatch):
    cold = lambda z, temperature=1.0: soften(z, 1 / temperature)  # noqa: E731
    monkeypatch.setattr(laws_classification, "soften", cold)
    assert not backed("GS-F7")


@pytest.mark.parametrize("id_", ["GS-6.2-teacher", "GS-F4"])
def test_labels_of_another_law_are_caught(monkeypatch, id_):
    real = laws_classification.make_softmax_data

    def biased(*args, **options):
        data = real(*args, **options)
        return replace(data, y=np.where(data.y == 2, 0, data.y))

    monkeypatch.setattr(laws_classification, "make_softmax_data", biased)
    assert not backed(id_)


@pytest.mark.parametrize("bayes", [(0.4456, 0.813054), (0.445562, 0.8131)])
def test_sixth_digit_counts(monkeypatch, bayes):
    monkeypatch.setattr(laws_classification, "BAYES", bayes)
    assert not backed("GS-6.2-bayes")
    assert not backed("GS-Tab1-synthetic")


def test_row_that_were_possible_is_not_called_impossible(monkeypatch):
    monkeypatch.setattr(laws_classification, "ROW", (0.46, 0.80))
    finding = laws_classification.no_matrix_has_the_printed_ratio()
    assert finding.holds is False


def test_rule_other_than_softmax_is_caught(monkeypatch):
    probabilities = SoftmaxFit.probabilities
    mean = lambda self, X: probabilities(self, X, "mean")  # noqa: E731
    monkeypatch.setattr(SoftmaxFit, "probabilities", mean)
    assert not backed("GS-F6")


# --- the proofs


def test_identities_that_do_not_hold_are_refuted():
    wrong = proofs_classification._entropy_identities(lambda t: 1 / t, proofs_classification.TIME)
    assert proofs_classification.reduced(wrong, "").holds is False


def test_sums_that_are_no_variance_are_refuted():
    u = sp.Symbol("u", real=True)
    weight = sp.exp(proofs_classification.TIME * u) * sp.Function("f")(u)
    sums = [sp.Integral(weight * u**power, (u, 0, 1)) for power in range(3)]
    swapped = [sums[0], sums[2], sums[1]]
    assert proofs_classification._bend_is_variance(sums, "").holds is True
    assert proofs_classification._bend_is_variance(swapped, "").holds is not True
