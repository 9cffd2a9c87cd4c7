"""Every check returns what the mathematics needs, or names the argument, the rule, the value."""

import errno
import os
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal

from kdtheory import _checks
from kdtheory._checks import (
    check_callable,
    check_choice,
    check_class_labels,
    check_count,
    check_features,
    check_flag,
    check_in_open_unit_interval,
    check_in_unit_interval,
    check_label_kind,
    check_labels,
    check_lengths_agree,
    check_log_probabilities,
    check_logits,
    check_mask,
    check_masked_array,
    check_matrix,
    check_names,
    check_nonnegative,
    check_not_masked,
    check_number_between,
    check_output_folder,
    check_pair,
    check_positive,
    check_real_array,
    check_rng,
    check_row_order,
    check_shape,
    check_simplex_points,
    check_support,
    check_targets,
    check_whole_numbers,
    simplex_tolerance,
)

LARGEST = np.finfo(np.float64).max
ARRAY_CHECKS = [check_real_array, check_logits, check_simplex_points, check_matrix]
NUMBER_CHECKS = [check_positive, check_nonnegative, check_in_unit_interval]


def assert_one_line(caught):
    assert "\n" not in str(caught.value)


def test_the_list_of_names_is_complete():
    defined = {
        name
        for name, value in vars(_checks).items()
        if getattr(value, "__module__", None) == _checks.__name__ and not name.startswith("_")
    }
    assert set(_checks.__all__) == defined
    assert list(_checks.__all__) == sorted(_checks.__all__)


# --- arrays


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.float32([1, 2]), np.float32),
        (np.array([1, 2], dtype=">f4"), np.float32),
        (np.float64([1, 2]), np.float64),
        (np.array([1, 2], dtype=">f8"), np.float64),
        (np.float16([1, 2]), np.float64),
        (np.longdouble([1, 2]), np.float64),
        (np.uint8([1, 2]), np.float64),
        (np.int64([1, 2]), np.float64),
        ([1, 2], np.float64),
        ((1.0, 2), np.float64),
    ],
)
def test_real_numbers_become_native_float32_or_float64(value, dtype):
    array = check_real_array("x", value)
    assert array.dtype == dtype
    assert array.dtype.isnative
    assert_array_equal(array, [1, 2])


@pytest.mark.parametrize("value", [[True, False], np.zeros(0, dtype=bool)])
def test_booleans_are_zeros_and_ones(value):
    array = check_real_array("x", value)
    assert array.dtype == np.float64
    assert_array_equal(array, np.asarray(value, dtype=float))


def test_arrays_of_the_right_kind_are_not_copied():
    array = np.ones(3)
    assert check_real_array("x", array) is array


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (0, 3), (1, 1, 1)])
def test_arrays_of_any_shape_are_real_arrays(shape):
    assert check_real_array("x", np.ones(shape)).shape == shape
    assert check_real_array("x", np.ones(shape), ndim=len(shape)).shape == shape


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ("word", "<U4"),
        (["a", "b"], "<U1"),
        (None, "object"),
        ([1.0, None], "object"),
        ([Fraction(1, 2)], "object"),
        ([10**400], "object"),
        ({"a": 1}, "object"),
        ([1j], "complex128"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), r"datetime64\[D\]"),
        (np.zeros(2, dtype=[("a", float)]), r"\[\('a', '<f8'\)\]"),
    ],
)
@pytest.mark.parametrize("check", ARRAY_CHECKS)
def test_what_is_not_a_real_number_is_named(check, value, dtype):
    with pytest.raises(
        TypeError, match=f"`x` must be an array of real numbers, got dtype .*{dtype}"
    ):
        check("x", value)


@pytest.mark.parametrize("check", ARRAY_CHECKS)
def test_masked_arrays_are_refused_as_their_mask_would_be_lost(check):
    masked = np.ma.masked_invalid([[0.5, np.nan]])
    with pytest.raises(TypeError, match="`x` must not be a masked array: fill it, or leave"):
        check("x", masked)


@pytest.mark.parametrize("check", ARRAY_CHECKS)
def test_ragged_lists_are_named(check):
    with pytest.raises(ValueError, match=r"`x` must be a rectangular array, got nested lengths"):
        check("x", [[1.0], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.nan, r"nan at index \(\)"),
        ([0.0, np.inf], r"inf at index \(1\)"),
        ([[0.0, 1.0], [-np.inf, np.nan]], r"-inf at index \(1, 0\)"),
        (np.float32([np.nan]), r"nan at index \(0\)"),
        (np.array([np.longdouble("1e4000")]), r"inf at index \(0\)"),
    ],
)
def test_the_first_number_that_is_not_finite_is_named(value, shown):
    if np.asarray(value).dtype == np.longdouble and np.finfo(np.longdouble).max == LARGEST:
        pytest.skip("long double is double here")
    with pytest.raises(ValueError, match=f"`x` must be finite, got {shown}"):
        check_real_array("x", value)


def test_a_wrong_number_of_dimensions_is_named():
    with pytest.raises(ValueError, match=r"`x` must have 1 dimension\(s\), got shape \(2, 3\)"):
        check_real_array("x", np.ones((2, 3)), ndim=1)
    with pytest.raises(ValueError, match=r"`x` must have 1 dimension\(s\), got shape \(\)"):
        check_real_array("x", 1.0, ndim=1)


@pytest.mark.parametrize("shape", [(1,), (5,), (0, 3), (2, 4, 1)])
def test_logits_have_a_class(shape):
    assert check_logits("z", np.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_logits_without_a_class_are_named(shape):
    with pytest.raises(
        ValueError, match=r"`z` must have shape \(\.\.\., K\) with K at least 1, got"
    ):
        check_logits("z", np.zeros(shape))


@pytest.mark.parametrize("largest", [np.float32(1.5e38), LARGEST / 2])
def test_logits_whose_range_overflows_are_named(largest):
    z = np.array([[0.0, 0.0], [largest, -largest]], dtype=type(largest))
    assert check_logits("z", z) is z
    with pytest.raises(ValueError, match=r"`z` must have a finite range in each row, got inf"):
        check_logits("z", z * 1.5)


@pytest.mark.parametrize("value", [[0.0], [[-np.inf, 3.0], [1.0, -1e308]], np.empty((0, 3))])
def test_log_probabilities_may_be_minus_infinity(value):
    assert_array_equal(check_log_probabilities("log p", value), value)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ([0.0, np.nan], ValueError, "`log p` must be finite or -inf, got nan"),
        ([0.0, np.inf], ValueError, "`log p` must be finite or -inf, got inf"),
        ([[0.0, -1], [-np.inf, -np.inf]], ValueError, "`log p` must be finite for at least one cl"),
        (np.empty((2, 0)), ValueError, r"`log p` must have shape .* K at least 1, got .*\(2, 0\)"),
        (1.0, ValueError, r"`log p` must have shape .* K at least 1, got shape \(\)"),
        (["a"], TypeError, "`log p` must be an array of real numbers, got dtype <U1"),
    ],
)
def test_bad_log_probabilities_are_named(value, error, match):
    with pytest.raises(error, match=match) as caught:
        check_log_probabilities("log p", value)
    assert_one_line(caught)


@pytest.mark.parametrize("pair", [(1, "a"), [None, 2.0]])
def test_pairs_are_two_things(pair):
    assert check_pair("pair", pair) == tuple(pair)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (5, TypeError, "`pair` must be a pair, got 5"),
        ("ab", TypeError, "`pair` must be a pair, got 'ab'"),
        ((1,), ValueError, r"`pair` must be a pair, got 1 element\(s\)"),
        ([1, 2, 3], ValueError, r"`pair` must be a pair, got 3 element\(s\)"),
    ],
)
def test_bad_pairs_are_named(value, error, match):
    with pytest.raises(error, match=match):
        check_pair("pair", value)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2)])
def test_matrices_have_a_row_and_a_column(shape):
    assert check_matrix("X", np.ones(shape)).shape == shape
    assert check_matrix("X", np.ones(shape), shape=shape).shape == shape


@pytest.mark.parametrize(
    ("value", "arguments", "match"),
    [
        (np.ones(3), {}, r"`X` must have 2 dimension\(s\), got shape \(3,\)"),
        (np.ones((2, 3, 1)), {}, r"`X` must have 2 dimension\(s\), got shape \(2, 3, 1\)"),
        (np.ones((0, 3)), {}, r"`X` must have at least one row and one column, .* \(0, 3\)"),
        (np.ones((3, 0)), {}, r"`X` must have at least one row and one column, .* \(3, 0\)"),
        (np.ones((2, 3)), {"shape": (3, 2)}, r"`X` must have shape \(3, 2\), got shape \(2, 3\)"),
        ([[np.nan]], {}, r"`X` must be finite, got nan at index \(0, 0\)"),
    ],
)
def test_what_is_not_a_matrix_is_named(value, arguments, match):
    with pytest.raises(ValueError, match=match):
        check_matrix("X", value, **arguments)


def test_dense_features_may_hold_what_is_not_finite_for_the_caller_to_find():
    X = np.array([[np.nan, np.inf], [1.0, 2.0]])
    assert check_features("X", X) is X
    assert check_features("X", np.float32(X)).dtype == np.float32
    assert check_features("X", [[1, 2]]).dtype == np.float64


@pytest.mark.parametrize("kind", [scipy.sparse.coo_array, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8, np.bool_])
def test_sparse_features_become_compressed_rows_of_float64(kind, dtype):
    X = np.array([[0, 1, 0], [1, 0, 0]], dtype=dtype)
    found = check_features("X", kind(X))
    assert found.format == "csr"
    assert found.dtype == np.float64
    assert_array_equal(found.toarray(), X)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (np.ones(3), ValueError, r"`X` must have 2 dimension\(s\), got shape \(3,\)"),
        (
            np.ones((0, 3)),
            ValueError,
            r"`X` must have at least one row and one column, .* \(0, 3\)",
        ),
        ([["a"]], TypeError, r"`X` must be an array of real numbers, got dtype <U1"),
        (
            scipy.sparse.coo_array(np.ones(3)),
            ValueError,
            r"`X` must have 2 dimension\(s\), got shape \(3,\)",
        ),
        (
            scipy.sparse.csr_array((3, 0)),
            ValueError,
            r"`X` must have at least one row and one column, got shape \(3, 0\)",
        ),
        (scipy.sparse.csr_array([[0.0, np.inf]]), ValueError, r"`X` must be finite, got inf"),
        (scipy.sparse.csr_array([[1j]]), TypeError, r"`X` must be an array of real numbers, got"),
    ],
)
def test_what_are_not_features_is_named(value, error, match):
    with pytest.raises(error, match=match):
        check_features("X", value)


# --- the simplex


@pytest.mark.parametrize(
    "value", [[1.0], [0.5, 0.5], [[1, 0], [0, 1]], np.ones((0, 3)), [True, False], [-0.0, 1.0]]
)
def test_points_of_the_simplex_pass(value):
    assert_array_equal(check_simplex_points("p", value), value)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3.4e-4), (np.float64, 1.4e-8)])
def test_sums_may_miss_one_by_the_root_of_machine_epsilon(dtype, tolerance):
    p = np.array([0.5, 0.5 + tolerance], dtype=dtype)
    assert check_simplex_points("p", p) is p
    assert simplex_tolerance(p) == pytest.approx(tolerance, rel=0.1)
    with pytest.raises(ValueError, match="must sum to 1"):
        check_simplex_points("p", np.array([0.5, 0.5 + 1.1 * tolerance], dtype=dtype))


@pytest.mark.parametrize(
    ("value", "arguments", "match"),
    [
        ([0.5, 0.6], {}, r"`p` must sum to 1 over the last axis, got 1.1 \(off by 0.1\)"),
        ([[0.5, 0.5], [0.5, 0.25]], {}, r"`p` must sum to 1 .*, got 0.75 \(off by -0.25\)"),
        ([0.0, 0.0], {}, r"`p` must sum to 1 .*, got 0.0 \(off by -1\)"),
        ([LARGEST, LARGEST], {}, r"`p` must sum to 1 .*, got inf \(off by inf\)"),
        ([1.5, -0.5], {}, r"`p` must not be negative, got -0.5"),
        ([1.0, 0.0], {"positive": True}, r"`p` must be positive in every class, got 0.0"),
        ([1.0, -0.0], {"positive": True}, r"`p` must be positive in every class, got 0.0"),
        ([0.5, 0.5], {"n_classes": 3}, r"`p` must have 3 classes in its last axis, .* \(2,\)"),
        ([np.nan, 1.0], {}, r"`p` must be finite, got nan at index \(0\)"),
        ([], {}, r"`p` must have shape \(\.\.\., K\) with K at least 1, got shape \(0,\)"),
    ],
)
def test_what_is_off_the_simplex_is_named(value, arguments, match):
    with pytest.raises(ValueError, match=match):
        check_simplex_points("p", value, **arguments)


def test_interior_points_of_the_right_number_of_classes_pass():
    check_simplex_points("p", [0.25, 0.75], positive=True, n_classes=2)
    check_simplex_points("p", np.ones((0, 2)), positive=True, n_classes=2)


def test_advice_ends_the_messages_about_numbers_that_are_no_probabilities():
    for value in ([1.5, -0.5], [0.5, 0.6]):
        with pytest.raises(ValueError, match=r"; soften first$") as caught:
            check_simplex_points("p", value, advice="; soften first")
        assert_one_line(caught)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.int64])
def test_class_numbers_become_indices(dtype):
    labels = check_labels("y", np.array([2, 0, 1], dtype=dtype), n_classes=3)
    assert labels.dtype == np.intp
    assert_array_equal(labels, [2, 0, 1])
    assert_array_equal(check_labels("y", [5], n_classes=6), [5])
    assert_array_equal(check_labels("y", [2, 0, 2]), [2, 0, 2])  # as many classes as objects


@pytest.mark.parametrize(
    ("value", "n_classes", "error", "match"),
    [
        ([0, 3], 3, ValueError, r"`y` must be class numbers 0 … 2, got 3 at index \(1\)"),
        ([0, -1], None, ValueError, r"`y` must be class numbers 0 …, got -1 at index \(1\)"),
        ([0.0], None, TypeError, "`y` must be class numbers of an integer type, got dtype float64"),
        ([True], None, TypeError, "`y` must be class numbers of an integer type, got dtype bool"),
        (3, None, ValueError, r"`y` must have shape \(m,\) with m at least 1, got shape \(\)"),
        (np.zeros((1, 1, 1), dtype=int), None, ValueError, r"`y` must have shape \(m,\) with"),
        (np.zeros(0, dtype=int), None, ValueError, r"with m at least 1, got an empty array"),
        ([], None, ValueError, r"`y` must have shape .* got an empty array"),
        (np.array([0, 2**64 - 1], np.uint64), None, ValueError, "got class number 18446744073709"),
        (np.array([2**64 - 1], np.uint64), 3, ValueError, "0 … 2, got 18446744073709551615 at"),
        (
            [0, 10**12], None, ValueError,
            "`y` must leave no class out unless `n_classes` is given, got class number "
            "1000000000000 among 2 objects",
        ),
        ([1, 2], None, ValueError, "got class number 2 among 2 objects"),
        ([0, 1], 10**7 + 1, ValueError, "`n_classes` must be at most 10000000, got 10000001"),
    ],
)  # fmt: skip
def test_what_are_no_class_numbers_is_named(value, n_classes, error, match):
    for check in (check_labels, check_targets):
        with pytest.raises(error, match=match) as caught:
            check("y", value, n_classes=n_classes)
        assert_one_line(caught)


@pytest.mark.parametrize("n_classes", [None, 3])
def test_a_column_of_class_numbers_is_no_distribution(n_classes):
    match = r"`y` must have shape \(m,\) or \(m, K\), got class numbers of shape \(2, 1\)"
    with pytest.raises(ValueError, match=match):
        check_targets("y", [[0], [1]], n_classes=n_classes)
    assert_array_equal(check_targets("y", [[1], [1]]), [[1.0], [1.0]])  # one class


def test_targets_are_one_hot_or_brought_back_to_the_simplex():
    assert_array_equal(check_targets("y", [1, 0]), [[0, 1], [1, 0]])
    assert_array_equal(check_targets("y", [1, 0], n_classes=3), [[0, 1, 0], [1, 0, 0]])
    given = np.float32([[0.1, 0.2, 0.7]])
    found = check_targets("y", given)
    assert found.dtype == np.float64
    assert abs(found.sum() - 1) <= np.finfo(np.float64).eps
    np.testing.assert_allclose(found, given, rtol=np.finfo(np.float32).eps)
    with pytest.raises(ValueError, match="`y` must have 2 classes in its last axis"):
        check_targets("y", given, n_classes=2)
    with pytest.raises(ValueError, match=r"`y` must have shape \(m, K\) with m at least 1"):
        check_targets("y", np.zeros((0, 2)))


def test_numbers_of_a_shape_pass_finite_or_not():
    value = np.array([[np.nan, np.inf]])
    assert check_shape("z", value, (1, 2)) is value
    assert check_shape("z", np.float32(value), (1, 2)).dtype == np.float64
    with pytest.raises(ValueError, match=r"`z` must have shape \(2,\), got shape \(1, 2\)"):
        check_shape("z", value, (2,))


# --- numbers


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.0,
        np.float32(1),
        np.float64(1),
        np.longdouble(1),
        np.uint8(1),
        np.array(1.0),
        Fraction(1),
    ],
)
@pytest.mark.parametrize("check", NUMBER_CHECKS)
def test_numbers_of_any_kind_become_floats(check, value):
    number = check("x", value)
    assert type(number) is float
    assert number == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1", "'1'"),
        (None, "None"),
        (True, "True"),
        (np.True_, "np.True_"),
        (np.array(True), "np.True_"),
        (1j, "1j"),
        (np.complex128(1), r"np.complex128\(1\+0j\)"),
        ([1.0], r"\[1.0\]"),
        (np.ones(1), r"array\(\[1.\]\)"),
        (np.array("1"), r"np.str_\('1'\)"),
    ],
)
@pytest.mark.parametrize("check", NUMBER_CHECKS)
def test_what_is_not_a_number_is_named(check, value, shown):
    with pytest.raises(TypeError, match=f"`x` must be a real number, got {shown}"):
        check("x", value)


@pytest.mark.parametrize("check", [*NUMBER_CHECKS, check_count])
def test_a_large_wrong_value_is_shown_in_one_short_line(check):
    with pytest.raises(TypeError, match=r"got array\(\[\[0\..*\.\.\.$") as caught:
        check("x", np.zeros((50, 50)))
    assert_one_line(caught)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("check", NUMBER_CHECKS)
@pytest.mark.parametrize("value", [10**400, Fraction(-(10**400))])
def test_a_number_beyond_a_double_is_named(check, value):
    with pytest.raises(ValueError, match=r"`x` must fit in a double, got .*1000"):
        check("x", value)


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, -np.inf, np.nan])
def test_what_is_not_positive_is_named(value):
    with pytest.raises(ValueError, match=f"`x` must be finite and positive, got {value}"):
        check_positive("x", value)


@pytest.mark.parametrize("value", [-1e-300, np.inf, -np.inf, np.nan])
def test_what_is_negative_is_named(value):
    with pytest.raises(ValueError, match=f"`x` must be finite and at least 0, got {value}"):
        check_nonnegative("x", value)


@pytest.mark.parametrize("value", [-1e-300, 1 + 1e-15, np.inf, -np.inf, np.nan])
def test_what_is_outside_the_unit_interval_is_named(value):
    with pytest.raises(ValueError, match=rf"`x` must be in \[0, 1\], got {value}"):
        check_in_unit_interval("x", value)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, np.inf, np.nan])
def test_the_ends_of_the_open_unit_interval_are_outside(value):
    assert check_in_open_unit_interval("x", 1e-300) == 1e-300
    with pytest.raises(ValueError, match=rf"`x` must be in \(0, 1\), got {value}"):
        check_in_open_unit_interval("x", value)


@pytest.mark.parametrize("value", [-1.1, 2.1, np.inf, np.nan])
def test_what_is_outside_an_interval_is_named(value):
    assert check_number_between("x", -1, -1, 2) == -1.0
    assert check_number_between("x", 2, -1, 2) == 2.0
    with pytest.raises(ValueError, match=rf"`x` must be in \[-1, 2\], got {value}"):
        check_number_between("x", value, -1, 2)


def test_a_number_with_a_fraction_is_named():
    whole = np.array([0.0, 3.0, 2.0**60])
    assert_array_equal(check_whole_numbers("c", whole), whole)
    with pytest.raises(ValueError, match=r"`c` must be whole numbers, got 1.5 at index \(1\)"):
        check_whole_numbers("c", np.array([1.0, 1.5]))


def test_the_ends_of_the_ranges_pass():
    assert check_positive("x", 5e-324) == 5e-324
    assert check_positive("x", LARGEST) == LARGEST
    assert check_nonnegative("x", 0) == 0
    assert check_in_unit_interval("x", 0) == 0
    assert check_in_unit_interval("x", 1) == 1


# --- counts


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3)])
def test_integers_of_any_kind_become_int(value):
    for least in (0, 3):
        count = check_count("n", value, least=least)
        assert type(count) is int
        assert count == 3


@pytest.mark.parametrize(
    "value", [3.0, np.float64(3), "3", None, True, np.True_, [3], np.array([3]), np.array(3.0)]
)
def test_what_is_not_an_integer_is_named(value):
    with pytest.raises(TypeError, match="`n` must be an integer, got"):
        check_count("n", value)


@pytest.mark.parametrize(("value", "least"), [(-1, 0), (np.int64(2), 3), (0, 1)])
def test_a_count_that_is_too_small_is_named(value, least):
    with pytest.raises(ValueError, match=f"`n` must be at least {least}, got {value}$"):
        check_count("n", value, least=least)


def test_a_count_that_is_too_large_is_named():
    assert check_count("n", 3, most=3) == 3
    with pytest.raises(ValueError, match=r"`n` must be at most 3, got 4$"):
        check_count("n", np.int64(4), most=3)


# --- words, masks, lengths, generators


def test_names_are_as_many_texts_as_there_are_things():
    assert check_names("names", None, ["x0", "x1"]) == ("x0", "x1")
    assert check_names("names", np.array(["a", "b"]), ["x0", "x1"]) == ("a", "b")
    with pytest.raises(ValueError, match=r"`names` must have 2 name\(s\), got 1"):
        check_names("names", ["a"], ["x0", "x1"])


@pytest.mark.parametrize("value", ["ab", 5, [1, 2], ["a", None]])
def test_names_that_are_not_texts_are_refused(value):
    with pytest.raises(TypeError, match="`names` must be a sequence of texts, got"):
        check_names("names", value, ["x0", "x1"])


def test_what_cannot_be_called_is_named():
    check_callable("f", len)
    with pytest.raises(TypeError, match=r"`f` must be callable, got array\(\[0., 0., ") as caught:
        check_callable("f", np.zeros(100))
    assert_one_line(caught)


def test_a_word_of_the_list_passes():
    assert check_choice("mode", "b", ("a", "b")) == "b"


@pytest.mark.parametrize("value", ["c", "", None, 1, ["a"], np.array(["a", "b"])])
def test_a_word_outside_the_list_is_named(value):
    with pytest.raises(ValueError, match="`mode` must be 'a' or 'b', got") as caught:
        check_choice("mode", value, ("a", "b"))
    assert_one_line(caught)


@pytest.mark.parametrize(
    "value", [["a", "b"], [1, 2, 5], [False, True], np.array(["a", "b"], dtype=object)]
)
def test_class_labels_in_ascending_order_pass(value):
    assert_array_equal(check_class_labels("classes", value), np.asarray(value))


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (["a"], r"`classes` must hold at least 2 labels in one dimension, got shape \(1,\)"),
        ("ab", r"`classes` must hold at least 2 labels in one dimension, got shape \(\)"),
        ([[1, 2], [3, 4]], r"`classes` must hold at least 2 labels .* shape \(2, 2\)"),
        (["b", "a"], r"`classes` must be distinct and in ascending order, got \['b', 'a'\]"),
        ([1, 1], r"`classes` must be distinct and in ascending order, got \[1, 1\]"),
        ([0.0, np.nan], r"`classes` must be distinct and in ascending order, got \[0.0, nan\]"),
        (np.array([1, "a"], dtype=object), r"`classes` must be .* got \[1, 'a'\]"),
    ],
)
def test_class_labels_without_an_order_are_named(value, match):
    with pytest.raises(ValueError, match=match) as caught:
        check_class_labels("classes", value)
    assert_one_line(caught)


def test_supports_pass():
    support = np.array([[True, False], [True, True]])
    assert check_support("support", support, 2) is support


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ([[1, 0], [0, 1]], TypeError, "`support` must be an array of bool, got dtype int64"),
        ([True, True], ValueError, r"`support` must have shape \(2, K\) .* got shape \(2,\)"),
        ([[True]], ValueError, r"`support` must have shape \(2, K\) .* got shape \(1, 1\)"),
        (np.ones((2, 0), dtype=bool), ValueError, r"with K at least 1, got shape \(2, 0\)"),
        ([[True, False], [False, False]], ValueError, r"a class in each row, .* at index \(1\)"),
    ],
)
def test_what_is_no_support_is_named(value, error, match):
    with pytest.raises(error, match=match) as caught:
        check_support("support", value, 2)
    assert_one_line(caught)


def test_flags_become_bool():
    for value in (True, np.bool_(True), 1 == 1.0):
        assert check_flag("f", value) is True
    assert check_flag("f", np.bool_(False)) is False


@pytest.mark.parametrize("value", ["no", 1, 0.0, None, [True], np.array([True, False])])
def test_what_is_neither_true_nor_false_is_named(value):
    with pytest.raises(TypeError, match="`f` must be True or False, got ") as caught:
        check_flag("f", value)
    assert_one_line(caught)


def test_only_masked_arrays_are_masked():
    check_not_masked(X=[[1.0]], y=None, teacher=np.ones(2))
    with pytest.raises(TypeError, match="`y` must not be a masked array") as caught:
        check_not_masked(X=np.ones(2), y=np.ma.masked_equal([1, 2], 1))
    assert_one_line(caught)


@pytest.mark.parametrize(
    "labels",
    [
        None,
        [],
        "text",
        ["a", "b"],
        [True, 2, 3.5, np.int8(1)],
        [[1], [2]],
        np.array([1.0, np.nan]),  # found by scikit-learn
        pd.Series([1, 2], dtype="Int64"),
        pd.Categorical(["b", "a"]),
        pd.to_datetime(["2020-01-01", "2021-01-01"]),
    ],
)
def test_labels_of_one_kind_pass(labels):
    check_label_kind("y", labels)


@pytest.mark.parametrize(
    ("labels", "error", "match"),
    [
        (
            ["a", None],
            ValueError,
            r"`y` must hold a label for each object, got None at index \(1\)",
        ),
        ([float("nan"), "a"], ValueError, r"for each object, got nan at index \(0\)"),
        ([["a"], [np.nan]], ValueError, r"got nan at index \(1, 0\)"),
        (pd.array(["a", pd.NA], dtype="string"), ValueError, r"got <NA> at index \(1\)"),
        (pd.Series([1, pd.NA], dtype="Int64"), ValueError, r"got <NA> at index \(1\)"),
        (pd.to_datetime(["2020-01-01", None]).astype(object), ValueError, r"got NaT at"),
        (["a", 1], TypeError, "`y` must hold labels of one type .* sorted, got int and str"),
        (np.array([1, "a"], object), TypeError, "`y` must hold labels of one type .* int and str"),
        ([object(), object()], TypeError, "that can be sorted, got object"),
        (np.ma.masked_equal([1, 2], 1), TypeError, "`y` must not be a masked array"),
    ],
)
def test_labels_of_no_kind_are_named(labels, error, match):
    with pytest.raises(error, match=match) as caught:
        check_label_kind("y", labels)
    assert_one_line(caught)


def test_rows_in_another_order_are_named():
    table = pd.DataFrame({"x": range(3)}, index=["a", "b", "c"])
    match = (
        r"`teacher` must have its rows in the order of `X`, got 'c' at index \(0\), "
        "where `X` has 'a'"
    )
    for other in (table[::-1], table["x"][::-1]):
        with pytest.raises(ValueError, match=match) as caught:
            check_row_order("teacher", other, "X", table)
        assert_one_line(caught)


@pytest.mark.parametrize(
    "other",
    [
        None,
        [1, 2, 3],
        np.arange(3),
        pd.Series([1, 2, 3]),  # another index
        pd.Series([1, 2], index=["b", "a"]),
        pd.Series([1, 2, 3], index=["a", "b", "c"]),
        pd.Series([1, 2, 3], index=["a", "a", "b"]),
    ],
)
def test_rows_of_unknown_order_pass(other):
    check_row_order("teacher", other, "X", pd.DataFrame({"x": range(3)}, index=["a", "b", "c"]))
    check_row_order("teacher", other, "X", np.arange(3))


def test_rows_of_one_name_may_be_in_any_order():
    one, two = (pd.Series(range(3), index=list(names)) for names in ("aab", "abb"))
    check_row_order("teacher", one, "X", two)


def test_masks_pass_and_none_stands_for_all():
    mask = np.array([True, False])
    assert check_mask("m", mask, 2) is mask
    assert_array_equal(check_mask("m", [True, False], 2), mask)
    everything = check_mask("m", None, 3)
    assert everything.dtype == np.bool_
    assert_array_equal(everything, [True] * 3)
    assert check_mask("m", None, 0).shape == (0,)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ([1, 0], TypeError, r"`m` must be a boolean mask, got dtype int64"),
        ([0.0, 1.0], TypeError, r"`m` must be a boolean mask, got dtype float64"),
        ([True, None], TypeError, r"`m` must be a boolean mask, got dtype object"),
        ([True], ValueError, r"`m` must have shape \(2,\), got shape \(1,\)"),
        (True, ValueError, r"`m` must have shape \(2,\), got shape \(\)"),
        ([[True, False]], ValueError, r"`m` must have shape \(2,\), got shape \(1, 2\)"),
        ([[True], [True, False]], ValueError, r"`m` must be a rectangular array, got nested"),
    ],
)
def test_what_is_not_a_mask_is_named(value, error, match):
    with pytest.raises(error, match=match):
        check_mask("m", value, 2)


def test_masked_numbers_are_kept_where_the_mask_is_true_and_zero_elsewhere():
    mask = np.array([True, False, True])
    value = np.array([1.0, np.nan, 3.0])
    assert_array_equal(check_masked_array("s", value, mask), [1.0, 0.0, 3.0])
    assert np.isnan(value[1])
    assert check_masked_array("s", value.astype(np.float32), mask).dtype == np.float32
    nothing = np.full(3, np.nan)
    assert_array_equal(check_masked_array("s", nothing, np.zeros(3, dtype=bool)), [0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ([np.nan, 1.0, np.inf], ValueError, r"`s` must be finite, got inf at index \(2\)"),
        ([1.0, 2.0], ValueError, r"`s` must have shape \(3,\), got shape \(2,\)"),
        (1.0, ValueError, r"`s` must have shape \(3,\), got shape \(\)"),
        ([[1.0, 2.0, 3.0]], ValueError, r"`s` must have shape \(3,\), got shape \(1, 3\)"),
        ([1.0, None, 2.0], TypeError, r"`s` must be an array of real numbers, got dtype object"),
    ],
)
def test_what_is_not_a_masked_array_is_named(value, error, match):
    with pytest.raises(error, match=match):
        check_masked_array("s", value, np.array([False, True, True]))


def test_lengths_that_agree_pass():
    assert check_lengths_agree(X=np.ones((3, 2)), y=np.ones(3)) == 3
    assert check_lengths_agree(y=np.ones(0)) == 0


def test_lengths_that_disagree_are_named():
    with pytest.raises(
        ValueError, match=r"lengths must agree, but `X` has 3, `y` has 2, `s` has 3"
    ):
        check_lengths_agree(X=np.ones((3, 2)), y=np.ones(2), s=np.ones(3))


def test_a_generator_passes():
    rng = np.random.default_rng(0)
    assert check_rng("rng", rng) is rng


@pytest.mark.parametrize(
    ("value", "kind"), [(0, "int"), (None, "NoneType"), (np.random.RandomState, "type")]
)
def test_what_is_not_a_generator_is_named(value, kind):
    with pytest.raises(TypeError, match=f"`rng` must be a numpy.random.Generator, got {kind}"):
        check_rng("rng", value)


# --- folders


@pytest.mark.parametrize("name", ["", "there", "yet/to/be/made"])
def test_folders_that_can_be_written_pass_and_are_not_made(tmp_path, name):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "page").write_text("overwriting is fine")
    folder = tmp_path / name
    assert check_output_folder("out", folder, ["page"]) == folder
    assert check_output_folder("out", str(folder), ["page"]) == folder
    assert not (tmp_path / "yet").exists()


def test_a_relative_folder_is_kept_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not check_output_folder("out", "report", ["page"]).is_absolute()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", r"Not a directory"),
        ("file/below", r"Not a directory"),
        ("taken", r"page in it is a folder"),
        ("n" * 300, r"File name too long"),
    ],
)
def test_folders_that_cannot_be_written_are_named(tmp_path, name, reason):
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / "page").mkdir(parents=True)
    match = rf"`out` must be a folder that can be written, got '.*{name}' \({reason}\)"
    with pytest.raises(ValueError, match=match) as caught:
        check_output_folder("out", tmp_path / name, ["other", "page"])
    assert_one_line(caught)


def test_a_folder_without_a_name_is_named():
    with pytest.raises(ValueError, match=r"`out` must be a folder .* got '' \(no name\)"):
        check_output_folder("out", "", ["page"])


def test_a_folder_that_refuses_files_is_named(tmp_path, monkeypatch):
    # a stand-in: the system lets its superuser write into any folder of the test's own
    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(_checks, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match=r"`out` must be a folder .* \(Permission denied\)"):
        check_output_folder("out", tmp_path / "new", ["page"])
