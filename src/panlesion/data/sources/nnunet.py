"""Any folder in nnU-Net's raw layout (or another that `labelled_folder` knows) as a source."""

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from panlesion.ct.modality import Modality
from panlesion.data.sources._layout import listed, read_published
from panlesion.data.sources.labelled_folder import Layout, find_labelled
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError

ID = "nnunet"


def nnunet_source(
    root: Path, *, id: str = ID, lesions: Collection[str] | None = None, modality: Modality = Modality.CT
) -> Source:
    """The dataset of a folder, its classes as the folder's `dataset.json` names them.

    Args:
        root: The folder that tells the classes; the source finds cases in it or in any other of the same classes.
        id: What to call it.
        lesions: Which classes are lesions; None: all.
        modality: What its images are.

    Raises:
        StoreError: No such folder, or one that names no classes or has voxels to ignore, which a source cannot tell.
        ValueError: `lesions` has a name that is no class.
    """
    names = _names(root)
    classes = tuple(names.values())
    if other := sorted(set(lesions or ()) - set(classes)):
        raise ValueError(f"lesions has {', '.join(other)}; the classes are {', '.join(classes)}")
    return Source(
        id=id,
        title=f"{root.name}: {listed(classes)}",
        classes=classes,
        lesions=tuple(name for name in classes if lesions is None or name in lesions),
        licence="the folder's own",
        get="your own folder",
        layout=f"{Layout.NNUNET}, classes named by dataset.json",
        find=partial(_find, names=names, modality=modality),
        read=partial(read_published, values=names),
    )


def _names(root: Path) -> dict[int, str]:
    found = find_labelled(root)
    if found.ignore is not None:
        raise StoreError(
            f"{root}: dataset.json marks voxels to ignore (value {found.ignore}); a source cannot tell those from background. "
            "Annotate them, or use panlesion finetune, which leaves them out"
        )
    if not found.names:
        raise StoreError(f"{root}: no dataset.json names the classes; write one with 'labels' as nnU-Net does")
    return {value: found.names[value] for value in sorted(found.names)}


def _find(root: Path, *, names: dict[int, str], modality: Modality) -> Sequence[FoundCase]:
    if (here := _names(root)) != names:
        raise StoreError(f"{root}: dataset.json names {here}; this source was made for {names}")
    found = find_labelled(root)
    if found.problems:
        raise StoreError(f"{root}: {'; '.join(found.problems[:3])}" + (" …" if len(found.problems) > 3 else ""))
    if stored := next((case for case in found.cases if case.stored is not None), None):
        raise StoreError(f"{root}: {stored.id} is a case of a PASTA-Gen cohort; read those with data.store")
    return [
        FoundCase(id=case.id, patient=case.patient, image=case.ct, label=case.label, modality=modality)
        for case in found.cases
    ]  # fmt: skip
