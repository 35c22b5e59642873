"""Debian's own -dkms packages, unmodified, each made an image by one command; modinfo and unsquashfs judge."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from dkms import Dkms  # noqa: E402

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
DRIVEREXT = BUILD / "src" / "driverext"

# Package → how many modules. dahdi (32 modules, over a minute) and openafs (minutes) are in docs/dkms.md alone.
MODULES = {
    "acpi-call": 1, "adv-17v35x": 1, "apfs": 1, "bbswitch": 1, "ddcci": 2, "digimend": 4, "dm-writeboost": 1,
    "dpdk-kmods": 1, "evdi": 1, "falcosecurity-scap": 1, "gost-crypto": 6, "iptables-netflow": 1, "jool": 3,
    "langford": 1, "lime-forensics": 1, "nat-rtsp": 2, "openvpn-dco": 1, "rapiddisk": 2, "rtpengine-kernel": 1,
    "tp-smapi": 3, "v4l2loopback": 1, "vpoll": 1, "xtables-addons": 23, "xtrx": 1,
}
# Package → what the compiler, or make, says first. They do not fit Debian's newest kernel of that release.
FAILURES = {
    "librem-ec-acpi": b"librem_ec_acpi.c:276:24: error: ",
    "openrazer-driver": b"error: too few arguments to function 'hid_report_raw_event'",
    "west-chamber": b"No rule to make target",
}


# A driver that tells of where it was made: whatever is the machine's would make two builds differ.
STAMP = {
    "dkms.conf": "PACKAGE_NAME=stamp\nPACKAGE_VERSION=1\n",
    "Kbuild": "obj-m := stamp.o\nstamp-y := main.o part.o data.o\n"
              'ccflags-y := -DWHERE="\\"$(shell uname -n) $(shell pwd) $(abspath $(src)) $(shell date +%Z) $(shell id -un)\\""\n',
    "main.c": "#include <linux/module.h>\nMODULE_INFO(built, WHERE);\nMODULE_INFO(file, __FILE__);\n"
              "MODULE_LICENSE(\"GPL\");\nMODULE_DESCRIPTION(\"stamp\");\n",
    "part.c": "extern const char stamp_file[];\nconst char stamp_file[] = __FILE__;\n",
    "data.S": ".section .rodata\n.asciz __FILE__\n",
}


def run(*command, check=True, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


class DebianPackages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dkms = Dkms([f"{name}-dkms" for name in [*MODULES, *FAILURES]])

    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="driverext-dkms-"))
        self.addCleanup(shutil.rmtree, self.tmp)

    def command(self, name: str, output: Path, builder=None) -> list:
        return self.command_of(self.dkms.files[f"{name}-dkms"], output, builder)

    def command_of(self, source: Path, output: Path, builder=None) -> list:
        return [DRIVEREXT, "image", "build", f"--dkms={source}", f"--kernel={self.dkms.kernel_release}", f"--builder={builder or self.dkms.root}",
                "--level=1", output]

    def left(self) -> list[str]:
        return sorted(p.name for p in self.tmp.iterdir())

    # Out of an image, by the end of its path.
    def module(self, image: Path, path: str) -> Path:
        shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", image).stdout)
        path = next(m["path"] for m in shown["modules"] if m["path"].endswith(path))
        part = shown["partitions"]["root"]
        (self.tmp / "root").write_bytes(image.read_bytes()[part["offset"]:part["offset"] + part["size"]])
        file = self.tmp / Path(path).name
        file.write_bytes(run("unsquashfs", "-cat", self.tmp / "root", path).stdout)
        return file

    def becomes_an_image(self, name: str, modules: int) -> None:
        image = self.tmp / "x.raw"
        run(*self.command(name, image))
        self.assertEqual(self.left(), ["x.raw"])
        shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", image).stdout)
        self.assertEqual(len(shown["modules"]), modules)
        for module in shown["modules"]:
            file = self.module(image, module["path"])
            vermagic = run("modinfo", "--field=vermagic", file).stdout.decode().split()
            self.assertEqual(vermagic[0], self.dkms.kernel_release)

    def fails_saying(self, name: str, said: bytes) -> None:
        done = run(*self.command(name, self.tmp / "x.raw"), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(said, done.stderr)
        self.assertFalse((self.tmp / "x.raw").exists())

    # On a machine of another name, with one processor, zone, umask and environment of its own.
    def elsewhere(self, folder: Path, command: list) -> None:
        run("unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh", "taskset", "--cpu-list",
            min(os.sched_getaffinity(0)), *command, cwd=folder, umask=0o077,
            env=os.environ | {"TZ": "Asia/Tokyo", "MAKEFLAGS": "-j1", "KCFLAGS": "-O1", "USER": "somebody"})

    def test_two_builds_in_different_places_are_the_same_bytes(self):
        one, two = self.tmp / "one.raw", self.tmp / "deeper" / "two.raw"
        two.parent.mkdir()
        run(*self.command("gost-crypto", one))
        self.elsewhere(two.parent, self.command("gost-crypto", two))
        self.assertEqual(one.read_bytes(), two.read_bytes())

    def test_what_a_source_writes_of_its_machine_into_a_module_is_the_same_everywhere(self):
        for number, folder in enumerate((self.tmp / "a", self.tmp / "b" / "deeper")):
            source = folder / "source"
            source.mkdir(parents=True)
            for name, content in STAMP.items():
                (source / name).write_text(content)
                os.utime(source / name, (1_700_000_000 + 3600 * number, 1_700_000_000))
        one, two = self.tmp / "a/x.raw", self.tmp / "b/deeper/x.raw"
        run(*self.command_of(one.parent / "source", one))
        self.elsewhere(two.parent, self.command_of(two.parent / "source", two))
        self.assertEqual(one.read_bytes(), two.read_bytes())
        stamp = self.module(one, "/stamp.ko")
        built = run("modinfo", "--field=built", stamp).stdout.decode().split()
        self.assertEqual(built[0], "driverext")
        self.assertTrue(all(word.startswith(("/var/lib/dkms/stamp/1/", "/usr/")) for word in built[1:3]), built)
        self.assertNotIn(str(self.tmp).encode(), stamp.read_bytes())

    def test_a_dkms_conf_that_is_a_program_is_not_run_on_the_host(self):
        done = run(*self.command("digimend", self.tmp / "x.raw", builder="host"), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"never run on the host", done.stderr)

    def test_a_builder_without_the_kernels_headers_is_named(self):
        (self.tmp / "root/usr").mkdir(parents=True)
        done = run(*self.command("vpoll", self.tmp / "x.raw", builder=self.tmp / "root"), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"no headers of kernel", done.stderr)

    def test_an_interrupted_build_leaves_nothing(self):
        building = subprocess.Popen([str(c) for c in self.command("jool", self.tmp / "x.raw")], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
        container = f"--machine=driverext-{building.pid} "
        deadline = time.monotonic() + 60
        while container not in run("ps", "-eo", "args").stdout.decode() and time.monotonic() < deadline:
            self.assertIsNone(building.poll())
            time.sleep(0.1)
        time.sleep(2)  # the compiler runs
        self.assertNotEqual(self.left(), [])
        building.send_signal(signal.SIGINT)
        out, err = building.communicate(timeout=30)
        self.assertEqual(building.returncode, 75, err)
        self.assertEqual((out, self.left()), (b"", []))
        self.assertNotIn(container, run("ps", "-eo", "args").stdout.decode())


def _add(prefix: str, check: str, table: dict) -> None:
    for name, expected in table.items():
        def test(self, name=name, expected=expected):
            getattr(self, check)(name, expected)
        setattr(DebianPackages, f"test_{name.replace('-', '_')}_{prefix}", test)


_add("becomes_an_image", "becomes_an_image", MODULES)
_add("fails_and_says_why", "fails_saying", FAILURES)


if __name__ == "__main__":
    unittest.main()
