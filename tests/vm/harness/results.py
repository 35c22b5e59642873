"""Results: one JSON line per check in a file, one line per check for people."""
import json
import sys
import threading
from pathlib import Path


class Results:
    """Counts and prints; used by several scenarios at once."""

    def __init__(self, stream=sys.stdout):
        self._stream, self._lock = stream, threading.Lock()
        self.passed = self.failed = 0

    def add(self, file: Path, scenario: str, boot: int, check: str, passed: bool, seconds: float, detail: str = "") -> None:
        line = {"scenario": scenario, "boot": boot, "check": check, "result": "passed" if passed else "failed",
                "seconds": round(seconds, 1), "detail": detail}
        with self._lock:
            with open(file, "a") as f:
                f.write(json.dumps(line) + "\n")
            if passed:
                self.passed += 1
            else:
                self.failed += 1
            print(f"{'ok  ' if passed else 'FAIL'} {scenario} boot {boot}: {check} ({seconds:.1f} s)", file=self._stream)
            if not passed and detail:
                print("".join(f"     | {x}\n" for x in detail.splitlines()), end="", file=self._stream)
            self._stream.flush()

    def say(self, text: str) -> None:
        with self._lock:
            print(text, file=self._stream, flush=True)
