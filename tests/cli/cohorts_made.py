"""Small cohorts for the tests of the command line."""

from pathlib import Path

from cases_made import make_case_in, make_host

from panlesion.ct.phase import Phase
from panlesion.ct.volume import Box
from panlesion.data.case import write_case
from panlesion.data.delta import Delta, write_delta_case
from panlesion.data.host_folder import HOSTS_FOLDER, HostCard, write_host


def make_cohort(root: Path, count: int = 3) -> Path:
    """Full liver tumours 0 … count - 2 and one delta liver cyst, all in host h1, which is kept."""
    ct, organs = make_host()
    card = HostCard(id="h1", phase=Phase.PORTAL, spacing_mm=1.0, shape=ct.grid.shape, volumes_ml={5: 5.4}, source={"seed": 0})
    write_host(root / HOSTS_FOLDER / "h1", card, ct, organs)
    for index in range(count - 1):
        case, _ = make_case_in(ct, organs, seed=index)
        write_case(root / "Liver" / "Tumor" / f"{index:06d}", case)
    crop = Box(start=(2, 2, 2), stop=(28, 26, 24))
    case, box = make_case_in(ct.crop(crop), organs.crop(crop), crop=crop)
    delta = Delta.between(
        "h1", ct.crop(crop), organs.crop(crop), case=case, crop=crop, changed=box, organ_labels=frozenset({5})
    )
    write_delta_case(root / "Liver" / "Cyst" / "000000", delta, case)
    return root
