"""driverext explain as a command: for the host of a root directory, for a kernel that does not run, and for files that are
named. What it says of whole hosts with images is held against explain-*.txt by the unit tests."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
KERNEL = "6.12.0-test"
FILES = {
    "proc/sys/kernel/osrelease": f"{KERNEL}\n",
    "proc/sys/kernel/arch": "x86_64\n",
    "etc/os-release": "ID=flatcar\nVERSION_ID=1.0\n",
    "etc/driverext/driverext.toml": '[driver]\nname = "camera"\n',
    "etc/driverext/drivers/camera.toml": 'name = "camera"\n[[module]]\nname = "camera"\n',
}


class Explain(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name, text in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def explain(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([BUILD / "src/driverext", "explain", f"--root={self.root}", *map(str, arguments)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_without_an_image_it_says_so_and_changes_nothing(self):
        before = sorted(self.root.rglob("*"))
        done = self.explain()
        self.assertEqual(done.returncode, 69, done.stderr)
        for words in (f"{KERNEL} (x86-64)", "There is no image of this driver here.", "degraded (no-image)", "Advice:",
                      "closed: no channel is configured"):
            self.assertIn(words, done.stdout)
        self.assertEqual(sorted(self.root.rglob("*")), before)

    def test_json_has_the_same(self):
        for mode in ("pretty", "short"):
            explained = json.loads(self.explain(f"--json={mode}").stdout)
            self.assertEqual(explained["outcome"], "no-image")
            self.assertEqual(explained["candidates"], [])
            self.assertEqual([rung["rung"] for rung in explained["ladder"]], ["exact", "kabi", "previous", "fetch", "build"])

    def test_kernel_need_not_run(self):
        done = self.explain("--kernel=6.13.0-test")
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertIn("6.13.0-test (x86-64), not running", done.stdout)
        self.assertFalse(json.loads(self.explain("--kernel=6.13.0-test", "--json=short").stdout)["running"])
        self.assertEqual(self.explain("--kernel=../x").returncode, 1)

    def test_file_that_is_no_image_is_a_candidate_that_is_refused(self):
        trust = self.root / "etc/driverext/trust"
        trust.mkdir()
        subprocess.run([BUILD / "src/driverext", "image", "keygen", "--name=test", "--key", self.root / "key.pem",
                        "--certificate", trust / "test.crt"], check=True, stdout=subprocess.DEVNULL)
        garbage = self.root / "camera.raw"
        garbage.write_text("garbage")
        done = self.explain("--json=short", garbage)
        self.assertEqual(done.returncode, 65, done.stderr)
        candidate = json.loads(done.stdout)["candidates"][0]
        self.assertEqual((candidate["failed"], candidate["reason"], candidate["chosen"]), ("trusted", "image-malformed", False))
        self.assertTrue(candidate["image"].endswith("camera.raw"))

    def test_mistakes_are_told(self):
        for arguments, code in ((["--json=xml"], 2), (["--frobnicate"], 2), ([f"--trust={self.root}/gone", "x.raw"], 1)):
            with self.subTest(arguments):
                self.assertEqual(self.explain(*arguments).returncode, code)
        (self.root / "etc/driverext/driverext.toml").write_text("[driver]\n")
        self.assertEqual(self.explain().returncode, 78)


if __name__ == "__main__":
    unittest.main()
