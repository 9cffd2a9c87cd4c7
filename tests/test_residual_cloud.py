"""The picture of the residuals: the same whatever the order, and a true histogram."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from kdtheory import plotting
from kdtheory.residual_cloud import CELLS, POINTS, ResidualCloud

# --- laws

values = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=40), st.integers(1, 40))
@example([(0.0, 0.0), (0.0, 0.0)], 1)
@example([(0.0, 0.0), (1e-300, 1e-9)], 1)
@example([(1e8, 1.0), (1e8 + 1e-3, -1.0)], 1)
def test_cells_do_not_depend_on_the_order_nor_on_the_blocks(pairs, cut):
    fitted, residuals = np.array(pairs).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kdtheory.residual_cloud.POINTS", 0)
        whole = ResidualCloud()
        whole.add(fitted, residuals)
        first, second = ResidualCloud(), ResidualCloud()
        first.add(fitted[cut:][::-1], residuals[cut:][::-1])
        second.add(fitted[:cut], residuals[:cut])
        parts = first + second
    for one, other in zip(whole.table(), parts.table(), strict=True):
        assert_array_equal(one, other)
    x, y, counts = whole.table()
    assert counts.sum() == len(pairs)
    assert max(counts.shape) <= CELLS
    for edges, data in ((x, fitted), (y, residuals)):
        assert (edges[0] <= data).all()
        assert (data < edges[-1]).all()


# --- oracle


def test_counts_are_those_of_a_histogram():
    rng = np.random.default_rng(0)
    fitted, residuals = rng.standard_normal((2, 3 * POINTS))
    cloud = ResidualCloud()
    for part in range(3):
        rows = slice(part * POINTS, (part + 1) * POINTS)
        cloud.add(fitted[rows], residuals[rows])
    x, y, counts = cloud.table()
    judge, _, _ = np.histogram2d(fitted, residuals, bins=(x, y))
    assert_array_equal(counts, judge)
    assert min(counts.shape) > CELLS / 2
    axes = plotting.residuals_against_fitted(x, y, counts).axes[0]
    assert axes.collections[0].get_array().sum() == 3 * POINTS


def test_few_objects_are_drawn_one_by_one():
    cloud = ResidualCloud()
    cloud.add(np.arange(5.0), np.ones(5))
    axes = plotting.residuals_against_fitted(*cloud.points).axes[0]
    assert_array_equal(axes.collections[0].get_offsets(), cloud.points.T)
    assert axes.get_xlabel()
    assert axes.get_ylabel()


# --- limits


def test_cells_of_one_value_are_drawn():
    cloud = ResidualCloud()
    cloud.add(np.full(POINTS + 1, 7.0), np.zeros(POINTS + 1))
    svg = plotting.to_svg(
        plotting.residuals_against_fitted(*cloud.table()), name="x", title="x", description="x"
    )
    assert "</svg>" in svg


# --- bad input


def test_counts_that_do_not_fit_their_edges_are_refused():
    with pytest.raises(ValueError, match=r"`counts` must have shape \(1, 2\), got shape \(2, 2\)"):
        plotting.residuals_against_fitted([0.0, 1.0], [0.0, 1.0, 2.0], np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"lengths must agree"):
        plotting.residuals_against_fitted([0.0, 1.0], [0.0, 1.0, 2.0])
