"""README.md says what the package does: its table, its commands, its modules.

Its example runs as a doctest. `python tests/test_readme.py` (`make readme`) writes the live table.
"""

import importlib
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kdtheory.cli import app
from kdtheory.ledger import CLAIMS, markdown_table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
TABLE = re.compile(r"(?<=<!-- claims -->\n).*?(?=<!-- /claims -->)", flags=re.DOTALL)


def live_text() -> str:
    table = markdown_table(CLAIMS).strip() + "\n"
    return TABLE.sub(lambda _: table, TEXT)


def test_table_of_claims_is_the_live_one():
    assert TABLE.search(TEXT)
    assert live_text() == TEXT, "the claims have changed: run `make readme`"


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`kdtheory (\w+)[^`]*`", TEXT))))
def test_commands_that_are_named_exist(command):
    assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


@pytest.mark.parametrize("module", sorted(set(re.findall(r"`(kdtheory(?:\.\w+)+)`", TEXT))))
def test_modules_that_are_named_exist(module):
    if module == "kdtheory.neural" or module.startswith("kdtheory.neural."):
        pytest.importorskip("torch", reason="the extra `neural` is not installed")
    importlib.import_module(module)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_files_that_are_named_exist(target):
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("name", ["main", "test"])
def test_commands_are_marked_for_ci(name):
    # .ci/run reads them from here, so that the printed and the tested command are one
    assert re.search(rf"^<!-- command: {name} -->\n```bash\n.+\n```$", TEXT, flags=re.MULTILINE)


if __name__ == "__main__":
    README.write_text(live_text(), encoding="utf-8")
