"""The losses of distillation against their definitions, their laws, their limits, bad input."""

from copy import deepcopy
from dataclasses import dataclass

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import kdtheory.logit_terms
from kdtheory.divided_differences import log_normaliser, normaliser_gradient
from kdtheory.objectives import (
    distillation_objective,
    hinton_objective,
    multi_domain_objective,
    regression_objective,
)
from kdtheory.regression import distil_regression
from kdtheory.softening import log_soften, soften
from kdtheory.testing import masks, trusts

EPS = np.finfo(np.float64).eps
ACCURACY = 1e-12  # of a row's largest entry: exponents up to 745 are rounded before exp
TINY = 1e-300  # below this float64 keeps no relative accuracy
ROUNDING = 64 * EPS  # of sums of a few terms of size 1
SLOPE = 0.1  # around the order of a Taylor remainder
REGULARISERS = [None, "exact", "printed"]
DIGITS = 420
STEP = mpmath.mpf(10) ** -50  # differences: errors 1e-100 of truncation, 1e-320 of rounding


# --- the definitions, in many digits


def log_softmax(u):
    """log p_k = −log(1 + Σ_{j≠k} e^{u_j} / e^{u_k}): no digit is lost for any class."""
    powers = [mpmath.exp(entry) for entry in u]
    return [
        -mpmath.log1p(mpmath.fsum(powers[:k] + powers[k + 1 :]) / powers[k]) for k in range(len(u))
    ]


def log_divided_difference(u):
    """log Σ_k e^{u_k} / ∏_{j≠k} (u_k − u_j), for nodes that differ."""
    terms = [
        mpmath.exp(u[k] - max(u)) / mpmath.fprod(u[k] - u[j] for j in range(len(u)) if j != k)
        for k in range(len(u))
    ]
    return max(u) + mpmath.log(mpmath.fsum(terms))


def cross_entropy(s, u):
    return -mpmath.fsum(t * a for t, a in zip(s, log_softmax(u), strict=True) if t)


def bracket(regulariser, s, u):
    """What (14) multiplies by λ, at u = z/T."""
    if regulariser == "exact":
        return log_divided_difference(u) - mpmath.fdot(s, u)
    loss = cross_entropy(s, u)
    if regulariser == "printed":
        loss -= mpmath.fsum(a + mpmath.log(-a) for a in log_softmax(u))
    return loss


def defined_loss(y, s, trust, temperature, regulariser):
    """One object of I of (14), as a function of exact logits."""
    y, s = mpmath.matrix(y.tolist()), mpmath.matrix(s.tolist())
    lam, T = mpmath.mpf(trust), mpmath.mpf(temperature)

    def loss(z):
        soft = bracket(regulariser, s, [entry / T for entry in z]) if lam else 0
        return (1 - lam) * cross_entropy(y, z) + lam * soft

    return loss


def defined_squares(y, s, trust):
    """One object of MD's loss."""
    lam = mpmath.mpf(trust)

    def loss(z):
        p = [mpmath.exp(a) for a in log_softmax(z)]
        of_labels = mpmath.fsum((mpmath.mpf(t) - q) ** 2 for t, q in zip(y, p, strict=True))
        of_teacher = mpmath.fsum((mpmath.mpf(t) - q) ** 2 for t, q in zip(s, p, strict=True))
        return (1 - lam) * of_labels + lam * of_teacher

    return loss


def derivatives(loss, z, v):
    """Value, gradient and Hessian product by differences in many digits."""
    with mpmath.workdps(DIGITS):
        z = [mpmath.mpf(float(entry)) for entry in z]
        v = [mpmath.mpf(float(entry)) for entry in v]

        def along(k, t):
            """Central difference in class k at z + t v."""
            moved = [a + t * b for a, b in zip(z, v, strict=True)]
            up, down = list(moved), list(moved)
            up[k] += STEP
            down[k] -= STEP
            return (loss(up) - loss(down)) / (2 * STEP)

        gradient = [along(k, 0) for k in range(len(z))]
        product = [(along(k, STEP) - along(k, -STEP)) / (2 * STEP) for k in range(len(z))]
        return float(loss(z)), np.array(gradient, dtype=float), np.array(product, dtype=float)


def target_of(kind, n_classes, rng):
    """A point of the simplex: a vertex, on the boundary, or inside."""
    if kind == "inside":
        return rng.dirichlet(np.ones(n_classes))
    s = np.zeros(n_classes)
    if kind == "boundary":
        s[[0, -1]] = 0.25, 0.75
    else:
        s[{"first": 0, "last": -1}[kind]] = 1
    return s


MARGINS = [0.3, 5.0, 40.0, 800.0, 1e4, 1e6]


def spread_logits(n_classes, margin, rng):
    """Distinct logits: one above the others by about the margin, which spread as much."""
    z = -margin * np.sort(np.append(rng.uniform(1, 2, n_classes - 1), 0))
    return np.round(z, 3) + 0.5


def assert_agrees(found, loss, z, v, floors):
    value, gradient, product = derivatives(loss, z, v)
    for name, got, expected, floor in zip(
        ("value", "gradient", "product"),
        (found.values[0], found.gradient[0], found.hessian_product(v[None])[0]),
        (value, gradient, product),
        floors,
        strict=True,
    ):
        size = np.abs(expected).max()
        assert_allclose(got, expected, rtol=0, atol=ACCURACY * size + floor + TINY, err_msg=name)


# --- oracle: differences of the definitions in 420 digits


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_value_gradient_and_product_are_those_of_the_definition(
    regulariser, n_classes, margin, temperature
):
    rng = np.random.default_rng([n_classes, int(margin)])
    for y_kind, s_kind in [("first", "inside"), ("last", "boundary")]:
        y, s = (target_of(kind, n_classes, rng) for kind in (y_kind, s_kind))
        z, v = spread_logits(n_classes, margin, rng), rng.standard_normal(n_classes)
        found = distillation_objective(
            y[None], s[None], trust=0.3, temperature=temperature, regulariser=regulariser
        ).at(z[None])
        loss = defined_loss(y, s, 0.3, temperature, regulariser)
        # probabilities and targets of size 1 that cancel, log Z with its own error
        floors = ROUNDING * max(1, n_classes / temperature) * np.array([1, 1, 0])
        assert_agrees(found, loss, z, v, floors)


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_a_sure_and_right_student_keeps_the_digits_of_its_small_loss(regulariser, margin):
    rng = np.random.default_rng(int(margin))
    y = target_of("first", 4, rng)
    z, v = spread_logits(4, margin, rng), rng.standard_normal(4)
    found = distillation_objective(y[None], y[None], trust=0.5, regulariser=regulariser).at(z[None])
    assert_agrees(found, defined_loss(y, y, 0.5, 1.0, regulariser), z, v, [0, 0, 0])


@pytest.mark.parametrize("margin", [0.3, 5.0, 40.0, 300.0])
def test_each_entry_of_a_sure_gradient_keeps_its_digits(margin):
    rng = np.random.default_rng(3)
    y = target_of("first", 4, rng)
    z = spread_logits(4, margin, rng)
    expected = derivatives(defined_loss(y, y, 0.0, 1.0, None), z, z)[1]
    assert_allclose(
        distillation_objective([0], n_classes=4).at(z[None]).gradient[0],
        expected,
        rtol=ACCURACY,
        atol=TINY,
    )


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("kinds", [("first", "inside"), ("last", "boundary"), ("first", "first")])
def test_squares_between_probabilities_are_those_of_the_definition(kinds, margin):
    rng = np.random.default_rng(int(margin))
    y, s = (target_of(kind, 4, rng) for kind in kinds)
    z, v = spread_logits(4, margin, rng), rng.standard_normal(4)
    found = multi_domain_objective(y[None], s[None], trust=0.3).at(z[None])
    assert_agrees(found, defined_squares(y, s, 0.3), z, v, [0, 0, 0])


@pytest.mark.parametrize("ties", [2, 3, 4])
@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_ties_of_the_largest_logit_are_no_exception(regulariser, ties):
    rng = np.random.default_rng(ties)
    z = np.where(np.arange(4) < ties, 3.0, [0.0, -1.0, 1.0, 2.0])
    y, s, v = target_of("first", 4, rng), target_of("inside", 4, rng), rng.standard_normal(4)
    found = distillation_objective(y[None], s[None], temperature=2.0, regulariser=regulariser)
    if regulariser == "exact":  # the oracle needs nodes that differ: the midpoint rule in them
        apart = 1e-4 * np.arange(4)
        near = [found.at((z + sign * apart)[None]) for sign in (-1, 1)]
        here = found.at(z[None])
        for get in (
            lambda at: at.values,
            lambda at: at.gradient,
            lambda at: at.hessian_product(v[None]),
        ):
            # second differences times the squares of the steps
            assert_allclose(get(here), (get(near[0]) + get(near[1])) / 2, rtol=0, atol=1e-6)
    else:
        loss = defined_loss(y, s, 0.5, 2.0, regulariser)
        assert_agrees(found.at(z[None]), loss, z, v, [ROUNDING] * 3)


def test_each_square_of_15_is_there_once():
    y, s, g = np.array([1.0, 2.0, 4.0]), np.array([0.0, 7.0, np.nan]), np.array([3.0, 3.0, 3.0])
    inside = np.array([True, True, False])
    given = {"privileged": inside, "trust": 0.25, "sigma": 2.0, "sigma_teacher": [0.5, 1.0, 1.0]}
    at = regression_objective(y, s, **given, sample_weight=[1.0, 2.0, 3.0]).at(g)
    omega, omega_s, c = 0.25, np.array([4.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])
    a = c * np.where(inside, 0.75, 1) * omega
    b = c * np.where(inside, 0.25, 0) * omega_s
    s = np.where(inside, s, 0)
    assert_allclose(at.values, a * (y - g) ** 2 + b * (s - g) ** 2, rtol=ROUNDING)
    assert_allclose(at.gradient, 2 * a * (g - y) + 2 * b * (g - s), rtol=ROUNDING, atol=ROUNDING)
    assert_allclose(at.hessian_product(g), 2 * (a + b) * g, rtol=ROUNDING)
    assert_allclose(at.hessian[:, 0, 0], 2 * (a + b), rtol=ROUNDING)
    printed = regression_objective(y, s, **given, convention="printed").at(g)
    assert_allclose(printed.values[2], 4 * (y[2] - g[2]) ** 2, rtol=ROUNDING)


# --- laws


@dataclass
class Problem:
    """Labels, answers and all else of (14), and logits at which to look."""

    y: np.ndarray
    teacher: np.ndarray
    privileged: np.ndarray
    trust: float
    temperature: float
    sample_weight: np.ndarray
    z: np.ndarray
    v: np.ndarray

    def objective(self, regulariser=None, **change):
        arguments = {k: a for k, a in vars(self).items() if k not in ("z", "v")} | change
        return distillation_objective(regulariser=regulariser, **arguments)

    def at(self, regulariser=None, **change):
        return self.objective(regulariser, **change).at(self.z)


@st.composite
def problems(draw, least_classes=2):
    m, n_classes = draw(st.integers(1, 6)), draw(st.integers(least_classes, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    privileged = draw(masks(m))
    privileged[0] = True
    return Problem(
        y=rng.integers(0, n_classes, m),
        teacher=rng.dirichlet(np.ones(n_classes), m),
        privileged=privileged,
        trust=draw(trusts()),
        temperature=draw(st.sampled_from([0.5, 1.0, 3.0])),
        sample_weight=rng.uniform(0.1, 2, m),
        z=rng.normal(0, draw(st.sampled_from([0.5, 3.0])), (m, n_classes)),
        v=rng.standard_normal((m, n_classes)),
    )


def problem(n_classes=4, m=20, temperature=1.5):
    """One of `problems`, larger."""
    rng = np.random.default_rng(5)
    return Problem(
        y=rng.integers(0, n_classes, m),
        teacher=rng.dirichlet(np.ones(n_classes), m),
        privileged=np.arange(m) % 3 > 0,
        trust=0.6,
        temperature=temperature,
        sample_weight=rng.uniform(0.1, 2, m),
        z=rng.standard_normal((m, n_classes)),
        v=rng.standard_normal((m, n_classes)),
    )


def squares(case):
    """MD's loss, of everything."""
    return multi_domain_objective(case.y, case.teacher, trust=case.trust)


def assert_same(one, other, v, rtol=ROUNDING, atol=ROUNDING):
    assert_allclose(one.values, other.values, rtol=rtol, atol=atol)
    assert_allclose(one.gradient, other.gradient, rtol=rtol, atol=atol)
    assert_allclose(one.hessian_product(v), other.hessian_product(v), rtol=rtol, atol=atol)


def entropy(s):
    return -np.sum(s * np.log(s), axis=-1)


def kullback_leibler(s, p):
    return np.sum(s * np.log(s / p), axis=-1)


@given(problems(), st.sampled_from([0.5, 1.0, 4.0]))
def test_a_student_that_agrees_with_its_teacher_has_the_entropy_as_loss(case, temperature):
    answers = soften(case.z, temperature)
    at = distillation_objective(case.y, answers, trust=1.0, temperature=temperature).at(case.z)
    assert_allclose(at.values, entropy(answers), rtol=ROUNDING, atol=ROUNDING)
    assert_allclose(at.gradient, 0, atol=ROUNDING)
    hinton = hinton_objective(case.y, case.z, temperature=temperature).at(case.z)
    labels = distillation_objective(case.y, n_classes=case.z.shape[1]).at(case.z)
    assert_allclose(hinton.values - labels.values, entropy(answers), atol=ROUNDING)
    assert_allclose(hinton.gradient, labels.gradient, atol=ROUNDING)


@pytest.mark.parametrize("temperature", [1e4, 1e6])
def test_hot_soft_gradients_times_the_squared_temperature_match_centred_logits(temperature):
    rng = np.random.default_rng(0)
    z, v = rng.standard_normal((2, 8, 5))
    centred = [a - a.mean(axis=1, keepdims=True) for a in (z, v)]
    soft = distillation_objective(
        np.zeros(8, dtype=int),
        soften(v, temperature),
        trust=1.0,
        temperature=temperature,
        squared_temperature=True,
    )
    # the next term of the expansion in 1/T, and the rounding of answers times T
    bound = 20 / temperature + temperature * ROUNDING
    assert_allclose(soft.at(z).gradient, (centred[0] - centred[1]) / 5, atol=bound)


@given(problems(least_classes=3))
def test_decoupled_distillation_is_a_split_of_the_divergence(case):
    T = case.temperature
    at = distillation_objective(case.y, case.teacher, trust=1.0, temperature=T).at(case.z)
    rows = np.arange(len(case.y))
    s, p = case.teacher, soften(case.z, T)

    def pair(probs):
        return np.stack([probs[rows, case.y], 1 - probs[rows, case.y]], axis=1)

    def others(probs):
        rest = probs.copy()
        rest[rows, case.y] = 0
        rest /= rest.sum(axis=1, keepdims=True)
        return np.delete(rest.ravel(), rows * probs.shape[1] + case.y).reshape(len(rows), -1)

    split = kullback_leibler(pair(s), pair(p))
    split += (1 - s[rows, case.y]) * kullback_leibler(others(s), others(p))
    # 1 − s of a class of the largest probability cancels in this form
    assert_allclose(at.values - entropy(s), split, rtol=1e-8, atol=1e-10)


@given(problems(), trusts())
def test_label_smoothing_is_a_uniform_teacher(case, smoothing):
    n_classes = case.z.shape[1]
    smooth = (1 - smoothing) * np.eye(n_classes)[case.y] + smoothing / n_classes
    uniform = np.full_like(case.teacher, 1 / n_classes)
    teacher = distillation_objective(case.y, uniform, trust=smoothing).at(case.z)
    assert_same(distillation_objective(smooth).at(case.z), teacher, case.v)


@pytest.mark.parametrize("regulariser", REGULARISERS)
@given(case=problems())
def test_without_trust_or_outside_i_the_loss_is_the_labels_cross_entropy(regulariser, case):
    labels = distillation_objective(
        case.y, n_classes=case.z.shape[1], sample_weight=case.sample_weight
    ).at(case.z)
    assert_same(case.at(regulariser, trust=0.0), labels, case.v)
    outside = ~case.privileged
    assert_allclose(case.at(regulariser).values[outside], labels.values[outside], rtol=ROUNDING)
    assert_allclose(case.at(regulariser).gradient[outside], labels.gradient[outside])
    plain = -case.sample_weight * log_soften(case.z)[np.arange(len(case.y)), case.y]
    assert_allclose(labels.values, plain, rtol=ROUNDING)


@given(problems())
def test_at_unit_temperature_the_target_is_the_convex_combination(case):
    lam = np.where(case.privileged, case.trust, 0)[:, None]
    blend = (1 - lam) * np.eye(case.z.shape[1])[case.y] + lam * case.teacher
    found = case.at(temperature=1.0)
    assert_same(
        found, distillation_objective(blend, sample_weight=case.sample_weight).at(case.z), case.v
    )
    expected = case.sample_weight[:, None] * (soften(case.z) - blend)
    assert_allclose(found.gradient, expected, atol=ROUNDING)


@given(problems(), st.booleans())
def test_equation_3_is_twice_equation_14_at_half_trust(case, squared):
    given = {"temperature": case.temperature, "squared_temperature": squared}
    hinton = hinton_objective(case.y, case.v, **given, sample_weight=case.sample_weight)
    half = distillation_objective(
        case.y,
        soften(case.v, case.temperature),
        trust=0.5,
        **given,
        sample_weight=2 * case.sample_weight,
    )
    assert_same(hinton.at(case.z), half.at(case.z), case.v)


@given(problems())
def test_hintons_loss_is_two_cross_entropies(case):
    T = case.temperature
    labels = -log_soften(case.z)[np.arange(len(case.y)), case.y]
    soft = -(soften(case.v, T) * log_soften(case.z, T)).sum(axis=1)
    for squared, factor in [(False, 1), (True, T * T)]:
        objective = hinton_objective(case.y, case.v, temperature=T, squared_temperature=squared)
        assert_allclose(objective.at(case.z).values, labels + factor * soft, rtol=ROUNDING)


@pytest.mark.parametrize("regulariser", REGULARISERS)
@given(case=problems())
def test_the_loss_is_linear_in_the_trust_up_to_both_ends(regulariser, case):
    # a library drops the factor T² at one end: the loss jumps there
    ends = [case.at(regulariser, trust=lam, squared_temperature=True) for lam in (0.0, 1.0)]
    found = case.at(regulariser, squared_temperature=True)
    for name in ("values", "gradient"):
        at_0, at_1 = (getattr(end, name) for end in ends)
        expected = (1 - case.trust) * at_0 + case.trust * at_1
        assert_allclose(getattr(found, name), expected, rtol=ROUNDING, atol=1e3 * ROUNDING)


@pytest.mark.parametrize("regulariser", REGULARISERS)
@given(case=problems())
def test_full_trust_does_not_look_at_labels_of_i(regulariser, case):
    everything = {"trust": 1.0, "privileged": None}
    other = case.at(regulariser, **everything, y=(case.y + 1) % case.z.shape[1])
    assert_same(case.at(regulariser, **everything), other, case.v)


@pytest.mark.parametrize("regulariser", REGULARISERS)
@given(case=problems())
def test_the_temperature_divides_the_students_logits(regulariser, case):
    T = case.temperature
    hot = case.at(regulariser, trust=1.0, privileged=None)
    cool = distillation_objective(
        case.y,
        case.teacher,
        trust=1.0,
        regulariser=regulariser,
        sample_weight=case.sample_weight,
    ).at(case.z / T)
    assert_allclose(hot.values, cool.values, rtol=ROUNDING, atol=ROUNDING)
    assert_allclose(T * hot.gradient, cool.gradient, rtol=ROUNDING, atol=1e3 * ROUNDING)
    assert_allclose(
        T * T * hot.hessian_product(case.v), cool.hessian_product(case.v), atol=1e3 * ROUNDING
    )
    squared = case.at(regulariser, trust=1.0, privileged=None, squared_temperature=True)
    assert_allclose(squared.values, T * T * cool.values, rtol=ROUNDING, atol=ROUNDING)


def test_the_loss_sums_over_classes_and_does_not_divide_by_their_number():
    for n_classes in (2, 10, 1000):
        s = np.random.default_rng(0).dirichlet(np.ones(n_classes), 3)
        at = distillation_objective(s, s, temperature=2.0).at(np.zeros((3, n_classes)))
        assert_allclose(at.values, np.log(n_classes), rtol=ROUNDING)


@given(problems())
def test_softmax_is_taken_once(case):
    # twice, or of probabilities, the student could not reach its teacher
    at = distillation_objective(case.y, case.teacher, trust=1.0).at(np.log(case.teacher))
    assert_allclose(at.gradient, 0, atol=ROUNDING)
    assert_allclose(at.values, entropy(case.teacher), rtol=ROUNDING)


@given(problems())
def test_the_student_is_the_second_argument_of_the_divergence(case):
    at = distillation_objective(case.y, case.teacher, trust=1.0).at(case.z)
    expected = kullback_leibler(case.teacher, soften(case.z))
    assert_allclose(at.values - entropy(case.teacher), expected, atol=1e3 * ROUNDING)
    assert (at.values >= entropy(case.teacher) - ROUNDING).all()


@pytest.mark.parametrize("kind", [*REGULARISERS, "squares"])
@given(case=problems())
def test_objects_keep_their_own_answers(kind, case):
    objective = squares(case) if kind == "squares" else case.objective(kind)
    whole = objective.at(case.z)
    order = np.arange(len(case.y))[::-1]
    for index in (order, slice(0, None, 2), case.privileged, ~case.privileged):
        part = objective.rows(index)
        at = part.at(case.z[index])
        assert part.n_objects == len(case.y[index])
        assert_array_equal(part.support, objective.support[index])
        assert_allclose(at.values, whole.values[index], rtol=ROUNDING)
        assert_allclose(at.gradient, whole.gradient[index], rtol=1e-10, atol=ROUNDING)
        assert_allclose(at.hessian, whole.hessian[index], rtol=1e-10, atol=1e3 * ROUNDING)


@given(problems(), st.lists(trusts(), min_size=1, max_size=4))
def test_blends_are_the_losses_at_the_trusts_between(case, shares):
    ignored, followed = (case.objective(temperature=1.0, trust=trust) for trust in (0.0, 1.0))
    blends = ignored.blends(followed, shares)
    assert blends.n_objects == len(shares) * len(case.z)
    at = blends.at(np.tile(case.z, (len(shares), 1)))
    for j, share in enumerate(shares):
        expected = case.at(temperature=1.0, trust=share)
        own = slice(j * len(case.z), (j + 1) * len(case.z))
        assert_allclose(at.values[own], expected.values, rtol=ROUNDING, atol=ROUNDING)
        assert_allclose(at.gradient[own], expected.gradient, atol=ROUNDING)
        product = blends.rows(own).at(case.z).hessian_product(case.v)
        assert_allclose(product, expected.hessian_product(case.v), atol=ROUNDING)


@given(problems(), trusts())
def test_blends_of_other_labels_and_weights_are_the_means_of_the_losses(case, share):
    n_classes = case.z.shape[1]
    one = distillation_objective(case.y, n_classes=n_classes, sample_weight=case.sample_weight)
    other = distillation_objective(case.teacher)
    at = one.blends(other, [share]).at(case.z)
    expected = (1 - share) * one.at(case.z).values + share * other.at(case.z).values
    assert_allclose(at.values, expected, rtol=ROUNDING, atol=ROUNDING)


def test_a_slice_of_objects_is_a_view():
    case = problem()
    objective = case.objective("printed")
    part = objective.rows(slice(2, 9))
    for whole, view in zip(objective._terms, part._terms, strict=True):
        assert np.shares_memory(whole.weight, view.weight)


@pytest.mark.parametrize("regulariser", REGULARISERS)
@given(case=problems(), shift=st.floats(-1e3, 1e3))
def test_a_shift_of_all_logits_of_an_object_changes_nothing(regulariser, case, shift):
    moved = case.objective(regulariser).at(case.z + shift)
    # the moved logits are rounded before they are seen
    error = 1e3 * ROUNDING * (1 + abs(shift))
    assert_same(case.at(regulariser), moved, case.v, atol=error)
    assert_allclose(moved.gradient.sum(axis=1), 0, atol=1e3 * ROUNDING)
    assert_allclose(moved.hessian_product(np.ones_like(case.v)), 0, atol=1e3 * ROUNDING)


@pytest.mark.parametrize("regulariser", REGULARISERS)
@given(case=problems())
def test_the_numbering_of_classes_does_not_matter(regulariser, case):
    order = np.random.default_rng(0).permutation(case.z.shape[1])
    other = case.objective(
        regulariser, y=np.argsort(order)[case.y], teacher=case.teacher[:, order]
    ).at(case.z[:, order])
    found = case.at(regulariser)
    assert_allclose(other.values, found.values, rtol=ROUNDING, atol=ROUNDING)
    assert_allclose(other.gradient, found.gradient[:, order], atol=1e3 * ROUNDING)
    product = other.hessian_product(case.v[:, order])
    assert_allclose(product, found.hessian_product(case.v)[:, order], atol=1e3 * ROUNDING)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 4.0])
@pytest.mark.parametrize("kind", [*REGULARISERS, "squares"])
def test_taylor_remainders_have_the_slopes_3_and_2(kind, temperature):
    case = problem(temperature=temperature)
    objective = squares(case) if kind == "squares" else case.objective(kind)
    here = objective.at(case.z)
    first = (here.gradient * case.v).sum(axis=1)
    second = (here.hessian_product(case.v) * case.v).sum(axis=1)
    steps = 2.0 ** -np.arange(5, 10)
    remainders = []
    for h in steps:
        rest = objective.at(case.z + h * case.v).values - here.values - h * first
        remainders.append([np.abs(rest - h * h / 2 * second).sum(), np.abs(rest).sum()])
    slopes = np.polyfit(np.log(steps), np.log(remainders), 1)[0]
    assert_allclose(slopes, [3, 2], atol=SLOPE)


@pytest.mark.parametrize("kind", [*REGULARISERS, "squares"])
@given(case=problems())
def test_the_hessian_is_symmetric_and_its_products_are_its_own(kind, case):
    objective = squares(case) if kind == "squares" else case.objective(kind)
    at = objective.at(case.z)
    products = np.einsum("mkl,ml->mk", at.hessian, case.v)
    scale = 1e3 * ROUNDING
    assert_allclose(at.hessian_product(case.v), products, rtol=1e-10, atol=scale)
    assert_allclose(at.hessian, np.swapaxes(at.hessian, 1, 2), rtol=1e-10, atol=scale)
    assert_allclose(at.hessian.sum(axis=2), 0, atol=scale)


@pytest.mark.parametrize("regulariser", [None, "exact"])
@given(case=problems())
def test_without_regulariser_and_with_the_exact_one_the_loss_is_convex(regulariser, case):
    objective = case.objective(regulariser)
    assert objective.convex
    lowest = np.linalg.eigvalsh(objective.at(case.z).hessian).min()
    assert lowest >= -1e3 * ROUNDING
    ends = [objective.at(case.z + sign * case.v).values for sign in (-1, 1)]
    assert (objective.at(case.z).values <= (ends[0] + ends[1]) / 2 + ROUNDING).all()


def test_the_printed_loss_is_convex_for_two_classes_only():
    z = np.array([[4.0, 0.0, 0.0]])
    three = distillation_objective([0], np.ones((1, 3)) / 3, trust=1.0, regulariser="printed")
    assert not three.convex
    assert np.linalg.eigvalsh(three.at(z).hessian).min() < -0.01
    half = np.array([[0.5, 0.5]])
    two = distillation_objective([0], half, trust=1.0, regulariser="printed")
    assert two.convex
    for margin in (0.0, 1.0, 30.0, 1e3):
        assert np.linalg.eigvalsh(two.at([[margin, 0.0]]).hessian).min() >= -ROUNDING
    assert not multi_domain_objective([0], half).convex


@given(problems())
def test_the_exact_bracket_is_minus_the_logarithm_of_the_density(case):
    from kdtheory.continuous_categorical import ContinuousCategorical

    u = case.z / case.temperature
    at = case.at("exact", trust=1.0, privileged=None, sample_weight=None)
    density = ContinuousCategorical(logits=u).log_prob(case.teacher)
    assert_allclose(at.values, -density, rtol=1e-12, atol=1e-12)
    mean = normaliser_gradient(u)
    assert_allclose(case.temperature * at.gradient, mean - case.teacher, atol=ROUNDING)


@given(problems(least_classes=3))
def test_the_printed_regulariser_is_least_at_the_centre_and_the_exact_one_pulls_outwards(case):
    uniform = np.full_like(case.teacher, 1 / case.z.shape[1])
    given = {"teacher": uniform, "trust": 1.0, "privileged": None}
    # with a uniform teacher cross-entropy and printed term are both least at z = 0
    centre = np.zeros_like(case.z)
    printed = case.objective("printed", **given)
    assert_allclose(printed.at(centre).gradient, 0, atol=1e3 * ROUNDING)
    plain, exact = (case.objective(r, **given).at(case.z) for r in (None, "exact"))
    added = exact.values - plain.values
    at_centre = case.objective("exact", **given).at(centre)
    at_centre = at_centre.values - case.objective(None, **given).at(centre).values
    assert (added <= at_centre + 1e3 * ROUNDING).all()


@given(problems())
def test_weights_of_objects_multiply_their_losses(case):
    for regulariser in REGULARISERS:
        weighted, plain = (
            case.at(regulariser, sample_weight=w) for w in (case.sample_weight, None)
        )
        c = case.sample_weight
        assert_allclose(weighted.values, c * plain.values, rtol=1e-12, atol=ROUNDING)
        assert_allclose(weighted.gradient, c[:, None] * plain.gradient, atol=1e3 * ROUNDING)


def test_an_object_without_weight_has_no_loss():
    case = problem()
    weight = case.sample_weight * (np.arange(20) != 7)
    for regulariser in REGULARISERS:
        at = case.at(regulariser, sample_weight=weight)
        assert at.values[7] == 0
        assert_array_equal(at.gradient[7], 0)
        assert_array_equal(at.hessian_product(case.v)[7], 0)
        assert not case.objective(regulariser, sample_weight=weight).support[7].any()


def test_the_support_is_where_targets_have_weight():
    y, s = np.array([0, 1, 2]), np.array([[0.5, 0, 0.5], [0, 1, 0], [1, 0, 0]])
    inside = [True, True, False]
    expected = [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    for regulariser, temperature in [(None, 1), (None, 2), ("exact", 1), ("exact", 2)]:
        given = {"privileged": inside, "temperature": temperature}
        found = distillation_objective(y, s, regulariser=regulariser, **given)
        assert_array_equal(found.support, expected)
        found = distillation_objective(y, s, regulariser=regulariser, trust=1.0, **given)
        assert_array_equal(found.support, expected)
    printed = distillation_objective(y, s, privileged=inside, regulariser="printed")
    assert_array_equal(printed.support, [[1, 1, 1], [1, 1, 1], [0, 0, 1]])
    assert_array_equal(multi_domain_objective(y, s, trust=0.0).support, np.eye(3)[y])


def test_many_hessians_are_taken_in_blocks(monkeypatch):
    case = problem()
    expected = case.at("exact").hessian_product(case.v)
    monkeypatch.setattr(kdtheory.logit_terms, "KEPT", 3 * 4**2)
    assert_allclose(case.at("exact").hessian_product(case.v), expected, atol=ROUNDING)


@given(problems(), trusts())
def test_the_trust_of_md_weights_the_teacher(case, trust):
    at = multi_domain_objective(case.y, case.teacher, trust=trust).at(case.z)
    p, one_hot = soften(case.z), np.eye(case.z.shape[1])[case.y]
    of_labels = ((one_hot - p) ** 2).sum(axis=1)
    of_teacher = ((p - case.teacher) ** 2).sum(axis=1)
    assert_allclose(at.values, (1 - trust) * of_labels + trust * of_teacher, rtol=1e-10)


@given(problems())
def test_theorem_2_is_where_the_summed_gradient_of_15_vanishes(case):
    X, answers = case.v, case.z
    given = {"privileged": case.privileged, "trust": case.trust, "sigma": 0.5}
    given["sample_weight"] = case.sample_weight
    fit = distil_regression(X, answers, X[:, ::-1], ridge=1e-3, **given)
    objective = regression_objective(answers, X[:, ::-1], **given)
    at = objective.at(X @ fit.coef)
    assert_allclose(X.T @ at.gradient + 2e-3 * fit.coef, 0, atol=1e-9)
    assert_allclose(at.values, fit_of_15(fit, X), rtol=1e-10, atol=1e-10)
    part = objective.rows(case.privileged)
    assert_allclose(part.at((X @ fit.coef)[case.privileged]).gradient, at.gradient[case.privileged])
    assert_allclose(at.hessian_product(X), np.einsum("mkl,ml->mk", at.hessian, X))


def fit_of_15(fit, X):
    """The squares of (15) from the weights that a fit keeps."""
    g = X @ fit.coef
    of_labels = fit.label_weight * ((fit.y - g) ** 2).sum(axis=1)
    return of_labels + fit.teacher_weight * ((fit.teacher - g) ** 2).sum(axis=1)


# --- limits


def test_a_class_of_no_probability_costs_nothing_unless_it_is_wanted():
    # (z − max z)/T is −∞: log 0 = −∞, and 0 · log 0 = 0
    z = np.array([[0.0, -1e10], [0.0, -1e10]])
    s = np.array([[1.0, 0.0], [0.0, 1.0]])
    at = distillation_objective([0, 0], s, trust=1.0, temperature=1e-300).at(z)
    assert_array_equal(at.values, [0, np.inf])
    assert not np.isnan(at.gradient).any()
    assert_array_equal(distillation_objective([0, 0], s, trust=1.0).at(z).values, [0, 1e10])


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_large_margins_have_finite_losses_and_derivatives(regulariser):
    # elsewhere log p is −∞ from a margin of 200
    z = np.array([[1e6, 0.0, -1e6], [-1e4, 1e4, 0.0], [0.0, 0.0, 1e4]])
    s = np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    for temperature in (1e-3, 1.0, 1e4):
        at = distillation_objective(
            [2, 0, 1], s, temperature=temperature, regulariser=regulariser
        ).at(z)
        for found in (at.values, at.gradient, at.hessian, at.hessian_product(z)):
            assert np.isfinite(found).all()


@pytest.mark.parametrize("n_others", [1, 2, 5])
def test_the_printed_regulariser_grows_like_the_margin(n_others):
    z = np.zeros((1, n_others + 1))
    s = np.eye(n_others + 1)[:1]
    values, gradients = [], []
    for margin in (1e3, 1e6):
        z[0, 0] = margin
        at = distillation_objective([0], s, trust=1.0, regulariser="printed").at(z)
        # K − 1 losses equal to the margin, and −log of Q = (K − 1) exp(−margin)
        expected = n_others * (margin - np.log(margin)) + margin - np.log(n_others)
        values.append(at.values[0] / expected)
        gradients.append(at.gradient[0])
    assert_allclose(values, 1, rtol=ROUNDING)
    slope = n_others * (1 - 1e-6) + 1
    assert_allclose(gradients[1], [slope] + n_others * [-slope / n_others], rtol=1e-12)


@pytest.mark.parametrize("regulariser", [None, "exact"])
def test_a_single_class_has_no_loss(regulariser):
    at = distillation_objective([0, 0], np.ones((2, 1)), regulariser=regulariser).at([[3.0], [-2]])
    for found in (at.values, at.gradient, at.hessian, at.hessian_product(np.ones((2, 1)))):
        assert_array_equal(found, np.zeros_like(found))


def test_two_classes_of_the_printed_regulariser_are_a_function_of_the_margin():
    # −Σ (a + log(−a)) with a = −log(1 + e^{∓u})
    u = np.array([0.0, 0.5, -3.0])
    L = np.log1p(np.exp(np.stack([-u, u], axis=1)))
    s = np.tile([0.5, 0.5], (3, 1))
    printed, plain = (
        distillation_objective([0, 0, 0], s, trust=1.0, regulariser=r).at(
            np.stack([u, np.zeros(3)], axis=1)
        )
        for r in ("printed", None)
    )
    assert_allclose(printed.values - plain.values, (L - np.log(L)).sum(axis=1), rtol=ROUNDING)


def test_rounded_answers_are_brought_back_to_the_simplex():
    s = soften(np.float32([[1.0, 2.0, 0.5], [0.3, 0.1, 0.2]]), 2.0)
    assert s.dtype == np.float32
    z = 1e4 * np.ones((2, 3)) + [0.0, 1.0, 2.0]
    for regulariser in REGULARISERS:
        objective = distillation_objective(s, s, temperature=3.0, regulariser=regulariser)
        at = objective.at(z.astype(np.float32))
        assert at.gradient.dtype == np.float64
        assert_allclose(at.gradient.sum(axis=1), 0, atol=ROUNDING)
    exact = distillation_objective(s, s, trust=1.0, regulariser="exact").at(z).values
    expected = log_normaliser(z) - (s.astype(float) / s.sum(axis=1, dtype=float)[:, None] * z).sum(
        axis=1
    )
    assert_allclose(exact, expected, atol=1e-11)


def test_logits_of_any_layout_are_taken():
    case = problem()
    expected = case.at("printed")
    for z in (np.asfortranarray(case.z), case.z[:, ::-1][:, ::-1], case.z.tolist()):
        assert_same(case.objective("printed").at(z), expected, np.asfortranarray(case.v))
    z = case.z.copy()
    case.at("printed").hessian_product(case.v)
    assert_array_equal(case.z, z)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_arrays_given_and_answers_are_left_as_they_are(order, temperature):
    case = problem(temperature=temperature)
    one_hot = np.eye(case.z.shape[1])[case.y]
    case.y, case.teacher, case.z, case.v = (
        np.array(array, order=order) for array in (one_hot, case.teacher, case.z, case.v)
    )
    copies = deepcopy(vars(case))
    for objective in [*(case.objective(r) for r in REGULARISERS), squares(case)]:
        at = objective.at(case.z)
        found = [at.values, at.gradient, at.hessian_product(case.v), at.hessian]
        answers = deepcopy(found)
        # not even by questions to the same place in another order
        again = objective.at(case.z)
        for place in (at, again):
            parts = [place.hessian, place.hessian_product(case.v), place.gradient, place.values]
            for answer, part, held in zip(answers, parts[::-1], found, strict=True):
                assert_array_equal(part, answer)
                assert_array_equal(held, answer)
    for name, copy in copies.items():
        assert_array_equal(getattr(case, name), copy)


# --- bad input


GOOD_S = np.array([[0.5, 0.5], [0.25, 0.75]])


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"y": [0, 2]}, ValueError, r"`y` must be class numbers 0 … 1, got 2 at index \(1\)"),
        ({"y": [-1, 0]}, ValueError, r"`y` must be class numbers 0 … 1, got -1 at index \(0\)"),
        ({"y": [0.0, 1.0]}, TypeError, r"`y` must be class numbers of an integer type, .*float64"),
        ({"y": ["a", "b"]}, TypeError, r"`y` must be class numbers of an integer type, got .*<U1"),
        ({"y": []}, ValueError, r"`y` must have shape \(m,\) with m at least 1"),
        ({"y": np.zeros(0, dtype=int)}, ValueError, r"`y` must have shape \(m,\) .* \(0,\)"),
        ({"y": [[0.5, 0.6], [1, 0]]}, ValueError, r"`y` must sum to 1 .* got 1.1"),
        ({"y": np.ones((2, 3)) / 3}, ValueError, r"`y` must have 2 classes in its last axis"),
        ({"y": np.zeros((0, 2))}, ValueError, r"`y` must have shape \(m, K\) with m at least 1"),
        ({"y": [0]}, ValueError, r"`teacher` must have shape \(1, 2\), got shape \(2, 2\)"),
        ({"teacher": [[0.5, 0.6], [1, 0]]}, ValueError,
         r"`teacher` must sum to 1 over the last axis, got 1.1 .*kdtheory.soften first$"),
        ({"teacher": [[3.0, -2.0], [1, 0]]}, ValueError,
         r"`teacher` must not be negative, got -2.0; pass logits through kdtheory.soften first$"),
        ({"teacher": np.log(GOOD_S)}, ValueError, r"`teacher` must not be negative, .*soften"),
        ({"teacher": [[np.nan, 1], [1, 0]]}, ValueError, r"`teacher` must be finite, got nan"),
        ({"teacher": [0, 1]}, ValueError, r"`teacher` must have 2 dimension\(s\)"),
        ({"teacher": np.ones((2, 3)) / 3, "n_classes": 2}, ValueError,
         r"`teacher` must have shape \(2, 2\), got shape \(2, 3\)"),
        ({"n_classes": 0}, ValueError, r"`n_classes` must be at least 1, got 0"),
        ({"n_classes": 2.0}, TypeError, r"`n_classes` must be an integer, got 2.0"),
        ({"privileged": [False, False]}, ValueError,
         r"`privileged` must be True for at least one object if there is a teacher, got none"),
        ({"privileged": [1, 0]}, TypeError, r"`privileged` must be a boolean mask"),
        ({"privileged": [True]}, ValueError, r"`privileged` must have shape \(2,\)"),
        ({"teacher": None, "privileged": [True, True]}, ValueError,
         r"`privileged` must be None without a teacher, got a mask"),
        ({"trust": 1.1}, ValueError, r"`trust` must be in \[0, 1\], got 1.1"),
        ({"trust": np.nan}, ValueError, r"`trust` must be in \[0, 1\], got nan"),
        ({"temperature": 0.0}, ValueError, r"`temperature` must be finite and positive, got 0.0"),
        ({"temperature": -1.0}, ValueError, r"`temperature` must be finite and positive"),
        ({"temperature": 1e-200, "squared_temperature": True}, ValueError,
         r"`temperature\*\*2` must be finite and positive, got 0.0"),
        ({"squared_temperature": 2}, TypeError, "`squared_temperature` must be True or False"),
        ({"regulariser": "Exact"}, ValueError,
         r"`regulariser` must be 'printed' or 'exact', got 'Exact'"),
        ({"sample_weight": [1.0]}, ValueError, r"`sample_weight` must have shape \(2,\)"),
        ({"sample_weight": [1.0, -1.0]}, ValueError, r"`sample_weight` must be at least 0"),
        ({"y": [0, 0], "teacher": [[1.0], [1.0]], "regulariser": "printed"}, ValueError,
         r"`regulariser` must not be 'printed' for a single class"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(change, error, match):
    arguments = {"y": [0, 1], "teacher": GOOD_S} | change
    with pytest.raises(error, match=match):
        distillation_objective(**arguments)


def test_answers_outside_i_are_not_looked_at():
    s = np.array([[0.5, 0.5], [np.nan, -3.0]])
    at = distillation_objective([0, 1], s, privileged=[True, False]).at(np.zeros((2, 2)))
    assert_allclose(at.values, np.log(2), rtol=ROUNDING)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (np.zeros((2, 3)), ValueError, r"must have shape \(2, 2\), got shape \(2, 3\)"),
        (np.zeros(2), ValueError, r"must have shape \(2, 2\), got shape \(2,\)"),
        ([["a", "b"]] * 2, TypeError, "must be an array of real numbers, got dtype <U1"),
        (np.zeros((2, 2), dtype=complex), TypeError, "must be an array of real numbers"),
    ],
)
def test_logits_and_directions_of_another_kind_are_named(value, error, match):
    objective = distillation_objective([0, 1], GOOD_S)
    with pytest.raises(error, match="`logits` " + match):
        objective.at(value)
    with pytest.raises(error, match="`direction` " + match):
        objective.at(np.zeros((2, 2))).hessian_product(value)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: hinton_objective([0, 1], [[np.inf, 0], [0, 0]]), "`teacher_logits` must be fin"),
        (lambda: hinton_objective([0, 2], GOOD_S), r"`y` must be class numbers 0 … 1, got 2"),
        (lambda: hinton_objective([0], GOOD_S), r"`teacher_logits` has 2"),
        (lambda: hinton_objective([0, 1], [1.0, 2.0]), r"`teacher_logits` must have 2 dimension"),
        (lambda: hinton_objective([0, 1], GOOD_S, temperature=0.0), "`temperature` must be fin"),
        (lambda: multi_domain_objective([0, 1], GOOD_S, trust=-1), r"`trust` must be in \[0, 1\]"),
        (lambda: multi_domain_objective([0, 1], 2 * GOOD_S), "kdtheory.soften first"),
        (lambda: regression_objective([0.0, np.nan]), "`y` must be finite"),
        (lambda: regression_objective([0.0, 1.0], [1.0]), r"`teacher` must have shape \(2,\)"),
        (lambda: regression_objective([0.0], privileged=[True]), "must be None without a teacher"),
        (
            lambda: regression_objective([0.0], [1.0], privileged=[False]),
            "`privileged` must be True for at least one object",
        ),
        (lambda: regression_objective([0.0], sigma=0.0), "`sigma` must be finite and positive"),
        (lambda: regression_objective([0.0], trust=2), r"`trust` must be in \[0, 1\]"),
        (lambda: regression_objective([0.0]).at([0.0, 1.0]), "`predictions` must have shape"),
        (lambda: regression_objective([0.0]).at([0.0]).hessian_product([[1.0]]), "`direction` mu"),
    ],
)
def test_bad_arguments_of_the_other_losses_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"temperature": 2.0}),
        ({"temperature": 2.0}, {"temperature": 2.0}),
        ({"temperature": 2.0, "trust": 1.0}, {"temperature": 2.0, "trust": 1.0}),
        ({"regulariser": "exact", "trust": 1.0}, {}),
        ({}, {"regulariser": "exact", "trust": 1.0}),
        ({"regulariser": "printed"}, {"regulariser": "printed"}),
        ({}, {"y": [0, 1, 1], "teacher": np.eye(2)[[0, 1, 1]]}),
    ],
)
def test_objectives_without_blends_are_named(one, other):
    whole = {"y": [0, 1], "teacher": GOOD_S}
    objectives = [distillation_objective(**(whole | change)) for change in (one, other)]
    with pytest.raises(ValueError, match="`other` must be a cross-entropy at T = 1 of the same ob"):
        objectives[0].blends(objectives[1], [0.5])


def test_squares_have_no_blends():
    squares = multi_domain_objective([0, 1], GOOD_S)
    with pytest.raises(ValueError, match="`other` must be a cross-entropy"):
        squares.blends(squares, [0.5])


def test_objectives_show_their_size():
    assert (
        repr(distillation_objective([0, 2], n_classes=3))
        == "LogitObjective(n_objects=2, n_classes=3)"
    )
    assert repr(regression_objective([[0.0, 1.0]])) == "AnswerObjective(shape=(1, 2))"
