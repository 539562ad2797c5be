"""Rules of the tree that no linter knows."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("pinlanding_assets", "rl_diffusion_assets", "resources", "sandbox", "operations")
FILES = [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]
DAGSTER_FILES = {"assets.py", "definitions.py", "partitions.py", "automation.py", "checks.py"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_pure_logic_does_not_know_dagster():
    pure = [
        path
        for path in FILES
        if path.parts[len(REPOSITORY.parts)].endswith("_assets") and path.name not in DAGSTER_FILES
    ]
    assert pure
    assert [str(path) for path in pure if "dagster" in imports(path)] == []


def test_the_sandbox_knows_neither_dagster_nor_assets():
    sandbox = [path for path in FILES if path.parts[len(REPOSITORY.parts)] == "sandbox"]
    forbidden = {"dagster", "pinlanding_assets", "rl_diffusion_assets", "resources"}
    assert [str(path) for path in sandbox if imports(path) & forbidden] == []


def test_annotations_stay_real_where_dagster_reads_them():
    late = "from __future__ import annotations"
    found = [path for path in FILES if "dagster" in imports(path) and late in path.read_text()]
    assert found == []


@pytest.mark.parametrize("pattern", ["**/*.py", "**/*.md", "**/*.yaml", "**/*.toml", "Makefile"])
def test_no_machine_path_and_no_registry_host(pattern):
    hosts = "|".join(["pypi" + r"\.org", "python" + r"hosted\.org", "registry" + r"\.npmjs"])
    bad = re.compile(rf"(?<![\w.])/(work|root|home)/|{hosts}")
    found = [
        str(path)
        for path in REPOSITORY.glob(pattern)
        if not {".venv", ".data", ".git"} & set(path.parts) and bad.search(path.read_text())
    ]
    assert found == []


def test_assets_cover_ranges_of_days():
    """`context.partition_key` raises in a run over a range, and so does an IO manager's output."""
    single = re.compile(r"context\.partition_key\b|io_manager")
    found = [
        path for path in FILES if path.name in DAGSTER_FILES and single.search(path.read_text())
    ]
    assert found == []


def test_no_block_of_a_tool_hides_a_location():
    """With [tool.dg] or [tool.dagster] a bare `dagster dev` loads less than workspace.yaml says."""
    tools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]
    assert not {"dg", "dagster"} & set(tools)


def test_no_file_is_named_after_nothing():
    vague = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}
    assert [path for path in FILES if path.name in vague] == []


def test_no_library_is_pinned_that_breaks_beside_the_others():
    """dagster-polars 0.27 calls what polars 2 has removed, though its metadata allow the pair."""
    pinned = {line.split("==")[0] for line in (REPOSITORY / "constraints.txt").open()}
    assert {"dagster", "polars"} <= pinned
    assert "dagster-polars" not in pinned
