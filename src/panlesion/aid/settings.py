"""How a server is set up: from the command line, or from variables that begin with PANLESION_AID_."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, HttpUrl
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything a server needs to know before it starts; PACS nodes and accounts are in the database.

    `data` holds the database (unless `database_url` names another) and every file. Sizes are upper limits of what one request,
    file or archive may bring.
    """

    model_config = SettingsConfigDict(env_prefix="PANLESION_AID_", extra="forbid", frozen=True)

    data: Path
    database_url: str = ""
    checkpoint: str = "nano"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8470
    public_url: HttpUrl | None = None
    organisation: Annotated[str, Field(max_length=64)] = ""
    """Whose readers sign here, as reports and DICOM tell it."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    dicom_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0: no C-STORE receiver."""
    dicom_host: str = "127.0.0.1"
    ae_title: Annotated[str, Field(min_length=1, max_length=16)] = "PANLESION"
    calling_ae_titles: tuple[str, ...] = ()
    """Who may send; empty: any."""
    max_associations: Annotated[int, Field(ge=1)] = 10

    quiet_s: Annotated[float, Field(ge=0)] = 10.0
    """A study is whole when no image came for so long."""
    workers: Annotated[int, Field(ge=0)] = 1
    """Processes that analyse and send; one more answers clicks and boxes. 0: none, another machine's do."""
    lease_s: Annotated[float, Field(gt=0)] = 30.0
    max_attempts: Annotated[int, Field(ge=1)] = 3

    max_upload_bytes: int = 4 * 1024**3
    max_file_bytes: int = 1024**3
    max_files: int = 20_000
    max_zip_ratio: int = 200

    idle_minutes: Annotated[float, Field(gt=0)] = 60.0
    login_hours: Annotated[float, Field(gt=0)] = 12.0
    attempts_per_15_min: Annotated[int, Field(ge=1)] = 10
    allowed_origins: tuple[str, ...] = ()
    """Origins of other viewers (OHIF) that may ask DICOMweb."""

    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_role_claim: str = ""

    @property
    def secure(self) -> bool:
        """Whether pages are served by TLS, here or by a proxy in front, so that cookies may be marked secure."""
        return self.tls_certificate is not None or (self.public_url is not None and self.public_url.scheme == "https")

    @property
    def database(self) -> str:
        """The database's URL; SQLite in the data folder by default."""
        return self.database_url or f"sqlite:///{self.data.resolve() / 'aid.sqlite'}"
