r"""Results of the neural experiments as figures: one function, one picture, no state of its own.

Each function takes parts of a result as JSON has it: ``{"mean": ..., "low": ..., "high": ...}`` are
numbers or lists with their 95 % intervals over seeds, None where a number is not finite. It returns
a `matplotlib.figure.Figure`, wide enough for a phone, that `kdtheory.plotting.to_svg` writes.

notation: λ = trust of GS, T = temperature
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from kdtheory.plotting import (
    BLUE,
    CLASS_COLOURS,
    GREEN,
    GREY,
    ORANGE,
    SIZE,
    house_style,
    log_ticks,
    panel,
)

__all__ = [
    "accuracy_by_labels",
    "domain_curves",
    "domain_pictures",
    "learning_curves",
    "phase_diagram",
    "reliability",
    "students_by_link",
]

Document = Mapping[str, Any]
STUDENTS = {  # colour, dashes and name of each
    "without": (ORANGE, "-", "without teacher"),
    "with": (BLUE, "-", "with teacher"),
    "exact": (GREEN, (0, (5, 2)), "with exact term"),
    "printed": (GREY, (0, (2, 1.5)), "with printed term"),
}
SAMPLES = {
    "train": "training objects",
    "validation": "validation objects",
    "test": "test objects, shown only: nothing was chosen on them",
}
INTERVAL = ("mean", "low", "high")
ANSWERED = {"all": "teacher on all objects", "labelled": "teacher on the labelled"}
COLOURS = (ORANGE, BLUE, GREEN, CLASS_COLOURS[2], GREY)  # of lines that have no look of their own
DASHES = ("-", "-", (0, (5, 2)), (0, (2, 1.5)), (0, (5, 2, 1, 2)))
MARKERS = ("o", "s", "^", "D", "v")
MARKS = {"better": "^", "undecided": ".", "worse": "x"}
AS_IT_IS = {"text.parse_math": False}  # names in a document are no formulas
# orange harms, blue helps, as everywhere in these figures; white is no change
HELP = LinearSegmentedColormap.from_list("help", [BLUE, "white", ORANGE])
TAIL = 0.95  # of the changes fit into the scale of colours; the others take the colour of its end
FAINT = 0.05  # of the end of the scale: below it colours grow linearly, above by the logarithm


def learning_curves(
    curves: Sequence[Document],
    *,
    measure: str = "cross_entropy",
    samples: Sequence[str] = ("train", "test"),
    apart: Collection[str] = (),
) -> Figure:
    """Cross-entropy or accuracy by epoch, with bands: a panel for each sample.

    Parameters
    ----------
    curves : sequence of mapping
        With the keys "student", "epoch" and ``f"{sample}_{measure}"``.
    measure : {"cross_entropy", "accuracy"}, default "cross_entropy"
    samples : sequence of {"train", "validation", "test"}
    apart : collection of str
        Students with a panel of their own below that of the others, as their scale is another.

    Returns
    -------
    matplotlib.figure.Figure
        Epochs are on a logarithmic axis: the fall of the first and the drift of the last are seen.
    """
    together = [curve for curve in curves if curve["student"] not in apart]
    others = [curve for curve in curves if curve["student"] in apart]
    groups = [(sample, group) for sample in samples for group in (together, others) if group]
    heights = [1.6 if group is others else 2.5 for _, group in groups]
    with house_style():
        figure = Figure(figsize=(SIZE[0], 0.8 + sum(heights)), layout="constrained")
        panels = figure.subplots(len(groups), sharex=True, squeeze=False, height_ratios=heights)
        panels = panels[:, 0]
        handles: dict[object, Line2D] = {}
        for axes, (sample, group) in zip(panels, groups, strict=True):
            lows, tops = [], []
            for curve in group:
                colour, dashes, words = STUDENTS[curve["student"]]
                epoch, found = _real(curve["epoch"]), curve[f"{sample}_{measure}"]
                mean, _, _ = _band(axes, epoch, found, colour=colour, dashes=dashes, label=words)
                lows.append(np.nanmin(mean, initial=np.inf))
                tops.append(np.nanmax(mean[epoch >= _early(epoch)], initial=-np.inf))
            if measure == "cross_entropy":
                _limit(axes, min(lows), max(tops))
            axes.set_title(SAMPLES[sample], loc="left", fontsize=10)
            handles |= {one.get_label(): one for one in axes.get_lines()}
            axes.set_ylabel({"cross_entropy": "cross-entropy, nats"}.get(measure, measure))
        panels[-1].set_xscale("log")
        log_ticks(panels[-1].xaxis)
        panels[-1].set_xlabel("epoch")
        figure.legend(handles=[*handles.values()], loc="outside upper center", ncols=2)
    return figure


def reliability(rows: Sequence[Document]) -> Figure:
    """Accuracy against confidence of the students, above the distribution of their confidence.

    Parameters
    ----------
    rows : sequence of mapping
        With the keys "student", "rule", and "confidence", "accuracy", "share" of each group. The
        prediction rule "mean" is drawn with hollow marks.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with house_style():
        figure = Figure(figsize=(SIZE[0], 5.4), layout="constrained")
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(2.6, 1))
        upper.plot([0, 1], [0, 1], color="black", linewidth=1.2)
        upper.annotate("calibrated", (0.3, 0.3), (0, 6), textcoords="offset points", ha="center",
                       rotation=38, rotation_mode="anchor")  # fmt: skip
        for row in rows:
            colour, dashes, words = STUDENTS[row["student"]]
            fill = "white" if row["rule"] == "mean" else colour
            x, y, share = (_real(row[key]) for key in ("confidence", "accuracy", "share"))
            below = np.cumsum(share)
            label = f"{words}, {row['rule']}"
            for axes, heights in ((upper, y), (lower, below)):
                axes.plot(x, heights, color=colour, linestyle=dashes, marker="o", markersize=4.5,
                          markerfacecolor=fill, linewidth=1.6, label=label)  # fmt: skip
        upper.set_ylim(0, 1.02)
        lower.set_xlim(0, 1.02)
        lower.set_ylim(0, 1.02)
        upper.set_ylabel("accuracy")
        lower.set_ylabel("share at most\nso confident")
        lower.set_xlabel("confidence, the greatest probability")
        handles, labels = upper.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def phase_diagram(phase: Document, *, measure: str = "cross_entropy") -> Figure:
    """Where a teacher helps, does nothing, or harms, over trust, temperature and number of labels.

    Parameters
    ----------
    phase : mapping
        With the keys "sizes", "trusts", "temperatures" and "cells"; each cell has "n_labels",
        "answered", "trust", "temperature" and ``f"{measure}_change"``, the change by the teacher
        with its verdict.
    measure : {"cross_entropy", "accuracy"}, default "cross_entropy"

    Returns
    -------
    matplotlib.figure.Figure
        A row of panels for each temperature, a column for each set of objects that the teacher
        answers on. Blue helps and orange harms; ▲ marks "better", × "worse", a dot "undecided".
        Where every object is labelled both columns show the same cells.
    """
    sizes, trusts = (np.unique(_real(phase[key])) for key in ("sizes", "trusts"))
    temperatures = np.unique(_real(phase["temperatures"]))
    key = f"{measure}_change"
    changes = np.abs(_real([cell[key]["change"] for cell in phase["cells"]]))
    seen = changes[np.isfinite(changes)]
    end = float(np.quantile(seen, TAIL)) if seen.any() else 1.0
    end = end or float(seen.max())  # nearly all without a change
    norm = SymLogNorm(FAINT * end, vmin=-end, vmax=end)
    colours = HELP if measure == "cross_entropy" else HELP.reversed()
    with house_style(**{"axes.grid": False}):
        height = 1.9 + 1.45 * len(temperatures)
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        grid = figure.subplots(
            len(temperatures), len(ANSWERED), sharex=True, sharey=True, squeeze=False
        )
        for (row, column), axes in np.ndenumerate(grid):
            kind = list(ANSWERED)[column]
            values = np.full((len(trusts), len(sizes)), np.nan)
            for cell in _answered(phase["cells"], kind):
                if cell["temperature"] == temperatures[row]:
                    place = _place(trusts, cell["trust"]), _place(sizes, cell["n_labels"])
                    values[place] = _real(cell[key]["change"])
                    _mark(axes, sizes[place[1]], place[0], cell[key]["verdict"])
            heat = axes.pcolormesh(
                _edges(sizes), np.arange(len(trusts) + 1) - 0.5, np.ma.masked_invalid(values),
                cmap=colours, norm=norm, edgecolors="white", linewidth=0.4,
            )  # fmt: skip
            axes.set_facecolor("#e6e8eb")  # not tried
            axes.set_yticks(range(len(trusts)), [f"{trust:g}" for trust in trusts], fontsize=9)
            if row == 0:
                axes.set_title(ANSWERED[kind], fontsize=10)
            if column == 0:
                axes.set_ylabel(f"T = {temperatures[row]:g}\ntrust λ", fontsize=10)
        for axes in grid[-1]:
            _size_axis(axes, sizes, fontsize=9)
            axes.set_xlabel("labelled objects", fontsize=10)
        # the marks stand in a legend, drawn by points that are nowhere
        handles = [
            axes.plot([], [], marker, color="black", linestyle="", markersize=5, label=verdict)[0]
            for verdict, marker in MARKS.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3, handletextpad=0.2)
        bar = figure.colorbar(
            heat, ax=grid, orientation="horizontal", shrink=0.9, aspect=32,
            extend="both" if seen.size and seen.max() > end else "neither",
        )  # fmt: skip
        ticks = [-end, -end / 10, 0, end / 10, end]
        bar.set_ticks(ticks, labels=[_signed(tick) for tick in ticks])
        bar.ax.xaxis.set_minor_locator(NullLocator())
        unit = "cross-entropy, nats" if measure == "cross_entropy" else "accuracy"
        bar.set_label(f"change by the teacher: {unit}")
        bar.outline.set_visible(False)
    return figure


def accuracy_by_labels(phase: Document, *, teacher: float | None = None) -> Figure:
    """Accuracy against the number of labelled objects, without and with the teacher.

    Parameters
    ----------
    phase : mapping
        As of `phase_diagram`, with "baselines", the students without a teacher. Of the cells those
        are drawn that are "chosen": by the validation objects, at each number of labels.
    teacher : float, optional
        Accuracy of the teacher, drawn as a line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with panel() as (figure, axes):
        chosen = [cell for cell in phase["cells"] if cell["chosen"]]
        lines: tuple[tuple[str, str, Any, Sequence[Document]], ...] = (
            ("without teacher", ORANGE, "-", phase["baselines"]),
            (ANSWERED["all"], BLUE, "-", _answered(chosen, "all")),
            (ANSWERED["labelled"], BLUE, (0, (5, 2)), _answered(chosen, "labelled")),
        )
        for label, colour, dashes, cells in lines:
            rows = sorted(cells, key=lambda cell: float(cell["n_labels"]))
            found = {key: [row["accuracy"][key] for row in rows] for key in INTERVAL}
            sizes = _real([row["n_labels"] for row in rows])
            _band(axes, sizes, found, colour=colour, dashes=dashes, label=label, marker="o")
        if teacher is not None:
            axes.axhline(teacher, color=GREY, linewidth=1.4, linestyle=(0, (2, 1.5)),
                         label="the teacher itself")  # fmt: skip
        _size_axis(axes, np.unique(_real([row["n_labels"] for row in phase["baselines"]])))
        axes.set_xlabel("labelled objects")
        axes.set_ylabel("accuracy on the test objects")
        _limit_shares(axes)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def domain_curves(base: Document) -> Figure:
    """Accuracy and cross-entropy on the test objects by epoch of each student of MD's experiment.

    Parameters
    ----------
    base : mapping
        With "epochs" and "curves"; each curve has "student", "test_accuracy" and
        "test_cross_entropy".

    Returns
    -------
    matplotlib.figure.Figure
    """
    with house_style(**AS_IT_IS):
        figure = Figure(figsize=(SIZE[0], 6.2), layout="constrained")
        panels = figure.subplots(2, sharex=True)
        epochs = _real(base["epochs"])
        measures = (("accuracy", "accuracy"), ("cross_entropy", "cross-entropy, nats"))
        for axes, (measure, words) in zip(panels, measures, strict=True):
            ends = []
            for number, curve in enumerate(base["curves"]):
                mean, low, high = _band(
                    axes, epochs, curve[f"test_{measure}"], colour=COLOURS[number % len(COLOURS)],
                    dashes=DASHES[number % len(DASHES)], label=curve["student"],
                )  # fmt: skip
                late = epochs >= _early(epochs)
                ends += [*low[late], *high[late], *mean[late]]
            seen = [end for end in ends if np.isfinite(end)]
            _limit(axes, min(seen, default=0.0), max(seen, default=0.0))
            axes.set_ylabel(words)
        panels[0].set_title(SAMPLES["test"], loc="left", fontsize=10)
        panels[1].set_xlabel("epoch")
        panels[1].xaxis.set_major_locator(MaxNLocator(integer=True))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def students_by_link(pair: Document, *, measure: str = "accuracy") -> Figure:
    """Students of a target domain against MD's λ: a panel for each loss, a line for each link.

    Parameters
    ----------
    pair : mapping
        With "links"; each link has "link", "teacher_through_link" and "rows" of students with
        "loss", "md_lambda" and the measure as an interval. At λ = 1 there is no teacher.
    measure : {"accuracy", "cross_entropy"}, default "accuracy"

    Returns
    -------
    matplotlib.figure.Figure
        The line across is the student of the target domain alone; dashed lines across are the
        teacher itself on the linked pictures.
    """
    losses = list(
        dict.fromkeys(
            row["loss"]
            for link in pair["links"]
            for row in link["rows"]
            if row["loss"] in ("cross-entropy", "squares")
        )
    )
    with house_style(**AS_IT_IS):
        figure = Figure(figsize=(SIZE[0], 1.1 + 2.5 * len(losses)), layout="constrained")
        panels = figure.subplots(len(losses), sharex=True, squeeze=False)[:, 0]
        for axes, loss in zip(panels, losses, strict=True):
            for number, link in enumerate(pair["links"]):
                colour = COLOURS[number % len(COLOURS)]
                rows = sorted(
                    (
                        row
                        for row in link["rows"]
                        if row["loss"] == loss and not isinstance(row["md_lambda"], str)
                    ),
                    key=lambda row: float(row["md_lambda"]),
                )
                found = {key: [row[measure][key] for row in rows] for key in INTERVAL}
                places = _real([row["md_lambda"] for row in rows])
                _band(axes, places, found, colour=colour, dashes="-", label=link["link"],
                      marker=MARKERS[number % len(MARKERS)])  # fmt: skip
                through = _real(link["teacher_through_link"][measure]["mean"])
                axes.axhline(float(through), color=colour, linewidth=1.3, linestyle=(0, (2, 1.5)))
                if number == 0:
                    alone = _real([row[measure]["mean"] for row in rows if row["md_lambda"] == 1])
                    for level in alone:
                        axes.axhline(level, color="black", linewidth=1.2, zorder=1)
            if measure == "accuracy":
                _limit_shares(axes)
            axes.set_title(f"loss: {loss}", loc="left", fontsize=10)
            axes.set_ylabel("cross-entropy, nats" if measure == "cross_entropy" else measure)
        panels[-1].set_xlabel("MD’s λ, the weight of the labels (1: no teacher)")
        handles, labels = panels[0].get_legend_handles_labels()
        for words, colour, dashes in (
            ("target alone", "black", "-"), ("teacher through link", GREY, (0, (2, 1.5))),
        ):  # fmt: skip
            handles += panels[0].plot([], [], color=colour, linestyle=dashes, linewidth=1.3)
            labels.append(words)
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def domain_pictures(examples: Sequence[Document]) -> Figure:
    """The same objects as each domain shows them, a row for each domain.

    Parameters
    ----------
    examples : sequence of mapping
        With "domain" and "pictures", numbers (m, h, w) from 0, black, to 255.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n = max(len(row["pictures"]) for row in examples)
    with house_style(**AS_IT_IS, **{"axes.grid": False}):
        size = SIZE[0], 0.2 + (SIZE[0] - 0.9) / n * 0.72 * len(examples)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(examples), n, squeeze=False)
        for line, row in zip(grid, examples, strict=True):
            for axes in line:
                axes.set_axis_off()
            for axes, picture in zip(line, row["pictures"], strict=False):
                axes.imshow(_real(picture), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            line[0].text(-0.12, 0.5, row["domain"], transform=line[0].transAxes, ha="right",
                         va="center")  # fmt: skip
    return figure


def _band(
    axes: Axes,
    x: NDArray[np.float64],
    found: Document,
    *,
    colour: str,
    dashes: Any,
    label: str,
    marker: str | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A line of means within a band of their intervals."""
    mean, low, high = (_real(found[key]) for key in INTERVAL)
    axes.fill_between(x, low, high, color=colour, alpha=0.22, linewidth=0)
    axes.plot(x, mean, color=colour, linestyle=dashes, linewidth=1.8, label=label, marker=marker,
              markersize=4.5, markerfacecolor="white")  # fmt: skip
    return mean, low, high


def _real(values: ArrayLike) -> NDArray[np.float64]:
    """Numbers of JSON as an array, NaN for None."""
    return np.array(values, dtype=np.float64)


def _early(epoch: NDArray[np.float64]) -> float:
    """An epoch by which the first fall is over: later ones settle the scale."""
    return float(min(3.0, epoch.max(initial=1.0)))


def _limit(axes: Axes, low: float, top: float) -> None:
    """Vertical limits around what is seen after the first fall."""
    if np.isfinite([low, top]).all() and top > low:
        axes.set_ylim(low - 0.08 * (top - low), top + 0.08 * (top - low))


def _limit_shares(axes: Axes) -> None:
    """Cut off what an interval of a few seeds says beyond 0 and 1."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0.0), min(high, 1.0))


def _answered(cells: Sequence[Document], kind: str) -> list[Document]:
    """Cells of one kind of answers; where all objects are labelled the kinds are one."""
    if not cells:
        return []
    largest = max(cell["n_labels"] for cell in cells)
    at_largest = {cell["answered"] for cell in cells if cell["n_labels"] == largest}
    return [
        cell
        for cell in cells
        if cell["answered"] == kind or (cell["n_labels"] == largest and kind not in at_largest)
    ]


def _size_axis(axes: Axes, sizes: NDArray[np.float64], fontsize: float = 11) -> None:
    """A logarithmic axis of numbers of objects."""
    told = _told(sizes)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(told))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([_thousands(size) for size in told], fontsize=fontsize)


def _edges(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of cells around sizes on a logarithmic axis, half-way between neighbours."""
    logs = np.log(sizes)
    middles = (logs[1:] + logs[:-1]) / 2
    first = middles[0] - logs[0] if len(middles) else 0.5
    last = logs[-1] - middles[-1] if len(middles) else 0.5
    edges: NDArray[np.float64] = np.exp(np.r_[logs[0] - first, middles, logs[-1] + last])
    return edges


def _told(sizes: NDArray[np.float64]) -> list[float]:
    """Those sizes whose labels do not run into one another: a fifth of the axis apart."""
    apart = (sizes[-1] / sizes[0]) ** 0.2
    chosen: list[float] = []
    for size in sizes[::-1]:
        if not chosen or size <= chosen[-1] / apart:
            chosen.append(float(size))
    return chosen[::-1]


def _thousands(size: float) -> str:
    return f"{size / 1000:g}k" if size >= 1000 else f"{size:g}"


def _signed(value: float) -> str:
    return f"{value:+.1g}".replace("-", "−") if value else "0"


def _place(values: NDArray[np.float64], value: float) -> int:
    return int(np.argmin(np.abs(values - value)))


def _mark(axes: Axes, x: float, y: float, verdict: str) -> None:
    axes.plot([x], [y], MARKS[verdict], color="black", markersize=3.6, markeredgewidth=0.9)
