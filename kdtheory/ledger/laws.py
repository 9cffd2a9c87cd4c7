"""Numbers as evidence: kdtheory beside the oracles, and laws over many seeded random draws.

Each function takes nothing but options and returns a `Finding` about one statement. A law is
checked at 200 draws, 40 for each K = 2 … 6: generic, nearly one-hot, tied and nearly uniform.

notation: g = student, a = log g, z = logits, s = point of the simplex, y = label, f = teacher's
answer, λ = trust, T = temperature, Z = ∫ ∏ g_k^{s_k} ds, C = printed constant, μ = mean of (12)
"""

from collections.abc import Callable, Iterator
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaln

from kdtheory.continuous_categorical import (
    ContinuousCategorical,
    log_printed_constant,
    printed_constant,
)
from kdtheory.divided_differences import log_normaliser, normaliser_gradient, normaliser_hessian
from kdtheory.ledger.evidence import Finding
from kdtheory.ledger.numeric import small
from kdtheory.ledger.oracles import (
    best_point,
    grid_points,
    label_vectors,
    simplex_integral,
    simplex_rule,
    uniform_draws,
)
from kdtheory.softening import log_soften, soften

__all__ = [
    "advantage_grows_with_trust",
    "best_student_is_the_class_frequencies",
    "cold_softmax_is_one_hot",
    "cold_softmax_is_uniform_over_maxima",
    "continuous_bernoulli_density",
    "covariance_is_the_hessian",
    "density_has_mass_one",
    "estimate_at_a_vertex_diverges",
    "exact_optimum_is_stationary",
    "exact_term_is_convex",
    "first_three_terms_prefer_the_blend",
    "hot_softmax_is_uniform",
    "integral_is_finite",
    "integral_normalises",
    "label_likelihood_sums_to_one",
    "log_normaliser_is_the_integral",
    "loss_rises_in_every_direction",
    "mean_is_nearer_to_uniform",
    "mean_is_the_gradient",
    "printed_constant_is_positive",
    "printed_density_has_mass_one",
    "printed_mass_at_random_points_is_one",
    "printed_optimum_is_drawn_to_uniform",
    "printed_regulariser_normalises",
    "printed_value_of_the_radial_integral",
    "product_of_integrals_is_the_integral",
    "recurrence_of_divided_differences",
    "regularisers_along_segments",
    "regularisers_on_a_grid",
    "repeated_objects_give_the_terms",
    "shift_law",
    "slice_law",
    "trial_loss_prefers_the_average",
]

Reals = NDArray[np.float64]

SEED = 20_240_229
DRAWS = 40  # for each K
CLASSES = (2, 3, 4, 5, 6)
ROUNDING = 1e-12  # some ten operations in float64, each within 1e-15, with room
QUADRATURE = 1e-10  # Gauss–Legendre with 24 nodes on entire functions of moderate slope
OPTIMISER = 1e-4  # BFGS with differenced derivatives
STANDARD_ERRORS = 4  # one seeded simulation in 16 000 is further off


# --- temperature and loss


def cold_softmax_is_one_hot() -> Finding:
    """softmax(z/T) at T = 1e-3, integer logits with one maximum, is one-hot."""
    rng, errors = np.random.default_rng(SEED), []
    for n_classes in CLASSES:
        z = np.array([rng.permutation(n_classes) for _ in range(DRAWS)], dtype=float)
        one_hot = z == z.max(axis=1, keepdims=True)
        errors.append(np.abs(soften(z, 1e-3) - one_hot).max())
    return small(errors, ROUNDING, "200 draws with one maximum")


def cold_softmax_is_uniform_over_maxima() -> Finding:
    """softmax(z/T) at T = 1e-3, integer logits with ties, is uniform over the maxima."""
    rng, errors = np.random.default_rng(SEED), []
    for n_classes in CLASSES:
        z = rng.integers(0, 2, (DRAWS, n_classes)).astype(float)
        maxima = z == z.max(axis=1, keepdims=True)
        errors.append(np.abs(soften(z, 1e-3) - maxima / maxima.sum(axis=1, keepdims=True)).max())
    return small(errors, ROUNDING, "200 draws with ties")


def hot_softmax_is_uniform() -> Finding:
    """softmax(z/T) at T = 1e9, |z| ≤ 10 or so, is uniform within 1e-7."""
    rng = np.random.default_rng(SEED)
    logits = [rng.normal(scale=3, size=(DRAWS, n_classes)) for n_classes in CLASSES]
    errors = [np.abs(soften(z, 1e9) - 1 / z.shape[1]).max() for z in logits]
    return small(errors, 1e-7, "200 draws")


def loss_rises_in_every_direction() -> Finding:
    """Far along d loss (3) rises by max d − d_y + (max d − ⟨f, d⟩)/T_0 > 0 for each unit."""
    rng, errors, slopes = np.random.default_rng(SEED), [], []
    for n_classes in CLASSES:
        for f in rng.dirichlet(np.ones(n_classes), DRAWS):
            z, d = rng.normal(size=(2, n_classes))
            y, temperature = rng.integers(n_classes), rng.uniform(0.5, 5)
            slope = d.max() - d[y] + (d.max() - f @ d) / temperature
            far = 1e3 / np.diff(np.sort(d))[-1]  # by here the largest class has all the weight
            ends = [
                -log_soften(z + t * d)[y] - f @ log_soften(z + t * d, temperature)
                for t in (far, 2 * far)
            ]
            slopes.append(slope)
            errors.append(abs((ends[1] - ends[0]) / far - slope) / slope)
    finding = small(errors, 1e-9, f"200 draws, least slope {min(slopes):.2g}")
    return Finding(bool(finding.holds and min(slopes) > 0), finding.detail)


def trial_loss_prefers_the_average() -> Finding:
    """At T_0 = 1 a search over the simplex finds the minimum of (3) at (y + f)/2."""
    rng, errors = np.random.default_rng(SEED), []
    for n_classes in (2, 3, 4):
        f, y = rng.dirichlet(np.ones(n_classes)), np.eye(n_classes)[0]
        found = _best_student(y + f)
        errors.append(np.abs(found - (y + f) / 2).max())
    return small(errors, OPTIMISER, "search for K = 2, 3, 4")


# --- likelihoods


def label_likelihood_sums_to_one() -> Finding:
    """The product (5) over all K^m labellings of m = 5 objects."""
    rng = np.random.default_rng(SEED)
    totals = []
    for n_classes in (2, 3, 4):
        g = rng.dirichlet(np.ones(n_classes), 5)
        labels = label_vectors(5, n_classes)
        totals.append(sum(np.prod(g[np.arange(5), list(y)]) for y in labels))
    return small(np.abs(np.array(totals) - 1), ROUNDING, "all labellings of 5 objects, K = 2, 3, 4")


def best_student_is_the_class_frequencies() -> Finding:
    """A search for the maximum of (6), one x seen with labels n_1 … n_K, finds n_k / Σ n."""
    errors = []
    for counts in ((3, 1), (3, 1, 2), (4, 1, 2, 3)):
        n = np.array(counts, dtype=float)
        found = _best_student(n)
        errors.append(np.abs(found - n / n.sum()).max())
    return small(errors, OPTIMISER, "search for K = 2, 3, 4")


def advantage_grows_with_trust() -> Finding:
    """Teacher's less label term at the best student of (11), λ = 0.1 … 0.9, never falls."""
    y, s = np.array([0.0, 1.0, 0.0]), np.array([0.5, 0.2, 0.3])
    advantages = []
    for trust in np.linspace(0.1, 0.9, 9):
        best = _best_exact_student(y, s, float(trust))
        advantages.append((s - y) @ np.log(best) - np.log(_integral(np.log(best))))
    return Finding(
        bool(np.diff(advantages).min() > 0),
        f"from {advantages[0]:.3f} to {advantages[-1]:.3f}, K = 3, one object",
    )


# --- Theorem 1


def printed_constant_is_positive() -> Finding:
    """The logarithm of C is finite, so C > 0."""
    finite = [np.isfinite(log_printed_constant(np.log(g))).all() for g in _students()]
    return Finding(bool(all(finite)), "200 draws")


def printed_mass_at_random_points_is_one() -> Finding:
    """Whether Z · C = 1 at any of the draws."""
    masses = np.concatenate(
        [np.exp(log_normaliser(np.log(g)) + log_printed_constant(np.log(g))) for g in _students()]
    )
    near = bool((masses > 0.99).any())
    return Finding(
        near, f"at 200 draws ∫p ds lies between {masses.min():.2g} and {masses.max():.2g}"
    )


def printed_density_has_mass_one(measure: str) -> Finding:
    """Quadrature of C ∏ g_k^{s_k} with the printed C."""
    points = ((0.3, 0.7), (0.2, 0.3, 0.5), (0.1, 0.2, 0.3, 0.4))
    masses = [float(printed_constant(g)) * _integral(np.log(g), measure) for g in points]
    near = any(abs(mass - 1) < 0.01 for mass in masses)
    return Finding(near, f"masses {', '.join(f'{m:.3g}' for m in masses)} for K = 2, 3, 4")


def density_has_mass_one(measure: str) -> Finding:
    """Quadrature of the density with C = 1/Z (or 1/(√K Z)), ties included."""
    students = _moderate_students()
    errors = []
    for g in students:
        log_prob = ContinuousCategorical(probs=g, measure=measure).log_prob
        mass = simplex_integral(_exponential_of(log_prob), len(g), measure=measure)
        errors.append(abs(mass - 1))
    return small(errors, QUADRATURE, f"quadrature at {len(students)} students, K = 2, 3, 4")


def log_normaliser_is_the_integral() -> Finding:
    """Quadrature of ∏ g_k^{s_k}, ties included, and a simulation at K = 8."""
    students = _moderate_students()
    errors = [abs(_integral(np.log(g)) / np.exp(log_normaliser(np.log(g))) - 1) for g in students]
    rng = np.random.default_rng(SEED)
    a = rng.normal(size=8)
    values = np.exp(uniform_draws(8, 100_000, rng) @ a) / factorial(7)
    standard_error = values.std() / np.sqrt(values.size)
    deviation = (values.mean() - np.exp(log_normaliser(a))) / standard_error
    quadrature = small(errors, QUADRATURE, f"quadrature at {len(students)} students")
    return Finding(
        bool(quadrature.holds and abs(deviation) < STANDARD_ERRORS),
        f"{quadrature.detail}; simulation at K = 8 off by {deviation:.1f} standard errors",
    )


def recurrence_of_divided_differences() -> Finding:
    """(a_i − a_j) Z = Z without j − Z without i, ties included."""
    errors = []
    for g in _students():
        a = np.log(g)
        whole = (a[:, 0] - a[:, 1]) * np.exp(log_normaliser(a))
        parts = [np.exp(log_normaliser(np.delete(a, k, axis=1))) for k in (1, 0)]
        errors.append(np.abs(whole - (parts[0] - parts[1])).max())
    return small(errors, ROUNDING, "200 draws")


def shift_law() -> Finding:
    """Shifted logits: log Z(a + c) = c + log Z(a)."""
    rng, errors = np.random.default_rng(SEED), []
    for g in _students():
        a, c = np.log(g), rng.normal(scale=10, size=(len(g), 1))
        difference = log_normaliser(a + c) - c[:, 0] - log_normaliser(a)
        errors.append((np.abs(difference) / np.maximum(1, np.abs(c[:, 0]))).max())
    return small(errors, ROUNDING, "200 draws")


def integral_is_finite() -> Finding:
    """Bounds min g/(K−1)! ≤ Z ≤ max g/(K−1)!, with entries down to 1e-300."""
    rng, held = np.random.default_rng(SEED), []
    for n_classes in CLASSES:
        g = 10.0 ** -rng.uniform(0, 300, (DRAWS, n_classes))
        g[:, 0] = 1.0
        a = np.log(g / g.sum(axis=1, keepdims=True))
        scaled = log_normaliser(a) + gammaln(n_classes)
        held.append(np.isfinite(scaled) & (scaled >= a.min(axis=1)) & (scaled <= a.max(axis=1)))
    return Finding(bool(np.concatenate(held).all()), "200 draws with entries down to 1e-300")


def integral_normalises() -> Finding:
    """Whether C = ∫ ∏ g^s ds gives the mass 1 at any of the draws, under the larger measure."""
    masses = [(g.shape[1] * np.exp(2 * log_normaliser(np.log(g)))).max() for g in _students()]
    return Finding(
        bool(max(masses) >= 1), f"C = ∫∏g^s ds gives ∫p ds ≤ {max(masses):.2f} at 200 draws"
    )


def product_of_integrals_is_the_integral() -> Finding:
    """Quadrature of both sides of S2 at g = (½, ½)."""
    depth = np.log(2)
    left = _integral(np.array([-depth, -depth]))
    right = _integral(np.array([-depth, 0.0])) * _integral(np.array([0.0, -depth]))
    return Finding(abs(left - right) < 0.01, f"at g = (½, ½): {left:.4f} against {right:.4f}")


def slice_law() -> Finding:
    """∫ g^{s_1} ds = ∫ (1−r)^{K−2}/(K−2)! g^r dr, each by its own quadrature."""
    r, weights = _unit_interval()
    errors = []
    for n_classes, g in ((2, 0.3), (3, 0.5), (4, 0.1)):
        left = _integral(np.log(g) * np.eye(n_classes)[0])
        measure = (1 - r) ** (n_classes - 2) / factorial(n_classes - 2)
        errors.append(abs(left - weights @ (measure * g**r)))
    return small(errors, QUADRATURE, "quadrature, K = 2, 3, 4")


def printed_value_of_the_radial_integral() -> Finding:
    """Quadrature of ∫ r^{K−1} g^r dr against −log g · γ(K, −log g), at g = ½."""
    r, weights = _unit_interval()
    depth, pairs = np.log(2), []
    for k in (2, 3, 4):
        right = float(weights @ (r ** (k - 1) * 0.5**r))
        pairs.append((float(depth * gammainc(k, depth) * factorial(k - 1)), right))
    near = any(abs(printed / right - 1) < 0.01 for printed, right in pairs)
    return Finding(near, f"K = 3, g = ½: {pairs[1][0]:.4f} against {pairs[1][1]:.4f}")


# --- the distribution


def mean_is_the_gradient() -> Finding:
    """Quadrature of E s against the gradient of log Z, ties included."""
    students = _moderate_students()
    errors = []
    for g in students:
        points, mass = _masses(g)
        errors.append(np.abs(mass @ points - normaliser_gradient(np.log(g))).max())
    return small(errors, QUADRATURE, f"quadrature at {len(students)} students")


def covariance_is_the_hessian() -> Finding:
    """Quadrature of the covariance against the Hessian of log Z, ties included."""
    students = _moderate_students()
    errors = []
    for g in students:
        points, mass = _masses(g)
        centred = points - mass @ points
        covariance = (centred * mass[:, None]).T @ centred
        errors.append(np.abs(covariance - normaliser_hessian(np.log(g))).max())
    return small(errors, QUADRATURE, f"quadrature at {len(students)} students")


def continuous_bernoulli_density() -> Finding:
    """K = 2: the density is that of the continuous Bernoulli at 200 pairs of g and s."""
    rng = np.random.default_rng(SEED)
    g, s = rng.uniform(0.01, 0.49, 200), rng.random(200)
    published = 2 * np.arctanh(1 - 2 * g) / (1 - 2 * g) * g**s * (1 - g) ** (1 - s)
    density = ContinuousCategorical(probs=np.stack([g, 1 - g], axis=1))
    ours = np.exp(density.log_prob(np.stack([s, 1 - s], axis=1)))
    return small(np.abs(ours - published), ROUNDING, "200 draws")


def mean_is_nearer_to_uniform() -> Finding:
    """The largest mean lies strictly between 1/K and the largest g, unless g is uniform."""
    rng, held = np.random.default_rng(SEED), []
    for n_classes in CLASSES:
        g = rng.dirichlet(np.ones(n_classes), DRAWS)
        top = normaliser_gradient(np.log(g)).max(axis=1)
        held.append((top > 1 / n_classes) & (top < g.max(axis=1)))
    return Finding(bool(np.concatenate(held).all()), "200 draws: 1/K < max μ < max g")


def estimate_at_a_vertex_diverges() -> Finding:
    """The density at e_1 grows with the logit of class 1, K = 2 … 6: no maximum at t = 1 … 10⁴."""
    growing = []
    for n_classes in CLASSES:
        vertex, t = np.eye(n_classes)[0], 10.0 ** np.arange(5)
        log_prob = ContinuousCategorical(logits=np.outer(t, vertex)).log_prob(vertex)
        growing.append(np.diff(log_prob).min() > 1)
    return Finding(bool(all(growing)), "logits t e_1, t = 1, 10, …, 10⁴: by more than 1 each time")


# --- the objective (14)


def printed_regulariser_normalises() -> Finding:
    """Whether exp(⟨s, log g⟩ + Σ (log g + log log 1/g)) has the same mass for all g, K = 3."""
    masses = []
    for g in ((0.2, 0.3, 0.5), (0.1, 0.2, 0.7), (1 / 3, 1 / 3, 1 / 3)):
        log_g = np.log(g)
        masses.append(_integral(log_g) * float(np.exp(_printed_regulariser(log_g))))
    ratio = max(masses) / min(masses)
    return Finding(ratio < 1.01, f"masses of three students differ by a factor {ratio:.2f}")


def first_three_terms_prefer_the_blend() -> Finding:
    """A search for the maximum of the first three terms, T_0 = 1, finds (1−λ)y + λs."""
    errors = []
    for y, s, trust in _problems():
        blend = (1 - trust) * y + trust * s
        found = _best_student(blend)
        errors.append(np.abs(found - blend).max())
    return small(errors, OPTIMISER, f"search in {len(errors)} problems, K = 2, 3")


def printed_optimum_is_drawn_to_uniform() -> Finding:
    """The maximum of (14) as printed, T_0 = 1, is nearer to uniform than (1−λ)y + λs."""
    moves = []
    for y, s, trust in _problems():
        blend = (1 - trust) * y + trust * s
        optimum = _best_printed_student(blend, trust)
        moves.append(np.abs(blend - 1 / len(y)).max() - np.abs(optimum - 1 / len(y)).max())
    return Finding(
        bool(min(moves) > 0.01),
        f"by {min(moves):.2f} to {max(moves):.2f} in {len(moves)} problems, K = 2, 3",
    )


def exact_optimum_is_stationary() -> Finding:
    """At the maximum of the exact (14), T_0 = 1: (1−λ)g + λμ = (1−λ)y + λs."""
    errors = []
    for y, s, trust in _problems():
        g = _best_exact_student(y, s, trust)
        points, mass = _masses(g)
        errors.append(np.abs((1 - trust) * (g - y) + trust * (mass @ points - s)).max())
    return small(errors, OPTIMISER, f"search in {len(errors)} problems, K = 2, 3")


def repeated_objects_give_the_terms() -> Finding:
    """Objects repeated once for each class, with weights, against the first three terms of (14)."""
    rng, errors = np.random.default_rng(SEED), []
    for n_classes in CLASSES:
        s = rng.dirichlet(np.ones(n_classes), DRAWS)
        log_g = np.log(rng.dirichlet(np.ones(n_classes), DRAWS))
        label, trust = rng.integers(n_classes, size=DRAWS), rng.random()
        at_label = log_g[np.arange(DRAWS), label]
        terms = (1 - trust) * at_label.sum() + trust * (s * log_g).sum()
        total = 0.0
        for i, k in np.ndindex(DRAWS, n_classes):
            total += ((1 - trust) * (label[i] == k) + trust * s[i, k]) * log_g[i, k]
        errors.append(abs(total / terms - 1))
    return small(errors, ROUNDING, "200 objects")


def regularisers_on_a_grid() -> Finding:
    """Enumeration of a grid: the printed term is largest, the exact one least at uniform."""
    held = []
    for n_classes, steps in ((2, 30), (3, 30), (4, 20)):
        g = grid_points(n_classes, steps)
        points, weights = simplex_rule(n_classes, nodes=12)
        printed = _printed_regulariser(np.log(g))
        exact = -np.log(np.exp(np.log(g) @ points.T) @ weights)
        best = g[[np.argmax(printed), np.argmin(exact)]]
        held.append(bool(np.ptp(best, axis=1).max() < ROUNDING))
    return Finding(all(held), "grids with K = 2, 3, 4")


def regularisers_along_segments() -> Finding:
    """From uniform to a random g the printed term falls and the exact one rises."""
    held = []
    for g in _students():
        n_classes = g.shape[1]
        off = np.abs(g - 1 / n_classes).max(axis=1) > 1e-3
        values = []
        for t in (0.0, 0.5, 1.0):
            a = np.log((1 - t) / n_classes + t * g[off])
            values.append((_printed_regulariser(a), -log_normaliser(a)))
        printed, exact = np.diff(np.array(values), axis=0).swapaxes(0, 1)
        held.append(bool(printed.max() < 0 and exact.min() > 0))
    return Finding(all(held), "200 draws, those nearly uniform left out")


def exact_term_is_convex() -> Finding:
    """The Hessian of −⟨s, z⟩ + log Z(z) has no negative eigenvalue, and midpoints lie below."""
    rng, lowest = np.random.default_rng(SEED), []
    for n_classes in CLASSES:
        z, w = rng.normal(scale=5, size=(2, DRAWS, n_classes))
        lowest.append(np.linalg.eigvalsh(normaliser_hessian(z)).min())
        chord = (log_normaliser(z) + log_normaliser(w)) / 2
        lowest.append((chord - log_normaliser((z + w) / 2)).min())
    return Finding(bool(min(lowest) > -ROUNDING), "200 Hessians and 200 midpoints")


# --- draws


def _students() -> Iterator[Reals]:
    """40 students for each K: generic, nearly one-hot, tied, nearly uniform."""
    rng = np.random.default_rng(SEED)
    quarter = DRAWS // 4
    for n_classes in CLASSES:
        weights = np.vstack(
            [
                rng.dirichlet(np.ones(n_classes), quarter),
                rng.dirichlet(np.full(n_classes, 0.1), quarter) + 1e-12,
                rng.integers(1, 4, (quarter, n_classes)),
                1 + 1e-6 * rng.random((quarter, n_classes)),
            ]
        )
        yield weights / weights.sum(axis=1, keepdims=True)


def _moderate_students() -> list[Reals]:
    """Students that 24 nodes a variable integrate to rounding, with ties."""
    two, three = ((3, 7), (1, 1), (1, 99)), ((2, 3, 5), (2, 2, 1), (1, 1, 1))
    four = ((1, 2, 3, 4), (1, 1, 4, 4))
    return [np.array(parts) / sum(parts) for parts in (*two, *three, *four)]


def _problems() -> list[tuple[Reals, Reals, float]]:
    """Label, teacher's answer and trust of single objects."""
    return [
        (np.array(y, dtype=float), np.array(s), trust)
        for y, s, trust in (
            ((1, 0), (0.6, 0.4), 0.5),
            ((0, 1), (0.3, 0.7), 0.25),
            ((1, 0, 0), (0.5, 0.3, 0.2), 0.5),
            ((0, 1, 0), (0.5, 0.3, 0.2), 0.75),
        )
    ]


def _integral(a: Reals, measure: str = "coordinate") -> float:
    """Quadrature of exp⟨a, s⟩ over the simplex."""
    return simplex_integral(_exponential_of(lambda s: s @ a), len(a), measure=measure)


def _exponential_of(function: Callable[[Reals], Reals]) -> Callable[[Reals], Reals]:
    return lambda s: np.exp(function(s))


def _masses(g: Reals) -> tuple[Reals, Reals]:
    """Points of a quadrature and the probability that (12) gives to each."""
    points, weights = simplex_rule(len(g))
    mass = weights * np.exp(points @ np.log(g))
    return points, mass / mass.sum()


def _unit_interval() -> tuple[Reals, Reals]:
    """Points and weights of a quadrature over [0, 1]."""
    points, weights = simplex_rule(2)
    return points[:, 0], weights


def _printed_regulariser(log_g: Reals) -> Reals:
    """Σ (log g + log log 1/g) for each row."""
    return np.asarray((log_g + np.log(-log_g)).sum(axis=-1))


def _best_student(weights: Reals) -> Reals:
    """Search for the maximum of ⟨weights, log g⟩."""
    return best_point(lambda g: float(weights @ np.log(g)), len(weights))


def _best_printed_student(blend: Reals, trust: float) -> Reals:
    """Search for the maximum of (14) as printed, one object, T_0 = 1."""

    def objective(g: Reals) -> float:
        log_g = np.log(g)
        return float(blend @ log_g + trust * _printed_regulariser(log_g))

    return best_point(objective, len(blend))


def _best_exact_student(y: Reals, s: Reals, trust: float) -> Reals:
    """Search for the maximum of (11) with the exact (12), one object, T_0 = 1."""
    points, weights = simplex_rule(len(y))
    blend = (1 - trust) * y + trust * s

    def objective(g: Reals) -> float:
        log_g = np.log(g)
        return float(blend @ log_g - trust * np.log(weights @ np.exp(points @ log_g)))

    return best_point(objective, len(y))
