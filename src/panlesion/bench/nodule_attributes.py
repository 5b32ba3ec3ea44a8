"""Report attributes of real lung nodules against the medians of up to four radiologists.

What a head trained on synthetic lesions alone says, and what `measure` reads from the voxels, beside the lesion's volume, which
sees no image. The readers' scales are not our vocabulary; which class answers to which end of a scale is said in `QUESTIONS`,
why in docs/why/bench.md. Scores between the two ends are left out of accuracy and AUC, not of the rank correlation.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import ndimage

from panlesion.bench.predictions import Said
from panlesion.bench.protocol import Asked, Table, Watch
from panlesion.bench.scores import Score as Measured
from panlesion.bench.scores import scored
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.volume import LabelMap
from panlesion.data.publish import write_text
from panlesion.data.sources.lidc_nodules import Score, ScoredNodule, read_lidc
from panlesion.errors import OrganMapError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import READINGS, Density, Shape, Surface
from panlesion.measure.attributes import ROUND_SOLIDITY, ROUND_SPHERICITY, Attributes, measure_lesion
from panlesion.measure.discrimination import auc, bootstrapped, rank_correlation
from panlesion.measure.host import LUNG_HU, HostFacts
from panlesion.measure.naming import Naming, naming
from panlesion.measure.noise import Noise, measure_noise
from panlesion.measure.region import closed, eroded
from panlesion.measure.resampling import Interval
from panlesion.nets.attributes import describe_lesion, look_of
from panlesion.nets.checkpoint import load_model
from panlesion.nets.model import Model

ROW = "lidc-attributes"
SPACING_MM = 1.0
READINGS_FILE = "readings.jsonl"
LUNG = V1_LABELS["lung_upper_lobe_left"]
AIRY_HU = -400
MUSCLE_HU = 50.0
"""Where a cube of lung holds no soft tissue to compare with. Ours: psoas of a plain CT, docs/why/measure.md."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One scale of the readers and the class of ours that answers to one of its ends; both ends inclusive."""

    title: str
    score: Score
    attribute: str
    positive: StrEnum
    negative: tuple[StrEnum, ...]
    present: tuple[float, float]
    absent: tuple[float, float]

    def truth(self, score: float) -> bool | None:
        """Whether readers saw it; None between the ends."""
        if self.present[0] <= score <= self.present[1]:
            return True
        return False if self.absent[0] <= score <= self.absent[1] else None

    @property
    def sign(self) -> int:
        """1 where a higher score means more of it, -1 where less."""
        return 1 if self.present[0] > self.absent[0] else -1


QUESTIONS = (
    Question(
        title="ill-defined margin", score=Score.MARGIN, attribute="surface", positive=Surface.ILL_DEFINED,
        negative=(Surface.WELL_DEFINED,), present=(1, 2.5), absent=(3.5, 5),
    ),
    Question(
        title="not solid", score=Score.TEXTURE, attribute="density", positive=Density.HYPO,
        negative=(Density.ISO, Density.HYPER), present=(1, 3), absent=(4, 5),
    ),
    Question(
        title="spiculated", score=Score.SPICULATION, attribute="shape", positive=Shape.IRREGULAR, negative=(Shape.ROUND,),
        present=(3.5, 5), absent=(1, 2),
    ),
)  # fmt: skip


class Method(StrEnum):
    """Who answers."""

    NETWORK = "network, synthetic lesions only"
    MEASURED = "measured on the voxels"
    VOLUME = "volume alone"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One method on one question of one nodule. `evidence` grows with what is asked, `said` is the class it comes to."""

    method: Method
    question: str
    case: str
    patient: str
    score: float
    evidence: float
    said: bool | None


class CubeFacts(HostFacts):
    """Facts of a small cube of chest: it may hold no soft tissue to compare with or to measure noise in."""

    @property
    def soft_tissue_hu(self) -> float:
        try:
            return super().soft_tissue_hu
        except OrganMapError:
            return MUSCLE_HU

    def noise(self, label: int) -> Noise:
        try:
            return super().noise(label)
        except OrganMapError:
            lung = (self.ct.hu >= LUNG_HU[0]) & (self.ct.hu <= LUNG_HU[1]) & (self.organs.labels == label)
            if self.exclude is not None:
                lung &= ~self.exclude
            return measure_noise(self.ct.hu, eroded(lung, (1, 1, 1)), self.ct.grid.spacing_mm)


def measured(nodule: ScoredNodule) -> Attributes:
    """Attributes as `measure` reads them, in a lung made from the HU: what is airy, closed over vessels and the nodule."""
    lesion = nodule.label.labels > 0
    lung = ndimage.binary_opening(closed((nodule.ct.hu < AIRY_HU) | lesion, (4, 4, 4)), iterations=2)
    organs = LabelMap(labels=np.where(lung | lesion, LUNG, 0).astype(np.uint8), grid=nodule.ct.grid)
    host = CubeFacts(ct=nodule.ct, organs=organs, exclude=lesion)
    return measure_lesion(nodule.ct, lesion, organs, type=LesionType.LUNG_TUMOR, organ_label=LUNG, host=host)


def measured_evidence(found: Attributes) -> dict[str, float]:
    """What the rules of `measure` compare with their limits, 0 at the limit, by attribute."""
    width = found.margin.sigma_mm if found.margin.sigma_mm is not None else 0.0
    # no edge to be seen is as ill-defined as it gets: wider than any width that is fitted
    surface = width / found.margin.limit_mm - 1 if found.margin.visible else 10.0
    density = TYPES[found.type].isodense_hu[0] - found.offset_hu
    shape = 1 - min(found.form.sphericity / ROUND_SPHERICITY, found.form.solidity / ROUND_SOLIDITY)
    return {"surface": surface, "density": density, "shape": shape}


def network_evidence(probabilities: Mapping[str, Any], question: Question) -> float:
    """Share of the positive class among those that are asked about, minus a half."""
    classes = list(READINGS[question.attribute])
    of = {one: float(p) for one, p in zip(classes, probabilities[question.attribute], strict=True)}
    yes, no = of[question.positive], sum(of[one] for one in question.negative)
    return yes / max(yes + no, 1e-9) - 0.5


def answers(nodules: Sequence[ScoredNodule], methods: Sequence[Method], model: Model | None, watch: Watch) -> list[Answer]:
    """Every method on every scored nodule.

    Raises:
        CheckpointError: The model has no attribute head.
    """
    found = []
    scored = [nodule for nodule in nodules if nodule.scores]
    for number, nodule in enumerate(scored):
        watch(f"reading {nodule.id}", number, len(scored))
        for method in methods:
            evidence = _EVIDENCE[method](nodule, model)
            for question in QUESTIONS:
                if question.score in nodule.scores:
                    value = evidence[question.title]
                    said = None if method is Method.VOLUME else value > 0
                    found.append(
                        Answer(
                            method=method, question=question.title, case=nodule.id, patient=nodule.patient,
                            score=nodule.scores[question.score], evidence=value, said=said,
                        )
                    )  # fmt: skip
    watch("done", len(scored), len(scored))
    return found


def _network(nodule: ScoredNodule, model: Model | None) -> dict[str, float]:
    assert model is not None
    probabilities = describe_lesion(model, nodule.ct, nodule.label.labels > 0)
    return {question.title: network_evidence(probabilities, question) for question in QUESTIONS}


def _measured(nodule: ScoredNodule, _model: Model | None) -> dict[str, float]:
    found = measured_evidence(measured(nodule))
    return {question.title: found[question.attribute] for question in QUESTIONS}


def _volume(nodule: ScoredNodule, _model: Model | None) -> dict[str, float]:
    volume_ml = float(np.count_nonzero(nodule.label.labels)) * nodule.label.grid.voxel_ml
    return {question.title: volume_ml for question in QUESTIONS}


_EVIDENCE: Mapping[Method, Callable[[ScoredNodule, Model | None], dict[str, float]]] = MappingProxyType(
    {Method.NETWORK: _network, Method.MEASURED: _measured, Method.VOLUME: _volume}
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """One method on one question; `named` and `area` are None where nothing is at an end of the scale, or nothing was named."""

    question: Question
    method: Method
    present: int
    absent: int
    named: Naming | None
    area: Interval | None
    rho: Interval


def measured_results(found: Sequence[Answer]) -> list[Result]:
    """Every question with every method that answered it."""
    found_ = []
    for question in QUESTIONS:
        for method in Method:
            mine = [one for one in found if one.question == question.title and one.method is method]
            if mine:
                found_.append(_result(question, method, mine))
    return found_


def results(found: Sequence[Answer]) -> Table:
    """Accuracy, AUC and rank correlation of every question and method, with the commonest class beside."""
    mine = measured_results(found)
    header = ("asked", "who answers", "present / absent", "accuracy", "balanced accuracy", "commonest class", "AUC", "Spearman")
    return Table(
        title="Attributes of real nodules against the readers' medians",
        header=header,
        rows=tuple(_line(one) for one in mine),
        notes=(
            "95 % intervals resample patients (n). Spearman is with the readers' score over all nodules, positive where it "
            "agrees. Volume's AUC and Spearman say what size alone tells, more volume counting as more of what is asked.",
        ),
        scores=tuple(score for one in mine for score in _scores(one)),
        said=_said(found),
    )


def _result(question: Question, method: Method, mine: Sequence[Answer]) -> Result:
    sided = [(int(seen), one) for one in mine if (seen := question.truth(one.score)) is not None]
    truth, patients = [seen for seen, _ in sided], [one.patient for _, one in sided]
    said = [int(bool(one.said)) for _, one in sided]
    return Result(
        question=question,
        method=method,
        present=sum(truth),
        absent=len(truth) - sum(truth),
        named=None if method is Method.VOLUME or not sided else naming(truth, said, patients),
        area=bootstrapped(auc, truth, [one.evidence for _, one in sided], patients) if sided else None,
        rho=bootstrapped(
            rank_correlation,
            [question.sign * one.score for one in mine],
            [one.evidence for one in mine],
            [one.patient for one in mine],
        ),
    )


def _line(one: Result) -> tuple[str, ...]:
    shown = [str(part) if part else "-" for part in (one.named and one.named.accuracy, one.named and one.named.balanced)]
    total = one.present + one.absent
    share = f"{max(one.present, one.absent) / total:.3f}" if total else "-"
    ends = f"{one.present} / {one.absent}"
    asked = f"{one.question.title} ({one.question.score})"
    return (asked, str(one.method), ends, *shown, share, str(one.area or "-"), str(one.rho))


def _scores(one: Result) -> list[Measured]:
    numbers = [("auc", one.area), ("spearman", one.rho)]
    if one.named is not None:
        numbers += [("accuracy", one.named.accuracy), ("balanced accuracy", one.named.balanced)]
    # one kind of nodule alone has no AUC, a constant no rank correlation
    return [
        scored(ROW, str(one.method), f"{metric} ({one.question.title})", interval)
        for metric, interval in numbers
        if interval is not None and not np.isnan([interval.mean, interval.low]).any()
    ]


def _said(found: Sequence[Answer]) -> tuple[Said, ...]:
    truths = {question.title: question.truth for question in QUESTIONS}
    return tuple(
        Said(case=one.case, patient=one.patient, arm=str(one.method), evidence=one.evidence, truth=truth, question=one.question)
        for one in found
        if (truth := truths[one.question](one.score)) is not None
    )


def run_nodule_attributes(folder: str, asked: Asked, watch: Watch) -> list[Table]:
    """Read every scored nodule below the root and show how it compares with the readers.

    Raises:
        ValueError: An unknown method.
        CheckpointError: The network is asked and has no attribute head.
    """
    names = {method.name.lower(): method for method in Method}
    chosen = asked.choices.arms or tuple(names)
    if unknown := [name for name in chosen if name not in names]:
        raise ValueError(f"{', '.join(unknown)} is no arm; use some of {', '.join(names)}")
    methods = [names[name] for name in chosen]
    model = load_model(asked.checkpoint).eval() if Method.NETWORK in methods else None
    if model is not None:
        look_of(model)  # a model without the head is refused before anything is read
    nodules = list(read_lidc(asked.root / folder, spacing_mm=SPACING_MM))[: asked.choices.cases]
    found = answers(nodules, methods, model, watch)
    write_text(asked.out / READINGS_FILE, "".join(json.dumps(asdict(one)) + "\n" for one in found))
    return [results(found)]
