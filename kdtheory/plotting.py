r"""Results as figures: one function, one picture, no state of its own.

Each function takes a result and returns a `matplotlib.figure.Figure` of one panel, wide enough
for a phone. `to_svg` writes it as an accessible SVG element, the same bytes each time.

notation: g = softmax probabilities, μ = exact mean, s = point of the simplex
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from xml.sax.saxutils import escape

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.tri import Triangulation
from numpy.typing import ArrayLike, NDArray

from kdtheory._checks import check_lengths_agree, check_matrix, check_real_array
from kdtheory.continuous_categorical import ContinuousCategorical
from kdtheory.experiments.diabetes import DiabetesResult, PathErrors
from kdtheory.experiments.digits import DigitsResult
from kdtheory.experiments.synthetic import PUBLISHED, SyntheticResult
from kdtheory.softening import soften

__all__ = [
    "blended_targets",
    "class_marginals",
    "class_probabilities",
    "coefficient_intervals",
    "cross_entropy_against_accuracy",
    "error_against_trust",
    "errors_along_trust",
    "mass_by_confidence",
    "mean_against_softmax",
    "residuals_against_fitted",
    "simplex_density",
    "to_svg",
]

# Okabe and Ito's colours, told apart by colour-blind readers
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6f76"
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
def _house_style(**more: object) -> Iterator[None]:
    """Put on the house style whatever the caller's settings are, which come back afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE | more)
        yield


@contextmanager
def _panel(size: tuple[float, float] = SIZE) -> Iterator[tuple[Figure, Axes]]:
    """Make a figure with one pair of axes."""
    with _house_style():
        figure = Figure(figsize=size, layout="constrained")
        yield figure, figure.add_subplot()


def mass_by_confidence(result: DigitsResult) -> Figure:
    """Total mass of the printed density of GS Theorem 1 against the student's confidence.

    Parameters
    ----------
    result : DigitsResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with _panel() as (figure, axes):
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
        _opaque_legend(axes, loc="lower left", markerscale=2)
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
    with _panel((4.8, 4.2)) as (figure, axes):
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
        _opaque_legend(axes, loc="upper left")
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
    with _panel() as (figure, axes):
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
        _opaque_legend(axes, loc="upper left", markerscale=2)
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
    with _panel() as (figure, axes):
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
        _opaque_legend(axes, loc="lower left")
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
    with _panel() as (figure, axes):
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
        _opaque_legend(axes, loc="upper center", ncols=2)
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
    with _panel() as (figure, axes):
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
        _opaque_legend(axes, loc="lower right")
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
    with _panel() as (figure, axes):
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
        _opaque_legend(axes, loc="upper left")
    return figure


def class_probabilities(result: SyntheticResult) -> Figure:
    """Show the true class probabilities of the objects of the first draw, in the simplex.

    Parameters
    ----------
    result : SyntheticResult
        Of three classes.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with _panel() as (figure, axes):
        _draw_simplex(axes, ["class 1", "class 2", "class 3"])
        x, y = (result.class_probs @ CORNERS).T
        axes.scatter(x, y, s=9, color=BLUE, alpha=0.35, linewidths=0,
                     rasterized=True, clip_on=False, label="an object")  # fmt: skip
        axes.plot(*(result.marginals[0] @ CORNERS), "D", color=ORANGE, markersize=7,
                  markeredgecolor="white", label="their mean")  # fmt: skip
        _opaque_legend(axes, loc="upper left")
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
    with _panel() as (figure, axes):
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
        _opaque_legend(axes, loc="lower center")
    return figure


def cross_entropy_against_accuracy(result: SyntheticResult) -> Figure:
    """Cross-entropy and accuracy of the true probabilities beside the published rows.

    Parameters
    ----------
    result : SyntheticResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    with _panel() as (figure, axes):
        axes.scatter(
            result.test_accuracy, result.test_cross_entropy, s=10, color=BLUE, alpha=0.35,
            linewidths=0, rasterized=True,
            label=f"true probabilities,\n{result.n_test} objects, one W each",
        )  # fmt: skip
        axes.plot([result.accuracy.mean], [result.cross_entropy.mean], "o", color="white",
                  markeredgecolor="black", markeredgewidth=1.8, markersize=8, linestyle="",
                  label="Bayes values, mean over W")  # fmt: skip
        halo = [withStroke(linewidth=3, foreground="white")]
        for row, dy in zip(PUBLISHED, (-15, 9), strict=True):
            axes.plot([row.accuracy], [row.cross_entropy], "*", color=ORANGE, markersize=14,
                      markeredgecolor="white", markeredgewidth=0.8)  # fmt: skip
            axes.annotate(f"published, {row.model}", (row.accuracy, row.cross_entropy), (0, dy),
                          textcoords="offset points", ha="center", color="#9c4300",
                          fontweight="bold", fontsize=10, path_effects=halo)  # fmt: skip
        axes.set_ylim(0.1, None)
        axes.set_xlabel("accuracy")
        axes.set_ylabel("cross-entropy, nats")
        _opaque_legend(axes, loc="upper right")
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
    with _panel() as (figure, axes):
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
    with _house_style(**{"svg.hashsalt": name}):
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


def _opaque_legend(axes: Axes, **options: object) -> None:
    """Add a legend whose marks are seen, though those of a cloud are faint."""
    legend = axes.legend(handletextpad=0.5, **options)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


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
