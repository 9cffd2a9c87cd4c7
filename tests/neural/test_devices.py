"""The device that is there."""

import pytest
import torch

from kdtheory.neural.devices import check_dense, check_device


def test_the_processor_is_always_there():
    assert check_device("device", torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", 1.5, "xpu"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ValueError, match=rf"`--device` must be a device that .*{device}"):
        check_device("--device", device)


def test_a_device_without_numbers_is_refused():
    with pytest.raises(
        ValueError, match="`device` must be a device that holds numbers, got 'meta'"
    ):
        check_device("device", "meta")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.ones(2, 2).to_sparse(), "must be a dense tensor .*, got one of sparse_coo"),
        (torch.ones(2, device="meta"), "must be a dense tensor .*, got one of meta"),
        (torch.ones(2) * 1j, "must be real numbers, got torch.complex64"),
    ],
)
def test_a_tensor_without_all_its_real_numbers_is_refused(tensor, words):
    with pytest.raises(TypeError, match=f"`X` {words}"):
        check_dense("X", tensor)
