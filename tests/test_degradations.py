"""Weak views of pictures: each against its definition, pixel by pixel."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kdtheory.experiments.degradations import (
    bilinear,
    block_means,
    line_drawings,
    noisy,
    partly_hidden,
    repeated,
)

SINGLE = 1e-6  # a few roundings of float32, for numbers up to 1
SIGMAS = 5.0  # one false alarm in two million
SIZE = 28


def pictures(m=3, size=SIZE, seed=0):
    return np.random.default_rng(seed).random((m, size, size), dtype=np.float32)


# --- oracle


def test_block_means_are_the_means_of_blocks():
    given = pictures()
    found = block_means(given, 7)
    for i in range(3):
        for a in range(7):
            for b in range(7):
                block = given[i, 4 * a : 4 * a + 4, 4 * b : 4 * b + 4]
                assert_allclose(found[i, a, b], block.mean(), rtol=SINGLE)


def test_sobel_gradient_follows_its_definition():
    given = pictures(2, 6)
    padded = np.pad(given, ((0, 0), (1, 1), (1, 1))).astype(float)
    kernel = np.outer([-1, 0, 1], [1, 2, 1])
    for threshold in (0.5, 1.0, 2.0):
        found = line_drawings(given, threshold)
        for i in range(2):
            for a in range(6):
                for b in range(6):
                    patch = padded[i, a : a + 3, b : b + 3]
                    steepness = np.hypot((kernel * patch).sum(), (kernel.T * patch).sum())
                    assert found[i, a, b] == (steepness >= threshold)


def test_bilinear_interpolation_is_exact_for_linear_pictures():
    coarse = np.add.outer(np.arange(7), 2 * np.arange(7))[None] / 18
    fine = bilinear(coarse, SIZE)
    places = (np.arange(SIZE) + 0.5) / 4 - 0.5
    wanted = np.add.outer(places, 2 * places) / 18
    inside = slice(2, -2)  # beyond the last middles it is constant
    assert_allclose(fine[0, inside, inside], wanted[inside, inside], atol=SINGLE)
    assert_allclose(fine[0, 0], fine[0, 1], atol=SINGLE)


def test_noise_has_the_standard_deviation_that_is_told():
    grey = np.full((50, SIZE, SIZE), 0.5)
    found = noisy(grey, 0.05, np.random.default_rng(1)) - 0.5  # ten σ from being cut
    error = 0.05 / np.sqrt(2 * found.size)
    assert abs(found.std() - 0.05) < SIGMAS * error
    assert abs(found.mean()) < SIGMAS * 0.05 / np.sqrt(found.size)


# --- laws


def test_repetition_is_undone_by_block_means():
    coarse = pictures(4, 7)
    assert_allclose(block_means(repeated(coarse, SIZE), 7), coarse, rtol=SINGLE)


def test_views_treat_each_picture_by_itself():
    given = pictures(5)
    for view in (
        lambda x: block_means(x, 7),
        lambda x: line_drawings(x, 1.0),
        lambda x: repeated(x, 2 * SIZE),
        lambda x: bilinear(x, 2 * SIZE),
    ):
        assert_array_equal(view(given)[2:3], view(given[2:3]))


def test_line_drawings_turn_with_the_picture():
    given = pictures(3, 12)
    turned = np.rot90(given, axes=(1, 2))
    # away from the threshold, where a rounding may decide
    found, judge = line_drawings(turned, 1.37), np.rot90(line_drawings(given, 1.37), axes=(1, 2))
    assert_array_equal(found, judge)


@pytest.mark.parametrize("side", [0, 5, 14, SIZE])
def test_hidden_part_is_one_black_square(side):
    found = partly_hidden(np.ones((40, SIZE, SIZE)), side, np.random.default_rng(2))
    hidden = found == 0
    assert_array_equal(hidden.sum(axis=(1, 2)), side**2)
    for mask in hidden[: 40 if side else 0]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert_array_equal(rows, rows[0] + np.arange(side))
        assert_array_equal(columns, columns[0] + np.arange(side))
        assert mask[np.ix_(rows, columns)].all()


def test_hidden_squares_reach_all_places():
    found = partly_hidden(np.ones((2000, 4, 4)), 3, np.random.default_rng(3))
    corners = {tuple(np.argwhere(mask)[0]) for mask in found == 0}
    assert corners == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_what_is_not_hidden_stays():
    given = pictures(6) / 2 + 0.25
    found = partly_hidden(given, 10, np.random.default_rng(4))
    assert_array_equal(found[found > 0], given[found > 0])


def test_noise_stays_within_black_and_white_and_hangs_on_the_generator():
    given = pictures()
    one, other = (noisy(given, 1.0, np.random.default_rng(seed)) for seed in (5, 6))
    assert one.min() == 0
    assert one.max() == 1
    assert (one != other).any()
    assert_array_equal(one, noisy(given, 1.0, np.random.default_rng(5)))


def test_views_are_single_precision():
    given, rng = pictures().astype(float), np.random.default_rng(7)
    views = (
        block_means(given, 7), repeated(given, 56), bilinear(given, 56),
        line_drawings(given, 1.0), noisy(given, 0.1, rng), partly_hidden(given, 3, rng),
    )  # fmt: skip
    assert {view.dtype for view in views} == {np.dtype(np.float32)}


# --- limits


def test_finest_blocks_and_no_noise_change_nothing():
    given = pictures()
    assert_array_equal(block_means(given, SIZE), given)
    assert_array_equal(repeated(given, SIZE), given)
    assert_allclose(bilinear(given, SIZE), given, rtol=SINGLE)
    assert_array_equal(noisy(given, 0.0, np.random.default_rng(8)), given)
    assert_array_equal(partly_hidden(given, 0, np.random.default_rng(8)), given)


def test_constant_pictures_have_lines_at_their_frame_only():
    # black beyond the frame: the gradient at the middle of an edge is 4 c
    grey = np.full((1, 8, 8), 0.5)
    found = line_drawings(grey, 1.9)
    assert_array_equal(found[0, 1:-1, 1:-1], 0)
    assert_array_equal(found[0, 0], 1)
    assert_array_equal(line_drawings(grey, 2.2), 0)


# --- bad input


def test_bad_pictures_are_named():
    rng = np.random.default_rng(9)
    bad = np.full((1, 4, 4), 1.5)
    for view in (
        lambda x: block_means(x, 2),
        lambda x: repeated(x, 8),
        lambda x: bilinear(x, 8),
        lambda x: line_drawings(x, 1.0),
        lambda x: noisy(x, 0.1, rng),
        lambda x: partly_hidden(x, 2, rng),
    ):
        with pytest.raises(ValueError, match=r"`pictures` must be in \[0, 1\], got .* 1.5 and 1.5"):
            view(bad)
        with pytest.raises(ValueError, match=r"`pictures` must have 3 dimension"):
            view(bad[0])
        with pytest.raises(ValueError, match=r"`pictures` must be finite"):
            view(np.full((1, 4, 4), np.nan))


def test_bad_sizes_are_named():
    rng = np.random.default_rng(10)
    with pytest.raises(ValueError, match=r"`side` must divide .* 28 and 28, got 5"):
        block_means(pictures(), 5)
    with pytest.raises(ValueError, match=r"`side` must be a multiple .* 28 and 28, got 40"):
        repeated(pictures(), 40)
    with pytest.raises(ValueError, match=r"`side` must be a multiple .* 28 and 14, got 28"):
        bilinear(pictures()[:, :, :14], 28)
    with pytest.raises(ValueError, match=r"`side` must be at most 28, got 29"):
        partly_hidden(pictures(), 29, rng)
    with pytest.raises(TypeError, match=r"`side` must be an integer, got 3.5"):
        partly_hidden(pictures(), 3.5, rng)
    with pytest.raises(ValueError, match=r"`threshold` must be finite and positive, got 0"):
        line_drawings(pictures(), 0)
    with pytest.raises(ValueError, match=r"`sigma` must be finite and at least 0, got -1"):
        noisy(pictures(), -1, rng)
    for view in (noisy, partly_hidden):
        with pytest.raises(TypeError, match=r"`rng` must be a numpy.random.Generator, got int"):
            view(pictures(), 1, 7)
