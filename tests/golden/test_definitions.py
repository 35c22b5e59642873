"""Driver definitions against docs/driver-definition.schema.json: those that are shipped are right, and the schema knows
the keys that the program knows."""
import json
import os
import re
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import jsonschema

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
REPO = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((REPO / "docs/driver-definition.schema.json").read_text())
HEAD = 'name = "x"\n[[module]]\nname = "x"\n'
ROOT = '[root]\npath = "/run/x/driver"\n'
# Where in the schema a table is, and a definition that ends inside of it.
TABLES = {
    "": "",
    "module": HEAD,
    "condition": HEAD + "[module.when]\n",
    "hardware": HEAD + "[[hardware]]\n",
    "firmware": HEAD + "[firmware]\n",
    "sysfsDevice": HEAD + "[[device]]\n",
    "miscDevice": HEAD + '[[device]]\nmisc = "x"\n',
    "classDevice": HEAD + '[[device]]\nclass = "x"\n',
    "madeNode": HEAD + '[[device]]\nregistered_as = ["x"]\n',
    "deviceCondition": HEAD + '[[device]]\nnode = "/dev/x"\nregistered_as = ["x"]\nminor = 0\n[device.when]\n',
    "madeNode.count": HEAD + '[[device]]\nnode = "/dev/x{minor}"\nregistered_as = ["x"]\nminors = "0"\n[device.count]\n',
    "root": HEAD + "[root]\n",
    "contract": HEAD + ROOT + "[[root.contract]]\n",
    "daemon": HEAD + "[[daemon]]\n",
    "check": HEAD + "[check]\n",
    "toolkit": HEAD + ROOT + "[toolkit]\n",
    "toolkit.cdi": HEAD + ROOT + "[toolkit.cdi]\n",
    "toolkit.config": HEAD + ROOT + "[toolkit.config]\n",
    "toolkit.runtime": HEAD + ROOT + "[toolkit.runtime]\n",
}


def check(text: str) -> subprocess.CompletedProcess:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.toml"
        file.write_text(text)
        return subprocess.run([BUILD / "src/driverext", "definition", "check", file], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)


class Definitions(unittest.TestCase):
    def test_what_is_shipped_fits_the_schema_and_the_program(self):
        files = sorted((REPO / "drivers").glob("*.toml"))
        self.assertGreaterEqual(len(files), 6)
        for file in files:
            with self.subTest(file=file.name):
                jsonschema.validate(tomllib.loads(file.read_text()), SCHEMA)
                done = subprocess.run([BUILD / "src/driverext", "definition", "check", file], stdout=subprocess.PIPE, text=True)
                self.assertEqual(done.returncode, 0)
                self.assertIn(f"{file.stem}: ", done.stdout)

    def test_the_schema_knows_the_keys_of_the_program(self):
        for name, text in TABLES.items():
            with self.subTest(table=name):
                schema = SCHEMA
                if name:
                    first, *rest = name.split(".")
                    schema = SCHEMA["$defs"][first]
                    for part in rest:
                        schema = schema["properties"][part]
                done = check(text + "no-such-key = 1\n")
                self.assertEqual(done.returncode, 78, done.stderr)
                known = re.search(r"known here: ([^)]*)\)", done.stderr)
                self.assertTrue(known, done.stderr)
                self.assertEqual(sorted(known[1].split(", ")), sorted(schema["properties"]))

    def test_a_mistake_is_named_with_its_line(self):
        done = check(HEAD + "paramters = 5\n")
        self.assertEqual(done.returncode, 78)
        self.assertRegex(done.stderr, r'x\.toml:4: unknown key "paramters"; did you mean "parameters"\?')

    def test_usage(self):
        for arguments in ((), ("--no-such-option",)):
            done = subprocess.run([BUILD / "src/driverext", "definition", "check", *arguments], stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 2)
        self.assertEqual(check("name = 1").returncode, 78)


if __name__ == "__main__":
    unittest.main()
