"""Two classes beside torch's ContinuousBernoulli, in float32: one table, with mpmath as the judge.

    python benchmarks/continuous_bernoulli.py

torch switches between closed forms and a Taylor polynomial near ½, and clamps probabilities: its
variance cancels on one side of the switch, its density is not normalised at large logits, and its
mean stops growing. The continuous categorical distribution of two classes has none of these cases.
"""

import mpmath
import torch
from torch.distributions import ContinuousBernoulli, kl_divergence

from kdtheory.neural import ContinuousCategorical

GRID = torch.linspace(0.4985, 0.4999, 200)  # just outside torch's polynomial
LARGE = (16.0, 20.0, 50.0, 100.0)
PAIRS = torch.linspace(0.05, 0.95, 200)  # against neighbours 1e-4 above


def of_probs(probs: torch.Tensor) -> ContinuousCategorical:
    """Our distribution of the same first coordinate."""
    return ContinuousCategorical(torch.stack([probs, 1 - probs], dim=-1))


def of_logits(logits: torch.Tensor) -> ContinuousCategorical:
    """The same, by the logit."""
    return ContinuousCategorical(logits=torch.stack([logits, torch.zeros_like(logits)], dim=-1))


def logit(prob: torch.Tensor) -> mpmath.mpf:
    """The logit of a float32 probability, exactly."""
    p = mpmath.mpf(float(prob))
    return mpmath.log(p / (1 - p))


def true_mean(x: mpmath.mpf) -> mpmath.mpf:
    """Mean of the density proportional to e^{xs} on [0, 1]."""
    return mpmath.mpf(0.5) if x == 0 else 1 / (1 - mpmath.exp(-x)) - 1 / x


def true_variance(x: mpmath.mpf) -> mpmath.mpf:
    """Its variance."""
    return mpmath.mpf(1) / 12 if x == 0 else 1 / x**2 - 1 / (4 * mpmath.sinh(x / 2) ** 2)


def true_divergence(x: mpmath.mpf, y: mpmath.mpf) -> mpmath.mpf:
    """KL from logit x to logit y."""
    log_z = [mpmath.log(mpmath.expm1(u) / u) if u else mpmath.mpf(0) for u in (x, y)]
    return log_z[1] - log_z[0] - (y - x) * true_mean(x)


def mass(log_density: torch.Tensor, s: torch.Tensor) -> float:
    """Integral of a density over [0, 1]."""
    return float(torch.trapezoid(log_density.double().exp(), s))


def rows() -> list[tuple[str, float, float, float]]:
    """What is measured, the truth, torch's answer and ours."""
    theirs, ours = ContinuousBernoulli(probs=GRID), of_probs(GRID)
    truth = [float(true_variance(logit(p))) for p in GRID]
    table = [
        ("least variance, probs 0.4985 … 0.4999", min(truth), float(theirs.variance.min()),
         float(ours.variance.min())),
        ("greatest variance there", max(truth), float(theirs.variance.max()),
         float(ours.variance.max())),
        ("share of stddev that is NaN there", 0.0, float(theirs.stddev.isnan().double().mean()),
         float(ours.stddev.isnan().double().mean())),
    ]  # fmt: skip
    half = torch.tensor(0.5)
    table.append(("variance, probs 0.5", 1 / 12, float(ContinuousBernoulli(probs=half).variance),
                  float(of_probs(half).variance[0])))  # fmt: skip
    s = torch.linspace(0, 1, 1_000_001, dtype=torch.float64)
    points = torch.stack([s, 1 - s], dim=-1).float()
    for x in LARGE:
        a = torch.tensor(x)
        masses = (
            mass(ContinuousBernoulli(logits=a).log_prob(s.float()), s),
            mass(of_logits(a).log_prob(points), s),
        )
        table.append((f"integral of the density, logit {x:g}", 1.0, *masses))
    for x in LARGE:
        a = torch.tensor(x)
        means = float(ContinuousBernoulli(logits=a).mean), float(of_logits(a).mean[0])
        table.append((f"mean, logit {x:g}", float(true_mean(mpmath.mpf(x))), *means))
    other = PAIRS + 1e-4
    theirs = kl_divergence(ContinuousBernoulli(probs=PAIRS), ContinuousBernoulli(probs=other))
    ours = kl_divergence(of_probs(PAIRS), of_probs(other))
    truth = [float(true_divergence(logit(p), logit(q))) for p, q in zip(PAIRS, other, strict=True)]
    table.append(("least KL of pairs 1e-4 apart", min(truth), float(theirs.min()),
                  float(ours.min())))  # fmt: skip
    table.append(("greatest KL of pairs 1e-4 apart", max(truth), float(theirs.max()),
                  float(ours.max())))  # fmt: skip
    return table


def main() -> None:
    """Print the table."""
    print(f"float32, torch {torch.__version__}")
    print(f"{'quantity':40} {'mpmath':>12} {'torch':>12} {'ours':>12}")
    with mpmath.workdps(40):
        for name, truth, theirs, ours in rows():
            print(f"{name:40} {truth:12.5g} {theirs:12.5g} {ours:12.5g}")


if __name__ == "__main__":
    main()
