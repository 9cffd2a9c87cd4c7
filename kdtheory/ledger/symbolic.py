r"""How sympy decides, and the objects of the papers in symbols.

A difference that sympy reduces to 0 proves an identity; one that is not 0 at a rational point
refutes it; otherwise the finding is undecided and backs nothing.

notation: z = logits, g = softmax(z/T), T = temperature, s = point of the simplex, a = log g,
Z = ∫ exp⟨a, s⟩ ds
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import sympy as sp

from kdtheory.ledger.evidence import Finding

__all__ = [
    "NOT_ZERO",
    "established",
    "inner",
    "lagrange",
    "log_softmax",
    "printed_constant",
    "rational_point",
    "reduced",
    "simplex_symbols",
    "softmax",
    "two_class_density",
    "two_class_integral",
    "variance_identities",
]

# A difference evaluated to 30 digits at a rational point is 0 or far above this
NOT_ZERO = sp.Float("1e-20")


def reduced(differences: Iterable[Any], scope: str) -> Finding:
    """Holds if every difference reduces to 0, fails if one is not 0 at a rational point."""
    for difference in differences:
        expression = sp.sympify(difference)
        value = expression.subs(rational_point(expression)).evalf(30)
        if abs(value) > NOT_ZERO:
            return Finding(False, f"{scope} (differs by {value.evalf(3)} at a rational point)")
        if not any(way(expression) == 0 for way in (sp.expand, sp.cancel, sp.simplify)):
            return Finding(None, f"neither reduces to 0 nor differs from it: {scope}")
    return Finding(True, f"reduces to 0: {scope}")


def established(conditions: Iterable[Any], detail: str) -> Finding:
    """Holds if sympy decides every condition as true, fails if one is false."""
    decided = [sp.sympify(condition) for condition in conditions]
    if sp.false in decided:
        return Finding(False, detail)
    return Finding(True if set(decided) == {sp.true} else None, detail)


def simplex_symbols(name: str, n_classes: int) -> list[Any]:
    """K symbols of sum 1, the last one by difference."""
    free = sp.symbols(f"{name}1:{n_classes}", positive=True)
    return [*free, 1 - sum(free)]


def inner(weights: Iterable[Any], values: Iterable[Any]) -> Any:
    """⟨weights, values⟩."""
    return sp.Add(*[weight * value for weight, value in zip(weights, values, strict=True)])


def softmax(logits: Iterable[Any], temperature: Any = 1) -> list[Any]:
    """g_k = e^{z_k/T} / Σ_j e^{z_j/T}."""
    weights = [sp.exp(z / temperature) for z in logits]
    return [weight / sp.Add(*weights) for weight in weights]


def log_softmax(logits: Iterable[Any], temperature: Any = 1) -> list[Any]:
    """Logarithms log g_k = z_k/T − log Σ_j e^{z_j/T}."""
    scaled = [z / temperature for z in logits]
    log_total = sp.log(sp.Add(*[sp.exp(z) for z in scaled]))
    return [z - log_total for z in scaled]


def printed_constant(x: Sequence[Any]) -> Any:
    """C as GS Theorem 1 prints it, at g_k = e^{−x_k}."""
    k = sp.Integer(len(x))
    factor = (-1) ** k * sp.sqrt(k) ** k / 2 ** (k * (k - 1) / 2)
    return factor * sp.Mul(*[sp.exp(-x_k) * -x_k for x_k in x])


def lagrange(a: Sequence[Any]) -> Any:
    """Σ_k e^{a_k} / ∏_{j≠k} (a_k − a_j)."""
    return sp.Add(
        *[
            sp.exp(a_k) / sp.Mul(*[a_k - a_j for j, a_j in enumerate(a) if j != k])
            for k, a_k in enumerate(a)
        ]
    )


def two_class_integral(logit: Any) -> Any:
    """Z of the logits (z, 0): (e^z − 1)/z."""
    return (sp.exp(logit) - 1) / logit


def two_class_density(logit: Any, s: Any) -> Any:
    """GS (12) for the logits (z, 0) at (s, 1 − s), with C = 1/Z."""
    return sp.exp(logit * s) / two_class_integral(logit)


def variance_identities() -> list[Any]:
    """(∏ g^s)″ along d over ∏ g^s, plus ½ Σ_jk s_j s_k (d_j/g_j − d_k/g_k)²: 0 for K = 2, 3, 4.

    So every ∏ g^s, and their integral Z, is concave in g.
    """
    t = sp.Symbol("t", real=True)
    differences = []
    for n_classes in (2, 3, 4):
        s = simplex_symbols("s", n_classes)
        g = sp.symbols(f"g1:{n_classes + 1}", positive=True)
        d = sp.symbols(f"d1:{n_classes + 1}", real=True)
        log_product = inner(s, [sp.log(g_k + t * d_k) for g_k, d_k in zip(g, d, strict=True)])
        slope, bend = (sp.diff(log_product, t, order).subs(t, 0) for order in (1, 2))
        ratio = [d_k / g_k for g_k, d_k in zip(g, d, strict=True)]
        variance = sp.Add(
            *[
                s[j] * s[k] * (ratio[j] - ratio[k]) ** 2 / 2
                for j, k in product(range(n_classes), repeat=2)
            ]
        )
        differences.append(sp.expand(slope**2 + bend + variance))
    return differences


def rational_point(expression: Any) -> dict[Any, Any]:
    """Values 2/5, 3/7, 4/11, … for the symbols of an expression, in the order of their names."""
    symbols = sorted(expression.free_symbols, key=str)
    return {symbol: sp.Rational(i + 2, sp.prime(i + 3)) for i, symbol in enumerate(symbols)}
