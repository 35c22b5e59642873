"""Images that systemd's tools and driverext are both shown: good ones of each kind, and those that systemd lets through."""
import shutil
import struct
import subprocess
import uuid
import zlib
from pathlib import Path

from .damage import Image
from .host import VM, run
from .images import Packer

SECTOR = 512
ENTRIES, ENTRY_SIZE, ENTRY_COUNT = 2 * SECTOR, 128, 128  # of the table that driverext writes
# Discoverable Partitions Specification, x86-64: what a `root` partition becomes when it is called `usr`.
AS_USR = {"4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "8484680c-9521-48c6-9c11-b0720656f69e",
          "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5": "77ff5f63-e7b6-4633-acf4-1565b864c0e6",
          "41092b05-9fc8-4523-994f-2def0408b176": "e7bb33fb-06cf-4e81-8273-e543b413e2e2"}
ROOT, ROOT_VERITY, ROOT_SIGNATURE = AS_USR
GENERIC_DATA = "0fc63daf-8483-4772-8e79-3d69d8477de4"
MAKE_DDI = VM / "scenarios" / "files" / "make-ddi"


class PartitionTable:
    """The GPT of an image, to be written again with valid checksums: what is wrong is in it, not in how it is kept."""

    def __init__(self, image: Path):
        self.bytes = bytearray(image.read_bytes())
        table = self.bytes[ENTRIES:ENTRIES + ENTRY_SIZE * ENTRY_COUNT]
        self.entries = [table[i:i + ENTRY_SIZE] for i in range(0, len(table), ENTRY_SIZE)]

    def of_type(self, kind: str) -> int:
        return next(i for i, e in enumerate(self.entries) if e[:16] == uuid.UUID(kind).bytes_le)

    def retype(self, old: str, new: str) -> None:
        self.entries[self.of_type(old)][:16] = uuid.UUID(new).bytes_le

    def remove(self, kind: str) -> None:
        self.entries[self.of_type(kind)][:] = bytes(ENTRY_SIZE)

    def write(self, out: Path) -> None:
        entries = b"".join(self.entries)
        for header in (SECTOR, len(self.bytes) - SECTOR):
            fields = bytearray(self.bytes[header:header + 92])
            at = struct.unpack_from("<Q", fields, 72)[0] * SECTOR
            self.bytes[at:at + len(entries)] = entries
            struct.pack_into("<I", fields, 88, zlib.crc32(entries))
            struct.pack_into("<I", fields, 16, 0)
            struct.pack_into("<I", fields, 16, zlib.crc32(fields))
            self.bytes[header:header + 92] = fields
        out.write_bytes(self.bytes)


def as_usr(image: Path, out: Path) -> None:
    table = PartitionTable(image)
    for kind, other in AS_USR.items():
        table.retype(kind, other)
    table.write(out)


def make_certificate(folder: Path, name: str, begin: str, end: str, *extensions: str) -> None:
    """A certificate of its own key, with dates that `openssl req` would not give it (YYYYMMDD)."""
    work = folder / f"ca-{name}"
    work.mkdir()
    (work / "index").touch()
    (work / "config").write_text("\n".join([
        "[ca]", "default_ca = own", "[own]", f"database = {work}/index", f"new_certs_dir = {work}", "rand_serial = yes",
        "default_md = sha256", "policy = any", "x509_extensions = extensions", "[any]", "commonName = supplied",
        "[extensions]", "subjectKeyIdentifier = hash", *extensions, ""]))
    key, request = folder / f"{name}.key", work / "request"
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request,
        stderr=subprocess.DEVNULL)
    run("openssl", "ca", "-batch", "-selfsign", "-notext", "-config", work / "config", "-keyfile", key, "-in", request,
        "-startdate", f"{begin}000000Z", "-enddate", f"{end}000000Z", "-out", folder / f"{name}.crt",
        stderr=subprocess.DEVNULL)
    shutil.rmtree(work)


def make_interop(packer: Packer, out: Path) -> None:
    """Into `out`/interop, and all of it into interop.squashfs, which a guest has as a disk."""
    folder = out / "interop"
    folder.mkdir()
    good = out / "v4l2loopback.raw"
    image = Image(packer.driverext, good)

    table = PartitionTable(good)
    table.remove(ROOT_SIGNATURE)
    table.write(folder / "signature-partition-removed.raw")
    table = PartitionTable(good)
    table.retype(ROOT, GENERIC_DATA)
    table.remove(ROOT_VERITY)
    table.remove(ROOT_SIGNATURE)
    table.write(folder / "generic-type.raw")
    as_usr(good, folder / "usr-type.raw")
    # The same files as systemd would want them in such an image: its root directory is /usr.
    tree = packer.work / "interop-tree"
    data = packer.work / "interop-root"
    data.write_bytes(image.bytes[image.part("root")])
    run("unsquashfs", "-q", "-n", "-d", tree, data)
    run(MAKE_DDI, tree / "usr", out / "stranger.key", out / "stranger.crt", folder / "usr-type-by-stranger.raw")
    as_usr(folder / "usr-type-by-stranger.raw", folder / "usr-type-by-stranger.raw")
    # Mounting does not read that far.
    large = Image(packer.driverext, out / "nvidia-1.raw")
    root = large.part("root")
    large.flipped((root.start + root.stop) // 2, folder / "flipped-bit-in-late-block.raw")

    make_certificate(folder, "expired", "20200101", "20200201")
    make_certificate(folder, "for-servers", "20200101", "20600101", "extendedKeyUsage = serverAuth")
    for name in ("expired", "for-servers"):
        # As it is built: image sign refuses a signer that no node would believe.
        packer.loopback(f"interop/signed-by-{name}.raw", packer.kernels["1"], f"interop/{name}")

    # The publisher's key too: guests sign with it what systemd-repart makes.
    for name in ("v4l2loopback.raw", "v4l2loopback-erofs.raw", "nvidia-1.raw", "for-another-kernel.raw",
                 "signed-by-stranger.raw", "publisher.key", "publisher.crt", "stranger.crt"):
        (folder / name).symlink_to(Path("..") / name)
    tree = packer.work / "interop"
    shutil.copytree(folder, tree)
    run("mksquashfs", tree, out / "interop.squashfs", "-noappend", "-no-progress", "-quiet", "-noI", "-noD", "-noF")
