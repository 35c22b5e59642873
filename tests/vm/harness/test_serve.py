import io
import tempfile
import unittest
from pathlib import Path

from harness.serve import resolve, serve


class Resolve(unittest.TestCase):
    def test_plain(self):
        self.assertEqual(resolve("/f", "/a/b.raw?x=1"), "/f/a/b.raw")
        self.assertEqual(resolve("/f", "/a%20b"), "/f/a b")

    def test_traversal_is_refused(self):
        for target in ("/../x", "/a/../../x", "/%2e%2e/x", "/a/%2E%2e%2fx", "x", "", "*", "/./x", "/a%00"):
            self.assertIsNone(resolve("/f", target), target)


class Serve(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        (Path(self.folder) / "a").write_bytes(b"0123456789")
        (Path(self.folder) / "empty").write_bytes(b"")

    def talk(self, request: str) -> tuple[str, list[str]]:
        sink, lines = io.BytesIO(), []
        serve(self.folder, io.BytesIO(request.replace("\n", "\r\n").encode()), sink, lines.append)
        return sink.getvalue().decode(), lines

    def test_keeps_the_connection(self):
        text, lines = self.talk("GET /a HTTP/1.1\nHost: x\n\nGET /none HTTP/1.1\n\nHEAD /a HTTP/1.1\n\nGET /empty HTTP/1.1\n\n")
        self.assertEqual(lines, ["GET /a 200", "GET /none 404", "HEAD /a 200", "GET /empty 200"])
        self.assertEqual(text.count("0123456789"), 1)
        self.assertEqual(text.count("Content-Length: 10"), 2)

    def test_closes_when_asked(self):
        _, lines = self.talk("GET /a HTTP/1.1\nConnection: close\n\nGET /a HTTP/1.1\n\n")
        self.assertEqual(lines, ["GET /a 200"])

    def test_range(self):
        text, lines = self.talk("GET /a HTTP/1.1\nRange: bytes=2-4\n\n")
        self.assertEqual(lines, ["GET /a 206"])
        self.assertIn("Content-Range: bytes 2-4/10", text)
        self.assertTrue(text.endswith("\r\n\r\n234"))

    def test_refusals(self):
        self.assertIn("400 Bad Request", self.talk("GET /../etc/passwd HTTP/1.1\n\n")[0])
        self.assertIn("405 Method", self.talk("POST /a HTTP/1.1\nContent-Length: 2\n\nxx")[0])
        self.assertIn("400 Bad Request", self.talk("nonsense\n\n")[0])
        self.assertIn("404 Not Found", self.talk("GET / HTTP/1.1\n\n")[0])


if __name__ == "__main__":
    unittest.main()
