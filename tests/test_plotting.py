"""Figures hold the numbers of their results, and become accessible, repeatable SVG."""

import re
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from experiment_results import diabetes, digits, privileged, synthetic
from matplotlib import colors
from matplotlib import pyplot as plt
from matplotlib.patches import Ellipse, FancyArrow, Rectangle
from numpy.testing import assert_allclose

from kdtheory import ContinuousCategorical, plotting
from kdtheory.experiments.synthetic import Change

SVG = "{http://www.w3.org/2000/svg}"
LOG_PROBS = np.log([0.7, 0.2, 0.1])
RNG = np.random.default_rng(0)
SEEN = {name: RNG.dirichlet([0.7] * 3, 40) for name in ("true", "without", "with")}
STUDENTS = {name: SEEN[name] for name in ("without", "with")}
KL = RNG.lognormal(-4, 0.3, (2, 30))
RIGHT = RNG.uniform(size=(3, 5))
TEMPERATURES = np.logspace(-1, 1, 5)
CHANGES = {
    name: Change(("with", "softmax"), ("without", "softmax"), "test", measure, np.zeros(2), *ends)
    for name, measure, ends in (
        ("a", "kl", (-2.0, -3.0, -1.0)),
        ("b", "kl", (2.0, 1.0, 3.0)),
        ("c", "kl", (0.0, -1.0, 1.0)),
        ("d", "accuracy", (2.0, 1.0, 3.0)),
    )
}
FIGURES = {
    "mass": lambda: plotting.mass_by_confidence(digits()),
    "density": lambda: plotting.simplex_density(LOG_PROBS, ["a", "b", "c"]),
    "mean": lambda: plotting.mean_against_softmax(digits()),
    "trust": lambda: plotting.error_against_trust(diabetes()),
    "targets": lambda: plotting.blended_targets(diabetes()),
    "path": lambda: plotting.errors_along_trust(diabetes().path, loo().trusts[:1]),
    "mean-path": lambda: plotting.errors_along_trust(diabetes().mean_path, loo().trusts),
    "intervals": lambda: plotting.coefficient_intervals(diabetes()),
    "plates": lambda: plotting.distillation_plates(),
    "generator": lambda: plotting.generator_plates(),
    "objects": lambda: plotting.class_probabilities(synthetic().first.truth),
    "strips": lambda: plotting.class_distributions(SEEN),
    "greatest": lambda: plotting.greatest_probabilities(SEEN),
    "noise": lambda: plotting.errors_of_probabilities(SEEN["true"], STUDENTS),
    "divergence": lambda: plotting.divergence_by_draw(*KL),
    "changes": lambda: plotting.paired_differences(CHANGES, label="change, nats"),
    "temperature": lambda: plotting.probability_by_temperature(figure_7()),
    "heat": lambda: plotting.right_class_probability([0, 0.5, 1], TEMPERATURES, RIGHT),
    "readings": lambda: plotting.readings_of_published(synthetic().readings),
    "distilled": lambda: plotting.distilled_accuracies(privileged()),
    "marginals": lambda: plotting.class_marginals(synthetic()),
    "table1": lambda: plotting.cross_entropy_against_accuracy(synthetic()),
}


def loo():
    return diabetes().choices[0]


def figure_7():
    return synthetic().first.figure_7


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
    assert_allclose(objects, synthetic().first.truth @ plotting.CORNERS)


def test_published_rows_are_drawn():
    lines = FIGURES["table1"]().axes[0].get_lines()
    drawn = {(line.get_xdata()[0], line.get_ydata()[0]) for line in lines}
    assert {(0.831, 0.225), (0.828, 0.452)} < drawn
    low, high = FIGURES["table1"]().axes[0].get_ylim()
    assert low < 0.225 < high


def arrows(figure):
    """Pairs (from, to) of the symbols that arrows join, with the place of the latter's column."""
    axes = figure.axes[0]
    nodes = [text for text in axes.texts if text.get_text() in SYMBOLS]
    places = np.array([text.xy for text in nodes])
    pairs = []
    for arrow in (patch for patch in axes.artists + axes.patches if isinstance(patch, FancyArrow)):
        corners = arrow.get_xy()
        gaps = np.linalg.norm(corners[:, None] - corners[None], axis=2)
        ends = corners[list(np.unravel_index(gaps.argmax(), gaps.shape))]
        ends = sorted(ends, key=lambda end: np.linalg.norm(corners.mean(axis=0) - end))
        tip, tail = (nodes[np.linalg.norm(places - end, axis=1).argmin()] for end in ends)
        pairs.append((tail.get_text(), tip.get_text(), tip.xy[0] > axes.get_xlim()[1] / 2))
    return sorted(pairs)


SYMBOLS = {"$g$", "$s_i$", "$y_i$", "$x_i$", "$w_{jk}$"}


def test_arrows_of_the_general_model_are_the_factors_of_gs_9():
    inside = [("$g$", "$s_i$"), ("$g$", "$y_i$"), ("$x_i$", "$s_i$"), ("$x_i$", "$y_i$")]
    outside = [("$g$", "$y_i$"), ("$x_i$", "$y_i$")]
    expected = [(*pair, False) for pair in inside] + [(*pair, True) for pair in outside]
    assert arrows(FIGURES["plates"]()) == sorted(expected)


def test_arrows_of_the_generator_are_its_definition():
    pairs = [pair[:2] for pair in arrows(FIGURES["generator"]())]
    assert pairs == [("$s_i$", "$y_i$"), ("$w_{jk}$", "$s_i$"), ("$x_i$", "$s_i$")]


@pytest.mark.parametrize("name", ["plates", "generator"])
def test_every_node_lies_in_its_plate_and_what_is_observed_is_shaded(name):
    axes = FIGURES[name]().axes[0]
    rectangles = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    ellipses = [patch for patch in axes.patches if isinstance(patch, Ellipse)]
    assert len(rectangles) == 2
    for text in (text for text in axes.texts if text.get_text() in SYMBOLS):
        x, y = text.xy
        around = [
            box.get_x() < x < box.get_x() + box.get_width()
            and box.get_y() < y < box.get_y() + box.get_height()
            for box in rectangles
        ]
        assert sum(around) == (text.get_text() != "$g$")
        rings = [ring for ring in ellipses if np.allclose(ring.get_center(), (x, y))]
        shaded = colors.to_hex(rings[0].get_facecolor()) != "#ffffff"
        assert shaded == (text.get_text() not in {"$g$", "$w_{jk}$"})
        assert len(rings) == 1 + (name == "generator" and text.get_text() == "$s_i$")
    assert plt.get_fignums() == []


def test_strips_are_the_probabilities_in_one_order():
    order = sorted(range(40), key=lambda i: (SEEN["true"][i].argmax(), -SEEN["true"][i].max()))
    for axes, (name, probs) in zip(FIGURES["strips"]().axes, SEEN.items(), strict=True):
        assert axes.get_title(loc="left") == name
        for k, band in enumerate(axes.patches):
            top, edges, below = band.get_data()
            assert_allclose(top - below, probs[order, k], atol=1e-15)
            assert_allclose(edges, np.arange(41))
        assert_allclose(top, 1)


def test_curves_of_greatest_probabilities_are_quantiles():
    axes = FIGURES["greatest"]().axes[0]
    for line, (name, probs) in zip(axes.get_lines(), SEEN.items(), strict=True):
        top = probs.max(axis=1)
        assert line.get_label() == name
        for x, share in (line.get_xydata())[[20, 100, 180]]:
            assert (top < x).mean() <= share + 1e-9
            assert (top <= x).mean() >= share - 1 / 40


def test_errors_are_drawn_for_every_object_and_class():
    clouds = FIGURES["noise"]().axes[0].collections
    for cloud, guess in zip(clouds, STUDENTS.values(), strict=True):
        drawn = np.column_stack([SEEN["true"].ravel(), (guess - SEEN["true"]).ravel()])
        assert_allclose(points(cloud), drawn)


def test_divergences_are_drawn_for_every_draw_within_the_axes():
    axes = FIGURES["divergence"]().axes[0]
    assert_allclose(points(axes.collections[0]), KL.T)
    mean, diagonal = axes.get_lines()
    assert_allclose(mean.get_xydata(), [KL.mean(axis=1)])
    assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert left < KL[0].min() < KL[0].max() < right
    assert low < KL.min() < KL.max() < high


def test_paired_differences_have_their_ends_verdicts_and_colours():
    axes = FIGURES["changes"]().axes[0]
    zero, *lines = axes.get_lines()
    assert set(zero.get_xdata()) == {0}
    colour_of = {"better": plotting.GREEN, "worse": plotting.ORANGE, "undecided": plotting.GREY}
    words = [text.get_text() for text in axes.texts]
    found = ("better", "worse", "undecided", "better")
    for row, (name, change) in enumerate(CHANGES.items()):
        bar, dot = lines[2 * row : 2 * row + 2]
        assert_allclose(bar.get_xydata(), [(change.low, row), (change.high, row)])
        assert_allclose(dot.get_xydata(), [(change.change, row)])
        assert words[2 * row : 2 * row + 2] == [name, found[row]]
        assert bar.get_color() == dot.get_markeredgecolor() == colour_of[found[row]]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is on top


def test_bands_span_all_trusts_about_their_ends():
    seven = figure_7()
    axes = FIGURES["temperature"]().axes[0]
    lines = axes.get_lines()[2:]
    for j, right in enumerate(seven.right):
        none, full, truth = lines[3 * j : 3 * j + 3]
        assert_allclose(none.get_ydata(), right[0])
        assert_allclose(full.get_ydata(), right[-1])
        assert_allclose(truth.get_xydata(), [(1, seven.truth[j, seven.labels[j]])])
        heights = axes.collections[j].get_paths()[0].vertices[:, 1]
        assert_allclose((heights.min(), heights.max()), (right.min(), right.max()))


def test_heat_is_the_probability_of_the_right_class():
    heat = FIGURES["heat"]().axes[0].collections[0]
    assert_allclose(np.reshape(heat.get_array(), RIGHT.shape), RIGHT)
    assert heat.get_clim() == (0, 1)


def test_readings_have_their_ranges_and_only_the_possible_are_bold():
    readings = synthetic().readings
    axes = FIGURES["readings"]().axes[0]
    for student, bars in zip(("without", "with"), axes.collections, strict=True):
        found = [getattr(reading, f"cross_entropy_{student}") for reading in readings]
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        assert_allclose(ends, [(f.low, f.high) for f in found])
    labels = axes.get_yticklabels()
    bold = {label.get_text() for label in labels if label.get_fontweight() == "bold"}
    assert bold == {f"{r.name}, possible" for r in readings if r.verdict == "possible"}
    assert len(labels) == len(readings)
    published = {line.get_xdata()[0] for line in axes.get_lines() if len(line.get_xdata()) == 2}
    assert published == {0.225, 0.452}


def test_accuracies_are_drawn_beside_the_published():
    rows = privileged().comparisons
    drawn = iter(FIGURES["distilled"]().axes[0].containers)
    for model in ("teacher", "plain", "distilled"):
        ours, theirs = next(drawn), next(drawn)
        found = [getattr(row, model) for row in rows]
        printed = [getattr(row.published, model) for row in rows]
        for container, pairs in ((ours, [(a.mean, a.sd) for a in found]), (theirs, printed)):
            mean, sd = np.transpose(pairs)
            assert_allclose(container.lines[0].get_xdata(), mean)
            ends = np.array([bar[:, 0] for bar in container.lines[2][0].get_segments()])
            assert_allclose(ends, np.column_stack([mean - sd, mean + sd]))


def test_confusions_are_written_in_their_cells():
    figure = plotting.confusion_matrix([[3, 1], [0, 0]], ["$a_", "b"])
    axes = figure.axes[0]
    assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "3", (1, 0): "1", (0, 1): "0", (1, 1): "0"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$a_", "b"]
    assert "<svg" in plotting.to_svg(figure, name="c", title="t", description="d")


def test_confusions_of_many_classes_are_colours_alone():
    names = [str(k) for k in range(31)]
    axes = plotting.confusion_matrix(np.eye(31), names).axes[0]
    assert len(axes.texts) == 0
    assert len(axes.get_xticks()) < 31


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


def test_confusions_of_other_than_these_classes_are_refused():
    with pytest.raises(ValueError, match=r"`counts` must have shape \(3, 3\), got shape \(2, 2\)"):
        plotting.confusion_matrix(np.eye(2), "abc")


def test_probabilities_off_the_simplex_are_refused():
    with pytest.raises(ValueError, match=r"`probs` must have 3 classes .* got shape \(2, 4\)"):
        plotting.class_probabilities(np.full((2, 4), 0.25))
    with pytest.raises(ValueError, match=r"`with` must sum to 1"):
        plotting.class_distributions({"true": SEEN["true"], "with": 2 * SEEN["true"]})
    with pytest.raises(ValueError, match=r"`with` must have shape \(40, 3\), got shape \(4, 3\)"):
        plotting.greatest_probabilities({"true": SEEN["true"], "with": SEEN["true"][:4]})
    with pytest.raises(ValueError, match=r"`with` must not be negative"):
        plotting.errors_of_probabilities(SEEN["true"], {"with": -SEEN["true"]})


def test_lengths_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"`without` has 2, `with_teacher` has 1"):
        plotting.divergence_by_draw([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"`probs` must have shape \(2, 5\), got shape \(3, 5\)"):
        plotting.right_class_probability([0, 1], TEMPERATURES, RIGHT)


def test_name_that_is_no_identifier_is_refused():
    with pytest.raises(ValueError, match=r"`name` must be made of letters, .* got 'a b'"):
        plotting.to_svg(FIGURES["targets"](), name="a b", title="x", description="x")
