"""Organ maps by an installed TotalSegmentator, run as a subprocess so that its dependencies never enter ours.

Wasserthal et al., Radiology: Artificial Intelligence 2023;5(5):e230024. Its weights must already be on the machine.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from panlesion.ct.nifti import write_volume
from panlesion.ct.organ_files import OrganNumbering, read_organs
from panlesion.ct.read import read_ct
from panlesion.ct.volume import LabelMap, Volume
from panlesion.errors import MissingExtraError, OrganMapError

EXECUTABLE = "TotalSegmentator"
_LAST_LINES = 15


def segment_organs(
    ct: Volume | Path | str,
    *,
    numbering: OrganNumbering | str = OrganNumbering.V2,
    fast: bool = False,
    device: str | None = None,
    executable: str = EXECUTABLE,
    timeout_s: float = 3600.0,
) -> LabelMap:
    """The organ map of a CT, on its grid and in v1 numbering.

    Args:
        ct: A CT, or what `read_ct` reads.
        numbering: Of the installed version: v2 since TotalSegmentator 2.0.
        fast: Its 3 mm model: minutes instead of an hour without a GPU.
        device: "cpu", "gpu", …; its own choice if None.
        executable: Name on the PATH, or path.
        timeout_s: When to give up and end it with all it started.

    Raises:
        MissingExtraError: It is not installed.
        OrganMapError: It failed, took too long or wrote no usable map; with the last lines it printed.
        ReadError: The CT cannot be read.
        ValueError: `numbering` is neither v1 nor v2.
    """
    numbering = OrganNumbering(numbering)
    program = shutil.which(executable)
    if program is None:
        raise MissingExtraError(
            f"{executable}: no such program on the PATH. Install TotalSegmentator in an environment of its own and give the "
            "path of its executable, or give an organ map made elsewhere"
        )
    volume = ct if isinstance(ct, Volume) else read_ct(ct)
    with tempfile.TemporaryDirectory(prefix="panlesion-") as folder:
        source, target = Path(folder) / "ct.nii.gz", Path(folder) / "organs.nii.gz"
        write_volume(source, volume)
        options = [*(["--fast"] if fast else []), *(["--device", device] if device else [])]
        _run([program, "-i", str(source), "-o", str(target), "--ml", *options], Path(folder), timeout_s)
        if not target.is_file():
            raise OrganMapError(f"{program}: ended without an error but wrote no {target.name}; is it TotalSegmentator?")
        return read_organs(target, numbering=numbering, like=volume.grid)


def _run(command: list[str], folder: Path, timeout_s: float) -> None:
    """Run to the end or end it; what it prints goes to a file, since its workers may outlive it holding a pipe open."""
    log = folder / "log.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise OrganMapError(f"{command[0]}: not done after {timeout_s:g} s. {_said(log)}") from error
        finally:
            if process.poll() is None:
                _end(process)
    if code != 0:
        raise OrganMapError(f"{command[0]}: ended with code {code}. {_said(log)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all it started: they share a session of their own."""
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _said(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "It printed nothing" if not lines else "It said last:\n" + "\n".join(lines[-_LAST_LINES:])
