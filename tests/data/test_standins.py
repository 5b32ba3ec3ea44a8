"""What a stand-in writes in a set's published layout is what that set's reader gives back."""

import numpy as np
import pytest

from panlesion.ct.modality import Modality
from panlesion.data.sources.registry import SOURCES
from panlesion.data.standins.drawn import draw_case
from panlesion.data.standins.registry import STANDINS

MR = {"atlas_liver", "liver_hcc_seg", "sts_mr"}
DICOM = {"chaos_ct", "chaos_mr", "ircadb", "rider_lung", "nsclc_radiomics", "tcga_blca", "lidc_idri", "soft_tissue_sarcoma"}
"""Several series of a patient, or scans too small to be theirs: what they write is tested beside their readers."""
FILES = sorted(STANDINS.keys() - DICOM)


def draw(name, count=3, **more):
    modality = Modality.MR if name in MR else Modality.CT
    return [draw_case(f"c{seed}", SOURCES[name].classes, seed, modality=modality, **more) for seed in range(count)]


def test_every_source_has_a_stand_in():
    assert set(STANDINS) == set(SOURCES)


@pytest.mark.parametrize("name", FILES)
def test_what_was_written_is_read_back(tmp_path, name):
    source, drawn = SOURCES[name], draw(name)
    STANDINS[name](tmp_path / "tree", drawn)
    cases = source.find(tmp_path / "tree")
    assert len(cases) == len(drawn)
    assert len({case.id for case in cases}) == len(cases)
    assert all(case.modality is (Modality.MR if name in MR else Modality.CT) for case in cases)
    for case, original in zip(cases, drawn, strict=True):
        read = source.read(case)
        assert (read.id, read.patient) == (case.id, case.patient)
        assert read.ct.grid.same_as(read.label.grid)
        assert set(np.unique(read.label.labels)) == set(range(len(source.classes) + 1))
        where = read.label.grid.to_ijk(original.label.grid.to_xyz(np.argwhere(original.label.labels > 0)))
        i, j, k = np.rint(where).astype(int).T
        np.testing.assert_allclose(where, np.stack((i, j, k), axis=-1), atol=1e-3)
        np.testing.assert_array_equal(read.label.labels[i, j, k], original.label.labels[original.label.labels > 0])
        assert np.count_nonzero(read.label.labels) == np.count_nonzero(original.label.labels)
        if name not in MR:
            np.testing.assert_array_equal(read.ct.hu[i, j, k], original.ct.hu[original.label.labels > 0])


@pytest.mark.parametrize("name", FILES)
def test_the_case_n_that_is_read_is_the_case_n_that_was_given(tmp_path, name):
    count = 28 if name == "pancreas_ct" else 12
    drawn = draw(name, count, shape=(12, 12, 10), spacing_mm=5.0)
    STANDINS[name](tmp_path, drawn)
    cases = SOURCES[name].find(tmp_path)
    assert len(cases) == count
    for number in (1, 8, count - 1):
        read = SOURCES[name].read(cases[number])
        assert np.count_nonzero(read.label.labels) == np.count_nonzero(drawn[number].label.labels)
        corners = [grid.to_xyz([(0, 0, 0), np.array(grid.shape) - 1]) for grid in (read.ct.grid, drawn[number].ct.grid)]
        np.testing.assert_allclose(np.sort(corners[0], axis=0), np.sort(corners[1], axis=0), atol=1e-3)  # places differ by seed


@pytest.mark.parametrize("name", sorted(MR))
def test_brightness_keeps_its_order_on_the_scale_of_a_ct(tmp_path, name):
    (drawn, *_) = draw(name, 1)
    STANDINS[name](tmp_path, [drawn])
    (read,) = SOURCES[name].stream(tmp_path)
    assert read.ct.hu.min() == -1000
    assert read.ct.hu.max() == 1000
    order = np.argsort(drawn.ct.hu, axis=None, kind="stable")
    assert (np.diff(read.ct.hu.ravel()[order]) >= 0).all()


def test_a_drawn_case_depends_on_its_seed_alone():
    first, again, other = (draw_case("a", ("liver", "tumor"), seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.ct.hu, again.ct.hu)
    np.testing.assert_array_equal(first.label.labels, again.label.labels)
    assert (first.label.labels != other.label.labels).any()


@pytest.mark.parametrize("count", [1, 5, 25])
def test_a_drawn_case_shows_every_class(count):
    drawn = draw_case("a", [f"class{n}" for n in range(count)], 1)
    assert set(np.unique(drawn.label.labels)) == set(range(count + 1))
