"""image mount and umount on the build machine's own kernel, through dm-verity or without it."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
ARTIFACTS = Path(os.environ["DRIVEREXT_ARTIFACTS"])
DRIVEREXT = BUILD / "src" / "driverext"


def attached() -> str:
    """Loop devices and device-mapper devices that are in use."""
    loops = sorted(p.read_text().strip() for p in Path("/sys/block").glob("loop*/loop/backing_file"))
    return "\n".join(loops + sorted(p.read_text().strip() for p in Path("/sys/block").glob("dm-*/dm/name")))


@unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
class ImageMount(unittest.TestCase):
    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="driverext-test-"))
        self.addCleanup(shutil.rmtree, self.tmp)
        self.target = self.tmp / "mnt"
        self.target.mkdir()
        self.image = self.tmp / "image.raw"
        shutil.copy(ARTIFACTS / "v4l2loopback.raw", self.image)
        self.before = attached()

    def driverext(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([str(a) for a in (DRIVEREXT, "image", *arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)

    def mount(self, trust: str = "publisher", *options) -> subprocess.CompletedProcess:
        return self.driverext("mount", "--trust", ARTIFACTS / f"{trust}.crt", *options, self.image, self.target)

    def assert_nothing_left(self):
        self.assertFalse(os.path.ismount(self.target))
        self.assertEqual(attached(), self.before)

    def test_the_files_are_there_read_only_and_all_goes_away(self):
        done = self.mount()
        if done.returncode == 0:
            self.assertEqual(self.driverext("umount", self.target).returncode, 0)
            self.look_and_take_away()
        else:  # a kernel without dm-verity
            self.assertIn("--without-verity", done.stderr)
            self.assertIn("kernel-feature-missing", done.stderr)
            self.assert_nothing_left()

    def test_without_verity_too(self):
        self.look_and_take_away("--without-verity")

    def look_and_take_away(self, *options):
        done = self.mount("publisher", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        try:
            self.assertTrue((self.target / "usr/lib/driverext/manifest.json").is_file())
            with self.assertRaises(OSError):
                (self.target / "usr/x").write_text("x")
            self.assertEqual("driverext-mount-" in attached(), not options)
            self.assertEqual(self.mount("publisher", *options).returncode, 1)  # there already
        finally:
            done = self.driverext("umount", self.target)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_nothing_left()

    def test_what_is_not_trusted_is_not_mounted(self):
        self.assertEqual(self.mount("stranger").returncode, 65)
        self.assert_nothing_left()
        data = bytearray(self.image.read_bytes())
        data[(1 << 20) + 4096] ^= 1
        self.image.write_bytes(data)
        # dm-verity would tell when the block is read.
        self.assertEqual(self.mount("publisher", "--without-verity").returncode, 65)
        self.assert_nothing_left()
        self.image.write_bytes((ARTIFACTS / "v4l2loopback.raw").read_bytes())
        self.image.chmod(0o666)
        done = self.mount()
        self.assertEqual((done.returncode, "unsafe-file" in done.stderr), (65, True))
        self.assert_nothing_left()

    def test_only_its_own_mounts_are_taken_away(self):
        self.assertEqual(self.driverext("umount", self.target).returncode, 1)
        done = self.driverext("umount", "/proc")
        self.assertEqual((done.returncode, os.path.ismount("/proc")), (1, True))
        self.assertIn("was not mounted by driverext", done.stderr)

    def test_a_loop_mount_of_somebody_else_is_left_alone(self):
        plain = self.tmp / "plain.squashfs"
        subprocess.run(["mksquashfs", ARTIFACTS / "publisher.crt", plain, "-quiet", "-no-progress"], check=True)
        subprocess.run(["mount", "-o", "loop,ro", plain, self.target], check=True)
        try:
            done = self.driverext("umount", self.target)
            self.assertEqual((done.returncode, os.path.ismount(self.target)), (1, True))
            self.assertIn("was not mounted by driverext", done.stderr)
        finally:
            subprocess.run(["umount", self.target], check=True)
        self.assert_nothing_left()

    def test_whoever_is_not_root_is_told_so(self):
        shutil.copy(DRIVEREXT, self.tmp / "driverext")
        self.tmp.chmod(0o755)
        done = subprocess.run([self.tmp / "driverext", "image", "mount", self.image, self.target], user=65534, group=65534,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("Run it as root", done.stderr)
