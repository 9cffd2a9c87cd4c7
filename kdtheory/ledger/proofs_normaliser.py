r"""Proofs about GS (12), (13) and Theorem 1: the integral over the simplex, step by step.

Each function takes nothing and returns a `Finding` about one statement.

notation: K = number of classes, g = student, a = log g, x = −log g > 0, s = point of the simplex,
Z = ∫ exp⟨a, s⟩ ds, r = value of one coordinate, z = a_1 − a_2 for two classes
"""

from functools import cache
from itertools import product
from typing import Any

import sympy as sp

from kdtheory.ledger.evidence import Finding
from kdtheory.ledger.symbolic import (
    established,
    inner,
    lagrange,
    printed_constant,
    reduced,
    simplex_symbols,
    softmax,
    two_class_density,
    two_class_integral,
    variance_identities,
)

__all__ = [
    "answer_at_a_vertex_has_no_estimate",
    "approximation_removes_the_whole_bracket",
    "continuous_bernoulli_constant",
    "corrected_density_has_mass_one",
    "covariance_by_repeated_nodes",
    "divided_difference_recurrence",
    "incomplete_gamma_is_its_sum",
    "incomplete_gamma_is_the_printed_sum",
    "lagrange_form_at_ties",
    "lagrange_form_is_the_integral",
    "last_line_is_the_printed_constant",
    "mean_by_a_repeated_node",
    "mean_equal_to_g_is_uniform",
    "printed_constant_is_positive",
    "printed_radial_measure_has_the_right_mass",
    "printed_value_of_the_radial_integral",
    "radial_integral_is_incomplete_gamma",
    "series_of_complete_polynomials",
    "shift_scales_the_integral",
    "slice_measure",
    "surface_is_root_of_the_classes",
]


# --- the steps of the proof


def printed_constant_is_positive() -> Finding:
    """With g = exp(−x), x > 0, every factor of C is positive: K = 1 … 6."""
    x = sp.symbols("x1:7", positive=True)
    conditions = [printed_constant(x[:n_classes]) > 0 for n_classes in range(1, 7)]
    return established(conditions, "(−1)^K ∏ log g = ∏ (−log g) > 0 for every g in (0, 1), K ≤ 6")


def printed_radial_measure_has_the_right_mass() -> Finding:
    """At g → 1 the printed radial integral over the simplex's volume is 1, or not, K a symbol."""
    n_classes, r = sp.Symbol("K", positive=True), sp.Symbol("r", positive=True)
    printed = sp.sqrt(n_classes) / sp.gamma(n_classes) / sp.sqrt(2) ** (n_classes - 1)
    printed *= sp.integrate(r ** (n_classes - 1), (r, 0, 1))
    volume = 1 / sp.gamma(n_classes)
    ratios = [sp.simplify(printed / (volume * unit)) for unit in (1, sp.sqrt(n_classes))]
    equal = [sp.Eq(ratio.subs(n_classes, k), 1) for ratio in ratios for k in range(2, 10)]
    return established(equal, "at g → 1 it is 1/√(K 2^{K−1}) of ∫ ds, and 1/√K of that on surfaces")


def slice_measure() -> Finding:
    """The slice {s_1 = r} has measure (1 − r)^(K−2)/(K−2)!, and ∫ g^s ds follows from it."""
    x, r = sp.symbols("x r", positive=True)
    differences = []
    for n_classes in (2, 3, 4):
        others = sp.symbols(f"s2:{n_classes}", positive=True)
        slice_ = sp.Integer(1)
        for i in reversed(range(len(others))):
            slice_ = sp.integrate(slice_, (others[i], 0, 1 - r - sum(others[:i])))
        measure = (1 - r) ** (n_classes - 2) / sp.factorial(n_classes - 2)
        integral = sp.integrate(sp.expand(measure * sp.exp(-x * r)), (r, 0, 1))
        # the divided difference of exp at −x, 0, …, 0
        taylor = _taylor(-x, 0, n_classes - 2)
        confluent = (sp.exp(-x) - taylor) / (-x) ** (n_classes - 1)
        differences += [sp.expand(slice_ - measure), sp.expand(integral - confluent)]
    return reduced(differences, "K = 2, 3, 4")


def printed_value_of_the_radial_integral() -> Finding:
    """Whether x γ(K, x), as printed, is x^{−K} γ(K, x), K a symbol."""
    n_classes, x = sp.symbols("K x", positive=True)
    gamma = sp.lowergamma(n_classes, x)
    ratio = sp.powsimp((x * gamma) / (x**-n_classes * gamma))
    return reduced(
        [ratio - 1], f"printed over right value: {ratio} with x = −log g, so only g = 1/e"
    )


def radial_integral_is_incomplete_gamma() -> Finding:
    """∫ r^(K−1) e^{−xr} dr = x^{−K} γ(K, x), by r = t/x for every K, outright for K ≤ 5."""
    n_classes, x, t, r = sp.symbols("K x t r", positive=True)
    substituted = (t / x) ** (n_classes - 1) * sp.exp(-t) / x
    differences = [substituted - x**-n_classes * t ** (n_classes - 1) * sp.exp(-t)]
    for k in range(1, 6):
        outright = sp.integrate(r ** (k - 1) * sp.exp(-x * r), (r, 0, 1))
        incomplete = sp.integrate(t ** (k - 1) * sp.exp(-t), (t, 0, x))
        differences.append(sp.expand(outright - incomplete / x**k))
    return reduced(differences, "by substitution for every K, outright for K = 1 … 5")


def incomplete_gamma_is_the_printed_sum() -> Finding:
    """1 − g exp_{K−1}(x) + g against γ(K, x)/(K−1)! in three readings of exp_{K−1}."""
    x = sp.Symbol("x", positive=True)
    readings = [
        sp.expand(
            1
            - sp.exp(-x) * _taylor(x, first, n_classes - past)
            + sp.exp(-x)
            - _bracket(x, n_classes)
        )
        for n_classes in range(2, 7)
        for first, past in ((0, 2), (0, 1), (1, 1))
    ]
    equal = [sp.false if excess.is_positive else sp.Eq(excess, 0) for excess in readings]
    return established(
        equal,
        "too large by g(1 + x^{K−1}/(K−1)!), g or 2g, as exp_{K−1} sums over j < K−1, j < K or "
        "0 < j < K; K = 2 … 6",
    )


def incomplete_gamma_is_its_sum() -> Finding:
    """γ(K, x) = (K−1)! (1 − e^{−x} Σ_{j<K} x^j/j!): K ≤ 7, and the step from K to K + 1."""
    x, t, n_classes = sp.symbols("x t K", positive=True)
    differences = [
        sp.expand(
            sp.integrate(t ** (k - 1) * sp.exp(-t), (t, 0, x))
            - sp.factorial(k - 1) * _bracket(x, k)
        )
        for k in range(1, 8)
    ]
    # γ(K+1)/K! − γ(K)/(K−1)! = −e^{−x} x^K/K!: equal at 0, and so are the derivatives (times K!)
    left = x**n_classes * sp.exp(-x) - n_classes * x ** (n_classes - 1) * sp.exp(-x)
    differences.append(left - sp.diff(-sp.exp(-x) * x**n_classes, x))
    return reduced(differences, "K = 1 … 7 and the step K → K + 1 for a symbol")


def last_line_is_the_printed_constant() -> Finding:
    """The last line of (13) with exp for exp_{K−1} is the printed C: that algebra is right."""
    differences = []
    for n_classes in range(2, 6):
        x = sp.symbols(f"x1:{n_classes + 1}", positive=True)
        factor = (-sp.sqrt(n_classes)) ** n_classes
        factor /= 2 ** (sp.Integer(n_classes * (n_classes - 1)) / 2)
        brackets = [1 - sp.exp(-x_k) * sp.exp(x_k) + sp.exp(-x_k) for x_k in x]
        line = factor * sp.Mul(*[-x_k * bracket for x_k, bracket in zip(x, brackets, strict=True)])
        differences.append(line - printed_constant(x))
    return reduced(differences, "K = 2 … 5")


def approximation_removes_the_whole_bracket() -> Finding:
    """The right bracket is the relative error of exp_{K−1} ≈ exp itself, so 0 is left of it."""
    x = sp.Symbol("x", positive=True)
    differences = [1 - sp.exp(-x) * sp.exp(x)]
    for n_classes in range(2, 7):
        error = (sp.exp(x) - _taylor(x, 0, n_classes - 1)) / sp.exp(x)
        differences.append(sp.expand(_bracket(x, n_classes) - error))
    return reduced(differences, "right bracket = relative error of the approximation, K = 2 … 6")


# --- the theorem, corrected


def divided_difference_recurrence() -> Finding:
    """(a_K − a_{K+1}) Z(a_1 … a_{K+1}) = Z(… a_K) − Z(… a_{K+1}), for the integral and the sum.

    For the integral: integrate out how two classes split their common amount t. For the sum:
    compare the coefficients of e^c for each of the other nodes c, of e^p and of e^q.
    """
    p, q, c, t, u = sp.symbols("p q c t u", real=True)
    split = _exponential_integral(sp.exp(p * u + q * (t - u)), u, t)
    return reduced(
        [
            sp.expand((p - q) * split - (sp.exp(p * t) - sp.exp(q * t))),
            (p - q) / ((c - p) * (c - q)) - (1 / (c - p) - 1 / (c - q)),
            (p - q) / (p - q) - 1,
            (p - q) / (q - p) + 1,
        ],
        "the step K → K + 1, from Z(a_1) = exp a_1",
    )


def lagrange_form_is_the_integral() -> Finding:
    """∫ exp⟨a, s⟩ ds, one variable after the other, is Σ e^{a_k}/∏(a_k − a_j)."""
    differences = []
    for n_classes in (2, 3):
        a = sp.symbols(f"a1:{n_classes + 1}", real=True)
        differences.append(_over_exponentials(_nested_integral(a) - lagrange(a), a))
    return reduced(differences, "nested integration, K = 2, 3")


def lagrange_form_at_ties() -> Finding:
    """Limits of that sum at (a, a), (0, 0, z) and (0, 0, 0) are the integrals there."""
    a, h = sp.symbols("a h", real=True)
    z, s = sp.symbols("z s", positive=True)
    pair = sp.limit(lagrange((a, a + h)), h, 0)
    triple = sp.limit(lagrange((0, h, z)), h, 0)
    integral = sp.integrate(sp.expand((1 - s) * sp.exp(z * s)), (s, 0, 1))
    volume = sp.limit(triple, z, 0)
    return reduced(
        [pair - sp.exp(a), triple - integral, volume - sp.Rational(1, 2)],
        "limits at (a, a), (0, 0, z) and (0, 0, 0)",
    )


def corrected_density_has_mass_one() -> Finding:
    """∫ C ∏ g_k^{s_k} ds = 1 with C = 1/Z in Lagrange's form."""
    differences = []
    for n_classes in (2, 3):
        a = sp.symbols(f"a1:{n_classes + 1}", real=True)
        differences.append(_over_exponentials(_nested_integral(a) / lagrange(a), a) - 1)
    return reduced(differences, "K = 2, 3, every g with distinct entries")


def surface_is_root_of_the_classes() -> Finding:
    """(s_1 … s_{K−1}) → s has the Gram matrix I + 11ᵀ, of determinant K."""
    differences = []
    for n_classes in range(2, 9):
        jacobian = sp.eye(n_classes - 1).col_join(-sp.ones(1, n_classes - 1))
        differences.append((jacobian.T * jacobian).det() - n_classes)
    return reduced(differences, "Gram determinant K, for K = 2 … 8")


def shift_scales_the_integral() -> Finding:
    """⟨a + c, s⟩ = ⟨a, s⟩ + c on the simplex, so Z(a + c) = e^c Z(a)."""
    c = sp.Symbol("c", real=True)
    differences = []
    for n_classes in (2, 3, 4, 5):
        a = sp.symbols(f"a1:{n_classes + 1}", real=True)
        s = simplex_symbols("s", n_classes)
        shifted = inner([a_k + c for a_k in a], s) - inner(a, s)
        differences.append(sp.expand(shifted - c))
    return reduced(differences, "K = 2 … 5")


def series_of_complete_polynomials() -> Finding:
    """∫ ⟨b, s⟩^n/n! ds = h_n(b)/(n + K − 1)!."""
    differences = []
    for n_classes, n in product((2, 3), range(5)):
        b = sp.symbols(f"b1:{n_classes + 1}", real=True)
        free = sp.symbols(f"s1:{n_classes}", positive=True)
        integral = inner(b, [*free, 1 - sum(free)]) ** n / sp.factorial(n)
        for i in reversed(range(n_classes - 1)):
            polynomial = sp.Poly(integral, free[i]).integrate(free[i]).as_expr()
            integral = sp.expand(polynomial.subs(free[i], 1 - sum(free[:i])))
        complete = sp.Add(
            *[
                sp.Mul(*[b_k**power for b_k, power in zip(b, powers, strict=True)])
                for powers in product(range(n + 1), repeat=n_classes)
                if sum(powers) == n
            ]
        )
        differences.append(sp.expand(integral - complete / sp.factorial(n + n_classes - 1)))
    return reduced(differences, "K = 2, 3 and n = 0 … 4")


# --- moments


def mean_by_a_repeated_node() -> Finding:
    """Splitting s_k between two nodes a_k brings the factor s_k: any K; outright for K = 2."""
    a, s, u, z = sp.symbols("a s u z", positive=True)
    split = sp.integrate(sp.exp(a * u + a * (s - u)), (u, 0, s))
    outright = sp.integrate(s * sp.exp(z * s), (s, 0, 1))
    repeated = sp.limit(lagrange((z, z + u, 0)), u, 0)
    return reduced(
        [
            split - s * sp.exp(a * s),
            sp.expand(outright - repeated),
            sp.expand(outright - sp.diff(two_class_integral(z), z)),
        ],
        "node splitting for every K, outright for K = 2",
    )


def covariance_by_repeated_nodes() -> Finding:
    """Three nodes a_k bring s_k²/2, hence 1 + δ_jk in E[s_j s_k]; outright for K = 2."""
    a, s, t, u, z = sp.symbols("a s t u z", positive=True)
    split = sp.integrate(sp.exp(a * s), (u, 0, s - t), (t, 0, s))
    outright = sp.integrate(s**2 * sp.exp(z * s), (s, 0, 1))
    # exp[z, z, z, 0] is half the second derivative of exp[node, 0] in its node
    tripled = sp.diff(two_class_integral(z), z, 2) / 2
    return reduced(
        [split - s**2 / 2 * sp.exp(a * s), sp.expand(outright - 2 * tripled)],
        "node splitting for every K, outright for K = 2",
    )


def continuous_bernoulli_constant() -> Finding:
    """1/Z for K = 2 is 2 artanh(1 − 2g)/(1 − 2g), the constant of the continuous Bernoulli."""
    z, s = sp.symbols("z s", positive=True)
    g, h = softmax((z, 0))
    integral = sp.integrate(sp.exp(z * s), (s, 0, 1)) * h  # of g^s h^(1−s)
    # 2 artanh(1 − 2g) = log(h/g) = −z, as a difference of logarithms whose exponential is exact
    odds = sp.simplify((2 - 2 * g) / (2 * g) - sp.exp(-z))
    return reduced([odds, sp.simplify(integral * (-z) / (1 - 2 * g) - 1)], "every g in (½, 1)")


def mean_equal_to_g_is_uniform() -> Finding:
    """If μ were g, the slope of log Z on the way from uniform to g would be 0.

    It is Σ μ_k (g_k − 1/K)/g_k, and negative for g other than uniform: Z is symmetric and, on
    the simplex, strictly concave in g.
    """
    differences = []
    for n_classes in (2, 3, 4):
        g = simplex_symbols("g", n_classes)
        uniform = sp.Rational(1, n_classes)
        differences.append(sp.simplify(inner(g, [(g_k - uniform) / g_k for g_k in g])))
    return reduced([*differences, *variance_identities()], "K = 2, 3, 4")


def answer_at_a_vertex_has_no_estimate() -> Finding:
    """K = 2, s = (1, 0): the density z/(1 − e^{−z}) at s grows beyond every bound."""
    z = sp.Symbol("z", positive=True)
    density = two_class_density(z, 1)
    return established(
        [sp.Eq(sp.limit(density, z, sp.oo), sp.oo)], "p(s) = z/(1 − exp(−z)) → ∞, K = 2"
    )


# --- integrals


def _taylor(x: Any, first: int, last: int) -> Any:
    return sp.Add(*[x**j / sp.factorial(j) for j in range(first, last + 1)])


def _bracket(x: Any, n_classes: int) -> Any:
    """γ(K, x)/(K−1)! = 1 − e^{−x} Σ_{j<K} x^j/j!."""
    return 1 - sp.exp(-x) * _taylor(x, 0, n_classes - 1)


@cache
def _nested_integral(a: tuple[Any, ...]) -> Any:
    """∫ exp⟨a, s⟩ ds over the simplex, one variable after the other."""
    s = sp.symbols(f"s1:{len(a)}", positive=True)
    integral = sp.exp(inner(a, [*s, 1 - sum(s)]))
    for i in reversed(range(len(s))):
        integral = _exponential_integral(integral, s[i], 1 - sum(s[:i]))
    return sp.expand(integral)


def _exponential_integral(integrand: Any, variable: Any, upper: Any) -> Any:
    """∫ from 0 to `upper` of a sum of exponentials, each linear in the variable."""
    integral = sp.Integer(0)
    for term in sp.Add.make_args(sp.expand(integrand, power_exp=False)):
        rate = sp.cancel(sp.diff(term, variable) / term)
        integral += (term.subs(variable, upper) - term.subs(variable, 0)) / rate
    return integral


def _over_exponentials(expression: Any, a: tuple[Any, ...]) -> Any:
    """The rational function of a and of e^a, cancelled."""
    return sp.cancel(expression.subs({sp.exp(a_k): sp.Symbol(f"e_{a_k}") for a_k in a}))
