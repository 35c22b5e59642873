"""Images that systemd-repart made, with Verity=signature and no manifest: shown and checked here, never provisioned."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
DRIVEREXT = BUILD / "src" / "driverext"
PROVISION = BUILD / "src" / "provision"


def run(*command, check=True, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}: {done.stderr}")
    return done


@unittest.skipUnless(shutil.which("systemd-repart"), "there is no systemd-repart on this machine")
class RepartImage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = Path(tempfile.mkdtemp(prefix="driverext-repart-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        for name in ("publisher", "stranger"):
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", cls.tmp / f"{name}.key", "-out", cls.tmp / f"{name}.crt")
        tree = cls.tmp / "tree" / "usr" / "lib"
        tree.mkdir(parents=True)
        (tree / "data").write_bytes(os.urandom(3_000_000))
        run("mksquashfs", cls.tmp / "tree", cls.tmp / "root", "-quiet", "-noappend")
        definitions = cls.tmp / "repart.d"
        definitions.mkdir()
        for number, kind, more in ((1, "root", f"Verity=data\nCopyBlocks={cls.tmp}/root"),
                                   (2, "root-verity", "Verity=hash\nSizeMinBytes=4M"),
                                   (3, "root-verity-sig", "Verity=signature")):
            (definitions / f"{number}.conf").write_text(f"[Partition]\nType={kind}\nVerityMatchKey=root\n{more}\n")
        cls.image = cls.tmp / "image.raw"
        run("systemd-repart", "--empty=create", "--size=auto", "--dry-run=no", f"--definitions={definitions}",
            f"--private-key={cls.tmp}/publisher.key", f"--certificate={cls.tmp}/publisher.crt", cls.image)

    def verify(self, image: Path, trust: str = "publisher", check=True, *options) -> subprocess.CompletedProcess:
        return run(DRIVEREXT, "image", "verify", "--without-manifest", "--trust", self.tmp / f"{trust}.crt", *options, image,
                   check=check)

    def damaged(self, partition: str, offset: int) -> Path:
        shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", self.image).stdout)
        data = bytearray(self.image.read_bytes())
        data[shown["partitions"][partition]["offset"] + offset] ^= 1
        (self.tmp / "damaged.raw").write_bytes(data)
        return self.tmp / "damaged.raw"

    def test_it_is_shown_and_said_to_have_no_manifest(self):
        shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", self.image).stdout)
        self.assertFalse(shown["hasManifest"])
        self.assertEqual([c["subject"] for c in shown["certificates"]], ["CN=publisher"])
        dump = run("sfdisk", "--json", self.image).stdout
        uuids = [p["uuid"].lower() for p in json.loads(dump)["partitiontable"]["partitions"]]
        self.assertEqual([shown["partitions"][name]["uuid"] for name in ("root", "root-verity", "root-verity-sig")], uuids)
        self.assertIn("manifest-missing", run(DRIVEREXT, "image", "inspect", self.image).stdout)

    def test_veritysetup_reads_the_same_parameters(self):
        shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", self.image).stdout)
        part = shown["partitions"]["root-verity"]
        (self.tmp / "hash").write_bytes(self.image.read_bytes()[part["offset"]:part["offset"] + part["size"]])
        fields = dict(line.split(":", 1) for line in run("veritysetup", "dump", self.tmp / "hash").stdout.splitlines()
                      if ":" in line)
        self.assertEqual(fields["Salt"].strip(), shown["verity"]["salt"])
        self.assertEqual(int(fields["Data blocks"]), shown["verity"]["dataBlocks"])
        self.assertEqual(fields["Data block size"].split()[0], str(shown["verity"]["dataBlockSize"]))
        self.assertEqual(fields["Hash block size"].split()[0], str(shown["verity"]["hashBlockSize"]))

    def test_signature_tree_and_data_are_verified(self):
        self.assertIn("trusted, by CN=publisher", self.verify(self.image).stdout)
        self.assertTrue(json.loads(self.verify(self.image, "publisher", True, "--json=short").stdout)["verified"])

    def test_damage_and_strangers_are_found(self):
        for image, trust, reason in ((self.image, "stranger", "untrusted-signer"),
                                     (self.damaged("root", 1_000_000), "publisher", "data-corrupt")):
            done = self.verify(image, trust, check=False)
            self.assertEqual((done.returncode, reason in done.stderr), (65, True), done.stderr)
        done = self.verify(self.damaged("root-verity", 4096), check=False)
        self.assertEqual((done.returncode, "hash-tree-corrupt" in done.stderr), (65, True), done.stderr)
        done = self.verify(self.damaged("root-verity", 4_000_000), check=False)
        self.assertEqual((done.returncode, "behind the hash tree" in done.stderr), (65, True), done.stderr)

    def test_it_is_neither_signed_nor_mounted_nor_provisioned(self):
        for command in (["image", "mount", "--trust", self.tmp / "publisher.crt", self.image, self.tmp / "tree"],
                        ["image", "sign", "--key", self.tmp / "publisher.key", "--certificate", self.tmp / "publisher.crt",
                         f"--output={self.tmp}/signed.raw", self.image]):
            done = run(DRIVEREXT, *command, check=False)
            self.assertEqual((done.returncode, "manifest-missing" in done.stderr), (65, True), done.stderr)
