"""The networks of the papers: their sizes, shapes and seeds."""

import re
import subprocess
import sys

import pytest
import torch
from torch import nn

from kdtheory.neural.models import (
    gs_student,
    gs_teacher,
    md_student,
    md_teacher,
    n_parameters,
)

MODELS = [gs_teacher, gs_student, md_teacher, md_student]


def layers(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


def pixels(m):
    return torch.rand(m, 784, generator=torch.Generator().manual_seed(0))


# --- oracle: what the papers print


def test_the_teacher_of_gs_has_thirty_thousand_parameters():
    assert n_parameters(gs_teacher()) == 30_000


def test_the_teacher_of_gs_has_two_convolutions_and_three_linear_layers():
    teacher = gs_teacher()
    assert len(layers(teacher, nn.Conv2d)) == 2
    assert len(layers(teacher, nn.Linear)) == 3
    assert len(layers(teacher, nn.ReLU)) == 4  # after every layer but the last


def test_students_have_a_weight_for_each_pixel_and_class_and_an_intercept():
    for student in (gs_student(), md_student()):
        assert n_parameters(student) == 784 * 10 + 10 == 7850


def test_the_networks_of_md_have_four_layers_and_one():
    assert len(layers(md_teacher(), nn.Linear)) == 4
    assert len(layers(md_teacher(), nn.ReLU)) == 3
    assert len(layers(md_student(), nn.Linear)) == 1


def test_a_student_is_an_affine_map_of_its_pixels():
    student, x = gs_student(), pixels(6)
    weight, intercept = student.parameters()
    torch.testing.assert_close(student(x), x @ weight.T + intercept)


# --- laws


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("m", [1, 7])
def test_rows_of_pixels_become_rows_of_logits(model, m):
    logits = model()(pixels(m))
    assert logits.shape == (m, 10)
    assert logits.isfinite().all()


@pytest.mark.parametrize("model", MODELS)
def test_rows_do_not_see_each_other(model):
    network, x = model(), pixels(5)
    alone = torch.cat([network(x[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(network(x), alone)


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_is_a_network(model):
    one, same, other = model(3), model(3), model(4)
    for x, y in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.equal(x, y)
    for x, y in zip(one.parameters(), other.parameters(), strict=True):
        assert not torch.equal(x, y)


@pytest.mark.parametrize("model", MODELS)
def test_the_default_seed_is_zero(model):
    one, same = (list(network.parameters()) for network in (model(), model(0)))
    assert all(torch.equal(x, y) for x, y in zip(one, same, strict=True))


@pytest.mark.parametrize("model", MODELS)
def test_the_global_generator_is_neither_moved_nor_asked(model):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = model(3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    for x, y in zip(one.parameters(), model(3).parameters(), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_draws_what_torch_draws_after_manual_seed(model):
    """So that a loop of the reader's own starts from the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = next(module for module in model(5).modules() if hasattr(module, "weight"))
        torch.manual_seed(3)
        twin = type(first)(
            *(
                (first.in_features, first.out_features)
                if isinstance(first, nn.Linear)
                else (first.in_channels, first.out_channels, first.kernel_size)
            )
        )
    assert torch.equal(next(iter(model(3).parameters())), twin.weight)


@pytest.mark.parametrize("model", MODELS)
def test_every_parameter_has_a_gradient(model):
    network = model()
    network(pixels(4)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_frozen_parameters_are_not_counted():
    student = gs_student()
    next(iter(student.parameters())).requires_grad_(False)
    assert n_parameters(student) == 10


# --- limits


@pytest.mark.parametrize("model", MODELS)
def test_black_and_white_images_are_images(model):
    for shade in (0.0, 1.0):
        assert model()(torch.full((2, 784), shade)).isfinite().all()


def test_a_network_without_parameters_has_none():
    assert n_parameters(nn.ReLU()) == 0


# --- bad input


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("seed", "error", "match"),
    [
        (-1, ValueError, "`seed` must be at least 0, got -1"),
        (0.5, TypeError, "`seed` must be an integer, got 0.5"),
        (None, TypeError, "`seed` must be an integer, got None"),
        (2**63, ValueError, "`seed` must be at most 9223372036854775807, got 9223372036854775808"),
    ],
)
def test_bad_seeds_are_named(model, seed, error, match):
    with pytest.raises(error, match=match):
        model(seed)


def test_what_is_no_network_has_no_parameters():
    with pytest.raises(TypeError, match=r"`model` must be a torch.nn.Module, got float"):
        n_parameters(1.5)


@pytest.mark.parametrize("missing", ["torch", "safetensors"])
def test_a_missing_extra_is_one_line(missing):
    script = f"import sys; sys.modules[{missing!r}] = None; import kdtheory.neural"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(r"ModuleNotFoundError: `kdtheory.neural` needs .*'kdtheory\[neural\]'$", last)
    assert done.stderr.count("Traceback") == 1


@pytest.mark.parametrize("model", MODELS)
def test_images_of_another_size_are_refused(model):
    with pytest.raises(RuntimeError, match=r"783|7056"):
        model()(torch.zeros(9, 783))
