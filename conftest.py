"""Hypothesis profiles: `dev` at the desk, `ci` repeatable, `nightly` deep."""

import os
from importlib.util import find_spec

from hypothesis import settings

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=300, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nightly", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

# without the extra `neural` neither its tests nor its docstring examples are collected
collect_ignore_glob = [] if find_spec("torch") else ["kdtheory/neural/*", "tests/neural/*"]
