"""One driver root takes the place of another on the build machine's own kernel, in a mount namespace of its own.

A reader looks without pause, here and in a namespace that mounts only propagate to (a container's): where the kernel can
put a tree beneath another one, it never finds the root missing or half there. Where it cannot, the gap is measured.
"""
import ctypes
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

TOOL = Path(os.environ["DRIVEREXT_BUILD"]) / "tests" / "driver-root-tool"
SWAPS = 50
PLACE = "run/vendor/driver"
CLONE_NEWNS = 0x20000
MS_SLAVE, MS_PRIVATE, MS_SHARED, MS_REC = 1 << 19, 1 << 18, 1 << 20, 1 << 14
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source: str, target, kind: str = "", flags: int = 0) -> None:
    check(libc.mount(source.encode(), str(target).encode(), kind.encode() or None, flags, None))


def new_namespace() -> None:
    check(libc.unshare(CLONE_NEWNS))


def forbid_beneath() -> None:
    """As a kernel before 6.5: move_mount(2) with MOVE_MOUNT_BENEATH gives EINVAL (a seccomp filter)."""
    def word(code, true, false, value):
        return struct.pack("HBBI", code, true, false, value)
    load, equal, some, give = 0x20, 0x15, 0x45, 0x06
    program = (word(load, 0, 0, 0) + word(equal, 0, 3, 429) + word(load, 0, 0, 16 + 8 * 4) + word(some, 0, 1, 0x200)
               + word(give, 0, 0, 0x00050000 | 22) + word(give, 0, 0, 0x7FFF0000))
    text = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    check(libc.prctl(38, 1, 0, 0, 0))
    check(libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, ctypes.addressof(text)))))


# Argument: the driver root. Ends when its standard input does, and says what it saw: looks, failures, gaps (median, longest).
READER = """
import os, select, sys, time
root, looks, failures, gaps, last, missing = sys.argv[1], 0, {}, [], time.monotonic(), False
files = ("usr/bin/tool", "usr/lib/driverext/manifest.json", "etc/ld.so.cache", "dev/null", "proc/version")
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(200):
        looks += 1
        try:
            with open(root + "/usr/bin/tool", "rb") as f:
                text = f.read()
            if not (text.startswith(b"version ") and text.endswith(b" whole")):
                raise OSError(0, "half a file")
            for name in files:
                os.stat(root + "/" + name)
            now = time.monotonic()
            if missing:
                gaps.append(now - last)
            missing, last = False, now
        except OSError as error:
            missing = True
            failures[str(error)] = failures.get(str(error), 0) + 1
gaps = sorted(gaps) or [0.0]
print(looks, sum(failures.values()), gaps[len(gaps) // 2], gaps[-1], failures)
"""


@unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
class DriverRoot(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="driverext-root-"))
        self.addCleanup(shutil.rmtree, self.root)
        # All that a test mounts is in a namespace of the process that runs it.
        self.home = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        new_namespace()
        self.addCleanup(self.leave)
        mount("", "/", flags=MS_REC | MS_PRIVATE)
        mount("run-of-the-test", self.root, "tmpfs")
        mount("", self.root, flags=MS_SHARED)  # as /run is
        for folder in ("dev", "proc", "sys", "run"):
            (self.root / folder).mkdir()
        for folder in ("dev", "proc", "sys"):
            mount(f"/{folder}", self.root / folder, flags=1 << 12)
        self.place = self.root / PLACE
        self.before = self.mounts()

    def leave(self):
        check(libc.setns(self.home, CLONE_NEWNS))
        os.close(self.home)

    def image(self, version: int) -> str:
        """A file system of its own, as a mounted image is."""
        name = f"images/{version}"
        top = self.root / name
        top.mkdir(parents=True)
        mount(f"image-{version}", top, "tmpfs")
        for file, text in {"usr/bin/tool": f"version {version} whole", "usr/lib/driverext/manifest.json": f"{version}"}.items():
            (top / file).parent.mkdir(parents=True, exist_ok=True)
            (top / file).write_text(text)
        return name

    def release(self, name: str) -> None:
        check(libc.umount2(str(self.root / name).encode(), 2))

    def tool(self, *arguments, prepare=None) -> str:
        done = subprocess.run([str(TOOL), str(self.root), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, preexec_fn=prepare)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def put(self, image: str, prepare=None) -> str:
        return self.tool(image, f"{image.rpartition('/')[2]:0>64}", PLACE, prepare=prepare)

    def mounts(self, pid="self") -> list[str]:
        """Where something is mounted below the test's root."""
        lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        return sorted(p for p in (line.split()[4] for line in lines) if p.startswith(str(self.root)))

    def at_place(self, pid="self") -> list[str]:
        return [p[len(str(self.place)):] for p in self.mounts(pid) if p.startswith(str(self.place))]

    def reader(self, prepare=None) -> subprocess.Popen:
        reader = subprocess.Popen([sys.executable, "-c", READER, str(self.place)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, preexec_fn=prepare)
        reader.stdout.readline()
        return reader

    @staticmethod
    def as_slave():
        new_namespace()
        mount("", "/", flags=MS_REC | MS_SLAVE)

    def swap_under_readers(self, prepare=None) -> tuple[set[str], list[tuple[int, int, float, float, str]]]:
        """How the roots came into place, and what each reader saw: looks, failures, gaps, which."""
        old = self.image(0)
        self.put(old)
        readers = [self.reader(), self.reader(self.as_slave)]
        ways = set()
        for version in range(1, SWAPS + 1):
            image = self.image(version)
            ways.add(self.put(image, prepare))
            self.assertEqual((self.place / "usr/bin/tool").read_text(), f"version {version} whole")
            self.release(old)
            old = image
        for reader in readers:
            self.assertEqual(self.at_place(reader.pid), ["", "/dev", "/proc", "/sys", "/usr"])
        self.assertEqual(self.at_place(), ["", "/dev", "/proc", "/sys", "/usr"])
        saw = []
        for reader in readers:
            looks, failures, median, longest, which = reader.communicate()[0].split(" ", 4)
            saw.append((int(looks), int(failures), float(median), float(longest), which.strip()))
        self.tool(PLACE)
        self.release(old)
        self.assertEqual(self.mounts(), self.before)
        return ways, saw

    def test_a_reader_never_finds_it_missing_through_fifty_swaps(self):
        ways, saw = self.swap_under_readers()
        if ways != {"beneath"}:
            self.skipTest(f"this kernel ({os.uname().release}) cannot put a mount beneath another one")
        for looks, failures, _, _, which in saw:
            self.assertGreater(looks, SWAPS)
            self.assertEqual(failures, 0, which)
        print(f"beneath: {saw[0][0]} looks here, {saw[1][0]} in a slave namespace, none failed", flush=True)

    def test_without_beneath_the_gap_is_short(self):
        ways, saw = self.swap_under_readers(forbid_beneath)
        self.assertEqual(ways, {"swapped"})
        for where, (looks, failures, median, longest, which) in zip(("here", "in a slave namespace"), saw):
            print(f"swapped {where}: {failures} of {looks} looks failed, gap {median * 1e3:.2f} ms "
                  f"(median), {longest * 1e3:.2f} ms (longest)", flush=True)
            self.assertLess(longest, 1.0, which)

    def test_open_files_stay_and_the_old_tree_goes_with_them(self):
        old = self.image(1)
        self.put(old)
        held = open(self.place / "usr/bin/tool", encoding="utf-8")
        self.addCleanup(held.close)
        inside = os.open(self.place, os.O_PATH)
        self.put(self.image(2))
        self.release(old)
        self.assertEqual(held.read(), "version 1 whole")
        self.assertEqual((self.place / "usr/bin/tool").read_text(), "version 2 whole")
        self.assertTrue(os.stat("etc/ld.so.cache", dir_fd=inside))
        os.close(inside)

    def test_taking_it_away_unmounts_nothing_of_the_hosts(self):
        self.put(self.image(1))
        # Mounted by the host later: seen in the root too.
        later = self.root / "dev" / "shm"
        mount("later", later, "tmpfs")
        self.assertTrue(os.path.ismount(self.place / "dev/shm"))
        self.put(self.image(2))
        self.tool(PLACE)
        self.assertTrue(os.path.ismount(later))
        self.assertEqual(self.at_place(), [])

    def test_what_a_crash_left_is_replaced(self):
        self.put(self.image(1))
        mount("driverext", self.place, "tmpfs")  # killed between the move and taking the old one away
        aside = self.root / "run/driverext/roots/x"
        aside.mkdir(parents=True)
        mount("driverext", aside, "tmpfs")
        self.put(self.image(2))
        self.assertEqual(self.at_place(), ["", "/dev", "/proc", "/sys", "/usr"])
        self.assertFalse(aside.exists())

    def test_a_foreign_mount_stays_and_is_named(self):
        self.place.mkdir(parents=True)
        mount("somebody", self.place, "tmpfs")
        image = self.image(1)
        done = subprocess.run([str(TOOL), str(self.root), image, "1" * 64, PLACE], stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, re.escape(f"something else is mounted at {self.place}: somebody (tmpfs)"))
        self.assertEqual(self.at_place(), [""])

    def test_programs_run_inside_with_the_roots_own_libraries(self):
        """The cache is made of what is in the root, by the names that programs ask for."""
        image = self.image(1)
        library = self.root / image / "usr/lib/x86_64-linux-gnu"
        library.mkdir(parents=True)
        real = next(Path("/usr/lib").glob("*-linux-gnu/libmount.so.1")).resolve()
        shutil.copy(real, library / "libmount.so.1.1.0")
        (library / "libmount.so.1").symlink_to("libmount.so.1.1.0")
        self.put(image)
        cached = subprocess.run(["ldconfig", "-p", "-C", str(self.place / "etc/ld.so.cache")], stdout=subprocess.PIPE,
                                text=True, check=True).stdout
        self.assertIn("libmount.so.1 ", cached)
        self.assertEqual(len(cached.splitlines()), 3, cached)  # a head, this one, and who made it


if __name__ == "__main__":
    unittest.main()
