"""Client of the QEMU guest agent, which runs commands in the guest over a virtio serial port."""
import base64
import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path

DELIMITER = b"\xff"  # sent before a message: the other side forgets what it has of an earlier one


class AgentError(Exception):
    """The guest does not answer, or not in time."""


@dataclass(frozen=True)
class Output:
    code: int
    out: bytes
    err: bytes

    def text(self) -> str:
        return (self.out + self.err).decode(errors="replace").strip()


class Framer:
    """Splits what the agent sends into messages: one JSON object a line."""

    def __init__(self):
        self._rest = b""

    def feed(self, data: bytes) -> list[dict]:
        self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        messages = []
        for line in lines:
            line = line.rsplit(DELIMITER, 1)[-1].strip()
            if line:
                try:
                    messages.append(json.loads(line))
                except ValueError:
                    pass  # the rest of a message that was begun before we listened
        return messages


def encode(command: str, arguments: dict | None = None, delimited: bool = False) -> bytes:
    message = {"execute": command}
    if arguments:
        message["arguments"] = arguments
    return (DELIMITER if delimited else b"") + json.dumps(message).encode() + b"\n"


class Agent:
    def __init__(self, path: Path):
        self._path = path
        self._socket: socket.socket | None = None
        self._framer = Framer()
        self._pending: list[dict] = []

    def connect(self, timeout: float, alive) -> None:
        """Wait until the agent answers. `alive` tells whether the machine still runs."""
        deadline = time.monotonic() + timeout
        while self._socket is None:  # QEMU makes the socket within moments of its start
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(str(self._path))
                self._socket = s
            except OSError:
                s.close()
                if not alive():
                    raise AgentError("QEMU ended at once") from None
                if time.monotonic() > deadline:
                    raise AgentError("QEMU did not open the agent's socket") from None
                time.sleep(0.02)
        # QEMU holds what we send until the guest opens its end, so one request is enough as a rule;
        # it is repeated in case the agent is restarted in between.
        number = 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AgentError(f"the guest agent did not answer within {timeout:.0f} s")
            number += 1
            self._send(encode("guest-sync-delimited", {"id": number}, delimited=True))
            try:
                while self._receive(min(left, 20)).get("return") != number:
                    pass
                return
            except TimeoutError:
                continue

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def call(self, command: str, arguments: dict | None = None, timeout: float = 30) -> dict:
        self._send(encode(command, arguments))
        try:
            answer = self._receive(timeout)
        except TimeoutError:
            raise AgentError(f"the guest agent did not answer {command} within {timeout:.0f} s") from None
        if "error" in answer:
            raise AgentError(f"{command}: {answer['error'].get('desc', answer['error'])}")
        return answer["return"]

    def run(self, script: str, timeout: float) -> Output:
        """Run a bash script in the guest; one that takes too long is ended there and gives code 124."""
        pid = self.call("guest-exec", {
            "path": "/usr/bin/timeout", "capture-output": True,
            "arg": ["--kill-after=2", f"{timeout:.0f}", "/bin/bash", "-euo", "pipefail", "-c", script]})["pid"]
        # The guest has `timeout` seconds; past that and a margin it is the guest that hangs.
        deadline, pause = time.monotonic() + timeout + 20, 0.03
        while True:  # the agent tells nothing by itself
            status = self.call("guest-exec-status", {"pid": pid})
            if status["exited"]:
                code = status.get("exitcode", 128 + status.get("signal", 0))
                return Output(code, base64.b64decode(status.get("out-data", "")),
                              base64.b64decode(status.get("err-data", "")))
            if time.monotonic() > deadline:
                raise AgentError(f"the guest hangs: a command did not end within {timeout:.0f} s, nor could it be ended")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.4)  # each question costs the guest CPU time

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as e:
            raise AgentError(f"the machine went away ({e})") from None

    def _receive(self, timeout: float) -> dict:
        deadline = time.monotonic() + timeout
        while not self._pending:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                raise
            except ConnectionResetError:
                data = b""
            except OSError as e:
                raise AgentError(f"the machine went away ({e})") from None
            if not data:
                raise AgentError("the machine powered off")
            self._pending += self._framer.feed(data)
        return self._pending.pop(0)
