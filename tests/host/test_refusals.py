"""The refusal matrix through the program itself: every defect ends in exit code 65 and its reason code."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
DRIVEREXT = BUILD / "src" / "driverext"
UNTRUSTED = 65


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = Path(tempfile.mkdtemp(prefix="driverext-refusals-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        subprocess.run([BUILD / "tests" / "write-refusals", cls.tmp], check=True)
        cls.index = json.loads((cls.tmp / "index.json").read_text())

    def verify(self, name: str) -> subprocess.CompletedProcess:
        return subprocess.run([DRIVEREXT, "image", "verify", "--trust", self.tmp / f"{name}.crt", self.tmp / f"{name}.raw"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_the_image_without_a_defect_is_trusted(self):
        done = self.verify("good")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_there_are_at_least_sixty_defects(self):
        self.assertGreaterEqual(len(self.index), 60)

    def test_each_defect_is_refused_with_its_reason(self):
        for row in self.index:
            # A signed image without a manifest is refused by provision; here it is looked at, and said to be one.
            if row["reason"] == "manifest-missing":
                continue
            with self.subTest(row["name"]):
                done = self.verify(row["name"])
                self.assertEqual(done.returncode, UNTRUSTED, done.stdout + done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr.splitlines()[-1].startswith(row["reason"] + ": "), done.stderr)
                self.assertIn(row["says"], done.stderr)

    def test_an_image_without_manifest_is_said_to_be_one(self):
        done = self.verify("should-fail-statement-stripped")
        self.assertEqual(done.returncode, 0)
        self.assertIn("manifest-missing", done.stdout)
