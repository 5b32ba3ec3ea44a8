"""What a worker does with one case: open the host, cut the field of view, compose, write."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import find_objects

import panlesion
from panlesion.ct.volume import Box, LabelMap, Volume
from panlesion.data.case import Case, voxel_checks, write_case
from panlesion.data.delta import Delta, write_delta_case
from panlesion.data.host_folder import HOSTS_FOLDER, HostCard, read_host, read_host_card
from panlesion.data.manifest import LESION_COLUMNS
from panlesion.data.store import StoredAs
from panlesion.errors import PlacementError, VerifyError
from panlesion.lesion.priors.appearance import APPEARANCE
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.measure.host import measure_host
from panlesion.synth.assign import CaseJob, case_rng, crop_rng
from panlesion.synth.compose import Composed
from panlesion.synth.crop import draw_crop
from panlesion.synth.host import Host
from panlesion.synth.recipe import Recipe

Compose = Callable[..., Composed]
"""Called with a `Host`, the types of its lesions, a generator and, where the recipe has one, `refine`."""

HOST_CACHE_BYTES = 250_000_000
"""Voxels of opened hosts a worker keeps (3 bytes each): three phantoms or one long CT, to stay below 1.5 GB in all."""

VIEWS_KEPT = 3
"""Crops kept per open host, with everything that was measured of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _OpenHost:
    card: HostCard
    ct: Volume
    organs: LabelMap
    boxes: Mapping[int, Box]
    views: OrderedDict[tuple[int, ...], Host]


@dataclass(kw_only=True)
class CaseMaker:
    """Makes the cases of one cohort, keeping the hosts it opened last."""

    recipe: Recipe
    out: Path
    compose: Compose

    def __post_init__(self) -> None:
        self._hosts: OrderedDict[str, _OpenHost] = OrderedDict()

    def make(self, job: CaseJob) -> int:
        """Write a case; returns on which attempt it succeeded. A host without room is left for the next one.

        Raises:
            PlacementError: no host had room for the lesion.
            VerifyError: no attempt was true to its report.
            DiskFullError: the case could not be written.
        """
        refused: list[dict[str, str]] = []
        for attempt, name in enumerate(job.hosts):
            rng = case_rng(self.recipe.seed, job.type, job.index, attempt)
            try:
                self._make_in(self._open(name), job, rng, refused)
            except (PlacementError, VerifyError) as error:
                refused.append({"host": name, "error": type(error).__name__, "cause": str(error)})
                if attempt == len(job.hosts) - 1:
                    causes = "; ".join(f"{one['host']}: {one['cause']}" for one in refused)
                    raise type(error)(causes) from error
            else:
                return attempt + 1
        raise AssertionError("a job has at least one host")

    def _open(self, name: str) -> _OpenHost:
        if name in self._hosts:
            self._hosts.move_to_end(name)
            return self._hosts[name]
        folder = self.out / HOSTS_FOLDER / name
        card = read_host_card(folder)
        room = HOST_CACHE_BYTES - _bytes(card)
        while self._hosts and sum(_bytes(host.card) for host in self._hosts.values()) > room:
            self._hosts.popitem(last=False)
        ct, organs = read_host(folder)
        host = _OpenHost(card=card, ct=ct, organs=organs, boxes=_label_boxes(organs), views=OrderedDict())
        self._hosts[name] = host
        return host

    def _make_in(self, host: _OpenHost, job: CaseJob, rng: np.random.Generator, refused: list[dict[str, str]]) -> None:
        crop = self._draw_crop(host, job)
        view = _view(host, crop)
        count = self._draw_count(job.type, rng)
        composed = self.compose(view, [job.type] * count, rng)
        record = self._record(job, host.card, crop, composed, refused)
        case = Case(image=composed.image, label=composed.label, organs=composed.organs, report=composed.report, record=record)
        folder = self.out / job.folder
        if self.recipe.stored_as is StoredAs.FULL:
            write_case(folder, case)
            return
        delta = Delta.between(
            host.card.id, view.ct, view.organs,
            case=case, crop=crop, changed=composed.box, organ_labels=TYPES[job.type].organ_labels,
        )  # fmt: skip
        write_delta_case(folder, delta, case)

    def _draw_count(self, type_: LesionType, rng: np.random.Generator) -> int:
        """How many lesions a case gets: from the recipe's range, else as many as lesions of the type come in."""
        if self.recipe.lesions is not None:
            return int(rng.integers(self.recipe.lesions[0], self.recipe.lesions[1] + 1))
        shares = APPEARANCE[type_].multiple
        return 1 + int(rng.choice(len(shares), p=shares))

    def _draw_crop(self, host: _OpenHost, job: CaseJob) -> Box:
        shape = host.ct.grid.shape
        if not self.recipe.size_voxels:
            return Box(start=(0, 0, 0), stop=shape)
        boxes = {label: host.boxes[label] for label in TYPES[job.type].organ_labels if label in host.boxes}
        rng = crop_rng(self.recipe.seed, job.type, host.card.id, job.view)
        return draw_crop(shape, boxes, host.card.volumes_ml, size=self.recipe.size_voxels, rng=rng)

    def _record(
        self, job: CaseJob, card: HostCard, crop: Box, composed: Composed, refused: list[dict[str, str]]
    ) -> dict[str, Any]:
        return {
            "version": panlesion.__version__,
            "id": job.id,
            "type": job.type.value,
            "index": job.index,
            "seed": self.recipe.seed,
            "host": card.id,
            "phase": card.phase.value,
            "crop": [list(crop.start), list(crop.stop)],
            "attempts": len(refused) + 1,
            "refused": list(refused),
            "lesions": lesion_rows(composed),
            "checks": list(voxel_checks(composed.image.hu, composed.label.labels, composed.organs.labels)),
            "composed": composed.record,
            **({} if self.recipe.refining is None else {"refiner": self.recipe.refining.to_json()}),
        }


def lesion_rows(composed: Composed) -> list[dict[str, Any]]:
    """What the manifest tells of each lesion: its specification with the measured mean, as the report has it."""
    lesions = composed.record["lesions"]
    specs = [lesion["plan"]["spec"] | {"mean_hu": round(lesion["measured"]["mean_hu"], 2)} for lesion in lesions]
    return [{column: spec[column] for column in LESION_COLUMNS if column in spec} for spec in specs]


def _view(host: _OpenHost, crop: Box) -> Host:
    """The crop as a host of its own: what is measured of it holds for whoever measures the finished case again."""
    key = (*crop.start, *crop.stop)
    if key not in host.views:
        while len(host.views) >= VIEWS_KEPT:
            host.views.popitem(last=False)
        ct, organs = _contiguous(host.ct.crop(crop), host.organs.crop(crop))
        host.views[key] = Host(id=host.card.id, ct=ct, organs=organs, facts=measure_host(ct, organs, phase=host.card.phase))
    host.views.move_to_end(key)
    return host.views[key]


def _contiguous(ct: Volume, organs: LabelMap) -> tuple[Volume, LabelMap]:
    """Copies where the crop is a window into a larger array: every case reads all of it, strided reads are slow."""
    return (
        Volume(hu=np.ascontiguousarray(ct.hu), grid=ct.grid),
        LabelMap(labels=np.ascontiguousarray(organs.labels), grid=organs.grid),
    )


def _bytes(card: HostCard) -> int:
    i, j, k = card.shape
    return 3 * i * j * k


def _label_boxes(organs: LabelMap) -> dict[int, Box]:
    boxes = {}
    for label, slices in enumerate(find_objects(organs.labels), 1):
        if slices is not None:
            i, j, k = slices
            boxes[label] = Box(start=(i.start, j.start, k.start), stop=(i.stop, j.stop, k.stop))
    return boxes
