"""What driverext doctor prints, and its exit codes."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ.get("DRIVEREXT_BUILD", Path(__file__).resolve().parents[2] / "build/dev"))
EXPECTED = Path(__file__).resolve().parent / "expected"


def doctor(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([BUILD / "src/driverext", "doctor", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)


def plant(root: str, files: dict) -> None:
    for name, text in files.items():
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# A host that is not a node of driverext yet.
HOST = {"proc/sys/kernel/osrelease": "6.12.0\n", "proc/sys/kernel/arch": "x86_64\n", "proc/modules": "",
        "proc/cmdline": "quiet\n", "proc/sys/kernel/tainted": "0\n", "usr/lib/os-release": "ID=debian\nVERSION_ID=12\n",
        "usr/lib/modules/6.12.0/kernel/x.ko": "", "usr/lib/modules/6.12.0/modules.dep": "kernel/x.ko:\n"}


class Doctor(unittest.TestCase):
    maxDiff = None

    def assert_golden(self, name: str, text: str) -> None:
        """Set DRIVEREXT_UPDATE_GOLDEN=1 to write what is printed now, and read the diff."""
        path = EXPECTED / name
        if os.environ.get("DRIVEREXT_UPDATE_GOLDEN"):
            path.write_text(text)
        self.assertEqual(text, path.read_text())

    def test_help_is_as_expected(self):
        done = doctor("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_golden("help-doctor.txt", done.stdout)

    def test_wrong_usage_exits_with_2(self):
        for arguments in (["--json=xml"], ["--frobnicate"], ["everything"]):
            with self.subTest(arguments):
                self.assertEqual(doctor(*arguments).returncode, 2)

    def test_a_problem_is_told_with_why_and_what_to_do(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, HOST | {"var/lib/extensions/empty.raw": ""})
            done = doctor(f"--root={root}")
            self.assertEqual(done.returncode, 1)
            self.assertIn("✗ configuration ", done.stdout)
            self.assertIn("✗ extension-files          /var/lib/extensions/empty.raw is empty\n"
                          "    Why it matters: One file that is no image", done.stdout)
            self.assertNotIn("✓", done.stdout)
            self.assertIn("✓ kernel-oops ", doctor("--all", f"--root={root}").stdout)

    def test_json_has_every_check(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, HOST)
            done = doctor("--json=short", f"--root={root}")
            self.assertEqual(done.returncode, 1)
            told = json.loads(done.stdout)
            self.assertEqual(told["format"], 1)
            self.assertGreaterEqual(len(told["checks"]), 50)
            self.assertEqual(told["problems"], sum(check["verdict"] == "problem" for check in told["checks"]))
            for check in told["checks"]:
                self.assertEqual(sorted(check), ["name", "saw", "verdict", "whatToDo", "why"])

    def test_nothing_is_changed(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, HOST)
            before = sorted((str(path), path.lstat().st_mtime_ns) for path in Path(root).rglob("*"))
            doctor(f"--root={root}")
            self.assertEqual(before, sorted((str(path), path.lstat().st_mtime_ns) for path in Path(root).rglob("*")))


if __name__ == "__main__":
    unittest.main()
