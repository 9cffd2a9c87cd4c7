"""The continuous categorical distribution in torch: oracle, laws, limits, bad input."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch.distributions import constraints, kl_divergence

import kdtheory
from kdtheory.neural import distributions
from kdtheory.neural.distributions import ContinuousCategorical

FLOAT64 = 1e-12  # the promise of log Z and of its derivatives
FLOAT32 = 1e-5
SOLVED = 1e-12  # of log P(s_1 > x), which is solved to rounding
ERRORS = 4.5  # standard errors: 7e-6 by chance, for each of some hundred numbers
UNLIKELY = 1e-4  # p-value of a Kolmogorov–Smirnov test, for each of a few dozen
DIFFERENCE = 1e-5  # step of central differences; what they leave is its square
DRAWS = 2000

BATCH = [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [-1000.0, 0.0, 5.0], [700.0, 700.0, 690.0]]
ROWS = [
    [0.3, -0.8],
    [0.0, 1e3],
    [0.0, 0.0, 0.0],
    [1e3, 0.0, -1e3],
    [2.0, 2.0, -5.0],
    [0.0] * 9 + [20.0],
    np.linspace(-3.0, 3.0, 10).tolist(),
]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(20261)


def tensor(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


# --- oracle: the NumPy core, mpmath, simulation


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, FLOAT64), (torch.float32, FLOAT32)])
def test_the_distribution_agrees_with_the_numpy_core(dtype, limit):
    ours = ContinuousCategorical(logits=tensor(BATCH, dtype))
    core = kdtheory.ContinuousCategorical(logits=np.array(BATCH))
    s = tensor([0.2, 0.3, 0.5], dtype)
    pairs = [
        (ours.log_prob(s), core.log_prob(s.double().numpy())),
        (ours.mean, core.mean()),
        (ours.covariance_matrix, core.covariance()),
        (ours.variance, np.diagonal(core.covariance(), axis1=1, axis2=2)),
        (ours.entropy(), core.entropy()),
    ]
    for value, exact in pairs:
        assert value.dtype == dtype
        error = np.abs(value.double().numpy() - exact) / np.maximum(1, np.abs(exact))
        assert error.max() <= limit


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("logits", [[1000.0, 1.0, 0.5], [0.1, 0.2, 0.3]]),
        ("probs", [[0.5, 0.25, 0.25], [0.75, 0.125, 0.125]]),
    ],
)
def test_parameters_in_halves_are_those_of_the_numpy_core_as_rounded(by, rows, dtype):
    given = tensor(rows, dtype)
    ours = ContinuousCategorical(**{by: given})
    core = kdtheory.ContinuousCategorical(**{by: given.double().numpy()})
    s = tensor([0.1, 0.5, 0.4], torch.float32)
    pairs = [
        (ours.log_prob(s), core.log_prob(s.double().numpy())),
        (ours.mean, core.mean()),
        (ours.covariance_matrix, core.covariance()),
        (ours.entropy(), core.entropy()),
    ]
    for value, exact in pairs:
        assert value.dtype == torch.float32
        error = np.abs(value.double().numpy() - exact) / np.maximum(1, np.abs(exact))
        assert error.max() <= FLOAT32
    draws = ours.sample((DRAWS,)).double()
    spread = np.sqrt(np.diagonal(core.covariance(), axis1=1, axis2=2) / DRAWS)
    assert (np.abs(draws.mean(dim=0).numpy() - core.mean()) / spread).max() < ERRORS


def test_small_means_in_halves_keep_the_order_of_their_classes():
    logits = tensor([1000.0, 1.0, 0.5], torch.bfloat16)
    mean = ContinuousCategorical(logits=logits).mean.double().numpy()
    exact = kdtheory.ContinuousCategorical(logits=logits.double().numpy()).mean()
    assert np.abs(mean / exact - 1).max() <= FLOAT32
    assert mean[1] > mean[2]


def bernoulli_truth(logit):
    """Mean and variance of s_1 for logits (λ, 0), with 40 digits."""
    with mpmath.workdps(40):
        x = mpmath.mpf(float(logit))
        if x == 0:
            return 0.5, 1 / 12
        mean = 1 / (1 - mpmath.exp(-x)) - 1 / x
        variance = 1 / x**2 - 1 / (4 * mpmath.sinh(x / 2) ** 2)
        return float(mean), float(variance)


@pytest.mark.parametrize("logit", [0.0, 1e-4, -1e-3, 0.006, 1.0, 16.0, 20.0, 50.0, 100.0, 1e4])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, FLOAT64), (torch.float32, FLOAT32)])
def test_two_classes_are_the_continuous_bernoulli(logit, dtype, limit):
    logits = tensor([logit, 0.0], dtype)
    ours = ContinuousCategorical(logits=logits)
    mean, variance = bernoulli_truth(logits[0])
    assert abs(float(ours.mean[0]) - mean) <= limit
    assert abs(float(ours.variance[0]) / variance - 1) <= limit
    assert float(ours.stddev[0]) > 0
    x = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    density = ours.log_prob(torch.stack([x, 1 - x], dim=-1).to(dtype)).double().exp()
    if abs(logit) <= 100:  # where the grid resolves the density: midpoints would err by 1e-8
        assert abs(float(torch.trapezoid(density, x)) - 1) <= max(limit, 1e-6)


@pytest.mark.parametrize("near", [0.4985, 0.499, 0.4995, 0.4999, 0.5])
def test_the_variance_near_one_half_keeps_its_digits_in_float32(near):
    probs = tensor([near, 1 - near], torch.float32)
    logit = mpmath.log(mpmath.mpf(float(probs[0])) / mpmath.mpf(float(probs[1])))
    _, variance = bernoulli_truth(logit)
    assert abs(float(ContinuousCategorical(probs).variance[0]) / variance - 1) <= FLOAT32


@pytest.mark.parametrize("logits", ROWS, ids=lambda row: f"K={len(row)}:{row[0]:g}:{row[-1]:g}")
def test_draws_have_the_moments_and_marginals_of_the_distribution(logits):
    ours = ContinuousCategorical(logits=tensor(logits))
    core = kdtheory.ContinuousCategorical(logits=np.array(logits))
    s = ours.sample((DRAWS,))
    centred = s - ours.mean
    assert (centred.mean(dim=0) / (ours.variance / DRAWS).sqrt()).abs().max() < ERRORS
    products = centred[:, :, None] * centred[:, None, :] - ours.covariance_matrix
    spread = (products.var(dim=0) / DRAWS).sqrt()
    assert (products.mean(dim=0).abs() / spread).max() < ERRORS + 1  # products have heavier tails
    for k in {0, len(logits) // 2, len(logits) - 1}:
        assert kstest(s[:, k].numpy(), lambda x, k=k: core.marginal_cdf(x, k)).pvalue > UNLIKELY


# --- laws


depths = st.lists(
    st.floats(0, 1e3) | st.floats(0, 1e12) | st.sampled_from([0.0, 40.0]), min_size=1, max_size=12
)


@given(depths, st.floats(1e-9, 45))
def test_the_quantile_solves_its_equation(depths, level):
    c = tensor([*sorted(depths, reverse=True), 0.0])[None]
    w = distributions._survival_quantile(c, tensor([level]))
    x = -np.expm1(-w.item())
    core = kdtheory.log_normaliser
    row = c[0].numpy()
    log_survival = (
        -row[0] * x - (row.size - 1) * w.item() + core(-np.exp(-w.item()) * row) - core(-row)
    )
    assert abs(log_survival + level) <= SOLVED * max(1, level, abs(core(-row)))


def test_fewer_newton_steps_do_not_solve_it(monkeypatch):
    monkeypatch.setattr(distributions, "ROUGH_STEPS", 0)
    c = tensor([40.0] * 5 + [0.0])[None]
    w = distributions._survival_quantile(c, tensor([30.0]))
    monkeypatch.undo()
    exact = distributions._survival_quantile(c, tensor([30.0]))
    assert abs(w - exact) > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_lie_on_the_simplex_and_repeat_with_the_seed(dtype):
    ours = ContinuousCategorical(logits=tensor(BATCH, dtype))
    torch.manual_seed(5)
    s = ours.rsample((3, 7))
    torch.manual_seed(5)
    assert torch.equal(s, ours.rsample((3, 7)))
    assert s.dtype == dtype
    assert s.shape == (3, 7, 4, 3)
    assert (s >= 0).all()
    assert (s.sum(dim=-1) - 1).abs().max() <= 4 * torch.finfo(dtype).eps
    assert constraints.simplex.check(s).all()


@pytest.mark.parametrize("logits", [[0.3, -0.8], [1.0, 1.1, 0.0], [4.0, -6.0, 0.0, 1.0]])
def test_the_derivatives_of_a_draw_are_those_of_differences(logits):
    a = tensor(logits)
    weights = torch.arange(1.0, len(logits) + 1, dtype=torch.float64)

    def draw(a):
        torch.manual_seed(3)
        return ContinuousCategorical(logits=a).rsample((5,)) @ weights

    exact = torch.autograd.functional.jacobian(draw, a)
    for k in range(len(logits)):
        shift = torch.zeros_like(a)
        shift[k] = DIFFERENCE
        difference = (draw(a + shift) - draw(a - shift)) / (2 * DIFFERENCE)
        assert torch.allclose(exact[:, k], difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("logits", [[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]])
def test_the_derivative_of_an_expectation_is_the_mean_derivative_of_draws(logits):
    # at ties too, where a single draw jumps as the order of the classes changes
    a = tensor(logits).requires_grad_()
    value = tensor([1.0, -2.0, 0.5])
    exact = torch.autograd.grad(ContinuousCategorical(logits=a).mean @ value, a)[0]
    many = a.detach().expand(DRAWS, 3).clone().requires_grad_()
    draws = ContinuousCategorical(logits=many).rsample() @ value
    each = torch.autograd.grad(draws.sum(), many)[0]
    assert ((each.mean(dim=0) - exact) / (each.std(dim=0) / DRAWS**0.5)).abs().max() < ERRORS


def test_the_entropy_is_minus_the_mean_log_density():
    ours = ContinuousCategorical(logits=tensor([0.5, -1.0, 2.0]))
    values = -ours.log_prob(ours.sample((DRAWS,)))
    assert abs(values.mean() - ours.entropy()) < ERRORS * values.std() / DRAWS**0.5


def test_the_entropy_has_the_derivative_of_an_exponential_family():
    # d (log Z − ⟨a, μ⟩) = −Cov a
    a = tensor(BATCH[0]).requires_grad_()
    ours = ContinuousCategorical(logits=a)
    slope = torch.autograd.grad(ours.entropy(), a)[0]
    assert torch.allclose(slope, -ours.covariance_matrix.detach() @ a.detach(), atol=FLOAT64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=st.integers(0, 10**6), size=st.floats(-12, 3))
def test_divergence_is_never_negative_and_agrees_with_the_core(dtype, seed, size):
    rng = np.random.default_rng(seed)
    a = tensor(rng.normal(scale=3, size=(4, 5)), dtype)
    b = a + tensor(10**size * rng.normal(size=(4, 5)), dtype)
    value = kl_divergence(ContinuousCategorical(logits=a), ContinuousCategorical(logits=b))
    assert (value >= 0).all()
    p, q = (kdtheory.ContinuousCategorical(logits=x.double().numpy()) for x in (a, b))
    exact = p.kl_divergence(q)
    limit = FLOAT32 if dtype == torch.float32 else 1e-9  # the core's own at the seam of its forms
    assert np.allclose(value.double().numpy(), exact, rtol=limit, atol=1e-300)


def test_divergence_of_two_classes_agrees_with_mpmath():
    probs = tensor([[0.4999, 0.5001], [0.3, 0.7], [0.1, 0.9]], torch.float32)
    other = probs + tensor([5e-5, -5e-5], torch.float32)
    value = kl_divergence(ContinuousCategorical(probs), ContinuousCategorical(other))
    with mpmath.workdps(40):
        for p, q, found in zip(probs, other, value, strict=True):
            x, y = (mpmath.log(mpmath.mpf(float(g[0])) / mpmath.mpf(float(g[1]))) for g in (p, q))
            log_z = [mpmath.log(mpmath.expm1(u) / u) for u in (x, y)]
            mean = 1 / (1 - mpmath.exp(-x)) - 1 / x
            exact = log_z[1] - log_z[0] - (y - x) * mean
            assert abs(float(found) / float(exact) - 1) <= FLOAT32


def test_the_derivatives_of_the_divergence_are_checked():
    a, b = tensor([[0.3, 1.0, -2.0]]), tensor([[0.4, 0.8, -1.9]])
    for other in (b, 5 * b):

        def divergence(a, b):
            return kl_divergence(ContinuousCategorical(logits=a), ContinuousCategorical(logits=b))

        inputs = (a.clone().requires_grad_(), other.clone().requires_grad_())
        assert torch.autograd.gradcheck(divergence, inputs, eps=1e-5, atol=1e-8)


def test_log_prob_has_the_derivatives_of_an_exponential_family():
    a = tensor(BATCH[0]).requires_grad_()
    s = tensor([0.2, 0.3, 0.5])
    ours = ContinuousCategorical(logits=a)
    slope = torch.autograd.grad(ours.log_prob(s), a)[0]
    assert torch.allclose(slope, s - ours.mean.detach(), atol=FLOAT64)


@pytest.mark.parametrize("by", ["probs", "logits"])
def test_shapes_follow_torch(by):
    parameter = torch.full((2, 1, 3), 1 / 3)
    ours = ContinuousCategorical(**{by: parameter})
    assert ours.batch_shape == (2, 1)
    assert ours.event_shape == (3,)
    assert ours.param_shape == (2, 1, 3)
    assert ours.sample((5,)).shape == (5, 2, 1, 3)
    assert ours.log_prob(torch.full((7, 2, 4, 3), 1 / 3)).shape == (7, 2, 4)
    wide = ours.expand((6, 2, 4))
    assert type(wide) is ContinuousCategorical
    assert wide.batch_shape == (6, 2, 4)
    assert wide.mean.shape == wide.variance.shape == wide.rsample().shape == (6, 2, 4, 3)
    assert wide.covariance_matrix.shape == (6, 2, 4, 3, 3)
    assert wide.entropy().shape == kl_divergence(wide, ours).shape == (6, 2, 4)
    assert f"{by}: torch.Size([2, 1, 3])" in repr(ours)


def test_probs_and_logits_are_the_same_parameter():
    probs = tensor([0.2, 0.5, 0.3])
    ours = ContinuousCategorical(probs)
    again = ContinuousCategorical(logits=ours.logits)
    assert torch.allclose(again.probs, probs)
    assert torch.allclose(again.mean, ours.mean)


def test_independent_rows_can_be_reinterpreted():
    ours = torch.distributions.Independent(ContinuousCategorical(logits=tensor(BATCH)), 1)
    assert ours.event_shape == (4, 3)
    assert ours.log_prob(ours.rsample((2,))).shape == (2,)


# --- limits


def test_one_class_is_certain():
    ours = ContinuousCategorical(logits=tensor([[3.0], [0.0]]))
    assert torch.equal(ours.sample((2,)), torch.ones(2, 2, 1, dtype=torch.float64))
    assert ours.entropy().abs().max() <= FLOAT64
    assert (ours.mean - 1).abs().max() <= FLOAT64


def test_a_class_without_hope_takes_next_to_nothing():
    ours = ContinuousCategorical(logits=tensor([0.0, -1e300, 0.0]))
    s = ours.sample((100,))
    assert s.isfinite().all()
    assert s[:, 1].max() < 1e-28
    assert kstest(s[:, 0].numpy(), "uniform").pvalue > UNLIKELY


def test_draws_near_a_vertex_keep_the_digits_of_small_coordinates():
    depth = 1e12
    s = ContinuousCategorical(logits=tensor([0.0, -depth])).sample((DRAWS,))
    assert kstest((s[:, 1] * depth).numpy(), "expon").pvalue > UNLIKELY


@pytest.mark.parametrize("validate_args", [True, False])
@pytest.mark.parametrize("by", ["probs", "logits"])
def test_an_empty_batch_is_a_batch(by, validate_args):
    ours = ContinuousCategorical(**{by: torch.zeros(0, 3)}, validate_args=validate_args)
    for one in (ours, ours.expand((4, 0))):
        assert one.sample((2,)).shape == (2, *one.batch_shape, 3)
        assert one.log_prob(one.sample()).shape == one.batch_shape
        assert one.variance.shape == (*one.batch_shape, 3)
        assert one._validate_args is validate_args


def test_a_range_just_below_overflow_is_served_with_validation():
    huge = float(torch.finfo(torch.float32).max) / 2
    logits = torch.tensor([0.9 * huge, -0.9 * huge])
    ours = ContinuousCategorical(logits=logits, validate_args=True)
    s = torch.tensor([1.0, 0.0])
    core = kdtheory.ContinuousCategorical(logits=logits.double().numpy())
    assert abs(float(ours.log_prob(s)) / float(core.log_prob(s.double().numpy())) - 1) <= FLOAT32


def test_halves_are_answered_in_single_precision():
    ours = ContinuousCategorical(logits=torch.zeros(3, dtype=torch.float16))
    assert ours.mean.dtype == torch.float32


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({}, ValueError, "give exactly one of `probs` and `logits`"),
        ({"probs": torch.ones(1), "logits": torch.ones(1)}, ValueError, "give exactly one"),
        ({"logits": [0.0, 1.0]}, TypeError, "`logits` must be a floating tensor, got list"),
        ({"probs": torch.ones(2).int()}, TypeError, "`probs` must be a floating .* torch.int32"),
        ({"logits": torch.tensor(1.0)}, ValueError, r"`logits` must have shape .* got \(\)"),
        ({"logits": torch.zeros(2, 0)}, ValueError, r"`logits` must have shape .* got \(2, 0\)"),
        ({"probs": torch.tensor([0.0, 1.0])}, ValueError, "`probs` must be positive"),
        ({"probs": torch.tensor([0.4, 0.4])}, ValueError, "probs .* constraint Simplex"),
        (
            {"logits": torch.tensor([0.0, torch.inf])},
            ValueError,
            "`logits` must be finite, got inf",
        ),
        ({"logits": torch.tensor([0.0, torch.nan])}, ValueError, "logits .* constraint"),
        (
            {"logits": torch.tensor([[0.0, 1.0], [3e38, -3e38]])},
            ValueError,
            r"`logits` of a row .* finite in torch.float32, got -3e\+38 and 3e\+38",
        ),
        (
            {"logits": torch.tensor([3e38, -3e38], dtype=torch.bfloat16)},
            ValueError,
            "`logits` of a row must have a difference finite in torch.float32",
        ),
    ],
)
def test_bad_parameters_are_named(arguments, error, match):
    with pytest.raises(error, match=match):
        ContinuousCategorical(**arguments, validate_args=True)


@pytest.mark.parametrize("name", ["covariance_matrix", "variance"])
def test_derivatives_of_a_covariance_are_refused(name):
    ours = ContinuousCategorical(logits=torch.zeros(3, requires_grad=True))
    with pytest.raises(NotImplementedError, match="third derivatives of log Z"):
        getattr(ours, name).sum().backward()


def test_a_value_off_the_simplex_is_refused():
    ours = ContinuousCategorical(logits=torch.zeros(2), validate_args=True)
    with pytest.raises(ValueError, match="within the support"):
        ours.log_prob(torch.tensor([0.7, 0.7]))


def test_the_classes_of_a_divergence_must_agree():
    one, other = (ContinuousCategorical(logits=torch.zeros(k)) for k in (2, 3))
    with pytest.raises(ValueError, match="`q` must have 2 classes as `p`, got 3"):
        kl_divergence(one, other)
