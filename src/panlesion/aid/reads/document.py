"""`Document`: what the database keeps of a reading; `ReadingOut` is made of it and of its row."""

from pydantic import BaseModel, ConfigDict

from panlesion.aid.schemas.reading import DoubtOut, FindingOut, MeasurementOut


class Document(BaseModel):
    """The JSON of `tables.Reading.document`: findings as they are now, each with the AI's own record beside it.

    `impression` are the lines generated of the present findings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    findings: list[FindingOut] = []
    measurements: list[MeasurementOut] = []
    impression: list[str] = []
    impression_text: str | None = None
    comment: str = ""
    doubts: list[DoubtOut] = []
    suspicion: dict[str, float] = {}
    operating_point: str = ""
    algorithm: str = ""
