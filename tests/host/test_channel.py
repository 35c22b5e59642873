"""Channels over HTTP: a real server on this machine, which also misbehaves; openssl reads what was signed."""
import functools
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

BUILD = Path(os.environ["DRIVEREXT_BUILD"])
ARTIFACTS = Path(os.environ["DRIVEREXT_ARTIFACTS"])
DRIVEREXT = BUILD / "src" / "driverext"
KEY = ["--key", ARTIFACTS / "publisher.key", "--certificate", ARTIFACTS / "publisher.crt"]
EXIT = {"done": 0, "usage": 2, "untrusted": 65, "nothing_fits": 69, "try_again": 75, "bad_configuration": 78}


def run(*command, check=True, **options) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment | options.pop("env", {}), **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}: {done.stderr}")
    return done


class Handler(http.server.BaseHTTPRequestHandler):
    """Files of a directory; `server.behave` names what goes wrong."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("User-Agent")))
        behave = self.server.behave
        if behave.startswith("redirect "):
            self.server.behave = ""
            return self.answer(302, b"elsewhere", {"Location": behave.split(" ", 1)[1]})
        if behave == "loop":
            return self.answer(302, b"", {"Location": self.path})
        if behave == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                self.close_connection = True
            return None
        file = self.server.folder / self.path.lstrip("/")
        if not file.is_file():
            return self.answer(404, b"no such file")
        content = file.read_bytes()
        return self.answer(200, content, cut=len(content) // 3 if behave == "cut" else None)

    def answer(self, status, body, headers=None, cut=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a client that hangs up is what some tests are about


class Server:
    def __init__(self, folder: Path):
        self.http = QuietServer(("127.0.0.1", 0), Handler)
        self.http.folder, self.http.behave, self.http.requests = folder, "", []
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=functools.partial(self.http.serve_forever, poll_interval=0.02), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Channel(unittest.TestCase):
    def setUp(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="driverext-host-"))
        self.addCleanup(shutil.rmtree, self.tmp)
        self.folder = self.tmp / "channel"
        self.image = json.loads(run(DRIVEREXT, "image", "inspect", "--json=short", ARTIFACTS / "v4l2loopback.raw").stdout)
        run(DRIVEREXT, "channel", "init", "--name=stable", *KEY, self.folder)
        run(DRIVEREXT, "channel", "publish", *KEY, self.folder, ARTIFACTS / "v4l2loopback.raw")
        self.server = Server(self.folder)
        self.addCleanup(self.server.close)
        self.node = self.tmp / "node"
        (self.node / "etc/driverext/trust").mkdir(parents=True)
        shutil.copy(ARTIFACTS / "publisher.crt", self.node / "etc/driverext/trust")
        (self.node / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        proc = self.node / "proc/sys/kernel"
        proc.mkdir(parents=True)
        (proc / "osrelease").write_text(self.image["kernelRelease"] + "\n")
        (proc / "arch").write_text("x86_64\n")

    def check(self, *options, url=None, **more) -> subprocess.CompletedProcess:
        return run(DRIVEREXT, "channel", "check", f"--root={self.node}", f"--url={url or self.server.url}", *options,
                   check=False, **more)

    def behave(self, how: str) -> subprocess.CompletedProcess:
        self.server.http.behave = how
        return self.check()


class OverHttp(Channel):
    def test_a_node_finds_its_image_and_nothing_is_written(self):
        before = sorted(self.node.rglob("*"))
        done = self.check("--json=short")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        shown = json.loads(done.stdout)
        self.assertEqual(shown["choices"][0]["rootHash"], self.image["rootHash"])
        self.assertEqual(sorted(self.node.rglob("*")), before)
        self.assertEqual([path for path, _ in self.server.http.requests], ["/index.cms"])
        self.assertTrue(self.server.http.requests[0][1].startswith("driverext/"))

    def test_the_configured_channel_is_the_default(self):
        config = self.node / "etc/driverext/driverext.toml"
        command = (DRIVEREXT, "channel", "check", f"--root={self.node}")
        config.write_text('[driver]\nname = "v4l2loopback"\n')
        self.assertEqual(run(*command, check=False).returncode, EXIT["bad_configuration"])
        config.write_text(f'[driver]\nname = "v4l2loopback"\n[channel]\nurl = "{self.server.url}"\n')
        self.assertIn("takes it", run(*command).stdout)

    def test_another_kernel_has_no_image_and_is_told_what_there_is(self):
        done = self.check("--kernel=6.99.0")
        self.assertEqual(done.returncode, EXIT["nothing_fits"])
        self.assertIn(self.image["kernelRelease"], done.stderr)

    def test_a_release_that_is_held_back_waits(self):
        run(DRIVEREXT, "channel", "rollout", *KEY, "--percent=0", self.folder)
        done = self.check()
        self.assertEqual(done.returncode, EXIT["try_again"])
        self.assertIn("rolled out to 0 % of nodes; this node's place is ", done.stderr)

    def test_a_missing_index_is_told_with_its_address(self):
        done = self.check(url=self.server.url + "/nothing/here/")
        self.assertEqual(done.returncode, EXIT["try_again"])
        self.assertIn(f"{self.server.url}/nothing/here/index.cms: HTTP 404", done.stderr)

    def test_a_server_that_is_not_there_is_told(self):
        self.server.close()
        done = self.check()
        self.assertEqual(done.returncode, EXIT["try_again"])
        self.assertIn("channel-unreachable", done.stderr)

    def test_a_body_without_end_is_cut_off(self):
        done = self.behave("endless")
        self.assertEqual(done.returncode, EXIT["untrusted"])
        self.assertIn("larger than the 1.0 MiB", done.stderr)

    def test_an_index_that_is_cut_off_is_unreachable_not_untrusted(self):
        self.assertEqual(self.behave("cut").returncode, EXIT["try_again"])

    def test_redirects_stay_with_http(self):
        self.assertEqual(self.behave(f"redirect {self.server.url}/index.cms").returncode, 0)
        secret = self.tmp / "secret"
        secret.write_text("secret")
        for target in (f"file://{secret}", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "http://user:word@127.0.0.1/x"):
            with self.subTest(target):
                self.assertEqual(self.behave(f"redirect {target}").returncode, EXIT["try_again"])
        self.assertEqual(self.behave("loop").returncode, EXIT["try_again"])

    def test_only_http_and_https_are_asked(self):
        for url in (f"file://{self.folder}", "ftp://127.0.0.1/", "http://user:word@127.0.0.1/", str(self.folder)):
            with self.subTest(url):
                self.assertEqual(self.check(url=url).returncode, EXIT["usage"])

    def test_the_proxy_variables_count(self):
        done = self.check(url="http://channel.invalid", env={"http_proxy": self.server.url})
        self.assertEqual(done.returncode, EXIT["try_again"])  # the proxy answers 404 for the whole URL
        self.assertEqual(self.server.http.requests[-1][0], "http://channel.invalid/index.cms")

    def test_an_index_of_a_stranger_is_untrusted(self):
        other = self.tmp / "other"
        stranger = ["--key", ARTIFACTS / "stranger.key", "--certificate", ARTIFACTS / "stranger.crt"]
        run(DRIVEREXT, "channel", "init", "--name=stable", *stranger, other)
        shutil.copy(other / "index.cms", self.folder / "index.cms")
        done = self.check()
        self.assertEqual(done.returncode, EXIT["untrusted"])
        self.assertIn("index-untrusted", done.stderr)

    def test_an_older_index_than_was_seen_is_refused(self):
        seen = self.node / "var/lib/driverext"
        seen.mkdir(parents=True)
        (seen / "channel.json").write_text(json.dumps(
            {"format": 1, "channels": {"stable": {"serial": 99, "sha256": "0" * 64}}}))
        done = self.check()
        self.assertEqual(done.returncode, EXIT["untrusted"])
        self.assertIn("index-rolled-back", done.stderr)


class Publishing(Channel):
    def test_openssl_reads_and_verifies_the_index(self):
        text = run("openssl", "cms", "-verify", "-inform", "DER", "-in", self.folder / "index.cms", "-CAfile",
                   ARTIFACTS / "publisher.crt", "-binary", "-purpose", "any").stdout
        index = json.loads(text)
        self.assertEqual((index["channel"], index["serial"]), ("stable", 2))
        image = index["releases"][0]["images"][0]
        self.assertEqual(image["file"], f"images/{self.image['rootHash']}.raw")
        digest = run("sha256sum", self.folder / image["file"]).stdout.split()[0]
        self.assertEqual(image["sha256"], digest)

    def test_a_publisher_checks_the_own_directory(self):
        done = run(DRIVEREXT, "channel", "check", f"--root={self.node}", "--certificate", ARTIFACTS / "publisher.crt",
                   self.folder)
        self.assertIn("takes it", done.stdout)

    def test_damaged_and_foreign_images_are_not_published(self):
        before = {p: p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        for name in ("signed-by-stranger", "flipped-bit-in-hash-tree", "flipped-bit-in-manifest",
                     "flipped-bit-in-module-data", "flipped-bit-in-root-hash-signature"):
            with self.subTest(name):
                done = run(DRIVEREXT, "channel", "publish", *KEY, self.folder, ARTIFACTS / f"{name}.raw", check=False)
                self.assertEqual(done.returncode, EXIT["untrusted"])
                self.assertEqual({p: p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}, before)

    def test_a_release_gains_an_image_for_another_kernel(self):
        run(DRIVEREXT, "channel", "publish", *KEY, "--release=1.0.0", self.folder, ARTIFACTS / "for-another-kernel.raw")
        shown = json.loads(self.check("--json=short").stdout)
        self.assertEqual([r["images"] for r in shown["releases"]], [2])
