import pytest
from typer.testing import CliRunner

from panlesion.cli.main import app
from panlesion.train.journal import Journal


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_plot_draws_a_runs_curves(tmp_path):
    with Journal(tmp_path, 0) as journal:
        journal.log(1, {"loss": 1.0})
    done = run("plot", tmp_path)
    assert done.exit_code == 0
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("pretrain", "--recipe", "mega", "out"), "nano, small, pasta"),
        (("pretrain", "--stage", "2", "--recipe", "mega", "--start-from", "nano", "out"), "nano, pasta"),
        (("pretrain", "--stage", "2", "out"), "needs a network"),
        (("bench", "run", "brains", "--data", ".", "--out", "out"), "sts"),
        (("bench", "run", "sts", "--data", ".", "--out", "out", "--shots", "one"), "list of numbers"),
        (("plot", "nowhere"), "journal.jsonl is missing"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code in (1, 2)
    assert says in " ".join(done.output.replace("│", " ").split())  # the error box may break lines anywhere


def test_the_tasks_are_listed_with_their_source():
    assert "Vallières" in run("bench", "list", "--json").output
