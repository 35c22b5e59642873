"""Each file in butane/ and its rendered form in ignition/ say the same, and what they copy is what they copy."""
import json
import subprocess
import unittest
from pathlib import Path
from urllib.parse import unquote

REPO = Path(__file__).resolve().parents[2]


def rendered(source: Path) -> dict:
    butane = subprocess.run([REPO / "dev", "butane"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return json.loads(subprocess.run([butane, "--strict", source], check=True, stdout=subprocess.PIPE).stdout)


class FirstBoot(unittest.TestCase):
    def setUp(self):
        self.ignition = json.loads((REPO / "ignition/first-boot.ign").read_text())

    def file(self, path: str) -> dict:
        return next(f for f in self.ignition["storage"]["files"] if f["path"] == path)

    def test_every_butane_file_renders_to_the_ignition_file_beside_it(self):
        sources = sorted((REPO / "butane").glob("*.bu"))
        self.assertTrue(sources)
        self.assertEqual([p.stem for p in sources], sorted(p.stem for p in (REPO / "ignition").glob("*.ign")))
        for source in sources:
            with self.subTest(source.name):
                self.assertEqual(rendered(source), json.loads((REPO / "ignition" / f"{source.stem}.ign").read_text()))

    def test_units_are_copies_of_those_in_units(self):
        for file in sorted((REPO / "ignition").glob("*.ign")):
            units = {u["name"]: u for u in json.loads(file.read_text())["systemd"]["units"]}
            with self.subTest(file.name):
                self.assertTrue(units["driverext.service"]["enabled"])
                # An image that is placed needs nobody to get one.
                self.assertEqual("driverext-acquire.service" in units, file.name != "first-boot.ign")
                for name, unit in units.items():
                    self.assertEqual(unit["contents"], (REPO / "units" / name).read_text())

    def test_it_places_agent_image_anchor_and_configuration(self):
        for path in ("/etc/extensions/driverext.raw", "/var/lib/driverext/inbox/v4l2loopback.raw",
                     "/etc/driverext/trust/publisher.crt"):
            self.assertTrue(self.file(path)["contents"]["source"].startswith("http://10.0.2.100/"))
        configuration = unquote(self.file("/etc/driverext/driverext.toml")["contents"]["source"].removeprefix("data:,"))
        self.assertEqual(configuration, '[driver]\nname = "v4l2loopback"\n')
        self.assertTrue((REPO / "drivers/v4l2loopback.toml").exists())
