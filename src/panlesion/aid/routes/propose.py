"""A click or a box, and the lesion that the network proposes there."""

import asyncio
import time
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, HTTPException
from starlette.concurrency import run_in_threadpool

from panlesion.aid.deps import ReaderDep, SessionDep, SessionsDep, SettingsDep, StudyDep
from panlesion.aid.reads import asking
from panlesion.aid.reads.scan import grid_of, results_folder
from panlesion.aid.routes.reading import ReadingDep, telling
from panlesion.aid.schemas.reading import ProposalOut, ProposeIn
from panlesion.aid.vocabulary import ReadingState

router = APIRouter(tags=["reading"])

NO_WORKER = "no worker answered within a minute; the analysis may be busy, or its processes are not running. Try again"


@router.post("/studies/{study_id}/propose")
async def propose(
    told: ProposeIn,
    study: StudyDep,
    reading: ReadingDep,
    user: ReaderDep,
    session: SessionDep,
    sessions: SessionsDep,
    settings: SettingsDep,
) -> ProposalOut:
    """The lesion at a point or in a box. Waits for a worker."""
    if reading.state is ReadingState.SIGNED:
        raise HTTPException(HTTPStatus.CONFLICT, "the reading is signed and does not change any more")

    def begin() -> UUID:
        with telling(settings):
            asking.region_of(told, grid_of(results_folder(settings, reading)).shape)
        job_id = asking.ask(session, study.id, user.id, told)
        # nothing is held while we wait
        session.commit()
        return job_id

    job_id = await run_in_threadpool(begin)
    until = time.monotonic() + asking.PATIENCE_S
    try:
        while time.monotonic() < until:
            answer = await run_in_threadpool(asking.answer_of, sessions, job_id)
            if answer is not None:
                return answer
            await asyncio.sleep(asking.POLL_S)
    except asking.NoProposalError as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    except asyncio.CancelledError:
        await asyncio.shield(run_in_threadpool(asking.give_up, sessions, job_id))
        raise
    await run_in_threadpool(asking.give_up, sessions, job_id)
    raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, NO_WORKER)
