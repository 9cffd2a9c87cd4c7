"""Figures of the neural experiments hold their numbers, and read without colour."""

from copy import deepcopy
from xml.etree import ElementTree as ET

import made_up_results
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from numpy.testing import assert_allclose, assert_array_equal

from kdtheory import neural_page, plotting, plotting_neural

FASHION = made_up_results.fashion_mnist()["result"]
DOMAINS = made_up_results.domains()["result"]
PHASE = FASHION["phase"]
FIGURES = {
    "curves": lambda: plotting_neural.learning_curves(FASHION["curves"]),
    "accuracy": lambda: plotting_neural.learning_curves(
        FASHION["curves"], measure="accuracy", samples=["test"]
    ),
    "reliability": lambda: plotting_neural.reliability(FASHION["calibration"]),
    "phase": lambda: plotting_neural.phase_diagram(PHASE),
    "phase-accuracy": lambda: plotting_neural.phase_diagram(PHASE, measure="accuracy"),
    "labels": lambda: plotting_neural.accuracy_by_labels(PHASE, teacher=0.88),
    "domain-curves": lambda: plotting_neural.domain_curves(DOMAINS["base"]),
    "links": lambda: plotting_neural.students_by_link(DOMAINS["pairs"][0]),
    "links-loss": lambda: plotting_neural.students_by_link(
        DOMAINS["pairs"][0], measure="cross_entropy"
    ),
    "pictures": lambda: plotting_neural.domain_pictures(DOMAINS["examples"]),
}
WHITE = (1.0, 1.0, 1.0)


def panels(figure):
    """The axes without those of a colour bar."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def line(axes, label):
    (found,) = [one for one in axes.get_lines() if one.get_label() == label]
    return found


def changed_phase(change):
    phase = deepcopy(PHASE)
    for cell in phase["cells"]:
        change(cell)
    return phase


def mesh(axes):
    (found,) = [one for one in axes.collections if isinstance(one, QuadMesh)]
    return found


def marks(axes):
    """Places of the marks in a panel of the phase diagram, by what they mean."""
    words = {marker: verdict for verdict, marker in plotting_neural.MARKS.items()}
    return {
        (float(one.get_xdata()[0]), int(one.get_ydata()[0])): words[one.get_marker()]
        for one in axes.get_lines()
        if len(one.get_xdata())
    }


# --- every figure


@pytest.mark.parametrize("name", FIGURES)
def test_figure_becomes_the_same_accessible_svg_each_time(name):
    first, second = (
        plotting.to_svg(FIGURES[name](), name=name, title="T", description="D") for _ in range(2)
    )
    assert first == second
    assert ET.fromstring(first).get("role") == "img"


@pytest.mark.parametrize("name", FIGURES)
def test_axes_are_labelled_and_the_figure_is_as_wide_as_a_phone_needs(name):
    figure = FIGURES[name]()
    assert figure.get_figwidth() == plotting.SIZE[0]
    shown = [axes for axes in panels(figure) if axes.axison]
    if name != "pictures":
        assert any(axes.get_xlabel() for axes in shown)
        assert shown[0].get_ylabel()


# --- curves


def test_curves_hold_the_means_and_their_bands():
    upper, lower = plotting_neural.learning_curves(FASHION["curves"]).axes
    for axes, sample in ((upper, "train"), (lower, "test")):
        for curve, band in zip(FASHION["curves"], axes.collections, strict=True):
            found = curve[f"{sample}_cross_entropy"]
            drawn = line(axes, plotting_neural.STUDENTS[curve["student"]][2])
            assert_array_equal(drawn.get_xdata(), curve["epoch"])
            assert_array_equal(drawn.get_ydata(), found["mean"])
            heights = band.get_paths()[0].vertices[:, 1]
            assert_allclose([heights.min(), heights.max()], [min(found["low"]), max(found["high"])])


def test_test_curves_say_that_nothing_was_chosen_on_them():
    upper, lower = plotting_neural.learning_curves(FASHION["curves"]).axes
    assert "nothing was chosen on them" in lower.get_title(loc="left")
    assert "chosen" not in upper.get_title(loc="left")
    above = plotting_neural.domain_curves(DOMAINS["base"]).axes[0]
    assert "nothing was chosen on them" in above.get_title(loc="left")


def test_scale_is_settled_after_the_first_fall():
    upper, _ = plotting_neural.learning_curves(FASHION["curves"][:2]).axes
    means = [curve["train_cross_entropy"]["mean"] for curve in FASHION["curves"][:2]]
    low, high = upper.get_ylim()
    assert low < np.min(means)
    assert np.max(np.array(means)[:, 2:]) < high < np.max(means)


def test_student_that_is_set_apart_leaves_the_scale_to_the_others():
    curves = FASHION["curves"]
    alone = plotting_neural.learning_curves(curves[:3])
    figure = plotting_neural.learning_curves(curves, apart=("printed",))
    for place, axes in enumerate(alone.axes):
        assert figure.axes[2 * place].get_ylim() == axes.get_ylim()
        below = figure.axes[2 * place + 1]
        sample = ("train", "test")[place]
        drawn = line(below, "with printed term").get_ydata()
        assert_array_equal(drawn, curves[3][f"{sample}_cross_entropy"]["mean"])
        assert len(below.get_lines()) == 1
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert names == {words for _, _, words in plotting_neural.STUDENTS.values()}


def test_names_of_students_are_those_of_the_tables():
    names = {student: words for student, (_, _, words) in plotting_neural.STUDENTS.items()}
    assert names == neural_page.STUDENTS


def test_number_that_is_none_is_a_gap():
    curves = deepcopy(FASHION["curves"][:1])
    curves[0]["test_cross_entropy"]["mean"][5] = None
    drawn = line(plotting_neural.learning_curves(curves).axes[1], "without teacher")
    assert np.flatnonzero(np.isnan(drawn.get_ydata())).tolist() == [5]


def test_domain_curves_hold_every_student():
    for axes, measure in zip(
        plotting_neural.domain_curves(DOMAINS["base"]).axes, ("accuracy", "cross_entropy"),
        strict=True,
    ):  # fmt: skip
        for curve in DOMAINS["base"]["curves"]:
            drawn = line(axes, curve["student"])
            assert_array_equal(drawn.get_ydata(), curve[f"test_{measure}"]["mean"])


# --- calibration


def test_reliability_shows_accuracy_and_the_distribution_of_confidence():
    upper, lower = plotting_neural.reliability(FASHION["calibration"]).axes
    for row in FASHION["calibration"]:
        label = f"{plotting_neural.STUDENTS[row['student']][2]}, {row['rule']}"
        assert_array_equal(line(upper, label).get_ydata(), row["accuracy"])
        assert_allclose(line(lower, label).get_ydata()[-1], 1)
        hollow = line(upper, label).get_markerfacecolor() == "white"
        assert hollow == (row["rule"] == "mean")


# --- phase diagram


@pytest.mark.parametrize("measure", ["cross_entropy", "accuracy"])
def test_every_cell_has_its_colour_and_its_mark(measure):
    figure = plotting_neural.phase_diagram(PHASE, measure=measure)
    sizes = sorted(PHASE["sizes"])
    seen = 0
    for number, axes in enumerate(panels(figure)):
        temperature = PHASE["temperatures"][number // 2]
        answered = ("all", "labelled")[number % 2]
        values = mesh(axes).get_array()
        for cell in PHASE["cells"]:
            both = cell["n_labels"] == sizes[-1]
            if cell["temperature"] == temperature and (both or cell["answered"] == answered):
                row, column = (
                    PHASE["trusts"].index(cell["trust"]), sizes.index(cell["n_labels"])
                )  # fmt: skip
                change = cell[f"{measure}_change"]
                assert values[row, column] == change["change"]
                assert marks(axes)[cell["n_labels"], row] == change["verdict"]
                seen += 1
    n_at_largest = sum(cell["n_labels"] == sizes[-1] for cell in PHASE["cells"])
    assert seen == len(PHASE["cells"]) + n_at_largest  # they stand in both columns


@pytest.mark.parametrize(("measure", "sign"), [("cross_entropy", -1), ("accuracy", 1)])
def test_blue_helps_orange_harms_and_no_change_is_white(measure, sign):
    heat = mesh(panels(plotting_neural.phase_diagram(PHASE, measure=measure))[0])
    red, _, blue, _ = np.array(heat.cmap(heat.norm(sign * heat.norm.vmax)))
    assert blue > red
    red, _, blue, _ = np.array(heat.cmap(heat.norm(-sign * heat.norm.vmax)))
    assert red > blue
    assert_allclose(heat.cmap(heat.norm(0.0))[:3], WHITE, atol=0.01)


def test_one_wild_cell_does_not_bleach_the_others():
    phase = deepcopy(PHASE)
    phase["cells"][0]["cross_entropy_change"]["change"] = 1e6
    wild, tame = (
        mesh(panels(plotting_neural.phase_diagram(one))[0]).norm.vmax for one in (phase, PHASE)
    )
    assert wild < 2 * tame


def test_setting_that_was_not_tried_has_no_colour_and_no_mark():
    phase = PHASE | {"cells": [cell for cell in PHASE["cells"] if cell["n_labels"] != 300]}
    axes = panels(plotting_neural.phase_diagram(phase))[0]
    assert np.ma.getmaskarray(mesh(axes).get_array())[:, 1].all()
    assert 300.0 not in {x for x, _ in marks(axes)}


@pytest.mark.parametrize("value", [0.0, None])
def test_diagram_without_any_change_is_drawn(value):
    def flatten(cell):
        cell["cross_entropy_change"] |= {"change": value, "verdict": "undecided"}

    figure = plotting_neural.phase_diagram(changed_phase(flatten))
    plotting.to_svg(figure, name="a", title="T", description="D")
    assert set(marks(panels(figure)[0]).values()) == {"undecided"}


def test_diagram_of_one_cell_is_drawn():
    cell = PHASE["cells"][0]
    one = PHASE | {
        "sizes": [cell["n_labels"]], "trusts": [cell["trust"]],
        "temperatures": [cell["temperature"]], "cells": [cell],
    }  # fmt: skip
    plotting.to_svg(plotting_neural.phase_diagram(one), name="a", title="T", description="D")


def test_labels_of_sizes_do_not_run_into_one_another():
    axes = panels(plotting_neural.phase_diagram(PHASE))[-1]
    ticks = axes.get_xticks()
    assert {ticks[0], ticks[-1]} == {min(PHASE["sizes"]), max(PHASE["sizes"])}
    assert (np.diff(np.log(ticks)) >= 0.19 * np.log(ticks[-1] / ticks[0])).all()


# --- lines


def test_lines_by_labels_are_of_the_chosen_cells():
    axes = plotting_neural.accuracy_by_labels(PHASE, teacher=0.88).axes[0]
    for kind, label in plotting_neural.ANSWERED.items():
        cells = [
            cell
            for cell in PHASE["cells"]
            if cell["chosen"] and (cell["answered"] == kind or cell["n_labels"] == 60000)
        ]
        drawn = line(axes, label)
        assert_array_equal(drawn.get_xdata(), [cell["n_labels"] for cell in cells])
        assert_array_equal(drawn.get_ydata(), [cell["accuracy"]["mean"] for cell in cells])
    without = [row["accuracy"]["mean"] for row in PHASE["baselines"]]
    assert_array_equal(line(axes, "without teacher").get_ydata(), without)
    assert set(line(axes, "the teacher itself").get_ydata()) == {0.88}


def test_shares_stay_between_zero_and_one():
    phase = deepcopy(PHASE)
    phase["baselines"][0]["accuracy"] |= {"low": -3.0, "high": 4.0}
    assert plotting_neural.accuracy_by_labels(phase).axes[0].get_ylim() == (0.0, 1.0)


def test_without_a_chosen_cell_the_student_alone_is_drawn():
    phase = changed_phase(lambda cell: cell.update(chosen=False))
    axes = plotting_neural.accuracy_by_labels(phase).axes[0]
    assert len(line(axes, "without teacher").get_xdata()) == len(PHASE["baselines"])
    assert not len(line(axes, plotting_neural.ANSWERED["all"]).get_xdata())


@pytest.mark.parametrize("measure", ["accuracy", "cross_entropy"])
def test_students_by_link_hold_their_rows_in_order_of_lambda(measure):
    pair = DOMAINS["pairs"][0]
    figure = plotting_neural.students_by_link(pair, measure=measure)
    for axes, loss in zip(figure.axes, ("cross-entropy", "squares"), strict=True):
        assert loss in axes.get_title(loc="left")
        for link in pair["links"]:
            drawn = line(axes, link["link"])
            rows = {
                row["md_lambda"]: row[measure]["mean"]
                for row in link["rows"]
                if row["loss"] == loss and row["md_lambda"] != "chosen"
            }
            assert_array_equal(drawn.get_xdata(), sorted(rows))
            assert_array_equal(drawn.get_ydata(), [rows[x] for x in sorted(rows)])
            level = link["teacher_through_link"][measure]["mean"]
            across = [one for one in axes.get_lines() if list(one.get_ydata()) == [level, level]]
            assert drawn.get_color() in {one.get_color() for one in across}
        alone = [
            row[measure]["mean"]
            for row in pair["links"][0]["rows"]
            if (row["loss"], row["md_lambda"]) == (loss, 1.0)
        ]
        black = [one for one in axes.get_lines() if one.get_color() == "black"]
        assert list(black[0].get_ydata()) == 2 * alone


def test_pictures_are_those_of_the_domains():
    figure = plotting_neural.domain_pictures(DOMAINS["examples"])
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    wanted = [np.array(one) for row in DOMAINS["examples"] for one in row["pictures"]]
    for drawn, picture in zip(shown, wanted, strict=True):
        assert_array_equal(drawn, picture)
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert words == {row["domain"] for row in DOMAINS["examples"]}
