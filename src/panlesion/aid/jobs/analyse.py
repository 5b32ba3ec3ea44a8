"""`analyse`: the network reads a study's CT; what it finds begins the study's reading."""

from functools import lru_cache
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions
from panlesion.aid.jobs.results import attempt_folder, sweep_results
from panlesion.aid.jobs.runner import Outcome, Progress
from panlesion.aid.reads.begin import begin_reading
from panlesion.aid.reads.delivery import queue_preliminary
from panlesion.aid.reads.scan import keep_scan, series_folder
from panlesion.aid.settings import Settings
from panlesion.aid.store.recover import adopt_unnamed
from panlesion.aid.tables import Job, Reading, Study, now
from panlesion.aid.vocabulary import Action, ReadingState, StudyState
from panlesion.data.publish import publishing
from panlesion.infer.case_folder import write_case_files
from panlesion.infer.dicom_seg import new_uid
from panlesion.infer.operating import operating_point
from panlesion.infer.predict import Settings as PredictSettings
from panlesion.infer.predict import algorithm_of, predict_ct
from panlesion.nets.checkpoint import load_model
from panlesion.nets.engines import ChosenEngine, choose_engine
from panlesion.nets.memory import return_freed_memory
from panlesion.nets.model import Model


@lru_cache(maxsize=1)
def loaded(checkpoint: str, cache: Path) -> tuple[Model, ChosenEngine, PredictSettings]:
    """The network, what runs it, and how: once a worker."""
    return_freed_memory()
    model = load_model(checkpoint)
    told = PredictSettings(point=operating_point(model), algorithm=algorithm_of(Path(checkpoint).name, model))
    return model, choose_engine(model, "auto", cache=cache), told


def run_analyse(sessions: Sessions, settings: Settings, job: Job, progress: Progress) -> Outcome:
    """Predict a study's CT into `results/<study>/<job>/`.

    Raises:
        ReadError: The CT cannot be read any more.
        DiskFullError: No room.
    """
    with sessions() as session:
        study = session.get_one(Study, job.study_id)
        folder = series_folder(session, settings, study)
    sweep_results(sessions, settings, study.id)
    adopt_unnamed(sessions, settings, study.id)
    progress(0.0, "reading the images")
    model, engine, told = loaded(settings.checkpoint, settings.data / "cache" / "engines")
    done = predict_ct(
        folder,
        str(study.id),
        model,
        told,
        uid=new_uid,
        engine=engine,
        progress=lambda windows, of: progress(0.05 + 0.85 * windows / max(of, 1), f"window {windows} of {of}"),
    )
    progress(0.92, "writing what was found")
    assert done.source is not None
    results = attempt_folder(settings, job)
    with publishing(results) as partial:
        write_case_files(partial, done)
        keep_scan(partial, done.ct, done.source)
    found = done.findings

    def commit(session: Session) -> None:
        present = session.get_one(Study, study.id, with_for_update=True)
        reading = session.get(Reading, present.id)
        begin_reading(session, settings, present, results, job)
        present.suspicion, present.findings = found.suspicion.get("overall"), len(found.lesions)
        if reading is None or reading.state is ReadingState.READY:
            present.state, present.problem = StudyState.READY, ""
        present.prior_id = present.prior_id or _prior(session, present)
        present.changed_at = now()
        record(session, Action.ANALYSED, by=None, study_id=present.id, job=str(job.id), findings=len(found.lesions))
        queue_preliminary(session, present)

    return Outcome(answer={"findings": len(found.lesions), "seconds": found.seconds}, commit=commit)


def _prior(session: Session, study: Study) -> UUID | None:
    """The latest earlier study of the same patient that has been read by the network."""
    if not study.patient_id or study.study_at is None:
        return None
    earlier = select(Study.id).where(
        Study.patient_id == study.patient_id,
        Study.study_at < study.study_at,
        Study.id != study.id,
        Study.suspicion.is_not(None),
    )
    return session.scalar(earlier.order_by(Study.study_at.desc()).limit(1))
