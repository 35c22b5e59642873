"""The refusal matrix through the program itself: every defect ends in its reason code, and in the exit code of that."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
DRIVEREXT = BUILD / "src" / "driverext"
UNTRUSTED, BAD_CONFIGURATION = 65, 78


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = Path(tempfile.mkdtemp(prefix="driverext-refusals-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        subprocess.run([BUILD / "tests" / "write-refusals", cls.tmp], check=True)
        cls.index = json.loads((cls.tmp / "index.json").read_text())

    def verify(self, name: str, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run([DRIVEREXT, "image", "verify", "--trust", self.tmp / f"{name}.trust", *options,
                               self.tmp / f"{name}.raw"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_the_image_without_a_defect_is_trusted(self):
        done = self.verify("good")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_there_are_at_least_sixty_defects(self):
        self.assertGreaterEqual(len(self.index), 60)

    def test_each_defect_is_refused_with_its_reason(self):
        for row in self.index:
            with self.subTest(row["name"]):
                done = self.verify(row["name"])
                expected = BAD_CONFIGURATION if row["stage"] == "trust files" else UNTRUSTED
                self.assertEqual((done.returncode, row["exitCode"]), (expected, expected), done.stdout + done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr.splitlines()[-1].startswith(row["reason"] + ": "), done.stderr)
                self.assertIn(row["says"], done.stderr)

    def test_an_image_without_manifest_is_accepted_only_by_who_asks_for_it(self):
        done = self.verify("should-fail-statement-stripped")
        self.assertEqual(done.returncode, UNTRUSTED)
        self.assertIn("--without-manifest", done.stderr)
        done = self.verify("should-fail-statement-stripped", "--without-manifest")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("manifest-missing", done.stdout)

    def test_cutting_off_the_manifest_turns_no_refusal_of_the_policy_into_a_yes(self):
        stripped = self.tmp / "should-fail-statement-stripped.raw"
        for name in ("should-fail-version-below-the-minimum", "should-fail-anchor-that-may-not-sign-this-driver",
                     "should-fail-root-hash-revoked"):
            for options in ([], ["--without-manifest"]):
                with self.subTest(name, options=options):
                    done = subprocess.run([DRIVEREXT, "image", "verify", "--trust", self.tmp / f"{name}.trust", *options,
                                           stripped], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                    self.assertEqual((done.returncode, done.stdout), (UNTRUSTED, ""), done.stderr)

    def test_of_several_policies_the_refusals_of_all_hold(self):
        policies = []
        for name in ("should-fail-root-hash-revoked", "should-fail-version-below-the-minimum"):
            policies += ["--trust", self.tmp / f"{name}.trust" / "policy.toml"]
        empty = self.tmp / "empty.toml"
        empty.write_text("")
        for order in (policies, policies[2:] + policies[:2]):
            done = self.verify("good", *order, "--trust", empty)
            self.assertEqual(done.returncode, UNTRUSTED)
            self.assertIn("image-revoked: ", done.stderr)
        done = self.verify("good", *policies[2:], "--trust", empty)
        self.assertIn("version-too-old: ", done.stderr)
