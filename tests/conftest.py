"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests keep converted networks to themselves, not in the user's cache."""
    before = os.environ.get("PANLESION_CACHE")
    os.environ["PANLESION_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["PANLESION_CACHE"]
    else:
        os.environ["PANLESION_CACHE"] = before


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real CTs; skips the test where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data are absent: {folder}")
    return folder
