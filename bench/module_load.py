"""Loading all modules of a driver, beside bare finit_module calls in the right order: the load step of a provision does
more, and it must not show. Modules of the stand-in for NVIDIA's driver, and a package of 23 small ones, where the work
around each counts most."""
import subprocess

BUILD = "build/dev"


def run(bench):
    subprocess.run(["ninja", "-C", bench.repo / BUILD, "bench/finit-modules"], check=True, stdout=subprocess.DEVNULL)
    times = {}
    for line in (bench.guest("module-load") / "times.txt").read_text().splitlines():
        driver, ours, bare = line.split()
        times.setdefault(driver, ([], []))
        times[driver][0].append(int(ours) / 1000)
        times[driver][1].append(int(bare) / 1000)
    return [bench.Comparison(f"load-all-modules-{driver}-vs-finit_module-ms", ours, bare, goal=1.1)
            for driver, (ours, bare) in times.items()]
