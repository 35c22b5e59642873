"""The root file system of a container that has a shell, a C library and nothing else."""
import io
import tarfile
from pathlib import Path

from .host import run

FOLDERS = ("dev", "etc", "proc", "run", "sys", "tmp",
           "usr", "usr/bin", "usr/lib", "usr/lib/x86_64-linux-gnu", "usr/lib64")
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
APPLETS = ("sh", "cat", "env", "grep", "id", "ls", "sleep", "stat", "touch", "uname")
FILES = {  # path in the container: path in the test OS' /usr, which is the image's root
    "usr/bin/busybox": "bin/busybox",
    "usr/lib64/ld-linux-x86-64.so.2": "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/libc.so.6": "lib/x86_64-linux-gnu/libc.so.6",
}


def make_container(usr: Path, out: Path, work: Path) -> None:
    run("unsquashfs", "-q", "-n", "-d", work / "container", usr, *FILES.values())
    with tarfile.open(out, "w") as tar:
        def add(name: str, kind: bytes, link: str = "", data: bytes = b"") -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size, entry.mode = kind, link, len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))

        for folder in FOLDERS:
            add(folder, tarfile.DIRTYPE)
        for link, target in LINKS.items():
            add(link, tarfile.SYMTYPE, target)
        for applet in APPLETS:
            add(f"usr/bin/{applet}", tarfile.SYMTYPE, "busybox")
        for target, source in FILES.items():
            add(target, tarfile.REGTYPE, data=(work / "container" / source).read_bytes())
