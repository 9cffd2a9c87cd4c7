"""The stateless order of an epoch: a permutation for each pair of seed and epoch."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdtheory.neural.batches import IGNORED, epoch_order

FIVE_ERRORS = 5.0  # standard errors: exceeded by chance once in two million
NUMBERS = st.integers(0, 2**40)


# --- oracle


def test_an_order_is_that_of_numpy_s_generator_of_both_numbers():
    expected = np.random.default_rng((5, 2, 1)).permutation(30)
    assert epoch_order(30, 5, 2).tolist() == expected.tolist()


def test_the_ignored_label_is_torch_s():
    assert torch.nn.CrossEntropyLoss().ignore_index == IGNORED


# --- laws


@given(st.integers(1, 200), NUMBERS, NUMBERS)
def test_every_object_is_seen_once(m, seed, epoch):
    order = epoch_order(m, seed, epoch)
    assert order.dtype == torch.int64
    assert order.device.type == "cpu"
    assert sorted(order.tolist()) == list(range(m))


@given(st.integers(1, 50), NUMBERS, NUMBERS)
def test_an_order_is_a_function_of_its_numbers(m, seed, epoch):
    assert torch.equal(epoch_order(m, seed, epoch), epoch_order(m, seed, epoch))


@given(NUMBERS, NUMBERS)
def test_seeds_and_epochs_have_orders_of_their_own(seed, epoch):
    # 64 objects: two independent orders are equal once in 1e89
    order = epoch_order(64, seed, epoch)
    others = [(seed + 1, epoch), (seed, epoch + 1), (seed + 2**32, epoch), (seed, epoch + 2**32)]
    if seed != epoch:
        others.append((epoch, seed))
    for pair in others:
        assert not torch.equal(order, epoch_order(64, *pair))


@given(NUMBERS)
def test_no_epoch_repeats_what_is_drawn_by_the_seed_alone(seed):
    """NumPy takes (seed, 0) for the seed itself, from which the data may have been drawn."""
    drawn = np.random.default_rng(seed).permutation(64)
    assert epoch_order(64, seed, 0).tolist() != drawn.tolist()


def test_no_generator_is_moved_or_asked():
    torch.manual_seed(0)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = epoch_order(20, 1, 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    torch.manual_seed(1)
    assert torch.equal(epoch_order(20, 1, 1), first)


@pytest.mark.parametrize("fixed", ["seed", "epoch"])
def test_all_orders_of_three_objects_are_equally_frequent(fixed):
    n = 3000
    counts = Counter(
        tuple(epoch_order(3, *((1, i) if fixed == "seed" else (i, 1))).tolist()) for i in range(n)
    )
    error = np.sqrt(n / 6 * 5 / 6)
    for order in permutations(range(3)):
        assert abs(counts[order] - n / 6) < FIVE_ERRORS * error


# --- limits


def test_one_object_has_one_order():
    assert epoch_order(1, 0, 0).tolist() == [0]


def test_an_order_can_be_written_to_and_used_as_an_index():
    order = epoch_order(4, 0, 0)
    assert torch.arange(4)[order].tolist() == order.tolist()
    order[0] = 0


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((0, 0, 0), ValueError, "`n_objects` must be at least 1, got 0"),
        ((2.0, 0, 0), TypeError, "`n_objects` must be an integer, got 2.0"),
        ((2, -1, 0), ValueError, "`seed` must be at least 0, got -1"),
        ((2, 0, -1), ValueError, "`epoch` must be at least 0, got -1"),
        ((2, 0.5, 0), TypeError, "`seed` must be an integer, got 0.5"),
        ((2, 0, None), TypeError, "`epoch` must be an integer, got None"),
    ],
)
def test_bad_input_is_named(arguments, error, match):
    with pytest.raises(error, match=match):
        epoch_order(*arguments)
