r"""Results of the neural experiments as pages: the document of a run becomes HTML.

A document is what ``result.json`` of a run's folder holds: "config", "result", and "run" with the
command and the date. `read_result` is the door: what passes it can be drawn. The same section
stands on the page of the experiment itself and in the main report, there from the documents that
come with the package in ``recorded/``.

notation: none
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdtheory._checks import check_choice
from kdtheory.files import json_text
from kdtheory.typesetting import count_of, number, page_environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "KINDS",
    "Section",
    "experiment_page",
    "figures",
    "read_result",
    "recorded",
    "section",
]

Document = Mapping[str, Any]
KINDS = ("fashion-mnist", "domains")
FIGURES = {  # names of all that `figures` may draw of a run of these experiments
    "fashion-mnist": (
        "figure_2", "regularisers", "reliability",
        "phase_cross_entropy", "phase_accuracy", "labels",
    ),
    "domains": ("curves", "examples", *(f"pair_{place}" for place in range(1, 6))),
}  # fmt: skip
LARGEST = 1e12  # a number of a result; larger ones are a slip that figures would choke on
MOST_BYTES = 50_000_000  # of a result.json; the largest real one has a hundredth of it
MOST_LEVELS = 50  # of lists and objects within one another; a real one has ten
MOST_LETTERS = 60  # of a name that stands in a figure
FEW = 30  # of what has a line, a picture or a figure of its own

STUDENTS = {
    "without": "without teacher",
    "with": "with teacher",
    "exact": "with exact term",
    "printed": "with printed term",
}
MEASURES = {"cross_entropy": "cross-entropy", "accuracy": "accuracy"}
VERDICTS = ("better", "undecided", "worse")
ANSWERED = {"all": "on all objects", "labelled": "on the labelled"}


@dataclass(frozen=True)
class _OneOf:
    """A text among some."""

    words: Sequence[str]


@dataclass(frozen=True)
class _Some:
    """A list that is not empty, of equal things."""

    shape: Any
    most: int = 10_000


@dataclass(frozen=True)
class _Each:
    """An object of any names, of equal things."""

    shape: Any


@dataclass(frozen=True)
class _Positive:
    """A number above 0, such as one on a logarithmic axis."""

    kind: type


@dataclass(frozen=True)
class _Name:
    """A text that a figure has room for."""


NUMBER = (float, None)
TRUTH, COUNT, TEXT, NAME = bool, int, str, _Name()
LOSSES = ("cross-entropy", "squares", "cross-entropy, and unlabelled objects")
STUDENT, RULE = _OneOf(tuple(STUDENTS)), _OneOf(("softmax", "mean"))
MEASURE, VERDICT = _OneOf(tuple(MEASURES)), _OneOf(VERDICTS)
INTERVAL = {"mean": NUMBER, "low": NUMBER, "high": NUMBER}
BAND = {key: _Some(NUMBER) for key in INTERVAL}
CHANGE = {"change": NUMBER, "low": NUMBER, "high": NUMBER, "verdict": VERDICT}
SCORES = {"cross_entropy": NUMBER, "accuracy": float}
MACHINE = {"processor": TEXT, "cores": COUNT, "device": TEXT}
RUN = {"command": TEXT, "date": TEXT}
PHASE = {
    "sizes": _Some(_Positive(int)),
    "trusts": _Some(float),
    "temperatures": _Some(_Positive(float)),
    "n_students": COUNT,
    "n_seeds": COUNT,
    "n_steps": COUNT,
    "baselines": _Some(
        {"n_labels": _Positive(int), "cross_entropy": INTERVAL, "accuracy": INTERVAL}
    ),
    "cells": _Some(
        {
            "n_labels": _Positive(int),
            "answered": _OneOf(tuple(ANSWERED)),
            "trust": float,
            "temperature": float,
            "cross_entropy": INTERVAL,
            "accuracy": INTERVAL,
            "cross_entropy_change": CHANGE,
            "accuracy_change": CHANGE,
            "chosen": TRUTH,
            "at_last_step": float,
        }
    ),
}
FASHION_MNIST = {
    "quick": TRUTH,
    "data": {
        "n_train": COUNT, "n_validation": COUNT, "n_test": COUNT, "digests": _Each(TEXT),
    },
    "machine": MACHINE,
    "seconds": _Each(NUMBER),
    "teacher": {"n_parameters": COUNT, "train": SCORES, "validation": SCORES, "test": SCORES},
    "trust": float,
    "temperature": float,
    "student_size": COUNT,
    "n_seeds": COUNT,
    "curves": _Some(
        {
            "student": STUDENT,
            "epoch": _Some(_Positive(float)),
            "train_cross_entropy": BAND,
            "validation_cross_entropy": BAND,
            "test_cross_entropy": BAND,
            "test_accuracy": BAND,
        },
        FEW,
    ),
    "rows": _Some(
        {
            "student": STUDENT, "rule": RULE, "reading": TEXT, "cross_entropy": INTERVAL,
            "accuracy": INTERVAL, "epoch": (INTERVAL, None), "words": TEXT,
        }
    ),
    "published": _Some(
        {
            "student": STUDENT, "cross_entropy": float, "cross_entropy_error": float,
            "accuracy": float, "accuracy_error": float,
        }
    ),
    "changes": _Some(
        {"measure": MEASURE, "reading": TEXT, "first": [STUDENT, RULE], "second": [STUDENT, RULE]}
        | CHANGE
    ),
    "overfitting": {
        "since": COUNT,
        "until": COUNT,
        "test_rise": {"without": INTERVAL, "with": INTERVAL},
        "train_fall": {"without": INTERVAL, "with": INTERVAL},
        "test_difference": INTERVAL,
        "train_difference": INTERVAL,
    },
    "calibration": _Some(
        {
            "student": STUDENT, "rule": RULE, "confidence": _Some(NUMBER),
            "accuracy": _Some(NUMBER), "share": _Some(NUMBER), "error": NUMBER,
        },
        FEW,
    ),
    "phase": (PHASE, None),
}  # fmt: skip


DIFFERENCE = (CHANGE, None)
SCORED = {"accuracy": float, "cross_entropy": NUMBER}
ERRORS = {"rmse": float, "r2": NUMBER}
LAMBDA = (float, _OneOf(("chosen", "loo")))
DOMAINS = {
    "quick": TRUTH,
    "data": {"digests": _Each(TEXT)},
    "machine": MACHINE,
    "seconds": _Each(NUMBER),
    "base": {
        "teacher": SCORED,
        "epochs": _Some(float),
        "curves": _Some(
            {"student": NAME, "words": TEXT, "test_accuracy": BAND, "test_cross_entropy": BAND},
            FEW,
        ),
        "readings": _Some(
            {"student": TEXT, "reading": TEXT, "accuracy": INTERVAL, "cross_entropy": INTERVAL}
        ),
        "changes": _Some(
            {"student": TEXT, "against": TEXT, "measure": MEASURE, "reading": TEXT} | CHANGE
        ),
        "n_comparisons": COUNT,
    },
    "pairs": _Some(
        {
            "pair": TEXT,
            "words": TEXT,
            "n_source": COUNT,
            "n_target": COUNT,
            "n_validation": COUNT,
            "n_unlabelled": COUNT,
            "source_features": COUNT,
            "target_features": COUNT,
            "n_comparisons": COUNT,
            "source_teacher": SCORED,
            "links": _Some(
                {
                    "link": NAME,
                    "words": TEXT,
                    "teacher_through_link": {"accuracy": INTERVAL, "cross_entropy": INTERVAL},
                    "rows": _Some(
                        {
                            "loss": _OneOf(LOSSES),
                            "md_lambda": LAMBDA,
                            "accuracy": INTERVAL,
                            "cross_entropy": INTERVAL,
                            "accuracy_change": DIFFERENCE,
                            "cross_entropy_change": DIFFERENCE,
                        }
                    ),
                },
                FEW,
            ),
        },
        FEW,
    ),
    "regression": {
        "quantity": TEXT,
        "words": TEXT,
        "n_source": COUNT,
        "n_target": COUNT,
        "n_comparisons": COUNT,
        "source_teacher": ERRORS,
        "links": _Some(
            {
                "link": TEXT,
                "words": TEXT,
                "teacher_through_link": ERRORS,
                "rows": _Some(
                    {
                        "md_lambda": LAMBDA,
                        "trust": float,
                        "rmse": INTERVAL,
                        "r2": INTERVAL,
                        "rmse_change": DIFFERENCE,
                    }
                ),
            }
        ),
    },
    "examples": _Some({"domain": NAME, "pictures": _Some(_Some(_Some(float)), FEW)}, FEW),
}


@dataclass(frozen=True)
class Section:
    """What the template of an experiment is filled with.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    template : str
        Name of its template.
    document : mapping or None
        None if there is no run to tell of.
    recorded : bool
        Whether the document came with the package.
    figures : mapping of str to str
        SVG elements.
    words : mapping
        What the template says beside the document.
    """

    kind: str
    template: str
    document: Document | None
    recorded: bool
    figures: Mapping[str, str]
    words: Mapping[str, Any]

    @property
    def result(self) -> Document:
        """The result of the run."""
        found: Document = {} if self.document is None else self.document["result"]
        return found


def read_result(name: str, folder: str | os.PathLike[str], kind: str) -> Document:
    """The document of a run from its folder, whole and of this experiment.

    Parameters
    ----------
    name : str
        What the argument `folder` is called where a mistake is told.
    folder : path_like
        It holds ``result.json``.
    kind : str
        One of `KINDS`.

    Returns
    -------
    mapping

    Raises
    ------
    ValueError
        If there is no such file, or it is damaged, or not of this experiment; the first place that
        is amiss is named.
    """
    if not os.fspath(folder):
        msg = f"`{name}` must be a folder that holds the result.json of a run, got '' (no name)"
        raise ValueError(msg)
    return _read(name, Path(folder) / "result.json", kind)


def recorded(kind: str) -> Document | None:
    """The document of the run that came with the package; None if none did.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    mapping or None

    Raises
    ------
    ValueError
        If it is damaged.
    """
    check_choice("kind", kind, KINDS)
    path = files("kdtheory") / "recorded" / f"{kind.replace('-', '_')}.json"
    return _read("recorded", Path(str(path)), kind) if path.is_file() else None


def figures(kind: str, result: Document) -> dict[str, str]:
    """Each figure of an experiment as an SVG element with alternative text.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    result : mapping
        Of a document.

    Returns
    -------
    dict of str to str
        By names that are fit for files.
    """
    from kdtheory import plotting  # matplotlib is loaded when there is something to draw

    check_choice("kind", kind, KINDS)
    draw: Callable[[Document], dict[str, tuple[Figure, str, str]]]
    draw = _fashion_mnist_figures if kind == "fashion-mnist" else _domains_figures
    return {
        name: plotting.to_svg(
            figure, name=f"{kind}-{name}".replace("_", "-"), title=title, description=words
        )
        for name, (figure, title, words) in draw(result).items()
    }


def section(kind: str, document: Document | None, *, recorded: bool = False) -> Section:
    """What the template of an experiment is filled with.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    document : mapping or None
        As `read_result` gives it; None makes a section that says how to get one.
    recorded : bool, default False
        Whether it came with the package.

    Returns
    -------
    Section
    """
    check_choice("kind", kind, KINDS)
    template = f"{kind.replace('-', '_')}.html"
    if document is None:
        return Section(kind, template, None, recorded, {}, {})
    result = document["result"]
    words = (_fashion_mnist_words if kind == "fashion-mnist" else _domains_words)(result)
    words |= {"versions": document["config"].get("versions", {}), "run": document.get("run")}
    return Section(kind, template, document, recorded, figures(kind, result), words)


def experiment_page(kind: str, document: Document) -> str:
    """The page of one run: one file, with its styles and figures, without script or network.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    document : mapping
        As `read_result` gives it.

    Returns
    -------
    str
        HTML, the same for the same document.
    """
    part = section(kind, document)
    title = {
        "fashion-mnist": "FashionMNIST: a linear student without and with a teacher",
        "domains": "Domains: a strong source teaches a weak target",
    }[kind]
    html = page_environment().get_template("neural.html").render(part=part, title=title)
    return html.strip() + "\n"


def _read(name: str, path: Path, kind: str) -> Document:
    check_choice("kind", kind, KINDS)
    try:
        if path.exists() and not path.is_file():  # a pipe may have no end
            msg = "not a regular file"
            raise OSError(0, msg)
        if path.stat().st_size > MOST_BYTES:
            msg = f"`{name}` must hold a result.json of at most {MOST_BYTES} bytes, got '{path}'"
            raise ValueError(msg)
        text = path.read_bytes()
    except OSError as error:
        msg = f"`{name}` must hold the result.json of a run, got '{path}' ({error.strerror})"
        raise ValueError(msg) from error
    try:
        document = json.loads(text)
        _require_few_levels(document)
        json_text(document).encode()  # numbers that are not finite are no JSON, nor half letters
    except (ValueError, RecursionError):
        msg = f"`{name}` must hold the result.json of a run, got '{path}', which is damaged"
        raise ValueError(msg) from None
    shape = {"config": {}, "result": FASHION_MNIST if kind == "fashion-mnist" else DOMAINS}
    amiss = _amiss(shape, document, "")
    if not amiss and "run" in document:
        amiss = _amiss(RUN, document["run"], "run")
    if not amiss and "versions" in document["config"]:
        amiss = _amiss(_Each(TEXT), document["config"]["versions"], "config.versions")
    if not amiss:  # what else a document holds is not drawn
        result = _part(shape["result"], document["result"])
        amiss = _uneven(result, "result") or _undrawable(result)
    if amiss:
        msg = f"`{name}` must hold a result.json of {kind}, got '{path}', where {amiss}"
        raise ValueError(msg)
    found: Document = document
    return found


def _amiss(shape: Any, value: Any, place: str) -> str:
    """What first differs from the shape, in words; nothing if nothing does."""
    if isinstance(shape, tuple):
        found = [_amiss(one, value, place) for one in shape]
        return "" if "" in found else found[0]
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"`{place or 'the whole'}` is no object"
        for key, one in shape.items():
            inner = f"{place}.{key}" if place else key
            if key not in value:
                return f"`{inner}` is missing"
            if words := _amiss(one, value[key], inner):
                return words
        return ""
    if isinstance(shape, _Each):
        if not isinstance(value, dict):
            return f"`{place}` is no object"
        return next(filter(None, (_amiss(shape.shape, v, place) for v in value.values())), "")
    if isinstance(shape, _Some | list):
        if not isinstance(value, list) or not value:
            return f"`{place}` is no list, or empty"
        if isinstance(shape, _Some) and len(value) > shape.most:
            return f"`{place}` has more than {shape.most} items"
        shapes = [shape.shape] * len(value) if isinstance(shape, _Some) else shape
        if len(shapes) != len(value):
            return f"`{place}` has {len(value)} items, not {len(shapes)}"
        rows = enumerate(zip(shapes, value, strict=True))
        return next(filter(None, (_amiss(one, v, f"{place}[{i}]") for i, (one, v) in rows)), "")
    if isinstance(shape, _OneOf):
        return "" if value in shape.words else f"`{place}` is none of {', '.join(shape.words)}"
    if isinstance(shape, _Name):
        fits = isinstance(value, str) and value.isprintable() and len(value) <= MOST_LETTERS
        return "" if fits else f"`{place}` is no text of at most {MOST_LETTERS} printable letters"
    if shape is None:
        return "" if value is None else f"`{place}` is not null"
    if isinstance(shape, _Positive):
        return _amiss(shape.kind, value, place) or (
            "" if value > 0 else f"`{place}` is not above 0"
        )
    kinds = (int, float) if shape is float else shape
    if not isinstance(value, kinds) or (isinstance(value, bool) and shape is not bool):
        return f"`{place}` is no {KIND_WORDS[shape]}"
    too_large = not isinstance(value, str) and abs(value) > LARGEST
    return f"`{place}` is beyond {LARGEST:g}" if too_large else ""


KIND_WORDS = {float: "number", int: "whole number", str: "text", bool: "true or false"}


def _require_few_levels(value: Any, most: int = MOST_LEVELS) -> None:
    """Refuse what is nested so deeply that a later step may find no end of it."""
    if most == 0:
        raise RecursionError
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _require_few_levels(item, most - 1)


def _part(shape: Any, value: Any) -> Any:
    """Of what fits a shape, those places that the shape names."""
    if isinstance(shape, tuple):
        return next(_part(one, value) for one in shape if not _amiss(one, value, ""))
    if isinstance(shape, dict):
        return {key: _part(one, value[key]) for key, one in shape.items()}
    if isinstance(shape, _Some):
        return [_part(shape.shape, item) for item in value]
    return {} if isinstance(shape, _Each) else value  # whose names are free


def _undrawable(result: Document) -> str:
    """Which pair of domains has no student for its figure; nothing if each has one."""
    for place, pair in enumerate(result.get("pairs", [])):
        rows = [row for link in pair["links"] for row in link["rows"]]
        if not any(
            row["loss"] in LOSSES[:2] and not isinstance(row["md_lambda"], str) for row in rows
        ):
            return f"`result.pairs[{place}]` has no row to draw"
    return ""


def _uneven(value: Any, place: str) -> str:
    """Where lists that are drawn together differ in length; nothing if they do not."""
    if isinstance(value, list):
        rows = enumerate(value)
        return next(filter(None, (_uneven(item, f"{place}[{i}]") for i, item in rows)), "")
    if not isinstance(value, dict):
        return ""
    together: list[Sequence[Any]] = []
    if "pictures" in value:
        together = [line for picture in value["pictures"] for line in picture]
        together += [picture for picture in value["pictures"] if len(picture) != len(together[0])]
    for axis in ("epoch", "epochs", "confidence"):
        if axis in value and isinstance(value[axis], list):
            drawn = value["curves"] if axis == "epochs" else [value]
            together = [value[axis], *(found for row in drawn for found in _lists(row))]
    if any(len(one) != len(together[0]) for one in together):
        return f"the lists of `{place}` differ in length"
    items = value.items()
    return next(filter(None, (_uneven(item, f"{place}.{key}") for key, item in items)), "")


def _lists(row: Document) -> Iterator[Sequence[Any]]:
    """The lists of a curve, its bands included."""
    for item in row.values():
        if isinstance(item, dict):
            yield from (inner for inner in item.values() if isinstance(inner, list))
        elif isinstance(item, list):
            yield item


def _fashion_mnist_words(result: Document) -> dict[str, Any]:
    """Rows of the tables, and counts of the verdicts."""
    main = [
        row
        for row in result["rows"]
        if row["student"] in ("without", "with") and row["rule"] == "softmax"
    ]
    answers = [
        change
        for change in result["changes"]
        if (change["first"], change["second"]) == (["with", "softmax"], ["without", "softmax"])
    ]
    words: dict[str, Any] = {
        "students": STUDENTS,
        "measures": MEASURES,
        "readings": {row["reading"]: row["words"] for row in main},
        "main_rows": main,
        "other_rows": [row for row in result["rows"] if row not in main],
        "answers": [change for change in answers if change["reading"] == "last epoch"],
    }
    if result["phase"] is not None:
        words |= {
            "counts": {measure: _counts(result["phase"]["cells"], measure) for measure in MEASURES},
            "not_settled": sum(cell["at_last_step"] > 0.5 for cell in result["phase"]["cells"]),
            "by_size": [
                {
                    "n_labels": n,
                    "answered": ANSWERED["all" if n == max(result["phase"]["sizes"]) else answered],
                    **{measure: _counts(cells, measure) for measure in MEASURES},
                }
                for answered in ANSWERED
                for n in sorted({cell["n_labels"] for cell in result["phase"]["cells"]})
                if (
                    cells := [
                        cell
                        for cell in result["phase"]["cells"]
                        if (cell["n_labels"], cell["answered"]) == (n, answered)
                    ]
                )
            ],
        }
    return words


def _counts(cells: Sequence[Document], measure: str) -> dict[str, int]:
    """How many cells have each verdict."""
    found = Counter(cell[f"{measure}_change"]["verdict"] for cell in cells)
    return {verdict: found[verdict] for verdict in VERDICTS} | {"total": len(cells)}


def _fashion_mnist_figures(result: Document) -> dict[str, tuple["Figure", str, str]]:
    """Figures with their titles and descriptions."""
    from kdtheory import plotting_neural as plotting

    both = [c for c in result["curves"] if c["student"] in ("without", "with")]
    shown = {("without", "softmax"), ("with", "softmax"), ("exact", "softmax"), ("exact", "mean")}
    calibration = [c for c in result["calibration"] if (c["student"], c["rule"]) in shown]
    pictures = {
        "figure_2": (
            plotting.learning_curves(both),
            "Cross-entropy by epoch without and with the teacher",
            "Two panels, training above test objects. " + _ends(both),
        ),
        "regularisers": (
            plotting.learning_curves(result["curves"], apart=("printed",)),
            "Cross-entropy by epoch of all students",
            "Panels of training above those of test objects; below each that of the student with "
            "the printed term. " + _ends(result["curves"]),
        ),
        "reliability": (
            plotting.reliability(calibration),
            "Accuracy against confidence",
            "Lines beside the diagonal of a calibrated student. Mean distances: "
            + "; ".join(
                f"{STUDENTS[row['student']]}, {row['rule']}: {number(row['error'], '.3f')}"
                for row in calibration
            )
            + ".",
        ),
    }
    if result["phase"] is not None:
        phase = result["phase"]
        for measure, words in MEASURES.items():
            n = _counts(phase["cells"], measure)
            pictures[f"phase_{measure}"] = (
                plotting.phase_diagram(phase, measure=measure),
                f"Change of the test {words} by the teacher",
                "Coloured cells over labelled objects, trust and temperature. With the teacher, of "
                f"{n['total']}: "
                + ", ".join(f"{n[verdict]} {verdict}" for verdict in VERDICTS if n[verdict])
                + ".",
            )
        rows = sorted(phase["baselines"], key=lambda row: float(row["n_labels"]))
        pictures["labels"] = (
            plotting.accuracy_by_labels(phase, teacher=result["teacher"]["test"]["accuracy"]),
            "Accuracy against the number of labelled objects",
            "Without a teacher the accuracy is "
            + ", ".join(
                f"{number(row['accuracy']['mean'], '.3f')} with {count_of(row['n_labels'])}"
                for row in rows
            )
            + ".",
        )
    return pictures


def _ends(curves: Sequence[Document]) -> str:
    """The last point of each curve on the test objects, as a sentence."""
    return (
        f"After {curves[0]['epoch'][-1]} epochs the cross-entropies on the test objects are "
        + "; ".join(
            f"{number(curve['test_cross_entropy']['mean'][-1], '.4f')} {STUDENTS[curve['student']]}"
            for curve in curves
        )
        + "."
    )


def _domains_words(result: Document) -> dict[str, Any]:
    """The students whose λ the validation objects chose, one for each link, and their verdicts."""
    summary = []
    for pair in result["pairs"]:
        for link in pair["links"]:
            rows = {row["md_lambda"]: row for row in link["rows"] if row["loss"] == "cross-entropy"}
            if "chosen" in rows and 1.0 in rows:
                summary.append(
                    {"pair": pair, "link": link, "alone": rows[1.0], "chosen": rows["chosen"]}
                )
    found = Counter(
        row["chosen"]["accuracy_change"]["verdict"]
        for row in summary
        if row["chosen"]["accuracy_change"] is not None
    )
    return {
        "measures": MEASURES,
        "summary": summary,
        "counts": {verdict: found[verdict] for verdict in VERDICTS},
        "answers": [
            change
            for change in result["base"]["changes"]
            if (change["reading"], change["against"]) == ("last epoch", "without")
        ],
        "lambdas": {"chosen": "by validation", "loo": "by leave-one-out"},
    }


def _domains_figures(result: Document) -> dict[str, tuple["Figure", str, str]]:
    """Figures with their titles and descriptions."""
    from kdtheory import plotting_neural as plotting

    base = result["base"]
    pictures = {
        "curves": (
            plotting.domain_curves(base),
            "Accuracy and cross-entropy of MD's students by epoch",
            f"Two panels, on the test objects. After {base['epochs'][-1]} epochs the accuracies "
            "are "
            + "; ".join(
                f"{number(curve['test_accuracy']['mean'][-1], '.3f')} {curve['student']}"
                for curve in base["curves"]
            )
            + ".",
        ),
        "examples": (
            plotting.domain_pictures(result["examples"]),
            "The same objects in each domain",
            "A row of grey pictures of clothes for each domain: "
            + ", ".join(row["domain"] for row in result["examples"])
            + ".",
        ),
    }
    for place, pair in enumerate(result["pairs"], start=1):
        pictures[f"pair_{place}"] = (
            plotting.students_by_link(pair),
            f"Accuracy by λ and link: {pair['words']}",
            f"Two panels, one a loss. The teacher of the source is right for "
            f"{number(pair['source_teacher']['accuracy'], '.3f')} of the objects; through the "
            "links for "
            + "; ".join(
                f"{number(link['teacher_through_link']['accuracy']['mean'], '.3f')} by "
                f"{link['link']}"
                for link in pair["links"]
            )
            + ".",
        )
    return pictures
