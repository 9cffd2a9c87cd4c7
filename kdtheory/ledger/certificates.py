r"""Certificates: ball arithmetic excludes or encloses at rational points.

With python-flint every number is an `arb` ball, without it an mpmath interval. Both contain the
true value, so a comparison that comes out is proved, and one that does not is undecided.

Each certificate takes nothing but options and returns a `Finding` about one statement.

notation: g = student (rational, entries that differ), a = log g, x = −log g,
Z = Σ_k e^{a_k}/∏_{j≠k}(a_k − a_j), C = constant printed in GS Theorem 1, μ = mean of GS (12);
in regression X, y, s, I, λ and the weights ω, ω_s (all rational), A = XᵀΣ⁻¹X; in GS 6.2
z = xᵀW = logits, less their mean, ρ = ‖z‖, θ = angle of z from (2, −1, −1)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from math import factorial, prod
from typing import Any, Literal

from mpmath.ctx_iv import MPIntervalContext

from kdtheory.divided_differences import log_normaliser
from kdtheory.ledger.evidence import Finding

__all__ = [
    "Balls",
    "Example",
    "ball_arithmetic",
    "blended_variance_is_that_of_the_estimate",
    "blended_variance_is_too_large",
    "deviations_give_the_printed_weights",
    "fourth_term_is_the_log_constant",
    "last_line_is_the_integral",
    "log_normaliser_is_accurate",
    "mean_differs_from_g",
    "no_student_beats_bayes",
    "normaliser_equals_the_integral",
    "printed_constant_can_normalise",
    "printed_constant_is_the_integral",
    "printed_constant_normalises",
    "printed_formula_is_the_minimiser",
    "printed_term_is_not_convex",
    "product_of_integrals_is_the_integral",
    "radial_integral_is_the_integral",
    "regularisers_pull_apart",
    "require_flint",
    "table_row_is_the_expectation",
    "taylor_sum_is_near_the_exponential",
    "untransposed_formula_is_the_minimiser",
]

BITS = 256  # the cancellation in Z at five classes costs about 20 of them
CLOSE = 1e-13  # what log_normaliser promises

# Points inside the simplex, entries that differ
POINTS = tuple(
    tuple(Fraction(part, sum(parts)) for part in parts)
    for parts in ((3, 7), (2, 3, 5), (1, 2, 7), (1, 2, 3, 4), (2, 3, 4, 5, 6))
)

Measure = Literal["coordinate", "surface"]


@dataclass(frozen=True, slots=True)
class Balls:
    """Arithmetic on numbers that carry a proved error.

    `number(p, q)` is p/q. Numbers know `+ - * / **` and `< >`, which are true when proved.
    """

    name: str
    number: Callable[..., Any]
    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    sqrt: Callable[[Any], Any]
    midpoint: Callable[[Any], float]

    def logs(self, g: Sequence[Fraction]) -> list[Any]:
        """Logarithms of rational numbers."""
        return [self.log(self.number(g_k.numerator, g_k.denominator)) for g_k in g]


@contextmanager
def ball_arithmetic() -> Iterator[Balls]:
    """python-flint's balls where it is installed, else mpmath's intervals."""
    if find_spec("flint") is None:
        iv = MPIntervalContext()
        iv.prec = BITS
        yield Balls(
            "mpmath intervals",
            lambda p, q=1: iv.mpf(p) / q,
            iv.exp,
            iv.log,
            iv.sqrt,
            lambda x: float(x.mid),
        )
        return
    import flint

    with flint.ctx.workprec(BITS):
        yield Balls(
            "python-flint balls",
            lambda p, q=1: flint.arb(p) / q,
            lambda x: x.exp(),
            lambda x: x.log(),
            lambda x: x.sqrt(),
            lambda x: float(x.mid()),
        )


def require_flint() -> None:
    """Make sure that certificates use python-flint.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    if find_spec("flint") is None:
        msg = "rigorous certificates need python-flint: pip install 'kdtheory[rigorous]'"
        raise ModuleNotFoundError(msg)


# --- the printed constant


def printed_constant_normalises(measure: Measure) -> Finding:
    """∫ C ∏ g_k^{s_k} ds = Z · C (times √K for the surface measure) is 1."""
    with ball_arithmetic() as balls:
        pairs = []
        for g in POINTS:
            a = balls.logs(g)
            mass = _integral(balls, a) * _printed_constant(balls, a) * _unit(balls, a, measure)
            pairs.append((mass, balls.number(1)))
        return _equality(balls, pairs, f"∫p ds at g = {_words(POINTS[0])}")


def printed_constant_can_normalise(measure: Measure) -> Finding:
    """Some g makes ∫ C ∏ g_k^{s_k} ds equal to 1.

    As g log(1/g) ≤ 1/e and Z ≤ 1/(K−1)!, the mass is at most
    B(K) = K^{K/2} / (2^{K(K−1)/2} e^K (K−1)!), times √K for the surface measure. Under either
    B(K+1)/B(K) ≤ √(6(K+1)) / (2^{K+1} K), which falls with K; both are compared with 1 for K ≤ 40.
    """
    with ball_arithmetic() as balls:
        mass_bounds, ratio_bounds = [], []
        for k in range(2, 41):
            unit = balls.sqrt(balls.number(k)) if measure == "surface" else balls.number(1)
            root = balls.sqrt(balls.number(k)) ** k / balls.number(2) ** (k * (k - 1) // 2)
            mass_bounds.append(unit * root / (balls.exp(balls.number(k)) * factorial(k - 1)))
            ratio_bounds.append(balls.sqrt(balls.number(2 * 3 * (k + 1))) / (2**k * 2 * k))
        proved = all(bool(bound < 1) for bound in mass_bounds + ratio_bounds)
        largest = max(balls.midpoint(bound) for bound in mass_bounds)
        return Finding(
            False if proved else None,
            f"∫p ds ≤ {largest:.3f} for every g and K ≥ 2 ({balls.name})",
        )


def printed_constant_is_the_integral() -> Finding:
    """C is the integral Z, as the end of the proof has it, under either measure."""
    with ball_arithmetic() as balls:
        pairs = []
        for g in POINTS:
            a = balls.logs(g)
            constant = _printed_constant(balls, a)
            pairs += [
                (constant, _integral(balls, a) * _unit(balls, a, measure)) for measure in MEASURES
            ]
        return _equality(balls, pairs, f"C and ∫∏g^s ds at g = {_words(POINTS[0])}")


def normaliser_equals_the_integral() -> Finding:
    """With C = Z the mass of C ∏ g^s is Z²; whether that is 1."""
    with ball_arithmetic() as balls:
        pairs = []
        for g in POINTS:
            a = balls.logs(g)
            for measure in MEASURES:
                integral = _integral(balls, a) * _unit(balls, a, measure)
                pairs.append((integral * integral, balls.number(1)))
        return _equality(balls, pairs, f"∫p ds with C = ∫∏g^s ds at g = {_words(POINTS[0])}")


# --- the steps of the proof


def product_of_integrals_is_the_integral() -> Finding:
    """∫ ∏ g_k^{s_k} ds = ∏ ∫ g_k^{s_k} ds."""
    with ball_arithmetic() as balls:
        pairs = []
        for g in POINTS:
            a = balls.logs(g)
            for measure in MEASURES:
                unit = _unit(balls, a, measure)
                slices = [_slice_integral(balls, a_k, len(a)) * unit for a_k in a]
                pairs.append((prod(slices), _integral(balls, a) * unit))
        return _equality(balls, pairs, f"∏∫ and ∫∏ at g = {_words(POINTS[0])}")


def radial_integral_is_the_integral() -> Finding:
    """∫ g_k^{s_k} ds = D ∫_0^1 r^{K−1} g_k^r dr, D = √K/((K−1)! √(2^{K−1}))."""
    with ball_arithmetic() as balls:
        pairs = []
        for g in POINTS:
            a, k = balls.logs(g), len(g)
            volume = balls.sqrt(balls.number(k, 2 ** (k - 1))) / factorial(k - 1)
            printed = volume * factorial(k - 1) * _bracket(balls, -a[0], k) / (-a[0]) ** k
            pairs += [
                (printed, _slice_integral(balls, a[0], k) * _unit(balls, a, measure))
                for measure in MEASURES
            ]
        return _equality(balls, pairs, f"printed and right integral at g_1 = {POINTS[0][0]}, K = 2")


def taylor_sum_is_near_the_exponential() -> Finding:
    """exp_{K−1}(x) is within a half of exp(x), x = −log g, K terms, at K = 2 and g = 1/10."""
    with ball_arithmetic() as balls:
        x = -balls.log(balls.number(1, 10))
        error = _bracket(balls, x, 2)
        return Finding(
            False if error > balls.number(1, 2) else None,
            f"at K = 2, g = 1/10 the relative error is {balls.midpoint(error):.3f} ({balls.name})",
        )


def last_line_is_the_integral() -> Finding:
    """The last line of (13), in three readings of exp_{K−1}, is ∫ ∏ g_k^{s_k} ds."""
    with ball_arithmetic() as balls:
        pairs = []
        for g in POINTS:
            a, k = balls.logs(g), len(g)
            factor = balls.sqrt(balls.number(k)) ** k / balls.number(2) ** (k * (k - 1) // 2)
            for first, last in ((0, k - 1), (0, k), (1, k)):
                brackets = [
                    1 - balls.exp(a_k) * _taylor(balls, -a_k, first, last) + balls.exp(a_k)
                    for a_k in a
                ]
                line = factor * prod(-a_k * b for a_k, b in zip(a, brackets, strict=True))
                pairs += [
                    (line, _integral(balls, a) * _unit(balls, a, measure)) for measure in MEASURES
                ]
        return _equality(balls, pairs, f"last line and integral at g = {_words(POINTS[0])}")


# --- the density and the objective


def log_normaliser_is_accurate() -> Finding:
    """The log Z of kdtheory lies within 1e-13 of the ball that encloses it."""
    rows = ((0, 1), (-3, 4, 9), (0, 1, 2, -40), (1, 2, 4, 8, 16), (0, 3, -5, 7, -11, 13))
    with ball_arithmetic() as balls:
        close = []
        for row in rows:
            a = [balls.number(a_k) for a_k in row]
            computed = balls.number(
                *float(log_normaliser([float(x) for x in row])).as_integer_ratio()
            )
            error = computed - balls.log(_integral(balls, a))
            close.append(bool(error < CLOSE) and bool(error > -CLOSE))
        return Finding(
            all(close),
            f"{sum(close)} of {len(rows)} rows of logits, K = 2 … 6 ({balls.name})",
        )


def mean_differs_from_g() -> Finding:
    """μ is not g, at points that are not uniform."""
    with ball_arithmetic() as balls:
        pairs = []
        for g in POINTS:
            a = balls.logs(g)
            pairs.append((_mean_of_first(balls, a), balls.exp(a[0])))
        equality = _equality(balls, pairs, f"μ_1 and g_1 at g = {_words(POINTS[0])}")
        return Finding(True if equality.holds is False else None, equality.detail)


def fourth_term_is_the_log_constant() -> Finding:
    """Σ (log g + log log 1/g) and −log Z differ by a constant: between two g with K = 3."""
    with ball_arithmetic() as balls:
        near, far = (balls.logs(g) for g in POINTS[1:3])
        printed = _printed_regulariser(balls, far) - _printed_regulariser(balls, near)
        exact = balls.log(_integral(balls, near)) - balls.log(_integral(balls, far))
        where = f"from g = {_words(POINTS[1])} to {_words(POINTS[2])} they change by"
        return _equality(balls, [(printed, exact)], where)


def regularisers_pull_apart() -> Finding:
    """Away from uniform the printed term falls and the exact one rises, at every point."""
    with ball_arithmetic() as balls:
        proved = []
        for g in POINTS:
            k, a = len(g), balls.logs(g)
            uniform = [-balls.log(balls.number(k))] * k
            printed = _printed_regulariser(balls, a) - _printed_regulariser(balls, uniform)
            exact = -balls.log(_integral(balls, a) * factorial(k))  # Z = 1/K! at uniform
            proved.append(bool(printed < 0) and bool(exact > 0))
        return Finding(
            True if all(proved) else None,
            f"printed falls, exact rises at {sum(proved)} of {len(POINTS)} points ({balls.name})",
        )


def printed_term_is_not_convex() -> Finding:
    """−⟨s, log g⟩ − Σ (log g + log log 1/g), K = 3, has a midpoint above its chord.

    The logits are log(18, w, 1/w) with w = 2/3, 1, 3/2 and s is uniform.
    """
    with ball_arithmetic() as balls:

        def loss(*weights: Fraction) -> Any:
            total = sum(weights)
            a = balls.logs([weight / total for weight in weights])
            return -sum(a) / 3 - _printed_regulariser(balls, a)

        w = Fraction(3, 2)
        ends = (loss(Fraction(18), w, 1 / w) + loss(Fraction(18), 1 / w, w)) / 2
        excess = loss(Fraction(18), Fraction(1), Fraction(1)) - ends
        return Finding(
            True if excess > 0 else None,
            f"K = 3: a midpoint lies {balls.midpoint(excess):.4f} above its chord ({balls.name})",
        )


# --- regression


@dataclass(frozen=True, slots=True)
class Example:
    """Rational data of (15) with two features; `inside` says which objects have an answer."""

    X: tuple[tuple[int, int], ...]
    y: tuple[int, ...]
    s: tuple[int, ...]
    inside: tuple[int, ...]
    trust: Fraction
    label_weight: Fraction
    teacher_weight: Fraction


THIRD, HALF = Fraction(1, 3), Fraction(1, 2)
EXAMPLES = tuple(
    Example(X, y, s, inside, trust, Fraction(label), Fraction(teacher))
    for X, y, s, inside, trust, label, teacher in (
        (((1, 0), (1, 1), (1, 2)), (1, 3, 4), (0, 2, 6), (0, 1, 1), THIRD, 2, 5),
        (((2, 1), (1, 3), (0, 1), (1, 1)), (1, 2, 7, 5), (2, 1, 5, 4), (1, 1, 0, 0), THIRD, 1, 3),
        (((1, 2), (3, 1)), (1, 5), (3, 2), (1, 1), HALF, 4, 1),
    )
)


def deviations_give_the_printed_weights() -> Finding:
    """A constant student: the means of labels and answers with weights σ² and with 1/σ²."""
    with ball_arithmetic() as balls:
        pairs = []
        for example in EXAMPLES:
            estimates = []
            for power in (1, -1):
                weights = [w**power for w in (example.label_weight, example.teacher_weight)]
                a, b = _shares(balls, example, *weights)
                total = sum(_primes(example, a, b))
                estimates.append(total / (sum(a) + sum(b)))
            pairs.append((estimates[0], estimates[1]))
        return _equality(balls, pairs, "a constant student, weights σ² and 1/σ²")


def printed_formula_is_the_minimiser() -> Finding:
    """The last formula of the proof with X transposed, 2(XᵀΣ⁻¹X)⁻¹XᵀΣ⁻¹y″, is the minimiser."""
    with ball_arithmetic() as balls:
        pairs = []
        for example in EXAMPLES:
            pairs += [(2 * w, w) for w in _minimiser(balls, example)]
        return _equality(balls, pairs, "first weight by the printed formula and at the minimum")


def untransposed_formula_is_the_minimiser() -> Finding:
    """The formula as it stands, with X and not Xᵀ, is the minimiser for m = n = 2, 2 or no 2."""
    with ball_arithmetic() as balls:
        example, pairs = EXAMPLES[-1], []
        primes = _primes(example, *_printed_shares(balls, example))
        right = [sum(x_j * p for x_j, p in zip(x, primes, strict=True)) for x in example.X]
        printed = _solve(_normal_matrix(balls, example), right)
        for w, right_w in zip(printed, _minimiser(balls, example), strict=True):
            pairs += [(2 * w, right_w), (w, right_w)]
        return _equality(balls, pairs, "m = n = 2, first weight by XΣ⁻¹y″ and at the minimum")


def blended_variance_is_that_of_the_estimate() -> Finding:
    """(XᵀΣ⁻¹X)⁻¹ is the variance of ŵ for independent labels and answers."""
    with ball_arithmetic() as balls:
        pairs = []
        for example in EXAMPLES:
            printed, right = _variances(balls, example)
            pairs += [(printed[j], right[j]) for j in range(2)]
        return _equality(balls, pairs, "variance of the first weight by (16) and by (15)")


def blended_variance_is_too_large() -> Finding:
    """Its diagonal is above that of the variance of ŵ."""
    with ball_arithmetic() as balls:
        larger, ratios = [], []
        for example in EXAMPLES:
            printed, right = _variances(balls, example)
            larger += [bool(printed[j] > right[j]) for j in range(2)]
            ratios += [balls.midpoint(printed[j] / right[j]) for j in range(2)]
        return Finding(
            True if all(larger) else None,
            f"by {min(ratios):.3f} to {max(ratios):.3f} times in {len(EXAMPLES)} examples "
            f"({balls.name})",
        )


# --- the synthetic experiment


def table_row_is_the_expectation() -> Finding:
    """0.225 can be an expected cross-entropy, and 0.831 an expected accuracy, in GS 6.2."""
    with ball_arithmetic() as balls:
        entropy, top = _bayes_values(balls)
        excluded = [
            bool(entropy[0] > balls.number(225, 1000)),
            bool(top[1] < balls.number(831, 1000)),
        ]
        return Finding(
            False if all(excluded) else None,
            f"no student has an expected cross-entropy below {balls.midpoint(entropy[0]):.3f} or "
            f"an expected accuracy above {balls.midpoint(top[1]):.3f} ({balls.name})",
        )


def no_student_beats_bayes() -> Finding:
    """E H(s) > 0.42 and E max s < 0.83, which no student passes; the values lie between bounds."""
    with ball_arithmetic() as balls:
        entropy, top = _bayes_values(balls)
        proved = [bool(entropy[0] > balls.number(42, 100)), bool(top[1] < balls.number(83, 100))]
        for (low, high), value in zip((entropy, top), BAYES, strict=True):
            proved += [bool(low < _ball(balls, value)), bool(high > _ball(balls, value))]
        words = [
            f"[{balls.midpoint(low):.3f}, {balls.midpoint(high):.3f}]"
            for low, high in (entropy, top)
        ]
        return Finding(
            True if all(proved) else None,
            f"E H(s) in {words[0]}, E max s in {words[1]} ({balls.name})",
        )


# --- the objects of the paper in balls

MEASURES: tuple[Measure, ...] = ("coordinate", "surface")


def _integral(balls: Balls, a: Sequence[Any]) -> Any:
    return sum(
        balls.exp(a_k) / prod(a_k - a_j for j, a_j in enumerate(a) if j != k)
        for k, a_k in enumerate(a)
    )


def _mean_of_first(balls: Balls, a: Sequence[Any]) -> Any:
    """μ_1 = ∂ log Z/∂a_1, by differentiation of Lagrange's form."""
    gradient = balls.number(0)
    for k, a_k in enumerate(a):
        inverse = [1 / (a_k - a_j) for j, a_j in enumerate(a) if j != k]
        gradient += balls.exp(a_k) * prod(inverse) * (1 - sum(inverse) if k == 0 else inverse[0])
    return gradient / _integral(balls, a)


def _slice_integral(balls: Balls, a_k: Any, n_classes: int) -> Any:
    """∫ e^{a_k s_k} ds over the simplex: the divided difference of exp at a_k, 0, …, 0."""
    taylor = _taylor(balls, a_k, 0, n_classes - 1)
    return (balls.exp(a_k) - taylor) / a_k ** (n_classes - 1)


def _unit(balls: Balls, a: Sequence[Any], measure: Measure) -> Any:
    """The measure in units of the coordinate measure."""
    return balls.sqrt(balls.number(len(a))) if measure == "surface" else balls.number(1)


def _printed_constant(balls: Balls, a: Sequence[Any]) -> Any:
    k = len(a)
    factor = balls.sqrt(balls.number(k)) ** k / balls.number(2) ** (k * (k - 1) // 2)
    return factor * prod(balls.exp(a_k) * -a_k for a_k in a)


def _printed_regulariser(balls: Balls, a: Sequence[Any]) -> Any:
    return sum(a_k + balls.log(-a_k) for a_k in a)


def _bracket(balls: Balls, x: Any, n_classes: int) -> Any:
    """γ(K, x)/(K−1)!."""
    return 1 - balls.exp(-x) * _taylor(balls, x, 0, n_classes)


def _taylor(balls: Balls, x: Any, first: int, stop: int) -> Any:
    return sum((x**j / factorial(j) for j in range(first, stop)), balls.number(0))


Pair = tuple[Any, Any]


def _shares(
    balls: Balls, example: Example, label_weight: Fraction, teacher_weight: Fraction
) -> tuple[list[Any], list[Any]]:
    """Weights of the label and of the answer of each object."""
    labels = [(1 - example.trust * inside) * label_weight for inside in example.inside]
    answers = [example.trust * inside * teacher_weight for inside in example.inside]
    a, b = ([_ball(balls, share) for share in shares] for shares in (labels, answers))
    return a, b


def _ball(balls: Balls, number: Fraction) -> Any:
    return balls.number(number.numerator, number.denominator)


def _printed_shares(balls: Balls, example: Example) -> tuple[list[Any], list[Any]]:
    return _shares(balls, example, example.label_weight, example.teacher_weight)


def _primes(example: Example, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """y′ of (17)."""
    terms = zip(a, example.y, b, example.s, strict=True)
    return [a_i * y_i + b_i * s_i for a_i, y_i, b_i, s_i in terms]


def _weighted_gram(example: Example, weights: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Entries 11, 12 and 22 of Xᵀ diag(weights) X."""
    rows = list(zip(weights, example.X, strict=True))
    return (
        sum(k * x[0] * x[0] for k, x in rows),
        sum(k * x[0] * x[1] for k, x in rows),
        sum(k * x[1] * x[1] for k, x in rows),
    )


def _normal_matrix(balls: Balls, example: Example) -> tuple[Any, Any, Any]:
    a, b = _printed_shares(balls, example)
    return _weighted_gram(example, [a_i + b_i for a_i, b_i in zip(a, b, strict=True)])


def _solve(matrix: tuple[Any, Any, Any], right: Sequence[Any]) -> Pair:
    """Cramer's rule."""
    p, q, r = matrix
    determinant = p * r - q * q
    return (
        (r * right[0] - q * right[1]) / determinant,
        (p * right[1] - q * right[0]) / determinant,
    )


def _minimiser(balls: Balls, example: Example) -> Pair:
    primes = _primes(example, *_printed_shares(balls, example))
    right = [sum(p * x[j] for p, x in zip(primes, example.X, strict=True)) for j in range(2)]
    return _solve(_normal_matrix(balls, example), right)


def _variances(balls: Balls, example: Example) -> tuple[Pair, Pair]:
    """Diagonals of A⁻¹ and of A⁻¹XᵀVXA⁻¹, V = diag(a²/ω + b²/ω_s)."""
    a, b = _printed_shares(balls, example)
    label, teacher = (
        _ball(balls, weight) for weight in (example.label_weight, example.teacher_weight)
    )
    spread = [a_i * a_i / label + b_i * b_i / teacher for a_i, b_i in zip(a, b, strict=True)]
    matrix, (p, q, r) = _normal_matrix(balls, example), _weighted_gram(example, spread)
    columns = [_solve(matrix, unit) for unit in ((1, 0), (0, 1))]
    right = tuple(u * u * p + 2 * u * v * q + v * v * r for u, v in columns)
    return (columns[0][0], columns[1][1]), (right[0], right[1])


BAYES = (Fraction(445_562, 10**6), Fraction(813_054, 10**6))  # E H(s) and E max s of GS 6.2
STEPS = 10  # the factors of ρ² grow by (STEPS + 1)/STEPS from cell to cell
CELLS = 60, 37  # below 1 and above, from 1/304 to 34; trivial bounds serve outside
TURNS = 64  # parts of the angle, a power of 2


def _bayes_values(balls: Balls) -> tuple[Pair, Pair]:
    """Lower and upper bounds of E H(s) and of E max s, n = 10, K = 3, over x and W.

    ρ² = 4AB with A ~ Gamma(5) and B ~ Exp(1), the halves of ‖x‖² and of the squared norm of the
    centred normal vector xᵀW/‖x‖; θ is uniform on [0, π/3] once the classes are sorted. H falls
    with ρ and rises with θ, max s the reverse, so the corners of a cell of (A, B, θ) bound both.
    """
    ratio, below, count = balls.number(STEPS + 1, STEPS), CELLS[0], sum(CELLS)
    edges = [ratio ** (k - below) for k in range(count + 1)]
    tails = (
        [balls.exp(-x) * _taylor(balls, x, 0, 5) for x in edges],
        [balls.exp(-x) for x in edges],
    )
    mass_a, mass_b = ([left - right for left, right in pairwise(tail)] for tail in tails)
    # cells (i, j) with the same i + j have the same ρ at their corners
    mass = [balls.number(0)] * (2 * count - 1)
    for i, p in enumerate(mass_a):
        for j, q in enumerate(mass_b):
            mass[i + j] += p * q
    outside = 1 - sum(mass)
    radii = [balls.sqrt(4 * ratio ** (k - 2 * below)) for k in range(2 * count + 1)]
    entropies, tops = zip(*_angular_values(balls, radii), strict=True)

    def mean(rays: Sequence[Sequence[Any]], corner: int, angles: slice) -> Any:
        return (
            sum(p * sum(ray[angles]) for p, ray in zip(mass, rays[corner:], strict=False)) / TURNS
        )

    near, far, low, high = 0, 2, slice(None, -1), slice(1, None)
    return (
        (
            mean(entropies, far, low),
            mean(entropies, near, high) + outside * balls.log(balls.number(3)),
        ),
        (mean(tops, near, high) + outside / 3, mean(tops, far, low) + outside),
    )


def _angular_values(balls: Balls, radii: Sequence[Any]) -> Iterator[tuple[list[Any], list[Any]]]:
    """H(s) and max s at θ = 0, …, π/3, for logits of each norm and mean 0."""
    half = cosine = balls.number(1, 2)
    for _ in range(TURNS.bit_length() - 1):
        cosine = balls.sqrt((1 + cosine) / 2)  # of half the angle
    sine = balls.sqrt(1 - cosine**2)
    c, s = balls.number(1), balls.number(0)
    depths = []
    for _ in range(TURNS + 1):
        # (cos θ, cos(θ − 2π/3), cos(θ + 2π/3)) √(2/3) has the norm 1: the last two less the first
        middle, side = balls.sqrt(balls.number(3, 2)) * c, balls.sqrt(half) * s
        depths.append((side - middle, -side - middle))
        c, s = c * cosine - s * sine, s * cosine + c * sine
    for radius in radii:
        entropies, tops = [], []
        for depth in depths:
            z = [radius * d for d in depth]
            odds = [balls.exp(z_k) for z_k in z]
            top = 1 / (1 + sum(odds))
            entropies.append((odds[0] * -z[0] + odds[1] * -z[1]) * top - balls.log(top))
            tops.append(top)
        yield entropies, tops


def _equality(balls: Balls, pairs: Sequence[tuple[Any, Any]], words: str) -> Finding:
    """Fails if the two sides are certainly apart in every pair; balls cannot prove equality."""
    apart = [bool(left < right) or bool(left > right) for left, right in pairs]
    left, right = (balls.midpoint(side) for side in pairs[0])
    return Finding(
        False if all(apart) else None,
        f"{words}: {left:.4g} against {right:.4g}; excluded in {sum(apart)} of {len(pairs)} "
        f"cases ({balls.name})",
    )


def _words(g: Sequence[Fraction]) -> str:
    return f"({', '.join(str(g_k) for g_k in g)})"
