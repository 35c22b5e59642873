"""What a module says of itself, for many modules in one process: driverext's reader beside modinfo(8) of kmod, over the same
files of a distribution's kernel, compressed as its build compresses them (scripts/Makefile.modinst)."""
import lzma
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TURNS = 9
MODULES = 100
LARGEST = 5
# Not gzip: kmod of Debian is built without it.
COMPRESSORS = {"xz": ["xz", "--check=crc32", "--lzma2=dict=1MiB"], "zst": ["zstd", "-q", "--rm"], "plain": None}


def find_modules(repo: Path) -> list[Path]:
    """Of the largest tree of modules on this machine: the host's, or that of a test OS."""
    trees = [*Path("/lib/modules").glob("*"), *(repo / ".cache/vm").glob("kernel*/modules/*")]
    found = max((sorted(p for p in tree.rglob("*.ko*") if p.suffix in (".ko", ".xz")) for tree in trees), key=len, default=[])
    if len(found) < MODULES:
        sys.exit("bench: no kernel's modules in /lib/modules or .cache/vm; ./dev demo brings those of the test OS")
    # Every so many-th, and the largest, where the time goes.
    by_size = sorted(found, key=lambda p: p.stat().st_size)
    rest = MODULES - LARGEST
    return sorted({*by_size[::len(by_size) // rest][:rest], *by_size[-LARGEST:]})


def copies(modules: list[Path], folder: Path, command: list[str] | None) -> list[Path]:
    files = []
    for module in modules:
        data = module.read_bytes()
        file = folder / module.name.removesuffix(".xz")
        file.write_bytes(lzma.decompress(data) if module.suffix == ".xz" else data)
        files.append(file)
    if command:
        subprocess.run([*command, *files], check=True)
        files = sorted(folder.iterdir())
    return files


def seconds(command: list) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def run(bench):
    build = bench.repo / "build/dev"
    subprocess.run(["ninja", "-C", build, "bench/module-scan"], check=True, stdout=sys.stderr)
    modules = find_modules(bench.repo)
    rows = []
    for name, command in COMPRESSORS.items():
        folder = Path(tempfile.mkdtemp(prefix="driverext-bench-"))
        try:
            files = copies(modules, folder, command)
            ours, peer = [build / "bench/module-scan", *files], [shutil.which("modinfo", path="/usr/sbin:/sbin:/usr/bin"), *files]
            times = ([], [])
            for _ in range(TURNS):
                for program, figures in zip((ours, peer), times, strict=True):
                    figures.append(seconds(program) * 1000)
            rows.append(bench.Comparison(f"module-scan-{len(files)}-{name}-vs-modinfo-ms", *times, goal=1.0))
        finally:
            shutil.rmtree(folder)
    return rows
