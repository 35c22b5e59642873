"""What the commands print: help that names every verb and option, errors that say what to do."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ.get("DRIVEREXT_BUILD", Path(__file__).resolve().parents[2] / "build/dev"))
EXPECTED = Path(__file__).resolve().parent / "expected"


def driverext(*arguments: str, program: str = "driverext") -> subprocess.CompletedProcess:
    return subprocess.run([BUILD / "src" / program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class CommandLine(unittest.TestCase):
    maxDiff = None

    def assert_golden(self, name: str, text: str) -> None:
        """Set DRIVEREXT_UPDATE_GOLDEN=1 to write what is printed now, and read the diff."""
        path = EXPECTED / name
        if os.environ.get("DRIVEREXT_UPDATE_GOLDEN"):
            EXPECTED.mkdir(exist_ok=True)
            path.write_text(text)
        self.assertEqual(text, path.read_text())

    def test_help_is_as_expected(self):
        for name, arguments in {"help": [], "help-status": ["status"], "help-image-build": ["image", "build"],
                                "help-image-sign": ["image", "sign"], "help-image-inspect": ["image", "inspect"],
                                "help-image-verify": ["image", "verify"], "help-provision": ["provision"]}.items():
            with self.subTest(name):
                done = driverext(*arguments, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assert_golden(f"{name}.txt", done.stdout)

    def test_no_verb_shows_the_help_and_is_a_usage_error(self):
        done = driverext()
        self.assertEqual(done.returncode, 2)
        self.assertIn("image build", done.stderr)

    def test_wrong_usage_exits_with_2_and_names_what_is_wrong(self):
        for arguments, words in ((["frobnicate"], "frobnicate"), (["image", "frobnicate"], "image"),
                                 (["image", "build", "x.raw"], "--modules and --manifest"),
                                 (["image", "sign", "x.raw"], "--key and --certificate"),
                                 (["image", "verify"], "exactly one image"), (["status", "--json=xml"], "pretty, short or off"),
                                 (["image", "build", "--level=99", "x"], "1 to 22")):
            with self.subTest(arguments):
                done = driverext(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(words, done.stderr)

    def test_status_before_any_provision_says_how_to_start_one(self):
        with tempfile.TemporaryDirectory() as root:
            done = driverext("status", f"--root={root}")
            self.assertEqual(done.returncode, 1)
            self.assertIn("systemctl start driverext", done.stderr)

    def test_status_is_as_expected(self):
        for outcome in ("provisioned", "untrusted"):
            with self.subTest(outcome), tempfile.TemporaryDirectory() as root:
                run = Path(root) / "run/driverext"
                run.mkdir(parents=True)
                (run / "status.json").write_text((EXPECTED.parent / "input" / f"status-{outcome}.json").read_text())
                done = driverext("status", f"--root={root}")
                self.assertEqual(done.returncode, 0 if outcome == "provisioned" else 65)
                self.assert_golden(f"status-{outcome}.txt", done.stdout)

    def test_provision_without_configuration_says_what_to_write(self):
        with tempfile.TemporaryDirectory() as root:
            sys_kernel = Path(root) / "proc/sys/kernel"
            sys_kernel.mkdir(parents=True)
            (sys_kernel / "osrelease").write_text("6.12.0\n")
            (sys_kernel / "arch").write_text("x86_64\n")
            done = driverext("provision", "--dry-run", f"--root={root}")
            self.assertEqual(done.returncode, 78)
            self.assertIn("[driver]", done.stderr)
