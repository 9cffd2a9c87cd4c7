"""Numbers as evidence about regression: kdtheory beside the oracles, and laws over seeded draws.

Each function takes nothing but options and returns a `Finding` about one statement. A law is
checked at 200 draws: one to four features, everyone, some or nobody in I, λ from 0 to 1, noises
that are one number or differ between objects.

notation: ω, ω_s = weights of the labels and of the answers, λ = trust, a, b = weights of the
squares in (15), A = XᵀΣ⁻¹X, f = fitted values, s = teacher's answers, I = privileged,
Z = teacher's features, φ = link of MD
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdtheory.domains import distil_across
from kdtheory.ledger.evidence import Finding
from kdtheory.ledger.numeric import small
from kdtheory.ledger.oracles import distillation_loss, label_vectors, least_point
from kdtheory.regression import DistilledFit, distil_regression

__all__ = [
    "closed_form_is_the_minimum",
    "common_noise_scale_changes_nothing",
    "each_object_twice_gives_the_estimate",
    "estimate_has_the_variance_of_16",
    "estimate_has_the_variance_of_the_sandwich",
    "gradient_in_trust_is_the_difference",
    "gradient_of_the_objective_vanishes",
    "interleaved_digits_are_one_to_one",
    "least_objective_is_concave_in_trust",
    "leave_one_out_is_refitting",
    "linear_teacher_shrinks",
    "md_choice_is_the_least_error",
    "md_error_is_a_parabola",
    "md_estimate_is_the_average",
    "md_minimum_is_theorem_2",
    "md_weight_is_the_opposite",
    "minimisers_are_those_of_any_rank",
    "no_link_is_onto",
    "no_trust_is_least_squares",
    "penalty_and_intercept_are_carried_over",
    "printed_formula_is_the_minimum",
    "scale_from_residuals_is_right_for_everyone",
    "teacher_off_the_conditions_moves_the_student",
    "teacher_on_its_own_span_is_no_op",
    "two_products_give_the_estimate",
]

Reals = NDArray[np.float64]

SEED = 20_240_229
DRAWS = 200
ROUNDING = 1e-9  # the normal equations of up to four features, some of them nearly dependent
OPTIMISER = 1e-5  # BFGS with central differences
DIFFERENCES = 1e-6  # of the second order, at a step of 1e-4
MOVED = 1e-8  # what 200 random teachers exceed, and rounding does not
REPLICATES = 20_000
STANDARD_ERRORS = 4.5  # a few dozen seeded comparisons; one in 150 000 is further off


@dataclass(frozen=True, eq=False)
class _Problem:
    """Data of (15)."""

    X: Reals
    y: Reals
    s: Reals
    inside: NDArray[np.bool_]
    trust: float
    sigma: float | Reals
    sigma_teacher: float | Reals

    @property
    def weights(self) -> tuple[Reals, Reals]:
        """ω and ω_s of each object."""
        shape = self.inside.shape
        omega, omega_s = (
            np.broadcast_to(1 / np.square(noise), shape)
            for noise in (self.sigma, self.sigma_teacher)
        )
        return omega, omega_s

    @property
    def shares(self) -> tuple[Reals, Reals]:
        """The weights a and b of the squares of label and answer."""
        omega, omega_s = self.weights
        return (
            np.where(self.inside, 1 - self.trust, 1.0) * omega,
            np.where(self.inside, self.trust, 0.0) * omega_s,
        )

    def fit(self, **options: Any) -> DistilledFit:
        """The answer of kdtheory."""
        given = {"trust": self.trust, "sigma": self.sigma, "sigma_teacher": self.sigma_teacher}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of dependent columns
            return distil_regression(
                self.X, self.y, self.s, privileged=self.inside, **(given | options)
            )


# --- Theorem 2


def closed_form_is_the_minimum(convention: str) -> Finding:
    """A search for the minimum of (15), term by term, finds the closed form."""
    errors = []
    for problem in _few():
        found = _least(problem, convention)
        errors.append(_apart(problem.fit(convention=convention).coef, found))
    return small(errors, OPTIMISER, f"search in {len(errors)} problems, weights {convention!r}")


def printed_formula_is_the_minimum() -> Finding:
    """The same search against twice the closed form, as the last formula has it."""
    apart = [_apart(2 * p.fit(convention="printed").coef, _least(p, "printed")) for p in _few()]
    return Finding(
        bool(min(apart) < OPTIMISER),
        f"search in {len(apart)} problems: the printed formula is off by {min(apart):.2f} "
        "of the minimiser or more",
    )


def gradient_of_the_objective_vanishes() -> Finding:
    """The gradient Σ x_i [a_i (y_i − f_i) + b_i (s_i − f_i)] at the closed form is 0."""
    return small([_gradient(p, p.fit()) for p in _problems()], ROUNDING, f"{DRAWS} draws")


def each_object_twice_gives_the_estimate() -> Finding:
    """Least squares on the rows √a x, √b x with √a y, √b s, by numpy."""
    errors = [_apart(p.fit().coef, _twice(p)) for p in _problems()]
    return small(errors, ROUNDING, f"{DRAWS} draws")


def minimisers_are_those_of_any_rank() -> Finding:
    """With dependent columns added the gradient is 0 and the fitted values are the same."""
    rng, errors = np.random.default_rng(SEED), []
    for problem in _problems():
        n = problem.X.shape[1]
        wide = np.hstack([problem.X, problem.X @ rng.integers(-1, 2, (n, 2))])
        deficient = replace(problem, X=wide)
        fit = deficient.fit()
        errors += [_gradient(deficient, fit), _apart(fit.fitted, problem.fit().fitted)]
    return small(errors, ROUNDING, f"{DRAWS} draws with two dependent columns")


def penalty_and_intercept_are_carried_over() -> Finding:
    """A search for the minimum of (15) + ρ‖w‖² over intercept and weights finds the closed form."""
    errors = []
    for k, problem in enumerate(_few()):
        ridge = (0.0, 0.5, 3.0)[k % 3]

        def penalised(v: Reals, p: _Problem = problem, ridge: float = ridge) -> float:
            fitted = v[0] + p.X @ v[1:]
            loss = distillation_loss(fitted, p.y, p.s, p.inside, p.trust, *p.weights)
            return loss + ridge * float(v[1:] @ v[1:])

        found = least_point(penalised, 1 + problem.X.shape[1])
        fit = problem.fit(ridge=ridge, fit_intercept=True)
        errors.append(_apart(np.append(fit.intercept, fit.coef), found))
    return small(errors, OPTIMISER, f"search in {len(errors)} problems")


def common_noise_scale_changes_nothing() -> Finding:
    """The estimate with kσ and kσ_s is that with σ and σ_s."""
    rng, errors = np.random.default_rng(SEED), []
    for problem in _problems():
        k = 10.0 ** rng.uniform(-3, 3)
        scaled = problem.fit(sigma=k * problem.sigma, sigma_teacher=k * problem.sigma_teacher)
        errors.append(_apart(scaled.coef, problem.fit().coef))
    return small(errors, ROUNDING, f"{DRAWS} draws, k from 1e-3 to 1e3")


def no_trust_is_least_squares() -> Finding:
    """At λ = 0, and with I empty at any λ, it is numpy's least squares of y."""
    errors = []
    for problem in _problems():
        alone = replace(problem, trust=0.0)
        nobody = replace(problem, inside=np.zeros_like(problem.inside))
        root = 1 / np.broadcast_to(problem.sigma, problem.y.shape)
        labels = _least_squares(root[:, None] * problem.X, root * problem.y)
        errors += [_apart(p.fit().coef, labels) for p in (alone, nobody)]
    return small(errors, ROUNDING, f"{DRAWS} draws")


def leave_one_out_is_refitting() -> Finding:
    """y_i less the prediction of numpy's least squares without object i, for every i."""
    errors = []
    for problem in _problems():
        closed = problem.fit().loo_residuals
        for i in range(0, len(problem.y), 3):
            others = np.arange(len(problem.y)) != i
            refitted = problem.y[i] - problem.X[i] @ _twice(problem, others)
            errors.append(abs(closed[i] - refitted) / (1 + abs(refitted)))
    return small(errors, ROUNDING, f"{len(errors)} objects of {DRAWS} draws")


def gradient_in_trust_is_the_difference() -> Finding:
    """Central differences of the estimate in λ."""
    errors, step = [], 1e-4
    for problem in _problems():
        middle = replace(problem, trust=0.1 + 0.8 * problem.trust)
        ends = [middle.fit(trust=middle.trust + sign * step).coef for sign in (1, -1)]
        closed = middle.fit().coef_trust_gradient
        errors.append(_apart(closed, (ends[0] - ends[1]) / (2 * step), 1.0))
    return small(errors, DIFFERENCES, f"{DRAWS} draws, step {step:.0e}")


def least_objective_is_concave_in_trust() -> Finding:
    """The least value of (15) lies above the chord between λ = 0 and λ = 1."""
    excess = []
    for problem in _problems():
        at = [problem.fit(trust=trust).objective for trust in (0.0, problem.trust, 1.0)]
        chord = (1 - problem.trust) * at[0] + problem.trust * at[2]
        excess.append((at[1] - chord) / max(at))
    return Finding(bool(min(excess) > -ROUNDING), f"{DRAWS} draws: never below the chord")


def two_products_give_the_estimate() -> Finding:
    """I everything: other (λ, σ, σ_s) with the same (1−λ)/σ² and λ/σ_s² give the same estimate."""
    rng, errors = np.random.default_rng(SEED), []
    for problem in _problems():
        everyone = replace(
            problem, inside=np.ones_like(problem.inside), trust=0.1 + 0.8 * problem.trust
        )
        other = rng.uniform(0.1, 0.9)
        moved = replace(
            everyone,
            trust=other,
            sigma=problem.sigma * np.sqrt((1 - other) / (1 - everyone.trust)),
            sigma_teacher=problem.sigma_teacher * np.sqrt(other / everyone.trust),
        )
        fits = [p.fit() for p in (everyone, moved)]
        errors.append(_apart(fits[0].coef, fits[1].coef))
        errors.append(abs(fits[0].objective / fits[1].objective - 1))
    return small(errors, ROUNDING, f"{DRAWS} draws")


# --- the teacher that changes nothing


def teacher_on_its_own_span_is_no_op(condition: str) -> Finding:
    """Weighted least squares on Z ⊇ X, rows and weights of I: the fit to the labels, at every λ.

    With equal noises and objects outside I, or with ω_s = kω and I everything.
    """
    rng, errors, told = np.random.default_rng(SEED), [], []
    for problem in _problems():
        inside = _teachable(problem, rng)
        sigma_teacher = problem.sigma
        if condition == "everyone":
            inside, sigma_teacher = np.ones_like(inside), problem.sigma * rng.uniform(0.3, 3)
        Z = np.hstack([problem.X, rng.normal(size=(len(problem.y), 2))])
        s = _teacher(Z, problem.y, problem.weights[0] * inside)
        taught = replace(problem, s=s, inside=inside, sigma_teacher=sigma_teacher)
        fit = taught.fit()
        errors.append(_apart(fit.coef, taught.fit(trust=0.0).coef))
        told.append(fit.no_op)
    finding = small(errors, ROUNDING, f"{DRAWS} draws, {condition}")
    return Finding(bool(finding.holds and all(told)), finding.detail)


def teacher_off_the_conditions_moves_the_student() -> Finding:
    """Other rows, other weights, a penalty, other features, or other noises with some outside I."""
    rng, moves = np.random.default_rng(SEED), []
    for k, problem in enumerate(_problems()):
        inside = _teachable(problem, rng)
        noisy = np.exp(rng.normal(scale=0.7, size=len(inside)))
        weights, sigma_teacher, penalty = inside / noisy**2, noisy, 0.0
        Z = np.hstack([problem.X, rng.normal(size=(len(problem.y), 1))])
        match k % 5:
            case 0:
                weights = weights * (np.arange(len(inside)) != np.flatnonzero(inside)[0])
            case 1:
                weights = inside / 1.0
            case 2:
                penalty = 1.0
            case 3:
                Z = Z[:, 1:]
            case _:
                sigma_teacher = 2 * noisy
        s = _teacher(Z, problem.y, weights, penalty)
        trust = 0.2 + 0.6 * problem.trust
        taught = _Problem(problem.X, problem.y, s, inside, trust, noisy, sigma_teacher)
        fit = taught.fit()
        moves.append(0.0 if fit.no_op else _apart(fit.coef, taught.fit(trust=0.0).coef))
    return Finding(
        bool(min(moves) > MOVED), f"{DRAWS} draws, 40 for each condition: the student moves in all"
    )


# --- how certain the estimate is


def estimate_has_the_variance_of_the_sandwich() -> Finding:
    """Simulated variances of ŵ, s independent of y or a function of it, against A⁻¹XᵀVXA⁻¹."""
    deviations = []
    for related in (False, True):
        problem, fit, spread = _replicated(related)
        a, b = problem.shares
        inverse = np.linalg.inv(problem.X.T @ ((a + b)[:, None] * problem.X))
        mix = np.hstack([np.diag(a), np.diag(b)])
        covariance = inverse @ problem.X.T @ mix @ spread @ mix.T @ problem.X @ inverse
        deviations.append(_deviations(fit.coef, np.diag(covariance)))
    return _within(np.concatenate(deviations), "variances of two weights, two kinds of teachers")


def estimate_has_the_variance_of_16() -> Finding:
    """The same simulated variances against the diagonal of (XᵀΣ⁻¹X)⁻¹."""
    apart, ratios = [], []
    for related in (False, True):
        problem, fit, _ = _replicated(related)
        printed = np.diag(np.linalg.inv(problem.X.T @ (fit.weights[:, None] * problem.X)))
        apart.append(np.abs(_deviations(fit.coef, printed)).min())
        ratios.append(printed / fit.coef.var(axis=1))
    return Finding(
        bool(min(apart) < STANDARD_ERRORS),
        f"{REPLICATES} replicates: (16) gives {np.min(ratios):.2f} to {np.max(ratios):.2f} "
        "times the variance",
    )


def scale_from_residuals_is_right_for_everyone() -> Finding:
    """I everything: the mean of ŝ²(XᵀΣ⁻¹X)⁻¹, ŝ² from the residuals, is the variance of ŵ."""
    problem, fit, _ = _replicated(related=False, everyone=True)
    m, n = problem.X.shape
    scale = fit.weights @ fit.residuals**2 / (m - n)
    inverse = np.diag(np.linalg.inv(problem.X.T @ (fit.weights[:, None] * problem.X)))
    variance = fit.coef.var(axis=1, ddof=1)
    error = variance * np.sqrt(2 / REPLICATES + scale.var() / scale.mean() ** 2 / REPLICATES)
    return _within((scale.mean() * inverse - variance) / error, "two weights, I everything")


# --- MD


def md_minimum_is_theorem_2() -> Finding:
    """A search for the minimum of λ‖y − g‖² + (1−λ)‖g − f(φ(X))‖² finds trust 1 − λ."""
    errors = []
    for problem in _few():
        weight = 0.1 + 0.8 * problem.trust
        s = _nonlinear_teacher(_link(problem.X))

        def loss(w: Reals, p: _Problem = problem, weight: float = weight, s: Reals = s) -> float:
            labels, answers = p.y - p.X @ w, p.X @ w - s
            return float(weight * labels @ labels + (1 - weight) * answers @ answers)

        found = least_point(loss, problem.X.shape[1])
        across = distil_across(problem.X, problem.y, _nonlinear_teacher, _link, trust=1 - weight)
        errors.append(_apart(across.fit.coef, found))
    return small(
        errors, OPTIMISER, f"search in {len(errors)} problems, link and teacher not linear"
    )


def md_estimate_is_the_average() -> Finding:
    """The numbers λ ŵ_y + (1−λ) ŵ_s, both fits by numpy, against kdtheory at trust 1 − λ."""
    errors = []
    for problem in _problems():
        s = _nonlinear_teacher(_link(problem.X))
        of_labels, of_answers = (_least_squares(problem.X, v) for v in (problem.y, s))
        across = distil_across(problem.X, problem.y, _nonlinear_teacher, _link, trust=problem.trust)
        mixed = (1 - problem.trust) * of_labels + problem.trust * of_answers
        errors.append(_apart(across.fit.coef, mixed))
    return small(errors, ROUNDING, f"{DRAWS} draws")


def md_weight_is_the_opposite() -> Finding:
    """MD's λ = 1 gives the fit to the labels, λ = 0 the fit to the answers: trust 0 and 1."""
    errors = []
    for problem in _problems():
        s = _nonlinear_teacher(_link(problem.X))
        for trust, values in ((0.0, problem.y), (1.0, s)):
            across = distil_across(problem.X, problem.y, _nonlinear_teacher, _link, trust=trust)
            errors.append(_apart(across.fit.coef, _least_squares(problem.X, values)))
            errors.append(abs(across.md_lambda - (1 - trust)))
    return small(errors, ROUNDING, f"{DRAWS} draws")


def linear_teacher_shrinks() -> Finding:
    """With φ(X) = XL and f(x) = xᵀθ the student is λŵ_y + (1−λ)Lθ."""
    rng, errors = np.random.default_rng(SEED), []
    for problem in _problems():
        n = problem.X.shape[1]
        link, theta = rng.normal(size=(n, n + 2)), rng.normal(size=n + 2)
        across = distil_across(
            problem.X, problem.y, _times(theta), _times(link), trust=problem.trust
        )
        shrunk = (1 - problem.trust) * _least_squares(problem.X, problem.y)
        errors.append(_apart(across.fit.coef, shrunk + problem.trust * link @ theta))
    return small(errors, ROUNDING, f"{DRAWS} draws")


def md_choice_is_the_least_error() -> Finding:
    """The trust that a ratio of two sums chooses has no larger error than any of 101 others."""
    excess = []
    for problem in islice(_problems(), 20):
        chosen = distil_across(problem.X, problem.y, _nonlinear_teacher, _link, trust="loo")
        others = [
            distil_across(
                problem.X, problem.y, _nonlinear_teacher, _link, trust=float(trust)
            ).fit.loo_error
            for trust in np.linspace(0, 1, 101)
        ]
        excess.append(max(chosen.fit.loo_error / min(others) - 1, 0.0))
    return small(excess, ROUNDING, "20 draws beside 101 trusts each")


def md_error_is_a_parabola() -> Finding:
    """Third differences in λ of the leave-one-out error are 0."""
    errors = []
    for problem in _problems():
        values = [
            distil_across(
                problem.X, problem.y, _nonlinear_teacher, _link, trust=trust
            ).fit.loo_error
            for trust in (0.0, 1 / 3, 2 / 3, 1.0)
        ]
        errors.append(np.abs(np.diff(values, 3)).max() / max(values))
    return small(errors, ROUNDING, f"{DRAWS} draws")


def interleaved_digits_are_one_to_one() -> Finding:
    """Digits of two numbers in turn make one number; every one once: R² is no larger than R."""
    first, second = np.divmod(np.arange(10**4), 10**2)
    tens, units = 10 * (first // 10) + second // 10, 10 * (first % 10) + second % 10
    woven = 100 * tens + units
    once = len(np.unique(woven)) == 10**4 and np.max(woven) < 10**4
    return Finding(not once, "all pairs of two digits each: R² has no more points than R")


def no_link_is_onto() -> Finding:
    """No map from fewer objects to more reaches them all, by enumeration of maps."""
    onto = [
        len(set(image)) == source
        for target, source in ((1, 2), (2, 3), (3, 4), (2, 5))
        for image in label_vectors(target, source)
    ]
    return Finding(not any(onto), f"{len(onto)} maps from t to s > t objects: none reaches all")


# --- draws


def _problems() -> Iterator[_Problem]:
    """200 problems."""
    rng = np.random.default_rng(SEED)
    for k in range(DRAWS):
        n = 1 + k % 4
        m = n + int(rng.integers(4, 14))
        inside = rng.random(m) < (1.0, 0.5, 0.2, 0.0)[(k // 4) % 4]
        noises = np.exp(rng.normal(scale=0.7, size=(2, m) if k % 3 else 2))
        yield _Problem(
            X=rng.normal(size=(m, n)),
            y=rng.normal(size=m),
            s=rng.normal(size=m),
            inside=inside,
            trust={0: 0.0, 1: 1.0}.get(k % 10, float(rng.random())),
            sigma=noises[0],
            sigma_teacher=noises[1],
        )


def _few() -> list[_Problem]:
    """Those of the problems that a search is run for."""
    return list(_problems())[:80:7]


def _least(problem: _Problem, convention: str) -> Reals:
    """Search for the minimum of (15)."""
    p, n = problem, problem.X.shape[1]
    power = -2 if convention == "precision" else 2
    weights = [np.asarray(noise, dtype=float) ** power for noise in (p.sigma, p.sigma_teacher)]
    return least_point(
        lambda w: distillation_loss(p.X @ w, p.y, p.s, p.inside, p.trust, *weights), n
    )


def _gradient(problem: _Problem, fit: DistilledFit) -> float:
    """Largest component of the gradient of (15), beside its largest term."""
    a, b = problem.shares
    fitted = problem.X @ fit.coef
    labels = problem.X.T * (a * (problem.y - fitted))
    answers = problem.X.T * (b * (problem.s - fitted))
    size = (np.abs(labels) + np.abs(answers)).sum(axis=1).max()
    return float(np.abs(labels.sum(axis=1) + answers.sum(axis=1)).max() / size)


def _twice(problem: _Problem, rows: Any = slice(None)) -> Reals:
    """Numpy's least squares on the rows with labels and those with answers."""
    roots = [np.sqrt(share[rows]) for share in problem.shares]
    stacked = np.vstack([root[:, None] * problem.X[rows] for root in roots])
    values = [root * v[rows] for root, v in zip(roots, (problem.y, problem.s), strict=True)]
    return _least_squares(stacked, np.concatenate(values))


def _least_squares(X: Reals, values: Reals) -> Reals:
    return np.asarray(np.linalg.lstsq(X, values, rcond=None)[0])


def _teachable(problem: _Problem, rng: np.random.Generator) -> NDArray[np.bool_]:
    """I with more objects than the teacher has features, and some outside."""
    m, n = problem.X.shape
    inside = np.zeros(m, dtype=bool)
    inside[rng.permutation(m)[: min(n + 3, m - 1)]] = True
    return inside


def _teacher(Z: Reals, y: Reals, weights: Reals, penalty: float = 0.0) -> Reals:
    """Answers of least squares on Z with these weights and a ridge."""
    gram = Z.T @ (weights[:, None] * Z) + penalty * np.eye(Z.shape[1])
    return np.asarray(Z @ np.linalg.solve(gram, Z.T @ (weights * y)))


def _replicated(related: bool, everyone: bool = False) -> tuple[_Problem, DistilledFit, Reals]:
    """A problem with many columns of labels and answers, its fit, and their covariance.

    The answers are independent of the labels, or a teacher's of least squares on more features.
    """
    rng = np.random.default_rng(SEED)
    X, inside = rng.normal(size=(10, 2)), np.arange(10) >= (0 if everyone else 4)
    sigma, sigma_teacher = 1.5, 0.8
    y = (X @ [1.0, -2.0])[:, None] + sigma * rng.normal(size=(10, REPLICATES))
    s = (X @ [1.0, -2.0])[:, None] + sigma_teacher * rng.normal(size=(10, REPLICATES))
    across = np.zeros((10, 10))
    within = sigma_teacher**2 * np.eye(10)
    if related:
        Z = np.hstack([X[:, :1], rng.normal(size=(10, 3))])
        hat = _teacher(Z, np.eye(10), np.ones(10))
        s, across, within = hat @ y, sigma**2 * hat.T, sigma**2 * hat @ hat.T
    problem = _Problem(X, y, s, inside, 0.4, sigma, sigma_teacher)
    spread = np.block([[sigma**2 * np.eye(10), across], [across.T, within]])
    return problem, problem.fit(), spread


def _deviations(replicates: Reals, variances: Reals) -> Reals:
    """Simulated variances less stated ones, in standard errors."""
    error = variances * np.sqrt(2 / replicates.shape[1])
    return np.asarray((replicates.var(axis=1, ddof=1) - variances) / error)


def _within(deviations: Reals, scope: str) -> Finding:
    return Finding(
        bool(np.abs(deviations).max() < STANDARD_ERRORS),
        f"{REPLICATES} replicates, {scope}, within {STANDARD_ERRORS} standard errors",
    )


def _link(X: Reals) -> Reals:
    return np.hstack([X, X**2, np.ones((len(X), 1))])


def _nonlinear_teacher(source: Reals) -> Reals:
    return np.asarray(np.sin(source).sum(axis=1))


def _times(matrix: Reals) -> Callable[[Reals], Reals]:
    return lambda X: X @ matrix


def _apart(found: Reals, expected: Reals, least: float = 0.01) -> float:
    """Largest difference, beside the largest expected number or `least`."""
    size = max(float(np.abs(expected).max()), least)
    return float(np.abs(np.asarray(found) - expected).max()) / size
