"""`make_case`: a healthy host becomes image, label, report and record. Drawing (`draw_lesion`) is apart from rendering."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Box, Grid, LabelMap, Vector3, Volume
from panlesion.errors import PlacementError, VerifyError
from panlesion.lesion.report import describe, type_json
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Feature
from panlesion.synth.blend import blend, edge_mm, felt_mm, lay_strand
from panlesion.synth.draw import Wanted
from panlesion.synth.host import Host, Site
from panlesion.synth.kinds import KINDS
from panlesion.synth.plan import Blend, Plan, Strand, to_json
from panlesion.synth.shape.solid import bounds_of, box_of, lesion_mask, render_level
from panlesion.synth.terrain import Terrain
from panlesion.synth.verify import Check, verify

ORGAN, LESION = 1, 2
HU_RANGE = (-1024, 3071)
DRAWS = 12
FAINT_HU = 20.0
FAINT_SDS = 2.0
SMALL_VOXELS = 8.0
CASE_DRAWS = 4
REFINE_DRAWS, REFINE_STRIDE = 2, 1_000_003
"""A refined lesion whose report is not true is redrawn with another seed, then left as it was."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendered:
    """One lesion in its host: the changed box, HU int16, organ labels uint8 and lesion mask bool in it."""

    plan: Plan
    box: Box
    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Composed:
    """A finished case: all changed voxels of image, label's lesion and organs lie in `box`."""

    image: Volume
    label: LabelMap
    organs: LabelMap
    report: dict[str, Any]
    record: dict[str, Any]
    box: Box


class Refine(Protocol):
    """Redraws a rendered lesion in the case it goes into; the same for the same seed. `synth.refine` has the one there is."""

    def __call__(
        self,
        rendered: Rendered,
        hu: NDArray[np.int16],
        labels: NDArray[np.uint8],
        *,
        grid: Grid,
        taken: NDArray[np.bool_],
        seed: int,
    ) -> Rendered: ...


def draw_lesion(
    host: Host,
    type: LesionType,
    rng: np.random.Generator,
    *,
    wanted: Wanted | None = None,
    others: tuple[Plan, ...] = (),
    draft: bool = False,
) -> Plan:
    """A plan for one lesion in a host; every random number is drawn here.

    A `draft` is fitted on coarse voxels only, in half the time: its readings are less often true.

    Raises:
        PlacementError: `DRAWS` draws found no place where the wanted lesion fits; the message is the last one's.
    """
    site = Site(host=host, type=type, others=others, draft=draft)
    problem = PlacementError(f"no place for a {type} in {host.id}")
    for _ in range(DRAWS):
        try:
            plan = KINDS[type](site, wanted or Wanted(), rng)
        except PlacementError as error:
            problem = error
            continue
        # Only the first lesion pushes: a later one would move those whose masks and reports stand already.
        return replace(plan, matter=replace(plan.matter, push=0.0)) if others else plan
    raise problem


def render_lesion(plan: Plan, host: Host, ct: Volume | None = None, organs: LabelMap | None = None) -> Rendered:
    """Render a plan into its host, or into that host with other lesions already in it. Draws nothing."""
    ct, organs = ct or host.ct, organs or host.organs
    spec, matter = plan.spec, plan.matter
    facts = host.facts
    edge = edge_mm(matter.margin_mm, facts.psf_mm, max(ct.grid.spacing_mm))
    reach = max(edge, felt_mm(matter.push, spec.diameter_mm / 2, min(ct.grid.spacing_mm)))
    box = box_of(bounds_of(plan.geometry), ct.grid, reach).clipped(ct.grid.shape)
    whole = box
    for strand in plan.strands:
        whole = whole.joined(box_of(_bounds_of(strand), ct.grid, strand.radius_mm + edge).clipped(ct.grid.shape))
    hu, labels = ct.hu[whole.slices].copy(), organs.labels[whole.slices].copy()
    for strand in plan.strands:
        hu = _as_hu(lay_strand(hu.astype(np.float32), strand, ct.grid.crop(whole), facts.psf_mm))
    a, b, c = whole.start
    inner = box.shifted((-a, -b, -c))
    near = ct.grid.crop(whole)
    terrain = Terrain.of(
        Volume(hu=hu, grid=near), LabelMap(labels=labels, grid=near), type=spec.type, organ_label=spec.organ_label, box=inner
    )
    level = render_level(plan.geometry, terrain, reach)
    # The box was drawn around all that the geometry could reach; from here on only what it does reach is looked at.
    tight = Box.of(level < reach).grown(1).clipped(level.shape)
    terrain, level, inner = terrain.cropped(tight), level[tight.slices], tight.shifted(inner.start)
    inside = lesion_mask(level, spec.centre_xyz, terrain.grid)
    # Pieces cut off by the organ are no part of the lesion: they must not be painted either.
    level = np.where((level < 0) & ~inside, np.float32(0.5), level)
    blended = blend(matter, level, spec.centre_xyz, terrain, facts.noise(spec.organ_label), facts.psf_mm)
    mask = np.zeros(whole.shape, dtype=bool)
    mask[inner.slices] = inside
    hu[inner.slices], labels[inner.slices] = _as_hu(blended.hu), blended.labels
    return Rendered(plan=plan, box=whole, hu=hu, labels=labels, mask=mask)


def _bounds_of(strand: Strand) -> tuple[Vector3, Vector3]:
    path = np.asarray(strand.path_xyz)
    a, b, c = path.min(axis=0).tolist()
    d, e, f = path.max(axis=0).tolist()
    return (a, b, c), (d, e, f)


def _as_hu(hu: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(hu), *HU_RANGE).astype(np.int16)


def make_case(
    host: Host,
    types: Sequence[LesionType],
    rng: np.random.Generator,
    *,
    wanted: Wanted | None = None,
    refine: Refine | None = None,
) -> Composed:
    """Draw, render and verify a case with one lesion per entry of `types`.

    A lesion whose report is not true of its voxels is drawn again, at most `CASE_DRAWS` times. When a later one of several
    finds no place, the case has fewer; the first must. With `refine`, each is redrawn once it has passed; one whose report
    would not be true any more stays as it was, which its record says. No number is drawn for that: the lesions are the same.

    Raises:
        PlacementError: The host has no room for the first lesion.
        VerifyError: No draw of a lesion passed; lists what failed in the last.
    """
    if len({TYPES[type].system for type in types}) != 1:
        raise ValueError(f"types are {list(types)}; a case has one to many lesions of one organ system")
    hu, labels = host.ct.hu.copy(), host.organs.labels.copy()
    lesion = np.zeros(hu.shape, dtype=bool)
    plans: list[Plan] = []
    reports: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    changed: Box | None = None
    for type in types:
        try:
            rendered, check, draws = _draw_verified(host, type, rng, wanted, tuple(plans), hu, labels)
        except (PlacementError, VerifyError):
            if not plans:
                raise
            continue
        refined: dict[str, Any] = {}
        if refine is not None:
            rendered, check, refined = _refined(refine, rendered, check, host, hu, labels, lesion, wanted)
        hu[rendered.box.slices], labels[rendered.box.slices] = rendered.hu, rendered.labels
        lesion[rendered.box.slices] |= rendered.mask
        measured = check.attributes
        plans.append(rendered.plan)
        reports.append(describe(rendered.plan.spec, measured.size.extent_voxels, check.centre_ijk, measured.mean_hu))
        rows.append({"plan": to_json(rendered.plan), "measured": measured.as_dict(), "draws": draws} | refined)
        changed = rendered.box if changed is None else changed.joined(rendered.box)
    assert changed is not None
    grid, organs = host.ct.grid, LabelMap(labels=labels, grid=host.ct.grid)
    label = organs.mask(TYPES[types[0]].organ_labels).view(np.uint8) * np.uint8(ORGAN)
    label[changed.slices][lesion[changed.slices]] = LESION
    return Composed(
        image=Volume(hu=hu, grid=grid),
        label=LabelMap(labels=label, grid=grid),
        organs=organs,
        report=type_json(reports),
        record={"host": host.id, "lesions": rows},
        box=changed,
    )


def _draw_verified(
    host: Host,
    type: LesionType,
    rng: np.random.Generator,
    wanted: Wanted | None,
    others: tuple[Plan, ...],
    hu: NDArray[np.int16],
    labels: NDArray[np.uint8],
) -> tuple[Rendered, Check, int]:
    """A lesion that passed verification in the case as it stands, and how many draws that took."""
    ct, organs = Volume(hu=hu, grid=host.ct.grid), LabelMap(labels=labels, grid=host.ct.grid)
    failures: list[str] = []
    for draw in range(1, CASE_DRAWS + 1):
        plan = draw_lesion(host, type, rng, wanted=wanted, others=others)
        rendered = render_lesion(plan, host, ct, organs)
        check = verify(rendered, host, hu, labels)
        rendered, check = settled_surface(rendered, check, max(host.ct.grid.spacing_mm), wanted)
        if not check.failures:
            return rendered, check, draw
        failures = check.failures
    raise VerifyError(f"{CASE_DRAWS} draws of a {type} in {host.id} were not true to their report; last: {'; '.join(failures)}")


def _refined(
    refine: Refine,
    rendered: Rendered,
    check: Check,
    host: Host,
    hu: NDArray[np.int16],
    labels: NDArray[np.uint8],
    taken: NDArray[np.bool_],
    wanted: Wanted | None,
) -> tuple[Rendered, Check, dict[str, Any]]:
    """The lesion redrawn where that leaves its report true, else as it was; and what the record says of it."""
    failures: list[str] = []
    for draw in range(REFINE_DRAWS):
        # Of the plan's own seed, not of the case's generator: what is drawn next must not depend on refining.
        seed = (rendered.plan.matter.noise_seed + draw * REFINE_STRIDE) % 2**31
        finer = refine(rendered, hu, labels, grid=host.ct.grid, taken=taken, seed=seed)
        again = verify(finer, host, hu, labels)
        finer, again = settled_surface(finer, again, max(host.ct.grid.spacing_mm), wanted)
        if not again.failures:
            return finer, again, {"refined": {"kept": True, "seed": seed, "draws": draw + 1}}
        failures = again.failures
    return rendered, check, {"refined": {"kept": False, "draws": REFINE_DRAWS, "failures": failures}}


def settled_surface(rendered: Rendered, check: Check, voxel_mm: float, wanted: Wanted | None = None) -> tuple[Rendered, Check]:
    """Where more than the drawn margin decides how sharp a lesion reads, the report says what was measured.

    That is so for faint lesions (contrast below `FAINT_HU` or `FAINT_SDS` of their own heterogeneity: noise decides), in
    hollow organs (the wall and its content decide as well), for lesions fewer than `SMALL_VOXELS` across (the grid decides)
    and for subsolid or spiculated ones (vessels and spicules decide). A margin that the caller asked for is not renamed.
    """
    measured, spec = check.attributes, rendered.plan.spec
    faint = abs(measured.margin.contrast_hu) < max(FAINT_HU, FAINT_SDS * measured.heterogeneity_sd_hu)
    small = spec.diameter_mm < SMALL_VOXELS * voxel_mm
    open_edge = rendered.plan.matter.blend is Blend.VEIL or Feature.SPICULATED in spec.features
    unsure = faint or small or open_edge or TYPES[spec.type].hollow
    if measured.surface is spec.surface or not unsure or (wanted is not None and wanted.surface is not None):
        return rendered, check
    rendered = replace(rendered, plan=replace(rendered.plan, spec=replace(spec, surface=measured.surface)))
    return rendered, replace(check, failures=[one for one in check.failures if not one.startswith("surface")])
