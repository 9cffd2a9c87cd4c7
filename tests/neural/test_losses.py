"""The losses of distillation in torch against those of numpy, their laws, limits, bad input."""

import copy
import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F

from kdtheory.neural.losses import (
    DistillationLoss,
    DomainDistillationLoss,
    distillation_loss,
    domain_distillation_loss,
)
from kdtheory.objectives import distillation_objective, hinton_objective, multi_domain_objective
from kdtheory.softening import soften
from kdtheory.testing import logits as logit_rows
from kdtheory.testing import temperatures, trusts

REGULARISERS = [None, "exact", "printed"]
# of a row's size: a few roundings of the margins, each by 1.2e-7 or 2.2e-16; log Z has 1e-12
ACCURACY = {torch.float32: 1e-6, torch.float64: 2e-12}
ROUNDING = {torch.float32: 2e-6, torch.float64: 1e-14}  # of sums in another order
HALVES = [torch.float16, torch.bfloat16]


class Batch:
    """Labels, some unknown; answers, nan where there are none; a mask: as arrays and tensors."""

    def __init__(self, K=5, *, scale=3.0, dtype=torch.float64, m=24, seed=0):
        rng = np.random.default_rng((K, seed))
        kind = {torch.float32: np.float32, torch.float64: np.float64}[dtype]
        self.z = (rng.normal(size=(m, K)) * scale).astype(kind)
        self.y = rng.integers(0, K, m)
        self.v = (rng.normal(size=(m, K)) * 4).astype(kind)
        self.s = soften(self.v)
        self.inside = rng.random(m) < 0.6
        self.known = rng.random(m) < 0.8
        self.c = rng.uniform(0.5, 2, m).astype(kind)
        self.labels = torch.from_numpy(np.where(self.known, self.y, -100))
        self.all_labels = torch.from_numpy(self.y)
        self.teacher = torch.from_numpy(np.where(self.inside[:, None], self.s, kind(np.nan)))
        self.answers = torch.from_numpy(self.s)
        self.teacher_logits = torch.from_numpy(self.v)
        self.mask = torch.from_numpy(self.inside)
        self.weight = torch.from_numpy(self.c)

    @property
    def logits(self):
        return torch.tensor(self.z, requires_grad=True)


def value_and_gradient(loss, z):
    """Values and gradients of the objects, as arrays."""
    values = loss(z)
    (gradient,) = torch.autograd.grad(values.sum(), z)
    return values.detach().numpy(), gradient.numpy()


def expected(b, trust, temperature, regulariser, squared):
    """Values, gradients and their sizes, from `kdtheory.objectives`."""
    weights = {"privileged": b.inside, "sample_weight": b.c, "trust": trust}
    z = b.z.astype(np.float64)
    at = distillation_objective(
        b.y, b.s, temperature=temperature, regulariser=regulariser,
        squared_temperature=squared, **weights,
    ).at(z)  # fmt: skip
    of_labels = np.where(b.inside, 1 - trust, 1.0) * b.c
    of_teacher = np.where(b.inside, trust, 0.0) * b.c * (temperature**2 if squared else 1)
    labels = distillation_objective(b.y, n_classes=b.z.shape[1]).at(z)
    lost = np.where(b.known, 0, of_labels)  # the unknown labels
    values = at.values - lost * labels.values
    gradient = at.gradient - lost[:, None] * labels.gradient
    span, K = np.ptp(z, axis=1), b.z.shape[1]
    terms = K if regulariser == "printed" else 1
    value_size = of_labels * (1 + span) + of_teacher * (1 + terms * span / temperature)
    gradient_size = of_labels + of_teacher * terms / temperature
    return values, gradient, value_size, gradient_size[:, None]


# --- oracle: the objectives of numpy


@pytest.mark.parametrize("dtype", ACCURACY)
@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize(("temperature", "squared"), [(1.0, False), (4.0, True), (0.5, False)])
@pytest.mark.parametrize(("K", "scale"), [(2, 1.0), (3, 30.0), (3, 300.0), (10, 3.0), (10, 1e4)])
def test_values_and_gradients_are_those_of_the_objective(
    K, scale, temperature, squared, regulariser, dtype
):
    b = Batch(K, scale=scale, dtype=dtype)
    for trust in (0.3, 1.0):
        values, gradient = value_and_gradient(
            lambda z, trust=trust: distillation_loss(
                z, b.labels, b.teacher, privileged=b.mask, trust=trust, temperature=temperature,
                regulariser=regulariser, squared_temperature=squared, sample_weight=b.weight,
                reduction="none",
            ),
            b.logits,
        )  # fmt: skip
        v, g, v_size, g_size = expected(b, trust, temperature, regulariser, squared)
        assert (np.abs(values - v) <= ACCURACY[dtype] * v_size).all()
        assert (np.abs(gradient - g) <= ACCURACY[dtype] * g_size).all()


@pytest.mark.parametrize("regulariser", REGULARISERS)
@given(z=logit_rows((2, 6), max_offset=10.0), T=temperatures(0.1, 1e3), trust=trusts())
def test_any_row_has_the_value_and_gradient_of_the_objective(regulariser, z, T, trust):
    s = soften(np.cos(np.arange(len(z)))[None])  # any answer
    values, gradient = value_and_gradient(
        lambda t: distillation_loss(
            t, torch.tensor([1]), torch.from_numpy(s), trust=trust, temperature=T,
            regulariser=regulariser,
        ),
        torch.tensor(z[None], requires_grad=True),
    )  # fmt: skip
    at = distillation_objective([1], s, trust=trust, temperature=T, regulariser=regulariser).at(
        z[None]
    )
    size = len(z) * (1 + np.ptp(z) * (1 + 1 / T))
    assert_allclose(values, at.values[0], rtol=0, atol=ACCURACY[torch.float64] * size)
    atol = ACCURACY[torch.float64] * len(z) * (1 + 1 / T)
    assert_allclose(gradient, at.gradient, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", ACCURACY)
@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("K", "scale"), [(2, 1.0), (3, 30.0), (10, 3.0), (10, 1e4)])
def test_squares_of_domains_are_those_of_the_objective(K, scale, trust, dtype):
    b = Batch(K, scale=scale, dtype=dtype)
    at = multi_domain_objective(b.y, b.s, trust=trust, sample_weight=b.c).at(b.z)
    values, gradient = value_and_gradient(
        lambda z: domain_distillation_loss(
            z, b.all_labels, b.answers, trust=trust, sample_weight=b.weight, reduction="none"
        ),
        b.logits,
    )
    assert_allclose(values, at.values, rtol=0, atol=4 * ACCURACY[dtype])  # 2 is the largest, c ≤ 2
    assert_allclose(gradient, at.gradient, rtol=0, atol=4 * ACCURACY[dtype])


def test_hinton_s_loss_is_twice_the_loss_at_one_half():
    b = Batch()
    options = {"temperature": 3.0, "squared_temperature": True}
    loss = 2 * distillation_loss(
        torch.from_numpy(b.z), b.all_labels, teacher_logits=b.teacher_logits, trust=0.5,
        reduction="sum", **options,
    )  # fmt: skip
    total = hinton_objective(b.y, b.v, **options).at(b.z).values.sum()
    assert_allclose(loss.item(), total, rtol=ACCURACY[torch.float64])


def test_the_sum_over_objects_is_the_total_of_the_objective():
    b = Batch()
    options = {"trust": 0.7, "temperature": 2.0, "regulariser": "exact"}
    total = distillation_objective(b.y, b.s, privileged=b.inside, **options).at(b.z).values.sum()
    loss = distillation_loss(
        torch.from_numpy(b.z),
        b.all_labels,
        b.teacher,
        privileged=b.mask,
        reduction="sum",
        **options,
    )
    assert_allclose(loss.item(), total, rtol=ACCURACY[torch.float64])


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_products_with_the_hessian_are_those_of_the_objective(regulariser):
    b = Batch(4)
    options = {"trust": 0.6, "temperature": 2.0, "regulariser": regulariser}
    z = b.logits
    loss = distillation_loss(
        z, b.all_labels, b.teacher, privileged=b.mask, reduction="sum", **options
    )
    (gradient,) = torch.autograd.grad(loss, z, create_graph=True)
    direction = np.random.default_rng(3).normal(size=b.z.shape)
    (product,) = torch.autograd.grad((gradient * torch.from_numpy(direction)).sum(), z)
    at = distillation_objective(b.y, b.s, privileged=b.inside, **options).at(b.z)
    atol = 100 * ACCURACY[torch.float64]  # differences of gradients of size 1, over L²
    assert_allclose(product, at.hessian_product(direction), rtol=0, atol=atol)


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_derivatives_are_those_of_differences(regulariser):
    b = Batch(3, m=5)
    trust, temperature = (torch.tensor(x, dtype=torch.float64) for x in (0.4, 2.0))

    def loss(z, trust, temperature):
        return distillation_loss(
            z, b.labels, teacher_logits=b.teacher_logits, privileged=b.mask, trust=trust,
            temperature=temperature, regulariser=regulariser, squared_temperature=True,
        )  # fmt: skip

    arguments = b.logits, trust.requires_grad_(), temperature.requires_grad_()
    assert torch.autograd.gradcheck(loss, arguments)
    assert torch.autograd.gradgradcheck(loss, arguments)


@pytest.mark.parametrize("kind", ["squares", "cross-entropy"])
def test_derivatives_of_domains_are_those_of_differences(kind):
    b = Batch(3, m=5)
    loss = DomainDistillationLoss(0.4, kind)
    assert torch.autograd.gradcheck(lambda z: loss(z, b.labels, b.answers), b.logits)
    assert torch.autograd.gradgradcheck(lambda z: loss(z, b.labels, b.answers), b.logits)


# --- laws


@pytest.fixture(params=[*REGULARISERS, "squares", "cross-entropy"])
def loss(request):
    """Every loss, with T² and T where it has them."""
    if request.param in ("squares", "cross-entropy"):
        return DomainDistillationLoss(0.3, request.param)
    return DistillationLoss(0.3, 2.0, request.param, squared_temperature=True)


def changed(loss, **changes):
    other = copy.copy(loss)
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def test_function_and_module_are_the_same(loss):
    b = Batch()
    functions = {
        DistillationLoss: distillation_loss,
        DomainDistillationLoss: domain_distillation_loss,
    }
    function = functions[type(loss)]
    names = set(inspect.signature(type(loss)).parameters)
    options = {name: getattr(loss, name) for name in names}
    arrays = {"privileged": b.mask, "sample_weight": b.weight}
    for reduction in ("mean", "sum", "none"):
        found = changed(loss, reduction=reduction)(b.logits, b.labels, b.teacher, **arrays)
        again = function(
            b.logits, b.labels, b.teacher, **arrays, **(options | {"reduction": reduction})
        )
        assert torch.equal(found, again)


def test_defaults_of_function_and_module_are_the_same():
    for module, function in (
        (DistillationLoss, distillation_loss),
        (DomainDistillationLoss, domain_distillation_loss),
    ):
        of_function = inspect.signature(function).parameters
        for name, parameter in inspect.signature(module).parameters.items():
            assert parameter.default == of_function[name].default


def test_a_module_holds_nothing_to_be_trained_or_saved(loss):
    assert not list(loss.parameters())
    assert not loss.state_dict()
    b = Batch()
    twin = copy.deepcopy(loss).eval()
    assert torch.equal(twin(b.logits, b.labels, b.answers), loss(b.logits, b.labels, b.answers))


def test_a_module_shows_its_numbers():
    assert "trust=0.3, temperature=2.0, regulariser='exact'" in repr(
        DistillationLoss(0.3, 2.0, "exact")
    )
    assert "trust=tensor on meta" in repr(DistillationLoss(torch.tensor(0.3, device="meta")))
    assert "loss='cross-entropy'" in repr(DomainDistillationLoss(loss="cross-entropy"))


def test_a_trust_to_be_learned_is_a_parameter():
    loss = DistillationLoss(nn.Parameter(torch.tensor(0.3)))
    assert [name for name, _ in loss.named_parameters()] == ["trust"]


@pytest.mark.parametrize("dtype", ACCURACY)
def test_the_mean_of_a_batch_is_the_weighted_mean_of_its_shards(loss, dtype):
    b = Batch(dtype=dtype)
    shards = [slice(0, 3), slice(3, 10), slice(10, 24)]
    z = torch.from_numpy(b.z)
    for weight in (None, b.weight):
        sizes = torch.ones(24) if weight is None else weight
        total = sum(
            loss(
                z[i], b.labels[i], b.teacher[i], privileged=b.mask[i],
                sample_weight=None if weight is None else weight[i],
            )
            * sizes[i].sum()
            for i in shards
        )  # fmt: skip
        whole = loss(z, b.labels, b.teacher, privileged=b.mask, sample_weight=weight)
        assert_allclose(total / sizes.sum(), whole, rtol=ROUNDING[dtype])


def test_reductions_are_of_the_same_losses(loss):
    b = Batch()
    arguments = b.logits, b.labels, b.answers
    each = changed(loss, reduction="none")(*arguments)
    assert each.shape == (24,)
    assert_allclose(
        changed(loss, reduction="sum")(*arguments).item(), each.sum().item(), rtol=1e-15
    )
    assert_allclose(loss(*arguments).item(), each.mean().item(), rtol=1e-15)


def test_a_whole_weight_stands_for_copies(loss):
    b = Batch(m=4)
    copies = torch.tensor([1, 3, 0, 2])
    rows = torch.repeat_interleave(torch.arange(4), copies)
    z = torch.from_numpy(b.z)
    weighted = loss(z, b.labels, b.answers, sample_weight=copies.double())
    repeated = loss(z[rows], b.labels[rows], b.answers[rows])
    assert_allclose(weighted, repeated, rtol=ROUNDING[torch.float64])


def test_the_order_of_objects_does_not_matter(loss):
    b = Batch()
    order = torch.from_numpy(np.random.default_rng(1).permutation(24))
    each = changed(loss, reduction="none")
    z = torch.from_numpy(b.z)
    moved = each(z[order], b.labels[order], b.teacher[order], privileged=b.mask[order])
    still = each(z, b.labels, b.teacher, privileged=b.mask)[order]
    assert_allclose(moved, still, rtol=1e-15)


def test_the_names_of_classes_do_not_matter(loss):
    b = Batch(4)
    order = torch.tensor([2, 0, 3, 1])
    z, rank = torch.from_numpy(b.z), torch.argsort(order)
    moved = loss(z[:, order], rank[b.all_labels], b.answers[:, order])
    assert_allclose(moved, loss(z, b.all_labels, b.answers), rtol=ACCURACY[torch.float64])


def test_a_shift_of_the_logits_changes_nothing(loss):
    b = Batch()
    z = torch.from_numpy(b.z)
    moved = loss(z + 100.0, b.labels, b.answers)
    assert_allclose(moved, loss(z, b.labels, b.answers), rtol=1e-11)  # z is rounded at 100


def test_an_unknown_label_has_neither_value_nor_gradient():
    b = Batch()
    none = torch.full_like(b.labels, -100)
    for function in (distillation_loss, domain_distillation_loss):
        values, gradient = value_and_gradient(
            lambda z, f=function: f(z, none, reduction="none"), b.logits
        )
        assert not values.any()
        assert not gradient.any()


def test_any_number_may_stand_for_an_unknown_label(loss):
    b = Batch()
    named = torch.where(b.labels == -100, 255, b.labels).to(torch.uint8)
    other = changed(loss, ignore_index=255)
    assert torch.equal(other(b.logits, named, b.answers), loss(b.logits, b.labels, b.answers))


def test_without_a_teacher_it_is_torch_s_cross_entropy():
    b = Batch()
    found = distillation_loss(b.logits, b.all_labels, trust=0.9)
    assert_allclose(found.item(), F.cross_entropy(b.logits, b.all_labels).item(), rtol=1e-15)


def test_domains_by_cross_entropy_are_distillation_at_temperature_one():
    b = Batch()
    arguments = b.logits, b.labels, b.teacher
    one = domain_distillation_loss(*arguments, privileged=b.mask, trust=0.3, loss="cross-entropy")
    two = distillation_loss(*arguments, privileged=b.mask, trust=0.3)
    assert torch.equal(one, two)


def test_logits_of_the_teacher_are_softened_at_the_temperature_of_the_loss():
    b = Batch()
    softened = torch.from_numpy(soften(b.v, 3.0))
    loss = DistillationLoss(0.3, 3.0)
    one = loss(b.logits, b.labels, teacher_logits=b.teacher_logits)
    assert_allclose(one.item(), loss(b.logits, b.labels, softened).item(), rtol=1e-14)
    squares = DomainDistillationLoss(0.3)
    two = squares(b.logits, b.labels, teacher_logits=b.teacher_logits)
    assert_allclose(two.item(), squares(b.logits, b.labels, b.answers).item(), rtol=1e-14)


@pytest.mark.parametrize("given", ["teacher", "teacher_logits"])
def test_answers_outside_the_set_are_not_looked_at(loss, given):
    b = Batch()
    good = b.answers if given == "teacher" else b.teacher_logits
    results = []
    for poison in (np.nan, np.inf, 0.5):
        dirty = torch.where(b.mask[:, None], good, poison)
        values = value_and_gradient(
            lambda z, dirty=dirty: changed(loss, reduction="none")(
                z, b.labels, privileged=b.mask, **{given: dirty}
            ),
            b.logits,
        )
        results.append(values)
        assert all(np.isfinite(part).all() for part in values)
    for result in results[1:]:
        assert all(np.array_equal(x, y) for x, y in zip(result, results[0], strict=True))


def test_a_nan_answer_outside_the_set_does_not_reach_a_temperature_to_be_learned():
    b = Batch()
    temperature = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    dirty = torch.where(b.mask[:, None], b.teacher_logits, np.nan)
    loss = distillation_loss(
        b.logits, b.labels, teacher_logits=dirty, privileged=b.mask, temperature=temperature
    )
    loss.backward()
    assert temperature.grad.isfinite()


def test_a_full_mask_is_no_mask_and_an_empty_one_no_teacher(loss):
    b = Batch()
    full, empty = torch.ones(24, dtype=torch.bool), torch.zeros(24, dtype=torch.bool)
    arguments = b.logits, b.labels
    masked = loss(*arguments, b.answers, privileged=full)
    assert_allclose(masked.item(), loss(*arguments, b.answers).item(), rtol=1e-15)
    masked = loss(*arguments, b.answers, privileged=empty)
    assert_allclose(masked.item(), loss(*arguments).item(), rtol=1e-15)


def test_without_trust_the_teacher_is_not_looked_at(loss):
    b = Batch()
    ignoring = changed(loss, trust=0.0)
    lost = torch.full_like(b.answers, np.nan)
    for mask in (None, b.mask):
        found = ignoring(b.logits, b.labels, lost, privileged=mask)
        assert torch.equal(found, loss(b.logits, b.labels))


def test_at_full_trust_labels_of_the_set_are_not_looked_at(loss):
    b = Batch()
    trusting = changed(loss, trust=1.0)
    nonsense = torch.full_like(b.labels, 10**6)
    assert trusting(b.logits, nonsense, b.answers).isfinite()
    partly = trusting(
        b.logits, torch.where(b.mask, nonsense, b.labels), b.answers, privileged=b.mask
    )
    whole = trusting(b.logits, b.labels, b.answers, privileged=b.mask)
    assert torch.equal(partly, whole)


def test_a_tensor_for_a_number_is_the_number():
    b = Batch()
    numbers = DistillationLoss(0.3, 2.0, "exact", squared_temperature=True)
    trust, temperature = (torch.tensor(x, dtype=torch.float64) for x in (0.3, 2.0))
    tensors = DistillationLoss(trust, temperature, "exact", squared_temperature=True)
    for mask in (None, b.mask):
        one, two = (
            loss(b.logits, b.labels, teacher_logits=b.teacher_logits, privileged=mask).item()
            for loss in (numbers, tensors)
        )
        assert_allclose(one, two, rtol=1e-15)


@pytest.mark.parametrize("given", ["teacher", "teacher_logits"])
def test_no_gradient_flows_into_the_teacher(loss, given):
    b = Batch()
    answers = b.answers if given == "teacher" else b.teacher_logits
    answers = answers.clone().requires_grad_()
    z = b.logits
    loss(z, b.labels, **{given: answers}).backward()
    assert answers.grad is None
    assert z.grad.any()


def test_arguments_are_not_written_to(loss):
    b = Batch()
    tensors = [b.logits, b.labels, b.teacher, b.mask, b.weight]
    before = [tensor.detach().clone() for tensor in tensors]
    loss(*tensors[:3], privileged=b.mask, sample_weight=b.weight).backward()
    for tensor, copied in zip(tensors, before, strict=True):
        assert torch.equal(torch.nan_to_num(tensor), torch.nan_to_num(copied))


# --- laws of precision


def of_the_bracket(T, regulariser, z, *, squared, answers):
    """Value and gradient at λ = 1, of logits of the student's and the teacher's type."""
    labels = torch.zeros(len(z), dtype=torch.long)
    return value_and_gradient(
        lambda t: distillation_loss(
            t, labels, **answers, trust=1.0, temperature=T, regulariser=regulariser,
            squared_temperature=squared, reduction="none",
        ),
        z.clone().requires_grad_(),
    )  # fmt: skip


@pytest.mark.parametrize("given", ["teacher", "teacher_logits"])
@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("T", [8.0, 10.0, 1e2, 1e4, 1e8])
def test_high_temperatures_lose_no_digits_of_the_gradient(T, squared, regulariser, given):
    b = Batch(10, dtype=torch.float32)
    v = torch.from_numpy(b.v)
    answers = {given: v if given == "teacher_logits" else (v.double() / T).softmax(1)}
    value, gradient = of_the_bracket(
        T, regulariser, torch.from_numpy(b.z), squared=squared, answers=answers
    )
    at = distillation_objective(
        b.y, soften(b.v.astype(np.float64), T), temperature=T, regulariser=regulariser,
        squared_temperature=squared, trust=1.0,
    ).at(b.z.astype(np.float64))  # fmt: skip
    size = np.abs(at.gradient).max()  # about 1/T² of the margins without r
    assert_allclose(gradient, at.gradient, rtol=0, atol=ACCURACY[torch.float32] * size)
    # T² stands before log Z, which has 1e-12
    limit = ACCURACY[torch.float32] * np.abs(at.values) + 1e-12 * (T * T if squared else 1)
    assert (np.abs(value - at.values) <= limit).all()


def test_the_exact_bracket_of_equal_logits_keeps_its_digits_times_t_squared():
    s, T = torch.tensor([[0.3, 0.7]], dtype=torch.float64), 1000.0
    value, gradient = of_the_bracket(
        T, "exact", torch.zeros(1, 2), squared=True, answers={"teacher": s}
    )
    assert abs(value.item()) <= 1e-12 * T * T  # log Z = 0
    assert_allclose(gradient, [[0.2 * T, -0.2 * T]], rtol=ACCURACY[torch.float32])


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_a_high_temperature_returns_the_type_of_the_loss(regulariser):
    b = Batch(dtype=torch.float32)
    for dtype in (*HALVES, torch.float32):
        z = torch.from_numpy(b.z).to(dtype).requires_grad_()
        value = distillation_loss(
            z, b.labels, b.teacher, privileged=b.mask, temperature=100.0, regulariser=regulariser
        )
        value.backward()
        assert value.dtype == torch.float32
        assert z.grad.dtype == dtype


@pytest.mark.parametrize("dtype", HALVES)
def test_halves_are_computed_in_float32(loss, dtype):
    b = Batch(dtype=torch.float32)
    half, answers = torch.from_numpy(b.z).to(dtype).requires_grad_(), b.answers.to(dtype)
    found = loss(half, b.labels, answers, privileged=b.mask)
    assert found.dtype == torch.float32
    same = half.detach().float().requires_grad_()
    reference = loss(same, b.labels, answers.float(), privileged=b.mask)
    assert torch.equal(found, reference)
    (gradient,) = torch.autograd.grad(found, half)
    (full,) = torch.autograd.grad(reference, same)
    assert torch.equal(gradient, full.to(dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_does_not_touch_the_loss(loss, dtype):
    b = Batch(dtype=torch.float32)
    z = b.logits
    arguments = b.labels, b.teacher
    outside = loss(z, *arguments, privileged=b.mask)
    with torch.autocast("cpu", dtype=dtype):
        inside = loss(z, *arguments, privileged=b.mask)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)
    assert torch.equal(*(torch.autograd.grad(value, z)[0] for value in (inside, outside)))


@pytest.mark.parametrize("dtype", HALVES)
def test_a_network_under_autocast_has_finite_gradients(loss, dtype):
    b = Batch(dtype=torch.float32)
    model = nn.Linear(5, 5)
    with torch.autocast("cpu", dtype=dtype):
        logits = model(1e3 * torch.from_numpy(b.z))
        assert logits.dtype == dtype
        value = loss(logits, b.labels, b.teacher, privileged=b.mask)
    value.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_float64_answers_to_float32_logits_give_float32(loss):
    b = Batch(dtype=torch.float32)
    assert loss(b.logits, b.labels, b.answers.double()).dtype == torch.float32
    z = b.logits.detach().double()
    assert loss(z, b.labels, b.answers).dtype == torch.float64


# --- laws of the step: nothing waits for the device, nothing leaves the compiled graph


@pytest.mark.parametrize("mask", [False, True])
def test_a_step_reads_no_value_from_the_device(loss, mask):
    """A tensor on "meta" has no values: reading one would raise."""
    b = Batch()
    on_meta = {
        "privileged": b.mask.to("meta") if mask else None,
        "sample_weight": b.weight.to("meta"),
    }
    z, labels, v = b.logits.to("meta"), b.labels.to("meta"), b.teacher_logits.to("meta")
    for trust in (0.0, 0.3, 1.0, torch.tensor(0.3, device="meta")):
        found = changed(loss, trust=trust)(z, labels, teacher_logits=v, **on_meta)
        assert found.shape == ()
        (gradient,) = torch.autograd.grad(found, z)
        assert gradient.shape == z.shape


# torch's own tracer makes the object that it warns of
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_the_loss_is_one_graph(loss):
    b = Batch(dtype=torch.float32)
    torch.compiler.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    results = []
    for function in (loss, compiled):
        z = b.logits
        value = function(z, b.labels, b.teacher, privileged=b.mask, sample_weight=b.weight)
        value.backward()
        results.append((value.detach(), z.grad))
    for one, two in zip(*results, strict=True):
        assert_allclose(one, two, rtol=0, atol=ROUNDING[torch.float32])


def test_the_functions_are_one_graph_too():
    b = Batch(dtype=torch.float32)
    torch.compiler.reset()
    for function in (distillation_loss, domain_distillation_loss):
        compiled = torch.compile(function, fullgraph=True, backend="eager")
        for trust in (0.0, 0.25, 0.75, 1.0):  # changing numbers become symbols of the graph
            arguments = {"teacher_logits": b.teacher_logits, "trust": trust}
            one = compiled(b.logits, b.labels, **arguments).item()
            two = function(b.logits, b.labels, **arguments).item()
            assert_allclose(one, two, rtol=ROUNDING[torch.float32])


# --- limits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES])
@pytest.mark.parametrize("margin", [10.0, 19.9, 20.1, 100.0, 200.0, 1e3, 1e4, 6e4])
@pytest.mark.parametrize("K", [2, 3])
def test_values_and_gradients_are_finite_at_large_margins(loss, K, margin, dtype):
    z = torch.eye(3, K, dtype=dtype) * margin
    z[2] = -z[0]
    z.requires_grad_()
    labels = torch.tensor([1, 1, -100])
    teacher = torch.tensor([[0.0, 1.0, 0.0][:K], [0.0, 1.0, 0.0][:K], [1 / K] * K], dtype=dtype)
    found = changed(loss, reduction="none")(z, labels, teacher)
    assert found.isfinite().all()
    assert (found[0] > 0).all()
    (gradient,) = torch.autograd.grad(found.sum(), z)
    assert gradient.isfinite().all()
    assert gradient[0, 1] < 0 or isinstance(loss, DomainDistillationLoss)


@pytest.mark.parametrize("dtype", ACCURACY)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 8.0])
def test_the_printed_regulariser_is_smooth_where_its_forms_meet(dtype, temperature):
    margins = np.linspace(19.5, 20.8, 14) * temperature
    z = np.stack([margins, np.zeros(14)], axis=1).astype(str(dtype).removeprefix("torch."))
    s = np.full((14, 2), 0.5)
    options = {"trust": 1.0, "temperature": temperature, "regulariser": "printed"}
    values, gradient = value_and_gradient(
        lambda t: distillation_loss(
            t, torch.zeros(14, dtype=torch.long), torch.from_numpy(s), reduction="none", **options
        ),
        torch.tensor(z, requires_grad=True),
    )
    at = distillation_objective(np.zeros(14, dtype=int), s, **options).at(z.astype(np.float64))
    assert_allclose(values, at.values, rtol=ACCURACY[dtype])
    assert_allclose(gradient, at.gradient, rtol=ACCURACY[dtype])


def test_close_classes_far_below_the_top_keep_their_shares_of_the_odds():
    """In float32, differences of depths around 300 would have an error of 1e-5."""
    z = np.array([[300.0, 0.1, 0.2], [300.7, 1e-3, 0.0]], dtype=np.float32)
    s = np.full((2, 3), 1 / 3)
    options = {"trust": 1.0, "regulariser": "printed"}
    _, gradient = value_and_gradient(
        lambda t: distillation_loss(
            t, torch.tensor([0, 0]), torch.from_numpy(s), reduction="none", **options
        ),
        torch.tensor(z, requires_grad=True),
    )
    at = distillation_objective([0, 0], s, n_classes=3, **options).at(z.astype(np.float64))
    assert_allclose(gradient, at.gradient, rtol=0, atol=ACCURACY[torch.float32])


@pytest.mark.parametrize("regulariser", REGULARISERS)
@pytest.mark.parametrize("temperature", [1e-18, 1e18])
def test_the_hottest_and_the_coldest_are_finite(regulariser, temperature):
    z = torch.tensor([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 1])
    loss = distillation_loss(
        z, labels, teacher_logits=z.detach(), temperature=temperature, regulariser=regulariser
    )
    loss.backward()
    assert loss.isfinite()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_what_overflows_outside_the_set_counts_for_nothing(regulariser):
    z = torch.tensor([[1e30, -1e30], [1.0, 0.0]], requires_grad=True)  # the first z/T is infinite
    labels, mask = torch.tensor([0, 0]), torch.tensor([False, True])
    loss = distillation_loss(
        z, labels, teacher_logits=torch.zeros(2, 2), privileged=mask, temperature=1e-18,
        regulariser=regulariser, reduction="none",
    )  # fmt: skip
    loss[0].backward()
    assert loss[0] == 0
    assert not z.grad.any()


def test_the_largest_logits_of_a_teacher_are_a_sure_answer():
    z, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([-100])
    v = torch.tensor([[1e30, -1e30]])  # v/T is infinite
    options = {"trust": 1.0, "temperature": 1e-18}
    loss = distillation_loss(z, labels, teacher_logits=v, **options)
    assert loss == distillation_loss(z, labels, torch.tensor([[1.0, 0.0]]), **options)


def test_what_overflows_in_a_class_without_answer_counts_for_nothing():
    z = torch.tensor([[1e30, -1e30]], requires_grad=True)  # d/T is infinite
    loss = distillation_loss(
        z, torch.tensor([0]), torch.tensor([[1.0, 0.0]]), temperature=1e-18, trust=0.5
    )
    loss.backward()
    assert loss.item() == 0
    assert not z.grad.any()


def test_one_class_costs_nothing():
    z = torch.zeros(3, 1)
    labels = torch.zeros(3, dtype=torch.long)
    assert distillation_loss(z, labels, torch.ones(3, 1)) == 0
    assert domain_distillation_loss(z, labels, torch.ones(3, 1)) == 0
    exact = distillation_loss(z, labels, torch.ones(3, 1), regulariser="exact")
    assert abs(exact) <= ACCURACY[torch.float32]


def test_equal_logits_have_their_value_in_closed_form():
    K = 4
    z = torch.zeros(1, K, dtype=torch.float64)
    s = torch.full((1, K), 1 / K, dtype=torch.float64)
    labels = torch.tensor([0])
    L = np.log(K)
    options = {"trust": 1.0, "reduction": "sum"}
    assert_allclose(distillation_loss(z, labels, s, **options), L, rtol=1e-15)
    printed = distillation_loss(z, labels, s, regulariser="printed", **options)
    assert_allclose(printed, L + K * (L - np.log(L)), rtol=1e-14)
    exact = distillation_loss(z, labels, s, regulariser="exact", **options)
    assert_allclose(exact, -np.log(6), rtol=1e-12)  # the volume of the simplex, 1/3!
    squares = domain_distillation_loss(z, labels, s, trust=0.0, reduction="sum")
    assert_allclose(squares, (K - 1) / K, rtol=1e-15)


def test_the_loss_tends_to_its_value_at_both_ends_of_the_trust(loss):
    b = Batch()
    arguments = b.logits, b.labels, b.teacher
    for end in (0.0, 1.0):
        near = changed(loss, trust=abs(end - 1e-9))(*arguments, privileged=b.mask)
        at_end = changed(loss, trust=end)(*arguments, privileged=b.mask)
        assert_allclose(near.item(), at_end.item(), rtol=1e-6)


# --- bad input


Z, Y = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)
S = torch.full((4, 3), 1 / 3)
MASK = torch.ones(4, dtype=torch.bool)


@pytest.mark.parametrize("function", [distillation_loss, domain_distillation_loss])
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"logits": Z.numpy()}, TypeError, "`logits` must be a torch tensor, got ndarray"),
        ({"logits": Z.long()}, TypeError, r"`logits` must be floating point, got torch.int64"),
        ({"logits": Z[0]}, ValueError, r"`logits` must have shape \(B, K\) .*, got shape \(3,\)"),
        ({"logits": Z[:0]}, ValueError, r"`logits` .* B and K at least 1, got shape \(0, 3\)"),
        ({"labels": [0] * 4}, TypeError, "`labels` must be a torch tensor, got list"),
        ({"labels": Y.float()}, TypeError, "`labels` must be class numbers .*, got torch.float32"),
        ({"labels": Y[:, None]}, ValueError, r"`labels` must have shape \(4,\), got .* \(4, 1\)"),
        (
            {"labels": Y.to("meta")},
            ValueError,
            "`labels` must be on the device of `logits`, cpu, got meta",
        ),
        (
            {"teacher": S[:, :2]},
            ValueError,
            "`teacher` must have the 3 classes of the student's `logits`, got 2",
        ),
        ({"teacher": S[:3]}, ValueError, r"`teacher` must have shape \(4, 3\), got .* \(3, 3\)"),
        ({"teacher": S[0]}, ValueError, r"`teacher` must have shape \(4, 3\), got shape \(3,\)"),
        ({"teacher": Y}, TypeError, "`teacher` must be floating point, got torch.int64"),
        ({"teacher": S.numpy()}, TypeError, "`teacher` must be a torch tensor, got ndarray"),
        (
            {"teacher": S.to("meta")},
            ValueError,
            "`teacher` must be on the device of `logits`, cpu, got meta",
        ),
        (
            {"teacher_logits": S},
            ValueError,
            "`teacher` and `teacher_logits` must not both be given",
        ),
        (
            {"teacher": None, "teacher_logits": S[:, :1]},
            ValueError,
            "`teacher_logits` must have the 3 classes of the student's `logits`, got 1",
        ),
        (
            {"teacher": None, "privileged": MASK},
            ValueError,
            "`privileged` must be None without a teacher, got a mask",
        ),
        (
            {"privileged": MASK.to("meta")},
            ValueError,
            "`privileged` must be on the device of `logits`, cpu, got meta",
        ),
        ({"privileged": MASK.int()}, TypeError, "`privileged` must be bool, got torch.int32"),
        ({"privileged": [True] * 4}, TypeError, "`privileged` must be a torch tensor, got list"),
        (
            {"privileged": MASK[:3]},
            ValueError,
            r"`privileged` must have shape \(4,\), got .*\(3,\)",
        ),
        (
            {"sample_weight": Y},
            TypeError,
            "`sample_weight` must be floating point, got torch.int64",
        ),
        ({"sample_weight": S}, ValueError, r"`sample_weight` must have shape \(4,\)"),
        ({"trust": 1.5}, ValueError, r"`trust` must be in \[0, 1\], got 1.5"),
        ({"trust": None}, TypeError, "`trust` must be a real number, got None"),
        ({"trust": torch.ones(4)}, ValueError, r"`trust` must be a number, or .* got shape \(4,\)"),
        ({"trust": torch.tensor(1)}, ValueError, r"`trust` .* of torch.int64"),
        ({"reduction": "batchmean"}, ValueError, "`reduction` must be 'mean' or 'sum' or 'none'"),
        ({"ignore_index": 0.5}, TypeError, "`ignore_index` must be an integer, got 0.5"),
    ],
)
def test_bad_input_is_named(function, change, error, match):
    with pytest.raises(error, match=match):
        function(**({"logits": Z, "labels": Y, "teacher": S} | change))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"temperature": 0.0}, ValueError, r"`temperature` must be in \[1e-18, 1e\+18\], got 0.0"),
        ({"temperature": float("nan")}, ValueError, "`temperature` must be in .*, got nan"),
        ({"temperature": "hot"}, TypeError, "`temperature` must be a real number, got 'hot'"),
        ({"regulariser": "kl"}, ValueError, "`regulariser` must be 'printed' or 'exact', got 'kl'"),
        ({"squared_temperature": 1}, TypeError, "`squared_temperature` must be True or False"),
        ({"trust": -0.1}, ValueError, r"`trust` must be in \[0, 1\], got -0.1"),
        ({"reduction": "batchmean"}, ValueError, "`reduction` must be 'mean' or 'sum' or 'none'"),
        ({"ignore_index": None}, TypeError, "`ignore_index` must be an integer, got None"),
    ],
)
def test_bad_numbers_are_named_by_function_and_module(change, error, match):
    with pytest.raises(error, match=match):
        distillation_loss(Z, Y, S, **change)
    with pytest.raises(error, match=match):
        DistillationLoss(**change)


def test_bad_losses_of_domains_are_named():
    for make in (DomainDistillationLoss, lambda **k: domain_distillation_loss(Z, Y, S, **k)):
        with pytest.raises(
            ValueError, match="`loss` must be 'squares' or 'cross-entropy', got 'l1'"
        ):
            make(loss="l1")


def test_the_printed_regulariser_refuses_a_single_class():
    with pytest.raises(ValueError, match="must not be 'printed' for a single class"):
        distillation_loss(Z[:, :1], Y, S[:, :1], regulariser="printed")


def test_a_label_out_of_range_is_refused_by_torch():
    for function in (distillation_loss, domain_distillation_loss):
        with pytest.raises((IndexError, RuntimeError), match=r"out of bounds"):
            function(Z, Y + 3, S)
