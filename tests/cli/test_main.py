import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import panlesion
from panlesion.cli import main
from panlesion.cli.main import VERBS, app
from panlesion.errors import GeometryError

runner = CliRunner()


@pytest.fixture
def failing(monkeypatch):
    """Make `panlesion doctor` raise what the test hands over."""

    def install(error):
        def verb() -> None:
            raise error

        module = type(sys)("panlesion.cli.doctor")
        module.doctor = verb
        monkeypatch.setitem(sys.modules, "panlesion.cli.doctor", module)

    return install


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_help_loads_nothing_heavy():
    heavy = "numpy scipy torch nibabel pydicom PIL"
    code = f"""
import sys
from panlesion.cli.main import app
try:
    app(["--help"])
except SystemExit as end:
    assert end.code == 0
loaded = [name for name in {heavy.split()} if name in sys.modules]
assert not loaded, loaded
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_the_package_itself_loads_no_torch():
    assert run_python("import sys, panlesion; assert 'torch' not in sys.modules").returncode == 0


def test_version():
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.output.strip()) == (0, f"panlesion {panlesion.__version__}")


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_loads_and_its_help_holds_an_example(verb):
    for path in [[verb], *([verb, sub] for sub in _subcommands(verb))]:
        result = runner.invoke(app, [*path, "--help"])
        assert result.exit_code == 0, result.output
        assert "Example" in result.output, f"panlesion {' '.join(path)} --help holds no example"


def _subcommands(verb: str) -> list[str]:
    command = main._load(verb)
    return list(getattr(command, "commands", {}))


def test_a_typing_error_is_answered_with_the_nearest_verb():
    result = runner.invoke(app, ["snyth"])
    assert result.exit_code == 2
    assert "'synth'" in result.stderr


def test_an_error_of_the_data_is_one_paragraph_and_exit_code_1(failing):
    failing(GeometryError("slices 3 and 4 are 7 mm apart,\n  the others 5 mm"))
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert result.stderr == "error: slices 3 and 4 are 7 mm apart, the others 5 mm\n"
    assert result.stdout == ""


@pytest.mark.parametrize("how", ["before", "behind", "variable"])
def test_the_traceback_is_shown_when_asked_for(failing, how, monkeypatch):
    failing(GeometryError("tilted"))
    if how == "variable":
        monkeypatch.setenv("PANLESION_TRACEBACK", "1")
    args = {"before": ["--traceback", "doctor"], "behind": ["doctor", "--traceback"], "variable": ["doctor"]}[how]
    result = runner.invoke(app, args)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: tilted\n")


def test_what_the_system_refuses_is_an_error_too(failing):
    failing(PermissionError(13, "Permission denied", "/somewhere"))
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "/somewhere" in result.stderr


def test_a_bug_is_named_a_bug_with_its_traceback(failing):
    failing(KeyError("organ"))
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 70
    assert "Traceback" in result.stderr
    assert "this is a bug in panlesion" in result.stderr


def test_a_verb_that_ends_itself_keeps_its_exit_code(failing):
    failing(typer.Exit(5))
    assert runner.invoke(app, ["doctor"]).exit_code == 5
