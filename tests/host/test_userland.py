"""Userland images made of what vendors hand over: archives of the real makeself, of its old line that driver packages
come in, unpacked packages, plain folders. unsquashfs says what is in them."""
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
DRIVEREXT = BUILD / "src" / "driverext"
VERSION = "580.65.06"
EPOCH = 1_700_000_000

MANIFEST = f"""Sample Accelerated Driver for Linux-x86_64
{VERSION}
 
sample sample-uvm 
 
 
./kernel/
./kernel/precompiled/
kernel-open/sample/core.c 0644 KERNEL_MODULE_SRC INHERIT_PATH_DEPTH:1 MODULE:kernel_open
libz-sample.so.{VERSION} 0755 CUDA_LIB NATIVE / MODULE:gpgpu
libz-sample.so 0000 CUDA_SYMLINK NATIVE / libz-sample.so.{VERSION} MODULE:gpgpu
sample-smi 0755 UTILITY_BINARY MODULE:nvml
sample-modprobe 04755 SAMPLE_MODPROBE /usr/bin/ MODULE:installer
firmware/gsp.bin 0644 FIRMWARE INHERIT_PATH_DEPTH:1 MODULE:gsp
LICENSE 0444 DOCUMENTATION SAMPLE_GLX-1.0/ MODULE:installer
libGL_sample.so.{VERSION} 0755 OPENGL_LIB NATIVE MODULE:opengl
"""


def run(*command, check=True, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def real_library(name: str) -> Path:
    for line in run("ldconfig", "-p").stdout.decode().splitlines():
        if line.split()[:1] == [name] and "x86-64" in line:
            return Path(line.split("=> ")[1])
    raise AssertionError(f"this machine has no {name}")


class UserlandImages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        package = cls.package = cls.tmp / "package"
        for folder in ("kernel-open/sample", "firmware"):
            (package / folder).mkdir(parents=True)
        (package / ".manifest").write_text(MANIFEST)
        (package / "kernel-open/sample/core.c").write_text("int core;\n")
        shutil.copy(real_library("libz.so.1"), package / f"libz-sample.so.{VERSION}")
        shutil.copy(real_library("libm.so.6"), package / f"libGL_sample.so.{VERSION}")
        shutil.copy("/usr/bin/true", package / "sample-smi")
        shutil.copy("/usr/bin/true", package / "sample-modprobe")
        (package / "firmware/gsp.bin").write_bytes(bytes(range(256)) * 1000)
        (package / "LICENSE").write_text("you may\n")
        marker = cls.marker = cls.tmp / "was-run"
        (package / "installer").write_text(f"#!/bin/sh\ntouch {marker}\n")
        (package / "installer").chmod(0o755)
        for path in package.rglob("*"):
            os.utime(path, (EPOCH, EPOCH))
        cls.manifest = cls.tmp / "manifest.json"
        cls.manifest.write_text(json.dumps({"driver": "sample", "version": VERSION, "license": "Proprietary",
                                            "os": {"id": "flatcar", "versionId": "4459.1.0"}}))

    def makeself(self, *options) -> Path:
        output = self.tmp / "made.run"
        run("makeself", *options, self.package, output, "Sample", "./installer")
        return output

    # As driver packages come: makeself 1.6.0-nv, which no distribution has.
    def old_archive(self) -> Path:
        payload = run("sh", "-c", f"tar -C {self.package} -cf - . | zstd").stdout
        body = (f"label=\"Sample\"\nversion_string={VERSION}\nTARGET_ARCH=\"x86_64\"\ntouch {self.marker}\n"
                "sum1=`tail -n +4 $0 | cksum | awk '{print $1}'`\ntail -n +$skip $0 | zstd -d | tar xf -\n").encode()
        lines = body.count(b"\n") + 5
        behind = f"skip={lines}\n".encode() + body + payload
        crc = run("cksum", input=behind).stdout.split()[0]
        output = self.tmp / "old.run"
        output.write_bytes(b"#! /bin/sh\nCRCsum=" + crc + b"\nMD5=" + hashlib.md5(behind).hexdigest().encode() + b"\n" + behind)
        return output

    def build(self, userland: Path, name: str, *options, **more) -> subprocess.CompletedProcess:
        return run(DRIVEREXT, "image", "build", "--kind=userland", "--userland", userland, "--manifest", self.manifest,
                   *options, self.tmp / name, **more)

    def listing(self, name: str) -> list[str]:
        shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", self.tmp / name).stdout)
        part = shown["partitions"]["root"]
        root = self.tmp / "root"
        with open(self.tmp / name, "rb") as image:
            image.seek(part["offset"])
            root.write_bytes(image.read(part["size"]))
        self.assertEqual((shown["kind"], shown["version"]), ("userland", VERSION))
        lines = []
        for line in run("unsquashfs", "-ll", "-d", "", root).stdout.decode().splitlines():
            if line[:1] in "-l":
                mode, owner, rest = line[:10], line.split()[1], "/usr" + line.split("/usr", 1)[1]
                self.assertEqual(owner, "root/root", line)
                lines.append(f"{mode} {rest}")
        return sorted(line for line in lines if "/extension-release." not in line and "/manifest.json" not in line)

    EXPECTED = sorted([
        f"lrwxrwxrwx /usr/lib64/libz-sample.so -> libz-sample.so.{VERSION}",
        f"lrwxrwxrwx /usr/lib64/libz.so.1 -> libz-sample.so.{VERSION}",
        f"-rwxr-xr-x /usr/lib64/libz-sample.so.{VERSION}",
        "-rwxr-xr-x /usr/bin/sample-smi",
        f"-rw-r--r-- /usr/lib/firmware/sample/{VERSION}/gsp.bin",
        "-rw-r--r-- /usr/share/licenses/sample/LICENSE",
    ])

    def test_every_form_of_a_package_gives_the_same_image_and_none_is_run(self):
        images = set()
        for number, userland in enumerate((self.package, self.old_archive(), self.makeself("--xz"),
                                           self.makeself("--zstd", "--sha256"))):
            self.build(userland, f"{number}.raw")
            self.assertEqual(self.listing(f"{number}.raw"), self.EXPECTED)
            images.add((self.tmp / f"{number}.raw").read_bytes())
        self.assertEqual(len(images), 1)
        self.assertFalse(self.marker.exists())

    def test_graphics_are_taken_if_asked_for(self):
        self.build(self.package, "graphics.raw", "--userland-class=graphics")
        self.assertIn(f"-rwxr-xr-x /usr/lib64/libGL_sample.so.{VERSION}", self.listing("graphics.raw"))

    def test_a_damaged_archive_leaves_nothing(self):
        damaged = self.makeself("--gzip")
        content = bytearray(damaged.read_bytes())
        content[-100] ^= 1
        damaged.write_bytes(content)
        before = sorted(self.tmp.iterdir())
        done = self.build(damaged, "damaged.raw", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"damaged", done.stderr)
        self.assertEqual(sorted(self.tmp.iterdir()), before)

    def test_the_version_must_be_the_packages(self):
        other = self.tmp / "other.json"
        other.write_text(self.manifest.read_text().replace(VERSION, "570.00"))
        done = run(DRIVEREXT, "image", "build", "--kind=userland", "--userland", self.package, "--manifest", other,
                   self.tmp / "x.raw", check=False)
        self.assertIn(VERSION.encode(), done.stderr)
        self.assertEqual(done.returncode, 1)

    def test_a_finished_tree_is_taken_as_it_is(self):
        tool = self.tmp / "ready/usr/bin/tool"
        tool.parent.mkdir(parents=True)
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o700)
        self.build(self.tmp / "ready", "ready.raw")
        self.assertEqual(self.listing("ready.raw"), ["-rwxr-xr-x /usr/bin/tool"])

    def test_module_sources_are_kept_and_are_a_source_image_with_the_digest_of_sha256sum(self):
        kept, image = self.tmp / "sources", self.tmp / "kept.raw"
        self.build(self.makeself("--xz"), "kept.raw", f"--module-sources={kept}")
        found = {str(p.relative_to(kept)): p for p in kept.rglob("*") if p.is_file()}
        self.assertEqual(list(found), ["open/sample/core.c"])
        core = found["open/sample/core.c"]
        self.assertEqual((core.read_text(), int(core.stat().st_mtime)), ("int core;\n", EPOCH))
        # Nothing is written over what is there, nor is an image made that would lack it.
        image.unlink()
        done = self.build(self.package, "kept.raw", f"--module-sources={kept}", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"is there already", done.stderr)
        self.assertFalse(image.exists())
        run(DRIVEREXT, "image", "build", "--kind=source", f"--tree={kept}/open", "--manifest", self.manifest,
            self.tmp / "source.raw")
        told = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", self.tmp / "source.raw").stdout)
        theirs = run("sh", "-c", "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum",
                     cwd=kept / "open").stdout.decode().split()[0]
        self.assertEqual(told["source"]["sha256"], theirs)
        shutil.rmtree(kept)

    def test_a_build_that_fails_keeps_no_module_sources_and_can_be_tried_again(self):
        kept = self.tmp / "sources-again"
        definition = self.tmp / "sample.toml"
        definition.write_text("this is none")
        before = sorted(self.tmp.iterdir())
        for _ in range(2):
            done = self.build(self.package, "again.raw", f"--module-sources={kept}", f"--definition={definition}", check=False)
            self.assertEqual(done.returncode, 78)
            self.assertIn(b"sample.toml", done.stderr)
            self.assertEqual(sorted(self.tmp.iterdir()), before)
        self.build(self.package, "again.raw", f"--module-sources={kept}")
        self.assertEqual([p.name for p in kept.iterdir()], ["open"])
