"""Parts of organs on a made anatomy of boxes and balls, and their order on real organ maps."""

import nibabel as nib
import numpy as np
import pytest

from panlesion.ct.organs import V1_LABELS, v2_to_v1_table
from panlesion.ct.volume import Grid, LabelMap, standard_grid
from panlesion.errors import OrganMapError
from panlesion.measure.location import Atlas

L = V1_LABELS


def drawn(shape, spacing_mm, pieces, axes="LPS") -> LabelMap:
    """A map of axis-aligned world boxes: (label, low xyz, high xyz), later ones on top; centred on x = y = 0, z from 0."""
    grid = standard_grid(shape, spacing_mm, (shape[0] * spacing_mm / 2, shape[1] * spacing_mm / 2, 0.0))
    if axes == "RAS":
        origin = (-shape[0] * spacing_mm / 2, -shape[1] * spacing_mm / 2, 0.0)
        affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
        affine[:3, 3] = origin
        grid = Grid(shape=shape, affine=affine)
    xyz = grid.to_xyz(np.indices(shape).reshape(3, -1).T).reshape(*shape, 3)
    labels = np.zeros(shape, dtype=np.uint8)
    for label, low, high in pieces:
        labels[((xyz >= low) & (xyz <= high)).all(axis=-1)] = label
    return LabelMap(labels=labels, grid=grid)


TORSO = [
    *[(label, (-20, -80, 150 + 30 * n), (20, -40, 176 + 30 * n)) for n, label in enumerate((18, 19, 20, 21, 22, 23, 24, 25))],
    (L["sacrum"], (-40, -90, 60), (40, -50, 148)),
    (L["hip_left"], (-140, -60, 20), (-60, 20, 160)),
    (L["hip_right"], (60, -60, 20), (140, 20, 160)),
    (L["aorta"], (-18, -38, 150), (-2, -22, 390)),
    (L["inferior_vena_cava"], (10, -38, 150), (30, -20, 390)),
    (L["liver"], (-60, -80, 270), (130, 90, 380)),
    (L["inferior_vena_cava"], (10, -38, 270), (30, -20, 390)),
    (L["portal_vein_and_splenic_vein"], (5, -15, 220), (20, -2, 325)),
    (L["gallbladder"], (50, 50, 250), (75, 70, 290)),
    (L["pancreas"], (-90, -15, 230), (60, 10, 250)),
    (L["kidney_right"], (40, -60, 190), (90, -10, 280)),
    (L["kidney_left"], (-90, -60, 200), (-40, -10, 290)),
    (L["esophagus"], (-15, -20, 372), (0, -5, 396)),
    (L["stomach"], (-110, 0, 290), (-62, 60, 396)),
    (L["stomach"], (-61, -5, 360), (-10, 20, 371)),
    (L["stomach"], (-110, 0, 258), (40, 60, 268)),
    (L["duodenum"], (42, 0, 255), (55, 40, 268)),
    (L["colon"], (110, -60, 90), (140, -20, 250)),
    (L["colon"], (-140, 30, 236), (140, 60, 255)),
    (L["colon"], (-140, -60, 100), (-110, -20, 250)),
    (L["colon"], (-140, -30, 100), (0, -20, 120)),
    (L["colon"], (-15, -48, 20), (15, -20, 100)),
    (L["urinary_bladder"], (-40, 0, 30), (40, 60, 90)),
    (L["lung_lower_lobe_left"], (-120, -100, 385), (-40, -60, 396)),
    (L["rib_left_5"], (-140, -60, 370), (-130, -40, 380)),
]


@pytest.fixture(scope="module")
def torso() -> LabelMap:
    return drawn((100, 66, 133), 3.0, TORSO)


WANTED = [
    ("liver", (15, 80, 290), "segment IV"),
    ("liver", (-55, 40, 290), "segment III"),
    ("liver", (-55, -50, 375), "segment II"),
    ("liver", (110, 60, 280), "segment V"),
    ("liver", (110, 60, 375), "segment VIII"),
    ("liver", (60, -75, 280), "segment VI"),
    ("liver", (60, -75, 375), "segment VII"),
    ("liver", (12, -17, 340), "segment I"),
    ("gallbladder", (62, 68, 252), "fundus"),
    ("gallbladder", (62, 52, 289), "neck"),
    ("pancreas", (50, 0, 240), "head"),
    ("pancreas", (-10, 0, 240), "body"),
    ("pancreas", (-80, 0, 240), "tail"),
    ("kidney_right", (60, -30, 275), "right upper pole"),
    ("kidney_right", (60, -30, 235), "right interpolar region"),
    ("kidney_left", (-60, -30, 205), "left lower pole"),
    ("esophagus", (-8, -12, 380), "lower third"),
    ("stomach", (-13, 0, 368), "cardia"),
    ("stomach", (-80, 30, 392), "fundus"),
    ("stomach", (-90, 30, 320), "body"),
    ("stomach", (30, 30, 264), "antrum"),
    ("colon", (125, -40, 100), "caecum"),
    ("colon", (125, -40, 200), "ascending"),
    ("colon", (0, 45, 245), "transverse"),
    ("colon", (-125, -40, 200), "descending"),
    ("colon", (-60, -25, 110), "sigmoid"),
    ("colon", (0, -30, 40), "rectum"),
    ("urinary_bladder", (0, 58, 60), "anterior wall"),
    ("urinary_bladder", (0, 2, 60), "posterior wall"),
    ("urinary_bladder", (38, 30, 60), "right wall"),
    ("urinary_bladder", (-38, 30, 60), "left wall"),
    ("urinary_bladder", (0, 30, 88), "dome"),
    ("urinary_bladder", (0, 30, 32), "base and trigone"),
    ("vertebrae_L3", (0, -60, 220), "L3 vertebra"),
    ("rib_left_5", (-135, -50, 375), "left 5th rib"),
    ("hip_right", (100, 0, 100), "right hip bone"),
    ("lung_lower_lobe_left", (-80, -80, 390), "left lower lobe"),
]


@pytest.mark.parametrize(("organ", "xyz", "wanted"), WANTED)
def test_a_point_has_the_seat_an_anatomist_would_name(torso, organ, xyz, wanted) -> None:
    assert Atlas(torso).seat(L[organ], xyz) == wanted


BONES = {L["sacrum"], L["hip_left"], L["hip_right"], L["rib_left_5"], *(L[f"vertebrae_L{n}"] for n in range(1, 6))}
UPPER_RIBS = [(L["sacrum"], (side * 130 - 10, -60, 290), (side * 130 + 10, -40, 396)) for side in (-1, 1)]


@pytest.mark.parametrize("lowest_z", [0, 170])
def test_a_map_that_calls_every_bone_by_one_label_names_the_same_parts_of_the_colon(lowest_z) -> None:
    """As the network's own map does: the sacrum's label then reaches from the pelvis to the ribs."""
    pieces = [(L["sacrum"] if label in BONES or 18 <= label <= 25 else label, low, high) for label, low, high in TORSO]
    whole = drawn((100, 66, 133), 3.0, pieces + UPPER_RIBS)
    cut = Atlas(
        LabelMap(
            labels=np.where(
                whole.grid.to_xyz(np.indices(whole.labels.shape).reshape(3, -1).T)[:, 2].reshape(whole.labels.shape) < lowest_z,
                0,
                whole.labels,
            ),
            grid=whole.grid,
        )
    )
    colon = [(xyz, wanted) for organ, xyz, wanted in WANTED if organ == "colon" and xyz[2] > lowest_z]
    assert [cut.seat(L["colon"], xyz) for xyz, _ in colon] == [wanted for _, wanted in colon]


def test_seats_do_not_depend_on_the_axes_of_the_array() -> None:
    turned = Atlas(drawn((100, 66, 133), 3.0, TORSO, axes="RAS"))
    assert [turned.seat(L[organ], xyz) for organ, xyz, _ in WANTED] == [wanted for _, _, wanted in WANTED]


@pytest.mark.parametrize("organ", sorted({organ for organ, _, _ in WANTED}))
def test_voxels_and_points_agree_and_all_seats_are_known(torso, organ) -> None:
    atlas, ijk = Atlas(torso), np.argwhere(torso.labels == L[organ])
    index = atlas.seat_indices(L[organ], ijk)
    names = atlas.seats(L[organ])
    assert index.shape == (len(ijk),)
    assert 0 <= index.min() <= index.max() < len(names)
    for row in range(0, len(ijk), max(1, len(ijk) // 7)):
        assert atlas.seat(L[organ], torso.grid.to_xyz(ijk[row])) == names[index[row]]


def test_every_part_of_the_torsos_organs_has_voxels(torso) -> None:
    atlas = Atlas(torso)
    for organ in ("liver", "gallbladder", "pancreas", "kidney_left", "stomach", "colon", "urinary_bladder"):
        seats = atlas.seat_indices(L[organ], np.argwhere(torso.labels == L[organ]))
        assert set(seats.tolist()) == set(range(len(atlas.seats(L[organ])))), organ


def test_right_and_left_liver_have_published_shares(torso) -> None:
    atlas = Atlas(torso)
    seats = atlas.seat_indices(L["liver"], np.argwhere(torso.labels == L["liver"]))
    share = np.bincount(seats, minlength=8) / len(seats)
    assert 0.49 <= share[4:].sum() <= 0.82
    assert 0.01 <= share[0] <= 0.03


def test_a_long_oesophagus_has_thirds_by_trachea_and_left_atrium() -> None:
    pieces = [
        (L["esophagus"], (-10, -20, 0), (10, 0, 240)),
        (L["trachea"], (-10, 5, 150), (10, 20, 240)),
        (L["heart_atrium_left"], (-40, 5, 80), (40, 40, 140)),
    ]
    atlas = Atlas(drawn((40, 30, 85), 3.0, pieces))
    assert [atlas.seat(42, (0, -10, z)) for z in (20, 130, 200)] == ["lower third", "middle third", "upper third"]
    alone = Atlas(drawn((40, 30, 85), 3.0, pieces[:1]))
    assert [alone.seat(42, (0, -10, z)) for z in (20, 130, 200)] == ["lower third", "middle third", "upper third"]


@pytest.mark.parametrize("label", [2, 4, 5, 6, 10, 42, 57, 104])
def test_an_organ_alone_in_its_map_still_has_seats(label) -> None:
    atlas = Atlas(drawn((40, 40, 40), 3.0, [(label, (-40, -30, 20), (30, 40, 90))]))
    assert atlas.seat(label, (0.0, 0.0, 50.0)) in atlas.seats(label)


@pytest.mark.parametrize("label", [2, 4, 5, 6, 10, 42, 57, 104, 20])
def test_an_organ_of_one_voxel_still_has_a_seat(label) -> None:
    labels = np.zeros((20, 20, 20), dtype=np.uint8)
    labels[4, 7, 5] = label
    atlas = Atlas(LabelMap(labels=labels, grid=standard_grid((20, 20, 20), 1.0)))
    assert atlas.seat(label, (-4.0, -7.0, 5.0)) in atlas.seats(label)


def test_an_absent_organ_or_a_foreign_label_is_refused(torso) -> None:
    with pytest.raises(OrganMapError, match="label 1 \\(spleen\\) has no voxel"):
        Atlas(torso).seat(1, (0, 0, 0))
    with pytest.raises(ValueError, match="organ_label is 200"):
        Atlas(torso).seats(200)


@pytest.mark.realdata
def test_parts_of_real_organs_lie_in_anatomical_order(shared_data) -> None:
    image = nib.load(shared_data / "totalseg" / "organs_v2.nii.gz")
    labels = v2_to_v1_table()[np.asarray(image.dataobj).astype(np.uint8)]
    organs = LabelMap(labels=labels, grid=Grid(shape=labels.shape, affine=image.affine))
    atlas = Atlas(organs)

    def centre(label: int, seat: str) -> np.ndarray:
        ijk = np.argwhere(labels == label)
        chosen = ijk[atlas.seat_indices(label, ijk) == atlas.seats(label).index(seat)]
        return organs.grid.to_xyz(chosen).mean(axis=0)

    assert centre(10, "head")[0] > centre(10, "body")[0] > centre(10, "tail")[0]
    assert centre(57, "caecum")[0] > 0.0 + centre(57, "transverse")[0] > centre(57, "descending")[0]
    assert centre(57, "rectum")[2] < centre(57, "sigmoid")[2] < centre(57, "transverse")[2]
    assert centre(4, "fundus")[1] > centre(4, "neck")[1]
    assert centre(5, "segment VII")[2] > centre(5, "segment VI")[2]
    assert centre(5, "segment VI")[0] > centre(5, "segment IV")[0] > centre(5, "segment III")[0]
    assert centre(6, "body")[0] < centre(6, "antrum")[0]
