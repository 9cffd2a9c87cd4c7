"""Write normaliser_reference.json: log Z to 30 digits, by mpmath, for every case.

    python tests/make_normaliser_reference.py        (about five minutes)

Two computations that share nothing with kdtheory: the power series of exp over the nodes, term by
term at 45 digits with its tail bounded; and, for distinct nodes and K up to 30, the published
partial fractions with as many digits as their cancellation eats. They must agree to 35 digits.
"""

import json
from pathlib import Path

import mpmath
from normaliser_cases import cases, make_logits

DIGITS = 45
REFERENCE = Path(__file__).with_name("normaliser_reference.json")


def by_power_series(nodes: list[mpmath.mpf]) -> mpmath.mpf:
    """Σ_n h_n(b) / (n+K-1)!, where h_n is summed over the nodes one after the other."""
    lowest, n_classes = min(nodes), len(nodes)
    b = [node - lowest for node in nodes]
    span = max(b)
    row = [mpmath.mpf(1)] * n_classes
    total, n = mpmath.mpf(1), 0
    while True:
        n += 1
        running = mpmath.mpf(0)
        for k in range(n_classes):
            running = running + b[k] * row[k]
            row[k] = running
        row = [value / (n + n_classes - 1) for value in row]
        total += row[-1]
        if n + 1 > span and row[-1] * span <= (n + 1 - span) * total * mpmath.mpf(10) ** -40:
            return lowest + mpmath.log(total) - mpmath.loggamma(n_classes)


def by_partial_fractions(nodes: list[mpmath.mpf]) -> mpmath.mpf:
    """Σ_k e^{a_k} / ∏ (a_k − a_j)."""
    terms = []
    for k, node in enumerate(nodes):
        gaps = (node - other for j, other in enumerate(nodes) if j != k)
        terms.append(mpmath.exp(node) / mpmath.fprod(gaps))
    return mpmath.log(mpmath.fsum(terms))


def main() -> None:
    """Compute, cross-check and write the table."""
    table = []
    for n_classes, spread, kind in cases():
        logits = make_logits(n_classes, spread, kind)
        with mpmath.workdps(DIGITS):
            value = by_power_series([mpmath.mpf(float(x)) for x in logits])
            if n_classes <= 30 and len(set(logits.tolist())) == n_classes:
                with mpmath.workdps(DIGITS + 25 * n_classes):
                    other = by_partial_fractions([mpmath.mpf(float(x)) for x in logits])
                assert abs(value - other) < mpmath.mpf(10) ** -35 * max(1, abs(value)), (
                    n_classes,
                    spread,
                    kind,
                )
            text = mpmath.nstr(value, 30)
        table.append({"K": n_classes, "spread": spread, "kind": kind, "log_normaliser": text})
    lines = ",\n".join(json.dumps(row) for row in table)
    REFERENCE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
