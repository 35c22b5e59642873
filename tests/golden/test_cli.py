"""What the commands print: help that names every verb and option, errors that say what to do."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ.get("DRIVEREXT_BUILD", Path(__file__).resolve().parents[2] / "build/dev"))
EXPECTED = Path(__file__).resolve().parent / "expected"


def driverext(*arguments: str, program: str = "driverext") -> subprocess.CompletedProcess:
    return subprocess.run([BUILD / "src" / program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class CommandLine(unittest.TestCase):
    maxDiff = None

    def assert_golden(self, name: str, text: str) -> None:
        """Set DRIVEREXT_UPDATE_GOLDEN=1 to write what is printed now, and read the diff."""
        path = EXPECTED / name
        if os.environ.get("DRIVEREXT_UPDATE_GOLDEN"):
            EXPECTED.mkdir(exist_ok=True)
            path.write_text(text)
        self.assertEqual(text, path.read_text())

    def test_help_is_as_expected(self):
        for name, arguments in {"help": [], "help-status": ["status"], "help-image-build": ["image", "build"],
                                "help-image-sign": ["image", "sign"], "help-image-inspect": ["image", "inspect"],
                                "help-image-verify": ["image", "verify"], "help-image-mount": ["image", "mount"],
                                "help-image-umount": ["image", "umount"], "help-image-keygen": ["image", "keygen"],
                                 "help-modules-sign": ["modules", "sign"],
                                "help-definition-check": ["definition", "check"], "help-provision": ["provision"], "help-stage": ["stage"], "help-unload": ["unload"], "help-explain": ["explain"], "help-list": ["list"], "help-pin": ["pin"],
                                "help-prune": ["prune"], "help-retry": ["retry"], "help-rollback": ["rollback"],
                                "help-channel-init": ["channel", "init"], "help-channel-publish": ["channel", "publish"],
                                "help-channel-rollout": ["channel", "rollout"],
                                "help-channel-check": ["channel", "check"]}.items():
            with self.subTest(name):
                done = driverext(*arguments, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assert_golden(f"{name}.txt", done.stdout)

    def test_help_of_the_services_is_as_expected(self):
        for name in ("acquire", "provision"):
            with self.subTest(name):
                done = driverext("--help", program=name)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assert_golden(f"help-{name}.txt", done.stdout)

    def test_no_verb_shows_the_help_and_is_a_usage_error(self):
        done = driverext()
        self.assertEqual(done.returncode, 2)
        self.assertIn("image build", done.stderr)

    def test_wrong_usage_exits_with_2_and_names_what_is_wrong(self):
        for arguments, words in ((["frobnicate"], "frobnicate"), (["image", "frobnicate"], "image"),
                                 (["image", "build", "x.raw"], "say what goes in"),
                                 (["image", "build", "--kind=modules", "--tree=t", "x.raw"], "--kind=modules needs --modules"),
                                 (["image", "build", "--kind=source", "--modules=m", "x.raw"], "takes no modules"),
                                 (["image", "build", "--manifest=m", "--kind=firmware", "x.raw"], "complete, source"),
                                 (["stage"], "--kernel=RELEASE"),
                                 (["image", "sign", "x.raw"], "--key and --certificate"),
                                 (["image", "sign", "--key=k", "--export=d", "x.raw"], "--export goes without"),
                                 (["image", "sign", "--key=k", "--attach=d", "x.raw"], "--attach goes without --key"),
                                 (["image", "sign", "--attach=d", "x.raw"], "--attach needs --certificate"),
                                 (["image", "keygen", "--key=k"], "--key and --certificate"),
                                 (["image", "keygen", "--type=ed25519"], "p256, p384, rsa3072 or rsa4096"),
                                 (["image", "keygen", "--days=0"], "1 to 36500"),
                                 (["image", "keygen", "--key=pkcs11:x", "--certificate=c"], "--key takes a file"),
                                 (["modules", "sign"], "at least one module"),
                                 (["modules", "sign", "x.ko"], "--key and --certificate"),
                                 (["modules", "sign", "--hash=sha1", "x.ko"], "sha256 or sha512"),
                                 (["image", "verify"], "exactly one image"),
                                 (["image", "mount", "x.raw"], "one image and one directory"),
                                 (["image", "umount"], "exactly one directory"), (["status", "--json=xml"], "pretty, short or off"),
                                 (["image", "build", "--level=99", "x"], "1 to 22"),
                                 (["channel", "frobnicate"], "channel"), (["channel", "init", "x"], "--name"),
                                 (["channel", "publish", "x"], "at least one image"),
                                 (["channel", "publish", "--release=1.02.3", "x", "y"], "A.B.C"),
                                 (["channel", "rollout", "--percent=101", "x"], "0 to 100"),
                                 (["channel", "init", "--expires=0", "x"], "1 to 3650"),
                                 (["channel", "check", "--url=http://x", "y"], "--url"),
                                 (["channel", "check", "--url=file:///x"], "http://"),
                                 (["unload", "x"], "unexpected argument x"), (["unload", "--wait=0"], "1 to 86400"),
                                 (["unload", "--wait=soon"], "1 to 86400"), (["unload", "--json=xml"], "pretty, short or off"),
                                 (["unload", "--dry-run", "--wait=1"], "exclude each other")):
            with self.subTest(arguments):
                done = driverext(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(words, done.stderr)

    def test_status_before_any_provision_says_how_to_start_one(self):
        with tempfile.TemporaryDirectory() as root:
            done = driverext("status", f"--root={root}")
            self.assertEqual(done.returncode, 1)
            self.assertIn("systemctl start driverext", done.stderr)

    def test_status_is_as_expected(self):
        for outcome, code in {"provisioned": 0, "rolled-back": 0, "untrusted": 65, "building": 75}.items():
            with self.subTest(outcome), tempfile.TemporaryDirectory() as root:
                run = Path(root) / "run/driverext"
                run.mkdir(parents=True)
                for name, file in {"status": "status.json", "acquire": "acquire.json"}.items():
                    given = EXPECTED.parent / "input" / f"{name}-{outcome}.json"
                    if given.exists():
                        (run / file).write_text(given.read_text())
                done = driverext("status", f"--root={root}")
                self.assertEqual(done.returncode, code)
                self.assert_golden(f"status-{outcome}.txt", done.stdout)

    def test_provision_without_configuration_says_what_to_write(self):
        with tempfile.TemporaryDirectory() as root:
            sys_kernel = Path(root) / "proc/sys/kernel"
            sys_kernel.mkdir(parents=True)
            (sys_kernel / "osrelease").write_text("6.12.0\n")
            (sys_kernel / "arch").write_text("x86_64\n")
            done = driverext("provision", "--dry-run", f"--root={root}")
            self.assertEqual(done.returncode, 78)
            self.assertIn("[driver]", done.stderr)
