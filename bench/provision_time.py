"""Service start to READY, beside a shell pipeline of stock tools that does the same job: losetup,
veritysetup open, mount, modprobe of the in-tree dependency, insmod."""


def run(bench):
    times = {"cold": ([], []), "warm": ([], [])}
    for line in (bench.guest("provision-time") / "times.txt").read_text().splitlines():
        caches, ours, peer = line.split()
        times[caches][0].append(int(ours) / 1000)
        times[caches][1].append(int(peer) / 1000)
    # cold: as at boot. warm: page cache filled by the round before.
    return [bench.Comparison(f"provision-start-to-ready-{caches}-ms", ours, peer, goal=0.333)
            for caches, (ours, peer) in times.items()]
