"""Figures hold the numbers of their results, and become accessible, repeatable SVG."""

import re
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from experiment_results import diabetes, digits, synthetic
from numpy.testing import assert_allclose

from kdtheory import ContinuousCategorical, plotting

SVG = "{http://www.w3.org/2000/svg}"
LOG_PROBS = np.log([0.7, 0.2, 0.1])
FIGURES = {
    "mass": lambda: plotting.mass_by_confidence(digits()),
    "density": lambda: plotting.simplex_density(LOG_PROBS, ["a", "b", "c"]),
    "mean": lambda: plotting.mean_against_softmax(digits()),
    "trust": lambda: plotting.error_against_trust(diabetes()),
    "targets": lambda: plotting.blended_targets(diabetes()),
    "path": lambda: plotting.errors_along_trust(diabetes().path, loo().trusts[:1]),
    "mean-path": lambda: plotting.errors_along_trust(diabetes().mean_path, loo().trusts),
    "intervals": lambda: plotting.coefficient_intervals(diabetes()),
    "objects": lambda: plotting.class_probabilities(synthetic()),
    "marginals": lambda: plotting.class_marginals(synthetic()),
    "table1": lambda: plotting.cross_entropy_against_accuracy(synthetic()),
}


def loo():
    return diabetes().choices[0]


every_figure = pytest.mark.parametrize("name", FIGURES)


def draw(name):
    return plotting.to_svg(FIGURES[name](), name=name, title=f"T<{name}>", description="a & b")


svg_of = cache(draw)  # for tests that only look


def points(collection):
    return np.asarray(collection.get_offsets())


# --- the picture against the numbers


def test_masses_are_drawn_for_every_object():
    axes = FIGURES["mass"]().axes[0]
    drawn = np.vstack([points(cloud) for cloud in axes.collections])
    order = np.argsort(digits().held_out, kind="stable")
    assert_allclose(drawn[:, 0], digits().confidence[order])
    assert_allclose(10 ** drawn[:, 1], np.exp(digits().log_mass[order]))


def test_heat_is_the_density_at_its_place():
    figure = FIGURES["density"]()
    axes = figure.axes[0]
    heat = axes.collections[0]
    corners, density = heat._triangulation, heat.get_array()
    s3 = corners.y / plotting.CORNERS[2, 1]
    s2 = corners.x - s3 / 2
    grid = np.column_stack([1 - s2 - s3, s2, s3])
    inside = grid.min(axis=1) > 1e-9  # rounding must not take a point over the edge
    judge = np.exp(ContinuousCategorical(logits=LOG_PROBS).log_prob(grid[inside]))
    assert_allclose(density[inside], judge, rtol=1e-9)
    assert {text.get_text() for text in axes.texts} >= {"a", "b", "c"}


def test_means_are_drawn_for_every_object_and_class():
    axes = FIGURES["mean"]().axes[0]
    others, likeliest = (points(cloud) for cloud in axes.collections)
    assert len(likeliest) == 1797
    assert len(others) == 1797 * 9
    assert_allclose(likeliest[:, 0], digits().confidence)
    assert_allclose(likeliest[:, 1].max(), digits().mean.max())


def test_intervals_are_drawn_where_they_are():
    lines = FIGURES["trust"]().axes[0].get_lines()
    drawn = {tuple(line.get_ydata()) for line in lines}
    for row in diabetes().comparisons:
        assert {(row.low, row.high), (row.low_new, row.high_new)} <= drawn


def test_targets_lie_between_label_and_answer():
    label, answer, target = (line.get_ydata() for line in FIGURES["targets"]().axes[0].get_lines())
    assert len(label) == diabetes().n_privileged
    assert_allclose(target, (label + answer) / 2)
    assert (np.diff(label) >= 0).all()


def test_errors_are_drawn_along_the_path_as_changes():
    path = diabetes().path
    held_out, by_loo, by_gcv, zero, chosen = FIGURES["path"]().axes[0].get_lines()
    for line, errors in (
        (held_out, path.held_out_error), (by_loo, path.loo_error), (by_gcv, path.gcv_error)
    ):  # fmt: skip
        assert_allclose(line.get_xdata(), path.trusts)
        assert_allclose(line.get_ydata(), errors - errors[0])
    assert set(zero.get_ydata()) == {0}
    assert chosen.get_xdata() == [loo().trusts[0]]
    assert_allclose(chosen.get_ydata(), by_loo.get_ydata().min())


def test_histogram_counts_every_chosen_trust():
    axes = FIGURES["mean-path"]().axes[0]
    heights = np.array([bar.get_height() for bar in axes.patches])
    counts = [np.sum((loo().trusts * 100).round() // 10 == k) for k in range(9)]
    counts.append(len(loo().trusts) - sum(counts))  # the last bin has both its ends
    assert_allclose(heights / heights.sum(), np.array(counts) / len(loo().trusts), atol=1e-12)


def test_coefficients_are_drawn_with_their_ends():
    axes = FIGURES["intervals"]().axes[0]
    for row, bars in zip(diabetes().intervals, axes.collections, strict=True):
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        assert_allclose(ends, np.column_stack([row.low[:3], row.high[:3]]))
    markers = [line for line in axes.get_lines() if len(line.get_xdata()) == 3]
    for row, line in zip(diabetes().intervals, markers, strict=True):
        assert_allclose(line.get_xdata(), row.estimates[:3])
    assert [label.get_text() for label in axes.get_yticklabels()] == list(diabetes().columns)


def test_marginals_and_objects_are_drawn_all():
    clouds = FIGURES["marginals"]().axes[0].collections
    drawn = np.column_stack([points(cloud)[:, 1] for cloud in clouds])
    assert_allclose(drawn, synthetic().marginals)
    objects = points(FIGURES["objects"]().axes[0].collections[0])
    assert_allclose(objects, synthetic().class_probs @ plotting.CORNERS)


def test_published_rows_are_drawn():
    lines = FIGURES["table1"]().axes[0].get_lines()
    drawn = {(line.get_xdata()[0], line.get_ydata()[0]) for line in lines}
    assert {(0.831, 0.225), (0.828, 0.452)} < drawn


# --- laws of every figure


@every_figure
def test_axes_have_labels_or_names(name):
    for axes in FIGURES[name]().axes:
        words = axes.get_xlabel() + axes.get_ylabel() + "".join(t.get_text() for t in axes.texts)
        assert words.strip()


@every_figure
def test_svg_has_alternative_text(name):
    root = ET.fromstring(svg_of(name))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag, title.text) == (f"{SVG}title", f"T<{name}>")
    assert (description.tag, description.text) == (f"{SVG}desc", "a & b")
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


@every_figure
def test_svg_scales_to_its_page(name):
    root = ET.fromstring(svg_of(name))
    assert root.get("viewBox")
    assert root.get("width") is root.get("height") is None


@every_figure
def test_svg_identifiers_are_its_own_and_all_references_resolve(name):
    svg = svg_of(name)
    identifiers = re.findall(r'\sid="([^"]*)"', svg)
    assert len(identifiers) == len(set(identifiers))
    assert all(identifier.startswith(f"{name}-") for identifier in identifiers)
    references = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)
    assert {a or b for a, b in references} <= set(identifiers)


@every_figure
def test_svg_loads_nothing(name):
    svg = re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg_of(name))
    assert "http" not in svg
    assert not re.search(r'href="(?!#|data:image/png;base64,)', svg)


@every_figure
def test_svg_is_the_same_bytes_whatever_the_settings_and_leaves_them(name):
    plain = svg_of(name)
    with mpl.rc_context({"font.size": 30, "axes.linewidth": 9, "svg.fonttype": "none"}):
        assert draw(name) == plain
        assert mpl.rcParams["font.size"] == 30


# --- limits


def test_character_that_xml_forbids_is_replaced():
    words = "a\x00b\x1bc\ufffe\ud800\t<d>é\U0001f600"
    svg = plotting.to_svg(FIGURES["targets"](), name="x", title=words, description=words)
    root = ET.fromstring(svg)
    assert root[0].text == root[1].text == "a\ufffdb\ufffdc\ufffd\ufffd\t<d>é\U0001f600"


def test_uniform_density_needs_no_contour():
    svg = plotting.to_svg(
        plotting.simplex_density(np.zeros(3), ["a", "b", "c"]),
        name="flat", title="flat", description="flat",
    )  # fmt: skip
    assert "</svg>" in svg


def test_one_kind_of_object_is_enough():
    nobody = replace(digits(), held_out=np.zeros(1797, dtype=bool))
    assert "</svg>" in plotting.to_svg(
        plotting.mass_by_confidence(nobody), name="x", title="x", description="x"
    )


# --- bad input


def test_simplex_of_other_than_three_classes_is_refused():
    with pytest.raises(ValueError, match=r"`log_probs` must have shape \(3,\), got shape \(2,\)"):
        plotting.simplex_density(np.log([0.5, 0.5]), ["a", "b"])
    with pytest.raises(ValueError, match=r"`log_probs` must be finite"):
        plotting.simplex_density([0.0, -1.0, -np.inf], ["a", "b", "c"])


def test_name_that_is_no_identifier_is_refused():
    with pytest.raises(ValueError, match=r"`name` must be made of letters, .* got 'a b'"):
        plotting.to_svg(FIGURES["targets"](), name="a b", title="x", description="x")
