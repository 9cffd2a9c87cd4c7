"""The house itself: a light import, true names, one version, imports that point down."""

import ast
import importlib
import importlib.resources
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import kdtheory

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = sorted((ROOT / "kdtheory").rglob("*.py"))
LIBRARY = [source for source in SOURCES if source.name != "__main__.py"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

IMPORT_SECONDS = 0.5  # a command line feels slow above it
IMPORT_RUNS = 5  # the best of them: what the code costs, not what else the machine does
NOTEBOOK_BYTES = 300_000  # a reviewer reads it, git keeps it for ever
NOTEBOOK_CELLS = 15
CELL_LINES = 10


def module_name(source: Path) -> str:
    parts = source.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: Path) -> list[ast.Import | ast.ImportFrom]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def public_definitions(source: Path) -> set[str]:
    """Public functions and classes of a module; a package's also what it takes from kdtheory."""
    body = ast.parse(source.read_text(encoding="utf-8")).body
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    if source.name == "__init__.py":
        for node in (node for node in body if isinstance(node, ast.ImportFrom)):
            if (node.module or "").startswith("kdtheory"):
                names.update(alias.asname or alias.name for alias in node.names)
    return {name for name in names if not name.startswith("_")}


# --- import


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_is_light():
    code = (
        "import sys, time\nstart = time.perf_counter()\nimport kdtheory\n"
        "print(time.perf_counter() - start)"
    )
    assert min(float(run_python(code)) for _ in range(IMPORT_RUNS)) <= IMPORT_SECONDS


HEAVY = [
    "torch",
    "matplotlib",
    "sympy",
    "mpmath",
    "sklearn",
    "hypothesis",
    "numba",
    "pandas",
    "pyarrow",
    "dask",
    "joblib",
    "pooch",
    "lightning_fabric",
    "safetensors",
    "daft",
    "scipy.optimize",
    "scipy.linalg",
    "scipy.special",
]


@pytest.mark.parametrize("heavy", HEAVY)
def test_import_does_not_load(heavy):
    code = f"import sys, kdtheory\nprint({heavy!r} in sys.modules)"
    assert run_python(code).strip() == "False"


def test_imports_point_down():
    # every contract of pyproject.toml, as `make check` runs them
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


NETWORKS = {"torch", "safetensors", "lightning", "lightning_fabric"}


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source.parent.name != "neural"], ids=module_name
)
def test_only_neural_imports_torch(source):
    names = set()
    for node in imports(source):
        given = [node] if isinstance(node, ast.ImportFrom) else node.names
        names |= {getattr(one, "module", None) or one.name for one in given}
    assert {name.split(".")[0] for name in names} & NETWORKS == set()


@pytest.mark.parametrize("source", SOURCES, ids=module_name)
def test_imports_are_absolute(source):
    assert [node.lineno for node in imports(source) if getattr(node, "level", 0)] == []


def test_every_imported_package_is_declared():
    declared = {
        re.split(r"[^\w.-]", requirement)[0].lower()
        for requirement in sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])
    }
    tops = set()
    for node in (node for source in SOURCES for node in imports(source)):
        names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        tops |= {name.split(".")[0] for name in names}
    distributions = packages_distributions()
    undeclared = {
        top
        for top in tops - set(sys.stdlib_module_names) - {"kdtheory"}
        if not {name.lower() for name in distributions.get(top, [top.replace("_", "-")])} & declared
    }
    assert undeclared == set()


# --- names


@pytest.mark.parametrize("source", LIBRARY, ids=module_name)
def test_all_is_what_is_public(source):
    if source.parent.name == "neural":
        pytest.importorskip("torch", reason="the extra `neural` is not installed")
    module = importlib.import_module(module_name(source))
    exported = getattr(module, "__all__", [])
    assert len(exported) == len(set(exported))
    assert [name for name in exported if not hasattr(module, name)] == []
    assert public_definitions(source) - set(exported) == set()


def test_version_is_that_of_pyproject():
    assert kdtheory.__version__ == PROJECT["version"]


def test_changelog_knows_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{PROJECT['version']}]" in changelog


def test_package_carries_its_data():
    package = importlib.resources.files("kdtheory")
    assert (package / "py.typed").is_file()
    templates = [file.name for file in (package / "templates").iterdir()]
    assert any(name.startswith("report") for name in templates)


# --- what is written twice


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", ".github/workflows/ci.yml", ".ci/run"]
)
def test_make_targets_that_are_named_exist(document):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|run: | )make (?:--[a-z-]+ )?([a-z]+)", text))
    assert named - targets == set()


def test_every_module_is_covered_by_one_of_the_two_runs():
    """What the run without torch leaves out is what tests/neural must cover."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    neural = tomllib.loads((ROOT / "tests/neural/coverage.toml").read_text(encoding="utf-8"))
    left_out = set(whole["tool"]["coverage"]["run"]["omit"]) - {"kdtheory/__main__.py"}
    assert left_out == set(neural["tool"]["coverage"]["report"]["include"])


# --- notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_thin_and_executed(path):
    assert path.stat().st_size < NOTEBOOK_BYTES
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert len(cells) <= NOTEBOOK_CELLS
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(len(cell["source"]) <= CELL_LINES for cell in code)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not any(out["output_type"] == "error" for cell in code for out in cell["outputs"])
    assert "assert" in "".join(code[-1]["source"])
