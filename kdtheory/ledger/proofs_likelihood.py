"""Proofs about the temperature, the distillation loss and the likelihoods: GS (3) to (11).

Each function takes nothing and returns a `Finding` about one statement.

notation: z, v = logits of student and teacher, g = student, f, s = teacher's answers, y = labels,
I = objects with a teacher's answer, T = temperature, λ = trust, p_i = p(y_i|x_i, g),
q_i = p(s_i|x_i, g)
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import sympy as sp

from kdtheory.ledger.evidence import Finding
from kdtheory.ledger.symbolic import (
    established,
    inner,
    log_softmax,
    reduced,
    simplex_symbols,
    softmax,
    two_class_density,
    two_class_integral,
)

__all__ = [
    "answers_at_one_temperature_give_all",
    "cold_softmax_at_a_tie_is_one_hot",
    "cold_softmax_at_a_unique_maximum_is_one_hot",
    "features_decide_nothing_more",
    "gaussian_estimates_agree",
    "given_features_label_and_answer_covary",
    "hidden_bit_that_tells_nothing",
    "hidden_bit_that_tells_the_label",
    "hot_softmax_is_uniform",
    "joint_likelihood_factorises",
    "joint_likelihood_has_mass_one",
    "label_likelihood_has_mass_one",
    "likelihood_is_cross_entropy",
    "literal_loss_sees_the_label",
    "log_likelihood_has_unit_weights",
    "loss_is_entropies_and_divergences",
    "minimum_at_unit_temperature",
    "no_teacher_leaves_the_labels",
    "over_features_label_and_answer_covary",
    "printed_joint_has_mass_one",
    "privileged_objects_weigh_half",
    "soft_gradient_falls_as_inverse_square",
    "trust_at_its_ends",
    "trust_moves_towards_the_teacher",
]


# --- temperature


def cold_softmax_at_a_unique_maximum_is_one_hot() -> Finding:
    """The ratio g_k / g_max = exp(−gap/T) vanishes for every positive gap, whatever K."""
    gap, temperature = sp.symbols("gap T", positive=True)
    limit = sp.limit(sp.exp(-gap / temperature), temperature, 0, "+")
    return established([sp.Eq(limit, 0)], "g_k/g_max = exp(−gap/T) → 0 for every gap > 0, any K")


def cold_softmax_at_a_tie_is_one_hot() -> Finding:
    """The largest probability at the logits (z, z, z − gap) tends to 1, or not."""
    gap, temperature = sp.symbols("gap T", positive=True)
    limit = sp.limit(1 / (2 + sp.exp(-gap / temperature)), temperature, 0, "+")
    return established([sp.Eq(limit, 1)], f"logits (z, z, z − gap) tend to ({limit}, {limit}, 0)")


def hot_softmax_is_uniform() -> Finding:
    """The ratio g_j / g_k = exp(gap/T) tends to 1 for every gap, whatever K."""
    gap, temperature = sp.Symbol("gap", real=True), sp.Symbol("T", positive=True)
    limit = sp.limit(sp.exp(gap / temperature), temperature, sp.oo)
    return established([sp.Eq(limit, 1)], "g_j/g_k = exp(gap/T) → 1 for every gap, any K")


# --- the distillation loss (3) and its minimum (4)


def literal_loss_sees_the_label() -> Finding:
    """Whether Σ_k y^k log g(x) with the whole vector g, as printed, differs between labels."""
    log_g = sp.symbols("l1:4", real=True)
    first, second = ([sum(y) * l for l in log_g] for y in ((1, 0, 0), (0, 1, 0)))
    return established(
        [sp.Ne(sp.Matrix(first), sp.Matrix(second))],
        "without the index k the sum is the whole vector log g, the same for every label",
    )


def loss_is_entropies_and_divergences() -> Finding:
    """(3) by components is H(y) + KL(y, g) + H(f) + KL(f, g at T_0)."""
    y, f = sp.symbols("y1:4", positive=True), sp.symbols("f1:4", positive=True)
    z = sp.symbols("z1:4", real=True)
    log_g, log_soft = log_softmax(z), log_softmax(z, sp.Symbol("T", positive=True))
    difference = -inner(y, log_g) - inner(f, log_soft)
    for p, log_q in ((y, log_g), (f, log_soft)):
        log_p = [sp.log(p_k) for p_k in p]
        divergence = sp.Add(*[p_k * (lp - lq) for p_k, lp, lq in zip(p, log_p, log_q, strict=True)])
        difference += inner(p, log_p) - divergence
    return reduced([sp.expand(difference)], "K = 3, every T_0")


def soft_gradient_falls_as_inverse_square() -> Finding:
    """The soft term's gradient is (g − f)/T, and T² times it tends to (z − v)/K, both centred."""
    temperature, inverse = sp.symbols("T inverse", positive=True)
    differences = []
    for n_classes in (2, 3, 4):
        z, v = (sp.symbols(f"{name}1:{n_classes + 1}", real=True) for name in "zv")
        g, f = softmax(z, temperature), softmax(v, temperature)
        answer = simplex_symbols("f", n_classes)
        loss = -inner(answer, log_softmax(z, temperature))
        slope = sp.diff(loss, z[0]) - (g[0] - answer[0]) / temperature
        # the limit T → ∞ of T² (g − f)/T is the derivative of g − f in 1/T at 0
        limit = sp.diff((g[0] - f[0]).subs(temperature, 1 / inverse), inverse).subs(inverse, 0)
        centred = (z[0] - v[0]) - (sum(z) - sum(v)) / sp.Integer(n_classes)
        differences += [slope, sp.expand(limit - centred / n_classes)]
    return reduced(differences, "K = 2, 3, 4")


def minimum_at_unit_temperature() -> Finding:
    """At T_0 = 1 the gradient of (3) in the logits is 2g − y − f, 0 at g = (y + f)/2."""
    differences = []
    for n_classes in (2, 3, 4):
        z = sp.symbols(f"z1:{n_classes + 1}", real=True)
        y, f = simplex_symbols("y", n_classes), simplex_symbols("f", n_classes)
        log_g = log_softmax(z)
        loss = -inner(y, log_g) - inner(f, log_g)
        differences += [
            sp.diff(loss, z_k) - (2 * g_k - y_k - f_k)
            for z_k, g_k, y_k, f_k in zip(z, softmax(z), y, f, strict=True)
        ]
    return reduced(differences, "gradient 2g − y − f, K = 2, 3, 4")


def answers_at_one_temperature_give_all() -> Finding:
    """softmax(v/T) = f^{1/T} / Σ f^{1/T} with f = softmax(v)."""
    v = sp.symbols("v1:4", real=True)
    temperature = sp.Symbol("T", positive=True)
    log_total = sp.Symbol("log_total", real=True)  # f_k = exp(v_k − log_total)
    powers = [sp.exp((v_k - log_total) / temperature) for v_k in v]
    differences = [
        softened - power / sum(powers)
        for softened, power in zip(softmax(v, temperature), powers, strict=True)
    ]
    return reduced(differences, "K = 3, every T_0")


def features_decide_nothing_more() -> Finding:
    """Teachers v and v + c with the same answers give the same loss (3)."""
    z, v = sp.symbols("z1:4", real=True), sp.symbols("v1:4", real=True)
    temperature, c = sp.Symbol("T", positive=True), sp.Symbol("c", real=True)
    log_soft = log_softmax(z, temperature)
    moved = [v_k + c for v_k in v]
    losses = [inner(softmax(logits, temperature), log_soft) for logits in (v, moved)]
    return reduced([losses[0] - losses[1]], "K = 3, every T_0")


# --- maximum likelihood: (5) to (10)


def label_likelihood_has_mass_one() -> Finding:
    """(5) summed over all labels is 1; over those of the other objects, one object's p."""
    differences = []
    for n_classes in (2, 3):
        g = [simplex_symbols(f"g{i}_", n_classes) for i in range(3)]
        classes = range(n_classes)
        total = sum(g[0][i] * g[1][j] * g[2][k] for i, j, k in product(classes, repeat=3))
        first = sum(g[0][0] * g[1][j] * g[2][k] for j, k in product(classes, repeat=2))
        differences += [sp.expand(total - 1), sp.expand(first - g[0][0])]
    return reduced(differences, "three objects, K = 2, 3")


def likelihood_is_cross_entropy() -> Finding:
    """−log of the likelihood in (6) is the first sum of (3)."""
    cells = [(i, k) for i in range(2) for k in range(3)]
    g = {cell: sp.Symbol(f"g{cell}", positive=True) for cell in cells}
    y = {cell: sp.Symbol(f"y{cell}", real=True) for cell in cells}
    likelihood = sp.Mul(*[g[cell] ** y[cell] for cell in cells])
    cross_entropy = -sp.Add(*[y[cell] * sp.log(g[cell]) for cell in cells])
    return reduced([sp.expand_log(-sp.log(likelihood)) - cross_entropy], "two objects, K = 3")


def joint_likelihood_has_mass_one() -> Finding:
    """(7) with an answer whose law depends on the label: sums and integrals give 1."""
    s = sp.Symbol("s", positive=True)
    tilts = sp.symbols("t1:3", positive=True)
    g, h = simplex_symbols("g", 2), simplex_symbols("h", 2)
    answers = [sp.integrate(two_class_density(tilt, s), (s, 0, 1)) for tilt in tilts]
    total = sum(g_j * inner(h, answers) for g_j in g)
    return reduced([total - 1], "one object outside I and one in I, K = 2")


def printed_joint_has_mass_one() -> Finding:
    """Whether (8) as printed, |I| = 2, summed over y_1 and integrated over s_1, is 1."""
    z, w, s = sp.symbols("z w s", positive=True)
    own = sp.integrate(two_class_density(z, s), (s, 0, 1))
    mass = sum(simplex_symbols("g", 2)) * own * two_class_density(w, sp.Symbol("s2", positive=True))
    return reduced([mass - 1], "with two objects in I the printed product has mass p(s_2|x_2, g)")


def joint_likelihood_factorises() -> Finding:
    """(7) with p(y|x) p(s|x) for each object of I is (9), of mass 1."""
    p, q = sp.symbols("p1:4", positive=True), sp.symbols("q1:4", positive=True)
    seven = p[0] * sp.Mul(*[p[i] * q[i] for i in (1, 2)])
    nine = p[0] * (p[1] * p[2]) * (q[1] * q[2])
    z, s = sp.symbols("z s", positive=True)
    mass = sum(simplex_symbols("g", 2)) * sp.integrate(two_class_density(z, s), (s, 0, 1))
    return reduced([seven - nine, mass - 1], "three objects, two of them in I")


def given_features_label_and_answer_covary() -> Finding:
    """Whether [y = 1] and s covary under (9) for one x, K = 2."""
    z, s = sp.symbols("z s", positive=True)
    g = softmax((z, 0))[0]
    joint = sp.integrate(g * s * sp.exp(z * s), (s, 0, 1)) / two_class_integral(z)
    covariance = sp.simplify(joint - g * _mean_answer(z))
    return established([sp.Ne(covariance, 0)], f"their covariance given x and g is {covariance}")


def over_features_label_and_answer_covary() -> Finding:
    """The same covariance over two equally likely x with logits (1, 0) and (2, 0)."""
    g, h = (softmax((z, 0))[0] for z in (1, 2))
    mu, nu = (_mean_answer(sp.Integer(z)) for z in (1, 2))
    covariance = (g * mu + h * nu) / 2 - (g + h) * (mu + nu) / 4
    return established(
        [covariance > 0], f"over two x of logits (1, 0) and (2, 0) it is {covariance.evalf(3)}"
    )


def hidden_bit_that_tells_the_label() -> Finding:
    """Whether p(s|y, x) = p(s|x) if the teacher answers with a bit x* that tells about y."""
    return reduced(
        [_information(*sp.symbols("pi alpha beta", positive=True))],
        "x* a bit with p(y=1|x*) = α or β, s = f(x*): p(s|y, x) is not p(s|x)",
    )


def hidden_bit_that_tells_nothing() -> Finding:
    """The same with p(y=1|x*) the same for both values of the bit."""
    weight, alpha = sp.symbols("pi alpha", positive=True)
    return reduced([_information(weight, alpha, alpha)], "p(s|y, x) = p(s|x) when α = β")


def log_likelihood_has_unit_weights() -> Finding:
    """The logarithm of (10) is Σ log p(y_i) + Σ_I log p(s_i): every weight is 1."""
    p, q = sp.symbols("p1:4", positive=True), sp.symbols("q1:4", positive=True)
    likelihood = p[0] * (p[1] * p[2]) * (q[1] * q[2])
    log_p, log_q = ([sp.log(x) for x in xs] for xs in (p, q))
    joint = _log_joint(log_p, log_q, (False, True, True))
    difference = sp.expand_log(sp.log(likelihood)) - joint
    return reduced([difference], "three objects, two of them in I")


# --- the weighted likelihood (11)


def gaussian_estimates_agree() -> Finding:
    """Maximisers of (10) and (11) for a constant student with Gaussian errors (GS 5.2)."""
    w, trust = sp.symbols("w lam", real=True)
    y1, y2, s2 = sp.symbols("y1 y2 s2", real=True)
    log_y, log_s = [-((y - w) ** 2) / 2 for y in (y1, y2)], [0, -((s2 - w) ** 2) / 2]
    privileged = (False, True)
    objectives = (
        _log_joint(log_y, log_s, privileged),
        _weighted(log_y, log_s, privileged, trust),
    )
    ten, eleven = (sp.solve(sp.diff(objective, w), w)[0] for objective in objectives)
    return reduced([ten - eleven], f"maximisers {sp.expand(ten)} and {sp.expand(eleven)}")


def privileged_objects_weigh_half() -> Finding:
    """(11) at λ = ½ is half of log (10) if I is everything, all of it if I is empty."""
    log_y, log_s = sp.symbols("u1:3", real=True), sp.symbols("w1:3", real=True)
    half = sp.Rational(1, 2)
    differences = [
        _weighted(log_y, log_s, (on, on), half) - weight * _log_joint(log_y, log_s, (on, on))
        for on, weight in ((True, half), (False, 1))
    ]
    return reduced(differences, "(11) at λ = ½ is ½ log (10) on I and log (10) outside")


def no_teacher_leaves_the_labels() -> Finding:
    """With I empty, log (10) and (11) are the log-likelihood of (6) for every λ."""
    log_y, log_s = sp.symbols("u1:4", real=True), sp.symbols("w1:4", real=True)
    nobody, trust = (False, False, False), sp.Symbol("lam", real=True)
    return reduced(
        [
            _log_joint(log_y, log_s, nobody) - sum(log_y),
            _weighted(log_y, log_s, nobody, trust) - sum(log_y),
        ],
        "(10) and (11) for I empty, every λ",
    )


def trust_at_its_ends() -> Finding:
    """(11) at λ = 0 is the log-likelihood of (6); at λ = 1 the labels of I have left."""
    log_y, log_s = sp.symbols("u1:3", real=True), sp.symbols("w1:3", real=True)
    none, full = (_weighted(log_y, log_s, (False, True), sp.Integer(trust)) for trust in (0, 1))
    return reduced([none - sum(log_y), full - log_y[0] - log_s[1]], "λ = 0 and λ = 1")


def trust_moves_towards_the_teacher() -> Finding:
    """Optimality of g at λ and of h at λ′ > λ adds up to (λ′ − λ)(A(h) − A(g)) ≥ 0.

    A is the teacher's term less the label term on I: it never falls as λ grows, in any family.
    """
    trust, more = sp.symbols("lam more", real=True)
    at_g, at_h = (sp.symbols(f"rest_{name} label_{name} teacher_{name}") for name in "gh")

    def objective(values: Sequence[Any], weight: Any) -> Any:
        rest, label, teacher = values
        return rest + (1 - weight) * label + weight * teacher

    gains = objective(at_h, more) - objective(at_g, more)
    gains += objective(at_g, trust) - objective(at_h, trust)
    advantage = (at_h[2] - at_h[1]) - (at_g[2] - at_g[1])
    return reduced([sp.expand(gains - (more - trust) * advantage)], "for any family of students")


def _mean_answer(logit: Any) -> Any:
    """Mean of s_1 under (12) with its right constant, K = 2."""
    s = sp.Symbol("s", positive=True)
    return sp.integrate(s * sp.exp(logit * s), (s, 0, 1)) / two_class_integral(logit)


def _log_joint(log_p: Sequence[Any], log_q: Sequence[Any], privileged: Sequence[bool]) -> Any:
    """Logarithm of (9) and (10)."""
    return sum(log_p) + inner(map(int, privileged), log_q)


def _weighted(
    log_p: Sequence[Any], log_q: Sequence[Any], privileged: Sequence[bool], trust: Any
) -> Any:
    """The objective of (11)."""
    inside = [int(on) for on in privileged]
    outside = [1 - on for on in inside]
    labels = inner(outside, log_p) + (1 - trust) * inner(inside, log_p)
    return labels + trust * inner(inside, log_q)


def _information(weight: Any, first: Any, second: Any) -> Any:
    """p(x*=1 | y=1, x) − p(x*=1 | x) for a bit x* with p(x*=1) = weight."""
    return weight * first / (weight * first + (1 - weight) * second) - weight
