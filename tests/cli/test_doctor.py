import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from panlesion.cli.doctor import EXTRAS, PROGRAMS, _memory_limit, _self_check
from panlesion.cli.main import app

PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())


def test_it_names_every_extra_and_program_and_exits_with_0():
    result = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for name in [extra.name for extra in EXTRAS] + [program.names[0] for program in PROGRAMS]:
        assert name in result.output


def test_the_line_that_installs_an_extra_keeps_its_brackets():
    result = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "200"})
    if "planned: networks" in result.output and 'pip install ".[' not in result.output:
        pytest.skip("every extra is installed here")
    assert 'pip install ".[' in result.output


def test_it_knows_exactly_the_extras_that_the_project_declares():
    declared = PYPROJECT["project"]["optional-dependencies"]
    assert {extra.name for extra in EXTRAS} == set(declared)
    for extra in EXTRAS:
        packages = {line.split(">")[0].split("=")[0] for line in declared[extra.name]}
        assert set(extra.modules) <= packages
        assert extra.name == "dev" or set(extra.modules) == packages


def test_the_self_check_passes_here():
    assert [what for what, good, _ in _self_check() if not good] == []


def test_memory_is_positive():
    assert _memory_limit() > 0
