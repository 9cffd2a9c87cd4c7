r"""Results as one self-contained page and one JSON file: a pure function, then an atomic write.

notation: none
"""

import math
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdtheory.experiments.readings import LEVEL
from kdtheory.experiments.synthetic import PUBLISHED, Change, SyntheticResult
from kdtheory.files import json_text, plain_data, write_files
from kdtheory.neural_page import Section, recorded, section
from kdtheory.typesetting import count_of, page_environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kdtheory.experiments.diabetes import DiabetesResult
    from kdtheory.experiments.digits import DigitsResult
    from kdtheory.experiments.privileged import Comparison, PrivilegedResult
    from kdtheory.ledger import Backing

__all__ = ["FILES", "build_report", "write_report"]

FILES = ("index.html", "results.json")
PACKAGES = ("kdtheory", "numpy", "scipy", "scikit-learn")
POINT = 0.01  # a gain in accuracy that is worth a word
FAR = 0.1  # accuracies as far apart as that are not those of one problem
DENSITY_LIMITS = (0.05, 50.0)  # one colour scale for both simplices
MODELS = {
    "bayes": "true probabilities",
    "without": "without teacher",
    "with": "with teacher",
    "exact": "with exact term",
    "printed": "with printed term",
}
MEASURES = {
    "kl": "KL to the true probabilities",
    "cross_entropy": "cross-entropy",
    "accuracy": "accuracy",
    "expected_accuracy": "expected accuracy",
    "calibration_loss": "calibration loss",
    "top_label_error": "top-label error",
}


def build_report(
    backings: Sequence["Backing"],
    digits: "DigitsResult",
    diabetes: "DiabetesResult",
    synthetic: SyntheticResult,
    privileged: "PrivilegedResult",
    *,
    fashion_mnist: Section | None = None,
    domains: Section | None = None,
) -> tuple[str, dict[str, Any]]:
    """Page and results of the main job.

    Parameters
    ----------
    backings : sequence of Backing
        What `kdtheory.ledger.verify` returned.
    digits, diabetes, synthetic, privileged
        The experiments.
    fashion_mnist, domains : Section, optional
        Those of networks, which are not run here: as of `kdtheory.neural_page.section`. If None,
        the runs that came with the package.

    Returns
    -------
    html : str
        One file: styles and figures are inside, no script, no network.
    results : dict
        What the page says, in numbers, for `write_report`; the same for the same arguments.
    """
    fashion_mnist = fashion_mnist or _recorded_section("fashion-mnist")
    domains = domains or _recorded_section("domains")
    results = {
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "seed": digits.seed,
        "ledger": _ledger(backings),
        # but for the tables of n × K numbers
        "digits": plain_data(digits, leave_out={"teacher_probs", "log_probs", "mean"})
        | {"log10_mass_quantiles": _quantiles(digits)},
        "diabetes": plain_data(diabetes),
        "synthetic": _synthetic(synthetic),
        "privileged": _privileged(privileged),
        "fashion_mnist": fashion_mnist.document,
        "domains": domains.document,
    }
    html = (
        page_environment()
        .get_template("report.html")
        .render(
            results,
            # the objects beside their plain form: they know verdicts and look-ups
            results=results,
            digits=digits,
            diabetes=diabetes,
            synthetic=synthetic,
            privileged=privileged,
            neural={"fashion_mnist": fashion_mnist, "domains": domains},
            published=PUBLISHED,
            level=LEVEL,
            point=POINT,
            model_names=MODELS,
            measure_words=MEASURES,
            teacher_changes=_teacher_changes(synthetic),
            other_changes=_other_changes(synthetic),
            term_changes=_term_changes(synthetic),
            gains=_gains(privileged),
            other_students=[
                row
                for row in privileged.comparisons
                if abs(row.distilled.mean - row.published.distilled[0]) > row.published.distilled[1]
            ],
            strange_teachers=[
                row
                for row in privileged.comparisons
                if abs(row.teacher.mean - row.published.teacher[0]) > FAR
            ],
            parts=_parts(results["ledger"]["claims"]),
            figures=_figures(digits, diabetes, synthetic, privileged),
        )
    )
    return html.strip() + "\n", results


def write_report(
    out: str | os.PathLike[str], html: str, results: Mapping[str, Any]
) -> tuple[Path, Path]:
    """Write ``index.html`` and ``results.json`` into a folder, both or none.

    See `kdtheory.files.write_files`.

    Parameters
    ----------
    out : path_like
        The folder; made if absent, with its parents.
    html : str
    results : mapping
        Of what JSON can hold; numbers must be finite.

    Returns
    -------
    page, data : pathlib.Path

    Raises
    ------
    ValueError
        If the folder cannot be written, or a number is not finite.
    """
    texts = (html, json_text(results, sort_keys=True))
    page, numbers = write_files("--out", out, dict(zip(FILES, texts, strict=True)))
    return page, numbers


def _recorded_section(kind: str) -> Section:
    return section(kind, recorded(kind), recorded=True)


def _ledger(backings: Sequence["Backing"]) -> dict[str, Any]:
    """Claims as plain data, with the counts of the verdicts about the papers' own."""
    from kdtheory.ledger import as_record
    from kdtheory.ledger.evidence import NEEDED

    claims = [as_record(backing) for backing in backings]
    found = Counter(claim["verdict"] for claim in claims if claim["author"] == "paper")
    return {
        "claims": claims,
        "counts": {verdict: found[verdict] for verdict in NEEDED},
        "not_backed": [claim["id"] for claim in claims if not claim["backed"]],
    }


def _parts(claims: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The claims under the heading of the part of a paper that they are about."""
    from kdtheory.ledger import PARTS

    heading = {claim.id: title for title, rows in PARTS.items() for claim in rows}
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for claim in claims:
        parts.setdefault(heading.get(claim["id"], "Others"), []).append(claim)
    return parts


def _synthetic(result: SyntheticResult) -> dict[str, Any]:
    """All numbers but the tables of the first draw, and differences that the others tell."""
    found: dict[str, Any] = plain_data(result, leave_out={"first"})
    for change in found["changes"]:
        del change["differences"]
    figure_7 = plain_data(result.first.figure_7)
    return found | {"figure_7": figure_7, "published": plain_data(PUBLISHED)}


def _privileged(result: "PrivilegedResult") -> dict[str, Any]:
    """All numbers; None for a Bayes accuracy that is not known."""
    found: dict[str, Any] = plain_data(result)
    for row in found["comparisons"] + found["sensitivity"]:
        for name in ("bayes_privileged", "bayes_plain"):
            row[name] = None if math.isnan(row[name]) else row[name]
    return found


def _teacher_changes(synthetic: SyntheticResult) -> list[Change]:
    """With minus without the teacher: by measure, then on the test and the large sample."""
    rows = [
        change
        for change in synthetic.changes
        if (change.first[0], change.second[0]) == ("with", "without")
    ]
    return sorted(rows, key=lambda change: list(MEASURES).index(change.measure))


def _other_changes(synthetic: SyntheticResult) -> list[Change]:
    """The other pairs, where they are seen best and may differ: one rule leaves the decisions."""
    return [
        change
        for change in synthetic.changes
        if change.sample == "large"
        and change.measure in ("kl", "cross_entropy", "accuracy")
        and (change.first[0], change.second[0]) != ("with", "without")
        and not (change.measure == "accuracy" and change.first[0] == change.second[0])
    ]


def _term_changes(synthetic: SyntheticResult) -> dict[str, Change]:
    """KL of the students with a last term or another rule, minus that with the teacher alone."""
    return {
        f"{MODELS[change.first[0]]}, {change.first[1]}": change
        for change in _other_changes(synthetic)
        if change.measure == "kl" and change.second == ("with", "softmax")
    }


def _gains(privileged: "PrivilegedResult") -> dict[str, list[tuple["Comparison", "Comparison"]]]:
    """Problems by what distillation does under both penalties: a gain of a point, a loss, less."""
    found: dict[str, list[tuple[Comparison, Comparison]]] = {"gain": [], "loss": [], "little": []}
    for pair in zip(privileged.comparisons, privileged.sensitivity, strict=True):
        if all(row.verdict == "better" and row.gain.mean >= POINT for row in pair):
            found["gain"].append(pair)
        elif all(row.verdict == "worse" and row.gain.mean <= -POINT for row in pair):
            found["loss"].append(pair)
        else:
            found["little"].append(pair)
    return found


def _figures(
    digits: "DigitsResult",
    diabetes: "DiabetesResult",
    synthetic: SyntheticResult,
    privileged: "PrivilegedResult",
) -> dict[str, str]:
    """Each figure as an SVG element with alternative text, under the name the page uses."""
    from kdtheory import plotting  # matplotlib is loaded when there is something to draw

    quantiles = _quantiles(digits)
    top = digits.mean.max()
    held_out = np.flatnonzero(digits.held_out)
    by_confidence = held_out[np.argsort(digits.confidence[held_out], kind="stable")]
    half = diabetes.at(teacher_columns=10, trust=0.5)
    loo = diabetes.choices[0]
    pictures = {
        "mass": (
            plotting.mass_by_confidence(digits),
            "Total mass of the printed density by confidence",
            f"A cloud of {len(digits.labels)} points. The decimal logarithm of the mass lies "
            f"between {quantiles['least']:.0f} and {quantiles['greatest']:.0f}, with median "
            f"{quantiles['median']:.0f}, and falls as the student grows confident. The line of a "
            "density, at 0, is far above every point.",
        ),
        "mean": (
            plotting.mean_against_softmax(digits),
            "Mean of the exact density against softmax",
            "For each object and class. Were they equal, all points would lie on the diagonal. The "
            f"mean never exceeds {top:.2f}, even where softmax is near 1.",
        ),
        "trust": (
            plotting.error_against_trust(diabetes),
            "Change of held-out error against trust",
            f"Paired differences over {diabetes.n_splits} splits, with intervals, for teachers of "
            f"ten and of three columns. At trust one half the ten-column teacher changes the "
            f"squared error by {half.change:+.0f}, 95 % interval {half.low:+.0f} to "
            f"{half.high:+.0f}.",
        ),
        "path": (
            plotting.errors_along_trust(diabetes.path, loo.trusts[:1]),
            "Errors along the trust in the first split",
            "Three curves against the trust from 0 to 1: the held-out error, and the leave-one-out "
            "and generalised cross-validation errors of the student's own patients. Leave-one-out "
            f"is least at trust {loo.trusts[0]:.2f}, which is marked.",
        ),
        "mean_path": (
            plotting.errors_along_trust(diabetes.mean_path, loo.trusts),
            "Errors along the trust, means over splits",
            f"The same three curves, means over {diabetes.n_splits} splits, above a histogram of "
            f"the trusts that leave-one-out chose, with median {np.median(loo.trusts):.2f}.",
        ),
        "intervals": (
            plotting.coefficient_intervals(diabetes),
            "Coefficients with intervals",
            "For each of the student's columns the coefficient with its 95 % interval, without a "
            "teacher, with the teacher, and the naive interval of the latter.",
        ),
        "targets": (
            plotting.blended_targets(diabetes),
            "Targets of Theorem 2",
            f"For {diabetes.n_privileged} patients of the first split: label, teacher's answer, "
            "and the target half-way between them.",
        ),
    } | _student_figures(synthetic, privileged)
    for name, words, index in (
        ("confident", "a student of median confidence", by_confidence[len(by_confidence) // 2]),
        ("undecided", "the least confident student", by_confidence[0]),
    ):
        likeliest = np.sort(np.argsort(-digits.log_probs[index], kind="stable")[:3])
        log_probs = digits.log_probs[index, likeliest]
        ratio = np.exp(np.ptp(log_probs))
        vertices = [f"digit {k}" for k in likeliest]
        pictures[name] = (
            plotting.simplex_density(log_probs, vertices, limits=DENSITY_LIMITS),
            f"Exact density for {words}",
            f"Triangle with corners {', '.join(vertices)}. The density grows by a factor of "
            f"{ratio:.3g} from its least to its greatest corner. Softmax and mean are marked; the "
            "mean lies nearer to the centre.",
        )
    return {
        name: plotting.to_svg(figure, name=name, title=title, description=words)
        for name, (figure, title, words) in pictures.items()
    }


def _student_figures(
    synthetic: SyntheticResult, privileged: "PrivilegedResult"
) -> dict[str, tuple["Figure", str, str]]:
    """Figures of the optimal linear student with their titles and descriptions."""
    from kdtheory import plotting

    first, figure_7 = synthetic.first, synthetic.first.figure_7
    students = {"without teacher": first.without_teacher, "with teacher": first.with_teacher}
    seen = {"true probabilities": first.truth} | students
    low, high = synthetic.marginals.min(), synthetic.marginals.max()
    shares = ", ".join(f"{interval.mean:.2f}" for interval in synthetic.mean_marginals)
    without, taught = synthetic.quality("without"), synthetic.quality("with")
    errors = {name: np.abs(probs - first.truth) for name, probs in students.items()}
    hard = {"given the likeliest classes": first.hard_labels}
    confidence = synthetic.confidence
    far = {name: (p.max(axis=1) > confidence).mean() for name, p in (seen | hard).items()}
    above = ", ".join(f"{value:.0%} ({name})" for name, value in far.items())
    right = figure_7.right
    lower = ", ".join(
        f"{(synthetic.quality(name, sample='test').cross_entropy <= row.cross_entropy).mean():.0%}"
        f" of the draws {row.model} lie at or below the published {row.cross_entropy}"
        for name, row in zip(("without", "with"), PUBLISHED, strict=True)
    )
    sizes = {"test": synthetic.n_test, "large": synthetic.n_large}
    teacher_changes = {
        f"{MEASURES[change.measure]}, {count_of(sizes[change.sample])} objects": change
        for change in _teacher_changes(synthetic)
        if change.measure in ("kl", "cross_entropy", "accuracy")
    }
    term_changes = _term_changes(synthetic)
    possible = [r.name for r in synthetic.readings if r.verdict == "possible"]
    simplices = {
        name: (
            plotting.class_probabilities(probs, colour=colour),
            title,
            f"Triangle with a point for each of {len(probs)} objects and their mean; "
            f"{(probs.max(axis=1) > confidence).mean():.0%} of them lie near a corner, with more "
            f"than {confidence} for one class.",
        )
        for name, probs, colour, title in (
            ("truth", first.truth, plotting.GREY, "True class probabilities"),
            ("without", first.without_teacher, plotting.ORANGE, "Student without a teacher"),
            ("with", first.with_teacher, plotting.BLUE, "Student with the teacher"),
        )
    }
    return simplices | {
        "model": (
            plotting.distillation_plates(),
            "Plate diagram of the general model",
            "The student g, outside all plates, points to the label and the teacher's answer of "
            "each object of I, and to the label of each other object; so do the object's features. "
            "No arrow joins label and answer. All but g are observed.",
        ),
        "generator": (
            plotting.generator_plates(),
            "Plate diagram of the synthetic data",
            "The weights, in a plate of n times K, and the features point to the softmax s, which "
            "points to the label; features, s and label are in a plate of m objects and observed.",
        ),
        "strips": (
            plotting.class_distributions(seen | hard),
            "Class probabilities object by object",
            f"{len(seen | hard)} strips of stacked bars for {len(first.truth)} objects. The mean "
            "distance from the true probabilities is "
            + ", ".join(f"{error.mean():.3f} {name}" for name, error in errors.items())
            + f". Nearly of one colour, with more than {confidence} for a class, are {above}.",
        ),
        "greatest": (
            plotting.greatest_probabilities(seen | hard),
            "Greatest class probability of the objects",
            f"{len(seen | hard)} rising curves. Above {confidence} lie {above}.",
        ),
        "noise": (
            plotting.errors_of_probabilities(first.truth, students),
            "Errors of the students' probabilities",
            "A cloud for each student. The greatest error is "
            + ", ".join(f"{error.max():.3f} {name}" for name, error in errors.items())
            + ".",
        ),
        "divergence": (
            plotting.divergence_by_draw(without.kl, taught.kl),
            "KL with and without the teacher, by draw",
            f"A point for each of {synthetic.n_draws} draws; "
            f"{(taught.kl < without.kl).mean():.0%} lie below the diagonal. The means are "
            f"{without.kl.mean():.4f} nats without and {taught.kl.mean():.4f} with the teacher.",
        ),
        "changes": (
            plotting.paired_differences(teacher_changes, label="with minus without the teacher"),
            "Paired differences by the teacher",
            _in_words(teacher_changes),
        ),
        "regularisers": (
            plotting.paired_differences(term_changes, label="difference of KL, nats"),
            "Paired differences by the last term of (14) and the rule",
            _in_words(term_changes),
        ),
        "marginals": (
            plotting.class_marginals(synthetic),
            "Class shares over draws of W",
            f"For one W a class has a share between {low:.2f} and {high:.2f}; the means over "
            f"{synthetic.n_draws} draws are {shares}.",
        ),
        "table1": (
            plotting.cross_entropy_against_accuracy(synthetic),
            "Cross-entropy against accuracy",
            f"A cloud for the students with and one for those without the teacher, scored on "
            f"{synthetic.n_test} objects for each of {synthetic.n_draws} draws. Of the "
            f"cross-entropies {lower}.",
        ),
        "readings": (
            plotting.readings_of_published(synthetic.readings),
            "Cross-entropies under each reading of the published row",
            f"For each of {len(synthetic.readings)} readings two bars, without and with the "
            "teacher, beside lines at the two published values. Not ruled out: "
            + (", ".join(possible) or "none")
            + ".",
        ),
        "temperature": (
            plotting.probability_by_temperature(figure_7),
            "Probability of the right class against temperature",
            f"{len(right)} bands, one for each object, each as wide as the trust matters. They "
            f"begin between {right[..., 0].min():.2f} and {right[..., 0].max():.2f} at the lowest "
            f"temperature and end between {right[..., -1].min():.2f} and "
            f"{right[..., -1].max():.2f} at the highest.",
        ),
        "trust_and_temperature": (
            plotting.right_class_probability(
                figure_7.trusts, figure_7.temperatures, figure_7.right[1]
            ),
            "Probability of the right class against temperature and trust",
            f"A heat map with contour lines, from {right[1, :, 0].max():.2f} at the lowest "
            f"temperature to {right[1, :, -1].min():.2f} at the highest.",
        ),
        "distilled": (
            plotting.distilled_accuracies(privileged),
            "Accuracies of generalised distillation beside the published ones",
            "; ".join(
                f"{row.name}: teacher {row.teacher.mean:.3f}, plain {row.plain.mean:.3f}, "
                f"distilled {row.distilled.mean:.3f}"
                for row in privileged.comparisons
            )
            + ".",
        ),
    }


def _in_words(changes: Mapping[str, Change]) -> str:
    """Rows of a figure of paired differences as a sentence."""
    return "; ".join(f"{name}: {c.change:+.4f}, {c.verdict}" for name, c in changes.items()) + "."


def _quantiles(digits: "DigitsResult") -> dict[str, float]:
    names = ("least", "lower quartile", "median", "upper quartile", "greatest")
    decades = digits.log_mass / np.log(10)
    values = np.quantile(decades, (0, 0.25, 0.5, 0.75, 1))
    return dict(zip(names, values.tolist(), strict=True))
