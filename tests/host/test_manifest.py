"""Manifests of real images: they follow docs/manifest.schema.json, say what modinfo(8) says of the modules, and are the same
whether the modules came compressed or not."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import jsonschema

REPO = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ["DRIVEREXT_BUILD"])
ARTIFACTS = Path(os.environ["DRIVEREXT_ARTIFACTS"])
DRIVEREXT = BUILD / "src" / "driverext"
SCHEMA = json.loads((REPO / "docs/manifest.schema.json").read_text())
COMPRESSORS = {"xz": ["xz", "--check=crc32"], "zst": ["zstd", "-q", "-19", "--rm"], "gz": ["gzip", "-n"]}


def run(*command, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def modinfo(file: Path, field: str) -> list[str]:
    return [e for e in run("modinfo", "-0", "-F", field, file).stdout.decode().split("\0") if e]


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        cls.folder = next(ARTIFACTS.glob("modules-*"))
        cls.files = {f.name: f for f in cls.folder.glob("*.ko")}
        cls.input = cls.tmp / "input.json"
        cls.input.write_text(json.dumps({"driver": "cam", "version": "1.0", "flavor": "open", "userland": "1.0",
                                         "license": "GPL-2.0-or-later", "os": {"id": "debian", "versionId": "13"}}))
        cls.builder_input = cls.tmp / "builder.json"
        cls.builder_input.write_text(json.dumps({"driver": "builder", "version": "13", "license": "GPL-2.0-or-later",
                                                 "os": {"id": "debian", "versionId": "13"}}))
        cls.tree = cls.tmp / "tree"
        (cls.tree / "usr/bin").mkdir(parents=True)
        (cls.tree / "usr/bin/cam").write_text("#!/bin/sh\n")
        cls.builder = cls.tmp / "builder"
        (cls.builder / "usr/lib/modules/6.12.1-test/build").mkdir(parents=True)
        cls.validator = jsonschema.Draft202012Validator(SCHEMA)

    def build(self, kind: str, modules: Path, name: str = "") -> Path:
        options = {"modules": ["--modules", modules], "complete": ["--modules", modules, "--tree", self.tree],
                   "userland": ["--tree", self.tree], "source": ["--tree", self.tree], "builder": ["--tree", self.builder]}
        image = self.tmp / f"{name or kind}.raw"
        said = self.builder_input if kind == "builder" else self.input
        run(DRIVEREXT, "image", "build", "--kind", kind, "--level=1", "--manifest", said, *options[kind], image,
            env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"})
        self.addCleanup(image.unlink)
        return image

    def manifest(self, image: Path) -> dict:
        """The bytes that stand in the image, as stock tools read them."""
        part = json.loads(run("sfdisk", "--json", image).stdout)["partitiontable"]["partitions"][0]
        squashfs = self.tmp / "squashfs"
        with image.open("rb") as f:
            f.seek(part["start"] * 512)
            squashfs.write_bytes(f.read(part["size"] * 512))
        return json.loads(run("unsquashfs", "-cat", squashfs, "usr/lib/driverext/manifest.json").stdout)

    def test_the_schema_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_manifests_of_every_kind_follow_the_schema(self):
        for kind in SCHEMA["properties"]["kind"]["enum"]:
            with self.subTest(kind):
                manifest = self.manifest(self.build(kind, self.folder))
                self.assertEqual(manifest["kind"], kind)
                self.validator.validate(manifest)

    def test_what_the_reader_refuses_the_schema_refuses(self):
        manifest = self.manifest(self.build("modules", self.folder))
        for place, value in {"kind": "firmware", "format": 2, "driver": "../x", "created": -1, "extra": 1,
                             "kernels": ["6.1"], "modules": [], "userland": "", "license": "a\n", "version": "1.0\n"}.items():
            with self.subTest(place):
                self.assertFalse(self.validator.is_valid(manifest | {place: value}))
        self.assertFalse(self.validator.is_valid(manifest | {"created": 253402300800}))
        self.assertTrue(self.validator.is_valid(manifest | {"builtFrom": ["a" * 64]}))
        for value in ([], "a" * 64, ["a"], ["A" * 64], ["a" * 64] * 9):
            with self.subTest(builtFrom=value):
                self.assertFalse(self.validator.is_valid(manifest | {"builtFrom": value}))
        for place, value in {"path": "/usr/x.ko", "sha256": "ab", "buildId": "abc", "imports": {"kfree": "7"}, "extra": 1,
                             "imports ": {}, "softdeps": {}, "aliases": [], "parameters": [{"type": "int"}],
                             "size": 1.5}.items():
            with self.subTest(place):
                module = manifest["modules"][0] | {place: value}
                self.assertFalse(self.validator.is_valid(manifest | {"modules": [module]}))

    def test_a_builder_has_the_driver_builder_and_nothing_else_has(self):
        modules, builder = (self.manifest(self.build(kind, self.folder)) for kind in ("modules", "builder"))
        self.assertFalse(self.validator.is_valid(modules | {"driver": "builder"}))
        self.assertFalse(self.validator.is_valid(builder | {"driver": "cam"}))
        self.assertFalse(self.validator.is_valid(builder | {"builtFrom": ["a" * 64]}))
        done = subprocess.run([DRIVEREXT, "image", "build", "--kind=builder", "--manifest", self.input, "--tree", self.builder,
                               self.tmp / "x.raw"], stderr=subprocess.PIPE, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('the driver of a builder image is "builder"', done.stderr)

    def test_the_manifest_says_what_modinfo_says(self):
        manifest = self.manifest(self.build("modules", self.folder))
        self.assertEqual(len(manifest["modules"]), len(self.files))
        self.assertRegex(manifest["toolchain"], r"^GCC: \(.*\) [0-9.]+$")
        for module in manifest["modules"]:
            file = self.files[Path(module["path"]).name]
            with self.subTest(file.name):
                for member, field in {"version": "version", "srcversion": "srcversion", "license": "license"}.items():
                    self.assertEqual([module[member]] if member in module else [], modinfo(file, field), field)
                self.assertEqual(module["name"], modinfo(file, "name")[0])
                self.assertEqual(manifest["vermagic"], modinfo(file, "vermagic")[0].rstrip())
                self.assertEqual(module["depends"], [d for e in modinfo(file, "depends") for d in e.split(",")])
                self.assertEqual(module.get("aliases", []), modinfo(file, "alias"))
                self.assertEqual(module.get("firmware", []), modinfo(file, "firmware"))
                said = sorted(e.replace("\n", " ") for e in modinfo(file, "parm"))
                ours = sorted(f"{p['name']}:{p.get('description', '')} ({p['type']})" for p in module.get("parameters", []))
                self.assertEqual(ours, said)

    def test_imports_are_those_of_modprobe(self):
        manifest = self.manifest(self.build("modules", self.folder))
        for module in manifest["modules"]:
            file = self.files[Path(module["path"]).name]
            lines = run("modprobe", "--dump-modversions", file).stdout.decode().splitlines()
            expected = {symbol: f"0x{int(crc, 16):08x}" for crc, symbol in (line.split() for line in lines)}
            self.assertIn("module_layout", expected)
            self.assertEqual(module["imports"], expected)

    def test_compressed_modules_make_the_same_image(self):
        plain = self.build("modules", self.folder, "plain").read_bytes()
        for ending, command in COMPRESSORS.items():
            with self.subTest(ending):
                folder = self.tmp / ending
                folder.mkdir()
                for file in self.files.values():
                    run(*command, shutil.copy(file, folder))
                self.assertEqual({f.suffix for f in folder.iterdir()}, {f".{ending}"})
                self.assertEqual(self.build("modules", folder, ending).read_bytes(), plain)
        self.assertFalse(list(self.tmp.glob("*.modules-*")), "the decompressed modules are still there")


if __name__ == "__main__":
    unittest.main()
