"""Which function writes a stand-in of which source."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from panlesion.data.sources import msd
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.standins import chaos, ircadb, lidc_idri, nifti, pancreas_ct, tcia

Write = Callable[[Path, Sequence[LabelledCT]], Path]

STANDINS: Mapping[str, Write] = MappingProxyType(
    {
        "msd_lung": partial(nifti.write_msd, task="Task06_Lung", labels=msd.LUNG.classes),
        "msd_liver": partial(nifti.write_msd, task="Task03_Liver", labels=msd.LIVER.classes),
        "msd_pancreas": partial(nifti.write_msd, task="Task07_Pancreas", labels=msd.PANCREAS.classes),
        "msd_colon": partial(nifti.write_msd, task="Task10_Colon", labels=msd.COLON.classes),
        "kits23": nifti.write_kits23,
        "flare23": nifti.write_flare23,
        "flare23_validation": nifti.write_flare23_validation,
        "covid1920": nifti.write_covid1920,
        "sts": nifti.write_sts,
        "lidc_nodules": nifti.write_lidc_nodules,
        "abdomenatlas": nifti.write_abdomenatlas,
        "abdomenatlas_lesion_free": nifti.write_abdomenatlas,
        "pancreas_ct": pancreas_ct.write_pancreas_ct,
        "chaos_ct": chaos.write_chaos_ct,
        "chaos_mr": chaos.write_chaos_mr,
        "ircadb": ircadb.write_ircadb,
        "rider_lung": tcia.write_rider_lung,
        "nsclc_radiomics": tcia.write_nsclc_radiomics,
        "tcga_blca": tcia.write_tcga_blca,
        "lidc_idri": lidc_idri.write_lidc_idri,
        "soft_tissue_sarcoma": tcia.write_soft_tissue_sarcoma,
        "atlas_liver": nifti.write_atlas_liver,
        "liver_hcc_seg": nifti.write_liver_hcc_seg,
        "sts_mr": partial(nifti.write_sts, stem="mr_t1"),
    }
)
