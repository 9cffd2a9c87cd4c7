"""Problems for the choice of the trust, and rows that every way of it refuses."""

import numpy as np
import scipy.sparse


def one_problem(seed=7, m=24, n=4, p=None, **change):
    rng = np.random.default_rng(seed)
    shape = m if p is None else (m, p)
    problem = {
        "X": rng.standard_normal((m, n)),
        "y": rng.standard_normal(shape),
        "teacher": rng.standard_normal(shape),
        "privileged": np.arange(m) % 3 > 0,
    }
    return problem | change


def per_object(m=24, seed=8):
    rng = np.random.default_rng(seed)
    return {
        "sigma": rng.uniform(0.5, 2.0, m),
        "sigma_teacher": rng.uniform(0.5, 2.0, m),
        "sample_weight": rng.uniform(0.5, 2.0, m) * (np.arange(m) != 5),
    }


# change of `one_problem()`, error, words
BAD_ROWS = [
    ({"X": np.ones(24)}, ValueError, r"`X` must have 2 dimension\(s\), got shape \(24,\)"),
    ({"X": np.ones((23, 4))}, ValueError, r"`X` has 23.* `y` has 24"),
    ({"X": np.full((24, 4), np.nan)}, ValueError, r"`X` must be finite, got nan at index \(0, 0\)"),
    ({"X": np.full((24, 4), 1e200)}, ValueError, r"`X` must have squares in the range"),
    (
        {"X": scipy.sparse.csr_array(np.full((24, 4), np.inf))},
        ValueError,
        r"`X` must be finite, got inf",
    ),
    ({"X": np.array([["a"] * 4] * 24)}, TypeError, r"`X` must be an array of real numbers"),
    ({"y": np.full(24, np.inf)}, ValueError, r"`y` must be finite, got inf"),
    ({"y": np.ones((24, 1, 1))}, ValueError, r"`y` must have shape \(m,\) or \(m, p\)"),
    ({"teacher": np.ones(23)}, ValueError, r"`teacher` must have shape \(24,\)"),
    ({"teacher": np.full(24, np.nan)}, ValueError, r"`teacher` must be finite, got nan"),
    ({"privileged": np.ones(24)}, TypeError, r"`privileged` must be a boolean mask"),
    ({"privileged": np.ones(3, bool)}, ValueError, r"`privileged` must have shape \(24,\)"),
    ({"sample_weight": -np.ones(24)}, ValueError, r"`sample_weight` must be at least 0, got -1.0"),
    ({"sample_weight": np.zeros(24)}, ValueError, r"`sample_weight` must be positive for at least"),
    ({"ridge": -1.0}, ValueError, r"`ridge` must be finite and at least 0, got -1.0"),
]
