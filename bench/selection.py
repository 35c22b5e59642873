"""What it costs to choose an image: among a thousand, and before modules as large as a GPU driver's are loaded."""
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMAGES = 1000
TURNS = 5
MEMORY_MIB = 24
PREFLIGHT_MSEC = 6
NOTHING_TO_DO_MSEC = 5
SYMBOLS = 24_787  # as many as Debian's kernel exports


def selection_bench(repo: Path) -> Path:
    build = repo / "build/dev"
    done = subprocess.run(["ninja", "-C", build, "tests/selection-bench"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: selection-bench was not built:\n{done.stdout[-2000:]}")
    return build / "tests/selection-bench"


def figures(program: Path, *arguments) -> list[float]:
    done = subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in done.stdout.split()]


def symvers(folder: Path) -> Path:
    lines = (f"0x{(i * 2654435761) & 0xffffffff:08x}\tsymbol_of_a_usual_length_{i}\tdrivers/gpu/drm/drm\tEXPORT_SYMBOL_GPL\t\n"
             for i in range(SYMBOLS))
    path = folder / "symvers"
    path.write_text("".join(lines))
    return path


def start_msec(program: Path) -> float:
    """What the boot service's start costs before it does anything."""
    began = time.monotonic()
    subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began) * 1000


def run(bench):
    program = selection_bench(bench.repo)
    chosen = [figures(program, "choose", IMAGES) for _ in range(TURNS)]
    rows = [bench.Comparison(f"choose-among-{IMAGES}-us", [c[0] for c in chosen], [c[1] for c in chosen], goal=2.0),
            bench.Comparison(f"choose-among-{IMAGES}-peak-MiB", [c[2] / 1024 for c in chosen], [MEMORY_MIB], goal=1.0)]
    with tempfile.TemporaryDirectory(prefix="driverext-bench-") as folder:
        listed = symvers(Path(folder))
        rows.append(bench.Comparison("preflight-1000-symbols-ms", [figures(program, "preflight", listed)[0] / 1000 for _ in range(TURNS)],
                                     [PREFLIGHT_MSEC], goal=1.0))
    start = statistics.median(start_msec(bench.repo / "build/dev/src/provision") for _ in range(21))
    rows.append(bench.Comparison("provision-with-nothing-to-do-ms",
                                 [start + figures(program, "nothing-to-do", "twice")[0] / 1000 for _ in range(TURNS)],
                                 [NOTHING_TO_DO_MSEC], goal=1.0))
    return rows
