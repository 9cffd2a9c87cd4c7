"""Log Z and its derivatives in torch: oracle, laws, limits, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from normaliser_cases import CLASSES, cases, make_logits
from scipy.special import gammaln
from test_bromwich import error_bound, hyperbola

from kdtheory import bromwich, divided_differences
from kdtheory.neural import normaliser
from kdtheory.neural.normaliser import (
    covariance_product,
    log_normaliser,
    log_normaliser_and_gradient,
    normaliser_gradient,
)

# the promises: errors over max(1, |exact|)
FLOAT64, FLOAT32 = 1e-12, 1e-5
PRECISIONS = [(torch.float64, FLOAT64), (torch.float32, FLOAT32)]
BOUND = {torch.float64: 1e-16, torch.float32: 2e-7}  # of truncation and aliasing together
EFFECTIVE = [*np.geomspace(1, 10, 19), 20, 50, 100, 300, 1e3, 1e4, 1e5]
ROUNDING = 1e-12  # of the sums of a saddle
HESSIAN_CLASSES = 100  # the core's Hessian takes its time above
SAME = {torch.float64: 1e-13, torch.float32: 1e-6}  # one computation in another order


def error(value, exact):
    value = value.detach().double().numpy()
    return float((np.abs(value - exact) / np.maximum(1, np.abs(exact))).max())


def logits_of(n_classes, dtype, offset=0.0):
    rows = [make_logits(k, spread, kind) for k, spread, kind in cases() if k == n_classes]
    return torch.tensor(np.array(rows) + offset, dtype=dtype)


# --- oracle: the NumPy core


@pytest.mark.parametrize("offset", [0.0, 1000.0, -300.0])
@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize(("dtype", "limit"), PRECISIONS)
def test_values_and_gradients_agree_with_the_core(n_classes, dtype, limit, offset):
    a = logits_of(n_classes, dtype, offset).requires_grad_()
    exact = a.detach().double().numpy()  # offsets round float32 logits: these are the logits
    value = log_normaliser(a)
    assert value.dtype == dtype
    assert error(value, divided_differences.log_normaliser(exact)) <= limit
    mean = divided_differences.normaliser_gradient(exact)
    assert error(normaliser_gradient(a), mean) <= limit
    assert error(torch.autograd.grad(value.sum(), a)[0], mean) <= limit


@pytest.mark.parametrize("n_classes", [k for k in CLASSES if k <= HESSIAN_CLASSES])
@pytest.mark.parametrize(("dtype", "limit"), PRECISIONS)
def test_hessian_products_agree_with_the_core(n_classes, dtype, limit):
    a = logits_of(n_classes, dtype).requires_grad_()
    v = torch.from_numpy(np.random.default_rng(0).normal(size=a.shape)).to(dtype)
    hessian = divided_differences.normaliser_hessian(a.detach().double().numpy())
    exact = np.einsum("bjk,bk->bj", hessian, v.double().numpy())
    assert error(covariance_product(a, v), exact) <= limit
    assert error(torch.autograd.grad(normaliser_gradient(a), a, v)[0], exact) <= limit


@pytest.mark.parametrize(("dtype", "limit"), PRECISIONS)
def test_ranges_up_to_overflow_lose_nothing(dtype, limit):
    deepest = 1e300 if dtype == torch.float64 else 1e37
    a = torch.tensor([[0.0, -1e3, -1e30, -deepest], [deepest, 0.0, 0.0, deepest]], dtype=dtype)
    exact = a.double().numpy()
    assert error(log_normaliser(a), divided_differences.log_normaliser(exact)) <= limit
    assert error(normaliser_gradient(a), divided_differences.normaliser_gradient(exact)) <= limit


def test_random_rows_of_every_range_agree_with_the_core_in_float32():
    rng = np.random.default_rng(1)
    for n_classes in (2, 3, 10, 40, 400):
        rows = rng.normal(size=(60, n_classes)) * 10 ** rng.uniform(-3, 4, size=(60, 1))
        a = torch.tensor(rows, dtype=torch.float32)
        exact = a.double().numpy()
        assert error(log_normaliser(a), divided_differences.log_normaliser(exact)) <= FLOAT32
        mean = divided_differences.normaliser_gradient(exact)
        assert error(normaliser_gradient(a), mean) <= FLOAT32


# --- laws


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("effective", EFFECTIVE)
def test_the_rules_keep_their_error_bounds(dtype, effective, monkeypatch):
    nodes = normaliser._nodes(dtype)
    monkeypatch.setattr(bromwich, "rule_size", lambda _: nodes.size)
    monkeypatch.setattr(
        bromwich, "rule_range", lambda v: np.arcsinh(nodes.near / v**0.5 + nodes.far / v**1.2)
    )
    assert error_bound(effective) < BOUND[dtype]


def test_the_rule_of_float64_is_that_of_the_core():
    one = np.array([1.0])
    assert normaliser.DOUBLE.size == bromwich.rule_size(one)
    end = np.arcsinh(normaliser.DOUBLE.near + normaliser.DOUBLE.far)
    assert end == bromwich.rule_range(one)[0]


def test_no_product_of_a_group_leaves_the_numbers():
    for nodes, dtype in ((normaliser.SINGLE, torch.float32), (normaliser.DOUBLE, torch.float64)):
        eta, _ = hyperbola(np.array(np.arcsinh(nodes.near + nodes.far)), 0.0)
        assert abs(1 + eta) ** nodes.group < torch.finfo(dtype).max
        assert 0.5 ** (nodes.group / 2) > torch.finfo(dtype).tiny


depths = st.lists(
    st.tuples(st.floats(0, 1e4) | st.floats(0, 1e12), st.integers(1, 400)), min_size=1, max_size=6
)


@given(depths)
def test_the_promised_number_of_steps_finds_the_saddle(groups):
    # groups of equal depths are the hardest: one far group of nearly all classes needs 7 steps
    c = np.concatenate([[0.0], *([depth] * size for depth, size in groups)])
    z, inverse = normaliser._saddle(torch.from_numpy(c)[None])
    slack = z.item() * (inverse.sum().item() - 1)
    assert -ROUNDING * c.size <= slack <= bromwich.SADDLE_SLACK


@pytest.mark.parametrize("n_classes", [10, 100, 1000])
def test_the_hardest_saddle_known_is_found(n_classes):
    worst = 0.0
    for depth in n_classes * np.linspace(0.5, 1.5, 201):
        c = torch.full((1, n_classes), depth, dtype=torch.float64)
        c[0, 0] = 0
        z, inverse = normaliser._saddle(c)
        worst = max(worst, z.item() * (inverse.sum().item() - 1))
    assert worst <= bromwich.SADDLE_SLACK


@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_autograd_passes_its_own_checks(n_classes):
    a = torch.randn(3, n_classes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a.requires_grad_()
    v = torch.ones_like(a).requires_grad_()
    assert torch.autograd.gradcheck(log_normaliser, a)
    assert torch.autograd.gradgradcheck(log_normaliser, a)
    assert torch.autograd.gradcheck(normaliser_gradient, a)
    assert torch.autograd.gradcheck(lambda v: covariance_product(a.detach(), v), v)


def test_hessians_of_torch_are_the_covariance():
    a = torch.tensor([1.0, -2.0, 0.5, 0.5], dtype=torch.float64)
    exact = divided_differences.normaliser_hessian(a.numpy())
    reverse = torch.func.jacrev(torch.func.jacrev(log_normaliser))(a)
    assert error(reverse, exact) <= FLOAT64
    assert error(torch.autograd.functional.hessian(log_normaliser, a), exact) <= FLOAT64


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own call
def test_the_hessian_of_torch_func_is_refused_as_it_takes_forward_mode():
    with pytest.raises(RuntimeError, match="jvp"):
        torch.func.hessian(log_normaliser)(torch.zeros(3))


def test_both_from_one_pass_are_the_same():
    a = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 9.0]]).requires_grad_()
    value, mean = log_normaliser_and_gradient(a)
    assert torch.equal(value, log_normaliser(a))
    assert torch.equal(mean, normaliser_gradient(a))
    weights = torch.tensor([1.0, 2.0, 3.0])
    both = torch.autograd.grad(value.sum() + (mean * weights).sum(), a)[0]
    assert torch.allclose(both, mean + covariance_product(a, weights.expand(2, 3)), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_blocks_and_vmap_change_nothing(dtype, monkeypatch):
    a = logits_of(10, dtype)
    whole = log_normaliser_and_gradient(a)
    product = covariance_product(a, a)
    mapped = torch.vmap(log_normaliser_and_gradient)(a)
    mapped_product = torch.vmap(covariance_product, in_dims=(1, 1))(a[:, None], a[:, None])[0]
    fixed = torch.vmap(lambda v: covariance_product(a[0], v))(a)
    monkeypatch.setattr(normaliser, "CACHED_BLOCK", 3000)
    pairs = [
        *zip(whole, log_normaliser_and_gradient(a), strict=True),
        *zip(whole, mapped, strict=True),
        (product, covariance_product(a, a)),
        (product, mapped_product),
        (fixed, covariance_product(a[:1].expand(a.shape), a)),
    ]
    for one, other in pairs:
        assert (one - other).abs().max() <= SAME[dtype] * max(1, one.abs().max())


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=8), st.floats(-1e3, 1e3))
def test_a_common_offset_moves_log_z_by_itself(row, offset):
    a = torch.tensor(row, dtype=torch.float64)
    moved = log_normaliser(a + offset) - offset
    assert abs(moved - log_normaliser(a)) <= 1e-12 * max(1, abs(offset))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler by itself
def test_a_compiled_loss_has_the_same_derivatives():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 6, generator=generator)
    W = torch.randn(6, 3, generator=generator).requires_grad_()  # few: compiling takes its time

    def loss(x, W):
        value, mean = log_normaliser_and_gradient(x @ W)
        return (value - (x @ W).softmax(dim=-1)[:, 0] + mean.square().sum(dim=-1)).mean()

    value = loss(x, W)
    compiled = torch.compile(loss, fullgraph=True)(x, W)
    assert torch.allclose(value, compiled, rtol=1e-6)
    for one, other in zip(
        torch.autograd.grad(value, W), torch.autograd.grad(compiled, W), strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-6)


def test_nothing_waits_for_the_device():
    # meta tensors have no numbers: whoever asked for one would be refused
    a = torch.zeros(7, 2, 10, device="meta", requires_grad=True)
    value, mean = log_normaliser_and_gradient(a)
    (gradient,) = torch.autograd.grad(value.sum() + mean.sum(), a)
    assert value.shape == (7, 2)
    assert gradient.shape == mean.shape == a.shape
    with pytest.raises(RuntimeError):
        value.sum().item()


# --- limits


@pytest.mark.parametrize("n_classes", [1, 2, 7, 60, 2000])
@pytest.mark.parametrize(("dtype", "limit"), PRECISIONS)
def test_equal_logits_give_the_volume_of_the_simplex(n_classes, dtype, limit):
    value, mean = log_normaliser_and_gradient(torch.zeros(n_classes, dtype=dtype))
    assert error(value, -gammaln(n_classes)) <= limit
    assert error(mean * n_classes, 1.0) <= limit


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 4)])
def test_an_empty_batch_is_a_batch(shape):
    a = torch.zeros(shape, requires_grad=True)
    value, mean = log_normaliser_and_gradient(a)
    (value.sum() + mean.sum()).backward()
    assert value.shape == shape[:-1]
    assert mean.shape == a.grad.shape == shape


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_computed_in_float32(dtype):
    a = torch.tensor([1.0, -2.0, 30.0], dtype=dtype, requires_grad=True)
    value = log_normaliser(a)
    assert value.dtype == torch.float32
    assert torch.equal(value, log_normaliser(a.detach().float()))
    value.backward()
    assert a.grad.dtype == dtype


def test_autocast_leaves_the_precision_alone():
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    W = torch.eye(5).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = x @ W
        value = log_normaliser(logits)
    assert logits.dtype == torch.bfloat16
    assert value.dtype == torch.float32
    assert torch.equal(value, log_normaliser(logits.float()))
    value.sum().backward()
    assert W.grad.isfinite().all()


def test_a_row_that_is_not_finite_gives_nan_and_leaves_the_others_alone():
    inf, nan = torch.inf, torch.nan
    a = torch.tensor([[0.0, nan], [inf, 0.0], [-inf, 0.0], [inf, inf], [0.0, 1.0]])
    value, mean = log_normaliser_and_gradient(a)
    assert value.isnan().tolist() == [True] * 4 + [False]
    assert mean.isnan().all(dim=-1).tolist() == [True] * 4 + [False]
    assert covariance_product(a, a.nan_to_num(0, 0, 0)).isnan().any(dim=-1).tolist()[-1] is False
    assert log_normaliser(torch.tensor([1e308, -1e308], dtype=torch.float64)).isnan()


# --- bad input


@pytest.mark.parametrize(
    ("logits", "error", "match"),
    [
        ([0.0, 1.0], TypeError, "`logits` must be a floating tensor, got list"),
        (torch.zeros(3).long(), TypeError, "`logits` must be a floating tensor, got torch.int64"),
        (torch.zeros(3).cfloat(), TypeError, "`logits` must be a floating tensor, got .*complex64"),
        (torch.tensor(1.0), ValueError, r"`logits` must have shape \(\.\.\., K\) .* got \(\)"),
        (torch.zeros(2, 0), ValueError, r"`logits` must have shape .* got \(2, 0\)"),
    ],
)
def test_bad_logits_are_named(logits, error, match):
    with pytest.raises(error, match=match):
        log_normaliser(logits)
    with pytest.raises(error, match=match):
        normaliser_gradient(logits)


def test_a_direction_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"`direction` must have shape \(2, 3\), got \(3,\)"):
        covariance_product(torch.zeros(2, 3), torch.zeros(3))


def test_third_derivatives_are_refused_in_words():
    a = torch.zeros(3, requires_grad=True)
    mean = normaliser_gradient(a)
    (first,) = torch.autograd.grad(mean[0], a, create_graph=True)
    with pytest.raises(NotImplementedError, match="third derivatives of log Z are not there"):
        torch.autograd.grad(first[0], a)
