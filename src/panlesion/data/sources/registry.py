"""Every dataset that can be read in its published layout, by its id."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from panlesion.data.sources import (
    abdomenatlas,
    atlas_liver,
    chaos,
    covid1920,
    flare23,
    ircadb,
    kits23,
    lidc_idri,
    lidc_nodules,
    liver_hcc_seg,
    msd,
    nnunet,
    nsclc_radiomics,
    pancreas_ct,
    rider_lung,
    soft_tissue_sarcoma,
    sts,
    tcga_blca,
)
from panlesion.data.sources.source import Source

_NIFTI = (
    msd.LUNG,
    msd.LIVER,
    msd.PANCREAS,
    msd.COLON,
    kits23.KITS23,
    flare23.FLARE23,
    flare23.FLARE23_VALIDATION,
    covid1920.COVID1920,
    sts.STS,
    lidc_nodules.LIDC_NODULES,
    abdomenatlas.ABDOMENATLAS,
    abdomenatlas.ABDOMENATLAS_LESION_FREE,
    pancreas_ct.PANCREAS_CT,
)
_MR = (atlas_liver.ATLAS_LIVER, liver_hcc_seg.LIVER_HCC_SEG, sts.STS_MR)
_DICOM: tuple[Source, ...] = (
    *chaos.SOURCES,
    ircadb.SOURCE,
    rider_lung.SOURCE,
    nsclc_radiomics.SOURCE,
    tcga_blca.SOURCE,
    lidc_idri.SOURCE,
    soft_tissue_sarcoma.SOURCE,
)

SOURCES: Mapping[str, Source] = MappingProxyType({source.id: source for source in (*_NIFTI, *_DICOM, *_MR)})
assert len(SOURCES) == len(_NIFTI) + len(_DICOM) + len(_MR), "two sources share an id"


def source_of(name: str, root: Path) -> Source:
    """The source of an id; `nnunet` is that of the folder itself.

    Raises:
        StoreError: The folder names no classes (`nnunet` alone).
        ValueError: No source of that id.
    """
    if name == nnunet.ID:
        return nnunet.nnunet_source(root)
    if name not in SOURCES:
        raise ValueError(f"no source is called {name!r}; there are {', '.join((*SOURCES, nnunet.ID))}")
    return SOURCES[name]
