"""`driverext image mount` beside `systemd-dissect --mount` of the same image, both with the signature checked and through
dm-verity, without reading all data first; then files of the large image read through each mount."""


def run(bench):
    attach, read = {}, ([], [])
    for line in (bench.guest("image-attach") / "times.txt").read_text().splitlines():
        what, ours, peer = line.rsplit(" ", 2)
        pair = read if what == "read" else attach.setdefault(what, ([], []))
        for times, microseconds in zip(pair, (ours, peer), strict=True):
            times.append(int(microseconds) / 1000)
    # cold: nothing of programs, libraries and image is in the page cache. warm: all of it is.
    rows = [bench.Comparison(f"attach-{what.replace(' ', '-')}-vs-systemd-dissect-ms", ours, peer, goal=0.6)
            for what, (ours, peer) in attach.items()]
    return [*rows, bench.Comparison("read-libraries-vs-systemd-dissect-ms", *read, goal=1.03)]
