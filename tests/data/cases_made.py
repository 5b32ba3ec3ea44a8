"""Small cases for the tests of this folder."""

import numpy as np

from panlesion.ct.phase import Phase
from panlesion.ct.volume import Box, LabelMap, Volume, standard_grid
from panlesion.data.case import Case
from panlesion.data.delta import Delta, write_delta_case
from panlesion.data.host_folder import HostCard, write_host

LIVER = 5
REPORT = {
    "5": {
        "Shape": "Round-like",
        "Density": "Hypodense",
        "Heterogeneity": "Homogeneous",
        "Surface": "Well-defined margin",
        "Invasion": "No close relationship with adjacent structures",
    }
}


def make_host(seed=0, shape=(30, 28, 26)):
    """A noisy block of liver in fat."""
    rng = np.random.default_rng(seed)
    grid = standard_grid(shape, 1.0, (12.5, -7.25, 100.0))
    organs = np.zeros(shape, dtype=np.uint8)
    organs[5:25, 5:22, 4:20] = LIVER
    organs[25:28, 5:22, 4:20] = 1
    hu = np.where(organs == LIVER, 60, -100) + rng.normal(0, 12, shape)
    return Volume(hu=hu.astype(np.int16), grid=grid), LabelMap(labels=organs, grid=grid)


def make_case_in(ct, organs, host="h1", crop=None, seed=0):
    """A case in a host cropped already, and the box of all it changed."""
    rng = np.random.default_rng(seed)
    box = Box(start=(10, 9, 8), stop=(18, 17, 15))
    hu = ct.hu.copy()
    hu[box.slices] -= rng.integers(20, 60, box.shape).astype(np.int16)
    lesion = np.zeros(ct.grid.shape, dtype=bool)
    lesion[11:17, 10:16, 9:14] = True
    changed = organs.labels.copy()
    changed[10:11, 9:12, 8:10] = 0
    label = (changed == LIVER).astype(np.uint8)
    label[lesion] = 2
    crop = crop or Box(start=(0, 0, 0), stop=ct.grid.shape)
    record = {
        "host": host,
        "type": "liver_tumor",
        "seed": 1,
        "index": 0,
        "attempts": 1,
        "phase": "portal",
        "crop": [list(crop.start), list(crop.stop)],
        "lesions": [{"organ_label": 5, "seat": "segment VIII", "diameter_mm": 8.25, "features": ["rim", "capsule"]}],
    }
    case = Case(
        image=Volume(hu=hu, grid=ct.grid),
        label=LabelMap(labels=label, grid=ct.grid),
        organs=LabelMap(labels=changed, grid=ct.grid),
        report=REPORT,
        record=record,
    )
    return case, box


def write_delta_cohort(root, hosts=("h1", "h2")):
    """A delta cohort of one liver tumour per host."""
    crop = Box(start=(0, 0, 0), stop=(30, 28, 26))
    for number, host in enumerate(hosts):
        ct, organs = make_host(seed=number)
        card = HostCard(id=host, phase=Phase.PORTAL, spacing_mm=1.0, shape=ct.grid.shape, volumes_ml={5: 5.0}, source={})
        write_host(root / "hosts" / host, card, ct, organs)
        case, box = make_case_in(ct, organs, host=host, seed=number)
        delta = Delta.between(host, ct, organs, case=case, crop=crop, changed=box, organ_labels=frozenset({LIVER}))
        write_delta_case(root / "Liver" / "Tumor" / f"liver_tumor_{number:05d}", delta, case)
