"""Making images: a tree of some 500 MB into a signed image, beside mksquashfs alone with the same settings; and a
finished squashfs into a signed image, beside systemd-repart."""
import shutil
import sys

from support.image_inputs import LEVEL, MKSQUASHFS, Inputs, by_turns, seconds


def of_a_tree(bench, inputs):
    tree = inputs.tree()
    ours_file, peer_file = inputs.folder / "ours.raw", inputs.folder / "peer.squashfs"

    def clear():
        ours_file.unlink(missing_ok=True)
        peer_file.unlink(missing_ok=True)

    ours, peer = by_turns(
        lambda: seconds([inputs.program, "build", tree, LEVEL, ours_file, inputs.key, inputs.certificate], clear),
        lambda: seconds(["mksquashfs", tree, peer_file, *MKSQUASHFS], clear))
    return bench.Comparison("tree-to-signed-image-vs-mksquashfs-ms", ours, peer, goal=1.05)


# SizeMinBytes: 252 reserves too little for the tree of data blocks of 512 bytes, which it takes here.
PARTITIONS = {
    "10-root": "Type=root\nCopyBlocks={0}\nVerity=data\nVerityMatchKey=root\n",
    "20-verity": "Type=root-verity\nVerity=hash\nVerityMatchKey=root\nSizeMinBytes=16M\n",
    "30-signature": "Type=root-verity-sig\nVerity=signature\nVerityMatchKey=root\n",
}


def of_a_file_system(bench, inputs):
    squashfs = inputs.squashfs()
    ours_file, peer_file = inputs.folder / "ours.raw", inputs.folder / "peer.raw"
    definitions = inputs.folder / "repart.d"
    definitions.mkdir(exist_ok=True)
    for name, text in PARTITIONS.items():
        (definitions / f"{name}.conf").write_text("[Partition]\n" + text.format(squashfs))

    def clear():
        ours_file.unlink(missing_ok=True)
        peer_file.unlink(missing_ok=True)

    ours, peer = by_turns(
        lambda: seconds([inputs.program, "wrap", squashfs, ours_file, inputs.key, inputs.certificate], clear),
        lambda: seconds(["systemd-repart", "--empty=create", "--size=auto", "--dry-run=no", "--no-pager", "--no-legend",
                         f"--definitions={definitions}", f"--private-key={inputs.key}",
                         f"--certificate={inputs.certificate}", peer_file], clear))
    return bench.Comparison("squashfs-to-signed-image-vs-repart-ms", ours, peer, goal=0.25)


def run(bench):
    inputs = Inputs(bench)
    results = [of_a_tree(bench, inputs)]
    if shutil.which("systemd-repart"):
        results.append(of_a_file_system(bench, inputs))
    else:
        print("bench: there is no systemd-repart on this machine", file=sys.stderr)
    return results
