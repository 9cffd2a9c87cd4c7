r"""Proofs about the linear student of GS (14) and about the synthetic experiment, GS section 6.2.

Each function takes nothing and returns a `Finding` about one statement.

notation: g = student, s = teacher's answer or true probabilities, y = label, q = (1−λ)y + λs,
λ = trust, T = temperature, z = logits, v = their velocity along a line, φ = F on that line,
M(t) = Σ_k e^{z_k + t v_k} or ∫ e^{⟨z + tv, s⟩} ds, R = reach, ν = decrement, H = entropy,
β = 1/T
"""

from collections.abc import Callable, Sequence
from itertools import permutations, product
from typing import Any

import sympy as sp

from kdtheory.ledger.evidence import Finding
from kdtheory.ledger.matrices import reduced_matrices
from kdtheory.ledger.symbolic import (
    established,
    inner,
    log_softmax,
    reduced,
    simplex_symbols,
    softmax,
)

__all__ = [
    "any_student_pays_log_two_for_an_error",
    "blend_has_less_noise",
    "classes_are_alike_over_permutations",
    "concordance_bounds_the_gap",
    "cross_entropy_is_strictly_proper",
    "curvature_is_a_variance",
    "curvature_of_answers_is_a_variance",
    "entropy_and_top_are_monotone",
    "entropy_is_at_least_twice_log_two_of_the_error",
    "entropy_rises_with_the_temperature",
    "free_teacher_has_a_minimum",
    "gradient_in_the_weights",
    "noiseless_labels_send_all_to_one_class",
    "strong_convexity_bounds_the_gap",
    "student_flattens_with_the_training_temperature",
    "symmetric_matrix_gives_equal_classes",
    "third_derivative_is_a_third_moment",
]

TIME = sp.Symbol("t", real=True)


# --- what a minimiser is


def cross_entropy_is_strictly_proper() -> Finding:
    """The function u − 1 − log u, u = g_k/q_k, is 0 at u = 1 and positive elsewhere.

    So Σ q_k log(q_k/g_k) ≥ Σ q_k (1 − u_k) ≥ 0 over classes with q_k > 0, and 0 only if g = q.
    """
    u = sp.Symbol("u", positive=True)
    excess = u - 1 - sp.log(u)
    return established(
        [
            sp.Eq(excess.subs(u, 1), 0),
            sp.Eq(sp.diff(excess, u).subs(u, 1), 0),
            sp.diff(excess, u, 2) > 0,
        ],
        "log u < u − 1 but at u = 1, so KL(q, g) > 0 unless g = q, every K, zeros in q allowed",
    )


def free_teacher_has_a_minimum() -> Finding:
    """Whether −log softmax(t e_y)_y = log(1 + (K−1)e^{−t}) attains its infimum 0."""
    n = sp.Symbol("n", positive=True)  # K − 1
    loss = sp.log(1 + n * sp.exp(-TIME))
    never = loss.is_positive and sp.limit(loss, TIME, sp.oo) == 0
    return Finding(
        False if never else None,
        "the loss of a label falls to 0 as its logit grows and is positive at every logit",
    )


def noiseless_labels_send_all_to_one_class() -> Finding:
    """Labels that are the argmax of XW: along tW every loss falls and its class's share tends to 1.

    With gaps d_k = z_y − z_k > 0 the share is 1/(1 + Σ e^{−t d_k}); here of two other classes.
    """
    gaps = sp.symbols("d1:3", positive=True)
    share = 1 / (1 + sp.Add(*[sp.exp(-TIME * gap) for gap in gaps]))
    return established(
        [sp.Eq(sp.limit(share, TIME, sp.oo), 1), sp.diff(share, TIME).is_positive],
        "g_y rises to 1 along tW as t → ∞, K = 3",
    )


def gradient_in_the_weights() -> Finding:
    """First three terms of (14), T_0 = 1: gradient Σ x_i (g_i − q_i), q_i = y_i outside I."""
    trust = sp.Symbol("lam", positive=True)
    weights = sp.Matrix(2, 3, sp.symbols("w1:7", real=True))
    x = sp.Matrix(sp.symbols("x1:3", real=True))
    y, s = simplex_symbols("y", 3), simplex_symbols("s", 3)
    z = list(weights.T * x)
    log_g, differences = log_softmax(z), []
    for share in (0, trust):
        loss = -(1 - share) * inner(y, log_g) - share * inner(s, log_g)
        errors = [
            g_k - (1 - share) * y_k - share * s_k
            for g_k, y_k, s_k in zip(softmax(z), y, s, strict=True)
        ]
        gradient = x * sp.Matrix([errors])
        differences += [
            sp.diff(loss, w) - slope for w, slope in zip(weights, gradient, strict=True)
        ]
    return reduced(differences, "an object outside I or in I, two features, K = 3, every λ")


# --- convexity, any K


def curvature_is_a_variance() -> Finding:
    """(log Σ_k e^{z_k + t v_k})″ is Var_g(v), g = softmax(z + tv), K a symbol.

    Logits divided by T have the velocity v/T, hence Var_g(v)/T².
    """
    k, n_classes = sp.symbols("k K", integer=True, positive=True)
    z, v = sp.IndexedBase("z"), sp.IndexedBase("v")
    weight = sp.exp(z[k] + TIME * v[k])
    sums = [sp.Sum(weight * v[k] ** power, (k, 1, n_classes)) for power in range(3)]
    return _bend_is_variance(sums, "log Σ exp along any line, K a symbol")


def curvature_of_answers_is_a_variance() -> Finding:
    """(log ∫ e^{⟨z + tv, s⟩} ds)″ is the variance of ⟨v, s⟩ under (12).

    The integral over the simplex is one over the values u of ⟨v, s⟩, whatever K.
    """
    u, low, high = sp.symbols("u low high", real=True)
    weight = sp.exp(TIME * u) * sp.Function("f")(u)
    sums = [sp.Integral(weight * u**power, (u, low, high)) for power in range(3)]
    return _bend_is_variance(sums, "log ∫ exp along any line, every K")


def third_derivative_is_a_third_moment() -> Finding:
    """∂_t ∂_r² log M at 0 is E(w − Ew)²(v − Ev), for M(t, r) = E e^{tv + rw}; ∂_r² is Var(w).

    As |v − Ev| is at most the range of v, |∂_t ∂_r²| ≤ range(v) Var(w); w = v is the case of a
    line.
    """
    along, across = sp.symbols("t r", real=True)
    moment = sp.Function("M")(along, across)
    orders = list(product(range(2), range(3)))  # of t and of r

    def expectation(i: int, j: int) -> Any:
        """E v^i w^j, times the mass."""
        return sp.Symbol(f"m{i}{j}", positive=True)

    def named(expression: Any) -> Any:
        for i, j in reversed(orders):
            derivative = sp.diff(moment, (along, i), (across, j)) if i + j else moment
            expression = expression.subs(derivative, expectation(i, j))
        return expression

    mass = expectation(0, 0)
    mean_v, mean_w = expectation(1, 0) / mass, expectation(0, 1) / mass
    v, w = sp.symbols("v w")
    moments = []
    for integrand in ((w - mean_w) ** 2, (w - mean_w) ** 2 * (v - mean_v)):
        terms = sp.Poly(sp.expand(integrand), v, w).terms()
        moments.append(sp.Add(*[factor * expectation(i, j) for (i, j), factor in terms]) / mass)
    bend = sp.diff(sp.log(moment), across, 2)
    differences = [
        sp.expand(named(derivative) - about_mean)
        for derivative, about_mean in zip((bend, sp.diff(bend, along)), moments, strict=True)
    ]
    return reduced(differences, "sums over classes and integrals over the simplex alike")


# --- how far from the minimum


def strong_convexity_bounds_the_gap() -> Finding:
    """The value ⟨∇, V⟩ + (c/2)‖V‖² is (c/2)‖V + ∇/c‖² − ‖∇‖²/(2c) ≥ −‖∇‖²/(2c), any size."""
    size = sp.Symbol("n", integer=True, positive=True)
    gradient, step = sp.MatrixSymbol("G", size, 1), sp.MatrixSymbol("V", size, 1)
    c = sp.Symbol("c", positive=True)
    below = gradient.T * step + c / 2 * step.T * step
    moved = step + gradient / c
    square = c / 2 * moved.T * moved - gradient.T * gradient / (2 * c)
    return reduced_matrices([below - square], "W of any size, c = l2")


def concordance_bounds_the_gap() -> Finding:
    """From φ″ ≥ e^{−Rt} and φ′(0) ≥ −ν, twice integrated, at its least over t ≥ 0.

    The least value, −[νR + (1−νR) log(1−νR)]/R², is at t = −log(1−νR)/R, there if νR < 1; at
    R → 0 it is −ν²/2.
    """
    reach, nu, time, tau = sp.symbols("R nu t tau", positive=True)
    u = sp.Symbol("u", positive=True)  # 1 − νR
    slope = sp.integrate(sp.exp(-reach * tau), (tau, 0, time)) - nu
    below = sp.integrate(slope.subs(time, tau), (tau, 0, time))
    best, inside = -sp.log(u) / reach, {nu: (1 - u) / reach}
    least = sp.expand(sp.simplify(below.subs(inside).subs(time, best)))
    bound = -((1 - u) + u * sp.log(u)) / reach**2
    small = sp.limit((reach * nu + (1 - reach * nu) * sp.log(1 - reach * nu)) / reach**2, reach, 0)
    return reduced(
        [
            sp.simplify(slope.subs(inside).subs(time, best)),
            sp.expand(least - bound),
            small - nu**2 / 2,
        ],
        "every ν and R with νR < 1",
    )


# --- entropy, errors and temperature


def entropy_rises_with_the_temperature() -> Finding:
    """dH(softmax(z/T))/dT = Var_g(z)/T³ ≥ 0."""
    return reduced(_entropy_identities(lambda t: 1 / t, TIME**-3), "dH/dT = Var_g(z)/T³, any K")


def student_flattens_with_the_training_temperature() -> Finding:
    """Whether the student of answers s at T_0, λ = 1, read at T = 1, gains entropy with T_0.

    softmax(z/T_0) = s gives softmax(z) = softmax(T_0 log s), so dH/dT_0 = −T_0 Var(log s) ≤ 0.
    """
    finding = reduced(_entropy_identities(lambda t: t, -TIME), "")
    return Finding(
        False if finding.holds else None,
        "trained on fixed answers s at T_0, λ = 1, and read at T = 1 it is softmax(T_0 log s), "
        "whose entropy falls with T_0",
    )


def entropy_is_at_least_twice_log_two_of_the_error() -> Finding:
    """H(s) ≥ 2 log 2 · (1 − m), m = max s, for every K.

    Merging classes lowers H, so for m ≥ ½ H ≥ h(m) = −m log m − (1−m) log(1−m), which is concave
    and meets the line at m = ½ and 1. For m ≤ ½ H ≥ −log m, which is convex and leaves the line's
    value at ½ with a steeper descent.
    """
    m, x, y = sp.symbols("m x y", positive=True)
    half, line = sp.Rational(1, 2), 2 * sp.log(2) * (1 - m)
    binary = -m * sp.log(m) - (1 - m) * sp.log(1 - m)
    apart, together = -x * sp.log(x) - y * sp.log(y), -(x + y) * sp.log(x + y)
    gain = x * sp.log((x + y) / x) + y * sp.log((x + y) / y)  # both quotients are above 1
    identities = reduced(
        [
            sp.expand(sp.expand_log(apart - together - gain, force=True)),
            sp.diff(binary, m, 2) + 1 / (m * (1 - m)),
            (binary - line).subs(m, half),
            sp.limit(binary - line, m, 1, "-"),
            (-sp.log(m) - line).subs(m, half),
        ],
        "",
    )
    return established(
        [
            sp.sympify(identities.holds),
            sp.diff(-sp.log(m), m, 2) > 0,
            sp.diff(-sp.log(m) - line, m).subs(m, half) < 0,
        ],
        "merging classes lowers H, h(m) lies above its chord, −log m above its tangent; every K",
    )


def any_student_pays_log_two_for_an_error() -> Finding:
    """A label y that is not the decision d has g_y ≤ g_d, g_y + g_d ≤ 1: −log g_y ≥ log 2."""
    g, gap, rest = sp.symbols("g gap rest", nonnegative=True)
    # g_d = g + gap and 1 = g_y + g_d + rest
    probability = sp.solve(sp.Eq(2 * g + gap + rest, 1), g)[0]
    return established(
        [sp.sympify((sp.Rational(1, 2) - probability).is_nonnegative)],
        "g_y ≤ ½ at an error, and −log g_y ≥ 0 elsewhere, every K",
    )


# --- the generator


def classes_are_alike_over_permutations() -> Finding:
    """The mean of softmax(z)_1 over all orders of the logits is 1/K.

    The columns of a random W come in every order with the same density.
    """
    differences = []
    for n_classes in (2, 3, 4):
        z = sp.symbols(f"z1:{n_classes + 1}", real=True)
        orders = list(permutations(z))
        mean = sp.Add(*[softmax(order)[0] for order in orders]) / len(orders)
        differences.append(sp.together(mean - sp.Rational(1, n_classes)))
    return reduced(differences, "every W and its permutations together, K = 2, 3, 4")


def symmetric_matrix_gives_equal_classes() -> Finding:
    """W = (w, 0, −w): the second class has 1/(1 + 2 cosh t) at t = ⟨w, x⟩, against a third."""
    t = sp.Symbol("t", positive=True)
    g = softmax((t, 0, -t))[1]
    short = sp.Rational(4, 3) * sp.sinh(t / 2) ** 2 / (1 + 2 * sp.cosh(t))
    identity = reduced([(sp.Rational(1, 3) - g - short).rewrite(sp.exp)], "")
    proved = identity.holds and short.is_positive
    return Finding(
        False if proved else None,
        "W = (w, 0, −w): the second class has less than 1/3 at every x but those orthogonal to w",
    )


def entropy_and_top_are_monotone() -> Finding:
    """Logits (a + b, b, 0), a, b > 0, moved along themselves and along (−b, a + b, −a).

    The second direction is orthogonal to the first and turns towards z_1 = z_2. With
    e^a = 1 + p, e^b = 1 + q, so s ∝ ((1+p)(1+q), 1 + q, 1), the slopes of H and of log s_1 along
    either are sums of positive terms, up to their sign.
    """
    a, b, p, q = sp.symbols("a b p q", positive=True)
    z, turn = (a + b, b, sp.Integer(0)), (-b, a + b, -a)
    weights = [(1 + p) * (1 + q), 1 + q, sp.Integer(1)]
    total = sp.Add(*weights)

    def covariance(left: Sequence[Any], right: Sequence[Any]) -> Any:
        """Under s, times total²."""
        product = [l * r for l, r in zip(left, right, strict=True)]
        return inner(weights, product) * total - inner(weights, left) * inner(weights, right)

    turning = (1 + q) * ((1 + p) * q * a * (a + 2 * b) + p * b * (2 * a + b))
    spread = (1 + q) * ((1 + p) * ((1 + q) * a**2 + (a + b) ** 2) + b**2)
    top = (1 + q) * a + (a + b)
    fall = q * (a + 2 * b) + 3 * b
    differences = [
        inner(z, turn),
        sum(turn),
        covariance(z, turn) + turning,  # dH = −Cov(z, ·)
        covariance(z, z) - spread,
        z[0] * total - inner(weights, z) - top,  # d log s_1 = velocity_1 − its mean
        turn[0] * total - inner(weights, turn) + fall,
    ]
    identities = reduced(differences, "")
    return established(
        [
            sp.sympify(identities.holds),
            *(part.is_positive for part in (turning, spread, top, fall)),
        ],
        "K = 3: H falls and max s rises with the radius, and the reverse from (2, −1, −1) to "
        "(1, 1, −2)",
    )


def blend_has_less_noise() -> Finding:
    """Given x the covariance of (1−λ)y + λs is (1−λ)² (diag s − ssᵀ), that of y with λ = 0."""
    trust = sp.Symbol("lam", positive=True)
    differences = []
    for n_classes in (2, 3, 4):
        s = simplex_symbols("s", n_classes)
        for j in range(n_classes):
            for k in range(n_classes):
                spread = sp.Add(
                    *[
                        s_y
                        * ((1 - trust) * int(j == y) + trust * s[j] - s[j])
                        * ((1 - trust) * int(k == y) + trust * s[k] - s[k])
                        for y, s_y in enumerate(s)
                    ]
                )
                right = (1 - trust) ** 2 * (int(j == k) * s[j] - s[j] * s[k])
                differences.append(sp.expand(spread - right))
    return reduced(differences, "K = 2, 3, 4, every λ")


# --- in common


def _named(expression: Any, parts: Sequence[Any]) -> Any:
    """Symbols in place of sums, integrals or derivatives, the last of the list first."""
    for order, part in reversed(list(enumerate(parts))):
        expression = expression.subs(part, sp.Symbol(f"m{order}", positive=True))
    return expression


def _bend_is_variance(sums: Sequence[Any], scope: str) -> Finding:
    """(log of the first)″ is the second moment about the mean, given the moments not divided."""
    mass, first, second = sums
    mean = first / mass
    variance = (second - 2 * mean * first + mean**2 * mass) / mass
    return reduced([_named(sp.diff(sp.log(mass), TIME, 2) - variance, sums)], scope)


def _entropy_identities(beta: Callable[[Any], Any], factor: Any) -> list[Any]:
    """With g = softmax(βz), A = log Σ e^{βz}: H = A − βA′ and dH/dt = factor · A″.

    A′ is the mean of z under g and A″ its variance, whatever K.
    """
    at = sp.Symbol("beta", positive=True)
    log_total = sp.Function("A")(at)
    entropy = log_total - at * sp.diff(log_total, at)
    slope, bend = sp.diff(entropy, at), sp.diff(log_total, at, 2)
    chain = (slope / bend).subs(at, beta(TIME)) * sp.diff(beta(TIME), TIME)
    z = sp.symbols("z1:4", real=True)
    scaled = [at * z_k for z_k in z]
    definition = -inner(softmax(scaled), log_softmax(scaled))
    total = sp.log(sp.Add(*[sp.exp(x) for x in scaled]))
    return [definition - total + at * sp.diff(total, at), sp.simplify(chain) - factor]
