"""QIDO-RS, what is answered: rows of our tables in the DICOM JSON model."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from panlesion.aid.deps import visible_to
from panlesion.aid.imaging.matching import Asked
from panlesion.aid.imaging.metadata import ROOT, texts_of
from panlesion.aid.imaging.objects import kept_rows
from panlesion.aid.tables import Instance, Series, Study, User

Answer = dict[str, dict[str, Any]]
_STUDY = (
    *(Study.id, Study.study_uid, Study.study_at, Study.accession, Study.description, Study.patient_name, Study.patient_id),
    *(Study.birth_date, Study.sex, Study.images),
)
"""Columns alone: to make objects of a page takes longer than to ask for it."""
_HERE = {"00080056": {"vr": "CS", "Value": ["ONLINE"]}, "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}


def _value(vr: str, *values: Any) -> dict[str, Any]:
    told = [value for value in values if value not in (None, "")]
    if vr == "PN":
        told = [_name(value) for value in told]
    return {"vr": vr, "Value": told} if told else {"vr": vr}


def _name(value: str) -> dict[str, str]:
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), value.split("="), strict=False)
    return {group: text for group, text in groups if text}


def study_answers(session: Session, user: User, query: Asked) -> tuple[list[Answer], int]:
    """One page of the studies that match, newest first, and how many more there are."""
    wanted = select(*_STUDY).where(visible_to(user), *query.conditions).order_by(Study.received_at.desc(), Study.id)
    studies, more = _page(session, wanted, query)
    told = _of_studies(session, studies)
    return [told[study.id] for study in studies], more


def _of_studies(session: Session, studies: Iterable[Any]) -> dict[Any, Answer]:
    by_id = {study.id: study for study in studies}
    ids = list(by_id)
    modalities: dict[Any, list[str]] = defaultdict(list)
    counts: dict[Any, int] = defaultdict(int)
    found = session.execute(select(Series.study_id, Series.modality).where(Series.study_id.in_(ids)).order_by(Series.modality))
    for study_id, modality in found:
        counts[study_id] += 1
        if modality not in modalities[study_id]:
            modalities[study_id].append(modality)
    return {key: _study(study, modalities[key], counts[key]) for key, study in by_id.items()}


def _study(study: Any, modalities: Iterable[str], series: int) -> Answer:
    at = study.study_at
    return {
        **_HERE,
        "00080020": _value("DA", at and at.strftime("%Y%m%d")),
        "00080030": _value("TM", at and at.strftime("%H%M%S")),
        "00080050": _value("SH", study.accession),
        "00080061": _value("CS", *modalities),
        "00081030": _value("LO", study.description),
        "00081190": _value("UR", f"{ROOT}/studies/{study.study_uid}"),
        "00100010": _value("PN", study.patient_name),
        "00100020": _value("LO", study.patient_id),
        "00100030": _value("DA", study.birth_date and study.birth_date.strftime("%Y%m%d")),
        "00100040": _value("CS", study.sex),
        "0020000D": _value("UI", study.study_uid),
        "00200010": _value("SH"),
        "00201206": _value("IS", series),
        "00201208": _value("IS", study.images),
    }


def series_answers(session: Session, user: User, query: Asked, study_uid: str | None) -> tuple[list[Answer], int]:
    """One page of the series that match, with what is told of their studies where no study was named."""
    wanted = select(Study, Series).join(Series, Series.study_id == Study.id).where(visible_to(user), *query.conditions)
    wanted = _below(wanted, study_uid).order_by(Study.received_at.desc(), Study.id, Series.number, Series.series_uid)
    rows, more = _page(session, wanted, query)
    studies = {} if study_uid is not None and not _wants_study(query) else _of_studies(session, (study for study, *_ in rows))
    return [{**studies.get(study.id, {}), **_series(study, series)} for study, series in rows], more


def _series(study: Study, series: Series) -> Answer:
    return {
        **_HERE,
        "00080060": _value("CS", series.modality),
        "0008103E": _value("LO", series.description),
        "00081190": _value("UR", f"{ROOT}/studies/{study.study_uid}/series/{series.series_uid}"),
        "0020000D": _value("UI", study.study_uid),
        "0020000E": _value("UI", series.series_uid),
        "00200011": _value("IS", series.number),
        "00201209": _value("IS", series.images),
    }


def instance_answers(
    session: Session, data: Path, user: User, query: Asked, study_uid: str | None, series_uid: str | None
) -> tuple[list[Answer], int]:
    """One page of the images that match; attributes that our tables do not hold are read from the files where asked for."""
    wanted = (
        select(Study, Series, Instance)
        .join(Series, Series.study_id == Study.id)
        .join(Instance, Instance.series_id == Series.id)
        .where(visible_to(user), *query.conditions)
    )
    wanted = _below(wanted, study_uid)
    if series_uid is not None:
        wanted = wanted.where(Series.series_uid == series_uid)
    order = (Study.received_at.desc(), Study.id, Series.number, Series.series_uid, Instance.number, Instance.sop_uid)
    rows, more = _page(session, wanted.order_by(*order), query)
    studies = {} if study_uid is not None and not _wants_study(query) else _of_studies(session, (study for study, *_ in rows))
    told = []
    for study, series, instance in rows:
        above = {} if series_uid is not None else _series(study, series)
        told.append({**studies.get(study.id, {}), **above, **_instance(study, series, instance)})
    if query.fields - set().union(*told) or query.everything:
        _add_from_files(told, kept_rows(rows, data), query)
    return told, more


def _instance(study: Study, series: Series, instance: Instance) -> Answer:
    url = f"{ROOT}/studies/{study.study_uid}/series/{series.series_uid}/instances/{instance.sop_uid}"
    return {
        **_HERE,
        "00080016": _value("UI", instance.sop_class),
        "00080018": _value("UI", instance.sop_uid),
        "00081190": _value("UR", url),
        "00083002": _value("UI", instance.transfer_syntax),
        "0020000D": _value("UI", study.study_uid),
        "0020000E": _value("UI", series.series_uid),
        "00200013": _value("IS", instance.number),
        **({"00280010": _value("US", instance.rows), "00280011": _value("US", instance.columns)} if instance.rows else {}),
        "00280008": _value("IS", instance.frames),
    }


def _add_from_files(told: list[Answer], images: Sequence[Any], query: Asked) -> None:
    for answer, text in zip(told, texts_of(images), strict=True):
        for tag, value in json.loads(text).items():
            if (query.everything or tag in query.fields) and tag not in answer:
                answer[tag] = value


_OF_STUDY = frozenset(
    {"00080020", "00080030", "00080050", "00080061", "00081030", "00100010", "00100020", "00100030", "00100040", "00201206"}
)


def _wants_study(query: Asked) -> bool:
    return query.everything or bool(query.fields & _OF_STUDY)


def _below(wanted: Select, study_uid: str | None) -> Select:
    return wanted if study_uid is None else wanted.where(Study.study_uid == study_uid)


def _page(session: Session, wanted: Select, query: Asked) -> tuple[Sequence, int]:
    rows = session.execute(wanted.limit(query.limit + 1).offset(query.offset)).all()
    if len(rows) <= query.limit:
        return rows, 0
    total = session.scalar(wanted.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)) or 0
    return rows[: query.limit], max(total - query.offset - query.limit, 1)
