r"""Proofs about GS (15) to (19), Theorem 2 and its proof, and about the loss of MD.

Each function takes nothing but options and returns a `Finding` about one statement. Matrices have
symbols for sizes: X_0, y_0 are the rows outside I, X_1, y_1, s_1 those of I. Any order of the
objects is a permutation of these rows, which no sum over objects sees.

notation: ω, ω_s = weights of the labels and of the answers (σ², σ_s² in (15)), λ = trust,
a = (1−λ)ω, b = λω_s, κ = a + b, J(w) = objective (15), A = XᵀΣ⁻¹X, c = XᵀΣ⁻¹y″,
f = fitted values, r = y″ − f, h = leverage
"""

from collections.abc import Sequence
from typing import Any, Literal

import sympy as sp

from kdtheory.ledger.evidence import Finding
from kdtheory.ledger.matrices import Rules, Word, reduced_matrices, slope
from kdtheory.ledger.symbolic import established, inner, reduced

__all__ = [
    "answer_and_student_have_one_size",
    "average_is_the_least_squares_fit",
    "blended_squares_have_the_same_minimiser",
    "class_numbers_are_equally_far_apart",
    "density_gives_the_printed_weights",
    "dropped_terms_are_constant",
    "each_object_twice_is_the_objective",
    "error_is_linear_in_weight",
    "estimate_has_the_sandwich_variance",
    "expected_square_is_least_at_the_probabilities",
    "first_equality_of_19",
    "fits_to_labels_and_answers_average",
    "gradient_in_trust",
    "leave_one_out_is_a_closed_form",
    "likelihood_and_objective_differ_by_a_constant",
    "linear_teacher_shrinks_towards_itself",
    "loss_of_md_is_the_objective",
    "matrix_form_is_the_sum",
    "no_trust_leaves_the_labels",
    "noise_scale_cancels",
    "noises_agree_outside",
    "normal_equations_are_the_gradient",
    "objective_is_linear_in_trust",
    "one_hot_labels_are_equally_far_apart",
    "only_two_products_enter",
    "penalty_is_carried_over",
    "printed_formula_conforms",
    "printed_variance_exceeds",
    "quadratic_part_is_a_sum_of_squares",
    "second_equality_of_19",
    "second_equality_of_19_conforms",
    "slope_in_trust_decides_once",
    "softmax_reaches_every_positive_vector",
    "solution_of_the_normal_equations",
    "square_completes_for_each_object",
    "target_variance_is_printed",
    "targets_are_averages",
    "teacher_on_its_own_span_is_no_op",
    "teacher_takes",
    "trust_outside_is_seen",
    "weighted_variance_is_one_number",
    "weights_are_positive",
]

SIZES = "any numbers of objects outside I, in I, and of features"
N, M0, M1, Q = sp.symbols("n m_0 m_1 q", integer=True, positive=True)
X0, X1 = sp.MatrixSymbol("X_0", M0, N), sp.MatrixSymbol("X_1", M1, N)
Y0, Y1, S1 = (sp.MatrixSymbol(*shape) for shape in (("y_0", M0, 1), ("y_1", M1, 1), ("s_1", M1, 1)))
W, D = sp.MatrixSymbol("w", N, 1), sp.MatrixSymbol("d", N, 1)
P = sp.MatrixSymbol("P", N, N)  # A⁻¹
OMEGA, OMEGA_S, TRUST = sp.symbols("omega omega_s lam", positive=True)

Argument = Literal["standard deviation", "variance", "precision", "root of a precision"]


# --- the densities and (15)


def noises_agree_outside(argument: Argument) -> Finding:
    """The variance of y_i in N(y_i|g, σ), outside I, is Σ_ii = 1/σ² of (17)."""
    sigma = sp.Symbol("sigma", positive=True)
    variance = _variance(sigma, argument)
    return reduced([variance - 1 / sigma**2], f"variances {variance} and 1/σ² outside I")


def density_gives_the_printed_weights(argument: Argument) -> Finding:
    """Maximiser of (11) and minimiser of (15) agree for a constant student and two objects.

    −log N(y|g, σ) is (y − g)²/(2v) and a constant, v the variance that the second argument means.
    """
    noises, g = sp.symbols("sigma sigma_s", positive=True), sp.Symbol("g", real=True)
    estimates = []
    for weights in (
        [1 / _variance(noise, argument) for noise in noises],
        [noise**2 for noise in noises],
    ):
        objective = _objective_of_two([g, g], *weights)
        slope_at_zero, bend = sp.diff(objective, g).subs(g, 0), sp.diff(objective, g, 2)
        estimates.append(-slope_at_zero / bend)
    return reduced([estimates[0] - estimates[1]], f"σ as {argument}: weights of the squares")


def likelihood_and_objective_differ_by_a_constant(factor: int) -> Finding:
    """(15) less `factor` times the log-likelihood (11) is free of g, σ the root of a precision."""
    g = sp.symbols("g0:2", real=True)
    sigma, sigma_s, trust = sp.symbols("sigma sigma_s lam", positive=True)
    y, s = sp.symbols("y0:2", real=True), sp.Symbol("s1", real=True)

    def log_density(value: Any, mean: Any, root: Any) -> Any:
        return sp.log(root / sp.sqrt(2 * sp.pi)) - root**2 * (value - mean) ** 2 / 2

    likelihood = log_density(y[0], g[0], sigma) + (1 - trust) * log_density(y[1], g[1], sigma)
    likelihood += trust * log_density(s, g[1], sigma_s)
    difference = _objective_of_two(g, sigma**2, sigma_s**2) - factor * likelihood
    return reduced(
        [sp.diff(difference, g_i) for g_i in g], f"slopes in g of (15) less {factor} times (11)"
    )


def answer_and_student_have_one_size(n_outputs: Literal["K", "1"]) -> Finding:
    """y_i in R and g(x_i) in R^K, K ≥ 2 or K = 1, can be subtracted."""
    classes = sp.Symbol("K", integer=True, positive=True) + 1 if n_outputs == "K" else sp.Integer(1)
    return established(
        [sp.Eq(classes, 1)], f"y_i is one number, g(x_i) has {n_outputs} component(s)"
    )


def objective_is_linear_in_trust() -> Finding:
    """∂²(15)/∂λ² = 0 for every student; so its least value over students is concave in λ."""
    objective = _objective_of_two(sp.symbols("g0:2", real=True), OMEGA, OMEGA_S)
    return reduced([sp.diff(objective, TRUST, 2)], "second derivative in λ, every student")


# --- Theorem 2


def square_completes_for_each_object() -> Finding:
    """The squares a(y − g)² + b(s − g)² are κ(y″ − g)² + ab/κ (y − s)², a, b of any object."""
    a, b = sp.symbols("a b", positive=True)
    g, y, s = sp.symbols("g y s", real=True)
    target = (a * y + b * s) / (a + b)
    difference = a * (y - g) ** 2 + b * (s - g) ** 2 - (a + b) * (target - g) ** 2
    return reduced(
        [difference - a * b / (a + b) * (y - s) ** 2], "each object, any student, any noises"
    )


def blended_squares_have_the_same_minimiser() -> Finding:
    """The objective J(w) less (y″ − Xw)ᵀΣ⁻¹(y″ − Xw) is ab/κ ‖y_1 − s_1‖², free of w."""
    features, precision, targets = _blended()
    rest = targets - features * W
    constant = _label_share() * _teacher_share() / _inside() * (Y1 - S1).T * (Y1 - S1)
    return reduced_matrices([_objective(W) - rest.T * precision * rest - constant], SIZES)


def weights_are_positive() -> Finding:
    """σ′ > 0: on I with λ = t/(1 + t) for t ≥ 0 and at λ = 1, so that Σ exists."""
    t = sp.Symbol("t", nonnegative=True)
    inside = sp.together(_inside().subs(TRUST, t / (1 + t)))
    values = [OMEGA, inside, _inside().subs(TRUST, 1)]
    return established([value > 0 for value in values], "σ′ > 0 outside I and on I, every λ")


def targets_are_averages() -> Finding:
    """y″ = Σy′ is y outside I, and on I the average of y and s with weights (1−λ)ω and λω_s."""
    _, precision, targets = _blended()
    primes = sp.BlockMatrix([[OMEGA * Y0], [_label_share() * Y1 + _teacher_share() * S1]])
    weights = [share / _inside() for share in (_label_share(), _teacher_share())]
    return reduced_matrices([precision * targets - primes, (sum(weights) - 1) * Y1], SIZES)


def matrix_form_is_the_sum() -> Finding:
    """(15) for g(x) = wᵀx, written out, is the matrix form at the start of the proof."""
    features = sp.Matrix(4, 2, sp.symbols("x1:9", real=True))
    w, y = sp.Matrix(sp.symbols("w1:3", real=True)), sp.Matrix(sp.symbols("y1:5", real=True))
    s = sp.Matrix(sp.symbols("s3:5", real=True))
    total, fitted = sp.Integer(0), features * w
    for i in range(4):
        square = (y[i] - fitted[i]) ** 2
        total += OMEGA * square if i < 2 else (1 - TRUST) * OMEGA * square
    total += TRUST * OMEGA_S * sum((s[i] - fitted[i + 2]) ** 2 for i in range(2))
    outside, labels = y[:2, :] - features[:2, :] * w, y[2:, :] - features[2:, :] * w
    answers = s - features[2:, :] * w
    form = OMEGA * outside.dot(outside) + OMEGA * (1 - TRUST) * labels.dot(labels)
    form += OMEGA_S * TRUST * answers.dot(answers)
    return reduced([total - form], "two objects outside I and two in I, two features")


def dropped_terms_are_constant() -> Finding:
    """J less the printed expansion is ω y_0ᵀy_0 + a y_1ᵀy_1 + b s_1ᵀs_1."""

    def printed(rows: Any, values: Any) -> Any:
        return W.T * rows.T * rows * W - 2 * values.T * rows * W

    expansion = OMEGA * printed(X0, Y0) + _label_share() * printed(X1, Y1)
    expansion += _teacher_share() * printed(X1, S1)
    constant = OMEGA * Y0.T * Y0 + _label_share() * Y1.T * Y1 + _teacher_share() * S1.T * S1
    return reduced_matrices([_objective(W) - expansion - constant], SIZES)


def normal_equations_are_the_gradient(factor: int) -> Finding:
    """J(w + d) − J(w) − dᵀAd is 2dᵀ times left less right side of (18), with `factor` on the right.

    So twice that difference is the gradient of J, and (18) holds at the minimisers, only there.
    """
    sides = _normal_matrix() * W - factor * _normal_right_side()
    return reduced_matrices(
        [_step(_objective) - 2 * D.T * sides],
        f"{SIZES}, {'with' if factor == 2 else 'without'} the 2 on the right of (18)",
    )


def quadratic_part_is_a_sum_of_squares() -> Finding:
    """The part dᵀAd = ω‖X_0 d‖² + κ‖X_1 d‖² ≥ 0, so A w = c is enough for a minimum at any rank."""
    squares = OMEGA * (X0 * D).T * (X0 * D) + _inside() * (X1 * D).T * (X1 * D)
    features, precision, _ = _blended()
    return reduced_matrices(
        [
            D.T * _normal_matrix() * D - squares,
            D.T * features.T * precision * features * D - squares,
        ],
        f"{SIZES}, any rank",
    )


def first_equality_of_19() -> Finding:
    """The left side of (18) is XᵀΣ⁻¹X."""
    features, precision, _ = _blended()
    return reduced_matrices([_normal_matrix() - features.T * precision * features], SIZES)


def second_equality_of_19_conforms() -> Finding:
    """X, of m × n with m = n + k, can be multiplied by the m numbers of y′."""
    return _conforms("X y′")


def second_equality_of_19(*, transposed: bool) -> Finding:
    """The right side of (18) is 2Xᵀy′; or, as printed, 2Xy′ where that exists, for m = n."""
    if transposed:
        features, precision, targets = _blended()
        primes = precision * targets
        return reduced_matrices([2 * _normal_right_side() - 2 * features.T * primes], SIZES)
    square, primes = sp.MatrixSymbol("X", N, N), sp.MatrixSymbol("y", N, 1)
    return reduced_matrices([2 * square.T * primes - 2 * square * primes], "2Xᵀy′ and 2Xy′, m = n")


def printed_formula_conforms() -> Finding:
    """X, of m × n with m = n + k, can be multiplied by Σ⁻¹, of m × m."""
    return _conforms("XΣ⁻¹")


def solution_of_the_normal_equations(factor: int) -> Finding:
    """`factor` times ŵ = A⁻¹XᵀΣ⁻¹y″ solves the equation A w = c of the minimisers."""
    features, precision, targets = _blended()
    solution = factor * W  # W stands for A⁻¹c: it obeys A W = c
    equation = _normal_matrix() * solution - features.T * precision * targets
    return reduced_matrices(
        [equation],
        f"{SIZES}, {'with' if factor == 2 else 'without'} the stray 2",
        rules=_solved(W, _normal_right_side()),
        free=(X0, X1, Y0, Y1, S1),
    )


def each_object_twice_is_the_objective() -> Finding:
    """Weighted least squares on m + |I| rows, those of I once with y and once with s, is (15)."""
    rows = sp.BlockMatrix([[X0], [X1], [X1]])
    values = sp.BlockMatrix([[Y0], [Y1], [S1]])
    zero = sp.ZeroMatrix
    weights = sp.BlockMatrix(
        [
            [OMEGA * sp.Identity(M0), zero(M0, M1), zero(M0, M1)],
            [zero(M1, M0), _label_share() * sp.Identity(M1), zero(M1, M1)],
            [zero(M1, M0), zero(M1, M1), _teacher_share() * sp.Identity(M1)],
        ]
    )
    rest = values - rows * W
    return reduced_matrices([rest.T * weights * rest - _objective(W)], SIZES)


# --- how certain (16) is


def target_variance_is_printed(weights: Literal["(11)", "(10)"]) -> Finding:
    """Var y″_i = 1/σ′_i on I, if y_i and s_i are independent with variances 1/ω and 1/ω_s.

    The weights of label and answer are (1−λ)ω and λω_s in (11), ω and ω_s in (10).
    """
    label, teacher = _shares(weights)
    variance = (label**2 / OMEGA + teacher**2 / OMEGA_S) / (label + teacher) ** 2
    return reduced([variance - 1 / (label + teacher)], f"on I, weights of {weights}")


def estimate_has_the_sandwich_variance() -> Finding:
    """The noise A⁻¹(ωX_0ᵀe_0 + aX_1ᵀe_1 + bX_1ᵀe_s) of ŵ has the variance A⁻¹XᵀVXA⁻¹.

    V is diag(a²/ω + b²/ω_s) on I and diag(ω) outside; where the answers covary with the labels of
    the same rows, Cov(e_1, e_s) = C adds ab(C + Cᵀ) on I.
    """
    e0, e1 = sp.MatrixSymbol("e_0", M0, 1), sp.MatrixSymbol("e_1", M1, 1)
    es, covariance = sp.MatrixSymbol("e_s", M1, 1), sp.MatrixSymbol("C", M1, M1)
    a, b = _label_share(), _teacher_share()
    noise = P * (OMEGA * X0.T * e0 + a * X1.T * e1 + b * X1.T * es)
    zero = sp.ZeroMatrix
    expectations: dict[Word, Any] = {
        (P.T,): P,
        (e0, e0.T): sp.Identity(M0) / OMEGA,
        (e1, e1.T): sp.Identity(M1) / OMEGA,
        (es, es.T): sp.Identity(M1) / OMEGA_S,
        (e1, es.T): covariance,
        (es, e1.T): covariance.T,
        (e0, e1.T): zero(M0, M1),
        (e0, es.T): zero(M0, M1),
        (e1, e0.T): zero(M1, M0),
        (es, e0.T): zero(M1, M0),
    }
    inside = (a**2 / OMEGA + b**2 / OMEGA_S) * sp.Identity(M1) + a * b * (covariance + covariance.T)
    middle = OMEGA * X0.T * X0 + X1.T * inside * X1
    return reduced_matrices([noise * noise.T - P * middle * P], SIZES, rules=expectations)


def printed_variance_exceeds() -> Finding:
    """A⁻¹ less the variance of ŵ is λ(1−λ)(ω + ω_s) A⁻¹X_IᵀX_I A⁻¹, which is a square."""
    a, b = _label_share(), _teacher_share()
    middle = OMEGA * X0.T * X0 + (a**2 / OMEGA + b**2 / OMEGA_S) * X1.T * X1
    excess = TRUST * (1 - TRUST) * (OMEGA + OMEGA_S) * X1.T * X1
    # A⁻¹ = A⁻¹AA⁻¹
    return reduced_matrices([P * (_normal_matrix() - middle - excess) * P], SIZES)


def weighted_variance_is_one_number() -> Finding:
    """σ′_i Var y″_i is ((1−λ)²ω + λ²ω_s)/κ on I, 1 outside: one number if I is everything.

    The two are equal at λ = 0 and λ = 1 only, as κ − (1−λ)²ω − λ²ω_s = λ(1−λ)(ω + ω_s).
    """
    a, b = _label_share(), _teacher_share()
    on = _inside() * (a**2 / OMEGA + b**2 / OMEGA_S) / _inside() ** 2
    gap = TRUST * (1 - TRUST) * (OMEGA + OMEGA_S) / _inside()
    return reduced([1 - on - gap], "the same for every object of I, less than outside")


# --- what follows from Theorem 2


def penalty_is_carried_over() -> Finding:
    """With ‖Rw‖² added, R = 0 at the intercept, the minimisers obey (A + RᵀR)w = c."""
    penalty = sp.MatrixSymbol("R", Q, N)
    matrix = _normal_matrix() + penalty.T * penalty

    def penalised(w: Any) -> Any:
        return _objective(w) + (penalty * w).T * (penalty * w)

    change = penalised(W + D) - penalised(W) - D.T * matrix * D
    sides = matrix * W - _normal_right_side()
    return reduced_matrices([change - 2 * D.T * sides], f"{SIZES}, every quadratic penalty")


def noise_scale_cancels() -> Finding:
    """With kω and kω_s both sides of A w = c are multiplied by k."""
    k = sp.Symbol("k", positive=True)
    scaled = {OMEGA: k * OMEGA, OMEGA_S: k * OMEGA_S}
    sides = (_normal_matrix(), _normal_right_side())
    return reduced_matrices([side.subs(scaled) - k * side for side in sides], SIZES)


def no_trust_leaves_the_labels() -> Finding:
    """At λ = 0, (15) is ω‖y − Xw‖², with I empty too: the labels' least squares."""
    features, values = sp.BlockMatrix([[X0], [X1]]), sp.BlockMatrix([[Y0], [Y1]])
    rest = values - features * W
    return reduced_matrices([_objective(W).subs(TRUST, 0) - OMEGA * rest.T * rest], SIZES)


def leave_one_out_is_a_closed_form() -> Finding:
    """Without object x, of weight k and target t, w − ukr/(1−h) solves; u = A⁻¹x, h = k xᵀu.

    A may hold a penalty. The prediction xᵀ of it is f − hr/(1−h), so y less it is
    y − f + hr/(1−h).
    """
    A, c = sp.MatrixSymbol("A", N, N), sp.MatrixSymbol("c", N, 1)
    x, u, w = (sp.MatrixSymbol(name, N, 1) for name in "xuw")
    k, h, f, t = sp.symbols("k h f t", real=True)
    r = t - f
    without = w - k * r / (1 - h) * u
    known = {(A, w): c, (A, u): x, (x.T, u): h / k, (u.T, x): h / k, (x.T, w): f, (w.T, x): f}
    equation = (A - k * x * x.T) * without - (c - k * t * x)
    prediction = x.T * without - (f - h * r / (1 - h)) * sp.Identity(1)
    return reduced_matrices(
        [equation, prediction], "any penalty, any number of features", rules=known
    )


def gradient_in_trust() -> Finding:
    """The derivative of A(λ)w(λ) = c(λ) gives A dw/dλ = X_Iᵀ[ω_s(s − f) − ω(y − f)]."""
    rate = sp.MatrixSymbol("v", N, 1)
    moved = slope(_normal_matrix(), TRUST) * W + _normal_matrix() * rate
    moved -= slope(_normal_right_side(), TRUST)
    fitted = X1 * W
    closed = X1.T * (OMEGA_S * (S1 - fitted) - OMEGA * (Y1 - fitted))
    return reduced_matrices([moved - (_normal_matrix() * rate - closed)], SIZES)


def teacher_on_its_own_span_is_no_op(condition: Literal["equal noises", "everyone"]) -> Finding:
    """If Zᵀ(y_1 − s_1) = 0 and X_1 = ZM, the fit w to the labels alone solves A w = c at every λ.

    Zᵀ(y_1 − s_1) = 0 are the normal equations of a teacher that is least squares on the features Z.
    """
    features, link = sp.MatrixSymbol("Z", M1, Q), sp.MatrixSymbol("M", Q, N)
    inside = features * link
    total = _inside() * inside.T * inside * W
    right = inside.T * (_label_share() * Y1 + _teacher_share() * S1)
    teacher: dict[Word, Any] = {(features.T, S1): features.T * Y1}
    if condition == "equal noises":
        total, right = total + OMEGA * X0.T * X0 * W, right + OMEGA * X0.T * Y0
        total, right = total.subs(OMEGA_S, OMEGA), right.subs(OMEGA_S, OMEGA)
        labels = X0.T * Y0 + inside.T * Y1 - inside.T * inside * W
        teacher |= {(X0.T, X0, W): labels}
    else:
        teacher |= {(link.T, features.T, features, link, W): inside.T * Y1}
    return reduced_matrices([total - right], f"any sizes, {condition}", rules=teacher)


def slope_in_trust_decides_once() -> Finding:
    """A(λ)w − c(λ) is affine in λ: if w solves at one λ and the slope is 0 there, w solves at all.

    The slope at a solution w is minus A dw/dλ, see `gradient_in_trust`.
    """
    equation = _normal_matrix() * W - _normal_right_side()
    return reduced_matrices([slope(slope(equation, TRUST), TRUST)], SIZES)


def only_two_products_enter() -> Finding:
    """With I everything, (λ, ω, ω_s) and (μ, ω(1−λ)/(1−μ), ω_sλ/μ) give the same (15) for all w."""
    other = sp.Symbol("mu", positive=True)
    moved = {
        OMEGA: OMEGA * (1 - TRUST) / (1 - other),
        OMEGA_S: OMEGA_S * TRUST / other,
        TRUST: other,
    }
    inside = _objective(W, everyone=True)
    return reduced_matrices([inside.subs(moved, simultaneous=True) - inside], "any sizes, all of I")


def trust_outside_is_seen() -> Finding:
    """With objects outside I, the weights ω, (1−λ)ω and λω_s give λ, and ω_s/ω, back."""
    outside, label, teacher = OMEGA, _label_share(), _teacher_share()
    trust = 1 - label / outside
    return reduced(
        [trust - TRUST, teacher / trust / outside - OMEGA_S / OMEGA],
        "λ = 1 − a/ω and ω_s/ω = b/(λω), a and b the weights on I",
    )


# --- MD


def softmax_reaches_every_positive_vector() -> Finding:
    """The softmax of T log p at T is p, so students and teachers are the same functions."""
    temperature = sp.Symbol("T", positive=True)
    differences = []
    for n_classes in (2, 3, 4):
        free = sp.symbols(f"p1:{n_classes}", positive=True)
        p = [*free, 1 - sum(free)]
        parts = [sp.exp(temperature * sp.log(p_k) / temperature) for p_k in p]
        differences += [part / sp.Add(*parts) - p_k for part, p_k in zip(parts, p, strict=True)]
    return reduced(differences, "softmax(T log p / T) = p, R = 2, 3, 4")


def teacher_takes(argument: Literal["target features", "linked features"]) -> Finding:
    """A teacher xᵀθ of the source takes m × n rows X, or m × n* rows φ(X), n* = n + k."""
    source = N + sp.Symbol("k", integer=True, positive=True)
    width = N if argument == "target features" else source
    return established(
        [sp.Eq(width, source)],
        f"f takes n + k numbers for each object, k > 0; its argument has {width}",
    )


def loss_of_md_is_the_objective() -> Finding:
    """MD's loss with s = f(φ(x)) is (15) with trust 1 − λ, noises 1 and I everything."""
    weight = sp.Symbol("lambda_md", positive=True)
    labels, answers = Y1 - X1 * W, X1 * W - S1
    loss = weight * labels.T * labels + (1 - weight) * answers.T * answers
    ours = _objective(W, everyone=True).subs({OMEGA: 1, OMEGA_S: 1, TRUST: 1 - weight})
    return reduced_matrices([loss - ours], "any sizes")


def average_is_the_least_squares_fit() -> Finding:
    """MD's loss at w + d less at w less ‖Xd‖² is 2dᵀ(XᵀXw − Xᵀ(λy + (1−λ)s))."""
    weight = sp.Symbol("lambda_md", positive=True)

    def loss(w: Any) -> Any:
        labels, answers = Y1 - X1 * w, X1 * w - S1
        return weight * labels.T * labels + (1 - weight) * answers.T * answers

    sides = X1.T * X1 * W - X1.T * (weight * Y1 + (1 - weight) * S1)
    change = loss(W + D) - loss(W) - (X1 * D).T * (X1 * D)
    return reduced_matrices([change - 2 * D.T * sides], "any sizes")


def fits_to_labels_and_answers_average() -> Finding:
    """λ times the fit to y and 1 − λ times the fit to s solve XᵀXw = Xᵀ(λy + (1−λ)s)."""
    weight = sp.Symbol("lambda_md", positive=True)
    to_labels, to_answers = sp.MatrixSymbol("u", N, 1), sp.MatrixSymbol("v", N, 1)
    rules = {(X1.T, X1, to_labels): X1.T * Y1, (X1.T, X1, to_answers): X1.T * S1}
    mixed = weight * to_labels + (1 - weight) * to_answers
    right = X1.T * (weight * Y1 + (1 - weight) * S1)
    return reduced_matrices([X1.T * X1 * mixed - right], "any sizes", rules=rules)


def linear_teacher_shrinks_towards_itself() -> Finding:
    """With φ(X) = XL and f(x) = xᵀθ, λ(fit to y) + (1−λ)Lθ solves the same equation."""
    weight = sp.Symbol("lambda_md", positive=True)
    link, theta = sp.MatrixSymbol("L", N, Q), sp.MatrixSymbol("theta", Q, 1)
    to_labels = sp.MatrixSymbol("u", N, 1)
    answers = X1 * link * theta
    mixed = weight * to_labels + (1 - weight) * link * theta
    right = X1.T * (weight * Y1 + (1 - weight) * answers)
    rules = {(X1.T, X1, to_labels): X1.T * Y1}
    return reduced_matrices([X1.T * X1 * mixed - right], "any sizes", rules=rules)


def error_is_linear_in_weight() -> Finding:
    """All σ′ are 1, so h is free of λ, and y − f + h(y″ − f)/(1 − h) is affine in λ."""
    weight, h = sp.symbols("lambda_md h", real=True)
    y, s, of_labels, of_answers = sp.symbols("y s f_y f_s", real=True)
    target, fitted = (weight * p + (1 - weight) * q for p, q in ((y, s), (of_labels, of_answers)))
    error = y - fitted + h * (target - fitted) / (1 - h)
    return reduced([sp.diff(error, weight, 2)], "each object: e² is a parabola in λ")


def class_numbers_are_equally_far_apart() -> Finding:
    """Squared distances between the labels 1, 2, 3 as numbers are all the same."""
    near, far = (1 - 2) ** 2, (1 - 3) ** 2
    return established(
        [sp.Eq(near, far)], f"as numbers, class 1 is {near} from class 2 and {far} from class 3"
    )


def one_hot_labels_are_equally_far_apart() -> Finding:
    """Squared distances between different one-hot vectors are 2."""
    unit = sp.eye(4)
    return established(
        [
            sp.Eq((unit[:, i] - unit[:, j]).dot(unit[:, i] - unit[:, j]), 2)
            for i in range(4)
            for j in range(i)
        ],
        "as one-hot vectors any two classes are √2 apart, R = 4",
    )


def expected_square_is_least_at_the_probabilities() -> Finding:
    """E‖y − g‖² over one-hot y with probabilities p is ‖g − p‖² + 1 − ‖p‖²."""
    differences = []
    for n_classes in (2, 3, 4):
        free = sp.symbols(f"p1:{n_classes}", positive=True)
        p, g = [*free, 1 - sum(free)], sp.symbols(f"g1:{n_classes + 1}", real=True)
        expected = inner(
            p,
            [
                sp.Add(*[(int(j == k) - g_j) ** 2 for j, g_j in enumerate(g)])
                for k in range(n_classes)
            ],
        )
        closed = sp.Add(*[(g_k - p_k) ** 2 for g_k, p_k in zip(g, p, strict=True)])
        closed += 1 - sp.Add(*[p_k**2 for p_k in p])
        differences.append(sp.expand(expected - closed))
    return reduced(differences, "R = 2, 3, 4")


# --- (15) in symbols


def _variance(second: Any, argument: Argument) -> Any:
    """Variance of a normal law whose second argument is what is said."""
    return {
        "standard deviation": second**2,
        "variance": second,
        "precision": 1 / second,
        "root of a precision": 1 / second**2,
    }[argument]


def _objective_of_two(g: Sequence[Any], label_weight: Any, teacher_weight: Any) -> Any:
    """(15) of one object outside I and one in I."""
    y, s = sp.symbols("y0:2", real=True), sp.Symbol("s1", real=True)
    labels = label_weight * ((y[0] - g[0]) ** 2 + (1 - TRUST) * (y[1] - g[1]) ** 2)
    return labels + TRUST * teacher_weight * (s - g[1]) ** 2


def _shares(weights: str) -> tuple[Any, Any]:
    """Weights of label and answer of an object of I: those of (11), or of (10)."""
    return (_label_share(), _teacher_share()) if weights == "(11)" else (OMEGA, OMEGA_S)


def _label_share() -> Any:
    return (1 - TRUST) * OMEGA


def _teacher_share() -> Any:
    return TRUST * OMEGA_S


def _inside() -> Any:
    return _label_share() + _teacher_share()


def _objective(w: Any, *, everyone: bool = False) -> Any:
    """(15) in the matrix form at the start of the proof."""
    labels, answers = Y1 - X1 * w, S1 - X1 * w
    inside = _label_share() * labels.T * labels + _teacher_share() * answers.T * answers
    if everyone:
        return inside
    outside = Y0 - X0 * w
    return OMEGA * outside.T * outside + inside


def _step(objective: Any) -> Any:
    """J(w + d) − J(w) − dᵀAd."""
    return objective(W + D) - objective(W) - D.T * _normal_matrix() * D


def _normal_matrix() -> Any:
    """Left side of (18), as printed."""
    return OMEGA * X0.T * X0 + (1 - TRUST) * OMEGA * X1.T * X1 + TRUST * OMEGA_S * X1.T * X1


def _normal_right_side() -> Any:
    """Right side of (18) over 2."""
    return OMEGA * X0.T * Y0 + (1 - TRUST) * OMEGA * X1.T * Y1 + TRUST * OMEGA_S * X1.T * S1


def _blended() -> tuple[Any, Any, Any]:
    """X, Σ⁻¹ and y″ in blocks."""
    features = sp.BlockMatrix([[X0], [X1]])
    off = sp.ZeroMatrix(M0, M1)
    precision = sp.BlockMatrix(
        [[OMEGA * sp.Identity(M0), off], [off.T, _inside() * sp.Identity(M1)]]
    )
    inside = (_label_share() * Y1 + _teacher_share() * S1) / _inside()
    return features, precision, sp.BlockMatrix([[Y0], [inside]])


def _solved(w: Any, right: Any) -> Rules:
    """A w = right, solved for the word X_0ᵀX_0 w."""
    return {(X0.T, X0, w): (right - _inside() * X1.T * X1 * w) / OMEGA}


def _conforms(product: str) -> Finding:
    columns, rows = N, N + sp.Symbol("k", integer=True, positive=True)
    return established(
        [sp.Eq(columns, rows)],
        f"{product} with X of m × n, m = n + k and k > 0: n columns against m rows",
    )
