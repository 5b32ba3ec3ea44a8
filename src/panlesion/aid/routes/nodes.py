"""PACS nodes: listed, tried, and searched for studies to fetch."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, status
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.deps import AdminDep, SessionDep, SettingsDep, StaffDep
from panlesion.aid.schemas.studies import EchoOut, NodeIn, NodeOut, RemoteStudyOut
from panlesion.aid.store.remote import echo, search, web_fault
from panlesion.aid.tables import Node, Study
from panlesion.aid.vocabulary import Action, NodeKind
from panlesion.errors import PanlesionError

router = APIRouter(prefix="/nodes", tags=["nodes"])


def node_of(node_id: UUID, session: SessionDep, _user: StaffDep) -> Node:
    """The node named in the path; nobody else learns whether there is one."""
    node = session.get(Node, node_id)
    if node is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such PACS")
    return node


NodeDep = Annotated[Node, Depends(node_of)]


@router.get("")
def nodes(session: SessionDep, _user: StaffDep) -> list[NodeOut]:
    """Every node by name; a manager needs them to fetch from."""
    return [NodeOut.model_validate(node) for node in session.scalars(select(Node).order_by(Node.name))]


@router.post("", status_code=201)
def make_node(told: NodeIn, session: SessionDep, user: AdminDep) -> NodeOut:
    """List a new node."""
    return _kept(Node(), told, session, user, "made")


@router.put("/{node_id}")
def change_node(told: NodeIn, node: NodeDep, session: SessionDep, user: AdminDep) -> NodeOut:
    """Change a node; without a password the old one stays, unless it would then go to another host."""
    return _kept(node, told, session, user, "changed")


@router.delete("/{node_id}", status_code=204)
def remove_node(node: NodeDep, session: SessionDep, user: AdminDep) -> None:
    """Forget a node; jobs that still want it fail and say so."""
    record(session, Action.NODE_CHANGED, by=user, node=str(node.id), what="removed")
    session.delete(node)


@router.post("/{node_id}/echo")
def try_node(node: NodeDep, settings: SettingsDep, _user: StaffDep) -> EchoOut:
    """Ask whether it is there; that it is not is an answer too."""
    try:
        return EchoOut(ok=True, words=echo(node, settings))
    except PanlesionError as error:
        return EchoOut(ok=False, words=str(error))


@router.get("/{node_id}/studies")
def remote_studies(
    node: NodeDep,
    session: SessionDep,
    settings: SettingsDep,
    _user: StaffDep,
    q: Annotated[str, Query(max_length=64)] = "",
) -> list[RemoteStudyOut]:
    """Studies that it has; `here` where they are kept already."""
    try:
        found = search(node, settings, q)
    except PanlesionError as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from error
    uids = [each["StudyInstanceUID"] for each in found]
    here = set(session.scalars(select(Study.study_uid).where(Study.study_uid.in_(uids))))
    return [
        RemoteStudyOut(
            study_uid=each["StudyInstanceUID"],
            patient_id=each["PatientID"],
            patient_name=each["PatientName"],
            study_date=each["StudyDate"],
            description=each["StudyDescription"],
            modalities=each["ModalitiesInStudy"],
            here=each["StudyInstanceUID"] in here,
        )
        for each in found
    ]


def _kept(node: Node, told: NodeIn, session: Session, user: AdminDep, what: str) -> NodeOut:
    _check(told)
    moved = (node.kind, node.url, node.host, node.user) != (told.kind, told.url, told.host, told.user)
    if node.password and told.password is None and moved:
        raise HTTPException(
            status.HTTP_422_UNPROCESSABLE_CONTENT, "password: give it again; the old one is not sent to another address or user"
        )
    for name, value in told.model_dump(exclude={"password"}).items():
        setattr(node, name, value)
    if told.password is not None:
        node.password = told.password
    session.add(node)
    try:
        session.flush()
    except IntegrityError as error:
        raise HTTPException(status.HTTP_409_CONFLICT, f"name: there is a PACS {told.name!r} already") from error
    record(session, Action.NODE_CHANGED, by=user, node=str(node.id), what=what)
    return NodeOut.model_validate(node)


def _check(told: NodeIn) -> None:
    """Refuse what could never be asked."""
    if told.kind is NodeKind.DICOMWEB:
        fault = web_fault(told.url)
        fault = fault and f"url: {fault}"
    elif not told.host or any(c.isspace() or c in "/@:\\" for c in told.host) or not told.port:
        fault = "host, port: a name or address without scheme, and the port of its DICOM service"
    else:
        title = told.ae_title
        good = title.strip() == title and title and title.isascii() and title.isprintable() and "\\" not in title
        fault = "" if good else "ae_title: 1 to 16 printable characters without \\"
    if fault:
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, fault)
