import json
import socket
import struct
import tempfile
import threading
import unittest
from pathlib import Path

from harness import journal
from harness.agent import Agent, AgentError, Framer, encode
from harness.qemu import escape


class Framing(unittest.TestCase):
    def test_messages_in_pieces(self):
        f = Framer()
        self.assertEqual(f.feed(b'{"return"'), [])
        self.assertEqual(f.feed(b': 1}\n{"return": 2}\n{"re'), [{"return": 1}, {"return": 2}])
        self.assertEqual(f.feed(b'turn": 3}\n'), [{"return": 3}])

    def test_what_is_before_a_delimiter_is_dropped(self):
        self.assertEqual(Framer().feed(b'{"return": {"ol\xff{"return": 5}\n'), [{"return": 5}])

    def test_noise_is_dropped(self):
        self.assertEqual(Framer().feed(b'n": 4}\n\n{"return": 5}\n'), [{"return": 5}])

    def test_encode(self):
        self.assertEqual(encode("a"), b'{"execute": "a"}\n')
        self.assertEqual(encode("a", {"id": 1}, True), b'\xff{"execute": "a", "arguments": {"id": 1}}\n')


class Talking(unittest.TestCase):
    def serve(self, answers):
        """A stand-in for the guest: answers request n with answers[n], then hangs up."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "s"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()

        def run():
            with server, server.accept()[0] as c, c.makefile("rwb") as f:
                for answer in answers:
                    request = json.loads(f.readline().lstrip(b"\xff"))
                    f.write(answer(request) if callable(answer) else answer)
                    f.flush()
        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        return path

    def test_run(self):
        agent = Agent(self.serve([
            lambda r: b'{"return": 77}\n\xff' + json.dumps({"return": r["arguments"]["id"]}).encode() + b"\n",
            b'{"return": {"pid": 9}}\n', b'{"return": {"exited": false}}\n',
            b'{"return": {"exited": true, "exitcode": 3, "out-data": "aGk="}}\n']))
        agent.connect(5, lambda: True)
        self.addCleanup(agent.close)
        result = agent.run("x", 5)
        self.assertEqual((result.code, result.out, result.text()), (3, b"hi", "hi"))
        with self.assertRaises(AgentError):
            agent.call("x", timeout=2)

    def test_no_machine(self):
        with self.assertRaisesRegex(AgentError, "ended at once"):
            Agent(Path("/nonexistent/s")).connect(5, lambda: False)


class Other(unittest.TestCase):
    def test_journal(self):
        data = (b"__MONOTONIC_TIMESTAMP=1500000\nSYSLOG_IDENTIFIER=a\n_PID=7\nMESSAGE=one\n\n"
                b"__MONOTONIC_TIMESTAMP=2000000\n_COMM=b\nMESSAGE\n" + struct.pack("<Q", 3) + b"x\ny\n\n")
        self.assertEqual(journal.to_text(data), "[     1.500] a[7]: one\n[     2.000] b: x\ny\n")

    def test_commas_in_qemu_values(self):
        self.assertEqual(escape("a,b"), "a,,b")


if __name__ == "__main__":
    unittest.main()
