"""Cached parts of the test OS.

A part is a folder CACHE/NAME-KEY, where KEY is a digest of everything that goes into it. It is
made under another name and renamed when it is complete, so whatever has the final name is whole.
"""
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOM_IN_MEMORY = 4 << 30  # bytes that must be available for a build in memory


class BuildError(Exception):
    pass


def digest(*inputs: str | bytes) -> str:
    h = hashlib.sha256()
    for x in inputs:
        b = x.encode() if isinstance(x, str) else x
        h.update(len(b).to_bytes(8, "big") + b)
    return h.hexdigest()[:16]


def digest_files(*paths: Path) -> str:
    """Digest of files, and of all files below folders: names, modes and bytes."""
    parts: list[str | bytes] = []
    for p in paths:
        for f in sorted(p.rglob("*")) if p.is_dir() else [p]:
            if f.is_symlink():
                parts += [str(f.relative_to(p.parent)), os.readlink(f)]
            elif f.is_file():
                parts += [str(f.relative_to(p.parent)), oct(f.stat().st_mode & 0o777), f.read_bytes()]
    return digest(*parts)


def memory_available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


class Cache:
    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = None

    def lock(self) -> None:
        """One build at a time; the lock goes with the process."""
        self._lock = open(self.folder / "lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("os: another build is running, waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        for left in self.folder.glob("tmp.*"):  # of a build that was killed; we hold the lock
            shutil.rmtree(left)

    def _remove_old(self, name: str, current: Path) -> None:
        """Remove earlier versions of a part, unless a runner holds the images: its later boots need them."""
        with open(self.folder / "in-use", "w") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # they go with the next change of this part
            for old in self.folder.glob(f"{name}-{'[0-9a-f]' * 16}"):
                if old != current:
                    shutil.rmtree(old)

    def part(self, name: str, key: str, script: str, env: dict[str, str]) -> Path:
        """The folder of part `name`, made by `script` when it isn't there."""
        final = self.folder / f"{name}-{key}"
        if final.is_dir():
            return final
        started = time.monotonic()
        tmp = self.folder / f"tmp.{name}"
        shutil.rmtree(tmp, ignore_errors=True)
        out, work, log = tmp / "out", tmp / "work", tmp / "log"
        out.mkdir(parents=True)
        work.mkdir()
        # A mount namespace of its own: whatever the script mounts, a tmpfs to work in included, goes
        # with it, however it ends. setpriv and --kill-child end it when this process is killed.
        command = ["setpriv", "--pdeathsig", "KILL",
                   "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
                   "bash", "-euo", "pipefail", "-c", '[ "$1" = disk ] || mount -t tmpfs -o mode=755 work "$WORK"; exec "$2"',
                   "part", "memory" if memory_available() > ROOM_IN_MEMORY else "disk", str(HERE / script)]
        try:
            with open(log, "w") as f:
                r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT,
                                   env={**env, "OUT": str(out), "WORK": str(work)})
            if r.returncode:
                kept = self.folder / f"failed-{name}.log"
                log.replace(kept)
                tail = "\n".join(kept.read_text(errors="replace").splitlines()[-25:])
                raise BuildError(f"building {name} failed (exit {r.returncode}); the whole log is {kept}; its end:\n{tail}")
            log.replace(out / "build.log")
            out.chmod(0o755)
            out.rename(final)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)
        (self.folder / f"failed-{name}.log").unlink(missing_ok=True)
        self._remove_old(name, final)
        print(f"os: {name}: built in {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
        return final


def exit_on_sigterm() -> None:
    """Turn SIGTERM into an exception, so that `finally` blocks run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
