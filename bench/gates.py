"""What does not change from run to run: instructions that callgrind counts in programs, ours and the stock tools' over the
same bytes, and the peak of memory. CI's gate, which a busy machine must not move; seconds are the other benchmarks' matter."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from devices import devices_bench
from module_scan import COMPRESSORS, copies, find_modules
from selection import figures, selection_bench
from support.image_inputs import image_bench

SALT = "5a" * 32
DATA = 16 << 20
BIG = 16 << 30  # with holes: it costs no disk
MEMORY_MIB = 24
# Instructions, so two processors count for nothing: what is left is doing nothing twice, and eight blocks at once.
# (callgrind's processor has no SHA instructions.)
GOALS = {"portable": 1.0, "avx2": 0.45}
MODULES = 20
NOTHING_TO_DO = 10  # million instructions
DEVICES = {"made": 12, "right-already": 8}  # million instructions for 129 nodes


def instructions(command) -> int:
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *map(str, command)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or counted is None:
        sys.exit(f"bench: valgrind {command[0]} failed:\n{done.stderr[-2000:]}")
    return int(counted[1])


def hashing(bench, program: Path, folder: Path) -> list:
    def ours(*command) -> list[str]:
        return subprocess.run([program, *command], check=True, stdout=subprocess.PIPE, text=True).stdout.split()

    data, ours_hash, peer_hash, big = (folder / name for name in ("data", "ours.hash", "peer.hash", "big"))
    data.write_bytes(os.urandom(1 << 20) * (DATA >> 20))
    salt = f"--salt={SALT}"
    tree = instructions(["/usr/sbin/veritysetup", "format", salt, data, peer_hash])
    rows, root_hash = [], ""
    for backend in ours("backends"):
        if backend not in GOALS:
            continue
        rows.append(bench.Comparison(f"verity-tree-{backend}-instructions",
                                     [instructions([program, "tree", backend, data, ours_hash, SALT])], [tree],
                                     goal=GOALS[backend]))
        if not root_hash:
            root_hash = ours("tree", backend, data, ours_hash, SALT)[0]
            check = instructions(["/usr/sbin/veritysetup", "verify", data, peer_hash, root_hash])
        rows.append(bench.Comparison(f"verity-check-{backend}-instructions",
                                     [instructions([program, "check", backend, data, ours_hash, root_hash])], [check],
                                     goal=GOALS[backend]))
    with big.open("wb") as out:
        os.truncate(out.fileno(), BIG)
    root_hash, peak_of_tree = ours("tree", "fastest", big, ours_hash, SALT)
    peak_of_check = ours("check", "fastest", big, ours_hash, root_hash)[-1]
    for job, peak in (("tree", peak_of_tree), ("check", peak_of_check)):
        rows.append(bench.Comparison(f"verity-{job}-of-16-GiB-peak-MiB", [int(peak) / 1024], [MEMORY_MIB], goal=1.0))
    return rows


def scanning(bench, program: Path, folder: Path) -> list:
    modinfo = shutil.which("modinfo", path="/usr/sbin:/sbin:/usr/bin")
    every = find_modules(bench.repo)
    some = every[:: len(every) // MODULES][:MODULES]
    rows = []
    for name, command in COMPRESSORS.items():
        place = folder / name
        place.mkdir()
        files = copies(some, place, command)
        rows.append(bench.Comparison(f"module-scan-{len(files)}-{name}-instructions", [instructions([program, *files])],
                                     [instructions([modinfo, *files])], goal=1.0))
    return rows


def selecting(bench, provision: Path) -> list:
    """A provision with nothing to do: the program's start, and a second provision of a host that is provisioned. And a
    choice among many images, beside what opening each of them costs at least."""
    program = selection_bench(bench.repo)
    once, twice = (instructions([program, "nothing-to-do", times]) for times in ("once", "twice"))
    start = instructions([provision, "--version"])
    _, _, peak = figures(program, "choose", 1000)
    return [bench.Comparison("provision-with-nothing-to-do-M-instructions", [(start + twice - once) / 1e6], [NOTHING_TO_DO],
                             goal=1.0),
            bench.Comparison("choose-among-1000-peak-MiB", [peak / 1024], [MEMORY_MIB], goal=1.0)]


def following(bench) -> list:
    """Device nodes of 8 GPUs with 56 instances: made, and found right."""
    program = devices_bench(bench.repo)
    planted, made, again = (instructions([program, job]) for job in ("plant", "make", "again"))
    return [bench.Comparison(f"device-nodes-{what}-M-instructions", [count / 1e6], [DEVICES[what]], goal=1.0)
            for what, count in (("made", made - planted), ("right-already", again - made))]


def run(bench):
    if not shutil.which("valgrind"):
        sys.exit("bench: there is no valgrind; ./dev setup installs it")
    programs = image_bench(bench.repo).parent
    with tempfile.TemporaryDirectory(prefix="driverext-bench-") as folder:
        return [*hashing(bench, programs / "image-bench", Path(folder)),
                *scanning(bench, programs / "module-scan", Path(folder)),
                *selecting(bench, bench.repo / "build/dev/src/provision"), *following(bench)]
