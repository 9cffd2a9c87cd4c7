r"""Results as one self-contained page and one JSON file: a pure function, then an atomic write.

notation: none
"""

import dataclasses
import json
import os
import platform
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from kdtheory.experiments.synthetic import PUBLISHED, SyntheticResult
from kdtheory.files import write_files

if TYPE_CHECKING:
    from kdtheory.experiments.diabetes import DiabetesResult
    from kdtheory.experiments.digits import DigitsResult
    from kdtheory.ledger import Backing

__all__ = ["FILES", "build_report", "write_report"]

FILES = ("index.html", "results.json")
PACKAGES = ("kdtheory", "numpy", "scipy", "scikit-learn")
DENSITY_LIMITS = (0.05, 50.0)  # one colour scale for both simplices


def build_report(
    backings: Sequence["Backing"],
    digits: "DigitsResult",
    diabetes: "DiabetesResult",
    synthetic: SyntheticResult,
) -> tuple[str, dict[str, Any]]:
    """Page and results of the main job.

    Parameters
    ----------
    backings : sequence of Backing
        What `kdtheory.ledger.verify` returned.
    digits, diabetes, synthetic
        The three experiments.

    Returns
    -------
    html : str
        One file: styles and figures are inside, no script, no network.
    results : dict
        What the page says, in numbers, for `write_report`; the same for the same arguments.
    """
    results = {
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "seed": digits.seed,
        "ledger": _ledger(backings),
        # but for the tables of n × K numbers
        "digits": _plain(digits, leave_out={"teacher_probs", "log_probs", "mean"})
        | {"log10_mass_quantiles": _quantiles(digits)},
        "diabetes": _plain(diabetes),
        "synthetic": _plain(synthetic, leave_out={"class_probs"})
        | {"published": _plain(PUBLISHED)},
    }
    environment = Environment(
        loader=PackageLoader("kdtheory"),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "typeset": _typeset}
    html = environment.get_template("report.html").render(
        results,
        # the objects beside their plain form: they know verdicts and look-ups
        results=results,
        digits=digits,
        diabetes=diabetes,
        synthetic=synthetic,
        published=PUBLISHED,
        parts=_parts(results["ledger"]["claims"]),
        figures=_figures(digits, diabetes, synthetic),
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
    data = json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    page, numbers = write_files("--out", out, dict(zip(FILES, (html, data), strict=True)))
    return page, numbers


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


def _figures(
    digits: "DigitsResult", diabetes: "DiabetesResult", synthetic: SyntheticResult
) -> dict[str, str]:
    """Each figure as an SVG element with alternative text, under the name the page uses."""
    from kdtheory import plotting  # matplotlib is loaded when there is something to draw

    quantiles = _quantiles(digits)
    top = digits.mean.max()
    held_out = np.flatnonzero(digits.held_out)
    by_confidence = held_out[np.argsort(digits.confidence[held_out], kind="stable")]
    half = diabetes.at(teacher_columns=10, trust=0.5)
    loo = diabetes.choices[0]
    low, high = synthetic.marginals.min(), synthetic.marginals.max()
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
        "objects": (
            plotting.class_probabilities(synthetic),
            "Class probabilities of the objects under one W",
            f"Triangle with a point for each of {synthetic.n_objects} objects; most lie near the "
            "corners and edges.",
        ),
        "marginals": (
            plotting.class_marginals(synthetic),
            "Class shares over draws of W",
            f"For one W a class has a share between {low:.2f} and {high:.2f}; the means over "
            f"{synthetic.n_draws} draws are near one third.",
        ),
        "table1": (
            plotting.cross_entropy_against_accuracy(synthetic),
            "Cross-entropy against accuracy",
            f"The true probabilities scored on {synthetic.n_test} objects for each of "
            f"{synthetic.n_draws} draws fall along a band. The published student with a teacher "
            "lies inside it, the published student without a teacher far below it.",
        ),
    }
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


def _quantiles(digits: "DigitsResult") -> dict[str, float]:
    names = ("least", "lower quartile", "median", "upper quartile", "greatest")
    decades = digits.log_mass / np.log(10)
    values = np.quantile(decades, (0, 0.25, 0.5, 0.75, 1))
    return dict(zip(names, values.tolist(), strict=True))


def _plain(value: Any, *, leave_out: Collection[str] = ()) -> Any:
    """Dataclasses with their verdicts, tuples and arrays as what JSON knows."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        names += [name for name in ("verdict", "verdict_new") if hasattr(value, name)]
        return {name: _plain(getattr(value, name)) for name in names if name not in leave_out}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _number(value: float, form: str = ".0f") -> str:
    """Write a number as print sets it: with − in place of the hyphen."""
    return format(value, form).replace("-", "−")


def _typeset(words: str) -> str:
    """Words as HTML, with indices and exponents such as g_k^{s_k} where print has them."""
    html = escape(words, quote=False)
    for sign, tag in (("_", "sub"), (r"\^", "sup")):  # indices first: exponents may hold them
        html = re.sub(sign + r"(?:\{([^{}]*)\}|([A-Za-z0-9]+))", rf"<{tag}>\1\2</{tag}>", html)
    return html
