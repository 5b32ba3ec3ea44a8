"""`panlesion doctor`: what this machine and this installation can do, and the line that installs what is missing."""

import gzip
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from panlesion import __version__

_GIB = 2**30
_YES, _NO = "[green]yes[/green]", "[yellow]no[/yellow]"


@dataclass(frozen=True, kw_only=True)
class Extra:
    """One optional group of pyproject.toml: its importable modules by distribution name, and what it is for."""

    name: str
    modules: dict[str, str]
    enables: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program outside Python that some command calls when it is there."""

    names: tuple[str, ...]
    enables: str
    get: str


BASE = ("numpy", "scipy", "nibabel", "isal", "pydicom", "pylibjpeg", "pylibjpeg-openjpeg", "python-gdcm", "pillow", "typer")

EXTRAS = (
    Extra(
        name="model",
        modules={
            "torch": "torch",
            "monai": "monai",
            "lightning-fabric": "lightning_fabric",
            "safetensors": "safetensors",
            "tensorboard": "tensorboard",
            "blosc2": "blosc2",
            "matplotlib": "matplotlib",
        },
        enables="networks, pretraining, few-shot tuning, feature vectors",
    ),
    Extra(
        name="dicom",
        modules={"highdicom": "highdicom", "pynetdicom": "pynetdicom", "dicomweb-client": "dicomweb_client"},
        enables="DICOM SEG and SR of findings (reading DICOM CT needs no extra)",
    ),
    Extra(
        name="aid",
        modules={
            "fastapi": "fastapi",
            "uvicorn": "uvicorn",
            "sqlalchemy": "sqlalchemy",
            "alembic": "alembic",
            "authlib": "authlib",
            "argon2-cffi": "argon2",
            "pydantic-settings": "pydantic_settings",
            "python-multipart": "python_multipart",
            "psycopg[binary]": "psycopg",
            "reportlab": "reportlab",
            "highdicom": "highdicom",
            "pynetdicom": "pynetdicom",
            "dicomweb-client": "dicomweb_client",
            "requests": "requests",
        },
        enables="the reading room (`panlesion aid`)",
    ),
    Extra(name="fast", modules={"openvino": "openvino"}, enables="faster prediction on CPUs"),
    Extra(
        name="bench",
        modules={"lifelines": "lifelines", "scikit-learn": "sklearn", "statsmodels": "statsmodels"},
        enables="staging, survival and their statistics in `panlesion bench`",
    ),
    Extra(
        name="scale",
        modules={"distributed": "distributed", "dask-jobqueue": "dask_jobqueue"},
        enables="planned: synthesis over many machines",
    ),
    Extra(
        name="dev",
        modules={"ruff": "ruff", "mypy": "mypy", "pytest": "pytest", "hypothesis": "hypothesis"},
        enables="the project's own checks (`make test`)",
    ),
)

PROGRAMS = (
    Program(
        names=("TotalSegmentator",),
        enables="organ maps for CTs that have none",
        get="its own virtual environment: pip install TotalSegmentator",
    ),
    Program(names=("dciodvfy",), enables="validating DICOM output in tests", get="Debian package dicom3tools"),
    Program(
        names=("Orthanc", "orthanc"), enables="planned: a real PACS in tests", get="Debian packages orthanc orthanc-dicomweb"
    ),
    Program(
        names=("chromium", "chromium-browser"),
        enables="planned: browser tests of the web application",
        get="Debian package chromium",
    ),
)


def doctor() -> None:
    """Say what is installed, what is missing, what it would enable and how to get it.

    Always exits with 0: a missing extra is no error until a command needs it.

    Example: `panlesion doctor`
    """
    console = Console()
    for table in (_machine(), _base(), _extras(), _programs(), _checks()):
        console.print(table)


def _machine() -> Table:
    table = Table(title="This machine", title_justify="left", show_header=False)
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(Path.cwd())
    threads = os.environ.get("OMP_NUM_THREADS", "not set: NumPy may use every core in every worker; 1 is best with --workers")
    rows = {
        "panlesion": __version__,
        "Python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "cores": f"{_usable_cores()} usable of {psutil.cpu_count(logical=True)}, {psutil.cpu_count(logical=False)} physical",
        "OMP_NUM_THREADS": threads,
        "memory": f"{_memory_limit() / _GIB:.1f} GiB, {memory.available / _GIB:.1f} GiB free: "
        f"enough for {max(1, int(memory.available // (1.5 * _GIB)))} workers at 1.5 GiB each",
        "disk here": f"{disk.free / _GIB:.0f} GiB free of {disk.total / _GIB:.0f} GiB",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _usable_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _memory_limit() -> int:
    """Bytes: the machine's memory, or the container's limit where that is lower."""
    files = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
    limits = [path.read_text().strip() for path in files if path.is_file()]
    return min([psutil.virtual_memory().total, *(int(limit) for limit in limits if limit.isdigit())])


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _base() -> Table:
    table = Table(title="Libraries", title_justify="left")
    table.add_column("library")
    table.add_column("version")
    for name in BASE:
        table.add_row(name, _version_of(name) or "[red]missing: reinstall panlesion[/red]")
    return table


def _extras() -> Table:
    table = Table(title="Optional extras", title_justify="left")
    for column in ("extra", "installed", "enables", "to get it"):
        table.add_column(column)
    for extra in EXTRAS:
        missing = [name for name, module in extra.modules.items() if importlib.util.find_spec(module) is None]
        some = len(missing) < len(extra.modules)
        state = _YES if not missing else f"partly, without {', '.join(missing)}" if some else _NO
        get = rf'pip install ".\[{extra.name}]" -c constraints.txt' if missing else ""
        table.add_row(extra.name, state, extra.enables, get)
    return table


def _programs() -> Table:
    table = Table(title="Programs", title_justify="left")
    for column in ("program", "found", "enables", "to get it"):
        table.add_column(column)
    for program in PROGRAMS:
        found = next((path for name in program.names if (path := shutil.which(name))), None)
        table.add_row(program.names[0], found or _NO, program.enables, "" if found else program.get)
    return table


def _checks() -> Table:
    table = Table(title="Self-check", title_justify="left", show_header=False)
    for what, good, repair in _self_check():
        table.add_row(what, "[green]good[/green]" if good else f"[red]{repair}[/red]")
    return table


def _self_check() -> Iterator[tuple[str, bool, str]]:
    """(what, whether it is good, how to repair it) of checks that take well under a second together."""
    import numpy as np
    from isal import igzip
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1

    from panlesion.ct.organs import V1_NAMES
    from panlesion.picture.window import WINDOWS, apply_window

    data = np.random.default_rng(0).integers(-1000, 1000, 4096, dtype=np.int16).tobytes()
    yield "gzip round trip", gzip.decompress(igzip.compress(data)) == data, "isal writes what gzip cannot read: reinstall isal"
    for name, uid in (("JPEG 2000", JPEG2000Lossless), ("JPEG lossless", JPEGLosslessSV1)):
        yield f"DICOM {name}", get_decoder(uid).is_available, "no decoder: reinstall pylibjpeg-openjpeg and python-gdcm"
    yield "organ names", len(V1_NAMES) == 104, f"{len(V1_NAMES)} organ names instead of 104: reinstall panlesion"
    grey = apply_window(np.array([-1000, 40, 3000], dtype=np.int16), WINDOWS["soft"]).tolist()
    yield "pictures", grey == [0, 128, 255], f"the soft-tissue window gives {grey}: reinstall numpy"
