"""Service start to READY, beside a shell pipeline of stock tools: losetup, veritysetup open, mount, modprobe of the
in-tree dependency, insmod. Twice: as that, and with the signature over the root hash checked by openssl, without which
a pipeline does less than ours."""


def run(bench):
    peers = ("stock-pipeline", "stock-pipeline-with-signature")
    times = {(caches, peer): ([], []) for peer in peers for caches in ("cold", "warm")}
    for line in (bench.guest("provision-time") / "times.txt").read_text().splitlines():
        caches, ours, *others = line.split()
        for peer, other in zip(peers, others, strict=True):
            times[caches, peer][0].append(int(ours) / 1000)
            times[caches, peer][1].append(int(other) / 1000)
    # cold: as at boot. warm: page cache filled by the round before.
    return [bench.Comparison(f"start-to-ready-{caches}-vs-{peer}-ms", ours, peer_times, goal=0.333)
            for (caches, peer), (ours, peer_times) in times.items()]
