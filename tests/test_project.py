"""What the project promises of its own files."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split() if "==" in line)


def requirements():
    groups = {"base": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    return [(group, line) for group, lines in groups.items() for line in lines]


@pytest.mark.parametrize(("group", "line"), requirements())
def test_every_package_of_every_extra_is_pinned(group, line):
    name = re.match(r"[A-Za-z0-9._-]+", line)[0].lower().replace("_", "-")
    assert name in PINS, f"{line} of {group} has no pin in constraints.txt"


def test_torch_is_one_exact_version():
    assert f"torch=={PINS['torch']}" in PROJECT["optional-dependencies"]["model"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_files_and_functions_stay_short_enough_to_read(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 80, f"{node.name} is {node.end_lineno - node.lineno + 1} lines long"


def test_nothing_is_called_a_drawer_for_everything():
    drawers = {"utils", "common", "core", "helpers", "base", "misc"}
    assert not [path for path in SOURCES if drawers & {path.stem.strip("_"), path.parent.name}]
