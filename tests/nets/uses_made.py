"""Tiny models that answer a question about whole cases, for tests."""

import torch

from panlesion.ct.modality import Modality
from panlesion.ct.region import Framing, Region
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.nets.case_use import CaseUse, default_look
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset

TINY = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)


def use_for(task, region=Region.LESION, **changes):
    given = {
        "framing": Framing(region=region, side=16, spacing_mm=4.0),
        "stages": ("I", "II", "III") if task == "stage" else (),
        "edges": (0.0, 100.0, 300.0, 400.0) if task == "survive" else (),
        "likelihood": Likelihood.HAZARD,
    }
    return CaseUse(task=CaseTask(task), **(given | changes))


def model_for(task, region=Region.LESION, **changes):
    torch.manual_seed(0)
    use = use_for(task, region, **changes)
    head = use.new_head(TINY, default_look(use.framing, TINY))
    modality = Modality.MR if set(use.channels) == {Modality.MR} else Modality.CT
    info = ModelInfo(
        preset=TINY, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16, in_channels=len(use.channels), case=use,
        modality=modality,
    )  # fmt: skip
    return Model(info, {use.head: head}).eval()
