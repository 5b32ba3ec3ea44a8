"""Stage III of pretraining (ours): the network is frozen, one head learns which of the parts it marks are lesions.

Whole scans are drawn, predicted and compared with what is in them; the head learns from three quarters of them, and on the
others its output is made a probability and the table of operating points is measured, which the checkpoint keeps.
"""

import io
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import gcd
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import panlesion
from panlesion.ct.atomic import replacing
from panlesion.errors import TrainingError
from panlesion.infer.findings import OVERLAP, find, predict_scan
from panlesion.measure.detection import Part, Reading, compare_labelled, components
from panlesion.measure.froc import operating_points
from panlesion.nets.candidates import candidate_vectors, looked_at
from panlesion.nets.checkpoint import load_model, save_checkpoint
from panlesion.nets.heads import DETECTION_HEAD, Head, detection_head
from panlesion.nets.look import Look, Pooling
from panlesion.nets.model import Model
from panlesion.nets.sealed import digest
from panlesion.recipes.pretrain import MODEL_FILE, claim, resolved
from panlesion.synth.pool import run_jobs
from panlesion.synth.whole_scan import draw_whole_scan
from panlesion.train.candidates import Candidates, CandidateSource, calibration, known_parts
from panlesion.train.loop import Fit, Watch, fit
from panlesion.train.optim import Method, Optim, Schedule
from panlesion.train.tasks.detect import Detect

SCANS_FOLDER = "scans"
CALIBRATE_EVERY = 4
"""Every fourth scan calibrates and teaches nothing."""

Gathering = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class StageThree:
    """How a detection head is trained. `start` is the SHA-256 of the frozen network's weights, filled in by the run.

    Scan n is lesion-free where `healthy_every` divides n, else has a soft-tissue mass too where `mass_every` does.
    Probabilities are those in scans with `expected_lesions` on average, fewer than the drawn ones have (adjustment to other
    priors, Saerens et al. 2002, Neural Comput 14:21).
    """

    name: str
    look: Look
    fit: Fit
    seed: int = 0
    scans: int = 120
    lesions_per_scan: int = 6
    healthy_every: int = 5
    mass_every: int = 3
    expected_lesions: float = 1.0
    overlap: float = OVERLAP
    start: str = ""

    def __post_init__(self) -> None:
        if not self.expected_lesions > 0:
            raise ValueError(f"expected_lesions is {self.expected_lesions}; it must be above 0 lesions a scan")
        if self.healthy_every > 0 and gcd(self.healthy_every, CALIBRATE_EVERY) > 1:
            raise ValueError(
                f"healthy_every is {self.healthy_every}; it must share no divisor with {CALIBRATE_EVERY}, or the scans "
                "that calibrate are all healthy, or none is"
            )


def nano(*, steps: int = 1500, seed: int = 0) -> StageThree:
    """Sized for two CPU cores: 15 to 20 s a scan, then a minute of training."""
    return StageThree(
        name="nano",
        look=Look(
            spacing_mm=2.5,
            crop_voxels=32,
            pooling=(Pooling.LESION, Pooling.SPREAD, Pooling.SHELL, Pooling.DECODED, Pooling.FORM),
            levels=(0, 1, 2, 3, 4),
        ),
        fit=Fit(
            steps=steps,
            batch=64,
            seed=seed,
            optim=Optim(
                method=Method.ADAMW, rate=1e-3, weight_decay=1e-1, schedule=Schedule.COSINE, warmup_steps=50, ema_decay=0.99
            ),
            precision="32-true",
        ),
        seed=seed,
    )


STAGE_THREE: dict[str, Callable[..., StageThree]] = {"nano": nano}


def pretrain_detection(
    recipe: StageThree,
    out: Path,
    *,
    start_from: Path | str,
    workers: int = 1,
    gathering: Gathering | None = None,
    watch: Watch | None = None,
) -> Model:
    """Run stage III into `out`, or go on with what is there; leaves `model.safetensors` with the head inside.

    Args:
        recipe: What to learn from, and how.
        out: Folder of the run; a scan that was gathered is not drawn again.
        start_from: Checkpoint with lesion classes, or a shipped model; a detection head that it has is replaced.
        workers: Processes that draw and predict scans.
        gathering: Called with gathered scans done and in all.
        watch: Called after every step.

    Raises:
        CheckpointError: `start_from` cannot be read.
        TrainingError: `out` holds a run of another recipe or network, a scan could not be made, or too little was marked.
        ValueError: The network cannot look as the recipe says.
    """
    model = load_model(start_from)
    recipe = replace(recipe, start=digest("", model.unet.state_dict()))
    torch.manual_seed(recipe.seed)
    head = detection_head(model.preset, recipe.look)
    model.heads[DETECTION_HEAD] = head
    claim(out, recipe)
    scans = _gathered(recipe, model, out / SCANS_FOLDER, workers, gathering)
    teaching = Candidates.joined([scan.known(n) for n, scan in enumerate(scans) if n % CALIBRATE_EVERY])
    told = [scan for n, scan in enumerate(scans) if not n % CALIBRATE_EVERY]
    if not teaching.lesion.any() or teaching.lesion.all():
        raise TrainingError(
            f"of {len(teaching.lesion)} parts marked in {len(scans)} scans {int(teaching.lesion.sum())} are lesions; a "
            "detection head needs some of both kinds: train the network longer, or draw more scans"
        )
    head.adjust(torch.from_numpy(teaching.vectors))
    source = CandidateSource(data=teaching, seed=recipe.fit.seed, batch=recipe.fit.batch)
    model = fit(model, Detect(), source, recipe.fit, out, groups=_only_head, watch=watch).eval()
    points = calibrate(head, told, recipe.expected_lesions)
    made = {"made_by": f"panlesion {panlesion.__version__}", "steps": recipe.fit.steps, "data": "drawn phantoms only"}
    model.info = replace(
        model.info,
        recipe={**model.info.recipe, "stage_three": resolved(recipe)},
        provenance={
            **model.info.provenance,
            "stage_three": {**made, "calibration_scans": len(told), "operating_points": points},
        },
    )
    save_checkpoint(out / MODEL_FILE, model.requires_grad_(True))
    return model


@dataclass(frozen=True, kw_only=True)
class ScanJob:
    """One scan to draw, predict and compare."""

    number: int

    @property
    def group(self) -> str:
        return str(self.number)


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkedScan:
    """What the network marked in one scan: the vectors (N, F) of the parts, and how they overlap with the lesions."""

    vectors: NDArray[np.float32]
    reading: Reading

    def known(self, number: int) -> Candidates:
        """The parts of which it is known whether they are lesions."""
        lesion, known = known_parts(self.reading)
        return Candidates(vectors=self.vectors[known], lesion=lesion[known], scan=np.full(int(known.sum()), number))


def marked_scan(recipe: StageThree, model: Model, number: int) -> MarkedScan:
    """Scan `number` of a recipe; equal recipes, networks and numbers give the same."""
    rng = np.random.default_rng([recipe.seed, number, 0x64657463])
    healthy = recipe.healthy_every > 0 and number % recipe.healthy_every == 0
    scan = draw_whole_scan(
        rng,
        spacing_mm=model.info.spacing_mm,
        lesions=0 if healthy else recipe.lesions_per_scan,
        mass=not healthy and recipe.mass_every > 0 and number % recipe.mass_every == 0,
        name=f"body_{number:06d}",
    )
    labels, findings = find(predict_scan(model, scan.ct, overlap=recipe.overlap))
    vectors = candidate_vectors(model, scan.ct, labels, recipe.look)
    reading = compare_labelled(labels, len(findings), *components(scan.lesion))
    # What is too small to be looked at is never a finding.
    return MarkedScan(
        vectors=vectors, reading=replace(reading, parts=tuple(reading.parts[n - 1] for n in looked_at(labels).tolist()))
    )


def calibrate(head: Head, scans: list[MarkedScan], expected_lesions: float) -> list[dict[str, float]]:
    """Make the head's logit that of a probability, in place, and measure its operating points on the same scans.

    The probability is that in scans with so many lesions on average; the odds are moved by how many more these have. Two
    numbers are fitted, so the table is hardly flattered by it.

    Raises:
        TrainingError: The scans hold no lesion that was marked, or nothing else.
    """
    known = Candidates.joined([scan.known(n) for n, scan in enumerate(scans)])
    try:
        scale, shift = calibration(_logits(head, known.vectors), known.lesion)
    except ValueError as error:
        raise TrainingError(f"the scans kept for calibration: {error}; draw more scans") from error
    drawn = sum(len(scan.reading.lesions) for scan in scans) / len(scans)
    head.rescale(scale, shift + float(np.log(expected_lesions / drawn)))
    sure = [1 / (1 + np.exp(-_logits(head, scan.vectors))) for scan in scans]
    readings = [scored(scan.reading, scores) for scan, scores in zip(scans, sure, strict=True)]
    return [asdict(point) for point in operating_points(readings)]


def scored(reading: Reading, scores: NDArray[np.float64]) -> Reading:
    """A reading with other scores of its parts."""
    return replace(reading, parts=tuple(replace(p, score=float(s)) for p, s in zip(reading.parts, scores, strict=True)))


def _logits(head: Head, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    with torch.no_grad():
        found: NDArray[np.float64] = head(torch.from_numpy(vectors))[:, 0].double().numpy()
    return found


def _only_head(model: Model) -> list[dict[str, object]]:
    model.requires_grad_(False)
    return [{"params": list(model.heads[DETECTION_HEAD].requires_grad_(True).parameters())}]


def _gathered(recipe: StageThree, model: Model, folder: Path, workers: int, gathering: Gathering | None) -> list[MarkedScan]:
    """All scans; each is a file, so that a run that was killed goes on with the next one."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [ScanJob(number=n) for n in range(recipe.scans) if not _file(folder, n).exists()]
    done = recipe.scans - len(missing)
    if gathering is not None and missing:
        gathering(done, recipe.scans)
    blob = pickle.dumps((recipe, model.eval()))
    for outcome in run_jobs(missing, partial(_make_work, blob), workers):
        if outcome.failed:
            raise TrainingError(f"scan {outcome.job.number} could not be made: {outcome.error}: {outcome.cause}")
        _write(_file(folder, outcome.job.number), outcome.result)
        done += 1
        if gathering is not None:
            gathering(done, recipe.scans)
    return [_read(_file(folder, n)) for n in range(recipe.scans)]


def _make_work(blob: bytes) -> Callable[[ScanJob], MarkedScan]:
    recipe, model = pickle.loads(blob)
    torch.set_num_threads(1)
    return lambda job: marked_scan(recipe, model, job.number)


def _file(folder: Path, number: int) -> Path:
    return folder / f"scan_{number:06d}.npz"


def _write(path: Path, scan: MarkedScan) -> None:
    parts = scan.reading.parts
    shared = [(n, lesion, voxels) for n, part in enumerate(parts) for lesion, voxels in part.shared]
    content = io.BytesIO()
    np.savez(
        content,
        vectors=scan.vectors,
        voxels=np.array([part.voxels for part in parts], dtype=np.int64),
        lesions=np.array(scan.reading.lesions, dtype=np.int64),
        shared=np.array(shared, dtype=np.int64).reshape(-1, 3),
    )
    with replacing(path) as stream:
        stream.write(content.getvalue())


def _read(path: Path) -> MarkedScan:
    with np.load(path, allow_pickle=False) as stored:
        shared = stored["shared"].tolist()
        parts = tuple(
            Part(voxels=int(voxels), shared=tuple((lesion, v) for part, lesion, v in shared if part == n))
            for n, voxels in enumerate(stored["voxels"])
        )
        reading = Reading(lesions=tuple(stored["lesions"].tolist()), parts=parts)
        return MarkedScan(vectors=stored["vectors"], reading=reading)
