"""Which case is made in which host, and with which random numbers; nothing here knows of workers or order."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from panlesion.data.host_folder import HostCard
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.synth.phantom_hosts import serves
from panlesion.synth.recipe import Recipe

MAX_HOSTS_TRIED = 3
"""A case whose host has no room for its lesion is tried in this many hosts before it is given up."""

CASES_PER_VIEW = 16
"""A host is cut anew after this many cases of a type: what is measured of a crop is used again, yet positions vary (ours)."""

MINIMUM_ORGAN_ML: Mapping[LesionType, float] = MappingProxyType(
    {
        LesionType.LUNG_TUMOR: 200.0,
        LesionType.LIVER_TUMOR: 200.0,
        LesionType.LIVER_CYST: 200.0,
        LesionType.GALLBLADDER_CANCER: 3.0,
        LesionType.GALLSTONE: 3.0,
        LesionType.PANCREAS_TUMOR: 10.0,
        LesionType.PANCREAS_CYST: 10.0,
        LesionType.ESOPHAGEAL_CANCER: 3.0,
        LesionType.GASTRIC_CANCER: 20.0,
        LesionType.COLORECTAL_CANCER: 30.0,
        LesionType.KIDNEY_TUMOR: 50.0,
        LesionType.KIDNEY_CYST: 50.0,
        LesionType.KIDNEY_STONE: 50.0,
        LesionType.BLADDER_CANCER: 20.0,
        LesionType.BONE_METASTASIS: 20.0,
    }
)
"""A host with less of an organ holds a cut piece of it, or a wrong segmentation, and is not used for the type (ours)."""


@dataclass(frozen=True, kw_only=True)
class CaseJob:
    """One case to make; `hosts` are tried in this order, each cut to its `view`-th crop for the type."""

    type: LesionType
    index: int
    view: int
    hosts: tuple[str, ...]

    @property
    def id(self) -> str:
        return case_id(self.type, self.index)

    @property
    def folder(self) -> str:
        """Below the cohort's folder."""
        return f"{TYPES[self.type].folder}/{self.id}"

    @property
    def group(self) -> str:
        """Cases of one host go to one worker, which then opens it once."""
        return self.hosts[0]


def case_id(type_: LesionType, index: int) -> str:
    """The name of a case's folder."""
    return f"{type_.value}_{index:05d}"


def case_rng(seed: int, type_: LesionType, index: int, attempt: int) -> np.random.Generator:
    """The generator of one case on its n-th host; it knows nothing of workers, order or other cases."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_number(type_), index, attempt)))


def crop_rng(seed: int, type_: LesionType, host: str, view: int) -> np.random.Generator:
    """The generator of one crop of a host, shared by the cases of a type that see it."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_number(type_), zlib.crc32(host.encode()), view, 0)))


def _number(type_: LesionType) -> int:
    # of the name, not of its place in the list: a type added later changes no existing case
    return zlib.crc32(type_.value.encode())


def plan_cases(recipe: Recipe, cards: Sequence[HostCard]) -> tuple[list[CaseJob], list[LesionType]]:
    """Every case of the cohort, those of one host together, and the types that no host can hold.

    Hosts of a type are used equally often: they are shuffled anew for each round through all of them.
    """
    jobs, impossible = [], []
    for type_ in recipe.types:
        able = sorted(card.id for card in cards if _can_hold(card, type_))
        if not able:
            impossible.append(type_)
            continue
        for index in range(recipe.per_type):
            turn, position = divmod(index, len(able))
            shuffle = np.random.default_rng(np.random.SeedSequence(recipe.seed, spawn_key=(_number(type_), turn)))
            order = np.roll(shuffle.permutation(len(able)), -position)[:MAX_HOSTS_TRIED]
            hosts = tuple(able[int(n)] for n in order)
            jobs.append(CaseJob(type=type_, index=index, view=turn // CASES_PER_VIEW, hosts=hosts))
    return sorted(jobs, key=lambda job: (job.group, job.type, job.view, job.index)), impossible


def _can_hold(card: HostCard, type_: LesionType) -> bool:
    return serves(card, type_) and card.volume_ml(TYPES[type_].organ_labels) >= MINIMUM_ORGAN_ML[type_]
