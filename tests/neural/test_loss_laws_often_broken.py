"""Laws of a distillation loss that published code breaks: one test for each known fault.

A loss that only runs, or that is compared with numbers of its own, passes none of these for sure.
"""

import inspect

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from kdtheory.neural.losses import (
    DistillationLoss,
    DomainDistillationLoss,
    distillation_loss,
    domain_distillation_loss,
)

REGULARISERS = [None, "exact", "printed"]
ROUNDING = 1e-12  # of float64 sums of a few dozen terms
FLOAT32 = 2e-6  # of float32 sums of a few dozen terms

SEED, B, K = 7, 12, 5


@pytest.fixture
def z():
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(B, K, dtype=torch.float64, generator=generator).requires_grad_()


@pytest.fixture
def v():
    generator = torch.Generator().manual_seed(SEED + 1)
    return 2 * torch.randn(B, K, dtype=torch.float64, generator=generator)


@pytest.fixture
def y():
    return torch.randint(0, K, (B,), generator=torch.Generator().manual_seed(SEED + 2))


def soft_part(z, v, temperature=1.0, **options):
    """The teacher's part alone."""
    labels = torch.full((len(z),), -100)
    return distillation_loss(
        z, labels, teacher_logits=v, trust=1.0, temperature=temperature, **options
    )


def entropy(s):
    return -torch.special.xlogy(s, s).sum(dim=1)


# --- which divergence


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("squared", [False, True])
def test_a_student_equal_to_its_teacher_pays_the_entropy_and_no_more(v, temperature, squared):
    """A log-softmax passed for a target, or squares for a divergence, give another number."""
    student = v.clone().requires_grad_()
    loss = soft_part(student, v, temperature, squared_temperature=squared)
    factor = temperature**2 if squared else 1
    expected = factor * entropy((v / temperature).softmax(dim=1)).mean()
    assert_allclose(loss.item(), expected.item(), rtol=ROUNDING)
    (gradient,) = torch.autograd.grad(loss, student)
    assert gradient.abs().max() <= ROUNDING


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_excess_is_the_divergence_of_the_student_from_the_teacher(z, v, temperature):
    """KL(s‖p): with the arguments swapped, or with squares, it is another number."""
    s, log_p = (v / temperature).softmax(dim=1), (z / temperature).log_softmax(dim=1)
    excess = soft_part(z, v, temperature) - entropy(s).mean()
    expected = F.kl_div(log_p, s, reduction="batchmean")
    assert_allclose(excess.item(), expected.item(), rtol=ROUNDING)
    swapped = F.kl_div(s.log(), log_p.exp(), reduction="batchmean")
    assert abs(excess - swapped) > 1e-3


def test_what_the_teacher_excludes_is_free_and_what_the_student_excludes_is_dear():
    """The swapped divergence has it the other way round; a loss below 0 has no logarithm."""
    margin = 50.0
    student = torch.tensor([[margin, 0.0]], dtype=torch.float64)
    sure = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([-100])
    assert distillation_loss(student, labels, sure, trust=1.0) < 1e-20
    half = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    assert_allclose(distillation_loss(student, labels, half, trust=1.0), margin / 2, rtol=ROUNDING)


@pytest.mark.parametrize("trust", [0.0, 0.5, 1.0])
def test_logits_enter_one_softmax_only(trust):
    """After a second softmax no margin brings the loss below log(1 + (K − 1)/e)."""
    z = 100 * torch.eye(K, dtype=torch.float64)
    labels = torch.arange(K)
    loss = distillation_loss(z, labels, torch.eye(K, dtype=torch.float64), trust=trust)
    assert 0 <= loss < 1e-40


def test_log_probabilities_are_logits(z, v, y):
    logits = z.log_softmax(dim=1)
    one = distillation_loss(logits, y, teacher_logits=v.log_softmax(dim=1))
    assert_allclose(one.item(), distillation_loss(z, y, teacher_logits=v).item(), rtol=ROUNDING)


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_the_loss_is_that_of_one_object_whatever_the_other_rows(z, v, y, regulariser):
    """A softmax over the wrong axis mixes the objects of a batch."""
    options = {"temperature": 2.0, "regulariser": regulariser, "reduction": "none"}
    each = distillation_loss(z, y, teacher_logits=v, **options)
    alone = [
        distillation_loss(z[i : i + 1], y[i : i + 1], teacher_logits=v[i : i + 1], **options)
        for i in range(B)
    ]
    assert_allclose(each.detach(), torch.cat(alone).detach(), rtol=ROUNDING)


# --- which mean


def test_the_mean_is_over_objects_and_not_over_classes(z, v):
    """KLDivLoss() and a division by numel make the teacher's part K times too small."""
    total = soft_part(z, v, reduction="sum")
    assert_allclose(soft_part(z, v).item(), total.item() / B, rtol=ROUNDING)


def test_impossible_classes_do_not_change_the_loss(z, v, y):
    """A mean over classes depends on how many there are."""
    wide_z, wide_v = (F.pad(x, (0, 7), value=-1e4) for x in (z, v))
    for function in (distillation_loss, domain_distillation_loss):
        narrow = function(z, y, teacher_logits=v)
        assert_allclose(
            function(wide_z, y, teacher_logits=wide_v).item(), narrow.item(), rtol=ROUNDING
        )


def test_a_batch_twice_has_the_same_mean(z, v, y):
    for function in (distillation_loss, domain_distillation_loss):
        twice = function(z.repeat(2, 1), y.repeat(2), teacher_logits=v.repeat(2, 1))
        once = function(z, y, teacher_logits=v)
        assert_allclose(twice.item(), once.item(), rtol=ROUNDING)


def test_labels_and_teacher_are_averaged_in_the_same_way(z, y):
    """One-hot answers are labels, whatever the trust: else the trust is not what it says."""
    one_hot = F.one_hot(y, K).to(z.dtype)
    for function in (distillation_loss, domain_distillation_loss):
        losses = [function(z, y, one_hot, trust=trust).item() for trust in (0.0, 0.3, 0.9, 1.0)]
        assert_allclose(losses, losses[0], rtol=ROUNDING)


# --- which weight


def test_nothing_is_called_alpha():
    """It is the weight of the labels in some projects and that of the teacher in others."""
    for thing in (
        distillation_loss, DistillationLoss, domain_distillation_loss, DomainDistillationLoss,
    ):  # fmt: skip
        parameters = inspect.signature(thing).parameters
        assert "alpha" not in parameters
        assert "trust" in parameters


def test_more_trust_is_more_of_the_teacher(z, y):
    against = F.one_hot((y + 1) % K, K).to(z.dtype)
    for function in (distillation_loss, domain_distillation_loss):
        for trust in (0.0, 0.25, 1.0):
            found = function(z, y, against, trust=trust)
            ends = [function(z, y), function(z, (y + 1) % K)]
            expected = (1 - trust) * ends[0] + trust * ends[1]
            assert_allclose(found.item(), expected.item(), rtol=ROUNDING)


def test_every_default_can_be_called(z, v, y):
    """A weight of None that is subtracted from 1 fails at the first call."""
    for thing in (
        distillation_loss, DistillationLoss(), domain_distillation_loss, DomainDistillationLoss(),
    ):  # fmt: skip
        assert thing(z, y).isfinite()
        assert thing(z, y, teacher_logits=v).isfinite()


@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_the_factor_squared_temperature_is_there_up_to_both_ends_of_the_trust(
    z, v, y, end, regulariser
):
    """A special case for an end that forgets T² is a jump by that factor."""
    options = {"temperature": 5.0, "regulariser": regulariser, "squared_temperature": True}
    inner = abs(end - 1e-10)
    near, at = (distillation_loss(z, y, teacher_logits=v, trust=t, **options) for t in (inner, end))
    assert_allclose(near.item(), at.item(), rtol=1e-7)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in (near, at)]
    assert_allclose(*gradients, rtol=0, atol=1e-7)


# --- which temperature


def test_hot_gradients_match_centred_logits(z, v):
    """With T², they tend to the differences of centred logits over K, with an error of order 1/T.

    Without centring, or with T² forgotten or applied twice, the limit is another.
    """
    centred = (z - z.mean(dim=1, keepdim=True)) - (v - v.mean(dim=1, keepdim=True))
    limit = (centred / K).detach()
    errors = []
    for temperature in (1e2, 1e3, 1e4):
        loss = soft_part(z, v, temperature, squared_temperature=True, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, z)
        errors.append((gradient - limit).abs().max().item())
    assert errors[-1] < 1e-2 / B
    assert_allclose(errors[0] / np.array(errors), [1, 10, 100], rtol=0.1)


@pytest.mark.parametrize(("squared", "order"), [(False, -2.0), (True, 0.0)])
def test_the_mix_changes_with_the_temperature_unless_it_is_squared(z, v, squared, order):
    """GS (3) has no T²: its teacher's gradient falls as 1/T². With the factor it stays."""
    sizes = []
    for temperature in (1e3, 1e4):
        loss = soft_part(z, v, temperature, squared_temperature=squared)
        (gradient,) = torch.autograd.grad(loss, z)
        sizes.append(gradient.norm().item())
    assert_allclose(np.log10(sizes[1] / sizes[0]), order, atol=0.01)


def test_the_temperature_is_that_of_teacher_and_student_and_not_of_the_labels(z, v, y):
    expected = 0.5 * F.cross_entropy(z, y) + 0.5 * F.cross_entropy(z / 3, (v / 3).softmax(dim=1))
    found = distillation_loss(z, y, teacher_logits=v, temperature=3.0)
    assert_allclose(found.item(), expected.item(), rtol=ROUNDING)


# --- which sign


def test_a_gradient_step_moves_the_student_towards_its_teacher(z, v):
    """The derivative has the sign of p − s, and a step against it lowers the divergence."""
    s = v.softmax(dim=1)
    for function in (distillation_loss, domain_distillation_loss):
        loss = function(z, torch.full((B,), -100), s, trust=1.0)
        (gradient,) = torch.autograd.grad(loss, z)
        if function is distillation_loss:
            assert torch.equal(gradient.sign(), (z.softmax(dim=1) - s).sign())
        after = z - 0.1 * gradient
        for divergence in (
            lambda x: F.kl_div(x.log_softmax(dim=1), s, reduction="batchmean"),
            lambda x: ((x.softmax(dim=1) - s) ** 2).sum(),
        ):
            assert divergence(after) < divergence(z)


def test_the_printed_regulariser_pushes_away_from_the_vertices():
    """−Σ (log g + log log 1/g) grows without bound towards a vertex."""
    near, far = (
        distillation_loss(
            torch.tensor([[margin, 0.0, 0.0]]), torch.tensor([-100]),
            torch.tensor([[1.0, 0.0, 0.0]]), trust=1.0, regulariser="printed",
        ).item()
        for margin in (5.0, 50.0)
    )  # fmt: skip
    assert far > near + 40


# --- whose rows


def test_an_answer_belongs_to_the_object_of_its_row(z, v, y):
    """Answers in another order than the objects are another loss."""
    order = torch.roll(torch.arange(B), 1)
    right = distillation_loss(z, y, teacher_logits=v)
    moved = distillation_loss(z[order], y[order], teacher_logits=v[order])
    assert_allclose(moved.item(), right.item(), rtol=ROUNDING)
    assert abs(distillation_loss(z, y, teacher_logits=v[order]) - right) > 1e-3


# --- large margins and few digits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("margin", [200.0, 1e3, 1e4])
@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_a_margin_is_a_loss_of_its_size_and_not_infinite(margin, regulariser, dtype):
    """The logarithm of a softmax that has underflown is −∞ at a margin of 200."""
    z = torch.tensor([[0.0, margin, 0.0]], dtype=dtype, requires_grad=True)
    teacher = torch.tensor([[1.0, 0.0, 0.0]], dtype=dtype)
    for trust in (0.0, 0.5, 1.0):
        loss = distillation_loss(
            z, torch.tensor([0]), teacher, trust=trust, regulariser=regulariser
        )
        (gradient,) = torch.autograd.grad(loss, z)
        assert gradient.isfinite().all()
        if regulariser is None:
            assert_allclose(loss.item(), margin, rtol=FLOAT32)
            assert_allclose(gradient, [[-1, 1, 0]], atol=FLOAT32)
        assert margin / 2 < loss < 4 * margin


@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("margin", [1.0, 200.0])
def test_two_classes_are_no_special_case(regulariser, margin):
    """A loss over the classes besides the label has nothing left at K = 2."""
    z = torch.tensor([[0.0, margin]], requires_grad=True)
    loss = distillation_loss(
        z, torch.tensor([0]), torch.tensor([[0.9, 0.1]]), regulariser=regulariser
    )
    loss.backward()
    assert loss.isfinite()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("margin", [0.0, 20.0, 1e4])
def test_half_precision_needs_no_guard(margin, regulariser, dtype):
    """1e-8 is 0 in float16, and the logarithm that it guards is infinite."""
    model = nn.Linear(3, 3).to(dtype)
    inputs = margin * torch.eye(3, dtype=dtype)
    teacher = torch.eye(3, dtype=dtype)
    loss = distillation_loss(
        model(inputs), torch.tensor([0, 2, 1]), teacher, regulariser=regulariser
    )
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_a_finite_loss_has_a_finite_gradient(regulariser):
    """A where() around an infinite branch gives a finite value and 0 · ∞ in its derivative."""
    for margin in np.linspace(0, 120, 241):
        z = torch.tensor([[margin, 0.0, 0.0], [margin, margin, 0.0]], dtype=torch.float32)
        z.requires_grad_()
        teacher = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        loss = distillation_loss(
            z, torch.tensor([0, 1]), teacher, temperature=0.5, regulariser=regulariser
        )
        loss.backward()
        assert loss.isfinite()
        assert z.grad.isfinite().all()


def test_a_student_that_is_lost_is_not_hidden(v, y):
    """NaN logits give a NaN loss: a run must be able to see them."""
    lost = torch.full_like(v, torch.nan)
    for function in (distillation_loss, domain_distillation_loss):
        assert function(lost, y, teacher_logits=v).isnan()


# --- what a loss must not touch


def test_modes_of_models_are_left_as_they_are(y):
    """Evaluation that switches to eval() and not back freezes the student from then on."""
    student = nn.Sequential(nn.Linear(3, K), nn.BatchNorm1d(K), nn.Dropout(0.5))
    teacher = nn.Sequential(nn.Linear(3, K), nn.Dropout(0.5)).eval()
    inputs = torch.randn(B, 3, generator=torch.Generator().manual_seed(SEED))
    loss = DistillationLoss(0.5, 4.0)
    loss(student(inputs), y, teacher_logits=teacher(inputs)).backward()
    assert all(module.training for module in student.modules())
    assert not any(module.training for module in teacher.modules())
    assert loss.training


def test_a_teacher_is_not_trained_by_its_student(y):
    student, teacher = nn.Linear(3, K), nn.Linear(3, K)
    inputs = torch.randn(B, 3, generator=torch.Generator().manual_seed(SEED))
    before = [parameter.detach().clone() for parameter in teacher.parameters()]
    optimiser = torch.optim.SGD([*student.parameters(), *teacher.parameters()], lr=1.0)
    distillation_loss(student(inputs), y, teacher_logits=teacher(inputs)).backward()
    optimiser.step()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(x, y) for x, y in zip(teacher.parameters(), before, strict=True))
