"""Proofs about GS (14), the optimisation problem of classification, and what the text says of it.

Each function takes nothing and returns a `Finding` about one statement.

notation: g = student, s = teacher's answer, y = label, z = logits, I = objects with a teacher's
answer, T = temperature of the teacher's terms, λ = trust, Z = ∫ ∏ g_k^{s_k} ds, μ = mean of (12),
x = −log g
"""

from collections.abc import Sequence
from typing import Any

import sympy as sp

from kdtheory.ledger.evidence import Finding
from kdtheory.ledger.symbolic import (
    established,
    inner,
    lagrange,
    log_softmax,
    printed_constant,
    reduced,
    simplex_symbols,
    softmax,
    two_class_integral,
    variance_identities,
)

__all__ = [
    "blend_is_the_minimiser",
    "blended_on_every_object",
    "blended_on_privileged_objects",
    "exact_gradient",
    "exact_regulariser_is_convex",
    "exact_regulariser_is_unbounded",
    "exact_term_is_convex_for_two_classes",
    "first_three_terms_are_minus_half_the_loss",
    "first_three_terms_are_the_loss",
    "fourth_term_is_free_of_the_teacher",
    "no_labels_and_weights_give_the_terms",
    "no_teacher_leaves_the_labels",
    "printed_regulariser_is_concave",
    "printed_term_bends_down_at_a_vertex",
    "printed_term_is_convex_for_two_classes",
    "substitution_gives_the_fourth_term",
    "third_term_is_free_of_the_teacher",
]


# --- from (11) to (14)


def substitution_gives_the_fourth_term() -> Finding:
    """The difference log C_printed − Σ (log g + log log 1/g) is free of g."""
    differences = []
    for n_classes in range(2, 6):
        x = sp.symbols(f"x1:{n_classes + 1}", positive=True)
        log_constant = sp.expand_log(sp.log(printed_constant(x)), force=True)
        fourth = sp.Add(*[-x_k + sp.log(x_k) for x_k in x])
        differences += [sp.diff(log_constant - fourth, x_k) for x_k in x]
    return reduced(differences, "the difference is a constant of K, K = 2 … 5")


def no_teacher_leaves_the_labels() -> Finding:
    """(14) with I empty is minus the cross-entropy of the labels, for every λ and T_0."""
    trust, temperature = sp.symbols("lam T", positive=True)
    objects, terms = _four_terms((False, False), trust, temperature)
    labels = sp.Add(*[inner(y, log_softmax(z)) for y, _, z in objects])
    return reduced([sum(terms) - labels], "two objects, K = 3, every λ and T_0")


# --- what the text says of (14)


def first_three_terms_are_the_loss() -> Finding:
    """First three terms of (14), λ = ½ and I everything, less loss (3)."""
    terms, loss = _three_terms_and_loss()
    return reduced([terms - loss], "they are −½ times (3)")


def first_three_terms_are_minus_half_the_loss() -> Finding:
    """The same terms plus half of loss (3)."""
    terms, loss = _three_terms_and_loss()
    return reduced([sp.expand(terms + loss / 2)], "two objects, K = 3, every T_0")


def third_term_is_free_of_the_teacher() -> Finding:
    """Whether ∂/∂s of the third term of (14) is 0, as of a term from the form of (12)."""
    return reduced(_slopes_in_answers(2), "∂/∂s of the third term is λ log g: the teacher's loss")


def fourth_term_is_free_of_the_teacher() -> Finding:
    """∂/∂s of the fourth term of (14)."""
    return reduced(_slopes_in_answers(3), "∂/∂s of the fourth term, K = 3")


def blended_on_every_object() -> Finding:
    """First three terms at T_0 = 1 and the cross-entropies of (1−λ)y + λs for every object."""
    return reduced([_excess_over_blends((True, True))], "outside I the labels are not blended")


def blended_on_privileged_objects() -> Finding:
    """The same, y blended with s on I only."""
    return reduced([_excess_over_blends((False, True))], "one object outside I and one in I, K = 3")


def blend_is_the_minimiser() -> Finding:
    """The gradient of the cross-entropy of q = (1−λ)y + λs in the logits is g − q."""
    trust = sp.Symbol("lam", positive=True)
    differences = []
    for n_classes in (2, 3, 4):
        z = sp.symbols(f"z1:{n_classes + 1}", real=True)
        q = _blend(simplex_symbols("y", n_classes), simplex_symbols("s", n_classes), trust)
        loss = -inner(q, log_softmax(z))
        differences += [
            sp.diff(loss, z_k) - (g_k - q_k) for z_k, g_k, q_k in zip(z, softmax(z), q, strict=True)
        ]
    return reduced(differences, "gradient g − q of a convex function, K = 2, 3, 4")


def exact_gradient() -> Finding:
    """Gradient of the exact (14), T_0 = 1, on I: (1−λ)(y − g) + λ(s − μ) with μ = ∇ log Z."""
    trust = sp.Symbol("lam", positive=True)
    differences = []
    for n_classes in (2, 3):
        z = sp.symbols(f"z1:{n_classes + 1}", real=True)
        y, s = simplex_symbols("y", n_classes), simplex_symbols("s", n_classes)
        log_g, log_integral = log_softmax(z), sp.log(lagrange(z))
        log_total = z[0] - log_g[0]
        # log Z(log g) = log Z(z) − log Σ e^z, the shift law
        answer = inner(s, log_g) - (log_integral - log_total)
        objective = (1 - trust) * inner(y, log_g) + trust * answer
        for z_k, y_k, s_k, g_k in zip(z, y, s, softmax(z), strict=True):
            slope = (1 - trust) * (y_k - g_k) + trust * (s_k - sp.diff(log_integral, z_k))
            differences.append(sp.diff(objective, z_k) - slope)
    return reduced(differences, "K = 2, 3, every λ")


def no_labels_and_weights_give_the_terms() -> Finding:
    """On I, T_0 = 1: each label k with weight (1−λ)y_k + λs_k is a counterexample."""
    trust = sp.Symbol("lam", positive=True)
    ((y, s, z),), terms = _four_terms((True,), trust, sp.Integer(1))
    log_g = log_softmax(z)
    one_hot = [[int(j == k) for j in range(3)] for k in range(3)]
    classical = inner(_blend(y, s, trust), [inner(label, log_g) for label in one_hot])
    found = reduced([sp.expand(sum(terms[:3]) - classical)], "K = 3, every λ")
    return Finding(None if found.holds is None else not found.holds, f"it {found.detail}")


# --- the regularisers


def printed_regulariser_is_concave() -> Finding:
    """(log g + log log 1/g)″ < 0 on (0, 1), so a symmetric sum has its one maximum at uniform."""
    x = sp.Symbol("x", positive=True)  # g = e^{−x}, dx/dg = −e^x
    value = -x + sp.log(x)
    slope = -sp.exp(x) * sp.diff(value, x)
    bend = sp.expand(-sp.exp(x) * sp.diff(slope, x))
    identity = reduced([bend + sp.exp(2 * x) * (x**2 - x + 1) / x**2], "")
    # x² − x + 1 has no real root and is 1 at 0
    return established(
        [sp.sympify(identity.holds), sp.discriminant(x**2 - x + 1, x) < 0],
        "second derivative −(l² + l + 1)/(g l)² with l = log g, l² + l + 1 ≥ ¾, any K",
    )


def exact_regulariser_is_convex() -> Finding:
    """Every ∏ g^s is concave in g, so Z is, and −log Z is convex: its minimum is at uniform."""
    return reduced(variance_identities(), "∏ g^s is concave in g, K = 2, 3, 4")


def exact_regulariser_is_unbounded() -> Finding:
    """Z ≤ ∫ e^{−xr} (1 − r)^(K−2)/(K−2)! dr → 0 as x = −log g_k → ∞."""
    x, r = sp.symbols("x r", positive=True)
    limits = [
        sp.limit(
            sp.integrate(sp.expand((1 - r) ** (n_classes - 2) * sp.exp(-x * r)), (r, 0, 1)),
            x,
            sp.oo,
        )
        for n_classes in (2, 3, 4)
    ]
    return established([sp.Eq(limit, 0) for limit in limits], "Z → 0 as any g_k → 0, K = 2, 3, 4")


# --- convexity in the logits


def exact_term_is_convex_for_two_classes() -> Finding:
    """(log Z)″ = 1/z² − 1/(4 sinh²(z/2)), positive as sinh u > u for u > 0."""
    z = sp.Symbol("z", positive=True)
    bend = sp.diff(sp.log(two_class_integral(z)), z, 2)
    hyperbolic = 1 / z**2 - 1 / (4 * sp.sinh(z / 2) ** 2)
    return reduced([(bend - hyperbolic).rewrite(sp.exp)], "K = 2, every logit")


def printed_term_bends_down_at_a_vertex() -> Finding:
    """Its second derivative at g = (1−δ, δ/n, …, δ/n), n = K − 1, along e_2 − e_3, as δ → 0.

    With u = −log g the loss is Σ (1 + s_k) u_k − log u_k; along e_2 − e_3 every u_k has the second
    derivative 2δ/n, u_2 and u_3 the slopes ∓1, the others 0.
    """
    n, delta = sp.symbols("n delta", positive=True)
    variance, top, low = 2 * delta / n, -sp.log(1 - delta), sp.log(n / delta)
    bend = variance * (n + 2 - 1 / top - n / low) + 2 / low**2
    limit = sp.limit(bend, delta, 0, "+")
    return established(
        [sp.Eq(sp.simplify(limit), -2 / n)], f"tends to {limit} with n = K − 1, for every K ≥ 3"
    )


def printed_term_is_convex_for_two_classes() -> Finding:
    """K = 2: second derivative 3gh + (h/x)(h/x − g) + (g/y)(g/y − h), x = −log g, y = −log h.

    h/x = (1 − e^{−x})/x is the mean of e^{−t} over [0, x], not below its least value g = e^{−x};
    so for g/y: no part is negative.
    """
    z, s = sp.Symbol("z", real=True), sp.Symbol("s", real=True)
    x, y = (-log_g for log_g in log_softmax((z, 0)))
    g, h = softmax((z, 0))
    loss = (1 + s) * x - sp.log(x) + (2 - s) * y - sp.log(y)
    parts = 3 * g * h + (h / x) * (h / x - g) + (g / y) * (g / y - h)
    return reduced([sp.diff(loss, z, 2) - parts], "K = 2, every s: a sum of parts ≥ 0")


# --- (14) in symbols

Triple = tuple[Sequence[Any], Sequence[Any], Sequence[Any]]


def _four_terms(
    privileged: Sequence[bool], trust: Any, temperature: Any
) -> tuple[list[Triple], list[Any]]:
    """Symbols y, s and z of each object, K = 3, and the four sums of (14)."""
    objects: list[Triple] = []
    terms = [sp.Integer(0)] * 4
    for i, on in enumerate(privileged):
        y, s = (sp.symbols(f"{name}{i}_1:4", positive=True) for name in "ys")
        z = sp.symbols(f"z{i}_1:4", real=True)
        objects.append((y, s, z))
        log_g, log_soft = log_softmax(z), log_softmax(z, temperature)
        if on:
            terms[1] += (1 - trust) * inner(y, log_g)
            terms[2] += trust * inner(s, log_soft)
            terms[3] += trust * sp.Add(*[log_k + sp.log(-log_k) for log_k in log_soft])
        else:
            terms[0] += inner(y, log_g)
    return objects, terms


def _three_terms_and_loss() -> tuple[Any, Any]:
    """First three sums of (14) at λ = ½ with I everything, and loss (3), of two objects."""
    temperature = sp.Symbol("T", positive=True)
    objects, terms = _four_terms((True, True), sp.Rational(1, 2), temperature)
    losses = [
        -inner(y, log_softmax(z)) - inner(s, log_softmax(z, temperature)) for y, s, z in objects
    ]
    return sum(terms[:3]), sp.Add(*losses)


def _slopes_in_answers(index: int) -> list[Any]:
    trust, temperature = sp.symbols("lam T", positive=True)
    ((_, s, _),), terms = _four_terms((True,), trust, temperature)
    return [sp.diff(terms[index], s_k) for s_k in s]


def _blend(y: Sequence[Any], s: Sequence[Any], trust: Any) -> list[Any]:
    return [(1 - trust) * y_k + trust * s_k for y_k, s_k in zip(y, s, strict=True)]


def _excess_over_blends(blended: Sequence[bool]) -> Any:
    """First three sums of (14) at T_0 = 1, second object in I, plus the cross-entropies."""
    trust = sp.Symbol("lam", positive=True)
    objects, terms = _four_terms((False, True), trust, sp.Integer(1))
    cross_entropies = [
        -inner(_blend(y, s, trust) if on else y, log_softmax(z))
        for (y, s, z), on in zip(objects, blended, strict=True)
    ]
    return sp.expand(sum(terms[:3]) + sp.Add(*cross_entropies))
