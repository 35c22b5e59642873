"""The boot service's edge on a host that it must not touch: what it tells systemd, its exit code, its status file.

The image served is damaged in its hash tree, so that it ends before any side effect on the kernel.
"""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
ARTIFACTS = Path(os.environ["DRIVEREXT_ARTIFACTS"])
REPO = Path(__file__).resolve().parents[2]


class Provision(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        self.addCleanup(shutil.rmtree, self.root)
        image = json.loads(subprocess.run([BUILD / "src/driverext", "image", "inspect", "--json=short",
                                           ARTIFACTS / "v4l2loopback.raw"], check=True, stdout=subprocess.PIPE).stdout)
        self.write("proc/sys/kernel/osrelease", image["kernelRelease"] + "\n")
        self.write("proc/sys/kernel/arch", "x86_64\n")
        self.write("etc/driverext/driverext.toml", '[driver]\nname = "v4l2loopback"\n')
        self.write("usr/lib/driverext/drivers/v4l2loopback.toml", (REPO / "drivers/v4l2loopback.toml").read_text())
        self.anchor = "etc/driverext/trust/publisher.crt"
        self.write(self.anchor, (ARTIFACTS / "publisher.crt").read_text())
        self.inbox = self.root / "var/lib/driverext/inbox"
        self.inbox.mkdir(parents=True)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def serve(self, artifact: str) -> None:
        shutil.copy(ARTIFACTS / f"{artifact}.raw", self.inbox / "v4l2loopback.raw")

    def provision(self) -> tuple[int, list[str]]:
        """Exit code, and what was told to systemd."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(self.root / "notify"))
            notify.settimeout(0)
            done = subprocess.run([BUILD / "src/provision", f"--root={self.root}"], stderr=subprocess.PIPE, text=True,
                                  env=os.environ | {"NOTIFY_SOCKET": str(self.root / "notify")})
            told = []
            try:
                while True:
                    told.append(notify.recv(65536).decode())
            except BlockingIOError:
                pass
        (self.root / "notify").unlink()
        return done.returncode, told

    def status(self) -> dict:
        return json.loads((self.root / "run/driverext/status.json").read_text())

    def test_each_step_is_told_to_systemd_and_a_failure_is_never_ready(self):
        self.serve("flipped-bit-in-hash-tree")
        code, told = self.provision()
        self.assertTrue(any(t.startswith("STATUS=import: ") for t in told), told)
        self.assertTrue(any(t.startswith("STATUS=verify: ") for t in told), told)
        self.assertFalse([t for t in told if "READY=1" in t])
        # On a host without device-mapper the step before it finds that missing.
        expected = {"hash-tree-corrupt": 65, "kernel-feature-missing": 1}
        self.assertIn(self.status()["reason"], expected)
        self.assertEqual(code, expected[self.status()["reason"]])
        self.assertIn(f"({self.status()['reason']}): ", told[-1])
        self.assertNotIn("\n", told[-1])

    def test_following_the_advice_mends_what_was_refused(self):
        self.serve("for-another-kernel")
        (self.root / self.anchor).unlink()
        self.assertEqual(self.provision()[0], 65)
        self.assertEqual(self.status()["reason"], "no-trust-anchor")
        self.write(self.anchor, (ARTIFACTS / "stranger.crt").read_text())
        self.assertEqual(self.provision()[0], 65)
        self.assertEqual(self.status()["reason"], "untrusted-signer")
        self.write(self.anchor, (ARTIFACTS / "publisher.crt").read_text())
        self.assertEqual(self.provision()[0], 69)
        self.assertEqual(self.status()["reason"], "no-image-for-kernel")
        self.assertEqual(self.status()["rejected"], [])
        self.assertEqual(list((self.root / "var/lib/driverext/quarantine").iterdir()), [])

    def test_a_file_that_cannot_be_moved_does_not_end_the_provision(self):
        self.serve("flipped-bit-in-manifest")
        self.write("var/lib/driverext/quarantine", "not a directory")
        self.assertEqual(self.provision()[0], 65)
        self.assertEqual(self.status()["reason"], "signature-invalid")
        self.assertIn("; but ", self.status()["steps"][0]["message"])
        self.assertTrue((self.inbox / "v4l2loopback.raw").exists())

    def test_a_second_provision_at_the_same_time_is_told_to_try_later(self):
        import fcntl
        folder = self.root / "run/driverext/lock"
        folder.mkdir(parents=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        self.assertEqual(self.provision()[0], 75)

    def test_a_name_that_would_move_the_cursor_is_shown_escaped(self):
        shutil.copy(ARTIFACTS / "signed-by-stranger.raw", self.inbox / "a\x1b[2J\nprovisioned\xff.raw")
        self.assertEqual(self.provision()[0], 65)
        shown = subprocess.run([BUILD / "src/driverext", "status", f"--root={self.root}"], stdout=subprocess.PIPE).stdout
        self.assertNotIn(b"\x1b", shown)
        self.assertNotIn(b"\nprovisioned", shown)
