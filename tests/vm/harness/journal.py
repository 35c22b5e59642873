"""The journal's export format, made readable."""
import struct
from collections.abc import Iterator


def entries(data: bytes) -> Iterator[dict[str, str]]:
    """Entries of `journalctl -o export`. A field is NAME=TEXT, or NAME, a 64-bit length and bytes."""
    position, entry = 0, {}
    while position < len(data):
        end = data.find(b"\n", position)
        if end < 0:
            break
        line = data[position:end]
        position = end + 1
        if not line:
            if entry:
                yield entry
            entry = {}
            continue
        name, equals, value = line.partition(b"=")
        if not equals:
            if position + 8 > len(data):
                break
            (length,) = struct.unpack_from("<Q", data, position)
            value = data[position + 8:position + 8 + length]
            position += 8 + length + 1
        entry[name.decode(errors="replace")] = value.decode(errors="replace")
    if entry:
        yield entry


def to_text(data: bytes) -> str:
    lines = []
    for e in entries(data):
        seconds = int(e.get("__MONOTONIC_TIMESTAMP", 0)) / 1e6
        pid = f"[{e['_PID']}]" if "_PID" in e else ""
        lines.append(f"[{seconds:10.3f}] {e.get('SYSLOG_IDENTIFIER', e.get('_COMM', '-'))}{pid}: {e.get('MESSAGE', '')}\n")
    return "".join(lines)
