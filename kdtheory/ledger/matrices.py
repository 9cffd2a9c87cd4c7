r"""How sympy decides about matrices of any size.

A sum of products of matrix symbols is written as words, one for each product: its factors in their
order, with a coefficient. Words multiply by being joined, and nothing commutes but coefficients, so
an identity whose words all cancel holds for all sizes and all entries. What is known of factors,
such as A w = b, is a rule that replaces a part of a word.

notation: X = features, A = matrix of the normal equations
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from kdtheory.ledger.evidence import Finding
from kdtheory.ledger.symbolic import NOT_ZERO, rational_point

__all__ = ["Rules", "Word", "reduced_matrices", "slope", "words"]

Word = tuple[Any, ...]
Rules = Mapping[Word, Any]


def reduced_matrices(
    differences: Iterable[Any], scope: str, *, rules: Rules | None = None, free: Iterable[Any] = ()
) -> Finding:
    """Holds if every difference reduces to 0, fails if one is not 0 at rational matrices.

    Parameters
    ----------
    differences : iterable of matrix expressions
        With sizes in symbols. A product of size 1 × 1 equals its transpose.
    scope : str
    rules : mapping from words to expressions, optional
        What may be put in place of a part of a word.
    free : iterable of matrix symbols
        Those whose entries no rule restricts. A difference is refuted only where no other is left.
    """
    rules = rules or {}
    for difference in (part for whole in differences for part in _parts(whole)):
        left = words(difference, rules=rules)
        if not left:
            continue
        if not rules or _symbols(left) <= set(free):
            value = max(abs(entry) for entry in _at_rational_matrices(left))
            if value > NOT_ZERO:
                return Finding(False, f"{scope} (differs by {value.evalf(3)} at rational matrices)")
        return Finding(None, f"neither reduces to 0 nor differs from it: {scope}")
    return Finding(True, f"reduces to 0: {scope}")


def words(expression: Any, *, rules: Rules | None = None) -> dict[Word, Any]:
    """Words of an expression without blocks, with their coefficients, none of them 0.

    Examples
    --------
    >>> n = sp.Symbol("n", integer=True)
    >>> A, B = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("B", n, n)
    >>> words((A + B) * A - A * A)
    {(B, A): 1}
    >>> words((A + B) * A, rules={(B, A): 2 * sp.Identity(n)})
    {(): 2, (A, A): 1}
    """
    found = _rewritten(_words(expression), rules or {})
    collected: dict[Word, Any] = {}
    for word, coefficient in found:
        key = min(word, _transposed(word), key=str) if _is_number(word) else word
        collected[key] = collected.get(key, sp.Integer(0)) + coefficient
    reduced = {word: sp.cancel(coefficient) for word, coefficient in collected.items()}
    return {word: coefficient for word, coefficient in reduced.items() if coefficient != 0}


def slope(expression: Any, variable: Any) -> Any:
    """Derivative in a scalar symbol, where only coefficients depend on it."""
    terms = [
        sp.MatMul(sp.diff(coefficient, variable), *word)
        for word, coefficient in words(expression).items()
    ]
    return sp.MatAdd(*terms)


Terms = list[tuple[Word, Any]]


def _parts(expression: Any) -> list[Any]:
    """An expression, or its blocks where it has several."""
    collapsed = sp.block_collapse(expression) if expression.has(sp.BlockMatrix) else expression
    return list(collapsed.blocks) if isinstance(collapsed, sp.BlockMatrix) else [collapsed]


def _words(expression: Any) -> Terms:
    expression = sp.sympify(expression)
    if not getattr(expression, "is_Matrix", False):
        return [((), expression)]
    if isinstance(expression, sp.ZeroMatrix):
        return []
    if isinstance(expression, sp.Identity):
        return [((), sp.Integer(1))]
    if isinstance(expression, sp.MatAdd):
        return [term for part in expression.args for term in _words(part)]
    if isinstance(expression, sp.MatMul):
        product: Terms = [((), sp.Integer(1))]
        for factor in expression.args:
            product = _product(product, _words(factor))
        return product
    if isinstance(expression, sp.MatPow):
        base, exponent = expression.args
        return _words(sp.MatMul(*[base] * int(exponent), evaluate=False))
    if isinstance(expression, sp.Transpose) and not isinstance(expression.arg, sp.MatrixSymbol):
        return [(_transposed(word), coefficient) for word, coefficient in _words(expression.arg)]
    return [((expression,), sp.Integer(1))]


def _product(left: Terms, right: Terms) -> Terms:
    return [(u + v, p * q) for u, p in left for v, q in right]


def _transposed(word: Word) -> Word:
    return tuple(factor.T for factor in reversed(word))


def _is_number(word: Word) -> bool:
    return bool(word) and word[0].rows == word[-1].cols == 1


def _rewritten(terms: Terms, rules: Rules) -> Terms:
    done, open_terms = [], list(terms)
    known = [(pattern, _words(replacement)) for pattern, replacement in rules.items()]
    while open_terms:
        word, coefficient = open_terms.pop()
        for pattern, replacement in known:
            at = _position(pattern, word)
            if at is not None:
                before, after = word[:at], word[at + len(pattern) :]
                open_terms += [
                    (before + middle + after, coefficient * factor)
                    for middle, factor in replacement
                ]
                break
        else:
            done.append((word, coefficient))
    return done


def _position(pattern: Word, word: Word) -> int | None:
    starts = range(len(word) - len(pattern) + 1)
    return next((i for i in starts if word[i : i + len(pattern)] == pattern), None)


def _at_rational_matrices(found: Mapping[Word, Any]) -> Any:
    """Value of a sum of words where every symbol has rational entries and every size is small."""
    symbols = sorted(_symbols(found), key=str)
    letters = {letter for x in symbols for size in x.shape for letter in size.free_symbols}
    small = {letter: 2 + i for i, letter in enumerate(sorted(letters, key=str))}
    entries = {}
    for k, symbol in enumerate(symbols):
        rows, columns = (int(size.subs(small)) for size in symbol.shape)
        entries[symbol] = sp.Matrix(
            rows,
            columns,
            lambda i, j, k=k: sp.Rational(1 + (5 * i + 3 * j + 7 * k) % 11, i + j + 2),
        )
    first = next((word[0] for word in found if word), None)
    unit = sp.eye(1 if first is None else int(first.rows.subs(small)))
    total = 0 * unit
    for word, coefficient in found.items():
        factors = [entries[x.arg].T if x.is_Transpose else entries[x] for x in word]
        product = sp.prod(factors, coefficient.subs(rational_point(coefficient)) * unit)
        total = product if total == 0 * unit else total + product
    return total


def _symbols(found: Iterable[Word]) -> set[Any]:
    return {factor.arg if factor.is_Transpose else factor for word in found for factor in word}
