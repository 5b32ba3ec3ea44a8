"""Processes that die: servers and workers forked from one that has everything imported, each killed at a moment that is told.

Run as a program it is the forker: a wish is a line of JSON, and so is its answer. A child dies by SIGKILL just before its n-th
effect: a file of the data folder that is opened for writing, made, renamed or removed, a statement that writes, a commit or
what follows one, a connection to elsewhere. Between two effects nothing changes that another process could see, so killing
before each of them is killing at every moment, but for those within one write.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waiting_made import waited

_MADE = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(kw_only=True)
class Child:
    """A forked process; `log` is its stderr, `effects` names what it did that lasts."""

    pid: int
    log: Path
    effects_file: Path

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def effects(self) -> list[str]:
        return self.effects_file.read_text().splitlines()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.gone()

    def end(self) -> None:
        """As an administrator ends it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        self.gone()

    def gone(self, within_s: float = 60.0) -> None:
        waited(lambda: not self.alive, f"process {self.pid} lives on: {self.log.read_text()[-2000:]}", within_s)

    def dies_after(self, effects: int) -> None:
        """From now on it has so many effects left."""
        told = self.effects_file.with_suffix(".left")
        told.with_suffix(".part").write_text(str(effects))
        told.with_suffix(".part").rename(told)


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A small disk that only the forker and its children have: `inside` is where for them, `outside` where for all others."""

    inside: Path
    outside: Path
    _run: Any = field(repr=False)

    def give(self, free_bytes: int) -> None:
        """Let so much of it be free, give or take a page."""
        used = os.statvfs(self.outside)
        size = (used.f_blocks - used.f_bfree) * used.f_frsize + free_bytes
        code, words = self._run("mount", "-o", f"remount,size={size}", str(self.inside))
        assert code == 0, words


@dataclass(kw_only=True)
class Forker:
    """The running forker; `root` is where its files are found from outside."""

    process: subprocess.Popen[str]
    folder: Path
    children: list[Child] = field(default_factory=list)
    disk: "Disk | None" = None

    def ask(self, **wish: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(wish, default=str) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def fork(self, what: str, settings: dict[str, Any], *, die_at: int | None = None, **more: Any) -> Child:
        name = f"{len(self.children):04d}-{what}"
        log, effects = self.folder / f"{name}.log", self.folder / f"{name}.effects"
        effects.touch()
        log.touch()
        pid = self.ask(what=what, settings=settings, log=log, effects=effects, die_at=die_at, **more)
        self.children.append(Child(pid=pid, log=log, effects_file=effects))
        return self.children[-1]

    def worker(self, settings: dict[str, Any], *kinds: str, die_at: int | None = None) -> Child:
        return self.fork("work", settings, die_at=die_at, kinds=kinds or ["analyse", "send", "pull"])

    def command(self, *words: object) -> str:
        """What `panlesion aid …` says until it ends."""
        child = self.fork("command", {"data": "/nowhere"}, words=["aid", *map(str, words)])
        child.gone()
        return child.log.read_text()

    def server(self, settings: dict[str, Any], *, die_at: int | None = None) -> tuple[Child, str]:
        """A server and its URL; "" where it died before it had one."""
        url = self.folder / f"{len(self.children):04d}.url"
        child = self.fork("serve", settings, die_at=die_at, url=url)
        waited(lambda: url.exists() or not child.alive, f"the server does not start: {child.log}")
        return child, url.read_text() if url.exists() else ""


def _with_disk(inside: Path) -> list[str]:
    """A command that runs another with a disk of its own, which goes with it; empty where that is not allowed."""
    inside.mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    command = [*unshare, "sh", "-c", 'mount -t tmpfs -o size=1g tmpfs "$0" && exec "$@"', str(inside)]
    with suppress(FileNotFoundError):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return []


@contextmanager
def forking(folder: Path) -> Iterator[Forker]:
    """A forker, with a disk where the system lets us have one, whose children are all gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    disk = _with_disk(folder / "disk")
    with (folder / "forker.log").open("w") as log:
        process = subprocess.Popen(
            [*disk, sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        with process:
            made = Forker(process=process, folder=folder)
            if disk:
                inside = (folder / "disk").resolve()
                outside = Path(f"/proc/{process.pid}/root{inside}")
                run = lambda *command: made.ask(what="run", command=command)  # noqa: E731
                made.disk = Disk(inside=inside, outside=outside, _run=run)
            try:
                yield made
            finally:
                for child in made.children:
                    child.kill()
                process.kill()


class _Deadly:
    """Counts effects, and kills its process before the one that is told."""

    def __init__(self, data: str, effects: str, die_at: int | None) -> None:
        self.data, self.at, self.count = data, die_at, 0
        self.left = Path(effects).with_suffix(".left")
        self.out = os.open(effects, os.O_WRONLY | os.O_APPEND)
        self.lock = threading.Lock()

    def effect(self, what: str) -> None:
        with self.lock:
            self.count += 1
            if self.at is None and self.left.exists():
                self.at = self.count + int(self.left.read_text())
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(self.out, f"{what}\n".encode())

    def heard(self, event: str, told: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = told
            if isinstance(path, str | os.PathLike) and flags & _WRITING and str(path).startswith(self.data):
                self.effect(f"open {path}")
        elif event == "socket.connect":
            self.effect("connect")
        elif event in _MADE:
            path = told[1] if event in {"os.rename", "os.link"} else told[0]
            # removals by descriptor, as rmtree does them, name no folder
            if str(path).startswith(self.data) or not str(path).startswith("/"):
                self.effect(f"{event} {path}")

    def arm(self) -> None:
        from sqlalchemy import Engine, event
        from sqlalchemy.orm import Session

        def statement(_c: Any, _cursor: Any, words: str, *_: Any) -> None:
            if words.lstrip().startswith(("INSERT", "UPDATE", "DELETE", "CREATE")):
                self.effect(" ".join(words.split()[:3]))

        event.listen(Engine, "before_cursor_execute", statement)
        event.listen(Engine, "commit", lambda _c: self.effect("commit"))
        event.listen(Session, "after_commit", lambda _s: self.effect("committed"))
        sys.addaudithook(self.heard)


def _child(wish: dict[str, Any]) -> None:
    from panlesion.aid.settings import Settings
    from panlesion.aid.vocabulary import JobKind

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log, nothing = os.open(wish["log"], os.O_WRONLY | os.O_CREAT), os.open(os.devnull, os.O_RDONLY)
    for ours, standard in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, standard)
    settings = Settings.model_validate(wish["settings"])
    _Deadly(str(settings.data), wish["effects"], wish["die_at"]).arm()
    if wish["what"] == "command":
        from panlesion.cli.main import app

        app(wish["words"])
    if wish["what"] == "work":
        from panlesion.aid.jobs.__main__ import log_to_stderr, work

        log_to_stderr()
        work(settings, [JobKind(kind) for kind in wish["kinds"]])
        return
    from panlesion.aid.guard.logs import log_to_stderr as log_server
    from panlesion.aid.server import run

    def told(url: str, _password: str | None) -> None:
        part = Path(wish["url"] + ".part")
        part.write_text(url)
        part.rename(wish["url"])

    log_server()
    run(settings, told)


def _main() -> None:
    import highdicom  # noqa: F401

    import panlesion.aid.jobs.__main__
    import panlesion.aid.jobs.analyse
    import panlesion.aid.reads.delivery
    import panlesion.aid.server
    import panlesion.aid.store.receiver
    import panlesion.infer.dicom_sr

    with suppress(ImportError):
        import panlesion.nets.openvino_engine  # noqa: F401
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended; the dead are gone at once
    for line in sys.stdin:
        wish = json.loads(line)
        if wish["what"] == "run":
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            done = subprocess.run(wish["command"], capture_output=True, text=True, check=False)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            told: Any = [done.returncode, done.stdout + done.stderr]
        else:
            told = os.fork()
            if not told:
                code = 1
                try:
                    _child(wish)
                    code = 0
                except SystemExit as exit_:
                    code = exit_.code if isinstance(exit_.code, int) else 0
                except BaseException:  # noqa: BLE001 (a child never becomes a second forker)
                    import traceback

                    traceback.print_exc()
                os._exit(code)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
