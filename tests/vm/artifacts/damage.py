"""Copies of an image with real bytes changed, named for their defect."""
import base64
import json
import string
from pathlib import Path

from .host import run


class Image:
    """An extension image, and where its parts are."""

    def __init__(self, driverext: Path, path: Path):
        self.bytes = bytearray(path.read_bytes())
        self.parts = json.loads(run(driverext, "image", "inspect", "--json=short", path))["partitions"]

    def part(self, name: str) -> slice:
        p = self.parts[name]
        return slice(p["offset"], p["offset"] + p["size"])

    def flipped(self, offset: int, out: Path) -> None:
        damaged = bytearray(self.bytes)
        damaged[offset] ^= 0x01
        out.write_bytes(damaged)

    def module_data_offset(self) -> int:
        """A byte in the middle of the module's own data.

        mksquashfs writes file data in the order of its directory walk, before any table: manifest.json,
        extension-release, then the module, which is by far the largest. Without fragments no block is
        shared. Superblock: inode table start at 64 (little-endian), file data from 96 on.
        """
        root = self.part("root").start
        tables = int.from_bytes(self.bytes[root + 64:root + 72], "little")
        return root + (96 + tables) // 2

    def signature_offset(self, member: str, into: float) -> int:
        """A byte inside a base64 member of the signature partition's JSON."""
        text = bytes(self.bytes[self.part("root-verity-sig")]).split(b"\0")[0]
        value = json.loads(text)[member].encode()
        return self.still_base64(self.part("root-verity-sig").start + text.index(value) + int(len(value) * into))

    def still_base64(self, offset: int) -> int:
        """From `offset` on, the first digit that is one after its lowest bit is flipped too.

        Of the 64 digits 6 would become something else, and the defect another one: text that is no base64.
        """
        digits = string.ascii_letters + string.digits + "+/"
        while chr(self.bytes[offset] ^ 0x01) not in digits:
            offset += 1
        return offset

    def manifest_offset(self) -> int:
        """A byte of the signed manifest: inside the base64 of the statement that carries it."""
        text = bytes(self.bytes[self.part("root-verity-sig")]).split(b"\0")[0]
        value = json.loads(text)["driverext"]
        at = base64.b64decode(value).index(b'"version"')
        return self.still_base64(self.part("root-verity-sig").start + text.index(value.encode()) + at * 4 // 3)


def make_damaged(driverext: Path, good: Path, out: Path) -> None:
    image = Image(driverext, good)
    image.flipped(image.module_data_offset(), out / "flipped-bit-in-module-data.raw")
    image.flipped(image.part("root-verity").start + 4096 + 5, out / "flipped-bit-in-hash-tree.raw")
    image.flipped(image.signature_offset("signature", 0.9), out / "flipped-bit-in-root-hash-signature.raw")
    image.flipped(image.manifest_offset(), out / "flipped-bit-in-manifest.raw")
