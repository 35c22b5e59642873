"""What it costs to have device nodes follow the devices: 8 GPUs with 56 instances, all nodes new, and all right already."""
import subprocess
import sys
from pathlib import Path

TURNS = 5
RECONCILIATION_MSEC = 5


def devices_bench(repo: Path) -> Path:
    build = repo / "build/dev"
    done = subprocess.run(["ninja", "-C", build, "tests/devices-bench"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: devices-bench was not built:\n{done.stdout[-2000:]}")
    return build / "tests/devices-bench"


def run(bench):
    program = devices_bench(bench.repo)
    turns = [[float(word) / 1000 for word in subprocess.run([program, "time"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()]
             for _ in range(TURNS)]
    return [bench.Comparison(f"device-nodes-of-56-instances-{what}-ms", [turn[i] for turn in turns], [RECONCILIATION_MSEC], goal=1.0)
            for i, what in enumerate(("made", "right-already"))]
