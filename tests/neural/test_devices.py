"""The device that is there."""

import pytest
import torch

from kdtheory.neural import check_device


def test_the_processor_is_always_there():
    assert check_device("device", torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", 1.5, "xpu"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(ValueError, match=rf"`--device` must be a device that .*{device}"):
        check_device("--device", device)
