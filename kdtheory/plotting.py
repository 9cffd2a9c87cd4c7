r"""Results as figures: one function, one picture, no state of its own.

Each function takes a result and returns a `matplotlib.figure.Figure` of one panel, wide enough
for a phone. `to_svg` writes it as an accessible SVG element, the same bytes each time.

notation: g = softmax probabilities, μ = exact mean, s = point of the simplex
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from xml.sax.saxutils import escape

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.tri import Triangulation
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import (
    check_lengths_agree,
    check_matrix,
    check_real_array,
    check_simplex_points,
)
from kdtheory.continuous_categorical import ContinuousCategorical
from kdtheory.experiments.diabetes import DiabetesResult, PathErrors
from kdtheory.experiments.digits import DigitsResult
from kdtheory.experiments.privileged import PrivilegedResult
from kdtheory.experiments.synthetic import (
    PUBLISHED,
    Change,
    Reading,
    SyntheticResult,
    TrustAndTemperature,
)
from kdtheory.softening import soften

__all__ = [
    "blended_targets",
    "class_distributions",
    "class_marginals",
    "class_probabilities",
    "coefficient_intervals",
    "confusion_matrix",
    "cross_entropy_against_accuracy",
    "distillation_plates",
    "distilled_accuracies",
    "divergence_by_draw",
    "error_against_trust",
    "errors_along_trust",
    "errors_of_probabilities",
    "generator_plates",
    "greatest_probabilities",
    "house_style",
    "log_ticks",
    "mass_by_confidence",
    "mean_against_softmax",
    "opaque_legend",
    "paired_differences",
    "panel",
    "probability_by_temperature",
    "readings_of_published",
    "residuals_against_fitted",
    "right_class_probability",
    "simplex_density",
    "to_svg",
]

# Okabe and Ito's colours, told apart by colour-blind readers
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6f76"
CLASS_COLOURS = ("#56B4E9", "#E69F00", "#CC79A7", GREEN, "#F0E442", BLUE, ORANGE)
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.8,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
}
SIZE = (4.8, 3.9)  # inches; at a phone's 330 px a letter of 11 pt is 10 px
DPI = 220  # of the parts that are pixels: clouds of points and heat maps
LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])


@contextmanager
def house_style(**more: object) -> Iterator[None]:
    """Put on the house style whatever the caller's settings are, which come back afterwards.

    Parameters
    ----------
    **more
        Settings of matplotlib beside those of the style.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE | more)
        yield


@contextmanager
def panel(size: tuple[float, float] = SIZE) -> Iterator[tuple[Figure, Axes]]:
    """Make a figure with one pair of axes, in the house style.

    Parameters
    ----------
    size : (width, height)
        In inches.
    """
    with house_style():
        figure = Figure(figsize=size, layout="constrained")
        yield figure, figure.add_subplot()


def log_ticks(axis: Axis) -> None:
    """Label 1, 2 and 5 of each decade of a logarithmic axis as plain numbers.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
    """
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def opaque_legend(axes: Axes, **options: object) -> None:
    """Add a legend whose marks are seen, though those of a cloud are faint.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    **options
        Of `matplotlib.axes.Axes.legend`.
    """
    legend = axes.legend(handletextpad=0.5, **options)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def mass_by_confidence(result: DigitsResult) -> Figure:
    """Total mass of the printed density of GS Theorem 1 against the student's confidence.

    Parameters
    ----------
    result : DigitsResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with panel() as (figure, axes):
        decades = result.log_mass / np.log(10)
        groups = ((~result.held_out, BLUE, "fitted on"), (result.held_out, ORANGE, "held out"))
        for chosen, colour, label in groups:
            axes.scatter(
                result.confidence[chosen], decades[chosen], s=9, alpha=0.35, color=colour,
                linewidths=0, rasterized=True, label=label,
            )  # fmt: skip
        axes.axhline(0, color="black", linewidth=1.2)
        axes.annotate("a density has mass 1", (1, 0), (0, -4), textcoords="offset points",
                      ha="right", va="top")  # fmt: skip
        axes.set_xlabel("confidence of the student, max g")
        axes.set_ylabel("log₁₀ of the total mass")
        axes.set_ylim(top=3)
        opaque_legend(axes, loc="lower left", markerscale=2)
    return figure


def simplex_density(
    log_probs: ArrayLike, vertices: Sequence[str], *, limits: tuple[float, float] | None = None
) -> Figure:
    r"""Exact density :math:`p(s \mid g)` of GS (12) over the simplex of three classes.

    Parameters
    ----------
    log_probs : (3,) array_like
        log g, up to a constant.
    vertices : sequence of str
        Names of the three classes, for the corners.
    limits : (low, high), optional
        Ends of the logarithmic colour scale, to make panels comparable.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `log_probs` is not of shape (3,) or not finite.
    """
    logits = check_real_array("log_probs", log_probs, ndim=1)
    if logits.shape != (3,):
        msg = f"`log_probs` must have shape (3,), got shape {logits.shape}"
        raise ValueError(msg)
    points = _grid(120)
    distribution = ContinuousCategorical(logits=logits)
    density = np.exp(distribution.log_prob(points))
    low, high = limits or (density.min(), density.max())
    with panel((4.8, 4.2)) as (figure, axes):
        triangles = Triangulation(*(points @ CORNERS).T)
        heat = axes.tripcolor(
            triangles, density, shading="gouraud", cmap="cividis",
            norm=LogNorm(low, high), rasterized=True,
        )  # fmt: skip
        lines = axes.tricontour(triangles, density, levels=LEVELS, colors="white", linewidths=0.8)
        axes.clabel(lines, fmt="%g", fontsize=9)
        _draw_simplex(axes, vertices)
        for point, marker, label in (
            (soften(logits), "X", "g, softmax"),
            (distribution.mean(), "o", "μ, exact mean"),
        ):
            axes.plot(
                *(point @ CORNERS), marker, color="white", markeredgecolor="black", markersize=9,
                label=label, clip_on=False, linestyle="",
            )  # fmt: skip
        opaque_legend(axes, loc="upper left")
        bar = figure.colorbar(heat, ax=axes, orientation="horizontal", shrink=0.85, pad=0.02)
        bar.set_label("density, per unit of ds₁ ds₂ (uniform: 2)")
        bar.outline.set_visible(False)
    return figure


def mean_against_softmax(result: DigitsResult) -> Figure:
    """Mean of the exact density against softmax, for every object and class.

    Parameters
    ----------
    result : DigitsResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with panel() as (figure, axes):
        probs = np.exp(result.log_probs)
        top = np.zeros(probs.shape, dtype=bool)
        np.put_along_axis(top, probs.argmax(axis=1)[:, None], True, axis=1)
        for chosen, colour, label in ((~top, BLUE, "other classes"), (top, ORANGE, "likeliest")):
            axes.scatter(
                probs[chosen], result.mean[chosen], s=7, alpha=0.3, color=colour, linewidths=0,
                rasterized=True, label=label,
            )  # fmt: skip
        axes.plot([0, 1], [0, 1], color="black", linewidth=1.2)
        axes.annotate("mean = softmax", (0.62, 0.62), (0, 7), textcoords="offset points",
                      ha="center", rotation=38, rotation_mode="anchor")  # fmt: skip
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("softmax probability g")
        axes.set_ylabel("mean μ of the exact density")
        opaque_legend(axes, loc="upper left", markerscale=2)
    return figure


def error_against_trust(result: DiabetesResult) -> Figure:
    """Paired change of held-out error by a teacher, with intervals, against trust.

    Parameters
    ----------
    result : DiabetesResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with panel() as (figure, axes):
        axes.axhline(0, color="black", linewidth=1.2)
        for columns, shift, colour, marker in ((10, -0.035, BLUE, "o"), (3, 0.035, ORANGE, "s")):
            rows = [c for c in result.comparisons if c.teacher_columns == columns]
            for row in rows:
                x = row.trust + shift
                jitter = 0.022 * (_spread_out(len(row.differences)) - 0.5)
                axes.scatter(x + jitter, row.differences, s=4, color=colour, alpha=0.25,
                             linewidths=0, rasterized=True)  # fmt: skip
                axes.plot([x, x], [row.low_new, row.high_new], color=colour, linewidth=1)
                axes.plot([x, x], [row.low, row.high], color=colour, linewidth=4.5)
            axes.plot([row.trust + shift for row in rows], [row.change for row in rows], marker,
                      color="white", markeredgecolor=colour, markersize=6.5, markeredgewidth=1.6,
                      linestyle="", label=f"teacher saw {columns} columns")  # fmt: skip
        axes.set_xticks([row.trust for row in rows])
        axes.set_xlabel("trust λ in the teacher")
        axes.set_ylabel("change of held-out squared error")
        shown = np.concatenate([c.differences for c in result.comparisons])
        axes.set_ylim(*np.quantile(shown, [0.01, 0.99]))
        opaque_legend(axes, loc="lower left")
    return figure


def errors_along_trust(path: PathErrors, chosen: ArrayLike) -> Figure:
    """Change of cross-validation and held-out errors along the trust, with the trusts chosen.

    Parameters
    ----------
    path : PathErrors
    chosen : (J,) array_like
        Trusts chosen by leave-one-out: one is marked on its curve, several become a histogram.

    Returns
    -------
    matplotlib.figure.Figure
    """
    trusts = check_real_array("chosen", chosen, ndim=1)
    with panel() as (figure, axes):
        for errors, colour, dashes, label in (
            (path.held_out_error, ORANGE, "-", "held-out patients"),
            (path.loo_error, BLUE, "-", "leave-one-out"),
            (path.gcv_error, GREEN, (0, (5, 2)), "generalised\ncross-validation"),
        ):
            axes.plot(path.trusts, errors - errors[0], color=colour, linestyle=dashes, linewidth=2,
                      label=label)  # fmt: skip
        axes.axhline(0, color="black", linewidth=1.2, zorder=1)
        low, high = axes.get_ylim()
        if len(trusts) == 1:
            height = np.interp(trusts[0], path.trusts, path.loo_error) - path.loo_error[0]
            axes.plot(trusts, [height], "o", color="white", markeredgecolor=BLUE, markersize=8,
                      markeredgewidth=1.8, linestyle="", clip_on=False, zorder=3,
                      label=f"chosen, λ = {trusts[0]:.2f}")  # fmt: skip
        else:
            # rounded: a trust on an edge belongs to the bin that begins there
            counts, edges = np.histogram(trusts.round(9), bins=np.linspace(0, 1, 11).round(9))
            low -= 0.55 * (high - low)
            bars = 0.3 * (high - low) * counts / counts.max()
            axes.bar(edges[:-1] + 0.05, bars, width=0.085, bottom=low, color=BLUE, alpha=0.35,
                     label=f"trusts chosen by\nleave-one-out ({len(trusts)})")  # fmt: skip
        axes.set_ylim(low, high + 0.45 * (high - low))  # room for the legend
        axes.set_xlabel("trust λ in the teacher")
        axes.set_ylabel("change of mean squared error")
        opaque_legend(axes, loc="upper center", ncols=2)
    return figure


def coefficient_intervals(result: DiabetesResult) -> Figure:
    """Coefficients of the students of the first split with their 95 % intervals.

    Parameters
    ----------
    result : DiabetesResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with panel() as (figure, axes):
        axes.axvline(0, color="black", linewidth=1.2)
        rank = -np.arange(len(result.columns), dtype=float)
        styles = ((0.25, GREY, "s", "-"), (0.0, BLUE, "o", "-"), (-0.25, ORANGE, "X", (0, (3, 2))))
        for row, (shift, colour, marker, dashes) in zip(result.intervals, styles, strict=True):
            n = len(result.columns)  # without the constant, which is on another scale
            axes.hlines(rank + shift, row.low[:n], row.high[:n], color=colour, linewidth=2.2,
                        linestyles=dashes)  # fmt: skip
            label = row.student.replace(", naive", ",\nnaive interval (wrong)")
            axes.plot(row.estimates[:n], rank + shift, marker, color="white", markersize=6.5,
                      markeredgecolor=colour, markeredgewidth=1.6, linestyle="",
                      label=label)  # fmt: skip
        axes.set_yticks(rank, result.columns)
        axes.set_ylim(rank[-1] - 1.6, 0.5)  # room for the legend
        axes.set_xlabel("progression for one standard deviation of the column")
        axes.grid(axis="y", visible=False)
        opaque_legend(axes, loc="lower right")
    return figure


def blended_targets(result: DiabetesResult) -> Figure:
    """Targets y″ of Theorem 2 between the labels and the teacher's answers, patient by patient.

    Parameters
    ----------
    result : DiabetesResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with panel() as (figure, axes):
        inside = np.flatnonzero(result.privileged)
        inside = inside[np.argsort(result.answers[inside], kind="stable")]
        rank = np.arange(1, len(inside) + 1)
        y, s, targets = (
            values[inside] for values in (result.answers, result.teacher, result.targets)
        )
        axes.vlines(rank, np.minimum(y, s), np.maximum(y, s), color="#b9bec6", linewidth=1.4)
        axes.plot(rank, y, "o", color=BLUE, markersize=5.5, label="label y")
        axes.plot(rank, s, "s", color="white", markeredgecolor=ORANGE, markersize=5,
                  markeredgewidth=1.4, label="teacher's answer s")  # fmt: skip
        axes.plot(rank, targets, "_", color="black", markersize=9, markeredgewidth=2,
                  label="target y″")  # fmt: skip
        axes.set_xlabel("patients with a teacher, by label")
        axes.set_ylabel("progression of the disease")
        axes.grid(axis="x", visible=False)
        opaque_legend(axes, loc="upper left")
    return figure


def distillation_plates() -> Figure:
    r"""Plate diagram of the general model of GS (7)–(10), their Figure 1.

    Drawn from the factorisation, as the picture is not in the text. By GS (9), which takes s and y
    to depend on each other through x alone,

    .. math:: p(Y, S \mid X, g, I) = \prod_{i \notin I} p(y_i \mid x_i, g)
        \prod_{i \in I} p(y_i \mid x_i, g) \, p(s_i \mid x_i, g).

    The trust λ is no variable of the model: GS (11) brings it in as a weight of the factors.

    Returns
    -------
    matplotlib.figure.Figure
        Of axes with a node for each variable; those that are observed are shaded.
    """
    nodes = {
        "g": ("$g$", "student", (3.05, 3.15), "sought"),
        "s": ("$s_i$", "answer", (0.85, 2.0), "observed"),
        "y": ("$y_i$", "label", (2.45, 2.0), "observed"),
        "x": ("$x_i$", "features", (1.65, 0.95), "observed"),
        "y alone": ("$y_i$", "label", (4.75, 2.0), "observed"),
        "x alone": ("$x_i$", "features", (4.75, 0.95), "observed"),
    }
    edges = ("g s", "g y", "x s", "x y")
    plates = {
        r"$i \in I$, has a teacher": (0.12, 0.12, 3.18, 2.4),
        r"$i \notin I$, has none": (3.55, 0.12, 2.42, 2.4),
    }
    pairs = [*(edge.split() for edge in edges), ["g", "y alone"], ["x alone", "y alone"]]
    return _plate_diagram(nodes, pairs, plates, height=3.65)


def generator_plates() -> Figure:
    r"""Plate diagram of the synthetic data of GS 6.2, their Figure 3.

    Drawn from the generator, as the picture is not in the text:

    .. math:: w_{jk} \sim \mathcal{N}(0, 1), \quad x_{ij} \sim \mathcal{N}(0, 1), \quad
        s_i = \operatorname{softmax}(x_i W), \quad y_i \sim \operatorname{Cat}(s_i).

    Returns
    -------
    matplotlib.figure.Figure
        Of axes with a node for each variable: shaded if it is observed, with a double ring if it
        is a function of others.
    """
    nodes = {
        "w": ("$w_{jk}$", "weights", (1.05, 1.0), "sought"),
        "x": ("$x_i$", "features", (3.35, 2.1), "observed"),
        "s": ("$s_i$", "softmax", (3.35, 1.0), "function"),
        "y": ("$y_i$", "label", (5.1, 1.0), "observed"),
    }
    plates = {
        r"$n \times K$": (0.12, 0.12, 1.9, 1.5),
        r"$m$ objects": (2.45, 0.12, 3.52, 2.5),
    }
    pairs = [["w", "s"], ["x", "s"], ["s", "y"]]
    return _plate_diagram(nodes, pairs, plates, height=2.75)


def class_probabilities(probs: ArrayLike, *, colour: str = BLUE) -> Figure:
    """Class probabilities of objects, one point each in the simplex, and their mean.

    Parameters
    ----------
    probs : (m, 3) array_like
        Points of the simplex.
    colour : str
        Of the points.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `probs` is not of three classes or off the simplex.
    """
    points = check_simplex_points("probs", check_matrix("probs", probs), n_classes=3)
    with panel((3.6, 3.4)) as (figure, axes):
        _draw_simplex(axes, ["class 1", "class 2", "class 3"])
        x, y = (points @ CORNERS).T
        axes.scatter(x, y, s=9, color=colour, alpha=0.35, linewidths=0,
                     rasterized=True, clip_on=False, label="an object")  # fmt: skip
        axes.plot(*(points.mean(axis=0) @ CORNERS), "D", color="black", markersize=8,
                  markeredgecolor="white", label="their mean")  # fmt: skip
        opaque_legend(axes, loc="upper left")
    return figure


def class_distributions(distributions: Mapping[str, ArrayLike]) -> Figure:
    """Class probabilities object by object as stacked bars, one strip for each model.

    The objects of every strip stand in one order, that of the first strip: by likeliest class and
    falling probability of it. A model that gives all probability to one class shows full bars.

    Parameters
    ----------
    distributions : mapping of str to (m, K) array_like
        Points of the simplex, of K at most 7 classes; the first gives the order.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the shapes disagree or a row is off the simplex.
    """
    rows = _distributions(distributions)
    first = next(iter(rows.values()))
    likeliest = first.argmax(axis=1)
    order = np.lexsort((-first.max(axis=1), likeliest))
    n_objects, n_classes = first.shape
    with house_style(**{"axes.grid": False}):
        figure = Figure(figsize=(SIZE[0], 1.1 + 1.15 * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), sharex=True, squeeze=False)[:, 0]
        edges = np.arange(n_objects + 1)
        for axes, (name, probs) in zip(panels, rows.items(), strict=True):
            heights = probs[order].cumsum(axis=1)
            for k in range(n_classes):
                below = heights[:, k - 1] if k else np.zeros(n_objects)
                axes.stairs(
                    heights[:, k], edges, baseline=below, fill=True, color=CLASS_COLOURS[k],
                    linewidth=0, rasterized=True, label=f"class {k + 1}",
                )  # fmt: skip
            axes.set_title(name, loc="left", pad=4)
            axes.set_xlim(0, n_objects)
            axes.set_ylim(0, 1)
            axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
            axes.set_ylabel("probability", fontsize=10)
        panels[-1].set_xlabel("objects, in the order of the first strip")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right",
                      ncols=n_classes, handlelength=1, columnspacing=1.2)  # fmt: skip
    return figure


def greatest_probabilities(distributions: Mapping[str, ArrayLike]) -> Figure:
    """Share of objects by the greatest of their class probabilities, for each model.

    Parameters
    ----------
    distributions : mapping of str to (m, K) array_like
        Points of the simplex; at most four models.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the shapes disagree or a row is off the simplex.
    """
    rows = _distributions(distributions)
    with panel() as (figure, axes):
        dashes = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))
        looks = zip(("black", ORANGE, BLUE, GREEN), dashes, strict=True)
        for (name, probs), (colour, style) in zip(rows.items(), looks, strict=False):
            share = np.linspace(0, 1, 201)
            axes.plot(np.quantile(probs.max(axis=1), share), share, color=colour, linewidth=2,
                      linestyle=style, label=name)  # fmt: skip
        axes.set_xlim(1 / probs.shape[1] - 0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("greatest class probability of an object")
        axes.set_ylabel("share of objects at or below it")
        opaque_legend(axes, loc="upper left")
    return figure


def errors_of_probabilities(true: ArrayLike, students: Mapping[str, ArrayLike]) -> Figure:
    """Students' class probabilities minus the true ones, for every object and class.

    Parameters
    ----------
    true : (m, K) array_like
        Points of the simplex.
    students : mapping of str to (m, K) array_like
        Points of the simplex; at most two models.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the shapes disagree or a row is off the simplex.
    """
    truth, *guesses = _distributions({"true": true} | dict(students)).values()
    with panel() as (figure, axes):
        for name, guess, colour in zip(students, guesses, (ORANGE, BLUE), strict=False):
            axes.scatter(truth, guess - truth, s=7, color=colour, alpha=0.3, linewidths=0,
                         rasterized=True, label=name)  # fmt: skip
        axes.axhline(0, color="black", linewidth=1.2)
        axes.set_xlabel("true probability of a class")
        axes.set_ylabel("student's minus true probability")
        far = 1.45 * max(abs(guess - truth).max() for guess in guesses)
        axes.set_ylim(-far, far)  # room for the legend
        opaque_legend(axes, loc="upper left", markerscale=2)
    return figure


def paired_differences(changes: Mapping[str, Change], *, label: str) -> Figure:
    """Mean of paired differences with its 95 % interval and its verdict, a row for each.

    Parameters
    ----------
    changes : mapping of str to Change
        By the name of the row, from the top.
    label : str
        Of the axis: what differs, and its unit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    looks = {"better": (GREEN, "o"), "worse": (ORANGE, "X"), "undecided": (GREY, "s")}
    with panel((SIZE[0], 1.1 + 0.62 * len(changes))) as (figure, axes):
        axes.axvline(0, color="black", linewidth=1.2)
        for row, (name, change) in enumerate(changes.items()):
            colour, marker = looks[change.verdict]
            axes.plot([change.low, change.high], [row, row], color=colour, linewidth=3)
            axes.plot([change.change], [row], marker, color="white", markersize=7.5,
                      markeredgecolor=colour, markeredgewidth=1.8)  # fmt: skip
            for words, x, ha, ink, weight in (
                (name, 0, "left", "black", "normal"), (change.verdict, 1, "right", colour, "bold"),
            ):  # fmt: skip
                axes.annotate(words, (x, row), (0, 9), xycoords=("axes fraction", "data"),
                              textcoords="offset points", ha=ha, fontsize=10, color=ink,
                              fontweight=weight,
                              bbox={"fc": "white", "ec": "none", "pad": 0.5})  # fmt: skip
        axes.set_ylim(len(changes) - 0.6, -0.75)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.12)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(label)
    return figure


def divergence_by_draw(without: ArrayLike, with_teacher: ArrayLike) -> Figure:
    """KL to the true probabilities with a teacher against that without, a point for each draw.

    Parameters
    ----------
    without, with_teacher : (R,) array_like
        Positive, in nats, of the same draws.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the lengths disagree or a number is not finite.
    """
    x = check_real_array("without", without, ndim=1)
    y = check_real_array("with_teacher", with_teacher, ndim=1)
    check_lengths_agree(without=x, with_teacher=y)
    with panel() as (figure, axes):
        axes.scatter(x, y, s=12, color=BLUE, alpha=0.45, linewidths=0, rasterized=True,
                     label="one W each")  # fmt: skip
        axes.plot([x.mean()], [y.mean()], "D", color="black", markersize=8, linestyle="",
                  markeredgecolor="white", label="mean")  # fmt: skip
        low, high = min(x.min(), y.min()) / 1.6, max(x.max(), y.max()) * 1.6
        axes.plot([low, high], [low, high], color="black", linewidth=1.2)
        middle = float(np.sqrt(x.min() * x.max()))
        axes.annotate("no effect of\nthe teacher", (middle, middle), (-10, 2), ha="right",
                      textcoords="offset points")  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(x.min() / 2.5, x.max() * 1.6)
        axes.set_ylim(low, high)
        log_ticks(axes.xaxis)
        log_ticks(axes.yaxis)
        axes.set_xlabel("KL to the truth without a teacher, nats")
        axes.set_ylabel("with the teacher, nats")
        opaque_legend(axes, loc="lower right")
    return figure


def right_class_probability(trusts: ArrayLike, temperatures: ArrayLike, probs: ArrayLike) -> Figure:
    """Probability that students along the trust give the right class of one object, softened at T.

    Parameters
    ----------
    trusts : (L,) array_like
        In rising order.
    temperatures : (J,) array_like
        Positive, in rising order.
    probs : (L, J) array_like

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the shapes disagree or a number is not finite.
    """
    x = check_real_array("temperatures", temperatures, ndim=1)
    y = check_real_array("trusts", trusts, ndim=1)
    heights = check_matrix("probs", probs, shape=(len(y), len(x)))
    with panel((4.8, 4.2)) as (figure, axes):
        heat = axes.pcolormesh(x, y, heights, shading="nearest", cmap="cividis", vmin=0, vmax=1,
                               rasterized=True)  # fmt: skip
        lines = axes.contour(x, y, heights, levels=np.arange(0.1, 1, 0.1), colors="white",
                             linewidths=0.9)  # fmt: skip
        axes.clabel(lines, fmt="%.1f", fontsize=9)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("temperature T of the prediction")
        axes.set_ylabel("trust λ in the teacher")
        axes.grid(visible=False)
        bar = figure.colorbar(heat, ax=axes, orientation="horizontal", shrink=0.85, pad=0.03)
        bar.set_label("probability of the right class")
        bar.outline.set_visible(False)
    return figure


def probability_by_temperature(figure_7: TrustAndTemperature) -> Figure:
    """Probability of the right class of three objects against T, a band over all trusts each.

    Parameters
    ----------
    figure_7 : TrustAndTemperature

    Returns
    -------
    matplotlib.figure.Figure
    """
    x, n_classes = figure_7.temperatures, figure_7.truth.shape[1]
    with panel() as (figure, axes):
        axes.axhline(1 / n_classes, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axvline(1, color="black", linewidth=0.8)
        looks = zip((ORANGE, BLUE, GREEN), ("s", "o", "^"), strict=True)
        rows = zip(figure_7.right, figure_7.truth, figure_7.labels, looks, strict=True)
        for right, truth, label, (colour, marker) in rows:
            axes.fill_between(x, right.min(axis=0), right.max(axis=0), color=colour, alpha=0.3,
                              linewidth=0)  # fmt: skip
            axes.plot(x, right[0], color=colour, linewidth=1.2, linestyle=(0, (4, 2)))
            axes.plot(x, right[-1], color=colour, linewidth=1.8)
            axes.plot([1], [truth[label]], marker, color="white", markeredgecolor=colour,
                      markersize=7.5, markeredgewidth=1.8, linestyle="",
                      label=f"truth, {truth[label]:.2f}")  # fmt: skip
        axes.plot([], [], color="black", linewidth=1.8, label="trust λ = 1")
        axes.plot([], [], color="black", linewidth=1.2, linestyle=(0, (4, 2)), label="λ = 0")
        axes.annotate(f"1/{n_classes}", (x[0], 1 / n_classes), (2, -4),
                      textcoords="offset points", va="top")  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(x[0], x[-1])
        axes.set_ylim(0, 1.04)
        axes.set_xlabel("temperature T of the prediction")
        axes.set_ylabel("probability of the right class")
        opaque_legend(axes, loc="upper right")
    return figure


def class_marginals(result: SyntheticResult) -> Figure:
    """Share of each class under each drawn W, and its mean over the draws.

    Parameters
    ----------
    result : SyntheticResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with panel() as (figure, axes):
        n_draws, n_classes = result.marginals.shape
        classes = np.arange(1, n_classes + 1)
        jitter = 0.5 * (_spread_out(n_draws) - 0.5)
        for k in range(n_classes):
            axes.scatter(classes[k] + jitter, result.marginals[:, k], s=8, color=BLUE, alpha=0.3,
                         linewidths=0, rasterized=True,
                         label=f"one W each ({n_draws})" if k == 0 else None)  # fmt: skip
        axes.plot(classes, result.marginals[0], "D-", color=ORANGE, markersize=6, linewidth=1.2,
                  label="the first W")  # fmt: skip
        axes.plot(classes, [interval.mean for interval in result.mean_marginals], "_",
                  color="black", markersize=26, markeredgewidth=2.2,
                  label="mean over W")  # fmt: skip
        axes.axhline(1 / n_classes, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(f"1/{n_classes}", (0.45, 1 / n_classes), (2, 3), textcoords="offset points")
        axes.set_xlim(0.45, n_classes + 0.55)
        axes.set_ylim(0, max(0.56, result.marginals.max() * 1.2))
        axes.set_xticks(classes)
        axes.set_xlabel("class")
        axes.set_ylabel("share of the objects")
        axes.grid(axis="x", visible=False)
        opaque_legend(axes, loc="lower center")
    return figure


def cross_entropy_against_accuracy(result: SyntheticResult) -> Figure:
    """Cross-entropy and accuracy of the students on test objects beside the published rows.

    Parameters
    ----------
    result : SyntheticResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with panel((4.8, 4.4)) as (figure, axes):
        for student, colour, words in (
            ("without", ORANGE, "student without a teacher"),
            ("with", BLUE, "student with the teacher"),
        ):
            scores = result.quality(student, sample="test")
            axes.scatter(
                scores.accuracy, scores.cross_entropy, s=9, color=colour, alpha=0.35,
                linewidths=0, rasterized=True, label=words,
            )  # fmt: skip
        axes.plot([result.accuracy.mean], [result.cross_entropy.mean], "o", color="white",
                  markeredgecolor="black", markeredgewidth=1.8, markersize=8, linestyle="",
                  label="Bayes values, mean over W")  # fmt: skip
        for row, marker in zip(PUBLISHED, ("v", "^"), strict=True):
            axes.plot([row.accuracy], [row.cross_entropy], marker, color="black", markersize=10,
                      markeredgecolor="white", markeredgewidth=1, linestyle="",
                      label=f"published, {row.model}")  # fmt: skip
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + 0.5 * (top - bottom))  # room for the legend
        axes.set_xlabel(f"accuracy on {result.n_test} test objects")
        axes.set_ylabel("cross-entropy, nats")
        opaque_legend(axes, loc="upper right", markerscale=1.5)
    return figure


def readings_of_published(readings: Sequence[Reading]) -> Figure:
    """Cross-entropies that readings of GS Table 1 give, beside the two that it prints.

    Parameters
    ----------
    readings : sequence of Reading
        From the top. The name of one that is not ruled out is set in bold and says so.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rank = np.arange(len(readings))
    with panel((SIZE[0], 1.5 + 0.26 * len(readings))) as (figure, axes):
        for student, row, colour, shift, marker in (
            ("without", PUBLISHED[0], ORANGE, -0.17, "o"),
            ("with", PUBLISHED[1], BLUE, 0.17, "s"),
        ):
            found = [getattr(reading, f"cross_entropy_{student}") for reading in readings]
            axes.axvline(row.cross_entropy, color=colour, linewidth=1.4, linestyle=(0, (4, 2)),
                         label=f"published {row.cross_entropy:g}")  # fmt: skip
            axes.hlines(rank + shift, [f.low for f in found], [f.high for f in found],
                        color=colour, linewidth=2.6)  # fmt: skip
            axes.plot([f.mean for f in found], rank + shift, marker, color="white", markersize=4.5,
                      markeredgecolor=colour, markeredgewidth=1.3, linestyle="",
                      label=f"draws, {row.model}")  # fmt: skip
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        possible = [reading.verdict == "possible" for reading in readings]
        names = [r.name + p * ", possible" for r, p in zip(readings, possible, strict=True)]
        axes.set_yticks(rank, names, fontsize=9)
        for label, is_bold in zip(axes.get_yticklabels(), possible, strict=True):
            label.set_fontweight("bold" if is_bold else "normal")
        axes.set_ylim(len(readings) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("cross-entropy")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2,
                      columnspacing=1, handletextpad=0.5)  # fmt: skip
    return figure


def distilled_accuracies(result: PrivilegedResult) -> Figure:
    """Accuracies of teacher, plain and distilled student with those of Lopez-Paz et al.

    Parameters
    ----------
    result : PrivilegedResult

    Returns
    -------
    matplotlib.figure.Figure
        Bars are standard deviations over repetitions, as in the paper.
    """
    rows = result.comparisons
    with panel((SIZE[0], 1.5 + 0.95 * len(rows))) as (figure, axes):
        for shift, model, colour, marker in (
            (-0.12, "teacher", GREY, "^"), (0.14, "plain", ORANGE, "o"),
            (0.4, "distilled", BLUE, "s"),
        ):  # fmt: skip
            places = np.arange(len(rows)) + shift
            ours = np.array([(getattr(row, model).mean, getattr(row, model).sd) for row in rows])
            theirs = np.array([getattr(row.published, model) for row in rows])
            axes.errorbar(ours[:, 0], places, xerr=ours[:, 1], fmt=marker,
                          color=colour, markerfacecolor="white", markersize=6, linewidth=2.2,
                          markeredgewidth=1.6, label=f"{model}, here")  # fmt: skip
            axes.errorbar(theirs[:, 0], places + 0.1, xerr=theirs[:, 1], fmt="*", color="black",
                          ecolor=colour, markersize=6.5, linewidth=1,
                          label="published" if model == "distilled" else None)  # fmt: skip
        for place, row in enumerate(rows):
            axes.annotate(f"{row.experiment}: {row.name}", (0, place - 0.34), fontsize=10,
                          xycoords=("axes fraction", "data"), va="center",
                          bbox={"fc": "white", "ec": "none", "pad": 0.5})  # fmt: skip
        axes.set_ylim(len(rows) - 0.36, -0.55)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("test accuracy")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2,
                      columnspacing=1.2, handletextpad=0.5)  # fmt: skip
    return figure


def residuals_against_fitted(
    fitted: ArrayLike, residuals: ArrayLike, counts: ArrayLike | None = None
) -> Figure:
    """Residuals of a regression against its fitted values: a point each, or cells that count them.

    Parameters
    ----------
    fitted, residuals : (m,) array_like
        Of each object; with `counts`, the edges of the cells, of shapes (a + 1,) and (b + 1,).
    counts : (a, b) array_like, optional
        How many objects lie in each cell.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `counts` does not fit the edges, or a number is not finite.
    """
    x = check_real_array("fitted", fitted, ndim=1)
    y = check_real_array("residuals", residuals, ndim=1)
    with panel() as (figure, axes):
        if counts is None:
            check_lengths_agree(fitted=x, residuals=y)
            axes.scatter(x, y, s=9, alpha=0.35, color=BLUE, linewidths=0, rasterized=True)
        else:
            numbers = check_matrix("counts", counts, shape=(len(x) - 1, len(y) - 1))
            cells = axes.pcolormesh(
                x, y, np.ma.masked_equal(numbers, 0).T, cmap="cividis_r",
                norm=LogNorm(1, max(numbers.max(), 10)), rasterized=True,
            )  # fmt: skip
            bar = figure.colorbar(cells, ax=axes)
            bar.set_label("objects in a cell")
            bar.outline.set_visible(False)
        axes.axhline(0, color="black", linewidth=1.2)
        axes.set_xlabel("fitted value")
        axes.set_ylabel("label minus fitted value")
    return figure


def confusion_matrix(counts: ArrayLike, classes: Sequence[str]) -> Figure:
    """Numbers of objects by their class and by the class that is predicted.

    Parameters
    ----------
    counts : (K, K) array_like
        Rows are the true classes, columns those predicted.
    classes : sequence of str
        Names of the K classes.

    Returns
    -------
    matplotlib.figure.Figure
        Coloured by the share of the true class; up to ten classes have their numbers written,
        up to thirty their names.

    Raises
    ------
    ValueError
        If `counts` is not of shape (K, K) or not finite.
    """
    K = len(classes)
    table = check_matrix("counts", counts, shape=(K, K))
    totals = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
    with panel((4.8, 4.2)) as (figure, axes):
        heat = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
        figure.colorbar(heat, ax=axes, label="share of the class", shrink=0.8)
        axes.grid(visible=False)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("class")
        if K <= 30:
            # a dollar sign in a name is not mathematics
            axes.set_xticks(range(K), classes, rotation=90, parse_math=False)
            axes.set_yticks(range(K), classes, parse_math=False)
        if K <= 10:
            for (i, j), share in np.ndenumerate(shares):
                colour = "black" if share > 0.5 else "white"
                axes.text(j, i, f"{table[i, j]:g}", ha="center", va="center", color=colour)
    return figure


def to_svg(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Write a figure as an SVG element for a page: accessible, scalable, the same bytes each time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        Prefix of every identifier in it, so that several figures can share a page.
    title, description : str
        Alternative text. A character that XML does not allow becomes U+FFFD.

    Returns
    -------
    str
        ``<svg …>…</svg>`` with role "img", without size, prolog, metadata or network addresses
        other than the names of XML namespaces.

    Raises
    ------
    ValueError
        If `name` is not made of letters, digits, "-" and "_".
    """
    if not re.fullmatch(r"[\w-]+", name, flags=re.ASCII):
        msg = f"`name` must be made of letters, digits, '-' and '_', got {name!r}"
        raise ValueError(msg)
    stream = StringIO()
    unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with house_style(**{"svg.hashsalt": name}), warnings.catch_warnings():
        # a letter that the font lacks is a box in the figure, and no matter for a warning
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(stream, format="svg", metadata=unsaid, dpi=DPI)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].rstrip()
    svg = re.sub(r'(\sid="|\shref="#|xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    head, body = svg.split(">", 1)
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", head)
    head += f' role="img" aria-labelledby="{name}-title {name}-desc"'
    label = f'<title id="{name}-title">{escape(_of_xml(title))}</title>'
    label += f'<desc id="{name}-desc">{escape(_of_xml(description))}</desc>'
    return f"{head}>\n{label}{body}"


def _plate_diagram(
    nodes: Mapping[str, tuple[str, str, tuple[float, float], str]],
    edges: Iterable[Sequence[str]],
    plates: Mapping[str, tuple[float, float, float, float]],
    *,
    height: float,
) -> Figure:
    """Nodes (symbol, word, place, kind), edges and plates on a grid of 2 cm."""
    import daft
    from matplotlib import pyplot as plt  # by which daft draws; the other figures do without

    with house_style():
        width = SIZE[0] * 2.54 / 2
        model = daft.PGM(
            shape=(width, height), origin=(0, 0), node_unit=1.45, aspect=1.5, node_ec=GREY,
            line_width=1.2,
        )  # fmt: skip
        for words, place in plates.items():
            style = {"ec": "black", "fc": "none", "joinstyle": "round"}
            model.add_plate(place, words, label_offset=(6, 5), fontsize=10.5, rect_params=style)
        for name, (_, _, (x, y), kind) in nodes.items():
            shade = {"fc": "white" if kind == "sought" else "#d8e6f2"}
            if kind == "function":  # the outer of two rings: edges end there
                model.add_node(name, x=x, y=y, scale=1.12, plot_params=shade)
                name = f"{name}, inner"
            model.add_node(name, x=x, y=y, plot_params=shade)
        for one, other in edges:
            model.add_edge(one, other, plot_params={"head_length": 0.2, "head_width": 0.16})
        axes = model.render()
        for symbol, word, (x, y), _ in nodes.values():
            for text, size, rise in ((symbol, 15, 5.5), (word, 10, -9)):
                axes.annotate(text, (2 * x, 2 * y), (0, rise), textcoords="offset points",
                              ha="center", va="center", fontsize=size)  # fmt: skip
        figure: Figure = model.figure
        plt.close(figure)  # pyplot would keep it, and show it in a notebook
    return figure


def _distributions(rows: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    """Points of the simplex under each name, all of the shape of the first."""
    points: dict[str, NDArray[np.float64]] = {}
    shape = None
    for name, probs in rows.items():
        points[name] = check_simplex_points(name, check_matrix(name, probs, shape=shape))
        shape = points[name].shape
    return points


def _draw_simplex(axes: Axes, vertices: Sequence[str]) -> None:
    """Draw the outline with the names of its corners; room for a legend at the upper left."""
    axes.plot(*CORNERS[[0, 1, 2, 0]].T, color="black", linewidth=1)
    places = ((0, -7, "top"), (0, -7, "top"), (0, 7, "bottom"))
    for corner, name, (dx, dy, va) in zip(CORNERS, vertices, places, strict=True):
        axes.annotate(name, corner, (dx, dy), textcoords="offset points", ha="center", va=va,
                      fontweight="bold")  # fmt: skip
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_xlim(-0.16, 1.16)
    axes.set_ylim(-0.1, 0.96)


def _grid(n: int) -> NDArray[np.float64]:
    """Points (i, j, n − i − j)/n of the simplex."""
    i, j = np.triu_indices(n + 1)
    points: NDArray[np.float64] = np.column_stack([i, j - i, n - j]) / n
    return points


def _spread_out(n: int) -> NDArray[np.float64]:
    """Numbers n in [0, 1) that fill it evenly: multiples of the golden ratio, modulo 1."""
    fractions: NDArray[np.float64] = (np.arange(n) * (np.sqrt(5) - 1) / 2) % 1.0
    return fractions


def _of_xml(text: str) -> str:
    """The text with U+FFFD for each character that XML 1.0 does not allow."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
