#!/usr/bin/env python3
"""serve.py FOLDER [LOG]: HTTP server for one connection, on standard input and output.

QEMU starts one for each connection of the guest to 10.0.2.100:80, so there is no port to take on
the host. It serves GET and HEAD of the plain files in FOLDER (symbolic links in it are followed:
the harness puts them there), and writes one line per request to LOG.
"""
import os
import sys
from urllib.parse import unquote, urlsplit

MAX_HEAD = 16384


def resolve(folder: str, target: str) -> str | None:
    """The file that a request target means, or None when the target is not acceptable."""
    path = unquote(urlsplit(target).path)
    parts = path.split("/")
    if not path.startswith("/") or ".." in parts or "." in parts or "\0" in path:
        return None
    return os.path.join(folder, *[p for p in parts if p])


def range_of(value: str, size: int) -> tuple[int, int] | None:
    """(first, last) of a "bytes=A-B" or "bytes=A-" header; None when it is something else."""
    first, dash, last = value.strip().removeprefix("bytes=").partition("-")
    if not value.strip().startswith("bytes=") or not dash or not first.isdigit() or (last and not last.isdigit()):
        return None
    a, b = int(first), min(int(last), size - 1) if last else size - 1
    return (a, b) if a <= b else None


def serve(folder: str, source, sink, log) -> None:
    while True:
        line = source.readline(MAX_HEAD).decode("latin-1")
        if not line:
            return
        words = line.split()
        headers, read = {}, len(line)
        while (h := source.readline(MAX_HEAD).decode("latin-1").strip()) and read < MAX_HEAD:
            read += len(h)
            name, _, value = h.partition(":")
            headers[name.strip().lower()] = value.strip()
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            answer(sink, 400, "Bad Request", close=True)
            return
        method, target, version = words
        close = version == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
        status = one(folder, method, target, headers, sink, close)
        log(f"{method} {target} {status}")
        if close or status == 405:  # 405: there may be a body that we don't read
            return


def one(folder: str, method: str, target: str, headers: dict, sink, close: bool) -> int:
    if method not in ("GET", "HEAD"):
        return answer(sink, 405, "Method Not Allowed", close=True)
    path = resolve(folder, target)
    if path is None:
        return answer(sink, 400, "Bad Request", close)
    try:
        if not os.path.isfile(path):
            raise FileNotFoundError
        file = open(path, "rb")
    except OSError:
        return answer(sink, 404, "Not Found", close)
    with file:
        size = os.fstat(file.fileno()).st_size
        part = range_of(headers["range"], size) if "range" in headers else None
        first, last = part or (0, size - 1)
        extra = f"Content-Range: bytes {first}-{last}/{size}\r\n" if part else ""
        status = answer(sink, *((206, "Partial Content") if part else (200, "OK")), close, last - first + 1, extra)
        if method == "GET":
            file.seek(first)
            left = last - first + 1
            while left and (data := file.read(min(left, 1 << 18))):
                sink.write(data)
                left -= len(data)
            sink.flush()
        return status


def answer(sink, status: int, words: str, close: bool, length: int = 0, extra: str = "") -> int:
    sink.write((f"HTTP/1.1 {status} {words}\r\nContent-Length: {length}\r\nContent-Type: application/octet-stream\r\n"
                f"Accept-Ranges: bytes\r\n{extra}Connection: {'close' if close else 'keep-alive'}\r\n\r\n").encode())
    sink.flush()
    return status


def main() -> None:
    folder, log_path = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None

    def log(line: str) -> None:
        if log_path:
            with open(log_path, "a") as f:
                f.write(line + "\n")
    try:
        serve(folder, sys.stdin.buffer, sys.stdout.buffer, log)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the guest hung up; nothing is left to flush to


if __name__ == "__main__":
    main()
