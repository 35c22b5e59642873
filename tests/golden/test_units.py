"""The units of the driver's daemons agree with its definition, with each other and with the provision's own unit."""
import re
import tomllib
import unittest
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
UNITS = REPO / "units"
# What may follow the time in which systemd ends a service: its kill, and what the service does when it has ended.
AFTERWARDS = 5


def daemons() -> list[dict]:
    return tomllib.loads((REPO / "drivers/nvidia.toml").read_text())["daemon"]


def text_of(daemon: dict) -> str:
    return (UNITS / daemon["unit"].replace("@*", "@")).read_text()


def value(text: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", text, re.M)
    return found[1] if found else ""


class DaemonUnits(unittest.TestCase):
    def test_every_daemon_of_the_definition_has_a_unit_and_the_other_way_round(self):
        units = {path.name.replace("@", "@*") for path in UNITS.glob("driverext-*.service")}
        own = {"driverext-acquire.service", "driverext-devices.service"}
        self.assertEqual({daemon["unit"] for daemon in daemons()}, units - own)

    def test_unload_waits_longer_than_systemd_takes_to_kill(self):
        for daemon in daemons():
            with self.subTest(daemon["unit"]):
                limit = int(value(text_of(daemon), "TimeoutStopSec"))
                # ExecStopPost has the same time once more.
                limit *= 2 if "ExecStopPost" in text_of(daemon) and limit >= 30 else 1
                self.assertGreaterEqual(daemon.get("stop_timeout", 10), limit + AFTERWARDS)

    def test_all_are_there_before_whatever_starts_containers(self):
        before = value((UNITS / "driverext.service").read_text(), "Before")
        self.assertIn("k3s.service", before)
        for daemon in daemons():
            with self.subTest(daemon["unit"]):
                self.assertEqual(value(text_of(daemon), "Before"), before)

    def test_nothing_but_unload_stops_them(self):
        for daemon in daemons():
            with self.subTest(daemon["unit"]):
                self.assertEqual(re.findall(r"^(?:PartOf|BindsTo|Requires)=", text_of(daemon), re.M), [])
                self.assertEqual(value(text_of(daemon), "WantedBy"), "driverext.service")

    def test_programs_that_they_run_on_the_host_are_installed(self):
        installed = (UNITS / "meson.build").read_text()
        for daemon in daemons():
            for program in re.findall(r"=-?/usr/libexec/driverext/(\S+)", text_of(daemon)):
                self.assertIn(f"'{program}'", installed)
                self.assertTrue((UNITS / program).stat().st_mode & 0o100, program)


if __name__ == "__main__":
    unittest.main()
