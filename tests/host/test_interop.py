"""Interop both ways: images made here under the stock tools, and what systemd-repart makes under ours.

What the kernel and systemd-sysext make of the same images is the scenario image-interop's.
"""
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
REPO = Path(__file__).resolve().parents[2]
DRIVEREXT = BUILD / "src" / "driverext"
PUBLISHER, STRANGER = ARTIFACTS / "publisher.crt", ARTIFACTS / "stranger.crt"


def run(*command, status: int | None = 0, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{[str(c) for c in command]}: status {done.returncode}: "
                             f"{(done.stdout + done.stderr).decode(errors='replace')}")
    return done


def inspect(image: Path) -> dict:
    return json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", image).stdout)


class Folder(unittest.TestCase):
    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        self.addCleanup(shutil.rmtree, self.tmp)


class MadeHere(Folder):
    """Each kind of image and each file system, as it lies in its file: nothing is taken out of it for the tools."""
    IMAGES = ("v4l2loopback.raw", "nvidia-1.raw", "v4l2loopback-erofs.raw")

    def each(self):
        return [(ARTIFACTS / name, inspect(ARTIFACTS / name)) for name in self.IMAGES]

    def loop(self, image: Path, part: dict) -> str:
        device = run("losetup", "--find", "--show", "--read-only", f"--offset={part['offset']}", f"--sizelimit={part['size']}",
                     image).stdout.decode().strip()
        self.addCleanup(run, "losetup", "--detach", device)
        return device

    def test_veritysetup_verifies_the_data_at_its_offset(self):
        for image, shown in self.each():
            parts = shown["partitions"]
            data = self.loop(image, parts["root"])
            command = ["veritysetup", "verify", data, image, f"--hash-offset={parts['root-verity']['offset']}"]
            run(*command, shown["rootHash"])
            other = f"{int(shown['rootHash'][0], 16) ^ 1:x}" + shown["rootHash"][1:]
            self.assertNotEqual(run(*command, other, status=None).returncode, 0)

    def test_openssl_verifies_both_signatures_for_the_publisher_and_for_nobody_else(self):
        for image, shown in self.each():
            part = shown["partitions"]["root-verity-sig"]
            text = image.read_bytes()[part["offset"]:part["offset"] + part["size"]].rstrip(b"\0")
            signature = json.loads(text)
            (self.tmp / "hash").write_text(shown["rootHash"])
            for member in ("signature", "driverext"):
                (self.tmp / member).write_bytes(base64.b64decode(signature[member]))
            # As the kernel's keyring, as systemd and as a chain would have it.
            root_hash = ["-inform", "DER", "-in", self.tmp / "signature", "-content", self.tmp / "hash", "-binary",
                         "-out", "/dev/null"]
            statement = ["-inform", "DER", "-in", self.tmp / "driverext", "-binary", "-out", self.tmp / "statement"]
            for signer, status in ((STRANGER, 4), (PUBLISHER, 0)):
                run("openssl", "smime", "-verify", *root_hash, "-nointern", "-noverify", "-certfile", signer, status=status)
                run("openssl", "cms", "-verify", *root_hash, "-CAfile", signer, "-purpose", "any", status=status)
                run("openssl", "cms", "-verify", *statement, "-CAfile", signer, "-purpose", "any", status=status)
            self.assertIn(shown["rootHash"].encode(), (self.tmp / "statement").read_bytes())
            fingerprint = run("openssl", "x509", "-in", PUBLISHER, "-noout", "-fingerprint", "-sha256").stdout.decode()
            self.assertEqual(signature["certificateFingerprint"], fingerprint.strip().split("=")[1].replace(":", "").lower())

    def test_unsquashfs_lists_and_reads_it_at_its_offset(self):
        for image, shown in self.each():
            if image.name.endswith("-erofs.raw"):
                continue
            offset = shown["partitions"]["root"]["offset"]
            lines = run("unsquashfs", "-ll", "-offset", offset, image).stdout.decode().splitlines()
            files = {line.split()[-1].removeprefix("squashfs-root/"): line.split() for line in lines if line[:1] == "-"}
            for module in shown["modules"]:
                owner, size = files[module["path"]][1:3]
                self.assertEqual((owner, int(size)), ("root/root", module["size"]))
                data = run("unsquashfs", "-cat", "-offset", offset, image, module["path"]).stdout
                self.assertEqual(run("sha256sum", input=data).stdout.split()[0].decode(), module["sha256"])

    def test_fsck_erofs_finds_nothing_wrong_and_takes_out_what_the_manifest_names(self):
        image = ARTIFACTS / "v4l2loopback-erofs.raw"
        shown = inspect(image)
        root = shown["partitions"]["root"]
        (self.tmp / "root").write_bytes(image.read_bytes()[root["offset"]:root["offset"] + root["size"]])
        run("fsck.erofs", f"--extract={self.tmp / 'tree'}", self.tmp / "root")
        for module in shown["modules"]:
            self.assertEqual(run("sha256sum", self.tmp / "tree" / module["path"]).stdout.split()[0].decode(), module["sha256"])

    def test_sfdisk_finds_nothing_wrong_and_all_partitions_read_only(self):
        for image, _ in self.each():
            self.assertIn(b"No errors detected", run("sfdisk", "--verify", image).stdout)
            for partition in json.loads(run("sfdisk", "--json", image).stdout)["partitiontable"]["partitions"]:
                self.assertEqual(partition["attrs"], "GUID:60")

    def test_systemd_dissect_takes_it_for_signed(self):
        for image, shown in self.each():
            mounts = json.loads(run("systemd-dissect", "--json=short", image).stdout)["mounts"]
            self.assertEqual([(m["designator"], m["verity"]) for m in mounts],
                             [("root", "signed"), ("root-verity", None), ("root-verity-sig", None)])


class LetThrough(unittest.TestCase):
    """What systemd mounts or merges all the same (docs/interop.md). The signer is trusted wherever that is not the defect."""

    def refused(self, name: str, reason: str, words: str, *anchors: Path) -> None:
        trust = [option for anchor in (PUBLISHER, *anchors) for option in ("--trust", anchor)]
        done = run(DRIVEREXT, "image", "verify", *trust, ARTIFACTS / "interop" / f"{name}.raw", status=65)
        self.assertIn(reason, done.stderr.decode())
        self.assertIn(words, done.stderr.decode())

    def test_a_removed_signature_partition(self):
        self.refused("signature-partition-removed", "image-malformed", "root-verity-sig")

    def test_partitions_of_type_usr_whoever_signed_them(self):
        self.refused("usr-type", "image-malformed", "root partition")
        self.refused("usr-type-by-stranger", "image-malformed", "root partition")

    def test_a_generic_partition_instead_of_root(self):
        self.refused("generic-type", "image-malformed", "root-verity")

    def test_an_expired_certificate_even_if_it_is_a_trust_anchor(self):
        self.refused("signed-by-expired", "untrusted-signer", "expired", ARTIFACTS / "interop" / "expired.crt")

    def test_a_certificate_for_another_purpose_even_if_it_is_a_trust_anchor(self):
        self.refused("signed-by-for-servers", "untrusted-signer", "code signing", ARTIFACTS / "interop" / "for-servers.crt")

    def test_a_late_block_that_mounting_would_not_read(self):
        self.refused("flipped-bit-in-late-block", "data-corrupt", "data block")


class MadeByRepart(Folder):
    """A signed image of systemd-repart's making: it has no manifest."""

    def setUp(self):
        super().setUp()
        release = self.tmp / "tree/usr/lib/extension-release.d/extension-release.made-by-repart"
        release.parent.mkdir(parents=True)
        release.write_text("ID=_any\n")
        (self.tmp / "tree/usr/lib/made-by-repart").write_bytes(bytes(range(256)) * 4000)
        definitions = self.tmp / "definitions"
        definitions.mkdir()
        for number, (kind, verity, more) in enumerate((
                ("root", "data", "Format=squashfs\nCopyFiles=/usr\nMinimize=best\n"),
                # systemd 252 does not find out by itself how large the tree becomes.
                ("root-verity", "hash", "SizeMinBytes=4M\nSizeMaxBytes=4M\n"),
                ("root-verity-sig", "signature", ""))):
            (definitions / f"{number}.conf").write_text(f"[Partition]\nType={kind}\nVerity={verity}\nVerityMatchKey=root\n{more}")
        self.image = self.tmp / "made-by-repart.raw"
        made = run("systemd-repart", "--empty=create", "--size=auto", "--dry-run=no", f"--definitions={definitions}",
                   f"--root={self.tmp / 'tree'}", f"--private-key={ARTIFACTS / 'publisher.key'}", f"--certificate={PUBLISHER}",
                   "--json=short", self.image).stdout
        self.root_hash = next(p["roothash"] for p in json.loads(made) if p["type"] == "root-x86-64-verity")

    def test_it_is_inspected_and_said_to_have_no_manifest(self):
        self.assertEqual(inspect(self.image)["rootHash"], self.root_hash)
        self.assertRegex(run(DRIVEREXT, "image", "inspect", self.image).stdout.decode(), "Manifest: none.*manifest-missing")

    def verified(self, trust: Path, status: int = 0) -> subprocess.CompletedProcess:
        return run(DRIVEREXT, "image", "verify", "--without-manifest", "--trust", trust, self.image, status=status)

    def test_unasked_it_is_not_accepted(self):
        done = run(DRIVEREXT, "image", "verify", "--trust", PUBLISHER, self.image, status=65)
        self.assertIn(b"manifest-missing: ", done.stderr)
        self.assertIn(b"--without-manifest", done.stderr)

    def test_it_is_verified_all_of_it_for_its_signer_alone(self):
        said = self.verified(PUBLISHER).stdout.decode()
        self.assertIn("CN=driverext test publisher", said)
        self.assertIn(b"untrusted-signer", self.verified(STRANGER, status=65).stderr)
        root = inspect(self.image)["partitions"]["root"]
        damaged = bytearray(self.image.read_bytes())
        damaged[root["offset"] + 4096 + 5] ^= 1
        self.image.write_bytes(damaged)
        self.assertIn(b"data-corrupt", self.verified(PUBLISHER, status=65).stderr)

    def test_provision_refuses_it_and_says_what_is_missing(self):
        root = self.tmp / "host"
        for name, text in (("proc/sys/kernel/osrelease", "6.1.0\n"), ("proc/sys/kernel/arch", "x86_64\n"),
                           ("etc/driverext/driverext.toml", '[driver]\nname = "v4l2loopback"\n'),
                           ("etc/driverext/trust/publisher.crt", PUBLISHER.read_text()),
                           ("usr/lib/driverext/drivers/v4l2loopback.toml", (REPO / "drivers/v4l2loopback.toml").read_text())):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        inbox = root / "var/lib/driverext/inbox"
        inbox.mkdir(parents=True)
        shutil.copy(self.image, inbox / "v4l2loopback.raw")
        run(BUILD / "src/provision", f"--root={root}", status=65)
        note = json.loads((root / "var/lib/driverext/quarantine/v4l2loopback.raw.reason.json").read_text())
        self.assertEqual(note["reason"], "manifest-missing")
        self.assertIn("manifest", note["message"])


if __name__ == "__main__":
    unittest.main()
