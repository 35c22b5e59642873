import tempfile
import unittest
from pathlib import Path

from harness.scenario import ScenarioError, load, parse

BOOT = {"check": [{"name": "rule", "run": "true"}]}


class Parsing(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.repo = Path(folder.name)
        (self.repo / "a.ign").write_text("{}")
        (self.repo / "a.raw").write_text("x")

    def parse(self, table, **variables):
        return parse("name", "name.toml", table, variables, self.repo)

    def refuses(self, table, words, **variables):
        with self.assertRaisesRegex(ScenarioError, words):
            self.parse(table, **variables)

    def test_full(self):
        s = self.parse({
            "os": "1", "ignition": "a.ign", "serve": {"/x/a.raw": "{image}"}, "kernel_args": ["debug"],
            "disk": [{"path": "a.raw", "serial": "extra"}],
            "boot": [BOOT, {"os": "2", "end": "kill", "save": [{"name": "status.txt", "run": "true", "timeout": 5}]},
                     {"end": "panic", "kernel_args": ["oops=panic"]}]},
            image="a.raw")
        self.assertEqual(s.serve, {"x/a.raw": self.repo / "a.raw"})
        self.assertEqual([(b.os, b.end) for b in s.boots], [("1", "poweroff"), ("2", "kill"), ("1", "panic")])
        self.assertEqual([b.kernel_args for b in s.boots], [(), (), ("oops=panic",)])
        self.assertEqual(s.boots[2].checks, ())
        self.assertEqual(s.boots[0].checks[0].timeout, 60)
        self.assertEqual(s.boots[1].saves[0].timeout, 5)
        self.assertEqual(s.versions, {"1", "2"})
        self.assertEqual(s.disks[0].serial, "extra")

    def test_absolute_variable(self):
        s = self.parse({"serve": {"a": "{image}"}, "boot": [BOOT]}, image=str(self.repo / "a.raw"))
        self.assertEqual(s.serve["a"], self.repo / "a.raw")

    def test_refusals(self):
        self.refuses({}, r"no \[\[boot\]\]")
        self.refuses({"boot": [BOOT], "bot": 1}, "unknown key 'bot'")
        self.refuses({"boot": [{"chek": []}]}, "boot 1: unknown key 'chek'")
        self.refuses({"boot": [BOOT], "os": "5"}, "'os' must be one of 1, 2, 3, 4, not '5'")
        self.refuses({"boot": [BOOT], "os": 1}, "'os' must be a str")
        self.refuses({"boot": [BOOT, {"end": "crash"}]}, "boot 2: 'end' must be one of")
        self.refuses({"boot": [{**BOOT, "end": "panic"}]}, "boot 1: a boot that ends in a panic has no checks")
        self.refuses({"boot": [{"kernel_args": "quiet"}]}, "'kernel_args' must be a list")
        self.refuses({"boot": [{"check": [{"run": "true"}]}]}, "boot 1: check 1: 'name' is missing")
        self.refuses({"boot": [{"check": [{"name": "x", "run": "true", "timeout": True}]}]}, "'timeout' must be a int")
        self.refuses({"boot": [{"check": [{"name": "x", "run": "true", "timeout": 0}]}]}, "at least 1 second")
        self.refuses({"boot": [{"save": [{"name": "../x", "run": "true"}]}]}, "plain file name")
        self.refuses({"boot": [BOOT], "ignition": "none.ign"}, "no such file")
        self.refuses({"boot": [BOOT], "serve": {"a": "{image}"}}, r"needs --var image=")
        self.refuses({"boot": [BOOT], "serve": {"a/../b": "a.raw"}}, "not a plain URL path")
        self.refuses({"boot": [BOOT], "disk": [{"path": "a.raw", "serial": "a b"}]}, "'serial' must be")
        self.refuses({"boot": [BOOT], "kernel_args": [1]}, "list of texts")

    def test_bad_files(self):
        bad = self.repo / "bad.toml"
        bad.write_text("os = ")
        with self.assertRaisesRegex(ScenarioError, "bad.toml: not valid TOML"):
            load(bad, {}, self.repo)
        with self.assertRaisesRegex(ScenarioError, "No such file"):
            load(self.repo / "none.toml", {}, self.repo)


class Shipped(unittest.TestCase):
    def test_scenarios_of_the_repository_parse(self):
        repo = Path(__file__).resolve().parents[3]
        for name in ("smoke", "images"):
            self.assertTrue(load(repo / f"tests/vm/scenarios/{name}.toml", {}, repo).boots)


if __name__ == "__main__":
    unittest.main()
