"""Stage and survival from a frozen network that looks at CTs painted around the real masks.

Painted HU are drawn at random, so a network can find nothing in them but the masks' shape: beside the shapes that are measured
this says how much of them the network's vectors hold, and nothing about what it would see in a patient's CT.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from panlesion.bench import kits_features as features
from panlesion.bench import kits_stage, kits_survival
from panlesion.bench.clinical import REPETITIONS, Arm, chosen_arms, predict_arms, tables
from panlesion.bench.fits import need_fits
from panlesion.bench.kits_features import KitsCase, bad_lines, measured_cases
from panlesion.bench.network_vectors import CROP, LOOK, named, network_vectors, vector_columns
from panlesion.bench.painted_kidneys import paint_kidneys
from panlesion.bench.protocol import Asked, Table, Watch
from panlesion.bench.rows import append_line, claim_folder, fingerprint, read_lines
from panlesion.data.sources.kits_masks import read_clinical, read_mask
from panlesion.nets.attributes import look_of
from panlesion.nets.checkpoint import load_model
from panlesion.nets.model import Model

VECTORS = "vectors.jsonl"
PAINTED = "painted"
"""Folder of the vectors in the row's folder: they depend on the weights, the measured shapes beside them do not."""
NOTE = (
    "Images are painted around the masks: their HU are drawn at random and carry no biology, so a network can at best recover "
    "the masks' shape."
)


def painted_vectors(
    cases: Sequence[KitsCase], model: Model, root: Path, out: Path, watch: Watch
) -> list[dict[str, list[float]]]:
    """The vectors of every case; a second run reads the first's. The seed of a case's paint is its place in the table."""
    claim_folder(out, {"model": fingerprint(model)})
    path = out / VECTORS
    known = {row["case"]: row for row in read_lines(path)}
    for number, case in enumerate(cases):
        name = case.patient.case
        if name not in known:
            watch(f"painting {name}", number, len(cases))
            seed = int(name.rpartition("_")[2]) if name.rpartition("_")[2].isdigit() else number
            ct, tumour = paint_kidneys(read_mask(root, name), seed=seed)
            known[name] = {"case": name, **network_vectors(model, ct, tumour)}
            append_line(path, known[name])
    return [known[case.patient.case] for case in cases]


def run_kits_painted(folder: str, asked: Asked, watch: Watch) -> list[Table]:
    """Paint, look, cross-validate, and leave tables, folds and predictions.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        StoreError: The data are not as laid out, or too few.
        CheckpointError: The model has no attribute head.
        ValueError: An unknown arm.
    """
    need_fits()
    model = load_model(asked.checkpoint).eval()
    look_of(model)  # refused before anything is painted
    root = asked.root / folder
    clinical = read_clinical(root)
    cases, refused = measured_cases(clinical, root, asked.out, watch, most=asked.choices.cases)
    staged, who_staged = kits_stage.staged_cases(cases)
    followed, who_followed = kits_survival.followed_cases(cases)
    seen = partial(painted_vectors, model=model, root=root, out=asked.out / PAINTED, watch=watch)
    stage = kits_stage.endpoints(staged, vector_columns(seen(staged)))
    death = kits_survival.endpoint(followed)
    death = replace(death, columns={**death.columns, **vector_columns(seen(followed))})
    asks = [*stage, death]
    arms = chosen_arms(_arms(named(death.columns, CROP), named(death.columns, LOOK)), asked.choices.arms)
    found = predict_arms(
        asks, {one.id: arms for one in asks}, asked.out, repetitions=asked.choices.seeds or REPETITIONS, watch=watch
    )
    about = Table(
        title="Cases",
        header=("what", "n"),
        rows=(("staged", str(len(staged))), ("followed", str(len(followed)))),
        notes=(NOTE, who_staged, who_followed, *bad_lines(clinical.bad, refused)),
    )
    return [about, *tables("kits-painted", found, asks)]


def _arms(crop: tuple[str, ...], look: tuple[str, ...]) -> tuple[Arm, ...]:
    shapes = (*features.SIZES, *features.SHAPE)
    return (
        Arm(name="size alone", columns=features.SIZE),
        Arm(name="sizes, form and seat", columns=shapes),
        Arm(name="network, crop around it", columns=crop),
        Arm(name="network, at the lesion", columns=look),
        Arm(name="network, at the lesion, and size", columns=(*look, *features.SIZE)),
    )
