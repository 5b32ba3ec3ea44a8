from pathlib import Path

from panlesion.cli._cache import engine_cache


def test_the_cache_is_where_the_user_says_else_among_other_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("PANLESION_CACHE", str(tmp_path))
    assert engine_cache() == tmp_path / "engines"
    monkeypatch.setenv("PANLESION_CACHE", "")
    assert engine_cache() is None
    monkeypatch.delenv("PANLESION_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert engine_cache() == tmp_path / "caches" / "panlesion" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert engine_cache() == tmp_path / ".cache" / "panlesion" / "engines"


def test_without_a_home_there_is_no_cache(monkeypatch):
    def nobody():
        raise RuntimeError

    for name in ("PANLESION_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert engine_cache() is None
