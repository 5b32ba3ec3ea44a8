"""How a server is set up: from the command line, or from variables that begin with PANLESION_AID_."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, HttpUrl, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Settings(BaseSettings):
    """Everything a server needs to know before it starts; PACS nodes and accounts are in the database.

    `data` holds the database (unless `database_url` names another) and every file. Sizes are upper limits of what one request,
    file or archive may bring. What stands under a field is also the help of its option.
    """

    model_config = SettingsConfigDict(
        env_prefix="PANLESION_AID_", extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    data: Path
    """Folder of the database and every file; made if it is not there."""
    database_url: str = ""
    """A PostgreSQL (postgresql+psycopg://…) instead of the SQLite in the data folder."""
    checkpoint: str = "nano"
    """What reads the CTs: a shipped model's name or a .safetensors file."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8470
    """0: any free one, which is printed."""
    public_url: HttpUrl | None = None
    """Where browsers reach the server through a proxy or under a name."""
    organisation: Annotated[str, Field(max_length=64)] = ""
    """Whose readers sign here, as reports and DICOM tell it."""
    tls_certificate: Path | None = None
    """PEM file of the certificate and its chain."""
    tls_key: Path | None = None
    """PEM file of its key."""

    dicom_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0: no C-STORE receiver."""
    dicom_host: str = "127.0.0.1"
    """Address the receiver listens on."""
    ae_title: Annotated[str, Field(min_length=1, max_length=16)] = "PANLESION"
    """What the receiver is called."""
    calling_ae_titles: tuple[str, ...] = ()
    """Who may send; empty: any."""
    max_associations: Annotated[int, Field(ge=1)] = 10
    """Senders at the same time."""

    quiet_s: Annotated[float, Field(ge=0)] = 10.0
    """A study is whole when no image came for so long."""
    workers: Annotated[int, Field(ge=0)] = 1
    """Processes that analyse and send; one more answers clicks and boxes. 0: none, another machine's do."""
    lease_s: Annotated[float, Field(gt=0)] = 30.0
    """A worker that was silent for so long has lost its job to another."""
    max_attempts: Annotated[int, Field(ge=1)] = 3
    """A job fails for good after so many."""

    max_upload_bytes: Annotated[int, Field(gt=0)] = 4 * 1024**3
    """What one upload may bring."""
    max_file_bytes: Annotated[int, Field(gt=0)] = 1024**3
    """How large one file may be, unpacked."""
    max_files: Annotated[int, Field(gt=0)] = 20_000
    """How many files one upload may bring."""
    max_zip_ratio: Annotated[int, Field(gt=0)] = 200
    """A file in a zip that unpacks to more than so many times its size is refused."""

    idle_minutes: Annotated[float, Field(gt=0)] = 60.0
    """A session ends when nothing was asked for so long."""
    login_hours: Annotated[float, Field(gt=0)] = 12.0
    """A session ends after so long in any case."""
    attempts_per_15_min: Annotated[int, Field(ge=1)] = 10
    """Wrong passwords of one account; five times as many from one address."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of other viewers (OHIF) that may ask DICOMweb."""

    oidc_issuer: str = ""
    """Identity provider, https://…; its discovery document is asked for the rest."""
    oidc_client_id: str = ""
    """What the provider knows this server as."""
    oidc_client_secret: str = ""
    """Best given as the variable PANLESION_AID_OIDC_CLIENT_SECRET."""
    oidc_role_claim: str = ""
    """Claim that names the account's role; empty: everyone the provider lets in is a reader."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together; one of them is missing")
        for field in ("tls_certificate", "tls_key"):
            file: Path | None = getattr(self, field)
            if file is not None and not file.is_file():
                raise ValueError(f"{field} {file} is no file; name a PEM file")
        if self.oidc_issuer:
            told = urlsplit(self.oidc_issuer)
            if told.scheme != "https" and told.hostname not in _LOOPBACK:
                raise ValueError(
                    f"oidc_issuer {self.oidc_issuer!r} is not https; passwords' stand-ins must not travel in the open"
                )
            if not self.oidc_client_id:
                raise ValueError("oidc_issuer needs oidc_client_id, the name the provider knows this server by")
        for origin in self.allowed_origins:
            told = urlsplit(origin)
            if f"{told.scheme}://{told.netloc}" != origin or told.scheme not in {"http", "https"}:
                raise ValueError(f"allowed_origins: {origin!r} is no origin such as https://viewer.example")
        return self

    @property
    def secure(self) -> bool:
        """Whether pages are served by TLS, here or by a proxy in front, so that cookies may be marked secure."""
        return self.tls_certificate is not None or (self.public_url is not None and self.public_url.scheme == "https")

    @property
    def database(self) -> str:
        """The database's URL; SQLite in the data folder by default."""
        return self.database_url or f"sqlite:///{self.data.resolve() / 'aid.sqlite'}"
