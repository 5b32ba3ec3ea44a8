import pytest
from runs_made import tiny_model

from panlesion.bench.rows import append_line, claim_folder, fingerprint, read_lines
from panlesion.errors import StoreError


def test_a_fingerprint_follows_the_weights():
    assert fingerprint(tiny_model(0)) == fingerprint(tiny_model(0)) != fingerprint(tiny_model(1))


def test_a_folder_of_other_settings_is_refused(tmp_path):
    claim_folder(tmp_path / "new", {"seed": 0, "model": "a"})
    claim_folder(tmp_path / "new", {"seed": 0, "model": "a"})
    with pytest.raises(StoreError, match="another model;"):
        claim_folder(tmp_path / "new", {"seed": 0, "model": "b"})


def test_a_line_cut_by_a_kill_goes_and_any_other_damage_is_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert read_lines(path) == []
    append_line(path, {"n": 1})
    path.write_text(path.read_text() + '{"n": 2')
    assert read_lines(path) == [{"n": 1}]
    append_line(path, {"n": 3})
    assert read_lines(path) == [{"n": 1}, {"n": 3}]
    path.write_text('{"n": \n{"n": 3}\n')
    with pytest.raises(StoreError, match="line 1"):
        read_lines(path)
