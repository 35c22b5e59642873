"""What driverext unload prints about a host that is a tree of files, and its exit codes."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ.get("DRIVEREXT_BUILD", Path(__file__).resolve().parents[2] / "build/dev"))
EXPECTED = Path(__file__).resolve().parent / "expected"

DEFINITION = """name = "testgpu"
[[module]]
name = "testgpu"
[[module]]
name = "testgpu-uvm"
[[device]]
node = "/dev/testgpuctl"
registered_as = ["testgpu"]
minor = 255
"""
CONTAINER = "5f1d9a0b3c2e" + 52 * "0"


class Host:
    """Whose driver is loaded; a module of somebody else uses it."""

    def __init__(self, root: str):
        self.root = Path(root)
        self.write("etc/driverext/driverext.toml", '[driver]\nname = "testgpu"\n')
        self.write("etc/driverext/drivers/testgpu.toml", DEFINITION)
        self.write("proc/devices", "Character devices:\n195 testgpu\n")
        self.write("proc/sys/kernel/osrelease", "6.12.0\n")
        self.write("proc/sys/kernel/arch", "x86_64\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def load(self, name: str, count: int, *users: str) -> None:
        self.write(f"sys/module/{name}/refcnt", f"{count}\n")
        self.write(f"sys/module/{name}/initstate", "live\n")
        (self.root / f"sys/module/{name}/holders").mkdir()
        for user in users:
            (self.root / f"sys/module/{name}/holders/{user}").symlink_to(f"../../{user}")

    def load_all(self) -> None:
        self.load("testgpu", 4, "testgpu_uvm", "copy_dma")
        self.load("testgpu_uvm", 0)
        self.load("copy_dma", 0)
        self.provisioned()

    def provisioned(self) -> None:
        # As a provision writes it: by it these are known as its own.
        self.write("run/modprobe.d/driverext.conf", "install testgpu /bin/true\ninstall testgpu_uvm /bin/true\n")

    def hold(self, pid: int, name: str, group: str, node: str) -> None:
        self.write(f"proc/{pid}/comm", f"{name}\n")
        self.write(f"proc/{pid}/cgroup", f"0::{group}\n")
        (self.root / f"proc/{pid}/fd").mkdir()
        (self.root / f"proc/{pid}/fd/3").symlink_to(node)

    def unload(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([BUILD / "src/driverext", "unload", f"--root={self.root}", *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class Unload(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.host = Host(self.directory.name)

    def assert_golden(self, name: str, text: str) -> None:
        """Set DRIVEREXT_UPDATE_GOLDEN=1 to write what is printed now, and read the diff."""
        path = EXPECTED / name
        if os.environ.get("DRIVEREXT_UPDATE_GOLDEN"):
            path.write_text(text)
        self.assertEqual(text, path.read_text())

    def be_in_use(self) -> None:
        self.host.load_all()
        self.host.hold(812, "sleep", "/system.slice/job.service", "/dev/testgpuctl")
        self.host.hold(901, "python3", f"/machine.slice/libpod-{CONTAINER}.scope/container", "/dev/testgpuctl")

    def test_everybody_in_the_way_is_named(self):
        self.be_in_use()
        done = self.host.unload("--dry-run")
        self.assertEqual(done.returncode, 1)
        self.assert_golden("unload-in-use.txt", done.stdout + done.stderr)

    def test_real_unload_in_use_changes_nothing_and_says_the_same(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.be_in_use()
        planned = self.host.unload("--dry-run")
        before = sorted(str(path) for path in self.host.root.rglob("*"))
        done = self.host.unload()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, planned.stderr.replace("is in use\n", "is in use; nothing was changed\n"))
        after = sorted(str(path) for path in self.host.root.rglob("*"))
        self.assertEqual(before, after)

    def test_plan_names_each_step_with_its_reason(self):
        self.host.load("testgpu", 2, "testgpu_uvm", "copy_dma")
        self.host.load("testgpu_uvm", 0)
        self.host.load("copy_dma", 0)
        self.host.provisioned()
        done = self.host.unload("--dry-run")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_golden("unload-plan.txt", done.stdout)

    def test_module_that_another_installer_has_loaded_is_left_alone(self):
        self.host.load("testgpu", 0)
        done = self.host.unload("--dry-run")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("Left alone: module testgpu was not loaded from an image that is mounted here.\n", done.stdout)

    def test_nothing_loaded_is_said_and_fine(self):
        for arguments in (["--dry-run"], []) if os.geteuid() == 0 else (["--dry-run"],):
            done = self.host.unload(*arguments)
            self.assertEqual((done.returncode, done.stdout, done.stderr),
                             (0, "testgpu is not loaded, and nothing of it is left.\n", ""))

    def test_json_has_what_scripts_ask_for(self):
        self.be_in_use()
        done = self.host.unload("--dry-run", "--json=short")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        told = json.loads(done.stdout)
        self.assertEqual(told["outcome"], "in-use")
        self.assertEqual([process["pid"] for process in told["processes"]], [812, 901])
        self.assertEqual(told["processes"][1]["container"], CONTAINER)
        self.assertEqual({module["name"]: module["ofDriver"] for module in told["modules"]},
                         {"testgpu": True, "testgpu_uvm": True, "copy_dma": False})

    def test_wait_names_who_is_left_when_the_time_is_over(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.be_in_use()
        done = self.host.unload("--wait=1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("waiting: sleep (pid 812, job.service) has /dev/testgpuctl open\n", done.stderr)
        self.assertIn("  sleep (pid 812, job.service) has /dev/testgpuctl open\n", done.stderr)

    def test_configuration_that_is_missing_is_named(self):
        (self.host.root / "etc/driverext/driverext.toml").unlink()
        done = self.host.unload("--dry-run")
        self.assertEqual(done.returncode, 78)


if __name__ == "__main__":
    unittest.main()
