"""Extension images of each kind."""
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from .host import CACHE, REPO, VM, run

STAND_IN = REPO / "tests" / "support" / "nvidia"
MODULES_23 = REPO / "tests" / "support" / "modules-23"
SOME_DAY = 1_760_000_000  # seconds since 1970
DAY = 24 * 3600


def driver_version(module: Path) -> str:
    found = re.search(rb"\0version=([^\0]+)\0", module.read_bytes())  # .modinfo: NUL-terminated KEY=VALUE
    if not found:
        sys.exit(f"make-artifacts: {module} does not tell its version")
    return found[1].decode()


class Packer:
    """Makes images in `out`; everything else that is needed for them goes to `work`."""

    def __init__(self, driverext: Path, systems: dict, out: Path, work: Path):
        self.driverext, self.out, self.work = driverext, out, work
        self.version_ids = systems["version_ids"]
        self.builder_root = REPO / systems["builder"]["image"]
        self.kernels = systems["builder"]["kernels"]  # by OS

    def keys(self, name: str) -> list:
        return ["--key", self.out / f"{name}.key", "--certificate", self.out / f"{name}.crt"]

    def pack(self, target: Path, kind: str, driver: str, version: str, *options, system: str = "1",
             created: int | None = None, **members) -> None:
        manifest = self.work / "manifest.json"
        manifest.write_text(json.dumps({"driver": driver, "version": version, "license": "GPL-2.0-or-later",
                                        "os": {"id": "flatcar", "versionId": self.version_ids[system]}, **members}))
        env = os.environ if created is None else {**os.environ, "SOURCE_DATE_EPOCH": str(created)}
        run(self.driverext, "image", "build", f"--kind={kind}", "--manifest", manifest, *options, target, env=env)

    def loopback(self, name: str, kernel: str, key: str, *options) -> None:
        """v4l2loopback as Debian has it, compiled in the builder's root."""
        modules = self.out / f"modules-{kernel}"
        if not modules.exists():
            run(VM / "os" / "build-module", "v4l2loopback", kernel, modules)
        self.pack(self.out / name, "modules", "v4l2loopback", driver_version(modules / "v4l2loopback.ko"),
                  "--modules", modules, *self.keys(key), *options)

    def stand_in(self, name: str, kernel: str, version: str, *variants: str, system: str = "1", age: int = 0) -> None:
        """The stand-in for NVIDIA's driver; of two images the one with the larger age in days is newer."""
        built = self.work / name
        run(STAND_IN / "build", kernel, version, built, *variants)
        self.pack(self.out / name, "complete", "nvidia", version, "--modules", built / "modules",
                  "--tree", built / "tree", "--level=1", *self.keys("publisher"),
                  system=system, created=SOME_DAY + age * DAY)

    def modules_23(self, name: str, kernel: str) -> None:
        """A driver of many small modules that use each other, for how long loading takes."""
        built = self.work / name
        run(MODULES_23 / "build", kernel, "1.0", built)
        self.pack(self.out / name, "modules", "lattice", "1.0", "--modules", built, *self.keys("publisher"),
                  created=SOME_DAY)

    def halves(self, version: str) -> list:
        """The same driver as a userland for every kernel and modules for each."""
        images = []
        for kernel in (self.kernels["1"], self.kernels["2"]):
            built = self.work / f"halves-{kernel}"
            run(STAND_IN / "build", kernel, version, built)
            images.append(self.work / f"modules-{kernel}.raw")
            self.pack(images[-1], "modules", "nvidia", version, "--modules", built / "modules", "--level=1",
                      *self.keys("publisher"), created=SOME_DAY, userland=version)
        images.append(self.work / "userland.raw")
        self.pack(images[-1], "userland", "nvidia", version, "--tree", built / "tree", "--level=1",
                  *self.keys("publisher"), created=SOME_DAY, os={"id": "_any"})
        return images

    def loopback_sources(self) -> None:
        """What a node compiles by itself; the second one needs a header that its kernel does not have."""
        run("unsquashfs", "-q", "-n", "-d", self.work / "builder", self.builder_root, "usr/src/v4l2loopback-*")
        source = next((self.work / "builder/usr/src").glob("v4l2loopback-*"))
        version = source.name.removeprefix("v4l2loopback-")
        for name in ("v4l2loopback-source.raw", "v4l2loopback-broken-source.raw"):
            if "broken" in name:
                code = source / "v4l2loopback.c"
                # First, so that the compiler stops at once: in an emulated machine the rest takes half a minute.
                code.write_text("#include <linux/gone-since-this-kernel.h>\n" + code.read_text())
            self.pack(self.out / name, "source", "v4l2loopback", version, "--tree", source,
                      *self.keys("publisher"), created=SOME_DAY)

    def builder(self) -> None:
        """The compiler's root. It is packed once, and signed with each new key."""
        sources = sorted([*REPO.glob("src/acquire/pack.*"), *REPO.glob("src/sysext/*")])  # what decides its bytes
        content = [str(self.builder_root).encode(), *(f.read_bytes() for f in [Path(__file__), *sources])]
        key = hashlib.sha256(b"".join(content)).hexdigest()[:16]
        packed = CACHE / f"builder-{key}.raw"
        if not packed.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            for old in CACHE.glob("builder-*.raw"):
                old.unlink()
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                tree, image = Path(folder) / "tree", Path(folder) / "builder.raw"
                run("unsquashfs", "-q", "-n", "-d", tree, self.builder_root)
                self.pack(image, "builder", "builder", "13.0", "--tree", tree, "--level=1", created=SOME_DAY)
                shutil.move(image, packed)
        run(self.driverext, "image", "sign", *self.keys("publisher"), "--output", self.out / "builder.raw", packed)
