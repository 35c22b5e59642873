"""The built test OS: what tests/vm/os/build describes in .cache/os.json."""
import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
CACHE = REPO / ".cache"


class ImageError(Exception):
    pass


@dataclass(frozen=True)
class System:
    version: str
    version_id: str
    kernel_release: str
    kernel: Path
    initrd: Path
    usr: Path
    roothash: str
    hash_offset: int


@dataclass(frozen=True)
class Images:
    systems: dict[str, System]
    root_disk: Path


def load(versions: set[str], build: bool = True) -> Images:
    """The images of these OS versions; what is missing or out of date is built first.

    As long as this process lives, no build removes them, even one for newer packages.
    """
    if build:
        command = [sys.executable, "-B", str(REPO / "tests/vm/os/build")]
        for v in sorted(versions):
            command += ["--os", v]
        if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
            raise ImageError("the test OS could not be built; the reason is above")
    try:
        hold = os.open(CACHE / "vm/in-use", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)  # closed by our end
        fcntl.flock(hold, fcntl.LOCK_SH)
        found = json.loads((CACHE / "os.json").read_text())
        systems = {v: System(v, s["version_id"], s["kernel_release"], REPO / s["kernel"], REPO / s["initrd"],
                             REPO / s["usr"], s["roothash"], s["hash_offset"]) for v, s in found["os"].items()}
        missing = versions - systems.keys()
        if missing:
            raise ImageError(f"OS version {', '.join(sorted(missing))} is not built: run tests/vm/os/build --os all")
        return Images(systems, REPO / found["root_disk"])
    except (OSError, ValueError, KeyError) as e:
        raise ImageError(f"no usable .cache/os.json ({e!r}): run tests/vm/os/build") from e


def new_root_disk(images: Images, path: Path) -> Path:
    """An overlay on the empty root disk; the first boot fills it."""
    path.unlink(missing_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(images.root_disk), str(path)],
                   check=True)
    return path
