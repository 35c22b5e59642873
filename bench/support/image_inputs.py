"""What the image benchmarks work on: some 500 MB of this machine's real shared libraries, and the kernel modules that
the test artefacts are made of. The same files on each run."""
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZE = 500 << 20
TURNS = 7


def image_bench(repo: Path) -> Path:
    """The program of that name, and module-scan beside it, as the sources are now."""
    build = repo / "build" / "dev"
    subprocess.run(["ninja", "-C", build, "bench"], check=True, stdout=subprocess.DEVNULL)
    return build / "bench" / "image-bench"


class Inputs:
    def __init__(self, bench):
        self.repo = bench.repo
        self.folder = bench.repo / "build" / "bench" / "image"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.program = image_bench(bench.repo)
        self.key, self.certificate = self.folder / "bench.key", self.folder / "bench.crt"
        if not self.certificate.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "3650", "-subj", "/CN=driverext bench", "-keyout", self.key, "-out",
                            self.certificate], check=True, stderr=subprocess.DEVNULL)

    def tree(self) -> Path:
        """A directory that holds usr/, with the manifest that image-bench expects."""
        tree = self.folder / "tree"
        if not (self.folder / "tree.complete").exists():
            shutil.rmtree(tree, ignore_errors=True)
            for source in self._files():
                kind = "modules/bench" if source.suffix == ".ko" else "x86_64-linux-gnu"
                target = tree / "usr/lib" / kind / source.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            manifest = tree / "usr/lib/driverext/manifest.json"
            manifest.parent.mkdir(parents=True)
            manifest.write_text(self.ours("manifest"))
            (self.folder / "tree.complete").touch()
        warm(*(p for p in tree.rglob("*") if p.is_file()))
        return tree

    def _files(self) -> list[Path]:
        modules = sorted({p.name: p for p in (self.repo / "build/vm/artifacts").glob("modules-*/*.ko")}.values())
        found, total = modules, sum(p.stat().st_size for p in modules)
        libraries = {}  # one of each size: copies under several names say nothing new
        for folder in (Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib64")):
            for path in sorted(folder.rglob("*.so*")):
                if path.is_file() and not path.is_symlink():
                    libraries.setdefault(path.stat().st_size, path)
        for size, path in sorted(libraries.items(), reverse=True):
            if total + size <= SIZE:
                found.append(path)
                total += size
        if total < SIZE * 0.6:
            print(f"bench: this machine has only {total >> 20} MiB of libraries; the figures are of those", file=sys.stderr)
        return found

    def squashfs(self) -> Path:
        """That tree, packed by mksquashfs."""
        packed = self.folder / "finished.squashfs"
        tree = self.tree()
        if not packed.exists():
            subprocess.run(["mksquashfs", tree, packed, *MKSQUASHFS], check=True, stdout=subprocess.DEVNULL)
        warm(packed)
        return packed

    def ours(self, *arguments) -> str:
        return subprocess.run([self.program, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


# Of mksquashfs, and of what build_image gives it for an image without modules.
LEVEL = "3"
MKSQUASHFS = ("-comp", "zstd", "-Xcompression-level", LEVEL, "-noappend", "-no-progress", "-quiet", "-all-root",
              "-no-xattrs", "-no-exports", "-root-mode", "0755")


def warm(*files: Path) -> None:
    """Into the page cache: what is measured is not the disk."""
    for file in files:
        with file.open("rb") as f:
            while f.read(1 << 20):
                pass


def seconds(command, before=lambda: None) -> float:
    before()
    start = time.perf_counter()
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def by_turns(ours, peer, turns=TURNS) -> tuple[list[float], list[float]]:
    """Milliseconds; each is a function that returns seconds."""
    times = ([], [])
    for turn in range(turns + 1):
        for measure, into in ((ours, times[0]), (peer, times[1]))[:: 1 if turn % 2 else -1]:
            took = measure() * 1000
            if turn > 0:  # the first one fills caches
                into.append(took)
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"bench: load {load}; spread of ours {min(times[0]):.0f}-{max(times[0]):.0f}, of the peer "
          f"{min(times[1]):.0f}-{max(times[1]):.0f} ms, medians {statistics.median(times[0]):.0f} and "
          f"{statistics.median(times[1]):.0f}", file=sys.stderr)
    return times
