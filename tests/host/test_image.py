"""Images as tools that nobody here wrote see them: veritysetup, unsquashfs, openssl, systemd-dissect, sfdisk,
and the kernel's own loop and squashfs drivers."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
ARTIFACTS = Path(os.environ["DRIVEREXT_ARTIFACTS"])
DRIVEREXT = BUILD / "src" / "driverext"


def run(*command, check=True, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


class StockTools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        cls.image = ARTIFACTS / "v4l2loopback.raw"
        cls.shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", cls.image).stdout)
        for name in ("root", "root-verity", "root-verity-sig"):
            part = cls.shown["partitions"][name]
            (cls.tmp / name).write_bytes(cls.image.read_bytes()[part["offset"]:part["offset"] + part["size"]])
        cls.signature = json.loads((cls.tmp / "root-verity-sig").read_bytes().rstrip(b"\0"))

    def test_veritysetup_accepts_the_tree(self):
        run("veritysetup", "verify", self.tmp / "root", self.tmp / "root-verity", self.shown["rootHash"])

    def test_veritysetup_makes_the_same_root_hash(self):
        dump = run("veritysetup", "dump", self.tmp / "root-verity").stdout.decode()
        fields = dict(line.split(":", 1) for line in dump.splitlines() if ":" in line)
        made = run("veritysetup", "format", f"--salt={fields['Salt'].strip()}", f"--uuid={fields['UUID'].strip()}",
                   self.tmp / "root", self.tmp / "again").stdout.decode()
        self.assertIn(self.shown["rootHash"], made)
        self.assertEqual((self.tmp / "again").read_bytes(), (self.tmp / "root-verity").read_bytes())

    def test_openssl_verifies_the_root_hash_signature_as_systemd_does(self):
        (self.tmp / "p7s").write_bytes(base64.b64decode(self.signature["signature"]))
        (self.tmp / "hash").write_text(self.shown["rootHash"])
        command = ["openssl", "smime", "-verify", "-inform", "DER", "-in", self.tmp / "p7s", "-content", self.tmp / "hash",
                   "-nointern", "-noverify", "-binary", "-out", "/dev/null", "-certfile"]
        run(*command, ARTIFACTS / "publisher.crt")
        self.assertNotEqual(run(*command, ARTIFACTS / "stranger.crt", check=False).returncode, 0)

    def test_openssl_verifies_the_statement_and_finds_the_manifest_in_it(self):
        (self.tmp / "cms").write_bytes(base64.b64decode(self.signature["driverext"]))
        statement = run("openssl", "cms", "-verify", "-inform", "DER", "-in", self.tmp / "cms", "-CAfile",
                        ARTIFACTS / "publisher.crt", "-binary", "-purpose", "any").stdout.decode()
        head, root_hash, blocks, manifest = statement.split("\n", 3)
        self.assertEqual((head, root_hash, blocks), ("driverext statement 1", f"rootHash: {self.shown['rootHash']}",
                                                     f"dataBlocks: {self.shown['verity']['dataBlocks']}"))
        inside = run("unsquashfs", "-cat", self.tmp / "root", "usr/lib/driverext/manifest.json").stdout.decode()
        self.assertEqual(manifest, inside)

    def test_the_image_holds_no_module_index_and_nothing_outside_usr(self):
        listed = run("unsquashfs", "-l", "-d", "", self.tmp / "root").stdout.decode().split()
        self.assertTrue(all(p == "" or p == "/usr" or p.startswith("/usr/") for p in listed), listed)
        self.assertFalse([p for p in listed if Path(p).name.startswith("modules.")])
        release = run("unsquashfs", "-cat", self.tmp / "root", "usr/lib/extension-release.d/extension-release.v4l2loopback")
        self.assertIn(b"ID=flatcar\nVERSION_ID=", release.stdout)
        self.assertNotIn(b"SYSEXT_LEVEL", release.stdout)

    def test_sfdisk_reads_the_partition_table_and_finds_nothing_wrong(self):
        table = json.loads(run("sfdisk", "--json", self.image).stdout)["partitiontable"]
        self.assertEqual(table["label"], "gpt")
        self.assertEqual([p["type"].lower() for p in table["partitions"]],
                         ["4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
                          "41092b05-9fc8-4523-994f-2def0408b176"])
        uuids = "".join(p["uuid"].replace("-", "").lower() for p in table["partitions"][:2])
        self.assertEqual(uuids, self.shown["rootHash"])
        self.assertIn(b"No errors detected", run("sfdisk", "--verify", self.image).stdout)

    def test_systemd_dissect_sees_a_signed_root(self):
        shown = json.loads(run("systemd-dissect", "--json=short", self.image).stdout)
        root = next(m for m in shown["mounts"] if m["designator"] == "root")
        self.assertEqual((root["verity"], root["fstype"], root["architecture"]), ("signed", "squashfs", "x86-64"))

    def test_the_kernel_mounts_the_file_system_and_reads_every_file(self):
        # In a mount namespace of its own: nothing stays mounted, whatever happens.
        script = (f'set -e; mkdir -p {self.tmp}/mnt; mount -o loop,ro -t squashfs {self.tmp}/root {self.tmp}/mnt; '
                  f'find {self.tmp}/mnt -type f -exec sha256sum {{}} +')
        sums = run("unshare", "--mount", "sh", "-c", script).stdout.decode()
        module = self.shown["modules"][0]
        self.assertIn(f"{module['sha256']}  {self.tmp}/mnt/{module['path']}", sums)


class ImageCommands(unittest.TestCase):
    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        self.addCleanup(shutil.rmtree, self.tmp)
        self.modules = next(ARTIFACTS.glob("modules-*"))
        self.manifest = self.tmp / "manifest.json"
        self.manifest.write_text(json.dumps({"driver": "v4l2loopback", "version": "0.15.0", "license": "GPL-2.0-or-later",
                                             "os": {"id": "flatcar", "versionId": "4459.1.0"}}))
        self.key = ["--key", ARTIFACTS / "publisher.key", "--certificate", ARTIFACTS / "publisher.crt"]

    def build(self, output: Path, *options, **more) -> subprocess.CompletedProcess:
        return run(DRIVEREXT, "image", "build", "--modules", self.modules, "--manifest", self.manifest, *options, output, **more)

    def test_an_image_signed_afterwards_verifies_like_one_signed_when_built(self):
        self.build(self.tmp / "unsigned.raw")
        self.assertEqual(run(DRIVEREXT, "image", "verify", "--trust", ARTIFACTS / "publisher.crt", self.tmp / "unsigned.raw",
                             check=False).returncode, 65)
        run(DRIVEREXT, "image", "sign", *self.key, self.tmp / "unsigned.raw")
        shown = json.loads(run(DRIVEREXT, "image", "verify", "--json=short", "--trust", ARTIFACTS / "publisher.crt",
                               self.tmp / "unsigned.raw").stdout)
        self.assertTrue(shown["verified"])
        self.assertEqual(shown["signer"], "CN=driverext test publisher,O=Example")

    def test_two_builds_from_different_places_are_the_same_bytes(self):
        elsewhere = self.tmp / "a" / "deeper" / "place"
        elsewhere.mkdir(parents=True)
        shutil.copytree(self.modules, elsewhere / "modules")
        epoch = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
        self.build(self.tmp / "one.raw", env=epoch)
        run(DRIVEREXT, "image", "build", "--modules", elsewhere / "modules", "--manifest", self.manifest, elsewhere / "two.raw",
            env=epoch | {"TZ": "Asia/Tokyo", "LC_ALL": "C"}, cwd=elsewhere, umask=0o077)
        self.assertEqual((self.tmp / "one.raw").read_bytes(), (elsewhere / "two.raw").read_bytes())

    def test_another_day_user_and_number_of_processors_make_the_same_bytes(self):
        # Enough to keep several compressors busy, in blocks and fragments.
        libraries = self.tmp / "tree" / "usr" / "lib" / "drivers"
        libraries.mkdir(parents=True)
        for library in sorted(Path("/usr/lib/x86_64-linux-gnu").glob("*.so.*")):
            if library.is_file() and not library.is_symlink() and library.stat().st_size < 1_000_000:
                shutil.copy2(library, libraries)
        self.assertGreater(len(list(libraries.iterdir())), 20)
        theirs = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        self.addCleanup(shutil.rmtree, theirs)
        shutil.copy(DRIVEREXT, theirs / "driverext")
        shutil.copytree(self.tmp / "tree", theirs / "tree")
        nobody = 65534
        for path in (theirs, *theirs.rglob("*")):
            os.chown(path, nobody, nobody)
        command = ["image", "build", "--kind=userland", "--driver=libraries", "--driver-version=1", "--license=GPL", "--level=3"]
        run(DRIVEREXT, *command, "--tree", self.tmp / "tree", self.tmp / "one.raw")
        run("faketime", "2031-05-05 03:00:00", "taskset", "--cpu-list", min(os.sched_getaffinity(0)), theirs / "driverext",
            *command, "--tree", theirs / "tree", theirs / "two.raw", user=nobody, group=nobody, extra_groups=[], cwd=theirs)
        self.assertEqual((theirs / "two.raw").stat().st_uid, nobody)
        self.assertEqual((self.tmp / "one.raw").read_bytes(), (theirs / "two.raw").read_bytes())

    def test_a_failed_build_leaves_nothing_behind(self):
        bad = self.tmp / "bad.json"
        bad.write_text('{"driver": "../x", "version": "1", "os": {"id": "flatcar", "versionId": "1"}}')
        done = run(DRIVEREXT, "image", "build", "--modules", self.modules, "--manifest", bad, self.tmp / "x.raw", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"../x", done.stderr)
        self.assertEqual(sorted(p.name for p in self.tmp.iterdir()), ["bad.json", "manifest.json"])
        done = self.build(self.tmp / "x.raw", check=False, env=os.environ | {"PATH": "/nowhere"})
        self.assertIn(b"mksquashfs", done.stderr)
        self.assertEqual(sorted(p.name for p in self.tmp.iterdir()), ["bad.json", "manifest.json"])

    def test_modules_for_two_kernels_do_not_go_into_one_image(self):
        mixed = self.tmp / "mixed"
        mixed.mkdir()
        folders = sorted(ARTIFACTS.glob("modules-*"))
        self.assertGreater(len(folders), 1)
        for i, folder in enumerate(folders):
            shutil.copy(folder / "v4l2loopback.ko", mixed / f"{i}.ko")
        done = run(DRIVEREXT, "image", "build", "--modules", mixed, "--manifest", self.manifest, self.tmp / "x.raw", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"for one kernel", done.stderr)

    def test_each_damaged_image_is_untrusted(self):
        for name, reason in (("flipped-bit-in-module-data", b"data-corrupt"), ("flipped-bit-in-hash-tree", b"hash-tree-corrupt"),
                             ("flipped-bit-in-root-hash-signature", b"signature-invalid"),
                             ("flipped-bit-in-manifest", b"signature-invalid"), ("signed-by-stranger", b"untrusted-signer")):
            with self.subTest(name):
                done = run(DRIVEREXT, "image", "verify", "--trust", ARTIFACTS / "publisher.crt", ARTIFACTS / f"{name}.raw",
                           check=False)
                self.assertEqual(done.returncode, 65)
                self.assertIn(reason, done.stderr)

    def test_a_damaged_image_is_not_signed(self):
        before = (ARTIFACTS / "flipped-bit-in-module-data.raw").read_bytes()
        (self.tmp / "bad.raw").write_bytes(before)
        self.assertEqual(run(DRIVEREXT, "image", "sign", *self.key, self.tmp / "bad.raw", check=False).returncode, 65)
        self.assertEqual((self.tmp / "bad.raw").read_bytes(), before)
        self.assertEqual(sorted(p.name for p in self.tmp.iterdir()), ["bad.raw", "manifest.json"])
