import logging
import re
import shutil

import numpy as np
import pydicom
import pytest
from annotated_scans_made import rewrite, scan

from panlesion.ct.dicom import read_dicom
from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import Grid
from panlesion.data.sources.rtstruct import fill, read_structures, region_label
from panlesion.data.standins._dicom import contour_item, write_series, write_structures
from panlesion.errors import GeometryError, ReadError

SHAPE, SPACING = (30, 26, 12), (1.5, 1.25, 3.0)
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def turned_grid(angles=(0.0, 0.0, 0.0)):
    """Axes L, P, S, turned about each by degrees; anisotropic."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(angles)):
        a, b = [n for n in range(3) if n != axis]
        one = np.eye(3)
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        turn = one @ turn
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-1, -1, 1]) @ np.diag(SPACING)
    affine[:3, 3] = (31.3, -12.7, 84.1)
    return Grid(shape=SHAPE, affine=affine)


def lps(grid, ij, k):
    """Contour points in LPS mm of points (N, 2) in index units on plane k."""
    return grid.to_xyz(np.column_stack([ij, np.full(len(ij), float(k))])) * RAS_TO_LPS


def circle(centre, radius, points=300):
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.array(centre) + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def ball(radius_mm=14.0, centre=(14.3, 12.8, 5.7)):
    offset = (np.indices(SHAPE).transpose(1, 2, 3, 0) - centre) * SPACING
    return np.linalg.norm(offset, axis=-1) < radius_mm


def ball_contours(grid, radius_mm=14.0, centre=(14.3, 12.8, 5.7)):
    """Circles on the slices, as ellipses in index units."""
    contours = []
    for k in range(SHAPE[2]):
        square = radius_mm**2 - ((k - centre[2]) * SPACING[2]) ** 2
        if square > 0:
            contours.append(lps(grid, circle((0, 0), np.sqrt(square), 2000) / SPACING[:2] + centre[:2], k))
    return contours


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A CT on disk with its structure set: a tumour, a region with a hole, and one that nobody drew."""
    drawn, folder = scan(), tmp_path_factory.mktemp("rtstruct")
    mask = drawn.label.labels > 0
    other = np.zeros_like(mask)
    other[3:9, 4:12, 2:7] = True
    other[5:7, 6:9, 3:5] = False
    series = write_series(folder / "ct", drawn.ct, patient="P")
    write_structures(folder / "rs.dcm", series, {"GTV-1": mask, "Lung, left": other, "never drawn": np.zeros_like(mask)})
    return read_dicom(folder / "ct"), folder / "rs.dcm", {"GTV-1": mask, "Lung, left": other}


@pytest.fixture
def case(written, tmp_path):
    ct, path, masks = written
    return ct, shutil.copy(path, tmp_path / "rs.dcm"), masks


@pytest.mark.parametrize("angles", [(0, 0, 0), (0, 0, 90), (90, 0, 0), (12, -25, 40)])
def test_a_ball_is_filled_alike_on_every_orientation(angles):
    grid = turned_grid(angles)
    assert np.array_equal(fill(ball_contours(grid), grid, "ball"), ball())


def test_a_region_read_from_disk_is_the_mask_it_was_drawn_from(case):
    ct, path, masks = case
    structures = read_structures(path)
    for name, mask in masks.items():
        label = region_label(structures, name, ct, value=3)
        assert np.array_equal(label.labels, np.where(mask, 3, 0))
        assert label.grid.same_as(ct.volume.grid)


@pytest.mark.parametrize("wanted", ["GTV-1", "gtv-1", re.compile(r"gtv[ -]?1", re.IGNORECASE)])
def test_a_region_is_found_by_name_in_any_case_or_by_pattern(case, wanted):
    assert read_structures(case[1]).region(wanted).name == "GTV-1"


def test_the_name_as_written_comes_before_others_in_another_case(case):
    def rename(ds):
        ds.StructureSetROISequence[1].ROIName = "gtv-1"

    rewrite(case[1], rename)
    structures = read_structures(case[1])
    assert [structures.region(name).number for name in ("GTV-1", "gtv-1")] == [1, 2]
    with pytest.raises(ReadError, match="2 regions are called 'Gtv-1'"):
        structures.region("Gtv-1")


def test_an_unknown_region_is_refused_with_the_names_there_are(case):
    structures = read_structures(case[1])
    with pytest.raises(ReadError, match=r"no region 'liver'; the regions are 'GTV-1', 'Lung, left', 'never drawn'"):
        structures.region("liver")
    with pytest.raises(ReadError, match="'never drawn' has no contour"):
        structures.region("never drawn")


def test_planes_between_slices_go_to_the_nearest_one():
    grid = turned_grid()
    square = np.array([(5.2, 5.2), (11.2, 5.2), (11.2, 9.2), (5.2, 9.2)])
    for off in (-0.4, 0.3, 0.5):
        mask = fill([lps(grid, square, k + off) for k in (3, 4, 5)], grid, "off")
        first = 4 if off == 0.5 else 3
        assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == [first, first + 1, first + 2]
        assert mask.sum() == 3 * 6 * 4


def test_a_region_drawn_on_every_second_slice_fills_those_between():
    grid = turned_grid()
    mask = fill([lps(grid, circle((14, 12), radius), k) for k, radius in ((2, 4.2), (4, 6.3), (6, 3.1))], grid, "sparse")
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == [2, 3, 4, 5, 6]
    assert mask[:, :, 3].sum() in (mask[:, :, 2].sum(), mask[:, :, 4].sum())


@pytest.mark.parametrize(("planes", "gaps"), [([2, 3, 6, 7], 2), ([2, 9], 6), ([4], 0), ([3, 4, 5], 0)])
def test_a_gap_in_a_region_drawn_slice_by_slice_stays_and_is_told(planes, gaps, caplog):
    grid = turned_grid()
    mask = fill([lps(grid, circle((14, 12), 5.3), k) for k in planes], grid, "region 'x'")
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == planes
    assert (f"region 'x': {gaps} slices between its first and last have no contour" in caplog.text) == bool(gaps)


def test_several_contours_of_a_slice_are_taken_together():
    grid = turned_grid()
    outer, inner, apart = circle((10, 10), 7.4), circle((10.5, 9.5), 3.2), circle((23, 18), 3.3)
    both = fill([lps(grid, ring, 4) for ring in (inner, outer, apart)], grid, "rings")
    keyhole = np.concatenate([outer, outer[:1], inner, inner[:1]])
    assert np.array_equal(fill([lps(grid, keyhole, 4), lps(grid, apart[::-1], 4)], grid, "keyhole"), both)
    assert not both[10, 10, 4] and both[4, 10, 4] and both[23, 18, 4]


def spoil_series(ds):
    ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[
        0
    ].SeriesInstanceUID = "1.2"


def spoil_frame(ds):
    for item in ds.StructureSetROISequence:
        item.ReferencedFrameOfReferenceUID = "1.2.3"


def spoil_both(ds):
    del ds.ReferencedFrameOfReferenceSequence
    for item in ds.StructureSetROISequence:
        del item.ReferencedFrameOfReferenceUID


def contour(ds):
    return ds.ROIContourSequence[0].ContourSequence[1]


def spoil_count(ds):
    contour(ds).NumberOfContourPoints = 3


def spoil_triples(ds):
    contour(ds).ContourData = list(contour(ds).ContourData)[:-1]


def spoil_tilt(ds):
    points = np.array(contour(ds).ContourData, dtype=float).reshape(-1, 3)
    points[0, 2] += 1.0
    contour(ds).ContourData = [f"{v:.3f}" for v in points.ravel()]


def spoil_outside(ds):
    points = np.array(contour(ds).ContourData, dtype=float).reshape(-1, 3) + np.array([0, 0, 400])
    contour(ds).ContourData = [f"{v:.3f}" for v in points.ravel()]


def spoil_beside(ds):
    for item in ds.ROIContourSequence[0].ContourSequence:
        points = np.array(item.ContourData, dtype=float).reshape(-1, 3) + np.array([900, 0, 0])
        item.ContourData = [f"{v:.3f}" for v in points.ravel()]


def spoil_points(ds):
    for item in ds.ROIContourSequence[0].ContourSequence:
        item.ContourGeometricType = "POINT"


def spoil_tiny(ds):
    for item in ds.ROIContourSequence[0].ContourSequence:
        points = np.array(item.ContourData, dtype=float).reshape(-1, 3)
        points = points[0] + (points - points[0]) * 0.001
        item.ContourData = [f"{v:.5f}" for v in points.ravel()]


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (spoil_series, ReadError, "drawn on series 1.2, not on"),
        (spoil_frame, ReadError, "FrameOfReferenceUID 1.2.3, the scan has"),
        (spoil_both, ReadError, "neither a series nor a frame of reference"),
        (spoil_count, ReadError, "contour 2: NumberOfContourPoints 3, but ContourData has"),
        (spoil_triples, ReadError, "contour 2: ContourData has .* numbers; x, y, z"),
        (spoil_tilt, GeometryError, "contour 2 crosses slices: it spans 1.00 mm"),
        (spoil_outside, GeometryError, r"1 of \d planes lie outside the scan"),
        (spoil_beside, GeometryError, "lies beside the scan"),
        (spoil_points, ReadError, "none of its .* contours is closed"),
        (spoil_tiny, ReadError, "enclose no voxel centre"),
    ],
)
def test_a_broken_or_foreign_set_is_refused_with_the_rule_it_breaks(case, spoil, error, says):
    rewrite(case[1], spoil)
    with pytest.raises(error, match=says):
        region_label(read_structures(case[1]), "GTV-1", case[0])


def test_a_set_without_series_is_tied_to_the_scan_by_its_frame_of_reference(case):
    def change(ds):
        del ds.ReferencedFrameOfReferenceSequence

    rewrite(case[1], change)
    assert region_label(read_structures(case[1]), "GTV-1", case[0]).labels.any()


def test_points_lines_and_repeated_contours_are_left_out_and_counted(case, caplog):
    def change(ds):
        items = ds.ROIContourSequence[0].ContourSequence
        line = contour_item(np.array([[0.0, 0, 0], [1, 1, 0], [2, 0, 0]]), "1.2")
        line.ContourGeometricType = "OPEN_PLANAR"
        items.extend([items[0], line, contour_item(np.array([[0.0, 0, 0], [1, 1, 0]]), "1.2")])

    rewrite(case[1], change)
    with caplog.at_level(logging.WARNING):
        label = region_label(read_structures(case[1]), "GTV-1", case[0])
    assert np.array_equal(label.labels > 0, case[2]["GTV-1"])
    assert "1 given twice, 1 OPEN_PLANAR, 1 of fewer than 3 points" in caplog.text


@pytest.mark.parametrize("keep", [0, 100, 700, 2000])
def test_a_truncated_or_empty_file_is_refused(case, keep):
    path = case[1]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ReadError, match=r"rs\.dcm"):
        region_label(read_structures(path), "GTV-1", case[0])


def test_a_ct_image_is_no_structure_set(case):
    with pytest.raises(ReadError, match="Modality CT; an RTSTRUCT is needed"):
        read_structures(case[0].slices[0].path)


def test_coordinates_that_are_no_numbers_are_refused(case):
    data = case[1].read_bytes()
    ds = pydicom.dcmread(case[1])
    first = str(ds.ROIContourSequence[0].ContourSequence[0].ContourData[0]).encode()
    at = data.index(first + b"\\")
    case[1].write_bytes(data[:at] + b"x" * len(first) + data[at + len(first) :])
    with pytest.raises(ReadError, match="contour 1 cannot be read: damaged"):
        region_label(read_structures(case[1]), "GTV-1", case[0])


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_changed_bytes_are_read_or_refused_but_raise_nothing_else(case):
    data, rng = case[1].read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        changed = bytearray(data)
        changed[rng.integers(140, len(data))] = rng.integers(256)
        case[1].write_bytes(changed)
        try:
            region_label(read_structures(case[1]), "GTV-1", case[0])
            outcomes.add("read")
        except ReadError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.realdata
def test_a_real_set_is_the_mask_that_others_made_of_it(shared_data):
    """IBSI's NIfTI copy has half the resolution in plane: a voxel there is four of the CT's, and mask if two or more are."""
    ct = read_dicom(shared_data / "sts_dicom" / "STS_003" / "image")
    structures = read_structures(shared_data / "sts_dicom" / "STS_003" / "mask" / "RS.dcm")
    fine = region_label(structures, re.compile(r"GTV_Mass.*"), ct)
    theirs = read_labels(shared_data / "sts" / "STS_003" / "ct_gtv.nii.gz")
    i, j, k = theirs.grid.shape
    start = np.rint(ct.volume.grid.to_ijk(theirs.grid.to_xyz((0, 0, 0))) - (0.5, 0.5, 0)).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(start, (2 * i, 2 * j, k), strict=True))
    share = fine.labels[box].reshape(i, 2, j, 2, k).mean(axis=(1, 3))
    assert dice(share >= 0.5, theirs.labels > 0) >= 0.999
    assert fine.labels.sum() * fine.grid.voxel_ml == pytest.approx(80.1, abs=0.1)


@pytest.mark.realdata
def test_half_a_voxel_of_shift_would_show_in_the_real_set(shared_data):
    ct = read_dicom(shared_data / "sts_dicom" / "STS_003" / "image")
    structures = read_structures(shared_data / "sts_dicom" / "STS_003" / "mask" / "RS.dcm")
    right = region_label(structures, "GTV_Mass_CT", ct).labels > 0
    affine = ct.volume.grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] / 2
    moved = Grid(shape=ct.volume.grid.shape, affine=affine)
    contours = [np.array(item.ContourData, dtype=float).reshape(-1, 3) for item in structures.region("GTV_Mass_CT").contours]
    assert dice(fill(contours, moved, "moved"), right) < 0.99
