# One command per thought. Each target runs in the active environment; see CONTRIBUTING.md.
.PHONY: check test neural deep coverage notebooks report bench readme oldest build

NBMAKE ?= --nbmake --overwrite

check: ## lint, format, types, direction of imports
	ruff check
	ruff format --check
	mypy
	lint-imports

test: ## every test, with the README example and the docstring examples
	pytest

neural: ## the tests of networks, failing under 95 %, and what is said of them elsewhere; needs the extra `neural`
	pytest tests/neural kdtheory/neural --cov --cov-config=tests/neural/coverage.toml --cov-fail-under=95 --durations=10
	pytest tests/test_house.py tests/test_readme.py

deep: ## the same with 10 000 examples for each law
	HYPOTHESIS_PROFILE=nightly pytest

# coverage mixes lines and branches into one percentage, so the branches are counted apart
BRANCHES = import json, sys; t = json.load(sys.stdin)["totals"]; \
	n, m = t["covered_branches"], t["num_branches"]; \
	print(f"branches of theory and ledger: {n} of {m}, {100 * n / m:.1f} %"); \
	sys.exit(n < 0.95 * m)
FACES = kdtheory/cli.py,kdtheory/*_commands.py,kdtheory/terminal.py,kdtheory/report.py,kdtheory/neural_page.py,$\
	kdtheory/plotting*.py,kdtheory/typesetting.py,kdtheory/experiments/*,kdtheory/testing.py

coverage: ## the tests, failing under 95 % of lines and branches, and under 95 % of branches of theory and ledger
	pytest --cov --cov-fail-under=95
	$(MAKE) --no-print-directory branches

.PHONY: branches
branches: # of the last run with --cov
	@coverage json -q -o - --omit='$(FACES)' | python -c '$(BRANCHES)'

notebooks: ## execute the notebooks in place; CI, which only checks: make notebooks NBMAKE=--nbmake
	pytest $(NBMAKE) notebooks

report: ## the main job: kdtheory-report/index.html and results.json
	kdtheory report

# those of networks need the extra `neural`
NETWORKS = benchmarks/continuous_bernoulli.py benchmarks/fleet.py
BENCHMARKS = $(filter-out $(NETWORKS),$(wildcard benchmarks/*.py)) \
	$(shell python -c 'import torch' 2> /dev/null && echo $(NETWORKS))

bench: ## every benchmark, one after the other
	set -e; for file in $(BENCHMARKS); do python "$$file"; done

readme: ## write the live table of claims into README.md
	python tests/test_readme.py

# lower bounds of pyproject.toml as constraints: pip install -c build/oldest.txt -e ".[test]"
LOWER_BOUNDS = import re, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*(re.sub(r"\[.*\]", "", r).replace(">=", "==") \
	for r in p["dependencies"] + p["optional-dependencies"]["test"]), sep="\n")

oldest: ## build/oldest.txt, the oldest versions that we promise to work with
	mkdir -p build
	python -c '$(LOWER_BOUNDS)' > build/oldest.txt

build: ## wheel and source archive
	rm -rf dist
	python -m build
	twine check --strict dist/*
