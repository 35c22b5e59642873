"""Keys and signatures as tools that nobody here wrote make and see them: openssl, softhsm, sign-file, modinfo."""
import base64
import json
import os
import pty
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
ARTIFACTS = Path(os.environ["DRIVEREXT_ARTIFACTS"])
DRIVEREXT = BUILD / "src" / "driverext"
SIGN_FILE = next(iter(sorted(Path("/usr/lib").glob("linux-kbuild-*/scripts/sign-file"))), None)
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "493817"


def run(*command, check=True, **options) -> subprocess.CompletedProcess:
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def need(what, present) -> None:
    """In CI a missing tool is an error."""
    if not present and os.environ.get("CI"):
        raise AssertionError(f"{what} is not installed")
    if not present:
        raise unittest.SkipTest(f"{what} is not installed")


def until(condition) -> None:
    """Looks again and again; half a minute is more than anything here takes."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it never came")
        time.sleep(0.0005)


def big_tree(folder: Path) -> Path:
    """What makes an image of more than 200 MB: bytes that nothing compresses."""
    tree = folder / "tree"
    (tree / "usr/share").mkdir(parents=True)
    with open(tree / "usr/share/big", "wb") as file:
        for _ in range(13):
            file.write(os.urandom(1 << 24))
    return tree


def build_command(tree: Path) -> list:
    return [DRIVEREXT, "image", "build", "--kind=userland", "--driver=big", "--driver-version=1", "--level=1", "--tree", tree]


class Workplace(unittest.TestCase):
    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        self.addCleanup(shutil.rmtree, self.tmp)
        self.modules = sorted(next(ARTIFACTS.glob("modules-*")).rglob("*.ko"))

    def keygen(self, name: str, *options) -> list:
        """Makes NAME.key and NAME.crt; returns the options that name them."""
        pair = ["--key", self.tmp / f"{name}.key", "--certificate", self.tmp / f"{name}.crt"]
        run(DRIVEREXT, "image", "keygen", *pair, *options)
        return pair

    def image(self) -> Path:
        copy = self.tmp / "image.raw"
        shutil.copy(ARTIFACTS / "signed-by-stranger.raw", copy)
        return copy

    def verify(self, image: Path, certificate: Path) -> int:
        return run(DRIVEREXT, "image", "verify", "--trust", certificate, image, check=False).returncode


class Keygen(Workplace):
    def test_certificate_is_what_openssl_calls_one_for_signing_code(self):
        for kind, words in (("p256", "NIST CURVE: P-256"), ("p384", "NIST CURVE: P-384"), ("rsa3072", "(3072 bit)")):
            with self.subTest(kind):
                self.keygen(kind, "--type", kind, "--name", f"publisher of {kind}", "--days", "30")
                text = run("openssl", "x509", "-in", self.tmp / f"{kind}.crt", "-noout", "-text").stdout.decode()
                for expected in (words, f"CN = publisher of {kind}", "CA:FALSE", "Digital Signature", "Code Signing",
                                 "Subject Key Identifier"):
                    self.assertIn(expected, text)
                self.assertNotEqual(run("openssl", "x509", "-in", self.tmp / f"{kind}.crt", "-noout", "-checkend",
                                        31 * 86400, check=False).returncode, 0)
                run("openssl", "x509", "-in", self.tmp / f"{kind}.crt", "-noout", "-checkend", 29 * 86400)
                run("openssl", "pkey", "-in", self.tmp / f"{kind}.key", "-check", "-noout")

    def test_key_is_its_owners_and_is_never_replaced(self):
        pair = self.keygen("a")
        key, certificate = self.tmp / "a.key", self.tmp / "a.crt"
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(certificate.stat().st_mode), 0o644)
        before = key.read_bytes(), certificate.read_bytes()
        again = run(DRIVEREXT, "image", "keygen", *pair, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn(b"exists already", again.stderr)
        self.assertEqual((key.read_bytes(), certificate.read_bytes()), before)

    def test_there_are_both_or_neither(self):
        (self.tmp / "b.crt").write_text("somebody's")
        done = run(DRIVEREXT, "image", "keygen", "--key", self.tmp / "b.key", "--certificate", self.tmp / "b.crt", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual([p.name for p in self.tmp.iterdir()], ["b.crt"])
        self.assertEqual((self.tmp / "b.crt").read_text(), "somebody's")

    def test_what_it_signs_verifies_here_and_with_openssl_as_systemd_does(self):
        image = self.image()
        run(DRIVEREXT, "image", "sign", *self.keygen("c"), image)
        self.assertEqual(self.verify(image, self.tmp / "c.crt"), 0)
        self.assertEqual(self.verify(image, ARTIFACTS / "stranger.crt"), 65)
        shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", image).stdout)
        part = shown["partitions"]["root-verity-sig"]
        block = json.loads(image.read_bytes()[part["offset"]:part["offset"] + part["size"]].rstrip(b"\0"))
        (self.tmp / "p7s").write_bytes(base64.b64decode(block["signature"]))
        (self.tmp / "hash").write_text(shown["rootHash"])
        run("openssl", "smime", "-verify", "-inform", "DER", "-in", self.tmp / "p7s", "-content", self.tmp / "hash", "-nointern",
            "-noverify", "-binary", "-out", "/dev/null", "-certfile", self.tmp / "c.crt")


class LockedKeys(Workplace):
    def setUp(self):
        super().setUp()
        (self.tmp / "passphrase").write_text("open sesame\n")
        self.pair = self.keygen("locked", "--passphrase-file", self.tmp / "passphrase")
        self.assertIn("ENCRYPTED", (self.tmp / "locked.key").read_text())

    def sign(self, *options, **more):
        return run(DRIVEREXT, "image", "sign", *self.pair, *options, self.image(), check=False, **more)

    def test_passphrase_comes_from_a_file_or_the_environment(self):
        self.assertEqual(self.sign("--passphrase-file", self.tmp / "passphrase").returncode, 0)
        self.assertEqual(self.sign(env=os.environ | {"DRIVEREXT_KEY_PASSPHRASE": "open sesame"}).returncode, 0)
        wrong = self.sign(env=os.environ | {"DRIVEREXT_KEY_PASSPHRASE": "shut"})
        self.assertEqual(wrong.returncode, 1)
        self.assertIn(b"wrong passphrase", wrong.stderr)

    def test_without_a_terminal_it_says_how_to_give_the_passphrase(self):
        done = self.sign(start_new_session=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"--passphrase-file", done.stderr)

    def on_a_terminal(self, typed: bytes, *command, then=lambda: None) -> tuple[int, bytes]:
        """Runs a command with a terminal of its own, whose answer is typed once it was asked for. `then` says what is
        typed after that."""
        command = [str(c) for c in command or (DRIVEREXT, "image", "sign", *self.pair, self.image())]
        pid, terminal = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it
            signal.alarm(20)
            os.execv(command[0], command)
        shown, asked = b"", False
        while True:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
            if not asked and b": " in shown:
                asked = True
                os.write(terminal, typed)
                if more := then():
                    os.write(terminal, more)
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown

    def test_passphrase_is_asked_for_on_a_terminal_and_not_shown(self):
        status, shown = self.on_a_terminal(b"open sesame\n")
        self.assertEqual(status, 0, shown)
        self.assertIn(b"Passphrase of", shown)
        self.assertNotIn(b"sesame", shown)

    def test_ctrl_c_at_the_question_signs_nothing(self):
        before = (ARTIFACTS / "signed-by-stranger.raw").read_bytes()
        status, shown = self.on_a_terminal(b"\x03")
        self.assertEqual(status, 75)
        self.assertIn(b"interrupted", shown)
        self.assertEqual((self.tmp / "image.raw").read_bytes(), before)


    def test_ctrl_c_after_the_question_stops_a_build(self):
        output = self.tmp / "out" / "image.raw"
        output.parent.mkdir()

        def once_it_is_written() -> bytes:
            until(lambda: any(output.parent.iterdir()))
            return b"\x03"

        status, shown = self.on_a_terminal(b"open sesame\n", *build_command(big_tree(self.tmp)), *self.pair, output,
                                           then=once_it_is_written)
        self.assertEqual(status, 75, shown)
        self.assertIn(b"interrupted", shown)
        self.assertEqual(list(output.parent.iterdir()), [])


class Interrupted(Workplace):
    """A signal at any moment leaves what was there, or what was asked for, and nothing else."""

    @classmethod
    def setUpClass(cls):
        cls.kept = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        cls.addClassCleanup(shutil.rmtree, cls.kept)
        run(*build_command(big_tree(cls.kept)), cls.kept / "big.raw")

    def setUp(self):
        super().setUp()
        self.work = self.tmp / "work"
        self.work.mkdir()
        self.pair = self.keygen("signer", "--type", "p256")

    def left(self) -> list[str]:
        return sorted(p.name for p in self.work.iterdir())

    def signalled(self, number: int, moment, *command) -> int:
        """Runs the command, sends the signal after so many seconds, or once moment() is true (or the command has ended);
        returns the exit status."""
        with subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as program:
            if callable(moment):
                until(lambda: program.poll() is not None or moment())
            else:
                time.sleep(moment)
            program.send_signal(number)
            said = program.communicate(timeout=60)[1]
            if program.returncode == 75:
                self.assertIn(b"interrupted", said)
            return program.returncode

    def all_or_nothing(self, status: int, number: int, there: list[str], everything: list[str]) -> None:
        self.assertIn(status, (0, 75, -number))
        # Before there is anything to undo, and once all is done, a signal ends it as it ends any program.
        self.assertIn(there, {0: [everything], 75: [[]]}.get(status, [[], everything]))

    def test_signing_an_image_leaves_it_as_it_was(self):
        image, out = self.work / "big.raw", self.work / "out.raw"
        shutil.copy(self.kept / "big.raw", image)
        self.assertGreater(image.stat().st_size, 200_000_000)
        before = image.stat()
        sign = [DRIVEREXT, "image", "sign", *self.pair]
        began = time.monotonic()
        run(*sign, "--output", out, image)
        took = time.monotonic() - began
        out.unlink()

        def copied(size: int):
            return lambda: any(path.stat().st_size >= size for path in self.work.glob("big.raw.*"))

        seen = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for when in (copied(0), copied(100_000_000), *(took * tenth / 10 for tenth in range(9))):
                seen.append(self.signalled(number, when, *sign, image))
                self.assertEqual(self.left(), ["big.raw"])
                # Before there is anything to undo, and once all is done, a signal ends it as it ends any program.
                self.assertIn(seen[-1], (0, 75, -number))
                after = image.stat()
                changed = (after.st_ino, after.st_mtime_ns) != (before.st_ino, before.st_mtime_ns)
                if seen[-1] != -number:
                    self.assertEqual(changed, seen[-1] == 0)
                if changed:  # it is the signed image, whole
                    self.assertEqual(self.verify(image, self.pair[3]), 0)
                    shutil.copy(self.kept / "big.raw", image)
                    before = image.stat()
        self.assertGreater(seen.count(75), 5, seen)

    def test_exporting_writes_all_or_nothing(self):
        shutil.copy(self.kept / "big.raw", self.work)
        for after in (0.02, 0.05, 0.1, 0.2):
            half = self.tmp / f"half-{after}"
            status = self.signalled(signal.SIGINT, after, DRIVEREXT, "image", "sign", "--export", half,
                                    self.work / "big.raw")
            written = sorted(p.name for p in half.iterdir()) if half.exists() else []
            self.all_or_nothing(status, signal.SIGINT, written, ["README", "root-hash", "statement"])

    def test_signing_modules_leaves_each_signed_or_as_it_was(self):
        unsigned = self.modules[0].read_bytes()
        names = [f"{number:03}.ko" for number in range(200)]
        for name in names:
            (self.work / name).write_bytes(unsigned)
        self.assertEqual(self.signalled(
            signal.SIGINT, lambda: (self.work / names[3]).stat().st_size > len(unsigned),
            DRIVEREXT, "modules", "sign", *self.pair, self.work), 75)
        self.assertEqual(self.left(), names)
        signed = 0
        for name in names:
            content = (self.work / name).read_bytes()
            self.assertTrue(content.startswith(unsigned))
            if content != unsigned:
                self.assertTrue(content.endswith(b"~Module signature appended~\n"))
                signed += 1
        self.assertTrue(4 <= signed < len(names), signed)

    def test_making_a_key_leaves_both_files_or_none(self):
        both = ["k.crt", "k.key"]
        seen = []
        for number in range(60):
            status = self.signalled(signal.SIGTERM, number / 4000, DRIVEREXT, "image", "keygen",
                                    "--type", "p256", "--key", self.work / "k.key", "--certificate", self.work / "k.crt")
            seen.append(status)
            self.all_or_nothing(status, signal.SIGTERM, self.left(), both)
            for name in self.left():
                (self.work / name).unlink()
        self.assertIn(75, seen)


class Tokens(Workplace):
    def setUp(self):
        super().setUp()
        need("softhsm2", SOFTHSM.exists())
        need("pkcs11-tool (opensc)", shutil.which("pkcs11-tool"))
        need("libengine-pkcs11-openssl", list(Path("/usr/lib").glob("*/engines-3/pkcs11.so")))
        (self.tmp / "tokens").mkdir()
        (self.tmp / "softhsm2.conf").write_text(f"directories.tokendir = {self.tmp}/tokens\nlog.level = ERROR\n")
        (self.tmp / "pin").write_text(PIN + "\n")
        (self.tmp / "bare-pin").write_text(PIN)  # the engine takes a line break for part of the PIN
        self.env = os.environ | {"SOFTHSM2_CONF": str(self.tmp / "softhsm2.conf"), "PKCS11_MODULE_PATH": str(SOFTHSM)}
        run("softhsm2-util", "--init-token", "--free", "--label", "publisher", "--pin", PIN, "--so-pin", "1" + PIN, env=self.env)

    def make_key(self, kind: str, label: str) -> str:
        """A key that never leaves the token, and LABEL.crt; returns the key's URI."""
        run("pkcs11-tool", "--module", SOFTHSM, "--token-label", "publisher", "--login", "--pin", PIN, "--keypairgen",
            "--key-type", kind, "--id", label.encode().hex(), "--label", label, env=self.env)
        uri = f"pkcs11:token=publisher;object={label};type=private"
        run("openssl", "req", "-new", "-x509", "-engine", "pkcs11", "-keyform", "engine", "-key", f"{uri};pin-value={PIN}",
            "-subj", f"/CN={label}", "-days", "30", "-addext", "keyUsage=digitalSignature", "-out", self.tmp / f"{label}.crt",
            env=self.env)
        return uri

    def sign(self, uri: str, label: str, *options, **more):
        return run(DRIVEREXT, "image", "sign", "--key", uri, "--certificate", self.tmp / f"{label}.crt", *options,
                   self.image(), check=False, **({"env": self.env} | more))

    def test_key_in_a_token_signs_images(self):
        for kind, label in (("rsa:2048", "rsa"), ("EC:prime256v1", "ec")):
            with self.subTest(kind):
                uri = self.make_key(kind, label)
                done = self.sign(uri, label, "--passphrase-file", self.tmp / "pin")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(self.verify(self.tmp / "image.raw", self.tmp / f"{label}.crt"), 0)

    def test_pin_is_taken_from_the_uri_the_environment_or_a_file_and_never_shown(self):
        uri = self.make_key("rsa:2048", "signer")
        for given, more in ((f"{uri};pin-value={PIN}", {}), (f"{uri}?pin-value={PIN}", {}),
                            (f"{uri}?pin-source=file:{self.tmp}/bare-pin", {}),
                            (f"org.openssl.engine:pkcs11:{uri};pin-value={PIN}", {}),
                            (uri, {"env": self.env | {"DRIVEREXT_KEY_PASSPHRASE": PIN}})):
            with self.subTest(given):
                done = self.sign(given, "signer", **more)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
        for given in (f"{uri};pin-value=111111", f"{uri.replace('signer', 'nobody')};pin-value={PIN}",
                      f"{uri.replace('publisher', 'nowhere')};pin-value={PIN}"):
            with self.subTest(given):
                done = self.sign(given, "signer", start_new_session=True)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"cannot open the key", done.stderr)
                self.assertNotIn(b"111111", done.stderr)
                self.assertNotIn(PIN.encode(), done.stderr)

    def test_certificate_of_another_key_is_noticed(self):
        uri = self.make_key("rsa:2048", "signer")
        self.keygen("other")
        done = self.sign(f"{uri};pin-value={PIN}", "other")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"does not belong to the certificate", done.stderr)

    def test_key_in_a_token_signs_modules_and_channels(self):
        uri = self.make_key("rsa:2048", "signer")
        shutil.copy(self.modules[0], self.tmp / "m.ko")
        key = ["--key", uri, "--certificate", self.tmp / "signer.crt", "--passphrase-file", self.tmp / "pin"]
        run(DRIVEREXT, "modules", "sign", *key, self.tmp / "m.ko", env=self.env)
        self.assertIn(b"signer", run("modinfo", "-F", "signer", self.tmp / "m.ko").stdout)
        run(DRIVEREXT, "channel", "init", "--name=test", *key, self.tmp / "channel", env=self.env)


class TwoHalves(Workplace):
    def setUp(self):
        super().setUp()
        self.keygen("publisher", "--type", "rsa3072")
        self.raw = self.image()
        self.half = self.tmp / "half"
        run(DRIVEREXT, "image", "sign", "--export", self.half, self.raw)
        for name in ("publisher.key", "publisher.crt"):
            shutil.copy(self.tmp / name, self.half)

    def commands(self) -> list[str]:
        """The commands of the README, as they stand there."""
        text = (self.half / "README").read_text().replace("\\\n", " ")
        return [line for line in text.splitlines() if line.startswith("openssl ")]

    def attach(self, certificate="publisher.crt", **more):
        return run(DRIVEREXT, "image", "sign", "--attach", self.half, "--certificate", self.tmp / certificate, self.raw, **more)

    def test_commands_of_the_readme_make_signatures_that_are_attached(self):
        self.assertEqual(len(self.commands()), 2)
        for command in self.commands():
            run("sh", "-c", command, cwd=self.half)
        self.attach()
        self.assertEqual(self.verify(self.raw, self.tmp / "publisher.crt"), 0)
        shown = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", self.raw).stdout)
        self.assertEqual((self.half / "root-hash").read_text(), shown["rootHash"])

    def test_commands_of_the_documentation_are_those_of_the_readme(self):
        documentation = " ".join((Path(__file__).parents[2] / "docs/signing.md").read_text().replace("\\\n", " ").split())
        for command in self.commands():
            self.assertIn(" ".join(command.split()), documentation)

    def test_commands_with_an_option_less_are_refused_with_its_name(self):
        before = self.raw.read_bytes()
        for left_out, words in ((" -noattr", b"-noattr"), (" -nodetach", b"-nodetach"), (" -binary", b"-binary")):
            with self.subTest(left_out):
                for command in self.commands():
                    run("sh", "-c", command.replace(left_out, ""), cwd=self.half)
                done = self.attach(check=False)
                self.assertEqual(done.returncode, 65)
                self.assertIn(words, done.stderr)
                self.assertEqual(self.raw.read_bytes(), before)

    def test_signatures_of_another_key_or_image_change_nothing(self):
        for command in self.commands():
            run("sh", "-c", command, cwd=self.half)
        self.keygen("other")
        before = self.raw.read_bytes()
        self.assertEqual(self.attach("other.crt", check=False).returncode, 65)
        self.assertEqual(self.raw.read_bytes(), before)
        shutil.copy(ARTIFACTS / "for-another-kernel.raw", self.raw)
        before = self.raw.read_bytes()
        self.assertEqual(self.attach(check=False).returncode, 65)
        self.assertEqual(self.raw.read_bytes(), before)


class ModuleSignatures(Workplace):
    def setUp(self):
        super().setUp()
        self.module = self.tmp / "m.ko"
        shutil.copy(self.modules[0], self.module)
        self.pair = self.keygen("signer", "--type", "rsa3072", "--name", "module signer")

    def modinfo(self, path: Path) -> dict[str, str]:
        return {field: run("modinfo", "-F", field, path).stdout.decode()
                for field in ("signer", "sig_key", "sig_hashalgo", "signature", "sig_id", "name", "vermagic")}

    def test_bytes_are_those_of_the_kernels_sign_file(self):
        need("sign-file (linux-kbuild)", SIGN_FILE)
        for digest in ("sha256", "sha512"):
            for module in self.modules:
                with self.subTest(f"{digest} {module.name}"):
                    run(SIGN_FILE, digest, self.tmp / "signer.key", self.tmp / "signer.crt", module, self.tmp / "theirs.ko")
                    shutil.copy(module, self.module)
                    run(DRIVEREXT, "modules", "sign", *self.pair, f"--hash={digest}", self.module)
                    self.assertEqual(self.module.read_bytes(), (self.tmp / "theirs.ko").read_bytes())

    def test_modinfo_shows_what_the_command_says(self):
        for kind in ("p256", "rsa3072"):
            with self.subTest(kind):
                pair = self.keygen(kind, "--type", kind, "--name", f"signer of {kind}")
                said = run(DRIVEREXT, "modules", "sign", "--replace", *pair, self.module).stdout.decode()
                shown = self.modinfo(self.module)
                self.assertEqual((shown["signer"], shown["sig_hashalgo"], shown["sig_id"]),
                                 (f"signer of {kind}\n", "sha256\n", "PKCS#7\n"))
                self.assertIn(f"signed by signer of {kind}, key {shown['sig_key'].strip()}, sha256", said)

    def test_openssl_verifies_the_signature(self):
        original = self.module.read_bytes()
        run(DRIVEREXT, "modules", "sign", *self.pair, self.module)
        signature = self.module.read_bytes()[len(original):-40]
        (self.tmp / "p7s").write_bytes(signature)
        command = ["openssl", "cms", "-verify", "-inform", "DER", "-binary", "-in", self.tmp / "p7s", "-certfile",
                   self.tmp / "signer.crt", "-CAfile", self.tmp / "signer.crt", "-purpose", "any", "-out", "/dev/null", "-content"]
        run(*command, self.modules[0])
        (self.tmp / "other").write_bytes(original[:-1] + b"?")
        self.assertNotEqual(run(*command, self.tmp / "other", check=False).returncode, 0)

    def test_a_directory_is_signed_whole_or_not_at_all(self):
        tree = self.tmp / "tree"
        (tree / "deeper").mkdir(parents=True)
        for place in (tree / "a.ko", tree / "deeper/b.ko"):
            shutil.copy(self.module, place)
        run("zstd", "-q", tree / "deeper/b.ko", "-o", tree / "deeper/c.ko.zst")
        done = run(DRIVEREXT, "modules", "sign", *self.pair, tree, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"zstd -d", done.stderr)
        self.assertEqual((tree / "a.ko").read_bytes(), self.module.read_bytes())
        (tree / "deeper/c.ko.zst").unlink()
        run(DRIVEREXT, "modules", "sign", *self.pair, tree)
        for place in (tree / "a.ko", tree / "deeper/b.ko"):
            self.assertEqual(self.modinfo(place)["signer"], "module signer\n")
        again = run(DRIVEREXT, "modules", "sign", *self.pair, tree, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn(b"--replace", again.stderr)

    def test_ed25519_is_refused_with_a_reason(self):
        run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", self.tmp / "ed.key", "-out",
            self.tmp / "ed.crt", "-subj", "/CN=ed", "-days", "3")
        done = run(DRIVEREXT, "modules", "sign", "--key", self.tmp / "ed.key", "--certificate", self.tmp / "ed.crt",
                   self.module, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"neither RSA nor EC", done.stderr)


if __name__ == "__main__":
    unittest.main()
