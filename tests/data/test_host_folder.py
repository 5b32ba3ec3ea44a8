import numpy as np
import pytest
from cases_made import make_host

from panlesion.ct.phase import Phase
from panlesion.data.host_folder import HostCard, read_host, read_host_card, write_host
from panlesion.errors import StoreError

CARD = HostCard(
    id="h1",
    phase=Phase.PORTAL,
    spacing_mm=1.0,
    shape=(30, 28, 26),
    volumes_ml={5: 5.4, 1: 0.8},
    source={"ct": {"ct.nii.gz": 12}},
)


def test_what_is_written_is_read_back(tmp_path):
    ct, organs = make_host()
    write_host(tmp_path / "h1", CARD, ct, organs)
    assert read_host_card(tmp_path / "h1") == CARD
    again, map_ = read_host(tmp_path / "h1")
    assert np.array_equal(again.hu, ct.hu)
    assert np.array_equal(map_.labels, organs.labels)


def test_volumes_of_absent_labels_are_zero():
    assert CARD.volume_ml(frozenset({5, 1, 99})) == pytest.approx(6.2)


@pytest.mark.parametrize("name", ["ct.nii.gz", "organs.nii.gz"])
def test_a_missing_file_is_named(tmp_path, name):
    write_host(tmp_path / "h1", CARD, *make_host())
    (tmp_path / "h1" / name).unlink()
    with pytest.raises(StoreError, match=name):
        read_host(tmp_path / "h1")


@pytest.mark.parametrize("text", ["{}", '{"id": "a", "phase": "noon"}', '{"shape": 3}'])
def test_a_foreign_card_is_refused(tmp_path, text):
    (tmp_path / "host.json").write_text(text)
    with pytest.raises(StoreError, match=r"host\.json"):
        read_host_card(tmp_path)
