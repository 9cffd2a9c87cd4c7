r"""The experiment of GS 6.2: a teacher who knows the true probabilities, and a linear student.

For each drawn W the labels follow :math:`s = \operatorname{softmax}(x W)`, and S itself is the
teacher. Four students of 33 parameters are fitted to 1000 objects, each to its certified optimum,

* *without* a teacher: cross-entropy with the labels;
* *with* the teacher: the first three terms of (14) at λ = 0.75 and :math:`T_0 = 1`;
* *exact*, *printed*: the same with the exact and with the printed last term of (14),

and each predicts by two rules, softmax and the mean of (12). They are judged on 100 objects, as in
the paper, and on 5000 of the same law, where differences are sharp. Beside them stand the best
possible values, those of the true probabilities,

.. math:: H(W) = E_x \Big[-\sum_k s_k \log s_k\Big], \qquad A(W) = E_x [\max_k s_k]:

the expected cross-entropy of every student is at least H(W), its expected accuracy at most A(W).

notation: W, X, S, y = one draw of the generator, g = student, K = n_classes, R = n_draws
"""

import platform
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import entr
from threadpoolctl import threadpool_limits

from kdtheory._checks import check_count
from kdtheory.classification import (
    NotConvergedWarning,
    SoftmaxFit,
    classification_path,
    distil_classification,
)
from kdtheory.divided_differences import normaliser_gradient
from kdtheory.experiments.calibration import recalibration, top_label_error
from kdtheory.experiments.intervals import Interval, mean_interval, verdict
from kdtheory.experiments.readings import (
    PUBLISHED,
    READINGS,
    Published,
    Reading,
    adam_students,
    judged,
    linear_logits,
    reading_settings,
    scores,
)
from kdtheory.softening import log_soften, soften
from kdtheory.synthetic import SoftmaxData, make_softmax_data

__all__ = [
    "PUBLISHED",
    "Change",
    "Draw",
    "FirstDraw",
    "Interval",
    "Published",
    "Quality",
    "Reading",
    "SyntheticResult",
    "TrustAndTemperature",
    "experiment_of_gs_6_2",
    "one_draw",
    "settings",
]

Reals = NDArray[np.float64]

N_FEATURES, N_CLASSES, N_OBJECTS, N_TEST = 10, 3, 1000, 100  # as in GS 6.2
N_LARGE = 5000  # of the same law, where paired differences are sharp
TRUST, TEMPERATURE = 0.75, 1.0  # as in GS 6.2
STUDENTS = ("without", "with", "exact", "printed")
RULES = ("softmax", "mean")
MORE_IS_BETTER = ("accuracy", "expected_accuracy")
COMPARED = (
    "cross_entropy", "accuracy", "expected_accuracy", "kl", "calibration_loss", "top_label_error",
)  # fmt: skip
PAIRS = (
    (("with", "softmax"), ("without", "softmax")),
    *(((name, rule), ("with", "softmax")) for name in ("exact", "printed") for rule in RULES),
    *(((name, "mean"), (name, "softmax")) for name in STUDENTS),
)
MEAN_LOGITS = 6.0
PRINTED_STARTS = 3  # of a loss that is not convex; they agree in every draw seen
CONFIDENT = 0.9  # a student puts all the probability into one class, to the eye
GROUPS = 15  # of the top-label error, as usual
CLOSE = 0.02  # accuracies alike: one standard error of 100 objects is 0.04
PACKAGES = ("kdtheory", "numpy", "scipy")  # that compute a draw
MOST_DRAWS = 10**6  # months of work: more is a slip of the pen
TRUSTS = np.linspace(0, 1, 21)
TEMPERATURES = np.logspace(-1, 2, 31)


@dataclass(frozen=True, eq=False)
class Quality:
    """How one student predicts by one rule on one sample, for every draw of W.

    All measures but the accuracies and the slope are losses: less is better. Only `cross_entropy`
    and `accuracy` look at the sampled labels; the others know the true probabilities S and carry
    no noise of labels.

    Attributes
    ----------
    student : {"bayes", "without", "with", "exact", "printed"}
        "bayes" are the true probabilities.
    rule : {"softmax", "mean"}
    sample : {"test", "large"}
        100 or 5000 objects of the same W.
    cross_entropy, accuracy : (R,) ndarray
        With the sampled labels, in nats.
    expected_accuracy : (R,) ndarray
        Mean true probability of the chosen class.
    expected_cross_entropy : (R,) ndarray
        Mean of −Σ s_k log g_k.
    kl : (R,) ndarray
        KL(S ‖ g): the former minus the entropy of S.
    calibration_slope : (R,) ndarray
        β of the best recalibration softmax(β log g + α), α one number for each class; 1 if
        calibrated, below 1 if overconfident (Cox, 1958).
    calibration_loss : (R,) ndarray
        Expected cross-entropy that this recalibration saves: a part of KL, and at least 0. Fitted
        on the sample itself, it is too large by about K / (2 m) of a calibrated student's spread.
    top_label_error : (R,) ndarray
        Over 15 groups of equally many objects by confidence max_k g_k: mean absolute difference of
        confidence and true probability of the chosen class. Groups of few objects make it too
        large: compare it on the large sample.
    """

    student: str
    rule: str
    sample: str
    cross_entropy: Reals
    accuracy: Reals
    expected_accuracy: Reals
    expected_cross_entropy: Reals
    kl: Reals
    calibration_slope: Reals
    calibration_loss: Reals
    top_label_error: Reals

    def interval(self, measure: str) -> Interval:
        """Mean of a measure over draws and its 95 % t interval."""
        return mean_interval(getattr(self, measure))


@dataclass(frozen=True, eq=False)
class Change:
    """One student minus another on the same objects, paired over draws of W.

    Attributes
    ----------
    first, second : tuple of str
        Student and rule, such as ("with", "softmax").
    sample, measure : str
        As of `Quality`. The expected cross-entropy is left out: its differences are those of KL.
        So are the accuracies of one student by two rules, which decide alike.
    differences : (R,) ndarray
    change, low, high : float
        Their mean and its 95 % t interval.
    """

    first: tuple[str, str]
    second: tuple[str, str]
    sample: str
    measure: str
    differences: Reals
    change: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the first is better or worse than the second, or undecided."""
        if self.measure in MORE_IS_BETTER:
            return verdict(-self.high, -self.low)
        return verdict(self.low, self.high)


@dataclass(frozen=True, eq=False)
class TrustAndTemperature:
    """Figure 7: what students along λ say about test objects, softened at T.

    The objects are chosen before any student is fitted: among the test objects of the first draw
    whose label is the likeliest class, those at the quartiles of max_k s_k.

    Attributes
    ----------
    objects : (3,) ndarray of int
        Rows of the test sample; the second is the median one.
    labels : (3,) ndarray of int
        The right classes.
    truth : (3, K) ndarray
        True probabilities of the objects.
    trusts : (L,) ndarray
        λ from 0 to 1; every student is fitted at T_0 = 1.
    temperatures : (J,) ndarray
        T, evenly spaced in the logarithm.
    probs : (3, L, J, K) ndarray
        softmax(z / T) for each object, trust and temperature.
    """

    objects: NDArray[np.int64]
    labels: NDArray[np.int64]
    truth: Reals
    trusts: Reals
    temperatures: Reals
    probs: Reals

    @property
    def right(self) -> Reals:
        """Probability of the right class, (3, L, J)."""
        return np.stack([p[..., k] for p, k in zip(self.probs, self.labels, strict=True)])


@dataclass(frozen=True, eq=False)
class FirstDraw:
    """What the paper's figures show, for the first draw of W.

    Attributes
    ----------
    labels : (m,) ndarray of int
        Of the m = 1000 training objects.
    truth, without_teacher, with_teacher : (m, K) ndarray
        Figures 4, 5 and 6: class probabilities of the training objects, true and by the students.
    hard_labels : (m, K) ndarray
        Figure 5 if the student had been given the likeliest class in place of a drawn label: Adam
        after 300 passes, see `kdtheory.experiments.readings`.
    figure_7 : TrustAndTemperature
    """

    labels: NDArray[np.int64]
    truth: Reals
    without_teacher: Reals
    with_teacher: Reals
    hard_labels: Reals
    figure_7: TrustAndTemperature


@dataclass(frozen=True)
class Draw:
    """All numbers of one draw of W, as plain as JSON holds them; see `one_draw`.

    Attributes
    ----------
    index : int
    marginals : list of float
        Share of each class: the mean of S over the large sample.
    qualities : dict
        Measures of `Quality` by "student/rule/sample".
    confident : dict
        Share of the training objects with max_k g_k > 0.9, by student; "bayes" for S, "hard
        labels" as of `FirstDraw`.
    readings : dict
        Cross-entropy and accuracy without, then with the teacher, by name of a reading.
    gaps : dict
        Upper bound of the objective above its minimum for each convex student, relative to the
        objective; None where there is none.
    converged : dict
        By student.
    spread : float
        Of the printed regulariser, which is not convex: the largest objective that a start led to
        above the least, relative to it.
    """

    index: int
    marginals: list[float]
    qualities: dict[str, dict[str, float]]
    confident: dict[str, float]
    readings: dict[str, list[float]]
    gaps: dict[str, float | None]
    converged: dict[str, bool]
    spread: float


@dataclass(frozen=True, eq=False)
class SyntheticResult:
    """R draws of the experiment; see `experiment_of_gs_6_2`.

    Attributes
    ----------
    seed, n_draws, n_features, n_classes, n_objects, n_test, n_large : int
    trust : float
        λ of the students with a teacher.
    confidence : float
        0.9, above which `confident` counts.
    marginals : (R, K) ndarray
        Share of each class under each W: the mean of S over the large sample.
    mean_marginals : tuple of Interval
        Over draws, for each class; 1/K by exchangeability.
    qualities : tuple of Quality
        Bayes first, then the students by rule, on the test and on the large sample.
    changes : tuple of Change
        With − without; exact and printed regulariser − with; mean − softmax.
    confident : dict
        Share of the training objects with max_k g_k > 0.9, (R,) by student; "bayes" for S, "hard
        labels" as of `FirstDraw`.
    readings : tuple of Reading
        What could have produced the published row.
    share_below_published : float
        Share of the draws in which the true probabilities have a test cross-entropy of at most the
        published one without teacher.
    share_like_published : float
        Share in which the student without teacher has that, and an accuracy within 0.02.
    bound : float
        2 log 2 (1 − accuracy) at the published accuracy without teacher: the least expected
        cross-entropy of any student that decides as the true probabilities do.
    uncertified : tuple of str
        Students that did not converge, such as "exact of draw 3".
    largest_gap : float
        Largest relative bound of an objective above its minimum, over draws and convex students.
    largest_spread : float
        Largest relative distance between the objectives that the starts of the printed regulariser
        led to.
    first : FirstDraw
        Arrays of Figures 4 to 7.
    """

    seed: int
    n_draws: int
    n_features: int
    n_classes: int
    n_objects: int
    n_test: int
    n_large: int
    trust: float
    confidence: float
    marginals: Reals
    mean_marginals: tuple[Interval, ...]
    qualities: tuple[Quality, ...]
    changes: tuple[Change, ...]
    confident: dict[str, Reals]
    readings: tuple[Reading, ...]
    share_below_published: float
    share_like_published: float
    bound: float
    uncertified: tuple[str, ...]
    largest_gap: float
    largest_spread: float
    first: FirstDraw

    def quality(self, student: str, rule: str = "softmax", sample: str = "large") -> Quality:
        """Return the measures of a student."""
        by_key = {(q.student, q.rule, q.sample): q for q in self.qualities}
        return by_key[student, rule, sample]

    @property
    def bayes_cross_entropy(self) -> Reals:
        """H(W), (R,): a mean over the large sample."""
        return self.quality("bayes").expected_cross_entropy

    @property
    def bayes_accuracy(self) -> Reals:
        """A(W), (R,): a mean over the large sample."""
        return self.quality("bayes").expected_accuracy

    @property
    def cross_entropy(self) -> Interval:
        """Mean of H(W) over draws."""
        return mean_interval(self.bayes_cross_entropy)

    @property
    def accuracy(self) -> Interval:
        """Mean of A(W) over draws."""
        return mean_interval(self.bayes_accuracy)

    @property
    def test_cross_entropy(self) -> Reals:
        """True probabilities scored on the test objects, as a table would print it, (R,)."""
        return self.quality("bayes", sample="test").cross_entropy

    @property
    def test_accuracy(self) -> Reals:
        """Accuracy of the true probabilities on the test objects, (R,)."""
        return self.quality("bayes", sample="test").accuracy


def experiment_of_gs_6_2(
    seed: int = 0,
    *,
    n_draws: int = 200,
    n_jobs: int = 1,
    done: Iterable[Draw] = (),
    on_draw: Callable[[Draw], None] | None = None,
) -> SyntheticResult:
    """Students without and with the teacher, and both regularisers, over draws of W.

    A draw has a random stream of its own, so that the result hangs neither on how many processes
    share the work nor on what was done before.

    Parameters
    ----------
    seed : int, default 0
        At least 0.
    n_draws : int, default 200
        R, from 2 to 1 000 000.
    n_jobs : int, default 1
        Of `joblib.Parallel`; −1 for all cores. Within `joblib.parallel_config(backend="dask")` the
        draws go to that cluster.
    done : iterable of Draw
        Draws of the same `settings` that are not to be computed again.
    on_draw : callable, optional
        Called with each new draw when it is ready, in this process.

    Returns
    -------
    SyntheticResult

    Raises
    ------
    ValueError
        If an argument is outside its range.
    TypeError
        If a number is not an integer.

    References
    ----------
    .. [1] GS, section 6.2, Figures 4 to 7, Table 1.
    """
    _check_sizes(seed, n_draws)
    if n_jobs != -1:
        check_count("n_jobs", n_jobs, least=1)
    draws = {draw.index: draw for draw in done}
    missing = [index for index in range(n_draws) if index not in draws]
    for draw in _in_parallel(seed, missing, n_jobs):
        draws[draw.index] = draw
        if on_draw is not None:
            on_draw(draw)
    return _result(seed, [draws[index] for index in range(n_draws)])


def one_draw(seed: int, index: int) -> Draw:
    """All numbers of one draw of W.

    Parameters
    ----------
    seed, index : int
        The draw's random stream is child `index` of ``numpy.random.SeedSequence(seed)``.

    Returns
    -------
    Draw
    """
    # one thread: the matrices are small, and the last bits must not hang on the number of cores
    with threadpool_limits(limits=1):
        train, test, large = _samples(seed, index)
        fits = _fits(train, seed, index)
        qualities = {}
        for name, sample in (("test", test), ("large", large)):
            truth = log_soften(sample.X @ sample.W)
            qualities[f"bayes/softmax/{name}"] = _quality(truth, sample)
            for student, fit in fits.items():
                for rule, log_probs in _predictions(fit, sample.X).items():
                    qualities[f"{student}/{rule}/{name}"] = _quality(log_probs, sample)
        seen = {"bayes": train.S} | {s: fit.probabilities(train.X) for s, fit in fits.items()}
        printed = fits["printed"]
        students = adam_students(train, TRUST)
        seen["hard labels"] = soften(linear_logits(train.X, students["likeliest 300"][0]))
        students["optimum"] = _matrix(fits["without"]), _matrix(fits["with"])
        return Draw(
            index=index,
            marginals=large.S.mean(axis=0).tolist(),
            qualities=qualities,
            confident={s: float((p.max(axis=1) > CONFIDENT).mean()) for s, p in seen.items()},
            readings=scores(train, test, students),
            gaps={s: _relative_gap(f) for s, f in fits.items() if f.certificate.convex},
            converged={s: bool(fit.certificate.converged) for s, fit in fits.items()},
            spread=float(np.ptp(printed.starts) / abs(printed.objective)),
        )


def settings(seed: int, n_draws: int) -> dict[str, Any]:
    """All that the numbers of a draw hang on, with the versions of the programs, as JSON has it.

    Draws of other settings are of another law, or may differ in their last bits. What only judges
    finished draws, such as the published row, is not in it: all are judged together at the end.

    Parameters
    ----------
    seed, n_draws : int
        As of `experiment_of_gs_6_2`.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If a number is outside its range.
    TypeError
        If one is not an integer.
    """
    _check_sizes(seed, n_draws)
    return {
        "experiment": "GS 6.2",
        "seed": seed,
        "n_draws": n_draws,
        "n_features": N_FEATURES,
        "n_classes": N_CLASSES,
        "n_objects": N_OBJECTS,
        "n_test": N_TEST,
        "n_large": N_LARGE,
        "trust": TRUST,
        "temperature": TEMPERATURE,
        "students": list(STUDENTS),
        "rules": list(RULES),
        "start_of_exact": MEAN_LOGITS,
        "starts_of_printed": PRINTED_STARTS,
        "confident": CONFIDENT,
        "groups": GROUPS,
        **reading_settings(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }


def _check_sizes(seed: int, n_draws: int) -> None:
    check_count("seed", seed)
    check_count("n_draws", n_draws, least=2, most=MOST_DRAWS)


def _in_parallel(seed: int, indices: Iterable[int], n_jobs: int) -> Iterator[Draw]:
    """Draws as they become ready, in any order."""
    work = (delayed(one_draw)(seed, index) for index in indices)
    yield from Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)(work)


def _samples(seed: int, index: int) -> tuple[SoftmaxData, SoftmaxData, SoftmaxData]:
    """Training, test and large sample of one W."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    train = make_softmax_data(N_OBJECTS, N_FEATURES, N_CLASSES, rng=rng)
    test, large = (
        make_softmax_data(m, N_FEATURES, N_CLASSES, rng=rng, W=train.W) for m in (N_TEST, N_LARGE)
    )
    return train, test, large


def _fits(train: SoftmaxData, seed: int, index: int) -> dict[str, SoftmaxFit]:
    """The four students; one without a certificate is told by its `certificate.converged`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)

        def student(
            regulariser: str | None, start: tuple[Reals, Reals] | None = None
        ) -> SoftmaxFit:
            return distil_classification(
                train.X,
                train.y,
                train.S,
                trust=TRUST,
                temperature=TEMPERATURE,
                regulariser=regulariser,
                start=start,
                n_starts=PRINTED_STARTS,
                rng=np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, 0))),
            )

        taught = student(None)
        # a mean as sure as softmax needs logits so many times as large: half of the Newton steps
        far = MEAN_LOGITS * taught.coef, MEAN_LOGITS * taught.intercept
        return {
            "without": distil_classification(train.X, train.y, n_classes=N_CLASSES),
            "with": taught,
            "exact": student("exact", far),
            "printed": student("printed"),
        }


def _matrix(fit: SoftmaxFit) -> Reals:
    return np.vstack([fit.coef, fit.intercept])


def _relative_gap(fit: SoftmaxFit) -> float | None:
    gap = fit.certificate.gap
    return float(gap / abs(fit.objective)) if np.isfinite(gap) else None


def _predictions(fit: SoftmaxFit, X: Reals) -> dict[str, Reals]:
    """Log-probabilities by either rule."""
    logits = fit.logits(X)
    return {"softmax": log_soften(logits), "mean": np.log(normaliser_gradient(logits))}


def _quality(log_probs: Reals, sample: SoftmaxData) -> dict[str, float]:
    """The measures of `Quality` on one sample."""
    S = sample.S
    rows, chosen = np.arange(len(S)), log_probs.argmax(axis=1)
    expected = float(-(S * log_probs).sum(axis=1).mean())
    slope, recalibrated = recalibration(log_probs, S)
    return {
        "cross_entropy": float(-log_probs[rows, sample.y].mean()),
        "accuracy": float((chosen == sample.y).mean()),
        "expected_accuracy": float(S[rows, chosen].mean()),
        "expected_cross_entropy": expected,
        "kl": expected - float(entr(S).sum(axis=1).mean()),
        "calibration_slope": slope,
        "calibration_loss": expected - recalibrated,
        "top_label_error": top_label_error(
            np.exp(log_probs[rows, chosen]), S[rows, chosen], n_groups=GROUPS
        ),
    }


def _result(seed: int, draws: Sequence[Draw]) -> SyntheticResult:
    """All draws together, with the arrays of the first."""
    marginals = np.array([draw.marginals for draw in draws])
    qualities = {
        tuple(key.split("/")): {
            measure: np.array([draw.qualities[key][measure] for draw in draws])
            for measure in measures
        }
        for key, measures in draws[0].qualities.items()
    }
    bayes, alone = (qualities[s, "softmax", "test"] for s in ("bayes", "without"))
    first_row = PUBLISHED[0]
    below = alone["cross_entropy"] <= first_row.cross_entropy
    alike = np.abs(alone["accuracy"] - first_row.accuracy) <= CLOSE
    return SyntheticResult(
        seed=seed,
        n_draws=len(draws),
        n_features=N_FEATURES,
        n_classes=N_CLASSES,
        n_objects=N_OBJECTS,
        n_test=N_TEST,
        n_large=N_LARGE,
        trust=TRUST,
        confidence=CONFIDENT,
        marginals=marginals,
        mean_marginals=tuple(mean_interval(column) for column in marginals.T),
        qualities=tuple(
            Quality(student=key[0], rule=key[1], sample=key[2], **measures)
            for key, measures in qualities.items()
        ),
        changes=tuple(
            _change(first, second, sample, measure, qualities)
            for first, second in PAIRS
            for sample in ("test", "large")
            for measure in COMPARED
            # the rules of one student decide alike
            if first[0] != second[0] or measure not in MORE_IS_BETTER
        ),
        confident={
            student: np.array([draw.confident[student] for draw in draws])
            for student in draws[0].confident
        },
        readings=judged({name: [draw.readings[name] for draw in draws] for name in READINGS}),
        share_below_published=float((bayes["cross_entropy"] <= first_row.cross_entropy).mean()),
        share_like_published=float((below & alike).mean()),
        bound=2 * np.log(2) * (1 - first_row.accuracy),
        uncertified=tuple(
            f"{student} of draw {draw.index}"
            for draw in draws
            for student, converged in draw.converged.items()
            if not converged
        ),
        largest_gap=max(gap for draw in draws for gap in draw.gaps.values() if gap is not None),
        largest_spread=max(draw.spread for draw in draws),
        first=_first_draw(seed),
    )


def _change(
    first: tuple[str, str],
    second: tuple[str, str],
    sample: str,
    measure: str,
    qualities: Mapping[tuple[str, ...], Mapping[str, Reals]],
) -> Change:
    one, other = qualities[*first, sample][measure], qualities[*second, sample][measure]
    interval = mean_interval(one - other)
    return Change(
        first, second, sample, measure, one - other, interval.mean, interval.low, interval.high
    )


def _first_draw(seed: int) -> FirstDraw:
    with threadpool_limits(limits=1):
        train, test, _ = _samples(seed, 0)
        fits = _fits(train, seed, 0)
        hard, _ = adam_students(train, TRUST)["likeliest 300"]
        return FirstDraw(
            labels=train.y,
            truth=train.S,
            without_teacher=fits["without"].probabilities(train.X),
            with_teacher=fits["with"].probabilities(train.X),
            hard_labels=soften(linear_logits(train.X, hard)),
            figure_7=_trust_and_temperature(train, test),
        )


def _trust_and_temperature(train: SoftmaxData, test: SoftmaxData) -> TrustAndTemperature:
    plain = np.flatnonzero(test.S.argmax(axis=1) == test.y)
    by_confidence = plain[np.argsort(test.S[plain].max(axis=1), kind="stable")]
    objects = by_confidence[[len(plain) // 4, len(plain) // 2, 3 * len(plain) // 4]]
    path = classification_path(train.X, train.y, train.S, trusts=TRUSTS)
    logits = np.moveaxis(path.logits(test.X[objects]), 0, 1)
    return TrustAndTemperature(
        objects=objects,
        labels=test.y[objects],
        truth=test.S[objects],
        trusts=TRUSTS,
        temperatures=TEMPERATURES,
        probs=np.stack([soften(logits, float(T)) for T in TEMPERATURES], axis=2),
    )
